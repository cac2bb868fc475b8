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
#define BTN_OVERDUE_NS	1000000000ULL	/* a flow that could pay and was not served for so long is overdue */

enum btn_class { BTN_CRITICAL, BTN_TOLERANT, BTN_BATCH, BTN_INTERNAL };

/* The flows of a tenant; each further tier has one, from BTN_FLOW_TIERS on. */
enum btn_flow_kind { BTN_FLOW_FRESH, BTN_FLOW_CRITICAL, BTN_FLOW_TOLERANT, BTN_FLOW_BATCH, BTN_FLOW_TIERS };

/*
 * STARVED: the task's turn came, but no worker could be had.
 */
enum btn_task_state {
	BTN_TASK_READY, BTN_TASK_STARVED, BTN_TASK_RUNNING, BTN_TASK_BLOCKED, BTN_TASK_ENDED,
};

/* A resource is held by one task and waited for by others: a lock. All 0: nobody waits. */
struct btn_resource {
	struct btn_task *holder;	/* NULL: nobody waits */
	struct btn_task *lenders;	/* waiters: a leader of each flow, and all that hold a resource themselves */
	struct btn_resource *next, **prev;	/* in holder->held */
};

enum btn_stop { BTN_STOP_YIELD, BTN_STOP_BLOCK, BTN_STOP_END };

/*
 * Time that tasks of a request spend in a state: begin and end are added with their signs, so
 * what is still open follows from how many are in it.
 */
struct btn_span {
	uint64_t ns;
	unsigned n;
};

static inline void btn_span_begin(struct btn_span *s, uint64_t now)
{
	s->ns -= now;
	s->n++;
}

static inline void btn_span_end(struct btn_span *s, uint64_t now)
{
	s->ns += now;
	s->n--;
}

static inline uint64_t btn_span_sum(const struct btn_span *s, uint64_t now)
{
	return s->ns + s->n * now;
}

struct btn_request {
	struct btn_request_info info;
	struct btn_tenant *tenant;
	struct btn_request *next_done;
	struct btn_task *first;		/* the first task, until the request started */
	struct baton_stats_use *use;	/* figures of its class, from its submit on */
	uint64_t deadline;		/* BTN_NEVER: none */
	uint64_t cpu;
	struct btn_span ready;		/* tasks wait for a slot */
	struct btn_span starved;	/* the part of ready: for a thread */
	struct btn_span blocked;	/* tasks wait for something else */
	struct btn_span locked;		/* the part of blocked: for a mutex */
	struct btn_span streamed;	/* the part of blocked: for a stream */
	uint64_t throttled;		/* the part of ready with nothing to pay with; less each open one's mark: btn_request_throttled() */
	uint64_t quota, used;		/* the tenant's, when the request was rejected or dropped */
	unsigned overdue;		/* how often its flow was overdue, and its task the first one */
	unsigned tasks;			/* tasks that have not ended */
	int cancel_pending;		/* -ETIME or -ECANCELED, for the checkpoints */
	int result;			/* valid when done */
	uint8_t class, tier;
	bool started, done;
	bool told;			/* tells of a request that was refused, and goes beyond requests_max */
	struct btn_heap_node timer;	/* in core.deadlines; valid where there is a deadline */
};

struct btn_tenant {
	struct btn_account acct[2];	/* BTN_LOW, BTN_HIGH */
	unsigned requests, requests_max;	/* requests in flight, and how many there may be; 0: any number */
	unsigned pending;		/* requests that the driver accepted and has not admitted yet, as of a submit */
	void *owner;			/* the driver's */
	unsigned workers, workers_max;	/* workers that the tenant's tasks have, and may have; 0: any number */
	struct btn_heap starved;	/* tasks that wait until workers is below workers_max */
	unsigned throttled;		/* flows that are throttled */
	bool leaving;
	uint64_t owed[BTN_TIERS_MAX];	/* refunded CPU: figures never go back, but stand still by so much */
	struct baton_stats_tenant *stats;
	struct btn_flow flow[];
};

struct btn_run {
	struct btn_task *task;		/* NULL: the slot is idle */
	struct btn_task *lender;	/* the waiter in whose place the task runs; NULL: in its own */
	struct btn_flow *flow;		/* the flow, and so the tenant, whose place it is */
	struct btn_tier *tier;
	struct btn_account *acct;
	uint64_t reserved;	/* ns of acct's quota that this slice reserved */
	uint64_t slice;		/* ns that the task may run, from start on */
	uint64_t followed;	/* ns of the run that others used, before this task followed them */
	uint64_t began;		/* time at which the run got the slot; start: at which its task did */
	uint64_t start, key, vstart, tier_vstart;
	uint64_t settled;	/* ns of the run that a lender has paid */
	bool need_resched;
	bool forced;		/* the task was stopped by force, at the end of its slice */
	bool cut;		/* the task was stopped by force before that: what it overruns says nothing of the end of a slice */
	bool listed;		/* the slot is in core.resched */
	bool reserve;		/* the run uses the tier's reserve */
	bool accounted;		/* `reserved` is reserved in the tier's account, too */
};

struct btn_core {
	unsigned slots, tiers;
	unsigned slots_max;		/* slots for which there is memory */
	unsigned slots_in_use;		/* slots, and those after them whose last task still runs */
	uint64_t capacity;		/* ns a second */
	bool paced;			/* the capacity is less than a second for each slot */
	uint64_t earned;		/* when all CPU that was used is earned: core.c, "Less than the slots" */
	uint64_t slice_max;
	uint64_t low_limit;		/* Q6: what may be sold of BTN_LOW */
	uint64_t low_sold, high_sold, reserved;	/* ns a second */
	uint64_t seq, requests;
	uint64_t rank_vtime[BTN_TIERS_MAX];
	struct btn_tier tier[BTN_TIERS_MAX];
	unsigned ready;			/* a bit for each tier in which flows stand */
	unsigned workers;		/* workers that tasks yet to start may take */
	unsigned workers_reserved;	/* workers, among those, that only tasks of the best rank may take */
	struct btn_heap deadlines, releases, starved;
	struct btn_flow *waiting, **waiting_last;	/* flows that stand in tiers, by waits_since */
	struct btn_flow *shut;		/* flows that are not open any more, for the driver, which empties the list */
	struct btn_request *done, **done_last;
	struct btn_run *run;		/* slots_max runs */
	unsigned *idle, n_idle, *resched, n_resched;
	void *memory;
	struct btn_prealloc *prealloc;	/* memory of tenants; NULL: malloc() */
	struct btn_page page;		/* figures that other processes see */
};

struct btn_tier_setup {
	const struct btn_policy *policy;
	unsigned rank;
	uint32_t share;			/* >= 1 */
	uint64_t reserve;		/* ns a second */
	uint64_t limit;			/* ns a second; 0: none */
};

#endif
