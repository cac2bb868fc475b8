/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/request.h - what tenants ask for. */
#ifndef BTN_SCHED_REQUEST_H
#define BTN_SCHED_REQUEST_H

#include "types.h"

/* fn may be NULL: the caller brings a worker. -EINVAL, -ENOMEM. */
int btn_request_new(struct baton_request **out, struct baton_tenant *t,
		    const struct baton_request_opts *opts, bool handle);
/* The lock is held. As baton_submit(); r is the caller's on an error. */
int btn_request_submit(struct baton_request *r, uint64_t arrival);

/* What it used until now; if its run was others' as well, before it, then no more than since. */
static inline uint64_t btn_request_cpu(const struct baton_request *r, uint64_t now)
{
	uint64_t most = r->began && now > r->began ? now - r->began : BTN_NEVER;

	return r->core.cpu < most ? r->core.cpu : most;
}

#endif
