// SPDX-License-Identifier: GPL-2.0-or-later
/* Attached threads that leave, or block, and keep their slot until somebody wants it: lib/src/sched/lazy.c. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <baton/sched.h>

#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL
#define THREADS 5
#define TURNS 400

static struct baton_sched *s;
static struct baton_tenant *tenants[2];

static void open_sched(unsigned slots, unsigned low_ppm)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots };
	struct baton_tenant_opts t = { .sz = sizeof(t), .low_ppm = low_ppm, .high_ppm = 1000000 };
	int i;

	CHECK_EQ(baton_sched_create(&s, &o), 0);
	for (i = 0; i < 2; i++)
		CHECK_EQ(baton_tenant_add(s, &tenants[i], &t), 0);
}

static int enter(int i, enum baton_class cls, struct baton_request **out)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = cls };

	return baton_request_enter(tenants[i], &o, out);
}

static uint64_t clock_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void burn(uint64_t ns)
{
	uint64_t end = clock_of(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (clock_of(CLOCK_THREAD_CPUTIME_ID) < end)
		baton_checkpoint();
}

#ifdef BTN_INJECT
#include "delays.h"
#include "inject.h"

static _Atomic int resumed;

static int counts(const char *point)
{
	if (!strcmp(point, "lazy:resume:exchange"))
		atomic_fetch_add(&resumed, 1);
	return 0;
}

static int delays(const char *point)
{
	if (strncmp(point, "lazy:", 5))
		return 0;
	delay_sometimes(8, 50000);
	return 0;
}

/* The way back without the lock is taken at all. */
TEST(comes_back_without_the_lock)
{
	int i;

	atomic_store(&btn_inject_hook, counts);
	open_sched(2, 0);
	for (i = 0; i < 1000; i++) {
		CHECK_EQ(enter(0, BATON_BATCH, NULL), 0);
		baton_blocking_begin();
		baton_blocking_end();
		baton_request_leave();
	}
	CHECK_CMP(resumed, >=, 100);
	end_sched(s);
	atomic_store(&btn_inject_hook, delays);
}
#endif

static _Atomic int inside, most, turns[2];
static _Atomic bool over;

static void in(void)
{
	int n = atomic_fetch_add(&inside, 1) + 1, m = atomic_load(&most);

	while (n > m && !atomic_compare_exchange_weak(&most, &m, n))
		;
}

static void out(void)
{
	atomic_fetch_sub(&inside, 1);
}

static void *comes_and_goes(void *arg)
{
	unsigned seed = (uintptr_t)arg, k;
	struct baton_request_times times;
	struct baton_request *r;
	int i, who = seed & 1;
	bool handle;

	for (i = 0; i < TURNS; i++) {
		k = rand_r(&seed);
		if (!(k & 15))
			who = !who;
		handle = k & 16;
		if (enter(who, k & 0x300 ? BATON_TOLERANT : BATON_BATCH, handle ? &r : NULL))
			abort();
		in();
		if (k & 32) {
			out();
			baton_checkpoint();
			in();
		}
		if (k & 64) {
			out();
			baton_blocking_begin();
			if (k & 128)
				sched_yield();
			baton_blocking_end();
			in();
		}
		out();
		baton_request_leave();
		atomic_fetch_add(&turns[who], 1);
		if (handle) {
			if (!(k & 0x1400))
				baton_request_cancel(r);
			if (!(k & 0xc00) && baton_request_wait(r))
				abort();
			if (!(k & 0x3000))
				baton_request_times(r, &times, sizeof(times));
			baton_request_put(r);
		}
		if (!(k & 0xc000))
			nanosleep(&(struct timespec){ 0, 100000 }, NULL);
		else if (k & 0x10000)
			sched_yield();
	}
	return NULL;
}

static void *looks(void *arg)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 1000000 };
	struct baton_tenant_stats st, last = { 0 };
	int i;

	for (i = 0; !atomic_load(&over); i++) {
		baton_tenant_stats(tenants[0], &st, sizeof(st));
		if (st.admitted < last.admitted || st.finished < last.finished || st.finished > st.admitted)
			abort();
		last = st;
		o.low_ppm = 100000 + i % 2;
		if (i % 4 == 0 && baton_tenant_set(tenants[1], &o))
			abort();
		nanosleep(&(struct timespec){ 0, 200000 }, NULL);
	}
	return arg;
}

static void storm(unsigned slots, int threads)
{
	struct baton_tenant_stats st;
	pthread_t t[THREADS], other;
	int i;

	open_sched(slots, 100000);
	inside = most = turns[0] = turns[1] = over = 0;
	CHECK_EQ(pthread_create(&other, NULL, looks, NULL), 0);
	for (i = 0; i < threads; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, comes_and_goes, (void *)(uintptr_t)(i + 1)), 0);
	for (i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	over = true;
	pthread_join(other, NULL);
	CHECK_CMP(most, <=, (int)slots);
	for (i = 0; i < 2; i++) {
		baton_tenant_stats(tenants[i], &st, sizeof(st));
		CHECK_EQ(st.admitted, (uint64_t)turns[i]);
		CHECK_EQ(st.finished, (uint64_t)turns[i]);
	}
	end_sched(s);
}

TEST(more_threads_than_slots)
{
	storm(2, THREADS);
}

TEST(one_slot)
{
	storm(1, 2);
}

TEST(a_slot_for_each)
{
	storm(THREADS, THREADS);
}

static pthread_barrier_t both;

static void *goes_and_stays(void *blocks)
{
	if (enter(0, BATON_BATCH, NULL))
		abort();
	if (blocks)
		baton_blocking_begin();
	else
		baton_request_leave();
	pthread_barrier_wait(&both);
	/* The other one has had the only slot. */
	pthread_barrier_wait(&both);
	if (blocks) {
		baton_blocking_end();
		baton_request_leave();
	}
	return NULL;
}

TEST(whoever_wants_it_has_it)
{
	struct baton_tenant_stats st;
	pthread_t t;
	int i;

	open_sched(1, 0);
	CHECK_EQ(pthread_barrier_init(&both, NULL, 2), 0);
	for (i = 0; i < 20; i++) {
		CHECK_EQ(pthread_create(&t, NULL, goes_and_stays, i % 2 ? &t : NULL), 0);
		pthread_barrier_wait(&both);
		CHECK_EQ(enter(1, BATON_TOLERANT, NULL), 0);
		baton_request_leave();
		pthread_barrier_wait(&both);
		pthread_join(t, NULL);
	}
	baton_tenant_stats(tenants[0], &st, sizeof(st));
	CHECK_EQ(st.finished, 20);
	pthread_barrier_destroy(&both);
	end_sched(s);
}

/* A request that was left is not in flight, for whoever looks. */
TEST(what_was_left_has_ended)
{
	struct baton_request_times times;
	struct baton_request *r;
	int result = 1;

	open_sched(1, 0);
	CHECK_EQ(enter(0, BATON_BATCH, &r), 0);
	baton_request_leave();
	CHECK_EQ(baton_request_wait(r), 0);
	CHECK_EQ(baton_request_wait_until(r, 1, &result), 0);
	CHECK_EQ(result, 0);
	baton_request_put(r);
	CHECK_EQ(enter(0, BATON_BATCH, &r), 0);
	baton_request_leave();
	baton_request_cancel(r);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	/* The handle outlives the next requests. */
	CHECK_EQ(enter(0, BATON_BATCH, &r), 0);
	burn(2 * MS);
	baton_request_leave();
	CHECK_EQ(enter(0, BATON_BATCH, NULL), 0);
	burn(10 * MS);
	baton_request_leave();
	baton_request_times(r, &times, sizeof(times));
	CHECK_CMP(times.cpu, >=, MS);
	CHECK_CMP(times.cpu, <, 8 * MS);
	baton_request_put(r);
	/* A tenant can be removed, and is gone for those that come back. */
	CHECK_EQ(enter(0, BATON_BATCH, NULL), 0);
	baton_request_leave();
	baton_tenant_remove(tenants[0]);
	end_sched(s);
}

TEST(another_scheduler)
{
	struct baton_sched *first;
	int i;

	for (i = 0; i < 10; i++) {
		open_sched(1, 0);
		CHECK_EQ(enter(0, BATON_BATCH, NULL), 0);
		baton_request_leave();
		first = s;
		open_sched(1, 0);
		CHECK_EQ(enter(1, BATON_BATCH, NULL), 0);
		baton_request_leave();
		if (i % 2)
			end_sched(s);
		end_sched(first);
		if (!(i % 2))
			end_sched(s);
	}
}

/* A thread used 50 ms in a second, request after request, until it was rejected. */
static bool used_what_was_bought(void)
{
	uint64_t used, begun = clock_of(CLOCK_MONOTONIC), most;
	struct baton_tenant_stats st;
	int err;

	open_sched(1, 50000);
	used = clock_of(CLOCK_THREAD_CPUTIME_ID);
	while (!(err = enter(0, BATON_CRITICAL, NULL))) {
		burn(20000);
		baton_request_leave();
	}
	used = clock_of(CLOCK_THREAD_CPUTIME_ID) - used;
	most = ((clock_of(CLOCK_MONOTONIC) - begun) / 1000000000 + 1) * 50 * MS + 3 * MS;
	baton_tenant_stats(tenants[0], &st, sizeof(st));
	CHECK_EQ(err, -EDQUOT);
	CHECK_CMP(used, >=, 45 * MS);
	end_sched(s);
	return used <= most && st.cpu[BATON_TIER_LOW] + MS >= used;
}

/* Where the whole machine is stopped for a while the clocks go on: then once more. */
TEST(quota_ends)
{
	int i;

	for (i = 0; i < 10 && !used_what_was_bought(); i++)
		;
	CHECK_CMP(i, <, 10);
}

int main(int argc, char **argv)
{
#ifdef BTN_INJECT
	atomic_store(&btn_inject_hook, delays);
#endif
	return tap_main(argc, argv);
}
