/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/flow.h - who waits, and where; and which of those that run has to give way. */
#ifndef BTN_FLOW_H
#define BTN_FLOW_H

#include "types.h"

static inline bool btn_account_can_pay(struct btn_account *a, uint64_t now)
{
	return (now < a->expires && now >= btn_account_owes_until(a) && a->used + a->reserved + a->min <= a->quota) ||
	       btn_account_left(a, now) >= a->min;
}

/* The figures of a tenant in a tier; a request's, where its class is at home. */
static inline struct baton_stats_use *btn_tenant_use(const struct btn_tenant *t, unsigned tier)
{
	return &t->stats->tier[tier];
}

static inline struct baton_stats_use *btn_request_use(const struct btn_request *r)
{
	return btn_tenant_use(r->tenant, r->class == BTN_INTERNAL ? r->tier : r->class == BTN_BATCH);
}

/* What is left of a quota, for others to see. */
static inline void btn_tenant_show(const struct btn_tenant *t, unsigned tier, uint64_t now)
{
	struct baton_stats_use *u = btn_tenant_use(t, tier);

	if (tier > BTN_HIGH)
		return;
	btn_stat_set(&u->used, t->acct[tier].used + t->acct[tier].reserved);
	btn_stat_set(&u->used_at, now);
}

/* Where a task stands or would stand when it is ready. */
struct btn_flow *btn_flow_of(const struct btn_task *t);
/* Into its tier's heap, by its key. */
void btn_flow_enter(struct btn_core *c, struct btn_flow *f);
/* Out of its tier, or out of being throttled. */
void btn_flow_take_out(struct btn_core *c, uint64_t now, struct btn_flow *f);
/* A flow that has tasks and stands nowhere: into a tier, or throttled. */
void btn_flow_place(struct btn_core *c, uint64_t now, struct btn_flow *f);
/* For how long it was throttled, ever. */
uint64_t btn_flow_throttled_until(const struct btn_flow *f, uint64_t now);

/* A task becomes ready; rejoin: without a new time of waiting; leave: it is not any more. */
void btn_flow_join(struct btn_core *c, uint64_t now, struct btn_task *t);
void btn_flow_rejoin(struct btn_core *c, uint64_t now, struct btn_task *t);
void btn_flow_leave(struct btn_core *c, uint64_t now, struct btn_task *t);

/* Groups of this tenant that wait for quota may get it now, or sooner. */
void btn_tenant_unthrottle(struct btn_core *c, uint64_t now, struct btn_tenant *t);
/* What is left of the tier's reserve; too little is nothing. */
uint64_t btn_tier_reserve_left(struct btn_tier *t, uint64_t now);

/* It may be given tasks from now on. */
static inline void btn_slot_open(struct btn_core *c, uint64_t now, unsigned slot)
{
	c->idle[c->n_idle++] = slot;
	btn_stat_add(&c->page.slots[slot].idle, -now);
}
/* The last task of one that is no more has stopped. */
static inline void btn_slots_close(struct btn_core *c)
{
	while (c->slots_in_use > c->slots && !c->run[c->slots_in_use - 1].task)
		c->slots_in_use--;
}

/* The slot's task must reach a checkpoint soon. */
void btn_flow_resched(struct btn_core *c, unsigned slot);
/* Stops one running task that should give way to f, the worst of them. */
void btn_flow_preempt(struct btn_core *c, uint64_t now, struct btn_flow *f);

#endif
