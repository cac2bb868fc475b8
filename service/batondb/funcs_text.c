// SPDX-License-Identifier: GPL-2.0-or-later
/* Functions of strings. */
#include "funcs_int.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool like(const char *p, const char *s)
{
	for (; *p; p++) {
		if (*p == '%') {
			while (*p == '%')
				p++;
			if (!*p)
				return true;
			for (; *s; s++)
				if (like(p, s))
					return true;
			return false;
		}
		if (!*s)
			return false;
		if (*p == '_') {
			for (s++; (*s & 0xc0) == 0x80; s++)
				;
			continue;
		}
		if (*p == '\\' && p[1])
			p++;
		if (tolower((unsigned char)*p) != tolower((unsigned char)*s))
			return false;
		s++;
	}
	return !*s;
}

static void f_ilike(ctx *c, int n, val **v)
{
	const char *p = text_of(v[0]), *s = text_of(v[1]);

	if (p && s)
		sqlite3_result_int(c, like(p, s));
}

static size_t chars(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static const char *skip_chars(const char *s, size_t n)
{
	for (; *s && n; n--)
		for (s++; (*s & 0xc0) == 0x80; s++)
			;
	return s;
}

static void f_length(ctx *c, int n, val **v)
{
	if (sqlite3_value_type(v[0]) == SQLITE_BLOB)
		sqlite3_result_int(c, sqlite3_value_bytes(v[0]));
	else if (!is_null(v[0]))
		sqlite3_result_int64(c, chars(text_of(v[0])));
}

static void f_octet_length(ctx *c, int n, val **v)
{
	if (!is_null(v[0]))
		sqlite3_result_int(c, sqlite3_value_bytes(v[0]));
}

static void f_repeat(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]);
	int64_t times = sqlite3_value_int64(v[1]);
	size_t len;
	struct buf b;

	if (!s || is_null(v[1]))
		return;
	len = strlen(s);
	buf_init(&b, sqlite3_limit(sqlite3_context_db_handle(c), SQLITE_LIMIT_LENGTH, -1));
	if (times > 0 && len * (double)times > (double)b.max) {
		funcs_error(c, "54000", "requested length too large");
		return;
	}
	while (len && times-- > 0)
		buf_add(&b, s, len);
	result_buf(c, &b);
}

static void f_left(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]);
	int64_t k = sqlite3_value_int64(v[1]);

	if (!s || is_null(v[1]))
		return;
	if (k < 0)
		k += (int64_t)chars(s);
	sqlite3_result_text(c, s, k > 0 ? (int)(skip_chars(s, k) - s) : 0, SQLITE_TRANSIENT);
}

static void f_right(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]);
	int64_t k = sqlite3_value_int64(v[1]), all;

	if (!s || is_null(v[1]))
		return;
	all = chars(s);
	k = k < 0 ? -k : all - k;
	sqlite3_result_text(c, skip_chars(s, k > 0 ? k : 0), -1, SQLITE_TRANSIENT);
}

static void pad(ctx *c, int n, val **v, bool before)
{
	const char *s = text_of(v[0]), *fill = n > 2 ? text_of(v[2]) : " ", *f;
	int64_t want = sqlite3_value_int64(v[1]), have;
	struct buf b;

	if (!s || !fill || is_null(v[1]))
		return;
	have = chars(s);
	buf_init(&b, sqlite3_limit(sqlite3_context_db_handle(c), SQLITE_LIMIT_LENGTH, -1));
	if (have >= want || !*fill) {
		sqlite3_result_text(c, s, (int)(skip_chars(s, want > 0 ? want : 0) - s), SQLITE_TRANSIENT);
		return;
	}
	if (!before)
		buf_str(&b, s);
	for (f = fill; have < want && !b.failed; have++) {
		const char *next = skip_chars(f, 1);

		buf_add(&b, f, next - f);
		f = *next ? next : fill;
	}
	if (before)
		buf_str(&b, s);
	result_buf(c, &b);
}

static void f_lpad(ctx *c, int n, val **v) { pad(c, n, v, true); }
static void f_rpad(ctx *c, int n, val **v) { pad(c, n, v, false); }

static void f_initcap(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]);
	bool in = false;
	struct buf b;

	if (!s)
		return;
	buf_init(&b, 1 << 30);
	for (; *s; s++) {
		buf_ch(&b, (char)(in ? tolower((unsigned char)*s) : toupper((unsigned char)*s)));
		in = isalnum((unsigned char)*s) || (*s & 0x80);
	}
	result_buf(c, &b);
}

static void f_reverse(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *e;
	struct buf b;

	if (!s)
		return;
	buf_init(&b, 1 << 30);
	for (e = s + strlen(s); e > s;) {
		const char *from = e - 1;

		while (from > s && (*from & 0xc0) == 0x80)
			from--;
		buf_add(&b, from, e - from);
		e = from;
	}
	result_buf(c, &b);
}

static void f_strpos(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *t = text_of(v[1]), *at;
	size_t i = 1;

	if (!s || !t)
		return;
	at = strstr(s, t);
	for (; at && s < at; s = skip_chars(s, 1))
		i++;
	sqlite3_result_int64(c, at ? (int64_t)i : 0);
}

static void f_position(ctx *c, int n, val **v)
{
	val *w[2] = { v[1], v[0] };

	f_strpos(c, 2, w);
}

static void f_split_part(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *sep = text_of(v[1]), *end;
	int64_t k = sqlite3_value_int64(v[2]), i;

	if (!s || !sep)
		return;
	if (!k) {
		funcs_error(c, "22023", "field position must not be zero");
		return;
	}
	/* From the end. */
	if (k < 0) {
		for (i = 1, end = s; *sep && (end = strstr(end, sep)); i++)
			end += strlen(sep);
		k += i + 1;
	}
	for (i = 1;; i++) {
		end = *sep ? strstr(s, sep) : NULL;
		if (i == k) {
			sqlite3_result_text(c, s, end ? (int)(end - s) : -1, SQLITE_TRANSIENT);
			return;
		}
		if (!end)
			break;
		s = end + strlen(sep);
	}
	sqlite3_result_text(c, "", 0, SQLITE_STATIC);
}

static void f_concat(ctx *c, int n, val **v)
{
	struct coltype none = { 0, -1 };
	struct buf b;
	int i;

	buf_init(&b, 1 << 30);
	for (i = 0; i < n; i++)
		if (!is_null(v[i]))
			type_text(&b, none, v[i]);
	result_buf(c, &b);
}

static void f_concat_ws(ctx *c, int n, val **v)
{
	struct coltype none = { 0, -1 };
	bool first = true;
	struct buf b;
	int i;

	if (is_null(v[0]))
		return;
	buf_init(&b, 1 << 30);
	for (i = 1; i < n; i++) {
		if (is_null(v[i]))
			continue;
		if (!first)
			buf_str(&b, text_of(v[0]));
		type_text(&b, none, v[i]);
		first = false;
	}
	result_buf(c, &b);
}

static void f_md5(ctx *c, int n, val **v)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len, i;
	char hex[33];

	if (is_null(v[0]))
		return;
	EVP_Digest(sqlite3_value_blob(v[0]), sqlite3_value_bytes(v[0]), md, &len, EVP_md5(), NULL);
	for (i = 0; i < 16; i++)
		sprintf(hex + 2 * i, "%02x", md[i]);
	sqlite3_result_text(c, hex, 32, SQLITE_TRANSIENT);
}

static void f_chr(ctx *c, int n, val **v)
{
	char s[32];

	if (is_null(v[0]))
		return;
	if (sqlite3_value_int(v[0]) <= 0) {
		funcs_error(c, "54000", "null character not permitted");
		return;
	}
	sqlite3_snprintf(sizeof(s), s, "%c", sqlite3_value_int(v[0]));
	sqlite3_result_text(c, s, -1, SQLITE_TRANSIENT);
}

static uint32_t utf8_first(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	int more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc0 ? 1 : 0;
	uint32_t u = more ? *p & (0x3f >> more) : *p;

	while (more-- && (*++p & 0xc0) == 0x80)
		u = u << 6 | (*p & 0x3f);
	return u;
}

static void f_ascii(ctx *c, int n, val **v)
{
	if (!is_null(v[0]))
		sqlite3_result_int(c, (int)utf8_first(text_of(v[0])));
}

static void f_translate(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *from = text_of(v[1]), *to = text_of(v[2]), *at;
	struct buf b;

	if (!s || !from || !to)
		return;
	buf_init(&b, 1 << 30);
	for (; *s; s++) {
		at = strchr(from, *s);
		if (!at)
			buf_ch(&b, *s);
		else if ((size_t)(at - from) < strlen(to))
			buf_ch(&b, to[at - from]);
	}
	result_buf(c, &b);
}

/* In quotes only where it needs them. */
static void put_ident(struct buf *b, const char *s, size_t n)
{
	if ((islower((unsigned char)*s) || *s == '_') && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == n)
		buf_add(b, s, n);
	else
		buf_sql_id(b, s, n);
}

static void f_quote_ident(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]);
	struct buf b;

	if (!s)
		return;
	buf_init(&b, 1 << 20);
	put_ident(&b, s, strlen(s));
	result_buf(c, &b);
}

static void f_quote_literal(ctx *c, int n, val **v)
{
	struct buf b;

	if (is_null(v[0]))
		return;
	buf_init(&b, 1 << 30);
	buf_sql_str(&b, text_of(v[0]), sqlite3_value_bytes(v[0]));
	result_buf(c, &b);
}

static void f_encode(ctx *c, int n, val **v)
{
	const uint8_t *p = sqlite3_value_blob(v[0]);
	int len = sqlite3_value_bytes(v[0]), i;
	const char *how = text_of(v[1]);
	struct buf b;

	if (is_null(v[0]) || !how)
		return;
	buf_init(&b, 1 << 30);
	if (!strcmp(how, "hex")) {
		for (i = 0; i < len; i++)
			buf_fmt(&b, "%02x", p[i]);
	} else if (!strcmp(how, "base64")) {
		char *to = buf_room(&b, 4 * (len / 3 + 1) + 1);

		if (to)
			b.len += EVP_EncodeBlock((unsigned char *)to, p, len);
	} else {
		funcs_error(c, "22023", "unrecognized encoding: \"%.40s\"", how);
		return;
	}
	result_buf(c, &b);
}

static void f_starts_with(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *p = text_of(v[1]);

	if (s && p)
		sqlite3_result_int(c, !strncmp(s, p, strlen(p)));
}

static void trim(ctx *c, int n, val **v, bool left, bool right)
{
	const char *s = text_of(v[0]), *set = n > 1 ? text_of(v[1]) : " ", *end;

	if (!s || !set)
		return;
	end = s + strlen(s);
	while (left && s < end && strchr(set, *s))
		s++;
	while (right && s < end && strchr(set, end[-1]))
		end--;
	sqlite3_result_text(c, s, (int)(end - s), SQLITE_TRANSIENT);
}

static void f_btrim(ctx *c, int n, val **v) { trim(c, n, v, true, true); }

/* Before its beginning there are characters, too, but none to be seen. */
static void f_substr(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *end;
	int64_t from = n > 1 ? sqlite3_value_int64(v[1]) : 1, len = n > 2 ? sqlite3_value_int64(v[2]) : INT32_MAX, i;

	for (i = 0; i < n; i++)
		if (is_null(v[i]))
			return;
	if (sqlite3_value_type(v[0]) == SQLITE_BLOB) {
		const char *p = sqlite3_value_blob(v[0]);

		i = sqlite3_value_bytes(v[0]);
		len = from < 1 ? len + from - 1 : len;
		from = from < 1 ? 0 : from - 1 < i ? from - 1 : i;
		sqlite3_result_blob(c, p + from, (int)(len < 0 ? 0 : len < i - from ? len : i - from), SQLITE_TRANSIENT);
		return;
	}
	if (len < 0) {
		funcs_error(c, "22011", "negative substring length not allowed");
		return;
	}
	if (from < 1) {
		len += from - 1;
		from = 1;
	}
	s = skip_chars(s, (size_t)from - 1);
	end = skip_chars(s, len > 0 ? (size_t)len : 0);
	sqlite3_result_text(c, s, (int)(end - s), SQLITE_TRANSIENT);
}

static void f_overlay(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *by = text_of(v[1]), *at, *end;
	struct buf b;
	int64_t from = sqlite3_value_int64(v[2]), len;

	if (!s || !by || is_null(v[2]))
		return;
	len = n > 3 ? sqlite3_value_int64(v[3]) : (int64_t)chars(by);
	if (from < 1 || len < 0) {
		funcs_error(c, "22011", "negative substring length not allowed");
		return;
	}
	at = skip_chars(s, (size_t)from - 1);
	end = skip_chars(at, (size_t)len);
	buf_init(&b, 1 << 30);
	buf_add(&b, s, at - s);
	buf_str(&b, by);
	buf_str(&b, end);
	result_buf(c, &b);
}

static void f_quote_nullable(ctx *c, int n, val **v)
{
	if (is_null(v[0]))
		sqlite3_result_text(c, "NULL", 4, SQLITE_STATIC);
	else
		f_quote_literal(c, n, v);
}

static void f_to_hex(ctx *c, int n, val **v)
{
	char s[40];

	if (is_null(v[0]))
		return;
	/* A negative int4 has eight digits. */
	if (sqlite3_value_int64(v[0]) < 0 && sqlite3_value_int64(v[0]) >= INT32_MIN)
		snprintf(s, sizeof(s), "%x", (unsigned)sqlite3_value_int64(v[0]));
	else
		snprintf(s, sizeof(s), "%llx", (unsigned long long)sqlite3_value_int64(v[0]));
	sqlite3_result_text(c, s, -1, SQLITE_TRANSIENT);
}

static void f_decode(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *how = text_of(v[1]);
	size_t len = s ? strlen(s) : 0, i;
	unsigned char *to;
	int got = -1;

	if (!s || !how)
		return;
	to = sqlite3_malloc64(len + 4);
	if (!to) {
		sqlite3_result_error_nomem(c);
		return;
	}
	if (!strcmp(how, "hex")) {
		got = hex_bytes(to, s, len) ? (int)(len / 2) : -1;
	} else if (!strcmp(how, "base64")) {
		got = len % 4 ? -1 : EVP_DecodeBlock(to, (const unsigned char *)s, (int)len);
		for (i = len; got > 0 && i > 0 && s[i - 1] == '='; i--)
			got--;
	} else {
		funcs_error(c, "22023", "unrecognized encoding: \"%.40s\"", how);
		sqlite3_free(to);
		return;
	}
	if (got < 0) {
		funcs_error(c, "22023", "invalid %s data", how);
		sqlite3_free(to);
	} else {
		sqlite3_result_blob(c, to, got, sqlite3_free);
	}
}

static void f_sha256(ctx *c, int n, val **v)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len;

	if (is_null(v[0]))
		return;
	EVP_Digest(sqlite3_value_blob(v[0]), sqlite3_value_bytes(v[0]), md, &len, EVP_sha256(), NULL);
	sqlite3_result_blob(c, md, (int)len, SQLITE_TRANSIENT);
}

static void f_bit_length(ctx *c, int n, val **v)
{
	if (!is_null(v[0]))
		sqlite3_result_int64(c, 8LL * sqlite3_value_bytes(v[0]));
}

/* %s, %I, %L, with - and a width; n$ before them. */
static void f_format(ctx *c, int n, val **v)
{
	const char *f = text_of(v[0]), *end;
	struct coltype none = { 0, -1 };
	size_t max = (size_t)sqlite3_limit(sqlite3_context_db_handle(c), SQLITE_LIMIT_LENGTH, -1);
	struct buf b, one;
	int at = 0, k, width;
	bool left;

	if (!f)
		return;
	buf_init(&b, max);
	for (; *f && !b.failed; f++) {
		if (*f != '%' || f[1] == '%') {
			buf_ch(&b, *f);
			f += *f == '%';
			continue;
		}
		f++;
		k = (int)strtol(f, (char **)&end, 10);
		if (k > 0 && *end == '$') {
			at = k - 1;
			f = end + 1;
		}
		left = *f == '-';
		f += left;
		width = (int)strtol(f, (char **)&end, 10);
		f = end;
		if (!*f || !strchr("sIL", *f) || ++at >= n) {
			if (*f && strchr("sIL", *f))
				funcs_error(c, "22023", "too few arguments for format()");
			else
				funcs_error(c, "22023", "unrecognized format() type specifier \"%.1s\"", f);
			buf_free(&b);
			return;
		}
		buf_init(&one, 1 << 30);
		if (!is_null(v[at]))
			type_text(&one, none, v[at]);
		if (*f == 'L' && is_null(v[at]))
			buf_str(&one, "NULL");
		if (*f != 's' && !is_null(v[at])) {
			struct buf q;
			const char *p = buf_cstr(&one);

			buf_init(&q, 1 << 30);
			if (*f == 'L')
				buf_sql_str(&q, p, one.len);
			else
				put_ident(&q, p, one.len);
			buf_free(&one);
			one = q;
		}
		k = width - (int)chars(buf_cstr(&one));
		if ((size_t)(k > 0 ? k : 0) > max) {
			funcs_error(c, "54000", "requested length too large");
			buf_free(&one);
			buf_free(&b);
			return;
		}
		if (!left && k > 0)
			buf_fmt(&b, "%*s", k, "");
		buf_add(&b, one.p, one.len);
		if (left && k > 0)
			buf_fmt(&b, "%*s", k, "");
		buf_free(&one);
	}
	result_buf(c, &b);
}

const struct func funcs_text[] = {
	{ "btrim", 1, PURE, f_btrim }, { "btrim", 2, PURE, f_btrim }, { "substr", 2, PURE, f_substr },
	{ "substr", 3, PURE, f_substr }, { "substring", 2, PURE, f_substr }, { "substring", 3, PURE, f_substr },
	{ "overlay", 3, PURE, f_overlay }, { "overlay", 4, PURE, f_overlay }, { "quote_nullable", 1, PURE, f_quote_nullable },
	{ "to_hex", 1, PURE, f_to_hex }, { "decode", 2, PURE, f_decode }, { "sha256", 1, PURE, f_sha256 },
	{ "bit_length", 1, PURE, f_bit_length }, { "format", FROM(1), PURE, f_format },
	{ "glob", 2, PURE, f_ilike },
	{ "length", 1, PURE, f_length }, { "char_length", 1, PURE, f_length }, { "character_length", 1, PURE, f_length },
	{ "octet_length", 1, PURE, f_octet_length }, { "repeat", 2, PURE, f_repeat }, { "baton_left", 2, PURE, f_left },
	{ "baton_right", 2, PURE, f_right }, { "lpad", 2, PURE, f_lpad }, { "lpad", 3, PURE, f_lpad },
	{ "rpad", 2, PURE, f_rpad }, { "rpad", 3, PURE, f_rpad },
	{ "initcap", 1, PURE, f_initcap }, { "reverse", 1, PURE, f_reverse }, { "strpos", 2, PURE, f_strpos },
	{ "baton_position", 2, PURE, f_position }, { "split_part", 3, PURE, f_split_part }, { "concat", FROM(1), PURE, f_concat },
	{ "concat_ws", FROM(1), PURE, f_concat_ws }, { "md5", 1, PURE, f_md5 }, { "chr", 1, PURE, f_chr },
	{ "ascii", 1, PURE, f_ascii }, { "translate", 3, PURE, f_translate }, { "quote_ident", 1, PURE, f_quote_ident },
	{ "quote_literal", 1, PURE, f_quote_literal }, { "encode", 2, PURE, f_encode },
	{ "starts_with", 2, PURE, f_starts_with },
	{ 0 }
};
