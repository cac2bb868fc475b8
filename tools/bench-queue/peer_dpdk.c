// SPDX-License-Identifier: GPL-2.0-or-later
/* peer_dpdk.c - DPDK's rte_ring in its three multi-thread modes, without EAL. */
#include <stdlib.h>

#include "peer.h"

#if __has_include(<dpdk/rte_ring.h>)
#include <rte_config.h>
#include <rte_ring.h>

static void *dpdk_create(size_t capacity, unsigned flags)
{
	struct rte_ring *r = aligned_alloc(128, (rte_ring_get_memsize((unsigned)capacity) + 127) / 128 * 128);

	if (!r || rte_ring_init(r, "bench", (unsigned)capacity, flags))
		return NULL;
	return r;
}

#define CREATE(ID, FLAGS)                                                      \
	static void *peer_create_##ID(size_t capacity, unsigned threads)       \
	{                                                                      \
		return dpdk_create(capacity, FLAGS);                           \
	}                                                                      \
	static void peer_destroy_##ID(void *q) { free(q); }

CREATE(rte_mpmc, 0)
CREATE(rte_hts, RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ)
CREATE(rte_rts, RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ)

#define PEER rte_mpmc
#define PEER_NAME "rte_ring"
#define PEER_KIND PEER_BOUNDED
#define PEER_TOKENS 0
#define PEER_T struct rte_ring
#define PEER_CTX
#define PEER_PUSH(q, x) (!rte_ring_mp_enqueue(q, x))
#define PEER_POP(q, x) (!rte_ring_mc_dequeue(q, &x))
#define PEER_PUSH_N(q, v, n) rte_ring_mp_enqueue_burst(q, v, (unsigned)(n), NULL)
#define PEER_POP_N(q, v, n) rte_ring_mc_dequeue_burst(q, v, (unsigned)(n), NULL)
#include "loops.h"

#define PEER rte_hts
#define PEER_NAME "rte_ring_hts"
#define PEER_KIND PEER_BOUNDED
#define PEER_TOKENS 0
#define PEER_T struct rte_ring
#define PEER_CTX
#define PEER_PUSH(q, x) (!rte_ring_enqueue(q, x))
#define PEER_POP(q, x) (!rte_ring_dequeue(q, &x))
#define PEER_PUSH_N(q, v, n) rte_ring_enqueue_burst(q, v, (unsigned)(n), NULL)
#define PEER_POP_N(q, v, n) rte_ring_dequeue_burst(q, v, (unsigned)(n), NULL)
#include "loops.h"

#define PEER rte_rts
#define PEER_NAME "rte_ring_rts"
#define PEER_KIND PEER_BOUNDED
#define PEER_TOKENS 0
#define PEER_T struct rte_ring
#define PEER_CTX
#define PEER_PUSH(q, x) (!rte_ring_enqueue(q, x))
#define PEER_POP(q, x) (!rte_ring_dequeue(q, &x))
#define PEER_PUSH_N(q, v, n) rte_ring_enqueue_burst(q, v, (unsigned)(n), NULL)
#define PEER_POP_N(q, v, n) rte_ring_dequeue_burst(q, v, (unsigned)(n), NULL)
#include "loops.h"
#else
PEER_MISSING(dpdk, "rte_ring", PEER_BOUNDED, "libdpdk-dev")
#endif
