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

#include "funcs.h"
#include "proto.h"
#include "server.h"
#include "sql.h"

struct savepoint {
	struct savepoint *next;
	char name[64];
};

enum state { STATE_STARTUP, STATE_IDLE, STATE_QUEUED, STATE_LOCK, STATE_ACTIVE };
enum tx { TX_NONE, TX_OPEN, TX_FAILED };

struct stmt {
	char *name, *source;
	uint64_t hash;			/* of the source, in the cache */
	struct sql sql;			/* of SQL_READ, SQL_WRITE, SQL_EXPLAIN */
	sqlite3_stmt *st;		/* NULL: a utility statement, or not prepared yet */
	uint32_t *oids;			/* of parameters */
	unsigned n_params;
	struct coltype *cols;
	char **names;
	int n_cols;
	bool busy;			/* a portal runs st */
	unsigned alters, ddls;		/* the database's and the session's when it was made */
	struct stmt *next;
};

struct portal {
	char *name;
	struct stmt *stmt;
	sqlite3_stmt *st;
	bool own;			/* st is not stmt's */
	uint16_t *formats;
	unsigned n_formats;
	bool described, row, done;	/* row: st stands on one that was not sent */
	uint64_t sent;
	struct portal *next;
};

#define N_SETTINGS 48

struct session {
	struct session *next, **prev;
	pthread_t thread;
	clockid_t clock;		/* its CPU time */
	pthread_mutex_t lock;		/* request, query, db while others look */
	int fd;
	SSL *ssl;
	char peer[64];
	uint32_t pid, key;
	uint64_t began, arrived;	/* ns */

	struct buf in, out;
	size_t in_at;
	int rcv_timeout;

	struct role *role;
	struct database *database;
	sqlite3 *db;
	struct funcs_env env;
	char *settings[N_SETTINGS];	/* NULL: the default */
	char *initial[N_SETTINGS];	/* what RESET makes of them: NULL: the default */
	struct savepoint *savepoints;	/* that SQLite does not know of yet, the latest first */
	struct set_undo *undo;		/* of this transaction, the latest first */
	int cls;
	uint64_t statement_timeout, lock_timeout;	/* ns */
	bool reject_40001;

	enum tx tx;
	bool implicit;			/* SQLite is in a transaction that nobody began */
	bool locked, lock_task;		/* holds the database's write lock; as a task */
	bool snapshot, read_only;	/* of this transaction */
	bool skipping;			/* after an error, to the next Sync */
	bool single;			/* the message has one statement */
	bool extended;			/* the message is not a simple query */
	struct stmt *stmts, *cache;
	unsigned n_cache;
	struct portal *portals;
	struct held *held;		/* cursors WITH HOLD */
	unsigned helds;			/* ever */
	sqlite3_stmt *begin, *commit, *relation;
	bool catalog;			/* its views are there */
	unsigned ddls;			/* statements that changed the schema, done and undone */
	bool altered;			/* so did one of this transaction, for others too */

	/* Work. */
	bool working, away, task;
	struct baton_request *request;
	uint64_t deadline;		/* of the statement; 0: none */
	_Atomic int cancel;		/* 1: the statement, 2: the session */
	bool timed_out;
	_Atomic int state;
	uint64_t query_start, xact_start;
	char query[256];
	bool dead;			/* the connection is to be closed */
	int64_t changes;
};

/* session.c */
void session_start(int fd, const char *peer);
void session_stop_all(bool now);
int session_signal(uint32_t pid, int how);	/* found? */
void session_cancel(uint32_t pid, uint32_t key);
void session_activity(struct cat_rows *rows);
void tenant_rows(struct cat_rows *rows);

/* Errors: the transaction fails, and the message's rest is skipped. False, always. */
bool err(struct session *s, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool err_at(struct session *s, const struct sql_error *e, const char *source);
bool err_db(struct session *s, int rc, const struct stmt *st);
bool err_hint(struct session *s, const char *code, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void notice(struct session *s, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void fatal(struct session *s, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

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
bool work_read(struct session *s);
/*
 * Savepoints before anything is written are names: there is nothing to go back to.
 * The first write makes them SQLite's. False: there is none of this name.
 */
bool work_savepoint(struct session *s, const char *name);
bool work_back_to(struct session *s, const char *name, bool release);
/* Ends what there is of a transaction. */
bool work_commit(struct session *s);
void work_rollback(struct session *s);
/* A statement's time begins. */
void work_clock(struct session *s);
int work_progress(void *session);
void work_sleep(struct session *s, double seconds);
bool work_exec(struct session *s, const char *sql);

/* exec.c */
bool exec_simple(struct session *s, const char *text);
bool exec_parse(struct session *s, const struct proto_parse *p);
bool exec_bind(struct session *s, const struct proto_bind *b);
/* Without the answer to Bind. */
bool exec_bind_only(struct session *s, const struct proto_bind *b);
bool exec_describe(struct session *s, char kind, const char *name);
bool exec_execute(struct session *s, const char *portal, uint32_t rows);
/* Rows of a cursor, described, without CommandComplete. */
bool exec_fetch(struct session *s, const char *name, uint32_t max, uint64_t *count);
void exec_close(struct session *s, char kind, const char *name);
void exec_close_portals(struct session *s);
void exec_forget(struct session *s, bool all);	/* cached, and with all named, statements */
struct stmt *exec_find(struct session *s, const char *name);
bool exec_named(struct session *s, const char *name, const char *text, size_t n, const uint8_t *oids, unsigned n_oids);
/* Rewrites and prepares; NULL after an error. */
struct stmt *exec_make(struct session *s, const char *name, const char *text, size_t n, const uint8_t *oids, unsigned n_oids);
void exec_drop(struct stmt *st);
/* One text column, for SHOW and the like. */
void row_header(struct session *s, const char *name);
void row_text(struct session *s, const char *value);

/* schema.c */
void schema_booleans(sqlite3 *db, struct lex_tok *tok);
/* What struct sql asks; its arg is the sqlite3 *. */
extern const struct sql_schema schema;

/* util.c: what is no query. l: the tokens of the statement from t on. */
bool util_run(struct session *s, enum sql_kind kind, const char *tag, const struct lex_tok *t, const char *text);
bool util_rows(enum sql_kind kind);
bool util_lasting(enum sql_kind kind);	/* allowed in a failed transaction */
/* ddl.c */
bool ddl_run(struct session *s, enum sql_kind kind, const char *tag, const struct lex_tok *t, const char *text);
/* copy.c */
bool copy_run(struct session *s, const struct lex_tok *t);

/* cursor.c */
void cursor_drop_all(struct session *s);
void cursor_ended(struct session *s, bool committed);	/* a transaction is */

/* settings.c */
const char *setting_get(struct session *s, const char *name);	/* NULL: no such */
/* NULL, or what is wrong. role: from ALTER USER or startup, where more is allowed. */
const char *setting_set(struct session *s, const char *name, const char *value);
/*
 * Likewise, and undone with the transaction, or (local) at its end in any case.
 * Outside of one, what is local has no effect.
 */
const char *setting_change(struct session *s, const char *name, const char *value, bool local);
void settings_change_all(struct session *s);	/* to what they were at first */
/* Savepoints: what is set from here on; is undone to there; is kept as what was set before. */
void settings_mark(struct session *s, const char *name);
void settings_undo(struct session *s, const char *name);
void settings_release(struct session *s, const char *name);
void settings_end(struct session *s, bool commit);
void settings_reset(struct session *s);
void settings_forget(struct session *s);	/* at its end */
void settings_report(struct session *s);
void settings_rows(struct session *s, struct cat_rows *rows);

#endif
