// SPDX-License-Identifier: GPL-2.0-or-later
#include "lex.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct scan {
	const char *s, *p, *end;
	struct lex *l;
	unsigned cap;
	char *to;
};

static bool is_id_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_id(char c)
{
	return is_id_start(c) || is_digit(c) || c == '$';
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_op(char c)
{
	return c && strchr("+-*/<>=~!@#%^&|`?", c);
}

int lex_hex(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool fail(struct scan *c, const char *why, const char *at)
{
	c->l->error = why;
	c->l->code = "42601";
	c->l->error_at = at - c->s;
	return false;
}

static bool add(struct scan *c, enum lex_kind kind, const char *s, size_t n, const char *from)
{
	struct lex *l = c->l;
	struct lex_tok *t;

	if (l->n + 1 >= c->cap) {
		c->cap = c->cap ? 2 * c->cap : 64;
		t = realloc(l->tok, c->cap * sizeof(*t));
		if (!t)
			return fail(c, "out of memory", from);
		l->tok = t;
	}
	/* Of one character in the source there are two here: its NUL, too. */
	if (s >= c->s && s < c->end) {
		memcpy(c->to, s, n);
		s = c->to;
		c->to += n;
		*c->to++ = 0;
	}
	l->tok[l->n++] = (struct lex_tok){ kind, s, n, from - c->s, c->p - c->s };
	return true;
}

/* White space and comments. */
static bool skip(struct scan *c)
{
	const char *from;
	int depth;

	for (;;) {
		while (c->p < c->end && is_space(*c->p))
			c->p++;
		if (c->end - c->p < 2)
			return true;
		if (c->p[0] == '-' && c->p[1] == '-') {
			while (c->p < c->end && *c->p != '\n')
				c->p++;
			continue;
		}
		if (c->p[0] != '/' || c->p[1] != '*')
			return true;
		from = c->p;
		depth = 0;
		do {
			if (c->end - c->p < 2)
				return fail(c, "unterminated /* comment", from);
			if (c->p[0] == '/' && c->p[1] == '*') {
				depth++;
				c->p += 2;
			} else if (c->p[0] == '*' && c->p[1] == '/') {
				depth--;
				c->p += 2;
			} else {
				c->p++;
			}
		} while (depth);
	}
}

static void put_utf8(struct scan *c, uint32_t u)
{
	if (u < 0x80) {
		*c->to++ = (char)u;
	} else if (u < 0x800) {
		*c->to++ = (char)(0xc0 | u >> 6);
		*c->to++ = (char)(0x80 | (u & 63));
	} else if (u < 0x10000) {
		*c->to++ = (char)(0xe0 | u >> 12);
		*c->to++ = (char)(0x80 | (u >> 6 & 63));
		*c->to++ = (char)(0x80 | (u & 63));
	} else {
		*c->to++ = (char)(0xf0 | u >> 18);
		*c->to++ = (char)(0x80 | (u >> 12 & 63));
		*c->to++ = (char)(0x80 | (u >> 6 & 63));
		*c->to++ = (char)(0x80 | (u & 63));
	}
}

/* Behind a backslash in E'...'. What it stands for is never longer than it. */
static bool escape(struct scan *c)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *at = c->p - 1, *f;
	char e = c->p < c->end ? *c->p++ : 0;
	uint32_t v = 0;
	int i, n;

	f = e ? strchr(from, e) : NULL;
	if (f) {
		*c->to++ = to[f - from];
		return true;
	}
	if (e == 'x' || (e >= '0' && e <= '7')) {
		if (e != 'x')
			c->p--;
		for (i = 0; i < (e == 'x' ? 2 : 3) && c->p < c->end; i++, c->p++) {
			n = lex_hex(*c->p);
			if (n < 0 || (e != 'x' && n > 7))
				break;
			v = v * (e == 'x' ? 16 : 8) + n;
		}
		if (!i || !(v & 255))
			return fail(c, "invalid byte in string", at);
		*c->to++ = (char)v;
		return true;
	}
	if (e == 'u' || e == 'U') {
		n = e == 'u' ? 4 : 8;
		for (i = 0; i < n; i++) {
			if (c->p == c->end || lex_hex(*c->p) < 0)
				return fail(c, "invalid Unicode escape", at);
			v = v << 4 | lex_hex(*c->p++);
		}
		if (!v || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
			return fail(c, "invalid Unicode escape value", at);
		put_utf8(c, v);
		return true;
	}
	*c->to++ = e;
	return true;
}

/* c->p is behind the opening quote. Strings in a row on lines of their own are one. */
static bool quoted(struct scan *c, char q, bool escapes, enum lex_kind kind, const char *from)
{
	char *begin = c->to;

	for (;;) {
		if (c->p == c->end)
			return fail(c, q == '"' ? "unterminated quoted identifier" : "unterminated quoted string", from);
		if (*c->p == q) {
			const char *next = c->p + 1;

			if (next < c->end && *next == q) {
				*c->to++ = q;
				c->p += 2;
				continue;
			}
			c->p++;
			if (q == '"')
				break;
			while (next < c->end && is_space(*next))
				next++;
			if (next < c->end && *next == q && memchr(c->p, '\n', next - c->p)) {
				c->p = next + 1;
				continue;
			}
			break;
		}
		if (escapes && *c->p == '\\') {
			c->p++;
			if (!escape(c))
				return false;
			continue;
		}
		*c->to++ = *c->p++;
	}
	if (q == '"' && c->to == begin)
		return fail(c, "zero-length delimited identifier", from);
	*c->to++ = 0;
	return add(c, kind, begin, c->to - 1 - begin, from);
}

/* $tag$ ... $tag$; c->p is on the first $. Not one: returns with p unmoved. */
static bool dollar(struct scan *c, bool *was)
{
	const char *from = c->p, *tag = c->p + 1, *body;
	size_t n;

	*was = false;
	while (tag < c->end && (is_id_start(*tag) || (is_digit(*tag) && tag > from + 1)))
		tag++;
	if (tag == c->end || *tag != '$')
		return true;
	n = tag + 1 - from;
	body = tag + 1;
	*was = true;
	for (c->p = body; (size_t)(c->end - c->p) >= n; c->p++) {
		char *begin = c->to;

		if (memcmp(c->p, from, n))
			continue;
		memcpy(c->to, body, c->p - body);
		c->to += c->p - body;
		*c->to++ = 0;
		c->p += n;
		return add(c, LEX_STRING, begin, c->to - 1 - begin, from);
	}
	return fail(c, "unterminated dollar-quoted string", from);
}

static bool number(struct scan *c)
{
	const char *from = c->p, *e;
	enum lex_kind kind = LEX_INT;

	while (c->p < c->end && is_digit(*c->p))
		c->p++;
	if (c->p < c->end && *c->p == '.' && !(c->p + 1 < c->end && c->p[1] == '.')) {
		kind = LEX_NUMBER;
		for (c->p++; c->p < c->end && is_digit(*c->p);)
			c->p++;
	}
	if (c->p < c->end && (*c->p | 32) == 'e') {
		e = c->p + 1;
		if (e < c->end && (*e == '+' || *e == '-'))
			e++;
		if (e < c->end && is_digit(*e)) {
			kind = LEX_NUMBER;
			for (c->p = e; c->p < c->end && is_digit(*c->p);)
				c->p++;
		}
	}
	if (c->p < c->end && is_id_start(*c->p))
		return fail(c, "trailing junk after numeric literal", from);
	return add(c, kind, from, c->p - from, from);
}

/* The longest operator here, by PostgreSQL's rules. */
static size_t operator_length(const struct scan *c)
{
	size_t n = 0, i;

	while (c->p + n < c->end && is_op(c->p[n])) {
		if (n && c->p + n + 1 < c->end &&
		    ((c->p[n] == '-' && c->p[n + 1] == '-') || (c->p[n] == '/' && c->p[n + 1] == '*')))
			break;
		n++;
	}
	/* It ends in + or - only with one of these in it. */
	while (n > 1 && (c->p[n - 1] == '+' || c->p[n - 1] == '-')) {
		for (i = 0; i < n; i++)
			if (strchr("~!@#%^&|`?", c->p[i]))
				return n;
		n--;
	}
	return n;
}

static bool next(struct scan *c)
{
	const char *from = c->p;
	char ch = *c->p;
	bool was;
	size_t n;

	if ((ch == 'E' || ch == 'e') && c->p + 1 < c->end && c->p[1] == '\'') {
		c->p += 2;
		return quoted(c, '\'', true, LEX_STRING, from);
	}
	if ((ch == 'X' || ch == 'x') && c->p + 1 < c->end && c->p[1] == '\'') {
		c->p += 2;
		return quoted(c, '\'', false, LEX_BYTES, from);
	}
	if (is_id_start(ch)) {
		char *begin = c->to;

		while (c->p < c->end && is_id(*c->p)) {
			ch = *c->p++;
			*c->to++ = ch >= 'A' && ch <= 'Z' ? ch | 32 : ch;
		}
		*c->to++ = 0;
		return add(c, LEX_ID, begin, c->to - 1 - begin, from);
	}
	if (ch == '\'' || ch == '"') {
		c->p++;
		return quoted(c, ch, false, ch == '"' ? LEX_QUOTED : LEX_STRING, from);
	}
	if (is_digit(ch) || (ch == '.' && c->p + 1 < c->end && is_digit(c->p[1])))
		return number(c);
	if (ch == '$') {
		if (c->p + 1 < c->end && is_digit(c->p[1])) {
			for (c->p++; c->p < c->end && is_digit(*c->p);)
				c->p++;
			return add(c, LEX_PARAM, from + 1, c->p - from - 1, from);
		}
		if (!dollar(c, &was))
			return false;
		if (was)
			return true;
		return fail(c, "syntax error at or near \"$\"", from);
	}
	if (ch == ':' && c->p + 1 < c->end && (c->p[1] == ':' || c->p[1] == '=')) {
		c->p += 2;
		return add(c, LEX_OP, from, 2, from);
	}
	if (strchr("()[],;.:", ch)) {
		c->p++;
		return add(c, LEX_OP, from, 1, from);
	}
	n = operator_length(c);
	if (!n)
		return fail(c, "syntax error: a character that begins nothing", from);
	c->p += n;
	return add(c, LEX_OP, from, n, from);
}

/* What is open, and in a row, behind this token. */
struct load {
	unsigned depth, ops;
};

static const char *too_much(struct load *l, const struct lex_tok *t)
{
	if (lex_is(t, "(") || lex_is(t, "[") || lex_is(t, "case"))
		l->depth++;
	else if (l->depth && (lex_is(t, ")") || lex_is(t, "]") || lex_is(t, "end")))
		l->depth--;
	if (t->kind == LEX_OP)
		l->ops = strchr("()[],;", *t->s) ? 0 : l->ops + (*t->s == '.' ? 0 : lex_is(t, "::") ? 8 : 1);
	return l->depth > LEX_DEPTH ? "statement too complex: too many parentheses, brackets and CASEs in each other" :
	       l->ops > LEX_OPERATORS ? "statement too complex: too many operators in a row" : NULL;
}

bool lex(struct lex *l, const char *sql, size_t n)
{
	struct scan c = { .s = sql, .p = sql, .end = sql + n, .l = l };
	struct load load = { 0 };
	const char *why;
	int i;

	memset(l, 0, sizeof(*l));
	/* A token's text is never longer than its source, and one NUL more. */
	l->text = malloc(2 * n + 2);
	if (!l->text)
		return fail(&c, "out of memory", sql);
	c.to = l->text;
	if (memchr(sql, 0, n))
		return fail(&c, "a NUL byte in the statement", sql);
	for (;;) {
		if (!skip(&c))
			return false;
		if (c.p == c.end)
			break;
		if (!next(&c))
			return false;
		why = l->n ? too_much(&load, &l->tok[l->n - 1]) : NULL;
		if (why) {
			fail(&c, why, sql + l->tok[l->n - 1].at);
			l->code = "54001";
			return false;
		}
	}
	/* Some more ends, for whoever looks a few tokens ahead. */
	for (i = 0; i < LEX_AHEAD; i++)
		if (!add(&c, LEX_END, "", 0, c.end))
			return false;
	l->n -= LEX_AHEAD;
	return true;
}

void lex_free(struct lex *l)
{
	free(l->tok);
	free(l->text);
	memset(l, 0, sizeof(*l));
}

bool lex_is(const struct lex_tok *t, const char *word)
{
	return (t->kind == LEX_ID || t->kind == LEX_OP) && t->n == strlen(word) && !memcmp(t->s, word, t->n);
}

unsigned lex_are(const struct lex_tok *t, const char *words)
{
	unsigned n = 0;

	while (*words) {
		size_t len = strcspn(words, " ");

		if ((t->kind != LEX_ID && t->kind != LEX_OP) || t->n != len || memcmp(t->s, words, len))
			return 0;
		n++;
		t++;
		words += len;
		words += *words == ' ';
	}
	return n;
}

const struct lex_tok *lex_close(const struct lex_tok *t)
{
	int depth = 0;

	if (!lex_is(t, "(") && !lex_is(t, "["))
		return t;
	for (; t->kind != LEX_END; t++) {
		if (lex_is(t, "(") || lex_is(t, "["))
			depth++;
		else if ((lex_is(t, ")") || lex_is(t, "]")) && !--depth)
			return t;
	}
	return t;
}
