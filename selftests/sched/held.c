// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The check itself that all tests with injected delays have: a system call with a scheduler's
 * lock held ends the process.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "inject.h"
#include "lock.h"
#include "tap.h"

static struct btn_lock outer, inner;
static volatile sig_atomic_t handled;

static void on_alarm(int sig)
{
	handled = 1;
}

static void calls_with_lock(void)
{
	btn_lock_acquire(&outer);
	getppid();
	btn_lock_release(&outer);
}

static void calls_in_libc(void)
{
	void *volatile memory;

	btn_lock_acquire(&outer);
	memory = malloc(64 << 20);	/* mmap */
	free(memory);
	btn_lock_release(&outer);
}

static void calls_after_inner(void)
{
	btn_lock_acquire(&outer);
	btn_lock_acquire(&inner);
	btn_lock_release(&inner);
	getppid();
	btn_lock_release(&outer);
}

static void calls_after_excuse(void)
{
	btn_lock_acquire(&outer);
	BTN_EXCUSED("the test's own", getppid());
	getppid();
	btn_lock_release(&outer);
}

static void calls_after_try(void)
{
	if (btn_lock_try(&outer))
		getppid();
}

static void behaves(void)
{
	struct itimerval soon = { .it_value = { .tv_usec = 1000 } };
	struct timespec ts;

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &soon, NULL);
	btn_lock_acquire(&outer);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	BTN_EXCUSED("the test's own", getppid());
	while (!handled)
		;
	btn_lock_release(&outer);
	getppid();
}

/* The signal by which a child ends that does this; 0: none. */
static int ends_by(void (*fn)(void))
{
	int status = 0, null;
	pid_t child = fork();

	if (!child) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, 2);
		btn_lock_watch(&outer);
		btn_lock_watch(&inner);
		fn();
		_exit(0);
	}
	CHECK_CMP(child, >, 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(a_call_is_seen)
{
	/* PR_SET_SYSCALL_USER_DISPATCH, off */
	if (prctl(59, 0, 0, 0, 0))
		SKIP("this kernel does not dispatch system calls to a handler");
	CHECK_EQ(ends_by(calls_with_lock), SIGABRT);
	CHECK_EQ(ends_by(calls_in_libc), SIGABRT);
	CHECK_EQ(ends_by(calls_after_inner), SIGABRT);
	CHECK_EQ(ends_by(calls_after_excuse), SIGABRT);
	CHECK_EQ(ends_by(calls_after_try), SIGABRT);
}

TEST(no_other_is)
{
	CHECK_EQ(ends_by(behaves), 0);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
