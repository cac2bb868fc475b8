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
 * the same addresses, with the lock held: no figure may be counted between the copy and the mapping. All else that asks the kernel for
 * something is done without the lock: the file is made and allocated before, and gets its name after. Parts of the file are allocated before
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

#include <sys/types.h>

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
	int orphan;			/* a file that was mapped, and could not be given its name; -1: none */
	uint64_t files;			/* files that were mapped; the number of the last one */
	bool publishing;		/* a thread makes the file */
	char *path;			/* NULL: the file has no name */
};

/* A file that is about to be the page's. */
struct btn_page_file {
	char *path, *base;		/* base: its name, the end of the path */
	int dir, fd;
	pid_t pid;
	unsigned mode;
	uint64_t upto;			/* records that the file has memory for */
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

/*
 * Steps of 256 ns, and from 8 of them on eight steps an octave: 8 * (octave - 2), and the three bits that follow the
 * first one. A double has both side by side, from bit 49 on, its exponent with a bias of 1023. (v is rounded from 2^53 on,
 * far in the last step.)
 */
static inline unsigned btn_hist_step(uint64_t ns)
{
	union {
		double number;
		uint64_t bits;
	} v = { .number = (double)(int64_t)(ns >> 8) };
	uint64_t step;

	if (ns >> 8 < 8)
		return ns >> 8;
	step = (v.bits >> 49) - 8 * (1023 + 2);
	return step < BATON_HIST_STEPS ? step : BATON_HIST_STEPS - 1;
}

/* ns, whose step is known. */
static inline void btn_stat_hist_in(struct baton_hist *h, uint64_t ns, unsigned step)
{
	btn_stat_add(&h->sum, ns);
	btn_stat_add(&h->n[step], 1);
}

static inline void btn_stat_hist(struct baton_hist *h, uint64_t ns)
{
	btn_stat_hist_in(h, ns, btn_hist_step(ns));
}

#define BTN_PAGE_TENANTS 131072U

/* Records of this size that make whole pages. */
size_t btn_page_per_segment(size_t tenant_size);
/* The pool, from which btn_page_tenant() takes, is to have what this many more tenants may need. The lock is held. */
void btn_page_want(const struct btn_page *p, struct btn_prealloc *prealloc, size_t more);

/* -ENOMEM. Room for so many slots and tiers; their records are the caller's to fill. */
int btn_page_create(struct btn_page *p, unsigned slots, unsigned tiers);
/* Since when it counts, and so many slots are open. */
void btn_page_start(struct btn_page *p, unsigned slots, uint64_t now);
/* Removes the file, too. */
void btn_page_destroy(struct btn_page *p);
struct baton_stats_tier *btn_page_tier(struct btn_page *p, unsigned i);

/* A tenant's record, perhaps one that nobody else can see; NULL: the pool lacks memory. */
struct baton_stats_tenant *btn_page_tenant(struct btn_page *p, struct btn_prealloc *prealloc);
/* Shows the record to others, once its quotas and its name are written. A second call does nothing. */
void btn_page_tenant_show(struct baton_stats_tenant *t);
void btn_page_tenant_free(struct btn_page *p, struct btn_prealloc *prealloc, struct baton_stats_tenant *t);

/*
 * Traces or not, as the one word that others write says; the lock is held. True: the file is to have memory for the rings, which
 * btn_page_trace_room() gives it without the lock; then, with it, btn_page_trace_begin() with the result.
 */
bool btn_page_trace(struct btn_page *p, uint64_t now);
int btn_page_trace_room(const struct btn_page *p);
void btn_page_trace_begin(struct btn_page *p, int err);
/*
 * baton_stats_publish() in steps, each of which follows if all before it went well; the last one follows in any case. With
 * the lock: -EALREADY, or no other thread begins to publish. Without it: the file is made. With it: the file is mapped, or -EAGAIN: it
 * is to have memory for more records (btn_page_file_grow(), without the lock). Without it, with the result so far: the file gets its name, or is
 * let go. With it, with the result.
 */
int btn_page_publish_begin(struct btn_page *p);
int btn_page_file_make(struct btn_page *p, struct btn_page_file *f, const char *name, unsigned mode);
int btn_page_file_map(struct btn_page *p, struct btn_page_file *f);
int btn_page_file_grow(const struct btn_page *p, struct btn_page_file *f);
int btn_page_file_name(struct btn_page_file *f, int err);
void btn_page_publish_end(struct btn_page *p, struct btn_page_file *f, int err);

/* Text into a record: as many bytes as it has room for, cut at a character. */
void btn_page_name(uint64_t *words, size_t bytes, const char *name);

/* Does the service that made this file still run? It has a write lock on the file. */
bool btn_page_locked(int fd);

/* Where NAME is published: into path. -ENOENT, -EINVAL, -ENAMETOOLONG. */
int btn_page_path(const char *name, char *path, size_t room, bool make);

#endif
