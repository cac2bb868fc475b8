/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * server.h - what all connections share: the configuration, roles and
 * databases, the scheduler, and the list of sessions.
 */
#ifndef BATONDB_SERVER_H
#define BATONDB_SERVER_H

#include <baton/baton.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "db.h"
#include "mem.h"

#define MS 1000000ULL

struct conf {
	char *data_dir, *listen, *socket_dir, *user, *tls_cert, *tls_key, *auth, *fleet_socket;
	int port, http_port, auth_timeout, idle_timeout, lock_idle_timeout, statement_timeout;
	int max_connections, reserved, max_unauthenticated, per_user, per_address, max_statements;
	size_t max_value, max_message, session_memory, tenant_memory, server_memory, temp_limit, database_limit;
	bool quotas, full_sync, tls_required;
	struct baton_config *tiers;
};
void conf_init(struct conf *c);
void conf_free(struct conf *c);
/* Understands text (to which it may add), after conf_init(). 0, or an error that why says. */
int conf_parse(struct conf *c, struct buf *text, const char *name, char *why, size_t room);
/* Takes over what may change while the server runs; a line of log for each thing that is another now. */
void conf_reload(struct conf *c, const struct conf *from);

/* A line on stderr. */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A sentence about what is wrong; good until the thread's next call. */
const char *why_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A histogram of the library's to which any thread may add. */
void hist_add(struct baton_hist *h, uint64_t ns);

/* The part of a role that is kept. */
struct role_is {
	bool super;
	int cls;
	unsigned low_ppm, high_ppm;
	char *verifier;			/* for SCRAM-SHA-256; NULL: no password */
};

/* Roles stay in memory until the process ends. */
struct role {
	char name[64];
	struct role_is is;
	struct baton_tenant *tenant;
	struct mem_tenant memory;
	struct baton_hist latency;
	_Atomic uint64_t cpu;		/* ns, of threads that have ended */
	unsigned sessions;
	bool dropped;
	struct role *next;
};

struct session;

struct server {
	struct conf conf;
	/*
	 * admin: one statement at a time that changes roles, databases or the system; it writes what it
	 * changes and then, with lock, changes what all read. Nothing of the library's is called with lock.
	 */
	pthread_mutex_t admin, lock;
	struct role *roles;
	struct database *databases;
	struct session *sessions;
	unsigned n_sessions, n_startup;	/* startup: of those, not logged in */
	int slots;
	unsigned low_limit_ppm;
	pthread_cond_t ended;
	sqlite3 *control;
	struct baton_sched *sched;
	struct baton_fleet *fleet;	/* NULL: in none */
	SSL_CTX *tls;
	unsigned char secret[32];	/* for salts of users that there are not */
	_Atomic bool quotas, stopping;
	_Atomic uint64_t connections;
};
extern struct server server;

/* Roles, kept in a database of their own: role.c. NULL, or what is wrong. */
const char *role_load(void);
struct role *role_find(const char *name);	/* with the lock */
struct priv;
/*
 * Does it, for who may; takes both locks. NULL, or what is wrong, which is good until the thread's next call; *code is then its
 * SQLSTATE, and nothing has changed.
 */
const char *role_do(const struct priv *p, const char *self, const char **code);
/* Each write of a change asks this first where it is set: for tests, which have it fail. */
extern bool (*role_fault)(void);
/*
 * The classes: of <baton/sched.h>, and in the place of BATON_INTERNAL the two
 * tiers that nobody buys, for the superuser's own work.
 */
#define CLASS_INTERNAL_HIGH BATON_INTERNAL
#define CLASS_INTERNAL_LOW (BATON_INTERNAL + 1)
#define TIER_INTERNAL_HIGH 2
/* NULL, or what is wrong. super: he may have every class. */
const char *class_parse(const char *s, bool super, int *out);
const char *class_name(int cls);
/* A password as a verifier, unless it is one: malloc'd. None fits the empty one. */
char *scram_verifier(const char *password);

/* Databases are files in data_dir/base: base.c. NULL, or what is wrong. */
const char *database_load(void);
struct database *database_find(const char *name);	/* with the lock */
const char *database_create(const char *name, const char **code);
const char *database_drop(const char *name, const char **code);
/* Copies of all databases and of control.db in a new directory, of a server that runs or does not. */
const char *backup_to(const char *data_dir, const char *to);

int http_start(int port);
void http_stop(void);

#endif
