// SPDX-License-Identifier: GPL-2.0-or-later
/* A scheduler in a cgroup whose limit is half a CPU, and then another. */
#include <sys/wait.h>
#include <unistd.h>

#include <baton/baton.h>

#include "../../tools/baton/cgroup.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

static struct baton_sched *s;
static struct baton_stats *st;

/* The capacity comes to be so much; a busy machine may make it late. */
static uint64_t comes_to(uint64_t capacity)
{
	uint64_t end = baton_clock_now() + 30000 * MS;
	struct baton_stats_header h;

	do {
		baton_stats_header(st, &h, sizeof(h));
	} while (h.capacity != capacity && baton_clock_now() < end && !usleep(1000));
	return h.capacity;
}

static void in_a_limit(int go, int done)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = 300000, .name = "a" };
	const char *why = cgroup_enter();
	struct baton_stats_tenant r;
	struct baton_tenant *t;
	char x;

	CHECK_MSG(!why, "%s", why);
	CHECK_EQ(baton_sched_create(&s, NULL), 0);
	CHECK_EQ(baton_stats_of(&st, s), 0);
	CHECK_EQ(comes_to(500 * MS), 500 * MS);
	CHECK_EQ(baton_tenant_add(s, &t, &o), 0);
	CHECK_EQ(write(done, "x", 1), 1);
	CHECK_EQ(read(go, &x, 1), 1);
	CHECK_EQ(comes_to(200 * MS), 200 * MS);
	CHECK_EQ(baton_stats_tenant(st, 0, &r, sizeof(r)), 0);
	CHECK_EQ(r.tier[BATON_TIER_LOW].quota, 60 * MS);
	/* Said is said; and 0 is as measured again. */
	CHECK_EQ(baton_sched_set_capacity(s, 400 * MS), 0);
	CHECK_EQ(comes_to(400 * MS), 400 * MS);
	CHECK_EQ(baton_sched_set_capacity(s, 0), 0);
	CHECK_EQ(comes_to(200 * MS), 200 * MS);
	baton_stats_close(st);
	end_sched(s);
}

TEST(limit_and_its_change)
{
	const char *why = cgroup_make_limit(50000);
	int go[2], done[2], status = 0;
	pid_t pid;
	char x;

	if (why)
		SKIP("%s", why);
	CHECK(!pipe(go) && !pipe(done));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (!setjmp(tap_env)) {
			in_a_limit(go[0], done[1]);
			fflush(stdout);
			_exit(0);
		}
		printf("# %s\n", tap_why);
		fflush(stdout);
		_exit(1);
	}
	close(done[1]);
	if (read(done[0], &x, 1) == 1) {
		why = cgroup_change_limit(20000);
		if (write(go[1], "x", 1) != 1)
			why = "pipe";
	}
	waitpid(pid, &status, 0);
	cgroup_remove_limits();
	CHECK_MSG(!why, "%s", why);
	CHECK_EQ(status, 0);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
