/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scenario.h - simulations of which a seed decides everything: random numbers, what a failure says, and
 * the command line,
 *
 *	PROGRAM [SEEDS]			so many seeds of each scenario, or one in `every` of them
 *	PROGRAM -s SCENARIO SEED	one of them again, as a failure prints it
 *
 * The program's own are SCENARIO_PROGRAM, which is its name, defined before this header, and S.now, the
 * simulated time.
 */
#ifndef SCENARIO_H
#define SCENARIO_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

struct scenario {
	const char *name;
	void (*fn)(void);
	unsigned every;		/* seeds to one of these */
};

static uint64_t rng, seed_now;
static const char *scenario_now;

static inline uint64_t rnd(void)
{
	uint64_t z = rng += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline uint64_t between(uint64_t a, uint64_t b)
{
	return a + rnd() % (b - a + 1);
}

#define MUST(COND, FMT, ...)                                                                                     \
	CHECK_MSG(COND, "%s:%d: %s; at %" PRIu64 " ns; again: " SCENARIO_PROGRAM " -s %s %" PRIu64 ": " FMT,     \
		  __FILE__, __LINE__, #COND, S.now, scenario_now, seed_now, ##__VA_ARGS__)

static inline void run_seed(const struct scenario *sc, uint64_t seed)
{
	scenario_now = sc->name;
	seed_now = seed;
	rng = seed * 0x2545f4914f6cdd1dULL + 1;
	sc->fn();
}

/* The test of one scenario. */
static inline void run_seeds(const struct scenario *sc, uint64_t seeds)
{
	uint64_t i, n = (seeds + sc->every - 1) / sc->every;

	for (i = 1; i <= n; i++)
		run_seed(sc, i);
}

/* main(), for the n scenarios that have a test each; *seeds: what the command line may change. */
static inline int scenario_main(const struct scenario *sc, size_t n, uint64_t *seeds, int argc, char **argv)
{
	char *one[] = { argv[0], NULL };
	size_t i;

	if (argc == 4 && !strcmp(argv[1], "-s")) {
		for (i = 0; i < n; i++)
			if (!strcmp(sc[i].name, argv[2])) {
				if (setjmp(tap_env)) {
					printf("not ok - %s\n", tap_why);
					return 1;
				}
				run_seed(&sc[i], strtoull(argv[3], NULL, 0));
				printf("ok - %s %s\n", argv[2], argv[3]);
				return 0;
			}
		fprintf(stderr, SCENARIO_PROGRAM ": no scenario '%s'\n", argv[2]);
		return 2;
	}
	if (argc == 2 && strtoull(argv[1], NULL, 0)) {
		*seeds = strtoull(argv[1], NULL, 0);
		return tap_main(1, one);
	}
	return tap_main(argc, argv);
}

#endif
