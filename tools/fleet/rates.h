/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rates.h - a node's part of each rate: planned by held.c, told to the scheduler, and written to the store, in this order. */
#ifndef FLEET_RATES_H
#define FLEET_RATES_H

#include "state.h"

/* The room that this node has for low-latency rates: it sells no more than a part of its capacity. */
uint64_t agent_low_room(const struct agent *a);
/* Takes one step for a pair; returns the time of the next one. */
uint64_t agent_serve_pair(struct agent *a, struct pair *p, uint64_t now);
/* All that is due goes in one transaction, or the first that is to go alone. */
void agent_send_writes(struct agent *a);

#endif
