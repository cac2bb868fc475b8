// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The plugin: its variables, its figures, its loading and unloading.
 *
 * One shared object has four plugins: `baton`, of the audit kind, which does the
 * work, and three tables of INFORMATION_SCHEMA, which can be done without.
 *
 * Quotas are rows of mysql.baton_quotas. SET GLOBAL baton_reload_now = ON makes
 * them hold, all of them or none. That needs what SET GLOBAL needs (SUPER); to
 * change the rows needs what changing a table of mysql's needs. In a transaction
 * it is refused: what that has changed may never be committed.
 *
 * At the server's start the plugin is loaded before there is any SQL; the table is
 * then read for the first connection, before that one runs anything.
 */
#define _GNU_SOURCE
#include "plugin.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <baton/base.h>

#include <mysql/plugin_audit.h>
#include <mysqld_error.h>

#include "hooks.h"
#include "kill.h"
#include "quota.h"
#include "safepoint.h"
#include "schema.h"

#define STOP_SIGNAL SIGURG
#define VERSION_TEXT BATON_VERSION

/* ------------------------------------------------------------------ variables */

static const char *class_names[] = { "default", "critical", "tolerant", "batch", NULL };
static TYPELIB class_lib = { array_elements(class_names) - 1, "", class_names, NULL };

static unsigned slots;
static char *page;
static char enforce, reload_now;
static unsigned long late_ms, safepoint_us;

static MYSQL_THDVAR_ENUM(class, PLUGIN_VAR_RQCMDARG,
	"How this session's statements use its tenant's quota: critical (low latency, or an error at once), tolerant (low latency "
	"while there is some, else high latency), batch (high latency), or default: what mysql.baton_quotas says",
	NULL, NULL, CONN_CLASS_DEFAULT, &class_lib);
static MYSQL_SYSVAR_UINT(slots, slots, PLUGIN_VAR_RQCMDARG | PLUGIN_VAR_READONLY,
	"How many statements run at once; 0: one for each CPU that the server may use", NULL, NULL, 0, 0, 4096, 0);
static MYSQL_SYSVAR_STR(page, page, PLUGIN_VAR_RQCMDARG | PLUGIN_VAR_READONLY,
	"File of the figures that baton top and baton stats read; a name is one of /run/baton; empty: none", NULL, NULL,
	"/run/mysqld/baton");

static void set_enforce(MYSQL_THD thd, struct st_mysql_sys_var *var, void *to, const void *save);
static void set_late(MYSQL_THD thd, struct st_mysql_sys_var *var, void *to, const void *save);
static void set_safepoint(MYSQL_THD thd, struct st_mysql_sys_var *var, void *to, const void *save);
static int check_reload(MYSQL_THD thd, struct st_mysql_sys_var *var, void *save, struct st_mysql_value *value);
static void set_nothing(MYSQL_THD thd, struct st_mysql_sys_var *var, void *to, const void *save);

static MYSQL_SYSVAR_BOOL(enforce, enforce, PLUGIN_VAR_OPCMDARG, "Statements wait for their tenant's quota", NULL, set_enforce, 1);
static MYSQL_SYSVAR_BOOL(reload_now, reload_now, PLUGIN_VAR_OPCMDARG | PLUGIN_VAR_NOCMDOPT,
	"Set to ON: the quotas are those of mysql.baton_quotas, from now on; all of them, or there is an error and nothing changed",
	check_reload, set_nothing, 0);
static MYSQL_SYSVAR_ULONG(late_ms, late_ms, PLUGIN_VAR_RQCMDARG,
	"A statement that takes longer, in milliseconds, is in INFORMATION_SCHEMA.BATON_LATE, with why", NULL, set_late, 100, 0,
	3600000, 0);
static MYSQL_SYSVAR_ULONG(safepoint_us, safepoint_us, PLUGIN_VAR_RQCMDARG,
	"A statement that is to stop may go on to its next row for so long, in microseconds; then it is stopped wherever it is",
	NULL, set_safepoint, 2000, 50, 1000000, 0);

static struct st_mysql_sys_var *variables[] = {
	MYSQL_SYSVAR(class), MYSQL_SYSVAR(slots), MYSQL_SYSVAR(page), MYSQL_SYSVAR(enforce), MYSQL_SYSVAR(reload_now),
	MYSQL_SYSVAR(late_ms), MYSQL_SYSVAR(safepoint_us), NULL,
};

enum conn_class plugin_class(MYSQL_THD thd)
{
	return (enum conn_class)THDVAR(thd, class);
}

const char *plugin_class_name(enum baton_class cls)
{
	return cls == BATON_INTERNAL ? "internal" : class_names[cls + CONN_CLASS_CRITICAL];
}

static void set_enforce(MYSQL_THD thd, struct st_mysql_sys_var *var, void *to, const void *save)
{
	enforce = *(const char *)save;
	quota_lift(!enforce);
	conn_enforce(enforce);
}

static void set_late(MYSQL_THD thd, struct st_mysql_sys_var *var, void *to, const void *save)
{
	late_ms = *(const unsigned long *)save;
	conn_late_after(late_ms * UINT64_C(1000000));
}

static void set_safepoint(MYSQL_THD thd, struct st_mysql_sys_var *var, void *to, const void *save)
{
	safepoint_us = *(const unsigned long *)save;
	safepoint_limit(safepoint_us * UINT64_C(1000));
}

static void set_nothing(MYSQL_THD thd, struct st_mysql_sys_var *var, void *to, const void *save)
{
}

/* ON, 'on', 1: as the server reads a bool; -1: something else. */
static int read_bool(struct st_mysql_value *value)
{
	char buf[16];
	const char *s;
	long long n;
	int len = sizeof(buf);

	if (value->value_type(value) == MYSQL_VALUE_TYPE_STRING) {
		s = value->val_str(value, buf, &len);
		if (s && len == 2 && !strncasecmp(s, "on", 2))
			return 1;
		return s && len == 3 && !strncasecmp(s, "off", 3) ? 0 : -1;
	}
	if (value->val_int(value, &n) || n < 0 || n > 1)
		return -1;
	return (int)n;
}

static int check_reload(MYSQL_THD thd, struct st_mysql_sys_var *var, void *save, struct st_mysql_value *value)
{
	char why[1000];
	bool missing;
	int on = read_bool(value);

	*(char *)save = 0;
	if (on < 0)
		return 1;	/* the server says what is wrong */
	if (!on)
		return 0;
	/* OPTION_NOT_AUTOCOMMIT and OPTION_BEGIN of sql/sql_priv.h */
	if (thd_test_options(thd, (1LL << 19) | (1LL << 20))) {
		my_printf_error(ER_UNKNOWN_ERROR, "baton_reload_now: this session is in a transaction: COMMIT first, with autocommit on",
				MYF(0));
		return 1;
	}
	if (quota_load(&missing, why, sizeof(why))) {
		my_printf_error(ER_UNKNOWN_ERROR, "%s; the quotas are what they were", MYF(0), why);
		return 1;
	}
	if (missing) {
		my_printf_error(ER_UNKNOWN_ERROR, "there is no table mysql.baton_quotas: the file mariadb.sql of baton makes it; nobody "
				"has any quota", MYF(0));
		return 1;
	}
	return 0;
}

/* -------------------------------------------------------------------- figures */

static int show_number(struct st_mysql_show_var *var, char *buf, uint64_t n)
{
	memcpy(buf, &n, sizeof(n));
	var->type = SHOW_ULONGLONG;
	var->value = buf;
	return 0;
}

#define SHOW(name, expression) \
	static int show_##name(MYSQL_THD thd, struct st_mysql_show_var *var, void *buf, struct system_status_var *status, \
			       enum enum_var_type type) \
	{ \
		struct conn_stats c; \
		struct safepoint_stats s; \
		conn_stats(&c); \
		safepoint_stats(&s); \
		return show_number(var, buf, expression); \
	}

SHOW(connections, c.connections)
SHOW(running, c.running)
SHOW(queued, c.queued)
SHOW(statements, c.statements)
SHOW(rejected, c.rejected)
SHOW(timed_out, c.timed_out)
SHOW(killed_in_queue, c.killed)
SHOW(unlocked, c.unlocked)
SHOW(late, late_count())
SHOW(tenants, quota_users())
SHOW(stops, s.deferred)
SHOW(stops_forced, s.forced)

static int show_detection(MYSQL_THD thd, struct st_mysql_show_var *var, void *buf, struct system_status_var *status,
			  enum enum_var_type type)
{
	quota_detection(buf, SHOW_VAR_FUNC_BUFF_SIZE);
	var->type = SHOW_CHAR;
	var->value = buf;
	return 0;
}

#define FIGURE(title, name) { "Baton_" title, (void *)show_##name, SHOW_SIMPLE_FUNC }

static struct st_mysql_show_var figures[] = {
	FIGURE("connections", connections), FIGURE("detection", detection), FIGURE("killed_in_queue", killed_in_queue),
	FIGURE("late", late), FIGURE("queued", queued), FIGURE("rejected", rejected), FIGURE("running", running),
	FIGURE("statements", statements), FIGURE("stops", stops), FIGURE("stops_forced", stops_forced), FIGURE("tenants", tenants),
	FIGURE("timed_out", timed_out), FIGURE("unlocked", unlocked), { NULL, NULL, SHOW_UNDEF },
};

void plugin_complain(const char *fmt, ...)
{
	static _Atomic uint64_t last;
	uint64_t now = baton_clock_now(), before = atomic_load_explicit(&last, memory_order_relaxed); /* [PLUGIN-1] */
	char text[400];
	va_list ap;

	/* [PLUGIN-1]: who sees the time of another's line late writes one more. */
	if (before && now - before < UINT64_C(60000000000))
		return;
	atomic_store_explicit(&last, now, memory_order_relaxed); /* [PLUGIN-1] */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	my_printf_error(ER_UNKNOWN_ERROR, "baton: %s", ME_ERROR_LOG_ONLY | ME_WARNING, text);
}

/* --------------------------------------------------------- loading and unloading */

/* [PLUGIN-2]: the table is to be read; whoever resets it reads it. */
static _Atomic bool unread;

static void read_table(void)
{
	char why[1000];
	bool missing;

	if (!atomic_exchange_explicit(&unread, false, memory_order_relaxed)) /* [PLUGIN-2] */
		return;
	if (quota_load(&missing, why, sizeof(why)))
		my_printf_error(ER_UNKNOWN_ERROR, "baton: %s; until that is mended and baton_reload_now set, nobody has any quota, and "
				"all share", ME_ERROR_LOG_ONLY, why);
	else if (missing)
		my_printf_error(ER_UNKNOWN_ERROR, "baton: there is no table mysql.baton_quotas (the file mariadb.sql of baton makes "
				"it): nobody has any quota, and all share", ME_ERROR_LOG_ONLY | ME_NOTE);
}

static void notify(MYSQL_THD thd, unsigned class, const void *event)
{
	const struct mysql_event_connection *e = event;

	if (!thd || class != MYSQL_AUDIT_CONNECTION_CLASS)
		return;
	switch (e->event_subclass) {
	case MYSQL_AUDIT_CONNECTION_CONNECT:
		if (!e->status) {
			read_table();
			conn_connected(thd);
		}
		break;
	case MYSQL_AUDIT_CONNECTION_DISCONNECT:
		conn_gone(thd);
		break;
	}
}

static int init(void *p)
{
	char why[1000];
	int err;

	if (server_find(why, sizeof(why)))
		goto refuse;
	err = quota_init(slots, page, why, sizeof(why));
	if (err)
		goto refuse;
	if (*why)
		my_printf_error(ER_UNKNOWN_ERROR, "baton: %s", ME_ERROR_LOG_ONLY | ME_WARNING, why);
	err = safepoint_init(STOP_SIGNAL);
	if (err) {
		snprintf(why, sizeof(why), "its signal's handler was not installed: %s", strerror(-err));
		quota_end();
		goto refuse;
	}
	set_late(NULL, NULL, NULL, &late_ms);
	set_safepoint(NULL, NULL, NULL, &safepoint_us);
	if (hooks_set(!server.current_thd())) {
		snprintf(why, sizeof(why), "with thread_handling=pool-of-threads the plugin has to be there when the server starts: "
			 "plugin_load_add = baton, and a restart");
		quota_end();
		goto refuse;
	}
	err = kill_start();
	if (err) {
		snprintf(why, sizeof(why), "no thread: %s", strerror(-err));
		quota_end();
		goto refuse;
	}
	atomic_store_explicit(&unread, true, memory_order_relaxed); /* [PLUGIN-2] */
	/* INSTALL comes from a session, which has SQL. */
	if (server.current_thd())
		read_table();
	set_enforce(NULL, NULL, NULL, &enforce);
	hooks_enable(true);
	return 0;
refuse:
	my_printf_error(ER_UNKNOWN_ERROR, "baton: not loaded: %s", ME_ERROR_LOG, why);
	return 1;
}

static int deinit(void *p)
{
	hooks_enable(false);
	conn_enforce(false);
	conn_forget_all();
	quota_end();
	kill_stop();
	return 0;
}

static struct st_mysql_audit audit = {
	MYSQL_AUDIT_INTERFACE_VERSION, NULL, notify, { MYSQL_AUDIT_CONNECTION_CLASSMASK },
};

#define AUTHOR "the baton authors"
#define TABLE_PLUGIN(name, text, init) \
	{ MYSQL_INFORMATION_SCHEMA_PLUGIN, &schema_info, name, AUTHOR, text, PLUGIN_LICENSE_GPL, init, NULL, 0x0001, NULL, NULL, \
	  VERSION_TEXT, MariaDB_PLUGIN_MATURITY_BETA }

maria_declare_plugin(baton)
{ MYSQL_AUDIT_PLUGIN, &audit, "baton", AUTHOR, "CPU quotas for users", PLUGIN_LICENSE_GPL, init, deinit, 0x0001, figures, variables,
  VERSION_TEXT, MariaDB_PLUGIN_MATURITY_BETA },
TABLE_PLUGIN("BATON_TENANTS", "Tenants, their quotas and what they used", schema_init_tenants),
TABLE_PLUGIN("BATON_STATEMENTS", "Statements that run or wait", schema_init_statements),
TABLE_PLUGIN("BATON_LATE", "Statements that were refused or late, and why", schema_init_late)
maria_declare_plugin_end;
