// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Roles, their settings and what the system's are: in memory, and in a database
 * of SQLite beside the users' ones. Who has a quota is a tenant of the scheduler.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"
#include "session.h"

static char why_text[300];
static bool loading;		/* what is set comes from the table that it is kept in */

static const char *fails(const char **code, const char *c, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static const char *fails(const char **code, const char *c, const char *fmt, ...)
{
	va_list ap;

	*code = c;
	va_start(ap, fmt);
	vsnprintf(why_text, sizeof(why_text), fmt, ap);
	va_end(ap);
	return why_text;
}

/* ? are bound in turn; NULL is NULL. */
static int control(const char *sql, int n, const char *const *values)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(server.control, sql, -1, &st, NULL), i;

	if (rc)
		return rc;
	for (i = 0; i < n; i++)
		sqlite3_bind_text(st, i + 1, values[i], -1, SQLITE_STATIC);
	rc = sqlite3_step(st);
	return sqlite3_finalize(st) ? rc : 0;
}

static const char *control_fails(const char **code)
{
	return fails(code, "58030", "cannot write the roles: %s", sqlite3_errmsg(server.control));
}

long ppm_parse(const char *s)
{
	char *end;
	double d = strtod(s, &end);

	while (*end == ' ')
		end++;
	if (end == s || !(d >= 0))
		return -1;
	if (!strcmp(end, "%"))
		d /= 100;
	else if (*end)
		return -1;
	return d <= 1 ? (long)(d * 1e6 + 0.5) : -1;
}

static const char *const classes[] = { "critical", "tolerant", "batch", "internal_high", "internal_low" };

const char *class_parse(const char *s, bool super, int *out)
{
	int i;

	for (i = 0; i <= CLASS_INTERNAL_LOW; i++)
		if (!strcasecmp(s, classes[i])) {
			if (i >= CLASS_INTERNAL_HIGH && !super)
				return "baton.class internal_high and internal_low are for superusers";
			*out = i;
			return NULL;
		}
	return "baton.class is critical, tolerant or batch";
}

const char *class_name(int cls)
{
	return classes[cls];
}

struct role *role_find(const char *name)
{
	struct role *r;

	for (r = server.roles; r; r = r->next)
		if (!r->dropped && !strcmp(r->name, name))
			return r;
	return NULL;
}

const char *role_setting(const struct role *r, const char *name)
{
	const struct role_setting *v;

	for (v = r ? r->settings : server.settings; v; v = v->next)
		if (!strcasecmp(v->name, name))
			return v->value;
	return NULL;
}

static void keep(struct role_setting **list, const char *name, const char *value)
{
	struct role_setting *v, **at;

	for (at = list; (v = *at); at = &v->next)
		if (!strcasecmp(v->name, name))
			break;
	if (v) {
		*at = v->next;
		free(v->name);
		free(v->value);
		free(v);
	}
	if (!value)
		return;
	v = calloc(1, sizeof(*v));
	v->name = strdup(name);
	v->value = strdup(value);
	v->next = *list;
	*list = v;
}

static int sell(struct role *r, unsigned low, unsigned high)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = low, .high_ppm = high };
	int rc = r->tenant ? baton_tenant_set(r->tenant, &o) : baton_tenant_add(server.sched, &r->tenant, &o);

	if (!rc) {
		r->low_ppm = low;
		r->high_ppm = high;
	}
	return rc;
}

const char *role_set(struct role *r, const char *name, const char *value, const char **code)
{
	const char *v[3] = { r ? r->name : "", name, value };
	unsigned low = r ? r->low_ppm : 0, high = r ? r->high_ppm : 0;
	bool quota = !strcasecmp(name, "baton.low_latency") || !strcasecmp(name, "baton.high_latency");
	int cls = BATON_TOLERANT;
	const char *why;
	long ppm = 0;
	int rc;

	if (quota) {
		if (!r)
			return fails(code, "22023", "%s is a user's: ALTER USER name SET %s = '10%%'", name, name);
		ppm = value ? ppm_parse(value) : strcasecmp(name, "baton.low_latency") ? 1000000 : 0;
		if (ppm < 0)
			return fails(code, "22023", "%s is a part of the machine from 0%% to 100%%, not \"%.40s\"", name, value);
		if (strcasecmp(name, "baton.low_latency"))
			high = (unsigned)ppm;
		else
			low = (unsigned)ppm;
		rc = sell(r, low, high);
		if (rc == -ENOSPC) {
			unsigned sold = 0;
			struct role *o;

			for (o = server.roles; o; o = o->next)
				sold += o == r ? 0 : o->low_ppm;
			return fails(code, "53000", "%d%% of the machine can be sold as low-latency quota, and %.4g%% are sold to others",
				     server.conf.low_limit, sold / 1e4);
		}
		if (rc)
			return fails(code, "53200", "the scheduler does not take this quota: %s", strerror(-rc));
	}
	if (r && !strcasecmp(name, "baton.class")) {
		why = value ? class_parse(value, r->super, &cls) : NULL;
		if (why)
			return fails(code, "22023", "%s, not \"%.40s\"", why, value);
		r->cls = cls;
	}
	if (!r && !strcasecmp(name, "baton.quotas")) {
		int on = value ? bool_parse(value, strlen(value)) : server.conf.quotas;

		if (on < 0)
			return fails(code, "22023", "baton.quotas is on or off");
		server.quotas = on;
	}
	keep(r ? &r->settings : &server.settings, name, value);
	if (loading)
		return NULL;
	rc = value ? control("insert or replace into settings values (?, ?, ?)", 3, v) :
		     control("delete from settings where role = ? and name = ?", 2, v);
	return rc ? control_fails(code) : NULL;
}

static int add(const char *name, uint32_t oid, bool super, bool login, bool createdb, const char *verifier)
{
	struct role *r = calloc(1, sizeof(*r)), **at;
	int rc;

	if (!r)
		return -ENOMEM;
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->oid = oid;
	r->super = super;
	r->login = login;
	r->createdb = createdb;
	r->verifier = verifier ? strdup(verifier) : NULL;
	r->cls = BATON_TOLERANT;
	rc = sell(r, 0, 1000000);
	if (rc) {
		free(r->verifier);
		free(r);
		return rc;
	}
	for (at = &server.roles; *at; at = &(*at)->next)
		;
	*at = r;
	return 0;
}

const char *role_flags(struct role *r, const char **code)
{
	char flags[4] = { r->super ? '1' : '0', r->login ? '1' : '0', r->createdb ? '1' : '0', 0 };
	char oid[16];
	const char *v[4] = { r->name, oid, flags, r->verifier };

	snprintf(oid, sizeof(oid), "%u", r->oid);
	return control("insert or replace into roles values (?, ?, ?, ?)", 4, v) ? control_fails(code) : NULL;
}

const char *role_password(struct role *r, const char *password, const char **code)
{
	char *v = password && *password ? scram_verifier(password) : NULL;

	if (password && *password && !v)
		return fails(code, "53200", "out of memory");
	free(r->verifier);
	r->verifier = v;
	return role_flags(r, code);
}

const char *role_create(const char *name, bool super, bool login, bool createdb, const char *password, const char **code)
{
	uint32_t oid = server.roles ? 16384 : 10;
	struct role *r;
	int rc;

	if (strlen(name) > 63 || !*name)
		return fails(code, "42602", "a role's name has 1 to 63 bytes");
	if (role_find(name))
		return fails(code, "42710", "role \"%s\" already exists", name);
	for (r = server.roles; r; r = r->next)
		if (r->oid >= oid)
			oid = r->oid + 1;
	rc = add(name, oid, super, login, createdb, NULL);
	if (rc)
		return fails(code, "53200", "cannot make a tenant: %s", strerror(-rc));
	return role_password(role_find(name), password, code);
}

const char *role_drop(const char *name, const char **code)
{
	struct role *r = role_find(name);
	const char *v[1] = { name };

	if (!r)
		return fails(code, "42704", "role \"%s\" does not exist", name);
	if (r->sessions)
		return fails(code, "55006", "role \"%s\" has %u connections", name, r->sessions);
	if (control("delete from roles where name = ?", 1, v) || control("delete from settings where role = ?", 1, v))
		return control_fails(code);
	baton_tenant_remove(r->tenant);
	r->tenant = NULL;
	r->low_ppm = r->high_ppm = 0;
	r->dropped = true;
	return NULL;
}

static int load_roles(const char **why)
{
	const char *code;
	sqlite3_stmt *st;
	int rc;

	rc = sqlite3_prepare_v2(server.control, "select name, oid, flags, verifier from roles order by oid", -1, &st, NULL);
	while (!rc && sqlite3_step(st) == SQLITE_ROW) {
		const char *flags = (const char *)sqlite3_column_text(st, 2);

		if (add((const char *)sqlite3_column_text(st, 0), (uint32_t)sqlite3_column_int64(st, 1), flags[0] == '1',
			flags[1] == '1', flags[2] == '1', (const char *)sqlite3_column_text(st, 3)))
			rc = SQLITE_NOMEM;
	}
	sqlite3_finalize(st);
	if (!rc && !server.roles && role_create("postgres", true, true, true, NULL, &code))
		rc = SQLITE_ERROR;
	if (!rc)
		rc = sqlite3_prepare_v2(server.control, "select role, name, value from settings", -1, &st, NULL);
	loading = true;
	while (!rc && sqlite3_step(st) == SQLITE_ROW) {
		struct role *r = role_find((const char *)sqlite3_column_text(st, 0));

		if (r || !sqlite3_column_bytes(st, 0)) {
			char *name = strdup((const char *)sqlite3_column_text(st, 1));
			char *value = strdup((const char *)sqlite3_column_text(st, 2));
			const char *bad = role_set(r, name, value, &code);

			if (bad)
				log_line(LOG_WARN, "a role's setting does not hold any more", "role", r ? r->name : "", "name", name,
					 "why", bad, NULL);
			free(name);
			free(value);
		}
	}
	loading = false;
	if (!rc)
		sqlite3_finalize(st);
	if (rc)
		*why = sqlite3_errmsg(server.control);
	return rc ? -1 : 0;
}

int role_load(const char **why)
{
	char path[600];
	int rc;

	snprintf(path, sizeof(path), "%s/control.db", server.conf.data_dir);
	rc = sqlite3_open_v2(path, &server.control, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!rc)
		rc = sqlite3_exec(server.control,
				  "pragma journal_mode = wal; pragma synchronous = full;"
				  "create table if not exists roles (name text primary key, oid, flags text, verifier text);"
				  "create table if not exists settings (role text, name text, value text, primary key (role, name))",
				  NULL, NULL, NULL);
	if (rc) {
		*why = sqlite3_errmsg(server.control);
		return -1;
	}
	return load_roles(why);
}

/* -------------------------------------------------------------- databases */

struct database *database_find(const char *name)
{
	struct database *d;

	for (d = server.databases; d; d = d->next)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}

static int add_database(const char *name)
{
	struct database *d = calloc(1, sizeof(*d)), **at;
	unsigned oid = 16384;

	if (!d)
		return -ENOMEM;
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(d->path, sizeof(d->path), "%s/base/%s.db", server.conf.data_dir, name);
	pthread_mutex_init(&d->plain, NULL);
	if (baton_mutex_create(&d->fair, server.sched)) {
		free(d);
		return -ENOMEM;
	}
	for (at = &server.databases; *at; at = &(*at)->next)
		if ((*at)->oid >= oid)
			oid = (*at)->oid + 1;
	d->oid = oid;
	*at = d;
	return 0;
}

static bool good_name(const char *s)
{
	return *s && *s != '.' && strlen(s) < 60 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == strlen(s);
}

const char *database_create(const char *name, const char **code)
{
	char path[600];
	sqlite3 *db;
	int rc;

	if (!good_name(name))
		return fails(code, "42602", "a database's name is of letters, digits, _ and -, at most 59");
	if (database_find(name))
		return fails(code, "42P04", "database \"%s\" already exists", name);
	snprintf(path, sizeof(path), "%s/base/%s.db", server.conf.data_dir, name);
	rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!rc)
		rc = sqlite3_exec(db, "pragma journal_mode = wal; create table if not exists baton_sequences "
				      "(name text primary key, last integer not null, step integer not null)", NULL, NULL, NULL);
	if (rc)
		fails(code, "58030", "cannot create %s: %s", path, sqlite3_errmsg(db));
	sqlite3_close(db);
	if (rc)
		return why_text;
	return add_database(name) ? fails(code, "53200", "out of memory") : NULL;
}

const char *database_drop(const char *name, const char **code)
{
	struct database *d = database_find(name), **at;
	char path[600];

	if (!d)
		return fails(code, "3D000", "database \"%s\" does not exist", name);
	if (d->sessions)
		return fails(code, "55006", "database \"%s\" is being accessed by other users", name);
	if (unlink(d->path))
		return fails(code, "58030", "cannot remove %s: %s", d->path, strerror(errno));
	snprintf(path, sizeof(path), "%s-wal", d->path);
	unlink(path);
	snprintf(path, sizeof(path), "%s-shm", d->path);
	unlink(path);
	for (at = &server.databases; *at != d; at = &(*at)->next)
		;
	*at = d->next;
	baton_mutex_destroy(d->fair);
	pthread_mutex_destroy(&d->plain);
	free(d);
	return NULL;
}

int database_load(const char **why)
{
	char path[600], name[256];
	const char *code;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/base", server.conf.data_dir);
	mkdir(server.conf.data_dir, 0700);
	mkdir(path, 0700);
	dir = opendir(path);
	if (!dir) {
		*why = fails(&code, "58030", "cannot open %s: %s", path, strerror(errno));
		return -1;
	}
	while ((e = readdir(dir))) {
		size_t n = strlen(e->d_name);

		if (n < 4 || strcmp(e->d_name + n - 3, ".db"))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)n - 3, e->d_name);
		if (add_database(name)) {
			closedir(dir);
			*why = "out of memory";
			return -1;
		}
	}
	closedir(dir);
	if (!database_find("postgres")) {
		*why = database_create("postgres", &code);
		if (*why)
			return -1;
	}
	return 0;
}
