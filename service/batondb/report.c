// SPDX-License-Identifier: GPL-2.0-or-later
/* Errors to the client, and lines of the log. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "session.h"

void log_line(const char *fmt, ...)
{
	char line[1000];
	va_list ap;
	int n, i;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	n = n < 0 ? 0 : n < (int)sizeof(line) - 2 ? n : (int)sizeof(line) - 2;
	/* Names are clients': none ends a line and begins another. */
	for (i = 0; i < n; i++)
		if ((unsigned char)line[i] < 32 || line[i] == 127)
			line[i] = '?';
	line[n] = '\n';
	/* A single write, so that lines of different threads stay whole; nobody is left to hear of one that fails. */
	if (write(2, line, (size_t)n + 1) < 0)
		return;
}

const char *why_text(const char *fmt, ...)
{
	static __thread char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

/* The transaction fails, and in the extended protocol what follows up to Sync is passed over. */
static bool fail(struct session *s, const char *code, const char *hint, const char *text)
{
	proto_error(&s->out, &(struct proto_error){ "ERROR", code, text, hint });
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

bool err_hint(struct session *s, const char *code, const char *hint, const char *fmt, ...)
{
	char text[500];

	FORMAT(text);
	return fail(s, code, hint, text);
}

bool err_syntax(struct session *s, const struct lex_tok *t)
{
	return t->kind == LEX_END || lex_is(t, ";") ? err(s, "42601", "syntax error at end of input") :
						      err(s, "42601", "syntax error at or near \"%.60s\"", t->s);
}

bool err_db(struct session *s, int rc)
{
	struct sql_error d;

	db_error(s->db, rc, &s->guard, &d);
	if (!strcmp(d.code, "57014") && s->timed_out)
		snprintf(d.text, sizeof(d.text), "canceling statement due to statement timeout");
	if (strchr("5X", d.code[0]) && strcmp(d.code, "57014") && strncmp(d.code, "53", 2))
		log_line("database %s: %s (%s)", s->database->name, d.text, d.code);
	return fail(s, d.code, d.hint, d.text);
}

void notice(struct session *s, const char *code, const char *text)
{
	proto_error(&s->out, &(struct proto_error){ "WARNING", code, text, NULL });
}

bool fatal(struct session *s, const char *code, const char *fmt, ...)
{
	char text[500];

	FORMAT(text);
	log_line("%s, user %s: %s (%s)", s->peer.text, s->role ? s->role->name : "-", text, code);
	proto_error(&s->out, &(struct proto_error){ "FATAL", code, text, NULL });
	net_flush(s);
	s->dead = true;
	return false;
}
