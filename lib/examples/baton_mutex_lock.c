/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers through a channel, a sum under a mutex, a condition when it is
 * complete, and a semaphore that tells the first task.
 */
#include <baton/sync.h>
#include <stdio.h>

static struct baton_mutex *mutex;
static struct baton_cond *complete;
static struct baton_sem *told;
static struct baton_chan *numbers;
static long sum;

static void adds(void *arg)
{
	void *item;

	while (!baton_chan_recv(numbers, &item)) {
		if (baton_mutex_trylock(mutex))
			baton_mutex_lock(mutex);
		sum += *(long *)item;
		if (sum == 5050)
			baton_cond_broadcast(complete);
		baton_cond_signal((struct baton_cond *)arg);
		baton_mutex_unlock(mutex);
	}
	baton_sem_post(told);
}

static void first(void *arg)
{
	static long n[100];
	long i;

	if (baton_task_spawn(NULL, adds, arg) || baton_task_spawn(NULL, adds, arg))
		return;
	for (i = 0; i < 100; i++) {
		n[i] = i + 1;
		baton_chan_send(numbers, &n[i]);
	}
	baton_mutex_lock(mutex);
	while (sum != 5050)
		baton_cond_wait(complete, mutex);
	baton_mutex_unlock(mutex);
	baton_chan_close(numbers);
	baton_sem_wait(told);
	baton_sem_wait(told);
}

int main(void)
{
	struct baton_tenant_opts to = { 0 };
	struct baton_request_opts ro = { 0 };
	struct baton_cond *progress;
	struct baton_tenant *tenant;
	struct baton_request *r;
	struct baton_sched *s;

	to.sz = sizeof(to);
	to.high_ppm = 500000;
	ro.sz = sizeof(ro);
	ro.cls = BATON_BATCH;
	ro.fn = first;
	if (baton_sched_create(&s, NULL) || baton_tenant_add(s, &tenant, &to) ||
	    baton_mutex_create(&mutex, s) || baton_cond_create(&complete, s) ||
	    baton_cond_create(&progress, s) || baton_sem_create(&told, s, 0) ||
	    baton_chan_create(&numbers, s, 8))
		return 1;
	ro.arg = progress;
	if (baton_submit(tenant, &ro, &r) || baton_request_wait(r))
		return 1;
	baton_request_put(r);
	baton_chan_destroy(numbers);
	baton_sem_destroy(told);
	baton_cond_destroy(progress);
	baton_cond_destroy(complete);
	baton_mutex_destroy(mutex);
	printf("%ld\n", sum);
	return baton_sched_destroy(s) || sum != 5050;
}
