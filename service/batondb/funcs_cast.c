// SPDX-License-Identifier: GPL-2.0-or-later
/* Casts: what :: and CAST are written as. */
#include "funcs_int.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void cast_int(ctx *c, val *v, uint32_t oid, int64_t min, int64_t max)
{
	const char *s, *end;
	bool out = false;
	char *stop;
	long long n;
	double d;

	switch (sqlite3_value_type(v)) {
	case SQLITE_NULL:
		return;
	case SQLITE_INTEGER:
		n = sqlite3_value_int64(v);
		break;
	case SQLITE_FLOAT:
		d = round(sqlite3_value_double(v));
		/* 2^63 is the next one that a double has. */
		if (!(d >= (double)min && d < (double)max + 1)) {
			funcs_error(c, "22003", "%s out of range", type_of(oid)->sql);
			return;
		}
		n = (long long)d;
		break;
	default:
		s = text_of(v);
		errno = 0;
		n = strtoll(s, &stop, 10);
		out = errno == ERANGE;
		end = stop;
		while (isspace((unsigned char)*end))
			end++;
		if (stop == s || *end) {
			funcs_error(c, "22P02", "invalid input syntax for type %s: \"%.60s\"", type_of(oid)->sql, s);
			return;
		}
	}
	if (out || n < min || n > max)
		funcs_error(c, "22003", "%s out of range", type_of(oid)->sql);
	else
		sqlite3_result_int64(c, n);
}

static void f_rint(ctx *c, int n, val **v)
{
	if (!is_null(v[0]))
		sqlite3_result_double(c, rint(sqlite3_value_double(v[0])));
}

static void f_int2(ctx *c, int n, val **v) { cast_int(c, v[0], T_INT2, INT16_MIN, INT16_MAX); }
static void f_int4(ctx *c, int n, val **v) { cast_int(c, v[0], T_INT4, INT32_MIN, INT32_MAX); }
static void f_int8(ctx *c, int n, val **v) { cast_int(c, v[0], T_INT8, INT64_MIN, INT64_MAX); }
static void f_oid(ctx *c, int n, val **v) { cast_int(c, v[0], T_OID, 0, UINT32_MAX); }

static void cast_float(ctx *c, val *v, uint32_t oid, double *out, bool *ok)
{
	const char *s;
	char *end;

	*ok = false;
	if (is_null(v))
		return;
	if (sqlite3_value_type(v) == SQLITE_TEXT) {
		s = text_of(v);
		*out = strtod(s, &end);
		while (isspace((unsigned char)*end))
			end++;
		if (end == s || *end) {
			funcs_error(c, "22P02", "invalid input syntax for type %s: \"%.60s\"", type_of(oid)->sql, s);
			return;
		}
	} else {
		*out = sqlite3_value_double(v);
	}
	*ok = true;
}

static void f_float(ctx *c, int n, val **v)
{
	double d;
	bool ok;

	cast_float(c, v[0], T_FLOAT8, &d, &ok);
	if (ok)
		sqlite3_result_double(c, d);
}

double funcs_rounded(double d, int scale)
{
	double p = pow(10, scale), x = d * p, r = round(x);

	/* 2.675 is meant, where 2.67499999 is what is there. */
	if (fabs(fabs(x - trunc(x)) - 0.5) < fmin(4e-15 * fabs(x) + 1e-12, 1e-3))
		r = trunc(x) + (x < 0 ? -1 : 1);
	return r / p;
}

static void f_numeric(ctx *c, int n, val **v)
{
	double d;
	bool ok;
	int mod, scale;

	/* A whole number, too: 1::numeric / 3 is not 0. */
	cast_float(c, v[0], T_NUMERIC, &d, &ok);
	if (!ok)
		return;
	/* From here on there are whole numbers that it would not be. */
	if (fabs(d) > 9007199254740992.0 && !isinf(d)) {
		funcs_error(c, "0A000", "a numeric of more than 15 digits before the point is not supported");
		return;
	}
	if (n > 1) {
		mod = sqlite3_value_int(v[1]);
		scale = mod & 0xffff;
		d = funcs_rounded(d, scale);
		if (fabs(d) >= pow(10, (mod >> 16) - scale)) {
			funcs_error(c, "22003", "numeric field overflow");
			return;
		}
	}
	sqlite3_result_double(c, d);
}

static void f_bool(ctx *c, int n, val **v)
{
	int b;

	if (is_null(v[0]))
		return;
	b = sqlite3_value_type(v[0]) == SQLITE_TEXT ? bool_parse(text_of(v[0]), sqlite3_value_bytes(v[0])) :
						      sqlite3_value_int64(v[0]) != 0;
	if (b < 0)
		funcs_error(c, "22P02", "invalid input syntax for type boolean: \"%.60s\"", text_of(v[0]));
	else
		sqlite3_result_int(c, b);
}

static void f_bool_text(ctx *c, int n, val **v)
{
	if (!is_null(v[0]))
		sqlite3_result_text(c, sqlite3_value_int(v[0]) ? "true" : "false", -1, SQLITE_STATIC);
}

static void f_numeric_text(ctx *c, int n, val **v)
{
	struct buf b;

	if (is_null(v[0]))
		return;
	buf_init(&b, 1 << 16);
	type_text(&b, (struct coltype){ T_NUMERIC, sqlite3_value_int(v[1]) }, v[0]);
	result_buf(c, &b);
}

static void f_text(ctx *c, int n, val **v)
{
	struct coltype none = { 0, -1 };
	struct buf b;
	size_t i, max;

	if (is_null(v[0]))
		return;
	buf_init(&b, 1 << 30);
	type_text(&b, none, v[0]);
	if (n > 1) {
		max = sqlite3_value_int(v[1]);
		for (i = 0; i < b.len; i++)
			if ((b.p[i] & 0xc0) != 0x80 && !max--)
				break;
		b.len = i;
	}
	result_buf(c, &b);
}

bool funcs_time_of(ctx *c, val *v, uint32_t oid, int64_t *us)
{
	const char *s;

	if (is_null(v))
		return false;
	if (sqlite3_value_type(v) != SQLITE_TEXT) {
		funcs_error(c, "42846", "cannot cast a number to type %s", type_of(oid)->sql);
		return false;
	}
	s = text_of(v);
	if (!time_parse(s, strlen(s), oid == T_TIMESTAMPTZ, us)) {
		funcs_error(c, time_error(s), "invalid input syntax for type %s: \"%.60s\"", type_of(oid)->sql, s);
		return false;
	}
	return true;
}

void funcs_result_time(ctx *c, int64_t us, uint32_t oid)
{
	struct buf b;

	buf_init(&b, 100);
	time_format(&b, us, oid);
	result_buf(c, &b);
}

static void cast_time(ctx *c, val *v, uint32_t oid)
{
	int64_t us;

	if (funcs_time_of(c, v, oid, &us))
		funcs_result_time(c, us, oid);
}

static void f_date(ctx *c, int n, val **v) { cast_time(c, v[0], T_DATE); }
static void f_timestamp(ctx *c, int n, val **v) { cast_time(c, v[0], T_TIMESTAMP); }
static void f_timestamptz(ctx *c, int n, val **v) { cast_time(c, v[0], T_TIMESTAMPTZ); }

static void f_time(ctx *c, int n, val **v)
{
	const char *s = is_null(v[0]) ? NULL : text_of(v[0]);
	struct interval iv;
	struct buf b;

	if (!s)
		return;
	if (strlen(s) > 10 && s[4] == '-') {
		cast_time(c, v[0], T_TIME);
	} else if (interval_parse(s, &iv) && !iv.months && !iv.days && iv.us >= 0 && iv.us <= DAY_US) {
		buf_init(&b, 100);
		interval_format(&b, &iv);
		result_buf(c, &b);
	} else {
		funcs_error(c, time_error(s), "invalid input syntax for type time: \"%.60s\"", s);
	}
}

static void f_bytea(ctx *c, int n, val **v)
{
	const char *s;
	uint8_t *to;
	size_t len;

	if (is_null(v[0]) || sqlite3_value_type(v[0]) == SQLITE_BLOB) {
		sqlite3_result_value(c, v[0]);
		return;
	}
	s = text_of(v[0]);
	if (s[0] != '\\' || s[1] != 'x') {
		sqlite3_result_blob(c, s, (int)strlen(s), SQLITE_TRANSIENT);
		return;
	}
	s += 2;
	len = strlen(s);
	to = sqlite3_malloc64(len / 2 + 1);
	if (!to) {
		sqlite3_result_error_nomem(c);
	} else if (hex_bytes(to, s, len)) {
		sqlite3_result_blob(c, to, (int)(len / 2), sqlite3_free);
	} else {
		sqlite3_free(to);
		funcs_error(c, "22023", "invalid hexadecimal data");
	}
}

static void f_uuid(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]);
	char to[37];
	int at = 0, digits = 0;
	bool braced = s && *s == '{';

	if (!s)
		return;
	/* A hyphen may stand behind any four digits. */
	for (s += braced; *s && *s != '}' && digits < 32; s++) {
		if (*s == '-' && digits && digits % 4 == 0 && s[-1] != '-')
			continue;
		if (lex_hex(*s) < 0)
			break;
		if (digits == 8 || digits == 12 || digits == 16 || digits == 20)
			to[at++] = '-';
		to[at++] = (char)tolower((unsigned char)*s);
		digits++;
	}
	if (digits < 32 || strcmp(s, braced ? "}" : ""))
		funcs_error(c, "22P02", "invalid input syntax for type uuid: \"%.60s\"", text_of(v[0]));
	else
		sqlite3_result_text(c, to, at, SQLITE_TRANSIENT);
}

/* Without the blanks at its end that are more than a varchar(n) has room for. */
static void f_fit(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *p;
	int left = sqlite3_value_int(v[1]);

	if (!s)
		return;
	for (p = s; *p && ((*p & 0xc0) == 0x80 || left--); p++)
		;
	if (*p && !p[strspn(p, " ")])
		sqlite3_result_text(c, s, (int)(p - s), SQLITE_TRANSIENT);
	else
		sqlite3_result_value(c, v[0]);
}

/* One value by a statement on the caller's own connection. */
void funcs_lookup(ctx *c, const char *sql, val *v, const char *fail)
{
	sqlite3_stmt *s;

	if (is_null(v))
		return;
	if (sqlite3_prepare_v2(sqlite3_context_db_handle(c), sql, -1, &s, NULL)) {
		sqlite3_result_error(c, sqlite3_errmsg(sqlite3_context_db_handle(c)), -1);
		return;
	}
	sqlite3_bind_value(s, 1, v);
	if (sqlite3_step(s) == SQLITE_ROW)
		sqlite3_result_value(c, sqlite3_column_value(s, 0));
	else if (fail)
		funcs_error(c, fail, "relation \"%.100s\" does not exist", text_of(v));
	sqlite3_finalize(s);
}

static void f_json(ctx *c, int n, val **v)
{
	sqlite3_stmt *s;
	bool ok;

	if (is_null(v[0]))
		return;
	if (sqlite3_prepare_v2(sqlite3_context_db_handle(c), "select json_valid(?1)", -1, &s, NULL)) {
		sqlite3_result_error(c, sqlite3_errmsg(sqlite3_context_db_handle(c)), -1);
		return;
	}
	sqlite3_bind_value(s, 1, v[0]);
	ok = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	if (ok)
		sqlite3_result_value(c, v[0]);
	else
		funcs_error(c, "22P02", "invalid input syntax for type json: \"%.60s\"", text_of(v[0]));
}

static void f_regclass(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]);

	if (!s)
		return;
	if (isdigit((unsigned char)*s)) {
		sqlite3_result_int64(c, atoll(s));
		return;
	}
	funcs_lookup(c, "select oid from pg_class where relname = replace(case when ?1 like 'public.%' then substr(?1, 8) "
		  "when ?1 like 'pg_catalog.%' then substr(?1, 12) else ?1 end, '\"', '')", v[0], "42P01");
}

static void f_to_regclass(ctx *c, int n, val **v)
{
	funcs_lookup(c, "select oid from pg_class where relname = ?1", v[0], NULL);
}

static void f_regtype(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]);
	struct coltype t;
	struct lex l;
	bool serial;

	if (!s)
		return;
	if (isdigit((unsigned char)*s))
		sqlite3_result_int64(c, atoll(s));
	else if (lex(&l, s, strlen(s)) && type_parse(l.tok, &t, &serial))
		sqlite3_result_int64(c, t.oid), lex_free(&l);
	else
		funcs_error(c, "42704", "type \"%.60s\" does not exist", s), lex_free(&l);
}

static void f_same(ctx *c, int n, val **v)
{
	sqlite3_result_value(c, v[0]);
}

const struct func funcs_cast[] = {
	{ "baton_bool_text", 1, PURE, f_bool_text }, { "baton_numeric_text", 2, PURE, f_numeric_text },
	{ "baton_rint", 1, PURE, f_rint }, { "baton_int2", 1, PURE, f_int2 }, { "baton_int4", 1, PURE, f_int4 }, { "baton_int8", 1, PURE, f_int8 },
	{ "baton_oid", 1, PURE, f_oid }, { "baton_float", 1, PURE, f_float }, { "baton_numeric", 1, PURE, f_numeric },
	{ "baton_numeric", 2, PURE, f_numeric },
	{ "baton_bool", 1, PURE, f_bool }, { "baton_text", 1, PURE, f_text }, { "baton_text", 2, PURE, f_text }, { "baton_date", 1, PURE, f_date },
	{ "baton_time", 1, PURE, f_time }, { "baton_timestamp", 1, PURE, f_timestamp },
	{ "baton_uuid", 1, PURE, f_uuid }, { "baton_fit", 2, PURE, f_fit }, { "baton_json", 1, PURE, f_json },
	{ "baton_timestamptz", 1, PURE, f_timestamptz }, { "baton_bytea", 1, PURE, f_bytea },
	{ "baton_regclass", 1, WORLD, f_regclass }, { "to_regclass", 1, WORLD, f_to_regclass },
	{ "baton_regtype", 1, WORLD, f_regtype }, { "baton_reg", 1, WORLD, f_same }, { "pg_get_expr", 2, PURE, f_same },
	{ "pg_get_expr", 3, PURE, f_same },
	{ 0 }
};
