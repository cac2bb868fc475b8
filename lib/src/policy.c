// SPDX-License-Identifier: LGPL-2.1-or-later
/* The policies by name. */
#include "policy.h"

#include <string.h>

static const struct btn_policy *const policies[] = {
	&btn_policy_fifo, &btn_policy_lifo, &btn_policy_rr, &btn_policy_arrival, &btn_policy_quota,
};

const struct btn_policy *btn_policy_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(policies) / sizeof(*policies); i++)
		if (!strcmp(policies[i]->name, name))
			return policies[i];
	return NULL;
}
