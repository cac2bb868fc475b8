// SPDX-License-Identifier: LGPL-2.1-or-later
/* Round robin: tenants take turns, and so do the tasks of each. */
#include "policy.h"

static uint64_t flow_key(const struct btn_tier *tier, const struct btn_flow *f)
{
	return f->turn;
}

static uint64_t task_key(const struct btn_task *t)
{
	return t->seq;
}

const struct btn_policy btn_policy_rr = {
	.name = "rr",
	.flow_key = flow_key,
	.task_key = task_key,
};
