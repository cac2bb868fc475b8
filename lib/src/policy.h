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
struct btn_resource;

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

/* Facts of a request that policies look at. */
struct btn_request_info {
	uint64_t arrival;	/* time of arrival, perhaps at another service */
	uint64_t number;	/* later requests have larger ones */
};

struct btn_task {
	/* Lending: core/lend.c. Valid while the task waits for a resource. */
	struct btn_task *next_lender, **prev_lender;	/* a leader's place in the list of lenders */
	struct btn_task *next_in_ring, *prev_in_ring;	/* leader and others, of one flow, in the order of their coming */

	struct btn_heap_node node;	/* place in its flow, by key and then seq */
	struct btn_request *req;
	const struct btn_request_info *info;
	uint64_t seq;		/* the order in which tasks became ready */
	uint64_t ready_at;	/* time since which the task waits */
	uint8_t state;		/* enum btn_task_state */
	bool ran;		/* the task had a slot before */
	bool for_lock;		/* blocked, and the wait is for a mutex */
	bool for_stream;	/* blocked, and the wait is for a stream */
	bool at_limit;		/* starved because of its tenant's limit on workers */
	bool attached;		/* the task is an attached thread's, which brings its own worker */
	bool stands_in;		/* blocked, with its place in its flow for the holder it waits for */
	bool leads;		/* waits, and is in the list of its resource's lenders */
	unsigned lent_slot;	/* 1 + the slot whose run the task pays for; 0: none */
	struct btn_resource *waits;	/* the resource the task waits for, as far as it lends; NULL: none */
	struct btn_resource *held;	/* resources that the task holds and others wait for */
};

struct btn_flow {
	struct btn_heap_node node;	/* place in its tier */
	struct btn_heap_node timer;	/* in core.releases, while throttled or in another tier */
	struct btn_line tasks;
	struct btn_tenant *tenant;
	struct btn_tier *tier;		/* the tier in which the flow stands now */
	struct btn_account *acct;	/* the account that pays there; NULL: only the tier's */
	uint64_t turn;			/* round robin: when it was last served */
	uint64_t throttled_at, throttled_total;
	struct btn_flow *next_waiting, **prev_waiting;	/* in core.waiting, while it stands in its tier; prev NULL: in none */
	uint64_t waits_since;		/* when it came there, or was served last */
	const struct btn_policy *order;	/* order of its tasks: the policy of its first tier */
	uint8_t kind;			/* enum btn_flow_kind */
	bool throttled;			/* has tasks, but nothing to pay with */
	bool open;			/* has tasks, and the driver is to hear when that ends: core.shut */
	struct btn_flow *next_shut;
};

struct btn_tier {
	struct btn_line flows;		/* flows with tasks that are not throttled */
	const struct btn_policy *policy;
	uint64_t vtime;		/* oversold: the tag last served */
	bool oversold;		/* more may be sold of it than there is */
	bool accounted;		/* the tier has a limit or a reserve: acct is kept */
	bool renewed;		/* the policy is a new one: btn_core_reshape() */
	bool sold;		/* tenants pay for it from an account of their own */
	uint8_t index;		/* number of the tier */
	uint8_t rank;		/* smaller ones go first */
	uint32_t share;		/* among tiers of the same rank */
	uint64_t tag;		/* place among tiers of the same rank */
	uint64_t reserve;	/* ns a second that come before any rank */
	uint64_t accounted_at;	/* time since which the tier is accounted */
	struct btn_account acct; /* quota: the tier's limit */
};

static inline bool btn_flow_empty(const struct btn_flow *f)
{
	return !btn_line_top(&f->tasks);
}

/* Valid where the flow is not empty. */
static inline struct btn_task *btn_flow_first(const struct btn_flow *f)
{
	return btn_container(btn_line_top(&f->tasks), struct btn_task, node);
}

#endif
