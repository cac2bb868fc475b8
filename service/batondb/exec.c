// SPDX-License-Identifier: GPL-2.0-or-later
/* Statements and portals: bound, run, and their rows sent. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

/* Columns that it was checked for may be of another type now. */
static bool is_stale(const struct session *s, const struct stmt *st)
{
	return st->st && st->alters != atomic_load(&s->database->alters);
}

struct stmt *exec_find(struct session *s, char kind, const char *name)
{
	struct stmt *st;
	const char *is;

	for (st = s->stmts; st; st = st->next) {
		is = kind == 'P' ? st->portal : st->name;
		if (is && !strcmp(is, name))
			break;
	}
	return st;
}

static void close_portal(struct session *s, struct stmt *st)
{
	s->n_portals -= st->portal != NULL;
	if (st->portal && st->st) {
		sqlite3_reset(st->st);
		sqlite3_clear_bindings(st->st);
	}
	free(st->portal);
	free(st->portal_cols);
	st->portal = NULL;
	st->portal_cols = NULL;
}

void exec_close_portals(struct session *s)
{
	struct stmt *st;

	for (st = s->stmts; st; st = st->next)
		close_portal(s, st);
}

static void drop_stmt(struct session *s, struct stmt *st)
{
	struct stmt **at;

	close_portal(s, st);
	for (at = &s->stmts; *at != st; at = &(*at)->next)
		;
	*at = st->next;
	s->n_stmts--;
	exec_drop(st);
}

void exec_forget(struct session *s)
{
	while (s->stmts)
		drop_stmt(s, s->stmts);
}

void exec_close(struct session *s, char kind, const char *name)
{
	struct stmt *st = exec_find(s, kind, name);

	if (st && kind == 'P')
		close_portal(s, st);
	else if (st)
		drop_stmt(s, st);
}

/* ------------------------------------------------------------------- rows */

static uint32_t *cols_of(const struct stmt *st)
{
	return st->portal ? st->portal_cols : st->cols;
}

/* Columns of a portal's rows, or (statement) of a statement, whose portals may have others. */
static void describe(struct session *s, const struct stmt *st, bool statement)
{
	const uint32_t *cols = statement ? st->cols : cols_of(st);
	size_t at = proto_begin(&s->out, 'T');
	int i;

	proto_put16(&s->out, (uint16_t)st->n_cols);
	for (i = 0; i < st->n_cols; i++) {
		proto_puts(&s->out, st->names[i]);
		proto_put32(&s->out, 0);
		proto_put16(&s->out, 0);
		proto_put32(&s->out, cols[i] ? cols[i] : T_TEXT);
		proto_put16(&s->out, (uint16_t)type_size(cols[i] ? cols[i] : T_TEXT));
		proto_put32(&s->out, UINT32_MAX);
		proto_put16(&s->out, 0);
	}
	proto_end(&s->out, at);
}

/* Where a type is not known, it is that of the first row's value. */
static void decide(const struct stmt *st, bool row)
{
	uint32_t *cols = cols_of(st);
	int i;

	for (i = 0; i < st->n_cols; i++)
		if (!cols[i])
			cols[i] = row ? type_of_value(sqlite3_column_type(st->st, i)) : T_TEXT;
}

static bool send_row(struct session *s, const struct stmt *st)
{
	size_t begin = proto_begin(&s->out, 'D'), at;
	struct sql_error e;
	sqlite3_value *v;
	int i;

	proto_put16(&s->out, (uint16_t)st->n_cols);
	for (i = 0; i < st->n_cols; i++) {
		v = sqlite3_column_value(st->st, i);
		at = s->out.len;
		proto_put32(&s->out, UINT32_MAX);
		if (sqlite3_value_type(v) == SQLITE_NULL)
			continue;
		if (!type_text(&s->out, cols_of(st)[i], v, &e)) {
			/* The message has begun with its type. */
			s->out.len = begin - 1;
			return err(s, e.code, "%s (column \"%.60s\")", e.text, st->names[i]);
		}
		proto_length(&s->out, at, s->out.len - at - 4);
	}
	proto_end(&s->out, begin);
	return true;
}

/* With what the statement may do. */
static int step_stmt(struct session *s, const struct stmt *st)
{
	int rc = st->views && !sqlite3_stmt_busy(st->st) ? view_fill(s, st->views) : 0;

	if (rc)
		return rc;
	s->guard.kind = st->kind;
	rc = sqlite3_step(st->st);
	s->guard.kind = GUARD_QUERY;
	return rc;
}

/* After a row: what is ready goes out. */
static bool send_ready(struct session *s)
{
	/* The buffer's limit, or the budget of memory. */
	const char *code = s->out.cap * 2 > s->out.max ? "54000" : "53200";

	if (!s->out.failed)
		return s->out.len <= OUT_HIGH || net_flush(s);
	buf_clear(&s->out, 0);
	return err(s, code, "a row is too large to be sent");
}

static bool failed(struct session *s)
{
	return s->tx == TX_FAILED &&
	       !err(s, "25P02", "current transaction is aborted, commands ignored until end of transaction block");
}

static bool make_ready(struct session *s, const struct stmt *st)
{
	return (!st->writes || work_write(s)) && (!is_stale(s, st) || err(s, "40001", "a table of the statement was altered while it waited"));
}

static void complete(struct session *s, const struct stmt *st)
{
	char text[64];

	if (st->counts_rows || st->counts_changes)
		snprintf(text, sizeof(text), "%s %llu", st->tag,
			 (unsigned long long)(st->counts_rows ? st->sent : (uint64_t)sqlite3_changes64(s->db)));
	proto_send(&s->out, 'C', "s", st->counts_rows || st->counts_changes ? text : st->tag);
}

/* A table has columns of types that there are. */
static bool types_exist(struct session *s, const struct stmt *st)
{
	sqlite3_stmt *find = NULL;
	const char *decl;
	bool ok = true;

	if (!strstr(st->tag, " TABLE"))
		return true;
	s->guard.kind = GUARD_INTERNAL;
	if (sqlite3_prepare_v2(s->db, "select i.type from sqlite_schema s, pragma_table_xinfo(s.name) i where s.type = 'table'", -1, &find, NULL))
		ok = err_db(s, SQLITE_ERROR);
	while (ok && sqlite3_step(find) == SQLITE_ROW) {
		decl = (const char *)sqlite3_column_text(find, 0);
		if (type_of_decl(decl) == T_REFUSED)
			ok = err_hint(s, "0A000", "There are INT, INTEGER, TEXT, VARCHAR, REAL, BLOB and BOOLEAN. Times are kept as TEXT, or as an INTEGER of "
				      "seconds; exact decimals likewise, of the smallest unit; a serial is an INTEGER PRIMARY KEY.",
				      "type %.60s is not supported", decl);
	}
	sqlite3_finalize(find);
	s->guard.kind = GUARD_QUERY;
	return ok;
}

static bool finished(struct session *s, const struct stmt *st)
{
	if (st->kind != GUARD_DDL)
		return true;
	s->altered = true;
	atomic_fetch_add(&s->database->alters, 1);
	return types_exist(s, st);
}

/* Up to max rows (0: all), of which st->row may be there already; st->done after the last one. with_header: not described yet. */
static bool send_rows(struct session *s, struct stmt *st, uint32_t max, bool with_header)
{
	uint32_t n = 0;
	int rc;

	while (!max || n < max) {
		rc = st->row ? SQLITE_ROW : step_stmt(s, st);
		st->row = false;
		if (rc == SQLITE_ROW && !st->n_cols)
			continue;
		if (rc != SQLITE_ROW && rc != SQLITE_DONE)
			return err_db(s, rc);
		st->done = rc == SQLITE_DONE;
		if (st->done && !finished(s, st))
			return false;
		if (with_header && st->n_cols) {
			decide(st, !st->done);
			describe(s, st, false);
			with_header = false;
		}
		if (st->done)
			return true;
		if (!send_row(s, st))
			return false;
		n++;
		st->sent++;
		if (!send_ready(s))
			return false;
	}
	return true;
}

/* --------------------------------------------------------- simple queries */

bool exec_run(struct session *s, const char *text, size_t n, bool send)
{
	struct stmt *st = exec_make(s, "", text, n, NULL, 0);
	bool ok = st && (!st->writes || work_write(s));

	/* Once more where it has waited for one that altered a table. */
	if (ok && is_stale(s, st)) {
		exec_drop(st);
		st = exec_make(s, "", text, n, NULL, 0);
		ok = st != NULL;
	}
	ok = ok && (!st->n_params || err(s, "42P02", "there is no parameter $1")) && send_rows(s, st, 0, send);
	if (ok && send)
		complete(s, st);
	exec_drop(st);
	return ok;
}

bool exec_simple(struct session *s, const char *text)
{
	const struct lex_tok *t, *end;
	bool ok = true, any = false;
	struct stmt util;
	struct lex l;

	if (!lex(&l, text, strlen(text))) {
		lex_free(&l);
		return err(s, "53200", "out of memory");
	}
	for (t = l.tok; t->kind != LEX_END && ok && !s->dead; t = end + (end->kind != LEX_END)) {
		end = lex_statement(t);
		if (t == end)
			continue;
		any = true;
		util = (struct stmt){ 0 };
		if (util_is(&util, t))
			ok = (util.lasting || !failed(s)) && util_run(s, t, end, text);
		else
			ok = !failed(s) && exec_run(s, text + t->at, end[-1].end - t->at, true);
	}
	lex_free(&l);
	if (!any)
		proto_send(&s->out, 'I', "");
	return ok;
}

/* ------------------------------------------------------- extended queries */

static struct stmt *find_or_say(struct session *s, char kind, const char *name)
{
	struct stmt *st = exec_find(s, kind, name);

	if (!st)
		err(s, kind == 'P' ? "34000" : "26000", "%s \"%s\" does not exist", kind == 'P' ? "portal" : "prepared statement", name);
	return st;
}

static bool name_fits(struct session *s, const char *name)
{
	return strlen(name) <= NAME_MAX || err(s, "42622", "a name has at most %d bytes", NAME_MAX);
}

bool exec_parse(struct session *s, const struct proto_parse *p)
{
	struct stmt *st = exec_find(s, 'S', p->name);

	if (!name_fits(s, p->name))
		return false;
	if (st && *p->name)
		return err(s, "42P05", "prepared statement \"%s\" already exists", p->name);
	if (st)
		drop_stmt(s, st);
	if (s->n_stmts >= (unsigned)server.conf.max_statements)
		return err(s, "53400", "a connection has at most %d prepared statements (max_prepared_statements)", server.conf.max_statements);
	st = exec_make(s, p->name, p->query, strlen(p->query), p->oids, p->n);
	if (!st)
		return false;
	st->next = s->stmts;
	s->stmts = st;
	s->n_stmts++;
	proto_send(&s->out, '1', "");
	return true;
}

/* A named statement whose tables were altered, made anew. */
static bool renew(struct session *s, struct stmt *st)
{
	struct stmt *fresh = exec_make(s, st->name, st->source, strlen(st->source), st->given, st->n_given), old;
	unsigned i;
	bool same;

	if (!fresh)
		return false;
	same = fresh->n_cols == st->n_cols && fresh->n_params == st->n_params;
	for (i = 0; same && i < (unsigned)st->n_cols; i++)
		same = fresh->cols[i] == st->cols[i];
	for (i = 0; same && i < st->n_params; i++)
		same = fresh->types[i] == st->types[i];
	if (same) {
		old = *st;
		*st = *fresh;
		st->kind = old.kind;
		st->next = old.next;
		*fresh = old;
	}
	exec_drop(fresh);
	return same || err(s, "0A000", "cached plan must not change result type");
}

static bool bind_values(struct session *s, const struct stmt *st, const struct proto_bind *b)
{
	struct proto_rd values = b->values;
	struct sql_error e;
	const uint8_t *v;
	unsigned i;
	int32_t n;

	for (i = 0; i < b->n; i++) {
		v = proto_value(&values, &n);
		if (st->places[i] && !type_bind(st->st, st->places[i], st->types[i], (const char *)v, n,
						proto_format(b->formats, b->n_formats, i), &e))
			return err(s, e.code, "%s (parameter $%u)", e.text, i + 1);
	}
	return true;
}

bool exec_bind(struct session *s, const struct proto_bind *b)
{
	struct stmt *st = find_or_say(s, 'S', b->stmt), *other = exec_find(s, 'P', b->portal);
	unsigned i;

	if (!st || !name_fits(s, b->portal))
		return false;
	if (other && *b->portal)
		return err(s, "42P03", "cursor \"%s\" already exists", b->portal);
	if (other)
		close_portal(s, other);
	if (!st->lasting && failed(s))
		return false;
	/* A portal that is at its end, or has no name, makes room. */
	if (st->portal && (st->done || !*st->portal))
		close_portal(s, st);
	if (st->portal)
		return err(s, "0A000", "a prepared statement has one portal at a time: close the one that is open, or prepare it once more");
	if (is_stale(s, st) && !renew(s, st))
		return false;
	if (b->n != st->n_params)
		return err(s, "08P01", "bind message supplies %u parameters, but prepared statement \"%s\" requires %u", b->n,
			   b->stmt, st->n_params);
	for (i = 0; i < b->n_results; i++)
		if (proto_format(b->results, b->n_results, i))
			return err_hint(s, "0A000", "The driver is to ask for text: with JDBC by binaryTransfer=false.", "results in binary are not supported");
	st->portal = strdup(b->portal);
	st->portal_cols = calloc(st->n_cols + 1, sizeof(*st->portal_cols));
	s->n_portals += st->portal != NULL;
	if (!st->portal || !st->portal_cols) {
		close_portal(s, st);
		return err(s, "53200", "out of memory");
	}
	if (st->cols)
		memcpy(st->portal_cols, st->cols, st->n_cols * sizeof(*st->cols));
	st->row = st->done = false;
	st->sent = 0;
	if (st->st && !bind_values(s, st, b)) {
		close_portal(s, st);
		return false;
	}
	proto_send(&s->out, '2', "");
	return true;
}

/* A query's first row says what has not been known before. */
static bool look_at_row(struct session *s, struct stmt *st)
{
	int rc, i;

	for (i = 0; i < st->n_cols && st->portal_cols[i]; i++)
		;
	if (i == st->n_cols || st->writes || st->row || st->sent || st->done)
		return true;
	if (failed(s) || !make_ready(s, st))
		return false;
	rc = step_stmt(s, st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return err_db(s, rc);
	st->row = rc == SQLITE_ROW;
	st->done = !st->row;
	decide(st, st->row);
	return true;
}

bool exec_describe(struct session *s, char kind, const char *name)
{
	struct stmt *st = find_or_say(s, kind, name);
	unsigned i;
	size_t at;

	if (!st)
		return false;
	if (kind == 'S') {
		at = proto_begin(&s->out, 't');
		proto_put16(&s->out, (uint16_t)st->n_params);
		for (i = 0; i < st->n_params; i++)
			/* Drivers hold on to what they have said. */
			proto_put32(&s->out, stmt_given(st, i) && stmt_given(st, i) != T_UNKNOWN ? stmt_given(st, i) : st->types[i] ? st->types[i] : T_TEXT);
		proto_end(&s->out, at);
	}
	if (!st->st || !st->n_cols)
		proto_send(&s->out, 'n', "");
	else if (kind == 'P' && !look_at_row(s, st))
		return false;
	else
		describe(s, st, kind == 'S');
	return true;
}

/* The statement may close itself (COMMIT closes portals, DEALLOCATE statements): its text is copied. */
static bool execute_util(struct session *s, const struct stmt *st)
{
	size_t n = strlen(st->source) + 1;
	char *text = mem_alloc((int)n);
	struct lex l = { 0 };
	bool ok;

	if (text)
		memcpy(text, st->source, n);
	ok = text && lex(&l, text, n - 1) ? util_run(s, l.tok, lex_statement(l.tok), text) : err(s, "53200", "out of memory");
	lex_free(&l);
	mem_free(text);
	return ok;
}

bool exec_execute(struct session *s, const char *portal, uint32_t max)
{
	struct stmt *st = find_or_say(s, 'P', portal);

	if (!st || (!st->lasting && failed(s)))
		return false;
	if (st->empty) {
		proto_send(&s->out, 'I', "");
		return true;
	}
	if (!st->st)
		return execute_util(s, st);
	if (!st->done) {
		if (!st->row && !st->sent && !make_ready(s, st))
			return false;
		/* A type that was not known when it was described was described as text. */
		decide(st, false);
		if (!send_rows(s, st, max, false))
			return false;
	}
	if (!st->done) {
		proto_send(&s->out, 's', "");
		return true;
	}
	complete(s, st);
	sqlite3_reset(st->st);
	return true;
}
