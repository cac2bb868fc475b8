// SPDX-License-Identifier: GPL-2.0-or-later
#include "catalog.h"

#include <stdlib.h>
#include <string.h>

#include "funcs.h"
#include "types.h"

/* ---------------------------------------------------------- virtual tables */

struct cell {
	int kind;		/* SQLITE_INTEGER, FLOAT, TEXT, NULL */
	union {
		int64_t i;
		double d;
		size_t len;	/* of text, which follows */
	};
};

static void put_cell(struct cat_rows *r, const struct cell *c, const char *s)
{
	buf_add(&r->cells, c, sizeof(*c));
	if (c->kind == SQLITE_TEXT)
		buf_add(&r->cells, s, (c->len + sizeof(*c)) / sizeof(*c) * sizeof(*c));
}

void cat_int(struct cat_rows *r, int64_t v)
{
	struct cell c = { .kind = SQLITE_INTEGER, .i = v };

	put_cell(r, &c, NULL);
}

void cat_num(struct cat_rows *r, double v)
{
	struct cell c = { .kind = SQLITE_FLOAT, .d = v };

	put_cell(r, &c, NULL);
}

void cat_text(struct cat_rows *r, const char *s)
{
	struct cell c = { .kind = s ? SQLITE_TEXT : SQLITE_NULL };
	char pad[2 * sizeof(c)] = { 0 };
	size_t whole;

	c.len = s ? strlen(s) : 0;
	whole = c.len / sizeof(c) * sizeof(c);
	buf_add(&r->cells, &c, sizeof(c));
	if (!s)
		return;
	buf_add(&r->cells, s, whole);
	memcpy(pad, s + whole, c.len - whole);
	buf_add(&r->cells, pad, sizeof(c));
}

struct module {
	const char *name, *decl;
	unsigned columns;
};

/* NAME(COLUMNS). The server fills in all but the last three. */
static const struct module modules[] = {
	{ "baton_roles", "create table x(rolname, oid, rolsuper, rolcanlogin, rolcreatedb, rolconfig, low_latency, high_latency, class, haspassword)", 10 },
	{ "baton_databases", "create table x(datname, oid)", 2 },
	{ "baton_settings", "create table x(name, setting, short_desc)", 3 },
	{ "baton_activity", "create table x(datname, pid, usename, application_name, client_addr, backend_start, xact_start, query_start, state, query, class, waiting_ms, throttled_ms, cpu_ms)", 14 },
	{ "baton_tenants", "create table x(usename, class, low_latency, high_latency, cpu_low_ms, cpu_high_ms, cpu_low_now, cpu_high_now, admitted, rejected, dropped, finished, throttled_ms, wait_p50_ms, wait_p99_ms, wait_p999_ms, latency_p50_ms, latency_p99_ms, latency_p999_ms, queued, running, cpu_ms)", 22 },
	{ "baton_types", "create table x(oid, typname, typlen, typcategory)", 4 },
	{ "baton_unnest", "create table x(value, array hidden)", 2 },
	{ "generate_series", "create table x(value, start hidden, stop hidden, step hidden)", 4 },
};
#define FILLED 5

struct vtab {
	sqlite3_vtab base;
	const struct module *m;
	cat_fill *fill;
	void *arg;
};

struct aux {
	const struct module *m;
	cat_fill *fill;
	void *arg;
};

struct cursor {
	sqlite3_vtab_cursor base;
	struct cat_rows rows;
	size_t at;		/* of the row */
	int64_t number, value, stop, step;
	bool series, end;
};

static int v_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **err)
{
	struct aux *a = aux;
	struct vtab *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return SQLITE_NOMEM;
	v->m = a->m;
	v->fill = a->fill;
	v->arg = a->arg;
	rc = sqlite3_declare_vtab(db, a->m->decl);
	if (rc)
		free(v);
	else
		*out = &v->base;
	return rc;
}

static int v_disconnect(sqlite3_vtab *v)
{
	free(v);
	return 0;
}

/* Hidden columns are a table function's arguments, in their order. */
static int v_best(sqlite3_vtab *vt, sqlite3_index_info *info)
{
	struct vtab *v = (struct vtab *)vt;
	int seen[4] = { -1, -1, -1, -1 }, i, n = 0, mask = 0;

	info->estimatedCost = 1000;
	if (v->m->columns > 4 || !strstr(v->m->decl, "hidden"))
		return 0;
	for (i = 0; i < info->nConstraint; i++) {
		int col = info->aConstraint[i].iColumn;

		if (col < 1 || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
			continue;
		if (!info->aConstraint[i].usable)
			return SQLITE_CONSTRAINT;
		seen[col] = i;
	}
	for (i = 1; i < 4; i++)
		if (seen[i] >= 0) {
			info->aConstraintUsage[seen[i]].argvIndex = ++n;
			info->aConstraintUsage[seen[i]].omit = 1;
			mask |= 1 << i;
		}
	info->idxNum = mask;
	return 0;
}

static int v_open(sqlite3_vtab *v, sqlite3_vtab_cursor **out)
{
	struct cursor *c = calloc(1, sizeof(*c));

	if (!c)
		return SQLITE_NOMEM;
	buf_init(&c->rows.cells, 256 << 20);
	*out = &c->base;
	return 0;
}

static int v_close(sqlite3_vtab_cursor *vc)
{
	struct cursor *c = (struct cursor *)vc;

	buf_free(&c->rows.cells);
	free(c);
	return 0;
}

static void unnest(struct cat_rows *r, const char *s)
{
	struct buf item;
	bool quoted;

	buf_init(&item, 1 << 30);
	if (*s == '{')
		s++;
	while (*s && *s != '}') {
		buf_clear(&item, 1 << 20);
		quoted = *s == '"';
		if (quoted) {
			for (s++; *s && *s != '"'; s++) {
				if (*s == '\\' && s[1])
					s++;
				buf_ch(&item, *s);
			}
			s += *s == '"';
		} else {
			for (; *s && *s != ',' && *s != '}'; s++)
				buf_ch(&item, *s);
		}
		buf_cstr(&item);
		if (!quoted && !strcasecmp(buf_cstr(&item), "null"))
			cat_text(r, NULL);
		else if (!quoted && item.len && item.len < 18 && strspn(item.p, "-0123456789") == item.len)
			cat_int(r, atoll(item.p));
		else
			cat_text(r, buf_cstr(&item));
		if (*s == ',')
			s++;
	}
	buf_free(&item);
}

static int series_error(struct vtab *v, const char *what)
{
	sqlite3_free(v->base.zErrMsg);
	v->base.zErrMsg = sqlite3_mprintf("%s", what);
	return SQLITE_ERROR;
}

static int v_filter(sqlite3_vtab_cursor *vc, int mask, const char *str, int argc, sqlite3_value **argv)
{
	struct cursor *c = (struct cursor *)vc;
	struct vtab *v = (struct vtab *)c->base.pVtab;
	unsigned i;

	buf_clear(&c->rows.cells, 1 << 20);
	c->at = 0;
	c->number = 0;
	c->end = false;
	if (!strcmp(v->m->name, "generate_series")) {
		int k = 0;

		c->series = argc < 1 || sqlite3_value_numeric_type(argv[0]) != SQLITE_TEXT;
		if (!c->series)
			return funcs_time_series(&c->rows, argc, argv) ? 0 : series_error(v, "22007:a series of times has a beginning, an end and an interval");
		c->value = mask & 2 ? sqlite3_value_int64(argv[k++]) : 0;
		c->stop = mask & 4 ? sqlite3_value_int64(argv[k++]) : INT64_MAX;
		c->step = mask & 8 ? sqlite3_value_int64(argv[k++]) : 1;
		if (!c->step)
			return series_error(v, "22023:step size cannot equal zero");
		c->end = c->step > 0 ? c->value > c->stop : c->value < c->stop;
		return 0;
	}
	if (!strcmp(v->m->name, "baton_unnest")) {
		const char *s = mask & 2 ? (const char *)sqlite3_value_text(argv[0]) : NULL;

		if (s)
			unnest(&c->rows, s);
	} else if (!strcmp(v->m->name, "baton_types")) {
		for (i = 0; i < n_types; i++) {
			char category[2] = { types[i].category, 0 };

			cat_int(&c->rows, types[i].oid);
			cat_text(&c->rows, types[i].name);
			cat_int(&c->rows, types[i].len);
			cat_text(&c->rows, category);
		}
	} else {
		v->fill(v->arg, v->m->name, &c->rows);
	}
	return c->rows.cells.failed ? SQLITE_NOMEM : 0;
}

static const struct cell *cell_at(const struct cursor *c, size_t at)
{
	return (const struct cell *)(c->rows.cells.p + at);
}

static size_t skip_cell(const struct cursor *c, size_t at)
{
	const struct cell *cell = cell_at(c, at);

	return at + sizeof(*cell) + (cell->kind == SQLITE_TEXT ? (cell->len + sizeof(*cell)) / sizeof(*cell) * sizeof(*cell) : 0);
}

static unsigned stored(const struct module *m)
{
	return !strcmp(m->name, "baton_unnest") || !strcmp(m->name, "generate_series") ? 1 : m->columns;
}

static int v_next(sqlite3_vtab_cursor *vc)
{
	struct cursor *c = (struct cursor *)vc;
	unsigned i;

	c->number++;
	if (c->series) {
		c->end = __builtin_add_overflow(c->value, c->step, &c->value) ||
			 (c->step > 0 ? c->value > c->stop : c->value < c->stop);
		return 0;
	}
	for (i = 0; i < stored(((struct vtab *)c->base.pVtab)->m); i++)
		c->at = skip_cell(c, c->at);
	return 0;
}

static int v_eof(sqlite3_vtab_cursor *vc)
{
	struct cursor *c = (struct cursor *)vc;

	return c->series ? c->end : c->at >= c->rows.cells.len;
}

static void put_value(sqlite3_context *out, const struct cell *cell)
{
	if (cell->kind == SQLITE_INTEGER)
		sqlite3_result_int64(out, cell->i);
	else if (cell->kind == SQLITE_FLOAT)
		sqlite3_result_double(out, cell->d);
	else if (cell->kind == SQLITE_TEXT)
		sqlite3_result_text(out, (const char *)(cell + 1), (int)cell->len, SQLITE_TRANSIENT);
}

static int v_column(sqlite3_vtab_cursor *vc, sqlite3_context *out, int col)
{
	struct cursor *c = (struct cursor *)vc;
	size_t at = c->at;

	if (c->series) {
		if (!col)
			sqlite3_result_int64(out, c->value);
		return 0;
	}
	if ((unsigned)col >= stored(((struct vtab *)c->base.pVtab)->m))
		return 0;
	while (col--)
		at = skip_cell(c, at);
	put_value(out, cell_at(c, at));
	return 0;
}

static int v_rowid(sqlite3_vtab_cursor *vc, sqlite3_int64 *out)
{
	*out = ((struct cursor *)vc)->number;
	return 0;
}

static const sqlite3_module callbacks = {
	.xConnect = v_connect, .xDisconnect = v_disconnect, .xBestIndex = v_best, .xOpen = v_open, .xClose = v_close,
	.xFilter = v_filter, .xNext = v_next, .xEof = v_eof, .xColumn = v_column, .xRowid = v_rowid,
};

static void f_typoid(sqlite3_context *c, int n, sqlite3_value **v)
{
	struct coltype t = type_from_decl((const char *)sqlite3_value_text(v[0]));

	sqlite3_result_int64(c, t.oid ? t.oid : T_TEXT);
}

static void f_typmod(sqlite3_context *c, int n, sqlite3_value **v)
{
	sqlite3_result_int(c, type_from_decl((const char *)sqlite3_value_text(v[0])).mod);
}

/* Without the blanks that sql.c puts between tokens and PostgreSQL does not. */
static void closed_up(struct buf *b, const char *s, size_t n)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < n; i++) {
		quoted ^= s[i] == '\'';
		if (s[i] != ' ' || quoted || !((i + 1 < n && strchr("(),", s[i + 1])) || (i && s[i - 1] == '(')))
			buf_ch(b, s[i]);
	}
}

static void trim(const char **s, const char **end)
{
	for (; *s < *end && **s == ' '; ++*s)
		;
	for (; *s < *end && (*end)[-1] == ' '; --*end)
		;
}

static const struct {
	const char *call, *word;
} written[] = {
	{ "baton_date(now())", "CURRENT_DATE" }, { "baton_timestamp(now())", "LOCALTIMESTAMP" },
	{ "baton_time(now())", "LOCALTIME" }, { "baton_user()", "CURRENT_USER" },
};

/* A default as it was written, which is in parentheses, and perhaps in a cast to the column's type. */
static void f_default(sqlite3_context *c, int n, sqlite3_value **v)
{
	const char *s = (const char *)sqlite3_value_text(v[0]), *decl = (const char *)sqlite3_value_text(v[1]), *end, *open, *word = NULL;
	struct coltype t = type_from_decl(decl);
	struct buf b;
	unsigned i;

	if (!s)
		return;
	end = s + strlen(s);
	if (*s == '(' && end[-1] == ')') {
		s++;
		end--;
	}
	trim(&s, &end);
	open = memchr(s, '(', (size_t)(end - s));
	if (open > s && open[-1] == ' ' && end[-1] == ')' && (!strncmp(s, "baton_", 6) || !strncmp(s, "rtrim (", 7))) {
		s = open + 1;
		end--;
		for (open = end; open > s && (t.oid == T_NUMERIC || t.oid == T_VARCHAR || t.oid == T_BPCHAR) && *open != ',' && *open != ')'; open--)
			;
		if (open > s && *open == ',')
			end = open;
		trim(&s, &end);
	}
	buf_init(&b, 1 << 20);
	closed_up(&b, s, (size_t)(end - s));
	s = buf_cstr(&b);
	if (t.oid == T_BOOL && (!strcmp(s, "1") || !strcmp(s, "0")))
		word = *s == '1' ? "true" : "false";
	for (i = 0; i < sizeof(written) / sizeof(*written); i++)
		if (!strcmp(s, written[i].call))
			word = written[i].word;
	if (!word && *s == '\'' && s[1] != '\'' && strchr(s + 1, '\'') == s + b.len - 1) {
		buf_str(&b, "::");
		t.mod = -1;
		type_format(&b, t);
	}
	sqlite3_result_text(c, word ? word : buf_cstr(&b), -1, SQLITE_TRANSIENT);
	buf_free(&b);
}

/* baton_item(array, n): counted from 1; NULL where there is none. */
static void f_item(sqlite3_context *c, int n, sqlite3_value **v)
{
	const char *s = (const char *)sqlite3_value_text(v[0]);
	sqlite3_int64 nr = sqlite3_value_int64(v[1]);
	struct cursor k = { 0 };

	if (!s || nr < 1)
		return;
	buf_init(&k.rows.cells, 1 << 30);
	unnest(&k.rows, s);
	while (k.at < k.rows.cells.len && --nr)
		k.at = skip_cell(&k, k.at);
	if (k.rows.cells.failed)
		sqlite3_result_error_nomem(c);
	else if (k.at < k.rows.cells.len)
		put_value(c, cell_at(&k, k.at));
	buf_free(&k.rows.cells);
}

int cat_register(sqlite3 *db, cat_fill *fill, void *arg)
{
	unsigned i;
	int rc = 0;

	for (i = 0; i < sizeof(modules) / sizeof(*modules) && !rc; i++) {
		struct aux *a = malloc(sizeof(*a));

		if (!a)
			return SQLITE_NOMEM;
		*a = (struct aux){ &modules[i], fill, arg };
		rc = sqlite3_create_module_v2(db, modules[i].name, &callbacks, a, free);
	}
	if (!rc)
		rc = sqlite3_create_function(db, "baton_typoid", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, f_typoid, NULL, NULL);
	if (!rc)
		rc = sqlite3_create_function(db, "baton_typmod", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, f_typmod, NULL, NULL);
	if (!rc)
		rc = sqlite3_create_function(db, "baton_default", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, f_default, NULL, NULL);
	if (!rc)
		rc = sqlite3_create_function(db, "baton_item", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, f_item, NULL, NULL);
	return rc;
}

/* ------------------------------------------------------------------- views */

/* The numbers of columns "a, b" of a table, as an array. */
#define NUMBERS(table, columns) \
	"'{' || (select group_concat(n.cid + 1) from pragma_table_info(" table ") n " \
	"where instr(', ' || " columns " || ', ', ', ' || n.name || ', ')) || '}'"

#define USERS "s.name not like 'sqlite!_%' escape '!' and s.name not like 'baton!_%' escape '!'"
/* Of integer affinity: clients compare it with strings. */
#define OID(S) "cast(16384 + " S ".rowid as integer)"

static const struct {
	const char *name, *select;
} views[] = {
	{ "pg_namespace", "select 2200 oid, 'public' nspname, 10 nspowner, null nspacl union all "
			  "select 11, 'pg_catalog', 10, null union all select 13000, 'information_schema', 10, null" },
	{ "pg_class",
	  "select " OID("s") " oid, s.name relname, 2200 relnamespace, 0 reltype, 0 reloftype, 10 relowner, "
	  "case s.type when 'index' then 403 when 'table' then 2 else 0 end relam, " OID("s") " relfilenode, 0 reltablespace, "
	  "1 relpages, -1 reltuples, 0 relallvisible, 0 reltoastrelid, "
	  "exists(select 1 from pragma_index_list(s.name)) relhasindex, 0 relisshared, 'p' relpersistence, "
	  "case s.type when 'index' then 'i' when 'view' then 'v' else 'r' end relkind, "
	  "(select count(*) from pragma_table_info(s.name)) relnatts, "
	  "0 relchecks, 0 relhasrules, exists(select 1 from pragma_foreign_key_list(s.name)) relhastriggers, 0 relhassubclass, 0 relrowsecurity, "
	  "0 relforcerowsecurity, 1 relispopulated, 'd' relreplident, 0 relispartition, 0 relrewrite, null relacl, "
	  "null reloptions, null relpartbound from main.sqlite_schema s where s.type in ('table', 'index', 'view') and " USERS
	  " union all select cast(9000000 + q.rowid as integer), q.name, 2200, 0, 0, 10, 0, 0, 0, 1, 1, 0, 0, 0, 0, 'p', 'S', 3, 0, 0, 0, 0, 0, 0, "
	  "1, 'd', 0, 0, null, null, null from main.baton_sequences q" },
	{ "pg_attribute",
	  "select " OID("s") " attrelid, i.name attname, baton_typoid(i.type) atttypid, -1 attstattarget, -1 attlen, i.cid + 1 attnum, "
	  "0 attndims, -1 attcacheoff, baton_typmod(i.type) atttypmod, 'p' attstorage, '' attcompression, i.\"notnull\" attnotnull, "
	  "i.dflt_value is not null atthasdef, 0 atthasmissing, '' attidentity, '' attgenerated, 0 attisdropped, 1 attislocal, "
	  "0 attinhcount, 0 attcollation, null attacl, null attoptions, null attfdwoptions "
	  "from main.sqlite_schema s, pragma_table_info(s.name) i where s.type in ('table', 'view') and " USERS
	  " union all select " OID("s") ", i.name, coalesce((select baton_typoid(c.type) from pragma_table_info(s.tbl_name) c "
	  "where c.name = i.name), 25), -1, -1, i.seqno + 1, 0, -1, coalesce((select baton_typmod(c.type) from "
	  "pragma_table_info(s.tbl_name) c where c.name = i.name), -1), 'p', '', 0, 0, 0, '', '', 0, 1, 0, 0, null, null, null "
	  "from main.sqlite_schema s, pragma_index_info(s.name) i where s.type = 'index' and " USERS },
	{ "pg_attrdef", "select " OID("s") " * 2000 + i.cid oid, " OID("s") " adrelid, i.cid + 1 adnum, "
			"baton_default(i.dflt_value, i.type) adbin "
			"from main.sqlite_schema s, pragma_table_info(s.name) i "
			"where s.type = 'table' and i.dflt_value is not null and " USERS },
	{ "baton_indexes",
	  "select " OID("s") " oid, (select " OID("t") " from main.sqlite_schema t where t.type = 'table' and t.name = s.tbl_name) relid, "
	  "s.tbl_name tbl, s.name name, l.\"unique\" isunique, s.sql like '%/* primary key */%' isprimary, "
	  "(select group_concat(c.name, ', ') from pragma_index_info(s.name) c) columns, "
	  "(select group_concat(c.cid + 1, ' ') from pragma_index_info(s.name) c) keys, "
	  "'CREATE ' || case when l.\"unique\" then 'UNIQUE ' else '' end || 'INDEX ' || s.name || ' ON public.' || s.tbl_name || "
	  "' USING btree (' || (select group_concat(c.name, ', ') from pragma_index_info(s.name) c) || ')' indexdef "
	  "from main.sqlite_schema s, pragma_index_list(s.tbl_name) l on l.name = s.name where s.type = 'index' and " USERS },
	{ "pg_index", "select oid indexrelid, relid indrelid, length(keys) - length(replace(keys, ' ', '')) + 1 indnatts, "
		      "length(keys) - length(replace(keys, ' ', '')) + 1 indnkeyatts, isunique indisunique, 0 indnullsnotdistinct, "
		      "isprimary indisprimary, 0 indisexclusion, 1 indimmediate, 0 indisclustered, 1 indisvalid, 0 indcheckxmin, "
		      "1 indisready, 1 indislive, 0 indisreplident, keys indkey, '' indcollation, '' indclass, '' indoption, "
		      "null indexprs, null indpred from baton_indexes" },
	{ "baton_fkeys",
	  "select " OID("s") " * 100 + f.id + 50 oid, s.name tbl, f.\"table\" ref, " OID("s") " relid, "
	  "(select " OID("t") " from main.sqlite_schema t where t.type = 'table' and t.name = f.\"table\") refid, "
	  "group_concat(f.\"from\", ', ') cols, group_concat(f.\"to\", ', ') refcols, f.on_delete del, f.on_update upd "
	  "from main.sqlite_schema s, pragma_foreign_key_list(s.name) f where s.type = 'table' and " USERS " group by s.name, f.id" },
	{ "pg_constraint",
	  "select oid, name conname, 2200 connamespace, case when isprimary then 'p' else 'u' end contype, 0 condeferrable, "
	  "0 condeferred, 1 convalidated, relid conrelid, 0 contypid, oid conindid, 0 conparentid, 0 confrelid, 'a' confupdtype, "
	  "'a' confdeltype, 's' confmatchtype, 1 conislocal, 0 coninhcount, 1 connoinherit, '{' || replace(keys, ' ', ',') || '}' conkey, "
	  "null confkey, case when isprimary then 'PRIMARY KEY (' else 'UNIQUE (' end || columns || ')' condef "
	  "from baton_indexes where isunique union all "
	  "select oid, tbl || '_' || replace(cols, ', ', '_') || '_fkey', 2200, 'f', 0, 0, 1, relid, 0, 0, 0, refid, 'a', "
	  "case del when 'CASCADE' then 'c' when 'SET NULL' then 'n' else 'a' end, 's', 1, 0, 1, "
	  NUMBERS("tbl", "cols") ", " NUMBERS("ref", "refcols") ", "
	  "'FOREIGN KEY (' || cols || ') REFERENCES ' || ref || '(' || coalesce(refcols, '') || ')' || "
	  "case when del = 'NO ACTION' then '' else ' ON DELETE ' || del end from baton_fkeys" },
	{ "pg_type", "select oid, typname, 11 typnamespace, 10 typowner, typlen, 0 typbyval, 'b' typtype, typcategory, 0 typispreferred, "
		     "1 typisdefined, ',' typdelim, 0 typrelid, 0 typsubscript, case typname when '_int4' then 23 when '_text' then 25 "
		     "when '_name' then 19 else 0 end typelem, case typname when 'int4' then 1007 when 'text' then 1009 else 0 end typarray, "
		     "'textin' typinput, 'textout' typoutput, 'textrecv' typreceive, 'textsend' typsend, '-' typmodin, 'i' typalign, "
		     "'p' typstorage, 0 typnotnull, 0 typbasetype, -1 typtypmod, 0 typndims, 0 typcollation, null typdefault, null typacl "
		     "from baton_types" },
	{ "pg_roles", "select oid, rolname, rolsuper, 1 rolinherit, rolsuper rolcreaterole, rolcreatedb, rolcanlogin, 0 rolreplication, "
		      "-1 rolconnlimit, '********' rolpassword, null rolvaliduntil, rolsuper rolbypassrls, rolconfig, low_latency, "
		      "high_latency, class from baton_roles" },
	{ "pg_authid", "select * from pg_roles" },
	{ "pg_user", "select rolname usename, oid usesysid, rolcreatedb usecreatedb, rolsuper usesuper, 0 userepl, 0 usebypassrls, "
		     "'********' passwd, null valuntil, rolconfig useconfig from baton_roles" },
	{ "pg_database", "select oid, datname, 10 datdba, 6 encoding, 'c' datlocprovider, 0 datistemplate, 1 datallowconn, -1 datconnlimit, "
			 "0 datfrozenxid, 1 datminmxid, 1663 dattablespace, 'C.UTF-8' datcollate, 'C.UTF-8' datctype, null daticulocale, "
			 "null datcollversion, null datacl from baton_databases" },
	{ "pg_settings", "select name, setting, null unit, 'batondb' category, short_desc, 'user' context, 'string' vartype, "
			 "'default' source from baton_settings" },
	{ "pg_stat_activity",
	  "select (select oid from baton_databases d where d.datname = a.datname) datid, datname, pid, null leader_pid, "
	  "(select oid from baton_roles r where r.rolname = a.usename) usesysid, usename, application_name, client_addr, null client_hostname, "
	  "null client_port, backend_start, xact_start, query_start, query_start state_change, "
	  "case state when 'lock' then 'Lock' when 'queued' then 'baton' end wait_event_type, "
	  "case when state in ('queued', 'throttled', 'lock') then state end wait_event, "
	  "case when state in ('throttled', 'lock') then 'active' else state end state, null backend_xid, null backend_xmin, null query_id, query, "
	  "'client backend' backend_type, class, waiting_ms, throttled_ms, cpu_ms from baton_activity a" },
	{ "baton_stat_tenants", "select * from baton_tenants" },
	{ "pg_am", "select 2 oid, 'heap' amname, 't' amtype union all select 403, 'btree', 'i'" },
	{ "pg_tables", "select 'public' schemaname, name tablename, 'postgres' tableowner, null tablespace, "
		       "exists(select 1 from pragma_index_list(s.name)) hasindexes, 0 hasrules, 0 hastriggers, 0 rowsecurity "
		       "from main.sqlite_schema s where type = 'table' and " USERS },
	{ "pg_views", "select 'public' schemaname, name viewname, 'postgres' viewowner, "
		      "substr(sql, instr(lower(sql), ' as ') + 4) definition from main.sqlite_schema s where type = 'view' and " USERS },
	{ "pg_indexes", "select 'public' schemaname, tbl tablename, name indexname, null tablespace, indexdef from baton_indexes" },
	{ "pg_sequences", "select 'public' schemaname, name sequencename, last + step last_value, step increment_by from main.baton_sequences" },
	{ "pg_sequence", "select cast(9000000 + rowid as integer) seqrelid, 20 seqtypid, 1 seqstart, step seqincrement, 1 seqmin, "
			 "9223372036854775807 seqmax, 0 seqcycle, 1 seqcache from main.baton_sequences" },
	{ "pg_collation", "select 100 oid, 'default' collname, 11 collnamespace, 'd' collprovider, null collcollate, "
			  "null collctype, null colliculocale, 1 collisdeterministic, -1 collencoding" },
	{ "pg_tablespace", "select 1663 oid, 'pg_default' spcname, 10 spcowner" },
	{ "pg_stat_user_tables", "select oid relid, 'public' schemaname, relname, null n_live_tup from pg_class where relkind = 'r'" },
	{ "information_schema_tables", "select current_database() table_catalog, 'public' table_schema, name table_name, "
				       "case type when 'view' then 'VIEW' else 'BASE TABLE' end table_type from main.sqlite_schema s "
				       "where type in ('table', 'view') and " USERS },
	{ "information_schema_schemata", "select current_database() catalog_name, nspname schema_name from pg_namespace" },
	{ "information_schema_columns",
	  "select current_database() table_catalog, 'public' table_schema, s.name table_name, i.name column_name, i.cid + 1 ordinal_position, "
	  "baton_default(i.dflt_value, i.type) column_default, case when i.\"notnull\" then 'NO' else 'YES' end is_nullable, "
	  "format_type(baton_typoid(i.type), -1) data_type, case when baton_typoid(i.type) in (1042, 1043) and baton_typmod(i.type) > 0 "
	  "then baton_typmod(i.type) - 4 end character_maximum_length from main.sqlite_schema s, pragma_table_info(s.name) i "
	  "where s.type in ('table', 'view') and " USERS },
	/* Nothing of these here; their columns as far as they are asked for. */
	{ "pg_inherits", "select 0 inhrelid, 0 inhparent, 0 inhseqno, 0 inhdetachpending where 0" },
	{ "pg_partitioned_table", "select 0 partrelid, '' partstrat where 0" },
	{ "pg_description", "select 0 objoid, 0 classoid, 0 objsubid, '' description where 0" },
	{ "pg_shdescription", "select 0 objoid, 0 classoid, '' description where 0" },
	{ "pg_auth_members", "select 0 roleid, 0 member, 0 grantor, 0 admin_option where 0" },
	{ "pg_policy", "select 0 oid, '' polname, 0 polrelid, '' polcmd, 1 polpermissive, '' polroles, '' polqual, '' polwithcheck where 0" },
	{ "pg_trigger", "select 0 oid, 0 tgrelid, '' tgname, '' tgenabled, 0 tgisinternal, 0 tgparentid, 0 tgconstraint where 0" },
	{ "pg_rewrite", "select 0 oid, '' rulename, 0 ev_class, '' ev_type, '' ev_enabled, 0 is_instead where 0" },
	{ "pg_statistic_ext", "select 0 oid, 0 stxrelid, 0 stxnamespace, '' stxname, '' stxkind, 0 stxstattarget where 0" },
	{ "pg_publication", "select 0 oid, '' pubname, 0 puballtables, 0 pubowner, 0 pubinsert, 0 pubupdate, 0 pubdelete, "
			    "0 pubtruncate, 0 pubviaroot where 0" },
	{ "pg_publication_rel", "select 0 oid, 0 prpubid, 0 prrelid, null prattrs, null prqual where 0" },
	{ "pg_publication_namespace", "select 0 oid, 0 pnpubid, 0 pnnspid where 0" },
	{ "pg_foreign_table", "select 0 ftrelid, 0 ftserver, null ftoptions where 0" },
	{ "pg_foreign_server", "select 0 oid, '' srvname, 0 srvowner, 0 srvfdw, null srvacl, null srvoptions where 0" },
	{ "pg_proc", "select 0 oid, '' proname, 0 pronamespace, 'f' prokind, 0 prorettype, '' proargtypes, 0 pronargs, "
		     "0 proowner, '' prosrc, 0 prolang, '' provolatile, '' proparallel, 0 prosecdef, null proacl, 0 proretset where 0" },
	{ "pg_enum", "select 0 oid, 0 enumtypid, '' enumlabel, 0 enumsortorder where 0" },
	{ "pg_range", "select 0 rngtypid, 0 rngsubtype where 0" },
	{ "pg_extension", "select 0 oid, '' extname, '' extversion, 0 extnamespace where 0" },
	{ "pg_depend", "select 0 classid, 0 objid, 0 objsubid, 0 refclassid, 0 refobjid, 0 refobjsubid, '' deptype where 0" },
	{ "pg_db_role_setting", "select 0 setdatabase, 0 setrole, null setconfig where 0" },
	{ "pg_matviews", "select '' schemaname, '' matviewname where 0" },
	{ "pg_opclass", "select 0 oid, '' opcname, 0 opcmethod where 0" },
	{ "pg_cast", "select 0 oid, 0 castsource, 0 casttarget, 0 castfunc, '' castmethod, '' castcontext where 0" },
	{ "pg_language", "select 0 oid, '' lanname, 0 lanowner, 0 lanpltrusted, 0 lanispl, 0 lanplcallfoid where 0" },
	{ "pg_default_acl", "select 0 oid, 0 defaclrole, 0 defaclnamespace, '' defaclobjtype, null defaclacl where 0" },
	{ "pg_foreign_data_wrapper", "select 0 oid, '' fdwname, 0 fdwowner, 0 fdwhandler, 0 fdwvalidator, null fdwacl where 0" },
	{ "pg_operator", "select 0 oid, '' oprname, 0 oprnamespace, 0 oprleft, 0 oprright, 0 oprresult, 0 oprcode where 0" },
	{ "pg_conversion", "select 0 oid, '' conname, 0 connamespace, 0 conforencoding, 0 contoencoding, 0 condefault where 0" },
	{ "pg_event_trigger", "select 0 oid, '' evtname, '' evtevent, 0 evtowner, 0 evtfoid, '' evtenabled, null evttags where 0" },
	{ "pg_ts_config", "select 0 oid, '' cfgname, 0 cfgnamespace, 0 cfgowner, 0 cfgparser where 0" },
	{ "pg_subscription", "select 0 oid, '' subname, 0 subowner, 0 subenabled where 0" },
	{ "pg_locks", "select '' locktype, 0 pid, '' mode, 1 granted where 0" },
};

bool cat_knows(const char *table)
{
	unsigned i;

	for (i = 0; i < sizeof(views) / sizeof(*views); i++)
		if (!strcmp(table, views[i].name))
			return true;
	return false;
}

uint32_t cat_type(const char *column)
{
	static const char *const arrays[] = { "conkey", "confkey" };
	static const char *const names[] = {
		"rolsuper", "rolinherit", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolreplication", "rolbypassrls",
		"usecreatedb", "usesuper", "userepl", "usebypassrls", "datistemplate", "datallowconn", "relhasindex", "relisshared",
		"relhasrules", "relhastriggers", "relhassubclass", "relrowsecurity", "relforcerowsecurity", "relispopulated",
		"relispartition", "attnotnull", "atthasdef", "atthasmissing", "attisdropped", "attislocal", "indisunique",
		"indisprimary", "indisexclusion", "indimmediate", "indisclustered", "indisvalid", "indcheckxmin", "indisready",
		"indislive", "indisreplident", "indnullsnotdistinct", "condeferrable", "condeferred", "convalidated",
		"conislocal", "connoinherit", "typbyval", "typispreferred", "typisdefined", "typnotnull", "hasindexes",
		"hasrules", "hastriggers", "rowsecurity", "haspassword",
	};
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(column, names[i]))
			return T_BOOL;
	for (i = 0; i < sizeof(arrays) / sizeof(*arrays); i++)
		if (!strcmp(column, arrays[i]))
			return T_INT4_ARRAY;
	return 0;
}

int cat_create(sqlite3 *db)
{
	struct buf b;
	unsigned i;
	int rc = 0;

	buf_init(&b, 1 << 20);
	for (i = 0; i < sizeof(views) / sizeof(*views) && !rc; i++) {
		buf_clear(&b, 1 << 16);
		buf_fmt(&b, "create temp view if not exists %s as %s", views[i].name, views[i].select);
		rc = sqlite3_exec(db, buf_cstr(&b), NULL, NULL, NULL);
	}
	buf_free(&b);
	return rc;
}

/* pgbench looks for partitions with a LATERAL join; nothing is partitioned here. */
static const struct {
	const char *begins, *has, *instead;
} queries[] = {
	{ "select o.n, p.partstrat, pg_catalog.count(i.inhparent)", "c.relname = 'pgbench_accounts'",
	  "select 2, null, 0 from pg_class where relname = 'pgbench_accounts'" },
	/* psql's \\d asks for publications with an array's subscripts. */
	{ "SELECT t.tgname", "WITH ORDINALITY", "select null, null, null, null, null where 0" },
	{ "SELECT pubname", "prattrs[s]", "select null, null, null where 0" },
};

const char *cat_instead(const char *query)
{
	unsigned i;

	for (i = 0; i < sizeof(queries) / sizeof(*queries); i++)
		if (!strncmp(query, queries[i].begins, strlen(queries[i].begins)) && strstr(query, queries[i].has))
			return queries[i].instead;
	return NULL;
}
