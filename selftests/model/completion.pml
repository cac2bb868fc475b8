/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/sched/completion.c: ends of requests are linked into a list with a lock, and an
 * eventfd says that there are some; it is written and read without the lock.
 *
 * The takers poll: one takes when the eventfd is readable, one end at a time, and sleeps else.
 * ONE_TAKER: one that takes whenever it likes, and destroys the queue after the last end.
 *
 * Wrong: takers that sleep for ever while an end is there (an invalid end state); an end
 * taken twice; a write to an eventfd that is closed. BROKEN_* each make one mistake.
 */
#ifndef ENDS
#define ENDS 3
#endif

bool lock;
byte linked, added, taken;
bool rung, readable;
byte refs = 1;			/* the owner's */
bool closed;

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

inline ring() { atomic { assert(!closed); readable = true } }

inline put()
{
	atomic {
		refs--;
		if
		:: refs == 0 -> closed = true
		:: else
		fi
	}
}

proctype adder()
{
	bool rings;

	do
	:: atomic { added < ENDS -> added++ };
		acquire();
		linked++;
		rings = !rung;
		rung = true;
#ifndef BROKEN_NO_REFERENCE
		if
		:: rings -> refs++
		:: else
		fi;
#endif
		release();
		if
		:: rings ->
			ring();
#ifndef BROKEN_NO_REFERENCE
			put()
#endif
		:: else
		fi
	:: atomic { added == ENDS -> break }
	od
}

proctype taker()
{
	bool rings;

	do
#ifdef ONE_TAKER
	:: atomic { taken < ENDS };
#else
	:: atomic { readable && taken < ENDS };
#endif
#ifndef BROKEN_READ_LATE
		readable = false;
#endif
		acquire();
		if
		:: linked ->
			linked--;
			taken++
		:: else
		fi;
		rings = linked > 0;
		rung = rings;
		release();
#ifdef BROKEN_READ_LATE
		readable = false;
#endif
#ifndef BROKEN_LEFT_SILENT
		if
		:: rings -> ring()
		:: else
		fi
#endif
	:: atomic { taken == ENDS -> break }
	od;
#ifdef ONE_TAKER
	put()
#endif
}

init {
	atomic {
		run adder();
		run adder();
		run taker();
#ifndef ONE_TAKER
		run taker();
#endif
	}
}
