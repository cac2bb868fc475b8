// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * basic.c - one thread: contracts, limits, bad arguments, and memory that is
 * not there. Built with BTN_INJECT every allocation fails once.
 */
#include <baton/burst.h>
#include <baton/deque.h>
#include <baton/queue.h>
#include <baton/ring.h>
#include <baton/runq.h>

#include <sys/mman.h>
#include <time.h>

#include "tap.h"
#include "../../lib/src/deque.h"
#include "../../lib/src/inject.h"
#include "../../lib/src/queue.h"
#include "../../lib/src/ring.h"

static void *item(uint64_t i)
{
	return (void *)(uintptr_t)((i + 1) * 16);
}

/* --- ring ---------------------------------------------------------------- */

static struct baton_ring *ring;

TEST(ring_create_says_what_is_wrong)
{
	static const size_t bad[] = { 0, 1, 3, 1000, SIZE_MAX, (size_t)1 << 41, (size_t)1 << 63 };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ring = (void *)1;
		CHECK_EQ(baton_ring_create(&ring, bad[i]), -EINVAL);
		CHECK(!ring);
	}
	baton_ring_destroy(NULL);
}

TEST(ring_fills_and_empties_at_every_index)
{
	static const uint64_t starts[] = { 0, 1, 3, 4, UINT64_MAX, UINT64_MAX - 2, UINT64_MAX / 2 };
	size_t i, k, lap;
	void *x;

	for (i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		CHECK_EQ(baton_ring_create(&ring, 4), 0);
		btn_ring_start_at(ring, starts[i]);
		for (lap = 0; lap < 5; lap++) {
			CHECK(!baton_ring_pop(ring, &x));
			for (k = 0; k < 4; k++) {
				CHECK_EQ(baton_ring_count(ring), k);
				CHECK(baton_ring_push(ring, item(k)));
			}
			CHECK(!baton_ring_push(ring, item(9)));
			CHECK_EQ(baton_ring_count(ring), 4);
			for (k = 0; k < 4; k++) {
				CHECK(baton_ring_pop(ring, &x));
				CHECK(x == item(k));
			}
		}
		/* Not a whole lap each time. */
		for (lap = 0; lap < 9; lap++) {
			void *v[8] = { item(1), item(2), item(3), item(4), item(5) }, *w[8];

			CHECK_EQ(baton_ring_push_n(ring, v, 0), 0);
			CHECK_EQ(baton_ring_push_n(ring, v, 3), 3);
			CHECK_EQ(baton_ring_push_n(ring, v + 3, 2), 1);
			CHECK_EQ(baton_ring_pop_n(ring, w, 3), 3);
			CHECK_EQ(baton_ring_push_n(ring, v + 4, 1), 1);
			CHECK_EQ(baton_ring_pop_n(ring, w + 3, 5), 2);
			CHECK_EQ(baton_ring_pop_n(ring, w, 5), 0);
			CHECK(!memcmp(v, w, 5 * sizeof(*v)));
		}
		baton_ring_destroy(ring);
	}
}

TEST(ring_create_touches_no_slot)
{
	unsigned char in[64];
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at;

	CHECK_EQ(baton_ring_create(&ring, 1 << 20), 0);
	at = ((uintptr_t)baton_ring_slot(ring, 1 << 19) + page - 1) & -page;
	CHECK_EQ(mincore((void *)at, sizeof(in) * page, in), 0);
	for (size_t i = 0; i < sizeof(in); i++)
		CHECK_MSG(!(in[i] & 1), "page %zu of the slots was touched", i);
	baton_ring_destroy(ring);
}

static void push_null(void) { baton_ring_push(ring, NULL); }
static void push_odd(void) { baton_ring_push(ring, (void *)17); }
static void push_n_odd(void) { void *v[] = { item(1), (void *)17 }; baton_ring_push_n(ring, v, 2); }

TEST(ring_refuses_what_it_cannot_hold)
{
	CHECK_EQ(baton_ring_create(&ring, 4), 0);
	tap_dies(push_null, "an item must not be NULL");
	tap_dies(push_odd, "an item must not be NULL nor odd");
	tap_dies(push_n_odd, "an item must not be NULL nor odd");
	baton_ring_destroy(ring);
}

/* --- queue --------------------------------------------------------------- */

static struct baton_queue *queue;
static void queue_null(void) { baton_queue_push(queue, NULL); }

TEST(queue_is_fifo_and_gives_memory_back)
{
	const uint64_t n = 20 * BTN_QUEUE_ITEMS + 7;
	uint64_t i, most;
	void *x = NULL;

	CHECK_EQ(baton_queue_create(&queue), 0);
	CHECK(!baton_queue_pop(queue, &x));
	for (i = 0; i < n; i++)
		CHECK_EQ(baton_queue_push(queue, item(i)), 0);
	most = queue->segments;
	CHECK_CMP(most, >=, 20);
	for (i = 0; i < n; i++) {
		CHECK(!baton_queue_empty(queue));
		CHECK(baton_queue_pop(queue, &x));
		CHECK(x == item(i));
	}
	CHECK(baton_queue_empty(queue));
	CHECK(!baton_queue_pop(queue, &x));
	/* The last one, the spares, those not looked at yet, those in use. */
	CHECK_CMP(queue->segments, <=, 1 + BTN_QUEUE_SPARES + 3 + 2);
	/* Round and round without growing. */
	most = queue->segments + 2;
	for (i = 0; i < n; i++) {
		CHECK_EQ(baton_queue_push(queue, item(i)), 0);
		CHECK_EQ(baton_queue_pop_n(queue, &x, 1), 1);
		CHECK(x == item(i));
	}
	CHECK_CMP(queue->segments, <=, most);
	tap_dies(queue_null, "an item must not be NULL");
	baton_queue_destroy(queue);
	baton_queue_destroy(NULL);
}

/* --- deque --------------------------------------------------------------- */

static struct baton_deque *deque;
static void deque_null(void) { baton_deque_push(deque, NULL); }

TEST(deque_ends_and_growth)
{
	const uint32_t n = 5000;
	void *v[2500], *x;
	uint32_t i;
	size_t k;

	CHECK_EQ(baton_deque_create(&deque), 0);
	btn_deque_start_at(deque, UINT32_MAX - 1000);
	CHECK(!baton_deque_pop(deque, &x));
	CHECK_EQ(baton_deque_steal(deque, v, 10), 0);
	for (i = 0; i < n; i++) {
		CHECK_EQ(baton_deque_count(deque), i);
		CHECK_EQ(baton_deque_push(deque, item(i)), 0);
	}
	CHECK(baton_deque_pop(deque, &x) && x == item(n - 1));
	CHECK_EQ(baton_deque_steal(deque, v, 0), 0);
	CHECK_EQ(baton_deque_steal(deque, v, 3), 3);
	for (k = 0; k < 3; k++)
		CHECK(v[k] == item(k));
	CHECK_EQ(baton_deque_steal(deque, v, 2500), (n - 4) / 2);
	CHECK(v[0] == item(3));
	for (i = n - 2; baton_deque_pop(deque, &x); i--)
		CHECK(x == item(i));
	CHECK_EQ(i, 3 + (n - 4) / 2 - 1);
	tap_dies(deque_null, "an item must not be NULL");
	baton_deque_destroy(deque);
	baton_deque_destroy(NULL);
}

/* --- burst --------------------------------------------------------------- */

static struct baton_burst *burst;
static void burst_null(void) { baton_burst_offer(burst, NULL); }
static void burst_odd(void) { baton_burst_offer(burst, (void *)17); }
static void burst_left_one(void) { baton_burst_destroy(burst); }

TEST(burst_joins_leaves_and_closes)
{
	static struct baton_burst_consumer *c[2049];
	unsigned int i;
	void *x;

	CHECK_EQ(baton_burst_create(&burst), 0);
	CHECK_EQ(baton_burst_offer(burst, item(1)), -EPIPE);
	for (i = 0; i < 2048; i++)
		CHECK_EQ(baton_burst_join(burst, &c[i]), 0);
	CHECK_EQ(baton_burst_join(burst, &c[2048]), -ENOSPC);
	CHECK(!c[2048]);
	/* Nobody waits; one that does not wait any more has no item. */
	CHECK_EQ(baton_burst_offer(burst, item(1)), -EAGAIN);
	CHECK_EQ(baton_burst_wait(c[7], &x, 0), -ETIMEDOUT);
	CHECK_EQ(baton_burst_offer(burst, item(1)), -EAGAIN);
	CHECK_EQ(baton_burst_wake_all(burst), 0);
	tap_dies(burst_null, "an item must not be NULL");
	tap_dies(burst_odd, "an item must not be NULL nor odd");
	tap_dies(burst_left_one, "a consumer has not left");
	for (i = 0; i < 2048; i++)
		baton_burst_leave(c[i]);
	baton_burst_leave(NULL);
	CHECK_EQ(baton_burst_offer(burst, item(1)), -EPIPE);
	CHECK_EQ(baton_burst_join(burst, &c[0]), 0);
	baton_burst_close(burst);
	baton_burst_close(burst);
	CHECK_EQ(baton_burst_wait(c[0], &x, BATON_FOREVER), -EPIPE);
	CHECK_EQ(baton_burst_join(burst, &c[1]), -EPIPE);
	baton_burst_leave(c[0]);
	baton_burst_destroy(burst);
	baton_burst_destroy(NULL);
}

/* --- runq ---------------------------------------------------------------- */

static struct baton_runq *runq;

/* A worker that looks in vain looks half as long the next time: 4 ms in all, not 24. */
TEST(runq_stops_spinning_in_vain)
{
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = 1, .spin = 2000000 };
	struct timespec from, to;
	unsigned int i;
	void *x;

	CHECK_EQ(baton_runq_create(&runq, &o), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	for (i = 0; i < 12; i++)
		CHECK_EQ(baton_runq_pop(runq, 0, &x, baton_clock_now() + 10000000), -ETIMEDOUT);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	CHECK_CMP((to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec, <, 12000000);
	baton_runq_destroy(runq);
}

TEST(runq_options)
{
	struct { struct baton_runq_opts o; uint64_t newer; } wide = { .o = { .sz = sizeof(wide), .slots = 1 } };
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = 1 };

	CHECK_EQ(baton_runq_create(&runq, &wide.o), 0);
	baton_runq_destroy(runq);
	wide.newer = 1;
	CHECK_EQ(baton_runq_create(&runq, &wide.o), -E2BIG);
	CHECK(!runq);
	o.sz = sizeof(size_t) + sizeof(unsigned int);
	o.local = 1;		/* beyond sz: not there */
	CHECK_EQ(baton_runq_create(&runq, &o), 0);
	baton_runq_destroy(runq);
	o.sz = sizeof(o);
	CHECK_EQ(baton_runq_create(&runq, &o), -EINVAL);
	o.local = 0;
	o.slots = 0;
	CHECK_EQ(baton_runq_create(&runq, &o), -EINVAL);
	o.slots = 4097;
	CHECK_EQ(baton_runq_create(&runq, &o), -EINVAL);
	o.slots = 1;
	o.spin = 1000000001;
	CHECK_EQ(baton_runq_create(&runq, &o), -EINVAL);
	o.sz = 4;
	CHECK_EQ(baton_runq_create(&runq, &o), -EINVAL);
	baton_runq_destroy(NULL);
}

TEST(runq_order)
{
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = 2, .local = 8 };
	unsigned int i, shared = 0;
	void *x;

	CHECK_EQ(baton_runq_create(&runq, &o), 0);
	CHECK(!baton_runq_try_pop(runq, 0, &x));
	CHECK_EQ(baton_runq_pop(runq, 0, &x, 0), -ETIMEDOUT);
	CHECK_EQ(baton_runq_push(runq, 0, item(1)), 0);
	CHECK_EQ(baton_runq_push(runq, 0, item(2)), 0);
	CHECK_EQ(baton_runq_submit(runq, item(3)), 0);
	CHECK_EQ(baton_runq_submit_control(runq, item(4)), 0);
	CHECK_EQ(baton_runq_pop(runq, 0, &x, 0), 0);
	CHECK(x == item(4));
	/* The other worker: shared before stolen. */
	CHECK(baton_runq_try_pop(runq, 1, &x) && x == item(3));
	CHECK(baton_runq_try_pop(runq, 0, &x) && x == item(2));
	CHECK(baton_runq_try_pop(runq, 1, &x) && x == item(1));
	/* Own items for ever do not starve the shared one. */
	CHECK_EQ(baton_runq_submit(runq, item(5)), 0);
	for (i = 0; i < 70 && !shared; i++) {
		CHECK_EQ(baton_runq_push(runq, 0, item(6)), 0);
		CHECK(baton_runq_try_pop(runq, 0, &x));
		shared = x == item(5);
	}
	CHECK(shared);
	while (baton_runq_try_pop(runq, 0, &x))
		;
	/* Eight fit, the ninth sends the oldest four to the shared ones. */
	for (i = 0; i < 9; i++)
		CHECK_EQ(baton_runq_push(runq, 0, item(i)), 0);
	for (i = 9; i-- > 4; )
		CHECK(baton_runq_try_pop(runq, 0, &x) && x == item(i));
	for (i = 0; i < 4; i++)
		CHECK(baton_runq_try_pop(runq, 0, &x) && x == item(i));
	CHECK_EQ(baton_runq_submit(runq, item(1)), 0);
	baton_runq_close(runq);
	CHECK_EQ(baton_runq_pop(runq, 0, &x, BATON_FOREVER), 0);
	CHECK_EQ(baton_runq_pop(runq, 0, &x, BATON_FOREVER), -EPIPE);
	baton_runq_destroy(runq);
}

/* --- no memory ----------------------------------------------------------- */

/* Pops by slot 0, which pushes what it gets back, until it gets what. 0: never. */
static unsigned int pops_until(void *what, unsigned int most)
{
	unsigned int i;
	void *x;

	for (i = 1; i <= most; i++) {
		if (!baton_runq_try_pop(runq, 0, &x))
			return 0;
		if (x == what)
			return i;
		if (baton_runq_push(runq, 0, x))
			return 0;
	}
	return 0;
}

/* A worker's newest item goes first, and yet its older ones, those of a worker that does not come, and shared ones all have their turn. */
TEST(runq_nothing_waits_for_ever)
{
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = 4 };
	unsigned int i, pops;
	void *x;

	CHECK_EQ(baton_runq_create(&runq, &o), 0);
	for (i = 1; i <= 3; i++)
		CHECK_EQ(baton_runq_push(runq, 0, item(i)), 0);
	pops = pops_until(item(1), 1000);
	CHECK(pops && pops <= 2 * 61);
	pops = pops_until(item(2), 1000);
	CHECK(pops && pops <= 2 * 61);
	CHECK_EQ(baton_runq_push(runq, 3, item(4)), 0);
	CHECK_EQ(baton_runq_push(runq, 3, item(5)), 0);
	pops = pops_until(item(4), 1000);
	CHECK(pops && pops <= 4 * 61);
	pops = pops_until(item(5), 1000);
	CHECK(pops && pops <= 4 * 61);
	CHECK_EQ(baton_runq_submit(runq, item(6)), 0);
	pops = pops_until(item(6), 1000);
	CHECK(pops && pops <= 61);
	CHECK(baton_runq_try_pop(runq, 0, &x) && x == item(3));
	CHECK(!baton_runq_try_pop(runq, 0, &x));
	baton_runq_destroy(runq);
}

#ifdef BTN_INJECT
static unsigned int fail_at, allocations;

static int fail(const char *point)
{
	size_t n = strlen(point);

	if (n < 7 || strcmp(point + n - 7, ":memory"))
		return 0;
	return ++allocations == fail_at;
}

static void start_failing(unsigned int at)
{
	fail_at = at;
	allocations = 0;
	atomic_store_explicit(&btn_inject_hook, fail, memory_order_relaxed); /* [INJECT-1] */
}

static bool stop_failing(void)
{
	atomic_store_explicit(&btn_inject_hook, NULL, memory_order_relaxed); /* [INJECT-1] */
	return allocations >= fail_at;
}

TEST(create_without_memory)
{
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = 3 };
	struct baton_burst_consumer *c;
	unsigned int at, failed = 0;
	int err[6];

	for (at = 1; at < 20; at++) {
		start_failing(at);
		err[0] = baton_ring_create(&ring, 8);
		err[1] = baton_queue_create(&queue);
		err[2] = baton_deque_create(&deque);
		err[3] = baton_runq_create(&runq, &o);
		err[4] = baton_burst_create(&burst);
		err[5] = burst ? baton_burst_join(burst, &c) : 0;
		failed += stop_failing();
		for (size_t i = 0; i < 6; i++)
			CHECK(!err[i] || err[i] == -ENOMEM);
		CHECK(!ring == !!err[0] && !queue == !!err[1] && !deque == !!err[2] &&
		      !runq == !!err[3] && !burst == !!err[4]);
		baton_ring_destroy(ring);
		baton_queue_destroy(queue);
		baton_deque_destroy(deque);
		baton_runq_destroy(runq);
		if (burst && !err[5])
			baton_burst_leave(c);
		baton_burst_destroy(burst);
	}
	CHECK_CMP(failed, >=, 14);
}

/* Every push that says 0 comes out, every one that says -ENOMEM does not. */
TEST(push_without_memory_loses_nothing)
{
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = 2, .local = 4 };
	unsigned int at, i, out, in, err, failed = 0;
	int kind;
	void *x;

	for (kind = 0; kind < 3; kind++) {
		for (at = 1; at < 14; at++) {
			CHECK_EQ(baton_queue_create(&queue), 0);
			CHECK_EQ(baton_deque_create(&deque), 0);
			CHECK_EQ(baton_runq_create(&runq, &o), 0);
			start_failing(at);
			for (i = in = err = 0; i < 40; i++) {
				int e = kind == 0 ? baton_queue_push(queue, item(i)) :
					kind == 1 ? baton_deque_push(deque, item(i)) :
						    baton_runq_push(runq, 0, item(i));

				CHECK(!e || e == -ENOMEM);
				in += !e;
				err += !!e;
			}
			for (out = 0; out < 50; out++)
				if (!(kind == 0 ? baton_queue_pop(queue, &x) :
				      kind == 1 ? baton_deque_pop(deque, &x) :
						  baton_runq_try_pop(runq, out % 2, &x)))
					break;
			failed += stop_failing();
			CHECK_EQ(out, in);
			CHECK_EQ(in + err, 40);
			baton_queue_destroy(queue);
			baton_deque_destroy(deque);
			baton_runq_destroy(runq);
		}
	}
	CHECK_CMP(failed, >=, 10);
}
#endif

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
