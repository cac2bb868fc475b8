// SPDX-License-Identifier: GPL-2.0-or-later
// peer_pool.c - threads, and a list under a mutex and a condition variable.
#include <stdlib.h>

#include "../baton/bench_pool.h"
#include "peer.h"

static void run_job(void *arg)
{
	peer_task();
}

static int start_threads(unsigned threads)
{
	return pool_start(threads, NULL, NULL);
}

static void flood_pool(unsigned long n)
{
	struct pool_job *jobs = calloc(n, sizeof(*jobs));
	unsigned long i, before = peer_ended();

	if (!jobs)
		abort();
	for (i = 0; i < n; i++) {
		jobs[i].fn = run_job;
		pool_add(&jobs[i]);
	}
	peer_wait(before + n);
	free(jobs);
}

static struct peer peer_pool = { .name = "pool", .start = start_threads, .flood = flood_pool };
PEER_ADD(pool)
