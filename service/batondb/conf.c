// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"
#include "types.h"

enum kind { STRING, INT, SIZE, BOOL };

#define ORDERS " quota fifo lifo rr arrival "

/* max: of an INT, a SIZE; text of the allowed words of a STRING, or NULL. reload: may change while the server runs. */
static const struct key {
	const char *name;
	enum kind kind;
	size_t at;
	const char *value;		/* the default */
	long min, max;
	const char *words;
	bool reload;
} keys[] = {
#define K(F) offsetof(struct conf, F)
#define BYTES 1L << 40
	{ "data_dir", STRING, K(data_dir), "/var/lib/batondb", 0, 0, NULL, false },
	{ "user", STRING, K(user), "", 0, 0, NULL, false },
	{ "listen_address", STRING, K(listen), "127.0.0.1", 0, 0, NULL, false },
	{ "port", INT, K(port), "5433", 1, 65535, NULL, false },
	{ "socket_dir", STRING, K(socket_dir), "", 0, 0, NULL, false },
	{ "http_port", INT, K(http_port), "0", 0, 65535, NULL, false },
	{ "slots", INT, K(slots), "0", 0, 4096, NULL, false },
	{ "low_latency_limit", INT, K(low_limit), "70", 1, 70, NULL, false },
	{ "low_latency_order", STRING, K(low_order), "quota", 0, 0, ORDERS, false },
	{ "high_latency_order", STRING, K(high_order), "quota", 0, 0, ORDERS, false },
	{ "internal_high_reserve", INT, K(internal[0].reserve), "0", 0, 100, NULL, false },
	{ "internal_high_limit", INT, K(internal[0].limit), "20", 0, 100, NULL, false },
	{ "internal_high_share", INT, K(internal[0].share), "100", 1, 10000, NULL, false },
	{ "internal_low_reserve", INT, K(internal[1].reserve), "0", 0, 100, NULL, false },
	{ "internal_low_limit", INT, K(internal[1].limit), "0", 0, 100, NULL, false },
	{ "internal_low_share", INT, K(internal[1].share), "10", 1, 10000, NULL, false },
	{ "quotas", BOOL, K(quotas), "on", 0, 0, NULL, false },
	{ "auth", STRING, K(auth), "peer", 0, 0, " peer local scram trust ", false },
	{ "tls_cert_file", STRING, K(tls_cert), "", 0, 0, NULL, false },
	{ "tls_key_file", STRING, K(tls_key), "", 0, 0, NULL, false },
	{ "tls_required", BOOL, K(tls_required), "off", 0, 0, NULL, true },
	{ "log_level", STRING, K(log_level), "info", 0, 0, " debug info warning error ", false },
	{ "authentication_timeout", INT, K(auth_timeout), "10", 1, 600, NULL, true },
	{ "idle_session_timeout", INT, K(idle_timeout), "0", 0, 1000000, NULL, true },
	{ "lock_idle_timeout", INT, K(lock_idle_timeout), "5", 1, 3600, NULL, true },
	{ "max_connections", INT, K(max_connections), "1200", 1, 100000, NULL, true },
	{ "superuser_reserved_connections", INT, K(reserved), "3", 0, 1000, NULL, true },
	{ "max_connections_unauthenticated", INT, K(max_unauthenticated), "100", 1, 100000, NULL, true },
	{ "max_connections_per_user", INT, K(per_user), "0", 0, 100000, NULL, true },
	{ "max_connections_per_address", INT, K(per_address), "0", 0, 100000, NULL, true },
	{ "max_prepared_statements", INT, K(max_statements), "1000", 1, 100000, NULL, true },
	{ "max_value_size", SIZE, K(max_value), "16MB", 1 << 16, 1 << 30, NULL, false },
	{ "max_message_size", SIZE, K(max_message), "16MB", 1 << 16, 1 << 30, NULL, true },
	{ "session_memory", SIZE, K(session_memory), "128MB", 1 << 20, BYTES, NULL, true },
	{ "tenant_memory", SIZE, K(tenant_memory), "512MB", 1 << 20, BYTES, NULL, true },
	{ "server_memory", SIZE, K(server_memory), "0", 0, BYTES, NULL, true },
	{ "temp_file_limit", SIZE, K(temp_limit), "1GB", 0, BYTES, NULL, true },
	{ "database_size_limit", SIZE, K(database_limit), "0", 0, BYTES, NULL, true },
	{ "synchronous_commit", BOOL, K(full_sync), "on", 0, 0, NULL, false },
};

static char why_text[300];

int conf_set(struct conf *c, const char *name, const char *value, const char **why)
{
	const struct key *k = keys, *end = keys + sizeof(keys) / sizeof(*keys);
	static const struct { const char *name; int bits; } units[] = { { "kB", 10 }, { "MB", 20 }, { "GB", 30 } };
	char word[80], *stop;
	long n;
	int b, i;

	while (k < end && strcmp(k->name, name))
		k++;
	*why = why_text;
	if (k == end) {
		snprintf(why_text, sizeof(why_text), "there is no setting \"%.60s\"; batondb(8) lists them", name);
		return -1;
	}
	switch (k->kind) {
	case STRING:
		snprintf(word, sizeof(word), " %s ", value);
		if (k->words && !strstr(k->words, word)) {
			snprintf(why_text, sizeof(why_text), "%s is one of%snot \"%.40s\"", name, k->words, value);
			return -1;
		}
		free(*(char **)((char *)c + k->at));
		*(char **)((char *)c + k->at) = strdup(value);
		return 0;
	case BOOL:
		b = bool_parse(value, strlen(value));
		if (b < 0) {
			snprintf(why_text, sizeof(why_text), "%s is on or off, not \"%.40s\"", name, value);
			return -1;
		}
		*(bool *)((char *)c + k->at) = b;
		return 0;
	default:
		n = strtol(value, &stop, 10);
		if (k->kind == SIZE)
			for (i = 0; i < 3; i++)
				if (!strcmp(stop, units[i].name) && n >= 0 && n <= 1L << 20) {
					n <<= units[i].bits;
					stop += 2;
				}
		if (stop == value || *stop || n < k->min || n > k->max) {
			snprintf(why_text, sizeof(why_text), "%s is a number from %ld to %ld, not \"%.40s\"", name, k->min,
				 k->max, value);
			return -1;
		}
		if (k->kind == INT)
			*(int *)((char *)c + k->at) = (int)n;
		else
			*(size_t *)((char *)c + k->at) = n;
		return 0;
	}
}

void conf_init(struct conf *c)
{
	const char *why;
	unsigned i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		conf_set(c, keys[i].name, keys[i].value, &why);
}

void conf_free(struct conf *c)
{
	unsigned i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (keys[i].kind == STRING)
			free(*(char **)((char *)c + keys[i].at));
}

void conf_reload(struct conf *c, const struct conf *from)
{
	const struct key *k, *end = keys + sizeof(keys) / sizeof(*keys);
	bool same;

	for (k = keys; k < end; k++) {
		char *to = (char *)c + k->at;
		const char *new = (const char *)from + k->at;
		size_t n = k->kind == INT ? sizeof(int) : k->kind == BOOL ? sizeof(bool) : sizeof(size_t);

		same = k->kind == STRING ? !strcmp(*(char *const *)to, *(char *const *)new) : !memcmp(to, new, n);
		if (!same && k->reload)
			memcpy(to, new, n);
		if (!same)
			log_line(k->reload ? LOG_INFO : LOG_WARN, k->reload ? "a setting has changed" : "a setting changes at the next start only",
				 "setting", k->name, NULL);
	}
}

static char *strip(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		*--end = 0;
	return s;
}

int conf_read(struct conf *c, const char *file, const char **why)
{
	char line[1000], *eq, *key, *value;
	static char where[700];
	FILE *f = fopen(file, "re");
	int n = 0;

	*why = where;
	if (!f) {
		snprintf(where, sizeof(where), "cannot open %s", file);
		return -1;
	}
	while (fgets(line, sizeof(line), f)) {
		n++;
		line[strcspn(line, "#\n")] = 0;
		key = strip(line);
		if (!*key)
			continue;
		eq = strchr(key, '=');
		if (eq)
			*eq = 0;
		value = eq ? strip(eq + 1) : NULL;
		if (value && *value == '\'' && value[1] && value[strlen(value) - 1] == '\'') {
			value[strlen(value) - 1] = 0;
			value++;
		}
		if (!value || conf_set(c, strip(key), value, why)) {
			snprintf(where, sizeof(where), "%s:%d: %s", file, n, value ? why_text : "a line is: setting = value");
			*why = where;
			fclose(f);
			return -1;
		}
	}
	fclose(f);
	return 0;
}
