// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * park.c - one permit, one sleeper, any number of wakers.
 *
 * The word goes EMPTY -> PERMIT by resume, EMPTY -> PARKED and PERMIT -> EMPTY
 * by the owner's one decrement in block, PARKED -> PERMIT by resume, which then
 * owes the owner a wake, and back to EMPTY by the owner when it wakes or gives
 * up. Only the owner ever leaves PERMIT, only the owner ever sleeps there, and
 * only while the word is PARKED.
 *
 * 1. A permit is never lost, also when it is merged
 *
 * It is tempting to let resume look first ("there is a permit already, nothing
 * to do") or to let the owner take the permit with a load and a store. Then
 * this happens, with X any data that the permit announces:
 *
 *	owner                   waker B                 waker C
 *				word = PERMIT
 *	word: PERMIT, taken
 *	word = EMPTY (in the
 *	  store buffer)
 *	reads X == 0
 *							X = 1
 *							word: still PERMIT, or
 *							writes PERMIT over it
 *	word = EMPTY (seen
 *	  by all, C's permit
 *	  is gone)
 *	blocks for ever
 *
 * x86 does that too, and on arm64 C's look may as well come before its X = 1.
 * So each of them is one read-modify-write, and each resume writes, though
 * what it writes was there before:
 *
 *	resume			block
 *
 *	X = 1			take the permit:
 *	(a) word = PERMIT	(b) decrement, or exchange for EMPTY
 *	    [PARK-1] release	    [PARK-1] acquire
 *				reads X
 *
 * All writes to the word by resume and by the owner are read-modify-writes.
 * If (a) of C comes before (b) in the word's order then (b) reads from C or
 * from a write in C's release sequence, and so acquires what C released, also
 * where other resumes came between; if it comes after (b) the permit of C is
 * still in the word and the next block takes it. That is all the order there
 * is; nothing else is published through the word. It needs no sequential
 * consistency: there is one word.
 *
 * 2. The sleeper is woken
 *
 *	resume			block
 *
 *	(c) word = PERMIT	(e) word = PARKED
 *	if it was PARKED	(f) the kernel sleeps only if, holding the
 *	(d)   FUTEX_WAKE	    lock of the word's queue, it reads PARKED
 *
 * If (c) sees EMPTY then (e) comes later and finds the permit: it is the same
 * decrement that would take it. If (c) sees PARKED it wakes: either (f) came
 * first, then (d) finds the sleeper in the queue, or (f) reads PERMIT. That
 * the kernel's look at the queue in (d) comes after (c), and its look at the
 * word in (f) after it is in the queue, is what FUTEX_WAIT and FUTEX_WAKE
 * promise (a full barrier on each side, "hb_waiters" in kernel/futex); (c) and
 * (e) need no fence of their own.
 *
 * Whoever turned PARKED into PERMIT owes the wake; everybody who comes later
 * sees PERMIT and does not. switch_to pays by its swap, which wakes whatever
 * becomes of its own wait, or by a plain wake if its own permit was there or
 * the kernel has no swap.
 *
 * The relaxed load after a wake [PARK-2] only asks whether to sleep again; the
 * exchange that follows takes the permit and does the acquiring. A stale
 * PARKED costs one more futex call, which reads the word under the kernel's
 * lock and says EAGAIN.
 *
 * 3. A late wake touches nothing that is gone
 *
 *	waker			owner
 *	(g) word = PERMIT
 *				wakes by its deadline or a signal, or had not
 *				slept yet; takes the permit; destroys the
 *				parker; its memory becomes something else
 *	(h) FUTEX_WAKE(&word)
 *
 * (h) may come any time later, and in switch_to the waker sleeps inside it, so
 * to count the wakers in flight and wait for them would be to wait for ever.
 * Two things make (h) harmless. The word is a private futex: its key is an
 * address and a wake reads no memory there. And the memory never becomes
 * something else than another parker's word [PARK-3]: (h) is then a spurious
 * wake of that parker's owner, which looks at its word and sleeps on. After (g)
 * no waker reads or writes the parker. Were it freed, (h) could wake a thread
 * out of some other library's futex, and not all of those look again.
 *
 * Before (g) it is the caller who must know that the parker is there: as long
 * as he owes it a permit the owner has to wait for it. Whom that does not help
 * finds DEAD in the word, where it has not been used again, and is stopped.
 * The word's changes between DEAD and EMPTY are ordered by the pool's lock and
 * by however the program hands the parker from thread to thread; [PARK-3] are
 * therefore relaxed.
 */
#include "park.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "die.h"
#include "futex.h"
#include "inject.h"
#include "tsan.h"

struct btn_park_chunk *btn_park_chunks;

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;
/* Oldest first, so that a destroyed parker stays DEAD for as long as can be. */
static struct baton_parker *pool_first, **pool_last = &pool_first;

static void pool_acquire(void)
{
	pthread_mutex_lock(&pool_lock);
}

static void pool_release(void)
{
	pthread_mutex_unlock(&pool_lock);
}

static void pool_init(void)
{
	/* Without it a child of fork could find the lock held by nobody. */
	pthread_atfork(pool_acquire, pool_release, pool_release);
}

static void pool_put_locked(struct baton_parker *p)
{
	p->next = NULL;
	*pool_last = p;
	pool_last = &p->next;
}

static int pool_grow_locked(void)
{
	struct btn_park_chunk *chunk = MAP_FAILED;
	size_t i;

	/* Not malloc: the scheduler must not wait for that one's lock (sched/gate.c). */
	if (!BTN_FAIL("park:create:chunk"))
		chunk = mmap(NULL, sizeof(*chunk), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (chunk == MAP_FAILED)
		return -ENOMEM;
	chunk->next = btn_park_chunks;
	btn_park_chunks = chunk;
	for (i = 0; i < sizeof(chunk->parkers) / sizeof(chunk->parkers[0]); i++) {
		atomic_init(&chunk->parkers[i].word, BTN_PARK_DEAD);
		pool_put_locked(&chunk->parkers[i]);
	}
	return 0;
}

int baton_parker_create(struct baton_parker **out)
{
	struct baton_parker *p;
	int saved = errno, err;

	*out = NULL;
	err = btn_futex_init();
	if (err)
		return err;
	pthread_once(&pool_once, pool_init);
	pool_acquire();
	if (!pool_first)
		err = pool_grow_locked();
	if (!err) {
		p = pool_first;
		pool_first = p->next;
		if (!pool_first)
			pool_last = &pool_first;
		p->deadline = 0;
		p->thread = NULL;
		atomic_store_explicit(&p->word, BTN_PARK_EMPTY,
				      memory_order_relaxed); /* [PARK-3] */
		*out = p;
	}
	pool_release();
	errno = saved;
	return err;
}

void baton_parker_destroy(struct baton_parker *p)
{
	uint32_t old;

	if (!p)
		return;
	old = atomic_exchange_explicit(&p->word, BTN_PARK_DEAD,
				       memory_order_relaxed); /* [PARK-3] */
	if (old == BTN_PARK_PARKED)
		btn_die("baton_parker_destroy: a thread is blocked on this parker", 0);
	if (old == BTN_PARK_DEAD)
		btn_die("baton_parker_destroy: this parker is destroyed already", 0);
	pool_acquire();
	pool_put_locked(p);
	pool_release();
}

/* The permit is given; true if the owner has to be woken. */
static inline bool give(struct baton_parker *to, const char *who)
{
	uint32_t old;

	BTN_POINT("park:give:exchange");
	old = atomic_exchange_explicit(&to->word, BTN_PARK_PERMIT,
				       memory_order_release); /* [PARK-1] */
	if (old == BTN_PARK_PARKED)
		return true;
	if (btn_unlikely(old == BTN_PARK_DEAD))
		btn_die(who, 0);
	return false;
}

/* True if the permit was there; else the word is PARKED and the owner must wait. */
static inline bool take_or_park(struct baton_parker *self, uint64_t deadline)
{
	uint32_t old;

	self->deadline = deadline;
	self->thread = __builtin_thread_pointer();
	BTN_POINT("park:take_or_park:decrement");
	old = atomic_fetch_sub_explicit(&self->word, 1,
					memory_order_acquire); /* [PARK-1] */
	if (old == BTN_PARK_PERMIT)
		return true;
	if (btn_unlikely(old != BTN_PARK_EMPTY))
		btn_die(old == BTN_PARK_PARKED ?
			"two threads block on one parker" :
			"a thread blocks on a parker that was destroyed", 0);
	return false;
}

static inline bool still_parked(struct baton_parker *self)
{
	BTN_POINT("park:still_parked:look");
	return atomic_load_explicit(&self->word, memory_order_relaxed) == /* [PARK-2] */
	       BTN_PARK_PARKED;
}

/* The owner that parked has its permit. */
static inline int take(struct baton_parker *self)
{
	BTN_POINT("park:take:exchange");
	atomic_exchange_explicit(&self->word, BTN_PARK_EMPTY,
				 memory_order_acquire); /* [PARK-1] */
	return 0;
}

/* The word was PARKED and a first wait returned err. */
static int wait_on(struct baton_parker *self, uint64_t deadline, _Atomic uint32_t *notified, int err)
{
	for (;;) {
		/* Written before the wake, looked at after it. */
		if (err == -ETIMEDOUT ||
		    (notified && atomic_load_explicit(notified, memory_order_relaxed))) { /* [WAKER-1] */
			BTN_POINT("park:wait_on:give_up");
			if (atomic_exchange_explicit(&self->word, BTN_PARK_EMPTY,
						     memory_order_acquire) == /* [PARK-1] */
			    BTN_PARK_PERMIT)
				return 0;
			return err == -ETIMEDOUT ? -ETIMEDOUT : -EINTR;
		}
		if (!still_parked(self))
			return take(self);
		BTN_POINT("park:wait_on:again");
		err = btn_futex->wait(&self->word, BTN_PARK_PARKED, deadline);
	}
}

static inline int block(struct baton_parker *self, uint64_t deadline, _Atomic uint32_t *notified)
{
	if (take_or_park(self, deadline))
		return 0;
	BTN_POINT("park:block:wait");
	return wait_on(self, deadline, notified,
		       btn_futex->wait(&self->word, BTN_PARK_PARKED, deadline));
}

int baton_parker_block(struct baton_parker *self, uint64_t deadline)
{
	int err = block(self, deadline, NULL);

	if (!err)
		btn_tsan_acquire(self);
	return err;
}

void baton_parker_resume(struct baton_parker *to)
{
	btn_tsan_release(to);
	if (!give(to, "baton_parker_resume: this parker was destroyed"))
		return;
	/* From here on *to may be another parker. */
	BTN_POINT("park:resume:wake");
	btn_futex->wake(&to->word, 1);
}

static inline int switch_to(struct baton_parker *self, struct baton_parker *to, uint64_t deadline,
			    _Atomic uint32_t *notified)
{
	int err;

	if (!give(to, "baton_parker_switch_to: this parker was destroyed"))
		return block(self, deadline, notified);
	/* From here on *to may be another parker, and its owner is owed a wake. */
	if (!btn_futex->swap) {
		/*
		 * Wake first: on one CPU the woken thread often runs at once, and
		 * if it passes the permit back before we park neither of us sleeps.
		 */
		BTN_POINT("park:switch_to:wake_first");
		btn_futex->wake(&to->word, 1);
		return block(self, deadline, notified);
	}
	if (take_or_park(self, deadline)) {
		BTN_POINT("park:switch_to:wake");
		btn_futex->wake(&to->word, 1);
		return 0;
	}
	BTN_POINT("park:switch_to:swap");
	err = btn_futex->swap(&self->word, BTN_PARK_PARKED, deadline, &to->word);
	/* Nearly always so: wait_on() need not be called. */
	if (btn_likely(!err && !still_parked(self)))
		return take(self);
	return wait_on(self, deadline, notified, err);
}

int baton_parker_switch_to(struct baton_parker *self, struct baton_parker *to, uint64_t deadline)
{
	int err;

	btn_tsan_release(to);
	err = switch_to(self, to, deadline, NULL);
	if (!err)
		btn_tsan_acquire(self);
	return err;
}

int btn_parker_wait(struct baton_parker *self, struct baton_parker *to, uint64_t deadline, _Atomic uint32_t *notified)
{
	return to ? switch_to(self, to, deadline, notified) : block(self, deadline, notified);
}
