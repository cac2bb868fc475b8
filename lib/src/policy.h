/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * policy.h - in which order the tasks of a tier run.
 *
 * Ready tasks stand in flows: those of one tenant and one class. A policy is
 * two keys, smallest first: of a flow among the flows of its tier, and of a
 * task in its flow. Everything else (who may run at all, throttling, moving
 * between tiers) is the core's and the same for all policies, so a policy is
 * one file of a few lines and cannot break a promise, only an order.
 *
 * A flow's key may grow while the flow stands in its tier (time passes, CPU
 * is charged): the core asks again before it takes the flow. It may get
 * smaller only when a task joins the flow: the core asks then, too.
 */
#ifndef BTN_POLICY_H
#define BTN_POLICY_H

#include "heap.h"
#include "ledger.h"

struct btn_tier;
struct btn_flow;
struct btn_task;

struct btn_policy {
	const char *name;
	uint64_t (*flow_key)(const struct btn_tier *tier, const struct btn_flow *f);
	uint64_t (*task_key)(const struct btn_task *t);
	/* A task that had to stop keeps its place instead of going last. */
	bool keeps_place;
	/* An earlier key may stop a running task with a later one. */
	bool preempts;
};

extern const struct btn_policy btn_policy_fifo, btn_policy_lifo, btn_policy_rr,
	btn_policy_arrival, btn_policy_quota;

/* NULL where there is none of that name. */
const struct btn_policy *btn_policy_find(const char *name);

/* What the policies look at. */
struct btn_request_info {
	uint64_t arrival;	/* when it arrived, perhaps at another service */
	uint64_t number;	/* later requests have larger ones */
};

struct btn_task {
	struct btn_heap_node node;	/* in its flow; key, and seq below */
	struct btn_request *req;
	const struct btn_request_info *info;
	uint64_t seq;		/* the order in which tasks became ready */
	uint64_t ready_at;	/* since when it waits */
	uint64_t throttled_mark;	/* how long its flow had been throttled then */
	uint8_t state;		/* enum btn_task_state */
	bool ran;		/* it had a slot before */
	bool boosted;		/* others wait for what it holds */
	bool attached;		/* it brings its own worker */
};

struct btn_flow {
	struct btn_heap_node node;	/* in its tier */
	struct btn_heap_node timer;	/* while throttled, or away from its tier */
	struct btn_line tasks;
	struct btn_tenant *tenant;
	struct btn_tier *tier;		/* where it stands now */
	struct btn_account *acct;	/* and who pays there; NULL: only the tier */
	uint64_t turn;			/* round robin: when it was last served */
	uint64_t throttled_at, throttled_total;
	const struct btn_policy *order;	/* of its tasks: that of its first tier */
	uint8_t kind;			/* which of its tenant's flows it is */
	bool throttled;			/* has tasks, but nothing to pay with */
};

struct btn_tier {
	struct btn_heap flows;		/* with tasks, and not throttled */
	const struct btn_policy *policy;
	uint64_t vtime;		/* oversold: the tag last served */
	bool oversold;		/* more may be sold than there is */
	bool accounted;		/* it has a limit or a reserve: acct is kept */
	bool renewed;		/* its policy is a new one: btn_core_reshape() */
	bool sold;		/* tenants pay for it from an account of their own */
	uint8_t index;		/* which tier it is */
	uint8_t rank;		/* smaller ones go first */
	uint32_t share;		/* among tiers of the same rank */
	uint64_t tag;		/* likewise */
	uint64_t reserve;	/* ns a second that come before any rank */
	uint64_t accounted_at;	/* since when it is */
	struct btn_account acct; /* quota: the tier's limit */
};

static inline bool btn_flow_empty(const struct btn_flow *f)
{
	return !btn_line_top(&f->tasks);
}

/* It is not empty. */
static inline struct btn_task *btn_flow_first(const struct btn_flow *f)
{
	return btn_container(btn_line_top(&f->tasks), struct btn_task, node);
}

#endif
