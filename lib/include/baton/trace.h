/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/trace.h> - every hand-over of a service, as it happens.
 *
 * A scheduler that is traced writes an event for each slot that is given or left,
 * and for each request, into rings of its page (<baton/stats.h>): one for each slot
 * and one for the requests. Nobody waits: a reader that is too slow loses the
 * oldest ones, and is told how many. `baton trace` makes a file for Perfetto of it.
 *
 * While nobody traces it costs the test of one pointer that nobody writes.
 */
#ifndef BATON_TRACE_H
#define BATON_TRACE_H

#include <baton/base.h>
#include <baton/stats.h>

BATON_BEGIN_DECLS

enum baton_trace_type {
	BATON_TRACE_RUN = 1,	/* the slot was given to the task */
	BATON_TRACE_STOP,	/* detail: 0, it has to wait; 1, it blocks; 2, it ended */
	BATON_TRACE_ADMITTED,	/* detail: the class; from here on in the ring of requests */
	BATON_TRACE_REJECTED,
	BATON_TRACE_DROPPED,
	/*
	 * In the ring of a slot: the task that had it until now, or has it still, made
	 * this one ready: it started it, or ended its wait.
	 */
	BATON_TRACE_WAKES,
	BATON_TRACE_OVERDUE,	/* in the ring of requests: ready for a second, with quota, and without a slot */
};

struct baton_trace_event {
	uint64_t time;
	uint64_t what;		/* type, detail << 8, tier << 16, the tenant's id << 32 */
	uint64_t request;	/* the request's number; 0: it was not let in */
	uint64_t task;		/* tasks that exist at one time have different ones */
};

/* The longest that one start lasts: 10 minutes. */
#define BATON_TRACE_MAX	UINT64_C(600000000000)

/**
 * baton_trace_start - trace until a time
 * @until: CLOCK_MONOTONIC ns, at most BATON_TRACE_MAX from now; 0: stop
 *
 * Any thread. The service begins within 2 ms of work. It takes 512 KiB for each
 * slot, and 512 KiB; where there is no room it does not trace.
 *
 * Returns 0; -EINVAL: too late; -ESRCH: the service has died; -EACCES: the caller may
 * read its file, but not write.
 */
BATON_API int baton_trace_start(struct baton_stats *st, uint64_t until);

/** baton_trace_active - does the service trace now, or will it soon? */
BATON_API bool baton_trace_active(const struct baton_stats *st);

/**
 * baton_trace_read - events of a ring, the oldest first
 * @ring: of a slot; or the number of slots: of the requests
 * @next: how many were read so far, for the first call UINT64_MAX: those from now on;
 *	moved on by those that are returned and those that are lost
 * @lost: how many were overwritten before they were read
 *
 * Any thread. Never waits. Returns how many of @max it put into @out; 0 also where
 * there is no such ring.
 */
BATON_API unsigned baton_trace_read(const struct baton_stats *st, unsigned ring, uint64_t *next,
				    struct baton_trace_event *out, unsigned max, uint64_t *lost);

BATON_END_DECLS

#endif
