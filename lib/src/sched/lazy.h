/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/lazy.h - lazy release: slots that are cached by attached threads which left their
 * request, or block.
 */
#ifndef BTN_SCHED_LAZY_H
#define BTN_SCHED_LAZY_H

#include "../pairs.h"
#include "slot.h"

/*
 * Arm: an attached thread was given this slot, and may cache it, where the rules allow that.
 * Off: another thread is about to touch its run; false: not now, the slot is cached or the
 * owner is in the library. Needs the lock.
 */
void btn_lazy_arm(struct baton_sched *s, struct btn_worker *w, unsigned slot);
bool btn_lazy_off(struct baton_sched *s, struct btn_worker *w);
/* Takes a cached slot, if a task waits and no slot is idle. True: one is idle now. */
bool btn_lazy_look(struct baton_sched *s, uint64_t now);
/*
 * Takes the slots that were cached for long; or all, and those that run may not cache theirs.
 * Some requests may be done then: btn_dispatch_done().
 */
void btn_lazy_take_old(struct baton_sched *s, uint64_t now);
void btn_lazy_take_all(struct baton_sched *s);
/* Hints: the slot of w is cached; w may cache its slot. */
bool btn_lazy_is_cached(const struct btn_worker *w);
bool btn_lazy_is_on(const struct btn_worker *w);
/*
 * Called by the owner without the lock, inside the library: caches its slot, and takes it
 * again. False: the owner has to take the lock.
 */
bool btn_lazy_cache(struct btn_worker *w, unsigned why);
bool btn_lazy_resume(struct btn_worker *w);
/* The owner leaves the library. A thread that sees that has acquired what the owner wrote there. */
BTN_ENDS(btn_inside)
void btn_lazy_out(struct btn_worker *w);

#endif
