// SPDX-License-Identifier: LGPL-2.1-or-later
/* First in, first out: whoever became ready first, and it keeps its place. */
#include "policy.h"

static uint64_t flow_key(const struct btn_tier *tier, const struct btn_flow *f)
{
	return btn_flow_first(f)->seq;
}

static uint64_t task_key(const struct btn_task *t)
{
	return t->seq;
}

const struct btn_policy btn_policy_fifo = {
	.name = "fifo",
	.flow_key = flow_key,
	.task_key = task_key,
	.keeps_place = true,
};
