// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton bench io - what a request costs a server on loopback, and what waiting for several things
 * costs.
 *
 * The server is a process of its own on one CPU, and echoes 64 bytes; the client, on another CPU
 * if there is one, keeps one request under way on each connection. The value is the server's CPU
 * for each request, in the kernel and outside, once all connections are there. The servers take
 * turns in each round, and ratios are of the same round.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <baton/baton.h>

#include "baton.h"
#include "bench.h"

#define BYTES	64
/* Bytes for which a server has room: it does not know how long a request is. */
#define ROOM	4096
#define ROUNDS_MAX	101

enum server { EPOLL, THREADS, TASKS, SERVED, SERVERS };

static const char *const server_names[SERVERS] = { "epoll", "threads", "read", "serve" };
static const int sizes[] = { 1, 8, 64, 1000 };

#define SIZES	(sizeof(sizes) / sizeof(sizes[0]))

/* Shared by the client and the server. */
static struct shared {
	struct sockaddr_in where;
	char why_not[200];
} *shared;

static void cannot(const char *what, int err)
{
	snprintf(shared->why_not, sizeof(shared->why_not), "%s: %s", what, strerror(err));
	_exit(1);
}

/* ---------------------------------------------------------- servers */

static void make_nodelay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void serve_epoll(int listener)
{
	struct epoll_event events[64], event = { .events = EPOLLIN, .data.fd = listener };
	int set = epoll_create1(0), n, i, fd;
	char buf[ROOM];
	ssize_t got;

	if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, listener, &event))
		cannot("epoll", errno);
	for (;;) {
		n = epoll_wait(set, events, 64, -1);
		for (i = 0; i < n; i++) {
			fd = events[i].data.fd;
			if (fd == listener) {
				fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
				event.data.fd = fd;
				if (fd < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event))
					cannot("accept", errno);
				make_nodelay(fd);
				continue;
			}
			got = read(fd, buf, sizeof(buf));
			if (got > 0 && write(fd, buf, (size_t)got) == got)
				continue;
			close(fd);
		}
	}
}

static void *serve_thread(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[ROOM];
	ssize_t got;

	while ((got = read(fd, buf, sizeof(buf))) > 0 && write(fd, buf, (size_t)got) == got)
		;
	close(fd);
	return NULL;
}

static void serve_threads(int listener)
{
	pthread_attr_t attr;
	pthread_t t;
	int fd, err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 << 10);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		make_nodelay(fd);
		err = pthread_create(&t, &attr, serve_thread, (void *)(intptr_t)fd);
		if (err)
			cannot("a thread", err);
	}
}

static struct baton_sched *s;

static void serve_task(void *st)
{
	char buf[ROOM];
	size_t n;

	while (!baton_stream_read(st, buf, sizeof(buf), &n, BATON_FOREVER) && n &&
	       !baton_stream_write(st, buf, n, &n, BATON_FOREVER))
		;
	baton_stream_close(st);
}

static void accept_streams(void *l)
{
	struct baton_stream *st;
	int err;

	while (!(err = baton_stream_accept(l, &st, BATON_FOREVER))) {
		make_nodelay(baton_stream_fd(st));
		err = baton_task_spawn(NULL, serve_task, st);
		if (err)
			break;
	}
	cannot("baton_stream_accept", -err);
}

static void serve_stream(struct baton_stream *st, int why, void *arg)
{
	char buf[ROOM];
	size_t n;
	int err;

	(void)arg;
	if (why == -ESHUTDOWN)
		return;
	err = baton_stream_read(st, buf, sizeof(buf), &n, 0);
	if (err == -ETIMEDOUT || (!err && n && !baton_stream_write(st, buf, n, &n, BATON_FOREVER)))
		return;
	baton_stream_close(st);
}

static void serve_listener(struct baton_stream *l, int why, void *tenant)
{
	struct baton_request_opts r = { .sz = sizeof(r), .cls = BATON_TOLERANT };
	struct baton_stream *st;
	int err;

	(void)why;
	while (!(err = baton_stream_accept(l, &st, 0))) {
		make_nodelay(baton_stream_fd(st));
		err = baton_stream_serve(st, tenant, &r, serve_stream, NULL);
		if (err)
			break;
	}
	if (err != -ETIMEDOUT)
		cannot("baton_stream_serve", -err);
}

/* served: no task waits for a stream; else each has a task of its own. */
static void serve_streams(int listener, bool served)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = 1, .workers_max = 4096 };
	struct baton_tenant_opts t = { .sz = sizeof(t), .low_ppm = 100000, .high_ppm = 900000 };
	struct baton_request_opts r = { .sz = sizeof(r), .cls = BATON_TOLERANT };
	struct baton_tenant *tenant;
	struct baton_stream *l;
	int err = baton_sched_create(&s, &o);

	if (!err)
		err = baton_tenant_add(s, &tenant, &t);
	if (!err)
		err = baton_stream_open(&l, s, listener);
	if (!err && served) {
		err = baton_stream_serve(l, tenant, &r, serve_listener, tenant);
	} else if (!err) {
		r.fn = accept_streams;
		r.arg = l;
		err = baton_submit(tenant, &r, NULL);
	}
	if (err)
		cannot("the scheduler", -err);
	for (;;)
		pause();
}

/* CPUs that this process had when it began: a server is forked from a client that is bound to one. */
static cpu_set_t all;

/* Binds the caller to the first of all CPUs, the servers'; or to the last, the client's. */
static void use_cpu(bool last)
{
	cpu_set_t one;
	int i, cpu = -1;

	for (i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && (last || cpu < 0))
			cpu = i;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void start_server(enum server which)
{
	struct rlimit files;
	socklen_t len = sizeof(shared->where);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	use_cpu(false);
	memset(&shared->where, 0, sizeof(shared->where));
	shared->where.sin_family = AF_INET;
	shared->where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&shared->where, len) || listen(fd, 4096) ||
	    getsockname(fd, (struct sockaddr *)&shared->where, &len))
		cannot("a listening socket", errno);
	raise(SIGSTOP);		/* the client may begin */
	if (which == EPOLL)
		serve_epoll(fd);
	else if (which == THREADS)
		serve_threads(fd);
	else
		serve_streams(fd, which == SERVED);
}

/* ---------------------------------------------------------- the client */

static double cpu_of(clockid_t clock)
{
	struct timespec t;

	return clock_gettime(clock, &t) ? 0 : (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Has `requests` answered on n connections, each of which has one under way. 0 or an errno. */
static int exchange(int set, const int *fd, int n, long requests)
{
	static const char out[BYTES] = "request";
	struct epoll_event events[64];
	char in[BYTES];
	long sent = 0, answered = 0;
	int i, k;

	for (i = 0; i < n && sent < requests; i++, sent++)
		if (write(fd[i], out, BYTES) != BYTES)
			return errno;
	while (answered < requests) {
		k = epoll_wait(set, events, 64, 20000);
		if (k <= 0)
			return k ? errno : ETIMEDOUT;
		for (i = 0; i < k; i++) {
			if (read(events[i].data.fd, in, BYTES) != BYTES)
				return EIO;
			answered++;
			if (sent++ < requests && write(events[i].data.fd, out, BYTES) != BYTES)
				return errno;
		}
	}
	return 0;
}

/* ns of the server's CPU for each request; an error is said in shared->why_not. */
static double use_server(pid_t server, int n, long requests)
{
	struct epoll_event event = { .events = EPOLLIN };
	int set = epoll_create1(EPOLL_CLOEXEC), *fd = calloc((size_t)n, sizeof(*fd)), i, err = 0;
	clockid_t clock;
	double before = 0;

	for (i = 0; i < n && !err; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		event.data.fd = fd[i];
		if (fd[i] < 0 || connect(fd[i], (struct sockaddr *)&shared->where, sizeof(shared->where)) ||
		    epoll_ctl(set, EPOLL_CTL_ADD, fd[i], &event))
			err = errno;
		else
			make_nodelay(fd[i]);
	}
	/* Each connection once, so that all are accepted. */
	if (!err)
		err = exchange(set, fd, n, n);
	if (!err)
		err = clock_getcpuclockid(server, &clock);
	if (!err) {
		before = cpu_of(clock);
		err = exchange(set, fd, n, requests);
		before = cpu_of(clock) - before;
	}
	if (err && !shared->why_not[0])
		snprintf(shared->why_not, sizeof(shared->why_not), "%d connections: %s", n, strerror(err));
	for (; i > 0; i--)
		close(fd[i - 1]);
	close(set);
	free(fd);
	return before / (double)requests;
}

#define IDLE	10000
#define IDLE_S	10

/* Memory of a process, with the kernel's part of which nobody tells left out. */
static double resident(pid_t pid)
{
	unsigned long size = 0, pages = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lu %lu", &size, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double idle_bytes;

/* The server's CPU in IDLE_S seconds in which no connection says anything, and its memory for each connection. */
static double leave_idle(pid_t server)
{
	struct epoll_event event = { .events = EPOLLIN };
	int *fd = calloc(IDLE, sizeof(*fd)), i, one, err = 0;
	double cpu = 0, before = 0;
	clockid_t clock;

	for (i = 0; i < IDLE && !err; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		one = epoll_create1(EPOLL_CLOEXEC);
		event.data.fd = fd[i];
		if (fd[i] < 0 || connect(fd[i], (struct sockaddr *)&shared->where, sizeof(shared->where)) ||
		    epoll_ctl(one, EPOLL_CTL_ADD, fd[i], &event))
			err = errno;
		/* Each is accepted, and has been served once. */
		if (!err)
			err = exchange(one, &fd[i], 1, 1);
		close(one);
		if (i == 100)
			before = resident(server);
	}
	if (!err)
		err = clock_getcpuclockid(server, &clock);
	if (!err) {
		idle_bytes = (resident(server) - before) / (IDLE - 101);
		cpu = cpu_of(clock);
		sleep(IDLE_S);
		cpu = cpu_of(clock) - cpu;
	}
	if (err && !shared->why_not[0])
		snprintf(shared->why_not, sizeof(shared->why_not), "%d connections: %s", i, strerror(err));
	for (; i > 0; i--)
		close(fd[i - 1]);
	free(fd);
	return cpu;
}

static double measure_server(enum server which, int n, long requests)
{
	int status;
	double v;
	pid_t pid;

	fflush(NULL);
	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (!pid) {
		start_server(which);
		_exit(1);
	}
	waitpid(pid, &status, WUNTRACED);
	if (!WIFSTOPPED(status))
		return 0;
	kill(pid, SIGCONT);
	v = n == IDLE ? leave_idle(pid) : use_server(pid, n, requests);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return v;
}

/* ---------------------------------------------------------- waiting for several things */

#define ITEMS	4000
#define TURNS	10

static double ns_recv, ns_any;

static void fill(struct baton_chan **c, int n)
{
	int i;

	for (i = 0; i < ITEMS; i++)
		baton_chan_send(c[i % n], c);
}

/* In turns, so that both meet the same machine; the first turn is for the caches. */
static void take_items(void *arg)
{
	struct baton_chan *one, *four[4];
	struct baton_case c[4];
	double began, middle;
	int i, k, wrong = 0;
	void *item;

	(void)arg;
	ns_recv = ns_any = 0;
	if (baton_chan_create(&one, s, ITEMS))
		return;
	for (i = 0; i < 4; i++) {
		if (baton_chan_create(&four[i], s, ITEMS / 4))
			return;
		c[i] = (struct baton_case){ .kind = BATON_CASE_RECV, .chan = four[i] };
	}
	for (k = 0; k <= TURNS; k++) {
		fill(&one, 1);
		fill(four, 4);
		began = cpu_of(CLOCK_THREAD_CPUTIME_ID);
		for (i = 0; i < ITEMS; i++)
			wrong |= baton_chan_recv(one, &item);
		middle = cpu_of(CLOCK_THREAD_CPUTIME_ID);
		for (i = 0; i < ITEMS; i++)
			wrong |= baton_wait_any(c, 4, 0, 0) < 0;
		if (k) {
			ns_recv += (middle - began) / ITEMS / TURNS;
			ns_any += (cpu_of(CLOCK_THREAD_CPUTIME_ID) - middle) / ITEMS / TURNS;
		}
	}
	if (wrong)
		abort();
	baton_chan_destroy(one);
	for (i = 0; i < 4; i++)
		baton_chan_destroy(four[i]);
}

static bool measure_any(void)
{
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 1000000 };
	struct baton_request_opts r = { .sz = sizeof(r), .cls = BATON_BATCH, .fn = take_items };
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = 1 };
	struct baton_request *request;
	struct baton_tenant *tenant;

	if (baton_sched_create(&s, &o) || baton_tenant_add(s, &tenant, &t) || baton_submit(tenant, &r, &request))
		return false;
	baton_request_wait(request);
	baton_request_put(request);
	while (baton_sched_destroy(s) == -EBUSY)
		usleep(200);
	return true;
}

/* ---------------------------------------------------------- all of it */

static double value[SIZES][SERVERS][ROUNDS_MAX], ratio[ROUNDS_MAX];
static char why_not[SIZES][SERVERS][200];

/* read_64; or read_insn_64, where instructions are counted. */
static void name_row(char *to, size_t sz, bool icount, size_t k, enum server which)
{
	snprintf(to, sz, "%s_%s%d", server_names[which], icount ? "insn_" : "", sizes[k]);
}

static void put_row(const struct bench *b, bool icount, size_t k, enum server which, int to, int rounds)
{
	struct bench_result r = { .unit = icount ? "insn" : "ns", .n = (unsigned long)rounds };
	double copy[ROUNDS_MAX];
	char name[32], base[32];
	int i;

	name_row(name, sizeof(name), icount, k, which);
	r.name = name;
	if (why_not[k][which][0] || (to >= 0 && why_not[k][to][0])) {
		r.skipped = why_not[k][which][0] ? why_not[k][which] : "its baseline could not run";
		bench_put(b, &r);
		return;
	}
	memcpy(copy, value[k][which], sizeof(copy));
	r.value = bench_median(copy, (size_t)rounds);
	if (to >= 0) {
		name_row(base, sizeof(base), icount, k, (enum server)to);
		r.baseline = base;
		for (i = 0; i < rounds; i++)
			ratio[i] = value[k][which][i] / value[k][to][i];
		bench_spread(&r, ratio, (size_t)rounds);
	}
	bench_put(b, &r);
}

static void bench_servers(const struct bench *b, bool icount, int rounds)
{
	long requests = icount ? 500 : b->quick ? 2000 : 20000;
	char name[32];
	bool wanted;
	size_t k;
	int i, which;

	use_cpu(true);
	for (k = 0; k < SIZES; k++) {
		wanted = false;
		for (which = TASKS; which < SERVERS; which++) {
			name_row(name, sizeof(name), icount, k, which);
			wanted |= bench_wants(b, name);
		}
		if (!wanted)
			continue;
		for (i = 0; i < rounds; i++)
			for (which = 0; which < SERVERS; which++) {
				if (why_not[k][which][0])
					continue;
				value[k][which][i] = measure_server(which, sizes[k], requests);
				strcpy(why_not[k][which], shared->why_not);
			}
		put_row(b, icount, k, EPOLL, -1, rounds);
		put_row(b, icount, k, THREADS, EPOLL, rounds);
		put_row(b, icount, k, TASKS, EPOLL, rounds);
		put_row(b, icount, k, TASKS, THREADS, rounds);
		put_row(b, icount, k, SERVED, EPOLL, rounds);
		put_row(b, icount, k, SERVED, TASKS, rounds);
	}
}

static void bench_idle(const struct bench *b)
{
	struct bench_result cpu = { .name = "idle_10000_connections", .unit = "ns", .n = 1 };
	struct bench_result bytes = { .name = "idle_10000_bytes", .unit = "bytes", .n = 1 };
	struct rlimit files;

	if (!bench_wants(b, cpu.name) && !bench_wants(b, bytes.name))
		return;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	cpu.value = measure_server(SERVED, IDLE, 0);
	bytes.value = idle_bytes;
	if (shared->why_not[0])
		cpu.skipped = bytes.skipped = shared->why_not;
	bench_put(b, &cpu);
	bench_put(b, &bytes);
}

int bench_io(int argc, char **argv)
{
	struct bench_result one = { .name = "chan_recv" }, four = { .name = "wait_any_4", .baseline = "chan_recv" };
	double recv[ROUNDS_MAX], any[ROUNDS_MAX];
	struct bench b;
	bool icount;
	int i, rounds;

	i = bench_options(&b, "io",
			  "What a request costs a server on loopback that has a task (read), a thread or an\n"
			  "event (epoll; serve: a request) for each connection: its CPU, in ratios of rounds in which the servers took\n"
			  "turns. And what a wait for the first of four channels costs.",
			  argc, argv);
	if (i)
		return i - 1;
	icount = !strcmp(b.where, "vm-icount");
	rounds = b.rounds ? b.rounds : icount ? 1 : b.quick ? 3 : 7;
	if (rounds > ROUNDS_MAX)
		rounds = ROUNDS_MAX;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || sched_getaffinity(0, sizeof(all), &all)) {
		perror("baton bench io");
		return 1;
	}
	bench_begin(&b);
	/* Before the other one: its servers are forked from a process without threads. */
	bench_servers(&b, icount, rounds);
	if (!icount && !b.quick)
		bench_idle(&b);
	sched_setaffinity(0, sizeof(all), &all);
	if (bench_wants(&b, four.name)) {
		for (i = 0; i < rounds && measure_any(); i++) {
			recv[i] = ns_recv;
			any[i] = ns_any;
			ratio[i] = ns_any / ns_recv;
		}
		one.unit = four.unit = icount ? "insn" : "ns";
		one.n = four.n = (unsigned long)i;
		one.skipped = four.skipped = i < rounds ? "the scheduler could not be made" : NULL;
		if (i == rounds) {
			bench_spread(&four, ratio, (size_t)rounds);
			one.value = bench_median(recv, (size_t)rounds);
			four.value = bench_median(any, (size_t)rounds);
		}
		bench_put(&b, &one);
		bench_put(&b, &four);
	}
	return bench_end(&b);
}
