/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/deque.h> - a worker's own pile of tasks, from which others may steal.
 *
 * Roles: one thread at a time, the owner, pushes and pops; any thread steals,
 * the owner included. Who the owner is may change, if the last call of the old
 * one happens before the first call of the new one.
 *
 * Order: the owner takes the newest item first, thieves the oldest; both
 * linearizable, empty included.
 *
 * Progress: lock-free. A thread may stop for ever at any instruction of a call
 * and the others go on; what is lost is at most what it had claimed: the one
 * item of a pop, the items of one steal. Everything pushed can be stolen at
 * once, also while the owner is busy or gone.
 *
 * Memory: an array that starts with 512 slots of 8 bytes and doubles when it is
 * full, up to 2^26. It does not shrink, and the smaller arrays are kept until
 * destroy: in all less than twice the largest. (A thief that stops between its
 * claim and its return can make the owner double once early.)
 *
 * Items: any pointer but NULL, which aborts the process with a message. What
 * an item points to is seen as it was when push was called.
 *
 * Order with other memory: push, pop and steal are sequentially consistent, a
 * look at an empty deque included: they may be one side of a Dekker handshake,
 * as those of <baton/queue.h>.
 *
 * Not in signal handlers. fork: a child whose thread is the owner may go on with what was
 * inside; the others of the parent cannot steal there.
 */
#ifndef BATON_DEQUE_H
#define BATON_DEQUE_H

#include <stdbool.h>

#include <baton/base.h>

BATON_BEGIN_DECLS

struct baton_deque;

/**
 * baton_deque_create - make a deque
 * @out: where the new deque is put; set to NULL on an error
 *
 * Any thread. The caller owns it and ends it with baton_deque_destroy().
 *
 * Returns 0; -ENOMEM.
 */
BATON_API int baton_deque_create(struct baton_deque **out);

/**
 * baton_deque_destroy - end a deque
 * @d: the deque, or NULL for nothing to do
 *
 * Any thread, once no other thread uses @d any more. Items that are still
 * inside are forgotten; they are the caller's.
 */
BATON_API void baton_deque_destroy(struct baton_deque *d);

/**
 * baton_deque_push - put an item on the owner's end
 * @d: the deque
 * @item: not NULL
 *
 * The owner. Never waits. Releases. May allocate memory.
 *
 * Returns 0: the item is inside; -ENOMEM: it is not, there was no memory for a
 * larger array, or 2^26 items are inside.
 */
BATON_API int baton_deque_push(struct baton_deque *d, void *item);

/**
 * baton_deque_pop - take the newest item
 * @d: the deque
 * @item: where it is put; not touched if there is none
 *
 * The owner. Never waits. Returns true: *@item is the caller's; false: empty.
 */
BATON_API bool baton_deque_pop(struct baton_deque *d, void **item);

/**
 * baton_deque_steal - take some of the oldest items, at most half
 * @d: the deque
 * @items: where they are put, oldest first
 * @n: room in @items
 *
 * Any thread. Never waits. Acquires. Takes half of what is inside, rounded up,
 * or @n, whichever is less; they are consecutive ones.
 *
 * Returns how many were taken; 0 only if the deque was empty or @n is 0.
 */
BATON_API size_t baton_deque_steal(struct baton_deque *d, void **items, size_t n);

/**
 * baton_deque_count - how many items are inside
 * @d: the deque
 *
 * Any thread. The number at some moment during the call; sequentially
 * consistent.
 */
BATON_API size_t baton_deque_count(const struct baton_deque *d);

BATON_END_DECLS

#endif
