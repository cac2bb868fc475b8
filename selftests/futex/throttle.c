// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * throttle.c - a group that has used up its bandwidth is throttled also where
 * that is found out in the middle of a hand-over: no thread ever runs in a group
 * that is throttled on its CPU. The thread itself looks, in each of its turns, so
 * nothing here depends on how long anything took. (Not where the kernel may be
 * preempted while it writes the file that is looked into.)
 */
#include "pair.h"

static const char *group;	/* as the scheduler's debug file calls it */
static atomic_ulong *looked, *ran_throttled;

/*
 * Is the group throttled on @cpu? The scheduler's debug file has a section for each
 * that has something to run there, but for those that are throttled.
 */
static bool throttled_on(int cpu)
{
	char line[256], want[160];
	bool there = false;
	FILE *f = fopen("/sys/kernel/debug/sched/debug", "r");

	CHECK_ANY(f);
	snprintf(want, sizeof(want), "cfs_rq[%d]:%s\n", cpu, group);
	while (!there && fgets(line, sizeof(line), f))
		there = !strcmp(line, want);
	fclose(f);
	return !there;
}

static void look(struct side *s)
{
	bool throttled = throttled_on(s->cpu);
	int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + s->turns * 170000 % 1000000;

	/* Turns are to end anywhere between two ticks. */
	while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		;

	++*looked;
	*ran_throttled += throttled;
}

/*
 * The limited group has two, in each of which are a partner and a thread of policy
 * IDLE that stays when the partner leaves. So neither coming nor going shows at the
 * level of the limit: whoever picks has to look there.
 */
static void in_groups(const char *limited, const char *a, const char *b, int rounds)
{
	struct pair *p = pair_new(0);
	struct spinner *s[2];
	int64_t give_up = now_ns(CLOCK_MONOTONIC) + patience() * 2;
	long throttled;
	int i;

	looked = arena(sizeof(*looked));
	ran_throttled = arena(sizeof(*ran_throttled));
	group = strrchr(limited, '/');
	/* The debug file begins with it: the way there is short. */
	p->side[0].cpu = p->side[1].cpu = 0;
	p->side[0].cgroup = a;
	p->side[1].cgroup = b;
	p->side[0].process = p->side[1].process = true;
	p->side[0].turn = p->side[1].turn = look;
	pair_start(p);
	for (i = 0; i < 2; i++) {
		s[i] = spinner_start(0, true, i ? b : a);
		CHECK_EQ(set_policy(s[i]->tid, SCHED_IDLE, 0, 0), 0);
	}
	/* Not before: the way here would be throttled, too. */
	CHECK(cgroup_write(limited, "cpu.max", "5000 10000"));
	counters_reset();
	pair_go(p);
	do {
		nap();
		throttled = cgroup_value(limited, "cpu.stat", "nr_throttled");
	} while ((throttled < rounds || *looked < (unsigned long)rounds) && now_ns(CLOCK_MONOTONIC) < give_up);
	counters_show("throttle");
	printf("# %ld throttles, %lu looks, %lu of them from a group that was throttled\n", throttled,
	       *looked, *ran_throttled);
	CHECK(cgroup_write(limited, "cpu.max", "100000 100000"));
	pair_stop(p);
	pair_join(p);
	spinner_stop(s[0]);
	spinner_stop(s[1]);
	CHECK_CMP(throttled, >, 0);
	CHECK_CMP(*looked, >, 0);
	CHECK_EQ(*ran_throttled, 0);
}

TEST(never_runs_in_a_throttled_group)
{
	const char *limited, *a, *b, *rounds = getenv("SWAP_THROTTLES");

	fresh_start();
	pin(0, n_cpus() - 1);
	limited = cgroup_new("limited");
	CHECK(cgroup_write(limited, "cgroup.subtree_control", "+cpu"));
	/* The first limit patches the scheduler's code, an emulated CPU had better not run it. */
	CHECK(cgroup_write(limited, "cpu.max", "100000 100000"));
	a = cgroup_sub(limited, "a");
	b = cgroup_sub(limited, "b");
	in_groups(limited, a, b, rounds ? atoi(rounds) : 400);
	cgroup_delete(a);
	cgroup_delete(b);
	cgroup_delete(limited);
}

int main(int argc, char **argv)
{
	return swap_absent() ? 1 : tap_main(argc, argv);
}
