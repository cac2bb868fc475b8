/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections and what they run: when a statement becomes its user's request,
 * waits, is refused, ends. conn.c says how; hooks.c calls it.
 */
#ifndef BATON_MARIADB_CONN_H
#define BATON_MARIADB_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "conns.h"

struct conn_stats {
	uint64_t statements, rejected, timed_out, killed, unlocked;
	unsigned long connections, running, queued;
};

/** conn_enforce - statements are requests, from now on; or are not */
void conn_enforce(bool on);

/** conn_late_after - what took so long is late, ns */
void conn_late_after(uint64_t ns);

/** conn_forget_all - none holds a tenant any more, but for those with a statement under way */
void conn_forget_all(void);

/*
 * Calls for the calling thread. A statement has a begin and an end; those of stored
 * routines are within it. thd: of the server's thread, never NULL.
 */
void conn_connected(MYSQL_THD thd);
void conn_gone(MYSQL_THD thd);
/* The thread is about to wait for its client's next command. */
void conn_idle(void);
void conn_thread_ends(void);
void conn_begin(MYSQL_THD thd);
/* A statement that no client sent: of an event. */
void conn_begin_event(void);
/* Which command it is, an enum enum_server_command. */
void conn_command(int command);
void conn_text(const char *text, size_t len);
/* A prepared statement begins; `unlocks` as words_unlock() said of it. */
void conn_execute(const char *text, bool unlocks);
/* The statement is parsed and about to be executed. */
void conn_parsed(void);
void conn_end(void);
/* The server says that it waits, and for what: a thd_wait_type. */
void conn_wait_begin(int type);
void conn_wait_end(void);

void conn_stats(struct conn_stats *out);

#endif
