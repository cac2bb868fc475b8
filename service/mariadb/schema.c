// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * INFORMATION_SCHEMA.BATON_TENANTS, BATON_STATEMENTS and BATON_LATE.
 *
 * A plugin's table is described and filled through structures of sql/, whose
 * headers Debian does not install. Nothing about them is taken for granted:
 *
 *  - How a table is described (ST_SCHEMA_TABLE, ST_FIELD_INFO) is compared with
 *    the server's own first one, ALL_PLUGINS, when the plugin is loaded.
 *  - Where the fields of the table to be filled are is looked for: in TABLE_LIST a
 *    pointer to an object that says it is in use by this session, and in that a
 *    pointer to an array of as many fields, of the classes that our columns have
 *    (or Field_string, where the query does not ask for the column), in their order,
 *    and a NULL behind. The places that were found once are tried
 *    first. Memory is read in a way that does not fault.
 *
 * Where one of these fails the table says so with an error, and all else works.
 *
 * The server loads a plugin of this kind only if it was built for its very
 * version (a table's description has no version of its own). With the checks above
 * that is more than is needed: a constructor writes down the version of the
 * server that loads us, so that a security update of the server does not take the
 * tables away.
 *
 * The text of other users' statements is for those who have PROCESS, as in SHOW
 * PROCESSLIST.
 */
#define _GNU_SOURCE
#include "schema.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <baton/stats.h>

#include <mysqld_error.h>

#include "conn.h"
#include "late.h"
#include "plugin.h"
#include "quota.h"
#include "server.h"

struct st_mysql_information_schema schema_info;

__attribute__((constructor)) static void set_version(void)
{
	const char *version = dlsym(RTLD_DEFAULT, "server_version");
	int major, minor, patch;

	if (version && sscanf(version, "%d.%d.%d", &major, &minor, &patch) == 3)
		schema_info.interface_version = (major * 10000 + minor * 100 + patch) << 8;
	else
		schema_info.interface_version = MYSQL_INFORMATION_SCHEMA_INTERFACE_VERSION;
}

/* ST_FIELD_INFO of sql/sql_i_s.h */
struct field_info {
	const void *type_handler;
	unsigned length, unsigned_flag;
	const void *typelib;
	MYSQL_CONST_LEX_STRING name;
	int nullable;
	MYSQL_CONST_LEX_STRING old_name;
	int open_method;
};

/* ST_SCHEMA_TABLE, likewise; in MariaDB 11.8 the name's length stands behind the name */
struct schema_table {
	const char *table_name;
	struct field_info *fields_info;
	int (*reset_table)(void);
	int (*fill_table)(MYSQL_THD thd, void *tables, void *cond);
	int (*old_format)(MYSQL_THD thd, struct schema_table *t);
	void *process_table;
	int idx_field1, idx_field2;
	bool hidden;
	unsigned requested_object;
};

/* MAYBE: a REAL that may be NULL. */
enum kind { TEXT, NUMBER, REAL, MAYBE, KINDS };

struct column {
	const char *name;
	enum kind kind;
	unsigned length;
};

#define COLUMNS_MAX 24

/* The server's, by kind of column. */
static const struct {
	const char *handler, *vtable;
} classes[KINDS] = {
	[TEXT] = { "type_handler_varchar", "_ZTV15Field_varstring" },
	[NUMBER] = { "type_handler_ulonglong", "_ZTV14Field_longlong" },
	[REAL] = { "type_handler_double", "_ZTV12Field_double" },
	[MAYBE] = { "type_handler_double", "_ZTV12Field_double" },
};
static void *handler[KINDS], *vtable[KINDS], *unwanted;
static bool has_name_length;	/* a table's name has a length in this server's ST_SCHEMA_TABLE */
static int (*store_text)(void *field, const char *text, size_t len, const void *charset);
static int (*store_number)(void *field, long long n, bool is_unsigned);
static int (*store_real)(void *field, double d);
static int (*store_null)(void *field);
/* Not NULL, and then what the text says. */
static bool (*store_not_null)(void *field, const char *text, unsigned len, const void *charset);
static bool (*store_record)(MYSQL_THD thd, void *table);
static const void **charset;

/* A table that is being filled. */
struct filling {
	MYSQL_THD thd;
	const struct column *column;
	unsigned columns, at;
	void *table, **field;
	bool all_texts;
	int err;
};

/* The pointer that an object of the class begins with. */
static void *find_vtable(const char *name)
{
	void **table = dlsym(RTLD_DEFAULT, name);

	return table ? table + 2 : NULL;
}

/* The table in the shape above, from its second field on. */
static struct schema_table *behind_length(const struct schema_table *t)
{
	return (struct schema_table *)((const char *)t + (has_name_length ? sizeof(size_t) : 0));
}

static int find_symbols(void)
{
	const struct {
		void *to;
		const char *name;
	} symbols[] = {
		{ &store_text, "_ZN15Field_varstring5storeEPKcmPK15charset_info_st" },
		{ &store_number, "_ZN14Field_longlong5storeExb" },
		{ &store_real, "_ZN12Field_double5storeEd" },
		{ &store_null, "_Z17set_field_to_nullP5Field" },
		{ &store_not_null, "_ZN5Field19load_data_set_valueEPKcjPK15charset_info_st" },
		{ &store_record, "_Z25schema_table_store_recordP3THDP5TABLE" },
		{ &charset, "system_charset_info" },
	};
	const struct schema_table *first = dlsym(RTLD_DEFAULT, "schema_tables");
	struct schema_table t;
	struct field_info f[2];
	char text[16];
	size_t i;

	for (i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *found = dlsym(RTLD_DEFAULT, symbols[i].name);

		if (!found)
			return -ENOSYS;
		memcpy(symbols[i].to, &found, sizeof(found));
	}
	for (i = 0; i < KINDS; i++) {
		handler[i] = dlsym(RTLD_DEFAULT, classes[i].handler);
		vtable[i] = find_vtable(classes[i].vtable);
		if (!vtable[i] || !handler[i])
			return -ENOSYS;
	}
	unwanted = find_vtable("_ZTV12Field_string");
	if (!unwanted)
		return -ENOSYS;
	/* The first table, and the first two columns of that. */
	if (!first || !server_read(&t, first, sizeof(t)) || !server_read(text, t.table_name, 12) || strcmp(text, "ALL_PLUGINS"))
		return -ENOSYS;
	has_name_length = (uintptr_t)t.fields_info == strlen("ALL_PLUGINS");
	if (!server_read(&t, behind_length(first), sizeof(t)) ||
	    !server_read(f, t.fields_info, sizeof(f)) || f[0].type_handler != handler[TEXT] || f[0].name.length != 11 ||
	    !server_read(text, f[0].name.str, 12) || strcmp(text, "PLUGIN_NAME") || f[1].name.length != 14 ||
	    !server_read(text, f[1].name.str, 15) || strcmp(text, "PLUGIN_VERSION"))
		return -ENOSYS;
	return 0;
}

static int describe(struct schema_table *t, const struct column *column, unsigned columns, struct field_info *info,
		    int (*fill)(MYSQL_THD, void *, void *))
{
	unsigned i;

	if (find_symbols()) {
		my_printf_error(ER_UNKNOWN_ERROR, "baton: the plugin does not know how this server describes a table of "
				"INFORMATION_SCHEMA; it is there with MariaDB 10.11 and 11.8 as Debian builds them", ME_ERROR_LOG);
		return 1;
	}
	for (i = 0; i < columns; i++)
		info[i] = (struct field_info){
			.type_handler = handler[column[i].kind], .length = column[i].length,
			.unsigned_flag = column[i].kind == NUMBER, .nullable = column[i].kind == MAYBE,
			.name = { column[i].name, strlen(column[i].name) },
		};
	info[columns] = (struct field_info){ .type_handler = handler[TEXT] };
	behind_length(t)->fields_info = info;
	behind_length(t)->fill_table = fill;
	return 0;
}

static bool is_our_fields(const struct filling *f, void **field)
{
	void *fields[COLUMNS_MAX + 1], *type;
	unsigned i;

	if (!server_read(fields, field, (f->columns + 1) * sizeof(void *)) || fields[f->columns])
		return false;
	for (i = 0; i < f->columns; i++)
		if (!server_read(&type, fields[i], sizeof(type)) || (type != vtable[f->column[i].kind] && type != unwanted))
			return false;
	return true;
}

#define TABLE_WORDS 64		/* TABLE is longer, and its fields come early */
#define LIST_WORDS 128

static bool find_fields(struct filling *f, void *const *list)
{
	/* [SCHEMA-1]: words of TABLE_LIST and TABLE where they were; whoever reads them late looks at all. */
	static _Atomic unsigned table_at, field_at;
	void *words[LIST_WORDS], *in[TABLE_WORDS];
	unsigned t = atomic_load_explicit(&table_at, memory_order_relaxed); /* [SCHEMA-1] */
	unsigned i, j, k;
	bool used;

	if (!server_read(words, list, sizeof(words)))
		return false;
	for (i = 0; i <= LIST_WORDS; i++) {
		/* The place that is known, then all of them. */
		f->table = words[i ? i - 1 : t];
		if (!f->table || !server_read(in, f->table, sizeof(in)))
			continue;
		for (used = false, j = 0; j < 12 && !used; j++)
			used = in[j] == (void *)f->thd;
		for (k = 0; used && k <= TABLE_WORDS; k++) {
			unsigned at = k ? k - 1 : atomic_load_explicit(&field_at, memory_order_relaxed); /* [SCHEMA-1] */

			f->field = in[at];
			if (f->field && is_our_fields(f, f->field)) {
				atomic_store_explicit(&table_at, i ? i - 1 : t, memory_order_relaxed); /* [SCHEMA-1] */
				atomic_store_explicit(&field_at, at, memory_order_relaxed); /* [SCHEMA-1] */
				return true;
			}
		}
	}
	return false;
}

static int begin_filling(struct filling *f, MYSQL_THD thd, void *tables, const struct column *column, unsigned columns)
{
	*f = (struct filling){ .thd = thd, .column = column, .columns = columns };
	f->all_texts = !server.lacks_privilege(thd, SERVER_PROCESS_ACL, true);
	if (find_fields(f, tables))
		return 0;
	my_printf_error(ER_UNKNOWN_ERROR, "baton: the plugin does not know how this server keeps a table", MYF(0));
	return 1;
}

/* The next column's field; NULL: the query does not ask for it. */
static void *next_field(struct filling *f)
{
	void *field = f->field[f->at++];

	return *(void **)field != unwanted ? field : NULL;
}

static void text(struct filling *f, const char *s)
{
	void *field = next_field(f);

	if (field)
		store_text(field, s, strlen(s), *charset);
}

static void number(struct filling *f, uint64_t n)
{
	void *field = next_field(f);

	if (field)
		store_number(field, (long long)n, true);
}

static void real(struct filling *f, double d)
{
	void *field = next_field(f);

	if (field)
		store_real(field, d);
}

/* A quantile of durations; NULL where it is longer than a histogram can tell. */
static void quantile(struct filling *f, const struct baton_hist *h, double q)
{
	uint64_t ns = baton_hist_quantile(h, q);
	void *field = next_field(f);
	char digits[32];

	if (!field)
		return;
	if (ns == UINT64_MAX)
		store_null(field);
	else
		store_not_null(field, digits, (unsigned)snprintf(digits, sizeof(digits), "%.6f", (double)ns / 1e6), *charset);
}

static int end_row(struct filling *f)
{
	f->at = 0;
	return store_record(f->thd, f->table);
}

#define MS(ns) ((double)(ns) / 1e6)
#define PERCENT(part, whole) ((whole) ? 100.0 * (double)(part) / (double)(whole) : 0.0)

/* ------------------------------------------------------------------- tenants */

static const struct column tenants[] = {
	{ "TENANT", TEXT, 64 },
	{ "HAS_ROW", TEXT, 3 },
	{ "CLASS", TEXT, 10 },
	{ "LOW_LATENCY", REAL, 12 },		/* % of the machine, bought */
	{ "HIGH_LATENCY", REAL, 12 },
	{ "LOW_LATENCY_USED", REAL, 12 },	/* CPU in the last second */
	{ "HIGH_LATENCY_USED", REAL, 12 },
	{ "IN_FLIGHT", NUMBER, 20 },
	{ "FINISHED", NUMBER, 20 },
	{ "REJECTED", NUMBER, 20 },
	{ "DROPPED", NUMBER, 20 },
	{ "CPU_MS", REAL, 20 },
	{ "THROTTLED_MS", REAL, 20 },
	{ "WAIT_P50_MS", MAYBE, 20 },	/* NULL: over 17 s */
	{ "WAIT_P99_MS", MAYBE, 20 },
};
#define TENANTS (sizeof(tenants) / sizeof(tenants[0]))

static double used(const struct baton_stats_use *u, uint64_t now, uint64_t capacity)
{
	return u->quota ? PERCENT(u->quota - baton_stats_left(u, now), capacity) : 0;
}

static int fill_tenants(MYSQL_THD thd, void *tables, void *cond)
{
	static const struct baton_stats_tenant none;
	struct baton_stats_header h;
	struct baton_stats_tenant *t = malloc(sizeof(*t));
	struct baton_stats *st = NULL;
	struct filling f;
	uint64_t now;
	unsigned i, k;
	int rc = t && !begin_filling(&f, thd, tables, tenants, TENANTS) ? 0 : 1;

	if (!rc && quota_stats(&st))
		rc = 0;		/* not loaded any more: no rows */
	if (!rc && st) {
		baton_stats_header(st, &h, sizeof(h));
		now = baton_clock_now();
		for (i = 0; !rc && i < h.tenants_used; i++) {
			uint64_t cpu = 0, finished = 0, rejected = 0, dropped = 0, throttled = 0;
			struct baton_hist wait = { 0 };
			enum baton_class cls = BATON_TOLERANT;
			bool row = false;

			*t = none;
			if (baton_stats_tenant(st, i, t, sizeof(*t)) || t->state != 1 || !quota_class(t->name, &cls, &row))
				continue;
			for (k = 0; k < h.tiers && k < BATON_TIERS_MAX; k++) {
				const struct baton_stats_use *u = &t->tier[k];
				unsigned s;

				cpu += u->cpu;
				finished += u->finished;
				rejected += u->rejected;
				dropped += u->dropped;
				throttled += u->throttled;
				for (s = 0; s < BATON_HIST_STEPS; s++)
					wait.n[s] += u->wait.n[s];
			}
			text(&f, t->name);
			text(&f, row ? "YES" : "NO");
			text(&f, plugin_class_name(cls));
			real(&f, PERCENT(t->tier[BATON_TIER_LOW].quota, h.capacity));
			real(&f, PERCENT(t->tier[BATON_TIER_HIGH].quota, h.capacity));
			real(&f, used(&t->tier[BATON_TIER_LOW], now, h.capacity));
			real(&f, used(&t->tier[BATON_TIER_HIGH], now, h.capacity));
			number(&f, t->in_flight);
			number(&f, finished);
			number(&f, rejected);
			number(&f, dropped);
			real(&f, MS(cpu));
			real(&f, MS(throttled));
			quantile(&f, &wait, 0.5);
			quantile(&f, &wait, 0.99);
			rc = end_row(&f);
		}
	}
	if (st)
		quota_stats_end(st);
	free(t);
	return rc;
}

int schema_init_tenants(void *p)
{
	static struct field_info info[TENANTS + 1];

	return describe(p, tenants, TENANTS, info, fill_tenants);
}

/* ---------------------------------------------------------------- statements */

static const struct column statements[] = {
	{ "ID", NUMBER, 20 },		/* as in SHOW PROCESSLIST */
	{ "USER", TEXT, 128 },
	{ "TENANT", TEXT, 64 },
	{ "CLASS", TEXT, 10 },
	{ "STATE", TEXT, 16 },
	{ "IN_TRANSACTION", TEXT, 3 },
	{ "TIME_MS", REAL, 20 },
	{ "CPU_MS", REAL, 20 },
	{ "WAITED_MS", REAL, 20 },	/* for a slot */
	{ "THROTTLED_MS", REAL, 20 },	/* time without a slot for want of quota */
	{ "WHY", TEXT, LATE_WHY },
	{ "STATEMENT", TEXT, LATE_TEXT },
};
#define STATEMENTS (sizeof(statements) / sizeof(statements[0]))

static bool may_see(const struct filling *f, const char *user)
{
	size_t len;
	const char *me = server.priv_user(f->thd, &len);

	return f->all_texts || (me && len == strlen(user) && !memcmp(me, user, len));
}

static const char *state_name(enum conn_state s)
{
	static const char *const names[] = {
		[CONN_IDLE] = "idle", [CONN_QUEUED] = "queued", [CONN_RUNS] = "running", [CONN_LOCK_WAIT] = "waits for lock",
		[CONN_SLEEPS] = "sleeps", [CONN_UNSCHEDULED] = "unscheduled",
	};

	return names[s];
}

static int fill_statement(const struct conn_view *v, void *arg)
{
	struct filling *f = arg;
	char why[LATE_WHY] = "";

	if (v->state == CONN_IDLE || !may_see(f, v->user))
		return 0;
	if (v->why.elapsed)
		baton_why_text(&v->why, why, sizeof(why));
	number(f, v->id);
	text(f, v->user);
	text(f, v->tenant);
	text(f, plugin_class_name(v->cls));
	text(f, state_name(v->state));
	text(f, v->in_transaction ? "YES" : "NO");
	real(f, v->since ? MS(baton_clock_now() - v->since) : 0);
	real(f, MS(v->times.cpu));
	real(f, MS(v->times.waited));
	real(f, MS(v->times.throttled));
	text(f, why);
	text(f, v->text);
	return end_row(f);
}

static int fill_statements(MYSQL_THD thd, void *tables, void *cond)
{
	struct filling f;

	return begin_filling(&f, thd, tables, statements, STATEMENTS) || conns_each(fill_statement, &f);
}

int schema_init_statements(void *p)
{
	static struct field_info info[STATEMENTS + 1];

	return describe(p, statements, STATEMENTS, info, fill_statements);
}

/* ---------------------------------------------------------------------- late */

static const struct column lates[] = {
	{ "TIME", TEXT, 32 },		/* UTC, when it ended */
	{ "ID", NUMBER, 20 },
	{ "USER", TEXT, 128 },
	{ "TENANT", TEXT, 64 },
	{ "CLASS", TEXT, 10 },
	{ "TIME_MS", REAL, 20 },
	{ "CPU_MS", REAL, 20 },
	{ "WAITED_MS", REAL, 20 },
	{ "THROTTLED_MS", REAL, 20 },
	{ "WHY", TEXT, LATE_WHY },
	{ "STATEMENT", TEXT, LATE_TEXT },
};
#define LATES (sizeof(lates) / sizeof(lates[0]))

static int fill_one_late(const struct late *l, void *arg)
{
	struct filling *f = arg;
	char when[40], why[LATE_WHY];
	struct tm tm;
	size_t n;

	if (!may_see(f, l->user))
		return 0;
	gmtime_r(&l->when.tv_sec, &tm);
	n = strftime(when, sizeof(when), "%F %T", &tm);
	snprintf(when + n, sizeof(when) - n, ".%03ld", l->when.tv_nsec / 1000000);
	baton_why_text(&l->why, why, sizeof(why));
	text(f, when);
	number(f, l->connection);
	text(f, l->user);
	text(f, l->tenant);
	text(f, plugin_class_name(l->cls));
	real(f, MS(l->why.elapsed));
	real(f, MS(l->why.cpu));
	real(f, MS(l->why.waited));
	real(f, MS(l->why.throttled));
	text(f, why);
	text(f, l->text);
	return end_row(f);
}

static int fill_late(MYSQL_THD thd, void *tables, void *cond)
{
	struct filling f;

	return begin_filling(&f, thd, tables, lates, LATES) || late_each(fill_one_late, &f);
}

int schema_init_late(void *p)
{
	static struct field_info info[LATES + 1];

	return describe(p, lates, LATES, info, fill_late);
}
