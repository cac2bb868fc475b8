// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ring.c - a bounded queue of pointers, one claim an operation.
 *
 * An index counts pushes (tail) or pops (head) for ever; index i uses slot
 * i % capacity, and i / capacity is its lap. A slot holds one word: a pointer
 * or nothing, and in its lowest bit the colour of the lap in which it was last
 * filled. The colours of laps alternate, 1 in lap 0:
 *
 *	full in lap L		item | colour(L)	may be popped, in lap L
 *	used in lap L		0 | colour(L)		may be pushed into, in lap L + 1
 *
 * A slot goes used(-1) = 0, full(0), used(0), full(1), used(1) == used(-1), ...
 * A new mapping is all zeros, which is empty everywhere, before lap 0: create
 * need not touch it.
 *
 * 1. Why the slot is filled before it can be seen, and not the index
 *
 * The naive ring claims by moving the index and lets the other side trust it:
 *
 *	producer			consumer
 *	tail: 0 -> 1
 *					tail is 1, so slot 0 is there
 *					reads slot 0: what was in it a lap ago
 *	slot 0 = item
 *
 * Here the other side's index is never read. Both look at the slot itself:
 *
 *	producer			consumer
 *	(a) t = tail   [RING-1] acquire	(e) h = head   [RING-2] acquire
 *	(b) slot[t] is used(lap t - 1)	(f) slot[h] has colour(lap h)
 *	    [RING-4] acquire		    [RING-3] acquire
 *	(c) CAS tail t -> t + 1		(g) CAS head h -> h + 1
 *	    [RING-1] acq_rel		    [RING-2] acq_rel
 *	(d) slot[t] = full(lap t)	(h) slot[h] = used(lap h)
 *	    [RING-3] release		    [RING-4] release
 *
 * (f) reads from (d): the item and what it points to are there. (b) reads from
 * (h) of the lap before: the consumer is done with the slot.
 *
 * 2. Why one bit of the lap is enough
 *
 * Let a producer do (a)..(c) for index t in lap L. Since (c) succeeded tail was
 * t all the time from (a) to (c). Index t - capacity was claimed by a producer
 * that saw the slot used(L - 2) at its (b), before its (c); each CAS on tail
 * acquires the ones before it and (a) acquires the last one, so (b) of t comes
 * after that. From then on, as long as t is not claimed, the slot can only be
 *
 *	used(L - 2)	claimed for t - capacity, (d) not yet done
 *	full(L - 1)	not yet popped, or popped and (h) not yet done
 *	used(L - 1)	ready
 *
 * and these differ in the colour or in being a pointer. Likewise for a consumer
 * of index h in lap L whose (g) succeeds: h - capacity was claimed when the slot
 * was full(L - 1), and h is claimed by nobody until (g), so at (f) it is
 *
 *	full(L - 1)	popped, (h) not yet done
 *	used(L - 1)	not yet filled, or filled and (d) not yet done
 *	full(L)		ready
 *
 * and only the last one has colour(L): one bit tells. used(L) has it too, but by
 * then another consumer has moved head, and (g) fails.
 *
 * With no lap at all, used(L - 2) is taken for used(L - 1) when a producer
 * sleeps between (c) and (d) while the others go round once: two producers
 * write one slot and an item is lost.
 *
 * The indexes have 64 bits, so a CAS never mistakes one lap's index for
 * another's. They may wrap: the capacity divides 2^64, and so does twice it.
 *
 * 3. Full and empty
 *
 * If the slot is not ready and the index is still the same, it was full (or
 * empty) at that moment, or some thread is between its claim and its store:
 * see the header. If the index moved, the look was at an old slot: try again,
 * after a while (atomic.h). Somebody else's operation succeeded then.
 *
 * 4. Several at once
 *
 * The claim of n indexes is one CAS, after a look at each of the n slots, since
 * a thread may be inside any one of them. By 2. the looks stay true as long as
 * the index does not move, so they are true when the CAS succeeds.
 *
 * The relaxed loads in count [RING-5] are two separate moments and order
 * nothing; head is read first, so the difference is never negative.
 */
#include "ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "atomic.h"
#include "die.h"

#define CAPACITY_MAX (UINT64_C(1) << 40)

static size_t mapped(uint64_t mask)
{
	return sizeof(struct baton_ring) + (mask + 1) * sizeof(uintptr_t);
}

int baton_ring_create(struct baton_ring **out, size_t capacity)
{
	struct baton_ring *r;

	*out = NULL;
	if (capacity < 2 || capacity > CAPACITY_MAX || (capacity & (capacity - 1)))
		return -EINVAL;
	if (BTN_FAIL("ring:create:memory"))
		return -ENOMEM;
	r = mmap(NULL, mapped(capacity - 1), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r == MAP_FAILED)
		return -ENOMEM;
	r->mask = capacity - 1;
	r->capacity = capacity;
	*out = r;
	return 0;
}

void baton_ring_destroy(struct baton_ring *r)
{
	if (r)
		munmap(r, mapped(r->mask));
}

void baton_ring_refuse_v1(const void *item)
{
	btn_die("baton_ring_push: an item must not be NULL nor odd", (long)(uintptr_t)item);
}

static inline uintptr_t checked(const void *item)
{
	if (btn_unlikely(!baton_ring_item_ok(item)))
		baton_ring_refuse_v1(item);
	return (uintptr_t)item;
}

void btn_ring_start_at(struct baton_ring *r, uint64_t index)
{
	uint64_t i;

	/* [RING-6] before any other thread knows the ring. */
	for (i = index; i - index <= r->mask; i++)
		atomic_store_explicit(baton_ring_slot(r, i), baton_ring_colour(r, i) ^ 1, memory_order_relaxed); /* [RING-6] */
	atomic_store_explicit(&r->tail, index, memory_order_relaxed); /* [RING-6] */
	atomic_store_explicit(&r->head, index, memory_order_relaxed); /* [RING-6] */
}

bool baton_ring_push(struct baton_ring *r, void *item)
{
	return baton_ring_push_inline(r, item);
}

bool baton_ring_push_again_v1(struct baton_ring *r, void *item)
{
	unsigned int lost = 0;
	int done;

	do {
		btn_back_off(&lost);
		done = baton_ring_push_once(r, item);
	} while (done < 0);
	return done;
}

bool baton_ring_pop(struct baton_ring *r, void **item)
{
	return baton_ring_pop_inline(r, item);
}

bool baton_ring_pop_again_v1(struct baton_ring *r, void **item)
{
	unsigned int lost = 0;
	int done;

	do {
		btn_back_off(&lost);
		done = baton_ring_pop_once(r, item);
	} while (done < 0);
	return done;
}

/*
 * Consecutive indexes lie in one or two runs of consecutive slots, and in each
 * run the lap is the same. These are the loops that bulk operations live in.
 */
static inline size_t run_of(const struct baton_ring *r, uint64_t index, size_t n)
{
	const size_t left = r->mask + 1 - (index & r->mask);

	return n < left ? n : left;
}

/* How many of n slots, from that index on, are ready to be pushed into. */
static inline size_t look_empty(struct baton_ring *r, uint64_t index, size_t n)
{
	const uintptr_t used = baton_ring_colour(r, index) ^ 1;
	_Atomic uintptr_t *slot = baton_ring_slot(r, index);
	size_t k;

#pragma GCC unroll 4
	for (k = 0; k < n; k++) {
		BTN_POINT("ring:push_n:look");
		if (atomic_load_explicit(&slot[k], memory_order_acquire) != used) /* [RING-4] (b) */
			break;
	}
	return k;
}

static inline void fill(struct baton_ring *r, uint64_t index, void *const *items, size_t n)
{
	const uintptr_t colour = baton_ring_colour(r, index);
	_Atomic uintptr_t *slot = baton_ring_slot(r, index);
	size_t k;

#pragma GCC unroll 4
	for (k = 0; k < n; k++) {
		BTN_POINT("ring:push_n:fill");
		atomic_store_explicit(&slot[k], checked(items[k]) | colour, memory_order_release); /* [RING-3] (d) */
	}
}

/* How many of n slots, from that index on, are ready to be popped, and what is inside. */
static inline size_t look_full(struct baton_ring *r, uint64_t index, void **items, size_t n)
{
	const uintptr_t colour = baton_ring_colour(r, index);
	_Atomic uintptr_t *slot = baton_ring_slot(r, index);
	size_t k;

#pragma GCC unroll 4
	for (k = 0; k < n; k++) {
		uintptr_t x;

		BTN_POINT("ring:pop_n:look");
		x = atomic_load_explicit(&slot[k], memory_order_acquire) ^ colour; /* [RING-3] (f) */
		if (x & 1)
			break;
		items[k] = (void *)x;
	}
	return k;
}

static inline void clear(struct baton_ring *r, uint64_t index, size_t n)
{
	const uintptr_t used = baton_ring_colour(r, index);
	_Atomic uintptr_t *slot = baton_ring_slot(r, index);
	size_t k;

#pragma GCC unroll 4
	for (k = 0; k < n; k++) {
		BTN_POINT("ring:pop_n:clear");
		atomic_store_explicit(&slot[k], used, memory_order_release); /* [RING-4] (h) */
	}
}

size_t baton_ring_push_n(struct baton_ring *r, void *const *items, size_t n)
{
	unsigned int lost = 0;
	size_t first, k;
	uint64_t t, now;

	if (btn_unlikely(!n))
		return 0;
	if (n > r->mask + 1)
		n = r->mask + 1;
	BTN_POINT("ring:push_n:tail");
	t = atomic_load_explicit(&r->tail, memory_order_acquire); /* [RING-1] (a) */
	for (;;) {
		first = run_of(r, t, n);
		k = look_empty(r, t, first);
		if (btn_unlikely(k == first && k < n))
			k += look_empty(r, t + k, n - k);
		if (btn_likely(k)) {
			BTN_POINT("ring:push_n:claim");
			if (btn_likely(atomic_compare_exchange_weak_explicit(&r->tail, &t, t + k,
					memory_order_acq_rel, memory_order_acquire))) /* [RING-1] (c) */
				break;
			btn_back_off(&lost);
			continue;
		}
		BTN_POINT("ring:push_n:full");
		now = atomic_load_explicit(&r->tail, memory_order_acquire); /* [RING-1] */
		if (now == t)
			return 0;
		t = now;
	}
	if (first > k)
		first = k;
	fill(r, t, items, first);
	if (btn_unlikely(first < k))
		fill(r, t + first, items + first, k - first);
	return k;
}

size_t baton_ring_pop_n(struct baton_ring *r, void **items, size_t n)
{
	unsigned int lost = 0;
	size_t first, k;
	uint64_t h, now;

	if (btn_unlikely(!n))
		return 0;
	if (n > r->mask + 1)
		n = r->mask + 1;
	BTN_POINT("ring:pop_n:head");
	h = atomic_load_explicit(&r->head, memory_order_acquire); /* [RING-2] (e) */
	for (;;) {
		first = run_of(r, h, n);
		k = look_full(r, h, items, first);
		if (btn_unlikely(k == first && k < n))
			k += look_full(r, h + k, items + k, n - k);
		if (btn_likely(k)) {
			BTN_POINT("ring:pop_n:claim");
			if (btn_likely(atomic_compare_exchange_weak_explicit(&r->head, &h, h + k,
					memory_order_acq_rel, memory_order_acquire))) /* [RING-2] (g) */
				break;
			btn_back_off(&lost);
			continue;
		}
		BTN_POINT("ring:pop_n:empty");
		now = atomic_load_explicit(&r->head, memory_order_acquire); /* [RING-2] */
		if (now == h)
			return 0;
		h = now;
	}
	if (first > k)
		first = k;
	clear(r, h, first);
	if (btn_unlikely(first < k))
		clear(r, h + first, k - first);
	return k;
}

size_t baton_ring_count(const struct baton_ring *r)
{
	uint64_t h = atomic_load_explicit(&r->head, memory_order_relaxed); /* [RING-5] */
	uint64_t n = atomic_load_explicit(&r->tail, memory_order_relaxed) - h; /* [RING-5] */

	return n > r->mask ? r->mask + 1 : n;
}
