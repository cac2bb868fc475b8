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
 * orders nothing; and as little does `until`, which says when the worker should
 * look by itself. [RESCUE-1], [RESCUE-2]: sched_rescue.c.
 */
#include "sched_int.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "hazard.h"

#define SLOTS_MAX 4096
#define IDLE_POLL_US 200
#define IDLE_POLL_US_MAX 10000

void btn_sched_settle_down(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes)
{
	struct btn_core *c = &s->core;
	struct btn_request *r;
	uint64_t due, tick;
	bool calm;
	int slot;

again:
	for (;;) {
		while ((r = btn_core_done(c)))
			btn_request_done(btn_request_of(r), wakes);
		slot = btn_core_idle(c);
		if (slot < 0 || !btn_core_pick(c, now, slot)) {
			if (c->done)
				continue;
			break;
		}
		btn_wakes_add(wakes, btn_worker_assign(s, now, slot));
	}
	if (btn_hold_look(s, now) || (s->detecting && btn_sched_detect_look(s, now)))
		goto again;
	/* While slots are in use it comes by itself, often. */
	due = btn_heap_first(&c->releases, btn_heap_first(&c->deadlines, btn_heap_first(&s->timers, BTN_NEVER)));
	calm = c->span == c->slots && s->holds == c->slots - c->n_idle && !s->was_wanted;
	tick = calm ? BTN_TICK_HELD_NS : BTN_TICK_QUIET_NS;
	if ((c->n_idle < c->slots || c->span > c->slots) && now + tick < due)
		due = now + tick;
	while ((slot = btn_core_poke(c)) >= 0) {
		if (!c->run[slot].task)
			continue;
		s->poked_at[slot] = now;
		atomic_fetch_or_explicit(&s->on[slot]->flag, BTN_FLAG_STOP, memory_order_relaxed); /* [SCHED-1] */
		if (now + BTN_LOOK_NS < due)
			due = now + BTN_LOOK_NS;
	}
	if (due < btn_monitor_due(s) && btn_monitor_due(s) - due > BTN_TICK_NS / 4) {
		btn_monitor_set_due(s, due);
		wakes->monitor = true;
	}
}

void btn_sched_wake_all(struct baton_sched *s, struct btn_wakes *wakes)
{
	struct btn_worker *w, *next;
	struct baton_request *r;

	while ((r = wakes->dead)) {
		wakes->dead = r->next;
		btn_request_free(r);
	}
	for (w = wakes->first; w; w = next) {
		next = w->next;
		btn_worker_let_go(s, w);
	}
	if (wakes->monitor)
		baton_parker_resume(s->monitor_parker);
}

void btn_sched_lock(struct baton_sched *s)
{
	struct btn_worker *w = btn_self;

	btn_worker_arm(w, BTN_CELL_NOT);
	btn_sched_enter(w);
	for (;;) {
		btn_lock_acquire(&s->lock);
		if (btn_likely(!w || w->s != s ||
			       !atomic_load_explicit(&w->waits, memory_order_relaxed))) /* [RESCUE-2] */
			break;
		btn_lock_release(&s->lock);
		btn_worker_park(w, NULL);
		btn_worker_arm(w, BTN_CELL_NOT);
	}
	s->now = btn_clock_read(&s->clock);
}

void btn_sched_exit(struct btn_worker *w)
{
	uint32_t inside;

	if (!w)
		return;
	inside = atomic_load_explicit(&w->inside, memory_order_relaxed); /* [RESCUE-1] */
	for (;;) {
		if (inside == 1 && atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [RESCUE-2] */
			btn_worker_park(w, NULL);
		atomic_signal_fence(memory_order_seq_cst); /* [RESCUE-1] */
		atomic_store_explicit(&w->inside, inside - 1, memory_order_relaxed); /* [RESCUE-1] */
		atomic_signal_fence(memory_order_seq_cst); /* [RESCUE-1] */
		if (inside > 1 || !atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [RESCUE-2] */
			return;
		atomic_store_explicit(&w->inside, 1, memory_order_relaxed); /* [RESCUE-1] */
	}
}

/* The caller's call of the library ends; runs: with a slot, where it does not wait. */
static void leave(bool runs)
{
	if (runs)
		btn_worker_arm(btn_self, BTN_CELL_ARMED);
	btn_sched_exit(btn_self);
}

/* The caller ran without a slot, and does not wait for one yet. */
static bool lost_slot(const struct baton_sched *s)
{
	const struct btn_worker *w = btn_self;

	return w && w->s == s && w->slot < 0 && (w->in || w->held) &&
	       !atomic_load_explicit(&w->waits, memory_order_relaxed); /* [RESCUE-2] */
}

void btn_sched_unlock(struct baton_sched *s, struct btn_wakes *wakes)
{
	bool runs;

	/* One whose slot was taken waits for another here. */
	if (lost_slot(s))
		btn_worker_wait_again(btn_self);
	btn_sched_settle_down(s, s->now, wakes);
	runs = btn_self && btn_self->slot >= 0;
	btn_lock_release(&s->lock);
	btn_sched_wake_all(s, wakes);
	leave(runs);
}

void btn_sched_release(struct baton_sched *s)
{
	struct btn_wakes wakes = { 0 };
	bool runs = btn_self && btn_self->slot >= 0;

	if (lost_slot(s)) {
		btn_sched_unlock(s, &wakes);
		return;
	}
	btn_lock_release(&s->lock);
	leave(runs);
}

void btn_sched_trace_wake(const struct baton_task *t)
{
	const struct btn_worker *w = btn_self;
	struct baton_sched *s = t->s;
	int slot;

	if (btn_likely(!s->core.page.rings) || !w || w->s != s)
		return;
	slot = w->slot >= 0 ? w->slot : w->leaving;
	if (slot >= 0)
		btn_trace(&s->core.page, slot, s->now, BATON_TRACE_WAKES, 0, 0, t->core.req->tenant->stats,
			  t->core.req->info.number, &t->core);
}

void btn_sched_ready_locked(struct baton_task *t)
{
	btn_sched_trace_wake(t);
	btn_core_ready(&t->s->core, t->s->now, &t->core);
}

void btn_sched_want_locked(struct baton_task *t, int by)
{
	t->wanted += by;
	btn_core_urge(&t->s->core, t->s->now, &t->core, t->wanted > 0);
}

static unsigned cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
}

/* The CPU of each slot. */
static int *bound_cpus(unsigned slots, int *err)
{
	int *cpu, i;
	unsigned n = 0;
	cpu_set_t set;

	*err = -EINVAL;
	if (sched_getaffinity(0, sizeof(set), &set) || (unsigned)CPU_COUNT(&set) < slots)
		return NULL;
	*err = -ENOMEM;
	cpu = calloc(slots, sizeof(*cpu));
	for (i = 0; cpu && n < slots; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	return cpu;
}

int btn_sched_tiers(const struct baton_sched_opts *o, struct btn_tier_setup *to, uint64_t capacity)
{
	static const struct baton_tier_opts two[2] = { { .rank = 0 }, { .rank = 1 } };
	const struct baton_tier_opts *from = o->tiers ? o->tier : two;
	unsigned i, n = o->tiers ? o->tiers : 2;

	if (n < 2 || n > BTN_TIERS_MAX || !from)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		to[i].policy = btn_policy_find(from[i].policy ? from[i].policy : "quota");
		if (!to[i].policy || from[i].rank >= BTN_TIERS_MAX || from[i].reserve_ppm > BTN_PPM ||
		    from[i].limit_ppm > BTN_PPM)
			return -EINVAL;
		to[i].rank = from[i].rank;
		to[i].share = from[i].share ? from[i].share : 1;
		to[i].reserve = btn_part(capacity, from[i].reserve_ppm);
		to[i].limit = btn_part(capacity, from[i].limit_ppm);
	}
	return n;
}

int baton_sched_create(struct baton_sched **out, const struct baton_sched_opts *opts)
{
	struct baton_sched_opts o = { 0 };
	struct btn_tier_setup tiers[BTN_TIERS_MAX] = { 0 };
	struct baton_sched *s;
	uint64_t capacity;
	unsigned slots, room;
	int err, n, stop_signal = 0;

	*out = NULL;
	if (opts && opts->sz != sizeof(o))
		return -EINVAL;
	if (opts)
		o = *opts;
	room = cpus();
	slots = o.slots ? o.slots : room;
	room = room < slots ? slots : room > SLOTS_MAX ? SLOTS_MAX : room;
	capacity = slots * BTN_SECOND;
	if (!o.low_limit_ppm)
		o.low_limit_ppm = 700000;
	if (o.low_limit_ppm > 700000 || slots > SLOTS_MAX)
		return -EINVAL;
	if (o.idle_poll_us > IDLE_POLL_US_MAX && o.idle_poll_us != BATON_IDLE_POLL_NONE)
		return -EINVAL;
	if (!o.idle_poll_us)
		o.idle_poll_us = IDLE_POLL_US;
	if (o.idle_poll_us == BATON_IDLE_POLL_NONE)
		o.idle_poll_us = 0;
	n = btn_sched_tiers(&o, tiers, capacity);
	if (n < 0)
		return n;
	if (o.rescue == BATON_RESCUE_STOP)
		stop_signal = o.rescue_signal ? o.rescue_signal : SIGURG;
	else if (o.rescue != BATON_RESCUE_DEMOTE || o.rescue_signal)
		return -EINVAL;
	err = stop_signal ? btn_rescue_init(stop_signal) : 0;
	if (!err)
		err = btn_hazard_init();
	if (err)
		return err;
	s = aligned_alloc(_Alignof(struct baton_sched), sizeof(*s));
	if (!s)
		return -ENOMEM;
	memset(s, 0, sizeof(*s));
	err = btn_core_init(&s->core, slots, room, tiers, n, btn_part(capacity, o.low_limit_ppm));
	if (err)
		goto no_core;
	s->core.stock = &s->junk;
	btn_page_start(&s->core.page, slots, btn_clock_now());
	err = -ENOMEM;
	s->on = calloc(room, sizeof(*s->on) + sizeof(*s->poked_at) + sizeof(*s->cpu_at));
	if (!s->on)
		goto no_on;
	s->poked_at = (uint64_t *)(s->on + room);
	s->cpu_at = s->poked_at + room;
	if (o.bind) {
		s->cpus = bound_cpus(room, &err);
		if (!s->cpus)
			goto no_parker;
	}
	err = baton_parker_create(&s->monitor_parker);
	if (err)
		goto no_parker;
	s->max = o.workers_max ? o.workers_max : 16384;
	s->keep = o.workers_keep ? o.workers_keep : 64;
	s->stack_size = o.stack_size ? o.stack_size : 256 << 10;
	if (s->stack_size < (size_t)PTHREAD_STACK_MIN)
		s->stack_size = PTHREAD_STACK_MIN;
	s->core.workers = s->max;
	btn_birth_note(&s->birth);
	s->away.last = &s->away.first;
	s->parked.last = &s->parked.first;
	s->stop_signal = stop_signal;
	btn_sched_detect_begin(s, s->max < 4096 ? s->max : 4096, o.idle_poll_us * 1000ull);
	err = -pthread_create(&s->monitor, NULL, btn_monitor_main, s);
	if (err)
		goto no_thread;
	*out = s;
	return 0;

no_thread:
	btn_sched_detect_end(s);
	btn_detect_close(s->detect);
	baton_parker_destroy(s->monitor_parker);
no_parker:
	free(s->cpus);
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
	struct baton_request *r;

	if (!s)
		return 0;
	btn_hold_settle(s);
	btn_sched_lock(s);
	if (s->requests || atomic_load_explicit(&s->handles, memory_order_acquire) || /* [REQUEST-2] */
	    btn_tenants_busy(s)) {
		btn_lock_release(&s->lock);
		return -EBUSY;
	}
	s->stopping = true;
	w = s->idle;
	s->idle = NULL;
	btn_lock_release(&s->lock);
	btn_sched_detect_end(s);
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
		btn_worker_free(w);
	}
	for (; dead; dead = next) {
		next = dead->next;
		pthread_join(dead->thread, NULL);
		btn_worker_free(dead);
	}
	btn_tenants_free(s);
	while ((r = s->spare)) {
		s->spare = r->next;
		free(r);
	}
	baton_parker_destroy(s->monitor_parker);
	btn_core_fini(&s->core);
	btn_detect_close(s->detect);
	btn_workers_free(s);
	free(s->cpus);
	free(s->on);
	free(s);
	return 0;
}
