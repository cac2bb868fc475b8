/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/io/poller.c: events of a descriptor that is watched edge-triggered, a task that waits for
 * them, and the end of the source that they name.
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
bool ready, waits, closed;	/* under the lock */
bool unused, freed;		/* the source is in the list; its memory is gone */
byte refs = 2;			/* the handle, and the task's call */
bool task_done, stop;

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

proctype task()
{
	do
	:: atomic { data > 0 -> data--; got++ }
		if
		:: got == BYTES -> break
		:: else
		fi
	:: data == 0 ->
		/* EAGAIN; and from here on things may happen before the lock. */
		atomic {
			if
			:: closed -> goto out
			:: !closed && ready ->
				ready = false;
#ifdef BROKEN_CLEAR_AND_WAIT
				waits = true
#endif
			:: !closed && !ready -> waits = true
			fi
		};
		atomic { !waits }
	od;
out:
	put();
	task_done = true
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
			if
			:: waits -> waits = false
			:: else ->
#ifndef BROKEN_FORGET
				ready = true
#endif
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
	:: task_done
	fi;
#else
	task_done;
#endif
#ifndef BROKEN_DELETE_LATE
	atomic { watched = false; event = false };
#endif
	atomic { closed = true; waits = false };
#ifdef BROKEN_FREE_AT_ONCE
	freed = true;
#endif
	put();
	task_done;
#ifdef BROKEN_DELETE_LATE
	atomic { watched = false; event = false };
#endif
	stop = true
}

init {
	atomic {
		run peer();
		run task();
		run poller();
		run closer();
	}
}
