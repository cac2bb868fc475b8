/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread waits, with a deadline, for what another thread makes.
 */
#include <baton/park.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

static struct baton_parker *reader;
static int answer;		/* no lock: the permit orders it */

static void *writer(void *unused)
{
	(void)unused;
	answer = 42;
	baton_parker_resume(reader);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	if (baton_parker_create(&reader))
		return 1;

	/* Nobody will come: it is over after a millisecond. */
	if (baton_parker_block(reader, baton_clock_now() + 1000000) != -ETIMEDOUT)
		return 1;

	if (pthread_create(&thread, NULL, writer, NULL))
		return 1;
	if (baton_parker_block(reader, BATON_FOREVER))
		return 1;
	printf("the answer is %d\n", answer);
	pthread_join(thread, NULL);
	baton_parker_destroy(reader);
	return answer != 42;
}
