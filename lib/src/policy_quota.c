// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Quota: tenants in the order of their eligible time, the tasks of each in the
 * arrival order of their requests. Why that order is the right one: ledger.h.
 */
#include "policy.h"

static uint64_t group_key(const struct btn_tier *tier, const struct btn_group *g)
{
	uint64_t base = tier->oversold ? tier->vtime : btn_group_first(g)->info->arrival;

	return g->acct && g->acct->tag > base ? g->acct->tag : base;
}

static uint64_t task_key(const struct btn_task *t)
{
	return t->info->arrival;
}

const struct btn_policy btn_policy_quota = {
	.name = "quota",
	.group_key = group_key,
	.task_key = task_key,
	.keeps_place = true,
	.preempts = true,
};
