/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/dispatch.h - ready tasks get idle slots, and who gets one is woken. */
#ifndef BTN_SCHED_DISPATCH_H
#define BTN_SCHED_DISPATCH_H

#include "types.h"

/* With the lock. Everything that follows from what happened; then, without the lock, wake_all. */
void btn_dispatch(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes);
void btn_dispatch_wake(struct baton_sched *s, struct btn_wakes *wakes);
/* With the lock. What ended is done with, before anybody looks at its tenant. */
void btn_dispatch_done(struct baton_sched *s, struct btn_wakes *wakes);
/* With the lock. Slots that are cached are taken: all; the requests that were left so are done. */
void btn_dispatch_end_cached(struct baton_sched *s, struct btn_wakes *wakes);
/* With the lock. The worker of the task that was picked for this slot; NULL: none to be had. */
struct btn_worker *btn_dispatch_assign(struct baton_sched *s, uint64_t now, unsigned slot);
/* With the lock. It leaves, and its last request ended. */
void btn_dispatch_tenant_gone(struct baton_tenant *t);
/* Without the lock: it was given a slot, and does not run yet. */
void btn_dispatch_bind(struct baton_sched *s, struct btn_worker *w);

static inline void btn_wakes_add(struct btn_wakes *wakes, struct btn_worker *w)
{
	if (w) {
		w->next = wakes->first;
		wakes->first = w;
	}
}

/* Out of it again; it may be the caller's, who need not be woken. */
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
