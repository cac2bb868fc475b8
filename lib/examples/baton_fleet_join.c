/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scheduler whose tenants' quotas come from its node's agent. Where none runs it works on without.
 *
 *	baton_fleet_join [SOCKET]
 */
#include <baton/fleet.h>
#include <baton/sched.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct baton_sched_opts so = { 0 };
	struct baton_fleet_stats stats;
	struct baton_fleet *fleet;
	struct baton_sched *s;

	so.sz = sizeof(so);
	if (baton_sched_create(&s, &so))
		return 1;
	if (baton_fleet_join(&fleet, s, argc > 1 ? argv[1] : "/run/baton/fleet.sock"))
		return 1;
	/* The service would serve here: baton_tenant_find() has the fleet's tenants. */
	baton_fleet_stats(fleet, &stats, sizeof(stats));
	if (stats.leased)
		printf("%lu tenants, with leases\n", (unsigned long)stats.tenants);
	else
		printf("base shares only: %s\n", stats.how);
	baton_fleet_leave(fleet);
	return baton_sched_destroy(s) ? 1 : 0;
}
