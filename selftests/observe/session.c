// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The library's side of a session with `baton load`: whatever descriptors come with the
 * answer, those that were asked for are used, and no other stays open.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "detect.h"
#include "send_fds.h"
#include "tap.h"

static char dir[] = "/tmp/baton-session-XXXXXX", path[64], how[96];
static int listener;
static unsigned descriptors;
static struct btn_detect_answer a;

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
	struct btn_detect_hello hello;
	int sock = accept(listener, NULL, NULL);

	CHECK_ANY(sock >= 0);
	CHECK_ANY(recv(sock, &hello, sizeof(hello), 0) == sizeof(hello));
	CHECK_ANY(send_fds(sock, &a, sizeof(a), listener, descriptors, 0) == sizeof(a));
	close(sock);
	return NULL;
}

static int opens_with(unsigned n)
{
	struct btn_detect *d;
	pthread_t thread;
	int err;

	descriptors = n;
	a.magic = BTN_DETECT_MAGIC;
	a.version = BTN_DETECT_VERSION;
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
		/* Room for a fourth is there where three are aligned. */
		{ 4, -EPROTO, "sent too much" },
		{ 5, -EPROTO, "sent too much" },
		{ 200, -EPROTO, "sent too much" },
	};
	unsigned i, before;

	a = (struct btn_detect_answer){ .cells = 64, .how = "tests" };
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		before = open_files();
		CHECK_EQ(opens_with(want[i].n), want[i].err);
		CHECK_MSG(strstr(how, want[i].says), "%u: says \"%s\"", want[i].n, how);
		CHECK_EQ(open_files(), before);
	}
}

/* The kernel leaves out what a process has no room for, and says so (MSG_CTRUNC): the rest is closed. */
TEST(room_for_one)
{
	unsigned before = open_files();
	struct rlimit old, few;
	int lowest = dup(listener), err;

	CHECK(lowest >= 0 && !close(lowest) && !getrlimit(RLIMIT_NOFILE, &old));
	a = (struct btn_detect_answer){ .cells = 64, .how = "tests" };
	few = old;
	/* The two ends of the connection, and one of the three. */
	few.rlim_cur = lowest + 3;
	CHECK(!setrlimit(RLIMIT_NOFILE, &few));
	err = opens_with(3);
	CHECK(!setrlimit(RLIMIT_NOFILE, &old));
	CHECK_EQ(err, -EPROTO);
	CHECK_MSG(strstr(how, "no more files can be opened"), "says \"%s\"", how);
	CHECK_EQ(open_files(), before);
}

/* An answer that `baton load` never sends is an error, and no session. */
TEST(answers_that_are_none)
{
	a = (struct btn_detect_answer){ .err = 5, .cells = 64, .how = "tests" };
	CHECK_EQ(opens_with(3), -EPROTO);
	CHECK(strstr(how, "no answer"));
	a = (struct btn_detect_answer){ .cells = BTN_CELLS_MAX + BTN_CELL_FIRST + 1, .how = "tests" };
	CHECK_EQ(opens_with(3), -EPROTO);
	CHECK(strstr(how, "no answer"));
	/* A text without an end is cut, and stands in the place of ours. */
	a = (struct btn_detect_answer){ .err = -EACCES };
	memset(a.how, 'x', sizeof(a.how));
	CHECK_EQ(opens_with(0), -EACCES);
	CHECK_EQ(strlen(how), sizeof(a.how) - 1);
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
