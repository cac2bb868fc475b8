/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BTN_PARK_H
#define BTN_PARK_H

#include <baton/park.h>

#include "atomic.h"

/* The park word. What moves it from one to the other: park.c. */
#define BTN_PARK_EMPTY 0u		/* no permit, the owner is not waiting */
#define BTN_PARK_PERMIT 1u		/* a permit nobody has used yet */
#define BTN_PARK_PARKED 0xffffffffu	/* no permit, the owner waits or is about to */
#define BTN_PARK_DEAD 0xdeadbea7u	/* destroyed, or never made */

/* tools/gdb/baton-gdb.py reads all of these. */
struct baton_parker {
	/* Any thread. */
	BTN_ALIGNED _Atomic uint32_t word;

	/* The owner, before it waits; for debuggers only. */
	BTN_ALIGNED uint64_t deadline;
	void *thread;			/* the thread's pthread_t */

	/* Written by whoever holds the pool's lock. */
	struct baton_parker *next;	/* free parker */
};

_Static_assert(sizeof(struct baton_parker) == 2 * BTN_CACHELINE,
	       "baton_parker_destroy() says how much a parker keeps");

/* Parkers come in these, and these stay for ever. */
struct btn_park_chunk {
	struct btn_park_chunk *next;
	BTN_ALIGNED struct baton_parker parkers[63];
};

/* Every chunk there is; for debuggers and leak checkers. */
extern struct btn_park_chunk *btn_park_chunks;

/*
 * As baton_parker_switch_to(), or with to == NULL as _block(). notified: not 0: who
 * wakes the owner's futex without a permit, and wrote it before, wants it to
 * return: -EINTR, if there is still no permit. Or NULL.
 */
int btn_parker_wait(struct baton_parker *self, struct baton_parker *to, uint64_t deadline, _Atomic uint32_t *notified);

/*
 * The futex the owner sleeps on while it holds BTN_PARK_PARKED. Valid as long
 * as the process, whatever becomes of the parker.
 */
static inline _Atomic uint32_t *btn_park_word(struct baton_parker *p)
{
	return &p->word;
}

#endif
