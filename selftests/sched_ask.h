/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sched_ask.h - requests of a test's tenant, each submitted and waited for. */
#ifndef SCHED_ASK_H
#define SCHED_ASK_H

#include <baton/sched.h>

#include "tap.h"

static inline struct baton_request *ask_batch(struct baton_tenant *t, baton_task_fn *fn, void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = fn, .arg = arg };
	struct baton_request *r;

	CHECK_EQ(baton_submit(t, &o, &r), 0);
	return r;
}

static inline void end_request(struct baton_request *r, int want)
{
	CHECK_EQ(baton_request_wait(r), want);
	baton_request_put(r);
}

#endif
