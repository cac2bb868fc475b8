// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The watch: a thread that sleeps on an inotify descriptor, on which files that say how much
 * CPU there may be have their events (capacity.h), on an eventfd by which workers wake the
 * watch now and then for what has none (sample.c), and on one by which
 * baton_sched_destroy() ends the watch. After an event the files are read again, without the
 * lock, and the scheduler gets the shape that follows. An event that comes after the files were opened and
 * before the thread sleeps again is still there then: no change is lost between the two.
 *
 * The thread has the alarms' signal, too (alarm.c).
 */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../birth.h"
#include "../capacity.h"
#include "../core/setup.h"
#include "../cpus.h"
#include "alarm.h"
#include "dispatch.h"
#include "gate.h"
#include "shape.h"

#define STACK_SIZE (256 << 10)

/* The shape for this capacity; slots that were not said stop at the room that there is. */
static void follow_capacity(struct baton_sched *s, uint64_t allowed)
{
	struct btn_wakes wakes = { 0 };
	struct btn_rules rules;
	struct btn_shape to;

	btn_gate_lock(s);
	s->allowed = allowed;
	btn_stat_set(&s->core.page.h->allowed, allowed);
	rules = s->rules;
	btn_shape_of(&to, &rules, s->core.tiers, allowed);
	if (to.slots > s->core.slots_max) {
		rules.slots = s->core.slots_max;
		btn_shape_of(&to, &rules, s->core.tiers, allowed);
	}
	if (!btn_shape_check(s, &to)) {
		btn_dispatch_end_cached(s, &wakes);
		btn_shape_set(s, &to, NULL);
	}
	btn_gate_unlock(s, &wakes);
}

static void *watch_main(void *arg)
{
	struct baton_sched *s = arg;
	enum { EVENTS, STOP, AGAIN, ALARM, N };
	struct pollfd fd[N] = { { .fd = s->watch_events }, { .fd = s->watch_stop }, { .fd = s->watch_again } };
	_Alignas(8) char events[4096];
	struct btn_capacity there_is;
	struct btn_cpus set;
	int i;

	btn_birth_own("baton-watch");
	fd[ALARM].fd = btn_alarm_begin(s);
	for (i = 0; i < N; i++)
		fd[i].events = POLLIN;
	for (;;) {
		if (poll(fd, N, -1) < 0 && errno != EINTR)
			break;
		if (fd[STOP].revents)
			break;
		if (fd[ALARM].revents)
			btn_alarm_rings(s, fd[ALARM].fd);
		/* The events' contents are of no interest: all is read again. */
		if (!(fd[EVENTS].revents && read(s->watch_events, events, sizeof(events)) > 0) &&
		    !(fd[AGAIN].revents && read(s->watch_again, events, sizeof(uint64_t)) > 0))
			continue;
		if (btn_cpus_self(&set) ||
		    btn_capacity_read(&there_is, "", btn_cpus_count(&set), s->watch_events))
			continue;
		follow_capacity(s, there_is.ns);
	}
	if (fd[ALARM].fd >= 0)
		close(fd[ALARM].fd);
	return NULL;
}

void btn_watch_begin(struct baton_sched *s, int events)
{
	pthread_attr_t attr;
	int err;

	s->watch_events = events;
	s->watch_again = -1;
	s->watch_stop = eventfd(0, EFD_CLOEXEC);
	if (s->watch_stop < 0)
		return;
	s->watch_again = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = pthread_attr_init(&attr);
	if (!err) {
		pthread_attr_setstacksize(&attr, STACK_SIZE);
		err = pthread_create(&s->watch, &attr, watch_main, s);
		pthread_attr_destroy(&attr);
	}
	if (err) {
		close(s->watch_stop);
		s->watch_stop = -1;
	}
	if (err && s->watch_again >= 0) {
		close(s->watch_again);
		s->watch_again = -1;
	}
}

void btn_watch_end(struct baton_sched *s)
{
	if (s->watch_stop >= 0) {
		eventfd_write(s->watch_stop, 1);
		pthread_join(s->watch, NULL);
		close(s->watch_stop);
	}
	if (s->watch_again >= 0)
		close(s->watch_again);
	if (s->watch_events >= 0)
		close(s->watch_events);
}
