/* SPDX-License-Identifier: GPL-2.0-or-later */
/* util.h - for util.c, admin.c, table.c and ddl.c. */
#ifndef BATONDB_UTIL_H
#define BATONDB_UTIL_H

#include "session.h"

bool util_syntax(struct session *s, const struct lex_tok *t, const char *text);
bool util_complete(struct session *s, const char *tag);
/* Several words and strings, as in SET x TO a, b: malloc'd. */
char *util_value(const struct lex_tok *t, const struct lex_tok *end);
/* a.b as one name; what follows it. */
const struct lex_tok *util_name(const struct lex_tok *t, char *to, size_t n);
/* cursor.c; t: DECLARE, FETCH; the cursor's name, or ALL. */
bool cursor_declare(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *text);
bool cursor_fetch(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *text);
void cursor_close(struct session *s, const struct lex_tok *t);
/* admin.c */
bool admin_may(struct session *s, const char *what);
bool admin_run(struct session *s, enum sql_kind kind, const char *tag, const struct lex_tok *t, const char *text);

#endif
