// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The poller: whoever has the role (sched/polls.h) sleeps in epoll_wait(2) until descriptors are ready, and
 * makes the tasks ready that wait for them. It never polls in a loop: with nothing to do it sleeps,
 * and no event is lost however late it comes, since the kernel keeps them.
 *
 * A worker that would park and leave its slot idle polls instead. If its own task is made ready and gets the
 * slot, the worker goes on without any call of a futex. If another's is, and no slot stays idle, the
 * worker switches to that one, and the role is vacant: the next worker that would park takes it, with all
 * events that came meanwhile. So at saturation a batch costs one epoll_wait(2), and each task of it one
 * switch. Where a slot stays idle the worker wakes the others, and polls again. A worker that goes on with its
 * own task while another slot is idle leaves the role to the poller's thread, which parks again when it
 * finds no idle slot: so that tasks which use all slots are not interrupted by each event. Wrong
 * would be a thread that stays in epoll_wait(2) beside the worker: of two that wait there either may get the
 * kick that is for one.
 *
 * The CPU of a worker that polls is nobody's: it has no slot. Else the tenant whose task went idle last
 * would pay for it when its time is settled by the thread's CPU clock. So that clock is read before the
 * first epoll_wait(2) and after each, and what lies between is taken out (btn_slot_polled()), and shown by itself.
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
 * may be closed before the poller comes to them. So whoever has the role frees sources itself, between two
 * batches; and while the role is vacant there is no batch, and the thread that closes does:
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
 * threads that make one at once, one finds the other's, with the lock, and ends its own.
 * [POLLER-3] a task that reads a number of events has acquired what came before the last of them, so
 * its try is later than the data that the event is about; and it sees `ends`, which is set before. The number
 * changes with the lock.
 * [POLLER-2] `stop` is set before the thread's permit is given and the eventfd is written, and looked at after
 * either was taken.
 */
#include "poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <baton/base.h>

#include "../birth.h"
#include "../hooks.h"
#include "../inject.h"
#include "../sched/dispatch.h"
#include "../sched/gate.h"
#include "../sched/leased.h"
#include "../sched/polls.h"
#include "../sched/slot.h"
#include "../sched/wait.h"

#define BATCH	64
/* Events of reading that are about more than bytes. */
#define ENDS	(EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)
/* Sources to be freed that the poller is woken for: else it may sleep, and they wait, for ever. */
#define FREE_MAX	64

struct btn_poller {
	struct baton_sched *s;
	int epoll, wake;
	struct baton_parker *parker;
	pthread_t thread;
	_Atomic bool stop;
	/* With the lock. */
	struct btn_source *unused;
	unsigned n_unused;
};

/* Events from epoll_wait(2). */
struct batch {
	struct epoll_event events[BATCH];
	int n;
};

static struct btn_poller *poller_of(struct baton_sched *s)
{
	return atomic_load_explicit(&s->poller, memory_order_acquire); /* [POLLER-1] */
}

static void half_event(struct btn_half *half, bool ends)
{
	if (ends)
		atomic_store_explicit(&half->ends, true, memory_order_relaxed); /* [POLLER-3] */
	atomic_fetch_add_explicit(&half->events, 1, memory_order_release); /* [POLLER-3] */
	btn_wait_end_first(&half->waiters);
}

static void free_sources(struct btn_source *source)
{
	struct btn_source *next;

	for (; source; source = next) {
		next = source->next;
		btn_mem_free(source);
	}
}

/* Waits until there are events, or for a kick. look: does not wait. */
static void wait_for_batch(struct btn_poller *p, struct batch *b, bool look)
{
	uint64_t count;
	ssize_t got;
	int i;

	BTN_POINT("poller:waits");
	b->n = epoll_wait(p->epoll, b->events, BATCH, look ? 0 : -1);
	BTN_POINT("poller:batch");
	for (i = 0; i < b->n; i++) {
		if (b->events[i].data.ptr)
			continue;
		got = read(p->s->poll_wake, &count, sizeof(count));
		/* EAGAIN is impossible: who has the role alone reads it. */
		(void)got;
	}
}

/* With the lock: makes the tasks of a batch ready; and returns what no batch names any more. */
static struct btn_source *use_batch(struct btn_poller *p, const struct batch *b)
{
	struct btn_source *source, *unused = p->unused;
	uint32_t what;
	int i;

	for (i = 0; i < b->n; i++) {
		source = b->events[i].data.ptr;
		if (!source)
			continue;
		what = b->events[i].events;
		if (what & (EPOLLIN | ENDS)) {
			half_event(&source->in, what & ENDS);
			if (source->event)
				source->event(source);
		}
		if (what & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			half_event(&source->out, false);
	}
	p->unused = NULL;
	p->n_unused = 0;
	return unused;
}

/* With the lock: one of those to be woken to whom the caller can switch instead; or NULL. */
static struct btn_worker *take_first(struct btn_wakes *wakes)
{
	struct btn_worker *w = wakes->first;

	if (!w || !w->born || btn_poll_is_in(w))
		return NULL;
	wakes->first = w->next;
	return w;
}

/*
 * The batch of a worker that polls. True: the poll ends, and *next is whom the worker switches to: itself, if it
 * has a slot and no permit to take; or NULL.
 */
static bool end_turn(struct btn_poller *p, struct btn_worker *w, const struct batch *b, uint64_t *cpu, struct btn_worker **next)
{
	uint64_t now_cpu = btn_slot_cpu(w);
	struct baton_sched *s = p->s;
	struct btn_wakes wakes = { 0 };
	struct btn_source *unused;
	bool given, ends = true;

	btn_dispatch_lock(s);
	/* By another thread, which has given the permit, or is about to. */
	given = w->slot >= 0;
	btn_slot_polled(w, *cpu, now_cpu);
	*cpu = now_cpu;
	unused = use_batch(p, b);
	s->poll = BTN_POLL_VACANT;
	btn_dispatch(s, s->now, &wakes);
	if (!given && w->slot < 0 && btn_poll_take(s, &wakes, BTN_POLL_WORKER)) {
		ends = false;
	} else if (!given) {
		btn_poll_set_in(w, false);
		if (w->slot >= 0) {
			btn_wakes_del(&wakes, w);
			atomic_store_explicit(&w->waits, false, memory_order_relaxed); /* [PREEMPT-2] */
			*next = w;
		} else {
			*next = take_first(&wakes);
		}
	}
	btn_lock_release(&s->lock);
	btn_dispatch_wake(s, &wakes);
	free_sources(unused);
	return ends;
}

static struct btn_worker *take_turn(struct btn_worker *w)
{
	struct btn_poller *p = poller_of(w->s);
	struct btn_worker *next = NULL;
	uint64_t cpu = btn_slot_cpu(w);
	struct batch b;

	atomic_store_explicit(&w->parked, true, memory_order_relaxed); /* [PREEMPT-1] */
	do
		wait_for_batch(p, &b, false);
	while (!end_turn(p, w, &b, &cpu, &next));
	atomic_store_explicit(&w->parked, false, memory_order_relaxed); /* [PREEMPT-1] */
	return next;
}

/* The batch of the thread, or of the monitor's look. True: the thread goes on. */
static bool use_as_thread(struct btn_poller *p, const struct batch *b, bool look)
{
	struct baton_sched *s = p->s;
	struct btn_wakes wakes = { 0 };
	struct btn_source *unused;
	bool again;

	btn_dispatch_lock(s);
	unused = use_batch(p, b);
	s->poll = BTN_POLL_VACANT;
	btn_dispatch(s, s->now, &wakes);
	again = !look && btn_poll_take(s, &wakes, BTN_POLL_THREAD);
	btn_lock_release(&s->lock);
	btn_dispatch_wake(s, &wakes);
	free_sources(unused);
	return again;
}

static bool is_stopped(const struct btn_poller *p)
{
	return atomic_load_explicit(&p->stop, memory_order_acquire); /* [POLLER-2] */
}

static void *poller_main(void *arg)
{
	struct btn_poller *p = arg;
	struct batch b;

	btn_birth_own("baton-poller");
	/* The poller runs for a few microseconds, and is late if it has to wait for a task's time slice. */
	baton_thread_prefer_latency();
	for (;;) {
		baton_parker_block(p->parker, BATON_FOREVER);
		if (is_stopped(p))
			return NULL;
		do {
			wait_for_batch(p, &b, false);
			if (is_stopped(p))
				return NULL;
		} while (use_as_thread(p, &b, false));
	}
}

void btn_poller_look(struct baton_sched *s)
{
	struct batch b;
	bool looks;

	btn_dispatch_lock(s);
	looks = s->poll == BTN_POLL_VACANT;
	if (looks)
		s->poll = BTN_POLL_LOOK;
	btn_lock_release(&s->lock);
	if (!looks)
		return;
	wait_for_batch(poller_of(s), &b, true);
	use_as_thread(poller_of(s), &b, true);
}

static void close_poller(struct btn_poller *p)
{
	baton_parker_destroy(p->parker);
	if (p->epoll >= 0)
		close(p->epoll);
	if (p->wake >= 0)
		close(p->wake);
	btn_mem_free(p);
}

static void stop_thread(struct btn_poller *p)
{
	atomic_store_explicit(&p->stop, true, memory_order_release); /* [POLLER-2] */
	baton_parker_resume(p->parker);
}

static int make_poller(struct btn_poller **out, struct baton_sched *s)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct btn_poller *p = btn_mem_zeroed(1, sizeof(*p));
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
		err = baton_parker_create(&p->parker);
	if (!err)
		err = -pthread_create(&p->thread, NULL, poller_main, p);
	if (err)
		close_poller(p);
	else
		*out = p;
	return err;
}

int btn_poller_need(struct baton_sched *s)
{
	struct btn_wakes wakes = { 0 };
	struct btn_poller *mine;
	int err;

	if (poller_of(s))
		return 0;
	err = make_poller(&mine, s);
	if (err)
		return err;
	BTN_POINT("poller:made");
	btn_gate_lock(s);
	if (!poller_of(s)) {
		s->poll = BTN_POLL_VACANT;
		s->poll_wake = mine->wake;
		s->poll_parker = mine->parker;
		s->poll_turn = take_turn;
		atomic_store_explicit(&s->poller, mine, memory_order_release); /* [POLLER-1] */
		mine = NULL;
	}
	btn_gate_unlock(s, &wakes);
	if (!mine)
		return 0;
	stop_thread(mine);
	pthread_join(mine->thread, NULL);
	close_poller(mine);
	return 0;
}

static int change_set(struct baton_sched *s, int op, int fd, uint32_t events, struct btn_source *source)
{
	struct epoll_event event = { .events = events | EPOLLET, .data.ptr = source };

	return epoll_ctl(poller_of(s)->epoll, op, fd, &event) ? -errno : 0;
}

int btn_poller_add(struct baton_sched *s, int fd, struct btn_source *source)
{
	return change_set(s, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP | EPOLLPRI, source);
}

int btn_poller_add_out(struct baton_sched *s, int fd, struct btn_source *source)
{
	return change_set(s, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLOUT, source);
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
	/* Where nobody polls there is no batch. */
	source = NULL;
	if (s->poll == BTN_POLL_VACANT) {
		source = p->unused;
		p->unused = NULL;
		p->n_unused = 0;
		many = false;
	}
	btn_gate_release(s);
	free_sources(source);
	if (many)
		btn_poll_kick(s);
}

void btn_poller_stop(struct baton_sched *s)
{
	struct btn_poller *p = poller_of(s);

	if (!p)
		return;
	stop_thread(p);
	btn_poll_kick(s);
	pthread_join(p->thread, NULL);
}

void btn_poller_end(struct baton_sched *s)
{
	struct btn_poller *p = poller_of(s);

	if (!p)
		return;
	free_sources(p->unused);
	close_poller(p);
}
