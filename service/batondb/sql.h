/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sql.h - PostgreSQL's SQL to SQLite's. Pure: it works on tokens and knows no
 * catalog. What it does not know it leaves as it is, for SQLite to judge.
 */
#ifndef BATONDB_SQL_H
#define BATONDB_SQL_H

#include "lex.h"
#include "types.h"

enum sql_kind {
	SQL_EMPTY, SQL_READ, SQL_WRITE, SQL_EXPLAIN,
	SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK, SQL_SAVEPOINT, SQL_RELEASE, SQL_ROLLBACK_TO,
	SQL_SET, SQL_RESET, SQL_SHOW, SQL_DISCARD, SQL_COPY,
	SQL_CREATE_TABLE, SQL_CREATE_TABLE_AS, SQL_CREATE_INDEX, SQL_CREATE_VIEW, SQL_CREATE_SEQUENCE,
	SQL_ALTER_TABLE, SQL_DROP, SQL_TRUNCATE, SQL_VACUUM, SQL_ANALYZE, SQL_LOCK, SQL_CHECKPOINT,
	SQL_CREATE_ROLE, SQL_ALTER_ROLE, SQL_DROP_ROLE, SQL_CREATE_DATABASE, SQL_DROP_DATABASE,
	SQL_ALTER_SYSTEM, SQL_GRANT, SQL_REVOKE, SQL_REINDEX, SQL_PREPARE, SQL_EXECUTE, SQL_DEALLOCATE, SQL_DECLARE, SQL_FETCH, SQL_CLOSE,
	SQL_FOREIGN,		/* PostgreSQL has it */
	SQL_UNKNOWN,
};

struct sql_col {
	char *name;		/* NULL: as SQLite has it */
	struct coltype type;	/* oid 0: as declared */
	struct coltype derived;	/* where nothing is declared: of the subquery's column; oid 0: as the value is */
	bool star;		/* stands for any number of columns */
};

struct sql_error {
	const char *code;
	char text[256];
	size_t at;		/* byte in the source; SIZE_MAX: nowhere */
};

struct sql_map {
	unsigned out, src;	/* bytes */
};

struct sql_fields {
	unsigned n;
	struct sql_field {
		const char *name;
		struct coltype type;
		const char *def;	/* the default, as SQLite has it; NULL: none */
	} f[];
};

/* What is asked of the schema. oid 0: there is no such column. */
struct sql_schema {
	/* A column of one of the tables that the statement names. */
	struct coltype (*column)(void *arg, const struct lex_tok *tok, const char *name);
	/* Of this table. */
	struct coltype (*field)(void *arg, const char *table, const char *name);
	/* All of a table's columns, in one piece of memory that the caller frees; NULL: there are none. */
	struct sql_fields *(*fields)(void *arg, const char *table);
};

/* Columns' types that were asked for. */
#define SQL_KNOWN 64
struct sql_known {
	const char *name[SQL_KNOWN];
	struct coltype type[SQL_KNOWN];
	unsigned next;
};

/* One statement, rewritten. */
struct sql {
	enum sql_kind kind;
	const char *tag;	/* of CommandComplete; a count is put behind some */
	struct buf text;
	struct sql_map *map;
	unsigned n_map, n_params;
	struct sql_col *cols;
	unsigned n_cols;
	bool writes;		/* needs the database's write lock */
	const uint32_t *given;	/* types of the first n_given parameters, as the client said; 0: it did not */
	unsigned n_given;
	struct coltype *params;	/* n_params; as was given, as casts and columns say, else oid 0 */
	const struct lex_tok *tok;	/* while it is rewritten */
	const struct sql_schema *schema;	/* or NULL */
	void *schema_arg;
	struct sql_known *known;	/* the caller's, begun as zeros, or NULL; while it is rewritten */
};

/* What kind of statement begins at t. */
enum sql_kind sql_kind(const struct lex_tok *t, const char **tag);
/* A statement of these tokens, [t, end): SQL_READ, SQL_WRITE. */
bool sql_rewrite(struct sql *s, const struct lex_tok *t, const struct lex_tok *end, struct sql_error *e);
void sql_free(struct sql *s);
/* Byte of the source for a byte of the text. */
size_t sql_source(const struct sql *s, size_t out);
/* A part of a statement, as an expression is written in another. */
bool sql_expr(struct buf *to, const struct lex_tok *t, const struct lex_tok *end, struct sql_error *e);
/* The same, as what is put into a column of this type. s: of the statement, if something is known of it, or NULL. */
bool sql_assigned(struct buf *to, struct sql *s, const struct lex_tok *t, const struct lex_tok *end, struct coltype type, struct sql_error *e);
/* The end of the statement that begins at t: its ; or the end. */
const struct lex_tok *sql_end(const struct lex_tok *t);
/* The type of an expression; oid 0: who knows. */
struct coltype sql_type(const struct sql *s, const struct lex_tok *t, const struct lex_tok *end);
/* What the columns of a SELECT or RETURNING are called, and are: infer.c. */
bool sql_columns(struct sql *s, const struct lex_tok *t, const struct lex_tok *end);
/* The next comma, or end, outside of parentheses. */
const struct lex_tok *sql_comma(const struct lex_tok *t, const struct lex_tok *end);

__attribute__((format(printf, 4, 5)))
bool sql_fail(struct sql_error *e, const char *code, const struct lex_tok *at, const char *fmt, ...);
bool sql_syntax(struct sql_error *e, const struct lex_tok *at, const struct lex *l);

#endif
