// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Slots of workers that block in the kernel.
 *
 * A worker with a slot is armed from the moment it leaves the library until it comes back. If
 * the worker blocks meanwhile, anywhere, its cell says so, and its slot is taken as soon as a
 * task waits for one: by the thread that makes the task wait, if the worker blocked before; by
 * the notifier, which sleeps until the doorbell rings, if the worker blocks afterwards.
 *
 *	worker				a thread with the scheduler's lock
 *
 *	(in the kernel)			a task waits, no slot is idle
 *	(a) cell = BLOCKED		(c) want = 1
 *	(b) want? ring the doorbell	(d) each slot's cell BLOCKED? take it
 *
 * [DETECT-1], bpf/detect.bpf.c. If (b) does not see (c) then (d) sees (a). While `want` stays
 * set (d) need not be done again: every (b) that comes rings. When the doorbell rang, (d) is
 * done for all slots, since one ring may stand for many.
 *
 * Two others look, too, since the kernel does not ring for workers that block where a slotless
 * worker runs next: a worker that woke without its slot, when it comes to the library
 * (s->look); and a worker that waits for a slot in the library and is woken just when another
 * blocks (gate.c). The monitor looks as well, for a worker that does not come, but nothing
 * relies on that.
 *
 * The worker may wake between (d) and the taking of its slot. Then the exchange that takes the
 * slot fails, and the worker keeps it. A worker that wakes later runs on slotless until its
 * next call of the library, and waits there for a slot. CPU that it uses until then is
 * charged, and counted as unauthorised.
 *
 * A kernel with the hook stops the worker before it runs on (bpf/hook.bpf.c). Then its cell is
 * PARKED, and the doorbell rings. The task is ready, the worker is parked_ready, and when the
 * task is given a slot there is no permit to give but the cell: btn_cell_let_go(). If a
 * signal's handler gets the worker out of there, it is still parked_ready at its next call,
 * slotless. Then the task is taken out of the ready queue, and the worker waits like one that
 * ran on.
 *
 * A worker has one wait at a time that a thread has to end. One that waits for a permit
 * (w.waits) has a cell that is neither TAKEN nor PARKED:
 *
 *	worker				monitor
 *	sleeps, TAKEN; wakes, and uses
 *	CPU in the kernel
 *					waits = true, a signal
 *	has the signal blocked, or has
 *	entered its handler, and sleeps
 *	once more: parks, PARKED
 *					gives it a slot: a permit
 *	(sleeps in the kernel for ever)
 *
 * So the thread that sets `waits` of another worker ends TAKEN first, by an exchange with the
 * kernel's TAKEN -> PARKED [DETECT-1] (btn_cell_spare()). If the kernel was first the worker is
 * not stopped: it does not run. No slot is taken of a worker that waits, so its cell does not
 * become TAKEN again.
 *
 * The hook does not tell the notifier either where a worker that waits for a slot can be
 * woken. That worker, the designated waker, looks itself, and most often gives itself the
 * slot. While it looks it still waits (w.waits), and takes its permit afterwards like any
 * other: it makes no task ready, and permits are given by btn_dispatch() alone.
 *
 *	kernel				a thread with the scheduler's lock
 *					designates w: waker = w
 *	(a) cell = BLOCKED
 *	(b) waker: w -> 0		(c) w gets a slot: waker: w -> 0
 *	(d) notifies and wakes w	    or was (b) first? look at the cells
 *
 * [WAKER-1] One of the exchanges (b) and (c) finds w. If (c) does, then a worker that blocks
 * afterwards rings the doorbell. If (b) does, then (c) sees (a), whether w has noticed or not.
 * So w is not designated again before it has looked or (c) was done:
 *
 *	(a), (b): waker is 0		designates w again: waker = w
 *	(d)				w gets a slot, and is still designated:
 *					(a) was seen by no thread
 *
 * Only a worker that waits in a call of the library is designated. A worker that was stopped
 * in a signal's handler may have a lock that the scheduler needs, malloc's above all, and does
 * not acknowledge (park_until()). selftests/model/waker.pml has all of this.
 */
#include "blocked.h"

#include "../core/core.h"
#include "../inject.h"
#include "../park.h"
#include "polls.h"
#include "pool.h"
#include "slot.h"
#include "tick.h"

void btn_blocked_take(struct baton_sched *s, uint64_t now)
{
	struct btn_worker *w;
	unsigned i;

	for (i = 0; i < s->core.slots_in_use; i++) {
		w = s->core.run[i].task ? s->on[i] : NULL;
		/*
		 * The slot of a worker that has a permit to take is not taken: the worker
		 * could be given a second permit (gate.c).
		 */
		if (!w || !w->cell || !btn_cell_blocked(w->cell) ||
		    atomic_load_explicit(&w->waits, memory_order_acquire)) /* [PREEMPT-2] */
			continue;
		if (!btn_slot_take_cell(w))
			continue;
		s->taken++;
		btn_slot_take(s, now, i);
		/*
		 * The worker may sleep for a lock that a parked one holds: preempt.c asks,
		 * when there is one.
		 */
		w->in_futex = true;
		w->ask_in = BTN_TICK_NS;
		w->ask_at = now;
	}
}

void btn_blocked_woken(struct baton_sched *s, uint64_t now)
{
	struct btn_worker *w, *next;

	for (w = s->slotless.first; w; w = next) {
		next = w->next_slotless;
		/* A worker that waits was sent a signal, and parks in its handler. */
		if (!w->taken || !w->cell || !btn_cell_parked(w->cell) ||
		    atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [PREEMPT-2] */
			continue;
		btn_slot_end_slotless(w, now);
		w->parked_ready = true;
		btn_core_ready(&s->core, now, &w->task->core);
	}
}

/*
 * True: the kernel can wake w instead of ringing, as w waits for a slot in a call of the
 * library. A worker that is bound to a CPU cannot: that one may be in use for long, where
 * others are not.
 */
static bool can_be_waker(const struct btn_worker *w)
{
	return w && w->cell && !w->designated && !w->in && !w->parked_ready && !w->attached && !btn_slot_demoted(w) && w->cpu < 0 &&
	       !btn_poll_is_in(w);
}

/*
 * Designates a waker: the worker of t, which is likely to be given the next slot, or an idle
 * one.
 */
static void designate_waker(struct baton_sched *s, const struct btn_task *t)
{
	struct btn_worker *w = t->ran ? btn_container(t, struct baton_task, core)->worker : s->idle;

	if (!can_be_waker(w))
		w = s->idle;
	if (!can_be_waker(w))
		return;
	w->designated = true;
	btn_detect_designate(s->detect, w->cell);
}

void btn_blocked_undesignate(struct btn_worker *w)
{
	w->designated = false;
	if (!btn_detect_undesignate(w->s->detect, w->cell))
		w->s->hear = true;
}

bool btn_blocked_look(struct baton_sched *s, uint64_t now)
{
	struct btn_core *c = &s->core;
	struct btn_task *first;
	bool heard = s->hear;

	if (heard) {
		s->hear = false;
		s->look = true;
		btn_blocked_woken(s, now);
	}
	first = btn_core_first(c, now);
	if (c->n_idle || !first) {
		if (btn_detect_wanted(s->detect))
			btn_detect_want_no_more(s->detect);
		return heard && first;
	}
	if (s->look || !btn_detect_wanted(s->detect)) {
		s->look = false;
		btn_detect_want(s->detect);
		BTN_POINT("sched:detect:look");
		btn_blocked_take(s, now);
		if (c->n_idle)
			return true;
	}
	if (s->detect->notifies && !btn_detect_designated(s->detect))
		designate_waker(s, first);
	return false;
}

void btn_blocked_join(struct btn_worker *w)
{
	struct btn_detect *d = w->s->detect;
	struct btn_cell *cell;

	if (w->cell && d && w->session == d->id)
		return;
	btn_blocked_part(w);
	btn_pool_quit(w);
	cell = d ? btn_detect_cell(d) : NULL;
	if (cell && btn_detect_join(d, cell)) {
		btn_detect_cell_put(d->id, cell);
		cell = NULL;
	}
	if (!cell)
		return;
	/* [WAKER-1] before the worker can be designated. */
	atomic_store_explicit(&cell->notified, 0, memory_order_relaxed); /* [WAKER-1] */
	btn_cell_slotless(cell, false);
	btn_cell_pays(cell);
	atomic_store_explicit(&cell->parker, (uintptr_t)btn_park_word(w->parker), memory_order_relaxed); /* [WAKER-1] */
	btn_lock_acquire(&w->s->lock);
	w->session = d->id;
	w->cell = cell;
	btn_lock_release(&w->s->lock);
}

void btn_blocked_part(struct btn_worker *w)
{
	if (w->cell)
		btn_detect_leave(w->session);
}
