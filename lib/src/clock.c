// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The counter's rate is measured against CLOCK_MONOTONIC, over up to 16 s. That
 * alone is not enough: a suspended machine's counter goes on, or begins anew, and
 * CLOCK_MONOTONIC does neither.
 *
 *	CLOCK_MONOTONIC		counter
 *	0 s			0 s
 *	1 s			1 s
 *	(the machine is suspended for an hour)
 *	1.001 s			3601.001 s	rate: 1 ns for 3600 ticks of a ns
 *
 * With that rate one millisecond would be 3.6 s of ticks, and the clock would stand
 * still for as long. So each time that CLOCK_MONOTONIC is read, the ticks since the
 * last time have to be what it says, to 0.4% and 10 us and what may have come
 * between the two readings of either time. If they are not, the counter jumped, or
 * changed its rate, or is another CPU's that is not in step: the rate is measured
 * anew. Meanwhile, for a millisecond at least, each answer is CLOCK_MONOTONIC.
 *
 * This sees all that matters of what makes the kernel give the counter up as its own
 * clock source, and so nobody has to ask the kernel again. Where jumps follow each
 * other, as when a thread moves between CPUs whose counters differ, the counter is
 * left alone for twice as long after each, up to a minute.
 *
 * What is not seen is small: a jump of less than 0.4% of the time since the last
 * reading makes the rate wrong by as much, and an answer by less than 4 us in the
 * millisecond until the next one.
 */
#include "clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

uint64_t btn_clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);	/* every Linux has this clock */
	return (uint64_t)ts.tv_sec * BTN_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* For how long the counter is believed, and for how long it is measured, at least. */
#define SPAN_NS		1000000
#define MEASURE_NS	1000000
/* The measurement begins anew: the kernel's rate may have been adjusted. */
#define MEASURE_MAX_NS	(16 * BTN_NSEC_PER_SEC)
/* A measurement is good to one part in so many, and a counter that keeps pace is, too. */
#define PRECISE		256
#define CLOSE_NS	10000
/* For how long a counter that jumped is left alone, at first and at most; after so long a jump is the first. */
#define DISTRUST_NS	1000000
#define DISTRUST_MAX_NS	(64 * BTN_NSEC_PER_SEC)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool trusted;

/* The kernel watches its clock source, and says which it is. */
static void choose(void)
{
	char source[32] = "";
	int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		      O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, source, sizeof(source) - 1) > 0)
		trusted = !strcmp(source, "tsc\n") || !strcmp(source, "arch_sys_counter\n");
	close(fd);
}

static uint64_t ticks_to_ns(const struct btn_clock *c, uint64_t ticks)
{
	unsigned __int128 ns = ((unsigned __int128)ticks * c->mult) >> 32;

	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

/* Were there as many ticks since the last reading as there should have been? */
static bool keeps_pace(const struct btn_clock *c, uint64_t ticks, uint64_t ns, uint64_t apart)
{
	uint64_t is = ns - c->ns, counted;

	if (ticks < c->ticks)
		return false;
	counted = ticks_to_ns(c, ticks - c->ticks);
	return (counted < is ? is - counted : counted - is) <= is / PRECISE + CLOSE_NS + ticks_to_ns(c, apart + c->apart);
}

static void distrust(struct btn_clock *c, uint64_t ns)
{
	uint64_t longer = 2 * c->distrust < DISTRUST_MAX_NS ? 2 * c->distrust : DISTRUST_MAX_NS;

	c->distrust = !c->distrust || ns - c->trust_at > DISTRUST_MAX_NS ? DISTRUST_NS : longer;
	c->trust_at = ns + c->distrust;
	c->mult = c->span = c->first_ns = 0;
}

static void measure(struct btn_clock *c)
{
	uint64_t ns = c->ns - c->first_ns, ticks = c->ticks - c->first_ticks;

	if (!c->first_ns || ns > MEASURE_MAX_NS || c->ticks <= c->first_ticks) {
		c->first_ticks = c->ticks;
		c->first_ns = c->ns;
		c->first_apart = c->apart;
	} else if (ns >= MEASURE_NS && (c->apart + c->first_apart) <= ticks / PRECISE) {
		c->mult = (uint64_t)(((unsigned __int128)ns << 32) / ticks);
		c->span = ((unsigned __int128)SPAN_NS << 32) / (c->mult ? c->mult : 1);
	}
}

uint64_t btn_clock_sync(struct btn_clock *c)
{
	uint64_t ticks = 0, ns = btn_clock_now(), before, between, now, best = 0;
	int i;

	pthread_once(&once, choose);
	if (!trusted || ns < c->trust_at)
		goto out;
	/* Both at the same time: of three, the one where least came between. */
	for (i = 0; i < 3; i++) {
		before = btn_clock_ticks();
		now = btn_clock_now();
		between = btn_clock_ticks() - before;
		if (i && between >= best)
			continue;
		best = between;
		ticks = before + between / 2;
		ns = now;
	}
	if (c->mult && !keeps_pace(c, ticks, ns, best)) {
		distrust(c, ns);
		goto out;
	}
	c->ticks = ticks;
	c->ns = ns;
	c->apart = best;
	measure(c);
out:
	if (ns > c->last)
		c->last = ns;
	return c->last;
}
