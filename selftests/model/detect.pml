/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpf/detect.bpf.c and lib/src/sched/blocked.c: a worker with the only slot
 * blocks, twice, until a task has run that has no slot yet; somebody submits
 * these tasks, the notifier sleeps until the doorbell rings. Somebody outside may
 * wake the worker without a reason.
 *
 * Plain stores are buffered as on x86, and drained some time later; read-modify-
 * writes, locks and system calls drain first. The worker's side is the kernel's,
 * with the run queue's lock: block and wakeup of one task exclude each other.
 *
 * Where the worker blocks, the CPU may go on with another worker that has no
 * slot: then the doorbell is not rung, and that one looks when it comes to the library, or
 * before it leaves it. It may be put off the CPU before, or sleep, and then rings.
 *
 * The doorbell is that the ring buffer's two positions differ.
 *
 * Wrong: a task that waits for ever while the worker sleeps with the slot (an
 * invalid end state); a cell that says BLOCKED of a worker that runs, or RUNS of
 * one that sleeps (the assertions). BROKEN_* each make one mistake.
 */
#define RUNS 0
#define BLOCKED 1

/* Memory, and a store buffer of one for the worker and the scheduler's side. */
#define STATE 0
#define WANT 1
byte mem[2];
bool pending[2];
byte at[2], value[2];
#define KERNEL 0
#define SCHED 1

bool doorbell, lock, rq;
bool slotless;			/* there is one without a slot, and it will look whether it owes */
bool owes;			/* it goes on where the worker blocked, and will look at the cells */
bool asleep;			/* the worker, truly */
byte tasks;			/* that have run */
bool ready;			/* one waits for a slot */
bool taken;			/* the slot is not the worker's */
bool ended;

active [2] proctype drains()
{
end:	do
	:: atomic { pending[_pid] -> mem[at[_pid]] = value[_pid]; pending[_pid] = false }
	od
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
inline store(who, a, v)
{
	atomic { !pending[who] -> at[who] = a; value[who] = v; pending[who] = true }
}
inline exchange(who, a, v)
{
	atomic { !pending[who] -> mem[a] = v }
}
inline acquire() { atomic { !lock && !pending[SCHED] -> lock = true } }
inline release() { atomic { !pending[SCHED] -> lock = false } }

/* With the lock: the slot goes to the task, which runs and lets the worker go on. */
inline look(v)
{
	load(SCHED, STATE, v);
	if
	:: v == BLOCKED && ready && !taken ->
		taken = true; ready = false;
		store(SCHED, WANT, 0);
		tasks++
	:: else
	fi
}

/* sched_wakeup of one that sleeps; the caller took the run queue's lock. */
inline wakeup()
{
	atomic { !pending[KERNEL] -> mem[STATE] = RUNS }
	asleep = false;
	rq = false
}

active proctype worker()
{
	byte round = 0, w;

	do
	:: round < 2 ->
		/* schedule(), until a task of this round has run. */
		do
		:: tasks > round -> break
		:: else ->
			atomic { !rq -> rq = true }
#ifdef BROKEN_LOOKS_FIRST
			load(KERNEL, WANT, w);
			exchange(KERNEL, STATE, BLOCKED);
#else
#ifdef BROKEN_NO_BARRIER
			store(KERNEL, STATE, BLOCKED);
#else
			exchange(KERNEL, STATE, BLOCKED);
#endif
			load(KERNEL, WANT, w);
#endif
			if
			:: w -> doorbell = true
			:: atomic { w && slotless -> owes = true }
			:: else
			fi;
			/* Its condition came true meanwhile, or it sleeps. */
			asleep = true;
			rq = false;
			!asleep;
			assert(mem[STATE] == RUNS)
		od;
		/* The next call of the library: it gets its slot when the task ended. */
		acquire();
		taken = false;
		release();
		round++
	:: else -> break
	od;
	ended = true
}

/* Whoever makes the condition true wakes who sleeps for it. */
active proctype waker()
{
	byte seen = 0, now;

end:	do
	:: atomic { tasks > seen && asleep && !rq -> rq = true; now = tasks }
		wakeup();
		seen = now
	:: tasks > seen && !asleep && ended -> seen = tasks
	od
}

/* Wakes it once, for nothing. */
active proctype outside()
{
	if
	:: atomic { asleep && !rq -> rq = true } wakeup()
	:: true
	fi
}

active proctype submitter()
{
	byte n = 0, v;

	do
	:: n < 2 ->
		/* The one before has ended, and the worker has the slot. */
		tasks == n && !ready && !taken;
		acquire();
		ready = true;
#ifdef BROKEN_PLAIN_WANT
		store(SCHED, WANT, 1);
#else
		exchange(SCHED, WANT, 1);
#endif
#ifndef BROKEN_TRUSTS_THE_BELL
		look(v);
#endif
		release();
		n++
	:: else -> break
	od
}

/* It waits, or runs on, and comes to look as often as that; then it has a slot. */
active proctype without()
{
	byte times = 0, v;

	slotless = true;
	do
	/* Put off the CPU, or asleep. */
#ifdef BROKEN_SLEEPS_OWING
	:: owes -> owes = false
#else
	:: atomic { owes -> owes = false; doorbell = true }
#endif
	:: times++;
#ifdef BROKEN_LOOKS_BEFORE
		v = owes;
		slotless = false;
#else
		slotless = false;
		v = owes;
#endif
		if
		:: v ->
			acquire();
			owes = false;
#ifdef BROKEN_TRUSTS_WANT
			load(SCHED, WANT, v);
			if
			:: v
			:: else -> look(v)
			fi;
#else
			look(v);
#endif
			release()
		:: else
		fi;
		if
		:: times == 3 -> break
		:: else -> slotless = true
		fi
	od
}

active proctype notifier()
{
	byte v;

end:	do
	:: doorbell ->
#ifndef BROKEN_HEARS_LATE
		doorbell = false;
#endif
		acquire();
		look(v);
		release();
#ifdef BROKEN_HEARS_LATE
		doorbell = false
#endif
	od
}
