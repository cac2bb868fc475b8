/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * priv.h - who may change what. A statement about roles, databases or the system is parsed
 * into a struct as a whole; one function says whether its user may; and only then is
 * anything done. Pure.
 */
#ifndef BATONDB_PRIV_H
#define BATONDB_PRIV_H

#include "lex.h"

enum priv_verb {
	PRIV_NONE,		/* no statement of these */
	PRIV_CREATE_ROLE, PRIV_ALTER_ROLE, PRIV_DROP_ROLE, PRIV_CREATE_DATABASE, PRIV_DROP_DATABASE,
	PRIV_ALTER_SYSTEM,
};

/* Parts of a role that a statement says something about. */
enum {
	PRIV_SUPER = 1, PRIV_PASSWORD = 2, PRIV_SETTING = 4,
};

struct priv {
	enum priv_verb verb;
	const char *tag;	/* CommandComplete's */
	char name[128];		/* the role's or database's */
	bool current, if_exists;	/* CURRENT_USER */
	unsigned says;
	bool super;
	char *password;		/* NULL: PASSWORD NULL */
	char setting[64];
	char *value;		/* NULL: as it was at first */
};

/* Whether t begins one of these statements. */
bool priv_is(const struct lex_tok *t);
/* False: an error; *at is the token that is wrong, *why what is, or NULL where it is the syntax. */
bool priv_parse(struct priv *p, const struct lex_tok *t, const struct lex_tok *end, const struct lex_tok **at, const char **why);
void priv_free(struct priv *p);

/* self: it is about the user's own role. */
bool priv_may(bool super, bool self, const struct priv *what);

/*
 * name = value, name TO DEFAULT, or (reset) name alone: false where it is none of these, *at is then the token that is wrong. The value's
 * words and strings are as one, as in SET x TO a, b: malloc'd, NULL: the default.
 */
bool priv_setting(const struct lex_tok *t, const struct lex_tok *end, bool reset, char *name, size_t n, char **value,
		  const struct lex_tok **at);

#endif
