// SPDX-License-Identifier: GPL-2.0-or-later
/* See bench_quota.h. */
#include "bench_quota.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <baton/baton.h>

#include "bench.h"

#define MAX_ROUNDS 16

static void run(struct baton_tenant *t, baton_task_fn *fn, void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = fn, .arg = arg };
	struct baton_request *r;

	if (baton_submit(t, &o, &r))
		abort();
	baton_request_wait(r);
	baton_request_put(r);
}

struct checkpoints {
	unsigned long n;
	uint64_t ns;
};

static void checkpoints(void *arg)
{
	struct checkpoints *c = arg;
	uint64_t begin = baton_clock_now();
	unsigned long i;

	for (i = 0; i < c->n; i++)
		baton_checkpoint();
	c->ns = baton_clock_now() - begin;
}

void bench_quota_checkpoint(struct baton_tenant *t, double *ns, unsigned long *n)
{
	struct checkpoints c = { .n = 20000000 };
	double round[5];
	int i;

	for (i = 0; i < 5; i++) {
		run(t, checkpoints, &c);
		round[i] = (double)c.ns / (double)c.n;
	}
	*ns = bench_median(round, 5);
	*n = c.n;
}

/*
 * The bare switch: as many threads in a ring, and nothing but switch_to. Two are
 * the pair of bench switch; with more none answers before its waker sleeps.
 */
struct bare {
	struct baton_parker *parker;
	struct bare *next;
	pthread_t thread;
};
/* Fields of the thread that has the turn. The first lap is not measured: it fills the caches. */
static unsigned long bare_left, bare_n;
static uint64_t bare_begin;
static _Atomic unsigned bare_ready;
static struct baton_parker *bare_done;

static void *bare_member(void *arg)
{
	struct bare *me = arg;

	atomic_fetch_add(&bare_ready, 1);
	baton_parker_block(me->parker, BATON_FOREVER);
	while (bare_left > 1) {
		if (bare_left == bare_n)
			bare_begin = baton_clock_now();
		bare_left--;
		baton_parker_switch_to(me->parker, me->next->parker, BATON_FOREVER);
	}
	if (bare_left == 1) {
		bare_left = 0;
		baton_parker_resume(bare_done);
	}
	/* Each wakes the next, until all have ended. */
	baton_parker_resume(me->next->parker);
	return NULL;
}

static bool bare_switch(unsigned threads, unsigned long n, double *ns)
{
	struct bare *ring = calloc(threads, sizeof(*ring));
	pthread_attr_t attr;
	unsigned i;

	if (!ring || baton_parker_create(&bare_done))
		return false;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	bare_left = n + threads;
	bare_n = n;
	bare_ready = 0;
	for (i = 0; i < threads; i++)
		if (baton_parker_create(&ring[i].parker))
			return false;
	for (i = 0; i < threads; i++) {
		ring[i].next = &ring[(i + 1) % threads];
		if (pthread_create(&ring[i].thread, &attr, bare_member, &ring[i]))
			return false;
	}
	while (bare_ready < threads)
		usleep(1000);
	baton_parker_resume(ring[0].parker);
	baton_parker_block(bare_done, BATON_FOREVER);
	*ns = (double)(baton_clock_now() - bare_begin) / (double)n;
	for (i = 0; i < threads; i++)
		pthread_join(ring[i].thread, NULL);
	for (i = 0; i < threads; i++)
		baton_parker_destroy(ring[i].parker);
	baton_parker_destroy(bare_done);
	free(ring);
	return true;
}

/* The ring: each waits for its semaphore, and then posts the next one's. */
static struct baton_sem **ring;
static unsigned ring_size;
static unsigned long ring_left;
static uint64_t ring_begin, ring_ns;
static unsigned long ring_n;
static struct baton_sem *ring_done;

static void member(void *arg)
{
	size_t me = (size_t)arg;

	for (;;) {
		baton_sem_wait(ring[me]);
		if (ring_left == ring_n)
			ring_begin = baton_clock_now();
		if (ring_left && !--ring_left) {
			ring_ns = baton_clock_now() - ring_begin;
			baton_sem_post(ring_done);
		}
		if (!ring_n)
			break;
		if (ring_left)
			baton_sem_post(ring[(me + 1) % ring_size]);
	}
}

static double bench_ring_ns;

static void one_round(void *arg)
{
	ring_left = ring_n;
	baton_sem_post(ring[0]);
	baton_sem_wait(ring_done);
	bench_ring_ns = (double)ring_ns / (double)ring_n;
}

bool bench_quota_switch(struct baton_sched *s, struct baton_tenant *t, unsigned tasks, unsigned long n,
			unsigned rounds, double *ns, double *ratio)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = member };
	double value[MAX_ROUNDS], times[MAX_ROUNDS];
	size_t i;

	ring_size = tasks;
	ring = calloc(tasks, sizeof(*ring));
	if (!ring || baton_sem_create(&ring_done, s, 0))
		return false;
	for (i = 0; i < tasks; i++)
		if (baton_sem_create(&ring[i], s, 0))
			return false;
	for (i = 0; i < tasks; i++) {
		o.arg = (void *)i;
		if (baton_submit(t, &o, NULL))
			return false;
	}
	/* A first round brings every thread into being. */
	ring_n = tasks;
	run(t, one_round, NULL);
	for (i = 0; i < rounds && i < MAX_ROUNDS; i++) {
		double bare;

		if (!bare_switch(tasks, n, &bare))
			return false;
		ring_n = n;
		run(t, one_round, NULL);
		value[i] = bench_ring_ns;
		times[i] = bench_ring_ns / bare;
	}
	*ns = bench_median(value, rounds);
	*ratio = bench_median(times, rounds);
	return true;
}
