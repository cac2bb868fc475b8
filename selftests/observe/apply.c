// SPDX-License-Identifier: GPL-2.0-or-later
/* A configuration becomes tenants, again and again, and under load. */
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include <baton/config.h>
#include <baton/stats.h>

#include "inject.h"
#include "sched_end.h"
#include "sched/types.h"
#include "tap.h"

static struct baton_sched *s;
static char why[1000];

static int apply(const char *text)
{
	struct baton_config *c;
	int err;

	CHECK_EQ(baton_config_parse(&c, text, strlen(text), "f", why, sizeof(why)), 0);
	err = baton_config_apply(c, s, why, sizeof(why));
	baton_config_free(c);
	CHECK_EQ(!*why, !err);
	return err;
}

/* All tenants in use as NAME:LOW:HIGH, in permille of one slot's second. */
static const char *all(void)
{
	static struct baton_stats_tenant t;
	static char text[1000];
	struct baton_stats *st;
	unsigned i, n = 0;
	int err;

	text[0] = 0;
	CHECK_EQ(baton_stats_of(&st, s), 0);
	for (i = 0; (err = baton_stats_tenant(st, i, &t, sizeof(t))) != -ENOENT; i++)
		if (!err)
			n += snprintf(text + n, sizeof(text) - n, "%s%s:%d:%d%s", n ? " " : "", t.name,
				      (int)(t.tier[0].quota / 1000000), (int)(t.tier[1].quota / 1000000),
				      t.state == 2 ? "-" : "");
	baton_stats_close(st);
	return text;
}

static void open_sched(void)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = 1 };

	CHECK_EQ(baton_sched_create(&s, &o), 0);
}

TEST(adds_changes_removes)
{
	struct baton_tenant *t;

	open_sched();
	CHECK_EQ(apply("tenant a low=10%\ntenant b low=20% high=50%\n"), 0);
	CHECK_STR(all(), "a:100:0 b:200:500");
	CHECK_EQ(apply("tenant a low=10%\ntenant b low=20% high=50%\n"), 0);
	CHECK_STR(all(), "a:100:0 b:200:500");
	/* More here and less there, at the limit on both sides. */
	CHECK_EQ(apply("tenant a low=60%\ntenant b low=10% high=60%\n"), 0);
	CHECK_EQ(apply("tenant a low=10%\ntenant b low=60% high=10%\n"), 0);
	CHECK_STR(all(), "a:100:0 b:600:100");
	CHECK_EQ(apply("tenant b high=10%\ntenant c low=70%\n"), 0);
	CHECK_STR(all(), "b:0:100 c:700:0");
	CHECK_EQ(baton_tenant_find(s, "a", &t), -ENOENT);
	CHECK(!t);
	CHECK_EQ(apply(""), 0);
	CHECK_STR(all(), "");
	end_sched(s);
}

/* Nothing of a refused one holds. */
TEST(refused_as_a_whole)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = 200000, .name = "own" };
	struct baton_tenant *own, *twin;

	open_sched();
	CHECK_EQ(baton_tenant_add(s, &own, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &twin, &o), -EEXIST);
	o.name = "";
	CHECK_EQ(baton_tenant_add(s, &twin, &o), -EINVAL);
	o.name = "\xff";
	CHECK_EQ(baton_tenant_add(s, &twin, &o), -EINVAL);
	CHECK_EQ(apply("tenant a low=40%\n"), 0);
	CHECK_EQ(apply("tenant b high=1%\ntenant own low=1%\n"), -EEXIST);
	CHECK_STR(why, "f:2: tenant own is the service's own\n");
	CHECK_EQ(apply("tenant a low=50%\ntenant b low=1%\n"), -ENOSPC);
	CHECK(strstr(why, "51.0000% to be sold, 0.0000% of tenants that are removed") && strstr(why, "20.0000% of"));
	CHECK_EQ(apply("# many\nslots 4000\n"), -ENOTSUP);
	CHECK(strstr(why, "f:2: slots 4000: the service has room for "));
	CHECK_EQ(apply("low_limit 15%\n"), -ENOSPC);
	CHECK_EQ(apply("tier low\ntier high\ntier more\n"), -ENOTSUP);
	CHECK_STR(why, "f:3: 3 tiers: the service has 2 until it is started again\n");
	CHECK_STR(all(), "own:200:0 a:400:0");
	end_sched(s);
	{
		struct baton_tier_opts tiers[3] = { { .rank = 0 }, { .rank = 1, .share = 3 }, { .rank = 2 } };
		struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1, .tiers = 3, .tier = tiers };

		CHECK_EQ(baton_sched_create(&s, &so), 0);
	}
	/* A setting that the file does not have has no line. */
	CHECK_EQ(apply("slots 1\n"), -ENOTSUP);
	CHECK_STR(why, "f: 2 tiers: the service has 3 until it is started again\n");
	end_sched(s);
	open_sched();
	CHECK_EQ(baton_tenant_add(s, &own, &(struct baton_tenant_opts){ .sz = sizeof(o), .low_ppm = 200000, .name = "own" }), 0);
	CHECK_EQ(apply("tenant a low=40%\n"), 0);
	CHECK_EQ(apply("slots 4000\ntenant a low=30%\n"), -ENOTSUP);
	/* Tenant a is still known to be the configuration's. */
	CHECK_EQ(apply("slots 1\ntenant b low=50%\n"), 0);
	CHECK_STR(all(), "own:200:0 b:500:0");
	end_sched(s);
}

static void until_told(void *arg)
{
	while (!baton_checkpoint())
		;
}

/* A handle outlives its tenant; the quota does not. */
TEST(handles)
{
	struct baton_request_opts r = { .sz = sizeof(r), .cls = BATON_BATCH, .fn = until_told };
	struct baton_tenant_opts o = { .sz = sizeof(o) };
	struct baton_tenant_stats st;
	struct baton_tenant *t;

	open_sched();
	CHECK_EQ(apply("tenant a low=70%\n"), 0);
	CHECK_EQ(baton_tenant_find(s, "a", &t), 0);
	CHECK_EQ(apply("tenant b low=70%\n"), 0);
	CHECK_EQ(baton_submit(t, &r, NULL), -ESHUTDOWN);
	CHECK_EQ(baton_tenant_set(t, &o), -ESHUTDOWN);
	baton_tenant_stats(t, &st, sizeof(st));
	CHECK_EQ(st.low_left, 0);
	baton_tenant_remove(t);
	CHECK_EQ(baton_sched_destroy(s), -EBUSY);
	baton_tenant_put(t);
	baton_tenant_put(NULL);
	end_sched(s);
}

/* CPU that a removed tenant's requests still use cannot be sold to others. */
TEST(in_flight)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_TOLERANT, .fn = until_told };
	struct baton_tenant *t, *gone;
	struct baton_request *r;
	char many[4000];
	unsigned i, n;

	open_sched();
	CHECK_EQ(apply("tenant a low=70%\n"), 0);
	CHECK_EQ(baton_tenant_find(s, "a", &t), 0);
	CHECK_EQ(baton_submit(t, &o, &r), 0);
	CHECK_EQ(apply("tenant b low=1%\n"), -ENOSPC);
	CHECK(strstr(why, "1.0000% to be sold, 70.0000% of tenants that are removed"));
	CHECK_STR(all(), "a:700:0");
	CHECK_EQ(apply("tenant b high=1%\n"), 0);
	CHECK_STR(all(), "a:700:0- b:0:10");
	CHECK_EQ(baton_submit(t, &o, NULL), -ESHUTDOWN);
	/* The tenant is not found, also when there are many names. */
	for (i = 0, n = 0; i < 100; i++)
		n += snprintf(many + n, sizeof(many) - n, "tenant t%u high=1%%\n", i);
	CHECK_EQ(apply(many), 0);
	CHECK_EQ(baton_tenant_find(s, "a", &gone), -ENOENT);
	/* The tenant is back before its last request has ended. */
	CHECK_EQ(apply("tenant a high=1%\n"), 0);
	CHECK(strstr(all(), "a:700:0- "));
	baton_request_cancel(r);
	CHECK_EQ(baton_request_wait(r), -ECANCELED);
	baton_request_put(r);
	CHECK(!strstr(all(), "-") && strstr(all(), "a:0:10"));
	CHECK_EQ(apply("tenant a low=70%\n"), 0);
	baton_tenant_put(t);
	end_sched(s);
}

static const char *tier(unsigned i)
{
	static struct baton_stats_tier t;
	static char text[200];
	struct baton_stats *st;

	CHECK_EQ(baton_stats_of(&st, s), 0);
	CHECK_EQ(baton_stats_tier(st, i, &t, sizeof(t)), 0);
	baton_stats_close(st);
	snprintf(text, sizeof(text), "%s %d %d %d %d", t.policy, (int)t.rank, (int)t.share, (int)(t.reserve / 1000000),
		 (int)(t.limit / 1000000));
	return text;
}

static unsigned slots(void)
{
	static struct baton_stats_slot slot;
	struct baton_stats *st;
	unsigned i;

	CHECK_EQ(baton_stats_of(&st, s), 0);
	for (i = 0; !baton_stats_slot(st, i, &slot, sizeof(slot)); i++)
		;
	baton_stats_close(st);
	return i;
}

/* Slots, tiers and the limit are others from now on. */
TEST(reshapes)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = 100000, .high_ppm = 200000, .name = "own" };
	struct baton_tenant *own;

	open_sched();
	CHECK_EQ(baton_tenant_add(s, &own, &o), 0);
	CHECK_EQ(apply("tier low\ntier high policy=fifo rank=3 share=7 reserve=10% limit=50%\n"
		       "low_limit 50%\ntenant a low=40% high=1%\n"), 0);
	CHECK_STR(tier(0), "quota 0 1 0 0");
	CHECK_STR(tier(1), "fifo 3 7 100 500");
	CHECK_STR(all(), "own:100:200 a:400:10");
	CHECK_EQ(apply("low_limit 40%\ntenant a low=40%\n"), -ENOSPC);
	CHECK_STR(tier(1), "fifo 3 7 100 500");
	CHECK_EQ(apply("tenant a low=60%\n"), 0);
	CHECK_STR(tier(1), "quota 1 1 0 0");
	CHECK_STR(all(), "own:100:200 a:600:0");
	/* Half of a CPU, and half of each part of it. */
	CHECK_EQ(apply("capacity 0.5\ntier low\ntier high reserve=10% limit=50%\nlow_limit 70%\ntenant a low=60%\n"), 0);
	CHECK_STR(all(), "own:50:100 a:300:0");
	CHECK_STR(tier(1), "quota 1 1 50 250");
	CHECK_EQ(apply("tenant a low=60.0001% high=10%\n"), -ENOSPC);
	CHECK_EQ(apply("tenant a low=50% high=10%\n"), 0);
	CHECK_STR(all(), "own:50:100 a:250:50");
	CHECK_EQ(apply("capacity 2\ntenant a low=60%\n"), 0);
	CHECK_STR(all(), "own:100:200 a:600:0");
	CHECK_STR(tier(1), "quota 1 1 0 0");
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1 && apply("slots 2\ntenant a low=10%\n") != -ENOTSUP) {
		/* Tenants have the same part of twice as much, also those that are not in the file. */
		CHECK_EQ(slots(), 2);
		CHECK_STR(all(), "own:200:400 a:200:0");
		CHECK_EQ(apply("slots 2\ntier low\ntier high limit=10%\ntenant a low=60%\n"), 0);
		CHECK_STR(tier(1), "quota 1 1 0 200");
		CHECK_STR(all(), "own:200:400 a:1200:0");
		CHECK_EQ(apply("slots 1\ntenant b low=60%\n"), 0);
		CHECK_EQ(slots(), 1);
		CHECK_STR(all(), "own:100:200 b:600:0");
		/* Without slots they stay as they are. */
		CHECK_EQ(apply(""), 0);
		CHECK_EQ(slots(), 1);
		CHECK_EQ(apply("slots 2\n"), 0);
		CHECK_EQ(apply("tenant b low=60%\n"), 0);
		CHECK_EQ(slots(), 2);
		CHECK_STR(all(), "own:200:400 b:1200:0");
	}
	end_sched(s);
}

/* A single word that is another is enough. */
TEST(one_thing_changes)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = 600000, .name = "own" };
	struct baton_tenant *own;

	open_sched();
	CHECK_EQ(apply("tier low\ntier high policy=fifo rank=2\n"), 0);
	CHECK_STR(tier(1), "fifo 2 1 0 0");
	CHECK_EQ(apply("tier low\ntier high policy=lifo rank=2\n"), 0);
	CHECK_STR(tier(1), "lifo 2 1 0 0");
	CHECK_EQ(apply("tier low\ntier high policy=lifo rank=3\n"), 0);
	CHECK_STR(tier(1), "lifo 3 1 0 0");
	CHECK_EQ(apply("tier low\ntier high policy=lifo rank=3 share=5\n"), 0);
	CHECK_STR(tier(1), "lifo 3 5 0 0");
	CHECK_EQ(apply("tier low\ntier high policy=lifo rank=3 share=5 reserve=10%\n"), 0);
	CHECK_STR(tier(1), "lifo 3 5 100 0");
	CHECK_EQ(apply("tier low\ntier high policy=lifo rank=3 share=5 reserve=10% limit=20%\n"), 0);
	CHECK_STR(tier(1), "lifo 3 5 100 200");
	CHECK_EQ(apply("low_limit 50%\n"), 0);
	CHECK_EQ(apply("low_limit 40%\n"), 0);
	CHECK_EQ(baton_tenant_add(s, &own, &o), -ENOSPC);
	CHECK_EQ(apply("low_limit 60%\n"), 0);
	CHECK_EQ(baton_tenant_add(s, &own, &o), 0);
	end_sched(s);
}

/* Configurations are counted, and 0 is nobody's. */
TEST(count_wraps)
{
	open_sched();
	CHECK_EQ(apply("tenant a low=10%\n"), 0);
	s->epoch = UINT_MAX;
	CHECK_EQ(apply("tenant b low=10%\n"), 0);
	CHECK_EQ(apply("tenant b low=20%\n"), 0);
	CHECK_STR(all(), "b:200:0");
	end_sched(s);
}

static _Atomic int inside, most;

static void counts(void *arg)
{
	int n, old;

	do {
		n = atomic_fetch_add(&inside, 1) + 1;
		old = most;
		while (n > old && !atomic_compare_exchange_weak(&most, &old, n))
			;
		for (old = 0; old < 100; old++)
			__asm__ volatile("" : : : "memory");
		atomic_fetch_add(&inside, -1);
	} while (!baton_checkpoint());
}

/* As many at once, sooner or later; a busy machine may make it late. */
static bool gets_to(int n)
{
	uint64_t end = baton_clock_now() + 30000000000ULL;

	do {
		most = 0;
		usleep(20000);
		if (most == n)
			return true;
	} while (baton_clock_now() < end);
	return false;
}

/* More slots, and fewer, while tasks run in them that never end. */
TEST(slots_under_load)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = counts };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request *r[3];
	struct baton_tenant *t;
	int i;

	open_sched();
	CHECK_EQ(baton_tenant_add(s, &t, &to), 0);
	for (i = 0; i < 3; i++)
		CHECK_EQ(baton_submit(t, &o, &r[i]), 0);
	CHECK(gets_to(1));
	if (apply("slots 2\n") != -ENOTSUP) {
		CHECK(gets_to(2));
		for (i = 0; i < 10; i++) {
			CHECK_EQ(apply("slots 1\n"), 0);
			CHECK_EQ(apply("slots 2\n"), 0);
		}
		CHECK(gets_to(2));
		CHECK_EQ(apply("slots 1\n"), 0);
		CHECK(gets_to(1));
	}
	for (i = 0; i < 3; i++) {
		baton_request_cancel(r[i]);
		CHECK_EQ(baton_request_wait(r[i]), -ECANCELED);
		baton_request_put(r[i]);
	}
	end_sched(s);
}

static void nothing(void *arg)
{
}

static void ends_soon(struct baton_request *r, int result)
{
	int was = 1;

	/* Nothing else happens that would help it on. */
	CHECK_EQ(baton_request_wait_until(r, baton_clock_now() + 30000000000ULL, &was), 0);
	CHECK_EQ(was, result);
	baton_request_put(r);
}

/* A task that waits for a slot, or for quota, when another configuration comes, has it from that. */
TEST(waits_meanwhile)
{
	struct baton_request_opts runs = { .sz = sizeof(runs), .cls = BATON_BATCH, .fn = until_told };
	struct baton_request_opts waits = { .sz = sizeof(waits), .cls = BATON_BATCH, .fn = nothing };
	struct baton_tenant *a, *b;
	struct baton_request *r, *w;

	open_sched();
	CHECK_EQ(apply("tenant a high=100%\ntenant b high=100%\n"), 0);
	CHECK_EQ(baton_tenant_find(s, "a", &a), 0);
	CHECK_EQ(baton_tenant_find(s, "b", &b), 0);
	CHECK_EQ(apply("tier low\ntier high policy=fifo\ntenant a high=100%\ntenant b high=100%\n"), 0);
	/* First come, first served: it does not get the slot before r ends. */
	CHECK_EQ(baton_submit(a, &runs, &r), 0);
	CHECK_EQ(baton_submit(b, &waits, &w), 0);
	CHECK_EQ(apply("tier low\ntier high policy=arrival\ntenant a high=100%\ntenant b high=100%\n"), 0);
	baton_request_cancel(r);
	ends_soon(r, -ECANCELED);
	ends_soon(w, 0);
	/* Nothing to pay with until there is. */
	CHECK_EQ(baton_submit(a, &runs, &r), 0);
	CHECK_EQ(baton_submit(a, &waits, &w), 0);
	CHECK_EQ(apply("tenant a low=1%\ntenant b low=1%\n"), 0);
	usleep(100000);
	CHECK_EQ(apply("tenant a high=100%\ntenant b low=1%\n"), 0);
	baton_request_cancel(r);
	ends_soon(r, -ECANCELED);
	ends_soon(w, 0);
	baton_tenant_put(a);
	baton_tenant_put(b);
	end_sched(s);
}

#ifdef BTN_INJECT
static int fail_at, logs;

static int fail(const char *point)
{
	return !strcmp(point, "core:tenant:log") && ++logs == fail_at;
}

/* Without memory for one of them, none of it. */
TEST(no_memory)
{
	unsigned i;

	open_sched();
	CHECK_EQ(apply("tenant a low=10%\n"), 0);
	atomic_store(&btn_inject_hook, fail);
	for (i = 0; i < 3; i++) {
		/* a's stays once it is had. */
		fail_at = i ? 2 : 1;
		logs = 0;
		CHECK_EQ(apply("tenant b low=10% high=10%\ntenant a low=20% high=20%\n"), -ENOMEM);
		CHECK_STR(all(), "a:100:0");
	}
	atomic_store(&btn_inject_hook, NULL);
	CHECK_EQ(apply("tenant b low=10%\n"), 0);
	CHECK_STR(all(), "b:100:0");
	end_sched(s);
}
#endif

static _Atomic long ran;

static void count(void *arg)
{
	atomic_fetch_add(&ran, 1);
}

/* Q16: many tenants come, change and go while others ask; no request is lost. */
TEST(under_load)
{
	static char text[2][40 * 400];
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = count };
	struct baton_tenant *t;
	long admitted = 0;
	unsigned i, k, n;
	char name[20];
	int err;

	open_sched();
	for (k = 0; k < 2; k++)
		for (i = 0, n = 0; i < 400; i++)
			n += snprintf(text[k] + n, sizeof(text[k]) - n, "tenant t%u low=0.1%% high=%u%%\n",
				      i + 200 * k, 50 + k);
	ran = 0;
	for (k = 0; k < 40; k++) {
		err = apply(text[k % 2]);
		CHECK_MSG(!err || err == -ENOSPC, "%d: %s", err, why);
		for (i = 0; i < 600; i += 7) {
			snprintf(name, sizeof(name), "t%u", i);
			if (baton_tenant_find(s, name, &t))
				continue;
			admitted += !baton_submit(t, &o, NULL);
			baton_tenant_put(t);
		}
	}
	CHECK_CMP(admitted, >, 1000);
	end_sched(s);
	CHECK_EQ(ran, admitted);
}

static void blocks(void *arg)
{
	baton_checkpoint();
	baton_sleep_until(baton_clock_now() + 200000);
	baton_checkpoint();
	atomic_fetch_add(&ran, 1);
}

/* Everything changes all the time while tasks run, wait and sleep; no request is lost. */
TEST(reshapes_under_load)
{
	static const char *const policy[] = { "fifo", "lifo", "rr", "arrival", "quota" };
	static const enum baton_class cls[] = { BATON_CRITICAL, BATON_TOLERANT, BATON_BATCH };
	struct baton_request_opts o = { .sz = sizeof(o), .fn = blocks };
	struct baton_tenant *t;
	long admitted = 0;
	char text[400];
	unsigned k, i;
	int err;

	open_sched();
	ran = 0;
	for (k = 0; k < 100; k++) {
		snprintf(text, sizeof(text),
			 "slots %u\nlow_limit %u%%\ntier low policy=%s rank=%u\ntier high policy=%s rank=%u share=%u %s %s\n"
			 "tenant a low=10%% high=%u%%\ntenant b low=%u%% high=100%%\n",
			 1 + k / 3 % 2, 20 + k % 50, policy[k % 5], k % 3, policy[k / 5 % 5], k % 2, 1 + k % 7,
			 k % 4 ? "" : "reserve=5%", k % 3 ? "" : "limit=90%", 50 + k % 50, k % 10);
		err = apply(text);
		/* On one CPU it stays one. */
		CHECK_MSG(!err || (err == -ENOTSUP && strstr(text, "slots 2")), "%d: %s", err, why);
		for (i = 0; i < 20; i++) {
			if (baton_tenant_find(s, i % 2 ? "a" : "b", &t))
				continue;
			o.cls = cls[(k + i) % 3];
			err = baton_submit(t, &o, NULL);
			CHECK(!err || err == -EDQUOT);
			admitted += !err;
			baton_tenant_put(t);
		}
	}
	CHECK_CMP(admitted, >, 1000);
	end_sched(s);
	CHECK_CMP(ran, <=, admitted);
	CHECK_CMP(ran, >=, admitted / 2);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
