/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * page.h - the page that <baton/stats.h> describes, as its writer sees it.
 *
 * The figures have no second home: the core counts in the page's records, so
 * publishing costs nothing when something is counted.
 *
 * One writer: whoever holds the scheduler's lock; or, in the simulation, the
 * only thread. So a word is read, changed and stored without a locked
 * instruction. Readers are in other processes and hold nothing.
 *
 *	writer				reader
 *	word = x	(release)	... = word	(acquire)
 *
 * [STATS-1] Every store is a release and every load an acquire, so a reader that
 * saw a store sees, in what it loads afterwards, all that was stored before it.
 * Two things follow, and on x86 cost nothing:
 *
 *  - a counter that is loaded before the one it follows from is not ahead of it;
 *  - a record changes hands between two stores to its generation (odd, and even when
 *    the new one's name and quotas are there).
 *    A reader that loaded any word of the new tenant's then loads a generation that
 *    is odd or later; and one that loaded an even generation first loads no word
 *    that is older than it. So equal even generations before and after a copy mean
 *    that it is of one tenant.
 *
 * The writer's own loads are relaxed: it, or who held the lock before it, stored
 * the word.
 *
 * A page is anonymous memory until it is published; then the file is mapped at
 * the same addresses, with the lock held. Parts of the file are allocated before
 * they are written, so a full file system is an error code and not a SIGBUS.
 *
 * There is room for BTN_PAGE_TENANTS tenants, 0.9 GB of address space, which few services
 * ever need and a limit (RLIMIT_AS) counts. So the table of tenants, which is last in the file, is
 * mapped in segments, each when its first record is needed; the file has its whole
 * size from the beginning, and its holes take no memory. A reader does the same. Segments
 * lie anywhere and never move. A segment is there before a store to tenants_used says that
 * its records are, so by [STATS-1] who loads that finds it.
 */
#ifndef BTN_PAGE_H
#define BTN_PAGE_H

#include <baton/stats.h>
#include <baton/trace.h>

#include "atomic.h"
#include "prealloc.h"

/* The most slots that sched.h allows. */
#define BTN_PAGE_SLOTS		4096

struct btn_page {
	struct baton_stats_header *h;	/* the mapping */
	struct baton_stats_slot *slots;
	char **segment;			/* tenants' records; NULL: not needed yet */
	size_t per_segment;		/* records */
	struct btn_ring *rings;		/* NULL: nobody traces */
	size_t tenant_size, size;	/* size: of what is always mapped, all but the tenants */
	uint64_t ids;
	uint64_t allocated;		/* records that the file has memory for */
	struct baton_stats_tenant *free;
	int fd;				/* -1: not published */
	char *path;
};

static inline uint64_t btn_stat_get(const uint64_t *word)
{
	return atomic_load_explicit((const _Atomic uint64_t *)word, memory_order_relaxed); /* [STATS-1] */
}

static inline void btn_stat_set(uint64_t *word, uint64_t value)
{
	atomic_store_explicit((_Atomic uint64_t *)word, value, memory_order_release); /* [STATS-1] */
}

static inline void btn_stat_add(uint64_t *word, uint64_t n)
{
	btn_stat_set(word, btn_stat_get(word) + n);
}

static inline void btn_stat_max(uint64_t *word, uint64_t value)
{
	if (value > btn_stat_get(word))
		btn_stat_set(word, value);
}

/*
 * A slot's idle time is one word, so that no reader sees half of a change: the
 * sum, and while there is no task the sum less since when, which is negative.
 */
static inline uint64_t btn_stat_idle(uint64_t word, uint64_t now)
{
	return (int64_t)word < 0 ? word + now : word;
}

/*
 * Each slot has a ring, and there is one for what happens to requests. The writer stores an
 * event and then head, the number of the next one. A reader copies events below
 * head, and then loads head again: an event that was being overwritten while it
 * was copied is BTN_RING or more behind it, since by [STATS-1] who saw any word of
 * the new one sees that head.
 */
/* Few enough to stay in a cache, as many as half a million switches a second make in 16 ms. */
#define BTN_RING	16384
struct btn_ring {
	uint64_t head, spare[7];
	struct baton_trace_event event[BTN_RING];
};

void btn_trace_add(struct btn_ring *ring, uint64_t now, unsigned type, unsigned detail, unsigned tier,
		   uint64_t tenant, uint64_t request, const void *task);

/* ring: a slot's, or the number of slots for what happens to requests. */
static inline void btn_trace(const struct btn_page *p, unsigned ring, uint64_t now, unsigned type, unsigned detail,
			     unsigned tier, const struct baton_stats_tenant *tenant, uint64_t request, const void *task)
{
	if (btn_unlikely(p->rings))
		btn_trace_add(&p->rings[ring], now, type, detail, tier, btn_stat_get(&tenant->id), request, task);
}

static inline unsigned btn_hist_step(uint64_t ns)
{
	uint64_t v = ns >> 8;
	unsigned octave, step;

	if (v < 8)
		return v;
	octave = 63 - __builtin_clzll(v);
	step = 8 * (octave - 2) + ((v >> (octave - 3)) & 7);
	return step < BATON_HIST_STEPS ? step : BATON_HIST_STEPS - 1;
}

static inline void btn_stat_hist(struct baton_hist *h, uint64_t ns)
{
	btn_stat_add(&h->sum, ns);
	btn_stat_add(&h->n[btn_hist_step(ns)], 1);
}

#define BTN_PAGE_TENANTS 131072U

/* Records of this size that make whole pages. */
size_t btn_page_per_segment(size_t tenant_size);
/* Segments that this many more tenants may need, of this size: for the pool that btn_page_tenant() takes from. */
size_t btn_page_segments(const struct btn_page *p, size_t more, size_t *size);

/* -ENOMEM. Room for so many slots and tiers; their records are the caller's to fill. */
int btn_page_create(struct btn_page *p, unsigned slots, unsigned tiers);
/* Since when it counts, and so many slots are open. */
void btn_page_start(struct btn_page *p, unsigned slots, uint64_t now);
/* Also removes the file. */
void btn_page_destroy(struct btn_page *p);
struct baton_stats_tier *btn_page_tier(struct btn_page *p, unsigned i);

/* A tenant's record, perhaps one that nobody else can see; NULL: the pool lacks memory. */
struct baton_stats_tenant *btn_page_tenant(struct btn_page *p, struct btn_prealloc *prealloc);
/* Shows the record to others, once its quotas and its name are written. A second call does nothing. */
void btn_page_tenant_show(struct baton_stats_tenant *t);
void btn_page_tenant_free(struct btn_page *p, struct btn_prealloc *prealloc, struct baton_stats_tenant *t);

/* Traces or not, as the one word that others write says; the lock is held. */
void btn_page_trace(struct btn_page *p, uint64_t now);
/* As baton_stats_publish(); the lock is held. */
int btn_page_publish(struct btn_page *p, const char *name, unsigned mode);

/* Text into a record: as many bytes as it has room for, cut at a character. */
void btn_page_name(uint64_t *words, size_t bytes, const char *name);

/* Does the service that made this file still run? It has a write lock on the file. */
bool btn_page_locked(int fd);

/* Where NAME is published: into path. -ENOENT, -EINVAL, -ENAMETOOLONG. */
int btn_page_path(const char *name, char *path, size_t room, bool make);

#endif
