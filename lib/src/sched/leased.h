/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/leased.h - quotas that a fleet leases to this scheduler: what ends them, and what wakes the fleet's thread.
 *
 * Leases end at lease_end whoever notices: each thread that takes the scheduler's lock compares the time first,
 * so no slice is given by a rate that is over, also where the fleet's thread has not run since. A slice that was given
 * before is used, as where any quota is lowered.
 *
 * [FLEET-1] The fleet's thread sleeps without a time limit once its tenants used nothing for two looks. It says so with the
 * lock, after a look at all of them, and the next thread that comes takes that back, with one exchange, and
 * wakes it. The release of the flag is after fleet_wake was set. A thread that read the flag just before, and takes the lock
 * just after, wakes nobody: the demand of its request is seen when that request's task next takes the lock, at its end at the latest.
 */
#ifndef BTN_SCHED_LEASED_H
#define BTN_SCHED_LEASED_H

#include "types.h"

/*
 * The scheduler may be told quotas by the agent at this socket from now on, until btn_leased_disown(). False: another one of this process may, which lives: in
 * the fleet, or out of it with its base shares. The agent sees processes alone, and would tell both the same base. Takes a lock of the process.
 */
bool btn_leased_own(struct baton_sched *s, const char *socket);
void btn_leased_disown(struct baton_sched *s);

/* Each leased quota is its base from now on. Needs the lock. */
void btn_leased_end(struct baton_sched *s);
void btn_leased_wake_now(struct baton_sched *s);

/* The lock was taken just now. True: leases ended. */
static inline bool btn_leased_look(struct baton_sched *s)
{
	if (btn_likely(s->now < s->lease_end))
		return false;
	btn_leased_end(s);
	return true;
}

/* Called without the lock. */
static inline void btn_leased_wake(struct baton_sched *s)
{
	if (btn_unlikely(atomic_load_explicit(&s->fleet_sleeps, memory_order_relaxed))) /* [FLEET-1] */
		btn_leased_wake_now(s);
}

#endif
