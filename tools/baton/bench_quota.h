/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench_quota.h - what the files of bench quota share. A measurement is a
 * process of its own; quota_out is shared with the one that prints.
 */
#ifndef TOOLS_BENCH_QUOTA_H
#define TOOLS_BENCH_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "quota_windows.h"

#define MS 1000000ULL
#define SECOND 1000000000ULL
#define PARTS 5

struct baton_sched;
struct baton_tenant;

struct quota_out {
	double value, p50, p99, p999, ratio;
	double total, total50, total99, total999;	/* isolation: until it was answered */
	struct quota_errors error;
	unsigned long n;
	char why_not[200];
};

extern struct quota_out *quota_out;
extern struct bench quota_bench;
extern unsigned quota_cpus;

/* Ends the measurement: the row is skipped, and says why. */
void quota_cannot(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
uint64_t quota_thread_cpu(void);
void quota_sleep_to(uint64_t t);

/* Measurements of bench_quota_error.c. */
enum quota_system { QUOTA_UNBOUND, QUOTA_BOUND, QUOTA_CPUMAX };
/* arg: enum quota_system *. */
void quota_error(const void *arg);
/* Before and after, in the process that prints; NULL, or why it cannot be. */
const char *quota_error_prepare(enum quota_system system);
void quota_error_clean_up(enum quota_system system);
void quota_attribution(const void *arg);
void quota_overhead(const void *arg);

/* ns of a checkpoint with nothing due. */
void bench_quota_checkpoint(struct baton_tenant *t, double *ns, unsigned long *n);

/*
 * So many tasks in a ring hand the only slot on, n times a round: ns of one
 * switch, and the median ratio to the bare switch_to of as many threads in the
 * same round.
 */
bool bench_quota_switch(struct baton_sched *s, struct baton_tenant *t, unsigned tasks, unsigned long n,
			unsigned rounds, double *ns, double *ratio);

#endif
