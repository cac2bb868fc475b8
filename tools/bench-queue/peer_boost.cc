// SPDX-License-Identifier: GPL-2.0-or-later
// peer_boost.cc - boost::lockfree::queue, with a fixed size and without, and spsc_queue.
#include "peer.h"

#if __has_include(<boost/lockfree/queue.hpp>)
#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>

using boost_fixed_t = boost::lockfree::queue<void *, boost::lockfree::fixed_sized<true>>;
using boost_free_t = boost::lockfree::queue<void *>;
using boost_spsc_t = boost::lockfree::spsc_queue<void *>;

static void *peer_create_boost_fixed(size_t capacity, unsigned) { return new boost_fixed_t(capacity); }
static void peer_destroy_boost_fixed(void *q) { delete static_cast<boost_fixed_t *>(q); }
static void *peer_create_boost_free(size_t capacity, unsigned) { return new boost_free_t(capacity); }
static void peer_destroy_boost_free(void *q) { delete static_cast<boost_free_t *>(q); }
static void *peer_create_boost_spsc(size_t capacity, unsigned) { return new boost_spsc_t(capacity); }
static void peer_destroy_boost_spsc(void *q) { delete static_cast<boost_spsc_t *>(q); }

#define PEER boost_fixed
#define PEER_NAME "boost_fixed"
#define PEER_KIND PEER_BOUNDED
#define PEER_T boost_fixed_t
#define PEER_PUSH(q, x) (q)->bounded_push(x)
#define PEER_POP(q, x) (q)->pop(x)
#include "loops.h"

#define PEER boost_free
#define PEER_NAME "boost"
#define PEER_KIND PEER_UNBOUNDED
#define PEER_T boost_free_t
#define PEER_PUSH(q, x) (q)->push(x)
#define PEER_POP(q, x) (q)->pop(x)
#include "loops.h"

#define PEER boost_spsc
#define PEER_NAME "boost_spsc"
#define PEER_KIND PEER_BOUNDED
#define PEER_SPSC 1
#define PEER_T boost_spsc_t
#define PEER_PUSH(q, x) (q)->push(static_cast<void *>(x))
#define PEER_POP(q, x) (q)->pop(x)
#define PEER_PUSH_N(q, v, n) (q)->push(v, n)
#define PEER_POP_N(q, v, n) (q)->pop(v, n)
#include "loops.h"
#else
PEER_MISSING(boost, "boost", PEER_UNBOUNDED, "libboost-dev")
#endif
