/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/sched/lazy.c: an attached thread that leaves with its slot, and comes back; another that
 * wants the only slot, twice; and the monitor, which may take the slot of one that
 * reaches no checkpoint, where it is not in the library.
 *
 * [LAZY-1] all of it is one word, and whoever has the lock. [LAZY-2] who leaves writes the
 * word and looks whether somebody waits; who waits says so and looks at the word.
 * All here is sequentially consistent.
 *
 * Wrong: two run at once; what the run did is touched by two; one waits for ever
 * (an invalid end state). The monitor takes nothing that is idle here: it comes for
 * sure, but late. BROKEN_* each make one mistake.
 */
#define NONE 0
#define RUNS 1
#define TAKING 2
#define CACHED 3
#define TURNS 3

byte lazy = NONE;
bool lock, wanted, inside;
bool free = true;		/* the slot */
byte running;			/* tasks that have it, and run */
byte touching;			/* who does anything to the attached thread's run */
bool waits, permit;		/* the other one */

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }
inline touch() { touching++; assert(touching == 1); touching-- }
inline goes() { running++; assert(running == 1) }

/* With the lock: what follows from what happened. */
inline settle()
{
	do
	:: waits && free ->
		free = false;
		waits = false;
		wanted = false;
		permit = true;
		break
	:: waits && !free ->
#ifndef BROKEN_LOOKS_FIRST
		wanted = true;
#endif
		if
		:: atomic { lazy == CACHED -> lazy = TAKING };
			touch();
			free = true;
			lazy = NONE
		:: else ->
#ifdef BROKEN_LOOKS_FIRST
			wanted = true;
#endif
			break
		fi
	:: !waits -> wanted = false; break
	od
}

active proctype attached()
{
	byte i = 0;
	bool held = false, ok;

	do
	:: i == TURNS -> break
	:: else ->
		i++;
		/* Comes. */
		inside = true;
		ok = false;
		if
		:: held ->
			held = false;
#ifdef BROKEN_TAKES_IT_FOR_ITS_OWN
			if
			:: lazy == CACHED -> lazy = RUNS; ok = true
			:: else
			fi;
#else
			if
			:: atomic { lazy == CACHED -> lazy = RUNS; ok = true }
			:: else
			fi;
#endif
			if
			:: ok -> touch()
			:: else ->
#ifndef BROKEN_DOES_NOT_WAIT
				lazy != TAKING;
#endif
				skip
			fi
		:: else
		fi;
		if
		:: ok
		:: else ->
			touch();
			acquire();
			/* Its task waits; in its turn. */
			do
			:: free -> free = false; lazy = RUNS; break
			:: !free -> release(); atomic { free && !lock -> lock = true }
			od;
			settle();
			release()
		fi;
		inside = false;
		goes();
		running--;
		/* Leaves. */
		inside = true;
		ok = false;
		if
		:: !wanted ->
			if
			:: atomic { lazy == RUNS -> lazy = CACHED; ok = true }
			:: else
			fi;
			if
			:: ok ->
#ifndef BROKEN_DOES_NOT_LOOK
				if
				:: wanted ->
					if
					:: atomic { lazy == CACHED -> lazy = RUNS; ok = false }
					:: else
					fi
				:: else
				fi;
#endif
				skip
			:: else
			fi
		:: else
		fi;
		held = ok;
		if
		:: ok
		:: else ->
			acquire();
			touch();
			lazy = NONE;
			free = true;
			settle();
			release()
		fi;
		inside = false
	od
}

active proctype other()
{
	byte i = 0;

	do
	:: i == 2 -> break
	:: else ->
		i++;
		acquire();
		waits = true;
		settle();
		release();
		atomic { permit -> permit = false };
		goes();
		running--;
		acquire();
		free = true;
		settle();
		release()
	od
}

/* It is to touch the run of one that it sees running: once. */
active proctype monitor()
{
	acquire();
	if
	:: !inside ->
#ifndef BROKEN_TOUCHES_AT_ONCE
		if
		:: atomic { lazy == RUNS -> lazy = NONE };
			if
			:: !inside -> touch()
			:: else
			fi
		:: else
		fi
#else
		if
		:: lazy == RUNS -> touch()
		:: else
		fi
#endif
	:: else
	fi;
	release()
}
