/* SPDX-License-Identifier: GPL-2.0-or-later */
/* delays.h - what a hook of inject.h does at the points of a test: most often nothing. */
#ifndef DELAYS_H
#define DELAYS_H

#include <sched.h>
#include <stdint.h>
#include <time.h>

/* Sleeps for ns in one of `of` calls, a power of two above 4, and yields the CPU in one of four. Any thread. */
static inline void delay_sometimes(unsigned of, long ns)
{
	static _Thread_local uint64_t chance;
	const struct timespec pause = { 0, ns };

	chance = (chance ^ (uintptr_t)&chance) * 6364136223846793005ULL + 1442695040888963407ULL;
	if ((chance >> 32) * of >> 32 == 0)
		nanosleep(&pause, NULL);
	else if (chance >> 62 == 1)
		sched_yield();
}

#endif
