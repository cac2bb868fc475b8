// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the schema says of names in a statement: the types of columns, where infer.c
 * asks for one; and booleans.
 *
 * 't' beside a column of type boolean is a boolean, and not a text. SQLite would
 * compare and store it as text; so, where a string that may be one stands beside a
 * name, or in the VALUES of an INSERT, the schema is asked, and the token becomes
 * TRUE or FALSE. No other statement pays for it.
 */
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

/* One value of one row; sql has ?1, and perhaps ?2 for the statement's names. */
static bool answer(struct asked *a, const char *sql, const char *arg, int nth)
{
	sqlite3_stmt *st;
	bool is;

	if (sqlite3_prepare_v2(a->db, sql, -1, &st, NULL))
		return false;
	sqlite3_bind_text(st, 1, arg, -1, SQLITE_STATIC);
	if (nth < 0)
		sqlite3_bind_text(st, 2, a->names.p, (int)a->names.len, SQLITE_STATIC);
	else
		sqlite3_bind_int(st, 2, nth);
	is = sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return is;
}

/* In each of the statement's tables that has a column of this name? */
static bool is_boolean(struct asked *a, const char *column)
{
	return answer(a, "select min(c.type like 'bool%') from sqlite_schema m, pragma_table_info(m.name) c "
			 "where m.type = 'table' and c.name = ?1 and instr(?2, ' ' || m.name || ' ')", column, -1);
}

static bool nth_is_boolean(struct asked *a, const char *table, int n)
{
	return answer(a, "select type like 'bool%' from pragma_table_info(?1) where cid = ?2", table, n);
}

static void insert(struct asked *a, struct lex_tok *t)
{
	const struct lex_tok *cols = NULL, *end, *p;
	const char *table;
	struct lex_tok *v;
	bool is, wanted;
	int n;

	t += 2;
	if (lex_name(t) && lex_is(t + 1, "."))
		t += 2;
	if (!lex_name(t))
		return;
	table = t->s;
	for (t++; t->kind != LEX_END && !lex_is(t, "values") && !lex_is(t, "select"); t++)
		if (lex_is(t, "(") && !cols) {
			cols = t;
			t += lex_close(t) - t;
		}
	if (!lex_is(t, "values"))
		return;
	for (t++; lex_is(t, "("); t += lex_is(t, ",")) {
		end = lex_close(t);
		n = 0;
		for (v = t + 1, wanted = true; v < end; v++) {
			if (lex_is(v, ",")) {
				n++;
				wanted = true;
				continue;
			}
			if (wanted && may_be(v) && (v + 1 == end || lex_is(v + 1, ","))) {
				for (p = cols ? cols + 1 + 2 * n : NULL; p && p > lex_close(cols); p = NULL)
					;
				is = p ? lex_name(p) && is_boolean(a, p->s) : !cols && nth_is_boolean(a, table, n);
				if (is)
					become(v);
			}
			wanted = false;
			v += lex_close(v) - v;
		}
		t += end - t;
		if (t->kind != LEX_END)
			t++;
	}
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

struct coltype schema_column(void *db, const struct lex_tok *tok, const char *name)
{
	struct coltype t = { 0, -1 }, other;
	const char *type;

	/* Of all tables that are named and have such a column, if they agree. */
	for (; tok->kind != LEX_END; tok++) {
		if (!lex_name(tok) || sqlite3_table_column_metadata(db, NULL, tok->s, name, &type, NULL, NULL, NULL, NULL))
			continue;
		other = type_from_decl(type);
		if (t.oid && (t.oid != other.oid || t.mod != other.mod))
			return (struct coltype){ 0, -1 };
		t = other;
	}
	return t;
}

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
		if (lex_are(tok, "insert into"))
			insert(&a, tok);
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
