// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The scheduler's clock where the CPU's counter is not what it should be: a
 * machine that was suspended, a counter that slows down, CPUs whose counters are
 * not in step. Time and counter are the test's.
 */
#include <stdint.h>
#include <time.h>

static uint64_t mono = 5000000000, counter = 1000000, reading;
/* Ticks of 2^-10 ns for each ns. */
static uint64_t rate = 2500 * 1024 / 1000;

static void passes(uint64_t ns)
{
	mono += ns;
	counter += ns * rate / 1024;
}

/* A reading takes time. */
static uint64_t test_ticks(void)
{
	passes(10 + reading);
	return counter;
}

static int test_gettime(clockid_t id, struct timespec *ts)
{
	passes(20);
	ts->tv_sec = (time_t)(mono / 1000000000);
	ts->tv_nsec = (long)(mono % 1000000000);
	return 0;
}

#define BTN_CLOCK_TICKS test_ticks
#define clock_gettime test_gettime
#include "../../lib/src/clock.c"
#undef clock_gettime

#include "tap.h"

#define US UINT64_C(1000)
#define MS (1000 * US)
#define SECOND (1000 * MS)
/* The promises of clock.h. */
#define NEAR (15 * US)

static struct btn_clock c;
static uint64_t worst, previous;

static void begin(void)
{
	pthread_once(&once, choose);
	trusted = true;
	c = (struct btn_clock){ 0 };
	previous = worst = reading = 0;
	rate = 2500 * 1024 / 1000;
}

/* Each answer must not be before the last. */
static uint64_t off(void)
{
	uint64_t now = btn_clock_read(&c);

	if (now < previous)
		return UINT64_MAX;
	previous = now;
	return now < mono ? mono - now : now - mono;
}

/* An answer each step for so long; the worst of them. */
static uint64_t runs_for(uint64_t ns, uint64_t step)
{
	uint64_t end = mono + ns, w = 0, o;

	while (mono < end) {
		passes(step);
		o = off();
		w = o > w ? o : w;
	}
	return w;
}

TEST(keeps_up)
{
	begin();
	CHECK_CMP(runs_for(SECOND, US), <, NEAR);
	CHECK(c.span);
	CHECK_CMP(runs_for(40 * SECOND, 777 * US), <, NEAR);
	CHECK_CMP(runs_for(40 * SECOND, 3 * SECOND), <, NEAR);
	CHECK_EQ(c.distrust, 0);
}

/* The clock costs only a counter where the counter is right. */
TEST(does_not_ask_the_kernel)
{
	unsigned i, asked = 0;

	begin();
	runs_for(10 * MS, US);
	for (i = 0; i < 10000; i++) {
		uint64_t before = c.ns;

		passes(US);
		off();
		asked += c.ns != before;
	}
	CHECK_CMP(asked, <=, 12);
}

static const uint64_t suspended[] = { MS, 20 * MS, SECOND, 3600 * SECOND, 1000000 * SECOND };

TEST(suspended_while_the_counter_goes_on)
{
	unsigned i;

	for (i = 0; i < sizeof(suspended) / sizeof(*suspended); i++) {
		begin();
		runs_for(2 * SECOND, 100 * US);
		counter += suspended[i] * 5 / 2;
		CHECK_CMP(runs_for(5 * SECOND, 100 * US), <, NEAR);
		CHECK(c.span);
		CHECK_CMP(runs_for(20 * SECOND, 100 * US), <, NEAR);
	}
}

TEST(suspended_and_the_counter_begins_anew)
{
	static const uint64_t at[] = { 0, 10000, 2000000, 5000000 };
	unsigned i;

	for (i = 0; i < sizeof(at) / sizeof(*at); i++) {
		begin();
		counter = 3000000;
		runs_for(2 * SECOND, 100 * US);
		counter = at[i];
		CHECK_CMP(runs_for(5 * SECOND, 100 * US), <, NEAR);
		CHECK(c.span);
	}
}

/* Asleep for longer than the rate is measured, with a suspend within. */
TEST(idle_and_suspended)
{
	begin();
	runs_for(2 * SECOND, 100 * US);
	passes(30 * SECOND);
	counter += 100 * SECOND;
	passes(3 * SECOND);
	CHECK_CMP(runs_for(5 * SECOND, 50 * US), <, NEAR);
}

TEST(counter_slows_down)
{
	begin();
	runs_for(2 * SECOND, 10 * US);
	rate /= 2;
	/* Until CLOCK_MONOTONIC is read the next time, as it is when it should have been a millisecond. */
	CHECK_CMP(runs_for(3 * MS, 10 * US), <=, MS + NEAR);
	CHECK_CMP(runs_for(5 * SECOND, 10 * US), <, NEAR);
	CHECK(c.span);
	rate *= 3;
	CHECK_CMP(runs_for(2 * MS, 10 * US), <=, 2 * MS + NEAR);
	CHECK_CMP(runs_for(5 * SECOND, 10 * US), <, NEAR);
}

/* A thread that moves between two CPUs: it is left alone, more and more. */
TEST(counters_not_in_step)
{
	uint64_t end, o, w = 0, gap = 500 * US * 5 / 2;
	unsigned wrong = 0, random = 1;
	bool other = false;

	begin();
	for (end = mono + 20 * SECOND; mono < end; ) {
		passes(130 * US);
		random = random * 1103515245 + 12345;
		if (random >> 29 == 0) {
			other = !other;
			counter += other ? gap : -gap;
		}
		o = off();
		w = o > w ? o : w;
		wrong += o > NEAR;
	}
	CHECK_CMP(w, <=, MS + NEAR);
	/* Some 150,000 answers. */
	CHECK_CMP(wrong, <, 200);
}

/* The thread loses its CPU between two readings, each time for a while. */
TEST(disturbed_readings)
{
	uint64_t end, o, w = 0;
	unsigned n;

	begin();
	for (n = 0, end = mono + 5 * SECOND; mono < end; n++) {
		passes(90 * US);
		reading = n % 50 < 3 ? 3 * MS : 0;
		o = off();
		/* Such an answer is as old as the reading took. */
		if (!reading)
			w = o > w ? o : w;
	}
	reading = 0;
	CHECK_CMP(w, <, NEAR);
	CHECK(c.span);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
