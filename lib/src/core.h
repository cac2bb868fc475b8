/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * core.h - what the scheduler decides, as a state machine: events go in with
 * the time at which they happened, decisions come out. No clock, no thread, no
 * lock, and no memory of its own but what it was made with: sched.c drives it
 * with real threads under one lock, selftests/sim with virtual ones.
 *
 * A driver, after each event, in this order:
 *   - btn_core_done() until NULL: requests that ended, were dropped or rejected;
 *   - btn_core_idle() and btn_core_pick() until either finds nothing: slots
 *     that were idle and now have a task;
 *   - btn_core_poke() until -1: slots whose task must reach a checkpoint soon;
 *   - and again at btn_core_next() at the latest, with btn_core_tick().
 * When the task in a slot reaches a checkpoint after its grant ended or it was
 * poked, blocks or ends, the driver says so with btn_core_stop() and picks.
 */
#ifndef BTN_CORE_H
#define BTN_CORE_H

#include "page.h"
#include "policy.h"

#define BTN_TIERS_MAX	8
#define BTN_LOW		0	/* the low-latency tier */
#define BTN_HIGH	1	/* the high-latency tier */
#define BTN_DEADLINE_MIN 10000000ULL	/* Q9: soft deadlines are not shorter */

enum btn_class { BTN_CRITICAL, BTN_TOLERANT, BTN_BATCH, BTN_INTERNAL };

/* A tenant's groups; further tiers have one each, from BTN_LANE_TIERS on. */
enum btn_lane { BTN_LANE_FRESH, BTN_LANE_CRITICAL, BTN_LANE_TOLERANT, BTN_LANE_BATCH, BTN_LANE_TIERS };

/* STARVED: its turn came, but no worker could be had. URGENT: others wait for it. */
enum btn_task_state {
	BTN_TASK_READY, BTN_TASK_STARVED, BTN_TASK_URGENT, BTN_TASK_RUNNING, BTN_TASK_BLOCKED, BTN_TASK_ENDED,
};

enum btn_stop { BTN_STOP_YIELD, BTN_STOP_BLOCK, BTN_STOP_END };

struct btn_request {
	struct btn_request_info info;
	struct btn_tenant *tenant;
	struct btn_request *next_done;
	struct btn_task *first;		/* until it started */
	struct btn_heap_node timer;	/* the deadline, until it started */
	uint64_t deadline;		/* BTN_NEVER: none */
	uint64_t cpu, waited, held;	/* ns: ran, ready, nothing to pay with */
	uint64_t quota, used;		/* its tenant's, where it was given up */
	unsigned tasks;			/* that have not ended */
	int told;			/* -ETIME or -ECANCELED, for its checkpoints */
	int result;			/* once done */
	uint8_t class, tier;
	bool started, done;
};

struct btn_tenant {
	struct btn_account acct[2];	/* BTN_LOW, BTN_HIGH */
	unsigned requests;		/* in flight */
	unsigned held;			/* groups */
	bool leaving;
	uint64_t owed[BTN_TIERS_MAX];	/* refunded; its figures do not go back, but wait */
	struct baton_stats_tenant *stats;
	struct btn_group group[];
};

struct btn_run {
	struct btn_task *task;		/* NULL: the slot is idle */
	struct btn_group *group;
	struct btn_tier *tier;
	struct btn_account *acct;
	uint64_t grant;		/* what was reserved */
	uint64_t length;	/* and for how long it may run */
	uint64_t start, key, vstart, tier_vstart;
	bool poked;
	bool told;		/* it is among the pokes */
	bool reserve;		/* it runs on its tier's reserve */
	bool metered;		/* its grant is reserved in the tier's account, too */
};

struct btn_core {
	unsigned slots, tiers;
	unsigned room;			/* how many slots there may be */
	unsigned span;			/* slots, and those after them whose last task still runs */
	uint64_t capacity;		/* ns a second */
	uint64_t slice;			/* the longest grant */
	uint64_t low_limit;		/* Q6: what may be sold of BTN_LOW */
	uint64_t low_sold, reserved;	/* ns a second */
	uint64_t seq, requests;
	uint64_t rank_vtime[BTN_TIERS_MAX];
	struct btn_tier tier[BTN_TIERS_MAX];
	unsigned workers;		/* that tasks yet to start may take */
	struct btn_heap deadlines, releases, starved, urgent;
	struct btn_request *done, **done_last;
	struct btn_run *run;		/* room for so many */
	unsigned *idle, n_idle, *pokes, n_pokes;
	void *memory;
	struct btn_stock *stock;	/* of what tenants take; NULL: malloc's */
	struct btn_page page;		/* the figures that others see */
};

struct btn_tier_setup {
	const struct btn_policy *policy;
	unsigned rank;
	uint32_t share;			/* >= 1 */
	uint64_t reserve;		/* ns a second */
	uint64_t limit;			/* ns a second; 0: none */
};

/*
 * tiers: at least BTN_LOW and BTN_HIGH. -EINVAL: counts out of range, a share
 * of 0, or more reserved, with low_limit, than there is. -ENOMEM.
 */
int btn_core_init(struct btn_core *c, unsigned slots, unsigned room, const struct btn_tier_setup *tiers,
		  unsigned n_tiers, uint64_t low_limit);
void btn_core_fini(struct btn_core *c);

/*
 * Other slots, as many tiers with other rules, another limit of what is sold. In
 * this order, at one time, with nothing in between:
 *   - btn_core_can_reshape(): -ERANGE: more slots than there is room for;
 *     -EINVAL: as btn_core_init();
 *   - each tenant is lifted: its tasks stand nowhere;
 *   - btn_core_reshape(), which cannot fail;
 *   - each tenant is put back: its tasks stand where the new rules want them.
 * Tenants' quotas stay as they are, in ns: btn_core_tenant_set() is for the caller.
 *
 * Why no promise breaks:
 *   - Accounts keep their logs, and what is reserved in them stays until the runs
 *     that it is for stop. So what ledger.h claims holds, for the quota in force
 *     at each grant. A tier that gets its first limit knows of what runs only from
 *     then on: the limit holds in seconds that begin after the change, but for grants
 *     that were out at that time.
 *   - A slot that is no more gets no task from then on. The one that it has is to
 *     stop at its next checkpoint, like one that is preempted, and stands among
 *     the others then. Until then there is one more slot than there should be.
 *   - Keys of another policy, and tags of another rank, are of another scale. They
 *     all begin anew: tasks and groups are sorted anew, and a tier with another
 *     rank begins where that rank is, as one that had nothing to do until now.
 */
int btn_core_can_reshape(const struct btn_core *c, unsigned slots, const struct btn_tier_setup *tiers,
			 uint64_t low_limit);
void btn_core_tenant_lift(struct btn_core *c, struct btn_tenant *t, uint64_t now);
void btn_core_reshape(struct btn_core *c, unsigned slots, const struct btn_tier_setup *tiers, uint64_t low_limit,
		      uint64_t now);
void btn_core_tenant_put(struct btn_core *c, struct btn_tenant *t, uint64_t now);

/* A tenant is 4 KiB for each quota above 0 and a little more, from c->stock. */
int btn_core_tenant(struct btn_core *c, struct btn_tenant **out, uint64_t low, uint64_t high, uint64_t now);
/* What that takes, for a stock: of BTN_STOCK_CORE, and for each quota of BTN_STOCK_LOG. */
size_t btn_core_tenant_size(const struct btn_core *c);
#define BTN_LOG_SIZE	(BTN_LOG * sizeof(struct btn_log))
/* -ENOSPC: more of BTN_LOW sold than low_limit. -ENOMEM. Nothing changed then. */
int btn_core_tenant_set(struct btn_core *c, struct btn_tenant *t, uint64_t low, uint64_t high, uint64_t now);
/* So that set to these cannot fail for want of memory. -ENOMEM. */
int btn_core_tenant_prepare(struct btn_core *c, struct btn_tenant *t, uint64_t low, uint64_t high);
/* No request is in flight. Its low-latency quota may be sold again. */
void btn_core_tenant_free(struct btn_core *c, struct btn_tenant *t);

/*
 * r->tenant, class, tier (of BTN_INTERNAL), info.arrival and deadline are set.
 * 0, and t waits for a slot; -EDQUOT: no quota now (critical) or ever;
 * -ETIME: the deadline is past; -EINVAL: it is nearer than BTN_DEADLINE_MIN to the
 * arrival; -ESHUTDOWN: the tenant is leaving. On an error
 * r and t are the caller's again.
 */
int btn_core_submit(struct btn_core *c, uint64_t now, struct btn_request *r, struct btn_task *t);
/* For how long one that has not started had nothing to pay with. */
uint64_t btn_request_held(const struct btn_request *r, uint64_t now);
/* One more task of a request that has one which has not ended. */
void btn_core_spawn(struct btn_core *c, uint64_t now, struct btn_request *r, struct btn_task *t);
/* A blocked task can go on. */
void btn_core_ready(struct btn_core *c, uint64_t now, struct btn_task *t);
/* A ready task that has run is blocked again. */
void btn_core_unready(struct btn_core *c, uint64_t now, struct btn_task *t);
/* Not started: it never runs, and is done with why. Else it is told why. */
void btn_core_cancel(struct btn_core *c, uint64_t now, struct btn_request *r, int why);
/*
 * Somebody else's task waits for a lock that this one holds (on), or no more:
 * meanwhile it goes before all others, whatever its quota says, and what it
 * uses is charged as an overrun. So nobody waits for a lock longer than it is
 * held.
 */
void btn_core_urge(struct btn_core *c, uint64_t now, struct btn_task *t, bool on);
/* CPU that a request used elsewhere (Q11), or without a slot. */
void btn_core_charge(struct btn_core *c, uint64_t now, struct btn_request *r, uint64_t cpu);

/*
 * So much was charged to a request since then, by stops of its runs in this tier,
 * and not used. tier < 0: by btn_core_charge(). since 0: nobody knows to whom, and the
 * quota is as if it had been used; so it is where that is a second ago.
 */
void btn_core_refund(struct btn_core *c, uint64_t now, struct btn_request *r, int tier, uint64_t since, uint64_t cpu);

/* The task in this slot used so much CPU since it was picked, and stops. */
void btn_core_stop(struct btn_core *c, uint64_t now, unsigned slot, uint64_t cpu, enum btn_stop why);
/* The next task for an idle slot, running from now on; NULL: none may run. */
struct btn_task *btn_core_pick(struct btn_core *c, uint64_t now, unsigned slot);
/* One more worker for a task that has not run yet; pick takes one for each. */
void btn_core_worker(struct btn_core *c, uint64_t now);

void btn_core_tick(struct btn_core *c, uint64_t now);
uint64_t btn_core_next(struct btn_core *c, uint64_t now);

unsigned btn_core_rank(const struct btn_core *c, const struct btn_task *t);	/* of its tier */
bool btn_core_waits(struct btn_core *c, uint64_t now);	/* a task that could run */
struct btn_task *btn_core_first(struct btn_core *c, uint64_t now);	/* likely the next; NULL: none waits */
int btn_core_idle(struct btn_core *c);			/* a slot, or -1 */
/* If it is idle, it may be the next one that btn_core_idle() names. */
void btn_core_prefer(struct btn_core *c, unsigned slot);
int btn_core_poke(struct btn_core *c);			/* a slot, or -1 */
struct btn_request *btn_core_done(struct btn_core *c);	/* or NULL */

#endif
