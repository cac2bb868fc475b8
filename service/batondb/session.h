/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.h - one connection, on a thread of its own.
 *
 * While it answers, the thread is a task of its user's tenant (work.c). It is
 * so from the first message that wants something done until ReadyForQuery, or,
 * in a transaction, until that ends; meanwhile, where it waits for the client,
 * it has no slot.
 */
#ifndef BATONDB_SESSION_H
#define BATONDB_SESSION_H

#include "check.h"
#include "funcs.h"
#include "lex.h"
#include "proto.h"
#include "server.h"
#include "types.h"

enum state { STATE_STARTUP, STATE_IDLE, STATE_QUEUED, STATE_LOCK, STATE_ACTIVE };
enum tx { TX_NONE, TX_OPEN, TX_FAILED };

struct stmt {
	char *name, *source;
	const char *tag;		/* CommandComplete's */
	enum guard_kind kind;
	bool counts_rows, counts_changes;	/* behind the tag */
	bool writes;			/* needs the database's write lock */
	unsigned views;			/* the server's tables that it reads */
	sqlite3_stmt *st;		/* NULL: util.c's, or empty */
	bool empty, lasting;		/* lasting: allowed in a failed transaction */
	uint32_t *types;		/* parameters' */
	uint8_t *given;			/* types that the client has said, as they came */
	unsigned n_given, alters;	/* alters: the database's when it was made */
	int *places;			/* parameters' in SQLite's statement, 0: it has none of this number */
	unsigned n_params;
	uint32_t *cols;			/* types; 0: as the first row has it */
	char **names;
	int n_cols;
	/* The portal: a statement has one at a time. */
	char *portal;			/* the name; NULL: it has none */
	uint32_t *portal_cols;		/* types as they were described, where the first row decides */
	bool row, done;			/* row: st stands on one that was not sent */
	uint64_t sent;
	struct stmt *next;
};

/* SET changes them. */
struct session_settings {
	char application[64];
	uint64_t statement_timeout;	/* ns */
	int cls;
	bool reject_40001;
};

struct peer {
	char text[64], address[48];
	bool local, unix_socket;	/* local: the client is on this machine */
	uid_t uid;			/* the user of a client on a unix socket, or -1 */
};

struct session {
	struct session *next, **prev;
	pthread_t thread;
	clockid_t clock;		/* CPU time of the thread */
	pthread_mutex_t lock;		/* query and settings, while others look */
	int fd;
	SSL *ssl;
	struct peer peer;
	bool encrypted;			/* nobody else can read it */
	uint32_t pid, key;
	uint64_t began, arrived;	/* ns */

	struct buf in, out;
	size_t in_at;
	int rcv_timeout;

	struct role *role;
	struct database *database;
	sqlite3 *db;
	struct guard guard;
	char *params;			/* startup packet, as it came */
	const char *user, *database_name;	/* names that the client has said, in params */
	struct session_settings set, initial;	/* initial: what RESET makes of them */

	enum tx tx;
	bool altered;			/* the schema, in this transaction */
	unsigned alters;		/* the database's, when SQLite last looked at the schema */
	bool implicit;			/* SQLite is in a transaction that nobody began */
	bool locked, lock_task;		/* holds the database's write lock; as a task */
	bool skipping;			/* after an error, to the next Sync */
	bool extended;			/* the message is not a simple query */
	struct stmt *stmts;
	unsigned n_stmts, n_portals;
	sqlite3_stmt *begin, *commit;

	/* Work. */
	bool working, away, task;
	unsigned pins;			/* others that are at its request (server.lock) */
	struct baton_request *request;
	uint64_t deadline;		/* the statement's; 0: none */
	_Atomic int cancel;		/* 1: the statement, 2: the session */
	bool timed_out;
	_Atomic int state;
	uint64_t query_start;
	char query[256];
	int64_t memory;			/* bytes at the end of the last answer */
	bool started;			/* not counted as one that logs in any more */
	bool dead;			/* the connection is to be closed */
};

/* session.c */
void session_start(int fd, const struct peer *peer);
void session_stop_all(bool now);	/* with the lock */
/* The session's last request is put once nobody else is at it. */
void session_unpin(struct session *s);
/*
 * Ends what a session is at (how 1) or itself (2): for one's own or a superuser's, or (who NULL) a cancel request with its key. 1: done,
 * 0: there is none, -1: not allowed.
 */
int session_end(const struct session *who, uint32_t pid, uint32_t key, int how);
/* A tenant's figures, as in the columns of baton_stat_tenants: % and ms. */
enum {
	TENANT_LOW, TENANT_HIGH, TENANT_CPU_LOW, TENANT_CPU_HIGH, TENANT_ADMITTED, TENANT_REJECTED, TENANT_DROPPED, TENANT_FINISHED,
	TENANT_THROTTLED, TENANT_WAIT_P50, TENANT_WAIT_P99, TENANT_P50, TENANT_P99, TENANT_P999, TENANT_QUEUED, TENANT_RUNNING,
	TENANT_CPU, TENANT_MEMORY, TENANT_VALUES
};
struct tenant_figures {
	const struct role *role;
	const char *cls;
	double v[TENANT_VALUES];
};
/* All tenants': how many, and *out, malloc'd. */
unsigned session_tenants(struct tenant_figures **out);

/* CPU of the session's thread, ns, as the kernel counts it. */
uint64_t session_cpu(const struct session *s);

/* view.c */
/* The server's tables, while the server's own statements are allowed (GUARD_INTERNAL). */
int view_register(sqlite3 *db);
/* Tables that a statement reads (view_is()) get their rows, as they are now. An error of SQLite's, or 0. */
int view_fill(struct session *s, unsigned which);

/* report.c: errors: the transaction fails, and the message's rest is skipped. False, always. */
#define err(S, CODE, ...) err_hint(S, CODE, NULL, __VA_ARGS__)
bool err_hint(struct session *s, const char *code, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
bool err_db(struct session *s, int rc);
bool err_syntax(struct session *s, const struct lex_tok *t);
void notice(struct session *s, const char *code, const char *text);	/* a warning */
/* The connection ends. False. */
bool fatal(struct session *s, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* net.c: false when the connection is gone. */
bool net_message(struct session *s, struct proto_msg *m, bool begin);
bool net_flush(struct session *s);
bool net_tls(struct session *s);
void net_timeout(struct session *s, int seconds);	/* 0: none */
/* Output that is ready goes out once there is this much of it. */
#define OUT_HIGH 65536

/* auth.c */
bool auth(struct session *s);

/* work.c */
bool work_begin(struct session *s);
void work_pause(struct session *s);
void work_end(struct session *s);
/* For the write lock, and a transaction of SQLite. */
bool work_write(struct session *s);
/* Ends what there is of a transaction. */
bool work_commit(struct session *s);
void work_rollback(struct session *s);
/* A statement's time begins. */
void work_clock(struct session *s);
int work_progress(void *session);
/* Whether a statement of s->db ends when it was cancelled or its time is over. */
void work_watch(struct session *s, bool on);
void work_sleep(struct session *s, double seconds);
/* The server's own statement. */
bool work_exec(struct session *s, const char *sql);

/* stmt.c */
/* Prepares; NULL after an error. Drop it with exec_drop(). */
struct stmt *exec_make(struct session *s, const char *name, const char *text, size_t n, const uint8_t *oids, unsigned n_oids);
void exec_drop(struct stmt *st);
/* The type of parameter k, as the client has said, or 0. */
uint32_t stmt_given(const struct stmt *st, unsigned k);

/* exec.c */
bool exec_simple(struct session *s, const char *text);
bool exec_parse(struct session *s, const struct proto_parse *p);
bool exec_bind(struct session *s, const struct proto_bind *b);
bool exec_describe(struct session *s, char kind, const char *name);
bool exec_execute(struct session *s, const char *portal, uint32_t rows);
void exec_close(struct session *s, char kind, const char *name);
void exec_close_portals(struct session *s);
void exec_forget(struct session *s);	/* drops every statement */
/* A statement (S), or the one that has a portal (P), by its name; NULL: there is none. */
struct stmt *exec_find(struct session *s, char kind, const char *name);
/* A statement without parameters; send: its rows and its end are told. */
bool exec_run(struct session *s, const char *text, size_t n, bool send);

/* forms.c: what clients send word for word and SQLite cannot take, in its words: malloc'd, or NULL. internal: it reads the schema. */
char *form_of(const char *text, size_t n, bool *internal);

/* util.c: what is no statement of SQLite's. st: its tag and whether it lasts are filled in; false: it is none. */
bool util_is(struct stmt *st, const struct lex_tok *t);
bool util_run(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *text);
/* copy.c */
bool copy_run(struct session *s, const struct lex_tok *t, const struct lex_tok *end, const char *text);

/* settings.c */
const char *setting_get(struct session *s, const char *name);	/* NULL: no such */
/* NULL, or what is wrong. */
const char *setting_set(struct session *s, const char *name, const char *value);
void settings_begin(struct session *s);
void settings_report(struct session *s);

#endif
