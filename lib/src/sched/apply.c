// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A configuration becomes a scheduler's slots, tiers and tenants. Everything that can
 * fail is done before anything that others see: what is asked for is compared with
 * what can be, the sum of what will be sold is known, new tenants are made without a
 * quota, and the memory that quotas need is had. Then all of it happens under one
 * hold of the lock; why no promise breaks is in core/setup.h.
 */
#include "apply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <baton/config.h>

#include "../config_text.h"
#include "../core/setup.h"
#include "dispatch.h"
#include "gate.h"
#include "names.h"
#include "pool.h"
#include "self.h"
#include "tenant.h"

int btn_apply_tiers(const struct baton_sched_opts *o, struct btn_tier_setup *to, uint64_t capacity)
{
	static const struct baton_tier_opts two[2] = { { .rank = 0 }, { .rank = 1 } };
	const struct baton_tier_opts *from = o->tiers ? o->tier : two;
	unsigned i, n = o->tiers ? o->tiers : 2;

	if (n < 2 || n > BTN_TIERS_MAX || !from)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		to[i].policy = btn_policy_find(from[i].policy ? from[i].policy : "quota");
		if (!to[i].policy || from[i].rank >= BTN_TIERS_MAX || from[i].reserve_ppm > BTN_PPM ||
		    from[i].limit_ppm > BTN_PPM)
			return -EINVAL;
		to[i].rank = from[i].rank;
		to[i].share = from[i].share ? from[i].share : 1;
		to[i].reserve = btn_tenant_part_of(capacity, from[i].reserve_ppm);
		to[i].limit = btn_tenant_part_of(capacity, from[i].limit_ppm);
	}
	return n;
}

struct saying {
	char *why;
	size_t room;
};

__attribute__((format(printf, 3, 4)))
static int refuse_config(int err, struct saying say, const char *fmt, ...)
{
	va_list ap;

	if (say.why && say.room) {
		va_start(ap, fmt);
		vsnprintf(say.why, say.room, fmt, ap);
		va_end(ap);
	}
	return err;
}

/* "NAME:LINE", or as much of it as fits. */
#define WHERE(C, WHAT, I) btn_config_where(C, WHAT, I, (char[256]){ 0 }, 256)

/* The slots, capacity and tiers that the scheduler is to have. */
struct shape {
	unsigned slots;
	uint64_t capacity, low_limit;
	struct btn_tier_setup tier[BTN_TIERS_MAX];
	bool same;
};

/* A quota, a whole number of ppm, as the same part of more or fewer slots. */
static uint64_t scaled_quota(uint64_t quota, unsigned before, unsigned slots)
{
	return quota / before * slots;
}

static bool same_tier(struct baton_sched *s, unsigned i, const struct btn_tier_setup *to)
{
	const struct baton_stats_tier *has = btn_page_tier(&s->core.page, i);

	return to->policy == s->core.tier[i].policy && to->rank == btn_stat_get(&has->rank) &&
	       to->share == btn_stat_get(&has->share) && to->reserve == btn_stat_get(&has->reserve) &&
	       to->limit == btn_stat_get(&has->limit);
}

static int new_shape(const struct baton_config *c, struct baton_sched *s, struct shape *to, struct saying say)
{
	struct baton_sched_opts o;
	unsigned i;

	baton_config_sched(c, &o);
	to->slots = o.slots ? o.slots : s->core.slots;
	to->capacity = to->slots * BTN_SECOND;
	to->low_limit = btn_tenant_part_of(to->capacity, o.low_limit_ppm);
	if (to->slots > s->core.slots_max)
		return refuse_config(-ENOTSUP, say, "%s: slots %u: the service has room for %u until it is started again\n",
				     WHERE(c, BTN_CONFIG_SLOTS, 0), to->slots, s->core.slots_max);
	if (o.tiers != s->core.tiers)
		return refuse_config(-ENOTSUP, say, "%s: %u tiers: the service has %u until it is started again\n",
				     /* The first tier that is too much, where there is one. */
				     WHERE(c, BTN_CONFIG_TIER, s->core.tiers), o.tiers, s->core.tiers);
	if (btn_apply_tiers(&o, to->tier, to->capacity) < 0 ||
	    btn_core_can_reshape(&s->core, to->slots, to->tier, to->low_limit))
		return refuse_config(-EINVAL, say, "%s: no such tiers are possible\n", WHERE(c, BTN_CONFIG_TIER, 0));
	to->same = to->slots == s->core.slots && to->low_limit == s->core.low_limit;
	for (i = 0; i < o.tiers; i++)
		to->same = to->same && same_tier(s, i, &to->tier[i]);
	return 0;
}

/* Low-latency quota that will be sold; tenants to stay bear the new epoch. */
static int check_sold(const struct baton_config *c, struct baton_sched *s, const struct shape *to, struct saying say)
{
	uint64_t sold = 0, leaving = 0, others = 0, low;
	struct baton_tenant_opts o;
	struct baton_tenant *t;
	size_t i;

	for (i = 0; baton_config_tenant(c, i, &o); i++)
		sold += btn_tenant_part_of(to->capacity, o.low_ppm);
	for (t = s->tenants; t; t = t->next) {
		low = scaled_quota(t->core->acct[BTN_LOW].quota, s->core.slots, to->slots);
		if (!t->epoch)
			others += low;
		else if (t->epoch != s->epoch && t->core->requests)
			leaving += low;
	}
	if (sold + leaving + others <= to->low_limit)
		return 0;
	return refuse_config(-ENOSPC, say, "low-latency quota: %.4f%% to be sold, %.4f%% of tenants that are removed and "
			     "have requests which have not ended, %.4f%% of the service's own: more than low_limit %.4f%%\n",
			     100.0 * sold / to->capacity, 100.0 * leaving / to->capacity,
			     100.0 * others / to->capacity, 100.0 * to->low_limit / to->capacity);
}

/* New tenants are at the head of the list, without a quota. */
static int prepare_tenants(const struct baton_config *c, struct baton_sched *s, const struct shape *to, struct saying say)
{
	struct baton_tenant_opts o;
	struct baton_tenant *t;
	const char *name;
	size_t i, more = 0;

	for (i = 0; (name = baton_config_tenant(c, i, &o)); i++) {
		t = btn_names_find_locked(s, name);
		if (t && !t->epoch)
			return refuse_config(-EEXIST, say, "%s: tenant %s is the service's own\n", WHERE(c, BTN_CONFIG_TENANT, i), name);
		if (t)
			t->epoch = s->epoch;
		else
			more++;
	}
	if (check_sold(c, s, to, say))
		return -ENOSPC;
	if (more && btn_names_reserve(s, more))
		return refuse_config(-ENOMEM, say, "no memory\n");
	for (i = 0; (name = baton_config_tenant(c, i, &o)); i++) {
		t = btn_names_find_locked(s, name);
		if ((!t && btn_tenant_new(s, &t, 0, 0, name)) ||
		    btn_core_tenant_prepare(&s->core, t->core, btn_tenant_part_of(to->capacity, o.low_ppm), btn_tenant_part_of(to->capacity, o.high_ppm)))
			return refuse_config(-ENOMEM, say, "no memory\n");
		t->epoch = s->epoch;
	}
	return 0;
}

/* Slots, tiers and the limit; quotas are still the same numbers of ns. */
static void reshape_core(struct baton_sched *s, const struct shape *to)
{
	struct baton_tenant *t;

	for (t = s->tenants; t; t = t->next)
		btn_core_tenant_lift(&s->core, t->core, s->now);
	btn_core_reshape(&s->core, to->slots, to->tier, to->low_limit, s->now);
	for (t = s->tenants; t; t = t->next)
		btn_core_tenant_put(&s->core, t->core, s->now);
}

static void set_quota(struct baton_sched *s, struct btn_tenant *t, uint64_t low, uint64_t high, bool less)
{
	if ((low < t->acct[BTN_LOW].quota) == less &&
	    (low != t->acct[BTN_LOW].quota || high != t->acct[BTN_HIGH].quota))
		btn_core_tenant_set(&s->core, t, low, high, s->now);
}

/*
 * Sets the quotas of tenants that the file names. Those that sell less come first, so that the
 * sum never gets above what it will be.
 */
static void set_quotas(const struct baton_config *c, struct baton_sched *s, bool less)
{
	struct baton_tenant_opts o;
	const char *name;
	size_t i;

	for (i = 0; (name = baton_config_tenant(c, i, &o)); i++)
		set_quota(s, btn_names_find_locked(s, name)->core, btn_tenant_part(s, o.low_ppm), btn_tenant_part(s, o.high_ppm),
			  less);
}

/* Tenants of the service's own, and those that leave, keep their part of what there is. */
static void scale_others(struct baton_sched *s, unsigned before)
{
	struct baton_tenant *t;
	uint64_t low, high;

	for (t = s->tenants; t; t = t->next) {
		if (t->epoch == s->epoch)
			continue;
		low = scaled_quota(t->core->acct[BTN_LOW].quota, before, s->core.slots);
		high = scaled_quota(t->core->acct[BTN_HIGH].quota, before, s->core.slots);
		set_quota(s, t->core, low, high, low < t->core->acct[BTN_LOW].quota);
	}
}

static int apply_locked(const struct baton_config *c, struct baton_sched *s, struct saying say)
{
	struct baton_tenant *old = s->tenants, *t, *next;
	unsigned before = s->epoch, slots = s->core.slots;
	struct shape to = { 0 };
	int err;

	err = new_shape(c, s, &to, say);
	if (err)
		return err;
	if (!++s->epoch)
		s->epoch = 1;
	err = prepare_tenants(c, s, &to, say);
	if (err) {
		while (s->tenants != old)
			btn_tenant_leave(s->tenants);
		for (t = s->tenants; t; t = t->next)
			if (t->epoch == s->epoch)
				t->epoch = before;
		s->epoch = before;
		return err;
	}
	for (t = s->tenants; t; t = next) {
		next = t->next;
		if (t->epoch && t->epoch != s->epoch && !t->core->leaving)
			btn_tenant_leave(t);
	}
	if (!to.same)
		reshape_core(s, &to);
	/* The order matters: whoever sells more comes last. */
	if (s->core.slots < slots)
		scale_others(s, slots);
	set_quotas(c, s, true);
	if (s->core.slots > slots)
		scale_others(s, slots);
	set_quotas(c, s, false);
	for (t = s->tenants; t; t = t->next)
		btn_page_tenant_show(t->core->stats);
	return 0;
}

/* Counts the memory that new tenants will take, and new quotas of those that are there. */
static void count_memory(const struct baton_config *c, struct baton_sched *s, struct btn_prealloc *prealloc)
{
	struct baton_tenant_opts o;
	struct baton_tenant *t;
	size_t i, more = 0, logs = 0;
	const char *name;

	for (i = 0; (name = baton_config_tenant(c, i, &o)); i++) {
		t = btn_names_find_locked(s, name);
		more += !t;
		logs += o.low_ppm && !(t && t->core->acct[BTN_LOW].log);
		logs += o.high_ppm && !(t && t->core->acct[BTN_HIGH].log);
	}
	btn_prealloc_want(prealloc, BTN_PREALLOC_TENANT, more, sizeof(struct baton_tenant));
	btn_prealloc_want(prealloc, BTN_PREALLOC_CORE, more, btn_core_tenant_size(&s->core));
	btn_prealloc_want(prealloc, BTN_PREALLOC_LOG, logs, BTN_LOG_SIZE);
}

int baton_config_apply(const struct baton_config *c, struct baton_sched *s, char *why, size_t room)
{
	struct btn_prealloc mine = { 0 };
	struct btn_wakes wakes;
	int err;

	if (!btn_self_is_here(s->process))
		return refuse_config(-EPERM, (struct saying){ why, room }, "the scheduler is the parent process's\n");
	do {
		wakes = (struct btn_wakes){ 0 };
		btn_gate_lock(s);
		count_memory(c, s, &mine);
		if (btn_prealloc_lacks(&mine)) {
			btn_gate_release(s);
			err = refuse_config(-ENOMEM, (struct saying){ why, room }, "no memory\n");
			continue;
		}
		refuse_config(0, (struct saying){ why, room }, "%s", "");
		btn_pool_prealloc_begin(s, &mine);
		btn_dispatch_end_cached(s, &wakes);
		err = apply_locked(c, s, (struct saying){ why, room });
		btn_pool_prealloc_end(s, &mine);
		btn_gate_unlock(s, &wakes);
	} while (err == -ENOMEM && btn_prealloc_fill(&mine) > 0);
	btn_prealloc_free(&mine);
	return err;
}
