// SPDX-License-Identifier: GPL-2.0-or-later
/* An account by itself; what accounts do together is for the simulation. */
#include "tap.h"
#include "heap.h"
#include "ledger.h"
#include "cputime.h"

#define MS 1000000ULL

static struct btn_account a;
static struct btn_log log_places[BTN_LOG];

static void fresh(uint64_t quota)
{
	btn_account_init(&a, log_places);
	btn_account_set_quota(&a, quota);
}

TEST(grants_what_was_bought)
{
	fresh(100 * MS);
	CHECK_EQ(btn_account_left(&a, 0), 100 * MS);
	CHECK_EQ(btn_account_reserve(&a, 0, 30 * MS), 30 * MS);
	CHECK_EQ(btn_account_left(&a, 0), 70 * MS);
	/* Less was used than reserved: the rest comes back. */
	btn_account_settle(&a, 20 * MS, 30 * MS, 20 * MS, 0);
	CHECK_EQ(btn_account_left(&a, 20 * MS), 80 * MS);
	CHECK_EQ(btn_account_reserve(&a, 20 * MS, 500 * MS), 80 * MS);
	CHECK_EQ(btn_account_reserve(&a, 20 * MS, 500 * MS), 0);
}

/* No quota twice across the boundary of a second, and none lost after it. */
TEST(slides)
{
	uint64_t when;

	fresh(100 * MS);
	CHECK_EQ(btn_account_reserve(&a, 900 * MS, 100 * MS), 100 * MS);
	btn_account_settle(&a, 1000 * MS, 100 * MS, 100 * MS, 0);
	CHECK_EQ(btn_account_left(&a, 1001 * MS), 0);
	CHECK_EQ(btn_account_left(&a, 1899 * MS), 0);
	when = btn_account_when(&a, 1100 * MS);
	CHECK(when >= 1900 * MS && when <= 1902 * MS);
	CHECK(btn_account_left(&a, when) >= a.min);
	/* Half of the burst is a second ago, give or take an entry. */
	CHECK(btn_account_left(&a, 1950 * MS) <= 50 * MS);
	CHECK(btn_account_left(&a, 1950 * MS) >= 49 * MS);
	CHECK_EQ(btn_account_left(&a, 2001 * MS), 100 * MS);
}

/* The parts of an entry leave a second after they were used, and not all with the last of them. */
TEST(bit_by_bit)
{
	uint64_t full, left;

	fresh(384 * MS);
	full = a.full;
	CHECK_EQ(btn_account_reserve(&a, MS, full), full);
	btn_account_settle(&a, MS + full, full, full, 0);
	CHECK_EQ(a.n, 1);
	CHECK_EQ(btn_account_left(&a, 1001 * MS), 384 * MS - full);
	left = btn_account_left(&a, 1001 * MS + full / 4) - (384 * MS - full);
	CHECK(left >= full / 4 - 1100 && left <= full / 4);
	/* Two at once: all of it may be of the second half of the time. */
	fresh(384 * MS);
	CHECK_EQ(btn_account_reserve(&a, MS, full / 2), full / 2);
	CHECK_EQ(btn_account_reserve(&a, MS, full / 2), full / 2);
	btn_account_settle(&a, MS + full, full / 2, full / 2, 0);
	btn_account_settle(&a, MS + full, full / 2, full / 2, 0);
	CHECK_EQ(btn_account_left(&a, 1001 * MS + full / 2), 384 * MS - full);
	left = btn_account_left(&a, 1001 * MS + full * 3 / 4) - (384 * MS - full);
	CHECK(left >= full / 2 - 2200 && left <= full / 2);
	/* Nobody asked before: at once. */
	fresh(384 * MS);
	btn_account_settle(&a, MS + full, 0, full, 0);
	CHECK_EQ(btn_account_left(&a, 1001 * MS + full - 100), 384 * MS - full);
	CHECK_EQ(btn_account_left(&a, 1001 * MS + full + 1100), 384 * MS);
}

/* A slice is also of what leaves while it is used, and not of what leaves too late for that. */
TEST(grants_ahead)
{
	unsigned i;

	fresh(100 * MS);
	CHECK_EQ(btn_account_reserve(&a, 0, 100 * MS), 100 * MS);
	btn_account_settle(&a, 100 * MS, 100 * MS, 100 * MS, 0);
	CHECK(btn_account_left(&a, 1010 * MS) <= 10 * MS);
	CHECK_EQ(btn_account_reserve(&a, 1010 * MS, 50 * MS), 50 * MS);
	/* Nobody else may have it. */
	CHECK_EQ(btn_account_left(&a, 1050 * MS), 0);
	btn_account_settle(&a, 1060 * MS, 50 * MS, 50 * MS, 0);
	CHECK(btn_account_left(&a, 1060 * MS) <= 10 * MS);
	CHECK(btn_account_left(&a, 1060 * MS) >= 9 * MS);
	/* Used in pieces of 1 ms with 9 ms in between: there is nothing ahead. */
	fresh(100 * MS);
	for (i = 0; i < 100; i++) {
		CHECK_EQ(btn_account_reserve(&a, i * 10 * MS, MS), MS);
		btn_account_settle(&a, i * 10 * MS + MS, MS, MS, 0);
	}
	CHECK(btn_account_reserve(&a, 1000 * MS + MS / 2, 50 * MS) <= MS);
}

/* Two slots used CPU at the same time: both is a second ago at the same time. */
TEST(parallel_runs)
{
	fresh(100 * MS);
	btn_account_settle(&a, 50 * MS, 0, 40 * MS, 0);
	btn_account_settle(&a, 55 * MS, 0, 45 * MS, 0);
	CHECK_EQ(btn_account_left(&a, 60 * MS), 15 * MS);
	CHECK(btn_account_left(&a, 1030 * MS) >= 15 * MS + 39 * MS - 2 * MS);
	CHECK(btn_account_left(&a, 1030 * MS) <= 15 * MS + 40 * MS);
	CHECK_EQ(btn_account_left(&a, 1056 * MS), 100 * MS);
}

/* An overrun is used up by what comes after it. */
TEST(overrun)
{
	fresh(10 * MS);
	CHECK_EQ(btn_account_reserve(&a, 0, 10 * MS), 10 * MS);
	btn_account_settle(&a, 350 * MS, 10 * MS, 350 * MS, 0);
	CHECK_EQ(btn_account_left(&a, 1300 * MS), 0);
	CHECK(btn_account_when(&a, 360 * MS) >= 1340 * MS);
	CHECK(btn_account_when(&a, 360 * MS) <= 1351 * MS);
	CHECK_EQ(btn_account_left(&a, 1351 * MS), 10 * MS);
}

/* A bill of a day, or of nonsense, costs a second's quota, and a place in the order that a minute makes good. */
TEST(huge_bill)
{
	static const uint64_t bills[] = { 11 * MS, 20 * BTN_SECOND, 24 * 3600 * BTN_SECOND, UINT64_MAX / 2, UINT64_MAX };
	const uint64_t now = 1000000 * BTN_SECOND;
	unsigned i;

	for (i = 0; i < sizeof(bills) / sizeof(*bills); i++) {
		fresh(10 * MS);
		btn_account_settle(&a, now, 0, bills[i], now);
		CHECK(a.tag > now && a.tag <= now + 64 * BTN_SECOND);
		CHECK_EQ(a.total, bills[i]);
		CHECK_EQ(btn_account_left(&a, now), 0);
		CHECK(btn_account_when(&a, now) <= now + BTN_SECOND + MS);
		/* CPU used meanwhile does not keep the debt. */
		btn_account_settle(&a, now + 500 * MS, 0, 2 * MS, now);
		CHECK_EQ(btn_account_left(&a, now + 989 * MS), 0);
		CHECK_EQ(btn_account_left(&a, now + 1001 * MS), 8 * MS);
		CHECK(a.tag <= now + 64 * BTN_SECOND);
		CHECK_EQ(btn_account_left(&a, now + 1600 * MS), 10 * MS);
	}
}

/* A run that never came by a checkpoint, likewise; and two bills do not make the total begin anew. */
TEST(huge_run)
{
	const uint64_t now = 1000 * BTN_SECOND;

	fresh(10 * MS);
	CHECK_EQ(btn_account_reserve(&a, now, 10 * MS), 10 * MS);
	btn_account_settle(&a, now + 20 * BTN_SECOND, 10 * MS, 20 * BTN_SECOND, now);
	CHECK_EQ(a.used, BTN_SECOND);
	/* The charge left the log, and a second's quota of it is to be earned first. */
	CHECK_EQ(btn_account_left(&a, now + 20 * BTN_SECOND + 999 * MS), 0);
	CHECK_EQ(btn_account_when(&a, now + 20 * BTN_SECOND + 999 * MS), now + 21 * BTN_SECOND);
	CHECK_EQ(btn_account_left(&a, now + 21 * BTN_SECOND + 1 * MS), 10 * MS);
	btn_account_settle(&a, now + 30 * BTN_SECOND, 0, UINT64_MAX - 5, now);
	CHECK_EQ(a.total, UINT64_MAX);
}

/* A task that runs past the end of each slice, three times as long as its tenant's whole second, gets no more on average. */
TEST(overruns_are_paid_back)
{
	const uint64_t end = 100 * BTN_SECOND;
	uint64_t t = 0, used = 0;

	fresh(10 * MS);
	while (t < end) {
		uint64_t g = btn_account_reserve(&a, t, 2 * MS), over = 7 * MS, when;

		if (g) {
			btn_account_settle(&a, t + g + over, g, g + over, 0);
			used += g + over;
			t += g + over;
			continue;
		}
		when = btn_account_when(&a, t);
		CHECK(when > t && when <= t + 2 * BTN_SECOND);
		t = when;
	}
	CHECK(used <= 10 * MS * 101 * 1005 / 1000 + 9 * MS);
	CHECK(used >= 10 * MS * 99);
	/* Without a slot: the same. What a child call used: no debt. */
	fresh(10 * MS);
	for (t = BTN_SECOND, used = 0; t < BTN_SECOND + end; t = btn_account_when(&a, t)) {
		btn_account_settle(&a, t, 0, 9 * MS, 0);
		btn_account_owe(&a, t, 9 * MS);
		used += 9 * MS;
	}
	CHECK(used <= 10 * MS * 101 * 1005 / 1000 + 9 * MS);
	fresh(10 * MS);
	for (t = BTN_SECOND, used = 0; t < BTN_SECOND + end; t = btn_account_when(&a, t)) {
		btn_account_settle(&a, t, 0, 15 * MS, 0);
		used += 15 * MS;
	}
	CHECK(used >= 10 * MS * 140);
}

/* The most that was used in a second: the ends of stretches in which CPU was used, each of cpu ns. */
static uint64_t worst_second(const uint64_t *end, const uint64_t *cpu, unsigned n)
{
	uint64_t worst = 0, sum = 0;
	unsigned i, first = 0;

	for (i = 0; i < n; i++) {
		sum += cpu[i];
		/* A stretch that began in the second counts for what of it is in there. */
		while (end[first] + BTN_SECOND <= end[i])
			sum -= cpu[first++];
		if (end[i] > 2 * BTN_SECOND && sum > worst)
			worst = sum;
	}
	return worst;
}

/* 30 s of a task that is stopped by force and overruns each slice by 80 to 120 us. Returns the most in a second, of 6 ms. */
static uint64_t stopped_by_force(bool learns, uint64_t *used)
{
	static uint64_t end[1 << 14], cpu[1 << 14];
	uint64_t t = 0, g, over;
	unsigned n = 0, seed = 1;

	fresh(6 * MS);
	for (*used = 0; t < 30 * BTN_SECOND && n < 1 << 14; *used += cpu[n++]) {
		while (!(g = btn_account_reserve(&a, t, 40000 + a.margin)))
			t = btn_account_when(&a, t);
		seed = seed * 1103515245 + 12345;
		over = 80000 + seed / 65536 % 40000;
		cpu[n] = g - a.margin + over;
		end[n] = t += cpu[n];
		btn_account_settle(&a, t, g, cpu[n], 0);
		if (learns)
			btn_account_overran(&a, over);
	}
	CHECK(n < 1 << 14);
	return worst_second(end, cpu, n);
}

/* An account learns by how much its runs overrun, and its seconds are not over by that. It forgets where the overruns end. */
TEST(overruns_are_expected)
{
	uint64_t used, g;
	unsigned i;

	CHECK(stopped_by_force(false, &used) > 6 * MS + 80000);
	CHECK(stopped_by_force(true, &used) < 6 * MS + 60000);
	CHECK(used > 29 * 6 * MS * 95 / 100);
	CHECK(a.margin > 85000 && a.margin < 115000);
	/* A single interrupt says nothing of the next run. */
	g = a.margin;
	btn_account_overran(&a, 5 * MS);
	CHECK(a.margin <= g + 4000);
	for (i = 0; i < 400; i++)
		btn_account_overran(&a, 0);
	CHECK_EQ(a.margin, 0);
	CHECK_EQ(a.min, 6000);
	/* Never more than the tenant can pay for. */
	for (i = 0; i < 4000; i++)
		btn_account_overran(&a, 50 * MS);
	CHECK_EQ(a.margin, 6 * MS / 8);
	btn_account_set_quota(&a, MS);
	CHECK_EQ(a.margin, MS / 8);
	CHECK(a.min < a.quota);
}

/* A debt ends where the CPU was not used after all, or where the quota is another one. */
TEST(debts_end)
{
	const uint64_t now = 100 * BTN_SECOND;

	fresh(10 * MS);
	CHECK_EQ(btn_account_reserve(&a, now, MS), MS);
	btn_account_settle(&a, now + 20 * MS, MS, 20 * MS, 0);
	CHECK(btn_account_owes_until(&a) > now + 990 * MS);
	btn_account_refund(&a, now + 21 * MS, now + 21 * MS, 15 * MS);
	CHECK(btn_account_owes_until(&a) < now);
	CHECK_EQ(btn_account_left(&a, now + 21 * MS), 5 * MS);
	CHECK_EQ(btn_account_reserve(&a, now + 30 * MS, MS), MS);
	btn_account_settle(&a, now + 60 * MS, MS, 30 * MS, 0);
	CHECK(btn_account_owes_until(&a) > now + 990 * MS);
	btn_account_set_quota(&a, 10 * MS);
	CHECK(btn_account_owes_until(&a) > now + 990 * MS);
	btn_account_set_quota(&a, 50 * MS);
	CHECK_EQ(btn_account_left(&a, now + 60 * MS), 15 * MS);
}

/* The smallest quota there is, one ppm of one slot: what is too little for the log leaves it, too. */
TEST(smallest_quota)
{
	fresh(1000);
	CHECK_EQ(btn_account_reserve(&a, MS, 1000), 1000);
	btn_account_settle(&a, MS + 30, 1000, 30, 0);
	CHECK_EQ(btn_account_left(&a, 2 * MS), 970);
	CHECK(btn_account_when(&a, 2 * MS) <= 1003 * MS);
	CHECK_EQ(btn_account_left(&a, 1002 * MS), 1000);
	CHECK_EQ(btn_account_reserve(&a, 1002 * MS, 1000), 1000);
}

/* Thousands of tiny runs fit the log and add up. */
TEST(many_small)
{
	uint64_t t, sum = 0;

	fresh(20 * MS);
	for (t = 0; t < 3000 * MS; t += 50000) {
		uint64_t g = btn_account_reserve(&a, t, 7001);

		if (!g)
			continue;
		btn_account_settle(&a, t + g, g, g, 0);
		sum += g;
		CHECK(a.used <= 20 * MS);
		CHECK(a.n < BTN_LOG);
	}
	CHECK_EQ(a.total, sum);
	CHECK(sum > 3 * 20 * MS * 99 / 100);
	CHECK(sum <= 3 * 20 * MS);
}

/* CPU of the last second, as a fleet's agent is told: one pass says what a pass for each time says. */
TEST(recent)
{
	uint64_t all[10], one, now = 0, before;
	unsigned i, k;

	fresh(500 * MS);
	for (k = 0; k < 300; k++) {
		before = now;
		now += (k * 7 % 23 + 1) * MS;
		if (btn_account_reserve(&a, before, 2 * MS) == 2 * MS)
			btn_account_settle(&a, now, 2 * MS, MS, 0);
		btn_account_recent(&a, now, 100 * MS, 10, all);
		for (i = 0; i < 10; i++) {
			btn_account_recent(&a, now + i * 100 * MS, 0, 1, &one);
			CHECK_EQ(all[i], one);
			CHECK(!i || all[i] <= all[i - 1]);
		}
	}
	CHECK(all[0] >= 60 * MS && all[9] < all[0] / 2);
	btn_account_recent(&a, now + 1100 * MS, 100 * MS, 10, all);
	CHECK_EQ(all[0], 0);
}

/* With more entries than the log has, late is allowed and early is not. */
TEST(log_full)
{
	uint64_t t, i;

	fresh(BTN_SECOND);
	btn_account_set_scale(&a, 0);
	for (i = 0; i < 1000; i++)
		btn_account_settle(&a, i * 100000 + 50000, 0, 20000, 0);
	CHECK_EQ(a.n, BTN_LOG);
	CHECK_EQ(a.used, 1000 * 20000);
	for (t = 1000 * MS; t < 1100 * MS; t += 100000)
		CHECK(a.quota - btn_account_left(&a, t) + 20000 * ((t - 1000 * MS) / 100000 + 1) >= 1000 * 20000);
	CHECK_EQ(btn_account_left(&a, 1100 * MS), BTN_SECOND);
}

/* Long pauses: the log's times are modulo 2^32 units, about 73 minutes. */
TEST(long_pause)
{
	uint64_t t = 1, pause;

	fresh(100 * MS);
	for (pause = 1; pause < 100000; pause *= 3) {
		t += pause * BTN_SECOND;
		CHECK_EQ(btn_account_left(&a, t), 100 * MS);
		btn_account_settle(&a, t, 0, 60 * MS, 0);
		CHECK(btn_account_left(&a, t + 900 * MS) == 40 * MS);
	}
}

TEST(quota_changes)
{
	fresh(100 * MS);
	btn_account_settle(&a, 50 * MS, 0, 50 * MS, 0);
	btn_account_set_quota(&a, 20 * MS);
	CHECK_EQ(btn_account_left(&a, 60 * MS), 0);
	btn_account_set_quota(&a, 200 * MS);
	CHECK_EQ(btn_account_left(&a, 60 * MS), 150 * MS);
	btn_account_set_quota(&a, 0);
	CHECK_EQ(btn_account_left(&a, 3000 * MS), 0);
	CHECK_EQ(btn_account_when(&a, 3000 * MS), BTN_NEVER);
}

/* The tag: the time in which it is earned; a pause is not saved up. */
TEST(tag)
{
	fresh(100 * MS);
	btn_account_settle(&a, 10 * MS, 0, 5 * MS, 5 * MS);
	CHECK(a.tag >= 54 * MS && a.tag <= 55 * MS);
	btn_account_settle(&a, 11 * MS, 0, 1 * MS, 10 * MS);
	CHECK(a.tag >= 64 * MS && a.tag <= 65 * MS);
	btn_account_settle(&a, 500 * MS, 0, 1 * MS, 499 * MS);
	CHECK(a.tag >= 508 * MS && a.tag <= 509 * MS);
}

/* CPU that was recorded for nothing is to be had at once, and once. */
TEST(refund)
{
	fresh(100 * MS);
	btn_account_settle(&a, 100 * MS, 0, 40 * MS, 0);
	btn_account_settle(&a, 600 * MS, 0, 60 * MS, 0);
	CHECK_EQ(btn_account_left(&a, 700 * MS), 0);
	btn_account_refund(&a, 700 * MS, 560 * MS, 10 * MS);
	CHECK_EQ(a.total, 90 * MS);
	CHECK(btn_account_left(&a, 700 * MS) <= 10 * MS);
	CHECK(btn_account_left(&a, 700 * MS) >= 10 * MS - 64);
	btn_account_settle(&a, 800 * MS, 0, 10 * MS, 0);
	/* From the oldest entries, it would be lost again here. */
	CHECK(btn_account_left(&a, 1101 * MS) <= 40 * MS);
	CHECK(btn_account_left(&a, 1101 * MS) >= 40 * MS - 64);
	/* From the newest, the last of what was really used would leave too early. */
	CHECK(btn_account_left(&a, 1590 * MS) <= 80 * MS);
	CHECK(btn_account_left(&a, 1601 * MS) <= 90 * MS);
	CHECK_EQ(btn_account_left(&a, 1801 * MS), 100 * MS);
	/* All that there is, and more. */
	btn_account_refund(&a, 1801 * MS, 1700 * MS, 500 * MS);
	CHECK_EQ(a.total, 0);
	CHECK_EQ(btn_account_left(&a, 1801 * MS), 100 * MS);
}

/*
 * A tenant of 1% that always wants more, four workers, two slots, and a kernel
 * that does not always run who has a slot. The CPU really used, in every sliding
 * second, is within the quota and what settling may be behind.
 */
TEST(slots_without_cpu)
{
	static struct { uint64_t begin, end; } run[65536];
	struct btn_cputime m[4] = { 0 };
	uint64_t clock[4] = { 0 }, ends[2] = { 0 }, slice[2] = { 0 }, used[2] = { 0 }, total = 0, sum = 0;
	uint64_t now = 0, seed = 3, cpu, back, mark, quota = 20 * MS, most = 0;
	unsigned n = 0, first = 0, slot, w, on[2] = { 0 }, next = 0;

	fresh(quota);
	while (now < 20 * BTN_SECOND && n < 65536) {
		slot = ends[1] < ends[0];
		now = ends[slot] > now ? ends[slot] : now;
		if (slice[slot]) {
			w = on[slot];
			clock[w] += used[slot];
			if (!btn_cputime_run(&m[w], now, quota >> 10, &cpu)) {
				mark = m[w].mark_at;
				cpu = btn_cputime_settle(&m[w], now, clock[w], &back);
				if (back && now - mark < BTN_SECOND)
					btn_account_refund(&a, now, mark, back);
			}
			btn_account_settle(&a, now, slice[slot], cpu, 0);
			run[n].begin = now - used[slot];
			run[n++].end = now;
			sum += used[slot];
			total += used[slot];
			/* A little more on its way to sleep. */
			clock[w] += 1000;
			for (; run[first].begin + BTN_SECOND <= now; first++)
				sum -= run[first].end - run[first].begin;
			most = sum > most ? sum : most;
		}
		slice[slot] = btn_account_reserve(&a, now, quota / 128);
		if (!slice[slot]) {
			ends[slot] = btn_account_when(&a, now);
			if (ends[slot] <= now)
				ends[slot] = now + 1000;
			continue;
		}
		next += slice[!slot] && on[!slot] == next % 4;
		w = on[slot] = next++ % 4;
		m[w].since = now;
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		/* In some seconds it waits for the CPU, in others not. */
		used[slot] = slice[slot];
		ends[slot] = now + slice[slot];
		if (now / BTN_SECOND % 3 == 1 && seed >> 62 == 0) {
			used[slot] = slice[slot] * (seed >> 54 & 255) / 256;
			ends[slot] += (seed >> 40 & 511) * 1000;
		}
	}
	CHECK(now >= 20 * BTN_SECOND);
	CHECK_CMP(most, <=, quota + quota / 200);
	CHECK_CMP(total, >=, 20 * quota / 100 * 98);
	/* The ledger's use and the real one agree, but for what is not settled yet. */
	CHECK(a.total < total + n * 1000 + 4 * (quota >> 10));
	CHECK(a.total + 4 * (quota >> 10) + 4000 > total);
}

static unsigned leans(const struct btn_heap_node *n)
{
	unsigned l, r;

	if (!n)
		return 0;
	l = leans(n->left);
	r = leans(n->right);
	CHECK(l >= r && n->rank == r + 1);
	CHECK(!n->left || n->left->up == n);
	CHECK(!n->right || n->right->up == n);
	return r + 1;
}

/* The heap against sorting, with nodes taken out of the middle. */
TEST(heap)
{
	static struct btn_heap_node n[2000];
	struct btn_heap h = { 0 };
	uint64_t seed = 1, last, i, in = 0, round;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 2000; i++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			if (btn_heap_has(&n[i]))
				continue;
			n[i].key = round % 3 == 0 ? i : seed >> 54;
			n[i].seq = i;
			btn_heap_add(&h, &n[i]);
			in++;
		}
		for (i = 0; i < 2000; i++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			if (seed >> 63) {
				btn_heap_del(&h, &n[i]);
				in--;
			}
		}
		leans(h.top);
		for (last = 0; in > 300; in--) {
			struct btn_heap_node *t = h.top;

			CHECK(t->key * 4096 + t->seq >= last);
			CHECK(!t->up);
			last = t->key * 4096 + t->seq;
			btn_heap_del(&h, t);
		}
	}
	while (h.top) {
		btn_heap_del(&h, h.top);
		in--;
	}
	CHECK_EQ(in, 0);
}

/* A line against sorting: mostly in order, sometimes not, and out of the middle. */
TEST(line)
{
	static struct btn_heap_node n[2000];
	struct btn_line l = { 0 };
	uint64_t seed = 7, round, i, in = 0, last;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 2000; i++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			if (btn_heap_has(&n[i]))
				continue;
			n[i].key = seed >> 60 ? 10000 * round + (round % 4 == 1 ? 5000 - i : i) : seed >> 40;
			n[i].seq = i;
			btn_line_add(&l, &n[i]);
			CHECK(btn_heap_has(&n[i]));
			in++;
			CHECK_EQ(btn_line_is_single(&l), in == 1);
		}
		for (i = 0; i < 2000; i++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			if (seed >> 62 == 0 && btn_heap_has(&n[i])) {
				btn_line_del(&l, &n[i]);
				in--;
			}
		}
		for (last = 0; in > 300; in--) {
			struct btn_heap_node *t = btn_line_top(&l);

			CHECK(t->key >= last);
			last = t->key;
			btn_line_del(&l, t);
			CHECK(!btn_heap_has(t));
		}
	}
	while (btn_line_top(&l)) {
		CHECK_EQ(btn_line_is_single(&l), in == 1);
		btn_line_del(&l, btn_line_top(&l));
		in--;
	}
	CHECK(!btn_line_is_single(&l));
	/* An entry that is alone in the heap, as those in order have left. */
	n[0].key = 1;
	n[1].key = 3;
	n[2].key = 2;
	for (i = 0; i < 3; i++)
		btn_line_add(&l, &n[i]);
	btn_line_del(&l, &n[0]);
	btn_line_del(&l, &n[1]);
	CHECK(btn_line_top(&l) == &n[2] && btn_line_is_single(&l));
	btn_line_del(&l, &n[2]);
	CHECK_EQ(in, 0);
	CHECK(!l.first && !l.last);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
