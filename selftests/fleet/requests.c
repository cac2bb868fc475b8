// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cost of a request, for cost.py.
 *
 *	requests SOCKET|- NS [COUNT]	requests of tenant red that do nothing, a hundred at a time, for so long, or COUNT of them, which this thread runs itself, one after the other; `-`: in no fleet. Prints the ns of CPU that
 *				the process used for each, how many there were, and whether leases held to the end
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <baton/fleet.h>
#include <baton/sched.h>

#define AT_ONCE	100

static void nothing(void *arg)
{
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1, .capacity = 1000000000 };
	struct baton_tenant_opts to = { .sz = sizeof(to), .name = "red" };
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_BATCH, .fn = nothing };
	uint64_t ns, end, cpu, n = 0, count;
	struct baton_fleet_stats fs = { 0 };
	struct baton_fleet *f = NULL;
	struct baton_request *r, *all[AT_ONCE];
	struct baton_tenant *t;
	struct baton_sched *s;
	unsigned i;
	bool joins;

	if (argc < 3)
		return 2;
	joins = strcmp(argv[1], "-");
	ns = strtoull(argv[2], NULL, 10);
	count = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	if (!joins)
		to.high_ppm = 1000000;
	if (baton_sched_create(&s, &so) || baton_tenant_add(s, &t, &to) || (joins && baton_fleet_join(&f, s, argv[1])))
		return 1;
	/* Quota, and leases that hold, come from the agent. */
	while (baton_submit(t, &ro, &r))
		usleep(10000);
	baton_request_wait(r);
	baton_request_put(r);
	while (joins && !fs.leased) {
		usleep(10000);
		baton_fleet_stats(f, &fs, sizeof(fs));
	}
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (count)
		ro.fn = NULL;
	for (; n < count; n++) {
		if (baton_request_enter(t, &ro, NULL))
			return 1;
		baton_request_leave();
	}
	for (end = clock_ns(CLOCK_MONOTONIC) + ns; !count && clock_ns(CLOCK_MONOTONIC) < end; n += AT_ONCE) {
		for (i = 0; i < AT_ONCE; i++)
			if (baton_submit(t, &ro, &all[i]))
				return 1;
		for (i = AT_ONCE; i--;) {
			baton_request_wait(all[i]);
			baton_request_put(all[i]);
		}
	}
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	if (joins)
		baton_fleet_stats(f, &fs, sizeof(fs));
	printf("%.3f %llu %d\n", (double)cpu / (double)n, (unsigned long long)n, fs.leased);
	baton_fleet_leave(f);
	return 0;
}
