// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * System calls with a lock held, for the tests with injected delays: the first one ends the
 * process. The kernel does the work (Syscall User Dispatch, Linux 5.11 and x86): it reads a byte of the
 * thread's at each system call, and sends SIGSYS instead if that says so. So calls that the C
 * library makes are seen, too. Where the kernel has none of this nothing is seen.
 *
 * A signal's handler may interrupt the thread with the byte set: the C library's instructions
 * that return from a handler are the one place from which a call is let through. And the
 * clock, which the kernel's vDSO reads without a call on most machines, may be read.
 */
#include "inject.h"

#if defined(BTN_INJECT) && defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_THREAD__)

#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* linux/prctl.h of Linux 5.11. */
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#endif

enum { ALLOW, BLOCK };

#define RETURN_LENGTH 16	/* bytes: mov $15, %rax; syscall */

struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

static __thread struct {
	volatile char byte;	/* read by the kernel */
	bool asked;
	unsigned locks;
} own __attribute__((tls_model("initial-exec")));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *returns;

static void on_call(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	char text[100];
	void *from[20];
	int n;

	own.byte = ALLOW;
	if (info->si_syscall == SYS_clock_gettime && regs[REG_RDI] == CLOCK_MONOTONIC) {
		regs[REG_RAX] = syscall(SYS_clock_gettime, regs[REG_RDI], regs[REG_RSI]);
		own.byte = BLOCK;
		return;
	}
	n = snprintf(text, sizeof(text), "baton: system call %d with a lock held, at %p\n", info->si_syscall, info->si_call_addr);
	n = write(2, text, n);
	n = backtrace(from, 20);
	backtrace_symbols_fd(from, n, 2);
	abort();
}

static void install_handler(void)
{
	struct sigaction sa = { .sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct kernel_sigaction is;

	if (!sigaction(SIGSYS, &sa, NULL) && !syscall(SYS_rt_sigaction, SIGSYS, NULL, &is, sizeof(is.mask)))
		returns = is.restorer;
}

static void ask_kernel(void)
{
	int saved = errno;
	sigset_t set;

	own.asked = true;
	pthread_once(&once, install_handler);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	if (returns && !prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, returns, RETURN_LENGTH, &own.byte))
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	errno = saved;
}

void btn_held_begin(void)
{
	if (!own.asked)
		ask_kernel();
	own.locks++;
	own.byte = BLOCK;
}

void btn_held_end(void)
{
	if (!--own.locks)
		own.byte = ALLOW;
}

bool btn_held_excuse(void)
{
	bool was = own.byte;

	own.byte = ALLOW;
	return was;
}

void btn_held_resume(bool was)
{
	own.byte = was;
}

#elif defined(BTN_INJECT)

void btn_held_begin(void)
{
}

void btn_held_end(void)
{
}

bool btn_held_excuse(void)
{
	return false;
}

void btn_held_resume(bool was)
{
}

#endif
