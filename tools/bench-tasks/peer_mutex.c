// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peer_mutex.c - one mutex that four want all the time: tasks and a baton_mutex, or
 * threads and a pthread_mutex. An operation is to lock, some 20 ns of work, to unlock,
 * and some 50 ns of work outside; `flood` does so many of them.
 */
#include <pthread.h>
#include <stdlib.h>

#include <baton/baton.h>

#include "peer.h"

#define CONTENDERS 4

static unsigned long each;
static volatile unsigned long guarded;

static void busy(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		__asm__ volatile("" : "+r"(i));
}

static void inside(void)
{
	guarded = guarded + 1;
	busy(40);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *contend_in_thread(void *arg)
{
	unsigned long i;

	for (i = 0; i < each; i++) {
		pthread_mutex_lock(&mutex);
		inside();
		pthread_mutex_unlock(&mutex);
		busy(100);
	}
	return NULL;
}

static int start_nothing(unsigned threads)
{
	return 0;
}

static void flood_pthread(unsigned long n)
{
	pthread_t t[CONTENDERS];
	unsigned i;

	each = n / CONTENDERS;
	for (i = 0; i < CONTENDERS; i++)
		if (pthread_create(&t[i], NULL, contend_in_thread, NULL))
			abort();
	for (i = 0; i < CONTENDERS; i++)
		pthread_join(t[i], NULL);
}

static struct baton_sched *sched;
static struct baton_tenant *tenant;
static struct baton_mutex *of_tasks;

static int start_mutex(unsigned threads)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = threads };
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 4000000 };

	setenv("BATON_DETECT", "off", 1);
	return baton_sched_create(&sched, &so) || baton_tenant_add(sched, &tenant, &o) || baton_mutex_create(&of_tasks, sched);
}

static void contend_in_task(void *arg)
{
	unsigned long i;

	for (i = 0; i < each; i++) {
		if (baton_mutex_lock(of_tasks))
			abort();
		inside();
		baton_mutex_unlock(of_tasks);
		busy(100);
		baton_checkpoint();
	}
}

static void flood_mutex(unsigned long n)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = contend_in_task };
	struct baton_request *r[CONTENDERS];
	unsigned i;

	each = n / CONTENDERS;
	for (i = 0; i < CONTENDERS; i++)
		if (baton_submit(tenant, &o, &r[i]))
			abort();
	for (i = 0; i < CONTENDERS; i++) {
		baton_request_wait(r[i]);
		baton_request_put(r[i]);
	}
}

static struct peer peer_pthread_mutex = { .name = "pthread_mutex", .start = start_nothing, .flood = flood_pthread };
PEER_ADD(pthread_mutex)
static struct peer peer_baton_mutex = { .name = "mutex", .start = start_mutex, .flood = flood_mutex };
PEER_ADD(baton_mutex)
