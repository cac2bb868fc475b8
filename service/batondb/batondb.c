// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * batondb - PostgreSQL's protocol in front of SQLite, for many tenants, each
 * with the CPU that it bought.
 *
 * How its parts depend on each other, from the bottom: mem, buf; proto, lex,
 * priv; types; guard; check, db; conf, base, role; report, net, work, settings, auth;
 * funcs, view, forms, stmt; exec, copy, util; session; batondb and http.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <malloc.h>
#include <netdb.h>
#include <openssl/err.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

/* SIGTERM: how long transactions may take to end. */
#define DRAIN_SECONDS 10

struct server server = { .admin = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

static int read_configuration(struct conf *c, char *why, size_t room);

static void usage(FILE *f)
{
	fputs("usage: batondb [OPTION]...\n"
	      "  -f, --config FILE   settings, a line each: SETTING VALUE\n"
	      "  -D, --data-dir DIR  where the databases are (data_dir)\n"
	      "  -p, --port PORT     of 127.0.0.1 (port, listen_address)\n"
	      "  -c, --set LINE      of such a file, or SETTING=VALUE; batondb(8) lists them\n"
	      "  -b, --backup DIR    makes a backup there, also while the server runs, and ends\n"
	      "  -h, --help; -V, --version\n", f);
}

static int fail(const char *what, const char *why)
{
	log_line("batondb: %s: %s", what, why);
	return 1;
}

static const char *listen_on(const char *address, int port, int *fd)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST, .ai_socktype = SOCK_STREAM }, *ai;
	const char *why = NULL;
	char service[16];
	int rc, on = 1;

	snprintf(service, sizeof(service), "%d", port);
	rc = getaddrinfo(!strcmp(address, "*") ? NULL : address, service, &hints, &ai);
	if (rc)
		return gai_strerror(rc);
	*fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0 || setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) || bind(*fd, ai->ai_addr, ai->ai_addrlen) || listen(*fd, 1024))
		why = strerror(errno);
	freeaddrinfo(ai);
	return why;
}

/* NULL, or why not. */
static const char *tls_setup(void)
{
	struct stat st;

	if (!*server.conf.tls_cert)
		return server.conf.tls_required ? "tls_required needs tls_cert_file" : NULL;
	if (!stat(server.conf.tls_key, &st) && st.st_mode & 077 && !(st.st_uid == 0 && !(st.st_mode & 037)))
		return "tls_key_file may be read by others: chmod 600";
	server.tls = SSL_CTX_new(TLS_server_method());
	return server.tls && SSL_CTX_set_min_proto_version(server.tls, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_use_certificate_chain_file(server.tls, server.conf.tls_cert) == 1 &&
	       SSL_CTX_use_PrivateKey_file(server.tls, server.conf.tls_key, SSL_FILETYPE_PEM) == 1 &&
	       SSL_CTX_check_private_key(server.tls) == 1 ? NULL : ERR_reason_error_string(ERR_get_error());
}

/* NULL, or why not. The socket is removed with its directory's other files, or by the next server. */
static const char *listen_unix(int *fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *dir = *server.conf.socket_dir ? server.conf.socket_dir : server.conf.data_dir;

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/.s.PGSQL.%d", dir, server.conf.port) >= (int)sizeof(sa.sun_path))
		return *server.conf.socket_dir ? "socket_dir is too long a path" :
		       (log_line("the data directory's path is too long for a unix socket: see socket_dir"), NULL);
	/* The data directory's lock is ours, and so is what an earlier server left. */
	unlink(sa.sun_path);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0 || bind(*fd, (struct sockaddr *)&sa, sizeof(sa)) || chmod(sa.sun_path, 0777) || listen(*fd, 1024))
		return strerror(errno);
	return NULL;
}

static bool is_local(const struct sockaddr_storage *sa)
{
	const struct in6_addr *six = &((const struct sockaddr_in6 *)sa)->sin6_addr;

	if (sa->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 == 127;
	return sa->ss_family == AF_UNIX ||
	       (sa->ss_family == AF_INET6 && (IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127)));
}

static void accept_one(int fd)
{
	struct peer peer = { .uid = (uid_t)-1, .text = "?" };
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	char port[16] = "?";
	struct ucred cred;
	int c = accept4(fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC);

	if (c < 0) {
		/* Without descriptors to spare it would be ready for ever. */
		if (errno == EMFILE || errno == ENFILE)
			poll(NULL, 0, 50);
		return;
	}
	peer.local = is_local(&sa);
	peer.unix_socket = sa.ss_family == AF_UNIX;
	if (peer.unix_socket) {
		len = sizeof(cred);
		if (!getsockopt(c, SOL_SOCKET, SO_PEERCRED, &cred, &len))
			peer.uid = cred.uid;
		snprintf(peer.address, sizeof(peer.address), "[local]");
		snprintf(peer.text, sizeof(peer.text), "[local]");
	} else {
		getnameinfo((struct sockaddr *)&sa, len, peer.address, sizeof(peer.address), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
		snprintf(peer.text, sizeof(peer.text), "%s:%s", peer.address, port);
	}
	/* Connections that have not logged in have a number of their own, so that they keep nobody out who has. */
	if (server.n_startup >= (unsigned)server.conf.max_unauthenticated ||
	    server.n_sessions > (unsigned)(server.conf.max_connections + server.conf.max_unauthenticated)) {
		close(c);
		return;
	}
	session_start(c, &peer);
}

static void apply_limits(void)
{
	mem_limits(&(struct mem_limits){ (int64_t)server.conf.session_memory, (int64_t)server.conf.tenant_memory,
					 (int64_t)server.conf.server_memory });
	db_limits(&(struct db_limits){ (int64_t)server.conf.temp_limit, (int64_t)server.conf.database_limit });
}

/* SIGHUP: the file is read again, as a whole or not at all; what the command line has said holds. */
static void reload(void)
{
	char why[1000];
	struct conf c;

	conf_init(&c);
	if (read_configuration(&c, why, sizeof(why))) {
		log_line("the configuration is not reloaded: %s", why);
	} else {
		pthread_mutex_lock(&server.lock);
		conf_reload(&server.conf, &c);
		pthread_mutex_unlock(&server.lock);
		apply_limits();
	}
	conf_free(&c);
}

/* The directory is ours alone: its mode, its owner, and a lock that ends with the process. */
static const char *own_directory(void)
{
	const char *dir = server.conf.data_dir;
	char path[600];
	struct stat st;
	int fd;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return why_text("cannot make %.200s: %s", dir, strerror(errno));
	if (stat(dir, &st) || st.st_uid != geteuid())
		return why_text("%.200s belongs to another user than the one that batondb runs as", dir);
	if (st.st_mode & 077 && chmod(dir, 0700))
		return why_text("%.200s is open to other users", dir);
	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return why_text(errno == EWOULDBLOCK ? "another batondb uses %.200s" : "cannot lock %.200s", dir);
	snprintf(path, sizeof(path), "%s/temp", dir);
	mkdir(path, 0700);
	return NULL;
}

/* Databases are opened by what clients say: not as root, unless that is what was asked for. */
static const char *become_user(void)
{
	const struct rlimit nice = { 20, 20 };
	const char *name = server.conf.user;
	struct passwd *pw;

	if (geteuid()) {
		pw = *name ? getpwnam(name) : NULL;
		return *name && (!pw || pw->pw_uid != geteuid()) ? "user: only root can become another user" : NULL;
	}
	if (!*name)
		return "batondb does not run as root: -c user=NAME has it become that one";
	if (!strcmp(name, "root"))
		return NULL;
	pw = getpwnam(name);
	if (!pw)
		return "user: there is none of this name";
	/* A new directory is the user's from the beginning; and a thread that was demoted can come back. */
	if (!mkdir(server.conf.data_dir, 0700) && chown(server.conf.data_dir, pw->pw_uid, pw->pw_gid))
		return strerror(errno);
	setrlimit(RLIMIT_NICE, &nice);
	if (setgroups(0, NULL) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) || setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid))
		return strerror(errno);
	prctl(PR_SET_DUMPABLE, 1);
	return NULL;
}

/* Transactions may end, then everybody goes; and two seconds later the process. */
static void drain(void)
{
	struct timespec ts;
	int i;

	server.stopping = true;
	pthread_mutex_lock(&server.lock);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	for (i = 0; server.n_sessions && i < DRAIN_SECONDS + 2; i++) {
		session_stop_all(i >= DRAIN_SECONDS);
		ts.tv_sec++;
		while (server.n_sessions && !pthread_cond_clockwait(&server.ended, &server.lock, CLOCK_MONOTONIC, &ts))
			session_stop_all(i >= DRAIN_SECONDS);
	}
	pthread_mutex_unlock(&server.lock);
}

static int run(void)
{
	struct baton_sched_opts so;
	struct pollfd fds[3] = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 } };
	struct signalfd_siginfo sig;
	struct rlimit rl;
	cpu_set_t cpus;
	const char *why;
	char temp[600];
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
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	if ((why = become_user()) || (why = own_directory()))
		return fail("cannot start", why);
	umask(077);
	apply_limits();
	baton_config_sched(server.conf.tiers, &so);
	rc = baton_sched_create(&server.sched, &so);
	if (rc)
		return fail("cannot make a scheduler", strerror(-rc));
	server.slots = so.slots ? (int)so.slots : sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
	server.low_limit_ppm = so.low_limit_ppm ? so.low_limit_ppm : 700000;
	snprintf(temp, sizeof(temp), "%s/temp", server.conf.data_dir);
	if (db_setup(temp))
		return fail("cannot set SQLite up", "another version of it than this was built with?");
	if ((why = database_load()) || (why = role_load()))
		return fail("cannot open the databases", why);
	rc = *server.conf.fleet_socket ? baton_fleet_join(&server.fleet, server.sched, server.conf.fleet_socket) : 0;
	if (rc)
		return fail("cannot join the fleet", strerror(-rc));
	if ((why = tls_setup()))
		return fail("cannot use the certificate or its key", why);
	if ((why = listen_on(server.conf.listen, server.conf.port, &fds[0].fd)) || (why = listen_unix(&fds[2].fd)))
		return fail("cannot listen", why);
	if (server.conf.http_port && http_start(server.conf.http_port))
		return fail("cannot listen for HTTP", strerror(errno));
	fds[1].fd = signalfd(-1, &set, SFD_CLOEXEC);
	fds[0].events = fds[1].events = fds[2].events = POLLIN;
	log_line("batondb is ready: %s, port %d, data_dir %s", server.conf.listen, server.conf.port, server.conf.data_dir);
	for (;;) {
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[1].revents) {
			if (read(fds[1].fd, &sig, sizeof(sig)) == sizeof(sig) && sig.ssi_signo != SIGHUP)
				break;
			reload();
		}
		if (fds[0].revents)
			accept_one(fds[0].fd);
		if (fds[2].revents)
			accept_one(fds[2].fd);
	}
	close(fds[0].fd);
	close(fds[2].fd);
	log_line("stopping");
	drain();
	http_stop();
	baton_fleet_leave(server.fleet);
	if (server.n_sessions) {
		log_line("stopped with connections that did not end");
		_exit(0);
	}
	sqlite3_close(server.control);
	return 0;
}

static int n_args;
static char **args;
static const char *backup;

/* A line of the configuration, of a name of n bytes and a value. */
static void add_line(struct buf *b, const char *name, size_t n, const char *value)
{
	buf_fmt(b, "%.*s ", (int)n, name);
	buf_quoted(b, value);
	buf_ch(b, '\n');
}

static bool add_file(struct buf *b, const char *path)
{
	FILE *f = fopen(path, "re");
	char part[4096];
	size_t n;

	while (f && (n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(b, part, n);
	buf_ch(b, '\n');
	return f && !fclose(f);
}

/* The file of -f and what else the command line says, in its order. 0, an error, or 1: nothing is left to do. */
static int read_configuration(struct conf *c, char *why, size_t room)
{
	static const struct option longer[] = {
		{ "config", required_argument, NULL, 'f' }, { "data-dir", required_argument, NULL, 'D' },
		{ "port", required_argument, NULL, 'p' }, { "set", required_argument, NULL, 'c' },
		{ "backup", required_argument, NULL, 'b' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { 0 }
	};
	const char *file = "command line", *eq;
	struct buf b;
	int o, rc = 0;

	buf_init(&b, 1 << 20);
	optind = 1;
	while (!rc && (o = getopt_long(n_args, args, "f:D:p:c:b:hV", longer, NULL)) != -1) {
		switch (o) {
		case 'f':
			file = optarg;
			if (!add_file(&b, file))
				rc = (snprintf(why, room, "cannot read %s", file), -EINVAL);
			break;
		case 'D':
		case 'p':
			add_line(&b, o == 'D' ? "data_dir" : "port", o == 'D' ? 8 : 4, optarg);
			break;
		case 'b':
			backup = optarg;
			break;
		case 'c':
			eq = strchr(optarg, '=');
			if (eq && strcspn(optarg, " ") > (size_t)(eq - optarg))
				add_line(&b, optarg, (size_t)(eq - optarg), eq + 1);
			else
				buf_fmt(&b, "%s\n", optarg);
			break;
		case 'V':
			printf("batondb %s, baton %s, SQLite %s\n", BATON_VERSION, baton_version(), sqlite3_libversion());
			rc = 1;
			break;
		case 'h':
			usage(stdout);
			rc = 1;
			break;
		default:
			usage(stderr);
			rc = (snprintf(why, room, "wrong option; nothing was started"), -EINVAL);
		}
	}
	if (!rc && optind < n_args)
		rc = (snprintf(why, room, "no arguments are taken"), -EINVAL);
	if (!rc)
		rc = conf_parse(c, &b, file, why, room);
	buf_free(&b);
	return rc;
}

int main(int argc, char **argv)
{
	char text[1000];
	const char *why = text;
	int rc;

	n_args = argc;
	args = argv;
	conf_init(&server.conf);
	rc = read_configuration(&server.conf, text, sizeof(text));
	if (rc > 0)
		return 0;
	if (!rc && backup) {
		why = backup_to(server.conf.data_dir, backup);
		rc = why != NULL;
	}
	if (rc) {
		fprintf(stderr, "batondb: %s\n", why);
		return 2;
	}
	return backup ? 0 : run();
}
