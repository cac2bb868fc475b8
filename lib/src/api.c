// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * api.c - calls of <baton/base.h> that belong to no object.
 */
#include <baton/base.h>

#include <errno.h>

#include "birth.h"
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

int baton_thread_prefer_latency(void)
{
	struct btn_sched_attr attr;
	int saved = errno, err = btn_sched_attr_get(&attr);

	/* The thread keeps all else that it has, nice above all. */
	if (!err && attr.policy) {
		err = -EINVAL;
	} else if (!err) {
		attr.runtime = 100000;
		err = btn_sched_attr_set(&attr);
	}
	errno = saved;
	return err;
}

int baton_backend(const char **name)
{
	int err = btn_futex_init();

	if (!err && name)
		*name = btn_futex->name;
	return err;
}
