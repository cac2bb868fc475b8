/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/io/poller.c: events of a descriptor that is watched edge-triggered, a task that waits for
 * them while another reads a part without waiting, and the end of the source that they name.
 *
 * The peer writes BYTES times; the kernel keeps one event until the poller takes it. The task reads until it
 * has all, or until the stream is closed. CLOSES: another thread closes it, at any time. Each
 * hold of the scheduler's lock is one step.
 *
 * Wrong: a task that sleeps while there is data and no event is on its way (an invalid end
 * state); a source that is used after it was freed. BROKEN_* each make one mistake.
 */
#ifndef BYTES
#define BYTES 3
#endif

byte data, got;
bool event;			/* the kernel has one, for the poller's next batch */
bool watched = true;		/* the descriptor is in the poller's set */
bool waits, closed;		/* under the lock */
byte events;			/* written under the lock */
bool flag;			/* BROKEN_FLAG: instead of the number */
bool unused, freed;		/* the source is in the list; its memory is gone */
byte refs = 3;			/* the handle, and the tasks' calls */
byte tasks_done;
bool stop;

inline put()
{
	atomic {
		refs--;
		if
		:: refs == 0 -> unused = true
		:: else
		fi
	}
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

/*
 * A reader after its try, which found nothing. what: 0: it tries again; 1: it waits; 2: it leaves, as
 * the stream is closed or another waits.
 */
inline look(seen, may_wait, what)
{
	atomic {
		what = 1;
		if
		:: closed -> what = 2
#ifdef BROKEN_FLAG
		:: !closed && flag -> flag = false; what = 0
		:: !closed && !flag && (waits || !may_wait) -> what = 2
		:: !closed && !flag && !waits && may_wait -> waits = true
#else
#ifdef BROKEN_NO_LOOK
		:: !closed && !waits && may_wait -> waits = true
#else
		:: !closed && events != seen -> what = 0
		:: !closed && events == seen && !waits && may_wait -> waits = true
#endif
		:: !closed && events == seen && (waits || !may_wait) -> what = 2
#endif
		fi
	}
}

/* A task that reads all there is. */
proctype task()
{
	byte seen, what;

	do
	:: got == BYTES -> break
	:: else ->
		seen = events;
		if
		:: atomic { data > 0 -> data--; got++ }
		:: atomic { data == 0 };
			/* EAGAIN; and from here on things may happen before the lock. */
			look(seen, true, what);
			if
			:: what == 1 -> atomic { !waits || got == BYTES }
			:: what == 2 -> break
			:: else
			fi
		fi
	od;
	put();
	tasks_done++
}

/* Another one that reads a part, if it is there, at any time. */
proctype other()
{
	byte seen, what;

	do
	:: true ->
		seen = events;
		if
		:: atomic { data > 0 -> data--; got++ };
			break
		:: atomic { data == 0 };
			look(seen, false, what);
			if
			:: what == 2 -> break
			:: else
			fi
		fi
	od;
	put();
	tasks_done++
}

proctype poller()
{
	bool batch;

	do
	:: atomic {
		unused && !freed ->
		freed = true
	   }
	:: atomic { event -> event = false; batch = true; assert(!freed) };
		atomic {
			assert(!freed);
#ifndef BROKEN_FORGET
			events++;
#endif
			if
			:: waits -> waits = false
			:: else -> flag = true
			fi;
			batch = false
		}
	:: atomic { stop && !event && (!unused || freed) -> break }
	od
}

proctype closer()
{
#ifdef CLOSES
	if
	:: true
	:: tasks_done == 2
	fi;
#else
	tasks_done == 2;
#endif
#ifndef BROKEN_DELETE_LATE
	atomic { watched = false; event = false };
#endif
	atomic { closed = true; waits = false };
#ifdef BROKEN_FREE_AT_ONCE
	freed = true;
#endif
	put();
	tasks_done == 2;
#ifdef BROKEN_DELETE_LATE
	atomic { watched = false; event = false };
#endif
	stop = true
}

init {
	atomic {
		run peer();
		run task();
		run other();
		run poller();
		run closer();
	}
}
