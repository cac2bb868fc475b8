// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The poller: a thread that sleeps in epoll_wait(2) until descriptors are ready, and makes the
 * tasks ready that wait for them. A scheduler has one from its first stream on. It never polls in
 * a loop: with nothing to do it sleeps, and no event is lost however late it comes, since the
 * kernel keeps them.
 *
 * Descriptors are watched edge-triggered, so an event comes once for what happened since the last
 * one, and may come late, when a task has already seen what it is about. Events are counted, and a
 * task compares, with the lock, between its failed call and its wait:
 *
 *	task					poller
 *	(a) n = events; read: EAGAIN
 *						data comes: an event
 *	(b) lock: events == n? then it waits;	(c) lock: events += 1; a task that
 *	    else (a) again			    waits is woken
 *
 * If (c) comes before (b), (b) finds another number; else (c) finds the task. Wrong would be to forget
 * an event for which no task waits: with (c) between (a) and (b) the task sleeps, and there is
 * data and no further event. Wrong would be a flag that (b) clears: of two tasks that are between
 * (a) and (b) one clears what the other has to see. An event that is about what (a) had seen costs
 * one more (a).
 *
 * A source is named by events: epoll_wait(2) has put them into the poller's array, and the source
 * may be closed before the poller comes to them. So the poller frees sources itself, between two
 * batches:
 *
 *	closes					poller
 *	(d) EPOLL_CTL_DEL			(f) epoll_wait: a batch
 *	(e) lock: into the list			(g) lock: uses the batch, then takes the list
 *						(h) frees what was in it; again (f)
 *
 * A source that (g) takes was out of the set (d) before (g), so the next batch (f) does not name it,
 * and this one was used. selftests/model/stream.pml is a model of both.
 *
 * [POLLER-1] the thread that made the poller releases it, and those that find it acquire it. Of two
 * threads that make one at once, one finds the other's and ends its own.
 * [POLLER-3] a task that reads a number of events has acquired what came before the last of them, so
 * its try is later than the data that the event is about. The number changes with the lock.
 * [POLLER-2] `stop` is set before the eventfd is written, and looked at after it was read.
 */
#include "poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <baton/base.h>

#include "../birth.h"
#include "../inject.h"
#include "../sched/gate.h"
#include "../sched/wait.h"

#define BATCH	64
/* Sources to be freed that the poller is woken for: else it may sleep, and they wait, for ever. */
#define FREE_MAX	64

struct btn_poller {
	struct baton_sched *s;
	int epoll, wake;
	pthread_t thread;
	_Atomic bool stop;
	/* With the lock. */
	struct btn_source *unused;
	unsigned n_unused;
};

static void half_event(struct btn_half *half)
{
	atomic_fetch_add_explicit(&half->events, 1, memory_order_release); /* [POLLER-3] */
	btn_wait_end_first(&half->waiters);
}

static void free_sources(struct btn_source *source)
{
	struct btn_source *next;

	for (; source; source = next) {
		next = source->next;
		free(source);
	}
}

/* Makes the tasks of a batch ready; and frees what no batch names any more. */
static void use_batch(struct btn_poller *p, const struct epoll_event *events, int n)
{
	struct btn_source *source, *unused;
	struct btn_wakes wakes = { 0 };
	int i;

	btn_gate_lock(p->s);
	for (i = 0; i < n; i++) {
		source = events[i].data.ptr;
		if (!source)
			continue;
		if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			half_event(&source->in);
		if (events[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			half_event(&source->out);
	}
	unused = p->unused;
	p->unused = NULL;
	p->n_unused = 0;
	btn_gate_unlock(p->s, &wakes);
	free_sources(unused);
}

static void *poller_main(void *arg)
{
	struct epoll_event events[BATCH];
	struct btn_poller *p = arg;
	uint64_t count;
	int n, i;

	btn_birth_own("baton-poller");
	/* The poller runs for a few microseconds, and is late if it has to wait for a task's time slice. */
	baton_thread_prefer_latency();
	for (;;) {
		BTN_POINT("poller:waits");
		n = epoll_wait(p->epoll, events, BATCH, -1);
		BTN_POINT("poller:batch");
		for (i = 0; i < n; i++)
			if (!events[i].data.ptr && read(p->wake, &count, sizeof(count)) == sizeof(count) &&
			    atomic_load_explicit(&p->stop, memory_order_acquire)) /* [POLLER-2] */
				return NULL;
		if (n > 0)
			use_batch(p, events, n);
	}
}

static void kick_poller(struct btn_poller *p)
{
	static const uint64_t one = 1;
	ssize_t n = write(p->wake, &one, sizeof(one));

	/* EAGAIN: it is readable already. */
	(void)n;
}

static void close_poller(struct btn_poller *p)
{
	if (p->epoll >= 0)
		close(p->epoll);
	if (p->wake >= 0)
		close(p->wake);
	free(p);
}

static void end_poller(struct btn_poller *p)
{
	atomic_store_explicit(&p->stop, true, memory_order_release); /* [POLLER-2] */
	kick_poller(p);
	pthread_join(p->thread, NULL);
	free_sources(p->unused);
	close_poller(p);
}

static int make_poller(struct btn_poller **out, struct baton_sched *s)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct btn_poller *p = calloc(1, sizeof(*p));
	int err = 0;

	if (!p)
		return -ENOMEM;
	p->s = s;
	p->wake = -1;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll >= 0)
		p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->wake < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->wake, &event))
		err = -errno;
	if (!err)
		err = -pthread_create(&p->thread, NULL, poller_main, p);
	if (err)
		close_poller(p);
	else
		*out = p;
	return err;
}

static struct btn_poller *poller_of(struct baton_sched *s)
{
	return atomic_load_explicit(&s->poller, memory_order_acquire); /* [POLLER-1] */
}

int btn_poller_need(struct baton_sched *s)
{
	struct btn_poller *mine, *other = NULL;
	int err;

	if (poller_of(s))
		return 0;
	err = make_poller(&mine, s);
	if (err)
		return err;
	BTN_POINT("poller:made");
	if (!atomic_compare_exchange_strong_explicit(&s->poller, &other, mine,
						     memory_order_release, /* [POLLER-1] */
						     memory_order_relaxed)) /* [POLLER-1] */
		end_poller(mine);
	return 0;
}

static int change_set(struct baton_sched *s, int op, int fd, uint32_t events, struct btn_source *source)
{
	struct epoll_event event = { .events = events | EPOLLET, .data.ptr = source };

	return epoll_ctl(poller_of(s)->epoll, op, fd, &event) ? -errno : 0;
}

int btn_poller_add(struct baton_sched *s, int fd, struct btn_source *source)
{
	return change_set(s, EPOLL_CTL_ADD, fd, EPOLLIN, source);
}

int btn_poller_add_out(struct baton_sched *s, int fd, struct btn_source *source)
{
	return change_set(s, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT, source);
}

void btn_poller_del(struct baton_sched *s, int fd)
{
	change_set(s, EPOLL_CTL_DEL, fd, 0, NULL);
}

void btn_poller_free(struct baton_sched *s, struct btn_source *source)
{
	struct btn_poller *p = poller_of(s);
	bool many;

	btn_gate_lock(s);
	source->next = p->unused;
	p->unused = source;
	many = ++p->n_unused == FREE_MAX;
	btn_gate_release(s);
	if (many)
		kick_poller(p);
}

void btn_poller_end(struct baton_sched *s)
{
	if (poller_of(s))
		end_poller(poller_of(s));
}
