// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench quota: what tenants get where the machine gives less than the slots say.
 *
 * capacity_half_cpu: a service whose cgroup may use half a CPU, three tenants that
 * bought 30% (low-latency), 30% and 40% (high-latency) and want all; how far the worst
 * of them is from its part of what there is, over the whole run, in % of that part.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <baton/baton.h>

#include "bench.h"
#include "bench_quota.h"
#include "cgroup.h"

#define TENANTS 3
#define TASKS 4

static const struct {
	enum baton_class cls;
	unsigned low_ppm, high_ppm;
	const char *row;
} bought[TENANTS] = {
	{ BATON_TOLERANT, 300000, 0, "capacity_half_cpu_low_30" },
	{ BATON_BATCH, 0, 300000, "capacity_half_cpu_high_30" },
	{ BATON_BATCH, 0, 400000, "capacity_half_cpu_high_40" },
};

/* For the process that prints: CPU of each tenant, in parts of what there is. */
static struct { double part[TENANTS], used; } *out;

/* CPU of each task, as the kernel counts it. */
static _Atomic uint64_t cpu[TENANTS][TASKS];

static void hog(void *slot)
{
	_Atomic uint64_t *mine = slot;

	for (;;) {
		*mine = quota_thread_cpu();
		baton_checkpoint();
	}
}

static uint64_t cpu_of(unsigned tenant)
{
	uint64_t sum = 0;

	for (unsigned k = 0; k < TASKS; k++)
		sum += cpu[tenant][k];
	return sum;
}

static void half_cpu(const void *arg)
{
	const uint64_t length = (quota_bench.quick ? 4 : 20) * SECOND;
	struct baton_request_opts ro = { .sz = sizeof(ro), .fn = hog };
	struct baton_tenant_opts to = { .sz = sizeof(to) };
	const char *why = cgroup_enter();
	uint64_t before[TENANTS], begin, end;
	struct baton_tenant *t;
	struct baton_sched *s;
	double there_is, error;
	unsigned i, k;

	if (why)
		quota_cannot("%s", why);
	if (baton_sched_create(&s, NULL))
		quota_cannot("no scheduler");
	for (i = 0; i < TENANTS; i++) {
		to.low_ppm = bought[i].low_ppm;
		to.high_ppm = bought[i].high_ppm;
		if (baton_tenant_add(s, &t, &to))
			quota_cannot("no tenant");
		ro.cls = bought[i].cls;
		for (k = 0; k < TASKS; k++) {
			ro.arg = &cpu[i][k];
			if (baton_submit(t, &ro, NULL))
				quota_cannot("no request");
		}
	}
	/* Until the first sliding second is full. */
	begin = baton_clock_now() + 2 * SECOND;
	quota_sleep_to(begin);
	for (i = 0; i < TENANTS; i++)
		before[i] = cpu_of(i);
	quota_sleep_to(begin + length);
	end = baton_clock_now();
	there_is = (double)(end - begin) / 2;
	for (i = 0; i < TENANTS; i++) {
		out->part[i] = 100 * (double)(cpu_of(i) - before[i]) / there_is;
		out->used += out->part[i];
		error = 100 * fabs(1e4 * out->part[i] / (bought[i].low_ppm + bought[i].high_ppm) - 1);
		if (error > quota_out->value)
			quota_out->value = error;
	}
	quota_out->n = length / SECOND;
}

void quota_share_rows(void)
{
	struct bench_result r = { .name = "capacity_half_cpu", .unit = "%" };
	unsigned i;

	if (!bench_wants(&quota_bench, r.name))
		return;
	out = quota_shared(sizeof(*out));
	r.skipped = cgroup_make_limit(50000);
	if (!r.skipped)
		r.skipped = quota_measure(half_cpu, NULL);
	cgroup_remove_limits();
	r.value = quota_out->value;
	r.n = quota_out->n;
	bench_put(&quota_bench, &r);
	for (i = 0; i < TENANTS && !r.skipped; i++) {
		r.name = bought[i].row;
		r.value = out->part[i];
		bench_put(&quota_bench, &r);
	}
	r.name = "capacity_half_cpu_used";
	r.value = out->used;
	if (!r.skipped)
		bench_put(&quota_bench, &r);
}
