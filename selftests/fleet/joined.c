// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A node's service for nodes.py: a scheduler in the fleet, whose tenant red always has a task that wants CPU.
 *
 *	joined SOCKET	prints each 10 ms: CLOCK_BOOTTIME, red's CPU so far, whether leases hold, CLOCK_BOOTTIME once more, in ns; until stdin ends
 */
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <baton/fleet.h>
#include <baton/sched.h>

static _Atomic bool over;

static void burn(void *arg)
{
	while (!over)
		baton_checkpoint();
}

static unsigned long long boot_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

int main(int argc, char **argv)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1, .capacity = 1000000000 };
	struct baton_tenant_opts to = { .sz = sizeof(to), .name = "red" };
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_BATCH, .fn = burn };
	struct pollfd in = { .fd = 0, .events = POLLIN };
	struct baton_tenant_stats st;
	struct baton_fleet_stats fs;
	struct baton_request *r;
	struct baton_tenant *t;
	struct baton_fleet *f;
	struct baton_sched *s;
	unsigned long long before;

	if (argc < 2 || baton_sched_create(&s, &so) || baton_tenant_add(s, &t, &to) || baton_fleet_join(&f, s, argv[1]))
		return 1;
	/* A tenant without any quota is refused. */
	while (baton_submit(t, &ro, &r))
		if (poll(&in, 1, 10))
			return 1;
	while (!poll(&in, 1, 10)) {
		before = boot_now();
		baton_tenant_stats(t, &st, sizeof(st));
		baton_fleet_stats(f, &fs, sizeof(fs));
		printf("%llu %llu %d %llu\n", before, (unsigned long long)st.cpu[1], fs.leased, boot_now());
		fflush(stdout);
	}
	over = true;
	/* The task has to get its slot once more to end. */
	_exit(0);
}
