// SPDX-License-Identifier: GPL-2.0-or-later
/* Statements: what they are, prepared, and checked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

void exec_drop(struct stmt *st)
{
	int i;

	if (!st)
		return;
	sqlite3_finalize(st->st);
	for (i = 0; i < st->n_cols; i++)
		free(st->names[i]);
	free(st->names);
	free(st->cols);
	free(st->types);
	free(st->given);
	free(st->places);
	mem_free(st->source);
	free(st->name);
	free(st);
}

static const struct {
	const char *words, *tag;
	enum guard_kind kind;
	bool rows, changes;
} kinds[] = {
	{ "select", "SELECT", GUARD_QUERY, true, false }, { "values", "SELECT", GUARD_QUERY, true, false },
	{ "insert", "INSERT 0", GUARD_QUERY, false, true }, { "replace", "INSERT 0", GUARD_QUERY, false, true },
	{ "update", "UPDATE", GUARD_QUERY, false, true }, { "delete", "DELETE", GUARD_QUERY, false, true },
	{ "explain", "EXPLAIN", GUARD_QUERY, false, false },
	{ "create table", "CREATE TABLE", GUARD_DDL, false, false }, { "create view", "CREATE VIEW", GUARD_DDL, false, false },
	{ "create index", "CREATE INDEX", GUARD_DDL, false, false }, { "create unique index", "CREATE INDEX", GUARD_DDL, false, false },
	{ "drop table", "DROP TABLE", GUARD_DDL, false, false }, { "drop view", "DROP VIEW", GUARD_DDL, false, false },
	{ "drop index", "DROP INDEX", GUARD_DDL, false, false }, { "alter table", "ALTER TABLE", GUARD_DDL, false, false },
	{ "reindex", "REINDEX", GUARD_DDL, false, false }, { "analyze", "ANALYZE", GUARD_ANALYZE, false, false },
};

/* Statements of SQLite and PostgreSQL that are not supported, and no mistakes. */
static const char *const others[] = {
	"create", "drop", "alter", "pragma", "attach", "detach", "vacuum", "listen", "notify", "unlisten", "do", "call", "merge", "comment",
	"lock", "cluster", "refresh", "import", "move", "close", "checkpoint", "discard", "grant", "revoke", "declare", "fetch", "prepare", "execute",
	"set",
};

/* The kind of a statement, by its first words; behind WITH, by the verb behind the parentheses. */
static bool find_kind(struct session *s, struct stmt *st, const struct lex_tok *t, const struct lex_tok *end)
{
	unsigned i;

	if (lex_is(t, "with"))
		for (t++; t < end && !(t->kind == LEX_ID && strstr(" select values insert replace update delete ", t->s) && t->n > 4); t++)
			if (lex_is(t, "("))
				t = lex_close(t);
	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (lex_are(t, kinds[i].words)) {
			st->tag = kinds[i].tag;
			st->kind = kinds[i].kind;
			st->counts_rows = kinds[i].rows;
			st->counts_changes = kinds[i].changes;
			return true;
		}
	/* Statements that are not in the table SQLite never sees: PRAGMA, ATTACH, VACUUM INTO a file ... */
	for (i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (lex_is(t, others[i]))
			return err_hint(s, "0A000", "batondb(8) says what there is.", "%s %s is not supported", t->s, t[1].s);
	return err_syntax(s, t);
}

static bool prepare(struct session *s, const struct stmt *st, sqlite3_stmt **out)
{
	const char *tail;
	int rc;

	s->guard.kind = st->kind;
	*s->guard.why = 0;
	s->guard.views = 0;
	rc = sqlite3_prepare_v3(s->db, st->source, -1, SQLITE_PREPARE_PERSISTENT, out, &tail);
	s->guard.kind = GUARD_QUERY;
	if (rc && strstr(st->source, "pg_catalog."))
		return err_hint(s, "0A000", "Of psql's there are \\d, \\dt, \\di, \\dv, \\du and \\l, with a relation's whole name or none, and without +.",
				"there is no catalog that a statement could ask");
	return !rc || err_db(s, rc);
}

/* Names and types of a result's columns; of a type that batondb does not have there may be some in older tables. */
static bool find_columns(struct stmt *st)
{
	int n = sqlite3_column_count(st->st), i;

	st->cols = calloc(n + 1, sizeof(*st->cols));
	st->names = calloc(n + 1, sizeof(*st->names));
	if (!st->cols || !st->names)
		return false;
	for (i = 0; i < n; i++) {
		st->cols[i] = type_of_decl(sqlite3_column_decltype(st->st, i));
		if (st->cols[i] == T_REFUSED)
			st->cols[i] = 0;
		st->names[i] = strdup(sqlite3_column_name(st->st, i) ? sqlite3_column_name(st->st, i) : "");
		if (!st->names[i])
			return false;
		st->n_cols = i + 1;
	}
	return true;
}

uint32_t stmt_given(const struct stmt *st, unsigned k)
{
	return k < st->n_given ? proto_number(st->given + 4 * (size_t)k, 4) : 0;
}

/* Parameters are $1, $2 ...: what else SQLite would take for one is an error. */
static bool find_parameters(struct session *s, struct stmt *st, const struct lex_tok *t, const struct lex_tok *end)
{
	const char *name;
	int i, n = sqlite3_bind_parameter_count(st->st);
	unsigned k, most = st->n_given;

	for (i = 1; i <= n; i++) {
		name = sqlite3_bind_parameter_name(st->st, i);
		if (!name || name[0] != '$' || !name[1] || name[1 + strspn(name + 1, "0123456789")] || atoi(name + 1) < 1 || atoi(name + 1) > 65535) {
			for (; t < end && !(t->kind == LEX_PARAM && (!name || !strcmp(t->s, name))); t++)
				;
			return err_hint(s, "42601", name && strstr(name, "::") ? "A cast is written CAST($1 AS INTEGER)." :
					"Parameters are $1, $2 ...", "syntax error at or near \"%.60s\"", t->s);
		}
		k = (unsigned)atoi(name + 1);
		most = k > most ? k : most;
	}
	st->n_params = most;
	st->types = calloc(most + 1, sizeof(*st->types));
	st->places = calloc(most + 1, sizeof(*st->places));
	if (!st->types || !st->places)
		return err(s, "53200", "out of memory");
	for (i = 1; i <= n; i++)
		st->places[atoi(sqlite3_bind_parameter_name(st->st, i) + 1) - 1] = i;
	for (k = 0; k < st->n_given; k++) {
		st->types[k] = type_of_client(stmt_given(st, k));
		if (st->types[k] == T_REFUSED)
			return err_hint(s, "0A000", "There are int2, int4, int8, float4, float8, bool, text and bytea; "
					"times and exact decimals are passed as text.", "parameter $%u is of a type that is not supported (%u)", k + 1,
					stmt_given(st, k));
	}
	return true;
}

static bool has_text(const struct lex_tok *t, const struct lex_tok *end)
{
	for (; t < end && t->kind != LEX_STRING; t++)
		;
	return t < end;
}

/* Prepared, and what it compares is clear. */
static bool prepare_checked(struct session *s, struct stmt *st, const struct lex_tok *t, const struct lex_tok *end)
{
	struct sql_error e;
	bool ok;

	s->guard.note = true;
	ok = prepare(s, st, &st->st);
	s->guard.note = false;
	if (!ok)
		return false;
	if (!st->st)
		return err(s, "42601", "syntax error: there is no statement");
	st->writes = !sqlite3_stmt_readonly(st->st);
	st->views = s->guard.views;
	if (!find_parameters(s, st, t, end))
		return false;
	if (st->kind == GUARD_QUERY && (st->n_params || has_text(t, end)) &&
	    !check_statement(s->db, &s->guard, t, end, st->types, st->n_params, &e))
		return err_hint(s, e.code, e.hint, "%s", e.text);
	return find_columns(st) || err(s, "53200", "out of memory");
}

struct stmt *exec_make(struct session *s, const char *name, const char *text, size_t n, const uint8_t *oids, unsigned n_oids)
{
	struct stmt *st = calloc(1, sizeof(*st));
	const struct lex_tok *end;
	struct lex l = { 0 };
	bool internal = false, ok = false;
	char *form;

	if (!st)
		return err(s, "53200", "out of memory"), NULL;
	st->alters = atomic_load(&s->database->alters);
	/* SQLite tells what columns were declared as from the schema that it has read; a statement that runs reads it again. */
	if (st->alters != s->alters && !work_exec(s, "select 1 from sqlite_schema limit 1")) {
		exec_drop(st);
		return NULL;
	}
	s->alters = st->alters;
	form = form_of(text, n, &internal);
	if (form) {
		text = form;
		n = strlen(form);
	}
	st->source = n < INT32_MAX ? mem_alloc((int)n + 1) : NULL;
	st->name = strdup(name);
	st->given = malloc(4 * (size_t)n_oids + 1);
	if (!st->source || !st->name || !st->given || !lex(&l, text, n)) {
		err(s, "53200", "out of memory");
		goto out;
	}
	memcpy(st->source, text, n);
	st->source[n] = 0;
	if (n_oids)
		memcpy(st->given, oids, 4 * (size_t)n_oids);
	st->n_given = n_oids;
	end = lex_statement(l.tok);
	if (end->kind != LEX_END && end[1].kind != LEX_END) {
		err(s, "42601", "cannot insert multiple commands into a prepared statement");
	} else if (l.tok == end) {
		st->empty = st->lasting = true;
		st->tag = "";
		ok = true;
	} else if (util_is(st, l.tok)) {
		ok = true;
	} else {
		ok = find_kind(s, st, l.tok, end);
		if (internal)
			st->kind = GUARD_INTERNAL;
		ok = ok && prepare_checked(s, st, l.tok, end);
	}
out:
	guard_forget(&s->guard);
	free(form);
	lex_free(&l);
	if (ok)
		return st;
	exec_drop(st);
	return NULL;
}
