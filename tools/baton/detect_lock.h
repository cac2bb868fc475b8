/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * detect_lock.h - which process serves a socket of `baton load`.
 *
 * A server has a lock (F_SETLK) on the file SOCKET.owner, of mode 0600: no other user
 * can open that file, so no other user can lock it. Who has the lock is the
 * kernel's answer (F_GETLK), and the file's content is never read: a number in a
 * file may be old, and then be another process's. A process is then signalled
 * by a pidfd, and waited for no longer than a limit.
 *
 * A POSIX lock is its process's: closing any descriptor of the file gives it up. So
 * the server opens the file once.
 */
#ifndef TOOLS_DETECT_LOCK_H
#define TOOLS_DETECT_LOCK_H

#include <sys/types.h>

/*
 * Takes the lock for this process: the descriptor to keep open; or -errno, said on
 * stderr. -EBUSY: another process has it.
 */
int detect_lock(const char *socket);

/*
 * The process that has the lock, and a pidfd of it, which the caller closes. 0: no
 * process has it. -errno: that cannot be known; said on stderr.
 */
pid_t detect_holder(const char *socket, int *pidfd);

/*
 * SIGTERM; and SIGKILL to what is still there after so many ms. 0: the process is no more; or
 * -errno, said on stderr.
 */
int detect_stop(pid_t pid, int pidfd, int ms);

#endif
