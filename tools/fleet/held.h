/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * held.h - the arithmetic of a fleet: one rate of a tenant (its low-latency or its high-latency quota) in the
 * hands of many nodes. Pure: no clock, no thread, no allocation, no network. The library does not need it: a
 * scheduler gets from its node's agent only "this rate, until that time of your clock".
 *
 * What stands in the store, for each rate of each tenant, in two keys:
 *
 *	quota	rate: what was bought, ns of CPU in a second; base: what each place of the fleet has of it for ever
 *	held	who holds how much of the pool, and what is cooling
 *
 * A fleet has a fixed number of places; a node has one. pool = rate - places * base. Base needs no lease: a node
 * which never hears of anybody again still has it, so a first request is not refused anywhere. A node without a place has no base
 * (member.h). The pool is leased.
 * held is changed by its holders alone: a compare-and-swap on its revision, on quota's, and on that of the writer's node key (member.h),
 * so that no life writes after it was fenced. There is no leader.
 *
 * The sliding second over nodes
 * -----------------------------
 * A second is one of a node's own clock. Clocks are wrong by at most FLEET_DRIFT: a second below is 1 s less twice that.
 *
 * Claim: in no second do all nodes together use more of a rate than the greatest that was in force, plus what
 * each task that runs then runs past its slice. A rate that is lowered stays in force until its holders gave back, or
 * their leases ended: FLEET_LOWERED after the change at most.
 *
 * What the scheduler of node n may use is its quota q_n(t), a step function of time that its agent sets; ledger.h proves that
 * n uses in each second that ends at t no more than q_n(t) or, if q_n was lowered to r at t0 < t and nothing was given out since, the
 * part A(t) of what it had used by t0 that is younger than a second. So n's use is at most q_n(t) + above_n(t), with
 * above_n(t) = max(0, A(t) - r), and it is enough to show of each instant t
 *
 *	sum of q_n(t) + sum of above_n(t) <= rate					(1)
 *
 * Broken, what a naive store of leases does: n holds all, and used it in the last 100 ms. n gives to m at t0, and m, which had
 * used nothing, uses all of it in the next 100 ms: twice the rate in 200 ms. above_n is what is missing.
 *
 * Proof of (1). Let R_n be n's rate in the newest record of held, for entries that are not void (c), and C_j the rates
 * of its cooling entries. Each write keeps sum R + sum C <= pool. Where a pool became less than that sum, writes give only, until it
 * is within the pool again, a second after the last give: what is cooling then was the old pool's, and whoever took it would keep
 * the old rate in force (fleet_part_plan).
 *
 *   a) q_n <= base + R_n - ramp_n, always: the part of q_n above base is the least of n's rate in the record that n knows and of those
 *      in its own writes whose outcome n does not know. Only n changes its entry, so R_n is one of these. A write
 *      without an answer is not over: it may be applied later, as long as the revision that it compares is the newest. So
 *      it counts until n knows a newer revision (fleet_part_usable, fleet_part_see). The scheduler has been told, and
 *      has answered, before the write leaves.
 *   b) Giving. n lowers R_n from r to r' at t0: its write adds a cooling entry C = r - r' with steps above[i], at least
 *      max(0, A(t0 + i) + ramp_n(t0 + i) - r') where i counts tenths of seconds; so above_n(t) <= above[i] <= C for t in step i. What
 *      is still in `above` of a cooling entry is in nobody's q. m that takes x of it takes min(x, above[i]) of each step with it, as a
 *      ramp: for it q_m <= base + R_m - ramp_m(t). The rest, above[i] - min(x, above[i]), stays in the entry. m's steps
 *      begin when m first saw the entry, which is after t0, and m's clock is taken to be fast: they end later than n's, and as
 *      steps only go down that is more. A cooling entry that m saw a second ago is over, and may be left out.
 *   c) Dying. n's leases are n's while its clock is before `deadline`: FLEET_TTL after n sent the last heartbeat that was
 *      acknowledged (member.h). An entry of a life of n that was fenced is void. Who fences saw n's heartbeat at one revision for
 *      FLEET_TTL and a second more, by its own clock, taken to be fast; that is after the heartbeat was sent, and the fence's compare
 *      says that there was none since. So at the fence n's q has been base for a second, and above_n is 0. A fenced life stays fenced.
 *      The entry takes n's ramps with it, and what these stood for (b) must be over, too: n plans a take before its deadline only,
 *      and its ramp is over a second after the plan, however late the write is applied. Broken, a take without a lease: n takes what m
 *      used 100 ms ago, n's fence frees all that n held, and k uses that before m's second is over.
 *
 * By (a), sum q + sum ramp <= places * base + sum R; by (b) each above_n(t) is within what is cooling, C, or within a ramp; so
 * the sum in (1) is at most places * base + sum R + sum C <= places * base + pool = rate. []
 *
 * Nothing here is about the store's clock, its leader or its leases: they may be wrong. What is asked of the store is that
 * a compare-and-swap is one.
 *
 * Quotas that change. A write to held compares the revision of quota that it was computed from, too, so nothing is taken from a quota
 * which is not in force. `next` is the base that nodes use once they see it, if it is less; `base` stays in pool until every
 * place said that it has kept to `next` for a second (member.h: seen), as what it used above `next` before that is not cooling anywhere.
 * A base is raised only by a write that compares held, where what is held and cooling fits into the pool which that leaves
 * (fleet_quota_set).
 *
 * Division. Each node's entry has what it wants; everybody computes the same max-min fair shares of the pool from a record, gives
 * what it has above its own, and takes up to it what is free. Who wants and is short is in the record, so a node that is content writes
 * nothing. fleet_want() has the hysteresis.
 *
 * Liveness. Give and take are a write each; what is taken is usable as fast as the giver's last second leaves, so that where load
 * moves the sum of both is the rate all the time. After a node died its rate is free after FLEET_TTL + 1 s and the guard's next
 * heartbeat; after a partition is over, at the next heartbeat.
 */
#ifndef FLEET_HELD_H
#define FLEET_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLEET_SECOND	1000000000ULL
#define FLEET_TTL	(3 * FLEET_SECOND)
#define FLEET_BEAT	FLEET_SECOND		/* between two heartbeats */
#define FLEET_DRIFT	500ULL			/* ppm */
#define FLEET_LOWERED	(3 * FLEET_TTL)
#define FLEET_STEPS	10
#define FLEET_STEP	(FLEET_SECOND / FLEET_STEPS)
#define FLEET_COOLS	8			/* cooling entries of a record, at most */
#define FLEET_RAMPS	8			/* takes of a node in a second, at most */
#define FLEET_GRAIN	256			/* shares are made even to 1/FLEET_GRAIN of the pool */
#define FLEET_PLACES	4096

struct fleet_quota {
	uint64_t rev;
	uint64_t rate;		/* ns of CPU in a second */
	uint64_t base, next;	/* each place's; see above */
};

struct fleet_entry {
	uint32_t place, life;
	uint64_t rate, want;	/* above base */
};

struct fleet_cool {
	uint64_t id;		/* the revision of the record that this was given from: one give each */
	uint64_t rate;
	uint64_t above[FLEET_STEPS];
};

struct fleet_held {
	uint64_t rev;		/* 0: there is no such key */
	uint32_t n, cools;
	struct fleet_cool cool[FLEET_COOLS];
	struct fleet_entry entry[];
};

#define FLEET_HELD_SIZE(N) (sizeof(struct fleet_held) + (size_t)(N) * sizeof(struct fleet_entry))

struct fleet_ramp {
	uint64_t since;		/* n's clock */
	uint64_t above[FLEET_STEPS];
};

/* A rate, as one node knows it. Zeroes, and place and life, are a good beginning. */
struct fleet_part {
	uint32_t place, life;
	uint64_t rev;		/* the newest record's that it knows */
	uint64_t rate;		/* the rate of this life in that record */
	bool pending;		/* a write was sent, and no revision after pending_rev is known yet */
	uint64_t pending_no;	/* counts writes */
	uint64_t pending_rev, pending_rate;
	struct fleet_ramp pending_ramp;
	struct fleet_ramp ramp[FLEET_RAMPS];
	unsigned firsts;	/* cooling entries: when this node saw them first */
	struct {
		uint64_t id, at;
	} first[FLEET_COOLS];
};

/* The longest that so much of another clock can be on this one. */
static inline uint64_t fleet_at_most(uint64_t ns)
{
	return ns + ns * 2 * FLEET_DRIFT / (1000000 - FLEET_DRIFT) + 1;
}

static inline uint64_t fleet_base(const struct fleet_quota *q)
{
	return q->base < q->next ? q->base : q->next;
}

static inline uint64_t fleet_pool(const struct fleet_quota *q, uint64_t places)
{
	uint64_t base = places * (q->base > q->next ? q->base : q->next);

	return q->rate > base ? q->rate - base : 0;
}

/*
 * The quota after a sale of this rate, of which each place is to have base: its base is less where the pool that is held (and
 * cooling) leaves no more. everybody: all places have seen `old`. The write compares the revisions of old and, if the base was
 * raised, of held.
 */
struct fleet_quota fleet_quota_set(const struct fleet_quota *old, uint64_t rate, uint64_t base, uint64_t places, uint64_t held,
				   bool everybody);

/* The sum of what is held and cooling in a record. */
uint64_t fleet_held_sum(const struct fleet_held *h);

/* The max-min fair share of entry i of the pool, by what each wants. */
uint64_t fleet_share(const struct fleet_entry *e, unsigned n, uint64_t pool, unsigned i);

/*
 * A record of held came, from wherever: an older one than the last is left alone. The record stays the caller's. Returns
 * whether it is newer, that is, whether the caller keeps it for fleet_part_plan().
 */
bool fleet_part_see(struct fleet_part *p, uint64_t now, const struct fleet_held *h);

/*
 * The store refused write `no`, and held had revision rev then. If that is still the one which the write compares, then quota or the node key
 * moved on: revisions do not come back, no copy of the write was applied, and none will be.
 */
void fleet_part_refused(struct fleet_part *p, uint64_t no, uint64_t rev);

/* The part of this rate that may be used now, above base, if the node's lease has not ended. */
uint64_t fleet_part_usable(const struct fleet_part *p, uint64_t now);

/* The time at which that will be more without any message, or UINT64_MAX. */
uint64_t fleet_part_next(const struct fleet_part *p, uint64_t now);

struct fleet_wish {
	uint64_t want;		/* above base */
	uint64_t room;		/* the most that the node may take besides, for its own capacity's sake */
	uint64_t until;		/* the deadline of the node's lease: nothing is taken from then on (c) */
	uint64_t pool;
	/* Used above base in the second before now, and of that what is younger than a second after each step. */
	uint64_t used[FLEET_STEPS];
	bool (*is_void)(void *arg, uint32_t place, uint32_t life);
	void *arg;
};

/*
 * Plans this node's write in place of the record h, which is the newest that it knows (rev p->rev): into `out`, which has
 * room for h->n + 1 entries; out->rev is the revision to compare. False: nothing. True: from now on fleet_part_usable() counts with it;
 * the caller tells the scheduler first, and then sends it, as often as it likes, until fleet_part_see() has returned true
 * for a later revision or the write was refused. A node with p->pending set cannot plan.
 */
bool fleet_part_plan(struct fleet_part *p, uint64_t now, const struct fleet_held *h, const struct fleet_wish *w,
		     struct fleet_held *out);

/* The steps of a giver's last second, from its own log: entries of amount and time, newest last. */
void fleet_used_steps(const uint64_t *amount, const uint64_t *at, unsigned n, uint64_t now, uint64_t used[FLEET_STEPS]);

/* A node's demand, with hysteresis: more at once, less when it has been less for FLEET_LINGER. */
#define FLEET_LINGER	(FLEET_SECOND / 5)

struct fleet_demand {
	uint64_t want;
	uint64_t less_since;	/* 0: it is not less */
};

/* used: ns of CPU in a second, lately, above base; short: tasks waited for quota; pool: there is no more to be had. */
uint64_t fleet_want(struct fleet_demand *d, uint64_t now, uint64_t used, bool is_short, uint64_t pool);

#endif
