// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tenants: who bought what. */
#include "tenant.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../core/setup.h"
#include "../opts.h"
#include "../utf8.h"
#include "dispatch.h"
#include "gate.h"
#include "names.h"
#include "pool.h"
#include "self.h"

uint64_t btn_tenant_part(const struct baton_sched *s, unsigned ppm)
{
	return btn_tenant_part_of(s->core.capacity, ppm);
}

static _Atomic uint64_t serials;

int btn_tenant_new(struct baton_sched *s, struct baton_tenant **out, unsigned low_ppm, unsigned high_ppm,
		   const char *name)
{
	struct baton_tenant *t;
	char anon[32];
	int err;

	if (name && btn_names_find_locked(s, name))
		return -EEXIST;
	if (name && btn_names_reserve(s, 1))
		return -ENOMEM;
	t = btn_pool_tenant_take(s);
	if (!t)
		return -ENOMEM;
	/* [TENANT-1] only has to be another each time. */
	t->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed) + 1; /* [TENANT-1] */
	memset(t->leased, 0, sizeof(t->leased));
	t->fleet = NULL;
	t->low_ppm = low_ppm;
	t->high_ppm = high_ppm;
	err = btn_core_tenant(&s->core, &t->core, btn_tenant_part(s, low_ppm), btn_tenant_part(s, high_ppm), s->now);
	if (err) {
		t->core = NULL;
		btn_pool_tenant_give(t);
		return err;
	}
	t->core->owner = t;
	btn_names_add(t, name ? name : "");
	snprintf(anon, sizeof(anon), "tenant%llu", (unsigned long long)btn_stat_get(&t->core->stats->id));
	btn_page_name((uint64_t *)t->core->stats->name, BATON_STATS_NAME, name ? name : anon);
	t->prev = &s->tenants;
	t->next = s->tenants;
	if (t->next)
		t->next->prev = &t->next;
	s->tenants = t;
	*out = t;
	return 0;
}

bool btn_tenants_busy(const struct baton_sched *s)
{
	const struct baton_tenant *t;

	for (t = s->all_tenants; t; t = t->next_all)
		/* [NAMES-3] */
		if (atomic_load_explicit(&t->refs, memory_order_acquire) > (t->core ? 1 : 0) || btn_door_pending(t)) /* [NAMES-3] */
			return true;
	return false;
}

void btn_tenants_free(struct baton_sched *s)
{
	struct baton_tenant *t;

	btn_prealloc_free(&s->deferred);
	s->core.prealloc = NULL;
	while (s->tenants)
		btn_tenant_leave(s->tenants);
	btn_names_free(s);
	while ((t = s->all_tenants)) {
		s->all_tenants = t->next_all;
		btn_prealloc_give(NULL, t);
	}
}

void btn_tenant_leave(struct baton_tenant *t)
{
	if (!t->core->leaving)
		btn_names_del(t);
	t->core->leaving = true;
	btn_stat_set(&t->core->stats->state, 2);
	btn_door_close(t);
	if (!t->core->requests && !btn_door_pending(t))
		btn_dispatch_tenant_gone(t);
}

int baton_tenant_add(struct baton_sched *s, struct baton_tenant **out, const struct baton_tenant_opts *opts)
{
	struct baton_tenant_opts o;
	struct btn_prealloc mine = { 0 };
	int err = btn_opts_take(&o, sizeof(o), opts);

	*out = NULL;
	if (err)
		return err;
	if (!btn_self_is_here(s->process))
		return -EPERM;
	if (o.name && (!*o.name || strlen(o.name) >= BATON_STATS_NAME || !btn_utf8_valid(o.name, strlen(o.name))))
		return -EINVAL;
	/* Memory that it takes, but for what is rare. */
	btn_prealloc_want(&mine, BTN_PREALLOC_TENANT, 1, sizeof(struct baton_tenant));
	btn_prealloc_want(&mine, BTN_PREALLOC_CORE, 1, btn_core_tenant_size(&s->core));
	btn_prealloc_want(&mine, BTN_PREALLOC_LOG, !!o.low_ppm + !!o.high_ppm, BTN_LOG_SIZE);
	for (err = -ENOMEM; err == -ENOMEM && btn_prealloc_fill(&mine) > 0;) {
		btn_gate_lock(s);
		btn_pool_prealloc_begin(s, &mine);
		err = btn_tenant_new(s, out, o.low_ppm, o.high_ppm, o.name);
		if (!err) {
			btn_core_tenant_limit(&s->core, (*out)->core, o.requests_max, o.workers_max, s->now);
			btn_page_tenant_show((*out)->core->stats);
		}
		btn_pool_prealloc_end(s, &mine);
		btn_gate_release(s);
	}
	btn_prealloc_free(&mine);
	return err;
}

int baton_tenant_find(struct baton_sched *s, const char *name, struct baton_tenant **out)
{
	*out = NULL;
	if (!btn_self_is_here(s->process))
		return -EPERM;
	*out = strnlen(name, BATON_STATS_NAME) < BATON_STATS_NAME ? btn_names_find(s, name) : NULL;
	return *out ? 0 : -ENOENT;
}

void baton_tenant_put(struct baton_tenant *t)
{
	if (t && btn_self_is_here(t->s->process))
		btn_names_put(t);
}

int baton_tenant_set(struct baton_tenant *t, const struct baton_tenant_opts *opts)
{
	struct baton_sched *s = t->s;
	struct btn_wakes wakes;
	struct btn_prealloc mine = { 0 };
	struct baton_tenant_opts o;
	int err = btn_opts_take(&o, sizeof(o), opts);

	if (err)
		return err;
	if (!btn_self_is_here(s->process))
		return -EPERM;
	do {
		wakes = (struct btn_wakes){ 0 };
		btn_gate_lock(s);
		btn_pool_prealloc_begin(s, &mine);
		btn_dispatch_end_cached(s, &wakes);
		err = t->core ? btn_core_tenant_set(&s->core, t->core, btn_tenant_quota(t, BTN_LOW, o.low_ppm),
						    btn_tenant_quota(t, BTN_HIGH, o.high_ppm), s->now) : -ESHUTDOWN;
		if (!err) {
			t->low_ppm = o.low_ppm;
			t->high_ppm = o.high_ppm;
			btn_core_tenant_limit(&s->core, t->core, o.requests_max, o.workers_max, s->now);
		}
		btn_pool_prealloc_end(s, &mine);
		btn_gate_unlock(s, &wakes);
	} while (err == -ENOMEM && btn_prealloc_fill(&mine) > 0);
	btn_prealloc_free(&mine);
	return err;
}

void baton_tenant_remove(struct baton_tenant *t)
{
	struct baton_sched *s = t->s;
	struct btn_prealloc mine = { 0 };
	struct btn_wakes wakes = { 0 };

	if (!btn_self_is_here(s->process))
		return;
	btn_gate_lock(s);
	btn_pool_prealloc_begin(s, &mine);
	btn_dispatch_end_cached(s, &wakes);
	if (t->core && !t->fleet)
		btn_tenant_leave(t);
	btn_pool_prealloc_end(s, &mine);
	btn_gate_unlock(s, &wakes);
	btn_prealloc_free(&mine);
}
