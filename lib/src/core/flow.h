/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/flow.h - flows: where ready tasks wait; and which running task has to give way to them. */
#ifndef BTN_FLOW_H
#define BTN_FLOW_H

#include "types.h"

static inline bool btn_account_can_pay(struct btn_account *a, uint64_t now)
{
	return (now < a->expires && now >= btn_account_owes_until(a) && a->used + a->reserved + a->min <= a->quota) ||
	       btn_account_left(a, now) >= a->min;
}

/* The tenant's tasks have as many workers as they may have. */
static inline bool btn_tenant_is_full(const struct btn_tenant *t)
{
	return t->workers_max && t->workers >= t->workers_max;
}

/* A task that waits until its tenant is not full goes back to where it stood. False: there is none, or the tenant is. */
bool btn_flow_feed(struct btn_core *c, uint64_t now, struct btn_tenant *t);

/* Figures of a tenant in a tier. */
static inline struct baton_stats_use *btn_tenant_use(const struct btn_tenant *t, unsigned tier)
{
	return &t->stats->tier[tier];
}

static inline struct baton_stats_use *btn_request_use(const struct btn_request *r)
{
	return btn_tenant_use(r->tenant, r->class == BTN_INTERNAL ? r->tier : r->class == BTN_BATCH);
}

/* Shows what is used of a quota. */
static inline void btn_tenant_show(const struct btn_tenant *t, unsigned tier, uint64_t now)
{
	struct baton_stats_use *u = btn_tenant_use(t, tier);

	if (tier > BTN_HIGH)
		return;
	btn_stat_set(&u->used, t->acct[tier].used + t->acct[tier].reserved);
	btn_stat_set(&u->used_at, now);
}

/* The flow in which the tasks of a request stand, or would stand if they were ready. */
/* Flows of each tenant. */
static inline unsigned btn_flow_each(const struct btn_core *c)
{
	return BTN_FLOW_TIERS + c->tiers - 2;
}

/* The kind of flow in which a request's tasks stand. tier: where the class is BTN_INTERNAL; started: where it is BTN_CRITICAL. */
static inline unsigned btn_flow_kind(enum btn_class class, unsigned tier, bool started)
{
	switch (class) {
	case BTN_CRITICAL:
		return started ? BTN_FLOW_CRITICAL : BTN_FLOW_FRESH;
	case BTN_TOLERANT:
		return BTN_FLOW_TOLERANT;
	case BTN_BATCH:
		return BTN_FLOW_BATCH;
	default:
		return BTN_FLOW_TIERS + tier - 2;
	}
}

static inline struct btn_flow *btn_flow_of_request(const struct btn_request *r)
{
	return &r->tenant->flow[btn_flow_kind(r->class, r->tier, r->started)];
}

static inline struct btn_flow *btn_flow_of(const struct btn_task *t)
{
	return btn_flow_of_request(t->req);
}

/* Puts a flow into its tier's heap, by its key. */
void btn_flow_enter(struct btn_core *c, struct btn_flow *f);
/*
 * True: the flow, whose key is this one now, does not stand where it belongs. Its key has grown, or its first task has gone,
 * since it was put there.
 */
static inline bool btn_flow_is_stale(const struct btn_flow *f, uint64_t key)
{
	return key != f->node.key || btn_flow_first(f)->info->arrival != f->node.seq;
}

/* Takes a flow out of its tier, or ends its being throttled. */
void btn_flow_take_out(struct btn_core *c, uint64_t now, struct btn_flow *f);
/* Puts a flow that has tasks and stands nowhere into a tier, or throttles it. */
void btn_flow_place(struct btn_core *c, uint64_t now, struct btn_flow *f);
/* ns for which the flow was throttled, since it was made. */
static inline uint64_t btn_flow_throttled_until(const struct btn_flow *f, uint64_t now)
{
	return f->throttled_total + (f->throttled ? now - f->throttled_at : 0);
}

/* A task of the flow, which stands in its tier, gets a slot. */
void btn_flow_go_last(struct btn_core *c, uint64_t now, struct btn_flow *f);
static inline void btn_flow_served(struct btn_core *c, uint64_t now, struct btn_flow *f)
{
	/* The only one is the last one already. */
	if (c->waiting == f && !f->next_waiting)
		f->waits_since = now;
	else
		btn_flow_go_last(c, now, f);
}
/*
 * The flow that has not been served for BTN_OVERDUE_NS, though it and its tier can pay; from
 * now on that time begins anew. NULL: there is none.
 */
struct btn_flow *btn_flow_overdue(struct btn_core *c, uint64_t now);

/* Sets need_resched for the running task that should give way to f most. */
void btn_flow_preempt(struct btn_core *c, uint64_t now, struct btn_flow *f);

/* Puts a task into its flow, whatever its state, and takes it out. */
static inline __attribute__((always_inline)) void btn_flow_add_to(struct btn_core *c, uint64_t now, struct btn_flow *f, struct btn_task *t)
{
	bool first;

	t->node.key = f->order->task_key(t);
	t->node.seq = t->seq;
	btn_line_add(&f->tasks, &t->node);
	first = btn_line_top(&f->tasks) == &t->node;
	if (!f->throttled && !btn_heap_has(&f->node)) {
		btn_flow_place(c, now, f);
	} else if (first && !f->throttled) {
		btn_line_del(&f->tier->flows, &f->node);
		btn_flow_enter(c, f);
	}
	if (first && !f->throttled)
		btn_flow_preempt(c, now, f);
}

void btn_flow_add(struct btn_core *c, uint64_t now, struct btn_task *t);
/* The flow, which is open, is so no more: the driver hears of it. */
static inline void btn_flow_shut(struct btn_core *c, struct btn_flow *f)
{
	f->open = false;
	f->next_shut = c->shut;
	c->shut = f;
}

/* Shuts all flows of the tenant: what its next requests meet may be another answer. */
void btn_flow_shut_all(struct btn_core *c, struct btn_tenant *t);
static inline void btn_flow_remove_from(struct btn_core *c, uint64_t now, struct btn_flow *f, struct btn_task *t)
{
	btn_line_del(&f->tasks, &t->node);
	if (!btn_flow_empty(f))
		return;
	btn_flow_take_out(c, now, f);
	if (btn_unlikely(f->open))
		btn_flow_shut(c, f);
}

static inline void btn_flow_remove(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	btn_flow_remove_from(c, now, btn_flow_of(t), t);
}

/*
 * A task becomes ready (join); goes back without a new time of waiting (rejoin); is not ready
 * any more (leave).
 */
static inline __attribute__((always_inline)) void btn_flow_join(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	struct btn_flow *f = btn_flow_of(t);

	t->ready_at = now;
	btn_span_begin(&t->req->ready, now);
	t->req->throttled -= btn_flow_throttled_until(f, now);
	t->state = BTN_TASK_READY;
	btn_flow_add_to(c, now, f, t);
}

void btn_flow_rejoin(struct btn_core *c, uint64_t now, struct btn_task *t);
/* The wait that began with btn_flow_join() is over: before its request starts, or the task leaves. */
static inline void btn_flow_end_wait_in(const struct btn_flow *f, uint64_t now, struct btn_task *t)
{
	btn_span_end(&t->req->ready, now);
	t->req->throttled += btn_flow_throttled_until(f, now);
}

static inline void btn_flow_end_wait(uint64_t now, struct btn_task *t)
{
	btn_flow_end_wait_in(btn_flow_of(t), now, t);
}

void btn_flow_leave(struct btn_core *c, uint64_t now, struct btn_task *t);

/* Places the tenant's throttled flows anew: quota may be there now, or sooner than it seemed. */
void btn_tenant_unthrottle(struct btn_core *c, uint64_t now, struct btn_tenant *t);
/* ns that are left of the tier's reserve; too few are 0. */
uint64_t btn_tier_reserve_left(struct btn_tier *t, uint64_t now);

/* The slot may be given tasks from now on. */
static inline void btn_flow_open_slot(struct btn_core *c, uint64_t now, unsigned slot)
{
	c->idle[c->n_idle++] = slot;
	btn_stat_add(&c->page.slots[slot].idle, -now);
}

/* The last task of a slot that was removed has stopped. */
static inline void btn_flow_close_slots(struct btn_core *c)
{
	while (c->slots_in_use > c->slots && !c->run[c->slots_in_use - 1].task)
		c->slots_in_use--;
}

/* Sets need_resched for the slot's task. */
void btn_flow_resched(struct btn_core *c, unsigned slot);

#endif
