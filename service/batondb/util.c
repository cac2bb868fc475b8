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

/* Behind BEGIN and SET TRANSACTION: what there is may be said, and nothing else. */
static bool read_modes(struct session *s, tokp t, tokp end, const char *text)
{
	unsigned n;

	for (; t < end; t += n) {
		n = lex_is(t, ",") ? 1 : lex_are(t, "read write") ? 2 : 0;
		if (!n)
			n = lex_are(t, "isolation level read committed") + lex_are(t, "isolation level read uncommitted");
		if (!n && (lex_are(t, "isolation level") || lex_are(t, "read only")))
			return err_hint(s, "0A000", "A statement sees what is committed when it begins, and from the first write on nobody else writes.",
					"transactions are READ COMMITTED and READ WRITE");
		if (!n)
			return err_syntax(s, t, text);
	}
	return true;
}

static bool do_begin(struct session *s, tokp t, tokp end, const char *text)
{
	const char *tag = lex_is(t, "start") ? "START TRANSACTION" : "BEGIN";
	bool now;

	t += 1;
	/* SQLite's own words: at once with the write lock; EXCLUSIVE is the same in WAL mode. */
	now = lex_is(t, "immediate") || lex_is(t, "exclusive");
	t += now || lex_is(t, "deferred");
	t += lex_is(t, "transaction") || lex_is(t, "work");
	if (!read_modes(s, t, end, text))
		return false;
	if (s->tx == TX_OPEN)
		notice(s, "25001", "there is already a transaction in progress");
	s->tx = TX_OPEN;
	return (!now || work_write(s)) && complete(s, tag);
}

static bool do_end(struct session *s, tokp t, tokp end, const char *text)
{
	bool back = lex_is(t, "rollback") || lex_is(t, "abort") || s->tx == TX_FAILED;

	t++;
	t += lex_is(t, "transaction") || lex_is(t, "work");
	if (t != end)
		return err_syntax(s, t, text);
	if (s->tx == TX_NONE)
		notice(s, "25P01", "there is no transaction in progress");
	if (!back)
		return work_commit(s) && complete(s, "COMMIT");
	work_rollback(s);
	return complete(s, "ROLLBACK");
}

/* SAVEPOINT, RELEASE and ROLLBACK TO are SQLite's, within the write lock. */
static bool savepoint(struct session *s, tokp name, tokp end, const char *text, const char *what, const char *tag)
{
	struct buf b;
	bool ok;

	if (!lex_name(name) || name + 1 != end)
		return err_syntax(s, name, text);
	if (s->tx == TX_NONE)
		return err(s, "25P01", "%s can only be used in transaction blocks", tag);
	exec_close_portals(s);
	buf_init(&b, 1 << 16);
	buf_str(&b, what);
	buf_sql_id(&b, name->s, name->n);
	ok = work_write(s) && work_exec(s, buf_cstr(&b));
	buf_free(&b);
	if (ok)
		s->tx = TX_OPEN;
	return ok && complete(s, tag);
}

static bool do_savepoint(struct session *s, tokp t, tokp end, const char *text)
{
	return savepoint(s, t + 1, end, text, "savepoint ", "SAVEPOINT");
}

static bool do_release(struct session *s, tokp t, tokp end, const char *text)
{
	return savepoint(s, t + 1 + lex_is(t + 1, "savepoint"), end, text, "release ", "RELEASE");
}

static bool do_rollback(struct session *s, tokp t, tokp end, const char *text)
{
	tokp to = t + 1 + (lex_is(t + 1, "transaction") || lex_is(t + 1, "work"));

	return lex_is(to, "to") ? savepoint(s, to + 1 + lex_is(to + 1, "savepoint"), end, text, "rollback to ", "ROLLBACK") :
	       do_end(s, t, end, text);
}

/* ---------------------------------------------------------------- settings */

static bool set_one(struct session *s, const char *name, const char *value, const char *tag)
{
	const char *why = setting_set(s, name, value);

	return why ? err(s, strstr(why, "unrecognized") ? "42704" : strstr(why, "cannot") ? "55P02" : "22023", "%s", why) :
		     complete(s, tag);
}

/* A setting's name; the token behind it, or NULL. */
static tokp setting_name(tokp t, char *name, size_t n)
{
	bool zone = lex_are(t, "time zone");

	if (!zone && !lex_are(t, "transaction isolation level"))
		return lex_name(t) ? priv_name(t, name, n) : NULL;
	snprintf(name, n, zone ? "TimeZone" : "transaction_isolation");
	return t + (zone ? 2 : 3);
}

static bool do_set(struct session *s, tokp t, tokp end, const char *text)
{
	char name[64], *value;
	bool ok;
	tokp p;

	t++;
	if (lex_is(t, "local"))
		return err_hint(s, "0A000", "A setting holds until it is set again, whatever becomes of the transaction.",
				"SET LOCAL is not supported");
	t += lex_is(t, "session");
	if (lex_are(t, "characteristics as transaction") || lex_is(t, "transaction"))
		return read_modes(s, t + (lex_is(t, "transaction") ? 1 : 3), end, text) && complete(s, "SET");
	p = setting_name(t, name, sizeof(name));
	if (!p)
		return err_syntax(s, t, text);
	if (!lex_are(t, "time zone") && !lex_is(p, "=") && !lex_is(p, "to"))
		return err_syntax(s, p, text);
	p += !lex_are(t, "time zone");
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

	if (lex_is(t + 1, "all") && t + 2 == end) {
		s->set = s->initial;
		return complete(s, "RESET");
	}
	return setting_name(t + 1, name, sizeof(name)) == end ? set_one(s, name, NULL, "RESET") : err_syntax(s, t + 1, text);
}

static bool do_show(struct session *s, tokp t, tokp end, const char *text)
{
	char name[64];
	const char *v;

	if (lex_is(t + 1, "all"))
		return err(s, "0A000", "SHOW ALL is not supported");
	if (setting_name(t + 1, name, sizeof(name)) != end)
		return err_syntax(s, t + 1, text);
	v = setting_get(s, name);
	if (!v)
		return err(s, "42704", "unrecognized configuration parameter \"%s\"", name);
	exec_row(s, name, v);
	return complete(s, "SHOW");
}

static bool do_discard(struct session *s, tokp t, tokp end, const char *text)
{
	if (!lex_is(t + 1, "all") || t + 2 != end)
		return err_syntax(s, t + 1, text);
	if (s->tx != TX_NONE)
		return err(s, "25001", "DISCARD ALL cannot run inside a transaction block");
	exec_forget(s);
	s->set = s->initial;
	return complete(s, "DISCARD ALL");
}

static bool do_deallocate(struct session *s, tokp t, tokp end, const char *text)
{
	t += 1 + lex_is(t + 1, "prepare");
	if (!lex_name(t) || t + 1 != end)
		return err_syntax(s, t, text);
	if (lex_is(t, "all")) {
		exec_forget(s);
		return complete(s, "DEALLOCATE ALL");
	}
	if (!exec_find(s, t->s))
		return err(s, "26000", "prepared statement \"%s\" does not exist", t->s);
	exec_close(s, 'S', t->s);
	return complete(s, "DEALLOCATE");
}

/* ------------------------------------------------------------------- tables */

/* TRUNCATE [TABLE] a, b; DROP TABLE [IF EXISTS] a, b: SQLite has none of the first, and the second of one table. */
static bool for_tables(struct session *s, tokp t, tokp end, const char *text, const char *what)
{
	struct buf b;
	bool ok;

	for (;; t += 2) {
		if (!lex_name(t) || (t + 1 != end && !lex_is(t + 1, ",")))
			return err_syntax(s, lex_name(t) ? t + 1 : t, text);
		buf_init(&b, 1 << 16);
		buf_str(&b, what);
		buf_sql_id(&b, t->s, t->n);
		ok = exec_run(s, buf_cstr(&b), b.len);
		buf_free(&b);
		if (!ok || t + 1 == end)
			return ok;
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
	bool ok;

	if (s->tx != TX_NONE || !s->single)
		return err(s, "25001", "VACUUM cannot run inside a transaction block");
	/* SQLite rewrites the file; within the write lock, not within a transaction. */
	if (!work_write(s) || !work_exec(s, "rollback"))
		return false;
	sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 1);
	ok = work_exec(s, "vacuum");
	sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
	return ok;
}

static bool do_priv(struct session *s, tokp t, tokp end, const char *text)
{
	const char *why, *code = "42501";
	struct priv p;
	tokp at = t;
	bool ok;

	if (!priv_parse(&p, t, end, &at, &why)) {
		ok = why ? err(s, "42601", "%s", why) : err_syntax(s, at, text);
	} else if ((p.verb == PRIV_CREATE_DATABASE || p.verb == PRIV_DROP_DATABASE) && s->tx != TX_NONE) {
		ok = err(s, "25001", "%s cannot run inside a transaction block", p.tag);
	} else {
		why = role_do(&p, s->role->name, &code);
		ok = why ? err(s, code, "%s", why) : p.verb == PRIV_VACUUM ? vacuum(s) :
		     p.verb == PRIV_CHECKPOINT ? work_exec(s, "pragma wal_checkpoint") : true;
		ok = ok && complete(s, p.tag);
	}
	priv_free(&p);
	return ok;
}

static bool do_refuse(struct session *s, tokp t, tokp end, const char *text)
{
	bool rows = lex_is(t, "declare") || lex_is(t, "fetch") || lex_is(t, "prepare") || lex_is(t, "execute");

	return err_hint(s, "0A000", rows ? "Rows in parts are had from a portal: a fetch size, or a row limit of Execute." :
			"Every user may read and write every table of a database that he connects to. What is to be kept apart needs a database of its own.",
			rows ? "cursors and PREPARE in SQL are not supported" : "GRANT and REVOKE are not supported");
}

static const struct {
	const char *words, *tag;
	util_do *run;
	bool lasting;
	const char *show;
} utils[] = {
	{ "begin", "BEGIN", do_begin, false, NULL }, { "start transaction", "START TRANSACTION", do_begin, false, NULL },
	{ "commit", "COMMIT", do_end, true, NULL }, { "end", "COMMIT", do_end, true, NULL },
	{ "rollback", "ROLLBACK", do_rollback, true, NULL }, { "abort", "ROLLBACK", do_rollback, true, NULL },
	{ "savepoint", "SAVEPOINT", do_savepoint, false, NULL }, { "release", "RELEASE", do_release, false, NULL },
	{ "set", "SET", do_set, false, NULL }, { "reset", "RESET", do_reset, false, NULL }, { "show", "SHOW", do_show, false, "setting" },
	{ "discard", "DISCARD", do_discard, false, NULL }, { "deallocate", "DEALLOCATE", do_deallocate, false, NULL },
	{ "copy", "COPY", copy_run, false, NULL }, { "truncate", "TRUNCATE TABLE", do_truncate, false, NULL },
	{ "drop table", "DROP TABLE", do_drop, false, NULL },
	{ "grant", "", do_refuse, false, NULL }, { "revoke", "", do_refuse, false, NULL }, { "declare", "", do_refuse, false, NULL },
	{ "fetch", "", do_refuse, false, NULL }, { "prepare", "", do_refuse, false, NULL }, { "execute", "", do_refuse, false, NULL },
};
#define N_UTILS ((int)(sizeof(utils) / sizeof(*utils)))

/* A place in the table; behind it: one of priv.h's; or -1. */
static int find_util(tokp t)
{
	int i;

	/* Statements of pgbench's are in forms.c. */
	if (lex_is(t, "vacuum") && (!strncmp(t[1].s, "pgbench_", 8) || !strncmp(t[2].s, "pgbench_", 8)))
		return -1;
	for (i = 0; i < N_UTILS && !lex_are(t, utils[i].words); i++)
		;
	/* DROP of one table is SQLite's own. */
	if (i < N_UTILS && utils[i].run == do_drop) {
		while (t->kind != LEX_END && !lex_is(t, ";") && !lex_is(t, ","))
			t++;
		return lex_is(t, ",") ? i : -1;
	}
	return i < N_UTILS || priv_is(t) ? i : -1;
}

bool util_is(struct stmt *st, tokp t)
{
	int i = find_util(t);

	if (i < 0)
		return false;
	st->tag = i < N_UTILS ? utils[i].tag : "";
	st->lasting = i < N_UTILS && utils[i].lasting;
	st->show = i < N_UTILS ? utils[i].show : NULL;
	return true;
}

bool util_run(struct session *s, tokp t, tokp end, const char *text)
{
	int i = find_util(t);

	return i >= 0 && (i < N_UTILS ? utils[i].run : do_priv)(s, t, end, text);
}
