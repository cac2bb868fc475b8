/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/why.h> - why a request was refused, or took so long.
 */
#ifndef BATON_WHY_H
#define BATON_WHY_H

#include <baton/base.h>
#include <baton/sched.h>

BATON_BEGIN_DECLS

enum baton_reason {
	BATON_WHY_NOTHING,	/* the request is not late: there is little to explain */
	BATON_WHY_QUOTA,	/* rejected: the quota of this second was used up */
	BATON_WHY_NO_QUOTA,	/* rejected: its tenant never bought what its class uses */
	BATON_WHY_DEADLINE,	/* dropped: it could not start by its deadline, or was told so */
	BATON_WHY_CANCELLED,
	BATON_WHY_REMOVED,	/* the tenant was removed */
	BATON_WHY_INVALID,	/* the options contradict each other, or there was no memory */
	BATON_WHY_THROTTLED,	/* late: most of the time its tenant had no quota left */
	BATON_WHY_SLOTS,	/* late: most of the time all slots had others' tasks */
	BATON_WHY_WORKERS,	/* late: most of the time there was no thread for it */
	BATON_WHY_BLOCKED,	/* late: most of the time its tasks waited for something else */
	BATON_WHY_RUNNING,	/* late: most of the time it ran */
	BATON_WHY_LOCKED,	/* late: most of the time its tasks waited for locks */
	BATON_WHY_OFF_CPU,	/* late: most of the time it had slots and did not run: asleep, or the CPU was others' */
	BATON_WHY_LIMIT,	/* rejected: the tenant has as many requests in flight as it may */
	BATON_WHY_LEASED,	/* as QUOTA, where a part of what the tenant bought is leased to other nodes of its fleet */
	BATON_WHY_LEASED_LATE,	/* as THROTTLED, likewise */
	BATON_WHY_STREAMS,	/* late: most of the time its tasks waited for the network, or others, in calls of <baton/io.h> */
};

/* Times are ns, counted as they happen. Of tasks that ran or waited beside each other they add up. */
struct baton_why {
	enum baton_reason reason;
	int result;		/* the request's so far, or that of the call that refused it */
	unsigned tier;		/* the one whose quota is meant */
	uint64_t quota, used;	/* in each second, and of that; 0 where they do not matter */
	uint64_t free_at;	/* QUOTA, of a call: when some is to be had; 0: not known */
	uint64_t elapsed;	/* from its arrival to its end, or now */
	uint64_t waited;	/* ready, without a slot */
	uint64_t throttled;	/* the part without quota */
	uint64_t cpu;
	uint64_t starved;	/* the part of waited without a thread */
	uint64_t blocked;	/* the tasks waited for something else */
	uint64_t locked;	/* the part of blocked for locks: of <baton/sync.h>, and others as far as they are seen */
	uint64_t capacity;	/* the scheduler's, ns of CPU in a second */
	uint64_t overdue;	/* seconds in which its tenant had quota, and none of its tasks got a slot */
	uint64_t given;		/* CPU that the machine gives, measured lately, ns in a second; 0: not known */
	uint64_t streamed;	/* the part of blocked for streams; of baton_wait_any() nothing is known */
};

/**
 * baton_request_why - why it was given up, or is late
 * @sz: sizeof(*out) as the caller knows it
 *
 * Any thread, before and after the request's end, until it is put.
 */
BATON_API void baton_request_why(struct baton_request *r, struct baton_why *out, size_t sz);

/**
 * baton_tenant_why - why a call refused a request
 * @opts: what the call was given
 * @err: what baton_submit() or baton_request_enter() returned
 * @sz: sizeof(*out) as the caller knows it
 *
 * Any thread. The figures are those of now: to be called at once.
 */
BATON_API void baton_tenant_why(struct baton_tenant *t, const struct baton_request_opts *opts, int err,
				struct baton_why *out, size_t sz);

/**
 * baton_why_text - in a sentence, for a log or an error message
 *
 * Any thread. Cut to @room bytes with the 0 at its end. Returns its whole length.
 */
BATON_API size_t baton_why_text(const struct baton_why *why, char *text, size_t room);

BATON_END_DECLS

#endif
