// SPDX-License-Identifier: GPL-2.0-or-later
// peer_boost.cc - boost::lockfree::queue, with a fixed size and without.
#include "peer.h"

#if __has_include(<boost/lockfree/queue.hpp>)
#include <boost/lockfree/queue.hpp>

using boost_fixed_t = boost::lockfree::queue<void *, boost::lockfree::fixed_sized<true>>;
using boost_free_t = boost::lockfree::queue<void *>;

static void *peer_create_boost_fixed(size_t capacity, unsigned) { return new boost_fixed_t(capacity); }
static void peer_destroy_boost_fixed(void *q) { delete static_cast<boost_fixed_t *>(q); }
static void *peer_create_boost_free(size_t capacity, unsigned) { return new boost_free_t(capacity); }
static void peer_destroy_boost_free(void *q) { delete static_cast<boost_free_t *>(q); }

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
#else
PEER_MISSING(boost, "boost", PEER_UNBOUNDED, "libboost-dev")
#endif
