// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Stopping a worker that reaches no checkpoint, by a signal. The thread that has the lock takes
 * the slot (btn_dispatch_stop()), and sends the signal once it has given up the lock:
 *
 *	any thread (has the lock)		offender
 *	core: it stops, another is picked	spins
 *	w.slot = -1, w.waits = true
 *	unlock
 *	tgkill					handler: waits, so block
 *	resume the other one
 *	...					is given a slot, and resumed:
 *						waits = false, spins on
 *
 * gate.c says how the handler and the calls of the library share the one permit.
 *
 * The thread may be late with its signal, as any thread may be preempted: the offender may have
 * been given its next slot by then, or be asleep in the library. The signal is one too many, and
 * the handler takes the permit that is there, or returns. What is not right is that the offender
 * runs on meanwhile without a slot. So the monitor sends the signal again to a worker that
 * waits and is not parked, when it first sees that, before the worker can be taken for one
 * that has the signal blocked.
 *
 * Who is stopped when. Most tasks reach a checkpoint soon after they are told to, and to stop them
 * would be wrong: a lock of the service's that they hold would be parked with them. So the monitor looks at
 * a task twice, a while after it was told, and stops it if it used CPU all that time
 * (preempt.c). From then on it is known not to come by itself, it `spins`, and is stopped at once when a better
 * task is due, by the thread that makes that task ready, and at the end of its slice. That ends
 *
 *   - when the task gives up its slot by itself, at a checkpoint or as it blocks (slot.c);
 *   - for the slice, when it has passed a checkpoint in it: then it is told, and given the time;
 *   - when the thread finds, in the handler, that it slept in the kernel since it went on: next time the signal might
 *     end what it sleeps in with EINTR.
 *
 * Each task has to be seen once. What a tenant's other tasks did says nothing of whether a new
 * one sleeps just now. [PREEMPT-6] `spins` is set with the lock, and reset by the worker too, in the
 * handler, while it waits: no thread sets it then. The word is a guess, and orders nothing.
 *
 * [PREEMPT-5] The thread writes down its CPU clock when it parks in the handler: all that it used
 * without a slot, until the signal came, is charged without a look at the clock of another thread. A
 * thread that reads it late charges the rest the next time.
 *
 * What the thread uses from the stop until it parks is in nobody's slice: the run is settled, and what is left of its slice is free again for other tasks of
 * the tenant. So the run is charged with what that was the last times, beforehand (btn_slot_expect()), which is CPU charged by
 * time that was not used yet: the next reading of the thread's CPU clock says how much of it was too much (cputime.h), and that is given back in
 * the tier in which the run paid. That reading is made before the worker has a slot again.
 *
 * selftests/model/preempt.pml is a model of this.
 */
#include "stop.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../core/core.h"
#include "../inject.h"
#include "lazy.h"
#include "slice.h"
#include "slot.h"

bool btn_stop_signal(struct btn_wakes *wakes, const struct btn_worker *w)
{
	if (!btn_stop_has_room(wakes))
		return false;
	wakes->signals[wakes->n_signals++] = w->tid;
	return true;
}

bool btn_stop_park(struct btn_wakes *wakes, struct btn_worker *w)
{
	if (!btn_stop_signal(wakes, w))
		return false;
	w->stopped_at = 0;
	btn_slot_set_waits(w);
	return true;
}

/* A thread that has come to wait since is sent a signal too many, which does no harm. */
void btn_stop_send(const struct baton_sched *s, struct btn_wakes *wakes)
{
	int saved = errno;
	unsigned i;

	if (btn_likely(!wakes->n_signals))
		return;
	BTN_POINT("sched:stop:send");
	for (i = 0; i < wakes->n_signals; i++)
		syscall(SYS_tgkill, getpid(), wakes->signals[i], s->stop_signal);
	wakes->n_signals = 0;
	errno = saved;
}

static long times_slept(void)
{
	struct rusage use;

	return getrusage(RUSAGE_THREAD, &use) ? -1 : use.ru_nvcsw;
}

void btn_stop_parks(struct btn_worker *w)
{
	if (w->went_on >= 0 && times_slept() != w->went_on)
		btn_slot_set_spins(w, false);
	atomic_store_explicit(&w->parked_cpu, btn_slot_cpu(w), memory_order_relaxed); /* [PREEMPT-5] */
}

void btn_stop_goes_on(struct btn_worker *w)
{
	atomic_store_explicit(&w->parked_cpu, 0, memory_order_relaxed); /* [PREEMPT-5] */
	w->went_on = times_slept();
	btn_slice_arm(w);
}

bool btn_stop_spins(const struct baton_sched *s, unsigned slot)
{
	const struct btn_worker *w = s->on[slot];

	/* The first checkpoint of a slice reads the clock. */
	return s->stop_signal && atomic_load_explicit(&w->spins, memory_order_relaxed) && /* [PREEMPT-6] */
	       BTN_OWN_GET(w->quiet) == BTN_OWN_GET(w->reload) && BTN_OWN_GET(w->looked) <= s->core.run[slot].start;
}

bool btn_stop_is_known(struct baton_sched *s, unsigned slot)
{
	struct btn_worker *w = s->on[slot];

	if (!btn_stop_spins(s, slot))
		return false;
	/* The worker has not taken its last permit, or is on its way, or sleeps in the kernel. */
	return w->tid && !atomic_load_explicit(&w->waits, memory_order_acquire) && /* [PREEMPT-2] */
	       !atomic_load_explicit(&w->inside, memory_order_relaxed) && /* [PREEMPT-1] */
	       !(w->cell && btn_cell_blocked(w->cell)) && btn_lazy_off(s, w);
}

void btn_stop_show(struct baton_sched *s, uint64_t now, unsigned slot)
{
	struct baton_stats_slot *figures = &s->core.page.slots[slot];

	btn_stat_add(&figures->forced_preemptions, 1);
	/* Only the task knows since when it reached no checkpoint. */
	btn_stat_hist(&figures->gap, now - s->core.run[slot].start);
	btn_stat_max(&figures->gap_worst, now - s->core.run[slot].start);
}
