/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/sched/gate.c, stop.c, slice.c and preempt.c: a worker whose slot is taken where it reaches no call of the
 * library, by a signal in whose handler it parks, or because it sleeps in the kernel, or that parks by itself
 * at the end of its slice; and the one permit that goes with each slot.
 *
 * The worker takes its signal whenever it likes, or not for long (signal_blocked). The
 * monitor does one thing each time that it has the lock; the giver gives the slot,
 * and lets go later. Any thread stops the worker as the monitor does, and sends the signal a while after it gave up the lock. Which words are read when: as there. With the lock all is
 * sequentially consistent, and so is a thread with its own signal's handler; inside and
 * parked are read by the monitor a moment before it acts.
 *
 * A sleeper loses its slot by a question. The monitor reads the thread's CPU clock with the lock, and gives up the
 * lock; asks /proc whether the thread sleeps; and takes the slot at its next look if it does and the clock has not
 * moved. In between any thread may stop the worker, end its slice or give it a slot, and the worker may wake, run, park
 * and come to the library. That is the last branch of look_at_slot(), slot_asleep(), ask_asleep(), answer_question()
 * and leave_asleep() in preempt.c. A thread that is parked sleeps as well; its clock stands still until it has taken
 * its permit, as parked_cpu does (btn_slot_cpu() in slot.c).
 *
 * There is one worker, and so one question at a time. The model leaves out
 *   - the table of questions, and that an answer is found by the worker and its tid;
 *   - that a worker which waits loses its slot by an answer, too: here it may lose that at any time ("does not hear");
 *   - the questions of suspect_parked(), and those that tell a stall: no slot is taken by their answers;
 *   - a parked thread's timeouts after which it parks again;
 *   - time: whether a sleeper's slot is taken at all.
 *
 * Wrong: a task made ready twice, or with a slot; a permit given where there is one; the slot of a thread that ran since
 * /proc was asked taken as a sleeper's;
 * a slot used that is another's; a worker that waits for ever (an invalid end state).
 * BROKEN_* each make one mistake.
 */
#ifndef CALLS
#define CALLS 3
#endif
#define TIMERS 2

bool lock;
bool waits, given, signal_blocked, slotless, in_park, stall_escape;	/* slotless, in_park: the two lists */
bool parked, inside, permit, sig, asleep;
bool slot = true, ready;
bool stalled;			/* the monitor was late; once */
bool spins;			/* it goes on for that, until it is sent a signal */
bool ended;
bit resent;			/* once */
mtype = { RUNS, OVER, WITHDRAWN, TAKING };
mtype slice = RUNS;
bool listed;
byte timers;			/* that went off */
/*
 * The worker's CPU clock is not where it stood when the question was put; and the worker ran since /proc was asked, which only the
 * assertion knows. Both are true where there is no question.
 */
bool ran = true, ran_since = true;

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

inline make_ready() { atomic { assert(!ready && !slot); ready = true } }

/* With the lock. */
inline end_away()
{
	atomic {
#ifndef BROKEN_SIGNAL_BLOCKED_STAYS
		signal_blocked = false;
#endif
		slotless = false; in_park = false
	}
}
inline set_waits() { atomic { given = false; waits = true } }

inline uses_cpu() { atomic { ran = true; ran_since = true } }

inline park()
{
	parked = true;
	atomic { permit -> permit = false; ran_since = true };
	atomic { parked = false; ran = true };
	waits = false
}

inline withdraw()
{
	if
	:: atomic { slice == OVER -> slice = WITHDRAWN }
	:: slice == RUNS || slice == WITHDRAWN
	fi
}

/* On its own thread, with `inside` set. */
inline wait_stopped()
{
	do
#ifdef BROKEN_STAYS_OVER
	:: waits || slice == OVER || slice == TAKING ->
#else
	/* A thread with the lock is about to say what is to be. */
	:: slice == TAKING -> slice != TAKING
	:: slice != TAKING && (waits || slice == OVER) ->
#endif
		parked = true;
		if
		:: atomic { permit -> permit = false; ran_since = true };
			atomic { parked = false; ran = true };
			waits = false;
#ifndef BROKEN_STAYS_OVER
			withdraw()
#endif
		/* Nobody comes: it goes on, and still waits, or has its slot. It calls nobody by itself. */
		:: atomic { !stalled && !permit -> stalled = true; ran_since = true };
			atomic { parked = false; ran = true };
			withdraw();
			spins = waits;
			inside = false;
#ifndef BROKEN_GOES_ON_UNSEEN
			stall_escape = true;
#endif
			break
		fi
	:: slice != TAKING && slice != OVER && !waits ->
		inside = false;
		if
		:: waits -> inside = true
		:: else -> break
		fi
	od
}

/* On its own thread; not in itself. */
inline handler()
{
	sig = false;
	if
	:: waits && !inside ->
		inside = true;
		wait_stopped()
	:: else
	fi
}
inline timer_handler()
{
	timers++;
	spins = false;
	if
	:: waits -> inside = true
	:: else ->
		inside = true;
		if
		:: atomic { slice == WITHDRAWN -> slice = OVER }
		:: else -> slice = OVER; assert(!listed); listed = true
		fi
	fi;
	wait_stopped()
}
inline interrupted()
{
	do
	:: sig -> spins = false; handler()
	:: timers < TIMERS -> timer_handler()
	:: !spins -> break
	od
}

inline sched_lock()
{
	inside = true;
	acquire();
	do
	:: waits ->
		release();
		park();
		acquire()
	:: else -> break
	od
}

inline sched_exit()
{
	do
	:: true ->
		if
		:: waits -> park()
		:: else
		fi;
		inside = false;
		interrupted();
		if
		:: waits -> inside = true
		:: else -> break
		fi
	od
}

/* With the lock: it waits for a slot, and gives up the lock. */
inline come_back()
{
	end_away();
	make_ready();
	set_waits();
	release();
	sched_exit()
}

active proctype worker()
{
	byte n = 0;

	do
	:: n < CALLS ->
		interrupted();
		/* It sleeps in the kernel, or not. */
		if
		:: asleep = true; asleep = false; uses_cpu()
		:: true
		fi;
		interrupted();
		sched_lock();
		if
		:: !slot -> come_back()
		/* A checkpoint: the next one may be itself. */
		:: slot && n == 1 ->
			slot = false;
			set_waits();
			make_ready();
			release();
			sched_exit()
		:: else ->
			release();
			sched_exit()
		fi;
		n++
	:: else -> break
	od;
	/* The task ends. */
	sched_lock();
#ifdef BROKEN_COMES_BACK_ONCE
	if
	:: !slot -> come_back(); interrupted(); sched_lock()
	:: else
	fi;
#else
	do
	:: !slot -> come_back(); interrupted(); sched_lock()
	:: else -> break
	od;
#endif
	assert(slot && !ready && slice != OVER && slice != TAKING);
	slot = false;
	ended = true;
	release()
}

/* As look_at_slot(), look_at_slotless() and btn_blocked_take(). */
active proctype monitor()
{
end:	do
	/* It is stopped. */
	:: atomic { !lock && slot && !waits && !inside && !ended -> lock = true };
		slot = false;
		slotless = true;
		make_ready();
		set_waits();
		sig = true;
		release()
	/* Does it sleep? Its clock is read a moment after `inside`, here and at the next look. */
#ifdef BROKEN_LOOKS_ONCE
	:: atomic { !lock && slot && !inside && !waits && !ended -> lock = true };
#else
	:: atomic { !lock && slot && !inside && !ended -> lock = true };
#endif
		atomic { ran = false; release() };
		/* /proc is asked without the lock. */
		if
		:: atomic { asleep || parked -> ran_since = false };
#ifdef BROKEN_CLOCK_READ_LATE
			ran = false;
#endif
			/* The next look. */
			acquire();
			if
#ifdef BROKEN_LOOKS_ONCE
			:: !inside && !ended ->
#elif defined(BROKEN_INSIDE_NOT_LOOKED_AT)
			:: slot && !ended ->
#else
			:: slot && !inside && !ended ->
#endif
				if
#ifdef BROKEN_CLOCK_NOT_COMPARED
				:: atomic { true -> assert(!ran_since) };
#else
				:: atomic { !ran -> assert(!ran_since) };
#endif
					if
#if defined(BROKEN_LOOKS_ONCE) || defined(BROKEN_TAKES_BEFORE_THE_PERMIT)
					:: true ->
#else
					:: !waits ->
#endif
						/* A thread that wakes just now is seen to run later. */
						slot = false;
						slotless = true
					:: else
					fi
				:: else
				fi
			:: else
			fi;
			atomic { uses_cpu(); release() }
		:: atomic { !asleep -> uses_cpu() }
		fi
	/* It was given a slot again, and does not hear. */
	:: atomic { !lock && slot && waits && !inside && !ended -> lock = true };
		slot = false;
		slotless = true;
		signal_blocked = true;
		release()
	/* It has parked. */
#ifdef BROKEN_FORGETS_THE_PERMIT
	:: atomic { !lock && slotless && waits && parked -> lock = true };
#else
	:: atomic { !lock && slotless && waits && parked && !(signal_blocked && given) -> lock = true };
#endif
		slotless = false;
		in_park = true;
		if
		:: signal_blocked -> make_ready()
		:: else
		fi;
		signal_blocked = false;
		release()
	/* It has not parked yet: whoever stopped it may be late with the signal. */
	:: atomic { !lock && slotless && waits && !parked && !sig && resent == 0 -> lock = true };
		resent = 1;
		sig = true;
		release()
	/* It does not hear, and has no slot. */
	:: atomic { !lock && slotless && waits && !parked && !inside && !signal_blocked -> lock = true };
		assert(ready);
		ready = false;
		signal_blocked = true;
		release()
	/* The worker slept, or was signal_blocked, and runs. */
	:: atomic { !lock && slotless && !waits && !inside -> lock = true };
		signal_blocked = false;
		make_ready();
		set_waits();
		sig = true;
		release()
	/* The worker went on for a stall. */
	:: atomic { !lock && stall_escape -> lock = true };
		stall_escape = false;
		if
		:: waits && !parked -> sig = true
		:: else
		fi;
		release()
	od
}

/* A thread that made a better task ready: btn_dispatch_stop(), and btn_stop_send(). */
active proctype stopper()
{
end:	do
#ifdef BROKEN_STOPS_BEFORE_THE_PERMIT
	:: atomic { !lock && slot && !inside && !ended -> lock = true };
#else
	:: atomic { !lock && slot && !waits && !inside && !ended -> lock = true };
#endif
		slot = false;
		slotless = true;
		make_ready();
		set_waits();
		release();
		/* It gave up the lock, and is late. */
		sig = true
	od
}

/* Any thread with the lock: btn_dispatch_end_slices(). */
active proctype taker()
{
end:	do
	:: atomic { !lock && listed -> lock = true; listed = false };
		if
		:: atomic { slice == OVER -> slice = TAKING };
#ifdef BROKEN_TAKEN_FIRST
			slice = RUNS;
#endif
			if
			:: waits -> slice = RUNS
			:: else ->
				set_waits();
				slice = RUNS;
				if
				:: slot ->
					slot = false;
					in_park = true
				/* It slept, and lost its slot then. */
				:: else -> end_away()
				fi;
				make_ready()
			fi
		:: atomic { slice == WITHDRAWN -> slice = RUNS }
		fi;
		release()
	od
}

active proctype giver()
{
end:	do
	:: atomic { !lock && ready -> lock = true };
		assert(!slot && waits);
		ready = false;
		if
		:: slotless || in_park -> end_away()
		:: else
		fi;
		given = waits;
		slot = true;
		release();
		/* A moment later. */
		atomic { assert(!permit); permit = true }
	od
}
