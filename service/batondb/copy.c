// SPDX-License-Identifier: GPL-2.0-or-later
/* COPY FROM STDIN and TO STDOUT, as text: tabs between values, \N for NULL. */
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
	struct type_error e;
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

static void begin_copy(struct session *s, char type, int n)
{
	size_t at = proto_begin(&s->out, type);

	buf_ch(&s->out, 0);
	proto_put16(&s->out, (uint16_t)n);
	while (n--)
		proto_put16(&s->out, 0);
	proto_end(&s->out, at);
}

static bool copy_in(struct copy *c)
{
	struct session *s = c->s;
	struct proto_msg m;

	begin_copy(s, 'G', c->n);
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

static bool field_out(struct copy *c, uint32_t type, sqlite3_value *v)
{
	struct buf *b = &c->s->out;
	struct type_error e;
	const char *at;
	size_t i;

	if (sqlite3_value_type(v) == SQLITE_NULL) {
		buf_str(b, "\\N");
		return true;
	}
	buf_clear(&c->field, 1 << 20);
	if (!type_text(&c->field, type, v, &e))
		return err(c->s, e.code, "%s", e.text);
	for (i = 0; i < c->field.len; i++) {
		char ch = c->field.p[i];

		at = ch ? strchr(control, ch) : NULL;
		if (at || ch == '\\')
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

	begin_copy(s, 'H', st->n_cols);
	while ((rc = exec_step(s, st)) == SQLITE_ROW) {
		at = proto_begin(&s->out, 'd');
		for (i = 0; i < st->n_cols; i++) {
			sqlite3_value *v = sqlite3_column_value(st->st, i);

			if (i)
				buf_ch(&s->out, '\t');
			/* Nothing was described: each value is written as what it is. */
			if (!field_out(c, st->cols[i] ? st->cols[i] : type_of_value(sqlite3_value_type(v)), v)) {
				s->out.len = s->out.len > at ? at - 1 : s->out.len;
				return false;
			}
		}
		buf_ch(&s->out, '\n');
		proto_end(&s->out, at);
		c->rows++;
		if (!exec_sent(s))
			return false;
	}
	if (rc != SQLITE_DONE)
		return err_db(s, rc, NULL);
	proto_send(&s->out, 'c', "");
	return true;
}

/* select a, b from t; cols: the parenthesis of a list, or NULL. */
static struct stmt *select_columns(struct session *s, tokp table, tokp cols)
{
	tokp p, close = cols ? lex_close(cols) : NULL;
	struct stmt *st;
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_str(&b, cols ? "select " : "select *");
	for (p = cols ? cols + 1 : NULL; p && p < close; p++)
		if (lex_name(p))
			buf_sql_id(&b, p->s, p->n);
		else
			buf_str(&b, p->s);
	buf_str(&b, " from ");
	buf_sql_id(&b, table->s, table->n);
	st = exec_make(s, "", buf_cstr(&b), b.len, NULL, 0);
	buf_free(&b);
	return st;
}

/* An INSERT for the columns of a query. */
static bool prepare_in(struct copy *c, tokp table, const struct stmt *st)
{
	struct buf b;
	int i, rc;

	if (!st)
		return false;
	c->n = st->n_cols;
	c->cols = st->cols;
	buf_init(&b, 1 << 20);
	buf_str(&b, "insert into ");
	buf_sql_id(&b, table->s, table->n);
	for (i = 0; i < c->n; i++) {
		buf_ch(&b, i ? ',' : '(');
		buf_sql_id(&b, st->names[i], strlen(st->names[i]));
	}
	for (i = 0; i < c->n; i++)
		buf_str(&b, i ? ",?" : ") values (?");
	buf_ch(&b, ')');
	rc = sqlite3_prepare_v2(c->s->db, buf_cstr(&b), -1, &c->st, NULL);
	buf_free(&b);
	return !rc || err_db(c->s, rc, NULL);
}

bool copy_run(struct session *s, tokp t, tokp end, const char *text)
{
	struct copy c = { .s = s };
	tokp name = t, cols = NULL, p;
	struct stmt *st = NULL;
	char tag[40];
	bool ok, in;

	if (lex_is(name, "(")) {
		p = lex_close(name) + 1;
	} else {
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
	ok = read_options(s, p + 2, end) && (!in || work_write(s));
	if (ok)
		st = lex_is(name, "(") ? exec_make(s, "", text + name->end, lex_close(name)->at - name->end, NULL, 0) : select_columns(s, name, cols);
	ok = ok && st;
	if (ok && in)
		ok = prepare_in(&c, name, st) && copy_in(&c);
	else if (ok)
		ok = ((st->st && st->n_cols && !st->writes) || err(s, "0A000", "COPY needs a query with rows")) &&
		     (!st->n_params || err(s, "42P02", "there is no parameter $1")) && copy_out(&c, st);
	sqlite3_finalize(c.st);
	exec_drop(st);
	buf_free(&c.line);
	buf_free(&c.field);
	if (!ok)
		return false;
	snprintf(tag, sizeof(tag), "COPY %llu", (unsigned long long)c.rows);
	proto_send(&s->out, 'C', "s", tag);
	return true;
}
