/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/fleet.h> - a scheduler of a fleet: tenants' quotas are leased from what they bought of all nodes together.
 *
 * `baton fleet agent` runs on each node. A scheduler that joined says to its node's agent what each tenant
 * uses, and is told a rate for each quota, and until when it holds. No request waits for the agent. A tenant of
 * the fleet that the scheduler does not have is added, without limits, so that baton_tenant_find() finds it.
 *
 * From the first rate that is told for a tenant's quota, until the scheduler ends, the fleet sets that quota and nobody
 * else: baton_tenant_set() and baton_config_apply() change the tenant's limits alone, and other capacities leave it the same
 * ns of CPU. While the scheduler is in the fleet such a tenant cannot be removed: baton_tenant_remove() does nothing, and a configuration
 * that does not name the tenant leaves it there. A tenant that the fleet is to have should be added without
 * quotas: what it has before its first rate is not counted in the fleet.
 *
 * A node's agent has one scheduler at a time, of one process. A second one of this process is refused by baton_fleet_join() for as long as the
 * first one lives, also after baton_fleet_leave(), since it keeps its base shares. One of another process is refused by the agent, which
 * baton_fleet_stats() says in `how`: while a scheduler is joined, and while the process lives that had quota before. It tries again each second,
 * and has nothing meanwhile. Several processes of a node that are to share its quota are nodes of their own, each with an agent and a name.
 *
 * Where the agent is gone, leases end when it said they would, by this machine's clock and whether or not a
 * thread is there to notice: the next slice is given by each tenant's base share. The scheduler goes on with that,
 * and meets the agent that is there next.
 */
#ifndef BATON_FLEET_H
#define BATON_FLEET_H

#include <stdbool.h>

#include <baton/base.h>

BATON_BEGIN_DECLS

struct baton_fleet;
struct baton_sched;

/**
 * baton_fleet_join - from now on this scheduler's quotas are the fleet's
 * @out: for baton_fleet_leave(); set to NULL on an error
 * @s: not yet in a fleet
 * @socket: path of the agent's (`baton fleet agent --socket`); copied
 *
 * Any thread; does not wait for the agent, which may come later. Makes a thread ("baton-fleet") that sleeps
 * while tenants use nothing. Only an agent of root's or of the caller's effective user is listened to.
 *
 * Returns 0; -EBUSY: @s is in a fleet; -EADDRINUSE: another scheduler of this process, not destroyed yet, has joined at @socket; -ENAMETOOLONG: @socket is no path for a socket; -EPERM: @s is the parent
 * process's; -ENOMEM, -EMFILE, -ENFILE, -EAGAIN: no memory, descriptor or thread.
 */
BATON_API int baton_fleet_join(struct baton_fleet **out, struct baton_sched *s, const char *socket);

/**
 * baton_fleet_leave - leases end now
 * @f: freed; NULL: nothing
 *
 * Any thread but a task of the scheduler; waits for the fleet's thread to end. Tenants keep their base
 * shares. Before baton_sched_destroy(), which says -EBUSY until then.
 */
BATON_API void baton_fleet_leave(struct baton_fleet *f);

struct baton_fleet_stats {
	bool connected;		/* an agent is there */
	bool leased;		/* leases hold; else each tenant has its base share, which is none while the node has no place */
	const char *how;	/* why not connected, in words; a constant */
	uint64_t since;		/* baton_clock_now() when `connected` changed last */
	uint64_t until;		/* baton_clock_now() at which the leases end; 0: they do not hold */
	uint64_t tenants;	/* tenants that the agent has named */
	uint64_t rates, uses;	/* messages from the agent, and to it */
	uint64_t refused;	/* messages that were none of an agent's, and agents of another user */
	uint64_t cut;		/* rates that the scheduler's low_limit does not allow as a whole */
};

/**
 * baton_fleet_stats - how the scheduler stands with its agent
 * @sz: sizeof(*out) as the caller knows it; what is newer is left out
 *
 * Any thread.
 */
BATON_API void baton_fleet_stats(struct baton_fleet *f, struct baton_fleet_stats *out, size_t sz);

BATON_END_DECLS

#endif
