/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/dispatch.h - ready tasks get idle slots, and workers that got one are woken. */
#ifndef BTN_SCHED_DISPATCH_H
#define BTN_SCHED_DISPATCH_H

#include "../core/core.h"
#include "../core/flow.h"
#include "door.h"
#include "pool.h"
#include "slice.h"
#include "types.h"

/*
 * With the lock: all that follows from what happened. Then, without the lock:
 * btn_dispatch_wake() with the same wakes.
 */
void btn_dispatch(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes);
/*
 * The caller, w, has taken its permit, or its thread begins. True: it is to look, with the lock and by
 * btn_dispatch_left(), at tasks that were left for it. Called without the lock.
 */
bool btn_dispatch_came(struct btn_worker *w);
/* btn_dispatch() for a worker that came. */
void btn_dispatch_left(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes);
/*
 * True: t, which has become ready, stands behind another task of its flow or tier. So all that follows did so when that
 * one came, and btn_dispatch() would find nothing to do, if nothing else happened. Needs the lock.
 */
static inline bool btn_dispatch_is_behind(const struct baton_sched *s, const struct baton_task *t);
/* Slots are idle, and tasks were left for a worker that comes: it looks at one more, too. Needs the lock. */
bool btn_dispatch_is_left(const struct baton_sched *s);
void btn_dispatch_wake_all(struct baton_sched *s, struct btn_wakes *wakes);

/* Takes the lock for a caller that may wait for a slot itself, or be about to: btn_gate_lock() would let the caller wait here. */
static inline void btn_dispatch_lock(struct baton_sched *s) BTN_BEGINS(&s->lock);

static inline void btn_dispatch_lock(struct baton_sched *s)
{
	btn_lock_acquire(&s->lock);
	s->now = btn_clock_read(&s->clock);
	btn_door_take(s);
}
static inline void btn_dispatch_wake(struct baton_sched *s, struct btn_wakes *wakes)
{
	/* Most often nobody is to be woken. */
	if (wakes->first || wakes->threads || wakes->ended || wakes->monitor || wakes->poller || wakes->parted)
		btn_dispatch_wake_all(s, wakes);
}
/*
 * Completes the requests that ended, before their tenants are looked at. A service's may be submitted again, and
 * btn_dispatch() is to follow. Needs the lock.
 */
void btn_dispatch_done(struct baton_sched *s, struct btn_wakes *wakes);
/*
 * The same, up to a request of whose end somebody is told, or that has a handle: then it is false. No thread is to be woken
 * for the others.
 */
static inline bool btn_dispatch_done_quietly(struct baton_sched *s)
{
	struct btn_core *c = &s->core;
	struct baton_request *r;

	while (c->done) {
		r = btn_request_of(c->done);
		if (r->waiters.first || r->threads || r->attached || r->completions || r->tenant->core->leaving ||
		    atomic_load_explicit(&r->refs, memory_order_acquire) != 1) /* [REQUEST-1] */
			return false;
		if (btn_unlikely(r->served) && !s->served_ended(r, true))
			return false;
		btn_core_done(c);
		s->requests--;
		if (btn_likely(!r->served))
			btn_pool_request_give(r);
	}
	return true;
}

/* Takes all cached slots, and completes the requests that were left so. btn_dispatch() is to follow. Needs the lock. */
void btn_dispatch_end_cached(struct baton_sched *s, struct btn_wakes *wakes);
/*
 * Gives the slot to the worker of the task that was picked for it. Returns that worker, which
 * is to be woken; NULL: none is, or one that was parked in the kernel, which is in the list (wakes.parted). Needs the lock.
 */
struct btn_worker *btn_dispatch_assign(struct baton_sched *s, uint64_t now, unsigned slot, uint32_t *parted);
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
void btn_dispatch_bind_to(struct baton_sched *s, struct btn_worker *w);
static inline void btn_dispatch_bind(struct baton_sched *s, struct btn_worker *w)
{
	/* Most often workers are not bound. */
	if (btn_unlikely(s->cpus))
		btn_dispatch_bind_to(s, w);
}

/* True: of what each dispatch looks at, whatever happened, but for the monitor's time, nothing needs a look now. */
static inline bool btn_dispatch_is_quiet(const struct baton_sched *s)
{
	const struct btn_core *c = &s->core;

	return !c->done && !c->n_resched && !s->lazy_slots && !s->detecting && !btn_slice_any(s);
}

static inline bool btn_dispatch_is_behind(const struct baton_sched *s, const struct baton_task *t)
{
	const struct btn_core *c = &s->core;
	const struct btn_flow *f;
	bool left = false;

	if (c->n_idle) {
		left = btn_dispatch_is_left(s);
		if (!left)
			return false;
	}
	/* Things that each dispatch looks at, whatever happened, need none now, */
	if (!btn_dispatch_is_quiet(s))
		return false;
	/* neither the monitor nor a deadline is due sooner for this task, */
	if ((!s->was_wanted && !left) || t->core.req->deadline != BTN_NEVER)
		return false;
	f = btn_flow_of(&t->core);
	if (btn_flow_first(f) != &t->core)
		return true;
	/* no timer for its flow: that is not the first of its tier, has no timer, and others wait longer. */
	return btn_heap_has(&f->node) && btn_line_top(&f->tier->flows) != &f->node && !btn_heap_has(&f->timer) && c->waiting != f;
}

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
