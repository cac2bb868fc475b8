// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of functions. Some of SQLite's own may run for hours without asking
 * whether they are to end (instr('aaa...', 'aa...b') of 16 MB compares 10^14 bytes; LIKE likewise);
 * here these are our own: linear, or refusing what takes too long.
 */
#include "funcs.h"

#include <stdio.h>
#include <string.h>

#include "session.h"

static struct session *session_of(sqlite3_context *c)
{
	return sqlite3_user_data(c);
}

/* An error with an SQLSTATE of its own, which db.c takes apart. */
static void raise_error(sqlite3_context *c, const char *code, const char *text)
{
	char all[200];

	snprintf(all, sizeof(all), "%s:%s", code, text);
	sqlite3_result_error(c, all, -1);
}

static void f_pid(sqlite3_context *c, int n, sqlite3_value **v)
{
	sqlite3_result_int64(c, session_of(c)->pid);
}

static void f_database(sqlite3_context *c, int n, sqlite3_value **v)
{
	sqlite3_result_text(c, session_of(c)->database->name, -1, SQLITE_TRANSIENT);
}

static void f_setting(sqlite3_context *c, int n, sqlite3_value **v)
{
	const char *name = (const char *)sqlite3_value_text(v[0]), *value = name ? setting_get(session_of(c), name) : NULL;

	if (name && !value)
		raise_error(c, "42704", "unrecognized configuration parameter");
	else if (value)
		sqlite3_result_text(c, value, -1, SQLITE_TRANSIENT);
}

static void signal_pid(sqlite3_context *c, sqlite3_value *v, int how)
{
	int rc = sqlite3_value_type(v) == SQLITE_NULL ? 0 : session_end(session_of(c), (uint32_t)sqlite3_value_int(v), 0, how);

	if (rc < 0)
		raise_error(c, "42501", "permission denied: it is another user's connection");
	else
		sqlite3_result_int(c, rc);
}

static void f_cancel(sqlite3_context *c, int n, sqlite3_value **v)
{
	signal_pid(c, v[0], 1);
}

static void f_terminate(sqlite3_context *c, int n, sqlite3_value **v)
{
	signal_pid(c, v[0], 2);
}

static void f_sleep(sqlite3_context *c, int n, sqlite3_value **v)
{
	double s = sqlite3_value_double(v[0]);

	work_sleep(session_of(c), s < 0 ? 0 : s > 1e6 ? 1e6 : s);
	if (work_progress(session_of(c)))
		sqlite3_result_error_code(c, SQLITE_INTERRUPT);
}

static void f_budget(sqlite3_context *c, int n, sqlite3_value **v)
{
	struct baton_request_times t = { 0 };
	struct session *s = session_of(c);

	if (!s->task || !s->request)
		return;
	baton_request_times(s->request, &t, sizeof(t));
	sqlite3_result_double(c, (double)t.budget / 1e6);
}

static void f_deadline(sqlite3_context *c, int n, sqlite3_value **v)
{
	uint64_t now = baton_clock_now(), end = session_of(c)->deadline;

	if (end)
		sqlite3_result_double(c, end > now ? (double)(end - now) / 1e6 : 0);
}

static void f_charge(sqlite3_context *c, int n, sqlite3_value **v)
{
	double ms = sqlite3_value_double(v[0]);
	struct session *s = session_of(c);

	if (!(ms >= 0 && ms <= 1e9)) {
		raise_error(c, "22003", "a charge is from 0 ms to 10^9 ms");
	} else if (s->task && s->request) {
		baton_request_charge(s->request, (uint64_t)(ms * 1e6));
		sqlite3_result_double(c, ms);
	}
}

/* ----------------------------------------------------- in the place of SQLite's */

/* The time of these two grows with the sum of what they are given, not with the product. */
static void f_instr(sqlite3_context *c, int n, sqlite3_value **v)
{
	bool blobs = sqlite3_value_type(v[0]) == SQLITE_BLOB && sqlite3_value_type(v[1]) == SQLITE_BLOB;
	const char *text[2], *at, *p;
	int i, chars = 1;

	for (i = 0; i < 2; i++) {
		if (sqlite3_value_type(v[i]) == SQLITE_NULL)
			return;
		text[i] = blobs ? sqlite3_value_blob(v[i]) : (const char *)sqlite3_value_text(v[i]);
		if (!text[i] && sqlite3_value_bytes(v[i])) {
			sqlite3_result_error_nomem(c);
			return;
		}
		text[i] = text[i] ? text[i] : "";
	}
	at = memmem(text[0], sqlite3_value_bytes(v[0]), text[1], sqlite3_value_bytes(v[1]));
	for (p = text[0]; at && p < at; p++)
		chars += blobs || (*p & 0xc0) != 0x80;
	sqlite3_result_int(c, at ? chars : 0);
}

static void f_replace(sqlite3_context *c, int n, sqlite3_value **v)
{
	const char *s = (const char *)sqlite3_value_text(v[0]), *what = (const char *)sqlite3_value_text(v[1]);
	const char *with = (const char *)sqlite3_value_text(v[2]), *p = s, *end, *at;
	size_t what_len = sqlite3_value_bytes(v[1]);
	struct buf b;

	if (!s || !what || !with)
		return;
	end = s + sqlite3_value_bytes(v[0]);
	buf_init(&b, sqlite3_limit(sqlite3_context_db_handle(c), SQLITE_LIMIT_LENGTH, -1));
	for (; what_len && !b.failed && (at = memmem(p, end - p, what, what_len)); p = at + what_len) {
		buf_add(&b, p, at - p);
		buf_add(&b, with, sqlite3_value_bytes(v[2]));
	}
	buf_add(&b, p, end - p);
	if (!b.failed)
		sqlite3_result_text(c, buf_cstr(&b), (int)b.len, SQLITE_TRANSIENT);
	else if (b.cap * 2 > b.max)
		sqlite3_result_error_toobig(c);
	else
		sqlite3_result_error_nomem(c);
	buf_free(&b);
}

static void f_trim_of(sqlite3_context *c, int n, sqlite3_value **v)
{
	raise_error(c, "0A000", "trim() of other characters than blanks is not supported");
}

/* A comparison of this many steps takes less than a second. */
#define MOST_STEPS (1LL << 29)

/* LIKE and GLOB are SQLite's, of texts and patterns that it compares in time. */
static void match(sqlite3_context *c, int n, sqlite3_value **v, bool glob)
{
	const char *pattern = (const char *)sqlite3_value_text(v[0]), *s = (const char *)sqlite3_value_text(v[1]), *e = "";

	if (n == 3)
		e = (const char *)sqlite3_value_text(v[2]);
	if (!pattern || !s || !e)
		return;
	if (n == 3 && (!*e || e[1] || *e & 0x80))
		raise_error(c, "22025", "ESCAPE is one ASCII character");
	else if ((long long)sqlite3_value_bytes(v[0]) * sqlite3_value_bytes(v[1]) > MOST_STEPS)
		raise_error(c, "54000", "the text is too long for this pattern");
	else
		sqlite3_result_int(c, !(glob ? sqlite3_strglob(pattern, s) : sqlite3_strlike(pattern, s, (unsigned)*e)));
}

static void f_like(sqlite3_context *c, int n, sqlite3_value **v)
{
	match(c, n, v, false);
}

static void f_glob(sqlite3_context *c, int n, sqlite3_value **v)
{
	match(c, n, v, true);
}

/* ------------------------------------------------------------------- table */

enum {
	SAFE = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
	/* Not from within a view, a check or an index. */
	DIRECT = SQLITE_UTF8 | SQLITE_DIRECTONLY,
};

/* args: the types of the first ones, t for text, i, f; any other letter is any. fn NULL: SQLite's own. */
static const struct func {
	const char *name;
	uint32_t type;
	const char *args;
	int n;
	void (*fn)(sqlite3_context *, int, sqlite3_value **);
	int flags;
} funcs[] = {
	{ "baton_budget_ms", T_FLOAT8, "", 0, f_budget, DIRECT },
	{ "baton_charge_ms", T_FLOAT8, "f", 1, f_charge, DIRECT },
	{ "baton_deadline_ms", T_FLOAT8, "", 0, f_deadline, DIRECT },
	{ "current_database", T_TEXT, "", 0, f_database, DIRECT },
	{ "current_setting", T_TEXT, "t", 1, f_setting, DIRECT },
	{ "pg_backend_pid", T_INT8, "", 0, f_pid, DIRECT },
	{ "pg_cancel_backend", T_INT8, "i", 1, f_cancel, DIRECT },
	{ "pg_sleep", T_TEXT, "f", 1, f_sleep, DIRECT },
	{ "pg_terminate_backend", T_INT8, "i", 1, f_terminate, DIRECT },

	{ "glob", T_INT8, "tt", 2, f_glob, SAFE },
	{ "instr", T_INT8, "tt", 2, f_instr, SAFE },
	{ "like", T_INT8, "tt", 2, f_like, SAFE },
	{ "like", T_INT8, "ttt", 3, f_like, SAFE },
	{ "ltrim", T_TEXT, "tt", 2, f_trim_of, SAFE },
	{ "replace", T_TEXT, "ttt", 3, f_replace, SAFE },
	{ "rtrim", T_TEXT, "tt", 2, f_trim_of, SAFE },
	{ "trim", T_TEXT, "tt", 2, f_trim_of, SAFE },

#define OWN(NAME, TYPE, ARGS) { NAME, TYPE, ARGS, 0, NULL, 0 }
	OWN("abs", 0, ""), OWN("acos", T_FLOAT8, "f"), OWN("acosh", T_FLOAT8, "f"), OWN("asin", T_FLOAT8, "f"),
	OWN("asinh", T_FLOAT8, "f"), OWN("atan", T_FLOAT8, "f"), OWN("atan2", T_FLOAT8, "ff"), OWN("atanh", T_FLOAT8, "f"),
	OWN("avg", T_FLOAT8, ""), OWN("ceil", 0, ""), OWN("ceiling", 0, ""), OWN("char", T_TEXT, "iiii"),
	OWN("coalesce", 0, ""), OWN("cos", T_FLOAT8, "f"), OWN("cosh", T_FLOAT8, "f"), OWN("count", T_INT8, ""),
	OWN("cume_dist", T_FLOAT8, ""), OWN("current_date", T_TEXT, ""), OWN("current_time", T_TEXT, ""),
	OWN("current_timestamp", T_TEXT, ""), OWN("date", T_TEXT, "ttt"), OWN("datetime", T_TEXT, "ttt"), OWN("degrees", T_FLOAT8, "f"),
	OWN("dense_rank", T_INT8, ""), OWN("exp", T_FLOAT8, "f"), OWN("first_value", 0, ""), OWN("floor", 0, ""),
	OWN("format", T_TEXT, "t"), OWN("group_concat", T_TEXT, "xt"), OWN("hex", T_TEXT, ""), OWN("ifnull", 0, ""), OWN("iif", 0, ""),
	OWN("julianday", T_FLOAT8, "ttt"), OWN("lag", 0, "xi"), OWN("last_insert_rowid", T_INT8, ""), OWN("last_value", 0, ""),
	OWN("lead", 0, "xi"), OWN("length", T_INT8, "t"), OWN("likelihood", 0, ""), OWN("likely", 0, ""), OWN("ln", T_FLOAT8, "f"),
	OWN("log", T_FLOAT8, "ff"), OWN("log10", T_FLOAT8, "f"), OWN("log2", T_FLOAT8, "f"), OWN("lower", T_TEXT, "t"),
	OWN("max", 0, ""), OWN("min", 0, ""), OWN("mod", T_FLOAT8, "ff"), OWN("nth_value", 0, "xi"), OWN("ntile", T_INT8, "i"),
	OWN("nullif", 0, ""), OWN("percent_rank", T_FLOAT8, ""), OWN("pi", T_FLOAT8, ""), OWN("pow", T_FLOAT8, "ff"),
	OWN("power", T_FLOAT8, "ff"), OWN("printf", T_TEXT, "t"), OWN("quote", T_TEXT, ""), OWN("radians", T_FLOAT8, "f"),
	OWN("random", T_INT8, ""), OWN("randomblob", T_BYTEA, "i"), OWN("rank", T_INT8, ""), OWN("round", T_FLOAT8, "fi"),
	OWN("row_number", T_INT8, ""), OWN("sign", 0, ""), OWN("sin", T_FLOAT8, "f"), OWN("sinh", T_FLOAT8, "f"),
	OWN("sqlite_version", T_TEXT, ""), OWN("sqrt", T_FLOAT8, "f"), OWN("strftime", T_TEXT, "tttt"), OWN("substr", T_TEXT, "tii"),
	OWN("substring", T_TEXT, "tii"), OWN("sum", 0, ""), OWN("tan", T_FLOAT8, "f"), OWN("tanh", T_FLOAT8, "f"),
	OWN("time", T_TEXT, "ttt"), OWN("total", T_FLOAT8, ""), OWN("trunc", 0, ""),
	OWN("typeof", T_TEXT, ""), OWN("unicode", T_INT8, "t"), OWN("unixepoch", T_INT8, "ttt"), OWN("unlikely", 0, ""),
	OWN("upper", T_TEXT, "t"), OWN("zeroblob", T_BYTEA, "i"),
};
#define N_FUNCS (sizeof(funcs) / sizeof(*funcs))

static const struct func *find_func(const char *name)
{
	unsigned i;

	for (i = 0; i < N_FUNCS; i++)
		if (!sqlite3_stricmp(name, funcs[i].name))
			return &funcs[i];
	return NULL;
}

bool funcs_allowed(const char *name, uint32_t *type)
{
	const struct func *f = find_func(name);

	*type = f ? f->type : 0;
	return f != NULL;
}

uint32_t funcs_argument(const char *name, unsigned n)
{
	const struct func *f = find_func(name);
	char c = f && n < strlen(f->args) ? f->args[n] : 'x';

	return c == 't' ? T_TEXT : c == 'i' ? T_INT8 : c == 'f' ? T_FLOAT8 : 0;
}

const char *funcs_name(unsigned i)
{
	return i < N_FUNCS ? funcs[i].name : NULL;
}

int funcs_register(sqlite3 *db, struct session *s)
{
	unsigned i;
	int rc = 0;

	for (i = 0; i < N_FUNCS && !rc; i++)
		if (funcs[i].fn)
			rc = sqlite3_create_function(db, funcs[i].name, funcs[i].n, funcs[i].flags, s, funcs[i].fn, NULL, NULL);
	return rc;
}
