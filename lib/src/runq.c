// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * runq.c - deques, a shared queue, and who sleeps.
 *
 * The queues are their own files' business. This one's is that nobody sleeps
 * while there is work, and nobody is woken while there is none.
 *
 * A worker is busy, searching or idle. `searching` counts the second kind, the
 * bitmap `idle` has a bit for each of the third. Whoever adds an item wakes an
 * idle worker, unless one is searching: that one will find it. The broken
 * version lets a searcher give up and sleep in one step:
 *
 *	adds an item			the last searcher
 *					looks everywhere: nothing
 *	item is in
 *	searching is 1: no need
 *					searching = 0, idle |= me, sleeps
 *
 * It looks once more after it has said that it is idle:
 *
 *	adds an item			the last searcher
 *
 *	(a) item is in			(c) idle |= me
 *	    (QUEUE-2, DEQUE-1)		    [RUNQ-1]
 *	(b) searching and idle are 0?	(d) searching - 1 [RUNQ-1]
 *	    [RUNQ-1]			(e) looks everywhere
 *					    (QUEUE-2, DEQUE-1)
 *
 * All are sequentially consistent. If (b) sees `searching` from before (d) then
 * (a) < (b) < (d) < (e) and (e) finds the item. If it sees it from after (d),
 * it also sees the bit of (c), and wakes.
 *
 * A waker makes the worker a searcher on its behalf: it moves `searching` from
 * 0 to 1, takes a bit out of `idle`, and wakes. With the count at 1 nobody else
 * does the same, so a flood of items wakes one worker at a time. If the waker
 * finds no bit, it must put `searching` back and then look again whether some
 * worker became idle meanwhile and there is work, because others who added
 * items trusted the count, (b), and that worker's (e) came before their (a).
 * For the same reason a searcher that finds an item and was the last one looks
 * whether there is more, and wakes the next.
 *
 * Items that a worker takes several of at once, to keep the others in its deque,
 * are nowhere to be seen meanwhile. Who searches then finds nothing and sleeps,
 * so putting them back is adding them.
 *
 * A worker's `word` is 1 while it is idle and 0 when somebody has taken its bit
 * [RUNQ-2]; it sleeps on it while it is 1. Whoever takes the bit owns the
 * change to 0: a waker, or the worker itself, if it finds work at (e) or its
 * deadline passes. So a worker that cannot have its bit back is being woken,
 * and waits for the word, which the waker is about to write; it counts as
 * searching then.
 */
#include <baton/runq.h>

#include <baton/deque.h>
#include <baton/queue.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "atomic.h"
#include "clock.h"
#include "deque.h"
#include "die.h"
#include "futex.h"
#include "inject.h"
#include "opts.h"

#define SLOTS_MAX 4096
#define LOCAL_MAX (1u << 24)
#define SPIN_MAX BTN_NSEC_PER_SEC
#define BATCH 32u

struct slot {
	/* Written by the waker. */
	BTN_ALIGNED _Atomic uint32_t word;

	/* Written by its worker. */
	BTN_ALIGNED struct baton_deque *deque;
	unsigned int ticks;
	unsigned int turn;	/* the slot whose oldest item is next in turn */
	uint32_t random;
	uint64_t spin;		/* how long it looks next time */
};

struct baton_runq {
	/* Nobody, after create. */
	BTN_ALIGNED unsigned int slots;
	unsigned int local;
	uint64_t spin;
	struct baton_queue *control, *shared;

	/* Any thread. */
	BTN_ALIGNED _Atomic uint32_t searching;
	_Atomic uint32_t closed;
	BTN_ALIGNED _Atomic uint64_t idle[SLOTS_MAX / 64];

	/* See there. */
	BTN_ALIGNED struct slot slot[];
};

static size_t mapped(unsigned int slots)
{
	return sizeof(struct baton_runq) + slots * sizeof(struct slot);
}

int baton_runq_create(struct baton_runq **out, const struct baton_runq_opts *opts)
{
	struct baton_runq_opts o;
	struct baton_runq *rq;
	unsigned int i;
	int err;

	*out = NULL;
	err = btn_opts_take(&o, sizeof(o), opts);
	if (err)
		return err;
	if (!o.local)
		o.local = 1024;
	if (!o.spin)
		o.spin = 20000;
	if (!o.slots || o.slots > SLOTS_MAX || o.local < 2 || o.local > LOCAL_MAX || o.spin > SPIN_MAX)
		return -EINVAL;
	err = btn_futex_init();
	if (err)
		return err;
	if (BTN_FAIL("runq:create:memory"))
		return -ENOMEM;
	rq = mmap(NULL, mapped(o.slots), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rq == MAP_FAILED)
		return -ENOMEM;
	rq->slots = o.slots;
	rq->local = o.local;
	rq->spin = o.spin;
	err = baton_queue_create(&rq->control);
	if (!err)
		err = baton_queue_create(&rq->shared);
	for (i = 0; i < o.slots && !err; i++) {
		rq->slot[i].random = i + 1;
		rq->slot[i].spin = o.spin;
		err = baton_deque_create(&rq->slot[i].deque);
	}
	if (err) {
		baton_runq_destroy(rq);
		return err;
	}
	*out = rq;
	return 0;
}

void baton_runq_destroy(struct baton_runq *rq)
{
	unsigned int i;

	if (!rq)
		return;
	for (i = 0; i < rq->slots; i++)
		baton_deque_destroy(rq->slot[i].deque);
	baton_queue_destroy(rq->control);
	baton_queue_destroy(rq->shared);
	munmap(rq, mapped(rq->slots));
}

/* Is there anything that a worker could take? Sequentially consistent. */
static bool any_work(struct baton_runq *rq)
{
	unsigned int i;

	if (!baton_queue_empty(rq->control) || !baton_queue_empty(rq->shared))
		return true;
	for (i = 0; i < rq->slots; i++)
		if (baton_deque_count(rq->slot[i].deque))
			return true;
	return false;
}

static bool any_idle(struct baton_runq *rq)
{
	unsigned int i;

	for (i = 0; i < (rq->slots + 63) / 64; i++)
		if (atomic_load_explicit(&rq->idle[i], memory_order_seq_cst)) /* [RUNQ-1] */
			return true;
	return false;
}

/* Takes the bit of slot i. False: somebody else did. */
static bool claim_idle(struct baton_runq *rq, unsigned int i)
{
	const uint64_t bit = UINT64_C(1) << (i % 64);

	return atomic_fetch_and_explicit(&rq->idle[i / 64], ~bit, memory_order_seq_cst) & bit; /* [RUNQ-1] */
}

static void rouse(struct slot *s)
{
	BTN_POINT("runq:rouse:word");
	atomic_store_explicit(&s->word, 0, memory_order_release); /* [RUNQ-2] */
	BTN_POINT("runq:rouse:wake");
	btn_futex->wake(&s->word, 1);
}

static bool rouse_one(struct baton_runq *rq)
{
	unsigned int i;
	uint64_t bits;

	for (i = 0; i < (rq->slots + 63) / 64; i++) {
		BTN_POINT("runq:rouse:idle");
		bits = atomic_load_explicit(&rq->idle[i], memory_order_seq_cst); /* [RUNQ-1] */
		while (bits) {
			const unsigned int nr = i * 64 + (unsigned int)__builtin_ctzll(bits);

			if (claim_idle(rq, nr)) {
				rouse(&rq->slot[nr]);
				return true;
			}
			bits &= bits - 1;
		}
	}
	return false;
}

/* Something was added. */
static void added(struct baton_runq *rq)
{
	uint32_t none;

	do {
		none = 0;
		BTN_POINT("runq:added:idle");
		/* (b), both halves; idle first would let a searcher pass between. */
		if (btn_likely(atomic_load_explicit(&rq->searching, memory_order_seq_cst)) || /* [RUNQ-1] */
		    btn_likely(!any_idle(rq)))
			return;
		BTN_POINT("runq:added:searching");
		if (!atomic_compare_exchange_strong_explicit(&rq->searching, &none, 1,
				memory_order_seq_cst, memory_order_seq_cst)) /* [RUNQ-1] */
			return;
		if (rouse_one(rq))
			return;
		BTN_POINT("runq:added:nobody");
		atomic_fetch_sub_explicit(&rq->searching, 1, memory_order_seq_cst); /* [RUNQ-1] */
	} while (any_work(rq));
}

/* The caller searched and has found something. */
static void found(struct baton_runq *rq)
{
	BTN_POINT("runq:found:searching");
	if (atomic_fetch_sub_explicit(&rq->searching, 1, memory_order_seq_cst) == 1 && /* [RUNQ-1] */
	    any_idle(rq) && any_work(rq))
		added(rq);
}

int baton_runq_submit(struct baton_runq *rq, void *item)
{
	int err = baton_queue_push(rq->shared, item);

	if (!err)
		added(rq);
	return err;
}

int baton_runq_submit_control(struct baton_runq *rq, void *item)
{
	int err = baton_queue_push(rq->control, item);

	if (!err)
		added(rq);
	return err;
}

/* These were counted on by btn_deque_room(). */
static void put_back(struct slot *s, void *item)
{
	if (btn_unlikely(baton_deque_push(s->deque, item)))
		btn_die("baton_runq: no room where there was some", 0);
}

/* The oldest half of the caller's items, to the shared ones. */
static void spill(struct baton_runq *rq, struct slot *s)
{
	unsigned int left = rq->local / 2;
	void *v[BATCH];
	size_t i, n;

	while (left) {
		n = btn_deque_room(s->deque, left < BATCH ? left : BATCH);
		n = baton_deque_steal(s->deque, v, n);
		if (!n)
			return;
		for (i = 0; i < n && !baton_queue_push(rq->shared, v[i]); i++)
			;
		if (i < n) {		/* no memory */
			for (; i < n; i++)
				put_back(s, v[i]);
			return;
		}
		left -= (unsigned int)n;
	}
}

int baton_runq_push(struct baton_runq *rq, unsigned int slot, void *item)
{
	struct slot *s = &rq->slot[slot];
	int err;

	if (btn_unlikely(baton_deque_count(s->deque) >= rq->local))
		spill(rq, s);
	err = baton_deque_push(s->deque, item);
	if (btn_unlikely(err))
		err = baton_queue_push(rq->shared, item);
	/* Called where this item found no place, too: others may have been on their way, in spill. */
	added(rq);
	return err;
}

/* The first of several to the caller, the others to its deque. */
static void *keep(struct baton_runq *rq, struct slot *s, void **v, size_t n)
{
	bool more = n > 1;

	/* Last one first: the owner's next pop is then the oldest of them. */
	while (n > 1)
		put_back(s, v[--n]);
	if (more)
		added(rq);
	return v[0];
}

static bool take_shared(struct baton_runq *rq, struct slot *s, size_t most, void **item)
{
	void *v[BATCH];
	size_t n;

	if (baton_queue_empty(rq->shared))
		return false;
	if (most > 1)
		most = 1 + btn_deque_room(s->deque, most - 1);
	n = baton_queue_pop_n(rq->shared, v, most);
	if (n)
		*item = keep(rq, s, v, n);
	return n;
}

/* xorshift: whom to steal from first. */
static uint32_t next_random(struct slot *s)
{
	uint32_t x = s->random;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return s->random = x;
}

static bool steal(struct baton_runq *rq, unsigned int slot, void **item)
{
	struct slot *s = &rq->slot[slot];
	unsigned int i, at = next_random(s) % rq->slots;
	void *v[BATCH];
	size_t n;

	for (i = 0; i < rq->slots; i++, at = at + 1 == rq->slots ? 0 : at + 1) {
		if (at == slot)
			continue;
		if (!baton_deque_count(rq->slot[at].deque))
			continue;
		n = baton_deque_steal(rq->slot[at].deque, v, 1 + btn_deque_room(s->deque, BATCH - 1));
		if (n) {
			*item = keep(rq, s, v, n);
			return true;
		}
	}
	return false;
}

/*
 * A worker that always has an item of its own would never look at the others: at the
 * older ones below it, at the shared ones, and at those of a worker whose task does not
 * end. So in every 61 pops the oldest item of each of these three has a turn; of the
 * other workers one, and all of them in 61 * (slots - 1) pops. A look that finds nothing
 * is no pop: how often a worker looks before it sleeps depends on the machine.
 */
#define TURNS 61u

static bool take_in_turn(struct baton_runq *rq, unsigned int slot, void **item)
{
	struct slot *s = &rq->slot[slot];

	switch (s->ticks % TURNS) {
	case TURNS - 1:
		return take_shared(rq, s, 1, item);
	case TURNS / 3:
		return baton_deque_steal(s->deque, item, 1);
	case TURNS / 3 * 2:
		s->turn = s->turn + 1 < rq->slots ? s->turn + 1 : 0;
		if (s->turn == slot)
			s->turn = s->turn + 1 < rq->slots ? s->turn + 1 : 0;
		return s->turn != slot && baton_deque_count(rq->slot[s->turn].deque) &&
		       baton_deque_steal(rq->slot[s->turn].deque, item, 1);
	}
	return false;
}

bool baton_runq_try_pop(struct baton_runq *rq, unsigned int slot, void **item)
{
	struct slot *s = &rq->slot[slot];

	if (btn_unlikely(baton_queue_pop(rq->control, item)))
		return true;
	if (btn_likely(!take_in_turn(rq, slot, item)) && !baton_deque_pop(s->deque, item) &&
	    !take_shared(rq, s, BATCH, item) && !steal(rq, slot, item))
		return false;
	s->ticks++;
	return true;
}

/*
 * Sleeps until woken, as a searcher then; the caller is one now. 0, or
 * -ETIMEDOUT, and then it is not.
 */
static int sleep_idle(struct baton_runq *rq, unsigned int slot, uint64_t deadline)
{
	struct slot *s = &rq->slot[slot];
	bool late = false;

	/* [RUNQ-2] only the owner of the bit changes it, and that is still the worker. */
	atomic_store_explicit(&s->word, 1, memory_order_relaxed); /* [RUNQ-2] */
	BTN_POINT("runq:sleep:idle");
	atomic_fetch_or_explicit(&rq->idle[slot / 64], UINT64_C(1) << (slot % 64),
				 memory_order_seq_cst); /* [RUNQ-1] (c) */
	BTN_POINT("runq:sleep:searching");
	atomic_fetch_sub_explicit(&rq->searching, 1, memory_order_seq_cst); /* [RUNQ-1] (d) */
	BTN_POINT("runq:sleep:look");
	if (any_work(rq) || atomic_load_explicit(&rq->closed, memory_order_seq_cst)) { /* [RUNQ-1] (e) */
		BTN_POINT("runq:sleep:back");
		if (claim_idle(rq, slot)) {
			atomic_fetch_add_explicit(&rq->searching, 1, memory_order_seq_cst); /* [RUNQ-1] */
			return 0;
		}
	}
	for (;;) {
		BTN_POINT("runq:sleep:word");
		if (!atomic_load_explicit(&s->word, memory_order_acquire)) /* [RUNQ-2] */
			return 0;
		if (late && claim_idle(rq, slot))
			return -ETIMEDOUT;
		BTN_POINT("runq:sleep:wait");
		/* Late, but somebody is about to wake it: that does not take long. */
		late = btn_futex->wait(&s->word, 1, late ? BATON_FOREVER : deadline) == -ETIMEDOUT;
	}
}

/*
 * A thread that spins uses up its time slice: when it is woken later, the scheduler lets
 * whoever woke it go on first. So it pays only where items come quickly. A spin
 * in which none came halves the next one; an item that came during one, or so
 * soon after that it would have, brings back the whole.
 */
int baton_runq_pop(struct baton_runq *rq, unsigned int slot, void **item, uint64_t deadline)
{
	struct slot *s = &rq->slot[slot];
	uint64_t until, slept;
	bool spun;
	unsigned int i;
	int err;

	if (btn_likely(baton_runq_try_pop(rq, slot, item)))
		return 0;
	/* Without a record the shared queues look empty. */
	if (baton_queue_attach())
		return -ENOMEM;
	BTN_POINT("runq:pop:searching");
	i = atomic_fetch_add_explicit(&rq->searching, 1, memory_order_seq_cst); /* [RUNQ-1] */
	for (;;) {
		/* Half of the workers are enough to look. */
		until = s->spin && i < (rq->slots + 1) / 2 ? btn_clock_now() + s->spin : 0;
		spun = false;
		do {
			if (baton_runq_try_pop(rq, slot, item)) {
				found(rq);
				if (spun)
					s->spin = rq->spin;
				return 0;
			}
			spun = true;
			for (i = 0; i < 16; i++)
				btn_cpu_relax();
		} while (until && btn_clock_now() < until);
		if (atomic_load_explicit(&rq->closed, memory_order_seq_cst)) { /* [RUNQ-1] */
			/* An item added before that is found by those who sleep later. */
			found(rq);
			if (baton_runq_try_pop(rq, slot, item))
				return 0;
			return -EPIPE;
		}
		if (until)
			s->spin = s->spin / 2 < rq->spin / 16 ? 0 : s->spin / 2;
		slept = btn_clock_now();
		err = sleep_idle(rq, slot, deadline);
		if (err)
			return err;
		if (btn_clock_now() - slept < 2 * rq->spin)
			s->spin = rq->spin;
		i = 0;
	}
}

void baton_runq_close(struct baton_runq *rq)
{
	unsigned int i;

	BTN_POINT("runq:close:closed");
	atomic_store_explicit(&rq->closed, 1, memory_order_seq_cst); /* [RUNQ-1] */
	for (i = 0; i < rq->slots; i++) {
		if (!claim_idle(rq, i))
			continue;
		atomic_fetch_add_explicit(&rq->searching, 1, memory_order_seq_cst); /* [RUNQ-1] */
		rouse(&rq->slot[i]);
	}
}
