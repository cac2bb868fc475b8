// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waiting for the first of several things.
 *
 * All objects are of one scheduler, whose lock is held while they are looked at. So either a case
 * can happen, and does, and the others were not touched; or none can, and the task enters the
 * list of each before the lock is given up. From then on whoever has what one case waits for
 * gives it to the task and takes the task out of all lists in one step, under the same lock, and
 * the clock and a cancel do the latter (wait.c). What one object gave is the task's, and another
 * one has given it nothing:
 *
 *	the task			A				B
 *	lock: A and B have nothing;
 *	in the lists of A and B
 *					lock: gives to the task, which
 *					is out of both lists
 *									lock: the list is empty, and
 *									B keeps what it has
 *	has A's, when it has a slot
 *
 * The argument needs objects that give (chan.c). selftests/model/any.pml is a model of it.
 *
 * A stream gives nothing: that it is ready is seen by poll(2), without the lock, and an event
 * says that poll(2) may say something else than before. So events that no task waited for are
 * looked at with the lock before the wait, as poller.c says, and an event that ends a wait makes
 * the call begin again; it has taken nothing from any object by then.
 *
 * Turns. The search for a case that can happen begins at a place that moves with each of the
 * task's calls: the i-th begins at case floor(n * frac(i * 0.618...)). Multiples of the golden
 * section are spread so that each of n equal parts of [0, 1) has one of any 2 n that follow each
 * other (for n up to 64; selftests/sched/any tries some), and so are those of every second call.
 * Where the task calls this in two places in turn, a place that moved by one with each call would
 * be even in one of them and odd in the other, and of two cases the same would always be first.
 */
#include <baton/wait.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "../hooks.h"
#include "../inject.h"
#include "../tsan.h"
#include "../io/stream.h"
#include "chan.h"
#include "gate.h"
#include "self.h"
#include "sem.h"
#include "wait.h"

/* 2^32 times the golden section. */
#define GOLDEN	2654435769u

/* The scheduler of the object that the case is about; NULL: the case is wrong. */
static const struct baton_sched *sched_of(const struct baton_case *c)
{
	switch (c->kind) {
	case BATON_CASE_RECV:
	case BATON_CASE_SEND:
		return c->chan ? c->chan->s : NULL;
	case BATON_CASE_SEM:
		return c->sem ? c->sem->s : NULL;
	case BATON_CASE_TASK:
		return c->task ? c->task->s : NULL;
	case BATON_CASE_REQUEST:
		return c->request ? c->request->s : NULL;
	case BATON_CASE_READABLE:
	case BATON_CASE_WRITABLE:
		return c->stream ? c->stream->s : NULL;
	default:
		return NULL;
	}
}

static int check_cases(const struct baton_task *t, const struct baton_case *c, unsigned n, unsigned flags)
{
	const struct baton_sched *s;
	unsigned i;

	if (!t)
		return -EPERM;
	if (n > BATON_CASES_MAX || (flags & ~BATON_IN_ORDER))
		return -EINVAL;
	for (i = 0; i < n; i++) {
		if (c[i].kind == BATON_CASE_NONE)
			continue;
		s = sched_of(&c[i]);
		if (s != t->s)
			return s ? -EPERM : -EINVAL;
	}
	return 0;
}

static bool is_stream(const struct baton_case *c)
{
	return c->kind == BATON_CASE_READABLE || c->kind == BATON_CASE_WRITABLE;
}

static struct btn_half *half_of(const struct baton_case *c)
{
	return c->kind == BATON_CASE_READABLE ? &c->stream->source.in : &c->stream->source.out;
}

/* With the lock. p: what poll(2) said. True: the case has happened. */
static bool try_stream(struct baton_case *c, const struct pollfd *p)
{
	c->result = c->stream->closed ? -ESHUTDOWN : 0;
	return c->stream->closed || p->revents;
}

/* With the lock. True: the case has happened. */
static bool try_case(struct baton_case *c)
{
	switch (c->kind) {
	case BATON_CASE_RECV:
		c->result = btn_chan_take_locked(c->chan, &c->item);
		return c->result != -EAGAIN;
	case BATON_CASE_SEND:
		c->result = btn_chan_put_locked(c->chan, c->item);
		return c->result != -EAGAIN;
	case BATON_CASE_SEM:
		c->result = 0;
		return btn_sem_take_locked(c->sem);
	case BATON_CASE_TASK:
		c->result = 0;
		return c->task->ended;
	case BATON_CASE_REQUEST:
		c->result = c->request->result;
		return c->request->done;
	default:
		return false;
	}
}

static struct btn_waiters *list_of(const struct baton_case *c)
{
	switch (c->kind) {
	case BATON_CASE_RECV:
		return &c->chan->receivers;
	case BATON_CASE_SEND:
		return &c->chan->senders;
	case BATON_CASE_SEM:
		return &c->sem->waiters;
	case BATON_CASE_TASK:
		return &c->task->joiner;
	case BATON_CASE_REQUEST:
		return &c->request->waiters;
	case BATON_CASE_READABLE:
	case BATON_CASE_WRITABLE:
		return &half_of(c)->waiters;
	default:
		return NULL;
	}
}

/* With the lock. The case that has happened; n: none can. The search begins at `first`. */
static unsigned try_all(struct baton_case *c, unsigned n, const struct pollfd *p, unsigned first)
{
	unsigned i, k;

	for (i = 0; i < n; i++) {
		k = first + i < n ? first + i : first + i - n;
		if (is_stream(&c[k]) ? try_stream(&c[k], &p[k]) : try_case(&c[k]))
			return k;
	}
	return n;
}

/* The task's wait was ended by this case. */
static void take_case(struct baton_task *t, struct baton_case *c, const struct btn_waiter *at)
{
	c->result = t->woken;
	if (c->kind == BATON_CASE_RECV && !c->result)
		c->item = at->item;
	else if (c->kind == BATON_CASE_REQUEST)
		c->result = c->request->result;
}

/* The task has ended, and whoever ended it may still be in its last hold of the lock. */
static void free_task(struct baton_task *ended)
{
	btn_gate_lock(ended->s);
	btn_gate_release(ended->s);
	btn_tsan_acquire(ended);
	btn_mem_free(ended);
}

/* True: only the ends of tasks and requests end the wait. */
static bool is_for_tasks(const struct baton_case *c, unsigned n)
{
	bool any = false;
	unsigned i;

	for (i = 0; i < n; i++) {
		if (c[i].kind != BATON_CASE_NONE && c[i].kind != BATON_CASE_TASK && c[i].kind != BATON_CASE_REQUEST)
			return false;
		any |= c[i].kind != BATON_CASE_NONE;
	}
	return any;
}

/* ---------------------------------------------------------- streams among the cases */

/* The call has the streams for itself until it ends. Events of writing are asked for. 0 or -errno. */
static int enter_streams(struct baton_case *c, unsigned n, struct pollfd *p, unsigned *streams)
{
	unsigned i;
	int err = 0;

	*streams = 0;
	for (i = 0; i < n && !err; i++) {
		p[i] = (struct pollfd){ .fd = -1 };
		if (!is_stream(&c[i]))
			continue;
		btn_stream_enter(c[i].stream);
		++*streams;
		p[i].fd = c[i].stream->fd;
		p[i].events = c[i].kind == BATON_CASE_READABLE ? POLLIN : POLLOUT;
		if (c[i].kind == BATON_CASE_WRITABLE)
			err = btn_stream_watch_out(c[i].stream);
		/* A stream that is being closed is a case that happens. */
		if (err == -ESHUTDOWN)
			err = 0;
	}
	return err;
}

/* The first of them were entered. */
static void leave_streams(struct baton_case *c, unsigned streams)
{
	for (; streams; c++)
		if (is_stream(c)) {
			btn_stream_leave(c->stream);
			streams--;
		}
}

/*
 * With the lock. 0: the task may wait for all streams; -EAGAIN: an event came since they were
 * looked at; -EBUSY: another task waits.
 */
static int look_for_events(struct baton_case *c, unsigned n, const unsigned *seen)
{
	const struct btn_half *half;
	unsigned i;

	for (i = 0; i < n; i++) {
		if (!is_stream(&c[i]))
			continue;
		half = half_of(&c[i]);
		if (btn_half_events(half) != seen[i])
			return -EAGAIN;
		if (half->waiters.first)
			return -EBUSY;
	}
	return 0;
}

/* Without the lock. What is ready, after how many events. */
static void poll_streams(struct baton_case *c, unsigned n, struct pollfd *p, unsigned *seen)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (is_stream(&c[i]))
			seen[i] = btn_half_events(half_of(&c[i]));
	poll(p, n, 0);
}

/* ---------------------------------------------------------- the call */

/* The case that has happened, or why the call gives up; or -EAGAIN: a stream has an event. */
static int look_and_wait(struct baton_task *t, struct baton_case *c, unsigned n, const struct pollfd *p,
			 const unsigned *seen, unsigned first, uint64_t deadline)
{
	struct btn_waiter at[BATON_CASES_MAX];
	struct btn_wakes wakes = { 0 };
	unsigned i;
	int err;

	btn_gate_lock(t->s);
	i = try_all(c, n, p, first);
	err = i < n ? 0 : look_for_events(c, n, seen);
	if (i == n && !err) {
		for (i = 0; i < n; i++) {
			at[i].in = list_of(&c[i]);
			at[i].item = c[i].item;
		}
		err = btn_wait_begin(t, at, n, deadline, true);
		if (!err) {
			if (is_for_tasks(c, n))
				btn_wait_for_tasks(t, true);
			err = btn_gate_wait(t);
			BTN_POINT("any:woken");
			if (!t->by)
				return err;
			i = t->by - at;
			if (is_stream(&c[i]) && !t->woken)
				return -EAGAIN;
			take_case(t, &c[i], &at[i]);
			if (c[i].kind == BATON_CASE_TASK)
				free_task(c[i].task);
			return i;
		}
	}
	btn_gate_unlock(t->s, &wakes);
	if (!err && c[i].kind == BATON_CASE_TASK) {
		btn_tsan_acquire(c[i].task);
		btn_mem_free(c[i].task);
	}
	return err ? err : (int)i;
}

/* Objects that give, or may be given to, as ThreadSanitizer is to know it. A task is acquired where it is freed. */
static void release_cases(const struct baton_case *c, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (c[i].kind == BATON_CASE_SEND)
			btn_tsan_release(c[i].chan);
		else if (c[i].kind == BATON_CASE_RECV)
			btn_tsan_release(&c[i].chan->senders);
	}
}

static void acquire_case(const struct baton_case *c)
{
	if (c->kind == BATON_CASE_RECV)
		btn_tsan_acquire(c->chan);
	else if (c->kind == BATON_CASE_SEND)
		btn_tsan_acquire(&c->chan->senders);
	else if (c->kind == BATON_CASE_SEM || c->kind == BATON_CASE_REQUEST)
		btn_tsan_acquire(c->kind == BATON_CASE_SEM ? (void *)c->sem : c->request);
}

int baton_wait_any(struct baton_case *c, unsigned n, uint64_t deadline, unsigned flags)
{
	struct baton_task *t = btn_self_task();
	struct pollfd p[BATON_CASES_MAX];
	unsigned seen[BATON_CASES_MAX], i, streams, first = 0;
	bool late = false;
	int err = check_cases(t, c, n, flags);

	if (err)
		return err;
	for (i = 0; i < n; i++)
		if (c[i].kind == BATON_CASE_REQUEST && c[i].request->first.core.attached)
			btn_gate_settle(t->s);
	release_cases(c, n);
	if (!(flags & BATON_IN_ORDER))
		first = (uint64_t)(t->turn++ * GOLDEN) * n >> 32;
	err = enter_streams(c, n, p, &streams);
	while (!err) {
		if (streams)
			poll_streams(c, n, p, seen);
		BTN_POINT("any:polled");
		err = look_and_wait(t, c, n, p, seen, first, deadline);
		/* An event that came before the deadline is had, also where the poller has not said so. */
		if (err == -EAGAIN || (err == -ETIMEDOUT && streams && !late)) {
			late |= err == -ETIMEDOUT;
			err = 0;
			continue;
		}
		break;
	}
	leave_streams(c, streams);
	if (err >= 0)
		acquire_case(&c[err]);
	return err;
}
