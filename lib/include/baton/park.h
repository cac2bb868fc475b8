/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/park.h> - a thread sleeps, another one lets it go on, and a thread
 * hands its CPU to another.
 *
 * A parker is a place where one thread, its owner, sleeps until it has a
 * permit. Any thread can give it the permit. There is one permit, not a count:
 * giving it twice before it is used is giving it once. It is kept until it is
 * used, so the order of resume and block does not matter:
 *
 *	owner                           any other thread
 *
 *	while (!done)                   done = 1;
 *		baton_parker_block(p,   baton_parker_resume(p);
 *			BATON_FOREVER);
 *
 * The owner is whoever blocks: not the thread that made the parker, and it may
 * change, as long as two threads are never in block or switch_to with the same
 * parker as @self at once (the process is aborted with a message if they are).
 *
 * Memory order: everything that happened before baton_parker_resume(p) or
 * baton_parker_switch_to(.., p, ..) was called is visible to the owner when
 * its block, or switch_to, takes that permit and returns 0. This holds for
 * every resume whose permit was merged into the one that was taken. A return
 * of -ETIMEDOUT orders nothing.
 *
 * Signals: a handler that runs while its thread is in block or switch_to does
 * not end the wait; the handler may resume any parker, its own thread's
 * included, which then ends it. Neither call is a cancellation point.
 *
 * fork: in the child the parkers of the parent's other threads may be
 * destroyed or used by new owners.
 */
#ifndef BATON_PARK_H
#define BATON_PARK_H

#include <baton/base.h>

BATON_BEGIN_DECLS

struct baton_parker;

/**
 * baton_parker_create - make a parker, without a permit
 * @out: where the new parker is put; set to NULL on an error
 *
 * Any thread, not in a signal handler. May allocate memory. The caller owns
 * the parker and ends it with baton_parker_destroy().
 *
 * Returns 0; -ENOMEM; or an error of baton_backend().
 */
BATON_API int baton_parker_create(struct baton_parker **out);

/**
 * baton_parker_destroy - end a parker
 * @p: the parker, or NULL for nothing to do
 *
 * Any thread, not in a signal handler; never blocks for longer than another
 * create or destroy takes. The caller must know that no thread is in block or
 * switch_to with @p as @self and that no call with @p begins any more.
 *
 * Calls of resume(@p) and switch_to(.., @p, ..) that have already given their
 * permit may still be under way, however long: a thread that has been given
 * the last permit that anyone had for it can destroy its parker at once.
 * That is so because a parker's memory is never given back, only used again
 * for the next parker: the process keeps 128 bytes for each of the most
 * parkers it ever had at one time.
 *
 * To resume a parker that was destroyed is a mistake in the program; it is
 * aborted with a message where that can be seen.
 */
BATON_API void baton_parker_destroy(struct baton_parker *p);

/**
 * baton_parker_block - wait for the permit and use it up
 * @self: the caller's parker
 * @deadline: when to give up, or BATON_FOREVER. A time that is past (0, for
 *	one) takes a permit that is there and does not sleep.
 *
 * The owner only, not in a signal handler. Never returns early: EINTR, EAGAIN
 * and spurious wakes stay inside. Acquires what the resumers released.
 *
 * Returns 0: the permit was there or came, and is used up;
 * -ETIMEDOUT: the deadline passed and no permit came. One that comes later is
 * kept for the next block.
 */
BATON_API int baton_parker_block(struct baton_parker *self, uint64_t deadline);

/**
 * baton_parker_resume - give the permit
 * @to: whose
 *
 * Any thread, also in a signal handler, also to the caller's own parker. Does
 * not block. Releases what the caller did before. The caller must know that
 * @to is not destroyed before the permit is given; from then on the call does
 * not touch its memory (see baton_parker_destroy).
 */
BATON_API void baton_parker_resume(struct baton_parker *to);

/**
 * baton_parker_switch_to - give a permit, then wait for one
 * @self: the caller's parker
 * @to: whose permit to give; @self gives it to itself and returns at once
 * @deadline: as for block
 *
 * Exactly baton_parker_resume(@to) followed by baton_parker_block(@self,
 * @deadline), and all that is said there holds; where the kernel can, it is
 * one system call and @to runs next on this CPU. The permit is given exactly
 * once, whatever becomes of the wait.
 *
 * Returns what block would return.
 */
BATON_API int baton_parker_switch_to(struct baton_parker *self,
				     struct baton_parker *to,
				     uint64_t deadline);

BATON_END_DECLS

#endif
