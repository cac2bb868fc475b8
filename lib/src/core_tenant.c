// SPDX-License-Identifier: LGPL-2.1-or-later
/* The core's tenants and tiers: who bought what. The protocol is in core.h. */
#include "core_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inject.h"

static void show_tier(struct btn_page *page, unsigned i, const struct btn_tier_setup *from)
{
	struct baton_stats_tier *t = btn_page_tier(page, i);
	char name[16];

	snprintf(name, sizeof(name), "tier%u", i);
	btn_page_name((uint64_t *)t->name, sizeof(t->name),
		      i == BTN_LOW ? "low" : i == BTN_HIGH ? "high" : name);
	btn_page_name((uint64_t *)t->policy, sizeof(t->policy), from->policy->name);
	btn_stat_set(&t->rank, from->rank);
	btn_stat_set(&t->share, from->share);
	btn_stat_set(&t->reserve, from->reserve);
	btn_stat_set(&t->limit, from->limit);
}

int btn_core_init(struct btn_core *c, unsigned slots, const struct btn_tier_setup *tiers,
		  unsigned n_tiers, uint64_t low_limit)
{
	uint64_t reserved = 0;
	unsigned i;
	char *m;

	if (!slots || slots > 4096 || n_tiers < 2 || n_tiers > BTN_TIERS_MAX)
		return -EINVAL;
	for (i = 0; i < n_tiers; i++) {
		if (!tiers[i].policy || !tiers[i].share || tiers[i].rank >= BTN_TIERS_MAX)
			return -EINVAL;
		reserved += tiers[i].reserve;
	}
	if (reserved + low_limit > slots * BTN_SECOND)
		return -EINVAL;
	memset(c, 0, sizeof(*c));
	m = calloc(1, slots * (sizeof(*c->run) + 2 * sizeof(unsigned)) +
			      n_tiers * BTN_LOG * sizeof(struct btn_log));
	if (!m)
		return -ENOMEM;
	if (btn_page_create(&c->page, slots, n_tiers)) {
		free(m);
		return -ENOMEM;
	}
	c->memory = m;
	c->run = (struct btn_run *)m;
	m += slots * sizeof(*c->run);
	c->slots = slots;
	c->tiers = n_tiers;
	c->capacity = slots * BTN_SECOND;
	c->slice = 2000000;
	c->low_limit = low_limit;
	c->reserved = reserved;
	c->done_last = &c->done;
	for (i = 0; i < n_tiers; i++) {
		struct btn_tier *t = &c->tier[i];

		t->policy = tiers[i].policy;
		t->rank = tiers[i].rank;
		t->share = tiers[i].share;
		t->reserve = tiers[i].reserve;
		t->index = i;
		t->sold = i <= BTN_HIGH;
		t->oversold = i != BTN_LOW;
		show_tier(&c->page, i, &tiers[i]);
		btn_account_init(&t->acct, (struct btn_log *)m);
		m += BTN_LOG * sizeof(struct btn_log);
		t->metered = tiers[i].limit || tiers[i].reserve;
		btn_account_set_quota(&t->acct, tiers[i].limit ? tiers[i].limit : 16 * c->capacity);
		if (t->reserve)
			btn_account_set_scale(&t->acct, t->reserve);
	}
	btn_stat_set(&c->page.h->capacity, c->capacity);
	btn_stat_set(&c->page.h->low_limit, c->low_limit);
	c->idle = (unsigned *)m;
	c->pokes = c->idle + slots;
	for (i = 0; i < slots; i++)
		c->idle[c->n_idle++] = slots - 1 - i;
	return 0;
}

void btn_core_fini(struct btn_core *c)
{
	btn_page_destroy(&c->page);
	free(c->memory);
}

static int get_log(struct btn_account *a, uint64_t quota)
{
	if (quota && !a->log && !BTN_FAIL("core:tenant:log"))
		a->log = malloc(BTN_LOG * sizeof(struct btn_log));
	return quota && !a->log ? -ENOMEM : 0;
}

/* One that is there without a quota is in nobody's way. */
int btn_core_tenant_prepare(struct btn_tenant *t, uint64_t low, uint64_t high)
{
	return get_log(&t->acct[BTN_LOW], low) || get_log(&t->acct[BTN_HIGH], high) ? -ENOMEM : 0;
}

int btn_core_tenant_set(struct btn_core *c, struct btn_tenant *t, uint64_t low, uint64_t high, uint64_t now)
{
	uint64_t sold = c->low_sold - t->acct[BTN_LOW].quota + low;
	unsigned i;

	/* Selling less is never refused. */
	if (sold > c->low_limit && low > t->acct[BTN_LOW].quota)
		return -ENOSPC;
	if (btn_core_tenant_prepare(t, low, high))
		return -ENOMEM;
	c->low_sold = sold;
	btn_account_set_quota(&t->acct[BTN_LOW], low);
	btn_account_set_quota(&t->acct[BTN_HIGH], high);
	btn_stat_set(&c->page.h->low_sold, sold);
	btn_stat_set(&btn_tenant_use(t, BTN_LOW)->quota, low);
	btn_stat_set(&btn_tenant_use(t, BTN_HIGH)->quota, high);
	/* What waits may be able to pay now, or not any more. */
	for (i = 0; i < BTN_LANE_TIERS; i++)
		if (!btn_group_empty(&t->group[i])) {
			btn_group_take_out(c, now, &t->group[i]);
			btn_group_place(c, now, &t->group[i]);
		}
	return 0;
}

int btn_core_tenant(struct btn_core *c, struct btn_tenant **out, uint64_t low, uint64_t high, uint64_t now)
{
	unsigned lanes = BTN_LANE_TIERS + c->tiers - 2, i;
	struct btn_tenant *t = calloc(1, sizeof(*t) + lanes * sizeof(t->group[0]));
	int err;

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->stats = btn_page_tenant(&c->page);
	if (!t->stats) {
		free(t);
		return -ENOMEM;
	}
	btn_account_init(&t->acct[BTN_LOW], NULL);
	btn_account_init(&t->acct[BTN_HIGH], NULL);
	for (i = 0; i < lanes; i++) {
		struct btn_group *g = &t->group[i];

		g->tenant = t;
		g->lane = i;
		if (i < BTN_LANE_TIERS) {
			unsigned home = i == BTN_LANE_BATCH ? BTN_HIGH : BTN_LOW;

			g->tier = &c->tier[home];
			g->acct = &t->acct[home];
		} else {
			g->tier = &c->tier[i - BTN_LANE_TIERS + 2];
		}
		g->order = g->tier->policy;
	}
	err = btn_core_tenant_set(c, t, low, high, now);
	if (err) {
		btn_page_tenant_free(&c->page, t->stats);
		free(t);
	} else {
		btn_stat_set(&t->stats->added, now);
		*out = t;
	}
	return err;
}

void btn_core_tenant_free(struct btn_core *c, struct btn_tenant *t)
{
	c->low_sold -= t->acct[BTN_LOW].quota;
	btn_stat_set(&c->page.h->low_sold, c->low_sold);
	btn_page_tenant_free(&c->page, t->stats);
	free(t->acct[BTN_LOW].log);
	free(t->acct[BTN_HIGH].log);
	free(t);
}
