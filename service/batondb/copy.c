// SPDX-License-Identifier: GPL-2.0-or-later
/* COPY FROM STDIN and TO STDOUT, as text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

struct copy {
	struct session *s;
	char delimiter, null[40];
	sqlite3_stmt *st;
	uint32_t *cols;
	int n;
	uint64_t rows;
	struct buf line, field;		/* not complete yet; one value */
	bool ended;
};

static bool options(struct copy *c, const struct lex_tok *t, const struct lex_tok *end, const char *text)
{
	bool parentheses;
	char delimiter;

	t += lex_is(t, "with");
	parentheses = lex_is(t, "(");
	for (t += parentheses; t < end; t++) {
		if (lex_is(t, ",") || (parentheses && lex_is(t, ")") && t + 1 == end))
			continue;
		if (lex_is(t, "freeze")) {
			/* Where rows are in their file is nothing that one could see. */
			t += lex_is(t + 1, "on") || lex_is(t + 1, "true");
		} else if (lex_is(t, "format") && (lex_is(t + 1, "text") || t[1].kind == LEX_STRING)) {
			if (strcmp(t[1].s, "text"))
				return err(c->s, "0A000", "COPY in %.20s format is not supported: text is", t[1].s);
			t++;
		} else if ((lex_is(t, "delimiter") || lex_is(t, "null")) && t + 1 < end) {
			const struct lex_tok *v = t + 1 + lex_is(t + 1, "as");

			delimiter = v->kind == LEX_STRING && v->n == 1 ? v->s[0] : 0;
			if (lex_is(t, "delimiter") && (!delimiter || strchr("\\\r\n", delimiter) || (delimiter | 32) == 'n' ||
						       (delimiter >= '0' && delimiter <= '9')))
				return err(c->s, "22023", "DELIMITER is one character, no backslash, end of line, digit or n");
			if (v->kind != LEX_STRING || v->n >= sizeof(c->null) || strpbrk(v->s, "\r\n"))
				return err(c->s, "22023", "NULL is a short string in one line");
			if (lex_is(t, "delimiter"))
				c->delimiter = delimiter;
			else
				snprintf(c->null, sizeof(c->null), "%s", v->s);
			t = v;
		} else if (lex_is(t, "csv") || lex_is(t, "binary") || lex_is(t, "header") || lex_is(t, "format") || lex_is(t, "quote")) {
			return err(c->s, "0A000", "COPY with %s is not supported: text is", lex_is(t, "format") ? t[1].s : t->s);
		} else {
			return err_syntax(c->s, t, text);
		}
	}
	return true;
}

/* What a backslash and what is behind it stand for; how much that is. */
static size_t unescape(struct buf *to, const char *p, const char *end)
{
	static const char from_c[] = "bfnrtv", to_c[] = "\b\f\n\r\t\v";
	const char *at = strchr(from_c, p[1]);
	int v = 0, k;

	if (p[1] >= '0' && p[1] <= '7') {
		for (k = 1; k <= 3 && p + k < end && p[k] >= '0' && p[k] <= '7'; k++)
			v = v * 8 + p[k] - '0';
		buf_ch(to, (char)v);
		return (size_t)k;
	}
	buf_ch(to, at && p[1] ? to_c[at - from_c] : p[1]);
	return 2;
}

static bool row_in(struct copy *c, const char *p, size_t n)
{
	struct session *s = c->s;
	const char *end = p + n, *from;
	struct type_error e;
	bool null;
	int i, rc;

	end -= n && end[-1] == '\r';
	for (i = 0;; i++) {
		from = p;
		if (i == c->n)
			return err(s, "22P04", "extra data after last expected column");
		buf_clear(&c->field, 1 << 20);
		while (p < end && *p != c->delimiter)
			if (*p == '\\' && p + 1 < end)
				p += unescape(&c->field, p, end);
			else
				buf_ch(&c->field, *p++);
		null = (size_t)(p - from) == strlen(c->null) && !memcmp(from, c->null, p - from);
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
		return err_db(s, rc, NULL);
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

static void begin(struct session *s, char type, int n)
{
	size_t at = proto_begin(&s->out, type);
	int i;

	buf_ch(&s->out, 0);
	proto_put16(&s->out, (uint16_t)n);
	for (i = 0; i < n; i++)
		proto_put16(&s->out, 0);
	proto_end(&s->out, at);
}

static bool copy_in(struct copy *c)
{
	struct session *s = c->s;
	struct proto_msg m;

	begin(s, 'G', c->n);
	for (;;) {
		if (!net_message(s, &m, false))
			return false;
		if (!work_begin(s))
			return false;
		switch (m.type) {
		case 'd':
			/* What the client still sends after an error is passed over, by session.c. */
			if (!data_in(c, m.body, m.len))
				return false;
			if (work_progress(s))
				return err(s, "57014", "canceling statement due to %s",
					   s->timed_out ? "statement timeout" : "user request");
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

static bool field_out(struct copy *c, uint32_t type, sqlite3_value *v)
{
	struct buf *b = &c->s->out;
	struct type_error e;
	size_t i;

	if (sqlite3_value_type(v) == SQLITE_NULL) {
		buf_str(b, c->null);
		return true;
	}
	buf_clear(&c->field, 1 << 20);
	if (!type_text(&c->field, type, v, &e))
		return err(c->s, e.code, "%s", e.text);
	for (i = 0; i < c->field.len; i++) {
		static const char control[] = "\b\f\n\r\t\v", letter[] = "bfnrtv";
		char ch = c->field.p[i];
		const char *at = ch ? strchr(control, ch) : NULL;

		if (at || ch == '\\' || ch == c->delimiter)
			buf_ch(b, '\\');
		buf_ch(b, at ? letter[at - control] : ch);
	}
	return true;
}

static bool copy_out(struct copy *c, struct stmt *st)
{
	struct session *s = c->s;
	size_t at;
	int i, rc;

	begin(s, 'H', st->n_cols);
	for (;;) {
		s->guard.kind = st->kind;
		rc = sqlite3_step(st->st);
		s->guard.kind = GUARD_QUERY;
		if (rc == SQLITE_DONE)
			break;
		if (rc != SQLITE_ROW)
			return err_db(s, rc, NULL);
		at = proto_begin(&s->out, 'd');
		for (i = 0; i < st->n_cols; i++) {
			sqlite3_value *v = sqlite3_column_value(st->st, i);

			if (i)
				buf_ch(&s->out, c->delimiter);
			/* Nothing was described: each value is written as what it is. */
			if (!field_out(c, st->cols[i] ? st->cols[i] : type_of_value(sqlite3_value_type(v)), v)) {
				s->out.len = s->out.len > at ? at - 1 : s->out.len;
				return false;
			}
		}
		buf_ch(&s->out, '\n');
		proto_end(&s->out, at);
		c->rows++;
		if (s->out.failed) {
			buf_clear(&s->out, 0);
			return err(s, "54000", "a row is too large to be sent");
		}
		if (s->out.len > OUT_HIGH && !net_flush(s))
			return false;
	}
	proto_empty(&s->out, 'c');
	return true;
}

/* (a, b) at cols, or * where there are none. */
static void put_columns(struct buf *b, const struct lex_tok *cols)
{
	const struct lex_tok *p, *close = cols ? lex_close(cols) : NULL;

	for (p = cols ? cols + 1 : NULL; p && p < close; p++)
		if (lex_name(p))
			buf_sql_id(b, p->s, p->n);
		else
			buf_str(b, p->s);
	if (!cols)
		buf_ch(b, '*');
}

/* An INSERT for these columns. */
static bool prepare_in(struct copy *c, const struct lex_tok *table, const struct lex_tok *cols)
{
	struct session *s = c->s;
	struct stmt *st;
	struct buf b;
	bool ok;
	int i, rc;

	buf_init(&b, 1 << 20);
	buf_str(&b, "select ");
	put_columns(&b, cols);
	buf_str(&b, " from ");
	buf_sql_id(&b, table->s, table->n);
	st = exec_make(s, "", buf_cstr(&b), b.len, NULL, 0);
	ok = st != NULL;
	if (ok) {
		c->n = st->n_cols;
		c->cols = st->cols;
		st->cols = NULL;
		buf_clear(&b, 1 << 20);
		buf_str(&b, "insert into ");
		buf_sql_id(&b, table->s, table->n);
		for (i = 0; i < c->n; i++) {
			buf_ch(&b, i ? ',' : '(');
			buf_sql_id(&b, st->names[i], strlen(st->names[i]));
		}
		buf_str(&b, ") values ");
		for (i = 0; i < c->n; i++)
			buf_str(&b, i ? ",?" : "(?");
		buf_ch(&b, ')');
		rc = sqlite3_prepare_v2(s->db, buf_cstr(&b), -1, &c->st, NULL);
		ok = !rc || err_db(s, rc, NULL);
	}
	exec_drop(st);
	buf_free(&b);
	return ok;
}

static bool to_stdout(struct copy *c, const struct lex_tok *t, const struct lex_tok *cols, const char *text)
{
	struct session *s = c->s;
	struct stmt *st;
	struct buf b;
	bool ok;

	buf_init(&b, 4 << 20);
	if (lex_is(t, "(")) {
		buf_add(&b, text + t->end, lex_close(t)->at - t->end);
	} else {
		buf_str(&b, "select ");
		put_columns(&b, cols);
		buf_str(&b, " from ");
		buf_sql_id(&b, t->s, t->n);
	}
	st = b.failed ? (err(s, "53200", "out of memory"), NULL) : exec_make(s, "", buf_cstr(&b), b.len, NULL, 0);
	buf_free(&b);
	ok = st && (st->st && st->n_cols ? true : err(s, "0A000", "COPY needs a query with rows")) &&
	     (!st->n_params || err(s, "42P02", "there is no parameter $1")) && copy_out(c, st);
	exec_drop(st);
	return ok;
}

bool copy_run(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *text)
{
	struct copy c = { .s = s, .delimiter = '\t', .null = "\\N" };
	const struct lex_tok *name = t + 1, *cols, *p;
	char tag[40];
	bool ok, in;

	if (lex_is(name, "(")) {
		cols = NULL;
		p = lex_close(name) + 1;
	} else {
		name += 2 * lex_is(name + 1, ".");
		if (!lex_name(name))
			return err_syntax(s, name, text);
		cols = lex_is(name + 1, "(") ? name + 1 : NULL;
		p = cols ? lex_close(cols) + 1 : name + 1;
	}
	in = p < end && lex_is(p, "from");
	if (p >= end || (!in && !lex_is(p, "to")) || (in && lex_is(name, "(")))
		return err_syntax(s, p < end ? p : end, text);
	if (!lex_is(p + 1, in ? "stdin" : "stdout"))
		return err(s, "0A000", "COPY is FROM STDIN or TO STDOUT; files are for the client to read (\\copy)");
	buf_init(&c.line, server.conf.max_value);
	buf_init(&c.field, server.conf.max_value);
	ok = options(&c, p + 2, end, text) && (in ? work_write(s) && prepare_in(&c, name, cols) && copy_in(&c) : to_stdout(&c, name, cols, text));
	sqlite3_finalize(c.st);
	free(c.cols);
	buf_free(&c.line);
	buf_free(&c.field);
	if (!ok)
		return false;
	snprintf(tag, sizeof(tag), "COPY %llu", (unsigned long long)c.rows);
	proto_complete(&s->out, tag);
	return true;
}
