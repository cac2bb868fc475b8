/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/completion.h> - the end of a request without a thread that waits for it.
 *
 * A completion queue collects the ends of requests, of one scheduler or of several, and
 * has a file descriptor that is readable while an end is there: for poll(), epoll or
 * io_uring, beside the sockets of an event loop.
 *
 *	baton_submit(t, &opts, &r);
 *	baton_request_notify(r, q, connection);
 *	...
 *	poll() says that baton_completions_fd(q) is readable
 *	n = baton_completions_take(q, ends, 64);
 *	ends[i].arg is the connection, ends[i].result what baton_request_wait() would return
 *	baton_request_put(ends[i].request);
 *
 * Each request that was put on a queue comes out of it exactly once, however it ends:
 * all its tasks ended, it was dropped at its deadline, rejected, or cancelled. So what
 * @arg points to lives until then; to be rid of a request early, cancel it, and its end
 * comes soon.
 *
 * No code of the service runs in a thread of the library: what is to happen at the end
 * is done by the thread that takes it, with whatever calls it likes.
 *
 * fork: the queue is the parent's, and so is its file descriptor, of which the child has a
 * copy: the child polls and takes nothing. There -EPERM is returned, and no end.
 */
#ifndef BATON_COMPLETION_H
#define BATON_COMPLETION_H

#include <baton/sched.h>

BATON_BEGIN_DECLS

struct baton_completions;

struct baton_completion {
	struct baton_request *request;	/* the taker's now, for baton_request_put() */
	void *arg;			/* as given to baton_request_notify() */
	int result;			/* as baton_request_wait() would return it */
	int spare;			/* 0 */
};

/**
 * baton_completions_create - make a completion queue
 * @out: where it is put; set to NULL on an error
 *
 * Any thread. Takes one file descriptor.
 *
 * Returns 0; -EMFILE, -ENFILE: no file descriptor; -ENOMEM.
 */
BATON_API int baton_completions_create(struct baton_completions **out);

/**
 * baton_completions_destroy - end a completion queue, and close its file descriptor
 * @q: the queue, or NULL
 *
 * Any thread; nobody else uses @q any more.
 *
 * Returns 0; -EBUSY: requests that were put on it have not ended, or their ends were
 * not taken; then nothing happened.
 */
BATON_API int baton_completions_destroy(struct baton_completions *q);

/**
 * baton_completions_fd - what to poll
 *
 * Any thread. Readable (POLLIN) while an end is there; now and then also for a moment
 * when the last one was just taken: baton_completions_take() then returns 0, and the
 * descriptor is not readable any more. To be polled only: reading, writing or closing it
 * is for this library.
 */
BATON_API int baton_completions_fd(const struct baton_completions *q);

/**
 * baton_completions_take - what has ended
 * @out: the ends, the oldest first
 * @max: how many fit there
 *
 * Any thread, several at once; a task too. Does not wait. All that the request's tasks
 * did is visible to the caller.
 *
 * Returns how many were put into @out. While ends are left, the descriptor stays
 * readable.
 */
BATON_API unsigned baton_completions_take(struct baton_completions *q, struct baton_completion *out, unsigned max);

/**
 * baton_request_notify - the end of a request comes to a queue
 * @r: a handle, which goes along with it: whoever takes the end puts it. Until the end is
 *	taken, @r can still be used, for baton_request_cancel() above all
 * @q: where its end is put
 * @arg: comes with it
 *
 * Any thread, once for a request, before its end or after. Does not wait. Others may
 * wait for the same request meanwhile, if they put their @r no later than it is taken.
 *
 * Returns 0; -EALREADY: it was put on a queue before.
 */
BATON_API int baton_request_notify(struct baton_request *r, struct baton_completions *q, void *arg);

BATON_END_DECLS

#endif
