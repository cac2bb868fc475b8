// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tenants: who bought what, and how they fare. */
#include "sched_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

/* ------------------------------------------------------------------- names */

static struct baton_tenant **list_of(struct baton_sched *s, const char *name)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3ULL;
	return &s->names[(h ^ h >> 32) & (s->room_names - 1)];
}

struct baton_tenant *btn_tenant_named(struct baton_sched *s, const char *name)
{
	struct baton_tenant *t = s->room_names ? *list_of(s, name) : NULL;

	while (t && strcmp(t->name, name))
		t = t->next_name;
	return t;
}

static void add_name(struct baton_tenant *t)
{
	struct baton_tenant **list = list_of(t->s, t->name);

	t->next_name = *list;
	*list = t;
}

/* Room for one more. */
static int more_names(struct baton_sched *s)
{
	unsigned room = s->room_names ? 2 * s->room_names : 64;
	struct baton_tenant *t, **names;

	if (s->n_names < s->room_names)
		return 0;
	names = calloc(room, sizeof(*names));
	if (!names)
		return -ENOMEM;
	free(s->names);
	s->names = names;
	s->room_names = room;
	for (t = s->tenants; t; t = t->next)
		if (*t->name && !t->core->leaving)
			add_name(t);
	return 0;
}

static void forget_name(struct baton_tenant *t)
{
	struct baton_tenant **at;

	if (!*t->name)
		return;
	for (at = list_of(t->s, t->name); *at != t; at = &(*at)->next_name)
		;
	*at = t->next_name;
	t->s->n_names--;
}

/* ----------------------------------------------------------------- their life */

uint64_t btn_sched_part(const struct baton_sched *s, unsigned ppm)
{
	return s->core.capacity / BTN_PPM * ppm;
}

static _Atomic uint64_t serials;

int btn_tenant_new(struct baton_sched *s, struct baton_tenant **out, uint64_t low, uint64_t high,
		   const char *name)
{
	struct baton_tenant *t;
	char anon[32];
	int err;

	if (name && btn_tenant_named(s, name))
		return -EEXIST;
	err = name ? more_names(s) : 0;
	t = err ? NULL : calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->s = s;
	/* [TENANT-1] only has to be another each time. */
	t->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed) + 1; /* [TENANT-1] */
	err = btn_core_tenant(&s->core, &t->core, low, high, s->now);
	if (err) {
		free(t);
		return err;
	}
	if (name) {
		strcpy(t->name, name);
		add_name(t);
		s->n_names++;
	}
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

void btn_tenant_gone(struct baton_tenant *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	btn_core_tenant_free(&t->s->core, t->core);
	t->core = NULL;
	if (!t->refs)
		free(t);
}

void btn_tenant_leave(struct baton_tenant *t)
{
	if (!t->core->leaving)
		forget_name(t);
	t->core->leaving = true;
	btn_stat_set(&t->core->stats->state, 2);
	if (!t->core->requests)
		btn_tenant_gone(t);
}

int baton_tenant_add(struct baton_sched *s, struct baton_tenant **out, const struct baton_tenant_opts *opts)
{
	const char *name = opts->name;
	int err;

	*out = NULL;
	if (opts->sz != sizeof(*opts) ||
	    (name && (!*name || strlen(name) >= BATON_STATS_NAME || !btn_utf8_valid(name, strlen(name)))))
		return -EINVAL;
	btn_sched_lock(s);
	err = btn_tenant_new(s, out, btn_sched_part(s, opts->low_ppm), btn_sched_part(s, opts->high_ppm), name);
	if (!err)
		btn_page_tenant_show((*out)->core->stats);
	btn_sched_release(s);
	return err;
}

int baton_tenant_find(struct baton_sched *s, const char *name, struct baton_tenant **out)
{
	btn_sched_lock(s);
	*out = btn_tenant_named(s, name);
	if (*out) {
		(*out)->refs++;
		s->tenant_refs++;
	}
	btn_sched_release(s);
	return *out ? 0 : -ENOENT;
}

void baton_tenant_put(struct baton_tenant *t)
{
	struct baton_sched *s;
	bool last;

	if (!t)
		return;
	s = t->s;
	btn_sched_lock(s);
	s->tenant_refs--;
	last = !--t->refs && !t->core;
	btn_sched_release(s);
	if (last)
		free(t);
}

int baton_tenant_set(struct baton_tenant *t, const struct baton_tenant_opts *opts)
{
	struct baton_sched *s = t->s;
	struct btn_wakes wakes = { 0 };
	int err;

	if (opts->sz != sizeof(*opts))
		return -EINVAL;
	btn_sched_lock(s);
	err = t->core ? btn_core_tenant_set(&s->core, t->core, btn_sched_part(s, opts->low_ppm),
					    btn_sched_part(s, opts->high_ppm), s->now) : -ESHUTDOWN;
	btn_sched_unlock(s, &wakes);
	return err;
}

void baton_tenant_remove(struct baton_tenant *t)
{
	struct baton_sched *s = t->s;

	btn_sched_lock(s);
	if (t->core)
		btn_tenant_leave(t);
	btn_sched_release(s);
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
	for (i = 0; t->core && i < s->core.slots; i++) {
		run = &s->core.run[i];
		w = s->on[i];
		if (run->task && run->task->req->tenant == t->core && w->tid)
			open[run->tier->index] += btn_meter_open(&w->meter, btn_worker_cpu(w));
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
