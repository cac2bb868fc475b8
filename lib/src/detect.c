// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * detect.c - the session with `baton load`, without any library for BPF: three
 * descriptors come over a socket, two are mapped, the third is a program that a
 * thread runs for itself.
 *
 * The doorbell is a ring buffer of which only the two positions are looked at: it
 * has rung if they differ, and setting one to the other is having heard it.
 * [DOORBELL-1] whatever the kernel had written before it rang is seen after the
 * producer's position was; the consumer's is released, as the kernel asks.
 * epoll looks at the positions itself, so a doorbell that rings before it is
 * called is not missed.
 *
 * Workers that are parked in the kernel are let go on in two steps, since waking is a system call, and none is made with the
 * scheduler's lock:
 *
 *	with the lock				without it
 *	(a) cell: PARKED -> RUNS
 *	(b) listed = true; was false: into
 *	    this thread's list
 *						(c) listed = false
 *						(d) binds, wakes
 *
 * The thread that wakes may be late, and the worker may have come out of there by a signal, and be parked once more by
 * then. The wake is one too many: the kernel looks at the cell again. If the worker is let go for the second time while it stands in the list
 * of a late thread, that one has it: (b) finds true, so (c) comes after (b), and (d) after (a).
 * selftests/model/parting.pml is a model of this.
 * [PARTING-1] (b) and (c) are exchanges, released and acquired: (d) sees the CPU that was written before (b).
 */
#include "detect.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "cpus.h"
#include "die.h"
#include "futex.h"
#include "hooks.h"
#include "inject.h"

/* The sessions of this process; and their cells that are free. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct btn_detect *sessions;
static uint64_t last_id;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void sessions_acquire(void)
{
	pthread_mutex_lock(&lock);
}

static void sessions_release(void)
{
	pthread_mutex_unlock(&lock);
}

/* Without it a child of fork could find the lock held by no thread. */
static void watch_forks(void)
{
	pthread_atfork(sessions_acquire, sessions_release, sessions_release);
}

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

struct btn_parting {
	_Atomic bool listed;		/* [PARTING-1] */
	_Atomic int cpu;
	_Atomic pid_t tid;
	uint32_t next;			/* in the list; 0: the last */
};

static int no(char *how, int err, const char *what)
{
	snprintf(how, 96, "%s%s%s", what, err ? ": " : "", err ? strerror(err) : "");
	return err ? -err : -EPROTO;
}

/* A socket that is connected to `baton load`, which must be root's or ours. */
static int meet(char *how)
{
	const char *path = secure_getenv("BATON_DETECT_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 5 };
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd, err;

	if (!path)
		path = BTN_DETECT_SOCKET;
	if (strlen(path) >= sizeof(addr.sun_path))
		return no(how, ENAMETOOLONG, "BATON_DETECT_SOCKET");
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return no(how, errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	do {
		err = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	} while (err && errno == EINTR);
	if (err) {
		err = no(how, errno, "`baton load` does not run here");
	} else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)) {
		err = no(how, errno, "getsockopt");
	} else if (peer.uid && peer.uid != geteuid()) {
		err = no(how, EPERM, "the socket is neither root's nor this user's");
	} else {
		return fd;
	}
	close(fd);
	return err;
}

/*
 * The descriptors of a message: the first three into fd, and the rest closed. Returns how many there
 * were, as far as there was room for them.
 */
static unsigned take_descriptors(struct msghdr *msg, int fd[3])
{
	struct cmsghdr *c;
	unsigned got = 0;
	size_t i;
	int one;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(one); i++, got++) {
			memcpy(&one, CMSG_DATA(c) + i * sizeof(one), sizeof(one));
			if (got < 3)
				fd[got] = one;
			else
				close(one);
		}
	}
	return got;
}

/* The answer, and the descriptors that came with it, -1 for each that did not. */
static int receive(int sock, struct btn_detect_answer *a, int fd[3], char *how)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} u;
	struct iovec iov = { a, sizeof(*a) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &u, .msg_controllen = sizeof(u),
	};
	ssize_t n;

	/* With a time limit it is not restarted after a signal, or after the freezer. */
	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return no(how, errno == EAGAIN ? ETIMEDOUT : errno, "no answer from `baton load`");
	if (!n)
		return no(how, EACCES, "`baton load` refused; its log says why");
	/* MSG_CTRUNC also where this process can open no more of them. */
	if (take_descriptors(&msg, fd) > 3 || msg.msg_flags & MSG_CTRUNC)
		return no(how, 0, "`baton load` sent too much, or no more files can be opened");
	if (n != sizeof(*a) || a->magic != BTN_DETECT_MAGIC || a->version != BTN_DETECT_VERSION)
		return no(how, EPROTO, "`baton load` is of another version");
	a->how[sizeof(a->how) - 1] = 0;
	if (a->err < 0) {
		snprintf(how, 96, "%s", a->how);
		return a->err;
	}
	if (a->err || a->cells > BTN_CELLS_MAX + BTN_CELL_FIRST)
		return no(how, EPROTO, "`baton load` sent what is no answer");
	if (fd[0] < 0 || fd[1] < 0 || fd[2] < 0 || a->cells <= BTN_CELL_FIRST)
		return no(how, EPROTO, "`baton load` sent too little");
	return 0;
}

static int map(struct btn_detect *d, int cells, char *how)
{
	void *p;

	p = mmap(NULL, d->n_cells * sizeof(struct btn_cell), PROT_READ | PROT_WRITE, MAP_SHARED, cells, 0);
	if (p == MAP_FAILED)
		return no(how, errno, "mmap of the cells");
	d->cells = p;
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, d->doorbell, 0);
	if (p == MAP_FAILED)
		return no(how, errno, "mmap of the doorbell");
	d->consumer = p;
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, d->doorbell, PAGE);
	if (p == MAP_FAILED)
		return no(how, errno, "mmap of the doorbell");
	d->producer = p;
	return 0;
}

static int watch(struct btn_detect *d, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	return epoll_ctl(d->poll, EPOLL_CTL_ADD, fd, &e);
}

int btn_detect_open(struct btn_detect **out, unsigned workers, char *how)
{
	const char *env = secure_getenv("BATON_DETECT");
	struct btn_detect_hello hello = { BTN_DETECT_MAGIC, BTN_DETECT_VERSION, workers };
	struct btn_detect_answer a = { 0 };
	int fd[3] = { -1, -1, -1 }, saved = errno, err;
	struct btn_detect *d;
	ssize_t n;

	*out = NULL;
	if (env && !strcmp(env, "off")) {
		no(how, 0, "BATON_DETECT=off");
		return -ENOENT;
	}
	d = btn_mem_zeroed(1, sizeof(*d));
	if (!d)
		return no(how, ENOMEM, "calloc");
	d->doorbell = d->join = d->stop = d->told = d->poll = -1;
	atomic_init(&d->refs, 1);
	d->sock = err = meet(how);
	if (err < 0)
		goto out;
	do {
		n = send(d->sock, &hello, sizeof(hello), MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	/* The other side may have refused already, and said why. */
	if (n != sizeof(hello) && errno != EPIPE) {
		err = no(how, errno, "send");
		goto out;
	}
	err = receive(d->sock, &a, fd, how);
	d->doorbell = fd[1];
	d->join = fd[2];
	if (err)
		goto out;
	d->token = a.token;
	d->session = a.session;
	d->n_cells = a.cells;
	d->notifies = a.notifies;
	d->used = BTN_CELL_FIRST;
	memcpy(d->how, a.how, sizeof(d->how) - 1);
	err = map(d, fd[0], how);
	if (err)
		goto out;
	d->stop = eventfd(0, EFD_CLOEXEC);
	d->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->poll = epoll_create1(EPOLL_CLOEXEC);
	d->free = btn_mem_zeroed(d->n_cells, sizeof(*d->free));
	d->parting = btn_mem_zeroed(d->n_cells, sizeof(*d->parting));
	if (!d->parting || d->stop < 0 || d->told < 0 || d->poll < 0 || !d->free || watch(d, d->doorbell, EPOLLIN) ||
	    watch(d, d->stop, EPOLLIN) || watch(d, d->told, EPOLLIN) || watch(d, d->sock, EPOLLRDHUP))
		err = no(how, ENOMEM, "epoll");
out:
	if (fd[0] >= 0)
		close(fd[0]);
	if (err < 0) {
		btn_detect_close(d);
	} else {
		memcpy(how, d->how, sizeof(d->how));
		pthread_once(&once, watch_forks);
		pthread_mutex_lock(&lock);
		d->id = ++last_id;
		d->next = sessions;
		sessions = d;
		pthread_mutex_unlock(&lock);
		*out = d;
		err = 0;
	}
	errno = saved;
	return err;
}

static void let_go(int fd)
{
	if (fd >= 0)
		close(fd);
}

void btn_detect_close(struct btn_detect *d)
{
	struct btn_detect **p;

	if (!d)
		return;
	pthread_mutex_lock(&lock);
	for (p = &sessions; *p && *p != d; p = &(*p)->next)
		;
	if (*p)
		*p = d->next;
	pthread_mutex_unlock(&lock);
	if (d->consumer)
		munmap(d->consumer, PAGE);
	if (d->producer)
		munmap(d->producer, PAGE);
	let_go(d->doorbell);
	let_go(d->join);
	let_go(d->stop);
	let_go(d->poll);
	let_go(d->sock);
	btn_mem_free(d->free);
	btn_mem_free(d->parting);
	btn_detect_put(d);
}

struct btn_detect *btn_detect_get(struct btn_detect *d)
{
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed); /* [IDLE-2] */
	return d;
}

void btn_detect_put(struct btn_detect *d)
{
	if (atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1) /* [IDLE-2] */
		return;
	if (d->cells)
		munmap(d->cells, d->n_cells * sizeof(struct btn_cell));
	let_go(d->told);
	btn_mem_free(d);
}

struct btn_cell *btn_detect_cell(struct btn_detect *d)
{
	struct btn_cell *cell = NULL;

	pthread_mutex_lock(&lock);
	if (d->n_free)
		cell = &d->cells[d->free[--d->n_free]];
	else if (d->used < d->n_cells)
		cell = &d->cells[d->used++];
	pthread_mutex_unlock(&lock);
	return cell;
}

int btn_detect_join(struct btn_detect *d, struct btn_cell *cell)
{
	struct btn_detect_join arg = { d->token, d->session, cell ? cell - d->cells : 0, (uintptr_t)cell };
	union bpf_attr attr;
	int saved = errno, err;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = d->join;
	attr.test.ctx_in = (uintptr_t)&arg;
	attr.test.ctx_size_in = sizeof(arg);
	if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)))
		err = -errno;
	else
		err = attr.test.retval;
	errno = saved;
	return err;
}

/* With the lock. NULL: it is closed. */
static struct btn_detect *find(uint64_t id)
{
	struct btn_detect *d;

	for (d = sessions; d && d->id != id; d = d->next)
		;
	return d;
}

void btn_detect_leave(uint64_t id)
{
	struct btn_detect *d;

	pthread_mutex_lock(&lock);
	d = find(id);
	if (d)
		btn_detect_join(d, NULL);
	pthread_mutex_unlock(&lock);
}

void btn_detect_cell_put(uint64_t id, struct btn_cell *cell)
{
	struct btn_detect *d;

	pthread_mutex_lock(&lock);
	d = find(id);
	if (d)
		d->free[d->n_free++] = cell - d->cells;
	pthread_mutex_unlock(&lock);
}

bool btn_cell_release(struct btn_cell *cell)
{
	uint32_t parked = BTN_CELL_PARKED;

	/* Released: it runs on with what was written before. */
	return atomic_compare_exchange_strong_explicit(&cell->state, &parked, BTN_CELL_RUNS, memory_order_seq_cst, /* [DETECT-1] */
						       memory_order_relaxed); /* [DETECT-1] */
}

void btn_cell_wake_parked(struct btn_cell *cell)
{
	btn_futex_wake_bits(&cell->state, 1, FUTEX_BITSET_MATCH_ANY);
}

void btn_cell_let_go(struct btn_cell *cell)
{
	if (btn_cell_release(cell))
		btn_cell_wake_parked(cell);
}

void btn_detect_release(struct btn_detect *d, struct btn_cell *cell, pid_t tid, int cpu, uint32_t *list)
{
	struct btn_parting *p = &d->parting[cell - d->cells];

	if (!btn_cell_release(cell))
		return;
	atomic_store_explicit(&p->tid, tid, memory_order_relaxed); /* [PARTING-1] */
	atomic_store_explicit(&p->cpu, cpu, memory_order_relaxed); /* [PARTING-1] */
	BTN_POINT("detect:release:list");
	if (atomic_exchange_explicit(&p->listed, true, memory_order_acq_rel)) /* [PARTING-1] (b) */
		return;
	p->next = *list;
	*list = cell - d->cells;
}

void btn_detect_wake_parked(struct btn_detect *d, uint32_t *list)
{
	struct btn_cpus set;
	uint32_t at;

	while ((at = *list)) {
		struct btn_parting *p = &d->parting[at];
		int cpu;

		*list = p->next;
		BTN_POINT("detect:wake:unlist");
		atomic_exchange_explicit(&p->listed, false, memory_order_acq_rel); /* [PARTING-1] (c) */
		cpu = atomic_load_explicit(&p->cpu, memory_order_relaxed); /* [PARTING-1] */
		if (cpu >= 0) {
			btn_cpus_one(&set, cpu);
			btn_cpus_use(&set, atomic_load_explicit(&p->tid, memory_order_relaxed)); /* [PARTING-1] */
		}
		btn_cell_wake_parked(&d->cells[at]);
	}
}

int btn_cell_wake(struct btn_cell *cell)
{
	uintptr_t word = atomic_load_explicit(&cell->parker, memory_order_relaxed); /* [WAKER-1] */

	return btn_futex->wake((_Atomic uint32_t *)word, 1);
}

static bool hear(struct btn_detect *d)
{
	uint64_t at = atomic_load_explicit(d->producer, memory_order_acquire); /* [DOORBELL-1] */

	if (at == atomic_load_explicit(d->consumer, memory_order_relaxed)) /* [DOORBELL-1] */
		return false;
	BTN_POINT("detect:hear:store");
	atomic_store_explicit(d->consumer, at, memory_order_release); /* [DOORBELL-1] */
	return true;
}

bool btn_detect_wait(struct btn_detect *d)
{
	struct epoll_event e;
	uint64_t n;

	for (;;) {
		if (hear(d))
			return true;
		BTN_POINT("detect:wait:poll");
		if (epoll_wait(d->poll, &e, 1, -1) < 1 || e.data.fd == d->doorbell)
			continue;
		if (e.data.fd == d->stop)
			return false;
		if (e.data.fd == d->told) {
			if (read(d->told, &n, sizeof(n)) == sizeof(n))
				return true;
			continue;
		}
		/* The tool died, and the programs go on; or it ended the session. */
		epoll_ctl(d->poll, EPOLL_CTL_DEL, d->sock, NULL);
		if (btn_detect_join(d, NULL) == -EPERM)
			return false;
	}
}

static void signal_to(int fd)
{
	uint64_t one = 1;

	/* EAGAIN: so often already that no more can be counted, and it did not come yet. */
	if (write(fd, &one, sizeof(one)) != sizeof(one) && errno != EAGAIN)
		btn_die("writing a notifier's eventfd:", errno);
}

void btn_detect_tell(struct btn_detect *d)
{
	signal_to(d->told);
}

void btn_detect_stop(struct btn_detect *d)
{
	signal_to(d->stop);
}
