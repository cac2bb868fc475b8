/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/sched/sync.c: a mutex that three tasks want, one of which gives up whenever it likes. The
 * scheduler's lock is a lock here, to be ready is a permit, and every task has a slot in the end.
 *
 * Wrong: two hold the mutex; a task waits for ever (an invalid end state); a task that was woken and
 * came for nothing is passed by again. BROKEN_* each make one mistake.
 */
#define TASKS 3
#define ROUNDS 2
#define NOBODY 0
#define GIVES_UP 3		/* the task that does */

/* The word: each access to all three is one step. */
byte holder;
bool waited, waking;

bool lock;			/* the scheduler's */
byte list[TASKS];		/* who waits; 0: the end */
byte woken;
bool strict;
bool permit[TASKS + 1];
bool again[TASKS + 1];		/* came for nothing, and waits again */
byte inside;			/* how many are between lock and unlock */

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

inline append(t)
{
	d_step {
		if
		:: list[0] == 0 -> list[0] = t
		:: else ->
			if
			:: list[1] == 0 -> list[1] = t
			:: else -> list[2] = t
			fi
		fi
	}
}

inline prepend(t)
{
	d_step { list[2] = list[1]; list[1] = list[0]; list[0] = t }
}

inline remove(t)
{
	d_step {
		if
		:: list[0] == t -> list[0] = list[1]; list[1] = list[2]
		:: else ->
			if
			:: list[1] == t -> list[1] = list[2]
			:: else
			fi
		fi;
		list[2] = 0
	}
}

/* The holder, and nobody else, lets go of the mutex. */
inline unlock()
{
	atomic {
#ifdef BROKEN_FORGETS_WAITERS
		free = true;
#else
		free = !waited || waking;
#endif
		if
		:: free -> holder = NOBODY
		:: else
		fi
	}
	if
	:: free
	:: else ->
		acquire();
		next = list[0];
		if
		:: !waited || waking -> holder = NOBODY
		:: else ->
			if
			:: next == 0 -> atomic { holder = NOBODY; waited = false }
			:: else ->
				remove(next);
				woken = next;
				if
				:: strict -> atomic { holder = next; waited = list[0] != 0; again[next] = false }
				:: else -> atomic { holder = NOBODY; waking = true; waited = list[0] != 0 }
				fi;
				strict = false;
				permit[next] = true
			fi
		fi;
		release()
	fi
}

proctype task(byte me)
{
	byte round, next;
	bool free, had, came;

	for (round : 1 .. ROUNDS) {
		came = false;
		had = false;
		do
		:: had -> break
		:: !had ->
			/* Without the scheduler's lock. */
			atomic {
				if
				:: holder == NOBODY ->
					holder = me;
					had = true;
					if
					:: came -> waking = false
					:: else
					fi
				:: else
				fi
			}
			if
			:: had
			:: else ->
				acquire();
				atomic {
#ifndef BROKEN_STAYS_WAKING
					if
					:: came -> waking = false
					:: else
					fi;
#endif
					if
					:: holder == NOBODY ->
						holder = me;
						had = true;
						waking = waking && !came
					:: else -> waited = true
					fi
				}
				if
				:: had -> release()
				:: else ->
					if
					:: came && me == GIVES_UP -> release(); goto out
					:: true ->
						if
						:: came ->
							prepend(me);
							again[me] = true;
#ifndef BROKEN_NEVER_STRICT
							strict = true
#endif
						:: else -> append(me)
						fi;
						release();
						if
						:: permit[me] -> permit[me] = false
						:: me == GIVES_UP ->
							acquire();
							if
							:: permit[me] -> permit[me] = false; release()
							:: else -> remove(me); again[me] = false; release(); goto out
							fi
						fi;
						if
						:: holder == me -> had = true
						:: else ->
							assert(!again[me]);
							came = true
						fi
					fi
				fi
			fi
		od;
		inside++;
		assert(inside == 1);
		inside--;
		unlock();
out:		skip
	}
}

init {
	atomic {
		run task(1);
		run task(2);
		run task(3)
	}
}
