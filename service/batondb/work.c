// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Work: when a session is a task of its tenant's, when it writes, and how its
 * transactions end.
 *
 * READ COMMITTED is had by not beginning a transaction of SQLite's until something is written, or a savepoint
 * made: statements before that each see what is committed. A writer takes the database's write lock
 * first, and keeps it to the end; so nobody meets SQLite's own lock, which has no queue.
 *
 * A transaction that holds the write lock goes on as the same request, with the
 * arrival it had; where its tenant's quota ends meanwhile, it waits as any
 * other, unless another task waits for the lock: then it may run in that one's place,
 * and what it uses is charged as an overrun (baton_mutex).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

void work_clock(struct session *s)
{
	s->query_start = baton_clock_now();
	s->deadline = s->set.statement_timeout ? s->arrived + s->set.statement_timeout : 0;
	s->timed_out = false;
}

static bool rejected(struct session *s, const struct baton_request_opts *o)
{
	struct baton_why why;
	char hint[200];
	uint64_t now;

	baton_tenant_why(s->role->tenant, o, -EDQUOT, &why, sizeof(why));
	now = baton_clock_now();
	snprintf(hint, sizeof(hint), "Retry after %u ms, ask the administrator for more (ALTER USER ... SET baton.low_latency), "
		 "or use SET baton.class = tolerant.",
		 why.free_at > now ? (unsigned)((why.free_at - now) / MS) + 1 : 1000);
	return err_hint(s, s->set.reject_40001 ? "40001" : "53400", hint,
			"low-latency quota of user \"%s\" is used up: %.4g%% of the machine in each second", s->role->name,
			s->role->is.low_ppm / 1e4);
}

/* The session becomes its tenant's task, where quotas hold. */
static bool enter(struct session *s, uint64_t arrival)
{
	struct baton_request_opts o = { .sz = sizeof(o), .arrival = arrival };
	int rc;

	s->task = server.quotas;
	if (s->task) {
		o.cls = s->set.cls < CLASS_INTERNAL_HIGH ? (enum baton_class)s->set.cls : BATON_INTERNAL;
		o.tier = s->set.cls < CLASS_INTERNAL_HIGH ? 0 : TIER_INTERNAL_HIGH + (s->set.cls - CLASS_INTERNAL_HIGH);
		if (s->set.statement_timeout)
			o.deadline = s->arrived + (s->set.statement_timeout > 10 * MS ? s->set.statement_timeout : 10 * MS);
		s->state = STATE_QUEUED;
		session_unpin(s);
		rc = baton_request_enter(s->role->tenant, &o, &s->request);
		s->state = rc ? STATE_IDLE : STATE_ACTIVE;
		switch (rc) {
		case 0:
			break;
		case -EDQUOT:
			return rejected(s, &o);
		case -ETIME:
			return err(s, "57014", "canceling statement due to statement timeout: it was not started by then");
		case -ECANCELED:
			return err(s, "57014", "canceling statement due to user request");
		case -ENOMEM:
			return err(s, "53200", "out of memory");
		default:
			return err(s, "XX000", "the scheduler does not take the request: %s", strerror(-rc));
		}
	}
	s->state = STATE_ACTIVE;
	s->working = true;
	return true;
}

bool work_begin(struct session *s)
{
	int one = 1;

	/* A cancel before this message was meant for another; that the session is to end, not. */
	if (!s->working || s->state == STATE_IDLE)
		atomic_compare_exchange_strong(&s->cancel, &one, 0);
	if (s->working) {
		if (s->away) {
			s->state = STATE_QUEUED;
			baton_blocking_end();
		}
		s->away = false;
		s->state = STATE_ACTIVE;
		return true;
	}
	work_clock(s);
	return enter(s, s->arrived);
}

void work_pause(struct session *s)
{
	if (s->state != STATE_STARTUP)
		s->state = STATE_IDLE;
	if (!s->working || s->away)
		return;
	if (s->tx == TX_NONE && !s->implicit && !s->locked && !s->n_portals) {
		work_end(s);
		return;
	}
	if (s->task)
		baton_blocking_begin();
	s->away = s->task;
	/* Others may wait for what it holds. */
	net_timeout(s, s->locked ? server.conf.lock_idle_timeout : server.conf.idle_timeout);
}

void work_end(struct session *s)
{
	if (!s->working)
		return;
	if (s->away)
		baton_blocking_end();
	s->away = false;
	s->working = false;
	if (s->task)
		baton_request_leave();
	s->task = false;
	net_timeout(s, server.conf.idle_timeout);
}

static bool is_ended(void *arg)
{
	struct session *s = arg;

	if (s->cancel)
		return true;
	if (!s->deadline || baton_clock_now() <= s->deadline)
		return false;
	s->timed_out = true;
	return true;
}

int work_progress(void *arg)
{
	if (is_ended(arg))
		return 1;
	/* The request's deadline is the first statement's; the session's is this one's. */
	baton_checkpoint();
	return 0;
}

void work_watch(struct session *s, bool on)
{
	sqlite3_progress_handler(s->db, on ? 500 : 0, on ? work_progress : NULL, s);
	db_watch(s->db, on ? is_ended : NULL, s);
}

void work_sleep(struct session *s, double seconds)
{
	uint64_t now = baton_clock_now(), end = now + (seconds > 0 ? (uint64_t)(seconds * 1e9) : 0), next;

	while (now < end && !work_progress(s)) {
		next = now + 20 * MS < end ? now + 20 * MS : end;
		if (s->task) {
			baton_sleep_until(next);
		} else {
			struct timespec ts = { next / 1000000000, next % 1000000000 };

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		}
		now = baton_clock_now();
	}
}

bool work_exec(struct session *s, const char *sql)
{
	int rc;

	s->guard.kind = GUARD_INTERNAL;
	rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	s->guard.kind = GUARD_QUERY;
	return !rc || err_db(s, rc);
}

static bool run(struct session *s, sqlite3_stmt **st, const char *sql)
{
	int rc;

	s->guard.kind = GUARD_INTERNAL;
	rc = *st ? 0 : sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
	if (!rc) {
		rc = sqlite3_step(*st);
		sqlite3_reset(*st);
	}
	s->guard.kind = GUARD_QUERY;
	return rc == SQLITE_DONE || err_db(s, rc);
}

/* The session waits for no longer than it is told, by a cancel or a timeout. */
static bool lock(struct session *s)
{
	uint64_t deadline = s->deadline ? s->deadline : BATON_FOREVER, arrival = s->arrived;
	struct baton_request_times t;
	int rc;

	for (;;) {
		s->state = STATE_LOCK;
		s->lock_task = s->task;
		rc = db_lock(s->database, s->lock_task, deadline, &s->cancel);
		s->locked = !rc;
		s->state = STATE_ACTIVE;
		if (s->cancel)
			return err(s, "57014", "canceling statement due to user request");
		if (s->deadline && baton_clock_now() >= s->deadline)
			return err(s, "57014", "canceling statement due to statement timeout");
		if (!rc)
			return true;
		/*
		 * The request was told so in an earlier statement of the transaction, which has
		 * gone on behind a savepoint. One that nothing was told waits in its place.
		 */
		if (s->request) {
			baton_request_times(s->request, &t, sizeof(t));
			arrival = t.arrival;
		}
		baton_request_leave();
		s->task = s->working = false;
		if (!enter(s, arrival))
			return false;
	}
}

bool work_write(struct session *s)
{
	if (!s->locked && !lock(s))
		return false;
	if (sqlite3_get_autocommit(s->db)) {
		if (!run(s, &s->begin, "begin immediate"))
			return false;
		s->implicit = s->tx == TX_NONE;
	}
	return true;
}

/* A transaction's changes of the schema are done, or undone. */
static void ended(struct session *s)
{
	if (s->altered)
		atomic_fetch_add(&s->database->alters, 1);
	s->altered = false;
	s->tx = TX_NONE;
}

static void unlock(struct session *s)
{
	if (s->locked)
		db_unlock(s->database, s->lock_task);
	s->locked = false;
	s->implicit = false;
}

/* ROLLBACK is done whatever was cancelled. */
static void back(struct session *s)
{
	if (!s->db || sqlite3_get_autocommit(s->db))
		return;
	s->guard.kind = GUARD_INTERNAL;
	work_watch(s, false);
	sqlite3_exec(s->db, "rollback", NULL, NULL, NULL);
	work_watch(s, true);
	s->guard.kind = GUARD_QUERY;
}

void work_rollback(struct session *s)
{
	exec_close_portals(s);
	back(s);
	unlock(s);
	ended(s);
}

bool work_commit(struct session *s)
{
	bool ok = true;
	uint64_t deadline = s->deadline;

	exec_close_portals(s);
	if (s->db && !sqlite3_get_autocommit(s->db)) {
		/* A commit is done, or not; nothing stops it half way. */
		s->deadline = 0;
		work_watch(s, false);
		ok = run(s, &s->commit, "commit");
		work_watch(s, true);
		s->deadline = deadline;
		back(s);
	}
	unlock(s);
	ended(s);
	return ok;
}
