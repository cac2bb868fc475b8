// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Idle slots are filled one at a time, and no task is left for ever: lib/src/sched/dispatch.c, [COME-1].
 * Here no worker is ever late, and the monitor, which would find a task that was lost, is held up, but where it is to come:
 * no slot is taken from a sleeper while another one is idle.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <baton/sched.h>

#include "delays.h"
#include "inject.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL
#define SLOTS 6
#define ROUNDS 40
#define SLEEPERS 3
/* Times that the monitor comes: a sleeper's slice ends meanwhile, and a millisecond more. */
#define COMES 2000

static struct baton_sched *s;
static struct baton_tenant *tenant;
static _Atomic bool holds_monitor, holds_comer, delays;
static _Atomic int threads, comers, here, monitored, taken;

static int at_point(const char *point)
{
	if (!strcmp(point, "sched:come:late"))
		return 1;
	if (!strcmp(point, "sched:thread"))
		atomic_fetch_add(&threads, 1);
	if (!strcmp(point, "sched:preempt:take"))
		atomic_fetch_add(&taken, 1);
	if (!strcmp(point, "sched:monitor:done")) {
		atomic_fetch_add(&monitored, 1);
		while (holds_monitor)
			sched_yield();
	}
	if (!strcmp(point, "sched:came:clear")) {
		atomic_fetch_add(&comers, 1);
		while (holds_comer)
			sched_yield();
	}
	if (delays && (!strncmp(point, "sched:came:", 11) || !strncmp(point, "sched:leave:", 12)))
		delay_sometimes(8, 20000);
	return 0;
}

static void open_sched(bool holds)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = SLOTS };
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 1000000 };

	holds_monitor = holds;
	threads = comers = here = taken = 0;
	atomic_store(&btn_inject_hook, at_point);
	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
}

static void close_sched(void)
{
	holds_monitor = false;
	end_sched(s);
	atomic_store(&btn_inject_hook, NULL);
}

/* Keeps its slot until all of them are there. */
static void meets_all(void *arg)
{
	atomic_fetch_add(&here, 1);
	while (here < SLOTS)
		sched_yield();
}

static void ask(struct baton_request **out)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = meets_all };

	CHECK_ANY(baton_submit(tenant, &o, out) == 0);
}

static void all_end(struct baton_request **r, int n)
{
	int i, result;

	for (i = 0; i < n; i++) {
		if (baton_request_wait_until(r[i], baton_clock_now() + 20000 * MS, &result)) {
			/* The scheduler could not be ended. */
			printf("Bail out! a task was left\n");
			_exit(1);
		}
		baton_request_put(r[i]);
	}
}

TEST(one_at_a_time)
{
	struct baton_request *r[SLOTS];
	int i;

	holds_comer = true;
	open_sched(true);
	for (i = 0; i < SLOTS; i++)
		ask(&r[i]);
	CHECK_EQ(threads, 1);
	while (!comers)
		sched_yield();
	CHECK_EQ(threads, 1);
	holds_comer = false;
	all_end(r, SLOTS);
	CHECK_EQ(threads, SLOTS);
	close_sched();
}

static struct baton_request *asked[2][SLOTS / 2];

static void *asks_half(void *arg)
{
	struct baton_request **r = arg;
	int i;

	for (i = 0; i < SLOTS / 2; i++)
		ask(&r[i]);
	return NULL;
}

TEST(none_is_lost)
{
	pthread_t thread;
	int i;

	delays = true;
	open_sched(true);
	for (i = 0; i < ROUNDS; i++) {
		here = 0;
		CHECK_EQ(pthread_create(&thread, NULL, asks_half, asked[1]), 0);
		asks_half(asked[0]);
		pthread_join(thread, NULL);
		all_end(asked[0], SLOTS / 2);
		all_end(asked[1], SLOTS / 2);
	}
	delays = false;
	close_sched();
}

static int pipes[2];

static void sleeps_unannounced(void *arg)
{
	char byte;

	atomic_fetch_add(&here, 1);
	CHECK_ANY(read(pipes[0], &byte, 1) == 1);
}

static void does_nothing(void *arg)
{
}

/* A worker comes, and tasks are left for it: they do not want the slots of those that sleep. */
TEST(sleepers_keep_their_slots)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = sleeps_unannounced };
	struct baton_request *r[SLOTS];
	int i, before;

	setenv("BATON_DETECT", "off", 1);
	CHECK_EQ(pipe(pipes), 0);
	open_sched(false);
	for (i = 0; i < SLEEPERS; i++) {
		CHECK_EQ(baton_submit(tenant, &o, &r[i]), 0);
		while (here <= i)
			sched_yield();
	}
	comers = 0;
	holds_comer = true;
	o.fn = does_nothing;
	for (; i < SLOTS; i++)
		CHECK_EQ(baton_submit(tenant, &o, &r[i]), 0);
	while (!comers)
		sched_yield();
	for (before = monitored; monitored < before + COMES;)
		usleep(100);
	CHECK_EQ(taken, 0);
	holds_comer = false;
	for (i = 0; i < SLEEPERS; i++)
		CHECK_EQ(write(pipes[1], "", 1), 1);
	all_end(r, SLOTS);
	close_sched();
	close(pipes[0]);
	close(pipes[1]);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
