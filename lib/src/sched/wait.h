/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/wait.h - lists of tasks that wait. All calls with the lock.
 */
#ifndef BTN_SCHED_WAIT_H
#define BTN_SCHED_WAIT_H

#include "types.h"

/* Makes t ready. And only traces that the caller's task made t ready. */
void btn_wait_ready_locked(struct baton_task *t);
void btn_wait_trace_now(const struct baton_task *t);
static inline void btn_wait_trace(const struct baton_task *t)
{
	if (btn_unlikely(t->s->core.page.rings))
		btn_wait_trace_now(t);
}


/*
 * Puts t into the n lists that at[].in names (NULL: into none) until it is woken in one of
 * them, or until the deadline, which may be past; with alert, or until a cancel. The n places
 * are the wait's until it ends.
 */
void btn_wait_add(struct baton_task *t, struct btn_waiter *at, unsigned n, uint64_t deadline, bool alert);
/*
 * The caller's task t is to wait in n lists until it is woken in one of them or the deadline
 * comes; with alert, or until its request has a cancel pending. Returns 0, and btn_gate_wait()
 * is to follow while the lock is still held; or why t does not wait: -ETIMEDOUT, -ETIME or
 * -ECANCELED.
 */
int btn_wait_begin(struct baton_task *t, struct btn_waiter *at, unsigned n, uint64_t deadline, bool alert);
/*
 * After btn_wait_begin(): t waits for what other tasks of its scheduler alone can do; nothing, where
 * the wait has a deadline. fails: t waits for the end of a task or request, and may be told that there is a standstill.
 */
void btn_wait_for_tasks(struct baton_task *t, bool fails);
/*
 * Ends a wait with -EDEADLK where there is a standstill: all workers' tasks wait so, and others can
 * have no worker. False: there is none, or no wait that may fail.
 */
bool btn_wait_end_standstill(struct baton_sched *s);
/* Moves a place that is in a list before all others there. */
void btn_wait_first(struct btn_waiter *at);
/* Ends the wait of t, which is in no list from then on: with -ETIMEDOUT, -ETIME, -ECANCELED, -EDEADLK. */
void btn_wait_end(struct baton_task *t, int why);
/* The same, because of what is waited for at this place: with 0, or an error of the object's. */
void btn_wait_end_at(struct btn_waiter *at, int why);
bool btn_wait_end_first(struct btn_waiters *in);	/* false: no task waits */
void btn_wait_expire(struct baton_sched *s, uint64_t now);
void btn_wait_cancel(struct baton_request *r);		/* r has a cancel pending */

/* A call of the task's is about to return this, the cancel_pending of its request; 0: none. */
static inline int btn_wait_deliver(struct baton_task *t, int cancel)
{
	if (cancel)
		t->cancel_delivered = cancel;
	return cancel;
}

#endif
