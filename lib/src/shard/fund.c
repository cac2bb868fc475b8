// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Leases of slots, and what follows when quota comes back; the proof is in fund.h.
 *
 * [FUND-1] the tag beside the account is a hint for the order; a take has the account's own.
 * [FUND-2] posted is set by whoever pushes, and cleared by the shard before it does what was asked for:
 * a push that finds it set is before that. [SLOT-1] flags of a slot are hints which its
 * next checkpoint reads: what they are about is in an inbox, or in a core.
 */
#include "fund.h"

#include <string.h>

#define LEASE_MOST	2000000ULL
#define LEASE_LEAST	100000ULL
#define LEASES_IN_SECOND 256

void btn_fund_init(struct btn_fund *f, struct btn_log *log, struct btn_shard_tenant *tenant)
{
	memset(f, 0, sizeof(*f));
	btn_account_init(&f->acct, log);
	f->tenant = tenant;
}

void btn_fund_set_quota(struct btn_fund *f, uint64_t quota)
{
	btn_lock_acquire(&f->lock);
	btn_account_set_quota(&f->acct, quota);
	btn_lock_release(&f->lock);
}

/* With the lock: the account's clock. */
static uint64_t fund_clock(struct btn_fund *f, uint64_t now)
{
	if (f->now < now)
		f->now = now;
	return f->now;
}

static void publish_tag(struct btn_fund *f)
{
	if (btn_fund_tag(f) != f->acct.tag)
		atomic_store_explicit(&f->tag, f->acct.tag, memory_order_relaxed); /* [FUND-1] */
}

bool btn_fund_can_pay(struct btn_fund *f, uint64_t now)
{
	bool can;

	btn_lock_acquire(&f->lock);
	can = btn_account_left(&f->acct, fund_clock(f, now)) >= f->acct.min;
	btn_lock_release(&f->lock);
	return can;
}

bool btn_fund_left(struct btn_fund *f, uint64_t now)
{
	bool left;

	btn_lock_acquire(&f->lock);
	now = fund_clock(f, now);
	btn_account_left(&f->acct, now);
	left = now >= btn_account_owes_until(&f->acct) && f->acct.used + f->acct.min <= f->acct.quota;
	btn_lock_release(&f->lock);
	return left;
}

uint64_t btn_fund_taken(struct btn_fund *f, uint64_t now)
{
	uint64_t taken;

	btn_lock_acquire(&f->lock);
	btn_account_left(&f->acct, fund_clock(f, now));
	taken = f->acct.used + f->acct.reserved;
	btn_lock_release(&f->lock);
	return taken;
}

uint64_t btn_fund_when(struct btn_fund *f, uint64_t now, unsigned shard)
{
	uint64_t when;

	btn_lock_acquire(&f->lock);
	now = fund_clock(f, now);
	when = btn_account_when(&f->acct, now);
	f->shut |= UINT64_C(1) << shard;
	/* As in core/flow.c: quota that was not used while it could be is no reason to go first. */
	if (f->acct.tag < now)
		f->acct.tag = now;
	publish_tag(f);
	btn_lock_release(&f->lock);
	return when;
}

void btn_shard_post(struct btn_shards *s, struct btn_shard_out *out, unsigned shard, struct btn_post *p)
{
	unsigned i;
	int slot;

	btn_inbox_push(&s->shard[shard].ready.inbox, &p->node);
	slot = btn_board_claim(&s->board, shard * s->per);
	if (slot >= 0) {
		out->wake[out->wakes++] = (unsigned)slot;
		return;
	}
	for (i = shard * s->per; i < (shard + 1) * s->per; i++)
		atomic_fetch_or_explicit(&s->slot[i].flags, BTN_SLOT_LOOK, memory_order_relaxed); /* [SLOT-1] */
}

void btn_shard_post_once(struct btn_shards *s, struct btn_shard_out *out, unsigned shard, struct btn_post *p)
{
	if (!atomic_exchange_explicit(&p->posted, true, memory_order_acq_rel)) /* [FUND-2] */
		btn_shard_post(s, out, shard, p);
}

static void tell_shut(struct btn_shards *s, struct btn_shard_out *out, struct btn_fund *f, uint64_t shut)
{
	unsigned i;

	for (; shut; shut &= shut - 1) {
		i = (unsigned)__builtin_ctzll(shut);
		btn_shard_post_once(s, out, i, f->tenant ? &f->tenant->part[i].post : &s->shard[i].look);
	}
}

/* With the fund's lock: shards to be told that there is something to be had. */
static uint64_t to_be_told(struct btn_fund *f, uint64_t now)
{
	uint64_t shut = f->shut;

	if (!shut || btn_account_left(&f->acct, now) < f->acct.min)
		return 0;
	f->shut = 0;
	return shut;
}

static void end_lease(struct btn_shards *s, struct btn_shard_out *out, struct btn_slot_lease *e, uint64_t now)
{
	struct btn_fund *f = e->fund;
	uint64_t shut;

	btn_lock_acquire(&f->lock);
	now = fund_clock(f, now);
	btn_lease_give_back(&e->l, now);
	publish_tag(f);
	shut = to_be_told(f, now);
	btn_lock_release(&f->lock);
	tell_shut(s, out, f, shut);
}

static bool is_leaving(const struct btn_fund *f)
{
	/* [TENANT-1] a hint: leases come back sooner. */
	return f->tenant && atomic_load_explicit(&f->tenant->leaving, memory_order_relaxed); /* [TENANT-1] */
}

/* The slot's lease of this fund; else a place for one, from which the oldest lease was given back. */
static struct btn_slot_lease *find_lease(struct btn_shards *s, struct btn_shard_out *out, struct btn_slot *sl,
					 struct btn_fund *f, uint64_t now)
{
	struct btn_slot_lease *oldest = NULL, *e;

	for (e = sl->lease; e < sl->lease + BTN_SLOT_LEASES; e++)
		if (btn_lease_out(&e->l) && e->fund == f)
			return e;
	for (e = sl->lease; e < sl->lease + BTN_SLOT_LEASES; e++) {
		if (!btn_lease_out(&e->l))
			return e;
		if (!e->runs && (!oldest || e->since < oldest->since))
			oldest = e;
	}
	end_lease(s, out, oldest, now);
	return oldest;
}

struct btn_slot_lease *btn_fund_back(struct btn_shards *s, struct btn_shard_out *out, struct btn_slot *sl,
				     struct btn_fund *f, uint64_t now, unsigned shard)
{
	struct btn_slot_lease *e = find_lease(s, out, sl, f, now);
	uint64_t most, shut = 0;
	bool ok;

	if (btn_lease_out(&e->l) && btn_lease_left(&e->l) >= LEASE_LEAST / 2)
		return e;
	btn_lock_acquire(&f->lock);
	now = fund_clock(f, now);
	if (btn_lease_out(&e->l))
		btn_lease_give_back(&e->l, now);
	most = f->acct.quota / LEASES_IN_SECOND;
	if (most < LEASE_LEAST)
		most = LEASE_LEAST;
	ok = btn_lease_take(&e->l, &f->acct, now, most < LEASE_MOST ? most : LEASE_MOST, LEASE_LEAST, s->slots);
	if (ok) {
		e->fund = f;
		e->since = now;
		shut = to_be_told(f, now);
	} else {
		f->shut |= UINT64_C(1) << shard;
	}
	publish_tag(f);
	btn_lock_release(&f->lock);
	tell_shut(s, out, f, shut);
	return ok ? e : NULL;
}

void btn_fund_spend(struct btn_shards *s, struct btn_shard_out *out, struct btn_slot_lease *e, uint64_t now, uint64_t cpu,
		    uint64_t vstart)
{
	btn_lease_spend(&e->l, cpu, vstart);
	e->runs = false;
	e->since = now;
	if (!e->l.keeps || btn_lease_left(&e->l) < LEASE_LEAST / 2 || is_leaving(e->fund))
		end_lease(s, out, e, now);
}

void btn_fund_charge(struct btn_fund *f, uint64_t now, uint64_t cpu, uint64_t vstart, bool owes)
{
	if (!f->acct.log)
		return;
	btn_lock_acquire(&f->lock);
	now = fund_clock(f, now);
	btn_account_settle(&f->acct, now, 0, cpu, vstart);
	if (owes)
		btn_account_owe(&f->acct, now, cpu);
	publish_tag(f);
	btn_lock_release(&f->lock);
}

void btn_fund_give_back(struct btn_shards *s, struct btn_shard_out *out, struct btn_slot *sl, uint64_t now, bool all)
{
	struct btn_slot_lease *e;

	for (e = sl->lease; e < sl->lease + BTN_SLOT_LEASES; e++)
		if (btn_lease_out(&e->l) && !e->runs &&
		    (all || now > e->since + BTN_LEASE_AGE || is_leaving(e->fund)))
			end_lease(s, out, e, now);
}
