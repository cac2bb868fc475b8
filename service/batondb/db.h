/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * db.h - databases: a file of SQLite each, in WAL mode, with one lock for all
 * who write to it. The lock stands before SQLite's own, which knows no order
 * and no tenants: with quotas on it is one of baton's, so that its holder may run in the place of
 * a task that waits for it.
 */
#ifndef BATONDB_DB_H
#define BATONDB_DB_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "guard.h"
#include "types.h"

struct baton_sched;
struct baton_mutex;

struct database {
	char name[64];
	char path[512];
	struct database *next;
	struct baton_mutex *fair;
	pthread_mutex_t plain;
	_Atomic unsigned alters;	/* how often its schema was changed */
	unsigned sessions;		/* the list's lock */
};

/* Bytes, 0: no limit. Of a session's temporary files together, of a database and of its log. */
struct db_limits {
	int64_t temp, database;
};
/* Once, before any database is opened; temporary files are made in temp_dir. 0 or an error of SQLite. */
int db_setup(const char *temp_dir);
void db_limits(const struct db_limits *l);
int db_open(const char *path, struct guard *g, sqlite3 **out, int max_value, bool full_sync);

/*
 * While the calling thread reads a page of db's, ended is asked, and where that says so the statement ends as
 * one that was interrupted: SQLite counts a table's rows without asking its progress handler. ended NULL: no more.
 */
void db_watch(sqlite3 *db, bool (*ended)(void *arg), void *arg);

/*
 * The write lock, as a task of baton's or as a plain thread, and the same kind to give it back. 0;
 * -ETIMEDOUT: not by the deadline (ns; BATON_FOREVER: none); -ECANCELED, -ETIME: what
 * the task's request was told; -ECANCELED: *cancel is set, of a thread.
 */
int db_lock(struct database *d, bool task, uint64_t deadline, const _Atomic int *cancel);
void db_unlock(struct database *d, bool task);

/* SQLite's message, and the SQLSTATE that clients know it by. */
void db_error(sqlite3 *db, int rc, struct guard *g, struct sql_error *out);

#endif
