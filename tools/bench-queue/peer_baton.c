// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peer_baton.c - the library's own queues; the ring compiled into the loops, as
 * the other headers are, and called.
 */
#define BATON_INLINE
#include <baton/deque.h>
#include <baton/queue.h>
#include <baton/ring.h>
#include <stdlib.h>

#include "peer.h"

#define CREATE(OBJECT, ...)                                                    \
	static void *peer_create_baton_##OBJECT(size_t capacity, unsigned threads) \
	{                                                                      \
		struct baton_##OBJECT *q;                                      \
									       \
		return baton_##OBJECT##_create(&q __VA_ARGS__) ? NULL : q;     \
	}                                                                      \
	static void peer_destroy_baton_##OBJECT(void *q)                       \
	{                                                                      \
		baton_##OBJECT##_destroy(q);                                   \
	}

CREATE(ring, , capacity)
CREATE(queue)
CREATE(deque)

#define PEER baton_ring
#define PEER_NAME "ring"
#define PEER_KIND PEER_BOUNDED
#define PEER_T struct baton_ring
#define PEER_PUSH(q, x) baton_ring_push(q, x)
#define PEER_POP(q, x) baton_ring_pop(q, &x)
#define PEER_PUSH_N(q, v, n) baton_ring_push_n(q, v, n)
#define PEER_POP_N(q, v, n) baton_ring_pop_n(q, v, n)
#include "loops.h"

#define peer_create_baton_ring_called peer_create_baton_ring
#define peer_destroy_baton_ring_called peer_destroy_baton_ring
#define PEER baton_ring_called
#define PEER_NAME "ring_called"
#define PEER_KIND PEER_BOUNDED
#define PEER_APART 1
#define PEER_T struct baton_ring
#define PEER_PUSH(q, x) (baton_ring_push)(q, x)
#define PEER_POP(q, x) (baton_ring_pop)(q, &x)
#include "loops.h"

#define PEER baton_queue
#define PEER_NAME "queue"
#define PEER_KIND PEER_UNBOUNDED
#define PEER_T struct baton_queue
#define PEER_PUSH(q, x) (!baton_queue_push(q, x))
#define PEER_POP(q, x) baton_queue_pop(q, &x)
#include "loops.h"

/* The owner pushes, thieves take. */
#define PEER baton_deque
#define PEER_NAME "deque"
#define PEER_KIND PEER_DEQUE
#define PEER_T struct baton_deque
static inline size_t deque_push_n(struct baton_deque *q, void **v, size_t n)
{
	size_t i;

	for (i = 0; i < n && !baton_deque_push(q, v[i]); i++)
		;
	return i;
}
#define PEER_PUSH(q, x) (!baton_deque_push(q, x))
#define PEER_POP(q, x) baton_deque_steal(q, &x, 1)
#define PEER_PUSH_N(q, v, n) deque_push_n(q, v, n)
#define PEER_POP_N(q, v, n) baton_deque_steal(q, v, n)
#include "loops.h"
