// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * burst.c - give items to those who wait, and wake them together.
 *
 * Each consumer has a word, its hand: NULL (it does not wait), WAITING, or an
 * item. Who turns WAITING into something else decides: the sender, by a CAS to
 * an item, or the consumer, by a CAS to NULL when it gives up. So an item is
 * never given to somebody who has stopped waiting. Who turns an item into
 * something else has it: its consumer, by a CAS to NULL, or another one, by a
 * CAS to WAITING (below).
 *
 * All sleep on one futex, `wakes`, each with a bit of its own, so one
 * FUTEX_WAKE_BITSET wakes any set of them and nobody else. The broken order is
 * to read that word only when going to sleep:
 *
 *	sender				consumer
 *					hand = WAITING
 *					hand is still WAITING
 *	CAS hand WAITING -> item
 *	wakes += 2, wakes nobody
 *					w = wakes; sleeps while it is w: for ever
 *
 * It reads it first:
 *
 *	sender				consumer
 *
 *	(d) CAS hand WAITING -> item	(a) w = wakes	[BURST-2] acquire
 *	    [BURST-1] acq_rel		(b) hand = WAITING  [BURST-1] release
 *	(e) wakes += 2	[BURST-2]	(c) hand is WAITING?
 *	(f) wakes the bits		(g) sleeps while wakes == w
 *
 * If (d) gave an item and (a) reads what (e) wrote, then (d) is before (c), which
 * sees the item. If (a) reads an older one then wakes has changed since, and (g)
 * does not sleep, or the sleeper is in the queue before (e) and (f) finds it
 * there, which is what the futex promises. It matters only that (a) comes before
 * (c), not who made the hand WAITING nor when; and if (d) comes before (b) it
 * fails. One word and happens-before are enough; it needs no order between the
 * two words but this.
 *
 * The bit 0 of `wakes` says that the burst is closed.
 *
 * A sleeper may need long until it runs: on a CPU that must wake up itself, or
 * behind others on a busy one. Who comes to wait in the meantime does not look
 * on: it takes the item out of that hand, by a CAS from the item to WAITING
 * [BURST-1], and lists the other one again, as in (i). That one is on its way
 * then, finds its hand WAITING, and sleeps again: for each wake-up there is one
 * sleep, whoever has the item. `untaken` says, once the burst is complete, in
 * which groups to look [BURST-6]; it is a hint, and if it is lost or wrong the
 * item's own consumer takes it.
 *
 * Which consumers wait is also in 32 bitmaps, so that an offer need not look at
 * every one. They are hints; this keeps one from being lost:
 *
 *	sender				consumer
 *	(h) clears the bit		(b) hand = WAITING
 *	    [BURST-3] acq_rel		(i) sets the bit [BURST-3] acq_rel
 *	(d) CAS hand
 *
 * If (d) fails since the hand is not WAITING then (b) of the next wait comes
 * after (d), so (i) comes after (h) and the bit stays. Clearing it after (d)
 * could wipe out the (i) of a consumer that was quick and waits again. A bit
 * may be set for a consumer that does not wait: the sender clears it when it
 * sees it.
 *
 * Consumer i has bit i % 32, in bitmap i % 32. Up to 32 consumers that is one
 * each (the rows of consumers are published once by [BURST-5]; [BURST-4] hands
 * the place of one that left to one that joins). With more, the sender goes on in one bitmap until nobody in it waits,
 * so that those who share a bit are given items together, and only the last
 * bitmap it touched can have some that wake for nothing.
 */
#include "burst.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "die.h"
#include "futex.h"
#include "inject.h"

static const size_t row_size = BTN_BURST_GROUPS * sizeof(struct baton_burst_consumer);

int baton_burst_create(struct baton_burst **out)
{
	struct baton_burst *b;
	int err = btn_futex_init();

	*out = NULL;
	if (err)
		return err;
	if (BTN_FAIL("burst:create:memory"))
		return -ENOMEM;
	b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b == MAP_FAILED)
		return -ENOMEM;
	*out = b;
	return 0;
}

void baton_burst_destroy(struct baton_burst *b)
{
	unsigned int i;

	if (!b)
		return;
	/* [BURST-4] acquires what the last leave released. */
	if (atomic_load_explicit(&b->joined, memory_order_acquire)) /* [BURST-4] */
		btn_die("baton_burst_destroy: a consumer has not left", 0);
	for (i = 0; i < BTN_BURST_ROWS; i++) {
		struct baton_burst_consumer *row = atomic_load_explicit(&b->rows[i], memory_order_acquire); /* [BURST-5] */

		if (row)
			munmap(row, row_size);
	}
	munmap(b, sizeof(*b));
}

static struct baton_burst_consumer *row_get(struct baton_burst *b, unsigned int nr)
{
	struct baton_burst_consumer *row, *fresh;

	row = atomic_load_explicit(&b->rows[nr], memory_order_acquire); /* [BURST-5] */
	if (row)
		return row;
	if (BTN_FAIL("burst:join:memory"))
		return NULL;
	fresh = mmap(NULL, row_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fresh == MAP_FAILED)
		return NULL;
	if (atomic_compare_exchange_strong_explicit(&b->rows[nr], &row, fresh,
			memory_order_acq_rel, memory_order_acquire)) /* [BURST-5] */
		return fresh;
	munmap(fresh, row_size);
	return row;
}

int baton_burst_join(struct baton_burst *b, struct baton_burst_consumer **out)
{
	struct baton_burst_consumer *c;
	unsigned int group, row;

	*out = NULL;
	if (atomic_load_explicit(&b->wakes, memory_order_acquire) & BTN_BURST_CLOSED) /* [BURST-2] */
		return -EPIPE;
	for (row = 0; row < BTN_BURST_ROWS; row++) {
		for (group = 0; group < BTN_BURST_GROUPS; group++) {
			const uint64_t bit = UINT64_C(1) << row;

			if (atomic_fetch_or_explicit(&b->used[group], bit, memory_order_acq_rel) & bit) /* [BURST-4] */
				continue;
			c = row_get(b, row);
			if (!c) {
				atomic_fetch_and_explicit(&b->used[group], ~bit, memory_order_release); /* [BURST-4] */
				return -ENOMEM;
			}
			c += group;
			c->burst = b;
			c->group = group;
			c->row = row;
			atomic_fetch_add_explicit(&b->joined, 1, memory_order_acq_rel); /* [BURST-4] */
			*out = c;
			return 0;
		}
	}
	return -ENOSPC;
}

void baton_burst_leave(struct baton_burst_consumer *c)
{
	struct baton_burst *b;

	if (!c)
		return;
	b = c->burst;
	atomic_fetch_and_explicit(&b->used[c->group], ~(UINT64_C(1) << c->row), memory_order_release); /* [BURST-4] */
	atomic_fetch_sub_explicit(&b->joined, 1, memory_order_release); /* [BURST-4] */
}

/* The consumer stops waiting. False: too late, it has an item. */
static bool give_up(struct baton_burst_consumer *c)
{
	uintptr_t x = BTN_BURST_WAITING;

	BTN_POINT("burst:wait:give_up");
	if (!atomic_compare_exchange_strong_explicit(&c->hand, &x, 0,
			memory_order_acq_rel, memory_order_acquire)) /* [BURST-1] */
		return false;
	BTN_POINT("burst:wait:unlist");
	atomic_fetch_and_explicit(&c->burst->waiting[c->group], ~(UINT64_C(1) << c->row),
				  memory_order_acq_rel); /* [BURST-3] */
	return true;
}

/* Takes an item that its own consumer has not come to take yet, if there is one. */
static bool take_another(struct baton_burst *b, void **item)
{
	uint32_t groups = atomic_load_explicit(&b->untaken, memory_order_acquire); /* [BURST-6] */

	for (; groups; groups &= groups - 1) {
		const unsigned int group = (unsigned int)__builtin_ctz(groups);
		const uint32_t bit = UINT32_C(1) << group;
		uint64_t left;

		BTN_POINT("burst:take:untaken");
		/* A single thread looks there, not all who come. */
		if (!(atomic_fetch_and_explicit(&b->untaken, ~bit, memory_order_acq_rel) & bit)) /* [BURST-6] */
			continue;
		left = atomic_load_explicit(&b->used[group], memory_order_acquire); /* [BURST-4] */
		for (; left; left &= left - 1) {
			const unsigned int row = (unsigned int)__builtin_ctzll(left);
			struct baton_burst_consumer *c = atomic_load_explicit(&b->rows[row], memory_order_acquire); /* [BURST-5] */
			uintptr_t x;

			if (!c)
				continue;	/* the worker is just joining */
			c += group;
			BTN_POINT("burst:take:look");
			x = atomic_load_explicit(&c->hand, memory_order_relaxed); /* [BURST-1] only the CAS decides */
			BTN_POINT("burst:take:hand");
			if (!x || x == BTN_BURST_WAITING ||
			    !atomic_compare_exchange_strong_explicit(&c->hand, &x, BTN_BURST_WAITING,
					memory_order_acq_rel, memory_order_relaxed)) /* [BURST-1] */
				continue;
			BTN_POINT("burst:take:list");
			atomic_fetch_or_explicit(&b->waiting[group], UINT64_C(1) << row, memory_order_acq_rel); /* [BURST-3] (i) */
			BTN_POINT("burst:take:more");
			if (left & (left - 1))
				atomic_fetch_or_explicit(&b->untaken, bit, memory_order_release); /* [BURST-6] */
			*item = (void *)x;
			return true;
		}
	}
	return false;
}

int baton_burst_wait(struct baton_burst_consumer *c, void **item, uint64_t deadline)
{
	struct baton_burst *b = c->burst;
	bool late = false;
	uintptr_t x;
	uint32_t w;

	BTN_POINT("burst:wait:wakes");
	w = atomic_load_explicit(&b->wakes, memory_order_acquire); /* [BURST-2] (a) */
	if (w & BTN_BURST_CLOSED)
		return -EPIPE;
	BTN_POINT("burst:wait:take");
	if (take_another(b, item))
		return 0;
	BTN_POINT("burst:wait:hand");
	atomic_store_explicit(&c->hand, BTN_BURST_WAITING, memory_order_release); /* [BURST-1] (b) */
	BTN_POINT("burst:wait:list");
	atomic_fetch_or_explicit(&b->waiting[c->group], UINT64_C(1) << c->row,
				 memory_order_acq_rel); /* [BURST-3] (i) */
	for (;;) {
		BTN_POINT("burst:wait:look");
		x = atomic_load_explicit(&c->hand, memory_order_acquire); /* [BURST-1] (c) */
		if (x != BTN_BURST_WAITING) {
			BTN_POINT("burst:wait:have");
			if (atomic_compare_exchange_strong_explicit(&c->hand, &x, 0,
					memory_order_acq_rel, memory_order_relaxed)) /* [BURST-1] */
				break;
			continue;
		}
		if (late || (w & BTN_BURST_CLOSED)) {
			if (give_up(c))
				return late ? -ETIMEDOUT : -EPIPE;
			continue;
		}
		BTN_POINT("burst:wait:sleep");
		late = btn_futex_wait_bits(&b->wakes, w, deadline, UINT32_C(1) << c->group) == -ETIMEDOUT; /* (g) */
		BTN_POINT("burst:wait:woken");
		w = atomic_load_explicit(&b->wakes, memory_order_acquire); /* [BURST-2] (a) */
	}
	*item = (void *)x;
	return 0;
}

int baton_burst_offer(struct baton_burst *b, void *item)
{
	const uintptr_t x = (uintptr_t)item;
	unsigned int i;

	if (btn_unlikely(!x || x & BTN_BURST_WAITING))
		btn_die("baton_burst_offer: an item must not be NULL nor odd", (long)x);
	for (i = 0; i < BTN_BURST_GROUPS; i++, b->group = (b->group + 1) % BTN_BURST_GROUPS) {
		_Atomic uint64_t *bits = &b->waiting[b->group];
		uint64_t left;

		BTN_POINT("burst:offer:waiting");
		left = atomic_load_explicit(bits, memory_order_acquire); /* [BURST-3] */
		while (left) {
			const unsigned int row = (unsigned int)__builtin_ctzll(left);
			struct baton_burst_consumer *c;
			uintptr_t was = BTN_BURST_WAITING;

			left &= left - 1;
			BTN_POINT("burst:offer:unlist");
			atomic_fetch_and_explicit(bits, ~(UINT64_C(1) << row), memory_order_acq_rel); /* [BURST-3] (h) */
			c = atomic_load_explicit(&b->rows[row], memory_order_acquire) + b->group; /* [BURST-5] */
			BTN_POINT("burst:offer:give");
			if (atomic_compare_exchange_strong_explicit(&c->hand, &was, x,
					memory_order_acq_rel, memory_order_relaxed)) { /* [BURST-1] (d) */
				b->given_to |= UINT32_C(1) << b->group;
				b->given++;
				return 0;
			}
		}
	}
	return atomic_load_explicit(&b->joined, memory_order_acquire) ? -EAGAIN : -EPIPE; /* [BURST-4] */
}

unsigned int baton_burst_wake_all(struct baton_burst *b)
{
	const unsigned int given = b->given;

	if (!given)
		return 0;
	BTN_POINT("burst:wake_all:untaken");
	atomic_fetch_or_explicit(&b->untaken, b->given_to, memory_order_release); /* [BURST-6] */
	BTN_POINT("burst:wake_all:wakes");
	atomic_fetch_add_explicit(&b->wakes, 2, memory_order_acq_rel); /* [BURST-2] (e) */
	BTN_POINT("burst:wake_all:wake");
	btn_futex_wake_bits(&b->wakes, INT_MAX, b->given_to); /* (f) */
	b->given_to = 0;
	b->given = 0;
	b->group = 0;
	return given;
}

void baton_burst_close(struct baton_burst *b)
{
	BTN_POINT("burst:close:wakes");
	atomic_fetch_or_explicit(&b->wakes, BTN_BURST_CLOSED, memory_order_acq_rel); /* [BURST-2] (e) */
	BTN_POINT("burst:close:wake");
	btn_futex_wake_bits(&b->wakes, INT_MAX, UINT32_MAX);
	b->given_to = 0;
	b->given = 0;
}
