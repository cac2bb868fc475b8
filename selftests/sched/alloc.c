// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tasks that allocate are stopped anywhere, also with malloc's lock, of which there
 * is one here. Whoever waits for it then may be anybody but one that the stopped
 * task needs to go on: not the monitor, and not who has the scheduler's lock.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <baton/config.h>
#include <baton/sched.h>

#include "sched_end.h"
#include "sched/types.h"
#include "tap.h"

#define SLOTS 64

static struct baton_sched *s;
/* Tenants for a task each: of one tenant the oldest task goes on, and is not stopped. */
static struct baton_tenant *tenant[5];
static _Atomic bool stop;
static _Atomic long started, ended;

static void allocates(void *arg)
{
	unsigned seed = (uintptr_t)arg, i;
	void *p[SLOTS] = { 0 };

	/* No call of the library's in between. */
	while (!stop) {
		i = rand_r(&seed) % SLOTS;
		free(p[i]);
		p[i] = malloc(1500 + rand_r(&seed) % 20000);
	}
	for (i = 0; i < SLOTS; i++)
		free(p[i]);
	ended++;
}

static void child(void *arg)
{
	ended++;
}

static void parent(void *arg)
{
	struct baton_task *t[4] = { 0 };
	int i;

	for (i = 0; i < 4; i++)
		if (!baton_task_spawn(i < 2 ? &t[i] : NULL, child, NULL))
			started++;
	for (i = 0; i < 2; i++)
		if (t[i])
			baton_task_join(t[i]);
	ended++;
}

static void ask(baton_task_fn *fn, unsigned n)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = fn, .arg = (void *)(uintptr_t)n };

	CHECK_EQ(baton_submit(tenant[n], &o, NULL), 0);
	started++;
}

/* malloc's, with a look at the scheduler's lock. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void __libc_free(void *p);

static __thread bool watched;
static unsigned with_lock, calls;

/* The monitor has it for some us at a time; who has it all the time is the caller. */
static void look(void)
{
	int i;

	if (!watched)
		return;
	calls++;
	for (i = 0; i < 10000; i++) {
		if (!atomic_load(&s->lock.word))
			return;
		usleep(1000);
	}
	with_lock++;
}

void *malloc(size_t size)
{
	look();
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	look();
	return __libc_calloc(n, size);
}

void free(void *p)
{
	look();
	__libc_free(p);
}

static void apply(const char *text)
{
	struct baton_config *c;
	char why[256];

	CHECK_EQ(baton_config_parse(&c, text, strlen(text), "test", why, sizeof(why)), 0);
	watched = true;
	CHECK_EQ(baton_config_apply(c, s, why, sizeof(why)), 0);
	watched = false;
	baton_config_free(c);
}

TEST(not_with_the_lock)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1 };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_tenant *t[300];
	char name[16];
	int i;

	CHECK_EQ(baton_sched_create(&s, &so), 0);
	/* More names than the first tables have room for. */
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		to.name = name;
		to.high_ppm = i % 2 ? 1000 : 0;
		watched = true;
		CHECK_EQ(baton_tenant_add(s, &t[i], &to), 0);
		to.high_ppm = to.low_ppm = 1000;
		CHECK_EQ(baton_tenant_set(t[i], &to), 0);
		to.low_ppm = 0;
		watched = false;
	}
	watched = true;
	for (i = 0; i < 300; i++)
		baton_tenant_remove(t[i]);
	watched = false;
	apply("tenant a low=10%\ntenant b high=10%\n");
	apply("tenant b low=10% high=10%\ntenant c low=10%\n");
	CHECK(calls > 300);
	CHECK_EQ(with_lock, 0);
	end_sched(s);
}

TEST(stopped_in_malloc)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1, .workers_keep = 2 };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_tenant *other;
	char name[16];
	int i;

	CHECK_EQ(baton_sched_create(&s, &so), 0);
	for (i = 0; i < 5; i++)
		CHECK_EQ(baton_tenant_add(s, &tenant[i], &to), 0);
	for (i = 0; i < 4; i++)
		ask(allocates, i + 1);
	for (i = 0; i < 100; i++) {
		ask(parent, 0);
		/* Calls that make tenants, or give them more to pay with, do not allocate with the lock either. */
		snprintf(name, sizeof(name), "t%d", i);
		CHECK_EQ(baton_tenant_add(s, &other, &(struct baton_tenant_opts){ .sz = sizeof(to), .name = name }), 0);
		CHECK_EQ(baton_tenant_set(other, &to), 0);
		if (i % 2)
			baton_tenant_remove(other);
		usleep(5000);
	}
	stop = true;
	while (ended < started)
		usleep(1000);
	end_sched(s);
}

int main(int argc, char **argv)
{
	mallopt(M_ARENA_MAX, 1);
	return tap_main(argc, argv);
}
