// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-queue - the queues against what a C or C++ programmer would pick.
 *
 * Every queue runs in every case, each time in a process of its own, one after
 * the other in some order, and then all of them again in another: a round. An
 * item counts when it is popped. A value is the median of the rounds.
 *
 * A ratio is not one of two such values: what disturbs the machine for longer
 * than a measurement would decide it. The two take turns, A B B A, as many times
 * as there are rounds, and the ratio is the median of those.
 *
 * What a case is: NpMc, N threads that push and M that pop; pair, two threads
 * that each push one and pop one; bulk32, 32 at a time; hop, the way of one item
 * to a thread that spins for it on another CPU; steal, an owner that pushes and
 * a thief. All queues have the same loops and wait in the same way (loops.h).
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../baton/bench.h"
#include "others.h"
#include "peer.h"

struct peer *peers;

#define CAPACITY 1024
#define MAX_PEERS 40
#define MAX_THREADS 32
#define MAX_ROUNDS 101
#define TOO_LONG 3		/* seconds */
#define NO_END "no result: it did not end within 3 s"

enum how { ITEMS, PAIR, BULK };

struct kase {
	const char *name;
	enum how how;
	int producers, consumers;
	bool deque;
};

static const struct kase cases[] = {
	{ "1p1c", ITEMS, 1, 1, false },
	{ "2p2c", ITEMS, 2, 2, false },
	{ "4p4c", ITEMS, 4, 4, false },
	{ "16p16c", ITEMS, 16, 16, false },
	{ "pair", PAIR, 2, 0, false },
	{ "bulk32", BULK, 1, 1, false },
	{ "bulk32_2p2c", BULK, 2, 2, false },
	{ "steal", ITEMS, 1, 1, true },
	{ "steal32", BULK, 1, 1, true },
};
#define CASES (sizeof(cases) / sizeof(*cases))

/* A measurement, from its process to ours. */
struct outcome {
	double rate, cpu;	/* items/s; CPU seconds for a million of them */
	bool ok, lost;
};

static struct outcome *out;
static uint32_t *hops;

#define HOPS 20000

struct job {
	const struct peer *p;
	void *q;
	size_t n;
	int role;		/* 0 pushes, 1 pops, 2 both */
	bool bulk;
	int cpu;
	uintptr_t sum;
	uint64_t from, to;	/* the thread's own time: the one that measures may not run when it begins */
	pthread_barrier_t *start;
};

static void pin(int nr)
{
	cpu_set_t all, one;
	int i;

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	for (i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && nr-- == 0)
			CPU_SET(i, &one);
	if (CPU_COUNT(&one))
		sched_setaffinity(0, sizeof(one), &one);
}

static void *run_job(void *arg)
{
	struct job *j = arg;

	pin(j->cpu);
	pthread_barrier_wait(j->start);
	j->from = peer_now();
	if (j->role == 2)
		j->sum = j->p->pair(j->q, 16, j->n);
	else if (j->role == 1)
		j->sum = (j->bulk ? j->p->consume_bulk : j->p->consume)(j->q, j->n);
	else
		(j->bulk ? j->p->produce_bulk : j->p->produce)(j->q, 16, j->n);
	j->to = peer_now();
	return NULL;
}

/* In a child: the whole of one measurement. */
static void measure_here(const struct peer *p, const struct kase *k, size_t n)
{
	int threads = k->producers + k->consumers, i;
	uintptr_t want = 0, got = 0;
	struct job job[MAX_THREADS];
	pthread_t t[MAX_THREADS];
	pthread_barrier_t start;
	struct rusage u0, u1;
	uint64_t from = UINT64_MAX, to = 0;
	void *q;

	q = p->create(CAPACITY, (unsigned)threads);
	if (!q)
		_exit(1);
	pthread_barrier_init(&start, NULL, (unsigned)threads + 1);
	for (i = 0; i < threads; i++) {
		bool pushes = i < k->producers;

		job[i] = (struct job){ .p = p, .q = q, .start = &start, .bulk = k->how == BULK,
				       .role = k->how == PAIR ? 2 : !pushes,
				       .n = n / (size_t)(pushes ? k->producers : k->consumers),
				       .cpu = i % bench_cpus() };
		if (pushes)
			want += 16 * job[i].n * (job[i].n + 1) / 2;
		if (pthread_create(&t[i], NULL, run_job, &job[i]))
			_exit(1);
	}
	getrusage(RUSAGE_SELF, &u0);
	pthread_barrier_wait(&start);
	for (i = 0; i < threads; i++) {
		pthread_join(t[i], NULL);
		got += job[i].sum;
		from = job[i].from < from ? job[i].from : from;
		to = job[i].to > to ? job[i].to : to;
	}
	getrusage(RUSAGE_SELF, &u1);
	if (got != want) {
		out->lost = true;
		_exit(1);
	}
	out->rate = (double)n * 1e9 / (double)(to - from);
	out->cpu = ((double)(u1.ru_utime.tv_sec + u1.ru_stime.tv_sec - u0.ru_utime.tv_sec - u0.ru_stime.tv_sec) +
		    (double)(u1.ru_utime.tv_usec + u1.ru_stime.tv_usec - u0.ru_utime.tv_usec - u0.ru_stime.tv_usec) / 1e6) /
		   ((double)n / 1e6);
	out->ok = true;
	_exit(0);
}

/* True: the child did what it should, in time. We sleep meanwhile: who looks now and then takes a CPU from it. */
static bool wait_child(pid_t pid)
{
	struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	int status, ended;

	if (end.fd < 0) {
		perror("pidfd_open");
		exit(1);
	}
	do
		ended = poll(&end, 1, TOO_LONG * 1000);
	while (ended < 0 && errno == EINTR);
	close(end.fd);
	if (ended != 1)
		kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid && ended == 1 && WIFEXITED(status) && !WEXITSTATUS(status);
}

static bool measure(const struct peer *p, const struct kase *k, size_t n, struct outcome *o)
{
	pid_t pid;

	memset(out, 0, sizeof(*out));
	fflush(NULL);
	pid = fork();
	if (!pid)
		measure_here(p, k, n);
	*o = (struct outcome){ 0 };
	if (pid >= 0 && wait_child(pid))
		*o = *out;
	o->lost = out->lost;
	return o->ok;
}

/* --case names a case, as 2p2c, or what some peers do in it: @(ring|vyukov)_2p2c. */
static bool wants(const struct bench *b, const char *peer, const char *name)
{
	char both[64];

	snprintf(both, sizeof(both), "%s_%s", peer, name);
	return bench_wants(b, name) || bench_wants(b, both);
}

static bool fits(const struct peer *p, const struct kase *k)
{
	if (p->spsc && (k->producers != 1 || k->consumers != 1))
		return false;
	return !p->missing && (p->kind == PEER_DEQUE) == k->deque && (k->how != BULK || p->produce_bulk);
}

/* Results of peer i in case k. */
static struct {
	bool have;
	size_t n;			/* items of one measurement */
	double rate[MAX_ROUNDS], cpu[MAX_ROUNDS];
} of[CASES][MAX_PEERS];
static struct peer *list[MAX_PEERS];
static int nr_peers, rounds;

static double median_of(const double *v)
{
	double w[MAX_ROUNDS];

	memcpy(w, v, (size_t)rounds * sizeof(*v));
	return bench_median(w, (size_t)rounds);
}

static int find(const char *name)
{
	int i;

	for (i = 0; i < nr_peers; i++)
		if (!strcmp(list[i]->name, name))
			return i;
	return -1;
}

/* The best one that p is compared with in case k, or -1; spsc: also of those for two threads. */
static int best_of(size_t k, int p, bool spsc)
{
	double best = 0, v;
	int i, at = -1;

	for (i = 0; i < nr_peers; i++) {
		if (!of[k][i].have || i == p || list[i]->apart || list[i]->kind != list[p]->kind || (list[i]->spsc && !spsc))
			continue;
		v = median_of(of[k][i].rate);
		if (v > best) {
			best = v;
			at = i;
		}
	}
	return at;
}

static size_t case_of(const char *name)
{
	size_t k = 0;

	while (strcmp(cases[k].name, name))
		k++;
	return k;
}

/* Peer i gave no result in case k. */
static void drop(const struct bench *b, size_t k, int i, bool lost)
{
	char name[64];
	struct bench_result r = { .name = name, .skipped = lost ?
		"no result: what came out is not what went in" : NO_END };

	of[k][i].have = false;
	snprintf(name, sizeof(name), "%s_%s", list[i]->name, cases[k].name);
	bench_put(b, &r);
}

/*
 * How many items take that long: a short one first, also to warm up and to see
 * who is very slow, then longer ones, since threads that have just begun are slow.
 */
static bool length(const struct peer *p, const struct kase *k, double seconds, size_t *n, struct outcome *o)
{
	double part;

	*n = 1 << 14;
	for (part = 64; part >= 1; part /= 4) {
		if (!measure(p, k, *n, o))
			return false;
		*n = (size_t)(o->rate * seconds / part) / 1024 * 1024;
		if (*n < 1 << 14)
			*n = 1 << 14;
	}
	return true;
}

/* Measures once. False: its items are not those that went in, and it is dropped. */
static bool run_once(const struct bench *b, size_t k, int i, struct outcome *o)
{
	size_t n = of[k][i].n;

	if (measure(list[i], &cases[k], n, o))
		return true;
	if (o->lost) {
		drop(b, k, i, true);
		return false;
	}
	/* The run did not end in time: that fast at most. */
	*o = (struct outcome){ .rate = (double)n / TOO_LONG, .cpu = TOO_LONG * 1e6 / (double)n };
	return true;
}

/* The ratio of peer a in case k to peer c in case l, into x. False: one of the two was dropped. */
static bool compare(const struct bench *b, struct bench_result *x, size_t k, int a, size_t l, int c)
{
	double v[MAX_ROUNDS];
	struct outcome o[4];
	int r;

	for (r = 0; r < rounds; r++) {
		if (!run_once(b, k, a, &o[0]) || !run_once(b, l, c, &o[1]) ||
		    !run_once(b, l, c, &o[2]) || !run_once(b, k, a, &o[3]))
			return false;
		v[r] = (o[0].rate + o[3].rate) / (o[1].rate + o[2].rate);
	}
	bench_spread(x, v, (size_t)rounds);
	return true;
}

/* The rate of peer a in case k; with its ratio to peer c in case l, unless c is -1 or gives none. */
static void put_rate(const struct bench *b, const char *name, size_t k, int a, size_t l, int c)
{
	char base[64];
	struct bench_result r = { .name = name, .unit = "ops/s", .n = (unsigned long)rounds,
				  .value = median_of(of[k][a].rate) };

	if (c >= 0 && compare(b, &r, k, a, l, c)) {
		snprintf(base, sizeof(base), "%s_%s", list[c]->name, cases[l].name);
		r.baseline = base;
	}
	if (of[k][a].have)
		bench_put(b, &r);
}

/* 0 to nr_peers - 1 in another order each round: who comes before one should not always be the same. */
static void shuffle(int *order, unsigned int round)
{
	int i, k, x;

	for (i = 0; i < nr_peers; i++)
		order[i] = i;
	for (i = nr_peers - 1; i > 0; i--) {
		k = rand_r(&round) % (i + 1);
		x = order[i];
		order[i] = order[k];
		order[k] = x;
	}
}

static bool is_ours(int i)
{
	return !strcmp(list[i]->name, "ring") || !strcmp(list[i]->name, "queue") || !strcmp(list[i]->name, "deque");
}

static void throughput(const struct bench *b, size_t k)
{
	const int threads = cases[k].producers + cases[k].consumers;
	/* Threads that share CPUs: ten turns each, of some 3 ms, or how they begin is all that is seen. */
	const double turns = 0.03 * threads / bench_cpus();
	const double seconds = turns > 0.1 ? turns : b->quick ? 0.03 : 0.1;
	struct outcome o = { 0 };
	int i, r, order[MAX_PEERS];
	char name[64];

	for (i = 0; i < nr_peers; i++) {
		of[k][i].have = wants(b, list[i]->name, cases[k].name) && fits(list[i], &cases[k]);
		if (of[k][i].have && !length(list[i], &cases[k], seconds, &of[k][i].n, &o))
			drop(b, k, i, o.lost);
	}
	for (r = 0; r < rounds; r++) {
		shuffle(order, (unsigned int)r);
		for (i = 0; i < nr_peers; i++) {
			int at = order[i];

			if (!of[k][at].have || !run_once(b, k, at, &o))
				continue;
			of[k][at].rate[r] = o.rate;
			of[k][at].cpu[r] = o.cpu;
		}
	}
	for (i = 0; i < nr_peers; i++) {
		struct bench_result x = { .name = name, .unit = "s/M", .n = (unsigned long)rounds };
		int best = -1;

		if (!of[k][i].have)
			continue;
		if (is_ours(i))
			best = list[i]->kind == PEER_BOUNDED && cases[k].how == BULK ? find("rte_ring") : best_of(k, i, true);
		if (best >= 0 && !of[k][best].have)
			best = -1;
		snprintf(name, sizeof(name), "%s_%s", list[i]->name, cases[k].name);
		put_rate(b, name, k, i, k, best);
		snprintf(name, sizeof(name), "%s_%s_cpu", list[i]->name, cases[k].name);
		x.value = median_of(of[k][i].cpu);
		bench_put(b, &x);
	}
}

struct hop {
	const struct peer *p;
	void *to, *from;
	int first;
};

static void *run_hop(void *arg)
{
	struct hop *h = arg;

	pin(!h->first);
	h->p->hop(h->to, h->from, h->first, hops, HOPS);
	return NULL;
}

static void hop(const struct bench *b, const struct peer *p)
{
	char name[64];
	struct bench_result r = { .name = name, .unit = "ns" };
	pid_t pid;

	snprintf(name, sizeof(name), "%s_hop", p->name);
	if (p->missing || p->kind == PEER_DEQUE || !wants(b, p->name, "hop"))
		return;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		void *one = p->create(CAPACITY, 2), *two = p->create(CAPACITY, 2);
		struct hop h[2] = { { p, one, two, 1 }, { p, two, one, 0 } };
		pthread_t t[2];

		pthread_create(&t[0], NULL, run_hop, &h[0]);
		pthread_create(&t[1], NULL, run_hop, &h[1]);
		pthread_join(t[0], NULL);
		pthread_join(t[1], NULL);
		_exit(0);
	}
	if (!wait_child(pid)) {
		r.skipped = NO_END;
		bench_put(b, &r);
		return;
	}
	bench_quantiles_u32(&r, hops, HOPS);
	r.value = r.p50;
	bench_put(b, &r);
}

/* Under callgrind: n pairs by one thread. */
static int one_thread(const char *name, size_t n)
{
	int i = find(name);
	void *q;

	if (i < 0 || list[i]->missing)
		return 1;
	q = list[i]->create(CAPACITY, 1);
	list[i]->pair(q, 16, n);
	fflush(NULL);
	_exit(0);
}

static double callgrind(const char *self, const char *peer, int n)
{
	char cmd[1024], line[256];
	double insn = 0;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "valgrind --tool=callgrind --callgrind-out-file=/dev/null '%s' --one %s %d 2>&1",
		 self, peer, n);
	f = popen(cmd, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "Collected :"))
			insn = atof(strchr(line, ':') + 1);
	if (f)
		pclose(f);
	return insn;
}

static void instructions(const struct bench *b)
{
	char self[512], name[64];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int i;

	if (len < 0)
		return;
	self[len] = 0;
	for (i = 0; i < nr_peers; i++) {
		struct bench_result r = { .name = name, .unit = "insn", .n = 10000 };
		double few, many;

		if (list[i]->missing || !wants(b, list[i]->name, "insn"))
			continue;
		snprintf(name, sizeof(name), "%s_insn", list[i]->name);
		few = callgrind(self, list[i]->name, 1000);
		many = callgrind(self, list[i]->name, 11000);
		r.value = (many - few) / 10000;
		if (few <= 0 || many <= few)
			r.skipped = "callgrind gave no number (Debian: valgrind)";
		bench_put(b, &r);
	}
}

int main(int argc, char **argv)
{
	size_t k;
	struct bench b;
	struct peer *p;
	int rc, ring, queue, moody;

	for (p = peers; p && nr_peers < MAX_PEERS; p = p->next)
		list[nr_peers++] = p;
	if (argc == 4 && !strcmp(argv[1], "--one"))
		return one_thread(argv[2], (size_t)atol(argv[3]));
	rc = bench_options(&b, "queue", "ring, queue, deque, burst and runq, and what else there is.", argc, argv);
	if (rc)
		return rc - 1;
	rounds = b.rounds ? b.rounds : b.quick ? 3 : 9;
	if (rounds > MAX_ROUNDS)
		rounds = MAX_ROUNDS;
	out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	hops = mmap(NULL, HOPS * sizeof(*hops), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bench_begin(&b);
	for (p = peers; p; p = p->next) {
		struct bench_result r = { .name = p->name, .skipped = p->missing };
		char why[128];

		if (!p->missing)
			continue;
		snprintf(why, sizeof(why), "not built in (Debian: %s)", p->missing);
		r.skipped = why;
		bench_put(&b, &r);
	}
	for (k = 0; k < CASES; k++)
		throughput(&b, k);

	ring = find("ring");
	queue = find("queue");
	moody = find("moodycamel_tokens");
	k = case_of("pair");
	if (moody >= 0 && of[k][queue].have && of[k][moody].have)
		put_rate(&b, "queue_pair_vs_tokens", k, queue, k, moody);
	/* With two threads, a ring for many is compared with its like. */
	k = case_of("1p1c");
	if (of[k][ring].have)
		put_rate(&b, "ring_1p1c_vs_mpmc", k, ring, k, best_of(k, ring, false));
	k = case_of("16p16c");
	if (of[k][ring].have && of[case_of("2p2c")][ring].have)
		put_rate(&b, "ring_oversubscribed", k, ring, case_of("2p2c"), ring);
	if (of[k][queue].have && of[case_of("2p2c")][queue].have)
		put_rate(&b, "queue_oversubscribed", k, queue, case_of("2p2c"), queue);
	for (p = peers; p; p = p->next)
		hop(&b, p);
	others(&b);
	instructions(&b);
	return bench_end(&b);
}
