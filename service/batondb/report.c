// SPDX-License-Identifier: GPL-2.0-or-later
/* Errors, to the client. */
#include <stdio.h>
#include <string.h>

#include "session.h"

/* The transaction fails, and in the extended protocol what follows up to Sync is passed over. */
static bool fail(struct session *s, struct proto_error *e)
{
	e->severity = "ERROR";
	proto_error(&s->out, e);
	if (s->tx == TX_OPEN)
		s->tx = TX_FAILED;
	s->skipping = s->extended;
	return false;
}

#define FORMAT(TEXT) do { \
		va_list ap; \
		va_start(ap, fmt); \
		vsnprintf(TEXT, sizeof(TEXT), fmt, ap); \
		va_end(ap); \
	} while (0)

bool err(struct session *s, const char *code, const char *fmt, ...)
{
	char text[500];

	FORMAT(text);
	return fail(s, &(struct proto_error){ .code = code, .message = text });
}

bool err_hint(struct session *s, const char *code, const char *hint, const char *fmt, ...)
{
	char text[500];

	FORMAT(text);
	return fail(s, &(struct proto_error){ .code = code, .hint = hint, .message = text });
}

/* Where byte at of a statement is in its message, in characters from 1. */
static int position(const struct session *s, const char *source, size_t at)
{
	size_t i;
	int n = 1 + (int)s->at;

	for (i = 0; i < at && source[i]; i++)
		n += (source[i] & 0xc0) != 0x80;
	return n;
}

bool err_check(struct session *s, const struct check_error *c, const char *source)
{
	struct proto_error e = { .code = c->code, .message = c->text, .hint = c->hint, .position = position(s, source, c->at) };

	return fail(s, &e);
}

bool err_syntax(struct session *s, const struct lex_tok *t, const char *source)
{
	char text[120];
	struct proto_error e = { .code = "42601", .message = text };

	if (t->kind == LEX_END || lex_is(t, ";"))
		snprintf(text, sizeof(text), "syntax error at end of input");
	else
		snprintf(text, sizeof(text), "syntax error at or near \"%.60s\"", t->s);
	return fail(s, &e);
}

bool err_db(struct session *s, int rc, const char *source)
{
	struct db_error d;
	struct proto_error e = { 0 };

	db_error(s->db, rc, &s->guard, &d);
	if (!strcmp(d.code, "57014") && s->timed_out)
		snprintf(d.message, sizeof(d.message), "canceling statement due to statement timeout");
	e.code = d.code;
	e.message = d.message;
	e.hint = d.hint;
	if (source && d.at >= 0)
		e.position = position(s, source, (size_t)d.at);
	if (strchr("5X", d.code[0]) && strcmp(d.code, "57014") && strncmp(d.code, "53", 2))
		log_line("database %s: %s (%s)", s->database->name, d.message, d.code);
	return fail(s, &e);
}

void notice(struct session *s, const char *code, const char *text)
{
	proto_error(&s->out, &(struct proto_error){ .severity = "WARNING", .code = code, .message = text });
}

bool fatal(struct session *s, const char *code, const char *fmt, ...)
{
	char text[500];

	FORMAT(text);
	log_line("%s, user %s: %s (%s)", s->peer.text, s->role ? s->role->name : "-", text, code);
	proto_error(&s->out, &(struct proto_error){ .severity = "FATAL", .code = code, .message = text });
	net_flush(s);
	s->dead = true;
	return false;
}
