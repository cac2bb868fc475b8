/* SPDX-License-Identifier: GPL-2.0-or-later */
/* send_fds.h - messages over a unix socket with descriptors, for tests of what is sent in the place of `baton load`, or to it. */
#ifndef SEND_FDS_H
#define SEND_FDS_H

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Linux sends no more at a time: SCM_MAX_FD is 253. */
#define SEND_FDS_MAX	250

/* Sends n bytes, and the descriptor fd `count` times, SEND_FDS_MAX at most; returns what sendmsg(2) does. */
static inline ssize_t send_fds(int sock, const void *p, size_t n, int fd, unsigned count, int flags)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(SEND_FDS_MAX * sizeof(int))];
	} u = { .space = { 0 } };
	struct iovec iov = { (void *)p, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	int all[SEND_FDS_MAX];
	unsigned i;

	if (count > SEND_FDS_MAX)
		count = SEND_FDS_MAX;
	for (i = 0; i < count; i++)
		all[i] = fd;
	if (count) {
		msg.msg_control = &u;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), all, count * sizeof(int));
	}
	return sendmsg(sock, &msg, flags);
}

#endif
