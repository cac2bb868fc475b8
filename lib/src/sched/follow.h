/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/follow.h - the task of a worker ended, and the worker goes on with the next one of its flow in the same run. Inline, as
 * each short task ends here.
 */
#ifndef BTN_SCHED_FOLLOW_H
#define BTN_SCHED_FOLLOW_H

#include "../core/run.h"
#include "slot.h"

/*
 * The task of w, the caller, ended, and w goes on with the next one of its flow in the same run
 * (core/run.h). False: nothing was done, and btn_slot_end_task() is to follow. With the lock.
 */
static inline bool btn_follow_next(struct btn_worker *w)
{
	struct baton_sched *s = w->s;
	struct baton_task *t = w->task, *next;
	struct btn_task *first;
	unsigned slot = w->slot, step;
	const uint64_t now = s->now;
	struct btn_run *run = &s->core.run[slot];
	uint64_t cpu, gap;
	int cancel;

	/* Dispatch is for tasks that become ready, and for the monitor, which has to come again while a task runs. */
	if (w->attached || t->joiner.first || (t->req->waiters.first && t->req->core.tasks == 1) || !s->given || btn_slot_demoted(w))
		return false;
	first = btn_run_follower(&s->core, now, slot);
	if (!first)
		return false;
	if (btn_unlikely(!btn_slot_account_by_time(w, run, now, BTN_SETTLE_END_NS, &cpu)))
		cpu = btn_slot_account_by_clock(w, run, now);
	step = btn_hist_step(cpu);
	/* Most often there was no checkpoint, and the task went without one as long as it ran. */
	gap = btn_slot_gap(w, now);
	btn_slot_show_gap(w, slot, gap, btn_likely(gap == cpu) ? step : btn_hist_step(gap));
	btn_slot_trust(w);
	t->ended = true;
	btn_run_follow(&s->core, now, slot, first, cpu, step);
	next = btn_task_of(first);
	next->worker = w;
	w->task = next;
	/*
	 * The slot's resched_at is 0, and so is cpu_at: where it was set the run has need_resched, or its slice is over, and no
	 * task could follow.
	 */
	BTN_OWN_SET(w->looked, now);
	BTN_OWN_SET(w->quiet, 1);
	BTN_OWN_SET(w->reload, 1);
	BTN_OWN_SET(w->gap, 0);
	cancel = next->core.req->cancel_pending;
	BTN_OWN_SET(w->cancel_pending, cancel);
	atomic_store_explicit(&w->flag, cancel ? BTN_FLAG_CANCEL : 0, memory_order_relaxed); /* [SCHED-1] */
	return true;
}

#endif
