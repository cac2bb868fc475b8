// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer's inputs as a client of a whole batondb, in this process: a
 * connection each, over a socket pair, to its end. (fuzz.sh builds and runs it;
 * the sources are service/batondb/'s own, with AddressSanitizer.)
 *
 * The first byte says what the rest is, so that few inputs are lost at lengths
 * that do not fit:
 *
 *	Q	text, as one simple query
 *	P	text, parsed, described, bound without values, executed
 *	V	likewise; up to the first line's end, separated by |, are the values
 *	L	messages: type, length in two bytes, body; what is left is the last
 *		one's body
 *	M	bytes after a startup packet; of any other: from the connection's
 *		beginning
 *
 * What an input leaves behind (tables, users) is there for those after it, for
 * some hundred inputs; then everything is made anew.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../service/batondb/priv.h"
#include "../../service/batondb/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define FRESH 500
#define VALUES 16

static char dir[] = "/tmp/batondb-fuzz.XXXXXX";
static unsigned runs;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	_exit(2);
}

static void clean(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	must(!system(command), "cannot clean up");
}

/* As the superuser; what is wrong with it is no matter. */
static void admin(const char *sql)
{
	const struct lex_tok *at;
	const char *why, *code;
	struct priv p;
	struct lex l;

	must(lex(&l, sql, strlen(sql)) && priv_parse(&p, l.tok, lex_statement(l.tok), &at, &why), "a statement of the fuzzer's own");
	role_do(&p, "postgres", &code);
	priv_free(&p);
	lex_free(&l);
}

static void fresh(void)
{
	char sql[300];
	struct role *r;

	if (!server.control) {
		must(!db_setup(dir) && !database_load() && !role_load(), "cannot begin");
	} else {
		/* Roles that were made stay known to the scheduler, dropped. */
		for (r = server.roles; r; r = r->next)
			if (!r->dropped && strcmp(r->name, "postgres")) {
				snprintf(sql, sizeof(sql), "drop user \"%s\"", strchr(r->name, '"') ? "x" : r->name);
				admin(sql);
			}
		while (server.databases && strcmp(server.databases->name, "postgres")) {
			snprintf(sql, sizeof(sql), "drop database \"%s\"", server.databases->name);
			admin(sql);
		}
		admin("drop database postgres");
		admin("create database postgres");
		admin("alter user postgres superuser password null");
		admin("alter user postgres reset baton.class");
	}
	admin("create user ordinary");
	admin("create user maker superuser");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1 };
	char why[200];
	struct buf b;

	must(mkdtemp(dir), "no directory");
	atexit(clean);
	conf_init(&server.conf);
	buf_init(&b, 1000);
	buf_fmt(&b, "data_dir %s\nquotas off\nsynchronous_commit off\nmax_value_size 262144\nmax_message_size 262144\nauth trust\n"
		"statement_timeout 40\n", dir);
	must(!conf_parse(&server.conf, &b, "fuzz", why, sizeof(why)), why);
	buf_free(&b);
	mem_limits(&(struct mem_limits){ 32 << 20, 64 << 20, 0 });
	db_limits(&(struct db_limits){ 8 << 20, 16 << 20 });
	must(!baton_sched_create(&server.sched, &so), "no scheduler");
	server.slots = 1;
	return 0;
}

static void put(struct buf *b, char type, const void *p, size_t n)
{
	size_t at = proto_begin(b, type);

	buf_add(b, p, n);
	proto_end(b, at);
}

/* As each kind of user in turn. */
static void startup(struct buf *b)
{
	static const char *const users[] = { "postgres", "ordinary", "maker" };
	const char *user = users[runs % 3];
	size_t at = b->len;

	proto_put32(b, 0);
	proto_put32(b, PROTO_V3);
	proto_puts(b, "user");
	proto_puts(b, user);
	proto_puts(b, "database");
	proto_puts(b, "postgres");
	buf_ch(b, 0);
	proto_end(b, at);
}

static void parsed(struct buf *b, const char *p, size_t n, const char *v, size_t v_len)
{
	unsigned i, values = 0;
	const char *at[VALUES + 1], *end = v + v_len;
	size_t msg;

	for (; v && values < VALUES; v = at[values++] + 1) {
		at[values] = memchr(v, '|', end - v);
		if (!at[values])
			at[values] = end;
		if (at[values] == end) {
			values++;
			break;
		}
	}
	msg = proto_begin(b, 'P');
	buf_ch(b, 0);
	buf_add(b, p, n);
	buf_ch(b, 0);
	proto_put16(b, 0);
	proto_end(b, msg);
	put(b, 'D', "S", 2);
	msg = proto_begin(b, 'B');
	buf_add(b, "\0", 2);
	proto_put16(b, 0);
	proto_put16(b, (uint16_t)values);
	for (i = 0, v = end - v_len; i < values; v = at[i++] + 1) {
		proto_put32(b, (uint32_t)(at[i] - v));
		buf_add(b, v, at[i] - v);
	}
	proto_put16(b, 1);
	proto_put16(b, values & 1);
	proto_end(b, msg);
	put(b, 'D', "P", 2);
	put(b, 'E', "\0\0\0\0", 5);
	put(b, 'S', "", 0);
}

static void as_client(struct buf *b, const char *p, size_t n)
{
	const char *line;
	size_t len;
	char type;

	if (!n)
		return;
	if (*p && strchr("QPVLM", *p)) {
		startup(b);
		type = *p++;
		n--;
	} else {
		type = 'M';
	}
	switch (type) {
	case 'Q':
		len = proto_begin(b, 'Q');
		buf_add(b, p, n);
		buf_ch(b, 0);
		proto_end(b, len);
		break;
	case 'P':
		parsed(b, p, n, NULL, 0);
		break;
	case 'V':
		line = memchr(p, '\n', n);
		if (line)
			parsed(b, line + 1, n - (line + 1 - p), p, line - p);
		break;
	case 'L':
		while (n >= 3) {
			type = *p;
			len = (unsigned char)p[1] << 8 | (unsigned char)p[2];
			p += 3;
			n -= 3;
			len = len < n ? len : n;
			put(b, type, p, len);
			p += len;
			n -= len;
		}
		break;
	default:
		buf_add(b, p, n);
	}
}

static void stop_all(void)
{
	pthread_mutex_lock(&server.lock);
	session_stop_all(true);
	pthread_mutex_unlock(&server.lock);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct peer peer = { .text = "[fuzz]", .address = "[fuzz]", .local = true, .uid = (uid_t)-1, .unix_socket = true };
	static char answer[65536];
	struct timespec ts;
	struct pollfd fd;
	uint64_t begin = baton_clock_now();
	size_t at = 0;
	struct buf b;
	int fds[2];
	long got;

	if (runs++ % FRESH == 0)
		fresh();
	buf_init(&b, 1 << 20);
	as_client(&b, (const char *)p, n);
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "no socket");
	session_start(fds[0], &peer);
	/* Says all, and then that it has nothing more to say; reads meanwhile. */
	for (fd.fd = fds[1];;) {
		fd.events = POLLIN | (at < b.len ? POLLOUT : 0);
		poll(&fd, 1, 100);
		/* A connection that has set its timeout to something else. */
		if (baton_clock_now() - begin > 500 * MS)
			stop_all();
		if (fd.revents & POLLOUT) {
			got = send(fds[1], b.p + at, b.len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
			at = got > 0 ? at + got : got < 0 && errno != EAGAIN ? b.len : at;
		}
		if (at == b.len) {
			at++;
			shutdown(fds[1], SHUT_WR);
		}
		if (fd.revents & (POLLIN | POLLHUP | POLLERR)) {
			got = recv(fds[1], answer, sizeof(answer), MSG_DONTWAIT);
			if (!got || (got < 0 && errno != EAGAIN))
				break;
		}
	}
	close(fds[1]);
	buf_free(&b);
	/* The connection's thread goes after its socket. */
	pthread_mutex_lock(&server.lock);
	while (server.n_sessions) {
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_sec += 30;
		must(!pthread_cond_timedwait(&server.ended, &server.lock, &ts), "a session does not end");
	}
	pthread_mutex_unlock(&server.lock);
	return 0;
}
