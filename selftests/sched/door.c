// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests that are submitted without the scheduler's lock: lib/src/sched/door.h. The monitor, which would find what was
 * lost, is held up where the test says so.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <baton/sched.h>

#include "delays.h"
#include "inject.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

static struct baton_sched *s;
static struct baton_tenant *tenant;
static _Atomic bool holds_monitor, delays, goes;
static _Atomic int begun, here, accepted;
static __thread int locks;

static int at_point(const char *point)
{
	if (!strcmp(point, "sched:gate:lock"))
		locks++;
	if (!strcmp(point, "sched:monitor:done"))
		while (holds_monitor)
			sched_yield();
	if (delays && !strncmp(point, "sched:door:", 11))
		delay_sometimes(8, 20000);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void open_sched(unsigned slots)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots };
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 1000000, .name = "t" };

	begun = here = accepted = 0;
	goes = false;
	atomic_store(&btn_inject_hook, at_point);
	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
}

static void close_sched(void)
{
	holds_monitor = delays = false;
	end_sched(s);
	atomic_store(&btn_inject_hook, NULL);
}

static void ask_of(struct baton_tenant *t, baton_task_fn *fn, void *arg, struct baton_request **out)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = fn, .arg = arg };

	CHECK_ANY(baton_submit(t, &o, out) == 0);
}

static void nothing(void *arg)
{
	atomic_fetch_add(&begun, 1);
}

static void waits(void *arg)
{
	atomic_fetch_add(&here, 1);
	while (!goes)
		sched_yield();
}

static void wait_for(_Atomic int *what, int n)
{
	while (*what < n)
		usleep(100);
}

static int waiting;

/* The slots have tasks that do not end, `waiting` more wait, and the thread has memory of its own. Holds the monitor. */
static void use_slots(int slots)
{
	struct baton_request *r;
	int i, before;

	/* Requests at the same time, so that the scheduler has memory of as many. */
	ask_of(tenant, waits, NULL, &r);
	for (i = 0; i < 200; i++)
		ask_of(tenant, nothing, NULL, NULL);
	goes = true;
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	wait_for(&begun, 200);
	here = 0;
	goes = false;
	for (i = 0; i < slots; i++)
		ask_of(tenant, waits, NULL, NULL);
	wait_for(&here, slots);
	/* The tasks keep the slots, however late this thread is: the monitor does not end their slices. */
	holds_monitor = true;
	usleep(20000);
	begun = 0;
	/* The first that waits, and the one that opens its flow. */
	ask_of(tenant, nothing, NULL, NULL);
	ask_of(tenant, nothing, NULL, NULL);
	waiting = 2;
	/* The thread's own memory is used up, and had with the lock. */
	do {
		before = locks;
		ask_of(tenant, nothing, NULL, NULL);
		waiting++;
	} while (before == locks);
}

static int order[24];

static void notes_order(void *arg)
{
	*(int *)arg = atomic_fetch_add(&begun, 1);
}

TEST(takes_no_lock)
{
	int i, before;

	open_sched(1);
	use_slots(1);
	before = locks;
	for (i = 0; i < 24; i++)
		ask_of(tenant, notes_order, &order[i], NULL);
	CHECK_EQ(locks, before);
	for (i = 0; i < 640; i++)
		ask_of(tenant, nothing, NULL, NULL);
	/* Memory of 32 at a time, and a chunk of 16 where there is none. */
	CHECK(locks - before <= 640 / 8);
	holds_monitor = false;
	goes = true;
	wait_for(&begun, waiting + 24 + 640);
	for (i = 0; i < 24; i++)
		CHECK_EQ(order[i], waiting + i);
	close_sched();
}

TEST(waits_since_it_came)
{
	struct baton_request_times times;
	struct baton_request *r;
	uint64_t from, to;
	int before;

	open_sched(1);
	use_slots(1);
	before = locks;
	from = now_ns();
	ask_of(tenant, nothing, NULL, &r);
	to = now_ns();
	CHECK_EQ(locks, before);
	usleep(30000);
	baton_request_times(r, &times, sizeof(times));
	CHECK(times.arrival + MS >= from && times.arrival <= to + MS);
	CHECK(times.waited >= 29 * MS);
	goes = true;
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	close_sched();
}

/* A request that was pushed counts, for a limit that is set afterwards, and for what is asked of it. */
TEST(counts_at_once)
{
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 1000000 };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = nothing };
	struct baton_request *r, *again;

	open_sched(1);
	use_slots(1);
	ask_of(tenant, nothing, NULL, &r);
	/* A request has the slot, and another one was pushed. */
	t.requests_max = waiting + 3;
	CHECK_EQ(baton_tenant_set(tenant, &t), 0);
	CHECK_EQ(baton_submit(tenant, &o, &again), 0);
	CHECK_EQ(baton_submit(tenant, &o, NULL), -EAGAIN);
	baton_request_cancel(r);
	CHECK_EQ(baton_request_wait(r), -ECANCELED);
	CHECK_EQ(baton_submit(tenant, &o, NULL), 0);
	CHECK_EQ(baton_submit(tenant, &o, NULL), -EAGAIN);
	CHECK_EQ(baton_sched_destroy(s), -EBUSY);
	/* A request that its class could never pay for is refused from now on. */
	t.high_ppm = t.requests_max = 0;
	CHECK_EQ(baton_tenant_set(tenant, &t), 0);
	CHECK_EQ(baton_submit(tenant, &o, NULL), -EDQUOT);
	t.high_ppm = 1000000;
	CHECK_EQ(baton_tenant_set(tenant, &t), 0);
	goes = true;
	CHECK_EQ(baton_request_wait(again), 0);
	baton_request_put(again);
	baton_request_put(r);
	close_sched();
}

/* Each thread asks for one at a time, or for some, so flows become empty while others push. */
#define THREADS 3
#define ROUNDS 1500

static _Atomic int done[THREADS];

static void is_done(void *arg)
{
	atomic_fetch_add((_Atomic int *)arg, 1);
}

static void *storms(void *arg)
{
	_Atomic int *mine = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		ask_of(tenant, is_done, mine, NULL);
		if (i % 5 == 4)
			while (*mine <= i - i % 3)
				sched_yield();
	}
	while (*mine < ROUNDS)
		sched_yield();
	return NULL;
}

TEST(loses_none)
{
	pthread_t th[THREADS];
	int i;

	open_sched(2);
	holds_monitor = delays = true;
	for (i = 0; i < THREADS; i++) {
		done[i] = 0;
		CHECK_EQ(pthread_create(&th[i], NULL, storms, &done[i]), 0);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(th[i], NULL);
	close_sched();
}

/* The last of the flow gets its slot between (a) and (b), and no other thread comes. */
static _Atomic int stage;

static int at_push(const char *point)
{
	at_point(point);
	if (!strcmp(point, "sched:door:push") && stage == 1) {
		stage = 2;
		while (stage != 3)
			sched_yield();
	}
	return 0;
}

static void *pushes_one(void *arg)
{
	while (stage < 2) {
		ask_of(arg, is_done, &done[0], NULL);
		atomic_fetch_add(&accepted, 1);
	}
	baton_tenant_put(arg);
	return NULL;
}

/* A thread is about to push a request. Returns the tenant that it looked up, whose reference is the thread's. */
static struct baton_tenant *begin_push(pthread_t *th)
{
	struct baton_tenant *found;

	open_sched(1);
	atomic_store(&btn_inject_hook, at_push);
	use_slots(1);
	CHECK_EQ(baton_tenant_find(s, "t", &found), 0);
	done[0] = 0;
	stage = 1;
	CHECK_EQ(pthread_create(th, NULL, pushes_one, found), 0);
	while (stage != 2)
		usleep(100);
	return found;
}

TEST(looks_after_the_push)
{
	pthread_t th;

	begin_push(&th);
	goes = true;
	/* The requests that came before have ended, and the worker is idle. */
	wait_for(&begun, waiting);
	wait_for(&done[0], accepted);
	usleep(20000);
	stage = 3;
	pthread_join(th, NULL);
	wait_for(&done[0], accepted);
	close_sched();
}

/* A request that is about to be pushed counts, and its tenant is not gone. */
TEST(is_in_the_air)
{
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 1000000 };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = nothing };
	struct baton_tenant *found, *other;
	pthread_t th;

	found = begin_push(&th);
	/* A request has the slot, some wait, and one is about to be pushed. */
	t.requests_max = 1 + waiting + accepted + 1;
	CHECK_EQ(baton_tenant_set(tenant, &t), 0);
	CHECK_EQ(baton_submit(tenant, &o, NULL), -EAGAIN);
	holds_monitor = false;
	goes = true;
	wait_for(&begun, waiting);
	wait_for(&done[0], accepted);
	usleep(20000);
	baton_tenant_remove(tenant);
	CHECK_EQ(baton_submit(found, &o, NULL), -ESHUTDOWN);
	/* The old tenant's memory is not this one's. */
	t.requests_max = 0;
	CHECK_EQ(baton_tenant_add(s, &other, &t), 0);
	CHECK(other != tenant);
	stage = 3;
	pthread_join(th, NULL);
	wait_for(&done[0], accepted);
	close_sched();
}

/* Tenants go, and their memory is others', while threads submit to them. */
static void *until_gone(void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = nothing };
	struct baton_tenant *t = arg;
	int err;

	while (!(err = baton_submit(t, &o, NULL)))
		atomic_fetch_add(&accepted, 1);
	baton_tenant_put(t);
	return (void *)(intptr_t)err;
}

TEST(tenants_go)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 1000000, .name = "goes" };
	struct baton_tenant *t, *found;
	pthread_t th[THREADS];
	void *err;
	int i, k;

	open_sched(2);
	delays = true;
	for (k = 0; k < 60; k++) {
		CHECK_EQ(baton_tenant_add(s, &t, &o), 0);
		for (i = 0; i < THREADS; i++) {
			CHECK_EQ(baton_tenant_find(s, "goes", &found), 0);
			CHECK_EQ(pthread_create(&th[i], NULL, until_gone, found), 0);
		}
		usleep(k * 50);
		baton_tenant_remove(t);
		for (i = 0; i < THREADS; i++) {
			pthread_join(th[i], &err);
			CHECK_EQ((intptr_t)err, -ESHUTDOWN);
		}
	}
	wait_for(&begun, accepted);
	CHECK_EQ(begun, accepted);
	close_sched();
}

/* Threads submit, and put the tenant, while another one tries to destroy the scheduler. */
static void *submits_and_puts(void *arg)
{
	int i;

	for (i = 0; i < 200; i++)
		ask_of(arg, nothing, NULL, NULL);
	baton_tenant_put(arg);
	return NULL;
}

TEST(destroyed_meanwhile)
{
	struct baton_tenant *found;
	pthread_t th[THREADS];
	int i, k;

	for (k = 0; k < 20; k++) {
		open_sched(2);
		delays = true;
		for (i = 0; i < THREADS; i++) {
			CHECK_EQ(baton_tenant_find(s, "t", &found), 0);
			CHECK_EQ(pthread_create(&th[i], NULL, submits_and_puts, found), 0);
		}
		close_sched();
		CHECK_EQ(begun, THREADS * 200);
		for (i = 0; i < THREADS; i++)
			pthread_join(th[i], NULL);
	}
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
