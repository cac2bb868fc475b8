// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the quota benchmark judges (tools/baton/quota_windows.h): nothing that a
 * tenant used too much is forgiven but what one task used between two checkpoints,
 * and too little only where somebody else had the CPU.
 */
#include <math.h>

#include "../../tools/baton/quota_windows.h"
#include "tap.h"

#define MS 1000000ULL
#define SECOND (1000 * MS)
#define STEP (10 * MS)
#define N 500
#define TASKS 4
#define BEGIN (7 * SECOND)

static uint64_t at[2][N], cpu[2][N], work[2 * N];
static struct quota_seen seen[2][TASKS], *seen_by[2][TASKS];
static const uint64_t bought[2] = { 20 * MS, 200 * MS };
static struct quota_windows w;
static struct quota_errors e;

/* Both use what they bought, evenly. */
static void all_right(void)
{
	unsigned i, k, x;

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < 2; i++) {
		for (k = 0; k < TASKS; k++)
			seen_by[i][k] = &seen[i][k];
		for (x = 0; x < N; x++) {
			at[i][x] = BEGIN + x * STEP;
			cpu[i][x] = x * (bought[i] / 100);
		}
	}
	w = (struct quota_windows){
		.tenants = 2, .tasks = TASKS, .slots = 2, .points = N, .second = 100, .begin = BEGIN, .step = STEP,
		.calm = 2 * MS, .calm_own = 1, .bought = bought, .room = N, .at = at[0], .cpu = cpu[0], .seen = seen_by[0],
	};
}

/* At this time a tenant used so much more; or less, from then on. */
static void uses(unsigned tenant, double second, int64_t more)
{
	unsigned x;

	for (x = second * 100; x < N; x++)
		cpu[tenant][x] += more;
}

static void gap(unsigned tenant, unsigned task, double second, uint64_t time, uint64_t used)
{
	struct quota_seen *s = &seen[tenant][task];

	s->gap[s->n++] = (struct quota_gap){ BEGIN + (uint64_t)(second * SECOND), time, used };
}

/* In thousandths of a percent. */
static long milli(double percent)
{
	return lround(1000 * percent);
}

TEST(nothing_wrong)
{
	all_right();
	quota_windows(&w, work, &e);
	CHECK_EQ(milli(e.sliding_all), 0);
	CHECK_EQ(milli(e.over), 0);
	CHECK_EQ(e.windows, 2 * 250);
	CHECK_EQ(e.calm, e.windows);
	w.seen = NULL;
	quota_windows(&w, work, &e);
	CHECK_EQ(e.calm, e.windows);
}

TEST(too_much)
{
	all_right();
	uses(0, 2.5, MS);
	quota_windows(&w, work, &e);
	CHECK_EQ(milli(e.over), 5000);
	CHECK_EQ(milli(e.beyond), 5000);
	CHECK_EQ(milli(e.sliding), 5000);
	CHECK_EQ(milli(e.sliding_all), 5000);
}

TEST(too_much_by_a_checkpoint)
{
	all_right();
	uses(0, 2.5, MS);
	gap(0, 1, 2.5, MS, 900000);
	quota_windows(&w, work, &e);
	CHECK_EQ(milli(e.over), 5000);
	CHECK_EQ(milli(e.sliding_all), 5000);
	CHECK_EQ(milli(e.beyond), 500);
	CHECK_EQ(milli(e.sliding), 500);
}

/* Time that it did not run is no excuse for using too much; nor another's gap, or one a second ago. */
TEST(no_excuse)
{
	all_right();
	uses(0, 2.5, MS);
	gap(0, 1, 2.5, 100 * MS, 0);
	gap(1, 0, 2.5, MS, MS);
	gap(0, 0, 1.49, MS, MS);
	gap(0, 2, 3.6, MS, MS);
	quota_windows(&w, work, &e);
	CHECK_EQ(milli(e.beyond), 5000);
	CHECK(e.calm < e.windows);
}

/* Overruns of one task do not add up, nor those of more tasks than there are slots. */
TEST(excuses_do_not_add_up)
{
	unsigned i;

	all_right();
	uses(0, 2.5, 4 * MS);
	for (i = 0; i < TASKS; i++) {
		gap(0, i, 2.45, MS, MS);
		gap(0, i, 2.5, MS, MS);
	}
	quota_windows(&w, work, &e);
	CHECK_EQ(milli(e.over), 20000);
	CHECK_EQ(milli(e.beyond), 10000);
}

/* 0.3 ms are 1.5% of what one tenant bought, and nothing for the other. */
TEST(taken_from_the_tenant_itself)
{
	all_right();
	w.calm_own = 0.01;
	uses(0, 2.5, -(int64_t)MS / 2);
	gap(0, 0, 2.5, 3 * MS / 10, 0);
	quota_windows(&w, work, &e);
	CHECK_EQ(milli(e.sliding_all), 2500);
	CHECK_EQ(milli(e.sliding), 0);
	CHECK(e.calm < e.windows && e.calm > e.windows / 2);
	/* Another tenant's is no excuse. */
	all_right();
	w.calm_own = 0.01;
	uses(0, 2.5, -(int64_t)MS / 2);
	gap(1, 0, 2.5, 3 * MS / 10, 0);
	quota_windows(&w, work, &e);
	CHECK_EQ(milli(e.sliding), 2500);
	CHECK_EQ(e.calm, e.windows);
}

TEST(too_little)
{
	all_right();
	uses(1, 2.5, -6 * (int64_t)MS);
	quota_windows(&w, work, &e);
	CHECK_EQ(milli(e.sliding), 3000);
	CHECK_EQ(milli(e.over), 0);
	CHECK_EQ(milli(e.taken), 0);
	/* Where somebody else had the CPU it does not count; but in all there is. */
	gap(0, 0, 2.5, 3 * MS, 0);
	quota_windows(&w, work, &e);
	CHECK_EQ(milli(e.sliding), 0);
	CHECK_EQ(milli(e.sliding_all), 3000);
	CHECK(e.calm < e.windows);
	CHECK(e.calm > e.windows / 4);
	CHECK_EQ(milli(e.taken), lround(1e5 * 3 / (2 * (N - 1) * 10.0)));
}

/* A little is taken in every window, and excuses nothing. */
TEST(calm_is_calm)
{
	unsigned i;

	all_right();
	uses(1, 2.5, -6 * (int64_t)MS);
	for (i = 0; i < 10; i++)
		gap(1, 2, 0.25 + i / 2.0, 900000, 0);
	quota_windows(&w, work, &e);
	CHECK_EQ(e.calm, e.windows);
	CHECK_EQ(milli(e.sliding), 3000);
}

TEST(late_readings)
{
	all_right();
	uses(0, 2.5, MS);
	/* Readings that were late or not made at all are in no window; those in time are. */
	at[0][250] = 0;
	quota_windows(&w, work, &e);
	CHECK_EQ(e.windows, 2 * 250 - 2);
	at[0][250] = BEGIN + 250 * STEP + MS;
	quota_windows(&w, work, &e);
	CHECK_EQ(e.windows, 2 * 250 - 2);
	CHECK_EQ(milli(e.beyond), 5000);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
