// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls of a task's: checkpoints, tasks of its own, calls that block, and sleep. */
#include <baton/sched.h>

#include <errno.h>
#include <stdlib.h>

#include "../core/core.h"
#include "../hooks.h"
#include "../inject.h"
#include "../tsan.h"
#include "gate.h"
#include "lazy.h"
#include "sample.h"
#include "self.h"
#include "slot.h"
#include "wait.h"

int baton_task_spawn(struct baton_task **out, baton_task_fn *fn, void *arg)
{
	struct baton_sched *s;
	struct baton_task *t;

	if (out)
		*out = NULL;
	if (!btn_self)
		return -EPERM;
	if (!fn)
		return -EINVAL;
	/*
	 * Allocated before btn_gate_enter(): the caller may wait in malloc for a task that was
	 * stopped.
	 */
	t = BTN_FAIL("sched:task") ? NULL : btn_mem_zeroed(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	s = btn_self->s;
	t->s = s;
	t->req = btn_self->task->req;
	t->fn = fn;
	t->arg = arg;
	t->heap = true;
	t->joinable = out != NULL;
	if (out)
		*out = t;
	btn_tsan_release(t);
	btn_gate_lock(s);
	/* The first task's end is not the request's end any more. */
	btn_slot_end_lazy(s, btn_self);
	btn_core_spawn(&s->core, s->now, &t->req->core, &t->core);
	btn_wait_trace(t);
	btn_gate_queued(s, t);
	return 0;
}

static int join_task(struct baton_task *t, uint64_t deadline, bool alert)
{
	struct btn_waiter me;
	struct baton_sched *s;
	int err = 0;

	if (!btn_self || btn_self->s != t->s)
		return -EPERM;
	s = t->s;
	btn_gate_lock(s);
	if (!t->ended) {
		me.in = &t->joiner;
		err = btn_wait_begin(btn_self->task, &me, 1, deadline, alert);
		if (!err) {
			btn_wait_for_tasks(btn_self->task, true);
			err = btn_gate_wait(btn_self->task);
			btn_gate_lock(s);
		}
	}
	btn_gate_release(s);
	if (!err) {
		btn_tsan_acquire(t);
		btn_mem_free(t);
	}
	return err;
}

int baton_task_join(struct baton_task *t)
{
	return join_task(t, BATON_FOREVER, false);
}

int baton_task_join_until(struct baton_task *t, uint64_t deadline)
{
	return join_task(t, deadline, true);
}

static __attribute__((noinline)) int look_at_clock(struct btn_worker *w)
{
	uint64_t now, looked, until, gap;
	int64_t left;

	/*
	 * The worker was stopped and did not notice: its signal is blocked, or was put off by a
	 * handler of the service's. It waits here for its next slot, or takes the permit of one
	 * that was given to it since: a slot whose permit is not taken is not taken either,
	 * though the worker sleeps in it.
	 */
	if (btn_unlikely(atomic_load_explicit(&w->waits, memory_order_relaxed))) { /* [PREEMPT-2] */
		btn_gate_enter(w);
		btn_gate_exit(w);
	}
	now = btn_clock_now();
	looked = BTN_OWN_GET(w->looked);
	until = atomic_load_explicit(&w->until, memory_order_relaxed); /* [SCHED-1] */
	/* [SCHED-1] */
	if (!(atomic_load_explicit(&w->flag, memory_order_relaxed) & BTN_FLAG_NEED_RESCHED) && /* [SCHED-1] */
	    now < until) {
		/*
		 * Look again about half way to the end of the slice, if checkpoints come as
		 * fast as they did so far.
		 */
		gap = now > looked ? (now - looked) / BTN_OWN_GET(w->reload) : 0;
		left = (until - now) / 2 / (gap ? gap : 1);
		left = left < 1 ? 1 : left > 4096 ? 4096 : left;
		BTN_OWN_SET(w->looked, now);
		if (gap > BTN_OWN_GET(w->gap))
			BTN_OWN_SET(w->gap, gap);
		BTN_OWN_SET(w->reload, left);
		BTN_OWN_SET(w->quiet, left);
		btn_sample_begin(w, now);
		return btn_wait_deliver(w->task, BTN_OWN_GET(w->cancel_pending));
	}
	btn_gate_lock(w->s);
	if (w->slot < 0)
		btn_gate_come_back(w);
	else
		btn_gate_leave_slot(w, BTN_STOP_YIELD);
	return btn_wait_deliver(w->task, BTN_OWN_GET(w->cancel_pending));
}

int baton_checkpoint(void)
{
	struct btn_worker *w = btn_self;
	int quiet;

	if (btn_unlikely(!w))
		return 0;
	quiet = BTN_OWN_GET(w->quiet) - 1;
	BTN_OWN_SET(w->quiet, quiet);
	if (btn_likely(quiet > 0 &&
		       !atomic_load_explicit(&w->flag, memory_order_relaxed))) /* [SCHED-1] */
		return 0;
	return look_at_clock(w);
}

void baton_blocking_begin(void)
{
	struct btn_worker *w = btn_self;
	struct btn_wakes wakes = { 0 };

	if (!w)
		return;
	/* A worker whose blocking is seen keeps its slot until a task wants it. */
	if (w->cell && w->s->detecting && !btn_detect_wanted(w->s->detect)) {
		w->hinted = true;
		btn_slot_arm(w, BTN_CELL_ANNOUNCED);
		return;
	}
	btn_gate_enter(w);
	w->blocking = btn_lazy_cache(w, BTN_LAZY_BLOCKED);
	btn_gate_exit(w);
	if (w->blocking)
		return;
	btn_gate_lock(w->s);
	if (w->slot >= 0)
		btn_slot_drop(w, BTN_STOP_BLOCK);
	else
		btn_slot_end_slotless(w, w->s->now);
	btn_gate_unlock(w->s, &wakes);
}

void baton_blocking_end(void)
{
	struct btn_worker *w = btn_self;

	if (!w)
		return;
	if (w->hinted) {
		w->hinted = false;
		btn_slot_arm(w, BTN_CELL_ARMED);
		/*
		 * A slot that was taken has the flag set; or sets it soon, and the next
		 * checkpoint sees that.
		 */
		if (!(atomic_load_explicit(&w->flag, memory_order_relaxed) & BTN_FLAG_NEED_RESCHED)) /* [SCHED-1] */
			return;
	}
	if (w->blocking) {
		bool again;

		w->blocking = false;
		btn_gate_enter(w);
		again = btn_lazy_resume(w);
		btn_gate_exit(w);
		if (again)
			return;
	}
	btn_gate_lock(w->s);
	if (w->slot >= 0)
		btn_gate_release(w->s);
	else
		btn_gate_come_back(w);
}

int baton_sleep_until(uint64_t deadline)
{
	struct btn_worker *w = btn_self;
	struct baton_task *t;
	int cancel;

	if (!w)
		return 0;
	t = w->task;
	btn_gate_lock(w->s);
	cancel = t->req->core.cancel_pending;
	/* A task that knows of the cancel may want to sleep all the same. */
	if (cancel && cancel != t->cancel_delivered) {
		btn_gate_release(w->s);
		return btn_wait_deliver(t, cancel);
	}
	btn_wait_add(t, NULL, 0, deadline, !cancel);
	btn_gate_wait(t);
	return btn_wait_deliver(t, BTN_OWN_GET(w->cancel_pending));
}
