// SPDX-License-Identifier: LGPL-2.1-or-later
/* First in, first out: whoever became ready first, and it keeps its place. */
#include "policy.h"

static uint64_t group_key(const struct btn_tier *tier, const struct btn_group *g)
{
	return btn_group_first(g)->seq;
}

static uint64_t task_key(const struct btn_task *t)
{
	return t->seq;
}

const struct btn_policy btn_policy_fifo = {
	.name = "fifo",
	.group_key = group_key,
	.task_key = task_key,
	.keeps_place = true,
};
