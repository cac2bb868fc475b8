// SPDX-License-Identifier: GPL-2.0-or-later
#include "lex.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "mem.h"

struct scan {
	const char *s, *p, *end;
	char *to;
	struct lex *l;
	unsigned cap;
};

static bool is_id(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (c & 0x80) || c == '$';
}

static bool add_token(struct scan *c, enum lex_kind kind, const char *s, size_t n, const char *from)
{
	struct lex *l = c->l;
	struct lex_tok *t;

	if (l->n + 2 * LEX_AROUND + 1 >= c->cap) {
		c->cap = c->cap ? 2 * c->cap : 64;
		t = c->cap < INT32_MAX / sizeof(*t) ? mem_realloc(l->all, (int)(c->cap * sizeof(*t))) : NULL;
		if (!t)
			return false;
		l->all = t;
	}
	l->all[LEX_AROUND + l->n++] = (struct lex_tok){ kind, s, n, from - c->s, c->p - c->s };
	return true;
}

/* The text from here to c->p, as it stands or in lower case. */
static bool add_as_is(struct scan *c, enum lex_kind kind, const char *from)
{
	char *begin = c->to;
	const char *p;

	for (p = from; p < c->p; p++)
		*c->to++ = kind == LEX_ID && *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p;
	*c->to++ = 0;
	return add_token(c, kind, begin, c->to - 1 - begin, from);
}

static void skip_space(struct scan *c)
{
	const char *p;

	for (;; c->p = p) {
		for (p = c->p; p < c->end && isspace((unsigned char)*p); p++)
			;
		c->p = p;
		if (c->end - p < 2 || (memcmp(p, "--", 2) && memcmp(p, "/*", 2)))
			return;
		p = *p == '-' ? memchr(p, '\n', c->end - p) : memmem(p + 2, c->end - p - 2, "*/", 2);
		p = !p ? c->end : *p == '*' ? p + 2 : p;
	}
}

/* c->p is behind the opening quote. A quote that is not closed goes to the end, where SQLite says so. */
static bool add_quoted(struct scan *c, char quote, enum lex_kind kind, const char *from)
{
	char *begin = c->to;

	while (c->p < c->end) {
		if (*c->p == quote) {
			c->p++;
			if (c->p == c->end || *c->p != quote || quote == ']')
				break;
		}
		*c->to++ = *c->p++;
	}
	*c->to++ = 0;
	return add_token(c, kind, begin, c->to - 1 - begin, from);
}

static bool add_number(struct scan *c)
{
	const char *from = c->p, *e;
	enum lex_kind kind = LEX_INT;
	bool hex = c->end - c->p > 2 && c->p[0] == '0' && (c->p[1] | 32) == 'x';

	while (c->p < c->end && (hex ? is_id(*c->p) : isdigit((unsigned char)*c->p) || (*c->p == '.' && kind == LEX_INT)))
		kind = *c->p++ == '.' ? LEX_NUMBER : kind;
	if (!hex && c->p < c->end && (*c->p | 32) == 'e') {
		e = c->p + 1;
		e += e < c->end && (*e == '+' || *e == '-');
		for (; e < c->end && isdigit((unsigned char)*e); e++) {
			kind = LEX_NUMBER;
			c->p = e + 1;
		}
	}
	return add_as_is(c, kind, from);
}

static bool next_token(struct scan *c)
{
	static const char *const two[] = { "||", "<=", ">=", "<>", "!=", "==", "<<", ">>", "->" };
	const char *from = c->p;
	char ch = *c->p++;
	unsigned i;

	if (ch == '\'')
		return add_quoted(c, '\'', LEX_STRING, from);
	if (ch == '"' || ch == '`' || ch == '[')
		return add_quoted(c, ch == '[' ? ']' : ch, LEX_QUOTED, from);
	if ((ch | 32) == 'x' && c->p < c->end && *c->p == '\'') {
		c->p++;
		return add_quoted(c, '\'', LEX_BLOB, from);
	}
	if (isdigit((unsigned char)ch) || (ch == '.' && c->p < c->end && isdigit((unsigned char)*c->p))) {
		c->p--;
		return add_number(c);
	}
	if (ch == '?' || (strchr("$@:#", ch) && c->p < c->end && is_id(*c->p))) {
		/* SQLite has ::, as in Tcl, in a name that begins so. */
		while (c->p < c->end && (is_id(*c->p) || (ch == '$' && c->end - c->p > 2 && c->p[0] == ':' && c->p[1] == ':')))
			c->p += *c->p == ':' ? 2 : 1;
		return add_as_is(c, LEX_PARAM, from);
	}
	if (is_id(ch) && ch != '$') {
		while (c->p < c->end && is_id(*c->p))
			c->p++;
		return add_as_is(c, LEX_ID, from);
	}
	for (i = 0; i < sizeof(two) / sizeof(*two) && c->p < c->end; i++)
		if (ch == two[i][0] && *c->p == two[i][1]) {
			c->p++;
			break;
		}
	return add_as_is(c, LEX_OP, from);
}

bool lex(struct lex *l, const char *sql, size_t n)
{
	struct scan c = { .s = sql, .p = sql, .end = sql + n, .l = l };
	unsigned i;

	memset(l, 0, sizeof(*l));
	/* A character in the source is two here at most: its NUL, too. */
	l->text = n < INT32_MAX / 4 ? mem_alloc((int)(2 * n + 16)) : NULL;
	if (!l->text)
		return false;
	c.to = l->text;
	for (skip_space(&c); c.p < c.end; skip_space(&c))
		if (!next_token(&c))
			return false;
	if (!l->all) {
		l->all = mem_alloc((2 * LEX_AROUND + 1) * sizeof(*l->all));
		if (!l->all)
			return false;
	}
	for (i = 0; i < LEX_AROUND; i++) {
		l->all[i] = (struct lex_tok){ LEX_END, "", 0, 0, 0 };
		l->all[LEX_AROUND + l->n + i] = (struct lex_tok){ LEX_END, "", 0, n, n };
	}
	l->tok = l->all + LEX_AROUND;
	return true;
}

void lex_free(struct lex *l)
{
	mem_free(l->all);
	mem_free(l->text);
	memset(l, 0, sizeof(*l));
}

bool lex_is(const struct lex_tok *t, const char *word)
{
	return (t->kind == LEX_ID || t->kind == LEX_OP) && !strcmp(t->s, word);
}

unsigned lex_are(const struct lex_tok *t, const char *words)
{
	const struct lex_tok *from = t;
	size_t n;

	for (; *words; t++) {
		n = strcspn(words, " ");
		if ((t->kind != LEX_ID && t->kind != LEX_OP) || t->n != n || memcmp(t->s, words, n))
			return 0;
		words += n;
		words += *words == ' ';
	}
	return (unsigned)(t - from);
}

bool lex_name(const struct lex_tok *t)
{
	return t->kind == LEX_ID || t->kind == LEX_QUOTED;
}

const struct lex_tok *lex_statement(const struct lex_tok *t)
{
	while (t->kind != LEX_END && !lex_is(t, ";"))
		t++;
	return t;
}

const struct lex_tok *lex_close(const struct lex_tok *t)
{
	unsigned depth = 0;

	for (; t->kind != LEX_END; t++) {
		depth += lex_is(t, "(");
		if (lex_is(t, ")") && !--depth)
			break;
	}
	return t;
}
