// SPDX-License-Identifier: GPL-2.0-or-later
#include "quota_windows.h"

#include <math.h>
#include <string.h>

#define SECOND 1000000000ULL
/* A window is a second long to within this. */
#define EXACT 20000
#define SLOTS_MAX 64

static void raise_to(double *worst, double error)
{
	if (error > *worst)
		*worst = error;
}

static uint64_t at(const struct quota_windows *w, unsigned x)
{
	return w->begin + x * w->step;
}

/* taken[x]: what was taken from these tenants' tasks until reading x. */
static uint64_t add_up(const struct quota_windows *w, unsigned first, unsigned end_tenant, uint64_t *taken)
{
	uint64_t from, to, end, total = 0;
	unsigned i, k, x;

	memset(taken, 0, w->points * sizeof(*taken));
	for (i = first * w->tasks; w->seen && i < end_tenant * w->tasks; i++)
		for (k = 0; w->seen[i] && k < w->seen[i]->n; k++) {
			to = w->seen[i]->gap[k].at;
			from = to - w->seen[i]->gap[k].time;
			if (from < w->begin)
				from = w->begin;
			/* The part after reading x - 1, until x. */
			for (x = (from - w->begin) / w->step + 1; x < w->points && from < to; x++) {
				end = at(w, x) < to ? at(w, x) : to;
				taken[x] += end - from;
				from = end;
			}
		}
	for (x = 0; x < w->points; x++)
		total = taken[x] += total;
	return total;
}

/* The most that as many of a tenant's tasks as there are slots used between two checkpoints. */
static uint64_t overruns(const struct quota_windows *w, unsigned tenant, uint64_t from, uint64_t to)
{
	uint64_t most[SLOTS_MAX] = { 0 }, longest, sum = 0;
	unsigned slots = w->slots < SLOTS_MAX ? w->slots : SLOTS_MAX, i, k;

	for (i = 0; w->seen && i < w->tasks; i++) {
		const struct quota_seen *seen = w->seen[tenant * w->tasks + i];

		longest = 0;
		for (k = 0; seen && k < seen->n; k++)
			if (seen->gap[k].at > from && seen->gap[k].at - seen->gap[k].time < to && seen->gap[k].cpu > longest)
				longest = seen->gap[k].cpu;
		for (k = 0; k < slots; k++)
			if (longest > most[k]) {
				uint64_t less = most[k];

				most[k] = longest;
				longest = less;
			}
	}
	for (k = 0; k < slots; k++)
		sum += most[k];
	return sum;
}

void quota_windows(const struct quota_windows *w, uint64_t *work, struct quota_errors *out)
{
	uint64_t *taken = work, *own = work + w->points, total = add_up(w, 0, w->tenants, taken), from, to, used;
	unsigned i, x;

	*out = (struct quota_errors){ .taken = w->points > 1 ?
		100.0 * (double)total / ((double)w->slots * (double)(w->points - 1) * (double)w->step) : 0 };
	for (i = 0; i < w->tenants; i++) {
		add_up(w, i, i + 1, own);
		/* The first second fills the window. */
		for (x = w->second + w->second / 2; x + w->second < w->points; x++) {
			const uint64_t *when = w->at + i * w->room, *cpu = w->cpu + i * w->room;
			double bought = (double)w->bought[i], error;

			from = when[x];
			to = when[x + w->second];
			if (!from || !to || to - from > SECOND + EXACT || to - from < SECOND - EXACT)
				continue;
			out->windows++;
			used = cpu[x + w->second] - cpu[x];
			error = 100 * ((double)used / bought - 1);
			raise_to(&out->over, error);
			raise_to(&out->sliding_all, fabs(error));
			raise_to(&out->part[(uint64_t)x * QUOTA_PARTS / w->points], fabs(error));
			if (error > 0) {
				error -= 100 * (double)overruns(w, i, from, to) / bought;
				raise_to(&out->beyond, error);
			} else {
				error = -error;
			}
			if (taken[x + w->second] - taken[x] > w->calm ||
			    (double)(own[x + w->second] - own[x]) > w->calm_own * bought)
				continue;
			out->calm++;
			raise_to(&out->sliding, error);
			if (x % w->second == 0)
				raise_to(&out->aligned, error);
		}
	}
}
