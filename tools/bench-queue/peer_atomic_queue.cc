// SPDX-License-Identifier: GPL-2.0-or-later
// peer_atomic_queue.cc - max0x7ba/atomic_queue: try_push and try_pop.
#include "peer.h"

#if __has_include(<atomic_queue/atomic_queue.h>)
#include <atomic_queue/atomic_queue.h>
#include <new>

using aq_t = atomic_queue::AtomicQueueB<void *>;
using aq2_t = atomic_queue::AtomicQueueB2<void *>;

static void *peer_create_aq(size_t capacity, unsigned) { return new (std::align_val_t(128)) aq_t(static_cast<unsigned>(capacity)); }
static void peer_destroy_aq(void *q) { static_cast<aq_t *>(q)->~aq_t(); ::operator delete(q, std::align_val_t(128)); }
static void *peer_create_aq2(size_t capacity, unsigned) { return new (std::align_val_t(128)) aq2_t(static_cast<unsigned>(capacity)); }
static void peer_destroy_aq2(void *q) { static_cast<aq2_t *>(q)->~aq2_t(); ::operator delete(q, std::align_val_t(128)); }

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
#else
PEER_MISSING(aq, "atomic_queue", PEER_BOUNDED, "libatomic-queue-dev")
#endif
