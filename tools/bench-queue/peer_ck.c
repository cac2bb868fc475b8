// SPDX-License-Identifier: GPL-2.0-or-later
/* peer_ck.c - Concurrency Kit: ck_ring (bounded; for many threads, and for two), ck_fifo_mpmc (unbounded). */
#include <stdlib.h>
#include <string.h>

#include "peer.h"

#if __has_include(<ck_ring.h>)
#include <ck_fifo.h>
#include <ck_ring.h>

struct ck_peer {
	_Alignas(128) ck_ring_t ring;
	_Alignas(128) ck_ring_buffer_t buffer[];
};

static void *peer_create_ck_ring(size_t capacity, unsigned threads)
{
	struct ck_peer *q = aligned_alloc(128, sizeof(*q) + capacity * sizeof(ck_ring_buffer_t));

	memset(q, 0, sizeof(*q));
	ck_ring_init(&q->ring, (unsigned)capacity);
	return q;
}
static void peer_destroy_ck_ring(void *q) { free(q); }

#define PEER ck_ring
#define PEER_NAME "ck_ring"
#define PEER_KIND PEER_BOUNDED
#define PEER_T struct ck_peer
#define PEER_PUSH(q, x) ck_ring_enqueue_mpmc(&(q)->ring, (q)->buffer, x)
#define PEER_POP(q, x) ck_ring_dequeue_mpmc(&(q)->ring, (q)->buffer, &x)
#include "loops.h"

#define peer_create_ck_spsc peer_create_ck_ring
#define peer_destroy_ck_spsc peer_destroy_ck_ring
#define PEER ck_spsc
#define PEER_NAME "ck_ring_spsc"
#define PEER_KIND PEER_BOUNDED
#define PEER_SPSC 1
#define PEER_T struct ck_peer
#define PEER_PUSH(q, x) ck_ring_enqueue_spsc(&(q)->ring, (q)->buffer, x)
#define PEER_POP(q, x) ck_ring_dequeue_spsc(&(q)->ring, (q)->buffer, &x)
#include "loops.h"

#ifdef CK_F_FIFO_MPMC
/*
 * ck_fifo leaves memory to its user: entries may not be freed while anybody
 * looks at them. Here they come from an array that is not reused within a run,
 * which costs it nothing and flatters it. The count of them orders nothing
 * [PEER-2].
 */
struct ckf {
	_Alignas(128) ck_fifo_mpmc_t fifo;
	_Alignas(128) _Atomic size_t used;
	size_t nr;
	ck_fifo_mpmc_entry_t *entries;
};

static void *peer_create_ck_fifo(size_t capacity, unsigned threads)
{
	struct ckf *q = aligned_alloc(128, sizeof(*q));

	memset(q, 0, sizeof(*q));
	q->nr = (1u << 20) + 65536;
	q->entries = aligned_alloc(128, q->nr * sizeof(*q->entries));
	memset(q->entries, 0, q->nr * sizeof(*q->entries));
	ck_fifo_mpmc_init(&q->fifo, &q->entries[0]);
	q->used = 1;
	return q;
}
static void peer_destroy_ck_fifo(void *p)
{
	struct ckf *q = p;

	free(q->entries);
	free(q);
}

/* A thread takes 256 entries at a time. */
struct ckf_mine { size_t at, end; };

static inline bool ckf_push(struct ckf *q, struct ckf_mine *m, void *x)
{
	if (m->at == m->end) {
		m->at = __atomic_fetch_add((size_t *)&q->used, 256, __ATOMIC_RELAXED); /* [PEER-2] */
		m->end = m->at + 256;
		if (m->end > q->nr)
			abort();
	}
	ck_fifo_mpmc_enqueue(&q->fifo, &q->entries[m->at++], x);
	return true;
}

static inline bool ckf_pop(struct ckf *q, void **x)
{
	ck_fifo_mpmc_entry_t *garbage;

	return ck_fifo_mpmc_dequeue(&q->fifo, x, &garbage);
}

#define PEER ck_fifo
#define PEER_NAME "ck_fifo"
#define PEER_KIND PEER_UNBOUNDED
#define PEER_T struct ckf
#define PEER_CTX struct ckf_mine mine = { 0, 0 }; (void)mine;
#define PEER_PUSH(q, x) ckf_push(q, &mine, x)
#define PEER_POP(q, x) ckf_pop(q, &x)
#define PEER_HOP_CTX struct ckf_mine mine = { 0, 0 };
#define PEER_HOP_PUSH(q, x) ckf_push(q, &mine, x)
#define PEER_HOP_POP(q, x) ckf_pop(q, &x)
#include "loops.h"
#endif
#else
PEER_MISSING(ck, "ck_ring", PEER_BOUNDED, "libck-dev")
#endif
