/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/types.h - what the scheduler's rooms work on. Only structs: the calls of
 * each room are in its own header.
 *
 * One lock (struct baton_sched) serialises the decisions (core/core.h). Whoever
 * changes something with it held collects the workers to be let go on in a struct
 * btn_wakes, and lets them go after it gave up the lock: btn_gate_unlock().
 */
#ifndef BTN_SCHED_TYPES_H
#define BTN_SCHED_TYPES_H

#include <pthread.h>
#include <sys/types.h>

#include <baton/park.h>
#include <baton/sched.h>

#include "../atomic.h"
#include "../birth.h"
#include "../clock.h"
#include "../core/types.h"
#include "../detect.h"
#include "../lock.h"
#include "../cputime.h"

/* Bits of a worker's flag. */
#define BTN_FLAG_NEED_RESCHED 1u	/* lose the slot at the next checkpoint */
#define BTN_FLAG_CANCEL 2u	/* the checkpoint has something to say */

/* A worker's word `lazy`: lazy.c. */
#define BTN_LAZY_NONE	0u
#define BTN_LAZY_RUNS	1u
#define BTN_LAZY_TAKING	2u
#define BTN_LAZY_CACHED	4u	/* or more: since when, and why */
#define BTN_LAZY_LEFT	0u
#define BTN_LAZY_BLOCKED 1u
#define BTN_LAZY_SHIFT	2
#define BTN_LAZY_SINCE(WORD) ((WORD) >> BTN_LAZY_SHIFT)

struct btn_worker {
	/* Anybody; read at each checkpoint. */
	BTN_ALIGNED _Atomic uint32_t flag;
	/* It has to take a permit from its parker before it may go on: gate.c. */
	_Atomic bool waits;
	/* The owner: calls of the library that it is in; and it is about to take it. */
	_Atomic bool parked;
	_Atomic uint32_t inside;
	/* What it does with its slot without the lock: lazy.c. */
	_Atomic uint64_t lazy;

	/* The owner; and whoever gives it a slot, with the lock held: [SCHED-2]. */
	BTN_ALIGNED _Atomic int quiet;	/* checkpoints until the clock is read */
	_Atomic int reload;		/* what quiet was set to */
	_Atomic int cancel_pending;	/* -ETIME, -ECANCELED: the task's checkpoints say so */
	_Atomic uint64_t looked;	/* when the clock was read */
	_Atomic uint64_t gap;		/* the longest between two checkpoints, since it has its slot */
	_Atomic uint64_t until;		/* the end of the slice */
	_Atomic uint64_t idled;		/* of its run, time in which the slot was cached */
	_Atomic uint64_t again;		/* and requests that ended in it but were not counted */
	struct baton_parker *parker;
	struct baton_sched *s;

	/* The lock. */
	struct baton_task *task;
	struct btn_worker *next;	/* idle, to be let go on, or dead */
	struct btn_worker *next_slotless, **prev_slotless;
	struct btn_slotless *in;	/* this list of those without a slot */
	int slot;			/* -1: none */
	int cpu;			/* its thread is bound to this one; -1: to none */
	int last_slot;			/* that its task had; -1: none */
	int leaving;			/* the slot in which its task is about to have ended; -1: none */
	struct btn_cputime cputime;
	const struct btn_tenant *last_tenant;	/* whose task it ran last */
	bool mixed;			/* not only that one's, since cputime.mark */
	clockid_t cpu_clock;
	pthread_t thread;
	pid_t tid;
	bool born;			/* its thread exists */
	bool given;			/* it waits, and its permit was given */
	bool signal_blocked;			/* it waits, and runs on: its task is blocked */
	bool boosted;			/* a lock that it may hold is waited for */
	bool in_futex;			/* it sleeps there */
	uint64_t ask_at, ask_in;	/* whether it still does */
	uint64_t stopped_at;		/* its CPU when it was sent the signal */
	_Atomic bool demoted;		/* [PREEMPT-4] */
	bool retired;
	bool attached;			/* a thread of somebody else's: baton_request_enter() */
	int refused;			/* why that did not get a slot */
	uint64_t charged_to;		/* of an attached thread: the tenant's serial that cputime is for */
	int home;			/* of an attached thread: the slot that it had last; the lock */
	struct baton_request *kept;	/* of an attached thread: for its next request; the owner */
	bool left, blocking;		/* of an attached thread: so it went, with its slot; the owner */
	uint64_t lazy_tenant;		/* the run is of this serial's; written while the word is NONE */
	enum baton_class lazy_class;

	/* Who blocks in the kernel (blocked.c). The owner. */
	struct btn_cell *cell;		/* NULL: not seen; written with the lock */
	uint64_t session;		/* that the cell is of */
	bool hinted;			/* between blocking_begin and end, with its slot */
	/* The lock. */
	bool taken;			/* its slot was taken because it blocked */
	uint64_t taken_cpu;		/* and what it had used by then */
	bool parked_ready;		/* it woke, the kernel has parked it, its task is ready */
	bool designated;		/* it was named to be woken when one blocks */
};

/* Tasks that wait for the same, first come, first served: wait.c. All 0: none. */
struct btn_waiters {
	struct baton_task *first, *last;
	/* One gave up, and is not in the list any more; or NULL. The lock is held. */
	void (*left)(struct btn_waiters *in);
};

struct baton_task {
	struct btn_task core;
	struct baton_sched *s;
	struct baton_request *req;
	struct btn_worker *worker;	/* from its first slot to its end */
	struct btn_waiters joiner;

	/* While it waits. */
	struct btn_waiters *in;		/* NULL: for a time alone */
	struct baton_task *next, *before;	/* there */
	struct btn_heap_node timer;
	struct baton_task *next_alert, **prev_alert;	/* NULL: a cancel does not end its wait */
	int woken;			/* how the last wait ended */
	int cancel_delivered;		/* the owner: what calls returned of its request's cancel_pending */

	baton_task_fn *fn;
	void *arg;
	unsigned boosts;		/* locks it holds that others' tasks wait for */
	unsigned locks_held;		/* mutexes; the owner, and whoever gives it one while it waits */
	bool ended, joinable, heap;
};

struct btn_slotless {
	struct btn_worker *first, **last;
};

#define BTN_NAME_WORDS	(BATON_STATS_NAME / sizeof(uint64_t))

struct baton_tenant {
	struct btn_tenant *core;
	struct baton_sched *s;
	struct baton_tenant *next, **prev;	/* next: also of those that are none */
	struct baton_tenant *next_all;
	uint64_t serial;		/* no other tenant of this process has it, ever; 0: none */
	unsigned epoch;			/* the last configuration that named it; 0: none did */
	bool named;

	/* Without the lock, also when it is none any more: names.c. */
	_Atomic unsigned refs;		/* being one, and of baton_tenant_find(); 0: it is none */
	_Atomic uint64_t name[BTN_NAME_WORDS];
};

/* A thread that waits for a request, and is no task of its scheduler. */
struct btn_thread_waiter {
	struct baton_parker *parker;
	struct btn_thread_waiter *next, **prev;
};

struct baton_request {
	struct btn_request core;
	struct baton_task first;
	struct baton_sched *s;
	struct baton_tenant *tenant;
	struct baton_request *next;	/* spare, or to be; ended, and in a completion queue */
	struct baton_completions *completions;	/* where its end is put; NULL: nowhere */
	void *cookie;				/* for whoever takes it there */
	struct btn_waiters waiters;
	struct btn_thread_waiter *threads;		/* that wait, and are no tasks of s */
	struct baton_task *alert;	/* its own tasks, if a cancel ends their waits */
	struct btn_worker *attached;	/* it waits to be the first task; or did */
	_Atomic unsigned refs;		/* the handle, and being in flight: [REQUEST-1] */
	bool done;
	int result;
	uint64_t ended;
	uint64_t began;			/* in the run of the attached thread's last one; 0: in its own */
};

struct baton_sched {
	BTN_ALIGNED struct btn_lock lock;
	BTN_ALIGNED struct btn_core core;
	struct btn_clock clock;
	struct btn_worker **on;		/* by slot */
	uint64_t *resched_at;		/* by slot; 0: not */
	uint64_t *cpu_at;		/* by slot: its task's CPU, soon after that; 0: not yet */
	struct btn_worker *idle, *dead;
	/* Without a slot, but not by their own choice: may be running; parked. */
	struct btn_slotless slotless, parked;
	unsigned n_idle, keep, born, max, requests;
	unsigned lazy_slots;		/* workers whose word is not NONE */
	bool was_wanted;		/* since the monitor came */
	struct btn_heap timers;		/* of tasks that wait */
	struct baton_tenant *tenants;
	struct baton_tenant *all_tenants, *spare_tenants;
	void *_Atomic names;		/* struct btn_names; written with the lock */
	size_t n_names;
	struct btn_prealloc deferred;	/* core.prealloc where no call brings one: only what is to be freed */
	unsigned epoch;
	struct baton_parker *monitor_parker;
	pthread_t monitor;
	uint64_t retry_at;
	_Atomic uint64_t monitor_due;	/* written with the lock */
	_Atomic bool stall, stall_escape;	/* gate.c */
	_Atomic bool wanted;		/* a task waits, and no slot is idle: lazy.c */
	uint64_t now;			/* when the lock was taken */
	size_t stack_size;
	struct btn_birth birth;		/* of each worker */
	int *cpus;			/* by slot, where workers are bound to CPUs; or NULL */
	int stop_signal;		/* of BATON_PREEMPT_STOP; 0: _DEMOTE */
	bool stopping;

	struct btn_detect *detect;	/* NULL: nobody says who blocks */
	struct btn_idle_pollers *idle_pollers;	/* or NULL */
	bool detecting;			/* and the session lasts */
	bool look;			/* at the cells, though the doorbell is set: one came back without its slot */
	bool hear;			/* as if the doorbell had rung */
	pthread_t notifier;
	uint64_t taken, unauthorised;
	char how[96];
	BTN_ALIGNED _Atomic unsigned handles;	/* [REQUEST-2] */
	struct btn_lock spare_lock;
	struct baton_request *spare;
	unsigned spares;
	struct btn_worker *spare_worker;
	struct btn_workers *chunks;
	void *(*worker_main)(void *worker);	/* what a worker's thread does: worker.c */
};

struct btn_wakes {
	struct btn_worker *first;
	bool monitor;
	struct baton_request *dead;
	struct baton_request *ended;	/* to be put into their completion queues */
};

/*
 * [SCHED-2] What a worker keeps from checkpoint to checkpoint is set anew with each
 * slot. One that was stopped may be given its next slot before it has noticed that
 * it lost the last one, and then a store of its own may overwrite the new value:
 * its next look at the clock comes late, for which there is the flag.
 */
#define BTN_OWN_GET(word) atomic_load_explicit(&(word), memory_order_relaxed) /* [SCHED-2] */
#define BTN_OWN_SET(word, to) atomic_store_explicit(&(word), to, memory_order_relaxed) /* [SCHED-2] */

static inline struct baton_task *btn_task_of(struct btn_task *t)
{
	return btn_container(t, struct baton_task, core);
}

static inline struct baton_request *btn_request_of(struct btn_request *r)
{
	return btn_container(r, struct baton_request, core);
}

#endif
