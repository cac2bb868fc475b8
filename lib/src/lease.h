/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease.h - a part of an account's quota in the hands of one spender. Pure, as
 * ledger.h is: no clock, no thread, no lock, no allocation. A spender is whatever
 * uses CPU in one place at a time: a slot's shard; for a fleet, a node with a
 * clock of its own would be one.
 *
 *	take		reserves up to `most` in the account, for one spender
 *	spend		CPU of a run: local, nothing shared is read or written
 *	give back	settles the whole lease: what was spent is recorded, the rest
 *			is free again
 *
 * Between take and give back the spender may run many tasks, one after the other,
 * with pauses between them. The calls on one account are serialised by the caller;
 * spend, and all that only looks at the lease, is the spender's alone.
 *
 * The sliding second over leases (Q2)
 * -----------------------------------
 * Claim: ledger.h's claim holds where "run" is read as "lease". In no second (s, s + 1 s]
 * is more CPU used than the quota in force at the last take before its end, plus
 * what each lease that is still out then spent past its room.
 *
 * Proof. ledger.h's proof asks four things of a run, and a lease has each:
 *
 *   - A run that was given g at t used by t + x no more than x (case c). The CPU
 *     under a lease is used in one place, one ns after the other, so by t + x it is
 *     no more than x; pauses make it less.
 *   - A run's whole slice stays in `reserved` until the run is recorded (case b). Nothing
 *     but give back takes a lease out of `reserved`, and give back takes all of it.
 *   - A run of CPU c that stops at T is recorded from T - c to T, and no ns is
 *     recorded for a time before the one at which it was used (2). A lease that
 *     goes back at T after it spent c is recorded from T - c to T. If i ns of its CPU
 *     follow one, they follow at T or before, one after the other, so that one was
 *     used at T - i or before.
 *   - At most r runs were given at once, so no more than r (e - t) of an entry of
 *     time e was used after t (3). Leases are counted where runs were (`running`,
 *     `abreast`), and each is used in one place at a time.				[]
 *
 * So a lease needs no rule about its age: however late it goes back, no second is
 * oversold. Age costs only its own tenant: what is spent at u and goes back at T is to
 * be had again at T + 1 s and not at u + 1 s, and what lies unspent is nobody's. Both
 * matter where quota is short, and nowhere else. So whether a lease may be kept
 * between runs is decided when it is taken (`keeps`): only if the account has so much
 * left that all its spenders together can let as much lie idle as this one has, and
 * that is not more than 1/BTN_LEASE_IDLE of what is left. Where quota is short a lease
 * lasts for one run, and is exactly what a slice was.
 *
 * Bounds, with n spenders and leases of at most m ns each that are kept no longer than
 * for a time A after their last run:
 *
 *   - Quota that lies idle in leases: n * m, at most 1/BTN_LEASE_IDLE of what was left
 *     when each was taken. A critical request (Q3) may be rejected at pick while that
 *     much is unspent elsewhere, within A of the time when the account was not short.
 *   - What a tenant loses of a second at saturation: what lies reserved and unspent while
 *     its tasks run. So leases get smaller where quota is short: all of them together are
 *     no more than half of what is left, or `least` each. What ledger.h says of
 *     1/1000 holds, less n * least where n spenders run at once; and leases from before
 *     quota was short are recorded up to A late.
 *   - Order: see below.
 *
 * Order (Q15, Q7)
 * ---------------
 * A lease carries the account's tag as of take, and moves it on by what it spends. What
 * other spenders of the same account spend meanwhile is not in it, and comes in with
 * the next take: so a tag that is looked at in one place is behind by the time in which
 * the other leases that are out are earned: n - 1 leases at most. A tenant that uses no
 * more than its quota earns in a time A what it spends in A: for it the tag is
 * behind by no more than A. Give back advances the account's tag by what was spent, so
 * after it the account has the sum of all, as if there had been no lease.
 */
#ifndef BTN_LEASE_H
#define BTN_LEASE_H

#include "ledger.h"

/* The part of what an account has left that may lie idle in all its leases. */
#define BTN_LEASE_IDLE	8

struct btn_lease {
	struct btn_account *acct;	/* NULL: no lease is out */
	uint64_t room;			/* ns that are reserved for it */
	uint64_t spent;			/* ns used of them, and past them */
	uint64_t taken;			/* the time of take */
	uint64_t tag;			/* virtual time of its next ns */
	uint64_t pace;			/* the account's: no look at it is needed to spend */
	bool keeps;			/* the lease may be kept between runs */
};

static inline bool btn_lease_out(const struct btn_lease *l)
{
	return l->acct;
}

static inline uint64_t btn_lease_left(const struct btn_lease *l)
{
	return l->spent < l->room ? l->room - l->spent : 0;
}

/* The time in which so much CPU is earned, by the pace when the lease was taken. */
static inline uint64_t btn_lease_earn(const struct btn_lease *l, uint64_t cpu)
{
	return (uint64_t)(((unsigned __int128)cpu * l->pace) >> 20);
}

/* A run used so much CPU. vstart: as btn_account_settle(), of the run's start. */
static inline void btn_lease_spend(struct btn_lease *l, uint64_t cpu, uint64_t vstart)
{
	l->spent += cpu;
	if (l->tag < vstart)
		l->tag = vstart;
	l->tag += btn_lease_earn(l, cpu);
}

/*
 * Takes back @cpu of what this lease spent and was not used after all; returns the part of it
 * that is older than the lease, for btn_account_refund().
 */
static inline uint64_t btn_lease_refund(struct btn_lease *l, uint64_t cpu)
{
	uint64_t part = cpu < l->spent ? cpu : l->spent, earned = btn_lease_earn(l, part);

	l->spent -= part;
	l->tag -= earned < l->tag ? earned : l->tag;
	return cpu - part;
}

/*
 * Up to `most` ns of the account a, for one of `spenders` that share it; l is not out. Where
 * quota gets short leases become smaller, but not below `least`. False: the account has
 * less than its min, and l stays as it was.
 */
bool btn_lease_take(struct btn_lease *l, struct btn_account *a, uint64_t now, uint64_t most, uint64_t least,
		    unsigned spenders);

/* The lease ends; l is not out any more. */
void btn_lease_give_back(struct btn_lease *l, uint64_t now);

#endif
