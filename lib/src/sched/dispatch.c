// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Dispatch: all that follows from what happened. Requests that ended are completed, ready
 * tasks get the slots that are idle, and the thread that gave up the lock wakes the workers
 * that got one.
 *
 * Idle slots are filled one at a time. To wake a worker costs more than a short task, and a
 * worker that is on its way takes every task that is ready by then. So as long as the worker
 * that was woken last has not come, ready tasks are left in their flows though slots are idle,
 * and that worker looks when it comes, before it runs its own task: the next task gets the
 * next slot, whose worker looks in turn. Workers that run need not be woken, and take tasks
 * meanwhile where their own ones end.
 *
 * The wake-up that must not be lost is that of a task which is left:
 *
 *	a thread with the scheduler's lock	the worker that comes, w
 *						(c) coming = NULL
 *						(d) left? false: looks no more
 *	(a) left = true
 *	reads coming before (c): leaves
 *	the task to w, for ever
 *
 * So the thread looks again after (a):
 *
 *	(a) left = true				(c) coming: w -> NULL
 *	(b) coming is NULL? then goes on	(d) left? takes the lock, left = false,
 *	    itself				    dispatch
 *
 * [COME-1] All four are sequentially consistent: if (b) does not see (c) then (d) sees (a).
 * `left` becomes false with the lock alone, by a thread that dispatches with it; so as long as
 * a thread with the lock finds `left` set and a worker coming, that worker is going to look, and
 * more tasks can be left without another word. `coming` is set with the lock, before the worker
 * has its permit; and where another worker is woken all the same, that one is the one to look,
 * and the one before does nothing.
 *
 * A worker may be late, where another process has its CPU. That is not to hold up others:
 * COME_NS after a worker was woken the next thread that dispatches wakes another one, and that
 * is the monitor at the latest, which comes again as long as any slot is in use. Nor does a task
 * wait for the worker of one whose tier goes after its own; nor is a task left whose thread
 * dispatches itself, and need not be woken. A worker that was stopped in a signal's handler
 * cannot take the lock there: it wakes the monitor.
 * selftests/model/come.pml is a model of this.
 */
#include "dispatch.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "../core/core.h"
#include "../core/flow.h"
#include "../core/setup.h"
#include "../cpus.h"
#include "../inject.h"
#include "blocked.h"
#include "completion.h"
#include "lazy.h"
#include "polls.h"
#include "pool.h"
#include "self.h"
#include "slice.h"
#include "slot.h"
#include "stop.h"
#include "tick.h"
#include "wait.h"

/* Time after which a worker is tried again, where none could be had. */
#define RETRY_NS	100000000
/* Time after which a worker that was woken is late, and another one may be woken. */
#define COME_NS		100000

/* ---------------------------------------------------------- requests that ended */

void btn_dispatch_tenant_gone(struct baton_tenant *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	btn_core_tenant_free(&t->s->core, t->core);
	t->core = NULL;
	btn_pool_tenant_put_locked(t);
}

static inline void request_done(struct baton_request *r, struct btn_wakes *wakes)
{
	struct baton_sched *s = r->s;
	struct btn_thread_waiter *w;

	r->done = true;
	r->result = r->core.result;
	r->ended = s->now;
	while (r->waiters.first)
		btn_wait_end_first(&r->waiters);
	/* Each waits for its permit, also where its deadline is past: request.c. */
	while ((w = r->threads)) {
		r->threads = w->next;
		w->next = wakes->threads;
		wakes->threads = w;
	}
	if (r->attached && !r->core.started) {
		s->attached--;
		r->attached->refused = r->result;
		btn_wakes_add(wakes, r->attached);
	}
	if (r->tenant->core->leaving && !r->tenant->core->requests && !btn_door_pending(r->tenant))
		btn_dispatch_tenant_gone(r->tenant);
	r->tenant = NULL;
	s->requests--;
	if (btn_unlikely(r->served)) {
		s->served_ended(r, false);
		return;
	}
	/* The queue owns the handle of such a request: the reference below is not the last. */
	if (r->completions) {
		r->next = wakes->ended;
		wakes->ended = r;
	}
	/* Where there is one reference it is this one, and nobody can make another. */
	if (atomic_load_explicit(&r->refs, memory_order_acquire) == 1 || /* [REQUEST-1] */
	    atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1) { /* [REQUEST-1] */
		/* The request's first task may be the one that ends just now: nobody takes the memory before the lock is free. */
		if (!btn_pool_request_keep(r))
			btn_pool_request_give(r);
	}
}

static inline void end_requests(struct baton_sched *s, struct btn_wakes *wakes)
{
	struct btn_request *r;

	while ((r = btn_core_done(&s->core)))
		request_done(btn_request_of(r), wakes);
}

void btn_dispatch_done(struct baton_sched *s, struct btn_wakes *wakes)
{
	end_requests(s, wakes);
}

void btn_dispatch_end_cached(struct baton_sched *s, struct btn_wakes *wakes)
{
	btn_lazy_take_all(s);
	end_requests(s, wakes);
}

/*
 * ---------------------------------------------------------- workers for tasks
 *
 * Tasks yet to start may take n_idle workers, and max - born more that are to be made. Where
 * one could not be made there are only those that are idle, until retry_at: then all of the
 * rest may be tried again, not one alone. The tasks that wait may be what the first of them
 * waits for.
 */

/* The slot's task can have no worker, and waits until one is free. */
static void give_back(struct baton_sched *s, uint64_t now, unsigned slot)
{
	struct btn_task *t = s->core.run[slot].task;

	t->ran = false;
	t->req->tenant->workers--;
	btn_task_of(t)->worker = NULL;
	s->on[slot] = NULL;
	/* The limit on workers is what there is, for now. */
	s->core.workers = s->n_idle;
	s->retry_at = now + RETRY_NS;
	btn_core_stop(&s->core, now, slot, 0, BTN_STOP_YIELD);
}

void btn_dispatch_retry(struct baton_sched *s, uint64_t now)
{
	if (now < s->retry_at)
		return;
	s->retry_at = BTN_NEVER;
	btn_core_workers(&s->core, now, s->n_idle + s->max - s->born);
}

/* The CPU to which w, which has a slot, is to be bound, and is not yet; or -1. */
static int cpu_to_bind(const struct baton_sched *s, struct btn_worker *w)
{
	if (!s->cpus || w->attached || w->cpu == s->cpus[w->slot])
		return -1;
	w->cpu = s->cpus[w->slot];
	return w->cpu;
}

void btn_dispatch_bind_to(struct baton_sched *s, struct btn_worker *w)
{
	struct btn_cpus set;

	if (cpu_to_bind(s, w) < 0)
		return;
	btn_cpus_one(&set, w->cpu);
	/* A thread whose CPU is gone or forbidden by now stays where it was. */
	if (w->tid)
		btn_cpus_use(&set, w->tid);
}

struct btn_worker *btn_dispatch_assign(struct baton_sched *s, uint64_t now, unsigned slot, uint32_t *parted)
{
	struct btn_run *run = &s->core.run[slot];
	struct baton_task *t = btn_task_of(run->task);
	struct btn_worker *w = t->worker;

	if (!w) {
		w = s->idle;
		if (w) {
			s->idle = w->next;
			s->n_idle--;
		} else {
			w = btn_pool_worker_new(s, false);
			if (!w) {
				give_back(s, now, slot);
				/* The monitor has more memory soon. */
				if (btn_pool_is_short(s))
					s->retry_at = now;
				return NULL;
			}
			s->born++;
		}
		w->task = t;
		t->worker = w;
		w->mixed |= w->cputime.charged && w->last_tenant != t->req->tenant->core;
		w->last_tenant = t->req->tenant->core;
	} else if (w->last_slot >= 0 && w->last_slot != (int)slot) {
		btn_stat_add(&s->core.page.slots[slot].steals, 1);
	}
	if (w->in)
		btn_slot_end_slotless(w, now);
	if (w->designated)
		btn_blocked_undesignate(w);
	w->given = atomic_load_explicit(&w->waits, memory_order_relaxed); /* [PREEMPT-2] */
	w->slot = w->last_slot = slot;
	w->leaving = -1;
	w->cputime.since = now;
	w->mixed |= run->lender != NULL;
	atomic_store_explicit(&w->until, now + run->slice, memory_order_relaxed); /* [SCHED-1] */
	BTN_OWN_SET(w->looked, now);
	BTN_OWN_SET(w->quiet, 1);
	BTN_OWN_SET(w->reload, 1);
	BTN_OWN_SET(w->gap, 0);
	BTN_OWN_SET(w->cancel_pending, run->task->req->cancel_pending);
	s->on[slot] = w;
	s->looks[slot].resched_at = s->looks[slot].cpu_at = 0;
	btn_slot_watch(s, slot);
	s->given = true;
	/* The flag is only set with the lock. */
	atomic_store_explicit(&w->flag, run->task->req->cancel_pending ? BTN_FLAG_CANCEL : 0, memory_order_relaxed); /* [SCHED-1] */
	if (w->attached && !run->lender)
		btn_lazy_arm(s, w, slot);
	if (!w->parked_ready)
		return w;
	/*
	 * The cell says with the lock that the worker goes on: a thread that did so without it could be late, and
	 * let the worker go from where it was parked the next time.
	 */
	w->parked_ready = false;
	btn_detect_release(s->detect, w->cell, w->tid, cpu_to_bind(s, w), parted);
	return NULL;
}

void btn_dispatch_stop(struct baton_sched *s, uint64_t now, unsigned slot, uint64_t settle, struct btn_wakes *wakes)
{
	struct btn_core *c = &s->core;
	struct btn_worker *w = s->on[slot];
	struct btn_task *next;
	/* A worker that can have a timer gets it in the handler. */
	bool parks = btn_slot_spins(w) && btn_slice_can(w);
	uint64_t cpu;

	if (!btn_stop_has_room(wakes))
		return;
	btn_stop_show(s, now, slot);
	btn_slot_trust(w);
	btn_slot_fold(w, slot);
	cpu = btn_slot_account(w, now, settle);
	if (parks)
		cpu += btn_slot_expect(w, slot);
	btn_core_stop(c, now, slot, cpu, BTN_STOP_YIELD);
	next = btn_core_pick(c, now, slot);
	if (next == &w->task->core && !parks) {
		btn_slot_renew(s, w, now, slot);
		return;
	}
	btn_slot_lose(s, w, slot);
	btn_stop_park(wakes, w);
	if (next)
		btn_wakes_add(wakes, btn_dispatch_assign(s, now, slot, &wakes->parted));
}

/* The worker's slice is over, and the worker waits, and has parked. */
static void end_slice(struct baton_sched *s, uint64_t now, struct btn_worker *w, struct btn_wakes *wakes)
{
	struct btn_core *c = &s->core;
	unsigned slot = w->slot;
	struct btn_task *next;

	if (w->slot < 0) {
		/* The slot was taken as the thread slept, and it woke since; or is parked by the kernel, in its handler. */
		if (w->cell && !btn_cell_spare(w->cell))
			btn_detect_release(s->detect, w->cell, w->tid, -1, &wakes->parted);
		btn_slot_end_slotless(w, now);
		btn_wait_ready_locked(w->task);
		return;
	}
	btn_lazy_off(s, w);
	btn_stop_show(s, now, slot);
	btn_slot_trust(w);
	btn_slot_fold(w, slot);
	btn_core_force(c, slot);
	btn_core_stop(c, now, slot, btn_slot_account(w, now, 0), BTN_STOP_YIELD);
	btn_slot_lose_parked(s, w, slot);
	next = btn_core_pick(c, now, slot);
	if (next)
		btn_wakes_add(wakes, btn_dispatch_assign(s, now, slot, &wakes->parted));
}

bool btn_dispatch_end_slices(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes)
{
	struct btn_worker *w = btn_slice_all(s), *next;
	bool any = w, parks;

	for (; w; w = next) {
		next = w->next_over;
		if (!btn_slice_take(w))
			continue;
		/* A worker that was stopped just before may have its next slot by now: there is, or will be, a permit. */
		parks = !atomic_load_explicit(&w->waits, memory_order_acquire); /* [PREEMPT-2] */
		if (parks)
			btn_slot_set_waits(w);
		btn_slice_taken(w);
		if (parks)
			end_slice(s, now, w, wakes);
	}
	return any;
}

/* Tasks that are to make room for better ones. True: one was stopped at once. */
static bool resched_slots(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes, uint64_t *due)
{
	struct btn_core *c = &s->core;
	bool stopped = false;
	int slot;

	while ((slot = btn_core_next_resched(c)) >= 0) {
		if (!c->run[slot].task)
			continue;
		if (btn_stop_has_room(wakes) && btn_stop_is_known(s, slot)) {
			/* No other thread's CPU clock is read here: the rest follows when that is parked. */
			btn_dispatch_stop(s, now, slot, BTN_NEVER, wakes);
			stopped = true;
			continue;
		}
		s->looks[slot].resched_at = s->looks[slot].looked_at = now;
		s->looks[slot].in = BTN_LOOK_NS;
		btn_slot_watch(s, slot);
		atomic_fetch_or_explicit(&s->on[slot]->flag, BTN_FLAG_NEED_RESCHED, memory_order_relaxed); /* [SCHED-1] */
		*due = now + BTN_LOOK_NS;
	}
	return stopped;
}

/* ---------------------------------------------------------- idle slots, one at a time */

/* True: a worker was woken, is not late, and has not come, as far as this thread can see. */
static inline bool one_comes(const struct baton_sched *s, uint64_t now)
{
	return atomic_load_explicit(&s->coming, memory_order_relaxed) && /* [COME-1] (b) decides */
	       (now - s->woken_at < COME_NS || BTN_FAIL("sched:come:late"));
}

/* True: the task of the caller, which is no idle worker's, is ready. */
static inline bool is_caller_ready(const struct baton_sched *s)
{
	const struct btn_worker *w = btn_self;

	return w && w->s == s && w->slot < 0 && w->task && w->task->core.state == BTN_TASK_READY;
}

/* True: tasks that are ready are left for the worker that comes, though a slot is idle. */
static bool leave_tasks(struct baton_sched *s, uint64_t now)
{
	const struct btn_task *first;

	if (btn_likely(!one_comes(s, now)) || is_caller_ready(s))
		return false;
	first = btn_core_first(&s->core, now);
	if (!first || btn_core_rank(&s->core, first) < s->coming_rank)
		return false;
	BTN_POINT("sched:leave:set");
	atomic_store_explicit(&s->left, true, memory_order_seq_cst); /* [COME-1] (a) */
	BTN_POINT("sched:leave:look");
	return atomic_load_explicit(&s->coming, memory_order_seq_cst); /* [COME-1] (b) */
}

/* The idle slot's task has this worker, which is to be woken. NULL: none is. */
static void fill_slot(struct baton_sched *s, uint64_t now, unsigned slot, struct btn_wakes *wakes)
{
	struct btn_worker *w = btn_dispatch_assign(s, now, slot, &wakes->parted);

	if (!w)
		return;
	btn_wakes_add(wakes, w);
	if (w == btn_self)
		return;
	s->woken_at = now;
	s->coming_rank = s->core.run[slot].tier->rank;
	atomic_store_explicit(&s->coming, w, memory_order_relaxed); /* [COME-1] with the lock, and before the permit */
}

bool btn_dispatch_came(struct btn_worker *w)
{
	struct baton_sched *s = w->s;
	struct btn_worker *coming = w;

	if (atomic_load_explicit(&s->coming, memory_order_relaxed) != w) /* [COME-1] */
		return false;
	BTN_POINT("sched:came:clear");
	if (!atomic_compare_exchange_strong_explicit(&s->coming, &coming, NULL, memory_order_seq_cst, /* [COME-1] (c) */
						     memory_order_relaxed)) /* [COME-1] */
		return false;
	BTN_POINT("sched:came:look");
	return atomic_load_explicit(&s->left, memory_order_seq_cst); /* [COME-1] (d) */
}

void btn_dispatch_left(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes)
{
	atomic_store_explicit(&s->left, false, memory_order_relaxed); /* [COME-1] with the lock */
	btn_dispatch(s, now, wakes);
}

/*
 * True: btn_dispatch() would find nothing to do. All slots are in use, and the monitor, which knows that tasks
 * wait, comes as soon as it would be told to.
 */
static inline bool is_settled(struct baton_sched *s, uint64_t now)
{
	uint64_t due = btn_tick_due(s);

	return !s->core.n_idle && s->was_wanted && btn_dispatch_is_quiet(s) && due <= now + BTN_TICK_QUIET_NS &&
	       due <= btn_tick_next(s, now);
}

/* Not inline: btn_dispatch() most often does without the registers that are saved here. */
static __attribute__((noinline)) void dispatch_all(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes)
{
	struct btn_core *c = &s->core;
	bool calm, waited = s->was_wanted;
	uint64_t due, tick, look = BTN_NEVER;
	int slot;

again:
	for (;;) {
		end_requests(s, wakes);
		slot = btn_core_idle(c);
		if (slot >= 0 && leave_tasks(s, now))
			break;
		if (slot < 0 || !btn_core_pick(c, now, slot)) {
			if (c->done || (slot >= 0 && btn_wait_end_standstill(s)))
				continue;
			break;
		}
		fill_slot(s, now, slot, wakes);
	}
	if (btn_lazy_look(s, now) || (s->detecting && btn_blocked_look(s, now)) ||
	    (btn_slice_any(s) && btn_dispatch_end_slices(s, now, wakes)) || resched_slots(s, now, wakes, &look))
		goto again;
	/*
	 * The monitor looks by itself at all who had their slots when it came last. A task that
	 * has come to wait since makes it look at those that were late, and may sleep.
	 */
	due = btn_tick_next(s, now);
	calm = c->slots_in_use == c->slots && s->lazy_slots == c->slots - c->n_idle && !s->was_wanted;
	tick = calm ? BTN_TICK_LAZY_NS : BTN_TICK_QUIET_NS;
	if ((s->given || s->was_wanted) && (c->n_idle < c->slots || c->slots_in_use > c->slots) && now + tick < due)
		due = now + tick;
	if (s->was_wanted && !waited && (s->late || s->dozing.first) && now + BTN_LOOK_NS < due)
		due = now + BTN_LOOK_NS;
	if (look < due)
		due = look;
	if (s->poll == BTN_POLL_VACANT && btn_poll_name(s, wakes) && now + BTN_POLL_TICK_NS < due)
		due = now + BTN_POLL_TICK_NS;
	if (due < btn_tick_due(s) && btn_tick_due(s) - due > BTN_TICK_NS / 4) {
		btn_tick_set_due(s, due);
		wakes->monitor = true;
	}
}

void btn_dispatch(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes)
{
	if (!is_settled(s, now))
		dispatch_all(s, now, wakes);
	/* Tasks that others left behind one that has its slot now. */
	while (btn_door_shut(s))
		dispatch_all(s, now, wakes);
}

bool btn_dispatch_is_left(const struct baton_sched *s)
{
	return one_comes(s, s->now) && atomic_load_explicit(&s->left, memory_order_relaxed); /* [COME-1] with the lock */
}

/* ---------------------------------------------------------- who is woken */

/*
 * Lets a worker that has a slot begin or go on. False: the worker has no thread, and there can
 * be none now.
 */
static bool let_go(struct baton_sched *s, struct btn_worker *w)
{
	pthread_attr_t attr;
	struct btn_cpus set;
	int err;

	btn_dispatch_bind(s, w);
	if (w->born) {
		bool polls = btn_poll_is_in(w);

		baton_parker_resume(w->parker);
		if (polls)
			btn_poll_kick(s);
		return true;
	}
	w->born = true;
	btn_pool_refill(s);
	err = BTN_FAIL("sched:thread") ? EAGAIN : pthread_attr_init(&attr);
	if (!err) {
		pthread_attr_setstacksize(&attr, s->stack_size);
		if (s->cpus) {
			btn_cpus_one(&set, w->cpu);
			pthread_attr_setaffinity_np(&attr, sizeof(set.part), set.part);
		}
		err = pthread_create(&w->thread, &attr, s->worker_main, w);
		pthread_attr_destroy(&attr);
	}
	return !err;
}

/* Workers that could not begin: their slots are given to others. */
static void cannot_begin(struct baton_sched *s, struct btn_worker *unborn, struct btn_wakes *wakes)
{
	struct btn_worker *w;

	btn_dispatch_lock(s);
	while ((w = unborn)) {
		unborn = w->next;
		s->born--;
		if (atomic_load_explicit(&s->coming, memory_order_relaxed) == w) /* [COME-1] */
			atomic_store_explicit(&s->coming, NULL, memory_order_relaxed); /* [COME-1] dispatch follows */
		give_back(s, s->now, w->slot);
		btn_pool_worker_back(w);
	}
	btn_dispatch(s, s->now, wakes);
	btn_lock_release(&s->lock);
}

/* The oldest first: that one is the last in the list. */
static void end_in_queues(struct btn_wakes *wakes)
{
	struct baton_request *r, *oldest = NULL;

	while ((r = wakes->ended)) {
		wakes->ended = r->next;
		r->next = oldest;
		oldest = r;
	}
	while ((r = oldest)) {
		oldest = r->next;
		btn_completion_add(r);
	}
}

/* Wakes all. False: some could not begin; their slots are others', which are the new wakes. */
static inline bool wake_once(struct baton_sched *s, struct btn_wakes *wakes)
{
	struct btn_worker *w, *next, *unborn = NULL;
	struct btn_thread_waiter *t;

	btn_stop_send(s, wakes);
	if (btn_unlikely(wakes->parted))
		btn_detect_wake_parked(s->detect, &wakes->parted);
	while ((t = wakes->threads)) {
		/* From the resume on *t is on the stack of a thread that goes on. */
		wakes->threads = t->next;
		BTN_POINT("sched:wake:thread");
		baton_parker_resume(t->parker);
	}
	for (w = wakes->first; w; w = next) {
		next = w->next;
		if (btn_unlikely(!let_go(s, w))) {
			w->next = unborn;
			unborn = w;
		}
	}
	if (wakes->monitor)
		baton_parker_resume(s->monitor_parker);
	if (wakes->poller)
		baton_parker_resume(s->poll_parker);
	end_in_queues(wakes);
	if (btn_likely(!unborn))
		return true;
	*wakes = (struct btn_wakes){ 0 };
	cannot_begin(s, unborn, wakes);
	return false;
}

void btn_dispatch_wake_all(struct baton_sched *s, struct btn_wakes *wakes)
{
	while (!wake_once(s, wakes))
		;
}
