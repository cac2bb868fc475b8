/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two workers; one task makes a thousand more, a control task goes first.
 */
#include <baton/runq.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static struct baton_runq *rq;
static char root, control, child[1000];
static atomic_int done;

static void *worker(void *arg)
{
	unsigned int slot = *(unsigned int *)arg, i;
	void *task;

	while (!baton_runq_pop(rq, slot, &task, BATON_FOREVER)) {
		if (task == &control)
			printf("control\n");
		for (i = 0; task == &root && i < 1000; i++)
			if (baton_runq_push(rq, slot, &child[i]))
				return NULL;
		if (atomic_fetch_add(&done, 1) + 1 == 1002)
			baton_runq_close(rq);
	}
	return rq;
}

int main(void)
{
	struct baton_runq_opts opts = { .sz = sizeof(opts), .slots = 2 };
	unsigned int slot[2] = { 0, 1 };
	pthread_t thread[2];
	void *ok[2], *task;
	int i;

	if (baton_runq_create(&rq, &opts))
		return 1;
	if (baton_runq_submit(rq, &root) || baton_runq_submit_control(rq, &control))
		return 1;
	/* A worker that does not want to wait; this thread is slot 0's for now. */
	if (!baton_runq_try_pop(rq, 0, &task) || task != &control ||
	    baton_runq_submit_control(rq, task))
		return 1;
	for (i = 0; i < 2; i++)
		if (pthread_create(&thread[i], NULL, worker, &slot[i]))
			return 1;
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], &ok[i]);
	baton_runq_destroy(rq);
	return !ok[0] || !ok[1];
}
