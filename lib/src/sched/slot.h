/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/slot.h - who has which slot, who is without, and what they used. With the lock. */
#ifndef BTN_SCHED_SLOT_H
#define BTN_SCHED_SLOT_H

#include "../detect.h"
#include "types.h"

/* ns on its thread's CPU clock. */
uint64_t btn_slot_cpu(const struct btn_worker *w);
/*
 * What w, which still has its task and its slot, used since it was last asked:
 * cputime.h. What was charged too much is given back here.
 */
uint64_t btn_slot_account(struct btn_worker *w, uint64_t now, uint64_t settle);
/* The run is about to stop: what it did without the lock (lazy.c) is counted. */
void btn_slot_fold(struct btn_worker *w, unsigned slot);
/* The owner: its word is NONE. */
void btn_slot_end_lazy(struct baton_sched *s, struct btn_worker *w);

/* The lists of those without a slot. */
void btn_slot_link(struct btn_slotless *list, struct btn_worker *w);
void btn_slot_unlink(struct btn_worker *w);
/* It is before all others because of a lock that it might hold; or not any more. */
void btn_slot_set_boosted(struct btn_worker *w, bool on);
static inline void btn_slot_unboost(struct btn_worker *w)
{
	btn_slot_set_boosted(w, false);
}

/* Its slot, on which it goes on though it was to stop. */
void btn_slot_renew(struct baton_sched *s, struct btn_worker *w, uint64_t now, unsigned slot);
/* The caller stops running its task; returns the slot, which is idle. */
unsigned btn_slot_drop(struct btn_worker *w, enum btn_stop why);
/* Its task ended at this time; returns the slot, which is idle. */
unsigned btn_slot_end_task(struct btn_worker *w, uint64_t ended);
/* w's slot was taken, which was cached since: as if it had left or blocked then. */
void btn_slot_taken_cached(struct btn_worker *w, bool left, uint64_t since);
/* Its cell says that it has no slot from now on. False: there is none, or it does not sleep. */
bool btn_slot_take_cell(struct btn_worker *w);
/* Its slot is somebody else's from now; it runs on, or sleeps, without. */
void btn_slot_take(struct baton_sched *s, uint64_t now, unsigned slot);
/* The end of that: its run has stopped. */
void btn_slot_lose(struct baton_sched *s, struct btn_worker *w, unsigned slot);
/* It ran without a slot: what it used is charged. */
void btn_slot_end_slotless(struct btn_worker *w, uint64_t now);

static inline void btn_slot_set_waits(struct btn_worker *w)
{
	w->given = false;
	atomic_store_explicit(&w->waits, true, memory_order_relaxed); /* [PREEMPT-2] */
}

/*
 * [PREEMPT-4] With the lock, but that a worker ends it as it takes its permit. That may be
 * just when it is demoted (preempt.c): then it sees it the next time.
 */
static inline bool btn_slot_demoted(const struct btn_worker *w)
{
	return atomic_load_explicit(&w->demoted, memory_order_relaxed); /* [PREEMPT-4] */
}

static inline void btn_slot_set_demoted(struct btn_worker *w, bool is)
{
	atomic_store_explicit(&w->demoted, is, memory_order_relaxed); /* [PREEMPT-4] */
}

/* w, the caller, runs with a slot from here on; or, NOT, is about to park or to wait. */
static inline void btn_slot_arm(struct btn_worker *w, uint32_t how)
{
	if (w && w->cell)
		btn_cell_arm(w->cell, how);
}

#endif
