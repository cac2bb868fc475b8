// SPDX-License-Identifier: GPL-2.0-or-later
/* What else is created, dropped and emptied: indexes, views, tables of a query, sequences. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ddl.h"

tokp ddl_name(tokp t, char *to, size_t n)
{
	if (lex_name(t) && lex_is(t + 1, ".") && lex_name(t + 2))
		t += 2;
	snprintf(to, n, "%s", lex_name(t) ? t->s : "");
	return lex_name(t) ? t + 1 : NULL;
}

void ddl_id(struct buf *b, const char *name)
{
	buf_sql_id(b, name, strlen(name));
}

void ddl_columns(struct buf *b, tokp open)
{
	tokp close = lex_close(open), t;

	for (t = open; t <= close; t++)
		if (lex_name(t))
			ddl_id(b, t->s);
		else if (t->kind == LEX_OP)
			buf_add(b, t->s, t->n);
}

bool ddl_exists(struct session *s, const char *name)
{
	sqlite3_stmt *st;
	bool is;

	if (sqlite3_prepare_v2(s->db, "select 1 from sqlite_schema where name = ?1", -1, &st, NULL))
		return false;
	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	is = sqlite3_step(st) == SQLITE_ROW;
	sqlite3_finalize(st);
	return is;
}

/* (a, lower(b) text_pattern_ops DESC NULLS LAST) at open: SQLite takes no operator class, nor where NULLs are to be. */
static bool index_columns(struct buf *b, tokp open, struct sql_error *e)
{
	tokp p, comma, end, close = lex_close(open);
	bool desc;

	for (p = open + 1; p < close; p = comma + 1) {
		comma = end = sql_comma(p, close);
		if (end - p > 2 && lex_is(end - 2, "nulls"))
			end -= 2;
		desc = end - p > 1 && lex_is(end - 1, "desc");
		if (desc || (end - p > 1 && lex_is(end - 1, "asc")))
			end--;
		if (end - p > 1 && end[-1].kind == LEX_ID && end[-1].n > 4 && !strcmp(end[-1].s + end[-1].n - 4, "_ops"))
			end--;
		buf_str(b, p == open + 1 ? "(" : ", ");
		if (!sql_expr(b, p, end, e))
			return false;
		if (desc)
			buf_str(b, " desc");
	}
	buf_ch(b, ')');
	return true;
}

static bool create_index(struct session *s, tokp p, tokp end, const char *tag, const char *text)
{
	char table[128], name[200] = "";
	struct sql_error e;
	struct buf b;
	bool ok, uniq = lex_is(p + 1, "unique"), unless = false;
	tokp q;

	p += 2 + uniq;
	if (lex_is(p, "concurrently"))
		p++;
	if (lex_are(p, "if not exists")) {
		unless = true;
		p += 3;
	}
	if (lex_name(p) && !lex_is(p, "on")) {
		snprintf(name, sizeof(name), "%s", p->s);
		p++;
	}
	if (!lex_is(p, "on"))
		return util_syntax(s, p, text);
	p = ddl_name(p + 1 + lex_is(p + 1, "only"), table, sizeof(table));
	if (p && lex_is(p, "using"))
		p += 2;
	if (!p || !lex_is(p, "("))
		return util_syntax(s, p ? p : end, text);
	if (!*name) {
		size_t n = snprintf(name, sizeof(name), "%s", table);

		for (q = p; q < lex_close(p) && n < sizeof(name); q++)
			if (lex_name(q) && !lex_is(q, "asc") && !lex_is(q, "desc"))
				n += snprintf(name + n, sizeof(name) - n, "_%s", q->s);
		if (n < sizeof(name))
			snprintf(name + n, sizeof(name) - n, "_idx");
	}
	buf_init(&b, 1 << 20);
	buf_fmt(&b, "create %sindex %s", uniq ? "unique " : "", unless ? "if not exists " : "");
	ddl_id(&b, name);
	buf_str(&b, " on ");
	ddl_id(&b, table);
	buf_ch(&b, ' ');
	q = lex_close(p) + 1;
	ok = index_columns(&b, p, &e);
	for (; ok && q < end; q++)
		if (lex_is(q, "where")) {
			buf_ch(&b, ' ');
			ok = sql_expr(&b, q, end, &e);
			break;
		}
	ok = ok ? work_write(s) && work_exec(s, buf_cstr(&b)) : err_at(s, &e, text);
	buf_free(&b);
	if (ok)
		proto_complete(&s->out, tag);
	return ok;
}

/* Views may be made of views, each of which takes some of the stack of who reads the last one. */
#define MAX_VIEWS 2000

/* The number that this query has; 0: it cannot be asked. */
static long long number(struct session *s, const char *sql)
{
	sqlite3_stmt *st;
	long long n = 0;

	if (!sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

struct as {
	char name[128];
	bool temp, unless, replace, view;
	tokp names;		/* (a, b), or NULL */
	tokp query, end;
};

/* [OR REPLACE] [TEMP] TABLE | VIEW [IF NOT EXISTS] name [(a, b)] AS query, behind CREATE. */
static bool parse_as(struct session *s, struct as *a, tokp p, tokp end, const char *text)
{
	tokp as;

	for (p++; !lex_is(p, "view") && !lex_is(p, "table"); p++) {
		a->replace |= lex_is(p, "replace");
		a->temp |= lex_is(p, "temp") || lex_is(p, "temporary");
	}
	a->view = lex_is(p++, "view");
	if (lex_are(p, "if not exists")) {
		a->unless = true;
		p += 3;
	}
	p = ddl_name(p, a->name, sizeof(a->name));
	for (as = p; as && as < end && !lex_is(as, "as"); as = lex_close(as) + 1)
		;
	if (!p || as >= end)
		return util_syntax(s, end, text);
	a->names = lex_is(p, "(") ? p : NULL;
	a->query = as + 1;
	a->end = end;
	return true;
}

static bool create_view(struct session *s, const struct as *a, const char *text)
{
	struct sql_known known = { 0 };
	struct sql q = { .kind = SQL_READ, .schema = &schema, .schema_arg = s->db, .known = &known };
	bool there = a->replace && ddl_exists(s, a->name), ok;
	struct sql_error e;
	struct buf b;

	if (number(s, "select count(*) from sqlite_schema where type = 'view'") - there >= MAX_VIEWS)
		return err(s, "54000", "a database has at most %d views", MAX_VIEWS);
	buf_init(&b, 64 << 20);
	if (there) {
		buf_str(&b, "drop view ");
		ddl_id(&b, a->name);
		buf_ch(&b, ';');
	}
	buf_fmt(&b, "create %sview %s", a->temp ? "temp " : "", a->unless ? "if not exists " : "");
	ddl_id(&b, a->name);
	if (a->names)
		ddl_columns(&b, a->names);
	buf_str(&b, " as ");
	ok = sql_rewrite(&q, a->query, a->end, &e) || err_at(s, &e, text);
	buf_add(&b, q.text.p, q.text.len);
	sql_free(&q);
	ok = ok && work_write(s) && work_exec(s, buf_cstr(&b));
	buf_free(&b);
	if (ok)
		proto_complete(&s->out, "CREATE VIEW");
	return ok;
}

/* Its columns are called, and are, what those of the query's result are. */
static bool create_table_as(struct session *s, const struct as *a, const char *text)
{
	tokp end = a->end, k, name = a->names;
	bool data = true, ok;
	struct stmt *st;
	char tag[40];
	struct buf b;
	int i;

	for (k = a->query; k < end; k++)
		if (lex_are(k, "with data") || lex_are(k, "with no data")) {
			data = lex_is(k + 1, "data");
			end = k;
		}
	if (a->unless && ddl_exists(s, a->name)) {
		notice(s, "42P07", "relation \"%s\" already exists, skipping", a->name);
		proto_complete(&s->out, "CREATE TABLE AS");
		return true;
	}
	st = exec_make(s, "", text + a->query->at, end[-1].end - a->query->at, NULL, 0);
	if (!st)
		return false;
	buf_init(&b, 64 << 20);
	buf_fmt(&b, "create %stable ", a->temp ? "temp " : "");
	ddl_id(&b, a->name);
	for (i = 0; i < st->n_cols; i++) {
		struct coltype t = st->cols[i];

		/* What the digits of an expression are is not what its column may hold. */
		if (t.oid == T_NUMERIC && t.mod >= 38 << 16)
			t.mod = -1;
		for (; name && name < lex_close(a->names) && !lex_name(name); name++)
			;
		buf_str(&b, i ? ", " : "(");
		table_column(&b, name && lex_name(name) ? name->s : st->names[i], t);
		if (name && lex_name(name))
			name++;
	}
	buf_ch(&b, ')');
	if (data) {
		buf_str(&b, ";insert into ");
		ddl_id(&b, a->name);
		buf_ch(&b, ' ');
		buf_add(&b, st->sql.text.p, st->sql.text.len);
	}
	ok = st->n_cols ? work_write(s) && work_exec(s, buf_cstr(&b)) : util_syntax(s, a->query, text);
	exec_drop(st);
	if (ok) {
		snprintf(tag, sizeof(tag), data ? "SELECT %d" : "CREATE TABLE AS", data ? sqlite3_changes(s->db) : 0);
		proto_complete(&s->out, tag);
	}
	buf_free(&b);
	return ok;
}

static bool create_as(struct session *s, tokp p, tokp end, const char *text)
{
	struct as a = { 0 };

	return parse_as(s, &a, p, end, text) && (a.view ? create_view(s, &a, text) : create_table_as(s, &a, text));
}

/* "a, b.c, ...": f for each; false after an error. */
static bool each_name(struct session *s, tokp p, tokp end, const char *text, bool (*f)(struct session *, const char *, void *),
		      void *arg)
{
	char name[128];
	tokp at;

	if (p >= end)
		return util_syntax(s, end, text);
	for (; p < end; p++) {
		at = p + lex_is(p, "only");
		p = ddl_name(at, name, sizeof(name));
		if (!p)
			return util_syntax(s, at, text);
		if (!f(s, name, arg))
			return false;
		if (p >= end || !lex_is(p, ","))
			break;
	}
	return true;
}

struct dropped {
	const char *what;	/* "table" ... */
	bool gone;		/* IF EXISTS */
};

static bool drop_one(struct session *s, const char *name, void *arg)
{
	const struct dropped *d = arg;
	struct buf b, like;
	bool ok;

	if (strcmp(d->what, "sequence") && !ddl_exists(s, name)) {
		if (!d->gone)
			return err(s, "42P01", "%s \"%s\" does not exist", d->what, name);
		notice(s, "00000", "%s \"%s\" does not exist, skipping", d->what, name);
		return true;
	}
	buf_init(&b, 10000);
	if (!strcmp(d->what, "sequence")) {
		buf_str(&b, "delete from baton_sequences where name = ");
		buf_sql_str(&b, name, strlen(name));
	} else {
		buf_fmt(&b, "drop %s ", d->what);
		ddl_id(&b, name);
	}
	if (!strcmp(d->what, "table")) {
		buf_init(&like, 1000);
		buf_fmt(&like, "%s_", name);
		buf_str(&b, ";delete from baton_sequences where substr(name, 1, length(");
		buf_sql_str(&b, buf_cstr(&like), like.len);
		buf_str(&b, ")) = ");
		buf_sql_str(&b, buf_cstr(&like), like.len);
		buf_str(&b, " and name like '%!_seq' escape '!'");
		buf_free(&like);
	}
	ok = work_exec(s, buf_cstr(&b));
	buf_free(&b);
	return ok;
}

static bool drop(struct session *s, tokp p, tokp end, const char *tag, const char *text)
{
	struct dropped d = { .what = p[1].s };

	p += 2;
	if (lex_is(p, "concurrently"))
		p++;
	if (lex_are(p, "if exists")) {
		d.gone = true;
		p += 2;
	}
	/* Tables that refer to each other go together: what refers is counted at the end. */
	if (!work_write(s) || !work_exec(s, "pragma defer_foreign_keys = on"))
		return false;
	exec_forget(s, false);
	if (!each_name(s, p, end, text, drop_one, &d))
		return false;
	proto_complete(&s->out, tag);
	return true;
}

static bool truncate_one(struct session *s, const char *name, void *arg)
{
	struct buf b;
	bool ok;

	buf_init(&b, 10000);
	buf_str(&b, "delete from ");
	ddl_id(&b, name);
	ok = work_exec(s, buf_cstr(&b));
	buf_free(&b);
	return ok;
}

static bool truncate_tables(struct session *s, tokp p, tokp end, const char *tag, const char *text)
{
	p += 1 + lex_is(p + 1, "table");
	if (!work_write(s) || !work_exec(s, "pragma defer_foreign_keys = on") || !each_name(s, p, end, text, truncate_one, NULL))
		return false;
	proto_complete(&s->out, tag);
	return true;
}

static bool reindex(struct session *s, tokp p, tokp end, const char *tag, const char *text)
{
	bool whole = lex_is(p + 1, "database") || lex_is(p + 1, "schema") || lex_is(p + 1, "system"), ok;
	char name[128] = "";
	struct buf b;

	if (p + 2 < end && lex_is(p + 2, "concurrently"))
		p++;
	if (!whole && (p + 2 >= end || !ddl_name(p + 2, name, sizeof(name))))
		return util_syntax(s, p + 2 < end ? p + 2 : end, text);
	if (!whole && !ddl_exists(s, name))
		return err(s, "42P01", "relation \"%s\" does not exist", name);
	buf_init(&b, 1000);
	buf_str(&b, "reindex ");
	if (!whole)
		ddl_id(&b, name);
	ok = work_write(s) && work_exec(s, buf_cstr(&b));
	buf_free(&b);
	return ok && util_complete(s, tag);
}

static bool create_sequence(struct session *s, tokp p, tokp end, const char *tag, const char *text)
{
	long long start = 1, step = 1;
	char name[128];
	struct buf b;
	bool ok;

	p += 2;
	if (lex_are(p, "if not exists"))
		p += 3;
	p = ddl_name(p, name, sizeof(name));
	if (!p)
		return util_syntax(s, end, text);
	for (; p < end; p++) {
		if (lex_is(p, "start") || lex_is(p, "increment")) {
			tokp v = p + 1 + (lex_is(p + 1, "with") || lex_is(p + 1, "by"));

			if (v->kind != LEX_INT)
				return util_syntax(s, v, text);
			*(lex_is(p, "start") ? &start : &step) = atoll(v->s);
		}
	}
	buf_init(&b, 1000);
	buf_str(&b, "insert into baton_sequences values (");
	buf_sql_str(&b, name, strlen(name));
	buf_fmt(&b, ", %lld, %lld)", start - step, step);
	ok = work_write(s) && work_exec(s, buf_cstr(&b));
	buf_free(&b);
	if (ok)
		proto_complete(&s->out, tag);
	return ok;
}

static bool run(struct session *s, enum sql_kind kind, const char *tag, tokp t, const char *text)
{
	tokp end = sql_end(t);

	switch (kind) {
	case SQL_CREATE_TABLE:
		return table_create(s, t, tag, text);
	case SQL_CREATE_TABLE_AS:
		return create_as(s, t, end, text);
	case SQL_CREATE_VIEW:
		return create_as(s, t, end, text);
	case SQL_CREATE_INDEX:
		return create_index(s, t, end, tag, text);
	case SQL_CREATE_SEQUENCE:
		return create_sequence(s, t, end, tag, text);
	case SQL_ALTER_TABLE:
		return table_alter(s, t, end, tag, text);
	case SQL_DROP:
		return drop(s, t, end, tag, text);
	case SQL_REINDEX:
		return reindex(s, t, end, tag, text);
	case SQL_TRUNCATE:
		return truncate_tables(s, t, end, tag, text);
	default:
		return err(s, "0A000", "this statement is not supported");
	}
}

bool ddl_run(struct session *s, enum sql_kind kind, const char *tag, tokp t, const char *text)
{
	s->altered |= kind == SQL_ALTER_TABLE || kind == SQL_DROP || kind == SQL_CREATE_VIEW;
	s->ddls++;
	return run(s, kind, tag, t, text);
}
