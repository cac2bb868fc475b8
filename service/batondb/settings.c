// SPDX-License-Identifier: GPL-2.0-or-later
/* What SET and SHOW know. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

enum { REPORT = 1, FIXED = 2 };

static const struct setting {
	const char *name, *value, *about;
	int flags;
} list[] = {
	{ "application_name", "", "what the client calls itself", REPORT },
	{ "client_encoding", "UTF8", "UTF8 is the only one", REPORT },
	{ "DateStyle", "ISO, MDY", "ISO is the only one", REPORT },
	{ "IntervalStyle", "postgres", "", REPORT },
	{ "TimeZone", "Etc/UTC", "times are shown in UTC whatever it is", REPORT },
	{ "integer_datetimes", "on", "", REPORT | FIXED },
	{ "is_superuser", "off", "", REPORT | FIXED },
	{ "server_encoding", "UTF8", "", REPORT | FIXED },
	{ "server_version", "15.0", "the PostgreSQL that this is like", REPORT | FIXED },
	{ "session_authorization", "", "", REPORT | FIXED },
	{ "standard_conforming_strings", "on", "on is the only one", REPORT },
	{ "default_transaction_read_only", "off", "", REPORT },
	{ "in_hot_standby", "off", "", REPORT | FIXED },
	{ "server_version_num", "150000", "", FIXED },
	{ "max_connections", "", "", FIXED },
	{ "statement_timeout", "0", "ms; when a statement is not started or not done by then, it is given up", 0 },
	{ "lock_timeout", "0", "ms; how long a statement waits for a database's write lock", 0 },
	{ "idle_in_transaction_session_timeout", "0", "has no effect; see lock_idle_timeout in batondb(8)", 0 },
	{ "extra_float_digits", "1", "numbers are always shown so that they read back the same", 0 },
	{ "search_path", "\"$user\", public", "public is the only schema", 0 },
	{ "client_min_messages", "notice", "warning: no notices; error: no warnings either", 0 },
	{ "bytea_output", "hex", "hex is the only one", 0 },
	{ "transaction_isolation", "read committed", "", 0 },
	{ "default_transaction_isolation", "read committed", "", 0 },
	{ "transaction_read_only", "off", "", 0 },
	{ "synchronous_commit", "on", "the server's", FIXED },
	{ "row_security", "on", "has no effect", 0 },
	{ "work_mem", "4096", "has no effect", 0 },
	{ "max_parallel_workers_per_gather", "0", "has no effect", 0 },
	{ "enable_seqscan", "on", "has no effect", 0 },
	{ "default_tablespace", "", "has no effect", 0 },
	{ "default_table_access_method", "heap", "has no effect", 0 },
	{ "xmloption", "content", "has no effect", 0 },
	{ "check_function_bodies", "on", "has no effect", 0 },
	{ "jit", "off", "has no effect", 0 },
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

const char *setting_set(struct session *s, const char *name, const char *value)
{
	static __thread char why[200];
	static const char *const levels[] = { "read uncommitted", "read committed", "repeatable read", "serializable", NULL };
	const char *bad;
	char *kept;
	int cls;
	long long ms;
	int i = find(name);

	if (i < 0) {
		/* A name with a dot may be anybody's. */
		if (strchr(name, '.') && strncasecmp(name, "baton.", 6))
			return NULL;
		snprintf(why, sizeof(why), "unrecognized configuration parameter \"%.60s\"", name);
		return why;
	}
	name = list[i].name;
	if (!value)
		value = s->initial[i] ? s->initial[i] : list[i].value;
	if (list[i].flags & FIXED) {
		snprintf(why, sizeof(why), !strcmp(name, "baton.low_latency") || !strcmp(name, "baton.high_latency") ?
			 "parameter \"%s\" is a user's: ALTER USER name SET ..." :
			 !strcmp(name, "baton.quotas") ? "parameter \"%s\" is the system's: ALTER SYSTEM SET ..." :
			 "parameter \"%s\" cannot be changed", name);
		return why;
	}
	if (!strcmp(name, "statement_timeout") || !strcmp(name, "lock_timeout")) {
		ms = duration(value);
		if (ms < 0) {
			snprintf(why, sizeof(why), "invalid value for parameter \"%s\": \"%.60s\"", name, value);
			return why;
		}
		*(name[0] == 's' ? &s->statement_timeout : &s->lock_timeout) = ms * MS;
		value = duration_text(ms);
	} else if (!strcmp(name, "baton.class")) {
		bad = class_parse(value, s->role->super, &cls);
		if (bad)
			return bad;
		s->cls = cls;
	} else if (!strcmp(name, "baton.reject_code")) {
		if (strcmp(value, "53400") && strcmp(value, "40001"))
			return "baton.reject_code is 53400 or 40001";
		s->reject_40001 = value[0] == '4';
	} else if (!strcmp(name, "client_encoding")) {
		if (!one_of(value, (const char *const[]){ "UTF8", "UTF-8", "unicode", "SQL_ASCII", NULL }))
			return "client_encoding is UTF8 here, and nothing else";
		value = "UTF8";
	} else if (!strcmp(name, "DateStyle")) {
		if (strncasecmp(value, "iso", 3))
			return "DateStyle is ISO here, and nothing else";
		value = "ISO, MDY";
	} else if (!strcmp(name, "standard_conforming_strings")) {
		if (bool_parse(value, strlen(value)) != 1)
			return "standard_conforming_strings is on here, and nothing else";
	} else if (strstr(name, "transaction_isolation")) {
		if (!one_of(value, levels))
			return "no such isolation level";
		if (name[0] == 't')
			s->snapshot = value[0] == 's' || value[0] == 'S' || !strncasecmp(value, "rep", 3);
	} else if (strstr(name, "transaction_read_only")) {
		int on = bool_parse(value, strlen(value));

		if (on < 0)
			return "it is on or off";
		value = on ? "on" : "off";
		if (name[0] == 't') {
			s->read_only = on;
			return NULL;
		}
	}
	kept = strdup(value);
	free(s->settings[i]);
	s->settings[i] = kept;
	if (s->state == STATE_STARTUP) {
		free(s->initial[i]);
		s->initial[i] = strdup(value);
	}
	if (list[i].flags & REPORT && s->state != STATE_STARTUP)
		proto_status(&s->out, name, value);
	return NULL;
}

/* What a setting was before, or a savepoint. */
struct set_undo {
	int i;
	char *old;		/* NULL: the default */
	char *mark;
	bool local;
	struct set_undo *next;
};

static struct set_undo *note(struct session *s, int i, char *old, const char *mark, bool local)
{
	struct set_undo *u = calloc(1, sizeof(*u));

	if (u) {
		*u = (struct set_undo){ i, old, mark ? strdup(mark) : NULL, local, s->undo };
		s->undo = u;
	}
	return u;
}

static void put_back(struct session *s, const struct set_undo *u)
{
	setting_set(s, list[u->i].name, u->old);
	if (u->old)
		return;
	free(s->settings[u->i]);
	s->settings[u->i] = NULL;
}

static void drop(struct session *s, struct set_undo **at)
{
	struct set_undo *u = *at;

	*at = u->next;
	free(u->old);
	free(u->mark);
	free(u);
}

const char *setting_change(struct session *s, const char *name, const char *value, bool local)
{
	const char *why;
	char *old;
	int i = find(name);

	/* What is the transaction's own ends with it anyway. */
	if (i < 0 || !strncmp(list[i].name, "transaction_", 12))
		return setting_set(s, name, value);
	old = s->settings[i] ? strdup(s->settings[i]) : NULL;
	why = setting_set(s, name, value);
	if (why || (s->tx == TX_NONE && !local)) {
		free(old);
		return why;
	}
	if (!note(s, i, old, NULL, local)) {
		free(old);
		return "there is no memory to set it back later";
	}
	if (s->tx == TX_NONE)
		settings_end(s, false);
	return NULL;
}

void settings_change_all(struct session *s)
{
	unsigned i;

	for (i = 0; i < N; i++)
		if (s->settings[i] && !(list[i].flags & FIXED))
			setting_change(s, list[i].name, NULL, false);
}

void settings_mark(struct session *s, const char *name)
{
	note(s, -1, NULL, name, false);
}

static struct set_undo **mark(struct session *s, const char *name)
{
	struct set_undo **at;

	for (at = &s->undo; *at && !((*at)->mark && !strcmp((*at)->mark, name)); at = &(*at)->next)
		;
	return at;
}

void settings_undo(struct session *s, const char *name)
{
	struct set_undo *to = *mark(s, name);

	while (to && s->undo != to) {
		if (!s->undo->mark)
			put_back(s, s->undo);
		drop(s, &s->undo);
	}
}

void settings_release(struct session *s, const char *name)
{
	struct set_undo **at = mark(s, name);

	if (*at)
		drop(s, at);
}

void settings_end(struct session *s, bool commit)
{
	bool kept[N_SETTINGS] = { false };

	while (s->undo) {
		struct set_undo *u = s->undo;

		if (u->i >= 0) {
			/* What was set for good is what holds, whatever was local before it. */
			if (commit && !u->local)
				kept[u->i] = true;
			else if (!kept[u->i])
				put_back(s, u);
		}
		drop(s, &s->undo);
	}
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
		if (strncasecmp(v->name, "baton.quotas", 12))
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

void settings_rows(struct session *s, struct cat_rows *rows)
{
	unsigned i;

	for (i = 0; i < N; i++) {
		cat_text(rows, list[i].name);
		cat_text(rows, setting_get(s, list[i].name));
		cat_text(rows, list[i].about);
	}
}
