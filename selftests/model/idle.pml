/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/sched/idle.c and bpf/detect.bpf.c, [IDLE-1] [DETECT-3]: one CPU, on which
 * workers block, and go on; an idle poller, which runs where nothing else does, and is of a class
 * that may never run again, wherever it stands.
 *
 * Wrong: the idle poller is off the CPU, or asleep, and somebody blocked of whom nobody was told.
 * BROKEN_* each make one mistake.
 */
#define BLOCKS 4

#define NOTHING 0
#define OWES 1
#define TELLING 2

bool runs;			/* the idle poller has the CPU: nobody else does */
bool slotless;
byte owes;
bool untold;			/* one blocked, and nobody was told since */
byte blocked;

/* What is done by the thread itself, where it is. */
#define STEP atomic { runs ->

active proctype kernel()
{
end:	do
	/* It is preempted, or sleeps. */
	:: atomic { runs ->
		if
		:: owes ->
			untold = false;
			owes = NOTHING
		:: else
		fi;
		runs = false;
		assert(!untold)
	}
	/* A worker blocks, and it is next; or something else is, or the CPU is idle: the doorbell. */
	:: atomic { !runs && blocked < BLOCKS ->
		blocked++;
		if
		:: slotless ->
			owes = OWES;
			untold = true;
			runs = true
		:: true
		fi
	}
	/* It goes on: nobody blocked. */
	:: atomic { !runs -> runs = true }
	od
}

inline pays()
{
	if
	:: STEP owes == NOTHING };
	:: STEP owes != NOTHING };
#ifdef BROKEN_PAYS_FIRST
		STEP owes = NOTHING };
#else
#ifndef BROKEN_ONE_VALUE
		STEP owes = TELLING };
#endif
#endif
		STEP untold = false };
#ifdef BROKEN_STORES
		STEP owes = NOTHING }
#else
#ifdef BROKEN_ONE_VALUE
		STEP if :: owes == OWES -> owes = NOTHING :: else fi }
#else
		STEP if :: owes == TELLING -> owes = NOTHING :: else fi }
#endif
#endif
	fi
}

active proctype poller()
{
end:	do
	:: STEP slotless = true };
		do
		:: pays()
		:: break
		od;
		STEP slotless = false };
		pays()
		/* It sleeps; and is woken. */
	od
}
