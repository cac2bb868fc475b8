// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * flood.c - many items through each structure, by several threads, each item
 * counted and each producer's order checked.
 *
 * ITEMS go through each case; flood_full.c has 10^8. Built with BTN_INJECT the
 * critical windows are held open now and then.
 */
#define BATON_INLINE
#include "../../lib/src/ring.h"
#include <baton/burst.h>
#include <baton/deque.h>
#include <baton/queue.h>
#include <baton/runq.h>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define DELAYS 256
#include "delays.h"
#include "../../lib/src/deque.h"

#ifndef ITEMS
#if defined(BTN_TSAN) && !defined(BTN_INJECT)
/* With delays, and more items, in make test. */
#define ITEMS 30000
#elif defined(BTN_INJECT)
#define ITEMS 100000
#else
#define ITEMS 300000
#endif
#endif

#define THREADS 3
#define BULK 32

/* An item is who made it and its number there; even, not NULL, no address. */
static void *item(unsigned int who, uint64_t nr)
{
	return (void *)(((uint64_t)(who + 1) << 48) | (nr + 1) << 1);
}

static unsigned int who_of(void *x)
{
	return (unsigned int)((uintptr_t)x >> 48) - 1;
}

static uint64_t nr_of(void *x)
{
	return (((uintptr_t)x & 0xffffffffffff) >> 1) - 1;
}

/* The items that one consumer saw of each producer. */
struct seen {
	uint64_t next[THREADS];		/* no smaller number may come */
	uint64_t sum[THREADS], count[THREADS];
	bool bad;
	uint64_t pad[16];
};

static struct seen seen[THREADS];
static uint64_t quota[THREADS], made[THREADS];
static _Atomic uint64_t taken;
static uint64_t total;
static bool ordered;

static void see(unsigned int me, void *x)
{
	struct seen *s = &seen[me];
	unsigned int who = who_of(x);

	if (who >= THREADS || nr_of(x) >= quota[who] || (ordered && nr_of(x) < s->next[who])) {
		s->bad = true;
		return;
	}
	s->next[who] = nr_of(x) + 1;
	s->sum[who] += nr_of(x) + 1;
	s->count[who]++;
}

static void wait_a_bit(unsigned int *spins)
{
	if (++*spins % 64 == 0)
		sched_yield();
	else
		btn_cpu_relax();
}

/* Notes what came out, if anything did. */
static size_t got(unsigned int me, void *const *v, size_t n, unsigned int *spins)
{
	size_t k;

	if (!n)
		wait_a_bit(spins);
	for (k = 0; k < n; k++)
		see(me, v[k]);
	return n;
}

static void prepare(uint64_t items, bool in_order)
{
	unsigned int i;

	memset(seen, 0, sizeof(seen));
	memset(made, 0, sizeof(made));
	total = 0;
	for (i = 0; i < THREADS; i++)
		total += quota[i] = items / THREADS;
	atomic_store(&taken, 0);
	ordered = in_order;
}

static void verify(void)
{
	unsigned int i, k;

	for (k = 0; k < THREADS; k++) {
		uint64_t sum = 0, count = 0;

		for (i = 0; i < THREADS; i++) {
			CHECK_MSG(!seen[i].bad, "consumer %u got an item out of order or twice, or one that nobody made", i);
			sum += seen[i].sum[k];
			count += seen[i].count[k];
		}
		CHECK_EQ(count, quota[k]);
		CHECK_EQ(sum, quota[k] * (quota[k] + 1) / 2);
	}
}

static void run_threads(void *(**fn)(void *), unsigned int n)
{
	pthread_t t[2 * THREADS];
	unsigned int i;

	for (i = 0; i < n; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, fn[i], (void *)(uintptr_t)(i % THREADS)), 0);
	for (i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

static void produce_and_consume(void *(*produce)(void *), void *(*consume)(void *))
{
	void *(*fn[])(void *) = { produce, produce, produce, consume, consume, consume };

	run_threads(fn, 2 * THREADS);
	verify();
}

/* --- ring ---------------------------------------------------------------- */

static struct baton_ring *ring;

/* Number 0 calls the library, the others have its code inside. */
static void *ring_producer(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, spins = 0;
	uint64_t i;

	for (i = 0; i < quota[me]; i++)
		while (!(me ? baton_ring_push(ring, item(me, i)) : (baton_ring_push)(ring, item(me, i))))
			wait_a_bit(&spins);
	return NULL;
}

static void *ring_consumer(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, spins = 0;
	uint64_t left = quota[me];
	void *x;

	while (left)
		left -= got(me, &x, me ? baton_ring_pop(ring, &x) : (baton_ring_pop)(ring, &x), &spins);
	return NULL;
}

static void *ring_bulk_producer(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, spins = 0;
	void *v[BULK];
	uint64_t i = 0;
	size_t k, n;

	while (i < quota[me]) {
		n = quota[me] - i < BULK ? quota[me] - i : BULK;
		for (k = 0; k < n; k++)
			v[k] = item(me, i + k);
		k = baton_ring_push_n(ring, v, n);
		if (!k)
			wait_a_bit(&spins);
		i += k;
	}
	return NULL;
}

static void *ring_bulk_consumer(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, spins = 0;
	uint64_t left = quota[me];
	void *v[BULK];

	while (left)
		left -= got(me, v, baton_ring_pop_n(ring, v, left < BULK ? left : BULK), &spins);
	return NULL;
}

static void ring_flood(size_t capacity, uint64_t start, bool bulk)
{
	prepare(ITEMS, true);
	CHECK_EQ(baton_ring_create(&ring, capacity), 0);
	if (start)
		btn_ring_start_at(ring, start);
	produce_and_consume(bulk ? ring_bulk_producer : ring_producer,
			    bulk ? ring_bulk_consumer : ring_consumer);
	CHECK_EQ(baton_ring_count(ring), 0);
	baton_ring_destroy(ring);
}

TEST(ring)
{
	ring_flood(1024, 0, false);
}

TEST(ring_small_and_wrapping)
{
	ring_flood(2, UINT64_MAX - ITEMS / 2, false);
	ring_flood(64, UINT64_MAX - ITEMS / 2, false);
}

TEST(ring_bulk)
{
	ring_flood(1024, 0, true);
	ring_flood(16, UINT64_MAX - ITEMS / 2, true);
}

/* --- queue --------------------------------------------------------------- */

static struct baton_queue *queue;

static void *queue_producer(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	uint64_t i;

	for (i = 0; i < quota[me]; i++)
		CHECK_ANY(!baton_queue_push(queue, item(me, i)));
	return NULL;
}

static void *queue_consumer(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, spins = 0;
	uint64_t left = quota[me];
	void *v[BULK];

	/* Single items and several in turn. */
	while (left)
		left -= got(me, v, left % 2 ? baton_queue_pop(queue, v) :
				   baton_queue_pop_n(queue, v, left < 3 ? left : 3), &spins);
	return NULL;
}

TEST(queue)
{
	prepare(ITEMS, true);
	CHECK_EQ(baton_queue_create(&queue), 0);
	produce_and_consume(queue_producer, queue_consumer);
	CHECK(baton_queue_empty(queue));
	baton_queue_destroy(queue);
}

/* --- deque --------------------------------------------------------------- */

static struct baton_deque *deque;

/* Makes everything, takes back some itself; the others steal. */
static void *deque_owner(void *arg)
{
	uint64_t n[THREADS] = { 0 }, left = total;
	unsigned int who = 0;
	void *x;

	while (left) {
		who = (who + 1) % THREADS;
		if (n[who] < quota[who]) {
			CHECK_ANY(!baton_deque_push(deque, item(who, n[who])));
			n[who]++;
			left--;
		}
		if (left % 4 == 0 && baton_deque_pop(deque, &x)) {
			see(0, x);
			atomic_fetch_add(&taken, 1);
		}
		/* Not more than the thieves can bear: memory is not the test. */
		while (baton_deque_count(deque) > 100000)
			sched_yield();
	}
	while (baton_deque_pop(deque, &x)) {
		see(0, x);
		atomic_fetch_add(&taken, 1);
	}
	return NULL;
}

static void *deque_thief(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, spins = 0;
	void *v[BULK];
	size_t n;

	while (atomic_load(&taken) < total) {
		n = got(me, v, baton_deque_steal(deque, v, 1 + spins % BULK), &spins);
		if (n)
			atomic_fetch_add(&taken, n);
		spins++;
	}
	return NULL;
}

TEST(deque)
{
	void *(*fn[])(void *) = { deque_owner, deque_thief, deque_thief };

	prepare(ITEMS, false);
	CHECK_EQ(baton_deque_create(&deque), 0);
	btn_deque_start_at(deque, UINT32_MAX - ITEMS / 4);
	run_threads(fn, 3);
	verify();
	CHECK_EQ(baton_deque_count(deque), 0);
	baton_deque_destroy(deque);
}

/* --- runq ---------------------------------------------------------------- */

static struct baton_runq *runq;

/* Each item of producer 0 makes one of producer 1, and that one of 2. */
static void *runq_worker(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	void *x;

	while (!baton_runq_pop(runq, me, &x, BATON_FOREVER)) {
		see(me, x);
		if (who_of(x) + 1 < THREADS)
			CHECK_ANY(!baton_runq_push(runq, me, item(who_of(x) + 1, nr_of(x))));
		if (atomic_fetch_add(&taken, 1) + 1 == total)
			baton_runq_close(runq);
	}
	return NULL;
}

static void *runq_submitter(void *arg)
{
	uint64_t i;

	for (i = 0; i < quota[0]; i++) {
		CHECK_ANY(!(i % 16 ? baton_runq_submit(runq, item(0, i)) :
				     baton_runq_submit_control(runq, item(0, i))));
		/* Now and then they all run dry and sleep. */
		if (i % 5000 == 0)
			usleep(50);
	}
	return NULL;
}

TEST(runq)
{
	void *(*fn[])(void *) = { runq_worker, runq_worker, runq_worker, runq_submitter };
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = THREADS, .local = 64 };

	prepare(ITEMS, false);
	CHECK_EQ(baton_runq_create(&runq, &o), 0);
	run_threads(fn, 4);
	verify();
	baton_runq_destroy(runq);
}

/* A task may spawn millions, each of them more, with one worker or many. */
static void *spawner(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	uint64_t i, n = quota[1];
	void *x;

	while (!baton_runq_pop(runq, me, &x, BATON_FOREVER)) {
		see(me, x);
		if (who_of(x) == 0)
			for (i = 0; i < n; i++)
				CHECK_ANY(!baton_runq_push(runq, me, item(1, nr_of(x) * n + i)));
		if (atomic_fetch_add(&taken, 1) + 1 == total)
			baton_runq_close(runq);
	}
	return NULL;
}

TEST(tasks_that_spawn_millions)
{
	void *(*fn[])(void *) = { spawner, spawner, spawner };
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = THREADS };
	unsigned int workers;

	for (workers = 1; workers <= THREADS; workers += 2) {
		prepare(0, false);
		quota[0] = 1;
		quota[1] = ITEMS;
		total = quota[0] + quota[1];
		CHECK_EQ(baton_runq_create(&runq, &o), 0);
		CHECK_EQ(baton_runq_submit(runq, item(0, 0)), 0);
		run_threads(fn, workers);
		verify();
		baton_runq_destroy(runq);
	}
}

/* --- burst --------------------------------------------------------------- */

static struct baton_burst *burst;
/*
 * A quick consumer also takes what others are slow to take, so what a consumer gets
 * has no order. But each item comes once: a bit each.
 */
static _Atomic uint64_t *came[THREADS];

static void came_once(unsigned int me, void *x)
{
	const uint64_t nr = nr_of(x), bit = UINT64_C(1) << nr % 64;

	see(me, x);
	if (!seen[me].bad && atomic_fetch_or(&came[who_of(x)][nr / 64], bit) & bit)
		seen[me].bad = true;
}

static void *burst_consumer(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	struct baton_burst_consumer *c;
	uint64_t n = 0;
	void *x;
	int err;

	CHECK_ANY(!baton_burst_join(burst, &c));
	for (;;) {
		/* Sometimes by the clock, and sometimes it goes and comes back. */
		err = baton_burst_wait(c, &x, n % 3 ? BATON_FOREVER : baton_clock_now() + 20000);
		if (err == -EPIPE)
			break;
		CHECK_ANY(!err || err == -ETIMEDOUT);
		if (!err)
			came_once(me, x);
		if (++n % 1000 == 0) {
			baton_burst_leave(c);
			err = baton_burst_join(burst, &c);
			if (err == -EPIPE)
				return NULL;
			CHECK_ANY(!err);
		}
	}
	baton_burst_leave(c);
	return NULL;
}

static void *burst_sender(void *arg)
{
	uint64_t n[THREADS] = { 0 }, left = total;
	unsigned int who = 0, k;

	while (left) {
		for (k = 0; k < 4 && left; k++) {
			while (n[who] == quota[who])
				who = (who + 1) % THREADS;
			if (baton_burst_offer(burst, item(who, n[who])))
				break;
			n[who]++;
			left--;
			who = (who + 1) % THREADS;
		}
		if (!baton_burst_wake_all(burst))
			sched_yield();
	}
	baton_burst_close(burst);
	return NULL;
}

TEST(burst)
{
	void *(*fn[])(void *) = { burst_consumer, burst_consumer, burst_consumer, burst_sender };
	unsigned int i;

	/* A system call or two for each. */
	prepare(ITEMS / 20, false);
	for (i = 0; i < THREADS; i++) {
		came[i] = calloc(quota[i] / 64 + 1, sizeof(*came[i]));
		CHECK_ANY(came[i]);
	}
	CHECK_EQ(baton_burst_create(&burst), 0);
	run_threads(fn, 4);
	verify();
	baton_burst_destroy(burst);
	for (i = 0; i < THREADS; i++)
		free(came[i]);
}
