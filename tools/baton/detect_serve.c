// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The socket of `baton load`: who connects is asked for nothing but its
 * credentials, which the kernel knows, and one message. Everything a peer can do
 * wrong costs it its connection and one line of the log, and nobody else
 * anything: one thread that never waits for a peer, a limit for each user, and
 * a limit for lines of log.
 *
 * A session lives as long as its process and its connection. After a crash there
 * are no connections: sessions that were taken over live as long as their
 * process.
 */
#include "detect_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "detect_abi.h"
#include "detect_lock.h"

/* Connections that have not said yet what they want, and for how long. */
#define PENDING_MAX	64
#define PENDING_PER_UID	8
#define PENDING_MS	1000
#define SESSIONS_PER_UID 16
#define LOG_LINES	10	/* a second */

struct peer {
	int sock;		/* -1: taken over from a loader that died */
	int pidfd;		/* -1: not a session yet */
	unsigned session;
	struct ucred who;
	long long since;	/* ms */
};

static struct peer peers[PENDING_MAX + BATON_SESSIONS];
static unsigned n_peers;

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2)))
static void note(const char *fmt, ...)
{
	static long long second;
	static unsigned lines, left_out;
	long long now = now_ms() / 1000;
	va_list ap;

	if (now != second) {
		if (left_out)
			fprintf(stderr, "baton: %u more lines like these left out\n", left_out);
		second = now;
		lines = left_out = 0;
	}
	if (lines++ >= LOG_LINES) {
		left_out++;
		return;
	}
	va_start(ap, fmt);
	fputs("baton: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static bool allowed(const struct detect_allow *allow, const struct ucred *who, int sock)
{
	gid_t groups[256];
	socklen_t len = sizeof(groups);
	unsigned i, j, n;

	if (allow->all || !who->uid || who->uid == geteuid())
		return true;
	for (i = 0; i < allow->n_uids; i++)
		if (allow->uid[i] == who->uid)
			return true;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len))
		len = 0;
	n = len / sizeof(groups[0]);
	for (i = 0; i < allow->n_gids; i++) {
		if (allow->gid[i] == who->gid)
			return true;
		for (j = 0; j < n; j++)
			if (allow->gid[i] == groups[j])
				return true;
	}
	return false;
}

static void drop(struct detect *d, unsigned i)
{
	struct peer *p = &peers[i];

	if (p->pidfd >= 0) {
		detect_end(d, p->session);
		close(p->pidfd);
	}
	if (p->sock >= 0)
		close(p->sock);
	*p = peers[--n_peers];
}

/* What a peer would be told; or nothing, where it is not to be told anything. */
static void answer(int sock, const struct btn_detect_answer *a, const int *fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} u = { .space = { 0 } };
	struct iovec iov = { (void *)a, sizeof(*a) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd) {
		msg.msg_control = &u;
		msg.msg_controllen = sizeof(u);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(3 * sizeof(int));
		memcpy(CMSG_DATA(c), fd, 3 * sizeof(int));
	}
	sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void refuse(int sock, const struct ucred *who, int err, const char *why)
{
	struct btn_detect_answer a = { .magic = BTN_DETECT_MAGIC, .version = BTN_DETECT_VERSION, .err = err };

	char unread[64];

	note("refused process %d of user %u: %s", who->pid, who->uid, why);
	/* What it sent and nobody read would make it lose the answer. */
	shutdown(sock, SHUT_RD);
	while (recv(sock, unread, sizeof(unread), MSG_DONTWAIT) > 0)
		;
	snprintf(a.how, sizeof(a.how), "%s", why);
	answer(sock, &a, NULL);
}

static void meet(struct detect *d, int listener, const struct detect_allow *allow)
{
	socklen_t len = sizeof(struct ucred);
	unsigned i, pending = 0, same = 0;
	struct peer *p;
	struct ucred who;
	int sock;

	sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (sock < 0)
		return;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len)) {
		close(sock);
		return;
	}
	for (i = 0; i < n_peers; i++)
		if (peers[i].pidfd < 0) {
			pending++;
			same += peers[i].who.uid == who.uid;
		}
	if (!allowed(allow, &who, sock)) {
		refuse(sock, &who, -EACCES, "this user is not allowed; start `baton load` with --allow");
	} else if (pending >= PENDING_MAX || same >= PENDING_PER_UID) {
		refuse(sock, &who, -EAGAIN, "too many connections at once");
	} else {
		p = &peers[n_peers++];
		*p = (struct peer){ .sock = sock, .pidfd = -1, .who = who, .since = now_ms() };
		return;
	}
	close(sock);
}

static int open_process(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

/* A message came. False: the peer is to be dropped. */
static bool hear(struct detect *d, struct peer *p)
{
	struct btn_detect_answer a = { .magic = BTN_DETECT_MAGIC, .version = BTN_DETECT_VERSION };
	struct btn_detect_hello hello;
	unsigned i, same = 0;
	char text[96];
	int fd[3], err;
	ssize_t n;

	n = recv(p->sock, &hello, sizeof(hello), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	if (p->pidfd >= 0) {
		note("process %d of user %u: a second message in a session, which ends it", p->who.pid, p->who.uid);
		return false;
	}
	if (n != sizeof(hello) || hello.magic != BTN_DETECT_MAGIC) {
		refuse(p->sock, &p->who, -EPROTO, "what it sent is no greeting of baton's library");
		return false;
	}
	if (hello.version != BTN_DETECT_VERSION) {
		snprintf(text, sizeof(text), "its library speaks version %u of this, `baton load` version %d",
			 hello.version, BTN_DETECT_VERSION);
		refuse(p->sock, &p->who, -EPROTO, text);
		return false;
	}
	for (i = 0; i < BATON_SESSIONS; i++)
		same += d->session[i].token && d->session[i].uid == p->who.uid;
	if (same >= SESSIONS_PER_UID) {
		refuse(p->sock, &p->who, -EDQUOT, "this user has 16 sessions already");
		return false;
	}
	p->pidfd = open_process(p->who.pid);
	if (p->pidfd < 0)
		return false;
	err = detect_begin(d, p->who.pid, p->who.uid, hello.workers, &p->session, fd);
	if (err) {
		close(p->pidfd);
		p->pidfd = -1;
		refuse(p->sock, &p->who, err, err == -ENOSPC ? "there are 64 sessions already" : strerror(-err));
		return false;
	}
	fd[2] = d->join;
	a.token = d->session[p->session].token;
	a.session = p->session;
	a.cells = d->session[p->session].cells;
	a.notifies = d->notifies;
	snprintf(a.how, sizeof(a.how), "%s", d->how);
	answer(p->sock, &a, fd);
	close(fd[0]);
	close(fd[1]);
	return true;
}

/* Sessions of a loader that died: those whose process is still there. */
static void take_over(struct detect *d)
{
	struct baton_session *s;
	unsigned i, n = 0;
	int pidfd;

	for (i = 0; i < BATON_SESSIONS; i++) {
		s = &d->session[i];
		if (!s->token)
			continue;
		pidfd = open_process(s->pid);
		if (pidfd < 0 || detect_pid_start(s->pid) != s->pid_start) {
			if (pidfd >= 0)
				close(pidfd);
			detect_end(d, i);
			continue;
		}
		peers[n_peers++] = (struct peer){
			.sock = -1, .pidfd = pidfd, .session = i,
			.who = { .pid = s->pid, .uid = s->uid },
		};
		n++;
	}
	if (n)
		note("took over %u sessions", n);
}

static int make_socket(const char *path, int *lock)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[128], *slash;
	int fd, err;

	if (strlen(path) + 7 > sizeof(addr.sun_path)) {
		fprintf(stderr, "baton: the path of the socket is longer than %zu\n", sizeof(addr.sun_path) - 7);
		return -ENAMETOOLONG;
	}
	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = 0;
		mkdir(dir, 0755);
	}
	*lock = detect_lock(path);
	if (*lock < 0)
		return *lock;
	strcpy(addr.sun_path, path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || chmod(path, 0666) || listen(fd, 64)) {
		err = -errno;
		fprintf(stderr, "baton: %s: %s\n", path, strerror(-err));
		return err;
	}
	return fd;
}

int detect_serve(struct detect *d, const char *path, const struct detect_allow *allow)
{
	/* Of each peer, its connection and its process. */
	static struct pollfd p[2 + 2 * (PENDING_MAX + BATON_SESSIONS)];
	int listener, signals, lock = -1;
	unsigned i, n;
	sigset_t set;

	listener = make_socket(path, &lock);
	if (listener < 0)
		return listener;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	take_over(d);
	note("serving %s (%s)", path, d->how);
	for (;;) {
		bool pending = false;

		p[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = signals, .events = POLLIN };
		n = n_peers;
		for (i = 0; i < n; i++) {
			p[2 + 2 * i] = (struct pollfd){ .fd = peers[i].sock, .events = POLLIN };
			p[3 + 2 * i] = (struct pollfd){ .fd = peers[i].pidfd, .events = POLLIN };
			pending |= peers[i].pidfd < 0;
		}
		if (poll(p, 2 + 2 * n, pending ? PENDING_MS / 4 : -1) < 0)
			continue;
		if (p[1].revents)
			break;
		/* From the end: the last takes the place of one that is dropped. */
		for (i = n; i--;) {
			if (p[3 + 2 * i].revents)
				drop(d, i);
			else if (p[2 + 2 * i].revents && !hear(d, &peers[i]))
				drop(d, i);
			else if (peers[i].pidfd < 0 && now_ms() - peers[i].since > PENDING_MS) {
				refuse(peers[i].sock, &peers[i].who, -ETIMEDOUT, "it connected and said nothing");
				drop(d, i);
			}
		}
		if (p[0].revents)
			meet(d, listener, allow);
	}
	unlink(path);
	note("no longer serving %s; the programs and the sessions stay, `baton unload` removes them", path);
	return 0;
}
