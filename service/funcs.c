// SPDX-License-Identifier: GPL-2.0-or-later
#include "funcs.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "types.h"

typedef sqlite3_context ctx;
typedef sqlite3_value val;

#define DAY_US 86400000000LL

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

static struct funcs_env *env_of(ctx *c)
{
	return sqlite3_user_data(c);
}

static const char *text_of(val *v)
{
	return (const char *)sqlite3_value_text(v);
}

static bool is_null(val *v)
{
	return sqlite3_value_type(v) == SQLITE_NULL;
}

static void result_buf(ctx *c, struct buf *b)
{
	if (b->failed)
		sqlite3_result_error_toobig(c);
	else
		sqlite3_result_text(c, b->p ? b->p : "", (int)b->len, SQLITE_TRANSIENT);
	buf_free(b);
}

/* ------------------------------------------------------------------ casts */

static void cast_int(ctx *c, val *v, uint32_t oid, int64_t min, int64_t max)
{
	const char *s, *end;
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
		d = rint(sqlite3_value_double(v));
		if (!(d >= (double)min && d <= (double)max)) {
			funcs_error(c, "22003", "%s out of range", type_of(oid)->sql);
			return;
		}
		n = (long long)d;
		break;
	default:
		s = text_of(v);
		n = strtoll(s, &stop, 10);
		end = stop;
		while (isspace((unsigned char)*end))
			end++;
		if (stop == s || *end) {
			funcs_error(c, "22P02", "invalid input syntax for type %s: \"%.60s\"", type_of(oid)->sql, s);
			return;
		}
	}
	if (n < min || n > max)
		funcs_error(c, "22003", "%s out of range", type_of(oid)->sql);
	else
		sqlite3_result_int64(c, n);
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

static double rounded(double d, int scale)
{
	double p = pow(10, scale), x = d * p, r = round(x);

	/* 2.675 is meant, where 2.67499999 is what is there. */
	if (fabs(fabs(x - trunc(x)) - 0.5) < 1e-9 * fabs(x) + 1e-12)
		r = trunc(x) + (x < 0 ? -1 : 1);
	return r / p;
}

static void f_numeric(ctx *c, int n, val **v)
{
	double d;
	bool ok;
	int mod, scale;

	if (sqlite3_value_type(v[0]) == SQLITE_INTEGER) {
		sqlite3_result_value(c, v[0]);
		return;
	}
	cast_float(c, v[0], T_NUMERIC, &d, &ok);
	if (!ok)
		return;
	if (n > 1) {
		mod = sqlite3_value_int(v[1]);
		scale = mod & 0xffff;
		d = rounded(d, scale);
		if (fabs(d) >= pow(10, (mod >> 16) - scale)) {
			funcs_error(c, "22003", "numeric field overflow");
			return;
		}
		if (!scale && fabs(d) < 9e18) {
			sqlite3_result_int64(c, (int64_t)d);
			return;
		}
	} else if (d == trunc(d) && fabs(d) < 9e15 && !strpbrk(text_of(v[0]), ".eE")) {
		sqlite3_result_int64(c, (int64_t)d);
		return;
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

static bool time_of(ctx *c, val *v, uint32_t oid, int64_t *us)
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
		funcs_error(c, "22007", "invalid input syntax for type %s: \"%.60s\"", type_of(oid)->sql, s);
		return false;
	}
	return true;
}

static void result_time(ctx *c, int64_t us, uint32_t oid)
{
	struct buf b;

	buf_init(&b, 100);
	time_format(&b, us, oid);
	result_buf(c, &b);
}

static void cast_time(ctx *c, val *v, uint32_t oid)
{
	int64_t us;

	if (time_of(c, v, oid, &us))
		result_time(c, us, oid);
}

static void f_date(ctx *c, int n, val **v) { cast_time(c, v[0], T_DATE); }
static void f_timestamp(ctx *c, int n, val **v) { cast_time(c, v[0], T_TIMESTAMP); }
static void f_timestamptz(ctx *c, int n, val **v) { cast_time(c, v[0], T_TIMESTAMPTZ); }

static void f_time(ctx *c, int n, val **v)
{
	const char *s = is_null(v[0]) ? NULL : text_of(v[0]);

	if (!s)
		return;
	if (strlen(s) > 10 && s[4] == '-')
		cast_time(c, v[0], T_TIME);
	else
		sqlite3_result_value(c, v[0]);
}

static void f_bytea(ctx *c, int n, val **v)
{
	const char *s;
	uint8_t *to;
	size_t len, i;
	unsigned x;

	if (is_null(v[0]) || sqlite3_value_type(v[0]) == SQLITE_BLOB) {
		sqlite3_result_value(c, v[0]);
		return;
	}
	s = text_of(v[0]);
	if (s[0] != '\\' || s[1] != 'x') {
		sqlite3_result_blob(c, s, (int)strlen(s), SQLITE_TRANSIENT);
		return;
	}
	len = strlen(s + 2) / 2;
	to = sqlite3_malloc((int)len + 1);
	for (i = 0; to && i < len; i++) {
		if (sscanf(s + 2 + 2 * i, "%2x", &x) != 1) {
			sqlite3_free(to);
			funcs_error(c, "22P02", "invalid hexadecimal data");
			return;
		}
		to[i] = x;
	}
	sqlite3_result_blob(c, to, (int)len, sqlite3_free);
}

/* One value by a statement on the caller's own connection. */
static void lookup(ctx *c, const char *sql, val *v, const char *fail)
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

static void f_regclass(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]);

	if (!s)
		return;
	if (isdigit((unsigned char)*s)) {
		sqlite3_result_int64(c, atoll(s));
		return;
	}
	lookup(c, "select oid from pg_class where relname = replace(case when ?1 like 'public.%' then substr(?1, 8) "
		  "when ?1 like 'pg_catalog.%' then substr(?1, 12) else ?1 end, '\"', '')", v[0], "42P01");
}

static void f_to_regclass(ctx *c, int n, val **v)
{
	lookup(c, "select oid from pg_class where relname = ?1", v[0], NULL);
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
	if (n)
		sqlite3_result_value(c, v[0]);
}

/* ---------------------------------------------------------------- strings */

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

/* ---------------------------------------------------------------- numbers */

static void f_random(ctx *c, int n, val **v)
{
	uint64_t r;

	sqlite3_randomness(sizeof(r), &r);
	sqlite3_result_double(c, (double)(r >> 11) / 9007199254740992.0);
}

static void f_round(ctx *c, int n, val **v)
{
	int scale = n > 1 ? sqlite3_value_int(v[1]) : 0;

	if (is_null(v[0]))
		return;
	if (sqlite3_value_type(v[0]) == SQLITE_INTEGER && scale >= 0)
		sqlite3_result_value(c, v[0]);
	else
		sqlite3_result_double(c, rounded(sqlite3_value_double(v[0]), scale));
}

static void extreme(ctx *c, int n, val **v, int sign)
{
	val *best = NULL;
	int i, d;

	for (i = 0; i < n; i++) {
		if (is_null(v[i]))
			continue;
		if (!best) {
			best = v[i];
			continue;
		}
		if (sqlite3_value_numeric_type(v[i]) == SQLITE_TEXT)
			d = strcmp(text_of(v[i]), text_of(best));
		else
			d = sqlite3_value_double(v[i]) > sqlite3_value_double(best) ? 1 : -1;
		if (d * sign > 0)
			best = v[i];
	}
	if (best)
		sqlite3_result_value(c, best);
}

static void f_greatest(ctx *c, int n, val **v) { extreme(c, n, v, 1); }
static void f_least(ctx *c, int n, val **v) { extreme(c, n, v, -1); }

/* ------------------------------------------------------------------ times */

static void f_now(ctx *c, int n, val **v)
{
	result_time(c, env_of(c)->now, T_TIMESTAMPTZ);
}

static void f_clock(ctx *c, int n, val **v)
{
	result_time(c, time_now(), T_TIMESTAMPTZ);
}

static void parts_of(int64_t us, struct tm *tm, int64_t *clock)
{
	int64_t days = us / DAY_US;
	time_t t;

	*clock = us % DAY_US;
	if (*clock < 0) {
		*clock += DAY_US;
		days--;
	}
	t = (time_t)(days * 86400 + 946684800);
	gmtime_r(&t, tm);
	tm->tm_hour = (int)(*clock / 3600000000LL);
	tm->tm_min = (int)(*clock / 60000000LL % 60);
	tm->tm_sec = (int)(*clock / 1000000LL % 60);
}

static void f_date_part(ctx *c, int n, val **v)
{
	const char *f = text_of(v[0]);
	int64_t us, clock;
	struct tm tm;
	double d;

	if (!f || !time_of(c, v[1], T_TIMESTAMPTZ, &us))
		return;
	parts_of(us, &tm, &clock);
	if (!strcasecmp(f, "epoch"))
		d = (double)us / 1e6 + 946684800;
	else if (!strcasecmp(f, "year"))
		d = tm.tm_year + 1900;
	else if (!strcasecmp(f, "month"))
		d = tm.tm_mon + 1;
	else if (!strcasecmp(f, "day"))
		d = tm.tm_mday;
	else if (!strcasecmp(f, "hour"))
		d = tm.tm_hour;
	else if (!strcasecmp(f, "minute"))
		d = tm.tm_min;
	else if (!strcasecmp(f, "second"))
		d = (double)(clock % 60000000LL) / 1e6;
	else if (!strcasecmp(f, "dow"))
		d = tm.tm_wday;
	else if (!strcasecmp(f, "isodow"))
		d = tm.tm_wday ? tm.tm_wday : 7;
	else if (!strcasecmp(f, "doy"))
		d = tm.tm_yday + 1;
	else if (!strcasecmp(f, "quarter"))
		d = tm.tm_mon / 3 + 1;
	else {
		funcs_error(c, "0A000", "unit \"%.40s\" not supported", f);
		return;
	}
	sqlite3_result_double(c, d);
}

static void f_date_trunc(ctx *c, int n, val **v)
{
	static const char *const units[] = { "second", "minute", "hour", "day", "month", "year", NULL };
	static const char *const zero[] = { ":00", ":00:00", " 00:00:00", "-01 00:00:00", "-01-01 00:00:00" };
	static const int keep[] = { 19, 16, 13, 10, 7, 4 };
	const char *f = text_of(v[0]);
	int64_t us;
	struct buf b;
	int i;

	if (!f || !time_of(c, v[1], T_TIMESTAMPTZ, &us))
		return;
	for (i = 0; units[i] && strcasecmp(f, units[i]); i++)
		;
	if (!units[i]) {
		funcs_error(c, "0A000", "unit \"%.40s\" not supported", f);
		return;
	}
	buf_init(&b, 100);
	time_format(&b, us, T_TIMESTAMP);
	b.len = keep[i];
	if (i)
		buf_str(&b, zero[i - 1]);
	if (strchr(text_of(v[1]), '+'))
		buf_str(&b, "+00");
	result_buf(c, &b);
}

static void f_to_char(ctx *c, int n, val **v)
{
	static const struct { const char *from, *to; } pat[] = {
		{ "YYYY", "%Y" }, { "MM", "%m" }, { "DD", "%d" }, { "HH24", "%H" }, { "HH12", "%I" }, { "HH", "%I" },
		{ "MI", "%M" }, { "SS", "%S" }, { "Month", "%B" }, { "Mon", "%b" }, { "Day", "%A" }, { "Dy", "%a" },
	};
	const char *f = text_of(v[1]);
	char fmt[200], out[300];
	int64_t us, clock;
	size_t at = 0, i;
	struct tm tm;

	if (!f || is_null(v[0]))
		return;
	if (sqlite3_value_type(v[0]) != SQLITE_TEXT) {
		funcs_error(c, "0A000", "to_char() of numbers is not supported");
		return;
	}
	if (!time_of(c, v[0], T_TIMESTAMPTZ, &us))
		return;
	parts_of(us, &tm, &clock);
	while (*f && at < sizeof(fmt) - 4) {
		for (i = 0; i < sizeof(pat) / sizeof(*pat) && strncmp(f, pat[i].from, strlen(pat[i].from)); i++)
			;
		if (i < sizeof(pat) / sizeof(*pat)) {
			at += sprintf(fmt + at, "%s", pat[i].to);
			f += strlen(pat[i].from);
		} else if (*f != '"') {
			fmt[at++] = *f++;
		} else {
			f++;
		}
	}
	fmt[at] = 0;
	sqlite3_result_text(c, out, (int)strftime(out, sizeof(out), fmt, &tm), SQLITE_TRANSIENT);
}

static void f_to_timestamp(ctx *c, int n, val **v)
{
	if (!is_null(v[0]))
		result_time(c, (int64_t)((sqlite3_value_double(v[0]) - 946684800) * 1e6), T_TIMESTAMPTZ);
}

/* ----------------------------------------------------------------- arrays */

static void array_item(struct buf *b, val *v, bool first)
{
	struct coltype none = { 0, -1 };
	struct buf t;
	size_t i;

	if (!first)
		buf_ch(b, ',');
	if (is_null(v)) {
		buf_str(b, "NULL");
		return;
	}
	buf_init(&t, 1 << 30);
	type_text(&t, none, v);
	if (t.len && !strpbrk(buf_cstr(&t), "{},\"\\ ") && strcasecmp(t.p, "null")) {
		buf_add(b, t.p, t.len);
	} else {
		buf_ch(b, '"');
		for (i = 0; i < t.len; i++) {
			if (t.p[i] == '"' || t.p[i] == '\\')
				buf_ch(b, '\\');
			buf_ch(b, t.p[i]);
		}
		buf_ch(b, '"');
	}
	buf_free(&t);
}

static void f_array(ctx *c, int n, val **v)
{
	struct buf b;
	int i;

	buf_init(&b, 1 << 30);
	buf_ch(&b, '{');
	for (i = 0; i < n; i++)
		array_item(&b, v[i], !i);
	buf_ch(&b, '}');
	result_buf(c, &b);
}

static struct buf *agg_buf(ctx *c, bool make)
{
	struct buf *b = sqlite3_aggregate_context(c, make ? sizeof(*b) : 0);

	if (b && make && !b->max)
		buf_init(b, 1 << 30);
	return b;
}

static void array_agg_step(ctx *c, int n, val **v)
{
	struct buf *b = agg_buf(c, true);

	if (b) {
		if (!b->len)
			buf_ch(b, '{');
		array_item(b, v[0], b->len == 1);
	}
}

static void array_agg_final(ctx *c)
{
	struct buf *b = agg_buf(c, false);

	if (b) {
		buf_ch(b, '}');
		result_buf(c, b);
	}
}

static void string_agg_step(ctx *c, int n, val **v)
{
	struct coltype none = { 0, -1 };
	struct buf *b = is_null(v[0]) ? NULL : agg_buf(c, true);

	if (!b)
		return;
	if (b->p && n > 1 && !is_null(v[1]))
		buf_str(b, text_of(v[1]));
	else
		buf_room(b, 1);
	type_text(b, none, v[0]);
}

static void string_agg_final(ctx *c)
{
	struct buf *b = agg_buf(c, false);

	if (b)
		result_buf(c, b);
}

struct bools {
	int n, all, any;
};

static void bool_step(ctx *c, int n, val **v)
{
	struct bools *b = is_null(v[0]) ? NULL : sqlite3_aggregate_context(c, sizeof(*b));

	if (!b)
		return;
	b->all = sqlite3_value_int(v[0]) && (!b->n || b->all);
	b->any |= sqlite3_value_int(v[0]) != 0;
	b->n++;
}

static void bool_and_final(ctx *c)
{
	struct bools *b = sqlite3_aggregate_context(c, 0);

	if (b && b->n)
		sqlite3_result_int(c, b->all);
}

static void bool_or_final(ctx *c)
{
	struct bools *b = sqlite3_aggregate_context(c, 0);

	if (b && b->n)
		sqlite3_result_int(c, b->any);
}

/* '{a,"b c"}' to a list: an eponymous virtual table in catalog.c reads it. */
static void f_array_to_string(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *sep = text_of(v[1]);
	bool quoted = false;
	struct buf b;

	if (!s || !sep)
		return;
	buf_init(&b, 1 << 30);
	for (s += *s == '{'; *s && (quoted || *s != '}'); s++) {
		if (*s == '"')
			quoted = !quoted;
		else if (*s == '\\' && s[1])
			buf_ch(&b, *++s);
		else if (*s == ',' && !quoted)
			buf_str(&b, sep);
		else
			buf_ch(&b, *s);
	}
	result_buf(c, &b);
}

/* ----------------------------------------------------------------- system */

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
	lookup(c, "select rolname from pg_roles where oid = ?1", v[0], NULL);
}

static void f_indexdef(ctx *c, int n, val **v)
{
	if (n == 1 || sqlite3_value_int(v[1]) == 0)
		lookup(c, "select indexdef from baton_indexes where oid = ?1", v[0], NULL);
}

static void f_constraintdef(ctx *c, int n, val **v)
{
	lookup(c, "select condef from pg_constraint where oid = ?1", v[0], NULL);
}

static void f_viewdef(ctx *c, int n, val **v)
{
	lookup(c, "select definition from pg_views v join pg_class c on c.relname = v.viewname where c.oid = ?1", v[0], NULL);
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
	lookup(c, "select coalesce(sum(pgsize), 0) from dbstat where aggregate = true and name in "
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

#define PURE (SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS)
#define WORLD (SQLITE_UTF8)
#define SLOW (SQLITE_UTF8 | SQLITE_DIRECTONLY)

static const struct {
	const char *name;
	int n, flags;
	void (*f)(ctx *, int, val **);
} list[] = {
	{ "baton_int2", 1, PURE, f_int2 }, { "baton_int4", 1, PURE, f_int4 }, { "baton_int8", 1, PURE, f_int8 },
	{ "baton_oid", 1, PURE, f_oid }, { "baton_float", 1, PURE, f_float }, { "baton_numeric", -1, PURE, f_numeric },
	{ "baton_bool", 1, PURE, f_bool }, { "baton_text", -1, PURE, f_text }, { "baton_date", 1, PURE, f_date },
	{ "baton_time", 1, PURE, f_time }, { "baton_timestamp", 1, PURE, f_timestamp },
	{ "baton_timestamptz", 1, PURE, f_timestamptz }, { "baton_bytea", 1, PURE, f_bytea },
	{ "baton_regclass", 1, WORLD, f_regclass }, { "to_regclass", 1, WORLD, f_to_regclass },
	{ "baton_regtype", 1, WORLD, f_regtype }, { "baton_reg", 1, WORLD, f_same },
	{ "regexp", 2, PURE, f_regexp }, { "match", 2, PURE, f_match }, { "glob", 2, PURE, f_ilike },
	{ "length", 1, PURE, f_length }, { "char_length", 1, PURE, f_length }, { "character_length", 1, PURE, f_length },
	{ "octet_length", 1, PURE, f_octet_length }, { "repeat", 2, PURE, f_repeat }, { "baton_left", 2, PURE, f_left },
	{ "baton_right", 2, PURE, f_right }, { "lpad", -1, PURE, f_lpad }, { "rpad", -1, PURE, f_rpad },
	{ "initcap", 1, PURE, f_initcap }, { "reverse", 1, PURE, f_reverse }, { "strpos", 2, PURE, f_strpos },
	{ "baton_position", 2, PURE, f_position }, { "split_part", 3, PURE, f_split_part },
	{ "concat", -1, PURE, f_concat }, { "concat_ws", -1, PURE, f_concat_ws }, { "md5", 1, PURE, f_md5 },
	{ "chr", 1, PURE, f_chr }, { "ascii", 1, PURE, f_ascii }, { "translate", 3, PURE, f_translate },
	{ "quote_ident", 1, PURE, f_quote_ident }, { "quote_literal", 1, PURE, f_quote_literal },
	{ "encode", 2, PURE, f_encode }, { "starts_with", 2, PURE, f_starts_with },
	{ "pg_random", 0, WORLD, f_random }, { "round", 1, PURE, f_round }, { "round", 2, PURE, f_round },
	{ "greatest", -1, PURE, f_greatest }, { "least", -1, PURE, f_least },
	{ "now", 0, WORLD, f_now }, { "transaction_timestamp", 0, WORLD, f_now },
	{ "statement_timestamp", 0, WORLD, f_now }, { "clock_timestamp", 0, WORLD, f_clock },
	{ "date_part", 2, PURE, f_date_part }, { "date_trunc", 2, PURE, f_date_trunc }, { "to_char", 2, PURE, f_to_char },
	{ "to_timestamp", 1, PURE, f_to_timestamp }, { "baton_array", -1, PURE, f_array },
	{ "array_to_string", 2, PURE, f_array_to_string },
	{ "baton_user", 0, WORLD, f_user }, { "current_database", 0, WORLD, f_database },
	{ "pg_backend_pid", 0, WORLD, f_pid }, { "current_schema", 0, WORLD, f_public },
	{ "current_schemas", 1, WORLD, f_schemas }, { "version", 0, WORLD, f_version },
	{ "current_setting", -1, WORLD, f_setting }, { "set_config", 3, SLOW, f_set_config },
	{ "baton_divisor", 1, PURE, f_divisor }, { "baton_budget_ms", 0, SLOW, f_budget }, { "baton_deadline_ms", 0, SLOW, f_deadline },
	{ "baton_charge_ms", 1, SLOW, f_charge },
	{ "pg_sleep", 1, SLOW, f_sleep }, { "pg_cancel_backend", 1, SLOW, f_cancel },
	{ "pg_terminate_backend", 1, SLOW, f_terminate }, { "format_type", -1, PURE, f_format_type },
	{ "pg_get_userbyid", 1, WORLD, f_userbyid }, { "pg_table_is_visible", 1, PURE, f_true },
	{ "pg_type_is_visible", 1, PURE, f_true }, { "pg_function_is_visible", 1, PURE, f_true },
	{ "has_table_privilege", -1, PURE, f_true }, { "has_database_privilege", -1, PURE, f_true },
	{ "has_schema_privilege", -1, PURE, f_true }, { "pg_is_in_recovery", 0, PURE, f_false },
	{ "pg_encoding_to_char", 1, PURE, f_utf8 }, { "pg_client_encoding", 0, PURE, f_utf8 },
	{ "getdatabaseencoding", 0, PURE, f_utf8 }, { "obj_description", -1, PURE, f_null },
	{ "col_description", -1, PURE, f_null }, { "shobj_description", -1, PURE, f_null },
	{ "pg_get_expr", -1, PURE, f_same }, { "pg_get_indexdef", -1, WORLD, f_indexdef },
	{ "pg_get_constraintdef", -1, WORLD, f_constraintdef }, { "pg_get_viewdef", -1, WORLD, f_viewdef },
	{ "pg_get_statisticsobjdef_columns", 1, PURE, f_null }, { "pg_relation_is_publishable", 1, PURE, f_false },
	{ "pg_get_partkeydef", 1, PURE, f_null }, { "pg_partition_ancestors", 1, PURE, f_null }, { "pg_get_triggerdef", -1, PURE, f_null }, { "inet_server_addr", 0, PURE, f_null },
	{ "pg_database_size", 1, WORLD, f_database_size }, { "pg_table_size", 1, WORLD, f_relation_size },
	{ "pg_relation_size", 1, WORLD, f_relation_size }, { "pg_total_relation_size", 1, WORLD, f_relation_size },
	{ "pg_size_pretty", 1, PURE, f_size_pretty },
	{ "pg_get_serial_sequence", 2, PURE, f_serial_sequence },
	{ "gen_random_uuid", 0, WORLD, f_uuid }, { "nextval", 1, WORLD, f_nextval }, { "setval", 2, WORLD, f_setval },
	{ "currval", 1, WORLD, f_currval }, { "lastval", 0, WORLD, f_lastval },
};

int funcs_register(sqlite3 *db, struct funcs_env *env)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < sizeof(list) / sizeof(*list) && !err; i++)
		err = sqlite3_create_function_v2(db, list[i].name, list[i].n, list[i].flags, env, list[i].f, NULL, NULL, NULL);
	if (!err)
		err = sqlite3_create_function_v2(db, "array_agg", 1, PURE, env, NULL, array_agg_step, array_agg_final, NULL);
	if (!err)
		err = sqlite3_create_function_v2(db, "string_agg", 2, PURE, env, NULL, string_agg_step, string_agg_final, NULL);
	if (!err)
		err = sqlite3_create_function_v2(db, "bool_and", 1, PURE, env, NULL, bool_step, bool_and_final, NULL);
	if (!err)
		err = sqlite3_create_function_v2(db, "every", 1, PURE, env, NULL, bool_step, bool_and_final, NULL);
	if (!err)
		err = sqlite3_create_function_v2(db, "bool_or", 1, PURE, env, NULL, bool_step, bool_or_final, NULL);
	return err;
}
