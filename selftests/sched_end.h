/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sched_end.h - the end of a scheduler, for tests that have just waited for its last request. */
#ifndef SCHED_END_H
#define SCHED_END_H

#include <unistd.h>

#include <baton/sched.h>

#include "tap.h"

/* Requests that ended may not be gone yet: a request is in flight until all is done. */
static inline void end_sched(struct baton_sched *s)
{
	int err;

	while ((err = baton_sched_destroy(s)) == -EBUSY)
		usleep(200);
	CHECK_EQ(err, 0);
}

#endif
