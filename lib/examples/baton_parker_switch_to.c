/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two threads take turns: each hands the CPU to the other and waits to get it
 * back, in one call.
 */
#include <baton/park.h>
#include <pthread.h>
#include <stdio.h>

#define ROUNDS 3

static struct baton_parker *ping, *pong;

static void *second(void *unused)
{
	(void)unused;
	baton_parker_block(pong, BATON_FOREVER);
	for (int i = 0; i < ROUNDS; i++) {
		printf("  pong %d\n", i);
		if (i < ROUNDS - 1)
			baton_parker_switch_to(pong, ping, BATON_FOREVER);
	}
	baton_parker_resume(ping);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	if (baton_parker_create(&ping) || baton_parker_create(&pong) ||
	    pthread_create(&thread, NULL, second, NULL))
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		printf("ping %d\n", i);
		baton_parker_switch_to(ping, pong, BATON_FOREVER);
	}
	pthread_join(thread, NULL);
	baton_parker_destroy(ping);
	baton_parker_destroy(pong);
	return 0;
}
