// SPDX-License-Identifier: GPL-2.0-or-later
// peer_moodycamel_spsc.cc - moodycamel::ReaderWriterQueue, which does not grow by try_enqueue.
#include "peer.h"

#if __has_include(<readerwriterqueue/readerwriterqueue.h>)
#include <readerwriterqueue/readerwriterqueue.h>

using mcs_t = moodycamel::ReaderWriterQueue<void *>;

static void *peer_create_mcs(size_t capacity, unsigned) { return new mcs_t(capacity); }
static void peer_destroy_mcs(void *q) { delete static_cast<mcs_t *>(q); }

#define PEER mcs
#define PEER_NAME "moodycamel_spsc"
#define PEER_KIND PEER_BOUNDED
#define PEER_SPSC 1
#define PEER_T mcs_t
#define PEER_PUSH(q, x) (q)->try_enqueue(static_cast<void *>(x))
#define PEER_POP(q, x) (q)->try_dequeue(x)
#include "loops.h"
#else
PEER_MISSING(mcs, "moodycamel_spsc", PEER_BOUNDED, "libreaderwriterqueue-dev")
#endif
