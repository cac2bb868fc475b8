/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard.h - what a statement may do, by SQLite's authorizer: only what is allowed here.
 * The authorizer sees each table, column and function by its name, whatever the text
 * looked like, when a statement is prepared, and again when SQLite prepares it anew.
 */
#ifndef BATONDB_GUARD_H
#define BATONDB_GUARD_H

#include <sqlite3.h>
#include <stdbool.h>

enum guard_kind {
	GUARD_QUERY,		/* reads and writes rows */
	GUARD_DDL,		/* changes the schema */
	GUARD_ANALYZE,
	GUARD_INTERNAL,		/* the server's own statements */
};

#define GUARD_COLUMNS 256

struct guard {
	enum guard_kind kind;
	char why[160];		/* the last refusal */
	/* Columns that a statement names, while it is prepared: for check.c. */
	bool note;
	struct guard_column {
		char *table, *column;
	} columns[GUARD_COLUMNS];
	unsigned n;
	bool more;		/* than there is room for */
	unsigned views;		/* tables that the server fills, of those that a statement reads */
};

/* A connection is made safe; g stays with it. */
int guard_apply(sqlite3 *db, struct guard *g, int max_value);
void guard_forget(struct guard *g);	/* the columns */

/* view.c: a bit for each table that the server fills; 0: it is none. */
unsigned view_is(const char *table);

#endif
