// SPDX-License-Identifier: GPL-2.0-or-later
#include "server.h"

void hist_add(struct hist *h, uint64_t ns)
{
	uint64_t us = ns / 1000;
	unsigned octave, step;

	if (us < 4) {
		step = (unsigned)us;
	} else {
		octave = 63 - __builtin_clzll(us);
		step = 4 * (octave - 1) + ((us >> (octave - 2)) & 3);
	}
	h->n[step < HIST_STEPS ? step : HIST_STEPS - 1]++;
	h->count++;
	h->sum_us += us;
}

double hist_quantile_ms(const struct hist *h, double q)
{
	uint64_t sum = 0, want = (uint64_t)(q * (double)h->count);
	unsigned i;

	if (!h->count)
		return 0;
	for (i = 0; i < HIST_STEPS - 1; i++) {
		sum += h->n[i];
		if (sum > want)
			break;
	}
	return i < 4 ? (i + 1) / 1000.0 : (double)(((4ULL + i % 4) + 1) << (i / 4 - 1)) / 1000.0;
}

uint64_t hist_below(const struct hist *h, unsigned octave)
{
	uint64_t sum = 0;
	unsigned i;

	/* The steps below 2^octave us: the first four are of 1 us each. */
	for (i = 0; i < HIST_STEPS && i < (octave < 2 ? 1U << octave : 4 * (octave - 1)); i++)
		sum += h->n[i];
	return sum;
}
