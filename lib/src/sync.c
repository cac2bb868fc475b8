// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What blocks a task and not its slot. Everything is under the scheduler's
 * lock, but for a mutex that nobody waits for: its word is its holder, and
 * lock and unlock are one compare-and-swap each.
 *
 *	word: 0, or the holder's task, and WAITED if somebody is in the list
 *
 * WAITED is set with the lock held, so an unlock that still sees its own task
 * alone in the word has nobody to let go on, and one that does not takes the
 * lock. [SYNC-1] what was done under the mutex is released by the unlock's
 * compare-and-swap and acquired by the lock's; a holder that was handed the
 * mutex got it through the scheduler's lock and its parker.
 */
#include <baton/sync.h>

#include <errno.h>
#include <stdlib.h>

#include "inject.h"
#include "sched_int.h"

#define WAITED ((uintptr_t)1)

struct waiters {
	struct baton_task *first, **last;
};

struct baton_mutex {
	_Atomic uintptr_t word;
	struct baton_sched *s;
	struct waiters waiters;
	bool wanted;		/* its holder was told that others wait */
};

struct baton_cond {
	struct baton_sched *s;
	struct waiters waiters;
};

struct baton_sem {
	struct baton_sched *s;
	struct waiters waiters;
	unsigned count;
};

struct baton_chan {
	struct baton_sched *s;
	struct waiters senders, receivers;
	unsigned room, first, n;
	bool closed;
	void *item[];
};

static void waiters_init(struct waiters *w)
{
	w->first = NULL;
	w->last = &w->first;
}

static void enqueue(struct waiters *w, struct baton_task *t)
{
	t->next = NULL;
	*w->last = t;
	w->last = &t->next;
}

static struct baton_task *dequeue(struct waiters *w)
{
	struct baton_task *t = w->first;

	if (t) {
		w->first = t->next;
		if (!w->first)
			w->last = &w->first;
	}
	return t;
}

static bool let_one_go(struct waiters *w)
{
	struct baton_task *t = dequeue(w);

	if (t)
		btn_sched_ready_locked(t);
	return t;
}

static bool strangers(const struct baton_task *a, const struct baton_task *b)
{
	return a->core.req->tenant != b->core.req->tenant;
}

int baton_mutex_create(struct baton_mutex **out, struct baton_sched *s)
{
	struct baton_mutex *m = *out = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->s = s;
	waiters_init(&m->waiters);
	return 0;
}

void baton_mutex_destroy(struct baton_mutex *m)
{
	free(m);
}

int baton_mutex_trylock(struct baton_mutex *m)
{
	struct baton_task *t = btn_sched_self();
	uintptr_t old = 0;

	if (!t)
		return -EPERM;
	BTN_POINT("sync:mutex:trylock");
	if (atomic_compare_exchange_strong_explicit(&m->word, &old, (uintptr_t)t,
						    memory_order_acquire, /* [SYNC-1] */
						    memory_order_relaxed)) /* [SYNC-1] */
		return 0;
	return (old & ~WAITED) == (uintptr_t)t ? -EDEADLK : -EBUSY;
}

int baton_mutex_lock(struct baton_mutex *m)
{
	struct baton_task *t = btn_sched_self(), *holder;
	int err = baton_mutex_trylock(m);
	uintptr_t word;

	if (err != -EBUSY)
		return err;
	btn_sched_lock(m->s);
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
		struct btn_wakes wakes = { 0 };

		btn_sched_unlock(m->s, &wakes);
		return 0;
	}
	holder = (struct baton_task *)(word & ~WAITED);
	if (!m->wanted && strangers(holder, t)) {
		m->wanted = true;
		btn_sched_want_locked(holder, 1);
	}
	enqueue(&m->waiters, t);
	btn_sched_wait(t);
	return 0;
}

/* The caller holds m, and others wait for it: the first of them gets it. */
static void hand_on_locked(struct baton_mutex *m, struct baton_task *t)
{
	struct baton_task *next = dequeue(&m->waiters), *w;

	if (m->wanted) {
		m->wanted = false;
		btn_sched_want_locked(t, -1);
	}
	atomic_store_explicit(&m->word, (uintptr_t)next | (m->waiters.first ? WAITED : 0),
			      memory_order_release); /* [SYNC-1] */
	for (w = m->waiters.first; w && !m->wanted; w = w->next)
		if (strangers(next, w)) {
			m->wanted = true;
			btn_sched_want_locked(next, 1);
		}
	btn_sched_ready_locked(next);
}

int baton_mutex_unlock(struct baton_mutex *m)
{
	struct baton_task *t = btn_sched_self();
	uintptr_t word = (uintptr_t)t;
	struct btn_wakes wakes = { 0 };

	BTN_POINT("sync:mutex:unlock");
	if (t && atomic_compare_exchange_strong_explicit(&m->word, &word, 0,
							 memory_order_release, /* [SYNC-1] */
							 memory_order_relaxed)) /* [SYNC-1] */
		return 0;
	if (!t || (word & ~WAITED) != (uintptr_t)t)
		return -EPERM;
	btn_sched_lock(m->s);
	hand_on_locked(m, t);
	btn_sched_unlock(m->s, &wakes);
	return 0;
}

int baton_cond_create(struct baton_cond **out, struct baton_sched *s)
{
	struct baton_cond *c = *out = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->s = s;
	waiters_init(&c->waiters);
	return 0;
}

void baton_cond_destroy(struct baton_cond *c)
{
	free(c);
}

int baton_cond_wait(struct baton_cond *c, struct baton_mutex *m)
{
	struct baton_task *t = btn_sched_self();
	uintptr_t word = (uintptr_t)t;

	if (!t || (atomic_load_explicit(&m->word, memory_order_relaxed) & ~WAITED) != word) /* [SYNC-1] */
		return -EPERM;
	btn_sched_lock(c->s);
	enqueue(&c->waiters, t);
	if (!atomic_compare_exchange_strong_explicit(&m->word, &word, 0,
						     memory_order_release, /* [SYNC-1] */
						     memory_order_relaxed)) /* [SYNC-1] */
		hand_on_locked(m, t);
	btn_sched_wait(t);
	return baton_mutex_lock(m);
}

void baton_cond_signal(struct baton_cond *c)
{
	struct btn_wakes wakes = { 0 };

	btn_sched_lock(c->s);
	let_one_go(&c->waiters);
	btn_sched_unlock(c->s, &wakes);
}

void baton_cond_broadcast(struct baton_cond *c)
{
	struct btn_wakes wakes = { 0 };

	btn_sched_lock(c->s);
	while (let_one_go(&c->waiters))
		;
	btn_sched_unlock(c->s, &wakes);
}

int baton_sem_create(struct baton_sem **out, struct baton_sched *s, unsigned count)
{
	struct baton_sem *sem = *out = calloc(1, sizeof(*sem));

	if (!sem)
		return -ENOMEM;
	sem->s = s;
	sem->count = count;
	waiters_init(&sem->waiters);
	return 0;
}

void baton_sem_destroy(struct baton_sem *sem)
{
	free(sem);
}

int baton_sem_wait(struct baton_sem *sem)
{
	struct baton_task *t = btn_sched_self();
	struct btn_wakes wakes = { 0 };

	if (!t)
		return -EPERM;
	btn_sched_lock(sem->s);
	if (sem->count) {
		sem->count--;
		btn_sched_unlock(sem->s, &wakes);
	} else {
		enqueue(&sem->waiters, t);
		btn_sched_wait(t);
	}
	return 0;
}

void baton_sem_post(struct baton_sem *sem)
{
	struct btn_wakes wakes = { 0 };

	btn_sched_lock(sem->s);
	if (!let_one_go(&sem->waiters))
		sem->count++;
	btn_sched_unlock(sem->s, &wakes);
}

int baton_chan_create(struct baton_chan **out, struct baton_sched *s, unsigned room)
{
	struct baton_chan *c;

	if (!room)
		room = 1;
	c = *out = calloc(1, sizeof(*c) + room * sizeof(c->item[0]));
	if (!c)
		return -ENOMEM;
	c->s = s;
	c->room = room;
	waiters_init(&c->senders);
	waiters_init(&c->receivers);
	return 0;
}

void baton_chan_destroy(struct baton_chan *c)
{
	free(c);
}

/* Whoever is let go on looks again: another may have been quicker. */
int baton_chan_send(struct baton_chan *c, void *item)
{
	struct baton_task *t = btn_sched_self();
	struct btn_wakes wakes = { 0 };
	int err = 0;

	btn_sched_lock(c->s);
	while (!c->closed && c->n == c->room) {
		if (!t) {
			err = -EPERM;
			break;
		}
		enqueue(&c->senders, t);
		btn_sched_wait(t);
		btn_sched_lock(c->s);
	}
	if (!err && c->closed)
		err = -EPIPE;
	if (!err) {
		c->item[(c->first + c->n++) % c->room] = item;
		let_one_go(&c->receivers);
	}
	btn_sched_unlock(c->s, &wakes);
	return err;
}

int baton_chan_recv(struct baton_chan *c, void **item)
{
	struct baton_task *t = btn_sched_self();
	struct btn_wakes wakes = { 0 };
	int err = 0;

	btn_sched_lock(c->s);
	while (!c->closed && !c->n) {
		if (!t) {
			err = -EPERM;
			break;
		}
		enqueue(&c->receivers, t);
		btn_sched_wait(t);
		btn_sched_lock(c->s);
	}
	if (!err && !c->n)
		err = -EPIPE;
	if (!err) {
		*item = c->item[c->first];
		c->first = (c->first + 1) % c->room;
		c->n--;
		let_one_go(&c->senders);
	}
	btn_sched_unlock(c->s, &wakes);
	return err;
}

void baton_chan_close(struct baton_chan *c)
{
	struct btn_wakes wakes = { 0 };

	btn_sched_lock(c->s);
	c->closed = true;
	while (let_one_go(&c->senders) || let_one_go(&c->receivers))
		;
	btn_sched_unlock(c->s, &wakes);
}
