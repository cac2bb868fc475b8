/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shard/types.h - a scheduler of shards: what belongs to a slot, to a shard, and to all of them. */
#ifndef BTN_SHARD_TYPES_H
#define BTN_SHARD_TYPES_H

#include "../core/types.h"
#include "../lease.h"
#include "board.h"
#include "ready.h"

#define BTN_SHARDS_MAX	64
#define BTN_SLOT_LEASES	8	/* leases that a slot keeps at once */

/* Kinds of posts, which are pushed into a shard's inbox. OPEN: a tenant can pay again. LOOK: a tier can. */
enum btn_post_kind { BTN_POST_SUBMIT, BTN_POST_SPAWN, BTN_POST_READY, BTN_POST_OPEN, BTN_POST_LOOK };

struct btn_post {
	struct btn_inbox_node node;
	uint8_t kind;
	_Atomic bool posted;	/* OPEN and LOOK: it is in the inbox already */
};

struct btn_shard_task {
	struct btn_task t;
	struct btn_post post;
};

struct btn_shard_request {
	struct btn_request r;		/* with the lock of its shard, from submit to done */
	struct btn_shard_tenant *tenant;
	unsigned home;			/* the shard in whose core all its tasks are */
};

/* An account that slots lease from: a tenant's quota in a tier, or a tier's limit. */
struct btn_fund {
	struct btn_lock lock;
	struct btn_account acct;	/* with the lock */
	uint64_t now;			/* the account's clock, which does not go back */
	uint64_t shut;			/* shards that were refused, and wait for it */
	_Atomic uint64_t tag;		/* the account's, as of the last change */
	struct btn_shard_tenant *tenant; /* NULL: a tier's */
};

/*
 * A tenant in one shard: its flows. The accounts in t have no log and nothing is used of them; they
 * are closed by a debt until the time at which the fund may pay.
 */
struct btn_shard_part {
	struct btn_tenant *t;
	struct btn_post post;		/* OPEN */
};

struct btn_shard_tenant {
	struct btn_fund fund[2];	/* BTN_LOW, BTN_HIGH */
	_Atomic bool leaving;
	struct btn_shard_part part[];	/* a part for each shard */
};

struct btn_slot_lease {
	struct btn_lease l;
	struct btn_fund *fund;
	uint64_t since;			/* the end of the last run on it, or the time of its take */
	bool runs;
};

struct btn_slot {
	/* The slot's own thread. */
	struct btn_slot_lease lease[BTN_SLOT_LEASES];
	struct btn_slot_lease *pays, *tier_pays; /* the run's; NULL: it has none */
	struct btn_shard *runs_of;	/* the shard whose task runs here; NULL: the slot is idle */
	struct btn_shard *left;		/* something was runnable there after the last stop */
	uint64_t served[BTN_TIERS_MAX];	/* service of tiers that share a rank, not yet in shards.tag */
	/* Any thread. */
	BTN_ALIGNED _Atomic uint64_t running; /* the run's place, as ready.best; 0: idle */
	_Atomic uint32_t flags;		/* BTN_SLOT_* */
};

#define BTN_SLOT_RESCHED 1u	/* the task is to stop at its next checkpoint */
#define BTN_SLOT_LOOK	 2u	/* something came into the slot's own shard */

struct btn_shard {
	struct btn_ready ready;
	struct btn_core core;		/* with the lock; its slots are those of all shards */
	struct btn_post look;		/* LOOK */
	_Atomic uint64_t next;		/* when btn_shards_tick() is due */
	unsigned index;
};

struct btn_shards {
	struct btn_board board;
	unsigned shards, slots, tiers;
	unsigned per;			/* slots of a shard: slot i is shard (i / per)'s own */
	uint64_t low_limit, low_sold;	/* the caller serialises changes */
	_Atomic unsigned open;		/* slots that take tasks: the first so many */
	_Atomic uint64_t turn;		/* the next shard for a request from outside */
	struct btn_fund tier_fund[BTN_TIERS_MAX];
	struct btn_log *logs;
	bool rank_shared[BTN_TIERS_MAX]; /* several tiers have this rank */
	/* Virtual times of all shards; each shard's own may be a lease ahead. */
	_Atomic uint64_t vtime[BTN_TIERS_MAX], tag[BTN_TIERS_MAX], rank_vtime[BTN_TIERS_MAX];
	struct btn_slot *slot;
	struct btn_shard *shard;
};

/* Consequences of a call, for its caller, who holds nothing any more. */
struct btn_shard_out {
	unsigned wakes;
	unsigned wake[BTN_SHARDS_MAX + 8]; /* idle slots to be woken, each once */
	struct btn_request *done;	/* requests that ended, linked by next_done */
};

#endif
