// SPDX-License-Identifier: GPL-2.0-or-later
/* Functions that tell of the server, its catalog and the session; and all of them told to SQLite. */
#include "funcs_int.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void funcs_error(ctx *c, const char *code, const char *fmt, ...)
{
	char text[300];
	int n = snprintf(text, sizeof(text), "%s:", code);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
	sqlite3_result_error(c, text, -1);
}

static void f_user(ctx *c, int n, val **v) { sqlite3_result_text(c, env_of(c)->user, -1, SQLITE_TRANSIENT); }
static void f_database(ctx *c, int n, val **v) { sqlite3_result_text(c, env_of(c)->database, -1, SQLITE_TRANSIENT); }
static void f_pid(ctx *c, int n, val **v) { sqlite3_result_int(c, env_of(c)->pid); }
static void f_public(ctx *c, int n, val **v) { sqlite3_result_text(c, "public", -1, SQLITE_STATIC); }
static void f_schemas(ctx *c, int n, val **v) { sqlite3_result_text(c, "{pg_catalog,public}", -1, SQLITE_STATIC); }
static void f_true(ctx *c, int n, val **v) { sqlite3_result_int(c, 1); }
static void f_false(ctx *c, int n, val **v) { sqlite3_result_int(c, 0); }
static void f_null(ctx *c, int n, val **v) { }
static void f_utf8(ctx *c, int n, val **v) { sqlite3_result_text(c, "UTF8", -1, SQLITE_STATIC); }

static void f_version(ctx *c, int n, val **v)
{
	char s[200];

	snprintf(s, sizeof(s), "PostgreSQL 15.0 (batondb 0.1, SQLite %s)", sqlite3_libversion());
	sqlite3_result_text(c, s, -1, SQLITE_TRANSIENT);
}

static void f_setting(ctx *c, int n, val **v)
{
	const char *name = text_of(v[0]), *value = name ? env_of(c)->setting(env_of(c)->arg, name) : NULL;

	if (value)
		sqlite3_result_text(c, value, -1, SQLITE_TRANSIENT);
	else if (name && !(n > 1 && sqlite3_value_int(v[1])))
		funcs_error(c, "42704", "unrecognized configuration parameter \"%.60s\"", name);
}

static void f_set_config(ctx *c, int n, val **v)
{
	const char *name = text_of(v[0]), *value = text_of(v[1]), *err, *now;

	if (!name || !value)
		return;
	err = env_of(c)->set(env_of(c)->arg, name, value, sqlite3_value_int(v[2]));
	now = err ? NULL : env_of(c)->setting(env_of(c)->arg, name);
	if (err)
		funcs_error(c, "22023", "%s", err);
	else
		sqlite3_result_text(c, now ? now : value, -1, SQLITE_TRANSIENT);
}

static void f_sleep(ctx *c, int n, val **v)
{
	const char *why;

	if (is_null(v[0]))
		return;
	why = env_of(c)->sleep(env_of(c)->arg, sqlite3_value_double(v[0]));
	if (why)
		funcs_error(c, "57014", "canceling statement due to %s", why);
	else
		sqlite3_result_text(c, "", 0, SQLITE_STATIC);
}

/* A divisor. */
static void f_divisor(ctx *c, int n, val **v)
{
	int type = sqlite3_value_numeric_type(v[0]);

	if ((type == SQLITE_INTEGER && !sqlite3_value_int64(v[0])) || (type == SQLITE_FLOAT && sqlite3_value_double(v[0]) == 0))
		funcs_error(c, "22012", "division by zero");
	else
		sqlite3_result_value(c, v[0]);
}

/* What a child call takes along, and what it brings back. */
static void f_budget(ctx *c, int n, val **v)
{
	double ms;

	if (env_of(c)->budget(env_of(c)->arg, &ms))
		sqlite3_result_double(c, ms);
}

static void f_deadline(ctx *c, int n, val **v)
{
	double ms;

	if (env_of(c)->deadline(env_of(c)->arg, &ms))
		sqlite3_result_double(c, ms);
}

static void f_charge(ctx *c, int n, val **v)
{
	double ms = sqlite3_value_double(v[0]);

	if (is_null(v[0]))
		return;
	if (!(ms >= 0 && ms <= 86400e3))
		funcs_error(c, "22003", "CPU to charge is from 0 to 86400000 ms");
	else if (env_of(c)->charge(env_of(c)->arg, ms))
		sqlite3_result_double(c, ms);
}

static void f_cancel(ctx *c, int n, val **v)
{
	sqlite3_result_int(c, env_of(c)->signal(env_of(c)->arg, sqlite3_value_int(v[0]), 0));
}

static void f_terminate(ctx *c, int n, val **v)
{
	sqlite3_result_int(c, env_of(c)->signal(env_of(c)->arg, sqlite3_value_int(v[0]), 1));
}

static void f_format_type(ctx *c, int n, val **v)
{
	struct coltype t = { 0, -1 };
	struct buf b;

	if (is_null(v[0]))
		return;
	t.oid = (uint32_t)sqlite3_value_int64(v[0]);
	if (n > 1 && !is_null(v[1]))
		t.mod = sqlite3_value_int(v[1]);
	buf_init(&b, 200);
	type_format(&b, t);
	result_buf(c, &b);
}

static void f_userbyid(ctx *c, int n, val **v)
{
	funcs_lookup(c, "select rolname from pg_roles where oid = ?1", v[0], NULL);
}

static void f_indexdef(ctx *c, int n, val **v)
{
	if (n == 1 || sqlite3_value_int(v[1]) == 0)
		funcs_lookup(c, "select indexdef from baton_indexes where oid = ?1", v[0], NULL);
}

static void f_constraintdef(ctx *c, int n, val **v)
{
	funcs_lookup(c, "select condef from pg_constraint where oid = ?1", v[0], NULL);
}

static void f_viewdef(ctx *c, int n, val **v)
{
	funcs_lookup(c, "select definition from pg_views v join pg_class c on c.relname = v.viewname where c.oid = ?1", v[0], NULL);
}

static void f_database_size(ctx *c, int n, val **v)
{
	sqlite3_stmt *s;

	if (sqlite3_prepare_v2(sqlite3_context_db_handle(c), "select page_count * page_size from pragma_page_count, pragma_page_size",
			       -1, &s, NULL))
		return;
	if (sqlite3_step(s) == SQLITE_ROW)
		sqlite3_result_value(c, sqlite3_column_value(s, 0));
	sqlite3_finalize(s);
}

static void f_relation_size(ctx *c, int n, val **v)
{
	funcs_lookup(c, "select coalesce(sum(pgsize), 0) from dbstat where aggregate = true and name in "
		  "(select name from main.sqlite_schema where 16384 + rowid = ?1)", v[0], NULL);
}

static void f_size_pretty(ctx *c, int n, val **v)
{
	static const char *const unit[] = { "bytes", "kB", "MB", "GB", "TB" };
	int64_t k = sqlite3_value_int64(v[0]);
	char s[40];
	int i;

	for (i = 0; i < 4 && (k >= 10240 || k <= -10240); i++)
		k = (k + 512) / 1024;
	snprintf(s, sizeof(s), "%" PRId64 " %s", k, unit[i]);
	sqlite3_result_text(c, s, -1, SQLITE_TRANSIENT);
}

static void f_uuid(ctx *c, int n, val **v)
{
	unsigned char r[16];
	char s[37];

	RAND_bytes(r, sizeof(r));
	r[6] = (r[6] & 15) | 64;
	r[8] = (r[8] & 63) | 128;
	snprintf(s, sizeof(s), "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2],
		 r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
	sqlite3_result_text(c, s, -1, SQLITE_TRANSIENT);
}

/* Sequences are rows of baton_sequences; the caller holds the write lock. */
static void sequence(ctx *c, const char *sql, val **v, int n)
{
	sqlite3 *db = sqlite3_context_db_handle(c);
	sqlite3_stmt *s;

	if (is_null(v[0]))
		return;
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL)) {
		funcs_error(c, "42P01", "relation \"%.100s\" does not exist", text_of(v[0]));
		return;
	}
	while (n--)
		sqlite3_bind_value(s, n + 1, v[n]);
	if (sqlite3_step(s) == SQLITE_ROW) {
		env_of(c)->lastval = sqlite3_column_int64(s, 0);
		sqlite3_result_int64(c, env_of(c)->lastval);
	} else {
		funcs_error(c, "42P01", "relation \"%.100s\" does not exist", text_of(v[0]));
	}
	sqlite3_finalize(s);
}

static void f_nextval(ctx *c, int n, val **v)
{
	sequence(c, "update baton_sequences set last = last + step where name = replace(?1, 'public.', '') returning last", v, 1);
}

static void f_setval(ctx *c, int n, val **v)
{
	sequence(c, "update baton_sequences set last = ?2 where name = replace(?1, 'public.', '') returning last", v, 2);
}

static void f_currval(ctx *c, int n, val **v)
{
	sequence(c, "select last from baton_sequences where name = replace(?1, 'public.', '')", v, 1);
}

static void f_lastval(ctx *c, int n, val **v)
{
	sqlite3_result_int64(c, env_of(c)->lastval);
}

static void f_serial_sequence(ctx *c, int n, val **v)
{
	struct buf b;

	if (is_null(v[0]) || is_null(v[1]))
		return;
	buf_init(&b, 1000);
	buf_fmt(&b, "public.%s_%s_seq", text_of(v[0]), text_of(v[1]));
	result_buf(c, &b);
}

static const struct func funcs_sys[] = {
	{ "baton_user", 0, WORLD, f_user }, { "current_database", 0, WORLD, f_database },
	{ "pg_backend_pid", 0, WORLD, f_pid }, { "current_schema", 0, WORLD, f_public },
	{ "current_schemas", 1, WORLD, f_schemas }, { "version", 0, WORLD, f_version },
	{ "current_setting", 1, WORLD, f_setting }, { "current_setting", 2, WORLD, f_setting }, { "set_config", 3, SLOW, f_set_config },
	{ "baton_divisor", 1, PURE, f_divisor }, { "baton_budget_ms", 0, SLOW, f_budget },
	{ "baton_deadline_ms", 0, SLOW, f_deadline }, { "baton_charge_ms", 1, SLOW, f_charge },
	{ "pg_sleep", 1, SLOW, f_sleep }, { "pg_cancel_backend", 1, SLOW, f_cancel },
	{ "pg_terminate_backend", 1, SLOW, f_terminate }, { "format_type", 1, PURE, f_format_type },
	{ "format_type", 2, PURE, f_format_type },
	{ "pg_get_userbyid", 1, WORLD, f_userbyid }, { "pg_table_is_visible", 1, PURE, f_true },
	{ "pg_type_is_visible", 1, PURE, f_true }, { "pg_function_is_visible", 1, PURE, f_true },
	{ "has_table_privilege", FROM(1), PURE, f_true }, { "has_database_privilege", FROM(1), PURE, f_true },
	{ "has_schema_privilege", FROM(1), PURE, f_true }, { "pg_is_in_recovery", 0, PURE, f_false },
	{ "pg_encoding_to_char", 1, PURE, f_utf8 }, { "pg_client_encoding", 0, PURE, f_utf8 },
	{ "getdatabaseencoding", 0, PURE, f_utf8 }, { "obj_description", FROM(1), PURE, f_null },
	{ "col_description", 2, PURE, f_null }, { "shobj_description", 2, PURE, f_null },
	{ "pg_get_indexdef", 1, WORLD, f_indexdef }, { "pg_get_indexdef", 3, WORLD, f_indexdef },
	{ "pg_get_constraintdef", 1, WORLD, f_constraintdef }, { "pg_get_constraintdef", 2, WORLD, f_constraintdef },
	{ "pg_get_viewdef", 1, WORLD, f_viewdef }, { "pg_get_viewdef", 2, WORLD, f_viewdef }, { "pg_get_statisticsobjdef_columns", 1, PURE, f_null },
	{ "pg_relation_is_publishable", 1, PURE, f_false }, { "pg_get_partkeydef", 1, PURE, f_null },
	{ "pg_get_function_result", 1, PURE, f_null }, { "pg_get_function_arguments", 1, PURE, f_null },
	{ "pg_tablespace_location", 1, PURE, f_null }, { "inet_server_port", 0, PURE, f_null }, { "inet_client_addr", 0, PURE, f_null },
	{ "pg_get_ruledef", FROM(1), PURE, f_null }, { "pg_get_functiondef", 1, PURE, f_null },
	{ "pg_partition_ancestors", 1, PURE, f_null }, { "pg_get_triggerdef", FROM(1), PURE, f_null },
	{ "inet_server_addr", 0, PURE, f_null }, { "pg_database_size", 1, WORLD, f_database_size },
	{ "pg_table_size", 1, WORLD, f_relation_size }, { "pg_relation_size", 1, WORLD, f_relation_size },
	{ "pg_total_relation_size", 1, WORLD, f_relation_size }, { "pg_size_pretty", 1, PURE, f_size_pretty },
	{ "pg_get_serial_sequence", 2, PURE, f_serial_sequence }, { "gen_random_uuid", 0, WORLD, f_uuid },
	{ "nextval", 1, WORLD, f_nextval }, { "setval", 2, WORLD, f_setval }, { "currval", 1, WORLD, f_currval },
	{ "lastval", 0, WORLD, f_lastval },
	{ 0 }
};

/* Called with less than FROM() says. */
static void f_too_few(ctx *c, int n, val **v)
{
	funcs_error(c, "42883", "function does not exist with %d argument%s: it takes more", n, n == 1 ? "" : "s");
}

int funcs_register(sqlite3 *db, struct funcs_env *env)
{
	static const struct func *const all[] = { funcs_cast, funcs_text, funcs_regex, funcs_num, funcs_time, funcs_interval, funcs_agg, funcs_sys };
	const struct func *f;
	unsigned i;
	int err = 0, n;

	for (i = 0; i < sizeof(all) / sizeof(*all); i++) {
		for (f = all[i]; f->name && !err; f++) {
			err = sqlite3_create_function_v2(db, f->name, f->n < 0 ? -1 : f->n, f->flags, env, f->f, NULL, NULL, NULL);
			for (n = 0; n < -1 - f->n && !err; n++)
				err = sqlite3_create_function_v2(db, f->name, n, f->flags, env, f_too_few, NULL, NULL, NULL);
		}
	}
	return err ? err : funcs_agg_register(db, env);
}
