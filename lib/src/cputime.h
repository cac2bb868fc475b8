/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cputime.h - CPU accounting: what a thread used, for the ledger. Pure.
 *
 * The thread's CPU clock is right and takes half a microsecond to read. Time is cheap, and too
 * much where the thread had a slot but no CPU: until it woke, or when the kernel ran another
 * thread. (And time is too little by what the thread does after it gave up its slot.) So runs
 * are charged by time until that makes `settle` ns. Then the CPU clock is read, and says what
 * was charged too little, or too much.
 *
 * What was too much is given back at once. If it was kept, CPU used later would be free to
 * that amount:
 *
 *	one second				the next
 *	charged 500 us by the clock, not used
 *						settled: 500 us are free
 *						used: the quota, and 500 us
 *
 * times the workers of the tenant: with four of them, a tenant with 20 ms in a second was 10%
 * above what it bought, though no sum in the ledger was.
 */
#ifndef BTN_CPUTIME_H
#define BTN_CPUTIME_H

#include <stdbool.h>
#include <stdint.h>

struct btn_cputime {
	uint64_t since;		/* charged up to here, by time */
	uint64_t charged;	/* ns charged by time since the mark */
	uint64_t mark;		/* the thread's CPU clock when last read */
	uint64_t mark_at;	/* time of the mark */
};

/* ns to be charged by time; false: read the CPU clock, for btn_cputime_settle(). */
static inline bool btn_cputime_run(struct btn_cputime *m, uint64_t now, uint64_t settle, uint64_t *cpu)
{
	*cpu = now > m->since ? now - m->since : 0;
	m->since = now;
	if (m->charged + *cpu >= settle)
		return false;
	m->charged += *cpu;
	return true;
}

/* ns used by the CPU clock and not charged yet. */
static inline uint64_t btn_cputime_open(const struct btn_cputime *m, uint64_t clock)
{
	uint64_t used = clock - m->mark;

	return used > m->charged ? used - m->charged : 0;
}

/*
 * CPU that the thread used from one reading of its CPU clock to another, without a slot, is not to be charged. Where a settlement came
 * in between, a part of that was charged already, and only the rest is left out.
 */
static inline void btn_cputime_skip(struct btn_cputime *m, uint64_t from, uint64_t to)
{
	if (m->mark <= from)
		m->mark += to - from;
	else if (m->mark < to)
		m->mark = to;
}

/* Returns ns to be charged; *back: ns that were charged since m->mark_at, and not used. */
static inline uint64_t btn_cputime_settle(struct btn_cputime *m, uint64_t now, uint64_t clock, uint64_t *back)
{
	uint64_t used = clock - m->mark, cpu = btn_cputime_open(m, clock);

	*back = used < m->charged ? m->charged - used : 0;
	m->charged = 0;
	m->mark = clock;
	m->mark_at = now;
	return cpu;
}

#endif
