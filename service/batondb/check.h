/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.h - what parameters and texts in a statement are compared with.
 *
 * SQLite compares '5' with a column as the column's type, and with anything else as a
 * text, which no number equals: `id + 1 = '5'` is false, where PostgreSQL says it
 * is true. Drivers send numbers, booleans and times as texts. So a parameter without a
 * type gets one only from a place where there is no doubt: a column beside it, a
 * function's argument, an assignment, LIMIT; anywhere else it is an error with a hint, and so is a text.
 * What is not recognized is refused; nothing is guessed.
 */
#ifndef BATONDB_CHECK_H
#define BATONDB_CHECK_H

#include "guard.h"
#include "lex.h"
#include "types.h"

/*
 * [tok, end) was just prepared on db, g has noted its columns. types: of n parameters as the client has said
 * (type_of_client()), and what they are here afterwards.
 */
bool check_statement(sqlite3 *db, struct guard *g, const struct lex_tok *tok, const struct lex_tok *end, uint32_t *types,
		     unsigned n, struct sql_error *e);

#endif
