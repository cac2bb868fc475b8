// SPDX-License-Identifier: GPL-2.0-or-later
#include "types.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto.h"

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
	/* A client's parameters only. */
	{ T_INT2, 2, "smallint", "" },
	{ T_FLOAT4, 4, "real", "" },
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
	if (oid == T_UNKNOWN)
		return 0;
	if (oid == T_VARCHAR || oid == T_BPCHAR)
		return T_TEXT;
	return find_type(oid) ? oid : T_REFUSED;
}

uint32_t type_of_value(int kind)
{
	return kind == SQLITE_INTEGER ? T_INT8 : kind == SQLITE_FLOAT ? T_FLOAT8 : kind == SQLITE_BLOB ? T_BYTEA : T_TEXT;
}

static bool fail(struct type_error *e, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool fail(struct type_error *e, const char *code, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return false;
}

bool utf8_ok(const char *s, size_t n)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s, *end = p + n;
	unsigned more, i;
	uint32_t v;

	for (; p < end; p += 1 + more) {
		more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
		if (!*p || (more && (*p < 0xc2 || *p > 0xf4)) || (size_t)(end - p) <= more)
			return false;
		v = more ? *p & (0x3f >> more) : *p;
		for (i = 1; i <= more; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			v = v << 6 | (p[i] & 0x3f);
		}
		if (v < least[more] || (v >= 0xd800 && v < 0xe000) || v > 0x10ffff)
			return false;
	}
	return true;
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

static bool wrong_value(struct type_error *e, uint32_t oid, sqlite3_value *v)
{
	static const char *const kinds[] = { "", "an integer", "a float", "a text", "a blob", "NULL" };

	return fail(e, "42804", "the column is described as %s, and this row has %s that is none: CAST it to a type", type_name(oid),
		    kinds[sqlite3_value_type(v)]);
}

static void put_hex(struct buf *b, const unsigned char *p, int n)
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

bool type_text(struct buf *b, uint32_t oid, sqlite3_value *v, struct type_error *e)
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
			return fail(e, "53200", "out of memory");
		if (!utf8_ok(p, n))
			return fail(e, "22021", "a text of this row is not valid UTF-8: select hex() of it, or CAST it to BLOB");
		buf_add(b, p, n);
		return true;
	}
}

static void put_double(struct buf *b, double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	proto_put64(b, bits);
}

bool type_out(struct buf *b, uint32_t oid, sqlite3_value *v, bool binary, struct type_error *e)
{
	size_t at = b->len;
	uint32_t n;

	if (sqlite3_value_type(v) == SQLITE_NULL) {
		proto_put32(b, UINT32_MAX);
		return true;
	}
	proto_put32(b, 0);
	/* The text first: what is wrong with it is found there. */
	if (!type_text(b, oid, v, e)) {
		b->len = at;
		return false;
	}
	if (binary && oid != T_TEXT && !b->failed) {
		b->len = at + 4;
		switch (oid) {
		case T_BOOL:
			buf_ch(b, (char)sqlite3_value_int(v));
			break;
		case T_INT4:
			proto_put32(b, (uint32_t)sqlite3_value_int(v));
			break;
		case T_INT8:
			proto_put64(b, (uint64_t)sqlite3_value_int64(v));
			break;
		case T_FLOAT8:
			put_double(b, sqlite3_value_double(v));
			break;
		default:
			buf_add(b, sqlite3_value_blob(v), sqlite3_value_bytes(v));
		}
	}
	if (b->failed)
		return true;
	n = htonl((uint32_t)(b->len - at - 4));
	memcpy(b->p + at, &n, 4);
	return true;
}

/* ------------------------------------------------------------------- input */

static bool invalid(struct type_error *e, uint32_t oid, const char *p, size_t n)
{
	return fail(e, "22P02", "invalid input syntax for type %s: \"%.*s\"", type_name(oid), (int)(n > 60 ? 60 : n), p);
}

/* A number or a boolean. */
struct value {
	int64_t i;
	double d;
};

static bool parse_text(uint32_t oid, const char *p, size_t n, struct value *v, struct type_error *e)
{
	int64_t most = oid == T_INT2 ? INT16_MAX : oid == T_INT4 ? INT32_MAX : INT64_MAX;
	char text[400], *end;
	bool whole;

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
	whole = oid != T_FLOAT4 && oid != T_FLOAT8;
	if (whole)
		v->i = strtoll(text, &end, 10);
	else
		v->d = strtod(text, &end);
	/* SQLite has no NaN, and would make it NULL. */
	if (*end || strlen(text) != n || (whole ? strspn(text, "+-0123456789") != n : isnan(v->d) || strpbrk(text, "xX")))
		return invalid(e, oid, p, n);
	if (whole ? errno || v->i > most || v->i < -most - 1 : isinf(v->d) && !strpbrk(text, "iI"))
		return fail(e, "22003", "value \"%.40s\" is out of range for type %s", text, type_name(oid));
	return true;
}

static bool parse_binary(uint32_t oid, const char *p, int32_t n, struct value *v, struct type_error *e)
{
	uint64_t bits = 0;
	uint32_t half;
	float f;
	int k;

	if (n != type_size(oid))
		return fail(e, "22P03", "incorrect binary data format for type %s", type_name(oid));
	for (k = 0; k < n; k++)
		bits = bits << 8 | (unsigned char)p[k];
	v->i = (int64_t)(bits << (64 - 8 * n)) >> (64 - 8 * n);
	if (oid == T_BOOL)
		v->i = v->i != 0;
	memcpy(&v->d, &bits, sizeof(bits));
	if (oid == T_FLOAT4) {
		half = (uint32_t)bits;
		memcpy(&f, &half, sizeof(f));
		v->d = f;
	}
	return (oid != T_FLOAT4 && oid != T_FLOAT8) || !isnan(v->d) || fail(e, "22P02", "NaN is not supported: SQLite has none");
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static bool bind_bytea(sqlite3_stmt *s, int i, const char *p, size_t n, struct type_error *e)
{
	unsigned char *raw = sqlite3_malloc64(n + 1);
	bool ok = n >= 2 && p[0] == '\\' && p[1] == 'x' && n % 2 == 0;
	size_t k;

	if (!raw)
		return fail(e, "53200", "out of memory");
	for (k = 2; ok && k < n; k += 2) {
		ok = hex_digit(p[k]) >= 0 && hex_digit(p[k + 1]) >= 0;
		raw[k / 2 - 1] = (unsigned char)(hex_digit(p[k]) << 4 | hex_digit(p[k + 1]));
	}
	if (ok) {
		sqlite3_bind_blob64(s, i, raw, n / 2 - 1, sqlite3_free);
		return true;
	}
	sqlite3_free(raw);
	return fail(e, "22P02", "bytea is written in hexadecimal, as \\x0aff");
}

bool type_bind(sqlite3_stmt *s, int i, uint32_t oid, const char *p, int32_t n, bool binary, struct type_error *e)
{
	struct value v;

	if (n < 0) {
		sqlite3_bind_null(s, i);
	} else if (oid == T_TEXT || !oid) {
		if (!utf8_ok(p, n))
			return fail(e, "22021", "invalid byte sequence for encoding \"UTF8\"");
		sqlite3_bind_text(s, i, p, n, SQLITE_TRANSIENT);
	} else if (oid == T_BYTEA) {
		if (!binary)
			return bind_bytea(s, i, p, n, e);
		sqlite3_bind_blob(s, i, p, n, SQLITE_TRANSIENT);
	} else if (!(binary ? parse_binary(oid, p, n, &v, e) : parse_text(oid, p, (size_t)n, &v, e))) {
		return false;
	} else if (oid == T_FLOAT4 || oid == T_FLOAT8) {
		sqlite3_bind_double(s, i, v.d);
	} else {
		sqlite3_bind_int64(s, i, v.i);
	}
	return true;
}

bool type_literal(uint32_t oid, const char *p, size_t n, struct type_error *e)
{
	struct value v;

	switch (oid) {
	case T_TEXT:
		return true;
	case T_INT4:
	case T_INT8:
		return parse_text(T_INT8, p, n, &v, e);
	case T_FLOAT8:
		return parse_text(oid, p, n, &v, e);
	case T_BOOL:
		return fail(e, "42804", "a boolean is written TRUE or FALSE, not as a text");
	case T_BYTEA:
		return fail(e, "42804", "a blob is written X'0aff', not as a text");
	default:
		return fail(e, "42804", "a text is compared with something whose type is not known");
	}
}
