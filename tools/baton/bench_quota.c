// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton bench quota - what the scheduler costs, and what it keeps.
 *
 * The main figure: a tenant that bought 10% of the machine and asks for half of
 * that, a millisecond of CPU every so often whether or not it was answered
 * (open loop), beside neighbours that want ten times the machine. The value is
 * how long its requests wait, from when they were due to when they begin, at
 * the 99th percentile (the median of five parts of the run; p50, p99 and p999 are
 * those of all of it); the ratio is to the same system without neighbours.
 * Each measurement is a process of its own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <baton/baton.h>

#include "baton.h"
#include "bench.h"
#include "bench_quota.h"
#include "cgroup.h"

#define MAX_SAMPLES 20000
/* The first requests find threads and pages that are not there yet. */
#define WARM 10

struct quota_out *quota_out;
struct bench quota_bench;
unsigned quota_cpus;

uint64_t quota_thread_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

void quota_sleep_to(uint64_t t)
{
	struct timespec ts = { (time_t)(t / SECOND), (long)(t % SECOND) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

void quota_cannot(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(quota_out->why_not, sizeof(quota_out->why_not), fmt, ap);
	va_end(ap);
	_exit(0);
}

/* Runs fn(arg) in a process of its own; false: quota_out->why_not. */
static bool measure(void (*fn)(const void *), const void *arg)
{
	int status;
	pid_t pid;

	memset(quota_out, 0, sizeof(*quota_out));
	fflush(NULL);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(arg);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!quota_out->why_not[0] && status)
		snprintf(quota_out->why_not, sizeof(quota_out->why_not), "its process ended with status %#x", (unsigned)status);
	return !quota_out->why_not[0];
}

static int by_size(const void *a, const void *c)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)c;

	return (x > y) - (x < y);
}

static void quantiles(uint64_t *v, unsigned long n, double unit)
{
	if (!n)
		quota_cannot("no samples");
	qsort(v, n, sizeof(*v), by_size);
	quota_out->n = n;
	quota_out->p50 = (double)v[n / 2] / unit;
	quota_out->p99 = (double)v[n * 99 / 100] / unit;
	quota_out->p999 = (double)v[n * 999 / 1000] / unit;
	quota_out->value = quota_out->p99;
}

/* ------------------------------------------------------------- isolation */

enum neighbours { ALONE, CHECKPOINTING, SPINNER, SQLITE };
enum system { THREADPOOL, THREAD, NICE, CPUMAX, CPUWEIGHT, BATON, DEMOTE };

static const char *const neighbour_names[] = { "alone", "checkpointing", "spinner", "sqlite350ms" };
static const char *const system_names[] = { "threadpool", "thread", "nice", "cpumax", "cpuweight", "baton", "baton_demote" };

struct isolation {
	enum system system;
	enum neighbours neighbours;
};

static uint64_t wait_ns[MAX_SAMPLES], total_ns[MAX_SAMPLES];
static uint64_t due[MAX_SAMPLES];
static _Atomic unsigned long answered;
static _Atomic bool over;
static enum neighbours neighbour;
static char group[2][512];

/* A request of the paying tenant: a millisecond of CPU. */
static void paying(void *arg)
{
	size_t i = (size_t)arg;
	uint64_t end = quota_thread_cpu() + MS;

	wait_ns[i] = baton_clock_now() - due[i];
	while (quota_thread_cpu() < end)
		baton_checkpoint();
	total_ns[i] = baton_clock_now() - due[i];
	atomic_fetch_add(&answered, 1);
}

static int (*sql_open)(const char *, void **);
static int (*sql_exec)(void *, const char *, void *, void *, void *);
static int (*sql_close)(void *);

static void need_sqlite(void)
{
	void *lib = dlopen("libsqlite3.so.0", RTLD_NOW);

	if (!lib)
		quota_cannot("no libsqlite3.so.0 (Debian: libsqlite3-0)");
	*(void **)&sql_open = dlsym(lib, "sqlite3_open");
	*(void **)&sql_exec = dlsym(lib, "sqlite3_exec");
	*(void **)&sql_close = dlsym(lib, "sqlite3_close");
	if (!sql_open || !sql_exec || !sql_close)
		quota_cannot("libsqlite3.so.0 lacks what it had for 20 years");
}

/* Half a second of a neighbour's work. */
static void neighbour_job(void *arg)
{
	uint64_t end = quota_thread_cpu() + SECOND / 2;
	void *db;

	if (neighbour == SQLITE) {
		if (sql_open(":memory:", &db))
			return;
		while (!over && quota_thread_cpu() < end)
			sql_exec(db, "SELECT length(replace(hex(zeroblob(2e7)),'00','ab'))", NULL, NULL, NULL);
		sql_close(db);
		return;
	}
	while (!over) {
		if (neighbour == CHECKPOINTING && baton_checkpoint())
			break;
		if (neighbour == SPINNER && quota_thread_cpu() >= end)
			break;
		if (neighbour == CHECKPOINTING && quota_thread_cpu() >= end)
			break;
	}
}

/* Threads, and a list: as many as CPUs, or more in a cgroup of their own. */
#define CGROUP_POOL 64

struct job {
	baton_task_fn *fn;
	void *arg;
	struct job *next;
};
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pool_more = PTHREAD_COND_INITIALIZER;
static struct job *pool_first, **pool_last = &pool_first;
static bool pool_again;		/* neighbours' jobs come back */

static void pool_add(struct job *j)
{
	pthread_mutex_lock(&pool_lock);
	j->next = NULL;
	*pool_last = j;
	pool_last = &j->next;
	pthread_cond_signal(&pool_more);
	pthread_mutex_unlock(&pool_lock);
}

static void *pool_worker(void *arg)
{
	struct job *j;

	if (arg && cgroup_add_thread(arg))
		_exit(9);
	for (;;) {
		pthread_mutex_lock(&pool_lock);
		while (!(j = pool_first))
			pthread_cond_wait(&pool_more, &pool_lock);
		pool_first = j->next;
		if (!pool_first)
			pool_last = &pool_first;
		pthread_mutex_unlock(&pool_lock);
		j->fn(j->arg);
		if (pool_again && j->fn == neighbour_job)
			pool_add(j);
	}
	return NULL;
}

/* dir: a cgroup, or NULL. */
static void pool_start(unsigned threads, char *dir)
{
	pthread_t t;
	unsigned i;

	for (i = 0; i < threads; i++)
		if (pthread_create(&t, NULL, pool_worker, dir))
			quota_cannot("no threads");
}

static enum system system_now;

static void *neighbour_thread(void *arg)
{
	if (system_now == NICE)
		setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	if ((system_now == CPUMAX || system_now == CPUWEIGHT) && cgroup_add_thread(group[1]))
		_exit(9);
	while (!over)
		neighbour_job(NULL);
	return NULL;
}

static void *paying_thread(void *arg)
{
	paying(arg);
	return NULL;
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		quota_cannot("%s: %s", path, strerror(errno));
	close(fd);
}

static struct baton_tenant *payer, *hostile;

static void *neighbour_feeder(void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = neighbour_job };
	struct baton_request *r;

	while (!over) {
		if (baton_submit(hostile, &o, &r))
			return NULL;
		baton_request_wait(r);
		baton_request_put(r);
	}
	return NULL;
}

static void start_baton(void)
{
	struct baton_sched_opts so = {
		.sz = sizeof(so), .bind = true, .rescue = system_now == DEMOTE ? BATON_RESCUE_DEMOTE : BATON_RESCUE_STOP,
	};
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = 100000 };
	struct baton_sched *s;

	if (baton_sched_create(&s, &so) || baton_tenant_add(s, &payer, &o))
		quota_cannot("no scheduler");
	o.low_ppm = 0;
	o.high_ppm = 10000000;
	if (baton_tenant_add(s, &hostile, &o))
		quota_cannot("no tenant");
}

/* Ten times the machine. */
static void start_neighbours(enum system system)
{
	static struct job jobs[10 * 64];
	pthread_t t;
	unsigned i;

	pool_again = true;
	for (i = 0; i < 10 * quota_cpus && i < 640; i++) {
		if (system == THREADPOOL) {
			jobs[i].fn = neighbour_job;
			pool_add(&jobs[i]);
		} else if (pthread_create(&t, NULL, system >= BATON ? neighbour_feeder : neighbour_thread, NULL)) {
			quota_cannot("no threads");
		}
	}
}

/* The median of parts: a burst of somebody else's work on this machine is in one of them. */
static double p99_of_parts(const uint64_t *v, unsigned long n)
{
	static uint64_t part[MAX_SAMPLES];
	double p99[PARTS];

	for (size_t i = 0; i < PARTS; i++) {
		size_t first = i * n / PARTS, count = (i + 1) * n / PARTS - first;

		memcpy(part, v + first, count * sizeof(*part));
		qsort(part, count, sizeof(*part), by_size);
		p99[i] = (double)part[count * 99 / 100] / 1000;
	}
	return bench_median(p99, PARTS);
}

static void isolation(const void *arg)
{
	const struct isolation *c = arg;
	uint64_t now, period, end;
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_CRITICAL, .fn = paying };
	static struct job jobs[MAX_SAMPLES];
	unsigned long n = 0, lost = 0;
	double wait;
	const char *why;
	pthread_t t;

	/* Half of 10% of the machine, a millisecond at a time. */
	period = SECOND / (50 * quota_cpus);
	neighbour = c->neighbours;
	system_now = c->system;
	if (neighbour == SQLITE)
		need_sqlite();
	if (c->system == CPUMAX || c->system == CPUWEIGHT) {
		why = cgroup_enter();
		if (why)
			quota_cannot("%s", why);
		if (c->system == CPUMAX) {
			char max[64];

			snprintf(max, sizeof(max), "%u 100000", 90000 * quota_cpus);
			write_file(group[1], "cpu.max", max);
		} else {
			write_file(group[0], "cpu.weight", "1000");
			write_file(group[1], "cpu.weight", "10");
		}
	}
	if (c->system >= BATON)
		start_baton();
	if (c->system == THREADPOOL)
		pool_start(quota_cpus, NULL);
	/* To enter a cgroup takes 10 ms: whoever serves the paying tenant is there before. */
	if (c->system == CPUMAX || c->system == CPUWEIGHT)
		pool_start(CGROUP_POOL, group[0]);
	if (neighbour != ALONE)
		start_neighbours(c->system);
	quota_sleep_to(baton_clock_now() + SECOND / 2);
	/* Who sends the requests is not part of the system: it is always on time. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), -20);
	prctl(PR_SET_TIMERSLACK, 1);
	now = baton_clock_now();
	for (end = now + (quota_bench.quick ? 1 : 10) * SECOND; now < end && n < MAX_SAMPLES; now += period) {
		quota_sleep_to(now);
		due[n] = now;
		switch (c->system) {
		case BATON:
		case DEMOTE:
			o.arg = (void *)n;
			o.arrival = now;
			if (baton_submit(payer, &o, NULL)) {
				lost++;
				continue;
			}
			break;
		case THREADPOOL:
		case CPUMAX:
		case CPUWEIGHT:
			jobs[n] = (struct job){ .fn = paying, .arg = (void *)n };
			pool_add(&jobs[n]);
			break;
		default: {
			pthread_attr_t attr;

			pthread_attr_init(&attr);
			pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
			if (pthread_create(&t, &attr, paying_thread, (void *)n))
				quota_cannot("no threads");
		}
		}
		n++;
	}
	/* Those that are still not answered have waited until now, at least. */
	for (end = baton_clock_now() + 20 * SECOND; answered < n && baton_clock_now() < end;)
		usleep(10000);
	over = true;
	now = baton_clock_now();
	for (size_t i = 0; i < n; i++) {
		if (!wait_ns[i])
			wait_ns[i] = now - due[i];
		if (!total_ns[i])
			total_ns[i] = now - due[i];
	}
	if (lost > n / 100)
		quota_cannot("%lu of %lu requests were rejected", lost, lost + n);
	if (n <= 2 * WARM)
		quota_cannot("only %lu requests", n);
	n -= WARM;
	quota_out->total = p99_of_parts(total_ns + WARM, n);
	quantiles(total_ns + WARM, n, 1000);
	quota_out->total50 = quota_out->p50;
	quota_out->total99 = quota_out->p99;
	quota_out->total999 = quota_out->p999;
	wait = p99_of_parts(wait_ns + WARM, n);
	quantiles(wait_ns + WARM, n, 1000);
	quota_out->value = wait;
	_exit(0);
}

/* From when it was due until it was answered, of the same run. */
static void put_total(const char *system, const char *neighbours, double *keep, double alone)
{
	char name[96], base[96];
	struct bench_result r = {
		.name = name, .unit = "us", .has_quantiles = true, .value = quota_out->total, .n = quota_out->n,
		.p50 = quota_out->total50, .p99 = quota_out->total99, .p999 = quota_out->total999,
	};

	snprintf(name, sizeof(name), "total_p99_%s_%s", system, neighbours);
	snprintf(base, sizeof(base), "total_p99_%s_alone", system);
	if (keep) {
		*keep = r.value;
	} else if (alone > 0) {
		r.baseline = base;
		r.ratio = r.value / alone;
	}
	bench_put(&quota_bench, &r);
}

static void isolation_rows(void)
{
	char name[96], base[96];
	struct isolation c;
	double alone = 0, total_alone = 0;
	const char *backend = "";
	unsigned i, k;

	baton_backend(&backend);
	for (i = 0; i < sizeof(system_names) / sizeof(*system_names); i++) {
		const char *system = i == BATON && !strcmp(backend, "swap") ? "baton_patched" : system_names[i];

		alone = total_alone = 0;
		snprintf(base, sizeof(base), "wait_p99_%s_alone", system);
		for (k = 0; k < sizeof(neighbour_names) / sizeof(*neighbour_names); k++) {
			struct bench_result r = { .name = name, .unit = "us", .has_quantiles = true };
			const char *why = NULL;

			/* What needs no rescue is the same. */
			if (i == DEMOTE && k == CHECKPOINTING)
				continue;
			snprintf(name, sizeof(name), "wait_p99_%s_%s", system, neighbour_names[k]);
			if (!bench_wants(&quota_bench, name))
				continue;
			c = (struct isolation){ i, k };
			if (i == CPUMAX || i == CPUWEIGHT)
				why = cgroup_make_pair(group[0], group[1], sizeof(group[0]));
			if (why) {
				r.skipped = why;
			} else if (!measure(isolation, &c)) {
				r.skipped = quota_out->why_not;
			} else {
				if (k == ALONE)
					alone = quota_out->value;
				r.value = quota_out->value;
				r.p50 = quota_out->p50;
				r.p99 = quota_out->p99;
				r.p999 = quota_out->p999;
				r.n = quota_out->n;
				if (k != ALONE && alone > 0) {
					r.baseline = base;
					r.ratio = quota_out->value / alone;
				}
			}
			if (i == CPUMAX || i == CPUWEIGHT)
				cgroup_remove_pair();
			bench_put(&quota_bench, &r);
			if (!r.skipped)
				put_total(system, neighbour_names[k], k == ALONE ? &total_alone : NULL, total_alone);
		}
	}
}

/* ------------------------------------------------------------- single rows */

static void spin(void *arg)
{
	while (!over && !baton_checkpoint())
		;
}

static struct baton_sched *one_sched;

static struct baton_tenant *one_tenant(unsigned slots, unsigned low, unsigned high)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = slots, .workers_keep = 20000, .bind = slots == quota_cpus };
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = low, .high_ppm = high };
	struct baton_tenant *t;

	if (baton_sched_create(&one_sched, &so) || baton_tenant_add(one_sched, &t, &o))
		quota_cannot("no scheduler");
	return t;
}

static void checkpoint_idle(const void *arg)
{
	bench_quota_checkpoint(one_tenant(1, 0, 1000000), &quota_out->value, &quota_out->n);
	_exit(0);
}

static void reject(const void *arg)
{
	struct baton_tenant *t = one_tenant(1, 0, 1000000);
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_CRITICAL, .fn = spin };
	uint64_t begin = baton_clock_now();
	unsigned i, n = 1000000;

	for (i = 0; i < n; i++)
		if (baton_submit(t, &o, NULL) != -EDQUOT)
			quota_cannot("not rejected");
	quota_out->value = (double)(baton_clock_now() - begin) / n;
	quota_out->n = n;
	_exit(0);
}

/* How long a job of the throughput rows is: about 50 us and 5 us. */
static const unsigned long_job = 200000, short_job = 20000;
static unsigned job_loops;
static _Atomic unsigned long done_jobs;

static void small_job(void *arg)
{
	unsigned i;

	/* In a register: how fast memory is renamed depends on where the stack is. */
	for (i = 0; i < job_loops; i++)
		__asm__ volatile("" : "+r"(i));
	atomic_fetch_add(&done_jobs, 1);
}

static double pool_rate(unsigned n)
{
	struct job *jobs = calloc(n, sizeof(*jobs));
	uint64_t begin = baton_clock_now();
	unsigned i;

	done_jobs = 0;
	for (i = 0; i < n; i++) {
		jobs[i].fn = small_job;
		pool_add(&jobs[i]);
	}
	while (done_jobs < n)
		usleep(100);
	free(jobs);
	return n / ((double)(baton_clock_now() - begin) / SECOND);
}

static double baton_rate(struct baton_tenant *t, unsigned n)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = small_job };
	uint64_t begin = baton_clock_now();
	unsigned i;

	done_jobs = 0;
	for (i = 0; i < n; i++)
		if (baton_submit(t, &o, NULL))
			quota_cannot("no request");
	while (done_jobs < n)
		usleep(100);
	return n / ((double)(baton_clock_now() - begin) / SECOND);
}

static void throughput(const void *arg)
{
	struct baton_tenant *t = one_tenant(quota_cpus, 0, 4000000);
	unsigned rounds = quota_bench.quick ? 3 : 11, i, n = quota_bench.quick ? 5000 : 20000;
	double rate[16], ratio[16];

	job_loops = *(const unsigned *)arg;
	if (job_loops == long_job)
		n /= 4;
	pool_start(quota_cpus, NULL);
	for (i = 0; i < rounds; i++) {
		double pool = pool_rate(n);

		rate[i] = baton_rate(t, n);
		ratio[i] = rate[i] / pool;
	}
	quota_out->value = bench_median(rate, rounds);
	quota_out->ratio = bench_median(ratio, rounds);
	quota_out->n = n;
	_exit(0);
}

static void switches(const void *arg)
{
	const unsigned *tasks = arg;
	struct baton_tenant *t;
	cpu_set_t set;

	/* One CPU, as bench switch pins its pair. */
	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
	t = one_tenant(1, 0, 1000000);
	if (!bench_quota_switch(one_sched, t, *tasks, quota_bench.quick ? 10000 : 100000, quota_bench.quick ? 3 : 11,
				&quota_out->value, &quota_out->ratio))
		quota_cannot("not enough threads for %u tasks", *tasks);
	quota_out->n = quota_bench.quick ? 10000 : 100000;
	_exit(0);
}

static void error_row(const char *name, double value, unsigned long n, const char *skipped)
{
	struct bench_result r = { .name = name, .unit = "%", .value = value, .n = n, .skipped = skipped };

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

/* What was too much is of all windows, however busy the machine. */
static void error_rows(void)
{
	const struct quota_errors *e = &quota_out->error;
	const char *skipped = not_calm();

	error_row("error_sliding_worst", e->sliding, e->calm, skipped);
	error_row("error_aligned_worst", e->aligned, e->calm, skipped);
	error_row("error_sliding_worst_of_all", e->sliding_all, e->windows, NULL);
	error_row("error_over_worst_of_all", e->over, e->windows, NULL);
	error_row("error_over_beyond_checkpoint", e->beyond, e->windows, NULL);
	error_row("error_taken_by_others", e->taken, e->windows, NULL);
	error_row("error_disturbed_windows", 100.0 * (e->windows - e->calm) / e->windows, e->windows, NULL);
}

static void row(const char *name, const char *unit, void (*fn)(const void *), const void *arg, const char *baseline)
{
	struct bench_result r = { .name = name, .unit = unit, .baseline = baseline };

	const enum quota_system *system = fn == quota_error ? arg : NULL;

	if (!bench_wants(&quota_bench, name))
		return;
	if (system)
		r.skipped = quota_error_prepare(*system);
	if (r.skipped) {
		/* It says why. */
	} else if (measure(fn, arg)) {
		r.value = quota_out->value;
		r.n = quota_out->n;
		r.ratio = quota_out->ratio;
		if (system && *system == QUOTA_UNBOUND)
			r.skipped = not_calm();
	} else {
		r.skipped = quota_out->why_not;
	}
	if (system)
		quota_error_clean_up(*system);
	if (!system || *system != QUOTA_BOUND || r.skipped) {
		bench_put(&quota_bench, &r);
		return;
	}
	error_rows();
}

int bench_quota(int argc, char **argv)
{
	static const enum quota_system error_of[] = { QUOTA_UNBOUND, QUOTA_BOUND, QUOTA_CPUMAX };
	static const unsigned sizes[] = { 2, 10, 100, 1000, 10000 };
	const char *backend = "", *base, *unit;
	char name[32], bare[32];
	cpu_set_t set;
	size_t i;
	int err;

	err = bench_options(&quota_bench, "quota",
			    "What the scheduler costs, and what it keeps: quota errors, how long a paying\n"
			    "tenant waits beside hostile neighbours, and what the alternatives make of that.",
			    argc, argv);
	if (err)
		return err - 1;
	sched_getaffinity(0, sizeof(set), &set);
	quota_cpus = (unsigned)CPU_COUNT(&set);
	quota_out = mmap(NULL, sizeof(*quota_out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (quota_out == MAP_FAILED) {
		perror("baton bench quota: mmap");
		return 1;
	}
	if (baton_backend(&backend)) {
		fprintf(stderr, "baton bench quota: no backend\n");
		return 1;
	}
	base = !strcmp(backend, "swap") ? "lib_swap" : "lib_wakewait";
	bench_begin(&quota_bench);
	row("checkpoint_idle", "ns", checkpoint_idle, NULL, NULL);
	row("reject", "ns", reject, NULL, NULL);
	unit = strcmp(quota_bench.where, "vm-icount") ? "ns" : "insn";
	row("sched_switch", unit, switches, &sizes[0], base);
	for (i = 1; i < sizeof(sizes) / sizeof(*sizes); i++) {
		snprintf(name, sizeof(name), "switch_at_%u", sizes[i]);
		snprintf(bare, sizeof(bare), "bare_at_%u", sizes[i]);
		/* With 10,000 bare threads beside as many tasks it is another machine. */
		row(name, unit, switches, &sizes[i], sizes[i] <= 1000 ? bare : NULL);
	}
	row("throughput_baton", "ops/s", throughput, &long_job, "throughput_threadpool");
	row("throughput_baton_5us", "ops/s", throughput, &short_job, "throughput_threadpool_5us");
	row("error_sliding_worst", "%", quota_error, &error_of[QUOTA_BOUND], NULL);
	row("error_sliding_worst_unbound", "%", quota_error, &error_of[QUOTA_UNBOUND], NULL);
	row("error_sliding_worst_cpumax", "%", quota_error, &error_of[QUOTA_CPUMAX], NULL);
	row("ledger_vs_kernel_worst", "%", quota_attribution, NULL, NULL);
	row("ledger_vs_tasks_worst", "%", quota_overhead, NULL, NULL);
	isolation_rows();
	return bench_end(&quota_bench);
}
