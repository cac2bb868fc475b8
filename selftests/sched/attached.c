// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads that enter requests instead of having them run elsewhere. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include <baton/sched.h>
#include <baton/sync.h>

#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

static struct baton_sched *s;
static struct baton_tenant *tenant;

static void open_sched(unsigned slots, unsigned low_ppm)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots, .workers_max = 1 };
	struct baton_tenant_opts t = { .sz = sizeof(t), .low_ppm = low_ppm, .high_ppm = 1000000 };

	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
}

static int enter(enum baton_class cls, uint64_t deadline, struct baton_request **out)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = cls, .deadline = deadline };

	return baton_request_enter(tenant, &o, out);
}

static uint64_t cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void burn(uint64_t ns)
{
	uint64_t end = cpu() + ns;

	while (cpu() < end)
		baton_checkpoint();
}

static void nothing(void *arg)
{
}

static void *puts_at_once(void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = nothing };
	struct baton_request *r;
	int i;

	for (i = 0; i < 300; i++) {
		CHECK_EQ(baton_submit(tenant, &o, &r), 0);
		/* While it waits, runs, ends or has ended. */
		if (i % 3)
			sched_yield();
		baton_request_put(r);
		CHECK_EQ(enter(BATON_BATCH, 0, &r), 0);
		if (i % 2)
			baton_request_put(r);
		baton_request_leave();
		if (!(i % 2))
			baton_request_put(r);
	}
	return NULL;
}

/* The last one of the request and its handle frees it; and then the scheduler can go. */
TEST(handle_and_end)
{
	pthread_t thread[3];
	unsigned i;

	open_sched(2, 0);
	for (i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, puts_at_once, NULL), 0);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	end_sched(s);
}

/* An attached thread takes none of the pool's workers, of which there may be one here. */
TEST(leaves_the_pool_alone)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = nothing };
	struct baton_request *r;

	open_sched(2, 0);
	CHECK_EQ(enter(BATON_BATCH, 0, NULL), 0);
	CHECK_EQ(baton_submit(tenant, &o, &r), 0);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	baton_request_leave();
	end_sched(s);
}

TEST(is_a_task_between)
{
	struct baton_request *r;

	open_sched(2, 100000);
	CHECK(!baton_request_self());
	CHECK_EQ(enter(BATON_BATCH, 0, &r), 0);
	CHECK(baton_request_self() == r);
	CHECK_EQ(enter(BATON_BATCH, 0, NULL), -EBUSY);
	CHECK_EQ(baton_checkpoint(), 0);
	CHECK_EQ(baton_sleep_until(baton_clock_now() + MS), 0);
	baton_blocking_begin();
	baton_blocking_end();
	baton_request_leave();
	CHECK(!baton_request_self());
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	baton_request_leave();
	end_sched(s);
}

static _Atomic int inside, most, turns;

static void *many(void *arg)
{
	int i, n, m;

	for (i = 0; i < 200; i++) {
		if (enter(BATON_BATCH, 0, NULL))
			abort();
		n = atomic_fetch_add(&inside, 1) + 1;
		m = atomic_load(&most);
		while (n > m && !atomic_compare_exchange_weak(&most, &m, n))
			;
		atomic_fetch_add(&turns, 1);
		atomic_fetch_sub(&inside, 1);
		baton_request_leave();
	}
	return NULL;
}

TEST(no_more_than_slots)
{
	pthread_t t[6];
	int i;

	open_sched(2, 0);
	turns = most = 0;
	for (i = 0; i < 6; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, many, NULL), 0);
	for (i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(turns, 1200);
	CHECK_CMP(most, <=, 2);
	end_sched(s);
}

TEST(charges)
{
	struct baton_tenant_stats st;
	uint64_t all;
	int i;

	open_sched(1, 0);
	for (i = 0; i < 5; i++) {
		CHECK_EQ(enter(BATON_BATCH, 0, NULL), 0);
		burn(4 * MS);
		baton_request_leave();
		burn(2 * MS);
	}
	CHECK_EQ(enter(BATON_BATCH, 0, NULL), 0);
	burn(MS);
	baton_request_leave();
	baton_tenant_stats(tenant, &st, sizeof(st));
	all = st.cpu[BATON_TIER_LOW] + st.cpu[BATON_TIER_HIGH];
	CHECK_CMP(all, >=, 30 * MS);
	CHECK_CMP(all, <=, 35 * MS);
	CHECK_EQ(st.finished, 6);
	end_sched(s);
}

/* A tenant that is gone and one that came to its place are two. */
TEST(charges_nobody_else)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 1000000 };
	struct baton_tenant_stats st;
	int i;

	/* The allocator keeps a few back before it gives one out again. */
	for (i = 0; i < 16; i++) {
		struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1 };

		CHECK_EQ(baton_sched_create(&s, &so), 0);
		CHECK_EQ(baton_tenant_add(s, &tenant, &o), 0);
		CHECK_EQ(enter(BATON_BATCH, 0, NULL), 0);
		burn(MS);
		baton_request_leave();
		baton_tenant_stats(tenant, &st, sizeof(st));
		CHECK_CMP(st.cpu[BATON_TIER_HIGH], <, 10 * MS);
		end_sched(s);
		burn(20 * MS);
	}
}

TEST(rejected)
{
	struct baton_request *r;

	open_sched(1, 20000);
	CHECK_EQ(enter(BATON_CRITICAL, 0, NULL), 0);
	baton_request_charge(baton_request_self(), 30 * MS);
	baton_request_leave();
	CHECK_EQ(enter(BATON_CRITICAL, 0, &r), -EDQUOT);
	CHECK(!r);
	CHECK(!baton_request_self());
	CHECK_EQ(enter(BATON_BATCH, 0, NULL), 0);
	baton_request_leave();
	end_sched(s);
}

static _Atomic int holding;

static void *holder(void *arg)
{
	if (enter(BATON_BATCH, 0, NULL))
		abort();
	atomic_store(&holding, 1);
	/* Without a checkpoint, but not for so long that the monitor comes. */
	while (atomic_load(&holding) == 1)
		burn(MS);
	baton_request_leave();
	return NULL;
}

/* A critical task that does not end has the only slot: a deadline passes. */
TEST(dropped)
{
	struct baton_tenant *other;
	struct baton_tenant_opts to = { .sz = sizeof(to), .low_ppm = 10000 };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_TOLERANT };
	struct baton_request *r;
	pthread_t t;

	open_sched(1, 0);
	CHECK_EQ(baton_tenant_add(s, &other, &to), 0);
	/* The other tenant has spent its second. */
	CHECK_EQ(baton_request_enter(other, &o, NULL), 0);
	baton_request_charge(baton_request_self(), 30 * MS);
	baton_request_leave();
	holding = 0;
	CHECK_EQ(pthread_create(&t, NULL, holder, NULL), 0);
	while (!holding)
		sched_yield();
	o.deadline = baton_clock_now() + 20 * MS;
	CHECK_EQ(baton_request_enter(other, &o, &r), -ETIME);
	CHECK(!baton_request_self());
	CHECK_EQ(baton_request_wait(r), -ETIME);
	baton_request_put(r);
	holding = 2;
	pthread_join(t, NULL);
	/* The same thread may enter again, and has no permit left over. */
	CHECK_EQ(enter(BATON_BATCH, 0, NULL), 0);
	CHECK(baton_request_self() != NULL);
	baton_request_leave();
	end_sched(s);
}

static void *ends_inside(void *arg)
{
	if (enter(BATON_BATCH, 0, NULL))
		abort();
	pthread_exit(NULL);
}

TEST(thread_ends)
{
	pthread_t t;

	open_sched(1, 0);
	CHECK_EQ(pthread_create(&t, NULL, ends_inside, NULL), 0);
	pthread_join(t, NULL);
	CHECK_EQ(enter(BATON_BATCH, 0, NULL), 0);
	baton_request_leave();
	end_sched(s);
}

static struct baton_mutex *mutex;

static void *locks(void *arg)
{
	int i;

	for (i = 0; i < 100; i++) {
		if (enter(BATON_BATCH, 0, NULL) || baton_mutex_lock(mutex))
			abort();
		baton_blocking_begin();
		baton_blocking_end();
		baton_mutex_unlock(mutex);
		baton_request_leave();
	}
	return NULL;
}

TEST(waits_for_locks)
{
	pthread_t t[4];
	int i;

	open_sched(2, 0);
	CHECK_EQ(baton_mutex_create(&mutex, s), 0);
	for (i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, locks, NULL), 0);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	baton_mutex_destroy(mutex);
	end_sched(s);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
