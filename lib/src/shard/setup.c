// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tenants and tiers of all shards: who bought what. The protocol is in setup.h.
 *
 * Why no promise breaks when a quota changes: the fund's account keeps its log, and what is leased
 * stays reserved until it comes back, so the claim of fund.h holds, for the quota in force at the last
 * take. Each shard's part hears of the change with its own lock: until then its slices are of the
 * old quota's length, and leases are what the fund gives.
 */
#include "setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/flow.h"
#include "../core/setup.h"
#include "../hooks.h"
#include "fund.h"
#include "shard.h"

int btn_shards_init(struct btn_shards *s, unsigned slots, unsigned shards, const struct btn_tier_setup *tiers,
		    unsigned n_tiers, uint64_t low_limit)
{
	unsigned i, k;
	int err = 0;

	if (!shards || shards > BTN_SHARDS_MAX || !slots || slots > BTN_BOARD_SLOTS || slots % shards)
		return -EINVAL;
	memset(s, 0, sizeof(*s));
	btn_board_init(&s->board, slots);
	s->slots = slots;
	s->per = slots / shards;
	s->tiers = n_tiers;
	s->low_limit = low_limit;
	atomic_init(&s->open, slots);
	s->slot = btn_mem_aligned(BTN_CACHELINE, slots * sizeof(*s->slot));
	s->shard = btn_mem_aligned(BTN_CACHELINE, shards * sizeof(*s->shard));
	s->logs = btn_mem_zeroed(n_tiers <= BTN_TIERS_MAX ? n_tiers : 0, BTN_LOG * sizeof(struct btn_log));
	if (!s->slot || !s->shard || !s->logs)
		err = -ENOMEM;
	for (i = 0; !err && i < shards; i++) {
		struct btn_shard *sh = &s->shard[i];

		memset(sh, 0, sizeof(*sh));
		err = btn_core_init(&sh->core, slots, slots, slots * BTN_SECOND, tiers, n_tiers, low_limit);
		if (err)
			break;
		s->shards++;
		btn_ready_init(&sh->ready);
		btn_shard_close_slots(&sh->core);
		sh->index = i;
		sh->look.kind = BTN_POST_LOOK;
		atomic_init(&sh->next, BTN_NEVER);
	}
	if (err) {
		btn_shards_fini(s);
		return err;
	}
	memset(s->slot, 0, slots * sizeof(*s->slot));
	for (i = 0; i < n_tiers; i++) {
		struct btn_fund *f = &s->tier_fund[i];

		btn_fund_init(f, s->logs + i * BTN_LOG, NULL);
		/* The same account as a core's own. */
		btn_account_set_quota(&f->acct, s->shard[0].core.tier[i].acct.quota);
		if (tiers[i].reserve)
			btn_account_set_scale(&f->acct, tiers[i].reserve);
		for (k = 0; k < n_tiers; k++)
			if (k != i && tiers[k].rank == tiers[i].rank)
				s->rank_shared[tiers[i].rank] = true;
	}
	return 0;
}

void btn_shards_fini(struct btn_shards *s)
{
	unsigned i;

	for (i = 0; i < s->shards; i++)
		btn_core_fini(&s->shard[i].core);
	btn_mem_free(s->shard);
	btn_mem_free(s->slot);
	btn_mem_free(s->logs);
}

void btn_shards_open(struct btn_shards *s, unsigned slots)
{
	unsigned i;

	atomic_store_explicit(&s->open, slots, memory_order_relaxed); /* [SHARD-3] */
	for (i = slots; i < s->slots; i++) {
		btn_board_withdraw(&s->board, i);
		atomic_fetch_or_explicit(&s->slot[i].flags, BTN_SLOT_RESCHED, memory_order_relaxed); /* [SLOT-1] */
	}
}

/* The quota as a part's accounts know it: for lengths of slices and the pace of tags. */
static void set_part(struct btn_tenant *t, uint64_t low, uint64_t high)
{
	btn_account_set_quota(&t->acct[BTN_LOW], low);
	btn_account_set_quota(&t->acct[BTN_HIGH], high);
	btn_stat_set(&btn_tenant_use(t, BTN_LOW)->quota, low);
	btn_stat_set(&btn_tenant_use(t, BTN_HIGH)->quota, high);
}

static void free_tenant(struct btn_shards *s, struct btn_shard_tenant *t)
{
	unsigned i;

	for (i = 0; i < s->shards; i++) {
		if (!t->part[i].t)
			continue;
		/* The core sold none of it. */
		btn_account_set_quota(&t->part[i].t->acct[BTN_LOW], 0);
		btn_core_tenant_free(&s->shard[i].core, t->part[i].t);
	}
	btn_mem_free(t->fund[BTN_LOW].acct.log);
	btn_mem_free(t->fund[BTN_HIGH].acct.log);
	btn_mem_free(t);
}

static int get_log(struct btn_fund *f, uint64_t quota)
{
	struct btn_log *log;

	if (!quota || f->acct.log)
		return 0;
	log = btn_mem_zeroed(BTN_LOG, sizeof(*log));
	if (!log)
		return -ENOMEM;
	btn_lock_acquire(&f->lock);
	f->acct.log = log;
	btn_lock_release(&f->lock);
	return 0;
}

int btn_shards_tenant(struct btn_shards *s, struct btn_shard_tenant **out, uint64_t low, uint64_t high, uint64_t now)
{
	struct btn_shard_tenant *t;
	struct btn_shard_out none = { 0 };
	unsigned i;
	int err;

	*out = NULL;
	if (s->low_sold + low > s->low_limit)
		return -ENOSPC;
	t = btn_mem_zeroed(1, sizeof(*t) + s->shards * sizeof(t->part[0]));
	if (!t)
		return -ENOMEM;
	btn_fund_init(&t->fund[BTN_LOW], NULL, t);
	btn_fund_init(&t->fund[BTN_HIGH], NULL, t);
	err = get_log(&t->fund[BTN_LOW], low) || get_log(&t->fund[BTN_HIGH], high) ? -ENOMEM : 0;
	for (i = 0; !err && i < s->shards; i++) {
		struct btn_shard *sh = &s->shard[i];

		t->part[i].post.kind = BTN_POST_OPEN;
		btn_shard_lock(s, &none, sh, now);
		err = btn_core_tenant(&sh->core, &t->part[i].t, 0, 0, now);
		if (!err)
			set_part(t->part[i].t, low, high);
		btn_lock_release(&sh->ready.lock);
	}
	if (err) {
		free_tenant(s, t);
		return err;
	}
	btn_fund_set_quota(&t->fund[BTN_LOW], low);
	btn_fund_set_quota(&t->fund[BTN_HIGH], high);
	s->low_sold += low;
	*out = t;
	return 0;
}

int btn_shards_tenant_set(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard_tenant *t, uint64_t low,
			  uint64_t high, uint64_t now)
{
	uint64_t had = t->fund[BTN_LOW].acct.quota;
	unsigned i;

	if (low > had && s->low_sold - had + low > s->low_limit)
		return -ENOSPC;
	if (get_log(&t->fund[BTN_LOW], low) || get_log(&t->fund[BTN_HIGH], high))
		return -ENOMEM;
	s->low_sold += low - had;
	btn_fund_set_quota(&t->fund[BTN_LOW], low);
	btn_fund_set_quota(&t->fund[BTN_HIGH], high);
	for (i = 0; i < s->shards; i++) {
		struct btn_shard *sh = &s->shard[i];
		struct btn_tenant *part = t->part[i].t;

		btn_shard_lock(s, out, sh, now);
		btn_core_tenant_lift(&sh->core, part, now);
		set_part(part, low, high);
		part->acct[BTN_LOW].earned = part->acct[BTN_HIGH].earned = 0;
		btn_core_tenant_put(&sh->core, part, now);
		btn_shard_unlock(s, out, sh, now);
	}
	return 0;
}

void btn_shards_tenant_leave(struct btn_shards *s, struct btn_shard_tenant *t, uint64_t now)
{
	struct btn_shard_out none = { 0 };
	unsigned i;

	atomic_store_explicit(&t->leaving, true, memory_order_relaxed); /* [TENANT-1] */
	for (i = 0; i < s->shards; i++) {
		btn_shard_lock(s, &none, &s->shard[i], now);
		t->part[i].t->leaving = true;
		btn_lock_release(&s->shard[i].ready.lock);
	}
}

static bool is_busy(struct btn_shards *s, struct btn_shard_tenant *t, uint64_t now)
{
	struct btn_shard_out none = { 0 };
	unsigned i;
	bool busy = false;

	for (i = 0; i <= BTN_HIGH; i++) {
		btn_lock_acquire(&t->fund[i].lock);
		busy |= t->fund[i].acct.running;
		t->fund[i].shut = 0;
		btn_lock_release(&t->fund[i].lock);
	}
	for (i = 0; i < s->shards; i++) {
		btn_shard_lock(s, &none, &s->shard[i], now);
		busy |= t->part[i].t->requests || atomic_load_explicit(&t->part[i].post.posted, memory_order_acquire); /* [FUND-2] */
		btn_lock_release(&s->shard[i].ready.lock);
	}
	return busy;
}

int btn_shards_tenant_free(struct btn_shards *s, struct btn_shard_tenant *t, uint64_t now)
{
	if (is_busy(s, t, now))
		return -EBUSY;
	s->low_sold -= t->fund[BTN_LOW].acct.quota;
	free_tenant(s, t);
	return 0;
}
