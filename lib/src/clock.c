// SPDX-License-Identifier: LGPL-2.1-or-later
#include "clock.h"

#include <errno.h>

#include "die.h"

uint64_t btn_clock_now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts))
		btn_die("clock_gettime(CLOCK_MONOTONIC)", errno);
	return (uint64_t)ts.tv_sec * BTN_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}
