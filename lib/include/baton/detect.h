/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/detect.h> - tasks that block in the kernel without having said so.
 *
 * Where `baton load` runs and lets this user, every scheduler sees which of its
 * tasks block, in a read, a page fault, a lock of some other library, and gives
 * the slot to a task that waits. Nothing needs to be called for it.
 * baton_blocking_begin() and end() are then hints: a task keeps its slot until
 * it really blocks and somebody wants it. Where it does not run everything works
 * as well, but such a slot is only given away after a millisecond or two, and the
 * calls are what they say.
 *
 * A task that wakes without a slot runs until its next call of this library, a
 * checkpoint above all; what it uses until then is charged to its tenant, and
 * counted as unauthorised here.
 *
 * On a kernel without the hook a CPU that has nothing to run, while tasks block often
 * and others wait for a slot, is kept awake for opts->idle_poll_us, by a thread of the
 * scheduling class SCHED_IDLE and of that CPU ("baton-idle-poll"), so that the next task
 * comes sooner. It sleeps otherwise. A scheduler that ends does not wait for these threads.
 *
 * The environment variable BATON_DETECT=off, read by baton_sched_create(), does
 * without; BATON_DETECT_SOCKET names another socket than /run/baton/detect.sock.
 * Both are ignored in setuid programs.
 */
#ifndef BATON_DETECT_H
#define BATON_DETECT_H

#include <stdbool.h>

#include <baton/base.h>

BATON_BEGIN_DECLS

struct baton_sched;

/* Since the scheduler was made. Times in ns. */
struct baton_detect_stats {
	bool active;
	const char *how;	/* by what means, or why not; as long as the scheduler lives */
	uint64_t blocks;	/* times that a task blocked with its slot */
	uint64_t unannounced;	/* blocks outside of baton_blocking_begin() and end() */
	uint64_t blocked;	/* time in them, until the wakeup */
	uint64_t rung;		/* blocks of which the kernel told the scheduler because a task waited */
	uint64_t taken;		/* slots that were given to somebody else for it */
	uint64_t unauthorised;	/* CPU used between waking without a slot and the next call */
	uint64_t notified;	/* rung by waking a worker that waits, which looks */
};

/**
 * baton_detect_stats - how much tasks block
 * @sz: sizeof(*out) as the caller knows it; what is newer is left out
 *
 * Any thread; not in a signal handler. Looks at each worker's counters.
 *
 * Returns 0; -ENOENT: blocking is not seen, and out->how says why. @out is
 * filled in both cases.
 */
BATON_API int baton_detect_stats(struct baton_sched *s, struct baton_detect_stats *out, size_t sz);

BATON_END_DECLS

#endif
