// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waiting is a state that the server knows: KILL, a shutdown and SHOW PROCESSLIST
 * see "Waiting for CPU (baton)". KILL sets the session's mark and broadcasts the
 * condition that its thread says it waits for. That is one for all, and the thread
 * that really waits for it, baton-kill, looks for those that are marked and cancels
 * their requests:
 *
 *	connection			KILL			baton-kill
 *	current_cond = kill_cond				waits, without kill_mutex
 *	state = QUEUED
 *	marked? no			mark
 *	baton_request_enter(&c->req)	broadcast
 *								QUEUED, marked: cancels c->req
 *	-ECANCELED
 *
 * KILL tries to get the mutex of the condition, and where it does not, for baton-kill
 * is looking, it broadcasts again later: none is lost. c->req is written by the
 * library before it waits [CONN-1]; where it is not there yet baton-kill comes
 * again a millisecond later.
 *
 * A statement that runs is killed as ever: it looks for the mark now and then. One
 * that was stopped for want of quota would do so when it has its next turn, for which
 * it may have to wait long, behind older statements of its tenant. So each statement
 * holds a mutex of the library, c->life, from its first turn to its end, and baton-kill,
 * which is told of it in the same way (a thread says "kill_cond" all the time but where it waits
 * for something of the server's), waits for that mutex as a task that goes before all that is
 * sold: the holder runs in its place.
 *
 *	connection			KILL			baton-kill
 *	locks c->life
 *	stopped: has no slot
 *					mark
 *					broadcast
 *								waits for c->life: lends its place
 *	runs, sees the mark, ends
 *	unlocks c->life
 *
 * That lasts for a second at most, for what it does to end (rolling back) is its tenant's to pay.
 *
 * A transaction holds row locks while its user waits for quota, for seconds. So while one
 * who has low-latency CPU, or an administrator, waits for a lock (the server says so,
 * conn_wait_begin()), those who may hold it go on: baton-kill cancels the request of each transaction
 * that is queued, which then enters one of the tier "unlock", before all that is sold and at most a
 * quarter of the machine; to those that run or were stopped it lends its place as above, for a
 * quarter of the time. Which of them holds the lock is not known.
 */
#define _GNU_SOURCE
#include "kill.h"

#include <string.h>
#include <time.h>

#include <baton/base.h>
#include <baton/sync.h>

#include <my_global.h>

#include "conns.h"
#include "debt.h"
#include "safepoint.h"

#define SECOND UINT64_C(1000000000)
/* How long a killed statement goes before others; baton-kill looks after others each RESCUE_STEP. */
#define RESCUE (SECOND)
#define RESCUE_STEP UINT64_C(20000000)
/* Likewise to those that may hold a lock; and how often they are looked for while somebody waits for one. */
#define HOLDER_STEP UINT64_C(5000000)
#define HOLDER_LOOK UINT64_C(5000000)

/* What KILL broadcasts, for all that wait for a turn. */
static mysql_mutex_t kill_mutex = { .m_mutex = PTHREAD_MUTEX_INITIALIZER };
static mysql_cond_t kill_cond = { .m_cond = PTHREAD_COND_INITIALIZER };
static pthread_t kill_thread;
/* Guarded by kill_mutex. */
static bool kill_ends, kill_runs, enforced;

/* [CONN-2]: a count for itself. */
static _Atomic uint64_t n_let_in;

uint64_t kill_let_in(void)
{
	return atomic_load_explicit(&n_let_in, memory_order_relaxed); /* [CONN-2] */
}

void kill_wait_begin(struct st_my_thread_var *v)
{
	v->current_mutex = &kill_mutex;
	v->current_cond = &kill_cond;
}

void kill_wait_end(struct st_my_thread_var *v)
{
	if (v->current_cond != &kill_cond)
		return;
	/* As the server does it: KILL looks at both with that mutex. */
	mysql_mutex_lock(&v->mutex);
	v->current_mutex = NULL;
	v->current_cond = NULL;
	mysql_mutex_unlock(&v->mutex);
}

void kill_wake(void)
{
	pthread_mutex_lock(&kill_mutex.m_mutex);
	pthread_cond_broadcast(&kill_cond.m_cond);
	pthread_mutex_unlock(&kill_mutex.m_mutex);
}

void kill_enforce(bool on)
{
	pthread_mutex_lock(&kill_mutex.m_mutex);
	enforced = on;
	pthread_cond_broadcast(&kill_cond.m_cond);
	pthread_mutex_unlock(&kill_mutex.m_mutex);
}

/* ------------------------------------------------- those that wait for a turn */

struct cancels {
	bool only_killed;
	bool done;			/* each had its request */
};

/* Cancels the request of one that waits for a turn. */
static bool cancel_one(struct conn *c, void *arg)
{
	struct cancels *all = arg;
	struct baton_request *r;

	if (c->state == CONN_QUEUED && (!all->only_killed || thd_kill_level(c->thd) != THD_IS_NOT_KILLED)) {
		r = __atomic_load_n(&c->req, __ATOMIC_ACQUIRE);
		if (r)
			baton_request_cancel(r);
		else
			all->done = false;
	}
	return true;
}

/* ------------------------------------------------------- those that have one */

#define RESCUES 64

/* Those that are to be lent a place. */
struct rescues {
	struct life *life[RESCUES];
	char tenant[RESCUES][QUOTA_NAME];
	unsigned n;
	uint64_t now;
	bool held_up;
};

static void add_rescue(struct rescues *r, struct conn *c)
{
	memcpy(r->tenant[r->n], c->user.name, QUOTA_NAME);
	r->life[r->n++] = conns_get_life(c);
}

/* A statement that was killed, not too long ago, and may have been stopped. */
static bool add_killed(struct conn *c, void *arg)
{
	struct rescues *r = arg;

	if ((c->state == CONN_RUNS || c->state == CONN_LOCK_WAIT || c->state == CONN_SLEEPS) && c->life &&
	    thd_kill_level(c->thd) != THD_IS_NOT_KILLED) {
		if (!c->rescued)
			c->rescued = r->now;
		if (r->now - c->rescued < RESCUE)
			add_rescue(r, c);
	}
	return r->n < RESCUES;
}

static bool is_held_up(struct conn *c, void *arg)
{
	struct rescues *r = arg;

	r->held_up = c->state == CONN_LOCK_WAIT && c->pays;
	return !r->held_up;
}

/* A transaction that may hold a lock: one that is queued is let in, others are to be lent a place. */
static bool add_holder(struct conn *c, void *arg)
{
	struct rescues *r = arg;

	if (c->state == CONN_QUEUED && c->in_transaction && c->cls != BATON_INTERNAL && !c->let_in) {
		struct baton_request *req = __atomic_load_n(&c->req, __ATOMIC_ACQUIRE);

		c->let_in = req;
		if (req)
			baton_request_cancel(req);
		atomic_fetch_add_explicit(&n_let_in, 1, memory_order_relaxed); /* [CONN-2] */
	}
	if (c->state == CONN_RUNS && (c->in_transaction || c->writes) && c->life)
		add_rescue(r, c);
	return r->n < RESCUES;
}

/* CPU that was used in this tenant's place, its own included. */
static uint64_t used_by(struct baton_tenant *t)
{
	struct baton_tenant_stats st;

	baton_tenant_stats(t, &st, sizeof(st));
	return st.cpu[QUOTA_TIER_UNLOCK];
}

/*
 * Lends each of them its place, for so long or until the statement has ended. What is used in the place is charged to
 * nobody who has bought anything, and so it is a debt of the statement's tenant. Returns 0 or -errno.
 */
static int lend_place(const struct rescues *r, uint64_t step)
{
	struct baton_tenant *self;
	uint64_t before;
	unsigned i;
	int err = quota_helper_begin(&self);

	for (i = 0; i < r->n; i++) {
		before = err ? 0 : used_by(self);
		if (!err && !baton_mutex_lock_until(r->life[i]->mutex, baton_clock_now() + step))
			baton_mutex_unlock(r->life[i]->mutex);
		if (!err)
			debt_add(r->tenant[i], used_by(self) - before);
		conns_put_life(r->life[i]);
	}
	if (!err)
		quota_helper_end(self);
	return err;
}

/* With kill_mutex, which is let go meanwhile. */
static int lend_unlocked(const struct rescues *r, uint64_t step)
{
	int err;

	pthread_mutex_unlock(&kill_mutex.m_mutex);
	err = lend_place(r, step);
	pthread_mutex_lock(&kill_mutex.m_mutex);
	return err;
}

static void *kill_main(void *arg)
{
	uint64_t took, not_before = 0;
	struct timespec at;
	struct rescues r;

	pthread_setname_np(pthread_self(), "baton-kill");
	pthread_mutex_lock(&kill_mutex.m_mutex);
	while (!kill_ends) {
		struct cancels all = { enforced, true };

		r = (struct rescues){ .now = baton_clock_now() };
		conns_walk(cancel_one, &all);
		if (enforced)
			conns_walk(add_killed, &r);
		if (r.n && !lend_unlocked(&r, RESCUE_STEP))
			continue;
		r = (struct rescues){ .now = baton_clock_now() };
		if (enforced && r.now < not_before)
			r.held_up = true;
		else if (enforced)
			conns_walk(is_held_up, &r);
		if (r.held_up && r.now >= not_before)
			conns_walk(add_holder, &r);
		if (r.n) {
			lend_unlocked(&r, HOLDER_STEP);
			took = baton_clock_now() - r.now;
			not_before = r.now + took + (3 * took > HOLDER_LOOK ? 3 * took : HOLDER_LOOK);
			continue;
		}
		if (all.done && !r.held_up) {
			pthread_cond_wait(&kill_cond.m_cond, &kill_mutex.m_mutex);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += all.done ? HOLDER_LOOK : 1000000;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&kill_cond.m_cond, &kill_mutex.m_mutex, &at);
	}
	pthread_mutex_unlock(&kill_mutex.m_mutex);
	return NULL;
}

int kill_start(void)
{
	int err = 0;

	safepoint_kill(&kill_mutex, &kill_cond);
	pthread_mutex_lock(&kill_mutex.m_mutex);
	kill_ends = false;
	if (!kill_runs)
		err = -pthread_create(&kill_thread, NULL, kill_main, NULL);
	kill_runs = !err;
	pthread_mutex_unlock(&kill_mutex.m_mutex);
	return err;
}

void kill_stop(void)
{
	pthread_mutex_lock(&kill_mutex.m_mutex);
	kill_ends = true;
	pthread_cond_broadcast(&kill_cond.m_cond);
	pthread_mutex_unlock(&kill_mutex.m_mutex);
	if (kill_runs)
		pthread_join(kill_thread, NULL);
	kill_runs = false;
}
