// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A statement's way through its user's quota.
 *
 * A client's command is read by its connection's thread. As soon as the plugin
 * knows what it is, and before it is parsed, the thread enters a request of the
 * user's tenant: it waits there until it has a slot, and is the request's task
 * from then on to the command's end. What a command brings along is within it:
 * the statements of a stored routine, a trigger, or of EXECUTE. Each statement of
 * several in one command has a request of its own.
 *
 *	command		known at		refused
 *	query		set_statement_text	after it was parsed: error, not executed
 *	execute		execute_prepared_stmt	at once: error, and killed as by KILL QUERY,
 *						but for what runs all the same: DDL
 *	others		set_thread_command	never; they wait
 *	an event's	start_statement		never; it waits
 *
 * A refused statement is parsed all the same, for the server looks at an error
 * only then. For that, and to answer, its thread enters a request of the tier
 * "short", which has 5% of the machine: who floods us with what is refused does
 * not get more by it.
 *
 * COMMIT and ROLLBACK that end a transaction do not wait for quota. They let row
 * locks go that others may wait for, and cost little, which the thread's next
 * statement is charged. One that ends nothing waits like any other statement.
 *
 * A statement that was let in for others' sake (kill.c) has a request of the tier "unlock",
 * which nobody buys: what it used is its tenant's debt, and its tenant's next statement is charged with it.
 *
 * Waiting is a state that the server knows: KILL, a shutdown and SHOW PROCESSLIST
 * see "Waiting for CPU (baton)"; kill.c ends it. c->req is written by the library before it waits [CONN-1].
 */
#define _GNU_SOURCE
#include "conn.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <baton/base.h>
#include <baton/sched.h>
#include <baton/why.h>

#include <my_global.h>
#include <mysql_com.h>
#include <mysqld_error.h>

#include "debt.h"
#include "hooks.h"
#include "kill.h"
#include "plugin.h"
#include "quota.h"
#include "safepoint.h"
#include "words.h"

/* The shortest time that the library takes for a deadline. */
#define DEADLINE_MIN UINT64_C(10000000)

/* The connection that this thread serves. */
static __thread struct conn *mine __attribute__((tls_model("initial-exec")));

/* [CONN-2]: switches and counts, each for itself. */
static _Atomic bool enforced;
static _Atomic uint64_t late_after = 10000000;
static _Atomic uint64_t n_statements, n_rejected, n_timed_out, n_killed, n_unlocked;

static bool is_enforced(void)
{
	return atomic_load_explicit(&enforced, memory_order_relaxed); /* [CONN-2] */
}

static void count(_Atomic uint64_t *n)
{
	atomic_fetch_add_explicit(n, 1, memory_order_relaxed); /* [CONN-2] */
}

void conn_late_after(uint64_t ns)
{
	atomic_store_explicit(&late_after, ns, memory_order_relaxed); /* [CONN-2] */
}

static struct conn *find_conn(MYSQL_THD thd)
{
	return mine && mine->thd == thd ? mine : conns_find(thd);
}

static void set_state(struct conn *c, enum conn_state s)
{
	pthread_mutex_lock(&c->lock);
	c->state = s;
	pthread_mutex_unlock(&c->lock);
}

/* ------------------------------------------------------------------ requests */

/* Looks the user up; again where the user is another one, or has another quota. */
static int know_user(struct conn *c)
{
	size_t len;
	const char *user = server.priv_user(c->thd, &len);
	struct quota_user q = c->user;
	int err;

	if (!user)
		return -ENOENT;
	if (len >= sizeof(c->account))
		len = sizeof(c->account) - 1;
	if (q.tenant && q.generation == quota_generation() && len == c->account_len && !memcmp(user, c->account, len))
		return 0;
	q.tenant = NULL;
	err = quota_find(&q, user, len);
	c->admin = !server.lacks_privilege(c->thd, SERVER_SUPER_ACL | SERVER_CONNECTION_ADMIN_ACL, true);
	pthread_mutex_lock(&c->lock);
	quota_put(&c->user);
	c->user = q;
	memcpy(c->account, user, len);
	c->account[len] = 0;
	c->account_len = len;
	pthread_mutex_unlock(&c->lock);
	return err;
}

static bool in_transaction(MYSQL_THD thd)
{
	/* OPTION_NOT_AUTOCOMMIT and OPTION_BEGIN of sql/sql_priv.h */
	return thd_test_options(thd, (1LL << 19) | (1LL << 20));
}

static void set_class(struct conn *c, struct baton_request_opts *o, bool refusable)
{
	enum conn_class wanted = plugin_class(c->thd);

	if (c->briefly) {
		o->cls = BATON_INTERNAL;
		o->tier = QUOTA_TIER_SHORT;
		return;
	}
	o->cls = wanted == CONN_CLASS_DEFAULT ? c->user.cls : (enum baton_class)(wanted - CONN_CLASS_CRITICAL);
	if (c->admin && wanted == CONN_CLASS_DEFAULT) {
		o->cls = BATON_INTERNAL;
		o->tier = QUOTA_TIER_ADMIN;
	} else if (o->cls == BATON_CRITICAL && !refusable) {
		o->cls = BATON_TOLERANT;
	}
}

/* KILL and SHOW PROCESSLIST are told what this thread waits for. */
static const char *begin_wait(struct conn *c)
{
	struct st_my_thread_var *v = server.thread_var();

	safepoint.var = v;
	kill_wait_begin(v);
	return thd_proc_info(c->thd, "Waiting for CPU (baton)");
}

/* The statement will not be stopped any more. */
static void forget_kill(void)
{
	struct st_my_thread_var *v = safepoint.var;

	safepoint.var = NULL;
	kill_wait_end(v);
}

static void begin_life(struct conn *c)
{
	struct life *l = c->life, *fresh;

	if (!l || l->epoch != quota_epoch()) {
		fresh = calloc(1, sizeof(*fresh));
		if (fresh && quota_mutex_create(&fresh->mutex, &fresh->epoch)) {
			free(fresh);
			fresh = NULL;
		}
		if (fresh)
			atomic_store_explicit(&fresh->refs, 1, memory_order_relaxed); /* [CONN-3] */
		pthread_mutex_lock(&c->lock);
		c->life = fresh;
		pthread_mutex_unlock(&c->lock);
		conns_put_life(l);
	}
	c->alive = c->life && !baton_mutex_lock(c->life->mutex);
}

/* Waits for its turn. Returns as baton_request_enter(). */
static int take_turn(struct conn *c, const struct baton_request_opts *o)
{
	const char *before = begin_wait(c);
	int err = -ECANCELED;

	pthread_mutex_lock(&c->lock);
	c->cls = o->cls;
	c->owes = o->cls == BATON_INTERNAL && o->tier == QUOTA_TIER_UNLOCK;
	c->pays = o->cls == BATON_CRITICAL || (o->cls == BATON_TOLERANT && c->user.low_ppm) ||
		  (o->cls == BATON_INTERNAL && o->tier == QUOTA_TIER_ADMIN);
	c->began = o->arrival;
	c->state = CONN_QUEUED;
	pthread_mutex_unlock(&c->lock);
	if (thd_kill_level(c->thd) == THD_IS_NOT_KILLED) {
		hooks_pool_wait_begin(c->thd);
		err = baton_request_enter(c->user.tenant, o, &c->req);
		hooks_pool_wait_end(c->thd);
	}
	set_state(c, err ? CONN_UNSCHEDULED : CONN_RUNS);
	thd_proc_info(c->thd, before);
	c->entered = !err;
	if (err)
		forget_kill();
	else
		begin_life(c);
	safepoint.on = !err;
	return err;
}

static void put_request(struct conn *c)
{
	struct baton_request *r;

	pthread_mutex_lock(&c->lock);
	r = c->req;
	c->req = NULL;
	pthread_mutex_unlock(&c->lock);
	baton_request_put(r);
}

static void note_late(struct conn *c, const struct baton_why *why)
{
	struct late l = { .connection = c->id, .cls = c->cls, .why = *why };

	clock_gettime(CLOCK_REALTIME, &l.when);
	snprintf(l.user, sizeof(l.user), "%s", c->account);
	memcpy(l.tenant, c->user.name, sizeof(l.tenant));
	memcpy(l.text, c->text, sizeof(l.text));
	late_add(&l);
}

static bool was_let_in(struct conn *c)
{
	bool yes;

	pthread_mutex_lock(&c->lock);
	yes = c->let_in;
	c->let_in = false;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

/* The error that the client is told, once the server lets us. */
static void refuse(struct conn *c, const struct baton_request_opts *o, int err)
{
	uint64_t now = baton_clock_now();
	struct baton_why why = { 0 };
	double again = 1;

	if (c->req)
		baton_request_why(c->req, &why, sizeof(why));
	else
		baton_tenant_why(c->user.tenant, o, err, &why, sizeof(why));
	if (err == -ECANCELED) {
		c->refused = ER_QUERY_INTERRUPTED;
		snprintf(c->refusal, sizeof(c->refusal), "Query execution was interrupted");
		count(&n_killed);
		return;
	}
	if (err == -ETIME) {
		c->refused = ER_STATEMENT_TIMEOUT;
		snprintf(c->refusal, sizeof(c->refusal),
			 "Query execution was interrupted (max_statement_time exceeded while tenant '%s' waited for CPU)",
			 c->user.name);
		count(&n_timed_out);
	} else {
		c->refused = ER_USER_LIMIT_REACHED;
		/* Rounded up. */
		if (why.free_at)
			again = why.free_at > now ? (double)((why.free_at - now) / 1000000 + 1) / 1e3 : 0.001;
		if (why.reason == BATON_WHY_NO_QUOTA)
			snprintf(c->refusal, sizeof(c->refusal),
				 "Tenant '%s' has bought no CPU that a %s statement could use; ask the administrator for more "
				 "(mysql.baton_quotas), or use SET SESSION baton_class", c->user.name, plugin_class_name(o->cls));
		else
			snprintf(c->refusal, sizeof(c->refusal),
				 "Tenant '%s' has used its low-latency CPU of this second (%.4g%% of the machine); try again in "
				 "%.3f s, or use SET SESSION baton_class = 'tolerant'", c->user.name, c->user.low_ppm / 1e4, again);
		count(&n_rejected);
	}
	note_late(c, &why);
}

/* CPU that its tenant used before, for others' sake, and did not pay for. */
static void charge_debt(struct conn *c)
{
	uint64_t ns = debt_take(c->user.name);

	if (ns)
		baton_request_charge(c->req, ns);
}

/* The calling thread's command is a request, from now on. */
static void enter(struct conn *c, bool refusable)
{
	struct baton_request_opts o = { .sz = sizeof(o) }, shortly = { .sz = sizeof(o) };
	uint64_t time;
	int err, tries;

	if (!is_enforced())
		return;
	count(&n_statements);
	for (tries = 0; tries < 3; tries++) {
		err = know_user(c);
		if (err) {
			plugin_complain("connection %lu is not scheduled: %s", c->id, strerror(-err));
			return;
		}
		set_class(c, &o, refusable);
		o.arrival = baton_clock_now();
		time = refusable ? server_statement_time(c->thd) : 0;
		o.deadline = time ? o.arrival + (time < DEADLINE_MIN ? DEADLINE_MIN : time) : 0;
		err = take_turn(c, &o);
		if (err == -ECANCELED && was_let_in(c)) {
			put_request(c);
			o.cls = BATON_INTERNAL;
			o.tier = QUOTA_TIER_UNLOCK;
			err = take_turn(c, &o);
		} else if (!err && o.cls != BATON_INTERNAL) {
			charge_debt(c);
		}
		if (!err)
			return;
		if (err != -ESHUTDOWN)
			break;
		/* The tenant was removed at this moment: there is another one. */
		put_request(c);
		c->user.generation = 0;
	}
	if (err == -ECANCELED && thd_kill_level(c->thd) == THD_IS_NOT_KILLED) {
		put_request(c);		/* nothing is enforced any more */
		return;
	}
	if (!refusable || err == -ENOMEM || err == -ESHUTDOWN) {
		put_request(c);
		if (err != -ECANCELED)
			plugin_complain("connection %lu is not scheduled: %s", c->id, strerror(-err));
		return;
	}
	refuse(c, &o, err);
	put_request(c);
	if (err != -ECANCELED) {
		shortly.cls = BATON_INTERNAL;
		shortly.tier = QUOTA_TIER_SHORT;
		shortly.arrival = o.arrival;
		if (take_turn(c, &shortly))
			put_request(c);
	}
}

static void leave(struct conn *c)
{
	struct baton_request_times t;
	struct baton_why why;

	if (c->entered) {
		safepoint_off();
		if (c->alive)
			baton_mutex_unlock(c->life->mutex);
		c->alive = false;
		forget_kill();
		if (!c->refused && baton_clock_now() - c->began > atomic_load_explicit(&late_after, memory_order_relaxed)) { /* [CONN-2] */
			baton_request_why(c->req, &why, sizeof(why));
			note_late(c, &why);
		}
		baton_request_leave();
		/* Not before: what its last run used counts from its end. */
		if (c->owes) {
			baton_request_times(c->req, &t, sizeof(t));
			debt_add(c->user.name, t.cpu);
		}
		c->entered = false;
		put_request(c);
	}
	pthread_mutex_lock(&c->lock);
	c->in_transaction = !c->unlocks && in_transaction(c->thd);
	c->state = CONN_IDLE;
	c->rescued = 0;
	c->writes = c->let_in = c->owes = false;
	if (!is_enforced())
		quota_put(&c->user);
	pthread_mutex_unlock(&c->lock);
	c->unlocks = false;
	c->refused = 0;
}

/* ------------------------------------------------------------- what the server says */

void conn_connected(MYSQL_THD thd)
{
	struct conn *c = find_conn(thd);

	if (!c)
		c = conns_make(thd);
	if (!c)
		return;
	c->client = true;
	c->id = thd_get_thread_id(thd);
	c->depth = 0;
	c->account_len = 0;
	c->user.generation = 0;
	mine = c;
	safepoint_thread();
}

void conn_gone(MYSQL_THD thd)
{
	struct conn *c = find_conn(thd);

	if (!c)
		return;
	if (c == mine) {
		leave(c);
		mine = NULL;
	}
	conns_drop(c);
}

void conn_idle(void)
{
	if (!mine)
		return;
	mine->client = true;
	mine->depth = 0;
	mine->command = -1;
	if (mine->entered)
		leave(mine);
	/* A pool's next command of this connection may come on another thread, or it ends there. */
	if (hooks_has_pool())
		mine = NULL;
}

void conn_thread_ends(void)
{
	if (mine && !mine->client)
		conn_gone(mine->thd);
}

void conn_begin(MYSQL_THD thd)
{
	struct conn *c;
	size_t len;

	if (mine && mine->thd == thd && mine->depth++)
		return;
	if (!mine || mine->thd != thd) {
		c = find_conn(thd);
		if (!c) {
			/* Threads of the server's own, as of replication, are nobody's. */
			if (!server.priv_user(thd, &len) || !len)
				return;
			c = conns_make(thd);
			if (!c)
				return;
		}
		mine = c;
		safepoint_thread();
		if (c->depth++)
			return;
	}
	mine->waits = 0;
}

void conn_begin_event(void)
{
	if (mine && !mine->client && mine->depth == 1 && !mine->entered) {
		late_cut(mine->text, "(event)", strlen("(event)"));
		enter(mine, false);
	}
}

void conn_command(int command)
{
	struct conn *c = mine;

	if (!c || c->depth != 1 || c->command >= 0)
		return;
	c->command = command;
	switch (command) {
	case COM_QUERY:
	case COM_STMT_EXECUTE:
	case COM_STMT_BULK_EXECUTE:
		/* conn_text(), conn_execute() */
	case COM_SLEEP:
	case COM_CONNECT:
	case COM_QUIT:
	case COM_STMT_CLOSE:
	case COM_PROCESS_KILL:
	case COM_SHUTDOWN:
	case COM_BINLOG_DUMP:
		return;
	default:
		pthread_mutex_lock(&c->lock);
		snprintf(c->text, sizeof(c->text), "(command %d)", command);
		pthread_mutex_unlock(&c->lock);
		enter(c, false);
	}
}

static void begin_statement(struct conn *c, const char *text, size_t len, bool unlocks, bool refusable)
{
	pthread_mutex_lock(&c->lock);
	late_cut(c->text, text, len);
	c->writes = words_take_locks(text, len);
	pthread_mutex_unlock(&c->lock);
	c->unlocks = unlocks;
	if (unlocks && c->in_transaction) {
		count(&n_unlocked);
		set_state(c, CONN_UNSCHEDULED);
		return;
	}
	c->briefly = words_set_class(text, len);
	enter(c, refusable && !c->briefly);
	c->briefly = false;
}

void conn_text(const char *text, size_t len)
{
	if (mine && mine->depth == 1 && !mine->entered && !mine->refused && mine->command == COM_QUERY)
		begin_statement(mine, text, len, words_unlock(text, len), true);
}

void conn_execute(const char *text, bool unlocks)
{
	struct conn *c = mine;

	if (!c || c->depth != 1 || c->entered || c->refused ||
	    (c->command != COM_STMT_EXECUTE && c->command != COM_STMT_BULK_EXECUTE))
		return;
	begin_statement(c, text, strlen(text), unlocks, words_stop_at_error(text));
	if (c->refused) {
		my_printf_error(c->refused, "%s", MYF(0), c->refusal);
		server_kill_self(c->thd);
	}
}

void conn_parsed(void)
{
	if (mine && mine->refused && mine->depth == 1 && mine->command == COM_QUERY)
		my_printf_error(mine->refused, "%s", MYF(0), mine->refusal);
}

void conn_end(void)
{
	if (!mine || !mine->depth || --mine->depth)
		return;
	/* The next of several statements in one query has no command of its own: it is a query, too. */
	leave(mine);
}

void conn_wait_begin(int type)
{
	struct conn *c = mine;

	if (!c || !c->entered || c->waits++)
		return;
	c->state_before = CONN_RUNS;
	switch (type) {
	case THD_WAIT_ROW_LOCK:
	case THD_WAIT_TABLE_LOCK:
	case THD_WAIT_META_DATA_LOCK:
	case THD_WAIT_GLOBAL_LOCK:
		set_state(c, CONN_LOCK_WAIT);
		if (c->pays)
			kill_wake();
		break;
	default:
		set_state(c, CONN_SLEEPS);
	}
}

void conn_wait_end(void)
{
	if (mine && mine->waits && !--mine->waits && mine->entered)
		set_state(mine, mine->state_before);
}

void conn_enforce(bool on)
{
	atomic_store_explicit(&enforced, on, memory_order_relaxed); /* [CONN-2] */
	kill_enforce(on);
}

static bool forget_idle(struct conn *c, void *arg)
{
	if (c->state == CONN_IDLE)
		quota_put(&c->user);
	return true;
}

void conn_forget_all(void)
{
	conns_walk(forget_idle, NULL);
}

/* ----------------------------------------------------------------- for others */

static int count_one(const struct conn_view *v, void *arg)
{
	struct conn_stats *s = arg;

	s->connections++;
	s->queued += v->state == CONN_QUEUED;
	s->running += v->state != CONN_QUEUED && v->state != CONN_IDLE;
	return 0;
}

void conn_stats(struct conn_stats *out)
{
	*out = (struct conn_stats){
		.statements = atomic_load_explicit(&n_statements, memory_order_relaxed), /* [CONN-2] */
		.rejected = atomic_load_explicit(&n_rejected, memory_order_relaxed), /* [CONN-2] */
		.timed_out = atomic_load_explicit(&n_timed_out, memory_order_relaxed), /* [CONN-2] */
		.killed = atomic_load_explicit(&n_killed, memory_order_relaxed), /* [CONN-2] */
		.unlocked = atomic_load_explicit(&n_unlocked, memory_order_relaxed) + kill_let_in(), /* [CONN-2] */
	};
	conns_each(count_one, out);
}
