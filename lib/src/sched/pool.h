/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/pool.h - memory of workers, requests and tenants, which is kept for the next ones. */
#ifndef BTN_SCHED_POOL_H
#define BTN_SCHED_POOL_H

#include "types.h"

struct btn_worker *btn_pool_worker_new(struct baton_sched *s, bool attached);
/* Its thread has ended. */
void btn_pool_worker_free(struct btn_worker *w);
/* The memory of all but attached threads. */
void btn_pool_free_workers(struct baton_sched *s);
/* Its thread may have ended: its cell is others'. */
void btn_pool_quit(struct btn_worker *w);

/*
 * Requests. An attached thread keeps one's memory for its next one: NULL, false: it does not. Else
 * they are with the scheduler, behind a lock: the caller's thread is inside the library
 * (gate.h). *more: for the caller to free where it may; NULL: nothing.
 */
struct baton_request *btn_pool_request_kept(void);
bool btn_pool_request_keep(struct baton_request *r);
struct baton_request *btn_pool_request_take(struct baton_sched *s, struct baton_request **more);
void btn_pool_request_give(struct baton_request *r);
/* The caller is about to free s: nobody else has it. */
void btn_pool_free_requests(struct baton_sched *s);

/* With the lock. Tenants' memory; it has no name yet, and nobody can find it. NULL: there is none. */
struct baton_tenant *btn_pool_tenant_take(struct baton_sched *s);
void btn_pool_tenant_give(struct baton_tenant *t);
/* One less who has it, with the lock. */
void btn_pool_tenant_put_locked(struct baton_tenant *t);
/* The caller's memory is had for what follows; and it is not, and what was freed is the caller's to free. */
void btn_pool_prealloc_begin(struct baton_sched *s, struct btn_prealloc *mine);
void btn_pool_prealloc_end(struct baton_sched *s, struct btn_prealloc *mine);

#endif
