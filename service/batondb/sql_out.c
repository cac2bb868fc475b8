// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a statement becomes: pieces of text, in order, each with its place in the
 * source. A cast is written behind its operand, so the pieces of that are looked
 * for backwards.
 */
#include "sql_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void out_stop(struct out *o, const char *code, const struct lex_tok *at, const char *what)
{
	if (!o->failed)
		sql_fail(o->e, code, at, "%s", what);
	o->failed = true;
}

struct piece *out_put_at(struct out *o, unsigned i, enum lex_kind kind, const char *s, size_t n, size_t src)
{
	struct piece *p;

	if (o->failed)
		return NULL;
	if (o->n == o->cap) {
		o->cap = o->cap ? 2 * o->cap : 64;
		p = realloc(o->p, o->cap * sizeof(*p));
		if (!p) {
			out_stop(o, "53200", NULL, "out of memory");
			return NULL;
		}
		o->p = p;
	}
	p = o->p + i;
	memmove(p + 1, p, (o->n - i) * sizeof(*p));
	o->n++;
	*p = (struct piece){ s, n, src, kind, false };
	return p;
}

void out_put(struct out *o, enum lex_kind kind, const char *s, size_t n, const struct lex_tok *src)
{
	out_put_at(o, o->n, kind, s, n, src->at);
}

void out_op(struct out *o, const char *s, const struct lex_tok *src)
{
	out_put(o, LEX_OP, s, strlen(s), src);
}

void out_id(struct out *o, const char *s, const struct lex_tok *src)
{
	out_put(o, LEX_ID, s, strlen(s), src);
}

void out_own(struct out *o, enum lex_kind kind, struct buf *b, const struct lex_tok *src)
{
	struct piece *p = b->failed ? NULL : out_put_at(o, o->n, kind, b->p, b->len, src->at);

	if (p)
		p->own = true;
	else
		buf_free(b);
}

void out_string(struct out *o, const struct lex_tok *t, const struct lex_tok *src)
{
	struct buf b;

	buf_init(&b, 1 << 30);
	buf_sql_str(&b, t->s, t->n);
	out_own(o, LEX_STRING, &b, src);
}

bool piece_is(const struct piece *p, const char *s)
{
	return (p->kind == LEX_OP || p->kind == LEX_ID) && p->n == strlen(s) && !memcmp(p->s, s, p->n);
}

/* Words that cannot be a function's name before a parenthesis. */
static bool reserved(const struct piece *p)
{
	static const char *const words[] = {
		"and", "or", "not", "in", "select", "from", "where", "on", "when", "then", "else", "case", "as",
		"values", "is", "like", "between", "having", "by", "set", "returning", "limit", "exists", "union",
		"all", "any", "using", "join", "return", "offset", "match", "regexp", "glob", "distinct",
	};
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (piece_is(p, words[i]))
			return true;
	return false;
}

/* Where the operand begins that ends with the last piece. */
unsigned out_operand(const struct out *o)
{
	unsigned i = o->n - 1;
	int depth = 0;

	if (!o->n)
		return 0;
	if (piece_is(&o->p[i], ")") || piece_is(&o->p[i], "]")) {
		for (;; i--) {
			if (piece_is(&o->p[i], ")") || piece_is(&o->p[i], "]"))
				depth++;
			else if ((piece_is(&o->p[i], "(") || piece_is(&o->p[i], "[")) && !--depth)
				break;
			if (!i)
				return 0;
		}
		if (!i || (o->p[i - 1].kind != LEX_ID && o->p[i - 1].kind != LEX_QUOTED) || reserved(&o->p[i - 1]))
			return i;
		i--;
	} else if (piece_is(&o->p[i], "end")) {
		for (;; i--) {
			if (piece_is(&o->p[i], "end"))
				depth++;
			else if (piece_is(&o->p[i], "case") && !--depth)
				break;
			if (!i)
				return 0;
		}
		return i;
	}
	while (i >= 2 && piece_is(&o->p[i - 1], ".") && (o->p[i].kind == LEX_ID || o->p[i].kind == LEX_QUOTED))
		i -= 2;
	return i;
}

/* The operand that ends with the last piece, as it was written before t; NULL: there is none. */
const struct lex_tok *out_left_of(const struct out *o, const struct lex_tok *t, unsigned *begin)
{
	const struct piece *last = o->n ? &o->p[o->n - 1] : NULL;

	if (!last || (last->kind == LEX_OP && !piece_is(last, ")") && !piece_is(last, "]")) || reserved(last))
		return NULL;
	*begin = out_operand(o);
	while (!o->alone && t > o->first && t[-1].at >= o->p[*begin].src)
		t--;
	return t;
}

struct coltype out_type_at(const struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	static const struct sql none;

	return sql_type(o->sql ? o->sql : &none, t, end);
}

/* The function that makes a value of this type; NULL: none is needed. */
static const char *cast_of(struct coltype t)
{
	switch (t.oid) {
	case T_INT2: return "baton_int2";
	case T_INT4: return "baton_int4";
	case T_INT8: return "baton_int8";
	case T_OID: case T_XID: return "baton_oid";
	case T_FLOAT4: case T_FLOAT8: return "baton_float";
	case T_NUMERIC: return "baton_numeric";
	case T_BOOL: return "baton_bool";
	case T_DATE: return "baton_date";
	case T_TIME: return "baton_time";
	case T_TIMESTAMP: return "baton_timestamp";
	case T_TIMESTAMPTZ: return "baton_timestamptz";
	case T_INTERVAL: return "baton_interval";
	case T_BYTEA: return "baton_bytea";
	case T_UUID: return "baton_uuid";
	case T_JSON: case T_JSONB: return "baton_json";
	case T_REGCLASS: return "baton_regclass";
	case T_REGTYPE: return "baton_regtype";
	case T_REGNAMESPACE: case T_REGROLE: case T_REGPROC: return "baton_reg";
	default: return "baton_text";
	}
}

static bool whole_number(uint32_t oid)
{
	return oid == T_INT2 || oid == T_INT4 || oid == T_INT8;
}

void out_call(struct out *o, unsigned begin, const char *f, const struct lex_tok *src)
{
	out_put_at(o, begin, LEX_OP, "(", 1, src->at);
	out_put_at(o, begin, LEX_ID, f, strlen(f), src->at);
}

/* The last operand, which is a from, as a value of this type. */
void out_cast_from(struct out *o, unsigned begin, struct coltype from, struct coltype t, const struct lex_tok *src)
{
	const char *f = cast_of(t);
	struct buf b;

	/* 2.5 is 3, though as a float8 it is 2. */
	if ((from.oid == T_FLOAT8 || from.oid == T_FLOAT4 || from.oid == T_NUMERIC) && whole_number(t.oid)) {
		out_call(o, begin, from.oid == T_NUMERIC ? "round" : "baton_rint", src);
		out_op(o, ")", src);
	}
	if (from.oid == T_BOOL && (t.oid == T_TEXT || t.oid == T_VARCHAR)) {
		out_call(o, begin, "baton_bool_text", src);
		out_op(o, ")", src);
	}
	if (from.oid == T_NUMERIC && from.mod >= 4 && (t.oid == T_TEXT || t.oid == T_VARCHAR)) {
		out_call(o, begin, "baton_numeric_text", src);
		buf_init(&b, 100);
		buf_fmt(&b, ", %d)", from.mod);
		out_own(o, LEX_OP, &b, src);
	}
	out_call(o, begin, f, src);
	if (t.mod >= 4 && (t.oid == T_BPCHAR || t.oid == T_VARCHAR || t.oid == T_NUMERIC)) {
		buf_init(&b, 100);
		buf_fmt(&b, ", %d", t.mod - 4);
		out_own(o, LEX_OP, &b, src);
	} else if (t.oid == T_CHAR) {
		out_op(o, ", 1", src);
	}
	out_op(o, ")", src);
	/* What $1::int4 says about the parameter. */
	if (o->n >= 4 && o->n - begin >= 4 && o->p[begin + 2].kind == LEX_PARAM && piece_is(&o->p[begin + 3], ")")) {
		unsigned k = (unsigned)atoi(o->p[begin + 2].s + 1);

		if (o->sql && k && k <= o->sql->n_params && !o->sql->params[k - 1].oid)
			o->sql->params[k - 1] = t;
	}
}

void out_cast(struct out *o, unsigned begin, struct coltype t, const struct lex_tok *src)
{
	out_cast_from(o, begin, (struct coltype){ 0, -1 }, t, src);
}

bool out_finish(struct out *o, struct buf *to, struct sql *s)
{
	unsigned i;

	if (s && !o->failed) {
		s->map = calloc(o->n + 1, sizeof(*s->map));
		if (!s->map)
			out_stop(o, "53200", NULL, "out of memory");
	}
	for (i = 0; i < o->n; i++) {
		struct piece *p = &o->p[i];

		if (i && !piece_is(p, ".") && !piece_is(&o->p[i - 1], "."))
			buf_ch(to, ' ');
		if (s && s->map)
			s->map[s->n_map++] = (struct sql_map){ (unsigned)to->len, (unsigned)p->src };
		buf_add(to, p->s, p->n);
		if (p->own)
			free((char *)p->s);
	}
	free(o->p);
	if (to->failed)
		out_stop(o, "54000", NULL, "the statement is too long");
	return !o->failed;
}
