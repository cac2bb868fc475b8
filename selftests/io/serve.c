// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Streams that are served: each time one is readable a request begins, of which no thread waits. Nothing
 * is lost between events and functions that read a part, refusals are told, and close by any thread makes
 * the last call exactly once.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <baton/io.h>
#include <baton/sched.h>

#include "delays.h"
#include "inject.h"
#include "sched_ask.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

#ifdef BTN_TSAN
#define ROUNDS 100
#else
#define ROUNDS 400
#endif

static struct baton_sched *s;
static struct baton_tenant *tenant;
/* Calls of functions, the last ones of services, and calls that told of a refusal. */
static _Atomic int calls, lasts, told, told_why, bad;
static _Atomic bool go;

#ifdef BTN_INJECT
static int delays(const char *point)
{
	if ((strncmp(point, "serve:", 6) && strncmp(point, "stream:", 7) && strncmp(point, "poller:", 7)) ||
	    !strcmp(point, "stream:open") || !strcmp(point, "serve:new"))
		return 0;
	delay_sometimes(8, 100000);
	return 0;
}
#endif

static void open_all(unsigned slots)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots };
	struct baton_tenant_opts t = { .sz = sizeof(t), .low_ppm = 100000, .high_ppm = 900000 };

#ifdef BTN_INJECT
	atomic_store(&btn_inject_hook, delays);
#endif
	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
	atomic_store(&calls, 0);
	atomic_store(&lasts, 0);
	atomic_store(&told, 0);
	atomic_store(&told_why, 0);
	atomic_store(&bad, 0);
	atomic_store(&go, false);
}

/* A stream, and its peer, a socket that blocks. */
static struct baton_stream *open_pair(int *peer)
{
	struct baton_stream *st;
	int fd[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	CHECK_EQ(baton_stream_open(&st, s, fd[0]), 0);
	*peer = fd[1];
	return st;
}

static int serve(struct baton_stream *st, enum baton_class cls, baton_serve_fn *fn, void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = cls };

	return baton_stream_serve(st, tenant, &o, fn, arg);
}

static void await(_Atomic int *what, int n)
{
	while (atomic_load(what) < n)
		usleep(200);
}

/* Closes, and waits for the n-th last call in all, which may be the function's own task's. */
static void close_served(struct baton_stream *st, int n)
{
	baton_stream_close(st);
	await(&lasts, n);
	CHECK_EQ(atomic_load(&lasts), n);
}

static void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * (long)MS };

	nanosleep(&t, NULL);
}

/* ---------------------------------------------------------- an echo */

static void note_call(int why)
{
	if (why == -ESHUTDOWN) {
		atomic_fetch_add(&lasts, 1);
	} else if (why) {
		atomic_store(&told_why, why);
		atomic_fetch_add(&told, 1);
	} else {
		atomic_fetch_add(&calls, 1);
	}
}

/* Reads at most *arg bytes, and answers them. */
static void echoes(struct baton_stream *st, int why, void *arg)
{
	static __thread bool inside;
	char buf[4096];
	size_t got, put;
	int err;

	note_call(why);
	if (why == -ESHUTDOWN)
		return;
	atomic_fetch_add(&bad, inside || !baton_request_self());
	inside = true;
	err = baton_stream_read(st, buf, *(size_t *)arg, &got, 0);
	if (!err && got) {
		err = baton_stream_write(st, buf, got, &put, BATON_FOREVER);
		atomic_fetch_add(&bad, err && err != -EPIPE && err != -ECONNRESET && err != -ESHUTDOWN);
	} else if (err != -ETIMEDOUT) {
		baton_stream_close(st);
	}
	inside = false;
}

static void asks(int fd, int rounds)
{
	char out[64], in[64];
	int i, n, k;

	for (i = 0; i < rounds; i++) {
		memset(out, i, sizeof(out));
		n = 1 + i % (int)sizeof(out);
		CHECK_ANY(write(fd, out, (size_t)n) == n);
		for (k = 0; k < n;) {
			ssize_t got = read(fd, in + k, (size_t)(n - k));

			CHECK_ANY(got > 0);
			if (got <= 0)
				return;
			k += (int)got;
		}
		CHECK_ANY(!memcmp(in, out, (size_t)n));
	}
}

static void echo_with(unsigned slots, size_t room, enum baton_class cls)
{
	struct baton_stream *st;
	char c;
	int fd;

	open_all(slots);
	st = open_pair(&fd);
	CHECK_EQ(serve(st, cls, echoes, &room), 0);
	asks(fd, ROUNDS);
	CHECK_EQ(shutdown(fd, SHUT_WR), 0);
	CHECK_EQ(read(fd, &c, 1), 0);
	await(&lasts, 1);
	close(fd);
	end_sched(s);
	CHECK_EQ(atomic_load(&lasts), 1);
	CHECK_EQ(atomic_load(&bad), 0);
	CHECK_EQ(atomic_load(&told), 0);
}

TEST(echo)
{
	echo_with(1, 4096, BATON_BATCH);
	echo_with(2, 4096, BATON_TOLERANT);
	/* The function leaves bytes, and is called again for them. */
	echo_with(1, 7, BATON_TOLERANT);
	echo_with(2, 1, BATON_BATCH);
}

/* ---------------------------------------------------------- a listener, TCP, many at once */

static const size_t room = 4096;
static _Atomic int connections;

static void accepts(struct baton_stream *l, int why, void *arg)
{
	struct baton_stream *st;

	if (why == -ESHUTDOWN) {
		note_call(why);
		return;
	}
	if (baton_stream_accept(l, &st, 0))
		return;
	if (serve(st, BATON_TOLERANT, echoes, arg))
		baton_stream_close(st);
	else
		atomic_fetch_add(&connections, 1);
}

static struct sockaddr_in where;

static struct baton_stream *listen_here(void)
{
	socklen_t len = sizeof(where);
	struct baton_stream *l;

	where = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK_EQ(baton_stream_listen(&l, s, (struct sockaddr *)&where, len, 512), 0);
	CHECK_EQ(getsockname(baton_stream_fd(l), (struct sockaddr *)&where, &len), 0);
	return l;
}

static int connect_here(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_ANY(fd >= 0 && connect(fd, (struct sockaddr *)&where, sizeof(where)) == 0);
	return fd;
}

#define CLIENTS 4
#define EACH 16

static void *client(void *arg)
{
	int fd[EACH], i, k;
	char out[EACH], in[8];

	for (i = 0; i < EACH; i++)
		fd[i] = connect_here();
	for (k = 0; k < ROUNDS / 10; k++) {
		for (i = 0; i < EACH; i++) {
			out[i] = (char)(i + k);
			CHECK_ANY(write(fd[i], &out[i], 1) == 1);
		}
		for (i = 0; i < EACH; i++)
			CHECK_ANY(read(fd[i], in, sizeof(in)) == 1 && in[0] == out[i]);
	}
	for (i = 0; i < EACH; i++) {
		/* The last bytes and the end at once: both are seen. */
		if (i % 2)
			CHECK_ANY(write(fd[i], "abc", 3) == 3);
		close(fd[i]);
	}
	return NULL;
}

static void serve_clients(unsigned slots)
{
	struct baton_stream *l;
	pthread_t t[CLIENTS];
	int i;

	open_all(slots);
	l = listen_here();
	CHECK_EQ(serve(l, BATON_BATCH, accepts, (void *)&room), 0);
	for (i = 0; i < CLIENTS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, client, NULL), 0);
	for (i = 0; i < CLIENTS; i++)
		pthread_join(t[i], NULL);
	await(&lasts, CLIENTS * EACH);
	baton_stream_close(l);
	await(&lasts, CLIENTS * EACH + 1);
	end_sched(s);
	CHECK_EQ(atomic_load(&lasts), CLIENTS * EACH + 1);
	CHECK_EQ(atomic_load(&bad), 0);
}

TEST(clients)
{
	serve_clients(1);
	serve_clients(2);
}

/* ---------------------------------------------------------- no call without a cause */

TEST(idle_costs_nothing)
{
	struct baton_stream *st;
	size_t n = 64;
	int fd, before;

	open_all(1);
	st = open_pair(&fd);
	CHECK_EQ(serve(st, BATON_BATCH, echoes, &n), 0);
	pause_ms(20);
	CHECK_EQ(atomic_load(&calls), 0);
	asks(fd, 3);
	pause_ms(5);
	before = atomic_load(&calls);
	pause_ms(20);
	CHECK_EQ(atomic_load(&calls), before);
	close_served(st, 1);
	close(fd);
	end_sched(s);
}

static void keeps_open(struct baton_stream *st, int why, void *arg)
{
	char buf[8];
	size_t got;

	note_call(why);
	if (why != -ESHUTDOWN && !baton_stream_read(st, buf, sizeof(buf), &got, 0) && !got)
		atomic_store((_Atomic bool *)arg, true);
}

/* An end of the file that the function leaves so is told once, not for ever. */
TEST(half_closed)
{
	struct baton_stream *st;
	int fd, before;

	open_all(1);
	st = open_pair(&fd);
	CHECK_EQ(serve(st, BATON_BATCH, keeps_open, (void *)&go), 0);
	CHECK_EQ(shutdown(fd, SHUT_WR), 0);
	while (!atomic_load(&go))
		usleep(200);
	pause_ms(5);
	before = atomic_load(&calls);
	pause_ms(20);
	CHECK_EQ(atomic_load(&calls), before);
	close_served(st, 1);
	close(fd);
	end_sched(s);
}

/* Bytes that came before the stream was served. */
TEST(bytes_before)
{
	struct baton_stream *st;
	size_t n = 64;
	int fd, i;
	char c;

	open_all(1);
	for (i = 0; i < 20; i++) {
		st = open_pair(&fd);
		CHECK_EQ(write(fd, "a", 1), 1);
		if (i % 2)
			pause_ms(2);
		CHECK_EQ(serve(st, BATON_BATCH, echoes, &n), 0);
		CHECK_EQ(read(fd, &c, 1), 1);
		close_served(st, i + 1);
		close(fd);
	}
	end_sched(s);
}

/* ---------------------------------------------------------- the function waits, and its thread ends */

static void reads_all(struct baton_stream *st, int why, void *arg)
{
	size_t got, put;
	char buf[8];
	int err;

	note_call(why);
	if (why == -ESHUTDOWN)
		return;
	err = baton_stream_read_full(st, buf, sizeof(buf), &got, BATON_FOREVER);
	if (!err && got == sizeof(buf))
		err = baton_stream_write(st, buf, got, &put, BATON_FOREVER);
	else if (!err)
		baton_stream_close(st);
	if (arg)
		pthread_exit(NULL);
}

static void slow_peer(bool exits)
{
	struct baton_stream *st;
	char in[8];
	int fd, i;

	open_all(1);
	st = open_pair(&fd);
	CHECK_EQ(serve(st, BATON_BATCH, reads_all, exits ? &bad : NULL), 0);
	for (i = 0; i < 10; i++) {
		CHECK_EQ(write(fd, "abc", 3), 3);
		pause_ms(1);
		CHECK_EQ(write(fd, "defgh", 5), 5);
		CHECK_EQ(recv(fd, in, 8, MSG_WAITALL), 8);
	}
	if (exits)
		CHECK_EQ(write(fd, "abc", 3), 3);
	shutdown(fd, SHUT_WR);
	await(&lasts, 1);
	close(fd);
	end_sched(s);
	CHECK_EQ(atomic_load(&lasts), 1);
}

TEST(function_waits)
{
	slow_peer(false);
}

TEST(thread_ends)
{
	slow_peer(true);
}

/* ---------------------------------------------------------- close against everything */

static void *writes_on(void *arg)
{
	int fd = (int)(intptr_t)arg, i;

	for (i = 0; i < 20; i++)
		if (send(fd, "a", 1, MSG_NOSIGNAL) != 1)
			break;
	return NULL;
}

static void close_while(unsigned slots, baton_serve_fn *fn, void *arg)
{
	struct baton_stream *st;
	pthread_t t;
	int fd, i;

	open_all(slots);
	for (i = 0; i < ROUNDS; i++) {
		st = open_pair(&fd);
		CHECK_ANY(serve(st, i % 2 ? BATON_BATCH : BATON_CRITICAL, fn, arg) == 0);
		CHECK_ANY(pthread_create(&t, NULL, writes_on, (void *)(intptr_t)fd) == 0);
		if (i % 4 == 1)
			usleep((unsigned)i % 64);
		else if (i % 4)
			sched_yield();
		baton_stream_close(st);
		pthread_join(t, NULL);
		close(fd);
	}
	await(&lasts, ROUNDS);
	end_sched(s);
	CHECK_EQ(atomic_load(&lasts), ROUNDS);
	CHECK_EQ(atomic_load(&bad), 0);
}

TEST(storm_of_closes)
{
	size_t n = 64, one = 1;

	close_while(1, echoes, &n);
	close_while(2, echoes, &one);
	close_while(2, reads_all, NULL);
	close_while(2, reads_all, &bad);
}

/* ---------------------------------------------------------- refusals */

static void computes(void *arg)
{
	atomic_fetch_add(&calls, 1);
	while (!atomic_load(&go))
		baton_checkpoint();
}

/* As many requests as may be are in flight: that is told. */
TEST(too_many_requests)
{
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 500000, .requests_max = 1 };
	struct baton_request *r;
	struct baton_stream *st;
	size_t n = 64;
	int fd;

	open_all(2);
	CHECK_EQ(baton_tenant_set(tenant, &t), 0);
	r = ask_batch(tenant, computes, NULL);
	await(&calls, 1);
	st = open_pair(&fd);
	CHECK_EQ(serve(st, BATON_BATCH, echoes, &n), 0);
	CHECK_EQ(write(fd, "a", 1), 1);
	await(&told, 1);
	CHECK_EQ(atomic_load(&told_why), -EAGAIN);
	atomic_store(&go, true);
	end_request(r, 0);
	close_served(st, 1);
	close(fd);
	end_sched(s);
}

/* Nobody answers any more: a request that was in flight before, and found no more to read until now, may answer once or twice. */
static bool is_silent(int fd)
{
	char c;
	int i;

	for (i = 0; i < 100; i++) {
		CHECK_EQ(write(fd, "a", 1), 1);
		pause_ms(10);
		if (recv(fd, &c, 1, MSG_DONTWAIT) < 0)
			return true;
	}
	return false;
}

/* No low-latency quota, and a critical class; then no quota at all, and some again. */
TEST(no_quota)
{
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 500000 };
	struct baton_stream *st;
	size_t n = 64;
	char c;
	int fd;

	open_all(1);
	CHECK_EQ(baton_tenant_set(tenant, &t), 0);
	st = open_pair(&fd);
	CHECK_EQ(serve(st, BATON_CRITICAL, echoes, &n), 0);
	CHECK_EQ(write(fd, "a", 1), 1);
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(atomic_load(&told_why), -EDQUOT);
	t.high_ppm = 0;
	CHECK_EQ(baton_tenant_set(tenant, &t), 0);
	CHECK(is_silent(fd));
	/* The bytes are still there. */
	t.high_ppm = 500000;
	CHECK_EQ(baton_tenant_set(tenant, &t), 0);
	CHECK_EQ(serve(st, BATON_BATCH, echoes, &n), 0);
	CHECK_EQ(read(fd, &c, 1), 1);
	close_served(st, 1);
	close(fd);
	end_sched(s);
}

/* The tenant is removed, and another one takes the stream over. */
TEST(tenant_removed)
{
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 50000 };
	struct baton_stream *st;
	size_t n = 64;
	char c;
	int fd;

	open_all(1);
	st = open_pair(&fd);
	CHECK_EQ(serve(st, BATON_BATCH, echoes, &n), 0);
	asks(fd, 3);
	baton_tenant_remove(tenant);
	CHECK(is_silent(fd));
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
	CHECK_EQ(serve(st, BATON_BATCH, echoes, &n), 0);
	CHECK_EQ(read(fd, &c, 1), 1);
	baton_tenant_remove(tenant);
	pause_ms(2);
	CHECK_EQ(write(fd, "a", 1), 1);
	pause_ms(2);
	close_served(st, 1);
	close(fd);
	end_sched(s);
}

/* A request that did not begin by its deadline. */
TEST(late)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .deadline = 10 * MS };
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 10000 };
	struct baton_tenant *poor;
	struct baton_stream *st;
	struct baton_request *r;
	size_t n = 64;
	char c;
	int fd;

	open_all(1);
	t.high_ppm = 100000;
	CHECK_EQ(baton_tenant_set(tenant, &(struct baton_tenant_opts){ .sz = sizeof(t), .high_ppm = 800000 }), 0);
	CHECK_EQ(baton_tenant_add(s, &poor, &t), 0);
	/* The tenant uses up its quota. */
	r = ask_batch(poor, computes, NULL);
	pause_ms(300);
	st = open_pair(&fd);
	CHECK_EQ(baton_stream_serve(st, poor, &o, echoes, &n), 0);
	CHECK_EQ(write(fd, "a", 1), 1);
	/* The request that came first goes first for as long as it wants: what is told waits for it, too. */
	pause_ms(100);
	atomic_store(&go, true);
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(atomic_load(&told_why), -ETIME);
	CHECK_EQ(atomic_load(&told), 1);
	end_request(r, 0);
	close_served(st, 1);
	close(fd);
	end_sched(s);
}

/* ---------------------------------------------------------- what is refused at once */

TEST(arguments)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH };
	struct baton_stream *st;
	size_t n = 64;
	int fd;

	open_all(1);
	st = open_pair(&fd);
	CHECK_EQ(baton_stream_serve(st, tenant, &o, NULL, NULL), -EINVAL);
	o.arrival = 1;
	CHECK_EQ(baton_stream_serve(st, tenant, &o, echoes, &n), -EINVAL);
	o.arrival = 0;
	o.deadline = MS;
	CHECK_EQ(baton_stream_serve(st, tenant, &o, echoes, &n), -EINVAL);
	o.deadline = 0;
	o.fn = computes;
	CHECK_EQ(baton_stream_serve(st, tenant, &o, echoes, &n), -EINVAL);
	o.fn = NULL;
	o.cls = BATON_INTERNAL;
	CHECK_EQ(baton_stream_serve(st, tenant, &o, echoes, &n), -EINVAL);
	o.cls = BATON_BATCH;
	CHECK_EQ(baton_stream_serve(st, tenant, &o, echoes, &n), 0);
	CHECK_EQ(baton_stream_serve(st, tenant, &o, echoes, &o), -EBUSY);
	CHECK_EQ(baton_stream_serve(st, tenant, &o, echoes, &n), 0);
	asks(fd, 3);
	CHECK_EQ(baton_sched_destroy(s), -EBUSY);
	close_served(st, 1);
	close(fd);
	end_sched(s);
}

static _Atomic int full, accepted;

static void accepts_if_it_can(struct baton_stream *l, int why, void *arg)
{
	struct baton_stream *st;
	int err;

	note_call(why);
	while (why != -ESHUTDOWN && !(err = baton_stream_accept(l, &st, 0))) {
		baton_stream_close(st);
		atomic_fetch_add(&accepted, 1);
	}
	if (why != -ESHUTDOWN && err == -EMFILE)
		atomic_fetch_add(&full, 1);
}

/* A listener that is served, and no descriptor: the function is called again and again, and its accept waits. */
TEST(no_descriptor)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	struct rlimit all, few;
	struct baton_stream *l;
	uint64_t began;
	int peer, free;

	open_all(1);
	atomic_store(&full, 0);
	atomic_store(&accepted, 0);
	CHECK_EQ(baton_stream_listen(&l, s, (struct sockaddr *)&sa, sizeof(sa), 8), 0);
	CHECK_EQ(getsockname(baton_stream_fd(l), (struct sockaddr *)&sa, &len), 0);
	peer = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(connect(peer, (struct sockaddr *)&sa, len), 0);
	free = dup(peer);
	close(free);
	getrlimit(RLIMIT_NOFILE, &all);
	few = all;
	few.rlim_cur = (rlim_t)free;
	setrlimit(RLIMIT_NOFILE, &few);
	began = baton_clock_now();
	CHECK_EQ(serve(l, BATON_BATCH, accepts_if_it_can, NULL), 0);
	await(&full, 5);
	CHECK((uint64_t)(atomic_load(&full) - 2) * 10 * MS <= baton_clock_now() - began);
	setrlimit(RLIMIT_NOFILE, &all);
	await(&accepted, 1);
	close_served(l, 1);
	close(peer);
	end_sched(s);
}

#ifdef BTN_INJECT
static int no_memory(const char *point)
{
	return !strcmp(point, "serve:new") || !strcmp(point, "sched:request");
}

/* Without memory nothing is served; and a service that there is needs none. */
TEST(no_memory_for_it)
{
	struct baton_stream *st;
	size_t n = 64;
	int fd;

	open_all(1);
	st = open_pair(&fd);
	atomic_store(&btn_inject_hook, no_memory);
	CHECK_EQ(serve(st, BATON_BATCH, echoes, &n), -ENOMEM);
	atomic_store(&btn_inject_hook, delays);
	CHECK_EQ(serve(st, BATON_BATCH, echoes, &n), 0);
	atomic_store(&btn_inject_hook, no_memory);
	asks(fd, 20);
	close_served(st, 1);
	close(fd);
	end_sched(s);
}
#endif

static void forks(struct baton_stream *st, int why, void *arg)
{
	char c;
	size_t n;
	pid_t child;
	int status;

	if (why == -ESHUTDOWN) {
		note_call(why);
		return;
	}
	if (baton_stream_read(st, &c, 1, &n, 0) || !n)
		return;
	child = fork();
	/* In the child the thread is no task, and ends as the function returns; with it the child. */
	if (!child)
		return;
	CHECK_ANY(waitpid(child, &status, 0) == child && !status);
	CHECK_ANY(baton_stream_write(st, &c, 1, &n, BATON_FOREVER) == 0);
}

/* A child has nothing of the service, whether a task made it or another thread; and the parent's goes on. */
TEST(children)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH };
	struct baton_stream *st;
	int fd, status;
	pid_t child;

#ifdef BTN_TSAN
	SKIP("fork() with threads is not for ThreadSanitizer");
#endif
	open_all(1);
	st = open_pair(&fd);
	CHECK_EQ(serve(st, BATON_BATCH, forks, NULL), 0);
	asks(fd, 1);
	child = fork();
	if (!child) {
		status = baton_stream_serve(st, tenant, &o, forks, NULL) != -EPERM;
		baton_stream_close(st);
		_exit(status || atomic_load(&lasts));
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	asks(fd, 1);
	close_served(st, 1);
	close(fd);
	end_sched(s);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
