// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Locks that many readers hold at once, or one writer. All of it is under the scheduler's lock.
 *
 * Tasks are let in in the order in which they came, whether they read or write, so a stream of readers does not
 * keep a writer out, nor writers a reader. Whenever the scheduler's lock is given up, the first task of the list
 * cannot be let in; so a task that comes, and finds a list, waits. The end of a hold keeps this by letting in as many
 * tasks as can be. So does a waiter that gives up, in the list's `left`: readers may have waited behind a writer.
 *
 *	R1 (holds)		W			R2			the monitor
 *				waits for R1
 *							waits behind W
 *										W's deadline: W leaves
 *										R2 is let in
 *
 * Broken: W leaves, and R2 is looked at with the next unlock. R1 may be a task that waits for R2, or that waits
 * seconds for quota. selftests/model/rwlock.pml is a model of this.
 *
 * Lending. Those that wait lend to a holder (core/lend.c): to the writer, or to the first reader of `reader`; and when that one
 * is gone, to the next. A lender has one place in the order, so it lends to one holder at a time, and never more than
 * it could run itself; the readers it waits for go on one after the other in its place, and each in its own place
 * besides. That is why holders are known by name, and why there is a most of READERS: the reader after them waits as
 * if a writer had the lock. It is also how a task that holds the lock already is found, and told so.
 */
#include <baton/sync.h>

#include <errno.h>

#include "../core/core.h"
#include "../hooks.h"
#include "../inject.h"
#include "../tsan.h"
#include "gate.h"
#include "self.h"
#include "wait.h"

#define READERS	BATON_RWLOCK_READERS

struct baton_rwlock {
	struct baton_sched *s;
	/* With the scheduler's lock. A writer's place in the list has an item. */
	struct btn_waiters waiters;
	struct btn_resource core;	/* the holder that tasks of s lend to */
	struct baton_task *writer;
	unsigned n;			/* readers; 0 while there is a writer */
	struct baton_task *reader[READERS];
};

static bool can_enter(const struct baton_rwlock *l, bool writes)
{
	return !l->writer && (writes ? !l->n : l->n < READERS);
}

static void enter_lock(struct baton_rwlock *l, struct baton_task *t, bool writes)
{
	if (writes)
		l->writer = t;
	else
		l->reader[l->n++] = t;
	t->locks_held++;
}

/* The place of t among the readers; l->n: none. */
static unsigned reader_of(const struct baton_rwlock *l, const struct baton_task *t)
{
	unsigned i;

	for (i = 0; i < l->n && l->reader[i] != t; i++)
		;
	return i;
}

static struct baton_task *lending_holder(const struct baton_rwlock *l)
{
	return l->writer ? l->writer : l->n ? l->reader[0] : NULL;
}

/* With the lock: a hold or a wait has ended. */
static void let_in(struct baton_rwlock *l)
{
	struct btn_core *core = &l->s->core;
	struct btn_waiter *first;

	while ((first = l->waiters.first) && can_enter(l, first->item)) {
		BTN_POINT("sync:rwlock:let_in");
		enter_lock(l, first->task, first->item);
		btn_core_wait_end(core, l->s->now, &first->task->core);
		btn_wait_end_at(first, 0);
	}
	if (first)
		btn_core_hold(core, l->s->now, &l->core, &lending_holder(l)->core);
}

static void waiter_left(struct btn_waiters *in)
{
	let_in(btn_container(in, struct baton_rwlock, waiters));
}

int baton_rwlock_create(struct baton_rwlock **out, struct baton_sched *s)
{
	struct baton_rwlock *l = *out = NULL;

	if (!btn_self_is_here(s->process))
		return -EPERM;
	l = *out = btn_mem_zeroed(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->s = s;
	l->waiters.left = waiter_left;
	return 0;
}

void baton_rwlock_destroy(struct baton_rwlock *l)
{
	btn_mem_free(l);
}

/* With the lock. 0: the lock is t's; -EBUSY: t would have to wait; -EDEADLK. */
static int try_enter(struct baton_rwlock *l, struct baton_task *t, bool writes)
{
	if (l->writer == t || reader_of(l, t) < l->n)
		return -EDEADLK;
	if (l->waiters.first || !can_enter(l, writes))
		return -EBUSY;
	enter_lock(l, t, writes);
	return 0;
}

/* The result of a call that locks l. Readers release the count: what one reader did is no matter of another's. */
static int end_lock(struct baton_rwlock *l, bool writes, int err)
{
	if (!err)
		btn_tsan_acquire(l);
	if (!err && writes)
		btn_tsan_acquire(&l->n);
	return err;
}

static int lock_at_once(struct baton_rwlock *l, bool writes)
{
	struct baton_task *t = btn_self_task_of(l->s);
	int err;

	if (!t)
		return -EPERM;
	btn_gate_lock(l->s);
	err = try_enter(l, t, writes);
	btn_gate_release(l->s);
	return end_lock(l, writes, err);
}

static int lock_or_wait(struct baton_rwlock *l, bool writes, uint64_t deadline, bool alert)
{
	struct btn_waiter me = { .in = &l->waiters, .item = writes ? l : NULL };
	struct baton_task *t = btn_self_task_of(l->s);
	int err;

	if (!t)
		return -EPERM;
	btn_gate_lock(l->s);
	err = try_enter(l, t, writes);
	if (err == -EBUSY) {
		err = btn_wait_begin(t, &me, 1, deadline, alert);
		if (!err) {
			btn_core_wait(&l->s->core, l->s->now, &t->core, &l->core, &lending_holder(l)->core);
			btn_wait_for_tasks(t, false);
			return end_lock(l, writes, btn_gate_wait(t));
		}
	}
	btn_gate_release(l->s);
	return end_lock(l, writes, err);
}

int baton_rwlock_rdlock(struct baton_rwlock *l)
{
	return lock_or_wait(l, false, BATON_FOREVER, false);
}

int baton_rwlock_rdlock_until(struct baton_rwlock *l, uint64_t deadline)
{
	return lock_or_wait(l, false, deadline, true);
}

int baton_rwlock_tryrdlock(struct baton_rwlock *l)
{
	return lock_at_once(l, false);
}

int baton_rwlock_wrlock(struct baton_rwlock *l)
{
	return lock_or_wait(l, true, BATON_FOREVER, false);
}

int baton_rwlock_wrlock_until(struct baton_rwlock *l, uint64_t deadline)
{
	return lock_or_wait(l, true, deadline, true);
}

int baton_rwlock_trywrlock(struct baton_rwlock *l)
{
	return lock_at_once(l, true);
}

int baton_rwlock_unlock(struct baton_rwlock *l)
{
	struct baton_task *t = btn_self_task_of(l->s);
	struct btn_wakes wakes = { 0 };
	unsigned i;

	if (!t)
		return -EPERM;
	btn_gate_lock(l->s);
	i = reader_of(l, t);
	if (l->writer != t && i == l->n) {
		btn_gate_release(l->s);
		return -EPERM;
	}
	btn_tsan_release(l->writer == t ? (void *)l : &l->n);
	if (l->writer == t)
		l->writer = NULL;
	else
		l->reader[i] = l->reader[--l->n];
	t->locks_held--;
	let_in(l);
	btn_gate_unlock(l->s, &wakes);
	return 0;
}
