/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BTN_RING_H
#define BTN_RING_H

#include <baton/ring.h>

#include "atomic.h"

/*
 * Two cache lines between what producers and what consumers write: Intel
 * fetches lines in pairs.
 */
#define BTN_RING_APART _Alignas(2 * BTN_CACHELINE)

struct baton_ring {
	/* Nobody, after create. */
	BTN_RING_APART uint64_t mask;		/* capacity - 1 */
	uint64_t capacity;

	/* Producers: the index of the next push. */
	BTN_RING_APART _Atomic uint64_t tail;

	/* Consumers: the index of the next pop. */
	BTN_RING_APART _Atomic uint64_t head;

	/* A slot: whoever holds the claim on its index. */
	BTN_RING_APART _Atomic uintptr_t slots[];
};

/*
 * For tests: an unused ring goes on as if @index items had gone through it.
 * Touches every slot.
 */
void btn_ring_start_at(struct baton_ring *r, uint64_t index);

#endif
