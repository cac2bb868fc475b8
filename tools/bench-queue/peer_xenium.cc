// SPDX-License-Identifier: GPL-2.0-or-later
// peer_xenium.cc - xenium: the FAA-array queue of Ramalhete, Vyukov's queue, and
// Michael and Scott's.
#include "peer.h"

#if __has_include(<xenium/ramalhete_queue.hpp>)
#include <xenium/chase_work_stealing_deque.hpp>
#include <xenium/michael_scott_queue.hpp>
#include <xenium/ramalhete_queue.hpp>
#include <xenium/reclamation/generic_epoch_based.hpp>
#include <xenium/vyukov_bounded_queue.hpp>

using reclaim = xenium::reclamation::epoch_based<>;
struct xitem;		// it wants a pointer to an object
using xram_t = xenium::ramalhete_queue<xitem *, xenium::policy::reclaimer<reclaim>>;
using xvyu_t = xenium::vyukov_bounded_queue<void *>;
using xms_t = xenium::michael_scott_queue<void *, xenium::policy::reclaimer<reclaim>>;
struct xitem { long x; };

static void *peer_create_xram(size_t, unsigned) { return new xram_t; }
static void peer_destroy_xram(void *q) { delete static_cast<xram_t *>(q); }
static void *peer_create_xvyu(size_t capacity, unsigned) { return new xvyu_t(capacity); }
static void peer_destroy_xvyu(void *q) { delete static_cast<xvyu_t *>(q); }
static void *peer_create_xms(size_t, unsigned) { return new xms_t; }
static void peer_destroy_xms(void *q) { delete static_cast<xms_t *>(q); }

template <class Q, class X> static inline bool xpush(Q *q, X x)
{
	q->push(x);
	return true;
}
static inline bool xpop(xram_t *q, void *&x)
{
	xitem *i;

	if (!q->try_pop(i))
		return false;
	x = i;
	return true;
}

#define PEER xram
#define PEER_NAME "xenium_faa"
#define PEER_KIND PEER_UNBOUNDED
#define PEER_T xram_t
#define PEER_PUSH(q, x) xpush(q, static_cast<xitem *>(x))
#define PEER_POP(q, x) xpop(q, x)
#include "loops.h"

#define PEER xvyu
#define PEER_NAME "xenium_vyukov"
#define PEER_KIND PEER_BOUNDED
#define PEER_T xvyu_t
#define PEER_PUSH(q, x) (q)->try_push(x)
#define PEER_POP(q, x) (q)->try_pop(x)
#include "loops.h"

#define PEER xms
#define PEER_NAME "xenium_ms"
#define PEER_KIND PEER_UNBOUNDED
#define PEER_T xms_t
#define PEER_PUSH(q, x) xpush(q, static_cast<void *>(x))
#define PEER_POP(q, x) (q)->try_pop(x)
#include "loops.h"

using xcl_t = xenium::chase_work_stealing_deque<xitem>;
static void *peer_create_xcl(size_t, unsigned) { return new xcl_t; }
static void peer_destroy_xcl(void *q) { delete static_cast<xcl_t *>(q); }
static inline bool xsteal(xcl_t *q, void *&x)
{
	xitem *i;

	if (!q->try_steal(i))
		return false;
	x = i;
	return true;
}

#define PEER xcl
#define PEER_NAME "xenium_chase_lev"
#define PEER_KIND PEER_DEQUE
#define PEER_T xcl_t
#define PEER_PUSH(q, x) (q)->try_push(static_cast<xitem *>(x))
#define PEER_POP(q, x) xsteal(q, x)
#include "loops.h"
#else
PEER_MISSING(xenium, "xenium_faa", PEER_UNBOUNDED, "libxenium-dev")
#endif
