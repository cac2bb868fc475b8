// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A scheduler's slots, capacity, tiers and tenants' quotas follow from its rules and from
 * what the machine allows. Reserves, limits and quotas are parts of the capacity, and all of
 * it becomes another at once, under one hold of the lock: why no promise breaks is in
 * core/setup.h.
 */
#include "shape.h"

#include <errno.h>

#include "../core/setup.h"
#include "dispatch.h"
#include "gate.h"
#include "self.h"
#include "tenant.h"

int btn_shape_rules(struct btn_rules *to, const struct baton_sched_opts *o)
{
	static const struct baton_tier_opts two[2] = { { .rank = 0 }, { .rank = 1 } };
	const struct baton_tier_opts *from = o->tiers ? o->tier : two;
	unsigned i, n = o->tiers ? o->tiers : 2;
	const struct btn_policy *policy;

	if (n < 2 || n > BTN_TIERS_MAX || !from || (o->capacity && o->capacity < BTN_CAPACITY_MIN))
		return -EINVAL;
	to->slots = o->slots;
	to->capacity = o->capacity;
	to->low_limit_ppm = o->low_limit_ppm;
	for (i = 0; i < n; i++) {
		policy = btn_policy_find(from[i].policy ? from[i].policy : "quota");
		if (!policy || from[i].rank >= BTN_TIERS_MAX || from[i].reserve_ppm > BTN_PPM ||
		    from[i].limit_ppm > BTN_PPM)
			return -EINVAL;
		to->tier[i] = from[i];
		to->tier[i].policy = policy->name;
		to->tier[i].share = from[i].share ? from[i].share : 1;
	}
	return n;
}

void btn_shape_of(struct btn_shape *to, const struct btn_rules *r, unsigned tiers, uint64_t allowed)
{
	uint64_t there_is = r->capacity ? r->capacity : allowed > BTN_CAPACITY_MIN ? allowed : BTN_CAPACITY_MIN;
	unsigned i;

	to->slots = r->slots;
	if (!to->slots)
		to->slots = there_is / BTN_SECOND < BTN_SLOTS_MAX ? (there_is + BTN_SECOND - 1) / BTN_SECOND : BTN_SLOTS_MAX;
	to->capacity = there_is < to->slots * BTN_SECOND ? there_is : to->slots * BTN_SECOND;
	to->low_limit = btn_tenant_part_of(to->capacity, r->low_limit_ppm);
	for (i = 0; i < tiers; i++) {
		to->tier[i].policy = btn_policy_find(r->tier[i].policy);
		to->tier[i].rank = r->tier[i].rank;
		to->tier[i].share = r->tier[i].share;
		to->tier[i].reserve = btn_tenant_part_of(to->capacity, r->tier[i].reserve_ppm);
		to->tier[i].limit = btn_tenant_part_of(to->capacity, r->tier[i].limit_ppm);
	}
}

int btn_shape_check(const struct baton_sched *s, const struct btn_shape *to)
{
	return btn_core_can_reshape(&s->core, to->slots, to->capacity, to->tier, to->low_limit);
}

static bool same_tier(struct baton_sched *s, unsigned i, const struct btn_tier_setup *to)
{
	const struct baton_stats_tier *has = btn_page_tier(&s->core.page, i);

	return to->policy == s->core.tier[i].policy && to->rank == btn_stat_get(&has->rank) &&
	       to->share == btn_stat_get(&has->share) && to->reserve == btn_stat_get(&has->reserve) &&
	       to->limit == btn_stat_get(&has->limit);
}

static bool same_shape(struct baton_sched *s, const struct btn_shape *to)
{
	bool same = to->slots == s->core.slots && to->capacity == s->core.capacity && to->low_limit == s->core.low_limit;
	unsigned i;

	for (i = 0; i < s->core.tiers; i++)
		same = same && same_tier(s, i, &to->tier[i]);
	return same;
}

/* Tenants' quotas are parts of the capacity. */
static void rescale_tenants(struct baton_sched *s)
{
	struct baton_tenant *t;

	for (t = s->tenants; t; t = t->next)
		btn_core_tenant_rescale(&s->core, t->core, btn_tenant_quota(t, BTN_LOW, t->low_ppm),
					btn_tenant_quota(t, BTN_HIGH, t->high_ppm), s->now);
}

void btn_shape_set(struct baton_sched *s, const struct btn_shape *to, const struct btn_rules *rules)
{
	uint64_t before = s->core.capacity;
	struct baton_tenant *t;

	if (rules)
		s->rules = *rules;
	if (same_shape(s, to))
		return;
	for (t = s->tenants; t; t = t->next)
		btn_core_tenant_lift(&s->core, t->core, s->now);
	btn_core_reshape(&s->core, to->slots, to->capacity, to->tier, to->low_limit, s->now);
	for (t = s->tenants; t; t = t->next)
		btn_core_tenant_put(&s->core, t->core, s->now);
	if (s->core.capacity != before)
		rescale_tenants(s);
}

/* As the rules say with one of them changed. */
static int change_rules(struct baton_sched *s, const unsigned *slots, const uint64_t *capacity)
{
	struct btn_wakes wakes = { 0 };
	struct btn_rules rules;
	struct btn_shape to;
	int err;

	if (!btn_self_is_here(s->process))
		return -EPERM;
	btn_gate_lock(s);
	rules = s->rules;
	if (slots)
		rules.slots = *slots;
	if (capacity)
		rules.capacity = *capacity;
	btn_shape_of(&to, &rules, s->core.tiers, s->allowed);
	err = btn_shape_check(s, &to);
	if (!err) {
		btn_dispatch_end_cached(s, &wakes);
		btn_shape_set(s, &to, &rules);
	}
	btn_gate_unlock(s, &wakes);
	return err;
}

int baton_sched_set_slots(struct baton_sched *s, unsigned slots)
{
	return change_rules(s, &slots, NULL);
}

int baton_sched_set_capacity(struct baton_sched *s, uint64_t capacity)
{
	if (capacity && capacity < BTN_CAPACITY_MIN)
		return -EINVAL;
	return change_rules(s, NULL, &capacity);
}
