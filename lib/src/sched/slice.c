// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The end of a slice of a task that spins. The monitor is a thread that has to be scheduled: on a
 * busy machine it comes milliseconds late, and all that time the task runs past its slice. So the
 * worker of a task that is known not to come by itself (stop.c) has a timer on CLOCK_MONOTONIC, which
 * sends the signal to its own thread. The worker sets the timer in the signal's handler, when it goes on with a
 * new slice: a task that comes by itself has none. When it goes off, the thread parks in the handler, and no CPU is used
 * any more, however long it takes until a thread with the lock takes the slot.
 *
 * The code that was interrupted may hold any lock but the scheduler's, malloc's too, for which a
 * thread with the scheduler's lock may wait. So the handler takes no lock. It puts the worker into a
 * list, and wakes the monitor. Any thread that gives up the lock looks at the list (btn_dispatch()).
 *
 *	worker, in its handler			a thread with the lock
 *	slice: RUNS -> OVER			list -> empty
 *	pushes itself				OVER -> TAKING
 *	wakes the monitor			waits = true
 *	parks while OVER, or waits		TAKING -> RUNS
 *						the run stops
 *						...is given a slot: the permit
 *
 * Broken: TAKING -> RUNS, and then waits = true. The worker finds neither, goes on, and no signal comes. And: another
 * thread stops the worker just as the timer goes off, it parks with OVER set, gets the permit for its next
 * slot, and parks again. So it withdraws when it has a permit. While TAKING it cannot know what is to be, and
 * yields until that is over.
 *
 * [SLICE-1] The worker's exchange that pushes it releases what is said of it (parked_cpu, the run's
 * own words), and the exchange that empties the list acquires it; TAKING -> RUNS is released, and acquired by
 * the worker that looks whether it has to wait. The permit orders the rest.
 *
 * A stall (gate.c) lets the worker go on although no thread came: OVER -> WITHDRAWN, a compare-and-swap
 * which only one of the two makes. The worker is still in the list then. If its slice ends again before
 * the list is emptied, WITHDRAWN -> OVER is enough. Nobody is in the list twice, and nobody that is in it is freed: a
 * worker ends, or goes, through btn_dispatch(), with the lock, and in no handler.
 *
 * The thread may have been stopped by another one just before (waits), or have lost its slot as it slept; what
 * is to be done then says end_slice() in dispatch.c. selftests/model/preempt.pml has all of it.
 *
 * The slice is CPU that was reserved. So it begins when the worker goes on, and not when the
 * slot was given to it: where a CPU is not to be had at once, a slice of 40 us would be over before it
 * began, time after time. `until` moves on by that, as in lazy.c.
 *
 * [SLICE-2] The owner's word `slice_timer` says whether there is a timer; others take it as a hint, and it orders nothing.
 *
 * A timer may go off in a later slice than it was set for, or in none. The handler looks at the clock, and
 * ignores it if the worker came by itself since, or passed a checkpoint in this slice: that one, or the monitor, sees to
 * the slice's end.
 */
#include "slice.h"

#include <errno.h>
#include <sched.h>

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <baton/park.h>

#include "../inject.h"

/* The library's clock may be behind the kernel's by so much. */
#define EARLY_NS	5000

enum { RUNS, OVER, WITHDRAWN, TAKING };

/* The address of this marks the signals of these timers. */
static char mark;

static bool make_timer(struct btn_worker *w)
{
	int has = atomic_load_explicit(&w->slice_timer, memory_order_relaxed); /* [SLICE-2] */
	struct sigevent e;

	if (has)
		return has > 0;
	memset(&e, 0, sizeof(e));
	e.sigev_notify = SIGEV_THREAD_ID;
	e.sigev_signo = w->s->stop_signal;
	e.sigev_value.sival_ptr = &mark;
	e._sigev_un._tid = w->tid;
	has = BTN_FAIL("sched:slice:timer") || syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &w->slice_timer_id) ? -1 : 1;
	atomic_store_explicit(&w->slice_timer, has, memory_order_relaxed); /* [SLICE-2] */
	return has > 0;
}

void btn_slice_arm(struct btn_worker *w)
{
	uint64_t now, looked = BTN_OWN_GET(w->looked), begin = looked, until = atomic_load_explicit(&w->until, memory_order_relaxed); /* [SCHED-1] */
	struct itimerspec when = { 0 };

	/* A worker that goes on for a stall has its old slice: `until` was moved on already. */
	if (looked == w->slice_looked)
		begin = w->slice_began;
	if (!atomic_load_explicit(&w->spins, memory_order_relaxed) || until <= begin || !make_timer(w)) /* [PREEMPT-6] */
		return;
	now = btn_clock_now();
	if (now > begin)
		until += now - begin;
	atomic_store_explicit(&w->until, until, memory_order_relaxed); /* [SCHED-1] */
	w->slice_looked = looked;
	w->slice_began = now > begin ? now : begin;
	when.it_value = btn_clock_timespec(until);
	syscall(SYS_timer_settime, w->slice_timer_id, TIMER_ABSTIME, &when, NULL);
}

void btn_slice_free(struct btn_worker *w)
{
	int saved = errno;

	if (atomic_load_explicit(&w->slice_timer, memory_order_relaxed) > 0) /* [SLICE-2] */
		syscall(SYS_timer_delete, w->slice_timer_id);
	atomic_store_explicit(&w->slice_timer, 0, memory_order_relaxed); /* [SLICE-2] */
	errno = saved;
}

bool btn_slice_is_signal(const siginfo_t *info)
{
	return info->si_code == SI_TIMER && info->si_value.sival_ptr == &mark;
}

bool btn_slice_ends(const struct btn_worker *w)
{
	/* A thread that takes a cached slot resets `spins` before that. */
	uint64_t lazy = atomic_load_explicit(&w->lazy, memory_order_acquire); /* [LAZY-1] */

	if (lazy > BTN_LAZY_RUNS || w->hinted || !atomic_load_explicit(&w->spins, memory_order_relaxed)) /* [PREEMPT-6] */
		return false;
	return BTN_OWN_GET(w->looked) == w->slice_looked && BTN_OWN_GET(w->quiet) == BTN_OWN_GET(w->reload) &&
	       btn_clock_now() + EARLY_NS >= atomic_load_explicit(&w->until, memory_order_relaxed); /* [SCHED-1] */
}

void btn_slice_over(struct btn_worker *w)
{
	struct baton_sched *s = w->s;
	uint32_t state = WITHDRAWN;

	BTN_POINT("sched:slice:over");
	if (!atomic_compare_exchange_strong_explicit(&w->slice, &state, OVER, memory_order_acq_rel, /* [SLICE-1] */
						     memory_order_relaxed)) { /* [SLICE-1] */
		atomic_store_explicit(&w->slice, OVER, memory_order_relaxed); /* [SLICE-1] */
		w->next_over = atomic_load_explicit(&s->over, memory_order_relaxed); /* [SLICE-1] */
		while (!atomic_compare_exchange_weak_explicit(&s->over, &w->next_over, w, memory_order_release, /* [SLICE-1] */
							      memory_order_relaxed)) /* [SLICE-1] */
			;
	}
	BTN_POINT("sched:slice:pushed");
	baton_parker_resume(s->monitor_parker);
}

/* The state, which is not TAKING: that is over in a few instructions of a thread that waits for nothing. */
static uint32_t slice_state(const struct btn_worker *w)
{
	uint32_t state;

	while ((state = atomic_load_explicit(&w->slice, memory_order_acquire)) == TAKING) /* [SLICE-1] */
		sched_yield();
	return state;
}

bool btn_slice_is_over(const struct btn_worker *w)
{
	return slice_state(w) == OVER;
}

void btn_slice_withdraw(struct btn_worker *w)
{
	uint32_t state = OVER;

	if (!atomic_compare_exchange_strong_explicit(&w->slice, &state, WITHDRAWN, memory_order_acq_rel, /* [SLICE-1] */
						     memory_order_relaxed)) /* [SLICE-1] */
		slice_state(w);
}

struct btn_worker *btn_slice_all(struct baton_sched *s)
{
	if (btn_likely(!btn_slice_any(s)))
		return NULL;
	return atomic_exchange_explicit(&s->over, NULL, memory_order_acquire); /* [SLICE-1] */
}

bool btn_slice_take(struct btn_worker *w)
{
	uint32_t state = OVER;

	BTN_POINT("sched:slice:take");
	while (!atomic_compare_exchange_strong_explicit(&w->slice, &state, state == OVER ? TAKING : RUNS,
							memory_order_acq_rel, memory_order_relaxed)) /* [SLICE-1] */
		;
	return state == OVER;
}

void btn_slice_taken(struct btn_worker *w)
{
	BTN_POINT("sched:slice:taken");
	atomic_store_explicit(&w->slice, RUNS, memory_order_release); /* [SLICE-1] */
}
