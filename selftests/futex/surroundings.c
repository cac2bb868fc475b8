// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * surroundings.c - swaps go on, and nobody is lost, while the machine changes
 * under them: CPUs going off line, core scheduling, utilisation clamps, each
 * preemption model, affinities and classes that change in mid-flight.
 */
#include "pair.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#define PR_SCHED_CORE_CREATE 1
#endif

#define PAIRS 4

/* All of them must get on by @n turns from now. */
struct goal {
	struct pair **p;
	int n;
	uint64_t turns[PAIRS];
};

static bool got_on(void *arg)
{
	struct goal *g = arg;
	int i;

	for (i = 0; i < g->n; i++)
		if (pair_turns(g->p[i]) < g->turns[i])
			return false;
	return true;
}

static void get_on(struct pair **p, int n, uint64_t turns)
{
	struct goal g = { p, n, { 0 } };
	int i;

	for (i = 0; i < n; i++)
		g.turns[i] = pair_turns(p[i]) + turns;
	CHECK_MSG(until(got_on, &g), "a pair is stuck");
}

static void start_all(struct pair **p, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		p[i] = pair_new(0);
		/* The last is pinned to the CPU that goes away. */
		p[i]->side[0].cpu = p[i]->side[1].cpu = i == n - 1 ? 1 : -1;
		pair_start(p[i]);
	}
	for (i = 0; i < n; i++)
		pair_go(p[i]);
}

static void stop_all(struct pair **p, int n)
{
	int i;

	for (i = 0; i < n; i++)
		pair_stop(p[i]);
	for (i = 0; i < n; i++)
		pair_join(p[i]);
}

/*
 * The fair class's deadline server, off or as it was. 6.12 as it stands loses
 * count of the server's bandwidth, and warns, when a CPU goes while it runs.
 */
static void fair_servers(bool on)
{
	char path[96];
	int cpu;

	for (cpu = 0; cpu < n_cpus(); cpu++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/sched/fair_server/cpu%d/runtime", cpu);
		CHECK_MSG(access(path, W_OK) || write_file(path, on ? "50000000" : "0"), "%s: %s", path,
			  strerror(errno));
	}
}

TEST(cpu_hotplug)
{
	static const char online[] = "/sys/devices/system/cpu/cpu1/online";
	int i, rounds = is_debug_kernel() ? 3 : 8;
	struct pair *p[PAIRS];

	fresh_start();
	if (access(online, W_OK))
		SKIP("cpu1 cannot be taken off line");
	fair_servers(false);
	start_all(p, PAIRS);
	for (i = 0; i < rounds; i++) {
		get_on(p, PAIRS, 20);
		CHECK_MSG(write_file(online, "0"), "off line: %s", strerror(errno));
		get_on(p, PAIRS, 20);
		CHECK_MSG(write_file(online, "1"), "on line: %s", strerror(errno));
	}
	stop_all(p, PAIRS);
	fair_servers(true);
}

/* Affinity, nice and class of either side change while they swap. */
TEST(attributes_change_in_mid_flight)
{
	static const int policies[] = { SCHED_OTHER, SCHED_FIFO, SCHED_BATCH, SCHED_IDLE, SCHED_OTHER };
	int i, side, rounds = is_debug_kernel() ? 40 : 150;
	struct pair *p[PAIRS];

	fresh_start();
	if (n_cpus() < 2)
		SKIP("one CPU");
	start_all(p, PAIRS);
	for (i = 0; i < rounds; i++) {
		for (side = 0; side < 2; side++) {
			pid_t tid = p[i % PAIRS]->side[side].tid;

			pin(tid, (i + side) % 3 ? (i + side) % 3 - 1 : -1);
			CHECK_EQ(set_policy(tid, policies[(i + side) % 5], i * 11 % 30 - 15, 0), 0);
		}
		if (i % 10 == 0)
			get_on(p, PAIRS, 2);
	}
	stop_all(p, PAIRS);
}

/* A core shared by two hyperthreads, and a pair whose cookies differ. */
TEST(core_scheduling)
{
	struct pair *p[2];
	int i;

	fresh_start();
	for (i = 0; i < 2; i++) {
		p[i] = pair_new(0);
		pair_start(p[i]);
		if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, (pid_t)p[i]->side[0].tid, 0, 0)) {
			int err = errno;

			pair_go(p[i]);
			stop_all(p, i + 1);
			SKIP("no core scheduling here: %s", strerror(err));
		}
		/* The second pair shares nothing: a cookie for each. */
		if (i)
			CHECK(!prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, (pid_t)p[i]->side[1].tid, 0, 0));
	}
	pair_go(p[0]);
	pair_go(p[1]);
	get_on(p, 2, is_debug_kernel() ? 200 : 2000);
	stop_all(p, 2);
}

TEST(uclamp)
{
	struct pair *p;

	fresh_start();
	p = pair_new(is_debug_kernel() ? 200 : 2000);
	p->side[0].uclamp_max = 300;
	p->side[1].uclamp_max = 900;
	if (!pair_try_start(p))
		SKIP("no utilisation clamps here: %s", strerror(-(p->side[0].error ?: p->side[1].error)));
	pair_go(p);
	pair_join(p);
}

TEST(each_preemption_model)
{
	static const char file[] = "/sys/kernel/debug/sched/preempt";
	static const char *const models[] = { "none", "voluntary", "full", "lazy" };
	char was[128], all[128], *open;
	struct pair *p;
	unsigned int i;

	fresh_start();
	if (!read_line(file, was, sizeof(was)))
		SKIP("no %s", file);
	strcpy(all, was);
	open = strchr(was, '(');
	CHECK(open);
	open[strcspn(open, ")")] = 0;
	for (i = 0; i < sizeof(models) / sizeof(*models); i++) {
		/* The file names what the kernel has. */
		if (!strstr(all, models[i]))
			continue;
		CHECK_MSG(write_file(file, models[i]), "%s: %s", models[i], strerror(errno));
		p = pair_new(is_debug_kernel() ? 200 : 1500);
		counters_reset();
		pair_run(p);
		counters_show(models[i]);
		CHECK_CMP(counter("direct") * 100, >=, pair_swaps(p) * 90);
	}
	CHECK(write_file(file, open + 1));
}

int main(int argc, char **argv)
{
	return swap_absent() ? 1 : tap_main(argc, argv);
}
