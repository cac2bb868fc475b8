// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * histories.c - short bursts of operations by real threads, recorded, and each
 * history checked for linearizability. steps.c tries orders on one CPU; here it
 * is the CPU's own memory order, with delays at the injection points.
 */
#include <baton/deque.h>
#include <baton/queue.h>
#include <baton/ring.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define DELAYS 16
#include "delays.h"
#include "lin.h"
#include "../../lib/src/deque.h"
#include "../../lib/src/ring.h"

#define THREADS 3
#define OPS 3
#ifndef ROUNDS
#ifdef BTN_TSAN
#define ROUNDS 3000
#else
#define ROUNDS 20000
#endif
#endif

static struct lin history;
static _Atomic uint64_t now;
static _Atomic unsigned int go, done;
static void (*operation)(unsigned int me, unsigned int k, uint32_t dice, struct lin_op *o);
static unsigned int rounds_done;
static bool bad;

static struct baton_ring *ring;
static struct baton_queue *queue;
static struct baton_deque *deque;

static void *item(unsigned int me, unsigned int k)
{
	return (void *)(uintptr_t)(16 * (1 + me * OPS + k));
}

static void *worker(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, round, k;
	uint32_t dice = me + 1;

	for (round = 1; round <= ROUNDS; round++) {
		while (atomic_load(&go) < round)
			sched_yield();
		if (atomic_load(&go) > ROUNDS)
			break;
		for (k = 0; k < OPS; k++) {
			struct lin_op *o = &history.op[me * OPS + k];

			o->n = 0;
			o->call = atomic_fetch_add(&now, 1);
			operation(me, k, roll(&dice), o);
			o->ret = atomic_fetch_add(&now, 1);
		}
		atomic_fetch_add(&done, 1);
	}
	return NULL;
}

static void record(void (*fn)(unsigned int, unsigned int, uint32_t, struct lin_op *),
		   void (*between)(unsigned int round))
{
	pthread_t t[THREADS];
	unsigned int i, round;

	operation = fn;
	bad = false;
	history.nr = THREADS * OPS;
	atomic_store(&go, 0);
	atomic_store(&done, 0);
	for (i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, worker, (void *)(uintptr_t)i), 0);
	for (round = 1; round <= ROUNDS && !bad; round++) {
		between(round);
		atomic_store(&now, 100);
		atomic_store(&done, 0);
		atomic_store(&go, round);
		while (atomic_load(&done) < THREADS)
			sched_yield();
		bad = !lin_check(&history);
	}
	rounds_done = round - 1;
	atomic_store(&go, ROUNDS + 1);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	if (bad)
		lin_print(&history, stdout);
	CHECK_MSG(!bad, "history %u is not linearizable", rounds_done);
}

static void ring_op(unsigned int me, unsigned int k, uint32_t dice, struct lin_op *o)
{
	o->kind = dice & 1 ? LIN_PUSH : LIN_TAKE_OLD;
	o->asked = 1 + (dice >> 8) % 2;
	if (o->kind == LIN_PUSH) {
		o->v[0] = (uintptr_t)item(me, k);
		o->v[1] = o->v[0] + 8;
		o->n = o->asked == 1 ? baton_ring_push(ring, (void *)o->v[0]) :
				       (unsigned int)baton_ring_push_n(ring, (void *const *)o->v, 2);
	} else {
		o->n = o->asked == 1 ? baton_ring_pop(ring, (void **)o->v) :
				       (unsigned int)baton_ring_pop_n(ring, (void **)o->v, 2);
	}
}

static void ring_between(unsigned int round)
{
	baton_ring_destroy(ring);
	CHECK_ANY(!baton_ring_create(&ring, 2));
	btn_ring_start_at(ring, UINT64_MAX - round % 4);
	history.capacity = 2;
	history.weak = true;
}

TEST(ring)
{
	record(ring_op, ring_between);
	baton_ring_destroy(ring);
	ring = NULL;
}

static void queue_op(unsigned int me, unsigned int k, uint32_t dice, struct lin_op *o)
{
	o->kind = dice & 1 ? LIN_PUSH : LIN_TAKE_OLD;
	o->asked = 1;
	if (o->kind == LIN_PUSH) {
		o->v[0] = (uintptr_t)item(me, k);
		o->n = !baton_queue_push(queue, (void *)o->v[0]);
	} else if (dice & 2) {
		o->asked = LIN_BULK;
		o->n = (unsigned int)baton_queue_pop_n(queue, (void **)o->v, LIN_BULK);
	} else {
		o->n = baton_queue_pop(queue, (void **)o->v);
	}
}

/* The same queue all the time, so that its segments come and go. */
static void queue_between(unsigned int round)
{
	void *x;

	while (baton_queue_pop(queue, &x))
		;
	history.capacity = 0;
	history.weak = false;
}

TEST(queue)
{
	CHECK_EQ(baton_queue_create(&queue), 0);
	record(queue_op, queue_between);
	baton_queue_destroy(queue);
}

/* Thread 0 is the owner. */
static void deque_op(unsigned int me, unsigned int k, uint32_t dice, struct lin_op *o)
{
	if (me) {
		o->kind = LIN_STEAL;
		o->asked = 1 + dice % LIN_BULK;
		o->n = (unsigned int)baton_deque_steal(deque, (void **)o->v, o->asked);
		return;
	}
	o->asked = 1;
	if (dice % 3) {
		o->kind = LIN_PUSH;
		o->v[0] = (uintptr_t)item(me, k);
		o->n = !baton_deque_push(deque, (void *)o->v[0]);
	} else {
		o->kind = LIN_TAKE_NEW;
		o->n = baton_deque_pop(deque, (void **)o->v);
	}
}

static void deque_between(unsigned int round)
{
	unsigned int i;

	baton_deque_destroy(deque);
	CHECK_ANY(!baton_deque_create(&deque));
	btn_deque_start_at(deque, UINT32_MAX - round % 4);
	history.capacity = 0;
	history.weak = false;
	/* Some are there before, as pushes that came first. */
	history.nr = THREADS * OPS;
	for (i = 0; i < round % 5; i++) {
		struct lin_op *o = &history.op[history.nr++];

		*o = (struct lin_op){ .kind = LIN_PUSH, .call = 2 * i, .ret = 2 * i + 1, .asked = 1, .n = 1,
				      .v = { 1600 + 16 * i } };
		CHECK_ANY(!baton_deque_push(deque, (void *)o->v[0]));
	}
}

TEST(deque)
{
	record(deque_op, deque_between);
	baton_deque_destroy(deque);
	deque = NULL;
}

/* The checker itself: what must not pass. */
TEST(checker_rejects)
{
	struct lin l = { .nr = 3 };

	/* Two pushes one after the other, the second comes out, the first is never seen. */
	l.op[0] = (struct lin_op){ .kind = LIN_PUSH, .call = 1, .ret = 2, .asked = 1, .n = 1, .v = { 16 } };
	l.op[1] = (struct lin_op){ .kind = LIN_PUSH, .call = 3, .ret = 4, .asked = 1, .n = 1, .v = { 32 } };
	l.op[2] = (struct lin_op){ .kind = LIN_TAKE_OLD, .call = 5, .ret = 6, .asked = 1, .n = 1, .v = { 32 } };
	CHECK(!lin_check(&l));
	/* At the same time: either may be first. */
	l.op[1].call = 1;
	CHECK(lin_check(&l));
	/* Empty is wrong then. */
	l.op[2].n = 0;
	CHECK(!lin_check(&l));
	l.op[2].call = 3;
	CHECK(!lin_check(&l));
	l.op[0].ret = l.op[1].ret = 9;
	CHECK(lin_check(&l));
	/* Twice the same item. */
	l.op[1] = l.op[2] = (struct lin_op){ .kind = LIN_TAKE_OLD, .call = 1, .ret = 9, .asked = 1, .n = 1, .v = { 16 } };
	CHECK(!lin_check(&l));
}
