// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DECLARE, FETCH and CLOSE. A cursor is a portal; one WITH HOLD, which outlives
 * its transaction, is a temporary table of its rows, and how far it was read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ddl.h"

struct held {
	struct held *next;
	char name[64];
	unsigned nr;		/* of its table */
	uint64_t at;		/* rows read */
	bool fresh;		/* declared in this transaction, with which it is undone */
	char **names;
	int n;
};

static struct held *find(struct session *s, const char *name)
{
	struct held *h;

	for (h = s->held; h && strcmp(h->name, name); h = h->next)
		;
	return h;
}

static void drop(struct session *s, struct held *h)
{
	struct held **at;
	char sql[80];
	int i;

	for (at = &s->held; *at != h; at = &(*at)->next)
		;
	*at = h->next;
	/* In a transaction that failed it cannot be done; it goes with the connection. */
	snprintf(sql, sizeof(sql), "drop table if exists temp.baton_held_%u", h->nr);
	sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	for (i = 0; i < h->n; i++)
		free(h->names[i]);
	free(h->names);
	free(h);
}

void cursor_drop_all(struct session *s)
{
	while (s->held)
		drop(s, s->held);
}

void cursor_ended(struct session *s, bool committed)
{
	struct held *h, *next;

	for (h = s->held; h; h = next) {
		next = h->next;
		if (h->fresh && !committed)
			drop(s, h);
		else
			h->fresh = false;
	}
}

/* The rows of a query, to stay. */
static bool hold(struct session *s, const char *name, const char *text, size_t n)
{
	struct stmt *st = exec_make(s, "", text, n, NULL, 0);
	struct held *h;
	struct buf b;
	char column[20];
	bool ok;
	int i;

	if (!st)
		return false;
	h = calloc(1, sizeof(*h));
	if (h)
		h->names = calloc(st->n_cols + 1, sizeof(*h->names));
	if (!h || !h->names) {
		free(h);
		exec_drop(st);
		return err(s, "53200", "out of memory");
	}
	snprintf(h->name, sizeof(h->name), "%s", name);
	h->nr = ++s->helds;
	h->fresh = s->tx != TX_NONE;
	h->next = s->held;
	s->held = h;
	buf_init(&b, 64 << 20);
	buf_fmt(&b, "create table temp.baton_held_%u", h->nr);
	for (i = 0; i < st->n_cols; i++) {
		buf_str(&b, i ? ", " : "(");
		snprintf(column, sizeof(column), "c%d", i);
		table_column(&b, column, st->cols[i]);
		h->names[h->n++] = st->names[i];
		st->names[i] = NULL;
	}
	buf_fmt(&b, "); insert into temp.baton_held_%u %s", h->nr, buf_cstr(&st->sql.text));
	ok = st->n_cols ? (st->sql.writes ? work_write(s) : work_read(s)) && work_exec(s, buf_cstr(&b)) :
			  err(s, "42601", "a cursor is of a query that returns rows");
	buf_free(&b);
	exec_drop(st);
	if (!ok)
		drop(s, h);
	return ok;
}

bool cursor_declare(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *text)
{
	struct proto_bind b = { 0 };
	const struct lex_tok *q;
	bool held = false;
	char name[80];

	for (q = t + 2; q < end && !lex_is(q, "for"); q++)
		held |= lex_are(q, "with hold") != 0;
	if (s->tx == TX_NONE && !held)
		return err(s, "25P01", "DECLARE CURSOR can only be used in transaction blocks");
	if (!lex_name(t + 1) || q + 1 >= end)
		return util_syntax(s, q, text);
	if (find(s, t[1].s))
		return err(s, "42P03", "cursor \"%s\" already exists", t[1].s);
	if (held)
		return hold(s, t[1].s, text + q[1].at, end[-1].end - q[1].at) && util_complete(s, "DECLARE CURSOR");
	snprintf(name, sizeof(name), "cursor %.60s", t[1].s);
	exec_close(s, 'S', name);
	if (!exec_named(s, name, text + q[1].at, end[-1].end - q[1].at, NULL, 0))
		return false;
	b.portal = t[1].s;
	b.stmt = name;
	return exec_bind_only(s, &b) && util_complete(s, "DECLARE CURSOR");
}

/* Through a portal of the table's rows that were not read yet. */
static bool fetch_held(struct session *s, struct held *h, uint32_t n, uint64_t *count)
{
	struct proto_bind b = { .portal = "baton held", .stmt = "baton held" };
	struct buf q;
	bool ok;
	int i;

	buf_init(&q, 1 << 20);
	for (i = 0; i < h->n; i++) {
		buf_fmt(&q, i ? ", c%d as " : "select c%d as ", i);
		ddl_id(&q, h->names[i]);
	}
	buf_fmt(&q, " from temp.baton_held_%u where rowid > %llu order by rowid", h->nr, (unsigned long long)h->at);
	exec_close(s, 'S', b.stmt);
	ok = exec_named(s, b.stmt, buf_cstr(&q), q.len, NULL, 0);
	buf_free(&q);
	ok = ok && exec_bind_only(s, &b);
	if (ok) {
		ok = exec_fetch(s, b.portal, n, count);
		h->at += *count;
	}
	exec_close(s, 'S', b.stmt);
	return ok;
}

bool cursor_fetch(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *text)
{
	uint32_t n = 1;
	uint64_t count = 0;
	struct held *h;
	char tag[40];

	t++;
	if (lex_is(t, "next") || lex_is(t, "forward"))
		t++;
	if (lex_is(t, "all")) {
		n = 0;
		t++;
	} else if (t->kind == LEX_INT) {
		n = (uint32_t)atoi(t->s);
		t++;
	} else if (lex_is(t, "backward") || lex_is(t, "prior") || lex_is(t, "first") || lex_is(t, "last") || lex_is(t, "absolute")) {
		return err(s, "55000", "cursors only go forward");
	}
	if (lex_is(t, "from") || lex_is(t, "in"))
		t++;
	if (!lex_name(t))
		return util_syntax(s, t, text);
	h = find(s, t->s);
	if (!(h ? fetch_held(s, h, n, &count) : exec_fetch(s, t->s, n, &count)))
		return false;
	snprintf(tag, sizeof(tag), "FETCH %llu", (unsigned long long)count);
	return util_complete(s, tag);
}

void cursor_close(struct session *s, const struct lex_tok *t)
{
	struct held *h = lex_name(t) ? find(s, t->s) : NULL;

	if (lex_is(t, "all")) {
		exec_close_portals(s);
		cursor_drop_all(s);
	} else if (h) {
		drop(s, h);
	} else {
		exec_close(s, 'P', t->s);
	}
}
