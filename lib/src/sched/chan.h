/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/chan.h - channels, for calls that wait for more than one. All calls with the lock. */
#ifndef BTN_SCHED_CHAN_H
#define BTN_SCHED_CHAN_H

#include "types.h"

struct baton_chan {
	struct baton_sched *s;
	struct btn_waiters senders, receivers;
	unsigned capacity, first, n;
	bool closed;
	void *item[];
};

/*
 * Puts an item into the channel, or into the hands of the task that waits for one first: 0;
 * -EPIPE: it is closed; -EAGAIN: it is full.
 */
int btn_chan_put_locked(struct baton_chan *c, void *item);
/*
 * Takes the first item; the place goes to the task that waits with an item first: 0; -EPIPE: it
 * is empty and closed; -EAGAIN: it is empty.
 */
int btn_chan_take_locked(struct baton_chan *c, void **item);

#endif
