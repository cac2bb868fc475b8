/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shard/inbox.h - what came for a shard: any thread pushes, whoever has the shard's lock takes
 * all. Lock-free, unbounded, in the order of the pushes, without memory of its own.
 *
 * A list whose newest node is first. A push links its node before the newest and makes it the
 * newest by a compare-and-swap; to take is one exchange. Nodes leave only all at once, so a push
 * that succeeds by finding the same node as newest (A, B, A) has linked its node to what is the
 * newest: nothing else of the list was looked at.
 *
 * [INBOX-1] what was written to the node before the push is seen by whoever takes it. [BOARD-1]
 * the push, the exchange and the look are part of the protocol in board.h. [INBOX-2] the first look
 * of a push orders nothing: a compare-and-swap follows.
 */
#ifndef BTN_INBOX_H
#define BTN_INBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "../atomic.h"
#include "../inject.h"

struct btn_inbox_node {
	struct btn_inbox_node *next;
};

struct btn_inbox {
	BTN_ALIGNED _Atomic(struct btn_inbox_node *) newest;
};

/* Any thread. The node is the shard's until it is taken. */
static inline void btn_inbox_push(struct btn_inbox *in, struct btn_inbox_node *n)
{
	BTN_POINT("inbox:push:look");
	n->next = atomic_load_explicit(&in->newest, memory_order_relaxed); /* [INBOX-2] */
	do
		BTN_POINT("inbox:push:link");
	while (!atomic_compare_exchange_weak_explicit(&in->newest, &n->next, n,
						      memory_order_seq_cst, /* [INBOX-1] [BOARD-1] */
						      memory_order_relaxed)); /* [INBOX-2] */
}

/* Any thread. False: the inbox is empty. */
static inline bool btn_inbox_any(struct btn_inbox *in)
{
	BTN_POINT("inbox:any:look");
	return atomic_load_explicit(&in->newest, memory_order_seq_cst); /* [BOARD-1] */
}

/* The holder of the shard's lock: all that is in it, linked by next, the oldest first. */
static inline struct btn_inbox_node *btn_inbox_take(struct btn_inbox *in)
{
	struct btn_inbox_node *n, *next, *oldest = NULL;

	BTN_POINT("inbox:take:exchange");
	n = atomic_exchange_explicit(&in->newest, NULL, memory_order_seq_cst); /* [INBOX-1] [BOARD-1] */
	for (; n; n = next) {
		next = n->next;
		n->next = oldest;
		oldest = n;
	}
	return oldest;
}

#endif
