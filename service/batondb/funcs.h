/* SPDX-License-Identifier: GPL-2.0-or-later */
/* funcs.h - PostgreSQL's functions that SQLite has not, or has otherwise. */
#ifndef BATONDB_FUNCS_H
#define BATONDB_FUNCS_H

#include <sqlite3.h>
#include <stdbool.h>

/* What functions want to know about who calls them. */
struct funcs_env {
	const char *user, *database;
	int pid;
	long long now;		/* us since 2000, of the transaction */
	const char *(*setting)(void *arg, const char *name);
	const char *(*set)(void *arg, const char *name, const char *value, int local);	/* an error, or NULL */
	int (*signal)(void *arg, int pid, int end);	/* cancel or terminate: found? */
	const char *(*sleep)(void *arg, double seconds);	/* what interrupted it, or NULL */
	/* Of the request, in ms; false: there is none. */
	int (*budget)(void *arg, double *ms);
	int (*deadline)(void *arg, double *ms);
	int (*charge)(void *arg, double ms);
	void *arg;
	long long lastval;
};

struct cat_rows;
/* From, to, step: the rows of generate_series(). False: they are not two times and an interval. */
bool funcs_time_series(struct cat_rows *rows, int n, sqlite3_value **v);
int funcs_register(sqlite3 *db, struct funcs_env *env);
/* An error with an SQLSTATE of its own: "CODE:text", which errors_of() takes apart. */
void funcs_error(sqlite3_context *c, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
