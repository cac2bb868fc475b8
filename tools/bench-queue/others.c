// SPDX-License-Identifier: GPL-2.0-or-later
#include "others.h"

#include <baton/burst.h>
#include <baton/ring.h>
#include <baton/runq.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"

#define MAX_CONSUMERS 6
#define MAX_BURST 6

/* --- bursts -------------------------------------------------------------- */

/* The two ways to hand items to waiting threads. */
struct way {
	const char *name;
	void (*open)(unsigned int consumers);
	void (*close)(void);	/* the consumers' waits end */
	void (*destroy)(void);	/* the consumers have ended */
	bool (*wait)(unsigned int me, void **item);	/* false: closed */
	bool (*offer)(void *item);
	void (*wake_all)(void);
	bool each;		/* wake_all after each offer */
};

static struct baton_burst *burst;
static struct baton_burst_consumer *consumer[MAX_CONSUMERS];

static void burst_open(unsigned int consumers)
{
	unsigned int i;

	if (baton_burst_create(&burst))
		abort();
	for (i = 0; i < consumers; i++)
		if (baton_burst_join(burst, &consumer[i]))
			abort();
}

static void burst_close(void)
{
	baton_burst_close(burst);
}

static void burst_destroy(void)
{
	baton_burst_destroy(burst);
}

static bool burst_wait(unsigned int me, void **item)
{
	return !baton_burst_wait(consumer[me], item, BATON_FOREVER);
}

static bool burst_offer(void *item)
{
	return !baton_burst_offer(burst, item);
}

static void burst_wake_all(void)
{
	baton_burst_wake_all(burst);
}

/*
 * The protocol of burst-pool, with one eventfd that counts (EFD_SEMAPHORE): an
 * offer scans for a receiver that waits, wake_all adds the number of items in
 * one write, which wakes every receiver, and those without an item yield and
 * poll again until the others have read. eventfd_each is the same with an
 * eventfd for each receiver: it wakes only those that got something, by a
 * write for each.
 */
static struct {
	_Alignas(64) _Atomic uintptr_t state;	/* RECEIVER_..., or an item */
	int fd;
	bool given;
} receiver[MAX_CONSUMERS];
static unsigned int receivers;
static bool shared_fd;
enum { RECEIVER_BUSY, RECEIVER_WAITS, RECEIVER_OVER };

static void receivers_open(unsigned int consumers, int flags)
{
	unsigned int i;

	receivers = consumers;
	shared_fd = flags & EFD_SEMAPHORE;
	for (i = 0; i < consumers; i++) {
		receiver[i].state = RECEIVER_BUSY;
		receiver[i].given = false;
		receiver[i].fd = i && shared_fd ? receiver[0].fd : eventfd(0, flags | EFD_NONBLOCK | EFD_CLOEXEC);
		if (receiver[i].fd < 0)
			abort();
	}
}

static void eventfd_open(unsigned int consumers)
{
	receivers_open(consumers, EFD_SEMAPHORE);
}

static void eventfd_each_open(unsigned int consumers)
{
	receivers_open(consumers, 0);
}

static void eventfd_close(void)
{
	unsigned int i;

	for (i = 0; i < receivers; i++) {
		atomic_store(&receiver[i].state, RECEIVER_OVER);
		eventfd_write(receiver[i].fd, 1);
	}
}

static void eventfd_destroy(void)
{
	unsigned int i;

	for (i = 0; i < (shared_fd ? 1 : receivers); i++)
		close(receiver[i].fd);
}

static bool eventfd_wait(unsigned int me, void **item)
{
	struct pollfd p = { .fd = receiver[me].fd, .events = POLLIN };
	eventfd_t n;
	uintptr_t x = RECEIVER_BUSY;

	if (!atomic_compare_exchange_strong(&receiver[me].state, &x, RECEIVER_WAITS))
		return false;
	for (;;) {
		if (poll(&p, 1, -1) != 1)
			continue;
		x = atomic_load(&receiver[me].state);
		if (x == RECEIVER_OVER)
			return false;
		if (x != RECEIVER_WAITS && !eventfd_read(receiver[me].fd, &n))
			break;
		sched_yield();
	}
	*item = (void *)x;
	return atomic_compare_exchange_strong(&receiver[me].state, &x, RECEIVER_BUSY);
}

static bool eventfd_offer(void *item)
{
	unsigned int i;
	uintptr_t x;

	for (i = 0; i < receivers; i++) {
		x = RECEIVER_WAITS;
		if (atomic_load(&receiver[i].state) == RECEIVER_WAITS &&
		    atomic_compare_exchange_strong(&receiver[i].state, &x, (uintptr_t)item)) {
			receiver[i].given = true;
			return true;
		}
	}
	return false;
}

static void eventfd_wake_all(void)
{
	eventfd_t given = 0;
	unsigned int i;

	for (i = 0; i < receivers; i++) {
		if (!receiver[i].given)
			continue;
		receiver[i].given = false;
		given++;
		if (!shared_fd)
			eventfd_write(receiver[i].fd, 1);
	}
	if (shared_fd && given)
		eventfd_write(receiver[0].fd, given);
}

/* Each eventfd way comes before the one of burst that is compared with it. */
static const struct way ways[] = {
	{ "eventfd", eventfd_open, eventfd_close, eventfd_destroy, eventfd_wait, eventfd_offer, eventfd_wake_all, false },
	{ "burst", burst_open, burst_close, burst_destroy, burst_wait, burst_offer, burst_wake_all, false },
	{ "eventfd_each", eventfd_each_open, eventfd_close, eventfd_destroy, eventfd_wait, eventfd_offer, eventfd_wake_all, true },
	{ "burst_each", burst_open, burst_close, burst_destroy, burst_wait, burst_offer, burst_wake_all, true },
};
#define WAYS (sizeof(ways) / sizeof(*ways))

static uint64_t received[MAX_BURST + 1];
static _Atomic unsigned int received_nr;
static uint64_t burst_work;	/* ns that a consumer works for an item */

struct burst_thread {
	pthread_t t;
	const struct way *way;
	unsigned int me;
};
static struct burst_thread burst_thread[WAYS][MAX_CONSUMERS];

static void *burst_consumer(void *arg)
{
	const struct burst_thread *self = arg;
	uint64_t until;
	void *x;

	while (self->way->wait(self->me, &x)) {
		until = peer_now() + burst_work;
		while (burst_work && peer_now() < until)
			;
		received[(uintptr_t)x / 16] = peer_now();
		atomic_fetch_add(&received_nr, 1);
	}
	if (self->way->open == burst_open)
		baton_burst_leave(consumer[self->me]);
	return NULL;
}

static void burst_start(size_t w, unsigned int m)
{
	unsigned int k;

	ways[w].open(m);
	for (k = 0; k < m; k++) {
		burst_thread[w][k].way = &ways[w];
		burst_thread[w][k].me = k;
		pthread_create(&burst_thread[w][k].t, NULL, burst_consumer, &burst_thread[w][k]);
	}
}

static void burst_stop(size_t w, unsigned int m)
{
	unsigned int k;

	ways[w].close();
	for (k = 0; k < m; k++)
		pthread_join(burst_thread[w][k].t, NULL);
	ways[w].destroy();
}

static uint64_t cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The latencies of some bursts of n items, appended to ns. Returns CPU ns. */
static uint64_t bursts(const struct way *w, unsigned int n, size_t count, uint32_t *ns)
{
	const uint64_t cpu = cpu_now();
	size_t i, at = 0;
	unsigned int k;
	uint64_t t0;

	for (i = 0; i < count; i++) {
		/* All of them sleep by then. */
		usleep(200);
		atomic_store(&received_nr, 0);
		t0 = peer_now();
		for (k = 0; k < n; ) {
			while (k < n && w->offer((void *)(uintptr_t)((k + 1) * 16))) {
				k++;
				if (w->each)
					w->wake_all();
			}
			w->wake_all();
			if (k < n)
				sched_yield();
		}
		while (atomic_load(&received_nr) < n)
			usleep(50);
		for (k = 1; k <= n; k++)
			ns[at++] = (uint32_t)(received[k] - t0);
	}
	return cpu_now() - cpu;
}

static struct bench_result quantiles(const char *name, const uint32_t *ns, size_t n)
{
	struct bench_result r = { .name = name, .unit = "ns" };

	bench_quantiles_u32(&r, ns, n);
	r.value = r.p50;
	return r;
}

/*
 * Where the kernel puts a consumer matters more than what wakes it, and it stays
 * there for long: so each round has new threads. In a round the two that are
 * compared take turns, a few bursts each, and each is the first one as often.
 */
#define BURST_ROUNDS 30
#define BURST_BLOCKS 10
#define BURST_BLOCK 14
#define BURST_N (BURST_ROUNDS * BURST_BLOCKS * BURST_BLOCK * MAX_BURST)

static void put_spread(const struct bench *b, struct bench_result *x, double *ratio, int rounds)
{
	bench_spread(x, ratio, (size_t)rounds);
	bench_put(b, x);
}

/* ways[at] against ways[at + 1]: bursts of n items to m consumers. */
static void burst_pair(const struct bench *b, size_t at, unsigned int n, unsigned int m, int rounds)
{
	static uint32_t ns[2][BURST_N];
	static double p50[BURST_ROUNDS], p99[BURST_ROUNDS], cpu[2][BURST_ROUNDS], cpu_ratio[BURST_ROUNDS];
	const size_t block = (size_t)BURST_BLOCK * n, round = BURST_BLOCKS * block;
	char name[2][64], p99_name[80], cpu_name[2][80];
	struct bench_result x;
	int r, i, h;

	for (r = 0; r < rounds; r++) {
		uint64_t used[2] = { 0, 0 };
		struct bench_result q[2];

		for (h = 0; h < 2; h++)
			burst_start(at + (size_t)h, m);
		for (i = 0; i < 2 * BURST_BLOCKS; i++) {
			h = (i ^ i >> 1) & 1;	/* 0 1 1 0 0 1 1 0 */
			used[h] += bursts(&ways[at + (size_t)h], n, BURST_BLOCK,
					  ns[h] + (size_t)r * round + (size_t)(i / 2) * block);
		}
		for (h = 0; h < 2; h++) {
			burst_stop(at + (size_t)h, m);
			q[h] = quantiles("", ns[h] + (size_t)r * round, round);
			cpu[h][r] = (double)used[h] / 1e3 / (double)round;
		}
		p50[r] = q[1].p50 / q[0].p50;
		p99[r] = q[1].p99 / q[0].p99;
		cpu_ratio[r] = cpu[1][r] / cpu[0][r];
	}
	for (h = 0; h < 2; h++) {
		snprintf(name[h], sizeof(name[h]), "%s_%u_%u%s", ways[at + (size_t)h].name, n, m,
			 burst_work ? "_work20" : "");
		snprintf(cpu_name[h], sizeof(cpu_name[h]), "%s_cpu", name[h]);
		x = quantiles(name[h], ns[h], (size_t)rounds * round);
		if (h) {
			x.baseline = name[0];
			put_spread(b, &x, p50, rounds);
			snprintf(p99_name, sizeof(p99_name), "%s_p99", name[h]);
			x = (struct bench_result){ .name = p99_name, .unit = "ns", .n = x.n, .value = x.p99,
						   .baseline = name[0] };
			put_spread(b, &x, p99, rounds);
		} else {
			bench_put(b, &x);
		}
		x = (struct bench_result){ .name = cpu_name[h], .unit = "s/M", .n = x.n,
					   .value = bench_median(cpu[h], (size_t)rounds) };
		if (h) {
			x.baseline = cpu_name[0];
			put_spread(b, &x, cpu_ratio, rounds);
		} else {
			bench_put(b, &x);
		}
	}
}

static void bench_bursts(const struct bench *b)
{
	static const unsigned int nm[][3] = { { 1, 3 }, { 2, 3 }, { 3, 3 }, { 4, 3 }, { 5, 3 }, { 6, 6 },
					      { 3, 3, 20000 }, { 6, 6, 20000 } };
	int rounds = b->rounds && b->rounds < BURST_ROUNDS ? b->rounds : b->quick ? BURST_ROUNDS / 5 : BURST_ROUNDS;
	size_t i, at;

	if (!bench_wants(b, "burst"))
		return;
	for (i = 0; i < sizeof(nm) / sizeof(*nm); i++) {
		burst_work = nm[i][2];
		for (at = 0; at < WAYS; at += 2)
			burst_pair(b, at, nm[i][0], nm[i][1], rounds);
	}
}

/* --- the first item, to sleeping workers --------------------------------- */

static struct baton_runq *runq;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static void *slot;
static bool over;
static _Atomic uint64_t when;

static void *runq_worker(void *arg)
{
	void *x;

	while (!baton_runq_pop(runq, (unsigned int)(uintptr_t)arg, &x, BATON_FOREVER))
		atomic_store(&when, peer_now());
	return NULL;
}

static void *condvar_worker(void *arg)
{
	pthread_mutex_lock(&lock);
	for (;;) {
		while (!slot && !over)
			pthread_cond_wait(&some, &lock);
		if (over)
			break;
		slot = NULL;
		pthread_mutex_unlock(&lock);
		atomic_store(&when, peer_now());
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void runq_add(void)
{
	if (baton_runq_submit(runq, (void *)16))
		abort();
}

static void condvar_add(void)
{
	pthread_mutex_lock(&lock);
	slot = (void *)16;
	pthread_mutex_unlock(&lock);
	pthread_cond_signal(&some);
}

static void bench_first(const struct bench *b)
{
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = 3 };
	size_t count = b->quick ? 500 : 3000, i;
	uint32_t *ns[2] = { malloc(count * 4), malloc(count * 4) };
	struct bench_result x;
	pthread_t t[6];
	uint64_t t0;
	int w;

	if (!bench_wants(b, "first_item") || baton_runq_create(&runq, &o))
		return;
	for (i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, i < 3 ? runq_worker : condvar_worker, (void *)(uintptr_t)(i % 3));
	for (i = 0; i < count; i++) {
		for (w = 0; w < 2; w++) {
			usleep(300);
			atomic_store(&when, 0);
			t0 = peer_now();
			w ? condvar_add() : runq_add();
			while (!atomic_load(&when))
				usleep(20);
			ns[w][i] = (uint32_t)(atomic_load(&when) - t0);
		}
	}
	baton_runq_close(runq);
	pthread_mutex_lock(&lock);
	over = true;
	pthread_mutex_unlock(&lock);
	pthread_cond_broadcast(&some);
	for (i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	baton_runq_destroy(runq);
	x = quantiles("first_item_condvar", ns[1], count);
	t0 = (uint64_t)x.p50;
	bench_put(b, &x);
	x = quantiles("first_item_runq", ns[0], count);
	x.baseline = "first_item_condvar";
	x.ratio = x.p50 / (double)t0;
	bench_put(b, &x);
	free(ns[0]);
	free(ns[1]);
}

/* --- making a ring ------------------------------------------------------- */

static void bench_create(const struct bench *b)
{
	const size_t capacity = 1 << 20;
	double make[21], touch[21], ratio[21];
	struct bench_result r = { .name = "touch_all", .unit = "ns", .n = 21 };
	struct baton_ring *ring;
	uint64_t t0;
	int i;

	if (!bench_wants(b, "ring_create"))
		return;
	for (i = 0; i < 21; i++) {
		uintptr_t *v;
		size_t k;

		t0 = peer_now();
		if (baton_ring_create(&ring, capacity))
			abort();
		make[i] = (double)(peer_now() - t0);
		baton_ring_destroy(ring);
		t0 = peer_now();
		v = mmap(NULL, capacity * sizeof(*v), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (k = 0; k < capacity; k++)
			*(volatile uintptr_t *)&v[k] = k;
		touch[i] = (double)(peer_now() - t0);
		munmap(v, capacity * sizeof(*v));
		ratio[i] = make[i] / touch[i];
	}
	r.value = bench_median(touch, 21);
	bench_put(b, &r);
	r = (struct bench_result){ .name = "ring_create", .unit = "ns", .n = 21, .baseline = "touch_all",
				   .value = bench_median(make, 21), .ratio = bench_median(ratio, 21) };
	bench_put(b, &r);
}

/* --- idle ---------------------------------------------------------------- */

/* The test that counts it, for ten seconds. */
static void bench_idle(const struct bench *b)
{
	struct bench_result r = { .name = "idle_64_workers", .unit = "%", .n = 10 };
	unsigned long wakes = 0, n;
	char cmd[600], line[256], self[512];
	bool found = false;
	ssize_t len;
	FILE *f;

	if (!bench_wants(b, "idle"))
		return;
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[len < 0 ? 0 : len] = 0;
	if (strrchr(self, '/'))
		*strrchr(self, '/') = 0;
	snprintf(cmd, sizeof(cmd), "'%s/../../selftests/queue/idle' %d 2>&1", self, b->quick ? 2 : 10);
	f = popen(cmd, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "# %lu wake-ups, %lf %% CPU", &n, &r.value) == 2) {
			found = true;
			wakes = n;
		}
	if (f)
		pclose(f);
	if (!found)
		r.skipped = "selftests/queue/idle gave no number; make all builds it";
	bench_put(b, &r);
	if (!found)
		return;
	r = (struct bench_result){ .name = "idle_64_workers_syscalls", .unit = "count", .n = 10, .value = (double)wakes };
	bench_put(b, &r);
}

void others(const struct bench *b)
{
	bench_bursts(b);
	bench_first(b);
	bench_create(b);
	bench_idle(b);
}
