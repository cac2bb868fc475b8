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

#include "catalog.h"
#include "db.h"

#define BATONDB_VERSION "0.1"
#define MS 1000000ULL

/* ---------------------------------------------------------- configuration */

struct conf {
	char *data_dir, *listen, *tls_cert, *tls_key, *auth, *log_level;
	int port, http_port, max_connections, slots, auth_timeout, idle_timeout, lock_idle_timeout;
	int low_limit;			/* % of capacity that may be sold */
	char *low_order, *high_order;	/* policies of the tiers that are sold */
	struct { int reserve, limit, share; } internal[2];	/* %, of the tiers that are not */
	size_t max_value, max_message;
	bool quotas, full_sync;
};
void conf_init(struct conf *c);
void conf_free(struct conf *c);
/* 0, or -1 with *why, which is good until the next call. */
int conf_set(struct conf *c, const char *key, const char *value, const char **why);
int conf_read(struct conf *c, const char *file, const char **why);

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

struct role_setting {
	char *name, *value;
	struct role_setting *next;
};

struct role {
	char name[64];
	uint32_t oid;
	bool super, login, createdb;
	char *verifier;			/* of SCRAM-SHA-256; NULL: no password */
	struct role_setting *settings;
	unsigned low_ppm, high_ppm;
	int cls;
	struct baton_tenant *tenant;
	struct hist latency;
	_Atomic uint64_t statements, rejected, cpu;	/* cpu: ns, of threads that have ended */
	unsigned sessions;
	bool dropped;
	struct role *next;
};

struct session;

struct server {
	struct conf conf;
	pthread_mutex_t lock;		/* lists, roles, control */
	struct role *roles;
	struct role_setting *settings;	/* ALTER SYSTEM */
	struct database *databases;
	struct session *sessions;
	unsigned n_sessions;
	int cpus;			/* that the server may use */
	pthread_cond_t ended;
	sqlite3 *control;
	struct baton_sched *sched;
	SSL_CTX *tls;
	_Atomic bool quotas, stopping;
	_Atomic uint64_t connections, refused;
	uint64_t started;
};
extern struct server server;

/* Roles and settings, kept in a database of their own: role.c. The lock is held. */
int role_load(const char **why);
struct role *role_find(const char *name);
/* NULL, or what is wrong; *code is then its SQLSTATE. */
const char *role_create(const char *name, bool super, bool login, bool createdb, const char *password, const char **code);
const char *role_drop(const char *name, const char **code);
const char *role_password(struct role *r, const char *password, const char **code);
const char *role_flags(struct role *r, const char **code);
/* r NULL: ALTER SYSTEM. value NULL: as it was at first. */
const char *role_set(struct role *r, const char *name, const char *value, const char **code);
const char *role_setting(const struct role *r, const char *name);
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
/* A password as a verifier, unless it is one: malloc'd. */
char *scram_verifier(const char *password);

/* Databases are files in data_dir/base. The lock is held. */
int database_load(const char **why);
struct database *database_find(const char *name);
const char *database_create(const char *name, const char **code);
const char *database_drop(const char *name, const char **code);

/* -------------------------------------------------------------- http.c */

int http_start(int port);
void http_stop(void);

#endif
