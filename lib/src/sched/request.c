// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Requests: from submit to their end.
 *
 * A handle is put without the lock: a service does that once for each request, and a thread
 * that holds the lock then may have been preempted by just the one that puts.
 *
 * [REQUEST-1] The request's end, with the lock, and the putting of the handle each give back
 * one of refs, and touch the request no more. The thread that gives back the last one frees
 * the request, and has acquired what the other released. [REQUEST-2] The scheduler may be
 * destroyed when `handles` is 0: the putting of a handle ends with that, when the request's
 * memory is back.
 */
#include "request.h"

#include <errno.h>
#include <string.h>

#include "../core/core.h"
#include "../inject.h"
#include "../opts.h"
#include "../park.h"
#include "../tsan.h"
#include "dispatch.h"
#include "door.h"
#include "gate.h"
#include "pool.h"
#include "self.h"
#include "wait.h"

static bool are_valid(const struct baton_sched *s, const struct baton_request_opts *opts)
{
	return (unsigned)opts->cls <= BATON_INTERNAL &&
	       (opts->cls != BATON_INTERNAL || (opts->tier >= 2 && opts->tier < s->core.tiers));
}

/*
 * Takes the lock, and memory, with it. NULL: there is none, and the lock is not held.
 * r->next: a list for the caller to free when it has given the lock up, and not where requests end:
 * there a thread may wait for the caller, and malloc's lock be a stopped task's.
 */
BTN_BEGINS_IF(true, btn_inside, btn_locked)
static inline struct baton_request *lock_with_memory(struct baton_sched *s)
{
	struct baton_request *r, *first;

	if (BTN_FAIL("sched:request"))
		return NULL;
	btn_gate_lock(s);
	r = btn_pool_request_take(s);
	if (btn_likely(r))
		return r;
	btn_gate_release(s);
	first = btn_pool_request_grow(s);
	if (!first)
		return NULL;
	btn_gate_lock(s);
	btn_pool_request_grown(first);
	return first;
}

/*
 * Sets what is read of a request and of its first task before something else writes it. The core's parts are set by
 * btn_core_submit(), what is valid while a task waits by btn_wait_add(), and the scheduler with the memory.
 */
static inline void init_request(struct baton_request *r, struct baton_tenant *t, const struct baton_request_opts *opts, bool handle)
{
	struct baton_task *first = &r->first;

	first->core.attached = false;
	first->worker = NULL;
	first->joiner = (struct btn_waiters){ 0 };
	first->fn = opts->fn;
	first->arg = opts->arg;
	first->turn = 0;
	first->cancel_delivered = 0;
	first->locks_held = 0;
	first->ended = first->joinable = first->heap = false;
	r->tenant = t;
	r->completions = NULL;
	r->waiters = (struct btn_waiters){ 0 };
	r->threads = NULL;
	r->alert = NULL;
	r->attached = NULL;
	r->served = NULL;
	r->began = 0;
	atomic_init(&r->refs, handle ? 2 : 1);
	r->done = false;
	r->core.class = (uint8_t)opts->cls;
	r->core.tier = opts->tier;
	r->core.told = false;
	r->core.deadline = opts->deadline ? opts->deadline : BTN_NEVER;
}

void btn_request_renew(struct baton_request *r, struct baton_tenant *t, const struct baton_request_opts *opts)
{
	init_request(r, t, opts, false);
}

int btn_request_new(struct baton_request **out, struct baton_tenant *t,
		    const struct baton_request_opts *opts, bool handle)
{
	struct baton_request *r = NULL, *more;

	if (!are_valid(t->s, opts))
		return -EINVAL;
	if (!BTN_FAIL("sched:request"))
		r = btn_pool_request_kept();
	if (!r) {
		r = lock_with_memory(t->s);
		if (!r)
			return -ENOMEM;
		more = r->next;
		btn_gate_release(t->s);
		btn_pool_request_free_all(more);
	}
	/* A thread may have kept the memory from another scheduler. */
	r->s = r->first.s = t->s;
	init_request(r, t, opts, handle);
	*out = r;
	return 0;
}

static inline int submit_locked(struct baton_sched *s, struct baton_request *r, uint64_t arrival)
{
	int err;

	/* A caller that looked the tenant up can still have it when it is gone. */
	if (!r->tenant->core)
		return -ESHUTDOWN;
	r->core.tenant = r->tenant->core;
	if (btn_unlikely(r->core.tenant->requests_max))
		r->core.tenant->pending = btn_door_pending(r->tenant);
	r->core.info.arrival = arrival && arrival < s->now ? arrival : s->now;
	err = btn_core_submit(&s->core, s->now, &r->core, &r->first.core);
	if (!err) {
		btn_wait_trace(&r->first);
		s->requests++;
		if (atomic_load_explicit(&r->refs, memory_order_relaxed) > 1) /* [REQUEST-1] */
			atomic_fetch_add_explicit(&s->handles, 1, memory_order_relaxed); /* [REQUEST-2] */
	}
	return err;
}

int btn_request_submit(struct baton_request *r, uint64_t arrival)
{
	return submit_locked(r->s, r, arrival);
}

static __attribute__((noinline)) int submit_copy(struct baton_tenant *t, const struct baton_request_opts *opts,
						  struct baton_request **out)
{
	struct baton_request_opts room;
	int err = btn_opts_take(&room, sizeof(room), opts);

	room.sz = sizeof(room);
	return err ? err : baton_submit(t, &room, out);
}

/* Submits without the lock. False: nothing was done. */
static inline bool submit_by_push(struct baton_sched *s, struct baton_tenant *t, const struct baton_request_opts *opts,
				  struct baton_request **out, uint64_t bit)
{
	struct btn_worker *w = btn_self;
	struct baton_request *r;

	if (w && w->s == s && (atomic_load_explicit(&w->flag, memory_order_relaxed) || /* [SCHED-1] */
			       atomic_load_explicit(&w->waits, memory_order_relaxed))) /* [PREEMPT-2] */
		return false;
	r = btn_pool_request_mine();
	if (btn_unlikely(!r)) {
		btn_pool_request_begin_mine();
		return false;
	}
	btn_leased_wake(s);
	/* The memory may have been another scheduler's. */
	r->s = r->first.s = s;
	init_request(r, t, opts, out);
	r->core.info.arrival = btn_clock_now();
	btn_tsan_release(&r->first);
	btn_gate_enter(w);
	if (btn_unlikely(!btn_door_enter(t, bit))) {
		btn_gate_exit(w);
		btn_pool_request_unused(r);
		return false;
	}
	if (out) {
		*out = r;
		atomic_fetch_add_explicit(&s->handles, 1, memory_order_relaxed); /* [REQUEST-2] */
	}
	if (btn_unlikely(!btn_door_push(r, bit)))
		btn_gate_look(s);
	btn_gate_exit(w);
	return true;
}

int baton_submit(struct baton_tenant *t, const struct baton_request_opts *opts, struct baton_request **out)
{
	struct baton_sched *s = t->s;
	struct baton_request *r, *more;
	uint64_t bit;
	int err;

	if (out)
		*out = NULL;
	if (!btn_self_is_here(s->process))
		return -EPERM;
	/* A caller with another header's struct. */
	if (btn_unlikely(opts->sz != sizeof(*opts)))
		return submit_copy(t, opts, out);
	if (!opts->fn || !are_valid(s, opts))
		return -EINVAL;
	bit = btn_door_bit(opts);
	if (btn_door_is_open(t, bit) && submit_by_push(s, t, opts, out, bit))
		return 0;
	r = lock_with_memory(s);
	if (!r)
		return -ENOMEM;
	more = r->next;
	init_request(r, t, opts, out != NULL);
	btn_tsan_release(&r->first);
	err = submit_locked(s, r, opts->arrival);
	if (btn_unlikely(err)) {
		/* Nothing happened: the core changed figures alone. */
		btn_pool_request_give(r);
		btn_gate_release(s);
	} else {
		if (out)
			*out = r;
		if (btn_door_open(r, bit))
			more = btn_pool_request_refill(s, more);
		btn_gate_queued(s, &r->first);
	}
	if (btn_unlikely(more))
		btn_pool_request_free_all(more);
	return err;
}

/* Waits in a thread that is no task of the scheduler. Gives up the lock. */
BTN_ENDS(btn_inside, btn_locked)
static int wait_in_thread(struct baton_request *r, uint64_t deadline, struct baton_parker *parker)
{
	struct btn_thread_waiter me = { .parker = parker, .next = r->threads, .prev = &r->threads };
	struct baton_sched *s = r->s;
	int err, late;

	if (me.next)
		me.next->prev = &me.next;
	r->threads = &me;
	btn_gate_release(s);
	late = btn_parker_wait(parker, NULL, deadline, NULL);
	BTN_POINT("sched:request:woken");
	btn_gate_lock(s);
	err = r->done ? 0 : -ETIMEDOUT;
	if (err) {
		*me.prev = me.next;
		if (me.next)
			me.next->prev = me.prev;
	}
	btn_gate_release(s);
	/*
	 * The thread that ended the request took this waiter out of the list, and is about to give
	 * it its permit, without the lock: *me is in use until then.
	 */
	if (!err && late)
		btn_parker_wait(parker, NULL, BATON_FOREVER, NULL);
	return err;
}

static int wait_for(struct baton_request *r, uint64_t deadline, bool alert, int *result)
{
	struct baton_sched *s = r->s;
	struct btn_waiter me = { .in = &r->waiters };
	struct baton_parker *parker = NULL;
	bool task = btn_self && btn_self->s == s;
	int err = 0;

	if (!btn_self_is_here(s->process))
		return -EPERM;
	if (r->first.core.attached)
		btn_gate_settle(s);
	if (!task)
		err = baton_parker_create(&parker);
	if (err)
		return err;
	btn_gate_lock(s);
	if (r->done) {
		btn_gate_release(s);
	} else if (task) {
		err = btn_wait_begin(btn_self->task, &me, 1, deadline, alert);
		if (err) {
			btn_gate_release(s);
		} else {
			btn_wait_for_tasks(btn_self->task, true);
			err = btn_gate_wait(btn_self->task);
		}
	} else {
		err = wait_in_thread(r, deadline, parker);
	}
	baton_parker_destroy(parker);
	/* The result does not change any more. */
	if (!err) {
		*result = r->result;
		btn_tsan_acquire(r);
	}
	return err;
}

int baton_request_wait(struct baton_request *r)
{
	int result = 0, err = wait_for(r, BATON_FOREVER, false, &result);

	return err ? err : result;
}

int baton_request_wait_until(struct baton_request *r, uint64_t deadline, int *result)
{
	return wait_for(r, deadline, true, result);
}

void baton_request_cancel(struct baton_request *r)
{
	struct baton_sched *s = r->s;
	struct btn_wakes wakes = { 0 };

	if (!btn_self_is_here(s->process))
		return;
	btn_gate_lock(s);
	if (r->first.core.attached)
		btn_dispatch_end_cached(s, &wakes);
	if (!r->done)
		btn_core_cancel(&s->core, s->now, &r->core, -ECANCELED);
	if (!r->done)
		btn_wait_cancel(r);
	btn_gate_unlock(s, &wakes);
}

void baton_request_charge(struct baton_request *r, uint64_t cpu)
{
	struct baton_sched *s = r->s;

	if (!btn_self_is_here(s->process))
		return;
	if (r->first.core.attached)
		btn_gate_settle(s);
	btn_gate_lock(s);
	if (!r->done)
		btn_core_charge(&s->core, s->now, &r->core, cpu, false);
	btn_gate_release(s);
}

void baton_request_times(struct baton_request *r, struct baton_request_times *out, size_t sz)
{
	struct baton_sched *s = r->s;
	struct baton_request_times t = { 0 };
	uint64_t now;

	if (!btn_self_is_here(s->process)) {
		memset(out, 0, sz);
		return;
	}
	if (r->first.core.attached)
		btn_gate_settle(s);
	btn_gate_lock(s);
	now = s->now;
	t.cpu = btn_request_cpu(r, r->done ? r->ended : now);
	t.waited = btn_span_sum(&r->core.ready, now);
	t.throttled = btn_request_throttled(&r->core, now);
	t.arrival = r->core.info.arrival;
	t.deadline = r->core.deadline == BTN_NEVER ? 0 : r->core.deadline;
	if (!r->done && r->core.class != BTN_BATCH && r->core.class != BTN_INTERNAL)
		t.budget += btn_account_left(&r->core.tenant->acct[BTN_LOW], now);
	if (!r->done && (r->core.class == BTN_BATCH || r->core.class == BTN_TOLERANT))
		t.budget += btn_account_left(&r->core.tenant->acct[BTN_HIGH], now);
	btn_gate_release(s);
	memcpy(out, &t, sz < sizeof(t) ? sz : sizeof(t));
}

struct baton_request *baton_request_self(void)
{
	return btn_self && btn_self->task ? btn_self->task->req : NULL;
}

void baton_request_put(struct baton_request *r)
{
	struct baton_sched *s;

	if (!r || !btn_self_is_here(r->s->process))
		return;
	s = r->s;
	btn_gate_enter(btn_self);
	if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1) /* [REQUEST-1] */
		btn_gate_request_free(r);
	atomic_fetch_sub_explicit(&s->handles, 1, memory_order_release); /* [REQUEST-2] */
	btn_gate_exit(btn_self);
}
