/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/stats.h> - what a scheduler does, for other processes to read.
 *
 * The scheduler keeps its figures in one page of memory. baton_stats_publish()
 * makes it a file, which another process maps read-only and reads while it is
 * written: `baton top`, `baton stats`, or anything that uses this header. Nobody
 * waits for anybody, and reading costs the service nothing.
 *
 * The file, version 1: a header at its beginning, and three tables of records
 * at the offsets and of the sizes that the header says, in the byte order of the
 * machine. All fields are 64-bit words (names: bytes, in whole words). Each word
 * has one writer at a time and changes as a whole:
 *
 *  - a word's value is one that it had while it was read; words of one record
 *    may differ in age by as much as the reading took;
 *  - counters only grow. What the functions here copy is read from the last word
 *    to the first, so a counter that follows from another one (finished from
 *    admitted) is never ahead of it;
 *  - requests that one thread enters one after the other, where nobody waits
 *    for its slot, are counted when that is taken or their run ends: within 10 ms;
 *  - a tenant's record is somebody else's after the tenant was removed. Its
 *    `generation` is odd while that happens: what was copied between two equal
 *    even values is of one tenant.
 *
 * fork: what was opened can be read in the child, too; figures of a scheduler of the
 * parent's (baton_stats_of(), baton_stats_publish()) are refused there with -EPERM.
 *
 * Durations and CPU are in ns, times are CLOCK_MONOTONIC ns, quotas ns of CPU
 * per second.
 */
#ifndef BATON_STATS_H
#define BATON_STATS_H

#include <stdbool.h>
#include <stdio.h>

#include <baton/base.h>
#include <baton/sched.h>

BATON_BEGIN_DECLS

/* How the file begins. */
#define BATON_STATS_MAGIC	UINT64_C(0x74732d6e6f746162)	/* "baton-st" */
#define BATON_STATS_VERSION	1
#define BATON_STATS_NAME	64	/* bytes, the last is 0 */
#define BATON_STATS_SUPPLY_OLD	UINT64_C(8000000000)	/* ns after which a header's supply says nothing any more */

/*
 * Durations: log-linear. Steps of 256 ns up to 2 us, then eight steps to each
 * doubling, up to 17 s; the last step takes what is above. So a step's upper end
 * is at most 12.5% (below 2 us: 256 ns) more than what was counted in it.
 */
#define BATON_HIST_STEPS	192
struct baton_hist {
	uint64_t sum;
	uint64_t n[BATON_HIST_STEPS];
};

/* A tenant in a tier. Requests count where their class is at home. */
struct baton_stats_use {
	uint64_t admitted, rejected, dropped, finished;
	uint64_t cpu;
	uint64_t throttled;	/* tasks were ready, and there was nothing to pay with */
	uint64_t overrun;	/* the worst, past a slice */
	uint64_t quota;		/* 0 also where tenants buy nothing */
	uint64_t used;		/* used in the second before used_at, and reserved */
	uint64_t used_at;
	/*
	 * The watchdog: seconds in which tasks were ready and could be paid for, and none of them
	 * got a slot.
	 */
	uint64_t overdue;
	uint64_t spare[5];
	struct baton_hist wait;	/* from ready to its first slot, of each task */
	struct baton_hist run;	/* CPU from getting a slot to losing it */
};

struct baton_stats_tenant {
	uint64_t generation;	/* 0: never used; odd: changing */
	uint64_t state;		/* 0: not in use, 1: in use, 2: being removed */
	uint64_t id;		/* never used again */
	uint64_t added;		/* when */
	uint64_t in_flight;	/* requests */
	union {
		uint64_t on_streams;	/* tasks that wait for a stream now, in a call of <baton/io.h> */
		uint64_t spare[11];
	};
	char name[BATON_STATS_NAME];
	struct baton_stats_use tier[BATON_TIERS_MAX];	/* in the file: as many as there are */
};

struct baton_stats_tier {
	char name[32], policy[32];
	uint64_t rank, share, reserve, limit;
	uint64_t spare[4];
};

struct baton_stats_slot {
	uint64_t tenant;	/* the id of who runs there; 0: nobody */
	uint64_t tier;
	uint64_t since;		/* the one or the other */
	uint64_t switches;	/* tasks that it was given to */
	uint64_t steals;	/* switches to tasks that last ran in another slot */
	uint64_t idle;		/* ns without a task; in the file, while there is none, less since when */
	uint64_t forced_preemptions;	/* taken from tasks that did not stop */
	uint64_t gap_worst;
	union {
		uint64_t polled;	/* CPU of workers that left the slot idle and waited for streams: no tenant's */
		uint64_t spare[8];
	};
	/* Each run's longest time from one checkpoint to the next, as averaged
	   between two looks at the clock. */
	struct baton_hist gap;
};

struct baton_stats_header {
	uint64_t magic, version;
	uint64_t size;			/* the file's */
	uint64_t header_size;
	uint64_t tiers_at, tiers, tier_size;
	uint64_t slots_at, slots, slot_size;	/* slots: room; there are slots_open */
	uint64_t tenants_at, tenants, tenant_size;	/* tenants: room */
	uint64_t pid;			/* the owner's; that process holds a write lock (F_OFD) on the file */
	uint64_t started, ended;	/* ended: 0 while it runs */
	uint64_t capacity, low_limit;	/* ns of CPU per second */
	uint64_t low_sold;
	uint64_t tenants_used;		/* records from here on are still 0 */
	uint64_t tenants_unlisted;	/* tenants for which there was no room */
	uint64_t rings_at, rings, ring_size;	/* see <baton/trace.h> */
	uint64_t trace_until;		/* the only word that others write */
	uint64_t slots_open;
	uint64_t allowed;		/* ns of CPU per second: what this machine's rules allow, <baton/sched.h> */
	/*
	 * The part that the machine gave of the CPU which tasks with slots wanted in the last
	 * seconds, in ppm: other programs, a limit, or the host may take some. From samples
	 * of tasks that reach checkpoints, until supply_at; not known where that is 0 or more than
	 * BATON_STATS_SUPPLY_OLD ago.
	 */
	uint64_t supply, supply_at;
	char name[BATON_STATS_NAME];
};

/**
 * baton_stats_publish - let other processes see the figures
 * @name: of the service, for /run/baton/NAME (root) or
 *	$XDG_RUNTIME_DIR/baton/NAME; $BATON_RUN_DIR comes before both. Or a path
 *	with a slash in it, best on a tmpfs
 * @mode: of the file: 0600 (or 0), 0640 or 0644
 *
 * Any thread, once for a scheduler, best before there is load: requests wait while
 * this waits for the file system.
 * The file is removed by baton_sched_destroy(). One that a dead process left is
 * replaced. Nothing is written where there is no room: a tenant that comes when
 * the file system is full is counted in tenants_unlisted.
 *
 * Returns 0; -EINVAL: an empty or too long name, or another mode; -EALREADY: it is
 * published; -EADDRINUSE: a service of that name runs; -EEXIST: the file is none
 * of ours; -ENOENT: not root, and neither variable is set; -ENOMEM, or what the
 * file system gave.
 */
BATON_API int baton_stats_publish(struct baton_sched *s, const char *name, unsigned mode);

struct baton_stats;

/**
 * baton_stats_open - look at a service
 * @name: as the service published it; NULL: the only one that there is
 * @why: what was wrong, one line, where not NULL
 *
 * Any thread. Waits for the file system. A dead service's file can be read, too:
 * baton_stats_alive().
 *
 * A service that cuts its file short does not harm its readers: its figures are zeros
 * then, and it is not alive. For that the first call installs a handler for SIGBUS,
 * which hands every other fault on to the handler before it; a program that replaces
 * the handler later does without.
 *
 * Returns 0; -ENOENT: no such service (or, with NULL, none or many, which @why
 * lists); -EBADMSG: not such a file, or damaged; -EPROTONOSUPPORT: of another
 * version; -ENOMEM, or what the file system gave.
 */
BATON_API int baton_stats_open(struct baton_stats **out, const char *name, char *why, size_t room);

/**
 * baton_stats_of - look at a scheduler of this process
 *
 * Any thread; also where it is not published. To be closed before the scheduler is
 * destroyed. Returns 0; -ENOMEM; -EPERM: @s is the parent process's (<baton/sched.h>).
 */
BATON_API int baton_stats_of(struct baton_stats **out, struct baton_sched *s);

/** baton_stats_close - and what it mapped; NULL: nothing */
BATON_API void baton_stats_close(struct baton_stats *st);

/** baton_stats_alive - does the service still run? If not, its figures are its last ones. */
BATON_API bool baton_stats_alive(const struct baton_stats *st);

/**
 * baton_stats_header, baton_stats_tier, baton_stats_slot, baton_stats_tenant - copies
 * @i: from 0
 * @sz: sizeof(*out) as the caller knows it
 *
 * Any thread, of one @st several at once. Never wait. Return 0; -ENOENT: not so
 * many; -EAGAIN: the record is of no tenant, or changes again and again.
 */
BATON_API void baton_stats_header(const struct baton_stats *st, struct baton_stats_header *out, size_t sz);
BATON_API int baton_stats_tier(const struct baton_stats *st, unsigned i,
			       struct baton_stats_tier *out, size_t sz);
BATON_API int baton_stats_slot(const struct baton_stats *st, unsigned i,
			       struct baton_stats_slot *out, size_t sz);
BATON_API int baton_stats_tenant(const struct baton_stats *st, unsigned i,
				 struct baton_stats_tenant *out, size_t sz);

/** baton_stats_left - what was left of a quota at this time, never too much */
BATON_API uint64_t baton_stats_left(const struct baton_stats_use *u, uint64_t now);

/** baton_hist_bound - the upper end of a step, ns; of the last one UINT64_MAX */
BATON_API uint64_t baton_hist_bound(unsigned step);

/** baton_hist_count - how many there are */
BATON_API uint64_t baton_hist_count(const struct baton_hist *h);

/** baton_hist_quantile - the upper end of the step that it lies in; 0: there are none; UINT64_MAX: it is in the last one, longer than 17 s */
BATON_API uint64_t baton_hist_quantile(const struct baton_hist *h, double q);

/** baton_hist_add - count a duration in one that is the caller's own */
BATON_API void baton_hist_add(struct baton_hist *h, uint64_t ns);

enum baton_stats_format { BATON_STATS_JSON, BATON_STATS_PROMETHEUS };

/**
 * baton_stats_print - all of it as text
 *
 * Any thread. JSON: one object; a quantile that is longer than a histogram can tell is null. Prometheus: the text format, for an answer to a
 * scrape. Returns 0, -EINVAL, -ENOMEM, or -EIO: it could not be written.
 */
BATON_API int baton_stats_print(const struct baton_stats *st, FILE *to, enum baton_stats_format format);

BATON_END_DECLS

#endif
