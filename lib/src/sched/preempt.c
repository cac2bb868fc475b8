// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Forced preemption: what happens to a task that is to stop and reaches no checkpoint.
 *
 * BATON_PREEMPT_STOP. The slot is taken away. The task is ready again and waits for its turn like any other. Its
 * thread is sent a signal, and parks in the signal's handler until it is given a slot: stop.c.
 * The monitor does so to tasks of which nothing is known yet, after two looks, and to those that are known not to come,
 * at the end of their slices.
 *
 * A thread that holds a lock which is not this library's (malloc's, a pthread_mutex_t of the
 * service) is parked with it, and the lock's next user sleeps in the kernel, in a slot. The
 * monitor takes that slot, too, as it does from any task that sleeps in the kernel without
 * having said so. As long as such a task sleeps in a futex, and its tier goes before theirs,
 * it lends (core/lend.c) to parked threads, one after the other, until one of them has
 * released the lock.
 *
 * A thread that has the signal blocked runs on with its `waits` set. The thread is made
 * SCHED_IDLE, and its task is blocked until the thread comes to wait after all (`parked`) or,
 * where it had been given a slot and a permit meanwhile, took that permit (`waits` is false):
 * two permits would be one again. In the second case the thread may come to the library and
 * wait there before the monitor has seen that the signal is not blocked any more. So
 * btn_slot_end_slotless() resets signal_blocked; else the task would be made ready a second
 * time when it is stopped the next time.
 *
 * selftests/model/preempt.pml is a model of all this.
 *
 * BATON_PREEMPT_DEMOTE. The thread is not stopped but made SCHED_IDLE, and runs on with the
 * CPU that others leave.
 */
#include "preempt.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../core/core.h"
#include "../inject.h"
#include "alarm.h"
#include "blocked.h"
#include "dispatch.h"
#include "lazy.h"
#include "slot.h"
#include "stop.h"
#include "tick.h"
#include "wait.h"

/* Time by which a slice is overrun before need_resched is set. */
#define GRACE_NS	100000
/*
 * BTN_LOOK_NS after need_resched was set the task's CPU clock is read, and as long after that
 * again: the task loses its slot if it ran for this long in between. A task that only waits
 * for the kernel to run it keeps its slot: another would not run any sooner.
 */
#define RAN_NS		50000
/* CPU that a task may use before it is demoted, as that can often not be undone. */
#define DEMOTE_NS	500000
/* A task that sleeps in the kernel loses its slot after this time. */
#define ASLEEP_NS	1000000
/* A thread that ran on for so long after the signal has it blocked. */
#define SIGNAL_BLOCKED_NS		5000000
/* /proc is asked again whether a thread sleeps in a futex, later each time, up to this. */
#define ASK_MAX_NS	1000000000
#define SLOTLESS_BATCH	16

/* Bytes read, or -1. */
static ssize_t read_file(const char *name, char *text, size_t room)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, room);
	close(fd);
	return n;
}

/*
 * True: the thread does not run and is not about to, as far as /proc knows. *futex: it sleeps
 * there.
 */
static bool is_asleep(const struct btn_worker *w, bool *futex)
{
	char name[64], text[64];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/self/task/%d/syscall", (int)w->tid);
	BTN_EXCUSED("/proc", n = read_file(name, text, sizeof(text) - 1));
	if (n <= 0)
		return false;
	text[n] = 0;
	*futex = strtol(text, NULL, 10) == SYS_futex;
	return text[0] != 'r';	/* "running", which is also "runnable" */
}

/* Takes the slot of a task that sleeps in the kernel without having said so. */
static void leave_asleep(struct baton_sched *s, uint64_t now, unsigned slot, bool futex)
{
	struct btn_worker *w = s->on[slot];

	btn_stop_show(s, now, slot);
	btn_slot_take(s, now, slot);
	w->in_futex = futex;
	w->ask_in = BTN_TICK_NS;
	w->ask_at = now + BTN_TICK_NS;
}

static void demote_worker(struct btn_worker *w)
{
	struct sched_param p = { 0 };

	/* A thread of the caller's might never get out of SCHED_IDLE again. */
	if (!btn_slot_demoted(w) && !w->attached)
		BTN_EXCUSED("demotion", btn_slot_set_demoted(w, sched_setscheduler(w->tid, SCHED_IDLE, &p) == 0));
}

/*
 * Delay until the next look at a worker that is asleep, and has its alarm set or not. A parked
 * thread may be what the sleeper waits for (suspect_parked()), or what holds up the monitor: is_stalled()
 * in gate.c.
 */
static uint64_t look_most(const struct baton_sched *s, bool alarm)
{
	if (!alarm || s->parked.first)
		return BTN_LOOK_MAX_NS;
	return BTN_FAIL("sched:alarm:only") ? BTN_NEVER / 4 : BTN_ALARM_LOOK_NS;
}

/* The time of the next look at the slot's task, which has need_resched set. */
static uint64_t next_look(const struct baton_sched *s, unsigned slot)
{
	uint64_t in = s->look_in[slot];
	uint64_t most = s->was_wanted ? BTN_LOOK_WANTED_NS : look_most(s, s->on[slot]->alarm_at);

	return s->looked_at[slot] + (in < most ? in : most);
}

/* No task waits for the slot: its task is looked at when it has used so much CPU. */
static void leave_to_alarm(struct baton_sched *s, unsigned slot, uint64_t cpu, uint64_t at)
{
	struct btn_worker *w = s->on[slot];

	/* At first the looks are closer than the kernel's tick, by which an alarm goes off. */
	if (s->look_in[slot] >= BTN_LOOK_MAX_NS && (btn_alarm_is_set(w, cpu) || btn_alarm_want(s, w, at)))
		s->look_in[slot] = look_most(s, true);
}

static void look_at_slot(struct baton_sched *s, uint64_t now, unsigned slot, struct btn_wakes *wakes, bool *stall)
{
	uint64_t ran = s->stop_signal ? RAN_NS : DEMOTE_NS;
	struct btn_worker *w = s->on[slot];
	uint64_t until = atomic_load_explicit(&w->until, memory_order_relaxed), cpu; /* [SCHED-1] */
	bool futex = false;

	/* The task is not late: its slot is cached, and is taken for any task that waits. */
	if (btn_lazy_is_cached(w))
		return;
	if (!s->resched_at[slot] && now >= until + GRACE_NS) {
		s->resched_at[slot] = s->looked_at[slot] = until + GRACE_NS;
		s->look_in[slot] = BTN_LOOK_NS;
		atomic_fetch_or_explicit(&w->flag, BTN_FLAG_NEED_RESCHED, memory_order_relaxed); /* [SCHED-1] */
	}
	if (!s->resched_at[slot])
		return;
	if (btn_stop_is_known(s, slot)) {
		btn_dispatch_stop(s, now, slot, 0, wakes);
		return;
	}
	if (now < next_look(s, slot))
		return;
	s->looked_at[slot] = now;
	/* The worker is on its way, or has not taken its slot yet. */
	if (!w->tid || atomic_load_explicit(&w->inside, memory_order_relaxed)) { /* [PREEMPT-1] */
		if (now > s->resched_at[slot] + BTN_STALL_NS &&
		    (!w->tid || atomic_load_explicit(&w->waits, memory_order_relaxed) || is_asleep(w, &futex))) /* [PREEMPT-2] */
			*stall = true;
		return;
	}
	if (!btn_lazy_off(s, w))
		return;
	cpu = btn_slot_cpu(w);
	if (!s->cpu_at[slot]) {
		if (atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [PREEMPT-2] */
			btn_stop_signal(wakes, w);
		s->cpu_at[slot] = cpu;
		return;
	}
	/* A task that sleeps, or waits for a CPU, or has a slot that no task wants. */
	if (s->look_in[slot] < BTN_LOOK_MAX_NS && s->looked_at[slot] - s->resched_at[slot] > 2 * BTN_LOOK_NS)
		s->look_in[slot] *= 2;
	if (atomic_load_explicit(&w->waits, memory_order_acquire)) { /* [PREEMPT-2] */
		if (cpu - s->cpu_at[slot] >= SIGNAL_BLOCKED_NS) {
			btn_stop_show(s, now, slot);
			btn_slot_take(s, now, slot);
			w->signal_blocked = true;
			demote_worker(w);
		}
	} else if (cpu - s->cpu_at[slot] >= ran) {
		if (s->stop_signal) {
			btn_slot_set_spins(w, true);
			btn_dispatch_stop(s, now, slot, 0, wakes);
		} else if (btn_core_waits(&s->core, now)) {
			btn_stop_show(s, now, slot);
			btn_slot_take(s, now, slot);
			demote_worker(w);
		} else {
			leave_to_alarm(s, slot, cpu, cpu + BTN_LOOK_MAX_NS);
		}
	} else if (now >= s->resched_at[slot] + ASLEEP_NS) {
		if (!btn_core_waits(&s->core, now))
			leave_to_alarm(s, slot, cpu, s->cpu_at[slot] + ran);
		else if (is_asleep(w, &futex))
			leave_asleep(s, now, slot, futex);
	}
}

/* True: the worker sleeps, as it used no CPU (cpu: since the last look), and its alarm is set, or is about to be. */
static bool can_be_left(struct baton_sched *s, struct btn_worker *w, uint64_t cpu)
{
	return !cpu && !atomic_load_explicit(&w->waits, memory_order_relaxed) && /* [PREEMPT-2] */
	       (w->alarm_at || btn_alarm_want(s, w, w->cputime.mark + RAN_NS));
}

/* Delay until the next look at slotless workers, which are all asleep and have their alarms set. */
static uint64_t armed_look(const struct baton_sched *s)
{
	uint64_t in = look_most(s, true);

	/* All of them in that time, a few each time. */
	if (s->slotless.n > SLOTLESS_BATCH)
		in = in * SLOTLESS_BATCH / s->slotless.n;
	return in > BTN_TICK_NS ? in : BTN_TICK_NS;
}

/* An alarm went off: all workers that have one set are looked at now, or in turn. */
static void look_for_alarm(struct baton_sched *s)
{
	unsigned i;

	for (i = 0; i < s->core.slots_in_use; i++)
		if (s->core.run[i].task && s->on[i]->alarm_at)
			s->look_in[i] = BTN_LOOK_NS;
	if (s->slotless_in > BTN_TICK_NS)
		s->slotless_in = BTN_TICK_NS;
	s->slotless_armed = 0;
}

/* Looks at slotless workers, which may be running all the same. */
static void look_at_slotless(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes)
{
	struct btn_worker *w, *next, *last = NULL;
	bool ran = false;
	uint64_t cpu;
	unsigned n;

	if (!s->slotless_in)
		s->slotless_armed = 0;

	/* A few each time, in turn: thousands may sleep. */
	for (n = 0, w = s->slotless.first; w && w != last && n < SLOTLESS_BATCH; n++, w = next) {
		next = w->next_slotless;
		btn_slot_unlink(w);
		btn_slot_link(&s->slotless, w);
		last = last ? last : w;
		cpu = btn_slot_account(w, now, 0);
		btn_core_charge(&s->core, now, &w->task->req->core, cpu, true);
		if (btn_alarm_is_set(w, w->cputime.mark))
			cpu = 0;	/* the worker used less than what is of interest */
		ran |= cpu;
		s->slotless_armed = can_be_left(s, w, cpu) ? s->slotless_armed + 1 : 0;
		if (atomic_load_explicit(&w->waits, memory_order_acquire)) { /* [PREEMPT-2] */
			if (w->signal_blocked && w->given)
				continue;	/* the worker has a permit to take */
			if (atomic_load_explicit(&w->parked, memory_order_relaxed)) { /* [PREEMPT-1] */
				btn_slot_unlink(w);
				btn_slot_link(&s->parked, w);
				if (w->signal_blocked)
					btn_wait_ready_locked(w->task);
				w->signal_blocked = false;
			} else if (!w->stopped_at) {
				/* The thread that stopped it may be late with the signal. */
				if (btn_stop_signal(wakes, w))
					w->stopped_at = w->cputime.mark;
			} else if (!w->signal_blocked && w->cputime.mark - w->stopped_at > SIGNAL_BLOCKED_NS) {
				btn_core_unready(&s->core, now, &w->task->core);
				w->signal_blocked = true;
				demote_worker(w);
			}
		} else if (s->stop_signal && cpu >= RAN_NS &&
			   !atomic_load_explicit(&w->inside, memory_order_relaxed) && /* [PREEMPT-1] */
			   btn_stop_has_room(wakes) && (!w->cell || btn_cell_spare(w->cell)) && btn_stop_park(wakes, w)) {
			/*
			 * The worker slept, and woke; or has the signal blocked no more. If the
			 * kernel has parked it just now, btn_blocked_woken() sees to it.
			 */
			w->signal_blocked = false;
			btn_wait_ready_locked(w->task);
		}
	}
	/* All were looked at, and sleep: later each time, or when one is heard of. */
	if (!s->slotless_in || ran)
		s->slotless_in = BTN_TICK_NS;
	else if (s->slotless_armed >= s->slotless.n)
		s->slotless_in = armed_look(s);
	else if (n == SLOTLESS_BATCH)
		s->slotless_in = BTN_TICK_NS;
	else if (s->slotless_in < BTN_LOOK_MAX_NS)
		s->slotless_in *= 2;
}

/*
 * A task of a better tier sleeps in a futex, perhaps for a lock of a parked one: the sleeper
 * lends to those in turn.
 */
static void suspect_parked(struct baton_sched *s, uint64_t now)
{
	struct btn_worker *w, *next, *sleeper = NULL;
	unsigned rank = BTN_TIERS_MAX, i;

	if (!s->parked.first)
		return;
	for (w = s->slotless.first; w; w = w->next_slotless) {
		if (!w->in_futex || atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [PREEMPT-2] */
			continue;
		if (now >= w->ask_at) {
			if (!is_asleep(w, &w->in_futex))
				w->in_futex = false;
			w->ask_in = w->ask_in < ASK_MAX_NS ? 2 * w->ask_in : ASK_MAX_NS;
			w->ask_at = now + w->ask_in;
		}
		i = btn_core_rank(&s->core, &w->task->core);
		if (w->in_futex && i < rank) {
			rank = i;
			sleeper = w;
		}
	}
	for (i = 0; i < s->core.slots_in_use; i++)
		if (s->on[i] && s->on[i]->suspect.lenders) {
			if (sleeper)
				return;		/* only one at a time is suspected */
			btn_slot_trust(s->on[i]);
		}
	for (w = s->parked.first; w; w = next) {
		next = w->next_slotless;
		if (rank < btn_core_rank(&s->core, &w->task->core)) {
			btn_slot_suspect(w, sleeper);
			return;
		}
		btn_slot_trust(w);
	}
}

/* The worker went on because of a stall. */
static void stop_again(struct baton_sched *s, const struct btn_worker *w, struct btn_wakes *wakes)
{
	if (w && w->tid && atomic_load_explicit(&w->waits, memory_order_relaxed) && /* [PREEMPT-2] */
	    !atomic_load_explicit(&w->parked, memory_order_relaxed) && /* [PREEMPT-1] */
	    !btn_stop_signal(wakes, w))
		atomic_store_explicit(&s->stall_escape, true, memory_order_relaxed); /* [PREEMPT-3] */
}

static void end_stall(struct baton_sched *s, bool stall, struct btn_wakes *wakes)
{
	const struct btn_worker *w;
	unsigned i;

	atomic_store_explicit(&s->stall, stall, memory_order_relaxed); /* [PREEMPT-3] */
	if (stall || btn_likely(!atomic_load_explicit(&s->stall_escape, memory_order_relaxed)) || /* [PREEMPT-3] */
	    !atomic_exchange_explicit(&s->stall_escape, false, memory_order_acquire)) /* [PREEMPT-3] */
		return;
	for (i = 0; i < s->core.slots_in_use; i++)
		if (s->core.run[i].task)
			stop_again(s, s->on[i], wakes);
	for (w = s->slotless.first; w; w = w->next_slotless)
		stop_again(s, w, wakes);
	for (w = s->parked.first; w; w = w->next_slotless)
		stop_again(s, w, wakes);
}

void btn_preempt_look(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes)
{
	bool stall = false;
	unsigned i;

	/* A worker that parked at the end of its slice is not late. */
	btn_dispatch_end_slices(s, now, wakes);
	if (btn_alarm_heard(s))
		look_for_alarm(s);
	for (i = 0; i < s->core.slots_in_use; i++)
		if (s->core.run[i].task)
			look_at_slot(s, now, i, wakes, &stall);
	if (s->stop_signal)
		end_stall(s, stall, wakes);
	if (s->detect)
		btn_blocked_woken(s, now);
	look_at_slotless(s, now, wakes);
	suspect_parked(s, now);
}

uint64_t btn_preempt_next(struct baton_sched *s, uint64_t now)
{
	uint64_t due = s->slotless.first ? now + (s->slotless_in ? s->slotless_in : BTN_TICK_NS) : BTN_NEVER, when;
	unsigned i;

	s->late = false;

	for (i = 0; i < s->core.slots_in_use; i++) {
		if (!s->core.run[i].task)
			continue;
		if (!s->was_wanted && !s->resched_at[i] && btn_lazy_is_on(s->on[i])) {
			/*
			 * The tenant's quota is far from its end; and btn_dispatch() makes the
			 * monitor come sooner when a task comes to wait.
			 */
			when = now + BTN_TICK_LAZY_NS;
		} else if (btn_lazy_is_cached(s->on[i])) {
			when = now + BTN_TICK_QUIET_NS;
		} else {
			if (s->resched_at[i])
				when = next_look(s, i);
			else
				when = atomic_load_explicit(&s->on[i]->until, memory_order_relaxed) + GRACE_NS; /* [SCHED-1] */
			if (when < now)
				when = now + BTN_LOOK_NS;
			if (s->resched_at[i])
				s->late = true;
			else if (now + BTN_TICK_QUIET_NS < when)
				when = now + BTN_TICK_QUIET_NS;
		}
		if (when < due)
			due = when;
	}
	return due;
}
