// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CREATE TABLE and ALTER TABLE. A table of SQLite keeps PostgreSQL's names of types,
 * and checks what is put into its columns; primary keys and UNIQUE are indexes with
 * the names that PostgreSQL would give them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ddl.h"

struct table {
	struct session *s;
	const char *text;
	char name[128];
	struct buf body;	/* columns and constraints, with commas */
	struct buf after;	/* statements to follow */
	unsigned checks, uniques;
	struct sql_error e;
};

/* As many digits before the point as it has; and no more than are kept. */
static void numeric_check(struct buf *b, const char *col, struct coltype t)
{
	int digits = 15, scale = 0;

	if (t.mod >= 4) {
		scale = (t.mod - 4) & 0xffff;
		digits = ((t.mod - 4) >> 16) - scale;
	}
	buf_fmt(b, " constraint \"baton_range numeric\" check (abs(");
	buf_fmt(b, t.mod >= 4 ? "round(%s, %d)" : "%s", col, scale);
	buf_fmt(b, ") < 1e%d)", digits < 15 ? digits : 15);
}

/* What a column of this type may hold. */
static void type_check(struct buf *b, const char *col, struct coltype t)
{
	const char *min = NULL, *max = NULL;
	struct buf q;

	buf_init(&q, 1000);
	ddl_id(&q, col);
	switch (t.oid) {
	case T_INT2:
		min = "-32768", max = "32767";
		break;
	case T_INT4:
		min = "-2147483648", max = "2147483647";
		break;
	case T_BOOL:
		min = "0", max = "1";
		break;
	case T_INT8:
		buf_fmt(b, " constraint \"baton_type bigint\" check (typeof(%s) in ('integer', 'null'))", buf_cstr(&q));
		break;
	case T_FLOAT4:
	case T_FLOAT8:
	case T_NUMERIC:
		buf_fmt(b, " constraint \"baton_type %s\" check (typeof(%s) <> 'text' and typeof(%s) <> 'blob')", type_of(t.oid)->sql,
			buf_cstr(&q), buf_cstr(&q));
		if (t.oid == T_NUMERIC)
			numeric_check(b, buf_cstr(&q), t);
		break;
	case T_DATE:
	case T_TIMESTAMP:
	case T_TIMESTAMPTZ:
		buf_fmt(b, " constraint \"baton_type %s\" check (%s is null or typeof(%s) = 'text' and %s like '____-__-__%%')",
			type_of(t.oid)->sql, buf_cstr(&q), buf_cstr(&q), buf_cstr(&q));
		break;
	case T_VARCHAR:
	case T_BPCHAR:
		if (t.mod > 4)
			buf_fmt(b, " constraint \"baton_length %s(%d)\" check (length(%s) <= %d)", type_of(t.oid)->sql, t.mod - 4,
				buf_cstr(&q), t.mod - 4);
		break;
	}
	if (min)
		buf_fmt(b, " constraint \"baton_type %s\" check (typeof(%s) in ('integer', 'null')) constraint \"%s %s\" "
			"check (%s between %s and %s)",
			type_of(t.oid)->sql, buf_cstr(&q), t.oid == T_BOOL ? "baton_type" : "baton_range", type_of(t.oid)->sql,
			buf_cstr(&q), min, max);
	buf_free(&q);
}

void table_column(struct buf *b, const char *name, struct coltype t)
{
	ddl_id(b, name);
	if (!t.oid)
		return;
	buf_ch(b, ' ');
	type_decl(b, t);
	type_check(b, name, t);
}

/* A unique index: columns in parentheses at open, or the one column. */
static void unique(struct table *t, const char *name, bool primary, tokp open, const char *col)
{
	char made[200];
	tokp p;

	if (!name) {
		size_t n = snprintf(made, sizeof(made), "%s", t->name);

		if (!primary && col)
			n += snprintf(made + n, sizeof(made) - n, "_%s", col);
		for (p = open; !primary && open && p < lex_close(open) && n < sizeof(made); p++)
			if (lex_name(p))
				n += snprintf(made + n, sizeof(made) - n, "_%s", p->s);
		if (n < sizeof(made))
			snprintf(made + n, sizeof(made) - n, primary ? "_pkey" : "_key");
		name = made;
	}
	buf_str(&t->after, ";create unique index ");
	ddl_id(&t->after, name);
	buf_str(&t->after, " on ");
	ddl_id(&t->after, t->name);
	buf_str(&t->after, primary ? " /* primary key */ " : " ");
	if (open) {
		ddl_columns(&t->after, open);
	} else {
		buf_ch(&t->after, '(');
		ddl_id(&t->after, col);
		buf_ch(&t->after, ')');
	}
}

/* REFERENCES at t. Its columns are named: what it refers to is an index, for SQLite. */
static tokp references(struct table *t, tokp p, tokp end)
{
	char other[128];
	sqlite3_stmt *st;

	p = ddl_name(p + 1, other, sizeof(other));
	if (!p)
		return end;
	buf_str(&t->body, " references ");
	ddl_id(&t->body, other);
	if (p < end && lex_is(p, "(")) {
		ddl_columns(&t->body, p);
		p = lex_close(p) + 1;
	} else if (!sqlite3_prepare_v2(t->s->db,
				       "select group_concat('\"' || i.name || '\"') from sqlite_schema s, pragma_index_info(s.name) i "
				       "where s.tbl_name = ?1 and s.type = 'index' and s.sql like '%/* primary key */%'", -1, &st, NULL)) {
		sqlite3_bind_text(st, 1, other, -1, SQLITE_STATIC);
		if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0))
			buf_fmt(&t->body, "(%s)", sqlite3_column_text(st, 0));
		sqlite3_finalize(st);
	}
	for (; p < end && (lex_is(p, "on") || lex_is(p, "match") || lex_is(p, "deferrable") || lex_is(p, "not") ||
			   lex_is(p, "initially")); ) {
		unsigned n = lex_is(p, "on") ? (lex_is(p + 2, "set") || lex_is(p + 2, "no") ? 4 : 3) : lex_is(p, "deferrable") ? 1 : 2;

		if (lex_is(p, "not") && !lex_is(p + 1, "deferrable"))
			break;
		while (n-- && p < end) {
			buf_fmt(&t->body, " %s", p->s);
			p++;
		}
	}
	return p;
}

static bool expression(struct table *t, struct buf *to, tokp from, tokp end)
{
	return sql_expr(to, from, end, &t->e) || err_at(t->s, &t->e, t->text);
}

bool table_default(struct session *s, struct buf *to, tokp p, tokp end, struct coltype type, const char *text)
{
	bool literal = end - p == 1 + (lex_is(p, "-") || lex_is(p, "+")) &&
		       (end[-1].kind == LEX_STRING || end[-1].kind == LEX_INT || end[-1].kind == LEX_NUMBER), ok;
	sqlite3_stmt *st = NULL;
	struct sql_error e;
	struct buf b;

	if (p >= end)
		return util_syntax(s, end, text);
	buf_init(&b, 1 << 20);
	buf_str(&b, literal ? "select quote(" : " default (");
	ok = sql_assigned(&b, NULL, p, end, type, &e) || err_at(s, &e, text);
	buf_ch(&b, ')');
	if (ok && literal) {
		ok = !sqlite3_prepare_v2(s->db, buf_cstr(&b), -1, &st, NULL) && sqlite3_step(st) == SQLITE_ROW;
		if (ok)
			buf_fmt(to, " default (%s)", sqlite3_column_text(st, 0));
		else
			err_db(s, sqlite3_errcode(s->db), NULL);
		sqlite3_finalize(st);
	} else if (ok) {
		buf_add(to, b.p, b.len);
	}
	buf_free(&b);
	return ok;
}

static bool column(struct table *t, tokp p, tokp end)
{
	const char *name = p->s, *constraint = NULL;
	struct coltype type;
	bool serial;
	unsigned n;
	tokp q;

	if (!lex_name(p))
		return util_syntax(t->s, p, t->text);
	n = type_parse(++p, &type, &serial);
	if (!n)
		return err(t->s, "42704", "type \"%s\" does not exist", p < end ? p->s : "");
	p += n;
	table_column(&t->body, name, type);
	while (p < end) {
		if (lex_is(p, "constraint") && lex_name(p + 1)) {
			constraint = p[1].s;
			p += 2;
			continue;
		}
		if (lex_are(p, "not null")) {
			buf_str(&t->body, " not null");
			p += 2;
		} else if (lex_is(p, "null")) {
			p++;
		} else if (lex_are(p, "primary key")) {
			buf_str(&t->body, " not null");
			unique(t, constraint, true, NULL, name);
			p += 2;
		} else if (lex_is(p, "unique")) {
			unique(t, constraint, false, NULL, name);
			p++;
		} else if (lex_is(p, "default")) {
			for (q = ++p; q < end && !lex_is(q, "not") && !(lex_is(q, "null") && q > p) && !lex_is(q, "primary") &&
				      !lex_is(q, "unique") && !lex_is(q, "check") && !lex_is(q, "references") && !lex_is(q, "constraint");
			     q = lex_close(q) + 1)
				;
			if (!table_default(t->s, &t->body, p, q, type, t->text))
				return false;
			p = q;
		} else if (lex_is(p, "check") && lex_is(p + 1, "(")) {
			char made_name[200];

			if (!constraint) {
				snprintf(made_name, sizeof(made_name), "%s_%s_check", t->name, name);
				constraint = made_name;
			}
			buf_str(&t->body, " constraint ");
			ddl_id(&t->body, constraint);
			buf_str(&t->body, " check ");
			if (!expression(t, &t->body, p + 1, lex_close(p + 1) + 1))
				return false;
			p = lex_close(p + 1) + 1;
		} else if (lex_is(p, "references")) {
			p = references(t, p, end);
		} else if (lex_is(p, "collate")) {
			p += 2;
		} else if (lex_is(p, "generated")) {
			for (; p < end && !lex_is(p, "identity") && !lex_is(p, "stored"); p++)
				;
			if (p == end || lex_is(p, "stored"))
				return err(t->s, "0A000", "generated columns are not supported");
			serial = true;
			p++;
			if (p < end && lex_is(p, "("))
				p = lex_close(p) + 1;
		} else {
			return util_syntax(t->s, p, t->text);
		}
		constraint = NULL;
	}
	if (serial) {
		struct buf seq;

		buf_init(&seq, 300);
		buf_fmt(&seq, "%s_%s_seq", t->name, name);
		buf_str(&t->body, " not null default (nextval(");
		buf_sql_str(&t->body, buf_cstr(&seq), seq.len);
		buf_str(&t->body, "))");
		buf_str(&t->after, ";insert or replace into baton_sequences values (");
		buf_sql_str(&t->after, buf_cstr(&seq), seq.len);
		buf_str(&t->after, ", 0, 1)");
		buf_free(&seq);
	}
	return true;
}

/* [CONSTRAINT x] of a table, in CREATE and ALTER TABLE. */
static bool table_constraint(struct table *t, tokp p, tokp end, bool *was, bool comma)
{
	const char *name = NULL;

	*was = true;
	if (lex_is(p, "constraint") && lex_name(p + 1)) {
		name = p[1].s;
		p += 2;
	}
	if (lex_are(p, "primary key") && lex_is(p + 2, "(")) {
		unique(t, name, true, p + 2, NULL);
		for (p += 3; p < end && !lex_is(p, ")"); p++)
			if (lex_name(p)) {
				/* A primary key's columns have a value; SQLite's index does not see to it. */
				if (comma)
					buf_str(&t->body, ", ");
				comma = true;
				buf_str(&t->body, "constraint \"");
				buf_fmt(&t->body, "baton_type not null\" check (");
				ddl_id(&t->body, p->s);
				buf_str(&t->body, " is not null)");
			}
		return true;
	}
	if (lex_is(p, "unique") && lex_is(p + 1, "(")) {
		unique(t, name, false, p + 1, NULL);
		return true;
	}
	if (comma && (lex_is(p, "check") || lex_are(p, "foreign key")))
		buf_str(&t->body, ", ");
	if (lex_is(p, "check") && lex_is(p + 1, "(")) {
		char made[200];

		if (!name)
			snprintf(made, sizeof(made), t->checks ? "%s_check%u" : "%s_check", t->name, t->checks);
		t->checks++;
		buf_str(&t->body, "constraint ");
		ddl_id(&t->body, name ? name : made);
		buf_str(&t->body, " check ");
		return expression(t, &t->body, p + 1, lex_close(p + 1) + 1);
	}
	if (lex_are(p, "foreign key") && lex_is(p + 2, "(")) {
		if (name) {
			buf_str(&t->body, "constraint ");
			ddl_id(&t->body, name);
		}
		buf_str(&t->body, " foreign key ");
		ddl_columns(&t->body, p + 2);
		p = lex_close(p + 2) + 1;
		if (p >= end || !lex_is(p, "references"))
			return util_syntax(t->s, p, t->text);
		references(t, p, end);
		return true;
	}
	*was = false;
	return name ? util_syntax(t->s, p, t->text) : true;
}

static void table_init(struct table *t, struct session *s, const char *text)
{
	memset(t, 0, sizeof(*t));
	t->s = s;
	t->text = text;
	buf_init(&t->body, 1 << 20);
	buf_init(&t->after, 1 << 20);
}

static void table_free(struct table *t)
{
	buf_free(&t->body);
	buf_free(&t->after);
}

bool table_create(struct session *s, tokp p, const char *tag, const char *text)
{
	struct table t;
	bool temp = false, unless = false, ok = true, was, first = true;
	tokp end, comma;

	for (p++; !lex_is(p, "table"); p++)
		temp |= lex_is(p, "temp") || lex_is(p, "temporary");
	p++;
	if (lex_are(p, "if not exists")) {
		unless = true;
		p += 3;
	}
	table_init(&t, s, text);
	end = p;
	p = ddl_name(p, t.name, sizeof(t.name));
	if (!p || !lex_is(p, "("))
		return util_syntax(s, p ? p : end, text);
	if (!strncmp(t.name, "baton_", 6) || !strncmp(t.name, "pg_", 3))
		return err(s, "42939", "names that begin with baton_ or pg_ are reserved");
	if (unless && ddl_exists(s, t.name)) {
		notice(s, "42P07", "relation \"%s\" already exists, skipping", t.name);
		proto_complete(&s->out, tag);
		return true;
	}
	buf_fmt(&t.body, "create %stable ", temp ? "temp " : "");
	ddl_id(&t.body, t.name);
	buf_ch(&t.body, '(');
	end = lex_close(p);
	for (p++; ok && p < end; p = comma + 1) {
		size_t before = t.body.len;

		comma = sql_comma(p, end);
		if (lex_is(p, "like")) {
			ok = err(s, "0A000", "CREATE TABLE ... (LIKE ...) is not supported");
			break;
		}
		ok = table_constraint(&t, p, comma, &was, !first);
		if (ok && !was) {
			if (!first)
				buf_str(&t.body, ", ");
			ok = column(&t, p, comma);
		}
		first &= t.body.len == before;
	}
	buf_ch(&t.body, ')');
	buf_add(&t.body, t.after.p, t.after.len);
	ok = ok && (!t.body.failed || err(s, "54000", "the statement is too long")) && work_write(s) && work_exec(s, buf_cstr(&t.body));
	table_free(&t);
	if (ok)
		proto_complete(&s->out, tag);
	return ok;
}

static bool alter_one(struct table *t, tokp p, tokp end)
{
	struct session *s = t->s;
	bool was = false, ok = true;
	struct buf b;

	buf_clear(&t->body, 1 << 16);
	buf_clear(&t->after, 1 << 16);
	buf_init(&b, 1 << 20);
	buf_str(&b, "alter table ");
	ddl_id(&b, t->name);
	if (lex_is(p, "add")) {
		ok = table_constraint(t, p + 1, end, &was, false);
		if (ok && was) {
			if (t->after.len)
				ok = work_write(s) && work_exec(s, buf_cstr(&t->after) + 1);
			else
				ok = decl_add(s, t->name, buf_cstr(&t->body));
			buf_free(&b);
			return ok;
		}
		if (ok) {
			p += 1 + lex_is(p + 1, "column");
			if (lex_are(p, "if not exists"))
				p += 3;
			buf_str(&b, " add column ");
			ok = column(t, p, end);
			buf_add(&b, t->body.p, t->body.len);
			buf_add(&b, t->after.p, t->after.len);
		}
	} else if (lex_is(p, "drop") && !lex_is(p + 1, "constraint")) {
		p += 1 + lex_is(p + 1, "column");
		if (lex_are(p, "if exists"))
			p += 2;
		buf_str(&b, " drop column ");
		ddl_id(&b, p->s);
	} else if (lex_are(p, "drop constraint")) {
		was = lex_are(p + 2, "if exists");
		p += was ? 4 : 2;
		buf_free(&b);
		return lex_name(p) ? decl_drop_constraint(s, t->name, p->s, was) : util_syntax(s, p, t->text);
	} else if (lex_is(p, "alter")) {
		buf_free(&b);
		return decl_alter(s, t->name, p + 1 + lex_is(p + 1, "column"), end, t->text);
	} else if (lex_are(p, "rename to")) {
		buf_str(&b, " rename to ");
		ddl_id(&b, p[2].s);
	} else if (lex_is(p, "rename") && !lex_is(p + 1, "constraint")) {
		p += 1 + lex_is(p + 1, "column");
		buf_str(&b, " rename column ");
		ddl_id(&b, p->s);
		buf_str(&b, " to ");
		ddl_id(&b, p + 2 < end ? p[2].s : "");
	} else if (lex_are(p, "owner to") || (lex_is(p, "set") && lex_is(p + 1, "("))) {
		buf_free(&b);
		return true;
	} else {
		ok = err(s, "0A000", "this form of ALTER TABLE is not supported");
	}
	ok = ok && work_write(s) && work_exec(s, buf_cstr(&b));
	buf_free(&b);
	return ok;
}

bool table_alter(struct session *s, tokp p, tokp end, const char *tag, const char *text)
{
	struct table t;
	bool ok = true;
	tokp comma;

	if (lex_is(p + 1, "index"))
		return err(s, "0A000", "ALTER INDEX is not supported");
	p += 2;
	if (lex_are(p, "if exists"))
		p += 2;
	if (lex_is(p, "only"))
		p++;
	table_init(&t, s, text);
	p = ddl_name(p, t.name, sizeof(t.name));
	if (!p)
		return util_syntax(s, end, text);
	if (!ddl_exists(s, t.name))
		return err(s, "42P01", "relation \"%s\" does not exist", t.name);
	for (; ok && p < end; p = comma + 1) {
		comma = sql_comma(p, end);
		ok = alter_one(&t, p, comma);
	}
	table_free(&t);
	if (ok)
		proto_complete(&s->out, tag);
	return ok;
}
