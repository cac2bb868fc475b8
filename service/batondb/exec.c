// SPDX-License-Identifier: GPL-2.0-or-later
/* Statements and portals: rewritten, prepared, bound, run, and their rows sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

#define CACHE 64

/* ------------------------------------------------------------- statements */

void exec_drop(struct stmt *st)
{
	int i;

	if (!st)
		return;
	sqlite3_finalize(st->st);
	for (i = 0; i < st->n_cols; i++)
		free(st->names[i]);
	free(st->names);
	free(st->cols);
	free(st->oids);
	sql_free(&st->sql);
	free(st->source);
	free(st->name);
	free(st);
}

/* Names and types of a result's columns: what infer.c found, what SQLite says. */
static bool columns(struct stmt *st)
{
	const struct sql *q = &st->sql;
	int n = sqlite3_column_count(st->st), i, stars = 0, wide, at = 0;
	unsigned k;

	st->cols = calloc(n + 1, sizeof(*st->cols));
	st->names = calloc(n + 1, sizeof(*st->names));
	if (!st->cols || !st->names)
		return false;
	st->n_cols = n;
	for (k = 0; k < q->n_cols; k++)
		stars += q->cols[k].star;
	wide = stars ? (n - (int)(q->n_cols - stars)) / stars : 0;
	/* One star may be any number of columns; more can only be shared out where it comes out even. */
	if ((stars ? (n - (int)(q->n_cols - stars)) % stars || wide < 0 : (int)q->n_cols != n))
		k = q->n_cols;
	else
		k = 0;
	for (i = 0; i < n; i++) {
		const struct sql_col *c = k < q->n_cols ? &q->cols[k] : NULL;

		st->cols[i] = c && c->type.oid ? c->type : type_from_decl(sqlite3_column_decltype(st->st, i));
		if (c && !st->cols[i].oid && !sqlite3_column_decltype(st->st, i))
			st->cols[i] = c->derived;
		st->names[i] = strdup(c && c->name && !c->star ? c->name : sqlite3_column_name(st->st, i));
		if (!st->names[i])
			return false;
		if (!st->cols[i].oid && !sqlite3_column_decltype(st->st, i))
			st->cols[i].oid = cat_type(sqlite3_column_name(st->st, i));
		if (c && (!c->star || ++at == wide)) {
			k++;
			at = 0;
		}
	}
	return true;
}

static bool prepare(struct session *s, struct stmt *st, bool keep, sqlite3_stmt **out)
{
	const char *m;
	int rc, again;

	/* A table's name as a number is looked up in them. */
	if (!s->catalog && strstr(buf_cstr(&st->sql.text), "regclass"))
		s->catalog = !cat_create(s->db);
	for (again = 0;; again++) {
		rc = sqlite3_prepare_v3(s->db, buf_cstr(&st->sql.text), (int)st->sql.text.len,
					keep ? SQLITE_PREPARE_PERSISTENT : 0, out, NULL);
		if (!rc)
			return true;
		m = sqlite3_errmsg(s->db);
		/* The catalog's views are made when the first statement asks for one. */
		if (again || strncmp(m, "no such table: ", 15) ||
		    (!cat_knows(m + 15) && strncmp(m + 15, "baton_", 6)) || cat_create(s->db))
			return err_db(s, rc, st);
	}
}

struct stmt *exec_make(struct session *s, const char *name, const char *text, size_t n, const uint8_t *oids, unsigned n_oids)
{
	struct stmt *st = calloc(1, sizeof(*st));
	struct sql_known known = { 0 };
	uint32_t *given = NULL;
	const char *instead;
	struct sql_error e;
	struct lex l = { 0 };
	unsigned i;

	if (!st)
		goto nomem;
	st->alters = atomic_load(&s->database->alters);
	st->ddls = s->ddls;
	/* What clients send word for word and SQLite could not take is another query here. */
	instead = cat_instead(text);
	st->source = instead ? strdup(instead) : strndup(text, n);
	st->name = strdup(name);
	if (!st->source || !st->name)
		goto nomem;
	if (!lex(&l, st->source, strlen(st->source))) {
		sql_fail(&e, l.code, NULL, "%s", l.error);
		e.at = l.error_at;
		err_at(s, &e, st->source);
		goto fail;
	}
	st->sql.kind = sql_kind(l.tok, &st->sql.tag);
	if (sql_end(l.tok)->kind != LEX_END && sql_end(l.tok)[1].kind != LEX_END) {
		err(s, "42601", "cannot insert multiple commands into a prepared statement");
		goto fail;
	}
	if (st->sql.kind == SQL_UNKNOWN) {
		sql_syntax(&e, l.tok, &l);
		err_at(s, &e, st->source);
		goto fail;
	}
	if (st->sql.kind != SQL_READ && st->sql.kind != SQL_WRITE) {
		lex_free(&l);
		return st;
	}
	schema_booleans(s->db, l.tok);
	st->sql.schema = &schema;
	st->sql.schema_arg = s->db;
	st->sql.known = &known;
	st->sql.given = given = calloc(n_oids + 1, sizeof(*given));
	if (!given)
		goto nomem;
	for (i = 0; i < n_oids; i++) {
		struct proto_rd r = proto_rd(oids + 4 * i, 4);

		given[i] = proto_u32(&r);
		if (given[i] == T_UNKNOWN)
			given[i] = 0;
	}
	st->sql.n_given = n_oids;
	if (!sql_rewrite(&st->sql, l.tok, sql_end(l.tok), &e)) {
		err_at(s, &e, st->source);
		goto fail;
	}
	st->sql.known = NULL;
	st->sql.given = NULL;
	free(given);
	given = NULL;
	lex_free(&l);
	if (!prepare(s, st, true, &st->st))
		goto fail;
	if (!columns(st))
		goto nomem;
	st->n_params = st->sql.n_params;
	st->oids = calloc(st->n_params + 1, sizeof(*st->oids));
	if (!st->oids)
		goto nomem;
	for (i = 0; i < st->n_params; i++)
		st->oids[i] = st->sql.params[i].oid;
	return st;
nomem:
	err(s, "53200", "out of memory");
fail:
	free(given);
	lex_free(&l);
	exec_drop(st);
	return NULL;
}

/* It was rewritten for columns that may be of another type now. */
static bool is_stale(const struct session *s, const struct stmt *st)
{
	return st->st && (st->alters != atomic_load(&s->database->alters) || st->ddls != s->ddls);
}

struct stmt *exec_find(struct session *s, const char *name)
{
	struct stmt *st;

	for (st = s->stmts; st && strcmp(st->name, name); st = st->next)
		;
	return st;
}

static struct portal *find_portal(struct session *s, const char *name)
{
	struct portal *p;

	for (p = s->portals; p && strcmp(p->name, name); p = p->next)
		;
	return p;
}

static void drop_portal(struct session *s, struct portal *p)
{
	struct portal **at;

	for (at = &s->portals; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	if (p->own) {
		sqlite3_finalize(p->st);
	} else if (p->st) {
		sqlite3_reset(p->st);
		p->stmt->busy = false;
	}
	free(p->formats);
	free(p->name);
	free(p);
}

void exec_close_portals(struct session *s)
{
	while (s->portals)
		drop_portal(s, s->portals);
}

static void drop_stmt(struct session *s, struct stmt *st)
{
	struct portal *p, *next;
	struct stmt **at;

	for (p = s->portals; p; p = next) {
		next = p->next;
		if (p->stmt == st)
			drop_portal(s, p);
	}
	for (at = &s->stmts; *at != st; at = &(*at)->next)
		;
	*at = st->next;
	exec_drop(st);
}

void exec_forget(struct session *s, bool all)
{
	struct stmt *st;

	while ((st = s->cache)) {
		s->cache = st->next;
		exec_drop(st);
	}
	s->n_cache = 0;
	while (all && s->stmts)
		drop_stmt(s, s->stmts);
}

void exec_close(struct session *s, char kind, const char *name)
{
	struct portal *p = kind == 'P' ? find_portal(s, name) : NULL;
	struct stmt *st = kind == 'S' ? exec_find(s, name) : NULL;

	if (p)
		drop_portal(s, p);
	if (st)
		drop_stmt(s, st);
}

static void add_stmt(struct session *s, struct stmt *st)
{
	st->next = s->stmts;
	s->stmts = st;
}

bool exec_named(struct session *s, const char *name, const char *text, size_t n, const uint8_t *oids, unsigned n_oids)
{
	struct stmt *st;

	if (exec_find(s, name))
		return err(s, "42P05", "prepared statement \"%s\" already exists", name);
	st = exec_make(s, name, text, n, oids, n_oids);
	if (st)
		add_stmt(s, st);
	return st != NULL;
}

static uint64_t hash_of(const char *s, size_t n)
{
	uint64_t h = 14695981039346656037u;

	while (n--)
		h = (h ^ (unsigned char)*s++) * 1099511628211u;
	return h;
}

/* Keeps what was prepared for simple queries, the latest used first. */
static struct stmt *cached(struct session *s, const char *text, size_t n)
{
	struct stmt *st, **at, **last = NULL;
	uint64_t hash = hash_of(text, n);

	for (at = &s->cache; (st = *at); at = &st->next) {
		if (st->hash == hash && !strncmp(st->source, text, n) && !st->source[n]) {
			*at = st->next;
			if (is_stale(s, st)) {
				exec_drop(st);
				s->n_cache--;
				last = NULL;
				break;
			}
			st->next = s->cache;
			s->cache = st;
			return st;
		}
		if (!st->next)
			last = at;
	}
	if (s->n_cache >= CACHE && last) {
		st = *last;
		*last = NULL;
		exec_drop(st);
		s->n_cache--;
	}
	st = exec_make(s, "", text, n, NULL, 0);
	if (!st)
		return NULL;
	st->hash = hash;
	st->next = s->cache;
	s->cache = st;
	s->n_cache++;
	return st;
}

/* ------------------------------------------------------------------- rows */

void row_header(struct session *s, const char *name)
{
	size_t at = proto_begin(&s->out, 'T');

	proto_put16(&s->out, 1);
	proto_puts(&s->out, name);
	proto_put32(&s->out, 0);
	proto_put16(&s->out, 0);
	proto_put32(&s->out, T_TEXT);
	proto_put16(&s->out, UINT16_MAX);
	proto_put32(&s->out, UINT32_MAX);
	proto_put16(&s->out, 0);
	proto_end(&s->out, at);
}

void row_text(struct session *s, const char *value)
{
	size_t at = proto_begin(&s->out, 'D');

	proto_put16(&s->out, 1);
	proto_put32(&s->out, (uint32_t)strlen(value));
	buf_str(&s->out, value);
	proto_end(&s->out, at);
}

static uint16_t format_of(const uint16_t *formats, unsigned n, unsigned i)
{
	return !n ? 0 : n == 1 ? formats[0] : i < n ? formats[i] : 0;
}

static void describe(struct session *s, const struct stmt *st, const uint16_t *formats, unsigned n)
{
	size_t at = proto_begin(&s->out, 'T');
	int i;

	proto_put16(&s->out, (uint16_t)st->n_cols);
	for (i = 0; i < st->n_cols; i++) {
		struct coltype t = st->cols[i];

		if (!t.oid)
			t.oid = T_TEXT;
		proto_puts(&s->out, st->names[i]);
		proto_put32(&s->out, 0);
		proto_put16(&s->out, 0);
		proto_put32(&s->out, t.oid);
		proto_put16(&s->out, (uint16_t)type_of(t.oid)->len);
		proto_put32(&s->out, t.oid == T_NUMERIC && t.mod >= 38 << 16 ? UINT32_MAX : (uint32_t)t.mod);
		proto_put16(&s->out, format_of(formats, n, i));
	}
	proto_end(&s->out, at);
}

/* Where a type is not known, the first row's values have one. */
static void guess(struct stmt *st, sqlite3_stmt *row)
{
	int i;

	for (i = 0; i < st->n_cols; i++) {
		if (st->cols[i].oid)
			continue;
		switch (row ? sqlite3_column_type(row, i) : SQLITE_NULL) {
		case SQLITE_INTEGER:
			st->cols[i].oid = T_INT8;
			break;
		case SQLITE_FLOAT:
			st->cols[i].oid = T_FLOAT8;
			break;
		case SQLITE_BLOB:
			st->cols[i].oid = T_BYTEA;
			break;
		default:
			st->cols[i].oid = T_TEXT;
		}
	}
}

/* A table by its number, as PostgreSQL shows it. */
static void relation_name(struct session *s, sqlite3_value *v, uint16_t format)
{
	if (!s->relation && sqlite3_prepare_v3(s->db, "select relname from pg_class where oid = ?1", -1, SQLITE_PREPARE_PERSISTENT,
					       &s->relation, NULL)) {
		type_out(&s->out, (struct coltype){ T_INT8, -1 }, v, format);
		return;
	}
	sqlite3_bind_value(s->relation, 1, v);
	if (sqlite3_step(s->relation) == SQLITE_ROW)
		type_out(&s->out, (struct coltype){ T_TEXT, -1 }, sqlite3_column_value(s->relation, 0), 0);
	else
		type_out(&s->out, (struct coltype){ T_INT8, -1 }, v, format);
	sqlite3_reset(s->relation);
}

static void send_row(struct session *s, const struct stmt *st, sqlite3_stmt *row, const uint16_t *formats, unsigned n)
{
	size_t at = proto_begin(&s->out, 'D');
	int i;

	proto_put16(&s->out, (uint16_t)st->n_cols);
	for (i = 0; i < st->n_cols; i++) {
		sqlite3_value *v = sqlite3_column_value(row, i);

		if (st->cols[i].oid == T_REGCLASS && !format_of(formats, n, i) && sqlite3_value_type(v) == SQLITE_INTEGER)
			relation_name(s, v, 0);
		else
			type_out(&s->out, st->cols[i], v, format_of(formats, n, i));
	}
	proto_end(&s->out, at);
}

static bool failed(struct session *s)
{
	return s->tx == TX_FAILED &&
	       !err(s, "25P02", "current transaction is aborted, commands ignored until end of transaction block");
}

static bool ready(struct session *s, const struct stmt *st)
{
	if (s->tx == TX_NONE && !s->implicit)
		s->env.now = time_now();
	if (st->sql.writes)
		return work_write(s);
	return work_read(s);
}

static bool ready_portal(struct session *s, const struct portal *p)
{
	return ready(s, p->stmt) && (!is_stale(s, p->stmt) || err(s, "40001", "a table of the statement was altered while it waited"));
}

static void tag(struct session *s, const struct stmt *st, uint64_t sent)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %llu", st->sql.tag,
		 (unsigned long long)(st->sql.kind == SQL_READ ? sent : (uint64_t)sqlite3_changes64(s->db)));
	proto_complete(&s->out, text);
}

/* Up to max rows (0: all); sets *done at the last one. */
static bool rows(struct session *s, struct stmt *st, sqlite3_stmt *row, const uint16_t *formats, unsigned n_formats,
		 uint32_t max, bool have, bool header, uint64_t *sent, bool *done)
{
	uint64_t n = 0;
	int rc;

	*done = false;
	for (;;) {
		if (max && n == max)
			return true;
		rc = have ? SQLITE_ROW : sqlite3_step(row);
		have = false;
		if (rc == SQLITE_ROW && !st->n_cols)
			continue;
		if (rc != SQLITE_ROW && rc != SQLITE_DONE)
			return err_db(s, rc, st);
		if (header && st->n_cols) {
			guess(st, rc == SQLITE_ROW ? row : NULL);
			describe(s, st, formats, n_formats);
			header = false;
		}
		if (rc == SQLITE_DONE) {
			*done = true;
			return true;
		}
		send_row(s, st, row, formats, n_formats);
		n++;
		++*sent;
		if (s->out.failed) {
			buf_clear(&s->out, 0);
			return err(s, "54000", "a row is too large to be sent");
		}
		if (s->out.len > OUT_HIGH && !net_flush(s))
			return false;
	}
}

/* --------------------------------------------------------- simple queries */

static bool simple(struct session *s, const char *text, size_t n)
{
	struct stmt *st = cached(s, text, n);
	uint64_t sent = 0;
	bool done, ok;

	if (!st || !ready(s, st))
		return false;
	/* It may have waited for who altered it. */
	if (is_stale(s, st))
		st = cached(s, text, n);
	if (!st)
		return false;
	if (st->n_params)
		return err(s, "42P02", "there is no parameter $1");
	ok = rows(s, st, st->st, NULL, 0, 0, false, true, &sent, &done);
	sqlite3_reset(st->st);
	if (ok)
		tag(s, st, sent);
	return ok;
}

bool exec_simple(struct session *s, const char *text)
{
	const struct lex_tok *t, *end;
	struct sql_error e;
	enum sql_kind kind;
	const char *name;
	bool ok = true, any = false;
	struct lex l;

	if (!lex(&l, text, strlen(text))) {
		sql_fail(&e, l.code, NULL, "%s", l.error);
		e.at = l.error_at;
		lex_free(&l);
		return err_at(s, &e, text);
	}
	for (t = l.tok; t->kind != LEX_END && ok && !s->dead; t = end + (end->kind != LEX_END)) {
		end = sql_end(t);
		if (t == end)
			continue;
		s->single = t == l.tok && (end->kind == LEX_END || end[1].kind == LEX_END);
		any = true;
		kind = sql_kind(t, &name);
		if (kind == SQL_UNKNOWN) {
			sql_syntax(&e, t, &l);
			ok = err_at(s, &e, text);
		} else if (!util_lasting(kind) && failed(s)) {
			ok = false;
		} else if (kind == SQL_READ || kind == SQL_WRITE) {
			ok = simple(s, text + t->at, (end > t ? end[-1].end : t->end) - t->at);
		} else {
			ok = util_run(s, kind, name, t, text);
		}
		s->role->statements++;
	}
	lex_free(&l);
	if (!any)
		proto_empty(&s->out, 'I');
	return ok;
}

/* ------------------------------------------------------- extended queries */

bool exec_parse(struct session *s, const struct proto_parse *p)
{
	struct stmt *st = exec_find(s, p->name);

	if (st && *p->name)
		return err(s, "42P05", "prepared statement \"%s\" already exists", p->name);
	if (st)
		drop_stmt(s, st);
	st = exec_make(s, p->name, p->query, strlen(p->query), p->oids, p->n);
	if (!st)
		return false;
	add_stmt(s, st);
	proto_empty(&s->out, '1');
	return true;
}

/* A named statement whose tables were altered, rewritten anew. */
static bool renew(struct session *s, struct stmt *st)
{
	struct stmt *fresh, old;
	struct buf oids;
	unsigned i;
	bool same;

	buf_init(&oids, 1 << 18);
	for (i = 0; i < st->n_params; i++)
		proto_put32(&oids, st->oids[i]);
	fresh = oids.failed ? NULL : exec_make(s, st->name, st->source, strlen(st->source), (const uint8_t *)oids.p, st->n_params);
	buf_free(&oids);
	if (!fresh)
		return false;
	same = fresh->n_cols == st->n_cols && fresh->n_params == st->n_params;
	for (i = 0; same && i < (unsigned)st->n_cols; i++)
		same = !fresh->cols[i].oid || !st->cols[i].oid || fresh->cols[i].oid == st->cols[i].oid;
	if (same) {
		old = *st;
		*st = *fresh;
		st->next = old.next;
		*fresh = old;
	}
	exec_drop(fresh);
	return same || err(s, "0A000", "cached plan must not change result type");
}

static bool bind_values(struct session *s, struct portal *p, const struct proto_bind *b)
{
	struct proto_rd values = b->values;
	struct type_error e;
	const uint8_t *v;
	unsigned i;
	int32_t n;

	for (i = 0; i < b->n; i++) {
		v = proto_value(&values, &n);
		if (!type_bind(p->st, (int)i + 1, p->stmt->oids[i], (const char *)v, n,
			       proto_format(b->formats, b->n_formats, i), &e))
			return err(s, e.code, "%s", e.text);
	}
	return true;
}

bool exec_bind(struct session *s, const struct proto_bind *b)
{
	struct stmt *st = exec_find(s, b->stmt);
	struct portal *p = find_portal(s, b->portal);
	unsigned i;

	if (!st)
		return err(s, "26000", "prepared statement \"%s\" does not exist", b->stmt);
	if (p && *b->portal)
		return err(s, "42P03", "cursor \"%s\" already exists", b->portal);
	if (p)
		drop_portal(s, p);
	if (st->st && b->n != st->n_params)
		return err(s, "08P01", "bind message supplies %u parameters, but prepared statement \"%s\" requires %u", b->n,
			   b->stmt, st->n_params);
	if (!util_lasting(st->sql.kind) && failed(s))
		return false;
	if (is_stale(s, st) && !st->busy && !renew(s, st))
		return false;
	p = calloc(1, sizeof(*p));
	if (p) {
		p->name = strdup(b->portal);
		p->formats = calloc(b->n_results + 1, sizeof(*p->formats));
	}
	if (!p || !p->name || !p->formats) {
		if (p) {
			free(p->name);
			free(p->formats);
		}
		free(p);
		return err(s, "53200", "out of memory");
	}
	p->stmt = st;
	p->n_formats = b->n_results;
	for (i = 0; i < b->n_results; i++)
		p->formats[i] = proto_format(b->results, b->n_results, i);
	p->next = s->portals;
	s->portals = p;
	if (st->st) {
		if (st->busy) {
			if (!prepare(s, st, false, &p->st)) {
				drop_portal(s, p);
				return false;
			}
			p->own = true;
		} else {
			p->st = st->st;
			st->busy = true;
			sqlite3_reset(p->st);
		}
		if (!bind_values(s, p, b)) {
			drop_portal(s, p);
			return false;
		}
	}
	proto_empty(&s->out, '2');
	return true;
}

bool exec_bind_only(struct session *s, const struct proto_bind *b)
{
	size_t at = s->out.len;
	bool ok = exec_bind(s, b);

	if (ok)
		s->out.len = at;
	return ok;
}

bool exec_describe(struct session *s, char kind, const char *name)
{
	struct portal *p = kind == 'P' ? find_portal(s, name) : NULL;
	struct stmt *st = kind == 'P' ? (p ? p->stmt : NULL) : exec_find(s, name);
	unsigned i;
	size_t at;
	int rc;

	if (!st)
		return kind == 'P' ? err(s, "34000", "portal \"%s\" does not exist", name) :
				     err(s, "26000", "prepared statement \"%s\" does not exist", name);
	if (kind == 'S') {
		at = proto_begin(&s->out, 't');
		proto_put16(&s->out, (uint16_t)st->n_params);
		for (i = 0; i < st->n_params; i++)
			proto_put32(&s->out, st->oids[i] ? st->oids[i] : T_TEXT);
		proto_end(&s->out, at);
	}
	if (!st->st && st->sql.kind == SQL_SHOW) {
		row_header(s, "setting");
		return true;
	}
	if (!st->st && st->sql.kind == SQL_EXPLAIN) {
		row_header(s, "QUERY PLAN");
		return true;
	}
	if (!st->st || !st->n_cols) {
		proto_empty(&s->out, 'n');
		return true;
	}
	/* A query's first row says what it has not been known before. */
	for (i = 0; i < (unsigned)st->n_cols && st->cols[i].oid; i++)
		;
	if (p && i < (unsigned)st->n_cols && st->sql.kind == SQL_READ && !st->sql.writes && !p->row && !p->sent) {
		if (failed(s) || !ready_portal(s, p))
			return false;
		rc = sqlite3_step(p->st);
		if (rc != SQLITE_ROW && rc != SQLITE_DONE)
			return err_db(s, rc, st);
		p->row = rc == SQLITE_ROW;
		p->done = !p->row;
		guess(st, p->row ? p->st : NULL);
	}
	describe(s, st, p ? p->formats : NULL, p ? p->n_formats : 0);
	return true;
}

bool exec_execute(struct session *s, const char *portal, uint32_t max)
{
	struct portal *p = find_portal(s, portal);
	struct stmt *st = p ? p->stmt : NULL;
	bool done = true, ok = true;

	if (!p)
		return err(s, "34000", "portal \"%s\" does not exist", portal);
	if (!util_lasting(st->sql.kind) && failed(s))
		return false;
	s->role->statements++;
	if (!st->st) {
		struct lex l;

		if (st->sql.kind == SQL_EMPTY) {
			proto_empty(&s->out, 'I');
			return true;
		}
		/* The statement may close itself (COMMIT closes portals). */
		s->single = true;
		ok = lex(&l, st->source, strlen(st->source)) && util_run(s, st->sql.kind, st->sql.tag, l.tok, st->source);
		lex_free(&l);
		return ok;
	}
	if (!p->done) {
		if (!p->row && !p->sent && !ready_portal(s, p))
			return false;
		guess(st, NULL);
		ok = rows(s, st, p->st, p->formats, p->n_formats, max, p->row, false, &p->sent, &done);
		p->row = false;
	}
	if (!ok)
		return false;
	if (!done) {
		proto_empty(&s->out, 's');
		return true;
	}
	tag(s, st, p->sent);
	p->done = true;
	sqlite3_reset(p->st);
	return true;
}

bool exec_fetch(struct session *s, const char *name, uint32_t max, uint64_t *count)
{
	struct portal *p = find_portal(s, name);
	uint64_t before = p ? p->sent : 0;
	bool done = true;

	if (!p)
		return err(s, "34000", "cursor \"%s\" does not exist", name);
	if (failed(s) || !exec_describe(s, 'P', name))
		return false;
	if (!p->done) {
		if (!p->row && !p->sent && !ready_portal(s, p))
			return false;
		guess(p->stmt, NULL);
		if (!rows(s, p->stmt, p->st, NULL, 0, max, p->row, false, &p->sent, &done))
			return false;
		p->row = false;
		p->done = done;
	}
	*count = p->sent - before;
	return true;
}
