// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rewriting. Tokens become pieces of text, in order; a cast is written
 * behind its operand, so the pieces of the operand are looked for backwards.
 */
#include "sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct piece {
	const char *s;		/* of the tokens, constant, or own */
	size_t n, src;
	enum lex_kind kind;
	bool own;
};

struct out {
	const struct lex_tok *first;
	struct piece *p;
	unsigned n, cap;
	struct sql *sql;
	struct sql_error *e;
	bool failed;
	bool alone;		/* the token at hand stands in no statement: OPERATOR(x) */
};

bool sql_fail(struct sql_error *e, const char *code, const struct lex_tok *at, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	e->at = at ? at->at : SIZE_MAX;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return false;
}

bool sql_syntax(struct sql_error *e, const struct lex_tok *at, const struct lex *l)
{
	if (at->kind == LEX_END)
		return sql_fail(e, "42601", at, "syntax error at end of input");
	return sql_fail(e, "42601", at, "syntax error at or near \"%.*s\"", (int)(at->n < 80 ? at->n : 80), at->s);
}

static void stop(struct out *o, const char *code, const struct lex_tok *at, const char *what)
{
	if (!o->failed)
		sql_fail(o->e, code, at, "%s", what);
	o->failed = true;
}

static struct piece *put_at(struct out *o, unsigned i, enum lex_kind kind, const char *s, size_t n, size_t src)
{
	struct piece *p;

	if (o->failed)
		return NULL;
	if (o->n == o->cap) {
		o->cap = o->cap ? 2 * o->cap : 64;
		p = realloc(o->p, o->cap * sizeof(*p));
		if (!p) {
			stop(o, "53200", NULL, "out of memory");
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

static void put(struct out *o, enum lex_kind kind, const char *s, size_t n, const struct lex_tok *src)
{
	put_at(o, o->n, kind, s, n, src->at);
}

static void put_op(struct out *o, const char *s, const struct lex_tok *src)
{
	put(o, LEX_OP, s, strlen(s), src);
}

static void put_id(struct out *o, const char *s, const struct lex_tok *src)
{
	put(o, LEX_ID, s, strlen(s), src);
}

static void put_own(struct out *o, enum lex_kind kind, struct buf *b, const struct lex_tok *src)
{
	struct piece *p = b->failed ? NULL : put_at(o, o->n, kind, b->p, b->len, src->at);

	if (p)
		p->own = true;
	else
		buf_free(b);
}

static void put_string(struct out *o, const struct lex_tok *t, const struct lex_tok *src)
{
	struct buf b;

	buf_init(&b, 1 << 30);
	buf_sql_str(&b, t->s, t->n);
	put_own(o, LEX_STRING, &b, src);
}

static bool piece_is(const struct piece *p, const char *s)
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
static unsigned operand(const struct out *o)
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

/* The last operand, which is a from, as a value of this type. */
static void cast_from(struct out *o, unsigned begin, struct coltype from, struct coltype t, const struct lex_tok *src)
{
	const char *f = cast_of(t);
	struct buf b;

	/* 2.5 is 3, though as a float8 it is 2. */
	if (from.oid == T_NUMERIC && whole_number(t.oid)) {
		put_at(o, begin, LEX_OP, "(", 1, src->at);
		put_at(o, begin, LEX_ID, "round", 5, src->at);
		put_op(o, ")", src);
	}
	if (from.oid == T_BOOL && (t.oid == T_TEXT || t.oid == T_VARCHAR)) {
		put_at(o, begin, LEX_OP, "(", 1, src->at);
		put_at(o, begin, LEX_ID, "baton_bool_text", 15, src->at);
		put_op(o, ")", src);
	}

	put_at(o, begin, LEX_OP, "(", 1, src->at);
	put_at(o, begin, LEX_ID, f, strlen(f), src->at);
	if (t.mod >= 4 && (t.oid == T_BPCHAR || t.oid == T_VARCHAR || t.oid == T_NUMERIC)) {
		buf_init(&b, 100);
		buf_fmt(&b, ", %d", t.mod - 4);
		put_own(o, LEX_OP, &b, src);
	} else if (t.oid == T_CHAR) {
		put_op(o, ", 1", src);
	}
	put_op(o, ")", src);
	/* What $1::int4 says about the parameter. */
	if (o->n >= 4 && o->n - begin >= 4 && o->p[begin + 2].kind == LEX_PARAM && piece_is(&o->p[begin + 3], ")")) {
		unsigned k = (unsigned)atoi(o->p[begin + 2].s + 1);

		if (o->sql && k && k <= o->sql->n_params && !o->sql->params[k - 1].oid)
			o->sql->params[k - 1] = t;
	}
}

static void cast(struct out *o, unsigned begin, struct coltype t, const struct lex_tok *src)
{
	cast_from(o, begin, (struct coltype){ 0, -1 }, t, src);
}

static void range(struct out *o, const struct lex_tok *t, const struct lex_tok *end);

const struct lex_tok *sql_end(const struct lex_tok *t)
{
	while (t->kind != LEX_END && !lex_is(t, ";"))
		t++;
	return t;
}

const struct lex_tok *sql_comma(const struct lex_tok *t, const struct lex_tok *end)
{
	for (; t < end && !lex_is(t, ","); t++) {
		t = lex_close(t);
		if (t >= end)
			return end;
	}
	return t;
}

/* The first of these words outside of parentheses, or end. */
static const struct lex_tok *word_of(const struct lex_tok *t, const struct lex_tok *end, const char *const *words)
{
	unsigned i;

	for (; t < end; t++) {
		for (i = 0; words[i]; i++)
			if (lex_is(t, words[i]))
				return t;
		t = lex_close(t);
	}
	return end;
}

static const char *const order_ends[] = { "limit", "offset", "fetch", "for", "rows", "range", "groups", "union",
					  "intersect", "except", ")", ";", "on", "returning", "window", NULL };

/* NULLs are the largest in PostgreSQL and the smallest in SQLite. */
static const struct lex_tok *order_by(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	const struct lex_tok *stop_at = word_of(t, end, order_ends), *to, *p;

	while (t < stop_at) {
		bool desc = false, nulls = false;

		to = sql_comma(t, stop_at);
		for (p = t; p < to; p++) {
			if (lex_is(p, "nulls"))
				nulls = true;
			else if (lex_is(p, "desc"))
				desc = true;
			else if (lex_is(p, "using"))
				stop(o, "0A000", p, "ORDER BY ... USING is not supported");
			p = lex_close(p);
		}
		range(o, t, to);
		if (!nulls)
			put_id(o, desc ? "nulls first" : "nulls last", t);
		if (to < stop_at)
			put_op(o, ",", to);
		t = to + (to < stop_at);
	}
	return stop_at;
}

/* LIMIT, OFFSET, FETCH and FOR, in any order. */
static const struct lex_tok *limits(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	static const char *const ends[] = { "limit", "offset", "fetch", "for", "union", ")", ";", "row", "rows", NULL };
	const struct lex_tok *limit = NULL, *limit_end = NULL, *offset = NULL, *offset_end = NULL, *src = t;
	bool one = false;

	for (;;) {
		if (t < end && lex_is(t, "limit")) {
			limit = t + 1;
			t = limit_end = word_of(limit, end, ends);
			if (lex_is(limit, "all") || lex_is(limit, "null"))
				limit = NULL;
		} else if (t < end && lex_is(t, "offset")) {
			offset = t + 1;
			t = offset_end = word_of(offset, end, ends);
			if (t < end && (lex_is(t, "row") || lex_is(t, "rows")))
				t++;
		} else if (t < end && lex_is(t, "fetch")) {
			t += 2;
			if (t < end && (lex_is(t, "row") || lex_is(t, "rows"))) {
				one = true;
			} else if (t < end) {
				limit = t;
				t = limit_end = word_of(limit, end, ends);
			}
			t += 2;
			if (t > end)
				t = end;
		} else if (t < end && lex_is(t, "for")) {
			if (o->sql)
				o->sql->writes = true;
			for (t++; t < end && !lex_is(t, ")") && !lex_is(t, "limit") && !lex_is(t, "offset");)
				t++;
		} else {
			break;
		}
	}
	if (limit || one || offset) {
		put_id(o, "limit", src);
		if (limit)
			range(o, limit, limit_end);
		else
			put(o, LEX_INT, one ? "1" : "-1", one ? 1 : 2, src);
		if (offset) {
			put_id(o, "offset", src);
			range(o, offset, offset_end);
		}
	}
	return t;
}

/* f(a FROM b FOR c): f(a, b, c). */
static void with_words(struct out *o, const struct lex_tok *name, const char *f, const struct lex_tok *close,
		       const char *const *words)
{
	const struct lex_tok *t = name + 2, *to;

	put_id(o, f, name);
	put_op(o, "(", name);
	while (t < close) {
		to = word_of(t, close, words);
		range(o, t, to);
		if (to < close)
			put_op(o, ",", to);
		t = to + (to < close);
	}
	put_op(o, ")", close);
}

/* What an interval's number may count, behind it. */
static const char *const fields[] = { "year", "month", "day", "hour", "minute", "second", NULL };

/* The end of the operand of / or % that begins at t; t: that cannot be told. */
static const struct lex_tok *divisor_end(const struct lex_tok *t, const struct lex_tok *end)
{
	const struct lex_tok *p = t;
	struct coltype type;
	unsigned n, depth;
	bool serial;

	while (p < end && (lex_is(p, "-") || lex_is(p, "+")))
		p++;
	if (p >= end)
		return t;
	if (lex_is(p, "(")) {
		p = lex_close(p) + 1;
	} else if (lex_is(p, "case")) {
		for (depth = 0; p < end; p++) {
			depth += lex_is(p, "case");
			depth -= lex_is(p, "end");
			if (!depth)
				break;
		}
		p++;
	} else if (lex_name(p)) {
		while (lex_is(p + 1, ".") && lex_name(p + 2))
			p += 2;
		p++;
		if (p < end && lex_is(p, "("))
			p = lex_close(p) + 1;
		else if (p < end && p->kind == LEX_STRING)
			p += 1 + (p + 1 < end && word_of(p + 1, p + 2, fields) == p + 1);	/* a type's name before a literal */
	} else if (p->kind == LEX_PARAM || p->kind == LEX_INT || p->kind == LEX_NUMBER || p->kind == LEX_STRING) {
		p++;
	} else {
		return t;
	}
	while (p < end && lex_is(p, "::")) {
		n = type_parse(p + 1, &type, &serial);
		if (!n)
			return t;
		p += 1 + n;
	}
	/* Tighter than a division is only this. */
	if (p < end && lex_is(p, "^")) {
		const struct lex_tok *q = divisor_end(p + 1, end);

		return q == p + 1 ? t : q;
	}
	return p <= end ? p : t;
}

/* The operand that ends with the last piece, as it was written before t; NULL: there is none. */
static const struct lex_tok *left_of(const struct out *o, const struct lex_tok *t, unsigned *begin)
{
	const struct piece *last = o->n ? &o->p[o->n - 1] : NULL;

	if (!last || (last->kind == LEX_OP && !piece_is(last, ")") && !piece_is(last, "]")) || reserved(last))
		return NULL;
	*begin = operand(o);
	while (!o->alone && t > o->first && t[-1].at >= o->p[*begin].src)
		t--;
	return t;
}

static struct coltype type_at(const struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	static const struct sql none;

	return sql_type(o->sql ? o->sql : &none, t, end);
}

static bool factor(const struct lex_tok *t)
{
	return lex_is(t, "*") || lex_is(t, "/") || lex_is(t, "%");
}

static char letter(struct coltype t)
{
	switch (t.oid) {
	case T_DATE: return 'd';
	case T_TIMESTAMP: return 's';
	case T_TIMESTAMPTZ: return 'z';
	case T_TIME: return 't';
	case T_INTERVAL: return 'i';
	case T_INT2: case T_INT4: case T_INT8: case T_FLOAT4: case T_FLOAT8: case T_NUMERIC: return 'n';
	default: return '?';
	}
}

/* a OP b as f(a, b, how); how may be NULL. */
static const struct lex_tok *call(struct out *o, unsigned begin, const char *f, const char *how, const struct lex_tok *t,
				  const struct lex_tok *next)
{
	struct buf b;

	put_at(o, begin, LEX_OP, "(", 1, begin < o->n ? o->p[begin].src : t->at);
	put_at(o, begin, LEX_ID, f, strlen(f), begin < o->n ? o->p[begin].src : t->at);
	put_op(o, ",", t);
	range(o, t + 1, next);
	if (how) {
		buf_init(&b, 100);
		buf_fmt(&b, ", '%s'", how);
		put_own(o, LEX_OP, &b, t);
	}
	put_op(o, ")", next - 1);
	return next;
}

/* What SQLite calculates with numbers, and PostgreSQL with what stands there; NULL: the same. */
static const struct lex_tok *calculation(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	const struct lex_tok *left, *next = divisor_end(t + 1, end), *more;
	bool sum = lex_is(t, "+") || lex_is(t, "-");
	struct coltype a, b;
	unsigned begin = 0;
	char how[4];

	left = left_of(o, t, &begin);
	if (!left || next == t + 1)
		return NULL;
	if (lex_is(t, "^"))
		return call(o, begin, "power", NULL, t, next);
	if (lex_is(t, "#"))
		return call(o, begin, "baton_xor", NULL, t, next);
	/* Two of them: from the left. */
	if (begin && (piece_is(&o->p[begin - 1], "*") || piece_is(&o->p[begin - 1], "/") || piece_is(&o->p[begin - 1], "%")))
		return NULL;
	while (sum && next < end && factor(next)) {
		more = divisor_end(next + 1, end);
		if (more == next + 1)
			break;
		next = more;
	}
	a = type_at(o, left, t);
	b = type_at(o, t + 1, next);
	if (lex_is(t, "%"))
		return a.oid == T_NUMERIC || b.oid == T_NUMERIC ? call(o, begin, "baton_mod", NULL, t, next) : NULL;
	if (sum ? !strchr("dszti", letter(a)) && !strchr("dszti", letter(b)) : letter(a) != 'i' && letter(b) != 'i')
		return NULL;
	snprintf(how, sizeof(how), "%c%c%c", *t->s, letter(a), letter(b));
	return call(o, begin, "baton_calc", how, t, next);
}

/* A function in FROM: its result's column is called as its alias is, else as itself. */
static const struct lex_tok *table_function(struct out *o, const struct lex_tok *t, const struct lex_tok *close,
					    const struct lex_tok *end)
{
	static const char *const no_alias[] = {
		"where", "order", "group", "limit", "join", "cross", "left", "right", "inner", "full", "natural", "union", "on",
		"offset", "having", "returning", "with", NULL,
	};
	const struct lex_tok *w = close + 1, *col = t, *alias = t;

	if (w < end && lex_is(w, "as"))
		w++;
	if (w < end && lex_name(w) && word_of(w, w + 1, no_alias) != w) {
		alias = col = w++;
		if (w + 2 < end && lex_is(w, "(") && lex_name(w + 1) && lex_is(w + 2, ")")) {
			col = w + 1;
			w += 3;
		}
	} else {
		w = close + 1;
	}
	put_op(o, "(select value as", t);
	put(o, col->kind, col->s, col->n, col);
	if (lex_is(t, "generate_series")) {
		put_op(o, "from generate_series", t);
		range(o, t + 1, close + 1);
	} else {
		put_op(o, "from baton_unnest", t);
		if (!lex_is(t, "unnest"))
			put_op(o, lex_is(t, "string_to_table") ? "(string_to_array" : "(regexp_split_to_array", t);
		range(o, t + 1, close + 1);
		if (!lex_is(t, "unnest"))
			put_op(o, ")", t);
	}
	put_op(o, ") as", t);
	put(o, alias->kind, alias->s, alias->n, alias);
	return w;
}

/* The one call of generate_series() or unnest() in the SELECT list of a query without FROM; or NULL. */
static const struct lex_tok *lone_series(const struct lex_tok *t, const struct lex_tok *end, const struct lex_tok **to)
{
	static const char *const ends[] = { "from", "where", "group", "having", "order", "limit", "union", "except", "intersect",
					    "offset", "fetch", NULL };
	const struct lex_tok *p, *found = NULL;

	*to = word_of(t, end, ends);
	if (*to < end && lex_is(*to, "from"))
		return NULL;
	for (p = t; p < *to; p++) {
		if (lex_is(p, "select"))
			return NULL;
		if ((lex_is(p, "generate_series") || lex_is(p, "unnest")) && lex_is(p + 1, "(")) {
			if (found)
				return NULL;
			found = p;
			p = lex_close(p + 1);
		}
	}
	return found;
}

/* Functions with a syntax of their own; where t goes on, or NULL. */
static const struct lex_tok *special(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	static const char *const as[] = { "as", NULL }, *const from[] = { "from", NULL }, *const in[] = { "in", NULL },
			  *const from_for[] = { "from", "for", NULL };
	const struct lex_tok *close, *w;
	struct coltype type;
	struct buf text;
	unsigned begin;
	bool serial;

	if (t + 1 >= end || t->kind != LEX_ID)
		return NULL;
	if (lex_is(t, "array") && lex_is(t + 1, "[")) {
		close = lex_close(t + 1);
		put_id(o, "baton_array", t);
		put_op(o, "(", t);
		range(o, t + 2, close);
		put_op(o, ")", close);
		return close + 1;
	}
	if ((t[1].kind == LEX_STRING) && type_parse(t, &type, &serial) == 1) {
		begin = o->n;
		put_string(o, t + 1, t + 1);
		if (type.oid == T_INTERVAL && t + 2 < end && word_of(t + 2, t + 3, fields) == t + 2 && !lex_is(t + 3, "to")) {
			put_op(o, ",", t + 1);
			put_string(o, t + 2, t + 2);
			cast(o, begin, type, t);
			return t + 3;
		}
		cast(o, begin, type, t);
		return t + 2;
	}
	if (t + 3 < end && lex_are(t, "at time zone")) {
		w = divisor_end(t + 3, end);
		if (left_of(o, t, &begin) && w > t + 3)
			return call(o, begin, "baton_zone", NULL, t + 2, w);
	}
	if (!lex_is(t + 1, "("))
		return NULL;
	close = lex_close(t + 1);
	if (close >= end)
		return NULL;
	if (lex_is(t, "left") || lex_is(t, "right")) {
		put_id(o, lex_is(t, "left") ? "baton_left" : "baton_right", t);
		range(o, t + 1, close + 1);
		return close + 1;
	}
	if (lex_is(t, "cast")) {
		w = word_of(t + 2, close, as);
		if (w == close || !type_parse(w + 1, &type, &serial)) {
			stop(o, "42704", w, "CAST needs AS and a type that there is");
			return close + 1;
		}
		begin = o->n;
		range(o, t + 2, w);
		if (o->n > begin + 1) {
			put_at(o, begin, LEX_OP, "(", 1, t->at);
			put_op(o, ")", t);
		}
		cast_from(o, begin, type_at(o, t + 2, w), type, t);
		return close + 1;
	}
	if (lex_is(t, "extract") && (t[2].kind == LEX_ID || t[2].kind == LEX_STRING) && lex_is(t + 3, "from")) {
		put_id(o, "date_part", t);
		put_op(o, "(", t);
		put_string(o, t + 2, t + 2);
		put_op(o, ",", t);
		range(o, t + 4, close);
		put_op(o, ")", close);
		return close + 1;
	}
	if (lex_is(t, "string_agg") || lex_is(t, "array_agg")) {
		static const char *const order[] = { "order", NULL };
		const struct lex_tok *by = word_of(t + 2, close, order), *value = t + 2 + lex_is(t + 2, "distinct"), *key, *to, *last;

		if (by < close || (value > t + 2 && lex_is(t, "string_agg"))) {
			buf_init(&text, 1000);
			buf_fmt(&text, "'%c%c", *t->s, value > t + 2 ? 'u' : '-');
			if (by == close)
				buf_ch(&text, 'a');
			for (key = by + 2; key < close; key = to + 1) {
				to = sql_comma(key, close);
				last = to - 1;
				w = lex_is(last - 1, "nulls") ? last - 2 : last;
				buf_ch(&text, lex_is(w, "desc") ? (w < last && lex_is(last, "last") ? 'D' : 'd') :
					      (w < last && lex_is(last, "first") ? 'A' : 'a'));
			}
			buf_ch(&text, '\'');
			put_id(o, "baton_agg_by(", t);
			put_own(o, LEX_STRING, &text, t);
			put_op(o, ",", t);
			w = sql_comma(value, by);
			range(o, value, w);
			put_op(o, ",", t);
			if (w < by)
				range(o, w + 1, by);
			else
				put_id(o, "null", t);
			if (by == close) {
				put_op(o, ",", t);
				range(o, value, w);
			}
			for (key = by + 2; key < close; key = to + 1) {
				to = sql_comma(key, close);
				last = to - 2 * (to - 2 > key && lex_is(to - 2, "nulls"));
				last -= last - 1 > key && (lex_is(last - 1, "desc") || lex_is(last - 1, "asc"));
				put_op(o, ",", t);
				range(o, key, last);
			}
			put_op(o, ")", close);
			return close + 1;
		}
	}
	if (lex_is(t, "pg_typeof")) {
		type = type_at(o, t + 2, close);
		if (t[2].kind == LEX_STRING || lex_is(t + 2, "null"))
			type.oid = T_UNKNOWN;
		buf_init(&text, 100);
		buf_fmt(&text, "'%s'", type_of(type.oid ? type.oid : T_TEXT)->sql);
		put_own(o, LEX_STRING, &text, t);
		return close + 1;
	}
	if (lex_is(t, "overlay")) {
		static const char *const placing[] = { "placing", "from", "for", NULL };

		with_words(o, t, "overlay", close, placing);
		return close + 1;
	}
	w = lex_is(t, "substring") ? word_of(t + 2, close, from) : close;
	if (w < close && w[1].kind == LEX_STRING) {
		with_words(o, t, "regexp_substr", close, from);
		return close + 1;
	}
	if (lex_is(t, "substring") && word_of(t + 2, close, from_for) < close) {
		with_words(o, t, "substr", close, from_for);
		return close + 1;
	}
	if (lex_is(t, "position")) {
		with_words(o, t, "baton_position", close, in);
		return close + 1;
	}
	if (lex_is(t, "trim")) {
		const char *f = "trim";

		w = t + 2;
		if (lex_is(w, "leading") || lex_is(w, "trailing") || lex_is(w, "both")) {
			f = lex_is(w, "leading") ? "ltrim" : lex_is(w, "trailing") ? "rtrim" : "trim";
			w++;
		}
		begin = word_of(w, close, from) < close;
		put_id(o, f, t);
		put_op(o, "(", t);
		if (begin) {
			const struct lex_tok *at = word_of(w, close, from);

			range(o, at + 1, close);
			if (at > w) {
				put_op(o, ",", at);
				range(o, w, at);
			}
		} else {
			range(o, w, close);
		}
		put_op(o, ")", close);
		return close + 1;
	}
	if (lex_is(t, "array") && lex_is(t + 2, "select")) {
		put_op(o, "(with baton_a(x) as (", t);
		range(o, t + 2, close);
		put_op(o, ") select coalesce(array_agg(x), '{}') from baton_a)", close);
		return close + 1;
	}
	if (lex_is(t, "operator")) {
		struct lex_tok op[1 + LEX_AHEAD];
		unsigned i;

		for (i = 0; i <= LEX_AHEAD; i++)
			op[i] = (struct lex_tok){ .kind = LEX_END, .s = "" };
		op[0] = close[-1];
		op->at = t->at;
		o->alone = true;
		range(o, op, op + 1);
		o->alone = false;
		return close + 1;
	}
	if ((lex_is(t, "generate_series") || lex_is(t, "unnest") || lex_is(t, "regexp_split_to_table") ||
	     lex_is(t, "string_to_table")) && o->n &&
	    (piece_is(&o->p[o->n - 1], "from") || piece_is(&o->p[o->n - 1], ",") || piece_is(&o->p[o->n - 1], "join")))
		return table_function(o, t, close, end);
	if ((lex_is(t, "any") || lex_is(t, "some") || lex_is(t, "all")) && o->n && !lex_is(t + 2, "select")) {
		bool all = lex_is(t, "all");
		struct piece *last = &o->p[o->n - 1];

		if (!piece_is(last, all ? "<>" : "=") && !(all && piece_is(last, "!=")))
			return NULL;
		last->s = all ? "not in" : "in";
		last->n = strlen(last->s);
		put_op(o, "(select value from baton_unnest(", t);
		range(o, t + 2, close);
		put_op(o, "))", close);
		return close + 1;
	}
	if ((lex_is(t, "any") || lex_is(t, "some")) && o->n && piece_is(&o->p[o->n - 1], "=")) {
		o->p[o->n - 1].s = "in";
		o->p[o->n - 1].n = 2;
		range(o, t + 1, close + 1);
		return close + 1;
	}
	return NULL;
}

static const struct {
	const char *from, *to;
} words[] = {
	{ "current_timestamp", "now()" }, { "localtimestamp", "baton_timestamp(now())" },
	{ "current_date", "baton_date(now())" }, { "current_time", "baton_time(now())" },
	{ "localtime", "baton_time(now())" }, { "current_user", "baton_user()" },
	{ "session_user", "baton_user()" }, { "user", "baton_user()" }, { "current_role", "baton_user()" },
	{ "current_catalog", "current_database()" }, { "current_schema", "current_schema()" }, { "ilike", "glob" }, { "unknown", "null" },
	{ "random", "pg_random" }, { "isnull", "is null" }, { "notnull", "not null" },
}, ops[] = {
	{ "~", "regexp" }, { "!~", "not regexp" }, { "~*", "match" }, { "!~*", "not match" },
	{ "~~", "like" }, { "!~~", "not like" }, { "~~*", "glob" }, { "!~~*", "not glob" },
};

/* (...) AS t (a, b): the columns of a query in FROM are called so. */
static const struct lex_tok *aliased(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	static const char *const not_a_name[] = {
		"over", "filter", "in", "using", "values", "select", "on", "as", "union", "except", "intersect", "where",
		"having", "within", "exists", "group", "order", "when", "then", "do", "set", "and", "or", "returning", NULL,
	};
	const struct lex_tok *p, *close;
	unsigned begin;

	if (t + 1 < end && lex_is(t, "as"))
		t++;
	if (!lex_name(t) || t + 2 >= end || !lex_is(t + 1, "(") || !o->n || !piece_is(&o->p[o->n - 1], ")") ||
	    word_of(t, t + 1, not_a_name) == t)
		return NULL;
	close = lex_close(t + 1);
	for (p = t + 2; p < close; p += 2)
		if (!lex_name(p) || (p + 1 < close && !lex_is(p + 1, ",")))
			return NULL;
	begin = operand(o);
	if (!begin || !piece_is(&o->p[begin], "(") || close >= end ||
	    !(piece_is(&o->p[begin - 1], "from") || piece_is(&o->p[begin - 1], "join") || piece_is(&o->p[begin - 1], ",")))
		return NULL;
	put_at(o, begin, LEX_ID, "as", 2, t->at);
	for (p = close; p > t; p--)
		put_at(o, begin, p->kind, p->s, p->n, t->at);
	put_at(o, begin, LEX_ID, "(with baton_t", 13, t->at);
	put_id(o, "select * from baton_t) as", t);
	put(o, t->kind, t->s, t->n, t);
	return close + 1;
}

/* One token, or a few that belong together. Where to go on. */
static const struct lex_tok *one(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	const struct lex_tok *next;
	struct coltype type;
	struct buf b;
	unsigned i, n;
	bool serial;

	switch (t->kind) {
	case LEX_STRING:
		put_string(o, t, t);
		/* SQLite has no escape unless it is told. */
		if (o->n > 1 && memchr(t->s, '\\', t->n) && !lex_is(t + 1, "escape") &&
		    (piece_is(&o->p[o->n - 2], "like") || piece_is(&o->p[o->n - 2], "not like")))
			put_id(o, "escape '\\'", t);
		return t + 1;
	case LEX_BYTES:
		buf_init(&b, 1 << 30);
		buf_str(&b, "x");
		buf_sql_str(&b, t->s, t->n);
		put_own(o, LEX_STRING, &b, t);
		return t + 1;
	case LEX_QUOTED:
		if ((!strcmp(t->s, "public") || !strcmp(t->s, "pg_catalog")) && t + 1 < end && lex_is(t + 1, "."))
			return t + 2;
		buf_init(&b, 1 << 30);
		buf_sql_id(&b, t->s, t->n);
		put_own(o, LEX_QUOTED, &b, t);
		return t + 1;
	case LEX_PARAM:
		buf_init(&b, 100);
		buf_ch(&b, '?');
		buf_add(&b, t->s, t->n);
		buf_cstr(&b);
		put_own(o, LEX_PARAM, &b, t);
		return t + 1;
	case LEX_OP:
		if (lex_is(t, "::")) {
			n = type_parse(t + 1, &type, &serial);
			if (!n) {
				if (!o->failed)
					sql_fail(o->e, "42704", t + 1, "type \"%s\" does not exist", t[1].s);
				o->failed = true;
				return end;
			}
			if (o->n) {
				next = left_of(o, t, &i);
				if (next)
					cast_from(o, i, type_at(o, next, t), type, t);
				else
					cast(o, operand(o), type, t);
			}
			return t + 1 + n;
		}
		if (!o->alone && (lex_is(t, "+") || lex_is(t, "-") || lex_is(t, "#") || lex_is(t, "^") || factor(t))) {
			next = calculation(o, t, end);
			if (next)
				return next;
		}
		for (i = 0; i < sizeof(ops) / sizeof(*ops); i++)
			if (lex_is(t, ops[i].from) && (t->n > 1 || left_of(o, t, &n))) {
				put_op(o, ops[i].to, t);
				return t + 1;
			}
		put(o, LEX_OP, t->s, t->n, t);
		if (!lex_is(t, "/") && !lex_is(t, "%"))
			return t + 1;
		/* SQLite makes NULL of a division by zero. */
		next = divisor_end(t + 1, end);
		if (next == t + 1 || (next == t + 2 && (t[1].kind == LEX_INT || t[1].kind == LEX_NUMBER) && strpbrk(t[1].s, "123456789")))
			return t + 1;
		put_id(o, "baton_divisor", t + 1);
		put_op(o, "(", t + 1);
		range(o, t + 1, next);
		put_op(o, ")", next - 1);
		return next;
	case LEX_ID:
		break;
	default:
		put(o, t->kind, t->s, t->n, t);
		return t + 1;
	}
	if (t + 1 < end && lex_is(t + 1, ".")) {
		if (lex_is(t, "pg_catalog") || lex_is(t, "public"))
			return t + 2;
		if (lex_is(t, "information_schema") && t + 2 < end && lex_name(t + 2)) {
			buf_init(&b, 1000);
			buf_fmt(&b, "information_schema_%s", t[2].s);
			put_own(o, LEX_ID, &b, t);
			return t + 3;
		}
	}
	if (o->n && piece_is(&o->p[o->n - 1], ".")) {
		put(o, LEX_ID, t->s, t->n, t);
		return t + 1;
	}
	if (lex_are(t, "order by")) {
		put_id(o, "order by", t);
		return order_by(o, t + 2, end);
	}
	if (lex_is(t, "limit") || lex_is(t, "offset") || lex_are(t, "fetch first") || lex_are(t, "fetch next") ||
	    lex_are(t, "for update") || lex_are(t, "for share") || lex_are(t, "for no key") || lex_are(t, "for key share"))
		return limits(o, t, end);
	if (lex_is(t, "collate") && t + 1 < end) {
		next = t + 1;
		if (lex_is(next, "pg_catalog") && next + 2 < end)
			next += 2;
		return next + 1;
	}
	if (lex_is(t, "only") && o->n && (piece_is(&o->p[o->n - 1], "from") || piece_is(&o->p[o->n - 1], "update")))
		return t + 1;
	if (lex_are(t, "on conflict on constraint") && t + 4 < end) {
		/* SQLite knows indexes by their columns: then it is any conflict. */
		put_id(o, "on conflict", t);
		return t + 5;
	}
	next = aliased(o, t, end);
	if (next)
		return next;
	if (lex_is(t, "select")) {
		const struct lex_tok *to, *series = lone_series(t + 1, end, &to), *close = series ? lex_close(series + 1) : NULL;

		if (series && close < end) {
			put_id(o, "select", t);
			range(o, t + 1, series);
			put(o, series->kind, series->s, series->n, series);
			range(o, close + 1, to);
			put_id(o, "from", to - 1);
			table_function(o, series, close, close);
			return to;
		}
	}
	if (lex_is(t, "lateral"))
		stop(o, "0A000", t, "LATERAL is not supported");
	if (lex_are(t, "distinct on"))
		stop(o, "0A000", t, "SELECT DISTINCT ON is not supported");
	if (lex_are(t, "with ordinality"))
		stop(o, "0A000", t, "WITH ORDINALITY is not supported");
	if (lex_are(t, "as materialized") || lex_are(t, "as not")) {
		put_id(o, "as", t);
		return t + (lex_are(t, "as not materialized") ? 3 : lex_are(t, "as materialized") ? 2 : 1);
	}
	if ((lex_is(t, "nextval") || lex_is(t, "setval")) && o->sql)
		o->sql->writes = true;
	next = special(o, t, end);
	if (next)
		return next;
	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (lex_is(t, words[i].from)) {
			/* An alias, or a column of a table that is called so. */
			if (o->n && piece_is(&o->p[o->n - 1], "as"))
				break;
			put_id(o, words[i].to, t);
			return t + 1 + 2 * (t + 2 < end && strstr(words[i].to, "()") && lex_is(t + 1, "(") && lex_is(t + 2, ")"));
		}
	put(o, LEX_ID, t->s, t->n, t);
	return t + 1;
}

static void range(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	while (t < end && !o->failed)
		t = one(o, t, end);
}

static bool finish(struct out *o, struct buf *to, struct sql *s)
{
	unsigned i;

	if (s && !o->failed) {
		s->map = calloc(o->n + 1, sizeof(*s->map));
		if (!s->map)
			stop(o, "53200", NULL, "out of memory");
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
		stop(o, "54000", NULL, "the statement is too long");
	return !o->failed;
}

bool sql_expr(struct buf *to, const struct lex_tok *t, const struct lex_tok *end, struct sql_error *e)
{
	struct out o = { .first = t, .e = e };

	range(&o, t, end);
	return finish(&o, to, NULL);
}

static bool params(struct sql *s, const struct lex_tok *t, const struct lex_tok *end, struct sql_error *e)
{
	unsigned k;

	for (; t < end; t++) {
		if (t->kind != LEX_PARAM)
			continue;
		k = (unsigned)atoi(t->s);
		if (!k || k > 32767 || t->n > 5)
			return sql_fail(e, "42P02", t, "there is no parameter $%.*s", (int)t->n, t->s);
		if (k > s->n_params)
			s->n_params = k;
	}
	s->params = calloc(s->n_params + 1, sizeof(*s->params));
	return s->params || sql_fail(e, "53200", NULL, "out of memory");
}

bool sql_rewrite(struct sql *s, const struct lex_tok *t, const struct lex_tok *end, struct sql_error *e)
{
	struct out o = { .first = t, .e = e, .sql = s };

	buf_init(&s->text, 64 << 20);
	s->map = NULL;
	s->n_map = s->n_params = s->n_cols = 0;
	s->cols = NULL;
	s->writes = s->kind == SQL_WRITE;
	s->tok = t;
	if (!params(s, t, end, e))
		return false;
	if (lex_is(t, "table") && t + 1 < end) {
		put_id(&o, "select * from", t);
		t++;
	}
	range(&o, t, end);
	return finish(&o, &s->text, s) && (sql_columns(s, t, end) || sql_fail(e, "53200", NULL, "out of memory"));
}

void sql_free(struct sql *s)
{
	unsigned i;

	for (i = 0; i < s->n_cols; i++)
		free(s->cols[i].name);
	free(s->cols);
	free(s->map);
	free(s->params);
	buf_free(&s->text);
	s->cols = NULL;
	s->map = NULL;
	s->params = NULL;
	s->n_cols = s->n_map = s->n_params = 0;
}

size_t sql_source(const struct sql *s, size_t out)
{
	size_t at = SIZE_MAX;
	unsigned i;

	for (i = 0; i < s->n_map && s->map[i].out <= out; i++)
		at = s->map[i].src;
	return at;
}

static const struct {
	const char *words;
	enum sql_kind kind;
	const char *tag;
} kinds[] = {
	{ "select", SQL_READ, "SELECT" }, { "values", SQL_READ, "SELECT" }, { "table", SQL_READ, "SELECT" },
	{ "insert", SQL_WRITE, "INSERT 0" }, { "update", SQL_WRITE, "UPDATE" }, { "delete", SQL_WRITE, "DELETE" },
	{ "begin", SQL_BEGIN, "BEGIN" }, { "start transaction", SQL_BEGIN, "START TRANSACTION" },
	{ "commit", SQL_COMMIT, "COMMIT" }, { "end", SQL_COMMIT, "COMMIT" },
	{ "rollback to", SQL_ROLLBACK_TO, "ROLLBACK" }, { "rollback transaction to", SQL_ROLLBACK_TO, "ROLLBACK" },
	{ "rollback work to", SQL_ROLLBACK_TO, "ROLLBACK" },
	{ "rollback", SQL_ROLLBACK, "ROLLBACK" }, { "abort", SQL_ROLLBACK, "ROLLBACK" },
	{ "savepoint", SQL_SAVEPOINT, "SAVEPOINT" }, { "release", SQL_RELEASE, "RELEASE" },
	{ "set", SQL_SET, "SET" }, { "reset", SQL_RESET, "RESET" }, { "show", SQL_SHOW, "SHOW" },
	{ "discard", SQL_DISCARD, "DISCARD ALL" }, { "copy", SQL_COPY, "COPY" },
	{ "create table", SQL_CREATE_TABLE, "CREATE TABLE" }, { "create unlogged table", SQL_CREATE_TABLE, "CREATE TABLE" },
	{ "create temp table", SQL_CREATE_TABLE, "CREATE TABLE" },
	{ "create temporary table", SQL_CREATE_TABLE, "CREATE TABLE" },
	{ "create local temporary table", SQL_CREATE_TABLE, "CREATE TABLE" },
	{ "create index", SQL_CREATE_INDEX, "CREATE INDEX" }, { "create unique index", SQL_CREATE_INDEX, "CREATE INDEX" },
	{ "create view", SQL_CREATE_VIEW, "CREATE VIEW" }, { "create or replace view", SQL_CREATE_VIEW, "CREATE VIEW" },
	{ "create sequence", SQL_CREATE_SEQUENCE, "CREATE SEQUENCE" },
	{ "create user", SQL_CREATE_ROLE, "CREATE ROLE" }, { "create role", SQL_CREATE_ROLE, "CREATE ROLE" },
	{ "alter user", SQL_ALTER_ROLE, "ALTER ROLE" }, { "alter role", SQL_ALTER_ROLE, "ALTER ROLE" },
	{ "drop user", SQL_DROP_ROLE, "DROP ROLE" }, { "drop role", SQL_DROP_ROLE, "DROP ROLE" },
	{ "create database", SQL_CREATE_DATABASE, "CREATE DATABASE" },
	{ "drop database", SQL_DROP_DATABASE, "DROP DATABASE" },
	{ "drop table", SQL_DROP, "DROP TABLE" }, { "drop index", SQL_DROP, "DROP INDEX" },
	{ "drop view", SQL_DROP, "DROP VIEW" }, { "drop sequence", SQL_DROP, "DROP SEQUENCE" },
	{ "alter table", SQL_ALTER_TABLE, "ALTER TABLE" }, { "alter index", SQL_ALTER_TABLE, "ALTER INDEX" },
	{ "alter system", SQL_ALTER_SYSTEM, "ALTER SYSTEM" },
	{ "truncate", SQL_TRUNCATE, "TRUNCATE TABLE" }, { "vacuum", SQL_VACUUM, "VACUUM" },
	{ "analyze", SQL_ANALYZE, "ANALYZE" }, { "lock", SQL_LOCK, "LOCK TABLE" },
	{ "checkpoint", SQL_CHECKPOINT, "CHECKPOINT" }, { "explain", SQL_EXPLAIN, "EXPLAIN" },
	{ "prepare transaction", SQL_FOREIGN, "PREPARE TRANSACTION" }, { "prepare", SQL_PREPARE, "PREPARE" }, { "execute", SQL_EXECUTE, "EXECUTE" },
	{ "deallocate", SQL_DEALLOCATE, "DEALLOCATE" }, { "declare", SQL_DECLARE, "DECLARE CURSOR" },
	{ "grant", SQL_GRANT, "GRANT" }, { "alter default privileges", SQL_GRANT, "ALTER DEFAULT PRIVILEGES" },
	{ "revoke", SQL_REVOKE, "REVOKE" }, { "reindex", SQL_REINDEX, "REINDEX" },
	{ "fetch", SQL_FETCH, "FETCH" }, { "move", SQL_FETCH, "MOVE" }, { "close", SQL_CLOSE, "CLOSE CURSOR" },
	{ "create schema", SQL_FOREIGN, "CREATE SCHEMA" }, { "drop schema", SQL_FOREIGN, "DROP SCHEMA" },
	{ "create extension", SQL_FOREIGN, "CREATE EXTENSION" }, { "drop extension", SQL_FOREIGN, "DROP EXTENSION" },
	{ "create type", SQL_FOREIGN, "CREATE TYPE" }, { "drop type", SQL_FOREIGN, "DROP TYPE" },
	{ "create domain", SQL_FOREIGN, "CREATE DOMAIN" }, { "create function", SQL_FOREIGN, "CREATE FUNCTION" },
	{ "create or replace function", SQL_FOREIGN, "CREATE FUNCTION" }, { "drop function", SQL_FOREIGN, "DROP FUNCTION" },
	{ "create procedure", SQL_FOREIGN, "CREATE PROCEDURE" }, { "create trigger", SQL_FOREIGN, "CREATE TRIGGER" },
	{ "create materialized view", SQL_FOREIGN, "CREATE MATERIALIZED VIEW" }, { "create rule", SQL_FOREIGN, "CREATE RULE" },
	{ "create policy", SQL_FOREIGN, "CREATE POLICY" }, { "create tablespace", SQL_FOREIGN, "CREATE TABLESPACE" },
	{ "create aggregate", SQL_FOREIGN, "CREATE AGGREGATE" }, { "create publication", SQL_FOREIGN, "CREATE PUBLICATION" },
	{ "create subscription", SQL_FOREIGN, "CREATE SUBSCRIPTION" }, { "create operator", SQL_FOREIGN, "CREATE OPERATOR" },
	{ "comment on", SQL_FOREIGN, "COMMENT ON" }, { "listen", SQL_FOREIGN, "LISTEN" }, { "notify", SQL_FOREIGN, "NOTIFY" },
	{ "unlisten", SQL_FOREIGN, "UNLISTEN" }, { "do", SQL_FOREIGN, "DO" }, { "call", SQL_FOREIGN, "CALL" },
	{ "merge", SQL_FOREIGN, "MERGE" }, { "cluster", SQL_FOREIGN, "CLUSTER" }, { "refresh", SQL_FOREIGN, "REFRESH" },
	{ "alter database", SQL_FOREIGN, "ALTER DATABASE" },
	{ "alter view", SQL_FOREIGN, "ALTER VIEW" }, { "alter sequence", SQL_FOREIGN, "ALTER SEQUENCE" },
	{ "alter schema", SQL_FOREIGN, "ALTER SCHEMA" }, { "alter type", SQL_FOREIGN, "ALTER TYPE" },
	{ "alter function", SQL_FOREIGN, "ALTER FUNCTION" }, { "reassign", SQL_FOREIGN, "REASSIGN OWNED" },
	{ "drop owned", SQL_FOREIGN, "DROP OWNED" }, { "security label", SQL_FOREIGN, "SECURITY LABEL" },
};

enum sql_kind sql_kind(const struct lex_tok *t, const char **tag)
{
	const struct lex_tok *end = sql_end(t);
	unsigned i;

	*tag = "";
	if (t == end)
		return SQL_EMPTY;
	while (lex_is(t, "("))
		t++;
	if (lex_is(t, "with")) {
		/* What stands behind the common table expressions; or writes in one of them. */
		static const char *const verbs[] = { "select", "values", "table", "insert", "update", "delete", NULL };

		t = word_of(t, end, verbs);
		if (t == end)
			return SQL_UNKNOWN;
	}
	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (lex_are(t, kinds[i].words)) {
			*tag = kinds[i].tag;
			if (kinds[i].kind == SQL_CREATE_TABLE) {
				static const char *const as[] = { "as", NULL };

				t = word_of(t, end, as);
				if (t < end) {
					*tag = "SELECT";
					return SQL_CREATE_TABLE_AS;
				}
			}
			return kinds[i].kind;
		}
	return SQL_UNKNOWN;
}
