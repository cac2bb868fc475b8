/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/ring.h> - a bounded queue of pointers for many producers and many
 * consumers.
 *
 * Roles: any thread may push and pop, at any time, on one or many at once.
 *
 * Order: first in, first out, over all threads. An item whose push returned
 * before another push was called is popped first.
 *
 * Progress: no call ever waits, but for at most 2 us each time another thread
 * was first. An operation is non-blocking but not lock-free: between claiming a
 * slot and filling or emptying it (a few instructions) a thread can be
 * preempted, and until it goes on that one slot cannot be used. Then pop says
 * "empty" though later items are inside, and push says "full" one lap later.
 * Nothing is lost, and neither call spins on it. Where a thread may stop there
 * for ever, take <baton/queue.h>.
 *
 * So false from push means "full, or a pop of one of the oldest items has not
 * returned yet", and false from pop "empty, or a push has not returned yet".
 *
 * Items: any pointer that is not NULL and whose lowest bit is clear, as every
 * pointer from malloc() and to any type but char is. Others abort the process
 * with a message, as soon as there is room for them. What a popped item points
 * to is seen as it was when push was called: push releases, the pop that takes
 * the item acquires.
 *
 * Memory: 8 bytes a slot and 512 bytes, from mmap(); slots cost nothing until
 * they are used for the first time, whatever the capacity.
 *
 * Signals: a handler may push and pop if it can bear the false above; it never
 * deadlocks. fork: the child may go on with what was inside.
 *
 * Inline: with BATON_INLINE defined before this is included, baton_ring_push()
 * and baton_ring_pop() are compiled into the caller: <baton/ring_inline.h>.
 */
#ifndef BATON_RING_H
#define BATON_RING_H

#include <stdbool.h>

#include <baton/base.h>

BATON_BEGIN_DECLS

struct baton_ring;

/**
 * baton_ring_create - make a ring
 * @out: where the new ring is put; set to NULL on an error
 * @capacity: how many items it holds, a power of two from 2 to 2^40
 *
 * Any thread, not in a signal handler. The time does not depend on @capacity.
 * The caller owns the ring and ends it with baton_ring_destroy().
 *
 * Returns 0;
 * -EINVAL: @capacity is not a power of two in that range;
 * -ENOMEM: the kernel gives no such mapping.
 */
BATON_API int baton_ring_create(struct baton_ring **out, size_t capacity);

/**
 * baton_ring_destroy - end a ring
 * @r: the ring, or NULL for nothing to do
 *
 * Any thread, once no other thread uses @r any more. Items that are still
 * inside are forgotten; they are the caller's.
 */
BATON_API void baton_ring_destroy(struct baton_ring *r);

/**
 * baton_ring_push - put one item in
 * @r: the ring
 * @item: not NULL, lowest bit clear
 *
 * Any thread. Never blocks. Releases.
 *
 * Returns true: the item is inside and belongs to whoever pops it;
 * false: it is not, there was no room.
 */
BATON_API bool baton_ring_push(struct baton_ring *r, void *item);

/**
 * baton_ring_pop - take the oldest item out
 * @r: the ring
 * @item: where it is put; not touched if there is none
 *
 * Any thread. Never blocks. Acquires if it returns true.
 *
 * Returns true: *@item is the caller's; false: there was none.
 */
BATON_API bool baton_ring_pop(struct baton_ring *r, void **item);

/**
 * baton_ring_push_n - put in as many of several items as there is room for
 * @r: the ring
 * @items: the items, as for baton_ring_push()
 * @n: how many
 *
 * As baton_ring_push(), for all of them at once: the ones that go in are the
 * first ones of @items, and nobody else's item gets between them.
 *
 * Returns how many went in, 0 to @n.
 */
BATON_API size_t baton_ring_push_n(struct baton_ring *r, void *const *items, size_t n);

/**
 * baton_ring_pop_n - take out up to so many of the oldest items
 * @r: the ring
 * @items: where they are put, oldest first
 * @n: room in @items
 *
 * As baton_ring_pop(), for all of them at once: they are consecutive ones.
 *
 * Returns how many were taken, 0 to @n. What is beyond in @items may have
 * been written over.
 */
BATON_API size_t baton_ring_pop_n(struct baton_ring *r, void **items, size_t n);

/**
 * baton_ring_count - about how many items are inside
 * @r: the ring
 *
 * Any thread. Exact while nobody pushes or pops; otherwise some moment's
 * number, give or take the operations under way. Orders nothing.
 *
 * Returns 0 to the capacity.
 */
BATON_API size_t baton_ring_count(const struct baton_ring *r);

BATON_END_DECLS

#ifdef BATON_INLINE
#include <baton/ring_inline.h>
#define baton_ring_push(R, ITEM) baton_ring_push_inline(R, ITEM)
#define baton_ring_pop(R, ITEM) baton_ring_pop_inline(R, ITEM)
#endif

#endif
