/* SPDX-License-Identifier: GPL-2.0-or-later */
/* place.h - a node's place in the fleet: it is taken, kept by heartbeats, and others' are fenced; member.h has the protocol. */
#ifndef FLEET_PLACE_H
#define FLEET_PLACE_H

#include "state.h"

void agent_find_place(struct agent *a);
void agent_join_fleet(struct agent *a);
void agent_send_beat(struct agent *a, uint64_t now);

#endif
