/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hazard.h - which memory threads are looking at (hazard pointers).
 *
 * A thread says which object it uses by writing its address into a word of its
 * own record; who wants to free an object looks at every record first.
 */
#ifndef BTN_HAZARD_H
#define BTN_HAZARD_H

#include <stdbool.h>
#include <stddef.h>

#include "atomic.h"
#include "inject.h"

/* Words in a record: so many different objects can a thread use at once. */
#define BTN_HAZARD_WORDS 8

struct btn_hazard {
	/* Written by its thread; read by whoever frees. */
	BTN_ALIGNED void *_Atomic words[BTN_HAZARD_WORDS];

	/* Any thread, when a thread takes or leaves the record. */
	BTN_ALIGNED _Atomic uint32_t taken;
};

extern _Thread_local struct btn_hazard *btn_hazard_mine
	__attribute__((tls_model("initial-exec")));

/* Once, before anything else here. 0 or -EAGAIN: no thread-specific key left. */
int btn_hazard_init(void);

/* Takes a record for the calling thread until it ends. NULL: no memory. */
struct btn_hazard *btn_hazard_take(void);

/* The calling thread's record, or NULL if there is no memory for one. */
static inline struct btn_hazard *btn_hazard_self(void)
{
	struct btn_hazard *h = btn_hazard_mine;

	return btn_likely(h != NULL) ? h : btn_hazard_take();
}

/*
 * The object that *from points to, safe to use until the same word of the
 * record is used for another object. While it is the same object as last time,
 * which is nearly always, this writes nothing.
 *
 * The address is in the record before *from is read, the last time. Who frees
 * has changed *from before it reads the record. All four are sequentially
 * consistent, so one of the two sees the other.
 */
static inline void *btn_hazard_protect(struct btn_hazard *h, unsigned int word,
				       void *_Atomic *from)
{
	void *p, *had;

	/* [HAZARD-1] only this thread writes it. */
	had = atomic_load_explicit(&h->words[word], memory_order_relaxed); /* [HAZARD-1] */
	for (;;) {
		BTN_POINT("hazard:protect:find");
		p = atomic_load_explicit(from, memory_order_seq_cst); /* [HAZARD-2] */
		if (btn_likely(p == had))
			return p;
		BTN_POINT("hazard:protect:say");
		atomic_store_explicit(&h->words[word], p, memory_order_seq_cst); /* [HAZARD-2] */
		had = p;
	}
}

/* Does any thread say that it uses p, which no new user can find any more? */
bool btn_hazard_used(const void *p);

/* How many records there are. Never falls. */
size_t btn_hazard_count(void);

#endif
