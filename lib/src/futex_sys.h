/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * futex_sys.h - the bare futex system call, for futex.c and for benchmarks that
 * compare with it.
 *
 * Not libc's syscall(): that would write errno, which a resume in a signal
 * handler must not.
 */
#ifndef BTN_FUTEX_SYS_H
#define BTN_FUTEX_SYS_H

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* 13 became FUTEX_LOCK_PI2. */
#define BTN_FUTEX_SWAP 14

_Static_assert(sizeof(long) == 8, "struct timespec is the kernel's on 64 bits only");

/* Returns what the kernel returns: a count, or -errno. */
static inline long btn_futex_sys(_Atomic uint32_t *word, int op, uint32_t val,
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

#endif
