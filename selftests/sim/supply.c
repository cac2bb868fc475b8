// SPDX-License-Identifier: GPL-2.0-or-later
/* Machines that give less than is wanted, and whether samples of a few threads say how much. */
#include <stdlib.h>

#include "supply.h"
#include "tap.h"

#define US 1000ULL
#define MS (1000 * US)
#define SECOND (1000 * MS)

static struct btn_supply s;
static uint64_t now, seed;

static uint64_t random_below(uint64_t n)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (seed >> 33) % n;
}

/* CPU that a thread gets which wants it from a time on, for so long: the machine's rule. */
static uint64_t (*machine)(uint64_t from, uint64_t wanted);
static uint64_t period, given;

/* In each period the CPU is there for the first part of it. */
static uint64_t in_turns(uint64_t from, uint64_t wanted)
{
	uint64_t to = from + wanted, got = 0, begin, end;

	for (begin = from / period * period; begin < to; begin += period) {
		uint64_t a = begin > from ? begin : from;

		end = begin + given < to ? begin + given : to;
		if (a < end)
			got += end - a;
	}
	return got;
}

/* In each stretch of 4 ms somebody else has some or all. */
static uint64_t at_random(uint64_t from, uint64_t wanted)
{
	uint64_t to = from + wanted, got = 0, at, end, h;

	for (at = from; at < to; at = end) {
		end = (at / (4 * MS) + 1) * 4 * MS;
		if (end > to)
			end = to;
		h = at / (4 * MS) * 0x9e3779b97f4a7c15ULL >> 40;
		got += h % 100 < given ? end - at : 0;
	}
	return got;
}

/* Wants 2 ms of CPU: how long that takes. */
static uint64_t time_for(uint64_t cpu)
{
	uint64_t low = cpu, high = 4 * SECOND, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (machine(now, mid) < cpu)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Runs of 2 ms of CPU each, one after the other; some are samples. e: what lies between two readings, at most. */
static void runs_for(uint64_t length, unsigned one_in, uint64_t e)
{
	uint64_t end = now + length, wanted, error;

	while (now < end) {
		wanted = time_for(2 * MS);
		now += wanted;
		error = e ? random_below(2 * e + 1) : 0;
		if (!random_below(one_in))
			btn_supply_add(&s, now, wanted, 2 * MS + error - e);
		now += 20 * US;
	}
}

static void begin(void)
{
	s = (struct btn_supply){ 0 };
	now = 1000 * SECOND;
	seed = 7;
}

TEST(nothing_is_known)
{
	begin();
	CHECK_EQ(btn_supply_part(&s, now), BTN_SUPPLY_ALL);
	btn_supply_add(&s, now, 49 * MS, 1 * MS);
	CHECK_EQ(btn_supply_part(&s, now), BTN_SUPPLY_ALL);
	btn_supply_add(&s, now, 51 * MS, 24 * MS);
	CHECK_EQ(btn_supply_part(&s, now), 250000);
	CHECK_EQ(btn_supply_part(&s, now + 7 * SECOND), 250000);
	CHECK_EQ(btn_supply_part(&s, now + 30 * SECOND), BTN_SUPPLY_ALL);
}

/* Readings that are wrong by a microsecond: the claim's (a). */
TEST(readings)
{
	begin();
	machine = in_turns;
	period = given = SECOND;
	runs_for(10 * SECOND, 1, US);
	CHECK(btn_supply_part(&s, now) <= BTN_SUPPLY_ALL && btn_supply_part(&s, now) >= 999000);
	/* Never more than there is. */
	begin();
	btn_supply_add(&s, now, 100 * MS, 101 * MS);
	CHECK_EQ(btn_supply_part(&s, now), BTN_SUPPLY_ALL);
}

/* A cgroup's limit, in all of its parts: (b), 2.5% of the whole. */
TEST(limits)
{
	static const uint64_t periods[] = { 10 * MS, 100 * MS };
	unsigned i, part, is, k;

	for (i = 0; i < 2; i++)
		for (part = 5; part < 100; part += 5) {
			begin();
			machine = in_turns;
			period = periods[i];
			given = period * part / 100;
			/* All that the window cuts. */
			for (k = 0; k < 20; k++) {
				runs_for((k ? 1 : 9) * SECOND + random_below(period), 1, 0);
				is = btn_supply_part(&s, now);
				CHECK_CMP(is, <=, part * 10000 + 25000);
				CHECK_CMP(is + 25000, >=, part * 10000);
			}
		}
}

/* Neighbours that come and go. Samples of a third of the runs say the same as all. */
TEST(neighbours)
{
	unsigned part, all, third;

	for (part = 20; part <= 100; part += 20) {
		begin();
		machine = at_random;
		given = part;
		runs_for(8 * SECOND, 1, US);
		all = btn_supply_part(&s, now);
		CHECK_CMP(abs((int)all - (int)part * 10000), <, 60000);
		begin();
		runs_for(8 * SECOND, 3, US);
		third = btn_supply_part(&s, now);
		CHECK_CMP(abs((int)all - (int)third), <, 80000);
	}
}

/* The past is forgotten after 8 s at the latest. */
TEST(changes)
{
	begin();
	machine = in_turns;
	period = 100 * MS;
	given = 25 * MS;
	runs_for(20 * SECOND, 1, 0);
	CHECK_CMP(btn_supply_part(&s, now), <, 280000);
	given = period;
	runs_for(8 * SECOND + 10 * MS, 1, 0);
	CHECK_CMP(btn_supply_part(&s, now), >, 990000);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
