// SPDX-License-Identifier: GPL-2.0-or-later
#include "types.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto.h"

#define USEC 1000000LL
#define DAY (86400 * USEC)
#define MONOTONIC_2000 946684800LL	/* 2000-01-01 in seconds since 1970 */

/*
 * SQLite writes INTEGER in its own way, so it is int4 in a table. A name in decl
 * with TEXT in it gives a column that keeps text as it is, and one with REAL one
 * whose whole numbers are not divided as integers are.
 */
const struct type types[] = {
	{ T_BOOL, "bool", "boolean", NULL, 1, 'B' },
	{ T_BYTEA, "bytea", "bytea", "bytea blob", -1, 'U' },
	{ T_CHAR, "char", "\"char\"", "char1 text", 1, 'Z' },
	{ T_NAME, "name", "name", "name text", 64, 'S' },
	{ T_INT8, "int8", "bigint", NULL, 8, 'N' },
	{ T_INT2, "int2", "smallint", NULL, 2, 'N' },
	{ T_INT4, "int4", "integer", "int4", 4, 'N' },
	{ T_REGPROC, "regproc", "regproc", NULL, 4, 'N' },
	{ T_TEXT, "text", "text", NULL, -1, 'S' },
	{ T_OID, "oid", "oid", "oid integer", 4, 'N' },
	{ T_XID, "xid", "xid", "xid integer", 4, 'U' },
	{ T_JSON, "json", "json", "json text", -1, 'U' },
	{ T_FLOAT4, "float4", "real", NULL, 4, 'N' },
	{ T_FLOAT8, "float8", "double precision", NULL, 8, 'N' },
	{ T_UNKNOWN, "unknown", "unknown", NULL, -2, 'X' },
	{ T_INT4_ARRAY, "_int4", "integer[]", NULL, -1, 'A' },
	{ T_TEXT_ARRAY, "_text", "text[]", NULL, -1, 'A' },
	{ T_NAME_ARRAY, "_name", "name[]", NULL, -1, 'A' },
	{ T_BPCHAR, "bpchar", "character", NULL, -1, 'S' },
	{ T_VARCHAR, "varchar", "character varying", NULL, -1, 'S' },
	{ T_DATE, "date", "date", NULL, 4, 'D' },
	{ T_TIME, "time", "time without time zone", NULL, 8, 'D' },
	{ T_TIMESTAMP, "timestamp", "timestamp without time zone", NULL, 8, 'D' },
	{ T_TIMESTAMPTZ, "timestamptz", "timestamp with time zone", NULL, 8, 'D' },
	{ T_INTERVAL, "interval", "interval", "interval_text", 16, 'T' },
	{ T_NUMERIC, "numeric", "numeric", "numeric real", -1, 'N' },
	{ T_REGCLASS, "regclass", "regclass", NULL, 4, 'N' },
	{ T_REGTYPE, "regtype", "regtype", NULL, 4, 'N' },
	{ T_REGNAMESPACE, "regnamespace", "regnamespace", NULL, 4, 'N' },
	{ T_REGROLE, "regrole", "regrole", NULL, 4, 'N' },
	{ T_VOID, "void", "void", NULL, 4, 'P' },
	{ T_UUID, "uuid", "uuid", "uuid text", 16, 'U' },
	{ T_JSONB, "jsonb", "jsonb", "jsonb text", -1, 'U' },
};
const unsigned n_types = sizeof(types) / sizeof(*types);

const struct type *type_of(uint32_t oid)
{
	const struct type *text = NULL;
	unsigned i;

	for (i = 0; i < n_types; i++) {
		if (types[i].oid == oid)
			return &types[i];
		if (types[i].oid == T_TEXT)
			text = &types[i];
	}
	return text;
}

bool type_is_number(uint32_t oid)
{
	return oid == T_INT2 || oid == T_INT4 || oid == T_INT8 || oid == T_FLOAT4 || oid == T_FLOAT8 || oid == T_NUMERIC;
}

/* Names of one word that are not in the table, and those of serial columns. */
static const struct {
	const char *name;
	uint32_t oid;
	bool serial;
} alias[] = {
	{ "int", T_INT4, 0 }, { "integer", T_INT4, 0 }, { "bigint", T_INT8, 0 }, { "smallint", T_INT2, 0 },
	{ "boolean", T_BOOL, 0 }, { "real", T_FLOAT4, 0 }, { "decimal", T_NUMERIC, 0 },
	{ "dec", T_NUMERIC, 0 }, { "character", T_BPCHAR, 0 }, { "char", T_BPCHAR, 0 },
	{ "serial", T_INT4, 1 }, { "serial4", T_INT4, 1 }, { "bigserial", T_INT8, 1 },
	{ "serial8", T_INT8, 1 }, { "smallserial", T_INT2, 1 }, { "serial2", T_INT2, 1 },
	{ "float", T_FLOAT8, 0 }, { "timetz", T_TIME, 0 }, { "cstring", T_TEXT, 0 }, { "citext", T_TEXT, 0 },
};

static uint32_t word_type(const struct lex_tok *t, bool *serial)
{
	unsigned i;

	if (t->kind == LEX_QUOTED)
		return !strcmp(t->s, "char") ? T_CHAR : 0;
	for (i = 0; i < sizeof(alias) / sizeof(*alias); i++)
		if (!strcmp(t->s, alias[i].name)) {
			*serial = alias[i].serial;
			return alias[i].oid;
		}
	for (i = 0; i < n_types; i++)
		if (types[i].oid != T_CHAR && !strcmp(t->s, types[i].name))
			return types[i].oid;
	return 0;
}

static int tok_int(const struct lex_tok *t)
{
	return t->kind == LEX_INT ? atoi(t->s) : -1;
}

unsigned type_parse(const struct lex_tok *t, struct coltype *out, bool *serial)
{
	const struct lex_tok *from = t;
	int a = -1, b = 0;
	bool tz = false;

	*serial = false;
	out->mod = -1;
	if ((lex_is(t, "pg_catalog") || lex_is(t, "public")) && lex_is(t + 1, "."))
		t += 2;
	if (!lex_name(t))
		return 0;
	if (lex_are(t, "double precision")) {
		out->oid = T_FLOAT8;
		t += 2;
	} else if (lex_are(t, "character varying") || lex_are(t, "char varying")) {
		out->oid = T_VARCHAR;
		t += 2;
	} else {
		out->oid = word_type(t, serial);
		if (!out->oid)
			return 0;
		t++;
	}
	if (out->oid == T_INTERVAL)
		while (t->kind == LEX_ID && (lex_is(t, "year") || lex_is(t, "month") || lex_is(t, "day") ||
					     lex_is(t, "hour") || lex_is(t, "minute") || lex_is(t, "second") ||
					     lex_is(t, "to")))
			t++;
	if (lex_is(t, "(")) {
		a = tok_int(t + 1);
		if (a < 0)
			return 0;
		t += 2;
		if (lex_is(t, ",")) {
			b = tok_int(t + 1);
			t += 2;
		}
		if (!lex_is(t, ")"))
			return 0;
		t++;
	}
	if (out->oid == T_TIMESTAMP || out->oid == T_TIME) {
		if (lex_are(t, "with time zone")) {
			tz = true;
			t += 3;
		} else if (lex_are(t, "without time zone")) {
			t += 3;
		}
		if (tz && out->oid == T_TIMESTAMP)
			out->oid = T_TIMESTAMPTZ;
	}
	/* PostgreSQL's limits, less scales that are negative or more than the precision. */
	if ((out->oid == T_BPCHAR || out->oid == T_VARCHAR) && (a == 0 || a > 10485760))
		return 0;
	if (out->oid == T_NUMERIC && (a == 0 || a > 1000 || b < 0 || b > (a < 0 ? 0 : a)))
		return 0;
	switch (out->oid) {
	case T_BPCHAR:
		if (a < 0 && from->kind == LEX_ID && !lex_is(from, "bpchar"))
			a = 1;
		/* fall through */
	case T_VARCHAR:
		if (a >= 0)
			out->mod = a + 4;
		break;
	case T_NUMERIC:
		if (a >= 0)
			out->mod = (a << 16 | b) + 4;
		break;
	case T_FLOAT8:
		if (a > 0 && a <= 24 && lex_is(from, "float"))
			out->oid = T_FLOAT4;
		break;
	default:
		if (a >= 0)
			out->mod = a;
	}
	if (lex_is(t, "[") || lex_is(t, "array")) {
		while (lex_is(t, "[")) {
			t = lex_close(t);
			if (t->kind != LEX_END)
				t++;
		}
		out->oid = out->oid == T_INT4 ? T_INT4_ARRAY : out->oid == T_NAME ? T_NAME_ARRAY : T_TEXT_ARRAY;
		out->mod = -1;
	}
	return t - from;
}

struct coltype type_from_decl(const char *decl)
{
	struct coltype t = { 0, -1 };
	struct lex l;
	bool serial;

	if (!decl)
		return t;
	if (!strcmp(decl, "integer"))
		return (struct coltype){ T_INT4, -1 };
	if (!strcmp(decl, "INTEGER") || !strcmp(decl, "INT"))
		return (struct coltype){ T_INT8, -1 };
	if (!strcmp(decl, "interval_text"))
		return (struct coltype){ T_INTERVAL, -1 };
	if (!strncmp(decl, "numeric real", 12)) {
		t.oid = T_NUMERIC;
		if (decl[12] == '(') {
			t.mod = atoi(decl + 13) << 16;
			decl = strchr(decl, ',');
			t.mod = (t.mod | (decl ? atoi(decl + 1) : 0)) + 4;
		}
		return t;
	}
	if (!strcmp(decl, "char1 text"))
		return (struct coltype){ T_CHAR, -1 };
	if (!lex(&l, decl, strlen(decl)) || !type_parse(l.tok, &t, &serial))
		t.oid = 0;
	lex_free(&l);
	return t;
}

static void with_mod(struct buf *b, struct coltype t, const char *name)
{
	const char *rest;

	switch (t.oid) {
	case T_BPCHAR:
	case T_VARCHAR:
		buf_str(b, name);
		if (t.mod >= 4)
			buf_fmt(b, "(%d)", t.mod - 4);
		break;
	case T_NUMERIC:
		buf_str(b, name);
		if (t.mod >= 4)
			buf_fmt(b, "(%d,%d)", (t.mod - 4) >> 16, (t.mod - 4) & 0xffff);
		break;
	case T_TIMESTAMP:
	case T_TIMESTAMPTZ:
	case T_TIME:
		rest = strchr(name, ' ');
		if (t.mod >= 0 && rest)
			buf_fmt(b, "%.*s(%d)%s", (int)(rest - name), name, t.mod, rest);
		else
			buf_str(b, name);
		break;
	default:
		buf_str(b, name);
	}
}

void type_decl(struct buf *b, struct coltype t)
{
	const struct type *ty = type_of(t.oid);

	with_mod(b, t, ty->decl ? ty->decl : ty->sql);
}

void type_format(struct buf *b, struct coltype t)
{
	with_mod(b, t, t.oid == T_BPCHAR && t.mod < 0 ? "bpchar" : type_of(t.oid)->sql);
}

/* ------------------------------------------------------------------ times */

/* The calendar is proleptic Gregorian. */
int64_t day_of_date(int64_t y, int m, int d)
{
	int64_t era;
	unsigned yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468 - 10957;
}

void day_to_date(int64_t days, int64_t *y, int *m, int *d)
{
	int64_t z = days + 719468 + 10957, era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp + (mp < 10 ? 3 : -9);
	*y = yoe + era * 400 + (*m <= 2);
}

int64_t time_day(int64_t us)
{
	return us >= 0 ? us / DAY : -((DAY - 1 - us) / DAY);
}

static int digits(const char **p, const char *end, int min, int max, int64_t *out)
{
	int n = 0;

	for (*out = 0; n < max && *p < end && isdigit((unsigned char)**p); n++)
		*out = *out * 10 + *(*p)++ - '0';
	return n >= min ? n : 0;
}

static void blanks(const char **p, const char *end)
{
	while (*p < end && isspace((unsigned char)**p))
		++*p;
}

/* This word, in letters of either case, of which the first min will do. */
static bool word(const char **p, const char *end, const char *w, size_t min)
{
	size_t n = 0;

	while (*p + n < end && isalpha((unsigned char)(*p)[n]))
		n++;
	if (n < min || n > strlen(w) || strncasecmp(*p, w, n))
		return false;
	*p += n;
	return true;
}

/* 7:03, 07:03:04.5 and 070304; perhaps PM. */
static bool parse_clock(const char **pp, const char *end, int64_t *us)
{
	int64_t h, m, s = 0, f = 0;
	const char *p = *pp;
	int n;

	if (digits(&p, end, 6, 6, &s)) {
		h = s / 10000;
		m = s / 100 % 100;
		s %= 100;
	} else {
		p = *pp;
		s = 0;
		if (!digits(&p, end, 1, 2, &h) || p == end || *p++ != ':' || !digits(&p, end, 2, 2, &m))
			return false;
		if (p < end && *p == ':') {
			p++;
			if (!digits(&p, end, 2, 2, &s))
				return false;
		}
	}
	if (p < end && *p == '.') {
		p++;
		n = digits(&p, end, 1, 6, &f);
		if (!n)
			return false;
		for (; n < 6; n++)
			f *= 10;
		while (p < end && isdigit((unsigned char)*p))
			p++;
	}
	if (h > 24 || m > 59 || s > 60)
		return false;
	*pp = p;
	blanks(&p, end);
	if (h && h <= 12 && word(&p, end, "pm", 2))
		h = h % 12 + 12;
	else if (h && h <= 12 && word(&p, end, "am", 2))
		h %= 12;
	else
		p = *pp;
	*us = f + ((h * 60 + m) * 60 + s) * USEC;
	*pp = p;
	return true;
}

const char *const month_names[12] = { "january", "february", "march", "april", "may", "june", "july",
				      "august", "september", "october", "november", "december" };

static bool month_name(const char **p, const char *end, int64_t *m)
{
	for (*m = 1; *m <= 12; ++*m)
		if (word(p, end, month_names[*m - 1], 3))
			return true;
	return false;
}

/* 2024-1-5, 20240105, 1/5/2024, 5 Jan 2024, Jan 5, 2024, 2024-Jan-05. */
static bool parse_date(const char **pp, const char *end, int64_t *y, int64_t *m, int64_t *d)
{
	const char *p = *pp;
	int64_t first;
	int n;

	if (month_name(&p, end, m)) {
		blanks(&p, end);
		if (!digits(&p, end, 1, 2, d))
			return false;
		p += p < end && *p == ',';
		blanks(&p, end);
		if (!digits(&p, end, 4, 6, y))
			return false;
	} else {
		n = digits(&p, end, 1, 8, &first);
		if (n == 8) {
			*y = first / 10000;
			*m = first / 100 % 100;
			*d = first % 100;
		} else {
			char sep = p < end ? *p++ : 0;

			if (!n || !sep || !strchr(n > 3 ? "-/." : "-/ ", sep))
				return false;
			if (n > 3) {
				*y = first;
				if (!month_name(&p, end, m) && !digits(&p, end, 1, 2, m))
					return false;
			} else if (month_name(&p, end, m)) {
				*d = first;
			} else {
				*m = first;
				if (sep == ' ' || n > 2 || !digits(&p, end, 1, 2, d))
					return false;
			}
			if (p == end || *p++ != sep)
				return false;
			if (n > 3 ? !digits(&p, end, 1, 2, d) : !digits(&p, end, 4, 6, y))
				return false;
		}
	}
	*pp = p;
	return true;
}

bool time_parse(const char *p, size_t n, bool zone, int64_t *us)
{
	static const char *const days[] = { "yesterday", "today", "tomorrow" };
	static const char len[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t y = 0, m = 0, d = 0, clock = 0, zh, zm = 0;
	const char *end = p + n;
	int sign, i;

	blanks(&p, end);
	while (p < end && isspace((unsigned char)end[-1]))
		end--;
	if (word(&p, end, "now", 3)) {
		*us = time_now();
		return p == end;
	}
	if (word(&p, end, "epoch", 5)) {
		*us = day_of_date(1970, 1, 1) * DAY;
		return p == end;
	}
	for (i = 0; i < 3; i++)
		if (word(&p, end, days[i], strlen(days[i]))) {
			*us = (time_day(time_now()) + i - 1) * DAY;
			return p == end;
		}
	if (!parse_date(&p, end, &y, &m, &d) || m < 1 || m > 12 || d < 1 || d > len[m - 1] ||
	    (m == 2 && d == 29 && (y % 4 || (y % 100 == 0 && y % 400))))
		return false;
	if (p < end && (*p == ' ' || *p == 'T')) {
		p++;
		blanks(&p, end);
		if (!parse_clock(&p, end, &clock))
			return false;
	}
	blanks(&p, end);
	*us = day_of_date(y, (int)m, (int)d) * DAY + clock;
	if (word(&p, end, "z", 1) || word(&p, end, "utc", 3) || word(&p, end, "gmt", 3))
		return p == end;
	if (p < end && (*p == '+' || *p == '-')) {
		sign = *p++ == '-' ? -1 : 1;
		if (!digits(&p, end, 1, 2, &zh))
			return false;
		if (p < end && *p == ':')
			p++;
		if (p < end && !digits(&p, end, 2, 2, &zm))
			return false;
		if (zone)
			*us -= sign * (zh * 60 + zm) * 60 * USEC;
	}
	return p == end;
}

const char *time_error(const char *s)
{
	const char *p;

	/* It reads like one: between numbers there is one sign each. */
	for (p = s; *p; p++)
		if (!strchr("0123456789-/:.+ T", *p) || (p[1] && strchr("-/:.", *p) && strchr("-/:.", p[1])))
			return "22007";
	return "22008";
}

void time_format(struct buf *b, int64_t us, uint32_t oid)
{
	int64_t days = time_day(us), clock = us - days * DAY, y;
	int m, d, s;

	if (oid != T_TIME) {
		day_to_date(days, &y, &m, &d);
		buf_fmt(b, "%04" PRId64 "-%02d-%02d", y, m, d);
	}
	if (oid == T_DATE)
		return;
	if (oid != T_TIME)
		buf_ch(b, ' ');
	s = (int)(clock / USEC);
	buf_fmt(b, "%02d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
	if (clock % USEC) {
		char f[8];
		int n = snprintf(f, sizeof(f), ".%06d", (int)(clock % USEC));

		while (f[n - 1] == '0')
			n--;
		buf_add(b, f, n);
	}
	if (oid == T_TIMESTAMPTZ)
		buf_str(b, "+00");
}

int64_t time_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (ts.tv_sec - MONOTONIC_2000) * USEC + ts.tv_nsec / 1000;
}

int bool_parse(const char *p, size_t n)
{
	static const char *const yes[] = { "true", "yes", "on", "1" }, *const no[] = { "false", "no", "off", "0" };
	unsigned i;

	while (n && isspace((unsigned char)*p)) {
		p++;
		n--;
	}
	while (n && isspace((unsigned char)p[n - 1]))
		n--;
	if (!n || (n == 1 && (*p | 32) == 'o'))
		return -1;
	for (i = 0; i < 4; i++) {
		if (n <= strlen(yes[i]) && !strncasecmp(p, yes[i], n))
			return 1;
		if (n <= strlen(no[i]) && !strncasecmp(p, no[i], n))
			return 0;
	}
	return -1;
}

/* ---------------------------------------------------------------- numbers */

void float_text(struct buf *b, double d, bool single)
{
	char s[40], *e;
	int prec;

	if (isnan(d)) {
		buf_str(b, "NaN");
		return;
	}
	if (isinf(d)) {
		buf_str(b, d < 0 ? "-Infinity" : "Infinity");
		return;
	}
	for (prec = single ? 6 : 15; prec <= 17; prec++) {
		snprintf(s, sizeof(s), "%.*g", prec, d);
		if (single ? strtof(s, NULL) == (float)d : strtod(s, NULL) == d)
			break;
	}
	/* 1e+20 where PostgreSQL has it: exponents from 15 on (from 6 on, single). */
	e = strchr(s, 'e');
	if (e && d != 0 && fabs(d) >= 1e-4 && fabs(d) < (single ? 1e6 : 1e15))
		snprintf(s, sizeof(s), "%.0f", d);
	buf_str(b, s);
}

/*
 * With so many digits behind the point, as they were written: of what is there 15 are
 * meant, and what they say is rounded. 1.005 is 1.01, though it is stored as less.
 */
static void scaled_text(struct buf *b, double d, int scale)
{
	int point, i, n = 15;
	char e[40], digit[16];

	snprintf(e, sizeof(e), "%.14e", fabs(d));
	/* More are asked for, and there are some: as they are. */
	if (!isfinite(d) || (1 + atoi(e + 17) + scale > n && strtod(e, NULL) != fabs(d))) {
		buf_fmt(b, "%.*f", scale, d);
		return;
	}
	digit[0] = e[0];
	memcpy(digit + 1, e + 2, 14);
	/* So many of them stand before the point; none, and zeros behind it. */
	point = 1 + atoi(e + 17);
	if (point + scale < n) {
		n = point + scale;
		if (n < 0 || (n == 0 && digit[0] < '5')) {
			n = 0;
		} else if (digit[n] >= '5') {
			for (i = n; i && digit[i - 1] == '9'; i--)
				digit[i - 1] = '0';
			if (i) {
				digit[i - 1]++;
			} else {
				memmove(digit + 1, digit, 14);
				digit[0] = '1';
				n++;
				point++;
			}
		}
	}
	for (i = 0; i < n && digit[i] == '0'; i++)
		;
	if (d < 0 && i < n)
		buf_ch(b, '-');
	for (i = 0; i < point; i++)
		buf_ch(b, i < n ? digit[i] : '0');
	if (point <= 0)
		buf_ch(b, '0');
	if (scale)
		buf_ch(b, '.');
	for (i = point; i < point + scale; i++)
		buf_ch(b, i < 0 || i >= n ? '0' : digit[i]);
}

static void numeric_text(struct buf *b, struct coltype t, sqlite3_value *v)
{
	int scale = t.mod >= 4 ? (t.mod - 4) & 0xffff : -1;
	char s[400];

	if (sqlite3_value_type(v) == SQLITE_INTEGER) {
		buf_fmt(b, "%lld", sqlite3_value_int64(v));
		if (scale > 0)
			buf_fmt(b, ".%0*d", scale, 0);
		return;
	}
	if (scale >= 0) {
		scaled_text(b, sqlite3_value_double(v), scale);
		return;
	}
	/* The shortest, but never with an exponent. */
	{
		struct buf f;
		double d = sqlite3_value_double(v);

		buf_init(&f, 64);
		float_text(&f, d, false);
		if (strchr(buf_cstr(&f), 'e')) {
			snprintf(s, sizeof(s), fabs(d) < 1 ? "%.20f" : "%.0f", d);
			if (strchr(s, '.')) {
				char *end = s + strlen(s);

				while (end[-1] == '0')
					*--end = 0;
			}
			buf_str(b, s);
		} else {
			buf_add(b, f.p, f.len);
		}
		buf_free(&f);
	}
}

static void hex_text(struct buf *b, const uint8_t *p, int n)
{
	static const char hex[] = "0123456789abcdef";
	char *to = buf_room(b, 2 * (size_t)n + 2);
	int i;

	if (!to)
		return;
	*to++ = '\\';
	*to++ = 'x';
	for (i = 0; i < n; i++) {
		*to++ = hex[p[i] >> 4];
		*to++ = hex[p[i] & 15];
	}
	b->len += 2 * (size_t)n + 2;
}

static void int_text(struct buf *b, int64_t v)
{
	char s[24], *p = s + sizeof(s);
	uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;

	do
		*--p = '0' + u % 10;
	while (u /= 10);
	if (v < 0)
		*--p = '-';
	buf_add(b, p, s + sizeof(s) - p);
}

bool hex_bytes(uint8_t *to, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i + 1 < n && lex_hex(s[i]) >= 0 && lex_hex(s[i + 1]) >= 0; i += 2)
		to[i / 2] = (uint8_t)(lex_hex(s[i]) << 4 | lex_hex(s[i + 1]));
	return i == n;
}

void type_text(struct buf *b, struct coltype t, sqlite3_value *v)
{
	int kind = sqlite3_value_type(v), n, chars, i;
	const char *p;

	if (t.oid == T_BOOL && kind == SQLITE_INTEGER) {
		buf_ch(b, sqlite3_value_int64(v) ? 't' : 'f');
		return;
	}
	if (kind == SQLITE_BLOB) {
		hex_text(b, sqlite3_value_blob(v), sqlite3_value_bytes(v));
		return;
	}
	if (t.oid == T_NUMERIC && (kind == SQLITE_INTEGER || kind == SQLITE_FLOAT)) {
		numeric_text(b, t, v);
		return;
	}
	if (kind == SQLITE_INTEGER) {
		int_text(b, sqlite3_value_int64(v));
		return;
	}
	if (kind == SQLITE_FLOAT) {
		float_text(b, sqlite3_value_double(v), t.oid == T_FLOAT4);
		return;
	}
	p = (const char *)sqlite3_value_text(v);
	n = sqlite3_value_bytes(v);
	/* As it is shown, whatever it was taken from. */
	if ((t.oid == T_DATE && n > 10) || (t.oid == T_TIMESTAMP && n > 3 && p[n - 3] == '+') ||
	    (t.oid == T_TIMESTAMPTZ && n > 3 && p[n - 3] != '+')) {
		int64_t us;

		if (time_parse(p, n, true, &us)) {
			time_format(b, us, t.oid);
			return;
		}
	}
	buf_add(b, p, n);
	if (t.oid == T_BPCHAR && t.mod > 4) {
		for (i = chars = 0; i < n; i++)
			chars += (p[i] & 0xc0) != 0x80;
		for (; chars < t.mod - 4; chars++)
			buf_ch(b, ' ');
	}
}

/* numeric's own binary form: groups of four decimal digits. */
static bool numeric_binary(struct buf *b, const char *s)
{
	char whole[420], frac[420];
	int nw = 0, nf = 0, scale, weight, i, first, last;
	uint16_t group[220];
	bool neg = *s == '-';

	s += neg;
	for (; *s == '0'; s++)
		;
	for (; isdigit((unsigned char)*s) && nw < 400; s++)
		whole[nw++] = *s;
	if (*s == '.')
		for (s++; isdigit((unsigned char)*s) && nf < 400; s++)
			frac[nf++] = *s;
	if (*s)
		return false;
	scale = nf;
	while (nf % 4)
		frac[nf++] = '0';
	first = (nw + 3) / 4;
	last = first + nf / 4;
	for (i = 0; i < last; i++) {
		uint16_t g = 0;
		int k;

		for (k = 0; k < 4; k++) {
			int at = i < first ? nw - (first - i) * 4 + k : (i - first) * 4 + k;

			g = g * 10 + (i < first ? (at < 0 ? 0 : whole[at] - '0') : frac[at] - '0');
		}
		group[i] = g;
	}
	for (i = 0; i < last && !group[i]; i++)
		;
	while (last > i && !group[last - 1])
		last--;
	weight = last > i ? first - i - 1 : 0;
	proto_put16(b, last - i);
	proto_put16(b, (uint16_t)weight);
	proto_put16(b, neg && last > i ? 0x4000 : 0);
	proto_put16(b, scale);
	for (; i < last; i++)
		proto_put16(b, group[i]);
	return true;
}

static bool out_binary(struct buf *b, struct coltype t, sqlite3_value *v)
{
	int kind = sqlite3_value_type(v), i;
	const char *p;
	union { float f; double d; uint32_t u4; uint64_t u8; } u;
	struct buf text;
	int64_t us;
	bool ok;

	switch (t.oid) {
	case T_BOOL:
		buf_ch(b, sqlite3_value_int64(v) != 0);
		return true;
	case T_INT2:
		proto_put16(b, (uint16_t)sqlite3_value_int64(v));
		return true;
	case T_INT4:
	case T_OID:
	case T_XID:
	case T_REGCLASS:
		proto_put32(b, (uint32_t)sqlite3_value_int64(v));
		return true;
	case T_INT8:
		proto_put64(b, (uint64_t)sqlite3_value_int64(v));
		return true;
	case T_FLOAT4:
		u.f = (float)sqlite3_value_double(v);
		proto_put32(b, u.u4);
		return true;
	case T_FLOAT8:
		u.d = sqlite3_value_double(v);
		proto_put64(b, u.u8);
		return true;
	case T_BYTEA:
		p = sqlite3_value_blob(v);
		buf_add(b, p, sqlite3_value_bytes(v));
		return true;
	case T_NUMERIC:
		buf_init(&text, 1000);
		if (kind == SQLITE_TEXT)
			buf_add(&text, sqlite3_value_text(v), sqlite3_value_bytes(v));
		else
			numeric_text(&text, t, v);
		ok = numeric_binary(b, buf_cstr(&text));
		buf_free(&text);
		return ok;
	case T_DATE:
	case T_TIMESTAMP:
	case T_TIMESTAMPTZ:
		p = (const char *)sqlite3_value_text(v);
		if (!p || !time_parse(p, sqlite3_value_bytes(v), true, &us))
			return false;
		if (t.oid == T_DATE)
			proto_put32(b, (uint32_t)time_day(us));
		else
			proto_put64(b, (uint64_t)us);
		return true;
	case T_UUID:
		p = (const char *)sqlite3_value_text(v);
		for (i = 0; p && i < 16; i++) {
			uint8_t x;

			if (*p == '-')
				p++;
			if (!*p || !hex_bytes(&x, p, 2))
				return false;
			buf_ch(b, (char)x);
			p += 2;
		}
		return p != NULL;
	case T_JSONB:
		buf_ch(b, 1);
		/* fall through */
	default:
		type_text(b, t, v);
		return true;
	}
}

void type_out(struct buf *b, struct coltype t, sqlite3_value *v, bool binary)
{
	size_t at;
	uint32_t n;

	if (sqlite3_value_type(v) == SQLITE_NULL) {
		proto_put32(b, UINT32_MAX);
		return;
	}
	proto_put32(b, 0);
	at = b->len;
	if (!binary || !out_binary(b, t, v)) {
		if (b->failed)
			return;
		b->len = at;
		type_text(b, t, v);
	}
	if (b->failed)
		return;
	n = (uint32_t)(b->len - at);
	b->p[at - 4] = (char)(n >> 24);
	b->p[at - 3] = (char)(n >> 16);
	b->p[at - 2] = (char)(n >> 8);
	b->p[at - 1] = (char)n;
}

/* ------------------------------------------------------------------ input */

bool utf8_ok(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + n;

	while (p < end) {
		int more = *p < 0x80 ? 0 : *p >= 0xc2 && *p < 0xe0 ? 1 : *p >= 0xe0 && *p < 0xf0 ? 2 :
			   *p >= 0xf0 && *p < 0xf5 ? 3 : -1;

		if (!*p || more < 0 || end - p <= more)
			return false;
		if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0) ||
		    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] >= 0x90))
			return false;
		for (p++; more--; p++)
			if ((*p & 0xc0) != 0x80)
				return false;
	}
	return true;
}

__attribute__((format(printf, 3, 4)))
static bool bad(struct type_error *e, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	e->code = code;
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return false;
}

static bool invalid(struct type_error *e, uint32_t oid, const char *p, int n)
{
	return bad(e, oid == T_DATE || oid == T_TIMESTAMP || oid == T_TIMESTAMPTZ ? "22007" : "22P02",
		   "invalid input syntax for type %s: \"%.*s\"", type_of(oid)->sql, n < 60 ? n : 60, p);
}

static bool bind_int(sqlite3_stmt *s, int i, uint32_t oid, const char *p, int n, struct type_error *e)
{
	int64_t max = oid == T_INT2 ? INT16_MAX : oid == T_INT4 ? INT32_MAX : oid == T_OID ? UINT32_MAX : INT64_MAX;
	int64_t min = oid == T_OID ? 0 : -max - 1;
	char t[32], *end;
	long long v;

	while (n && isspace((unsigned char)*p)) {
		p++;
		n--;
	}
	while (n && isspace((unsigned char)p[n - 1]))
		n--;
	if (!n || n >= (int)sizeof(t))
		return invalid(e, oid, p, n);
	memcpy(t, p, n);
	t[n] = 0;
	errno = 0;
	v = strtoll(t, &end, 10);
	if (*end || end == t)
		return invalid(e, oid, p, n);
	if (errno || v > max || v < min)
		return bad(e, "22003", "value \"%s\" is out of range for type %s", t, type_of(oid)->sql);
	sqlite3_bind_int64(s, i, v);
	return true;
}

static bool bind_float(sqlite3_stmt *s, int i, uint32_t oid, const char *p, int n, struct type_error *e)
{
	char t[420], *end;
	double d;

	if (!n || n >= (int)sizeof(t))
		return invalid(e, oid, p, n);
	memcpy(t, p, n);
	t[n] = 0;
	d = strtod(t, &end);
	while (isspace((unsigned char)*end))
		end++;
	if (*end || end == t || strpbrk(t, "xXpP"))
		return invalid(e, oid, p, n);
	if (isnan(d))
		return bad(e, "0A000", "NaN cannot be stored here");
	if (oid == T_NUMERIC)
		sqlite3_bind_text(s, i, p, n, SQLITE_TRANSIENT);
	else
		sqlite3_bind_double(s, i, oid == T_FLOAT4 ? (double)(float)d : d);
	return true;
}

static bool bind_bytea(sqlite3_stmt *s, int i, const char *p, int n, struct type_error *e)
{
	uint8_t *to = sqlite3_malloc(n + 1), *t = to;
	int k;

	if (!to)
		return bad(e, "53200", "out of memory");
	if (n >= 2 && p[0] == '\\' && p[1] == 'x') {
		k = hex_bytes(to, p + 2, (size_t)n - 2) ? n : 0;
		t += (n - 2) / 2;
	} else {
		for (k = 0; k < n; k++) {
			if (p[k] != '\\') {
				*t++ = p[k];
			} else if (k + 1 < n && p[k + 1] == '\\') {
				*t++ = p[k++];
			} else if (k + 3 < n && p[k + 1] >= '0' && p[k + 1] < '4' &&
				   p[k + 2] >= '0' && p[k + 2] < '8' && p[k + 3] >= '0' && p[k + 3] < '8') {
				*t++ = (p[k + 1] - '0') << 6 | (p[k + 2] - '0') << 3 | (p[k + 3] - '0');
				k += 3;
			} else {
				break;
			}
		}
	}
	if (k != n) {
		sqlite3_free(to);
		return bad(e, "22P02", "invalid input syntax for type bytea");
	}
	sqlite3_bind_blob(s, i, to, (int)(t - to), sqlite3_free);
	return true;
}

static bool bind_time(sqlite3_stmt *s, int i, uint32_t oid, int64_t us)
{
	struct buf b;

	buf_init(&b, 100);
	time_format(&b, us, oid);
	sqlite3_bind_text(s, i, buf_cstr(&b), (int)b.len, SQLITE_TRANSIENT);
	buf_free(&b);
	return true;
}

static bool bind_text(sqlite3_stmt *s, int i, uint32_t oid, const char *p, int n, struct type_error *e)
{
	int64_t us;
	int v;

	switch (oid) {
	case T_BOOL:
		v = bool_parse(p, n);
		if (v < 0)
			return invalid(e, oid, p, n);
		sqlite3_bind_int(s, i, v);
		return true;
	case T_INT2:
	case T_INT4:
	case T_INT8:
	case T_OID:
		return bind_int(s, i, oid, p, n, e);
	case T_FLOAT4:
	case T_FLOAT8:
	case T_NUMERIC:
		return bind_float(s, i, oid, p, n, e);
	case T_BYTEA:
		return bind_bytea(s, i, p, n, e);
	case T_DATE:
	case T_TIMESTAMP:
	case T_TIMESTAMPTZ:
		if (!time_parse(p, n, oid == T_TIMESTAMPTZ, &us))
			return invalid(e, oid, p, n);
		return bind_time(s, i, oid, us);
	case T_BPCHAR:
		while (n && p[n - 1] == ' ')
			n--;
		/* fall through */
	default:
		if (!utf8_ok(p, n))
			return bad(e, "22021", "invalid byte sequence for encoding \"UTF8\"");
		sqlite3_bind_text(s, i, p, n, SQLITE_TRANSIENT);
		return true;
	}
}

static bool numeric_in(sqlite3_stmt *s, int i, struct proto_rd *r)
{
	unsigned n = proto_u16(r), sign, scale;
	int weight = (int16_t)proto_u16(r), k;
	struct buf b;
	bool ok;

	sign = proto_u16(r);
	scale = proto_u16(r);
	if (r->bad || (sign != 0 && sign != 0x4000) || weight > 100 || weight < -100 || n > 200 || scale > 400)
		return false;
	buf_init(&b, 2000);
	if (sign)
		buf_ch(&b, '-');
	buf_ch(&b, '0');
	for (k = 0; k <= weight; k++)
		buf_fmt(&b, "%04u", n && (unsigned)k < n ? proto_u16(r) : 0);
	if (scale || weight < 0) {
		buf_ch(&b, '.');
		for (k = -1; k > weight; k--)
			buf_str(&b, "0000");
		while (r->p < r->end && !r->bad)
			buf_fmt(&b, "%04u", proto_u16(r));
		buf_ch(&b, '0');
	}
	ok = proto_done(r);
	if (ok)
		sqlite3_bind_text(s, i, buf_cstr(&b), (int)b.len, SQLITE_TRANSIENT);
	buf_free(&b);
	return ok;
}

static bool bind_binary(sqlite3_stmt *s, int i, uint32_t oid, const char *p, int n, struct type_error *e)
{
	struct proto_rd r = proto_rd(p, n);
	union { float f; double d; uint32_t u4; uint64_t u8; } u;
	int64_t us;
	char hex[40];
	int k, at;

	switch (oid) {
	case T_BOOL:
		sqlite3_bind_int(s, i, proto_u8(&r) != 0);
		break;
	case T_INT2:
		sqlite3_bind_int(s, i, (int16_t)proto_u16(&r));
		break;
	case T_INT4:
		sqlite3_bind_int(s, i, (int32_t)proto_u32(&r));
		break;
	case T_OID:
		sqlite3_bind_int64(s, i, proto_u32(&r));
		break;
	case T_INT8:
	case T_TIMESTAMP:
	case T_TIMESTAMPTZ:
		us = (int64_t)((uint64_t)proto_u32(&r) << 32);
		us |= proto_u32(&r);
		if (oid == T_INT8)
			sqlite3_bind_int64(s, i, us);
		else
			bind_time(s, i, oid, us);
		break;
	case T_DATE:
		k = (int32_t)proto_u32(&r);
		if (k > INT64_MAX / DAY || k < INT64_MIN / DAY)
			return bad(e, "22008", "date out of range");
		bind_time(s, i, oid, k * DAY);
		break;
	case T_FLOAT4:
		u.u4 = proto_u32(&r);
		sqlite3_bind_double(s, i, u.f);
		break;
	case T_FLOAT8:
		u.u8 = (uint64_t)proto_u32(&r) << 32;
		u.u8 |= proto_u32(&r);
		sqlite3_bind_double(s, i, u.d);
		break;
	case T_BYTEA:
		sqlite3_bind_blob(s, i, p, n, SQLITE_TRANSIENT);
		return true;
	case T_NUMERIC:
		if (!numeric_in(s, i, &r))
			return bad(e, "22P03", "invalid binary representation of numeric");
		return true;
	case T_UUID:
		if (n != 16)
			break;
		for (k = at = 0; k < 16; k++)
			at += sprintf(hex + at, "%s%02x", k == 4 || k == 6 || k == 8 || k == 10 ? "-" : "", proto_u8(&r));
		sqlite3_bind_text(s, i, hex, at, SQLITE_TRANSIENT);
		break;
	case 0:
	case T_TEXT:
	case T_VARCHAR:
	case T_BPCHAR:
	case T_NAME:
	case T_UNKNOWN:
	case T_JSON:
		return bind_text(s, i, oid, p, n, e);
	default:
		return bad(e, "0A000", "no binary input for type %s: send it as text", type_of(oid)->sql);
	}
	if (!proto_done(&r))
		return bad(e, "22P03", "incorrect binary data format for type %s", type_of(oid)->sql);
	return true;
}

bool type_bind(sqlite3_stmt *s, int i, uint32_t oid, const char *p, int32_t n, bool binary,
	       struct type_error *e)
{
	if (n < 0) {
		sqlite3_bind_null(s, i);
		return true;
	}
	return binary ? bind_binary(s, i, oid, p, n, e) : bind_text(s, i, oid, p, n, e);
}
