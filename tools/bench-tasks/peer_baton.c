// SPDX-License-Identifier: GPL-2.0-or-later
// peer_baton.c - the scheduler: one tenant or many, few slots or many of which most sleep.
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <baton/baton.h>

#include "peer.h"

#define TENANTS 10000
#define SLOTS 1024
#define ASLEEP 1000

static struct baton_sched *sched;
static struct baton_tenant *tenant[TENANTS];
static unsigned tenants;

static void run_task(void *arg)
{
	peer_task();
}

static void sleep_on(void *arg)
{
	for (;;)
		pause();
}

/* Tenants that bought more than there is: nobody is stopped by a quota. */
static int make_sched(unsigned slots, unsigned n)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = slots };
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 4000000 };

	/* Sessions of `baton load`, if it is there, would be another case. */
	setenv("BATON_DETECT", "off", 1);
	if (baton_sched_create(&sched, &so))
		return -1;
	for (tenants = 0; tenants < n; tenants++)
		if (baton_tenant_add(sched, &tenant[tenants], &o))
			return -1;
	return 0;
}

static int start_one(unsigned threads)
{
	return make_sched(threads, 1);
}

static int start_many(unsigned threads)
{
	return make_sched(threads, TENANTS);
}

static int start_asleep(unsigned threads)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = sleep_on };
	unsigned i;

	if (make_sched(SLOTS, 2))
		return -1;
	for (i = 0; i < ASLEEP; i++)
		if (baton_submit(tenant[1], &o, NULL))
			return -1;
	tenants = 1;
	/* Until their threads are there, and sleep. */
	sleep(1);
	return 0;
}

static void flood_sched(unsigned long n)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = run_task };
	unsigned long i, before = peer_ended();

	for (i = 0; i < n; i++)
		if (baton_submit(tenant[i % tenants], &o, NULL))
			abort();
	peer_wait(before + n);
}

static unsigned children;

static void fork_and_join(void *arg)
{
	struct baton_task *t[1024];
	unsigned i;

	for (i = 0; i < children; i++)
		if (baton_task_spawn(&t[i], run_task, NULL))
			abort();
	for (i = 0; i < children; i++)
		baton_task_join(t[i]);
}

static void fork_join_sched(unsigned long n, unsigned each)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = fork_and_join };
	struct baton_request *r;
	unsigned long i;

	children = each;
	for (i = 0; i < n / each; i++) {
		if (baton_submit(tenant[0], &o, &r))
			abort();
		baton_request_wait(r);
		baton_request_put(r);
	}
}

/* Each task submits the next one, until its part is done: no thread outside takes part. */
#define CHAINS 64
static _Atomic long chain_left;

static void run_chain(void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = run_chain };

	peer_task();
	if (atomic_fetch_sub_explicit(&chain_left, 1, memory_order_relaxed) > 0 /* [PEER-1] */
	    && baton_submit(tenant[0], &o, NULL))
		abort();
}

static void flood_chains(unsigned long n)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = run_chain };
	unsigned long i, before = peer_ended();

	/* [PEER-1] a count, and nothing that it orders. */
	atomic_store_explicit(&chain_left, (long)n - CHAINS, memory_order_relaxed); /* [PEER-1] */
	for (i = 0; i < CHAINS; i++)
		if (baton_submit(tenant[0], &o, NULL))
			abort();
	peer_wait(before + n);
}

static struct peer peer_task_chains = { .name = "chains", .start = start_one, .flood = flood_chains };
PEER_ADD(task_chains)
static struct peer peer_task_slots = { .name = "slots", .start = start_asleep, .flood = flood_sched };
PEER_ADD(task_slots)
static struct peer peer_task_tenants = { .name = "tenants", .start = start_many, .flood = flood_sched };
PEER_ADD(task_tenants)
static struct peer peer_sched = { .name = "task", .start = start_one, .flood = flood_sched, .fork_join = fork_join_sched };
PEER_ADD(sched)
