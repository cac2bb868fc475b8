// SPDX-License-Identifier: GPL-2.0-or-later
/* SET and SHOW: four settings are a session's; the others have one value, which clients may set them to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

enum kind { FIXED, ONLY, APPLICATION, STATEMENT_TIMEOUT, CLASS, REJECT_CODE, LOW, HIGH, QUOTAS, SUPERUSER, AUTHORIZATION };

static const struct setting {
	const char *name, *value;
	enum kind kind;
	bool report;
	const char *also;		/* other words for the value, each between bars */
} list[] = {
	{ "application_name", "", APPLICATION, true, "" },
	{ "client_encoding", "UTF8", ONLY, true, "|utf-8|unicode|" },
	{ "DateStyle", "ISO, MDY", ONLY, true, "|iso|" },
	{ "IntervalStyle", "postgres", ONLY, true, "" },
	{ "TimeZone", "Etc/UTC", ONLY, true, "|utc|gmt|etc/gmt|zulu|uct|z|0|" },
	{ "integer_datetimes", "on", FIXED, true, "" },
	{ "is_superuser", "off", SUPERUSER, true, "" },
	{ "server_encoding", "UTF8", FIXED, true, "" },
	{ "server_version", "15.0", FIXED, true, "" },
	{ "server_version_num", "150000", FIXED, false, "" },
	{ "session_authorization", "", AUTHORIZATION, true, "" },
	{ "standard_conforming_strings", "on", ONLY, true, "" },
	{ "default_transaction_read_only", "off", ONLY, true, "|false|0|" },
	{ "in_hot_standby", "off", FIXED, true, "" },
	{ "statement_timeout", "0", STATEMENT_TIMEOUT, false, "" },
	{ "extra_float_digits", "1", ONLY, false, "|2|3|" },
	{ "search_path", "public", ONLY, false, "" },
	{ "client_min_messages", "notice", ONLY, false, "" },
	{ "bytea_output", "hex", ONLY, false, "" },
	{ "transaction_isolation", "read committed", ONLY, false, "|read uncommitted|" },
	{ "default_transaction_isolation", "read committed", ONLY, false, "|read uncommitted|" },
	{ "transaction_read_only", "off", ONLY, false, "|false|0|" },
	{ "baton.class", "tolerant", CLASS, false, "" },
	{ "baton.low_latency", "0%", LOW, false, "" },
	{ "baton.high_latency", "100%", HIGH, false, "" },
	{ "baton.reject_code", "53400", REJECT_CODE, false, "" },
	{ "baton.quotas", "on", QUOTAS, false, "" },
};
#define N (sizeof(list) / sizeof(*list))

static const struct setting *find_setting(const char *name)
{
	unsigned i;

	for (i = 0; i < N; i++)
		if (!strcasecmp(list[i].name, name))
			return &list[i];
	return NULL;
}

/* "5s", "200", "200 ms" in ns; or -1. */
static long long parse_duration(const char *s)
{
	char *end;
	long long v = strtoll(s, &end, 10);

	if (end == s || v < 0 || v > 1000000000)
		return -1;
	end += strspn(end, " ");
	return !*end || !strcmp(end, "ms") ? v * (long long)MS : !strcmp(end, "s") ? v * 1000 * (long long)MS : -1;
}

const char *setting_get(struct session *s, const char *name)
{
	const struct setting *x = find_setting(name);
	static __thread char text[64];

	if (!x)
		return NULL;
	switch (x->kind) {
	case APPLICATION:
		return s->set.application;
	case STATEMENT_TIMEOUT:
		snprintf(text, sizeof(text), "%llu%s", s->set.statement_timeout / MS, s->set.statement_timeout ? "ms" : "");
		return text;
	case CLASS:
		return class_name(s->set.cls);
	case REJECT_CODE:
		return s->set.reject_40001 ? "40001" : "53400";
	case LOW:
	case HIGH:
		if (*server.conf.fleet_socket && !s->role->is.super)
			return "the fleet's";
		snprintf(text, sizeof(text), "%.4g%%", (x->kind == LOW ? s->role->is.low_ppm : s->role->is.high_ppm) / 1e4);
		return text;
	case QUOTAS:
		return server.quotas ? "on" : "off";
	case SUPERUSER:
		return s->role->is.super ? "on" : "off";
	case AUTHORIZATION:
		return s->role->name;
	default:
		return x->value;
	}
}

/* Sets what is a session's, in to, value NULL: as it was at first; the others are as they are. NULL, or what is wrong. */
static const char *set_value(const struct session *s, struct session_settings *to, const struct setting *x, const char *value)
{
	char word[60];
	long long ns;

	switch (x->kind) {
	case APPLICATION:
		snprintf(to->application, sizeof(to->application), "%s", value ? value : s->initial.application);
		return NULL;
	case STATEMENT_TIMEOUT:
		ns = value ? parse_duration(value) : (long long)s->initial.statement_timeout;
		to->statement_timeout = (uint64_t)ns;
		if (ns >= 0)
			return NULL;
		return why_text("invalid value for parameter \"%s\": \"%.60s\"", x->name, value);
	case CLASS:
		to->cls = s->initial.cls;
		return value ? class_parse(value, s->role->is.super, &to->cls) : NULL;
	case REJECT_CODE:
		to->reject_40001 = value ? value[0] == '4' : s->initial.reject_40001;
		return value && strcmp(value, "53400") && strcmp(value, "40001") ? "baton.reject_code is 53400 or 40001" : NULL;
	case LOW:
	case HIGH:
		return "quotas are a user's: ALTER USER name SET ...";
	case QUOTAS:
		return "baton.quotas is the system's: ALTER SYSTEM SET ...";
	case ONLY:
		snprintf(word, sizeof(word), "|%.50s|", value ? value : "");
		if (!value || !strcasecmp(value, x->value) || (!strchr(value, '|') && strcasestr(x->also, word)))
			return NULL;
		return why_text("%s is %s here, and nothing else", x->name, x->value);
	default:
		return why_text("parameter \"%s\" cannot be changed", x->name);
	}
}

const char *setting_set(struct session *s, const char *name, const char *value)
{
	const struct setting *x = find_setting(name);
	struct session_settings set = s->set;
	const char *why;

	if (!x)
		return why_text("unrecognized configuration parameter \"%.60s\"", name);
	why = set_value(s, &set, x, value);
	if (why)
		return why;
	pthread_mutex_lock(&s->lock);
	s->set = set;
	pthread_mutex_unlock(&s->lock);
	/* The statements behind it in a message have it, too. */
	if (x->kind == STATEMENT_TIMEOUT)
		s->deadline = set.statement_timeout ? s->arrived + set.statement_timeout : 0;
	if (x->report && s->state != STATE_STARTUP)
		proto_send(&s->out, 'S', "ss", x->name, setting_get(s, x->name));
	return NULL;
}

void settings_begin(struct session *s)
{
	s->set = (struct session_settings){ .cls = s->role->is.cls, .statement_timeout = (uint64_t)server.conf.statement_timeout * MS };
}

void settings_report(struct session *s)
{
	unsigned i;

	for (i = 0; i < N; i++)
		if (list[i].report)
			proto_send(&s->out, 'S', "ss", list[i].name, setting_get(s, list[i].name));
}
