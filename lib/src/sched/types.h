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
#include "../shard/inbox.h"
#include "../supply.h"
#include "../cputime.h"

/* Bits of btn_worker.flag. */
#define BTN_FLAG_NEED_RESCHED 1u	/* the task loses its slot at its next checkpoint */
#define BTN_FLAG_CANCEL 2u	/* a cancel is pending for the task */

/* States of btn_worker.lazy: lazy.c. */
#define BTN_LAZY_NONE	0u
#define BTN_LAZY_RUNS	1u
#define BTN_LAZY_TAKING	2u
#define BTN_LAZY_CACHED	4u	/* more bits: since when (BTN_LAZY_SINCE), and why (LEFT, BLOCKED) */
#define BTN_LAZY_LEFT	0u
#define BTN_LAZY_BLOCKED 1u
#define BTN_LAZY_SHIFT	2
#define BTN_LAZY_SINCE(WORD) ((WORD) >> BTN_LAZY_SHIFT)

struct btn_worker {
	/* Written by any thread, read by the owner at each checkpoint. */
	BTN_ALIGNED _Atomic uint32_t flag;
	/* The worker has to take a permit from its parker before it may go on: gate.c. */
	_Atomic bool waits;
	/* Written by the owner: it is about to take the permit; calls of the library that it is in. */
	_Atomic bool parked;
	/* The worker polls for events of streams: [POLL-1]. */
	_Atomic bool polls;
	_Atomic uint32_t inside;
	/* The thread's CPU clock when it parked in the signal's handler; 0: it is not there: [PREEMPT-5]. */
	_Atomic uint64_t parked_cpu;
	/* The last slice was used without a checkpoint, and ended by force: [PREEMPT-6]. */
	_Atomic bool spins;
	/* The slice ended by its timer: slice.c. Written by the owner, and with the lock. */
	_Atomic uint32_t slice;
	/* State of the slot as far as the owner changes it without the lock: lazy.c. */
	_Atomic uint64_t lazy;

	/* Written by the owner; and with the lock by the thread that gives it a slot: [SCHED-2]. */
	BTN_ALIGNED _Atomic int quiet;	/* checkpoints until the clock is read */
	_Atomic int reload;		/* value that quiet was set to */
	_Atomic int cancel_pending;	/* -ETIME, -ECANCELED: returned by the task's checkpoints */
	_Atomic uint64_t looked;	/* time when the clock was read */
	_Atomic uint64_t gap;		/* the longest between two checkpoints, since it has its slot */
	_Atomic uint64_t until;		/* the end of the slice */
	_Atomic uint64_t idled;		/* ns of the run in which the slot was cached */
	_Atomic uint64_t again;		/* requests that ended in the run and were not counted */
	struct baton_parker *parker;
	struct baton_sched *s;

	/* Under the lock. */
	struct baton_task *task;
	struct btn_worker *next;	/* in the list of idle ones, of those to be woken, or of dead ones */
	struct btn_worker *next_slotless, **prev_slotless;
	struct btn_slotless *in;	/* the list of slotless workers in which this one is; NULL: in none */
	int slot;			/* -1: the worker has none */
	int cpu;			/* the CPU to which the thread is bound; -1: to none */
	int last_slot;			/* the slot that the task had last; -1: none */
	int leaving;			/* the slot in which the task is about to end; -1: none */
	struct btn_cputime cputime;
	const struct btn_tenant *last_tenant;	/* the tenant whose task the worker ran last */
	bool mixed;			/* tasks of several tenants ran since cputime.mark */
	uint8_t expected_in;		/* 1 + the tier that was charged for what the worker, stopped by force, is expected to use; 0: none was */
	clockid_t cpu_clock;
	pthread_t thread;
	pid_t tid;
	bool born;			/* the thread exists */
	bool given;			/* the worker waits, and its permit was given */
	bool comes;			/* the task came by itself when its last slice ended, or need_resched was set */
	bool signal_blocked;		/* the worker is to wait, and runs on: its task is blocked */
	struct btn_resource suspect;	/* a lock, not of this library, that this worker may hold and a task waits for */
	bool in_futex;			/* the thread sleeps in a futex */
	uint64_t ask_at, ask_in;	/* time at which /proc is asked whether it still does; delay until it is asked again */
	uint64_t stopped_at;		/* the thread's CPU clock when it was first looked at after the signal; 0: not yet */
	int timer;			/* on the thread's CPU clock: alarm.c */
	bool has_timer, no_timer;	/* no_timer: the kernel refused one */
	uint64_t alarm_at;		/* the timer goes off at this time of that clock; 0: it is not set */
	_Atomic bool demoted;		/* [PREEMPT-4] */
	struct btn_worker *next_demoted;	/* in sched.demotes; the monitor's */
	bool demotes;			/* the worker is in that list */
	bool retired;
	bool attached;			/* the thread is the caller's: baton_request_enter() */
	int refused;			/* attached thread: the error with which its request did not start */
	uint64_t charged_to;		/* attached thread: serial of the tenant that cputime is for */
	int home;			/* attached thread: the slot that it had last */
	struct baton_request *kept;	/* attached thread: memory for its next request; the owner's */
	bool left, blocking;		/* attached thread: why it went with its slot cached; the owner's */
	uint64_t lazy_tenant;		/* serial of the run's tenant; written while `lazy` is NONE */
	enum baton_class lazy_class;

	/* A sample of what the machine gives (sample.c). Written by the owner. */
	struct {
		uint64_t began, cpu;	/* CLOCK_MONOTONIC, 0: none is open; and the thread's CPU clock at that time */
		long switches;
		uint64_t wanted, got;	/* the last one, until it is counted; wanted 0: it is */
	} sample;

	/* Blocking in the kernel is seen (blocked.c). Written by the owner. */
	struct btn_cell *cell;		/* NULL: this worker's blocking is not seen; written with the lock */
	uint64_t session;		/* the session to which the cell belongs */
	bool hinted;			/* between baton_blocking_begin() and _end(), with the slot */

	/* The owner's, in the signal's handler: voluntary context switches of the thread when it went on last; or -1. */
	long went_on;
	/* The owner's, in the signal's handler: slice.c. */
	struct btn_worker *next_over;
	uint64_t slice_looked, slice_began;	/* `looked`, as the slice began; when its timer was set last */
	int slice_timer_id;
	_Atomic int slice_timer;	/* 0: there is none yet; 1: one; -1: the kernel refused it: [SLICE-2] */
	/* Under the lock. */
	bool taken;			/* the slot was taken because the worker blocked */
	uint64_t taken_cpu;		/* CPU that the worker had used by then */
	bool parked_ready;		/* the worker woke, the kernel has parked it, its task is ready */
	bool designated;		/* the worker is the designated waker */
};

/* Tasks that wait for the same thing, first come, first served: wait.c. All 0: none. */
struct btn_waiters {
	struct btn_waiter *first, *last;
	/* With the lock, after a task that waited here alone has given up; NULL: nothing is to be done then. */
	void (*left)(struct btn_waiters *in);
};

/* A task's place in one such list. On the task's stack, and in use while the task waits. */
struct btn_waiter {
	struct btn_waiters *in;		/* the list, set by the task before it waits; NULL: none, or the wait ended */
	struct baton_task *task;
	struct btn_waiter *next, *before;
	void *item;			/* a channel's: to be sent; or received, when the wait has ended with 0 */
};

/*
 * Fields that each task uses are together, at the end here and at the beginning of what follows in struct
 * baton_request: a request is made by one thread and ends in another, and each of its lines travels twice.
 */
struct baton_task {
	/* Valid while the task waits: btn_wait_add() sets all of it. */
	struct btn_waiter *at;		/* the task's places in lists */
	unsigned n_at;			/* 0: the task waits for a time alone */
	bool nested;			/* only other tasks can end the wait: counted in sched.n_nested */
	struct btn_heap_node timer;
	struct baton_task *next_alert, **prev_alert;	/* prev_alert NULL: a cancel does not end the wait */
	struct baton_task *next_nested, **prev_nested;	/* in sched.nested; prev_nested NULL: the wait cannot fail */
	struct btn_waiter *by;		/* the place at which it was ended; NULL: by the clock or a cancel */
	int woken;			/* the result of the last wait */

	struct btn_task core;
	struct baton_sched *s;
	struct baton_request *req;
	struct btn_worker *worker;	/* the worker, from the task's first slot to its end */
	struct btn_waiters joiner;
	baton_task_fn *fn;
	void *arg;
	unsigned turn;			/* the owner's: calls of baton_wait_any() */
	int cancel_delivered;		/* the owner's: the cancel_pending that a call has returned */
	unsigned locks_held;		/* mutexes and rwlocks; written by the owner, and with the lock by whoever hands it one while it waits */
	bool ended, joinable, heap;
};

struct btn_slotless {
	struct btn_worker *first, **last;
	unsigned n;
};

#define BTN_SLOTS_MAX	4096

/* The scheduler's size and tiers as the service said them: shape.h. */
struct btn_rules {
	unsigned slots;			/* 0: as many as the capacity takes */
	uint64_t capacity;		/* ns in a second; 0: what the machine allows */
	unsigned low_limit_ppm;
	struct baton_tier_opts tier[BTN_TIERS_MAX];	/* no defaults left in them */
};

#define BTN_NAME_WORDS	(BATON_STATS_NAME / sizeof(uint64_t))

struct baton_tenant {
	struct btn_tenant *core;
	struct baton_sched *s;
	struct baton_tenant *next, **prev;	/* next: also in spare_tenants */
	struct baton_tenant *next_all;
	uint64_t serial;		/* unique among all tenants that this process ever has */
	unsigned epoch;			/* the last configuration that named the tenant; 0: none did */
	unsigned low_ppm, high_ppm;	/* parts of the capacity that the tenant bought */
	bool named;
	bool leased[2];			/* quotas of BTN_LOW and BTN_HIGH that the fleet sets: leased.h */
	uint64_t base[2];		/* leased quotas' base shares, which stay when leases end */
	uint64_t bought[2];		/* quotas that all nodes have together, ns of CPU in a second, as far as the agent said */
	struct btn_member *fleet;	/* fleet.c; NULL: in no fleet */

	/* Which of its flows are open, in bits, and how many requests were pushed, from bit 32 on: door.h. */
	_Atomic uint64_t door;
	uint32_t taken;			/* requests that were pushed and taken, with the lock */

	/* Read without the lock, also after the tenant is gone: names.c. */
	_Atomic unsigned refs;		/* references: one while registered, one per handle; 0: free for reuse */
	_Atomic uint64_t name[BTN_NAME_WORDS];
};

/* A thread that waits for a request and is no task of the scheduler. */
struct btn_thread_waiter {
	struct baton_parker *parker;
	struct btn_thread_waiter *next, **prev;
};

struct baton_request {
	BTN_ALIGNED struct baton_task first;
	struct baton_sched *s;
	struct baton_tenant *tenant;
	struct baton_completions *completions;	/* the queue that gets the request's end; NULL: none */
	struct btn_waiters waiters;
	struct btn_thread_waiter *threads;	/* threads that wait and are no tasks of s */
	struct baton_task *alert;	/* the request's own tasks whose waits a cancel ends */
	struct btn_worker *attached;	/* the attached thread's worker, which is or waits to be the first task; or NULL */
	struct btn_serve *served;	/* the service of a stream to which the request and its memory belong; NULL: none */
	uint64_t ended;
	uint64_t began;			/* time of its beginning in the run of the attached thread's last request; 0: it has its own run */
	struct baton_request *next;	/* in a list of spare requests, or of a completion queue */
	struct btn_inbox_node inbox;	/* door.h */
	_Atomic unsigned refs;		/* references: one for the handle, one while in flight: [REQUEST-1] */
	int result;
	bool done;
	struct btn_request core;
	void *cookie;			/* the caller's, returned with the end */
	struct btn_requests *chunk;	/* the memory of which this is a part: pool.c */
};

#define BTN_ALARMS	32
#define BTN_QUESTIONS	32
#define BTN_SIGNALS	16

/* An alarm that is to be set: alarm.c. */
struct btn_alarm {
	struct btn_worker *w;	/* NULL: an attached thread's */
	int timer;
	uint64_t at;
};

/* Whether a thread sleeps, which the monitor asks /proc once it has given up the lock: preempt.c. */
struct btn_question {
	const struct btn_worker *w;	/* compared only: an attached thread's may be gone */
	pid_t tid;
	uint64_t cpu;			/* the thread's CPU clock when it was asked */
	bool answered, asleep, futex;	/* futex: the thread sleeps in one */
};

/* Role of the poller, and its holder: polls.h. */
enum btn_poll {
	BTN_POLL_NONE,		/* nobody needs to: there is no stream yet */
	BTN_POLL_VACANT,
	BTN_POLL_WORKER,
	BTN_POLL_THREAD,
	BTN_POLL_LOOK,
};

/* The monitor's looks at a slot's task, once that is late: preempt.c. */
struct btn_look {
	uint64_t resched_at;		/* time of need_resched; 0: not set */
	uint64_t cpu_at;		/* the task's CPU clock, read soon after that; 0: not yet */
	uint64_t looked_at;		/* the last look */
	uint64_t in;			/* delay until the next look, longer each time */
	struct btn_look *next, **prev;
	struct btn_looks *list;		/* NULL: none, and the slot has had no task since the monitor came last */
};

/* A list of them, the one that was put into it last at the end. */
struct btn_looks {
	struct btn_look *first, **last;
	unsigned n;
};

struct baton_sched {
	BTN_ALIGNED struct btn_lock lock;
	BTN_ALIGNED struct btn_core core;
	struct btn_clock clock;
	struct btn_worker **on;		/* each slot's worker */
	struct btn_look *looks;		/* each slot's */
	/* Slots at which the monitor looks each time it comes; those whose tasks sleep, and have their alarms set. */
	struct btn_looks watched, dozing;
	struct btn_worker *idle, *dead;
	/* The worker that was woken last for an idle slot, until it comes; tasks were left for it to look at: dispatch.c. */
	struct btn_worker *_Atomic coming;
	_Atomic bool left;
	uint64_t woken_at;		/* time at which that worker was woken */
	unsigned coming_rank;		/* rank of the tier of that worker's task */
	/* Workers that lost their slot by force: those that may be running; those that are parked. */
	struct btn_slotless slotless, parked;
	unsigned n_idle, keep, born, max, requests;
	unsigned lazy_slots;		/* workers whose `lazy` is not NONE */
	unsigned attached;		/* attached threads' tasks that have not ended */
	unsigned n_nested;		/* tasks that wait, and that only other tasks can let go on: wait.c */
	struct baton_task *nested;	/* the newest of those that wait for tasks' ends, and may be told -EDEADLK */
	bool was_wanted;		/* `wanted` was set since the monitor came last */
	bool given;			/* a slot was given to a task since then */
	bool late;			/* a task was late when the monitor came last */
	unsigned slotless_armed;	/* workers looked at in turn, all of them asleep and with their alarms set */
	uint64_t slotless_in;		/* delay until slotless workers are looked at again; 0: one is new */
	struct btn_heap timers;		/* deadlines of waits */
	struct baton_tenant *tenants;
	struct baton_tenant *all_tenants, *spare_tenants;
	void *_Atomic names;		/* struct btn_names; written with the lock */
	size_t n_names;
	struct btn_rules rules;
	uint64_t allowed;		/* capacity that the machine's rules allow, ns in a second */
	struct btn_supply supply;	/* sample.c */
	_Atomic uint64_t sample_at;	/* time from which on there may be another sample */
	_Atomic uint64_t watch_at;	/* time from which on the watch is to read again, under load */
	int watch_events, watch_stop, watch_again;	/* watch.c; -1: none */
	pthread_t watch;
	struct btn_prealloc deferred;	/* core.prealloc where no call brings one: only what is to be freed */
	unsigned epoch;
	struct baton_fleet *fleet;	/* NULL: in none */
	/* The agent's socket, once the scheduler has joined ("": never), and the next scheduler of the process that has; with leased.c's lock. */
	char fleet_socket[108];
	struct baton_sched *fleet_next;
	uint64_t lease_end;		/* BTN_NEVER: no lease holds */
	int fleet_wake;			/* the fleet's thread sleeps on it; -1: never was in a fleet */
	_Atomic bool fleet_sleeps;	/* [FLEET-1] */
	struct baton_parker *monitor_parker;
	pthread_t monitor;
	/* Alarms that the monitor is about to set. The monitor's. */
	struct btn_alarm alarms[BTN_ALARMS];
	unsigned n_alarms;
	/* Questions of the monitor's last look, and of this one; workers to be demoted. The monitor's. */
	struct btn_question questions[BTN_QUESTIONS];
	unsigned n_questions;
	struct btn_worker *demotes;
	_Atomic pid_t alarm_tid;	/* the watch's thread, when it listens to alarms; 0: not yet */
	_Atomic bool alarmed;		/* an alarm went off */
	uint64_t retry_at;		/* threads could not be made, and are tried again then; BTN_NEVER: none failed */
	_Atomic uint64_t monitor_due;	/* written with the lock */
	_Atomic bool stall, stall_escape;	/* gate.c */
	struct btn_worker *_Atomic over;	/* workers whose slices ended by their timers: slice.c */
	_Atomic bool wanted;		/* a task waits, and no slot is idle: lazy.c */
	uint64_t now;			/* time when the lock was taken */
	struct baton_request *spare;	/* memory of requests: pool.c */
	unsigned spares;
	unsigned process;		/* maker of the scheduler: self.h */
	size_t stack_size;
	struct btn_birth birth;		/* given to each worker's thread */
	int *cpus;			/* each slot's CPU; NULL: workers are not bound */
	int stop_signal;		/* the signal of BATON_PREEMPT_STOP; 0: BATON_PREEMPT_DEMOTE */
	bool stopping;

	struct btn_detect *detect;	/* NULL: blocking is not seen */
	struct btn_idle_pollers *idle_pollers;	/* NULL: none */
	bool detecting;			/* the session with `baton load` lasts */
	bool look;			/* the cells are to be looked at although `want` is set: a worker came back slotless */
	bool hear;			/* the cells are to be looked at as if the doorbell had rung */
	pthread_t notifier;
	uint64_t taken, unauthorised;
	char how[96];
	struct btn_poller *_Atomic poller;	/* [POLLER-1]; NULL: no stream yet */
	enum btn_poll poll;		/* with the lock */
	int poll_wake;			/* eventfd of the poller's set */
	struct baton_parker *poll_parker;	/* the poller's thread */
	struct btn_worker *(*poll_turn)(struct btn_worker *w);	/* run by a worker that polls: io/poller.c */
	/*
	 * Called with the lock when a request of a service (served) has ended, and may submit it again: io/serve.c.
	 * quietly: it does nothing, and is false, where it would submit.
	 */
	bool (*served_ended)(struct baton_request *r, bool quietly);
	struct btn_inbox inbox;		/* requests that were submitted without the lock: door.h */
	BTN_ALIGNED _Atomic unsigned handles;	/* handles of requests, and streams: [REQUEST-2] */
	struct btn_lock spare_lock;
	struct baton_request *returned;	/* with spare_lock: pool.c */
	unsigned n_returned;
	struct btn_worker *spare_worker;
	_Atomic unsigned spare_workers;	/* [POOL-2] */
	_Atomic bool no_chunk;		/* the kernel refused memory for workers when it was asked last: [POOL-2] */
	struct btn_workers *chunks;
	void *(*worker_main)(void *worker);	/* start routine of workers' threads: worker.c */
};

struct btn_wakes {
	struct btn_worker *first;
	struct btn_thread_waiter *threads;	/* threads whose requests ended */
	bool monitor, poller;
	unsigned n_signals;
	pid_t signals[BTN_SIGNALS];		/* threads that are to be sent the signal: stop.c */
	struct baton_request *ended;	/* requests to be put into their completion queues */
	uint32_t parted;		/* workers that were parked in the kernel: btn_detect_release() */
};

/*
 * [SCHED-2] The values that a worker keeps from checkpoint to checkpoint are set anew with
 * each slot. A worker that was stopped may be given its next slot before it has noticed that
 * it lost the last one. Then a store of its own may overwrite a new value, and its next look
 * at the clock comes late; the flag covers that.
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
