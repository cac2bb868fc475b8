/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched_int.h - the scheduler's insides, for sched*.c and for what blocks tasks.
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
#include "birth.h"
#include "clock.h"
#include "core.h"
#include "detect.h"
#include "lock.h"
#include "meter.h"

#define BTN_PPM 1000000ULL

static inline uint64_t btn_part(uint64_t capacity, unsigned ppm)
{
	return capacity / BTN_PPM * ppm;
}

/* Bits of a worker's flag. */
#define BTN_FLAG_STOP 1u	/* lose the slot at the next checkpoint */
#define BTN_FLAG_TOLD 2u	/* the checkpoint has something to say */

struct btn_worker {
	/* Anybody; read at each checkpoint. */
	BTN_ALIGNED _Atomic uint32_t flag;
	/* It has to take a permit from its parker before it may go on: sched_rescue.c. */
	_Atomic bool waits;
	/* The owner: calls of the library that it is in; and it is about to take it. */
	_Atomic bool parked;
	_Atomic uint32_t inside;
	/* What it does with its slot without the lock: sched_hold.c. */
	_Atomic uint64_t hold;

	/* The owner; and whoever gives it a slot, with the lock held: [SCHED-2]. */
	BTN_ALIGNED _Atomic int quiet;	/* checkpoints until the clock is read */
	_Atomic int reload;		/* what quiet was set to */
	_Atomic int told;		/* -ETIME, -ECANCELED: the task's checkpoints say so */
	_Atomic uint64_t looked;	/* when the clock was read */
	_Atomic uint64_t gap;		/* the longest between two checkpoints, since it has its slot */
	_Atomic uint64_t until;		/* the end of the grant */
	_Atomic uint64_t idled;		/* of its run, time in which the slot was held idly */
	_Atomic uint64_t again;		/* and requests that ended in it but were not counted */
	struct baton_parker *parker;
	struct baton_sched *s;

	/* The lock. */
	struct baton_task *task;
	struct btn_worker *next;	/* idle, to be let go on, or dead */
	struct btn_worker *next_away, **prev_away;
	struct btn_away *in;		/* this list of those without a slot */
	int slot;			/* -1: none */
	int cpu;			/* its thread is bound to this one; -1: to none */
	int last_slot;			/* that its task had; -1: none */
	int leaving;			/* the slot in which its task is about to have ended; -1: none */
	struct btn_meter meter;
	const struct btn_tenant *metered;	/* whose task it ran last */
	bool mixed;			/* not only that one's, since the meter's mark */
	clockid_t cpu_clock;
	pthread_t thread;
	pid_t tid;
	bool born;			/* its thread exists */
	bool given;			/* it waits, and its permit was given */
	bool deaf;			/* it waits, and runs on: its task is blocked */
	bool urged;			/* a lock that it may hold is waited for */
	bool in_futex;			/* it sleeps there */
	uint64_t ask_at, ask_in;	/* whether it still does */
	uint64_t stopped_at;		/* its CPU when it was sent the signal */
	_Atomic bool demoted;		/* [RESCUE-4] */
	bool retired;
	bool guest;			/* a thread of somebody else's: baton_request_enter() */
	int refused;			/* why that did not get a slot */
	uint64_t charged_to;		/* of a guest: the tenant's serial that the meter is for */
	int home;			/* of a guest: the slot that it had last; the lock */
	struct baton_request *kept;	/* of a guest: for its next request; the owner */
	bool left, away;		/* of a guest: so it went, with its slot; the owner */
	uint64_t hold_tenant;		/* the run is of this serial's; written while the word is NONE */
	enum baton_class hold_class;

	/* Who blocks in the kernel (sched_detect.c). The owner. */
	struct btn_cell *cell;		/* NULL: not seen; written with the lock */
	uint64_t session;		/* that the cell is of */
	bool hinted;			/* between blocking_begin and end, with its slot */
	/* The lock. */
	bool taken;			/* its slot was taken because it blocked */
	uint64_t taken_cpu;		/* and what it had used by then */
	bool held;			/* it woke, the kernel has parked it, its task is ready */
	bool standby;			/* it was named to be woken when one blocks */
};

/* Tasks that wait for the same, first come, first served: sched_wait.c. All 0: none. */
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
	struct baton_task *next_alert, **prev_alert;	/* NULL: it is not to be told */
	int woken;			/* how the last wait ended */
	int heard;			/* the owner: what calls returned of what its request was told */

	baton_task_fn *fn;
	void *arg;
	unsigned wanted;		/* locks it holds that others' tasks wait for */
	unsigned held;			/* mutexes; the owner, and whoever gives it one while it waits */
	bool ended, joinable, heap;
};

struct btn_away {
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

	/* Without the lock, also when it is none any more: sched_names.c. */
	_Atomic unsigned refs;		/* being one, and of baton_tenant_find(); 0: it is none */
	_Atomic uint64_t name[BTN_NAME_WORDS];
};

struct waiter;

struct baton_request {
	struct btn_request core;
	struct baton_task first;
	struct baton_sched *s;
	struct baton_tenant *tenant;
	struct baton_request *next;	/* spare, or to be */
	struct btn_waiters waiters;
	struct waiter *threads;		/* that wait, and are no tasks of s */
	struct baton_task *alert;	/* its own tasks, if a cancel ends their waits */
	struct btn_worker *guest;	/* it waits to be the first task; or did */
	_Atomic unsigned refs;		/* the handle, and being in flight: [REQUEST-1] */
	bool done;
	int result;
	uint64_t ended;
	uint64_t began;			/* in the run of the guest's last one; 0: in its own */
};

struct baton_sched {
	BTN_ALIGNED struct btn_lock lock;
	BTN_ALIGNED struct btn_core core;
	struct btn_clock clock;
	struct btn_worker **on;		/* by slot */
	uint64_t *poked_at;		/* by slot; 0: not */
	uint64_t *cpu_at;		/* by slot: its task's CPU, soon after that; 0: not yet */
	struct btn_worker *idle, *dead;
	/* Without a slot, but not by their own choice: may be running; parked. */
	struct btn_away away, parked;
	unsigned n_idle, keep, born, max, requests;
	unsigned holds;			/* workers whose word is not NONE */
	bool was_wanted;		/* since the monitor came */
	struct btn_heap timers;		/* of tasks that wait */
	struct baton_tenant *tenants;
	struct baton_tenant *all_tenants, *spare_tenants;
	void *_Atomic names;		/* struct btn_names; written with the lock */
	size_t n_names;
	struct btn_stock junk;		/* core's, when nobody brings one: only takes what is given */
	unsigned epoch;
	struct baton_parker *monitor_parker;
	pthread_t monitor;
	uint64_t retry_at;
	_Atomic uint64_t monitor_due;	/* written with the lock */
	_Atomic bool jam, loose;	/* sched_rescue.c */
	_Atomic bool wanted;		/* a task waits, and no slot is idle: sched_hold.c */
	uint64_t now;			/* when the lock was taken */
	size_t stack_size;
	struct btn_birth birth;		/* of each worker */
	int *cpus;			/* by slot, where workers are bound to CPUs; or NULL */
	int stop_signal;		/* of BATON_RESCUE_STOP; 0: _DEMOTE */
	bool stopping;

	struct btn_detect *detect;	/* NULL: nobody says who blocks */
	struct btn_idlers *idlers;	/* or NULL */
	bool detecting;			/* and the session lasts */
	bool look;			/* at the cells, though the bell is set: one came back without its slot */
	bool hear;			/* as if the bell had rung */
	pthread_t notifier;
	uint64_t taken, unauthorised;
	char how[96];
	BTN_ALIGNED _Atomic unsigned handles;	/* [REQUEST-2] */
	struct btn_lock spare_lock;
	struct baton_request *spare;
	unsigned spares;
	struct btn_worker *spare_worker;
	struct btn_workers *chunks;
};

struct btn_wakes {
	struct btn_worker *first;
	bool monitor;
	struct baton_request *dead;
};

/*
 * [SCHED-2] What a worker keeps from checkpoint to checkpoint is set anew with each
 * slot. One that was stopped may be given its next slot before it has noticed that
 * it lost the last one, and then a store of its own may overwrite the new value:
 * its next look at the clock comes late, for which there is the flag.
 */
#define BTN_OWN_GET(word) atomic_load_explicit(&(word), memory_order_relaxed) /* [SCHED-2] */
#define BTN_OWN_SET(word, to) atomic_store_explicit(&(word), to, memory_order_relaxed) /* [SCHED-2] */

/* The worker that this thread is, or NULL. */
extern __thread struct btn_worker *btn_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline struct baton_task *btn_task_of(struct btn_task *t)
{
	return btn_container(t, struct baton_task, core);
}

static inline struct baton_request *btn_request_of(struct btn_request *r)
{
	return btn_container(r, struct baton_request, core);
}

/* The task that runs on this thread, or NULL. */
struct baton_task *btn_sched_self(void);

/* Takes the lock, and the time for all that follows until it is given up. */
void btn_sched_lock(struct baton_sched *s);
/*
 * Everything that follows from what happened, then the lock is given up; and if
 * the caller's worker waits it does that here, and returns with a slot.
 */
void btn_sched_unlock(struct baton_sched *s, struct btn_wakes *wakes);
/* Only gives the lock up: nothing happened that somebody waits for. */
void btn_sched_release(struct baton_sched *s);
/* A call of the library begins (the lock's begin so): the caller's worker w is not stopped. */
static inline void btn_sched_enter(struct btn_worker *w)
{
	uint32_t inside;

	if (!w)
		return;
	inside = atomic_load_explicit(&w->inside, memory_order_relaxed); /* [RESCUE-1] */
	atomic_store_explicit(&w->inside, inside + 1, memory_order_relaxed); /* [RESCUE-1] */
	atomic_signal_fence(memory_order_seq_cst); /* [RESCUE-1] */
}
/* A call of the library ends: the caller's worker w, if it is one, waits if it has to. */
void btn_sched_exit(struct btn_worker *w);

/*
 * The caller's task waits until btn_sched_ready_locked(). The lock is held, and
 * is not when it returns, with a slot. The task's slot goes to the next one.
 */
void btn_sched_wait(struct baton_task *t);
/* For whoever traces: the caller's task makes t ready. */
void btn_sched_trace_wake(const struct baton_task *t);
void btn_sched_ready_locked(struct baton_task *t);

/* The caller's task returns to its code that its request was told so; 0: nothing. */
static inline int btn_task_hears(struct baton_task *t, int told)
{
	if (told)
		t->heard = told;
	return told;
}

/*
 * The caller's task t is to wait: in a list, until somebody ends that or the deadline
 * comes; with alert, or until its request is told something. 0, and btn_wait() is
 * to follow while the lock is still held; or why it does not wait: -ETIMEDOUT, -ETIME
 * or -ECANCELED.
 */
int btn_wait_begin(struct baton_task *t, struct btn_waiters *in, uint64_t deadline, bool alert);
/* Gives up the lock. 0: it was woken; or as above, but not both. */
int btn_wait(struct baton_task *t);
/* With the lock held. why: as above. */
void btn_wait_end(struct baton_task *t, int why);
bool btn_wait_end_first(struct btn_waiters *in);	/* woken; false: nobody waits */
void btn_wait_expire(struct baton_sched *s, uint64_t now);
void btn_wait_cancel(struct baton_request *r);		/* it was told something */
/* One lock more, or one less, that t holds and other tenants' tasks wait for. */
void btn_sched_want_locked(struct baton_task *t, int by);

/*
 * The parts of sched.c to each other. With the lock held unless it says not.
 */

/* Everything that follows from what happened; then, without the lock, wake_all. */
void btn_sched_settle_down(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes);
void btn_sched_wake_all(struct baton_sched *s, struct btn_wakes *wakes);
static inline void btn_wakes_add(struct btn_wakes *wakes, struct btn_worker *w)
{
	if (w) {
		w->next = wakes->first;
		wakes->first = w;
	}
}

/* Out of it again; it may be the caller's, who need not be woken. */
static inline bool btn_wakes_del(struct btn_wakes *wakes, const struct btn_worker *w)
{
	struct btn_worker **p;

	for (p = &wakes->first; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			return true;
		}
	return false;
}

/* When the monitor is to come; the lock is held, and only there it is asked. [RESCUE-3] others only look whether it is late. */
static inline uint64_t btn_monitor_due(const struct baton_sched *s)
{
	return atomic_load_explicit(&s->monitor_due, memory_order_relaxed); /* [RESCUE-3] */
}

static inline void btn_monitor_set_due(struct baton_sched *s, uint64_t due)
{
	atomic_store_explicit(&s->monitor_due, due, memory_order_relaxed); /* [RESCUE-3] */
}

/* The monitor, while somebody runs without a slot, and while tasks run at all. */
#define BTN_TICK_NS		500000
#define BTN_TICK_QUIET_NS	2000000
/* And where nobody waited since the last one, and only guests run that may hold their slots. */
#define BTN_TICK_HELD_NS	10000000
/* And after a task was told to stop. */
#define BTN_LOOK_NS		120000
void *btn_monitor_main(void *sched);

/* The caller takes its permit, and first gives another theirs (or NULL). */
void btn_worker_park(struct btn_worker *w, struct btn_worker *to);
void btn_worker_unlink_away(struct btn_worker *w);
/* It is not before all others any more because of a lock that it might hold. */
void btn_worker_unurge(struct btn_worker *w);
/* 0 or -errno: the signal's handler is ours. And a new thread of s takes it. */
int btn_rescue_init(int sig);
void btn_rescue_thread(const struct baton_sched *s);
/* The monitor's part, and when it wants to be called again. */
void btn_rescue_look(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes);
uint64_t btn_rescue_next(struct baton_sched *s, uint64_t now);

/* fn may be NULL: the caller brings a worker. -EINVAL, -ENOMEM. */
int btn_request_new(struct baton_request **out, struct baton_tenant *t,
		    const struct baton_request_opts *opts, bool handle);
/* The lock is held. As baton_submit(); r is the caller's on an error. */
int btn_request_submit(struct baton_request *r, uint64_t arrival);
void btn_request_free(struct baton_request *r);	/* without the lock */
/* What it used until now; if its run was others' as well, before it, then no more than since. */
static inline uint64_t btn_request_cpu(const struct baton_request *r, uint64_t now)
{
	uint64_t most = r->began && now > r->began ? now - r->began : BTN_NEVER;

	return r->core.cpu < most ? r->core.cpu : most;
}
/* Without the lock. A guest keeps one request's memory for its next one; NULL, false: it does not. */
struct baton_request *btn_guest_take_kept(void);
bool btn_guest_keep(struct baton_request *r);
void btn_request_done(struct baton_request *r, struct btn_wakes *wakes);
/* The caller's memory is had for what follows; and it is not, and what was freed is the caller's to free. */
void btn_stock_begin(struct baton_sched *s, struct btn_stock *mine);
void btn_stock_end(struct baton_sched *s, struct btn_stock *mine);
/* Two steps: without memory of a name nothing happens. Not shown to others yet: page.h. */
int btn_tenant_new(struct baton_sched *s, struct baton_tenant **out, uint64_t low, uint64_t high,
		   const char *name);
struct baton_tenant *btn_tenant_named(struct baton_sched *s, const char *name);
/* Without the lock. One more who has it; false: it is none. And one less. */
static inline bool btn_tenant_get(struct baton_tenant *t)
{
	unsigned refs = atomic_load_explicit(&t->refs, memory_order_relaxed); /* [NAMES-3] */

	while (refs && !atomic_compare_exchange_weak_explicit(&t->refs, &refs, refs + 1,
							      memory_order_acquire, /* [NAMES-3] */
							      memory_order_relaxed)) /* [NAMES-3] */
		;
	return refs;
}
void btn_tenant_put(struct baton_tenant *t);
/* For btn_tenant_get()'s caller; NULL: there is none. */
struct baton_tenant *btn_names_find(struct baton_sched *s, const char *name);
/* Room for so many more: -ENOMEM. And it is a tenant from now on; "": without a name. It cannot be found any more. */
int btn_names_room(struct baton_sched *s, size_t more);
void btn_names_add(struct baton_tenant *t, const char *name);
void btn_names_del(struct baton_tenant *t);
void btn_names_free(struct baton_sched *s);
/* Somebody has one of its tenants; and the memory of all. */
bool btn_tenants_busy(const struct baton_sched *s);
void btn_tenants_free(struct baton_sched *s);
/* No requests from now on; gone when there are none. */
void btn_tenant_leave(struct baton_tenant *t);
/* Leaves, and its last request ended. */
void btn_tenant_gone(struct baton_tenant *t);
uint64_t btn_sched_part(const struct baton_sched *s, unsigned ppm);
/* Of a capacity: how many tiers; -EINVAL. */
int btn_sched_tiers(const struct baton_sched_opts *o, struct btn_tier_setup *to, uint64_t capacity);

/*
 * [RESCUE-4] With the lock, but that a worker ends it as it takes its permit. That may be
 * just when it is demoted (sched_rescue.c): then it sees it the next time.
 */
static inline bool btn_worker_demoted(const struct btn_worker *w)
{
	return atomic_load_explicit(&w->demoted, memory_order_relaxed); /* [RESCUE-4] */
}

static inline void btn_worker_set_demoted(struct btn_worker *w, bool is)
{
	atomic_store_explicit(&w->demoted, is, memory_order_relaxed); /* [RESCUE-4] */
}

/* The worker of the task that was picked for this slot; NULL: none to be had. */
struct btn_worker *btn_worker_assign(struct baton_sched *s, uint64_t now, unsigned slot);
/* Without the lock: it was given a slot, and does not run yet. */
void btn_worker_bind(struct baton_sched *s, struct btn_worker *w);
/* Without the lock: it has a slot, and begins or goes on. */
void btn_worker_let_go(struct baton_sched *s, struct btn_worker *w);
/* The caller stops running its task; returns the slot, which is idle. */
unsigned btn_worker_drop_slot(struct btn_worker *w, enum btn_stop why);
/* Likewise, and hands it on. The caller returns when it has one; without the lock then. */
void btn_worker_leave_slot(struct btn_worker *w, enum btn_stop why);
/* Its slot, on which it goes on though it was to stop. */
void btn_worker_renew(struct baton_sched *s, struct btn_worker *w, uint64_t now, unsigned slot);
static inline void btn_worker_set_waits(struct btn_worker *w)
{
	w->given = false;
	atomic_store_explicit(&w->waits, true, memory_order_relaxed); /* [RESCUE-2] */
}
/* It ran without a slot: what it used is charged; and it waits for one (gives up the lock). */
void btn_worker_end_away(struct btn_worker *w, uint64_t now);
/* The same, but that whoever gives up the lock waits, in doing so. */
void btn_worker_wait_again(struct btn_worker *w);
void btn_worker_come_back(struct btn_worker *w);
/*
 * Without the lock: its task ended. False: its thread is to end, too, or is
 * somebody else's again.
 */
bool btn_worker_task_end(struct btn_worker *w, bool leaves);
struct btn_worker *btn_worker_new(struct baton_sched *s, bool guest);
/* Its thread has ended. */
void btn_worker_free(struct btn_worker *w);
/* The memory of all but guests. */
void btn_workers_free(struct baton_sched *s);

/* A worker's word `hold`: sched_hold.c. */
#define BTN_HOLD_NONE	0u
#define BTN_HOLD_RUNS	1u
#define BTN_HOLD_TAKING	2u
#define BTN_HOLD_IDLE	4u	/* or more: since when, and why */
#define BTN_HOLD_LEFT	0u
#define BTN_HOLD_BLOCKED 1u
#define BTN_HOLD_SHIFT	2

/*
 * With the lock. A guest was given this slot: it may hold it idly, if it may. Its run is
 * to be touched by another: false: not now, it holds it idly or is in the library. The run
 * is about to stop: what it did without the lock is counted, and its word is NONE: by the
 * owner, or after the former.
 */
void btn_hold_arm(struct baton_sched *s, struct btn_worker *w, unsigned slot);
bool btn_hold_off(struct baton_sched *s, struct btn_worker *w);
void btn_hold_end(struct baton_sched *s, struct btn_worker *w);
void btn_hold_fold(struct btn_worker *w, unsigned slot);
/* Nothing is idle: if a task waits, a slot that is held idly. True: one is idle. */
bool btn_hold_look(struct baton_sched *s, uint64_t now);
/* Those that were for long; all, and nobody has one until his next slot. */
void btn_hold_take_old(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes);
void btn_hold_close(struct baton_sched *s, struct btn_wakes *wakes);
/* Hints: it holds its slot idly; or may. */
bool btn_hold_is_idle(const struct btn_worker *w);
bool btn_hold_is_on(const struct btn_worker *w);
/* Without the lock, all of them: what left has ended, for who looks. */
void btn_hold_settle(struct baton_sched *s);
/* The owner, without the lock, inside the library. False: it is to go the long way. */
bool btn_hold_idle(struct btn_worker *w, unsigned why);
bool btn_hold_resume(struct btn_worker *w);
/* It is out of the library, and whoever sees that has what it wrote there. */
void btn_hold_out(struct btn_worker *w);
/* w's slot was taken, which was held idly since: as if it had left or blocked then. */
void btn_worker_taken_idle(struct btn_worker *w, bool left, uint64_t since);

/* Its cell says that it has no slot from now on. False: there is none, or it does not sleep. */
bool btn_worker_take_cell(struct btn_worker *w);
/* Its slot is somebody else's from now; it runs on, or sleeps, without. */
void btn_worker_take_slot(struct baton_sched *s, uint64_t now, unsigned slot);

/*
 * Who blocks in the kernel. begin and end are the scheduler's; join is for the
 * thread that is w, without the lock, and no more than looks where it joined; so is
 * part, before the thread ends, or quit, which gives the cell to others.
 */
void btn_sched_detect_begin(struct baton_sched *s, unsigned workers, uint64_t idle_ns);
void btn_sched_detect_end(struct baton_sched *s);
void btn_worker_join(struct btn_worker *w);
void btn_worker_part(struct btn_worker *w);
void btn_worker_quit(struct btn_worker *w);
/* Nothing is idle: if a task waits, slots of workers that block are. True: one is. */
bool btn_sched_detect_look(struct baton_sched *s, uint64_t now);

/* Who is woken where a CPU has nothing else to do, sched_idler.c. rung: by the notifier, it heard the bell. */
unsigned btn_idlers_max(void);
void btn_idlers_begin(struct baton_sched *s, uint64_t idle_ns);
void btn_idlers_rung(struct baton_sched *s);
void btn_idlers_end(struct baton_sched *s);

/* w was to be woken when one blocks, and cannot be asked any more, with the lock; w, the caller, was, without it. */
void btn_worker_stand_down(struct btn_worker *w);
void btn_worker_answer(struct btn_worker *w);
/* Without the lock: w, the caller, was given a slot, and is to look at the cells first. */
void btn_worker_pay(struct btn_worker *w);

/* Whoever the kernel has parked, because they woke without a slot, is ready again. */
void btn_sched_detect_woken(struct baton_sched *s, uint64_t now);

/* w, the caller, runs with a slot from here on; or, NOT, is about to park or to wait. */
static inline void btn_worker_arm(struct btn_worker *w, uint32_t how)
{
	if (w && w->cell)
		btn_cell_arm(w->cell, how);
}

/* ns on its thread's CPU clock. */
uint64_t btn_worker_cpu(const struct btn_worker *w);
/*
 * What w, which still has its task and its slot, used since it was last asked:
 * meter.h. What was charged too much is given back here.
 */
uint64_t btn_worker_account(struct btn_worker *w, uint64_t now, uint64_t settle);

static inline uint64_t btn_heap_first(const struct btn_heap *h, uint64_t other)
{
	return h->top && h->top->key < other ? h->top->key : other;
}

#endif
