// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hazard.c - the records of all threads, and the question who uses what.
 *
 *	user				who frees
 *
 *	(a) p = *from			(e) *from = something else, for good
 *	(b) word = p			(f) reads every word
 *	    [HAZARD-2] seq_cst		    [HAZARD-2] seq_cst
 *	(c) *from still p?		    none is p: the memory is free
 *	    [HAZARD-2] seq_cst
 *	(d) uses p
 *
 * The broken one leaves (c) out, or does (b) and (c) in an order that a store
 * buffer can turn round: (e) and (f) happen between (a) and (b), and (d) uses
 * what is freed. With all of them in one total order, (c) saw p, so (c) is
 * before (e), so (b) is before (f), which reads p. (e) is the caller's, and
 * must be seq_cst too.
 *
 * A user that goes on to another object overwrites its word with (b), a
 * release; (f) acquires it and so comes after the last use of the old object:
 * the memory may be written plainly.
 *
 * A word stays set between operations, on purpose: the next operation on the
 * same object then needs no store, and no barrier. The price is that an idle
 * thread keeps up to BTN_HAZARD_WORDS objects from being freed.
 *
 * Records are never freed: a thread that reads them needs no protection of its
 * own. The record of a thread that ended is taken by a new one [HAZARD-3]. A
 * chunk is published by [HAZARD-5]. How many records there are to look at
 * [HAZARD-4] is in the one order too: raised before (b), read after (e). There are as
 * many as there were threads at one time, rounded up to a chunk. Nothing here
 * takes a lock, so a thread that stops anywhere stops nobody else.
 */
#include "hazard.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "inject.h"

#define PER_CHUNK 63

struct chunk {
	struct chunk *_Atomic next;
	BTN_ALIGNED struct btn_hazard records[PER_CHUNK];
};

/* The first chunk costs no allocation: small programs cannot fail here. */
static struct chunk first;

/* How many records were ever taken at one time, about: where to stop looking. */
static _Atomic size_t known;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;

_Thread_local struct btn_hazard *btn_hazard_mine;

/* A thread ends. */
static void leave(void *record)
{
	struct btn_hazard *h = record;
	unsigned int i;

	btn_hazard_mine = NULL;
	for (i = 0; i < BTN_HAZARD_WORDS; i++)
		atomic_store_explicit(&h->words[i], NULL, memory_order_seq_cst); /* [HAZARD-2] */
	atomic_store_explicit(&h->taken, 0, memory_order_release); /* [HAZARD-3] */
}

static void make_key(void)
{
	key_error = pthread_key_create(&key, leave);
}

int btn_hazard_init(void)
{
	pthread_once(&once, make_key);
	return key_error ? -EAGAIN : 0;
}

static bool take(struct btn_hazard *h, size_t nr)
{
	uint32_t no = 0;
	size_t n;

	/* [HAZARD-3] the record's words are as its last thread left them: NULL. */
	if (!atomic_compare_exchange_strong_explicit(&h->taken, &no, 1,
			memory_order_acquire, memory_order_relaxed)) /* [HAZARD-3] */
		return false;
	/* In one order with (b) and (f): whoever frees sees the record or comes before (b). */
	n = atomic_load_explicit(&known, memory_order_seq_cst); /* [HAZARD-4] */
	while (n <= nr && !atomic_compare_exchange_weak_explicit(&known, &n, nr + 1,
			memory_order_seq_cst, memory_order_seq_cst)) /* [HAZARD-4] */
		;
	return true;
}

struct btn_hazard *btn_hazard_take(void)
{
	struct chunk *c = &first, *next, *fresh;
	struct btn_hazard *h = NULL;
	size_t nr = 0;
	int i;

	for (;;) {
		for (i = 0; i < PER_CHUNK && !h; i++, nr++)
			if (take(&c->records[i], nr))
				h = &c->records[i];
		if (h)
			break;
		next = atomic_load_explicit(&c->next, memory_order_acquire); /* [HAZARD-5] */
		if (!next) {
			if (BTN_FAIL("hazard:take:memory"))
				return NULL;
			fresh = mmap(NULL, sizeof(*fresh), PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (fresh == MAP_FAILED)
				return NULL;
			if (atomic_compare_exchange_strong_explicit(&c->next, &next, fresh,
					memory_order_acq_rel, memory_order_acquire)) /* [HAZARD-5] */
				next = fresh;
			else
				munmap(fresh, sizeof(*fresh));
		}
		c = next;
	}
	if (pthread_setspecific(key, h)) {
		leave(h);
		return NULL;
	}
	btn_hazard_mine = h;
	return h;
}

bool btn_hazard_used(const void *p)
{
	size_t n = btn_hazard_count();
	struct chunk *c;
	size_t nr = 0;
	int i, w;

	for (c = &first; c && nr < n; c = atomic_load_explicit(&c->next, memory_order_acquire)) /* [HAZARD-5] */
		for (i = 0; i < PER_CHUNK && nr < n; i++, nr++) {
			BTN_POINT("hazard:used:record");
			for (w = 0; w < BTN_HAZARD_WORDS; w++)
				if (atomic_load_explicit(&c->records[i].words[w], memory_order_seq_cst) == p) /* [HAZARD-2] (f) */
					return true;
		}
	return false;
}

size_t btn_hazard_count(void)
{
	return atomic_load_explicit(&known, memory_order_seq_cst); /* [HAZARD-4] */
}
