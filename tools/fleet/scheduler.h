/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scheduler.h - the agent and the scheduler of its node: the socket, who is heard, and what is told; agent.h has the messages. */
#ifndef FLEET_SCHEDULER_H
#define FLEET_SCHEDULER_H

#include "state.h"

/* The socket, and what the last agent wrote down. 0, or 1: said why. */
int agent_open_socket(struct agent *a);
void agent_begin_client(struct agent *a);
void agent_accept_client(struct agent *a);
void agent_hear_client(struct agent *a);
/* Whether the process that was told last has ended: the next one may join. */
void agent_see_end(struct agent *a);
/* Base is a place's: nothing until the store has the node's name there. A node that is not in a life has it all the same. */
uint64_t agent_base_of(const struct agent *a, const struct pair *p);
/* Tells what the node may use of the pair now, if the scheduler may hear it and was told otherwise. */
void agent_tell_pair(struct agent *a, struct pair *p, uint64_t now);
/* Tells until when leases hold, once all rates are told. */
void agent_tell_until(struct agent *a);

#endif
