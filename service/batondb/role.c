// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Roles: in memory, and in a database of SQLite beside the users' ones. Each role is a tenant of the scheduler.
 *
 * A change is checked as a whole, then sold, then written, then applied to what is in memory, which cannot fail; what
 * was sold is taken back where the write fails. server.admin is held from the first to the last step;
 * server.lock only where memory is looked at or changed, never while something is written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "priv.h"
#include "server.h"
#include "types.h"

bool (*role_fault)(void);

#define fails(CODE, STATE, ...) (*(CODE) = (STATE), why_text(__VA_ARGS__))

/* A statement for the roles' database, with %Q as sqlite3_mprintf() has it. */
static int control(const char *fmt, ...)
{
	char *sql;
	va_list ap;
	int rc;

	if (role_fault && role_fault())
		return SQLITE_FULL;
	va_start(ap, fmt);
	sql = sqlite3_vmprintf(fmt, ap);
	va_end(ap);
	rc = sql ? sqlite3_exec(server.control, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
	sqlite3_free(sql);
	return rc;
}

static const char *control_fails(const char **code)
{
	return fails(code, "58030", "cannot write the roles, nothing is changed: %s", sqlite3_errmsg(server.control));
}

/* "10%", "0.1": parts per million, or -1. */
static long parse_part(const char *s)
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

	for (r = server.roles; r && (r->dropped || strcmp(r->name, name)); r = r->next)
		;
	return r;
}

/* ----------------------------------------------------------------- changes */

/* Whether a fleet sets what this role's quotas are: all but superusers', who always get in. */
static bool in_fleet(const struct role_is *is)
{
	return *server.conf.fleet_socket && !is->super;
}

static int sell(struct role *r, const struct role_is *is)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = is->low_ppm, .high_ppm = is->high_ppm, .name = r->name };
	int rc;

	if (r->tenant)
		return baton_tenant_set(r->tenant, &o);
	rc = baton_tenant_add(server.sched, &r->tenant, &o);
	/* The fleet has the tenant before there is a role. */
	return rc == -EEXIST && *server.conf.fleet_socket ? baton_tenant_find(server.sched, r->name, &r->tenant) : rc;
}

static const char *sell_fails(const struct role *r, int rc, const char **code)
{
	const struct role *o;
	unsigned sold = 0;

	if (rc != -ENOSPC)
		return fails(code, "53200", "the scheduler does not take this user and quota: %s", strerror(-rc));
	for (o = server.roles; o; o = o->next)
		sold += o == r ? 0 : o->is.low_ppm;
	return fails(code, "53000", "%.4g%% of the machine can be sold as low-latency quota, and %.4g%% are sold to others",
		     server.low_limit_ppm / 1e4, sold / 1e4);
}

static int write_role(const char *name, const struct role_is *is)
{
	return control("insert or replace into role values (%Q, %d, 0, %d, %u, %u, %Q)", name, is->super, is->cls,
		       is->low_ppm, is->high_ppm, is->verifier);
}

static const char *change_setting(struct role_is *is, const struct priv *p, const char **code)
{
	bool low = !strcasecmp(p->setting, "baton.low_latency");
	const char *why;
	long ppm;

	if (!strcasecmp(p->setting, "baton.class")) {
		is->cls = BATON_TOLERANT;
		why = p->value ? class_parse(p->value, is->super, &is->cls) : NULL;
		return why ? fails(code, "22023", "%s", why) : NULL;
	}
	if (!low && strcasecmp(p->setting, "baton.high_latency"))
		return fails(code, "42704", "baton.low_latency, baton.high_latency and baton.class are kept for a user, not \"%.60s\"", p->setting);
	if (in_fleet(is))
		return fails(code, "55000", "quotas of this server's users are its fleet's: baton fleet set %s low=CPUS high=CPUS", p->name);
	ppm = p->value ? parse_part(p->value) : low ? 0 : 1000000;
	if (ppm < 0)
		return fails(code, "22023", "%s is a part of the machine from 0%% to 100%%, not \"%.40s\"", p->setting, p->value);
	*(low ? &is->low_ppm : &is->high_ppm) = (unsigned)ppm;
	return NULL;
}

static const char *create_role(const char *name, const struct role_is *is, bool write, const char **code)
{
	struct role *r, **at;
	int rc;

	r = calloc(1, sizeof(*r));
	if (!r)
		return fails(code, "53200", "out of memory");
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->is = *is;
	rc = sell(r, is);
	if (rc || (write && write_role(name, is))) {
		const char *why = rc ? sell_fails(r, rc, code) : control_fails(code);

		if (!rc)
			baton_tenant_remove(r->tenant);
		free(r);
		return why;
	}
	pthread_mutex_lock(&server.lock);
	for (at = &server.roles; *at; at = &(*at)->next)
		;
	*at = r;
	pthread_mutex_unlock(&server.lock);
	return NULL;
}

static bool last_superuser(const struct role *r)
{
	const struct role *o;

	for (o = server.roles; o; o = o->next)
		if (o != r && !o->dropped && o->is.super)
			return false;
	return r->is.super;
}

static const char *alter_role(struct role *r, const struct role_is *is, const char **code)
{
	bool quota = is->low_ppm != r->is.low_ppm || is->high_ppm != r->is.high_ppm;
	char *old = r->is.verifier;
	int rc;

	if (!is->super && last_superuser(r))
		return fails(code, "55006", "role \"%s\" is the only superuser", r->name);
	if (!is->super && is->cls >= CLASS_INTERNAL_HIGH)
		return fails(code, "55006", "role \"%s\" has a superuser's class: ALTER USER ... RESET baton.class first", r->name);
	rc = quota ? sell(r, is) : 0;
	if (rc)
		return sell_fails(r, rc, code);
	if (write_role(r->name, is)) {
		if (quota)
			sell(r, &r->is);
		return control_fails(code);
	}
	pthread_mutex_lock(&server.lock);
	r->is = *is;
	pthread_mutex_unlock(&server.lock);
	if (old != is->verifier)
		free(old);
	return NULL;
}

static const char *drop_role(struct role *r, const char **code)
{
	unsigned sessions;

	if (last_superuser(r))
		return fails(code, "55006", "role \"%s\" is the only superuser", r->name);
	/* Nobody logs in as one that is being dropped. */
	pthread_mutex_lock(&server.lock);
	sessions = r->sessions;
	r->dropped = !sessions;
	pthread_mutex_unlock(&server.lock);
	if (sessions)
		return fails(code, "55006", "role \"%s\" has %u connections", r->name, sessions);
	if (control("delete from role where name = %Q", r->name)) {
		pthread_mutex_lock(&server.lock);
		r->dropped = false;
		pthread_mutex_unlock(&server.lock);
		return control_fails(code);
	}
	baton_tenant_remove(r->tenant);
	r->tenant = NULL;
	r->is.low_ppm = 0;
	return NULL;
}

static const char *role_statement(const struct priv *p, struct role *self, struct role *r, const char **code)
{
	struct role_is is = { .cls = BATON_TOLERANT, .high_ppm = 1000000 };
	char *verifier = NULL;
	const char *why, *at;

	/* Names stand in lines of the log and of metrics. */
	for (at = p->name; (unsigned char)*at >= ' '; at++)
		;
	if (p->verb == PRIV_CREATE_ROLE && (*at || at == p->name || at - p->name > 63))
		return fails(code, "42602", "a role's name has 1 to 63 bytes, and no control characters");
	if (p->verb == PRIV_CREATE_ROLE && r)
		return fails(code, "42710", "role \"%s\" already exists", p->name);
	if (p->verb != PRIV_CREATE_ROLE && !r)
		return p->if_exists ? NULL : fails(code, "42704", "role \"%s\" does not exist", p->name);
	if (p->verb == PRIV_DROP_ROLE)
		return r == self ? fails(code, "55006", "current user cannot be dropped") : drop_role(r, code);
	if (r)
		is = r->is;
	if (p->says & PRIV_SUPER)
		is.super = p->super;
	if (!r && in_fleet(&is))
		is.high_ppm = 0;
	if (p->says & PRIV_SETTING && (why = change_setting(&is, p, code)))
		return why;
	if (p->says & PRIV_PASSWORD) {
		is.verifier = verifier = p->password ? scram_verifier(p->password) : NULL;
		if (p->password && !verifier)
			return fails(code, "53200", "out of memory");
	}
	why = r ? alter_role(r, &is, code) : create_role(p->name, &is, true, code);
	if (why)
		free(verifier);
	return why;
}

static const char *alter_system(const struct priv *p, const char **code)
{
	int on = p->value ? bool_parse(p->value, strlen(p->value)) : server.conf.quotas;

	if (strcasecmp(p->setting, "baton.quotas"))
		return fails(code, "42704", "ALTER SYSTEM sets baton.quotas, not \"%.60s\"", p->setting);
	if (on < 0)
		return fails(code, "22023", "baton.quotas is on or off");
	if (control(p->value ? "update system set quotas = %d" : "update system set quotas = null", on))
		return control_fails(code);
	server.quotas = on;
	return NULL;
}

const char *role_do(const struct priv *p, const char *self_name, const char **code)
{
	const char *why = NULL;
	bool super = false;
	struct role *self, *r;

	pthread_mutex_lock(&server.admin);
	pthread_mutex_lock(&server.lock);
	self = role_find(self_name);
	r = p->current ? self : role_find(p->name);
	if (self)
		super = self->is.super;
	pthread_mutex_unlock(&server.lock);
	if (!priv_may(super, self && r == self, p))
		why = fails(code, "42501", "permission denied: %s%s%s is for superusers", p->tag, *p->setting ? " SET " : "", p->setting);
	else if (p->verb == PRIV_ALTER_SYSTEM)
		why = alter_system(p, code);
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

static const char *load_role(sqlite3_stmt *st)
{
	const char *name = (const char *)sqlite3_column_text(st, 0), *verifier = (const char *)sqlite3_column_text(st, 6), *code, *why;
	struct role_is is = {
		.super = sqlite3_column_int(st, 1), .cls = sqlite3_column_int(st, 3),
		.low_ppm = (unsigned)sqlite3_column_int(st, 4), .high_ppm = (unsigned)sqlite3_column_int(st, 5),
		.verifier = verifier ? strdup(verifier) : NULL,
	};

	if (in_fleet(&is))
		is.low_ppm = is.high_ppm = 0;
	why = create_role(name, &is, false, &code);
	if (!why || strcmp(code, "53000"))
		return why;
	log_line("role %s has no low-latency quota any more: %s", name, why);
	is.low_ppm = 0;
	return create_role(name, &is, false, &code);
}

static const char *load_roles(void)
{
	const struct role_is first = { .super = true, .cls = BATON_TOLERANT, .high_ppm = 1000000 };
	const char *why = NULL, *code;
	sqlite3_stmt *st;

	if (sqlite3_prepare_v2(server.control, "select quotas, secret from system", -1, &st, NULL))
		return sqlite3_errmsg(server.control);
	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 1) == sizeof(server.secret))
		memcpy(server.secret, sqlite3_column_blob(st, 1), sizeof(server.secret));
	server.quotas = sqlite3_column_type(st, 0) == SQLITE_NULL ? server.conf.quotas : sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	if (sqlite3_prepare_v2(server.control, "select * from role order by rowid", -1, &st, NULL))
		return sqlite3_errmsg(server.control);
	while (!why && sqlite3_step(st) == SQLITE_ROW)
		why = load_role(st);
	sqlite3_finalize(st);
	return why || server.roles ? why : create_role("postgres", &first, true, &code);
}

const char *role_load(void)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/control.db", server.conf.data_dir);
	if (sqlite3_open_v2(path, &server.control, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) ||
	    sqlite3_exec(server.control, "pragma journal_mode = wal; pragma synchronous = full;"
			 "create table if not exists role (name text primary key, super int, createdb int, class int, low int, high int, verifier text);"
			 "create table if not exists system (quotas int, secret blob);"
			 "insert into system select null, randomblob(32) where not exists (select 1 from system)", NULL, NULL, NULL))
		return sqlite3_errmsg(server.control);
	return load_roles();
}
