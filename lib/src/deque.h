/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BTN_DEQUE_H
#define BTN_DEQUE_H

#include <baton/deque.h>

#include "atomic.h"

#define BTN_DEQUE_APART _Alignas(2 * BTN_CACHELINE)
#ifndef BTN_INJECT
#define BTN_DEQUE_ORDER_MIN 9
#else
#define BTN_DEQUE_ORDER_MIN 1		/* grows where it is difficult */
#endif
#define BTN_DEQUE_ORDER_MAX 26

/* The state: where the oldest item is, how many there are, in which array. */
#define BTN_DEQUE_TOP(W) ((uint32_t)(W))
#define BTN_DEQUE_COUNT(W) ((uint32_t)((W) >> 32) & 0x7ffffff)
#define BTN_DEQUE_ORDER(W) ((unsigned int)((W) >> 59))
#define BTN_DEQUE_ONE (UINT64_C(1) << 32)
#define BTN_DEQUE_STATE(TOP, COUNT, ORDER) \
	((uint64_t)(uint32_t)(TOP) | (uint64_t)(COUNT) << 32 | (uint64_t)(ORDER) << 59)

struct baton_deque {
	/* Any thread. */
	BTN_DEQUE_APART _Atomic uint64_t state;

	/* The owner. */
	BTN_DEQUE_APART uint32_t bottom;	/* top + count */
	unsigned int order;

	/* The owner, when it grows. */
	BTN_DEQUE_APART void *_Atomic *_Atomic arrays[BTN_DEQUE_ORDER_MAX + 1];
};

/*
 * The owner: how many of its next n pushes cannot fail. Makes room if it can.
 */
size_t btn_deque_room(struct baton_deque *d, size_t n);

/* For tests: an unused deque goes on as if @index items had been stolen. */
void btn_deque_start_at(struct baton_deque *d, uint32_t index);

#endif
