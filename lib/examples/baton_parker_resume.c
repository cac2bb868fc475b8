/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A signal handler resumes the thread it interrupted: nothing else is needed to
 * wait for a signal without a race.
 */
#include <baton/park.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static struct baton_parker *self;
static volatile sig_atomic_t rang;

static void on_alarm(int sig)
{
	(void)sig;
	rang = 1;
	baton_parker_resume(self);
}

int main(void)
{
	if (baton_parker_create(&self))
		return 1;
	signal(SIGALRM, on_alarm);
	ualarm(1000, 0);
	while (!rang)
		baton_parker_block(self, BATON_FOREVER);
	printf("it rang\n");
	baton_parker_destroy(self);
	return 0;
}
