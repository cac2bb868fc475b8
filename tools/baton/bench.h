/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench.h - result lines and their table; what every benchmark shares.
 *
 * A result is one JSON object a line, as tools/bench collects them:
 *	{"bench":..,"case":..,"where":..,"value":..,"unit":..,"n":..,
 *	 "baseline":..,"ratio":..}
 * and a case that could not run says so: {..,"skipped":"reason"}.
 */
#ifndef TOOLS_BENCH_H
#define TOOLS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Options that every benchmark understands. */
struct bench {
	const char *name;
	const char *where;	/* host, vm, vm-icount */
	FILE *json;		/* NULL: no lines */
	bool table;		/* a table for people on stdout, too */
	bool quick;
	int rounds;		/* 0: the benchmark's own */
	const char *only;	/* a shell pattern of cases, or NULL */
};

struct bench_result {
	const char *name;
	double value;		/* INFINITY: never; a line has 1e999 for it */
	const char *unit;
	unsigned long n;
	const char *baseline;	/* NULL: none */
	double ratio;
	double ratio_low, ratio_high;	/* the middle half of its rounds; 0: not known */
	bool has_quantiles;
	double p50, p99, p999;
	unsigned long never;	/* infinite ones of the n */
	const char *skipped;	/* the reason; then nothing else counts */
};

/*
 * Reads --json FILE (- is stdout), --where W, --quick, --rounds N, --case
 * PATTERN and --help. Returns 0, or what to exit with, plus one.
 */
int bench_options(struct bench *b, const char *name, const char *help, int argc, char **argv);

/* Is this case asked for? */
bool bench_wants(const struct bench *b, const char *name);

/* CPUs that this process may use. */
int bench_cpus(void);

/* The machine's line; then each result, as a line and as a row of the table. */
void bench_begin(const struct bench *b);
void bench_put(const struct bench *b, const struct bench_result *r);
int bench_end(struct bench *b);

/*
 * The first three sort v. bench_spread(): the median and the middle half, into x.
 * bench_quantiles(): n, which is not 0, p50, p99 and p999, into x.
 */
double bench_median(double *v, size_t n);
void bench_spread(struct bench_result *x, double *v, size_t n);
void bench_quantiles(struct bench_result *x, double *v, size_t n);
void bench_quantiles_u32(struct bench_result *x, const uint32_t *v, size_t n);

#endif
