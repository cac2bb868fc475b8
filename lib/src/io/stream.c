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
 * [STREAM-3] A read of a TCP socket that gave less than there was room for has found its end: whatever comes later
 * makes another event. So where the number of events is what it was before such a read, the next call waits
 * without a try; `drained` is that number + 1. Wrong would be to do so after an event that told of more than
 * bytes: bytes and the end of the file may be in one event, of which the read saw the bytes, and no
 * other comes. So from such an event on (btn_half_ends()) each call tries. An event may be still to be seen when
 * a wait is refused, or ends by the deadline: the call then tries before it gives up. The word
 * is a hint that the number confirms, and orders nothing.
 * [STREAM-4] Where descriptors or memory have run out a connection stays in the kernel's queue, and so the listener stays ready:
 * a loop of accepts, or a service of the listener's, would do nothing but try. So the next accept of a task waits first, until
 * FULL_NS after the one that failed, unless this process has closed a stream since. Closed streams are counted before the
 * try, so one that is closed after the try ends the wait or prevents it. Both words are hints: a late one costs a
 * try or a wait of FULL_NS.
 */
#include "stream.h"

#include <baton/io.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../core/core.h"
#include "../hooks.h"
#include "../inject.h"
#include "../opts.h"
#include "../sched/gate.h"
#include "../sched/self.h"
#include "../sched/wait.h"
#include "serve.h"

/* Time for which a task does not try to accept, after there was no descriptor or memory for that. */
#define FULL_NS		10000000

/* Streams whose descriptors this process has closed: a limit of descriptors is a process's. */
static _Atomic unsigned closes;

/* ---------------------------------------------------------- open and close */

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK)))
		return -errno;
	return 0;
}

static bool is_tcp(int fd)
{
	socklen_t len = sizeof(int);
	int protocol = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) && protocol == IPPROTO_TCP;
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
	st = BTN_FAIL("stream:open") ? NULL : btn_mem_zeroed(1, sizeof(*st));
	if (!st)
		return -ENOMEM;
	st->s = s;
	st->fd = fd;
	st->socket = S_ISSOCK(what.st_mode);
	st->tcp = st->socket && is_tcp(fd);
	atomic_init(&st->refs, 1);
	err = set_nonblocking(fd);
	if (!err)
		err = btn_poller_add(s, fd, &st->source);
	if (err) {
		btn_mem_free(st);
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
	atomic_fetch_add_explicit(&closes, 1, memory_order_relaxed); /* [STREAM-4] */
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
	struct btn_serve *sv;
	bool ends;

	if (!st)
		return;
	if (!btn_self_is_here(st->s->process)) {
		close(st->fd);
		btn_mem_free(st);
		return;
	}
	btn_poller_del(st->s, st->fd);
	BTN_POINT("stream:close:deleted");
	btn_gate_lock(st->s);
	/* A served stream's function cannot know that another thread has closed it, and has a reference until it returns. */
	if (st->closed) {
		btn_gate_release(st->s);
		return;
	}
	st->closed = true;
	end_half(&st->source.in);
	end_half(&st->source.out);
	sv = st->source.serve;
	ends = sv && btn_serve_close(sv);
	btn_gate_unlock(st->s, &wakes);
	if (ends)
		btn_serve_end(sv);
	btn_stream_leave(st);
}

/* With the lock. *mine: freed by the caller, if it is still there. */
static int serve_locked(struct baton_stream *st, struct btn_serve **mine)
{
	struct btn_serve *sv = st->source.serve, *as = *mine;

	if (st->closed)
		return -ESHUTDOWN;
	if (sv) {
		if (sv->fn != as->fn || sv->arg != as->arg)
			return -EBUSY;
		btn_serve_change(sv, as);
		return 0;
	}
	btn_stream_enter(st);
	btn_serve_begin(as);
	*mine = NULL;
	return 0;
}

int baton_stream_serve(struct baton_stream *st, struct baton_tenant *t, const struct baton_request_opts *opts, baton_serve_fn *fn,
		       void *arg)
{
	struct btn_wakes wakes = { 0 };
	struct baton_request_opts o;
	struct btn_serve *sv;
	int err;

	if (!btn_self_is_here(st->s->process) || t->s != st->s)
		return -EPERM;
	err = btn_opts_take(&o, sizeof(o), opts);
	if (err)
		return err;
	o.sz = sizeof(o);
	if (!fn || o.fn || o.arg || o.arrival || (o.deadline && o.deadline < BTN_DEADLINE_MIN))
		return -EINVAL;
	err = btn_serve_new(&sv, t, &o);
	if (err)
		return err;
	sv->source = &st->source;
	sv->st = st;
	sv->fn = fn;
	sv->arg = arg;
	sv->release = btn_stream_leave;
	btn_gate_lock(st->s);
	err = serve_locked(st, &sv);
	btn_gate_unlock(st->s, &wakes);
	if (sv)
		btn_serve_free(sv);
	return err;
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
		if (!err) {
			btn_core_wait_stream(st->s->now, &t->core);
			return btn_gate_wait(t);
		}
	}
	btn_gate_release(st->s);
	return err;
}

/* ---------------------------------------------------------- one try: -EAGAIN, another error, or a count */

/* A write to a pipe without readers, and sendfile(2), raise a signal, which no flag prevents: it is taken here. */
struct pipe_signal {
	sigset_t before;
	bool was_pending;
};

static void signal_block(struct pipe_signal *p)
{
	sigset_t pipe, pending;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	p->was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &p->before);
}

/* done: what the system call between returned. Returns that, or -errno. */
static ssize_t signal_unblock(struct pipe_signal *p, ssize_t done)
{
	static const struct timespec no_time;
	int err = errno;
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	if (done < 0 && err == EPIPE && !p->was_pending)
		sigtimedwait(&pipe, NULL, &no_time);
	pthread_sigmask(SIG_SETMASK, &p->before, NULL);
	return done < 0 ? -err : done;
}

/* Where the bytes of a read go: one buffer, or, if there are any, several. */
struct input {
	char *buf;
	const struct iovec *iov;
	int n_iov;
};

/*
 * read(2), and recv(2), send(2) where it is a socket. These calls never sleep, and the C library's functions are points of
 * cancellation, which costs 40 instructions each in a process of several threads. recv(2) is the shorter way through the kernel.
 */
static ssize_t receive_bytes(struct baton_stream *st, char *buf, size_t n)
{
	return st->socket ? syscall(SYS_recvfrom, st->fd, buf, n, 0, NULL, NULL) : syscall(SYS_read, st->fd, buf, n);
}

static ssize_t try_read(struct baton_stream *st, const struct input *to, size_t got, size_t n)
{
	ssize_t done;

	do
		done = to->iov ? readv(st->fd, to->iov, to->n_iov) : receive_bytes(st, to->buf + got, n - got);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

/* Where the bytes of a write are: in one buffer; or, if there are any, in several; or in a file, from an offset on. */
struct output {
	const char *buf;
	const struct iovec *iov;
	int n_iov;
	int file;	/* -1: none */
	off_t from;
};

#define PIECES	16

/* The pieces that are left when so many bytes are written; as many of them as there is room for. Returns how many. */
static int pieces_left(const struct output *o, size_t put, struct iovec left[PIECES])
{
	int i, n = 0;

	for (i = 0; i < o->n_iov && n < PIECES; i++) {
		if (put >= o->iov[i].iov_len) {
			put -= o->iov[i].iov_len;
			continue;
		}
		left[n].iov_base = (char *)o->iov[i].iov_base + put;
		left[n++].iov_len = o->iov[i].iov_len - put;
		put = 0;
	}
	return n;
}

static ssize_t send_pieces(struct baton_stream *st, const struct output *o, size_t put)
{
	struct iovec left[PIECES];
	struct msghdr m = { .msg_iov = left };
	struct pipe_signal p;
	ssize_t done;

	m.msg_iovlen = (size_t)pieces_left(o, put, left);
	if (st->socket) {
		done = sendmsg(st->fd, &m, MSG_NOSIGNAL);
		return done < 0 ? -errno : done;
	}
	signal_block(&p);
	done = writev(st->fd, left, (int)m.msg_iovlen);
	return signal_unblock(&p, done);
}

static ssize_t send_file(struct baton_stream *st, const struct output *o, size_t put, size_t n)
{
	off_t from = o->from + (off_t)put;
	struct pipe_signal p;

	signal_block(&p);
	return signal_unblock(&p, sendfile(st->fd, o->file, &from, n - put));
}

static ssize_t send_bytes(struct baton_stream *st, const char *buf, size_t n)
{
	struct pipe_signal p;
	ssize_t done;

	if (st->socket) {
		done = syscall(SYS_sendto, st->fd, buf, n, MSG_NOSIGNAL, NULL, 0);
		return done < 0 ? -errno : done;
	}
	signal_block(&p);
	done = write(st->fd, buf, n);
	return signal_unblock(&p, done);
}

static ssize_t try_write(struct baton_stream *st, const struct output *o, size_t put, size_t n)
{
	ssize_t done;

	do
		if (o->iov)
			done = send_pieces(st, o, put);
		else
			done = o->file < 0 ? send_bytes(st, o->buf + put, n - put) : send_file(st, o, put, n);
	while (done == -EINTR);
	return done;
}

/* ---------------------------------------------------------- calls */

/* True: there is nothing to be read, as far as events were seen. */
static bool is_drained(struct baton_stream *st, unsigned seen)
{
	return atomic_load_explicit(&st->drained, memory_order_relaxed) == seen + 1ull && /* [STREAM-3] */
	       !btn_half_ends(&st->source.in);
}

static void note_drained(struct baton_stream *st, unsigned seen)
{
	atomic_store_explicit(&st->drained, seen + 1ull, memory_order_relaxed); /* [STREAM-3] */
	if (!btn_half_ends(&st->source.in))
		btn_half_set_empty(&st->source.in, seen);
}

/*
 * Reads until there are `least` bytes, or the file's end. An event and the deadline may come at
 * once, and the poller be late: so there is a last try after the deadline; and after any error of a wait
 * that began without a try.
 */
static int read_bytes(struct baton_stream *st, const struct input *to, size_t n, size_t least, size_t *got, uint64_t deadline)
{
	int err = 0, late = 0;
	unsigned seen;
	ssize_t done;
	bool tries;

	*got = 0;
	if (!btn_self_is_here(st->s->process))
		return -EPERM;
	btn_stream_enter(st);
	while (*got < least) {
		seen = btn_half_events(&st->source.in);
		tries = late || !is_drained(st, seen);
		done = tries ? try_read(st, to, *got, n) : -EAGAIN;
		if (done > 0) {
			*got += done;
			if (st->tcp && *got < n)
				note_drained(st, seen);
			continue;
		}
		/* An end of the file is nothing more, too, and what comes after an error is another event's. */
		btn_half_set_empty(&st->source.in, seen);
		if (!done)
			break;
		err = done;
		if (err != -EAGAIN)
			break;
		err = late;
		if (late)
			break;
		late = wait_for_event(st, &st->source.in, seen, deadline);
		if (late && late != -ETIMEDOUT && tries) {
			err = late;
			break;
		}
	}
	btn_stream_leave(st);
	return err;
}

int baton_stream_read(struct baton_stream *st, void *buf, size_t n, size_t *got, uint64_t deadline)
{
	const struct input to = { .buf = buf };

	return read_bytes(st, &to, n, n ? 1 : 0, got, deadline);
}

int baton_stream_read_full(struct baton_stream *st, void *buf, size_t n, size_t *got, uint64_t deadline)
{
	const struct input to = { .buf = buf };

	return read_bytes(st, &to, n, n, got, deadline);
}

/* The bytes of all pieces; 0, or -EINVAL. */
static int sum_pieces(const struct iovec *iov, int n_iov, size_t *n)
{
	int i;

	*n = 0;
	if (n_iov < 0 || n_iov > IOV_MAX)
		return -EINVAL;
	for (i = 0; i < n_iov; i++) {
		if (iov[i].iov_len > (size_t)SSIZE_MAX - *n)
			return -EINVAL;
		*n += iov[i].iov_len;
	}
	return 0;
}

int baton_stream_readv(struct baton_stream *st, const struct iovec *iov, int n_iov, size_t *got, uint64_t deadline)
{
	const struct input to = { .iov = iov, .n_iov = n_iov };
	size_t n;
	int err = sum_pieces(iov, n_iov, &n);

	*got = 0;
	return err ? err : read_bytes(st, &to, n, n ? 1 : 0, got, deadline);
}

/* Writes all; or a file up to its end. */
static int write_bytes(struct baton_stream *st, const struct output *o, size_t n, size_t *put, uint64_t deadline)
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
		done = try_write(st, o, *put, n);
		if (!done)
			break;
		if (done > 0)
			*put += done;
		else
			err = done == -EAGAIN ? wait_for_event(st, &st->source.out, seen, deadline) : (int)done;
	}
	btn_stream_leave(st);
	return err;
}

int baton_stream_write(struct baton_stream *st, const void *buf, size_t n, size_t *put, uint64_t deadline)
{
	const struct output o = { .buf = buf, .file = -1 };

	return write_bytes(st, &o, n, put, deadline);
}

int baton_stream_writev(struct baton_stream *st, const struct iovec *iov, int n_iov, size_t *put, uint64_t deadline)
{
	const struct output o = { .iov = iov, .n_iov = n_iov, .file = -1 };
	size_t n;
	int err = sum_pieces(iov, n_iov, &n);

	*put = 0;
	return err ? err : write_bytes(st, &o, n, put, deadline);
}

int baton_stream_sendfile(struct baton_stream *st, int file, off_t from, size_t n, size_t *put, uint64_t deadline)
{
	const struct output o = { .file = file, .from = from };

	*put = 0;
	if (file < 0)
		return -EBADF;
	if (from < 0 || n > (size_t)SSIZE_MAX)
		return -EINVAL;
	return write_bytes(st, &o, n, put, deadline);
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
		btn_half_set_empty(&l->source.in, seen);
		err = wait_for_event(l, &l->source.in, seen, deadline);
		if (err)
			return err;
	}
}

static inline bool is_want(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM;
}

static void wait_for_room(struct baton_stream *l)
{
	uint64_t until = atomic_load_explicit(&l->full_until, memory_order_relaxed); /* [STREAM-4] */

	if (!until)
		return;
	/* Another thread cannot wait here; and a task that has to end is not held up. */
	if (btn_self_task_of(l->s) && atomic_load_explicit(&l->full_closes, memory_order_relaxed) == /* [STREAM-4] */
				      atomic_load_explicit(&closes, memory_order_relaxed)) /* [STREAM-4] */
		baton_sleep_until(until);
	atomic_store_explicit(&l->full_until, 0, memory_order_relaxed); /* [STREAM-4] */
}

int baton_stream_accept(struct baton_stream *l, struct baton_stream **out, uint64_t deadline)
{
	unsigned before;
	int fd, err;

	*out = NULL;
	if (!btn_self_is_here(l->s->process))
		return -EPERM;
	btn_stream_enter(l);
	wait_for_room(l);
	before = atomic_load_explicit(&closes, memory_order_relaxed); /* [STREAM-4] */
	fd = accept_one(l, deadline);
	err = fd < 0 ? fd : baton_stream_open(out, l->s, fd);
	if (err && fd >= 0)
		close(fd);
	if (btn_unlikely(is_want(err))) {
		atomic_store_explicit(&l->full_closes, before, memory_order_relaxed); /* [STREAM-4] */
		atomic_store_explicit(&l->full_until, btn_clock_now() + FULL_NS, memory_order_relaxed); /* [STREAM-4] */
	}
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
