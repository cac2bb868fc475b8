/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/deque.c: an owner that pushes and pops, arrays of two and then four
 * slots, two thieves that take half.
 *
 * Wrong: an item that is taken twice, or never. BROKEN_* each make one mistake.
 */
#define ITEMS 3
#define A(o, i) ((o) * 2 + (i) % (2 << (o)))	/* array 0: 0,1; array 1: 2..5 */

byte slot[6];
byte top, count, order;	/* one word: changed in one step */
bool taken[ITEMS + 1];
byte thieves = 2;

inline take(x)
{
	assert(x != 0 && !taken[x]);
	taken[x] = true
}

#ifdef BROKEN_TWO_WORDS
/* Chase and Lev's, with a thief that moves top by more than one. */
byte bottom;
#endif

proctype owner()
{
	byte n = 0, b = 0, t, i, x;
	bool did;

	do
	:: n < ITEMS ->
		n++;
#ifdef BROKEN_TWO_WORDS
		slot[b % 6] = n; b++; bottom = b;
#else
#ifndef BROKEN_OVERWRITES
		/* Not free: an array twice the size. */
		if
		:: slot[A(order, b)] != 0 ->
			assert(order == 0);
			t = top; i = t;
			do
			:: i == b -> break
			:: else -> slot[A(1, i)] = slot[A(0, i)]; i++
			od;
			did = false;
			do
			:: did -> break
			:: else ->
				atomic {
					if
					:: top == t -> order = 1; did = true
					:: else
					fi
				};
				if
				:: did
				:: else -> slot[A(1, t)] = 0; t++
				fi
			od
		:: else
		fi;
#endif
		slot[A(order, b)] = n;
		b++;
		count++
#endif
	:: n > 1 ->
		did = false;
#ifdef BROKEN_TWO_WORDS
		if
		:: b > 0 ->
			b--; bottom = b;
			t = top;
			if
			:: t < b -> x = slot[b % 6]; take(x)
			:: t == b ->
				atomic {
					if
					:: top == t -> top = t + 1; did = true
					:: else
					fi
				};
				b++; bottom = b;
				if
				:: did -> x = slot[t % 6]; take(x)
				:: else
				fi
			:: else -> b++; bottom = b
			fi
		:: else
		fi;
		did = false
#else
		atomic {
			if
			:: count > 0 -> count--; did = true
			:: else
			fi
		};
		if
		:: did -> b--; x = slot[A(order, b)]; slot[A(order, b)] = 0; take(x)
		:: else
		fi
#endif
	:: n == ITEMS -> break
	od;
	/* When the thieves are done, what is left is the rest of the items. */
	thieves == 0;
	i = 0;
#ifdef BROKEN_TWO_WORDS
	do
	:: top == bottom -> break
	:: else -> x = slot[top % 6]; top++; take(x)
	od;
#else
	do
	:: count == 0 -> break
	:: else -> x = slot[A(order, top)]; top++; count--; take(x)
	od;
#endif
	do
	:: i == ITEMS -> break
	:: else -> i++; assert(taken[i])
	od
}

proctype thief(byte times)
{
	byte t, c, k, o, i, x, v[2];
	bool did;

	byte tries = 0;

	do
	:: tries == times -> break
	:: else ->
		tries++;
		did = false;
#ifdef BROKEN_TWO_WORDS
		t = top;
		c = bottom;
		c = (c > t -> c - t : 0);
#else
		atomic { t = top; c = count; o = order };
#endif
		k = (c + 1) / 2;
		if
		:: k == 0
		:: else ->
#if defined(BROKEN_READS_FIRST) || defined(BROKEN_TWO_WORDS)
			i = 0;
			do
			:: i == k -> break
#ifdef BROKEN_TWO_WORDS
			:: else -> v[i] = slot[(t + i) % 6]; i++
#else
			:: else -> v[i] = slot[A(o, t + i)]; i++
#endif
			od;
#endif
			atomic {
				if
#ifdef BROKEN_TWO_WORDS
				:: top == t -> top = t + k; did = true
#else
				:: top == t && count == c && order == o -> top = t + k; count = c - k; did = true
#endif
				:: else
				fi
			};
			if
			:: did ->
				i = 0;
				do
				:: i == k -> break
				:: else ->
#if defined(BROKEN_READS_FIRST) || defined(BROKEN_TWO_WORDS)
					x = v[i];
#else
					x = slot[A(o, t + i)];
#endif
#ifndef BROKEN_TWO_WORDS
					slot[A(o, t + i)] = 0;
#endif
					take(x);
					i++
				od
			:: else
			fi
		fi
	od;
	thieves--
}

init
{
	atomic { run owner(); run thief(2); run thief(1) }
}
