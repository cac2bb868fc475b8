// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Streams of real sockets and pipes: what is read and written, ends of files, deadlines, cancels,
 * and close by another thread while tasks wait.
 */
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <baton/io.h>
#include <baton/sched.h>
#include <baton/stats.h>
#include <baton/sync.h>
#include <baton/wait.h>

#include "delays.h"
#include "inject.h"
#include "sched_ask.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

static struct baton_sched *s;
static struct baton_tenant *tenant;
static _Atomic bool go;

#ifdef BTN_INJECT
static int delays(const char *point)
{
	if ((strncmp(point, "stream:", 7) && strncmp(point, "poller:", 7)) || !strcmp(point, "stream:open"))
		return 0;
	delay_sometimes(8, 200000);
	return 0;
}
#endif

static void open_all(unsigned slots)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots };
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 1000000 };

#ifdef BTN_INJECT
	atomic_store(&btn_inject_hook, delays);
#endif
	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
	atomic_store(&go, false);
}

static void run(baton_task_fn *fn, void *arg)
{
	end_request(ask_batch(tenant, fn, arg), 0);
}

static void open_pair(struct baton_stream *st[2])
{
	int fd[2];

	CHECK_ANY(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	CHECK_ANY(baton_stream_open(&st[0], s, fd[0]) == 0);
	CHECK_ANY(baton_stream_open(&st[1], s, fd[1]) == 0);
}

static void wait_ms(uint64_t ms)
{
	baton_sleep_until(baton_clock_now() + ms * MS);
}

/* ---------------------------------------------------------- bytes */

#define ROUNDS 300

static void echoes(void *st)
{
	char buf[64];
	size_t got, put;

	for (;;) {
		CHECK_ANY(baton_stream_read(st, buf, sizeof(buf), &got, BATON_FOREVER) == 0);
		if (!got)
			break;
		CHECK_ANY(baton_stream_write(st, buf, got, &put, BATON_FOREVER) == 0);
		CHECK_ANY(put == got);
	}
	baton_stream_close(st);
}

static void asks(struct baton_stream *st)
{
	char out[32], in[32];
	size_t n;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		memset(out, i, sizeof(out));
		CHECK_ANY(baton_stream_write(st, out, sizeof(out), &n, BATON_FOREVER) == 0);
		CHECK_ANY(n == sizeof(out));
		CHECK_ANY(baton_stream_read_full(st, in, sizeof(in), &n, BATON_FOREVER) == 0);
		CHECK_ANY(n == sizeof(in) && !memcmp(in, out, n));
	}
	CHECK_ANY(baton_stream_shutdown(st, SHUT_WR) == 0);
	CHECK_ANY(baton_stream_read(st, in, sizeof(in), &n, BATON_FOREVER) == 0);
	CHECK_ANY(n == 0);
	baton_stream_close(st);
}

static void over_a_pair(void *arg)
{
	struct baton_stream *st[2];
	struct baton_task *t;

	open_pair(st);
	CHECK_ANY(baton_task_spawn(&t, echoes, st[1]) == 0);
	asks(st[0]);
	CHECK_ANY(baton_task_join(t) == 0);
}

static void serves(void *l)
{
	struct baton_stream *st;
	int i;

	for (i = 0; i < 8; i++) {
		CHECK_ANY(baton_stream_accept(l, &st, BATON_FOREVER) == 0);
		CHECK_ANY(baton_task_spawn(NULL, echoes, st) == 0);
	}
	CHECK_ANY(baton_stream_accept(l, &st, baton_clock_now() + 2 * MS) == -ETIMEDOUT);
	CHECK_ANY(!st);
	/* Another task shuts the socket down, and tells this one so. */
	atomic_store(&go, true);
	CHECK_ANY(baton_stream_accept(l, &st, BATON_FOREVER) == -EINVAL);
	CHECK_ANY(baton_stream_accept(l, &st, BATON_FOREVER) == -EINVAL);
	baton_stream_close(l);
}

static struct sockaddr_in loopback(struct baton_stream *l)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);

	if (l)
		CHECK_ANY(getsockname(baton_stream_fd(l), (struct sockaddr *)&sa, &len) == 0);
	return sa;
}

static struct sockaddr_in where;

static void connects(void *arg)
{
	struct baton_stream *st;

	CHECK_ANY(baton_stream_connect(&st, s, (struct sockaddr *)&where, sizeof(where), BATON_FOREVER) == 0);
	asks(st);
}

static void over_tcp(void *arg)
{
	struct baton_task *server, *client[8];
	struct baton_stream *l, *st;
	int i;

	where = loopback(NULL);
	CHECK_ANY(baton_stream_listen(&l, s, (struct sockaddr *)&where, sizeof(where), 16) == 0);
	where = loopback(l);
	/* The address is taken. */
	CHECK_ANY(baton_stream_listen(&st, s, (struct sockaddr *)&where, sizeof(where), 16) == -EADDRINUSE);
	CHECK_ANY(!st);
	CHECK_ANY(baton_task_spawn(&server, serves, l) == 0);
	for (i = 0; i < 8; i++)
		CHECK_ANY(baton_task_spawn(&client[i], connects, NULL) == 0);
	for (i = 0; i < 8; i++)
		CHECK_ANY(baton_task_join(client[i]) == 0);
	while (!atomic_load(&go))
		wait_ms(1);
	CHECK_ANY(baton_stream_shutdown(l, SHUT_RDWR) == 0);
	CHECK_ANY(baton_task_join(server) == 0);
	/* Nobody listens any more. */
	CHECK_ANY(baton_stream_connect(&st, s, (struct sockaddr *)&where, sizeof(where), BATON_FOREVER) == -ECONNREFUSED);
	CHECK_ANY(!st);
}

TEST(echo)
{
	open_all(1);
	run(over_a_pair, NULL);
	run(over_tcp, NULL);
	end_sched(s);
	open_all(2);
	run(over_a_pair, NULL);
	run(over_tcp, NULL);
	end_sched(s);
}

#define LARGE	(1 << 20)

static char large[LARGE];

static void reads_slowly(void *st)
{
	static char buf[LARGE];
	size_t got;

	wait_ms(5);
	CHECK_ANY(baton_stream_read_full(st, buf, sizeof(buf), &got, BATON_FOREVER) == 0);
	CHECK_ANY(got == LARGE && !memcmp(buf, large, LARGE));
	/* The other half is closed: what was said before can be read, and this direction goes on. */
	CHECK_ANY(baton_stream_read(st, buf, 1, &got, BATON_FOREVER) == 0);
	CHECK_ANY(!got);
	CHECK_ANY(baton_stream_write(st, large, LARGE, &got, BATON_FOREVER) == 0);
	baton_stream_close(st);
}

static void half_closed(void *arg)
{
	struct baton_stream *st[2];
	struct baton_task *t;
	char buf[1000];
	size_t n, sum = 0;

	for (n = 0; n < LARGE; n++)
		large[n] = n * 7 + n / 256;
	open_pair(st);
	CHECK_ANY(baton_task_spawn(&t, reads_slowly, st[1]) == 0);
	CHECK_ANY(baton_stream_write(st[0], large, LARGE, &n, BATON_FOREVER) == 0);
	CHECK_ANY(n == LARGE);
	CHECK_ANY(baton_stream_shutdown(st[0], SHUT_WR) == 0);
	do {
		CHECK_ANY(baton_stream_read(st[0], buf, sizeof(buf), &n, BATON_FOREVER) == 0);
		sum += n;
	} while (n);
	CHECK_ANY(sum == LARGE);
	CHECK_ANY(baton_task_join(t) == 0);
	baton_stream_close(st[0]);
}

TEST(more_than_fits)
{
	open_all(2);
	run(half_closed, NULL);
	end_sched(s);
}

/* ---------------------------------------------------------- waits that end otherwise */

static void gives_up(void *arg)
{
	struct baton_stream *st[2];
	char buf[8];
	size_t n;

	open_pair(st);
	CHECK_ANY(baton_stream_read(st[0], buf, 8, &n, 0) == -ETIMEDOUT);
	CHECK_ANY(baton_stream_read(st[0], buf, 8, &n, baton_clock_now() + MS) == -ETIMEDOUT);
	CHECK_ANY(baton_stream_write(st[1], "abc", 3, &n, 0) == 0);
	/* A part was read, and can be used. */
	CHECK_ANY(baton_stream_read_full(st[0], buf, 8, &n, baton_clock_now() + MS) == -ETIMEDOUT);
	CHECK_ANY(n == 3 && !memcmp(buf, "abc", 3));
	CHECK_ANY(baton_stream_write(st[1], "def", 3, &n, 0) == 0);
	CHECK_ANY(baton_stream_read(st[0], buf, 8, &n, 0) == 0);
	CHECK_ANY(n == 3);
	CHECK_ANY(baton_stream_write(st[1], large, LARGE, &n, baton_clock_now() + MS) == -ETIMEDOUT);
	CHECK_ANY(n > 0 && n < LARGE);
	/* The end of a file is the same to both. */
	baton_stream_close(st[1]);
	CHECK_ANY(baton_stream_read_full(st[0], large, LARGE, &n, BATON_FOREVER) == 0);
	CHECK_ANY(n > 0 && n < LARGE);
	CHECK_ANY(baton_stream_read(st[0], buf, 8, &n, BATON_FOREVER) == 0);
	CHECK_ANY(n == 0);
	CHECK_ANY(baton_stream_write(st[0], buf, 8, &n, BATON_FOREVER) == -EPIPE);
	baton_stream_close(st[0]);
}

TEST(deadlines)
{
	open_all(1);
	run(gives_up, NULL);
	end_sched(s);
}

#ifdef BTN_INJECT
/* The poller has an event, and is late with it. */
static int poller_is_late(const char *point)
{
	static const struct timespec pause = { 0, 60 * MS };

	if (!strcmp(point, "poller:batch"))
		nanosleep(&pause, NULL);
	return 0;
}

static void sends_before(void *st)
{
	size_t n;

	wait_ms(1);
	CHECK_ANY(baton_stream_write(st, "a", 1, &n, 0) == 0);
	atomic_store(&go, true);
}

static void gets_it_late(void *arg)
{
	struct baton_stream *st[2];
	struct baton_task *t;
	uint64_t deadline;
	size_t n;
	char c;

	open_pair(st);
	CHECK_ANY(baton_task_spawn(&t, sends_before, st[1]) == 0);
	/* The deadline comes before the poller does; on a machine so slow that it came before the data, again. */
	do {
		deadline = baton_clock_now() + 20 * MS;
		n = 1;
	} while (baton_stream_read(st[0], &c, 1, &n, deadline) == -ETIMEDOUT && !atomic_load(&go));
	CHECK_ANY(n == 1);
	CHECK_ANY(baton_task_join(t) == 0);
	baton_stream_close(st[0]);
	baton_stream_close(st[1]);
}

/* Data that came before the deadline is had, also where the poller has not said so. */
TEST(data_before_deadline)
{
	open_all(2);
	atomic_store(&btn_inject_hook, poller_is_late);
	run(gets_it_late, NULL);
	end_sched(s);
}
#endif

static void is_cancelled(void *st)
{
	char buf[8];
	size_t n;

	atomic_store(&go, true);
	CHECK_ANY(baton_stream_read(st, buf, 8, &n, BATON_FOREVER) == -ECANCELED);
	CHECK_ANY(baton_stream_read(st, buf, 8, &n, BATON_FOREVER) == -ECANCELED);
	CHECK_ANY(baton_stream_write(st, buf, 8, &n, BATON_FOREVER) == 0);
}

TEST(cancelled)
{
	struct baton_stream *st[2];
	struct baton_request *r;
	size_t n;
	char c;

	open_all(1);
	open_pair(st);
	r = ask_batch(tenant, is_cancelled, st[0]);
	while (!atomic_load(&go))
		sched_yield();
	baton_request_cancel(r);
	end_request(r, -ECANCELED);
	/* A thread that is no task may do what needs no waiting. */
	CHECK_EQ(baton_stream_read(st[1], &c, 1, &n, BATON_FOREVER), 0);
	CHECK_EQ(n, 1);
	CHECK_EQ(baton_stream_read(st[0], &c, 1, &n, BATON_FOREVER), -EPERM);
	CHECK_EQ(baton_sched_destroy(s), -EBUSY);
	baton_stream_close(st[0]);
	baton_stream_close(st[1]);
	end_sched(s);
}

static struct baton_stream *shared;
static _Atomic int readers;

static void is_shut_down(void *writes)
{
	size_t n;
	char c;

	atomic_fetch_add(&readers, 1);
	if (writes)
		CHECK_ANY(baton_stream_write(shared, large, LARGE, &n, BATON_FOREVER) == -ESHUTDOWN);
	else
		CHECK_ANY(baton_stream_read(shared, &c, 1, &n, BATON_FOREVER) == -ESHUTDOWN);
}

static void closes_under_them(void *peer)
{
	struct baton_stream *st[2];
	struct baton_task *t[2];
	int i, err;
	size_t n;
	char c;

	for (i = 0; i < 50; i++) {
		atomic_store(&readers, 0);
		open_pair(st);
		shared = st[0];
		CHECK_ANY(baton_task_spawn(&t[0], is_shut_down, NULL) == 0);
		CHECK_ANY(baton_task_spawn(&t[1], is_shut_down, &c) == 0);
		while (atomic_load(&readers) < 2)
			wait_ms(0);
		wait_ms(i % 2);
		if (i % 2) {
			while ((err = baton_stream_read(st[0], &c, 1, &n, 0)) == -ETIMEDOUT)
				wait_ms(0);
			CHECK_ANY(err == -EBUSY);
		}
		baton_stream_close(st[0]);
		CHECK_ANY(baton_task_join(t[0]) == 0);
		CHECK_ANY(baton_task_join(t[1]) == 0);
		baton_stream_close(st[1]);
	}
}

TEST(closed_meanwhile)
{
	open_all(1);
	run(closes_under_them, NULL);
	end_sched(s);
	open_all(2);
	run(closes_under_them, NULL);
	end_sched(s);
}

static void opens_and_closes(void *arg)
{
	struct baton_stream *r, *w;
	int i, fd[2];

	/* More than are freed at once, of which no event comes. */
	for (i = 0; i < 300; i++) {
		CHECK_ANY(pipe2(fd, O_CLOEXEC) == 0);
		CHECK_ANY(baton_stream_open(&r, s, fd[0]) == 0);
		CHECK_ANY(baton_stream_open(&w, s, fd[1]) == 0);
		baton_stream_close(r);
		baton_stream_close(w);
	}
}

TEST(many)
{
	open_all(2);
	run(opens_and_closes, NULL);
	end_sched(s);
}

/* ---------------------------------------------------------- what else is there */

static void breaks_a_pipe(void *arg)
{
	struct baton_stream *r, *w;
	size_t n;
	int fd[2];

	CHECK_ANY(pipe2(fd, O_CLOEXEC) == 0);
	CHECK_ANY(baton_stream_open(&r, s, fd[0]) == 0);
	CHECK_ANY(baton_stream_open(&w, s, fd[1]) == 0);
	CHECK_ANY(baton_stream_write(w, "abc", 3, &n, BATON_FOREVER) == 0);
	CHECK_ANY(baton_stream_shutdown(w, SHUT_WR) == -ENOTSOCK);
	baton_stream_close(r);
	CHECK_ANY(baton_stream_write(w, "abc", 3, &n, BATON_FOREVER) == -EPIPE);
	CHECK_ANY(n == 0);
	baton_stream_close(w);
}

TEST(broken_pipe)
{
	open_all(1);
	run(breaks_a_pipe, NULL);
	end_sched(s);
}

TEST(not_a_stream)
{
	struct baton_stream *st = (struct baton_stream *)&go, *again;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), pair[2];

	open_all(1);
	CHECK_EQ(baton_stream_open(&st, s, fd), -EPERM);
	CHECK(!st);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(baton_stream_open(&st, s, fd), -EBADF);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(baton_stream_open(&st, s, pair[0]), 0);
	CHECK_EQ(baton_stream_open(&again, s, pair[0]), -EEXIST);
	CHECK(!again);
	baton_stream_close(st);
	baton_stream_close(NULL);
	close(pair[1]);
	end_sched(s);
}

#ifdef BTN_INJECT
static int no_memory(const char *point)
{
	return !strcmp(point, "stream:open");
}

/* A descriptor of which no stream can be made stays the caller's, and nothing is left of a socket made for it. */
TEST(no_memory_for_it)
{
	struct sockaddr_in sa = loopback(NULL);
	struct baton_stream *st;
	int pair[2], before, after;

	open_all(1);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	/* The poller is made here, and has descriptors of its own. */
	CHECK_EQ(baton_stream_open(&st, s, dup(pair[0])), 0);
	baton_stream_close(st);
	atomic_store(&btn_inject_hook, no_memory);
	before = dup(pair[0]);
	close(before);
	CHECK_EQ(baton_stream_open(&st, s, pair[0]), -ENOMEM);
	CHECK(!st);
	CHECK_EQ(baton_stream_listen(&st, s, (struct sockaddr *)&sa, sizeof(sa), 1), -ENOMEM);
	CHECK(!st);
	after = dup(pair[0]);
	CHECK_EQ(after, before);
	close(after);
	atomic_store(&btn_inject_hook, delays);
	CHECK_EQ(baton_stream_open(&st, s, pair[0]), 0);
	baton_stream_close(st);
	close(pair[1]);
	end_sched(s);
}
#endif

static void reads_one(void *st)
{
	size_t n;
	char c;

	CHECK_ANY(baton_stream_read(st, &c, 1, &n, BATON_FOREVER) == 0);
	CHECK_ANY(n == 1);
}

/*
 * A child keeps the socket. The parent closes it and opens another of that number, and the old
 * one's peer writes: that is nothing to the new one, nor to the poller.
 */
TEST(child_keeps_it)
{
	struct baton_stream *st[2], *other[2];
	struct timespec pause = { 0, 5 * MS };
	struct baton_request *r;
	int wait[2], status;
	size_t n;
	pid_t child;
	char c;

#ifdef BTN_TSAN
	SKIP("fork() with threads is not for ThreadSanitizer");
#endif
	open_all(1);
	open_pair(st);
	CHECK_EQ(pipe2(wait, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		close(wait[1]);
		n = read(wait[0], &c, 1);
		/* All it can do is close its own. */
		n = baton_stream_write(st[0], &c, 1, &n, BATON_FOREVER) == -EPERM &&
		    baton_stream_shutdown(st[0], SHUT_WR) == -EPERM;
		baton_stream_close(st[0]);
		_exit(n ? 0 : 1);
	}
	baton_stream_close(st[0]);
	open_pair(other);
	r = ask_batch(tenant, reads_one, other[0]);
	nanosleep(&pause, NULL);
	CHECK_EQ(baton_stream_write(st[1], "a", 1, &n, BATON_FOREVER), 0);
	nanosleep(&pause, NULL);
	CHECK_EQ(baton_stream_write(other[1], "b", 1, &n, BATON_FOREVER), 0);
	end_request(r, 0);
	close(wait[1]);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	close(wait[0]);
	baton_stream_close(st[1]);
	baton_stream_close(other[0]);
	baton_stream_close(other[1]);
	end_sched(s);
}

/* ---------------------------------------------------------- cases of a wait for several things */

static struct baton_case readable(struct baton_stream *st)
{
	return (struct baton_case){ .kind = BATON_CASE_READABLE, .stream = st };
}

static void writes_soon(void *st)
{
	size_t n;

	wait_ms(1);
	CHECK_ANY(baton_stream_write(st, "a", 1, &n, BATON_FOREVER) == 0);
}

static void closes_soon(void *st)
{
	wait_ms(1);
	baton_stream_close(st);
}

static void reads_for_long(void *st)
{
	size_t n;
	char c;

	CHECK_ANY(baton_stream_read(st, &c, 1, &n, BATON_FOREVER) == 0);
}

static void one_of_several(void *arg)
{
	struct baton_stream *a[2], *b[2];
	struct baton_case c[3];
	struct baton_chan *chan;
	struct baton_task *t;
	char buf[100];
	size_t n;
	int i;

	open_pair(a);
	open_pair(b);
	CHECK_ANY(baton_chan_create(&chan, s, 1) == 0);
	c[0] = readable(a[0]);
	c[1] = (struct baton_case){ .kind = BATON_CASE_RECV, .chan = chan };
	c[2] = readable(b[0]);
	CHECK_ANY(baton_wait_any(c, 3, 0, 0) == -ETIMEDOUT);
	CHECK_ANY(baton_wait_any(c, 3, baton_clock_now() + MS, 0) == -ETIMEDOUT);
	/* Data that is there stays there, and is seen again, however often there was an event. */
	for (i = 0; i < 3; i++) {
		CHECK_ANY(baton_task_spawn(&t, writes_soon, b[1]) == 0);
		CHECK_ANY(baton_wait_any(c, 3, BATON_FOREVER, 0) == 2 && !c[2].result);
		CHECK_ANY(baton_wait_any(c, 3, BATON_FOREVER, 0) == 2);
		CHECK_ANY(baton_task_join(t) == 0);
		CHECK_ANY(baton_stream_read(b[0], buf, 8, &n, 0) == 0);
		CHECK_ANY(n == 1);
		CHECK_ANY(baton_wait_any(c, 3, baton_clock_now() + MS / 10, 0) == -ETIMEDOUT);
	}
	/* A channel beside it. */
	CHECK_ANY(baton_chan_send(chan, &n) == 0);
	CHECK_ANY(baton_wait_any(c, 3, BATON_FOREVER, 0) == 1 && c[1].item == &n);
	/* Full, and then not. */
	CHECK_ANY(baton_stream_write(a[0], large, LARGE, &n, 0) == -ETIMEDOUT);
	c[0] = (struct baton_case){ .kind = BATON_CASE_WRITABLE, .stream = a[0] };
	CHECK_ANY(baton_wait_any(c, 3, 0, 0) == -ETIMEDOUT);
	CHECK_ANY(baton_stream_read_full(a[1], large, n, &n, 0) == 0);
	CHECK_ANY(baton_wait_any(c, 3, BATON_FOREVER, 0) == 0 && !c[0].result);
	/* Another task waits already. */
	c[0] = readable(a[0]);
	CHECK_ANY(baton_task_spawn(&t, reads_for_long, a[0]) == 0);
	do {
		wait_ms(1);
		i = baton_wait_any(c, 3, 0, 0);
	} while (i == -ETIMEDOUT);
	CHECK_ANY(i == -EBUSY);
	CHECK_ANY(baton_stream_write(a[1], "a", 1, &n, 0) == 0);
	CHECK_ANY(baton_task_join(t) == 0);
	/* Closed while it waits; and the end of a file. */
	CHECK_ANY(baton_task_spawn(&t, closes_soon, a[0]) == 0);
	CHECK_ANY(baton_wait_any(c, 3, BATON_FOREVER, 0) == 0 && c[0].result == -ESHUTDOWN);
	CHECK_ANY(baton_task_join(t) == 0);
	c[0].kind = BATON_CASE_NONE;
	CHECK_ANY(baton_task_spawn(&t, closes_soon, b[1]) == 0);
	CHECK_ANY(baton_wait_any(c, 3, BATON_FOREVER, 0) == 2 && !c[2].result);
	CHECK_ANY(baton_task_join(t) == 0);
	CHECK_ANY(baton_stream_read(b[0], buf, 8, &n, 0) == 0 && !n);
	baton_stream_close(a[1]);
	baton_stream_close(b[0]);
	baton_chan_destroy(chan);
}

TEST(cases)
{
	open_all(1);
	run(one_of_several, NULL);
	end_sched(s);
	open_all(2);
	run(one_of_several, NULL);
	end_sched(s);
}

#ifdef BTN_TSAN
#define SENDS 100
#else
#define SENDS 300
#endif

static struct baton_stream *lines[4][2];
static struct baton_chan *items;

static void sends_bytes(void *number)
{
	uintptr_t k = (uintptr_t)number;
	size_t n;
	int i;

	for (i = 0; i < SENDS; i++) {
		if (k == 4)
			CHECK_ANY(baton_chan_send(items, &items) == 0);
		else
			CHECK_ANY(baton_stream_write(lines[k][1], "a", 1, &n, BATON_FOREVER) == 0);
		if ((i * 7 + k) % 5 == 0)
			wait_ms(0);
	}
}

/* Nothing is lost between events, reads of a part, and the channel: else this waits for ever. */
static void gets_all(void *arg)
{
	unsigned got[5] = { 0 }, sum = 0, k;
	struct baton_task *t[5];
	struct baton_case c[5];
	char buf[3];
	size_t n;
	int i;

	CHECK_ANY(baton_chan_create(&items, s, 2) == 0);
	for (k = 0; k < 4; k++) {
		open_pair(lines[k]);
		c[k] = readable(lines[k][0]);
	}
	c[4] = (struct baton_case){ .kind = BATON_CASE_RECV, .chan = items };
	for (k = 0; k < 5; k++)
		CHECK_ANY(baton_task_spawn(&t[k], sends_bytes, (void *)(uintptr_t)k) == 0);
	while (sum < 5 * SENDS) {
		i = baton_wait_any(c, 5, BATON_FOREVER, 0);
		CHECK_ANY(i >= 0 && i < 5);
		n = 1;
		if (i < 4)
			CHECK_ANY(baton_stream_read(lines[i][0], buf, sizeof(buf), &n, 0) == 0);
		got[i] += n;
		sum += n;
	}
	for (k = 0; k < 5; k++) {
		CHECK_ANY(got[k] == SENDS);
		CHECK_ANY(baton_task_join(t[k]) == 0);
	}
	for (k = 0; k < 4; k++) {
		baton_stream_close(lines[k][0]);
		baton_stream_close(lines[k][1]);
	}
	baton_chan_destroy(items);
}

TEST(several_lines)
{
	open_all(1);
	run(gets_all, NULL);
	end_sched(s);
	open_all(2);
	run(gets_all, NULL);
	end_sched(s);
}

/* ---------------------------------------------------------- the last bytes and the end at once */

static void reads_to_the_end(void *l)
{
	struct baton_stream *st;
	size_t n, sum = 0;
	char buf[64];
	int i;

	for (i = 0; i < 100; i++) {
		CHECK_ANY(baton_stream_accept(l, &st, BATON_FOREVER) == 0);
		do {
			CHECK_ANY(baton_stream_read(st, buf, sizeof(buf), &n, BATON_FOREVER) == 0);
			sum += n;
		} while (n);
		baton_stream_close(st);
	}
	CHECK_ANY(sum == 300);
	baton_stream_close(l);
}

static void sends_and_ends(void *arg)
{
	struct sockaddr_in sa = loopback(NULL);
	struct baton_stream *l, *st;
	struct baton_task *t;
	size_t n;
	int i;

	/* Room for all: a connect that finds none is sent again by the kernel, a second later. */
	CHECK_ANY(baton_stream_listen(&l, s, (struct sockaddr *)&sa, sizeof(sa), 128) == 0);
	sa = loopback(l);
	CHECK_ANY(baton_task_spawn(&t, reads_to_the_end, l) == 0);
	for (i = 0; i < 100; i++) {
		CHECK_ANY(baton_stream_connect(&st, s, (struct sockaddr *)&sa, sizeof(sa), BATON_FOREVER) == 0);
		CHECK_ANY(baton_stream_write(st, "abc", 3, &n, BATON_FOREVER) == 0);
		baton_stream_close(st);
		if (i % 2)
			wait_ms(0);
	}
	CHECK_ANY(baton_task_join(t) == 0);
}

TEST(end_with_the_last_bytes)
{
	open_all(1);
	run(sends_and_ends, NULL);
	end_sched(s);
	open_all(2);
	run(sends_and_ends, NULL);
	end_sched(s);
}

/* ---------------------------------------------------------- events while tasks compute */

static _Atomic bool answered;

static void answers(void *st)
{
	size_t n;
	char c;

	atomic_fetch_add(&readers, 1);
	CHECK_ANY(baton_stream_read(st, &c, 1, &n, BATON_FOREVER) == 0);
	atomic_store(&answered, true);
}

/* The event comes while no worker goes idle on this task's slot. */
static void computes(void *arg)
{
	struct baton_stream *st[2];
	struct baton_task *t;
	size_t n;

	open_pair(st);
	atomic_store(&readers, 0);
	atomic_store(&answered, false);
	CHECK_ANY(baton_task_spawn(&t, answers, st[0]) == 0);
	while (!atomic_load(&readers))
		wait_ms(0);
	wait_ms(1);
	CHECK_ANY(baton_stream_write(st[1], "a", 1, &n, BATON_FOREVER) == 0);
	while (!atomic_load(&answered))
		baton_checkpoint();
	CHECK_ANY(baton_task_join(t) == 0);
	baton_stream_close(st[0]);
	baton_stream_close(st[1]);
}

/* CPU of workers that polled, in all slots. */
static uint64_t polled(void)
{
	struct baton_stats_slot slot;
	struct baton_stats *st;
	uint64_t sum = 0;
	unsigned i;

	CHECK_EQ(baton_stats_of(&st, s), 0);
	for (i = 0; !baton_stats_slot(st, i, &slot, sizeof(slot)); i++)
		sum += slot.polled;
	baton_stats_close(st);
	return sum;
}

/* CPU of a worker that polls is shown by itself. */
TEST(polling_is_shown)
{
	open_all(1);
	CHECK_EQ(polled(), 0);
	run(sends_and_ends, NULL);
	CHECK_CMP(polled(), >, 0);
	end_sched(s);
}

static void computes_for_another(void *st)
{
	size_t n;

	CHECK_ANY(baton_stream_write(st, "a", 1, &n, BATON_FOREVER) == 0);
	while (!atomic_load(&answered))
		baton_checkpoint();
}

TEST(beside_a_task_that_computes)
{
	struct baton_stream *st[2];
	struct baton_request *r;

	open_all(2);
	run(computes, NULL);
	end_sched(s);
	/* No slot is ever idle, and the request that waits came first. */
	open_all(1);
	open_pair(st);
	atomic_store(&readers, 0);
	atomic_store(&answered, false);
	r = ask_batch(tenant, answers, st[0]);
	while (!atomic_load(&readers))
		usleep(1000);
	run(computes_for_another, st[1]);
	end_request(r, 0);
	baton_stream_close(st[0]);
	baton_stream_close(st[1]);
	end_sched(s);
}

/* Pieces of lengths that grow, the first one 0; more of them than one system call takes here. */
#define PIECES	40

static char pieces_in[LARGE], pieces_out[LARGE];

static void reads_pieces(void *st)
{
	struct iovec to[3];
	size_t at = 0, n, room;

	for (;;) {
		room = sizeof(pieces_in) - at;
		to[0] = (struct iovec){ pieces_in + at, room / 3 };
		to[1] = (struct iovec){ pieces_in + at + room / 3, 0 };
		to[2] = (struct iovec){ pieces_in + at + room / 3, room - room / 3 };
		CHECK_ANY(baton_stream_readv(st, to, 3, &n, BATON_FOREVER) == 0);
		if (!n)
			break;
		at += n;
	}
	CHECK_ANY(at == LARGE);
}

static void writes_pieces(void *arg)
{
	struct iovec piece[PIECES], too_much[2] = { { pieces_out, SIZE_MAX / 2 }, { pieces_out, SIZE_MAX / 2 } };
	struct baton_stream *st[2];
	struct baton_task *t;
	size_t n, at = 0;
	int i;

	(void)arg;
	for (i = 0; i < LARGE; i++)
		pieces_out[i] = (char)(i * 7 + i / 256);
	for (i = 0; i < PIECES; i++) {
		n = i < PIECES - 1 ? (size_t)i * 1000 : LARGE - at;
		piece[i] = (struct iovec){ pieces_out + at, n };
		at += n;
	}
	open_pair(st);
	CHECK_ANY(baton_stream_writev(st[0], piece, -1, &n, 0) == -EINVAL && n == 0);
	CHECK_ANY(baton_stream_writev(st[0], piece, IOV_MAX + 1, &n, 0) == -EINVAL);
	CHECK_ANY(baton_stream_writev(st[0], too_much, 2, &n, 0) == -EINVAL);
	CHECK_ANY(baton_stream_readv(st[0], too_much, 2, &n, 0) == -EINVAL && n == 0);
	CHECK_ANY(baton_stream_writev(st[0], piece, 1, &n, 0) == 0 && n == 0);
	CHECK_ANY(baton_stream_readv(st[0], piece, 0, &n, 0) == 0 && n == 0);
	CHECK_ANY(baton_stream_readv(st[0], piece + 1, 1, &n, 0) == -ETIMEDOUT && n == 0);
	CHECK_ANY(baton_task_spawn(&t, reads_pieces, st[1]) == 0);
	CHECK_ANY(baton_stream_writev(st[0], piece, PIECES, &n, BATON_FOREVER) == 0 && n == LARGE);
	CHECK_ANY(baton_stream_shutdown(st[0], SHUT_WR) == 0);
	CHECK_ANY(baton_task_join(t) == 0);
	CHECK_ANY(!memcmp(pieces_in, pieces_out, LARGE));
	/* Bytes that fit are in the hands of the kernel when the deadline comes. */
	CHECK_ANY(baton_stream_writev(st[1], piece, PIECES, &n, baton_clock_now() + 10 * MS) == -ETIMEDOUT && n > 0 && n < LARGE);
	baton_stream_close(st[0]);
	CHECK_ANY(baton_stream_writev(st[1], piece, PIECES, &n, BATON_FOREVER) == -EPIPE);
	baton_stream_close(st[1]);
}

static void sends_a_file(void *arg)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), two[2];
	struct baton_stream *st[2];
	struct baton_task *t;
	size_t n;

	(void)arg;
	memset(pieces_in, 0, sizeof(pieces_in));
	CHECK_ANY(fd >= 0 && write(fd, "ahead", 5) == 5 && write(fd, pieces_out, LARGE) == LARGE);
	open_pair(st);
	CHECK_ANY(baton_stream_sendfile(st[0], -1, 0, 1, &n, 0) == -EBADF && n == 0);
	CHECK_ANY(baton_stream_sendfile(st[0], fd, -1, 1, &n, 0) == -EINVAL);
	CHECK_ANY(baton_task_spawn(&t, reads_pieces, st[1]) == 0);
	/* More than there is. */
	CHECK_ANY(baton_stream_sendfile(st[0], fd, 5, 2 * LARGE, &n, BATON_FOREVER) == 0 && n == LARGE);
	CHECK_ANY(lseek(fd, 0, SEEK_CUR) == LARGE + 5);
	CHECK_ANY(baton_stream_shutdown(st[0], SHUT_WR) == 0);
	CHECK_ANY(baton_task_join(t) == 0);
	CHECK_ANY(!memcmp(pieces_in, pieces_out, LARGE));
	CHECK_ANY(baton_stream_sendfile(st[1], fd, 0, LARGE, &n, baton_clock_now() + 10 * MS) == -ETIMEDOUT && n > 0 && n < LARGE);
	/* No signal, which would end this process. */
	baton_stream_close(st[0]);
	CHECK_ANY(baton_stream_sendfile(st[1], fd, 0, LARGE, &n, BATON_FOREVER) == -EPIPE);
	baton_stream_close(st[1]);
	CHECK_ANY(pipe2(two, O_CLOEXEC) == 0);
	CHECK_ANY(baton_stream_open(&st[0], s, two[1]) == 0);
	CHECK_ANY(baton_stream_sendfile(st[0], fd, 1, 4, &n, 0) == 0 && n == 4);
	CHECK_ANY(read(two[0], pieces_in, 5) == 4 && !memcmp(pieces_in, "head", 4));
	close(two[0]);
	CHECK_ANY(baton_stream_sendfile(st[0], fd, 1, 4, &n, 0) == -EPIPE && n == 0);
	CHECK_ANY(baton_stream_writev(st[0], &(struct iovec){ pieces_out, 4 }, 1, &n, 0) == -EPIPE);
	baton_stream_close(st[0]);
	close(fd);
}

/* Several buffers, and files, of which each is more than a socket takes at once. */
TEST(pieces_and_files)
{
	open_all(1);
	run(writes_pieces, NULL);
	run(sends_a_file, NULL);
	end_sched(s);
}

static _Atomic int bytes_read;

static void reads_a_byte(void *st)
{
	size_t n;
	char c;

	atomic_fetch_add(&readers, 1);
	CHECK_ANY(baton_stream_read(st, &c, 1, &n, BATON_FOREVER) == 0 && n == 1);
	atomic_fetch_add(&bytes_read, 1);
}

static void is_closed(void *st)
{
	size_t n;
	char c;

	CHECK_ANY(baton_stream_read(st, &c, 1, &n, BATON_FOREVER) == -ESHUTDOWN && n == 0);
}

/* Computes until another task has read so many bytes, or for 10 s. */
static bool computes_until(int bytes)
{
	uint64_t limit = baton_clock_now() + 10000 * MS;

	while (atomic_load(&bytes_read) < bytes && baton_clock_now() < limit)
		baton_checkpoint();
	return atomic_load(&bytes_read) >= bytes;
}

/* The first event ends the poll of a worker that was idle, and leaves the role vacant: this task never gives its slot up. */
static void sends_while_it_computes(void *peer)
{
	struct baton_stream **st = peer;
	size_t n;

	CHECK_ANY(baton_stream_write(st[0], "a", 1, &n, BATON_FOREVER) == 0);
	CHECK_ANY(computes_until(1));
	CHECK_ANY(baton_stream_write(st[1], "b", 1, &n, BATON_FOREVER) == 0);
	CHECK_ANY(computes_until(2));
}

#define WAITING	20

static _Atomic int accepted, full;
static _Atomic uint64_t full_first;

/* Accepts until all are there, and counts the calls for which there was no descriptor. */
static void accepts_all(void *l)
{
	static struct baton_stream *st[WAITING];
	uint64_t now;
	int i, err;

	for (i = 0; i < WAITING;) {
		err = baton_stream_accept(l, &st[i], BATON_FOREVER);
		now = baton_clock_now();
		if (!err) {
			i++;
			atomic_fetch_add(&accepted, 1);
			continue;
		}
		CHECK_ANY(err == -EMFILE);
		if (!atomic_load(&full))
			atomic_store(&full_first, now);
		atomic_fetch_add(&full, 1);
	}
	for (i = 0; i < WAITING; i++)
		baton_stream_close(st[i]);
}

/* A call of an accept that finds no descriptor is 10 ms after the last one, and connections are accepted when there are some. */
TEST(no_descriptor)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int peer[WAITING], none[2], i, n;
	socklen_t len = sizeof(sa);
	struct rlimit all, few;
	struct baton_request *r;
	struct baton_stream *l, *st;

	open_all(1);
	atomic_store(&accepted, 0);
	atomic_store(&full, 0);
	CHECK_EQ(baton_stream_listen(&l, s, (struct sockaddr *)&sa, sizeof(sa), WAITING), 0);
	CHECK_EQ(getsockname(baton_stream_fd(l), (struct sockaddr *)&sa, &len), 0);
	for (i = 0; i < WAITING; i++) {
		peer[i] = socket(AF_INET, SOCK_STREAM, 0);
		CHECK_EQ(connect(peer[i], (struct sockaddr *)&sa, len), 0);
	}
	CHECK_EQ(pipe(none), 0);
	CHECK_EQ(baton_stream_open(&st, s, none[0]), 0);
	close(none[1]);
	getrlimit(RLIMIT_NOFILE, &all);
	few = all;
	/* All descriptors below that are in use; the library's own threads may have one for a while. */
	few.rlim_cur = (rlim_t)none[1];
	setrlimit(RLIMIT_NOFILE, &few);
	r = ask_batch(tenant, accepts_all, l);
	while (atomic_load(&full) < 5)
		usleep(1000);
	n = atomic_load(&full);
	CHECK((uint64_t)(n - 2) * 10 * MS <= baton_clock_now() - atomic_load(&full_first));
	CHECK(atomic_load(&accepted) < WAITING);
	baton_stream_close(st);
	setrlimit(RLIMIT_NOFILE, &all);
	end_request(r, 0);
	CHECK_EQ(atomic_load(&accepted), WAITING);
	for (i = 0; i < WAITING; i++)
		close(peer[i]);
	baton_stream_close(l);
	end_sched(s);
}

/* Tasks of the first tenant that wait for streams, as the page has them. */
static uint64_t on_streams(void)
{
	struct baton_stats_tenant t;
	struct baton_stats *st;

	CHECK_EQ(baton_stats_of(&st, s), 0);
	CHECK_EQ(baton_stats_tenant(st, 0, &t, sizeof(t)), 0);
	baton_stats_close(st);
	return t.on_streams;
}

/* Two that wait, of which one gets its byte, and the other is told of the end by close. */
TEST(waits_are_shown)
{
	struct baton_stream *st[2], *peer[2], *pair[2];
	struct baton_request *r[2];
	size_t n;
	int i;

	open_all(1);
	atomic_store(&readers, 0);
	for (i = 0; i < 2; i++) {
		open_pair(pair);
		st[i] = pair[0];
		peer[i] = pair[1];
		r[i] = ask_batch(tenant, i ? is_closed : reads_a_byte, st[i]);
	}
	while (on_streams() != 2)
		usleep(1000);
	CHECK_EQ(baton_stream_write(peer[0], "a", 1, &n, BATON_FOREVER), 0);
	end_request(r[0], 0);
	CHECK_EQ(on_streams(), 1);
	baton_stream_close(st[1]);
	end_request(r[1], 0);
	CHECK_EQ(on_streams(), 0);
	baton_stream_close(st[0]);
	for (i = 0; i < 2; i++)
		baton_stream_close(peer[i]);
	end_sched(s);
}

/* Nobody polls while tasks use all slots, and the monitor looks for events. */
TEST(monitor_looks)
{
	struct baton_stream *st[2], *peer[2], *pair[2];
	struct baton_request *r[2];
	int i;

	open_all(1);
	atomic_store(&readers, 0);
	atomic_store(&bytes_read, 0);
	for (i = 0; i < 2; i++) {
		open_pair(pair);
		st[i] = pair[0];
		peer[i] = pair[1];
		r[i] = ask_batch(tenant, reads_a_byte, st[i]);
	}
	while (atomic_load(&readers) < 2)
		usleep(1000);
	run(sends_while_it_computes, peer);
	for (i = 0; i < 2; i++) {
		/* Where no event was seen, the end of the file is. */
		baton_stream_close(peer[i]);
		end_request(r[i], 0);
		baton_stream_close(st[i]);
	}
	end_sched(s);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
