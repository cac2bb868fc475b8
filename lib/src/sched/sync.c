// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Mutexes and conditions that block a task and not its slot. Those that wait for a mutex lend to
 * its holder (core/lend.c). Everything is under the scheduler's lock, but for a mutex for which
 * no task waits: its word is its holder, and lock and unlock are one compare-and-swap each.
 *
 *	word: 0, or the holder's task, and WAITED if a task is in the list
 *
 * WAITED is set with the lock held. So an unlock that still sees its own task alone in the
 * word has no task to wake, and one that does not takes the lock. A waiter that gives up
 * leaves WAITED set: the holder then finds no waiter.
 * [SYNC-1] What was done under the mutex is released by the unlock's compare-and-swap and
 * acquired by the lock's. A holder that was handed the mutex got it through the scheduler's
 * lock and its parker.
 */
#include <baton/sync.h>

#include <errno.h>
#include <stdlib.h>

#include "../core/core.h"
#include "../inject.h"
#include "gate.h"
#include "self.h"
#include "wait.h"

#define WAITED ((uintptr_t)1)

struct baton_mutex {
	_Atomic uintptr_t word;
	struct baton_sched *s;
	struct btn_waiters waiters;
	struct btn_resource core;	/* the holder, as far as tasks of s wait for it */
};

struct baton_cond {
	struct baton_sched *s;
	struct btn_waiters waiters;
};

int baton_mutex_create(struct baton_mutex **out, struct baton_sched *s)
{
	struct baton_mutex *m = *out = NULL;

	if (!btn_self_is_here(s->process))
		return -EPERM;
	m = *out = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->s = s;
	return 0;
}

void baton_mutex_destroy(struct baton_mutex *m)
{
	free(m);
}

int baton_mutex_trylock(struct baton_mutex *m)
{
	struct baton_task *t = btn_self_task_of(m->s);
	uintptr_t old = 0;

	if (!t)
		return -EPERM;
	BTN_POINT("sync:mutex:trylock");
	if (atomic_compare_exchange_strong_explicit(&m->word, &old, (uintptr_t)t,
						    memory_order_acquire, /* [SYNC-1] */
						    memory_order_relaxed)) { /* [SYNC-1] */
		t->locks_held++;
		return 0;
	}
	return (old & ~WAITED) == (uintptr_t)t ? -EDEADLK : -EBUSY;
}

static int lock_mutex(struct baton_mutex *m, uint64_t deadline, bool alert)
{
	struct baton_task *t = btn_self_task(), *holder;
	struct btn_waiter me = { .in = &m->waiters };
	int err = baton_mutex_trylock(m);
	uintptr_t word;

	if (err != -EBUSY)
		return err;
	btn_gate_lock(m->s);
	word = atomic_load_explicit(&m->word, memory_order_relaxed); /* [SYNC-1] */
	for (;;) {
		BTN_POINT("sync:mutex:lock");
		if (atomic_compare_exchange_weak_explicit(&m->word, &word,
							  word ? word | WAITED : (uintptr_t)t,
							  memory_order_acquire, /* [SYNC-1] */
							  memory_order_relaxed)) /* [SYNC-1] */
			break;
	}
	if (!word) {
		t->locks_held++;
		btn_gate_release(m->s);
		return 0;
	}
	err = btn_wait_begin(t, &me, 1, deadline, alert);
	if (err) {
		btn_gate_release(m->s);
		return err;
	}
	holder = (struct baton_task *)(word & ~WAITED);
	btn_core_wait(&m->s->core, m->s->now, &t->core, &m->core, &holder->core);
	return btn_gate_wait(t);
}

int baton_mutex_lock(struct baton_mutex *m)
{
	return lock_mutex(m, BATON_FOREVER, false);
}

int baton_mutex_lock_until(struct baton_mutex *m, uint64_t deadline)
{
	return lock_mutex(m, deadline, true);
}

/* The caller holds m, and others wait for it, or did: the first of them gets it. */
static void hand_on_locked(struct baton_mutex *m, struct baton_task *t)
{
	struct btn_waiter *first = m->waiters.first;
	struct baton_task *next = first ? first->task : NULL;

	BTN_POINT("sync:mutex:hand_on");
	t->locks_held--;
	atomic_store_explicit(&m->word, (uintptr_t)next | (first && first->next ? WAITED : 0),
			      memory_order_release); /* [SYNC-1] */
	if (!next)
		return;
	next->locks_held++;
	btn_core_wait_end(&m->s->core, m->s->now, &next->core);
	btn_core_hold(&m->s->core, m->s->now, &m->core, &next->core);
	btn_wait_end_at(first, 0);
}

int baton_mutex_unlock(struct baton_mutex *m)
{
	struct baton_task *t = btn_self_task();
	uintptr_t word = (uintptr_t)t;
	struct btn_wakes wakes = { 0 };

	BTN_POINT("sync:mutex:unlock");
	if (t && atomic_compare_exchange_strong_explicit(&m->word, &word, 0,
							 memory_order_release, /* [SYNC-1] */
							 memory_order_relaxed)) { /* [SYNC-1] */
		t->locks_held--;
		return 0;
	}
	if (!t || (word & ~WAITED) != (uintptr_t)t)
		return -EPERM;
	btn_gate_lock(m->s);
	hand_on_locked(m, t);
	btn_gate_unlock(m->s, &wakes);
	return 0;
}

int baton_cond_create(struct baton_cond **out, struct baton_sched *s)
{
	struct baton_cond *c = *out = NULL;

	if (!btn_self_is_here(s->process))
		return -EPERM;
	c = *out = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->s = s;
	return 0;
}

void baton_cond_destroy(struct baton_cond *c)
{
	free(c);
}

static int wait_for_signal(struct baton_cond *c, struct baton_mutex *m, uint64_t deadline, bool alert)
{
	struct baton_task *t = btn_self_task();
	struct btn_waiter me = { .in = &c->waiters };
	uintptr_t word = (uintptr_t)t;
	int err, why;

	/* The holder is of the mutex's scheduler, and must be of the condition's. */
	if (!t || t->s != c->s || (atomic_load_explicit(&m->word, memory_order_relaxed) & ~WAITED) != word) /* [SYNC-1] */
		return -EPERM;
	btn_gate_lock(c->s);
	why = btn_wait_begin(t, &me, 1, deadline, alert);
	if (why) {
		btn_gate_release(c->s);
		return why;
	}
	if (atomic_compare_exchange_strong_explicit(&m->word, &word, 0,
						    memory_order_release, /* [SYNC-1] */
						    memory_order_relaxed)) /* [SYNC-1] */
		t->locks_held--;
	else
		hand_on_locked(m, t);
	why = btn_gate_wait(t);
	/* The caller gets the mutex back whatever happened, and waits for that. */
	err = baton_mutex_lock(m);
	return err ? err : why;
}

int baton_cond_wait(struct baton_cond *c, struct baton_mutex *m)
{
	return wait_for_signal(c, m, BATON_FOREVER, false);
}

int baton_cond_wait_until(struct baton_cond *c, struct baton_mutex *m, uint64_t deadline)
{
	return wait_for_signal(c, m, deadline, true);
}

void baton_cond_signal(struct baton_cond *c)
{
	struct btn_wakes wakes = { 0 };

	if (!btn_self_is_here(c->s->process))
		return;
	btn_gate_lock(c->s);
	btn_wait_end_first(&c->waiters);
	btn_gate_unlock(c->s, &wakes);
}

void baton_cond_broadcast(struct baton_cond *c)
{
	struct btn_wakes wakes = { 0 };

	if (!btn_self_is_here(c->s->process))
		return;
	btn_gate_lock(c->s);
	while (btn_wait_end_first(&c->waiters))
		;
	btn_gate_unlock(c->s, &wakes);
}
