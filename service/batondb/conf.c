// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration: the library reads the text, and slots, tiers and limits in it; the rest is the table's. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"
#include "types.h"

enum kind { STRING, INT, SIZE, BOOL };

/* max: of an INT, a SIZE; words: those that a STRING may be, or NULL. reload: may change while the server runs. */
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
	{ "fleet_socket", STRING, K(fleet_socket), "", 0, 0, NULL, false },
	{ "quotas", BOOL, K(quotas), "on", 0, 0, NULL, false },
	{ "auth", STRING, K(auth), "peer", 0, 0, " peer local scram trust ", false },
	{ "tls_cert_file", STRING, K(tls_cert), "", 0, 0, NULL, false },
	{ "tls_key_file", STRING, K(tls_key), "", 0, 0, NULL, false },
	{ "tls_required", BOOL, K(tls_required), "off", 0, 0, NULL, true },
	{ "authentication_timeout", INT, K(auth_timeout), "10", 1, 600, NULL, true },
	{ "idle_session_timeout", INT, K(idle_timeout), "0", 0, 1000000, NULL, true },
	{ "lock_idle_timeout", INT, K(lock_idle_timeout), "5", 1, 100000, NULL, true },
	{ "statement_timeout", INT, K(statement_timeout), "0", 0, 1000000000, NULL, true },
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
#define N_KEYS (sizeof(keys) / sizeof(*keys))

static bool read_size(const char *value, const struct key *k, long *n)
{
	static const struct { const char *name; int bits; } units[] = { { "kB", 10 }, { "MB", 20 }, { "GB", 30 } };
	char *stop;
	int i;

	*n = strtol(value, &stop, 10);
	for (i = 0; k->kind == SIZE && i < 3; i++)
		if (!strcmp(stop, units[i].name) && *n >= 0 && *n <= 1L << 20) {
			*n <<= units[i].bits;
			stop += 2;
		}
	return stop != value && !*stop && *n >= k->min && *n <= k->max;
}

static int set_key(void *arg, const char *name, const char *value, char *why, size_t room)
{
	const struct key *k = keys, *end = keys + N_KEYS;
	char word[80], *to;
	long n;
	int b;

	while (k < end && strcmp(k->name, name))
		k++;
	to = (char *)arg + k->at;
	if (k == end) {
		snprintf(why, room, "there is no setting \"%.60s\"; batondb(8) lists them", name);
	} else if (k->kind == STRING) {
		snprintf(word, sizeof(word), " %s ", value);
		if (!k->words || strstr(k->words, word)) {
			free(*(char **)to);
			*(char **)to = strdup(value);
			return 0;
		}
		snprintf(why, room, "%s is one of%snot \"%.40s\"", name, k->words, value);
	} else if (k->kind == BOOL) {
		b = bool_parse(value, strlen(value));
		if (b >= 0) {
			*(bool *)to = b;
			return 0;
		}
		snprintf(why, room, "%s is on or off, not \"%.40s\"", name, value);
	} else if (read_size(value, k, &n)) {
		if (k->kind == INT)
			*(int *)to = (int)n;
		else
			*(size_t *)to = (size_t)n;
		return 0;
	} else {
		snprintf(why, room, "%s is a number from %ld to %ld, not \"%.40s\"", name, k->min, k->max, value);
	}
	return -EINVAL;
}

void conf_init(struct conf *c)
{
	char why[100];
	unsigned i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < N_KEYS; i++)
		set_key(c, keys[i].name, keys[i].value, why, sizeof(why));
}

void conf_free(struct conf *c)
{
	unsigned i;

	for (i = 0; i < N_KEYS; i++)
		if (keys[i].kind == STRING)
			free(*(char **)((char *)c + keys[i].at));
	baton_config_free(c->tiers);
}

/* Tiers that are sold, and of each rank one for work of the house. */
#define TIERS "\ntier low rank=0 share=10\ntier high rank=1 share=10\ntier internal_high rank=0 share=10 limit=20%\ntier internal_low rank=1 share=1\n"

int conf_parse(struct conf *c, struct buf *text, const char *name, char *why, size_t room)
{
	static const char *const names[] = { "low", "high", "internal_high", "internal_low" };
	int rc = baton_config_parse_own(&c->tiers, text->p, text->len, name, set_key, c, why, room);
	const char *tier;
	unsigned i;

	if (!rc && !baton_config_tier(c->tiers, 2)) {
		baton_config_free(c->tiers);
		buf_str(text, TIERS);
		rc = baton_config_parse_own(&c->tiers, text->p, text->len, name, set_key, c, why, room);
	}
	if (rc)
		return rc;
	for (i = 0; i < 5; i++) {
		tier = baton_config_tier(c->tiers, i);
		if (i < 4 ? tier && !strcmp(tier, names[i]) : !tier)
			continue;
		snprintf(why, room, "%s: tiers are low, high, internal_high and internal_low, all in this order, or none is said", name);
		return -EINVAL;
	}
	if (!baton_config_tenant(c->tiers, 0, NULL))
		return 0;
	snprintf(why, room, "%s: tenants are users, made by CREATE USER", name);
	return -EINVAL;
}

void conf_reload(struct conf *c, const struct conf *from)
{
	const struct key *k;
	bool same;

	for (k = keys; k < keys + N_KEYS; k++) {
		char *to = (char *)c + k->at;
		const char *new = (const char *)from + k->at;
		size_t n = k->kind == INT ? sizeof(int) : k->kind == BOOL ? sizeof(bool) : sizeof(size_t);

		same = k->kind == STRING ? !strcmp(*(char *const *)to, *(char *const *)new) : !memcmp(to, new, n);
		if (!same && k->reload)
			memcpy(to, new, n);
		if (!same)
			log_line(k->reload ? "%s has changed" : "%s changes at the next start only", k->name);
	}
}
