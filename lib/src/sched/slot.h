/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/slot.h - which worker has which slot, which are slotless, and what they used. All
 * calls with the lock.
 */
#ifndef BTN_SCHED_SLOT_H
#define BTN_SCHED_SLOT_H

#include "../detect.h"
#include "types.h"

/* ns on the CPU clock of the worker's thread. */
uint64_t btn_slot_cpu(const struct btn_worker *w);
/*
 * ns of CPU to be charged for w, which still has its task and its slot, since the last call:
 * cputime.h. CPU that was charged too much is given back to the account here. The thread's CPU
 * clock is read where charges by time make `settle` ns; BTN_NEVER: not now.
 */
uint64_t btn_slot_account(struct btn_worker *w, uint64_t now, uint64_t settle);
/* The run is about to stop: requests that ended in it without the lock (lazy.c) are counted. */
void btn_slot_fold(struct btn_worker *w, unsigned slot);
/* The owner's `lazy` becomes NONE. Called by the owner. */
void btn_slot_end_lazy(struct baton_sched *s, struct btn_worker *w);

/* Put a worker into a list of slotless ones, and take it out. */
void btn_slot_link(struct btn_slotless *list, struct btn_worker *w);
void btn_slot_unlink(struct btn_worker *w);
/*
 * The task of the sleeper waits, it is to be supposed, for a lock, not of this library, that w
 * holds, and lends to the task of w; or it is not to be supposed any more.
 */
void btn_slot_suspect(struct btn_worker *w, struct btn_worker *sleeper);
void btn_slot_trust(struct btn_worker *w);

/* Begins a new slice for a task that goes on although need_resched was set. */
void btn_slot_renew(struct baton_sched *s, struct btn_worker *w, uint64_t now, unsigned slot);
/* The caller, w, stops running its task. Returns the slot, which is idle. */
unsigned btn_slot_drop(struct btn_worker *w, enum btn_stop why);
/* The task of w ended at this time. Returns the slot, which is idle. */
unsigned btn_slot_end_task(struct btn_worker *w, uint64_t ended);
/*
 * The task of w, the caller, ended, and w goes on with the next one of its flow in the same run
 * (core.h). False: nothing was done, and btn_slot_end_task() is to follow.
 */
bool btn_slot_follow(struct btn_worker *w);
/*
 * The slot of w was taken, which was cached since: the task ended (left) or blocked at that
 * time.
 */
void btn_slot_taken_cached(struct btn_worker *w, bool left, uint64_t since);
/* Makes the cell of w say that w is slotless. False: w has no cell, or does not sleep. */
bool btn_slot_take_cell(struct btn_worker *w);
/* Takes the slot from its worker, which runs on, or sleeps, slotless. */
void btn_slot_take(struct baton_sched *s, uint64_t now, unsigned slot);
/* The last step of taking: the worker's run has stopped. */
void btn_slot_lose(struct baton_sched *s, struct btn_worker *w, unsigned slot);
/* The same, for a worker that has parked in the signal's handler. */
void btn_slot_lose_parked(struct baton_sched *s, struct btn_worker *w, unsigned slot);
/* The worker is not slotless any more: what it used meanwhile is charged. */
void btn_slot_end_slotless(struct btn_worker *w, uint64_t now);

static inline void btn_slot_set_waits(struct btn_worker *w)
{
	w->given = false;
	atomic_store_explicit(&w->waits, true, memory_order_relaxed); /* [PREEMPT-2] */
}

/*
 * [PREEMPT-4] Written with the lock, but for a worker that ends its being demoted when it
 * takes its permit. That may be just when it is demoted (preempt.c): then the worker sees it
 * the next time.
 */
static inline bool btn_slot_demoted(const struct btn_worker *w)
{
	return atomic_load_explicit(&w->demoted, memory_order_relaxed); /* [PREEMPT-4] */
}

static inline void btn_slot_set_demoted(struct btn_worker *w, bool is)
{
	atomic_store_explicit(&w->demoted, is, memory_order_relaxed); /* [PREEMPT-4] */
}

/* [PREEMPT-6] stop.c says what that means. */
static inline void btn_slot_set_spins(struct btn_worker *w, bool is)
{
	atomic_store_explicit(&w->spins, is, memory_order_relaxed); /* [PREEMPT-6] */
}

static inline bool btn_slot_spins(const struct btn_worker *w)
{
	return atomic_load_explicit(&w->spins, memory_order_relaxed); /* [PREEMPT-6] */
}

/* The caller, w, runs with a slot from here on (ARMED); or is about to park or to wait (NOT). */
static inline void btn_slot_arm(struct btn_worker *w, uint32_t how)
{
	if (w && w->cell)
		btn_cell_arm(w->cell, how);
}

#endif
