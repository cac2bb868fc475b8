// SPDX-License-Identifier: GPL-2.0-or-later
/* COPY FROM STDIN, as text: tabs between values, \N for NULL. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

typedef const struct lex_tok *tokp;

struct copy {
	struct session *s;
	sqlite3_stmt *st;
	uint32_t *cols;
	int n;
	uint64_t rows;
	struct buf line, field;		/* not complete yet; one value */
	bool ended;
};

/* [WITH] [(] FORMAT text, FREEZE [)]: nothing else. */
static bool read_options(struct session *s, tokp t, tokp end)
{
	for (; t < end; t++)
		if (t->kind == LEX_STRING ? strcmp(t->s, "text") :
		    !lex_is(t, "with") && !lex_is(t, "(") && !lex_is(t, ")") && !lex_is(t, ",") && !lex_is(t, "format") && !lex_is(t, "text") &&
		    !lex_is(t, "freeze") && !lex_is(t, "on") && !lex_is(t, "true"))
			return err_hint(s, "0A000", "Values are separated by tabs, and \\N is NULL.", "COPY with %.40s is not supported: text is", t->s);
	return true;
}

static const char control[] = "\b\f\n\r\t\v", letter[] = "bfnrtv";

static bool row_in(struct copy *c, const char *p, size_t n)
{
	struct session *s = c->s;
	const char *end = p + n, *from, *at;
	struct sql_error e;
	bool null;
	int i, rc;

	end -= n && end[-1] == '\r';
	for (i = 0;; i++) {
		from = p;
		if (i == c->n)
			return err(s, "22P04", "extra data after last expected column");
		buf_clear(&c->field, 1 << 20);
		for (; p < end && *p != '\t'; p++) {
			if (*p != '\\' || p + 1 == end) {
				buf_ch(&c->field, *p);
				continue;
			}
			p++;
			if ((*p >= '0' && *p <= '7') || *p == 'x')
				return err(s, "0A000", "\\%c in COPY is not supported: bytes are sent as they are", *p);
			at = *p ? strchr(letter, *p) : NULL;
			buf_ch(&c->field, at ? control[at - letter] : *p);
		}
		null = p - from == 2 && !memcmp(from, "\\N", 2);
		buf_cstr(&c->field);
		if (c->field.failed)
			return err(s, "54000", "a value is too long");
		if (!type_bind(c->st, i + 1, c->cols[i], c->field.p, null ? -1 : (int32_t)c->field.len, false, &e))
			return err(s, e.code, "%s (line %llu, column %d)", e.text, (unsigned long long)c->rows + 1, i + 1);
		if (p == end)
			break;
		p++;
	}
	if (i + 1 < c->n)
		return err(s, "22P04", "missing data for column %d", i + 2);
	rc = sqlite3_step(c->st);
	sqlite3_reset(c->st);
	if (rc != SQLITE_DONE)
		return err_db(s, rc);
	c->rows++;
	return true;
}

static bool data_in(struct copy *c, const char *p, size_t n)
{
	const char *end = p + n, *nl;

	while (p < end && !c->ended) {
		nl = memchr(p, '\n', end - p);
		buf_add(&c->line, p, (nl ? nl : end) - p);
		if (!nl)
			break;
		p = nl + 1;
		buf_cstr(&c->line);
		if (c->line.failed)
			return err(c->s, "54000", "a line is too long");
		if (c->line.len == 2 && !memcmp(c->line.p, "\\.", 2))
			c->ended = true;
		else if (!row_in(c, c->line.p, c->line.len))
			return false;
		buf_clear(&c->line, 1 << 20);
	}
	return true;
}

static bool copy_in(struct copy *c)
{
	struct session *s = c->s;
	size_t at = proto_begin(&s->out, 'G');
	struct proto_msg m;
	int i;

	buf_ch(&s->out, 0);
	proto_put16(&s->out, (uint16_t)c->n);
	for (i = 0; i < c->n; i++)
		proto_put16(&s->out, 0);
	proto_end(&s->out, at);
	for (;;) {
		if (!net_message(s, &m, false) || !work_begin(s))
			return false;
		switch (m.type) {
		case 'd':
			/* Data that the client still sends after an error is passed over, by session.c. */
			if (!data_in(c, m.body, m.len))
				return false;
			if (work_progress(s))
				return err(s, "57014", "canceling statement due to %s", s->timed_out ? "statement timeout" : "user request");
			break;
		case 'c':
			return !c->line.len || c->ended || data_in(c, "\n", 1);
		case 'f':
			return err(s, "57014", "COPY from stdin failed: %.*s", (int)m.len, m.body);
		case 'H':
		case 'S':
			break;
		default:
			return fatal(s, "08P01", "unexpected message type 0x%02X during COPY from stdin", m.type);
		}
	}
}

/* An INSERT for the columns of a query. */
static bool prepare_in(struct copy *c, tokp table, const struct stmt *st)
{
	sqlite3_str *sql = sqlite3_str_new(c->s->db);
	char *text;
	int i, rc;

	c->n = st->n_cols;
	c->cols = st->cols;
	sqlite3_str_appendf(sql, "insert into \"%w\"", table->s);
	for (i = 0; i < c->n; i++)
		sqlite3_str_appendf(sql, "%c\"%w\"", i ? ',' : '(', st->names[i]);
	for (i = 0; i < c->n; i++)
		sqlite3_str_appendf(sql, i ? ",?" : ") values (?");
	sqlite3_str_appendchar(sql, 1, ')');
	text = sqlite3_str_finish(sql);
	rc = text ? sqlite3_prepare_v2(c->s->db, text, -1, &c->st, NULL) : SQLITE_NOMEM;
	sqlite3_free(text);
	return !rc || err_db(c->s, rc);
}

/* The columns that are named, or all, as a query describes them. */
static struct stmt *prepare_query(struct session *s, tokp table, tokp cols, const char *text)
{
	int n = cols ? (int)(lex_close(cols)->at - cols->end) : 1;
	char *sql = sqlite3_mprintf("select %.*s from \"%w\"", n, cols ? text + cols->end : "*", table->s);
	struct stmt *st = NULL;

	if (sql)
		st = exec_make(s, "", sql, strlen(sql), NULL, 0);
	else
		err(s, "53200", "out of memory");
	sqlite3_free(sql);
	return st;
}

bool copy_run(struct session *s, tokp t, tokp end, const char *text)
{
	struct copy c = { .s = s };
	tokp cols = lex_is(t + 1, "(") ? t + 1 : NULL, p = cols ? lex_close(cols) + 1 : t + 1;
	struct stmt *st = NULL;
	char tag[40];
	bool ok;

	if (lex_is(t, "(") || (p < end && lex_is(p, "to")))
		return err_hint(s, "0A000", "A SELECT sends the rows.", "COPY TO is not supported");
	if (!lex_name(t) || p >= end || !lex_is(p, "from"))
		return err_syntax(s, p < end ? p : end);
	if (!lex_is(p + 1, "stdin"))
		return err(s, "0A000", "COPY is FROM STDIN; files are for the client to read (\\copy)");
	buf_init(&c.line, server.conf.max_value);
	buf_init(&c.field, server.conf.max_value);
	ok = read_options(s, p + 2, end) && work_write(s);
	st = ok ? prepare_query(s, t, cols, text) : NULL;
	ok = st && st->n_params ? err(s, "42601", "COPY takes names of columns") : st && prepare_in(&c, t, st) && copy_in(&c);
	sqlite3_finalize(c.st);
	exec_drop(st);
	buf_free(&c.line);
	buf_free(&c.field);
	snprintf(tag, sizeof(tag), "COPY %llu", (unsigned long long)c.rows);
	if (ok)
		proto_send(&s->out, 'C', "s", tag);
	return ok;
}
