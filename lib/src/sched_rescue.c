// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Rescue: what becomes of a task that is to stop and reaches no checkpoint.
 *
 * BATON_RESCUE_STOP. The monitor takes the slot away: the task is ready again
 * and waits for its turn like any other, and its thread is sent a signal, in
 * whose handler it parks until it is given a slot:
 *
 *	monitor (has the lock)			offender
 *	core: it stops, another is picked	spins
 *	w.slot = -1, w.waits = true
 *	tgkill					handler: waits, so block
 *	unlock, resume the other one
 *	...					is given a slot, and resumed:
 *						waits = false, spins on
 *
 * The handler must not park a thread that is inside this library, where it may
 * hold the scheduler's lock, or the allocator's on its behalf, or be about to
 * park anyway: every call that takes the lock counts itself in w.inside, and
 * looks at waits on its way out. So whoever gets there first consumes the one
 * permit that goes with the slot:
 *
 *	handler				a call of the library
 *					inside = 1
 *	inside: return			...
 *					inside = 0
 *					waits? inside = 1, block, waits = false,
 *					inside = 0, and look again
 *
 * A signal that comes after the last look finds inside == 0, and the handler
 * does it. Both run on the same thread, so [RESCUE-1] (inside, and parked, which
 * says for the monitor that waiting has begun) are relaxed. waits is set with the
 * lock held, by the owner before it blocks or by the monitor. Nobody takes the slot
 * of a worker whose waits is still set, not the monitor and not who sees it blocked
 * in the kernel: it has not consumed its last permit yet, and two would be one.
 * Its reset by the owner is released, and acquired by those [RESCUE-2]: whoever gave
 * the permit had it in a list of those to wake (w.next), which is over by then. Who
 * sees the reset late comes again.
 *
 * A thread that holds a lock of somebody else's (malloc's, a pthread_mutex_t
 * of the service) is parked with it, and that lock's next user sleeps in the
 * kernel, in a slot. The monitor takes that slot, too (as of any task that sleeps
 * in the kernel without a word), and as long as it sleeps in a futex, and its
 * tier goes before theirs, parked threads are given a turn one after the other,
 * whatever their quota says, until one of them has let it go.
 *
 * And that lock's next user may be one without which nobody gets a turn: who has the
 * scheduler's lock and allocates, the monitor, or who makes the thread to which
 * a slot was given (pthread_create() allocates).
 *
 *	offender			monitor
 *	malloc: takes its lock
 *	handler: parks
 *					takes the scheduler's lock; malloc: sleeps
 *	(nobody takes any slot)
 *
 * So who is stopped asks from time to time whether the monitor is late [RESCUE-3], or has
 * said that a slot is taken by one that does not come out of the library (jam); then it
 * goes on, still waiting (waits), and says so (loose). When there is no jam any more,
 * the monitor sends the signal again to all that wait and are not parked. Both words
 * are hints for what comes again: late they cost time.
 *
 * A thread that does not take the signal (it blocks it) runs on with its waits
 * set. It is made SCHED_IDLE, and its task is blocked until its thread comes to
 * wait after all (parked) or, where it had been given a slot and a permit
 * meanwhile, took that one (waits is false): two permits would be one again. The
 * latter may come to the library and wait there before the monitor has seen that it is
 * not deaf any more: whoever ends its being without a slot says so, or it would be made
 * ready a second time when it is stopped the next time.
 *
 * selftests/model/rescue.pml is a model of all this.
 *
 * BATON_RESCUE_DEMOTE. The thread is not stopped but made SCHED_IDLE, and runs on
 * with the CPU that others leave.
 */
#include "sched_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "park.h"

/* By how much a grant is overrun before it is to stop. */
#define GRACE_NS	100000
/*
 * BTN_LOOK_NS after it was to stop its CPU clock is looked at, and as long after
 * that again: it loses its slot if it ran meanwhile. One that only waits for the kernel to run it
 * keeps it: another would not run any sooner.
 */
#define RAN_NS		50000
/* What a demoted one may use first, as that can often not be undone. */
#define DEMOTE_NS	500000
/* One that sleeps in the kernel loses its slot after that. */
#define ASLEEP_NS	1000000
/* One that ran on for so long after the signal does not take it. */
#define DEAF_NS		5000000
/* A sleeper is asked again whether it waits for a lock, later each time. */
#define ASK_MAX_NS	1000000000
#define AWAY_BATCH	16
/* So long, and nobody comes: those that are stopped go on for a moment. They ask after a quarter of it, then later each time. */
#define JAM_NS		100000000
#define JAM_MAX_NS	1000000000

static pthread_mutex_t signal_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before[NSIG];
static bool ours[NSIG];

/* 0: it has its permit; -ETIMEDOUT; or -EINTR: it was called, which only one who waits in the library is. */
static int park_until(struct btn_worker *w, struct btn_worker *to, uint64_t deadline)
{
	_Atomic uint32_t *called = w->cell && deadline == BATON_FOREVER ? &w->cell->called : NULL;
	int err;

	btn_worker_arm(w, BTN_CELL_NOT);
	atomic_store_explicit(&w->parked, true, memory_order_relaxed); /* [RESCUE-1] */
	/* One that was stopped goes on where it was, and does not look. */
	if (called)
		btn_cell_slotless(w->cell, true);
	err = btn_parker_wait(w->parker, to ? to->parker : NULL, deadline, called);
	if (called)
		btn_cell_slotless(w->cell, false);
	atomic_store_explicit(&w->parked, false, memory_order_relaxed); /* [RESCUE-1] */
	if (err)
		return err;
	if (btn_unlikely(btn_worker_demoted(w))) {
		struct sched_param p = { 0 };

		/* Where it may. Else it stays what it is until its task ends. */
		btn_worker_set_demoted(w, sched_setscheduler(0, SCHED_OTHER, &p) != 0);
	}
	atomic_store_explicit(&w->waits, false, memory_order_release); /* [RESCUE-2] */
	btn_worker_arm(w, BTN_CELL_ARMED);
	return 0;
}

void btn_worker_park(struct btn_worker *w, struct btn_worker *to)
{
	while (park_until(w, to, BATON_FOREVER)) {
		btn_worker_answer(w);
		to = NULL;
	}
	if (w->cell && btn_cell_owes(w->cell))
		btn_worker_pay(w);
}

/* The monitor does not come, or says so. */
static bool jammed(struct baton_sched *s)
{
	uint64_t due = atomic_load_explicit(&s->monitor_due, memory_order_relaxed), now = btn_clock_now(); /* [RESCUE-3] */

	return atomic_load_explicit(&s->jam, memory_order_relaxed) || (now > due && now - due > JAM_NS); /* [RESCUE-3] */
}

/* As btn_sched_exit(), for one that was stopped anywhere. */
static void wait_stopped(struct btn_worker *w)
{
	uint64_t in = JAM_NS / 4;

	for (;;) {
		if (atomic_load_explicit(&w->waits, memory_order_relaxed) && /* [RESCUE-2] */
		    park_until(w, NULL, btn_clock_now() + in)) {
			if (!jammed(w->s)) {
				in = in < JAM_MAX_NS ? 2 * in : JAM_MAX_NS;
				continue;
			}
			atomic_store_explicit(&w->inside, 0, memory_order_relaxed); /* [RESCUE-1] */
			atomic_store_explicit(&w->s->loose, true, memory_order_release); /* [RESCUE-3] */
			return;
		}
		atomic_signal_fence(memory_order_seq_cst); /* [RESCUE-1] */
		atomic_store_explicit(&w->inside, 0, memory_order_relaxed); /* [RESCUE-1] */
		atomic_signal_fence(memory_order_seq_cst); /* [RESCUE-1] */
		if (!atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [RESCUE-2] */
			return;
		atomic_store_explicit(&w->inside, 1, memory_order_relaxed); /* [RESCUE-1] */
	}
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct btn_worker *w = btn_self;
	int saved = errno;

	if (w && atomic_load_explicit(&w->waits, memory_order_relaxed)) { /* [RESCUE-2] */
		if (!atomic_load_explicit(&w->inside, memory_order_relaxed)) { /* [RESCUE-1] */
			atomic_store_explicit(&w->inside, 1, memory_order_relaxed); /* [RESCUE-1] */
			wait_stopped(w);
		}
	} else if (before[sig].sa_flags & SA_SIGINFO) {
		before[sig].sa_sigaction(sig, info, context);
	} else if (before[sig].sa_handler != SIG_DFL && before[sig].sa_handler != SIG_IGN) {
		before[sig].sa_handler(sig);
	}
	errno = saved;
}

int btn_rescue_init(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
	int err = 0;

	if (sig <= 0 || sig >= NSIG)
		return -EINVAL;
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

void btn_rescue_thread(const struct baton_sched *s)
{
	sigset_t set;

	if (!s->stop_signal)
		return;
	sigemptyset(&set);
	sigaddset(&set, s->stop_signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ------------------------------------------------- lists of those without a slot */

static void link_away(struct btn_away *list, struct btn_worker *w)
{
	w->in = list;
	w->next_away = NULL;
	w->prev_away = list->last;
	*list->last = w;
	list->last = &w->next_away;
}

void btn_worker_unlink_away(struct btn_worker *w)
{
	if (!w->in)
		return;
	*w->prev_away = w->next_away;
	if (w->next_away)
		w->next_away->prev_away = w->prev_away;
	else
		w->in->last = w->prev_away;
	w->in = NULL;
}

static void set_urged(struct btn_worker *w, bool on)
{
	if (w->urged == on)
		return;
	w->urged = on;
	btn_sched_want_locked(w->task, on ? 1 : -1);
}

void btn_worker_unurge(struct btn_worker *w)
{
	set_urged(w, false);
}

/* ---------------------------------------------------------- taking a slot away */

static void send(const struct baton_sched *s, struct btn_worker *w)
{
	w->stopped_at = btn_worker_cpu(w);
	btn_worker_set_waits(w);
	syscall(SYS_tgkill, getpid(), w->tid, s->stop_signal);
}

static void lose_slot(struct baton_sched *s, struct btn_worker *w, unsigned slot)
{
	w->slot = -1;
	w->in_futex = false;
	s->on[slot] = NULL;
	link_away(&s->away, w);
}

static void show_rescue(struct baton_sched *s, uint64_t now, unsigned slot)
{
	struct baton_stats_slot *figures = &s->core.page.slots[slot];

	btn_stat_add(&figures->rescues, 1);
	/* Since when it reached none, only it knows. */
	btn_stat_hist(&figures->gap, now - s->core.run[slot].start);
	btn_stat_max(&figures->gap_worst, now - s->core.run[slot].start);
}

/* It reaches no checkpoint: it goes on where nobody else is due, or parks. */
static void stop(struct baton_sched *s, uint64_t now, unsigned slot, struct btn_wakes *wakes)
{
	struct btn_core *c = &s->core;
	struct btn_worker *w = s->on[slot];
	struct btn_task *next;

	show_rescue(s, now, slot);
	btn_worker_unurge(w);
	btn_hold_fold(w, slot);
	btn_core_stop(c, now, slot, btn_worker_account(w, now, 0), BTN_STOP_YIELD);
	next = btn_core_pick(c, now, slot);
	if (next == &w->task->core) {
		btn_worker_renew(s, w, now, slot);
		return;
	}
	lose_slot(s, w, slot);
	send(s, w);
	if (next)
		btn_wakes_add(wakes, btn_worker_assign(s, now, slot));
}

/* Not running, and not about to either, as far as /proc knows: *futex says where. */
static bool sleeps(const struct btn_worker *w, bool *futex)
{
	char name[64], text[64];
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/self/task/%d/syscall", (int)w->tid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	*futex = strtol(text, NULL, 10) == SYS_futex;
	return text[0] != 'r';	/* "running", which is also "runnable" */
}

bool btn_worker_take_cell(struct btn_worker *w)
{
	if (!w->cell || !btn_cell_take(w->cell))
		return false;
	w->taken = true;
	w->taken_cpu = btn_cell_cpu(w->cell);
	btn_cell_slotless(w->cell, true);
	return true;
}

void btn_worker_take_slot(struct baton_sched *s, uint64_t now, unsigned slot)
{
	struct btn_worker *w = s->on[slot];

	btn_worker_unurge(w);
	/*
	 * Unless whoever calls has. Nor of one that has its permit to take: the kernel's hook
	 * would park it, and who waits is not let go there (btn_sched_detect_woken()).
	 */
	if (!atomic_load_explicit(&w->waits, memory_order_acquire)) /* [RESCUE-2] */
		btn_worker_take_cell(w);
	atomic_fetch_or_explicit(&w->flag, BTN_FLAG_STOP, memory_order_relaxed); /* [SCHED-1] */
	btn_hold_fold(w, slot);
	btn_core_stop(&s->core, now, slot, btn_worker_account(w, now, 0), BTN_STOP_BLOCK);
	lose_slot(s, w, slot);
}

/* A task that sleeps in the kernel and did not say so. */
static void leave_asleep(struct baton_sched *s, uint64_t now, unsigned slot, bool futex)
{
	struct btn_worker *w = s->on[slot];

	show_rescue(s, now, slot);
	btn_worker_take_slot(s, now, slot);
	w->in_futex = futex;
	w->ask_in = BTN_TICK_NS;
	w->ask_at = now + BTN_TICK_NS;
}

static void demote(struct btn_worker *w)
{
	struct sched_param p = { 0 };

	/* A guest's thread may never get out of it again. */
	if (!btn_worker_demoted(w) && !w->guest)
		btn_worker_set_demoted(w, sched_setscheduler(w->tid, SCHED_IDLE, &p) == 0);
}

static void look_at_slot(struct baton_sched *s, uint64_t now, unsigned slot, struct btn_wakes *wakes, bool *jam)
{
	struct btn_worker *w = s->on[slot];
	uint64_t until = atomic_load_explicit(&w->until, memory_order_relaxed), cpu; /* [SCHED-1] */
	bool futex = false;

	/* It is not late, it is away; and may be taken by whoever waits. */
	if (btn_hold_is_idle(w))
		return;
	if (!s->poked_at[slot] && now >= until + GRACE_NS) {
		s->poked_at[slot] = until + GRACE_NS;
		atomic_fetch_or_explicit(&w->flag, BTN_FLAG_STOP, memory_order_relaxed); /* [SCHED-1] */
	}
	if (!s->poked_at[slot] || now < s->poked_at[slot] + BTN_LOOK_NS)
		return;
	/* It is on its way, or has not taken its slot yet. */
	if (!w->tid || atomic_load_explicit(&w->inside, memory_order_relaxed)) { /* [RESCUE-1] */
		if (now > s->poked_at[slot] + JAM_NS &&
		    (!w->tid || atomic_load_explicit(&w->waits, memory_order_relaxed) || sleeps(w, &futex))) /* [RESCUE-2] */
			*jam = true;
		return;
	}
	if (!btn_hold_off(s, w))
		return;
	cpu = btn_worker_cpu(w);
	if (!s->cpu_at[slot]) {
		s->cpu_at[slot] = cpu;
		return;
	}
	if (atomic_load_explicit(&w->waits, memory_order_acquire)) { /* [RESCUE-2] */
		if (cpu - s->cpu_at[slot] >= DEAF_NS) {
			show_rescue(s, now, slot);
			btn_worker_take_slot(s, now, slot);
			w->deaf = true;
			demote(w);
		}
	} else if (cpu - s->cpu_at[slot] >= (s->stop_signal ? RAN_NS : DEMOTE_NS)) {
		if (s->stop_signal) {
			stop(s, now, slot, wakes);
		} else if (btn_core_waits(&s->core, now)) {
			show_rescue(s, now, slot);
			btn_worker_take_slot(s, now, slot);
			demote(w);
		}
	} else if (now >= s->poked_at[slot] + ASLEEP_NS && btn_core_waits(&s->core, now) && sleeps(w, &futex)) {
		/* It may have run a little before that. */
		leave_asleep(s, now, slot, futex);
	}
}

/* Those without a slot that may be running all the same. */
static void look_at_away(struct baton_sched *s, uint64_t now)
{
	struct btn_worker *w, *next, *last = NULL;
	uint64_t cpu;
	unsigned n;

	/* A few each time, in turn: there may be thousands that sleep. */
	for (n = 0, w = s->away.first; w && w != last && n < AWAY_BATCH; n++, w = next) {
		next = w->next_away;
		btn_worker_unlink_away(w);
		link_away(&s->away, w);
		last = last ? last : w;
		cpu = btn_worker_account(w, now, 0);
		btn_core_charge(&s->core, now, &w->task->req->core, cpu);
		if (atomic_load_explicit(&w->waits, memory_order_acquire)) { /* [RESCUE-2] */
			if (w->deaf && w->given)
				continue;	/* it has a permit to take, and did not yet */
			if (atomic_load_explicit(&w->parked, memory_order_relaxed)) { /* [RESCUE-1] */
				btn_worker_unlink_away(w);
				link_away(&s->parked, w);
				if (w->deaf)
					btn_sched_ready_locked(w->task);
				w->deaf = false;
			} else if (!w->deaf && w->meter.mark - w->stopped_at > DEAF_NS) {
				btn_core_unready(&s->core, now, &w->task->core);
				w->deaf = true;
				demote(w);
			}
		} else if (s->stop_signal && cpu >= RAN_NS &&
			   !atomic_load_explicit(&w->inside, memory_order_relaxed)) { /* [RESCUE-1] */
			/* It slept, and woke; or was deaf. */
			w->deaf = false;
			btn_sched_ready_locked(w->task);
			send(s, w);
		}
	}
}

/* Somebody important waits for a lock, perhaps of one that is parked: its turn. */
static void unstick(struct baton_sched *s, uint64_t now)
{
	struct btn_worker *w, *next;
	unsigned rank = BTN_TIERS_MAX, i;

	if (!s->parked.first)
		return;
	for (w = s->away.first; w; w = w->next_away) {
		if (!w->in_futex || atomic_load_explicit(&w->waits, memory_order_relaxed)) /* [RESCUE-2] */
			continue;
		if (now >= w->ask_at) {
			if (!sleeps(w, &w->in_futex))
				w->in_futex = false;
			w->ask_in = w->ask_in < ASK_MAX_NS ? 2 * w->ask_in : ASK_MAX_NS;
			w->ask_at = now + w->ask_in;
		}
		i = btn_core_rank(&s->core, &w->task->core);
		if (w->in_futex && i < rank)
			rank = i;
	}
	for (i = 0; i < s->core.span; i++)
		if (s->on[i] && s->on[i]->urged) {
			if (rank < BTN_TIERS_MAX)
				return;		/* one at a time */
			btn_worker_unurge(s->on[i]);
		}
	for (w = s->parked.first; w; w = next) {
		next = w->next_away;
		if (rank < btn_core_rank(&s->core, &w->task->core)) {
			set_urged(w, true);
			return;
		}
		btn_worker_unurge(w);
	}
}

/* It went on because of a jam. Once too often does no harm. */
static void stop_again(const struct baton_sched *s, const struct btn_worker *w)
{
	if (w && w->tid && atomic_load_explicit(&w->waits, memory_order_relaxed) && /* [RESCUE-2] */
	    !atomic_load_explicit(&w->parked, memory_order_relaxed)) /* [RESCUE-1] */
		syscall(SYS_tgkill, getpid(), w->tid, s->stop_signal);
}

static void end_jam(struct baton_sched *s, bool jam)
{
	const struct btn_worker *w;
	unsigned i;

	atomic_store_explicit(&s->jam, jam, memory_order_relaxed); /* [RESCUE-3] */
	if (jam || btn_likely(!atomic_load_explicit(&s->loose, memory_order_relaxed)) || /* [RESCUE-3] */
	    !atomic_exchange_explicit(&s->loose, false, memory_order_acquire)) /* [RESCUE-3] */
		return;
	for (i = 0; i < s->core.span; i++)
		if (s->core.run[i].task)
			stop_again(s, s->on[i]);
	for (w = s->away.first; w; w = w->next_away)
		stop_again(s, w);
	for (w = s->parked.first; w; w = w->next_away)
		stop_again(s, w);
}

void btn_rescue_look(struct baton_sched *s, uint64_t now, struct btn_wakes *wakes)
{
	bool jam = false;
	unsigned i;

	for (i = 0; i < s->core.span; i++)
		if (s->core.run[i].task)
			look_at_slot(s, now, i, wakes, &jam);
	if (s->stop_signal)
		end_jam(s, jam);
	if (s->detect)
		btn_sched_detect_woken(s, now);
	look_at_away(s, now);
	unstick(s, now);
}

uint64_t btn_rescue_next(struct baton_sched *s, uint64_t now)
{
	uint64_t due = s->away.first ? now + BTN_TICK_NS : BTN_NEVER, when;
	unsigned i;

	for (i = 0; i < s->core.span; i++) {
		if (!s->core.run[i].task)
			continue;
		if (!s->was_wanted && !s->poked_at[i] && btn_hold_is_on(s->on[i])) {
			/* Its quota is far from its end; and for who comes to wait it is soon enough then (settle_down). */
			when = now + BTN_TICK_HELD_NS;
		} else if (btn_hold_is_idle(s->on[i])) {
			when = now + BTN_TICK_QUIET_NS;
		} else {
			if (s->poked_at[i])
				when = s->poked_at[i] + BTN_LOOK_NS > now ? s->poked_at[i] + BTN_LOOK_NS :
									    now + BTN_LOOK_NS;
			else
				when = atomic_load_explicit(&s->on[i]->until, memory_order_relaxed) + GRACE_NS; /* [SCHED-1] */
			if (now + BTN_TICK_QUIET_NS < when)
				when = now + BTN_TICK_QUIET_NS;
		}
		if (when < due)
			due = when;
	}
	return due;
}
