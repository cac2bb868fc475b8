// SPDX-License-Identifier: GPL-2.0-or-later
/* Clauses that SQLite writes, or means, otherwise: ORDER BY, LIMIT and its kin, AS t (a, b). */
#include "sql_out.h"

static const char *const order_ends[] = { "limit", "offset", "fetch", "for", "rows", "range", "groups", "union",
					  "intersect", "except", ")", ";", "on", "returning", "window", NULL };

/* NULLs are the largest in PostgreSQL and the smallest in SQLite. */
const struct lex_tok *clause_order_by(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	const struct lex_tok *stop_at = sql_word(t, end, order_ends), *to, *p;

	while (t < stop_at) {
		bool desc = false, nulls = false;

		to = sql_comma(t, stop_at);
		for (p = t; p < to; p++) {
			if (lex_is(p, "nulls"))
				nulls = true;
			else if (lex_is(p, "desc"))
				desc = true;
			else if (lex_is(p, "using"))
				out_stop(o, "0A000", p, "ORDER BY ... USING is not supported");
			p = lex_close(p);
		}
		sql_range(o, t, to);
		if (!nulls)
			out_id(o, desc ? "nulls first" : "nulls last", t);
		if (to < stop_at)
			out_op(o, ",", to);
		t = to + (to < stop_at);
	}
	return stop_at;
}

/* LIMIT, OFFSET, FETCH and FOR, in any order. */
const struct lex_tok *clause_limits(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	static const char *const ends[] = { "limit", "offset", "fetch", "for", "union", ")", ";", "row", "rows", NULL };
	const struct lex_tok *limit = NULL, *limit_end = NULL, *offset = NULL, *offset_end = NULL, *src = t;
	bool one = false;

	for (;;) {
		if (t < end && lex_is(t, "limit")) {
			limit = t + 1;
			t = limit_end = sql_word(limit, end, ends);
			if (lex_is(limit, "all") || lex_is(limit, "null"))
				limit = NULL;
		} else if (t < end && lex_is(t, "offset")) {
			offset = t + 1;
			t = offset_end = sql_word(offset, end, ends);
			if (t < end && (lex_is(t, "row") || lex_is(t, "rows")))
				t++;
		} else if (t < end && lex_is(t, "fetch")) {
			t += 2;
			if (t < end && (lex_is(t, "row") || lex_is(t, "rows"))) {
				one = true;
			} else if (t < end) {
				limit = t;
				t = limit_end = sql_word(limit, end, ends);
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
		out_id(o, "limit", src);
		if (limit)
			sql_range(o, limit, limit_end);
		else
			out_put(o, LEX_INT, one ? "1" : "-1", one ? 1 : 2, src);
		if (offset) {
			out_id(o, "offset", src);
			sql_range(o, offset, offset_end);
		}
	}
	return t;
}

/* (...) AS t (a, b): the columns of a query in FROM are called so. */
const struct lex_tok *clause_alias(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
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
	    sql_word(t, t + 1, not_a_name) == t)
		return NULL;
	close = lex_close(t + 1);
	for (p = t + 2; p < close; p += 2)
		if (!lex_name(p) || (p + 1 < close && !lex_is(p + 1, ",")))
			return NULL;
	begin = out_operand(o);
	if (!begin || !piece_is(&o->p[begin], "(") || close >= end ||
	    !(piece_is(&o->p[begin - 1], "from") || piece_is(&o->p[begin - 1], "join") || piece_is(&o->p[begin - 1], ",")))
		return NULL;
	out_put_at(o, begin, LEX_ID, "as", 2, t->at);
	for (p = close; p > t; p--)
		out_put_at(o, begin, p->kind, p->s, p->n, t->at);
	out_put_at(o, begin, LEX_ID, "(with baton_t", 13, t->at);
	out_id(o, "select * from baton_t) as", t);
	out_put(o, t->kind, t->s, t->n, t);
	return close + 1;
}
