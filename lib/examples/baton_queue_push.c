/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread fills a queue without a limit, another thread empties it.
 */
#include <baton/queue.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#define N 100000

static int numbers[N];
static struct baton_queue *q;

static void *producer(void *unused)
{
	int i;

	(void)unused;
	/* The thread's record is made here, so that no push fails for want of one. */
	if (baton_queue_attach())
		return NULL;
	for (i = 0; i < N; i++)
		if (baton_queue_push(q, &numbers[i]))
			return NULL;
	return q;
}

int main(void)
{
	int next = 0, wrong = 0;
	void *v[16], *ok;
	pthread_t thread;
	size_t i, n;

	if (baton_queue_create(&q) || pthread_create(&thread, NULL, producer, NULL))
		return 1;
	while (next < N) {
		if (baton_queue_empty(q))
			sched_yield();
		if (baton_queue_pop(q, v))
			wrong += v[0] != &numbers[next++];
		n = baton_queue_pop_n(q, v, 16);
		for (i = 0; i < n; i++)
			wrong += v[i] != &numbers[next++];
	}
	pthread_join(thread, &ok);
	printf("%d came out, %d of them out of order\n", next, wrong);
	baton_queue_destroy(q);
	return wrong || !ok;
}
