/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/request.h - requests: made, and submitted. */
#ifndef BTN_SCHED_REQUEST_H
#define BTN_SCHED_REQUEST_H

#include "types.h"

/* Makes a request. opts->fn may be NULL: the caller brings a worker. -EINVAL, -ENOMEM. */
int btn_request_new(struct baton_request **out, struct baton_tenant *t,
		    const struct baton_request_opts *opts, bool handle);
/* Makes r, which has ended or was never submitted, a new request without a handle: btn_request_submit() may follow. */
void btn_request_renew(struct baton_request *r, struct baton_tenant *t, const struct baton_request_opts *opts);
/* Submits r; errors as of baton_submit(), and r is the caller's then. Needs the lock. */
int btn_request_submit(struct baton_request *r, uint64_t arrival);

/*
 * CPU charged to r; at most the time since it began, where its run began under an earlier
 * request.
 */
static inline uint64_t btn_request_cpu(const struct baton_request *r, uint64_t now)
{
	uint64_t most = r->began && now > r->began ? now - r->began : BTN_NEVER;

	return r->core.cpu < most ? r->core.cpu : most;
}

#endif
