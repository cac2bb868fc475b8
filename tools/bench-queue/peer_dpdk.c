// SPDX-License-Identifier: GPL-2.0-or-later
/* peer_dpdk.c - DPDK's rte_ring in its three multi-thread modes and for two threads, without EAL. */
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

#define DPDK_FLAGS 0
#define DPDK_IN mp_enqueue
#define DPDK_OUT mc_dequeue
#define PEER rte_mpmc
#define PEER_NAME "rte_ring"
#include "dpdk_loops.h"

#define DPDK_FLAGS (RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ)
#define DPDK_IN enqueue
#define DPDK_OUT dequeue
#define PEER rte_hts
#define PEER_NAME "rte_ring_hts"
#include "dpdk_loops.h"

#define DPDK_FLAGS (RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ)
#define DPDK_IN enqueue
#define DPDK_OUT dequeue
#define PEER rte_rts
#define PEER_NAME "rte_ring_rts"
#include "dpdk_loops.h"

#define DPDK_FLAGS (RING_F_SP_ENQ | RING_F_SC_DEQ)
#define DPDK_IN sp_enqueue
#define DPDK_OUT sc_dequeue
#define PEER rte_spsc
#define PEER_NAME "rte_ring_spsc"
#define PEER_SPSC 1
#include "dpdk_loops.h"
#else
PEER_MISSING(dpdk, "rte_ring", PEER_BOUNDED, "libdpdk-dev")
#endif
