// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * queue.c - an unbounded queue: a list of segments, each slot used once.
 *
 * Many such queues claim a slot with a fetch-and-add and fill it afterwards.
 * Then a producer that stops between the two leaves a hole. Consumers either
 * wait at it for ever, or they must be able to spoil it, and then filling it
 * needs a second read-modify-write that can fail:
 *
 *	producer			consumer
 *	i = tail++
 *	    (stops here)
 *					slot[i] is empty: wait? for ever.
 *
 * Here nothing is claimed. A push is one CAS of a slot from NULL to the item;
 * it is inside then, and not at all before. A pop is one CAS of the segment's
 * head from h to h + 1; the item is out then, and not before. Whoever stops
 * before its CAS did nothing, whoever stops after it is done.
 *
 *	push				pop
 *	(a) i = hint	[QUEUE-1]	(e) h = head	[QUEUE-3]
 *	(b) the first i with		(f) x = slot[h]	[QUEUE-2]
 *	    slot[i] NULL [QUEUE-2]	    NULL: empty
 *	(c) CAS slot[i] NULL -> item	(g) CAS head h -> h + 1
 *	    [QUEUE-2]			    [QUEUE-3]
 *	(d) hint = i + 1 [QUEUE-1]
 *
 * 1. The items of a segment are always slot[0] to slot[k - 1] without a gap.
 * A producer does (c) at i only if it saw slot[i - 1] filled, or read from hint
 * a value that somebody who did wrote. A slot never becomes NULL again. The
 * hint may go backwards, when a slow thread does (d) late: then (b) takes a few
 * more steps, at most one segment's, and the next (d) mends it.
 *
 * 2. Empty is empty: (f) reads NULL at h. No later slot is filled then, by 1,
 * and head was h at that moment, because it passes h only after slot[h] was
 * seen filled.
 *
 * 3. FIFO: the order of pushes is the order of the slots, which is the order
 * in which (c) happened; pops take the slots in order.
 *
 * 4. No ABA within a segment: slots and head only go forward.
 *
 * Segments are linked as nodes in the queue of Michael and Scott. The last
 * slot is full, so the producer links a new segment that has its item in slot
 * 0 already, which is its push, (h), and swings tail, (i), which others do for
 * it if it stops. A consumer that finds a segment used up and linked makes sure
 * that tail is past it, (j), swings head, (k), and is then the one to retire
 * it. tail is at most one segment behind, so after (j) and (k) neither points
 * to the segment nor ever will again: a late CAS (i) to it expects the one
 * before, which is protected while anybody holds it as expected value.
 *
 * Segments are freed with hazard pointers: see hazard.c for (HAZARD-2), whose
 * step (e) is (j) and (k) here. A thread uses only segments that it found in
 * tail or head after it had said so, never one that it found in `next`.
 *
 * The retired ones are in a stack [QUEUE-8] that is only pushed to and taken as
 * a whole, so it has no ABA. Spare segments are handed on one by one [QUEUE-5].
 * The counters [QUEUE-6] order nothing. A thread that stops with the taken stack in hand keeps
 * those few from being freed, and nothing else.
 *
 * (c), (f) and the look at `next` are sequentially consistent because users
 * build a Dekker handshake on them (see the header). Elsewhere acquire and
 * release do: [QUEUE-4] is the link between segments.
 */
#include "queue.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "die.h"
#include "hazard.h"
#include "inject.h"

typedef struct btn_queue_segment segment;

/* The number of retired segments at which a thread looks which can be freed. */
#ifndef BTN_INJECT
#define WORTH_A_LOOK (2 + btn_hazard_count() / 2)
#else
#define WORTH_A_LOOK 1
#endif

/* Two words of a record for each queue, and four queues before they share. */
#define QUEUES_APART (BTN_HAZARD_WORDS / 2)
static _Atomic unsigned int created;

static segment *segment_get(struct baton_queue *q)
{
	segment *s;
	int i;

	for (i = 0; i < BTN_QUEUE_SPARES; i++) {
		/* [QUEUE-5] the segment is as its last user left it, all its slots NULL. */
		if (!atomic_load_explicit(&q->spares[i], memory_order_relaxed)) /* [QUEUE-5] */
			continue;
		BTN_POINT("queue:get:spare");
		s = atomic_exchange_explicit(&q->spares[i], NULL, memory_order_acquire); /* [QUEUE-5] */
		if (s)
			return s;
	}
	if (BTN_FAIL("queue:get:memory"))
		return NULL;
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return NULL;
	atomic_fetch_add_explicit(&q->segments, 1, memory_order_relaxed); /* [QUEUE-6] a count */
	return s;
}

/* Nobody else knows s. used: it is not as it came from mmap(). */
static void segment_put(struct baton_queue *q, segment *s)
{
	segment *none;
	int i;

	for (i = 0; i < BTN_QUEUE_SPARES; i++) {
		if (atomic_load_explicit(&q->spares[i], memory_order_relaxed)) /* [QUEUE-5] */
			continue;
		memset((void *)s, 0, sizeof(*s));
		none = NULL;
		BTN_POINT("queue:put:spare");
		if (atomic_compare_exchange_strong_explicit(&q->spares[i], &none, s,
				memory_order_release, memory_order_relaxed)) /* [QUEUE-5] */
			return;
	}
	munmap(s, sizeof(*s));
	atomic_fetch_sub_explicit(&q->segments, 1, memory_order_relaxed); /* [QUEUE-6] */
}

int baton_queue_create(struct baton_queue **out)
{
	struct baton_queue *q;
	unsigned int nr;
	segment *s;
	int err;

	*out = NULL;
	err = btn_hazard_init();
	if (err)
		return err;
	if (!btn_hazard_self() || BTN_FAIL("queue:create:memory"))
		return -ENOMEM;
	q = mmap(NULL, sizeof(*q), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (q == MAP_FAILED)
		return -ENOMEM;
	s = segment_get(q);
	if (!s) {
		munmap(q, sizeof(*q));
		return -ENOMEM;
	}
	nr = atomic_fetch_add_explicit(&created, 1, memory_order_relaxed); /* [QUEUE-6] */
	q->push_word = nr % QUEUES_APART;
	q->pop_word = QUEUES_APART + nr % QUEUES_APART;
	/* [QUEUE-7] before any other thread knows the queue. */
	atomic_store_explicit(&q->tail, s, memory_order_relaxed); /* [QUEUE-7] */
	atomic_store_explicit(&q->head, s, memory_order_relaxed); /* [QUEUE-7] */
	*out = q;
	return 0;
}

void baton_queue_destroy(struct baton_queue *q)
{
	segment *s, *next;
	int i;

	if (!q)
		return;
	/* [QUEUE-7] no other thread uses it any more. */
	for (s = atomic_load_explicit(&q->head, memory_order_relaxed); s; s = next) { /* [QUEUE-7] */
		next = atomic_load_explicit(&s->next, memory_order_relaxed); /* [QUEUE-7] */
		munmap(s, sizeof(*s));
	}
	for (s = atomic_load_explicit(&q->retired, memory_order_relaxed); s; s = next) { /* [QUEUE-7] */
		next = s->retired;
		munmap(s, sizeof(*s));
	}
	for (i = 0; i < BTN_QUEUE_SPARES; i++) {
		s = atomic_load_explicit(&q->spares[i], memory_order_relaxed); /* [QUEUE-7] */
		if (s)
			munmap(s, sizeof(*s));
	}
	munmap(q, sizeof(*q));
}

int baton_queue_attach(void)
{
	return btn_hazard_self() ? 0 : -ENOMEM;
}

static void retire(struct baton_queue *q, segment *s)
{
	segment *list, *next;
	size_t nr;

	s->retired = atomic_load_explicit(&q->retired, memory_order_relaxed); /* [QUEUE-8] */
	do {
		BTN_POINT("queue:retire:push");
	} while (!atomic_compare_exchange_weak_explicit(&q->retired, &s->retired, s,
			memory_order_release, memory_order_relaxed)); /* [QUEUE-8] */
	/* The count is a guess at when it is worth looking; nothing depends on it. */
	nr = atomic_fetch_add_explicit(&q->retired_nr, 1, memory_order_relaxed) + 1; /* [QUEUE-6] */
	if (nr < WORTH_A_LOOK)
		return;
	atomic_store_explicit(&q->retired_nr, 0, memory_order_relaxed); /* [QUEUE-6] */
	BTN_POINT("queue:retire:take");
	list = atomic_exchange_explicit(&q->retired, NULL, memory_order_acquire); /* [QUEUE-8] */
	for (; list; list = next) {
		next = list->retired;
		BTN_POINT("queue:retire:look");
		if (!btn_hazard_used(list)) {
			segment_put(q, list);
			continue;
		}
		list->retired = atomic_load_explicit(&q->retired, memory_order_relaxed); /* [QUEUE-8] */
		do {
			BTN_POINT("queue:retire:again");
		} while (!atomic_compare_exchange_weak_explicit(&q->retired, &list->retired, list,
				memory_order_release, memory_order_relaxed)); /* [QUEUE-8] */
		atomic_fetch_add_explicit(&q->retired_nr, 1, memory_order_relaxed); /* [QUEUE-6] */
	}
}

int baton_queue_push(struct baton_queue *q, void *item)
{
	struct btn_hazard *me = btn_hazard_self();
	unsigned int times = 0;
	segment *s, *fresh;
	void *next, *was;
	uint64_t i, hint;

	if (btn_unlikely(!item))
		btn_die("baton_queue_push: an item must not be NULL", 0);
	if (btn_unlikely(!me))
		return -ENOMEM;
	for (;;) {
		BTN_POINT("queue:push:tail");
		s = btn_hazard_protect(me, q->push_word, &q->tail);
		BTN_POINT("queue:push:hint");
		i = atomic_load_explicit(&s->hint, memory_order_acquire); /* [QUEUE-1] (a) */
		for (; i < BTN_QUEUE_ITEMS; i++) {
			BTN_POINT("queue:push:look");
			if (atomic_load_explicit(&s->slots[i], memory_order_acquire)) /* [QUEUE-2] (b) */
				continue;
			was = NULL;
			BTN_POINT("queue:push:fill");
			if (btn_likely(atomic_compare_exchange_strong_explicit(&s->slots[i], &was, item,
					memory_order_seq_cst, memory_order_acquire))) { /* [QUEUE-2] (c) */
				BTN_POINT("queue:push:hint_on");
				atomic_store_explicit(&s->hint, i + 1, memory_order_release); /* [QUEUE-1] (d) */
				return 0;
			}
			btn_back_off(&times);
			/* (b) goes on where others have got to meanwhile. */
			BTN_POINT("queue:push:hint_again");
			hint = atomic_load_explicit(&s->hint, memory_order_acquire); /* [QUEUE-1] (a) */
			if (hint > i + 1)
				i = hint - 1;
		}

		BTN_POINT("queue:push:next");
		next = atomic_load_explicit(&s->next, memory_order_acquire); /* [QUEUE-4] */
		if (!next) {
			fresh = segment_get(q);
			if (!fresh)
				return -ENOMEM;
			/* [QUEUE-7] nobody else knows it yet. */
			atomic_store_explicit(&fresh->slots[0], item, memory_order_relaxed); /* [QUEUE-7] */
			atomic_store_explicit(&fresh->hint, 1, memory_order_relaxed); /* [QUEUE-7] */
			BTN_POINT("queue:push:link");
			if (atomic_compare_exchange_strong_explicit(&s->next, &next, fresh,
					memory_order_seq_cst, memory_order_acquire)) { /* [QUEUE-4] (h) */
				was = s;
				BTN_POINT("queue:push:swing");
				atomic_compare_exchange_strong_explicit(&q->tail, &was, fresh,
					memory_order_seq_cst, memory_order_relaxed); /* [HAZARD-2] (i) */
				return 0;
			}
			segment_put(q, fresh);
		}
		was = s;
		BTN_POINT("queue:push:help");
		atomic_compare_exchange_strong_explicit(&q->tail, &was, next,
			memory_order_seq_cst, memory_order_relaxed); /* [HAZARD-2] (i) */
	}
}

/* s is used up. False: there is no segment after it. */
static bool go_on(struct baton_queue *q, segment *s)
{
	void *next, *was = s;

	BTN_POINT("queue:pop:next");
	next = atomic_load_explicit(&s->next, memory_order_seq_cst); /* [QUEUE-4] */
	if (!next)
		return false;
	BTN_POINT("queue:pop:help");
	atomic_compare_exchange_strong_explicit(&q->tail, &was, next,
		memory_order_seq_cst, memory_order_relaxed); /* [HAZARD-2] (j) */
	was = s;
	BTN_POINT("queue:pop:swing");
	if (atomic_compare_exchange_strong_explicit(&q->head, &was, next,
			memory_order_seq_cst, memory_order_relaxed)) /* [HAZARD-2] (k) */
		retire(q, s);
	return true;
}

bool baton_queue_pop(struct baton_queue *q, void **item)
{
	struct btn_hazard *me = btn_hazard_self();
	unsigned int times = 0;
	segment *s;
	uint64_t h;
	void *x;

	if (btn_unlikely(!me))
		return false;
	for (;;) {
		BTN_POINT("queue:pop:segment");
		s = btn_hazard_protect(me, q->pop_word, &q->head);
		BTN_POINT("queue:pop:head");
		h = atomic_load_explicit(&s->head, memory_order_acquire); /* [QUEUE-3] (e) */
		while (btn_likely(h < BTN_QUEUE_ITEMS)) {
			BTN_POINT("queue:pop:look");
			x = atomic_load_explicit(&s->slots[h], memory_order_seq_cst); /* [QUEUE-2] (f) */
			if (!x)
				return false;
			BTN_POINT("queue:pop:take");
			if (btn_likely(atomic_compare_exchange_weak_explicit(&s->head, &h, h + 1,
					memory_order_acq_rel, memory_order_acquire))) { /* [QUEUE-3] (g) */
				*item = x;
				return true;
			}
			btn_back_off(&times);
		}
		if (!go_on(q, s))
			return false;
	}
}

size_t baton_queue_pop_n(struct baton_queue *q, void **items, size_t n)
{
	struct btn_hazard *me = btn_hazard_self();
	unsigned int times = 0;
	segment *s;
	uint64_t h;
	size_t k;

	if (btn_unlikely(!me || !n))
		return 0;
	for (;;) {
		BTN_POINT("queue:pop_n:segment");
		s = btn_hazard_protect(me, q->pop_word, &q->head);
		BTN_POINT("queue:pop_n:head");
		h = atomic_load_explicit(&s->head, memory_order_acquire); /* [QUEUE-3] (e) */
		while (btn_likely(h < BTN_QUEUE_ITEMS)) {
			for (k = 0; k < n && h + k < BTN_QUEUE_ITEMS; k++) {
				BTN_POINT("queue:pop_n:look");
				items[k] = atomic_load_explicit(&s->slots[h + k], memory_order_seq_cst); /* [QUEUE-2] (f) */
				if (!items[k])
					break;
			}
			if (!k)
				return 0;
			BTN_POINT("queue:pop_n:take");
			if (btn_likely(atomic_compare_exchange_weak_explicit(&s->head, &h, h + k,
					memory_order_acq_rel, memory_order_acquire))) /* [QUEUE-3] (g) */
				return k;
			btn_back_off(&times);
		}
		if (!go_on(q, s))
			return 0;
	}
}

bool baton_queue_empty(struct baton_queue *q)
{
	struct btn_hazard *me = btn_hazard_self();
	segment *s;
	uint64_t h;

	if (btn_unlikely(!me))
		return true;
	for (;;) {
		s = btn_hazard_protect(me, q->pop_word, &q->head);
		h = atomic_load_explicit(&s->head, memory_order_acquire); /* [QUEUE-3] (e) */
		if (h < BTN_QUEUE_ITEMS)
			return !atomic_load_explicit(&s->slots[h], memory_order_seq_cst); /* [QUEUE-2] (f) */
		if (!go_on(q, s))
			return true;
	}
}
