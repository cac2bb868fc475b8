/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dpdk_loops.h - the loops of one mode of rte_ring: PEER, PEER_NAME, DPDK_FLAGS
 * and the names of its functions, DPDK_IN and DPDK_OUT.
 */
#define DPDK_CAT3(A, B, C) A##B##C
#define DPDK_CAT(A, B, C) DPDK_CAT3(A, B, C)
static void *DPDK_CAT(peer_create_, PEER, )(size_t capacity, unsigned threads)
{
	return dpdk_create(capacity, DPDK_FLAGS);
}
static void DPDK_CAT(peer_destroy_, PEER, )(void *q)
{
	free(q);
}
#define PEER_KIND PEER_BOUNDED
#define PEER_T struct rte_ring
#define PEER_PUSH(q, x) (!DPDK_CAT(rte_ring_, DPDK_IN, )(q, x))
#define PEER_POP(q, x) (!DPDK_CAT(rte_ring_, DPDK_OUT, )(q, &x))
#define PEER_PUSH_N(q, v, n) DPDK_CAT(rte_ring_, DPDK_IN, _burst)(q, v, (unsigned)(n), NULL)
#define PEER_POP_N(q, v, n) DPDK_CAT(rte_ring_, DPDK_OUT, _burst)(q, v, (unsigned)(n), NULL)
#include "loops.h"
#undef DPDK_FLAGS
#undef DPDK_IN
#undef DPDK_OUT
#undef DPDK_CAT
#undef DPDK_CAT3
