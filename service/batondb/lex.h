/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lex.h - PostgreSQL's SQL as tokens. Pure. Comments and white space are gone,
 * identifiers folded, strings decoded; each token remembers where it stood.
 */
#ifndef BATONDB_LEX_H
#define BATONDB_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum lex_kind {
	LEX_END, LEX_ID, LEX_QUOTED, LEX_STRING, LEX_BYTES, LEX_INT, LEX_NUMBER, LEX_PARAM, LEX_OP,
};

struct lex_tok {
	enum lex_kind kind;
	/*
	 * NUL-ended. ID: in lower case; QUOTED, STRING: what is meant; BYTES:
	 * hexadecimal digits; PARAM: the number; OP: ( ) [ ] , ; . : and operators.
	 */
	const char *s;
	size_t n;
	size_t at, end;		/* in the source */
};

#define LEX_AHEAD 8
/* Parentheses, brackets and CASEs in each other: what reads them calls itself. SQLite takes about 100. */
#define LEX_DEPTH 200
/* Operators between two of ( ) [ ] , ; of which a cast counts as eight. SQLite takes 1000 in a row. */
#define LEX_OPERATORS 4000

struct lex {
	struct lex_tok *tok;	/* the last ones are LEX_END */
	unsigned n;		/* without it */
	const char *error;	/* or NULL; and its SQLSTATE */
	const char *code;
	size_t error_at;
	char *text;		/* what tokens point to */
};

/* Returns false where there is an error, or no memory. Free it in any case. */
bool lex(struct lex *l, const char *sql, size_t n);
void lex_free(struct lex *l);

/* Is it this keyword (unquoted, in lower case), or this operator? */
bool lex_is(const struct lex_tok *t, const char *word);
/* These words in a row, separated by blanks; how many tokens, or 0. */
unsigned lex_are(const struct lex_tok *t, const char *words);
/* A name, quoted or not. */
static inline bool lex_name(const struct lex_tok *t)
{
	return t->kind == LEX_ID || t->kind == LEX_QUOTED;
}
/* What a hexadecimal digit is; -1: it is none. */
int lex_hex(char c);
/* t is (: its ). t otherwise: t. Within END. */
const struct lex_tok *lex_close(const struct lex_tok *t);

#endif
