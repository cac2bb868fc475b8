// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "funcs.h"

typedef const struct lex_tok *tokp;

struct check {
	sqlite3 *db;
	struct guard *g;
	tokp tok, end;
	sqlite3_stmt *find;
	/* INSERT INTO target (columns), or all of them. */
	const char *target;
	tokp columns;
	tokp values;		/* the first tuple's parenthesis */
};

enum place { FREE, COMPARED, ASSIGNED, CALCULATED, TYPED };

/* Where a parameter or a text stands, and the type that this gives it. */
struct context {
	enum place place;
	uint32_t type;		/* 0: not known */
	bool column;		/* SQLite makes what is compared with it a value of its type */
};

static bool is_one_of(tokp t, const char *words)
{
	char word[32];

	if ((t->kind != LEX_ID && t->kind != LEX_OP) || t->n > sizeof(word) - 3)
		return false;
	snprintf(word, sizeof(word), " %s ", t->s);
	return strstr(words, word) != NULL;
}

static bool is_compared(tokp t)
{
	return is_one_of(t, " = == <> != < > <= >= ");
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

/* A name that the statement gives to something else may mean that. */
static bool is_alias(const struct check *c, const char *name)
{
	tokp t;

	for (t = c->tok; t < c->end; t++)
		if (lex_name(t) && !sqlite3_stricmp(t->s, name) &&
		    (lex_is(t - 1, "as") || lex_is(t - 1, ")") || (lex_name(t - 1) && !is_keyword(t - 1)) || t[-1].kind == LEX_STRING ||
		     t[-1].kind == LEX_INT || t[-1].kind == LEX_NUMBER || t[-1].kind == LEX_PARAM || lex_is(t - 1, "end")))
			return true;
	/* WITH x (name, ...) */
	for (t = c->tok; t < c->end; t++)
		if (lex_is(t, "with"))
			for (; t < c->end && !lex_is(t, "select") && !lex_is(t, "values"); t++)
				if (lex_name(t) && !sqlite3_stricmp(t->s, name))
					return true;
	return false;
}

/* The type of all columns of this name that the statement reads or writes; they have to agree. */
static uint32_t column_type(struct check *c, tokp t)
{
	uint32_t type = 0, other;
	bool any = false;
	unsigned i;

	if (lex_is(t, "current_timestamp") || lex_is(t, "current_date"))
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
	if (!any && (!sqlite3_stricmp(t->s, "rowid") || !sqlite3_stricmp(t->s, "oid") || !sqlite3_stricmp(t->s, "_rowid_")))
		return T_INT8;
	return type;
}

static uint32_t literal_type(tokp t)
{
	return t->kind == LEX_INT ? T_INT8 : t->kind == LEX_NUMBER ? T_FLOAT8 : t->kind == LEX_STRING ? T_TEXT :
	       t->kind == LEX_BLOB ? T_BYTEA : lex_is(t, "true") || lex_is(t, "false") ? T_BOOL : 0;
}

static tokp open_of(const struct check *c, tokp close)
{
	unsigned depth = 0;
	tokp t;

	for (t = close; t >= c->tok; t--) {
		depth += lex_is(t, ")");
		if (lex_is(t, "(") && !--depth)
			return t;
	}
	return NULL;
}

/* The parenthesis that t is in, or NULL; *nth: how many commas are before t in it. */
static tokp enclosing(const struct check *c, tokp t, unsigned *nth)
{
	unsigned depth = 0;

	*nth = 0;
	for (t--; t >= c->tok; t--) {
		if (lex_is(t, ")"))
			depth++;
		else if (lex_is(t, "(")) {
			if (!depth--)
				return t;
		} else if (!depth && lex_is(t, ",")) {
			++*nth;
		}
	}
	return NULL;
}

/*
 * The type of the operand whose last token (dir -1), or first one (dir 1), is t: a literal, a column, (column), or a
 * function's result. Unless loose, what is beyond it has to end an operand: nothing binds it more closely.
 */
static uint32_t operand(struct check *c, tokp t, int dir, bool loose, bool *column)
{
	tokp first = t, last = t, name;
	uint32_t type = literal_type(t);
	bool call = false;

	*column = false;
	if (!type && dir < 0) {
		if (lex_is(t, ")"))
			first = open_of(c, t);
		if (!first)
			return 0;
		call = first < t && first[-1].kind == LEX_ID && !is_keyword(first - 1);
		first -= call;
		while (lex_is(first - 1, ".") && lex_name(first - 2))
			first -= 2;
	} else if (!type) {
		call = lex_is(t + 1, "(");
		if (call || lex_is(t, "("))
			last = lex_close(t + call);
		while (lex_is(last + 1, ".") && lex_name(last + 2))
			last += 2;
	}
	if (!loose && (dir < 0 ? !begins_operand(first - 1) : !ends_operand(last + 1)))
		return 0;
	if (type)
		return type;
	if (call)
		return !is_keyword(first) && funcs_allowed(first->s, &type) ? type : 0;
	if (lex_is(first, "(") && first + 2 != last)
		return 0;
	name = lex_is(last, ")") ? last - 1 : last;
	if (!lex_name(name) || is_keyword(name))
		return 0;
	*column = !lex_is(name, "current_timestamp") && !lex_is(name, "current_date");
	return column_type(c, name);
}

/* ----------------------------------------------------------------- contexts */

static struct context compared(uint32_t type, bool column)
{
	return (struct context){ COMPARED, type, column };
}

/* A comparison's operator ends at t: =, IS, IS NOT, [IS] [NOT] DISTINCT FROM; what is before it, or NULL. */
static tokp before_comparison(tokp t)
{
	if (is_compared(t))
		return t - 1;
	if (lex_is(t, "from") && lex_is(t - 1, "distinct"))
		t -= 2 + lex_is(t - 2, "not");
	else if (lex_is(t, "not"))
		t--;
	return lex_is(t, "is") ? t - 1 : NULL;
}

static tokp behind_comparison(tokp t)
{
	if (is_compared(t))
		return t + 1;
	if (!lex_is(t, "is"))
		return NULL;
	t++;
	t += lex_is(t, "not");
	if (lex_is(t, "distinct") && lex_is(t + 1, "from"))
		t += 2;
	return t;
}

/* Type of the column that an INSERT's value number nth goes to. */
static uint32_t target_type(struct check *c, unsigned nth)
{
	unsigned k = 0;
	tokp p;

	if (!c->columns)
		return declared(c, c->target, NULL, (int)nth);
	for (p = c->columns + 1; k < nth && !lex_is(p, ")") && p < c->end; p++)
		k += lex_is(p, ",");
	return lex_name(p) ? declared(c, c->target, p->s, 0) : 0;
}

/* The SELECT of whose list t is a whole column, number *nth, outside of parentheses; or NULL. */
static tokp output_of(const struct check *c, tokp t, unsigned *nth)
{
	if (!is_one_of(t - 1, " select distinct all , ") || (t + 1 < c->end && t[1].kind == LEX_OP && !lex_is(t + 1, ",")))
		return NULL;
	for (*nth = 0, t--; t > c->tok && !is_one_of(t, " select from into where "); t--)
		if (lex_is(t, ")")) {
			t = open_of(c, t);
			if (!t)
				return NULL;
		} else {
			*nth += lex_is(t, ",");
		}
	return lex_is(t, "select") ? t : NULL;
}

static struct context in_parentheses(struct check *c, tokp t, tokp open, unsigned nth)
{
	struct context x = { FREE, 0, false };
	tokp before = open - 1;

	/* A further tuple of VALUES, whose first one is known. */
	if (c->values && open >= c->values && (open == c->values || (lex_is(before, ",") && lex_is(before - 1, ")")))) {
		x.place = ASSIGNED;
		x.type = target_type(c, nth);
		return x;
	}
	if (lex_is(before, "in")) {
		before -= 1 + lex_is(before - 1, "not");
		x.type = operand(c, before, -1, false, &x.column);
		x.place = COMPARED;
		return x;
	}
	if (lex_is(before, "values"))
		x.type = T_TEXT;
	if (before_comparison(before))
		return compared(0, false);
	if (before->kind == LEX_ID && !is_keyword(before)) {
		x.type = funcs_argument(before->s, nth);
		/* Arguments of these are compared with each other; or what they become is compared, where nothing says with what. */
		x.place = x.type ? TYPED : is_one_of(before, " nullif min max ") || (is_one_of(before, " coalesce ifnull iif ") &&
			  t->kind == LEX_PARAM) ? COMPARED : FREE;
	}
	if (lex_is(before, "replace")) {
		x.place = TYPED;
		x.type = T_TEXT;
	}
	return x;
}

static struct context context_of(struct check *c, tokp t)
{
	struct context x = { FREE, 0, false };
	tokp lo = t - 1, hi = t + 1, p;
	unsigned nth;

	/* Parentheses around it alone say nothing. */
	while (lex_is(lo, "(") && lex_is(hi, ")") && begins_operand(lo - 1) && !lex_is(lo - 1, "(") && !lex_is(lo - 1, ",")) {
		lo--;
		hi++;
	}
	while (lex_is(lo, "(") && lex_is(hi, ")") && (before_comparison(lo - 1) || is_arithmetic(lo - 1))) {
		lo--;
		hi++;
	}
	if (lex_is(lo, "limit") || lex_is(lo, "offset")) {
		x = (struct context){ TYPED, T_INT8, false };
	} else if (is_arithmetic(lo) || is_arithmetic(hi)) {
		bool column;
		uint32_t type = is_arithmetic(lo) ? operand(c, lo - 1, -1, true, &column) : 0;

		if (!type && is_arithmetic(hi))
			type = operand(c, hi + 1, 1, true, &column);
		x.place = CALCULATED;
		x.type = type == T_INT4 ? T_INT8 : type == T_INT8 || type == T_FLOAT8 ? type : 0;
	} else if (lex_is(lo, "||") || lex_is(hi, "||") || is_one_of(lo, " like glob escape ") || is_one_of(hi, " like glob escape ") ||
		   (lex_is(hi, "not") && is_one_of(hi + 1, " like glob "))) {
		x = (struct context){ TYPED, T_TEXT, false };
	} else if (lex_is(lo, "between")) {
		x = compared(0, false);
		x.type = operand(c, lo - 1 - lex_is(lo - 1, "not"), -1, false, &x.column);
	} else if (lex_is(lo, "and") && lex_is(lo - 2, "between")) {
		x = compared(0, false);
		x.type = operand(c, lo - 3 - lex_is(lo - 3, "not"), -1, false, &x.column);
	} else if ((p = before_comparison(lo))) {
		x = compared(0, false);
		if (ends_operand(hi))
			x.type = operand(c, p, -1, false, &x.column);
	} else if (lex_is(hi, "is") && (lex_is(hi + 1, "null") || lex_are(hi + 1, "not null"))) {
		x.place = FREE;
		x.type = T_REFUSED;
	} else if ((p = behind_comparison(hi))) {
		x = compared(0, false);
		if (begins_operand(lo))
			x.type = operand(c, p, 1, false, &x.column);
	} else if (is_one_of(hi, " in between ") || (lex_is(hi, "not") && is_one_of(hi + 1, " in between ")) ||
		   lex_is(lo, "when") || lex_is(lo, "case")) {
		x = compared(0, false);
	} else if (lex_is(lo, "(") && lex_is(lo - 1, "cast") && lex_is(hi, "as")) {
		x = (struct context){ TYPED, type_of_decl(hi[1].s), false };
		x.type = x.type == T_REFUSED || !x.type ? T_TEXT : x.type;
	} else if ((p = enclosing(c, t, &nth)) && ((lex_is(lo, "(") || lex_is(lo, ",")) && (lex_is(hi, ")") || lex_is(hi, ",")))) {
		return in_parentheses(c, t, p, nth);
	} else if (c->target && !c->values && !enclosing(c, t, &nth) && (p = output_of(c, t, &nth))) {
		/* INSERT INTO target SELECT ..., 'x': as if it were in VALUES. */
		x.place = ASSIGNED;
		x.type = target_type(c, nth);
	} else if (is_one_of(lo, " select distinct all returning , ") && (!c->target || c->values)) {
		/* An output column: what it is, it is sent as. */
		x = (struct context){ FREE, T_TEXT, false };
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

__attribute__((format(printf, 5, 6)))
static bool refuse(struct check_error *e, tokp at, const char *code, const char *hint, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	e->hint = hint;
	e->at = at->at;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return false;
}

#define HINT "Say what it is: CAST(... AS INTEGER), REAL or TEXT, or compare it with a column of that type."

static bool is_number(uint32_t type)
{
	return type == T_INT2 || type == T_INT4 || type == T_INT8 || type == T_FLOAT4 || type == T_FLOAT8;
}

/* A parameter whose type the client has said, where another one is expected. */
static bool fits(uint32_t given, const struct context *x)
{
	if (given == x->type || (is_number(given) && is_number(x->type)))
		return true;
	return x->place == ASSIGNED && x->type == T_TEXT && is_number(given);
}

static bool parameter(struct check *c, tokp t, unsigned n, uint32_t *types, bool *seen, struct check_error *e)
{
	unsigned k = (unsigned)atoi(t->s + 1) - 1;
	struct context x = context_of(c, t);
	uint32_t type = x.type;

	if (k >= n)
		return true;
	/* $1 IS NULL may be of any type, which another place gives. */
	if (type == T_REFUSED)
		return true;
	if (types[k] && types[k] != T_TEXT && !seen[k]) {
		if (type && x.place != FREE && !fits(types[k], &x))
			return refuse(e, t, "42804", HINT, "parameter %s is of type %s where one of type %s belongs", t->s, type_name(types[k]),
				      type_name(type));
		return true;
	}
	if (!type && types[k] == T_TEXT && !seen[k]) {
		if (x.place == COMPARED || x.place == CALCULATED)
			return refuse(e, t, "42804", HINT, "parameter %s is a text, and is compared with something that is no column", t->s);
		type = T_TEXT;
	}
	/* A column of no type takes a text as it is. */
	if (!type && x.place == ASSIGNED)
		type = T_TEXT;
	if (!type)
		return refuse(e, t, "42P18", HINT, "could not determine data type of parameter %s", t->s);
	if (seen[k] && types[k] != type && !(is_number(types[k]) && is_number(type)))
		return refuse(e, t, "42P18", HINT, "parameter %s stands for different types: %s and %s", t->s, type_name(types[k]),
			      type_name(type));
	/* Two kinds of numbers are the one that holds both. */
	types[k] = seen[k] && types[k] != type ? (types[k] == T_FLOAT8 || type == T_FLOAT8 ? T_FLOAT8 : T_INT8) : type;
	seen[k] = true;
	return true;
}

static bool text(struct check *c, tokp t, struct check_error *e)
{
	struct context x = context_of(c, t);
	struct type_error te;

	if (x.place == CALCULATED)
		return refuse(e, t, "42804", HINT, "the text '%.40s' is calculated with", t->s);
	if ((x.place != COMPARED && x.place != ASSIGNED) || (x.place == ASSIGNED && !x.type))
		return true;
	if (!x.type || (x.place == COMPARED && !x.column && x.type != T_TEXT))
		return refuse(e, t, "42804", HINT, "the text '%.40s' is compared with something that is no column of a known type", t->s);
	return type_literal(x.type, t->s, t->n, &te) || refuse(e, t, te.code, NULL, "%s", te.text);
}

bool check_statement(sqlite3 *db, struct guard *g, const struct lex_tok *tok, const struct lex_tok *end, uint32_t *types,
		     unsigned n, struct check_error *e)
{
	struct check c = { .db = db, .g = g, .tok = tok, .end = end };
	bool *seen = calloc(n + 1, sizeof(*seen)), ok = true;
	tokp t;

	if (!seen)
		return refuse(e, tok, "53200", NULL, "out of memory");
	find_target(&c);
	for (t = tok; t < end && ok; t++) {
		if (t->kind == LEX_PARAM)
			ok = parameter(&c, t, n, types, seen, e);
		else if (t->kind == LEX_STRING)
			ok = text(&c, t, e);
	}
	sqlite3_finalize(c.find);
	free(seen);
	return ok;
}
