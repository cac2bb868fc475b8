// SPDX-License-Identifier: GPL-2.0-or-later
/* The scheduler's clock against the kernel's. */
#include <pthread.h>

#include "clock.h"
#include "tap.h"

static struct btn_clock clk;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last, worst;

/* On several CPUs it neither goes back nor leaves CLOCK_MONOTONIC. */
static void *reads(void *arg)
{
	uint64_t end = btn_clock_now() + 150000000, before, now, after, off;

	do {
		pthread_mutex_lock(&lock);
		before = btn_clock_now();
		now = btn_clock_read(&clk);
		after = btn_clock_now();
		CHECK_ANY(now >= last);
		last = now;
		/* The interval it was read in may be long: a busy machine. */
		off = now < before ? before - now : now > after ? now - after : 0;
		if (off > worst)
			worst = off;
		pthread_mutex_unlock(&lock);
	} while (after < end);
	return NULL;
}

TEST(follows_monotonic)
{
	pthread_t t[3];
	int i;

	for (i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, reads, NULL), 0);
	for (i = 0; i < 3; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	printf("# worst: %llu ns\n", (unsigned long long)worst);
	CHECK_CMP(worst, <, 20000);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
