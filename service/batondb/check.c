// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "funcs.h"

typedef const struct lex_tok *tokp;

enum place { FREE, COMPARED, ASSIGNED, CALCULATED, TYPED };

/* Where a parameter or a text stands, and the type that this gives it. */
struct context {
	enum place place;
	uint32_t type;		/* 0: not known; T_REFUSED: any will do */
	bool column;		/* SQLite makes what is compared with it a value of its type */
};

struct check {
	sqlite3 *db;
	struct guard *g;
	tokp tok, end;
	sqlite3_stmt *find;
	/* INSERT INTO target (columns), or all of them; values: the first tuple's parenthesis. */
	const char *target;
	tokp columns, values;
	/* Found before: a column's type, the last text in a list behind IN, with its context, and the last tuple of VALUES. */
	const char *column;
	uint32_t column_type;
	tokp in_list, tuple;
	struct context in_context;
	unsigned long steps;		/* tokens that were looked at */
};

/* Tokens: so many take less than a second, and nothing ends a check that has begun. */
#define MOST_STEPS (1UL << 22)

static bool is_one_of(tokp t, const char *words)
{
	const char *p = t->kind == LEX_ID || t->kind == LEX_OP ? strstr(words, t->s) : NULL;

	while (p && (p[-1] != ' ' || p[t->n] != ' '))
		p = strstr(p + 1, t->s);
	return p != NULL;
}

static bool is_arithmetic(tokp t)
{
	return is_one_of(t, " + - * / % & | << >> ");
}

/* Before an operand of a comparison, and behind one: nothing here binds more closely. */
static bool begins_operand(tokp t)
{
	return t->kind == LEX_END || is_one_of(t, " ( , where and or on having not when then else select by set returning distinct all case ; ");
}

static bool ends_operand(tokp t)
{
	return t->kind == LEX_END || is_one_of(t, " ) , ; and or from where order group limit offset union except intersect returning then else "
						  "end as when having on join left right inner cross natural desc asc window collate nulls filter do ");
}

static bool is_keyword(tokp t)
{
	return t->kind == LEX_ID &&
	       is_one_of(t, " select from where and or not in is like glob between case when then else end null as on join left right inner "
			    "cross natural order group by having limit offset union except intersect all distinct insert into values update set "
			    "delete returning with recursive exists cast collate escape isnull notnull over partition filter using match regexp "
			    "raise default conflict do nothing replace ");
}

/*
 * Back from t to one of these words, or to the parenthesis that t is in (of one that closes: that opens it), or NULL; *nth: how many
 * commas are on the way. What is in parentheses is passed over.
 */
static tokp back_to(struct check *c, tokp t, const char *words, unsigned *nth)
{
	unsigned depth = 0;

	for (*nth = 0, t--; t >= c->tok; t--, c->steps++) {
		if (lex_is(t, ")"))
			depth++;
		else if (lex_is(t, "(") && !depth--)
			return t;
		else if (!depth && is_one_of(t, words))
			return t;
		*nth += !depth && lex_is(t, ",");
	}
	return NULL;
}

/* ----------------------------------------------------------------- columns */

/* The declared type of a table's column: of this name, or (name NULL) the nth one, as INSERT without a list has them. */
static uint32_t declared(struct check *c, const char *table, const char *name, int nth)
{
	enum guard_kind kind = c->g->kind;
	uint32_t type = 0;
	int rc = 0;

	if (name && !sqlite3_stricmp(name, "rowid"))
		return T_INT8;
	c->g->kind = GUARD_INTERNAL;
	if (!c->find)
		rc = sqlite3_prepare_v2(c->db, "select type from pragma_table_info(?1) where name = ?2 collate nocase or cid = ?3", -1, &c->find, NULL);
	if (!rc) {
		sqlite3_bind_text(c->find, 1, table, -1, SQLITE_STATIC);
		sqlite3_bind_text(c->find, 2, name, -1, SQLITE_STATIC);
		sqlite3_bind_int(c->find, 3, name ? -1 : nth);
		if (sqlite3_step(c->find) == SQLITE_ROW)
			type = type_of_decl((const char *)sqlite3_column_text(c->find, 0));
		sqlite3_reset(c->find);
	}
	c->g->kind = kind;
	return type == T_REFUSED ? 0 : type;
}

/* A name that the statement gives to something else, with AS, without, or in WITH x (name, ...), may mean that. */
static bool is_alias(struct check *c, const char *name)
{
	bool with = false;
	tokp t;

	for (t = c->tok; t < c->end; t++, c->steps++) {
		with = lex_is(t, "with") || (with && !lex_is(t, "select") && !lex_is(t, "values"));
		if (lex_name(t) && !sqlite3_stricmp(t->s, name) &&
		    (with || is_one_of(t - 1, " as ) end ") || (t[-1].kind != LEX_OP && t[-1].kind != LEX_END && !is_keyword(t - 1))))
			return true;
	}
	return false;
}

/* The type of all columns of this name that the statement reads or writes; they have to agree. */
static uint32_t find_column_type(struct check *c, tokp t)
{
	uint32_t type = 0, other;
	bool any = false;
	unsigned i;

	if (is_one_of(t, " current_timestamp current_date "))
		return T_TEXT;
	if (c->g->more || is_alias(c, t->s))
		return 0;
	for (i = 0; i < c->g->n; i++) {
		if (sqlite3_stricmp(c->g->columns[i].column, t->s))
			continue;
		other = declared(c, c->g->columns[i].table, t->s, 0);
		if (any && other != type)
			return 0;
		type = other;
		any = true;
	}
	return any || !is_one_of(t, " rowid oid _rowid_ ") ? type : T_INT8;
}

static uint32_t column_type(struct check *c, tokp t)
{
	if (!c->column || strcmp(c->column, t->s)) {
		c->column_type = find_column_type(c, t);
		c->column = t->s;
	}
	return c->column_type;
}

static uint32_t literal_type(tokp t)
{
	return t->kind == LEX_INT ? T_INT8 : t->kind == LEX_NUMBER ? T_FLOAT8 : t->kind == LEX_STRING ? T_TEXT :
	       t->kind == LEX_BLOB ? T_BYTEA : lex_is(t, "true") || lex_is(t, "false") ? T_BOOL : 0;
}

/*
 * The type of the operand whose last token (dir -1), or first one (dir 1), is t: a literal, a column, or a function's result.
 * Unless loose, what is beyond it has to end an operand: nothing binds it more closely.
 */
static uint32_t operand(struct check *c, tokp t, int dir, bool loose, bool *column)
{
	uint32_t type = literal_type(t);
	tokp first = t, last = t;
	unsigned nth;

	*column = false;
	if (dir < 0 && lex_is(t, ")")) {
		/* Parentheses alone say nothing. */
		first = back_to(c, t, "", &nth);
		if (!first)
			return 0;
		first--;
	} else if (dir > 0 && lex_is(t + 1, "(")) {
		last = lex_close(t + 1);
	}
	for (; dir < 0 && !lex_is(t, ")") && lex_is(first - 1, ".") && lex_name(first - 2); first -= 2)
		;
	for (; dir > 0 && !lex_is(last, ")") && lex_is(last + 1, ".") && lex_name(last + 2); last += 2)
		;
	if (!loose && (dir < 0 ? !begins_operand(first - 1) : !ends_operand(last + 1)))
		return 0;
	if (type)
		return type;
	if (lex_is(last, ")"))
		return !is_keyword(first) && funcs_allowed(first->s, &type) ? type : 0;
	if (!lex_name(last) || is_keyword(last))
		return 0;
	*column = !is_one_of(last, " current_timestamp current_date ");
	return column_type(c, last);
}

/* ----------------------------------------------------------------- contexts */

/* Beyond the comparison that ends, or (dir 1) begins, at t; NULL: there is none. IS is one where NULLs are equal. */
static tokp beyond_comparison(tokp t, int dir)
{
	if (dir < 0 && lex_is(t, "not") && lex_is(t - 1, "is"))
		t--;
	if (!is_one_of(t, " = == <> != < > <= >= is "))
		return NULL;
	return dir > 0 && lex_are(t, "is not") ? t + 2 : t + dir;
}

/* Type of the column that an INSERT's value number nth goes to. */
static struct context assigned(struct check *c, unsigned nth)
{
	struct context x = { .place = ASSIGNED };
	unsigned k = 0;
	tokp p;

	for (p = c->columns ? c->columns + 1 : c->end; k < nth && !lex_is(p, ")") && p < c->end; p++)
		k += lex_is(p, ",");
	x.type = !c->columns ? declared(c, c->target, NULL, (int)nth) : lex_name(p) ? declared(c, c->target, p->s, 0) : 0;
	return x;
}

/* Not the first of several tuples of VALUES. */
static bool is_further_tuple(struct check *c, tokp open)
{
	unsigned nth;
	tokp p = open;

	while (p && p != c->tuple && lex_is(p - 1, ",") && lex_is(p - 2, ")"))
		p = back_to(c, p - 2, "", &nth);
	if (!p || (p != c->tuple && (p == open || !lex_is(p - 1, "values"))))
		return false;
	c->tuple = open;
	return true;
}

/* The CASE that t is in, and its END. */
static bool find_case(struct check *c, tokp t, tokp *first, tokp *last)
{
	unsigned depth = 0;

	for (*first = t - 1; *first >= c->tok && (!lex_is(*first, "case") || depth); (*first)--)
		depth += lex_is(*first, "end") - lex_is(*first, "case");
	for (*last = t + 1, depth = 0; *last < c->end && (!lex_is(*last, "end") || depth); (*last)++)
		depth += lex_is(*last, "case") - lex_is(*last, "end");
	c->steps += (unsigned long)(*last - *first);
	return *first >= c->tok && *last < c->end;
}

/* A derived table or a WITH. */
static bool is_table(struct check *c, tokp open)
{
	unsigned nth;
	tokp p = back_to(c, open, " from select set where on having by ", &nth);

	return is_one_of(open - 1, " as materialized ") || (p && lex_is(p, "from"));
}

/* Whether anything is compared from here on, up to end. */
static bool any_comparison(tokp t, tokp end)
{
	while (t < end && !is_one_of(t, " in between case using natural ") && (!beyond_comparison(t, 1) || is_one_of(t + 1, " null not ")))
		t++;
	return t < end;
}

static bool is_of_compared(struct check *c, tokp t);

/* Whether the tokens from first to last are compared or calculated with, as they stand or as a part of what is around them. */
static bool is_compared(struct check *c, tokp first, tokp last)
{
	tokp lo = first - 1, hi = last + 1, open;
	unsigned nth;

	if (lex_are(hi, "is null") || lex_are(hi, "is not null"))
		return false;
	if (is_one_of(lo, " in between case when ") || (lex_is(lo, "and") && lex_is(lo - 2, "between")) || beyond_comparison(lo, -1) ||
	    is_arithmetic(lo) || is_one_of(hi + lex_is(hi, "not"), " in between collate ") || beyond_comparison(hi, 1) || is_arithmetic(hi))
		return true;
	if (is_one_of(lo, " then else "))
		return find_case(c, first, &lo, &hi) && is_compared(c, lo, hi);
	open = back_to(c, first, "", &nth);
	if (!open)
		return false;
	return is_one_of(open + 1, " select values with ") ? is_one_of(lo, " select distinct all , ") && is_of_compared(c, first) :
							      is_compared(c, open - (lex_name(open - 1) && !is_keyword(open - 1)), lex_close(open));
}

/* The query that t is an output column of, or the list of VALUES that it is in, is compared with something, or a table and there is any comparison. */
static bool is_of_compared(struct check *c, tokp t)
{
	unsigned nth;
	tokp open = back_to(c, t, "", &nth), close = open ? lex_close(open) : NULL;

	c->steps += (unsigned long)(c->end - c->tok);
	return open && (is_compared(c, open, close) || (is_table(c, open) && (any_comparison(c->tok, open) || any_comparison(close, c->end))));
}

static struct context context_of(struct check *c, tokp first, tokp last);

static struct context in_parentheses(struct check *c, tokp t, tokp open, unsigned nth)
{
	struct context x = { .place = COMPARED };
	tokp before = open - 1;
	uint32_t result;

	if (c->values && (open == c->values || (open > c->values && is_further_tuple(c, open))))
		return assigned(c, nth);
	if (lex_is(before, "values") || is_further_tuple(c, open))
		return is_of_compared(c, open) ? x : (struct context){ FREE, T_TEXT, false };
	if (lex_is(before, "in")) {
		x.type = operand(c, before - 1 - lex_is(before - 1, "not"), -1, false, &x.column);
		c->in_list = t;
		c->in_context = x;
	} else if (before->kind == LEX_ID && (lex_is(before, "replace") || !is_keyword(before))) {
		x.type = funcs_argument(before->s, nth);
		/* Arguments of these are compared with each other; or what they become is compared, where nothing says with what. */
		x.place = x.type ? TYPED : is_one_of(before, " nullif min max ") ||
			  (is_one_of(before, " coalesce ifnull iif ") && t->kind == LEX_PARAM) ? COMPARED : FREE;
		if (x.place == FREE && funcs_allowed(before->s, &result) && !result && is_compared(c, before, lex_close(open)))
			return context_of(c, before, lex_close(open));
	}
	return x;
}

/*
 * The tokens from t to last are a parameter, a text or what becomes of it. A place that is not recognized is taken for a comparison with
 * something unknown, and so refused.
 */
static struct context context_of(struct check *c, tokp t, tokp last)
{
	tokp lo = t - 1, hi = last + 1, p;
	struct context x = { .place = COMPARED };
	uint32_t type = 0;
	unsigned nth;
	bool column;

	if (t == last && c->in_list == t - 2 && lex_is(lo, ",") && is_one_of(hi, " ) , ")) {
		c->in_list = t;
		return c->in_context;
	}
	p = lex_is(lo, "between") ? lo - 1 : lex_is(lo, "and") && lex_is(lo - 2, "between") ? lo - 3 : NULL;
	p = p ? p - lex_is(p, "not") : beyond_comparison(lo, -1);
	if (lex_is(lo, "limit") || lex_is(lo, "offset")) {
		return (struct context){ TYPED, T_INT8, false };
	} else if (is_arithmetic(lo) || is_arithmetic(hi)) {
		type = is_arithmetic(lo) ? operand(c, lo - 1, -1, true, &column) : 0;
		if (!type && is_arithmetic(hi))
			type = operand(c, hi + 1, 1, true, &column);
		x.place = CALCULATED;
		x.type = type == T_INT4 ? T_INT8 : type == T_INT8 || type == T_FLOAT8 ? type : 0;
	} else if (is_one_of(lo, " || like glob escape ") || is_one_of(hi + lex_is(hi, "not"), " || like glob escape ")) {
		return (struct context){ TYPED, T_TEXT, false };
	} else if (p) {
		x.type = ends_operand(hi) ? operand(c, p, -1, false, &x.column) : 0;
	} else if (lex_are(hi, "is null") || lex_are(hi, "is not null")) {
		return (struct context){ FREE, T_REFUSED, false };
	} else if ((p = beyond_comparison(hi, 1))) {
		x.type = begins_operand(lo) ? operand(c, p, 1, false, &x.column) : 0;
	} else if (lex_is(lo, "(") && lex_is(lo - 1, "cast") && lex_is(hi, "as")) {
		type = type_of_decl(hi[1].s);
		return (struct context){ TYPED, type == T_REFUSED || !type ? T_TEXT : type, false };
	} else if (is_one_of(lo, " ( , ") && is_one_of(hi, " ) , ") && (p = back_to(c, t, "", &nth)) && !lex_is(p + 1, "select")) {
		return in_parentheses(c, t, p, nth);
	} else if (!ends_operand(hi) && (!lex_name(hi) || is_keyword(hi))) {
		return x;
	} else if (c->target && !c->values && is_one_of(lo, " select distinct all , ") && (p = back_to(c, t, " select from into where ", &nth)) &&
		   lex_is(p, "select")) {
		/* INSERT INTO target SELECT ..., 'x': as if it were in VALUES. */
		return assigned(c, nth);
	} else if (is_one_of(lo, " select distinct all returning , ") && (!c->target || c->values)) {
		/* An output column: what it is, it is sent as. */
		return is_of_compared(c, t) ? x : (struct context){ FREE, T_TEXT, false };
	} else if (is_one_of(lo, " then else ") && find_case(c, t, &lo, &hi)) {
		/* Where nothing is compared with the CASE, what it is it is sent as, or sorted by. */
		return is_compared(c, lo, hi) || c->target ? context_of(c, lo, hi) : (struct context){ FREE, 0, false };
	}
	return x;
}

/* INSERT [OR x] INTO target [AS a] [(columns)] VALUES (...) */
static void find_target(struct check *c)
{
	tokp t;

	for (t = c->tok; t < c->end && !lex_is(t, "into"); t++)
		;
	if (t == c->end)
		return;
	t++;
	while (lex_is(t + 1, "."))
		t += 2;
	c->target = t->s;
	t++;
	if (lex_is(t, "as"))
		t += 2;
	if (lex_is(t, "(")) {
		c->columns = t;
		t = lex_close(t) + 1;
	}
	if (lex_is(t, "values") && lex_is(t + 1, "("))
		c->values = t + 1;
}

/* ------------------------------------------------------------------ verdict */

#define refuse(E, CODE, ...) \
	sql_fail(E, CODE, "Say what it is: CAST(... AS INTEGER), REAL or TEXT, or compare it with a column of that type.", __VA_ARGS__)

static bool is_number(uint32_t type)
{
	return type == T_INT4 || type == T_INT8 || type == T_FLOAT8;
}

/* A parameter whose type the client has said, where another one is expected. */
static bool fits(uint32_t given, const struct context *x)
{
	return given == x->type || (is_number(given) && (is_number(x->type) || (x->place == ASSIGNED && x->type == T_TEXT)));
}

/* types[k]: what the client has said, and once it was seen what it is here. */
static bool parameter(struct check *c, tokp t, unsigned k, uint32_t *types, bool *seen, struct sql_error *e)
{
	struct context x = context_of(c, t, t);
	uint32_t type = x.type, given = seen[k] ? 0 : types[k];

	/* $1 IS NULL may be of any type, which another place gives. */
	if (type == T_REFUSED)
		return true;
	if (given && given != T_TEXT)
		return !type || x.place == FREE || fits(given, &x) ||
		       refuse(e, "42804", "parameter %s is of type %s where one of type %s belongs", t->s, type_name(given), type_name(type));
	if (!type && given == T_TEXT && (x.place == COMPARED || x.place == CALCULATED))
		return refuse(e, "42804", "parameter %s is a text, and is compared with something that is no column", t->s);
	/* A column of no type takes a text as it is. */
	if (!type && (given == T_TEXT || x.place == ASSIGNED))
		type = T_TEXT;
	if (!type)
		return refuse(e, "42P18", "could not determine data type of parameter %s", t->s);
	if (seen[k] && types[k] != type && !(is_number(types[k]) && is_number(type)))
		return refuse(e, "42P18", "parameter %s stands for different types: %s and %s", t->s, type_name(types[k]), type_name(type));
	/* Two kinds of numbers are the one that holds both. */
	types[k] = seen[k] && types[k] != type ? (types[k] == T_FLOAT8 || type == T_FLOAT8 ? T_FLOAT8 : T_INT8) : type;
	seen[k] = true;
	return true;
}

static bool text(struct check *c, tokp t, struct sql_error *e)
{
	struct context x = context_of(c, t, t);

	if (x.place == CALCULATED)
		return refuse(e, "42804", "the text '%.40s' is calculated with", t->s);
	if ((x.place != COMPARED && x.place != ASSIGNED) || (x.place == ASSIGNED && !x.type))
		return true;
	if (!x.type || (x.place == COMPARED && !x.column && x.type != T_TEXT))
		return refuse(e, "42804", "the text '%.40s' is compared with something that is no column of a known type", t->s);
	return type_literal(x.type, t->s, t->n, e);
}

bool check_statement(sqlite3 *db, struct guard *g, const struct lex_tok *tok, const struct lex_tok *end, uint32_t *types,
		     unsigned n, struct sql_error *e)
{
	struct check c = { .db = db, .g = g, .tok = tok, .end = end };
	bool *seen = calloc(n + 1, sizeof(*seen)), ok = true;
	unsigned k;
	tokp t;

	if (!seen)
		return refuse(e, "53200", "out of memory");
	find_target(&c);
	for (t = tok; t < end && ok; t++) {
		k = t->kind == LEX_PARAM ? (unsigned)atoi(t->s + 1) - 1 : n;
		if (k < n)
			ok = parameter(&c, t, k, types, seen, e);
		else if (t->kind == LEX_STRING)
			ok = text(&c, t, e);
		if (ok && c.steps > MOST_STEPS)
			ok = sql_fail(e, "54001", "Split it, or pass a value as a parameter.", "the statement has too many texts and parameters");
	}
	sqlite3_finalize(c.find);
	free(seen);
	return ok;
}
