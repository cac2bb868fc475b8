// SPDX-License-Identifier: GPL-2.0-or-later
/* Operators that SQLite calculates with numbers, and PostgreSQL with what stands there. */
#include "sql_out.h"

#include <stdio.h>
#include <string.h>

/* The end of the operand of / or % that begins at t; t: that cannot be told. */
const struct lex_tok *calc_operand_end(const struct lex_tok *t, const struct lex_tok *end)
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
			p += 1 + (p + 1 < end && sql_is_field(p + 1));	/* a type's name before a literal */
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
		const struct lex_tok *q = calc_operand_end(p + 1, end);

		return q == p + 1 ? t : q;
	}
	return p <= end ? p : t;
}

bool calc_factor(const struct lex_tok *t)
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
const struct lex_tok *calc_call(struct out *o, unsigned begin, const char *f, const char *how, const struct lex_tok *t,
				const struct lex_tok *next)
{
	struct buf b;

	out_put_at(o, begin, LEX_OP, "(", 1, begin < o->n ? o->p[begin].src : t->at);
	out_put_at(o, begin, LEX_ID, f, strlen(f), begin < o->n ? o->p[begin].src : t->at);
	out_op(o, ",", t);
	sql_range(o, t + 1, next);
	if (how) {
		buf_init(&b, 100);
		buf_fmt(&b, ", '%s'", how);
		out_own(o, LEX_OP, &b, t);
	}
	out_op(o, ")", next - 1);
	return next;
}

/* What SQLite calculates with numbers, and PostgreSQL with what stands there; NULL: the same. */
const struct lex_tok *calc_operator(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	const struct lex_tok *left, *next = calc_operand_end(t + 1, end), *more;
	bool sum = lex_is(t, "+") || lex_is(t, "-");
	struct coltype a, b;
	unsigned begin = 0;
	char how[4];

	left = out_left_of(o, t, &begin);
	if (!left || next == t + 1)
		return NULL;
	if (lex_is(t, "^"))
		return calc_call(o, begin, "power", NULL, t, next);
	if (lex_is(t, "#"))
		return calc_call(o, begin, "baton_xor", NULL, t, next);
	/* Two of them: from the left. */
	if (begin && (piece_is(&o->p[begin - 1], "*") || piece_is(&o->p[begin - 1], "/") || piece_is(&o->p[begin - 1], "%")))
		return NULL;
	while (sum && next < end && calc_factor(next)) {
		more = calc_operand_end(next + 1, end);
		if (more == next + 1)
			break;
		next = more;
	}
	a = out_type_at(o, left, t);
	b = out_type_at(o, t + 1, next);
	if (lex_is(t, "%"))
		return a.oid == T_NUMERIC || b.oid == T_NUMERIC ? calc_call(o, begin, "baton_mod", NULL, t, next) : NULL;
	if (sum ? !strchr("dszti", letter(a)) && !strchr("dszti", letter(b)) : letter(a) != 'i' && letter(b) != 'i')
		return NULL;
	snprintf(how, sizeof(how), "%c%c%c", *t->s, letter(a), letter(b));
	return calc_call(o, begin, "baton_calc", how, t, next);
}
