/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/names.h - tenants by name, and references to them. */
#ifndef BTN_SCHED_NAMES_H
#define BTN_SCHED_NAMES_H

#include "types.h"

/* Takes a reference; false: the tenant is gone. Called without the lock. */
static inline bool btn_names_get(struct baton_tenant *t)
{
	unsigned refs = atomic_load_explicit(&t->refs, memory_order_relaxed); /* [NAMES-3] */

	while (refs && !atomic_compare_exchange_weak_explicit(&t->refs, &refs, refs + 1,
							      memory_order_acquire, /* [NAMES-3] */
							      memory_order_relaxed)) /* [NAMES-3] */
		;
	return refs;
}

void btn_names_put(struct baton_tenant *t);
/* The tenant of that name, with a reference for the caller; NULL: none. Called without the lock. */
struct baton_tenant *btn_names_find(struct baton_sched *s, const char *name);

/* With the lock, all from here on. The tenant of that name; NULL: none. */
struct baton_tenant *btn_names_find_locked(struct baton_sched *s, const char *name);
/*
 * Reserve: memory for so many more names. -ENOMEM. Add: t is a tenant from now on; "": without
 * a name. Del: t cannot be found any more.
 */
int btn_names_reserve(struct baton_sched *s, size_t more);
void btn_names_add(struct baton_tenant *t, const char *name);
void btn_names_del(struct baton_tenant *t);
void btn_names_free(struct baton_sched *s);

#endif
