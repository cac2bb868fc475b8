// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct pool_job *first, **last = &first;
static void (*prepare_thread)(void *arg);

void pool_add(struct pool_job *j)
{
	pthread_mutex_lock(&lock);
	j->next = NULL;
	*last = j;
	last = &j->next;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

static void *serve_jobs(void *arg)
{
	struct pool_job *j;

	if (prepare_thread)
		prepare_thread(arg);
	for (;;) {
		pthread_mutex_lock(&lock);
		while (!(j = first))
			pthread_cond_wait(&more, &lock);
		first = j->next;
		if (!first)
			last = &first;
		pthread_mutex_unlock(&lock);
		j->fn(j->arg);
	}
	return NULL;
}

int pool_start(unsigned threads, void (*prepare)(void *arg), void *arg)
{
	pthread_t t;
	unsigned i;

	prepare_thread = prepare;
	for (i = 0; i < threads; i++)
		if (pthread_create(&t, NULL, serve_jobs, arg))
			return -EAGAIN;
	return 0;
}
