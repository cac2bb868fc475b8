// SPDX-License-Identifier: GPL-2.0-or-later
/* Regular expressions: POSIX's, which are PostgreSQL's less its escapes. */
#include "funcs_int.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS 10
/* Parentheses in each other; nodes of a compiled one. */
#define DEPTH 100
#define NODES 100000

static void re_free(void *p)
{
	regfree(p);
	free(p);
}

/* The last character of the [...] that begins here: ] first, and classes, do not end it. */
static const char *bracket_end(const char *p)
{
	char kind;

	p += 1 + (p[1] == '^');
	p += *p == ']';
	for (; *p && *p != ']'; p++) {
		if (*p != '[' || !p[1] || !strchr(".:=", p[1]))
			continue;
		kind = p[1];
		for (p += 2; *p && (*p != kind || p[1] != ']'); p++)
			;
		p -= !*p;
	}
	return *p ? p : p - 1;
}

/*
 * What regcomp() would need too much for. It calls itself for each parenthesis, and copies what is counted: of ((a{255}){255}){255} it
 * makes 16 million nodes; a + is a copy, too.
 */
static bool too_complex(const char *p)
{
	size_t nodes[DEPTH] = { 0 }, last = 0, times;
	unsigned depth = 0;
	char *end;

	for (; *p; p++) {
		times = 1;
		if (*p == '(') {
			if (++depth == DEPTH)
				return true;
			nodes[depth] = 0;
			continue;
		}
		if (*p == ')' && depth) {
			last = nodes[depth--] + 1;
			nodes[depth] += last;
		} else if (*p == '+' || *p == '*') {
			times = 2;
		} else if (*p == '{' && isdigit((unsigned char)p[1])) {
			times = strtoul(p + 1, &end, 10);
			if (*end == ',')
				times = isdigit((unsigned char)end[1]) ? strtoul(end + 1, &end, 10) : times + 1;
			if (times > NODES)
				return true;
			p = end - 1;
		} else {
			if (*p == '[')
				p = bracket_end(p);
			else
				p += *p == '\\' && p[1];
			last = 1;
			nodes[depth]++;
		}
		if (times > 1) {
			nodes[depth] += last * (times - 1);
			last *= times;
		}
		if (nodes[depth] > NODES)
			return true;
	}
	return false;
}

/* That of argument i, which the statement keeps; NULL: the error is told. */
static regex_t *compile(ctx *c, int i, val *v, int flags)
{
	static const struct { char c; const char *is; } class[] = {
		{ 'd', "[0-9]" }, { 'w', "[[:alnum:]_]" }, { 's', "[[:space:]]" }, { 'D', "[^0-9]" },
		{ 'W', "[^[:alnum:]_]" }, { 'S', "[^[:space:]]" }, { 'm', "\\<" }, { 'M', "\\>" }, { 'y', "\\b" },
	};
	regex_t *re = sqlite3_get_auxdata(c, i);
	const char *pattern = text_of(v);
	struct buf b;
	size_t k;

	if (re)
		return re;
	buf_init(&b, 1 << 16);
	for (; *pattern; pattern++) {
		for (k = 0; *pattern == '\\' && k < sizeof(class) / sizeof(*class) && class[k].c != pattern[1]; k++)
			;
		if (*pattern == '\\' && k < sizeof(class) / sizeof(*class)) {
			buf_str(&b, class[k].is);
			pattern++;
		} else if (*pattern == '\\' && pattern[1]) {
			buf_add(&b, pattern++, 2);
		} else if (pattern[0] == '(' && pattern[1] == '?' && pattern[2] == ':') {
			buf_ch(&b, '(');
			pattern += 2;
		} else {
			buf_ch(&b, *pattern);
		}
	}
	if (b.failed || too_complex(buf_cstr(&b))) {
		funcs_error(c, "2201B", "invalid regular expression: regular expression is too complex");
		buf_free(&b);
		return NULL;
	}
	re = calloc(1, sizeof(*re));
	if (!re || regcomp(re, buf_cstr(&b), REG_EXTENDED | flags)) {
		free(re);
		funcs_error(c, "2201B", "invalid regular expression: %.100s", buf_cstr(&b));
		buf_free(&b);
		return NULL;
	}
	buf_free(&b);
	sqlite3_set_auxdata(c, i, re, re_free);
	re = sqlite3_get_auxdata(c, i);
	if (!re)
		sqlite3_result_error_nomem(c);
	return re;
}

static void matches(ctx *c, val **v, int flags)
{
	regex_t *re;

	if (is_null(v[0]) || is_null(v[1]))
		return;
	re = compile(c, 0, v[0], flags | REG_NOSUB);
	if (re)
		sqlite3_result_int(c, !regexec(re, text_of(v[1]), 0, NULL, 0));
}

static void f_regexp(ctx *c, int n, val **v) { matches(c, v, 0); }
static void f_match(ctx *c, int n, val **v) { matches(c, v, REG_ICASE); }

/* Of f(string, pattern, ..., flags): flags is argument k, if there is one. */
static regex_t *ready(ctx *c, int n, val **v, int k, bool *all)
{
	const char *flags = n > k ? text_of(v[k]) : "";
	int i, icase = 0;

	for (i = 0; i < n; i++)
		if (is_null(v[i]))
			return NULL;
	*all = false;
	for (; *flags; flags++) {
		if (*flags == 'g')
			*all = true;
		else if (*flags == 'i')
			icase = REG_ICASE;
		else if (!strchr("cs", *flags)) {
			funcs_error(c, "22023", "invalid regular expression option: \"%.1s\"", flags);
			return NULL;
		}
	}
	return compile(c, 1, v[1], icase);
}

/* The next one from s on. */
static bool next(regex_t *re, const char *s, const char *begin, regmatch_t *m)
{
	return !regexec(re, s, GROUPS, m, s > begin ? REG_NOTBOL : 0);
}

static void f_replace(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *begin = s, *by = n > 2 ? text_of(v[2]) : NULL, *p;
	regmatch_t m[GROUPS];
	struct buf b;
	bool all;
	regex_t *re = ready(c, n, v, 3, &all);

	if (!re)
		return;
	buf_init(&b, 1 << 30);
	while (next(re, s, begin, m)) {
		buf_add(&b, s, (size_t)m[0].rm_so);
		for (p = by; *p; p++) {
			int g = *p == '\\' && p[1] == '&' ? 0 : *p == '\\' && isdigit((unsigned char)p[1]) ? p[1] - '0' : -1;

			if (g < 0) {
				p += *p == '\\' && p[1] == '\\';
				buf_ch(&b, *p);
				continue;
			}
			if (m[g].rm_so >= 0)
				buf_add(&b, s + m[g].rm_so, (size_t)(m[g].rm_eo - m[g].rm_so));
			p++;
		}
		s += m[0].rm_eo;
		if (!all)
			break;
		if (m[0].rm_eo == m[0].rm_so) {
			if (!*s)
				break;
			buf_ch(&b, *s++);
		}
	}
	buf_str(&b, s);
	result_buf(c, &b);
}

static void f_count(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *begin = s;
	regmatch_t m[GROUPS];
	int64_t found = 0;
	bool all;
	regex_t *re = ready(c, n, v, 2, &all);

	if (!re)
		return;
	while (next(re, s, begin, m)) {
		found++;
		s += m[0].rm_eo;
		if (m[0].rm_eo == m[0].rm_so && !*s++)
			break;
	}
	sqlite3_result_int64(c, found);
}

static void f_like(ctx *c, int n, val **v)
{
	bool all;
	regex_t *re = ready(c, n, v, 2, &all);

	if (re)
		sqlite3_result_int(c, !regexec(re, text_of(v[0]), 0, NULL, 0));
}

/* What matches; or of that its first group. */
static void f_substr(ctx *c, int n, val **v)
{
	regmatch_t m[GROUPS];
	bool all;
	regex_t *re = ready(c, n, v, 2, &all);
	int g;

	if (!re || regexec(re, text_of(v[0]), GROUPS, m, 0))
		return;
	g = re->re_nsub > 0;
	if (m[g].rm_so >= 0)
		sqlite3_result_text(c, text_of(v[0]) + m[g].rm_so, (int)(m[g].rm_eo - m[g].rm_so), SQLITE_TRANSIENT);
}

static void f_groups(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]);
	regmatch_t m[GROUPS];
	struct buf b;
	bool all;
	regex_t *re = ready(c, n, v, 2, &all);
	size_t g;

	if (!re || regexec(re, s, GROUPS, m, 0))
		return;
	buf_init(&b, 1 << 30);
	buf_ch(&b, '{');
	for (g = re->re_nsub > 0; g <= re->re_nsub && g < GROUPS; g++) {
		if (m[g].rm_so >= 0)
			array_text(&b, s + m[g].rm_so, (size_t)(m[g].rm_eo - m[g].rm_so), b.len == 1);
		else
			buf_str(&b, b.len > 1 ? ",NULL" : "NULL");
	}
	result_array(c, &b);
}

static void f_split(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *begin = s;
	regmatch_t m[GROUPS];
	struct buf b;
	bool all;
	regex_t *re = ready(c, n, v, 2, &all);

	if (!re)
		return;
	buf_init(&b, 1 << 30);
	buf_ch(&b, '{');
	while (next(re, s, begin, m)) {
		if (m[0].rm_eo == m[0].rm_so) {
			if (!s[0] || !s[1])
				break;
			array_text(&b, s, 1, b.len == 1);
			s++;
			continue;
		}
		array_text(&b, s, (size_t)m[0].rm_so, b.len == 1);
		s += m[0].rm_eo;
	}
	array_text(&b, s, strlen(s), b.len == 1);
	result_array(c, &b);
}

const struct func funcs_regex[] = {
	{ "regexp", 2, PURE, f_regexp }, { "match", 2, PURE, f_match }, { "regexp_replace", 3, PURE, f_replace },
	{ "regexp_replace", 4, PURE, f_replace }, { "regexp_count", 2, PURE, f_count }, { "regexp_like", 2, PURE, f_like },
	{ "regexp_like", 3, PURE, f_like }, { "regexp_substr", 2, PURE, f_substr }, { "regexp_match", 2, PURE, f_groups },
	{ "regexp_match", 3, PURE, f_groups }, { "regexp_split_to_array", 2, PURE, f_split },
	{ "regexp_split_to_array", 3, PURE, f_split },
	{ 0 }
};
