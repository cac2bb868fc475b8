/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/pool.h - memory of workers, requests and tenants, which is kept for the next ones. */
#ifndef BTN_SCHED_POOL_H
#define BTN_SCHED_POOL_H

#include "self.h"

/*
 * Requests that are kept for the next ones. If there are more, each eighth one that is made frees eight, and
 * one whose handle is put is freed itself.
 */
#define BTN_SPARES_MAX	4096
#define BTN_SPARES_FREED 8
/* Memory of so many requests is a thread's own, which submits without the lock, and taken at a time: door.h. */
#define BTN_SPARES_MINE	32

/* NULL: no memory. With the lock, but for the worker of an attached thread. */
struct btn_worker *btn_pool_worker_new(struct baton_sched *s, bool attached);
/* The worker's thread has ended. Without the lock. */
void btn_pool_worker_free(struct btn_worker *w);
/* With the lock: the worker is not needed, and never had a thread. */
void btn_pool_worker_back(struct btn_worker *w);
/* Without the lock: memory for more workers, where few are spare. 0 or -ENOMEM. */
int btn_pool_refill(struct baton_sched *s);
/* True: no worker is spare, and the monitor's next btn_pool_refill() may mend that. */
bool btn_pool_is_short(const struct baton_sched *s);
/* Frees the memory of all workers but those of attached threads. */
void btn_pool_free_workers(struct baton_sched *s);
/* The worker's cell becomes others'. Its thread may have ended. */
void btn_pool_quit(struct btn_worker *w);

/*
 * Memory for one request, and for some more; NULL: there is none. Called without the lock, as malloc() is. Then with the
 * lock: the others are the scheduler's.
 */
struct baton_request *btn_pool_request_grow(struct baton_sched *s);
void btn_pool_request_grown(struct baton_request *first);
/* Where free() may be called: one, or NULL; and all of a list that is linked by `next`. */
void btn_pool_request_free(struct baton_request *r);
void btn_pool_request_free_all(struct baton_request *first);
/*
 * Memory of requests. An attached thread keeps that of one request for its next one (NULL,
 * false: it does not). The rest is with the scheduler: take and give are called with its lock.
 */
struct baton_request *btn_pool_request_kept(void);
static inline bool btn_pool_request_keep(struct baton_request *r)
{
	if (btn_likely(!btn_self_attached) || btn_self_attached->kept)
		return false;
	btn_self_attached->kept = r;
	return true;
}

/* Taken: r->next is a list of memory for the caller to free, where it may; NULL: none. */
struct baton_request *btn_pool_request_take_slowly(struct baton_sched *s);
static inline struct baton_request *btn_pool_request_take(struct baton_sched *s)
{
	struct baton_request *r = s->spare;

	if (btn_unlikely(!r || (s->spares > BTN_SPARES_MAX && !(s->spares % BTN_SPARES_FREED))))
		return btn_pool_request_take_slowly(s);
	s->spare = r->next;
	s->spares--;
	r->next = NULL;
	return r;
}

static inline void btn_pool_request_give(struct baton_request *r)
{
	struct baton_sched *s = r->s;

	r->next = s->spare;
	s->spare = r;
	s->spares++;
}

/*
 * Memory that is the calling thread's: one; NULL: there is none. One back. The thread may have such, from now on, and gives it
 * back as it ends: without the lock. And with the lock, if it may, as much as there is: a list to be freed where free() may be
 * called, which begins with `more`.
 */
extern __thread struct baton_request *btn_self_spare
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline struct baton_request *btn_pool_request_mine(void)
{
	struct baton_request *r = btn_self_spare;

	if (btn_likely(r))
		btn_self_spare = r->next;
	return r;
}

static inline void btn_pool_request_unused(struct baton_request *r)
{
	r->next = btn_self_spare;
	btn_self_spare = r;
}

void btn_pool_request_begin_mine(void);
struct baton_request *btn_pool_request_refill(struct baton_sched *s, struct baton_request *more);
/* Frees what is the calling thread's. */
void btn_pool_request_free_mine(void);

/*
 * Gives memory back without the scheduler's lock; the caller is inside the library (gate.h).
 * False: enough is kept, and the caller frees r.
 */
bool btn_pool_request_give_back(struct baton_request *r);
/* The scheduler is about to be freed. */
void btn_pool_free_requests(struct baton_sched *s);

/*
 * Memory of tenants, with the lock. A tenant that was taken has no name yet, and cannot be
 * found. NULL: no memory.
 */
struct baton_tenant *btn_pool_tenant_take(struct baton_sched *s);
void btn_pool_tenant_give(struct baton_tenant *t);
/* Gives back one reference, with the lock. */
void btn_pool_tenant_put_locked(struct baton_tenant *t);
/*
 * Begin and end, both with the lock: in between the core takes memory from `mine`, the
 * caller's pool. Memory that was freed meanwhile is in it afterwards, for the caller to free.
 */
void btn_pool_prealloc_begin(struct baton_sched *s, struct btn_prealloc *mine);
void btn_pool_prealloc_end(struct baton_sched *s, struct btn_prealloc *mine);

#endif
