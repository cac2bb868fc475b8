/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three consumers, a burst of items, one wake-up.
 */
#include <baton/burst.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

static struct baton_burst *b;

static void *consumer(void *arg)
{
	struct baton_burst_consumer *c;
	void *x;

	if (baton_burst_join(b, &c))
		return NULL;
	/* -EPIPE ends it: the sender has closed. */
	while (!baton_burst_wait(c, &x, BATON_FOREVER))
		printf("consumer %d has %d\n", *(int *)arg, *(int *)x);
	baton_burst_leave(c);
	return NULL;
}

int main(void)
{
	int numbers[6] = { 0, 1, 2, 3, 4, 5 };
	unsigned int woken = 0;
	pthread_t thread[3];
	int i;

	if (baton_burst_create(&b))
		return 1;
	for (i = 0; i < 3; i++)
		if (pthread_create(&thread[i], NULL, consumer, &numbers[i]))
			return 1;
	for (i = 0; i < 6; ) {
		/* As many as somebody waits for; the others stay ours. */
		while (i < 6 && !baton_burst_offer(b, &numbers[i]))
			i++;
		woken += baton_burst_wake_all(b);
		sched_yield();
	}
	baton_burst_close(b);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	baton_burst_destroy(b);
	return woken != 6;
}
