/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/sched/rwlock.c: two readers and two writers, of which one each gives up whenever it likes. All is done with the
 * scheduler's lock, so each call is one step; to be ready is a permit.
 *
 * Wrong: a writer is not alone; the first of the list could be let in, and is not; a task is let in before those
 * that came earlier; a task waits for ever (an invalid end state). BROKEN_* each make one mistake.
 */
#define TASKS 4
#define ROUNDS 2
#define READERS 2			/* the most */
#define WRITES(t) ((t) > 2)
#define GIVES_UP(t) ((t) == 2 || (t) == 4)

byte writer, readers;
byte list[TASKS], n;
bool permit[TASKS + 1];
byte first, i;

#ifdef BROKEN_FORGETS_READERS
#define CAN_ENTER(t) (writer == 0)
#else
#define CAN_ENTER(t) (writer == 0 && (!WRITES(t) || readers == 0) && (WRITES(t) || readers < READERS))
#endif

/* Holds whenever the scheduler's lock is given up. */
inline look()
{
	assert(n == 0 || !CAN_ENTER(list[0]));
	assert(writer == 0 || readers == 0)
}

inline enter(t)
{
	if
	:: WRITES(t) -> writer = t
	:: else -> readers++
	fi
}

inline remove(t)
{
	i = 0;
	do
	:: i < n && list[i] != t -> i++
	:: else -> break
	od;
	do
	:: i + 1 < n -> list[i] = list[i + 1]; i++
	:: else -> break
	od;
	n--;
	list[n] = 0;
	i = 0
}

inline let_in()
{
	do
	:: n > 0 && CAN_ENTER(list[0]) ->
		first = list[0];
		remove(first);
		enter(first);
		permit[first] = true;
		first = 0
#ifdef BROKEN_LETS_ONE_IN
		; break
#endif
	:: else -> break
	od
}

proctype task(byte me)
{
	byte round;
	bool had;

	for (round : 1 .. ROUNDS) {
		d_step {
			if
#ifdef BROKEN_BARGES
			:: CAN_ENTER(me) -> assert(n == 0); enter(me); had = true
#else
			:: n == 0 && CAN_ENTER(me) -> enter(me); had = true
#endif
			:: else -> list[n] = me; n++; had = false
			fi;
			look()
		}
		if
		:: had
		:: else ->
			if
			:: permit[me] -> permit[me] = false; had = true
			:: GIVES_UP(me) ->
				d_step {
					if
					:: permit[me] -> permit[me] = false; had = true
					:: else ->
						remove(me);
#ifndef BROKEN_LEAVES_SILENTLY
						let_in();
#endif
						look()
					fi
				}
			fi
		fi;
		if
		:: had ->
			assert(WRITES(me) -> writer == me && readers == 0 : writer == 0 && readers > 0);
			d_step {
				if
				:: WRITES(me) -> writer = 0
				:: else -> readers--
				fi;
				let_in();
				look()
			}
		:: else
		fi
	}
}

init {
	atomic {
		run task(1);
		run task(2);
		run task(3);
		run task(4)
	}
}
