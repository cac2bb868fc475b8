// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * batondb - PostgreSQL's protocol in front of SQLite, for many tenants, each
 * with the CPU that it bought.
 *
 * How its parts depend on each other, from the bottom: buf; proto, lex, hist,
 * log; types, sql and infer; funcs, catalog, db; conf, role; net, work,
 * settings, auth; exec, util, ddl, copy; session; batondb and http.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <openssl/err.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

/* SIGTERM: how long transactions may take to end. */
#define DRAIN_SECONDS 10

struct server server = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

static void usage(FILE *f)
{
	fputs("usage: batondb [-f FILE] [-D DIR] [-p PORT] [-c SETTING=VALUE]...\n"
	      "  -f FILE  settings, a line each: setting = value\n"
	      "  -D DIR   where the databases are (data_dir)\n"
	      "  -p PORT  of 127.0.0.1 (port, listen_address)\n"
	      "  -c       any setting; batondb(8) lists them\n", f);
}

static int fail(const char *what, const char *why)
{
	log_line(LOG_ERROR, what, "why", why, NULL);
	fprintf(stderr, "batondb: %s: %s\n", what, why);
	return 1;
}

static int listen_on(const char *address, int port, const char **why)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST, .ai_socktype = SOCK_STREAM }, *ai;
	char service[16];
	int fd, rc, on = 1;

	snprintf(service, sizeof(service), "%d", port);
	rc = getaddrinfo(!strcmp(address, "*") ? NULL : address, service, &hints, &ai);
	if (rc) {
		*why = gai_strerror(rc);
		return -1;
	}
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 1024)) {
		*why = strerror(errno);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

static int tls_setup(const char **why)
{
	if (!*server.conf.tls_cert)
		return 0;
	server.tls = SSL_CTX_new(TLS_server_method());
	if (server.tls && SSL_CTX_set_min_proto_version(server.tls, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_use_certificate_chain_file(server.tls, server.conf.tls_cert) == 1 &&
	    SSL_CTX_use_PrivateKey_file(server.tls, server.conf.tls_key, SSL_FILETYPE_PEM) == 1 &&
	    SSL_CTX_check_private_key(server.tls) == 1)
		return 0;
	*why = ERR_reason_error_string(ERR_get_error());
	return -1;
}

static void accept_one(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char host[64] = "?", port[16] = "?", peer[96];
	int c = accept4(fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC);

	if (c < 0) {
		/* Without descriptors to spare it would be ready for ever. */
		if (errno == EMFILE || errno == ENFILE)
			poll(NULL, 0, 50);
		return;
	}
	getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(peer, sizeof(peer), "%s:%s", host, port);
	/* Some more, who are told that there are too many; not any number. */
	if (server.n_sessions > (unsigned)server.conf.max_connections + 64) {
		server.refused++;
		close(c);
		return;
	}
	session_start(c, peer);
}

/* Transactions may end, then everybody goes. */
static void drain(void)
{
	struct timespec ts;
	int i;

	server.stopping = true;
	for (i = 0; i <= 10 * DRAIN_SECONDS; i++) {
		session_stop_all(i == 10 * DRAIN_SECONDS);
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += 100000000;
		if (ts.tv_nsec >= 1000000000) {
			ts.tv_nsec -= 1000000000;
			ts.tv_sec++;
		}
		pthread_mutex_lock(&server.lock);
		if (server.n_sessions)
			pthread_cond_timedwait(&server.ended, &server.lock, &ts);
		if (!server.n_sessions)
			i = 10 * DRAIN_SECONDS;
		pthread_mutex_unlock(&server.lock);
	}
	pthread_mutex_lock(&server.lock);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 2;
	while (server.n_sessions && !pthread_cond_timedwait(&server.ended, &server.lock, &ts))
		;
	pthread_mutex_unlock(&server.lock);
}

static struct baton_tier_opts internal_tier(int i, unsigned rank)
{
	return (struct baton_tier_opts){
		.rank = rank,
		.share = server.conf.internal[i].share,
		.reserve_ppm = server.conf.internal[i].reserve * 10000,
		.limit_ppm = server.conf.internal[i].limit * 10000,
	};
}

static int run(void)
{
	/* What is sold, and of each rank a tier for work of the house. */
	const struct baton_tier_opts tiers[] = {
		{ .policy = server.conf.low_order, .rank = 0, .share = 100 },
		{ .policy = server.conf.high_order, .rank = 1, .share = 100 },
		internal_tier(0, 0), internal_tier(1, 1),
	};
	struct baton_sched_opts so = { .sz = sizeof(so), .tier = tiers, .tiers = 4 };
	struct pollfd fds[2];
	struct rlimit rl;
	cpu_set_t cpus;
	const char *why;
	char port[16];
	sigset_t set;
	int rc;

	/*
	 * A thread that was demoted may hold a lock of malloc's: few share one, and
	 * large pieces are not from what they lock.
	 */
	mallopt(M_ARENA_MAX, 256);
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	so.slots = server.conf.slots;
	so.low_limit_ppm = server.conf.low_limit * 10000;
	rc = baton_sched_create(&server.sched, &so);
	if (rc)
		return fail("cannot make a scheduler", strerror(-rc));
	server.cpus = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
	server.quotas = server.conf.quotas;
	server.started = baton_clock_now();
	if (db_setup())
		return fail("cannot set SQLite up", "another version of it than this was built with?");
	if (database_load(&why))
		return fail("cannot open the databases", why);
	if (role_load(&why))
		return fail("cannot read the roles", why);
	if (tls_setup(&why))
		return fail("cannot use the certificate or its key", why);
	fds[0].fd = listen_on(server.conf.listen, server.conf.port, &why);
	if (fds[0].fd < 0)
		return fail("cannot listen", why);
	if (server.conf.http_port && http_start(server.conf.http_port))
		return fail("cannot listen for HTTP", strerror(errno));
	fds[1].fd = signalfd(-1, &set, SFD_CLOEXEC);
	fds[0].events = fds[1].events = POLLIN;
	snprintf(port, sizeof(port), "%d", server.conf.port);
	log_line(LOG_INFO, "ready", "address", server.conf.listen, "port", port, "data_dir", server.conf.data_dir, NULL);
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			break;
		if (fds[0].revents)
			accept_one(fds[0].fd);
	}
	close(fds[0].fd);
	log_line(LOG_INFO, "stopping", NULL);
	drain();
	http_stop();
	if (server.n_sessions) {
		log_line(LOG_WARN, "stopped with connections that did not end", NULL);
		_exit(0);
	}
	sqlite3_close(server.control);
	log_line(LOG_INFO, "stopped", NULL);
	return 0;
}

int main(int argc, char **argv)
{
	const char *why = NULL;
	char *eq;
	int c, rc = 0;

	conf_init(&server.conf);
	while ((c = getopt(argc, argv, "f:D:p:c:hV")) != -1 && !rc) {
		switch (c) {
		case 'f':
			rc = conf_read(&server.conf, optarg, &why);
			break;
		case 'D':
			rc = conf_set(&server.conf, "data_dir", optarg, &why);
			break;
		case 'p':
			rc = conf_set(&server.conf, "port", optarg, &why);
			break;
		case 'c':
			eq = strchr(optarg, '=');
			if (!eq) {
				why = "-c wants SETTING=VALUE";
				rc = -1;
				break;
			}
			*eq = 0;
			rc = conf_set(&server.conf, optarg, eq + 1, &why);
			break;
		case 'V':
			printf("batondb %s, baton %s, SQLite %s\n", BATONDB_VERSION, baton_version(), sqlite3_libversion());
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (!rc && optind < argc) {
		why = "no arguments are taken";
		rc = -1;
	}
	if (rc) {
		fprintf(stderr, "batondb: %s\n", why);
		return 2;
	}
	log_setup(server.conf.log_level);
	return run();
}
