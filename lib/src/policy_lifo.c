// SPDX-License-Identifier: LGPL-2.1-or-later
/* Last in, first out: the newest, whose data is still in the caches. */
#include "policy.h"

static uint64_t group_key(const struct btn_tier *tier, const struct btn_group *g)
{
	return ~btn_group_first(g)->seq;
}

static uint64_t task_key(const struct btn_task *t)
{
	return ~t->seq;
}

const struct btn_policy btn_policy_lifo = {
	.name = "lifo",
	.group_key = group_key,
	.task_key = task_key,
	.keeps_place = true,
};
