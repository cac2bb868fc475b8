/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/park.c: two wakers, of which one switches, and an owner that waits
 * for the news of both, then destroys its parker and waits on the next one,
 * which has the same memory.
 *
 * Stores are buffered as on x86 (total store order): a plain store goes into its
 * thread's buffer, which the thread's own loads see and the others do not until
 * it drains, some time later. Read-modify-writes and system calls drain it
 * first. What weaker orders could do besides is argued at the head of park.c
 * and left to ThreadSanitizer.
 *
 * Wrong: an owner that sleeps for ever (an invalid end state); a permit that
 * nobody gave (the assertion). BROKEN_* each make one mistake.
 */
#define EMPTY 0
#define PERMIT 1
#define PARKED 2
#define DEAD 3

/* Memory. */
#define WORD 0
#define NEWS 1		/* and 2, of waker 0 and 1 */
#define WORD1 3		/* waker 1's own park word */
byte mem[4];

/* Threads: waker 0, waker 1, the owner. */
#define OWNER 2
bool pending[3];
byte at[3], value[3];

/* The kernel's queues: the owner on WORD, waker 1 on WORD1. */
bool asleep, asleep1;
byte spurious = 1;

byte given;		/* permits that count: only then may the owner destroy */
bool foreign_wake;	/* nobody ever does: for BROKEN_GIVES_MEMORY_BACK */

proctype drains(byte who)
{
end:	do
	:: atomic { pending[who] -> mem[at[who]] = value[who]; pending[who] = false }
	od
}

inline store(who, a, v)
{
	atomic { !pending[who] -> at[who] = a; value[who] = v; pending[who] = true }
}

inline load(who, a, v)
{
	atomic {
		if
		:: pending[who] && at[who] == a -> v = value[who]
		:: else -> v = mem[a]
		fi
	}
}

inline exchange(who, a, new, old)
{
	atomic { !pending[who] -> old = mem[a]; mem[a] = new }
}

/* EMPTY to PARKED, PERMIT to EMPTY. */
inline decrement(who, a, old)
{
	atomic {
		!pending[who] -> old = mem[a];
		assert(old == EMPTY || old == PERMIT);
		if
		:: old == PERMIT -> mem[a] = EMPTY
		:: else -> mem[a] = PARKED
		fi
	}
}

/* The system calls. */
inline futex_wake(who) { atomic { !pending[who] -> asleep = false } }
inline futex_wait(who, a, sleeps)
{
	atomic {
		!pending[who];
		if
		:: mem[a] == PARKED -> sleeps = true
		:: else
		fi
	}
}

/* old: what the word was. */
inline give(who, old)
{
#ifdef BROKEN_LOOKS_FIRST
	load(who, WORD, old);
	if
	:: old != PERMIT -> atomic { exchange(who, WORD, PERMIT, old); given++ }
	:: else -> given++
	fi
#else
	atomic { exchange(who, WORD, PERMIT, old); given++ }
#endif
}

inline resume(who, old)
{
#ifdef BROKEN_WAKES_FIRST
	futex_wake(who);
	give(who, old)
#else
	give(who, old);
	if
	:: old == PARKED -> futex_wake(who)
	:: else
	fi;
#endif
#ifdef BROKEN_TOUCHES_LATE
	exchange(who, WORD, PERMIT, old)
#endif
}

/* A wait on WORD by the owner that has just PARKED: got is whether by permit. */
inline wait_on(may_time_out, got)
{
	do
	:: futex_wait(OWNER, WORD, asleep);
	   timed_out = false;
	   if
	   :: !asleep
	   :: atomic { asleep && may_time_out -> asleep = false; timed_out = true }
	   :: atomic { asleep && spurious > 0 -> asleep = false; spurious-- }
	   fi;
	   if
	   :: timed_out ->
#ifdef BROKEN_GIVES_UP_BY_STORE
		load(OWNER, WORD, mine);
		store(OWNER, WORD, EMPTY);
#else
		exchange(OWNER, WORD, EMPTY, mine);
#endif
		got = mine == PERMIT;
		break
	   :: else
	   fi;
	   load(OWNER, WORD, mine);
	   if
	   :: mine != PARKED ->
#ifdef BROKEN_TAKES_BY_STORE
		store(OWNER, WORD, EMPTY);
#else
		exchange(OWNER, WORD, EMPTY, mine);
#endif
		got = true;
		break
#ifdef BROKEN_BELIEVES_THE_KERNEL
	   :: else -> got = true; exchange(OWNER, WORD, EMPTY, mine); break
#else
	   :: else
#endif
	   fi
	od
}

inline block(may_time_out, got)
{
	decrement(OWNER, WORD, mine);
	if
	:: mine == PERMIT -> got = true
	:: else -> wait_on(may_time_out, got)
	fi
}

proctype waker0()
{
	byte old;

	store(0, NEWS, 1);
	resume(0, old)
}

/* switch_to(its own, the owner's), on a kernel with FUTEX_SWAP or without. */
proctype waker1(bool swap)
{
	byte old, own;

	store(1, NEWS + 1, 1);
	give(1, old);
	if
	:: old == PARKED && !swap -> futex_wake(1); old = EMPTY
	:: else
	fi;
	decrement(1, WORD1, own);
	if
	:: own == PERMIT ->
#ifndef BROKEN_FORGETS_THE_WAKE
		if
		:: old == PARKED -> futex_wake(1)
		:: else
		fi
#endif
		skip
	:: else ->
		if
		:: old == PARKED ->	/* the swap: the wake is done whatever the wait does */
			atomic {
				!pending[1] -> asleep = false;
				if
				:: mem[WORD1] == PARKED -> asleep1 = true
				:: else
				fi
			}
		:: else -> futex_wait(1, WORD1, asleep1)
		fi;
		/* Nobody gives it a permit: it times out. */
		asleep1 = false;
		exchange(1, WORD1, EMPTY, own)
	fi
}

proctype owner()
{
	byte mine, x0, x1;
	bool got, timed_out, may = true;

	do
	:: load(OWNER, NEWS, x0);
	   load(OWNER, NEWS + 1, x1);
	   if
	   :: x0 == 1 && x1 == 1 -> break
	   :: else -> block(may, got); may = false
	   fi
	od;
	/* It need not have taken every permit, but must know that both were given. */
	given == 2;
	/* destroy, create: the same memory. */
	exchange(OWNER, WORD, DEAD, mine);
	assert(mine != PARKED);
#ifdef BROKEN_GIVES_MEMORY_BACK
	/* Some other library's futex, which takes each wake for its own. */
	exchange(OWNER, WORD, PARKED, mine);
	futex_wait(OWNER, WORD, asleep);
	if
	:: !asleep -> assert(foreign_wake)
	:: atomic { asleep -> asleep = false }	/* it times out */
	fi
#else
	exchange(OWNER, WORD, EMPTY, mine);
	block(true, got);
	assert(!got)
#endif
}

init
{
	atomic {
		if
		:: mem[WORD1] = PERMIT
		:: mem[WORD1] = EMPTY
		fi;
		run drains(0);
		run drains(1);
		run drains(OWNER);
		run waker0();
		if
		:: run waker1(true)
		:: run waker1(false)
		fi;
		run owner()
	}
}
