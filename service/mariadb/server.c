// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding what the server has, and making sure that it is what we take it for.
 *
 * Debian's libmariadbd-dev installs the headers of the plugin interface and of
 * the instrumentation interface (mysql/psi/psi.h), not those of sql/. Functions
 * are therefore called through their exported names, which contain their
 * arguments' types where they are C++. The two structures of the server that are
 * written to are checked:
 *
 *  - the table of instrumentation functions: it is at least as long as psi.h says,
 *    and each of its entries is a function of mariadbd;
 *  - the scheduler's functions: what stands before and after the two words that
 *    are changed are functions whose names we know.
 */
#define _GNU_SOURCE
#include "server.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct server server;

static const MYSQL_CONST_LEX_STRING no_base;

static bool in_server(const void *function)
{
	static void *base;
	Dl_info info;

	if (!base) {
		if (!dladdr((void *)server.current_thd, &info))
			return false;
		base = info.dli_fbase;
	}
	return dladdr(function, &info) && info.dli_fbase == base;
}

static bool is_function(const void *function, const char *name)
{
	Dl_info info;

	return function && dladdr(function, &info) && info.dli_sname && !strcmp(info.dli_sname, name);
}

bool server_read(void *to, const void *from, size_t len)
{
	struct iovec mine = { to, len }, its = { (void *)from, len };

	return process_vm_readv(getpid(), &mine, 1, &its, 1, 0) == (ssize_t)len;
}

/* The table of calls as it looks where connections have a thread each, or are served by a pool. */
static bool scheduler_is_known(struct scheduler_functions *const *which)
{
	struct scheduler_functions f;

	if (!server_read(&f, *which, sizeof(f)))
		return false;
	return (is_function(f.add_connection, "_Z34create_thread_to_handle_connectionP7CONNECT") &&
		is_function(f.post_kill_notification, "_Z22post_kill_notificationP3THD") && !f.thd_wait_begin && !f.thd_wait_end) ||
	       (in_server(f.add_connection) && in_server(f.thd_wait_begin) && in_server(f.thd_wait_end) &&
		in_server(f.post_kill_notification) && in_server(f.end) && in_server(f.thd_resume));
}

/* Others may call what is looked up here for something else, or not at all. */
static bool version_is_known(const char *version)
{
	return version && (!strncmp(version, "10.11.", 6) || !strncmp(version, "11.8.", 5));
}

int server_find(char *why, size_t room)
{
	const void *(*find_var)(const char *name, size_t len);
	const struct {
		void *to;
		const char *name;
	} symbols[] = {
		{ &server.psi, "PSI_server" },
		{ &server.scheduler, "thread_scheduler" },
		{ &server.extra_scheduler, "extra_thread_scheduler" },
		{ &server.current_thd, "_current_thd" },
		{ &server.priv_user, "thd_priv_user" },
		{ &server.lacks_privilege, "_Z19check_global_accessP3THD11privilege_tb" },
		{ &server.thread_var, "_my_thread_var" },
		{ &server.awake, "_ZN3THD14awake_no_mutexE12killed_state" },
		{ &server.kill_lock, "wsrep_thd_kill_LOCK" },
		{ &server.kill_unlock, "wsrep_thd_kill_UNLOCK" },
		{ &server.data_lock, "wsrep_thd_LOCK" },
		{ &server.data_unlock, "wsrep_thd_UNLOCK" },
		{ &server.var_value, "_ZNK7sys_var9value_ptrEP3THD13enum_var_typePK25st_mysql_const_lex_string" },
		{ &server.statement, "sql_statement_info" },
		{ &find_var, "_Z19intern_find_sys_varPKcm" },
	};
	const char *version = dlsym(RTLD_DEFAULT, "server_version");
	static bool found_all;
	Dl_info info;
	size_t i;

	/* Unloaded and loaded again: the server's table is ours by now. */
	if (found_all)
		return 0;
	if (!version_is_known(version)) {
		snprintf(why, room, "MariaDB %s is none that the plugin knows: 10.11 and 11.8 are", version ? version : "");
		return -ENOSYS;
	}
	for (i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *found = dlsym(RTLD_DEFAULT, symbols[i].name);

		if (!found) {
			snprintf(why, room, "this server has no %s: the plugin knows MariaDB 10.11 and 11.8 as Debian builds them",
				 symbols[i].name);
			return -ENOSYS;
		}
		memcpy(symbols[i].to, &found, sizeof(found));
	}
	for (i = 0; i < sizeof(PSI) / sizeof(void *); i++) {
		void *entry;

		if (server_read(&entry, (void **)*server.psi + i, sizeof(entry)) && in_server(entry))
			continue;
		if (dladdr(entry, &info) && strstr(info.dli_fname, "/baton.so")) {
			snprintf(why, room, "another version of the plugin is in this server already: restart it");
			return -ENOSYS;
		}
		snprintf(why, room, "this server's instrumentation interface is not that of the headers the plugin was built with (MariaDB "
			 "%s): build the plugin again with this server's", MYSQL_SERVER_VERSION);
		return -ENOSYS;
	}
	if (!scheduler_is_known(server.scheduler) || !scheduler_is_known(server.extra_scheduler)) {
		snprintf(why, room, "this server's thread_handling is none that the plugin knows: one-thread-per-connection and "
			 "pool-of-threads are");
		return -ENOSYS;
	}
	server.max_statement_time = find_var("max_statement_time", strlen("max_statement_time"));
	found_all = true;
	return 0;
}

void server_kill_self(MYSQL_THD thd)
{
	server.kill_lock(thd);
	server.data_lock(thd);
	server.awake(thd, SERVER_KILL_QUERY);
	server.data_unlock(thd);
	server.kill_unlock(thd);
}

unsigned long long server_statement_time(MYSQL_THD thd)
{
	double seconds;

	if (!server.max_statement_time)
		return 0;
	memcpy(&seconds, server.var_value(server.max_statement_time, thd, SHOW_OPT_SESSION, &no_base), sizeof(seconds));
	return seconds > 0 && seconds < 1e9 ? (unsigned long long)(seconds * 1e9) : 0;
}
