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
 * Turns. The search for a case that can happen begins at a place that moves with each of the
 * task's calls: the i-th begins at case floor(n * frac(i * 0.618...)). Multiples of the golden
 * section are spread so that each of n equal parts of [0, 1) has one of any 2 n that follow each
 * other (for n up to 64; selftests/sched/any tries some), and so are those of every second call.
 * Where the task calls this in two places in turn, a place that moved by one with each call would
 * be even in one of them and odd in the other, and of two cases the same would always be first.
 */
#include <baton/wait.h>

#include <errno.h>
#include <stdlib.h>

#include "../inject.h"
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
	default:
		return NULL;
	}
}

/* With the lock. The case that has happened; n: none can. */
static unsigned try_all(struct baton_task *t, struct baton_case *c, unsigned n, unsigned flags)
{
	unsigned first = 0, i, k;

	if (!(flags & BATON_IN_ORDER))
		first = (uint64_t)(t->turn++ * GOLDEN) * n >> 32;
	for (i = 0; i < n; i++) {
		k = first + i < n ? first + i : first + i - n;
		if (try_case(&c[k]))
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
	free(ended);
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

int baton_wait_any(struct baton_case *c, unsigned n, uint64_t deadline, unsigned flags)
{
	struct btn_waiter at[BATON_CASES_MAX];
	struct baton_task *t = btn_self_task();
	struct btn_wakes wakes = { 0 };
	int err = check_cases(t, c, n, flags);
	unsigned i;

	if (err)
		return err;
	for (i = 0; i < n; i++)
		if (c[i].kind == BATON_CASE_REQUEST && c[i].request->first.core.attached)
			btn_gate_settle(t->s);
	btn_gate_lock(t->s);
	i = try_all(t, c, n, flags);
	if (i == n) {
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
			take_case(t, &c[i], &at[i]);
			if (c[i].kind == BATON_CASE_TASK)
				free_task(c[i].task);
			return i;
		}
	}
	btn_gate_unlock(t->s, &wakes);
	if (!err && c[i].kind == BATON_CASE_TASK)
		free(c[i].task);
	return err ? err : (int)i;
}
