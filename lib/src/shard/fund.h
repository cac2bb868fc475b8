/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shard/fund.h - quota for shards: slots lease parts of accounts (lease.h), and spend them without a
 * write to anything shared.
 *
 * The sliding second over shards (Q2)
 * -----------------------------------
 * Claim: in no second (s, s + 1 s] do all slots together use more of a fund than the quota in
 * force at the last take before its end, plus what each lease that is still out then spent past
 * its room.
 *
 * Proof. Of lease.h's claim, as the spenders are slots: a slot runs one task at a time, and its lease
 * of a fund is used by that run alone, so a lease is used in one place, one ns after the other,
 * whichever shard the task came from. (A lease of a shard, used by its own slot and a thief at once, would
 * be used in two places.) Calls on the account are serialised by the fund's lock, with times that do not
 * go back: a time that another slot's call has passed counts as that one, so CPU is recorded at its real
 * time or later, which (2) of ledger.h allows. Each CPU ns is in exactly one lease, or is
 * charged without one and then counts as an overrun. []
 *
 * What it costs where quota is not short: a lock and two cache lines of the fund for each lease, not
 * for each run. A slot keeps BTN_SLOT_LEASES leases, no longer than BTN_LEASE_AGE after their last
 * run, none while it is idle, and none that lease.h says must not be kept.
 *
 * Refused
 * -------
 * Where an account has nothing left, the shard closes its part of the tenant and is noted in
 * `shut`, with the fund's lock, by the call that was refused. Whoever gives so much back that
 * there is something to be had takes that set, with the lock, and posts to the shards in
 * it. A shard that is not told looks again at the time that btn_account_when() gave. So no quota lies
 * free while a task waits for it, but for what is in leases (lease.h, Bounds), and for this: what is
 * given back may be less than the account's min, and posts nothing; with what leaves the log before the
 * time that was given, it may be enough. That time is one entry of the log later at most (BTN_SPAN).
 */
#ifndef BTN_FUND_H
#define BTN_FUND_H

#include "types.h"

/* ns that a lease is kept after its last run. */
#define BTN_LEASE_AGE	1000000ULL

void btn_fund_init(struct btn_fund *f, struct btn_log *log, struct btn_shard_tenant *tenant);
/* At any time. Shards that are shut are not told: the caller opens all parts. */
void btn_fund_set_quota(struct btn_fund *f, uint64_t quota);

/* Can so much as the account's min be had now? */
bool btn_fund_can_pay(struct btn_fund *f, uint64_t now);
/* As btn_core_submit() decides for critical requests: is anything left that is not used up? */
bool btn_fund_left(struct btn_fund *f, uint64_t now);
/* CPU that is used and reserved of a tier's account. */
uint64_t btn_fund_taken(struct btn_fund *f, uint64_t now);
/* btn_account_when(), of the fund, for a shard that was refused. The account's tag catches up, too. */
uint64_t btn_fund_when(struct btn_fund *f, uint64_t now, unsigned shard);

/*
 * A lease of this slot with something left; most, least: of a new one, as btn_lease_take(). NULL: refused.
 * What became free of other leases is posted.
 */
struct btn_slot_lease *btn_fund_back(struct btn_shards *s, struct btn_shard_out *out, struct btn_slot *sl,
				     struct btn_fund *f, uint64_t now, unsigned shard);
/* A run on this lease ended, having used cpu. */
void btn_fund_spend(struct btn_shards *s, struct btn_shard_out *out, struct btn_slot_lease *e, uint64_t now, uint64_t cpu,
		    uint64_t vstart);
/* CPU that was used without a lease. owes: as btn_account_owe(). */
void btn_fund_charge(struct btn_fund *f, uint64_t now, uint64_t cpu, uint64_t vstart, bool owes);
/* Leases that were kept long enough go back; all: those that are not running now. */
void btn_fund_give_back(struct btn_shards *s, struct btn_shard_out *out, struct btn_slot *sl, uint64_t now, bool all);

/* Pushes a post into a shard's inbox, once, and looks for an idle slot. */
void btn_shard_post_once(struct btn_shards *s, struct btn_shard_out *out, unsigned shard, struct btn_post *p);
/* Pushes a post that is in no inbox, and looks for an idle slot. */
void btn_shard_post(struct btn_shards *s, struct btn_shard_out *out, unsigned shard, struct btn_post *p);

static inline uint64_t btn_fund_tag(struct btn_fund *f)
{
	return atomic_load_explicit(&f->tag, memory_order_relaxed); /* [FUND-1] */
}

#endif
