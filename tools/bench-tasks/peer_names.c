// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peer_names.c - not tasks, but what a look at read-mostly state costs: a tenant is found by its name, and put; and liburcu's read-side
 * lock, taken and given back around one load, in its flavours memb and bp. Not in the rows: for
 *
 *	valgrind --tool=callgrind bench-tasks --one names|urcu_memb|urcu_bp N 0
 *
 * with two N, whose difference counts.
 */
/* The read-side locks are inline, as this library, under the LGPL itself, would have them. */
#define _LGPL_SOURCE
#define URCU_INLINE_SMALL_FUNCTIONS

#include <stdlib.h>

#include <baton/baton.h>

#include "peer.h"

#if __has_include(<urcu/urcu-memb.h>) && __has_include(<urcu/urcu-bp.h>)
#include <urcu/urcu-memb.h>
#include <urcu/urcu-bp.h>
#define MISSING NULL
#else
#define MISSING "liburcu-dev"
#endif

static struct baton_sched *sched;

static int start_names(unsigned threads)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = threads };
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 1000000, .name = "tenant" };
	struct baton_tenant *t;

	setenv("BATON_DETECT", "off", 1);
	return baton_sched_create(&sched, &so) || baton_tenant_add(sched, &t, &o);
}

static void find_names(unsigned long n)
{
	struct baton_tenant *t;
	unsigned long i;

	for (i = 0; i < n; i++) {
		if (baton_tenant_find(sched, "tenant", &t))
			abort();
		baton_tenant_put(t);
	}
}

static struct peer peer_names = { .name = "names", .start = start_names, .flood = find_names };
PEER_ADD(names)

#if __has_include(<urcu/urcu-memb.h>) && __has_include(<urcu/urcu-bp.h>)
static int *shared;

static int start_memb(unsigned threads)
{
	urcu_memb_register_thread();
	return 0;
}

static void read_memb(unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++) {
		urcu_memb_read_lock();
		(void)rcu_dereference(shared);
		urcu_memb_read_unlock();
	}
}

static int start_bp(unsigned threads)
{
	return 0;
}

static void read_bp(unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++) {
		urcu_bp_read_lock();
		(void)rcu_dereference(shared);
		urcu_bp_read_unlock();
	}
}
#else
#define start_memb NULL
#define read_memb NULL
#define start_bp NULL
#define read_bp NULL
#endif

static struct peer peer_memb = { .name = "urcu_memb", .missing = MISSING, .start = start_memb, .flood = read_memb };
PEER_ADD(memb)
static struct peer peer_bp = { .name = "urcu_bp", .missing = MISSING, .start = start_bp, .flood = read_bp };
PEER_ADD(bp)
