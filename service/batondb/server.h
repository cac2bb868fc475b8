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

#include "db.h"
#include "mem.h"

#define BATONDB_VERSION "0.1"
#define MS 1000000ULL

/* ---------------------------------------------------------- configuration */

struct conf {
	char *data_dir, *listen, *socket_dir, *user, *tls_cert, *tls_key, *auth, *log_level;
	int port, http_port, slots, auth_timeout, idle_timeout, lock_idle_timeout;
	int max_connections, reserved, max_unauthenticated, per_user, per_address, max_statements;
	int low_limit;			/* % of capacity that may be sold */
	char *low_order, *high_order;	/* policies of the tiers that are sold */
	struct { int reserve, limit, share; } internal[2];	/* %, of the tiers that are not */
	size_t max_value, max_message, session_memory, tenant_memory, server_memory, temp_limit, database_limit;
	bool quotas, full_sync, tls_required;
};
void conf_init(struct conf *c);
void conf_free(struct conf *c);
/* 0, or -1 with *why, which is good until the next call. */
int conf_set(struct conf *c, const char *key, const char *value, const char **why);
int conf_read(struct conf *c, const char *file, const char **why);
/* What may change while the server runs; a line of log for each thing that is another now and may not. */
void conf_reload(struct conf *c, const struct conf *from);

/* --------------------------------------------------------------- log.c */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
void log_setup(const char *level);
/* One line of JSON on stderr: time, level, message, and pairs of name and value, then NULL. */
void log_line(enum log_level level, const char *message, ...) __attribute__((sentinel));

/* --------------------------------------------------------------- roles */

#define HIST_STEPS 128
/* Latencies: four steps an octave, from 1 us. */
struct hist {
	_Atomic uint64_t n[HIST_STEPS];
	_Atomic uint64_t count, sum_us;
};
void hist_add(struct hist *h, uint64_t ns);
double hist_quantile_ms(const struct hist *h, double q);
/* How many took at most 2^octave us. */
uint64_t hist_below(const struct hist *h, unsigned octave);

struct role_setting {
	char *name, *value;
	struct role_setting *next;
};

struct role {
	char name[64];
	uint32_t oid;
	bool super, login, createdb;
	int limit;			/* of connections, -1: none */
	char *verifier;			/* of SCRAM-SHA-256; NULL: no password */
	struct role_setting *settings;
	unsigned low_ppm, high_ppm;
	int cls;
	struct baton_tenant *tenant;
	struct mem_tenant memory;
	struct hist latency;
	_Atomic uint64_t statements, rejected, cpu;	/* cpu: ns, of threads that have ended */
	unsigned sessions;
	bool dropped;
	struct role *next;
};

struct session;

struct server {
	struct conf conf;
	/*
	 * admin: one statement at a time that changes roles, databases or the system; it writes what it
	 * changes and then, with lock, changes what all read: lists, roles, settings.
	 */
	pthread_mutex_t admin, lock;
	struct role *roles;
	struct role_setting *settings;	/* ALTER SYSTEM */
	struct database *databases;
	struct session *sessions;
	unsigned n_sessions, n_startup;	/* startup: of those, not logged in */
	int cpus;			/* that the server may use */
	pthread_cond_t ended;
	sqlite3 *control;
	struct guard control_guard;
	struct baton_sched *sched;
	SSL_CTX *tls;
	unsigned char secret[32];	/* for salts of users that there are not */
	_Atomic bool quotas, stopping;
	_Atomic uint64_t connections, refused;
	uint64_t started;
};
extern struct server server;

/* Roles and settings, kept in a database of their own: role.c. */
int role_load(const char **why);
/* With the lock. */
struct role *role_find(const char *name);
const char *role_setting(const struct role *r, const char *name);
struct priv;
/*
 * Does it, for who may; takes both locks. NULL, or what is wrong, which is good until the thread's next call; *code is then its
 * SQLSTATE, and nothing has changed.
 */
const char *role_do(const struct priv *p, const char *self, const char **code);
/* Each write of a change asks this first where it is set: for tests, which have it fail. */
extern bool (*role_fault)(void);
/* "10%", "0.1": parts per million, or -1. */
long ppm_parse(const char *s);
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

/* Databases are files in data_dir/base. */
int database_load(const char **why);
struct database *database_find(const char *name);	/* with the lock */
/* Copies of all databases and of control.db in a new directory, of a server that runs or does not. */
int backup_to(const char *data_dir, const char *to, const char **why);
/* What a setting may be set to by a user who is (super) a superuser; NULL, or what is wrong. settings.c */
const char *setting_check(const char *name, const char *value, bool super);

/* -------------------------------------------------------------- http.c */

int http_start(int port);
void http_stop(void);

#endif
