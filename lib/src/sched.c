// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The scheduler with real threads: it drives core.c under one lock.
 *
 * A worker that loses its slot, by a checkpoint, by blocking or because its
 * task ended, asks the core for the next task of that slot itself and switches
 * to that task's worker; there is no scheduler thread in between:
 *
 *	A (has the slot)			B (parked)
 *	lock
 *	core: A stops, B is picked
 *	B.slot = A.slot
 *	unlock
 *	switch_to(B)				returns from its own switch_to
 *
 * Between unlock and switch_to, C may make A ready and give it another slot:
 * it sets A.slot and resumes A, and A's switch_to then lets B go and returns at
 * once, because A's permit is there. A worker reads its own slot, task and
 * until only after it was resumed, or with the lock held.
 *
 * [SCHED-1] flag: whoever wants a worker to stop sets a bit; the worker reads
 * it at each checkpoint. What it does then it does with the lock, so the bit
 * orders nothing. Nor does `locking`, by which a worker says that it is about
 * to take the lock: the monitor, which holds it, does not mistake that for
 * sleeping, and if it sees it late no more than a slot is lost.
 */
#include "sched_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "inject.h"

#define PPM		1000000ULL
/* By how much a grant is overrun before the monitor looks. */
#define GRACE_NS	200000
/*
 * A task that used so much CPU after it was told to stop loses its slot without
 * being asked; and one that sleeps in the kernel for so long. One that only
 * waits for the kernel to run it keeps it: another would not run any sooner.
 */
#define RESCUE_NS	1000000
/* The monitor, while somebody waits for a slot, and while nobody does. */
#define TICK_NS		500000
#define TICK_QUIET_NS	2000000
/* Run times from here on are settled with the thread's CPU clock. */
#define SETTLE_NS	500000
#define SETTLE_END_NS	50000
#define RETRY_NS	100000000

struct baton_tenant {
	struct btn_tenant *core;
	struct baton_sched *s;
	struct baton_tenant *next, **prev;
};

struct waiter {
	struct baton_task *task;
	struct baton_parker *parker;
	struct waiter *next;
};

struct baton_request {
	struct btn_request core;
	struct baton_task first;
	struct baton_sched *s;
	struct baton_tenant *tenant;
	struct waiter *waiters;
	unsigned refs;			/* the handle, and being in flight */
	bool done;
	int result;
};

struct baton_sched {
	pthread_mutex_t lock;
	struct btn_core core;
	struct btn_worker **on;		/* by slot */
	uint64_t *poked_at;		/* by slot; 0: not */
	uint64_t *cpu_at;		/* by slot: its task's CPU, soon after that; 0: not yet */
	struct btn_worker *idle, *dead, *away;
	unsigned n_idle, keep, born, max, requests;
	struct btn_heap sleeps;
	struct baton_tenant *tenants;
	struct baton_parker *monitor_parker;
	pthread_t monitor;
	uint64_t monitor_due, retry_at;
	uint64_t now;			/* when the lock was taken */
	size_t stack_size;
	bool stopping;
};

static __thread struct btn_worker *self __attribute__((tls_model("initial-exec")));

struct baton_task *btn_sched_self(void)
{
	return self ? self->task : NULL;
}

static struct baton_task *task_of(struct btn_task *t)
{
	return btn_container(t, struct baton_task, core);
}

static struct baton_request *request_of(struct btn_request *r)
{
	return btn_container(r, struct baton_request, core);
}

/* ------------------------------------------------------------ accounting */

static uint64_t cpu_of(const struct btn_worker *w)
{
	struct timespec ts;

	if (clock_gettime(w == self ? CLOCK_THREAD_CPUTIME_ID : w->cpu_clock, &ts))
		return w->cpu_mark;
	return ts.tv_sec * BTN_NSEC_PER_SEC + ts.tv_nsec;
}

/*
 * What w used since it was last asked. By the clock, which is cheap and knows
 * nothing of what the kernel gave to others meanwhile; after `settle` ns of
 * that by the thread's CPU clock, and what was charged too much or too little
 * since the last time is made up for.
 */
static uint64_t account(struct btn_worker *w, uint64_t now, uint64_t settle)
{
	uint64_t wall = now > w->since ? now - w->since : 0, cpu, real;

	w->since = now;
	if (w->charged + wall < settle) {
		w->charged += wall;
		return wall;
	}
	cpu = cpu_of(w);
	real = cpu - w->cpu_mark;
	w->cpu_mark = cpu;
	/* Charged already, of that: all but this last bit of wall time. */
	w->credit += w->charged;
	w->charged = 0;
	if (real < w->credit) {
		w->credit -= real;
		return 0;
	}
	real -= w->credit;
	w->credit = 0;
	return real;
}

/* ------------------------------------------------------- slots and workers */

static void push_wake(struct btn_wakes *wakes, struct btn_worker *w)
{
	w->next = wakes->first;
	wakes->first = w;
}

static struct btn_worker *worker_new(struct baton_sched *s)
{
	struct btn_worker *w = aligned_alloc(BTN_CACHELINE, sizeof(*w));

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->s = s;
	w->slot = -1;
	if (BTN_FAIL("sched:worker") || baton_parker_create(&w->parker)) {
		free(w);
		return NULL;
	}
	return w;
}

static void worker_free(struct btn_worker *w)
{
	baton_parker_destroy(w->parker);
	free(w);
}

/* The slot's task can have no worker: it waits until one is free. */
static void give_back(struct baton_sched *s, uint64_t now, unsigned slot)
{
	struct btn_task *t = s->core.run[slot].task;

	t->ran = false;
	task_of(t)->worker = NULL;
	s->on[slot] = NULL;
	/* Whatever was thought to be possible is not, for now. */
	s->core.workers = s->n_idle;
	s->retry_at = now + RETRY_NS;
	btn_core_stop(&s->core, now, slot, 0, BTN_STOP_YIELD);
}

/* The worker of the task that was picked for this slot. */
static struct btn_worker *assign(struct baton_sched *s, uint64_t now, unsigned slot)
{
	struct btn_run *run = &s->core.run[slot];
	struct baton_task *t = task_of(run->task);
	struct btn_worker *w = t->worker;

	if (!w) {
		w = s->idle;
		if (w) {
			s->idle = w->next;
			s->n_idle--;
		} else {
			w = worker_new(s);
			if (!w) {
				give_back(s, now, slot);
				return NULL;
			}
			s->born++;
		}
		w->task = t;
		t->worker = w;
	}
	w->slot = slot;
	w->since = now;
	w->until = now + run->length;
	w->looked = now;
	w->quiet = w->reload = 1;
	w->told = run->task->req->told;
	s->on[slot] = w;
	s->poked_at[slot] = s->cpu_at[slot] = 0;
	/* Nobody sets it but with the lock. */
	atomic_store_explicit(&w->flag, w->told ? BTN_FLAG_TOLD : 0, memory_order_relaxed); /* [SCHED-1] */
	return w;
}

static void tenant_free(struct baton_tenant *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	btn_core_tenant_free(&t->s->core, t->core);
	free(t);
}

static void request_done(struct baton_request *r, struct btn_wakes *wakes)
{
	struct baton_sched *s = r->s;
	struct waiter *w, *next;

	r->done = true;
	r->result = r->core.result;
	for (w = r->waiters; w; w = next) {
		next = w->next;
		if (w->task)
			btn_sched_ready_locked(w->task);
		else
			baton_parker_resume(w->parker);
	}
	r->waiters = NULL;
	if (r->tenant->core->leaving && !r->tenant->core->requests)
		tenant_free(r->tenant);
	r->tenant = NULL;
	s->requests--;
	if (!--r->refs) {
		/* Not now: its first task may be the one that ends. */
		r->waiters = (struct waiter *)wakes->dead;
		wakes->dead = r;
	}
}

static uint64_t first_of(const struct btn_heap *h, uint64_t other)
{
	return h->top && h->top->key < other ? h->top->key : other;
}

/* When the monitor has something to do. */
static uint64_t next_due(struct baton_sched *s, uint64_t now)
{
	struct btn_core *c = &s->core;
	uint64_t due = btn_core_next(c, now), end;
	bool waits;
	unsigned i;

	due = first_of(&s->sleeps, due);
	if (s->retry_at && s->retry_at < due)
		due = s->retry_at;
	if (c->n_idle == c->slots)
		return due;
	waits = btn_core_waits(c, now);
	for (i = 0; i < c->slots; i++) {
		if (!c->run[i].task)
			continue;
		end = now + (waits ? TICK_NS : TICK_QUIET_NS);
		if (end < due)
			due = end;
		end = s->on[i]->until + GRACE_NS;
		if (end > now && end < due)
			due = end;
	}
	return due;
}

static void settle_down(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes)
{
	struct btn_core *c = &s->core;
	struct btn_request *r;
	struct btn_worker *w;
	uint64_t due;
	int slot;

	for (;;) {
		while ((r = btn_core_done(c)))
			request_done(request_of(r), wakes);
		slot = btn_core_idle(c);
		if (slot < 0 || !btn_core_pick(c, now, slot)) {
			if (c->done)
				continue;
			break;
		}
		w = assign(s, now, slot);
		if (w)
			push_wake(wakes, w);
	}
	while ((slot = btn_core_poke(c)) >= 0) {
		if (!c->run[slot].task)
			continue;
		s->poked_at[slot] = now;
		atomic_fetch_or_explicit(&s->on[slot]->flag, BTN_FLAG_STOP, memory_order_relaxed); /* [SCHED-1] */
	}
	/* While slots are in use it comes by itself, often. */
	due = first_of(&c->releases, first_of(&c->deadlines, first_of(&s->sleeps, BTN_NEVER)));
	if (c->n_idle < c->slots && now + TICK_QUIET_NS < due)
		due = now + TICK_QUIET_NS;
	if (due < s->monitor_due && s->monitor_due - due > TICK_NS / 4) {
		s->monitor_due = due;
		wakes->monitor = true;
	}
}

static void *worker_main(void *arg);

/* The lock is not held. */
static void let_go(struct baton_sched *s, struct btn_worker *w)
{
	struct btn_wakes wakes = { 0 };
	pthread_attr_t attr;
	uint64_t now;
	int err;

	if (w->born) {
		baton_parker_resume(w->parker);
		return;
	}
	w->born = true;
	err = BTN_FAIL("sched:thread") ? EAGAIN : pthread_attr_init(&attr);
	if (!err) {
		pthread_attr_setstacksize(&attr, s->stack_size);
		err = pthread_create(&w->thread, &attr, worker_main, w);
		pthread_attr_destroy(&attr);
	}
	if (!err)
		return;
	btn_sched_lock(s);
	now = s->now;
	s->born--;
	give_back(s, now, w->slot);
	worker_free(w);
	btn_sched_unlock(s, &wakes);
}

static void wake_all(struct baton_sched *s, struct btn_wakes *wakes)
{
	struct btn_worker *w, *next;
	struct baton_request *r;

	while ((r = wakes->dead)) {
		wakes->dead = (struct baton_request *)r->waiters;
		free(r);
	}
	for (w = wakes->first; w; w = next) {
		next = w->next;
		let_go(s, w);
	}
	if (wakes->monitor)
		baton_parker_resume(s->monitor_parker);
}

void btn_sched_lock(struct baton_sched *s)
{
	if (self)
		atomic_store_explicit(&self->locking, true, memory_order_relaxed); /* [SCHED-1] */
	pthread_mutex_lock(&s->lock);
	if (self)
		atomic_store_explicit(&self->locking, false, memory_order_relaxed); /* [SCHED-1] */
	s->now = btn_clock_now();
}

void btn_sched_unlock(struct baton_sched *s, struct btn_wakes *wakes)
{
	settle_down(s, s->now, wakes);
	pthread_mutex_unlock(&s->lock);
	wake_all(s, wakes);
}

void btn_sched_ready_locked(struct baton_task *t)
{
	btn_core_ready(&t->s->core, t->s->now, &t->core);
}

void btn_sched_want_locked(struct baton_task *t, int by)
{
	t->wanted += by;
	btn_core_urge(&t->s->core, t->s->now, &t->core, t->wanted > 0);
}

/*
 * The slot's last task stopped: its next one. Gives up the lock. Parks w,
 * unless it is w's own turn again, or `leaves`: then the thread is about to end.
 */
static void hand_over(struct btn_worker *w, uint64_t now, unsigned slot, bool leaves)
{
	struct baton_sched *s = w->s;
	struct baton_parker *parker = w->parker;
	struct btn_worker *next = NULL;
	struct btn_wakes wakes = { 0 };

	if (btn_core_pick(&s->core, now, slot))
		next = assign(s, now, slot);
	settle_down(s, now, &wakes);
	pthread_mutex_unlock(&s->lock);
	wake_all(s, &wakes);
	if (next == w)
		return;
	if (next && (leaves || !next->born)) {
		let_go(s, next);
		next = NULL;
	}
	if (leaves)
		return;
	if (next)
		baton_parker_switch_to(parker, next->parker, BATON_FOREVER);
	else
		baton_parker_block(parker, BATON_FOREVER);
}

static void leave_slot(struct btn_worker *w, enum btn_stop why)
{
	uint64_t now = w->s->now;
	unsigned slot = w->slot;

	w->slot = -1;
	btn_core_stop(&w->s->core, now, slot, account(w, now, SETTLE_NS), why);
	hand_over(w, now, slot, false);
}

static void end_away(struct btn_worker *w, uint64_t now)
{
	btn_core_charge(&w->s->core, now, &w->task->req->core, account(w, now, 0));
	if (w->away) {
		w->away = false;
		*w->prev_away = w->next_away;
		if (w->next_away)
			w->next_away->prev_away = w->prev_away;
	}
}

/* It runs without a slot; the lock is held, and is not afterwards. */
static void come_back(struct btn_worker *w)
{
	struct btn_wakes wakes = { 0 };

	end_away(w, w->s->now);
	btn_sched_ready_locked(w->task);
	btn_sched_unlock(w->s, &wakes);
	baton_parker_block(w->parker, BATON_FOREVER);
	if (w->demoted) {
		struct sched_param p = { 0 };

		/* Where it may. Else it stays what it is until its task ends. */
		w->demoted = sched_setscheduler(0, SCHED_OTHER, &p) != 0;
	}
}

void btn_sched_wait(struct baton_task *t)
{
	struct btn_worker *w = t->worker;

	/* One whose slot was taken has none to give away. */
	if (w->slot < 0) {
		struct btn_wakes wakes = { 0 };

		end_away(w, w->s->now);
		btn_sched_unlock(w->s, &wakes);
		baton_parker_block(w->parker, BATON_FOREVER);
		return;
	}
	leave_slot(w, BTN_STOP_BLOCK);
}

/* ------------------------------------------------------------- the worker */

/* The task's function returned, or its thread ends. False: so does the thread. */
static bool task_end(struct btn_worker *w, bool leaves)
{
	struct baton_sched *s = w->s;
	struct baton_task *t = w->task;
	bool heap = t->heap && !t->joinable;
	unsigned slot;
	uint64_t now;

	btn_sched_lock(s);
	if (w->slot < 0) {
		come_back(w);
		btn_sched_lock(s);
	}
	now = s->now;
	slot = w->slot;
	w->slot = -1;
	w->task = NULL;
	t->ended = true;
	if (t->joiner)
		btn_sched_ready_locked(t->joiner);
	btn_core_stop(&s->core, now, slot, account(w, now, SETTLE_END_NS), BTN_STOP_END);
	s->on[slot] = NULL;
	if (w->demoted || (s->n_idle >= s->keep && !s->core.starved.top))
		leaves = true;
	if (leaves) {
		w->retired = true;
		w->next = s->dead;
		s->dead = w;
		s->born--;
	} else {
		w->next = s->idle;
		s->idle = w;
		s->n_idle++;
	}
	btn_core_worker(&s->core, now);
	if (heap)
		free(t);
	hand_over(w, now, slot, leaves);
	return !leaves;
}

static void thread_ends(void *arg)
{
	task_end(arg, true);
}

static void *worker_main(void *arg)
{
	struct btn_worker *w = arg;

	self = w;
	pthread_mutex_lock(&w->s->lock);
	w->tid = gettid();
	pthread_getcpuclockid(pthread_self(), &w->cpu_clock);
	pthread_mutex_unlock(&w->s->lock);
	for (;;) {
		struct baton_task *t = w->task;

		pthread_cleanup_push(thread_ends, w);
		t->fn(t->arg);
		pthread_cleanup_pop(0);
		if (!task_end(w, false) || !w->task)
			break;
	}
	return NULL;
}

/* ------------------------------------------------------------ the monitor */

/* The task in this slot does not stop: its slot is somebody else's from now. */
static void rescue(struct baton_sched *s, uint64_t now, unsigned slot, bool demote)
{
	struct btn_worker *w = s->on[slot];
	uint64_t cpu = account(w, now, 0);

	w->slot = -1;
	w->away = true;
	w->next_away = s->away;
	w->prev_away = &s->away;
	if (s->away)
		s->away->prev_away = &w->next_away;
	s->away = w;
	s->on[slot] = NULL;
	btn_core_stop(&s->core, now, slot, cpu, BTN_STOP_BLOCK);
	if (demote && !w->demoted) {
		struct sched_param p = { 0 };

		w->demoted = sched_setscheduler(w->tid, SCHED_IDLE, &p) == 0;
	}
}

/* Not running and not waiting for a CPU either, as far as /proc knows. */
static bool sleeps(const struct btn_worker *w)
{
	char name[64], stat[512], *p;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", (int)w->tid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	if (n <= 0)
		return false;
	stat[n] = 0;
	p = strrchr(stat, ')');
	return p && p[1] && p[2] != 'R';
}

static void look_at_slots(struct baton_sched *s, uint64_t now)
{
	struct btn_core *c = &s->core;
	struct btn_worker *w;
	uint64_t cpu;
	unsigned i;

	for (i = 0; i < c->slots; i++) {
		if (!c->run[i].task)
			continue;
		w = s->on[i];
		if (!s->poked_at[i] && now >= w->until + GRACE_NS) {
			s->poked_at[i] = w->until;
			atomic_fetch_or_explicit(&w->flag, BTN_FLAG_STOP, memory_order_relaxed); /* [SCHED-1] */
		}
		if (!s->poked_at[i] || !w->tid || !btn_core_waits(c, now))
			continue;
		cpu = cpu_of(w);
		if (!s->cpu_at[i])
			s->cpu_at[i] = cpu;
		else if (atomic_load_explicit(&w->locking, memory_order_relaxed)) /* [SCHED-1] */
			continue;	/* it is about to */
		else if (cpu - s->cpu_at[i] >= RESCUE_NS - TICK_NS)
			rescue(s, now, i, true);
		else if (now >= s->poked_at[i] + RESCUE_NS && cpu == s->cpu_at[i] && sleeps(w))
			rescue(s, now, i, false);
	}
	for (w = s->away; w; w = w->next_away)
		btn_core_charge(c, now, &w->task->req->core, account(w, now, 0));
}

static void *monitor_main(void *arg)
{
	struct baton_sched *s = arg;
	struct btn_worker *dead, *next;
	struct btn_wakes wakes;
	struct baton_task *t;
	uint64_t now;

	prctl(PR_SET_TIMERSLACK, 1);
	for (;;) {
		btn_sched_lock(s);
		now = s->now;
		memset(&wakes, 0, sizeof(wakes));
		btn_core_tick(&s->core, now);
		while (s->sleeps.top && s->sleeps.top->key <= now) {
			t = btn_container(s->sleeps.top, struct baton_task, sleep);
			btn_heap_del(&s->sleeps, &t->sleep);
			btn_core_ready(&s->core, now, &t->core);
		}
		if (s->retry_at && now >= s->retry_at) {
			s->retry_at = 0;
			if (!s->core.workers && s->born < s->max)
				btn_core_worker(&s->core, now);
		}
		look_at_slots(s, now);
		s->monitor_due = now;
		settle_down(s, now, &wakes);
		s->monitor_due = next_due(s, now);
		if (s->monitor_due < now + TICK_NS / 8)
			s->monitor_due = now + TICK_NS / 8;
		if (s->stopping)
			s->monitor_due = 0;
		dead = s->dead;
		s->dead = NULL;
		now = s->monitor_due;
		pthread_mutex_unlock(&s->lock);
		wake_all(s, &wakes);
		for (; dead; dead = next) {
			next = dead->next;
			pthread_join(dead->thread, NULL);
			worker_free(dead);
		}
		if (!now)
			return NULL;
		baton_parker_block(s->monitor_parker, now);
	}
}

/* ------------------------------------------------------------- the public */

static unsigned cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
}

static int read_tiers(const struct baton_sched_opts *o, struct btn_tier_setup *to, uint64_t capacity)
{
	static const struct baton_tier_opts two[2] = { { .rank = 0 }, { .rank = 1 } };
	const struct baton_tier_opts *from = o->tiers ? o->tier : two;
	unsigned i, n = o->tiers ? o->tiers : 2;

	if (n < 2 || n > BTN_TIERS_MAX || !from)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		to[i].policy = btn_policy_find(from[i].policy ? from[i].policy : "quota");
		if (!to[i].policy || from[i].rank >= BTN_TIERS_MAX || from[i].reserve_ppm > PPM ||
		    from[i].limit_ppm > PPM)
			return -EINVAL;
		to[i].rank = from[i].rank;
		to[i].share = from[i].share ? from[i].share : 1;
		to[i].reserve = capacity / PPM * from[i].reserve_ppm;
		to[i].limit = capacity / PPM * from[i].limit_ppm;
	}
	return n;
}

int baton_sched_create(struct baton_sched **out, const struct baton_sched_opts *opts)
{
	struct baton_sched_opts o = { 0 };
	struct btn_tier_setup tiers[BTN_TIERS_MAX] = { 0 };
	struct baton_sched *s;
	uint64_t capacity;
	unsigned slots;
	int err, n;

	*out = NULL;
	if (opts && opts->sz != sizeof(o))
		return -EINVAL;
	if (opts)
		o = *opts;
	slots = o.slots ? o.slots : cpus();
	capacity = slots * BTN_SECOND;
	if (!o.low_limit_ppm)
		o.low_limit_ppm = 700000;
	if (o.low_limit_ppm > 700000 || slots > 4096)
		return -EINVAL;
	n = read_tiers(&o, tiers, capacity);
	if (n < 0)
		return n;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	err = btn_core_init(&s->core, slots, tiers, n, capacity / PPM * o.low_limit_ppm);
	if (err)
		goto no_core;
	err = -ENOMEM;
	s->on = calloc(slots, sizeof(*s->on) + sizeof(*s->poked_at) + sizeof(*s->cpu_at));
	if (!s->on)
		goto no_on;
	s->poked_at = (uint64_t *)(s->on + slots);
	s->cpu_at = s->poked_at + slots;
	err = baton_parker_create(&s->monitor_parker);
	if (err)
		goto no_parker;
	pthread_mutex_init(&s->lock, NULL);
	s->max = o.workers_max ? o.workers_max : 16384;
	s->keep = o.workers_keep ? o.workers_keep : 64;
	s->stack_size = o.stack_size ? o.stack_size : 256 << 10;
	if (s->stack_size < (size_t)PTHREAD_STACK_MIN)
		s->stack_size = PTHREAD_STACK_MIN;
	s->core.workers = s->max;
	err = -pthread_create(&s->monitor, NULL, monitor_main, s);
	if (err)
		goto no_thread;
	*out = s;
	return 0;

no_thread:
	pthread_mutex_destroy(&s->lock);
	baton_parker_destroy(s->monitor_parker);
no_parker:
	free(s->on);
no_on:
	btn_core_fini(&s->core);
no_core:
	free(s);
	return err;
}

int baton_sched_destroy(struct baton_sched *s)
{
	struct btn_worker *w, *next, *dead;

	if (!s)
		return 0;
	btn_sched_lock(s);
	if (s->requests) {
		pthread_mutex_unlock(&s->lock);
		return -EBUSY;
	}
	s->stopping = true;
	w = s->idle;
	s->idle = NULL;
	pthread_mutex_unlock(&s->lock);
	baton_parker_resume(s->monitor_parker);
	pthread_join(s->monitor, NULL);
	/* They find no task, and end. */
	for (next = w; next; next = next->next)
		baton_parker_resume(next->parker);
	/* A worker whose last task ended may not be idle or dead yet. */
	dead = s->dead;
	for (; w; w = next) {
		next = w->next;
		pthread_join(w->thread, NULL);
		worker_free(w);
	}
	for (; dead; dead = next) {
		next = dead->next;
		pthread_join(dead->thread, NULL);
		worker_free(dead);
	}
	while (s->tenants)
		tenant_free(s->tenants);
	pthread_mutex_destroy(&s->lock);
	baton_parker_destroy(s->monitor_parker);
	btn_core_fini(&s->core);
	free(s->on);
	free(s);
	return 0;
}

static uint64_t part(const struct baton_sched *s, unsigned ppm)
{
	return s->core.capacity / PPM * ppm;
}

int baton_tenant_add(struct baton_sched *s, struct baton_tenant **out, const struct baton_tenant_opts *opts)
{
	struct baton_tenant *t;
	int err;

	*out = NULL;
	if (opts->sz != sizeof(*opts))
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->s = s;
	btn_sched_lock(s);
	err = btn_core_tenant(&s->core, &t->core, part(s, opts->low_ppm), part(s, opts->high_ppm), s->now);
	if (!err) {
		t->prev = &s->tenants;
		t->next = s->tenants;
		if (t->next)
			t->next->prev = &t->next;
		s->tenants = t;
	}
	pthread_mutex_unlock(&s->lock);
	if (err)
		free(t);
	else
		*out = t;
	return err;
}

int baton_tenant_set(struct baton_tenant *t, const struct baton_tenant_opts *opts)
{
	struct baton_sched *s = t->s;
	struct btn_wakes wakes = { 0 };
	int err;

	if (opts->sz != sizeof(*opts))
		return -EINVAL;
	btn_sched_lock(s);
	err = btn_core_tenant_set(&s->core, t->core, part(s, opts->low_ppm), part(s, opts->high_ppm),
				  s->now);
	btn_sched_unlock(s, &wakes);
	return err;
}

void baton_tenant_remove(struct baton_tenant *t)
{
	struct baton_sched *s = t->s;

	btn_sched_lock(s);
	t->core->leaving = true;
	if (!t->core->requests)
		tenant_free(t);
	pthread_mutex_unlock(&s->lock);
}

void baton_tenant_stats(struct baton_tenant *t, struct baton_tenant_stats *out, size_t sz)
{
	struct btn_tenant_stats *from = &t->core->stats;
	struct baton_tenant_stats st = { 0 };
	struct baton_sched *s = t->s;
	uint64_t now;
	unsigned i;

	btn_sched_lock(s);
	now = s->now;
	st.admitted = from->admitted;
	st.rejected = from->rejected;
	st.dropped = from->dropped;
	st.finished = from->finished;
	for (i = 0; i < BTN_TIERS_MAX; i++)
		st.cpu[i] = from->cpu[i];
	st.low_left = btn_account_left(&t->core->acct[BTN_LOW], now);
	st.high_left = btn_account_left(&t->core->acct[BTN_HIGH], now);
	st.throttled = from->held;
	st.overrun_worst = from->overrun;
	st.wait_p50 = btn_hist_quantile(&from->wait, 0.5);
	st.wait_p99 = btn_hist_quantile(&from->wait, 0.99);
	st.wait_p999 = btn_hist_quantile(&from->wait, 0.999);
	pthread_mutex_unlock(&s->lock);
	memcpy(out, &st, sz < sizeof(st) ? sz : sizeof(st));
}

int baton_submit(struct baton_tenant *t, const struct baton_request_opts *opts, struct baton_request **out)
{
	struct baton_sched *s = t->s;
	struct btn_wakes wakes = { 0 };
	struct baton_request *r;
	uint64_t now;
	int err;

	if (out)
		*out = NULL;
	if (opts->sz != sizeof(*opts) || !opts->fn || (unsigned)opts->cls > BATON_INTERNAL ||
	    (opts->cls == BATON_INTERNAL && (opts->tier < 2 || opts->tier >= s->core.tiers)))
		return -EINVAL;
	r = BTN_FAIL("sched:request") ? NULL : calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->s = s;
	r->tenant = t;
	r->core.tenant = t->core;
	r->core.class = (uint8_t)opts->cls;
	r->core.tier = opts->tier;
	r->core.deadline = opts->deadline ? opts->deadline : BTN_NEVER;
	r->first.s = s;
	r->first.req = r;
	r->first.fn = opts->fn;
	r->first.arg = opts->arg;
	r->refs = out ? 2 : 1;
	btn_sched_lock(s);
	now = s->now;
	r->core.info.arrival = opts->arrival && opts->arrival < now ? opts->arrival : now;
	err = btn_core_submit(&s->core, now, &r->core, &r->first.core);
	if (!err)
		s->requests++;
	if (!err && out)
		*out = r;
	btn_sched_unlock(s, &wakes);
	if (err)
		free(r);
	return err;
}

int baton_request_wait(struct baton_request *r)
{
	struct baton_sched *s = r->s;
	struct waiter me = { 0 };
	bool task = self && self->s == s;
	int err;

	if (!task) {
		err = baton_parker_create(&me.parker);
		if (err)
			return err;
	}
	btn_sched_lock(s);
	if (!r->done) {
		me.next = r->waiters;
		r->waiters = &me;
		if (task) {
			me.task = self->task;
			btn_sched_wait(me.task);
		} else {
			pthread_mutex_unlock(&s->lock);
			baton_parker_block(me.parker, BATON_FOREVER);
		}
		btn_sched_lock(s);
	}
	err = r->result;
	pthread_mutex_unlock(&s->lock);
	baton_parker_destroy(me.parker);
	return err;
}

void baton_request_cancel(struct baton_request *r)
{
	struct baton_sched *s = r->s;
	struct btn_wakes wakes = { 0 };

	btn_sched_lock(s);
	if (!r->done)
		btn_core_cancel(&s->core, s->now, &r->core, -ECANCELED);
	btn_sched_unlock(s, &wakes);
}

void baton_request_charge(struct baton_request *r, uint64_t cpu)
{
	struct baton_sched *s = r->s;

	btn_sched_lock(s);
	if (!r->done)
		btn_core_charge(&s->core, s->now, &r->core, cpu);
	pthread_mutex_unlock(&s->lock);
}

void baton_request_times(struct baton_request *r, struct baton_request_times *out, size_t sz)
{
	struct baton_sched *s = r->s;
	struct baton_request_times t = { 0 };
	uint64_t now;

	btn_sched_lock(s);
	now = s->now;
	t.cpu = r->core.cpu;
	t.waited = r->core.waited;
	t.throttled = r->core.held;
	t.arrival = r->core.info.arrival;
	t.deadline = r->core.deadline == BTN_NEVER ? 0 : r->core.deadline;
	if (!r->done && r->core.class != BTN_BATCH && r->core.class != BTN_INTERNAL)
		t.budget += btn_account_left(&r->core.tenant->acct[BTN_LOW], now);
	if (!r->done && (r->core.class == BTN_BATCH || r->core.class == BTN_TOLERANT))
		t.budget += btn_account_left(&r->core.tenant->acct[BTN_HIGH], now);
	pthread_mutex_unlock(&s->lock);
	memcpy(out, &t, sz < sizeof(t) ? sz : sizeof(t));
}

struct baton_request *baton_request_self(void)
{
	return self ? self->task->req : NULL;
}

void baton_request_put(struct baton_request *r)
{
	struct baton_sched *s;
	bool last;

	if (!r)
		return;
	s = r->s;
	btn_sched_lock(s);
	last = !--r->refs;
	pthread_mutex_unlock(&s->lock);
	if (last)
		free(r);
}

int baton_task_spawn(struct baton_task **out, baton_task_fn *fn, void *arg)
{
	struct btn_wakes wakes = { 0 };
	struct baton_sched *s;
	struct baton_task *t;

	if (out)
		*out = NULL;
	if (!self)
		return -EPERM;
	if (!fn)
		return -EINVAL;
	t = BTN_FAIL("sched:task") ? NULL : calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	s = self->s;
	t->s = s;
	t->req = self->task->req;
	t->fn = fn;
	t->arg = arg;
	t->heap = true;
	t->joinable = out != NULL;
	if (out)
		*out = t;
	btn_sched_lock(s);
	btn_core_spawn(&s->core, s->now, &t->req->core, &t->core);
	btn_sched_unlock(s, &wakes);
	return 0;
}

void baton_task_join(struct baton_task *t)
{
	struct baton_sched *s = t->s;

	btn_sched_lock(s);
	if (!t->ended) {
		t->joiner = self->task;
		btn_sched_wait(t->joiner);
		btn_sched_lock(s);
	}
	pthread_mutex_unlock(&s->lock);
	free(t);
}

static __attribute__((noinline)) int look(struct btn_worker *w)
{
	uint64_t now = btn_clock_now(), gap;
	int64_t left;

	/* [SCHED-1] */
	if (!(atomic_load_explicit(&w->flag, memory_order_relaxed) & BTN_FLAG_STOP) && /* [SCHED-1] */
	    now < w->until) {
		/* Look again about half way from here, as fast as it was so far. */
		gap = (now - w->looked) / w->reload;
		left = (w->until - now) / 2 / (gap ? gap : 1);
		w->looked = now;
		w->quiet = w->reload = left < 1 ? 1 : left > 4096 ? 4096 : left;
		return w->told;
	}
	btn_sched_lock(w->s);
	if (w->slot < 0)
		come_back(w);
	else
		leave_slot(w, BTN_STOP_YIELD);
	return w->told;
}

int baton_checkpoint(void)
{
	struct btn_worker *w = self;

	if (btn_unlikely(!w))
		return 0;
	if (btn_likely(--w->quiet > 0 &&
		       !atomic_load_explicit(&w->flag, memory_order_relaxed))) /* [SCHED-1] */
		return 0;
	return look(w);
}

int baton_sleep_until(uint64_t deadline)
{
	struct btn_worker *w = self;
	struct baton_task *t;

	if (!w)
		return 0;
	t = w->task;
	btn_sched_lock(w->s);
	t->sleep.key = deadline;
	btn_heap_add(&w->s->sleeps, &t->sleep);
	btn_sched_wait(t);
	return w->told;
}

void baton_blocking_begin(void)
{
	struct btn_worker *w = self;
	struct btn_wakes wakes = { 0 };
	uint64_t now;
	unsigned slot;

	if (!w)
		return;
	btn_sched_lock(w->s);
	now = w->s->now;
	if (w->slot >= 0) {
		slot = w->slot;
		w->slot = -1;
		btn_core_stop(&w->s->core, now, slot, account(w, now, SETTLE_NS), BTN_STOP_BLOCK);
	}
	btn_sched_unlock(w->s, &wakes);
}

void baton_blocking_end(void)
{
	if (!self)
		return;
	btn_sched_lock(self->s);
	come_back(self);
}
