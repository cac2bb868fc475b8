/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* io/poller.h - a scheduler's thread that sleeps until descriptors are ready. */
#ifndef BTN_IO_POLLER_H
#define BTN_IO_POLLER_H

#include "../sched/types.h"

/* A direction of a descriptor: its state is under the scheduler's lock. */
struct btn_half {
	struct btn_waiters waiters;	/* at most one */
	_Atomic unsigned events;	/* how many came: [POLLER-3] */
};

/* A descriptor that is watched. The first member of what malloc() gave. */
struct btn_source {
	struct btn_half in, out;
	struct btn_source *next;	/* in the list of those to be freed */
};

/* The events until now, for a task that is about to try. Without the lock. */
static inline unsigned btn_half_events(const struct btn_half *half)
{
	return atomic_load_explicit(&half->events, memory_order_acquire); /* [POLLER-3] */
}

/* Any thread, without the lock. The scheduler's poller, which is made if there is none: 0 or -errno. */
int btn_poller_need(struct baton_sched *s);
/*
 * Watches fd, for reading; then for writing, too, where the fd is watched; and no more. After the
 * first two a direction that is ready already has an event. 0 or -errno.
 */
int btn_poller_add(struct baton_sched *s, int fd, struct btn_source *source);
int btn_poller_add_out(struct baton_sched *s, int fd, struct btn_source *source);
void btn_poller_del(struct baton_sched *s, int fd);
/* The source, which is watched no more, is to be freed when no event can name it. */
void btn_poller_free(struct baton_sched *s, struct btn_source *source);
/* The scheduler ends, and has no sources. */
void btn_poller_end(struct baton_sched *s);

#endif
