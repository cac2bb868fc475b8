/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ledger.h - the arithmetic of quota. Pure: no clock, no thread, no atomics,
 * no allocation. Times are ns on any one clock that does not go back; CPU is
 * ns. The caller serialises calls on one account.
 *
 * An account is somebody's right to so many ns of CPU in each second: a
 * tenant's in a tier, or a whole tier's. It answers two separate questions:
 *
 *   may it run, and for how long?   the sliding second, below
 *   in which order?                 its tag: virtual scheduling, at the end
 *
 * The sliding second (Q2)
 * -----------------------
 * A log keeps what was used in the last second, oldest first: entries of an
 * amount and of the time at which its last ns was used; `used` is their sum. A
 * run of a task is given a slice beforehand (reserve) and recorded when it stops
 * (settle), as if it had used its CPU c all at the end: from stop - c to stop. A
 * slice g is given at time t only where, as the log is now,
 *
 *	used(t + x) + reserved + x <= quota	for all x from 0 to g	(1)
 *
 * used(t + x) is what of it is still there by then: a run may use what leaves the
 * log while it runs. `reserved` is what other runs were given, all of it.
 *
 * Claim: in no second (s, s + 1 s], wherever s lies, is more CPU used than the
 * quota in force at the last slice before its end, plus what each task still
 * running then ran past its own slice.
 *
 * Proof. Each ns is recorded for a time not before the one at which it was
 * really used: if i ns of the run's CPU follow it, at least i ns of time do.
 * It leaves the sum not sooner than one second after that time: (3).	(2)
 * Let t* <= s + 1 s be the time of the last slice g before the end of the
 * second, and s + 1 s = t* + x. CPU used within (s, s + 1 s] belongs to a run that
 *   a) was recorded by t*. Then by (2) it is in used(t* + x), as it was used
 *      after s; or
 *   b) was given before t*, and not yet recorded then. Then it is one of those
 *      that `reserved` held, and uses its slice and whatever it overran it; or
 *   c) is the one that was given at t*. It used no more than x by then, and
 *      no more than g and what it overran that.
 * So the sum is at most used(t* + x) + reserved + the smaller of x and g, plus
 * the overruns, and by (1) (for x > g: as for g, since used() does not grow) that is
 * at most quota plus the overruns. An overrun ends at the task's next checkpoint. []
 *
 * Overruns do not add up: an overrun that is recorded is in `used` and makes
 * the next slices smaller. And they are paid back: what was used past a second's
 * quota would leave the log a second later and be forgotten, and a task that
 * overruns each of its slices would get more than its tenant bought in every second.
 * So an account also keeps the time by which all that its runs used is earned:
 *
 *	earned = max(earned, the time at which the run began) + cpu * second / quota
 *
 * and where that is more than a second (and BTN_EARN_SLACK) ahead, nothing is given
 * until it is not. Without overruns it never is: the sliding second lets a tenant
 * use at most quota * (L + 1) in L seconds, wherever they begin, and that is earned a
 * second after their end. (A run that is recorded after one which began later puts
 * `earned` too far ahead, by a run's length at most: the slack.) With overruns, a tenant
 * gets at most quota * (L + 1 + slack) in L seconds plus the last run of each slot. A debt is
 * never more than a second's quota: a task that ran wild for a minute does not
 * shut its tenant out for an hour. CPU that was used elsewhere, a child call's,
 * makes no debt; and another quota begins without one.
 *
 * A task that has to be stopped by force overruns each of its slices: by the time until the interrupt
 * comes, and by what its thread needs to stop and to go on. For a small quota that is much: 0.1 ms, in each of
 * two tasks, of 6 ms a second. So an account learns by how much such runs overrun (`margin`), and a slice holds
 * that beside what the task may run: it is given where there is so much and `min`, and the task is stopped so much
 * before the slice's end. For the proof that is a slice like any other, with an overrun that is
 * 0 in every second run. With each such run the margin moves by an eighth of what was wrong, and by 4 us at most, as
 * an interrupt of 5 ms says nothing of the next run. The margin is no more than an eighth of the quota. The price is that
 * what is less than the margin is not given out. Tasks that come by themselves have none. A run that is stopped before its slice is over does not change
 * the margin. It is recorded with that much more, as its thread is about to use it, and what of it was not used is refunded: so what is used
 * after a stop leaves the log too early by no more than the time that it takes.
 *
 * An entry leaves at once one second after its time, or bit by bit before: it also
 * has the number r of runs that were given at once when what is in it was
 * recorded, at most. Then of its amount a, for a time e, no more than r (e - t)
 * can have been used after t. So a second later no more than the smaller of a and
 * that is still there at t + 1 s.						(3)
 * What was used without a slice may have been used beside anything: where such
 * is in an entry, that leaves at once. (The microsecond in which a thread goes to sleep,
 * after it gave up its slot, is in nobody's slice, and recorded with its next run.)
 *
 * What was recorded after a time and turns out not to have been used (refund) is
 * taken from the entries of that time and before it, the newest first. What it was
 * recorded as stays, and stands for them: at any time the sum lacks of what was
 * used no more than it has too much, as that leaves it later. So (2) holds of the
 * sums. (From the newest of all would be too early; the oldest would be safe as
 * well, but would have left soon, and the tenant would lose for a second what it
 * is to get back.) This is so while what was recorded for nothing is still in the
 * log; after that, nothing is taken from it.
 *
 * Of a run, or a bill, of more than a second only the last second is recorded: by (2) what
 * was used before that has left the sums.
 *
 * The log has BTN_LOG places. The newest entry takes more until it holds
 * quota/384 or is BTN_SPAN old, and then there is a new one; CPU used at a time
 * for which there is an entry already (in another slot) goes into that. Within
 * a second there are thus at most 384 full ones and 100 old ones. Where there
 * are more, after overruns or a change of the quota, the newest takes all: that
 * delays what is in it, which (2) allows.
 *
 * At saturation each ns that was used is to be had again one second later, and
 * what r > 1 makes of it: at most the time in which quota/384 was
 * used. What is less than `min` is not given out, at most 1/1000 of the quota.
 * So a tenant that always wants more gets at least (1 - 1/1000) / (1 + d) of its
 * quota, where d is how long on average, in seconds, a ns that is to be had
 * waits for its entry and for a slot: no rule that is kept in every sliding
 * second can give more. A tenant that has to wait 10 ms for a slot loses one
 * percent. In the simulation nobody got less than 99%, alone or beside others that
 * want more as well, over five seconds and in each of them but for a slice. And
 * where nobody takes the CPUs from it, it gets so much in every sliding second, too,
 * but for its turn: there the worst of five tenants of 1 to 30% lacks 0.5 to 1.2%, of
 * which the most is that in the worst case all the others have theirs first. (Entries that
 * left at once, and slices of what had left before, and slices twice as long, made that 1.2 to 2.2%.)
 *
 * (A token bucket of one second's quota gives twice the quota in the second
 * after a pause; one without burst refuses what the tenant bought. Fixed
 * windows give twice the quota across a boundary.)
 *
 * Order (Q15, Q7)
 * ---------------
 * Each ns of CPU moves the account's tag by second/quota: the time in which it
 * earns that CPU again. Run in order of max(tag, arrival), an account within
 * its rate has a tag in the past and keeps its arrival order; one that spent
 * its second at once finds its tag in the future, behind all that arrive
 * before it. It moves no further than 64 s ahead of its clock: one bill of a
 * day, or of nonsense, would otherwise put a tenant behind all others for months. As the sum of what is sold is below capacity, the order is
 * earliest-deadline-first on a feasible set. Where more is sold than there is,
 * tags would fall behind real time for ever and a newcomer would starve; there
 * max(tag, virtual time) is used, the virtual time being the tag last served
 * (start-time fair queueing): shares in proportion to quota.
 */
#ifndef BTN_LEDGER_H
#define BTN_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#define BTN_SECOND	1000000000ULL
#define BTN_SPAN	10000000ULL	/* ns that an entry covers at most */
#define BTN_LOG		512
#define BTN_NEVER	UINT64_MAX
#define BTN_EARN_SLACK	4000000ULL

/* Times in units of 1024 ns, rounded up, modulo 2^24 (17 s); amounts of 64 ns. */
struct btn_log {
	uint32_t time : 24;
	uint32_t runs : 8;	/* at once, at most */
	uint32_t amount;
};

struct btn_account {
	uint64_t quota;		/* ns of CPU in a second */
	uint64_t min;		/* slices are not smaller */
	uint64_t margin;	/* the part of a slice that is for an overrun which is expected */
	uint64_t used;		/* in the log, and rest */
	uint64_t reserved;	/* given as slices, not yet settled */
	uint64_t tag;		/* see above */
	uint64_t pace;		/* 2^20 second/quota */
	uint64_t earned;	/* when all that its runs used is earned */
	uint64_t full;		/* an entry takes no more than that */
	uint64_t total;		/* recorded since the beginning */
	uint64_t last;		/* time of the newest entry */
	uint64_t opened;	/* when its span began */
	uint64_t expires;	/* when the oldest entry leaves; BTN_NEVER: there is none */
	uint32_t rest;		/* ns recorded, but less than one unit of an amount */
	uint32_t running;	/* slices that are not settled */
	uint32_t abreast;	/* the most there were at once, since there were none */
	uint16_t first, n;	/* the log's first entry, and their number */
	struct btn_log *log;	/* the caller's memory */
};

/*
 * log: BTN_LOG entries that live as long as the account. It may be NULL, and be
 * set later, as long as the quota is 0 and nothing is recorded.
 */
void btn_account_init(struct btn_account *a, struct btn_log *log);

/* At any time, also under load. What is reserved stays so. */
void btn_account_set_quota(struct btn_account *a, uint64_t quota);

/* The log resolves bursts of 1/256 of this; as set_quota leaves it, of the quota. */
void btn_account_set_scale(struct btn_account *a, uint64_t of);

/* The amount that may be given at this time: quota - used - reserved; 0 while something is owed. */
uint64_t btn_account_left(struct btn_account *a, uint64_t now);

/* Grants up to max ns and returns how much; 0 where there is less than min. */
uint64_t btn_account_reserve(struct btn_account *a, uint64_t now, uint64_t max);

/*
 * The run that was given `slice` used `cpu` and stopped now. However large, that
 * takes no more than a second's quota, and moves the tag by 64 s at most. vstart: the
 * tag's clock when it started (a time, or the tier's virtual time). slice may
 * be 0: CPU that nobody asked for first, as a child call's. Times do not go back
 * from call to call.
 */
void btn_account_settle(struct btn_account *a, uint64_t now, uint64_t slice,
			uint64_t cpu, uint64_t vstart);

/*
 * CPU that a task used without a slice, settled or about to be with slice 0: it makes
 * a debt, as what is used past a slice does.
 */
void btn_account_owe(struct btn_account *a, uint64_t now, uint64_t cpu);

/* A run of the account was stopped by force, and had used so much more than it was to run; or (0) was not. */
void btn_account_overran(struct btn_account *a, uint64_t over);

/* From this time on nothing is owed; in the past: nothing is. */
static inline uint64_t btn_account_owes_until(const struct btn_account *a)
{
	return a->earned > BTN_SECOND + BTN_EARN_SLACK ? a->earned - BTN_SECOND - BTN_EARN_SLACK : 0;
}

/* Takes back @cpu of what was recorded since @since, less than a second ago, and was not used after all. */
void btn_account_refund(struct btn_account *a, uint64_t now, uint64_t since, uint64_t cpu);

/*
 * CPU in the log that will be younger than a second, at most, at each of n times from now on: the first is at, each next one a
 * step later. One pass over the log.
 */
void btn_account_recent(const struct btn_account *a, uint64_t at, uint64_t step, unsigned n, uint64_t *recent);

/*
 * The earliest time at which min can be given if nothing else is recorded
 * and nothing reserved comes back; BTN_NEVER where the quota is below min.
 */
uint64_t btn_account_when(struct btn_account *a, uint64_t now);

/* The time in which so much CPU is earned. */
uint64_t btn_account_earn(const struct btn_account *a, uint64_t cpu);

#endif
