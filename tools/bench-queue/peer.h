/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peer.h - a queue as the benchmark sees it: the loops of its threads.
 *
 * Every queue's loops are the same text, loops.h, compiled with that queue's
 * own push and pop inside, so that what a header-only library inlines is
 * inlined here too.
 */
#ifndef PEER_H
#define PEER_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum peer_kind { PEER_BOUNDED, PEER_UNBOUNDED, PEER_DEQUE };

/* Bulk operations move this many. */
#define PEER_BULK 32

struct peer {
	const char *name;
	enum peer_kind kind;
	bool apart;		/* producers have tokens, or it is a form of another one */
	bool spsc;		/* for one producer and one consumer only */
	const char *missing;	/* the package to install, if it is not built in */

	void *(*create)(size_t capacity, unsigned threads);
	void (*destroy)(void *q);

	/* Push items first, first + 16, ...; pop n of them; each n times one
	 * push and one pop. Return the sum of what was popped. */
	void (*produce)(void *q, uintptr_t first, size_t n);
	uintptr_t (*consume)(void *q, size_t n);
	uintptr_t (*pair)(void *q, uintptr_t first, size_t n);

	/* The token's way, in ns, n times, measured by the first of the two. */
	void (*hop)(void *out, void *in, int first, uint32_t *ns, size_t n);

	/* NULL where there is none. */
	void (*produce_bulk)(void *q, uintptr_t first, size_t n);
	uintptr_t (*consume_bulk)(void *q, size_t n);

	struct peer *next;
};

extern struct peer *peers;

static inline uint64_t peer_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Called by each loop when its queue is full or empty. */
static inline void peer_wait(unsigned *spins)
{
	if (++*spins & 63) {
#if defined(__x86_64__)
		_mm_pause();
#elif defined(__aarch64__)
		__asm__ volatile("isb" ::: "memory");
#endif
	} else {
		sched_yield();
	}
}

/* A peer whose package is not installed, so that it can be named. */
#define PEER_MISSING(ID, NAME, KIND, PACKAGE)                                  \
	static struct peer peer_missing_##ID = { NAME, KIND, false, false, PACKAGE, \
		NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL };        \
	__attribute__((constructor)) static void peer_add_##ID(void)           \
	{                                                                      \
		peer_missing_##ID.next = peers;                                \
		peers = &peer_missing_##ID;                                    \
	}

#ifdef __cplusplus
}
#endif
#endif
