/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/blocked.h - slots of workers that block in the kernel. */
#ifndef BTN_SCHED_BLOCKED_H
#define BTN_SCHED_BLOCKED_H

#include "types.h"

/* With the lock. Nothing is idle: if a task waits, slots of workers that block are. True: one is. */
bool btn_blocked_look(struct baton_sched *s, uint64_t now);
/* Slots of all that block now are taken: a task waits for one. */
void btn_blocked_take(struct baton_sched *s, uint64_t now);
/* Whoever the kernel has parked, because they woke without a slot, is ready again. */
void btn_blocked_woken(struct baton_sched *s, uint64_t now);
/* w was to be woken when one blocks, and cannot be asked any more. */
void btn_blocked_undesignate(struct btn_worker *w);

/*
 * For the thread that is w, without the lock: it is seen from now on, or it is already;
 * and, before it ends, not any more.
 */
void btn_blocked_join(struct btn_worker *w);
void btn_blocked_part(struct btn_worker *w);

#endif
