/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BTN_CLOCK_H
#define BTN_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define BTN_NSEC_PER_SEC UINT64_C(1000000000)

/* CLOCK_MONOTONIC in nanoseconds. Any thread, async-signal-safe. */
uint64_t btn_clock_now(void);

/* The same moment, or the same duration, as the kernel wants it. */
static inline struct timespec btn_clock_timespec(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / BTN_NSEC_PER_SEC),
		.tv_nsec = (long)(ns % BTN_NSEC_PER_SEC),
	};
}

/*
 * CLOCK_MONOTONIC by the CPU's counter: half the price, where the kernel trusted the
 * counter itself when the process began (its clock source; else this is
 * CLOCK_MONOTONIC). CLOCK_MONOTONIC is read again each millisecond, and the counter is
 * believed only as long as it keeps pace: see clock.c. While it does, answers are
 * within 15 us of CLOCK_MONOTONIC, mostly within one. When it stops to, at most the
 * answers of one millisecond are wrong, by at most one. Answers of one struct
 * btn_clock do not go back, on whatever CPU. The caller serialises. All zeroes is
 * ready to be used.
 */
struct btn_clock {
	uint64_t ticks, ns;		/* read at the same time, */
	uint64_t span;			/* good for so many ticks; 0: not measured */
	uint64_t mult;			/* 2^32 ns a tick */
	uint64_t last;			/* the last answer */
	uint64_t apart;			/* ticks that may lie between ticks and ns */
	uint64_t first_ticks, first_ns, first_apart;	/* the rate is measured from here */
	uint64_t trust_at;		/* ns; the counter is not looked at before */
	uint64_t distrust;		/* ns; for how long it was not, the last time */
};

uint64_t btn_clock_sync(struct btn_clock *c);

static inline uint64_t btn_clock_ticks(void)
{
#if defined(BTN_CLOCK_TICKS)
	return BTN_CLOCK_TICKS();	/* a test's */
#elif defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t t;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#else
	return 0;
#endif
}

static inline uint64_t btn_clock_read(struct btn_clock *c)
{
	uint64_t d = btn_clock_ticks() - c->ticks, ns;

	if (__builtin_expect(d >= c->span, 0))
		return btn_clock_sync(c);
	ns = c->ns + ((d * c->mult) >> 32);
	if (ns > c->last)
		c->last = ns;
	return c->last;
}

#endif
