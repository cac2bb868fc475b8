/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vtab.h - tables that the server fills: who is connected, what tenants use; and generate_series(). */
#ifndef BATONDB_VTAB_H
#define BATONDB_VTAB_H

#include <sqlite3.h>

#include "buf.h"

/* A row: its cells' kinds in fmt: t a text (const char *, NULL is NULL), i an int64_t, d a double (NaN is NULL). */
void vtab_row(struct buf *rows, const char *fmt, ...);
/* Fills the rows of a table by name. */
typedef void vtab_fill(void *arg, const char *table, struct buf *rows);
/* While the server's own statements are allowed (GUARD_INTERNAL). */
int vtab_register(sqlite3 *db, vtab_fill *fill, void *arg);
/* Whether this is one of these tables. */
bool vtab_is(const char *table);

#endif
