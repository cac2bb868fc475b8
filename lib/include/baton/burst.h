/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/burst.h> - hand items to the threads that are waiting for one right
 * now, a burst of them with one wake-up.
 *
 *	sender					each consumer
 *
 *	while (work &&				baton_burst_join(b, &c);
 *	       !baton_burst_offer(b, work))	while (!baton_burst_wait(c, &work, BATON_FOREVER))
 *		work = next();				run(work);
 *	baton_burst_wake_all(b);		baton_burst_leave(c);
 *	... keep what nobody took ...
 *
 * Nothing is queued. An offer either gives the item to one consumer that waits,
 * or the sender keeps it; so work never sits behind a busy consumer. Nor does it
 * lie before one that sleeps: a consumer that comes to wait while another one
 * was given an item and woken, but does not run yet, gets that item at once, and
 * the other one goes on waiting.
 *
 * Roles: one sender at a time calls offer, wake_all and close. Consumers come
 * and go at any time; each has an object of its own, for one thread at a time.
 *
 * Order: none, not even of what one consumer gets. Those that joined first are
 * preferred.
 *
 * Progress: offer is wait-free, at most one step for each waiting consumer.
 * wake_all is at most one system call, whatever the number of offers, and none
 * if nothing was offered. A wait that sleeps is one system call, and one more for
 * each time that a quicker consumer took its item: never more sleeps than
 * wake-ups. Only consumers that were given an item are woken, as long as at most
 * 32 consumers have joined. With more, each shares its wake-up with every 32nd
 * other; offers are given out so that at most one such group, less one, wakes for
 * nothing in each burst and sleeps again. A wait that begins just while wake_all
 * runs may need a second call too.
 *
 * When to wake: one wake_all for many offers is one system call, in which the
 * kernel spreads the consumers over CPUs that sleep; those on the sender's own
 * CPU run after it. Where the interrupt to a sleeping CPU is dear (20 us in some
 * virtual machines) a wake_all after each offer has the first item run sooner.
 *
 * What an item points to is seen as it was when offer was called.
 *
 * Capacity: 2048 consumers. Memory: 4 KiB and 64 bytes for each of the most
 * consumers there ever were, 32 at a time.
 *
 * Not in signal handlers. fork: the consumers are threads of the parent, and the child
 * makes a burst of its own.
 */
#ifndef BATON_BURST_H
#define BATON_BURST_H

#include <baton/base.h>

BATON_BEGIN_DECLS

struct baton_burst;
struct baton_burst_consumer;

/**
 * baton_burst_create - make a burst without consumers
 * @out: where it is put; set to NULL on an error
 *
 * Any thread. The caller owns it and ends it with baton_burst_destroy().
 *
 * Returns 0; -ENOMEM; or an error of baton_backend().
 */
BATON_API int baton_burst_create(struct baton_burst **out);

/**
 * baton_burst_destroy - end a burst
 * @b: the burst, or NULL for nothing to do
 *
 * Any thread, once every consumer has left and nobody uses @b any more;
 * baton_burst_close() makes them go. So no item can be inside.
 * Aborts the process with a message if a consumer has not left.
 */
BATON_API void baton_burst_destroy(struct baton_burst *b);

/**
 * baton_burst_join - become a consumer
 * @b: the burst
 * @out: where the consumer is put; set to NULL on an error
 *
 * Any thread, at any time. Ends with baton_burst_leave().
 *
 * Returns 0; -ENOMEM; -ENOSPC: there are 2048; -EPIPE: the sender closed it.
 */
BATON_API int baton_burst_join(struct baton_burst *b, struct baton_burst_consumer **out);

/**
 * baton_burst_leave - be a consumer no more
 * @c: the consumer, or NULL for nothing to do
 *
 * The consumer's thread, not while it waits; it has no item then that it did
 * not get. @c is gone.
 */
BATON_API void baton_burst_leave(struct baton_burst_consumer *c);

/**
 * baton_burst_wait - wait for an item
 * @c: the caller's consumer
 * @item: where it is put; not touched if there is none
 * @deadline: when to give up, or BATON_FOREVER
 *
 * The consumer's thread. Sleeps; burns no CPU. Acquires what offer released.
 * An item that was offered is always got, also after a deadline or close.
 *
 * Returns 0: *@item is the caller's;
 * -ETIMEDOUT: there was none for it until @deadline;
 * -EPIPE: the sender closed the burst and offers no more.
 */
BATON_API int baton_burst_wait(struct baton_burst_consumer *c, void **item, uint64_t deadline);

/**
 * baton_burst_offer - give an item to a consumer that is waiting right now
 * @b: the burst
 * @item: not NULL, not odd, or the process is aborted with a message
 *
 * The sender. Never blocks. Releases. The consumer may not notice until the
 * sender calls wake_all.
 *
 * Returns 0: one consumer has it;
 * -EAGAIN: nobody is waiting; the item is still the caller's;
 * -EPIPE: likewise, and there is no consumer at all.
 */
BATON_API int baton_burst_offer(struct baton_burst *b, void *item);

/**
 * baton_burst_wake_all - wake the consumers that were given an item
 * @b: the burst
 *
 * The sender. Does not wait for them.
 *
 * Returns how many items were given since the last call.
 */
BATON_API unsigned int baton_burst_wake_all(struct baton_burst *b);

/**
 * baton_burst_close - offer no more
 * @b: the burst
 *
 * The sender; any number of times. Wakes every consumer; from now on they get
 * the item that they were given, if any, and then -EPIPE.
 */
BATON_API void baton_burst_close(struct baton_burst *b);

BATON_END_DECLS

#endif
