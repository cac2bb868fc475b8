/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/tick.h - when the monitor comes, and what is due by the clock. */
#ifndef BTN_SCHED_TICK_H
#define BTN_SCHED_TICK_H

#include "../core/core.h"
#include "types.h"

/*
 * Time until the monitor comes again: while a worker is slotless, at first; while tasks run that
 * are not late.
 */
#define BTN_TICK_NS		500000
#define BTN_TICK_QUIET_NS	2000000
/*
 * The same, where no task waited since it came last, and all that run are attached threads
 * that may cache their slots.
 */
#define BTN_TICK_LAZY_NS	10000000
/*
 * Time after need_resched was set at which the monitor looks at the task; then later each time,
 * up to the second while a task waits for a slot, and up to the third while none does.
 */
#define BTN_LOOK_NS		120000
#define BTN_LOOK_WANTED_NS	240000
#define BTN_LOOK_MAX_NS		10000000
/* Lateness of the monitor after which those that are stopped go on for a moment: gate.c. */
#define BTN_STALL_NS		100000000

/*
 * The time when the monitor is to come. Callers hold the lock. [PREEMPT-3] a thread without it
 * only looks whether the monitor is late.
 */
static inline uint64_t btn_tick_due(const struct baton_sched *s)
{
	return atomic_load_explicit(&s->monitor_due, memory_order_relaxed); /* [PREEMPT-3] */
}

static inline void btn_tick_set_due(struct baton_sched *s, uint64_t due)
{
	atomic_store_explicit(&s->monitor_due, due, memory_order_relaxed); /* [PREEMPT-3] */
}

/*
 * The next time at which something is due by the clock alone: deadlines, releases, limits of
 * tiers, the ends of waits, threads to be tried again. Needs the lock. Each thread that may have
 * changed one of them asks here, so none is left out by one of them.
 */
static inline uint64_t btn_tick_next(struct baton_sched *s, uint64_t now)
{
	uint64_t due = btn_core_next(&s->core, now);

	if (s->timers.top && s->timers.top->key < due)
		due = s->timers.top->key;
	return s->retry_at < due ? s->retry_at : due;
}

#endif
