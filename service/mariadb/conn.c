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
 * c->lock guards what others look at: state, text, tenant, and the handle of the
 * request. It is a connection's own, and nobody waits for anything under it.
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

#include "hooks.h"
#include "plugin.h"
#include "quota.h"
#include "safepoint.h"

#define BUCKETS 1024
#define SECOND UINT64_C(1000000000)
/* How long a killed statement goes before others; baton-kill looks after others each RESCUE_STEP. */
#define RESCUE (SECOND)
#define RESCUE_STEP UINT64_C(20000000)
/* Likewise to those that may hold a lock; and how often they are looked for while somebody waits for one. */
#define HOLDER_STEP UINT64_C(5000000)
#define HOLDER_LOOK UINT64_C(5000000)
/* What the library takes for a deadline, at least. */
#define DEADLINE_MIN UINT64_C(10000000)

/* Held by a statement from its first turn to its end. */
struct life {
	struct baton_mutex *mutex;
	unsigned long epoch;
	_Atomic unsigned refs;		/* [CONN-3]: the connection's, and baton-kill's */
};

struct conn {
	/* Of the connection's thread alone. */
	MYSQL_THD thd;
	unsigned depth;			/* statements within each other */
	int command;
	bool client;			/* it has commands; else it is an event's */
	bool admin;
	bool entered;
	bool alive;			/* holds life->mutex */
	bool unlocks;			/* its statement ends a transaction */
	bool briefly;			/* ... is to be let in whatever its class */
	unsigned waits;			/* thd_wait_begin() within each other */
	unsigned refused;		/* an error's number; 0: it was not */
	enum conn_state state_before;
	struct quota_user user;
	char account[130];
	size_t account_len;
	char refusal[512];

	/* Guarded by `lock`; written by the connection's thread, but for the links. */
	pthread_mutex_t lock;
	struct life *life;		/* NULL: not yet, or no memory */
	uint64_t rescued;		/* since when, CLOCK_MONOTONIC ns; 0: not */
	struct baton_request *req;	/* also written by the library, see [CONN-1] */
	enum conn_state state;
	enum baton_class cls;
	unsigned long id;
	uint64_t began;
	bool in_transaction;		/* something ran in it that may hold locks */
	bool writes;			/* its statement may take some */
	bool pays;			/* its request is one that others are not to hold up */
	bool let_in;			/* ... was cancelled to enter another one of the tier "unlock" */
	char text[LATE_TEXT];

	/* Guarded by `table_lock`. */
	struct conn *next;
};

/* Of the thread: the connection that it serves. */
static __thread struct conn *mine __attribute__((tls_model("initial-exec")));

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct conn *table[BUCKETS];
static unsigned long connections;

/* [CONN-2]: switches and counts, each for itself. */
static _Atomic bool enforced;
static _Atomic uint64_t late_after = 10000000;
static _Atomic uint64_t n_statements, n_rejected, n_timed_out, n_killed, n_unlocked;

/* What KILL broadcasts, for all that wait for a turn. */
static mysql_mutex_t kill_mutex = { .m_mutex = PTHREAD_MUTEX_INITIALIZER };
static mysql_cond_t kill_cond = { .m_cond = PTHREAD_COND_INITIALIZER };
static pthread_t kill_thread;
static bool kill_ends, kill_runs;	/* guarded by kill_mutex */

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

/* ----------------------------------------------------------------- connections */

static struct conn **bucket(MYSQL_THD thd)
{
	return &table[((uintptr_t)thd >> 6) * UINT64_C(0x9e3779b97f4a7c15) >> 54];
}

static struct conn *find(MYSQL_THD thd)
{
	struct conn *c;

	if (mine && mine->thd == thd)
		return mine;
	pthread_mutex_lock(&table_lock);
	for (c = *bucket(thd); c && c->thd != thd; c = c->next)
		;
	pthread_mutex_unlock(&table_lock);
	return c;
}

static struct conn *make(MYSQL_THD thd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->thd = thd;
	c->id = thd_get_thread_id(thd);
	c->command = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_lock(&table_lock);
	c->next = *bucket(thd);
	*bucket(thd) = c;
	connections++;
	pthread_mutex_unlock(&table_lock);
	return c;
}

static void put_life(struct life *l)
{
	/* [CONN-3]: what the other one did with the mutex was done before it is freed. */
	if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) > 1) /* [CONN-3] */
		return;
	baton_mutex_destroy(l->mutex);
	free(l);
}

static void drop(struct conn *c)
{
	struct conn **p;

	pthread_mutex_lock(&table_lock);
	for (p = bucket(c->thd); *p != c; p = &(*p)->next)
		;
	*p = c->next;
	connections--;
	pthread_mutex_unlock(&table_lock);
	quota_put(&c->user);
	put_life(c->life);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void set_state(struct conn *c, enum conn_state s)
{
	pthread_mutex_lock(&c->lock);
	c->state = s;
	pthread_mutex_unlock(&c->lock);
}

/* ------------------------------------------------------------------ requests */

/* Whose it is; again where the user is another one, or has another quota. */
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
	v->current_mutex = &kill_mutex;
	v->current_cond = &kill_cond;
	return thd_proc_info(c->thd, "Waiting for CPU (baton)");
}

/* The statement will not be stopped any more. */
static void forget_kill(void)
{
	struct st_my_thread_var *v = safepoint.var;

	safepoint.var = NULL;
	if (v->current_cond != &kill_cond)
		return;
	/* As the server does it: KILL looks at both with that mutex. */
	mysql_mutex_lock(&v->mutex);
	v->current_mutex = NULL;
	v->current_cond = NULL;
	mysql_mutex_unlock(&v->mutex);
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
		put_life(l);
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

/* What the client is told, once the server lets us. */
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
		}
		if (!err)
			return;
		if (err != -ESHUTDOWN)
			break;
		/* Its tenant was removed at this moment: there is another one. */
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
		c->entered = false;
		put_request(c);
	}
	pthread_mutex_lock(&c->lock);
	c->in_transaction = !c->unlocks && in_transaction(c->thd);
	c->state = CONN_IDLE;
	c->rescued = 0;
	c->writes = c->let_in = false;
	if (!is_enforced())
		quota_put(&c->user);
	pthread_mutex_unlock(&c->lock);
	c->unlocks = false;
	c->refused = 0;
}

/* ------------------------------------------------------------------- texts */

/* The next word of SQL, without comments; its length. */
static size_t next_word(const char **at, const char *end)
{
	const char *p = *at, *begin;

	while (p < end) {
		if (strchr(" \t\r\n", *p)) {
			p++;
		} else if (end - p > 2 && p[0] == '/' && p[1] == '*' && p[2] != '!' && p[2] != 'M') {
			p = memmem(p + 2, (size_t)(end - p - 2), "*/", 2);
			if (!p)
				return 0;
			p += 2;
		} else {
			break;
		}
	}
	for (begin = p; p < end && ((*p | 32) >= 'a' && (*p | 32) <= 'z'); p++)
		;
	*at = p;
	return (size_t)(p - begin);
}

static bool word_is(const char *at, size_t len, const char *word)
{
	return len == strlen(word) && !strncasecmp(at - len, word, len);
}

bool conn_unlocks(const char *text, size_t len)
{
	const char *at = text, *end = text + len;
	size_t n = next_word(&at, end);

	if (!word_is(at, n, "commit") && !word_is(at, n, "rollback"))
		return false;
	n = next_word(&at, end);
	if (word_is(at, n, "work"))
		n = next_word(&at, end);
	/* ROLLBACK TO, COMMIT AND CHAIN and RELEASE are not just an end. */
	return !n && (at == end || *at == ';' || !*at);
}

/* ------------------------------------------------------------- what the server says */

void conn_connected(MYSQL_THD thd)
{
	struct conn *c = find(thd);

	if (!c)
		c = make(thd);
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
	struct conn *c = find(thd);

	if (!c)
		return;
	if (c == mine) {
		leave(c);
		mine = NULL;
	}
	drop(c);
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
		c = find(thd);
		if (!c) {
			/* Threads of the server's own, as of replication, are nobody's. */
			if (!server.priv_user(thd, &len) || !len)
				return;
			c = make(thd);
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

/* SET SESSION baton_class = 'batch': who may run nothing else is to be able to run that. */
static bool sets_class(const char *text, size_t len)
{
	const char *at = text;
	size_t n = next_word(&at, text + len);

	return word_is(at, n, "set") && memmem(text, len, "baton_class", strlen("baton_class")) && !memchr(text, '(', len);
}

/* Reading takes no locks that a writer waits for, but where it says so. */
static bool takes_locks(const char *text, size_t len)
{
	const char *at = text;
	size_t n = next_word(&at, text + len);

	return !word_is(at, n, "select") || memmem(text, len, "FOR UPDATE", strlen("FOR UPDATE")) ||
	       memmem(text, len, "for update", strlen("for update"));
}

static void begin_statement(struct conn *c, const char *text, size_t len, bool unlocks, bool refusable)
{
	pthread_mutex_lock(&c->lock);
	late_cut(c->text, text, len);
	c->writes = takes_locks(text, len);
	pthread_mutex_unlock(&c->lock);
	c->unlocks = unlocks;
	if (unlocks && c->in_transaction) {
		count(&n_unlocked);
		set_state(c, CONN_UNSCHEDULED);
		return;
	}
	c->briefly = sets_class(text, len);
	enter(c, refusable && !c->briefly);
	c->briefly = false;
}

void conn_text(const char *text, size_t len)
{
	if (mine && mine->depth == 1 && !mine->entered && !mine->refused && mine->command == COM_QUERY)
		begin_statement(mine, text, len, conn_unlocks(text, len), true);
}

/*
 * What is executed with an error raised and killed does nothing: the server looks for
 * the one when it has resolved its expressions, for the other when it opens tables. Others
 * (DROP TABLE, CREATE DATABASE) do their work first.
 */
static bool stops_at_error(const char *text)
{
	static const char *const words[] = { "select", "insert", "update", "delete", "replace", "with", "call", "do", "set", "values" };
	const char *at = text;
	size_t n = next_word(&at, text + strlen(text)), i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (word_is(at, n, words[i]))
			return true;
	return !n && *at == '(';
}

void conn_execute(const char *text, bool unlocks)
{
	struct conn *c = mine;

	if (!c || c->depth != 1 || c->entered || c->refused ||
	    (c->command != COM_STMT_EXECUTE && c->command != COM_STMT_BULK_EXECUTE))
		return;
	begin_statement(c, text, strlen(text), unlocks, stops_at_error(text));
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
	/* Of several statements in one query the next one has no command of its own: it is a query, too. */
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
		if (c->pays) {
			pthread_mutex_lock(&kill_mutex.m_mutex);
			pthread_cond_broadcast(&kill_cond.m_cond);
			pthread_mutex_unlock(&kill_mutex.m_mutex);
		}
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

/* Cancels the request of one that waits for a turn. Returns false: it does not have it yet. */
static bool cancel(struct conn *c, bool only_killed)
{
	struct baton_request *r;
	bool done = true;

	pthread_mutex_lock(&c->lock);
	if (c->state == CONN_QUEUED && (!only_killed || thd_kill_level(c->thd) != THD_IS_NOT_KILLED)) {
		r = __atomic_load_n(&c->req, __ATOMIC_ACQUIRE);
		if (r)
			baton_request_cancel(r);
		done = r;
	}
	pthread_mutex_unlock(&c->lock);
	return done;
}

static bool cancel_all(bool only_killed)
{
	bool done = true;
	struct conn *c;
	int i;

	pthread_mutex_lock(&table_lock);
	for (i = 0; i < BUCKETS; i++)
		for (c = table[i]; c; c = c->next)
			done &= cancel(c, only_killed);
	pthread_mutex_unlock(&table_lock);
	return done;
}

#define RESCUES 64

/* With the connection's lock: it runs a statement that was killed, not too long ago. */
static bool is_killed(struct conn *c, uint64_t now)
{
	if ((c->state != CONN_RUNS && c->state != CONN_LOCK_WAIT && c->state != CONN_SLEEPS) || !c->life ||
	    thd_kill_level(c->thd) == THD_IS_NOT_KILLED)
		return false;
	if (!c->rescued)
		c->rescued = now;
	return now - c->rescued < RESCUE;
}

/* Those that are to end and may have been stopped: how many. */
static unsigned find_killed(struct life **out)
{
	uint64_t now = baton_clock_now();
	struct conn *c;
	unsigned n = 0;
	int i;

	pthread_mutex_lock(&table_lock);
	for (i = 0; i < BUCKETS; i++)
		for (c = table[i]; c && n < RESCUES; c = c->next) {
			pthread_mutex_lock(&c->lock);
			if (is_killed(c, now)) {
				atomic_fetch_add_explicit(&c->life->refs, 1, memory_order_relaxed); /* [CONN-3] */
				out[n++] = c->life;
			}
			pthread_mutex_unlock(&c->lock);
		}
	pthread_mutex_unlock(&table_lock);
	return n;
}

static bool is_held_up(struct conn *c)
{
	bool yes;

	pthread_mutex_lock(&c->lock);
	yes = c->state == CONN_LOCK_WAIT && c->pays;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

/* Lets a queued transaction in. Returns true: it is to be lent a place instead. */
static bool let_in(struct conn *c)
{
	if (c->state == CONN_QUEUED && c->in_transaction && c->cls != BATON_INTERNAL && !c->let_in) {
		struct baton_request *r = __atomic_load_n(&c->req, __ATOMIC_ACQUIRE);

		c->let_in = r;
		if (r)
			baton_request_cancel(r);
		count(&n_unlocked);
	}
	return c->state == CONN_RUNS && (c->in_transaction || c->writes) && c->life;
}

/* Those that may hold a lock for which somebody waits who is not to; in *n how many are to be lent a place. */
static bool find_holders(struct life **out, unsigned *n)
{
	bool held_up = false;
	struct conn *c;
	int i;

	*n = 0;
	pthread_mutex_lock(&table_lock);
	for (i = 0; i < BUCKETS && !held_up; i++)
		for (c = table[i]; c && !held_up; c = c->next)
			held_up = is_held_up(c);
	for (i = 0; i < BUCKETS && held_up; i++)
		for (c = table[i]; c && *n < RESCUES; c = c->next) {
			pthread_mutex_lock(&c->lock);
			if (let_in(c)) {
				atomic_fetch_add_explicit(&c->life->refs, 1, memory_order_relaxed); /* [CONN-3] */
				out[(*n)++] = c->life;
			}
			pthread_mutex_unlock(&c->lock);
		}
	pthread_mutex_unlock(&table_lock);
	return held_up;
}

/* Lends each of them its place, for so long or until the statement has ended. Returns 0 or -errno. */
static int lend_place(struct life *const *life, unsigned n, uint64_t step)
{
	struct baton_tenant *self;
	unsigned i;
	int err = quota_helper_begin(&self);

	for (i = 0; i < n; i++) {
		if (!err && !baton_mutex_lock_until(life[i]->mutex, baton_clock_now() + step))
			baton_mutex_unlock(life[i]->mutex);
		put_life(life[i]);
	}
	if (!err)
		quota_helper_end(self);
	return err;
}

static void *kill_main(void *arg)
{
	struct life *life[RESCUES];
	uint64_t began, took, not_before = 0;
	struct timespec at;
	bool done, held_up;
	unsigned n;

	pthread_setname_np(pthread_self(), "baton-kill");
	pthread_mutex_lock(&kill_mutex.m_mutex);
	while (!kill_ends) {
		done = cancel_all(is_enforced());
		n = is_enforced() ? find_killed(life) : 0;
		if (n) {
			pthread_mutex_unlock(&kill_mutex.m_mutex);
			done = !lend_place(life, n, RESCUE_STEP);
			pthread_mutex_lock(&kill_mutex.m_mutex);
			if (done)
				continue;
			n = 0;
		}
		began = baton_clock_now();
		held_up = is_enforced() && (began < not_before || find_holders(life, &n));
		if (n) {
			pthread_mutex_unlock(&kill_mutex.m_mutex);
			lend_place(life, n, HOLDER_STEP);
			took = baton_clock_now() - began;
			not_before = began + took + (3 * took > HOLDER_LOOK ? 3 * took : HOLDER_LOOK);
			pthread_mutex_lock(&kill_mutex.m_mutex);
			continue;
		}
		if (done && !held_up) {
			pthread_cond_wait(&kill_cond.m_cond, &kill_mutex.m_mutex);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += done ? HOLDER_LOOK : 1000000;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&kill_cond.m_cond, &kill_mutex.m_mutex, &at);
	}
	pthread_mutex_unlock(&kill_mutex.m_mutex);
	return NULL;
}

int conn_start(void)
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

void conn_stop(void)
{
	pthread_mutex_lock(&kill_mutex.m_mutex);
	kill_ends = true;
	pthread_cond_broadcast(&kill_cond.m_cond);
	pthread_mutex_unlock(&kill_mutex.m_mutex);
	if (kill_runs)
		pthread_join(kill_thread, NULL);
	kill_runs = false;
}

void conn_enforce(bool on)
{
	atomic_store_explicit(&enforced, on, memory_order_relaxed); /* [CONN-2] */
	/* Those that wait for a turn are told not to, where nothing is enforced any more. */
	pthread_mutex_lock(&kill_mutex.m_mutex);
	pthread_cond_broadcast(&kill_cond.m_cond);
	pthread_mutex_unlock(&kill_mutex.m_mutex);
}

void conn_forget_all(void)
{
	struct conn *c;
	int i;

	pthread_mutex_lock(&table_lock);
	for (i = 0; i < BUCKETS; i++)
		for (c = table[i]; c; c = c->next) {
			pthread_mutex_lock(&c->lock);
			if (c->state == CONN_IDLE)
				quota_put(&c->user);
			pthread_mutex_unlock(&c->lock);
		}
	pthread_mutex_unlock(&table_lock);
}

/* ----------------------------------------------------------------- for others */

int conn_each(int (*fn)(const struct conn_view *v, void *arg), void *arg)
{
	struct conn_view *v = NULL;
	unsigned long n = 0, room, i;
	struct conn *c;
	int rc = 0;

	pthread_mutex_lock(&table_lock);
	room = connections;
	v = calloc(room ? room : 1, sizeof(*v));
	for (i = 0; v && i < BUCKETS; i++)
		for (c = table[i]; c && n < room; c = c->next) {
			struct conn_view *o = &v[n++];

			pthread_mutex_lock(&c->lock);
			o->id = c->id;
			memcpy(o->user, c->account, sizeof(o->user));
			memcpy(o->tenant, c->user.name, sizeof(o->tenant));
			o->cls = c->cls;
			o->state = c->state;
			o->in_transaction = c->in_transaction;
			o->since = c->began;
			memcpy(o->text, c->text, sizeof(o->text));
			if (c->req && c->state != CONN_IDLE) {
				baton_request_times(c->req, &o->times, sizeof(o->times));
				baton_request_why(c->req, &o->why, sizeof(o->why));
			}
			pthread_mutex_unlock(&c->lock);
		}
	pthread_mutex_unlock(&table_lock);
	for (i = 0; v && !rc && i < n; i++)
		rc = fn(&v[i], arg);
	free(v);
	return v ? rc : -ENOMEM;
}

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
		.unlocked = atomic_load_explicit(&n_unlocked, memory_order_relaxed), /* [CONN-2] */
	};
	conn_each(count_one, out);
}
