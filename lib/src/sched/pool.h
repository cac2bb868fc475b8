/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/pool.h - memory of workers, requests and tenants, which is kept for the next ones. */
#ifndef BTN_SCHED_POOL_H
#define BTN_SCHED_POOL_H

#include "types.h"

struct btn_worker *btn_pool_worker_new(struct baton_sched *s, bool attached);
/* The worker's thread has ended. */
void btn_pool_worker_free(struct btn_worker *w);
/* Frees the memory of all workers but those of attached threads. */
void btn_pool_free_workers(struct baton_sched *s);
/* The worker's cell becomes others'. Its thread may have ended. */
void btn_pool_quit(struct btn_worker *w);

/*
 * Memory of requests. An attached thread keeps that of one request for its next one (NULL,
 * false: it does not). The rest is with the scheduler: take and give are called with its lock.
 * *more: memory for the caller to free, where it may; NULL: none.
 */
struct baton_request *btn_pool_request_kept(void);
bool btn_pool_request_keep(struct baton_request *r);
struct baton_request *btn_pool_request_take(struct baton_sched *s, struct baton_request **more);
void btn_pool_request_give(struct baton_request *r);
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
