// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench quota: what tenants got against what they bought, and what the ledger
 * says of it against what the kernel does.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <baton/baton.h>

#include "baton.h"
#include "bench.h"
#include "bench_quota.h"
#include "cgroup.h"

static _Atomic bool over;

static void spin(void *arg)
{
	while (!over && !baton_checkpoint())
		;
}

/*
 * What each tenant used is what the kernel counted for its threads: the ledger
 * cannot be its own judge, and knows of a task that runs only since when it has its
 * slot. All clocks are read each 5 ms, on time to some us (a reading that was late
 * is not used), so two of them are exactly one second apart: in a longer window
 * more may be used than its length times the quota, as it may be used at once.
 *
 * Any window counts. The worst of each of five parts, and of those the median:
 * what a burst of other work on this machine takes away is an error of this
 * machine. The worst of all is shown beside it.
 */
#define TENANTS 5
#define STEP (5 * MS)
#define POINTS 4000
#define TASKS_MAX 128
#define LATE 20000

static struct {
	clockid_t clock[TASKS_MAX];
	_Atomic unsigned n;
} used_by[TENANTS];

static void note_clock(size_t tenant)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	clockid_t c;

	pthread_getcpuclockid(pthread_self(), &c);
	/* It is counted once it is there. */
	pthread_mutex_lock(&lock);
	used_by[tenant].clock[used_by[tenant].n] = c;
	used_by[tenant].n++;
	pthread_mutex_unlock(&lock);
}

static void hog(void *arg)
{
	note_clock((size_t)arg);
	spin(NULL);
}

/* Of a tenant, at this time; false: not on time. */
static bool used_at(unsigned tenant, uint64_t t, uint64_t *cpu)
{
	struct timespec ts;
	unsigned i;

	*cpu = 0;
	for (i = 0; i < used_by[tenant].n; i++) {
		clock_gettime(used_by[tenant].clock[i], &ts);
		*cpu += (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
	}
	return baton_clock_now() - t <= LATE;
}

static void raise_to(double *worst, double error)
{
	if (error > *worst)
		*worst = error;
}

static const unsigned ppm[TENANTS] = { 10000, 50000, 100000, 200000, 300000 };

const char *quota_error_prepare(enum quota_system system)
{
	unsigned long us[TENANTS];
	unsigned i;

	for (i = 0; i < TENANTS; i++)
		us[i] = (unsigned long)ppm[i] * quota_cpus / 10;
	return system == QUOTA_CPUMAX ? cgroup_make_limits(TENANTS, us) : NULL;
}

void quota_error_clean_up(enum quota_system system)
{
	if (system == QUOTA_CPUMAX)
		cgroup_remove_limits();
}

static void *limited_hog(void *arg)
{
	if (cgroup_add_limited((unsigned)(size_t)arg))
		_exit(9);
	hog(arg);
	return NULL;
}

static void start_threads(void)
{
	const char *why = cgroup_enter_limits();
	pthread_t t;
	unsigned i, k;

	if (why)
		quota_cannot("%s", why);
	for (i = 0; i < TENANTS; i++)
		for (k = 0; k < 2 * quota_cpus; k++)
			if (pthread_create(&t, NULL, limited_hog, (void *)(size_t)i))
				quota_cannot("no threads");
}

static void start_tenants(bool bind)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_TOLERANT, .fn = hog };
	struct baton_sched_opts so = { .sz = sizeof(so), .bind = bind };
	struct baton_tenant_opts to = { .sz = sizeof(to) };
	struct baton_tenant *t;
	struct baton_sched *s;
	unsigned i, k;

	if (baton_sched_create(&s, &so))
		quota_cannot("no scheduler");
	for (i = 0; i < TENANTS; i++) {
		to.low_ppm = ppm[i];
		if (baton_tenant_add(s, &t, &to))
			quota_cannot("no tenant");
		o.arg = (void *)(size_t)i;
		for (k = 0; k < 2 * quota_cpus; k++)
			if (baton_submit(t, &o, NULL))
				quota_cannot("no request");
	}
}

/* Used in the last second, in % of what was bought, at each time that was measured. */
static void plot(enum quota_system system, uint64_t cpu[TENANTS][POINTS], bool good[TENANTS][POINTS], unsigned n)
{
	static const char *const names[] = { "unbound", "baton", "cpumax" };
	const unsigned second = SECOND / STEP;
	const char *dir = getenv("BATON_QUOTA_PLOT");
	char name[512];
	unsigned x, i;
	FILE *f;

	if (!dir)
		return;
	snprintf(name, sizeof(name), "%s/used-%s.dat", dir, names[system]);
	f = fopen(name, "w");
	if (!f)
		quota_cannot("cannot write %s", name);
	for (x = second; x < n; x++) {
		fprintf(f, "%.3f", (double)x / second);
		for (i = 0; i < TENANTS; i++)
			if (good[i][x] && good[i][x - second])
				fprintf(f, " %.3f", 100 * (double)(cpu[i][x] - cpu[i][x - second]) /
						    (1000.0 * quota_cpus * ppm[i]));
			else
				fprintf(f, " nan");
		fprintf(f, "\n");
	}
	fclose(f);
}

void quota_error(const void *arg)
{
	const enum quota_system system = *(const enum quota_system *)arg;
	static uint64_t cpu[TENANTS][POINTS];
	static bool good[TENANTS][POINTS];
	double over_worst = 0, sliding_worst = 0, aligned_worst = 0, part[PARTS] = { 0 };
	const unsigned n = quota_bench.quick ? 4 * SECOND / STEP : POINTS, second = SECOND / STEP;
	unsigned i, x, windows = 0;
	uint64_t begin, now;

	if (quota_cpus > TASKS_MAX / 2)
		quota_cannot("not made for %u CPUs", quota_cpus);
	if (system == QUOTA_CPUMAX)
		start_threads();
	else
		start_tenants(system == QUOTA_BOUND);
	setpriority(PRIO_PROCESS, (id_t)gettid(), -20);
	prctl(PR_SET_TIMERSLACK, 1);
	begin = baton_clock_now() + STEP;
	for (x = 0; x < n; x++) {
		now = begin + x * STEP;
		quota_sleep_to(now - 50000);
		for (i = 0; i < TENANTS; i++) {
			/* One after the other, each at the same time of each step. */
			while (baton_clock_now() < now + i * LATE)
				;
			good[i][x] = used_at(i, now + i * LATE, &cpu[i][x]);
		}
	}
	plot(system, cpu, good, n);
	/* The first second fills the window. */
	for (x = second + second / 2; x + second < n; x++) {
		for (i = 0; i < TENANTS; i++) {
			double quota = (double)quota_cpus * 1000 * ppm[i], error;

			if (!good[i][x] || !good[i][x + second])
				continue;
			windows++;
			error = 100 * ((double)(cpu[i][x + second] - cpu[i][x]) / quota - 1);
			raise_to(&over_worst, error);
			error = fabs(error);
			raise_to(&sliding_worst, error);
			raise_to(&part[(uint64_t)x * PARTS / n], error);
			if (x % second == 0)
				raise_to(&aligned_worst, error);
		}
	}
	if (windows < 10 * TENANTS)
		quota_cannot("only %u windows were measured on time: the machine is too busy", windows);
	quota_out->value = bench_median(part, PARTS);
	quota_out->p99 = sliding_worst;
	quota_out->p999 = over_worst;
	quota_out->p50 = aligned_worst;
	quota_out->n = windows;
	_exit(0);
}

/* Runs, gives way, sleeps: all that a thread may do between two readings of its clock. */
static void mixes(void *arg)
{
	uint64_t end;

	note_clock((size_t)arg);
	while (!over) {
		for (end = baton_clock_now() + 20 * MS; baton_clock_now() < end;)
			baton_checkpoint();
		baton_sleep_until(baton_clock_now() + MS);
	}
}

/* Each tenant has threads of its own: what the kernel counted for them is its. */
void quota_attribution(const void *arg)
{
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = mixes };
	struct baton_tenant *t[2];
	struct baton_sched *s;
	unsigned i, k;

	if (baton_sched_create(&s, NULL))
		quota_cannot("no scheduler");
	for (i = 0; i < 2; i++) {
		if (baton_tenant_add(s, &t[i], &to))
			quota_cannot("no tenant");
		o.arg = (void *)(size_t)i;
		for (k = 0; k < 4; k++)
			if (baton_submit(t[i], &o, NULL))
				quota_cannot("no request");
	}
	quota_sleep_to(baton_clock_now() + (quota_bench.quick ? 2 : 60) * SECOND);
	for (i = 0; i < 2; i++) {
		struct baton_tenant_stats st;
		uint64_t kernel;
		double error;

		baton_tenant_stats(t[i], &st, sizeof(st));
		used_at(i, 0, &kernel);
		error = 100 * fabs((double)st.cpu[BATON_TIER_HIGH] / (double)kernel - 1);
		quota_out->n += st.admitted;
		if (error > quota_out->value)
			quota_out->value = error;
	}
	_exit(0);
}

static _Atomic uint64_t kernel_cpu[2];

static void counted(void *arg)
{
	uint64_t before = quota_thread_cpu(), end = baton_clock_now() + 20 * MS;

	while (baton_clock_now() < end)
		baton_checkpoint();
	atomic_fetch_add(&kernel_cpu[(size_t)arg], quota_thread_cpu() - before);
}

/* Threads that serve both tenants, by what tasks see: without the library's work for them. */
void quota_overhead(const void *arg)
{
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = counted };
	uint64_t end = baton_clock_now() + (quota_bench.quick ? 2 : 20) * SECOND;
	struct baton_tenant *t[2];
	struct baton_request *r[8];
	struct baton_sched *s;
	size_t i;

	if (baton_sched_create(&s, NULL))
		quota_cannot("no scheduler");
	for (i = 0; i < 2; i++)
		if (baton_tenant_add(s, &t[i], &to))
			quota_cannot("no tenant");
	while (baton_clock_now() < end) {
		for (i = 0; i < 8; i++) {
			o.arg = (void *)(i % 2);
			if (baton_submit(t[i % 2], &o, &r[i]))
				quota_cannot("no request");
		}
		for (i = 0; i < 8; i++) {
			baton_request_wait(r[i]);
			baton_request_put(r[i]);
			quota_out->n++;
		}
	}
	for (i = 0; i < 2; i++) {
		struct baton_tenant_stats st;
		double error;

		baton_tenant_stats(t[i], &st, sizeof(st));
		error = 100 * fabs((double)st.cpu[BATON_TIER_HIGH] / (double)kernel_cpu[i] - 1);
		if (error > quota_out->value)
			quota_out->value = error;
	}
	_exit(0);
}

