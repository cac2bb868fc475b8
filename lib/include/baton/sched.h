/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/sched.h> - requests of many tenants on few CPUs.
 *
 * A service makes one scheduler, adds its tenants with the quota they bought,
 * and submits what they ask for as requests. A request is a function that runs
 * as a task, on a thread of its own (real stack, real thread-locals), while
 * that thread holds one of the scheduler's slots; it may spawn further tasks,
 * which are charged to the same tenant. A task gives its slot away when it
 * blocks in one of the calls below, when it ends, and at a checkpoint if it is
 * due: it used up its slice, or somebody more important waits.
 *
 * Quotas are parts per million of capacity, and hold in every sliding second: no tenant
 * gets more, except for what its running tasks use until their next checkpoint.
 * Capacity is CPU in a second, the least of one second for each slot, of the CPUs that the
 * scheduler's maker may use, and of the limits of its cgroups, of all above it too
 * (cpu.max; cpu.cfs_quota_us in v1); half a CPU is a capacity. Such a limit, or a cpuset, that
 * is changed while the scheduler runs is followed at once, unless capacity was said; another
 * affinity mask of all threads (taskset -a) within seconds, while tasks run. Where
 * capacity is less than the slots, tenants whose high-latency quotas are oversold get no more
 * than that all the same, together with the others.
 *
 *	class              pays from             without quota
 *	BATON_CRITICAL     low-latency           rejected at once
 *	BATON_TOLERANT     low-latency, else     waits for either
 *	                   high-latency
 *	BATON_BATCH        high-latency          waits
 *	BATON_INTERNAL     its tier alone        waits for its tier
 *
 * What happens to a task that never reaches a checkpoint: the monitor lets it run
 * a few tenths of a millisecond past the end of its slice, or past the moment at
 * which somebody more important came. A task for which that was done, and that has passed no
 * checkpoint since, is not waited for the next time. Then, with
 *
 *  BATON_PREEMPT_STOP (the default) its thread is sent a signal, and waits in the
 *	signal's handler until it is the task's turn again. So quotas hold for
 *	such tasks as for others, also while nobody else wants the CPU.
 *  BATON_PREEMPT_DEMOTE its slot is given to somebody else, if somebody waits,
 *	and its thread is demoted to SCHED_IDLE: it gets what CPU is left over,
 *	and at its next call of this library waits for a slot like any other. All
 *	that it uses is charged, but nobody limits it.
 *
 * The first is the default because what is left over is not nothing: a demoted
 * thread runs whenever a CPU is idle for a moment, holds memory-map and other
 * locks of the kernel for long once it is preempted, and can leave SCHED_IDLE only
 * with RLIMIT_NICE or CAP_SYS_NICE (without, it ends with its task and is
 * replaced). And it holds this library's own lock at that priority, too, for
 * which all others then wait.
 *
 * What the first can do wrong is to stop a thread that holds a lock which the
 * scheduler does not know: malloc's, or a pthread_mutex_t. Whoever then waits for
 * that lock sleeps in the kernel, in a slot; the monitor sees it, and if the
 * sleeper's tier goes before theirs it gives the stopped threads a turn each in
 * the sleeper's place and from the sleeper's quota, until the lock is let go:
 * milliseconds instead of a turn that quota may put off for long. In the same tier they wait for their
 * turn. If nobody gets one before the lock is let go (who adds a tenant allocates
 * with the scheduler's lock held, pthread_create() for a worker that was given a
 * slot), the stopped threads go on without a slot until it is; to find that out
 * takes them between a tenth of a second and one.
 *
 * System calls that a stopped thread is in are restarted (SA_RESTART), but for
 * those that never are, like poll(), which fail with EINTR; the signal is sent
 * only to threads that use CPU, or that did all through their last slice. A thread that blocks it is demoted instead. The handler is installed once for the process and passes on
 * what is not meant for it to the one that was there before; SIGURG is taken
 * because it is ignored by default and nobody uses it.
 *
 * A task that sleeps in the kernel for a millisecond after it was to stop loses
 * its slot, too, and is not sent anything; when it is seen to run again it is
 * treated as above.
 *
 * While all tasks that run came by themselves the last time, the monitor looks for
 * late ones each 2 ms: so much later is the first one seen that does not come any more.
 *
 * A slot is the right to run on some CPU; which one is the kernel's choice. With
 * `bind` it is always the same, and a thread is moved there before it runs in that
 * slot. Without, the kernel may put a task that is let go on behind one that runs
 * on another CPU, though the one that let it go is about to sleep: a millisecond
 * now and then (a kernel with FUTEX_SWAP does not do that). Bind where the CPUs
 * are the service's own: a bound thread cannot get out of the way of others.
 * Threads of baton_request_enter() are never bound.
 *
 * Locks of <baton/sync.h> that a task holds while others wait for them are seen:
 * meanwhile the task may also run in the place, and from the quota, of its best
 * waiter.
 *
 * What calls may do: "from a task" is code that a scheduler runs. A task may
 * also end its thread (pthread_exit); that ends the task. To another scheduler in the same
 * process a task is a thread like any other: it may submit there, and wait for the request,
 * but it has no slot there to give away, keeps its own, and is refused with -EPERM where a
 * call needs a task of that scheduler.
 *
 * fork: a child has none of its parent's schedulers, as their threads are not there. Calls
 * with one, or with what belongs to one (tenants, requests, tasks, the objects of
 * <baton/sync.h>), return -EPERM in the child, and those that return nothing do nothing, or
 * give zeros; their memory stays as long as the child does. A thread that forked as a task
 * is none in the child, and should exec or _exit; where the task's function returns, the
 * thread ends, and the child with it. New schedulers of the child's own are as any.
 *
 * What a task's thread keeps for the next task, which may be another tenant's: all that a thread has. The
 * library takes back its own demotion to SCHED_IDLE and, with bind, sets the CPU, and nothing else. So a task puts back what it changes: thread-locals (errno, the
 * locale of uselocale(), caches of an allocator or of the service), the mask of blocked signals, the alternate signal stack,
 * affinity, nice value, name, rounding mode, user and group of setfsuid(), state of cancellation; and it wipes secrets from its stack, which
 * the next task has as it was left. Destructors of thread-locals run when the thread ends, not
 * when the task does. A task that cannot put something back ends its thread (pthread_exit): the next
 * task gets a thread that is as the scheduler's maker is. A task that blocks preempt_signal and leaves it
 * so makes all later tasks of its thread demoted instead of stopped.
 *
 * Stacks: a worker's has stack_size bytes, which are 256 KiB by default and at least PTHREAD_STACK_MIN,
 * and a guard page of libc's below it: overrun, the process gets SIGSEGV. libc takes the program's thread-locals
 * out of these bytes. Only pages that were touched are memory, and they stay with the thread; so many workers, each with a deep
 * stack once, keep all of that (workers_keep says how many idle ones stay). The handler of preempt_signal
 * runs on the task's stack, or on the thread's alternate signal stack where the service made one, and needs a
 * signal's frame (AT_MINSIGSTKSZ of getauxval(3)) and a little more.
 * Attached threads have their own.
 *
 * Containers: capacity is what the cgroups leave, also where the container sees only its own cgroup; limits of groups above, in a
 * hierarchy that is not mounted inside, cannot be seen, and then capacity is to be said. No capability is needed.
 * Where a seccomp filter forbids sched_setattr(2) or timer_create(2) the library does without. Figures need a
 * directory that both sides mount (<baton/stats.h>), and <baton/detect.h> the socket of a `baton load` on the host. Processes of other
 * containers are other processes: each has its own schedulers and quotas, and the kernel divides the CPUs between them.
 */
#ifndef BATON_SCHED_H
#define BATON_SCHED_H

#include <stdbool.h>

#include <baton/base.h>

BATON_BEGIN_DECLS

struct baton_sched;
struct baton_tenant;
struct baton_request;
struct baton_task;

enum baton_class { BATON_CRITICAL, BATON_TOLERANT, BATON_BATCH, BATON_INTERNAL };

/* The two tiers that tenants buy; further ones follow. */
#define BATON_TIER_LOW 0
#define BATON_TIER_HIGH 1
#define BATON_TIERS_MAX 8

struct baton_tier_opts {
	/* "fifo", "lifo", "rr", "arrival" or "quota" (NULL). */
	const char *policy;
	/* Smaller ones first, below 8; tiers of the same rank share. */
	unsigned rank;
	/* The tier's part of what is left for its rank; 0 means 1. */
	unsigned share;
	/* Served before any rank until it had so much in a second. */
	unsigned reserve_ppm;
	/* The most that it may be; 0: no limit. */
	unsigned limit_ppm;
};

enum baton_preempt { BATON_PREEMPT_STOP, BATON_PREEMPT_DEMOTE };

struct baton_sched_opts {
	size_t sz;		/* sizeof(struct baton_sched_opts) */
	unsigned slots;		/* 0: as many as the capacity takes, rounded up */
	unsigned slots_max;	/* the most that there may be; 0: slots, or the CPUs this thread may use, if they are more */
	uint64_t capacity;	/* ns of CPU in a second, from 1000000 on; 0: what the machine allows */
	unsigned workers_max;	/* threads; 0: 16384 */
	unsigned workers_keep;	/* idle ones kept for the next task; 0: 64 */
	size_t stack_size;	/* a worker's, bytes; 0: 256 KiB */
	unsigned low_limit_ppm;	/* low-latency quota for sale; 0: 700000, the most */
	unsigned tiers;		/* number of tier's; 0: two, quota, ranks 0 and 1 */
	const struct baton_tier_opts *tier;
	enum baton_preempt preempt;
	int preempt_signal;	/* for BATON_PREEMPT_STOP; 0: SIGURG */
	bool bind;		/* each slot is one CPU, and tasks run on their slot's */
	unsigned idle_poll_us;	/* <baton/detect.h>, us of CPU, up to 10000; 0: 200; BATON_IDLE_POLL_NONE */
	/*
	 * Threads, of workers_max, that only tasks of the best rank take: requests that sleep
	 * keep their threads, and without these the most urgent one would wait for one to
	 * wake. 0: an eighth, up to 64; BATON_WORKERS_NONE.
	 */
	unsigned workers_reserved;
};

#define BATON_WORKERS_NONE (~0u)
#define BATON_IDLE_POLL_NONE (~0u)

/**
 * baton_sched_create - make a scheduler
 * @out: where it is put; set to NULL on an error
 * @opts: or NULL for all defaults; copied
 *
 * Any thread. Starts two threads, the monitor and the watch (of the machine's limits, and of threads that wake), and where <baton/detect.h> says who blocks
 * another, the notifier. Workers, whichever thread makes them,
 * have the caller's scheduling policy, nice value, CPUs, timer slack and blocked
 * signals (but for @opts->preempt_signal, which they take).
 *
 * Returns 0; -EINVAL: opts->sz is no header's, as many workers reserved as there are, a policy
 * that there is not, fewer than two tiers or more than 8, more than 700000 ppm of
 * low-latency quota, more reserved than the rest, more than 4096 slots or slots_max,
 * a capacity of less than 1000000, more than 10000 of idle_poll_us, a way of preemption, or a
 * signal for it, that there is not, or bind and fewer CPUs than slots;
 * -E2BIG: opts->sz is a newer header's, with an option set that this library does not know;
 * -ENOMEM, -EAGAIN: no memory or no thread; -EPERM or another error of sched_getaffinity(2):
 * nobody may ask which CPUs there are, so slots, or a capacity, must be said; or an error of
 * baton_backend().
 */
BATON_API int baton_sched_create(struct baton_sched **out, const struct baton_sched_opts *opts);

/**
 * baton_sched_destroy - end a scheduler
 * @s: the scheduler, or NULL
 *
 * Not from a task of @s. Waits until its threads have ended, but for those that
 * <baton/detect.h> calls idle pollers; frees its tenants.
 *
 * Returns 0; -EBUSY: requests are in flight or handles of tenants not put;
 * then nothing happened.
 */
BATON_API int baton_sched_destroy(struct baton_sched *s);

/**
 * baton_sched_set_slots - how many tasks run at once, from now on
 * @slots: 0: as many as the capacity takes, rounded up, as it changes
 *
 * Any thread, a task too, also under load; not in a signal handler. Nothing is lost: a slot
 * that is no more loses its task at that one's next checkpoint, as if somebody more important
 * had come, and the task waits for another. Capacity is never more than a second for each slot:
 * all quotas, reserves and limits stay the same parts of it.
 *
 * Returns 0; -ERANGE: more than opts->slots_max, or what it was by default; then nothing changed.
 */
BATON_API int baton_sched_set_slots(struct baton_sched *s, unsigned slots);

/**
 * baton_sched_set_capacity - how much CPU there is in a second, from now on
 * @capacity: ns, of all slots together; 0: what the machine allows, as it changes
 *
 * Any thread, a task too, also under load; not in a signal handler. From now on quotas, reserves
 * and limits are the same parts of this, and slices that were given run out. Where slots
 * were not said there are as many as it takes, rounded up; where they were, there is never
 * more than a second for each. The machine is not asked: a capacity that it does not give
 * makes promises that nobody can keep.
 *
 * Returns 0; -EINVAL: less than 1000000; -ERANGE: slots were not said, and it takes more
 * than opts->slots_max; on an error nothing changed.
 */
BATON_API int baton_sched_set_capacity(struct baton_sched *s, uint64_t capacity);

struct baton_tenant_opts {
	size_t sz;		/* sizeof(struct baton_tenant_opts) */
	unsigned low_ppm;	/* low-latency quota */
	unsigned high_ppm;	/* high-latency quota; may be oversold */
	/* For baton_tenant_find() and <baton/stats.h>: UTF-8, up to 63 bytes; NULL: none. */
	const char *name;
	unsigned requests_max;	/* requests in flight; the next one gets -EAGAIN. 0: any number */
	/*
	 * Threads that the tenant's tasks have at once, whether they run, wait or sleep; the
	 * next task waits. Threads of baton_request_enter() do not count. 0: any number.
	 */
	unsigned workers_max;
};

/**
 * baton_tenant_add - sell a quota
 * @s: where
 * @out: the tenant; set to NULL on an error
 * @opts: what it buys
 *
 * Any thread. Takes 4 KiB for each quota above 0.
 *
 * Returns 0; -EINVAL: opts->sz, or a name that is empty, too long or not UTF-8; -E2BIG: an
 * option of a newer header's that this library does not know;
 * -EEXIST: there is a tenant of that name; -ENOSPC: the low-latency quotas would be more
 * than low_limit_ppm together; -ENOMEM.
 */
BATON_API int baton_tenant_add(struct baton_sched *s, struct baton_tenant **out,
			       const struct baton_tenant_opts *opts);

/**
 * baton_tenant_set - change a quota
 *
 * Any thread, also under load. From now on the new quotas and limits hold; slices that
 * were given run out, and requests and threads that are too many go on. A request in flight is not lost: a critical one whose
 * tenant has no low-latency quota any more ends on the high-latency one.
 *
 * The name stays as it is. Returns as baton_tenant_add(), or -ESHUTDOWN: it was
 * removed; on an error nothing changed. Selling less is never refused.
 */
BATON_API int baton_tenant_set(struct baton_tenant *t, const struct baton_tenant_opts *opts);

/**
 * baton_tenant_remove - no more requests of this tenant
 *
 * Any thread. Requests in flight go on and end; then the tenant's quotas' memory is
 * freed, the rest is for the next tenant, and its quota can be sold again. @t must not be used any more.
 */
BATON_API void baton_tenant_remove(struct baton_tenant *t);

/**
 * baton_tenant_find - the tenant of that name
 * @out: for baton_tenant_put(); NULL on an error
 *
 * Any thread. Takes no lock and waits for nobody, whatever others add, remove or reload
 * meanwhile: a tenant that is there all the time is found. (Where there is no memory for the
 * thread's first time here it waits for the scheduler's lock.) As little waits
 * baton_tenant_put(), unless it was removed meanwhile; all other calls here take that
 * lock for a moment. Until it is put it can be used, also when it was removed meanwhile:
 * then submitting and setting its quota give -ESHUTDOWN, and its figures are 0.
 *
 * Returns 0; -ENOENT: there is none, or it was removed.
 */
BATON_API int baton_tenant_find(struct baton_sched *s, const char *name, struct baton_tenant **out);

/** baton_tenant_put - the caller does not need what it found any more; NULL: nothing */
BATON_API void baton_tenant_put(struct baton_tenant *t);

/* A tenant's figures since it was added; CPU and times in ns. */
struct baton_tenant_stats {
	uint64_t admitted, rejected, dropped, finished;
	uint64_t cpu[BATON_TIERS_MAX];	/* by tier */
	uint64_t low_left, high_left;	/* left of this sliding second's quota */
	uint64_t throttled;		/* tasks were ready, and no quota was left */
	uint64_t overrun_worst;		/* a task's past its slice, to its checkpoint */
	uint64_t wait_p50, wait_p99, wait_p999;	/* from ready to its first slot */
};

/**
 * baton_tenant_stats - look at a tenant
 * @sz: sizeof(*out) as the caller knows it; what is newer is left out
 *
 * Any thread.
 */
BATON_API void baton_tenant_stats(struct baton_tenant *t, struct baton_tenant_stats *out, size_t sz);

typedef void baton_task_fn(void *arg);

struct baton_request_opts {
	size_t sz;		/* sizeof(struct baton_request_opts) */
	enum baton_class cls;
	unsigned tier;		/* for BATON_INTERNAL: from 2 on */
	uint64_t arrival;	/* 0: now; a child call passes its parent's on */
	uint64_t deadline;	/* 0: none; to be started by then, arrival + 10 ms or later */
	baton_task_fn *fn;
	void *arg;
};

/**
 * baton_submit - a tenant asks for something
 * @t: who
 * @opts: what; copied
 * @out: the request, to be ended with baton_request_put(); or NULL
 *
 * Any thread, a task too; not in a signal handler. Does not wait for quota. Requests that a thread submits for one tenant and
 * class stand in the order of the calls.
 *
 * Where another request of the tenant and class waits for a slot the call takes no lock, but for one in 32, or in 16 as long as
 * more are in flight than ever were. Critical requests take one, and so do those with an arrival or a deadline, and those of a
 * tenant with requests_max. A request that came so counts in each other call from its return on, and in figures that other processes read
 * when a thread next takes the lock: some milliseconds later at the most.
 *
 * Returns 0: opts->fn will run, unless the request ends before it has started;
 * -EDQUOT: critical, and the low-latency quota of this second is used up; or
 * the tenant has no quota that this class could ever use; -EAGAIN: as many requests of the
 * tenant are in flight as may be (requests_max); -ETIME: the deadline is past; -EINVAL: opts->sz is no header's, a class or tier
 * that there is not, no fn, or a deadline less than 10 ms after the arrival; -E2BIG: opts->sz is a newer header's, with an option
 * set that this library does not know; -ENOMEM.
 */
BATON_API int baton_submit(struct baton_tenant *t, const struct baton_request_opts *opts,
			   struct baton_request **out);

/**
 * baton_request_enter - the calling thread is a request's first task
 * @t: who asks
 * @opts: what; copied; without fn
 * @out: the request, to be ended with baton_request_put(); or NULL
 *
 * For a service that has a thread for each connection: no other thread takes
 * part. Any thread that is not a task. Waits until it has a slot; from then to
 * baton_request_leave() the thread is a task. *@out is set before it waits, so
 * that another thread may cancel the request, and is to be put where it is not
 * NULL, also after an error.
 *
 * CPU that the thread used since it last left a request of the same tenant is
 * charged as well: reading the next question and sending the last answer belong
 * to it. A thread that enters a request takes 256 bytes more until it ends.
 *
 * Returns 0; -EBUSY: the thread is a task; -EINVAL: opts->fn is set; or as
 * baton_submit() and, of what can happen before it starts, baton_request_wait().
 */
BATON_API int baton_request_enter(struct baton_tenant *t, const struct baton_request_opts *opts,
				  struct baton_request **out);

/**
 * baton_request_leave - the calling thread's task ends
 *
 * The thread that entered; it is no task any more. Waits for a slot only where
 * it has none, because it was taken away. Elsewhere nothing happens. A thread
 * that ends leaves by itself.
 *
 * Where nobody waits for a slot the thread keeps its own, unused, and has it
 * again for its next request of that tenant without a lock. It is taken away as
 * soon as somebody wants one, and after a millisecond in any case; likewise where
 * such a task calls baton_blocking_begin().
 */
BATON_API void baton_request_leave(void);

/**
 * baton_request_wait - until a request has ended
 *
 * Any thread; a task gives its slot away meanwhile.
 *
 * Returns 0: all its tasks ended; -ETIME: it was dropped because it had not
 * started by its deadline, or it was told that the deadline passed; -ECANCELED:
 * likewise, by baton_request_cancel(); -EDQUOT: critical, and its tenant's
 * quota was used up before it could start; -ENOMEM: not from a task, and no
 * memory to wait with; -EDEADLK, from a task: it has not ended, and the wait would have kept the
 * last worker (baton_task_join()).
 */
BATON_API int baton_request_wait(struct baton_request *r);

/**
 * baton_request_wait_until - likewise, and no longer than that
 * @deadline: CLOCK_MONOTONIC ns; BATON_FOREVER: none
 * @result: what baton_request_wait() would have returned, where this returns 0
 *
 * Any thread; a task gives its slot away meanwhile.
 *
 * Returns 0: it has ended; -ETIMEDOUT: not by then; -ECANCELED or -ETIME: not yet,
 * and the caller is a task whose own request was told that; -ENOMEM; -EDEADLK as above, where neither
 * @deadline nor the request's own would end the wait.
 */
BATON_API int baton_request_wait_until(struct baton_request *r, uint64_t deadline, int *result);

/**
 * baton_request_cancel - nobody wants it any more
 *
 * Any thread. If it has not started it never will. Else its tasks are told at
 * their checkpoints, and at once where they wait in a call that ends in _until; it is
 * up to them.
 */
BATON_API void baton_request_cancel(struct baton_request *r);

/**
 * baton_request_charge - CPU that was used for it elsewhere
 * @cpu: ns, as a child call's answer said
 *
 * Any thread, until the request ended; afterwards nothing happens. Charged to
 * the request's tenant as if it had been used now.
 */
BATON_API void baton_request_charge(struct baton_request *r, uint64_t cpu);

/* Why a request took so long: ns. */
struct baton_request_times {
	uint64_t cpu;		/* used, by all its tasks */
	uint64_t waited;	/* ready, without a slot */
	uint64_t throttled;	/* the part for want of quota */
	uint64_t arrival, deadline;	/* 0: no deadline */
	uint64_t budget;	/* ns that its class could use right now */
};

/**
 * baton_request_times - for the answer, the log, or a child call
 * @sz: sizeof(*out) as the caller knows it
 *
 * Any thread. arrival, deadline and budget are what a child call carries along.
 */
BATON_API void baton_request_times(struct baton_request *r, struct baton_request_times *out, size_t sz);

/**
 * baton_request_self - the request that the caller works for
 *
 * From a task; not to be put. NULL elsewhere.
 */
BATON_API struct baton_request *baton_request_self(void);

/** baton_request_put - the caller does not need the handle any more; NULL: nothing */
BATON_API void baton_request_put(struct baton_request *r);

/**
 * baton_task_spawn - one more task of the caller's request
 * @out: for baton_task_join(), which then must be called; or NULL
 *
 * From a task. The new task is charged to the same tenant, goes in the same
 * arrival order, and the request ends when all its tasks have.
 *
 * Returns 0; -EPERM: not from a task; -EINVAL: no fn; -ENOMEM.
 */
BATON_API int baton_task_spawn(struct baton_task **out, baton_task_fn *fn, void *arg);

/**
 * baton_task_join - wait until the task has ended, and free it
 *
 * From a task of the same scheduler. Returns 0; -EPERM: from elsewhere, and nothing happened;
 * -EDEADLK: it has not ended, and is still to be joined.
 *
 * A task keeps its worker while it waits. Where all workers (workers_max) are kept by tasks that wait
 * for others, by this call, baton_request_wait() or baton_mutex_lock(), and a task can have no worker for
 * that reason, none of them would ever go on: the newest wait for a task or a request gets -EDEADLK, and
 * its task's end makes a worker free. What a thread that is no task may end (a semaphore, a channel, a condition) is no
 * such wait, nor is one with a deadline: while a task waits so, the others wait on.
 */
BATON_API int baton_task_join(struct baton_task *t);

/**
 * baton_task_join_until - likewise, and no longer than that
 * @deadline: CLOCK_MONOTONIC ns; BATON_FOREVER: none
 *
 * Returns 0: it has ended and is freed; else it is still to be joined: -ETIMEDOUT: it had
 * not ended by then; -ECANCELED or -ETIME: not yet, and the caller's request was told
 * that; -EPERM: not from a task of the same scheduler; -EDEADLK: as above, without a deadline.
 */
BATON_API int baton_task_join_until(struct baton_task *t, uint64_t deadline);

/**
 * baton_checkpoint - a place where the task can be stopped
 *
 * From a task; elsewhere it does nothing. A few ns when nothing is due. Else
 * the task may lose its slot here and wait for one.
 *
 * Returns 0; -ETIME or -ECANCELED, from then on at each checkpoint: the
 * request's deadline passed, or it was cancelled.
 */
BATON_API int baton_checkpoint(void);

/**
 * baton_sleep_until - without a slot
 * @deadline: CLOCK_MONOTONIC ns
 *
 * From a task. Returns as baton_checkpoint(); and at once where no call of the task has
 * returned that yet.
 */
BATON_API int baton_sleep_until(uint64_t deadline);

/**
 * baton_blocking_begin, baton_blocking_end - around a call that may block
 *
 * From a task; elsewhere nothing. The slot goes to somebody else at once; end
 * waits for one. CPU used in between is charged, too. No other call of this
 * library by this task in between but resume, unlock and the like.
 */
BATON_API void baton_blocking_begin(void);
BATON_API void baton_blocking_end(void);

BATON_END_DECLS

#endif
