// SPDX-License-Identifier: LGPL-2.1-or-later
/* The core's tenants and tiers: who bought what. The protocol is in setup.h. */
#include "setup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../hooks.h"
#include "../inject.h"
#include "core.h"
#include "flow.h"

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

/* 0, or -EINVAL. */
static int check_tiers(unsigned slots, uint64_t capacity, const struct btn_tier_setup *tiers, unsigned n_tiers,
		       uint64_t low_limit)
{
	uint64_t reserved = 0;
	unsigned i;

	for (i = 0; i < n_tiers; i++) {
		if (!tiers[i].policy || !tiers[i].share || tiers[i].rank >= BTN_TIERS_MAX)
			return -EINVAL;
		reserved += tiers[i].reserve;
	}
	return !slots || !capacity || capacity > slots * BTN_SECOND || reserved + low_limit > capacity ? -EINVAL : 0;
}

/* Sets all that may change of a tier at any time. */
static void set_tier(struct btn_core *c, struct btn_tier *t, const struct btn_tier_setup *to, uint64_t now)
{
	bool accounted = to->limit || to->reserve;

	t->policy = to->policy;
	t->rank = to->rank;
	t->share = to->share;
	t->reserve = to->reserve;
	if (accounted && !t->accounted)
		t->accounted_at = now;
	t->accounted = accounted;
	btn_account_set_quota(&t->acct, to->limit ? to->limit : 16 * c->capacity);
	if (t->reserve)
		btn_account_set_scale(&t->acct, t->reserve);
	show_tier(&c->page, t->index, to);
}

static void set_limits(struct btn_core *c, unsigned slots, uint64_t capacity, const struct btn_tier_setup *tiers,
		       uint64_t low_limit)
{
	unsigned i;

	c->slots = slots;
	c->capacity = capacity;
	c->paced = capacity < slots * BTN_SECOND;
	c->low_limit = low_limit;
	for (c->reserved = 0, i = 0; i < c->tiers; i++)
		c->reserved += tiers[i].reserve;
	btn_stat_set(&c->page.h->slots_open, c->slots);
	btn_stat_set(&c->page.h->capacity, c->capacity);
	btn_stat_set(&c->page.h->low_limit, c->low_limit);
}

int btn_core_init(struct btn_core *c, unsigned slots, unsigned slots_max, uint64_t capacity,
		  const struct btn_tier_setup *tiers, unsigned n_tiers, uint64_t low_limit)
{
	unsigned i;
	char *m;

	if (slots > slots_max || slots_max > 4096 || n_tiers < 2 || n_tiers > BTN_TIERS_MAX ||
	    check_tiers(slots, capacity, tiers, n_tiers, low_limit))
		return -EINVAL;
	memset(c, 0, sizeof(*c));
	m = btn_mem_zeroed(1, slots_max * (sizeof(*c->run) + 2 * sizeof(unsigned)) +
			      n_tiers * BTN_LOG * sizeof(struct btn_log));
	if (!m)
		return -ENOMEM;
	if (btn_page_create(&c->page, slots_max, n_tiers)) {
		btn_mem_free(m);
		return -ENOMEM;
	}
	c->memory = m;
	c->run = (struct btn_run *)m;
	m += slots_max * sizeof(*c->run);
	c->slots_max = slots_max;
	c->slots_in_use = slots;
	c->tiers = n_tiers;
	c->slice_max = 2000000;
	set_limits(c, slots, capacity, tiers, low_limit);
	c->done_last = &c->done;
	c->waiting_last = &c->waiting;
	for (i = 0; i < n_tiers; i++) {
		struct btn_tier *t = &c->tier[i];

		t->index = i;
		t->sold = i <= BTN_HIGH;
		t->oversold = i != BTN_LOW;
		btn_account_init(&t->acct, (struct btn_log *)m);
		m += BTN_LOG * sizeof(struct btn_log);
		set_tier(c, t, &tiers[i], 0);
	}
	c->idle = (unsigned *)m;
	c->resched = c->idle + slots_max;
	for (i = 0; i < slots; i++)
		c->idle[c->n_idle++] = slots - 1 - i;
	return 0;
}

void btn_core_fini(struct btn_core *c)
{
	btn_page_destroy(&c->page);
	btn_mem_free(c->memory);
}

/* ------------------------------------------------------------ another shape */

int btn_core_can_reshape(const struct btn_core *c, unsigned slots, uint64_t capacity,
			 const struct btn_tier_setup *tiers, uint64_t low_limit)
{
	return slots > c->slots_max ? -ERANGE : check_tiers(slots, capacity, tiers, c->tiers, low_limit);
}

/* The tier whose policy sorts a flow's tasks. */
static struct btn_tier *home_tier(struct btn_core *c, unsigned kind)
{
	if (kind >= BTN_FLOW_TIERS)
		return &c->tier[kind - BTN_FLOW_TIERS + 2];
	return &c->tier[kind == BTN_FLOW_BATCH ? BTN_HIGH : BTN_LOW];
}

void btn_core_tenant_lift(struct btn_core *c, struct btn_tenant *t, uint64_t now)
{
	unsigned i;

	btn_flow_shut_all(c, t);
	for (i = 0; i < btn_flow_each(c); i++)
		if (!btn_flow_empty(&t->flow[i]))
			btn_flow_take_out(c, now, &t->flow[i]);
}

static void resort_flow(struct btn_flow *f, const struct btn_policy *order)
{
	struct btn_heap_node *all = NULL, *n;
	struct btn_task *t;

	if (f->order == order)
		return;
	f->order = order;
	while ((n = btn_line_top(&f->tasks))) {
		btn_line_del(&f->tasks, n);
		n->up = all;
		all = n;
	}
	while ((n = all)) {
		all = n->up;
		t = btn_container(n, struct btn_task, node);
		n->key = order->task_key(t);
		n->seq = t->seq;
		btn_line_add(&f->tasks, n);
	}
}

void btn_core_tenant_put(struct btn_core *c, struct btn_tenant *t, uint64_t now)
{
	unsigned i;

	/* Tags were not kept under the policy before: nobody owes, or is owed, anything. */
	if (c->tier[BTN_HIGH].renewed)
		t->acct[BTN_HIGH].tag = c->tier[BTN_HIGH].vtime;
	for (i = 0; i < btn_flow_each(c); i++) {
		resort_flow(&t->flow[i], home_tier(c, i)->policy);
		btn_flow_place(c, now, &t->flow[i]);
	}
}

/* Tasks that wait for a worker stand by rank. */
static void resort_starved(struct btn_core *c)
{
	struct btn_heap_node *all = NULL, *n;

	while ((n = c->starved.top)) {
		btn_heap_del(&c->starved, n);
		n->up = all;
		all = n;
	}
	while ((n = all)) {
		all = n->up;
		n->key = btn_core_rank(c, btn_container(n, struct btn_task, node));
		btn_heap_add(&c->starved, n);
	}
}

/* c->slots is what it will be. */
static void open_and_close(struct btn_core *c, unsigned before, uint64_t now)
{
	unsigned i, n;

	if (c->slots_in_use < c->slots)
		c->slots_in_use = c->slots;
	for (i = before; i < c->slots; i++) {
		/* A slot that was to be removed and whose task did not stop yet simply stays. */
		if (c->run[i].task)
			continue;
		btn_stat_set(&c->page.slots[i].since, now);
		btn_flow_open_slot(c, now, i);
	}
	for (n = 0, i = 0; i < c->n_idle; i++)
		if (c->idle[i] < c->slots)
			c->idle[n++] = c->idle[i];
		else
			btn_stat_add(&c->page.slots[c->idle[i]].idle, now);
	c->n_idle = n;
	for (i = c->slots; i < c->slots_in_use; i++)
		if (c->run[i].task)
			btn_flow_resched(c, i);
	btn_flow_close_slots(c);
}

void btn_core_reshape(struct btn_core *c, unsigned slots, uint64_t capacity, const struct btn_tier_setup *tiers,
		      uint64_t low_limit, uint64_t now)
{
	unsigned before = c->slots, i, k;

	set_limits(c, slots, capacity, tiers, low_limit);
	for (i = 0; i < c->tiers; i++) {
		struct btn_tier *t = &c->tier[i];
		bool moves = t->rank != tiers[i].rank;

		t->renewed = t->policy != tiers[i].policy;
		set_tier(c, t, &tiers[i], now);
		if (moves)
			t->tag = c->rank_vtime[t->rank];
		for (k = 0; k < c->slots_in_use; k++) {
			struct btn_run *run = &c->run[k];

			if (!run->task || run->tier != t)
				continue;
			/* Nothing goes before this run by its key until its slice ends. */
			if (t->renewed)
				run->key = 0;
			if (moves)
				run->tier_vstart = t->tag;
		}
	}
	resort_starved(c);
	open_and_close(c, before, now);
}

static int get_log(struct btn_core *c, struct btn_account *a, uint64_t quota)
{
	if (quota && !a->log && !BTN_FAIL("core:tenant:log"))
		a->log = btn_prealloc_take(c->prealloc, BTN_PREALLOC_LOG, BTN_LOG_SIZE);
	return quota && !a->log ? -ENOMEM : 0;
}

/* A log without a quota is in nobody's way. */
int btn_core_tenant_prepare(struct btn_core *c, struct btn_tenant *t, uint64_t low, uint64_t high)
{
	return get_log(c, &t->acct[BTN_LOW], low) || get_log(c, &t->acct[BTN_HIGH], high) ? -ENOMEM : 0;
}

void btn_core_tenant_rescale(struct btn_core *c, struct btn_tenant *t, uint64_t low, uint64_t high, uint64_t now)
{
	unsigned i;

	c->low_sold += low - t->acct[BTN_LOW].quota;
	c->high_sold += high - t->acct[BTN_HIGH].quota;
	btn_account_set_quota(&t->acct[BTN_LOW], low);
	btn_account_set_quota(&t->acct[BTN_HIGH], high);
	btn_stat_set(&c->page.h->low_sold, c->low_sold);
	btn_stat_set(&btn_tenant_use(t, BTN_LOW)->quota, low);
	btn_stat_set(&btn_tenant_use(t, BTN_HIGH)->quota, high);
	btn_flow_shut_all(c, t);
	/* Waiting tasks may be able to pay now, or not any more. */
	for (i = 0; i < BTN_FLOW_TIERS; i++)
		if (!btn_flow_empty(&t->flow[i])) {
			btn_flow_take_out(c, now, &t->flow[i]);
			btn_flow_place(c, now, &t->flow[i]);
		}
}

int btn_core_tenant_set(struct btn_core *c, struct btn_tenant *t, uint64_t low, uint64_t high, uint64_t now)
{
	/* Selling less is never refused. */
	if (c->low_sold - t->acct[BTN_LOW].quota + low > c->low_limit && low > t->acct[BTN_LOW].quota)
		return -ENOSPC;
	if (btn_core_tenant_prepare(c, t, low, high))
		return -ENOMEM;
	btn_core_tenant_rescale(c, t, low, high, now);
	return 0;
}

void btn_core_tenant_limit(struct btn_core *c, struct btn_tenant *t, unsigned requests, unsigned workers, uint64_t now)
{
	unsigned n = workers ? workers - (t->workers < workers ? t->workers : workers) : UINT_MAX;

	btn_flow_shut_all(c, t);
	t->requests_max = requests;
	t->workers_max = workers;
	for (; n && btn_flow_feed(c, now, t); n--)
		;
}

size_t btn_core_tenant_size(const struct btn_core *c)
{
	return sizeof(struct btn_tenant) + btn_flow_each(c) * sizeof(struct btn_flow);
}

int btn_core_tenant(struct btn_core *c, struct btn_tenant **out, uint64_t low, uint64_t high, uint64_t now)
{
	struct btn_tenant *t = btn_prealloc_take(c->prealloc, BTN_PREALLOC_CORE, btn_core_tenant_size(c));
	unsigned i;
	int err;

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->stats = btn_page_tenant(&c->page, c->prealloc);
	if (!t->stats) {
		btn_prealloc_back(c->prealloc, BTN_PREALLOC_CORE, t);
		return -ENOMEM;
	}
	btn_account_init(&t->acct[BTN_LOW], NULL);
	btn_account_init(&t->acct[BTN_HIGH], NULL);
	for (i = 0; i < btn_flow_each(c); i++) {
		struct btn_flow *f = &t->flow[i];

		f->tenant = t;
		f->kind = i;
		f->tier = home_tier(c, i);
		f->acct = f->tier->sold ? &t->acct[f->tier->index] : NULL;
		f->order = f->tier->policy;
	}
	err = btn_core_tenant_set(c, t, low, high, now);
	if (err) {
		btn_page_tenant_free(&c->page, c->prealloc, t->stats);
		btn_prealloc_back(c->prealloc, BTN_PREALLOC_LOG, t->acct[BTN_LOW].log);
		btn_prealloc_back(c->prealloc, BTN_PREALLOC_LOG, t->acct[BTN_HIGH].log);
		btn_prealloc_back(c->prealloc, BTN_PREALLOC_CORE, t);
	} else {
		btn_stat_set(&t->stats->added, now);
		*out = t;
	}
	return err;
}

void btn_core_tenant_free(struct btn_core *c, struct btn_tenant *t)
{
	c->low_sold -= t->acct[BTN_LOW].quota;
	c->high_sold -= t->acct[BTN_HIGH].quota;
	btn_stat_set(&c->page.h->low_sold, c->low_sold);
	btn_page_tenant_free(&c->page, c->prealloc, t->stats);
	btn_prealloc_give(c->prealloc, t->acct[BTN_LOW].log);
	btn_prealloc_give(c->prealloc, t->acct[BTN_HIGH].log);
	btn_prealloc_give(c->prealloc, t);
}
