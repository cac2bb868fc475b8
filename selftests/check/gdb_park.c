// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * For gdb.sh: parkers in every state, then stands still in stopped_here().
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <baton/park.h>

#include "park.h"

struct baton_parker *sleeper, *waiter, *full, *fresh, *gone;

__attribute__((noinline)) static void stopped_here(void)
{
	__asm__ volatile("");
}

static void *sleep_for_ever(void *unused)
{
	baton_parker_block(sleeper, BATON_FOREVER);
	return NULL;
}

static void *wait_for_long(void *unused)
{
	baton_parker_block(waiter, UINT64_C(123456000000789));
	return NULL;
}

static void until_parked(struct baton_parker *p)
{
	while (atomic_load(&p->word) != BTN_PARK_PARKED)
		sched_yield();
}

int main(void)
{
	struct baton_parker **all[] = { &sleeper, &waiter, &full, &fresh, &gone };
	pthread_t t[2];

	for (size_t i = 0; i < 5; i++)
		if (baton_parker_create(all[i]))
			return 1;
	baton_parker_destroy(gone);
	baton_parker_resume(full);
	pthread_create(&t[0], NULL, sleep_for_ever, NULL);
	pthread_setname_np(t[0], "dreamer");
	pthread_create(&t[1], NULL, wait_for_long, NULL);
	until_parked(sleeper);
	until_parked(waiter);
	stopped_here();
	baton_parker_resume(sleeper);
	baton_parker_resume(waiter);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	return 0;
}
