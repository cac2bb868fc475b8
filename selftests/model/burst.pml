/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/burst.c: a sender of two items, a consumer that waits for ever and one
 * that gives up now and then; then the sender closes. Each takes what the other
 * is slow to take.
 *
 * Wrong: a consumer that sleeps for ever (an invalid end state); an item that
 * was given and not got, or got twice; a consumer that waits and that the sender
 * can never see. BROKEN_* each make one mistake.
 */
#define BUSY 0
#define WAITING 1	/* else: an item, from 2 */
#define CLOSED 1

byte hand[2];
bool listed[2];
bool untaken[2];
byte wakes;		/* counts by 2 */
bool asleep[2];
bool given[4], got[4];
bool gone[2];

inline wake(mask0, mask1)
{
	atomic {
		if
		:: mask0 -> asleep[0] = false
		:: else
		fi;
		if
		:: mask1 -> asleep[1] = false
		:: else
		fi
	}
}

proctype consumer(byte me; bool patient)
{
	byte w, x, y, timeouts = 0;
	bool late;

	do
	::
#ifndef BROKEN_LOOKS_AT_WAKES_LATE
		w = wakes;
#endif
		if
		:: (wakes & CLOSED) && hand[me] == BUSY -> break
		:: else
		fi;
		/* Its own hand is empty: only the other one's can have something. */
		x = BUSY;
		if
		:: untaken[1 - me] ->
			atomic { y = untaken[1 - me]; untaken[1 - me] = false };
			if
			:: y ->
				y = hand[1 - me];
				if
				:: y > WAITING ->
#ifdef BROKEN_TAKES_WITHOUT_CAS
					x = y; hand[1 - me] = WAITING
#else
					atomic {
						if
						:: hand[1 - me] == y -> x = y; hand[1 - me] = WAITING
						:: else
						fi
					}
#endif
				:: else
				fi
			:: else
			fi
		:: else
		fi;
		if
		:: x > WAITING ->
#ifndef BROKEN_TAKES_WITHOUT_LISTING
			listed[1 - me] = true;
#endif
			assert(given[x] && !got[x]);
			got[x] = true;
			goto next
		:: else
		fi;
		hand[me] = WAITING;
		listed[me] = true;
		late = false;
		do
		::
			x = hand[me];
			if
			:: x != WAITING ->
#ifdef BROKEN_OWN_WITHOUT_CAS
				hand[me] = BUSY; break
#else
				atomic {
					if
					:: hand[me] == x -> hand[me] = BUSY
					:: else -> x = WAITING
					fi
				};
				if
				:: x != WAITING -> break
				:: else -> goto again
				fi
#endif
			:: else
			fi;
#ifdef BROKEN_LOOKS_AT_WAKES_LATE
			w = wakes;
#endif
			if
			:: late || (w & CLOSED) ->
#ifdef BROKEN_GIVES_UP_BY_STORE
				hand[me] = BUSY; x = BUSY; listed[me] = false; break
#else
				atomic {
					if
					:: hand[me] == WAITING -> hand[me] = BUSY; x = BUSY
					:: else
					fi
				};
				if
				:: x == BUSY -> listed[me] = false; break
				:: else -> goto again
				fi
#endif
			:: else
			fi;
			/* The kernel: sleeps only while the word is what it was. */
			atomic {
				if
				:: wakes == w -> asleep[me] = true
				:: else
				fi
			};
			if
			:: !asleep[me]
			:: !patient && timeouts == 0 -> asleep[me] = false; timeouts++; late = true
			fi;
			w = wakes;
again:			skip
		od;
		if
		:: x > WAITING ->
			assert(given[x] && !got[x]);
			got[x] = true
		:: else
		fi;
next:		skip
	od;
	gone[me] = true
}

proctype sender()
{
	byte item = 2, c;
	bool m[2], ok;

	do
	:: item == 4 -> break
	:: else ->
		c = 0;
		ok = false;
		do
		:: ok || c == 2 -> break
		:: else ->
			if
			:: listed[c] ->
#ifndef BROKEN_CLEARS_THE_BIT_LATE
				listed[c] = false;
#endif
				atomic {
					if
					:: hand[c] == WAITING -> hand[c] = item; given[item] = true; ok = true
					:: else
					fi
				};
#ifdef BROKEN_CLEARS_THE_BIT_LATE
				listed[c] = false;
#endif
				m[c] = m[c] || ok
			:: else
			fi;
			c++
		od;
		if
		:: ok -> item++
		:: else -> listed[0] || listed[1]
		fi;
		if
		:: m[0] || m[1] ->
			d_step {
				untaken[0] = untaken[0] || m[0];
				untaken[1] = untaken[1] || m[1]
			};
#ifndef BROKEN_WAKES_ONLY
			wakes = wakes + 2;
#endif
			wake(m[0], m[1]);
			m[0] = false; m[1] = false
		:: else
		fi
	od;
	/* They wait again, and can be seen. */
	atomic {
		got[2] && got[3] && asleep[0] && asleep[1];
		assert(listed[0] && listed[1])
	};
	wakes = wakes | CLOSED;
	wake(true, true);
	gone[0] && gone[1]
}

init
{
	atomic { run consumer(0, true); run consumer(1, false); run sender() }
}
