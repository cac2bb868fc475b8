/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connections that there are: conn.c takes each through its statements, kill.c ends
 * waits, and schema.c shows them.
 *
 * Each has a lock, which guards what others look at: state, text, tenant, and the handle of the
 * request. It is a connection's own, and nobody waits for anything under it. The table's lock is outside of it.
 */
#ifndef BATON_MARIADB_CONNS_H
#define BATON_MARIADB_CONNS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "late.h"
#include "quota.h"
#include "server.h"

enum conn_state { CONN_IDLE, CONN_QUEUED, CONN_RUNS, CONN_LOCK_WAIT, CONN_SLEEPS, CONN_UNSCHEDULED };

/* SET SESSION baton_class, and what the table says where that is "default". */
enum conn_class { CONN_CLASS_DEFAULT, CONN_CLASS_CRITICAL, CONN_CLASS_TOLERANT, CONN_CLASS_BATCH };

/* Held by a statement from its first turn to its end. */
struct life {
	struct baton_mutex *mutex;
	unsigned long epoch;
	_Atomic unsigned refs;		/* [CONN-3]: the connection's, and baton-kill's */
};

struct conn {
	/* Fields of the connection's thread alone. */
	MYSQL_THD thd;
	unsigned depth;			/* statements within each other */
	int command;
	bool client;			/* a connection with commands; else an event's */
	bool admin;
	bool entered;
	bool alive;			/* holds life->mutex */
	bool unlocks;			/* the statement ends a transaction */
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
	struct baton_request *req;	/* written by the library, too, see [CONN-1] */
	enum conn_state state;
	enum baton_class cls;
	unsigned long id;
	uint64_t began;
	bool in_transaction;		/* something ran in it that may hold locks */
	bool writes;			/* the statement may take some */
	bool pays;			/* the request is one that others are not to hold up */
	bool let_in;			/* ... was cancelled to enter another one of the tier "unlock" */
	bool owes;			/* ... is that one: all of its CPU becomes a debt when it ends */
	char text[LATE_TEXT];

	/* Guarded by the table's lock. */
	struct conn *next;
};

/* A connection, as others are shown it. */
struct conn_view {
	unsigned long id;
	char user[130], tenant[64];
	enum baton_class cls;
	enum conn_state state;
	bool stopped;			/* CONN_RUNS, without a slot */
	bool in_transaction;
	uint64_t since;			/* when the statement began, CLOCK_MONOTONIC ns */
	struct baton_request_times times;
	struct baton_why why;
	char text[LATE_TEXT];
};

/** conns_find - the connection of this thread of the server's; NULL: there is none */
struct conn *conns_find(MYSQL_THD thd);

/** conns_make - a new one; NULL: no memory */
struct conn *conns_make(MYSQL_THD thd);

/** conns_drop - it is gone, and @c is free; by its own thread */
void conns_drop(struct conn *c);

/** conns_walk - @fn is called for each, with the table's lock and its own; false ends it */
void conns_walk(bool (*fn)(struct conn *c, void *arg), void *arg);

/** conns_get_life - for conns_put_life(), with the connection's lock; it has one */
struct life *conns_get_life(struct conn *c);
void conns_put_life(struct life *l);

/** conns_each - a copy of each; @fn ends it by returning something else than 0, which is returned. Without a lock. */
int conns_each(int (*fn)(const struct conn_view *v, void *arg), void *arg);

#endif
