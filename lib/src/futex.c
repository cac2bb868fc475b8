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
 */
#include "futex.h"

#include <baton/base.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "die.h"
#include "futex_sys.h"
#include "hooks.h"

/* Checks what a wait may answer; a count of woken threads is 0 here. */
static inline int waited(long ret, const char *call)
{
	if (btn_unlikely(ret < 0 && ret != -EAGAIN && ret != -EINTR &&
			 ret != -ETIMEDOUT))
		btn_die(call, ret);
	return ret < 0 ? (int)ret : 0;
}

int btn_futex_wait_bits(_Atomic uint32_t *word, uint32_t val, uint64_t deadline,
			uint32_t bits)
{
	struct timespec ts, *timeout = NULL;

	if (deadline != BATON_FOREVER) {
		ts = btn_clock_timespec(deadline);
		timeout = &ts;
	}
	return waited(btn_futex_sys(word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, val,
				    timeout, NULL, bits),
		      "FUTEX_WAIT_BITSET");
}

int btn_futex_wake_bits(_Atomic uint32_t *word, int n, uint32_t bits)
{
	long ret = btn_futex_sys(word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, (uint32_t)n,
				 NULL, NULL, bits);

	if (btn_unlikely(ret < 0))
		btn_die("FUTEX_WAKE_BITSET", ret);
	return (int)ret;
}

static int sys_wait(_Atomic uint32_t *word, uint32_t val, uint64_t deadline)
{
	return btn_futex_wait_bits(word, val, deadline, FUTEX_BITSET_MATCH_ANY);
}

static int sys_wake(_Atomic uint32_t *word, int n)
{
	long ret = btn_futex_sys(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, (uint32_t)n,
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
	return waited(btn_futex_sys(word, BTN_FUTEX_SWAP | FUTEX_PRIVATE_FLAG, val,
				timeout, to, 0),
		      "FUTEX_SWAP");
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

	return btn_futex_sys(&word, op, 0, NULL, &word, 0) == -EINVAL &&
	       btn_futex_sys(&word, op, 0, NULL, &other, 0) == -EAGAIN;
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
			btn_log(BATON_LOG_ERROR, "BATON_BACKEND=swap: this kernel has no FUTEX_SWAP; use auto or wakewait, or boot a kernel with baton's patches");
			chosen = -ENOSYS;
		}
	} else if (strcmp(want, "wakewait")) {
		btn_log(BATON_LOG_ERROR, "BATON_BACKEND=%s: no such backend; there are auto, swap and wakewait",
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
