// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tasks that allocate are stopped anywhere, also with malloc's lock, of which there
 * is one here. Whoever waits for it then may be anybody but one that the stopped
 * task needs to go on: not the monitor, and not who has the scheduler's lock.
 */
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include <baton/sched.h>

#include "sched_end.h"
#include "tap.h"

#define SLOTS 64

static struct baton_sched *s;
/* One each: of one tenant the oldest goes on, and is not stopped. */
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

TEST(stopped_in_malloc)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1, .workers_keep = 2 };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	int i;

	CHECK_EQ(baton_sched_create(&s, &so), 0);
	for (i = 0; i < 5; i++)
		CHECK_EQ(baton_tenant_add(s, &tenant[i], &to), 0);
	for (i = 0; i < 4; i++)
		ask(allocates, i + 1);
	for (i = 0; i < 100; i++) {
		ask(parent, 0);
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
