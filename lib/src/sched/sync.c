// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Mutexes and conditions that block a task and not its slot. Those that wait for a mutex lend to
 * its holder (core/lend.c). Everything is under the scheduler's lock, but for a mutex that the
 * caller finds free, or for which no task is to be woken: there lock and unlock are one
 * compare-and-swap each.
 *
 *	word: the holder's task, or 0; WAITED, WAKING
 *
 *	WAITED	tasks are in the list
 *	WAKING	the task m.woken was taken out of the list to lock the mutex, and has not come yet
 *
 * A mutex that is handed to its first waiter with each unlock is taken only as fast as slots change
 * hands: that is a convoy, of which each step takes microseconds. So an unlock leaves the mutex
 * free and wakes the first waiter, and any task that runs may take it before that one comes:
 *
 *	holder			waiter (first)		a task that runs
 *	0 | WAKING, wakes
 *							the task | WAKING
 *							0 | WAKING: nobody is to be woken
 *				comes, finds 0: the waiter, no WAKING
 *
 * How often a waiter is passed by has a bound. A waiter that comes and finds the mutex held again
 * goes to the front of the list, and m.strict says that the next unlock hands the mutex to it. So others
 * pass it by while it waits for its first slot, when it could not have run anyway, and for one
 * hold after that. While it has not come it stands for the holder: others that wait lend to it,
 * so that it comes as soon as the best of them could.
 *
 * WAITED is set, and WAKING set or taken away from a mutex that is held, with the scheduler's lock.
 * So an unlock that sees neither WAITED, or WAKING, has no task to wake; and with that lock the word
 * of a mutex that is held does not change. A waiter that gives up leaves WAITED set: the holder
 * then finds no waiter. A woken one that gives up takes WAKING away, and so leaves it to the
 * holder to wake the next:
 *
 * Broken: the woken task gives up and WAKING stays. No unlock wakes the next one any more.
 *
 * [SYNC-1] What was done under the mutex is released by the unlock's compare-and-swap, or store, and
 * acquired by the lock's. A holder that was handed the mutex got it through the scheduler's
 * lock and its parker. selftests/model/mutex.pml is a model of this.
 */
#include <baton/sync.h>

#include <errno.h>
#include <stdlib.h>

#include "../core/core.h"
#include "../hooks.h"
#include "../inject.h"
#include "../tsan.h"
#include "gate.h"
#include "self.h"
#include "wait.h"

#define WAITED ((uintptr_t)1)
#define WAKING ((uintptr_t)2)

/* Looks at a mutex that is held, before the caller gives up its slot: one or two us, as a holder that runs is quick. */
#define SPINS 64

struct baton_mutex {
	_Atomic uintptr_t word;
	struct baton_sched *s;
	/* With the scheduler's lock. */
	struct btn_waiters waiters;
	struct baton_task *woken;	/* valid with WAKING */
	bool strict;			/* the next unlock hands the mutex over: its first waiter was passed by */
	struct btn_resource core;	/* the holder, or the woken task, as far as tasks of s wait for it */
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
	m = *out = btn_mem_zeroed(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->s = s;
	return 0;
}

void baton_mutex_destroy(struct baton_mutex *m)
{
	btn_mem_free(m);
}

static struct baton_task *holder_of(uintptr_t word)
{
	return (struct baton_task *)(word & ~(WAITED | WAKING));
}

/* Locks m for t if it is free. *word: what the word was. without: WAKING where t is the woken task; or 0. */
static bool take_free(struct baton_mutex *m, struct baton_task *t, uintptr_t without, uintptr_t *word)
{
	*word = atomic_load_explicit(&m->word, memory_order_relaxed); /* [SYNC-1] */
	while (!holder_of(*word)) {
		BTN_POINT("sync:mutex:trylock");
		if (atomic_compare_exchange_weak_explicit(&m->word, word, (*word & ~without) | (uintptr_t)t,
							  memory_order_acquire, /* [SYNC-1] */
							  memory_order_relaxed)) { /* [SYNC-1] */
			t->locks_held++;
			return true;
		}
	}
	return false;
}

static int try_lock(struct baton_mutex *m)
{
	struct baton_task *t = btn_self_task_of(m->s);
	uintptr_t word;

	if (!t)
		return -EPERM;
	if (take_free(m, t, 0, &word))
		return 0;
	return holder_of(word) == t ? -EDEADLK : -EBUSY;
}

/* The result of a call that locks m. */
static int end_lock(struct baton_mutex *m, int err)
{
	if (!err)
		btn_tsan_acquire(m);
	return err;
}

int baton_mutex_trylock(struct baton_mutex *m)
{
	return end_lock(m, try_lock(m));
}

/* Locks m for t likewise, and looks again for a moment where the holder may run in another slot. */
static bool take_soon(struct baton_mutex *m, struct baton_task *t, uintptr_t without)
{
	int i, n = m->s->core.slots > 1 ? SPINS : 0;
	uintptr_t word;

	for (i = 0; i < n; i++) {
		if (take_free(m, t, without, &word))
			return true;
		btn_cpu_relax();
	}
	return take_free(m, t, without, &word);
}

/*
 * With the scheduler's lock: m is t's, or the word says that t waits. The task to whom t is to
 * lend is returned; NULL: t has the mutex.
 */
static struct baton_task *take_or_wait(struct baton_mutex *m, struct baton_task *t, uintptr_t without)
{
	uintptr_t word = atomic_load_explicit(&m->word, memory_order_relaxed), to; /* [SYNC-1] */

	for (;;) {
		BTN_POINT("sync:mutex:lock");
		to = (word & ~without) | (holder_of(word) ? WAITED : (uintptr_t)t);
		if (atomic_compare_exchange_weak_explicit(&m->word, &word, to,
							  memory_order_acquire, /* [SYNC-1] */
							  memory_order_relaxed)) /* [SYNC-1] */
			break;
	}
	if (!holder_of(word)) {
		t->locks_held++;
		return NULL;
	}
	return to & WAKING ? m->woken : holder_of(word);
}

static int lock_mutex(struct baton_mutex *m, uint64_t deadline, bool alert)
{
	struct baton_task *t = btn_self_task(), *holder;
	struct btn_waiter me = { 0 };
	int err = try_lock(m);
	uintptr_t woken = 0;

	if (err != -EBUSY)
		return err;
	while (!take_soon(m, t, woken)) {
		btn_gate_lock(m->s);
		holder = take_or_wait(m, t, woken);
		if (!holder) {
			btn_gate_release(m->s);
			return 0;
		}
		/* Tasks that lent to the woken one, because it was to be the holder, lend to the one that is. */
		if (woken)
			btn_core_hold(&m->s->core, m->s->now, &m->core, &holder->core);
		me.in = &m->waiters;
		err = btn_wait_begin(t, &me, 1, deadline, alert);
		if (err) {
			btn_gate_release(m->s);
			return err;
		}
		btn_core_wait(&m->s->core, m->s->now, &t->core, &m->core, &holder->core);
		if (woken) {
			m->strict = true;
			btn_wait_first(&me);
		}
		btn_wait_for_tasks(t, false);
		err = btn_gate_wait(t);
		if (err || holder_of(atomic_load_explicit(&m->word, memory_order_relaxed)) == t) /* [SYNC-1] */
			return err;
		woken = WAKING;
	}
	return 0;
}

int baton_mutex_lock(struct baton_mutex *m)
{
	return end_lock(m, lock_mutex(m, BATON_FOREVER, false));
}

int baton_mutex_lock_until(struct baton_mutex *m, uint64_t deadline)
{
	return end_lock(m, lock_mutex(m, deadline, true));
}

/* With the scheduler's lock: t, which holds m, does so no longer. */
static void unlock_locked(struct baton_mutex *m, struct baton_task *t)
{
	uintptr_t word = atomic_load_explicit(&m->word, memory_order_relaxed); /* [SYNC-1] */
	struct btn_waiter *first = word & WAITED && !(word & WAKING) ? m->waiters.first : NULL;
	struct baton_task *next;

	BTN_POINT("sync:mutex:hand_on");
	t->locks_held--;
	if (!first) {
		/* WAITED without WAKING: those that waited gave up. */
		atomic_store_explicit(&m->word, word & WAKING ? word & (WAITED | WAKING) : 0, memory_order_release); /* [SYNC-1] */
		return;
	}
	next = first->task;
	if (m->strict)
		next->locks_held++;
	m->woken = next;
	atomic_store_explicit(&m->word, (m->strict ? (uintptr_t)next : WAKING) | (first->next ? WAITED : 0),
			      memory_order_release); /* [SYNC-1] */
	m->strict = false;
	btn_core_wait_end(&m->s->core, m->s->now, &next->core);
	btn_core_hold(&m->s->core, m->s->now, &m->core, &next->core);
	btn_wait_end_at(first, 0);
}

int baton_mutex_unlock(struct baton_mutex *m)
{
	struct baton_task *t = btn_self_task();
	uintptr_t word = atomic_load_explicit(&m->word, memory_order_relaxed); /* [SYNC-1] */
	struct btn_wakes wakes = { 0 };

	BTN_POINT("sync:mutex:unlock");
	if (!t || holder_of(word) != t)
		return -EPERM;
	btn_tsan_release(m);
	while ((word & (WAITED | WAKING)) != WAITED)
		if (atomic_compare_exchange_weak_explicit(&m->word, &word, word & (WAITED | WAKING),
							  memory_order_release, /* [SYNC-1] */
							  memory_order_relaxed)) { /* [SYNC-1] */
			t->locks_held--;
			return 0;
		}
	btn_gate_lock(m->s);
	unlock_locked(m, t);
	btn_gate_unlock(m->s, &wakes);
	return 0;
}

int baton_cond_create(struct baton_cond **out, struct baton_sched *s)
{
	struct baton_cond *c = *out = NULL;

	if (!btn_self_is_here(s->process))
		return -EPERM;
	c = *out = btn_mem_zeroed(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->s = s;
	return 0;
}

void baton_cond_destroy(struct baton_cond *c)
{
	btn_mem_free(c);
}

static int wait_for_signal(struct baton_cond *c, struct baton_mutex *m, uint64_t deadline, bool alert)
{
	struct baton_task *t = btn_self_task();
	struct btn_waiter me = { .in = &c->waiters };
	int err, why;

	/* The holder is of the mutex's scheduler, and must be of the condition's. */
	if (!t || t->s != c->s || holder_of(atomic_load_explicit(&m->word, memory_order_relaxed)) != t) /* [SYNC-1] */
		return -EPERM;
	btn_gate_lock(c->s);
	why = btn_wait_begin(t, &me, 1, deadline, alert);
	if (why) {
		btn_gate_release(c->s);
		return why;
	}
	btn_tsan_release(m);
	unlock_locked(m, t);
	why = btn_gate_wait(t);
	if (!why)
		btn_tsan_acquire(c);
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
	btn_tsan_release(c);
	btn_gate_lock(c->s);
	btn_wait_end_first(&c->waiters);
	btn_gate_unlock(c->s, &wakes);
}

void baton_cond_broadcast(struct baton_cond *c)
{
	struct btn_wakes wakes = { 0 };

	if (!btn_self_is_here(c->s->process))
		return;
	btn_tsan_release(c);
	btn_gate_lock(c->s);
	while (btn_wait_end_first(&c->waiters))
		;
	btn_gate_unlock(c->s, &wakes);
}
