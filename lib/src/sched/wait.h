/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/wait.h - lists of tasks that wait, and those that hold what others wait for. With the lock. */
#ifndef BTN_SCHED_WAIT_H
#define BTN_SCHED_WAIT_H

#include "types.h"

/* A task is ready; and for whoever traces: the caller's task makes t ready. */
void btn_wait_ready_locked(struct baton_task *t);
void btn_wait_trace(const struct baton_task *t);

/* In a list until a cancel or the deadline, whichever comes first; the deadline may be past. */
void btn_wait_add(struct baton_task *t, struct btn_waiters *in, uint64_t deadline, bool alert);
/*
 * The caller's task t is to wait: in a list, until somebody ends that or the deadline
 * comes; with alert, or until its request has a cancel pending. 0, and btn_gate_wait() is
 * to follow while the lock is still held; or why it does not wait: -ETIMEDOUT, -ETIME
 * or -ECANCELED.
 */
int btn_wait_begin(struct baton_task *t, struct btn_waiters *in, uint64_t deadline, bool alert);
/* why: as above. */
void btn_wait_end(struct baton_task *t, int why);
bool btn_wait_end_first(struct btn_waiters *in);	/* woken; false: nobody waits */
void btn_wait_expire(struct baton_sched *s, uint64_t now);
void btn_wait_cancel(struct baton_request *r);		/* it has one pending */
/* One lock more, or one less, that t holds and other tenants' tasks wait for. */
void btn_wait_boost_locked(struct baton_task *t, int by);

/* A call of the task's is about to return this, its request's cancel_pending; 0: nothing. */
static inline int btn_wait_deliver(struct baton_task *t, int cancel)
{
	if (cancel)
		t->cancel_delivered = cancel;
	return cancel;
}

#endif
