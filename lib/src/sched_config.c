// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A configuration becomes a scheduler's tenants. Everything that can fail is done
 * before anything that others see: what is asked for is compared, the sum of what
 * will be sold is known, new tenants are made without a quota, and the memory
 * that quotas need is had. Then all of it happens under one hold of the lock.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config_line.h"
#include "sched_int.h"

struct saying {
	char *why;
	size_t room;
};

__attribute__((format(printf, 3, 4)))
static int refuse(int err, struct saying say, const char *fmt, ...)
{
	va_list ap;

	if (say.why && say.room) {
		va_start(ap, fmt);
		vsnprintf(say.why, say.room, fmt, ap);
		va_end(ap);
	}
	return err;
}

/* As much of "NAME:LINE" as one would want to see. */
#define WHERE(C, WHAT, I) btn_config_where(C, WHAT, I, (char[256]){ 0 }, 256)

/* What a scheduler has for ever is as the configuration says. */
static int same_shape(const struct baton_config *c, struct baton_sched *s, struct saying say)
{
	struct baton_sched_opts o;
	unsigned i;

	baton_config_sched(c, &o);
	if (o.slots && o.slots != s->core.slots)
		return refuse(-ENOTSUP, say, "%s: slots %u: the service has %u until it is started again\n",
			      WHERE(c, BTN_CONFIG_SLOTS, 0), o.slots, s->core.slots);
	if (btn_sched_part(s, o.low_limit_ppm) != s->core.low_limit)
		return refuse(-ENOTSUP, say, "%s: low_limit %.4f%%: the service has %.4f%% until it is started again\n",
			      WHERE(c, BTN_CONFIG_LIMIT, 0), o.low_limit_ppm / 10000.0,
			      100.0 * s->core.low_limit / s->core.capacity);
	if (o.tiers != s->core.tiers)
		return refuse(-ENOTSUP, say, "%s: %u tiers: the service has %u until it is started again\n",
			      /* The first that is too much, where there is one. */
			      WHERE(c, BTN_CONFIG_TIER, s->core.tiers), o.tiers, s->core.tiers);
	for (i = 0; i < o.tiers; i++) {
		const struct baton_stats_tier *has = btn_page_tier(&s->core.page, i);
		const struct baton_tier_opts *t = &o.tier[i];

		if (strcmp(t->policy, s->core.tier[i].policy->name) || t->rank != btn_stat_get(&has->rank) ||
		    (t->share ? t->share : 1) != btn_stat_get(&has->share) ||
		    btn_sched_part(s, t->reserve_ppm) != btn_stat_get(&has->reserve) ||
		    btn_sched_part(s, t->limit_ppm) != btn_stat_get(&has->limit))
			return refuse(-ENOTSUP, say, "%s: tier %s is another one than the service has until it is started again\n",
				      WHERE(c, BTN_CONFIG_TIER, i), baton_config_tier(c, i));
	}
	return 0;
}

/* Low-latency quota that will be sold; tenants to stay bear the new epoch. */
static int enough(const struct baton_config *c, struct baton_sched *s, struct saying say)
{
	uint64_t sold = 0, leaving = 0, others = 0, low;
	struct baton_tenant_opts o;
	struct baton_tenant *t;
	size_t i;

	for (i = 0; baton_config_tenant(c, i, &o); i++)
		sold += btn_sched_part(s, o.low_ppm);
	for (t = s->tenants; t; t = t->next) {
		low = t->core->acct[BTN_LOW].quota;
		if (!t->epoch)
			others += low;
		else if (t->epoch != s->epoch && t->core->requests)
			leaving += low;
	}
	if (sold + leaving + others <= s->core.low_limit)
		return 0;
	return refuse(-ENOSPC, say, "low-latency quota: %.4f%% to be sold, %.4f%% of tenants that are removed and "
		      "have requests which have not ended, %.4f%% of the service's own: more than low_limit %.4f%%\n",
		      100.0 * sold / s->core.capacity, 100.0 * leaving / s->core.capacity,
		      100.0 * others / s->core.capacity, 100.0 * s->core.low_limit / s->core.capacity);
}

/* New tenants are at the head of the list, without a quota. */
static int prepare(const struct baton_config *c, struct baton_sched *s, struct saying say)
{
	struct baton_tenant_opts o;
	struct baton_tenant *t;
	const char *name;
	size_t i;

	for (i = 0; (name = baton_config_tenant(c, i, &o)); i++) {
		t = btn_tenant_named(s, name);
		if (t && !t->epoch)
			return refuse(-EEXIST, say, "%s: tenant %s is the service's own\n", WHERE(c, BTN_CONFIG_TENANT, i), name);
		if (t)
			t->epoch = s->epoch;
	}
	if (enough(c, s, say))
		return -ENOSPC;
	for (i = 0; (name = baton_config_tenant(c, i, &o)); i++) {
		t = btn_tenant_named(s, name);
		if ((!t && btn_tenant_new(s, &t, 0, 0, name)) ||
		    btn_core_tenant_prepare(t->core, btn_sched_part(s, o.low_ppm), btn_sched_part(s, o.high_ppm)))
			return refuse(-ENOMEM, say, "no memory\n");
		t->epoch = s->epoch;
	}
	return 0;
}

/* First those that sell less, so that the sum never gets above what it will be. */
static void set_quotas(const struct baton_config *c, struct baton_sched *s, bool less)
{
	struct baton_tenant_opts o;
	struct btn_tenant *t;
	uint64_t low, high;
	const char *name;
	size_t i;

	for (i = 0; (name = baton_config_tenant(c, i, &o)); i++) {
		t = btn_tenant_named(s, name)->core;
		low = btn_sched_part(s, o.low_ppm);
		high = btn_sched_part(s, o.high_ppm);
		if ((low < t->acct[BTN_LOW].quota) == less &&
		    (low != t->acct[BTN_LOW].quota || high != t->acct[BTN_HIGH].quota))
			btn_core_tenant_set(&s->core, t, low, high, s->now);
	}
}

static int apply_locked(const struct baton_config *c, struct baton_sched *s, struct saying say)
{
	struct baton_tenant *old = s->tenants, *t, *next;
	unsigned before = s->epoch;
	int err;

	err = same_shape(c, s, say);
	if (err)
		return err;
	if (!++s->epoch)
		s->epoch = 1;
	err = prepare(c, s, say);
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
	set_quotas(c, s, true);
	set_quotas(c, s, false);
	for (t = s->tenants; t; t = t->next)
		btn_page_tenant_show(t->core->stats);
	return 0;
}

int baton_config_apply(const struct baton_config *c, struct baton_sched *s, char *why, size_t room)
{
	struct btn_wakes wakes = { 0 };
	int err;

	refuse(0, (struct saying){ why, room }, "%s", "");
	btn_sched_lock(s);
	err = apply_locked(c, s, (struct saying){ why, room });
	btn_sched_unlock(s, &wakes);
	return err;
}
