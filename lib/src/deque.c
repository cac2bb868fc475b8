// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * deque.c - a work-stealing deque whose whole state is one word.
 *
 * The deque of Chase and Lev keeps top and bottom in two words. The owner's pop
 * lowers bottom and then looks at top; a thief looks at both and then moves
 * top. That works for one item: owner and thief can only want the same one if
 * it is the last. With several at once it loses items or runs them twice:
 *
 *	owner				thief, wants half
 *					top 0, bottom 4: takes 0, 1
 *	pop: bottom = 3, top is 0: 3 is mine
 *	pop: bottom = 2, top is 0: 2 is mine
 *	pop: bottom = 1, top is 0: 1 is mine
 *					CAS top 0 -> 2: succeeds; 1 is mine
 *
 * Here top, the number of items and the array they are in are one word, the
 * state, and every operation is one successful read-modify-write of it:
 *
 *	push	(a) slot[top + count] = item, then (b) count + 1
 *	pop	(c) count - 1, then (d) takes slot[top + count]
 *	steal	(e) top + k, count - k, then (f) takes the k slots from top
 *	grow	(g) array + 1, after (h) copying the items
 *
 * So it is linearizable as it stands, whatever the history of the word: if the
 * CAS succeeds, what it claims is there. Thieves read items only after (e).
 * Reading them before, as Chase and Lev must, would be wrong here, since the
 * word can be the same again after a pop and a push:
 *
 *	owner				thief
 *					state is (top 0, count 1), item is X
 *	pops X, pushes Y
 *					CAS (0, 1) -> (1, 0) succeeds; takes X
 *
 * and X is run twice, Y never.
 *
 * 1. Reading after the claim, the slots must not be filled again meanwhile. A
 * taken slot is set to NULL, after it was read [DEQUE-2], and push fills only
 * slots that are NULL. If the slot that push wants is not, either the array is
 * full or a thief is still at work there, a lap ago; in both cases the owner
 * goes on in an array twice the size. The owner never waits for a thief.
 *
 * 2. Which array a claim is in is part of the word, so a thief that sleeps
 * between (e) and (f) takes from the right one. Old arrays stay.
 *
 * 3. grow copies the items of [top, top + count). If thieves take some before
 * (g), it fails, and the copies of what they took are set to NULL before the
 * next try. What is claimed before (g) is read in the old array, what is
 * claimed after it in the new one.
 *
 * (b) releases the slot and the item, (e) acquires them [DEQUE-1]; the owner
 * needs no order with itself. They are seq_cst because users build a Dekker
 * handshake on them; so is the look at an empty deque. [DEQUE-3] publishes an
 * array before the word that names it does.
 *
 * top has 32 bits and wraps; since nothing depends on its history, it may.
 */
#include "deque.h"

#include <errno.h>
#include <sys/mman.h>

#include "die.h"
#include "inject.h"

typedef void *_Atomic slot;

static size_t array_size(unsigned int order)
{
	return sizeof(slot) << order;
}

static slot *slot_of(slot *array, unsigned int order, uint32_t index)
{
	return &array[index & ((UINT32_C(1) << order) - 1)];
}

static slot *array_new(unsigned int order)
{
	slot *a;

	if (BTN_FAIL("deque:grow:memory"))
		return NULL;
	a = mmap(NULL, array_size(order), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return a == MAP_FAILED ? NULL : a;
}

static slot *array_of(const struct baton_deque *d, unsigned int order)
{
	return atomic_load_explicit(&d->arrays[order], memory_order_acquire); /* [DEQUE-3] */
}

int baton_deque_create(struct baton_deque **out)
{
	struct baton_deque *d;
	slot *a;

	*out = NULL;
	if (BTN_FAIL("deque:create:memory"))
		return -ENOMEM;
	d = mmap(NULL, sizeof(*d), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (d == MAP_FAILED)
		return -ENOMEM;
	a = array_new(BTN_DEQUE_ORDER_MIN);
	if (!a) {
		munmap(d, sizeof(*d));
		return -ENOMEM;
	}
	d->order = BTN_DEQUE_ORDER_MIN;
	atomic_store_explicit(&d->arrays[d->order], a, memory_order_release); /* [DEQUE-3] */
	btn_deque_start_at(d, 0);
	*out = d;
	return 0;
}

void baton_deque_destroy(struct baton_deque *d)
{
	unsigned int order;

	if (!d)
		return;
	for (order = BTN_DEQUE_ORDER_MIN; order <= d->order; order++)
		munmap((void *)array_of(d, order), array_size(order));
	munmap(d, sizeof(*d));
}

void btn_deque_start_at(struct baton_deque *d, uint32_t index)
{
	d->bottom = index;
	/* [DEQUE-1] before any other thread knows the deque. */
	atomic_store_explicit(&d->state, BTN_DEQUE_STATE(index, 0, d->order), memory_order_release); /* [DEQUE-1] */
}

/* The owner: the same items in an array twice the size. */
static int grow(struct baton_deque *d)
{
	const unsigned int order = d->order;
	slot *from = array_of(d, order), *to;
	uint64_t w, want;
	uint32_t i, top;

	if (order == BTN_DEQUE_ORDER_MAX)
		return -ENOMEM;
	to = array_new(order + 1);
	if (!to)
		return -ENOMEM;
	BTN_POINT("deque:grow:state");
	w = atomic_load_explicit(&d->state, memory_order_acquire); /* [DEQUE-1] */
	top = BTN_DEQUE_TOP(w);
	/* [DEQUE-2] a slot that a thief has emptied meanwhile is corrected below. */
	for (i = top; i != d->bottom; i++) {
		BTN_POINT("deque:grow:copy");
		atomic_store_explicit(slot_of(to, order + 1, i),
			atomic_load_explicit(slot_of(from, order, i), memory_order_relaxed), /* [DEQUE-2] */
			memory_order_relaxed); /* [DEQUE-2] */
	}
	atomic_store_explicit(&d->arrays[order + 1], to, memory_order_release); /* [DEQUE-3] */
	do {
		for (; top != BTN_DEQUE_TOP(w); top++)
			atomic_store_explicit(slot_of(to, order + 1, top), NULL, memory_order_relaxed); /* [DEQUE-2] */
		want = BTN_DEQUE_STATE(top, BTN_DEQUE_COUNT(w), order + 1);
		BTN_POINT("deque:grow:switch");
	} while (!atomic_compare_exchange_weak_explicit(&d->state, &w, want,
			memory_order_acq_rel, memory_order_acquire)); /* [DEQUE-1] (g) */
	d->order = order + 1;
	return 0;
}

/* The owner: the slot of that index is free, and stays so. */
static bool is_free(struct baton_deque *d, uint32_t index)
{
	slot *s = slot_of(array_of(d, d->order), d->order, index);

	BTN_POINT("deque:push:look");
	return !atomic_load_explicit(s, memory_order_acquire); /* [DEQUE-2] */
}

size_t btn_deque_room(struct baton_deque *d, size_t n)
{
	size_t i = 0;

	while (i < n) {
		if (i < UINT32_C(1) << d->order && is_free(d, d->bottom + (uint32_t)i))
			i++;
		else if (grow(d))
			break;
	}
	return i;
}

int baton_deque_push(struct baton_deque *d, void *item)
{
	slot *s;
	int err;

	if (btn_unlikely(!item))
		btn_die("baton_deque_push: an item must not be NULL", 0);
	while (btn_unlikely(!is_free(d, d->bottom))) {
		err = grow(d);
		if (err)
			return err;
	}
	s = slot_of(array_of(d, d->order), d->order, d->bottom);
	BTN_POINT("deque:push:fill");
	atomic_store_explicit(s, item, memory_order_relaxed); /* [DEQUE-1] (a) */
	d->bottom++;
	BTN_POINT("deque:push:count");
	atomic_fetch_add_explicit(&d->state, BTN_DEQUE_ONE, memory_order_seq_cst); /* [DEQUE-1] (b) */
	return 0;
}

bool baton_deque_pop(struct baton_deque *d, void **item)
{
	uint64_t w;
	slot *s;

	BTN_POINT("deque:pop:state");
	w = atomic_load_explicit(&d->state, memory_order_seq_cst); /* [DEQUE-1] */
	do {
		if (!BTN_DEQUE_COUNT(w))
			return false;
		BTN_POINT("deque:pop:claim");
	} while (!atomic_compare_exchange_weak_explicit(&d->state, &w, w - BTN_DEQUE_ONE,
			memory_order_seq_cst, memory_order_seq_cst)); /* [DEQUE-1] (c) */
	s = slot_of(array_of(d, d->order), d->order, --d->bottom);
	/* [DEQUE-1] the owner filled it. */
	*item = atomic_load_explicit(s, memory_order_relaxed); /* [DEQUE-1] (d) */
	atomic_store_explicit(s, NULL, memory_order_relaxed); /* [DEQUE-2] */
	return true;
}

size_t baton_deque_steal(struct baton_deque *d, void **items, size_t n)
{
	uint32_t count, top, i;
	uint64_t w, want;
	slot *s, *array;
	size_t k;

	BTN_POINT("deque:steal:state");
	w = atomic_load_explicit(&d->state, memory_order_seq_cst); /* [DEQUE-1] */
	do {
		count = BTN_DEQUE_COUNT(w);
		top = BTN_DEQUE_TOP(w);
		k = (count + 1) / 2;
		if (k > n)
			k = n;
		if (!k)
			return 0;
		want = BTN_DEQUE_STATE(top + k, count - k, BTN_DEQUE_ORDER(w));
		BTN_POINT("deque:steal:claim");
	} while (!atomic_compare_exchange_weak_explicit(&d->state, &w, want,
			memory_order_seq_cst, memory_order_seq_cst)); /* [DEQUE-1] (e) */
	array = array_of(d, BTN_DEQUE_ORDER(w));
	for (i = 0; i < k; i++) {
		s = slot_of(array, BTN_DEQUE_ORDER(w), top + i);
		BTN_POINT("deque:steal:take");
		items[i] = atomic_load_explicit(s, memory_order_relaxed); /* [DEQUE-1] (f) */
		BTN_POINT("deque:steal:clear");
		atomic_store_explicit(s, NULL, memory_order_release); /* [DEQUE-2] */
	}
	return k;
}

size_t baton_deque_count(const struct baton_deque *d)
{
	return BTN_DEQUE_COUNT(atomic_load_explicit(&d->state, memory_order_seq_cst)); /* [DEQUE-1] */
}
