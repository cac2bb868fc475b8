/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view.h - all that the store has of a fleet, read at one revision: for people, and for what is computed from all of it (a sale). One
 * thread; each call but the last waits for etcd.
 */
#ifndef FLEET_VIEW_H
#define FLEET_VIEW_H

#include <stdio.h>

#include "etcd.h"
#include "member.h"
#include "text.h"

/* Where the store is. */
struct fleet_store {
	struct etcd_options etcd;
	const char *prefix;	/* keys begin with it; ends with a slash */
};

struct fleet_rate {
	char key[80];		/* TENANT/CLASS, or what else stands below quota/ and held/ */
	struct fleet_quota quota;
	struct fleet_held *held;	/* NULL: nobody held anything yet */
};

struct fleet_view {
	const struct fleet_store *store;
	struct etcd *e;
	uint64_t revision, quotas_rev;
	struct fleet_setup setup;
	bool has_setup;
	struct fleet_node_text node[FLEET_PLACES];
	struct fleet_alive_text alive[FLEET_PLACES];
	uint64_t node_rev[FLEET_PLACES], alive_rev[FLEET_PLACES];	/* 0: no such key */
	unsigned unread;	/* keys whose values are in another format */
	struct fleet_rate **rate;	/* in the order of their keys, but for those that fleet_view_rate() added */
	size_t rates;
	void *tree;
};

/* To be closed whatever is returned: 0; 1 or 2, what the verb ends with, all is said to stderr. */
int fleet_view_open(struct fleet_view *v, const struct fleet_store *store);
/*
 * Everything anew. Values of another format are named on `said` (NULL: nowhere) and counted. Returns 0; or 1: etcd_error(v->e) says
 * what went wrong, and the view is empty.
 */
int fleet_view_read(struct fleet_view *v, FILE *said);
/* The rate of this key, which is made where there is none. */
struct fleet_rate *fleet_view_rate(struct fleet_view *v, const char *key);
/* TENANT/low: 0, TENANT/high: 1, tenant being a name; -1: neither. */
int fleet_view_class(const char *key, char tenant[64]);
/* Whether an entry is its node's: of a place that is there, and of a life that goes on. */
bool fleet_view_holds(const struct fleet_view *v, const struct fleet_entry *e);
void fleet_view_close(struct fleet_view *v);

#endif
