// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that do not keep to the rules of `baton load` are refused and logged, and
 * the others notice nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "tap.h"

#define NOBODY 65534
/* BATON_SESSIONS of bpf/detect.h, which is not to be included here. */
#define SESSIONS 64

/* Between a test and its children: what they got, and until when they keep it. */
static int got[2], keep[2];

static int connected(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, load_socket);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* In a process of its own: fn's answer, 0 to 127. */
static int as(uid_t uid, int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (uid && (setgid(uid) || setuid(uid)))
			_exit(127);
		_exit(fn());
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

/* Everything still works for somebody who does keep to the rules. */
static void others_notice_nothing(void)
{
	struct btn_detect *d = session(4);
	struct btn_cell *cell = btn_detect_cell(d);

	/* A session is its first process's: this one's. */
	CHECK_EQ(btn_detect_join(d, cell), 0);
	btn_cell_arm(cell, BTN_CELL_ARMED);
	pause_us(1000);
	btn_cell_arm(cell, BTN_CELL_NOT);
	CHECK(cell->blocks >= 1);
	CHECK_EQ(btn_detect_join(d, NULL), 0);
	btn_detect_close(d);
}

static void begin(const char *who)
{
	load_begin("--allow", who, NULL);
}

static int open_session(void)
{
	struct btn_detect *d;
	char how[96];

	return -btn_detect_open(&d, 4, how);
}

TEST(a_user_who_is_not_allowed)
{
	begin("root");
	CHECK_EQ(as(NOBODY, open_session), EACCES);
	CHECK(load_said("refused process"));
	CHECK(load_said("of user 65534: this user is not allowed"));
	others_notice_nothing();
	load_end();
}

TEST(one_who_is)
{
	begin("65534");
	CHECK_EQ(as(NOBODY, open_session), 0);
	load_end();
	begin("@65534");
	CHECK_EQ(as(NOBODY, open_session), 0);
	load_end();
}

/* With a session of its own, without any capability. */
static struct btn_detect *ours, *not_yet;

static int joins_alone(void)
{
	struct btn_detect *d;
	struct btn_cell *cell;
	char how[96];

	if (btn_detect_open(&d, 4, how))
		return 1;
	cell = btn_detect_cell(d);
	if (btn_detect_join(d, cell))
		return 2;
	btn_cell_arm(cell, BTN_CELL_ARMED);
	pause_us(1000);
	btn_cell_arm(cell, BTN_CELL_NOT);
	if (!cell->blocks)
		return 3;
	/* Somebody else's session: the number can be guessed, the token cannot. */
	d->session = ours->session;
	if (btn_detect_join(d, cell) != -EPERM)
		return 4;
	d->session = not_yet->session;
	if (btn_detect_join(d, cell) != -EPERM)
		return 7;
	d->token = 0;
	if (btn_detect_join(d, cell) != -EPERM)
		return 5;
	d->session = 0xffffffff;
	if (btn_detect_join(d, cell) != -EINVAL)
		return 6;
	return 0;
}

/* The caller has everything of the session, and is not its process. */
static int joins_with_the_token(void)
{
	return btn_detect_join(ours, &ours->cells[BTN_CELL_FIRST]) == -EPERM ? 0 : 1;
}

TEST(only_its_own_threads)
{
	struct btn_cell *cell;

	begin("65534");
	ours = session(4);
	not_yet = session(4);
	cell = btn_detect_cell(ours);
	CHECK_EQ(btn_detect_join(ours, cell), 0);
	CHECK_EQ(as(NOBODY, joins_alone), 0);
	CHECK_EQ(as(0, joins_with_the_token), 0);
	/* No cell outside, and not those that are not workers'. */
	CHECK_EQ(btn_detect_join(ours, &ours->cells[BTN_CELL_COUNTS]), -EINVAL);
	CHECK_EQ(btn_detect_join(ours, &ours->cells[ours->n_cells]), -EINVAL);
	CHECK_EQ(btn_detect_join(ours, NULL), 0);
	btn_detect_close(ours);
	btn_detect_close(not_yet);
	load_end();
}

/* Damage that a process does to its own memory is its own affair. */
TEST(a_session_full_of_garbage)
{
	struct btn_detect *d;
	struct btn_cell *cell;

	begin("root");
	d = session(4);
	cell = btn_detect_cell(d);
	CHECK_EQ(btn_detect_join(d, cell), 0);
	memset(d->cells, 0xff, d->n_cells * sizeof(*d->cells));
	atomic_store(d->consumer, 0xfffffffffffffffull);
	pause_us(1000);
	pause_us(1000);
	CHECK_EQ(btn_detect_join(d, NULL), 0);
	btn_detect_close(d);
	others_notice_nothing();
	load_end();
}

TEST(garbage_on_the_socket)
{
	char junk[4096];
	int fd, n;

	begin("root");
	memset(junk, 0x5a, sizeof(junk));
	for (n = 0; n < 4; n++) {
		fd = connected();
		CHECK(fd >= 0);
		CHECK(send(fd, junk, (size_t[]){ 1, 16, 24, 4096 }[n], MSG_NOSIGNAL) > 0);
		CHECK(WITHIN(5, recv(fd, junk, sizeof(junk), MSG_DONTWAIT) >= 0));
		memset(junk, 0x5a, sizeof(junk));
		close(fd);
	}
	CHECK(load_said("is no greeting of baton's library"));
	others_notice_nothing();
	load_end();
}

TEST(another_version)
{
	struct btn_detect_hello hello = { BTN_DETECT_MAGIC, BTN_DETECT_VERSION + 1, 4 };
	struct btn_detect_answer a;
	char text[40];
	int fd;

	begin("root");
	fd = connected();
	CHECK_EQ(send(fd, &hello, sizeof(hello), 0), (long)sizeof(hello));
	CHECK_EQ(recv(fd, &a, sizeof(a), 0), (long)sizeof(a));
	CHECK_EQ(a.err, -EPROTO);
	snprintf(text, sizeof(text), "speaks version %d of this", BTN_DETECT_VERSION + 1);
	CHECK(strstr(a.how, text));
	close(fd);
	load_end();
}

/* As many connections as it can, some silent, some with more sessions than it may. */
static int flood(void)
{
	int fds[200], i, n = 0, got = 0;
	struct btn_detect *d;
	char how[96];

	for (i = 0; i < 200; i++) {
		fds[i] = connected();
		n += fds[i] >= 0;
	}
	for (i = 0; i < 200; i++)
		close(fds[i]);
	/* In this second there may be no more lines of log. */
	sleep(2);
	for (i = 0; i < 100; i++)
		got += !btn_detect_open(&d, 4, how);
	return n > 100 && got <= 16 && got > 0 ? 0 : 1;
}

static void *calm_main(void *arg)
{
	int *failed = arg, i;

	for (i = 0; i < 10; i++) {
		struct btn_detect *d;
		char how[96];

		if (btn_detect_open(&d, 4, how)) {
			printf("# %s\n", how);
			++*failed;
		} else {
			btn_detect_close(d);
		}
		pause_us(5000);
	}
	return NULL;
}

TEST(a_flood)
{
	pthread_t calm;
	int failed = 0;

	begin("65534");
	pthread_create(&calm, NULL, calm_main, &failed);
	CHECK_EQ(as(NOBODY, flood), 0);
	pthread_join(calm, NULL);
	CHECK_EQ(failed, 0);
	CHECK(load_said("too many connections at once"));
	CHECK(load_said("sessions already, and "));
	others_notice_nothing();
	load_end();
}

TEST(silence)
{
	char c;
	int fd;

	begin("root");
	fd = connected();
	CHECK(WITHIN(10, recv(fd, &c, 1, MSG_DONTWAIT) >= 0));
	CHECK(load_said("it connected and said nothing"));
	close(fd);
	load_end();
}

/* As many sessions as this user gets, kept until the test's end is closed. */
static int all_for_me(void)
{
	struct btn_detect *d;
	char how[96], c;
	unsigned n = 0;

	while (n < SESSIONS && !btn_detect_open(&d, 4, how))
		n++;
	c = (char)n;
	if (write(got[1], &c, 1) != 1)
		return 1;
	close(keep[1]);
	return read(keep[0], &c, 1) != 0;
}

/* However many each of some users takes, the next user finds one, and root its own. */
TEST(sessions_for_others)
{
	struct btn_detect *d[4];
	unsigned sum = 0, i;
	pid_t pid[8];
	char n;
	int status;

	begin("all");
	CHECK(!pipe(got) && !pipe(keep));
	for (i = 0; i < 8; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(setgid(2000 + i) || setuid(2000 + i) ? 127 : all_for_me());
		CHECK_EQ(read(got[0], &n, 1), 1);
		CHECK_CMP(n, >=, 1);
		sum += (unsigned char)n;
	}
	CHECK_CMP(sum, <, SESSIONS - 4);
	CHECK(load_said("sessions already, and "));
	for (i = 0; i < 4; i++)
		d[i] = session(4);
	for (i = 0; i < 4; i++)
		btn_detect_close(d[i]);
	close(keep[0]);
	close(keep[1]);
	for (i = 0; i < 8; i++)
		CHECK(waitpid(pid[i], &status, 0) == pid[i] && !status);
	close(got[0]);
	close(got[1]);
	load_end();
}

static bool greet_on(int fd)
{
	struct btn_detect_hello hello = { BTN_DETECT_MAGIC, BTN_DETECT_VERSION, 4 };

	return send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) == sizeof(hello);
}

static int greet(void)
{
	int fd = connected();

	return greet_on(fd) ? fd : -1;
}

/* The kernel takes its time to make a session: nobody else waits for it, and users take turns. */
TEST(a_session_that_takes_long)
{
	struct btn_detect_answer a;
	char hold[80], junk[4] = "junk", c;
	int mine, other, i;
	pid_t pid;
	int status;

	snprintf(hold, sizeof(hold), "/tmp/baton-hold-%d", (int)getpid());
	close(open(hold, O_CREAT | O_WRONLY, 0600));
	load_begin("--allow", "65534", "--test-hold", hold, NULL);
	CHECK(!pipe(got) && !pipe(keep));
	pid = fork();
	if (!pid) {
		close(keep[1]);
		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(127);
		for (i = 0; i < 5; i++)
			if (greet() < 0)
				_exit(1);
		_exit(write(got[1], "", 1) != 1 || read(keep[0], &c, 1));
	}
	CHECK_EQ(read(got[0], &c, 1), 1);
	mine = greet();
	CHECK(mine >= 0);
	/* Heard later than the others, and answered. */
	other = connected();
	CHECK_EQ(send(other, junk, sizeof(junk), 0), (long)sizeof(junk));
	CHECK(poll(&(struct pollfd){ .fd = other, .events = POLLIN }, 1, 60000) == 1);
	CHECK_EQ(recv(other, &a, sizeof(a), 0), (long)sizeof(a));
	CHECK_EQ(a.err, -EPROTO);
	CHECK(recv(mine, &a, sizeof(a), MSG_DONTWAIT) < 0 && errno == EAGAIN);
	unlink(hold);
	/* After the first of the other user's, before its second. */
	CHECK_EQ(recv(mine, &a, sizeof(a), 0), (long)sizeof(a));
	CHECK_EQ(a.err, 0);
	CHECK_EQ(a.session, 1);
	close(keep[1]);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	close(keep[0]);
	close(got[0]);
	close(got[1]);
	close(mine);
	close(other);
	load_end();
}

/* Descriptors are not taken: to close one may take as long as its owner likes. */
TEST(descriptors_are_refused)
{
	struct btn_detect_hello hello = { BTN_DETECT_MAGIC, BTN_DETECT_VERSION, 4 };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} u = { .align = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec iov = { &hello, sizeof(hello) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u) };
	struct btn_detect_answer a;
	int fd;

	begin("root");
	fd = connected();
	CHECK(fd >= 0);
	memcpy(CMSG_DATA(&u.align), &fd, sizeof(fd));
	/* By the kernel, from Linux 6.16 on; else by the server. */
	if (sendmsg(fd, &msg, 0) < 0) {
		CHECK_EQ(errno, EPERM);
	} else {
		CHECK_EQ(recv(fd, &a, sizeof(a), 0), (long)sizeof(a));
		CHECK_EQ(a.err, -EPROTO);
		CHECK(load_said("it sent descriptors"));
	}
	close(fd);
	others_notice_nothing();
	load_end();
}

/* The child has the connection, and speaks only once the process that made it is gone. */
static int leaves_its_connection(void)
{
	struct btn_detect_answer a;
	pid_t parent = getpid();
	int fd = connected();
	char c;

	if (fd < 0)
		return 1;
	if (fork())
		return 0;
	/* Nobody waits for this one but the pipe's other end. */
	if (!WITHIN(30, getppid() != parent && kill(parent, 0)))
		_exit(1);
	greet_on(fd);
	c = recv(fd, &a, sizeof(a), 0) > 0 && !a.err ? 'y' : 'n';
	_exit(write(got[1], &c, 1) != 1);
}

/* A session is of the process that connected, not of one that has its connection, nor of the next one with its number. */
TEST(a_connection_that_is_left)
{
	char c;
	int i;

	begin("65534");
	CHECK(!pipe(got));
	for (i = 0; i < 8; i++) {
		CHECK_EQ(as(NOBODY, leaves_its_connection), 0);
		CHECK_EQ(read(got[0], &c, 1), 1);
		CHECK_EQ(c, 'n');
	}
	close(got[0]);
	close(got[1]);
	others_notice_nothing();
	load_end();
}

/*
 * A thread that stays in a session that ended, and the next session of that
 * number: what it does is not in there.
 */
static _Atomic int stay, stays;

static void *stay_main(void *d)
{
	CHECK_ANY(!btn_detect_join(d, btn_detect_cell(d)));
	stays = 1;
	while (stay)
		pause_us(200);
	return NULL;
}

TEST(a_number_used_again)
{
	struct btn_detect *d, *next;
	pthread_t thread;
	unsigned number;
	uint32_t i;

	begin("root");
	d = session(4);
	number = d->session;
	stay = 1;
	stays = 0;
	pthread_create(&thread, NULL, stay_main, d);
	CHECK(WITHIN(10, stays));
	btn_detect_close(d);
	do {
		next = session(4);
	} while (next->session != number);
	for (i = BTN_CELL_FIRST; i < next->n_cells; i++)
		btn_cell_arm(&next->cells[i], BTN_CELL_ARMED);
	pause_us(50000);
	for (i = BTN_CELL_FIRST; i < next->n_cells; i++)
		CHECK_EQ(next->cells[i].blocks, 0);
	stay = 0;
	pthread_join(thread, NULL);
	btn_detect_close(next);
	load_end();
}

/* The process dies: its session ends, and its number is somebody else's. */
static int dies(void)
{
	struct btn_detect *d;
	char how[96];

	if (btn_detect_open(&d, 4, how) || btn_detect_join(d, btn_detect_cell(d)))
		return 1;
	raise(SIGKILL);
	return 2;
}

TEST(one_that_dies)
{
	int i;

	begin("root");
	for (i = 0; i < 20; i++)
		CHECK_EQ(as(0, dies), 126);
	others_notice_nothing();
	load_end();
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
