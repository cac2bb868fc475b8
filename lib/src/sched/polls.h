/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/polls.h - who waits for the events of streams: the role of the poller.
 *
 * At most one thread has the role, and only that thread calls epoll_wait(2): a worker that would
 * park and leave its slot idle; the poller's own thread (io/poller.c), where no worker is there
 * to; or the monitor, for a look. The role changes with the lock alone. It is vacant while tasks
 * use all slots:
 *
 *	worker w (its task waits)		another worker
 *	lock: a slot is idle, the role is
 *	  vacant: w.polls, the role is w's
 *	epoll_wait
 *						lock: gives w the slot
 *						the permit; w.polls: writes the eventfd
 *	lock: has a slot: the role is
 *	  vacant; takes the permit
 *
 * I1 a slot is idle => somebody has the role, whenever the lock is free: btn_dispatch() names the thread,
 * and with the lock still held the worker that would park takes the role from a thread that was named
 * in this hold of the lock. I2 where tasks use all slots, events are seen when a slot becomes idle, and
 * at the monitor's look, BTN_POLL_TICK_NS after the role became vacant. I3 a permit for a worker
 * that polls ends its poll: `polls` is set with the lock before epoll_wait(2), so whoever gives the worker
 * a slot afterwards sees it; and the eventfd stays readable until the one that has the role reads it, so the
 * order of the write and of epoll_wait(2) does not matter. Wrong would be to set `polls` without the lock: the
 * permit could come before that, and the worker sleep until an event comes. I4 the last worker
 * may end, and there need be none: the thread needs none.
 *
 * [POLL-1] `polls` is set and reset by its worker with the lock, and reset after its permit was
 * taken, too. A thread that gives the permit looks at `polls` before that, and has had the lock
 * since it was set; one that sees an old true writes the eventfd for nothing.
 * selftests/model/poller.pml is a model of this.
 */
#ifndef BTN_SCHED_POLLS_H
#define BTN_SCHED_POLLS_H

#include <unistd.h>

#include "types.h"

/* Time until the monitor looks for events, while tasks use all slots. */
#define BTN_POLL_TICK_NS	1000000

/* True: the worker is in epoll_wait(2), or on its way there or back. */
static inline bool btn_poll_is_in(const struct btn_worker *w)
{
	return atomic_load_explicit(&w->polls, memory_order_relaxed); /* [POLL-1] */
}

static inline void btn_poll_set_in(struct btn_worker *w, bool is)
{
	atomic_store_explicit(&w->polls, is, memory_order_relaxed); /* [POLL-1] */
}

/* Ends the poll of whoever has the role. Without the lock. */
static inline void btn_poll_kick(struct baton_sched *s)
{
	static const uint64_t one = 1;
	ssize_t n = write(s->poll_wake, &one, sizeof(one));

	/* EAGAIN: it is readable already. */
	(void)n;
}

/* The role is vacant: the thread has it, if a slot is idle. True: tasks use all slots. With the lock. */
static inline bool btn_poll_name(struct baton_sched *s, struct btn_wakes *wakes)
{
	if (!s->core.n_idle)
		return true;
	s->poll = BTN_POLL_THREAD;
	wakes->poller = true;
	return false;
}

/*
 * After btn_dispatch(), with the lock still held and the same wakes: the caller may poll (again), and has the role if a
 * slot is idle and no other has it. False: the role is vacant, or another's.
 */
static inline bool btn_poll_take(struct baton_sched *s, struct btn_wakes *wakes, enum btn_poll role)
{
	if (!wakes->poller || s->stopping)
		return false;
	wakes->poller = false;
	s->poll = role;
	return true;
}

#endif
