// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What INSERT and UPDATE put into a column becomes a value of the column's type:
 * PostgreSQL casts where SQLite would store what it is given, or refuse it. And
 * what of INSERT, UPDATE and DELETE SQLite does not have: DEFAULT as a value, fewer
 * values than the table has columns, a query in parentheses, USING, an alias
 * behind RETURNING.
 *
 * The values are looked for before the statement is written; sql_range() asks
 * here when it comes to one. The rows of a query go through another one:
 *
 *	with baton_rows ("0", "1") as (QUERY) select "0", baton_int4("1") from baton_rows where true
 *
 * (Without a WHERE SQLite would read the ON of ON CONFLICT as a join's.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql_out.h"

typedef const struct lex_tok *tokp;

enum what {
	VALUE,			/* [from, to) is put into a column of this type */
	DEFAULT,		/* DEFAULT is, at from */
	QUERY,			/* [from, to) is, column by column */
	COLUMNS,		/* in front of from stands no list of columns, and these n are meant */
	NOTHING,		/* is written for [from, to) */
	USING,			/* the other tables of a DELETE, and its WHERE */
};

struct assigned {
	enum what what;
	tokp from, to;
	struct coltype type;
	const char *def;
	unsigned n;
};

struct assign {
	struct assigned *a;
	unsigned n, cap, next;
	const char *table;
	struct sql_fields *fields;	/* NULL: not asked yet, or there are none */
	/* What an INSERT puts values into, and what its query's columns are. */
	struct target {
		const char *name;
		struct coltype type, is;
	} *target;
	unsigned n_target;
};

static void add(struct out *o, struct assigned one)
{
	struct assign *as = o->assign;

	if (as->n == as->cap) {
		struct assigned *a = realloc(as->a, (as->cap ? 2 * as->cap : 16) * sizeof(*a));

		if (!a) {
			out_stop(o, "53200", NULL, "out of memory");
			return;
		}
		as->a = a;
		as->cap = as->cap ? 2 * as->cap : 16;
	}
	as->a[as->n++] = one;
}

static const struct sql_fields *fields(struct out *o)
{
	struct assign *as = o->assign;

	if (!as->fields)
		as->fields = o->sql->schema->fields(o->sql->schema_arg, as->table);
	return as->fields;
}

static bool is_whole(uint32_t oid)
{
	return oid == T_INT2 || oid == T_INT4 || oid == T_INT8 || oid == T_OID;
}

static size_t characters(tokp t)
{
	size_t i, n = 0;

	for (i = 0; i < t->n; i++)
		n += (t->s[i] & 0xc0) != 0x80;
	return n;
}

/* Nothing is to be done with an is (oid 0: who knows), to be a t. text: it is this string, or NULL. */
static bool as_it_is(struct coltype t, struct coltype is, tokp text)
{
	switch (t.oid) {
	case T_INT2:
	case T_INT4:
	case T_INT8:
		/* Its range is checked by the table. */
		return is_whole(is.oid);
	case T_NUMERIC:
		if (t.mod < 4 || is_whole(is.oid))
			return true;
		return is.oid == T_NUMERIC && is.mod >= 4 && ((is.mod - 4) & 0xffff) <= ((t.mod - 4) & 0xffff);
	case T_BOOL:
	case T_DATE:
	case T_TIME:
	case T_TIMESTAMP:
	case T_TIMESTAMPTZ:
	case T_INTERVAL:
	case T_UUID:
		return is.oid == t.oid;
	case T_JSON:
	case T_JSONB:
		return is.oid == T_JSON || is.oid == T_JSONB;
	case T_VARCHAR:
		return is.oid != T_BOOL && is.oid != T_NUMERIC && (t.mod < 4 || (text && characters(text) <= (size_t)t.mod - 4));
	case T_BPCHAR:
		return text && (!text->n || text->s[text->n - 1] != ' ');
	case T_TEXT:
		return is.oid != T_BOOL && is.oid != T_NUMERIC;
	default:
		return true;
	}
}

static bool takes_no_number(uint32_t oid)
{
	return oid == T_BOOL || oid == T_DATE || oid == T_TIME || oid == T_TIMESTAMP || oid == T_TIMESTAMPTZ || oid == T_INTERVAL ||
	       oid == T_UUID || oid == T_JSON || oid == T_JSONB;
}

/* A number is no boolean and no time, nor a boolean a number: where that is plain to see. */
static bool may_be(struct out *o, const char *column, struct coltype t, struct coltype is, tokp from, tokp to)
{
	char said[200];

	if (to != from + 1 || !(type_is_number(t.oid) || t.oid == T_OID ? lex_is(from, "true") || lex_is(from, "false") :
						   takes_no_number(t.oid) && (from->kind == LEX_INT || from->kind == LEX_NUMBER)))
		return true;
	snprintf(said, sizeof(said), "column \"%.60s\" is of type %s but expression is of type %s", column, type_of(t.oid)->sql,
		 type_of(is.oid)->sql);
	out_stop(o, "42804", from, said);
	return false;
}

/* 1.1 * 3 has one digit behind the point, and as a double many. */
static struct coltype calculated(struct coltype t, struct coltype is)
{
	if (t.oid == T_NUMERIC && is.oid == T_NUMERIC)
		is.mod = -1;
	return is;
}

/* What [from, to) is, which is to be a t; oid 0: who knows. *text: it is this string, or NULL. */
static struct coltype type_at(struct out *o, struct coltype t, tokp from, tokp to, tokp *text)
{
	struct coltype is = { 0, -1 };
	bool one = to == from + 1;

	*text = one && from->kind == LEX_STRING ? from : NULL;
	if (!*text)
		is = out_type_at(o, from, to);
	/* What a client sends as one of these is taken as it comes. */
	if (one && from->kind == LEX_PARAM && (is.oid == T_TIME || is.oid == T_INTERVAL || is.oid == T_UUID || is.oid == T_JSON || is.oid == T_JSONB))
		is.oid = 0;
	return one ? is : calculated(t, is);
}

static void value(struct out *o, const char *column, struct coltype t, tokp from, tokp to)
{
	const struct sql_fields *f;
	struct coltype is;
	tokp text;
	unsigned i;

	if (from >= to || o->failed)
		return;
	if (to == from + 1 && lex_is(from, "default")) {
		f = fields(o);
		for (i = 0; f && i < f->n && strcmp(f->f[i].name, column); i++)
			;
		add(o, (struct assigned){ DEFAULT, from, to, t, f && i < f->n ? f->f[i].def : NULL, 0 });
		return;
	}
	if (!t.oid || (to == from + 1 && lex_is(from, "null")))
		return;
	is = type_at(o, t, from, to, &text);
	if (!may_be(o, column, t, is, from, to))
		return;
	if (!as_it_is(t, is, text)) {
		add(o, (struct assigned){ VALUE, from, to, t, NULL, 0 });
	} else if (to == from + 1 && from->kind == LEX_PARAM) {
		i = (unsigned)atoi(from->s);
		if (i && i <= o->sql->n_params && !o->sql->params[i - 1].oid)
			o->sql->params[i - 1] = (struct coltype){ t.oid, -1 };
	}
}

static struct coltype column_type(struct out *o, const char *column)
{
	return o->sql->schema->field(o->sql->schema_arg, o->assign->table, column);
}

/* The columns that are named at open, or (NULL) those of the table. */
static bool targets(struct out *o, tokp open)
{
	struct assign *as = o->assign;
	const struct sql_fields *f = NULL;
	unsigned n = 0;
	tokp p;

	if (open) {
		for (p = open + 1; p < lex_close(open); p++)
			n += lex_name(p);
	} else {
		f = fields(o);
		n = f ? f->n : 0;
	}
	as->target = n ? calloc(n, sizeof(*as->target)) : NULL;
	if (!as->target)
		return false;
	as->n_target = n;
	for (p = open ? open + 1 : NULL, n = 0; n < as->n_target; n++, p += open ? 1 : 0) {
		while (open && !lex_name(p))
			p++;
		as->target[n].name = open ? p->s : f->f[n].name;
		as->target[n].type = open ? column_type(o, p->s) : f->f[n].type;
	}
	return true;
}

static unsigned items(tokp t, tokp end)
{
	unsigned n = 0;

	for (; t < end; t = sql_comma(t, end) + 1)
		n++;
	return n;
}

/* The query [from, to), whose rows are put into the targets; at: where those would be named. */
static void query(struct out *o, tokp at, tokp from, tokp to, bool named)
{
	static const char *const clauses[] = { "from", "where", "group", "having", "order", "limit", "offset", "union", "intersect",
						  "except", "fetch", "for", "window", NULL };
	static const char *const sets[] = { "union", "intersect", "except", NULL };
	struct assign *as = o->assign;
	bool braced = lex_is(from, "(") && lex_close(from) + 1 == to, any = braced || lex_is(to, "on"), open = false;
	tokp t = from + braced, end = to - braced, p, list_end, comma, stop;
	unsigned n;

	if (lex_is(t, "select") && sql_word(t, end, sets) == end) {
		p = t + 1 + (lex_is(t + 1, "distinct") || lex_is(t + 1, "all"));
		list_end = sql_word(p, end, clauses);
		for (n = 0; p < list_end; p = comma + 1, n++) {
			comma = stop = sql_comma(p, list_end);
			open |= lex_is(comma - 1, "*") && (comma - 1 == p || lex_is(comma - 2, "."));
			if (stop - p > 2 && lex_is(stop - 2, "as"))
				stop -= 2;
			if (n < as->n_target && !open)
				as->target[n].is = calculated(as->target[n].type, sql_type(o->sql, p, stop));
		}
		if (!open && !named && n < as->n_target) {
			add(o, (struct assigned){ COLUMNS, at, at, { 0, -1 }, NULL, n });
			as->n_target = n;
		}
	}
	for (n = 0; n < as->n_target; n++) {
		struct target *x = &as->target[n];

		if (open)
			x->is = (struct coltype){ 0, -1 };
		/* The text of a query may be a string, whose type is open. */
		if (x->is.oid == T_TEXT)
			x->is.oid = 0;
		any |= !as_it_is(x->type, x->is, NULL);
	}
	if (any)
		add(o, (struct assigned){ QUERY, from, to, { 0, -1 }, NULL, 0 });
}

/* a = 1, (b, c) = (2, 3): where it ends. */
static tokp set_list(struct out *o, tokp t, tokp end)
{
	static const char *const ends[] = { "from", "where", "returning", NULL };
	tokp comma, p, close, q, to;

	end = sql_word(t, end, ends);
	for (; t < end; t = comma + 1) {
		comma = sql_comma(t, end);
		if (lex_name(t) && lex_is(t + 1, "=")) {
			value(o, t->s, column_type(o, t->s), t + 2, comma);
		} else if (lex_is(t, "(")) {
			close = lex_close(t);
			p = close + 2 + lex_is(close + 2, "row");
			if (p >= comma || !lex_is(close + 1, "=") || !lex_is(p, "("))
				continue;
			to = lex_close(p);
			if (lex_is(p + 1, "select") || lex_is(p + 1, "with")) {
				if (!o->assign->target && targets(o, t))
					query(o, p, p + 1, to, true);
				continue;
			}
			for (p++, q = t + 1; p < to && q < close; p = sql_comma(p, to) + 1, q += 2)
				if (lex_name(q))
					value(o, q->s, column_type(o, q->s), p, sql_comma(p, to));
		}
	}
	return end;
}

/* Where the query of an INSERT ends. */
static tokp query_end(tokp t, tokp end)
{
	static const char *const words[] = { "on", "returning", NULL };

	for (t = sql_word(t, end, words); t < end && lex_is(t, "on") && !lex_is(t + 1, "conflict"); t = sql_word(t + 1, end, words))
		;
	return t;
}

/* What stands behind INSERT INTO table; where that ends. */
static tokp insert_into(struct out *o, tokp t, tokp end)
{
	struct assign *as = o->assign;
	tokp open = NULL, at = t, row, close, p, to;
	unsigned n;

	if (lex_is(t, "(") && !lex_is(t + 1, "select") && !lex_is(t + 1, "with") && !lex_is(t + 1, "values") && !lex_is(t + 1, "(")) {
		open = t;
		t = lex_close(t) + 1;
	}
	if (lex_is(t, "overriding"))
		t += 3;
	if (t >= end || lex_is(t, "default") || !targets(o, open))
		return t;
	if (lex_is(t, "values")) {
		for (t++; t < end && lex_is(t, "("); t += lex_is(t, ",")) {
			close = lex_close(t);
			row = t + 1;
			if (!open && t == at + 1 && items(row, close) < as->n_target)
				add(o, (struct assigned){ COLUMNS, at, at, { 0, -1 }, NULL, items(row, close) });
			for (p = row, n = 0; p < close && n < as->n_target; p = to + 1, n++) {
				to = sql_comma(p, close);
				value(o, as->target[n].name, as->target[n].type, p, to);
			}
			t = close + 1;
		}
	} else {
		to = query_end(t, end);
		query(o, at, t, to, open != NULL);
		t = to;
	}
	if (t < end && lex_is(t, "on")) {
		static const char *const words[] = { "set", "returning", NULL };

		t = sql_word(t, end, words);
		if (lex_is(t, "set"))
			t = set_list(o, t + 1, end);
	}
	return t;
}

void assign_find(struct out *o, tokp t, tokp end)
{
	static const char *const verbs[] = { "insert", "update", "delete", "select", NULL };
	static const char *const returning[] = { "returning", NULL };
	tokp alias = NULL;
	bool update, insert;

	if (!o->sql || !o->sql->schema)
		return;
	t = sql_word(t, end, verbs);
	update = lex_is(t, "update");
	if (t >= end || (!update && !lex_are(t, "insert into") && !lex_are(t, "delete from")))
		return;
	o->assign = calloc(1, sizeof(*o->assign));
	if (!o->assign) {
		out_stop(o, "53200", NULL, "out of memory");
		return;
	}
	insert = lex_is(t, "insert");
	t += update ? 1 : 2;
	t += lex_is(t, "only");
	if (lex_name(t) && lex_is(t + 1, "."))
		t += 2;
	if (!lex_name(t))
		return;
	o->assign->table = t->s;
	t++;
	if (lex_is(t, "as") && lex_name(t + 1))
		alias = t + 1;
	else if (!insert && lex_name(t) && !lex_is(t, "set") && !lex_is(t, "using") && !lex_is(t, "where") && !lex_is(t, "returning"))
		alias = t;
	t = alias ? alias + 1 : t;
	if (insert)
		t = insert_into(o, t, end);
	else if (update && lex_is(t, "set"))
		t = set_list(o, t + 1, end);
	else if (!update && lex_is(t, "using"))
		add(o, (struct assigned){ USING, t, sql_word(t, end, returning), { 0, -1 }, alias ? alias->s : NULL, 0 });
	/* There SQLite knows the table by its name alone. */
	for (t = sql_word(t, end, returning); alias && t < end; t++)
		if (lex_name(t) && !strcmp(t->s, alias->s) && lex_is(t + 1, "."))
			add(o, (struct assigned){ NOTHING, t, t + 2, { 0, -1 }, NULL, 0 });
}

/* What begins there, of type is, as a t. */
static void cast(struct out *o, unsigned begin, struct coltype is, struct coltype t, tokp src)
{
	struct buf b;

	switch (t.oid) {
	case T_VARCHAR:
		if (t.mod < 4 || is.oid == T_BOOL || is.oid == T_NUMERIC)
			out_cast_from(o, begin, is, (struct coltype){ T_TEXT, -1 }, src);
		if (t.mod < 4)
			break;
		out_call(o, begin, "baton_fit", src);
		buf_init(&b, 100);
		buf_fmt(&b, ", %d", t.mod - 4);
		out_own(o, LEX_OP, &b, src);
		out_op(o, ")", src);
		break;
	case T_BPCHAR:
		out_call(o, begin, "rtrim", src);
		out_op(o, ", ' ')", src);
		break;
	default:
		out_cast_from(o, begin, is, t, src);
	}
}

/* All of [t, end), as a value of this type. */
static void put(struct out *o, tokp t, tokp end, struct coltype type)
{
	tokp text;
	struct coltype is = type_at(o, type, t, end, &text);
	int as_bool = text && type.oid == T_BOOL ? bool_parse(t->s, t->n) : -1;
	unsigned begin = o->n;

	if (as_bool >= 0) {
		out_id(o, as_bool ? "true" : "false", t);
		return;
	}
	sql_range(o, t, end);
	if (type.oid && !(end == t + 1 && lex_is(t, "null")) && !as_it_is(type, is, text))
		cast(o, begin, is, type, t);
}

static void rows(struct out *o, const struct assigned *a)
{
	struct assign *as = o->assign;
	tokp from = a->from, to = a->to;
	unsigned i, begin;
	struct buf b;

	if (lex_is(from, "(") && lex_close(from) == to - 1) {
		from++;
		to--;
	}
	buf_init(&b, 1 << 20);
	buf_str(&b, "with baton_rows (");
	for (i = 0; i < as->n_target; i++)
		buf_fmt(&b, "%s\"%u\"", i ? ", " : "", i);
	buf_str(&b, ") as (");
	out_own(o, LEX_OP, &b, from);
	sql_range(o, from, to);
	out_op(o, ") select", to - 1);
	for (i = 0; i < as->n_target; i++) {
		if (i)
			out_op(o, ",", to - 1);
		begin = o->n;
		buf_init(&b, 100);
		buf_fmt(&b, "\"%u\"", i);
		out_own(o, LEX_QUOTED, &b, to - 1);
		if (as->target[i].type.oid && !as_it_is(as->target[i].type, as->target[i].is, NULL))
			cast(o, begin, as->target[i].is, as->target[i].type, to - 1);
	}
	out_id(o, "from baton_rows where true", to - 1);
}

/* DELETE FROM t AS x USING y WHERE ... is DELETE FROM t AS x WHERE rowid IN (SELECT x.rowid FROM t AS x, y WHERE ...). */
static void other_tables(struct out *o, const struct assigned *a)
{
	const char *as = a->def ? a->def : o->assign->table;
	struct buf b;

	buf_init(&b, 1 << 16);
	buf_str(&b, "where rowid in (select ");
	buf_sql_id(&b, as, strlen(as));
	buf_str(&b, ".rowid from ");
	buf_sql_id(&b, o->assign->table, strlen(o->assign->table));
	buf_str(&b, " as ");
	buf_sql_id(&b, as, strlen(as));
	buf_ch(&b, ',');
	out_own(o, LEX_OP, &b, a->from);
	sql_range(o, a->from + 1, a->to);
	out_op(o, ")", a->to - 1);
}

const struct lex_tok *assign_at(struct out *o, tokp t)
{
	struct assign *as = o->assign;
	const struct assigned *a;
	struct buf b;
	unsigned i;

	if (!as || as->next == as->n || as->a[as->next].from != t)
		return NULL;
	a = &as->a[as->next++];
	switch (a->what) {
	case VALUE:
		put(o, a->from, a->to, a->type);
		break;
	case DEFAULT:
		buf_init(&b, 1 << 20);
		buf_fmt(&b, "(%s)", a->def ? a->def : "null");
		out_own(o, LEX_OP, &b, t);
		break;
	case QUERY:
		rows(o, a);
		break;
	case COLUMNS:
		buf_init(&b, 1 << 20);
		for (i = 0; i < a->n; i++) {
			buf_ch(&b, i ? ',' : '(');
			buf_sql_id(&b, as->target[i].name, strlen(as->target[i].name));
		}
		buf_ch(&b, ')');
		out_own(o, LEX_OP, &b, t);
		break;
	case NOTHING:
		break;
	case USING:
		other_tables(o, a);
		break;
	}
	return a->to;
}

void assign_free(struct out *o)
{
	if (!o->assign)
		return;
	free(o->assign->a);
	free(o->assign->fields);
	free(o->assign->target);
	free(o->assign);
	o->assign = NULL;
}

bool sql_assigned(struct buf *to, struct sql *s, tokp t, tokp end, struct coltype type, struct sql_error *e)
{
	struct out o = { .first = t, .e = e, .sql = s };

	put(&o, t, end, type);
	return out_finish(&o, to, NULL);
}
