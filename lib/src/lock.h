/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lock.h - the lock that guards the scheduler's decisions: held for a
 * microsecond, taken twice in a switch. One compare-and-swap and one exchange
 * where nobody else wants it; else it spins for about as long as it is held,
 * and then sleeps. Not recursive, not fair, and not for signal handlers.
 *
 *	word: 0 free, 1 held, 2 held and somebody may sleep
 *
 * [LOCK-1] what was done with it held is released by the exchange for 0 and
 * acquired by the exchange that finds 0. Nobody sleeps while it is free: who
 * goes to sleep has put a 2 there, the kernel looks for the 2 with the word's
 * queue locked, and whoever takes the 2 away wakes one; and that one puts it back,
 * as it cannot know whether it was the last. [LOCK-2] the looks while it spins
 * order nothing: a compare-and-swap follows. [LOCK-3] a count for benchmarks.
 *
 * A failed attempt to take the lock is an observation (the holder will look for what
 * others said meanwhile), so the attempt and the release are in the one order of
 * [BOARD-1], shard/board.h.
 */
#ifndef BTN_LOCK_H
#define BTN_LOCK_H

#include <stdbool.h>

#include "atomic.h"
#include "inject.h"
#include "pairs.h"

struct BTN_PAIR btn_lock {
	_Atomic uint32_t word;
#ifdef BTN_INJECT
	bool watched;
#endif
};

/* With injected delays: a system call by the lock's holder ends the process, from now on (inject.h). */
static inline void btn_lock_watch(struct btn_lock *l)
{
#ifdef BTN_INJECT
	l->watched = true;
#endif
}

static inline bool btn_lock_watched(const struct btn_lock *l)
{
#ifdef BTN_INJECT
	return l->watched;
#else
	return false;
#endif
}

void btn_lock_wait(struct btn_lock *l);
void btn_lock_wake(struct btn_lock *l);
static inline void btn_lock_acquire(struct btn_lock *l) BTN_BEGINS(l);
static inline bool btn_lock_try(struct btn_lock *l) BTN_BEGINS_IF(true, l);
static inline void btn_lock_release(struct btn_lock *l) BTN_ENDS(l);
/* Times that a lock of this process was not free when somebody wanted it. */
uint64_t btn_lock_waits(void);

BTN_BEGINS_OR_ENDS
static inline void btn_lock_acquire(struct btn_lock *l)
{
	uint32_t free = 0;

	if (btn_unlikely(!atomic_compare_exchange_strong_explicit(&l->word, &free, 1,
								  memory_order_acquire, /* [LOCK-1] */
								  memory_order_relaxed))) /* [LOCK-2] */
		btn_lock_wait(l);
	if (btn_lock_watched(l))
		BTN_HELD_BEGIN();
}

/* Takes the lock if it is free. Never waits. */
BTN_BEGINS_OR_ENDS
static inline bool btn_lock_try(struct btn_lock *l)
{
	uint32_t free = 0;

	if (!atomic_compare_exchange_strong_explicit(&l->word, &free, 1,
						     memory_order_seq_cst, /* [LOCK-1] [BOARD-1] */
						     memory_order_seq_cst)) /* [BOARD-1] */
		return false;
	if (btn_lock_watched(l))
		BTN_HELD_BEGIN();
	return true;
}

BTN_BEGINS_OR_ENDS
static inline void btn_lock_release(struct btn_lock *l)
{
	if (btn_lock_watched(l))
		BTN_HELD_END();
	if (btn_unlikely(atomic_exchange_explicit(&l->word, 0, memory_order_seq_cst) == 2)) /* [LOCK-1] [BOARD-1] */
		btn_lock_wake(l);
}

#endif
