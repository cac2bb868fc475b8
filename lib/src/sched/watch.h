/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/watch.h - the watch: a thread that sleeps until the machine's rules allow another capacity. */
#ifndef BTN_SCHED_WATCH_H
#define BTN_SCHED_WATCH_H

#include "types.h"

/*
 * Begin: the thread of a scheduler that is made; events: an inotify descriptor that
 * btn_capacity_read() was given, or -1, and is closed by end. A machine that has no thread or
 * descriptor for it has no watch, and the capacity stays what it was. End: after the monitor's,
 * which uses the thread's number (alarm.c), and before the scheduler is freed.
 */
void btn_watch_begin(struct baton_sched *s, int events);
void btn_watch_end(struct baton_sched *s);

#endif
