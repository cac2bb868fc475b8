/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib/src/sched/chan.c, wait.c and wait_any.c: tasks wait in the lists of two channels, A (0) and
 * B (1), and exactly one thing ends each wait. All is under one lock, so each hold of it is one
 * step; between two holds a task that was woken is late as long as it likes.
 *
 * Task 0 waits for A or B, twice; task 1 for A, once. Two items are sent to A and one to B, each by
 * a sender of its own. The clock may end a wait of task 0.
 *
 * Wrong: an item lies in a channel and a task sleeps that waits for it; an item that no task has
 * and that is in no channel. BROKEN_* each make one mistake.
 */
#define SENT 3

bool in[4];			/* in[2 * channel + task]: the task's place in that list */
byte n[2];			/* items in the channel */
bool asleep[2];
bool timed_out[2];
bool hand[2];			/* an item was handed to the task */
byte got, sent;

inline leave(t, except)
{
#ifdef BROKEN_LEFT_IN_LIST
	in[2 * except + t] = false;
#else
	in[t] = false;
	in[2 + t] = false;
#endif
}

/* The channel's receivers: whichever of them is first. */
inline end_wait(c, t)
{
	leave(t, c);
#ifdef BROKEN_LOOK_AGAIN
	n[c]++;
#else
	hand[t] = true;
#endif
	asleep[t] = false
}

proctype sender(byte c)
{
	atomic {
		if
		:: in[2 * c] -> end_wait(c, 0)
		:: in[2 * c + 1] -> end_wait(c, 1)
		:: !in[2 * c] && !in[2 * c + 1] -> n[c]++
		fi;
		sent++
	}
}

proctype task(byte t; byte rounds; bool both)
{
	byte round;

	do
	:: round < rounds ->
		round++;
again:
		atomic {
			if
			:: n[0] -> n[0]--; got++; goto next
			:: both && n[1] -> n[1]--; got++; goto next
			:: !n[0] && !(both && n[1]) ->
				in[t] = true;
				in[2 + t] = both;
				asleep[t] = true
			fi
		}
end_asleep:
		atomic { !asleep[t] };
		if
		:: timed_out[t] -> timed_out[t] = false; goto next
		:: !timed_out[t]
		fi;
#ifdef BROKEN_LOOK_AGAIN
		goto again;
#endif
		atomic {
			assert(hand[t]);
			hand[t] = false;
			got++
		};
next:
		skip
	:: else -> break
	od
}

proctype clock()
{
	atomic {
		if
		:: asleep[0] ->
#ifndef BROKEN_CLOCK_FORGETS
			in[0] = false;
			in[2] = false;
#endif
			timed_out[0] = true;
			asleep[0] = false
		:: true
		fi
	}
}

/* Nothing more happens. */
proctype checker()
{
	timeout;
	assert(got + n[0] + n[1] == sent && sent == SENT);
	assert(!(asleep[0] && (n[0] || n[1])));
	assert(!(asleep[1] && n[0]))
}

init {
	atomic {
		run task(0, 2, true);
		run task(1, 1, false);
		run sender(0);
		run sender(0);
		run sender(1);
		run clock();
		run checker();
	}
}
