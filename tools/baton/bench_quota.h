/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench_quota.h - what the files of bench quota share. A measurement is a
 * process of its own; quota_out is shared with the process that prints.
 */
#ifndef TOOLS_BENCH_QUOTA_H
#define TOOLS_BENCH_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quota_windows.h"

#define MS 1000000ULL
#define SECOND 1000000000ULL

struct baton_sched;
struct baton_tenant;

struct quota_out {
	double value, ratio;
	struct quota_errors error;
	double got_most, got_least;	/* quota_error_spinners(): of what was bought */
	unsigned long n;
	char why_not[200];
};

extern struct quota_out *quota_out;
extern struct bench quota_bench;
extern unsigned quota_cpus;

/* Memory that measurements and the process that prints share. */
void *quota_shared(size_t size);
/* Runs fn(arg) in a process of its own; NULL, or why there is no result. */
const char *quota_measure(void (*fn)(const void *), const void *arg);
/* Ends the measurement: the row is skipped, and says why. */
void quota_cannot(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* A row with the value that fn(arg) leaves in quota_out, if the row is wanted; with a ratio where there is a baseline. */
void quota_row(const char *name, const char *unit, void (*fn)(const void *), const void *arg, const char *baseline);

uint64_t quota_thread_cpu(void);
void quota_sleep_to(uint64_t t);
/*
 * The calling thread, which measures or sends, comes on time: nice -20 where it may,
 * and no timer slack. Threads that it makes later do not inherit that.
 */
void quota_punctual(void);
/* A scheduler and its only tenant, or the measurement ends. */
struct baton_tenant *quota_tenant(struct baton_sched **s, unsigned slots, unsigned low, unsigned high);

/* The rows of each file, in the order in which they are printed. */
void quota_cost_rows(void);	/* bench_quota_cost.c: what calls cost, what is idle */
void quota_error_rows(void);	/* bench_quota_error.c: what tenants got against what they bought */
void quota_share_rows(void);	/* bench_quota_share.c: parts of what there is */
void quota_wait_rows(void);	/* bench_quota_wait.c: how long a paying tenant waits beside neighbours */

/* Measurements of bench_quota_tasks.c. */

/* ns of a checkpoint with nothing due. */
void bench_quota_checkpoint(struct baton_tenant *t, double *ns, unsigned long *n);

/*
 * A ring of so many tasks hands the only slot on, n times a round: ns of one
 * switch, and the median ratio to the bare switch_to of as many threads in the
 * same round.
 */
bool bench_quota_switch(struct baton_sched *s, struct baton_tenant *t, unsigned tasks, unsigned long n,
			unsigned rounds, double *ns, double *ratio);

#endif
