// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench quota: what calls cost, and what a scheduler costs that has nothing to do.
 */
#include <errno.h>
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

static struct baton_sched *sched;

static void checkpoint_idle(const void *arg)
{
	bench_quota_checkpoint(quota_tenant(&sched, 1, 0, 1000000), &quota_out->value, &quota_out->n);
}

/* Uses up 10 ms of CPU: to 9 at checkpoints, which with exactly 10 would stop the task for a second, and the rest as a bill. */
static void use_up(void *arg)
{
	uint64_t end = quota_thread_cpu() + 9 * MS;

	while (quota_thread_cpu() < end)
		baton_checkpoint();
	baton_request_charge(baton_request_self(), 2 * MS);
}

/* The tenant bought 1% and has used all of it in this second. */
static void reject(const void *arg)
{
	struct baton_tenant *t = quota_tenant(&sched, 1, 10000, 0);
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_CRITICAL, .fn = use_up };
	const unsigned rounds = quota_bench.quick ? 3 : 9, n = 200000;
	double each[9];
	uint64_t begin;
	struct baton_request *r;
	unsigned i, k;
	int err;

	for (k = 0; k < rounds; k++) {
		/* Until all that the last round used has left the second: what is used now stays for one. */
		usleep(1100000);
		err = baton_submit(t, &o, &r);
		if (err)
			quota_cannot("not admitted: %d", err);
		baton_request_wait(r);
		baton_request_put(r);
		begin = baton_clock_now();
		for (i = 0; i < n; i++)
			if (baton_submit(t, &o, NULL) != -EDQUOT)
				quota_cannot("not rejected: call %u, %.0f ms after the quota was used up", i,
					     (double)(baton_clock_now() - begin) / MS);
		each[k] = (double)(baton_clock_now() - begin) / n;
	}
	quota_out->value = bench_median(each, rounds);
	quota_out->n = n * rounds;
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
	struct pool_job *jobs = calloc(n, sizeof(*jobs));
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
	struct baton_tenant *t = quota_tenant(&sched, quota_cpus, 0, 4000000);
	unsigned rounds = quota_bench.quick ? 3 : 11, i, n = quota_bench.quick ? 5000 : 20000;
	double rate[16], ratio[16];

	job_loops = *(const unsigned *)arg;
	if (job_loops == long_job)
		n /= 4;
	if (pool_start(quota_cpus, NULL, NULL))
		quota_cannot("no threads");
	for (i = 0; i < rounds; i++) {
		double pool = pool_rate(n);

		rate[i] = baton_rate(t, n);
		ratio[i] = rate[i] / pool;
	}
	quota_out->value = bench_median(rate, rounds);
	quota_out->ratio = bench_median(ratio, rounds);
	quota_out->n = n;
}

static void switches(const void *arg)
{
	const unsigned *tasks = arg;
	struct baton_tenant *t;
	cpu_set_t set;

	/* The pair is pinned to one CPU, as in bench switch. */
	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
	t = quota_tenant(&sched, 1, 0, 1000000);
	if (!bench_quota_switch(sched, t, *tasks, quota_bench.quick ? 10000 : 100000, quota_bench.quick ? 3 : 11,
				&quota_out->value, &quota_out->ratio))
		quota_cannot("not enough threads for %u tasks", *tasks);
	quota_out->n = quota_bench.quick ? 10000 : 100000;
}

static void switch_rows(void)
{
	static const unsigned sizes[] = { 2, 10, 100, 1000, 10000 };
	const char *backend = "", *unit = strcmp(quota_bench.where, "vm-icount") ? "ns" : "insn";
	char name[32], bare[32];
	size_t i;

	baton_backend(&backend);
	quota_row("sched_switch", unit, switches, &sizes[0], !strcmp(backend, "swap") ? "lib_swap" : "lib_wakewait");
	for (i = 1; i < sizeof(sizes) / sizeof(*sizes); i++) {
		snprintf(name, sizeof(name), "switch_at_%u", sizes[i]);
		snprintf(bare, sizeof(bare), "bare_at_%u", sizes[i]);
		/* With 10,000 bare threads beside as many tasks it is another machine. */
		quota_row(name, unit, switches, &sizes[i], sizes[i] <= 1000 ? bare : NULL);
	}
}

/* A task that sleeps in the kernel, in a place that nobody announced. */
static void sleep_on(void *arg)
{
	pause();
}

/* Times that threads of this process but the caller were switched away from; awake threads only leave the CPU so. */
static long switched(void)
{
	struct rusage all, own;

	getrusage(RUSAGE_SELF, &all);
	getrusage(RUSAGE_THREAD, &own);
	return all.ru_nvcsw + all.ru_nivcsw - own.ru_nvcsw - own.ru_nivcsw;
}

/* In a second, with one such task and nothing else. */
static void idle_blocked_task_wakeups(const void *arg)
{
	const unsigned seconds = quota_bench.quick ? 2 : 10;
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = sleep_on };
	struct baton_tenant *t;
	long before;

	/* Sessions of `baton load`, if it is there, would be another case. */
	setenv("BATON_DETECT", "off", 1);
	t = quota_tenant(&sched, 0, 0, 1000000);
	if (baton_submit(t, &o, NULL))
		quota_cannot("no request");
	sleep(1);
	before = switched();
	sleep(seconds);
	quota_out->value = (double)(switched() - before) / seconds;
	quota_out->n = seconds;
}

/* Address space of this process, bytes. */
static double address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages;

	if (!f || fscanf(f, "%lu", &pages) != 1)
		quota_cannot("/proc/self/statm: %s", strerror(errno));
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void sched_create_vm(const void *arg)
{
	double before = address_space();

	if (baton_sched_create(&sched, NULL))
		quota_cannot("no scheduler");
	quota_out->value = (address_space() - before) / 1e6;
	quota_out->n = 1;
}

void quota_cost_rows(void)
{
	quota_row("checkpoint_idle", "ns", checkpoint_idle, NULL, NULL);
	quota_row("reject", "ns", reject, NULL, NULL);
	switch_rows();
	quota_row("throughput_baton", "ops/s", throughput, &long_job, "throughput_threadpool");
	quota_row("throughput_baton_5us", "ops/s", throughput, &short_job, "throughput_threadpool_5us");
	quota_row("idle_blocked_task_wakeups", "1/s", idle_blocked_task_wakeups, NULL, NULL);
	quota_row("sched_create_vm", "MB", sched_create_vm, NULL, NULL);
}
