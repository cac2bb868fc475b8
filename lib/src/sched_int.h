/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched_int.h - the scheduler's insides, for sched.c and for what blocks tasks.
 *
 * One lock serialises the decisions (core.h). Whoever changes something with
 * it held collects the workers to be let go on in a struct btn_wakes, and lets
 * them go after it gave up the lock: btn_sched_unlock().
 */
#ifndef BTN_SCHED_H
#define BTN_SCHED_H

#include <pthread.h>
#include <sys/types.h>

#include <baton/park.h>
#include <baton/sched.h>

#include "atomic.h"
#include "core.h"

/* Bits of a worker's flag. */
#define BTN_FLAG_STOP 1u	/* lose the slot at the next checkpoint */
#define BTN_FLAG_TOLD 2u	/* the checkpoint has something to say */

struct btn_worker {
	/* Anybody; read at each checkpoint. */
	BTN_ALIGNED _Atomic uint32_t flag;
	/* The owner: it waits for the scheduler's lock. */
	_Atomic bool locking;

	/* The owner; and with the lock held, while it waits, others. */
	BTN_ALIGNED int quiet;		/* checkpoints until the clock is read */
	int reload;			/* what quiet was set to */
	int told;			/* -ETIME, -ECANCELED: the task's checkpoints say so */
	uint64_t looked;		/* when the clock was read */
	uint64_t until;			/* the end of the grant */
	struct baton_parker *parker;
	struct baton_sched *s;

	/* The lock. */
	struct baton_task *task;
	struct btn_worker *next;	/* idle, to be let go on, or dead */
	struct btn_worker *next_away, **prev_away;
	int slot;			/* -1: none */
	uint64_t since;			/* charged up to here, by the clock */
	uint64_t charged;		/* by the clock, since cpu_mark */
	uint64_t credit;		/* charged too much, of that */
	uint64_t cpu_mark;		/* the thread's CPU clock when last read */
	clockid_t cpu_clock;
	pthread_t thread;
	pid_t tid;
	bool born;			/* its thread exists */
	bool away;			/* it runs, and its slot was taken */
	bool demoted;
	bool retired;
};

struct baton_task {
	struct btn_task core;
	struct baton_sched *s;
	struct baton_request *req;
	struct btn_worker *worker;	/* from its first slot to its end */
	struct baton_task *joiner, *next;	/* next: in a wait list */
	struct btn_heap_node sleep;
	baton_task_fn *fn;
	void *arg;
	unsigned wanted;		/* locks it holds that others' tasks wait for */
	bool ended, joinable, heap;
};

struct btn_wakes {
	struct btn_worker *first;
	bool monitor;
	struct baton_request *dead;
};

struct baton_tenant;

/* The task that runs on this thread, or NULL. */
struct baton_task *btn_sched_self(void);

/* Takes the lock, and the time for all that follows until it is given up. */
void btn_sched_lock(struct baton_sched *s);
/* Everything that follows from what happened, then the lock is given up. */
void btn_sched_unlock(struct baton_sched *s, struct btn_wakes *wakes);

/*
 * The caller's task waits until btn_sched_ready_locked(). The lock is held, and
 * is not when it returns, with a slot. The task's slot goes to the next one.
 */
void btn_sched_wait(struct baton_task *t);
void btn_sched_ready_locked(struct baton_task *t);
/* One lock more, or one less, that t holds and other tenants' tasks wait for. */
void btn_sched_want_locked(struct baton_task *t, int by);

#endif
