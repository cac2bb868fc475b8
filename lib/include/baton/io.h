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
 * A child of fork() has none of its parent's streams: each call returns -EPERM, and
 * baton_stream_close() closes the child's descriptor and nothing else.
 *
 * What there is not yet: readv, writev and sendfile, streams that move to another scheduler,
 * requests that begin when a stream is readable. One thread of each scheduler sleeps
 * until streams are ready; it exists from the first stream on, and its CPU is charged to no tenant.
 */
#ifndef BATON_IO_H
#define BATON_IO_H

#include <sys/socket.h>

#include <baton/sched.h>

BATON_BEGIN_DECLS

struct baton_stream;

/**
 * baton_stream_open - make a stream of a descriptor
 * @out: set to the stream; NULL where this fails
 * @s: its scheduler, which cannot be destroyed (-EBUSY) before the stream is closed
 * @fd: a socket, a pipe, or whatever else epoll(7) can watch
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
 * the connection is still there: a caller does well to wait before it tries again.
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
 * baton_stream_write - write n bytes
 *
 * Returns 0: all is in the hands of the kernel; or an error, after *@put bytes. No SIGPIPE is raised: -EPIPE.
 */
BATON_API int baton_stream_write(struct baton_stream *st, const void *buf, size_t n, size_t *put, uint64_t deadline);

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
 * is told to end first, by baton_stream_shutdown() for instance. NULL is nothing.
 */
BATON_API void baton_stream_close(struct baton_stream *st);

BATON_END_DECLS

#endif
