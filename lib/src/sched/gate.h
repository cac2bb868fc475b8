/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/gate.h - a thread comes into the library, waits there for a slot, and goes out. */
#ifndef BTN_SCHED_GATE_H
#define BTN_SCHED_GATE_H

#include "../pairs.h"
#include "types.h"

/* Takes the lock; and the time, s->now, that holds until the lock is given up. */
BTN_BEGINS(btn_inside, btn_locked)
void btn_gate_lock(struct baton_sched *s);
/*
 * Does all that follows from what happened, and gives the lock up. A caller whose worker has
 * to wait does so here, and returns with a slot.
 */
BTN_ENDS(btn_inside, btn_locked)
void btn_gate_unlock(struct baton_sched *s, struct btn_wakes *wakes);
/* The same, where all that happened is that t has become ready. */
BTN_ENDS(btn_inside, btn_locked)
void btn_gate_queued(struct baton_sched *s, const struct baton_task *t);
/* Gives the lock up, where nothing happened that a task waits for. */
BTN_ENDS(btn_inside, btn_locked)
void btn_gate_release(struct baton_sched *s);
/* Gives the lock up, where requests may have ended, and else nothing happened. The caller has a slot. */
BTN_ENDS(btn_inside, btn_locked)
void btn_gate_go_on(struct baton_sched *s);
/* Gives the lock up alone: btn_gate_exit() is to follow. */
BTN_ENDS(btn_locked) BTN_BEGINS_OR_ENDS
static inline void btn_gate_drop(struct baton_sched *s)
{
	btn_lock_release(&s->lock);
}

/*
 * A call of the library begins: the caller's worker w is not stopped until it ends.
 * btn_gate_lock() does this, too.
 */
BTN_BEGINS(btn_inside) BTN_BEGINS_OR_ENDS
static inline void btn_gate_enter(struct btn_worker *w)
{
	uint32_t inside;

	if (!w)
		return;
	inside = atomic_load_explicit(&w->inside, memory_order_relaxed); /* [PREEMPT-1] */
	atomic_store_explicit(&w->inside, inside + 1, memory_order_relaxed); /* [PREEMPT-1] */
	atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
}

/*
 * A call of the library ends: the caller's worker w waits for a slot if it has to. NULL: the
 * caller is no worker.
 */
BTN_ENDS(btn_inside)
void btn_gate_exit(struct btn_worker *w);

/*
 * The thread of w, the caller's, begins: it looks at tasks that were left for it (dispatch.c). Called without the
 * lock, in a call of the library. A worker that waited in such a call does this by itself.
 */
void btn_gate_came(struct btn_worker *w);

/* Waits after btn_wait_begin(). Gives up the lock. 0: woken; or -ETIMEDOUT, -ETIME, -ECANCELED. */
BTN_ENDS(btn_inside, btn_locked)
int btn_gate_wait(struct baton_task *t);
/* Hands the caller's slot on, and returns when the caller has one again. Gives up the lock. */
BTN_ENDS(btn_inside, btn_locked)
void btn_gate_leave_slot(struct btn_worker *w, enum btn_stop why);
/*
 * The slot's task stopped: the next one gets the slot. Gives up the lock. Parks w, unless the
 * next task is that of w, or w `leaves`: then its thread is about to end, or to go, and stays
 * inside the library until then.
 */
BTN_ENDS(btn_inside, btn_locked)
void btn_gate_hand_over(struct btn_worker *w, uint64_t now, unsigned slot, bool leaves);
/* The caller, w, is slotless, and waits for a slot. Gives up the lock. */
BTN_ENDS(btn_inside, btn_locked)
void btn_gate_come_back(struct btn_worker *w);

/* Takes the lock, does what follows from what was pushed (door.h), and gives the lock up. The caller is inside the library. */
void btn_gate_look(struct baton_sched *s);
/*
 * Takes all cached slots, so that requests which were left so have ended, for a caller that
 * looks. Called without the lock.
 */
void btn_gate_settle(struct baton_sched *s);
/* The last reference to r is gone. Called without the lock. */
void btn_gate_request_free(struct baton_request *r);

/*
 * Installs the handler of the signal that stops tasks: 0 or -errno. And lets the calling
 * thread, new in s, take that signal.
 */
int btn_gate_signal_init(int sig);
void btn_gate_signal_thread(const struct baton_sched *s);

#endif
