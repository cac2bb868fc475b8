// SPDX-License-Identifier: GPL-2.0-or-later
#include "vtab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Cells are their kind and their text, NUL-ended, one behind the other. */
void vtab_row(struct buf *rows, const char *fmt, ...)
{
	const char *text;
	va_list ap;
	double d;

	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		switch (*fmt) {
		case 'i':
			buf_fmt(rows, "i%lld", (long long)va_arg(ap, int64_t));
			break;
		case 'd':
			d = va_arg(ap, double);
			buf_fmt(rows, isnan(d) ? "n" : "d%.17g", d);
			break;
		default:
			text = va_arg(ap, const char *);
			buf_ch(rows, text ? 't' : 'n');
			buf_str(rows, text ? text : "");
		}
		buf_ch(rows, 0);
	}
	va_end(ap);
}

static const struct table {
	const char *name, *decl;
	int columns;
} tables[] = {
	{ "baton_roles", "create table x(rolname text, superuser boolean, createdb boolean, haspassword boolean, low_latency real, "
			 "high_latency real, class text)", 7 },
	{ "baton_databases", "create table x(datname text)", 1 },
	{ "pg_stat_activity",
	  "create table x(datname text, pid integer, usename text, application_name text, client_addr text, state text, wait_event_type text, "
	  "query text, query_s real, class text, waiting_ms real, throttled_ms real, cpu_ms real, memory integer)", 14 },
	{ "baton_stat_tenants",
	  "create table x(usename text, class text, low_latency real, high_latency real, cpu_low_ms real, cpu_high_ms real, "
	  "admitted real, rejected real, dropped real, finished real, throttled_ms real, wait_p50_ms real, wait_p99_ms real, "
	  "latency_p50_ms real, latency_p99_ms real, latency_p999_ms real, queued real, running real, cpu_ms real, memory real)", 20 },
	{ "generate_series", "create table x(value integer, start hidden, stop hidden, step hidden)", 4 },
};
#define N_TABLES (sizeof(tables) / sizeof(*tables))
#define SERIES (&tables[N_TABLES - 1])

struct aux {
	const struct table *t;
	vtab_fill *fill;
	void *arg;
};

struct vtab {
	sqlite3_vtab base;
	const struct aux *a;
};

struct cursor {
	sqlite3_vtab_cursor base;
	struct buf rows;
	size_t at;		/* where the row begins */
	int64_t number, value, stop, step;
	bool end;
};

static int v_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **err)
{
	struct vtab *v = sqlite3_malloc(sizeof(*v));
	int rc;

	if (!v)
		return SQLITE_NOMEM;
	memset(v, 0, sizeof(*v));
	v->a = aux;
	rc = sqlite3_declare_vtab(db, v->a->t->decl);
	if (!rc)
		rc = sqlite3_vtab_config(db, v->a->t == SERIES ? SQLITE_VTAB_INNOCUOUS : SQLITE_VTAB_DIRECTONLY);
	if (rc)
		sqlite3_free(v);
	else
		*out = &v->base;
	return rc;
}

static int v_disconnect(sqlite3_vtab *v)
{
	sqlite3_free(v);
	return 0;
}

/* Hidden columns are the arguments of generate_series(), in their order. */
static int v_best(sqlite3_vtab *vt, sqlite3_index_info *info)
{
	int seen[4] = { -1, -1, -1, -1 }, i, n = 0, mask = 0;

	info->estimatedCost = 1000;
	if (((struct vtab *)vt)->a->t != SERIES)
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
	struct cursor *c = sqlite3_malloc(sizeof(*c));

	if (!c)
		return SQLITE_NOMEM;
	memset(c, 0, sizeof(*c));
	buf_init(&c->rows, 256 << 20);
	*out = &c->base;
	return 0;
}

static int v_close(sqlite3_vtab_cursor *vc)
{
	struct cursor *c = (struct cursor *)vc;

	buf_free(&c->rows);
	sqlite3_free(c);
	return 0;
}

static int wrong(sqlite3_vtab *v, const char *what)
{
	sqlite3_free(v->zErrMsg);
	v->zErrMsg = sqlite3_mprintf("%s", what);
	return SQLITE_ERROR;
}

static int series(struct cursor *c, int mask, int argc, sqlite3_value **argv)
{
	int k;

	for (k = 0; k < argc; k++)
		if (sqlite3_value_numeric_type(argv[k]) != SQLITE_INTEGER)
			return wrong(c->base.pVtab, "42804:generate_series() is of integers");
	if (!(mask & 2) || !(mask & 4))
		return wrong(c->base.pVtab, "42883:generate_series() has a first and a last integer, and perhaps a step");
	c->value = sqlite3_value_int64(argv[0]);
	c->stop = sqlite3_value_int64(argv[1]);
	c->step = mask & 8 ? sqlite3_value_int64(argv[2]) : 1;
	if (!c->step)
		return wrong(c->base.pVtab, "22023:step size cannot equal zero");
	c->end = c->step > 0 ? c->value > c->stop : c->value < c->stop;
	return 0;
}

static int v_filter(sqlite3_vtab_cursor *vc, int mask, const char *str, int argc, sqlite3_value **argv)
{
	struct cursor *c = (struct cursor *)vc;
	const struct aux *a = ((struct vtab *)c->base.pVtab)->a;

	c->at = 0;
	c->number = 0;
	if (a->t == SERIES)
		return series(c, mask, argc, argv);
	buf_clear(&c->rows, 1 << 20);
	a->fill(a->arg, a->t->name, &c->rows);
	return c->rows.failed ? SQLITE_NOMEM : 0;
}

static bool is_series(const struct cursor *c)
{
	return ((struct vtab *)c->base.pVtab)->a->t == SERIES;
}

static const char *cell_at(const struct cursor *c, int column)
{
	const char *cell = c->rows.p + c->at;

	while (column--)
		cell += strlen(cell) + 1;
	return cell;
}

static int v_next(sqlite3_vtab_cursor *vc)
{
	struct cursor *c = (struct cursor *)vc;

	c->number++;
	if (is_series(c))
		c->end = __builtin_add_overflow(c->value, c->step, &c->value) ||
			 (c->step > 0 ? c->value > c->stop : c->value < c->stop);
	else
		c->at = (size_t)(cell_at(c, ((struct vtab *)c->base.pVtab)->a->t->columns) - c->rows.p);
	return 0;
}

static int v_eof(sqlite3_vtab_cursor *vc)
{
	struct cursor *c = (struct cursor *)vc;

	return is_series(c) ? c->end : c->at >= c->rows.len;
}

static int v_column(sqlite3_vtab_cursor *vc, sqlite3_context *out, int col)
{
	struct cursor *c = (struct cursor *)vc;
	const char *cell;

	if (is_series(c)) {
		if (!col)
			sqlite3_result_int64(out, c->value);
		return 0;
	}
	cell = cell_at(c, col);
	if (*cell == 'i')
		sqlite3_result_int64(out, strtoll(cell + 1, NULL, 10));
	else if (*cell == 'd')
		sqlite3_result_double(out, strtod(cell + 1, NULL));
	else if (*cell == 't')
		sqlite3_result_text(out, cell + 1, -1, SQLITE_TRANSIENT);
	return 0;
}

static int v_rowid(sqlite3_vtab_cursor *vc, sqlite3_int64 *out)
{
	*out = ((struct cursor *)vc)->number;
	return 0;
}

/* Without xCreate: there without being made, and not to be made in a database. */
static const sqlite3_module callbacks = {
	.xConnect = v_connect, .xDisconnect = v_disconnect, .xBestIndex = v_best, .xOpen = v_open, .xClose = v_close,
	.xFilter = v_filter, .xNext = v_next, .xEof = v_eof, .xColumn = v_column, .xRowid = v_rowid,
};

int vtab_register(sqlite3 *db, vtab_fill *fill, void *arg)
{
	sqlite3_stmt *st;
	struct aux *a;
	char sql[80];
	unsigned i;
	int rc = 0;

	for (i = 0; i < N_TABLES && !rc; i++) {
		a = sqlite3_malloc(sizeof(*a));
		if (!a)
			return SQLITE_NOMEM;
		*a = (struct aux){ &tables[i], fill, arg };
		rc = sqlite3_create_module_v2(db, tables[i].name, &callbacks, a, sqlite3_free);
		/* Connected here, where the server may still declare a table. */
		sqlite3_snprintf(sizeof(sql), sql, "select 1 from %s", tables[i].name);
		if (!rc)
			rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
		if (!rc)
			sqlite3_finalize(st);
	}
	return rc;
}

bool vtab_is(const char *table)
{
	unsigned i;

	for (i = 0; i < N_TABLES; i++)
		if (!sqlite3_stricmp(table, tables[i].name))
			return true;
	return false;
}
