// SPDX-License-Identifier: GPL-2.0-or-later
/* What SET and SHOW know. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

/* ONLY: may be set to the value that it has. */
enum { REPORT = 1, FIXED = 2, ONLY = 4 };

static const struct setting {
	const char *name, *value, *about;
	int flags;
} list[] = {
	{ "application_name", "", "what the client calls itself", REPORT },
	{ "client_encoding", "UTF8", "UTF8 is the only one", REPORT },
	{ "DateStyle", "ISO, MDY", "ISO is the only one", REPORT },
	{ "IntervalStyle", "postgres", "there are no intervals", REPORT | ONLY },
	{ "TimeZone", "Etc/UTC", "UTC is the only one", REPORT },
	{ "integer_datetimes", "on", "", REPORT | FIXED },
	{ "is_superuser", "off", "", REPORT | FIXED },
	{ "server_encoding", "UTF8", "", REPORT | FIXED },
	{ "server_version", "15.0", "the PostgreSQL whose protocol this is", REPORT | FIXED },
	{ "session_authorization", "", "", REPORT | FIXED },
	{ "standard_conforming_strings", "on", "on is the only one", REPORT | ONLY },
	{ "default_transaction_read_only", "off", "", REPORT },
	{ "in_hot_standby", "off", "", REPORT | FIXED },
	{ "server_version_num", "150000", "", FIXED },
	{ "max_connections", "", "", FIXED },
	{ "statement_timeout", "0", "ms; when a statement is not started or not done by then, it is given up", 0 },
	{ "lock_timeout", "0", "ms; how long a statement waits for a database's write lock", 0 },
	{ "extra_float_digits", "1", "1 to 3: numbers are always shown so that they read back the same", 0 },
	{ "search_path", "public", "public is the only schema", ONLY },
	{ "client_min_messages", "notice", "warning: no notices; error: no warnings either", 0 },
	{ "bytea_output", "hex", "hex is the only one", ONLY },
	{ "transaction_isolation", "read committed", "of this transaction", 0 },
	{ "default_transaction_isolation", "read committed", "", 0 },
	{ "transaction_read_only", "off", "of this transaction", 0 },
	{ "synchronous_commit", "on", "the server's", FIXED },
	{ "baton.class", "tolerant", "critical, tolerant or batch: what statements pay with, and whether they wait", 0 },
	{ "baton.low_latency", "0%", "the user's low-latency quota", FIXED },
	{ "baton.high_latency", "100%", "the user's high-latency quota", FIXED },
	{ "baton.reject_code", "53400", "the SQLSTATE of a rejected statement: 53400 or 40001", 0 },
	{ "baton.quotas", "on", "whether quotas hold: ALTER SYSTEM SET baton.quotas", FIXED },
};
#define N (sizeof(list) / sizeof(*list))
_Static_assert(N <= N_SETTINGS, "session.h has too little room");

static int find(const char *name)
{
	unsigned i;

	for (i = 0; i < N; i++)
		if (!strcasecmp(list[i].name, name))
			return (int)i;
	return -1;
}

const char *setting_get(struct session *s, const char *name)
{
	static __thread char text[64];
	const char *v;
	int i = find(name);

	if (i < 0)
		return NULL;
	name = list[i].name;
	if (s->settings[i])
		return s->settings[i];
	if (!strcmp(name, "baton.low_latency") || !strcmp(name, "baton.high_latency")) {
		snprintf(text, sizeof(text), "%.4g%%", (name[6] == 'l' ? s->role->low_ppm : s->role->high_ppm) / 1e4);
		return text;
	}
	if (!strcmp(name, "baton.quotas"))
		return server.quotas ? "on" : "off";
	if (!strcmp(name, "baton.class"))
		return class_name(s->cls);
	if (!strcmp(name, "is_superuser"))
		return s->role && s->role->super ? "on" : "off";
	if (!strcmp(name, "session_authorization"))
		return s->role ? s->role->name : "";
	if (!strcmp(name, "transaction_read_only"))
		return s->read_only ? "on" : "off";
	if (!strcmp(name, "transaction_isolation"))
		return s->snapshot ? "serializable" : "read committed";
	if (!strcmp(name, "synchronous_commit"))
		return server.conf.full_sync ? "on" : "off";
	if (!strcmp(name, "max_connections")) {
		snprintf(text, sizeof(text), "%d", server.conf.max_connections);
		return text;
	}
	v = role_setting(NULL, name);
	return v ? v : list[i].value;
}

/* "5s", "200", "1min" in milliseconds; -1. */
static long long duration(const char *s)
{
	static const struct { const char *unit; long long ms; } units[] = {
		{ "", 1 }, { "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { "h", 3600000 }, { "d", 86400000 },
	};
	char *end;
	long long v = strtoll(s, &end, 10);
	unsigned i;

	if (end == s || v < 0 || v > 1000000000)
		return -1;
	while (*end == ' ')
		end++;
	for (i = 0; i < 6; i++)
		if (!strcmp(end, units[i].unit))
			return v * units[i].ms;
	return -1;
}

/* As PostgreSQL shows it. */
static const char *duration_text(long long ms)
{
	static __thread char text[32];
	static const struct { const char *unit; long long ms; } units[] = {
		{ "d", 86400000 }, { "h", 3600000 }, { "min", 60000 }, { "s", 1000 }, { "ms", 1 },
	};
	unsigned i;

	for (i = 0; ms && ms % units[i].ms; i++)
		;
	snprintf(text, sizeof(text), "%lld%s", ms / units[i].ms, ms ? units[i].unit : "");
	return text;
}

static bool one_of(const char *v, const char *const *words)
{
	for (; *words; words++)
		if (!strcasecmp(v, *words))
			return true;
	return false;
}

struct checked {
	long long ms;
	int cls, on;
	const char *value;	/* as it is shown */
};

/* NULL, or what is wrong. */
static const char *check_value(int i, const char *value, bool super, struct checked *c)
{
	static __thread char why[200];
	const char *name = list[i].name;

	c->value = value;
	if (list[i].flags & FIXED) {
		snprintf(why, sizeof(why), !strcmp(name, "baton.low_latency") || !strcmp(name, "baton.high_latency") ?
			 "parameter \"%s\" is a user's: ALTER USER name SET ..." :
			 !strcmp(name, "baton.quotas") ? "parameter \"%s\" is the system's: ALTER SYSTEM SET ..." :
			 "parameter \"%s\" cannot be changed", name);
		return why;
	}
	if (list[i].flags & ONLY) {
		c->value = list[i].value;
		if (!strcasecmp(value, list[i].value))
			return NULL;
		snprintf(why, sizeof(why), "%s is %s here, and nothing else", name, list[i].value);
		return why;
	}
	if (!strcmp(name, "statement_timeout") || !strcmp(name, "lock_timeout")) {
		c->ms = duration(value);
		c->value = duration_text(c->ms);
		if (c->ms >= 0)
			return NULL;
	} else if (!strcmp(name, "baton.class")) {
		return class_parse(value, super, &c->cls);
	} else if (!strcmp(name, "baton.reject_code")) {
		return strcmp(value, "53400") && strcmp(value, "40001") ? "baton.reject_code is 53400 or 40001" : NULL;
	} else if (!strcmp(name, "client_encoding")) {
		c->value = "UTF8";
		return one_of(value, (const char *const[]){ "UTF8", "UTF-8", "unicode", NULL }) ? NULL :
		       "client_encoding is UTF8 here, and nothing else";
	} else if (!strcmp(name, "DateStyle")) {
		c->value = "ISO, MDY";
		return one_of(value, (const char *const[]){ "iso", "ISO, MDY", NULL }) ? NULL : "DateStyle is ISO here, and nothing else";
	} else if (!strcmp(name, "TimeZone")) {
		c->value = "Etc/UTC";
		return one_of(value, (const char *const[]){ "UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "UCT", "Z", "0", NULL }) ? NULL :
		       "TimeZone is UTC here, and nothing else";
	} else if (!strcmp(name, "extra_float_digits")) {
		if (one_of(value, (const char *const[]){ "1", "2", "3", NULL }))
			return NULL;
	} else if (!strcmp(name, "client_min_messages")) {
		if (one_of(value, (const char *const[]){ "notice", "warning", "error", NULL }))
			return NULL;
	} else if (strstr(name, "transaction_isolation")) {
		/* What is stricter than was asked for keeps what was promised. */
		c->on = one_of(value, (const char *const[]){ "repeatable read", "serializable", NULL });
		c->value = c->on ? "serializable" : "read committed";
		if (c->on || one_of(value, (const char *const[]){ "read committed", "read uncommitted", NULL }))
			return NULL;
	} else if (strstr(name, "transaction_read_only")) {
		c->on = bool_parse(value, strlen(value));
		c->value = c->on ? "on" : "off";
		if (c->on >= 0)
			return NULL;
	} else {
		return NULL;
	}
	snprintf(why, sizeof(why), "invalid value for parameter \"%s\": \"%.60s\"", name, value);
	return why;
}

static const char *unrecognized(const char *name)
{
	static __thread char why[120];

	snprintf(why, sizeof(why), "unrecognized configuration parameter \"%.60s\"", name);
	return why;
}

const char *setting_check(const char *name, const char *value, bool super)
{
	struct checked c;
	int i = find(name);

	if (i < 0)
		return unrecognized(name);
	return value ? check_value(i, value, super, &c) : NULL;
}

const char *setting_set(struct session *s, const char *name, const char *value)
{
	struct checked c = { 0 };
	const char *why;
	char *kept;
	int i = find(name);

	if (i < 0)
		return unrecognized(name);
	name = list[i].name;
	if (!value)
		value = s->initial[i] ? s->initial[i] : list[i].value;
	why = check_value(i, value, s->role->super, &c);
	if (why)
		return why;
	if (!strcmp(name, "statement_timeout"))
		s->statement_timeout = c.ms * MS;
	else if (!strcmp(name, "lock_timeout"))
		s->lock_timeout = c.ms * MS;
	else if (!strcmp(name, "baton.class"))
		s->cls = c.cls;
	else if (!strcmp(name, "baton.reject_code"))
		s->reject_40001 = value[0] == '4';
	/* A transaction's own ends with it. */
	if (!strncmp(name, "transaction_", 12)) {
		if (s->tx == TX_NONE)
			return NULL;
		if (s->locked || !sqlite3_get_autocommit(s->db))
			return "it can be set before a transaction's first statement only";
		*(name[12] == 'i' ? &s->snapshot : &s->read_only) = c.on;
		return NULL;
	}
	kept = strdup(c.value);
	if (!kept)
		return "out of memory";
	free(s->settings[i]);
	s->settings[i] = kept;
	if (s->state == STATE_STARTUP) {
		free(s->initial[i]);
		s->initial[i] = strdup(c.value);
	}
	if (list[i].flags & REPORT && s->state != STATE_STARTUP)
		proto_status(&s->out, name, kept);
	return NULL;
}

static void settings_free(struct session *s)
{
	unsigned i;

	for (i = 0; i < N; i++) {
		free(s->settings[i]);
		s->settings[i] = NULL;
	}
}

void settings_forget(struct session *s)
{
	unsigned i;

	settings_free(s);
	for (i = 0; i < N; i++)
		free(s->initial[i]);
}

void settings_reset(struct session *s)
{
	const struct role_setting *v;

	settings_free(s);
	s->statement_timeout = s->lock_timeout = 0;
	s->reject_40001 = false;
	s->cls = s->role->cls;
	if (s->state != STATE_STARTUP) {
		unsigned i;

		for (i = 0; i < N; i++)
			if (s->initial[i])
				setting_set(s, list[i].name, s->initial[i]);
		return;
	}
	pthread_mutex_lock(&server.lock);
	for (v = server.settings; v; v = v->next)
		if (strcasecmp(v->name, "baton.quotas"))
			setting_set(s, v->name, v->value);
	for (v = s->role->settings; v; v = v->next)
		if (strcasecmp(v->name, "baton.low_latency") && strcasecmp(v->name, "baton.high_latency"))
			setting_set(s, v->name, v->value);
	pthread_mutex_unlock(&server.lock);
}

void settings_report(struct session *s)
{
	unsigned i;

	for (i = 0; i < N; i++)
		if (list[i].flags & REPORT)
			proto_status(&s->out, list[i].name, setting_get(s, list[i].name));
}

void settings_rows(struct session *s, struct buf *rows)
{
	unsigned i;

	for (i = 0; i < N; i++)
		vtab_row(rows, "ttt", list[i].name, setting_get(s, list[i].name), list[i].about);
}
