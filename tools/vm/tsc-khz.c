/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tsc-khz: print the frequency of this machine's time-stamp counter.
 *
 * Under emulation the guest reads the host's counter. Left to calibrate it, a
 * guest on a busy host may be wrong by a factor of ten, and its clocks with it.
 */
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Clock and counter of one moment: of many tries the least disturbed. */
static void sample(long long *ns, unsigned long long *tsc)
{
	long long best = 1LL << 62, a, b;
	unsigned long long t;
	int i;

	for (i = 0; i < 1000; i++) {
		a = now_ns();
		t = __rdtsc();
		b = now_ns();
		if (b - a < best) {
			best = b - a;
			*ns = a + (b - a) / 2;
			*tsc = t;
		}
	}
}

int main(void)
{
	struct timespec nap = { .tv_nsec = 200000000 };
	unsigned long long tsc0, tsc1;
	long long ns0, ns1;

	sample(&ns0, &tsc0);
	nanosleep(&nap, NULL);
	sample(&ns1, &tsc1);
	printf("%.0f\n", (double)(tsc1 - tsc0) * 1e6 / (double)(ns1 - ns0));
	return 0;
}
