// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * api.c - calls of <baton/base.h> that belong to no object.
 */
#include <baton/base.h>

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

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

int baton_thread_hurry(void)
{
	/* struct sched_attr, as it was first: the kernel's header and libc's exclude each other. */
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = { .size = sizeof(attr) };
	int err = 0, saved = errno;

	/* What it has else, nice above all, it keeps. */
	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0)) {
		err = -errno;
	} else if (attr.policy) {
		err = -EINVAL;
	} else {
		attr.runtime = 100000;
		if (syscall(SYS_sched_setattr, 0, &attr, 0))
			err = -errno;
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
