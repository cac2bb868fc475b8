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
 * having said so. As long as such a task sleeps in a futex, and could have a slot sooner than they (its tier
 * goes before theirs, or theirs is the same one, and they have nothing to pay with), it lends (core/lend.c) to
 * parked threads, one after the other, until one of them has released the lock. So the
 * lock is held for as long as that takes with the quota of the best of those that want it: a
 * tenant of 20 us a second that is stopped in malloc holds up nobody for longer than that. Where no other
 * task wants the sleeper's slot the slot is taken as well, since the sleeper would lend to nobody otherwise.
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
 *
 * What the kernel is asked to do, or what /proc is asked, waits until the monitor has given up the lock:
 *
 *	look, with the lock			after it, without
 *	does w sleep? its CPU clock is at C
 *						reads /proc: w sleeps
 *	the next look, at once: w slept, and
 *	its CPU clock is still at C: the slot
 *	is taken
 *
 * A thread that wakes in between, and uses CPU, is not taken for a sleeper; one that wakes just then is seen to run later,
 * as is one that wakes after the slot was taken. Questions are kept in a table of the monitor's and not with the worker, since
 * that of an attached thread may be gone by then. Only the pool's workers are demoted, and the monitor alone frees them: a
 * worker in the list is there still. The worker may have come to the library meanwhile, and be idle: the thread comes out of SCHED_IDLE with
 * its next permit, as it does wherever it was demoted [PREEMPT-4]. Or its thread has ended: then the kernel knows none of that number, as no number
 * is used again before all others were.
 *
 * Sleepers that keep their slots, as no task wants them, cost nothing. The monitor looks at a task that is late some times,
 * each time later, and sets an alarm for the time at which its thread has used some more CPU (alarm.c). At the next look the
 * slot is put into another list: it dozes, and is not among those at which the monitor looks each time it comes. A
 * slot that dozes is looked at
 *
 *   - when an alarm goes off;
 *   - BTN_ALARM_LOOK_NS later, or sooner while threads are parked, a few at a time;
 *   - while a task waits and no slot is idle, a few each time: its slot can be taken.
 *
 * The slot is watched again from there on where its task does not sleep any more, and from wherever it begins a slice or is
 * told to stop (btn_slot_watch()). A slot whose task just ended stays in its list until the monitor comes.
 */
#include "preempt.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
/* A thread that has the signal blocked, or hears it late, and sleeps, loses its slot after this time. */
#define SIGNAL_BLOCKED_ASLEEP_NS	10000000
/* /proc is asked again whether a thread sleeps in a futex, later each time, up to this. */
#define ASK_MAX_NS	1000000000
#define SLOTLESS_BATCH	16
/* Slots of sleepers that the monitor takes when it comes, at most; and those that doze at which it looks, if no more are due. */
#define ASLEEP_BATCH	16

/* All that the monitor does to slots when it comes. */
struct round {
	struct btn_wakes *wakes;
	unsigned may_take;	/* slots that may be taken from sleepers: a task waits, and none was idle when the monitor came */
	bool alarmed;		/* an alarm went off */
	bool stall;
};

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

/* Asleep: the thread does not run and is not about to, as far as /proc knows. */
static void answer_question(struct btn_question *q)
{
	char name[64], text[64];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/self/task/%d/syscall", (int)q->tid);
	n = read_file(name, text, sizeof(text) - 1);
	q->answered = true;
	if (n <= 0)
		return;
	text[n] = 0;
	q->futex = strtol(text, NULL, 10) == SYS_futex;
	q->asleep = text[0] != 'r';	/* "running", which is also "runnable" */
}

/* Question about w, of this look or of the last one; or NULL. */
static const struct btn_question *question_about(const struct baton_sched *s, const struct btn_worker *w)
{
	const struct btn_question *q;

	for (q = s->questions; q < s->questions + s->n_questions; q++)
		if (q->w == w && q->tid == w->tid)
			return q;
	return NULL;
}

enum asleep { AWAKE, ASLEEP, NOT_KNOWN };

/*
 * Whether w sleeps, and its CPU clock has stood still at `cpu` since that was asked. NOT_KNOWN: the next look, which comes
 * at once, has the answer, or can ask. *futex: it sleeps there.
 */
static enum asleep ask_asleep(struct baton_sched *s, const struct btn_worker *w, uint64_t cpu, bool *futex)
{
	const struct btn_question *q = question_about(s, w);

	if (q && q->answered) {
		*futex = q->futex;
		return q->asleep && q->cpu == cpu ? ASLEEP : AWAKE;
	}
	if (!q && s->n_questions < BTN_QUESTIONS)
		s->questions[s->n_questions++] = (struct btn_question){ .w = w, .tid = w->tid, .cpu = cpu };
	return NOT_KNOWN;
}

/* The same for a slot's task: where that is not known, the task is looked at again the next time. */
static enum asleep slot_asleep(struct baton_sched *s, unsigned slot, uint64_t cpu, bool *futex)
{
	enum asleep is = ask_asleep(s, s->on[slot], cpu, futex);

	if (is == NOT_KNOWN)
		s->looks[slot].looked_at = 0;
	return is;
}

/* Takes the slot of a task that sleeps in the kernel without having said so. */
static void leave_asleep(struct baton_sched *s, uint64_t now, unsigned slot, bool futex, struct round *round)
{
	struct btn_worker *w = s->on[slot];

	BTN_POINT("sched:preempt:take");
	btn_stop_show(s, now, slot);
	btn_slot_take(s, now, slot);
	if (round->may_take)
		round->may_take--;
	w->in_futex = futex;
	w->ask_in = BTN_TICK_NS;
	w->ask_at = now + BTN_TICK_NS;
}

/* The worker is demoted after the look. */
static void demote_worker(struct btn_worker *w)
{
	/* A thread of the caller's might never get out of SCHED_IDLE again. */
	if (btn_slot_demoted(w) || w->attached || w->demotes)
		return;
	w->demotes = true;
	w->next_demoted = w->s->demotes;
	w->s->demotes = w;
}

bool btn_preempt_after_look(struct baton_sched *s)
{
	struct sched_param p = { 0 };
	struct btn_worker *w;
	unsigned i;

	while ((w = s->demotes)) {
		s->demotes = w->next_demoted;
		w->demotes = false;
		BTN_POINT("sched:preempt:demote");
		if (!sched_setscheduler(w->tid, SCHED_IDLE, &p))
			btn_slot_set_demoted(w, true);
	}
	BTN_POINT("sched:preempt:ask");
	for (i = 0; i < s->n_questions; i++)
		answer_question(&s->questions[i]);
	return s->n_questions;
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
	uint64_t in = s->looks[slot].in;
	uint64_t most = s->was_wanted ? BTN_LOOK_WANTED_NS : look_most(s, s->on[slot]->alarm_at);

	return s->looks[slot].looked_at + (in < most ? in : most);
}

/* Could the slot's task lend to one of those that are parked? */
static bool may_lend(struct baton_sched *s, uint64_t now, unsigned slot)
{
	const struct btn_worker *w;
	unsigned n;

	for (n = 0, w = s->parked.first; w && n < SLOTLESS_BATCH; n++, w = w->next_slotless)
		if (btn_core_goes_before(&s->core, now, s->core.run[slot].task, &w->task->core))
			return true;
	return false;
}

/* No task waits for the slot: its task is looked at when it has used so much CPU. */
static void leave_to_alarm(struct baton_sched *s, unsigned slot, uint64_t cpu, uint64_t at)
{
	struct btn_worker *w = s->on[slot];

	/* At first the looks are closer than the kernel's tick, by which an alarm goes off. */
	if (s->looks[slot].in < BTN_LOOK_MAX_NS)
		return;
	/* An alarm that is wanted now may not be had: the next look is for that. */
	if (btn_alarm_is_set(w, cpu))
		btn_slot_look_in(&s->looks[slot], &s->dozing);
	else
		btn_alarm_want(s, w, at);
}

static void look_at_slot(struct baton_sched *s, uint64_t now, unsigned slot, struct round *round)
{
	uint64_t ran = s->stop_signal ? RAN_NS : DEMOTE_NS;
	struct btn_worker *w = s->on[slot];
	uint64_t until = atomic_load_explicit(&w->until, memory_order_relaxed), cpu; /* [SCHED-1] */
	bool futex = false, wanted = round->may_take, again;

	BTN_POINT("sched:preempt:slot");
	/* The task is not late: its slot is cached, and is taken for any task that waits. */
	if (btn_lazy_is_cached(w))
		return;
	if (!s->looks[slot].resched_at && now >= until + GRACE_NS) {
		s->looks[slot].resched_at = s->looks[slot].looked_at = until + GRACE_NS;
		s->looks[slot].in = BTN_LOOK_NS;
		atomic_fetch_or_explicit(&w->flag, BTN_FLAG_NEED_RESCHED, memory_order_relaxed); /* [SCHED-1] */
	}
	if (!s->looks[slot].resched_at)
		return;
	if (btn_stop_is_known(s, slot)) {
		btn_dispatch_stop(s, now, slot, 0, round->wakes);
		return;
	}
	if (now < next_look(s, slot))
		return;
	again = !s->looks[slot].looked_at;
	s->looks[slot].looked_at = now;
	/* The worker is on its way, or has not taken its slot yet. */
	if (!w->tid || atomic_load_explicit(&w->inside, memory_order_relaxed)) { /* [PREEMPT-1] */
		if (now > s->looks[slot].resched_at + BTN_STALL_NS &&
		    (!w->tid || atomic_load_explicit(&w->waits, memory_order_relaxed) || slot_asleep(s, slot, 0, &futex) == ASLEEP)) /* [PREEMPT-2] */
			round->stall = true;
		return;
	}
	if (!btn_lazy_off(s, w))
		return;
	cpu = btn_slot_cpu(w);
	if (!s->looks[slot].cpu_at) {
		if (atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [PREEMPT-2] */
			btn_stop_signal(round->wakes, w);
		s->looks[slot].cpu_at = cpu;
		return;
	}
	/* A task that sleeps, or waits for a CPU, or has a slot that no task wants. */
	if (!again && s->looks[slot].in < BTN_LOOK_MAX_NS && s->looks[slot].looked_at - s->looks[slot].resched_at > 2 * BTN_LOOK_NS)
		s->looks[slot].in *= 2;
	if (atomic_load_explicit(&w->waits, memory_order_acquire)) { /* [PREEMPT-2] */
		if (cpu - s->looks[slot].cpu_at >= SIGNAL_BLOCKED_NS) {
			btn_stop_show(s, now, slot);
			btn_slot_take(s, now, slot);
			w->signal_blocked = true;
			demote_worker(w);
		} else if (now >= s->looks[slot].resched_at + SIGNAL_BLOCKED_ASLEEP_NS && wanted &&
			   !atomic_load_explicit(&w->parked, memory_order_relaxed) && slot_asleep(s, slot, cpu, &futex) == ASLEEP) { /* [PREEMPT-1] */
			/* The worker was stopped, went to sleep outside of the handler, and has been given a slot. */
			leave_asleep(s, now, slot, futex, round);
			w->signal_blocked = true;
		}
	} else if (cpu - s->looks[slot].cpu_at >= ran) {
		if (s->stop_signal) {
			btn_slot_set_spins(w, true);
			btn_dispatch_stop(s, now, slot, 0, round->wakes);
		} else if (wanted) {
			btn_stop_show(s, now, slot);
			btn_slot_take(s, now, slot);
			demote_worker(w);
		} else {
			leave_to_alarm(s, slot, cpu, cpu + BTN_LOOK_MAX_NS);
		}
	} else if (now >= s->looks[slot].resched_at + ASLEEP_NS) {
		enum asleep is = wanted || may_lend(s, now, slot) ? slot_asleep(s, slot, cpu, &futex) : AWAKE;

		if (is == ASLEEP && (wanted || futex))
			leave_asleep(s, now, slot, futex, round);
		else if (is != NOT_KNOWN && !wanted)
			leave_to_alarm(s, slot, cpu, s->looks[slot].cpu_at + ran);
	}
}

/* True: the worker sleeps, as it used no CPU (cpu: since the last look), and its alarm is set, or is about to be. */
static bool can_be_left(struct baton_sched *s, struct btn_worker *w, uint64_t cpu)
{
	bool waits = atomic_load_explicit(&w->waits, memory_order_relaxed); /* [PREEMPT-2] */

	return !cpu && (!waits || (w->signal_blocked && w->given)) &&
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

/* An alarm went off: all workers that have one set, and do not doze, are looked at now, or in turn. */
static void look_for_alarm(struct baton_sched *s)
{
	struct btn_look *l;

	for (l = s->watched.first; l; l = l->next)
		if (s->core.run[l - s->looks].task && s->on[l - s->looks]->alarm_at)
			l->in = BTN_LOOK_NS;
	if (s->slotless_in > BTN_TICK_NS)
		s->slotless_in = BTN_TICK_NS;
	s->slotless_armed = 0;
}

/* Slots that doze: those at which a look is due, and a few more of them then, or where a task waits for a slot. */
static void look_at_dozing(struct baton_sched *s, uint64_t now, struct round *round)
{
	unsigned n, left = s->dozing.n, slot;
	bool few = round->may_take;
	struct btn_look *l;

	for (n = 0; left && (l = s->dozing.first); left--) {
		slot = l - s->looks;
		if (!s->core.run[slot].task) {
			btn_slot_look_out(l);
			continue;
		}
		if (round->alarmed || now >= l->looked_at + look_most(s, true))
			few = true;
		else if (!few || n >= ASLEEP_BATCH)
			break;
		n++;
		btn_slot_watch(s, slot);
		l->looked_at = 0;	/* now */
		look_at_slot(s, now, slot, round);
		/* The task does not sleep, or not any more. */
		if (l->list == &s->watched)
			l->in = BTN_LOOK_NS;
	}
}

static void look_at_watched(struct baton_sched *s, uint64_t now, struct round *round)
{
	struct btn_look *l, *next;

	for (l = s->watched.first; l; l = next) {
		next = l->next;
		if (s->core.run[l - s->looks].task)
			look_at_slot(s, now, l - s->looks, round);
		else
			btn_slot_look_out(l);
	}
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
 * A task that could have a slot sooner sleeps in a futex, perhaps for a lock of a parked one: the
 * sleeper lends to those in turn.
 */
static void suspect_parked(struct baton_sched *s, uint64_t now)
{
	struct btn_worker *w, *next, *sleeper = NULL;
	bool futex = false;
	unsigned i;

	if (!s->parked.first)
		return;
	for (w = s->slotless.first; w; w = w->next_slotless) {
		if (!w->in_futex || atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [PREEMPT-2] */
			continue;
		if (now >= w->ask_at) {
			enum asleep is = ask_asleep(s, w, 0, &futex);

			/* Until the answer is there the last one holds. */
			if (is != NOT_KNOWN) {
				w->in_futex = is == ASLEEP && futex;
				w->ask_in = w->ask_in < ASK_MAX_NS ? 2 * w->ask_in : ASK_MAX_NS;
				w->ask_at = now + w->ask_in;
			}
		}
		if (w->in_futex && btn_core_can_lend(&s->core, now, &w->task->core) &&
		    (!sleeper || btn_core_rank(&s->core, &w->task->core) < btn_core_rank(&s->core, &sleeper->task->core)))
			sleeper = w;
	}
	for (i = 0; i < s->core.slots_in_use; i++)
		if (s->on[i] && s->on[i]->suspect.lenders) {
			if (sleeper)
				return;		/* only one at a time is suspected */
			btn_slot_trust(s->on[i]);
		}
	for (w = s->parked.first; w; w = next) {
		next = w->next_slotless;
		if (sleeper && btn_core_goes_before(&s->core, now, &sleeper->task->core, &w->task->core)) {
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
	struct round round = { .wakes = wakes, .alarmed = btn_alarm_heard(s) };
	unsigned answers = s->n_questions;

	/* A worker that parked at the end of its slice is not late. */
	btn_dispatch_end_slices(s, now, wakes);
	if (round.alarmed)
		look_for_alarm(s);
	if (!s->core.n_idle && btn_core_waits(&s->core, now))
		round.may_take = ASLEEP_BATCH;
	look_at_watched(s, now, &round);
	look_at_dozing(s, now, &round);
	if (s->stop_signal)
		end_stall(s, round.stall, wakes);
	if (s->detect)
		btn_blocked_woken(s, now);
	look_at_slotless(s, now, wakes);
	suspect_parked(s, now);
	/* Answers are of use for one look. */
	s->n_questions -= answers;
	memmove(s->questions, s->questions + answers, s->n_questions * sizeof(*s->questions));
}

/* The time of the next look at slots that doze. */
static uint64_t next_dozing(const struct baton_sched *s, uint64_t now)
{
	uint64_t when;

	if (!s->dozing.first)
		return BTN_NEVER;
	if (s->was_wanted)
		return now + BTN_LOOK_NS;
	when = s->dozing.first->looked_at + look_most(s, true);
	return when < now ? now + BTN_LOOK_NS : when;
}

uint64_t btn_preempt_next(struct baton_sched *s, uint64_t now)
{
	uint64_t due = s->slotless.first ? now + (s->slotless_in ? s->slotless_in : BTN_TICK_NS) : BTN_NEVER, when;
	const struct btn_look *l;
	unsigned i;

	s->late = false;
	when = next_dozing(s, now);
	if (when < due)
		due = when;

	for (l = s->watched.first; l; l = l->next) {
		i = l - s->looks;
		if (!s->core.run[i].task)
			continue;
		if (!s->was_wanted && !s->looks[i].resched_at && btn_lazy_is_on(s->on[i])) {
			/*
			 * The tenant's quota is far from its end; and btn_dispatch() makes the
			 * monitor come sooner when a task comes to wait.
			 */
			when = now + BTN_TICK_LAZY_NS;
		} else if (btn_lazy_is_cached(s->on[i])) {
			when = now + BTN_TICK_QUIET_NS;
		} else {
			if (s->looks[i].resched_at)
				when = next_look(s, i);
			else
				when = atomic_load_explicit(&s->on[i]->until, memory_order_relaxed) + GRACE_NS; /* [SCHED-1] */
			if (when < now)
				when = now + BTN_LOOK_NS;
			if (s->looks[i].resched_at)
				s->late = true;
			else if (now + BTN_TICK_QUIET_NS < when)
				when = now + BTN_TICK_QUIET_NS;
		}
		if (when < due)
			due = when;
	}
	return due;
}
