/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/types.h - what the core decides about: requests, tenants, tiers and slots. */
#ifndef BTN_CORE_TYPES_H
#define BTN_CORE_TYPES_H

#include "../page.h"
#include "../policy.h"

#define BTN_TIERS_MAX	8
#define BTN_LOW		0	/* the low-latency tier */
#define BTN_HIGH	1	/* the high-latency tier */
#define BTN_DEADLINE_MIN 10000000ULL	/* Q9: soft deadlines are not shorter */

enum btn_class { BTN_CRITICAL, BTN_TOLERANT, BTN_BATCH, BTN_INTERNAL };

/* A tenant's kinds of flows; further tiers have one each, from BTN_FLOW_TIERS on. */
enum btn_flow_kind { BTN_FLOW_FRESH, BTN_FLOW_CRITICAL, BTN_FLOW_TOLERANT, BTN_FLOW_BATCH, BTN_FLOW_TIERS };

/* STARVED: its turn came, but no worker could be had. BOOSTED: others wait for it. */
enum btn_task_state {
	BTN_TASK_READY, BTN_TASK_STARVED, BTN_TASK_BOOSTED, BTN_TASK_RUNNING, BTN_TASK_BLOCKED, BTN_TASK_ENDED,
};

enum btn_stop { BTN_STOP_YIELD, BTN_STOP_BLOCK, BTN_STOP_END };

struct btn_request {
	struct btn_request_info info;
	struct btn_tenant *tenant;
	struct btn_request *next_done;
	struct btn_task *first;		/* until it started */
	struct btn_heap_node timer;	/* the deadline, until it started */
	uint64_t deadline;		/* BTN_NEVER: none */
	uint64_t cpu, waited, throttled; /* ns: ran, ready, nothing to pay with */
	uint64_t quota, used;		/* its tenant's, where it was given up */
	unsigned tasks;			/* that have not ended */
	int cancel_pending;		/* -ETIME or -ECANCELED, for its checkpoints */
	int result;			/* once done */
	uint8_t class, tier;
	bool started, done;
};

struct btn_tenant {
	struct btn_account acct[2];	/* BTN_LOW, BTN_HIGH */
	unsigned requests;		/* in flight */
	unsigned throttled;		/* flows */
	bool leaving;
	uint64_t owed[BTN_TIERS_MAX];	/* refunded; its figures do not go back, but wait */
	struct baton_stats_tenant *stats;
	struct btn_flow flow[];
};

struct btn_run {
	struct btn_task *task;		/* NULL: the slot is idle */
	struct btn_flow *flow;
	struct btn_tier *tier;
	struct btn_account *acct;
	uint64_t reserved;	/* of acct, for this slice */
	uint64_t slice;		/* for how long the task may run */
	uint64_t start, key, vstart, tier_vstart;
	bool need_resched;
	bool listed;		/* in core.resched */
	bool reserve;		/* it runs on its tier's reserve */
	bool accounted;		/* what is reserved is so in the tier's account, too */
};

struct btn_core {
	unsigned slots, tiers;
	unsigned slots_max;		/* how many slots there may be */
	unsigned slots_in_use;		/* slots, and those after them whose last task still runs */
	uint64_t capacity;		/* ns a second */
	uint64_t slice_max;
	uint64_t low_limit;		/* Q6: what may be sold of BTN_LOW */
	uint64_t low_sold, reserved;	/* ns a second */
	uint64_t seq, requests;
	uint64_t rank_vtime[BTN_TIERS_MAX];
	struct btn_tier tier[BTN_TIERS_MAX];
	unsigned workers;		/* that tasks yet to start may take */
	struct btn_heap deadlines, releases, starved, boosted;
	struct btn_request *done, **done_last;
	struct btn_run *run;		/* slots_max of them */
	unsigned *idle, n_idle, *resched, n_resched;
	void *memory;
	struct btn_prealloc *prealloc;	/* of what tenants take; NULL: malloc's */
	struct btn_page page;		/* the figures that others see */
};

struct btn_tier_setup {
	const struct btn_policy *policy;
	unsigned rank;
	uint32_t share;			/* >= 1 */
	uint64_t reserve;		/* ns a second */
	uint64_t limit;			/* ns a second; 0: none */
};

#endif
