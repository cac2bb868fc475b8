// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * handover.c - who runs after a swap: the woken thread, next, on this CPU, with
 * nobody in between; and where that cannot be, an ordinary wake that is still
 * correct. The kernel's counters say which it was.
 */
#include "pair.h"

/* Rounds of a pair: an emulated CPU under lockdep and KASAN is slow. */
static uint64_t rounds(uint64_t n)
{
	return is_debug_kernel() ? n / 10 : n;
}

static struct pair *pinned(uint64_t n)
{
	struct pair *p = pair_new(rounds(n));

	p->side[0].cpu = p->side[1].cpu = n_cpus() - 1;
	return p;
}

/* The counters agree with what the swaps returned. */
static void counted(struct pair *p, const char *title)
{
	counters_show(title);
	CHECK_CMP(counter("direct") + counter("fallback"), >=, pair_swaps(p));
}

/* At least @percent of the hand-overs were direct. */
static void direct(struct pair *p, const char *title, int percent)
{
	counted(p, title);
	CHECK_CMP(counter("direct") * 100, >=, pair_swaps(p) * percent);
}

TEST(pinned_pair)
{
	struct pair *p;

	fresh_start();
	p = pinned(4000);
	counters_reset();
	pair_run(p);
	CHECK_EQ(p->side[0].moved + p->side[1].moved, 0);
	CHECK_CMP(pair_swaps(p), >=, 2 * p->limit - 8);
	direct(p, "pinned", 99);
}

TEST(unpinned_pair)
{
	struct pair *p;

	fresh_start();
	p = pair_new(rounds(4000));
	counters_reset();
	pair_run(p);
	direct(p, "unpinned", 95);
	/* Next on this CPU, though the other one is idle. */
	CHECK_CMP((p->side[0].moved + p->side[1].moved) * 20, <=, pair_turns(p));
}

TEST(two_processes)
{
	struct pair *p;

	fresh_start();
	p = pair_new(rounds(4000));
	p->side[1].process = true;
	counters_reset();
	pair_run(p);
	direct(p, "two processes", 95);
}

/* A tick of the kernel, ns: how exact its coarse clock is. */
static int64_t tick(void)
{
	struct timespec ts;

	CHECK_ANY(!clock_getres(CLOCK_MONOTONIC_COARSE, &ts));
	return ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/*
 * A third thread wants the CPU all the time. It gets it when the pair's slice
 * is over, but not as a rule between the wake and the wakee. A slice ends at a
 * tick, and where the machine is slow there is one in each turn: the pair's own
 * CPU time has so many of them.
 */
TEST(nobody_in_between)
{
	struct spinner *s;
	struct pair *p;
	int64_t ticks;

	fresh_start();
	p = pinned(4000);
	s = spinner_start(p->side[0].cpu, false, NULL);
	p->spins = &s->spins;
	counters_reset();
	pair_run(p);
	spinner_stop(s);
	ticks = (p->side[0].used + p->side[1].used) / tick();
	printf("# disturbed %llu of %llu, in %lld ticks\n",
	       (unsigned long long)(p->side[0].disturbed + p->side[1].disturbed),
	       (unsigned long long)pair_turns(p), (long long)ticks);
	CHECK_CMP((p->side[0].disturbed + p->side[1].disturbed) * 100, <=,
		  pair_turns(p) * 30 + ticks * 100);
	direct(p, "with a spinner", 95);
}

TEST(affinity_forbids)
{
	struct pair *p;

	fresh_start();
	if (n_cpus() < 2)
		SKIP("one CPU");
	p = pair_new(rounds(2000));
	p->side[0].cpu = 0;
	p->side[1].cpu = 1;
	counters_reset();
	pair_run(p);
	CHECK_EQ(p->side[0].first_cpu_turns[0], p->side[0].turns);
	CHECK_EQ(p->side[1].first_cpu_turns[1], p->side[1].turns);
	counted(p, "affinity");
	CHECK_EQ(counter("direct"), 0);
	CHECK_CMP(counter("fallback_affinity") * 100, >=, pair_swaps(p) * 90);
}

/* The wakee's affinity is taken away while it sleeps, and given back. */
TEST(affinity_changes_in_its_sleep)
{
	uint32_t *w2 = word(0);
	struct call *c, *s;
	int i, cpu;

	fresh_start();
	if (n_cpus() < 2)
		SKIP("one CPU");
	for (i = 0; i < 20; i++) {
		cpu = i & 1;
		c = call_new(FUTEX_WAIT_PRIVATE, w2, 0, NULL);
		c->cpu = !cpu;
		call_thread(c);
		call_until_asleep(c);
		pin(c->tid, cpu);
		s = call_new(SWAP_PRIVATE, word(0), 0, w2);
		s->cpu = i & 2 ? cpu : !cpu;
		call_thread(s);
		CHECK_EQ(call_result(c), 0);
		CHECK_EQ(c->ran_on, cpu);
		call_until_asleep(s);
		calls_end(&s, 1);
	}
}

/* The wakee ran on the other CPU last, and may run anywhere: it comes here. */
TEST(wakee_from_another_cpu)
{
	uint32_t *w2 = word(0);
	struct call *c, *s;
	int i, here = 0;

	fresh_start();
	if (n_cpus() < 2)
		SKIP("one CPU");
	counters_reset();
	for (i = 0; i < 20; i++) {
		c = call_new(FUTEX_WAIT_PRIVATE, w2, 0, NULL);
		c->cpu = 1;
		call_thread(c);
		call_until_asleep(c);
		pin(c->tid, -1);
		s = call_new(SWAP_PRIVATE, word(0), 0, w2);
		s->cpu = 0;
		call_thread(s);
		CHECK_EQ(call_result(c), 0);
		here += c->ran_on == 0;
		call_until_asleep(s);
		calls_end(&s, 1);
	}
	counters_show("from another CPU");
	CHECK_CMP(here, >=, 15);
	CHECK_CMP(counter("wakee_migrated"), >=, 10);
}

static const struct {
	const char *name;
	int policy;
	bool fair;
} classes[] = {
	{ "OTHER", SCHED_OTHER, true }, { "BATCH", SCHED_BATCH, true },
	{ "IDLE", SCHED_IDLE, true },	{ "FIFO", SCHED_FIFO, false },
	{ "RR", SCHED_RR, false },	{ "DEADLINE", SCHED_DEADLINE, false },
};

#define N_CLASSES (int)(sizeof(classes) / sizeof(*classes))

/* Every pairing: it works, and only the fair class hands over directly. */
static void pairings(bool pin_them)
{
	struct pair *p;
	int i, j;

	fresh_start();
	for (i = 0; i < N_CLASSES; i++) {
		for (j = 0; j < N_CLASSES; j++) {
			if (pin_them && (classes[i].policy == SCHED_DEADLINE ||
					 classes[j].policy == SCHED_DEADLINE))
				continue;
			p = pin_them ? pinned(200) : pair_new(rounds(200));
			p->side[0].policy = classes[i].policy;
			p->side[1].policy = classes[j].policy;
			counters_reset();
			pair_run(p);
			CHECK_MSG(pair_turns(p) >= 2 * p->limit - 1, "%s to %s ended early",
				  classes[i].name, classes[j].name);
			if (classes[i].fair && classes[j].fair)
				continue;
			CHECK_MSG(counter("direct") == 0, "%s and %s were exchanged",
				  classes[i].name, classes[j].name);
			CHECK_MSG(counter("fallback_class") * 100 >= (long)pair_swaps(p) * 50,
				  "%s and %s: fallback_class is %ld of %lld", classes[i].name,
				  classes[j].name, counter("fallback_class"),
				  (long long)pair_swaps(p));
		}
	}
}

TEST(classes_pinned)
{
	pairings(true);
}

TEST(classes_unpinned)
{
	pairings(false);
}

TEST(other_nice)
{
	struct pair *p;

	fresh_start();
	p = pinned(2000);
	p->side[0].nice = -10;
	p->side[1].nice = 10;
	counters_reset();
	pair_run(p);
	direct(p, "nice -10 and 10", 90);
}

static void in_cgroups(const char *a, const char *b, bool pin_them, const char *title)
{
	struct pair *p = pin_them ? pinned(2000) : pair_new(rounds(2000));

	p->side[0].cgroup = a;
	p->side[1].cgroup = b;
	p->side[0].process = a != NULL;
	p->side[1].process = b != NULL;
	counters_reset();
	pair_run(p);
	direct(p, title, 90);
}

TEST(other_cgroup)
{
	const char *a, *b, *deep, *mid;
	int pin_them;

	fresh_start();
	a = cgroup_new("a");
	b = cgroup_new("b");
	mid = cgroup_new("mid");
	CHECK(cgroup_write(mid, "cgroup.subtree_control", "+cpu"));
	deep = cgroup_sub(mid, "deep");
	CHECK(cgroup_write(a, "cpu.weight", "10"));
	for (pin_them = 0; pin_them < 2; pin_them++) {
		in_cgroups(a, NULL, pin_them, "cgroup and root");
		in_cgroups(a, b, pin_them, "two cgroups");
		in_cgroups(a, deep, pin_them, "two depths");
	}
	cgroup_delete(a);
	cgroup_delete(b);
	cgroup_delete(deep);
	cgroup_delete(mid);
}

/*
 * The partner may use 20 ms in 50. Each turn of it costs 4 ms: so 60 turns take
 * at least ten periods, and being handed the CPU must not be a way around that.
 * On the debug kernel, whose tick alone can cost more than 20 ms in 50, it may use
 * 200 ms in 500 and needs 600, so it cannot get by wherever its periods begin.
 */
TEST(throttled_partner)
{
	long quota = is_debug_kernel() ? 200000 : 20000, period = quota * 5 / 2, turn = is_debug_kernel() ? 10000 : 4000;
	const char *cg;
	int64_t start, elapsed;
	struct pair *p;
	char max[32];
	long used;

	fresh_start();
	cg = cgroup_new("throttled");
	snprintf(max, sizeof(max), "%ld %ld", quota, period);
	CHECK(cgroup_write(cg, "cpu.max", max));
	p = pair_new(60);
	p->side[0].cpu = p->side[1].cpu = 0;
	p->side[1].process = true;
	p->side[1].cgroup = cg;
	p->side[1].burn = turn * 1000;
	pair_start(p);
	counters_reset();
	start = now_ns(CLOCK_MONOTONIC);
	used = cgroup_value(cg, "cpu.stat", "usage_usec");
	pair_go(p);
	pair_join(p);
	elapsed = now_ns(CLOCK_MONOTONIC) - start;
	used = cgroup_value(cg, "cpu.stat", "usage_usec") - used;
	counters_show("throttled");
	printf("# used %ld us in %lld us, throttled %ld times\n", used, (long long)elapsed / 1000,
	       cgroup_value(cg, "cpu.stat", "nr_throttled"));
	CHECK_CMP(cgroup_value(cg, "cpu.stat", "nr_throttled"), >, 0);
	CHECK_CMP(used, >=, 60 * turn * 11 / 12);
	/*
	 * Two periods more than passed, for their ends and for a tick's overrun,
	 * and a tenth, for an emulated CPU's stall is charged to who ran.
	 */
	CHECK_CMP(used, <=, (elapsed / (period * 1000) + 2) * quota * 11 / 10 + 20000);
	cgroup_delete(cg);
}

/*
 * The two may use a quota together, and mostly it runs out within a turn, which is
 * shorter than a tick: then the hand-over is where that is found out, and whoever gets
 * the CPU has to stop. A side that begins a turn when more than the quota was used since
 * the two last stood still goes on until they do, or for as long as four quotas.
 */
struct account {
	int64_t quota, used, still, seen;	/* ns; used up to now, when they last stood still; the last look's time */
	atomic_ulong overdrawn;
};
static struct account *account;

static void overdraw(struct side *s)
{
	int64_t began = now_ns(CLOCK_THREAD_CPUTIME_ID), before = account->used, turn = 0, mine = 0, now;
	bool stood = false;

	(void)s;
	while (!turn || (mine < turn && !stood)) {
		mine = now_ns(CLOCK_THREAD_CPUTIME_ID) - began;
		now = now_ns(CLOCK_MONOTONIC);
		account->used = before + mine;
		stood = now - account->seen > account->quota;
		if (stood)
			account->still = account->used;
		account->seen = now;
		if (!turn) {
			bool over = account->used - account->still > account->quota;

			account->overdrawn += over;
			turn = over ? account->quota * 4 : account->quota / 16;
		}
	}
}

TEST(limited_pair)
{
	long quota = is_debug_kernel() ? 50000 : 5000, period = quota * 10, periods = is_debug_kernel() ? 10 : 30;
	int64_t start, elapsed;
	const char *cg;
	struct pair *p;
	char max[32];
	long used;
	int i;

	fresh_start();
	cg = cgroup_new("limited");
	p = pair_new(0);
	account = arena(sizeof(*account));
	account->quota = quota * 1000;
	for (i = 0; i < 2; i++) {
		p->side[i].cpu = 0;
		p->side[i].process = true;
		p->side[i].cgroup = cg;
		p->side[i].turn = overdraw;
	}
	pair_start(p);
	snprintf(max, sizeof(max), "%ld %ld", quota, period);
	CHECK(cgroup_write(cg, "cpu.max", max));
	counters_reset();
	start = now_ns(CLOCK_MONOTONIC);
	used = cgroup_value(cg, "cpu.stat", "usage_usec");
	pair_go(p);
	do {
		usleep(period);
		elapsed = now_ns(CLOCK_MONOTONIC) - start;
	} while (elapsed < periods * period * 1000);
	pair_stop(p);
	pair_join(p);
	elapsed = now_ns(CLOCK_MONOTONIC) - start;
	used = cgroup_value(cg, "cpu.stat", "usage_usec") - used;
	counters_show("limited");
	printf("# used %ld us in %lld us, throttled %ld times, overdrew %lu times\n", used, (long long)elapsed / 1000,
	       cgroup_value(cg, "cpu.stat", "nr_throttled"), account->overdrawn);
	CHECK_CMP(cgroup_value(cg, "cpu.stat", "nr_throttled"), >, periods / 2);
	/* Within the quota, and in each period a tick or two and what an emulated CPU's stall is charged; not a long turn. */
	CHECK_CMP(used, <=, (elapsed / (period * 1000) + 2) * quota * 8 / 5);
	cgroup_delete(cg);
}

/*
 * EEVDF leaves a sleeper that ran more than its share on the run queue, in
 * competition with others, until its lag is paid off. Pinned to one CPU are a
 * spinner, a wakee that burns and goes to sleep, and a swapper that wakes it at
 * once. A wakee of nice 19 owes a lot for a moment, so it is still queued.
 */
static atomic_int wakee_state;	/* 1: burnt, going to sleep */

static void burn_first(struct call *c)
{
	static int n;	/* not in step with the tick */
	int64_t until;

	CHECK_ANY(!set_policy(0, SCHED_OTHER, 19, 0));
	until = now_ns(CLOCK_THREAD_CPUTIME_ID) + 600000 + n++ * 170000 % 1000000;
	while (now_ns(CLOCK_THREAD_CPUTIME_ID) < until)
		;
	wakee_state = 1;
}

static void burn_anywhere(struct call *c)
{
	pin(0, -1);
	burn_first(c);
}

static void when_it_sleeps(struct call *c)
{
	while (wakee_state != 1 || state_of(wakee_state ? *(pid_t *)c->timeout : 0) != 'S')
		;
	c->timeout = NULL;
}

TEST(delayed_dequeue)
{
	int i, cpu = n_cpus() - 1, here = 0;
	struct spinner *s;

	fresh_start();
	s = spinner_start(cpu, false, NULL);
	counters_reset();
	for (i = 0; i < 60 && (i < 10 || !counter("wakee_delayed")); i++) {
		uint32_t *w2 = word(0);
		struct call *c = call_new(FUTEX_WAIT_PRIVATE, w2, 0, NULL);
		struct call *swap = call_new(SWAP_PRIVATE, word(0), 0, w2);

		wakee_state = 0;
		c->cpu = swap->cpu = cpu;
		c->before = burn_first;
		swap->before = when_it_sleeps;
		swap->timeout = &c->tid;
		call_thread(swap);
		call_thread(c);
		CHECK_EQ(call_result(c), 0);
		here += c->ran_on == cpu;
		call_until_asleep(swap);
		calls_end(&swap, 1);
		CHECK_EQ(swap->ret, 1);
	}
	spinner_stop(s);
	counters_show("delayed dequeue");
	CHECK_EQ(here, i);
	CHECK_CMP(counter("wakee_delayed"), >, 0);
}

/*
 * The same on the other CPU: a wake-up of a queued task stays where it is
 * queued, whatever hint it has; a hand-over brings it here.
 */
TEST(delayed_dequeue_on_another_cpu)
{
	int i, here = 0, tries = 30;
	struct spinner *s[2];

	fresh_start();
	if (n_cpus() < 2)
		SKIP("one CPU");
	/* A spinner on this CPU as well, or the CPU would pull the wakee here when it idles. */
	s[0] = spinner_start(0, false, NULL);
	s[1] = spinner_start(1, false, NULL);
	counters_reset();
	for (i = 0; i < tries; i++) {
		uint32_t *w2 = word(0);
		struct call *c = call_new(FUTEX_WAIT_PRIVATE, w2, 0, NULL);
		struct call *swap = call_new(SWAP_PRIVATE, word(0), 0, w2);

		wakee_state = 0;
		c->cpu = 1;
		swap->cpu = 0;
		c->before = burn_anywhere;
		swap->before = when_it_sleeps;
		swap->timeout = &c->tid;
		call_thread(swap);
		call_thread(c);
		CHECK_EQ(call_result(c), 0);
		here += c->ran_on == 0;
		call_until_asleep(swap);
		calls_end(&swap, 1);
	}
	spinner_stop(s[0]);
	spinner_stop(s[1]);
	printf("# ran here %d of %d times\n", here, tries);
	/*
	 * The swapper may have seen the wakee asleep before it had left its CPU: then
	 * this is an ordinary hand-over. The slower the guest, the more of those.
	 */
	CHECK_CMP(here * 2, >, tries);
	counters_show("delayed dequeue on another CPU");
}

int main(int argc, char **argv)
{
	return swap_absent() ? 1 : tap_main(argc, argv);
}
