/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of the server that the plugin needs and no installed header declares. All of
 * them are looked up by name in the running mariadbd and checked before anything
 * is changed there: server_find() fails with a sentence where something is not
 * as it should be, and the plugin is then not loaded.
 */
#ifndef BATON_MARIADB_SERVER_H
#define BATON_MARIADB_SERVER_H

/* Before my_global.h, which forbids it elsewhere. */
#include <stdbool.h>

#include <my_global.h>
#include <mysql/plugin.h>
#include <my_sys.h>
#include <my_pthread.h>
#include <mysql/psi/mysql_thread.h>

/* sql/scheduler.h; one for the connections' threads, one for extra_port's. */
struct scheduler_functions {
	unsigned max_threads;
	void *connection_count;
	unsigned long *max_connections;
	bool (*init)(void);
	void (*add_connection)(void *connect);
	void (*thd_wait_begin)(MYSQL_THD thd, int type);
	void (*thd_wait_end)(MYSQL_THD thd);
	void (*post_kill_notification)(MYSQL_THD thd);
	void (*end)(void);
	/* Only of a pool: a statement whose commit was written behind its back goes on, on any thread. */
	void (*thd_resume)(MYSQL_THD thd);
};

/* enum killed_state of sql/sql_class.h */
#define SERVER_KILL_QUERY 4

/* enum privilege_t of sql/privilege.h; mysql.global_priv keeps these bits on disk. */
#define SERVER_PROCESS_ACL (1ULL << 8)
#define SERVER_SUPER_ACL (1ULL << 15)
#define SERVER_CONNECTION_ADMIN_ACL (1ULL << 32)

/* enum batch_mode_t of sql/handler.h */
#define SERVER_BATCH_NONE 0
#define SERVER_BATCH_STARTING 1
#define SERVER_BATCH_STARTED 2

struct server {
	PSI **psi;
	struct scheduler_functions **scheduler, **extra_scheduler;
	MYSQL_THD (*current_thd)(void);
	/* The name of the account that the session has the privileges of. */
	const char *(*priv_user)(MYSQL_THD thd, size_t *len);
	/* false: the session has one of these privileges. */
	bool (*lacks_privilege)(MYSQL_THD thd, unsigned long long privileges, bool quietly);
	/* my_pthread.h: what the thread waits for, which KILL broadcasts. */
	struct st_my_thread_var *(*thread_var)(void);
	/* THD::awake_no_mutex() and the two mutexes that it wants held. */
	void (*awake)(MYSQL_THD thd, int killed_state);
	void (*kill_lock)(MYSQL_THD thd), (*kill_unlock)(MYSQL_THD thd);
	void (*data_lock)(MYSQL_THD thd), (*data_unlock)(MYSQL_THD thd);
	/* sys_var::value_ptr(), and the object of max_statement_time. */
	const void *(*var_value)(const void *var, MYSQL_THD thd, int type, const MYSQL_CONST_LEX_STRING *base);
	const void *max_statement_time;
	/* The name of each number of a statement's kind (thd_sql_command()). */
	const PSI_statement_info *statement;
};

extern struct server server;

/**
 * server_find - look everything up
 * @why: what is wrong, a sentence
 *
 * Once, before anything else here. Returns 0, or -ENOSYS.
 */
int server_find(char *why, size_t room);

/** server_kill_self - the statement that this thread runs ends as by KILL QUERY */
void server_kill_self(MYSQL_THD thd);

/** server_statement_time - max_statement_time of the session, ns; 0: none */
unsigned long long server_statement_time(MYSQL_THD thd);

/**
 * server_read - copy memory of this process that may not be there
 *
 * Returns false, instead of a fault, where it is not.
 */
bool server_read(void *to, const void *from, size_t len);

#endif
