// SPDX-License-Identifier: GPL-2.0-or-later
/* Statements that are the server's and not SQLite's: transactions, settings, roles, COPY. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "priv.h"
#include "session.h"

typedef const struct lex_tok *tokp;

/* A statement, by its first words; t: what is behind them. */
struct util {
	const char *words, *tag;
	bool (*run)(struct session *s, const struct util *u, tokp t, tokp end, const char *text);
	bool lasting;
};

static bool complete(struct session *s, const char *tag)
{
	proto_send(&s->out, 'C', "s", tag);
	return true;
}

/* ------------------------------------------------------------ transactions */

static bool do_begin(struct session *s, const struct util *u, tokp t, tokp end, const char *text)
{
	/* SQLite's own words: at once with the write lock; EXCLUSIVE is the same in WAL mode. */
	bool now = lex_is(t, "immediate") || lex_is(t, "exclusive");

	t += now || lex_is(t, "deferred");
	t += lex_is(t, "transaction") || lex_is(t, "work");
	if (t < end && !lex_is(t, "isolation") && !lex_is(t, "read"))
		return err_syntax(s, t);
	if (t < end)
		return err_hint(s, "0A000", "A statement sees what is committed when it begins, and from the first write on nobody else writes.",
				"transactions are ISOLATION LEVEL READ COMMITTED and READ WRITE here, and not to be told so");
	if (s->tx == TX_OPEN)
		notice(s, "25001", "there is already a transaction in progress");
	s->tx = TX_OPEN;
	return (!now || work_write(s)) && complete(s, u->tag);
}

static bool do_end(struct session *s, const struct util *u, tokp t, tokp end, const char *text)
{
	t += lex_is(t, "transaction") || lex_is(t, "work");
	if (t != end)
		return err_syntax(s, t);
	if (s->tx == TX_NONE)
		notice(s, "25P01", "there is no transaction in progress");
	if (*u->tag == 'C' && s->tx != TX_FAILED)
		return work_commit(s) && complete(s, u->tag);
	work_rollback(s);
	return complete(s, "ROLLBACK");
}

/* SAVEPOINT, RELEASE and ROLLBACK TO are SQLite's, within the write lock. */
static bool do_savepoint(struct session *s, const struct util *u, tokp t, tokp end, const char *text)
{
	char *sql;
	bool ok;

	if (!lex_name(t) || t + 1 != end)
		return err_syntax(s, t);
	if (s->tx == TX_NONE)
		return err(s, "25P01", "%s can only be used in transaction blocks", u->tag);
	exec_close_portals(s);
	sql = sqlite3_mprintf("%s \"%w\"", u->words, t->s);
	ok = sql ? work_write(s) && work_exec(s, sql) : err(s, "53200", "out of memory");
	sqlite3_free(sql);
	if (ok)
		s->tx = TX_OPEN;
	return ok && complete(s, u->tag);
}

/* ---------------------------------------------------------------- settings */

static bool do_set(struct session *s, const struct util *u, tokp t, tokp end, const char *text)
{
	char name[64], *value = NULL;
	const char *why;

	if (!priv_setting(t, end, *u->tag == 'R', name, sizeof(name), &value, &t))
		return err_syntax(s, t);
	why = setting_set(s, name, value);
	free(value);
	return why ? err(s, strstr(why, "unrecognized") ? "42704" : strstr(why, "cannot") ? "55P02" : "22023", "%s", why) : complete(s, u->tag);
}

static bool do_deallocate(struct session *s, const struct util *u, tokp t, tokp end, const char *text)
{
	if (!lex_name(t) || t + 1 != end)
		return err_syntax(s, t);
	if (lex_is(t, "all"))
		exec_forget(s);
	else if (!exec_find(s, 'S', t->s))
		return err(s, "26000", "prepared statement \"%s\" does not exist", t->s);
	else
		exec_close(s, 'S', t->s);
	return complete(s, u->tag);
}

/* ------------------------------------------------------------------- tables */

/* TRUNCATE [TABLE] a, b; DROP TABLE [IF EXISTS] a, b: SQLite has none of the first, and the second of one table. */
static bool do_tables(struct session *s, const struct util *u, tokp t, tokp end, const char *text)
{
	char *sql;
	bool ok;

	for (;; t += 2) {
		if (!lex_name(t) || (t + 1 != end && !lex_is(t + 1, ",")))
			return err_syntax(s, lex_name(t) ? t + 1 : t);
		sql = sqlite3_mprintf("%s \"%w\"", *u->words == 'd' ? u->words : "delete from", t->s);
		ok = sql ? exec_run(s, sql, strlen(sql), false) : err(s, "53200", "out of memory");
		sqlite3_free(sql);
		if (!ok || t + 1 == end)
			return ok && complete(s, u->tag);
	}
}

/* --------------------------------------------------------------- the others */

static bool do_copy(struct session *s, const struct util *u, tokp t, tokp end, const char *text)
{
	return copy_run(s, t, end, text);
}

static bool do_priv(struct session *s, tokp t, tokp end, const char *text)
{
	const char *why, *code = "42501";
	struct priv p;
	tokp at = t;
	bool ok;

	if (!priv_parse(&p, t, end, &at, &why)) {
		ok = why ? err(s, "42601", "%s", why) : err_syntax(s, at);
	} else if ((p.verb == PRIV_CREATE_DATABASE || p.verb == PRIV_DROP_DATABASE) && s->tx != TX_NONE) {
		ok = err(s, "25001", "%s cannot run inside a transaction block", p.tag);
	} else {
		why = role_do(&p, s->role->name, &code);
		ok = why ? err(s, code, "%s", why) : complete(s, p.tag);
	}
	priv_free(&p);
	return ok;
}

/* The longer one of two that begin alike is first. */
static const struct util utils[] = {
	{ "begin", "BEGIN", do_begin, false }, { "start transaction", "START TRANSACTION", do_begin, false },
	{ "commit", "COMMIT", do_end, true }, { "end", "COMMIT", do_end, true },
	{ "rollback to savepoint", "ROLLBACK", do_savepoint, true }, { "rollback to", "ROLLBACK", do_savepoint, true },
	{ "rollback", "ROLLBACK", do_end, true }, { "abort", "ROLLBACK", do_end, true },
	{ "savepoint", "SAVEPOINT", do_savepoint, false },
	{ "release savepoint", "RELEASE", do_savepoint, false }, { "release", "RELEASE", do_savepoint, false },
	{ "set local", "", NULL, false }, { "set transaction", "", NULL, false }, { "set session characteristics", "", NULL, false },
	{ "set session", "SET", do_set, false }, { "set", "SET", do_set, false },
	{ "reset", "RESET", do_set, false },
	{ "deallocate prepare", "DEALLOCATE", do_deallocate, false }, { "deallocate", "DEALLOCATE", do_deallocate, false },
	{ "copy", "COPY", do_copy, false },
	{ "truncate table", "TRUNCATE TABLE", do_tables, false }, { "truncate", "TRUNCATE TABLE", do_tables, false },
	{ "drop table if exists", "DROP TABLE", do_tables, false }, { "drop table", "DROP TABLE", do_tables, false },
};
#define N_UTILS (sizeof(utils) / sizeof(*utils))

/* NULL: it is none of these. */
static const struct util *find_util(tokp t)
{
	const struct util *u;

	for (u = utils; u < utils + N_UTILS && !lex_are(t, u->words); u++)
		;
	if (u == utils + N_UTILS || !u->run)
		return NULL;
	/* DROP of one table is SQLite's own. */
	while (*u->words == 'd' && u->run == do_tables && !lex_is(t, ","))
		if ((t++)->kind == LEX_END || lex_is(t, ";"))
			return NULL;
	return u;
}

bool util_is(struct stmt *st, tokp t)
{
	const struct util *u = find_util(t);

	st->tag = u ? u->tag : "";
	st->lasting = u && u->lasting;
	return u || priv_is(t);
}

bool util_run(struct session *s, tokp t, tokp end, const char *text)
{
	const struct util *u = find_util(t);

	return u ? u->run(s, u, t + lex_are(t, u->words), end, text) : do_priv(s, t, end, text);
}
