/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/slot.h - which worker has which slot, which are slotless, and what they used. All
 * calls with the lock.
 */
#ifndef BTN_SCHED_SLOT_H
#define BTN_SCHED_SLOT_H

#include "../detect.h"
#include "types.h"

/* Run times from here on are settled with the thread's CPU clock: of a task that goes on later, of one that ended, and at the least. */
#define BTN_SETTLE_NS		500000
#define BTN_SETTLE_END_NS	200000
#define BTN_SETTLE_MIN_NS	20000

/* ns on the CPU clock of the worker's thread. */
uint64_t btn_slot_cpu(const struct btn_worker *w);
/*
 * ns of CPU to be charged for w, which still has its task and its slot, since the last call:
 * cputime.h. CPU that was charged too much is given back to the account here. The thread's CPU
 * clock is read where charges by time make `settle` ns; BTN_NEVER: not now.
 */
uint64_t btn_slot_account(struct btn_worker *w, uint64_t now, uint64_t settle);
/* ns to be charged by time; false: the thread's CPU clock is to be read. */
static inline bool btn_slot_account_by_time(struct btn_worker *w, const struct btn_run *run, uint64_t now, uint64_t settle,
					    uint64_t *cpu)
{
	/* Charges by time are wrong by at most a thousandth of the tenant's second. */
	if (settle != BTN_NEVER && run && run->acct && run->acct->quota >> 10 < settle)
		settle = run->acct->quota >> 10 > BTN_SETTLE_MIN_NS ? run->acct->quota >> 10 : BTN_SETTLE_MIN_NS;
	return btn_cputime_run(&w->cputime, now, settle, cpu);
}

/*
 * The worker in this slot is about to be stopped by force: ns to be charged for what it is expected to use until it has parked. What of it is
 * not used is given back when the worker is charged by its CPU clock, to the same account.
 */
uint64_t btn_slot_expect(struct btn_worker *w, unsigned slot);
/* ns to be charged by the thread's CPU clock, where the call above says so. run: that of w; NULL: w has no slot. */
uint64_t btn_slot_account_by_clock(struct btn_worker *w, struct btn_run *run, uint64_t now);
/* The caller, w, polled for streams between these readings of its CPU clock: no tenant is charged. */
void btn_slot_polled(struct btn_worker *w, uint64_t from, uint64_t to);
/* The run is about to stop: requests that ended in it without the lock (lazy.c) are counted. */
void btn_slot_fold(struct btn_worker *w, unsigned slot);
/* The owner's `lazy` becomes NONE. Called by the owner. */
void btn_slot_end_lazy(struct baton_sched *s, struct btn_worker *w);

/* The look at a slot leaves its list; or goes to the end of one. */
void btn_slot_look_out(struct btn_look *l);
void btn_slot_look_in(struct btn_look *l, struct btn_looks *list);
/* The slot's task begins or goes on with a slice, or is to stop: the monitor looks at it each time it comes. */
static inline void btn_slot_watch(struct baton_sched *s, unsigned slot)
{
	if (btn_unlikely(s->looks[slot].list != &s->watched))
		btn_slot_look_in(&s->looks[slot], &s->watched);
}

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
/* The task of the caller, w, blocks, and another one goes on in the same run: btn_core_pass(). */
void btn_slot_pass(struct btn_worker *w, struct btn_task *next);
/* The task of w ended at this time. Returns the slot, which is idle. */
unsigned btn_slot_end_task(struct btn_worker *w, uint64_t ended);
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

/* The longest time that the task of w, which is about to lose its slot, went without a checkpoint, as far as it is known. */
static inline uint64_t btn_slot_gap(const struct btn_worker *w, uint64_t now)
{
	int passed = BTN_OWN_GET(w->reload) - BTN_OWN_GET(w->quiet);
	uint64_t looked = BTN_OWN_GET(w->looked), worst = BTN_OWN_GET(w->gap);
	uint64_t gap = now > looked ? now - looked : 0;

	if (passed > 1)
		gap /= passed;
	return gap < worst ? worst : gap;
}

/* Shows that gap, whose step in a histogram is known. */
static inline void btn_slot_show_gap(const struct btn_worker *w, unsigned slot, uint64_t gap, unsigned step)
{
	struct baton_stats_slot *figures = &w->s->core.page.slots[slot];

	btn_stat_hist_in(&figures->gap, gap, step);
	btn_stat_max(&figures->gap_worst, gap);
}

static inline void btn_slot_set_waits(struct btn_worker *w)
{
	w->given = false;
	atomic_store_explicit(&w->waits, true, memory_order_relaxed); /* [PREEMPT-2] */
}

/*
 * [PREEMPT-4] Written by the monitor after the lock (preempt.c), and by a worker that ends its being demoted when it
 * takes its permit. That may be just when it is demoted: then the worker sees it
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
