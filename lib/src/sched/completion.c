// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Completion queues: ends of requests, and an eventfd that is readable while one is there.
 *
 * The queue has a lock of its own, under which nothing is done but linking. The system
 * calls come before it and after it, so the eventfd and the list change at different
 * times. `rung` says for both sides that the eventfd is readable, or that somebody is about
 * to make it so:
 *
 *	who adds				who takes
 *						(c) read the eventfd: it is not readable
 *	(a) link; rung was false?		(d) unlink; rung = is anything left?
 *	    then rung = true			(e) something left: write the eventfd
 *	(b) rung was false: write the eventfd
 *
 * Wrong would be (d) before (c), where an end is added between the two:
 *
 *	(d) unlinks the last end, rung = false
 *	(a) links another, (b) writes
 *	(c) reads: the eventfd is not readable, and an end is there, for ever
 *
 * In the right order, what is added after (d) has found rung false and is written after
 * (c). What is added between (c) and (d) with rung true, so without a write, is taken by
 * (d), or left there, and then (e) writes. A (b) that comes late, after its end was taken,
 * makes the eventfd readable for nothing: the next (c) ends that.
 *
 * (b) comes after the lock was given up, when the last end may have been taken and the
 * queue destroyed: who is to write holds a reference (refs), and the last one to give one
 * back closes the eventfd and frees the queue.
 *
 * selftests/model/completion.pml is a model of this.
 */
#include "completion.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../die.h"
#include "../hooks.h"
#include "../inject.h"
#include "self.h"

struct baton_completions {
	struct btn_lock lock;
	int fd;
	unsigned process;
	/* The lock. */
	struct baton_request *first, **last;
	unsigned refs;			/* the owner's, and one for each thread that is to write */
	uint64_t expected;		/* requests whose end was not taken yet */
	bool rung;
};

int btn_completion_create(struct baton_completions **out)
{
	struct baton_completions *q = BTN_FAIL("completion:create") ? NULL : btn_mem_zeroed(1, sizeof(*q));
	int err;

	*out = NULL;
	if (!q || btn_self_init()) {
		btn_mem_free(q);
		return -ENOMEM;
	}
	q->process = atomic_load_explicit(&btn_self_process, memory_order_relaxed); /* [FORK-1] */
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0) {
		err = -errno;
		btn_mem_free(q);
		return err;
	}
	btn_lock_watch(&q->lock);
	q->last = &q->first;
	q->refs = 1;
	*out = q;
	return 0;
}

static void put_queue(struct baton_completions *q)
{
	bool last;

	btn_lock_acquire(&q->lock);
	last = !--q->refs;
	btn_lock_release(&q->lock);
	if (!last)
		return;
	close(q->fd);
	btn_mem_free(q);
}

int btn_completion_destroy(struct baton_completions *q)
{
	bool busy;

	btn_lock_acquire(&q->lock);
	busy = q->expected;
	btn_lock_release(&q->lock);
	if (busy)
		return -EBUSY;
	put_queue(q);
	return 0;
}

bool btn_completion_is_here(const struct baton_completions *q)
{
	return btn_self_is_here(q->process);
}

int btn_completion_fd(const struct baton_completions *q)
{
	return q->fd;
}

void btn_completion_expect(struct baton_completions *q, int by)
{
	btn_lock_acquire(&q->lock);
	q->expected += by;
	btn_lock_release(&q->lock);
}

/* (b), (e). So many writes that there is no room for another, 2^64, do not happen. */
static void ring_queue(const struct baton_completions *q)
{
	uint64_t one = 1;
	int saved = errno;

	BTN_POINT("completion:ring:write");
	if (btn_unlikely(write(q->fd, &one, sizeof(one)) != sizeof(one)))
		btn_die("writing a completion queue's eventfd:", errno);
	errno = saved;
}

/* (c). */
static void silence_queue(const struct baton_completions *q)
{
	int saved = errno;
	uint64_t n;

	BTN_POINT("completion:silence:read");
	if (btn_unlikely(read(q->fd, &n, sizeof(n)) != sizeof(n) && errno != EAGAIN))
		btn_die("reading a completion queue's eventfd:", errno);
	errno = saved;
	BTN_POINT("completion:silence:done");
}

void btn_completion_add(struct baton_request *r)
{
	struct baton_completions *q = r->completions;
	bool rings;

	r->next = NULL;
	btn_lock_acquire(&q->lock);
	*q->last = r;
	q->last = &r->next;
	rings = !q->rung;
	q->rung = true;
	q->refs += rings;
	btn_lock_release(&q->lock);
	if (!rings)
		return;
	ring_queue(q);
	put_queue(q);
}

struct baton_request *btn_completion_take(struct baton_completions *q, unsigned max)
{
	struct baton_request *first, **last;
	bool rings;

	silence_queue(q);
	btn_lock_acquire(&q->lock);
	first = q->first;
	for (last = &q->first; *last && max; last = &(*last)->next, max--)
		q->expected--;
	q->first = *last;
	*last = NULL;
	if (!q->first)
		q->last = &q->first;
	rings = q->rung = q->first != NULL;
	btn_lock_release(&q->lock);
	if (rings)
		ring_queue(q);
	return first;
}
