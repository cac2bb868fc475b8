/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lex.h - SQLite's SQL as tokens, in memory of mem.h. Comments and white space are gone,
 * identifiers without quotes are in lower case, strings are decoded; each token
 * remembers where it stood. What SQLite does not know becomes an operator of one
 * character: SQLite itself is to say what is wrong with it.
 */
#ifndef BATONDB_LEX_H
#define BATONDB_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum lex_kind {
	LEX_END, LEX_ID, LEX_QUOTED, LEX_STRING, LEX_BLOB, LEX_INT, LEX_NUMBER, LEX_PARAM, LEX_OP,
};

struct lex_tok {
	enum lex_kind kind;
	const char *s;		/* NUL-ended */
	size_t n;
	size_t at, end;		/* places in the source */
};

/* Tokens of LEX_END: so many stand before the first and behind the last one. */
#define LEX_AROUND 8

struct lex {
	struct lex_tok *tok;	/* the first one */
	unsigned n;
	struct lex_tok *all;
	char *text;		/* tokens point to it */
};

/* False: no memory. Free it in any case. */
bool lex(struct lex *l, const char *sql, size_t n);
void lex_free(struct lex *l);
/* Is the token this keyword (unquoted, in lower case), or this operator? */
bool lex_is(const struct lex_tok *t, const char *word);
/* These words in a row, separated by blanks; how many tokens, or 0. */
unsigned lex_are(const struct lex_tok *t, const char *words);
/* A name, quoted or not. */
bool lex_name(const struct lex_tok *t);
/* The end of the statement that begins at t: its semicolon, or the last token. */
const struct lex_tok *lex_statement(const struct lex_tok *t);
/* The parenthesis that closes t, which is one that opens; END where there is none. */
const struct lex_tok *lex_close(const struct lex_tok *t);

#endif
