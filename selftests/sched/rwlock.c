// SPDX-License-Identifier: GPL-2.0-or-later
/* Locks for many readers or one writer: who is let in when, who gives up, and who lends to whom. */
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include <baton/sched.h>
#include <baton/sync.h>

#include "delays.h"
#include "inject.h"
#include "sched_ask.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL
#ifdef BTN_TSAN
#define TASKS 30
#define ROUNDS 20
#else
#define TASKS 60
#define ROUNDS 60
#endif

static struct baton_sched *s;
static struct baton_tenant *tenant, *poor;
static struct baton_rwlock *lock;
static struct baton_sem *sem;
static _Atomic int in, order[8], orders, result;
static _Atomic bool go;
static long guarded[2];

#ifdef BTN_INJECT
static int delays(const char *point)
{
	if (!strncmp(point, "sync:", 5) || !strcmp(point, "sched:wait:woken"))
		delay_sometimes(16, 100000);
	return 0;
}
#endif

static void open_all(unsigned slots)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots, .capacity = slots * 1000000000ULL };
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 1000000 };

#ifdef BTN_INJECT
	atomic_store(&btn_inject_hook, delays);
#endif
	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
	t.high_ppm = 500;
	CHECK_EQ(baton_tenant_add(s, &poor, &t), 0);
	CHECK_EQ(baton_rwlock_create(&lock, s), 0);
	CHECK_EQ(baton_sem_create(&sem, s, 0), 0);
	in = orders = result = go = 0;
}

static void close_all(void)
{
	end_sched(s);
	baton_rwlock_destroy(lock);
	baton_sem_destroy(sem);
}

/* Until a wait has begun: blocked tasks are seen by their figures alone, and a slot that is free runs this. */
static void let_others_wait(void)
{
	baton_sleep_until(baton_clock_now() + 3 * MS);
}

static void holds_until_told(void *arg)
{
	CHECK_ANY(!(arg ? baton_rwlock_wrlock(lock) : baton_rwlock_rdlock(lock)));
	in++;
	CHECK_ANY(!baton_sem_wait(sem));
	in--;
	CHECK_ANY(!baton_rwlock_unlock(lock));
}

static void reads(void *arg)
{
	CHECK_ANY(!baton_rwlock_rdlock(lock));
	order[orders++] = (intptr_t)arg;
	CHECK_ANY(!baton_rwlock_unlock(lock));
}

static void writes(void *arg)
{
	CHECK_ANY(!baton_rwlock_wrlock(lock));
	order[orders++] = (intptr_t)arg;
	CHECK_ANY(!baton_rwlock_unlock(lock));
}

static void await_count(_Atomic int *what, int n)
{
	while (*what != n)
		sched_yield();
}

TEST(readers_share)
{
	struct baton_request *r[3], *w;
	int i;

	open_all(2);
	for (i = 0; i < 3; i++)
		r[i] = ask_batch(tenant, holds_until_told, NULL);
	await_count(&in, 3);
	w = ask_batch(tenant, holds_until_told, s);
	for (i = 0; i < 3; i++)
		baton_sem_post(sem);
	for (i = 0; i < 3; i++)
		end_request(r[i], 0);
	await_count(&in, 1);
	baton_sem_post(sem);
	end_request(w, 0);
	close_all();
}

static void comes_in_order(void *arg)
{
	struct baton_task *t[5];
	int i;

	CHECK_ANY(!baton_rwlock_rdlock(lock));
	for (i = 0; i < 5; i++) {
		CHECK_ANY(!baton_task_spawn(&t[i], i % 2 ? reads : writes, (void *)(intptr_t)i));
		let_others_wait();
	}
	CHECK_ANY(!orders && baton_rwlock_tryrdlock(lock) == -EDEADLK);
	CHECK_ANY(!baton_rwlock_unlock(lock));
	for (i = 0; i < 5; i++)
		CHECK_ANY(!baton_task_join(t[i]));
}

TEST(in_order)
{
	int i;

	open_all(1);
	end_request(ask_batch(tenant, comes_in_order, NULL), 0);
	CHECK_EQ(orders, 5);
	for (i = 0; i < 5; i++)
		CHECK_EQ(order[i], i);
	close_all();
}

static void gives_up(void *arg)
{
	result = baton_rwlock_wrlock_until(lock, arg ? baton_clock_now() + 20 * MS : BATON_FOREVER);
	if (!result)
		CHECK_ANY(!baton_rwlock_unlock(lock));
}

/* A writer that waits gives up: the readers behind it are let in, though the reader before it stays. */
static void behind_a_writer(bool cancel)
{
	struct baton_request *r[2], *w;

	open_all(1);
	r[0] = ask_batch(tenant, holds_until_told, NULL);
	await_count(&in, 1);
	w = ask_batch(tenant, gives_up, cancel ? NULL : s);
	r[1] = ask_batch(tenant, holds_until_told, NULL);
	if (cancel) {
		/* The writer has started, or the cancel would drop it. */
		usleep(20000);
		baton_request_cancel(w);
	}
	await_count(&in, 2);
	baton_sem_post(sem);
	baton_sem_post(sem);
	end_request(r[0], 0);
	end_request(r[1], 0);
	baton_request_wait(w);
	baton_request_put(w);
	CHECK(result == (cancel ? -ECANCELED : -ETIMEDOUT) || (cancel && !result));
	close_all();
}

TEST(gives_up_at_a_deadline)
{
	behind_a_writer(false);
}

TEST(gives_up_when_cancelled)
{
	behind_a_writer(true);
}

static void refuses(void *arg)
{
	struct baton_task *t;

	CHECK_ANY(baton_rwlock_unlock(lock) == -EPERM);
	CHECK_ANY(!baton_rwlock_tryrdlock(lock) && baton_rwlock_rdlock(lock) == -EDEADLK);
	CHECK_ANY(baton_rwlock_trywrlock(lock) == -EDEADLK && baton_rwlock_wrlock(lock) == -EDEADLK);
	if (!arg) {
		CHECK_ANY(!baton_task_spawn(&t, refuses, s) && baton_task_join(t) == 0);
		CHECK_ANY(!baton_rwlock_unlock(lock) && baton_rwlock_unlock(lock) == -EPERM);
		CHECK_ANY(!baton_rwlock_trywrlock(lock) && baton_rwlock_wrlock(lock) == -EDEADLK);
		CHECK_ANY(baton_rwlock_tryrdlock(lock) == -EDEADLK);
		CHECK_ANY(!baton_task_spawn(&t, gives_up, s) && baton_task_join(t) == 0 && result == -ETIMEDOUT);
	}
	CHECK_ANY(!baton_rwlock_unlock(lock));
}

TEST(errors)
{
	open_all(1);
	CHECK_EQ(baton_rwlock_rdlock(lock), -EPERM);
	CHECK_EQ(baton_rwlock_trywrlock(lock), -EPERM);
	CHECK_EQ(baton_rwlock_unlock(lock), -EPERM);
	end_request(ask_batch(tenant, refuses, NULL), 0);
	close_all();
}

static void looks(void *arg)
{
	result = baton_rwlock_tryrdlock(lock);
}

TEST(most_readers)
{
	struct baton_request *r[BATON_RWLOCK_READERS + 1];
	int i;

	open_all(1);
	for (i = 0; i < BATON_RWLOCK_READERS; i++)
		r[i] = ask_batch(tenant, holds_until_told, NULL);
	await_count(&in, BATON_RWLOCK_READERS);
	end_request(ask_batch(tenant, looks, NULL), 0);
	CHECK_EQ(result, -EBUSY);
	r[i] = ask_batch(tenant, holds_until_told, NULL);
	for (i = 0; i <= BATON_RWLOCK_READERS; i++)
		baton_sem_post(sem);
	for (i = 0; i <= BATON_RWLOCK_READERS; i++)
		end_request(r[i], 0);
	close_all();
}

static void keeps_it(void *arg)
{
	baton_rwlock_rdlock(lock);
}

static void dies(void)
{
	open_all(1);
	end_request(ask_batch(tenant, keeps_it, NULL), 0);
}

TEST(ends_with_it)
{
	tap_dies(dies, "a task ended that holds a baton_mutex or baton_rwlock");
}

/* 25 ms of CPU, of which the tenant has half a millisecond in a second. */
static void reads_long(void *arg)
{
	struct timespec from, now;

	CHECK_ANY(!baton_rwlock_rdlock(lock));
	in++;
	while (!go)
		baton_sleep_until(baton_clock_now() + MS);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	do {
		baton_checkpoint();
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	} while ((now.tv_sec - from.tv_sec) * 1000000000LL + now.tv_nsec - from.tv_nsec < 25000000);
	CHECK_ANY(!baton_rwlock_unlock(lock));
}

/* A writer lends to both readers, one after the other: what they use is paid by the writer's tenant. */
TEST(lends_to_readers)
{
	struct baton_request *r[2], *w;
	struct baton_tenant_stats st;
	int i;

#ifdef BTN_TSAN
	SKIP("a thread's beginning alone takes seconds of the tenant's quota");
#endif
	open_all(1);
	for (i = 0; i < 2; i++)
		r[i] = ask_batch(poor, reads_long, NULL);
	await_count(&in, 2);
	w = ask_batch(tenant, writes, NULL);
	go = true;
	end_request(w, 0);
	for (i = 0; i < 2; i++)
		end_request(r[i], 0);
	baton_tenant_stats(tenant, &st, sizeof(st));
	CHECK_CMP(st.cpu[BATON_TIER_HIGH], >, 35 * MS);
	close_all();
}

/* Tasks that read, write and give up at any time; a writer is alone. */
static void stirs(void *arg)
{
	uint64_t x = (uintptr_t)arg * 0x9e3779b97f4a7c15ULL + 1;
	bool wr;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		wr = x >> 62 == 0;
		if (x >> 40 & 1) {
			if (wr ? baton_rwlock_wrlock(lock) : baton_rwlock_rdlock(lock))
				abort();
		} else if (wr ? baton_rwlock_wrlock_until(lock, baton_clock_now() + (x >> 44 & 0xffff)) :
				baton_rwlock_rdlock_until(lock, baton_clock_now() + (x >> 44 & 0xffff))) {
			continue;
		}
		CHECK_ANY(guarded[0] == guarded[1]);
		if (wr)
			guarded[0]++;
		if (x >> 41 & 1)
			baton_sleep_until(baton_clock_now() + 1000);
		if (wr)
			guarded[1]++;
		CHECK_ANY(guarded[0] == guarded[1]);
		CHECK_ANY(!baton_rwlock_unlock(lock));
	}
}

TEST(many)
{
	struct baton_request *r[TASKS];
	intptr_t i;

	open_all(3);
	for (i = 0; i < TASKS; i++)
		r[i] = ask_batch(tenant, stirs, (void *)(i + 1));
	for (i = 0; i < TASKS; i++)
		end_request(r[i], 0);
	CHECK_CMP(guarded[0], >, 0);
	close_all();
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
