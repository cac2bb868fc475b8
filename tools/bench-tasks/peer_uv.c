// SPDX-License-Identifier: GPL-2.0-or-later
// peer_uv.c - libuv's pool: uv_queue_work(), and the loop that hears of each end.
#include <stdio.h>
#include <stdlib.h>

#include "peer.h"

#if __has_include(<uv.h>)
#include <uv.h>

static void run_work(uv_work_t *w)
{
	peer_task();
}

static void after_work(uv_work_t *w, int status)
{
}

static int start_pool(unsigned threads)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", threads);
	return setenv("UV_THREADPOOL_SIZE", text, 1);
}

static void flood_uv(unsigned long n)
{
	uv_work_t *w = calloc(n, sizeof(*w));
	unsigned long i;

	for (i = 0; w && i < n; i++)
		if (uv_queue_work(uv_default_loop(), &w[i], run_work, after_work))
			abort();
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	free(w);
}

static struct peer peer_uv = { .name = "uv", .start = start_pool, .flood = flood_uv };
#else
static struct peer peer_uv = { .name = "uv", .missing = "libuv1-dev" };
#endif
PEER_ADD(uv)
