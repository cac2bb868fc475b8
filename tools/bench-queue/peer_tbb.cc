// SPDX-License-Identifier: GPL-2.0-or-later
// peer_tbb.cc - oneTBB's concurrent queues.
#include "peer.h"

#if __has_include(<oneapi/tbb/concurrent_queue.h>)
#include <oneapi/tbb/concurrent_queue.h>

using tbb_bounded_t = tbb::concurrent_bounded_queue<void *>;
using tbb_queue_t = tbb::concurrent_queue<void *>;

static void *peer_create_tbb_bounded(size_t capacity, unsigned)
{
	auto *q = new tbb_bounded_t;

	q->set_capacity(static_cast<std::ptrdiff_t>(capacity));
	return q;
}
static void peer_destroy_tbb_bounded(void *q) { delete static_cast<tbb_bounded_t *>(q); }
static void *peer_create_tbb_queue(size_t, unsigned) { return new tbb_queue_t; }
static void peer_destroy_tbb_queue(void *q) { delete static_cast<tbb_queue_t *>(q); }

#define PEER tbb_bounded
#define PEER_NAME "tbb_bounded"
#define PEER_KIND PEER_BOUNDED
#define PEER_T tbb_bounded_t
#define PEER_PUSH(q, x) (q)->try_push(x)
#define PEER_POP(q, x) (q)->try_pop(x)
#include "loops.h"

static inline bool tbb_push(tbb_queue_t *q, void *x)
{
	q->push(x);
	return true;
}

#define PEER tbb_queue
#define PEER_NAME "tbb"
#define PEER_KIND PEER_UNBOUNDED
#define PEER_T tbb_queue_t
#define PEER_PUSH(q, x) tbb_push(q, x)
#define PEER_POP(q, x) (q)->try_pop(x)
#include "loops.h"
#else
PEER_MISSING(tbb, "tbb", PEER_UNBOUNDED, "libtbb-dev")
#endif
