// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Leases of one account in the hands of 1 to 64 spenders, in every order that seeds
 * make: under a virtual clock each spender runs the tenant, runs somebody else, pauses,
 * keeps its lease or gives it back as it likes. Beside it a naive account of what was
 * really used, when, checks the sliding second at each step.
 *
 *	lease [SEEDS]		so many seeds of each scenario
 *	lease -s SCENARIO SEED	one of them again, as a failure prints it
 */
#define SCENARIO_PROGRAM "lease"
#include "scenario.h"
#include "heap.h"
#include "lease.h"

#define MS 1000000ULL
#define US 1000ULL
#define SPENDERS 64
#define POINTS (1 << 20)

/* From `at` on, so many spenders use CPU. */
struct point {
	uint64_t at;
	unsigned running;
};

struct spender {
	struct btn_heap_node event;	/* the end of its run, or of its pause */
	struct btn_lease lease;
	bool runs;
	uint64_t start;			/* the run's */
	uint64_t idle_since;		/* the lease's */
	uint64_t gap;			/* between its checkpoints */
};

static struct {
	struct btn_account a;
	struct btn_log log[BTN_LOG];
	struct btn_heap events;
	struct spender s[SPENDERS];
	unsigned n;
	uint64_t now, begin, end;
	/* The habits of spenders. */
	unsigned runs_of_100, keeps_of_100, stray_of_100;
	uint64_t longest_run, longest_pause, most, least, age;
	/* The books: CPU really used. */
	struct point point[POINTS];
	unsigned first, last, running;
	uint64_t in_window, window_begin;
	uint64_t over;			/* past the rooms of leases that ended since the last take */
	uint64_t quota;			/* in force at the last take */
	uint64_t total, second[64];
	uint64_t worst_idle;
} S;

static void at(struct spender *s, uint64_t when)
{
	static uint64_t seq;

	s->event.key = when;
	s->event.seq = ++seq;
	btn_heap_add(&S.events, &s->event);
}

static void count_seconds(uint64_t from, uint64_t to, unsigned running)
{
	uint64_t end;

	for (; from < to; from = end) {
		end = (from / BTN_SECOND + 1) * BTN_SECOND;
		if (end > to)
			end = to;
		if (from / BTN_SECOND < 64)
			S.second[from / BTN_SECOND] += (end - from) * running;
	}
}

/* Time goes on to `now`: what enters the sliding second, and what leaves it. */
static void advance(uint64_t now)
{
	uint64_t from = now > S.begin + BTN_SECOND ? now - BTN_SECOND : S.begin, to;

	S.in_window += (now - S.now) * S.running;
	S.total += (now - S.now) * S.running;
	count_seconds(S.now, now, S.running);
	while (S.window_begin < from) {
		to = from;
		if (S.first != S.last && S.point[S.first + 1].at < to)
			to = S.point[S.first + 1].at;
		S.in_window -= (to - S.window_begin) * S.point[S.first].running;
		S.window_begin = to;
		if (S.first != S.last && S.point[S.first + 1].at == to)
			S.first++;
	}
	S.now = now;
}

static void turn_running(int by)
{
	S.running += by;
	if (S.point[S.last].at == S.now) {
		S.point[S.last].running = S.running;
		return;
	}
	if (S.last + 1 == POINTS) {
		memmove(S.point, S.point + S.first, (S.last - S.first + 1) * sizeof(S.point[0]));
		S.last -= S.first;
		S.first = 0;
	}
	CHECK(S.last + 1 < POINTS);
	S.point[++S.last] = (struct point){ S.now, S.running };
}

/* CPU that this spender used of its lease by now, a run that is not over included. */
static uint64_t used_of(const struct spender *s)
{
	return s->lease.spent + (s->runs ? S.now - s->start : 0);
}

/* Q2, the sliding second that ends now. */
static void check_window(void)
{
	uint64_t over = S.over;
	unsigned i;

	for (i = 0; i < S.n; i++)
		if (btn_lease_out(&S.s[i].lease) && used_of(&S.s[i]) > S.s[i].lease.room)
			over += used_of(&S.s[i]) - S.s[i].lease.room;
	MUST(S.in_window <= S.quota + over, "used %" PRIu64 " in the last second, quota %" PRIu64 " and %" PRIu64
	     " past leases", S.in_window, S.quota, over);
}

static void give_back(struct spender *s)
{
	uint64_t spent = s->lease.spent, room = s->lease.room;

	check_window();
	btn_lease_give_back(&s->lease, S.now);
	MUST(!btn_lease_out(&s->lease), "given back, and still out");
	if (spent > room)
		S.over += spent - room;
}

/* Quota that lies in leases which nobody runs on. */
static uint64_t idle_quota(void)
{
	uint64_t idle = 0;
	unsigned i;

	for (i = 0; i < S.n; i++)
		if (btn_lease_out(&S.s[i].lease) && !S.s[i].runs)
			idle += btn_lease_left(&S.s[i].lease);
	return idle;
}

static bool take(struct spender *s)
{
	uint64_t idle;

	if (btn_lease_take(&s->lease, &S.a, S.now, S.most, S.least, S.n)) {
		S.quota = S.a.quota;
		S.over = 0;
		return true;
	}
	idle = idle_quota();
	if (idle > S.worst_idle)
		S.worst_idle = idle;
	MUST(idle * BTN_LEASE_IDLE <= S.a.quota || S.a.quota != S.quota,
	     "no quota, and %" PRIu64 " of %" PRIu64 " lie idle in leases", idle, S.a.quota);
	return false;
}

static void begin_run(struct spender *s)
{
	uint64_t length = between(1, S.longest_run), left = btn_lease_left(&s->lease);

	/* A run that is longer than its lease goes on to its next checkpoint. */
	if (length > left)
		length = left + rnd() % s->gap;
	s->runs = true;
	s->start = S.now;
	turn_running(1);
	at(s, S.now + (length ? length : 1));
}

static void end_run(struct spender *s)
{
	s->runs = false;
	turn_running(-1);
	btn_lease_spend(&s->lease, S.now - s->start, s->start);
	s->idle_since = S.now;
}

/* A spender that does not run: what it does next. */
static void decide(struct spender *s)
{
	uint64_t pause = between(1, S.longest_pause);

	if (btn_lease_out(&s->lease) &&
	    (!btn_lease_left(&s->lease) || !s->lease.keeps || S.now - s->idle_since > S.age ||
	     rnd() % 100 >= S.keeps_of_100))
		give_back(s);
	if (rnd() % 100 < S.runs_of_100) {
		if (btn_lease_out(&s->lease) || take(s)) {
			begin_run(s);
			return;
		}
		/* Throttled: until the account says, or somebody gives back. */
		pause = btn_account_when(&S.a, S.now) - S.now;
		if (pause > MS)
			pause = MS;
	}
	at(s, S.now + (pause ? pause : 1));
}

/* CPU that was used without a lease, by a child call. */
static void stray(void)
{
	uint64_t cpu = between(1, 100 * US);

	btn_account_settle(&S.a, S.now, 0, cpu, S.now);
}

static void step(void)
{
	struct spender *s = btn_container(S.events.top, struct spender, event);

	advance(s->event.key);
	btn_heap_del(&S.events, &s->event);
	if (s->runs) {
		check_window();
		end_run(s);
	}
	if (rnd() % 100 < S.stray_of_100)
		stray();
	check_window();
	decide(s);
}

static void begin(unsigned n, uint64_t quota, uint64_t length)
{
	unsigned i;

	memset(&S, 0, sizeof(S));
	S.n = n;
	S.now = S.begin = S.window_begin = rnd() % (5 * BTN_SECOND);
	S.end = S.now + length;
	S.point[0].at = S.now;
	S.quota = quota;
	btn_account_init(&S.a, S.log);
	btn_account_set_quota(&S.a, quota);
	S.runs_of_100 = 100;
	S.keeps_of_100 = 100;
	S.most = quota / 256 < 100 * US ? 100 * US : quota / 256 < 2 * MS ? quota / 256 : 2 * MS;
	S.least = 100 * US < S.most ? 100 * US : S.most;
	S.age = MS;
	S.longest_run = 500 * US;
	S.longest_pause = 500 * US;
	for (i = 0; i < n; i++) {
		S.s[i].gap = 20 * US;
		at(&S.s[i], S.now + 1 + rnd() % MS);
	}
}

static void run_until_end(void)
{
	while (S.events.top && S.events.top->key < S.end)
		step();
}

/* All leases go back: nothing stays reserved, and what was used is what was recorded. */
static void finish(uint64_t strays)
{
	unsigned i;

	for (i = 0; i < S.n; i++) {
		if (S.s[i].runs)
			end_run(&S.s[i]);
		if (btn_lease_out(&S.s[i].lease))
			give_back(&S.s[i]);
	}
	MUST(!S.a.reserved && !S.a.running, "%" PRIu64 " stay reserved in %u leases", S.a.reserved, S.a.running);
	MUST(strays || S.a.total == S.total, "recorded %" PRIu64 ", used %" PRIu64, S.a.total, S.total);
}

static unsigned any_spenders(void)
{
	return rnd() % 3 ? between(1, 8) : between(1, SPENDERS);
}

/* Anything: runs and pauses of all lengths, leases kept for long, quotas that change. */
static void mixed(void)
{
	unsigned n = any_spenders(), i;
	uint64_t quota = between(1, 100) * n * BTN_SECOND / 100, change;

	begin(n, rnd() % 2 ? quota : quota / 50, between(1500, 4000) * MS);
	S.runs_of_100 = between(5, 100);
	S.keeps_of_100 = between(0, 100);
	S.stray_of_100 = rnd() % 4 ? 0 : 1;
	S.longest_run = between(1, rnd() % 2 ? 50 * US : 5 * MS) + n * 10 * US;
	S.longest_pause = between(1, rnd() % 2 ? 50 * US : 20 * MS) + n * 10 * US;
	S.age = rnd() % 2 ? MS : between(0, 3 * BTN_SECOND);
	if (rnd() % 4 == 0) {
		S.most = between(10 * US, 20 * MS);
		S.least = between(10 * US, S.most);
	}
	for (i = 0; i < n; i++)
		S.s[i].gap = between(1, rnd() % 4 ? 50 * US : 3 * MS);
	change = rnd() % 2 ? S.now + between(100, 1000) * MS : BTN_NEVER;
	while (S.events.top && S.events.top->key < S.end) {
		if (S.events.top->key >= change) {
			btn_account_set_quota(&S.a, between(1, 100) * n * BTN_SECOND / 100);
			change += between(100, 1000) * MS;
		}
		step();
	}
	finish(S.stray_of_100);
}

/* Q2: everybody wants more than was bought: at least 99% of it is had, in each second and in the mean. */
static void saturated(void)
{
	unsigned n = any_spenders();
	uint64_t quota = between(1, 60) * n * BTN_SECOND / 100, s, sum = 0;

	begin(n, quota, 6 * BTN_SECOND);
	S.longest_run = between(1, rnd() % 2 ? 20 * US : 5 * MS) + n * 10 * US;
	run_until_end();
	for (s = S.begin / BTN_SECOND + 2; s < S.end / BTN_SECOND; s++) {
		sum += S.second[s];
		MUST(S.second[s] + quota / 100 + n * S.least >= quota, "got %" PRIu64 " of %" PRIu64 " in a second", S.second[s],
		     quota);
	}
	s -= S.begin / BTN_SECOND + 2;
	MUST(sum + s * n * S.least >= s * (quota / 100 * 99), "got %" PRIu64 " of %" PRIu64 " in each of %" PRIu64 " seconds", sum / s, quota, s);
	finish(0);
}

/* A pause, in which leases are kept, and then everything at once: the first second has 99%, too. */
static void awakes(void)
{
	unsigned n = any_spenders();
	uint64_t quota = between(1, 60) * n * BTN_SECOND / 100, before, got, wake;

	begin(n, quota, 6 * BTN_SECOND);
	S.runs_of_100 = 2;
	S.longest_run = 50 * US;
	S.longest_pause = MS;
	wake = S.now + 3 * BTN_SECOND;
	while (S.events.top->key < wake)
		step();
	S.runs_of_100 = 100;
	S.longest_run = 2 * MS;
	before = S.total;
	while (S.events.top->key < wake + BTN_SECOND)
		step();
	got = S.total - before;
	MUST(got + quota / 100 + n * S.least + n * MS >= quota || got + n * S.least >= n * BTN_SECOND / 100 * 95,
	     "got %" PRIu64 " of %" PRIu64 " in the first second", got, quota);
	finish(0);
}

/* The account's tag after leases is the one that slices would have made. */
static void tags(void)
{
	unsigned n = any_spenders();
	uint64_t quota = n * BTN_SECOND, earned, tag;

	begin(n, quota, 300 * MS);
	S.longest_run = between(1, 300 * US) + n * 5 * US;
	/* Virtual time that nothing passes by: every ns is earned one after the other. */
	S.a.tag = tag = 1000 * BTN_SECOND;
	run_until_end();
	finish(0);
	earned = btn_account_earn(&S.a, S.total);
	MUST(S.a.tag <= tag + earned && S.a.tag + 2 * US + earned / 1000 >= tag + earned,
	     "the tag moved by %" PRIu64 ", what was used is earned in %" PRIu64, S.a.tag - tag, earned);
}

/* A lease and several runs: what is spent, what is left, what comes back. */
TEST(one_lease)
{
	struct btn_lease l = { 0 };
	uint64_t tag;

	begin(1, 800 * MS, BTN_SECOND);
	CHECK(!btn_lease_out(&l));
	CHECK(btn_lease_take(&l, &S.a, MS, 2 * MS, 2 * MS, 4));
	CHECK(btn_lease_out(&l) && l.keeps);
	CHECK_EQ(btn_lease_left(&l), 2 * MS);
	CHECK_EQ(S.a.reserved, 2 * MS);
	btn_lease_spend(&l, MS / 2, MS);
	btn_lease_spend(&l, MS, 3 * MS);
	CHECK_EQ(btn_lease_left(&l), MS / 2);
	/* The account knows nothing of it yet. */
	CHECK_EQ(S.a.used, 0);
	CHECK_EQ(S.a.reserved, 2 * MS);
	/* 0.3 ms were not used after all, and 2 ms more than this lease can know of. */
	CHECK_EQ(btn_lease_refund(&l, 300 * US), 0);
	CHECK_EQ(btn_lease_left(&l), 800 * US);
	CHECK_EQ(btn_lease_refund(&l, 3200 * US), 2 * MS);
	CHECK_EQ(l.spent, 0);
	btn_lease_spend(&l, 3 * MS, 4 * MS);
	CHECK_EQ(btn_lease_left(&l), 0);
	/* Virtual time did not wait in the pauses, and moved on by what was spent. */
	tag = l.tag;
	CHECK(tag >= 4 * MS + 3 * MS * 10 / 8 - 10 && tag <= 4 * MS + 3 * MS * 10 / 8 + 10);
	btn_lease_give_back(&l, 8 * MS);
	CHECK_EQ(S.a.tag, tag);
	CHECK_EQ(S.a.reserved, 0);
	CHECK_EQ(S.a.used, 3 * MS);
}

/* Where quota is short a lease is for one run, and where there is none it is refused. */
TEST(short_of_quota)
{
	struct btn_lease l = { 0 }, other = { 0 };

	begin(1, 100 * MS, BTN_SECOND);
	CHECK(btn_lease_take(&l, &S.a, MS, 2 * MS, 2 * MS, 6));
	CHECK(l.keeps);
	CHECK(btn_lease_take(&other, &S.a, MS, 2 * MS, 2 * MS, 7));
	CHECK(!other.keeps);
	btn_lease_give_back(&other, MS);
	CHECK(btn_lease_take(&other, &S.a, MS, 97 * MS, 97 * MS, 1));
	CHECK(!other.keeps);
	btn_lease_spend(&other, 97 * MS, MS);
	btn_lease_give_back(&other, 98 * MS);
	CHECK(btn_lease_take(&other, &S.a, 98 * MS, 2 * MS, 2 * MS, 1));
	CHECK_EQ(other.room, MS);
	btn_lease_give_back(&l, 98 * MS);
	CHECK(btn_lease_take(&l, &S.a, 98 * MS, 9 * MS, 9 * MS, 1));
	CHECK_EQ(l.room, 2 * MS);
	btn_lease_give_back(&l, 98 * MS);
	btn_lease_spend(&other, 3 * MS, 98 * MS);
	btn_lease_give_back(&other, 102 * MS);
	CHECK(!btn_lease_take(&l, &S.a, 102 * MS, MS, MS, 1));
	CHECK(!btn_lease_out(&l));
}

static const struct scenario scenarios[] = { { "mixed", mixed, 1 }, { "saturated", saturated, 10 }, { "awakes", awakes, 10 }, { "tags", tags, 10 } };

#ifndef LEASE_SEEDS
#define LEASE_SEEDS 150
#endif
static uint64_t seeds = LEASE_SEEDS;

TEST(mixed) { run_seeds(&scenarios[0], seeds); }
TEST(saturated) { run_seeds(&scenarios[1], seeds); }
TEST(awakes) { run_seeds(&scenarios[2], seeds); }
TEST(tags) { run_seeds(&scenarios[3], seeds); }

int main(int argc, char **argv)
{
	return scenario_main(scenarios, sizeof(scenarios) / sizeof(*scenarios), &seeds, argc, argv);
}
