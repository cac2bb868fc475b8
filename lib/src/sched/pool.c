// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory of workers, requests and tenants, which is kept for the next ones. */
#include "pool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "../hooks.h"
#include "../inject.h"
#include "../prealloc.h"
#include "alarm.h"
#include "slice.h"
#include "self.h"

/* Workers at a time. */
#define WORKERS		63
/* With fewer spare ones there are to be more. */
#define SPARE_WORKERS	32
/* Memory of so many requests is had at a time. */
#define CHUNK		16

/*
 * Workers' memory is the scheduler's own, and not malloc's: workers are made with the
 * scheduler's lock held, and freed by the monitor. Both would wait in malloc for a task that
 * was stopped while it had malloc's lock, and that goes on when the scheduler's lock is free
 * and the monitor comes.
 *
 * Nor is the kernel asked for memory with the lock: spare workers are there beforehand, each with its parker.
 *
 *	with the lock				without it
 *	takes a spare worker
 *						makes its thread; fewer than SPARE_WORKERS are
 *						left: maps a chunk
 *	no worker is spare: the task is
 *	given back, the monitor is due
 *						monitor: maps a chunk
 *	monitor: starved tasks are tried again
 *
 * [POOL-2] `spare_workers` is changed with spare_lock. A thread that reads it without that lock maps a chunk too many, or
 * leaves that to the next one, or to the monitor. So does `no_chunk`, which is a hint for when to try again.
 */
struct btn_workers {
	struct btn_workers *next;
	BTN_ALIGNED struct btn_worker worker[WORKERS];
};

static unsigned spare_workers(const struct baton_sched *s)
{
	return atomic_load_explicit(&s->spare_workers, memory_order_relaxed); /* [POOL-2] */
}

/* With spare_lock. */
static void put_locked(struct baton_sched *s, struct btn_worker *w)
{
	w->next = s->spare_worker;
	s->spare_worker = w;
	atomic_store_explicit(&s->spare_workers, spare_workers(s) + 1, memory_order_relaxed); /* [POOL-2] */
}

static struct btn_worker *take_spare_worker(struct baton_sched *s)
{
	struct btn_worker *w;

	btn_lock_acquire(&s->spare_lock);
	w = s->spare_worker;
	if (w) {
		s->spare_worker = w->next;
		atomic_store_explicit(&s->spare_workers, spare_workers(s) - 1, memory_order_relaxed); /* [POOL-2] */
	}
	btn_lock_release(&s->spare_lock);
	return w;
}

static int refill_slowly(struct baton_sched *s)
{
	struct btn_workers *chunk;
	int i, n, err, saved = errno;

	chunk = BTN_FAIL("sched:chunk") ? MAP_FAILED :
		mmap(NULL, sizeof(*chunk), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	err = chunk == MAP_FAILED ? -ENOMEM : 0;
	for (n = 0; !err && n < WORKERS; n++)
		err = baton_parker_create(&chunk->worker[n].parker);
	/* Some are better than none. */
	if (err && chunk != MAP_FAILED && !--n)
		munmap(chunk, sizeof(*chunk));
	else if (chunk != MAP_FAILED)
		err = 0;
	errno = saved;
	atomic_store_explicit(&s->no_chunk, err, memory_order_relaxed); /* [POOL-2] */
	if (err)
		return err;
	btn_lock_acquire(&s->spare_lock);
	chunk->next = s->chunks;
	s->chunks = chunk;
	for (i = n - 1; i >= 0; i--)
		put_locked(s, &chunk->worker[i]);
	btn_lock_release(&s->spare_lock);
	return 0;
}

int btn_pool_refill(struct baton_sched *s)
{
	return spare_workers(s) < SPARE_WORKERS ? refill_slowly(s) : 0;
}

bool btn_pool_is_short(const struct baton_sched *s)
{
	return !spare_workers(s) && !atomic_load_explicit(&s->no_chunk, memory_order_relaxed); /* [POOL-2] */
}

void btn_pool_worker_back(struct btn_worker *w)
{
	struct baton_sched *s = w->s;

	btn_lock_acquire(&s->spare_lock);
	put_locked(s, w);
	btn_lock_release(&s->spare_lock);
}

void btn_pool_free_workers(struct baton_sched *s)
{
	struct btn_workers *chunk;
	struct btn_worker *w;

	while ((w = take_spare_worker(s)))
		baton_parker_destroy(w->parker);
	while ((chunk = s->chunks)) {
		s->chunks = chunk->next;
		munmap(chunk, sizeof(*chunk));
	}
}

struct btn_worker *btn_pool_worker_new(struct baton_sched *s, bool attached)
{
	struct baton_parker *parker;
	struct btn_worker *w;

	if (BTN_FAIL("sched:worker"))
		return NULL;
	w = attached ? btn_mem_aligned(BTN_CACHELINE, sizeof(*w)) : take_spare_worker(s);
	if (!w)
		return NULL;
	if (!attached) {
		parker = w->parker;
	} else if (baton_parker_create(&parker)) {
		btn_mem_free(w);
		return NULL;
	}
	memset(w, 0, sizeof(*w));
	w->parker = parker;
	w->s = s;
	w->attached = attached;
	w->slot = w->cpu = w->leaving = -1;
	w->went_on = -1;
	return w;
}

void btn_pool_quit(struct btn_worker *w)
{
	if (!w->cell)
		return;
	btn_detect_cell_put(w->session, w->cell);
	w->cell = NULL;
}

void btn_pool_worker_free(struct btn_worker *w)
{
	struct baton_parker *next = NULL;

	btn_alarm_free(w);
	btn_slice_free(w);
	btn_pool_quit(w);
	/* A new parker: a late resume of the old one is told. Without one the memory is left alone until the scheduler ends. */
	if (!w->attached && baton_parker_create(&next))
		next = NULL;
	baton_parker_destroy(w->parker);
	w->parker = next;
	/*
	 * The worker of an attached thread may outlive the scheduler, and comes and goes with
	 * its thread.
	 */
	if (w->attached)
		btn_mem_free(w);
	else if (next)
		btn_pool_worker_back(w);
}

/*
 * Requests are made by one thread and end in another: malloc's caches are no
 * help there, and its locks are in the way. An attached thread's ends in the thread that
 * makes the next one: it keeps it, and no two of them meet at a lock for that. Memory of
 * requests that end with the scheduler's lock is spare, and taken with that lock. Memory of
 * those whose handle is put later is `returned`, under a lock of its own, and becomes spare
 * when there is none.
 */
struct btn_requests {
	_Atomic unsigned left;		/* parts that are not freed */
	void *memory;
	BTN_ALIGNED struct baton_request request[CHUNK];
};

/*
 * Memory comes from malloc() in chunks, and goes back when each part of the chunk has been freed, by whatever thread. Spare
 * requests are taken last in, first out, so those of one chunk are freed together but for a few. A part that is in
 * use keeps its chunk, some 11 KiB.
 *
 * [POOL-1] Each thread that frees a part releases what it did with it, and the one that frees the last part acquires all of
 * that, before the chunk is others' memory.
 */
struct baton_request *btn_pool_request_grow(struct baton_sched *s)
{
	/* Memory that aligned_alloc() cuts off is freed at once, which costs more than all the rest. */
	void *memory = btn_mem_get(sizeof(struct btn_requests) + BTN_CACHELINE);
	struct btn_requests *chunk;
	unsigned i;

	if (!memory)
		return NULL;
	chunk = (void *)(((uintptr_t)memory + BTN_CACHELINE - 1) & -(uintptr_t)BTN_CACHELINE);
	chunk->memory = memory;
	atomic_init(&chunk->left, CHUNK);
	for (i = 0; i < CHUNK; i++) {
		chunk->request[i].s = chunk->request[i].first.s = s;
		chunk->request[i].first.req = &chunk->request[i];
		chunk->request[i].chunk = chunk;
		chunk->request[i].next = &chunk->request[i + 1];
	}
	return chunk->request;
}

void btn_pool_request_grown(struct baton_request *first)
{
	struct baton_sched *s = first->s;

	first->chunk->request[CHUNK - 1].next = s->spare;
	s->spare = first->next;
	s->spares += CHUNK - 1;
	first->next = NULL;
}

void btn_pool_request_free(struct baton_request *r)
{
	if (!r || atomic_fetch_sub_explicit(&r->chunk->left, 1, memory_order_release) > 1) /* [POOL-1] */
		return;
	(void)atomic_load_explicit(&r->chunk->left, memory_order_acquire); /* [POOL-1] */
	btn_mem_free(r->chunk->memory);
}

void btn_pool_request_free_all(struct baton_request *first)
{
	struct baton_request *r;

	while ((r = first)) {
		first = r->next;
		btn_pool_request_free(r);
	}
}

static void take_returned(struct baton_sched *s)
{
	btn_lock_acquire(&s->spare_lock);
	s->spare = s->returned;
	s->spares = s->n_returned;
	s->returned = NULL;
	s->n_returned = 0;
	btn_lock_release(&s->spare_lock);
}

static struct baton_request *take_spare(struct baton_sched *s)
{
	struct baton_request *r = s->spare;

	if (r) {
		s->spare = r->next;
		s->spares--;
	}
	return r;
}

struct baton_request *btn_pool_request_kept(void)
{
	struct baton_request *r = btn_self_attached ? btn_self_attached->kept : NULL;

	if (r)
		btn_self_attached->kept = NULL;
	return r;
}

struct baton_request *btn_pool_request_take_slowly(struct baton_sched *s)
{
	struct baton_request *r, **last;
	unsigned i, n;

	if (!s->spare)
		take_returned(s);
	r = take_spare(s);
	if (!r)
		return NULL;
	n = s->spares > BTN_SPARES_MAX ? BTN_SPARES_FREED : 0;
	for (last = &r->next, i = 0; i < n; i++) {
		*last = take_spare(s);
		last = &(*last)->next;
	}
	*last = NULL;
	return r;
}

__thread struct baton_request *btn_self_spare;

static __thread bool has_mine __attribute__((tls_model("initial-exec")));
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;
static int at_exit_err;

void btn_pool_request_free_mine(void)
{
	btn_pool_request_free_all(btn_self_spare);
	btn_self_spare = NULL;
}

static void thread_ends(void *arg)
{
	/* A destructor that comes after this one, and submits, begins anew. */
	has_mine = false;
	btn_pool_request_free_mine();
}

static void make_key(void)
{
	at_exit_err = pthread_key_create(&at_exit, thread_ends);
}

void btn_pool_request_begin_mine(void)
{
	if (btn_likely(has_mine))
		return;
	pthread_once(&once, make_key);
	/* The value has only to be another than NULL. */
	has_mine = !at_exit_err && !pthread_setspecific(at_exit, &has_mine);
}

struct baton_request *btn_pool_request_refill(struct baton_sched *s, struct baton_request *more)
{
	unsigned i, n = s->spares > BTN_SPARES_MAX ? BTN_SPARES_MINE : 0;
	struct baton_request *r;

	if (btn_self_spare || !has_mine)
		return more;
	for (i = 0; i < BTN_SPARES_MINE && (r = take_spare(s)); i++)
		btn_pool_request_unused(r);
	/* As many are freed as were taken, where there are too many. */
	for (i = 0; i < n && (r = take_spare(s)); i++) {
		r->next = more;
		more = r;
	}
	return more;
}

bool btn_pool_request_give_back(struct baton_request *r)
{
	struct baton_sched *s = r->s;
	bool given;

	btn_lock_acquire(&s->spare_lock);
	given = s->n_returned < BTN_SPARES_MAX;
	if (given) {
		r->next = s->returned;
		s->returned = r;
		s->n_returned++;
	}
	btn_lock_release(&s->spare_lock);
	return given;
}

void btn_pool_free_requests(struct baton_sched *s)
{
	do {
		btn_pool_request_free_all(s->spare);
		take_returned(s);
	} while (s->spare);
}

/* Memory of a tenant is never anything else's until the end: look-ups of names rely on that. */
struct baton_tenant *btn_pool_tenant_take(struct baton_sched *s)
{
	struct baton_tenant *t = s->spare_tenants;

	if (t) {
		s->spare_tenants = t->next;
	} else {
		t = btn_prealloc_take(s->core.prealloc, BTN_PREALLOC_TENANT, sizeof(*t));
		if (!t)
			return NULL;
		t->s = s;
		t->next_all = s->all_tenants;
		s->all_tenants = t;
	}
	t->epoch = 0;
	return t;
}

void btn_pool_tenant_give(struct baton_tenant *t)
{
	t->next = t->s->spare_tenants;
	t->s->spare_tenants = t;
}

void btn_pool_tenant_put_locked(struct baton_tenant *t)
{
	if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1) /* [NAMES-3] */
		return;
	btn_pool_tenant_give(t);
}

void btn_pool_prealloc_begin(struct baton_sched *s, struct btn_prealloc *mine)
{
	btn_prealloc_open(mine);
	s->core.prealloc = mine;
}

void btn_pool_prealloc_end(struct baton_sched *s, struct btn_prealloc *mine)
{
	struct btn_block **last;

	s->core.prealloc = &s->deferred;
	/* Memory of tenants whose last request ended since the last call of this. */
	for (last = &mine->deferred; *last; last = &(*last)->next)
		;
	*last = s->deferred.deferred;
	s->deferred.deferred = NULL;
}
