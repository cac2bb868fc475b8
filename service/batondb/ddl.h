/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ddl.h - for table.c and ddl.c: names and what has them. */
#ifndef BATONDB_DDL_H
#define BATONDB_DDL_H

#include "util.h"

typedef const struct lex_tok *tokp;

/* [schema.]name at t; what follows it, or NULL. */
tokp ddl_name(tokp t, char *to, size_t n);
void ddl_id(struct buf *b, const char *name);
/* (a, b), as it stands at open. */
void ddl_columns(struct buf *b, tokp open);
bool ddl_exists(struct session *s, const char *name);
/* A column's declaration: its name, its type and what that may hold. */
void table_column(struct buf *b, const char *name, struct coltype t);
/*
 * DEFAULT [p, end). A literal is made the column's once and for all: nothing else
 * may be added to a table that has rows.
 */
bool table_default(struct session *s, struct buf *to, tokp p, tokp end, struct coltype type, const char *text);
/* decl.c: more constraints; ALTER COLUMN, at the column's name; DROP CONSTRAINT. */
bool decl_add(struct session *s, const char *table, const char *constraints);
bool decl_alter(struct session *s, const char *table, tokp p, tokp end, const char *text);
bool decl_drop_constraint(struct session *s, const char *table, const char *name, bool if_exists);
/* table.c. p: CREATE, ALTER. */
bool table_create(struct session *s, tokp p, const char *tag, const char *text);
bool table_alter(struct session *s, tokp p, tokp end, const char *tag, const char *text);

#endif
