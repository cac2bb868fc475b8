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
 * slot. All clocks are read each 5 ms, on time to some us (else that reading is not
 * used), so two of them are one second apart: in a longer window more may be used
 * than its length times the quota, as it may be used at once. What becomes of
 * the readings: quota_windows.h.
 */
#define TENANTS 5
#define STEP (5 * MS)
/* 20 s; and as often again, up to three times, where too few windows were calm. */
#define ROUND 4000
#define POINTS (3 * ROUND)
#define TASKS_MAX 128
/* A reading takes so long for each CPU, and is late by no more. */
#define EACH 2000
#define LATE 20000
/*
 * Taken from each slot in a second, a quarter of the error that is wanted, in gaps
 * longer than what the readings take; and gaps that are noted, for what the kernel
 * charged meanwhile.
 */
#define CALM 5000000
#define TAKEN 200000
#define GAP 50000
#define MARK 200000

static struct {
	clockid_t clock[TASKS_MAX];
	_Atomic unsigned n;
} used_by[TENANTS];
static struct quota_seen *seen[TENANTS][TASKS_MAX];

static unsigned note_clock(size_t tenant)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	clockid_t c;
	unsigned n;

	pthread_getcpuclockid(pthread_self(), &c);
	/* It is counted once it is there. */
	pthread_mutex_lock(&lock);
	n = used_by[tenant].n;
	used_by[tenant].clock[n] = c;
	used_by[tenant].n++;
	pthread_mutex_unlock(&lock);
	return n;
}

static void hog(void *arg)
{
	note_clock((size_t)arg);
	spin(NULL);
}

/* What a task knows of itself, now and then: what it lacks since is a gap. */
struct mark {
	uint64_t at, cpu;
	long slept;
};

static void take_mark(struct mark *m)
{
	struct rusage use;

	getrusage(RUSAGE_THREAD, &use);
	m->slept = use.ru_nvcsw;
	m->cpu = quota_thread_cpu();
	m->at = baton_clock_now();
}

static void note_gap(struct quota_seen *me, const struct mark *before, const struct mark *now, uint64_t from, uint64_t to)
{
	uint64_t cpu = now->cpu - before->cpu, ran = from - before->at;

	/* One that slept was stopped by the scheduler: nobody else took that. */
	if (me->n < QUOTA_GAPS)
		me->gap[me->n++] = (struct quota_gap){
			.at = to, .cpu = cpu > ran ? cpu - ran : 0,
			.time = now->slept == before->slept && to - from >= TAKEN ? to - from : 0,
		};
}

static void watches(void *arg)
{
	struct quota_seen *me = seen[(size_t)arg][note_clock((size_t)arg)];
	struct mark mark, now;
	uint64_t last, t;
	unsigned i;

	take_mark(&mark);
	for (last = mark.at; !over; last = t) {
		/* Most of its time it is not in the library. */
		for (i = 0; i < 16; i++, last = t) {
			t = baton_clock_now();
			if (t - last < GAP && t - mark.at < MARK)
				continue;
			take_mark(&now);
			if (t - last >= GAP)
				note_gap(me, &mark, &now, last, t);
			mark = now;
			t = now.at;
		}
		if (baton_checkpoint())
			return;
		t = baton_clock_now();
		/* It was away: the scheduler's doing. */
		if (t - last > GAP / 5) {
			take_mark(&mark);
			t = mark.at;
		}
	}
}

static uint64_t cpu_of(unsigned tenant)
{
	struct timespec ts;
	uint64_t cpu = 0;
	unsigned i;

	for (i = 0; i < used_by[tenant].n; i++) {
		clock_gettime(used_by[tenant].clock[i], &ts);
		cpu += (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
	}
	return cpu;
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
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_TOLERANT, .fn = watches };
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

static uint64_t cpu[TENANTS][POINTS], at[TENANTS][POINTS];

/* Used in the last second, in % of what was bought, at each time that was measured. */
static void plot(enum quota_system system, const struct quota_windows *w, const uint64_t *taken)
{
	static const char *const names[] = { "unbound", "baton", "cpumax" };
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
	for (x = w->second; x < w->points; x++) {
		fprintf(f, "%.3f", (double)x / w->second);
		for (i = 0; i < TENANTS; i++)
			if (at[i][x] && at[i][x - w->second])
				fprintf(f, " %.3f", 100 * (double)(cpu[i][x] - cpu[i][x - w->second]) / (double)w->bought[i]);
			else
				fprintf(f, " nan");
		fprintf(f, " %.3f\n", 100 * (double)(taken[x] - taken[x - w->second]) / (double)(quota_cpus * SECOND));
	}
	fclose(f);
}

/* The clocks of one tenant after the other, at the same time in each step. */
static void read_clocks(uint64_t now, unsigned x)
{
	uint64_t t;
	unsigned i;

	for (i = 0; i < TENANTS; i++, now += EACH * quota_cpus) {
		do
			t = baton_clock_now();
		while (t < now);
		cpu[i][x] = cpu_of(i);
		at[i][x] = baton_clock_now() - now < EACH * quota_cpus + LATE ? t : 0;
	}
}

void quota_error(const void *arg)
{
	const enum quota_system system = *(const enum quota_system *)arg;
	static uint64_t bought[TENANTS], taken[POINTS];
	struct quota_windows w = {
		.tenants = TENANTS, .tasks = TASKS_MAX, .slots = quota_cpus, .room = POINTS, .second = SECOND / STEP,
		.step = STEP, .calm = (uint64_t)CALM * quota_cpus, .bought = bought, .at = at[0], .cpu = cpu[0],
		.seen = system == QUOTA_CPUMAX ? NULL : seen[0],
	};
	const unsigned round = quota_bench.quick ? 4 * SECOND / STEP : ROUND;
	struct quota_errors e;
	unsigned i, k, x;

	if (quota_cpus > TASKS_MAX / 2)
		quota_cannot("not made for %u CPUs", quota_cpus);
	for (i = 0; i < TENANTS; i++) {
		bought[i] = (uint64_t)quota_cpus * 1000 * ppm[i];
		for (k = 0; k < 2 * quota_cpus; k++) {
			seen[i][k] = calloc(1, sizeof(*seen[i][k]));
			if (!seen[i][k])
				quota_cannot("no memory");
		}
	}
	if (system == QUOTA_CPUMAX)
		start_threads();
	else
		start_tenants(system == QUOTA_BOUND);
	setpriority(PRIO_PROCESS, (id_t)gettid(), -20);
	prctl(PR_SET_TIMERSLACK, 1);
	w.begin = baton_clock_now() + STEP;
	for (x = 0; x < POINTS; x++) {
		quota_sleep_to(w.begin + x * STEP - 20000);
		read_clocks(w.begin + x * STEP, x);
		if ((x + 1) % round)
			continue;
		w.points = x + 1;
		quota_windows(&w, taken, &e);
		if (quota_bench.quick || e.calm >= e.windows / 4)
			break;
	}
	plot(system, &w, taken);
	if (e.windows < 10 * TENANTS)
		quota_cannot("only %u windows were measured on time: the machine is too busy", e.windows);
	quota_out->value = system == QUOTA_CPUMAX ? bench_median(e.part, QUOTA_PARTS) : e.sliding;
	quota_out->n = system == QUOTA_CPUMAX ? e.windows : e.calm;
	quota_out->error = e;
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
		kernel = cpu_of(i);
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

