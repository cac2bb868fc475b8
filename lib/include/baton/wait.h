/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/wait.h> - waiting for the first of several things.
 */
#ifndef BATON_WAIT_H
#define BATON_WAIT_H

#include <baton/io.h>
#include <baton/sync.h>

BATON_BEGIN_DECLS

enum baton_case_kind {
	BATON_CASE_NONE,	/* never happens */
	BATON_CASE_RECV,	/* an item is received from chan: baton_chan_recv() */
	BATON_CASE_SEND,	/* item is sent to chan: baton_chan_send() */
	BATON_CASE_SEM,		/* a unit is taken from sem: baton_sem_wait() */
	BATON_CASE_TASK,	/* task ended and is joined, so it is gone: baton_task_join() */
	BATON_CASE_REQUEST,	/* request ended; its handle stays the caller's: baton_request_wait() */
	BATON_CASE_READABLE,	/* stream has bytes, the end of the file, a connection to accept or an error */
	BATON_CASE_WRITABLE,	/* stream can be written, or has an error */
};

struct baton_case {
	enum baton_case_kind kind;
	/*
	 * Valid if the case happened: 0; -EPIPE: the channel is closed, and nothing was sent or
	 * received; -ESHUTDOWN: the stream was closed; a request's result, as baton_request_wait()
	 * returns it.
	 */
	int result;
	union {
		struct baton_chan *chan;
		struct baton_sem *sem;
		struct baton_task *task;
		struct baton_request *request;
		struct baton_stream *stream;
	};
	void *item;		/* to be sent; or set to what was received, if result is 0 */
};

#define BATON_CASES_MAX	64

/* Flags of baton_wait_any(). */
#define BATON_IN_ORDER	1u	/* the first in the array that can happen does */

/**
 * baton_wait_any - wait until one of several cases happens
 * @c: the cases, each of its kind and with its object set
 * @n: how many, at most BATON_CASES_MAX; 0: none, which is a sleep
 * @deadline: when to give up; BATON_FOREVER; 0: only look
 * @flags: 0 or BATON_IN_ORDER
 *
 * Exactly one case happens where the call returns a case, and none where it returns an
 * error: a channel whose case did not happen lost no item and got none, a semaphore lost no
 * unit, a task can still be joined. From a stream nothing is read or accepted: that is the
 * caller's, after the return. The same object may be in several cases.
 *
 * Where several cases can happen at once, each has its turn: a case that can always happen does
 * so at least once in 2 n calls of the task with that n, in the long run in one of n, also
 * where the task calls this in several places in turn. With BATON_IN_ORDER the first one that can
 * happen does, so a "stop" that stands before the work is not starved by it. Among the tasks
 * that wait for one object this one is served in the order in which it came, as everywhere.
 *
 * For a task of the scheduler to which all objects belong. A call that waits gives the task's
 * slot to the next one. It gives up at the deadline, and when the caller's request is told
 * something, as those calls of <baton/sync.h> that end in _until; what can be had without waiting
 * is had whatever the deadline and the request.
 *
 * Returns the index of the case that happened; -ETIMEDOUT: the deadline; -ECANCELED, -ETIME: the
 * request (baton_checkpoint()); -EDEADLK: all cases are tasks and requests, and no worker is left
 * for what is waited for, as baton_task_join() says; -EINVAL: @n, a flag or a kind that does not
 * exist, or a case without its object; -EPERM: the caller is no task, or an object is of another
 * scheduler; -EBUSY: another task waits for that half of a stream.
 */
BATON_API int baton_wait_any(struct baton_case *c, unsigned n, uint64_t deadline, unsigned flags);

BATON_END_DECLS

#endif
