/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/runq.h> - the ready tasks of a pool of workers: a deque for each, one
 * queue they share, and sleep when there is nothing to do.
 *
 *	worker i				anybody
 *
 *	while (!baton_runq_pop(rq, i, &task,	baton_runq_submit(rq, task);
 *			       BATON_FOREVER))
 *		run(task);	// may call baton_runq_push(rq, i, child)
 *
 * Roles: each of the slots 0 .. slots - 1 belongs to one thread at a time, its
 * worker, which pushes to it and pops for it. Any thread submits.
 *
 * Order: a worker takes control items before all others, in the order in which
 * they were submitted; then its own newest item; then the oldest shared ones; then
 * half of another worker's oldest ones. Once in 61 pops each it takes the oldest shared
 * item first, its own oldest item, and the oldest item of one other worker, these in turn.
 * So as long as one worker pops, and is not given control items alone, nothing waits
 * for ever: an item with n older ones where it is waits for at most 61 (n + 1) of its own
 * worker's pops, or 61 (n + 1) (slots - 1) pops of any one other.
 *
 * Progress: push, submit and try_pop are lock-free, but that they may wake
 * a worker, which is one system call. Everything inside can be taken by any
 * worker, also if the one that pushed it stops for ever.
 *
 * Idle: a worker that finds nothing looks again for a while, at most @spin and
 * half as long each time that this was in vain; at most half of the workers do
 * so at one time. Then it sleeps without a timer: no system call, no CPU. Wake-ups are precise: one worker for an item that nobody is
 * looking for, and a worker that finds one and sees more wakes the next.
 *
 * Memory: as of <baton/queue.h> and <baton/deque.h>. A worker that has @local
 * items spills the oldest half to the shared queue, which has no limit: a
 * task may spawn any number of tasks.
 *
 * Items: any pointer but NULL. What an item points to is seen as it was when
 * push or submit was called. Not in signal handlers.
 *
 * fork: the workers are threads of the parent, and the child makes a run queue of its own.
 */
#ifndef BATON_RUNQ_H
#define BATON_RUNQ_H

#include <stdbool.h>

#include <baton/base.h>

BATON_BEGIN_DECLS

struct baton_runq;

/**
 * struct baton_runq_opts - how to make a runq
 * @sz: sizeof(struct baton_runq_opts)
 * @slots: how many workers there may be, 1 to 4096
 * @local: items a worker keeps for itself, 2 to 2^24; 0: 1024
 * @spin: how long at most to look for work before sleeping, in ns, up to 1 s;
 *	0: 20 us.
 *	1 is as good as not at all.
 */
struct baton_runq_opts {
	size_t sz;
	unsigned int slots;
	unsigned int local;
	uint64_t spin;
};

/**
 * baton_runq_create - make a runq
 * @out: where it is put; set to NULL on an error
 * @opts: fields beyond @opts->sz count as 0
 *
 * Any thread. The caller owns it and ends it with baton_runq_destroy().
 *
 * Returns 0;
 * -EINVAL: a field is out of its range, or @opts->sz is;
 * -E2BIG: @opts is of a newer library and says something this one knows not;
 * -ENOMEM; -EAGAIN as baton_queue_create(); or an error of baton_backend().
 */
BATON_API int baton_runq_create(struct baton_runq **out, const struct baton_runq_opts *opts);

/**
 * baton_runq_destroy - end a runq
 * @rq: the runq, or NULL for nothing to do
 *
 * Any thread, once no other thread uses @rq any more (baton_runq_close() makes
 * sleepers return). Items that are still inside are forgotten; they are the
 * caller's.
 */
BATON_API void baton_runq_destroy(struct baton_runq *rq);

/**
 * baton_runq_push - add an item to a worker's own
 * @rq: the runq
 * @slot: the caller's slot
 * @item: not NULL
 *
 * The worker of @slot. May wake another worker.
 *
 * Returns 0: the item is inside; -ENOMEM: it is not, and nothing else was lost.
 */
BATON_API int baton_runq_push(struct baton_runq *rq, unsigned int slot, void *item);

/**
 * baton_runq_submit - add an item to the shared ones
 * @rq: the runq
 * @item: not NULL
 *
 * Any thread. May wake a worker.
 *
 * Returns 0; -ENOMEM: the item is not inside.
 */
BATON_API int baton_runq_submit(struct baton_runq *rq, void *item);

/**
 * baton_runq_submit_control - add an item that goes before all others
 * @rq: the runq
 * @item: not NULL
 *
 * Any thread. May wake a worker.
 *
 * Returns 0; -ENOMEM: the item is not inside.
 */
BATON_API int baton_runq_submit_control(struct baton_runq *rq, void *item);

/**
 * baton_runq_try_pop - take an item if there is one
 * @rq: the runq
 * @slot: the caller's slot
 * @item: where it is put; not touched if there is none
 *
 * The worker of @slot. Does not sleep.
 *
 * Returns true: *@item is the caller's; false: nothing was found.
 */
BATON_API bool baton_runq_try_pop(struct baton_runq *rq, unsigned int slot, void **item);

/**
 * baton_runq_pop - take an item, wait for one if need be
 * @rq: the runq
 * @slot: the caller's slot
 * @item: where it is put; not touched if there is none
 * @deadline: when to give up, or BATON_FOREVER
 *
 * The worker of @slot. Spins, then sleeps.
 *
 * Returns 0: *@item is the caller's;
 * -ETIMEDOUT: there was none until @deadline;
 * -EPIPE: the runq is closed and nothing was left;
 * -ENOMEM: as baton_queue_attach(), if this is the thread's first call.
 */
BATON_API int baton_runq_pop(struct baton_runq *rq, unsigned int slot, void **item,
			     uint64_t deadline);

/**
 * baton_runq_close - let the workers go
 * @rq: the runq
 *
 * Any thread, any number of times. Every sleeping worker wakes; pop returns
 * what is left and then -EPIPE. Items may still be added.
 */
BATON_API void baton_runq_close(struct baton_runq *rq);

BATON_END_DECLS

#endif
