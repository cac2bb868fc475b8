/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections and what they run: when a statement becomes its user's request,
 * waits, is refused, ends. conn.c says how; hooks.c calls it.
 */
#ifndef BATON_MARIADB_CONN_H
#define BATON_MARIADB_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "late.h"
#include "server.h"

enum conn_state { CONN_IDLE, CONN_QUEUED, CONN_RUNS, CONN_LOCK_WAIT, CONN_SLEEPS, CONN_UNSCHEDULED };

/* SET SESSION baton_class, and what the table says where that is "default". */
enum conn_class { CONN_CLASS_DEFAULT, CONN_CLASS_CRITICAL, CONN_CLASS_TOLERANT, CONN_CLASS_BATCH };

struct conn;

/* What others are shown of a connection. */
struct conn_view {
	unsigned long id;
	char user[130], tenant[64];
	enum baton_class cls;
	enum conn_state state;
	bool stopped;			/* CONN_RUNS, without a slot */
	bool in_transaction;
	uint64_t since;			/* its statement began, CLOCK_MONOTONIC ns */
	struct baton_request_times times;
	struct baton_why why;
	char text[LATE_TEXT];
};

struct conn_stats {
	uint64_t statements, rejected, timed_out, killed, unlocked;
	unsigned long connections, running, queued;
};

/** conn_start - before conn_enforce(); conn_stop() when nothing is enforced any more. Returns 0 or -errno. */
int conn_start(void);
void conn_stop(void);

/** conn_enforce - statements are requests, from now on; or are not */
void conn_enforce(bool on);

/** conn_late_after - what took so long is late, ns */
void conn_late_after(uint64_t ns);

/** conn_forget_all - none holds a tenant any more, but for those with a statement under way */
void conn_forget_all(void);

/*
 * Of the calling thread. A statement has a begin and an end; those of stored
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
/* What was prepared; `unlocks` as conn_unlocks() said of it. */
void conn_execute(const char *text, bool unlocks);
/* It is parsed and about to be executed. */
void conn_parsed(void);
void conn_end(void);
/* The server says that it waits, and for what: a thd_wait_type. */
void conn_wait_begin(int type);
void conn_wait_end(void);

/** conn_unlocks - does this statement end a transaction, and nothing else? */
bool conn_unlocks(const char *text, size_t len);

/** conn_each - a copy of each; @fn ends it by returning something else than 0, which is returned */
int conn_each(int (*fn)(const struct conn_view *v, void *arg), void *arg);

void conn_stats(struct conn_stats *out);

#endif
