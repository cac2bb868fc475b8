/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/sched/dispatch.c, [COME-1]: idle slots are filled one at a time. Two threads submit
 * tasks; as many slots are idle, each with a worker that sleeps. A task ends at once, or
 * when all tasks have begun: so all of them have to get slots, also where those that have one
 * never come back. A worker may be taken for late once, and another one be woken.
 *
 * All here is sequentially consistent, as the four accesses are.
 *
 * Wrong: a task that does not begin (an invalid end state). BROKEN_* each make one mistake.
 */
#define TASKS 3

bool lock;
byte ready, begun, idle = TASKS;
byte coming;			/* the worker that was woken last, until it comes; 0: none */
bool left, late;
bool busy[TASKS + 1], permit[TASKS + 1];

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

/* With the lock. go: this one is picked. */
inline leave_tasks()
{
	if
	:: coming == 0 -> go = true
	:: coming != 0 && !late -> late = true; go = true
	:: coming != 0 ->
#ifdef BROKEN_SAYS_NOTHING
		go = false
#else
#ifdef BROKEN_LOOKS_AND_SAYS
		go = coming == 0;
		left = true
#else
		left = true;
#ifdef BROKEN_SAYS_ALONE
		go = false
#else
		go = coming == 0
#endif
#endif
#endif
	fi
}

inline dispatch()
{
	do
	:: ready == 0 || idle == 0 -> break
	:: ready > 0 && idle > 0 ->
		leave_tasks();
		if
		:: !go -> break
		:: go ->
			ready--;
			idle--;
			if
			:: !busy[1] -> k = 1
			:: busy[1] && !busy[2] -> k = 2
			:: busy[1] && busy[2] -> k = 3
			fi;
			busy[k] = true;
			coming = k;
			permit[k] = true
		fi
	od
}

proctype submits(byte n)
{
	bool go;
	byte k;

	do
	:: n == 0 -> break
	:: n > 0 ->
		n--;
		acquire();
		ready++;
		/* A task that is left as others were: btn_dispatch_is_behind(). */
		if
#ifdef BROKEN_LEAVES_UNSAID
		:: coming != 0
#else
		:: coming != 0 && left
#endif
		:: dispatch()
		fi;
		release()
	od
}

inline run_task()
{
	begun++;
	if
	:: true
	:: true -> begun == TASKS
	fi
}

proctype worker(byte me)
{
	bool go, looks;
	byte k;

end:	do
	:: permit[me] ->
		permit[me] = false;
		looks = false;
#ifdef BROKEN_LOOKS_FIRST
		looks = left;
		if
		:: atomic { coming == me -> coming = 0 }
		:: coming != me -> looks = false
		fi;
#else
		if
		:: atomic { coming == me -> coming = 0 };
#ifndef BROKEN_DOES_NOT_LOOK
			looks = left
#endif
		:: coming != me
		fi;
#endif
		if
		:: looks ->
			acquire();
#ifdef BROKEN_RESETS_LATER
			dispatch();
			left = false;
#else
			left = false;
			dispatch();
#endif
			release()
		:: !looks
		fi;
		run_task();
		/* Its slot's next task has this worker, too. */
		acquire();
		do
		:: ready > 0 ->
			ready--;
			release();
			run_task();
			acquire()
		:: ready == 0 -> break
		od;
		busy[me] = false;
		idle++;
		release()
	od
}

init
{
	atomic {
		run worker(1);
		run worker(2);
		run worker(3);
		run submits(2);
		run submits(1)
	}
	begun == TASKS
}
