/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/io.h> - streams: sockets and pipes on which a task waits and its slot does not.
 *
 * A call that cannot go on gives the task's slot to the next task, and has one again when the
 * stream is ready; the code reads like code with blocking calls. A stream belongs to one
 * scheduler. Any thread may use it without having to wait; a call that would wait is for tasks of
 * that scheduler, and returns -EPERM elsewhere. A stream has two halves, reading (and accepting)
 * and writing (and connecting), each with at most one task that waits: the second gets -EBUSY.
 * None of the calls is for signal handlers.
 *
 * Each call that waits gives up at @deadline, CLOCK_MONOTONIC ns, with -ETIMEDOUT, and when the
 * caller's request is told something (baton_checkpoint()), with -ECANCELED or -ETIME;
 * BATON_FOREVER: only then. What can be had at once is had whatever the deadline and the
 * request. *got and *put say how far the call came with every return.
 *
 * A stream that is served (baton_stream_serve()) needs no task that waits: each time it is
 * readable a request begins.
 *
 * A child of fork() has none of its parent's streams: each call returns -EPERM, and
 * baton_stream_close() closes the child's descriptor and nothing else.
 *
 * What there is not yet: streams that move to another scheduler. The worker that leaves a slot idle
 * sleeps until streams are ready; or a thread that exists from the first stream on, where no worker is there to.
 */
#ifndef BATON_IO_H
#define BATON_IO_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <baton/sched.h>

BATON_BEGIN_DECLS

struct baton_stream;

/**
 * baton_stream_open - make a stream of a descriptor
 * @out: set to the stream; NULL where this fails
 * @s: its scheduler, which cannot be destroyed (-EBUSY) before the stream is closed
 * @fd: a socket, a pipe, or whatever else epoll(7) can watch; not a TCP socket with an upper-layer protocol (TCP_ULP)
 *
 * The stream owns @fd from then on, and sets O_NONBLOCK, which others that have the same open
 * file notice. Where this fails @fd stays the caller's. Any thread.
 *
 * Returns 0; -EPERM: @fd is a file or a directory, or @s is another process's; -EEXIST: @fd is a
 * stream's already; -EBADF, -ENOMEM, -EMFILE, -ENFILE, -EAGAIN (no thread), -ENOSPC.
 */
BATON_API int baton_stream_open(struct baton_stream **out, struct baton_sched *s, int fd);

/**
 * baton_stream_fd - the stream's descriptor
 *
 * For getsockname(2), setsockopt(2) and the like. It stays the stream's: it is not to be closed,
 * nor to be made blocking.
 */
BATON_API int baton_stream_fd(const struct baton_stream *st);

/**
 * baton_stream_listen - make a socket that listens
 * @sa, @len: the address
 * @backlog: of listen(2)
 *
 * SO_REUSEADDR is set. Any thread. Returns 0, or the error of socket(2), bind(2), listen(2), or of
 * baton_stream_open().
 */
BATON_API int baton_stream_listen(struct baton_stream **out, struct baton_sched *s, const struct sockaddr *sa, socklen_t len,
				  int backlog);

/**
 * baton_stream_accept - wait for a connection
 *
 * *@out belongs to the scheduler of @l. Connections that were given up before they were accepted
 * are passed over. Returns 0 or an error, -EMFILE, -ENFILE, -ENOBUFS and -ENOMEM too, after which
 * the connection is still there. The next call by a task, whatever its deadline, then waits before it tries: until 10 ms after that
 * error, and not at all where the process has closed a stream since. So a loop that goes on after such an error, or the function of a
 * listener that is served, takes no CPU to speak of. Another thread does well to wait itself.
 */
BATON_API int baton_stream_accept(struct baton_stream *l, struct baton_stream **out, uint64_t deadline);

/**
 * baton_stream_connect - connect to an address
 *
 * Returns 0 or an error of socket(2), connect(2) or baton_stream_open(); nothing is left of a
 * connection that failed.
 */
BATON_API int baton_stream_connect(struct baton_stream **out, struct baton_sched *s, const struct sockaddr *sa, socklen_t len,
				   uint64_t deadline);

/**
 * baton_stream_read - read what there is, at least one byte
 *
 * Returns 0: *@got bytes were read, and 0 bytes is the end of the file (or @n is 0); or an error.
 */
BATON_API int baton_stream_read(struct baton_stream *st, void *buf, size_t n, size_t *got, uint64_t deadline);

/**
 * baton_stream_read_full - read n bytes
 *
 * Returns 0: *@got is @n, or less at the end of the file; or an error, after *@got bytes.
 */
BATON_API int baton_stream_read_full(struct baton_stream *st, void *buf, size_t n, size_t *got, uint64_t deadline);

/**
 * baton_stream_readv - read what there is, at least one byte, into several buffers
 * @iov, @n_iov: the buffers, IOV_MAX of them at most, filled one after the other
 *
 * Returns as baton_stream_read() does; or -EINVAL: too many buffers, or more than SSIZE_MAX bytes.
 */
BATON_API int baton_stream_readv(struct baton_stream *st, const struct iovec *iov, int n_iov, size_t *got, uint64_t deadline);

/**
 * baton_stream_write - write n bytes
 *
 * Returns 0: all is in the hands of the kernel; or an error, after *@put bytes. No SIGPIPE is raised: -EPIPE.
 */
BATON_API int baton_stream_write(struct baton_stream *st, const void *buf, size_t n, size_t *put, uint64_t deadline);

/**
 * baton_stream_writev - write the bytes of several buffers, all of them
 * @iov, @n_iov: the buffers, IOV_MAX of them at most; not changed
 *
 * Returns as baton_stream_write() does; or -EINVAL: too many buffers, or more than SSIZE_MAX bytes.
 */
BATON_API int baton_stream_writev(struct baton_stream *st, const struct iovec *iov, int n_iov, size_t *put, uint64_t deadline);

/**
 * baton_stream_sendfile - write n bytes of a file
 * @file: a descriptor of a file, as sendfile(2) takes it; its own offset stays
 * @from: offset of the first byte
 *
 * Returns 0: *@put is @n, or less at the end of the file; or an error, after *@put bytes: those of baton_stream_write(),
 * and of sendfile(2): -EBADF, -EINVAL (@file cannot be sent, or @from is negative), -EIO, -EOVERFLOW. The task keeps its slot while the kernel
 * reads the file; baton_blocking_begin() is for files that are not in memory.
 */
BATON_API int baton_stream_sendfile(struct baton_stream *st, int file, off_t from, size_t n, size_t *put, uint64_t deadline);

/**
 * baton_serve_fn - what is done when a served stream is readable
 * @why: 0: it is readable, or was; -ESHUTDOWN: this is the last call; else an error, below
 *
 * Called by a task of a request of its own, of the tenant and class of baton_stream_serve(), whose arrival is the
 * time at which the event was seen; never by two tasks of a stream at once. The request ends when the function has returned and
 * the tasks that it spawned have ended, and then the next one may begin. The function may do
 * what any task may: wait, read the rest of a message with a deadline, write, close the stream,
 * end its thread. It may be called although there is nothing to be read: with deadline 0 a read
 * or an accept then returns -ETIMEDOUT at once.
 *
 * The function reads by baton_stream_read(), _readv(), _read_full() or _accept(), as much as it likes: as long as none of them
 * has found that there is no more, it is called again. So a function that does not want to read
 * any more closes the stream. After the end of the file it is not called again for that.
 *
 * @why is -EAGAIN, -EDQUOT or -ETIME: a request was refused as by baton_submit(), or dropped
 * as baton_request_wait() says. What was to be read is still there. Such a call has a request
 * of the same tenant, too, which waits for quota, and behind what that tenant asked for before:
 * BATON_TOLERANT where the class is BATON_CRITICAL, or BATON_BATCH and the tenant
 * has no high-latency quota; without a deadline, and beyond requests_max. It may answer
 * that there is no time, or close the stream; or do what it does else.
 *
 * A function that is under way while another thread closes the stream may go on: its calls return -ESHUTDOWN, or what
 * could be had, and baton_stream_close() does nothing more.
 *
 * @why is -ESHUTDOWN: the stream was closed, and from the return on nothing of the service is
 * left, @arg can be freed. @st names the stream, and is not to be used. This call is made once, when
 * no other is under way and none follows; by the thread in baton_stream_close(), before
 * that returns, or by the function's own task, if that runs meanwhile or closes the stream itself. The
 * thread in baton_stream_close() need not be a task.
 */
typedef void baton_serve_fn(struct baton_stream *st, int why, void *arg);

/**
 * baton_stream_serve - have a function called each time a stream is readable
 * @st: the stream, a listener too
 * @t: who asks, a tenant of the stream's scheduler
 * @opts: class and tier; deadline: ns after the arrival, 0 or 10 ms and more; arrival, fn and arg are 0; copied
 * @fn, @arg: what is called
 *
 * No thread waits for the stream meanwhile; a stream that is served takes about a KiB. What is there already is served
 * at once. Until the stream is closed: baton_stream_close() ends it, whoever calls that.
 *
 * A stream that is served with the same @fn and @arg gets another tenant and other options, from
 * the next request on: for instance when it has said whose it is.
 *
 * Where the tenant is removed, or has no quota at all, nobody pays for a call: the stream waits
 * until it is served for another tenant, or more is to be read and there is quota.
 *
 * Any thread, a task and @fn too. Memory of the caller's is visible to @fn. At most one task may wait to read: @fn's.
 *
 * Returns 0; -EPERM: @t is another scheduler's, or the stream another process's; -EINVAL: opts->sz, a class or
 * tier that there is not, no @fn, a deadline below 10 ms, or an option that is to be 0; -E2BIG: an option of
 * a newer header's; -EBUSY: served with another @fn or @arg; -ESHUTDOWN: the tenant was removed, or the stream
 * is being closed; -ENOMEM. On an error nothing changed.
 */
BATON_API int baton_stream_serve(struct baton_stream *st, struct baton_tenant *t, const struct baton_request_opts *opts,
				 baton_serve_fn *fn, void *arg);

/**
 * baton_stream_shutdown - shutdown(2)
 * @how: SHUT_RD, SHUT_WR or SHUT_RDWR
 *
 * Any thread. A task that waits is woken, also one in baton_stream_accept(), which then returns
 * -EINVAL: so one task tells another, which may begin its next call at any time, that it is to
 * end and close the stream. Returns 0 or the error of shutdown(2).
 */
BATON_API int baton_stream_shutdown(struct baton_stream *st, int how);

/**
 * baton_stream_close - close a stream
 *
 * Any thread, also while tasks are in calls of this stream: those that wait return -ESHUTDOWN.
 * After the return no call may begin; the descriptor is closed when the last call that is under
 * way has ended, so its number is not another file's before. A task that may begin another call
 * is told to end first, by baton_stream_shutdown() for instance. A stream that is served may be closed at any
 * time; baton_serve_fn says what follows. NULL is nothing.
 */
BATON_API void baton_stream_close(struct baton_stream *st);

BATON_END_DECLS

#endif
