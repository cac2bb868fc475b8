// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tenants by name: found without a lock while others add, remove, rename and reload them.
 *
 * A table of pointers, open addressing, linear probing. Writers hold the scheduler's lock. A
 * thread that looks a name up holds nothing and waits for no other:
 *
 *	writer (has the lock)			reader
 *
 *	(a) t's name, refs = 1			table			[HAZARD-2]
 *	(b) a place of the probe = t		each place of the probe:
 *	    [NAMES-1] release			    t	[NAMES-1] acquire
 *						    its name is this?	[NAMES-2]
 *	(c) that place = GONE			    refs 0? next; refs + 1
 *	(d) refs - 1; 0: t may be another one	    its name is still this? found
 *	    [NAMES-3]					[NAMES-3]
 *
 * A tenant in the table stays in its place until (c), and no place that was used is empty
 * again. So a probe that comes to an empty place has passed every tenant that was there all
 * the time, and it sees by (b) one that was added before it began. A tenant that is added or
 * removed while the probe goes on is found or not, and either is right.
 *
 * A tenant's memory stays a tenant's until the scheduler is destroyed, and is then used for
 * another one. So it does no harm to look at the name and the count of a tenant that is gone.
 * The count decides: it does not rise from 0 but by (a). So a reader that raised it has a
 * tenant that was there then, and looks at the name once more, as the memory may have become
 * another tenant in between. [NAMES-3] The rise from what (a) released acquires the name. A
 * reader that did not look again would be wrong: name read, (d), (a) with another name, count
 * raised: the wrong tenant.
 *
 * When few places are empty the table is made anew, without those that are GONE. A reader may
 * be in the old table, which is as good as it was when the reader began. The old table is
 * freed when no hazard pointer is on it (hazard.h): at the latest with the scheduler. If a
 * name is removed and added without end there are so no more than a few tables.
 *
 * liburcu's cds_lfht does the same, and is not used because it wants each tenant's memory kept
 * until a grace period is over, and for that a thread for call_rcu() and rcu_barrier() at the
 * end, in a library that starts no thread but its own and is loaded by services that may fork;
 * a flavour that its users do not clash with; and ThreadSanitizer, with which all this is
 * tested, does not see through the copy that Debian has. What it could do besides, several
 * writers at once and growing without a copy, is not needed: writers have the scheduler's lock
 * anyway, and a copy of 100,000 pointers is a millisecond. Here it is a hundred lines, and
 * nothing to link.
 */
#include "names.h"

#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include "../hazard.h"
#include "../inject.h"
#include "gate.h"
#include "pool.h"

#define GONE	((struct baton_tenant *)1)
/*
 * The hazard pointer of a thread that look-ups use; queues use it too, and no thread is in
 * both at once.
 */
#define WORD	(BTN_HAZARD_WORDS - 1)

struct btn_names {
	size_t capacity;		/* a power of two */
	size_t used;			/* places that are not empty; the lock */
	struct btn_names *older;	/* the lock */
	struct baton_tenant *_Atomic at[];
};

struct words {
	uint64_t w[BTN_NAME_WORDS];
};

static struct words words_of(const char *name)
{
	struct words n = { { 0 } };

	memcpy(n.w, name, strlen(name));
	return n;
}

static size_t hash_of(const struct words *n)
{
	uint64_t h = 0xcbf29ce484222325ULL;
	unsigned i;

	for (i = 0; i < BTN_NAME_WORDS; i++) {
		h = (h ^ n->w[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 32;
	}
	return h;
}

/* [NAMES-2] the name of a tenant that is being made anew may be anything, which does no harm: see above. */
static bool has_name(const struct baton_tenant *t, const struct words *n)
{
	unsigned i;

	for (i = 0; i < BTN_NAME_WORDS; i++)
		if (atomic_load_explicit(&t->name[i], memory_order_relaxed) != n->w[i]) /* [NAMES-2] */
			return false;
	return true;
}

void btn_names_put(struct baton_tenant *t)
{
	unsigned refs = atomic_load_explicit(&t->refs, memory_order_relaxed); /* [NAMES-3] */
	struct baton_sched *s = t->s;

	while (refs > 1)
		if (atomic_compare_exchange_weak_explicit(&t->refs, &refs, refs - 1,
							  memory_order_release, /* [NAMES-3] */
							  memory_order_relaxed)) /* [NAMES-3] */
			return;
	/*
	 * The last reference is given back with the lock: as long as that is held s is not
	 * destroyed.
	 */
	btn_gate_lock(s);
	btn_pool_tenant_put_locked(t);
	btn_gate_release(s);
}

static struct baton_tenant *look_up(struct btn_names *names, const struct words *n, size_t *place)
{
	size_t i, at, first = hash_of(n);
	struct baton_tenant *t;

	for (i = 0; names && i < names->capacity; i++) {
		at = (first + i) & (names->capacity - 1);
		BTN_POINT("sched:names:place");
		t = atomic_load_explicit(&names->at[at], memory_order_acquire); /* [NAMES-1] */
		if (!t)
			break;
		if (t == GONE || !has_name(t, n))
			continue;
		/* A caller with the lock (place) knows that the tenant stays. */
		if (place) {
			*place = at;
			return t;
		}
		BTN_POINT("sched:names:get");
		if (!btn_names_get(t))
			continue;
		BTN_POINT("sched:names:got");
		if (has_name(t, n))
			return t;
		btn_names_put(t);
	}
	return NULL;
}

static struct btn_names *table_of(struct baton_sched *s)
{
	/* [NAMES-4] the lock is held, or the thread that reads it wrote it. */
	return atomic_load_explicit(&s->names, memory_order_relaxed); /* [NAMES-4] */
}

struct baton_tenant *btn_names_find_locked(struct baton_sched *s, const char *name)
{
	struct words n = words_of(name);
	size_t place;

	return look_up(table_of(s), &n, &place);
}

struct baton_tenant *btn_names_find(struct baton_sched *s, const char *name)
{
	struct btn_hazard *me = btn_hazard_self();
	struct words n = words_of(name);
	struct baton_tenant *t;

	if (me)
		return look_up(btn_hazard_protect(me, WORD, &s->names), &n, NULL);
	/* Without memory for a hazard pointer the look-up takes the lock: then nothing changes. */
	btn_gate_lock(s);
	t = btn_names_find_locked(s, name);
	if (t)
		btn_names_get(t);
	btn_gate_release(s);
	return t;
}

static void place_in(struct btn_names *names, struct baton_tenant *t)
{
	struct baton_tenant *old;
	struct words n;
	size_t i;

	for (i = 0; i < BTN_NAME_WORDS; i++)
		n.w[i] = atomic_load_explicit(&t->name[i], memory_order_relaxed); /* [NAMES-2] */
	for (i = hash_of(&n);; i++) {
		old = atomic_load_explicit(&names->at[i & (names->capacity - 1)], memory_order_relaxed); /* [NAMES-4] */
		if (!old || old == GONE)
			break;
	}
	names->used += !old;
	atomic_store_explicit(&names->at[i & (names->capacity - 1)], t, memory_order_release); /* [NAMES-1] */
}

int btn_names_reserve(struct baton_sched *s, size_t more)
{
	struct btn_names *old = table_of(s), *names, **at;
	struct baton_tenant *t;
	size_t capacity = 64;

	if (old && 4 * (old->used + more) <= 3 * old->capacity)
		return 0;
	while (capacity < 4 * (s->n_names + more))
		capacity *= 2;
	names = BTN_FAIL("sched:names") ? NULL : btn_prealloc_take(s->core.prealloc, BTN_PREALLOC_NAMES,
								sizeof(*names) + capacity * sizeof(names->at[0]));
	if (!names)
		return -ENOMEM;
	names->capacity = capacity;
	names->older = old;
	for (t = s->tenants; t; t = t->next)
		if (t->named && !t->core->leaving)
			place_in(names, t);
	BTN_POINT("sched:names:publish");
	atomic_store_explicit(&s->names, names, memory_order_seq_cst); /* [HAZARD-2] */
	for (at = &names->older; (old = *at);) {
		if (btn_hazard_used(old)) {
			at = &old->older;
		} else {
			*at = old->older;
			btn_prealloc_give(s->core.prealloc, old);
		}
	}
	return 0;
}

void btn_names_add(struct baton_tenant *t, const char *name)
{
	struct words n = words_of(name);
	unsigned i;

	for (i = 0; i < BTN_NAME_WORDS; i++) {
		BTN_POINT("sched:names:name");
		atomic_store_explicit(&t->name[i], n.w[i], memory_order_relaxed); /* [NAMES-2] */
	}
	t->named = *name;
	atomic_store_explicit(&t->refs, 1, memory_order_release); /* [NAMES-3] */
	if (!t->named)
		return;
	place_in(table_of(t->s), t);
	t->s->n_names++;
}

void btn_names_del(struct baton_tenant *t)
{
	struct btn_names *names = table_of(t->s);
	struct words n;
	unsigned i;
	size_t place;

	if (!t->named)
		return;
	for (i = 0; i < BTN_NAME_WORDS; i++)
		n.w[i] = atomic_load_explicit(&t->name[i], memory_order_relaxed); /* [NAMES-2] */
	if (look_up(names, &n, &place) != t)
		return;
	BTN_POINT("sched:names:gone");
	atomic_store_explicit(&names->at[place], GONE, memory_order_release); /* [NAMES-1] */
	t->s->n_names--;
}

void btn_names_free(struct baton_sched *s)
{
	struct btn_names *names = table_of(s), *older;

	for (; names; names = older) {
		older = names->older;
		btn_prealloc_give(s->core.prealloc, names);
	}
}
