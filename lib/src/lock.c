// SPDX-License-Identifier: LGPL-2.1-or-later
/* The slow half of lock.h. */
#include "lock.h"

#include <baton/base.h>

#include <sched.h>

#include "futex.h"

/* About 2 us where a pause takes 40 cycles: twice what it is held for. */
#define SPINS 100
/*
 * The calls here are for the lock itself. They count as calls with a lock held only where that is
 * an inner one, the spare lists', whose holder moves some pointers and calls nothing: a thread waits for it so only
 * where the holder was preempted in these instructions.
 *
 * After so many, the holder is not running, and most often waits for this CPU, from which
 * this thread's wake has just pushed it. To let it go on costs one system call;
 * to sleep until it wakes us costs two, and a third where nobody sleeps any more.
 */
#define YIELDS 2

static _Atomic uint64_t waits;

uint64_t btn_lock_waits(void)
{
	return atomic_load_explicit(&waits, memory_order_relaxed); /* [LOCK-3] */
}

void btn_lock_wait(struct btn_lock *l)
{
	uint32_t seen;
	int i;

	atomic_fetch_add_explicit(&waits, 1, memory_order_relaxed); /* [LOCK-3] */

	for (i = 0; i < SPINS + YIELDS; i++) {
		seen = atomic_load_explicit(&l->word, memory_order_relaxed); /* [LOCK-2] */
		if (seen == 2)
			break;		/* others wait already, and sleep */
		if (!seen &&
		    atomic_compare_exchange_weak_explicit(&l->word, &seen, 1,
							  memory_order_acquire, /* [LOCK-1] */
							  memory_order_relaxed)) /* [LOCK-2] */
			return;
		if (i < SPINS)
			btn_cpu_relax();
		else
			BTN_EXCUSED("an inner lock is not free", sched_yield());
	}
	while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire)) /* [LOCK-1] */
		BTN_EXCUSED("an inner lock is not free", btn_futex->wait(&l->word, 2, BATON_FOREVER));
}

void btn_lock_wake(struct btn_lock *l)
{
	BTN_EXCUSED("an inner lock was waited for", btn_futex->wake(&l->word, 1));
}
