// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton bench quota - what the scheduler costs, and what it keeps. Each
 * measurement is a process of its own.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
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

void quota_punctual(void)
{
	struct sched_param none = { 0 };

	/* The kernel then gives threads that this one makes nice 0. */
	sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &none);
	setpriority(PRIO_PROCESS, (id_t)gettid(), -20);
	prctl(PR_SET_TIMERSLACK, 1);
}

void quota_cannot(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(quota_out->why_not, sizeof(quota_out->why_not), fmt, ap);
	va_end(ap);
	_exit(0);
}

void *quota_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("baton bench quota: mmap");
		exit(1);
	}
	return p;
}

const char *quota_measure(void (*fn)(const void *), const void *arg)
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
	return quota_out->why_not[0] ? quota_out->why_not : NULL;
}

struct baton_tenant *quota_tenant(struct baton_sched **s, unsigned slots, unsigned low, unsigned high)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = slots, .workers_keep = 20000, .bind = slots == quota_cpus };
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = low, .high_ppm = high };
	struct baton_tenant *t;

	if (baton_sched_create(s, &so) || baton_tenant_add(*s, &t, &o))
		quota_cannot("no scheduler");
	return t;
}

void quota_row(const char *name, const char *unit, void (*fn)(const void *), const void *arg, const char *baseline)
{
	struct bench_result r = { .name = name, .unit = unit, .baseline = baseline };

	if (!bench_wants(&quota_bench, name))
		return;
	r.skipped = quota_measure(fn, arg);
	r.value = quota_out->value;
	r.n = quota_out->n;
	r.ratio = quota_out->ratio;
	bench_put(&quota_bench, &r);
}

int bench_quota(int argc, char **argv)
{
	int err;

	err = bench_options(&quota_bench, "quota",
			    "What the scheduler costs, and what it keeps: quota errors, how long a paying\n"
			    "tenant waits beside hostile neighbours, and what the alternatives make of that.",
			    argc, argv);
	if (err)
		return err - 1;
	quota_cpus = (unsigned)bench_cpus();
	quota_out = quota_shared(sizeof(*quota_out));
	if (baton_backend(NULL)) {
		fprintf(stderr, "baton bench quota: no backend\n");
		return 1;
	}
	bench_begin(&quota_bench);
	quota_cost_rows();
	quota_error_rows();
	quota_share_rows();
	quota_wait_rows();
	return bench_end(&quota_bench);
}
