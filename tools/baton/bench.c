// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "options.h"

int bench_options(struct bench *b, const char *name, const char *help, int argc, char **argv)
{
	static const struct option rows[] = {
		{ "case", required_argument, 0, 'c' },
		{ "json", required_argument, 0, 'j' },
		{ "quick", no_argument, 0, 'q' },
		{ "rounds", required_argument, 0, 'r' },
		{ "where", required_argument, 0, 'w' },
		OPTIONS_COMMON
	};
	static char usage[8192];
	char verb[32], *end;
	struct options o = { .verb = verb, .usage = usage };
	long rounds;
	int c;

	*b = (struct bench){ .name = name, .where = "host", .table = true };
	snprintf(verb, sizeof(verb), "bench %s", name);
	snprintf(usage, sizeof(usage), "usage: baton bench %s [OPTION]...\n\n%s\n"
		 "  --json FILE     one JSON object a line there (- is stdout, without the table)\n"
		 "  --where WHERE   host, vm or vm-icount: what the lines say (host)\n"
		 "  --quick         fewer rounds, for a look\n"
		 "  --rounds N      this many rounds\n"
		 "  --case PATTERN  only these cases, a shell pattern, as @(a|b*); baselines run too\n",
		 name, help);
	while ((c = options_next(&o, argc, argv, "", rows)) != OPTIONS_END) {
		switch (c) {
		case OPTIONS_EXIT:
			return o.status + 1;
		case 'q':
			b->quick = true;
			break;
		case 'j':
			b->table = strcmp(optarg, "-") != 0;
			b->json = b->table ? fopen(optarg, "w") : stdout;
			if (!b->json) {
				fprintf(stderr, "baton bench %s: cannot write %s: %s\n", name, optarg, strerror(errno));
				return 3;
			}
			break;
		case 'w':
			if (strcmp(optarg, "host") && strcmp(optarg, "vm") && strcmp(optarg, "vm-icount"))
				return options_wrong(&o, "--where %s: host, vm or vm-icount", optarg) + 1;
			b->where = optarg;
			break;
		case 'r':
			rounds = strtol(optarg, &end, 10);
			if (*end || rounds < 1 || rounds > 1001)
				return options_wrong(&o, "--rounds %s: a number from 1 to 1001", optarg) + 1;
			b->rounds = (int)rounds;
			break;
		case 'c':
			b->only = optarg;
			break;
		}
	}
	if (optind < argc)
		return options_wrong(&o, "no argument \"%s\" is expected", argv[optind]) + 1;
	return 0;
}

bool bench_wants(const struct bench *b, const char *name)
{
	return !b->only || !fnmatch(b->only, name, FNM_EXTMATCH);
}

/* JSON has no infinity, but numbers of any size: readers make infinity of this one. */
static void put_number(FILE *to, const char *key, double v)
{
	if (isinf(v))
		fprintf(to, ",\"%s\":1e999", key);
	else
		fprintf(to, ",\"%s\":%.10g", key, v);
}

int bench_cpus(void)
{
	/* A cpu_set_t has 1024, and the kernel refuses to fill one where there are more. */
	cpu_set_t set[8];

	return sched_getaffinity(0, sizeof(set), set) ? 1 : CPU_COUNT_S(sizeof(set), set);
}

void bench_begin(const struct bench *b)
{
	struct utsname u;

	uname(&u);
	if (b->json) {
		fprintf(b->json, "{\"bench\":\"%s\",\"case\":\"machine\",\"where\":\"%s\",\"kernel\":",
			b->name, b->where);
		options_put_json(b->json, u.release);
		fprintf(b->json, ",\"cpus\":%d}\n", bench_cpus());
	}
	if (b->table)
		printf("%s, Linux %s, %d CPUs\n%-26s %12s %-7s %8s  %s\n", b->where, u.release,
		       bench_cpus(), "case", "value", "unit", "ratio", "to");
}

/* A row of the table for people. */
static void put_row(const struct bench_result *r)
{
	if (r->skipped) {
		printf("%-26s %12s %s\n", r->name, "skipped:", r->skipped);
	} else {
		printf("%-26s %12.*f %-7s", r->name, r->value < 10 ? 3 : 1, r->value, r->unit);
		if (r->baseline)
			printf(" %8.3f  %s", r->ratio, r->baseline);
		if (r->baseline && r->ratio_high > 0)
			printf("  (%.3f to %.3f)", r->ratio_low, r->ratio_high);
		printf("\n");
	}
	fflush(stdout);
}

void bench_put(const struct bench *b, const struct bench_result *r)
{
	if (b->json) {
		fprintf(b->json, "{\"bench\":\"%s\",\"case\":\"%s\",\"where\":\"%s\"", b->name,
			r->name, b->where);
		if (r->skipped) {
			fprintf(b->json, ",\"skipped\":");
			options_put_json(b->json, r->skipped);
		} else {
			put_number(b->json, "value", r->value);
			fprintf(b->json, ",\"unit\":\"%s\",\"n\":%lu", r->unit, r->n);
			if (r->has_quantiles) {
				put_number(b->json, "p50", r->p50);
				put_number(b->json, "p99", r->p99);
				put_number(b->json, "p999", r->p999);
				if (r->never)
					fprintf(b->json, ",\"never\":%lu", r->never);
			}
			if (r->baseline) {
				fprintf(b->json, ",\"baseline\":\"%s\"", r->baseline);
				put_number(b->json, "ratio", r->ratio);
			}
			if (r->baseline && r->ratio_high > 0) {
				put_number(b->json, "ratio_low", r->ratio_low);
				put_number(b->json, "ratio_high", r->ratio_high);
			}
		}
		fprintf(b->json, "}\n");
		fflush(b->json);
	}
	if (b->table)
		put_row(r);
}

int bench_end(struct bench *b)
{
	if (!b->json || b->json == stdout)
		return 0;
	if (fclose(b->json)) {
		fprintf(stderr, "baton bench %s: writing the results: %s\n", b->name, strerror(errno));
		return 1;
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

void bench_spread(struct bench_result *x, double *v, size_t n)
{
	x->ratio = bench_median(v, n);
	x->ratio_low = v[n / 4];
	x->ratio_high = v[n - 1 - n / 4];
}

/* The least number that is not below pm thousandths of the n sorted ones. */
static double quantile(const double *v, size_t n, unsigned pm)
{
	return v[(n * pm + 999) / 1000 - 1];
}

void bench_quantiles(struct bench_result *x, double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	x->has_quantiles = true;
	x->n = n;
	x->p50 = quantile(v, n, 500);
	x->p99 = quantile(v, n, 990);
	x->p999 = quantile(v, n, 999);
}

void bench_quantiles_u32(struct bench_result *x, const uint32_t *v, size_t n)
{
	double *copy = malloc(n * sizeof(*copy));
	size_t i;

	if (!copy)
		abort();
	for (i = 0; i < n; i++)
		copy[i] = v[i];
	bench_quantiles(x, copy, n);
	free(copy);
}
