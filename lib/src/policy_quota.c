// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Quota: tenants in the order of their eligible time, the tasks of each in the
 * arrival order of their requests. Why that order is the right one: ledger.h.
 *
 * Eligible times count in steps of GRAIN, and tenants of one step go in the order in which their
 * tasks arrived. Without steps thousands of tenants with short tasks, whose times differ by the
 * microsecond that each used, would be in no order that a queue could know beforehand, and each
 * would be sorted in among all the others. What that changes: a tenant may go before
 * another one whose time is earlier by less than a step. Tags, and so shares, are exact.
 *
 * Where more is sold than there is, a tenant's time is not before the virtual time at which its flow came to stand in
 * the tier (start-time fair queueing: the start tag). The virtual time moves on while the flow stands, and then that is so
 * for all that stand there: none is sorted in anew for it.
 */
#include "policy.h"

/* ns; a power of two. A key that is earlier by six of them is not worth a switch: flow.c. */
#define GRAIN	32768ULL

static uint64_t flow_key(const struct btn_tier *tier, const struct btn_flow *f)
{
	uint64_t base = btn_flow_first(f)->info->arrival;

	if (tier->oversold)
		base = btn_heap_has(&f->node) ? f->node.key : tier->vtime;

	return (f->acct && f->acct->tag > base ? f->acct->tag : base) & ~(GRAIN - 1);
}

static uint64_t task_key(const struct btn_task *t)
{
	return t->info->arrival;
}

const struct btn_policy btn_policy_quota = {
	.name = "quota",
	.flow_key = flow_key,
	.task_key = task_key,
	.keeps_place = true,
	.preempts = true,
};
