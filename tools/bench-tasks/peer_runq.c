// SPDX-License-Identifier: GPL-2.0-or-later
// peer_runq.c - threads that share baton's own run queue, without a scheduler.
#include <pthread.h>
#include <stdlib.h>

#include <baton/baton.h>

#include "peer.h"

static struct baton_runq *rq;

static void *serve_runq(void *arg)
{
	void *item;

	while (!baton_runq_pop(rq, (unsigned)(uintptr_t)arg, &item, BATON_FOREVER))
		peer_task();
	return NULL;
}

static int start_runq(unsigned threads)
{
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = threads };
	uintptr_t i;
	pthread_t t;

	if (baton_runq_create(&rq, &o))
		return -1;
	for (i = 0; i < threads; i++)
		if (pthread_create(&t, NULL, serve_runq, (void *)i))
			return -1;
	return 0;
}

static void flood_runq(unsigned long n)
{
	unsigned long i, before = peer_ended();

	for (i = 0; i < n; i++)
		if (baton_runq_submit(rq, &rq))
			abort();
	peer_wait(before + n);
}

static struct peer peer_runq = { .name = "runq", .start = start_runq, .flood = flood_runq };
PEER_ADD(runq)
