// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Quota: tenants in the order of their eligible time, the tasks of each in the
 * arrival order of their requests. Why that order is the right one: ledger.h.
 */
#include "policy.h"

static uint64_t flow_key(const struct btn_tier *tier, const struct btn_flow *f)
{
	uint64_t base = tier->oversold ? tier->vtime : btn_flow_first(f)->info->arrival;

	return f->acct && f->acct->tag > base ? f->acct->tag : base;
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
