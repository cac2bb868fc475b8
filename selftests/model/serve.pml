/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/io/serve.c: a served stream's requests, one at a time, against its events, refusals and close.
 *
 * The peer writes BYTES times; the kernel keeps one event until the poller takes it. The function reads
 * all, or one byte, or nothing at first. A request may be refused, and is then submitted to tell so.
 * CLOSES: another thread closes the stream at any time; CLOSES_ITSELF: the function does, at the end.
 * Each hold of the scheduler's lock is one step.
 *
 * Wrong: bytes that nobody reads (an invalid end state); two tasks in the function; no last call, two, or one
 * beside the function or before it; a request's end that uses a service which was freed. BROKEN_* each make one mistake.
 */
#ifndef BYTES
#define BYTES 3
#endif

#define RUNS 0
#define RETURNED 1
#define CLOSED 2

byte data, got;
bool event;			/* the kernel has one, for the poller's next batch */
bool watched = true;
byte events, empty_at;
bool flies, started, served;	/* under the lock: the request; and whether it belongs to the service */
bool cancelled;
byte call;
byte inside, lasts, refusals;
bool freed;
bool closing, stop;

inline submit()
{
	flies = true;
	started = false;
	served = true;
	call = RUNS
}

proctype peer()
{
	byte i;

	do
	:: i < BYTES ->
		atomic {
			data++;
			i++;
			if
			:: watched -> event = true
			:: else
			fi
		}
	:: else -> break
	od
}

proctype poller()
{
	do
	:: atomic { event -> event = false };
		atomic {
			/* The source's `event` is NULL once it is being closed. */
			if
			:: !closing ->
				events++;
				if
#ifdef BROKEN_TWO
				:: true -> submit()
#else
				:: !flies -> submit()
				:: else
#endif
				fi
			:: else
			fi
		}
	:: atomic { stop && !event -> break }
	od
}

inline last_call()
{
	atomic {
		assert(inside == 0 && lasts == 0);
		lasts++;
		freed = true
	}
}

/* A worker: takes the request, runs the function, ends the request. */
proctype worker()
{
	byte seen, was;
	bool mine;

	do
	:: atomic { flies && !started && !cancelled ->
			/* A request that was dropped before it began is told by another one. */
			if
			:: refusals < 1 -> refusals++; submit(); mine = false
			:: true -> started = true; mine = true
			fi
		}
		if
		:: !mine
		:: mine ->
			if
			:: call != CLOSED ->
				atomic { assert(!freed); inside++; assert(inside == 1) };
				seen = events;
				if
				:: atomic { data > 0 -> data--; got++ }
				:: atomic { data > 0 -> got = got + data; data = 0 };
					empty_at = seen
				:: atomic { data == 0 -> empty_at = seen }
				fi;
				atomic { inside-- }
#ifdef CLOSES_ITSELF
				if
				:: got == BYTES && !closing ->
					atomic {
						closing = true;
						watched = false;
						event = false;
						assert(call == RUNS);
						call = CLOSED
					}
				:: else
				fi
#endif
			:: else
			fi;
			/* The function has returned. */
#ifdef BROKEN_NO_EXCHANGE
			was = call;
			if
			:: was != CLOSED -> call = RETURNED
			:: else
			fi;
#else
			atomic { was = call; call = RETURNED };
#endif
			if
			:: was == CLOSED ->
				served = false;
				last_call()
			:: else
			fi;
			/* The request ends, with the lock. */
#ifdef BROKEN_LOOK_EARLY
			was = (empty_at == events);
#endif
			atomic {
				if
				:: served ->
					assert(!freed);
#ifdef BROKEN_LOOK_EARLY
					flies = false;
					started = false;
					if
					:: !was -> submit()
					:: else
					fi
#else
#ifdef BROKEN_NO_LOOK
					flies = false;
					started = false
#else
					if
					:: empty_at != events -> submit()
					:: else -> flies = false; started = false
					fi
#endif
#endif
				:: else -> flies = false; started = false
				fi
			}
		fi
	:: atomic { stop && (!flies || cancelled) -> break }
	od
}

proctype closer()
{
	byte was;
	bool mine;

#ifdef CLOSES
	if
	:: true
	:: got == BYTES
	fi;
#else
	got == BYTES;
#endif
#ifdef CLOSES_ITSELF
	closing;
	lasts == 1;
#else
	atomic { watched = false; event = false };
	atomic {
		closing = true;
		mine = true;
		if
		:: flies && started ->
			was = call;
			call = CLOSED;
			mine = (was != RUNS)
		:: else
		fi;
#ifdef BROKEN_BOTH
		mine = true;
#endif
		if
		:: mine && flies ->
#ifndef BROKEN_STAYS_SERVED
			served = false;
#endif
			if
#ifdef BROKEN_NO_CANCEL
			:: true
#else
			:: !started -> cancelled = true; flies = false
			:: else
#endif
			fi
		:: else
		fi
	}
	if
	:: mine -> last_call()
	:: else -> lasts == 1
	fi;
#endif
	stop = true
}

init {
	atomic {
		run peer();
		run poller();
		run worker();
#ifdef BROKEN_TWO
		run worker();
#endif
		run closer();
	}
}
