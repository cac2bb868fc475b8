// SPDX-License-Identifier: GPL-2.0-or-later
#include "types.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/asn1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct type {
	uint32_t oid;
	int size;
	const char *name;
	const char *decl;	/* names that it has in CREATE TABLE, in lower case, each between bars */
} types[] = {
	{ T_INT4, 4, "integer", "|int|int4|int2|smallint|mediumint|tinyint|" },
	{ T_INT8, 8, "bigint", "|integer|bigint|int8|" },
	{ T_TEXT, -1, "text", "|text|varchar|char|character|character varying|nvarchar|nchar|clob|" },
	{ T_FLOAT8, 8, "double precision", "|real|double|double precision|float|float8|" },
	{ T_BYTEA, -1, "bytea", "|blob|bytea|" },
	{ T_BOOL, 1, "boolean", "|boolean|bool|" },
	/* CREATE TABLE AS declares this for an expression, and a STRICT table for anything. */
	{ 0, -1, "any", "|any|num|" },
};
#define N_TYPES (sizeof(types) / sizeof(*types))

uint32_t type_of_decl(const char *decl)
{
	char name[64] = "|";
	size_t n = 1, i;

	if (!decl || !*decl)
		return 0;
	for (; *decl && *decl != '(' && n < sizeof(name) - 2; decl++)
		name[n++] = *decl >= 'A' && *decl <= 'Z' ? (char)(*decl | 32) : *decl;
	while (n > 1 && name[n - 1] == ' ')
		n--;
	name[n++] = '|';
	name[n] = 0;
	for (i = 0; i < N_TYPES; i++)
		if (strstr(types[i].decl, name))
			return types[i].oid;
	return T_REFUSED;
}

/* NULL: there is none of this number. */
static const struct type *find_type(uint32_t oid)
{
	const struct type *t;

	for (t = types; t < types + N_TYPES && t->oid != oid; t++)
		;
	return t < types + N_TYPES ? t : NULL;
}

const char *type_name(uint32_t oid)
{
	return find_type(oid) ? find_type(oid)->name : "text";
}

int type_size(uint32_t oid)
{
	return find_type(oid) ? find_type(oid)->size : -1;
}

uint32_t type_of_client(uint32_t oid)
{
	static const uint32_t same[][2] = {
		{ T_UNKNOWN, 0 }, { T_VARCHAR, T_TEXT }, { T_BPCHAR, T_TEXT }, { T_INT2, T_INT8 }, { T_FLOAT4, T_FLOAT8 },
	};
	unsigned i;

	for (i = 0; i < sizeof(same) / sizeof(*same); i++)
		if (oid == same[i][0])
			return same[i][1];
	return find_type(oid) ? oid : T_REFUSED;
}

uint32_t type_of_value(int kind)
{
	return kind == SQLITE_INTEGER ? T_INT8 : kind == SQLITE_FLOAT ? T_FLOAT8 : kind == SQLITE_BLOB ? T_BYTEA : T_TEXT;
}

bool sql_fail(struct sql_error *e, const char *code, const char *hint, const char *fmt, ...)
{
	va_list ap;

	snprintf(e->code, sizeof(e->code), "%s", code);
	e->hint = hint;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return false;
}

bool utf8_ok(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + n;
	unsigned long v = 1;
	int used = 1;

	for (; p < end && v && v <= 0x10ffff && used > 0; p += used > 0 ? used : 0)
		used = *p < 0x80 ? (v = *p, 1) : UTF8_getc(p, (int)(end - p), &v);
	return p == end && v && v <= 0x10ffff && used > 0;
}

int bool_parse(const char *p, size_t n)
{
	static const struct { const char *word; size_t least; int value; } words[] = {
		{ "true", 1, 1 }, { "yes", 1, 1 }, { "on", 2, 1 }, { "1", 1, 1 },
		{ "false", 1, 0 }, { "no", 1, 0 }, { "off", 2, 0 }, { "0", 1, 0 },
	};
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (n >= words[i].least && n <= strlen(words[i].word) && !strncasecmp(p, words[i].word, n))
			return words[i].value;
	return -1;
}

/* ------------------------------------------------------------------ output */

/* The shortest text that reads back as the same number. */
static void float_text(struct buf *b, double d)
{
	char text[40];
	int digits;

	if (isinf(d)) {
		buf_str(b, d < 0 ? "-Infinity" : "Infinity");
		return;
	}
	for (digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	buf_str(b, text);
}

static bool wrong_value(struct sql_error *e, uint32_t oid, sqlite3_value *v)
{
	static const char *const kinds[] = { "", "an integer", "a float", "a text", "a blob", "NULL" };

	return sql_fail(e, "42804", NULL, "the column is described as %s, and this row has %s that is none: CAST it to a type", type_name(oid),
		    kinds[sqlite3_value_type(v)]);
}

static void put_hex(struct buf *b, const unsigned char *p, int n)
{
	char *to = buf_room(b, 2 * (size_t)n + 3);
	int i;

	if (!to)
		return;
	strcpy(to, "\\x");
	for (i = 0; i < n; i++) {
		to[2 + 2 * i] = "0123456789abcdef"[p[i] >> 4];
		to[3 + 2 * i] = "0123456789abcdef"[p[i] & 15];
	}
	b->len += 2 * (size_t)n + 2;
}

bool type_text(struct buf *b, uint32_t oid, sqlite3_value *v, struct sql_error *e)
{
	int kind = sqlite3_value_type(v), n;
	const char *p;

	switch (oid) {
	case T_BOOL:
		if (kind != SQLITE_INTEGER || sqlite3_value_int64(v) >> 1)
			return wrong_value(e, oid, v);
		buf_ch(b, sqlite3_value_int64(v) ? 't' : 'f');
		return true;
	case T_INT4:
	case T_INT8:
		if (kind != SQLITE_INTEGER || (oid == T_INT4 && sqlite3_value_int64(v) != (int32_t)sqlite3_value_int64(v)))
			return wrong_value(e, oid, v);
		buf_fmt(b, "%" PRId64, (int64_t)sqlite3_value_int64(v));
		return true;
	case T_FLOAT8:
		if (kind != SQLITE_FLOAT && kind != SQLITE_INTEGER)
			return wrong_value(e, oid, v);
		float_text(b, sqlite3_value_double(v));
		return true;
	case T_BYTEA:
		if (kind != SQLITE_BLOB)
			return wrong_value(e, oid, v);
		put_hex(b, sqlite3_value_blob(v), sqlite3_value_bytes(v));
		return true;
	default:
		if (kind == SQLITE_BLOB)
			return wrong_value(e, oid, v);
		/* A column without a type, whose first row was NULL or a text. */
		if (kind == SQLITE_FLOAT) {
			float_text(b, sqlite3_value_double(v));
			return true;
		}
		p = (const char *)sqlite3_value_text(v);
		n = sqlite3_value_bytes(v);
		if (!p)
			return sql_fail(e, "53200", NULL, "out of memory");
		if (!utf8_ok(p, n))
			return sql_fail(e, "22021", NULL, "a text of this row is not valid UTF-8: select hex() of it, or CAST it to BLOB");
		buf_add(b, p, n);
		return true;
	}
}

/* ------------------------------------------------------------------- input */

static bool invalid(struct sql_error *e, uint32_t oid, const char *p, size_t n)
{
	return sql_fail(e, "22P02", NULL, "invalid input syntax for type %s: \"%.*s\"", type_name(oid), (int)(n > 60 ? 60 : n), p);
}

/* A number or a boolean. */
struct value {
	int64_t i;
	double d;
};

static bool parse_text(uint32_t oid, const char *p, size_t n, struct value *v, struct sql_error *e)
{
	int64_t most = oid == T_INT4 ? INT32_MAX : INT64_MAX;
	bool whole = oid != T_FLOAT8;
	char text[400], *end;

	if (oid == T_BOOL) {
		v->i = bool_parse(p, n);
		return v->i >= 0 || invalid(e, oid, p, n);
	}
	for (; n && strchr(" \n\t", *p); n--)
		p++;
	while (n && strchr(" \n\t", p[n - 1]))
		n--;
	if (!n || n >= sizeof(text))
		return invalid(e, oid, p, n);
	memcpy(text, p, n);
	text[n] = 0;
	errno = 0;
	if (whole)
		v->i = strtoll(text, &end, 10);
	else
		v->d = strtod(text, &end);
	/* SQLite has no NaN, and would make it NULL. */
	if (*end || strlen(text) != n || (whole ? strspn(text, "+-0123456789") != n : isnan(v->d) || strpbrk(text, "xX")))
		return invalid(e, oid, p, n);
	if (whole ? errno || v->i > most || v->i < -most - 1 : isinf(v->d) && !strpbrk(text, "iI"))
		return sql_fail(e, "22003", NULL, "value \"%.40s\" is out of range for type %s", text, type_name(oid));
	return true;
}

static bool bind_bytea(sqlite3_stmt *s, int i, const char *p, size_t n, struct sql_error *e)
{
	unsigned char *to = sqlite3_malloc64(n + 1);
	bool ok = n >= 2 && p[0] == '\\' && p[1] == 'x' && n % 2 == 0;
	size_t k;

	if (!to)
		return sql_fail(e, "53200", NULL, "out of memory");
	for (k = 2; ok && k < n; k += 2)
		ok = isxdigit(p[k]) && isxdigit(p[k + 1]) && sscanf(p + k, "%2hhx", &to[k / 2 - 1]) == 1;
	if (ok)
		sqlite3_bind_blob64(s, i, to, n / 2 - 1, sqlite3_free);
	else
		sqlite3_free(to);
	return ok || sql_fail(e, "22P02", NULL, "bytea is written in hexadecimal, as \\x0aff");
}

bool type_bind(sqlite3_stmt *s, int i, uint32_t oid, const char *p, int32_t n, bool raw, struct sql_error *e)
{
	struct value v;

	if (n < 0) {
		sqlite3_bind_null(s, i);
	} else if (oid == T_TEXT || !oid) {
		if (!utf8_ok(p, n))
			return sql_fail(e, "22021", NULL, "invalid byte sequence for encoding \"UTF8\"");
		sqlite3_bind_text(s, i, p, n, SQLITE_TRANSIENT);
	} else if (oid == T_BYTEA) {
		if (!raw)
			return bind_bytea(s, i, p, n, e);
		sqlite3_bind_blob(s, i, p, n, SQLITE_TRANSIENT);
	} else if (raw) {
		return sql_fail(e, "0A000", NULL, "a value of type %s in binary is not supported: as text it is", type_name(oid));
	} else if (!parse_text(oid, p, (size_t)n, &v, e)) {
		return false;
	} else if (oid == T_FLOAT8) {
		sqlite3_bind_double(s, i, v.d);
	} else {
		sqlite3_bind_int64(s, i, v.i);
	}
	return true;
}

bool type_literal(uint32_t oid, const char *p, size_t n, struct sql_error *e)
{
	struct value v;

	if (oid == T_BOOL || oid == T_BYTEA || !oid)
		return sql_fail(e, "42804", NULL, oid == T_BOOL ? "a boolean is written TRUE or FALSE, not as a text" : oid ?
			    "a blob is written X'0aff', not as a text" : "a text is compared with something whose type is not known");
	return oid == T_TEXT || parse_text(oid == T_INT4 ? T_INT8 : oid, p, n, &v, e);
}
