/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h - which scheduler of a node may be told rates. Pure, as held.h is.
 *
 * A scheduler uses what it was told for as long as its process lives: leases until they end, base for ever, whether or not an agent is there.
 * It does not know what another one used.
 *
 * Claim: in no second do the schedulers of a node together use more than what the agent last told, plus what each running task runs past its slice.
 *
 * Proof. Each process that is told anything is written down before, and that is read by an agent that starts. While the process
 * lives no other one is told anything; after its end none is for a second, by when all that it used is out of the second. []
 *
 * Broken: an agent that starts and trusts that who lives meets it soon. The service's threads run, and the one that would meet the agent gets no CPU;
 * then the service is killed, the next one joins at once, and the same second has its base twice. Or a service is replaced while the
 * agent is away, the new one meets the next agent first, and the old one, which is not heard, has its base for as long as it lives.
 *
 * Where nothing was written down, or by a process that cannot be seen from here (another PID namespace), only time helps: a
 * scheduler that lives looks for its agent each second, so after FLEET_MEETS it was there, or is gone; and a second more.
 */
#ifndef FLEET_CLIENT_H
#define FLEET_CLIENT_H

#include "held.h"

#define FLEET_MEETS	FLEET_SECOND

struct fleet_client {
	uint64_t told;		/* the process that was told last; 0: none */
	bool lives;
	uint64_t hold;		/* nobody is told anything before that */
};

/* An agent starts. told, known: what was written down, if that could be read. */
void fleet_client_begin(struct fleet_client *c, uint64_t now, bool known, uint64_t told, bool lives);
/* The process that was told last has ended. */
void fleet_client_ended(struct fleet_client *c, uint64_t now);
/* A scheduler left its socket. The process may have another scheduler, which does not know what this one used. */
void fleet_client_left(struct fleet_client *c, uint64_t now);
/* Whether this process may join: it is the one that was told last, or that one is gone. */
bool fleet_client_may_join(const struct fleet_client *c, uint64_t who);
/* Whether the process that joined may be told now. A process is written down before it is told for the first time, and then fleet_client_told(). */
bool fleet_client_may_hear(const struct fleet_client *c, uint64_t now);
void fleet_client_told(struct fleet_client *c, uint64_t who);

#endif
