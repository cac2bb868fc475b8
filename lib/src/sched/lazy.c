// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lazy release: an attached thread that leaves its request, or blocks, keeps its slot where no
 * task waits for one, and has the slot again without the lock when it comes back. Most often
 * the thread comes back soon, for a request of the same tenant, and no task has asked
 * meanwhile. Such a slot is cached.
 *
 * The worker's word `lazy` says what the owner does with its slot:
 *
 *	NONE	nothing of this: without the lock the owner changes nothing
 *	RUNS	the task runs, and the owner may go to CACHED
 *	CACHED	since when, and whether the owner LEFT or is BLOCKED; the owner may go
 *		back to RUNS, and a thread with the lock may take the slot
 *	TAKING	a thread with the lock is taking the slot
 *
 *	owner, without the lock		a thread with the lock
 *	RUNS -> CACHED			NONE -> RUNS: the worker is given a slot (arm)
 *	CACHED -> RUNS			RUNS -> NONE: the run is to be touched (off)
 *					CACHED -> TAKING -> NONE: the run stops as it would
 *					have when the slot was cached (take)
 *
 * [LAZY-1] Each of these but the last is a compare-and-swap: one of the two finds the word as
 * it was. The owner's exchange releases what the owner wrote for its next request (again,
 * idled, the request's own figures), and the taker's acquires that. TAKING -> NONE releases
 * for the owner, which waits for it before it touches its worker. A thread that sees RUNS does
 * not touch the run. It makes the word NONE first, and if the owner is inside the library then
 * it comes again:
 *
 *	owner				monitor
 *	inside = 1
 *	(a) CACHED -> RUNS		(c) RUNS -> NONE
 *	writes r.cpu ...		(d) inside?
 *	(b) inside = 0
 *
 * If (c) sees (a) then (d) sees inside = 1; or (b), and all that was before (b).
 *
 * No task waits while a slot is cached:
 *
 *	owner				a thread with the lock that finds a task waiting
 *	(e) RUNS -> CACHED		(g) wanted = true
 *	(f) wanted? back, and with	(h) each slot's word CACHED? take it
 *	    the lock
 *
 * [LAZY-2] All four are sequentially consistent: if (f) does not see (g) then (h) sees (e).
 * selftests/model/lazy.pml is a model of this.
 *
 * The lock's rules still decide what a request may use. The run got a slice of so much of its
 * tenant's quota, and all that runs in it, request after request, ends with the slice. While
 * the slot is cached the slice is not used, and its end (w.until) moves on by that time. So no
 * run uses more than its slice, or more than the time since it began, which is all that the
 * proof in ledger.h asks for. What was used is recorded when the run stops, which is later
 * than it was used. Only a tenant that is far from the end of its quota has slots cached: its
 * other tasks never lack the slices that lie idle. If a task in such a run reaches no
 * checkpoint, the monitor, which comes less often then, is still there before that end.
 *
 * Where tasks wait all the time, cached slots are taken at once, which costs more than to give
 * them back. So no slot is cached until the monitor has come and no task had waited.
 *
 * Requests that were begun without the lock get into the figures when the run stops: CACHED_NS
 * after the slot was cached, or RUN_NS after the run began, at the latest. Such a request is
 * the last one with a new life, where there is no handle of the last one.
 */
#include "lazy.h"

#include <sched.h>

#include "../core/core.h"
#include "../core/flow.h"
#include "../inject.h"
#include "tick.h"

/* The monitor takes a slot that was cached for so long, or whose run began so long ago. */
#define CACHED_NS		1000000
#define RUN_NS		8000000

void btn_lazy_arm(struct baton_sched *s, struct btn_worker *w, unsigned slot)
{
	const struct btn_run *run = &s->core.run[slot];
	const struct btn_request *r = run->task->req;
	const struct btn_account *a = run->acct;
	unsigned home = r->class == BTN_BATCH ? BTN_HIGH : BTN_LOW;
	uint64_t left;

	if (r->class == BTN_INTERNAL || r->deadline != BTN_NEVER || r->cancel_pending || r->tasks != 1)
		return;
	/* A thread waits for the request's end, which would come when the slot is taken. */
	if (btn_request_of(run->task->req)->completions)
		return;
	/* Tolerant ones pay from what is high only as long as they have to. */
	if (r->class == BTN_TOLERANT && !r->tenant->acct[BTN_LOW].quota)
		home = BTN_HIGH;
	if (!a || run->tier->index != home || run->accounted || run->reserve)
		return;
	/*
	 * A cached slot would be taken at once; or its owner's blocking is seen; or a trace is
	 * to show all.
	 */
	if (s->was_wanted || w->cell || btn_slot_demoted(w) || s->core.page.rings)
		return;
	left = a->used + a->reserved < a->quota ? a->quota - a->used - a->reserved : 0;
	if (left < a->quota / 8 || left < (run->reserved + BTN_TICK_LAZY_NS) * s->core.slots_in_use)
		return;
	w->lazy_tenant = btn_request_of(run->task->req)->tenant->serial;
	w->lazy_class = r->class;
	s->lazy_slots++;
	atomic_store_explicit(&w->lazy, BTN_LAZY_RUNS, memory_order_release); /* [LAZY-1] */
}

bool btn_lazy_off(struct baton_sched *s, struct btn_worker *w)
{
	uint64_t word = BTN_LAZY_RUNS;

	BTN_POINT("lazy:off:exchange");
	if (atomic_compare_exchange_strong_explicit(&w->lazy, &word, BTN_LAZY_NONE, memory_order_acq_rel, /* [LAZY-1] */
						    memory_order_relaxed)) /* [LAZY-1] */
		s->lazy_slots--;
	else if (word != BTN_LAZY_NONE)
		return false;
	return !atomic_load_explicit(&w->inside, memory_order_acquire); /* [LAZY-1] */
}

/*
 * Takes a cached slot: the run stops as of the time since which it was cached. False: the
 * owner was first.
 */
static bool take_cached(struct baton_sched *s, struct btn_worker *w, uint64_t word)
{
	BTN_POINT("lazy:take:exchange");
	if (!atomic_compare_exchange_strong_explicit(&w->lazy, &word, BTN_LAZY_TAKING, memory_order_seq_cst, /* [LAZY-1] [LAZY-2] */
						     memory_order_relaxed)) /* [LAZY-1] */
		return false;
	s->lazy_slots--;
	BTN_OWN_SET(w->idled, BTN_OWN_GET(w->idled) + (s->now > BTN_LAZY_SINCE(word) ? s->now - BTN_LAZY_SINCE(word) : 0));
	btn_slot_taken_cached(w, !(word & BTN_LAZY_BLOCKED), BTN_LAZY_SINCE(word));
	BTN_POINT("lazy:take:taken");
	atomic_store_explicit(&w->lazy, BTN_LAZY_NONE, memory_order_release); /* [LAZY-1] */
	return true;
}

/* The word of this slot's worker, if the slot is cached; else 0. */
static uint64_t cached_in(const struct baton_sched *s, unsigned slot)
{
	uint64_t word;

	if (!s->core.run[slot].task || !s->on[slot])
		return 0;
	word = atomic_load_explicit(&s->on[slot]->lazy, memory_order_seq_cst); /* [LAZY-2] */
	return word >= BTN_LAZY_CACHED ? word : 0;
}

bool btn_lazy_is_cached(const struct btn_worker *w)
{
	return atomic_load_explicit(&w->lazy, memory_order_relaxed) >= BTN_LAZY_CACHED; /* [LAZY-1] */
}

bool btn_lazy_is_on(const struct btn_worker *w)
{
	return atomic_load_explicit(&w->lazy, memory_order_relaxed) != BTN_LAZY_NONE; /* [LAZY-1] */
}

bool btn_lazy_look(struct baton_sched *s, uint64_t now)
{
	struct btn_core *c = &s->core;
	uint64_t word;
	bool wanted;
	unsigned i;

	if (s->was_wanted && !s->lazy_slots)
		return false;
	wanted = !c->n_idle && btn_core_waits(c, now);
	s->was_wanted |= wanted;
	/*
	 * Without lazy slots `wanted` stays as it was: it is set right before an owner of one
	 * can look.
	 */
	if (!s->lazy_slots)
		return false;
	if (wanted != atomic_load_explicit(&s->wanted, memory_order_relaxed)) /* [LAZY-2] */
		atomic_store_explicit(&s->wanted, wanted, memory_order_seq_cst); /* [LAZY-2] */
	if (!wanted)
		return false;
	BTN_POINT("lazy:look:words");
	for (i = 0; i < c->slots_in_use; i++) {
		word = cached_in(s, i);
		if (word && take_cached(s, s->on[i], word))
			return true;
	}
	return false;
}

void btn_lazy_take_old(struct baton_sched *s, uint64_t now)
{
	uint64_t word;
	unsigned i;

	for (i = 0; s->lazy_slots && i < s->core.slots_in_use; i++) {
		word = cached_in(s, i);
		if (word && (now > BTN_LAZY_SINCE(word) + CACHED_NS || now > s->core.run[i].start + RUN_NS))
			take_cached(s, s->on[i], word);
	}
}

void btn_lazy_take_all(struct baton_sched *s)
{
	struct btn_worker *w;
	uint64_t word;
	unsigned i;

	for (i = 0; s->lazy_slots && i < s->core.slots_in_use; i++) {
		w = s->core.run[i].task ? s->on[i] : NULL;
		/* A worker that runs may cache its slot meanwhile, and run again. */
		while (w && atomic_load_explicit(&w->lazy, memory_order_relaxed) != BTN_LAZY_NONE) { /* [LAZY-1] */
			btn_lazy_off(s, w);
			word = cached_in(s, i);
			if (word && take_cached(s, w, word))
				break;
		}
	}
}

/* ---------------------------------------------------------------- the owner */

bool btn_lazy_cache(struct btn_worker *w, unsigned why)
{
	uint64_t now, gap, looked, word = BTN_LAZY_RUNS;
	struct baton_sched *s = w->s;
	int passed;

	if (atomic_load_explicit(&w->lazy, memory_order_acquire) != BTN_LAZY_RUNS || /* [LAZY-1] */
	    atomic_load_explicit(&w->flag, memory_order_relaxed) || /* [SCHED-1] */
	    atomic_load_explicit(&w->waits, memory_order_relaxed) || /* [PREEMPT-2] */
	    atomic_load_explicit(&s->wanted, memory_order_relaxed)) /* [LAZY-2] */
		return false;
	now = btn_clock_now();
	if (now >= atomic_load_explicit(&w->until, memory_order_relaxed)) /* [SCHED-1] */
		return false;
	passed = BTN_OWN_GET(w->reload) - BTN_OWN_GET(w->quiet);
	looked = BTN_OWN_GET(w->looked);
	gap = now > looked ? (now - looked) / (passed > 0 ? passed : 1) : 0;
	if (gap > BTN_OWN_GET(w->gap))
		BTN_OWN_SET(w->gap, gap);
	BTN_OWN_SET(w->looked, now);
	BTN_POINT("lazy:cache:exchange");
	if (!atomic_compare_exchange_strong_explicit(&w->lazy, &word, now << BTN_LAZY_SHIFT | why,
						     memory_order_seq_cst, /* [LAZY-1] [LAZY-2] */
						     memory_order_relaxed)) /* [LAZY-1] */
		return false;
	BTN_POINT("lazy:cache:look");
	if (btn_likely(!atomic_load_explicit(&s->wanted, memory_order_seq_cst))) /* [LAZY-2] */
		return true;
	word = now << BTN_LAZY_SHIFT | why;
	BTN_POINT("lazy:cache:back");
	return !atomic_compare_exchange_strong_explicit(&w->lazy, &word, BTN_LAZY_RUNS,
							memory_order_acq_rel, /* [LAZY-1] */
							memory_order_relaxed); /* [LAZY-1] */
}

bool btn_lazy_resume(struct btn_worker *w)
{
	uint64_t now, slept, word = atomic_load_explicit(&w->lazy, memory_order_acquire); /* [LAZY-1] */

	BTN_POINT("lazy:resume:exchange");
	if (word < BTN_LAZY_CACHED ||
	    !atomic_compare_exchange_strong_explicit(&w->lazy, &word, BTN_LAZY_RUNS, memory_order_acq_rel, /* [LAZY-1] */
						     memory_order_relaxed)) { /* [LAZY-1] */
		while (atomic_load_explicit(&w->lazy, memory_order_acquire) == BTN_LAZY_TAKING) /* [LAZY-1] */
			sched_yield();
		return false;
	}
	now = btn_clock_now();
	slept = now > BTN_LAZY_SINCE(word) ? now - BTN_LAZY_SINCE(word) : 0;
	BTN_OWN_SET(w->idled, BTN_OWN_GET(w->idled) + slept);
	BTN_OWN_SET(w->looked, now);
	BTN_OWN_SET(w->quiet, 1);
	BTN_OWN_SET(w->reload, 1);
	atomic_store_explicit(&w->until, atomic_load_explicit(&w->until, memory_order_relaxed) + slept, /* [SCHED-1] */
			      memory_order_relaxed); /* [SCHED-1] */
	return true;
}

BTN_BEGINS_OR_ENDS
void btn_lazy_out(struct btn_worker *w)
{
	/* [PREEMPT-1] as in btn_gate_exit(), where the worker does not wait */
	atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
	atomic_store_explicit(&w->inside, 0, memory_order_release); /* [PREEMPT-1] [LAZY-1] */
	atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
}
