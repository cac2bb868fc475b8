// SPDX-License-Identifier: GPL-2.0-or-later
/* COPY FROM STDIN and TO STDOUT, as text or CSV. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

struct copy {
	struct session *s;
	bool csv, header;
	char delimiter, null[40];
	sqlite3_stmt *st;
	struct coltype *cols;
	int n;
	uint64_t rows;
	struct buf line, field;		/* not complete yet; one value */
	bool in_quotes, ended;
};

static bool options(struct copy *c, const struct lex_tok *t, const struct lex_tok *end)
{
	for (; t < end; t++) {
		if (lex_is(t, "csv") || (lex_is(t, "format") && lex_is(t + 1, "csv"))) {
			c->csv = true;
		} else if (lex_is(t, "binary")) {
			return err(c->s, "0A000", "COPY in binary format is not supported: use text or csv");
		} else if (lex_is(t, "header")) {
			c->header = !lex_is(t + 1, "false") && !lex_is(t + 1, "off");
		} else if ((lex_is(t, "delimiter") || lex_is(t, "null")) && t + 1 < end) {
			const struct lex_tok *v = t + 1 + lex_is(t + 1, "as");

			if (v->kind != LEX_STRING || v->n >= sizeof(c->null) || (lex_is(t, "delimiter") && v->n != 1))
				return err(c->s, "22023", "DELIMITER is one character, and NULL a short string");
			if (lex_is(t, "delimiter")) {
				c->delimiter = v->s[0];
			} else {
				snprintf(c->null, sizeof(c->null), "%s", v->s);
			}
			t = v;
		}
	}
	return true;
}

static bool row_in(struct copy *c, char *p, size_t n)
{
	struct session *s = c->s;
	struct type_error e;
	char *end = p + n;
	int i, rc;

	if (n && end[-1] == '\r')
		end--;
	for (i = 0;; i++) {
		bool quoted = false, raw_null;
		char *from = p;

		if (i == c->n)
			return err(s, "22P04", "extra data after last expected column");
		buf_clear(&c->field, 1 << 20);
		while (p < end && *p != c->delimiter) {
			if (c->csv && *p == '"') {
				quoted = true;
				for (p++; p < end; p++) {
					if (*p == '"' && p + 1 < end && p[1] == '"')
						p++;
					else if (*p == '"')
						break;
					buf_ch(&c->field, *p);
				}
				p += p < end;
			} else if (!c->csv && *p == '\\' && p + 1 < end) {
				static const char from_c[] = "bfnrtv", to_c[] = "\b\f\n\r\t\v";
				const char *at = strchr(from_c, p[1]);

				if (p[1] >= '0' && p[1] <= '7') {
					int v = 0, k;

					for (k = 1; k <= 3 && p + k < end && p[k] >= '0' && p[k] <= '7'; k++)
						v = v * 8 + p[k] - '0';
					buf_ch(&c->field, (char)v);
					p += k;
				} else {
					buf_ch(&c->field, at ? to_c[at - from_c] : p[1]);
					p += 2;
				}
			} else {
				buf_ch(&c->field, *p++);
			}
		}
		raw_null = !quoted && (size_t)(p - from) == strlen(c->null) && !memcmp(from, c->null, p - from);
		if (!type_bind(c->st, i + 1, c->cols[i].oid, buf_cstr(&c->field), raw_null ? -1 : (int32_t)c->field.len, false, &e))
			return err(s, e.code, "%s", e.text);
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
		for (nl = p; nl < end && (*nl != '\n' || c->in_quotes); nl++)
			if (c->csv && *nl == '"')
				c->in_quotes = !c->in_quotes;
		buf_add(&c->line, p, nl - p);
		p = nl;
		if (nl == end)
			break;
		p++;
		buf_cstr(&c->line);
		if (c->line.failed)
			return err(c->s, "54000", "a line is too long");
		if (!c->csv && c->line.len == 2 && !memcmp(c->line.p, "\\.", 2))
			c->ended = true;
		else if (c->header)
			c->header = false;
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
			fatal(s, "08P01", "unexpected message type 0x%02X during COPY from stdin", m.type);
			return false;
		}
	}
}

static void field_out(struct copy *c, struct coltype t, sqlite3_value *v)
{
	struct buf *b = &c->s->out;
	size_t i;

	if (sqlite3_value_type(v) == SQLITE_NULL) {
		buf_str(b, c->null);
		return;
	}
	buf_clear(&c->field, 1 << 20);
	type_text(&c->field, t, v);
	if (c->csv) {
		char special[4] = { c->delimiter, '"', '\n', 0 };

		buf_cstr(&c->field);
		if (strpbrk(c->field.p, special) || strchr(c->field.p, '\r') || !strcmp(c->field.p, c->null))
			buf_sql_id(b, c->field.p, c->field.len);
		else
			buf_add(b, c->field.p, c->field.len);
		return;
	}
	for (i = 0; i < c->field.len; i++) {
		char ch = c->field.p[i];

		if (ch == '\\' || ch == c->delimiter)
			buf_ch(b, '\\');
		if (ch == '\n')
			buf_str(b, "\\n");
		else if (ch == '\t' && c->delimiter != '\t')
			buf_ch(b, '\t');
		else if (ch == '\t')
			buf_ch(b, 't');
		else if (ch == '\r')
			buf_str(b, "\\r");
		else
			buf_ch(b, ch);
	}
}

static bool copy_out(struct copy *c, struct stmt *st)
{
	struct session *s = c->s;
	size_t at = proto_begin(&s->out, 'H');
	int i, rc;

	buf_ch(&s->out, 0);
	proto_put16(&s->out, (uint16_t)st->n_cols);
	for (i = 0; i < st->n_cols; i++)
		proto_put16(&s->out, 0);
	proto_end(&s->out, at);
	for (;;) {
		rc = c->header ? SQLITE_ROW : sqlite3_step(st->st);
		if (rc == SQLITE_DONE)
			break;
		if (rc != SQLITE_ROW)
			return err_db(s, rc, st);
		at = proto_begin(&s->out, 'd');
		for (i = 0; i < st->n_cols; i++) {
			if (i)
				buf_ch(&s->out, c->delimiter);
			if (c->header)
				buf_str(&s->out, st->names[i]);
			else
				field_out(c, st->cols[i], sqlite3_column_value(st->st, i));
		}
		buf_ch(&s->out, '\n');
		proto_end(&s->out, at);
		c->rows += !c->header;
		c->header = false;
		if (s->out.len > OUT_HIGH && !net_flush(s))
			return false;
	}
	proto_empty(&s->out, 'c');
	return true;
}

/* What type_bind() does not do of what a column of this type is given. */
static void parameter(struct buf *b, struct coltype t)
{
	switch (t.oid) {
	case T_NUMERIC:
	case T_VARCHAR:
		if (t.mod >= 4)
			buf_fmt(b, "%s(?, %d)", t.oid == T_VARCHAR ? "baton_fit" : "baton_numeric", t.mod - 4);
		else
			buf_ch(b, '?');
		break;
	case T_TIME:
	case T_INTERVAL:
	case T_UUID:
		buf_fmt(b, "baton_%s(?)", type_of(t.oid)->name);
		break;
	case T_JSON:
	case T_JSONB:
		buf_str(b, "baton_json(?)");
		break;
	default:
		buf_ch(b, '?');
	}
}

/* An INSERT for the columns at t, all of the table if there are none. */
static bool prepare_in(struct copy *c, const char *table, const struct lex_tok *cols)
{
	struct session *s = c->s;
	const struct lex_tok *close = cols ? lex_close(cols) : NULL, *p;
	struct buf b, q;
	sqlite3_stmt *st;
	int rc, i;
	bool ok = true;

	buf_init(&b, 1 << 20);
	buf_init(&q, 1 << 20);
	buf_str(&q, "select ");
	for (p = cols ? cols + 1 : NULL; p && p < close; p++)
		if (lex_name(p))
			buf_sql_id(&q, p->s, p->n);
		else
			buf_ch(&q, ',');
	if (!cols)
		buf_ch(&q, '*');
	buf_str(&q, " from ");
	buf_sql_id(&q, table, strlen(table));
	rc = sqlite3_prepare_v2(s->db, buf_cstr(&q), -1, &st, NULL);
	if (rc) {
		ok = err_db(s, rc, NULL);
	} else {
		c->n = sqlite3_column_count(st);
		c->cols = calloc(c->n + 1, sizeof(*c->cols));
		buf_str(&b, "insert into ");
		buf_sql_id(&b, table, strlen(table));
		for (i = 0; i < c->n; i++) {
			c->cols[i] = type_from_decl(sqlite3_column_decltype(st, i));
			buf_ch(&b, i ? ',' : '(');
			buf_sql_id(&b, sqlite3_column_name(st, i), strlen(sqlite3_column_name(st, i)));
		}
		buf_str(&b, ") values ");
		for (i = 0; i < c->n; i++) {
			buf_ch(&b, i ? ',' : '(');
			parameter(&b, c->cols[i]);
		}
		buf_ch(&b, ')');
		sqlite3_finalize(st);
		rc = sqlite3_prepare_v2(s->db, buf_cstr(&b), -1, &c->st, NULL);
		if (rc)
			ok = err_db(s, rc, NULL);
	}
	buf_free(&b);
	buf_free(&q);
	return ok;
}

static bool to_stdout(struct copy *c, const struct lex_tok *t, const struct lex_tok *to)
{
	struct session *s = c->s;
	struct buf b;
	struct stmt *st;
	bool ok;

	buf_init(&b, 1 << 20);
	if (lex_is(t, "(")) {
		const struct lex_tok *close = lex_close(t), *p;

		/* The query's own text is not at hand: its tokens are as good. */
		for (p = t + 1; p < close; p++) {
			if (p->kind == LEX_STRING)
				buf_sql_str(&b, p->s, p->n);
			else if (p->kind == LEX_QUOTED)
				buf_sql_id(&b, p->s, p->n);
			else
				buf_add(&b, p->s, p->n);
			buf_ch(&b, ' ');
		}
	} else {
		const struct lex_tok *name = lex_is(t + 1, ".") ? t + 2 : t, *p;

		buf_str(&b, "select ");
		if (lex_is(name + 1, "("))
			for (p = name + 2; p < lex_close(name + 1); p++)
				if (lex_name(p))
					buf_sql_id(&b, p->s, p->n);
				else
					buf_ch(&b, ',');
		else
			buf_ch(&b, '*');
		buf_str(&b, " from ");
		buf_sql_id(&b, name->s, name->n);
	}
	st = exec_make(s, "", buf_cstr(&b), b.len, NULL, 0);
	buf_free(&b);
	ok = st && (st->st || err(s, "0A000", "COPY needs a query with rows")) &&
	     (st->sql.writes ? work_write(s) : work_read(s)) && copy_out(c, st);
	exec_drop(st);
	return ok;
}

bool copy_run(struct session *s, const struct lex_tok *t)
{
	struct copy c = { .s = s, .delimiter = 0 };
	const struct lex_tok *end = sql_end(t), *p, *name = t + 1, *cols;
	char tag[40];
	bool ok, in;

	for (p = t + 1; p < end && !lex_is(p, "from") && !lex_is(p, "to"); p = lex_close(p) + 1)
		;
	in = p < end && lex_is(p, "from");
	if (p >= end || !lex_is(p + 1, in ? "stdin" : "stdout"))
		return err(s, "0A000", "COPY is FROM STDIN or TO STDOUT; files are for the client to read (\\copy)");
	buf_init(&c.line, server.conf.max_value);
	buf_init(&c.field, server.conf.max_value);
	snprintf(c.null, sizeof(c.null), "\n");
	ok = options(&c, p + 2, end);
	if (!c.delimiter)
		c.delimiter = c.csv ? ',' : '\t';
	if (!strcmp(c.null, "\n"))
		snprintf(c.null, sizeof(c.null), c.csv ? "" : "\\N");
	if (ok && in) {
		if (lex_is(name + 1, "."))
			name += 2;
		cols = lex_is(name + 1, "(") ? name + 1 : NULL;
		ok = work_write(s) && prepare_in(&c, name->s, cols) && copy_in(&c);
	} else if (ok) {
		ok = to_stdout(&c, name, p);
	}
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
