// SPDX-License-Identifier: GPL-2.0-or-later
/* Roles, databases, and what holds for all of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

bool admin_may(struct session *s, const char *what)
{
	return s->role->super || err(s, "42501", "permission denied: only a superuser may %s", what);
}

static bool told(struct session *s, const char *why, const char *code, const char *tag)
{
	return why ? err(s, code, "%s", why) : util_complete(s, tag);
}

/* [WITH] PASSWORD 'x' SUPERUSER NOLOGIN ... */
static bool options(struct session *s, const struct lex_tok *t, const struct lex_tok *end, struct role *r, const char *text,
		    const char **why, const char **code)
{
	static const struct { const char *word; int field, value; } flags[] = {
		{ "superuser", 0, 1 }, { "nosuperuser", 0, 0 }, { "login", 1, 1 }, { "nologin", 1, 0 },
		{ "createdb", 2, 1 }, { "nocreatedb", 2, 0 }, { "inherit", 3, 0 }, { "noinherit", 3, 0 },
		{ "createrole", 3, 0 }, { "nocreaterole", 3, 0 }, { "noreplication", 3, 0 }, { "nobypassrls", 3, 0 },
	};
	unsigned i;

	*why = NULL;
	for (; t < end && !*why; t++) {
		if (lex_is(t, "with") || lex_is(t, "encrypted"))
			continue;
		if (lex_is(t, "password") && (t[1].kind == LEX_STRING || lex_is(t + 1, "null"))) {
			*why = role_password(r, t[1].kind == LEX_STRING ? t[1].s : NULL, code);
			t++;
			continue;
		}
		for (i = 0; i < sizeof(flags) / sizeof(*flags) && !lex_is(t, flags[i].word); i++)
			;
		if (i == sizeof(flags) / sizeof(*flags))
			return util_syntax(s, t, text);
		if (flags[i].field == 0)
			r->super = flags[i].value;
		else if (flags[i].field == 1)
			r->login = flags[i].value;
		else if (flags[i].field == 2)
			r->createdb = flags[i].value;
		*why = role_flags(r, code);
	}
	return true;
}

static bool create_role(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *tag, const char *text)
{
	bool user = lex_is(t + 1, "user"), ok;
	const char *why, *code = "XX000";
	const struct lex_tok *name = t + 2;

	if (!admin_may(s, "create roles"))
		return false;
	if (!lex_name(name))
		return util_syntax(s, name, text);
	pthread_mutex_lock(&server.lock);
	why = role_create(name->s, false, user, false, NULL, &code);
	ok = why || options(s, name + 1, end, role_find(name->s), text, &why, &code);
	pthread_mutex_unlock(&server.lock);
	return ok && told(s, why, code, tag);
}

static bool alter_role(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *tag, const char *text)
{
	const char *why = NULL, *code = "XX000";
	char name[128], *value = NULL;
	struct role *r;
	bool ok = true, own;

	t += 2;
	if (!lex_name(t))
		return util_syntax(s, t, text);
	pthread_mutex_lock(&server.lock);
	r = lex_is(t, "current_user") ? s->role : role_find(t->s);
	own = r == s->role;
	t++;
	if (!r) {
		ok = err(s, "42704", "role \"%s\" does not exist", t[-1].s);
	} else if (lex_is(t, "set") || lex_is(t, "reset")) {
		bool reset = lex_is(t, "reset");

		t = util_name(t + 1, name, sizeof(name));
		/* What a user may set in a session he may set for himself; quota he may not. */
		if (!s->role->super && !(own && strncasecmp(name, "baton.low", 9) && strncasecmp(name, "baton.high", 10)))
			ok = err(s, "42501", "permission denied to alter role \"%s\"", r->name);
		else if (!setting_get(s, name) && !strchr(name, '.'))
			ok = err(s, "42704", "unrecognized configuration parameter \"%s\"", name);
		else if (!reset && ((!lex_is(t, "=") && !lex_is(t, "to")) || t + 1 >= end))
			ok = util_syntax(s, t, text);
		else {
			if (!reset && !lex_is(t + 1, "default"))
				value = util_value(t + 1, end);
			why = role_set(r, name, value, &code);
		}
	} else if (!s->role->super && !(own && lex_is(t + lex_is(t, "with"), "password"))) {
		ok = err(s, "42501", "permission denied to alter role \"%s\"", r->name);
	} else if (lex_are(t, "rename to")) {
		ok = err(s, "0A000", "roles cannot be renamed");
	} else {
		ok = options(s, t, end, r, text, &why, &code);
	}
	pthread_mutex_unlock(&server.lock);
	free(value);
	return ok && told(s, why, code, tag);
}

static bool drop_role(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *tag)
{
	const char *why = NULL, *code = "XX000";
	bool gone = lex_are(t + 2, "if exists");

	if (!admin_may(s, "drop roles"))
		return false;
	pthread_mutex_lock(&server.lock);
	for (t += 2 + 2 * gone; t < end && !why; t++)
		if (lex_name(t) && (!gone || role_find(t->s)))
			why = role_drop(t->s, &code);
	pthread_mutex_unlock(&server.lock);
	return told(s, why, code, tag);
}

static bool alter_system(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *tag, const char *text)
{
	const char *why, *code = "XX000";
	char name[128], *value = NULL;
	bool reset;

	if (!admin_may(s, "alter the system"))
		return false;
	t += 2;
	reset = lex_is(t, "reset");
	if (!reset && !lex_is(t, "set"))
		return util_syntax(s, t, text);
	t = util_name(t + 1, name, sizeof(name));
	if (!reset && ((!lex_is(t, "=") && !lex_is(t, "to")) || t + 1 >= end))
		return util_syntax(s, t, text);
	if (!setting_get(s, name))
		return err(s, "42704", "unrecognized configuration parameter \"%s\"", name);
	if (!reset && !lex_is(t + 1, "default"))
		value = util_value(t + 1, end);
	pthread_mutex_lock(&server.lock);
	why = role_set(NULL, name, value, &code);
	pthread_mutex_unlock(&server.lock);
	free(value);
	return told(s, why, code, tag);
}

static bool databases(struct session *s, enum sql_kind kind, const struct lex_tok *t, const char *tag, const char *text)
{
	bool drop = kind == SQL_DROP_DATABASE, gone = lex_are(t + 2, "if exists");
	const struct lex_tok *name = t + 2 + 2 * gone;
	const char *why = NULL, *code = "XX000";

	if (!s->role->super && !s->role->createdb)
		return err(s, "42501", "permission denied to %s database", drop ? "drop" : "create");
	if (s->tx != TX_NONE)
		return err(s, "25001", "%s cannot run inside a transaction block", tag);
	if (!lex_name(name))
		return util_syntax(s, name, text);
	pthread_mutex_lock(&server.lock);
	if (!drop)
		why = database_create(name->s, &code);
	else if (!gone || database_find(name->s))
		why = database_drop(name->s, &code);
	pthread_mutex_unlock(&server.lock);
	return told(s, why, code, tag);
}

/* Behind what is granted or taken: ON ..., or TO, FROM. */
static const struct lex_tok *word(const struct lex_tok *t, const struct lex_tok *end, const char *w)
{
	for (; t < end && !lex_is(t, w); t++)
		;
	return t;
}

/*
 * Everybody may do everything with every table of a database that he connects to.
 * So what GRANT says is true once it names what there is; and what REVOKE says
 * cannot be made true: whoever relies on it has to be told.
 */
static bool grant(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *tag, const char *text)
{
	bool later = !lex_is(t, "grant"), there;
	const struct lex_tok *on, *to, *p, *first = later ? word(t, end, "grant") : t;

	if (word(t, end, "revoke") < end)
		return err_hint(s, "0A000", "Every user may read and write every table of a database that he connects to. What is to "
				"be kept apart needs a database of its own.", "REVOKE is not supported");
	on = word(first, end, "on");
	to = word(on < end ? on : first, end, "to");
	if (first == end || to + 1 >= end)
		return util_syntax(s, to, text);
	if (on == end)
		return err_hint(s, "0A000", "A role has no members: GRANT ... ON ... is for what may be done with tables.",
				"GRANT of a role is not supported");
	p = on + 1 + (lex_is(on + 1, "table") || lex_is(on + 1, "sequence"));
	if (!later && p == on + 1 && (lex_is(p, "function") || lex_is(p, "type") || lex_is(p, "language") || lex_is(p, "domain") ||
				      lex_is(p, "foreign") || lex_is(p, "procedure") || lex_is(p, "parameter") ||
				      lex_is(p, "tablespace") || lex_is(p, "large")))
		return err(s, "0A000", "GRANT ON %s is not supported", p->s);
	if (!later && !lex_is(p, "all") && !lex_is(p, "schema") && !lex_is(p, "database"))
		for (; p < to; p++) {
			const struct lex_tok *name = lex_is(p + 1, ".") ? p + 2 : p;
			sqlite3_stmt *st;

			if (!lex_name(name))
				return util_syntax(s, name, text);
			if (sqlite3_prepare_v2(s->db, "select 1 from sqlite_schema where name = ?1 union select 1 from "
						      "baton_sequences where name = ?1", -1, &st, NULL))
				return err_db(s, sqlite3_errcode(s->db), NULL);
			sqlite3_bind_text(st, 1, name->s, -1, SQLITE_STATIC);
			there = sqlite3_step(st) == SQLITE_ROW;
			sqlite3_finalize(st);
			if (!there)
				return err(s, "42P01", "relation \"%s\" does not exist", name->s);
			p = name + 1;
		}
	for (p = to + 1; p < end && !lex_are(p, "with grant") && !lex_are(p, "granted by"); p++) {
		if (lex_is(p, ","))
			continue;
		p += lex_is(p, "group");
		if (!lex_name(p))
			return util_syntax(s, p, text);
		pthread_mutex_lock(&server.lock);
		there = lex_is(p, "public") || lex_is(p, "current_user") || lex_is(p, "session_user") ||
			lex_is(p, "current_role") || role_find(p->s);
		pthread_mutex_unlock(&server.lock);
		if (!there)
			return err(s, "42704", "role \"%s\" does not exist", p->s);
	}
	notice(s, "00000", "every user may do that, and anything else, with every table of a database that he connects to");
	return util_complete(s, tag);
}

bool admin_run(struct session *s, enum sql_kind kind, const char *tag, const struct lex_tok *t, const char *text)
{
	const struct lex_tok *end = sql_end(t);

	switch (kind) {
	case SQL_CREATE_ROLE:
		return create_role(s, t, end, tag, text);
	case SQL_ALTER_ROLE:
		return alter_role(s, t, end, tag, text);
	case SQL_DROP_ROLE:
		return drop_role(s, t, end, tag);
	case SQL_ALTER_SYSTEM:
		return alter_system(s, t, end, tag, text);
	case SQL_GRANT:
	case SQL_REVOKE:
		return grant(s, t, end, tag, text);
	default:
		return databases(s, kind, t, tag, text);
	}
}
