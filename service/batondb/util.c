// SPDX-License-Identifier: GPL-2.0-or-later
/* Statements that are no queries: transactions, settings, prepared statements, cursors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

bool util_lasting(enum sql_kind kind)
{
	return kind == SQL_COMMIT || kind == SQL_ROLLBACK || kind == SQL_ROLLBACK_TO || kind == SQL_EMPTY;
}

bool util_syntax(struct session *s, const struct lex_tok *t, const char *text)
{
	struct sql_error e;

	sql_syntax(&e, t, NULL);
	return err_at(s, &e, text);
}

bool util_complete(struct session *s, const char *tag)
{
	proto_complete(&s->out, tag);
	return true;
}

char *util_value(const struct lex_tok *t, const struct lex_tok *end)
{
	struct buf b;

	buf_init(&b, 10000);
	for (; t < end; t++) {
		if (b.len && !lex_is(t, ",") && !lex_is(t - 1, "-") && !lex_is(t, "%"))
			buf_ch(&b, ' ');
		buf_add(&b, t->s, t->n);
	}
	buf_cstr(&b);
	return b.failed ? NULL : b.p;
}

const struct lex_tok *util_name(const struct lex_tok *t, char *to, size_t n)
{
	snprintf(to, n, "%s", t->s);
	t++;
	while (lex_is(t, ".") && lex_name(t + 1)) {
		snprintf(to + strlen(to), n - strlen(to), ".%s", t[1].s);
		t += 2;
	}
	return t;
}

static bool modes(struct session *s, const struct lex_tok *t, const struct lex_tok *end)
{
	for (; t < end; t++) {
		if (lex_are(t, "isolation level")) {
			s->snapshot = lex_is(t + 2, "repeatable") || lex_is(t + 2, "serializable");
			t += 2;
		} else if (lex_are(t, "read only")) {
			s->read_only = true;
			t++;
		} else if (lex_are(t, "read write")) {
			s->read_only = false;
			t++;
		}
	}
	return true;
}

static bool begin(struct session *s, const char *tag, const struct lex_tok *t, const struct lex_tok *end)
{
	if (s->tx == TX_OPEN) {
		notice(s, "25001", "there is already a transaction in progress");
		return util_complete(s, tag);
	}
	s->tx = TX_OPEN;
	s->env.now = time_now();
	s->xact_start = baton_clock_now();
	s->snapshot = !strncasecmp(setting_get(s, "default_transaction_isolation"), "s", 1) ||
		      !strncasecmp(setting_get(s, "default_transaction_isolation"), "rep", 3);
	s->read_only = !strcmp(setting_get(s, "default_transaction_read_only"), "on");
	modes(s, t, end);
	return util_complete(s, tag);
}

static bool commit(struct session *s, const char *tag)
{
	bool was = s->tx == TX_FAILED;

	if (s->tx == TX_NONE)
		notice(s, "25P01", "there is no transaction in progress");
	if (was) {
		work_rollback(s);
		return util_complete(s, "ROLLBACK");
	}
	return work_commit(s) && util_complete(s, tag);
}

static bool savepoint(struct session *s, enum sql_kind kind, const char *tag, const struct lex_tok *t)
{
	char name[64];
	bool ok;

	if (s->tx == TX_NONE)
		return err(s, "25P01", "%s can only be used in transaction blocks", tag);
	while (t[1].kind != LEX_END && !lex_is(t + 1, ";"))
		t++;
	if (!lex_name(t))
		return err(s, "42601", "a savepoint has a name");
	/* As long as names are. */
	snprintf(name, sizeof(name), "%s", t->s);
	if (kind == SQL_ROLLBACK_TO && s->tx == TX_FAILED)
		s->tx = TX_OPEN;
	exec_close_portals(s);
	ok = kind == SQL_SAVEPOINT ? work_savepoint(s, name) : work_back_to(s, name, kind == SQL_RELEASE);
	if (ok)
		(kind == SQL_SAVEPOINT ? settings_mark : kind == SQL_RELEASE ? settings_release : settings_undo)(s, name);
	return ok && util_complete(s, tag);
}

/* ---------------------------------------------------------------- settings */

static bool set_one(struct session *s, const char *name, const char *value, bool local)
{
	const char *why = setting_change(s, name, value, local);

	return !why || err(s, strstr(why, "unrecognized") ? "42704" : strstr(why, "cannot") ? "55P02" : "22023", "%s", why);
}

static bool set(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *text)
{
	char name[128], *value;
	bool ok, local;

	t++;
	local = lex_is(t, "local");
	if (local && s->tx == TX_NONE)
		notice(s, "25P01", "SET LOCAL can only be used in transaction blocks");
	if (lex_is(t, "session") || local)
		t++;
	if (lex_is(t, "transaction"))
		return modes(s, t + 1, end) && util_complete(s, "SET");
	if (lex_are(t, "characteristics as transaction")) {
		const struct lex_tok *l;

		for (l = t + 3; l < end; l++)
			if (lex_are(l, "isolation level") && !set_one(s, "default_transaction_isolation",
								      lex_is(l + 2, "serializable") ? "serializable" :
								      lex_is(l + 2, "repeatable") ? "repeatable read" : "read committed", false))
				return false;
			else if (lex_are(l, "read only") && !set_one(s, "default_transaction_read_only", "on", false))
				return false;
			else if (lex_are(l, "read write") && !set_one(s, "default_transaction_read_only", "off", false))
				return false;
		return util_complete(s, "SET");
	}
	if (lex_are(t, "time zone")) {
		snprintf(name, sizeof(name), "TimeZone");
		t += 2;
	} else if (lex_is(t, "names")) {
		snprintf(name, sizeof(name), "client_encoding");
		t++;
	} else {
		if (!lex_name(t))
			return util_syntax(s, t, text);
		t = util_name(t, name, sizeof(name));
		if (!lex_is(t, "=") && !lex_is(t, "to"))
			return util_syntax(s, t, text);
		t++;
	}
	if (t >= end)
		return util_syntax(s, end, text);
	if (lex_is(t, "default") || (lex_is(t, "local") && !strcmp(name, "TimeZone")))
		return set_one(s, name, NULL, local) && util_complete(s, "SET");
	value = util_value(t, end);
	ok = value ? set_one(s, name, value, local) : err(s, "53200", "out of memory");
	free(value);
	return ok && util_complete(s, "SET");
}

static bool show(struct session *s, const struct lex_tok *t, const char *text)
{
	char name[128];
	const char *v;

	t++;
	if (lex_is(t, "all"))
		return err(s, "0A000", "SHOW ALL is not supported: SELECT name, setting FROM pg_settings");
	if (lex_are(t, "transaction isolation level"))
		snprintf(name, sizeof(name), "transaction_isolation");
	else if (lex_are(t, "time zone"))
		snprintf(name, sizeof(name), "TimeZone");
	else if (lex_are(t, "session authorization"))
		snprintf(name, sizeof(name), "session_authorization");
	else if (lex_name(t))
		util_name(t, name, sizeof(name));
	else
		return util_syntax(s, t, text);
	pthread_mutex_lock(&server.lock);
	v = setting_get(s, name);
	pthread_mutex_unlock(&server.lock);
	if (!v)
		return err(s, "42704", "unrecognized configuration parameter \"%s\"", name);
	if (!s->extended)
		row_header(s, name);
	row_text(s, v);
	return util_complete(s, "SHOW");
}

/* ----------------------------------------------- prepared statements, cursors */

static struct stmt *inner(struct session *s, const char *name, const struct lex_tok *t, const struct lex_tok *end, const char *text)
{
	if (t >= end) {
		util_syntax(s, end, text);
		return NULL;
	}
	return exec_make(s, name, text + t->at, end[-1].end - t->at, NULL, 0);
}

/* The types of parameters that PREPARE names at open, as Parse has them. */
static bool parameter_types(struct session *s, struct buf *oids, const struct lex_tok *open, const char *text)
{
	const struct lex_tok *p, *close = lex_close(open);
	struct coltype type;
	bool serial;
	unsigned n;

	for (p = open + 1; p < close; p += n + 1) {
		n = type_parse(p, &type, &serial);
		if (!n)
			return err(s, "42704", "type \"%s\" does not exist", p->s);
		if (p + n != close && !lex_is(p + n, ","))
			return util_syntax(s, p + n, text);
		proto_put32(oids, type.oid);
	}
	return !oids->failed || err(s, "53200", "out of memory");
}

static bool prepare(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *text)
{
	const struct lex_tok *name = t + 1, *open = lex_is(t + 2, "(") ? t + 2 : NULL, *as = open ? lex_close(open) + 1 : t + 2;
	struct buf oids;
	bool ok;

	if (!lex_name(name))
		return util_syntax(s, name, text);
	if (as >= end || !lex_is(as, "as") || as + 1 >= end)
		return util_syntax(s, as, text);
	buf_init(&oids, 1 << 18);
	ok = (!open || parameter_types(s, &oids, open, text)) &&
	     exec_named(s, name->s, text + as[1].at, end[-1].end - as[1].at, (const uint8_t *)oids.p, (unsigned)(oids.len / 4)) &&
	     util_complete(s, "PREPARE");
	buf_free(&oids);
	return ok;
}

static bool execute(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *text)
{
	struct stmt *st = exec_find(s, t[1].s);
	struct sql_error e;
	struct proto_bind b = { .portal = "", .stmt = t[1].s };
	struct buf q, values;
	sqlite3_stmt *args = NULL;
	bool ok;
	int i, rc;

	if (!st)
		return err(s, "26000", "prepared statement \"%s\" does not exist", t[1].s);
	buf_init(&q, 1 << 20);
	buf_init(&values, 1 << 26);
	buf_str(&q, "select ");
	if (lex_is(t + 2, "(")) {
		const struct lex_tok *p, *comma, *close = lex_close(t + 2);
		unsigned k = 0;

		for (p = t + 3; p < close; p = comma + 1, k++) {
			comma = sql_comma(p, close);
			if (k)
				buf_ch(&q, ',');
			if (!sql_assigned(&q, NULL, p, comma, k < st->n_params ? (struct coltype){ st->oids[k], -1 } : (struct coltype){ 0, -1 }, &e)) {
				buf_free(&q);
				return err_at(s, &e, text);
			}
		}
		rc = sqlite3_prepare_v2(s->db, buf_cstr(&q), (int)q.len, &args, NULL);
		if (rc || sqlite3_step(args) != SQLITE_ROW) {
			err_db(s, rc ? rc : sqlite3_errcode(s->db), NULL);
			sqlite3_finalize(args);
			buf_free(&q);
			return false;
		}
		b.n = sqlite3_column_count(args);
		for (i = 0; i < (int)b.n; i++)
			type_out(&values, (struct coltype){ 0, -1 }, sqlite3_column_value(args, i), false);
		sqlite3_finalize(args);
	}
	buf_free(&q);
	b.values = proto_rd(buf_cstr(&values), values.len);
	/* What the extended protocol does. */
	ok = exec_bind_only(s, &b);
	if (ok) {
		if (st->st && st->n_cols)
			ok = exec_describe(s, 'P', "");
		ok = ok && exec_execute(s, "", 0);
		exec_close(s, 'P', "");
	}
	buf_free(&values);
	return ok;
}

static bool explain(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *text)
{
	sqlite3_stmt *plan;
	struct stmt *st;
	char line[600];
	struct buf b;
	int rc, depth[256] = { 0 };

	t++;
	if (lex_is(t, "("))
		t = lex_close(t) + 1;
	while (lex_is(t, "analyze") || lex_is(t, "verbose"))
		t++;
	st = inner(s, "", t, end, text);
	if (!st)
		return false;
	if (!st->st) {
		exec_drop(st);
		return err(s, "0A000", "there is no plan for this statement");
	}
	buf_init(&b, 64 << 20);
	buf_fmt(&b, "explain query plan %s", buf_cstr(&st->sql.text));
	rc = sqlite3_prepare_v2(s->db, buf_cstr(&b), (int)b.len, &plan, NULL);
	buf_free(&b);
	if (rc) {
		err_db(s, rc, st);
		exec_drop(st);
		return false;
	}
	if (!s->extended)
		row_header(s, "QUERY PLAN");
	while (sqlite3_step(plan) == SQLITE_ROW) {
		int id = sqlite3_column_int(plan, 0) & 255, in = sqlite3_column_int(plan, 1);

		depth[id] = in ? depth[in & 255] + 1 : 0;
		snprintf(line, sizeof(line), "%*s%s%s", 2 * depth[id], "", depth[id] ? "->  " : "", sqlite3_column_text(plan, 3));
		row_text(s, line);
	}
	sqlite3_finalize(plan);
	exec_drop(st);
	return util_complete(s, "EXPLAIN");
}

static bool vacuum(struct session *s, const struct lex_tok *t, const struct lex_tok *end, bool analyze, const char *tag)
{
	bool whole = !analyze, also = analyze;
	const struct lex_tok *p;

	if (s->tx != TX_NONE && !analyze)
		return err(s, "25001", "VACUUM cannot run inside a transaction block");
	for (p = t + 1; p < end; p++) {
		also |= lex_is(p, "analyze");
		if (lex_name(p) && !lex_is(p, "analyze") && !lex_is(p, "verbose") && !lex_is(p, "full"))
			whole = false;
	}
	if (also || whole) {
		if (!work_write(s) || !work_exec(s, "pragma analysis_limit = 1000; analyze main"))
			return false;
	}
	if (lex_is(t + 1, "full") || whole) {
		/* SQLite rewrites the file; within the write lock, not within a transaction. */
		if (!sqlite3_get_autocommit(s->db) && !work_exec(s, "commit"))
			return false;
		if (lex_is(t + 1, "full") && !work_exec(s, "vacuum"))
			return false;
	}
	return util_complete(s, tag);
}

static bool discard(struct session *s, const struct lex_tok *t, const char *tag)
{
	if (lex_is(t + 1, "all")) {
		if (s->tx != TX_NONE)
			return err(s, "25001", "DISCARD ALL cannot run inside a transaction block");
		exec_close_portals(s);
		cursor_drop_all(s);
		exec_forget(s, true);
		settings_reset(s);
	} else if (lex_is(t + 1, "plans")) {
		exec_forget(s, false);
	}
	return util_complete(s, tag);
}

bool util_run(struct session *s, enum sql_kind kind, const char *tag, const struct lex_tok *t, const char *text)
{
	const struct lex_tok *end = sql_end(t);
	struct stmt *st;
	char name[128];

	switch (kind) {
	case SQL_BEGIN:
		return begin(s, tag, t, end);
	case SQL_COMMIT:
		return commit(s, tag);
	case SQL_ROLLBACK:
		if (s->tx == TX_NONE)
			notice(s, "25P01", "there is no transaction in progress");
		work_rollback(s);
		return util_complete(s, tag);
	case SQL_SAVEPOINT:
	case SQL_RELEASE:
	case SQL_ROLLBACK_TO:
		return savepoint(s, kind, tag, t);
	case SQL_SET:
		return set(s, t, end, text);
	case SQL_RESET:
		if (lex_is(t + 1, "all")) {
			settings_change_all(s);
			return util_complete(s, tag);
		}
		util_name(t + 1, name, sizeof(name));
		return set_one(s, name, NULL, false) && util_complete(s, tag);
	case SQL_SHOW:
		return show(s, t, text);
	case SQL_DISCARD:
		return discard(s, t, tag);
	case SQL_COPY:
		return copy_run(s, t);
	case SQL_CREATE_ROLE:
	case SQL_ALTER_ROLE:
	case SQL_DROP_ROLE:
	case SQL_ALTER_SYSTEM:
	case SQL_CREATE_DATABASE:
	case SQL_DROP_DATABASE:
	case SQL_GRANT:
	case SQL_REVOKE:
		return admin_run(s, kind, tag, t, text);
	case SQL_PREPARE:
		return prepare(s, t, end, text);
	case SQL_EXECUTE:
		return execute(s, t, end, text);
	case SQL_DEALLOCATE:
		t += 1 + lex_is(t + 1, "prepare");
		if (lex_is(t, "all")) {
			exec_forget(s, true);
			return util_complete(s, "DEALLOCATE ALL");
		}
		st = exec_find(s, t->s);
		if (!st)
			return err(s, "26000", "prepared statement \"%s\" does not exist", t->s);
		exec_close(s, 'S', t->s);
		return util_complete(s, tag);
	case SQL_DECLARE:
		return cursor_declare(s, t, end, text);
	case SQL_FETCH:
		return cursor_fetch(s, t, end, text);
	case SQL_CLOSE:
		cursor_close(s, t + 1);
		return util_complete(s, lex_is(t + 1, "all") ? "CLOSE CURSOR ALL" : tag);
	case SQL_EXPLAIN:
		return explain(s, t, end, text);
	case SQL_VACUUM:
	case SQL_ANALYZE:
		return vacuum(s, t, end, kind == SQL_ANALYZE, tag);
	case SQL_LOCK:
		if (s->tx == TX_NONE)
			return err(s, "25P01", "LOCK TABLE can only be used in transaction blocks");
		return work_write(s) && util_complete(s, tag);
	case SQL_FOREIGN:
		return err_hint(s, "0A000", "batondb(8) says what it has of PostgreSQL.", "%s is not supported", tag);
	case SQL_CHECKPOINT:
		return admin_may(s, "do a checkpoint") && work_exec(s, "pragma wal_checkpoint") && util_complete(s, tag);
	default:
		return ddl_run(s, kind, tag, t, text);
	}
}
