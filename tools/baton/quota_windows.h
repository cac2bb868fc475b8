/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quota_windows.h - what tenants used in each second against what they bought,
 * and whose fault the difference is. Pure: readings in, errors out.
 *
 * A task that does nothing but pass checkpoints knows what the machine takes from
 * it: between two of them, a microsecond apart, there is a gap. In a gap the
 * kernel ran somebody else, or an interrupt, or the host did not run the CPU. It has
 * a length in time, which is CPU that a slot lacked; and one in CPU, which is what the
 * kernel charged to the thread meanwhile (an interrupt's time is charged to
 * whom it interrupts), and which no scheduler in user space can see coming.
 *
 * What is too little may be the fault of who took the CPU. So it counts in windows
 * in which not more than `calm` was taken from all slots together, and from the tenant's own tasks
 * not more than the part `calm_own` of what it bought: 0.3 ms are nothing for a slot, and 1.5% for who has
 * 20 ms. (How many those were is said, too.) What is too much is not anybody else's fault: it is
 * looked for in all windows, and only what each running task used between two
 * checkpoints breaks no promise (lib/src/ledger.h): `beyond` is without the longest
 * such gap of as many tasks as there are slots.
 */
#ifndef TOOLS_QUOTA_WINDOWS_H
#define TOOLS_QUOTA_WINDOWS_H

#include <stdint.h>

#define QUOTA_GAPS 32768

struct quota_gap {
	uint64_t at;	/* when it ended */
	uint64_t time;	/* ns in which the task had a slot and did not run */
	uint64_t cpu;	/* ns that the kernel counted for it meanwhile */
};

/* Gaps of one task, in the order of time. */
struct quota_seen {
	unsigned n;
	struct quota_gap gap[QUOTA_GAPS];
};

struct quota_windows {
	unsigned tenants, tasks, slots;
	unsigned points, second;	/* readings, and how many are in a second */
	uint64_t begin, step;		/* the readings' */
	uint64_t calm;			/* ns */
	double calm_own;
	const uint64_t *bought;		/* [tenants] ns in a second */
	unsigned room;			/* points that there is room for */
	const uint64_t *at, *cpu;	/* [tenants][room]; at is 0 where a reading failed */
	struct quota_seen *const *seen;	/* [tenants][tasks]; NULL: none, and so may all be */
};

#define QUOTA_PARTS 5

/* All in %. */
struct quota_errors {
	double sliding, aligned;	/* the worst calm window: too little, or too much and beyond */
	double part[QUOTA_PARTS];	/* the worst of each fifth of the time, calm or not, raw */
	double sliding_all;		/* the worst of all of it */
	double over, beyond;		/* too much, of all */
	double taken;			/* part of the slots' time */
	unsigned windows, calm;
};

/* work: 2 * points numbers; the first half is what was taken from all slots until each reading. */
void quota_windows(const struct quota_windows *w, uint64_t *work, struct quota_errors *out);

#endif
