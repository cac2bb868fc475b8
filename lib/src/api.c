// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * api.c - calls of <baton/base.h> that belong to no object.
 */
#include <baton/base.h>

#include "clock.h"
#include "futex.h"

const char *baton_version(void)
{
	return BATON_VERSION;
}

uint64_t baton_clock_now(void)
{
	return btn_clock_now();
}

int baton_backend(const char **name)
{
	int err = btn_futex_init();

	if (!err && name)
		*name = btn_futex->name;
	return err;
}
