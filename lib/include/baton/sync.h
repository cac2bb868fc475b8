/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/sync.h> - locks and queues that block the task and not its slot.
 *
 * All objects belong to one scheduler and are for its tasks, and where it says
 * so for any thread. A task of another scheduler is a thread like any other here: where a
 * task is needed it is refused with -EPERM. Waiters are served first come, first served (of a mutex,
 * but for tasks that find it free). A call that waits gives the task's slot to the next one. None is for signal handlers.
 * What one thread did before it unlocked, signalled, posted, sent or closed is
 * visible to whoever that let go on. The constructors return 0 or -ENOMEM and
 * set *out; an object may be destroyed once nobody waits for it or holds it.
 *
 * Each call that waits has a form that ends in _until, which gives up: at
 * @deadline, CLOCK_MONOTONIC ns as baton_clock_now() tells it, with -ETIMEDOUT; and
 * when the caller's request is told something (baton_checkpoint()), now or before,
 * with that: -ECANCELED or -ETIME. BATON_FOREVER: only then. What can be had without
 * waiting is had, whatever the deadline and the request. Either the call returns 0 and
 * the caller has what it waited for, or it has not and nobody lost it: a wake, a
 * time-out and a cancel that come together are settled once. The deadline is when the
 * task is ready again; the slot it then has to wait for like any other. The forms
 * without _until wait whatever happens: those are for cleaning up.
 */
#ifndef BATON_SYNC_H
#define BATON_SYNC_H

#include <baton/sched.h>

BATON_BEGIN_DECLS

struct baton_mutex;
struct baton_rwlock;
struct baton_cond;
struct baton_sem;
struct baton_chan;

/**
 * A mutex. Not recursive. While a task waits for it, the holder may also run in
 * the place that the waiter would have, in the waiter's tier and order, and what
 * the holder uses in that place is charged to the waiter's tenant: a lock is
 * held no longer than the best of its waiters could run. A waiter without quota
 * lends nothing. Where the holder waits for another mutex, that one's holder
 * inherits, too. A waiter that gives up, or is cancelled, lends no more from
 * then on.
 *
 * A task that runs may lock a mutex that is free although others wait for it: an unlock wakes the first of
 * them, which may be passed by until it has a slot. If it then finds the mutex held, the next
 * unlock hands the mutex to it.
 *
 * baton_mutex_lock returns 0; -EPERM: not from a task of its scheduler; -EDEADLK: the caller
 * holds it. baton_mutex_trylock, likewise, and -EBUSY. baton_mutex_unlock: by
 * the holder; -EPERM: the caller is not.
 *
 * A task that ends, in whatever way, while it holds one is a bug of the service:
 * what the mutex guards may be half changed and nobody can ever unlock it. So the
 * process is aborted, and stderr says why.
 */
BATON_API int baton_mutex_create(struct baton_mutex **out, struct baton_sched *s);
BATON_API void baton_mutex_destroy(struct baton_mutex *m);
BATON_API int baton_mutex_lock(struct baton_mutex *m);
BATON_API int baton_mutex_lock_until(struct baton_mutex *m, uint64_t deadline);
BATON_API int baton_mutex_trylock(struct baton_mutex *m);
BATON_API int baton_mutex_unlock(struct baton_mutex *m);

/* Tasks that read under one baton_rwlock at once, at most. */
#define BATON_RWLOCK_READERS 64

/**
 * A lock for many readers or one writer. Not recursive, also not for reading. Tasks are let in in the order in
 * which they came: while a writer waits, readers that come wait behind it. As many readers as
 * BATON_RWLOCK_READERS hold it at once; one more waits. While tasks wait, one of the holders at a time may
 * also run in the place that the best of them would have, as a mutex's holder may: the
 * writer, or one reader after the other. Each call takes the scheduler's lock, also where nobody waits: for what
 * is held shorter than a few us, baton_mutex costs less.
 *
 * baton_rwlock_rdlock and baton_rwlock_wrlock return 0; -EPERM: not from a task of its scheduler; -EDEADLK: the caller holds it, in
 * either way. A reader cannot become a writer without unlocking. baton_rwlock_tryrdlock and
 * baton_rwlock_trywrlock, likewise, and -EBUSY: held, or others wait. baton_rwlock_unlock ends
 * either; -EPERM: the caller holds nothing of it.
 *
 * A task that ends while it holds one aborts the process, as with a mutex.
 */
BATON_API int baton_rwlock_create(struct baton_rwlock **out, struct baton_sched *s);
BATON_API void baton_rwlock_destroy(struct baton_rwlock *l);
BATON_API int baton_rwlock_rdlock(struct baton_rwlock *l);
BATON_API int baton_rwlock_rdlock_until(struct baton_rwlock *l, uint64_t deadline);
BATON_API int baton_rwlock_tryrdlock(struct baton_rwlock *l);
BATON_API int baton_rwlock_wrlock(struct baton_rwlock *l);
BATON_API int baton_rwlock_wrlock_until(struct baton_rwlock *l, uint64_t deadline);
BATON_API int baton_rwlock_trywrlock(struct baton_rwlock *l);
BATON_API int baton_rwlock_unlock(struct baton_rwlock *l);

/**
 * A condition variable. baton_cond_wait unlocks m, waits for a signal and locks
 * m again; there are no spurious returns, but the condition may be false again.
 * Returns 0; -EPERM: the caller does not hold m, or m and the condition are of different
 * schedulers. signal and broadcast: any
 * thread. baton_cond_wait_until returns with m locked, too, whatever it returns
 * (but -EPERM), and may wait for that beyond the deadline. A signal goes to one that
 * then returns 0.
 */
BATON_API int baton_cond_create(struct baton_cond **out, struct baton_sched *s);
BATON_API void baton_cond_destroy(struct baton_cond *c);
BATON_API int baton_cond_wait(struct baton_cond *c, struct baton_mutex *m);
BATON_API int baton_cond_wait_until(struct baton_cond *c, struct baton_mutex *m, uint64_t deadline);
BATON_API void baton_cond_signal(struct baton_cond *c);
BATON_API void baton_cond_broadcast(struct baton_cond *c);

/**
 * A counting semaphore. baton_sem_wait returns 0; -EPERM: not from a task of its
 * scheduler. baton_sem_post: any thread.
 */
BATON_API int baton_sem_create(struct baton_sem **out, struct baton_sched *s, unsigned count);
BATON_API void baton_sem_destroy(struct baton_sem *sem);
BATON_API int baton_sem_wait(struct baton_sem *sem);
BATON_API int baton_sem_wait_until(struct baton_sem *sem, uint64_t deadline);
BATON_API void baton_sem_post(struct baton_sem *sem);

/**
 * A bounded channel of pointers, in order. send and recv return 0; -EPIPE: it
 * was closed (and for recv, is empty); -EPERM: the call would wait and is not
 * from a task of its scheduler. It takes @capacity items, at least 1. An item that is sent while
 * tasks wait for one belongs to the first of them from then on, and a place in a full channel to
 * the first that waits to send, however late they get a slot. close ends all waits with -EPIPE.
 */
BATON_API int baton_chan_create(struct baton_chan **out, struct baton_sched *s, unsigned capacity);
BATON_API void baton_chan_destroy(struct baton_chan *c);
BATON_API int baton_chan_send(struct baton_chan *c, void *item);
BATON_API int baton_chan_send_until(struct baton_chan *c, void *item, uint64_t deadline);
BATON_API int baton_chan_recv(struct baton_chan *c, void **item);
BATON_API int baton_chan_recv_until(struct baton_chan *c, void **item, uint64_t deadline);
BATON_API void baton_chan_close(struct baton_chan *c);

BATON_END_DECLS

#endif
