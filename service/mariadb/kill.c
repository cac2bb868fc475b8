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
 *
 * A quarter is what others can lose by that. CPU that nobody else wants costs nobody anything: so meanwhile a
 * second thread, baton-spare, lends a place behind all that is sold, as much as there is. That thread waits there itself, and
 * KILL is not to wait with it.
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
/* The same for statements that may hold a lock; and how often they are looked for while somebody waits for one. */
#define HOLDER_STEP UINT64_C(5000000)
#define HOLDER_LOOK UINT64_C(5000000)
#define SPARE_LOOK UINT64_C(1000000)

/* The condition that KILL broadcasts, for all that wait for a turn. */
static mysql_mutex_t kill_mutex = { .m_mutex = PTHREAD_MUTEX_INITIALIZER };
static mysql_cond_t kill_cond = { .m_cond = PTHREAD_COND_INITIALIZER };
static pthread_t kill_thread, spare_thread;
/* Guarded by kill_mutex. */
static bool kill_ends, kill_runs, spare_runs, enforced;

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

/* Statements that are to be lent a place. */
struct rescues {
	struct life *life[RESCUES];
	char tenant[RESCUES][QUOTA_NAME];	/* empty: what is used in the place is counted by the statement itself */
	unsigned n;
	uint64_t now;
	bool held_up;
};

static void add_rescue(struct rescues *r, struct conn *c)
{
	/* A request counts all of its CPU, whoever's place that was used in. */
	*r->tenant[r->n] = 0;
	if (!c->owes)
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

/* A transaction that may hold a lock, and has begun its statement. */
static bool add_stopped(struct conn *c, void *arg)
{
	struct rescues *r = arg;

	if (c->state == CONN_RUNS && (c->in_transaction || c->writes) && c->life)
		add_rescue(r, c);
	return r->n < RESCUES;
}

/* A transaction that may hold a lock: one that is queued is let in, others are to be lent a place. */
static bool add_holder(struct conn *c, void *arg)
{
	if (c->state == CONN_QUEUED && c->in_transaction && c->cls != BATON_INTERNAL && !c->let_in) {
		struct baton_request *req = __atomic_load_n(&c->req, __ATOMIC_ACQUIRE);

		c->let_in = req;
		if (req)
			baton_request_cancel(req);
		atomic_fetch_add_explicit(&n_let_in, 1, memory_order_relaxed); /* [CONN-2] */
	}
	return add_stopped(c, arg);
}

/* CPU that was used in this tenant's place, its own included. */
static uint64_t used_by(struct baton_tenant *t, unsigned tier)
{
	struct baton_tenant_stats st;

	baton_tenant_stats(t, &st, sizeof(st));
	return st.cpu[tier];
}

/*
 * Lends each of them its place, for so long or until the statement has ended. What is used in the place is charged to
 * nobody who has bought anything, and so it is a debt of the statement's tenant. Returns 0 or -errno.
 */
static int lend_place(const struct rescues *r, unsigned tier, uint64_t step)
{
	struct baton_tenant *self;
	uint64_t before;
	unsigned i;
	int err = quota_helper_begin(&self, tier);

	for (i = 0; i < r->n; i++) {
		before = err ? 0 : used_by(self, tier);
		if (!err && !baton_mutex_lock_until(r->life[i]->mutex, baton_clock_now() + step))
			baton_mutex_unlock(r->life[i]->mutex);
		if (!err && *r->tenant[i])
			debt_add(r->tenant[i], used_by(self, tier) - before);
		conns_put_life(r->life[i]);
	}
	if (!err)
		quota_helper_end(self);
	return err;
}

/* With kill_mutex, which is let go meanwhile. */
static int lend_unlocked(const struct rescues *r, unsigned tier, uint64_t step)
{
	int err;

	pthread_mutex_unlock(&kill_mutex.m_mutex);
	err = lend_place(r, tier, step);
	pthread_mutex_lock(&kill_mutex.m_mutex);
	return err;
}

/* With kill_mutex: until something is said, or so long. */
static void wait_for(uint64_t ns)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += ns;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&kill_cond.m_cond, &kill_mutex.m_mutex, &at);
}

static void *spare_main(void *arg)
{
	struct rescues r;

	pthread_setname_np(pthread_self(), "baton-spare");
	pthread_mutex_lock(&kill_mutex.m_mutex);
	while (!kill_ends) {
		r = (struct rescues){ .now = baton_clock_now() };
		if (enforced)
			conns_walk(is_held_up, &r);
		if (r.held_up)
			conns_walk(add_stopped, &r);
		if (r.n && !lend_unlocked(&r, QUOTA_TIER_SPARE, HOLDER_STEP)) {
			/* Statements that end meanwhile take no time, nor do those that hold a mutex of a scheduler that has ended. */
			if (baton_clock_now() - r.now < SPARE_LOOK)
				wait_for(SPARE_LOOK);
			continue;
		}
		if (r.held_up)
			wait_for(HOLDER_LOOK);
		else
			pthread_cond_wait(&kill_cond.m_cond, &kill_mutex.m_mutex);
	}
	pthread_mutex_unlock(&kill_mutex.m_mutex);
	return NULL;
}

static void *kill_main(void *arg)
{
	uint64_t took, not_before = 0;
	struct rescues r;

	pthread_setname_np(pthread_self(), "baton-kill");
	pthread_mutex_lock(&kill_mutex.m_mutex);
	while (!kill_ends) {
		struct cancels all = { enforced, true };

		r = (struct rescues){ .now = baton_clock_now() };
		conns_walk(cancel_one, &all);
		if (enforced)
			conns_walk(add_killed, &r);
		if (r.n && !lend_unlocked(&r, QUOTA_TIER_UNLOCK, RESCUE_STEP))
			continue;
		r = (struct rescues){ .now = baton_clock_now() };
		if (enforced && r.now < not_before)
			r.held_up = true;
		else if (enforced)
			conns_walk(is_held_up, &r);
		if (r.held_up && r.now >= not_before)
			conns_walk(add_holder, &r);
		if (r.n) {
			lend_unlocked(&r, QUOTA_TIER_UNLOCK, HOLDER_STEP);
			took = baton_clock_now() - r.now;
			not_before = r.now + took + (3 * took > HOLDER_LOOK ? 3 * took : HOLDER_LOOK);
			continue;
		}
		if (all.done && !r.held_up) {
			pthread_cond_wait(&kill_cond.m_cond, &kill_mutex.m_mutex);
			continue;
		}
		wait_for(all.done ? HOLDER_LOOK : 1000000);
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
	kill_runs |= !err;
	if (!err && !spare_runs)
		err = -pthread_create(&spare_thread, NULL, spare_main, NULL);
	spare_runs |= !err;
	pthread_mutex_unlock(&kill_mutex.m_mutex);
	if (err)
		kill_stop();
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
	if (spare_runs)
		pthread_join(spare_thread, NULL);
	kill_runs = spare_runs = false;
}
