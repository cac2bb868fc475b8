/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/ring.c: a ring of two, a producer of two items and one of one, two consumers.
 *
 * A slot's release store is buffered as on x86: it may reach memory any time
 * until its thread's next read-modify-write; its own loads see it. So may the
 * thread stop there.
 *
 * Wrong: an item that comes out in another order than the claims went in, twice,
 * or not at all. BROKEN_* each make one mistake.
 */
#define CAP 2
#define ITEMS 3
#define COLOUR(i) (1 - (((i) / CAP) & 1))

byte slot[CAP];		/* item << 1 | colour, as in ring.c */
byte tail, head;
byte claimed[ITEMS];	/* for the proof: what was claimed, in order */
byte popped;

bool pending[4];
byte at[4], value[4];

proctype drains(byte who)
{
end:	do
	:: atomic { pending[who] -> slot[at[who]] = value[who]; pending[who] = false }
	od
}

inline store(a, v)
{
	atomic { !pending[me] -> at[me] = a; value[me] = v; pending[me] = true }
}

inline load(a, v)
{
	atomic {
		if
		:: pending[me] && at[me] == a -> v = value[me]
		:: else -> v = slot[a]
		fi
	}
}

#ifdef BROKEN_NO_LAP
#define READY_TO_PUSH(v, i) (((v) >> 1) == 0)
#define READY_TO_POP(v, i) (((v) >> 1) != 0)
#else
#define READY_TO_PUSH(v, i) ((v) == 1 - COLOUR(i))
#define READY_TO_POP(v, i) (((v) & 1) == COLOUR(i))
#endif

proctype producer(byte me; byte first; byte items)
{
	byte n = 0, t, v;
	bool ok;

	do
	:: n == items -> break
	:: else ->
		t = tail;
#ifdef BROKEN_INDEX_FIRST
		/* Room by the indexes; the slot is not looked at. */
		if
		:: t - head < CAP -> ok = true
		:: else -> ok = false
		fi;
#else
		load(t % CAP, v);
		ok = READY_TO_PUSH(v, t);
#endif
		if
		:: ok ->
			atomic {
				!pending[me];
				if
				:: tail == t -> tail = t + 1; claimed[t] = first + n
				:: else -> ok = false
				fi
			};
			if
			:: ok ->
				store(t % CAP, ((first + n) << 1) | COLOUR(t));
				n++
			:: else
			fi
		:: else
		fi
	od
}

proctype consumer(byte me)
{
	byte h, v;
	bool ok;

	do
	:: popped == ITEMS -> break
	:: else ->
		h = head;
#ifdef BROKEN_INDEX_FIRST
		if
		:: h != tail -> ok = true
		:: else -> ok = false
		fi;
#else
		load(h % CAP, v);
		ok = READY_TO_POP(v, h);
#endif
		if
		:: ok ->
			atomic {
				!pending[me];
				if
				:: head == h -> head = h + 1
				:: else -> ok = false
				fi
			};
			if
			:: ok ->
#ifdef BROKEN_INDEX_FIRST
				load(h % CAP, v);
#endif
#ifdef BROKEN_READS_LATE
				/* The item, after the slot was given away. */
				store(h % CAP, COLOUR(h));
				!pending[me];
				load(h % CAP, v);
#endif
				assert((v >> 1) == claimed[h]);
				popped++;
#ifndef BROKEN_READS_LATE
				store(h % CAP, COLOUR(h));
#endif
			:: else
			fi
		:: else
		fi
	od
}

init
{
	atomic {
		run drains(0); run drains(1); run drains(2); run drains(3);
		run producer(0, 1, 2); run producer(1, 3, 1);
		run consumer(2); run consumer(3)
	}
}
