// SPDX-License-Identifier: LGPL-2.1-or-later
#include "clock.h"

uint64_t btn_clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);	/* every Linux has this clock */
	return (uint64_t)ts.tv_sec * BTN_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}
