// SPDX-License-Identifier: GPL-2.0-or-later
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "funcs.h"

static bool begins(const char *s, const char *with)
{
	return !sqlite3_strnicmp(s, with, (int)strlen(with));
}

static bool is_schema(const char *table)
{
	return !sqlite3_stricmp(table, "sqlite_schema") || !sqlite3_stricmp(table, "sqlite_master");
}

/* Made by SQLite or by batondb, not by a user. */
static bool is_reserved(const char *table)
{
	return view_is(table) || begins(table, "sqlite_") || begins(table, "pragma_") || begins(table, "pg_") || begins(table, "baton_");
}

static int refuse(struct guard *g, const char *fmt, const char *what) __attribute__((format(printf, 2, 0)));

static int refuse(struct guard *g, const char *fmt, const char *what)
{
	snprintf(g->why, sizeof(g->why), fmt, what);
	return SQLITE_DENY;
}

static void note(struct guard *g, const char *table, const char *column)
{
	unsigned i;

	if (!g->note || !*column)
		return;
	for (i = 0; i < g->n; i++)
		if (!strcmp(g->columns[i].column, column) && !strcmp(g->columns[i].table, table))
			return;
	if (g->n == GUARD_COLUMNS) {
		g->more = true;
		return;
	}
	g->columns[g->n].table = strdup(table);
	g->columns[g->n].column = strdup(column);
	if (g->columns[g->n].table && g->columns[g->n].column)
		g->n++;
	else
		g->more = true;
}

static bool changes_schema(const struct guard *g)
{
	return g->kind == GUARD_DDL || g->kind == GUARD_ANALYZE;
}

static int read_column(struct guard *g, const char *table, const char *column)
{
	note(g, table, column);
	if (view_is(table) || is_schema(table) || !is_reserved(table))
		return SQLITE_OK;
	if (changes_schema(g) && (begins(table, "sqlite_") || !sqlite3_stricmp(table, "pragma_quick_check")))
		return SQLITE_OK;
	return refuse(g, "permission denied for table %s", table);
}

static int write_table(struct guard *g, const char *table, const char *column)
{
	note(g, table, column);
	if (!is_reserved(table) || (changes_schema(g) && begins(table, "sqlite_")))
		return SQLITE_OK;
	return refuse(g, "permission denied for table %s", table);
}

static int create(struct guard *g, const char *name)
{
	if (!is_reserved(name) || begins(name, "sqlite_autoindex_") || (g->kind == GUARD_ANALYZE && begins(name, "sqlite_stat")) ||
	    !sqlite3_stricmp(name, "sqlite_sequence"))
		return SQLITE_OK;
	return refuse(g, "the name %s is reserved", name);
}

static int authorize(void *arg, int op, const char *a, const char *b, const char *schema, const char *trigger)
{
	struct guard *g = arg;
	uint32_t type;

	if (op == SQLITE_READ)
		g->views |= view_is(a);
	if (g->kind == GUARD_INTERNAL)
		return SQLITE_OK;
	a = a ? a : "";
	b = b ? b : "";
	/* A WITHOUT ROWID table's and an index' parts are seen as the table's. */
	switch (op) {
	case SQLITE_SELECT:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_READ:
		return read_column(g, a, b);
	case SQLITE_INSERT:
	case SQLITE_DELETE:
		return write_table(g, a, "");
	case SQLITE_UPDATE:
		return write_table(g, a, b);
	case SQLITE_FUNCTION:
		if (funcs_allowed(b, &type) || (changes_schema(g) && (begins(b, "sqlite_") || !strcmp(b, "raise") ||
								     !strcmp(b, "stat_init") || !strcmp(b, "stat_push") ||
								     !strcmp(b, "stat_get"))))
			return SQLITE_OK;
		return refuse(g, "function %s() does not exist here", b);
	case SQLITE_CREATE_INDEX:
	case SQLITE_CREATE_TABLE:
	case SQLITE_CREATE_VIEW:
		return create(g, a);
	case SQLITE_DROP_INDEX:
	case SQLITE_DROP_TABLE:
	case SQLITE_DROP_VIEW:
	case SQLITE_REINDEX:
	case SQLITE_ANALYZE:
		return SQLITE_OK;
	case SQLITE_ALTER_TABLE:
		return is_reserved(b) ? refuse(g, "permission denied for table %s", b) : SQLITE_OK;
	case SQLITE_PRAGMA:
		if (g->kind == GUARD_DDL && !strcmp(a, "quick_check"))
			return SQLITE_OK;
		return refuse(g, "PRAGMA %s is not supported", a);
	default:
		/* No text of a client's gets here: stmt.c has a list of statements. */
		return refuse(g, "%s is not supported", "the statement");
	}
}

int guard_apply(sqlite3 *db, struct guard *g, int max_value)
{
	static const struct { int option, on; } options[] = {
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 }, { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 }, { SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0 },
		{ SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 }, { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 }, { SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_DQS_DML, 0 }, { SQLITE_DBCONFIG_DQS_DDL, 0 }, { SQLITE_DBCONFIG_ENABLE_FKEY, 1 },
	};
	static const struct { int limit, value; } limits[] = {
		{ SQLITE_LIMIT_ATTACHED, 0 }, { SQLITE_LIMIT_WORKER_THREADS, 0 }, { SQLITE_LIMIT_VARIABLE_NUMBER, 65535 },
		{ SQLITE_LIMIT_COLUMN, 1600 }, { SQLITE_LIMIT_SQL_LENGTH, 4 << 20 }, { SQLITE_LIMIT_VDBE_OP, 1000000 },
		{ SQLITE_LIMIT_COMPOUND_SELECT, 500 }, { SQLITE_LIMIT_EXPR_DEPTH, 500 }, { SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50000 },
	};
	unsigned i;
	int rc = 0, on;

	for (i = 0; i < sizeof(options) / sizeof(*options) && !rc; i++)
		rc = sqlite3_db_config(db, options[i].option, options[i].on, &on);
	for (i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		sqlite3_limit(db, limits[i].limit, limits[i].value);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, max_value);
	/* SQLite's own virtual tables are not there; pragma_... are made as they are named. */
	if (!rc)
		rc = sqlite3_drop_modules(db, NULL);
	return rc ? rc : sqlite3_set_authorizer(db, authorize, g);
}

void guard_forget(struct guard *g)
{
	while (g->n) {
		g->n--;
		free(g->columns[g->n].table);
		free(g->columns[g->n].column);
	}
	g->more = false;
}
