// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench quota: what tenants got against what they bought, and what the ledger
 * says of it against what the kernel does.
 */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
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
 * A tenant's use is what the kernel counted for its threads: the ledger
 * cannot be its own judge, and knows of a task that runs only since when it has its
 * slot. All clocks are read each 5 ms, on time to some us (else that reading is not
 * used), so two of them are one second apart: in a longer window more may be used
 * than its length times the quota, as it may be used at once. What becomes of
 * the readings: quota_windows.h.
 */
#define TENANTS_MAX 20
#define STEP (5 * MS)
/* 20 s; and as often again, up to three times, where too few windows were calm. */
#define ROUND 4000
#define POINTS (3 * ROUND)
#define TASKS_MAX 128
/* A reading takes so long for each CPU, and is late by no more. */
#define EACH 5000
#define LATE 20000
/* How long before it this thread asks to be woken. */
#define LEAD_MIN 20000
#define LEAD_MAX 400000
/*
 * CPU that may be taken in a window that counts: a quarter of the error that is wanted (1.5%), of all that is sold and
 * of what the tenant itself bought, in gaps longer than what the readings take; and gaps that are noted, for what the
 * kernel charged meanwhile.
 */
#define CALM (0.015 / 4)
#define TAKEN 200000
#define GAP 50000
#define MARK 200000

static struct {
	clockid_t clock[TASKS_MAX];
	_Atomic unsigned n;
} used_by[TENANTS_MAX];
static struct quota_seen *seen[TENANTS_MAX][TASKS_MAX];

static unsigned note_clock(size_t tenant)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	clockid_t c;
	unsigned n;

	pthread_getcpuclockid(pthread_self(), &c);
	/* The clock is counted once it is there. */
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

/* Without a checkpoint. */
static void spins(void *arg)
{
	note_clock((size_t)arg);
	while (!over)
		;
}

/* Figures that a task reads of itself, now and then: time that it lacks since is a gap. */
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

	/* A task that slept was stopped by the scheduler: nobody else took that. */
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
		/* The task was away: the scheduler's doing. */
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

enum error_system { UNBOUND, BOUND, LIMITS, SPINNERS };

/* Tenants that want all, with what they bought. */
struct error_load {
	enum error_system system;
	unsigned tenants;
	const unsigned *ppm;		/* NULL: 3,000 each */
	unsigned tasks;			/* each tenant's; 0: two for each CPU */
	baton_task_fn *fn;
	const char *plot;		/* NULL: no picture */
};

static unsigned bought_ppm(const struct error_load *l, unsigned tenant)
{
	return l->ppm ? l->ppm[tenant] : 3000;
}

static unsigned tasks_of(const struct error_load *l)
{
	return l->tasks ? l->tasks : 2 * quota_cpus;
}

static void *limited_hog(void *arg)
{
	if (cgroup_add_limited((unsigned)(size_t)arg))
		_exit(9);
	hog(arg);
	return NULL;
}

static void start_threads(const struct error_load *l)
{
	const char *why = cgroup_enter_limits();
	pthread_t t;
	unsigned i, k;

	if (why)
		quota_cannot("%s", why);
	for (i = 0; i < l->tenants; i++)
		for (k = 0; k < tasks_of(l); k++)
			if (pthread_create(&t, NULL, limited_hog, (void *)(size_t)i))
				quota_cannot("no threads");
}

static void start_tenants(const struct error_load *l)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_TOLERANT, .fn = l->fn };
	struct baton_sched_opts so = { .sz = sizeof(so), .bind = l->system == BOUND };
	struct baton_tenant_opts to = { .sz = sizeof(to) };
	struct baton_tenant *t;
	struct baton_sched *s;
	unsigned i, k;

	if (baton_sched_create(&s, &so))
		quota_cannot("no scheduler");
	for (i = 0; i < l->tenants; i++) {
		to.low_ppm = bought_ppm(l, i);
		if (baton_tenant_add(s, &t, &to))
			quota_cannot("no tenant");
		o.arg = (void *)(size_t)i;
		for (k = 0; k < tasks_of(l); k++)
			if (baton_submit(t, &o, NULL))
				quota_cannot("no request");
	}
}

static uint64_t cpu[TENANTS_MAX][POINTS], at[TENANTS_MAX][POINTS];

/* Used in the last second, in % of what was bought, at each time that was measured. */
static void plot(const char *what, const struct quota_windows *w, const uint64_t *taken)
{
	const char *dir = getenv("BATON_QUOTA_PLOT");
	char name[512];
	unsigned x, i;
	FILE *f;

	if (!dir || !what)
		return;
	snprintf(name, sizeof(name), "%s/used-%s.dat", dir, what);
	f = fopen(name, "w");
	if (!f)
		quota_cannot("cannot write %s", name);
	for (x = w->second; x < w->points; x++) {
		fprintf(f, "%.3f", (double)x / w->second);
		for (i = 0; i < w->tenants; i++)
			if (at[i][x] && at[i][x - w->second])
				fprintf(f, " %.3f", 100 * (double)(cpu[i][x] - cpu[i][x - w->second]) / (double)w->bought[i]);
			else
				fprintf(f, " nan");
		fprintf(f, " %.3f\n", 100 * (double)(taken[x] - taken[x - w->second]) / (double)(quota_cpus * SECOND));
	}
	fclose(f);
}

/* The clocks of one tenant after the other, at the same time in each step. */
static void read_clocks(unsigned tenants, uint64_t now, unsigned x)
{
	static uint64_t lead = LEAD_MIN;
	uint64_t t;
	unsigned i;

	quota_sleep_to(now - lead);
	/* Nine of ten wake-ups come on time, whatever this machine needs for that. */
	if (baton_clock_now() > now)
		lead = lead + 9000 < LEAD_MAX ? lead + 9000 : LEAD_MAX;
	else if (lead > LEAD_MIN)
		lead -= 1000;
	for (i = 0; i < tenants; i++, now += EACH * quota_cpus) {
		do
			t = baton_clock_now();
		while (t < now);
		cpu[i][x] = cpu_of(i);
		at[i][x] = baton_clock_now() - now < EACH * quota_cpus + LATE ? t : 0;
	}
}

/* The most and the least that a tenant got of what it bought, over all whole seconds. */
static void add_up_got(const struct quota_windows *w)
{
	unsigned i, x, last;

	quota_out->got_least = INFINITY;
	for (i = 0; i < w->tenants; i++) {
		const uint64_t *when = w->at + i * w->room, *used = w->cpu + i * w->room;
		double got;

		/* The first second fills the window. */
		for (x = w->second + w->second / 2; ; x++) {
			if (x + w->second >= w->points)
				quota_cannot("no reading of tenant %u was on time: the machine is too busy", i);
			last = x + (w->points - 1 - x) / w->second * w->second;
			if (when[x] && when[last])
				break;
		}
		got = (double)(used[last] - used[x]) / ((double)w->bought[i] * (last - x) / w->second);
		if (got > quota_out->got_most)
			quota_out->got_most = got;
		if (got < quota_out->got_least)
			quota_out->got_least = got;
	}
}

static void measure_error(const void *arg)
{
	const struct error_load *l = arg;
	static uint64_t bought[TENANTS_MAX], taken[2 * POINTS];
	struct quota_windows w = {
		.tenants = l->tenants, .tasks = TASKS_MAX, .slots = quota_cpus, .room = POINTS, .second = SECOND / STEP,
		.step = STEP, .calm_own = CALM, .bought = bought, .at = at[0], .cpu = cpu[0],
		.seen = l->fn == watches ? seen[0] : NULL,
	};
	const unsigned round = quota_bench.quick ? 4 * SECOND / STEP : ROUND;
	struct quota_errors e;
	unsigned i, k, x;

	if (quota_cpus > TASKS_MAX / 2)
		quota_cannot("not made for %u CPUs", quota_cpus);
	for (i = 0; i < l->tenants; i++) {
		bought[i] = (uint64_t)quota_cpus * 1000 * bought_ppm(l, i);
		w.calm += (uint64_t)(CALM * (double)bought[i]);
		for (k = 0; k < tasks_of(l); k++) {
			seen[i][k] = w.seen ? calloc(1, sizeof(*seen[i][k])) : NULL;
			if (w.seen && !seen[i][k])
				quota_cannot("no memory");
		}
	}
	if (l->system == LIMITS)
		start_threads(l);
	else
		start_tenants(l);
	quota_punctual();
	/*
	 * Nothing of the library's is called in this thread: nobody waits for a lock of it. Where the thread may not be of
	 * that class, it stays what it is.
	 */
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &(struct sched_param){ .sched_priority = 1 });
	w.begin = baton_clock_now() + STEP;
	for (x = 0; x < POINTS; x++) {
		read_clocks(l->tenants, w.begin + x * STEP, x);
		if ((x + 1) % round)
			continue;
		w.points = x + 1;
		quota_windows(&w, taken, &e);
		if (quota_bench.quick || !w.seen || e.calm >= e.windows / 4)
			break;
	}
	plot(l->plot, &w, taken);
	if (e.windows < 10 * l->tenants)
		quota_cannot("only %u windows were measured on time: the machine is too busy", e.windows);
	add_up_got(&w);
	quota_out->value = l->system == LIMITS ? bench_median(e.part, QUOTA_PARTS) : e.sliding;
	quota_out->n = l->system == LIMITS ? e.windows : e.calm;
	quota_out->error = e;
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
static void attribution(const void *arg)
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
}

static _Atomic uint64_t kernel_cpu[2];
/* How long a task is; and what one reading of its clock takes, half of it before and half of it after what is read. */
static uint64_t task_ns, reading_ns;

static void counted(void *arg)
{
	uint64_t before = quota_thread_cpu(), end = baton_clock_now() + task_ns;

	while (baton_clock_now() < end)
		baton_checkpoint();
	atomic_fetch_add(&kernel_cpu[(size_t)arg], quota_thread_cpu() - before + reading_ns);
}

static uint64_t measure_reading(void)
{
	uint64_t least = SECOND, from, took;
	unsigned i;

	for (i = 0; i < 1000; i++) {
		from = quota_thread_cpu();
		took = quota_thread_cpu() - from;
		least = took < least ? took : least;
	}
	return least;
}

/* Threads that serve both tenants, by what tasks see: without the library's work for them. arg: how long tasks are. */
static void overhead(const void *arg)
{
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = counted };
	uint64_t end = baton_clock_now() + (quota_bench.quick ? 2 : 20) * SECOND;
	struct baton_tenant *t[2];
	struct baton_request *r[8];
	struct baton_sched *s;
	size_t i;

	task_ns = *(const uint64_t *)arg;
	reading_ns = measure_reading();
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
}

/* ------------------------------------------------------------------- rows */

static void put(const char *name, const char *unit, double value, unsigned long n, const char *skipped)
{
	struct bench_result r = { .name = name, .unit = unit, .value = value, .n = n, .skipped = skipped };

	bench_put(&quota_bench, &r);
}

/* NULL, or why nothing can be said of what was too little. */
static const char *not_calm(void)
{
	static char why[120];
	const struct quota_errors *e = &quota_out->error;

	if (e->calm >= e->windows / 10)
		return NULL;
	snprintf(why, sizeof(why), "others had %.1f%% of the CPUs while tasks wanted them, in %.0f%% of all seconds", e->taken,
		 100.0 * (e->windows - e->calm) / e->windows);
	return why;
}

/* Too much counts in all windows, however busy the machine. */
static void bound_rows(const char *why)
{
	const struct quota_errors *e = &quota_out->error;
	const char *busy = why ? why : not_calm();

	put("error_sliding_worst", "%", e->sliding, e->calm, busy);
	put("error_aligned_worst", "%", e->aligned, e->calm, busy);
	put("error_sliding_worst_of_all", "%", e->sliding_all, e->windows, why);
	put("error_over_worst", "%", e->over, e->windows, why);
	put("error_over_beyond_checkpoint", "%", e->beyond, e->windows, why);
	put("error_taken_by_others", "%", e->taken, e->windows, why);
	put("error_disturbed_windows", "%", 100.0 * (e->windows - e->calm) / e->windows, e->windows, why);
}

static void spinner_rows(const char *why)
{
	const struct quota_errors *e = &quota_out->error;

	put("error_spinners_got", "x", quota_out->got_most, e->windows, why);
	put("error_spinners_got_least", "x", quota_out->got_least, e->windows, why);
	put("error_spinners_sliding", "%", e->over, e->windows, why);
}

static const unsigned five[] = { 10000, 50000, 100000, 200000, 300000 };
static const struct error_load bound = { BOUND, 5, five, 0, watches, "baton" }, unbound = { UNBOUND, 5, five, 0, watches, "unbound" },
	limits = { LIMITS, 5, five, 0, hog, "cpumax" }, spinners = { SPINNERS, 20, NULL, 2, spins, NULL };

static const char *measure_limits(void)
{
	unsigned long us[TENANTS_MAX];
	const char *why;
	unsigned i;

	for (i = 0; i < limits.tenants; i++)
		us[i] = (unsigned long)limits.ppm[i] * quota_cpus / 10;
	why = cgroup_make_limits(limits.tenants, us);
	if (!why)
		why = quota_measure(measure_error, &limits);
	cgroup_remove_limits();
	return why;
}

/* Is one of these rows, which come from one measurement, wanted? */
static bool wants_any(const char *const *names)
{
	for (; *names; names++)
		if (bench_wants(&quota_bench, *names))
			return true;
	return false;
}

void quota_error_rows(void)
{
	static const uint64_t long_task = 20 * MS, short_task = MS / 20;
	static const char *const of_bound[] = { "error_sliding_worst", "error_aligned_worst", "error_over_worst", NULL },
		*const of_spinners[] = { "error_spinners_got", "error_spinners_sliding", NULL };
	const char *why;

	if (wants_any(of_bound))
		bound_rows(quota_measure(measure_error, &bound));
	if (bench_wants(&quota_bench, "error_sliding_worst_unbound")) {
		why = quota_measure(measure_error, &unbound);
		put("error_sliding_worst_unbound", "%", quota_out->value, quota_out->n, why ? why : not_calm());
	}
	if (bench_wants(&quota_bench, "error_sliding_worst_cpumax")) {
		why = measure_limits();
		put("error_sliding_worst_cpumax", "%", quota_out->value, quota_out->n, why);
	}
	if (wants_any(of_spinners))
		spinner_rows(quota_measure(measure_error, &spinners));
	quota_row("ledger_vs_kernel_worst", "%", attribution, NULL, NULL);
	quota_row("ledger_vs_tasks_worst", "%", overhead, &long_task, NULL);
	quota_row("ledger_vs_tasks_50us", "%", overhead, &short_task, NULL);
}
