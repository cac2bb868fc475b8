// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The few statements that psql's \d, \dt, \di, \dv, \du, \l and pgbench -i send in PostgreSQL's words, by how
 * they begin. There is no catalog: each becomes a query of SQLite's schema, or of the server's tables, with
 * the columns that the client looks for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

#define USERS "s.name not like 'sqlite!_%' escape '!'"
/* A relation's number is its row's in the schema, as long as the schema stays. */
#define OID "(16384 + s.rowid)"

/* The text behind a mark, up to the quote: '16384', or a name as '^(name)$'. */
static bool quoted(struct buf *to, const char *text, const char *mark, bool name)
{
	const char *p = strstr(text, mark), *end;
	size_t n;

	p = p ? strchr(p + strlen(mark), '\'') : NULL;
	end = p ? strchr(p + 1, '\'') : NULL;
	if (!end || (name && (strncmp(p + 1, "^(", 2) || end - p < 6 || strncmp(end - 2, ")$", 2))))
		return false;
	p += name ? 3 : 1;
	n = (size_t)(end - p) - (name ? 2 : 0);
	/* Neither a pattern nor a quote. */
	if (!n || strspn(p, name ? "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789" : "0123456789") != n)
		return false;
	buf_fmt(to, name ? "'%.*s'" : "%.*s", (int)n, p);
	return true;
}

/* \d, \dt, \di, \dv. */
static bool list_relations(struct buf *b, const char *text)
{
	const char *kinds = strstr(text, "c.relkind IN ("), *name = "c.relname OPERATOR(pg_catalog.~)";

	if (!kinds || strstr(text, "as \"Size\""))
		return false;
	buf_str(b, "select 'public' \"Schema\", s.name \"Name\", s.type \"Type\", 'postgres' \"Owner\"");
	buf_str(b, strstr(text, "c2.relname as") ? ", s.tbl_name \"Table\"" : "");
	/* The list is of 'r','p','v' ... */
	buf_fmt(b, " from sqlite_schema s where %s and s.type in ('%s', '%s', '%s') and s.name = ", USERS, strstr(kinds, "'r'") ? "table" : "",
		strstr(kinds, "'v'") ? "view" : "", strstr(kinds, "'i'") ? "index" : "");
	if (!strstr(text, name))
		buf_str(b, "s.name");
	else if (!quoted(b, text, name, true))
		return false;
	buf_str(b, " order by 2");
	return true;
}

#define BY_OID " from sqlite_schema s where " OID " = "
#define COLUMNS_OF(TABLE, LIST) "(select group_concat(name, ', ') from " LIST "(" TABLE "))"

/* Each begins so; what is behind mark stands between before and behind. NULL: no rows, of so many columns. */
static const struct form {
	const char *begins, *mark;
	bool name;
	const char *before, *behind;
	int columns;
} forms[] = {
	{ "SELECT c.oid,\n  n.nspname,\n  c.relname\nFROM pg_catalog.pg_class c", "c.relname OPERATOR(pg_catalog.~)", true,
	  "select " OID " oid, 'public' nspname, s.name relname from sqlite_schema s where " USERS " and s.name = ", " order by 3", 0 },
	{ "SELECT c.relchecks, c.relkind", "WHERE c.oid =", false,
	  "select 0, case s.type when 'table' then 'r' when 'view' then 'v' else 'i' end, "
	  "case when exists (select 1 from pragma_index_list(s.name)) then 't' else 'f' end, 'f', "
	  "'f', 'f', 'f', 'f', 'f', '', 0, '', 'p', 'd', 'heap'" BY_OID, "", 0 },
	{ "SELECT a.attname,\n  pg_catalog.format_type", "a.attrelid =", false,
	  "select i.name, coalesce(nullif(lower(i.type), ''), 'any'), i.dflt_value, case when i.\"notnull\" or i.pk then 't' else 'f' end, null, '', '' "
	  "from sqlite_schema s, pragma_table_info(s.name) i where " OID " = ", " order by i.cid", 0 },
	{ "SELECT c2.relname, i.indisprimary", "WHERE c.oid =", false,
	  "select l.name, case l.origin when 'pk' then 't' else 'f' end, case when l.\"unique\" then 't' else 'f' end, 'f', 't', "
	  "'CREATE INDEX ON x USING btree (' || " COLUMNS_OF("l.name", "pragma_index_info") " || ')', null, "
	  "case l.origin when 'pk' then 'p' when 'u' then 'u' end, 'f', 'f', 'f', 0 "
	  "from sqlite_schema s, pragma_index_list(s.name) l where " OID " = ", " order by l.origin <> 'pk', 1", 0 },
	{ "SELECT pol.polname", NULL, false, NULL, NULL, 6 },
	{ "SELECT oid, stxrelid::pg_catalog.regclass", NULL, false, NULL, NULL, 9 },
	{ "SELECT pubname\n     , NULL", NULL, false, NULL, NULL, 3 },
	{ "SELECT t.tgname, pg_catalog.pg_get_triggerdef", NULL, false, NULL, NULL, 5 },
	{ "SELECT c.oid::pg_catalog.regclass\nFROM pg_catalog.pg_class c, pg_catalog.pg_inherits i", NULL, false, NULL, NULL, 1 },
	{ "SELECT c.oid::pg_catalog.regclass, c.relkind, inhdetachpending", NULL, false, NULL, NULL, 4 },
	{ "SELECT r.rolname, r.rolsuper, r.rolinherit,", NULL, false,
	  "select rolname, case when superuser then 't' else 'f' end, 't', case when superuser then 't' else 'f' end, "
	  "case when superuser then 't' else 'f' end, 't', -1, null, '{}', 'f', 'f' "
	  "from baton_roles order by 1", "", 0 },
	{ "SELECT d.datname as \"Name\",\n       pg_catalog.pg_get_userbyid(d.datdba)", NULL, false,
	  "select datname \"Name\", 'postgres' \"Owner\", 'UTF8' \"Encoding\", 'C.UTF-8' \"Collate\", 'C.UTF-8' \"Ctype\", null \"ICU Locale\", "
	  "'libc' \"Locale Provider\", null \"Access privileges\" from baton_databases order by 1", "", 0 },
	/* Is pgbench_accounts there, and of how many partitions? */
	{ "select o.n, p.partstrat, pg_catalog.count(i.inhparent)", NULL, false,
	  "select 2, null, 0 from sqlite_schema where name = 'pgbench_accounts'", "", 0 },
};

static bool catalog_form(struct buf *b, const char *text)
{
	const struct form *f = forms, *end = forms + sizeof(forms) / sizeof(*forms);
	int k;

	if (!strncmp(text, "SELECT n.nspname as \"Schema\",\n  c.relname as \"Name\",", 52))
		return list_relations(b, text);
	while (f < end && strncmp(text, f->begins, strlen(f->begins)))
		f++;
	/* \d+ asks for more columns, which are not there. */
	if (f == end || (f->before && (strstr(text, "a.attstorage") || strstr(text, "shobj_description"))))
		return false;
	buf_str(b, f->before ? f->before : "select null");
	for (k = 1; k < f->columns; k++)
		buf_str(b, ", null");
	buf_str(b, f->before ? "" : " where 0");
	if (f->mark && !quoted(b, text, f->mark, f->name))
		return false;
	buf_str(b, f->before ? f->behind : "");
	return true;
}

/* pgbench -i. */
static bool pgbench_form(struct buf *b, const char *text)
{
	const char *p, *name, *time;
	char table[32], key[8], rest;

	/* Storage that is PostgreSQL's. */
	p = strstr(text, " with (fillfactor=");
	time = strstr(text, "mtime timestamp,");
	if (!strncmp(text, "create unlogged table pgbench_", 30) || (!strncmp(text, "create table pgbench_", 21) && (p || time))) {
		name = strstr(text, "table pgbench_");
		buf_str(b, "create ");
		/* A time is a text here. */
		if (time)
			buf_fmt(b, "%.*smtime text,", (int)(time - name), name);
		name = time ? strchr(time, ',') + 1 : name;
		buf_add(b, name, p ? (size_t)(p - name) : strlen(name));
		return true;
	}
	if (sscanf(text, "alter table %31[a-z_] add primary key (%7[a-z])%c", table, key, &rest) == 2 && !strncmp(table, "pgbench_", 8)) {
		buf_fmt(b, "create unique index %s_pkey on %s (%s)", table, table, key);
		return true;
	}
	if ((sscanf(text, "vacuum analyze %31[a-z_]%c", table, &rest) == 1 || sscanf(text, "vacuum %31[a-z_]%c", table, &rest) == 1) &&
	    !strncmp(table, "pgbench_", 8)) {
		buf_fmt(b, "analyze %s", table);
		return true;
	}
	return false;
}

/* SHOW name: a row with a column of that name. */
static bool show_form(struct buf *b, const char *text)
{
	char name[64] = "transaction_isolation", rest[2];

	if (strcasecmp(text, "show transaction isolation level") && sscanf(text, "%*4c %63[A-Za-z_.] %1[^;]", name, rest) != 1)
		return false;
	buf_fmt(b, "select current_setting('%s') as \"%s\"", name, name);
	return true;
}

char *form_of(const char *text, size_t n, bool *internal)
{
	char *copy, *form = NULL;
	struct buf b;
	bool show;

	*internal = false;
	/* These statements all begin so, and few other statements have to be looked at. */
	show = n > 5 && !strncasecmp(text, "show ", 5);
	if (!show && (n < 16 || (strncmp(text, "SELECT ", 7) && strncmp(text, "select o.n", 10) && !memmem(text, n < 40 ? n : 40, "pgbench_", 8))))
		return NULL;
	copy = strndup(text, n);
	buf_init(&b, 1 << 20);
	if (copy && catalog_form(&b, copy)) {
		*internal = true;
		form = strdup(buf_cstr(&b));
	} else if (copy) {
		buf_clear(&b, 1 << 20);
		if (show ? show_form(&b, copy) : pgbench_form(&b, copy))
			form = strdup(buf_cstr(&b));
	}
	buf_free(&b);
	free(copy);
	return form;
}
