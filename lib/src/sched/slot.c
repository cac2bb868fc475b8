// SPDX-License-Identifier: LGPL-2.1-or-later
/* Slots: workers get and lose them, and are charged for what they used in them or without one. */
#include "slot.h"

#include <time.h>

#include "../core/core.h"
#include "../core/flow.h"
#include "../inject.h"
#include "self.h"
#include "wait.h"

uint64_t btn_slot_cpu(const struct btn_worker *w)
{
	struct timespec ts;
	uint64_t parked = w == btn_self ? 0 : atomic_load_explicit(&w->parked_cpu, memory_order_relaxed); /* [PREEMPT-5] */
	int err;

	if (parked)
		return parked > w->cputime.mark ? parked : w->cputime.mark;
	/*
	 * The thread sleeps, and the kernel wrote down its CPU clock: in memory that any code
	 * of this process can spoil.
	 */
	if (w != btn_self && w->cell && (btn_cell_blocked(w->cell) || (w->taken && w->slot >= 0))) {
		uint64_t cpu = btn_cell_cpu(w->cell);

		return cpu > w->cputime.mark ? cpu : w->cputime.mark;
	}
	/*
	 * A system call with the lock, and needed there: the charge is for all CPU up to the moment at which the slot changes hands, and
	 * a reading from before would leave the rest to whoever has the slot next. The kernel reads a number under the lock of a run
	 * queue, with interrupts off: it neither sleeps nor allocates, and is back within a microsecond.
	 */
	BTN_EXCUSED("CPU clocks", err = clock_gettime(w == btn_self ? CLOCK_THREAD_CPUTIME_ID : w->cpu_clock, &ts));
	if (err)
		return w->cputime.mark;
	return ts.tv_sec * BTN_NSEC_PER_SEC + ts.tv_nsec;
}

uint64_t btn_slot_expect(struct btn_worker *w, unsigned slot)
{
	uint64_t cpu = btn_core_cut(&w->s->core, slot);

	/* CPU that was charged to one of several tenants could not be given back. */
	if (!cpu || w->mixed)
		return 0;
	w->expected_in = w->s->core.run[slot].tier->index + 1;
	w->cputime.charged += cpu;
	return cpu;
}

uint64_t btn_slot_account_by_clock(struct btn_worker *w, struct btn_run *run, uint64_t now)
{
	struct btn_core *c = &w->s->core;
	uint64_t cpu, back, mark_at = w->cputime.mark_at, unsettled;

	cpu = btn_cputime_settle(&w->cputime, now, btn_slot_cpu(w), &back);
	/* CPU of the run that is not settled yet need not be given back. */
	unsettled = run && back ? (back < run->followed ? back : run->followed) : 0;
	if (unsettled) {
		struct btn_request *r = &w->task->req->core;

		/* The request's own figure has it already, as after btn_core_refund(). */
		r->cpu -= unsettled < r->cpu ? unsettled : r->cpu;
		run->followed -= unsettled;
	}
	back -= unsettled;
	/*
	 * Tasks of several tenants ran, or others paid for runs (mixed): how much is whose is not
	 * known, and the log keeps it as used.
	 */
	if (back)
		btn_core_refund(c, now, &w->task->req->core, run ? (int)run->tier->index : w->expected_in - 1,
				w->mixed ? 0 : mark_at, back);
	w->mixed = false;
	w->expected_in = 0;
	return cpu;
}

uint64_t btn_slot_account(struct btn_worker *w, uint64_t now, uint64_t settle)
{
	struct btn_run *run = w->slot < 0 ? NULL : &w->s->core.run[w->slot];
	uint64_t cpu;

	return btn_slot_account_by_time(w, run, now, settle, &cpu) ? cpu : btn_slot_account_by_clock(w, run, now);
}

void btn_slot_polled(struct btn_worker *w, uint64_t from, uint64_t to)
{
	btn_cputime_skip(&w->cputime, from, to);
	btn_stat_add(&w->s->core.page.slots[w->last_slot].polled, to - from);
}

void btn_slot_fold(struct btn_worker *w, unsigned slot)
{
	struct btn_core *c = &w->s->core;
	const struct btn_run *run = &c->run[slot];
	struct btn_request *r = run->task->req;
	struct baton_stats_use *use = btn_request_use(r);
	uint64_t idled = BTN_OWN_GET(w->idled), again = BTN_OWN_GET(w->again);

	if (idled) {
		BTN_OWN_SET(w->idled, 0);
		w->cputime.since += idled;
		btn_stat_add(&c->page.slots[slot].idle, idled);
	}
	if (!again)
		return;
	BTN_OWN_SET(w->again, 0);
	c->requests += again;
	btn_stat_add(&use->admitted, again);
	btn_stat_add(&use->finished, again);
	btn_stat_add(&btn_tenant_use(r->tenant, run->tier->index)->wait.n[0], again);
}

void btn_slot_end_lazy(struct baton_sched *s, struct btn_worker *w)
{
	uint64_t word = atomic_load_explicit(&w->lazy, memory_order_relaxed); /* [LAZY-1] */

	/* The owner calls this, and no other thread changes the word without the lock. */
	if (word == BTN_LAZY_NONE)
		return;
	if (word >= BTN_LAZY_CACHED && s->now > BTN_LAZY_SINCE(word))
		BTN_OWN_SET(w->idled, BTN_OWN_GET(w->idled) + s->now - BTN_LAZY_SINCE(word));
	atomic_store_explicit(&w->lazy, BTN_LAZY_NONE, memory_order_relaxed); /* [LAZY-1] */
	s->lazy_slots--;
}

/* ---------------------------------------------------------- the monitor's looks */

void btn_slot_look_out(struct btn_look *l)
{
	if (!l->list)
		return;
	*l->prev = l->next;
	if (l->next)
		l->next->prev = l->prev;
	else
		l->list->last = l->prev;
	l->list->n--;
	l->list = NULL;
}

void btn_slot_look_in(struct btn_look *l, struct btn_looks *list)
{
	btn_slot_look_out(l);
	l->list = list;
	l->next = NULL;
	l->prev = list->last;
	*list->last = l;
	list->last = &l->next;
	list->n++;
}

/* ------------------------------------------------- lists of those without a slot */

void btn_slot_link(struct btn_slotless *list, struct btn_worker *w)
{
	w->in = list;
	w->next_slotless = NULL;
	w->prev_slotless = list->last;
	*list->last = w;
	list->last = &w->next_slotless;
	list->n++;
}

void btn_slot_unlink(struct btn_worker *w)
{
	if (!w->in)
		return;
	*w->prev_slotless = w->next_slotless;
	if (w->next_slotless)
		w->next_slotless->prev_slotless = w->prev_slotless;
	else
		w->in->last = w->prev_slotless;
	w->in->n--;
	w->in = NULL;
}

void btn_slot_suspect(struct btn_worker *w, struct btn_worker *sleeper)
{
	const struct btn_task *lender = w->suspect.lenders;

	if (lender == (sleeper ? &sleeper->task->core : NULL))
		return;
	btn_slot_trust(w);
	if (sleeper)
		btn_core_wait(&w->s->core, w->s->now, &sleeper->task->core, &w->suspect, &w->task->core);
}

void btn_slot_trust(struct btn_worker *w)
{
	if (w->suspect.lenders)
		btn_core_wait_end(&w->s->core, w->s->now, w->suspect.lenders);
}

/* ---------------------------------------------------------- a slot is lost */

static void show_gap(const struct btn_worker *w, uint64_t now, unsigned slot)
{
	uint64_t gap = btn_slot_gap(w, now);

	btn_slot_show_gap(w, slot, gap, btn_hist_step(gap));
}

void btn_slot_renew(struct baton_sched *s, struct btn_worker *w, uint64_t now, unsigned slot)
{
	int cancel = s->core.run[slot].task->req->cancel_pending;

	w->comes = false;
	w->mixed |= s->core.run[slot].lender != NULL;
	atomic_store_explicit(&w->until, now + s->core.run[slot].slice, memory_order_relaxed); /* [SCHED-1] */
	s->looks[slot].resched_at = s->looks[slot].cpu_at = 0;
	btn_slot_watch(s, slot);
	s->given = true;
	/* A cancel may be the reason why need_resched was set. */
	BTN_OWN_SET(w->cancel_pending, cancel);
	atomic_store_explicit(&w->flag, cancel ? BTN_FLAG_CANCEL : 0, memory_order_relaxed); /* [SCHED-1] */
}

/* The caller's run, or its part of one, stops: what the worker says of itself. Returns its slot; *cpu is to be charged. */
static inline unsigned leave_run(struct btn_worker *w, uint64_t *cpu)
{
	uint64_t now = w->s->now;
	unsigned slot = w->slot;

	btn_slot_fold(w, slot);
	*cpu = btn_slot_account(w, now, BTN_SETTLE_NS);
	btn_slot_set_spins(w, false);
	w->slot = -1;
	show_gap(w, now, slot);
	btn_slot_trust(w);
	return slot;
}

unsigned btn_slot_drop(struct btn_worker *w, enum btn_stop why)
{
	uint64_t cpu;
	unsigned slot;

	w->comes = why == BTN_STOP_YIELD;
	btn_slot_end_lazy(w->s, w);
	slot = leave_run(w, &cpu);
	btn_core_stop(&w->s->core, w->s->now, slot, cpu, why);
	return slot;
}

void btn_slot_pass(struct btn_worker *w, struct btn_task *next)
{
	uint64_t cpu;
	unsigned slot;

	w->comes = false;
	slot = leave_run(w, &cpu);
	btn_core_pass(&w->s->core, w->s->now, slot, next, cpu);
}

unsigned btn_slot_end_task(struct btn_worker *w, uint64_t ended)
{
	struct baton_sched *s = w->s;
	struct baton_task *t = w->task;
	unsigned slot = w->slot;
	uint64_t cpu;

	btn_slot_fold(w, slot);
	cpu = btn_slot_account(w, s->now, BTN_SETTLE_END_NS);
	btn_slot_set_spins(w, false);
	w->slot = -1;
	w->leaving = w->home = slot;
	btn_slot_trust(w);
	w->task = NULL;
	w->comes = false;
	t->ended = true;
	s->attached -= w->attached;
	show_gap(w, ended, slot);
	btn_wait_end_first(&t->joiner);
	btn_core_stop(&s->core, s->now, slot, cpu, BTN_STOP_END);
	s->on[slot] = NULL;
	return slot;
}

void btn_slot_taken_cached(struct btn_worker *w, bool left, uint64_t since)
{
	struct baton_sched *s = w->s;
	unsigned slot = w->slot;
	uint64_t cpu;

	if (left) {
		btn_slot_end_task(w, since);
		return;
	}
	btn_slot_fold(w, slot);
	cpu = btn_slot_account(w, s->now, BTN_SETTLE_NS);
	btn_slot_set_spins(w, false);
	w->slot = -1;
	show_gap(w, since, slot);
	btn_slot_trust(w);
	btn_core_stop(&s->core, s->now, slot, cpu, BTN_STOP_BLOCK);
	s->on[slot] = NULL;
}

bool btn_slot_take_cell(struct btn_worker *w)
{
	if (!w->cell || !btn_cell_take(w->cell))
		return false;
	w->taken = true;
	w->taken_cpu = btn_cell_cpu(w->cell);
	btn_cell_slotless(w->cell, true);
	return true;
}

void btn_slot_lose(struct baton_sched *s, struct btn_worker *w, unsigned slot)
{
	w->slot = -1;
	w->comes = w->in_futex = false;
	s->on[slot] = NULL;
	btn_slot_link(&s->slotless, w);
	s->slotless_in = 0;
}

void btn_slot_lose_parked(struct baton_sched *s, struct btn_worker *w, unsigned slot)
{
	w->slot = -1;
	w->in_futex = false;
	s->on[slot] = NULL;
	btn_slot_link(&s->parked, w);
}

void btn_slot_take(struct baton_sched *s, uint64_t now, unsigned slot)
{
	struct btn_worker *w = s->on[slot];

	btn_slot_trust(w);
	/*
	 * The caller may have taken the cell already. The cell of a worker that has a permit
	 * to take is left alone: the kernel's hook would park the worker, and
	 * btn_blocked_woken() does not let one that waits go.
	 */
	if (!atomic_load_explicit(&w->waits, memory_order_acquire)) /* [PREEMPT-2] */
		btn_slot_take_cell(w);
	atomic_fetch_or_explicit(&w->flag, BTN_FLAG_NEED_RESCHED, memory_order_relaxed); /* [SCHED-1] */
	btn_slot_fold(w, slot);
	btn_core_stop(&s->core, now, slot, btn_slot_account(w, now, 0), BTN_STOP_BLOCK);
	btn_slot_lose(s, w, slot);
}

void btn_slot_end_slotless(struct btn_worker *w, uint64_t now)
{
	if (w->parked_ready) {
		w->parked_ready = false;
		btn_core_unready(&w->s->core, now, &w->task->core);
		/* The worker is the caller, or its waker sees to the rest: nobody sleeps there. */
		btn_cell_release(w->cell);
	}
	/*
	 * A worker with the signal blocked took its permit since, and came here before the
	 * monitor saw that.
	 */
	w->signal_blocked = false;
	btn_core_charge(&w->s->core, now, &w->task->req->core, btn_slot_account(w, now, 0), true);
	if (w->taken) {
		w->taken = false;
		btn_cell_slotless(w->cell, false);
		btn_cell_pays(w->cell);
		w->s->look = true;
		/* btn_slot_account() has set the mark just now. */
		w->s->unauthorised += w->cputime.mark - w->taken_cpu;
	}
	btn_slot_unlink(w);
}
