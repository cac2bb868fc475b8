// SPDX-License-Identifier: GPL-2.0-or-later
#include "priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef const struct lex_tok *tokp;

static const struct {
	const char *words;
	enum priv_verb verb;
	const char *tag;
} verbs[] = {
	{ "create user", PRIV_CREATE_ROLE, "CREATE ROLE" }, { "create role", PRIV_CREATE_ROLE, "CREATE ROLE" },
	{ "alter user", PRIV_ALTER_ROLE, "ALTER ROLE" }, { "alter role", PRIV_ALTER_ROLE, "ALTER ROLE" },
	{ "drop user", PRIV_DROP_ROLE, "DROP ROLE" }, { "drop role", PRIV_DROP_ROLE, "DROP ROLE" },
	{ "create database", PRIV_CREATE_DATABASE, "CREATE DATABASE" }, { "drop database", PRIV_DROP_DATABASE, "DROP DATABASE" },
	{ "alter system", PRIV_ALTER_SYSTEM, "ALTER SYSTEM" },
};

static char *join_words(tokp t, tokp end)
{
	size_t n = 1;
	tokp p;
	char *v;

	for (p = t; p < end; p++)
		n += p->n + 1;
	v = malloc(n);
	if (!v)
		return NULL;
	*v = 0;
	for (p = t; p < end; p++) {
		if (p > t && !lex_is(p, ",") && !lex_is(p - 1, "-") && !lex_is(p, "%"))
			strcat(v, " ");
		strcat(v, p->s);
	}
	return v;
}

/* a.b as one name; the token behind it; NULL where it is longer than n. */
static tokp dotted_name(tokp t, char *to, size_t n)
{
	size_t len = strlen(t->s);

	if (len >= n)
		return NULL;
	strcpy(to, t->s);
	for (t++; lex_is(t, ".") && lex_name(t + 1); t += 2) {
		if (len + t[1].n + 2 > n)
			return NULL;
		len += (size_t)sprintf(to + len, ".%s", t[1].s);
	}
	return t;
}

bool priv_setting(tokp t, tokp end, bool reset, char *name, size_t n, char **value, tokp *at)
{
	*value = NULL;
	*at = t;
	t = lex_name(t) ? dotted_name(t, name, n) : NULL;
	if (!t)
		return false;
	*at = t;
	if (reset)
		return t == end;
	if ((!lex_is(t, "=") && !lex_is(t, "to")) || t + 1 >= end)
		return false;
	if (lex_is(t + 1, "default"))
		return t + 2 == end;
	*value = join_words(t + 1, end);
	return *value != NULL;
}

/* [WITH] PASSWORD 'x' SUPERUSER ... */
static bool parse_options(struct priv *p, tokp t, tokp end, tokp *at, const char **why)
{
	unsigned says;

	for (; t < end; t++) {
		*at = t;
		if (lex_is(t, "with") || lex_is(t, "encrypted"))
			continue;
		says = lex_is(t, "password") ? PRIV_PASSWORD : lex_is(t, "superuser") || lex_is(t, "nosuperuser") ? PRIV_SUPER : 0;
		*why = p->says & says ? "conflicting or redundant options" : NULL;
		if (!says || *why)
			return false;
		p->says |= says;
		if (says == PRIV_SUPER) {
			p->super = lex_is(t, "superuser");
			continue;
		}
		*at = ++t;
		if (t->kind != LEX_STRING && !lex_is(t, "null"))
			return false;
		p->password = t->kind == LEX_STRING ? strdup(t->s) : NULL;
	}
	return true;
}

bool priv_is(tokp t)
{
	unsigned i;

	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (lex_are(t, verbs[i].words))
			return true;
	return false;
}

bool priv_parse(struct priv *p, tokp t, tokp end, tokp *at, const char **why)
{
	unsigned i, last = sizeof(verbs) / sizeof(*verbs) - 1;

	memset(p, 0, sizeof(*p));
	*why = NULL;
	for (i = 0; i < last && !lex_are(t, verbs[i].words); i++)
		;
	if (!lex_are(t, verbs[i].words))
		return true;
	p->verb = verbs[i].verb;
	p->tag = verbs[i].tag;
	t += lex_are(t, verbs[i].words);
	if (p->verb == PRIV_DROP_ROLE || p->verb == PRIV_DROP_DATABASE)
		p->if_exists = lex_are(t, "if exists");
	t += p->if_exists ? 2 : 0;
	*at = t;
	if (p->verb != PRIV_ALTER_SYSTEM) {
		if (!lex_name(t) || t >= end || t->n >= sizeof(p->name))
			return false;
		strcpy(p->name, t->s);
		p->current = lex_is(t, "current_user");
		*at = ++t;
	}
	if (p->verb == PRIV_CREATE_ROLE)
		return parse_options(p, t, end, at, why);
	if (p->verb != PRIV_ALTER_ROLE && p->verb != PRIV_ALTER_SYSTEM)
		return t == end;
	if (lex_is(t, "set") || lex_is(t, "reset")) {
		p->says = PRIV_SETTING;
		return priv_setting(t + 1, end, lex_is(t, "reset"), p->setting, sizeof(p->setting), &p->value, at);
	}
	return p->verb == PRIV_ALTER_ROLE && t < end && parse_options(p, t, end, at, why);
}

void priv_free(struct priv *p)
{
	free(p->password);
	free(p->value);
	memset(p, 0, sizeof(*p));
}

bool priv_may(bool super, bool self, const struct priv *what)
{
	if (super || what->verb == PRIV_NONE)
		return true;
	/* A user's own password, and what he may SET in a session; both together are not one statement. */
	return what->verb == PRIV_ALTER_ROLE && self &&
	       (what->says == PRIV_PASSWORD || (what->says == PRIV_SETTING && strcasecmp(what->setting, "baton.low_latency") &&
						strcasecmp(what->setting, "baton.high_latency")));
}
