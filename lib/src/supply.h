/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * supply.h - how much of the CPU that threads wanted the machine gave them. Pure: times
 * and CPU in, a part out. The caller serialises.
 *
 * capacity.h knows what the rules allow. What there really is may be less: other
 * processes, other guests of the host, a limit that cannot be seen. A slot whose task
 * got half of the time in which it wanted to run says so; one whose task slept in
 * the kernel does not. So what comes in is of *samples*: a stretch in which one thread
 * wanted to run all the time, from one reading of its clocks to another,
 *
 *	wanted	CLOCK_MONOTONIC, end - begin
 *	got	the thread's CPU clock, end - begin
 *	slept	the thread's voluntary switches (ru_nvcsw), end - begin: must be 0
 *
 * and the part is the sum of `got` by the sum of `wanted` over the last 4 to 8 s.
 *
 * Claim: it differs from the part that the machine gave to the threads in samples by no more
 * than the sum of
 *	a) 2 e / L, where e is what may lie between the readings of the two clocks at one
 *	   end, and L the samples' mean length: 0.1% for 1 us and 2 ms;
 *	b) where the machine gives and takes in turns of P (a cgroup's limit: 100 ms), P / 4 s:
 *	   2.5%.
 *
 * Proof sketch. A thread with ru_nvcsw unchanged left its CPU only because the kernel took
 * it away, so in each moment of a sample it either had a CPU, and its clock ran, or
 * the machine gave it none. (a) The CPU clock and CLOCK_MONOTONIC of one end are read one
 * after the other, so `got` is of a stretch that begins and ends at most e away from
 * that of `wanted`. (b) Over whole turns the part is the same wherever they begin; the window
 * has at least 4 s of them and cuts two, one at each end, and each cut leaves
 * out or adds at most P / 2 of got more or less than its share. []
 *
 * The threads in samples are as good as any: whether a sample is open at some moment was
 * decided before, and does not depend on what the machine does next. Which it would, were only
 * short stretches taken, or those that ended soon. So a sample is never dropped for its
 * length; it is for a sleep, and a thread that the machine does not run does not fall
 * asleep meanwhile. A thread that sleeps often is less often seen, and no more wrongly.
 *
 * (What the host takes from a guest is in `got` where the kernel does not know of it:
 * without steal time (paravirtual) it counts as had.)
 */
#ifndef BTN_SUPPLY_H
#define BTN_SUPPLY_H

#include <stdbool.h>
#include <stdint.h>

#define BTN_SUPPLY_NS	4000000000ULL	/* a half of the window */
/* With less than that wanted in the window nothing can be said. */
#define BTN_SUPPLY_LEAST 50000000ULL
#define BTN_SUPPLY_ALL	1000000u	/* ppm */

/* All 0: nothing is known. [0]: since `since`; [1]: in the half before that. */
struct btn_supply {
	uint64_t since;
	uint64_t wanted[2], got[2];
};

/* A sample that ended now. */
void btn_supply_add(struct btn_supply *s, uint64_t now, uint64_t wanted, uint64_t got);

/* The part, in ppm; BTN_SUPPLY_ALL where nothing can be said. */
unsigned btn_supply_part(struct btn_supply *s, uint64_t now);

#endif
