/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/gate.h - a thread comes into the library, waits there for a slot, and goes out. */
#ifndef BTN_SCHED_GATE_H
#define BTN_SCHED_GATE_H

#include "types.h"

/* Takes the lock, and the time for all that follows until it is given up. */
void btn_gate_lock(struct baton_sched *s);
/*
 * Everything that follows from what happened, then the lock is given up; and if
 * the caller's worker waits it does that here, and returns with a slot.
 */
void btn_gate_unlock(struct baton_sched *s, struct btn_wakes *wakes);
/* Only gives the lock up: nothing happened that somebody waits for. */
void btn_gate_release(struct baton_sched *s);
/* A call of the library begins (the lock's begin so): the caller's worker w is not stopped. */
static inline void btn_gate_enter(struct btn_worker *w)
{
	uint32_t inside;

	if (!w)
		return;
	inside = atomic_load_explicit(&w->inside, memory_order_relaxed); /* [PREEMPT-1] */
	atomic_store_explicit(&w->inside, inside + 1, memory_order_relaxed); /* [PREEMPT-1] */
	atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
}

/* A call of the library ends: the caller's worker w, if it is one, waits if it has to. */
void btn_gate_exit(struct btn_worker *w);

/* The lock is held, and is not when it returns. 0: it was woken; or as btn_wait_begin(), but not both. */
int btn_gate_wait(struct baton_task *t);
/* The caller's slot is handed on. It returns when it has one; without the lock then. */
void btn_gate_leave_slot(struct btn_worker *w, enum btn_stop why);
/*
 * The slot's last task stopped: its next one. Gives up the lock. Parks w,
 * unless it is w's own turn again, or `leaves`: then the thread is about to end.
 */
void btn_gate_hand_over(struct btn_worker *w, uint64_t now, unsigned slot, bool leaves);
/* It ran without a slot, and waits for one: gives up the lock. */
void btn_gate_come_back(struct btn_worker *w);

/* Without the lock: slots that are cached are taken, and what left has ended, for who looks. */
void btn_gate_settle(struct baton_sched *s);
/* Without the lock. Nobody has it any more. */
void btn_gate_request_free(struct baton_request *r);

/* 0 or -errno: the signal's handler is ours. And a new thread of s takes it. */
int btn_gate_signal_init(int sig);
void btn_gate_signal_thread(const struct baton_sched *s);

#endif
