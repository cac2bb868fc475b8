// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the columns of a statement's result are called and what type they have,
 * from its tokens alone. What cannot be known so is left open (oid 0): a plain
 * column's type is what SQLite says was declared, and an expression's is that
 * of its first value.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql.h"

typedef const struct lex_tok *tokp;

/* Deeper than this nothing is looked for in the statement's other parts, and at DEEPEST nothing at all. */
#define DERIVED 15
#define DEEPEST 20

static struct coltype of(uint32_t oid)
{
	return (struct coltype){ oid, -1 };
}

/* A numeric of so many digits behind the point, though nobody declared it; -1: any. */
static struct coltype numeric(int scale)
{
	return (struct coltype){ T_NUMERIC, scale < 0 ? -1 : (38 << 16 | scale) + 4 };
}

static int scale_of(struct coltype t)
{
	return t.oid == T_NUMERIC ? (t.mod >= 4 ? (t.mod - 4) & 0xffff : -1) : 0;
}

static struct coltype same(struct coltype t)
{
	return t.oid == T_NUMERIC ? numeric(scale_of(t)) : of(t.oid);
}

static const struct {
	const char *name;
	uint32_t oid;
} functions[] = {
	{ "count", T_INT8 }, { "length", T_INT4 }, { "char_length", T_INT4 }, { "octet_length", T_INT4 },
	{ "position", T_INT4 }, { "strpos", T_INT4 }, { "ascii", T_INT4 }, { "pg_backend_pid", T_INT4 },
	{ "nextval", T_INT8 }, { "currval", T_INT8 }, { "setval", T_INT8 }, { "lastval", T_INT8 },
	{ "row_number", T_INT8 }, { "rank", T_INT8 }, { "dense_rank", T_INT8 }, { "ntile", T_INT4 },
	{ "avg", T_NUMERIC }, { "round", T_NUMERIC }, { "random", T_FLOAT8 }, { "sqrt", T_FLOAT8 },
	{ "exp", T_FLOAT8 }, { "ln", T_FLOAT8 }, { "pi", T_FLOAT8 }, { "power", T_FLOAT8 }, { "date_part", T_FLOAT8 },
	{ "extract", T_NUMERIC }, { "now", T_TIMESTAMPTZ }, { "clock_timestamp", T_TIMESTAMPTZ },
	{ "statement_timestamp", T_TIMESTAMPTZ }, { "transaction_timestamp", T_TIMESTAMPTZ },
	{ "to_timestamp", T_TIMESTAMPTZ }, { "upper", T_TEXT }, { "lower", T_TEXT }, { "substr", T_TEXT },
	{ "substring", T_TEXT }, { "trim", T_TEXT }, { "ltrim", T_TEXT }, { "rtrim", T_TEXT }, { "btrim", T_TEXT },
	{ "replace", T_TEXT }, { "concat", T_TEXT }, { "concat_ws", T_TEXT }, { "md5", T_TEXT }, { "repeat", T_TEXT },
	{ "left", T_TEXT }, { "right", T_TEXT }, { "lpad", T_TEXT }, { "rpad", T_TEXT }, { "initcap", T_TEXT },
	{ "reverse", T_TEXT }, { "split_part", T_TEXT }, { "string_agg", T_TEXT }, { "to_char", T_TEXT },
	{ "format_type", T_TEXT }, { "version", T_TEXT }, { "current_database", T_NAME }, { "current_schema", T_NAME },
	{ "pg_get_userbyid", T_NAME }, { "current_setting", T_TEXT }, { "set_config", T_TEXT }, { "chr", T_TEXT },
	{ "array_to_string", T_TEXT }, { "array_agg", T_TEXT_ARRAY }, { "quote_ident", T_TEXT },
	{ "quote_literal", T_TEXT }, { "bool_and", T_BOOL }, { "bool_or", T_BOOL }, { "every", T_BOOL },
	{ "exists", T_BOOL }, { "pg_table_is_visible", T_BOOL }, { "pg_is_in_recovery", T_BOOL },
	{ "has_table_privilege", T_BOOL }, { "pg_sleep", T_VOID }, { "generate_series", T_INT4 },
	{ "pg_cancel_backend", T_BOOL }, { "pg_terminate_backend", T_BOOL }, { "encode", T_TEXT },
	{ "decode", T_BYTEA }, { "pg_table_size", T_INT8 }, { "pg_database_size", T_INT8 },
	{ "pg_total_relation_size", T_INT8 }, { "pg_relation_size", T_INT8 }, { "pg_size_pretty", T_TEXT },
	{ "starts_with", T_BOOL }, { "txid_current", T_INT8 }, { "to_regclass", T_REGCLASS },
	{ "gen_random_uuid", T_UUID }, { "trunc", T_NUMERIC }, { "div", T_NUMERIC }, { "factorial", T_NUMERIC },
	{ "cbrt", T_FLOAT8 }, { "sin", T_FLOAT8 }, { "cos", T_FLOAT8 }, { "tan", T_FLOAT8 }, { "cot", T_FLOAT8 },
	{ "overlay", T_TEXT }, { "quote_nullable", T_TEXT }, { "to_hex", T_TEXT }, { "sha256", T_BYTEA },
	{ "bit_length", T_INT4 }, { "format", T_TEXT }, { "regexp_replace", T_TEXT }, { "regexp_count", T_INT4 },
	{ "regexp_like", T_BOOL }, { "regexp_substr", T_TEXT }, { "regexp_match", T_TEXT_ARRAY },
	{ "regexp_split_to_array", T_TEXT_ARRAY }, { "string_to_array", T_TEXT_ARRAY }, { "array_length", T_INT4 },
	{ "cardinality", T_INT4 }, { "num_nulls", T_INT4 }, { "num_nonnulls", T_INT4 }, { "age", T_INTERVAL },
	{ "justify_hours", T_INTERVAL }, { "make_date", T_DATE }, { "make_timestamp", T_TIMESTAMP }, { "to_date", T_DATE },
	{ "to_number", T_NUMERIC }, { "pg_typeof", T_REGTYPE }, { "stddev", T_NUMERIC }, { "variance", T_NUMERIC },
	{ "stddev_pop", T_NUMERIC }, { "var_pop", T_NUMERIC }, { "stddev_samp", T_NUMERIC }, { "var_samp", T_NUMERIC },
	{ "percent_rank", T_FLOAT8 }, { "cume_dist", T_FLOAT8 }, { "isfinite", T_BOOL }, { "inet_server_port", T_INT4 }, { "translate", T_TEXT }, { "obj_description", T_TEXT },
};

static int rank_of(uint32_t oid)
{
	return oid == T_INT2 ? 1 : oid == T_INT4 ? 2 : oid == T_INT8 ? 3 : oid == T_NUMERIC ? 4 :
	       oid == T_FLOAT4 ? 5 : oid == T_FLOAT8 ? 6 : 0;
}

static bool is_any(tokp t, const char *const *words)
{
	for (; *words; words++)
		if (lex_is(t, *words))
			return true;
	return false;
}

/* Behind what stands at t: the next token at this depth, CASE ... END skipped. */
static tokp step(tokp t, tokp end)
{
	int depth = 0;

	if (lex_is(t, "case")) {
		for (; t < end; t++) {
			if (lex_is(t, "case"))
				depth++;
			else if (lex_is(t, "end") && !--depth)
				break;
		}
	} else {
		t = lex_close(t);
	}
	return t < end ? t + 1 : end;
}

static struct coltype expr(const struct sql *s, tokp t, tokp end, int depth);

/* The first select list within (SELECT ...). */
static tokp select_list(tokp t, tokp end, tokp *to)
{
	static const char *const ends[] = { "from", "where", "group", "having", "order", "limit", "offset", "union",
					    "intersect", "except", "fetch", "for", "into", "window", NULL };
	tokp p;

	t++;
	if (lex_is(t, "all") || lex_is(t, "distinct"))
		t++;
	for (p = t; p < end && !is_any(p, ends); p = step(p, end))
		;
	*to = p;
	return t;
}

static struct coltype function(const struct sql *s, tokp t, tokp close, int depth)
{
	struct coltype a, b;
	unsigned i;
	tokp comma;

	if (lex_is(t, "cast")) {
		bool serial;
		tokp p;

		for (p = t + 2; p < close && !lex_is(p, "as"); p = step(p, close))
			;
		return p < close && type_parse(p + 1, &a, &serial) ? a : of(0);
	}
	if (lex_is(t, "round")) {
		comma = sql_comma(t + 2, close);
		a = of(T_NUMERIC);
		if (comma < close && comma[1].kind == LEX_INT)
			a.mod = (38 << 16 | atoi(comma[1].s)) + 4;
		else if (comma == close)
			a.mod = (38 << 16) + 4;
		return a;
	}
	if (lex_is(t, "trunc")) {
		a = expr(s, t + 2, sql_comma(t + 2, close), depth + 1);
		comma = sql_comma(t + 2, close);
		if (a.oid == T_FLOAT8)
			return a;
		return comma == close ? numeric(0) : comma[1].kind == LEX_INT ? numeric(atoi(comma[1].s)) : of(T_NUMERIC);
	}
	if (lex_is(t, "date_trunc")) {
		a = expr(s, sql_comma(t + 2, close) + 1, close, depth + 1);
		return a.oid == T_DATE ? of(T_TIMESTAMPTZ) : a;
	}
	if (lex_is(t, "sum")) {
		a = expr(s, t + 2, close, depth + 1);
		return a.oid == T_INT8 ? of(T_NUMERIC) : rank_of(a.oid) > 3 ? same(a) : rank_of(a.oid) ? of(T_INT8) : of(0);
	}
	if (lex_is(t, "min") || lex_is(t, "max") || lex_is(t, "coalesce") || lex_is(t, "greatest") ||
	    lex_is(t, "least") || lex_is(t, "nullif") || lex_is(t, "abs") || lex_is(t, "lag") || lex_is(t, "lead") ||
	    lex_is(t, "first_value") || lex_is(t, "last_value")) {
		comma = sql_comma(t + 2, close);
		a = expr(s, t + 2, comma, depth + 1);
		b = comma < close && !a.oid ? expr(s, comma + 1, sql_comma(comma + 1, close), depth + 1) : a;
		return lex_is(t, "coalesce") && !a.oid && b.oid != T_TEXT ? of(0) : same(a);
	}
	if (lex_is(t, "ceil") || lex_is(t, "floor") || lex_is(t, "ceiling") || lex_is(t, "mod")) {
		a = expr(s, t + 2, sql_comma(t + 2, close), depth + 1);
		return a.oid == T_INT4 && !lex_is(t, "mod") ? of(T_FLOAT8) : of(a.oid);
	}
	for (i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (lex_is(t, functions[i].name))
			return of(functions[i].oid);
	return of(0);
}

/* The ( of this ). */
static tokp opening(const struct sql *s, tokp t)
{
	int depth = 0;

	for (; t > s->tok; t--) {
		depth += lex_is(t, ")") - lex_is(t, "(");
		if (!depth)
			break;
	}
	return t;
}

/* Item nr of a list. */
static tokp item(tokp t, tokp end, unsigned nr, tokp *to)
{
	for (*to = sql_comma(t, end); nr-- && t < end; *to = sql_comma(t, end))
		t = *to + (*to < end);
	return t;
}

/* What a (SELECT ...) or (VALUES ...) at t has as column nr. */
static struct coltype column_nr(const struct sql *s, tokp t, unsigned nr)
{
	tokp end = lex_close(t), to;

	t++;
	if (lex_is(t, "values") && lex_is(t + 1, "(")) {
		end = lex_close(t + 1);
		t += 2;
	} else if (lex_is(t, "select")) {
		t = select_list(t, end, &end);
	} else {
		return of(0);
	}
	t = item(t, end, nr, &to);
	if (to - t > 2 && lex_is(to - 2, "as"))
		to -= 2;
	return expr(s, t, to, DERIVED);
}

/* A name that no table has: of a select list's item AS it, or of a list of names: (SELECT ...) x (a, b), WITH x (a, b) AS (SELECT ...). */
static struct coltype derived(const struct sql *s, const char *name)
{
	struct coltype ty = of(0);
	tokp p, q, end, to;
	unsigned nr;

	for (p = s->tok; p->kind != LEX_END && !ty.oid; p++) {
		if (lex_is(p, "(") && lex_is(p + 1, "select")) {
			for (q = select_list(p + 1, lex_close(p), &end); q < end && !ty.oid; q = to + 1) {
				to = sql_comma(q, end);
				if (to - q < 2 || !lex_name(to - 1) || strcmp(to[-1].s, name))
					continue;
				if (lex_is(to - 2, "as"))
					ty = expr(s, q, to - 2, DERIVED);
				else if (to[-2].kind != LEX_OP || lex_is(to - 2, ")") || lex_is(to - 2, "]"))
					ty = expr(s, q, to - 1, DERIVED);
			}
			continue;
		}
		if (!lex_name(p) || !lex_is(p + 1, "("))
			continue;
		end = lex_close(p + 1);
		for (q = p + 2, nr = 0; q < end && !(lex_name(q) && q[1].kind == LEX_OP && !strcmp(q->s, name)); q = to + 1, nr++)
			to = sql_comma(q, end);
		if (q >= end)
			continue;
		/* What stands before the name, but for AS. */
		q = p - (p > s->tok && lex_is(p - 1, "as"));
		if (lex_is(end + 1, "as") && lex_is(end + 2, "("))
			ty = column_nr(s, end + 2, nr);
		else if (q > s->tok && lex_is(q - 1, ")"))
			ty = column_nr(s, opening(s, q - 1), nr);
	}
	return ty;
}

/* A column, whose type SQLite tells if nothing is done with it; or a function. */
static struct coltype name(const struct sql *s, tokp t, tokp end, int depth, bool ask)
{
	struct sql_known *m = s->known;
	struct coltype ty;
	unsigned i;

	while (t + 2 < end && lex_is(t + 1, "."))
		t += 2;
	if (t + 1 < end && lex_is(t + 1, "("))
		return function(s, t, lex_close(t + 1), depth);
	if (!ask || !s->schema || t + 1 != end || !lex_name(t))
		return of(0);
	/* Looking it up reads the statement: once for a name. */
	for (i = 0; m && i < SQL_KNOWN && m->name[i]; i++)
		if (!strcmp(m->name[i], t->s))
			return m->type[i];
	ty = s->schema->column(s->schema_arg, s->tok, t->s);
	if (!ty.oid && depth < DERIVED)
		ty = derived(s, t->s);
	if (m && depth < DERIVED) {
		m->name[m->next] = t->s;
		m->type[m->next] = ty;
		m->next = (m->next + 1) % SQL_KNOWN;
	}
	return ty;
}

/* One operand: what stands at t and nothing else before end. */
static struct coltype primary(const struct sql *s, tokp t, tokp end, int depth, bool ask)
{
	struct coltype ty;
	bool serial;
	long long v;
	unsigned k;
	tokp to, p;

	while (t < end && (lex_is(t, "-") || lex_is(t, "+")))
		t++;
	if (t == end)
		return of(0);
	switch (t->kind) {
	case LEX_INT:
		v = t->n > 18 ? INT64_MAX : atoll(t->s);
		return of(t->n > 18 ? T_NUMERIC : v > INT32_MAX ? T_INT8 : T_INT4);
	case LEX_NUMBER:
		{
			const char *dot = memchr(t->s, '.', t->n);
			size_t i;

			for (i = 0; i < t->n && t->s[i] != 'e' && t->s[i] != 'E'; i++)
				;
			return i < t->n ? of(T_NUMERIC) : numeric(dot ? (int)(t->s + t->n - dot) - 1 : 0);
		}
	case LEX_STRING:
		return of(T_TEXT);
	case LEX_PARAM:
		k = (unsigned)atoi(t->s);
		return k && k <= s->n_params && s->params[k - 1].oid ? s->params[k - 1] : of(0);
	case LEX_OP:
		if (lex_is(t, "(") && lex_is(t + 1, "select")) {
			p = select_list(t + 1, lex_close(t), &to);
			return expr(s, p, sql_comma(p, to), depth + 1);
		}
		return lex_is(t, "(") ? expr(s, t + 1, lex_close(t), depth + 1) : of(0);
	case LEX_QUOTED:
		return name(s, t, end, depth, ask);
	case LEX_ID:
		break;
	default:
		return of(0);
	}
	if (lex_is(t, "true") || lex_is(t, "false") || lex_is(t, "exists"))
		return of(T_BOOL);
	if (lex_is(t, "null"))
		return of(T_TEXT);
	if (lex_is(t, "current_timestamp"))
		return of(T_TIMESTAMPTZ);
	if (lex_is(t, "current_date"))
		return of(T_DATE);
	if (lex_is(t, "localtimestamp"))
		return of(T_TIMESTAMP);
	if (lex_is(t, "current_user") || lex_is(t, "session_user") || lex_is(t, "user"))
		return of(T_NAME);
	if (lex_is(t, "array"))
		return of(t[1].kind == LEX_OP && t[2].kind == LEX_INT ? T_INT4_ARRAY : T_TEXT_ARRAY);
	if (lex_is(t, "case")) {
		for (p = t + 1; p < end; p = step(p, end))
			if (lex_is(p, "then")) {
				for (to = p + 1; to < end && !lex_is(to, "when") && !lex_is(to, "else") && !lex_is(to, "end");
				     to = step(to, end))
					;
				return expr(s, p + 1, to, depth + 1);
			}
		return of(0);
	}
	if (t + 1 < end && t[1].kind == LEX_STRING && type_parse(t, &ty, &serial) == 1)
		return ty;
	return name(s, t, end, depth, ask);
}

static bool is_time(uint32_t oid)
{
	return oid == T_DATE || oid == T_TIMESTAMP || oid == T_TIMESTAMPTZ || oid == T_TIME || oid == T_INTERVAL;
}

/* Of a date + 1, a timestamp - a timestamp ...; a 0 at its beginning. 0: who knows. */
static uint32_t time_result(uint32_t a, tokp op, uint32_t b)
{
	bool plus = op && lex_is(op, "+"), minus = op && lex_is(op, "-");

	if (!op)
		return b;
	if (!plus && !minus)
		return a == T_INTERVAL || b == T_INTERVAL ? T_INTERVAL : 0;
	if (a == T_DATE && b == T_DATE)
		return minus ? T_INT4 : 0;
	if ((a == T_DATE && rank_of(b)) || (b == T_DATE && rank_of(a)))
		return T_DATE;
	if (is_time(a) && is_time(b) && a != T_INTERVAL && b != T_INTERVAL)
		return minus ? T_INTERVAL : a == T_DATE || b == T_DATE ? T_TIMESTAMP : 0;
	if (a == T_INTERVAL && b == T_INTERVAL)
		return T_INTERVAL;
	if (b == T_INTERVAL || a == T_INTERVAL) {
		a = a == T_INTERVAL ? b : a;
		return a == T_DATE ? T_TIMESTAMP : is_time(a) ? a : 0;
	}
	return 0;
}

static struct coltype expr(const struct sql *s, tokp t, tokp end, int depth)
{
	static const char *const logic[] = { "and", "or", "not", "=", "<", ">", "<=", ">=", "<>", "!=", "like", "ilike",
					     "in", "is", "between", "~", "!~", "~*", "!~*", "isnull", "notnull", NULL };
	static const char *const arith[] = { "+", "-", "*", "/", "%", NULL };
	struct coltype best = of(0), ty;
	bool open = false, math = false, ask = depth > 0 || lex_is(t, "-");
	int scale = 0, term = 0, of_one;
	tokp p, from, op = NULL;
	bool serial;
	unsigned n;

	if (depth > DEEPEST || t >= end)
		return of(0);
	for (p = t; p < end; p = step(p, end))
		if (is_any(p, logic) && !(p == t && lex_is(p, "~")))
			return of(T_BOOL);
	for (p = t; p < end; p = step(p, end))
		if (lex_is(p, "||"))
			return of(T_TEXT);
	for (p = t; p < end; p = step(p, end))
		if (lex_are(p, "at time zone"))
			return of(expr(s, t, p, depth + 1).oid == T_TIMESTAMPTZ ? T_TIMESTAMP : T_TIMESTAMPTZ);
	for (p = t; p < end; p = step(p, end))
		ask |= is_any(p, arith);
	/* Operands of arithmetic, each with its casts. */
	for (from = p = t; p <= end; p = p < end ? step(p, end) : end + 1) {
		if (p < end && !(is_any(p, arith) && p > from))
			continue;
		math |= p < end;
		ty = of(0);
		{
			tokp q, last = NULL;

			for (q = from; q < p; q = step(q, p))
				if (lex_is(q, "::"))
					last = q;
			if (last) {
				n = type_parse(last + 1, &ty, &serial);
				if (!n)
					ty = of(0);
			} else {
				ty = primary(s, from, p, depth, ask);
			}
		}
		if (!math && p == end)
			return ty;
		if (is_time(ty.oid) || is_time(best.oid)) {
			best = of(time_result(best.oid, op, ty.oid));
			if (!best.oid)
				return best;
		} else if (!rank_of(ty.oid)) {
			open = true;
		} else if (rank_of(ty.oid) > rank_of(best.oid)) {
			best = of(ty.oid);
		}
		/* Digits behind the point: of a product the sum, else the most. */
		of_one = scale_of(ty);
		if (!op || lex_is(op, "+") || lex_is(op, "-")) {
			scale = scale < 0 || term < 0 ? -1 : term > scale ? term : scale;
			term = of_one;
		} else if (lex_is(op, "*")) {
			term = term < 0 || of_one < 0 ? -1 : term + of_one;
		} else {
			term = lex_is(op, "/") || term < 0 || of_one < 0 ? -1 : of_one > term ? of_one : term;
		}
		op = p;
		from = p + 1;
	}
	if (is_time(best.oid))
		return best;
	scale = scale < 0 || term < 0 ? -1 : term > scale ? term : scale;
	return open && rank_of(best.oid) < 4 ? of(0) : best.oid == T_NUMERIC && !open ? numeric(scale) : best;
}

struct coltype sql_type(const struct sql *s, tokp t, tokp end)
{
	return expr(s, t, end, 1);
}

/* *weak: a type's name, or CASE, or none: a name of something around it is better. */
static char *named(tokp t, tokp end, bool *weak)
{
	static const char *const words[] = { "and", "or", "not", "like", "ilike", "in", "is", "between", "isnull", "notnull", NULL };
	struct coltype ty;
	tokp p, cast = NULL, to;
	char *inner = NULL;
	bool serial;

	*weak = false;
	for (p = t; p < end; p = step(p, end)) {
		if (lex_are(p, "at time zone"))
			return strdup("timezone");
		if (lex_is(p, "::"))
			cast = p;
		else if (is_any(p, words) || (p->kind == LEX_OP && !lex_is(p, ".") && !lex_is(p, "(") && !lex_is(p, "[")))
			goto none;
	}
	if (cast) {
		inner = named(t, cast, weak);
		if (inner && !*weak)
			return inner;
		free(inner);
		*weak = true;
		return strdup(type_parse(cast + 1, &ty, &serial) ? type_of(ty.oid)->name : "?column?");
	}
	if (lex_is(t, "(")) {
		if (!lex_is(t + 1, "select"))
			return named(t + 1, lex_close(t), weak);
		p = select_list(t + 1, lex_close(t), &to);
		end = sql_comma(p, to);
		for (to = p; to < end; to++)
			if (lex_is(to, "as") && lex_name(to + 1))
				return strdup(to[1].s);
		return named(p, end, weak);
	}
	if (t->kind == LEX_QUOTED && t + 1 == end)
		return strdup(t->s);
	if (!lex_name(t) || lex_is(t, "null") || (t + 1 == end && (lex_is(t, "true") || lex_is(t, "false"))))
		goto none;
	if (lex_is(t, "case")) {
		for (p = t + 1; p < end && !lex_is(p, "else") && !lex_is(p, "end"); p = step(p, end))
			;
		for (to = p + 1; lex_is(p, "else") && to < end && !lex_is(to, "end"); to = step(to, end))
			;
		if (lex_is(p, "else"))
			inner = named(p + 1, to, weak);
		if (inner && !*weak)
			return inner;
		free(inner);
		*weak = true;
		return strdup("case");
	}
	if (lex_is(t, "cast")) {
		for (p = t + 2; p < end && !lex_is(p, "as"); p = step(p, end))
			;
		inner = named(t + 2, p, weak);
		if (inner && !*weak)
			return inner;
		free(inner);
		*weak = true;
		return strdup(p < end && type_parse(p + 1, &ty, &serial) ? type_of(ty.oid)->name : "cast");
	}
	if (t + 1 < end && t[1].kind == LEX_STRING && type_parse(t, &ty, &serial) == 1) {
		*weak = true;
		return strdup(type_of(ty.oid)->name);
	}
	while (t + 2 < end && lex_is(t + 1, "."))
		t += 2;
	if (lex_is(t, "trim"))
		return strdup(lex_is(t + 2, "leading") ? "ltrim" : lex_is(t + 2, "trailing") ? "rtrim" : "btrim");
	return strdup(t->s);
none:
	*weak = true;
	return strdup("?column?");
}

static char *name_of(tokp t, tokp end)
{
	bool weak;

	return named(t, end, &weak);
}

static bool column(struct sql *s, tokp t, tokp end)
{
	struct sql_col *c = realloc(s->cols, (s->n_cols + 1) * sizeof(*c));
	static const char *const no_alias[] = { "end", "null", "true", "false", "desc", "asc", "isnull", "notnull", NULL };
	tokp p;

	if (!c)
		return false;
	s->cols = c;
	c += s->n_cols++;
	*c = (struct sql_col){ 0 };
	if (t < end && lex_is(end - 1, "*") && (end - 1 == t || lex_is(end - 2, "."))) {
		c->star = true;
		return true;
	}
	if (end - t >= 3 && lex_is(end - 2, "as")) {
		c->name = strdup(end[-1].s);
		end -= 2;
	} else if (end - t >= 2 && lex_name(end - 1) && !is_any(end - 1, no_alias) && !lex_is(end - 2, ".") &&
		   !lex_is(end - 2, "::") && (end[-2].kind != LEX_OP || lex_is(end - 2, ")") || lex_is(end - 2, "]")) &&
		   !is_any(end - 2, (const char *const[]){ "is", "not", "and", "or", "precision", "time", "from", "double",
							 "character", "distinct", "over", NULL }) &&
		   !(end - t >= 3 && end[-2].kind == LEX_STRING && lex_is(end - 3, "interval")) && !lex_is(end - 1, "zone") && !lex_is(end - 1, "precision") && !lex_is(end - 1, "varying")) {
		c->name = strdup(end[-1].s);
		end -= 1;
	} else {
		c->name = t < end ? name_of(t, end) : NULL;
	}
	if (t < end)
		c->type = expr(s, t, end, 0);
	for (p = t; p + 2 < end && lex_name(p) && lex_is(p + 1, "."); p += 2)
		;
	if (p + 1 == end && lex_name(p) && !c->type.oid)
		c->derived = derived(s, p->s);
	return c->name || t == end;
}

bool sql_columns(struct sql *s, tokp t, tokp end)
{
	static const char *const verbs[] = { "select", "returning", "values", "table", NULL };
	tokp to, comma;

	while (t < end && lex_is(t, "(")) {
		end = lex_close(t) < end ? lex_close(t) : end;
		t++;
	}
	/* The main SELECT, or what stands behind RETURNING. */
	if (s->kind == SQL_WRITE) {
		for (; t < end && !lex_is(t, "returning"); t = step(t, end))
			;
	} else {
		for (; t < end && !is_any(t, verbs); t = step(t, end))
			;
	}
	if (t == end)
		return true;
	if (lex_is(t, "values")) {
		unsigned k = 0;

		if (!lex_is(t + 1, "("))
			return true;
		to = lex_close(t + 1);
		for (t += 2; t < to; t = comma + 1) {
			char name[32];

			comma = sql_comma(t, to);
			if (!column(s, t, comma))
				return false;
			free(s->cols[s->n_cols - 1].name);
			sprintf(name, "column%u", ++k);
			s->cols[s->n_cols - 1].name = strdup(name);
		}
		return true;
	}
	if (lex_is(t, "table"))
		return true;
	if (lex_is(t, "returning")) {
		t++;
		to = end;
	} else {
		t = select_list(t, end, &to);
	}
	for (; t < to; t = comma + 1) {
		comma = sql_comma(t, to);
		if (!column(s, t, comma))
			return false;
	}
	return true;
}
