// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fair.c - a pair that swaps for ever is, for the scheduler, one thread: it gets
 * what one thread gets, is charged what it used, and leaves nothing behind in
 * the averages. Time is the guest's, measured over a window of it, on one CPU.
 *
 * An emulated CPU may stand still for half of such a window, and then whoever
 * ran is charged for it. So a window that is out of bounds is looked at again,
 * twice: a scheduler that is unfair is so each time.
 */
#include "pair.h"

#include <sys/resource.h>

static int64_t window(void)
{
	const char *s = getenv("SWAP_FAIR_SECONDS");

	return (s ? atof(s) : 2) * NSEC;
}

/* CPU that each used between two moments. */
struct shares {
	double pair, spinner;	/* % of the two together */
	double busy;		/* % of the time that passed */
	double a, b;		/* % of the pair */
	int64_t used;		/* ns */
};

static int64_t used(struct pair *p, int i)
{
	return cpu_time(p->side[i].tid);
}

static struct shares measure(struct pair *p, struct spinner *s)
{
	int64_t a, b, sp, t;
	struct timespec ts = to_ts(window());
	struct shares r;

	t = now_ns(CLOCK_MONOTONIC);
	a = used(p, 0);
	b = used(p, 1);
	sp = s ? cpu_time(s->tid) : 0;
	while (nanosleep(&ts, &ts))
		;
	a = used(p, 0) - a;
	b = used(p, 1) - b;
	sp = s ? cpu_time(s->tid) - sp : 0;
	t = now_ns(CLOCK_MONOTONIC) - t;
	r.used = a + b + sp;
	r.pair = 100.0 * (a + b) / (r.used ?: 1);
	r.spinner = 100.0 * sp / (r.used ?: 1);
	r.busy = 100.0 * r.used / t;
	r.a = 100.0 * a / (a + b ?: 1);
	r.b = 100 - r.a;
	printf("# pair %.1f%% (of that %.1f and %.1f), spinner %.1f%%, busy %.1f%%, %llu turns\n", r.pair, r.a,
	       r.b, r.spinner, r.busy, (unsigned long long)pair_turns(p));
	return r;
}

/* The measuring thread stays off the CPU that is measured. */
static int the_cpu(void)
{
	int cpu = n_cpus() - 1;

	if (cpu)
		pin(0, 0);
	return cpu;
}

struct setup {
	const char *cgroup[3];	/* side 0's, side 1's, the spinner's */
	int nice[2];
	bool sleeps;
};

static struct shares contest(const struct setup *u, bool spinner)
{
	struct pair *p = pair_new(0);
	struct spinner *s = NULL;
	struct shares r;
	int i, cpu = the_cpu();

	for (i = 0; i < 2; i++) {
		p->side[i].cpu = cpu;
		p->side[i].nice = u->nice[i];
		p->side[i].cgroup = u->cgroup[i];
		p->side[i].process = u->cgroup[i] != NULL;
		p->side[i].sleeps = u->sleeps;
	}
	pair_start(p);
	if (spinner)
		s = spinner_start(cpu, u->cgroup[2] != NULL, u->cgroup[2]);
	pair_go(p);
	r = measure(p, s);
	if (s)
		spinner_stop(s);
	pair_stop(p);
	pair_join(p);
	return r;
}

#define TRIES 3

/* Windows until one has all shares within bounds. */
static struct shares contests(const struct setup *u, bool spinner, double pair_low,
			      double pair_high, double busy_low, double busy_high)
{
	struct shares r = { 0 };
	int i;

	for (i = 0; i < TRIES; i++) {
		r = contest(u, spinner);
		if (r.pair >= pair_low && r.pair <= pair_high && r.busy >= busy_low &&
		    r.busy <= busy_high)
			return r;
	}
	CHECK_MSG(false, "pair %.2f%%, not %.1f..%.1f, or busy %.2f%%, not %.1f..%.1f, %d times", r.pair,
		  pair_low, pair_high, r.busy, busy_low, busy_high, TRIES);
	return r;
}

#define CHECK_SHARE(VALUE, LOW, HIGH) \
	CHECK_MSG((VALUE) >= (LOW) && (VALUE) <= (HIGH), "%s is %.2f, not in %.1f..%.1f", #VALUE, \
		  (double)(VALUE), (double)(LOW), (double)(HIGH))

TEST(pair_against_spinner)
{
	struct setup u = { .nice = { 0, 0 } };

	fresh_start();
	/* The time that they were charged is the time that passed. */
	contests(&u, true, 47, 53, 95, 101);
}

TEST(pair_against_spinner_in_a_limited_cgroup)
{
	const char *cg;
	struct setup u;
	struct shares r;
	double low = 47;
	long usage = 0;
	int i;

	fresh_start();
	cg = cgroup_new("limited");
	u = (struct setup){ .cgroup = { cg, cg, cg } };
	CHECK(cgroup_write(cg, "cpu.max", "50000 100000"));
	for (i = 0; i < TRIES; i++) {
		usage = cgroup_value(cg, "cpu.stat", "usage_usec");
		r = contest(&u, true);
		usage = cgroup_value(cg, "cpu.stat", "usage_usec") - usage;
		printf("# the cgroup was charged %ld us, its threads %lld us\n", usage,
		       (long long)r.used / 1000);
		if (r.pair >= 47 && r.pair <= 53 && r.busy >= 40 && r.busy <= 56)
			break;
	}
	if (r.pair < low) {
		double wake;

		/* Where the kernel throttles tasks and not queues, two that sleep get less than a half: by wake and wait, too. */
		u.sleeps = true;
		wake = contest(&u, true).pair;
		printf("# by wake and wait the pair has %.1f%%\n", wake);
		if (wake < low)
			low = wake - 3;
	}
	CHECK_SHARE(r.pair, low, 53);
	CHECK_SHARE(r.busy, 40, 56);
	CHECK_CMP(cgroup_value(cg, "cpu.stat", "nr_throttled"), >, 0);
	/* The group ran a little before and after the window. */
	CHECK_CMP(usage * 1000, >=, r.used * 98 / 100);
	cgroup_delete(cg);
}

/* Between what the lighter (weight 335) and what the heavier (1024) would get. */
TEST(unlike_weights_against_spinner)
{
	struct setup u = { .nice = { 0, 5 } };

	fresh_start();
	contests(&u, true, 24.6 - 3, 53, 95, 101);
}

/* Each cgroup has the weight of one thread; together they still are one pair. */
TEST(two_cgroups_against_spinner)
{
	const char *a, *b, *c;
	struct setup u;

	fresh_start();
	a = cgroup_new("a");
	b = cgroup_new("b");
	c = cgroup_new("c");
	u = (struct setup){ .cgroup = { a, b, c } };
	contests(&u, true, 25, 54, 95, 101);
	cgroup_delete(a);
	cgroup_delete(b);
	cgroup_delete(c);
}

/* The kernel's own sums agree: the cgroup's, the threads', the time that passed. */
TEST(charged_what_it_used)
{
	const char *a, *b;
	struct setup u;
	struct shares r;
	long ua, ub;

	fresh_start();
	a = cgroup_new("a");
	b = cgroup_new("b");
	u = (struct setup){ .cgroup = { a, b, NULL } };
	r = contests(&u, false, 99, 100, 95, 101);
	ua = cgroup_value(a, "cpu.stat", "usage_usec");
	ub = cgroup_value(b, "cpu.stat", "usage_usec");
	printf("# cgroups charged %ld and %ld us, threads %lld us in the window\n", ua, ub,
	       (long long)r.used / 1000);
	CHECK_SHARE(r.a, 20, 80);
	CHECK_CMP((ua + ub) * 1000, >=, r.used * 98 / 100);
	cgroup_delete(a);
	cgroup_delete(b);
}

/* A number from /proc/TID/sched. */
static double sched_value(pid_t tid, const char *key)
{
	char path[64], line[256];
	double value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/sched", tid);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) && strchr(line, ':'))
			value = atof(strchr(line, ':') + 1);
	fclose(f);
	return value;
}

/* Two halves of a busy CPU, whichever way the turn is given. */
static double util(bool sleeps)
{
	struct pair *p = pair_new(0);
	struct timespec ts = { .tv_sec = 1 };
	double sum = 0;
	int i, n;

	p->side[0].cpu = p->side[1].cpu = the_cpu();
	p->side[0].sleeps = p->side[1].sleeps = sleeps;
	pair_start(p);
	pair_go(p);
	while (nanosleep(&ts, &ts))
		;
	for (n = 0; n < 10; n++) {
		nap();
		for (i = 0; i < 2; i++)
			sum += sched_value(p->side[i].tid, "se.avg.util_avg") / 10;
	}
	pair_stop(p);
	pair_join(p);
	return sum;
}

TEST(utilisation_is_that_of_one_busy_cpu)
{
	double swap, wake;

	fresh_start();
	swap = util(false);
	wake = util(true);
	printf("# utilisation of the pair: %.0f swapping, %.0f by wake and wait\n", swap, wake);
	if (wake < 0)
		SKIP("no se.avg in /proc/TID/sched");
	CHECK_SHARE(swap, 700, 1200);
}

/* A number of the root run queue of a CPU, from the scheduler's debug file. */
static long rq_value(int cpu, const char *section, const char *key)
{
	char line[256], want[64], name[64];
	long value = -1, v;
	bool in = false;
	FILE *f = fopen("/sys/kernel/debug/sched/debug", "r");

	if (!f)
		return -1;
	snprintf(want, sizeof(want), section, cpu);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (line[0] && line[0] != ' ')
			in = !strcmp(line, want);
		if (in && sscanf(line, " .%63s : %ld", name, &v) == 2 && !strcmp(name, key))
			value = v;
	}
	fclose(f);
	return value;
}

struct idle {
	int cpu;
	long load, running, load_avg, runnable_avg;
};

static bool is_idle(void *arg)
{
	struct idle *i = arg;

	i->load = rq_value(i->cpu, "cfs_rq[%d]:/", "load");
	i->running = rq_value(i->cpu, "cfs_rq[%d]:/", "nr_running");
	i->load_avg = rq_value(i->cpu, "cfs_rq[%d]:/", "load_avg");
	i->runnable_avg = rq_value(i->cpu, "cfs_rq[%d]:/", "runnable_avg");
	return i->load <= 0 && i->running <= 0 && i->load_avg < 200 && i->runnable_avg < 200;
}

/* After all that, a CPU with nothing to do says so. */
TEST(nothing_left_behind)
{
	struct setup u = { .nice = { 0, 10 } };
	struct idle i = { .cpu = the_cpu() };

	fresh_start();
	if (!i.cpu)
		SKIP("one CPU");
	contest(&u, true);
	/* Nobody updates the averages of an idle CPU: have something small run there. */
	pin(0, i.cpu);
	nap();
	pin(0, 0);
	CHECK_MSG(until(is_idle, &i), "load %ld, nr_running %ld, load_avg %ld, runnable_avg %ld", i.load,
		  i.running, i.load_avg, i.runnable_avg);
}

int main(int argc, char **argv)
{
	return swap_absent() ? 1 : tap_main(argc, argv);
}
