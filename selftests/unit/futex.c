// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The choice of the backend, and the real futex calls with answers that need
 * no second thread. Absence of FUTEX_SWAP, and other meanings of operation 14,
 * are made with a seccomp filter.
 */
#include "tap.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <baton/base.h>
#include <baton/park.h>

#include "clock.h"
#include "futex.h"
#include "futex_sys.h"

/* Operation 14 answers this errno in this process, whatever the kernel has. */
static int swap_answers(int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, FUTEX_CMD_MASK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BTN_FUTEX_SWAP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) ? -errno : 0;
}

static bool kernel_has_swap(void)
{
	_Atomic uint32_t word = 1;

	return syscall(SYS_futex, &word, BTN_FUTEX_SWAP | FUTEX_PRIVATE_FLAG, 0, NULL, &word, 0) == -1 &&
	       errno == EINVAL;
}

struct choice {
	int err, create_err;
	char name[16];
	char said[256];
};

/* In a process of its own: what is chosen, and what is said about it. */
static struct choice choose(const char *backend, int filter)
{
	struct choice c = { .err = 1 };
	int fd[2], out[2], status;
	struct baton_parker *p;
	const char *name = "";
	pid_t pid;

	CHECK(!pipe(fd) && !pipe(out));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		dup2(out[1], 2);
		if (backend)
			setenv("BATON_BACKEND", backend, 1);
		else
			unsetenv("BATON_BACKEND");
		if (filter && swap_answers(filter))
			_exit(2);
		c.err = baton_backend(&name);
		c.create_err = baton_parker_create(&p);
		strcpy(c.name, name);
		_exit(write(fd[1], &c, sizeof(c)) != sizeof(c));
	}
	close(fd[1]);
	close(out[1]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_MSG(!status, "the child ended with status %#x", status);
	CHECK_EQ(read(fd[0], &c, sizeof(c)), sizeof(c));
	status = (int)read(out[0], c.said, sizeof(c.said) - 1);
	CHECK(status >= 0);
	c.said[status] = 0;
	close(fd[0]);
	close(out[0]);
	return c;
}

static void check_choice(struct choice c, int err, const char *name, const char *said)
{
	CHECK_EQ(c.err, err);
	CHECK_EQ(c.create_err, err);
	CHECK_STR(c.name, name);
	CHECK_MSG(*said ? strstr(c.said, said) != NULL : !c.said[0], "said \"%s\"", c.said);
	/* Once, not once a call. */
	CHECK(!*said || strchr(c.said, '\n') == strrchr(c.said, '\n'));
}

TEST(auto_takes_what_there_is)
{
	const char *best = kernel_has_swap() ? "swap" : "wakewait";

	check_choice(choose(NULL, 0), 0, best, "");
	check_choice(choose("", 0), 0, best, "");
	check_choice(choose("auto", 0), 0, best, "");
}

TEST(wakewait_can_be_forced)
{
	check_choice(choose("wakewait", 0), 0, "wakewait", "");
}

TEST(swap_can_be_forced)
{
	if (!kernel_has_swap())
		SKIP("this kernel has no FUTEX_SWAP");
	check_choice(choose("swap", 0), 0, "swap", "");
}

TEST(a_kernel_without_swap)
{
	check_choice(choose("auto", ENOSYS), 0, "wakewait", "");
	check_choice(choose("swap", ENOSYS), -ENOSYS, "", "BATON_BACKEND=swap: this kernel has no FUTEX_SWAP");
}

/* Operation 14 is something else one day, or a filter has its own idea. */
TEST(another_operation_14)
{
	static const int answers[] = { EPERM, EFAULT, EAGAIN, EACCES };

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		check_choice(choose("auto", answers[i]), 0, "wakewait", "");
	/* A kernel that refuses everything the way a swap refuses one word twice. */
	check_choice(choose("auto", EINVAL), 0, "wakewait", "");
}

TEST(an_unknown_backend_is_refused)
{
	check_choice(choose("swapp", 0), -EINVAL, "",
		     "BATON_BACKEND=swapp: no such backend; there are auto, swap and wakewait");
	check_choice(choose("test", 0), -EINVAL, "", "no such backend");
}

TEST(an_error_is_an_error_each_time)
{
	const struct btn_futex_ops *ops = btn_futex;

	CHECK_EQ(baton_backend(NULL), 0);
	CHECK_EQ(baton_backend(NULL), 0);
	CHECK(btn_futex == ops || ops);
}

/* The real calls. */
static void check_ops(const char *name)
{
	_Atomic uint32_t word = 1, other = 0;
	uint64_t now;

	CHECK_STR(btn_futex->name, name);
	errno = 77;
	CHECK_EQ(btn_futex->wait(&word, 0, BATON_FOREVER), -EAGAIN);
	CHECK_EQ(btn_futex->wait(&word, 1, 0), -ETIMEDOUT);
	CHECK_EQ(btn_futex->wait(&word, 1, 1), -ETIMEDOUT);
	CHECK_EQ(btn_futex->wake(&word, 1), 0);
	now = baton_clock_now();
	CHECK_EQ(btn_futex->wait(&word, 1, now + 1000000), -ETIMEDOUT);
	CHECK(baton_clock_now() >= now + 1000000);
	CHECK_EQ(btn_futex->swap != NULL, !strcmp(name, "swap"));
	if (btn_futex->swap) {
		CHECK_EQ(btn_futex->swap(&word, 0, BATON_FOREVER, &other), -EAGAIN);
		CHECK_EQ(btn_futex->swap(&word, 1, 0, &other), -ETIMEDOUT);
		now = baton_clock_now();
		CHECK_EQ(btn_futex->swap(&word, 1, now + 1000000, &other), -ETIMEDOUT);
		CHECK(baton_clock_now() >= now + 1000000);
	}
	/* The latest deadline that is one. */
	CHECK_EQ(btn_futex->wait(&word, 0, BATON_FOREVER - 1), -EAGAIN);
	CHECK_EQ(errno, 77);
}

TEST(calls)
{
	CHECK_EQ(btn_futex_init(), 0);
	check_ops(btn_futex->name);
}

TEST(timespec)
{
	struct timespec ts = btn_clock_timespec(UINT64_C(3000000001));

	CHECK_EQ(ts.tv_sec, 3);
	CHECK_EQ(ts.tv_nsec, 1);
	ts = btn_clock_timespec(UINT64_C(999999999));
	CHECK_EQ(ts.tv_sec, 0);
	CHECK_EQ(ts.tv_nsec, 999999999);
	ts = btn_clock_timespec(BATON_FOREVER - 1);
	CHECK(ts.tv_sec > 0 && ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
}

TEST(clock_is_monotonic)
{
	struct timespec ts;
	uint64_t before = baton_clock_now(), between, after;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	between = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	after = baton_clock_now();
	CHECK(before <= between && between <= after);
}

TEST(version)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d.%d", BATON_VERSION_MAJOR,
		 BATON_VERSION_MINOR, BATON_VERSION_PATCH);
	CHECK_STR(BATON_VERSION, text);
	CHECK_STR(baton_version(), BATON_VERSION);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
