/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * catalog.h - pg_catalog and information_schema, as far as clients ask for them:
 * views over SQLite's schema, made when a statement first needs one, and virtual
 * tables of what the server knows.
 */
#ifndef BATONDB_CATALOG_H
#define BATONDB_CATALOG_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

/* Rows to be: fields of one row after the other. */
struct cat_rows {
	struct buf cells;
	unsigned n;
};
void cat_int(struct cat_rows *r, int64_t v);
void cat_num(struct cat_rows *r, double v);
void cat_text(struct cat_rows *r, const char *s);	/* NULL: NULL */

/* Fills in the rows of a virtual table, by the name of that. */
typedef void cat_fill(void *arg, const char *table, struct cat_rows *rows);

int cat_register(sqlite3 *db, cat_fill *fill, void *arg);
/* The views. */
int cat_create(sqlite3 *db);
/* Does it name something of the catalog? */
bool cat_knows(const char *table);
/* Is a column of the catalog that is called so a boolean? */
uint32_t cat_type(const char *column);
/* A query that clients send word for word and SQLite cannot take: another one, or NULL. */
const char *cat_instead(const char *query);

#endif
