/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pair.h - two threads (or processes) that hand one turn to and fro by
 * FUTEX_SWAP, each with its own CPU, scheduling class, nice value and cgroup;
 * and a spinner that competes with them.
 */
#ifndef FUTEX_PAIR_H
#define FUTEX_PAIR_H

#include "common.h"

/* Policies beyond <sched.h>'s. */
#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

struct side {
	bool process;		/* a process of its own, not a thread */
	int cpu;		/* pinned there, if not negative */
	int policy, nice;
	int uclamp_max;		/* out of 1024, if not 0 */
	const char *cgroup;
	int64_t burn;		/* ns of CPU time used up in each turn */
	void (*turn)(struct side *s);	/* done in each turn */
	bool sleeps;		/* gives its turn by FUTEX_WAKE, then FUTEX_WAIT */

	_Atomic pid_t tid;
	atomic_bool done;
	int error;		/* -errno of what it could not set up */
	atomic_ullong turns;
	uint64_t woke_one, woke_none, eagain, other;	/* returned by its swaps */
	uint64_t moved;		/* turns begun on another CPU than the one that gave it */
	uint64_t disturbed;	/* turns before which the spinner ran */
	uint64_t first_cpu_turns[8];	/* turns by CPU */
	int64_t used;		/* CPU time, at the end */
	pthread_t thread;
	pid_t pid;
};

struct pair {
	struct side side[2];
	uint64_t limit;		/* turns of each side; 0: until told */
	uint32_t *w[2];
	atomic_bool stop;
	atomic_int gave_on;	/* CPU */
	atomic_ullong *spins, gave_at;	/* the spinner's that may run in between */
};

/* First thing in a test: end what a failed one left running. */
void fresh_start(void);

struct pair *pair_new(uint64_t limit);	/* threads, anywhere, normal, nice 0 */
void pair_start(struct pair *p);	/* both set up and asleep; ends the test if not */
bool pair_try_start(struct pair *p);	/* false: a side's error says why */
void pair_go(struct pair *p);
void pair_stop(struct pair *p);		/* ask it to end */
void pair_join(struct pair *p);		/* until it has; ends the test if it is stuck */
void pair_run(struct pair *p);		/* start, go, join */
uint64_t pair_turns(struct pair *p);
uint64_t pair_swaps(struct pair *p);	/* swaps that woke the partner */

/* A thread or process that does nothing but count. */
struct spinner {
	bool process;
	int cpu, nice;
	const char *cgroup;
	atomic_ullong spins;
	atomic_bool stop, done;
	_Atomic pid_t tid;
	pid_t pid;
	pthread_t thread;
};

struct spinner *spinner_start(int cpu, bool process, const char *cgroup);
void spinner_stop(struct spinner *s);

int64_t cpu_time(pid_t tid);	/* ns, of any thread, exact to a tick */
int set_policy(pid_t tid, int policy, int nice, int uclamp_max);	/* 0 or -errno */

#endif
