/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/blocked.h - slots of workers that block in the kernel. */
#ifndef BTN_SCHED_BLOCKED_H
#define BTN_SCHED_BLOCKED_H

#include "types.h"

/*
 * Takes the slots of workers that block, if a task waits and no slot is idle. True: one is
 * idle now. Needs the lock.
 */
bool btn_blocked_look(struct baton_sched *s, uint64_t now);
/* Takes the slots of all workers that block now. Needs the lock. */
void btn_blocked_take(struct baton_sched *s, uint64_t now);
/*
 * Workers that the kernel has parked, because they woke slotless, are ready again. Needs the
 * lock.
 */
void btn_blocked_woken(struct baton_sched *s, uint64_t now);
/* w is not the designated waker any more. Needs the lock. */
void btn_blocked_undesignate(struct btn_worker *w);

/*
 * Called by the thread that is w, without the lock. Join: its blocking is seen from now on, if
 * it is not already. Part: before the thread ends.
 */
void btn_blocked_join(struct btn_worker *w);
void btn_blocked_part(struct btn_worker *w);

#endif
