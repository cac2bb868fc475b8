// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A node's service for nodes.py and kills.py: a scheduler in the fleet, whose tenant red always has a task that wants CPU.
 *
 *	joined SOCKET	prints each 10 ms: CLOCK_BOOTTIME, red's CPU so far, whether leases hold, CLOCK_BOOTTIME once more, in ns, and whether
 *			red's task is late because the fleet leases quota to other nodes, and the CPU that the process used; until stdin ends.
 *			Until the tenant has quota stderr has why there is no agent, whenever that is another reason
 */
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <baton/fleet.h>
#include <baton/sched.h>
#include <baton/why.h>

static _Atomic bool over;

static void burn(void *arg)
{
	while (!over)
		baton_checkpoint();
}

static unsigned long long clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
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
	struct baton_why why;
	const char *said = "";
	unsigned long long before;

	if (argc < 2 || baton_sched_create(&s, &so) || baton_tenant_add(s, &t, &to) || baton_fleet_join(&f, s, argv[1]))
		return 1;
	/* A tenant without any quota is refused. */
	while (baton_submit(t, &ro, &r)) {
		if (poll(&in, 1, 10))
			return 1;
		baton_fleet_stats(f, &fs, sizeof(fs));
		if (!fs.connected && fs.how != said)
			fprintf(stderr, "%s\n", said = fs.how);
	}
	while (!poll(&in, 1, 10)) {
		before = clock_ns(CLOCK_BOOTTIME);
		baton_tenant_stats(t, &st, sizeof(st));
		baton_fleet_stats(f, &fs, sizeof(fs));
		baton_request_why(r, &why, sizeof(why));
		printf("%llu %llu %d %llu %d %llu\n", before, (unsigned long long)st.cpu[1], fs.leased, clock_ns(CLOCK_BOOTTIME), why.reason == BATON_WHY_LEASED_LATE,
		       clock_ns(CLOCK_PROCESS_CPUTIME_ID));
		fflush(stdout);
	}
	over = true;
	/* The task has to get its slot once more to end. */
	_exit(0);
}
