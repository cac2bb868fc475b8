/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/shard/claim.h: a waiter waits for two sources, then for source 0 alone, and so on; each
 * source has a lock of its own, and events come at each. The waiter does not leave a list when
 * its wait ends: an entry with an old ticket is dropped by the source that finds it. Once the
 * waiter gives up.
 *
 * Wrong: the waiter sleeps while an event is there for it (an invalid end state); it is woken twice for
 * one wait, for nothing, or by a source that it does not wait for; an event is lost or had twice.
 * BROKEN_* each make one mistake.
 */
#define SOURCES 2
#define EVENTS 2		/* at each source */
#define SELF 3

byte by;			/* who took the wait; 0: it goes on */
byte number;			/* the wait's: with by, one atomic word */
bool lock[SOURCES];
bool listed[SOURCES];
byte ticket[SOURCES];		/* of the list's entry */
byte pending[SOURCES];		/* events without a waiter */
byte permits;
byte had;			/* events that the waiter got */
bool both;			/* it waits for source 1, too */

inline acquire(s) { atomic { !lock[s] -> lock[s] = true } }
inline release(s) { lock[s] = false }

inline take(t, who, ok)
{
#ifdef BROKEN_TAKES_BY_STORE
	ok = by == 0 && number == t;
	if
	:: ok -> by = who
	:: else
	fi
#else
	atomic {
#ifdef BROKEN_NO_TICKET
		ok = by == 0;
#else
		ok = by == 0 && number == t;
#endif
		if
		:: ok -> by = who
		:: else
		fi
	}
#endif
}

proctype source(byte s)
{
	byte i;
	bool ok;

	for (i : 1 .. EVENTS) {
		acquire(s);
		ok = false;
		if
		:: listed[s] -> listed[s] = false; take(ticket[s], s + 1, ok)
		:: else
		fi;
		if
#ifndef BROKEN_DROPS_THE_EVENT
		:: !ok -> pending[s]++
#endif
		:: else
		fi;
		release(s);
		/* No lock is held when the waiter is woken. */
		if
		:: ok -> atomic { permits++; assert(permits == 1); assert(both || s == 0) }
		:: else
		fi
	}
}

inline arm() { atomic { by = 0; number++ } }

active proctype waiter()
{
	byte s;
	bool ok, ended, gave_up;

	do
	:: had == SOURCES * EVENTS -> break
	:: else ->
		/* What it waits for: both, unless only source 0 has something to come. */
		both = !both || had + pending[0] >= EVENTS;
#ifndef BROKEN_ARMS_LATE
		arm();
#endif
		ended = false;
		s = 0;
		do
		:: s == SOURCES || (s == 1 && !both) -> break
		:: else ->
			acquire(s);
			if
			:: pending[s] && !ended ->
				take(number, s + 1, ok);
				if
				:: ok -> pending[s]--; ended = true
				/* Another source was first: its wake-up comes. */
				:: else
				fi
			:: else
			fi;
			if
			:: !ended -> listed[s] = true; ticket[s] = number
			:: else
			fi;
			release(s);
			s++
		od;
#ifdef BROKEN_ARMS_LATE
		if
		:: !ended -> arm(); ticket[0] = number; ticket[1] = number
		:: else
		fi;
#endif
		if
		:: ended -> had++
		:: else ->
			if
			:: atomic { permits -> permits-- };
				had++
			:: !gave_up || !both ->
				gave_up = true;
#ifdef BROKEN_GIVES_UP_BY_STORE
				by = SELF;
				ok = true;
#else
				take(number, SELF, ok);
#endif
				if
				:: ok
				:: else -> atomic { permits -> permits-- }; had++
				fi
			fi
		fi;
		assert(by != 0)
	od
}

init { atomic { run source(0); run source(1) } }
