// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tenants: who bought what, and how they fare. */
#include "sched_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

uint64_t btn_sched_part(const struct baton_sched *s, unsigned ppm)
{
	return btn_part(s->core.capacity, ppm);
}

static _Atomic uint64_t serials;

/* Of a tenant, and never of anything else until the end: who looks for names wants that. */
static struct baton_tenant *tenant_memory(struct baton_sched *s)
{
	struct baton_tenant *t = s->spare_tenants;

	if (t) {
		s->spare_tenants = t->next;
	} else {
		t = btn_stock_take(s->core.stock, BTN_STOCK_TENANT, sizeof(*t));
		if (!t)
			return NULL;
		t->s = s;
		t->next_all = s->all_tenants;
		s->all_tenants = t;
	}
	t->epoch = 0;
	return t;
}

int btn_tenant_new(struct baton_sched *s, struct baton_tenant **out, uint64_t low, uint64_t high,
		   const char *name)
{
	struct baton_tenant *t;
	char anon[32];
	int err;

	if (name && btn_tenant_named(s, name))
		return -EEXIST;
	if (name && btn_names_room(s, 1))
		return -ENOMEM;
	t = tenant_memory(s);
	if (!t)
		return -ENOMEM;
	/* [TENANT-1] only has to be another each time. */
	t->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed) + 1; /* [TENANT-1] */
	err = btn_core_tenant(&s->core, &t->core, low, high, s->now);
	if (err) {
		t->core = NULL;
		t->next = s->spare_tenants;
		s->spare_tenants = t;
		return err;
	}
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

/* The lock is held. */
static void put_locked(struct baton_tenant *t)
{
	if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1) /* [NAMES-3] */
		return;
	t->next = t->s->spare_tenants;
	t->s->spare_tenants = t;
}

void btn_tenant_put(struct baton_tenant *t)
{
	unsigned refs = atomic_load_explicit(&t->refs, memory_order_relaxed); /* [NAMES-3] */
	struct baton_sched *s = t->s;

	while (refs > 1)
		if (atomic_compare_exchange_weak_explicit(&t->refs, &refs, refs - 1,
							  memory_order_release, /* [NAMES-3] */
							  memory_order_relaxed)) /* [NAMES-3] */
			return;
	/* The last one, with the lock: as long as it is not given up nobody destroys s. */
	btn_sched_lock(s);
	put_locked(t);
	btn_sched_release(s);
}

bool btn_tenants_busy(const struct baton_sched *s)
{
	const struct baton_tenant *t;

	for (t = s->all_tenants; t; t = t->next_all)
		/* [NAMES-3] */
		if (atomic_load_explicit(&t->refs, memory_order_acquire) > (t->core ? 1 : 0)) /* [NAMES-3] */
			return true;
	return false;
}

void btn_tenants_free(struct baton_sched *s)
{
	struct baton_tenant *t;

	btn_stock_free(&s->junk);
	s->core.stock = NULL;
	while (s->tenants)
		btn_tenant_leave(s->tenants);
	btn_names_free(s);
	while ((t = s->all_tenants)) {
		s->all_tenants = t->next_all;
		btn_stock_give(NULL, t);
	}
}

void btn_stock_begin(struct baton_sched *s, struct btn_stock *mine)
{
	btn_stock_open(mine);
	s->core.stock = mine;
}

void btn_stock_end(struct baton_sched *s, struct btn_stock *mine)
{
	struct btn_block **last;

	s->core.stock = &s->junk;
	/* Tenants' whose last request ended since somebody was here. */
	for (last = &mine->junk; *last; last = &(*last)->next)
		;
	*last = s->junk.junk;
	s->junk.junk = NULL;
}

void btn_tenant_gone(struct baton_tenant *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	btn_core_tenant_free(&t->s->core, t->core);
	t->core = NULL;
	put_locked(t);
}

void btn_tenant_leave(struct baton_tenant *t)
{
	if (!t->core->leaving)
		btn_names_del(t);
	t->core->leaving = true;
	btn_stat_set(&t->core->stats->state, 2);
	if (!t->core->requests)
		btn_tenant_gone(t);
}

int baton_tenant_add(struct baton_sched *s, struct baton_tenant **out, const struct baton_tenant_opts *opts)
{
	const char *name = opts->name;
	struct btn_stock mine = { 0 };
	int err;

	*out = NULL;
	if (opts->sz != sizeof(*opts) ||
	    (name && (!*name || strlen(name) >= BATON_STATS_NAME || !btn_utf8_valid(name, strlen(name)))))
		return -EINVAL;
	/* What it takes but for what is rare. */
	btn_stock_want(&mine, BTN_STOCK_TENANT, 1, sizeof(struct baton_tenant));
	btn_stock_want(&mine, BTN_STOCK_CORE, 1, btn_core_tenant_size(&s->core));
	btn_stock_want(&mine, BTN_STOCK_LOG, !!opts->low_ppm + !!opts->high_ppm, BTN_LOG_SIZE);
	for (err = -ENOMEM; err == -ENOMEM && btn_stock_fill(&mine) > 0;) {
		btn_sched_lock(s);
		btn_stock_begin(s, &mine);
		err = btn_tenant_new(s, out, btn_sched_part(s, opts->low_ppm), btn_sched_part(s, opts->high_ppm), name);
		if (!err)
			btn_page_tenant_show((*out)->core->stats);
		btn_stock_end(s, &mine);
		btn_sched_release(s);
	}
	btn_stock_free(&mine);
	return err;
}

int baton_tenant_find(struct baton_sched *s, const char *name, struct baton_tenant **out)
{
	*out = strnlen(name, BATON_STATS_NAME) < BATON_STATS_NAME ? btn_names_find(s, name) : NULL;
	return *out ? 0 : -ENOENT;
}

void baton_tenant_put(struct baton_tenant *t)
{
	if (t)
		btn_tenant_put(t);
}

int baton_tenant_set(struct baton_tenant *t, const struct baton_tenant_opts *opts)
{
	struct baton_sched *s = t->s;
	struct btn_wakes wakes;
	struct btn_stock mine = { 0 };
	int err;

	if (opts->sz != sizeof(*opts))
		return -EINVAL;
	do {
		wakes = (struct btn_wakes){ 0 };
		btn_sched_lock(s);
		btn_stock_begin(s, &mine);
		btn_hold_close(s, &wakes);
		err = t->core ? btn_core_tenant_set(&s->core, t->core, btn_sched_part(s, opts->low_ppm),
						    btn_sched_part(s, opts->high_ppm), s->now) : -ESHUTDOWN;
		btn_stock_end(s, &mine);
		btn_sched_unlock(s, &wakes);
	} while (err == -ENOMEM && btn_stock_fill(&mine) > 0);
	btn_stock_free(&mine);
	return err;
}

void baton_tenant_remove(struct baton_tenant *t)
{
	struct baton_sched *s = t->s;
	struct btn_stock mine = { 0 };
	struct btn_wakes wakes = { 0 };

	btn_sched_lock(s);
	btn_stock_begin(s, &mine);
	btn_hold_close(s, &wakes);
	if (t->core)
		btn_tenant_leave(t);
	btn_stock_end(s, &mine);
	btn_sched_unlock(s, &wakes);
	btn_stock_free(&mine);
}

void baton_tenant_stats(struct baton_tenant *t, struct baton_tenant_stats *out, size_t sz)
{
	struct baton_stats_use *use;
	const struct btn_run *run;
	const struct btn_worker *w;
	struct baton_tenant_stats st = { 0 };
	uint64_t open[BTN_TIERS_MAX] = { 0 };
	struct baton_hist wait = { 0 };
	struct baton_sched *s = t->s;
	uint64_t now;
	unsigned i, k;

	btn_hold_settle(s);
	btn_sched_lock(s);
	now = s->now;
	for (i = 0; t->core && i < s->core.tiers; i++) {
		use = &t->core->stats->tier[i];
		st.admitted += btn_stat_get(&use->admitted);
		st.rejected += btn_stat_get(&use->rejected);
		st.dropped += btn_stat_get(&use->dropped);
		st.finished += btn_stat_get(&use->finished);
		st.throttled += btn_stat_get(&use->throttled);
		st.cpu[i] = btn_stat_get(&use->cpu);
		if (btn_stat_get(&use->overrun) > st.overrun_worst)
			st.overrun_worst = btn_stat_get(&use->overrun);
		for (k = 0; k < BATON_HIST_STEPS; k++)
			wait.n[k] += btn_stat_get(&use->wait.n[k]);
	}
	/*
	 * And what runs now, by its CPU clock: time would count what it has yet to use,
	 * and be less the next time.
	 */
	for (i = 0; t->core && i < s->core.span; i++) {
		run = &s->core.run[i];
		w = s->on[i];
		if (run->task && run->task->req->tenant == t->core && w->tid)
			open[run->tier->index] += btn_meter_open(&w->meter, btn_worker_cpu(w));
		/* What it ended and began anew in this run is counted with that. */
		if (run->task && run->task->req->tenant == t->core) {
			st.admitted += BTN_OWN_GET(w->again);
			st.finished += BTN_OWN_GET(w->again);
		}
	}
	for (i = 0; t->core && i < s->core.tiers; i++)
		if (open[i] > t->core->owed[i])
			st.cpu[i] += open[i] - t->core->owed[i];
	if (t->core) {
		st.low_left = btn_account_left(&t->core->acct[BTN_LOW], now);
		st.high_left = btn_account_left(&t->core->acct[BTN_HIGH], now);
	}
	btn_sched_release(s);
	st.wait_p50 = baton_hist_quantile(&wait, 0.5);
	st.wait_p99 = baton_hist_quantile(&wait, 0.99);
	st.wait_p999 = baton_hist_quantile(&wait, 0.999);
	memcpy(out, &st, sz < sizeof(st) ? sz : sizeof(st));
}
