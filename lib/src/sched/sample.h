/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/sample.h - samples of what the machine gives (supply.h): taken by workers while they run tasks. */
#ifndef BTN_SCHED_SAMPLE_H
#define BTN_SCHED_SAMPLE_H

#include "types.h"

/* Time between two samples of a scheduler. */
#define BTN_SAMPLE_NS	5000000
/* Time between two of those at which what the rules allow is read again. */
#define BTN_SAMPLE_WATCH_NS 2000000000
_Static_assert(BATON_STATS_SUPPLY_OLD == 2 * BTN_SUPPLY_NS, "a supply is as old as the window that it is measured in");

void btn_sample_open(struct btn_worker *w, uint64_t now);
void btn_sample_close(struct btn_worker *w);
void btn_sample_count(struct baton_sched *s, struct btn_worker *w);

/*
 * The worker w, the caller, has a slot and is at a checkpoint: a sample of its thread begins,
 * if it is time for one. Without the lock.
 */
static inline void btn_sample_begin(struct btn_worker *w, uint64_t now)
{
	/* [SAMPLE-1] only says whether another worker was here just now. */
	if (!w->sample.began && now >= atomic_load_explicit(&w->s->sample_at, memory_order_relaxed)) /* [SAMPLE-1] */
		btn_sample_open(w, now);
}

/*
 * The worker w, the caller, comes into the library, and may wait there: its sample ends. Before
 * the lock is taken; btn_sample_take(): with it.
 */
static inline void btn_sample_end(struct btn_worker *w)
{
	if (btn_unlikely(w->sample.began))
		btn_sample_close(w);
}

static inline void btn_sample_take(struct baton_sched *s, struct btn_worker *w)
{
	if (btn_unlikely(w->sample.wanted))
		btn_sample_count(s, w);
}

/* ns of CPU in a second that all slots, busy, would get of the machine; 0: not known. With the lock. */
uint64_t btn_sample_given(struct baton_sched *s, uint64_t now);

#endif
