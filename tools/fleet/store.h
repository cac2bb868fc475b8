/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store.h - what the store says to an agent: all of it once, then by a watch. */
#ifndef FLEET_STORE_H
#define FLEET_STORE_H

#include "state.h"

/* An answer to a request that was sent when revision `known` was: later ones are not less. False: this is another store. */
bool agent_trust(struct agent *a, uint64_t revision, uint64_t known);
void agent_end_life(struct agent *a, const char *why);
/* A record of held came; it is the agent's from now on. */
void agent_see_held(struct agent *a, struct pair *p, struct fleet_held *h, bool exists);
/* A pair of a key and a value, of an answer or of the watch. */
void agent_apply_json(struct agent *a, const json_t *kv);
/* Begins to read all anew, and to watch from there on. */
void agent_read_all(struct agent *a, uint64_t now);

#endif
