/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * detect.h - what the programs of detect.bpf.c share with user space. The
 * library, which cannot use this file, has the same in lib/src/detect_abi.h;
 * tools/baton/detect_same.c is where a difference does not compile.
 */
#ifndef BATON_BPF_DETECT_H
#define BATON_BPF_DETECT_H

#include <linux/types.h>

/* Changes whenever something below does. */
#define BATON_DETECT_VERSION	6

/* Schedulers that can be served at once; and the workers of one. */
#define BATON_SESSIONS		64
#define BATON_CELLS_MIN		64
#define BATON_CELLS_MAX		32768

/*
 * A session's memory is an array of cells of 64 bytes: the scheduler's own,
 * the counters, and one for each worker.
 */
#define BATON_CELL_HEAD		0
#define BATON_CELL_COUNTS	1
#define BATON_CELL_FIRST	2

/* TAKEN: it blocked and has lost its slot; PARKED: it woke without, and waits. */
enum baton_cell_state { BATON_CELL_RUNS, BATON_CELL_BLOCKED, BATON_CELL_TAKEN, BATON_CELL_PARKED };

/*
 * NOT: it has no slot, or is about to park. ARMED: it has one, and whatever it
 * blocks in was not announced; ANNOUNCED: it was.
 */
enum baton_cell_armed { BATON_CELL_NOT, BATON_CELL_ARMED, BATON_CELL_ANNOUNCED };

struct baton_cell {
	/* The programs. */
	__u32 state;
	__u32 blocks;		/* times it blocked with a slot */
	__u32 unannounced;	/* blocks that nobody announced */
	__u32 rung;		/* unannounced ones for which the doorbell was rung */
	__u64 since;		/* CLOCK_MONOTONIC ns: it blocked; 0: it woke since */
	__u64 cpu;		/* CPU that the thread had used when it blocked, ns */
	__u64 blocked;		/* ns, sum */
	/* The worker. */
	__u32 armed;
	/*
	 * The scheduler: its slot was taken, and it has not come to the library since. The
	 * worker: it waits there for a slot.
	 */
	__u32 slotless;
	/* The programs, and 0 by the worker: whoever blocked before it ran was not rung for. An idle poller: 2 while it tells. */
	__u32 owes;
	/* The hook's programs or an idle poller, and 0 by the worker: it was woken to look at the cells. */
	__u32 notified;
	/* The worker: the address of the futex on which it waits for a slot. */
	__u64 parker;
};

struct baton_head {
	/* The scheduler: a task waits for a slot. */
	__u32 want;
	/* The scheduler; 0 also by the hook's programs, or an idle poller: whom to wake, by its cell, so that it looks. */
	__u32 waker;
	/* The programs, and 0 by the scheduler: the doorbell was rung where nothing else ran, on this CPU less 1. */
	__u32 idle;
	__u32 unused[13];
};

struct baton_counts {
	/* The programs, atomically. */
	__u64 rung;
	__u64 notified;		/* rung by waking the thread that `waker` named */
	__u64 unused[6];
};

/* By whom a session may be joined. Written by whoever loaded the programs. */
struct baton_session {
	__u64 token;		/* 0: there is no such session */
	__u32 gen;		/* changes when it ends: who joined it has left */
	__u32 tgid;		/* the process that joined first; 0: nobody yet */
	__u64 start;		/* when that process began */
	/* For whoever takes over from a loader that died: not the programs'. */
	__u32 pid, uid;
	__u64 pid_start;	/* start time by /proc/PID/stat */
	__u32 cells, unused;
	__u64 since;		/* CLOCK_REALTIME, s */
};

/* The argument of the program baton_join, which a thread runs for itself. */
struct baton_join {
	__u64 token;
	__u32 session;
	__u32 cell;		/* 0: leave */
	__u64 word;		/* the address of its cell, where the caller has it mapped */
};

/* A worker's task storage: one word, so that nobody sees half of it. */
#define BATON_WORKER(SESSION, GEN, CELL)	((__u64)(GEN) << 32 | (SESSION) << 16 | (CELL))
#define BATON_WORKER_GEN(W)			((__u32)((W) >> 32))
#define BATON_WORKER_SESSION(W)			((__u32)(W) >> 16)
#define BATON_WORKER_CELL(W)			((__u32)(W) & 0xffff)

#endif
