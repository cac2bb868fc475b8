// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Workers: the threads that run tasks. A pool that grows on demand; what a
 * worker does when it gets a slot, loses it, or its task ends.
 */
#include "sched_int.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "die.h"
#include "inject.h"

/* Run times from here on are settled with the thread's CPU clock. */
#define SETTLE_NS	500000
#define SETTLE_END_NS	200000
#define SETTLE_MIN_NS	20000
#define RETRY_NS	100000000
/* At a time. */
#define WORKERS		63

__thread struct btn_worker *btn_self;

struct baton_task *btn_sched_self(void)
{
	return btn_self ? btn_self->task : NULL;
}

uint64_t btn_worker_cpu(const struct btn_worker *w)
{
	struct timespec ts;

	/* It sleeps, and the kernel wrote down what it had used. That is memory anybody here can spoil. */
	if (w != btn_self && w->cell && (btn_cell_blocked(w->cell) || (w->taken && w->slot >= 0))) {
		uint64_t cpu = btn_cell_cpu(w->cell);

		return cpu > w->meter.mark ? cpu : w->meter.mark;
	}
	if (clock_gettime(w == btn_self ? CLOCK_THREAD_CPUTIME_ID : w->cpu_clock, &ts))
		return w->meter.mark;
	return ts.tv_sec * BTN_NSEC_PER_SEC + ts.tv_nsec;
}

uint64_t btn_worker_account(struct btn_worker *w, uint64_t now, uint64_t settle)
{
	struct btn_core *c = &w->s->core;
	const struct btn_run *run = w->slot < 0 ? NULL : &c->run[w->slot];
	uint64_t cpu, back, mark_at = w->meter.mark_at;

	/* What is wrong in between is at most a thousandth of what its tenant has in a second. */
	if (run && run->acct && run->acct->quota >> 10 < settle)
		settle = run->acct->quota >> 10 > SETTLE_MIN_NS ? run->acct->quota >> 10 : SETTLE_MIN_NS;
	if (btn_meter_run(&w->meter, now, settle, &cpu))
		return cpu;
	cpu = btn_meter_settle(&w->meter, now, btn_worker_cpu(w), &back);
	/* If it was another's, who knows how much of it: its log keeps that as used. */
	if (back)
		btn_core_refund(c, now, &w->task->req->core, run ? (int)run->tier->index : -1,
				w->mixed ? 0 : mark_at, back);
	w->mixed = false;
	return cpu;
}

/*
 * Their memory is the scheduler's own, and not malloc's: they are made with its lock
 * held, and freed by the monitor. Both would wait there for a task that was stopped
 * while it had malloc's lock, and goes on when the lock is free and the monitor comes.
 */
struct btn_workers {
	struct btn_workers *next;
	BTN_ALIGNED struct btn_worker worker[WORKERS];
};

static struct btn_worker *take_memory(struct baton_sched *s)
{
	struct btn_workers *chunk;
	struct btn_worker *w;
	int i;

	btn_lock_acquire(&s->spare_lock);
	if (!s->spare_worker) {
		chunk = mmap(NULL, sizeof(*chunk), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (chunk != MAP_FAILED) {
			chunk->next = s->chunks;
			s->chunks = chunk;
			for (i = WORKERS - 1; i >= 0; i--) {
				chunk->worker[i].next = s->spare_worker;
				s->spare_worker = &chunk->worker[i];
			}
		}
	}
	w = s->spare_worker;
	if (w)
		s->spare_worker = w->next;
	btn_lock_release(&s->spare_lock);
	return w;
}

static void put_memory(struct btn_worker *w)
{
	struct baton_sched *s = w->s;

	/* A guest's may outlive the scheduler, and comes and goes with its thread. */
	if (w->guest) {
		free(w);
		return;
	}
	btn_lock_acquire(&s->spare_lock);
	w->next = s->spare_worker;
	s->spare_worker = w;
	btn_lock_release(&s->spare_lock);
}

void btn_workers_free(struct baton_sched *s)
{
	struct btn_workers *chunk;

	while ((chunk = s->chunks)) {
		s->chunks = chunk->next;
		munmap(chunk, sizeof(*chunk));
	}
}

struct btn_worker *btn_worker_new(struct baton_sched *s, bool guest)
{
	struct btn_worker *w = guest ? aligned_alloc(BTN_CACHELINE, sizeof(*w)) : take_memory(s);

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->s = s;
	w->guest = guest;
	w->slot = w->cpu = w->leaving = -1;
	if (BTN_FAIL("sched:worker") || baton_parker_create(&w->parker)) {
		put_memory(w);
		return NULL;
	}
	return w;
}

void btn_worker_free(struct btn_worker *w)
{
	btn_worker_quit(w);
	baton_parker_destroy(w->parker);
	put_memory(w);
}

/* The slot's task can have no worker: it waits until one is free. */
static void give_back(struct baton_sched *s, uint64_t now, unsigned slot)
{
	struct btn_task *t = s->core.run[slot].task;

	t->ran = false;
	btn_task_of(t)->worker = NULL;
	s->on[slot] = NULL;
	/* Whatever was thought to be possible is not, for now. */
	s->core.workers = s->n_idle;
	s->retry_at = now + RETRY_NS;
	btn_core_stop(&s->core, now, slot, 0, BTN_STOP_YIELD);
}

struct btn_worker *btn_worker_assign(struct baton_sched *s, uint64_t now, unsigned slot)
{
	struct btn_run *run = &s->core.run[slot];
	struct baton_task *t = btn_task_of(run->task);
	struct btn_worker *w = t->worker;

	if (!w) {
		w = s->idle;
		if (w) {
			s->idle = w->next;
			s->n_idle--;
		} else {
			w = btn_worker_new(s, false);
			if (!w) {
				give_back(s, now, slot);
				return NULL;
			}
			s->born++;
		}
		w->task = t;
		t->worker = w;
		w->mixed |= w->meter.charged && w->metered != t->req->tenant->core;
		w->metered = t->req->tenant->core;
	} else if (w->last_slot >= 0 && w->last_slot != (int)slot) {
		btn_stat_add(&s->core.page.slots[slot].steals, 1);
	}
	if (w->in)
		btn_worker_end_away(w, now);
	if (w->standby)
		btn_worker_stand_down(w);
	w->given = atomic_load_explicit(&w->waits, memory_order_relaxed); /* [RESCUE-2] */
	w->slot = w->last_slot = slot;
	w->leaving = -1;
	w->meter.since = now;
	atomic_store_explicit(&w->until, now + run->length, memory_order_relaxed); /* [SCHED-1] */
	BTN_OWN_SET(w->looked, now);
	BTN_OWN_SET(w->quiet, 1);
	BTN_OWN_SET(w->reload, 1);
	BTN_OWN_SET(w->gap, 0);
	BTN_OWN_SET(w->told, run->task->req->told);
	s->on[slot] = w;
	s->poked_at[slot] = s->cpu_at[slot] = 0;
	/* Nobody sets it but with the lock. */
	atomic_store_explicit(&w->flag, run->task->req->told ? BTN_FLAG_TOLD : 0, memory_order_relaxed); /* [SCHED-1] */
	if (w->guest)
		btn_hold_arm(s, w, slot);
	if (!w->held)
		return w;
	/*
	 * With the lock: without it, whoever gives it its slot could be late, and
	 * let it go from where it was parked the next time.
	 */
	w->held = false;
	btn_worker_bind(s, w);
	btn_cell_let_go(w->cell);
	return NULL;
}

void btn_worker_renew(struct baton_sched *s, struct btn_worker *w, uint64_t now, unsigned slot)
{
	atomic_store_explicit(&w->until, now + s->core.run[slot].length, memory_order_relaxed); /* [SCHED-1] */
	s->poked_at[slot] = s->cpu_at[slot] = 0;
	atomic_fetch_and_explicit(&w->flag, ~BTN_FLAG_STOP, memory_order_relaxed); /* [SCHED-1] */
}

void btn_worker_bind(struct baton_sched *s, struct btn_worker *w)
{
	cpu_set_t set;

	if (!s->cpus || w->guest || w->cpu == s->cpus[w->slot])
		return;
	w->cpu = s->cpus[w->slot];
	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
	/* Where that CPU is gone or forbidden by now: then it is where it was. */
	if (w->tid)
		sched_setaffinity(w->tid, sizeof(set), &set);
}

static void *worker_main(void *arg);

void btn_worker_let_go(struct baton_sched *s, struct btn_worker *w)
{
	struct btn_wakes wakes = { 0 };
	pthread_attr_t attr;
	cpu_set_t set;
	uint64_t now;
	int err;

	btn_worker_bind(s, w);
	if (w->born) {
		baton_parker_resume(w->parker);
		return;
	}
	w->born = true;
	err = BTN_FAIL("sched:thread") ? EAGAIN : pthread_attr_init(&attr);
	if (!err) {
		pthread_attr_setstacksize(&attr, s->stack_size);
		if (s->cpus) {
			CPU_ZERO(&set);
			CPU_SET(w->cpu, &set);
			pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
		}
		err = pthread_create(&w->thread, &attr, worker_main, w);
		pthread_attr_destroy(&attr);
	}
	if (!err)
		return;
	/*
	 * Not btn_sched_lock(): where the caller is to wait itself (hand_over()),
	 * it would do so there, and the slot with it.
	 */
	btn_worker_arm(btn_self, BTN_CELL_NOT);
	btn_sched_enter(btn_self);
	btn_lock_acquire(&s->lock);
	s->now = btn_clock_read(&s->clock);
	now = s->now;
	s->born--;
	give_back(s, now, w->slot);
	btn_worker_free(w);
	btn_sched_unlock(s, &wakes);
}

/*
 * The slot's last task stopped: its next one. Gives up the lock. Parks w,
 * unless it is w's own turn again, or `leaves`: then the thread is about to end.
 */
static void hand_over(struct btn_worker *w, uint64_t now, unsigned slot, bool leaves)
{
	struct baton_sched *s = w->s;
	struct btn_worker *next = NULL;
	struct btn_wakes wakes = { 0 };

	if (!leaves)
		btn_worker_set_waits(w);
	if (btn_core_pick(&s->core, now, slot))
		next = btn_worker_assign(s, now, slot);
	if (next == w)
		atomic_store_explicit(&w->waits, false, memory_order_relaxed); /* [RESCUE-2] */
	btn_sched_settle_down(s, now, &wakes);
	btn_lock_release(&s->lock);
	BTN_POINT("sched:hand_over:unlocked");
	btn_sched_wake_all(s, &wakes);
	if (next && next != w && (leaves || !next->born)) {
		btn_worker_let_go(s, next);
		next = NULL;
	}
	if (leaves)
		return;
	if (next && next != w) {
		btn_worker_bind(s, next);
		btn_worker_park(w, next);
	} else if (next) {
		btn_worker_arm(w, BTN_CELL_ARMED);
	}
	btn_sched_exit(w);
}

/* The caller is about to lose its slot: how long it went without a checkpoint. */
static void show_gap(struct btn_worker *w, uint64_t now, unsigned slot)
{
	struct baton_stats_slot *figures = &w->s->core.page.slots[slot];
	int passed = BTN_OWN_GET(w->reload) - BTN_OWN_GET(w->quiet);
	uint64_t looked = BTN_OWN_GET(w->looked), worst = BTN_OWN_GET(w->gap);
	uint64_t gap = now > looked ? (now - looked) / (passed > 0 ? passed : 1) : 0;

	if (gap < worst)
		gap = worst;
	btn_stat_hist(&figures->gap, gap);
	btn_stat_max(&figures->gap_worst, gap);
}

unsigned btn_worker_drop_slot(struct btn_worker *w, enum btn_stop why)
{
	uint64_t now = w->s->now, cpu;
	unsigned slot = w->slot;

	btn_hold_end(w->s, w);
	btn_hold_fold(w, slot);
	cpu = btn_worker_account(w, now, SETTLE_NS);
	w->slot = -1;
	show_gap(w, now, slot);
	btn_worker_unurge(w);
	btn_core_stop(&w->s->core, now, slot, cpu, why);
	return slot;
}

void btn_worker_leave_slot(struct btn_worker *w, enum btn_stop why)
{
	hand_over(w, w->s->now, btn_worker_drop_slot(w, why), false);
}

void btn_worker_end_away(struct btn_worker *w, uint64_t now)
{
	if (w->held) {
		w->held = false;
		btn_core_unready(&w->s->core, now, &w->task->core);
		btn_cell_let_go(w->cell);
	}
	/* If it was, it took its permit since, and came before anybody saw that. */
	w->deaf = false;
	btn_core_charge(&w->s->core, now, &w->task->req->core, btn_worker_account(w, now, 0));
	if (w->taken) {
		w->taken = false;
		btn_cell_slotless(w->cell, false);
		btn_cell_pays(w->cell);
		w->s->look = true;
		/* The mark is of just now. */
		w->s->unauthorised += w->meter.mark - w->taken_cpu;
	}
	btn_worker_unlink_away(w);
}

void btn_worker_wait_again(struct btn_worker *w)
{
	btn_worker_end_away(w, w->s->now);
	btn_sched_ready_locked(w->task);
	btn_worker_set_waits(w);
}

void btn_worker_come_back(struct btn_worker *w)
{
	struct btn_wakes wakes = { 0 };

	btn_worker_wait_again(w);
	btn_sched_unlock(w->s, &wakes);
}

void btn_sched_wait(struct baton_task *t)
{
	struct btn_worker *w = t->worker;
	struct btn_wakes wakes = { 0 };

	if (w->slot >= 0) {
		btn_worker_leave_slot(w, BTN_STOP_BLOCK);
		return;
	}
	/* One whose slot was taken has none to give away. */
	btn_worker_end_away(w, w->s->now);
	btn_worker_set_waits(w);
	btn_sched_unlock(w->s, &wakes);
}

/* Its task ended at this time; returns the slot, which is idle. */
static unsigned end_task(struct btn_worker *w, uint64_t ended)
{
	struct baton_sched *s = w->s;
	struct baton_task *t = w->task;
	unsigned slot = w->slot;
	uint64_t cpu;

	btn_hold_fold(w, slot);
	cpu = btn_worker_account(w, s->now, SETTLE_END_NS);
	w->slot = -1;
	w->leaving = w->home = slot;
	btn_worker_unurge(w);
	w->task = NULL;
	t->ended = true;
	show_gap(w, ended, slot);
	btn_wait_end_first(&t->joiner);
	btn_core_stop(&s->core, s->now, slot, cpu, BTN_STOP_END);
	s->on[slot] = NULL;
	return slot;
}

void btn_worker_taken_idle(struct btn_worker *w, bool left, uint64_t since)
{
	struct baton_sched *s = w->s;
	unsigned slot = w->slot;
	uint64_t cpu;

	if (left) {
		end_task(w, since);
		return;
	}
	btn_hold_fold(w, slot);
	cpu = btn_worker_account(w, s->now, SETTLE_NS);
	w->slot = -1;
	show_gap(w, since, slot);
	btn_worker_unurge(w);
	btn_core_stop(&s->core, s->now, slot, cpu, BTN_STOP_BLOCK);
	s->on[slot] = NULL;
}

bool btn_worker_task_end(struct btn_worker *w, bool leaves)
{
	struct baton_sched *s = w->s;
	struct baton_task *t = w->task;
	bool heap = t->heap && !t->joinable;
	unsigned slot;
	uint64_t now;

	/* Nobody else can unlock it, and what it guards is half changed, for all we know. */
	if (btn_unlikely(t->held))
		btn_die("a task ended that holds a baton_mutex; how many:", t->held);
	btn_sched_lock(s);
	/* Between coming back and here it may be taken again. */
	while (w->slot < 0) {
		btn_worker_come_back(w);
		btn_sched_lock(s);
	}
	now = s->now;
	btn_hold_end(s, w);
	slot = end_task(w, now);
	if (btn_worker_demoted(w) || (s->n_idle >= s->keep && !s->core.starved.top))
		leaves = true;
	if (w->guest) {
		leaves = true;
	} else if (leaves) {
		w->retired = true;
		w->next = s->dead;
		s->dead = w;
		s->born--;
	} else {
		w->next = s->idle;
		s->idle = w;
		s->n_idle++;
	}
	if (!w->guest)
		btn_core_worker(&s->core, now);
	hand_over(w, now, slot, leaves);
	/* Out of the library, and with its next slot: what it may wait for here is a stopped task's. */
	if (heap)
		free(t);
	return !leaves;
}

static void thread_ends(void *arg)
{
	btn_worker_task_end(arg, true);
	btn_worker_part(arg);
}

static void *worker_main(void *arg)
{
	struct btn_worker *w = arg;

	btn_self = w;
	/* One that has to stay SCHED_IDLE ends with its task, as if demoted itself. */
	btn_worker_set_demoted(w, !btn_birth_become(&w->s->birth));
	if (!w->s->cpus)
		btn_birth_cpus(w->s->monitor);
	btn_rescue_thread(w->s);
	btn_sched_enter(w);
	btn_lock_acquire(&w->s->lock);
	w->tid = gettid();
	pthread_getcpuclockid(pthread_self(), &w->cpu_clock);
	btn_lock_release(&w->s->lock);
	btn_worker_join(w);
	btn_worker_arm(w, BTN_CELL_ARMED);
	btn_sched_exit(w);
	for (;;) {
		struct baton_task *t = w->task;

		pthread_cleanup_push(thread_ends, w);
		t->fn(t->arg);
		pthread_cleanup_pop(0);
		if (!btn_worker_task_end(w, false) || !w->task)
			break;
	}
	btn_worker_part(w);
	return NULL;
}
