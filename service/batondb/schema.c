// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the schema says of names in a statement: the types of columns, where infer.c
 * or sql_assign.c asks for one; and booleans.
 *
 * 't' beside a column of type boolean is a boolean, and not a text. SQLite would
 * compare it as text; so, where a string that may be one stands beside a name, the
 * schema is asked, and the token becomes TRUE or FALSE. No other statement pays
 * for it.
 */
#include <stdlib.h>
#include <string.h>

#include "session.h"

static bool may_be(const struct lex_tok *t)
{
	return t->kind == LEX_STRING && t->n <= 5 && bool_parse(t->s, t->n) >= 0;
}

static void become(struct lex_tok *t)
{
	bool is = bool_parse(t->s, t->n);

	t->kind = LEX_ID;
	t->s = is ? "true" : "false";
	t->n = strlen(t->s);
}

struct asked {
	sqlite3 *db;
	struct buf names;	/* all of the statement, each between blanks */
};

/* In each of the statement's tables that has a column of this name? */
static bool is_boolean(struct asked *a, const char *column)
{
	sqlite3_stmt *st;
	bool is;

	if (sqlite3_prepare_v2(a->db, "select min(c.type like 'bool%') from sqlite_schema m, pragma_table_info(m.name) c "
				      "where m.type = 'table' and c.name = ?1 and instr(?2, ' ' || m.name || ' ')", -1, &st, NULL))
		return false;
	sqlite3_bind_text(st, 1, column, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, a->names.p, (int)a->names.len, SQLITE_STATIC);
	is = sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return is;
}

static bool compares(const struct lex_tok *t)
{
	return lex_is(t, "=") || lex_is(t, "<>") || lex_is(t, "!=");
}

static void names_of(struct asked *a, const struct lex_tok *t)
{
	buf_init(&a->names, 1 << 20);
	buf_ch(&a->names, ' ');
	for (; t->kind != LEX_END; t++)
		if (lex_name(t)) {
			buf_add(&a->names, t->s, t->n);
			buf_ch(&a->names, ' ');
		}
	buf_cstr(&a->names);
}

static struct coltype field(void *db, const char *table, const char *name)
{
	const char *type;

	if (sqlite3_table_column_metadata(db, NULL, table, name, &type, NULL, NULL, NULL, NULL))
		return (struct coltype){ 0, -1 };
	return type_from_decl(type);
}

static struct coltype column(void *db, const struct lex_tok *tok, const char *name)
{
	struct coltype t = { 0, -1 }, other;

	/* Of all tables that are named and have such a column, if they agree. */
	for (; tok->kind != LEX_END; tok++) {
		other = lex_name(tok) ? field(db, tok->s, name) : (struct coltype){ 0, -1 };
		if (!other.oid)
			continue;
		if (t.oid && (t.oid != other.oid || t.mod != other.mod))
			return (struct coltype){ 0, -1 };
		t = other;
	}
	return t;
}

/* The strings of all rows, one after the other, are behind the fields. */
static struct sql_fields *fields(void *db, const char *table)
{
	struct sql_fields *f = NULL;
	size_t bytes = 0;
	unsigned n = 0, i;
	sqlite3_stmt *st;
	char *to, *end;

	if (sqlite3_prepare_v2(db, "select name, type, dflt_value from pragma_table_info(?1)", -1, &st, NULL))
		return NULL;
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	for (; sqlite3_step(st) == SQLITE_ROW; n++)
		bytes += sqlite3_column_bytes(st, 0) + sqlite3_column_bytes(st, 2) + 2;
	sqlite3_reset(st);
	if (n)
		f = malloc(sizeof(*f) + n * sizeof(f->f[0]) + bytes);
	for (i = 0, to = f ? (char *)&f->f[n] : NULL, end = to + bytes; f && i < n && sqlite3_step(st) == SQLITE_ROW; i++) {
		const char *def = (const char *)sqlite3_column_text(st, 2);

		/* Somebody altered it meanwhile. */
		if (end - to < sqlite3_column_bytes(st, 0) + sqlite3_column_bytes(st, 2) + 2)
			break;

		f->f[i].name = to;
		to = stpcpy(to, (const char *)sqlite3_column_text(st, 0)) + 1;
		f->f[i].type = type_from_decl((const char *)sqlite3_column_text(st, 1));
		f->f[i].def = def ? to : NULL;
		if (def)
			to = stpcpy(to, def) + 1;
	}
	if (f)
		f->n = i;
	sqlite3_finalize(st);
	return f;
}

const struct sql_schema schema = { column, field, fields };

void schema_booleans(sqlite3 *db, struct lex_tok *tok)
{
	struct asked a = { .db = db };
	struct lex_tok *t;
	bool any = false;

	for (t = tok; t->kind != LEX_END; t++)
		any |= may_be(t);
	if (!any)
		return;
	names_of(&a, tok);
	if (!a.names.failed) {
		for (t = tok; t->kind != LEX_END; t++) {
			const struct lex_tok *name = t;

			/* c = 't'; c IN ('t', 'f'); 't' = x.c */
			if (t - tok >= 2 && may_be(t) && compares(t - 1) && lex_name(t - 2) && is_boolean(&a, t[-2].s)) {
				become(t);
			} else if (may_be(t) && compares(t + 1) && lex_name(t + 2)) {
				for (name = t + 2; lex_is(name + 1, ".") && lex_name(name + 2); name += 2)
					;
				if (!lex_is(name + 1, "(") && is_boolean(&a, name->s))
					become(t);
			} else if (t > tok && lex_is(t, "in") && lex_is(t + 1, "(") && may_be(t + 2)) {
				name = lex_is(t - 1, "not") && t - tok >= 2 ? t - 2 : t - 1;
				if (lex_name(name) && is_boolean(&a, name->s))
					for (t += 2; t->kind != LEX_END && !lex_is(t, ")"); t++)
						if (may_be(t))
							become(t);
			}
			if (t->kind == LEX_END)
				break;
		}
	}
	buf_free(&a.names);
}
