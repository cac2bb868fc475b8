/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/alarm.h - timers on the CPU clocks of threads that are asleep. */
#ifndef BTN_SCHED_ALARM_H
#define BTN_SCHED_ALARM_H

#include "types.h"

/* Time until the monitor looks at a worker whose alarm is set, though nothing was heard of it. */
#define BTN_ALARM_LOOK_NS	1000000000

/*
 * With the lock: sets the alarm of w, when the lock is given up, to go off once the thread's
 * CPU clock is at `at`. Called by the monitor. False: it cannot be
 * set, or not now, and the worker is to be looked at.
 */
bool btn_alarm_want(struct baton_sched *s, struct btn_worker *w, uint64_t at);

/* With the lock: the alarm of w is set, and has not gone off by this time on its CPU clock. */
static inline bool btn_alarm_is_set(struct btn_worker *w, uint64_t cpu)
{
	if (w->alarm_at <= cpu)
		w->alarm_at = 0;
	return w->alarm_at;
}

/*
 * Sets the alarms that are wanted. Called by the monitor, without the lock. False: a
 * timer could not be had; its worker has none from now on.
 */
bool btn_alarm_set(struct baton_sched *s);
/* With the lock: true if an alarm went off since the last call. Called by the monitor. */
bool btn_alarm_heard(struct baton_sched *s);

/*
 * The worker of an attached thread gets its timer if it has none, as it is about to be used in
 * its scheduler s. Called by the thread. And any worker's timer is deleted.
 */
void btn_alarm_attach(const struct baton_sched *s, struct btn_worker *w);
void btn_alarm_free(struct btn_worker *w);

/*
 * Alarms go off on the calling thread. Returns a descriptor that is readable when one did, or
 * -1: there are none. btn_alarm_rings() reads it, and wakes the monitor.
 */
int btn_alarm_begin(struct baton_sched *s);
void btn_alarm_rings(struct baton_sched *s, int fd);

#endif
