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

#define MS 1000000ULL
#define SECOND 1000000000ULL
#define MAX_SAMPLES 20000
#define PARTS 5

/* From a measurement's process to ours. */
static struct {
	double value, p50, p99, p999, ratio;
	unsigned long n;
	char why_not[200];
} *out;

static struct bench b;
static unsigned cpus;

static uint64_t thread_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

static void sleep_to(uint64_t t)
{
	struct timespec ts = { (time_t)(t / SECOND), (long)(t % SECOND) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

__attribute__((format(printf, 1, 2), noreturn)) static void cannot(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->why_not, sizeof(out->why_not), fmt, ap);
	va_end(ap);
	_exit(0);
}

/* Runs fn(arg) in a process of its own; false: out->why_not. */
static bool measure(void (*fn)(const void *), const void *arg)
{
	int status;
	pid_t pid;

	memset(out, 0, sizeof(*out));
	fflush(NULL);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(arg);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!out->why_not[0] && status)
		snprintf(out->why_not, sizeof(out->why_not), "its process ended with status %#x", (unsigned)status);
	return !out->why_not[0];
}

static int by_size(const void *a, const void *c)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)c;

	return (x > y) - (x < y);
}

static void quantiles(uint64_t *v, unsigned long n, double unit)
{
	if (!n)
		cannot("no samples");
	qsort(v, n, sizeof(*v), by_size);
	out->n = n;
	out->p50 = (double)v[n / 2] / unit;
	out->p99 = (double)v[n * 99 / 100] / unit;
	out->p999 = (double)v[n * 999 / 1000] / unit;
	out->value = out->p99;
}

/* ------------------------------------------------------------- isolation */

enum neighbours { ALONE, CHECKPOINTING, SPINNER, SQLITE };
enum system { THREADPOOL, THREAD, NICE, CPUMAX, CPUWEIGHT, BATON };

static const char *const neighbour_names[] = { "alone", "checkpointing", "spinner", "sqlite350ms" };
static const char *const system_names[] = { "threadpool", "thread", "nice", "cpumax", "cpuweight", "baton" };

struct isolation {
	enum system system;
	enum neighbours neighbours;
};

static uint64_t wait_ns[MAX_SAMPLES];
static uint64_t due[MAX_SAMPLES];
static _Atomic unsigned long answered;
static _Atomic bool over;
static enum neighbours neighbour;
static char group[2][512];

/* A request of the paying tenant: a millisecond of CPU. */
static void paying(void *arg)
{
	size_t i = (size_t)arg;
	uint64_t end = thread_cpu() + MS;

	wait_ns[i] = baton_clock_now() - due[i];
	while (thread_cpu() < end)
		baton_checkpoint();
	atomic_fetch_add(&answered, 1);
}

static int (*sql_open)(const char *, void **);
static int (*sql_exec)(void *, const char *, void *, void *, void *);
static int (*sql_close)(void *);

static void need_sqlite(void)
{
	void *lib = dlopen("libsqlite3.so.0", RTLD_NOW);

	if (!lib)
		cannot("no libsqlite3.so.0 (Debian: libsqlite3-0)");
	*(void **)&sql_open = dlsym(lib, "sqlite3_open");
	*(void **)&sql_exec = dlsym(lib, "sqlite3_exec");
	*(void **)&sql_close = dlsym(lib, "sqlite3_close");
	if (!sql_open || !sql_exec || !sql_close)
		cannot("libsqlite3.so.0 lacks what it had for 20 years");
}

/* Half a second of a neighbour's work. */
static void neighbour_job(void *arg)
{
	uint64_t end = thread_cpu() + SECOND / 2;
	void *db;

	if (neighbour == SQLITE) {
		if (sql_open(":memory:", &db))
			return;
		while (!over && thread_cpu() < end)
			sql_exec(db, "SELECT length(replace(hex(zeroblob(2e7)),'00','ab'))", NULL, NULL, NULL);
		sql_close(db);
		return;
	}
	while (!over) {
		if (neighbour == CHECKPOINTING && baton_checkpoint())
			break;
		if (neighbour == SPINNER && thread_cpu() >= end)
			break;
		if (neighbour == CHECKPOINTING && thread_cpu() >= end)
			break;
	}
}

/* A pool of as many threads as CPUs, and a list. */
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

static void pool_start(void)
{
	pthread_t t;
	unsigned i;

	for (i = 0; i < cpus; i++)
		if (pthread_create(&t, NULL, pool_worker, NULL))
			cannot("no threads");
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
	if ((system_now == CPUMAX || system_now == CPUWEIGHT) && cgroup_add_thread(group[0]))
		_exit(9);
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
		cannot("%s: %s", path, strerror(errno));
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
	struct baton_sched_opts so = { .sz = sizeof(so), .bind = true };
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = 100000 };
	struct baton_sched *s;

	if (baton_sched_create(&s, &so) || baton_tenant_add(s, &payer, &o))
		cannot("no scheduler");
	o.low_ppm = 0;
	o.high_ppm = 10000000;
	if (baton_tenant_add(s, &hostile, &o))
		cannot("no tenant");
}

/* Ten times the machine. */
static void start_neighbours(enum system system)
{
	static struct job jobs[10 * 64];
	pthread_t t;
	unsigned i;

	pool_again = true;
	for (i = 0; i < 10 * cpus && i < 640; i++) {
		if (system == THREADPOOL) {
			jobs[i].fn = neighbour_job;
			pool_add(&jobs[i]);
		} else if (pthread_create(&t, NULL, system == BATON ? neighbour_feeder : neighbour_thread, NULL)) {
			cannot("no threads");
		}
	}
}

static void isolation(const void *arg)
{
	const struct isolation *c = arg;
	uint64_t now, period, end;
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_CRITICAL, .fn = paying };
	static struct job jobs[MAX_SAMPLES];
	static uint64_t part[MAX_SAMPLES];
	double p99[PARTS];
	unsigned long n = 0, lost = 0;
	const char *why;
	pthread_t t;

	/* Half of 10% of the machine, a millisecond at a time. */
	period = SECOND / (50 * cpus);
	neighbour = c->neighbours;
	system_now = c->system;
	if (neighbour == SQLITE)
		need_sqlite();
	if (c->system == CPUMAX || c->system == CPUWEIGHT) {
		why = cgroup_enter();
		if (why)
			cannot("%s", why);
		if (c->system == CPUMAX) {
			char max[64];

			snprintf(max, sizeof(max), "%u 100000", 90000 * cpus);
			write_file(group[1], "cpu.max", max);
		} else {
			write_file(group[0], "cpu.weight", "1000");
			write_file(group[1], "cpu.weight", "10");
		}
	}
	if (c->system == BATON)
		start_baton();
	if (c->system == THREADPOOL)
		pool_start();
	if (neighbour != ALONE)
		start_neighbours(c->system);
	sleep_to(baton_clock_now() + SECOND / 2);
	/* Who sends the requests is not part of the system: it is always on time. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), -20);
	prctl(PR_SET_TIMERSLACK, 1);
	now = baton_clock_now();
	for (end = now + (b.quick ? 1 : 10) * SECOND; now < end && n < MAX_SAMPLES; now += period) {
		sleep_to(now);
		due[n] = now;
		switch (c->system) {
		case BATON:
			o.arg = (void *)n;
			o.arrival = now;
			if (baton_submit(payer, &o, NULL)) {
				lost++;
				continue;
			}
			break;
		case THREADPOOL:
			jobs[n] = (struct job){ .fn = paying, .arg = (void *)n };
			pool_add(&jobs[n]);
			break;
		default: {
			pthread_attr_t attr;

			pthread_attr_init(&attr);
			pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
			if (pthread_create(&t, &attr, paying_thread, (void *)n))
				cannot("no threads");
		}
		}
		n++;
	}
	/* Those that are still not answered have waited until now, at least. */
	for (end = baton_clock_now() + 20 * SECOND; answered < n && baton_clock_now() < end;)
		usleep(10000);
	over = true;
	now = baton_clock_now();
	for (size_t i = 0; i < n; i++)
		if (!wait_ns[i])
			wait_ns[i] = now - due[i];
	if (lost > n / 100)
		cannot("%lu of %lu requests were rejected", lost, lost + n);
	/* The median of parts: a burst of somebody else's work on this machine is in one of them. */
	for (size_t i = 0; i < PARTS; i++) {
		size_t first = i * n / PARTS, count = (i + 1) * n / PARTS - first;

		memcpy(part, wait_ns + first, count * sizeof(*part));
		qsort(part, count, sizeof(*part), by_size);
		p99[i] = (double)part[count * 99 / 100] / 1000;
	}
	quantiles(wait_ns, n, 1000);
	out->value = bench_median(p99, PARTS);
	_exit(0);
}

static void isolation_rows(void)
{
	char name[96], base[96];
	struct isolation c;
	double alone = 0;
	const char *backend = "";
	unsigned i, k;

	baton_backend(&backend);
	for (i = 0; i < sizeof(system_names) / sizeof(*system_names); i++) {
		const char *system = i == BATON && !strcmp(backend, "swap") ? "baton_patched" : system_names[i];

		alone = 0;
		snprintf(base, sizeof(base), "wait_p99_%s_alone", system);
		for (k = 0; k < sizeof(neighbour_names) / sizeof(*neighbour_names); k++) {
			struct bench_result r = { .name = name, .unit = "us", .has_quantiles = true };
			const char *why = NULL;

			snprintf(name, sizeof(name), "wait_p99_%s_%s", system, neighbour_names[k]);
			if (!bench_wants(&b, name))
				continue;
			c = (struct isolation){ i, k };
			if (i == CPUMAX || i == CPUWEIGHT)
				why = cgroup_make_pair(group[0], group[1], sizeof(group[0]));
			if (why) {
				r.skipped = why;
			} else if (!measure(isolation, &c)) {
				r.skipped = out->why_not;
			} else {
				if (k == ALONE)
					alone = out->value;
				r.value = out->value;
				r.p50 = out->p50;
				r.p99 = out->p99;
				r.p999 = out->p999;
				r.n = out->n;
				if (k != ALONE && alone > 0) {
					r.baseline = base;
					r.ratio = out->value / alone;
				}
			}
			if (i == CPUMAX || i == CPUWEIGHT)
				cgroup_remove_pair();
			bench_put(&b, &r);
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
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = slots, .workers_keep = 20000, .bind = slots == cpus };
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = low, .high_ppm = high };
	struct baton_tenant *t;

	if (baton_sched_create(&one_sched, &so) || baton_tenant_add(one_sched, &t, &o))
		cannot("no scheduler");
	return t;
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

static void hog(void *arg)
{
	size_t tenant = (size_t)arg;
	clockid_t c;

	pthread_getcpuclockid(pthread_self(), &c);
	used_by[tenant].clock[used_by[tenant].n++] = c;
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

static void quota_error(const void *arg)
{
	static const unsigned ppm[TENANTS] = { 10000, 50000, 100000, 200000, 300000 };
	static uint64_t cpu[TENANTS][POINTS];
	static bool good[TENANTS][POINTS];
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_TOLERANT, .fn = hog };
	struct baton_sched_opts so = { .sz = sizeof(so), .bind = *(const bool *)arg };
	struct baton_tenant_opts to = { .sz = sizeof(to) };
	struct baton_sched *s;
	struct baton_tenant *t[TENANTS];
	double over_worst = 0, sliding_worst = 0, aligned_worst = 0, part[PARTS] = { 0 };
	const unsigned n = b.quick ? 4 * SECOND / STEP : POINTS, second = SECOND / STEP;
	unsigned i, k, x, windows = 0;
	uint64_t begin, now;

	if (cpus > TASKS_MAX / 2)
		cannot("not made for %u CPUs", cpus);
	if (baton_sched_create(&s, &so))
		cannot("no scheduler");
	for (i = 0; i < TENANTS; i++) {
		to.low_ppm = ppm[i];
		if (baton_tenant_add(s, &t[i], &to))
			cannot("no tenant");
		o.arg = (void *)(size_t)i;
		for (k = 0; k < 2 * cpus; k++)
			baton_submit(t[i], &o, NULL);
	}
	setpriority(PRIO_PROCESS, (id_t)gettid(), -20);
	prctl(PR_SET_TIMERSLACK, 1);
	begin = baton_clock_now() + STEP;
	for (x = 0; x < n; x++) {
		now = begin + x * STEP;
		sleep_to(now - 50000);
		for (i = 0; i < TENANTS; i++) {
			/* One after the other, each at the same time of each step. */
			while (baton_clock_now() < now + i * LATE)
				;
			good[i][x] = used_at(i, now + i * LATE, &cpu[i][x]);
		}
	}
	/* The first second fills the window. */
	for (x = second + second / 2; x + second < n; x++) {
		for (i = 0; i < TENANTS; i++) {
			double quota = (double)cpus * 1000 * ppm[i], error;

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
		cannot("only %u windows were measured on time: the machine is too busy", windows);
	out->value = bench_median(part, PARTS);
	out->p99 = sliding_worst;
	out->p999 = over_worst;
	out->p50 = aligned_worst;
	out->n = windows;
	_exit(0);
}

static _Atomic uint64_t kernel_cpu[2];

static void counted(void *arg)
{
	uint64_t before = thread_cpu(), end = baton_clock_now() + 20 * MS;

	while (baton_clock_now() < end)
		baton_checkpoint();
	atomic_fetch_add(&kernel_cpu[(size_t)arg], thread_cpu() - before);
}

static void attribution(const void *arg)
{
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = counted };
	uint64_t end = baton_clock_now() + (b.quick ? 2 : 60) * SECOND;
	struct baton_tenant *t[2];
	struct baton_request *r[8];
	struct baton_sched *s;
	size_t i;

	if (baton_sched_create(&s, NULL))
		cannot("no scheduler");
	for (i = 0; i < 2; i++)
		if (baton_tenant_add(s, &t[i], &to))
			cannot("no tenant");
	while (baton_clock_now() < end) {
		for (i = 0; i < 8; i++) {
			o.arg = (void *)(i % 2);
			if (baton_submit(t[i % 2], &o, &r[i]))
				cannot("no request");
		}
		for (i = 0; i < 8; i++) {
			baton_request_wait(r[i]);
			baton_request_put(r[i]);
			out->n++;
		}
	}
	for (i = 0; i < 2; i++) {
		struct baton_tenant_stats st;
		double error;

		baton_tenant_stats(t[i], &st, sizeof(st));
		error = 100 * fabs((double)st.cpu[BATON_TIER_HIGH] / (double)kernel_cpu[i] - 1);
		if (error > out->value)
			out->value = error;
	}
	_exit(0);
}

static void checkpoint_idle(const void *arg)
{
	bench_quota_checkpoint(one_tenant(1, 0, 1000000), &out->value, &out->n);
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
			cannot("not rejected");
	out->value = (double)(baton_clock_now() - begin) / n;
	out->n = n;
	_exit(0);
}

/* How long a job of the throughput rows is: about 50 us and 5 us. */
static const unsigned long_job = 200000, short_job = 20000;
static unsigned job_loops;
static _Atomic unsigned long done_jobs;

static void small_job(void *arg)
{
	volatile unsigned i;

	for (i = 0; i < job_loops; i++)
		;
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
			cannot("no request");
	while (done_jobs < n)
		usleep(100);
	return n / ((double)(baton_clock_now() - begin) / SECOND);
}

static void throughput(const void *arg)
{
	struct baton_tenant *t = one_tenant(cpus, 0, 4000000);
	unsigned rounds = b.quick ? 3 : 11, i, n = b.quick ? 5000 : 20000;
	double rate[16], ratio[16];

	job_loops = *(const unsigned *)arg;
	if (job_loops == long_job)
		n /= 4;
	pool_start();
	for (i = 0; i < rounds; i++) {
		double pool = pool_rate(n);

		rate[i] = baton_rate(t, n);
		ratio[i] = rate[i] / pool;
	}
	out->value = bench_median(rate, rounds);
	out->ratio = bench_median(ratio, rounds);
	out->n = n;
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
	if (!bench_quota_switch(one_sched, t, *tasks, b.quick ? 10000 : 100000, b.quick ? 3 : 11,
				&out->value, &out->ratio))
		cannot("not enough threads for %u tasks", *tasks);
	out->n = b.quick ? 10000 : 100000;
	_exit(0);
}

static void row(const char *name, const char *unit, void (*fn)(const void *), const void *arg, const char *baseline)
{
	struct bench_result r = { .name = name, .unit = unit, .baseline = baseline };

	if (!bench_wants(&b, name))
		return;
	if (measure(fn, arg)) {
		r.value = out->value;
		r.n = out->n;
		r.ratio = out->ratio;
	} else {
		r.skipped = out->why_not;
	}
	bench_put(&b, &r);
	if (fn == quota_error && *(const bool *)arg && !r.skipped) {
		r.name = "error_sliding_worst_of_all";
		r.value = out->p99;
		bench_put(&b, &r);
		r.name = "error_over_worst_of_all";
		r.value = out->p999;
		bench_put(&b, &r);
		r.name = "error_aligned_worst";
		r.value = out->p50;
		bench_put(&b, &r);
	}
}

int bench_quota(int argc, char **argv)
{
	static const bool bound[] = { false, true };
	static const unsigned sizes[] = { 2, 10, 100, 1000, 10000 };
	const char *backend = "", *base, *unit;
	char name[32], bare[32];
	cpu_set_t set;
	size_t i;
	int err;

	err = bench_options(&b, "quota",
			    "What the scheduler costs, and what it keeps: quota errors, how long a paying\n"
			    "tenant waits beside hostile neighbours, and what the alternatives make of that.",
			    argc, argv);
	if (err)
		return err - 1;
	sched_getaffinity(0, sizeof(set), &set);
	cpus = (unsigned)CPU_COUNT(&set);
	out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (out == MAP_FAILED) {
		perror("baton bench quota: mmap");
		return 1;
	}
	if (baton_backend(&backend)) {
		fprintf(stderr, "baton bench quota: no backend\n");
		return 1;
	}
	base = !strcmp(backend, "swap") ? "lib_swap" : "lib_wakewait";
	bench_begin(&b);
	row("checkpoint_idle", "ns", checkpoint_idle, NULL, NULL);
	row("reject", "ns", reject, NULL, NULL);
	unit = strcmp(b.where, "vm-icount") ? "ns" : "insn";
	row("sched_switch", unit, switches, &sizes[0], base);
	for (i = 1; i < sizeof(sizes) / sizeof(*sizes); i++) {
		snprintf(name, sizeof(name), "switch_at_%u", sizes[i]);
		snprintf(bare, sizeof(bare), "bare_at_%u", sizes[i]);
		/* With 10,000 bare threads beside as many tasks it is another machine. */
		row(name, unit, switches, &sizes[i], sizes[i] <= 1000 ? bare : NULL);
	}
	row("throughput_baton", "ops/s", throughput, &long_job, "throughput_threadpool");
	row("throughput_baton_5us", "ops/s", throughput, &short_job, "throughput_threadpool_5us");
	row("error_sliding_worst", "%", quota_error, &bound[1], NULL);
	row("error_sliding_worst_unbound", "%", quota_error, &bound[0], NULL);
	row("ledger_vs_kernel_worst", "%", attribution, NULL, NULL);
	isolation_rows();
	return bench_end(&b);
}
