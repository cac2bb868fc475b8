/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/preempt.h - tasks that are to stop and reach no checkpoint. */
#ifndef BTN_SCHED_PREEMPT_H
#define BTN_SCHED_PREEMPT_H

#include "types.h"

/* With the lock: the monitor's look at all workers; and the time of the next one. */
void btn_preempt_look(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes);
/*
 * Asks the kernel for all that follows from the look: without the lock, by the monitor. True: something is known now that the
 * look asked for, and the next one is due at once.
 */
bool btn_preempt_after_look(struct baton_sched *s);
uint64_t btn_preempt_next(struct baton_sched *s, uint64_t now);

#endif
