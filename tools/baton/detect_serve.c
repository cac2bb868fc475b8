// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The socket of `baton load`: who connects is asked for nothing but its
 * credentials, which the kernel knows, and one message. Everything a peer can do
 * wrong costs it its connection and one line of the log, and nobody else
 * anything: one thread that never waits for a peer, nor for the kernel (sessions begin and end
 * in another one, detect_maker.h, those of each user in turn), a limit for each
 * user, and a limit for lines of log.
 *
 * A user has fewer sessions the fewer are left: a next one only while four times as many are free
 * as the user has. So however many a user takes, the next user finds some: each takes about a fifth
 * of what is left.
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
#include "detect_maker.h"

/* Connections that have not said yet what they want, and for how long. */
#define PENDING_MAX	64
#define PENDING_PER_UID	8
#define PENDING_MS	1000
#define SESSIONS_PER_UID 16
#define LOG_LINES	10	/* a second */

/* Newer than Debian's headers. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD	77
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS	83
#endif

enum peer_state { PEER_SILENT, PEER_WANTS, PEER_MAKING, PEER_SESSION };

struct peer {
	int sock;		/* -1: taken over from a loader that died */
	int pidfd;
	enum peer_state state;
	unsigned session;	/* from PEER_MAKING on */
	unsigned workers;
	uint64_t id;
	struct ucred who;
	long long since;	/* ms */
};

static struct peer peers[PENDING_MAX + BATON_SESSIONS];
static unsigned n_peers;
static uint64_t last_id;

/* Each session, for this thread; ENDING: shut, and its memory is not freed yet. */
static struct place {
	enum { PLACE_FREE, PLACE_MAKING, PLACE_USED, PLACE_ENDING } state;
	uid_t uid;
} places[BATON_SESSIONS];

static struct maker maker;

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

	if (p->state == PEER_SESSION) {
		detect_shut(d, p->session);
		places[p->session].state = PLACE_ENDING;
	}
	close(p->pidfd);
	if (p->sock >= 0)
		close(p->sock);
	*p = peers[--n_peers];
}

/* False: it was not sent. */
static bool answer(int sock, const struct btn_detect_answer *a, const int *fd)
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
	return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(*a);
}

static void refuse(int sock, const struct ucred *who, int err, const char *why)
{
	struct btn_detect_answer a = { .magic = BTN_DETECT_MAGIC, .version = BTN_DETECT_VERSION, .err = err };

	char unread[64];

	note("refused process %d of user %u: %s", who->pid, who->uid, why);
	/* Bytes that it sent and nobody read would make it lose the answer. */
	shutdown(sock, SHUT_RD);
	while (recv(sock, unread, sizeof(unread), MSG_DONTWAIT) > 0)
		;
	snprintf(a.how, sizeof(a.how), "%s", why);
	answer(sock, &a, NULL);
}

static int open_process(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

/* The process that connected: by its socket where the kernel can; else by its number, while it is connected. */
static int peer_process(int sock, const struct ucred *who)
{
	struct pollfd p = { .fd = sock };
	socklen_t len = sizeof(int);
	int fd;

	if (!getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &len))
		return fd;
	if (errno != ENOPROTOOPT)
		return -1;
	fd = open_process(who->pid);
	/* The number may be another process's by now; then the connection has ended, but for a child's copy. */
	if (fd >= 0 && (poll(&p, 1, 0) < 0 || p.revents & (POLLHUP | POLLERR))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void meet(int listener, const struct detect_allow *allow)
{
	socklen_t len = sizeof(struct ucred);
	unsigned i, pending = 0, same = 0;
	struct ucred who;
	int sock, pidfd;

	sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (sock < 0)
		return;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len)) {
		close(sock);
		return;
	}
	for (i = 0; i < n_peers; i++)
		if (peers[i].state != PEER_SESSION) {
			pending++;
			same += peers[i].who.uid == who.uid;
		}
	if (!allowed(allow, &who, sock)) {
		refuse(sock, &who, -EACCES, "this user is not allowed; start `baton load` with --allow");
	} else if (pending >= PENDING_MAX || same >= PENDING_PER_UID) {
		refuse(sock, &who, -EAGAIN, "too many connections at once");
	} else {
		pidfd = peer_process(sock, &who);
		if (pidfd >= 0) {
			peers[n_peers++] = (struct peer){ .sock = sock, .pidfd = pidfd, .who = who, .since = now_ms(), .id = ++last_id };
			return;
		}
	}
	close(sock);
}

/* May this user have one more session? NULL; or why not, with the error. */
static const char *too_many(uid_t uid, int *err)
{
	static char text[96];
	unsigned i, same = 0, left = 0;

	for (i = 0; i < BATON_SESSIONS; i++) {
		same += places[i].state != PLACE_FREE && places[i].uid == uid;
		left += places[i].state == PLACE_FREE;
	}
	*err = -EDQUOT;
	if (same >= SESSIONS_PER_UID || (uid && uid != geteuid() && 4 * same > left)) {
		snprintf(text, sizeof(text), "this user has %u sessions already, and %u are left for all", same, left);
		return text;
	}
	*err = -ENOSPC;
	return left ? NULL : "there are 64 sessions already";
}

/* A message came. False: the peer is to be dropped. */
static bool hear(struct peer *p)
{
	struct btn_detect_hello hello;
	struct iovec iov = { &hello, sizeof(hello) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	const char *why;
	char text[96];
	ssize_t n;
	int err;

	n = recvmsg(p->sock, &msg, MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	if (p->state != PEER_SILENT) {
		note("process %d of user %u: a second message in a session, which ends it", p->who.pid, p->who.uid);
		return false;
	}
	/* No descriptor had room: the kernel has closed them. */
	if (msg.msg_flags & MSG_CTRUNC) {
		refuse(p->sock, &p->who, -EPROTO, "it sent descriptors, and nobody wants them");
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
	why = too_many(p->who.uid, &err);
	if (why) {
		refuse(p->sock, &p->who, err, why);
		return false;
	}
	p->workers = hello.workers;
	p->state = PEER_WANTS;
	return true;
}

/* ------------------------------------------------- sessions, made one by one */

/* When a user was served last, in jobs; the longest ago goes first. */
static struct turn {
	uid_t uid;
	uint64_t when;		/* 0: never */
} turns[64];
static uint64_t last_turn;

static struct turn *turn_of(uid_t uid)
{
	struct turn *oldest = turns;
	unsigned i;

	for (i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
		if (turns[i].when && turns[i].uid == uid)
			return &turns[i];
		if (turns[i].when < oldest->when)
			oldest = &turns[i];
	}
	*oldest = (struct turn){ .uid = uid };
	return oldest;
}

/* The next job for the maker, of the user whose last one was longest ago. False: there is nothing to do. */
static bool next_job(struct detect *d)
{
	struct maker_job job = { 0 };
	uint64_t when, best = UINT64_MAX;
	struct peer *p = NULL;
	const char *why;
	unsigned i, end = BATON_SESSIONS;
	int err;

	for (i = 0; i < n_peers; i++)
		if (peers[i].state == PEER_WANTS && (when = turn_of(peers[i].who.uid)->when) < best) {
			best = when;
			p = &peers[i];
		}
	/* Sessions of one user end before others begin. */
	for (i = 0; i < BATON_SESSIONS; i++)
		if (places[i].state == PLACE_ENDING && (when = turn_of(places[i].uid)->when) <= best) {
			best = when;
			end = i;
		}
	if (end < BATON_SESSIONS) {
		job = (struct maker_job){ .ends = true, .session = end, .uid = places[end].uid };
	} else if (p) {
		/* Others of this user may have got one since. */
		why = too_many(p->who.uid, &err);
		if (why) {
			refuse(p->sock, &p->who, err, why);
			drop(d, p - peers);
			return true;
		}
		for (i = 0; places[i].state != PLACE_FREE; i++)
			;
		places[i] = (struct place){ .state = PLACE_MAKING, .uid = p->who.uid };
		p->state = PEER_MAKING;
		p->session = i;
		job = (struct maker_job){ .session = i, .uid = p->who.uid, .pid = p->who.pid, .workers = p->workers, .peer = p->id };
	} else {
		return false;
	}
	turn_of(job.uid)->when = ++last_turn;
	maker_start(&maker, &job);
	return true;
}

/* The maker did this job. */
static void job_done(struct detect *d, const struct maker_job *job)
{
	struct btn_detect_answer a = { .magic = BTN_DETECT_MAGIC, .version = BTN_DETECT_VERSION };
	struct place *place = &places[job->session];
	int fd[3] = { job->fd[0], job->fd[1], d->join };
	struct peer *p;
	unsigned i;

	if (job->ends || job->err)
		place->state = PLACE_FREE;
	if (job->ends)
		return;
	for (i = 0; i < n_peers && peers[i].id != job->peer; i++)
		;
	p = i < n_peers ? &peers[i] : NULL;
	if (job->err) {
		if (p) {
			refuse(p->sock, &p->who, job->err, strerror(-job->err));
			drop(d, i);
		}
		return;
	}
	if (p) {
		place->state = PLACE_USED;
		p->state = PEER_SESSION;
		a.token = d->session[job->session].token;
		a.session = job->session;
		a.cells = d->session[job->session].cells;
		a.notifies = d->notifies;
		snprintf(a.how, sizeof(a.how), "%s", d->how);
		if (!answer(p->sock, &a, fd))
			drop(d, i);
	} else {
		detect_shut(d, job->session);
		place->state = PLACE_ENDING;
	}
	close(fd[0]);
	close(fd[1]);
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
		places[i].uid = s->uid;
		pidfd = open_process(s->pid);
		if (pidfd < 0 || detect_pid_start(s->pid) != s->pid_start) {
			if (pidfd >= 0)
				close(pidfd);
			detect_shut(d, i);
			places[i].state = PLACE_ENDING;
			continue;
		}
		places[i].state = PLACE_USED;
		peers[n_peers++] = (struct peer){
			.sock = -1, .pidfd = pidfd, .session = i, .state = PEER_SESSION, .id = ++last_id,
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
	/*
	 * A descriptor that a peer sends and this process never takes is closed here, and to close a socket
	 * may wait for as long as its owner likes (SO_LINGER). A kernel before 6.16 cannot refuse them.
	 */
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &(int){ 0 }, sizeof(int));
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || chmod(path, 0666) || listen(fd, 64)) {
		err = -errno;
		fprintf(stderr, "baton: %s: %s\n", path, strerror(-err));
		return err;
	}
	return fd;
}

int detect_serve(struct detect *d, const char *path, const struct detect_allow *allow)
{
	/* The listener, signals, the maker; then of each peer its connection and its process. */
	static struct pollfd p[3 + 2 * (PENDING_MAX + BATON_SESSIONS)];
	int listener, signals, lock = -1, err;
	struct maker_job job;
	unsigned i, n;
	sigset_t set;

	listener = make_socket(path, &lock);
	if (listener < 0)
		return listener;
	/* Before the maker's thread, so that it is blocked there, too. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	err = maker_open(&maker, d, allow->hold);
	if (err) {
		fprintf(stderr, "baton: cannot start a thread: %s\n", strerror(-err));
		return err;
	}
	take_over(d);
	note("serving %s (%s)", path, d->how);
	for (;;) {
		bool silent = false;

		while (!maker.busy && next_job(d))
			;
		p[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = signals, .events = POLLIN };
		p[2] = (struct pollfd){ .fd = maker.done, .events = POLLIN };
		n = n_peers;
		for (i = 0; i < n; i++) {
			p[3 + 2 * i] = (struct pollfd){ .fd = peers[i].sock, .events = POLLIN };
			p[4 + 2 * i] = (struct pollfd){ .fd = peers[i].pidfd, .events = POLLIN };
			silent |= peers[i].state == PEER_SILENT;
		}
		if (poll(p, 3 + 2 * n, silent ? PENDING_MS / 4 : -1) < 0)
			continue;
		if (p[1].revents)
			break;
		/* From the end: the last takes the place of one that is dropped. */
		for (i = n; i--;) {
			if (p[4 + 2 * i].revents)
				drop(d, i);
			else if (p[3 + 2 * i].revents && !hear(&peers[i]))
				drop(d, i);
			else if (peers[i].state == PEER_SILENT && now_ms() - peers[i].since > PENDING_MS) {
				refuse(peers[i].sock, &peers[i].who, -ETIMEDOUT, "it connected and said nothing");
				drop(d, i);
			}
		}
		if (p[2].revents) {
			maker_take(&maker, &job);
			job_done(d, &job);
		}
		if (p[0].revents)
			meet(listener, allow);
	}
	unlink(path);
	/* The peer of a session that was just made is not told: it is ended. */
	if (maker_close(&maker, &job) && !job.ends && !job.err)
		detect_end(d, job.session);
	note("no longer serving %s; the programs and the sessions stay, `baton unload` removes them", path);
	return 0;
}
