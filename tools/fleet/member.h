/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * member.h - who is in a fleet, and whose leases have ended. Pure, as held.h is.
 *
 * Two keys for each place: node (name, life, fenced, capacity) changes when a node joins or is fenced, and everybody watches
 * it; alive is written by the node's heartbeat. A heartbeat is one transaction:
 *
 *	if node has the revision that I know	put alive {seen}; get the revision of quotas;
 *						get alive of the places that I guard
 *
 * and a fence is
 *
 *	if node, and alive, have the revisions that I know	put node {life, fenced}
 *
 * which a guard sends once it has seen both unchanged for FLEET_TTL and a second, by its own clock, taken to be fast.
 *
 * Claim (c of held.h): when a life is fenced, its node's clock has been past its deadline for a second.
 *
 * Proof. deadline = FLEET_TTL after the sending of a heartbeat that was applied; let b be the last one applied before the fence. The
 * fence compares alive with the revision that the guard saw, so that is b's (or an earlier one: then the compare
 * fails). The guard saw b after it was applied, that is after it was sent. FLEET_TTL + 1 s of the node's clock are at most
 * fleet_at_most(FLEET_TTL + 1 s) of the guard's. After the fence no heartbeat is applied, as each compares node. []
 *
 * The node extends its lease only where it has seen what was sold: if quotas (a key that each change of a quota writes as well)
 * has a revision that the node's watch has not brought yet, then the heartbeat counts only once it has. So a node whose watch is
 * dead, though its heartbeats arrive, is down to base after FLEET_TTL.
 *
 * A node has base from when its node key is in the store, so there are no more bases than places. The first join of a place is
 *
 *	if node is not there, and quotas has the revision that I know	put node {name, life 1}; put quotas
 *
 * Who sells counts an empty place as one that keeps to every base. Broken: a sale sees an empty place, a node joins it with the quota
 * before that and uses its base, and the sale leases that base to others. Either the join is first, and the sale's compare of
 * quotas fails; or the sale is, and the join's does. The node of a later life is bound by its place's `seen`.
 *
 * `seen` in alive is the revision of quotas whose bases the node has kept to for a second. Once all places say so, nobody has used more than the
 * lower base in the last second, and what each place had above it may be leased (held.h: `next`).
 *
 * A node guards the next FLEET_GUARDS places that are not fenced. An agent that starts finds its own place's last
 * life, and guards that, too, before it takes the next life: the scheduler may go on with what it was told.
 */
#ifndef FLEET_MEMBER_H
#define FLEET_MEMBER_H

#include "held.h"

#define FLEET_GUARDS 4

/* A place, as a node knows it. */
struct fleet_peer {
	uint64_t node_rev, alive_rev;	/* 0: no such key was seen */
	uint64_t since;			/* when this node first saw alive at alive_rev */
	uint32_t life;
	bool fenced;
};

/* A node's own lease. */
struct fleet_session {
	uint64_t deadline;	/* all it holds above base is its own before that */
	uint64_t seen;		/* revision of quotas that the watch brought */
	uint64_t sent, needs;	/* a heartbeat that counts once seen is `needs`; sent 0: none */
	uint64_t settled, settling, since;
};

/* The watch, or a read, brought a place's node key, or its alive key. Older revisions are left alone. */
void fleet_peer_node(struct fleet_peer *p, uint64_t rev, uint32_t life, bool fenced);
void fleet_peer_alive(struct fleet_peer *p, uint64_t now, uint64_t rev);

/* Whether what is in an entry of this life is nobody's. */
static inline bool fleet_peer_void(const struct fleet_peer *p, uint32_t life)
{
	return p->life > life || (p->life == life && p->fenced);
}

/* Whether its life may be fenced now. A place that has a node key but no alive key is seen with alive_rev 0. */
bool fleet_peer_is_over(const struct fleet_peer *p, uint64_t now);

/* The places that `me` guards; returns how many. */
unsigned fleet_guards(const struct fleet_peer *peers, unsigned places, unsigned me, unsigned out[FLEET_GUARDS]);

/* A heartbeat that was sent at `sent` was applied; quotas had this revision then. */
void fleet_session_beat(struct fleet_session *s, uint64_t sent, uint64_t quotas);
void fleet_session_saw(struct fleet_session *s, uint64_t quotas);
/*
 * The `seen` of a heartbeat that is sent now; kept: the newest revision of quotas whose bases the scheduler keeps to now. What it used
 * of a greater base is in its last second until a second later, so a revision is said only then.
 */
uint64_t fleet_session_settled(struct fleet_session *s, uint64_t now, uint64_t kept);
/* The life was fenced, or another begins. */
void fleet_session_end(struct fleet_session *s);

#endif
