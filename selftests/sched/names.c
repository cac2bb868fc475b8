// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tenants looked up, used and put by many threads while others add, remove, rename
 * and reload them. A name is a number, and is also the tenant's quota, so that a
 * tenant found under another one's name shows.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include <baton/config.h>
#include <baton/sched.h>
#include <baton/stats.h>

#include "inject.h"
#include "sched_end.h"
#include "sched/types.h"
#include "tap.h"

#ifdef BTN_TSAN
#define MANY	3000
#define CHURN	1500
#else
#define MANY	30000
#define CHURN	20000
#endif
#define LIVE	40		/* names that come and go */
#define STAY	1000		/* the tenant that does not */
#define SLOTS	4
#define NS(PPM)	((PPM) * (uint64_t)SLOTS * 1000)

static struct baton_sched *s;
static _Atomic bool stop;
static _Atomic long found, missed, ran;

#ifdef BTN_INJECT
/* Between a look at a name, at the count, and at the name again: time for others. */
static int delays(const char *point)
{
	static const struct timespec pause = { 0, 20000 };
	static _Thread_local unsigned n;

	if (!strcmp(point, "sched:names:get") || !strcmp(point, "sched:names:got")) {
		if (++n % 4 == 0)
			nanosleep(&pause, NULL);
		else
			sched_yield();
	}
	return 0;
}
#endif

static void open_sched(void)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = SLOTS, .capacity = SLOTS * 1000000000ULL };

#ifdef BTN_INJECT
	atomic_store(&btn_inject_hook, delays);
#endif
	CHECK_EQ(baton_sched_create(&s, &o), 0);
}

static const char *called(char *name, unsigned n)
{
	snprintf(name, 32, "%u", n);
	return name;
}

static struct baton_tenant *add(unsigned n)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = n };
	struct baton_tenant *t = NULL;
	char name[32];

	o.name = called(name, n);
	CHECK_ANY(baton_tenant_add(s, &t, &o) == 0);
	return t;
}

static void runs(void *arg)
{
	atomic_fetch_add(&ran, 1);
}

/* The tenant has what that name bought, or nothing: it was removed. */
static bool is(struct baton_tenant *t, unsigned n)
{
	struct baton_tenant_stats st;

	baton_tenant_stats(t, &st, sizeof(st));
	return st.high_left == NS(n) || !st.high_left;
}

static void *looks(void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = runs };
	uint64_t x = (uintptr_t)arg * 2654435761u + 1;
	struct baton_tenant *t;
	char name[32];
	unsigned n;

	while (!stop) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		n = 1 + x % (LIVE + 1);
		if (n == LIVE + 1)
			n = STAY;
		if (baton_tenant_find(s, called(name, n), &t)) {
			/* A tenant that is there all the time is found all the time. */
			CHECK_ANY(n != STAY && !t);
			atomic_fetch_add(&missed, 1);
			continue;
		}
		atomic_fetch_add(&found, 1);
		if (n == STAY) {
			if (x >> 60 == 0)
				CHECK_ANY(!baton_submit(t, &o, NULL));
		} else {
			CHECK_ANY(is(t, n));
		}
		baton_tenant_put(t);
	}
	return NULL;
}

/* Another process's view. */
static void *reads(void *arg)
{
	struct baton_stats_tenant *t = malloc(sizeof(*t));
	struct baton_stats *st;
	unsigned i, n;

	CHECK_ANY(t && !baton_stats_of(&st, s));
	while (!stop)
		for (i = 0; i < 100; i++) {
			if (baton_stats_tenant(st, i, t, sizeof(*t)))
				continue;
			n = strtoul(t->name, NULL, 10);
			CHECK_ANY(n && t->tier[BATON_TIER_HIGH].quota == NS(n));
		}
	baton_stats_close(st);
	free(t);
	return NULL;
}

static void start(pthread_t *thread, unsigned n)
{
	unsigned i;

	stop = false;
	found = missed = ran = 0;
	for (i = 0; i < n; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, i ? looks : reads, (void *)(uintptr_t)i), 0);
}

static void finish(pthread_t *thread, unsigned n)
{
	stop = true;
	while (n--)
		pthread_join(thread[n], NULL);
}

/* Until the others were there, on however slow a machine. */
static bool enough(unsigned i)
{
	return i >= CHURN && ((found > 1000 && missed > 100) || i >= 200 * CHURN);
}

TEST(add_remove_rename)
{
	struct baton_tenant *live[LIVE] = { NULL };
	pthread_t thread[4];
	uint64_t x = 88172645463325252ULL;
	unsigned i, k;

	open_sched();
	add(STAY);
	start(thread, 4);
	for (i = 0; !enough(i); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		k = x % LIVE;
		if (live[k]) {
			baton_tenant_remove(live[k]);
			live[k] = NULL;
			/* Renamed: the same memory, as a rule, under another name. */
			k = (k + 1) % LIVE;
		}
		if (!live[k])
			live[k] = add(k + 1);
	}
	finish(thread, 4);
	CHECK_CMP(found, >, 0);
	end_sched(s);
}

TEST(reload)
{
	char text[LIVE * 40], why[500];
	struct baton_config *c;
	pthread_t thread[4];
	unsigned i, k;
	size_t n;

	open_sched();
	add(STAY);
	start(thread, 4);
	for (i = 0; i < CHURN / 10 || (found < 1000 && i < 20 * CHURN); i++) {
		for (k = 1, n = 0; k <= LIVE; k++)
			if ((i >> k % 8 & 1) ^ (k & 1))
				n += sprintf(text + n, "tenant %u high=0.%04u%%\n", k, k);
		CHECK_EQ(baton_config_parse(&c, text, n, "f", why, sizeof(why)), 0);
		CHECK_EQ(baton_config_apply(c, s, why, sizeof(why)), 0);
		baton_config_free(c);
	}
	finish(thread, 4);
	end_sched(s);
}

/* While the table grows under them; and each is found in the end. */
TEST(many)
{
	static struct baton_tenant *all[MANY];
	pthread_t thread[3];
	struct baton_tenant *t;
	char name[32];
	unsigned i;

	open_sched();
	add(STAY);
	start(thread, 3);
	/* The names that the readers ask for are not among them. */
	for (i = 0; i < MANY; i++)
		all[i] = add(2000 + i % 900000);
	finish(thread, 3);
	CHECK_CMP(found, >, 0);
	for (i = 0; i < MANY; i++) {
		CHECK_EQ(baton_tenant_find(s, called(name, 2000 + i), &t), 0);
		CHECK(t == all[i]);
		baton_tenant_put(t);
	}
	CHECK_EQ(baton_tenant_find(s, "0", &t), -ENOENT);
	CHECK_EQ(baton_tenant_find(s, "a name that is longer than any tenant's can be: 64 bytes or more", &t), -ENOENT);
	for (i = 0; i < MANY; i++)
		if (i % 10)
			baton_tenant_remove(all[i]);
	for (i = 0; i < MANY; i++) {
		CHECK_EQ(baton_tenant_find(s, called(name, 2000 + i), &t), i % 10 ? -ENOENT : 0);
		baton_tenant_put(t);
	}
	end_sched(s);
}

/* A handle keeps a tenant from becoming another one, and its scheduler from going. */
TEST(handle)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 5 };
	struct baton_request_opts r = { .sz = sizeof(r), .cls = BATON_BATCH, .fn = runs };
	struct baton_tenant *t, *same, *next;

	open_sched();
	t = add(3);
	CHECK_EQ(baton_tenant_find(s, "3", &same), 0);
	CHECK(t == same);
	baton_tenant_remove(t);
	CHECK_EQ(baton_tenant_find(s, "3", &t), -ENOENT);
	next = add(3);
	CHECK(next != same);
	CHECK_EQ(baton_submit(same, &r, NULL), -ESHUTDOWN);
	CHECK_EQ(baton_tenant_set(same, &o), -ESHUTDOWN);
	CHECK_EQ(baton_sched_destroy(s), -EBUSY);
	baton_tenant_put(same);
	/* The tenant's memory is the next one's. */
	CHECK(add(4) == same);
	end_sched(s);
}

static void *looks_once(void *out)
{
	struct baton_tenant *t;

	CHECK_ANY(baton_tenant_find(s, "1000", &t) == 0);
	baton_tenant_put(t);
	CHECK_ANY(baton_tenant_find(s, "1", &t) == -ENOENT);
	atomic_store(&stop, true);
	return NULL;
}

/* A thread that looks waits for nobody: here, for one that has the lock and does not let go. */
TEST(no_lock)
{
	pthread_t thread;

	open_sched();
	add(STAY);
	stop = false;
	btn_lock_acquire(&s->lock);
	BTN_EXCUSED("the test's own", CHECK_EQ(pthread_create(&thread, NULL, looks_once, NULL), 0);
		    pthread_join(thread, NULL));
	btn_lock_release(&s->lock);
	CHECK(stop);
	end_sched(s);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
