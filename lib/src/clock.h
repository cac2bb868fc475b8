/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BTN_CLOCK_H
#define BTN_CLOCK_H

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

#endif
