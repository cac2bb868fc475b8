/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vtab.h - tables that the server fills: who is connected, what tenants use; and generate_series(). */
#ifndef BATONDB_VTAB_H
#define BATONDB_VTAB_H

#include <sqlite3.h>

#include "buf.h"

/* Cells, row after row. */
struct vtab_rows {
	struct buf cells;
	unsigned n;		/* rows; counted by the one who fills */
};
void vtab_int(struct vtab_rows *r, int64_t v);
void vtab_num(struct vtab_rows *r, double v);
void vtab_text(struct vtab_rows *r, const char *s);	/* NULL is NULL */

struct vtab_cell {
	int kind;		/* SQLITE_INTEGER, FLOAT, TEXT, NULL */
	union {
		int64_t i;
		double d;
		size_t len;	/* of the text, which follows */
	};
};
/* The cell behind c; and its text, NUL-ended. */
const struct vtab_cell *vtab_next(const struct vtab_cell *c);
const char *vtab_cell_text(const struct vtab_cell *c);

/* Fills the rows of a table by name. */
typedef void vtab_fill(void *arg, const char *table, struct vtab_rows *rows);
/* While the server's own statements are allowed (GUARD_INTERNAL). */
int vtab_register(sqlite3 *db, vtab_fill *fill, void *arg);
/* Whether this is one of these tables. */
int vtab_is(const char *table);

#endif
