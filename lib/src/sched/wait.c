// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tasks that wait: for each other, for a time, or for both.
 *
 * Three may want to end one wait: the task that has what is waited for, the clock, and a
 * thread that cancels the request. All three come with the scheduler's lock, and the first
 * takes the task out of everything by which the others could find it:
 *
 *	the task that wakes	the monitor		baton_request_cancel
 *	first of the list	first of s->timers	r->alert
 *		\			|			/
 *		 btn_wait_end(t, 0)   (-ETIMEDOUT)   (-ECANCELED)
 *	out of all three, t->woken = why, ready
 *
 * A task may wait for several objects (wait_any.c): then it has a place in the list of each, and
 * out of all three means out of all of these lists as well. Wrong would be to leave the others
 * for later, when the task has a slot: another object could then be given to a task whose wait
 * has ended with something else, and would be lost. selftests/model/any.pml is a model of this.
 *
 * So each wait ends once, with one reason. What was given to the task with the wake (a mutex,
 * a unit of a semaphore) is the task's own then, however late it gets a slot. What was not
 * given to it, because it had left the list, goes to the next task or stays. t->woken is for
 * the task alone, which reads it when it has a slot: the permit that came with the slot orders
 * the read.
 *
 * Standstills. A task keeps its worker while it waits. So where all workers that there may be
 * are kept by tasks which wait for others, and those others can have none, nobody ever goes on:
 *
 *	A, with the last worker		B
 *	spawns B, joins B: waits	ready, needs a worker: none is free, and only A could free one
 *
 * Waits that other tasks of the scheduler alone can end, and no clock, are counted (n_nested): for a
 * task's end, a request's, a baton_mutex. (What any thread may send, post or signal is not among
 * them.) A standstill is where as many wait so as there are workers with a task, attached threads
 * too, and a task is starved: then no slot is in use, nothing is ready that has a worker, and nothing will be. Such a
 * state begins when one more wait begins, or when a task finds no worker, and both are followed by
 * btn_dispatch() with the lock still held, which asks here when it finds no task for an idle slot. The
 * newest of those that wait for an end is told -EDEADLK: in general the one that took the last worker.
 */
#include "wait.h"

#include <errno.h>

#include "../core/core.h"
#include "self.h"

void btn_wait_trace_now(const struct baton_task *t)
{
	const struct btn_worker *w = btn_self;
	struct baton_sched *s = t->s;
	int slot;

	if (!w || w->s != s)
		return;
	slot = w->slot >= 0 ? w->slot : w->leaving;
	if (slot >= 0)
		btn_trace(&s->core.page, slot, s->now, BATON_TRACE_WAKES, 0, 0, t->core.req->tenant->stats,
			  t->core.req->info.number, &t->core);
}

void btn_wait_ready_locked(struct baton_task *t)
{
	btn_wait_trace(t);
	btn_core_ready(&t->s->core, t->s->now, &t->core);
}

static void enter_list(struct baton_task *t, struct btn_waiter *at)
{
	struct btn_waiters *in = at->in;

	at->task = t;
	at->next = NULL;
	at->before = in->last;
	if (in->last)
		in->last->next = at;
	else
		in->first = at;
	in->last = at;
}

static void leave_list(struct btn_waiter *at)
{
	struct btn_waiters *in = at->in;

	if (at->before)
		at->before->next = at->next;
	else
		in->first = at->next;
	if (at->next)
		at->next->before = at->before;
	else
		in->last = at->before;
	at->in = NULL;
}

void btn_wait_first(struct btn_waiter *at)
{
	struct btn_waiters *in = at->in;

	leave_list(at);
	at->in = in;
	at->before = NULL;
	at->next = in->first;
	if (at->next)
		at->next->before = at;
	else
		in->last = at;
	in->first = at;
}

void btn_wait_add(struct baton_task *t, struct btn_waiter *at, unsigned n, uint64_t deadline, bool alert)
{
	struct baton_request *r = t->req;
	unsigned i;

	t->at = at;
	t->n_at = n;
	t->nested = false;
	t->prev_nested = NULL;
	t->prev_alert = NULL;
	t->timer.rank = 0;
	for (i = 0; i < n; i++)
		if (at[i].in)
			enter_list(t, &at[i]);
	if (alert) {
		t->prev_alert = &r->alert;
		t->next_alert = r->alert;
		if (t->next_alert)
			t->next_alert->prev_alert = &t->next_alert;
		r->alert = t;
		if (r->core.deadline < deadline)
			deadline = r->core.deadline;
	}
	if (deadline != BATON_FOREVER) {
		t->timer.key = deadline;
		btn_heap_add(&t->s->timers, &t->timer);
	}
}

/*
 * A wait of t is refused, or ends, because the request's deadline passed. The monitor says so to
 * the request, and may be late: the task's next checkpoint must not know less than this call.
 */
static void pass_deadline(struct baton_task *t)
{
	if (!t->req->core.cancel_pending)
		btn_core_cancel(&t->s->core, t->s->now, &t->req->core, -ETIME);
}

int btn_wait_begin(struct baton_task *t, struct btn_waiter *at, unsigned n, uint64_t deadline, bool alert)
{
	const struct baton_request *r = t->req;

	if (alert && r->core.cancel_pending)
		return btn_wait_deliver(t, r->core.cancel_pending);
	if (alert && t->s->now >= r->core.deadline) {
		pass_deadline(t);
		BTN_OWN_SET(t->worker->cancel_pending, -ETIME);
		atomic_fetch_or_explicit(&t->worker->flag, BTN_FLAG_CANCEL, memory_order_relaxed); /* [SCHED-1] */
		return btn_wait_deliver(t, -ETIME);
	}
	if (t->s->now >= deadline)
		return -ETIMEDOUT;
	btn_wait_add(t, at, n, deadline, alert);
	return 0;
}

void btn_wait_for_tasks(struct baton_task *t, bool fails)
{
	struct baton_sched *s = t->s;

	if (btn_heap_has(&t->timer))
		return;
	t->nested = true;
	s->n_nested++;
	/* The error is to make a worker free, and an attached thread is none. */
	if (!fails || t->core.attached)
		return;
	t->prev_nested = &s->nested;
	t->next_nested = s->nested;
	if (t->next_nested)
		t->next_nested->prev_nested = &t->next_nested;
	s->nested = t;
}

static void end_nested(struct baton_task *t)
{
	t->nested = false;
	t->s->n_nested--;
	if (!t->prev_nested)
		return;
	*t->prev_nested = t->next_nested;
	if (t->next_nested)
		t->next_nested->prev_nested = t->prev_nested;
	t->prev_nested = NULL;
}

/* A task's turn came, and it could have no worker. */
static bool is_starved(const struct baton_sched *s)
{
	const struct baton_tenant *t;

	if (s->core.starved.top)
		return true;
	for (t = s->tenants; t; t = t->next)
		if (t->core->starved.top)
			return true;
	return false;
}

bool btn_wait_end_standstill(struct baton_sched *s)
{
	if (btn_likely(!s->nested) || s->n_nested != s->born - s->n_idle + s->attached)
		return false;
	/* Threads that could not be made may be made later. */
	if (s->retry_at != BTN_NEVER || !is_starved(s))
		return false;
	btn_wait_end(s->nested, -EDEADLK);
	return true;
}

static void end_wait(struct baton_task *t, int why, struct btn_waiter *by)
{
	unsigned i;

	if (t->nested)
		end_nested(t);
	for (i = 0; i < t->n_at; i++)
		if (t->at[i].in)
			leave_list(&t->at[i]);
	if (btn_heap_has(&t->timer))
		btn_heap_del(&t->s->timers, &t->timer);
	if (t->prev_alert) {
		*t->prev_alert = t->next_alert;
		if (t->next_alert)
			t->next_alert->prev_alert = t->prev_alert;
		t->prev_alert = NULL;
	}
	t->woken = why;
	t->by = by;
	btn_wait_ready_locked(t);
}

void btn_wait_end(struct baton_task *t, int why)
{
	struct btn_waiters *in = t->n_at == 1 ? t->at[0].in : NULL;

	end_wait(t, why, NULL);
	if (in && in->left)
		in->left(in);
}

void btn_wait_end_at(struct btn_waiter *at, int why)
{
	end_wait(at->task, why, at);
}

bool btn_wait_end_first(struct btn_waiters *in)
{
	if (!in->first)
		return false;
	btn_wait_end_at(in->first, 0);
	return true;
}

void btn_wait_expire(struct baton_sched *s, uint64_t now)
{
	struct baton_task *t;

	while (s->timers.top && s->timers.top->key <= now) {
		t = btn_container(s->timers.top, struct baton_task, timer);
		if (t->prev_alert && now >= t->req->core.deadline) {
			pass_deadline(t);
			btn_wait_end(t, -ETIME);
		} else {
			btn_wait_end(t, -ETIMEDOUT);
		}
	}
}

void btn_wait_cancel(struct baton_request *r)
{
	while (r->alert)
		btn_wait_end(r->alert, r->core.cancel_pending);
}
