/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/queue.h> - an unbounded queue of pointers for many producers and many
 * consumers.
 *
 * Roles: any thread may push and pop, at any time, on one or many at once.
 *
 * Order: first in, first out, over all threads; linearizable, empty included:
 * pop says "empty" only if at some moment during the call nothing was inside.
 *
 * Progress: lock-free. A thread may stop for ever at any instruction of a call
 * and the others go on; what is lost is at most the item that it had in hand.
 * A push waits for nothing but, once in 4064 items, an mmap().
 *
 * Memory: a list of segments of 32 KiB, 4064 items each. A segment that was
 * emptied is given back to the kernel or used again, except that
 *  - up to 8 are kept in each queue for later,
 *  - a thread that used the queue keeps the segment that it used last for push,
 *    and the one for pop, until it uses another queue or ends; also while it
 *    sleeps, also if it stops for ever,
 *  - a segment waits until a few of them can be looked at together: 2, plus one
 *    for every two threads.
 * There is no limit to the items inside but memory.
 *
 * Items: any pointer but NULL, which aborts the process with a message. What a
 * popped item points to is seen as it was when push was called.
 *
 * Order with other memory: a push that succeeds, and a look at the queue by a
 * pop, are sequentially consistent, so they may be one side of a Dekker
 * handshake: push, then look who sleeps; say that one sleeps, then pop once
 * more.
 *
 * Not in signal handlers. fork: the child may go on with what was inside; the
 * segments its parent's other threads used are not given back there.
 */
#ifndef BATON_QUEUE_H
#define BATON_QUEUE_H

#include <stdbool.h>

#include <baton/base.h>

BATON_BEGIN_DECLS

struct baton_queue;

/**
 * baton_queue_create - make a queue
 * @out: where the new queue is put; set to NULL on an error
 *
 * Any thread. The caller owns the queue and ends it with
 * baton_queue_destroy().
 *
 * Returns 0;
 * -ENOMEM: no memory for it or for the calling thread's record;
 * -EAGAIN: the process has no thread-specific key left (pthread_key_create).
 */
BATON_API int baton_queue_create(struct baton_queue **out);

/**
 * baton_queue_destroy - end a queue
 * @q: the queue, or NULL for nothing to do
 *
 * Any thread, once no other thread uses @q any more. Items that are still
 * inside are forgotten; they are the caller's.
 */
BATON_API void baton_queue_destroy(struct baton_queue *q);

/**
 * baton_queue_attach - have the calling thread's record made now
 *
 * A thread's first call of push or pop, on whatever queue, takes a record,
 * which is given back when the thread ends. The first 63 threads of a process
 * need no memory for it; later ones may. With this a thread knows beforehand.
 * Needs a queue to have been created. Any thread, any number of times.
 *
 * Returns 0; -ENOMEM.
 */
BATON_API int baton_queue_attach(void);

/**
 * baton_queue_push - put one item in
 * @q: the queue
 * @item: not NULL
 *
 * Any thread. Never waits for another thread. Releases.
 *
 * Returns 0: the item is inside and belongs to whoever pops it;
 * -ENOMEM: it is not, there was no memory for a segment or a record.
 */
BATON_API int baton_queue_push(struct baton_queue *q, void *item);

/**
 * baton_queue_pop - take the oldest item out
 * @q: the queue
 * @item: where it is put; not touched if there is none
 *
 * Any thread. Never waits for another thread. Acquires if it returns true.
 *
 * Returns true: *@item is the caller's;
 * false: there was none, or this is the thread's first call and there was no
 * memory for its record (see baton_queue_attach()).
 */
BATON_API bool baton_queue_pop(struct baton_queue *q, void **item);

/**
 * baton_queue_pop_n - take out up to so many of the oldest items
 * @q: the queue
 * @items: where they are put, oldest first
 * @n: room in @items
 *
 * As baton_queue_pop(). The items are consecutive ones. It may return fewer
 * than are inside, but 0 only as pop returns false.
 *
 * Returns how many were taken, 0 to @n. What is beyond in @items may have been
 * written over.
 */
BATON_API size_t baton_queue_pop_n(struct baton_queue *q, void **items, size_t n);

/**
 * baton_queue_empty - is nothing inside?
 * @q: the queue
 *
 * Any thread. Sequentially consistent, as pop. Returns what pop would find at
 * some moment during the call: true also if the thread has no record and no
 * memory for one.
 */
BATON_API bool baton_queue_empty(struct baton_queue *q);

BATON_END_DECLS

#endif
