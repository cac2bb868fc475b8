/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * db.h - databases: a file of SQLite each, in WAL mode, with one lock for all
 * who write to it. The lock stands before SQLite's own, which knows no order
 * and no tenants: with quotas on it is one of baton's, so that whoever holds it
 * while another tenant waits for it may run in that one's place.
 */
#ifndef BATONDB_DB_H
#define BATONDB_DB_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "sql.h"

struct baton_sched;
struct baton_mutex;

struct database {
	char name[64];
	char path[512];
	unsigned oid;
	struct database *next;
	struct baton_mutex *fair;
	pthread_mutex_t plain;
	_Atomic int waiting;		/* for either; a hint */
	_Atomic unsigned alters;	/* how often what was rewritten for a table had to be so anew */
	unsigned sessions;		/* the list's lock */
};

/* Once, before any database is opened. 0 or an error of SQLite. */
int db_setup(void);
int db_open(const struct database *d, sqlite3 **out, size_t max_value, bool full_sync);

/*
 * As a task of baton's, or as a plain thread; the same kind to give it back. 0;
 * -ETIMEDOUT: not by the deadline (ns; BATON_FOREVER: none); -ECANCELED, -ETIME: what
 * the task's request was told; -ECANCELED: *cancel is set, of a thread.
 */
int db_lock(struct database *d, bool task, uint64_t deadline, const _Atomic int *cancel);
void db_unlock(struct database *d, bool task);

struct db_error {
	char code[6];
	char message[400];
	char constraint[128], table[128], column[128];
	int position;			/* in characters from 1, or 0 */
};
/* What SQLite says, as PostgreSQL would; s and source (the whole text) may be NULL. */
void db_error(sqlite3 *db, int rc, const struct sql *s, const char *source, struct db_error *out);

#endif
