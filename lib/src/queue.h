/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BTN_QUEUE_H
#define BTN_QUEUE_H

#include <baton/queue.h>

#include "atomic.h"

#define BTN_QUEUE_APART _Alignas(2 * BTN_CACHELINE)
#ifndef BTN_INJECT
#define BTN_QUEUE_ITEMS 4064
#else
#define BTN_QUEUE_ITEMS 3		/* the ends are where it is difficult */
#endif
#define BTN_QUEUE_SPARES 8

struct btn_queue_segment {
	/* Consumers: the index of the next pop. */
	BTN_QUEUE_APART _Atomic uint64_t head;

	/* Producers: no slot before this one is free. Then: the next segment. */
	BTN_QUEUE_APART _Atomic uint64_t hint;
	void *_Atomic next;

	/* Written by whoever retired the segment. */
	struct btn_queue_segment *retired;

	/* Producers, once each. */
	BTN_QUEUE_APART void *_Atomic slots[BTN_QUEUE_ITEMS];
};

#ifndef BTN_INJECT
_Static_assert(sizeof(struct btn_queue_segment) == 32768,
	       "<baton/queue.h> says how much a segment is");
#endif

struct baton_queue {
	/* Nobody, after create: the words of a thread's record. */
	BTN_QUEUE_APART unsigned int push_word, pop_word;

	/* Producers, once a segment. */
	BTN_QUEUE_APART void *_Atomic tail;

	/* Consumers, once a segment. */
	BTN_QUEUE_APART void *_Atomic head;

	/* Any thread, once a segment. */
	BTN_QUEUE_APART struct btn_queue_segment *_Atomic retired;
	_Atomic size_t retired_nr;
	struct btn_queue_segment *_Atomic spares[BTN_QUEUE_SPARES];
	_Atomic size_t segments;	/* how many there are, for tests */
};

#endif
