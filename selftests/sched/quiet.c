// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * No thread of the scheduler wakes up while nothing is due. Wake-ups are counted, which a busy
 * machine makes fewer, never more.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <baton/sched.h>

#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL
/* Wake-ups that a look now and then may cost, of a thread that polls there are thousands. */
#define FEW 150

static struct baton_sched *s;
static struct baton_tenant *tenant;
static int pipes[2];

static void open_sched(unsigned slots, enum baton_preempt how)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = slots, .preempt = how };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };

	/* Of a task whose sleep the kernel announces the test would say nothing. */
	setenv("BATON_DETECT", "off", 1);
	CHECK_EQ(baton_sched_create(&s, &so), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &to), 0);
	CHECK_EQ(pipe(pipes), 0);
}

static void submit_task(baton_task_fn *fn, struct baton_request **out)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = fn };

	CHECK_EQ(baton_submit(tenant, &o, out), 0);
}

/* Times that the monitor went to sleep; -1: no thread has that name. */
static long monitor_sleeps(void)
{
	struct dirent *e;
	DIR *dir = opendir("/proc/self/task");
	long n = -1;

	while (dir && n < 0 && (e = readdir(dir))) {
		char path[300], line[128];
		bool found = false;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f)) {
			if (!strcmp(line, "Name:\tbaton-monitor\n"))
				found = true;
			if (found)
				sscanf(line, "voluntary_ctxt_switches: %ld", &n);
		}
		if (f)
			fclose(f);
	}
	closedir(dir);
	return n;
}

static void sleeps_unannounced(void *arg)
{
	char byte;

	CHECK_ANY(read(pipes[0], &byte, 1) == 1);
}

static void does_nothing(void *arg)
{
}

static void run_quiet(enum baton_preempt how, int tasks)
{
	struct baton_request *r[4], *other;
	struct timespec second = { .tv_sec = 1 };
	long before;
	int i;

	open_sched(1, how);
	for (i = 0; i < tasks; i++)
		submit_task(sleeps_unannounced, &r[i]);
	/* Another task gets a turn: so the slot is taken from those that sleep. */
	if (tasks > 1) {
		submit_task(does_nothing, &other);
		CHECK_EQ(baton_request_wait(other), 0);
		baton_request_put(other);
	}
	nanosleep(&second, NULL);
	before = monitor_sleeps();
	CHECK_CMP(before, >=, 0);
	nanosleep(&second, NULL);
	CHECK_CMP(monitor_sleeps() - before, <=, FEW);
	/* They are seen when they go on, and end. */
	for (i = 0; i < tasks; i++)
		CHECK_EQ(write(pipes[1], "", 1), 1);
	for (i = 0; i < tasks; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	end_sched(s);
	close(pipes[0]);
	close(pipes[1]);
}

TEST(asleep_in_a_slot)
{
	run_quiet(BATON_PREEMPT_STOP, 1);
}

TEST(asleep_in_a_slot_demote)
{
	run_quiet(BATON_PREEMPT_DEMOTE, 1);
}

TEST(asleep_slotless)
{
	run_quiet(BATON_PREEMPT_STOP, 4);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
