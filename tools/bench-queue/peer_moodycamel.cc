// SPDX-License-Identifier: GPL-2.0-or-later
// peer_moodycamel.cc - moodycamel::ConcurrentQueue, without tokens and with.
#include "peer.h"

#if __has_include(<concurrentqueue/concurrentqueue.h>)
#include <concurrentqueue/concurrentqueue.h>

using moody_t = moodycamel::ConcurrentQueue<void *>;

static void *peer_create_moody(size_t, unsigned) { return new moody_t; }
static void peer_destroy_moody(void *q) { delete static_cast<moody_t *>(q); }
static void *peer_create_moody_tokens(size_t, unsigned) { return new moody_t; }
static void peer_destroy_moody_tokens(void *q) { delete static_cast<moody_t *>(q); }

#define PEER moody
#define PEER_NAME "moodycamel"
#define PEER_KIND PEER_UNBOUNDED
#define PEER_T moody_t
#define PEER_PUSH(q, x) (q)->enqueue(x)
#define PEER_POP(q, x) (q)->try_dequeue(x)
#define PEER_PUSH_N(q, v, n) ((q)->enqueue_bulk(v, n) ? (n) : 0)
#define PEER_POP_N(q, v, n) (q)->try_dequeue_bulk(v, n)
#include "loops.h"

#define PEER moody_tokens
#define PEER_NAME "moodycamel_tokens"
#define PEER_KIND PEER_UNBOUNDED
#define PEER_APART 1
#define PEER_T moody_t
#define PEER_CTX moodycamel::ProducerToken pt(*q); moodycamel::ConsumerToken ct(*q);
#define PEER_PUSH(q, x) (q)->enqueue(pt, x)
#define PEER_POP(q, x) (q)->try_dequeue(ct, x)
#define PEER_HOP_CTX moodycamel::ProducerToken pt(*out); moodycamel::ConsumerToken ct(*in);
#define PEER_HOP_PUSH(q, x) (q)->enqueue(pt, x)
#define PEER_HOP_POP(q, x) (q)->try_dequeue(ct, x)
#include "loops.h"
#else
PEER_MISSING(moody, "moodycamel", PEER_UNBOUNDED, "libconcurrentqueue-dev")
#endif
