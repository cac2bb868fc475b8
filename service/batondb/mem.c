// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each piece has a head that says how large it is and whose. A session takes and frees its memory on
 * its own thread; the few pieces of SQLite's that another thread frees (what connections to
 * one file share) are counted for their tenant exactly, and for their session not at all
 * any more: hundreds of bytes, of a session that is about to end.
 */
#include "mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct head {
	int64_t n;
	struct mem_tenant *tenant;
};
_Static_assert(sizeof(struct head) == 16, "what malloc() aligns to");

static struct mem_limits limits;
static _Atomic int64_t all;
static __thread struct {
	struct mem_tenant *tenant;
	int64_t used;
	bool session;
} mine;

void mem_limits(const struct mem_limits *l)
{
	limits = *l;
}

void mem_session(struct mem_tenant *t)
{
	mine.session = true;
	mine.tenant = t;
}

int64_t mem_used(void)
{
	return mine.used;
}

int64_t mem_used_all(void)
{
	return all;
}

static void count(struct mem_tenant *t, int64_t n)
{
	if (t)
		t->used += n;
	if (t == mine.tenant)
		mine.used += n;
	all += n;
}

/* Counted, and so no two threads find the same room. */
static bool take(int64_t n)
{
	count(mine.tenant, n);
	if (!mine.session || ((!limits.session || mine.used <= limits.session) &&
			      (!limits.tenant || !mine.tenant || mine.tenant->used <= limits.tenant) &&
			      (!limits.server || all <= limits.server)))
		return true;
	count(mine.tenant, -n);
	return false;
}

void *mem_alloc(int n)
{
	struct head *h;

	if (n < 0 || !take(n))
		return NULL;
	h = malloc((size_t)n + sizeof(*h));
	if (!h) {
		count(mine.tenant, -n);
		return NULL;
	}
	h->n = n;
	h->tenant = mine.tenant;
	return h + 1;
}

void mem_free(void *p)
{
	struct head *h = p ? (struct head *)p - 1 : NULL;

	if (!h)
		return;
	count(h->tenant, -h->n);
	free(h);
}

void *mem_realloc(void *p, int n)
{
	struct head *h = p ? (struct head *)p - 1 : NULL, *to;

	if (!h)
		return mem_alloc(n);
	/* A piece of another's stays his: there is nothing to be had by growing it. */
	if (n < 0 || (n > h->n && !take(n - h->n)))
		return NULL;
	to = realloc(h, (size_t)n + sizeof(*h));
	if (!to) {
		if (n > h->n)
			count(mine.tenant, -(n - h->n));
		return NULL;
	}
	if (n > to->n && to->tenant != mine.tenant) {
		count(mine.tenant, -(n - to->n));
		count(to->tenant, n - to->n);
	} else if (n < to->n) {
		count(to->tenant, -(to->n - n));
	}
	to->n = n;
	return to + 1;
}

int mem_size(void *p)
{
	return p ? (int)((struct head *)p)[-1].n : 0;
}
