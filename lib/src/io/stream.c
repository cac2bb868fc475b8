// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Streams: each call tries first, and waits where the descriptor says EAGAIN, until the poller
 * has an event for it; poller.c has the argument why none is lost.
 *
 * [STREAM-1] A call that is under way has a reference, and so has the handle. What gives back the
 * last one closes the descriptor, so its number is not another file's while a call uses it; it
 * has acquired what the others released. baton_stream_close() takes the descriptor out of the
 * poller's set before that: a child of fork() may have the same open file, which the kernel would
 * go on watching.
 * [STREAM-2] Events of writing are asked for when a call first has to wait for them: most streams
 * never do, and the first event would be one for nothing. Two calls at once may ask both; that is
 * the same twice, and the word orders nothing.
 */
#include "stream.h"

#include <baton/io.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../inject.h"
#include "../sched/gate.h"
#include "../sched/self.h"
#include "../sched/wait.h"

/* ---------------------------------------------------------- open and close */

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK)))
		return -errno;
	return 0;
}

int baton_stream_open(struct baton_stream **out, struct baton_sched *s, int fd)
{
	struct baton_stream *st = *out = NULL;
	struct stat what;
	int err;

	if (!btn_self_is_here(s->process))
		return -EPERM;
	if (fstat(fd, &what))
		return -errno;
	err = btn_poller_need(s);
	if (err)
		return err;
	st = BTN_FAIL("stream:open") ? NULL : calloc(1, sizeof(*st));
	if (!st)
		return -ENOMEM;
	st->s = s;
	st->fd = fd;
	st->socket = S_ISSOCK(what.st_mode);
	atomic_init(&st->refs, 1);
	err = set_nonblocking(fd);
	if (!err)
		err = btn_poller_add(s, fd, &st->source);
	if (err) {
		free(st);
		return err;
	}
	atomic_fetch_add_explicit(&s->handles, 1, memory_order_relaxed); /* [REQUEST-2] */
	*out = st;
	return 0;
}

int baton_stream_fd(const struct baton_stream *st)
{
	return st->fd;
}

void btn_stream_enter(struct baton_stream *st)
{
	atomic_fetch_add_explicit(&st->refs, 1, memory_order_relaxed); /* [STREAM-1] */
}

void btn_stream_leave(struct baton_stream *st)
{
	struct baton_sched *s = st->s;

	if (atomic_fetch_sub_explicit(&st->refs, 1, memory_order_acq_rel) != 1) /* [STREAM-1] */
		return;
	BTN_POINT("stream:last");
	close(st->fd);
	btn_poller_free(s, &st->source);
	atomic_fetch_sub_explicit(&s->handles, 1, memory_order_release); /* [REQUEST-2] */
}

static void end_half(struct btn_half *half)
{
	if (half->waiters.first)
		btn_wait_end_at(half->waiters.first, -ESHUTDOWN);
}

void baton_stream_close(struct baton_stream *st)
{
	struct btn_wakes wakes = { 0 };

	if (!st)
		return;
	if (!btn_self_is_here(st->s->process)) {
		close(st->fd);
		free(st);
		return;
	}
	btn_poller_del(st->s, st->fd);
	BTN_POINT("stream:close:deleted");
	btn_gate_lock(st->s);
	st->closed = true;
	end_half(&st->source.in);
	end_half(&st->source.out);
	btn_gate_unlock(st->s, &wakes);
	btn_stream_leave(st);
}

int baton_stream_shutdown(struct baton_stream *st, int how)
{
	int err;

	if (!btn_self_is_here(st->s->process))
		return -EPERM;
	btn_stream_enter(st);
	err = shutdown(st->fd, how) ? -errno : 0;
	btn_stream_leave(st);
	return err;
}

/* ---------------------------------------------------------- waiting */

int btn_stream_watch_out(struct baton_stream *st)
{
	int err;

	if (atomic_load_explicit(&st->watches_out, memory_order_relaxed)) /* [STREAM-2] */
		return 0;
	err = btn_poller_add_out(st->s, st->fd, &st->source);
	/* A stream that is being closed is out of the set. */
	if (err)
		return err == -ENOENT ? -ESHUTDOWN : err;
	atomic_store_explicit(&st->watches_out, true, memory_order_relaxed); /* [STREAM-2] */
	return 0;
}

/*
 * Waits until the half may be ready, after `seen` events: 0, and the caller tries again; or an
 * error.
 */
static int wait_for_event(struct baton_stream *st, struct btn_half *half, unsigned seen, uint64_t deadline)
{
	struct btn_waiter me = { .in = &half->waiters };
	struct baton_task *t = btn_self_task_of(st->s);
	int err;

	if (!t)
		return -EPERM;
	if (half == &st->source.out) {
		err = btn_stream_watch_out(st);
		if (err)
			return err;
	}
	BTN_POINT("stream:wait");
	btn_gate_lock(st->s);
	if (st->closed) {
		err = -ESHUTDOWN;
	} else if (btn_half_events(half) != seen) {
		err = 0;
	} else if (half->waiters.first) {
		err = -EBUSY;
	} else {
		err = btn_wait_begin(t, &me, 1, deadline, true);
		if (!err)
			return btn_gate_wait(t);
	}
	btn_gate_release(st->s);
	return err;
}

/* ---------------------------------------------------------- one try: -EAGAIN, another error, or a count */

/* A write to a pipe without readers raises a signal, which no flag prevents: it is taken here. */
static ssize_t write_pipe(int fd, const void *buf, size_t n)
{
	static const struct timespec no_time;
	sigset_t pipe, before, pending;
	bool was_pending;
	ssize_t done;
	int err;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	done = write(fd, buf, n);
	err = errno;
	if (done < 0 && err == EPIPE && !was_pending)
		sigtimedwait(&pipe, NULL, &no_time);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return done < 0 ? -err : done;
}

static ssize_t try_read(struct baton_stream *st, void *buf, size_t n)
{
	ssize_t done;

	do
		done = read(st->fd, buf, n);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

static ssize_t try_write(struct baton_stream *st, const void *buf, size_t n)
{
	ssize_t done;

	do
		if (st->socket) {
			done = send(st->fd, buf, n, MSG_NOSIGNAL);
			done = done < 0 ? -errno : done;
		} else {
			done = write_pipe(st->fd, buf, n);
		}
	while (done == -EINTR);
	return done;
}

/* ---------------------------------------------------------- calls */

/*
 * Reads until there are `least` bytes, or the file's end. An event and the deadline may come at
 * once, and the poller be late: so there is a last try after the deadline.
 */
static int read_bytes(struct baton_stream *st, char *buf, size_t n, size_t least, size_t *got, uint64_t deadline)
{
	bool late = false;
	unsigned seen;
	ssize_t done;
	int err = 0;

	*got = 0;
	if (!btn_self_is_here(st->s->process))
		return -EPERM;
	btn_stream_enter(st);
	while (*got < least) {
		seen = btn_half_events(&st->source.in);
		done = try_read(st, buf + *got, n - *got);
		if (done >= 0) {
			*got += done;
			if (!done)
				break;
			continue;
		}
		err = done;
		if (err != -EAGAIN)
			break;
		err = late ? -ETIMEDOUT : wait_for_event(st, &st->source.in, seen, deadline);
		late = !late && err == -ETIMEDOUT;
		if (err && !late)
			break;
		err = 0;
	}
	btn_stream_leave(st);
	return err;
}

int baton_stream_read(struct baton_stream *st, void *buf, size_t n, size_t *got, uint64_t deadline)
{
	return read_bytes(st, buf, n, n ? 1 : 0, got, deadline);
}

int baton_stream_read_full(struct baton_stream *st, void *buf, size_t n, size_t *got, uint64_t deadline)
{
	return read_bytes(st, buf, n, n, got, deadline);
}

int baton_stream_write(struct baton_stream *st, const void *buf, size_t n, size_t *put, uint64_t deadline)
{
	unsigned seen;
	ssize_t done;
	int err = 0;

	*put = 0;
	if (!btn_self_is_here(st->s->process))
		return -EPERM;
	btn_stream_enter(st);
	while (!err && *put < n) {
		seen = btn_half_events(&st->source.out);
		done = try_write(st, (const char *)buf + *put, n - *put);
		if (done >= 0)
			*put += done;
		else
			err = done == -EAGAIN ? wait_for_event(st, &st->source.out, seen, deadline) : (int)done;
	}
	btn_stream_leave(st);
	return err;
}

static int new_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int baton_stream_listen(struct baton_stream **out, struct baton_sched *s, const struct sockaddr *sa, socklen_t len,
			int backlog)
{
	int fd = new_socket(sa->sa_family), on = 1, err = 0;

	*out = NULL;
	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) || bind(fd, sa, len) || listen(fd, backlog))
		err = -errno;
	if (!err)
		err = baton_stream_open(out, s, fd);
	if (err)
		close(fd);
	return err;
}

/* A connection, or -errno. */
static int accept_one(struct baton_stream *l, uint64_t deadline)
{
	unsigned seen;
	int fd, err;

	for (;;) {
		seen = btn_half_events(&l->source.in);
		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
			continue;
		if (errno != EAGAIN)
			return -errno;
		err = wait_for_event(l, &l->source.in, seen, deadline);
		if (err)
			return err;
	}
}

int baton_stream_accept(struct baton_stream *l, struct baton_stream **out, uint64_t deadline)
{
	int fd, err;

	*out = NULL;
	if (!btn_self_is_here(l->s->process))
		return -EPERM;
	btn_stream_enter(l);
	fd = accept_one(l, deadline);
	err = fd < 0 ? fd : baton_stream_open(out, l->s, fd);
	if (err && fd >= 0)
		close(fd);
	btn_stream_leave(l);
	return err;
}

/* Waits for the end of connect(2). */
static int wait_connected(struct baton_stream *st, uint64_t deadline)
{
	struct pollfd p = { .fd = st->fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0, result = 0;
	unsigned seen;

	for (;;) {
		seen = btn_half_events(&st->source.out);
		if (err || poll(&p, 1, 0) > 0)
			break;
		err = wait_for_event(st, &st->source.out, seen, deadline);
	}
	if (!err && getsockopt(st->fd, SOL_SOCKET, SO_ERROR, &result, &len))
		err = -errno;
	return err ? err : -result;
}

int baton_stream_connect(struct baton_stream **out, struct baton_sched *s, const struct sockaddr *sa, socklen_t len,
			 uint64_t deadline)
{
	int fd = new_socket(sa->sa_family), err;
	bool pending = false;

	*out = NULL;
	if (fd < 0)
		return fd;
	err = connect(fd, sa, len) ? -errno : 0;
	pending = err == -EINPROGRESS || err == -EINTR;
	if (!err || pending)
		err = baton_stream_open(out, s, fd);
	if (err) {
		close(fd);
		return err;
	}
	if (pending)
		err = wait_connected(*out, deadline);
	if (err) {
		baton_stream_close(*out);
		*out = NULL;
	}
	return err;
}
