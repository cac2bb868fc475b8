// SPDX-License-Identifier: LGPL-2.1-or-later
/* Arrival order: the task whose request arrived first, however late it was
 * spawned itself. */
#include "policy.h"

static uint64_t flow_key(const struct btn_tier *tier, const struct btn_flow *f)
{
	return btn_flow_first(f)->info->arrival;
}

static uint64_t task_key(const struct btn_task *t)
{
	return t->info->arrival;
}

const struct btn_policy btn_policy_arrival = {
	.name = "arrival",
	.flow_key = flow_key,
	.task_key = task_key,
	.keeps_place = true,
	.preempts = true,
};
