/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* io/poller.h - who sleeps until descriptors are ready: a worker, or the poller's thread. */
#ifndef BTN_IO_POLLER_H
#define BTN_IO_POLLER_H

#include "../sched/types.h"

/* A direction of a descriptor: its state is under the scheduler's lock. */
struct btn_half {
	struct btn_waiters waiters;	/* at most one */
	_Atomic unsigned events;	/* how many came: [POLLER-3] */
	_Atomic unsigned empty;		/* as many events had come before a try that found nothing more: [SERVE-2] */
	_Atomic bool ends;		/* an event said that there may be an end, an error or urgent data: [POLLER-3] */
};

/* A descriptor that is watched. The first member of what malloc() gave. */
struct btn_source {
	struct btn_half in, out;
	/* With the lock. */
	void (*event)(struct btn_source *source);	/* called after an event of `in`; NULL: nothing is to be done */
	struct btn_serve *serve;		/* the service that is called so: serve.c */
	struct btn_source *next;	/* in the list of those to be freed */
};

/* The events until now, for a task that is about to try. Without the lock. */
static inline unsigned btn_half_events(const struct btn_half *half)
{
	return atomic_load_explicit(&half->events, memory_order_acquire); /* [POLLER-3] */
}

/* A try that followed so many events has found nothing more; whatever comes later makes another event. [SERVE-2] */
static inline void btn_half_set_empty(struct btn_half *half, unsigned seen)
{
	atomic_store_explicit(&half->empty, seen, memory_order_relaxed); /* [SERVE-2] */
}

/* True: an event until then, of those that the caller has read the number of, was about more than bytes. */
static inline bool btn_half_ends(const struct btn_half *half)
{
	return atomic_load_explicit(&half->ends, memory_order_relaxed); /* [POLLER-3] */
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
/* For the monitor: where nobody polls, sees the events that there are. Called without the lock. */
void btn_poller_look(struct baton_sched *s);
/* The scheduler is stopping, and has no sources: nobody polls from then on. And its workers have ended. */
void btn_poller_stop(struct baton_sched *s);
void btn_poller_end(struct baton_sched *s);

#endif
