/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpf/hook.bpf.c and lib/src/sched/blocked.c, [WAKER-1]: two workers block, each on a
 * CPU of its own, while tasks wait; the kernel's program wakes a third worker, which waits
 * for a slot and was named for that, so that it looks at the cells; or else rings
 * the doorbell. The third one is given slots meanwhile, and loses them: by a checkpoint, or
 * because it is stopped, in whose signal's handler it sleeps on the same word and must not
 * take the scheduler's lock. It may be woken for nothing.
 *
 * That each side writes first and looks then is detect.pml's; all here is
 * sequentially consistent.
 *
 * Wrong: one that blocked, and nobody looks at its cell (an invalid end state).
 * BROKEN_* each make one mistake.
 */
#define SLOTS 2			/* that the third one is given */

bool blocked[2], taken[2];	/* cells */
bool lock, doorbell;
bool waker;			/* the word: the third one is named */
bool notified;
bool named;			/* w->designated */
bool ready, stopped;		/* the third one's task; and it sleeps in the handler, or is about to */
bool permit, asleep;

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

/* With the lock. */
inline look()
{
	if
	:: blocked[0] -> taken[0] = true
	:: else
	fi;
	if
	:: blocked[1] -> taken[1] = true
	:: else
	fi
}

inline designate()
{
	if
#ifdef BROKEN_NAMES_THE_STOPPED
	:: !waker && ready && !named -> named = true; waker = true
#else
#ifdef BROKEN_NAMES_TWICE
	:: !waker && ready && !stopped -> named = true; waker = true
#else
	:: !waker && ready && !stopped && !named -> named = true; waker = true
#endif
#endif
	:: else
	fi
}

/* FUTEX_WAKE: how many. */
inline wake(n)
{
	atomic {
		n = asleep;
		asleep = false
	}
}

proctype blocks(byte me)
{
	bool got = false;

	blocked[me] = true;
	if
	:: waker -> atomic { got = waker; waker = false }
	:: else
	fi;
	if
	:: got ->
#ifdef BROKEN_WAKES_FIRST
		wake(got);
		notified = true;
#else
		notified = true;
		wake(got);
#endif
#ifdef BROKEN_NOBODY_SLEEPS
		got = true
#endif
	:: else
	fi;
	if
	:: !got -> doorbell = true
	:: else
	fi;
	taken[me]
}

active proctype notifier()
{
end:	do
	:: doorbell ->
		doorbell = false;
		acquire();
		look();
		designate();
		release()
	od
}

/* Whoever gives the third one a slot, in whatever they did. */
active proctype giver()
{
	bool n, hear;

end:	do
	:: atomic { !lock && ready -> lock = true };
		ready = false;
		hear = false;
#ifndef BROKEN_STAYS_NAMED
		if
		:: named ->
			named = false;
			atomic { hear = !waker; waker = false }
		:: else
		fi;
#endif
#ifndef BROKEN_DOES_NOT_HEAR
		if
		:: hear -> look()
		:: else
		fi;
#endif
		release();
		permit = true;
		wake(n)
	:: atomic { !lock && ready && !waker -> lock = true };
		designate();
		release()
	/* No slot is free any more, but those of the two that block. */
	:: break
	od
}

/* Spurious, once. */
active proctype outside()
{
	bool n;

	wake(n)
}

active proctype third()
{
	byte i = 0;

	ready = true;
	do
	:: i == SLOTS -> break
	:: else ->
		do
		:: atomic { permit -> permit = false }; break
		/* FUTEX_WAIT looks at the word once more. */
		:: atomic { !permit -> asleep = true };
end_waits:		!asleep;
			if
			:: notified && !permit && !stopped ->
				notified = false;
				acquire();
				if
				:: named -> named = false; waker = false
				:: else
				fi;
				look();
				designate();
				release()
			:: else
			fi
		od;
		/* It has the slot, and loses it. */
		acquire();
		if
		:: i + 1 < SLOTS ->
			ready = true;
			if
			:: stopped = true
			:: stopped = false
			fi
		:: else
		fi;
		release();
		i++
	od
}

init
{
	atomic { run blocks(0); run blocks(1) }
}
