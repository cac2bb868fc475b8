// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench quota: how long a paying tenant waits beside neighbours that want ten
 * times the machine. The tenant bought 10% of it and asks for half of that, on
 * schedule whether or not earlier requests were answered (open loop). A request's
 * wait is from when it was due to when it begins, its total to when it is answered.
 * Every request is in the distribution: one that was rejected, or never answered,
 * waited for ever.
 *
 * wait_p99_SYSTEM_NEIGHBOURS: the value is the median of the p99 of five parts of
 * the run, so that a burst of somebody else's work on this machine is in one part;
 * p50, p99 and p999 are those of the whole run; the ratio is to the same system
 * without neighbours.
 *
 * turns[]: two systems in turns, A B B A, and the ratio is the median of the pairs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <baton/baton.h>

#include "bench.h"
#include "bench_pool.h"
#include "bench_quota.h"
#include "cgroup.h"

#define MAX_SAMPLES 40000
/* The first requests find threads and pages that are not there yet. */
#define WARM 10
#define PARTS 5

enum neighbours { ALONE, CHECKPOINTING, SPINNER, SQLITE, COLLUDING };
/* FIFO: the payer's pool is of that class. NICE_POOL: as NICE, and the payer has a pool too. */
enum system { THREADPOOL, THREAD, NICE, CPUMAX, CPUWEIGHT, BATON, DEMOTE, NICE_POOL, FIFO };

struct load {
	uint64_t work;		/* CPU of a request */
	unsigned rate;		/* requests in a second, for each CPU of the service */
	bool apart;		/* the sender has a CPU of its own, where there are two */
	unsigned ms, quick_ms;	/* how long it is sent */
	unsigned grace;		/* seconds until a request counts as never answered */
};

/* An answer of a thread pool with ten seconds of work before it takes that long. */
static const struct load plain = { .work = MS, .rate = 50, .ms = 10000, .quick_ms = 1000, .grace = 20 };
static const struct load often = { .work = MS / 20, .rate = 1000, .apart = true, .ms = 2000, .quick_ms = 1000, .grace = 5 };
static const struct load steady = { .work = MS, .rate = 50, .ms = 4000, .quick_ms = 1000, .grace = 2 };

struct config {
	enum system system;
	enum neighbours neighbours;
	const struct load *load;
};

/* The figures, in us, that a measurement leaves for the process that prints. */
static struct samples {
	unsigned long n, never;		/* never: of them, rejected or not answered */
	double wait[MAX_SAMPLES], total[MAX_SAMPLES];
} *out;

static struct config now_is;
static unsigned service_cpus;
static uint64_t due[MAX_SAMPLES];
/* ns; 0: not yet. */
static _Atomic uint64_t waited[MAX_SAMPLES], took[MAX_SAMPLES];
static _Atomic unsigned long answered;
static _Atomic bool over;
static char group[2][512];

/* ------------------------------------------------------- the paying tenant */

static void pay(void *arg)
{
	size_t i = (size_t)arg;
	uint64_t end = quota_thread_cpu() + now_is.load->work;

	waited[i] = baton_clock_now() - due[i];
	while (quota_thread_cpu() < end)
		baton_checkpoint();
	took[i] = baton_clock_now() - due[i];
	atomic_fetch_add(&answered, 1);
	/* With the sender's nice value this would be another system. */
	if (!i && getpriority(PRIO_PROCESS, (id_t)gettid()) == -20)
		quota_cannot("the paying tenant's threads have the sender's nice value");
}

static void *pay_thread(void *arg)
{
	pay(arg);
	return NULL;
}

static void enter_group(void *dir)
{
	if (cgroup_add_thread(dir))
		quota_cannot("no thread of the payer's gets into its cgroup");
}

static void become_fifo(void *arg)
{
	struct sched_param p = { .sched_priority = 10 };

	if (sched_setscheduler(0, SCHED_FIFO, &p))
		quota_cannot("SCHED_FIFO: %s", strerror(errno));
}

/* --------------------------------------------------------- the neighbours */

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

	if (now_is.neighbours == SQLITE) {
		if (sql_open(":memory:", &db))
			return;
		while (!over && quota_thread_cpu() < end)
			sql_exec(db, "SELECT length(replace(hex(zeroblob(2e7)),'00','ab'))", NULL, NULL, NULL);
		sql_close(db);
		return;
	}
	while (!over && quota_thread_cpu() < end)
		if (now_is.neighbours == CHECKPOINTING && baton_checkpoint())
			break;
}

static void pooled_neighbour(void *job)
{
	neighbour_job(NULL);
	pool_add(job);
}

static void *neighbour_thread(void *arg)
{
	if (now_is.system == NICE || now_is.system == NICE_POOL)
		setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	if ((now_is.system == CPUMAX || now_is.system == CPUWEIGHT) && cgroup_add_thread(group[1]))
		quota_cannot("a neighbour does not get into its cgroup");
	while (!over)
		neighbour_job(NULL);
	return NULL;
}

static struct baton_sched *sched;
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

/* Ten times the machine. */
static void start_neighbours(void)
{
	static struct pool_job jobs[10 * 64];
	bool baton = now_is.system == BATON || now_is.system == DEMOTE;
	pthread_t t;
	unsigned i;

	for (i = 0; i < 10 * service_cpus && i < 640; i++) {
		if (now_is.system == THREADPOOL) {
			jobs[i] = (struct pool_job){ .fn = pooled_neighbour, .arg = &jobs[i] };
			pool_add(&jobs[i]);
		} else if (pthread_create(&t, NULL, baton ? neighbour_feeder : neighbour_thread, NULL)) {
			quota_cannot("no threads");
		}
	}
}

/* Holds a lock for 50 ms of CPU, for which another tenant's task waits meanwhile; over and over. */
static void collude(void *mutex)
{
	uint64_t end;

	while (!over) {
		baton_mutex_lock(mutex);
		for (end = quota_thread_cpu() + 50 * MS; !over && quota_thread_cpu() < end; )
			baton_checkpoint();
		baton_mutex_unlock(mutex);
	}
}

/* Two tenants of 1%: for each slot a lock, and a task of either that wants it. */
static void start_colluding(void)
{
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_TOLERANT, .fn = collude };
	struct baton_tenant_opts to = { .sz = sizeof(to), .low_ppm = 10000 };
	struct baton_tenant *t[2];
	struct baton_mutex *m;
	unsigned i, k;

	for (k = 0; k < 2; k++)
		if (baton_tenant_add(sched, &t[k], &to))
			quota_cannot("no tenant");
	for (i = 0; i < service_cpus; i++) {
		if (baton_mutex_create(&m, sched))
			quota_cannot("no mutex");
		ro.arg = m;
		for (k = 0; k < 2; k++)
			if (baton_submit(t[k], &ro, NULL))
				quota_cannot("no request");
	}
}

/* -------------------------------------------------------- a measurement */

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

static void start_baton(void)
{
	struct baton_sched_opts so = {
		.sz = sizeof(so), .bind = true,
		.preempt = now_is.system == DEMOTE ? BATON_PREEMPT_DEMOTE : BATON_PREEMPT_STOP,
	};
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = 100000 };

	if (baton_sched_create(&sched, &so) || baton_tenant_add(sched, &payer, &o))
		quota_cannot("no scheduler");
	o.low_ppm = 0;
	o.high_ppm = 10000000;
	if (baton_tenant_add(sched, &hostile, &o))
		quota_cannot("no tenant");
}

static void start_cgroups(void)
{
	const char *why = cgroup_enter();
	char max[64];

	if (why)
		quota_cannot("%s", why);
	if (now_is.system == CPUMAX) {
		snprintf(max, sizeof(max), "%u 100000", 90000 * service_cpus);
		write_file(group[1], "cpu.max", max);
	} else {
		write_file(group[0], "cpu.weight", "1000");
		write_file(group[1], "cpu.weight", "10");
	}
}

/* More than can wait at once: entering a cgroup takes a thread 10 ms, becoming SCHED_FIFO is a call. */
#define POOL 64

static void start_system(void)
{
	int err = 0;

	switch (now_is.system) {
	case BATON:
	case DEMOTE:
		start_baton();
		break;
	case THREADPOOL:
		err = pool_start(service_cpus, NULL, NULL);
		break;
	case CPUMAX:
	case CPUWEIGHT:
		start_cgroups();
		err = pool_start(POOL, enter_group, group[0]);
		break;
	case NICE_POOL:
		err = pool_start(POOL, NULL, NULL);
		break;
	case FIFO:
		err = pool_start(POOL, become_fifo, NULL);
		break;
	case THREAD:
	case NICE:
		break;
	}
	if (err)
		quota_cannot("no threads");
	if (now_is.neighbours == COLLUDING)
		start_colluding();
	else if (now_is.neighbours != ALONE)
		start_neighbours();
}

/* False: the system rejects it. */
static bool send_request(size_t i)
{
	static struct pool_job jobs[MAX_SAMPLES];
	struct baton_request_opts o = {
		.sz = sizeof(o), .cls = BATON_CRITICAL, .fn = pay, .arg = (void *)i, .arrival = due[i],
	};
	pthread_attr_t attr;
	pthread_t t;

	switch (now_is.system) {
	case BATON:
	case DEMOTE:
		return !baton_submit(payer, &o, NULL);
	case THREAD:
	case NICE:
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		if (pthread_create(&t, &attr, pay_thread, (void *)i))
			quota_cannot("no threads");
		return true;
	default:
		jobs[i] = (struct pool_job){ .fn = pay, .arg = (void *)i };
		pool_add(&jobs[i]);
		return true;
	}
}

/* The first CPU is the sender's, the others are the service's. */
static void split_cpus(cpu_set_t *service, cpu_set_t *sender)
{
	int first = 0;

	sched_getaffinity(0, sizeof(*service), service);
	while (!CPU_ISSET(first, service))
		first++;
	CPU_CLR(first, service);
	CPU_ZERO(sender);
	CPU_SET(first, sender);
}

static void measure_wait(const void *arg)
{
	uint64_t now, period, end;
	unsigned long n, rejected = 0;
	cpu_set_t service, sender;
	bool apart;
	size_t i;

	now_is = *(const struct config *)arg;
	apart = now_is.load->apart && quota_cpus > 1;
	service_cpus = quota_cpus - apart;
	period = SECOND / (now_is.load->rate * service_cpus);
	if (now_is.neighbours == SQLITE)
		need_sqlite();
	if (apart) {
		split_cpus(&service, &sender);
		sched_setaffinity(0, sizeof(service), &service);
	}
	start_system();
	if (apart)
		sched_setaffinity(0, sizeof(sender), &sender);
	quota_sleep_to(baton_clock_now() + SECOND / 2);
	/* The sender of the requests is not part of the system. */
	quota_punctual();
	now = baton_clock_now();
	end = now + (quota_bench.quick ? now_is.load->quick_ms : now_is.load->ms) * MS;
	for (n = 0; now < end && n < MAX_SAMPLES; n++, now += period) {
		quota_sleep_to(now);
		due[n] = now;
		rejected += !send_request(n);
	}
	for (end = baton_clock_now() + now_is.load->grace * SECOND; answered + rejected < n && baton_clock_now() < end;)
		usleep(10000);
	over = true;
	if (n <= 2 * WARM)
		quota_cannot("only %lu requests", n);
	for (i = WARM; i < n; i++) {
		out->wait[i - WARM] = waited[i] ? (double)waited[i] / 1000 : INFINITY;
		out->total[i - WARM] = took[i] ? (double)took[i] / 1000 : INFINITY;
		out->never += !took[i];
	}
	out->n = n - WARM;
	_exit(0);
}

/* NULL: *out has the samples; or why there are none. */
static const char *measure(const struct config *c)
{
	bool groups = c->system == CPUMAX || c->system == CPUWEIGHT;
	const char *why = groups ? cgroup_make_pair(group[0], group[1], sizeof(group[0])) : NULL;

	if (!out)
		out = quota_shared(sizeof(*out));
	memset(out, 0, sizeof(*out));
	if (!why)
		why = quota_measure(measure_wait, c);
	if (groups)
		cgroup_remove_pair();
	return why;
}

/* ------------------------------------------------- wait_p99_SYSTEM_NEIGHBOURS */

static const char *const neighbour_names[] = { "alone", "checkpointing", "spinner", "sqlite350ms" };
static const char *const system_names[] = { "threadpool", "thread", "nice", "cpumax", "cpuweight", "baton", "baton_demote" };
#define NEIGHBOURS (sizeof(neighbour_names) / sizeof(*neighbour_names))
#define SYSTEMS (sizeof(system_names) / sizeof(*system_names))

static double copy_quantile(const double *v, unsigned long n, double part)
{
	static double copy[MAX_SAMPLES];
	struct bench_result r;

	memcpy(copy, v, n * sizeof(*v));
	bench_quantiles(&r, copy, n);
	return part == .5 ? r.p50 : part == .99 ? r.p99 : r.p999;
}

static double p99_of_parts(const double *v, unsigned long n)
{
	double p99[PARTS];

	for (size_t i = 0; i < PARTS; i++) {
		size_t first = i * n / PARTS, count = (i + 1) * n / PARTS - first;

		p99[i] = copy_quantile(v + first, count, .99);
	}
	return bench_median(p99, PARTS);
}

/* what: wait or total. alone: the value without neighbours, 0 where that is not known. */
static double put_isolation(const char *what, const char *system, size_t neighbours, double *v, double alone)
{
	char name[96], base[96];
	struct bench_result r = { .name = name, .unit = "us", .value = p99_of_parts(v, out->n), .never = out->never };

	snprintf(name, sizeof(name), "%s_p99_%s_%s", what, system, neighbour_names[neighbours]);
	snprintf(base, sizeof(base), "%s_p99_%s_alone", what, system);
	bench_quantiles(&r, v, out->n);
	if (neighbours != ALONE && alone > 0) {
		r.baseline = base;
		r.ratio = r.value / alone;
	}
	bench_put(&quota_bench, &r);
	return neighbours == ALONE ? r.value : alone;
}

static void isolation_row(enum system i, const char *system, enum neighbours k, double *wait_alone, double *total_alone)
{
	struct config c = { i, k, &plain };
	char name[96];
	struct bench_result r = { .name = name };

	/* Checkpointing neighbours need no forced preemption: it makes no difference which one there is. */
	if (i == DEMOTE && k == CHECKPOINTING)
		return;
	snprintf(name, sizeof(name), "wait_p99_%s_%s", system, neighbour_names[k]);
	if (!bench_wants(&quota_bench, name))
		return;
	r.skipped = measure(&c);
	if (r.skipped) {
		bench_put(&quota_bench, &r);
		return;
	}
	*wait_alone = put_isolation("wait", system, k, out->wait, *wait_alone);
	*total_alone = put_isolation("total", system, k, out->total, *total_alone);
}

/* ------------------------------------------------------------- in turns */

struct turns {
	const char *name, *base;
	enum system system[2];		/* the row's, and its baseline's */
	enum neighbours neighbours[2];
	const struct load *load;
	double part;			/* the quantile: .5, .99 or .999 */
	bool total;			/* a quantile of the totals, not of the waits */
	bool patched;			/* only where there is FUTEX_SWAP; the baseline has a row already */
};

static const struct turns turns[] = {
	{ .name = "wait_p50_baton_spinners", .base = "wait_p50_nice_spinners", .load = &often, .part = .5,
	  .system = { BATON, NICE_POOL }, .neighbours = { SPINNER, SPINNER } },
	{ .name = "wait_p999_baton_spinners", .base = "wait_p999_fifo_spinners", .load = &often, .part = .999,
	  .system = { BATON, FIFO }, .neighbours = { SPINNER, SPINNER } },
	{ .name = "wait_p99_baton_patched_spinner_vs_cpuweight", .base = "wait_p99_cpuweight_spinner", .load = &steady,
	  .part = .99, .system = { BATON, CPUWEIGHT }, .neighbours = { SPINNER, SPINNER }, .patched = true },
	{ .name = "colluding", .base = "colluding_alone", .load = &steady, .part = .99,
	  .system = { BATON, BATON }, .neighbours = { COLLUDING, ALONE }, .total = true },
};

#define PAIRS_MAX 101

/* NULL: each[] has the quantile of each turn, and r[] those of all turns; or why not. */
static const char *take_turns(const struct turns *t, unsigned pairs, double each[2][PAIRS_MAX], struct bench_result *r)
{
	size_t n[2] = { 0, 0 };
	double *all[2], *v;
	const char *why;
	unsigned i, k;

	for (k = 0; k < 2; k++) {
		all[k] = malloc((size_t)pairs * MAX_SAMPLES * sizeof(**all));
		if (!all[k])
			abort();
	}
	for (i = 0; i < 2 * pairs; i++) {
		struct config c;

		/* 0 1 1 0 0 1 1 0 */
		k = (i ^ i >> 1) & 1;
		c = (struct config){ t->system[k], t->neighbours[k], t->load };
		why = measure(&c);
		if (why)
			return why;
		v = t->total ? out->total : out->wait;
		each[k][i / 2] = copy_quantile(v, out->n, t->part);
		memcpy(all[k] + n[k], v, out->n * sizeof(*v));
		n[k] += out->n;
		r[k].never += out->never;
	}
	for (k = 0; k < 2; k++) {
		bench_quantiles(&r[k], all[k], n[k]);
		r[k].value = t->part == .5 ? r[k].p50 : t->part == .99 ? r[k].p99 : r[k].p999;
		free(all[k]);
	}
	return NULL;
}

static void turns_row(const struct turns *t)
{
	unsigned pairs = quota_bench.rounds ? (unsigned)quota_bench.rounds : quota_bench.quick ? 3 : 9, i;
	struct bench_result r[2] = { { .name = t->name, .unit = "us", .baseline = t->base }, { .name = t->base, .unit = "us" } };
	double each[2][PAIRS_MAX], ratio[PAIRS_MAX];

	if (pairs > PAIRS_MAX)
		pairs = PAIRS_MAX;
	r[0].skipped = r[1].skipped = take_turns(t, pairs, each, r);
	for (i = 0; i < pairs && !r[0].skipped; i++) {
		ratio[i] = each[0][i] / each[1][i];
		if (isnan(ratio[i]))
			r[0].skipped = "the baseline was never answered";
	}
	if (!r[0].skipped)
		bench_spread(&r[0], ratio, pairs);
	if (!t->patched || !bench_wants(&quota_bench, t->base))
		bench_put(&quota_bench, &r[1]);
	bench_put(&quota_bench, &r[0]);
}

void quota_wait_rows(void)
{
	double wait_alone, total_alone;
	const char *backend = "";
	bool patched;
	size_t i, k;

	baton_backend(&backend);
	patched = !strcmp(backend, "swap");
	for (i = 0; i < sizeof(turns) / sizeof(*turns); i++)
		if (bench_wants(&quota_bench, turns[i].name) && (patched || !turns[i].patched))
			turns_row(&turns[i]);
	for (i = 0; i < SYSTEMS; i++) {
		const char *system = i == BATON && patched ? "baton_patched" : system_names[i];

		wait_alone = total_alone = 0;
		for (k = 0; k < NEIGHBOURS; k++)
			isolation_row(i, system, k, &wait_alone, &total_alone);
	}
}
