/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shard/claim.h - a wait that several others may end, in several shards' reach, and that exactly
 * one of them ends. The waiter stands in the lists of several sources (locks, streams, timers, a
 * cancel); each is guarded by a lock of its own, and they have none in common.
 *
 *	waiter					source
 *	ticket = arm				an event:
 *	at each source, with its lock:		with its lock: the waiter and its ticket
 *	  an event is there? take, by itself
 *	  else it enters the list, with its ticket
 *	sleeps					take, with the ticket: true: the event is the
 *	by = who took				waiter's, and the source wakes it, once, after
 *						the lock; false: the entry is an old one and is
 *						dropped, and the event stays with the source
 *
 * Wrong: the waiter enters the first list before it arms. The source's take fails, the event stays
 * with the source, and the waiter sleeps with an event in its reach.
 *
 * The waiter need not leave the other lists before it waits again: that would be a lock for each.
 *
 * Wrong: a take without a ticket. The entry is of an earlier wait, which another source ended; the
 * take ends the next wait, which is not for this source.
 *
 * Who gives up (a deadline, a cancel) takes as well, and by the same rule: if that fails, the wait
 * was ended before, and the wake-up that is on its way belongs to it.
 *
 * [CLAIM-1] the take that succeeds releases what happened before the event; the waiter acquires
 * the word after it was woken. A take that fails has changed nothing, and orders nothing.
 * [CLAIM-2] the waiter's own looks at the word and the arming order nothing: what a source reads of
 * the waiter it reads with its list's lock, which the waiter had after it armed.
 *
 * The word has to live until the waiter has left all lists, which it does with each list's lock: a
 * source takes with that lock held, so that no source has the word in its hands after that.
 *
 * selftests/model/waits.pml is this protocol, selftests/queue/shard_steps.c this code in every order.
 */
#ifndef BTN_CLAIM_H
#define BTN_CLAIM_H

#include <stdbool.h>

#include "../atomic.h"
#include "../inject.h"

/* 16 bits of who took it (0: the wait goes on), 48 of the wait's number. */
struct btn_claim {
	_Atomic uint64_t word;
};

#define BTN_CLAIM_MASK	0xffff
#define BTN_CLAIM_SELF	BTN_CLAIM_MASK	/* the waiter gave up */

/* The waiter, before it enters any list; its wait before has ended. Returns the wait's ticket. */
static inline uint64_t btn_claim_arm(struct btn_claim *c)
{
	uint64_t word;

	BTN_POINT("claim:arm:store");
	word = atomic_load_explicit(&c->word, memory_order_relaxed); /* [CLAIM-2] */
	word = (word | BTN_CLAIM_MASK) + 1;
	atomic_store_explicit(&c->word, word, memory_order_relaxed); /* [CLAIM-2] */
	return word;
}

/*
 * Anybody who got the ticket. by: 1 to BTN_CLAIM_SELF. True: this call ended the wait, and its
 * caller wakes the waiter, or is the waiter.
 */
static inline bool btn_claim_take(struct btn_claim *c, uint64_t ticket, unsigned by)
{
	BTN_POINT("claim:take:swap");
	return atomic_compare_exchange_strong_explicit(&c->word, &ticket, ticket | by,
						       memory_order_acq_rel, /* [CLAIM-1] */
						       memory_order_relaxed); /* [CLAIM-2] */
}

/* The taker that ended the wait with this ticket; 0: nobody yet. */
static inline unsigned btn_claim_by(struct btn_claim *c)
{
	BTN_POINT("claim:by:load");
	return atomic_load_explicit(&c->word, memory_order_acquire) & BTN_CLAIM_MASK; /* [CLAIM-1] */
}

#endif
