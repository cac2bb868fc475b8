/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/shard: tasks are pushed into the inboxes of two shards, and their slots go idle. A slot takes
 * from either shard, if it gets the lock at once; it publishes what is left there, unlocks, and looks
 * at the board of idle slots, as everybody does who made something runnable.
 *
 * [BOARD-1] all four of set the bit, look for tasks, push, look at the board are in one order; all here is
 * sequentially consistent.
 *
 * Wrong: a slot sleeps, and a task waits (an invalid end state). LONG: tasks do not end before the
 * last one began, so that no other slot comes by later and takes what was forgotten.
 * BROKEN_* each make one mistake.
 */
#define SHARDS 2
#ifdef LONG
#define TASKS 2			/* as many as slots */
#else
#define TASKS 3
#endif

byte inbox[SHARDS];
byte ready[SHARDS];		/* with the lock: tasks in the shard's core */
bool best[SHARDS];		/* published: there are some */
bool lock[SHARDS];
bool idle[SHARDS];		/* the board; slot s is shard s's own */
byte permit[SHARDS];
byte pushed, ran;

/* Wakes one slot, if one is idle. */
inline look_at_board(k)
{
	k = 0;
	do
	:: k == SHARDS -> break
	:: k < SHARDS ->
#ifdef BROKEN_CLAIM_BY_STORE
		if
		:: idle[k] -> idle[k] = false; permit[k] = 1; break
#else
		if
		:: atomic { idle[k] -> idle[k] = false; permit[k] = 1 }; break
#endif
		:: else -> k++
		fi
	od
}

proctype submitter(byte home)
{
	byte k;

	do
	:: atomic { pushed < TASKS -> pushed++ };
#ifdef BROKEN_LOOKS_BEFORE_PUSH
		look_at_board(k);
		inbox[home]++
#else
		inbox[home]++;
		look_at_board(k)
#endif
	:: atomic { pushed == TASKS -> break }
	od
}

/* A slot picks in shard s. */
inline pick(s, k, got)
{
	atomic { ready[s] = ready[s] + inbox[s]; inbox[s] = 0 };
	if
	:: ready[s] > 0 -> ready[s]--; got = true
	:: else
	fi;
#ifdef BROKEN_PUBLISHES_LATE
	lock[s] = false;
	look_at_board(k);
	best[s] = ready[s] > 0
#else
	best[s] = ready[s] > 0;
#ifdef BROKEN_LOOKS_LOCKED
	if
	:: best[s] -> look_at_board(k)
	:: else
	fi;
	lock[s] = false
#else
	lock[s] = false;
#ifndef BROKEN_DOES_NOT_LOOK
	/* A slot that found the lock taken may sleep, also over a task that came since then. */
	if
#ifdef BROKEN_LEAVES_THE_INBOX
	:: best[s] -> look_at_board(k)
#else
	:: best[s] || inbox[s] -> look_at_board(k)
#endif
	:: else
	fi
#endif
#endif
#endif
}

proctype slot(byte me)
{
	byte s, n, k;
	bool got, found;

	do
	:: ran == TASKS -> break
	:: else ->
		got = false;
		n = 0;
		do
		:: got || n == SHARDS -> break
		:: else ->
			s = (me + n) % SHARDS;
			n++;
			if
			:: inbox[s] || best[s] ->
				if
				:: atomic { !lock[s] -> lock[s] = true }; pick(s, k, got)
				:: else
				fi
			:: else
			fi
		od;
		if
		:: got ->
			ran++;
#ifdef LONG
			ran == TASKS
#endif
		:: else ->
#ifndef BROKEN_LOOKS_FIRST
			idle[me] = true;
#endif
			found = false;
			n = 0;
			do
			:: n == SHARDS -> break
			:: n < SHARDS ->
				if
				:: (inbox[n] || best[n]) && !lock[n] -> found = true
				:: else
				fi;
				n++
			od;
			if
			:: found ->
#ifdef BROKEN_STAYS_ON_THE_BOARD
				skip
#else
				if
				:: atomic { idle[me] -> idle[me] = false }
				/* Claimed: the wake-up is on its way. */
				:: else -> atomic { permit[me] -> permit[me] = 0 }
				fi
#endif
			:: else ->
#ifdef BROKEN_LOOKS_FIRST
				idle[me] = true;
#endif
				if
				:: atomic { permit[me] -> permit[me] = 0 }
				:: ran == TASKS -> break
				fi
			fi
		fi
	od
}

init {
	atomic {
		run submitter(0);
#ifdef TWO_SUBMITTERS
		run submitter(1);
#endif
		run slot(0);
		run slot(1)
	}
}
