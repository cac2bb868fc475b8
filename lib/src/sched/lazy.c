// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Slots that are held idly: an attached thread that leaves its request, or blocks, keeps its slot
 * where nobody waits for one, and has it again without the lock when it comes back. Most
 * often it comes back soon, for a request of the same tenant's, and nobody has asked.
 *
 * Its word (w.hold) says what it does with its slot:
 *
 *	NONE	nothing of this: without the lock it changes nothing
 *	RUNS	it runs, and may go to IDLE
 *	IDLE	since then, because it LEFT or is BLOCKED; it may go back to RUNS, and
 *		whoever has the lock may take the slot
 *	TAKING	somebody does that
 *
 *	owner, without the lock		whoever has the lock
 *	RUNS -> IDLE			NONE -> RUNS: it is given a slot (arm)
 *	IDLE -> RUNS			RUNS -> NONE: its run is to be touched (off)
 *					IDLE -> TAKING -> NONE: its run stops as it would
 *					have when it became idle (take)
 *
 * [HOLD-1] each of these but the last is a compare-and-swap: one of the two finds the word
 * as it was. The owner's releases what it wrote for its next request (again, idled, the
 * request's own figures) and the taker's acquires that; so does TAKING -> NONE for the
 * owner, who waits for it before it touches its worker. Nobody who sees RUNS touches the
 * run: it makes that NONE first, and if the owner is inside the library then it comes again:
 *
 *	owner				monitor
 *	inside = 1
 *	(a) IDLE -> RUNS		(c) RUNS -> NONE
 *	writes r.cpu ...		(d) inside?
 *	(b) inside = 0
 *
 * If (c) sees (a) then (d) sees inside = 1, or (b) and all that was before it.
 *
 * Nobody waits while a slot is held idly:
 *
 *	owner				who has the lock, and finds that a task waits
 *	(e) RUNS -> IDLE		(g) wanted = true
 *	(f) wanted? back, and with	(h) each slot's word IDLE? take it
 *	    the lock
 *
 * [HOLD-2] all four are sequentially consistent: if (f) does not see (g) then (h) sees (e).
 * selftests/model/hold.pml is a model of this.
 *
 * What a request may is decided by the lock's rules all the same: the run got a slice of so much
 * of its tenant's quota, and what runs in it, request after request, ends with the slice.
 * As long as the slot is idle the slice is not used, and its end (w.until) moves on by
 * that. So no run uses more than its slice or more than the time since it began, which is
 * all that ledger.h's proof asks; and what was used is recorded when the run stops,
 * which is later than it was used. Only who is far from the end of its quota holds a slot:
 * the slices that lie idle are never what others of its tenant lack, and if one reaches no
 * checkpoint then the monitor, which comes less often, is there before that end.
 *
 * Where tasks wait all the time, what is held is taken at once, which costs more than to
 * give it back: nobody holds a slot until the monitor came and nobody had waited.
 *
 * Requests that were begun so are in the figures when the run stops: HOLD_NS after it became
 * idle, RUN_NS after it began, at the latest. The request is the same one with a new life,
 * where nobody has a handle of the last one.
 */
#include "lazy.h"

#include <sched.h>

#include "../core/core.h"
#include "../core/flow.h"
#include "../inject.h"
#include "tick.h"

/* The monitor takes a slot that was idle for so long; or whose run began so long ago. */
#define HOLD_NS		1000000
#define RUN_NS		8000000

/* With the lock: w has just got this slot. */
void btn_lazy_arm(struct baton_sched *s, struct btn_worker *w, unsigned slot)
{
	const struct btn_run *run = &s->core.run[slot];
	const struct btn_request *r = run->task->req;
	const struct btn_account *a = run->acct;
	unsigned home = r->class == BTN_BATCH ? BTN_HIGH : BTN_LOW;
	uint64_t left;

	if (r->class == BTN_INTERNAL || r->deadline != BTN_NEVER || r->told || r->tasks != 1)
		return;
	/* Somebody waits for its end, which would come when the slot is taken. */
	if (btn_request_of(run->task->req)->completions)
		return;
	/* Tolerant ones pay from what is high only as long as they have to. */
	if (r->class == BTN_TOLERANT && !r->tenant->acct[BTN_LOW].quota)
		home = BTN_HIGH;
	if (!a || run->tier->index != home || run->metered || run->reserve)
		return;
	/* Whoever blocks is seen; or all is to be seen; or what is held would be taken at once. */
	if (s->was_wanted || w->cell || btn_slot_demoted(w) || s->core.page.rings)
		return;
	left = a->used + a->reserved < a->quota ? a->quota - a->used - a->reserved : 0;
	if (left < a->quota / 8 || left < (run->reserved + BTN_TICK_HELD_NS) * s->core.span)
		return;
	w->hold_tenant = btn_request_of(run->task->req)->tenant->serial;
	w->hold_class = r->class;
	s->holds++;
	atomic_store_explicit(&w->hold, BTN_HOLD_RUNS, memory_order_release); /* [HOLD-1] */
}

bool btn_lazy_off(struct baton_sched *s, struct btn_worker *w)
{
	uint64_t held = BTN_HOLD_RUNS;

	BTN_POINT("lazy:off:exchange");
	if (atomic_compare_exchange_strong_explicit(&w->hold, &held, BTN_HOLD_NONE, memory_order_acq_rel, /* [HOLD-1] */
						    memory_order_relaxed)) /* [HOLD-1] */
		s->holds--;
	else if (held != BTN_HOLD_NONE)
		return false;
	return !atomic_load_explicit(&w->inside, memory_order_acquire); /* [HOLD-1] */
}

/* It was held idly: the run stops as of that time. */
static bool take(struct baton_sched *s, struct btn_worker *w, uint64_t held)
{
	BTN_POINT("lazy:take:exchange");
	if (!atomic_compare_exchange_strong_explicit(&w->hold, &held, BTN_HOLD_TAKING, memory_order_seq_cst, /* [HOLD-1] [HOLD-2] */
						     memory_order_relaxed)) /* [HOLD-1] */
		return false;
	s->holds--;
	BTN_OWN_SET(w->idled, BTN_OWN_GET(w->idled) + (s->now > BTN_HOLD_SINCE(held) ? s->now - BTN_HOLD_SINCE(held) : 0));
	btn_slot_taken_idle(w, !(held & BTN_HOLD_BLOCKED), BTN_HOLD_SINCE(held));
	BTN_POINT("lazy:take:taken");
	atomic_store_explicit(&w->hold, BTN_HOLD_NONE, memory_order_release); /* [HOLD-1] */
	return true;
}

/* Or 0. */
static uint64_t idle_in(const struct baton_sched *s, unsigned slot)
{
	uint64_t held;

	if (!s->core.run[slot].task || !s->on[slot])
		return 0;
	held = atomic_load_explicit(&s->on[slot]->hold, memory_order_seq_cst); /* [HOLD-2] */
	return held >= BTN_HOLD_IDLE ? held : 0;
}

bool btn_lazy_is_idle(const struct btn_worker *w)
{
	return atomic_load_explicit(&w->hold, memory_order_relaxed) >= BTN_HOLD_IDLE; /* [HOLD-1] */
}

bool btn_lazy_is_on(const struct btn_worker *w)
{
	return atomic_load_explicit(&w->hold, memory_order_relaxed) != BTN_HOLD_NONE; /* [HOLD-1] */
}

bool btn_lazy_look(struct baton_sched *s, uint64_t now)
{
	struct btn_core *c = &s->core;
	bool wanted = !c->n_idle && btn_core_waits(c, now);
	uint64_t held;
	unsigned i;

	s->was_wanted |= wanted;
	/* As it was: it is set right before anybody who holds one can look. */
	if (!s->holds)
		return false;
	if (wanted != atomic_load_explicit(&s->wanted, memory_order_relaxed)) /* [HOLD-2] */
		atomic_store_explicit(&s->wanted, wanted, memory_order_seq_cst); /* [HOLD-2] */
	if (!wanted)
		return false;
	BTN_POINT("lazy:look:words");
	for (i = 0; i < c->span; i++) {
		held = idle_in(s, i);
		if (held && take(s, s->on[i], held))
			return true;
	}
	return false;
}

void btn_lazy_take_old(struct baton_sched *s, uint64_t now)
{
	uint64_t held;
	unsigned i;

	for (i = 0; s->holds && i < s->core.span; i++) {
		held = idle_in(s, i);
		if (held && (now > BTN_HOLD_SINCE(held) + HOLD_NS || now > s->core.run[i].start + RUN_NS))
			take(s, s->on[i], held);
	}
}

void btn_lazy_take_all(struct baton_sched *s)
{
	struct btn_worker *w;
	uint64_t held;
	unsigned i;

	for (i = 0; s->holds && i < s->core.span; i++) {
		w = s->core.run[i].task ? s->on[i] : NULL;
		/* One that runs may become idle meanwhile; and run again. */
		while (w && atomic_load_explicit(&w->hold, memory_order_relaxed) != BTN_HOLD_NONE) { /* [HOLD-1] */
			btn_lazy_off(s, w);
			held = idle_in(s, i);
			if (held && take(s, w, held))
				break;
		}
	}
}

/* ---------------------------------------------------------------- the owner */

bool btn_lazy_idle(struct btn_worker *w, unsigned why)
{
	uint64_t now, gap, looked, held = BTN_HOLD_RUNS;
	struct baton_sched *s = w->s;
	int passed;

	if (atomic_load_explicit(&w->hold, memory_order_acquire) != BTN_HOLD_RUNS || /* [HOLD-1] */
	    atomic_load_explicit(&w->flag, memory_order_relaxed) || /* [SCHED-1] */
	    atomic_load_explicit(&w->waits, memory_order_relaxed) || /* [PREEMPT-2] */
	    atomic_load_explicit(&s->wanted, memory_order_relaxed)) /* [HOLD-2] */
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
	BTN_POINT("lazy:idle:exchange");
	if (!atomic_compare_exchange_strong_explicit(&w->hold, &held, now << BTN_HOLD_SHIFT | why,
						     memory_order_seq_cst, /* [HOLD-1] [HOLD-2] */
						     memory_order_relaxed)) /* [HOLD-1] */
		return false;
	BTN_POINT("lazy:idle:look");
	if (btn_likely(!atomic_load_explicit(&s->wanted, memory_order_seq_cst))) /* [HOLD-2] */
		return true;
	held = now << BTN_HOLD_SHIFT | why;
	BTN_POINT("lazy:idle:back");
	return !atomic_compare_exchange_strong_explicit(&w->hold, &held, BTN_HOLD_RUNS,
							memory_order_acq_rel, /* [HOLD-1] */
							memory_order_relaxed); /* [HOLD-1] */
}

bool btn_lazy_resume(struct btn_worker *w)
{
	uint64_t now, slept, held = atomic_load_explicit(&w->hold, memory_order_acquire); /* [HOLD-1] */

	BTN_POINT("lazy:resume:exchange");
	if (held < BTN_HOLD_IDLE ||
	    !atomic_compare_exchange_strong_explicit(&w->hold, &held, BTN_HOLD_RUNS, memory_order_acq_rel, /* [HOLD-1] */
						     memory_order_relaxed)) { /* [HOLD-1] */
		while (atomic_load_explicit(&w->hold, memory_order_acquire) == BTN_HOLD_TAKING) /* [HOLD-1] */
			sched_yield();
		return false;
	}
	now = btn_clock_now();
	slept = now > BTN_HOLD_SINCE(held) ? now - BTN_HOLD_SINCE(held) : 0;
	BTN_OWN_SET(w->idled, BTN_OWN_GET(w->idled) + slept);
	BTN_OWN_SET(w->looked, now);
	BTN_OWN_SET(w->quiet, 1);
	BTN_OWN_SET(w->reload, 1);
	atomic_store_explicit(&w->until, atomic_load_explicit(&w->until, memory_order_relaxed) + slept, /* [SCHED-1] */
			      memory_order_relaxed); /* [SCHED-1] */
	return true;
}

void btn_lazy_out(struct btn_worker *w)
{
	/* [PREEMPT-1] as btn_gate_exit(), where nobody waits */
	atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
	atomic_store_explicit(&w->inside, 0, memory_order_release); /* [PREEMPT-1] [HOLD-1] */
	atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
}
