/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/stop.h - workers are stopped where they are, by a signal in whose handler they park.
 * All calls with the lock, but for btn_stop_send().
 */
#ifndef BTN_SCHED_STOP_H
#define BTN_SCHED_STOP_H

#include "types.h"

/* The thread of w is sent the signal when the lock is given up. False: not this time. */
bool btn_stop_signal(struct btn_wakes *wakes, const struct btn_worker *w);
/* The same, and w has to wait for a slot. False: not this time, and nothing changed. */
bool btn_stop_park(struct btn_wakes *wakes, struct btn_worker *w);
/* True: that can be done now. */
static inline bool btn_stop_has_room(const struct btn_wakes *wakes)
{
	return wakes->n_signals < BTN_SIGNALS;
}

/* Without the lock, and before others are woken: sends the signals. */
void btn_stop_send(const struct baton_sched *s, struct btn_wakes *wakes);

/*
 * True: the slot's task spins, has passed no checkpoint in this slice, and can be stopped now,
 * by any thread with the lock.
 */
bool btn_stop_is_known(struct baton_sched *s, unsigned slot);
/* The same but for whether it can be stopped just now: when to look at it. */
bool btn_stop_spins(const struct baton_sched *s, unsigned slot);
/* Counts that the slot's task lost it by force. */
void btn_stop_show(struct baton_sched *s, uint64_t now, unsigned slot);

/* The caller, w, is in the signal's handler, and about to park; and it goes on. */
void btn_stop_parks(struct btn_worker *w);
void btn_stop_goes_on(struct btn_worker *w);

#endif
