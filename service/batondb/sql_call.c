// SPDX-License-Identifier: GPL-2.0-or-later
/* Functions with a syntax of their own, and those that are tables. */
#include "sql_out.h"

#include <string.h>

/* f(a FROM b FOR c): f(a, b, c). */
static void with_words(struct out *o, const struct lex_tok *name, const char *f, const struct lex_tok *close,
		       const char *const *words)
{
	const struct lex_tok *t = name + 2, *to;

	out_id(o, f, name);
	out_op(o, "(", name);
	while (t < close) {
		to = sql_word(t, close, words);
		sql_range(o, t, to);
		if (to < close)
			out_op(o, ",", to);
		t = to + (to < close);
	}
	out_op(o, ")", close);
}

/* A function in FROM: its result's column is called as its alias is, else as itself. */
const struct lex_tok *call_table(struct out *o, const struct lex_tok *t, const struct lex_tok *close,
				    const struct lex_tok *end)
{
	static const char *const no_alias[] = {
		"where", "order", "group", "limit", "join", "cross", "left", "right", "inner", "full", "natural", "union", "on",
		"offset", "having", "returning", "with", NULL,
	};
	const struct lex_tok *w = close + 1, *col = t, *alias = t, *nr = NULL, *after;
	bool counted = close + 2 < end && lex_are(close + 1, "with ordinality");

	w += counted ? 2 : 0;
	after = w;
	if (w < end && lex_is(w, "as"))
		w++;
	if (w < end && lex_name(w) && sql_word(w, w + 1, no_alias) != w) {
		alias = col = w++;
		if (w + 2 < end && lex_is(w, "(") && lex_name(w + 1) && lex_is(w + 2, ")")) {
			col = w + 1;
			w += 3;
		} else if (counted && w + 4 < end && lex_is(w, "(") && lex_name(w + 3) && lex_is(w + 4, ")")) {
			col = w + 1;
			nr = w + 3;
			w += 5;
		}
	} else {
		w = after;
	}
	out_op(o, "(select value as", t);
	out_put(o, col->kind, col->s, col->n, col);
	if (counted) {
		out_op(o, ", rowid + 1 as", t);
		out_put(o, nr ? nr->kind : LEX_ID, nr ? nr->s : "ordinality", nr ? nr->n : 10, nr ? nr : t);
	}
	if (lex_is(t, "generate_series")) {
		out_op(o, "from generate_series", t);
		sql_range(o, t + 1, close + 1);
	} else {
		out_op(o, "from baton_unnest", t);
		if (!lex_is(t, "unnest"))
			out_op(o, lex_is(t, "string_to_table") ? "(string_to_array" : "(regexp_split_to_array", t);
		sql_range(o, t + 1, close + 1);
		if (!lex_is(t, "unnest"))
			out_op(o, ")", t);
	}
	out_op(o, ") as", t);
	out_put(o, alias->kind, alias->s, alias->n, alias);
	return w;
}

/* The one call of generate_series() or unnest() in the SELECT list of a query without FROM; or NULL. */
const struct lex_tok *call_lone_series(const struct lex_tok *t, const struct lex_tok *end, const struct lex_tok **to)
{
	static const char *const ends[] = { "from", "where", "group", "having", "order", "limit", "union", "except", "intersect",
					    "offset", "fetch", NULL };
	const struct lex_tok *p, *found = NULL;

	*to = sql_word(t, end, ends);
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
const struct lex_tok *call_special(struct out *o, const struct lex_tok *t, const struct lex_tok *end)
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
		out_id(o, "baton_array", t);
		out_op(o, "(", t);
		sql_range(o, t + 2, close);
		out_op(o, ")", close);
		return close + 1;
	}
	if ((t[1].kind == LEX_STRING) && type_parse(t, &type, &serial) == 1) {
		begin = o->n;
		out_string(o, t + 1, t + 1);
		if (type.oid == T_INTERVAL && t + 2 < end && sql_is_field(t + 2) && !lex_is(t + 3, "to")) {
			out_op(o, ",", t + 1);
			out_string(o, t + 2, t + 2);
			out_cast(o, begin, type, t);
			return t + 3;
		}
		out_cast(o, begin, type, t);
		return t + 2;
	}
	if (t + 3 < end && lex_are(t, "at time zone")) {
		w = calc_operand_end(t + 3, end);
		if (out_left_of(o, t, &begin) && w > t + 3)
			return calc_call(o, begin, "baton_zone", NULL, t + 2, w);
	}
	if (!lex_is(t + 1, "("))
		return NULL;
	close = lex_close(t + 1);
	if (close >= end)
		return NULL;
	if (lex_is(t, "left") || lex_is(t, "right")) {
		out_id(o, lex_is(t, "left") ? "baton_left" : "baton_right", t);
		sql_range(o, t + 1, close + 1);
		return close + 1;
	}
	if (lex_is(t, "cast")) {
		w = sql_word(t + 2, close, as);
		if (w == close || !type_parse(w + 1, &type, &serial)) {
			out_stop(o, "42704", w, "CAST needs AS and a type that there is");
			return close + 1;
		}
		begin = o->n;
		sql_range(o, t + 2, w);
		if (o->n > begin + 1) {
			out_put_at(o, begin, LEX_OP, "(", 1, t->at);
			out_op(o, ")", t);
		}
		out_cast_from(o, begin, out_type_at(o, t + 2, w), type, t);
		return close + 1;
	}
	if (lex_is(t, "extract") && (t[2].kind == LEX_ID || t[2].kind == LEX_STRING) && lex_is(t + 3, "from")) {
		out_id(o, "date_part", t);
		out_op(o, "(", t);
		out_string(o, t + 2, t + 2);
		out_op(o, ",", t);
		sql_range(o, t + 4, close);
		out_op(o, ")", close);
		return close + 1;
	}
	if (lex_is(t, "string_agg") || lex_is(t, "array_agg")) {
		static const char *const order[] = { "order", NULL };
		const struct lex_tok *by = sql_word(t + 2, close, order), *value = t + 2 + lex_is(t + 2, "distinct"), *key, *to, *last;

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
			out_id(o, "baton_agg_by(", t);
			out_own(o, LEX_STRING, &text, t);
			out_op(o, ",", t);
			w = sql_comma(value, by);
			sql_range(o, value, w);
			out_op(o, ",", t);
			if (w < by)
				sql_range(o, w + 1, by);
			else
				out_id(o, "null", t);
			if (by == close) {
				out_op(o, ",", t);
				sql_range(o, value, w);
			}
			for (key = by + 2; key < close; key = to + 1) {
				to = sql_comma(key, close);
				last = to - 2 * (to - 2 > key && lex_is(to - 2, "nulls"));
				last -= last - 1 > key && (lex_is(last - 1, "desc") || lex_is(last - 1, "asc"));
				out_op(o, ",", t);
				sql_range(o, key, last);
			}
			out_op(o, ")", close);
			return close + 1;
		}
	}
	if (lex_is(t, "pg_typeof")) {
		type = out_type_at(o, t + 2, close);
		if (t[2].kind == LEX_STRING || lex_is(t + 2, "null"))
			type.oid = T_UNKNOWN;
		buf_init(&text, 100);
		buf_fmt(&text, "'%s'", type_of(type.oid ? type.oid : T_TEXT)->sql);
		out_own(o, LEX_STRING, &text, t);
		return close + 1;
	}
	if (lex_is(t, "overlay")) {
		static const char *const placing[] = { "placing", "from", "for", NULL };

		with_words(o, t, "overlay", close, placing);
		return close + 1;
	}
	w = lex_is(t, "substring") ? sql_word(t + 2, close, from) : close;
	if (w < close && w[1].kind == LEX_STRING) {
		with_words(o, t, "regexp_substr", close, from);
		return close + 1;
	}
	if (lex_is(t, "substring") && sql_word(t + 2, close, from_for) < close) {
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
		begin = sql_word(w, close, from) < close;
		out_id(o, f, t);
		out_op(o, "(", t);
		if (begin) {
			const struct lex_tok *at = sql_word(w, close, from);

			sql_range(o, at + 1, close);
			if (at > w) {
				out_op(o, ",", at);
				sql_range(o, w, at);
			}
		} else {
			sql_range(o, w, close);
		}
		out_op(o, ")", close);
		return close + 1;
	}
	if (lex_is(t, "array") && lex_is(t + 2, "select")) {
		out_op(o, "(with baton_a(x) as (", t);
		sql_range(o, t + 2, close);
		out_op(o, ") select coalesce(array_agg(x), '{}') from baton_a)", close);
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
		sql_range(o, op, op + 1);
		o->alone = false;
		return close + 1;
	}
	if ((lex_is(t, "generate_series") || lex_is(t, "unnest") || lex_is(t, "regexp_split_to_table") ||
	     lex_is(t, "string_to_table")) && o->n &&
	    (piece_is(&o->p[o->n - 1], "from") || piece_is(&o->p[o->n - 1], ",") || piece_is(&o->p[o->n - 1], "join")))
		return call_table(o, t, close, end);
	if ((lex_is(t, "any") || lex_is(t, "some") || lex_is(t, "all")) && o->n && !lex_is(t + 2, "select")) {
		bool all = lex_is(t, "all");
		struct piece *last = &o->p[o->n - 1];

		if (!piece_is(last, all ? "<>" : "=") && !(all && piece_is(last, "!=")))
			return NULL;
		last->s = all ? "not in" : "in";
		last->n = strlen(last->s);
		out_op(o, "(select value from baton_unnest(", t);
		sql_range(o, t + 2, close);
		out_op(o, "))", close);
		return close + 1;
	}
	if ((lex_is(t, "any") || lex_is(t, "some")) && o->n && piece_is(&o->p[o->n - 1], "=")) {
		o->p[o->n - 1].s = "in";
		o->p[o->n - 1].n = 2;
		sql_range(o, t + 1, close + 1);
		return close + 1;
	}
	return NULL;
}
