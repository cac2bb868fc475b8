// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A test for each clause of the quota, with real threads and tolerances so
 * wide that a busy machine does not matter; the exact figures are for the
 * simulation (of the decisions) and the benchmark (of the times). And tenants
 * that do their worst.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <baton/sched.h>
#include <baton/sync.h>

#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL
#define SECOND 1000000000ULL

static struct baton_sched *s;
static _Atomic bool stop;
static _Atomic long count;
static _Atomic bool holding;

static struct baton_tenant *tenant(unsigned low_ppm, unsigned high_ppm)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = low_ppm, .high_ppm = high_ppm };
	struct baton_tenant *t;

	CHECK_EQ(baton_tenant_add(s, &t, &o), 0);
	return t;
}

static void open_tiers(unsigned slots, const struct baton_tier_opts *tier, unsigned tiers)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots, .tier = tier, .tiers = tiers };

	CHECK_EQ(baton_sched_create(&s, &o), 0);
	stop = false;
	count = 0;
}

static void open_sched(unsigned slots)
{
	open_tiers(slots, NULL, 0);
}

static void close_sched(void)
{
	stop = true;
	end_sched(s);
}

static int submit(struct baton_tenant *t, enum baton_class cls, baton_task_fn *fn, void *arg,
		  struct baton_request **out)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = cls, .tier = 2, .fn = fn, .arg = arg };

	return baton_submit(t, &o, out);
}

static int finish(struct baton_request *r)
{
	int err = baton_request_wait(r);

	baton_request_put(r);
	return err;
}

static struct baton_tenant_stats stats(struct baton_tenant *t)
{
	struct baton_tenant_stats st;

	baton_tenant_stats(t, &st, sizeof(st));
	return st;
}

static uint64_t my_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

/* Uses so many ms of CPU, with checkpoints. */
static void burns(void *ms)
{
	uint64_t end = my_cpu() + (uintptr_t)ms * MS;

	while (my_cpu() < end && !baton_checkpoint())
		;
	atomic_fetch_add(&count, 1);
}

static void hogs(void *arg)
{
	while (!stop && !baton_checkpoint())
		;
}

static void nothing(void *arg)
{
	atomic_fetch_add(&count, 1);
}

static struct baton_request_times carried;

/* Something else uses up all that its tenant has, and more. */
static void calls(void *arg)
{
	baton_request_times(baton_request_self(), &carried, sizeof(carried));
	baton_request_charge(baton_request_self(), carried.budget + 10 * MS);
}

TEST(q01_two_quotas)
{
	struct baton_tenant_stats st;

	open_sched(2);
	st = stats(tenant(100000, 300000));
	CHECK_EQ(st.low_left, 200 * MS);
	CHECK_EQ(st.high_left, 600 * MS);
	close_sched();
}

TEST(q02_per_second)
{
	struct { uint64_t t, cpu; } at[200];
	struct baton_tenant *t;
	int i, k, n = 200;

	open_sched(2);
	t = tenant(0, 20000);
	for (i = 0; i < 4; i++)
		CHECK_EQ(submit(t, BATON_BATCH, hogs, NULL, NULL), 0);
	for (i = 0; i < n; i++) {
		/* The most that was used before this time. */
		at[i].cpu = stats(t).cpu[BATON_TIER_HIGH];
		at[i].t = baton_clock_now();
		usleep(10000);
	}
	close_sched();
	for (i = 0; i < n; i++)
		for (k = i + 1; k < n && at[k].t - at[i].t < SECOND; k++)
			CHECK_CMP(at[k].cpu - at[i].cpu, <=, 40 * MS + 10 * MS);
	CHECK_CMP(at[n - 1].cpu, >=, 30 * MS);
}

TEST(q03_critical)
{
	struct baton_tenant *t;
	struct baton_request *r[40];
	int i, err, n = 0, done = 0, rejected = 0;

	open_sched(2);
	t = tenant(20000, 500000);
	for (i = 0; i < 40; i++) {
		err = submit(t, BATON_CRITICAL, burns, (void *)5, &r[n]);
		CHECK(!err || err == -EDQUOT);
		rejected += err != 0;
		n += !err;
	}
	for (i = 0; i < n; i++) {
		err = finish(r[i]);
		CHECK(!err || err == -EDQUOT);
		rejected += err != 0;
		done += !err;
	}
	/* 40 ms were sold, for 8 of them; two more may have begun. */
	CHECK_CMP(done, >=, 4);
	CHECK_CMP(done, <=, 12);
	CHECK_EQ(stats(t).rejected, rejected);
	CHECK_EQ(stats(t).cpu[BATON_TIER_HIGH], 0);
	usleep(1100000);
	CHECK_EQ(submit(t, BATON_CRITICAL, nothing, NULL, &r[0]), 0);
	CHECK_EQ(finish(r[0]), 0);
	close_sched();
}

TEST(q04_batch)
{
	struct baton_request *r[10];
	struct baton_tenant *t;
	uint64_t begin;
	int i;

	open_sched(2);
	t = tenant(300000, 30000);
	begin = baton_clock_now();
	for (i = 0; i < 10; i++)
		CHECK_EQ(submit(t, BATON_BATCH, burns, (void *)10, &r[i]), 0);
	for (i = 0; i < 10; i++)
		CHECK_EQ(finish(r[i]), 0);
	/* 60 of these 100 ms in the first second, and none from the other quota. */
	CHECK_CMP(baton_clock_now() - begin, >=, 900 * MS);
	CHECK_EQ(stats(t).cpu[BATON_TIER_LOW], 0);
	/* The same where nothing is left. */
	CHECK_EQ(submit(t, BATON_BATCH, calls, NULL, &r[0]), 0);
	CHECK_EQ(finish(r[0]), 0);
	CHECK_EQ(submit(t, BATON_BATCH, nothing, NULL, &r[0]), 0);
	CHECK_EQ(finish(r[0]), 0);
	CHECK_EQ(stats(t).rejected, 0);
	close_sched();
}

TEST(q05_tolerant)
{
	struct baton_tenant *t;
	struct baton_request *r;
	uint64_t begin;

	open_sched(2);
	t = tenant(20000, 30000);
	begin = baton_clock_now();
	CHECK_EQ(submit(t, BATON_TOLERANT, burns, (void *)80, &r), 0);
	CHECK_EQ(finish(r), 0);
	/* A task, started once, paid from both; where it got its CPU so slowly that
	 * the first quota came back meanwhile, there is nothing to see. */
	CHECK_EQ(count, 1);
	if (baton_clock_now() - begin > SECOND) {
		close_sched();
		SKIP("this machine has no 80 ms of CPU in a second");
	}
	CHECK_CMP(stats(t).cpu[BATON_TIER_LOW], >=, 35 * MS);
	CHECK_CMP(stats(t).cpu[BATON_TIER_HIGH], >=, 25 * MS);
	close_sched();
}

TEST(q06_seventy_percent)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = 200000, .high_ppm = 5000000 };
	struct baton_tenant *t, *u;

	open_sched(2);
	t = tenant(600000, 0);
	CHECK_EQ(baton_tenant_add(s, &u, &o), -ENOSPC);
	CHECK(!u);
	o.low_ppm = 100000;
	CHECK_EQ(baton_tenant_add(s, &u, &o), 0);
	o.low_ppm = 100001;
	CHECK_EQ(baton_tenant_set(u, &o), -ENOSPC);
	CHECK_EQ(stats(u).low_left, 200 * MS);
	baton_tenant_remove(t);
	CHECK_EQ(baton_tenant_set(u, &o), 0);
	close_sched();
}

TEST(q07_oversold)
{
	struct baton_tenant *a, *b;
	uint64_t cpu_a, cpu_b;
	int i;

	open_sched(2);
	a = tenant(0, 600000);
	b = tenant(0, 1800000);
	for (i = 0; i < 4; i++) {
		CHECK_EQ(submit(a, BATON_BATCH, hogs, NULL, NULL), 0);
		CHECK_EQ(submit(b, BATON_BATCH, hogs, NULL, NULL), 0);
	}
	usleep(900000);
	cpu_a = stats(a).cpu[BATON_TIER_HIGH];
	cpu_b = stats(b).cpu[BATON_TIER_HIGH];
	CHECK_CMP(cpu_b, >, cpu_a * 2);
	CHECK_CMP(cpu_b, <, cpu_a * 5);
	close_sched();
}

static void floods(void *arg)
{
	int i;

	while (!stop) {
		for (i = 0; i < 100; i++)
			baton_task_spawn(NULL, nothing, NULL);
		baton_checkpoint();
		baton_sleep_until(baton_clock_now() + MS);
	}
}

static void sleeps(void *arg)
{
	while (!stop && !baton_sleep_until(baton_clock_now() + MS))
		;
}

TEST(q08_hostile)
{
	struct baton_tenant *paying, *bad;
	struct baton_tenant_stats st;
	struct baton_request *r;
	int i;

	open_sched(2);
	paying = tenant(300000, 0);
	bad = tenant(0, 10000000);
	CHECK_EQ(submit(bad, BATON_BATCH, floods, NULL, NULL), 0);
	for (i = 0; i < 20; i++)
		CHECK_EQ(submit(bad, BATON_BATCH, i % 2 ? hogs : sleeps, NULL, NULL), 0);
	for (i = 0; i < 40; i++) {
		CHECK_EQ(submit(paying, BATON_CRITICAL, burns, (void *)1, &r), 0);
		CHECK_EQ(finish(r), 0);
		usleep(5000);
	}
	st = stats(paying);
	CHECK_EQ(st.finished, 40);
	CHECK_CMP(st.wait_p50, <=, 100 * MS);
	close_sched();
}

static void sees_deadline(void *arg)
{
	int err;

	while (!(err = baton_checkpoint()) && !stop)
		;
	*(int *)arg = err;
}

TEST(q09_deadlines)
{
	static const struct baton_tier_opts tiers[2] = { { .policy = "fifo" }, { .policy = "fifo", .rank = 1 } };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = nothing };
	struct baton_request *r, *first;
	struct baton_tenant *t;
	int told = 0;

	open_tiers(1, tiers, 2);
	t = tenant(0, 1000000);
	CHECK_EQ(submit(t, BATON_BATCH, burns, (void *)100, &first), 0);
	o.deadline = baton_clock_now() + 5 * MS;
	CHECK_EQ(baton_submit(t, &o, NULL), -EINVAL);
	o.deadline = baton_clock_now() + 30 * MS;
	CHECK_EQ(baton_submit(t, &o, &r), 0);
	CHECK_EQ(finish(r), -ETIME);
	CHECK_EQ(finish(first), 0);
	/* Only the first one ran. */
	CHECK_EQ(count, 1);
	CHECK_EQ(stats(t).dropped, 1);
	o.fn = sees_deadline;
	o.arg = &told;
	o.deadline = baton_clock_now() + SECOND / 2;
	CHECK_EQ(baton_submit(t, &o, &r), 0);
	CHECK_EQ(finish(r), -ETIME);
	CHECK_EQ(told, -ETIME);
	CHECK(baton_clock_now() >= o.deadline);
	o.arrival = baton_clock_now() - 100 * MS;
	o.deadline = o.arrival + 50 * MS;
	CHECK_EQ(baton_submit(t, &o, &r), -ETIME);
	close_sched();
}

static void spawns(void *arg)
{
	long i;

	for (i = 0; i < 50; i++)
		CHECK_ANY(baton_task_spawn(NULL, burns, (void *)1) == 0);
}

TEST(q10_all_tasks)
{
	struct baton_request_times times;
	struct baton_tenant *t;
	struct baton_request *r;

	open_sched(2);
	t = tenant(0, 1000000);
	CHECK_EQ(submit(t, BATON_BATCH, spawns, NULL, &r), 0);
	CHECK_EQ(baton_request_wait(r), 0);
	CHECK_EQ(count, 50);
	baton_request_times(r, &times, sizeof(times));
	baton_request_put(r);
	CHECK_CMP(times.cpu, >=, 45 * MS);
	CHECK_CMP(times.cpu, <=, 150 * MS);
	CHECK_EQ(stats(t).cpu[BATON_TIER_HIGH], times.cpu);
	close_sched();
}

TEST(q11_child_calls)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_CRITICAL, .fn = calls };
	struct baton_request_times times;
	struct baton_tenant *t;
	struct baton_request *r;

	open_sched(2);
	t = tenant(100000, 0);
	o.arrival = baton_clock_now() - 20 * MS;
	o.deadline = o.arrival + 5 * SECOND;
	CHECK_EQ(baton_submit(t, &o, &r), 0);
	CHECK_EQ(baton_request_wait(r), 0);
	CHECK_EQ(carried.arrival, o.arrival);
	CHECK_EQ(carried.deadline, o.deadline);
	CHECK_CMP(carried.budget, >, 150 * MS);
	CHECK_CMP(carried.budget, <=, 200 * MS);
	baton_request_times(r, &times, sizeof(times));
	CHECK_CMP(times.cpu, >=, carried.budget + 10 * MS);
	baton_request_put(r);
	/* The child used it all. */
	CHECK_EQ(submit(t, BATON_CRITICAL, nothing, NULL, NULL), -EDQUOT);
	close_sched();
}

static int order[64];
static _Atomic int ordered;

static void writes(void *arg)
{
	order[atomic_fetch_add(&ordered, 1)] = (int)(uintptr_t)arg;
}

/* Keeps the only slot until `stop`, without a checkpoint. */
static void holds(void *arg)
{
	holding = true;
	while (!stop)
		;
}

static void spawns_late(void *arg)
{
	long i;

	holding = true;
	while (!stop)
		;
	for (i = 0; i < 3; i++)
		CHECK_ANY(baton_task_spawn(NULL, writes, (void *)(1 + i)) == 0);
}

/* The monitor may not have taken that slot from it, or the order is another. */
static bool in_time(uint64_t begin)
{
	return baton_clock_now() - begin < 2 * MS;
}

TEST(q12_arrival_order)
{
	static const struct baton_tier_opts tiers[2] = { { .rank = 0 }, { .policy = "arrival", .rank = 1 } };
	uint64_t begin;
	long i, tries;
	bool ok = false;

	for (tries = 0; tries < 50 && !ok; tries++) {
		struct baton_tenant *t;

		open_tiers(1, tiers, 2);
		t = tenant(0, 1000000);
		holding = false;
		ordered = 0;
		CHECK_EQ(submit(t, BATON_BATCH, spawns_late, NULL, NULL), 0);
		while (!holding)
			;
		begin = baton_clock_now();
		for (i = 0; i < 3; i++)
			CHECK_EQ(submit(t, BATON_BATCH, writes, (void *)(10 + i), NULL), 0);
		stop = true;
		ok = in_time(begin);
		close_sched();
		ok = ok && ordered == 6;
	}
	if (!ok)
		SKIP("this machine is too busy to submit a few requests in 2 ms");
	/* The tenant's tasks came last and go first. */
	for (i = 0; i < 6; i++)
		CHECK_EQ(order[i], i < 3 ? 1 + i : 10 + i - 3);
}

TEST(q13_tiers)
{
	static const struct baton_tier_opts tiers[4] = {
		{ .rank = 0 }, { .rank = 1 },
		{ .policy = "fifo", .rank = 0, .limit_ppm = 50000 },
		{ .policy = "fifo", .rank = 5, .reserve_ppm = 20000 },
	};
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_INTERNAL, .fn = hogs };
	struct baton_tenant *t, *u;
	uint64_t a, b, begin;
	int i;

	open_tiers(2, tiers, 4);
	t = tenant(0, 0);
	u = tenant(0, 10000000);
	begin = baton_clock_now();
	for (i = 0; i < 4; i++) {
		CHECK_EQ(submit(u, BATON_BATCH, hogs, NULL, NULL), 0);
		o.tier = 2;
		CHECK_EQ(baton_submit(t, &o, NULL), 0);
		o.tier = 3;
		CHECK_EQ(baton_submit(t, &o, NULL), 0);
	}
	/* However little the machine has left: both get something ... */
	do {
		usleep(10000);
		a = stats(t).cpu[2];
		b = stats(t).cpu[3];
	} while ((a < 20 * MS || b < 20 * MS) && baton_clock_now() - begin < 20 * SECOND);
	CHECK_CMP(a, >=, 20 * MS);
	/* ... where rank alone would give this one nothing ... */
	CHECK_CMP(b, >=, 20 * MS);
	/* ... and no more than the limit. */
	usleep(500000);
	a = stats(t).cpu[2];
	if (baton_clock_now() - begin < SECOND)
		CHECK_CMP(a, <=, 100 * MS + 10 * MS);
	close_sched();
}

static void check_policy(const char *name, const int *want)
{
	struct baton_tier_opts tiers[2] = { { .rank = 0 }, { .policy = name, .rank = 1 } };
	struct baton_tenant *t[3];
	bool ok = false;
	int i, tries;

	for (tries = 0; tries < 50 && !ok; tries++) {
		struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = writes };
		uint64_t begin;

		open_tiers(1, tiers, 2);
		for (i = 0; i < 3; i++)
			t[i] = tenant(0, 1000000);
		holding = false;
		ordered = 0;
		/* From here on: a slice that is over is another's as soon as there is one. */
		begin = baton_clock_now();
		CHECK_EQ(submit(t[2], BATON_BATCH, holds, NULL, NULL), 0);
		while (!holding)
			;
		for (i = 0; i < 4; i++) {
			o.arg = (void *)(uintptr_t)i;
			/* Later ones arrived earlier, at the front end. */
			o.arrival = begin - (10 + i) * MS;
			CHECK_EQ(baton_submit(t[i / 2], &o, NULL), 0);
		}
		stop = true;
		ok = in_time(begin);
		close_sched();
	}
	if (!ok)
		SKIP("this machine is too busy to submit a few requests in 2 ms");
	for (i = 0; i < 4; i++)
		CHECK_MSG(order[i] == want[i], "%s: %d %d %d %d", name, order[0], order[1], order[2], order[3]);
}

TEST(q14_policies)
{
	static const int forward[] = { 0, 1, 2, 3 }, backward[] = { 3, 2, 1, 0 }, turns[] = { 2, 0, 3, 1 };

	check_policy("fifo", forward);
	check_policy("lifo", backward);
	check_policy("arrival", backward);
	check_policy("rr", turns);
}

TEST(q15_burst)
{
	struct baton_tenant *t[3];
	struct baton_request *r;
	int i, k;

	open_sched(1);
	for (i = 0; i < 3; i++)
		t[i] = tenant(233333, 0);
	/* Two spend their second's 233 ms at once. */
	for (i = 0; i < 2; i++)
		for (k = 0; k < 24; k++)
			CHECK_EQ(submit(t[i], BATON_TOLERANT, burns, (void *)10, NULL), 0);
	usleep(5000);
	CHECK_EQ(submit(t[2], BATON_TOLERANT, burns, (void *)1, &r), 0);
	CHECK_EQ(finish(r), 0);
	/* In order of arrival it would have been the 49th. */
	CHECK_CMP(count, <=, 12);
	close_sched();
}

static struct baton_tenant *changing;

static void *changes(void *arg)
{
	struct baton_tenant_opts o = { .sz = sizeof(o) };
	struct baton_tenant *t;
	struct baton_request *r;
	unsigned i;

	for (i = 0; !stop; i++) {
		o.low_ppm = i * 7919 % 200000;
		o.high_ppm = 10000 + i * 104729 % 1000000;
		CHECK_ANY(baton_tenant_set(changing, &o) == 0);
		/* A tenant comes, asks, and leaves before it is answered. */
		o.low_ppm = 1000;
		CHECK_ANY(baton_tenant_add(s, &t, &o) == 0);
		CHECK_ANY(submit(t, BATON_BATCH, nothing, NULL, &r) == 0);
		baton_tenant_remove(t);
		CHECK_ANY(finish(r) == 0);
		usleep(500);
	}
	return NULL;
}

TEST(q16_changes)
{
	static const enum baton_class cls[] = { BATON_TOLERANT, BATON_BATCH, BATON_CRITICAL };
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = 300000, .high_ppm = 1000000 };
	struct baton_request *r[1000];
	pthread_t thread;
	int i, err, n = 0, ended = 0;

	open_sched(2);
	changing = tenant(100000, 1000000);
	CHECK_EQ(pthread_create(&thread, NULL, changes, NULL), 0);
	for (i = 0; i < 1000; i++) {
		err = submit(changing, cls[i % 3], nothing, NULL, &r[n]);
		CHECK(!err || err == -EDQUOT);
		n += !err;
		if (i % 10 == 0)
			usleep(1000);
	}
	stop = true;
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(baton_tenant_set(changing, &o), 0);
	for (i = 0; i < n; i++) {
		err = finish(r[i]);
		CHECK(!err || err == -EDQUOT);
		ended++;
	}
	CHECK_EQ(ended, n);
	CHECK_EQ(stats(changing).admitted, n);
	close_sched();
}

static struct baton_mutex *mutex;

static void locks_and_burns(void *arg)
{
	CHECK_ANY(baton_mutex_lock(mutex) == 0);
	holding = true;
	burns((void *)30);
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
	burns((void *)100);
}

static void locks(void *arg)
{
	CHECK_ANY(baton_mutex_lock(mutex) == 0);
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
}

/*
 * A tenant has 2 ms a second and holds a lock for 30 ms of CPU: without help that
 * takes 14 seconds and more, with it as long as 30 ms of CPU take.
 */
TEST(lock_held_without_quota)
{
	struct baton_tenant *poor, *paying;
	struct baton_request *r;
	uint64_t begin;

	open_sched(2);
	CHECK_EQ(baton_mutex_create(&mutex, s), 0);
	poor = tenant(0, 1000);
	paying = tenant(100000, 0);
	holding = false;
	CHECK_EQ(submit(poor, BATON_BATCH, locks_and_burns, NULL, NULL), 0);
	while (!holding)
		;
	begin = baton_clock_now();
	CHECK_EQ(submit(paying, BATON_CRITICAL, locks, NULL, &r), 0);
	CHECK_EQ(finish(r), 0);
	CHECK_CMP(baton_clock_now() - begin, <, 9 * SECOND);
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 1000000 };
	CHECK_EQ(baton_tenant_set(poor, &o), 0);
	close_sched();
	baton_mutex_destroy(mutex);
}

static void spawns_many(void *arg)
{
	int i;

	for (i = 0; i < 10000; i++)
		CHECK_ANY(baton_task_spawn(NULL, nothing, NULL) == 0);
}

TEST(spawns_10000)
{
	struct baton_tenant *t;
	struct baton_request *r;

	open_sched(2);
	t = tenant(0, 1000000);
	CHECK_EQ(submit(t, BATON_BATCH, spawns_many, NULL, &r), 0);
	CHECK_EQ(finish(r), 0);
	CHECK_EQ(count, 10000);
	close_sched();
}

static void forks(void *arg)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(7);
	baton_blocking_begin();
	CHECK_ANY(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
	baton_blocking_end();
	atomic_fetch_add(&count, 1);
}

TEST(forks)
{
	struct baton_tenant *t;
	struct baton_request *r;
	int i;

	open_sched(2);
	t = tenant(0, 1000000);
	for (i = 0; i < 10; i++) {
		CHECK_EQ(submit(t, BATON_BATCH, forks, NULL, &r), 0);
		CHECK_EQ(finish(r), 0);
	}
	CHECK_EQ(count, 10);
	close_sched();
}

static _Atomic uint64_t measured;

static void measures(void *arg)
{
	uint64_t begin = my_cpu();

	burns((void *)20);
	atomic_fetch_add(&measured, my_cpu() - begin);
}

/* CPU that tasks see on their threads' clocks is what their tenant is charged. */
TEST(attribution)
{
	struct baton_tenant *t[2];
	struct baton_request *r[20];
	uint64_t charged;
	int i;

	open_sched(2);
	measured = 0;
	for (i = 0; i < 2; i++)
		t[i] = tenant(0, 1000000);
	for (i = 0; i < 20; i++)
		CHECK_EQ(submit(t[i % 2], BATON_BATCH, measures, NULL, &r[i]), 0);
	for (i = 0; i < 20; i++)
		CHECK_EQ(finish(r[i]), 0);
	charged = stats(t[0]).cpu[BATON_TIER_HIGH] + stats(t[1]).cpu[BATON_TIER_HIGH];
	CHECK_CMP(charged, >=, measured * 99 / 100);
	CHECK_CMP(charged, <=, measured * 105 / 100 + 5 * MS);
	close_sched();
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
