/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/detect.c, [PARTING-1]: workers that the kernel has parked are let go in two steps. With
 * the scheduler's lock the cell says RUNS, and stands in the list of the thread that has the lock, unless it stands in
 * another's. Without the lock that thread takes the cell out, and wakes.
 *
 * A worker parks ROUNDS times, each time until its cell says RUNS: the kernel looks at the cell before it sleeps, and after
 * each wake. Once a signal gets the worker out of there: it lets its own cell go, with the lock, and parks later once more.
 * Two threads let it go, whenever it is parked, and each may be late with its wake.
 *
 * All here is sequentially consistent: the cell's changes are so, and the exchanges of `listed` release and acquire what
 * stands between them.
 *
 * Wrong: the worker sleeps for ever though its cell says RUNS (an invalid end state); it goes on though the
 * cell says PARKED; a cell stands in two lists. BROKEN_* each make one mistake.
 */
#define ROUNDS 3

bool lock;
bool parked;			/* the cell: PARKED; else RUNS */
bool asleep;			/* the worker is in the futex's queue */
bool listed;
byte lists;			/* lists in which the cell stands */
bool signalled, over;

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

active [2] proctype lets_go()
{
	bool mine, was;

end:	do
	:: atomic { !lock && (parked || over) -> lock = true };
		if
		:: over -> release(); break
		:: else
		fi;
		mine = false;
		if
		:: parked ->
#ifdef BROKEN_LISTED_FIRST
			atomic { was = listed; listed = true };
			parked = false;
#else
			parked = false;				/* (a) */
			atomic { was = listed; listed = true };	/* (b) */
#endif
			if
#ifdef BROKEN_ALWAYS_LISTED
			:: true ->
#else
			:: !was ->
#endif
				lists++;
				assert(lists == 1);
				mine = true
			:: else
			fi
		:: else
		fi;
		release();
		if
		:: mine ->
#ifdef BROKEN_UNLISTED_LAST
			asleep = false;
			atomic { lists--; listed = false }
#else
			atomic { lists--; listed = false };	/* (c) */
			asleep = false				/* (d) */
#endif
		:: else
		fi
	od
}

active proctype worker()
{
	byte round;

	for (round : 1 .. ROUNDS) {
		parked = true;
		do
		/* The kernel: to look and to sleep is one step, as the futex's queue is locked. */
		:: atomic {
			if
			:: parked -> asleep = true
			:: else -> break
			fi
		   };
			if
			:: atomic { !asleep }
#ifdef BROKEN_NO_SECOND_LOOK
				-> assert(!parked); break
#endif
			/* A signal's handler: the worker is out, and comes to the library. */
			:: atomic { asleep && !signalled -> signalled = true; asleep = false };
				acquire();
				parked = false;
				release();
				break
			fi
		od
	}
	acquire();
	over = true;
	release()
}
