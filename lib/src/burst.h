/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BTN_BURST_H
#define BTN_BURST_H

#include <baton/burst.h>

#include "atomic.h"

#define BTN_BURST_GROUPS 32
#define BTN_BURST_ROWS 64

/* In baton_burst.wakes. */
#define BTN_BURST_CLOSED 1u

/* In a hand. */
#define BTN_BURST_WAITING 1

struct baton_burst_consumer {
	/* The sender and the consumers. */
	BTN_ALIGNED _Atomic uintptr_t hand;

	/* Nobody, after join. */
	struct baton_burst *burst;
	unsigned int group, row;
};

struct baton_burst {
	/* The sender writes, consumers sleep. */
	BTN_ALIGNED _Atomic uint32_t wakes;
	/* Groups that may have an item which its consumer is slow to take. */
	_Atomic uint32_t untaken;

	/* The sender. */
	BTN_ALIGNED uint32_t given_to;	/* groups */
	unsigned int given;
	unsigned int group;		/* where the last offer went */

	/* Consumers, when they join and leave. */
	BTN_ALIGNED _Atomic uint32_t joined;
	_Atomic uint64_t used[BTN_BURST_GROUPS];
	struct baton_burst_consumer *_Atomic rows[BTN_BURST_ROWS];

	/* Consumers and the sender. */
	BTN_ALIGNED _Atomic uint64_t waiting[BTN_BURST_GROUPS];
};

#endif
