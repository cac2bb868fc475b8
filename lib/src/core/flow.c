// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where tasks wait. A group with no ready task stands nowhere; else in its
 * tier's heap, or held: out of the heap with a timer, because whoever pays for
 * it has nothing left. Tolerant groups stand in BTN_LOW while that account has
 * something, else in BTN_HIGH with a timer that brings them back.
 */
#include "flow.h"

/* A later key by less than this is not worth a switch. */
#define PREEMPT_NS	200000
/* Less of a tier's reserve is not worth a switch. */
#define RESERVE_MIN	50000

void btn_group_enter(struct btn_core *c, struct btn_group *g)
{
	g->node.key = g->tier->policy->group_key(g->tier, g);
	/* Of one tenant, in arrival order across its groups. */
	g->node.seq = btn_group_first(g)->info->arrival;
	btn_heap_add(&g->tier->groups, &g->node);
}

static void set_timer(struct btn_core *c, struct btn_group *g, uint64_t when)
{
	if (btn_heap_has(&g->timer))
		btn_heap_del(&c->releases, &g->timer);
	if (when == BTN_NEVER)
		return;
	g->timer.key = when;
	btn_heap_add(&c->releases, &g->timer);
}

void btn_group_take_out(struct btn_core *c, uint64_t now, struct btn_group *g)
{
	set_timer(c, g, BTN_NEVER);
	if (g->held) {
		g->held = false;
		g->held_total += now - g->held_at;
		btn_stat_add(&btn_tenant_use(g->tenant, g->tier->index)->throttled, now - g->held_at);
		g->tenant->held--;
	} else if (btn_heap_has(&g->node)) {
		btn_heap_del(&g->tier->groups, &g->node);
	}
}

/*
 * There is nothing left: what it did not use while it could is lost, and no reason to go
 * before others from now on. (Else who lost something once is always first, and whoever
 * is always last lacks what all of them wait for.)
 */
static void spent(struct btn_account *a, uint64_t now)
{
	if (a->tag < now)
		a->tag = now;
}

void btn_group_place(struct btn_core *c, uint64_t now, struct btn_group *g)
{
	struct btn_account *acct = g->tenant->acct;
	uint64_t when;

	if (btn_group_empty(g))
		return;
	if (g->lane == BTN_LANE_TOLERANT) {
		unsigned in = btn_account_can_pay(&acct[BTN_LOW], now) ? BTN_LOW : BTN_HIGH;

		g->tier = &c->tier[in];
		g->acct = &acct[in];
		if (in == BTN_HIGH) {
			spent(&acct[BTN_LOW], now);
			set_timer(c, g, btn_account_when(&acct[BTN_LOW], now));
		}
	}
	if (g->lane == BTN_LANE_CRITICAL) {
		/* In flight when its quota was sold to somebody else: it ends on the other. */
		unsigned in = acct[BTN_LOW].quota < acct[BTN_LOW].min ? BTN_HIGH : BTN_LOW;

		g->tier = &c->tier[in];
		g->acct = &acct[in];
	}
	/* Fresh critical ones without quota are for pick to reject. */
	if (g->lane == BTN_LANE_FRESH || !g->acct || btn_account_can_pay(g->acct, now)) {
		btn_group_enter(c, g);
		return;
	}
	when = btn_account_when(g->acct, now);
	if (btn_heap_has(&g->timer) && g->timer.key < when)
		when = g->timer.key;
	set_timer(c, g, when);
	spent(g->acct, now);
	g->held = true;
	g->held_at = now;
	g->tenant->held++;
}

struct btn_group *btn_group_of(const struct btn_task *t)
{
	const struct btn_request *r = t->req;
	struct btn_group *g = r->tenant->group;

	switch (r->class) {
	case BTN_CRITICAL:
		return &g[r->started ? BTN_LANE_CRITICAL : BTN_LANE_FRESH];
	case BTN_TOLERANT:
		return &g[BTN_LANE_TOLERANT];
	case BTN_BATCH:
		return &g[BTN_LANE_BATCH];
	default:
		return &g[BTN_LANE_TIERS + r->tier - 2];
	}
}

uint64_t btn_tier_reserve_left(struct btn_tier *t, uint64_t now)
{
	uint64_t taken;

	if (!t->reserve)
		return 0;
	btn_account_left(&t->acct, now);
	taken = t->acct.used + t->acct.reserved;
	return taken + RESERVE_MIN < t->reserve ? t->reserve - taken : 0;
}

/* Does the group that just got a task go before what runs there? */
static bool beats(const struct btn_group *g, bool reserve, const struct btn_run *r, uint64_t now)
{
	uint64_t key;

	if (reserve != r->reserve)
		return reserve;
	if (g->tier != r->tier)
		return !reserve && g->tier->rank < r->tier->rank;
	if (!g->tier->policy->preempts)
		return false;
	/* Its key has moved on since it was picked. */
	key = r->key;
	if (r->acct && g->tier->policy == &btn_policy_quota)
		key += btn_account_earn(r->acct, now - r->start);
	return g->node.key + PREEMPT_NS < key;
}

void btn_core_resched(struct btn_core *c, unsigned slot)
{
	if (c->run[slot].need_resched)
		return;
	c->run[slot].need_resched = true;
	/* The slot's last task may have had it set, too, and nobody asked yet. */
	if (c->run[slot].listed)
		return;
	c->run[slot].listed = true;
	c->resched[c->n_resched++] = slot;
}

void btn_core_preempt(struct btn_core *c, uint64_t now, struct btn_group *g)
{
	bool reserve = btn_tier_reserve_left(g->tier, now);
	int victim = -1;
	unsigned i;

	if (c->n_idle)
		return;
	for (i = 0; i < c->slots; i++) {
		const struct btn_run *r = &c->run[i], *v;

		/* A slot with need_resched set will pick for itself. */
		if (r->need_resched || r->task->urgent || !beats(g, reserve, r, now))
			continue;
		v = victim < 0 ? NULL : &c->run[victim];
		if (!v || r->tier->rank > v->tier->rank ||
		    (r->tier->rank == v->tier->rank && r->key > v->key))
			victim = i;
	}
	if (victim >= 0)
		btn_core_resched(c, victim);
}

/* For a task that others wait for: any slot, the least important one. */
static void stop_one(struct btn_core *c)
{
	int victim = -1;
	unsigned i;

	if (c->n_idle)
		return;
	for (i = 0; i < c->slots; i++)
		if (!c->run[i].need_resched && !c->run[i].task->urgent &&
		    (victim < 0 || c->run[i].tier->rank > c->run[victim].tier->rank))
			victim = i;
	if (victim >= 0)
		btn_core_resched(c, victim);
}

uint64_t btn_group_held_until(const struct btn_group *g, uint64_t now)
{
	return g->held_total + (g->held ? now - g->held_at : 0);
}

/* Into its group, without a new time of waiting. */
void btn_group_rejoin(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	struct btn_group *g = btn_group_of(t);
	bool first;

	if (t->urgent) {
		t->state = BTN_TASK_URGENT;
		t->node.key = t->info->arrival;
		t->node.seq = t->seq;
		btn_heap_add(&c->urgent, &t->node);
		stop_one(c);
		return;
	}
	t->state = BTN_TASK_READY;
	t->node.key = g->order->task_key(t);
	t->node.seq = t->seq;
	btn_line_add(&g->tasks, &t->node);
	first = btn_line_top(&g->tasks) == &t->node;
	if (!g->held && !btn_heap_has(&g->node)) {
		btn_group_place(c, now, g);
	} else if (first && !g->held) {
		btn_heap_del(&g->tier->groups, &g->node);
		btn_group_enter(c, g);
	}
	if (first && !g->held)
		btn_core_preempt(c, now, g);
}

void btn_group_join(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	t->ready_at = now;
	t->held_mark = btn_group_held_until(btn_group_of(t), now);
	btn_group_rejoin(c, now, t);
}

void btn_group_leave(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	struct btn_group *g = btn_group_of(t);

	if (t->state == BTN_TASK_STARVED || t->state == BTN_TASK_URGENT) {
		btn_heap_del(t->state == BTN_TASK_STARVED ? &c->starved : &c->urgent, &t->node);
		return;
	}
	btn_line_del(&g->tasks, &t->node);
	if (btn_group_empty(g))
		btn_group_take_out(c, now, g);
}

void btn_tenant_release_held(struct btn_core *c, uint64_t now, struct btn_tenant *t)
{
	unsigned i;

	for (i = 0; i < BTN_LANE_TIERS; i++) {
		struct btn_group *g = &t->group[i];

		if (!g->held && !btn_heap_has(&g->timer))
			continue;
		btn_group_take_out(c, now, g);
		btn_group_place(c, now, g);
	}
}
