// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * steps.c - the structures, a few operations in every order of their steps.
 *
 * Each case records a history and asks whether it is linearizable; cases with a
 * `stopper` stop that thread at each of its steps in turn and let the others go
 * on. Built with BTN_INJECT: segments of 3 items, arrays of 2.
 */
#include <baton/burst.h>
#include <baton/deque.h>
#include <baton/queue.h>
#include <baton/ring.h>
#include <baton/runq.h>

#include "lin.h"
#include "steps.h"
#include "../../lib/src/burst.h"
#include "../../lib/src/deque.h"
#include "../../lib/src/futex.h"
#include "../../lib/src/queue.h"
#include "../../lib/src/ring.h"

/* steps_more.c goes one preemption further. */
#ifndef MORE
#define MORE 0
#endif

static struct lin history;

static struct lin_op *begin(enum lin_kind kind, unsigned int asked)
{
	struct lin_op *o = &history.op[history.nr++];

	if (history.nr > LIN_OPS)
		abort();
	memset(o, 0, sizeof(*o));
	o->kind = kind;
	o->asked = asked;
	o->call = steps_clock++;
	o->ret = LIN_OPEN;
	return o;
}

static void end(struct lin_op *o, size_t n)
{
	o->n = (unsigned int)n;
	o->ret = steps_clock++;
}

static void check_history(void)
{
	if (lin_check(&history))
		return;
	lin_print(&history, stdout);
	steps_fail("this history is not linearizable");
}

static void *item(unsigned int i)
{
	return (void *)(uintptr_t)(i * 16);
}

/* --- ring ---------------------------------------------------------------- */

/* The same cases for the library's ring and for the naive one. */
static struct {
	bool (*push)(void *r, void *x);
	bool (*pop)(void *r, void **x);
	void *r;
} ring_ops;
static struct baton_ring *ring;
static uint64_t ring_index;

static bool baton_push(void *r, void *x)
{
	return baton_ring_push(r, x);
}

static bool baton_pop(void *r, void **x)
{
	return baton_ring_pop(r, x);
}

static void ring_setup(void)
{
	baton_ring_destroy(ring);
	CHECK_ANY(!baton_ring_create(&ring, 2));
	btn_ring_start_at(ring, ring_index);
	ring_ops.push = baton_push;
	ring_ops.pop = baton_pop;
	ring_ops.r = ring;
	memset(&history, 0, sizeof(history));
	history.capacity = 2;
	history.weak = true;
}

static void ring_push(unsigned int i)
{
	struct lin_op *o = begin(LIN_PUSH, 1);

	o->v[0] = (uintptr_t)item(i);
	end(o, ring_ops.push(ring_ops.r, item(i)));
}

static void ring_pop(void)
{
	struct lin_op *o = begin(LIN_TAKE_OLD, 1);
	void *x = NULL;
	bool ok = ring_ops.pop(ring_ops.r, &x);

	o->v[0] = (uintptr_t)x;
	end(o, ok);
}

static void ring_push_n(unsigned int i, unsigned int n)
{
	struct lin_op *o = begin(LIN_PUSH, n);
	unsigned int k;

	for (k = 0; k < n; k++)
		o->v[k] = (uintptr_t)item(i + k);
	end(o, baton_ring_push_n(ring, (void *const *)o->v, n));
}

static void ring_pop_n(unsigned int n)
{
	struct lin_op *o = begin(LIN_TAKE_OLD, n);

	end(o, baton_ring_pop_n(ring, (void **)o->v, n));
}

static void ring_a(int me) { ring_push(1); ring_push(2); ring_push(3); }
static void ring_b(int me) { ring_push(4); ring_pop(); }
static void ring_c(int me) { ring_pop(); ring_pop(); ring_pop(); }

TEST(ring_every_order)
{
	struct steps s = { .setup = ring_setup, .check = check_history, .threads = 3, .preemptions = 2 + MORE,
			   .thread = { ring_a, ring_b, ring_c }, .stopper = -1 };

	ring_index = 0;
	STEPS_CHECK(s);
	/* Both the lap's parity and the index itself wrap within the case. */
	ring_index = UINT64_MAX - 1;
	STEPS_CHECK(s);
}

static void ring_two_a(int me) { ring_push(1); ring_push(2); ring_pop(); }
static void ring_two_b(int me) { ring_pop(); ring_push(3); ring_pop(); }

TEST(ring_every_order_of_two)
{
	struct steps s = { .setup = ring_setup, .check = check_history, .threads = 2, .preemptions = 5 + MORE,
			   .thread = { ring_two_a, ring_two_b }, .stopper = -1 };

	ring_index = UINT64_MAX;
	STEPS_CHECK(s);
}

static void ring_bulk_a(int me) { ring_push_n(1, 2); ring_push_n(3, 2); }
static void ring_bulk_b(int me) { ring_pop_n(2); ring_pop_n(1); }
static void ring_bulk_c(int me) { ring_push(9); ring_pop_n(2); }

TEST(ring_bulk_every_order)
{
	struct steps s = { .setup = ring_setup, .check = check_history, .threads = 3, .preemptions = 2 + MORE,
			   .thread = { ring_bulk_a, ring_bulk_b, ring_bulk_c }, .stopper = -1 };

	ring_index = UINT64_MAX - 1;
	STEPS_CHECK(s);
}

/*
 * The ring as it is often written: the index first, then the slot. This test
 * is worth something only if it finds that out.
 */
static struct {
	uint64_t head, tail;
	void *slot[2];
} naive;

static bool naive_push(void *r, void *x)
{
	uint64_t t;

	steps_point("naive:tail");
	t = naive.tail;
	if (t - naive.head == 2)
		return false;
	naive.tail = t + 1;		/* as by a CAS: no point since the load */
	steps_point("naive:slot");
	naive.slot[t & 1] = x;
	return true;
}

static bool naive_pop(void *r, void **x)
{
	uint64_t h;

	steps_point("naive:head");
	h = naive.head;
	if (h == naive.tail)
		return false;
	naive.head = h + 1;
	steps_point("naive:take");
	*x = naive.slot[h & 1];
	return true;
}

static void naive_setup(void)
{
	ring_setup();
	memset(&naive, 0, sizeof(naive));
	ring_ops.push = naive_push;
	ring_ops.pop = naive_pop;
}

TEST(naive_ring_is_caught)
{
	struct steps s = { .setup = naive_setup, .check = check_history, .threads = 3, .preemptions = 2 + MORE,
			   .thread = { ring_a, ring_b, ring_c }, .stopper = -1 };

	CHECK(!steps_all(&s));
	printf("# %lu schedules: %s\n", s.runs, s.why);
}

/* --- queue --------------------------------------------------------------- */

static struct baton_queue *queue;
static unsigned int queue_before;

static void queue_setup(void)
{
	unsigned int i;
	void *x;

	baton_queue_destroy(queue);
	CHECK_ANY(!baton_queue_create(&queue));
	for (i = 0; i < queue_before; i++)
		CHECK_ANY(!baton_queue_push(queue, item(99)) && baton_queue_pop(queue, &x));
	memset(&history, 0, sizeof(history));
}

static void queue_push(unsigned int i)
{
	struct lin_op *o = begin(LIN_PUSH, 1);

	o->v[0] = (uintptr_t)item(i);
	o->n = 1;
	if (baton_queue_push(queue, item(i)))
		steps_fail("no memory");
	end(o, 1);
}

static void queue_pop(void)
{
	struct lin_op *o = begin(LIN_TAKE_OLD, 1);
	void *x = NULL;
	bool ok = baton_queue_pop(queue, &x);

	o->v[0] = (uintptr_t)x;
	end(o, ok);
}

static void queue_pop_n(unsigned int n)
{
	struct lin_op *o = begin(LIN_TAKE_OLD, n);

	end(o, baton_queue_pop_n(queue, (void **)o->v, n));
}

static void queue_a(int me) { queue_push(1); queue_push(2); }
static void queue_b(int me) { queue_push(3); queue_pop(); }
static void queue_c(int me) { queue_pop(); queue_pop(); }
static void queue_d(int me) { queue_pop_n(3); queue_pop_n(2); }

TEST(queue_every_order)
{
	struct steps s = { .setup = queue_setup, .check = check_history, .threads = 3, .preemptions = 2 + MORE,
			   .thread = { queue_a, queue_b, queue_c }, .stopper = -1 };

	/* Where in a segment of three it begins. */
	for (queue_before = 0; queue_before < 3; queue_before++)
		STEPS_CHECK(s);
	s.thread[2] = queue_d;
	for (queue_before = 1; queue_before < 3; queue_before++)
		STEPS_CHECK(s);
}

/* Segments come and go: what is freed too early crashes or comes back wrong. */
static void queue_long_a(int me)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		queue_push(10 + i);
		queue_pop();
	}
}

static void queue_long_b(int me)
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		queue_push(20 + i);
		queue_pop();
	}
}

TEST(queue_reclaims_in_every_order)
{
	struct steps s = { .setup = queue_setup, .check = check_history, .threads = 2, .preemptions = 2 + MORE,
			   .thread = { queue_long_a, queue_long_b }, .stopper = -1 };

	queue_before = 2;
	STEPS_CHECK(s);
}

/* The rest comes out, in the history too: what a stopped thread had claimed
 * is all that can be missing. */
static void check_stopped(void)
{
	while (!steps_now->failed && history.nr < LIN_OPS) {
		queue_pop();
		if (!history.op[history.nr - 1].n)
			break;
	}
	check_history();
}

TEST(queue_with_one_thread_stopped)
{
	struct steps s = { .setup = queue_setup, .check = check_stopped, .threads = 3, .preemptions = 1 + MORE,
			   .thread = { queue_b, queue_a, queue_c } };

	for (queue_before = 1; queue_before < 3; queue_before++)
		for (s.stopper = 0; s.stopper < 3; s.stopper++)
			STEPS_CHECK(s);
}

/* --- deque --------------------------------------------------------------- */

static struct baton_deque *deque;
static unsigned int deque_before;

static void deque_push(unsigned int i)
{
	struct lin_op *o = begin(LIN_PUSH, 1);

	o->v[0] = (uintptr_t)item(i);
	o->n = 1;
	if (baton_deque_push(deque, item(i)))
		steps_fail("no memory");
	end(o, 1);
}

static void deque_pop(void)
{
	struct lin_op *o = begin(LIN_TAKE_NEW, 1);
	void *x = NULL;
	bool ok = baton_deque_pop(deque, &x);

	o->v[0] = (uintptr_t)x;
	end(o, ok);
}

static void deque_steal(unsigned int n)
{
	struct lin_op *o = begin(LIN_STEAL, n);

	end(o, baton_deque_steal(deque, (void **)o->v, n));
}

static void deque_setup(void)
{
	unsigned int i;

	baton_deque_destroy(deque);
	CHECK_ANY(!baton_deque_create(&deque));
	btn_deque_start_at(deque, UINT32_MAX - 1);
	memset(&history, 0, sizeof(history));
	for (i = 0; i < deque_before; i++)
		deque_push(90 + i);
}

static void deque_owner(int me) { deque_push(1); deque_pop(); deque_push(2); deque_pop(); deque_pop(); }
static void deque_owner_grows(int me) { deque_push(1); deque_push(2); deque_push(3); deque_pop(); }
static void deque_thief_2(int me) { deque_steal(2); deque_steal(2); }
static void deque_thief_1(int me) { deque_steal(1); }

TEST(deque_every_order)
{
	struct steps s = { .setup = deque_setup, .check = check_history, .threads = 3, .preemptions = 2 + MORE,
			   .thread = { deque_owner, deque_thief_2, deque_thief_1 }, .stopper = -1 };

	for (deque_before = 0; deque_before < 4; deque_before++)
		STEPS_CHECK(s);
	s.thread[0] = deque_owner_grows;
	for (deque_before = 0; deque_before < 4; deque_before++)
		STEPS_CHECK(s);
}

TEST(deque_every_order_of_two)
{
	struct steps s = { .setup = deque_setup, .check = check_history, .threads = 2, .preemptions = 5 + MORE,
			   .thread = { deque_owner, deque_thief_2 }, .stopper = -1 };

	deque_before = 1;
	STEPS_CHECK(s);
}

static void deque_check_stopped(void)
{
	while (!steps_now->failed && history.nr < LIN_OPS) {
		deque_steal(2);
		if (!history.op[history.nr - 1].n)
			break;
	}
	check_history();
}

TEST(deque_with_one_thread_stopped)
{
	struct steps s = { .setup = deque_setup, .check = deque_check_stopped, .threads = 3, .preemptions = 1 + MORE,
			   .thread = { deque_owner, deque_thief_2, deque_thief_1 } };

	for (deque_before = 1; deque_before < 4; deque_before++) {
		for (s.stopper = 0; s.stopper < 3; s.stopper++) {
			s.thread[0] = deque_owner;
			STEPS_CHECK(s);
			s.thread[0] = deque_owner_grows;
			STEPS_CHECK(s);
		}
	}
}

/* --- burst --------------------------------------------------------------- */

static struct baton_burst *burst;
static struct baton_burst_consumer *consumer[BTN_BURST_GROUPS + 1];
static unsigned int burst_joined;	/* consumers that do not run are the first to leave */
static unsigned int burst_given[8], burst_got[8];

static void burst_setup(void)
{
	unsigned int i;

	/* After a failure the coroutines of the run before may be anywhere. */
	CHECK_ANY(!baton_burst_create(&burst));
	for (i = 0; i < 3; i++)
		CHECK_ANY(!baton_burst_join(burst, &consumer[i]));
	burst_joined = 3;
	memset(burst_given, 0, sizeof(burst_given));
	memset(burst_got, 0, sizeof(burst_got));
}

/* The second consumer that runs shares its group with the first. */
static void burst_setup_shared(void)
{
	struct baton_burst_consumer *c;

	burst_setup();
	while (burst_joined <= BTN_BURST_GROUPS)
		CHECK_ANY(!baton_burst_join(burst, &consumer[burst_joined++]));
	c = consumer[1];
	consumer[1] = consumer[BTN_BURST_GROUPS];
	consumer[BTN_BURST_GROUPS] = c;
	CHECK_ANY(consumer[0]->group == consumer[1]->group && consumer[0]->row != consumer[1]->row);
}

static void burst_sender(int me)
{
	unsigned int i;

	for (i = 1; i < 4; i++)
		if (!baton_burst_offer(burst, item(i)))
			burst_given[i]++;
	baton_burst_wake_all(burst);
	if (!baton_burst_offer(burst, item(4)))
		burst_given[4]++;
	baton_burst_close(burst);
}

static void burst_consumer(int me)
{
	void *x;
	int err;

	while (!(err = baton_burst_wait(consumer[me - 1], &x, BATON_FOREVER)))
		burst_got[(uintptr_t)x / 16]++;
	if (err != -EPIPE)
		steps_fail("wait returned %d", err);
	baton_burst_leave(consumer[me - 1]);
}

static void burst_poller(int me)
{
	unsigned int i;
	void *x;

	for (i = 0; i < 2; i++)
		if (!baton_burst_wait(consumer[me - 1], &x, 0))
			burst_got[(uintptr_t)x / 16]++;
	baton_burst_leave(consumer[me - 1]);
}

/*
 * Once all who got something sleep again, however they came to it, each of them
 * can be seen and woken. (The sender sleeps for that without a futex.)
 */
static bool burst_awake(int me)
{
	unsigned int i;

	for (i = 1; i < (unsigned int)steps_now->threads; i++)
		if (!steps_t[i].asleep || !steps_t[i].asleep((int)i))
			return true;
	return false;
}

static unsigned int burst_took;		/* out of another one's hand */

static void burst_point(int me, const char *point)
{
	if (!strcmp(point, "burst:take:list"))
		burst_took++;
}

static void burst_sender_of_two(int me)
{
	const unsigned int n = (unsigned int)steps_now->threads - 1;
	unsigned int burst_nr, i;

	for (burst_nr = 0; burst_nr < 2; burst_nr++) {
		steps_t[me].asleep = burst_awake;
		steps_point("all asleep");
		for (i = 1; i <= n; i++) {
			if (baton_burst_offer(burst, item(burst_nr * n + i)))
				steps_fail("burst %u: nobody for item %u of %u sleepers", burst_nr, i, n);
			else
				burst_given[burst_nr * n + i]++;
		}
		if (!baton_burst_offer(burst, item(7)))
			steps_fail("burst %u: %u sleepers take %u items", burst_nr, n, n + 1);
		baton_burst_wake_all(burst);
	}
	baton_burst_close(burst);
}

static void burst_check(void)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		if (burst_given[i] != burst_got[i])
			steps_fail("item %u was given %u times and got %u times", i, burst_given[i], burst_got[i]);
	for (i = (unsigned int)steps_now->threads - 1; i < burst_joined; i++)
		baton_burst_leave(consumer[i]);
	if (!steps_now->failed)
		baton_burst_destroy(burst);
}

TEST(burst_every_order)
{
	struct steps s = { .setup = burst_setup, .check = burst_check, .threads = 3, .preemptions = 1 + MORE,
			   .thread = { burst_sender, burst_consumer, burst_consumer }, .stopper = -1 };

	STEPS_CHECK(s);
	s.thread[2] = burst_poller;
	STEPS_CHECK(s);
}

TEST(burst_who_is_quick_takes_more)
{
	struct steps s = { .setup = burst_setup, .check = burst_check, .point = burst_point, .threads = 3,
			   .preemptions = 1 + MORE, .thread = { burst_sender_of_two, burst_consumer, burst_consumer },
			   .stopper = -1 };

	for (; s.setup; s.setup = s.setup == burst_setup ? burst_setup_shared : NULL) {
		burst_took = 0;
		STEPS_CHECK(s);
		/* Some did, or nothing was tested. */
		CHECK(burst_took > 0);
		printf("# %u items were taken out of another one's hand\n", burst_took);
	}
}

TEST(burst_every_order_of_two)
{
	struct steps s = { .setup = burst_setup, .check = burst_check, .threads = 2, .preemptions = 2 + MORE,
			   .thread = { burst_sender, burst_consumer }, .stopper = -1 };

	STEPS_CHECK(s);
	s.thread[1] = burst_poller;
	STEPS_CHECK(s);
}

/* --- runq ---------------------------------------------------------------- */

static struct baton_runq *runq;
static unsigned int runq_got[8], runq_want;
static unsigned int runq_left;		/* workers that still run */

static void runq_setup(void)
{
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = 2, .local = 2, .spin = 1 };

	if (!steps_now->failed)
		baton_runq_destroy(runq);
	CHECK_ANY(!baton_runq_create(&runq, &o));
	memset(runq_got, 0, sizeof(runq_got));
	memset(&history, 0, sizeof(history));
	runq_left = 2;
}

/* Takes what there is until everything that was ever added has been taken. */
static void runq_worker(int me)
{
	unsigned int i, n;
	void *x;
	int err;

	for (;;) {
		for (i = n = 0; i < 8; i++)
			n += runq_got[i];
		if (n >= runq_want)
			break;
		err = baton_runq_pop(runq, (unsigned int)me, &x, BATON_FOREVER);
		if (err == -EPIPE)
			break;
		if (err)
			steps_fail("pop returned %d", err);
		i = (unsigned int)((uintptr_t)x / 16);
		runq_got[i]++;
		/* Item 1 makes 3 and 4. */
		if (i == 1)
			for (n = 3; n < 5; n++)
				if (baton_runq_push(runq, (unsigned int)me, item(n)))
					steps_fail("no memory");
	}
	baton_runq_close(runq);
}

static void runq_submitter(int me)
{
	if (baton_runq_submit(runq, item(1)) || baton_runq_submit_control(runq, item(2)))
		steps_fail("no memory");
}

static void runq_check(void)
{
	unsigned int i;

	for (i = 1; i <= runq_want; i++)
		if (runq_got[i] != 1)
			steps_fail("item %u was run %u times", i, runq_got[i]);
}

TEST(runq_nobody_sleeps_while_there_is_work)
{
	struct steps s = { .setup = runq_setup, .check = runq_check, .threads = 3, .preemptions = 1 + MORE,
			   .thread = { runq_worker, runq_worker, runq_submitter }, .stopper = -1 };

	runq_want = 4;
	STEPS_CHECK(s);
}

/*
 * The taker of item 1 is busy until item 2 has been run: the other worker must
 * be awake, or be woken, for it.
 */
static bool runq_busy(int me)
{
	return !runq_got[2];
}

static void runq_slow_worker(int me)
{
	void *x;

	while (!baton_runq_pop(runq, (unsigned int)me, &x, BATON_FOREVER)) {
		runq_got[(uintptr_t)x / 16]++;
		if (x == item(1)) {
			steps_t[me].asleep = runq_busy;
			steps_point("busy");
		}
		if (runq_got[1] && runq_got[2])
			break;
	}
	baton_runq_close(runq);
}

static void runq_two(int me)
{
	if (baton_runq_submit(runq, item(1)) || baton_runq_submit(runq, item(2)))
		steps_fail("no memory");
}

TEST(runq_a_busy_worker_holds_up_nothing)
{
	struct steps s = { .setup = runq_setup, .check = runq_check, .threads = 3, .preemptions = 1 + MORE,
			   .thread = { runq_slow_worker, runq_slow_worker, runq_two }, .stopper = -1 };

	runq_want = 2;
	STEPS_CHECK(s);
}

/* --- the kernel, for coroutines ------------------------------------------ */

static struct {
	_Atomic uint32_t *word;
	uint32_t bits;
	bool woken;
} sim[STEPS_THREADS];

static bool sim_asleep(int me)
{
	return !sim[me].woken;
}

/* In place of the library's (ld --wrap): a sleep must not stop the explorer. */
int __wrap_btn_futex_wait_bits(_Atomic uint32_t *word, uint32_t val, uint64_t deadline, uint32_t bits);
int __wrap_btn_futex_wait_bits(_Atomic uint32_t *word, uint32_t val, uint64_t deadline, uint32_t bits)
{
	int me = steps_cur;

	if (*word != val)
		return -EAGAIN;
	if (deadline != BATON_FOREVER)
		return -ETIMEDOUT;
	sim[me].word = word;
	sim[me].bits = bits;
	sim[me].woken = false;
	steps_t[me].asleep = sim_asleep;
	steps_point("asleep");
	return 0;
}

int __wrap_btn_futex_wake_bits(_Atomic uint32_t *word, int n, uint32_t bits);
int __wrap_btn_futex_wake_bits(_Atomic uint32_t *word, int n, uint32_t bits)
{
	int i, woken = 0;

	for (i = 0; i < steps_now->threads && woken < n; i++) {
		if (!steps_t[i].asleep || sim[i].word != word || !(sim[i].bits & bits))
			continue;
		sim[i].woken = true;
		woken++;
	}
	return woken;
}

static int sim_wait(_Atomic uint32_t *word, uint32_t val, uint64_t deadline)
{
	return __wrap_btn_futex_wait_bits(word, val, deadline, UINT32_MAX);
}

static int sim_wake(_Atomic uint32_t *word, int n)
{
	return __wrap_btn_futex_wake_bits(word, n, UINT32_MAX);
}

static const struct btn_futex_ops sim_ops = { .name = "sim", .wait = sim_wait, .wake = sim_wake };

int main(int argc, char **argv)
{
	btn_futex_use(&sim_ops);
	return tap_main(argc, argv);
}
