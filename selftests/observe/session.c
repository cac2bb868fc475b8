// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The library's side of a session with `baton load`: whatever descriptors come with the
 * answer, those that were asked for are used, and no other stays open.
 */
#include <dirent.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "detect.h"
#include "tap.h"

static char dir[] = "/tmp/baton-session-XXXXXX", path[64], how[96];
static int listener;
static unsigned descriptors;

static unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A `baton load` that sends so many descriptors. */
static void *serve(void *arg)
{
	struct btn_detect_answer a = { .magic = BTN_DETECT_MAGIC, .version = BTN_DETECT_VERSION, .cells = 64, .how = "tests" };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(200 * sizeof(int))];
	} u = { .space = { 0 } };
	struct iovec iov = { &a, sizeof(a) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct btn_detect_hello hello;
	int fd[200], sock = accept(listener, NULL, NULL);
	unsigned i;
	struct cmsghdr *c;

	CHECK_ANY(sock >= 0);
	CHECK_ANY(recv(sock, &hello, sizeof(hello), 0) == sizeof(hello));
	for (i = 0; i < descriptors; i++)
		fd[i] = listener;
	if (descriptors) {
		msg.msg_control = &u;
		msg.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(descriptors * sizeof(int));
		memcpy(CMSG_DATA(c), fd, descriptors * sizeof(int));
	}
	CHECK_ANY(sendmsg(sock, &msg, 0) == sizeof(a));
	close(sock);
	return NULL;
}

static int opens_with(unsigned n)
{
	struct btn_detect *d;
	pthread_t thread;
	int err;

	descriptors = n;
	CHECK_EQ(pthread_create(&thread, NULL, serve, NULL), 0);
	err = btn_detect_open(&d, 4, how);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	return err;
}

TEST(descriptors_that_come)
{
	static const struct { unsigned n; int err; const char *says; } want[] = {
		{ 0, -EPROTO, "sent too little" },
		{ 2, -EPROTO, "sent too little" },
		/* The descriptors that were sent are no maps. */
		{ 3, -ENODEV, "mmap of the cells" },
		/* There is room for a fourth where three are aligned. */
		{ 4, -EPROTO, "sent too much" },
		{ 5, -EPROTO, "sent too much" },
		{ 200, -EPROTO, "sent too much" },
	};
	unsigned i, before;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		before = open_files();
		CHECK_EQ(opens_with(want[i].n), want[i].err);
		CHECK_MSG(strstr(how, want[i].says), "%u: says \"%s\"", want[i].n, how);
		CHECK_EQ(open_files(), before);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	strcpy(addr.sun_path, path);
	setenv("BATON_DETECT_SOCKET", path, 1);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 4))
		return 1;
	rc = tap_main(argc, argv);
	unlink(path);
	rmdir(dir);
	return rc;
}
