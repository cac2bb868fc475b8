// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads are a resource, too: those that sleep do not take the last ones, nor does one tenant all. */
#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <baton/sched.h>
#include <baton/sync.h>
#include <baton/wait.h>
#include <baton/why.h>

#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL
#define SECOND 1000000000ULL

static struct baton_sched *s;
static struct baton_tenant *a, *b;
static struct baton_sem *sem;
static _Atomic int count, most, ended;

static void open_all(unsigned workers, unsigned reserved, unsigned requests_max, unsigned workers_max)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 2, .workers_max = workers, .workers_reserved = reserved };
	struct baton_tenant_opts to = { .sz = sizeof(to), .low_ppm = 300000, .high_ppm = 1000000 };

	CHECK_EQ(baton_sched_create(&s, &so), 0);
	CHECK_EQ(baton_tenant_add(s, &a, &to), 0);
	to.requests_max = requests_max;
	to.workers_max = workers_max;
	CHECK_EQ(baton_tenant_add(s, &b, &to), 0);
	CHECK_EQ(baton_sem_create(&sem, s, 0), 0);
	count = most = ended = 0;
}

static void close_all(void)
{
	end_sched(s);
	baton_sem_destroy(sem);
}

static int ask(struct baton_tenant *t, enum baton_class cls, baton_task_fn *fn, struct baton_request **out)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = cls, .fn = fn };

	return baton_submit(t, &o, out);
}

static void nothing(void *arg)
{
}

static void sleeps(void *arg)
{
	int n = atomic_fetch_add(&count, 1) + 1, m = most;

	while (n > m && !atomic_compare_exchange_weak(&most, &m, n))
		;
	CHECK_ANY(baton_sem_wait(sem) == 0);
	atomic_fetch_sub(&count, 1);
	atomic_fetch_add(&ended, 1);
}

static void wake_all(int n)
{
	while (n--)
		baton_sem_post(sem);
}

/* 50 sleep that have no rank; the one that matters finds a thread. */
static int critical_beside_sleepers(unsigned reserved)
{
	struct baton_request *r, *sleeper[50];
	int i, err, result = 0;

	open_all(8, reserved, 0, 0);
	for (i = 0; i < 50; i++)
		CHECK_EQ(ask(b, BATON_BATCH, sleeps, &sleeper[i]), 0);
	while (count < (reserved == BATON_WORKERS_NONE ? 8 : 7))
		sched_yield();
	CHECK_EQ(ask(a, BATON_CRITICAL, nothing, &r), 0);
	err = baton_request_wait_until(r, baton_clock_now() + (reserved == BATON_WORKERS_NONE ? 100 * MS : 100 * SECOND), &result);
	CHECK_CMP(most, <=, reserved == BATON_WORKERS_NONE ? 8 : 7);
	wake_all(50);
	for (i = 0; i < 50; i++) {
		CHECK_EQ(baton_request_wait(sleeper[i]), 0);
		baton_request_put(sleeper[i]);
	}
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	close_all();
	return err;
}

TEST(reserved)
{
	CHECK_EQ(critical_beside_sleepers(BATON_WORKERS_NONE), -ETIMEDOUT);
	CHECK_EQ(critical_beside_sleepers(0), 0);
	CHECK_EQ(critical_beside_sleepers(1), 0);
}

/* No more than two of one tenant's tasks have a thread; another's are not in their way. */
TEST(workers_of_a_tenant)
{
	struct baton_tenant_opts more = { .sz = sizeof(more), .low_ppm = 300000, .high_ppm = 1000000, .workers_max = 5 };
	struct baton_request *r, *sleeper[20];
	int i;

	open_all(100, 0, 0, 2);
	for (i = 0; i < 20; i++)
		CHECK_EQ(ask(b, i % 2 ? BATON_BATCH : BATON_TOLERANT, sleeps, &sleeper[i]), 0);
	for (i = 0; i < 50; i++) {
		CHECK_EQ(ask(a, BATON_BATCH, nothing, &r), 0);
		CHECK_EQ(baton_request_wait(r), 0);
		baton_request_put(r);
	}
	/* A task counts itself before it says how many are most. */
	while (most < 2)
		sched_yield();
	CHECK_EQ(most, 2);
	CHECK_EQ(baton_tenant_set(b, &more), 0);
	while (most < 5)
		sched_yield();
	CHECK_EQ(most, 5);
	/* Tasks that wait for a thread are let go like any other. */
	for (i = 10; i < 20; i++)
		baton_request_cancel(sleeper[i]);
	wake_all(20);
	for (i = 0; i < 20; i++) {
		baton_request_wait(sleeper[i]);
		baton_request_put(sleeper[i]);
	}
	CHECK_EQ(most, 5);
	close_all();
}

TEST(requests_of_a_tenant)
{
	struct baton_tenant_opts less = { .sz = sizeof(less), .high_ppm = 1000000, .requests_max = 1 };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = sleeps };
	struct baton_request *sleeper[3], *r;
	struct baton_tenant_stats st;
	struct baton_why why;
	char text[200];
	int i;

	open_all(100, 0, 3, 0);
	for (i = 0; i < 3; i++)
		CHECK_EQ(ask(b, BATON_BATCH, sleeps, &sleeper[i]), 0);
	CHECK_EQ(ask(b, BATON_BATCH, sleeps, &r), -EAGAIN);
	baton_tenant_why(b, &o, -EAGAIN, &why, sizeof(why));
	CHECK_EQ(why.reason, BATON_WHY_LIMIT);
	baton_why_text(&why, text, sizeof(text));
	CHECK(strstr(text, "as many requests are in flight"));
	baton_tenant_stats(b, &st, sizeof(st));
	CHECK_EQ(st.rejected, 1);
	wake_all(1);
	while (ended < 1)
		sched_yield();
	/* A task ends after its function. */
	while (ask(b, BATON_BATCH, nothing, &r) == -EAGAIN)
		sched_yield();
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	CHECK_EQ(baton_tenant_set(b, &less), 0);
	CHECK_EQ(ask(b, BATON_BATCH, nothing, &r), -EAGAIN);
	less.requests_max = 0;
	CHECK_EQ(baton_tenant_set(b, &less), 0);
	CHECK_EQ(ask(b, BATON_BATCH, nothing, &r), 0);
	baton_request_put(r);
	wake_all(2);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(baton_request_wait(sleeper[i]), 0);
		baton_request_put(sleeper[i]);
	}
	close_all();
}

#define WORKERS 4

static struct baton_task *unjoined;
static _Atomic int begun, deadlocks;

static void wait_until_begun(int n)
{
	atomic_fetch_add(&begun, 1);
	/* Without a slot, which the others need to begin. */
	while (begun < n)
		baton_sleep_until(baton_clock_now() + MS / 10);
}

static void waits_for_request(void *arg)
{
	struct baton_request *r;
	int err;

	wait_until_begun(WORKERS);
	CHECK_ANY(ask(b, BATON_BATCH, nothing, &r) == 0);
	err = baton_request_wait(r);
	CHECK_ANY(err == 0 || err == -EDEADLK);
	if (err)
		atomic_fetch_add(&deadlocks, 1);
	baton_request_put(r);
}

static void waits_for_task(void *arg)
{
	struct baton_task *t;
	int err;

	wait_until_begun(WORKERS);
	CHECK_ANY(baton_task_spawn(&t, nothing, NULL) == 0);
	err = arg ? baton_task_join_until(t, BATON_FOREVER) : baton_task_join(t);
	CHECK_ANY(err == 0 || err == -EDEADLK);
	if (!err)
		return;
	atomic_fetch_add(&deadlocks, 1);
	unjoined = t;
}

static void waits_for_any(void *arg)
{
	struct baton_case c[2] = { { .kind = BATON_CASE_NONE }, { .kind = BATON_CASE_TASK } };
	int err;

	wait_until_begun(WORKERS);
	CHECK_ANY(baton_task_spawn(&c[1].task, nothing, NULL) == 0);
	err = baton_wait_any(c, 2, BATON_FOREVER, 0);
	CHECK_ANY(err == 1 || err == -EDEADLK);
	if (err == 1)
		return;
	atomic_fetch_add(&deadlocks, 1);
	unjoined = c[1].task;
}

static void joins_the_rest(void *arg)
{
	if (unjoined)
		CHECK_ANY(baton_task_join(unjoined) == 0);
	unjoined = NULL;
}

static void begins_and_sleeps(void *arg)
{
	wait_until_begun(WORKERS);
	sleeps(arg);
}

/* As many wait for others as there are workers, but for one that a thread of the caller's lets go on. */
static void nested_waits(baton_task_fn *fn, void *arg, bool outside)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .arg = arg };
	struct baton_request *r[WORKERS], *rest;
	int i;

	open_all(WORKERS, BATON_WORKERS_NONE, 0, 0);
	begun = deadlocks = 0;
	for (i = 0; i < WORKERS; i++) {
		o.fn = outside && !i ? begins_and_sleeps : fn;
		CHECK_EQ(baton_submit(b, &o, &r[i]), 0);
	}
	if (outside) {
		while (!count)
			sched_yield();
		CHECK_EQ(baton_request_wait_until(r[1], baton_clock_now() + 20 * MS, &i), -ETIMEDOUT);
		wake_all(1);
	}
	for (i = 0; i < WORKERS; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	CHECK_EQ(deadlocks, !outside);
	CHECK_EQ(ask(b, BATON_BATCH, joins_the_rest, &rest), 0);
	CHECK_EQ(baton_request_wait(rest), 0);
	baton_request_put(rest);
	close_all();
}

TEST(nested_requests)
{
	nested_waits(waits_for_request, NULL, false);
	nested_waits(waits_for_request, NULL, true);
}

TEST(nested_tasks)
{
	nested_waits(waits_for_task, NULL, false);
	nested_waits(waits_for_task, &count, false);
	nested_waits(waits_for_task, NULL, true);
}

TEST(nested_any)
{
	nested_waits(waits_for_any, NULL, false);
	nested_waits(waits_for_any, NULL, true);
}

/* Memory of requests is kept for the next ones, but not of as many as there ever were. */
TEST(memory_after_a_burst)
{
	static struct baton_request *r[10240];
	const int n = sizeof(r) / sizeof(r[0]);
	void *volatile some = malloc(10000);
	size_t before, most_used, kept;
	int i;

	before = mallinfo2().uordblks;
	free(some);
	if (mallinfo2().uordblks >= before)
		SKIP("mallinfo2() says nothing of this allocator");
	open_all(8, 0, 0, 0);
	before = mallinfo2().uordblks;
	for (i = 0; i < n; i++)
		CHECK_EQ(ask(b, BATON_BATCH, nothing, &r[i]), 0);
	for (i = 0; i < n; i++)
		CHECK_EQ(baton_request_wait(r[i]), 0);
	most_used = mallinfo2().uordblks - before;
	for (i = 0; i < n; i++)
		baton_request_put(r[i]);
	kept = mallinfo2().uordblks - before;
	close_all();
	CHECK_CMP(2 * kept, <, most_used);
}

/* A caller's header may be older, or newer as long as it sets nothing that is new. */
TEST(options_of_another_size)
{
	struct { struct baton_sched_opts o; unsigned long more; } so = { 0 };
	struct { struct baton_tenant_opts o; unsigned long more; } to = { 0 };
	struct baton_tenant *t;

	so.o.sz = offsetof(struct baton_sched_opts, workers_reserved);
	so.o.workers_reserved = 1 << 30;
	CHECK_EQ(baton_sched_create(&s, &so.o), 0);
	to.o.sz = offsetof(struct baton_tenant_opts, requests_max);
	to.o.high_ppm = 1000;
	CHECK_EQ(baton_tenant_add(s, &t, &to.o), 0);
	to.o.sz = sizeof(to);
	CHECK_EQ(baton_tenant_set(t, &to.o), 0);
	to.more = 1;
	CHECK_EQ(baton_tenant_set(t, &to.o), -E2BIG);
	CHECK_EQ(baton_tenant_add(s, &a, &to.o), -E2BIG);
	CHECK_EQ(baton_sched_destroy(s), 0);
	so = (typeof(so)){ .o.sz = sizeof(so) };
	CHECK_EQ(baton_sched_create(&s, &so.o), 0);
	CHECK_EQ(baton_sched_destroy(s), 0);
	so.more = 1;
	CHECK_EQ(baton_sched_create(&s, &so.o), -E2BIG);
	so = (typeof(so)){ .o.sz = sizeof(so.o), .o.workers_max = 4, .o.workers_reserved = 4 };
	CHECK_EQ(baton_sched_create(&s, &so.o), -EINVAL);
}

/* A request's, too: each end of the struct that a header may have had, and one that this library does not know. */
TEST(request_options_of_another_size)
{
	struct { struct baton_request_opts o; unsigned long more; } ro = { .o = { .cls = BATON_BATCH, .fn = nothing } };
	struct baton_request *r;

	open_all(4, 0, 0, 0);
	ro.o.sz = sizeof(ro);
	CHECK_EQ(baton_submit(a, &ro.o, &r), 0);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	ro.more = 1;
	CHECK_EQ(baton_submit(a, &ro.o, &r), -E2BIG);
	CHECK_EQ(baton_request_enter(a, &ro.o, NULL), -E2BIG);
	ro.o.fn = NULL;
	ro.more = 0;
	/* The second one may be the first one's thread and slot again. */
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(baton_request_enter(a, &ro.o, NULL), 0);
		baton_request_leave();
	}
	/* A header that ended before the function and its argument: what comes after it is not read. */
	ro.o.sz = offsetof(struct baton_request_opts, fn);
	ro.o.fn = nothing;
	CHECK_EQ(baton_request_enter(a, &ro.o, NULL), 0);
	baton_request_leave();
	ro.o.sz = offsetof(struct baton_request_opts, cls);
	CHECK_EQ(baton_request_enter(a, &ro.o, NULL), -EINVAL);
	close_all();
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
