// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * futex.c - the kernel, as a table of functions.
 *
 *	swap		FUTEX_SWAP: wake and wait are one system call, and the
 *			woken thread has this CPU next
 *	wakewait	FUTEX_WAKE, then FUTEX_WAIT_BITSET: any Linux
 *
 * (A third one, which emulates a kernel inside one thread, belongs to the
 * tests: selftests/futex_sim.h.)
 *
 * The calls are made without libc's syscall(): that would write errno, which
 * a resume in a signal handler must not.
 */
#include "futex.h"

#include <baton/base.h>

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"

_Static_assert(sizeof(long) == 8, "struct timespec is the kernel's on 64 bits only");

/* Returns what the kernel returns: a count, or -errno. */
static inline long sys_futex(_Atomic uint32_t *word, int op, uint32_t val,
			     const struct timespec *timeout,
			     _Atomic uint32_t *word2, uint32_t val3)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = (long)timeout;
	register long r8 __asm__("r8") = (long)word2;
	register long r9 __asm__("r9") = val3;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(SYS_futex), "D"(word), "S"((long)op),
			   "d"((long)val), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = SYS_futex;
	register long x0 __asm__("x0") = (long)word;
	register long x1 __asm__("x1") = op;
	register long x2 __asm__("x2") = val;
	register long x3 __asm__("x3") = (long)timeout;
	register long x4 __asm__("x4") = (long)word2;
	register long x5 __asm__("x5") = val3;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
	int saved = errno;
	long ret = syscall(SYS_futex, word, op, val, timeout, word2, val3);

	if (ret == -1)
		ret = -errno;
	errno = saved;
	return ret;
#endif
}

/* What a wait may answer; a count of woken threads is 0 here. */
static inline int waited(long ret, const char *call)
{
	if (btn_unlikely(ret < 0 && ret != -EAGAIN && ret != -EINTR &&
			 ret != -ETIMEDOUT))
		btn_die(call, ret);
	return ret < 0 ? (int)ret : 0;
}

static int sys_wait(_Atomic uint32_t *word, uint32_t val, uint64_t deadline)
{
	struct timespec ts, *timeout = NULL;

	if (deadline != BATON_FOREVER) {
		ts = btn_clock_timespec(deadline);
		timeout = &ts;
	}
	return waited(sys_futex(word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, val,
				timeout, NULL, FUTEX_BITSET_MATCH_ANY),
		      "FUTEX_WAIT_BITSET");
}

static int sys_wake(_Atomic uint32_t *word, int n)
{
	long ret = sys_futex(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, (uint32_t)n,
			     NULL, NULL, 0);

	if (btn_unlikely(ret < 0))
		btn_die("FUTEX_WAKE", ret);
	return (int)ret;
}

static int sys_swap(_Atomic uint32_t *word, uint32_t val, uint64_t deadline,
		    _Atomic uint32_t *to)
{
	struct timespec ts, *timeout = NULL;

	if (deadline != BATON_FOREVER) {
		ts = btn_clock_timespec(deadline);
		timeout = &ts;
	}
	return waited(sys_futex(word, BTN_FUTEX_SWAP | FUTEX_PRIVATE_FLAG, val,
				timeout, to, 0),
		      "FUTEX_SWAP");
}

static int sys_wake_then_wait(_Atomic uint32_t *word, uint32_t val,
			      uint64_t deadline, _Atomic uint32_t *to)
{
	sys_wake(to, 1);
	return sys_wait(word, val, deadline);
}

static const struct btn_futex_ops ops_swap = {
	.name = "swap",
	.wait = sys_wait,
	.wake = sys_wake,
	.swap = sys_swap,
};

static const struct btn_futex_ops ops_wakewait = {
	.name = "wakewait",
	.wait = sys_wait,
	.wake = sys_wake,
	.swap = sys_wake_then_wait,
};

const struct btn_futex_ops *btn_futex = &ops_wakewait;

/*
 * Two calls that wake nobody and cannot sleep, whatever operation 14 may mean
 * to this kernel: the values differ and nobody waits there. A kernel without
 * FUTEX_SWAP answers ENOSYS; one with it refuses the first (twice the same
 * word) and finds the wrong value in the second. Anything else is some other
 * operation, or a filter that hides it.
 */
static bool kernel_has_swap(void)
{
	_Atomic uint32_t word = 1, other = 1;
	const int op = BTN_FUTEX_SWAP | FUTEX_PRIVATE_FLAG;

	return sys_futex(&word, op, 0, NULL, &word, 0) == -EINVAL &&
	       sys_futex(&word, op, 0, NULL, &other, 0) == -EAGAIN;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int chosen;

static void choose(void)
{
	const char *want = secure_getenv("BATON_BACKEND");

	if (!want || !*want || !strcmp(want, "auto")) {
		if (kernel_has_swap())
			btn_futex = &ops_swap;
	} else if (!strcmp(want, "swap")) {
		if (kernel_has_swap()) {
			btn_futex = &ops_swap;
		} else {
			fprintf(stderr, "baton: BATON_BACKEND=swap: this kernel has no FUTEX_SWAP; use auto or wakewait, or boot a kernel with baton's patches\n");
			chosen = -ENOSYS;
		}
	} else if (strcmp(want, "wakewait")) {
		fprintf(stderr, "baton: BATON_BACKEND=%s: no such backend; there are auto, swap and wakewait\n",
			want);
		chosen = -EINVAL;
	}
}

int btn_futex_init(void)
{
	pthread_once(&once, choose);
	return chosen;
}

void btn_futex_use(const struct btn_futex_ops *ops)
{
	btn_futex_init();
	chosen = 0;
	btn_futex = ops;
}
