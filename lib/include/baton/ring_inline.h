/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/ring_inline.h> - push and pop of a ring, compiled into their caller.
 *
 *	#define BATON_INLINE
 *	#include <baton/ring.h>
 *
 * Without the call an operation takes about a fifth less (docs/bench-queue.md
 * has both). The contract is that of <baton/ring.h>, in C11 and in C++11, and a
 * ring may be used in both ways at once; why it is right is argued in
 * lib/src/ring.c, which is made of these very functions.
 *
 * What is below belongs to the library's binary interface, but only under the
 * names that end in _v1, which a caller needs as soon as it has been compiled
 * with this: a library whose rings look otherwise has no such names, and then
 * the program does not start, rather than lose items.
 */
#ifndef BATON_RING_INLINE_H
#define BATON_RING_INLINE_H

#include <baton/ring.h>

#ifdef __cplusplus
#include <atomic>
#define BATON_ATOMIC(T) std::atomic<T>
#define BATON_ATOMIC_NAMES using namespace std
#else
#include <stdatomic.h>
#define BATON_ATOMIC(T) _Atomic(T)
#define BATON_ATOMIC_NAMES _Static_assert(1, "C has them anyway")
#endif

/* The library's own tests wait at these points. */
#ifndef BATON_POINT
#define BATON_POINT(NAME) ((void)0)
#endif

BATON_BEGIN_DECLS

/* Two cache lines between what producers and what consumers write: Intel fetches lines in pairs. */
#define BATON_RING_APART __attribute__((aligned(128)))

struct baton_ring {
	/* Nobody, after create. */
	BATON_RING_APART uint64_t mask;		/* capacity - 1 */
	uint64_t capacity;

	/* Producers: the index of the next push. */
	BATON_RING_APART BATON_ATOMIC(uint64_t) tail;

	/* Consumers: the index of the next pop. */
	BATON_RING_APART BATON_ATOMIC(uint64_t) head;

	/* The slots follow. A slot: whoever holds the claim on its index. */
};

/* Another thread was first: wait a little, and try until it is done or cannot be. */
BATON_INLINE_API bool baton_ring_push_again_v1(struct baton_ring *r, void *item);
BATON_INLINE_API bool baton_ring_pop_again_v1(struct baton_ring *r, void **item);

static inline BATON_ATOMIC(uintptr_t) *baton_ring_slot(struct baton_ring *r, uint64_t index)
{
	return (BATON_ATOMIC(uintptr_t) *)(r + 1) + (index & r->mask);
}

/* The colour of that index's lap: 1 in lap 0. */
static inline uintptr_t baton_ring_colour(const struct baton_ring *r, uint64_t index)
{
	return !(index & r->capacity);
}

/* Not NULL, lowest bit clear: rotated, so that this is one comparison. */
static inline int baton_ring_item_ok(const void *item)
{
	return (intptr_t)((uintptr_t)item >> 1 | (uintptr_t)item << (8 * sizeof(item) - 1)) > 0;
}

/* Ends the process. */
BATON_INLINE_API void baton_ring_refuse_v1(const void *item) __attribute__((noreturn, cold));

/* 1: it is in; 0: full; -1: another thread was first. */
static inline int baton_ring_push_once(struct baton_ring *r, void *item)
{
	BATON_ATOMIC_NAMES;
	BATON_ATOMIC(uintptr_t) *slot;
	uintptr_t colour;
	uint64_t t;

	BATON_POINT("ring:push:tail");
	t = atomic_load_explicit(&r->tail, memory_order_acquire); /* [RING-1] (a) */
	slot = baton_ring_slot(r, t);
	colour = baton_ring_colour(r, t);
	BATON_POINT("ring:push:look");
	if (__builtin_expect(atomic_load_explicit(slot, memory_order_acquire) != (colour ^ 1), 0)) { /* [RING-4] (b) */
		BATON_POINT("ring:push:full");
		return atomic_load_explicit(&r->tail, memory_order_acquire) == t ? 0 : -1; /* [RING-1] */
	}
	BATON_POINT("ring:push:claim");
	if (__builtin_expect(!atomic_compare_exchange_strong_explicit(&r->tail, &t, t + 1,
			memory_order_acq_rel, memory_order_acquire), 0)) /* [RING-1] (c) */
		return -1;
	/* As late as this costs least: the CAS takes longer, and afterwards nobody else asks. */
	if (__builtin_expect(!baton_ring_item_ok(item), 0))
		baton_ring_refuse_v1(item);
	BATON_POINT("ring:push:fill");
	atomic_store_explicit(slot, (uintptr_t)item | colour, memory_order_release); /* [RING-3] (d) */
	return 1;
}

/* 1: *item was taken; 0: empty; -1: another thread was first. */
static inline int baton_ring_pop_once(struct baton_ring *r, void **item)
{
	BATON_ATOMIC_NAMES;
	BATON_ATOMIC(uintptr_t) *slot;
	uintptr_t colour, x;
	uint64_t h;

	BATON_POINT("ring:pop:head");
	h = atomic_load_explicit(&r->head, memory_order_acquire); /* [RING-2] (e) */
	slot = baton_ring_slot(r, h);
	colour = baton_ring_colour(r, h);
	BATON_POINT("ring:pop:look");
	x = atomic_load_explicit(slot, memory_order_acquire) ^ colour; /* [RING-3] (f) */
	if (__builtin_expect(x & 1, 0)) {
		BATON_POINT("ring:pop:empty");
		return atomic_load_explicit(&r->head, memory_order_acquire) == h ? 0 : -1; /* [RING-2] */
	}
	BATON_POINT("ring:pop:claim");
	if (__builtin_expect(!atomic_compare_exchange_strong_explicit(&r->head, &h, h + 1,
			memory_order_acq_rel, memory_order_acquire), 0)) /* [RING-2] (g) */
		return -1;
	BATON_POINT("ring:pop:clear");
	atomic_store_explicit(slot, colour, memory_order_release); /* [RING-4] (h) */
	*item = (void *)x;
	return 1;
}

/* baton_ring_push() */
static inline bool baton_ring_push_inline(struct baton_ring *r, void *item)
{
	int done = baton_ring_push_once(r, item);

	return __builtin_expect(done >= 0, 1) ? done : baton_ring_push_again_v1(r, item);
}

/* baton_ring_pop() */
static inline bool baton_ring_pop_inline(struct baton_ring *r, void **item)
{
	int done = baton_ring_pop_once(r, item);

	return __builtin_expect(done >= 0, 1) ? done : baton_ring_pop_again_v1(r, item);
}

BATON_END_DECLS

#endif
