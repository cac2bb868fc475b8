// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The watch: a thread that sleeps on an inotify descriptor, on which files that say how much
 * CPU there may be have their events (capacity.h), and on an eventfd by which
 * baton_sched_destroy() ends it. After an event the files are read again, without the lock, and the
 * scheduler gets the shape that follows. An event that comes after the files were opened and
 * before the thread sleeps again is still there then: no change is lost between the two.
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
	struct pollfd fd[2] = { { .fd = s->watch_events, .events = POLLIN }, { .fd = s->watch_stop, .events = POLLIN } };
	_Alignas(8) char events[4096];
	struct btn_capacity there_is;
	struct btn_cpus set;

	btn_birth_own("baton-watch");
	for (;;) {
		if (poll(fd, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (fd[1].revents)
			return NULL;
		/* The events' contents are of no interest: all is read again. */
		if (!fd[0].revents || read(s->watch_events, events, sizeof(events)) <= 0)
			continue;
		if (btn_cpus_self(&set) ||
		    btn_capacity_read(&there_is, "", btn_cpus_count(&set), s->watch_events))
			continue;
		follow_capacity(s, there_is.ns);
	}
}

void btn_watch_begin(struct baton_sched *s, int events)
{
	pthread_attr_t attr;
	int err;

	s->watch_events = events;
	s->watch_stop = events < 0 ? -1 : eventfd(0, EFD_CLOEXEC);
	if (s->watch_stop < 0)
		return;
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
}

void btn_watch_end(struct baton_sched *s)
{
	if (s->watch_stop >= 0) {
		eventfd_write(s->watch_stop, 1);
		pthread_join(s->watch, NULL);
		close(s->watch_stop);
	}
	if (s->watch_events >= 0)
		close(s->watch_events);
}
