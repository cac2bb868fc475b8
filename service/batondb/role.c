// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Roles, their settings and what the system's are: in memory, and in a database
 * of SQLite beside the users' ones. Each role is a tenant of the scheduler.
 *
 * A change is checked as a whole, then written, then applied to what is in memory, which
 * cannot fail. Where the scheduler or the list has to agree first, what it agreed to is
 * taken back if the write fails. server.admin is held from the first to the last step;
 * server.lock only where memory is looked at or changed, never while something is written.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "priv.h"
#include "session.h"

static __thread char why_text[300];
bool (*role_fault)(void);

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
	int rc, i;

	if (role_fault && role_fault())
		return SQLITE_FULL;
	rc = sqlite3_prepare_v2(server.control, sql, -1, &st, NULL);
	if (rc)
		return rc;
	for (i = 0; i < n; i++)
		sqlite3_bind_text(st, i + 1, values[i], -1, SQLITE_STATIC);
	sqlite3_step(st);
	return sqlite3_finalize(st);
}

static const char *control_fails(const char **code)
{
	return fails(code, "58030", "cannot write the roles, nothing is changed: %s", sqlite3_errmsg(server.control));
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

/* ----------------------------------------------------------------- changes */

static int sell(struct role *r, unsigned low, unsigned high)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = low, .high_ppm = high, .name = r->name };

	return r->tenant ? baton_tenant_set(r->tenant, &o) : baton_tenant_add(server.sched, &r->tenant, &o);
}

static const char *sell_fails(const struct role *r, int rc, const char **code)
{
	const struct role *o;
	unsigned sold = 0;

	if (rc != -ENOSPC)
		return fails(code, "53200", "the scheduler does not take this quota: %s", strerror(-rc));
	for (o = server.roles; o; o = o->next)
		sold += o == r ? 0 : o->low_ppm;
	return fails(code, "53000", "%d%% of the machine can be sold as low-latency quota, and %.4g%% are sold to others",
		     server.conf.low_limit, sold / 1e4);
}

static int is_quota(const char *name)
{
	return !strcasecmp(name, "baton.low_latency") ? 1 : !strcasecmp(name, "baton.high_latency") ? 2 : 0;
}

/* What is in memory; the value has been checked. */
static void apply_setting(struct role *r, const char *name, const char *value)
{
	int cls = BATON_TOLERANT;

	if (r && !strcasecmp(name, "baton.class")) {
		if (value)
			class_parse(value, true, &cls);
		r->cls = cls;
	}
	if (!r && !strcasecmp(name, "baton.quotas"))
		server.quotas = value ? bool_parse(value, strlen(value)) : server.conf.quotas;
	keep(r ? &r->settings : &server.settings, name, value);
}

static const char *check_setting(const struct role *r, const char *name, const char *value, const char **code)
{
	const char *why;

	if (is_quota(name)) {
		if (!r)
			return fails(code, "22023", "%s is a user's: ALTER USER name SET %s = '10%%'", name, name);
		if (value && ppm_parse(value) < 0)
			return fails(code, "22023", "%s is a part of the machine from 0%% to 100%%, not \"%.40s\"", name, value);
		return NULL;
	}
	if (!r && !strcasecmp(name, "baton.quotas"))
		return !value || bool_parse(value, strlen(value)) >= 0 ? NULL : fails(code, "22023", "baton.quotas is on or off");
	why = setting_check(name, value, r ? r->super : true);
	return why ? fails(code, strstr(why, "unrecognized") ? "42704" : "22023", "%s", why) : NULL;
}

/* Sold, written, applied. */
static const char *set_quota(struct role *r, const char *name, const char *value, const char **code)
{
	const char *v[3] = { r->name, name, value };
	bool is_low = is_quota(name) == 1;
	unsigned ppm = value ? (unsigned)ppm_parse(value) : is_low ? 0 : 1000000;
	unsigned low = is_low ? ppm : r->low_ppm, high = is_low ? r->high_ppm : ppm;
	int rc = sell(r, low, high);

	if (rc)
		return sell_fails(r, rc, code);
	if (value ? control("insert or replace into settings values (?, ?, ?)", 3, v) :
		    control("delete from settings where role = ? and name = ?", 2, v)) {
		sell(r, r->low_ppm, r->high_ppm);
		return control_fails(code);
	}
	pthread_mutex_lock(&server.lock);
	r->low_ppm = low;
	r->high_ppm = high;
	keep(&r->settings, name, value);
	pthread_mutex_unlock(&server.lock);
	return NULL;
}

static const char *set_setting(struct role *r, const char *name, const char *value, const char **code)
{
	const char *v[3] = { r ? r->name : "", name, value };
	const char *why = check_setting(r, name, value, code);

	if (why)
		return why;
	if (r && is_quota(name))
		return set_quota(r, name, value, code);
	if (value ? control("insert or replace into settings values (?, ?, ?)", 3, v) :
		    control("delete from settings where role = ? and name = ?", 2, v))
		return control_fails(code);
	pthread_mutex_lock(&server.lock);
	apply_setting(r, name, value);
	pthread_mutex_unlock(&server.lock);
	return NULL;
}

static int write_role(const char *name, uint32_t oid, bool super, bool login, bool createdb, int limit, const char *verifier)
{
	char flags[40], number[16];
	const char *v[4] = { name, number, flags, verifier };

	snprintf(number, sizeof(number), "%u", oid);
	snprintf(flags, sizeof(flags), "%d%d%d,%d", super, login, createdb, limit);
	return control("insert or replace into roles values (?, ?, ?, ?)", 4, v);
}

/* A role in memory that is no one's yet. */
static struct role *new_role(const char *name, uint32_t oid, int *rc)
{
	struct role *r = calloc(1, sizeof(*r));

	*rc = -ENOMEM;
	if (!r)
		return NULL;
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->oid = oid;
	r->limit = -1;
	r->cls = BATON_TOLERANT;
	r->high_ppm = 1000000;
	*rc = sell(r, 0, r->high_ppm);
	if (*rc) {
		free(r);
		return NULL;
	}
	return r;
}

static void add_role(struct role *r)
{
	struct role **at;

	pthread_mutex_lock(&server.lock);
	for (at = &server.roles; *at; at = &(*at)->next)
		;
	*at = r;
	pthread_mutex_unlock(&server.lock);
}

static const char *create_role(const struct priv *p, char *verifier, const char **code)
{
	uint32_t oid = server.roles ? 16384 : 10;
	struct role *r;
	int rc;

	if (strlen(p->name) > 63 || !*p->name)
		return fails(code, "42602", "a role's name has 1 to 63 bytes");
	if (role_find(p->name))
		return fails(code, "42710", "role \"%s\" already exists", p->name);
	for (r = server.roles; r; r = r->next)
		if (r->oid >= oid)
			oid = r->oid + 1;
	r = new_role(p->name, oid, &rc);
	if (!r)
		return fails(code, "53200", "cannot make a tenant: %s", strerror(-rc));
	r->super = p->super;
	r->login = p->login;
	r->createdb = p->createdb;
	r->limit = p->limit;
	r->verifier = verifier;
	if (write_role(r->name, oid, r->super, r->login, r->createdb, r->limit, verifier)) {
		baton_tenant_remove(r->tenant);
		free(r);
		return control_fails(code);
	}
	add_role(r);
	return NULL;
}

static bool last_superuser(const struct role *r)
{
	const struct role *o;

	for (o = server.roles; o; o = o->next)
		if (o != r && !o->dropped && o->super && o->login)
			return false;
	return r->super && r->login;
}

static const char *alter_role(struct role *r, const struct priv *p, char *verifier, const char **code)
{
	bool super = p->says & PRIV_SUPER ? p->super : r->super, login = p->says & PRIV_LOGIN ? p->login : r->login;
	bool createdb = p->says & PRIV_CREATEDB ? p->createdb : r->createdb;
	int limit = p->says & PRIV_LIMIT ? p->limit : r->limit;
	char *old = NULL;

	if ((!super || !login) && last_superuser(r))
		return fails(code, "55006", "role \"%s\" is the only superuser that can log in", r->name);
	if (!super && r->cls >= CLASS_INTERNAL_HIGH)
		return fails(code, "55006", "role \"%s\" has a superuser's class: ALTER USER ... RESET baton.class first", r->name);
	if (write_role(r->name, r->oid, super, login, createdb, limit, p->says & PRIV_PASSWORD ? verifier : r->verifier))
		return control_fails(code);
	pthread_mutex_lock(&server.lock);
	r->super = super;
	r->login = login;
	r->createdb = createdb;
	r->limit = limit;
	if (p->says & PRIV_PASSWORD) {
		old = r->verifier;
		r->verifier = verifier;
	}
	pthread_mutex_unlock(&server.lock);
	free(old);
	return NULL;
}

static const char *drop_role(struct role *r, const char **code)
{
	const char *v[1] = { r->name };
	unsigned sessions;

	if (last_superuser(r))
		return fails(code, "55006", "role \"%s\" is the only superuser that can log in", r->name);
	/* Nobody logs in as one that is being dropped. */
	pthread_mutex_lock(&server.lock);
	sessions = r->sessions;
	r->dropped = !sessions;
	pthread_mutex_unlock(&server.lock);
	if (sessions)
		return fails(code, "55006", "role \"%s\" has %u connections", r->name, sessions);
	if (control("begin immediate", 0, NULL) || control("delete from roles where name = ?", 1, v) ||
	    control("delete from settings where role = ?", 1, v) || control("commit", 0, NULL)) {
		const char *why = control_fails(code);

		sqlite3_exec(server.control, "rollback", NULL, NULL, NULL);
		pthread_mutex_lock(&server.lock);
		r->dropped = false;
		pthread_mutex_unlock(&server.lock);
		return why;
	}
	baton_tenant_remove(r->tenant);
	pthread_mutex_lock(&server.lock);
	r->tenant = NULL;
	r->low_ppm = r->high_ppm = 0;
	pthread_mutex_unlock(&server.lock);
	return NULL;
}

static const char *database_create(const char *name, const char **code);
static const char *database_drop(const char *name, const char **code);

static const char *role_statement(const struct priv *p, struct role *self, struct role *r, const char **code)
{
	char *verifier = NULL;
	const char *why;

	if (p->verb != PRIV_CREATE_ROLE && !r)
		return p->if_exists ? NULL : fails(code, "42704", "role \"%s\" does not exist", p->name);
	if (p->verb == PRIV_DROP_ROLE)
		return r == self ? fails(code, "55006", "current user cannot be dropped") : drop_role(r, code);
	if (p->says & PRIV_SETTING)
		return set_setting(r, p->setting, p->value, code);
	if (p->password) {
		verifier = scram_verifier(p->password);
		if (!verifier)
			return fails(code, "53200", "out of memory");
	}
	why = p->verb == PRIV_CREATE_ROLE ? create_role(p, verifier, code) : alter_role(r, p, verifier, code);
	if (why)
		free(verifier);
	return why;
}

const char *role_do(const struct priv *p, const char *self_name, const char **code)
{
	const char *why = NULL;
	struct priv_who who = { 0 };
	struct role *self, *r;

	pthread_mutex_lock(&server.admin);
	pthread_mutex_lock(&server.lock);
	self = role_find(self_name);
	r = p->current ? self : role_find(p->name);
	if (self)
		who = (struct priv_who){ self->super, self->createdb };
	pthread_mutex_unlock(&server.lock);
	if (!priv_may(&who, self && r == self, p))
		why = fails(code, "42501", "permission denied: %s%s%s is for superusers", p->tag, *p->setting ? " SET " : "", p->setting);
	else if (p->verb == PRIV_ALTER_SYSTEM)
		why = set_setting(NULL, p->setting, p->value, code);
	else if (p->verb == PRIV_CREATE_DATABASE)
		why = database_create(p->name, code);
	else if (p->verb == PRIV_DROP_DATABASE)
		why = p->if_exists && !database_find(p->name) ? NULL : database_drop(p->name, code);
	else if (p->verb == PRIV_CREATE_ROLE || p->verb == PRIV_ALTER_ROLE || p->verb == PRIV_DROP_ROLE)
		why = role_statement(p, self, r, code);
	pthread_mutex_unlock(&server.admin);
	return why;
}

/* ----------------------------------------------------------------- loading */

static int load_role(sqlite3_stmt *st)
{
	const char *flags = (const char *)sqlite3_column_text(st, 2), *verifier = (const char *)sqlite3_column_text(st, 3);
	struct role *r;
	int rc;

	r = new_role((const char *)sqlite3_column_text(st, 0), (uint32_t)sqlite3_column_int64(st, 1), &rc);
	if (!r || !flags || strlen(flags) < 3)
		return SQLITE_NOMEM;
	r->super = flags[0] == '1';
	r->login = flags[1] == '1';
	r->createdb = flags[2] == '1';
	if (flags[3] == ',')
		r->limit = atoi(flags + 4);
	r->verifier = verifier ? strdup(verifier) : NULL;
	add_role(r);
	return 0;
}

static void load_setting(sqlite3_stmt *st)
{
	const char *name = (const char *)sqlite3_column_text(st, 1), *value = (const char *)sqlite3_column_text(st, 2), *why, *code;
	struct role *r = role_find((const char *)sqlite3_column_text(st, 0));
	unsigned low, high;

	if (!r && sqlite3_column_bytes(st, 0))
		return;
	why = check_setting(r, name, value, &code);
	if (!why && is_quota(name)) {
		low = is_quota(name) == 1 ? (unsigned)ppm_parse(value) : r->low_ppm;
		high = is_quota(name) == 2 ? (unsigned)ppm_parse(value) : r->high_ppm;
		if (sell(r, low, high)) {
			why = "there is not so much to be sold";
		} else {
			r->low_ppm = low;
			r->high_ppm = high;
		}
	}
	if (why)
		log_line(LOG_WARN, "a role's setting does not hold any more", "role", r ? r->name : "", "name", name, "why", why, NULL);
	else
		apply_setting(r, name, value);
}

static int load_roles(const char **why)
{
	const struct priv first = { .verb = PRIV_CREATE_ROLE, .name = "postgres", .super = true, .login = true, .createdb = true, .limit = -1 };
	const char *code;
	sqlite3_stmt *st;
	int rc;

	rc = sqlite3_prepare_v2(server.control, "select name, oid, flags, verifier from roles order by oid", -1, &st, NULL);
	while (!rc && sqlite3_step(st) == SQLITE_ROW)
		rc = load_role(st);
	sqlite3_finalize(st);
	if (!rc && !server.roles && (*why = create_role(&first, NULL, &code)))
		return -1;
	if (!rc)
		rc = sqlite3_prepare_v2(server.control, "select role, name, value from settings", -1, &st, NULL);
	while (!rc && sqlite3_step(st) == SQLITE_ROW)
		load_setting(st);
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
				  "create table if not exists settings (role text, name text, value text, primary key (role, name));"
				  "create table if not exists secret (bytes blob);"
				  "insert into secret select randomblob(32) where not exists (select 1 from secret)",
				  NULL, NULL, NULL);
	if (!rc) {
		sqlite3_stmt *st;

		rc = sqlite3_prepare_v2(server.control, "select bytes from secret", -1, &st, NULL);
		if (!rc && sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 0) == sizeof(server.secret))
			memcpy(server.secret, sqlite3_column_blob(st, 0), sizeof(server.secret));
		sqlite3_finalize(st);
	}
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
	pthread_mutex_lock(&server.lock);
	for (at = &server.databases; *at; at = &(*at)->next)
		if ((*at)->oid >= oid)
			oid = (*at)->oid + 1;
	d->oid = oid;
	*at = d;
	pthread_mutex_unlock(&server.lock);
	return 0;
}

static bool good_name(const char *s)
{
	return *s && *s != '.' && strlen(s) < 60 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == strlen(s);
}

static const char *database_create(const char *name, const char **code)
{
	char path[600];
	sqlite3 *db;
	int rc;

	if (!good_name(name))
		return fails(code, "42602", "a database's name is of letters, digits, _ and -, at most 59");
	if (database_find(name))
		return fails(code, "42P04", "database \"%s\" already exists", name);
	if (role_fault && role_fault())
		return fails(code, "58030", "cannot create %s", name);
	snprintf(path, sizeof(path), "%s/base/%s.db", server.conf.data_dir, name);
	rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!rc)
		rc = sqlite3_exec(db, "pragma journal_mode = wal", NULL, NULL, NULL);
	if (rc)
		fails(code, "58030", "cannot create %s: %s", path, sqlite3_errmsg(db));
	sqlite3_close(db);
	if (rc)
		unlink(path);
	if (rc)
		return why_text;
	return add_database(name) ? fails(code, "53200", "out of memory") : NULL;
}

static const char *database_drop(const char *name, const char **code)
{
	struct database *d, **at;
	char path[600];
	const char *why = NULL;

	/* Out of the list first: nobody connects to one that is being removed. */
	pthread_mutex_lock(&server.lock);
	for (at = &server.databases; (d = *at) && strcmp(d->name, name); at = &d->next)
		;
	if (d && !d->sessions)
		*at = d->next;
	pthread_mutex_unlock(&server.lock);
	if (!d)
		return fails(code, "3D000", "database \"%s\" does not exist", name);
	if (d->sessions)
		return fails(code, "55006", "database \"%s\" is being accessed by other users", name);
	if ((role_fault && role_fault()) || unlink(d->path)) {
		why = fails(code, "58030", "cannot remove %s: %s", d->path, strerror(errno));
		pthread_mutex_lock(&server.lock);
		d->next = server.databases;
		server.databases = d;
		pthread_mutex_unlock(&server.lock);
		return why;
	}
	snprintf(path, sizeof(path), "%s-wal", d->path);
	unlink(path);
	snprintf(path, sizeof(path), "%s-shm", d->path);
	unlink(path);
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

/* ------------------------------------------------------------------ backup */

static int copy_database(const char *from, const char *to, const char **why)
{
	sqlite3 *a = NULL, *b = NULL;
	sqlite3_backup *copy = NULL;
	int rc = sqlite3_open_v2(from, &a, SQLITE_OPEN_READONLY, NULL);

	if (!rc)
		rc = sqlite3_open_v2(to, &b, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	if (!rc) {
		sqlite3_busy_timeout(a, 60000);
		copy = sqlite3_backup_init(b, "main", a, "main");
		rc = copy ? sqlite3_backup_step(copy, -1) : sqlite3_errcode(b);
	}
	/* All at once, so that it is the database of one moment. */
	if (copy && sqlite3_backup_finish(copy))
		rc = sqlite3_errcode(b);
	if (rc != SQLITE_DONE && rc != SQLITE_OK)
		*why = fails(why, "", "%s: %s", from, sqlite3_errstr(rc));
	sqlite3_close(a);
	if (sqlite3_close(b) && (rc == SQLITE_DONE || !rc)) {
		*why = "cannot close a copy";
		rc = SQLITE_ERROR;
	}
	return rc == SQLITE_DONE || !rc ? 0 : -1;
}

int backup_to(const char *data_dir, const char *to, const char **why)
{
	char from_path[1200], to_path[1200];
	struct dirent *e;
	DIR *dir;
	int rc;

	snprintf(from_path, sizeof(from_path), "%s/base", data_dir);
	snprintf(to_path, sizeof(to_path), "%s/base", to);
	dir = opendir(from_path);
	if (!dir || mkdir(to, 0700) || mkdir(to_path, 0700)) {
		*why = fails(why, "", "%s: %s", dir ? to : from_path, strerror(errno));
		if (dir)
			closedir(dir);
		return -1;
	}
	snprintf(from_path, sizeof(from_path), "%s/control.db", data_dir);
	snprintf(to_path, sizeof(to_path), "%s/control.db", to);
	rc = copy_database(from_path, to_path, why);
	while (!rc && (e = readdir(dir))) {
		size_t n = strlen(e->d_name);

		if (n < 4 || strcmp(e->d_name + n - 3, ".db"))
			continue;
		snprintf(from_path, sizeof(from_path), "%s/base/%s", data_dir, e->d_name);
		snprintf(to_path, sizeof(to_path), "%s/base/%s", to, e->d_name);
		rc = copy_database(from_path, to_path, why);
	}
	closedir(dir);
	return rc;
}
