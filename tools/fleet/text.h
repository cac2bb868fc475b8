/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text.h - what stands in the store, as JSON: the key layout is in docs/fleet.md. What is read is checked in full: a
 * value of another format is refused whole, and the last good state stays.
 */
#ifndef FLEET_TEXT_H
#define FLEET_TEXT_H

#include "held.h"

struct fleet_setup {
	uint64_t places;
	uint64_t base_ppm;	/* the part of a rate that all bases together are */
};

struct fleet_node_text {
	char name[64];
	uint64_t life, capacity;
	bool fenced;
};

/* A heartbeat's text. */
struct fleet_alive_text {
	uint64_t seen;
	bool has_use;		/* an older agent's heartbeat says no more */
	bool scheduler;		/* a scheduler has joined */
	uint64_t used[2];	/* ns of CPU of the last second: by low-latency, by high-latency quotas */
};

/* The text of `quotas`, whose revision counts. */
#define FLEET_QUOTAS_TEXT "\"its revision is that of the last sale, or of the last place that was taken\""

/* Each returns NULL, or what is wrong. */
const char *fleet_read_setup(const char *text, struct fleet_setup *s);
const char *fleet_read_quota(const char *text, struct fleet_quota *q);
const char *fleet_read_node(const char *text, struct fleet_node_text *n);
const char *fleet_read_alive(const char *text, struct fleet_alive_text *a);
/* The record is malloc'ed; its rev is set by the caller. */
const char *fleet_read_held(const char *text, struct fleet_held **out);

/* Strings to be freed. */
char *fleet_write_setup(const struct fleet_setup *s);
char *fleet_write_quota(const struct fleet_quota *q);
char *fleet_write_node(const struct fleet_node_text *n);
char *fleet_write_alive(const struct fleet_alive_text *a);
char *fleet_write_held(const struct fleet_held *h);

/* Whether it can be a tenant's, or a node's, name in a key: printable, and no slash. */
bool fleet_name_ok(const char *name);

#endif
