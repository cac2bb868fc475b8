/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/sem.h - semaphores, for calls that wait for more than one. */
#ifndef BTN_SCHED_SEM_H
#define BTN_SCHED_SEM_H

#include "types.h"

struct baton_sem {
	struct baton_sched *s;
	struct btn_waiters waiters;
	unsigned count;
};

/* With the lock. Takes a unit; false: there is none. */
static inline bool btn_sem_take_locked(struct baton_sem *sem)
{
	if (!sem->count)
		return false;
	sem->count--;
	return true;
}

#endif
