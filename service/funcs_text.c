// SPDX-License-Identifier: GPL-2.0-or-later
/* Functions of strings. */
#include "funcs_int.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void re_free(void *p)
{
	regfree(p);
	free(p);
}

static void regex(ctx *c, val **v, int flags)
{
	const char *pattern = text_of(v[0]), *s = text_of(v[1]);
	regex_t *re = sqlite3_get_auxdata(c, 0);
	struct buf b;

	if (!pattern || !s)
		return;
	if (!re) {
		/* \d and the like are not in POSIX; (?: neither. */
		buf_init(&b, 1 << 16);
		for (; *pattern; pattern++) {
			if (pattern[0] == '\\' && pattern[1] == 'd')
				buf_str(&b, "[0-9]"), pattern++;
			else if (pattern[0] == '(' && pattern[1] == '?' && pattern[2] == ':')
				buf_ch(&b, '('), pattern += 2;
			else
				buf_ch(&b, *pattern);
		}
		re = calloc(1, sizeof(*re));
		if (!re || regcomp(re, buf_cstr(&b), REG_EXTENDED | REG_NOSUB | flags)) {
			free(re);
			funcs_error(c, "2201B", "invalid regular expression: %.100s", buf_cstr(&b));
			buf_free(&b);
			return;
		}
		buf_free(&b);
		sqlite3_set_auxdata(c, 0, re, re_free);
		re = sqlite3_get_auxdata(c, 0);
		if (!re) {
			sqlite3_result_error_nomem(c);
			return;
		}
	}
	sqlite3_result_int(c, !regexec(re, s, 0, NULL, 0));
}

static void f_regexp(ctx *c, int n, val **v) { regex(c, v, 0); }
static void f_match(ctx *c, int n, val **v) { regex(c, v, REG_ICASE); }

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
	while (times-- > 0)
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
	if (k < 1) {
		funcs_error(c, "22023", "field position must be greater than zero");
		return;
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

	if (!n || is_null(v[0]))
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

static void f_ascii(ctx *c, int n, val **v)
{
	if (!is_null(v[0]))
		sqlite3_result_int(c, (unsigned char)*text_of(v[0]));
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

static void f_quote_ident(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *p;
	struct buf b;

	if (!s)
		return;
	buf_init(&b, 1 << 20);
	for (p = s; *p && (islower((unsigned char)*p) || *p == '_' || (p > s && isdigit((unsigned char)*p))); p++)
		;
	if (*s && !*p)
		buf_str(&b, s);
	else
		buf_sql_id(&b, s, strlen(s));
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

const struct func funcs_text[] = {
	{ "regexp", 2, PURE, f_regexp }, { "match", 2, PURE, f_match }, { "glob", 2, PURE, f_ilike },
	{ "length", 1, PURE, f_length }, { "char_length", 1, PURE, f_length }, { "character_length", 1, PURE, f_length },
	{ "octet_length", 1, PURE, f_octet_length }, { "repeat", 2, PURE, f_repeat }, { "baton_left", 2, PURE, f_left },
	{ "baton_right", 2, PURE, f_right }, { "lpad", -1, PURE, f_lpad }, { "rpad", -1, PURE, f_rpad },
	{ "initcap", 1, PURE, f_initcap }, { "reverse", 1, PURE, f_reverse }, { "strpos", 2, PURE, f_strpos },
	{ "baton_position", 2, PURE, f_position }, { "split_part", 3, PURE, f_split_part }, { "concat", -1, PURE, f_concat },
	{ "concat_ws", -1, PURE, f_concat_ws }, { "md5", 1, PURE, f_md5 }, { "chr", 1, PURE, f_chr },
	{ "ascii", 1, PURE, f_ascii }, { "translate", 3, PURE, f_translate }, { "quote_ident", 1, PURE, f_quote_ident },
	{ "quote_literal", 1, PURE, f_quote_literal }, { "encode", 2, PURE, f_encode },
	{ "starts_with", 2, PURE, f_starts_with },
	{ 0 }
};
