/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Everything that can be waited for, with a deadline that passes first; and a
 * cancel that ends a wait without one.
 */
#include <baton/sync.h>
#include <errno.h>
#include <stdio.h>

static struct baton_mutex *mutex;
static struct baton_cond *cond;
static struct baton_sem *sem;
static struct baton_chan *chan;
static struct baton_request *mine;
static int given_up, was_cancelled;

static uint64_t soon(void)
{
	return baton_clock_now() + 1000000;
}

static void holds(void *unused)
{
	(void)unused;
	baton_mutex_lock(mutex);
	while (baton_sem_wait_until(sem, soon()) == -ETIMEDOUT)
		given_up++;
	baton_mutex_unlock(mutex);
}

static void tries(void *unused)
{
	struct baton_task *holder;
	void *item;

	(void)unused;
	if (baton_task_spawn(&holder, holds, NULL))
		return;
	while (!baton_mutex_trylock(mutex)) {
		baton_mutex_unlock(mutex);
		baton_sleep_until(soon());
	}
	given_up += baton_mutex_lock_until(mutex, soon()) == -ETIMEDOUT;
	given_up += baton_task_join_until(holder, soon()) == -ETIMEDOUT;
	baton_sem_post(sem);
	baton_task_join(holder);
	given_up += baton_chan_recv_until(chan, &item, soon()) == -ETIMEDOUT;
	baton_chan_send_until(chan, NULL, soon());
	given_up += baton_chan_send_until(chan, NULL, soon()) == -ETIMEDOUT;
	baton_mutex_lock(mutex);
	given_up += baton_cond_wait_until(cond, mutex, soon()) == -ETIMEDOUT;
	baton_mutex_unlock(mutex);
	was_cancelled = baton_sem_wait_until(sem, BATON_FOREVER) == -ECANCELED;
}

int main(void)
{
	struct baton_tenant_opts to = { 0 };
	struct baton_request_opts ro = { 0 };
	struct baton_tenant *tenant;
	struct baton_sched *s;
	int result = 0, err;

	to.sz = sizeof(to);
	to.high_ppm = 500000;
	ro.sz = sizeof(ro);
	ro.cls = BATON_BATCH;
	ro.fn = tries;
	if (baton_sched_create(&s, NULL) || baton_tenant_add(s, &tenant, &to) ||
	    baton_mutex_create(&mutex, s) || baton_cond_create(&cond, s) ||
	    baton_sem_create(&sem, s, 0) || baton_chan_create(&chan, s, 1) ||
	    baton_submit(tenant, &ro, &mine))
		return 1;
	while ((err = baton_request_wait_until(mine, baton_clock_now() + 200000000, &result)) == -ETIMEDOUT)
		baton_request_cancel(mine);
	baton_request_put(mine);
	baton_chan_destroy(chan);
	baton_sem_destroy(sem);
	baton_cond_destroy(cond);
	baton_mutex_destroy(mutex);
	printf("given up %d times, %s\n", given_up, was_cancelled ? "cancelled" : "not cancelled");
	return baton_sched_destroy(s) || err || result != -ECANCELED;
}
