/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shard/board.h - the board of idle slots, one bit for each. A slot that found nothing to do
 * offers itself; whoever made something runnable claims one slot, and wakes it.
 *
 * Something is runnable where any thread can see it: in a shard's inbox (inbox.h), or in the
 * word in which a shard publishes its best task (ready.h). The slot looks at all of these words.
 *
 * Wrong, the lost wake-up:
 *
 *	slot				submitter
 *	looks into the inbox: empty
 *					pushes a task
 *					looks at the board: nobody is idle
 *	sets its bit, and sleeps, and the task waits
 *
 * Right:
 *
 *	slot				submitter
 *	A sets its bit			C pushes
 *	B looks at every word		D looks at the board
 *	sleeps, if B saw nothing	claims and wakes, if D saw the bit
 *
 * [BOARD-1] A, B, C and D are sequentially consistent. If D did not see the bit, D comes before A,
 * and so C before B: B sees the task, or what became of the task. So the task is never without
 * both a slot that looks at it and one that is woken for it.
 *
 * The same with a shard's lock (ready.h). A slot at B that sees something runnable tries the lock of
 * that shard, and where another thread has the lock, the slot sleeps all the same. The other thread
 * publishes what is left, unlocks, and then looks at the board (D), if anything is left there or came
 * into the inbox meanwhile. Unlock and attempt are sequentially consistent too: if D did not see
 * the bit, the unlock comes before D, A and the attempt, which then does not find the lock of that
 * critical section. (To look only for what that thread left is wrong: a task that came into the
 * inbox while the lock was held had its submitter's look before A, and B found the lock taken.)
 *
 * A bit is cleared by one read-modify-write, so that one thread has it: a claim, after which that
 * thread wakes the slot, once; or the slot's own withdrawal. A slot whose withdrawal came
 * second takes the wake-up that is on its way before it offers itself again.
 *
 * selftests/model/shards.pml is this protocol, selftests/queue/shard_steps.c this code in every order of
 * its steps.
 */
#ifndef BTN_BOARD_H
#define BTN_BOARD_H

#include <stdbool.h>

#include "../atomic.h"
#include "../inject.h"

#define BTN_BOARD_SLOTS	4096

struct btn_board {
	unsigned words;
	BTN_ALIGNED _Atomic uint64_t word[BTN_BOARD_SLOTS / 64];
};

/* slots: at most BTN_BOARD_SLOTS. The memory is zeroes. */
static inline void btn_board_init(struct btn_board *b, unsigned slots)
{
	b->words = (slots + 63) / 64;
}

/* The slot's own thread: the slot is idle from now on, and looks once more before it sleeps. */
static inline void btn_board_offer(struct btn_board *b, unsigned slot)
{
	BTN_POINT("board:offer:set");
	atomic_fetch_or_explicit(&b->word[slot / 64], UINT64_C(1) << slot % 64, memory_order_seq_cst); /* [BOARD-1] */
}

/*
 * The slot's own thread: the slot is not idle after all, or was woken. False: a thread claimed
 * it, and wakes it.
 */
static inline bool btn_board_withdraw(struct btn_board *b, unsigned slot)
{
	const uint64_t bit = UINT64_C(1) << slot % 64;

	BTN_POINT("board:withdraw:clear");
	return atomic_fetch_and_explicit(&b->word[slot / 64], ~bit, memory_order_seq_cst) & bit; /* [BOARD-1] */
}

/*
 * Any thread, after it made something runnable: an idle slot, which the caller wakes, or -1.
 * `near` is taken if it is idle, else one of its word, else any.
 */
static inline int btn_board_claim(struct btn_board *b, unsigned near)
{
	unsigned i, w = near / 64;
	uint64_t seen, bit;

	for (i = 0; i < b->words; i++, w = w + 1 < b->words ? w + 1 : 0) {
		BTN_POINT("board:claim:look");
		seen = atomic_load_explicit(&b->word[w], memory_order_seq_cst); /* [BOARD-1] */
		while (seen) {
			bit = seen & -seen;
			if (w == near / 64 && seen & UINT64_C(1) << near % 64)
				bit = UINT64_C(1) << near % 64;
			BTN_POINT("board:claim:clear");
			seen = atomic_fetch_and_explicit(&b->word[w], ~bit, memory_order_seq_cst); /* [BOARD-1] */
			if (seen & bit)
				return (int)(w * 64 + (unsigned)__builtin_ctzll(bit));
		}
	}
	return -1;
}

#endif
