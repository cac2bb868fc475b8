/* SPDX-License-Identifier: GPL-2.0-or-later */
/* state.h - what an agent knows, for its rooms: scheduler.h, store.h, place.h, rates.h. One thread has all of it. */
#ifndef FLEET_STATE_H
#define FLEET_STATE_H

#include "agent.h"
#include "client.h"
#include "figures.h"
#include "member.h"
#include "process.h"
#include "text.h"

#define AGENT_NO_CAP	UINT64_MAX

struct pair {
	char *key;			/* TENANT/CLASS, of the keys below held/ and quota/ */
	bool is_low;
	struct fleet_quota quota;
	struct fleet_held *held;	/* the newest record; NULL: none was seen */
	bool exists;			/* in the store */
	struct fleet_part part;
	struct fleet_demand demand;
	struct fleet_held *write;
	char *write_text;
	uint64_t write_quota, write_node, resend;
	bool due, alone, in_flight;	/* due: to be sent; alone: in a transaction of its own */
	/* The scheduler. */
	uint64_t cap, blocked;
	uint64_t told_base, told_rate, told_bought, told_seq, sent_seq, acked;
	uint64_t used[FLEET_STEPS], use;	/* above base; use: of the last second, with base */
	bool is_short, active;
};

struct agent {
	const struct agent_options *o;
	struct etcd *e;
	char below[300], beyond[300];	/* the range watched: prefix + 'b' to prefix + 'z'; alive/ is not in it */
	struct fleet_setup setup;
	struct fleet_peer peer[FLEET_PLACES];
	char name[FLEET_PLACES][64];
	uint64_t capacity[FLEET_PLACES];
	uint64_t said_fence[FLEET_PLACES];	/* the alive key's revision, and one */
	bool unread[FLEET_PLACES];	/* the place's key has a value in another format */
	unsigned place;
	bool has_place, joined, joining, beating, reading, watching, stale, went_back, alone, behind, had_client, full, writing;
	uint64_t life, node_rev, revision, quotas_rev, refused;
	struct fleet_session session;
	struct fleet_client may;	/* the client that it may tell */
	struct process who;		/* the client */
	int who_ends, told_ends;	/* readable once the client, and who was told last, has ended; -1: it has, or nobody sees */
	uint64_t next_beat, next_read, said_until, low_room;
	uint64_t read_at, read_ms;	/* all was asked for then, and was to come within so long */
	uint64_t settled;		/* all that was seen until this revision the scheduler keeps to */
	void *tree;
	struct pair **pair;
	unsigned pairs, room, due;	/* due: of pairs, to be written */
	unsigned complaints;		/* keys that could not be read, of what came just now */
	int listener, client;
	bool hears, told_unseen, said_note;	/* the client is told; it is told, though it cannot be seen */
	pid_t said_refused;
	struct figures *figures;
	uint64_t beats, applied, not_applied, unanswered;	/* for figures.h */
};

/* CLOCK_BOOTTIME, which a node's services have in common with it; ns. */
uint64_t agent_now(void);
__attribute__((format(printf, 2, 3))) void agent_say(const struct agent *a, const char *fmt, ...);
/* Keys of the store, to be freed. */
char *agent_key(const struct agent *a, const char *folder, const char *name);
char *agent_place_key(const struct agent *a, const char *folder, unsigned place);
/* The pair of TENANT/low or TENANT/high; NULL: the key is neither, or nothing is known of it and make is false. */
struct pair *agent_find_pair(struct agent *a, const char *key, bool make);

#endif
