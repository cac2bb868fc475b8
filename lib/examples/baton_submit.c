/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tenant with 10% of the machine asks for three things: an answer at once, a
 * job that may take its time, and one that somebody cancels.
 */
#include <baton/sched.h>
#include <stdio.h>

static void part(void *arg)
{
	*(int *)arg += 1;
}

static void answer(void *arg)
{
	struct baton_request_times times;
	struct baton_task *t;
	int parts = 0;

	if (!baton_task_spawn(&t, part, &parts))
		baton_task_join(t);
	/* CPU that another service used for the request. */
	baton_request_charge(baton_request_self(), 1000);
	baton_request_times(baton_request_self(), &times, sizeof(times));
	printf("answer: %d part, %s budget left\n", parts, times.budget ? "some" : "no");
	*(int *)arg = parts;
}

static void job(void *arg)
{
	int i;

	for (i = 0; i < 1000000 && !baton_checkpoint(); i++)
		*(volatile int *)arg = i;
	baton_blocking_begin();
	puts("job: done");
	baton_blocking_end();
	baton_sleep_until(baton_clock_now() + 1000000);
}

int main(void)
{
	struct baton_sched_opts so = { 0 };
	struct baton_tenant_opts to = { 0 };
	struct baton_request_opts ro = { 0 };
	struct baton_tenant_stats stats;
	struct baton_request *a, *b, *c;
	struct baton_tenant *tenant;
	struct baton_sched *s;
	int parts = 0, step = 0, err;

	so.sz = sizeof(so);
	to.sz = sizeof(to);
	ro.sz = sizeof(ro);
	to.low_ppm = 50000;
	to.high_ppm = 50000;
	if (baton_sched_create(&s, &so) || baton_tenant_add(s, &tenant, &to))
		return 1;
	to.low_ppm = 100000;
	if (baton_tenant_set(tenant, &to))
		return 1;
	ro.cls = BATON_CRITICAL;
	ro.fn = answer;
	ro.arg = &parts;
	ro.deadline = baton_clock_now() + 1000000000;
	if (baton_submit(tenant, &ro, &a))
		return 1;
	ro.cls = BATON_BATCH;
	ro.fn = job;
	ro.arg = &step;
	ro.deadline = 0;
	if (baton_submit(tenant, &ro, &b) || baton_submit(tenant, &ro, &c))
		return 1;
	baton_request_cancel(c);
	err = baton_request_wait(a) | baton_request_wait(b);
	baton_request_wait(c);
	baton_tenant_stats(tenant, &stats, sizeof(stats));
	baton_request_put(a);
	baton_request_put(b);
	baton_request_put(c);
	baton_tenant_remove(tenant);
	if (baton_sched_destroy(s))
		return 1;
	return err || parts != 1 || stats.admitted != 3;
}
