/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * delays.h - main() of a test that, built with BTN_INJECT, holds the critical
 * windows open: at one point in DELAYS it gives up the CPU, at one in 4096 it
 * sleeps.
 */
#ifndef DELAYS_H
#define DELAYS_H

#include <sched.h>
#include <time.h>

#include "tap.h"
#include "../../lib/src/inject.h"

/* xorshift */
static inline uint32_t roll(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

#ifdef BTN_INJECT
static int delay(const char *point)
{
	static _Thread_local uint32_t x;
	struct timespec ts = { 0, 1000 };

	if (!x)
		x = (uint32_t)(uintptr_t)&x | 1;
	if (roll(&x) % 4096 == 0)
		nanosleep(&ts, NULL);
	else if (x % DELAYS == 0)
		sched_yield();
	return 0;
}
#endif

int main(int argc, char **argv)
{
#ifdef BTN_INJECT
	atomic_store_explicit(&btn_inject_hook, delay, memory_order_relaxed); /* [INJECT-1] */
#endif
	return tap_main(argc, argv);
}

#endif
