// SPDX-License-Identifier: LGPL-2.1-or-later
/* Round robin: tenants take turns, and so do the tasks of each. */
#include "policy.h"

static uint64_t group_key(const struct btn_tier *tier, const struct btn_group *g)
{
	return g->turn;
}

static uint64_t task_key(const struct btn_task *t)
{
	return t->seq;
}

const struct btn_policy btn_policy_rr = {
	.name = "rr",
	.group_key = group_key,
	.task_key = task_key,
};
