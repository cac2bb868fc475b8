/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quotas that users have bought: mysql.baton_quotas, the tenants that are made of
 * it, and which one a user belongs to. quota.c says how it is changed.
 */
#ifndef BATON_MARIADB_QUOTA_H
#define BATON_MARIADB_QUOTA_H

#include <stdbool.h>
#include <stddef.h>

#include <baton/sched.h>
#include <baton/stats.h>
#include <baton/sync.h>

#define QUOTA_NAME 64		/* bytes of a tenant's name, with the 0 at its end */

/* Tiers beside the two that are sold; their numbers are their places in quota.c. */
enum { QUOTA_TIER_ADMIN = 2, QUOTA_TIER_SHORT, QUOTA_TIER_UNLOCK, QUOTA_TIER_SPARE };

/* A user, as a connection keeps it. */
struct quota_user {
	struct baton_tenant *tenant;	/* NULL: not looked up yet, or nothing to be had */
	unsigned long generation;	/* the quotas' in which it was looked up */
	enum baton_class cls;
	unsigned low_ppm;
	char name[QUOTA_NAME];		/* the tenant's */
};

/**
 * quota_init - the scheduler to be
 * @slots: 0: a slot for each CPU of this process
 * @page: name or path for baton_stats_publish(); NULL or "": none
 * @why: what was wrong, a sentence
 *
 * Without any quota: each user has a tenant of its own, and they share.
 * Returns 0, where @why may say what is not as it should be, or else is "", or -errno.
 */
int quota_init(unsigned slots, const char *page, char *why, size_t room);

/**
 * quota_end - let everybody go on, and end the scheduler
 *
 * Waits up to a second until nobody holds a tenant or the figures any more. Where
 * somebody still does the scheduler stays, idle, for a quota_init() to come.
 */
void quota_end(void);

/** quota_lift - nobody is throttled, as long as that lasts; the table is kept for later */
void quota_lift(bool lift);

/** quota_stats - the scheduler's figures, until quota_stats_end(); -ESHUTDOWN: there is none */
int quota_stats(struct baton_stats **out);
void quota_stats_end(struct baton_stats *st);

/** quota_detection - by what means it sees who blocks, or why not */
void quota_detection(char *text, size_t room);

/**
 * quota_load - the tenants are what the table says, from now on; all of it, or nothing
 * @missing: set where the table is not there, which is no error: nobody has bought anything
 *
 * On a thread of the server's, with its SQL. Returns 0, or -errno and @why.
 */
int quota_load(bool *missing, char *why, size_t room);

/** quota_generation - another one: a connection's quota_user is to be looked up again */
unsigned long quota_generation(void);

/**
 * quota_find - the tenant of this user
 * @q: zeroed, or what an earlier call left
 *
 * Any thread. A user that nobody has seen before is made a tenant. Returns 0 or -errno.
 */
int quota_find(struct quota_user *q, const char *user, size_t len);

/** quota_put - the connection does not need it any more */
void quota_put(struct quota_user *q);

/**
 * quota_helper_begin - the calling thread is a task of the plugin's own, until quota_helper_end()
 *
 * @tier: QUOTA_TIER_UNLOCK: before all that is sold, and at most a quarter of the machine; QUOTA_TIER_SPARE:
 * what nobody else wants, and a hundredth at least, so that the wait ends
 *
 * Of a tenant that nobody sees. Waits until it has a slot. Returns 0 or -errno.
 */
int quota_helper_begin(struct baton_tenant **tenant, unsigned tier);
void quota_helper_end(struct baton_tenant *tenant);

/** quota_mutex_create - of the scheduler there is. @epoch: which one that is. Returns 0 or -errno. */
int quota_mutex_create(struct baton_mutex **out, unsigned long *epoch);

/** quota_epoch - of the scheduler there is: a mutex of another one is of no use */
unsigned long quota_epoch(void);

/** quota_users - how many tenants there are */
size_t quota_users(void);

/** quota_class - of a tenant's row; false: there is no such tenant */
bool quota_class(const char *tenant, enum baton_class *cls, bool *has_row);

#endif
