// SPDX-License-Identifier: GPL-2.0-or-later
// peer_atomic_queue.cc - max0x7ba/atomic_queue: try_push and try_pop; push and pop, which
// claim a place and wait there until it is free or filled; and the form for two threads.
#include "peer.h"

#if __has_include(<atomic_queue/atomic_queue.h>)
#include <atomic_queue/atomic_queue.h>
#include <new>

using aq_t = atomic_queue::AtomicQueueB<void *>;
using aq2_t = atomic_queue::AtomicQueueB2<void *>;

using aq_spsc_t = atomic_queue::AtomicQueueB<void *, std::allocator<void *>, nullptr, true, false, true>;

template <class Q> static void *aq_create(size_t capacity) { return new (std::align_val_t(128)) Q(static_cast<unsigned>(capacity)); }
template <class Q> static void aq_destroy(void *q) { static_cast<Q *>(q)->~Q(); ::operator delete(q, std::align_val_t(128)); }

static void *peer_create_aq(size_t capacity, unsigned) { return aq_create<aq_t>(capacity); }
static void peer_destroy_aq(void *q) { aq_destroy<aq_t>(q); }
static void *peer_create_aq2(size_t capacity, unsigned) { return aq_create<aq2_t>(capacity); }
static void peer_destroy_aq2(void *q) { aq_destroy<aq2_t>(q); }
static void *peer_create_aq_spsc(size_t capacity, unsigned) { return aq_create<aq_spsc_t>(capacity); }
static void peer_destroy_aq_spsc(void *q) { aq_destroy<aq_spsc_t>(q); }
#define peer_create_aq_waits peer_create_aq
#define peer_destroy_aq_waits peer_destroy_aq
#define peer_create_aq2_waits peer_create_aq2
#define peer_destroy_aq2_waits peer_destroy_aq2

#define PEER aq
#define PEER_NAME "atomic_queue"
#define PEER_KIND PEER_BOUNDED
#define PEER_T aq_t
#define PEER_PUSH(q, x) (q)->try_push(static_cast<void *>(x))
#define PEER_POP(q, x) (q)->try_pop(x)
#include "loops.h"

#define PEER aq2
#define PEER_NAME "atomic_queue2"
#define PEER_KIND PEER_BOUNDED
#define PEER_T aq2_t
#define PEER_PUSH(q, x) (q)->try_push(static_cast<void *>(x))
#define PEER_POP(q, x) (q)->try_pop(x)
#include "loops.h"

#define PEER aq_waits
#define PEER_NAME "atomic_queue_push"
#define PEER_KIND PEER_BOUNDED
#define PEER_T aq_t
#define PEER_PUSH(q, x) ((q)->push(static_cast<void *>(x)), true)
#define PEER_POP(q, x) ((x) = (q)->pop(), true)
#include "loops.h"

#define PEER aq2_waits
#define PEER_NAME "atomic_queue2_push"
#define PEER_KIND PEER_BOUNDED
#define PEER_T aq2_t
#define PEER_PUSH(q, x) ((q)->push(static_cast<void *>(x)), true)
#define PEER_POP(q, x) ((x) = (q)->pop(), true)
#include "loops.h"

#define PEER aq_spsc
#define PEER_NAME "atomic_queue_spsc"
#define PEER_KIND PEER_BOUNDED
#define PEER_SPSC 1
#define PEER_T aq_spsc_t
#define PEER_PUSH(q, x) (q)->try_push(static_cast<void *>(x))
#define PEER_POP(q, x) (q)->try_pop(x)
#include "loops.h"
#else
PEER_MISSING(aq, "atomic_queue", PEER_BOUNDED, "libatomic-queue-dev")
#endif
