/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/queue.c: segments of two slots, of which there are three, so that they
 * are used again; hazard pointers; a thread that pushes and pops by turns, and one
 * that pops twice, then pushes.
 *
 * Wrong: an item out of order, twice or never; an "empty" that is not true at
 * that moment; a look into a segment that was freed. BROKEN_* each make one
 * mistake.
 */
#define SLOTS 2
#define SEGS 3
#define NONE 7
#define THREADS 2
#define S(seg, i) slot[(seg) * SLOTS + (i)]

byte slot[SEGS * SLOTS];
byte seghead[SEGS], hint[SEGS], next[SEGS];
bool inuse[SEGS], retired[SEGS];
byte head, tail;
byte push_hp[THREADS], pop_hp[THREADS];

/* For the proof: what went in, in the order of the CAS that put it in. */
byte in[8];
byte ins, outs;

inline touch(seg)
{
	assert(seg == NONE || inuse[seg])
}

inline protect(hp, from, seg)
{
	do
	:: seg = from;
#ifndef BROKEN_NO_HAZARD
	   hp = seg;
#endif
#if defined(BROKEN_NO_RECHECK) || defined(BROKEN_NO_HAZARD)
	   break
#else
	   if
	   :: from == seg -> break
	   :: else
	   fi
#endif
	od
}

inline get(seg)
{
	atomic {
		seg = 0;
		do
		:: seg == SEGS -> break
		:: seg < SEGS ->
			if
			:: inuse[seg] -> seg++
			:: else -> break
			fi
		od;
		/* mmap() gives more in life; here the thread waits. */
		if
		:: seg < SEGS -> inuse[seg] = true
		:: else -> seg = NONE
		fi
	}
}

inline put(seg)
{
	atomic {
		S(seg, 0) = 0; S(seg, 1) = 0;
		seghead[seg] = 0; hint[seg] = 0; next[seg] = NONE;
		retired[seg] = false; inuse[seg] = false
	}
}

inline push(x)
{
	done = false;
	do
	:: done -> break
	:: else ->
		protect(push_hp[me], tail, s);
		touch(s); i = hint[s];
		do
		:: i >= SLOTS -> break
		:: else ->
#ifdef BROKEN_CLAIMS_FIRST
			/* A counter claims the slot, which is filled later. */
			atomic {
				touch(s);
				i = hint[s];
				if
				:: i < SLOTS -> hint[s] = i + 1; in[ins] = x; ins++; done = true
				:: else
				fi
			};
			if
			:: done -> S(s, i) = x; break
			:: else -> break
			fi
#else
			atomic {
				touch(s);
				if
				:: S(s, i) == 0 -> S(s, i) = x; in[ins] = x; ins++; done = true
				:: else
				fi
			};
			if
			:: done -> touch(s); hint[s] = i + 1; break
			:: else -> i++
			fi
#endif
		od;
		if
		:: done
		:: else ->
			touch(s); f = next[s];
			if
			:: f == NONE ->
				get(f);
				if
				:: f != NONE ->
					S(f, 0) = x; hint[f] = 1;
					atomic {
						touch(s);
						if
						:: next[s] == NONE -> next[s] = f; in[ins] = x; ins++; done = true
						:: else
						fi
					};
					if
					:: done -> skip
					:: else -> put(f); f = next[s]
					fi
				:: else
				fi
			:: else
			fi;
			if
			:: f != NONE ->
				atomic {
					if
					:: tail == s -> tail = f
					:: else
					fi
				}
			:: else
			fi
		fi
	od
}

inline retire(s)
{
	retired[s] = true;
	r = 0;
	do
	:: r == SEGS -> break
	:: else ->
		if
		:: retired[r] ->
			u = 0;
#ifndef BROKEN_FREES_AT_ONCE
			/* Every word of every thread, one after the other. */
			do
			:: u == THREADS -> break
			:: u < THREADS ->
				if
				:: push_hp[u] == r || pop_hp[u] == r -> break
				:: else -> u++
				fi
			od;
#else
			u = THREADS;
#endif
			if
			:: u == THREADS -> put(r)
			:: else
			fi
		:: else
		fi;
		r++
	od
}

/* 0 in x: empty. */
inline pop(x)
{
	done = false;
	do
	:: done -> break
	:: else ->
		protect(pop_hp[me], head, s);
		touch(s); i = seghead[s];
		do
		:: done || i >= SLOTS -> break
		:: else ->
			atomic {
				touch(s);
				x = S(s, i);
				if
				:: x == 0 -> assert(ins == outs); done = true
				:: else
				fi
			};
			if
			:: done
			:: else ->
				atomic {
					touch(s);
					if
					:: seghead[s] == i ->
						seghead[s] = i + 1;
						assert(x == in[outs]);
						outs++;
						done = true
					:: else -> i = seghead[s]
					fi
				}
			fi
		od;
		if
		:: done
		:: else ->
			atomic {
				touch(s);
				f = next[s];
				if
				:: f == NONE -> assert(ins == outs); x = 0; done = true
				:: else
				fi
			};
			if
			:: done
			:: else ->
				atomic {
					if
					:: tail == s -> tail = f
					:: else
					fi
				};
				ok = false;
				atomic {
					if
					:: head == s -> head = f; ok = true
					:: else
					fi
				};
				if
				:: ok -> retire(s)
				:: else
				fi
			fi
		fi
	od
}

proctype both(byte me)
{
	byte s, i, f, u, r, x, n;
	bool done, ok;

	do
	:: n == 4 -> break
	:: else -> n++; push(n); pop(x)
	od
}

proctype pops(byte me)
{
	byte s, i, f, u, r, x;
	bool done, ok;

	pop(x);
	pop(x);
	push(9)
}

init
{
	byte i;

	atomic {
		do
		:: i == SEGS -> break
		:: else -> next[i] = NONE; i++
		od;
		i = 0;
		do
		:: i == THREADS -> break
		:: else -> push_hp[i] = NONE; pop_hp[i] = NONE; i++
		od;
		/* The first segment has one slot left. */
		inuse[0] = true; S(0, 0) = 99; seghead[0] = 1; hint[0] = 1;
		run both(0); run pops(1)
	}
}
