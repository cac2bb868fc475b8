/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/dispatch.h - ready tasks get idle slots, and workers that got one are woken. */
#ifndef BTN_SCHED_DISPATCH_H
#define BTN_SCHED_DISPATCH_H

#include "types.h"

/*
 * With the lock: all that follows from what happened. Then, without the lock:
 * btn_dispatch_wake() with the same wakes.
 */
void btn_dispatch(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes);
/*
 * True: t, which has become ready, stands behind another task of its flow or tier. So all that follows did so when that
 * one came, and btn_dispatch() would find nothing to do, if nothing else happened. Needs the lock.
 */
bool btn_dispatch_is_behind(const struct baton_sched *s, const struct baton_task *t);
void btn_dispatch_wake_all(struct baton_sched *s, struct btn_wakes *wakes);
static inline void btn_dispatch_wake(struct baton_sched *s, struct btn_wakes *wakes)
{
	/* Most often nobody is to be woken. */
	if (wakes->first || wakes->threads || wakes->ended || wakes->monitor)
		btn_dispatch_wake_all(s, wakes);
}
/* Completes the requests that ended, before their tenants are looked at. Needs the lock. */
void btn_dispatch_done(struct baton_sched *s, struct btn_wakes *wakes);
/* Takes all cached slots, and completes the requests that were left so. Needs the lock. */
void btn_dispatch_end_cached(struct baton_sched *s, struct btn_wakes *wakes);
/*
 * Gives the slot to the worker of the task that was picked for it. Returns that worker, which
 * is to be woken; NULL: none is. Needs the lock.
 */
struct btn_worker *btn_dispatch_assign(struct baton_sched *s, uint64_t now, unsigned slot);
/*
 * Stops the slot's task where it is: another one gets the slot, or the task goes on with a new slice if it is
 * the next one itself. settle: as for btn_slot_account(). Does nothing where wakes have no room for another signal.
 * Needs the lock.
 */
void btn_dispatch_stop(struct baton_sched *s, uint64_t now, unsigned slot, uint64_t settle, struct btn_wakes *wakes);
/*
 * Takes the slots of workers whose slices ended by their timers. True: there were some. Needs the lock; btn_dispatch() does
 * this, too.
 */
bool btn_dispatch_end_slices(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes);
/* Threads may be made again, where some could not and the time to try again has come. Needs the lock. */
void btn_dispatch_retry(struct baton_sched *s, uint64_t now);
/* The tenant leaves, and its last request has ended. Needs the lock. */
void btn_dispatch_tenant_gone(struct baton_tenant *t);
/*
 * Binds w, which was given a slot and does not run yet, to that slot's CPU. Called without the
 * lock.
 */
void btn_dispatch_bind(struct baton_sched *s, struct btn_worker *w);

static inline void btn_wakes_add(struct btn_wakes *wakes, struct btn_worker *w)
{
	if (w) {
		w->next = wakes->first;
		wakes->first = w;
	}
}

/* Takes w out of the wakes, if it is in them: it is the caller's own, and need not be woken. */
static inline bool btn_wakes_del(struct btn_wakes *wakes, const struct btn_worker *w)
{
	struct btn_worker **p;

	for (p = &wakes->first; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			return true;
		}
	return false;
}

#endif
