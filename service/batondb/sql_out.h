/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sql_out.h - the parts of sql.c to each other: what is written (sql_out.c), and
 * the rules for what takes more than a token. A rule is given the token t that it
 * is for and the end of what it may read; it writes to o and returns where to go on.
 */
#ifndef BATONDB_SQL_OUT_H
#define BATONDB_SQL_OUT_H

#include "sql.h"

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
	struct assign *assign;	/* sql_assign.c's */
	bool failed;
	bool alone;		/* the token at hand stands in no statement: OPERATOR(x) */
};

/* The first error counts. */
void out_stop(struct out *o, const char *code, const struct lex_tok *at, const char *what);
/* In front of piece i; NULL: no memory, or stopped before. */
struct piece *out_put_at(struct out *o, unsigned i, enum lex_kind kind, const char *s, size_t n, size_t src);
void out_put(struct out *o, enum lex_kind kind, const char *s, size_t n, const struct lex_tok *src);
void out_op(struct out *o, const char *s, const struct lex_tok *src);
void out_id(struct out *o, const char *s, const struct lex_tok *src);
/* The buffer's memory is the piece's from then on, or freed. */
void out_own(struct out *o, enum lex_kind kind, struct buf *b, const struct lex_tok *src);
void out_string(struct out *o, const struct lex_tok *t, const struct lex_tok *src);
bool piece_is(const struct piece *p, const char *s);
/* Where the operand begins that ends with the last piece. */
unsigned out_operand(const struct out *o);
/* That operand, as it was written before t; NULL: there is none. */
const struct lex_tok *out_left_of(const struct out *o, const struct lex_tok *t, unsigned *begin);
struct coltype out_type_at(const struct out *o, const struct lex_tok *t, const struct lex_tok *end);
/* f( in front of what begins there; the ) is the caller's. */
void out_call(struct out *o, unsigned begin, const char *f, const struct lex_tok *src);
/* The operand that begins there and ends with the last piece, which is a from, as a value of type t. */
void out_cast_from(struct out *o, unsigned begin, struct coltype from, struct coltype t, const struct lex_tok *src);
void out_cast(struct out *o, unsigned begin, struct coltype t, const struct lex_tok *src);
/* The text, and s's map (or NULL); frees what is o's. False: stopped. */
bool out_finish(struct out *o, struct buf *to, struct sql *s);

/* All of [t, end). */
void sql_range(struct out *o, const struct lex_tok *t, const struct lex_tok *end);
/* The first of these words (NULL ends them) outside of parentheses, or end. */
const struct lex_tok *sql_word(const struct lex_tok *t, const struct lex_tok *end, const char *const *words);
/* What an interval's number may count, behind it. */
bool sql_is_field(const struct lex_tok *t);

const struct lex_tok *clause_order_by(struct out *o, const struct lex_tok *t, const struct lex_tok *end);
const struct lex_tok *clause_limits(struct out *o, const struct lex_tok *t, const struct lex_tok *end);
/* (...) AS t (a, b); NULL: it is none. */
const struct lex_tok *clause_alias(struct out *o, const struct lex_tok *t, const struct lex_tok *end);

/* The end of the operand of / or % that begins at t; t: that cannot be told. */
const struct lex_tok *calc_operand_end(const struct lex_tok *t, const struct lex_tok *end);
bool calc_factor(const struct lex_tok *t);
/* a OP b, of which a begins with that piece and b ends before next, as f(a, b, how); how may be NULL. */
const struct lex_tok *calc_call(struct out *o, unsigned begin, const char *f, const char *how, const struct lex_tok *t,
				const struct lex_tok *next);
/* An operator; NULL: SQLite's is the same. */
const struct lex_tok *calc_operator(struct out *o, const struct lex_tok *t, const struct lex_tok *end);

/* Finds what the statement of these tokens puts into columns. */
void assign_find(struct out *o, const struct lex_tok *t, const struct lex_tok *end);
/* NULL: nothing such is at t. */
const struct lex_tok *assign_at(struct out *o, const struct lex_tok *t);
void assign_free(struct out *o);

/* NULL: it is no function of these. */
const struct lex_tok *call_special(struct out *o, const struct lex_tok *t, const struct lex_tok *end);
/* A function in FROM, whose parenthesis ends at close. */
const struct lex_tok *call_table(struct out *o, const struct lex_tok *t, const struct lex_tok *close, const struct lex_tok *end);
/* The one call of generate_series() or unnest() in the SELECT list of a query without FROM; or NULL. */
const struct lex_tok *call_lone_series(const struct lex_tok *t, const struct lex_tok *end, const struct lex_tok **to);

#endif
