// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rewriting, token by token. What takes more than one has files of its own:
 * sql_call.c, sql_calc.c, sql_clause.c, sql_assign.c; what is written is sql_out.c's.
 */
#include "sql_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
const struct lex_tok *sql_word(const struct lex_tok *t, const struct lex_tok *end, const char *const *words)
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

/* What an interval's number may count, behind it. */
bool sql_is_field(const struct lex_tok *t)
{
	static const char *const fields[] = { "year", "month", "day", "hour", "minute", "second", NULL };

	return sql_word(t, t + 1, fields) == t;
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

static bool joins_queries(const struct lex_tok *t)
{
	return lex_is(t, "union") || lex_is(t, "intersect") || lex_is(t, "except");
}

/* (SELECT ...) as one of those of a UNION and the like, or as all of a statement: SQLite does not take it. */
static bool in_braces(const struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	const struct lex_tok *close = lex_close(t), *before;

	if (o->alone || !lex_is(t, "(") || close >= end)
		return false;
	if (!lex_is(t + 1, "select") && !lex_is(t + 1, "values") && !lex_is(t + 1, "with") && !lex_is(t + 1, "("))
		return false;
	if (t == o->first)
		return o->sql != NULL;
	before = t - 1 - (lex_is(t - 1, "all") || lex_is(t - 1, "distinct"));
	return (before >= o->first && joins_queries(before)) || (lex_is(t - 1, "(") && close + 1 < end && joins_queries(close + 1));
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
		out_string(o, t, t);
		/* SQLite has no escape unless it is told. */
		if (o->n > 1 && memchr(t->s, '\\', t->n) && !lex_is(t + 1, "escape") &&
		    (piece_is(&o->p[o->n - 2], "like") || piece_is(&o->p[o->n - 2], "not like")))
			out_id(o, "escape '\\'", t);
		return t + 1;
	case LEX_BYTES:
		buf_init(&b, 1 << 30);
		buf_str(&b, "x");
		buf_sql_str(&b, t->s, t->n);
		out_own(o, LEX_STRING, &b, t);
		return t + 1;
	case LEX_QUOTED:
		if ((!strcmp(t->s, "public") || !strcmp(t->s, "pg_catalog")) && t + 1 < end && lex_is(t + 1, "."))
			return t + 2;
		buf_init(&b, 1 << 30);
		buf_sql_id(&b, t->s, t->n);
		out_own(o, LEX_QUOTED, &b, t);
		return t + 1;
	case LEX_PARAM:
		buf_init(&b, 100);
		buf_ch(&b, '?');
		buf_add(&b, t->s, t->n);
		buf_cstr(&b);
		out_own(o, LEX_PARAM, &b, t);
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
				next = out_left_of(o, t, &i);
				if (next)
					out_cast_from(o, i, out_type_at(o, next, t), type, t);
				else
					out_cast(o, out_operand(o), type, t);
			}
			return t + 1 + n;
		}
		if (lex_is(t, "[") && out_left_of(o, t, &i)) {
			out_call(o, i, "baton_item", t);
			out_op(o, ",", t);
			sql_range(o, t + 1, lex_close(t));
			out_op(o, ")", lex_close(t));
			return lex_close(t) + 1;
		}
		if (in_braces(o, t, end)) {
			out_id(o, "select * from", t);
			out_op(o, "(", t);
			sql_range(o, t + 1, lex_close(t));
			out_op(o, ")", lex_close(t));
			return lex_close(t) + 1;
		}
		if (!o->alone && (lex_is(t, "+") || lex_is(t, "-") || lex_is(t, "#") || lex_is(t, "^") || calc_factor(t))) {
			next = calc_operator(o, t, end);
			if (next)
				return next;
		}
		for (i = 0; i < sizeof(ops) / sizeof(*ops); i++)
			if (lex_is(t, ops[i].from) && (t->n > 1 || out_left_of(o, t, &n))) {
				out_op(o, ops[i].to, t);
				return t + 1;
			}
		out_put(o, LEX_OP, t->s, t->n, t);
		if (!lex_is(t, "/") && !lex_is(t, "%"))
			return t + 1;
		/* SQLite makes NULL of a division by zero. */
		next = calc_operand_end(t + 1, end);
		if (next == t + 1 || (next == t + 2 && (t[1].kind == LEX_INT || t[1].kind == LEX_NUMBER) && strpbrk(t[1].s, "123456789")))
			return t + 1;
		out_id(o, "baton_divisor", t + 1);
		out_op(o, "(", t + 1);
		sql_range(o, t + 1, next);
		out_op(o, ")", next - 1);
		return next;
	case LEX_ID:
		break;
	default:
		out_put(o, t->kind, t->s, t->n, t);
		return t + 1;
	}
	/* Names for PostgreSQL, and words for SQLite: any behind AS, and these anywhere in a query. */
	if ((o->n && piece_is(&o->p[o->n - 1], "as") && sqlite3_keyword_check(t->s, (int)t->n) && !lex_is(t + 1, "(") &&
	     !lex_is(t, "materialized") && !lex_is(t, "not") && !lex_is(t, "select") && !lex_is(t, "values") && !lex_is(t, "with")) ||
	    lex_is(t, "index") || lex_is(t, "transaction") || lex_is(t, "autoincrement") || lex_is(t, "commit")) {
		buf_init(&b, 1000);
		buf_sql_id(&b, t->s, t->n);
		out_own(o, LEX_QUOTED, &b, t);
		return t + 1;
	}
	if (t + 1 < end && lex_is(t + 1, ".")) {
		if (lex_is(t, "pg_catalog") || lex_is(t, "public"))
			return t + 2;
		if (lex_is(t, "information_schema") && t + 2 < end && lex_name(t + 2)) {
			buf_init(&b, 1000);
			buf_fmt(&b, "information_schema_%s", t[2].s);
			out_own(o, LEX_ID, &b, t);
			return t + 3;
		}
	}
	if (o->n && piece_is(&o->p[o->n - 1], ".")) {
		out_put(o, LEX_ID, t->s, t->n, t);
		return t + 1;
	}
	if (lex_are(t, "order by")) {
		out_id(o, "order by", t);
		return clause_order_by(o, t + 2, end);
	}
	if (lex_is(t, "limit") || lex_is(t, "offset") || lex_are(t, "fetch first") || lex_are(t, "fetch next") ||
	    lex_are(t, "for update") || lex_are(t, "for share") || lex_are(t, "for no key") || lex_are(t, "for key share"))
		return clause_limits(o, t, end);
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
		out_id(o, "on conflict", t);
		return t + 5;
	}
	next = clause_alias(o, t, end);
	if (next)
		return next;
	if (lex_is(t, "select")) {
		const struct lex_tok *to, *series = call_lone_series(t + 1, end, &to), *close = series ? lex_close(series + 1) : NULL;

		if (series && close < end) {
			out_id(o, "select", t);
			sql_range(o, t + 1, series);
			out_put(o, series->kind, series->s, series->n, series);
			sql_range(o, close + 1, to);
			out_id(o, "from", to - 1);
			call_table(o, series, close, close);
			return to;
		}
	}
	if (lex_are(t, "overriding system value") || lex_are(t, "overriding user value"))
		return t + 3;
	if (lex_is(t, "lateral"))
		out_stop(o, "0A000", t, "LATERAL is not supported");
	if (lex_are(t, "distinct on"))
		out_stop(o, "0A000", t, "SELECT DISTINCT ON is not supported");
	if (lex_are(t, "as materialized") || lex_are(t, "as not")) {
		out_id(o, "as", t);
		return t + (lex_are(t, "as not materialized") ? 3 : lex_are(t, "as materialized") ? 2 : 1);
	}
	if ((lex_is(t, "nextval") || lex_is(t, "setval")) && o->sql)
		o->sql->writes = true;
	next = call_special(o, t, end);
	if (next)
		return next;
	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (lex_is(t, words[i].from)) {
			/* An alias, or a column of a table that is called so. */
			if (o->n && piece_is(&o->p[o->n - 1], "as"))
				break;
			out_id(o, words[i].to, t);
			return t + 1 + 2 * (t + 2 < end && strstr(words[i].to, "()") && lex_is(t + 1, "(") && lex_is(t + 2, ")"));
		}
	out_put(o, LEX_ID, t->s, t->n, t);
	return t + 1;
}

void sql_range(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
{
	const struct lex_tok *next;

	while (t < end && !o->failed) {
		next = assign_at(o, t);
		t = next ? next : one(o, t, end);
	}
}

bool sql_expr(struct buf *to, const struct lex_tok *t, const struct lex_tok *end, struct sql_error *e)
{
	struct out o = { .first = t, .e = e };

	sql_range(&o, t, end);
	return out_finish(&o, to, NULL);
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
	for (k = 0; s->params && k < s->n_params && k < s->n_given; k++)
		s->params[k] = (struct coltype){ s->given[k], -1 };
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
		out_id(&o, "select * from", t);
		t++;
	}
	assign_find(&o, t, end);
	sql_range(&o, t, end);
	assign_free(&o);
	return out_finish(&o, &s->text, s) && (sql_columns(s, t, end) || sql_fail(e, "53200", NULL, "out of memory"));
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
