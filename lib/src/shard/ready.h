/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shard/ready.h - what other slots see of a shard's ready tasks: its inbox, the place in the order of
 * its best task, and the lock of its core. The protocol is in board.h.
 *
 * A slot that looks for a task reads the inbox and `best` of each shard, without a write. It tries the
 * lock of the shard that it chose, and never waits for one. Whoever has the lock moves tasks from the
 * inbox into the core, and publishes `best` before the unlock.
 *
 * best: smaller goes first. BTN_READY_NONE: no task there may run now.
 *
 * How old it may be: `best` is that of the last unlock. A task that came since is in the inbox,
 * and an inbox that is not empty may hold the best of all: a slot that looks takes the shard for the first.
 */
#ifndef BTN_READY_H
#define BTN_READY_H

#include "../lock.h"
#include "inbox.h"

#define BTN_READY_NONE	UINT64_MAX

struct btn_ready {
	struct btn_inbox inbox;
	BTN_ALIGNED _Atomic uint64_t best;
	BTN_ALIGNED struct btn_lock lock;
};

static inline void btn_ready_init(struct btn_ready *r)
{
	atomic_init(&r->inbox.newest, NULL);
	atomic_init(&r->best, BTN_READY_NONE);
	atomic_init(&r->lock.word, 0);
}

/* Any thread: the place of the shard's first task; 0: perhaps the first of all; BTN_READY_NONE. */
static inline uint64_t btn_ready_look(struct btn_ready *r)
{
	if (btn_inbox_any(&r->inbox))
		return 0;
	BTN_POINT("ready:look:best");
	return atomic_load_explicit(&r->best, memory_order_seq_cst); /* [BOARD-1] */
}

static inline bool btn_ready_try(struct btn_ready *r) BTN_BEGINS_IF(true, &r->lock);
static inline bool btn_ready_unlock(struct btn_ready *r, uint64_t best) BTN_ENDS(&r->lock);

/* A slot that looks for a task. False: another thread has the lock, and looks at the board after it. */
static inline bool btn_ready_try(struct btn_ready *r)
{
	BTN_POINT("ready:try:swap");
	return btn_lock_try(&r->lock);
}

/*
 * With the lock: `best` is published, and the lock is free. True: something is runnable here, and the
 * caller looks at the board, and wakes a slot that is idle.
 */
static inline bool btn_ready_unlock(struct btn_ready *r, uint64_t best)
{
	BTN_POINT("ready:unlock:best");
	atomic_store_explicit(&r->best, best, memory_order_seq_cst); /* [BOARD-1] */
	BTN_POINT("ready:unlock:release");
	btn_lock_release(&r->lock);
	return best != BTN_READY_NONE || btn_inbox_any(&r->inbox);
}

#endif
