// SPDX-License-Identifier: GPL-2.0-or-later
/* Statements that are the server's and not SQLite's: transactions, settings, roles, COPY. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "priv.h"
#include "session.h"

typedef const struct lex_tok *tokp;
typedef bool util_do(struct session *s, tokp t, tokp end, const char *text);

static bool complete(struct session *s, const char *tag)
{
	proto_complete(&s->out, tag);
	return true;
}

/* ------------------------------------------------------------ transactions */

/* ISOLATION LEVEL x, READ ONLY, READ WRITE; what is behind BEGIN or SET TRANSACTION. */
static bool read_modes(struct session *s, tokp t, tokp end, const char *text)
{
	for (; t < end; t++) {
		if (lex_is(t, ","))
			continue;
		if (lex_are(t, "isolation level serializable") || lex_are(t, "isolation level repeatable read")) {
			s->snapshot = true;
			t += 2 + lex_is(t + 2, "repeatable");
		} else if (lex_are(t, "isolation level read committed") || lex_are(t, "isolation level read uncommitted")) {
			s->snapshot = false;
			t += 3;
		} else if (lex_are(t, "read only") || lex_are(t, "read write")) {
			s->read_only = lex_is(t + 1, "only");
			t++;
		} else {
			return err_syntax(s, t, text);
		}
	}
	return true;
}

static bool do_begin(struct session *s, tokp t, tokp end, const char *text)
{
	const char *tag = lex_is(t, "start") ? "START TRANSACTION" : "BEGIN";
	bool now;

	if (s->tx == TX_OPEN) {
		notice(s, "25001", "there is already a transaction in progress");
		return complete(s, tag);
	}
	t += 1;
	/* SQLite's own words: at once with the write lock; EXCLUSIVE is the same in WAL mode. */
	now = lex_is(t, "immediate") || lex_is(t, "exclusive");
	t += now || lex_is(t, "deferred");
	t += lex_is(t, "transaction") || lex_is(t, "work");
	s->snapshot = !strcmp(setting_get(s, "default_transaction_isolation"), "serializable");
	s->read_only = !strcmp(setting_get(s, "default_transaction_read_only"), "on");
	if (!read_modes(s, t, end, text)) {
		s->snapshot = s->read_only = false;
		return false;
	}
	s->tx = TX_OPEN;
	s->xact_start = baton_clock_now();
	return (!now || work_write(s)) && complete(s, tag);
}

static bool do_commit(struct session *s, tokp t, tokp end, const char *text)
{
	t++;
	t += lex_is(t, "transaction") || lex_is(t, "work");
	if (t != end)
		return err_syntax(s, t, text);
	if (s->tx == TX_NONE)
		notice(s, "25P01", "there is no transaction in progress");
	if (s->tx == TX_FAILED) {
		work_rollback(s);
		return complete(s, "ROLLBACK");
	}
	return work_commit(s) && complete(s, "COMMIT");
}

static bool to_savepoint(struct session *s, tokp t, tokp end, const char *text, bool release)
{
	t += lex_is(t, "savepoint");
	if (!lex_name(t) || t + 1 != end || t->n > 63)
		return err_syntax(s, t, text);
	if (s->tx == TX_NONE)
		return err(s, "25P01", "%s can only be used in transaction blocks", release ? "RELEASE SAVEPOINT" : "ROLLBACK TO SAVEPOINT");
	if (!release && s->tx == TX_FAILED)
		s->tx = TX_OPEN;
	exec_close_portals(s);
	return work_back_to(s, t->s, release) && complete(s, release ? "RELEASE" : "ROLLBACK");
}

static bool do_rollback(struct session *s, tokp t, tokp end, const char *text)
{
	t++;
	t += lex_is(t, "transaction") || lex_is(t, "work");
	if (lex_is(t, "to"))
		return to_savepoint(s, t + 1, end, text, false);
	if (t != end)
		return err_syntax(s, t, text);
	if (s->tx == TX_NONE)
		notice(s, "25P01", "there is no transaction in progress");
	work_rollback(s);
	return complete(s, "ROLLBACK");
}

static bool do_savepoint(struct session *s, tokp t, tokp end, const char *text)
{
	if (lex_is(t, "release"))
		return to_savepoint(s, t + 1, end, text, true);
	t++;
	if (!lex_name(t) || t + 1 != end || t->n > 63)
		return err_syntax(s, t, text);
	if (s->tx == TX_NONE)
		return err(s, "25P01", "SAVEPOINT can only be used in transaction blocks");
	exec_close_portals(s);
	return work_savepoint(s, t->s) && complete(s, "SAVEPOINT");
}

/* ---------------------------------------------------------------- settings */

static bool set_one(struct session *s, const char *name, const char *value, const char *tag)
{
	const char *why = setting_set(s, name, value);

	return why ? err(s, strstr(why, "unrecognized") ? "42704" : strstr(why, "cannot") ? "55P02" : "22023", "%s", why) :
		     complete(s, tag);
}

/* What SET says with words of its own. */
static tokp setting_name(tokp t, char *name, size_t n)
{
	if (lex_are(t, "time zone")) {
		snprintf(name, n, "TimeZone");
		return t + 2;
	}
	if (lex_are(t, "transaction isolation level")) {
		snprintf(name, n, "transaction_isolation");
		return t + 3;
	}
	return lex_name(t) ? priv_name(t, name, n) : NULL;
}

static bool do_set(struct session *s, tokp t, tokp end, const char *text)
{
	bool zone, characteristics, ok;
	char name[64], *value;
	tokp p;

	t++;
	if (lex_is(t, "local"))
		return err_hint(s, "0A000", "A setting holds until it is set again, whatever becomes of the transaction.",
				"SET LOCAL is not supported");
	t += lex_is(t, "session");
	characteristics = lex_are(t, "characteristics as transaction");
	if (characteristics) {
		t += 3;
		if (lex_are(t, "isolation level")) {
			value = priv_value(t + 2, end);
			ok = value ? set_one(s, "default_transaction_isolation", value, "SET") : err(s, "53200", "out of memory");
			free(value);
			return ok;
		}
		if ((lex_are(t, "read only") || lex_are(t, "read write")) && t + 2 == end)
			return set_one(s, "default_transaction_read_only", lex_is(t + 1, "only") ? "on" : "off", "SET");
		return err_syntax(s, t, text);
	}
	if (lex_is(t, "transaction")) {
		if (s->tx == TX_NONE)
			notice(s, "25P01", "SET TRANSACTION can only be used in transaction blocks");
		else if (!sqlite3_get_autocommit(s->db))
			return err(s, "25001", "SET TRANSACTION must be called before any query");
		return (s->tx == TX_NONE || read_modes(s, t + 1, end, text)) && complete(s, "SET");
	}
	zone = lex_are(t, "time zone");
	p = setting_name(t, name, sizeof(name));
	if (!p)
		return err_syntax(s, t, text);
	if (!zone && !lex_is(p, "=") && !lex_is(p, "to"))
		return err_syntax(s, p, text);
	p += !zone;
	if (p >= end)
		return err_syntax(s, end, text);
	if (lex_is(p, "default") && p + 1 == end)
		return set_one(s, name, NULL, "SET");
	value = priv_value(p, end);
	ok = value ? set_one(s, name, value, "SET") : err(s, "53200", "out of memory");
	free(value);
	return ok;
}

static bool do_reset(struct session *s, tokp t, tokp end, const char *text)
{
	char name[64];

	t++;
	if (lex_is(t, "all") && t + 1 == end) {
		settings_reset(s);
		return complete(s, "RESET");
	}
	if (!lex_name(t) || setting_name(t, name, sizeof(name)) != end)
		return err_syntax(s, t, text);
	return set_one(s, name, NULL, "RESET");
}

static bool do_show(struct session *s, tokp t, tokp end, const char *text)
{
	const char *v;
	char name[64];

	t++;
	if (lex_is(t, "all"))
		return err(s, "0A000", "SHOW ALL is not supported: SELECT name, setting FROM pg_settings");
	if (setting_name(t, name, sizeof(name)) != end)
		return err_syntax(s, t, text);
	pthread_mutex_lock(&server.lock);
	v = setting_get(s, name);
	pthread_mutex_unlock(&server.lock);
	if (!v)
		return err(s, "42704", "unrecognized configuration parameter \"%s\"", name);
	exec_row(s, name, v);
	return complete(s, "SHOW");
}

static bool do_discard(struct session *s, tokp t, tokp end, const char *text)
{
	if ((!lex_is(t + 1, "all") && !lex_is(t + 1, "plans")) || t + 2 != end)
		return err_syntax(s, t + 1, text);
	if (lex_is(t + 1, "plans")) {
		exec_forget(s, false);
		return complete(s, "DISCARD PLANS");
	}
	if (s->tx != TX_NONE)
		return err(s, "25001", "DISCARD ALL cannot run inside a transaction block");
	exec_close_portals(s);
	exec_forget(s, true);
	settings_reset(s);
	return complete(s, "DISCARD ALL");
}

static bool do_deallocate(struct session *s, tokp t, tokp end, const char *text)
{
	t += 1 + lex_is(t + 1, "prepare");
	if (!lex_name(t) || t + 1 != end)
		return err_syntax(s, t, text);
	if (lex_is(t, "all")) {
		exec_forget(s, true);
		return complete(s, "DEALLOCATE ALL");
	}
	if (!exec_find(s, t->s))
		return err(s, "26000", "prepared statement \"%s\" does not exist", t->s);
	exec_close(s, 'S', t->s);
	return complete(s, "DEALLOCATE");
}

/* ------------------------------------------------------------------- tables */

static bool run_for(struct session *s, const char *what, tokp name)
{
	struct stmt *st;
	struct buf b;
	bool ok = true;
	int rc;

	buf_init(&b, 1000);
	buf_str(&b, what);
	buf_sql_id(&b, name->s, name->n);
	st = exec_make(s, "", buf_cstr(&b), b.len, NULL, 0);
	buf_free(&b);
	if (!st || !exec_ready(s, st)) {
		exec_drop(st);
		return false;
	}
	s->guard.kind = st->kind;
	rc = sqlite3_step(st->st);
	s->guard.kind = GUARD_QUERY;
	if (rc != SQLITE_DONE)
		ok = err_db(s, rc, NULL);
	if (st->kind == GUARD_DDL) {
		s->altered = true;
		atomic_fetch_add(&s->database->alters, 1);
	}
	exec_drop(st);
	return ok;
}

/* TRUNCATE [TABLE] a, b; DROP TABLE [IF EXISTS] a, b: SQLite has none of the first, and the second of one table. */
static bool for_tables(struct session *s, tokp t, tokp end, const char *text, const char *what)
{
	for (;; t += 2) {
		if (!lex_name(t) || (t + 1 != end && !lex_is(t + 1, ",")))
			return err_syntax(s, lex_name(t) ? t + 1 : t, text);
		if (!run_for(s, what, t))
			return false;
		if (t + 1 == end)
			return true;
	}
}

static bool do_truncate(struct session *s, tokp t, tokp end, const char *text)
{
	return for_tables(s, t + 1 + lex_is(t + 1, "table"), end, text, "delete from ") && complete(s, "TRUNCATE TABLE");
}

static bool do_drop(struct session *s, tokp t, tokp end, const char *text)
{
	bool gone = lex_are(t + 2, "if exists");

	return for_tables(s, t + 2 + 2 * gone, end, text, gone ? "drop table if exists " : "drop table ") && complete(s, "DROP TABLE");
}

/* -------------------------------------------------------------------- roles */

static bool vacuum(struct session *s)
{
	int rc;

	if (s->tx != TX_NONE || !s->single)
		return err(s, "25001", "VACUUM cannot run inside a transaction block");
	/* SQLite rewrites the file; within the write lock, not within a transaction. */
	if (!work_write(s) || !work_exec(s, "rollback"))
		return false;
	sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 1);
	s->guard.kind = GUARD_INTERNAL;
	rc = sqlite3_exec(s->db, "vacuum", NULL, NULL, NULL);
	s->guard.kind = GUARD_QUERY;
	sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
	return !rc || err_db(s, rc, NULL);
}

static bool do_priv(struct session *s, tokp t, tokp end, const char *text)
{
	const char *why, *code = "XX000";
	struct priv p;
	tokp at = t;
	bool ok;

	if (!priv_parse(&p, t, end, &at, &why)) {
		ok = why ? err(s, "42601", "%s", why) : err_syntax(s, at, text);
	} else if ((p.verb == PRIV_CREATE_DATABASE || p.verb == PRIV_DROP_DATABASE) && s->tx != TX_NONE) {
		ok = err(s, "25001", "%s cannot run inside a transaction block", p.tag);
	} else {
		if (p.verb == PRIV_VACUUM || p.verb == PRIV_CHECKPOINT) {
			why = s->role->super ? NULL : "permission denied: it is for superusers";
			code = "42501";
		} else {
			why = role_do(&p, s->role->name, &code);
		}
		ok = why ? err(s, code, "%s", why) : p.verb == PRIV_VACUUM ? vacuum(s) :
		     p.verb == PRIV_CHECKPOINT ? work_exec(s, "pragma wal_checkpoint") : true;
		ok = ok && complete(s, p.tag);
	}
	priv_free(&p);
	return ok;
}

static bool do_grant(struct session *s, tokp t, tokp end, const char *text)
{
	return err_hint(s, "0A000", "Every user may read and write every table of a database that he connects to. What is to be kept apart "
			"needs a database of its own.", "GRANT and REVOKE are not supported");
}

static bool do_cursor(struct session *s, tokp t, tokp end, const char *text)
{
	return err_hint(s, "0A000", "Rows in parts are had from a portal: a fetch size, or a row limit of Execute.",
			"cursors and PREPARE in SQL are not supported");
}

static const struct {
	const char *words, *tag;
	util_do *run;
	bool lasting;
	const char *show;
} utils[] = {
	{ "begin", "BEGIN", do_begin, false, NULL }, { "start transaction", "START TRANSACTION", do_begin, false, NULL },
	{ "commit", "COMMIT", do_commit, true, NULL }, { "end", "COMMIT", do_commit, true, NULL },
	{ "rollback", "ROLLBACK", do_rollback, true, NULL }, { "abort", "ROLLBACK", do_rollback, true, NULL },
	{ "savepoint", "SAVEPOINT", do_savepoint, false, NULL }, { "release", "RELEASE", do_savepoint, false, NULL },
	{ "set", "SET", do_set, false, NULL }, { "reset", "RESET", do_reset, false, NULL }, { "show", "SHOW", do_show, false, "setting" },
	{ "discard", "DISCARD", do_discard, false, NULL }, { "deallocate", "DEALLOCATE", do_deallocate, false, NULL },
	{ "copy", "COPY", copy_run, false, NULL }, { "truncate", "TRUNCATE TABLE", do_truncate, false, NULL },
	{ "drop table", "DROP TABLE", do_drop, false, NULL },
	{ "create user", "", do_priv, false, NULL }, { "create role", "", do_priv, false, NULL }, { "alter user", "", do_priv, false, NULL },
	{ "alter role", "", do_priv, false, NULL }, { "drop user", "", do_priv, false, NULL }, { "drop role", "", do_priv, false, NULL },
	{ "create database", "", do_priv, false, NULL }, { "drop database", "", do_priv, false, NULL },
	{ "alter system", "", do_priv, false, NULL }, { "checkpoint", "", do_priv, false, NULL }, { "vacuum", "", do_priv, false, NULL },
	{ "grant", "", do_grant, false, NULL }, { "revoke", "", do_grant, false, NULL },
	{ "declare", "", do_cursor, false, NULL }, { "fetch", "", do_cursor, false, NULL }, { "prepare", "", do_cursor, false, NULL },
	{ "execute", "", do_cursor, false, NULL },
};

static int find_util(tokp t)
{
	unsigned i;

	for (i = 0; i < sizeof(utils) / sizeof(*utils); i++)
		if (lex_are(t, utils[i].words)) {
			/* What pgbench means is in forms.c. */
			if (lex_is(t, "vacuum") && (!strncmp(t[1].s, "pgbench_", 8) || !strncmp(t[2].s, "pgbench_", 8)))
				return -1;
			/* Of one table it is SQLite's own. */
			if (utils[i].run == do_drop) {
				tokp end = lex_statement(t);

				while (t < end && !lex_is(t, ","))
					t++;
				return t < end ? (int)i : -1;
			}
			return (int)i;
		}
	return -1;
}

bool util_is(struct stmt *st, tokp t)
{
	int i = find_util(t);

	if (i < 0)
		return false;
	st->tag = utils[i].tag;
	st->lasting = utils[i].lasting;
	st->show = utils[i].show;
	return true;
}

bool util_run(struct session *s, tokp t, tokp end, const char *text)
{
	int i = find_util(t);

	return i >= 0 && utils[i].run(s, t, end, text);
}
