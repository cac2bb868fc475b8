/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/lazy.h - slots that are kept idle by attached threads that left or block. */
#ifndef BTN_SCHED_LAZY_H
#define BTN_SCHED_LAZY_H

#include "slot.h"

/*
 * With the lock. An attached thread was given this slot: it may cache it, if it may. Its run is
 * to be touched by another: false: not now, it has it cached or is in the library.
 */
void btn_lazy_arm(struct baton_sched *s, struct btn_worker *w, unsigned slot);
bool btn_lazy_off(struct baton_sched *s, struct btn_worker *w);
/* Nothing is idle: if a task waits, a slot that is cached. True: one is idle. */
bool btn_lazy_look(struct baton_sched *s, uint64_t now);
/* Those that were for long; all, and nobody has one until his next slot. Some requests may be done. */
void btn_lazy_take_old(struct baton_sched *s, uint64_t now);
void btn_lazy_take_all(struct baton_sched *s);
/* Hints: it caches its slot; or may. */
bool btn_lazy_is_cached(const struct btn_worker *w);
bool btn_lazy_is_on(const struct btn_worker *w);
/* The owner, without the lock, inside the library. False: it is to go the long way. */
bool btn_lazy_cache(struct btn_worker *w, unsigned why);
bool btn_lazy_resume(struct btn_worker *w);
/* It is out of the library, and whoever sees that has what it wrote there. */
void btn_lazy_out(struct btn_worker *w);

#endif
