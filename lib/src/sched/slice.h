/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/slice.h - slices of tasks that spin end by a timer of the worker's own. */
#ifndef BTN_SCHED_SLICE_H
#define BTN_SCHED_SLICE_H

#include <signal.h>

#include "types.h"

/*
 * In the signal's handler, by the worker w. Arm: w goes on, its slice begins now, and the timer goes off at the end.
 * Is_signal: the signal came from such a timer, of any worker. Ends: it is to end the slice of w.
 */
void btn_slice_arm(struct btn_worker *w);
bool btn_slice_is_signal(const siginfo_t *info);
bool btn_slice_ends(const struct btn_worker *w);
/* The slice of w ended, and w is about to park: a thread with the lock is to take the slot. Wakes the monitor. */
void btn_slice_over(struct btn_worker *w);
/* True: no thread with the lock has heard of it yet. A thread that did has made w wait. */
bool btn_slice_is_over(const struct btn_worker *w);
/* The worker goes on with the slot that it has, unless it waits. */
void btn_slice_withdraw(struct btn_worker *w);

/*
 * With the lock. All workers whose slices ended, in a list by next_over; NULL: none. For each, next_over is
 * read before btn_slice_take(); if that is true the worker is made to wait, before btn_slice_taken().
 */
struct btn_worker *btn_slice_all(struct baton_sched *s);
/* True: btn_slice_all() would find some. */
static inline bool btn_slice_any(const struct baton_sched *s)
{
	return atomic_load_explicit(&s->over, memory_order_relaxed); /* [SLICE-1] */
}

bool btn_slice_take(struct btn_worker *w);
void btn_slice_taken(struct btn_worker *w);

/* True: a slice of w, which spins, can end so. A hint for a thread with the lock. */
static inline bool btn_slice_can(const struct btn_worker *w)
{
	return atomic_load_explicit(&w->slice_timer, memory_order_relaxed) >= 0; /* [SLICE-2] */
}

/* Deletes the worker's timer. */
void btn_slice_free(struct btn_worker *w);

#endif
