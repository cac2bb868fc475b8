// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * [GUARD-1] The handler looks through all guards while other threads add and drop theirs.
 * Its own thread's guard does not change meanwhile, since a mapping is not dropped while it is read;
 * what must not happen is that a half-changed guard of another thread is taken for the one of
 * this address:
 *
 *	broken				right
 *	handler: base = A		handler: base = A
 *	other: drop, add (B, large)	other: base = 0, size = large, base = B
 *	handler: size = large		handler: size = large
 *	handler: maps zeros at A	handler: base is B, and not A: another guard
 *
 * base is 0 while size changes. Base is stored with release and loaded with acquire, before
 * size and after it, so equal bases mean that size belongs to them: were the mapping
 * at the same address again, size would be the new one's, and so is the base.
 *
 * Blocks of guards are added and never freed.
 */
#include "guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "atomic.h"
#include "hooks.h"

struct btn_guard {
	_Atomic uint32_t taken;
	_Atomic uintptr_t base;		/* 0: none */
	_Atomic size_t size;
};

#define BLOCK 32
struct block {
	struct btn_guard guard[BLOCK];
	struct block *_Atomic next;
};

static struct block first;
static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool guards_address(struct btn_guard *g, uintptr_t at)
{
	uintptr_t base = atomic_load_explicit(&g->base, memory_order_acquire); /* [GUARD-1] */
	size_t size = atomic_load_explicit(&g->size, memory_order_acquire); /* [GUARD-1] */

	return base && at >= base && at - base < size &&
	       atomic_load_explicit(&g->base, memory_order_acquire) == base && /* [GUARD-1] */
	       mmap((void *)base, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	struct block *b;
	unsigned i;

	/* Sent by a process, it has no address. */
	for (b = info->si_code > 0 ? &first : NULL; b; b = atomic_load_explicit(&b->next, memory_order_acquire)) /* [GUARD-1] */
		for (i = 0; i < BLOCK; i++)
			if (guards_address(&b->guard[i], (uintptr_t)info->si_addr)) {
				errno = saved;
				return;
			}
	errno = saved;
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(sig, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(sig);
	} else if (info->si_code > 0 || before.sa_handler == SIG_DFL) {
		/* The fault comes again; what was sent is sent again, and ends the process on return. */
		signal(SIGBUS, SIG_DFL);
		if (info->si_code <= 0)
			raise(SIGBUS);
	}
}

static void install_handler(void)
{
	struct sigaction act = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

	sigemptyset(&act.sa_mask);
	sigaction(SIGBUS, NULL, &before);
	sigaction(SIGBUS, &act, NULL);
}

struct btn_guard *btn_guard_add(const void *base, size_t size)
{
	struct block *b = &first, *next, *none;
	unsigned i;

	pthread_once(&once, install_handler);
	for (;;) {
		for (i = 0; i < BLOCK; i++) {
			struct btn_guard *g = &b->guard[i];

			if (atomic_exchange_explicit(&g->taken, 1, memory_order_acquire)) /* [GUARD-1] */
				continue;
			atomic_store_explicit(&g->size, size, memory_order_release); /* [GUARD-1] */
			atomic_store_explicit(&g->base, (uintptr_t)base, memory_order_release); /* [GUARD-1] */
			return g;
		}
		next = atomic_load_explicit(&b->next, memory_order_acquire); /* [GUARD-1] */
		if (!next) {
			next = btn_mem_zeroed(1, sizeof(*next));
			if (!next)
				return NULL;
			none = NULL;
			if (!atomic_compare_exchange_strong_explicit(&b->next, &none, next, memory_order_acq_rel, /* [GUARD-1] */
								     memory_order_acquire)) { /* [GUARD-1] */
				btn_mem_free(next);
				next = none;
			}
		}
		b = next;
	}
}

void btn_guard_drop(struct btn_guard *g)
{
	if (!g)
		return;
	atomic_store_explicit(&g->base, 0, memory_order_release); /* [GUARD-1] */
	atomic_store_explicit(&g->taken, 0, memory_order_release); /* [GUARD-1] */
}
