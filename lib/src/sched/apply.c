// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A configuration becomes a scheduler's slots, tiers and tenants. Everything that can
 * fail is done before anything that others see: what is asked for is compared with
 * what can be, the sum of what will be sold is known, new tenants are made without a
 * quota, and the memory that quotas need is had. Then all of it happens under one
 * hold of the lock, the shape first (shape.c).
 */
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
#include "shape.h"
#include "tenant.h"

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

static int new_shape(const struct baton_config *c, struct baton_sched *s, struct btn_rules *rules,
		     struct btn_shape *to, struct saying say)
{
	struct baton_sched_opts o;

	baton_config_sched(c, &o);
	if (o.tiers != s->core.tiers)
		return refuse_config(-ENOTSUP, say, "%s: %u tiers: the service has %u until it is started again\n",
				     /* The first tier that is too much, where there is one. */
				     WHERE(c, BTN_CONFIG_TIER, s->core.tiers), o.tiers, s->core.tiers);
	if (btn_shape_rules(rules, &o) < 0)
		return refuse_config(-EINVAL, say, "%s: no such tiers are possible\n", WHERE(c, BTN_CONFIG_TIER, 0));
	/* Numbers that the file does not say stay as they are. */
	if (!o.slots)
		rules->slots = s->rules.slots;
	if (!o.capacity)
		rules->capacity = s->rules.capacity;
	btn_shape_of(to, rules, s->core.tiers, s->allowed);
	if (to->slots > s->core.slots_max)
		return refuse_config(-ENOTSUP, say, "%s: slots %u: the service has room for %u until it is started again\n",
				     WHERE(c, o.slots ? BTN_CONFIG_SLOTS : BTN_CONFIG_CAPACITY, 0), to->slots,
				     s->core.slots_max);
	if (btn_shape_check(s, to))
		return refuse_config(-EINVAL, say, "%s: no such tiers are possible\n", WHERE(c, BTN_CONFIG_TIER, 0));
	return 0;
}

/* Low-latency quota that will be sold; tenants to stay bear the new epoch. */
static int check_sold(const struct baton_config *c, struct baton_sched *s, const struct btn_shape *to, struct saying say)
{
	uint64_t sold = 0, leaving = 0, others = 0, low;
	struct baton_tenant_opts o;
	struct baton_tenant *t;
	const char *name;
	size_t i;

	for (i = 0; (name = baton_config_tenant(c, i, &o)); i++) {
		t = btn_names_find_locked(s, name);
		if (!t || !t->leased[BTN_LOW])
			sold += btn_tenant_part_of(to->capacity, o.low_ppm);
	}
	for (t = s->tenants; t; t = t->next) {
		low = t->leased[BTN_LOW] ? t->core->acct[BTN_LOW].quota : btn_tenant_part_of(to->capacity, t->low_ppm);
		if (!t->epoch || t->leased[BTN_LOW])
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
static int prepare_tenants(const struct baton_config *c, struct baton_sched *s, const struct btn_shape *to, struct saying say)
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

/*
 * Sets the quotas of tenants that the file names. Those that sell less come first, so that the
 * sum never gets above what it will be.
 */
static void set_quotas(const struct baton_config *c, struct baton_sched *s, bool less)
{
	struct baton_tenant_opts o;
	struct baton_tenant *t;
	const char *name;
	size_t i;

	for (i = 0; (name = baton_config_tenant(c, i, &o)); i++) {
		t = btn_names_find_locked(s, name);
		if (t->core->requests_max != o.requests_max || t->core->workers_max != o.workers_max)
			btn_core_tenant_limit(&s->core, t->core, o.requests_max, o.workers_max, s->now);
		if ((o.low_ppm < t->low_ppm) != less || (o.low_ppm == t->low_ppm && o.high_ppm == t->high_ppm))
			continue;
		btn_core_tenant_set(&s->core, t->core, btn_tenant_quota(t, BTN_LOW, o.low_ppm),
				    btn_tenant_quota(t, BTN_HIGH, o.high_ppm), s->now);
		t->low_ppm = o.low_ppm;
		t->high_ppm = o.high_ppm;
	}
}

static int apply_locked(const struct baton_config *c, struct baton_sched *s, struct saying say)
{
	struct baton_tenant *old = s->tenants, *t, *next;
	struct btn_shape to = { 0 };
	struct btn_rules rules;
	unsigned before = s->epoch;
	int err;

	err = new_shape(c, s, &rules, &to, say);
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
		if (t->epoch && t->epoch != s->epoch && !t->core->leaving && !t->fleet)
			btn_tenant_leave(t);
	}
	btn_shape_set(s, &to, &rules);
	set_quotas(c, s, true);
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
	btn_page_want(&s->core.page, prealloc, more);
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
