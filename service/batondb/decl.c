// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A table's declaration, edited as text in SQLite's schema: what PostgreSQL's ALTER
 * TABLE does and SQLite's does not. That is SQLite's own way for it
 * (sqlite.org/lang_altertable.html); the rows that are there are looked at, or
 * written anew, in the same transaction.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ddl.h"

/* CREATE TABLE x (...) as SQLite has it. */
struct decl {
	struct session *s;
	const char *table;
	char *sql;
	struct lex l;
	tokp open, close;
};

/* A column of it: name TYPE [clause ...], [at, end). */
struct col {
	tokp at, type_end, end;
	tokp def, def_end;		/* DEFAULT (...), or NULL */
	tokp not_null;
	struct coltype type;
};

static void decl_free(struct decl *d)
{
	lex_free(&d->l);
	free(d->sql);
}

static bool decl_read(struct decl *d, struct session *s, const char *table)
{
	sqlite3_stmt *st;

	*d = (struct decl){ .s = s, .table = table };
	if (!work_write(s))
		return false;
	if (!sqlite3_prepare_v2(s->db, "select sql from sqlite_schema where type = 'table' and name = ?1", -1, &st, NULL)) {
		sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
		if (sqlite3_step(st) == SQLITE_ROW)
			d->sql = strdup((const char *)sqlite3_column_text(st, 0));
		sqlite3_finalize(st);
	}
	if (!d->sql)
		return err(s, "42809", "\"%s\" is not a table", table);
	if (!lex(&d->l, d->sql, strlen(d->sql)))
		return err(s, "0A000", "the declaration of \"%s\" cannot be read", table);
	for (d->open = d->l.tok; d->open->kind != LEX_END && !lex_is(d->open, "("); d->open++)
		;
	d->close = lex_close(d->open);
	return d->close != d->open || err(s, "0A000", "the declaration of \"%s\" cannot be read", table);
}

/* The bytes of the declaration from token a to token b. */
static void part(struct buf *to, const struct decl *d, tokp a, tokp b)
{
	buf_add(to, d->sql + a->at, b->at - a->at);
}

/* What the schema says of rows that are there: the first one that is wrong. */
static bool rows_fit(struct session *s, const char *table)
{
	static const struct {
		const char *sql, *code, *says;
	} checks[] = {
		{ "select 1 from pragma_foreign_key_check(?1)", "23503", "insert or update on table \"%s\" violates the foreign key constraint" },
		{ "select 1 from pragma_quick_check(?1) where quick_check like 'CHECK constraint failed%'", "23514",
		  "a check constraint of relation \"%s\" is violated by some row" },
	};
	sqlite3_stmt *st;
	bool ok = true;
	unsigned i;

	for (i = 0; ok && i < sizeof(checks) / sizeof(*checks); i++)
		if (!sqlite3_prepare_v2(s->db, checks[i].sql, -1, &st, NULL)) {
			sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
			if (sqlite3_step(st) == SQLITE_ROW)
				ok = err(s, checks[i].code, checks[i].says, table);
			sqlite3_finalize(st);
		}
	return ok;
}

static bool decl_write(struct decl *d, struct buf *sql)
{
	struct session *s = d->s;
	sqlite3_stmt *st = NULL;
	char version[80] = "";
	int rc, on;

	if (sql->failed)
		return err(s, "54000", "the declaration is too long");
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, &on);
	rc = sqlite3_prepare_v2(s->db, "update sqlite_schema set sql = ?2 where type = 'table' and name = ?1", -1, &st, NULL);
	if (!rc) {
		sqlite3_bind_text(st, 1, d->table, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, sql->p, (int)sql->len, SQLITE_STATIC);
		rc = sqlite3_step(st);
		rc = rc == SQLITE_DONE ? 0 : rc;
	}
	sqlite3_finalize(st);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0, &on);
	if (rc)
		return err_db(s, rc, NULL);
	if (!sqlite3_prepare_v2(s->db, "pragma schema_version", -1, &st, NULL) && sqlite3_step(st) == SQLITE_ROW)
		snprintf(version, sizeof(version), "pragma schema_version = %d", sqlite3_column_int(st, 0) + 1);
	sqlite3_finalize(st);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 0, &on);
	return work_exec(s, version);
}

bool decl_add(struct session *s, const char *table, const char *constraints)
{
	struct decl d;
	struct buf b;
	bool ok = decl_read(&d, s, table);

	if (ok) {
		buf_init(&b, 1 << 20);
		part(&b, &d, d.l.tok, d.close);
		buf_fmt(&b, ", %s", constraints);
		buf_str(&b, d.sql + d.close->at);
		ok = decl_write(&d, &b) && rows_fit(s, table);
		buf_free(&b);
	}
	decl_free(&d);
	return ok;
}

static bool is_clause(tokp t)
{
	static const char *const words[] = { "constraint", "not", "null", "default", "check", "references", "primary", "unique", "collate",
					     "generated" };
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (lex_is(t, words[i]))
			return true;
	return false;
}

static bool find_column(struct decl *d, const char *name, struct col *c)
{
	struct buf type;
	tokp t, p;

	*c = (struct col){ 0 };
	for (t = d->open + 1; t < d->close; t = c->end + 1) {
		c->at = t;
		c->end = sql_comma(t, d->close);
		if (lex_name(t) && !is_clause(t) && !lex_is(t, "foreign") && !strcmp(t->s, name))
			break;
	}
	if (t >= d->close)
		return err(d->s, "42703", "column \"%s\" of relation \"%s\" does not exist", name, d->table);
	for (p = t + 1; p < c->end && !is_clause(p); p = lex_close(p) + 1)
		;
	c->type_end = p;
	buf_init(&type, 1000);
	if (p > t + 1)
		buf_add(&type, d->sql + t[1].at, p[-1].end - t[1].at);
	c->type = type_from_decl(buf_cstr(&type));
	buf_free(&type);
	for (; p < c->end; p = lex_close(p) + 1)
		if (lex_is(p, "default")) {
			c->def = p;
			c->def_end = lex_close(p + 1) + 1;
		} else if (lex_are(p, "not null")) {
			c->not_null = p;
		}
	return true;
}

/* A check of what its type may hold: table.c's names have a blank. */
static bool is_own(const char *name)
{
	return !strncmp(name, "baton_", 6) && strchr(name, ' ');
}

/* Behind such a check at p, or NULL. */
static tokp own_check(tokp p)
{
	return lex_is(p, "constraint") && is_own(p[1].s) && lex_is(p + 2, "check") ? lex_close(p + 3) + 1 : NULL;
}

/* The declaration with this column anew. def: its default, or NULL: none. */
static bool put_column(struct decl *d, const struct col *c, struct coltype type, bool not_null, const char *def)
{
	struct buf b;
	bool ok;
	tokp p, to;

	buf_init(&b, 1 << 20);
	part(&b, d, d->l.tok, c->at);
	table_column(&b, c->at->s, type);
	for (p = c->type_end; p < c->end; p = to) {
		to = own_check(p);
		if (to)
			continue;
		if (p == c->def) {
			to = c->def_end;
		} else if (p == c->not_null) {
			to = p + 2;
		} else {
			to = lex_close(p) + 1;
			buf_ch(&b, ' ');
			buf_add(&b, d->sql + p->at, to[-1].end - p->at);
		}
	}
	if (def)
		buf_str(&b, def);
	if (not_null)
		buf_str(&b, " not null");
	buf_str(&b, d->sql + c->end->at);
	ok = decl_write(d, &b);
	buf_free(&b);
	return ok;
}

/* The one row of a query with two parameters, if it has one. */
static bool is_there(struct session *s, const char *sql, const char *a, const char *b)
{
	sqlite3_stmt *st;
	bool is;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL))
		return false;
	if (a)
		sqlite3_bind_text(st, 1, a, -1, SQLITE_STATIC);
	if (b)
		sqlite3_bind_text(st, 2, b, -1, SQLITE_STATIC);
	is = sqlite3_step(st) == SQLITE_ROW;
	sqlite3_finalize(st);
	return is;
}

static bool is_text(uint32_t oid)
{
	return oid == T_TEXT || oid == T_VARCHAR || oid == T_BPCHAR || oid == T_NAME;
}

/* What PostgreSQL casts on assignment, in the main. */
static bool by_itself(uint32_t from, uint32_t to)
{
	bool numbers = type_is_number(from) && type_is_number(to);
	bool time = from == T_DATE || from == T_TIMESTAMP || from == T_TIMESTAMPTZ;
	bool to_time = to == T_DATE || to == T_TIMESTAMP || to == T_TIMESTAMPTZ || to == T_TIME;

	return !from || from == to || is_text(to) || numbers || (time && to_time);
}

/* TYPE t [USING e], at t. */
static bool retype(struct decl *d, const struct col *c, tokp p, tokp end, const char *text, const char *def)
{
	struct session *s = d->s;
	struct sql q = { .kind = SQL_READ, .schema = &schema, .schema_arg = s->db, .tok = d->l.tok };
	struct lex_tok column[2] = { *c->at, *c->at };
	struct coltype type;
	struct sql_error e;
	struct buf b;
	bool serial, ok;
	unsigned n = type_parse(p, &type, &serial);

	if (!n || serial)
		return n ? err(s, "0A000", "a column cannot become a serial") : err(s, "42704", "type \"%s\" does not exist", p < end ? p->s : "");
	p += n;
	if (lex_is(p, "collate"))
		p += 2;
	if (p < end && !lex_is(p, "using"))
		return util_syntax(s, p, text);
	if (p >= end && !by_itself(c->type.oid, type.oid))
		return err_hint(s, "42804", "You might need to specify USING.", "column \"%s\" cannot be cast automatically to type %s",
				c->at->s, type_of(type.oid)->sql);
	column[0].kind = LEX_QUOTED;
	buf_init(&b, 1 << 20);
	buf_str(&b, "update ");
	ddl_id(&b, d->table);
	buf_str(&b, " set ");
	ddl_id(&b, c->at->s);
	buf_str(&b, " = ");
	ok = (p < end ? sql_assigned(&b, &q, p + 1, end, type, &e) : sql_assigned(&b, &q, column, column + 1, type, &e)) || err_at(s, &e, text);
	buf_str(&b, ";reindex ");
	ddl_id(&b, d->table);
	ok = ok && put_column(d, c, type, c->not_null, def) && work_exec(s, buf_cstr(&b));
	buf_free(&b);
	return ok;
}

bool decl_alter(struct session *s, const char *table, tokp p, tokp end, const char *text)
{
	const char *name = p->s, *kept = NULL;
	struct buf def, b;
	struct decl d;
	struct col c;
	bool ok;

	if (!lex_name(p++))
		return util_syntax(s, p - 1, text);
	ok = decl_read(&d, s, table) && find_column(&d, name, &c);
	buf_init(&def, 1 << 20);
	if (ok && c.def) {
		buf_ch(&def, ' ');
		buf_add(&def, d.sql + c.def->at, c.def_end[-1].end - c.def->at);
		kept = buf_cstr(&def);
	}
	if (!ok) {
		;
	} else if (lex_is(p, "type") || lex_are(p, "set data type")) {
		ok = retype(&d, &c, p + (lex_is(p, "type") ? 1 : 3), end, text, kept);
	} else if (lex_are(p, "set default")) {
		buf_clear(&def, 1 << 20);
		ok = table_default(s, &def, p + 2, end, c.type, text) && put_column(&d, &c, c.type, c.not_null, buf_cstr(&def));
	} else if (lex_are(p, "drop default")) {
		ok = put_column(&d, &c, c.type, c.not_null, NULL);
	} else if (lex_are(p, "set not null")) {
		buf_init(&b, 1000);
		buf_str(&b, "select 1 from ");
		ddl_id(&b, table);
		buf_str(&b, " where ");
		ddl_id(&b, name);
		buf_str(&b, " is null limit 1");
		ok = !is_there(s, buf_cstr(&b), NULL, NULL) ||
		     err(s, "23502", "column \"%s\" of relation \"%s\" contains null values", name, table);
		buf_free(&b);
		ok = ok && put_column(&d, &c, c.type, true, kept);
	} else if (lex_are(p, "drop not null")) {
		ok = !is_there(s, "select 1 from sqlite_schema s, pragma_index_info(s.name) i where s.tbl_name = ?1 and s.type = 'index' "
				  "and s.sql like '%/* primary key */%' and i.name = ?2", table, name) ||
		     err(s, "42P16", "column \"%s\" is in a primary key", name);
		ok = ok && put_column(&d, &c, c.type, false, kept);
	} else if (lex_are(p, "set statistics") || lex_are(p, "set storage")) {
		;
	} else {
		ok = err(s, "0A000", "this form of ALTER COLUMN is not supported");
	}
	buf_free(&def);
	decl_free(&d);
	return ok;
}

/* CONSTRAINT name CHECK (...) | FOREIGN KEY ...; or the REFERENCES of the column for which it is named. */
static bool find_constraint(const struct decl *d, const char *name, tokp *from, tokp *to)
{
	struct buf key;
	bool is = false;
	tokp t, p, end;

	for (t = d->open + 1; t < d->close && !is; t = end + 1) {
		end = sql_comma(t, d->close);
		for (p = t; p < end && !is; p = lex_close(p) + 1) {
			if (lex_is(p, "constraint") && !strcmp(p[1].s, name) && !is_own(name)) {
				is = true;
				*to = lex_is(p + 2, "check") ? lex_close(p + 3) + 1 : end;
			} else if (lex_is(p, "references") && p > t + 1 && !lex_is(t, "constraint") && !lex_is(t, "foreign")) {
				buf_init(&key, 1000);
				buf_fmt(&key, "%s_%s_fkey", d->table, t->s);
				is = !strcmp(buf_cstr(&key), name);
				buf_free(&key);
				for (*to = p + 1; is && *to < end && (!is_clause(*to) || lex_is(*to - 1, "set")) && !lex_are(*to, "not null"); ++*to)
					;
			}
			if (is)
				*from = p;
		}
		/* All of an item: with its comma. */
		if (is && *from == t)
			--*from;
	}
	return is;
}

bool decl_drop_constraint(struct session *s, const char *table, const char *name, bool if_exists)
{
	struct decl d;
	struct buf b;
	tokp from, to;
	bool ok;

	if (is_there(s, "select 1 from sqlite_schema where type = 'index' and tbl_name = ?1 and name = ?2", table, name)) {
		buf_init(&b, 1000);
		buf_str(&b, "drop index ");
		ddl_id(&b, name);
		ok = work_write(s) && work_exec(s, buf_cstr(&b));
		buf_free(&b);
		return ok;
	}
	ok = decl_read(&d, s, table);
	if (ok && find_constraint(&d, name, &from, &to)) {
		buf_init(&b, 1 << 20);
		part(&b, &d, d.l.tok, from);
		buf_str(&b, d.sql + to->at);
		ok = decl_write(&d, &b);
		buf_free(&b);
	} else if (ok && if_exists) {
		notice(s, "00000", "constraint \"%s\" of relation \"%s\" does not exist, skipping", name, table);
	} else if (ok) {
		ok = err(s, "42704", "constraint \"%s\" of relation \"%s\" does not exist", name, table);
	}
	decl_free(&d);
	return ok;
}
