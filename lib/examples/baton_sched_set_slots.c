/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scheduler whose service says how much of the machine it is to use: half a CPU, then one and a half. */
#include <baton/sched.h>
#include <baton/stats.h>
#include <stdio.h>

static void show(const struct baton_stats *st)
{
	struct baton_stats_header h;

	baton_stats_header(st, &h, sizeof(h));
	printf("%u slots, %.2f CPUs, of which %.2f are sold\n", (unsigned)h.slots_open, (double)h.capacity / 1e9,
	       (double)h.low_sold / 1e9);
}

int main(void)
{
	struct baton_sched_opts so = { 0 };
	struct baton_tenant_opts to = { 0 };
	struct baton_tenant *tenant;
	struct baton_stats *st;
	struct baton_sched *s;
	int err;

	so.sz = sizeof(so);
	so.slots_max = 2;
	so.capacity = 500000000;
	to.sz = sizeof(to);
	to.low_ppm = 400000;
	if (baton_sched_create(&s, &so) || baton_tenant_add(s, &tenant, &to) || baton_stats_of(&st, s))
		return 1;
	show(st);
	/* The tenant still has 40% of it. */
	if (baton_sched_set_capacity(s, 1500000000))
		return 1;
	show(st);
	/* No more than a second for each slot. */
	if (baton_sched_set_slots(s, 1))
		return 1;
	show(st);
	err = baton_sched_set_slots(s, 3);
	if (err)
		printf("3 slots: %d, there is room for 2\n", err);
	baton_stats_close(st);
	return baton_sched_destroy(s) ? 1 : 0;
}
