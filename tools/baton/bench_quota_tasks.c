// SPDX-License-Identifier: GPL-2.0-or-later
/* See bench_quota.h. */
#include "bench_quota.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

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

/* The bare switch: two threads, as in bench switch. */
struct pair {
	struct baton_parker *parker[2];
	unsigned long n;
};

static void *bare_other(void *arg)
{
	struct pair *p = arg;
	unsigned long i;

	baton_parker_block(p->parker[1], BATON_FOREVER);
	for (i = 1; i < p->n / 2; i++)
		baton_parker_switch_to(p->parker[1], p->parker[0], BATON_FOREVER);
	baton_parker_resume(p->parker[0]);
	return NULL;
}

static double bare_switch(unsigned long n)
{
	struct pair p = { .n = n };
	pthread_t thread;
	uint64_t begin;
	unsigned long i;

	if (baton_parker_create(&p.parker[0]) || baton_parker_create(&p.parker[1]) ||
	    pthread_create(&thread, NULL, bare_other, &p))
		abort();
	begin = baton_clock_now();
	for (i = 0; i < n / 2; i++)
		baton_parker_switch_to(p.parker[0], p.parker[1], BATON_FOREVER);
	begin = baton_clock_now() - begin;
	pthread_join(thread, NULL);
	baton_parker_destroy(p.parker[0]);
	baton_parker_destroy(p.parker[1]);
	return (double)begin / (double)n;
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
		double bare = bare_switch(n);

		ring_n = n;
		run(t, one_round, NULL);
		value[i] = bench_ring_ns;
		times[i] = bench_ring_ns / bare;
	}
	*ns = bench_median(value, rounds);
	*ratio = bench_median(times, rounds);
	return true;
}
