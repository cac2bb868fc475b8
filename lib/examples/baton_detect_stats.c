/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A task that blocks where nobody said so, and one that only needs the CPU.
 */
#include <baton/detect.h>
#include <baton/sched.h>
#include <stdio.h>
#include <unistd.h>

static void sleeper(void *arg)
{
	(void)arg;
	usleep(20000);
}

static void runner(void *arg)
{
	uint64_t end = baton_clock_now() + 10000000;

	(void)arg;
	while (baton_clock_now() < end && !baton_checkpoint())
		;
}

int main(void)
{
	struct baton_sched_opts so = { 0 };
	struct baton_tenant_opts to = { 0 };
	struct baton_request_opts ro = { 0 };
	struct baton_detect_stats stats;
	struct baton_request *a, *b;
	struct baton_tenant *tenant;
	struct baton_sched *s;

	so.sz = sizeof(so);
	so.slots = 1;
	to.sz = sizeof(to);
	to.high_ppm = 1000000;
	ro.sz = sizeof(ro);
	ro.cls = BATON_BATCH;
	if (baton_sched_create(&s, &so) || baton_tenant_add(s, &tenant, &to))
		return 1;
	ro.fn = sleeper;
	if (baton_submit(tenant, &ro, &a))
		return 1;
	ro.fn = runner;
	if (baton_submit(tenant, &ro, &b))
		return 1;
	baton_request_wait(a);
	baton_request_wait(b);
	baton_request_put(a);
	baton_request_put(b);
	if (baton_detect_stats(s, &stats, sizeof(stats)))
		printf("blocking is not seen: %s\n", stats.how);
	else
		printf("seen by %s: %lu times, %lu slots given to others meanwhile\n", stats.how,
		       (unsigned long)stats.blocks, (unsigned long)stats.taken);
	return baton_sched_destroy(s) ? 1 : 0;
}
