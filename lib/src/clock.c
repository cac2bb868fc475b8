// SPDX-License-Identifier: LGPL-2.1-or-later
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

/* For how long the counter is believed, and for how long it is measured. */
#define SPAN_NS		1000000
#define MEASURE_NS	1000000
/* The measurement begins anew: the kernel's rate may have been adjusted. */
#define MEASURE_MAX_NS	(16 * BTN_NSEC_PER_SEC)

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

uint64_t btn_clock_sync(struct btn_clock *c)
{
	uint64_t ticks = 0, ns = 0, before, between, now, best = 0;
	int i;

	pthread_once(&once, choose);
	if (!trusted) {
		ns = btn_clock_now();
		goto out;
	}
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
	if (!c->first_ns || ns - c->first_ns > MEASURE_MAX_NS || ticks <= c->first_ticks) {
		c->first_ticks = ticks;
		c->first_ns = ns;
	} else if (ns - c->first_ns >= MEASURE_NS) {
		c->mult = (uint64_t)(((unsigned __int128)(ns - c->first_ns) << 32) / (ticks - c->first_ticks));
		c->span = ((unsigned __int128)SPAN_NS << 32) / (c->mult ? c->mult : 1);
	}
	c->ticks = ticks;
	c->ns = ns;
out:
	if (ns > c->last)
		c->last = ns;
	return c->last;
}
