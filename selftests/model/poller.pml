/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/sched/polls.h: the role of the poller. Two slots, two workers whose tasks wait for one event each, the
 * poller's thread, and the monitor, which looks for events, and lets waits end by their deadlines. Each hold of the scheduler's lock is one step.
 *
 * A worker whose task waits hands its run to the other task where that is ready, or leaves its slot to dispatch.
 * A worker parks or polls; what it waits for is its permit, and it goes on with a slot alone. The eventfd is
 * readable until somebody in epoll_wait reads it.
 *
 * Wrong: a worker that has a slot and sleeps for ever, an event that nobody ever sees (invalid end states); two that
 * poll at once; a slot that is idle while the role is vacant, with the lock free. BROKEN_* each make one mistake.
 */
#ifndef SLOTS
#define SLOTS 2
#endif
#define WORKERS 2
#ifndef ROUNDS
#define ROUNDS 1
#endif

#define VACANT 0
#define WORKER 1
#define THREAD 2
#define LOOK 3

byte idle;			/* slots that no task uses */
byte role = VACANT;
bool kicked;			/* the eventfd is readable */
bool thread_permit;
byte in_wait;			/* threads in epoll_wait, or with a batch */
bool event[WORKERS];		/* the kernel has one */
bool waits[WORKERS];		/* the task waits */
bool ready[WORKERS];		/* the task is ready, and has no slot */
bool has_slot[WORKERS];
bool polls[WORKERS];
bool permit[WORKERS];

/* btn_dispatch(): ready tasks to idle slots, and the role to the thread. Those picked are to be woken: wake. */
inline dispatch()
{
	named = false;
	if
	:: idle && ready[0] -> ready[0] = false; has_slot[0] = true; idle--; wake[0] = true
	:: else
	fi;
	if
	:: idle && ready[1] -> ready[1] = false; has_slot[1] = true; idle--; wake[1] = true
	:: else
	fi;
#ifdef BROKEN_NO_NAME
	skip
#else
	if
	:: idle && role == VACANT -> role = THREAD; named = true
	:: else
	fi
#endif
}

/* Without the lock: permits, and kicks. p: `polls` as it was read before the permit. */
inline wake_all()
{
	if
	:: named -> thread_permit = true
	:: else
	fi;
	i = 0;
	do
	:: i < WORKERS && wake[i] ->
		p = polls[i];
		permit[i] = true;
#ifndef BROKEN_NO_KICK
		if
		:: p -> kicked = true
		:: else
		fi;
#endif
		wake[i] = false;
		i++
	:: i < WORKERS && !wake[i] -> i++
	:: i == WORKERS -> break
	od;
	p = false;
	i = 0
}

/* With the lock: a batch makes tasks ready. */
inline use_batch()
{
	if
	:: batch[0] && waits[0] -> waits[0] = false; ready[0] = true
	:: else
	fi;
	if
	:: batch[1] && waits[1] -> waits[1] = false; ready[1] = true
	:: else
	fi;
	batch[0] = false;
	batch[1] = false
}

#define ANY (event[0] || event[1] || kicked)

inline take_batch()
{
	batch[0] = event[0];
	batch[1] = event[1];
	event[0] = false;
	event[1] = false;
	kicked = false
}

proctype worker(byte me)
{
	bool batch[WORKERS], wake[WORKERS], named, p, mine, given;
	byte i, round;

	/* With one slot the second worker's task is ready when all begins. */
	if
	:: SLOTS == 1 && me == 1 -> atomic { permit[me] -> permit[me] = false }
	:: else
	fi;
	do
	:: round < ROUNDS ->
		/* Its task waits, and there may be an event soon. */
		atomic {
			waits[me] = true;
			if
			:: event[me] = true
			:: true
			fi;
			has_slot[me] = false;
			mine = false;
			if
			:: !idle && ready[1 - me] ->
				/* pass_slot() of gate.c: the other task goes on in this run, and nothing else follows. */
				ready[1 - me] = false;
				has_slot[1 - me] = true;
				wake[1 - me] = true;
				named = false
#ifdef BROKEN_PASS_NO_LOOK
				; wake[1 - me] = false; permit[1 - me] = true
#endif
			:: true ->
				idle++;
				dispatch()
			fi;
			if
			:: named && !has_slot[me] ->
				named = false; role = WORKER; mine = true;
#ifndef BROKEN_POLLS_LATE
				polls[me] = true
#endif
			:: else
			fi;
			assert(!idle || role != VACANT)
		};
		wake_all();
#ifdef BROKEN_POLLS_LATE
		polls[me] = mine;
#endif
		do
		:: mine ->
			atomic { in_wait++; assert(in_wait == 1) };
			atomic { ANY -> take_batch() };
			atomic {
				in_wait--;
				given = has_slot[me];
				use_batch();
				role = VACANT;
				dispatch();
				if
				:: !given && !has_slot[me] && named -> named = false; role = WORKER
#ifdef BROKEN_STAYS
				:: given && named -> named = false; role = WORKER
#endif
				:: else ->
					mine = false;
					if
					:: !given -> polls[me] = false
					:: else
					fi;
					if
					:: !given && has_slot[me] -> wake[me] = false; permit[me] = true
					:: else
					fi
				fi;
				assert(!idle || role != VACANT)
			};
			wake_all()
		:: !mine -> break
		od;
		/* The permit that comes with the slot. */
		atomic { permit[me] -> permit[me] = false; polls[me] = false };
		assert(has_slot[me]);
		round++
	:: else -> break
	od;
	/* The worker ends, and leaves its slot: I4. */
	atomic {
		has_slot[me] = false;
		idle++;
		dispatch();
		assert(!idle || role != VACANT)
	};
	wake_all()
}

proctype thread()
{
	bool batch[WORKERS], wake[WORKERS], named, p;
	byte i;
	bool again;

end:	do
	:: atomic { thread_permit -> thread_permit = false; again = true };
		do
		:: again ->
			atomic { in_wait++; assert(in_wait == 1) };
end_wait:		atomic { ANY -> take_batch() };
			atomic {
				in_wait--;
				use_batch();
				role = VACANT;
				dispatch();
				again = named;
				if
				:: named -> named = false
				:: else
				fi;
				assert(!idle || role != VACANT)
			};
			wake_all()
		:: else -> break
		od
	od
}

/* The monitor: looks where the role is vacant, any number of times; and lets waits end by their deadlines. */
proctype monitor()
{
	bool batch[WORKERS], wake[WORKERS], named, p;
	byte i;

end:	do
	:: atomic { role == VACANT && (event[0] || event[1]) -> role = LOOK };
		atomic { in_wait++; assert(in_wait == 1) };
		atomic { take_batch() };
		atomic {
			in_wait--;
			use_batch();
			role = VACANT;
			dispatch();
			assert(!idle || role != VACANT)
		};
		wake_all()
	:: atomic { (waits[0] || waits[1]) ->
		if
		:: waits[0] -> waits[0] = false; ready[0] = true
		:: waits[1] -> waits[1] = false; ready[1] = true
		fi;
		dispatch();
		assert(!idle || role != VACANT)
	   };
		wake_all()
	od
}

init {
	atomic {
		has_slot[0] = true;
#if SLOTS == 2
		has_slot[1] = true;
#else
		ready[1] = true;
#endif
		run thread();
		run monitor();
		run worker(0);
		run worker(1)
	}
}
