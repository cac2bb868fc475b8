/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/sched/door.h, [DOOR-1] and [DOOR-2]: a slot runs a task of a flow, and another task waits. Two threads submit one more
 * each, by a push where the flow is open. Another thread opens two more slots (OPENS), or removes the tenant (REMOVES). A task ends
 * at once, or, but for one slot's, when all have begun that were not refused: so each slot has to be used.
 *
 * All here is sequentially consistent, as the accesses are. A push that a store buffer delays is BROKEN_LOOKS_FIRST.
 *
 * Wrong: a task that does not begin (an invalid end state), or one that finds its tenant gone. BROKEN_* each make one mistake.
 */
#define TASKS 4
#define SLOTS 3
#ifdef OPENS
#define MOST 2
#else
#define MOST 0
#endif

bool lock, open = true, leaving, left, gone;
byte inbox, pending;		/* the inbox; pushed, or about to be, and not taken */
byte waiting = 1, requests = 2, idle;
byte begun, refused, waits;
bool runs[SLOTS], busy[SLOTS];

inline acquire() { atomic { !lock -> lock = true } }

/* With the lock. */
inline take()
{
	d_step {
		n = inbox;
		inbox = 0
	}
	d_step {
		assert(n == 0 || !gone);
		pending = pending - n;
		waiting = waiting + n;
		requests = requests + n
	}
}

inline look_gone()
{
	if
#ifdef BROKEN_COUNTS_NOTHING
	:: leaving && requests == 0 -> gone = true
#else
	:: leaving && requests == 0 && pending == 0 -> gone = true
#endif
	:: else
	fi
}

inline fill()
{
	d_step {
		do
		:: waiting > 0 && idle > 0 ->
			waiting--;
			idle--;
			if
			:: !busy[0] -> k = 0
			:: busy[0] && !busy[1] -> k = 1
			:: else -> k = 2
			fi;
			busy[k] = true;
			runs[k] = true
		:: else -> break
		od;
		k = 0
	}
}

/* With the lock: slots are filled, and a flow that has no task is shut. */
inline dispatch()
{
	fill();
	do
#ifdef BROKEN_STAYS_OPEN
	:: break
#else
	:: !open || waiting > 0 -> break
	:: open && waiting == 0 ->
#ifdef BROKEN_TAKES_FIRST
		take();
		open = false;
#else
		open = false;
#ifndef BROKEN_TAKES_NOTHING
		take();
#endif
#endif
		fill()
#endif
	od
}

proctype submitter()
{
	byte n, k;
	bool pushes;

	atomic {
		pushes = open;
		assert(!open || !left);
		pending = pending + (open -> 1 : 0)
	}
	if
	:: pushes ->
#ifdef BROKEN_LOOKS_FIRST
		pushes = open;
		inbox++;
#else
		inbox++;
#ifndef BROKEN_LOOKS_NOT
		pushes = open;
#endif
#endif
		if
		:: !pushes ->
			acquire();
			take();
			dispatch();
			lock = false
		:: pushes
		fi
	:: !pushes ->
		acquire();
		take();
		if
		:: leaving -> refused++
		:: !leaving ->
			waiting++;
			requests++;
#ifdef BROKEN_OPENS_FIRST
			open = true
#else
			if
			:: waiting > 1 -> open = true
			:: waiting == 1
			fi
#endif
		fi;
#ifdef BROKEN_OPENS_FIRST
		fill();
#else
		dispatch();
#endif
		lock = false
	fi
}

proctype slot(byte me)
{
	byte n, k;

end:	do
	:: runs[me] ->
		atomic {
			runs[me] = false;
			begun++
		}
		if
		:: true
		:: atomic { waits < MOST -> waits++ };
			begun + refused == TASKS
		fi;
		acquire();
		take();
		atomic {
			requests--;
			if
			:: waiting > 0 ->
				waiting--;
				runs[me] = true
			:: waiting == 0 ->
				busy[me] = false;
				idle++
			fi
		}
		dispatch();
		look_gone();
		lock = false
	od
}

proctype remover()
{
	byte n, k;

	acquire();
	take();
	leaving = true;
#ifndef BROKEN_LEAVES_OPEN
	open = false;
	take();
#endif
	look_gone();
	dispatch();
	left = true;
	lock = false
}

proctype opener()
{
	byte n, k;

	acquire();
	take();
	idle = idle + SLOTS - 1;
	dispatch();
	lock = false
}

init
{
	atomic {
		runs[0] = true;
		busy[0] = true;
		run slot(0);
		run slot(1);
		run slot(2);
#ifdef OPENS
		run opener();
#endif
		run submitter();
#ifdef REMOVES
		run remover();
#endif
		run submitter()
	}
	begun + refused == TASKS
}
