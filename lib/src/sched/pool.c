// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory of workers, requests and tenants, which is kept for the next ones. */
#include "pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../inject.h"
#include "../prealloc.h"
#include "alarm.h"
#include "slice.h"
#include "self.h"

/* Workers at a time. */
#define WORKERS		63
/*
 * Requests that are kept for the next ones. If there are more, each one that is made frees another, and
 * one whose handle is put is freed itself.
 */
#define SPARES_MAX	4096

/*
 * Workers' memory is the scheduler's own, and not malloc's: workers are made with the
 * scheduler's lock held, and freed by the monitor. Both would wait in malloc for a task that
 * was stopped while it had malloc's lock, and that goes on when the scheduler's lock is free
 * and the monitor comes.
 */
struct btn_workers {
	struct btn_workers *next;
	BTN_ALIGNED struct btn_worker worker[WORKERS];
};

static struct btn_worker *take_memory(struct baton_sched *s)
{
	struct btn_workers *chunk;
	struct btn_worker *w;
	int i;

	btn_lock_acquire(&s->spare_lock);
	if (!s->spare_worker) {
		BTN_EXCUSED("memory of workers", chunk = mmap(NULL, sizeof(*chunk), PROT_READ | PROT_WRITE,
							      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		if (chunk != MAP_FAILED) {
			chunk->next = s->chunks;
			s->chunks = chunk;
			for (i = WORKERS - 1; i >= 0; i--) {
				chunk->worker[i].next = s->spare_worker;
				s->spare_worker = &chunk->worker[i];
			}
		}
	}
	w = s->spare_worker;
	if (w)
		s->spare_worker = w->next;
	btn_lock_release(&s->spare_lock);
	return w;
}

static void put_memory(struct btn_worker *w)
{
	struct baton_sched *s = w->s;

	/*
	 * The worker of an attached thread may outlive the scheduler, and comes and goes with
	 * its thread.
	 */
	if (w->attached) {
		free(w);
		return;
	}
	btn_lock_acquire(&s->spare_lock);
	w->next = s->spare_worker;
	s->spare_worker = w;
	btn_lock_release(&s->spare_lock);
}

void btn_pool_free_workers(struct baton_sched *s)
{
	struct btn_workers *chunk;

	while ((chunk = s->chunks)) {
		s->chunks = chunk->next;
		munmap(chunk, sizeof(*chunk));
	}
}

struct btn_worker *btn_pool_worker_new(struct baton_sched *s, bool attached)
{
	struct btn_worker *w = attached ? aligned_alloc(BTN_CACHELINE, sizeof(*w)) : take_memory(s);
	int err;

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->s = s;
	w->attached = attached;
	w->slot = w->cpu = w->leaving = -1;
	w->went_on = -1;
	BTN_EXCUSED("memory of workers", err = BTN_FAIL("sched:worker") || baton_parker_create(&w->parker));
	if (err) {
		put_memory(w);
		return NULL;
	}
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
	btn_alarm_free(w);
	btn_slice_free(w);
	btn_pool_quit(w);
	baton_parker_destroy(w->parker);
	put_memory(w);
}

/*
 * Requests are made by one thread and end in another: malloc's caches are no
 * help there, and its locks are in the way. An attached thread's ends in the thread that
 * makes the next one: it keeps it, and no two of them meet at a lock for that. Memory of
 * requests that end with the scheduler's lock is spare, and taken with that lock. Memory of
 * those whose handle is put later is `returned`, under a lock of its own, and becomes spare
 * when there is none.
 */
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

bool btn_pool_request_keep(struct baton_request *r)
{
	if (!btn_self_attached || btn_self_attached->kept)
		return false;
	btn_self_attached->kept = r;
	return true;
}

struct baton_request *btn_pool_request_take(struct baton_sched *s, struct baton_request **more)
{
	struct baton_request *r;

	if (btn_unlikely(!s->spare))
		take_returned(s);
	r = take_spare(s);
	*more = btn_unlikely(s->spares > SPARES_MAX) ? take_spare(s) : NULL;
	return r;
}

void btn_pool_request_give(struct baton_request *r)
{
	struct baton_sched *s = r->s;

	r->next = s->spare;
	s->spare = r;
	s->spares++;
}

bool btn_pool_request_give_back(struct baton_request *r)
{
	struct baton_sched *s = r->s;
	bool given;

	btn_lock_acquire(&s->spare_lock);
	given = s->n_returned < SPARES_MAX;
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
	struct baton_request *r;

	do {
		while ((r = s->spare)) {
			s->spare = r->next;
			free(r);
		}
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
