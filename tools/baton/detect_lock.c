// SPDX-License-Identifier: GPL-2.0-or-later
#include "detect_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TRIES		100
/* After SIGKILL: a process may have to come back from the kernel first. */
#define KILL_MS		30000

static int fail(const char *name, int err)
{
	fprintf(stderr, "baton: %s: %s\n", name, strerror(-err));
	return err;
}

/*
 * The file, if it is fit to say whose lock it has: a regular file that only root or this
 * user can open. 0; or -errno, said on stderr.
 */
static int look_at_file(int fd, const char *name, struct stat *st)
{
	if (fstat(fd, st))
		return fail(name, -errno);
	if (S_ISREG(st->st_mode) && (!st->st_uid || st->st_uid == geteuid()) && !(st->st_mode & 077) && st->st_nlink < 2)
		return 0;
	fprintf(stderr, "baton: %s: others could lock this file, which is user %u's, of mode %03o; remove it, "
		"and keep the socket in a directory where only root writes\n", name, st->st_uid, st->st_mode & 0777);
	return -EPERM;
}

int detect_lock(const char *socket)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET }, other;
	struct stat st, there;
	char name[128];
	int fd, err, tries;

	snprintf(name, sizeof(name), "%s.owner", socket);
	for (tries = 0; tries < TRIES; tries++) {
		fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (fd < 0)
			return fail(name, -errno);
		err = look_at_file(fd, name, &st);
		if (err) {
			close(fd);
			return err;
		}
		if (fcntl(fd, F_SETLK, &lock)) {
			err = -errno;
			other = lock;
			if (err != -EAGAIN && err != -EACCES)
				fail(name, err);
			else if (!fcntl(fd, F_GETLK, &other) && other.l_type != F_UNLCK)
				fprintf(stderr, "baton: another `baton load`, process %d, serves %s\n", (int)other.l_pid, socket);
			else
				fprintf(stderr, "baton: another `baton load` serves %s\n", socket);
			close(fd);
			return err == -EAGAIN || err == -EACCES ? -EBUSY : err;
		}
		/* A file that was removed in between locks nobody out. */
		if (!stat(name, &there) && there.st_ino == st.st_ino && there.st_dev == st.st_dev)
			return fd;
		close(fd);
	}
	return fail(name, -EAGAIN);
}

/* The lock's process, by its number; 0: none; or -errno. */
static pid_t locked_by(int fd)
{
	/* Against F_RDLCK stands only a write lock, and that wants a descriptor that can write. */
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &lock))
		return -errno;
	if (lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid > 0 ? lock.l_pid : -ESRCH;
}

/*
 * A number is looked up between two looks at the lock. The same process has it in both: a
 * process does not come back, so the pidfd is not of another one with its number.
 */
static pid_t find_holder(int fd, int *pidfd)
{
	pid_t pid, again;
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		pid = locked_by(fd);
		if (pid <= 0)
			return pid;
		*pidfd = syscall(SYS_pidfd_open, pid, 0);
		if (*pidfd < 0 && errno != ESRCH)
			return -errno;
		again = locked_by(fd);
		if (*pidfd >= 0 && again == pid)
			return pid;
		if (*pidfd >= 0)
			close(*pidfd);
	}
	return -ESRCH;
}

pid_t detect_holder(const char *socket, int *pidfd)
{
	struct stat st;
	char name[128];
	pid_t pid;
	int fd, err;

	*pidfd = -1;
	if (snprintf(name, sizeof(name), "%s.owner", socket) >= (int)sizeof(name))
		return fail(socket, -ENAMETOOLONG);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : fail(name, -errno);
	err = look_at_file(fd, name, &st);
	pid = err ? err : find_holder(fd, pidfd);
	close(fd);
	if (pid == -ESRCH)
		fprintf(stderr, "baton: a process that cannot be seen from here (of another PID namespace?) serves %s\n", socket);
	else if (pid < 0 && !err)
		fail(name, pid);
	return pid;
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static bool ends_within(int pidfd, int ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	long long end = now_ms() + ms, left;
	int n;

	do {
		left = end - now_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

static int send_signal(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

int detect_stop(pid_t pid, int pidfd, int ms)
{
	int err = 0;

	if (send_signal(pidfd, SIGTERM))
		err = errno == ESRCH ? 0 : -errno;
	/* The process may have been stopped. */
	send_signal(pidfd, SIGCONT);
	if (!err && !ends_within(pidfd, ms)) {
		fprintf(stderr, "baton: process %d did not end within %d s of SIGTERM: SIGKILL\n", (int)pid, (ms + 999) / 1000);
		if (send_signal(pidfd, SIGKILL))
			err = errno == ESRCH ? 0 : -errno;
		else if (!ends_within(pidfd, KILL_MS))
			err = -ETIMEDOUT;
	}
	if (err)
		fprintf(stderr, "baton: cannot stop process %d: %s\n", (int)pid, strerror(-err));
	return err;
}
