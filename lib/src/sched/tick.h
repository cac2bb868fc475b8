/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/tick.h - when the monitor comes. */
#ifndef BTN_SCHED_TICK_H
#define BTN_SCHED_TICK_H

#include "types.h"

/* The monitor, while somebody runs without a slot, and while tasks run at all. */
#define BTN_TICK_NS		500000
#define BTN_TICK_QUIET_NS	2000000
/* And where nobody waited since the last one, and only attached threads run that may hold their slots. */
#define BTN_TICK_LAZY_NS	10000000
/* And after a task was told to stop. */
#define BTN_LOOK_NS		120000
/* So late, and whoever waits for it goes on for a moment: gate.c. */
#define BTN_STALL_NS		100000000

/* When the monitor is to come; the lock is held, and only there it is asked. [PREEMPT-3] others only look whether it is late. */
static inline uint64_t btn_tick_due(const struct baton_sched *s)
{
	return atomic_load_explicit(&s->monitor_due, memory_order_relaxed); /* [PREEMPT-3] */
}

static inline void btn_tick_set_due(struct baton_sched *s, uint64_t due)
{
	atomic_store_explicit(&s->monitor_due, due, memory_order_relaxed); /* [PREEMPT-3] */
}

static inline uint64_t btn_tick_first(const struct btn_heap *h, uint64_t other)
{
	return h->top && h->top->key < other ? h->top->key : other;
}

#endif
