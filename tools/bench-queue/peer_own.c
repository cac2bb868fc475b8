// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peer_own.c - peers written for the benchmark: the bounded queue of Dmitry
 * Vyukov as published, plain, and what most programs have, a mutex and a
 * condition variable around an array. In Vyukov's, each cell's seq orders its
 * data [PEER-1].
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

struct vyukov {
	_Alignas(128) size_t mask;
	struct vyukov_cell {
		_Atomic size_t seq;
		void *data;
	} *cells;
	_Alignas(128) _Atomic size_t tail;
	_Alignas(128) _Atomic size_t head;
};

static void *peer_create_vyukov(size_t capacity, unsigned threads)
{
	struct vyukov *q = aligned_alloc(128, sizeof(*q));
	size_t i;

	memset(q, 0, sizeof(*q));
	q->mask = capacity - 1;
	q->cells = aligned_alloc(128, capacity * sizeof(*q->cells));
	for (i = 0; i < capacity; i++)
		atomic_init(&q->cells[i].seq, i);
	return q;
}

static void peer_destroy_vyukov(void *p)
{
	struct vyukov *q = p;

	free(q->cells);
	free(q);
}

static inline bool vyukov_push(struct vyukov *q, void *x)
{
	size_t pos = atomic_load_explicit(&q->tail, memory_order_relaxed); /* [PEER-1] */

	for (;;) {
		struct vyukov_cell *c = &q->cells[pos & q->mask];
		size_t seq = atomic_load_explicit(&c->seq, memory_order_acquire); /* [PEER-1] */
		ptrdiff_t d = (ptrdiff_t)(seq - pos);

		if (!d) {
			if (atomic_compare_exchange_weak_explicit(&q->tail, &pos, pos + 1,
					memory_order_relaxed, memory_order_relaxed)) { /* [PEER-1] */
				c->data = x;
				atomic_store_explicit(&c->seq, pos + 1, memory_order_release); /* [PEER-1] */
				return true;
			}
		} else if (d < 0) {
			return false;
		} else {
			pos = atomic_load_explicit(&q->tail, memory_order_relaxed); /* [PEER-1] */
		}
	}
}

static inline bool vyukov_pop(struct vyukov *q, void **x)
{
	size_t pos = atomic_load_explicit(&q->head, memory_order_relaxed); /* [PEER-1] */

	for (;;) {
		struct vyukov_cell *c = &q->cells[pos & q->mask];
		size_t seq = atomic_load_explicit(&c->seq, memory_order_acquire); /* [PEER-1] */
		ptrdiff_t d = (ptrdiff_t)(seq - (pos + 1));

		if (!d) {
			if (atomic_compare_exchange_weak_explicit(&q->head, &pos, pos + 1,
					memory_order_relaxed, memory_order_relaxed)) { /* [PEER-1] */
				*x = c->data;
				atomic_store_explicit(&c->seq, pos + q->mask + 1, memory_order_release); /* [PEER-1] */
				return true;
			}
		} else if (d < 0) {
			return false;
		} else {
			pos = atomic_load_explicit(&q->head, memory_order_relaxed); /* [PEER-1] */
		}
	}
}

#define PEER vyukov
#define PEER_NAME "vyukov"
#define PEER_KIND PEER_BOUNDED
#define PEER_T struct vyukov
#define PEER_PUSH(q, x) vyukov_push(q, x)
#define PEER_POP(q, x) vyukov_pop(q, &x)
#include "loops.h"

struct locked {
	pthread_mutex_t lock;
	pthread_cond_t room, some;
	size_t mask, tail, head;
	void **v;
};

static void *peer_create_mutex(size_t capacity, unsigned threads)
{
	struct locked *q = calloc(1, sizeof(*q));

	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->room, NULL);
	pthread_cond_init(&q->some, NULL);
	q->mask = capacity - 1;
	q->v = malloc(capacity * sizeof(*q->v));
	return q;
}

static void peer_destroy_mutex(void *p)
{
	struct locked *q = p;

	pthread_cond_destroy(&q->some);
	pthread_cond_destroy(&q->room);
	pthread_mutex_destroy(&q->lock);
	free(q->v);
	free(q);
}

/* Waits inside, as its users do; so it never returns false. */
static bool locked_push(struct locked *q, void *x)
{
	pthread_mutex_lock(&q->lock);
	while (q->tail - q->head > q->mask)
		pthread_cond_wait(&q->room, &q->lock);
	q->v[q->tail++ & q->mask] = x;
	pthread_mutex_unlock(&q->lock);
	pthread_cond_signal(&q->some);
	return true;
}

static bool locked_pop(struct locked *q, void **x)
{
	pthread_mutex_lock(&q->lock);
	while (q->tail == q->head)
		pthread_cond_wait(&q->some, &q->lock);
	*x = q->v[q->head++ & q->mask];
	pthread_mutex_unlock(&q->lock);
	pthread_cond_signal(&q->room);
	return true;
}

#define PEER mutex
#define PEER_NAME "mutex_condvar"
#define PEER_KIND PEER_BOUNDED
#define PEER_T struct locked
#define PEER_PUSH(q, x) locked_push(q, x)
#define PEER_POP(q, x) locked_pop(q, &x)
#include "loops.h"
