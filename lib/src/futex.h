/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * futex.h - sleeping on a word and waking who sleeps there.
 *
 * The only file that makes futex system calls. The kernel is a table of
 * functions, so that everything above can be tested without one.
 */
#ifndef BTN_FUTEX_H
#define BTN_FUTEX_H

#include "atomic.h"

/*
 * All words are private to the process: their key is an address, so a wake
 * reads no memory at the word and may come after that memory was used for
 * something else.
 *
 * Deadlines are absolute CLOCK_MONOTONIC nanoseconds or BATON_FOREVER.
 *
 * wait: sleep while *word == val. Returns 0 when woken (by whom, and whether
 *	*word changed, is for the caller to find out), -EAGAIN, -EINTR or
 *	-ETIMEDOUT. Nothing else: the rest is btn_die().
 * wake: wake up to n waiters of word. Returns how many. Async-signal-safe.
 * swap: wake one waiter of to, then wait. The wake is done, once, whatever is
 *	returned, which is as for wait. NULL where the kernel has no such call.
 */
struct btn_futex_ops {
	const char *name;
	int (*wait)(_Atomic uint32_t *word, uint32_t val, uint64_t deadline);
	int (*wake)(_Atomic uint32_t *word, int n);
	int (*swap)(_Atomic uint32_t *word, uint32_t val, uint64_t deadline,
		    _Atomic uint32_t *to);
};

/*
 * The backend in use. Constant from the first successful btn_futex_init() on;
 * whoever makes an object that sleeps calls that first.
 */
extern const struct btn_futex_ops *btn_futex;

/* Chooses the backend, once. 0, -EINVAL or -ENOSYS as baton_backend() says. */
int btn_futex_init(void);

/*
 * wait and wake for many sleepers on one word, each with a mask: a wake is for
 * those whose mask has a bit in common with its own. Not in the table: the
 * kernel's, always. Otherwise as wait and wake.
 */
int btn_futex_wait_bits(_Atomic uint32_t *word, uint32_t val, uint64_t deadline,
			uint32_t bits);
int btn_futex_wake_bits(_Atomic uint32_t *word, int n, uint32_t bits);

/*
 * For tests: use this table from now on. Only while no other thread uses the
 * library.
 */
void btn_futex_use(const struct btn_futex_ops *ops);

#endif
