// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The gate: threads come into the scheduler here, wait in it, and go out again.
 *
 * A worker that loses its slot, by a checkpoint, by blocking or because its task ended, asks
 * the core itself for the next task of that slot, and switches to that task's worker. There
 * is no scheduler thread in between:
 *
 *	A (has the slot)			B (parked)
 *	lock
 *	core: A stops, B is picked
 *	B.slot = A.slot
 *	unlock
 *	switch_to(B)				returns from its own switch_to
 *
 * Between unlock and switch_to, a third thread may make A ready and give it another slot: the
 * thread sets A.slot and resumes A. Then A's switch_to lets B go and returns at once, because
 * A's permit is there. A worker reads its own slot, task and `until` only after it was
 * resumed, or with the lock held.
 *
 * [SCHED-1] A thread that wants a worker to stop sets a bit of `flag`, and the worker reads it
 * at each checkpoint. The worker acts on the bit with the lock held, so the bit orders
 * nothing; nor does `until`, the time at which the worker looks by itself.
 *
 * A worker that is stopped where it reaches no call of the library (preempt.c) is sent a
 * signal, and parks in the signal's handler until it is given a slot.
 *
 * The handler must not park a thread that is inside the library. Such a thread may hold the
 * scheduler's lock, or the allocator's on the library's behalf, or be about to park anyway.
 * So every call that takes the lock counts itself in w.inside, and looks at w.waits on its
 * way out. The one permit that goes with the slot is consumed by the first of the two:
 *
 *	handler				a call of the library
 *					inside = 1
 *	inside: return			...
 *					inside = 0
 *					waits? inside = 1, block, waits = false,
 *					inside = 0, and look again
 *
 * A signal that comes after the last look finds inside == 0, and the handler waits instead.
 * Both run on the same thread, so [PREEMPT-1] (inside, and parked, which tells the monitor
 * that waiting has begun) are relaxed. `waits` is set with the lock held, by the owner before
 * it blocks or by the monitor. No thread takes the slot of a worker whose `waits` is still
 * set, neither the monitor nor a thread that sees the worker blocked in the kernel: the worker
 * has not consumed its last permit yet, and two permits would be one. The owner's reset of
 * `waits` is released, and acquired by those threads [PREEMPT-2]: the thread that gave the
 * permit had the worker in a list of those to wake (w.next), and that is over by then. A
 * thread that sees the reset late comes again.
 *
 * A stopped thread may hold a lock, malloc's above all, without which no task gets a turn: the
 * lock's next user may be the monitor, or a thread that has the scheduler's lock and
 * allocates, or one that makes the thread to which a slot was given (pthread_create()
 * allocates).
 *
 *	offender			monitor
 *	malloc: takes its lock
 *	handler: parks
 *					takes the scheduler's lock; malloc: sleeps
 *	(no slot is taken any more)
 *
 * So a stopped thread asks from time to time whether there is a stall [PREEMPT-3]: the monitor
 * is late, or it says that a slot's worker does not come out of the library. Then the thread
 * goes on, with `waits` still set, and sets stall_escape. When the stall is over, the monitor
 * sends the signal again to all that wait and are not parked. Both words are hints for what
 * comes again: a late one costs time.
 *
 * selftests/model/preempt.pml is a model of this, and of preempt.c.
 */
#include "gate.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

#include "../core/core.h"
#include "../core/run.h"
#include "../inject.h"
#include "../park.h"
#include "blocked.h"
#include "dispatch.h"
#include "polls.h"
#include "pool.h"
#include "sample.h"
#include "self.h"
#include "slice.h"
#include "slot.h"
#include "stop.h"
#include "tick.h"
#include "wait.h"

/*
 * Stopped workers ask whether there is a stall after a quarter of BTN_STALL_NS, then later
 * each time, up to this.
 */
#define STALL_MAX_NS	1000000000

static pthread_mutex_t signal_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before[NSIG];
static bool ours[NSIG];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---------------------------------------------------------- waiting for a permit */

/*
 * Waits for the permit of w, and before that lets `to` go, if not NULL. 0: w has its permit;
 * -ETIMEDOUT; -EINTR: w was notified, which happens only to one that waits in the library.
 */
static int park_until(struct btn_worker *w, struct btn_worker *to, uint64_t deadline)
{
	_Atomic uint32_t *notified = w->cell && deadline == BATON_FOREVER ? &w->cell->notified : NULL;
	int err;

	btn_slot_arm(w, BTN_CELL_NOT);
	atomic_store_explicit(&w->parked, true, memory_order_relaxed); /* [PREEMPT-1] */
	/*
	 * A worker that was stopped (with a deadline) goes on where it was, and is not to be
	 * notified.
	 */
	if (notified)
		btn_cell_slotless(w->cell, true);
	err = btn_parker_wait(w->parker, to ? to->parker : NULL, deadline, notified);
	if (notified)
		btn_cell_slotless(w->cell, false);
	atomic_store_explicit(&w->parked, false, memory_order_relaxed); /* [PREEMPT-1] */
	if (err)
		return err;
	if (btn_unlikely(btn_slot_demoted(w))) {
		struct sched_param p = { 0 };

		/* A thread that may not leave SCHED_IDLE stays in it until its task ends. */
		btn_slot_set_demoted(w, sched_setscheduler(0, SCHED_OTHER, &p) != 0);
	}
	/* Before `waits`: who may take the slot from then on is not to charge by it. */
	atomic_store_explicit(&w->parked_cpu, 0, memory_order_relaxed); /* [PREEMPT-5] */
	atomic_store_explicit(&w->waits, false, memory_order_release); /* [PREEMPT-2] */
	btn_slot_arm(w, BTN_CELL_ARMED);
	return 0;
}

/* Looks at the cells at once, because of *why: w waits and is to go on waiting, or has a slot. */
static void look_at_once(struct btn_worker *w, bool *why)
{
	struct baton_sched *s = w->s;
	struct btn_wakes wakes = { 0 };

	btn_dispatch_lock(s);
	*why = true;
	if (w->designated)
		btn_blocked_undesignate(w);
	btn_cell_pays(w->cell);
	btn_dispatch(s, s->now, &wakes);
	btn_lock_release(&s->lock);
	btn_dispatch_wake(s, &wakes);
}

static void ack_notice(struct btn_worker *w)
{
	atomic_exchange_explicit(&w->cell->notified, 0, memory_order_seq_cst); /* [WAKER-1] */
	look_at_once(w, &w->s->hear);
}

static void pay_owed(struct btn_worker *w)
{
	btn_slot_arm(w, BTN_CELL_NOT);
	look_at_once(w, &w->s->look);
	btn_slot_arm(w, BTN_CELL_ARMED);
}

static __attribute__((noinline)) void look_at_left(struct btn_worker *w)
{
	struct baton_sched *s = w->s;
	struct btn_wakes wakes = { 0 };

	/* The slot is not to be taken while the thread sleeps on the lock: the kernel would park it as the lock wakes it. */
	btn_slot_arm(w, BTN_CELL_NOT);
	btn_dispatch_lock(s);
	btn_dispatch_left(s, s->now, &wakes);
	btn_lock_release(&s->lock);
	btn_dispatch_wake(s, &wakes);
	btn_slot_arm(w, BTN_CELL_ARMED);
}

void btn_gate_came(struct btn_worker *w)
{
	if (btn_dispatch_came(w))
		look_at_left(w);
}

static void park_worker(struct btn_worker *w, struct btn_worker *to)
{
	while (park_until(w, to, BATON_FOREVER)) {
		ack_notice(w);
		to = NULL;
	}
	if (w->cell && btn_cell_owes(w->cell))
		pay_owed(w);
	btn_gate_came(w);
}

/* ---------------------------------------------------------- in and out */

/* Gives the lock up, and takes it again when the caller, a worker of s, has its permit. */
BTN_BEGINS_OR_ENDS
static __attribute__((noinline)) void wait_before(struct baton_sched *s, struct btn_worker *w)
{
	do {
		btn_lock_release(&s->lock);
		park_worker(w, NULL);
		btn_slot_arm(w, BTN_CELL_NOT);
		btn_lock_acquire(&s->lock);
	} while (atomic_load_explicit(&w->waits, memory_order_relaxed)); /* [PREEMPT-2] */
}

BTN_BEGINS_OR_ENDS
void btn_gate_lock(struct baton_sched *s)
{
	struct btn_worker *w = btn_self;

	if (w) {
		btn_slot_arm(w, BTN_CELL_NOT);
		btn_gate_enter(w);
		btn_sample_end(w);
	}
	btn_leased_wake(s);
	BTN_POINT("sched:gate:lock");
	btn_lock_acquire(&s->lock);
	if (btn_unlikely(w && w->s == s && atomic_load_explicit(&w->waits, memory_order_relaxed))) /* [PREEMPT-2] */
		wait_before(s, w);
	s->now = btn_clock_read(&s->clock);
	btn_door_take(s);
	if (w)
		btn_sample_take(s, w);
}

BTN_ENDS(btn_inside) BTN_BEGINS_OR_ENDS
static __attribute__((noinline)) void exit_or_wait(struct btn_worker *w)
{
	uint32_t inside = atomic_load_explicit(&w->inside, memory_order_relaxed); /* [PREEMPT-1] */

	for (;;) {
		if (inside == 1 && atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [PREEMPT-2] */
			park_worker(w, NULL);
		atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
		atomic_store_explicit(&w->inside, inside - 1, memory_order_relaxed); /* [PREEMPT-1] */
		atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
		if (inside > 1 || !atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [PREEMPT-2] */
			return;
		atomic_store_explicit(&w->inside, 1, memory_order_relaxed); /* [PREEMPT-1] */
	}
}

BTN_BEGINS_OR_ENDS
void btn_gate_exit(struct btn_worker *w)
{
	if (!w)
		return;
	/* Most often it is the outermost call, and the worker has not to wait, neither before nor after. */
	if (btn_likely(atomic_load_explicit(&w->inside, memory_order_relaxed) == 1 && /* [PREEMPT-1] */
		       !atomic_load_explicit(&w->waits, memory_order_relaxed))) { /* [PREEMPT-2] */
		atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
		atomic_store_explicit(&w->inside, 0, memory_order_relaxed); /* [PREEMPT-1] */
		atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
		if (btn_likely(!atomic_load_explicit(&w->waits, memory_order_relaxed))) /* [PREEMPT-2] */
			return;
		atomic_store_explicit(&w->inside, 1, memory_order_relaxed); /* [PREEMPT-1] */
	}
	exit_or_wait(w);
}

/* Ends the caller's call of the library. runs: the caller has a slot, and does not wait. */
BTN_ENDS(btn_inside)
static inline __attribute__((always_inline)) void leave_library(bool runs)
{
	if (runs)
		btn_slot_arm(btn_self, BTN_CELL_ARMED);
	btn_gate_exit(btn_self);
}

/* True: the caller is slotless, and does not wait for a slot yet. */
static inline bool lost_slot(const struct baton_sched *s)
{
	const struct btn_worker *w = btn_self;

	return w && w->s == s && w->slot < 0 && (w->in || w->parked_ready) &&
	       !atomic_load_explicit(&w->waits, memory_order_relaxed); /* [PREEMPT-2] */
}

static void wait_again(struct btn_worker *w)
{
	btn_slot_end_slotless(w, w->s->now);
	btn_wait_ready_locked(w->task);
	btn_slot_set_waits(w);
}

BTN_BEGINS_OR_ENDS
void btn_gate_unlock(struct baton_sched *s, struct btn_wakes *wakes)
{
	bool runs;

	/* A worker whose slot was taken waits for another here. */
	if (lost_slot(s))
		wait_again(btn_self);
	btn_dispatch(s, s->now, wakes);
	runs = btn_self && btn_self->slot >= 0;
	btn_lock_release(&s->lock);
	btn_dispatch_wake(s, wakes);
	leave_library(runs);
}

/* Not inline: the wakes would be on the stack of callers that most often need none. */
BTN_ENDS(btn_inside, btn_locked)
static __attribute__((noinline)) void unlock_all(struct baton_sched *s)
{
	struct btn_wakes wakes = { 0 };

	btn_gate_unlock(s, &wakes);
}

BTN_ENDS(btn_inside, btn_locked) BTN_BEGINS_OR_ENDS
static inline void release_lock(struct baton_sched *s)
{
	bool runs = btn_self && btn_self->slot >= 0;

	if (btn_unlikely(lost_slot(s) || s->core.shut)) {
		unlock_all(s);
		return;
	}
	btn_lock_release(&s->lock);
	leave_library(runs);
}

BTN_BEGINS_OR_ENDS
void btn_gate_release(struct baton_sched *s)
{
	release_lock(s);
}

BTN_BEGINS_OR_ENDS
void btn_gate_queued(struct baton_sched *s, const struct baton_task *t)
{
	if (btn_dispatch_is_behind(s, t))
		release_lock(s);
	else
		unlock_all(s);
}

BTN_ENDS(btn_inside, btn_locked) BTN_BEGINS_OR_ENDS
static __attribute__((noinline)) void tell_and_go_on(struct baton_sched *s, bool taken)
{
	struct btn_wakes wakes = { 0 };

	btn_dispatch_done(s, &wakes);
	/* A service's request may have been submitted again. */
	if (s->served_ended || taken)
		btn_dispatch(s, s->now, &wakes);
	btn_lock_release(&s->lock);
	btn_dispatch_wake(s, &wakes);
	leave_library(true);
}

BTN_BEGINS_OR_ENDS
void btn_gate_go_on(struct baton_sched *s)
{
	bool taken = btn_door_shut(s);

	if (btn_unlikely(taken || !btn_dispatch_done_quietly(s))) {
		tell_and_go_on(s, taken);
		return;
	}
	btn_lock_release(&s->lock);
	leave_library(true);
}

void btn_gate_look(struct baton_sched *s)
{
	struct btn_wakes wakes = { 0 };
	bool runs;

	/* The cell is as in look_at_left(). A worker that is to wait does so when it leaves the library. */
	btn_slot_arm(btn_self, BTN_CELL_NOT);
	btn_dispatch_lock(s);
	btn_dispatch(s, s->now, &wakes);
	runs = btn_self && btn_self->slot >= 0;
	btn_lock_release(&s->lock);
	btn_dispatch_wake(s, &wakes);
	if (runs)
		btn_slot_arm(btn_self, BTN_CELL_ARMED);
}

void btn_gate_settle(struct baton_sched *s)
{
	struct btn_wakes wakes = { 0 };

	btn_gate_lock(s);
	btn_dispatch_end_cached(s, &wakes);
	btn_gate_unlock(s, &wakes);
}

void btn_gate_request_free(struct baton_request *r)
{
	bool given;

	if (btn_pool_request_keep(r))
		return;
	btn_gate_enter(btn_self);
	given = btn_pool_request_give_back(r);
	btn_gate_exit(btn_self);
	/* Outside the library: malloc's lock may be a stopped task's. */
	if (!given)
		btn_pool_request_free(r);
}

/* ---------------------------------------------------------- a slot is handed on */

/*
 * A slot, and its worker, went from one task to another: true where btn_dispatch() would find nothing to do, and the monitor
 * has not to come sooner. Most requests that ended are completed then.
 */
static inline bool nothing_follows(struct baton_sched *s, unsigned slot)
{
	const struct btn_core *c = &s->core;

	/* Nothing but the slot's tier and flows has changed, and they have no times at which something is due. */
	return !c->n_idle && !c->n_resched && !s->lazy_slots && !s->detecting && !btn_slice_any(s) && s->was_wanted &&
	       !c->deadlines.top && !c->releases.top && !c->run[slot].accounted && btn_dispatch_done_quietly(s) && !btn_door_shut(s);
}

/* The slot is another worker's, or nobody's. */
BTN_ENDS(btn_inside, btn_locked) BTN_BEGINS_OR_ENDS
static __attribute__((noinline)) void hand_to(struct btn_worker *w, struct btn_worker *next, uint64_t now, bool leaves, uint32_t parted)
{
	struct baton_sched *s = w->s;
	struct btn_wakes wakes = { .parted = parted };
	bool polls;

	btn_dispatch(s, now, &wakes);
	polls = !next && !leaves && w->slot < 0 && btn_poll_take(s, &wakes, BTN_POLL_WORKER);
	if (polls)
		btn_poll_set_in(w, true);
	btn_lock_release(&s->lock);
	BTN_POINT("sched:hand_over:unlocked");
	btn_dispatch_wake(s, &wakes);
	if (polls)
		next = s->poll_turn(w);
	if (next && next != w && (leaves || !next->born || btn_poll_is_in(next))) {
		wakes = (struct btn_wakes){ 0 };
		btn_wakes_add(&wakes, next);
		btn_dispatch_wake(s, &wakes);
		next = NULL;
	}
	if (leaves)
		return;
	if (next && next != w) {
		btn_dispatch_bind(s, next);
		park_worker(w, next);
	} else if (next) {
		btn_slot_arm(w, BTN_CELL_ARMED);
	}
	btn_gate_exit(w);
	if (polls)
		btn_poll_set_in(w, false);
}

BTN_BEGINS_OR_ENDS
void btn_gate_hand_over(struct btn_worker *w, uint64_t now, unsigned slot, bool leaves)
{
	struct baton_sched *s = w->s;
	struct btn_worker *next = NULL;
	/* The monitor knows that a slot was given to a task since it came last. The last run had no other account. */
	bool calm = s->given && !s->core.run[slot].accounted;
	uint32_t parted = 0;

	if (!leaves)
		btn_slot_set_waits(w);
	if (btn_core_pick(&s->core, now, slot))
		next = btn_dispatch_assign(s, now, slot, &parted);
	if (next == w) {
		atomic_store_explicit(&w->waits, false, memory_order_relaxed); /* [PREEMPT-2] */
		if (calm && nothing_follows(s, slot)) {
			btn_lock_release(&s->lock);
			leave_library(true);
			return;
		}
	}
	hand_to(w, next, now, leaves, parted);
}

void btn_gate_leave_slot(struct btn_worker *w, enum btn_stop why)
{
	btn_gate_hand_over(w, w->s->now, btn_slot_drop(w, why), false);
}

void btn_gate_come_back(struct btn_worker *w)
{
	struct btn_wakes wakes = { 0 };

	wait_again(w);
	btn_gate_unlock(w->s, &wakes);
}

/* The task of w is about to wait: the task that goes on in its run; or NULL. */
static inline struct btn_task *next_in_run(const struct btn_worker *w)
{
	if (w->attached || w->suspect.lenders || !w->s->given)
		return NULL;
	return btn_run_next(&w->s->core, w->s->now, w->slot);
}

/*
 * The task of w waits, and the next one of its flow goes on in the same run: what btn_gate_leave_slot() does, without a new slice, and
 * most often without a look at all that may have followed.
 */
BTN_ENDS(btn_inside, btn_locked) BTN_BEGINS_OR_ENDS
static void pass_slot(struct btn_worker *w, struct btn_task *first)
{
	struct baton_sched *s = w->s;
	struct btn_worker *next;
	unsigned slot = w->slot;
	uint32_t parted = 0;

	btn_slot_set_waits(w);
	btn_slot_pass(w, first);
	next = btn_dispatch_assign(s, s->now, slot, &parted);
	/* The end of the wait by the clock is for the monitor, which may have to come sooner. */
	if (!next || !next->born || btn_poll_is_in(next) || btn_heap_has(&w->task->timer) || !nothing_follows(s, slot)) {
		hand_to(w, next, s->now, false, parted);
		return;
	}
	btn_lock_release(&s->lock);
	BTN_POINT("sched:hand_over:unlocked");
	btn_dispatch_bind(s, next);
	park_worker(w, next);
	btn_gate_exit(w);
}

BTN_ENDS(btn_inside, btn_locked)
static void wait_for_slot(struct baton_task *t)
{
	struct btn_worker *w = t->worker;
	struct btn_wakes wakes = { 0 };
	struct btn_task *first;

	if (w->slot >= 0) {
		first = next_in_run(w);
		if (first)
			pass_slot(w, first);
		else
			btn_gate_leave_slot(w, BTN_STOP_BLOCK);
		return;
	}
	/* A worker whose slot was taken has none to hand on. */
	btn_slot_end_slotless(w, w->s->now);
	btn_slot_set_waits(w);
	btn_gate_unlock(w->s, &wakes);
}

int btn_gate_wait(struct baton_task *t)
{
	wait_for_slot(t);
	BTN_POINT("sched:wait:woken");
	if (t->woken == -ECANCELED || t->woken == -ETIME)
		t->cancel_delivered = t->woken;
	return t->woken;
}

/* ---------------------------------------------------------- the signal's handler */

/* True: the monitor is late, or says that there is a stall. */
static bool is_stalled(struct baton_sched *s)
{
	uint64_t due = atomic_load_explicit(&s->monitor_due, memory_order_relaxed), now = btn_clock_now(); /* [PREEMPT-3] */

	return atomic_load_explicit(&s->stall, memory_order_relaxed) || (now > due && now - due > BTN_STALL_NS); /* [PREEMPT-3] */
}

/* Waits as btn_gate_exit() does, for a worker that was stopped anywhere. over: its slice has ended, by its timer. */
static void wait_stopped(struct btn_worker *w, bool over)
{
	uint64_t in = BTN_STALL_NS / 4;

	btn_stop_parks(w);
	if (over)
		btn_slice_over(w);
	for (;;) {
		if ((btn_slice_is_over(w) || atomic_load_explicit(&w->waits, memory_order_relaxed)) && /* [PREEMPT-2] */
		    park_until(w, NULL, btn_clock_now() + in)) {
			if (!is_stalled(w->s)) {
				in = in < STALL_MAX_NS ? 2 * in : STALL_MAX_NS;
				continue;
			}
			btn_slice_withdraw(w);
			btn_stop_goes_on(w);
			atomic_store_explicit(&w->inside, 0, memory_order_relaxed); /* [PREEMPT-1] */
			atomic_store_explicit(&w->s->stall_escape, true, memory_order_release); /* [PREEMPT-3] */
			return;
		}
		/* The code that the signal interrupted may have malloc's lock: the monitor looks instead. */
		if (btn_dispatch_came(w))
			baton_parker_resume(w->s->monitor_parker);
		btn_slice_withdraw(w);
		btn_stop_goes_on(w);
		atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
		atomic_store_explicit(&w->inside, 0, memory_order_relaxed); /* [PREEMPT-1] */
		atomic_signal_fence(memory_order_seq_cst); /* [PREEMPT-1] */
		if (!atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [PREEMPT-2] */
			return;
		atomic_store_explicit(&w->inside, 1, memory_order_relaxed); /* [PREEMPT-1] */
		btn_stop_parks(w);
	}
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct btn_worker *w = btn_self;
	int saved = errno;

	if (w && (atomic_load_explicit(&w->waits, memory_order_relaxed) || btn_slice_is_signal(info))) { /* [PREEMPT-2] */
		bool over = !atomic_load_explicit(&w->waits, memory_order_relaxed); /* [PREEMPT-2] */

		if (!atomic_load_explicit(&w->inside, memory_order_relaxed) && (!over || btn_slice_ends(w))) { /* [PREEMPT-1] */
			atomic_store_explicit(&w->inside, 1, memory_order_relaxed); /* [PREEMPT-1] */
			wait_stopped(w, over);
		}
	} else if (btn_slice_is_signal(info)) {
		/* The timer was set in an earlier request of this thread. */
	} else if (before[sig].sa_flags & SA_SIGINFO) {
		before[sig].sa_sigaction(sig, info, context);
	} else if (before[sig].sa_handler != SIG_DFL && before[sig].sa_handler != SIG_IGN) {
		before[sig].sa_handler(sig);
	}
	errno = saved;
}

static void signals_acquire(void)
{
	pthread_mutex_lock(&signal_lock);
}

static void signals_release(void)
{
	pthread_mutex_unlock(&signal_lock);
}

/* Without it a child of fork could find the lock held by no thread. */
static void watch_forks(void)
{
	pthread_atfork(signals_acquire, signals_release, signals_release);
}

int btn_gate_signal_init(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
	int err = 0;

	if (sig <= 0 || sig >= NSIG)
		return -EINVAL;
	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&signal_lock);
	if (!ours[sig]) {
		sigfillset(&sa.sa_mask);
		if (sigaction(sig, NULL, &before[sig]) || sigaction(sig, &sa, NULL))
			err = -errno;
		ours[sig] = !err;
	}
	pthread_mutex_unlock(&signal_lock);
	return err;
}

void btn_gate_signal_thread(const struct baton_sched *s)
{
	sigset_t set;

	if (!s->stop_signal)
		return;
	sigemptyset(&set);
	sigaddset(&set, s->stop_signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
