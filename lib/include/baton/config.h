/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/config.h> - tiers, tenants and their quotas from a text file.
 *
 *	# Everything from here to the end of the line is a comment.
 *	slots 4
 *	capacity 3.5
 *	low_limit 60%
 *	tier low    policy=quota   rank=0
 *	tier high   policy=arrival rank=1
 *	tier backup policy=fifo    rank=2 reserve=2% limit=10%
 *	tenant alice       low=10% high=25%
 *	tenant "Bob & Co"  high=50%
 *
 * One directive a line, in any order but that of the tiers. Percentages are of
 * the capacity, with up to four digits after the point.
 *
 *	slots N		how many tasks run at once; without: as many as the capacity takes,
 *			rounded up, or, for a scheduler that there is, what was said last
 *	capacity N	how many CPUs there are, from 0.001 on, never more than slots; without:
 *			what the machine allows, or, for a scheduler that there is, what
 *			was said last
 *	low_limit P%	how much low-latency quota may be sold; without: 70%, the most
 *	tier NAME policy=P rank=N share=N reserve=P% limit=P%
 *			all optional. The first two are called low and high: what tenants
 *			buy. Without any tier: these two, quota, ranks 0 and 1.
 *	tenant NAME low=P% high=P% requests=N workers=N
 *			low=, high= or both. How many requests may be in flight, and how many
 *			threads its tasks may have at once; without: any number. A name with
 *			blanks, # or " stands in double quotes, in which \" and \\ are " and \.
 *
 * A file is read as a whole before anything is done with it. What is wrong in it
 * is said for each line, with what would be right.
 */
#ifndef BATON_CONFIG_H
#define BATON_CONFIG_H

#include <stdio.h>

#include <baton/base.h>
#include <baton/sched.h>

BATON_BEGIN_DECLS

struct baton_config;

/**
 * baton_config_parse - understand a configuration
 * @out: what it says, for baton_config_free(); set to NULL on an error
 * @text: its @len bytes; not kept
 * @name: what messages call it: "NAME:LINE: what is wrong"
 * @why: the messages, a line each, as many as fit into @room; "" where all is
 *	well; or NULL
 *
 * Any thread; does not wait.
 *
 * Returns 0; -EINVAL: @why says what is wrong, up to ten things; -ENOMEM.
 */
BATON_API int baton_config_parse(struct baton_config **out, const char *text, size_t len,
				 const char *name, char *why, size_t room);

/**
 * Takes a directive of the service's own: `NAME VALUE`, both one word, or the
 * value in double quotes. Returns 0, or an error; then @why, one line, says what was wrong.
 */
typedef int baton_config_own_fn(void *arg, const char *name, const char *value, char *why, size_t room);

/**
 * baton_config_parse_own - likewise, where the text also has directives of the service
 * @own: called with @arg for each line that is none of the library's, in their order, also
 *	after a complaint: so it collects, and the service uses that once this returns 0
 *
 * The calling thread calls @own. Returns as baton_config_parse().
 */
BATON_API int baton_config_parse_own(struct baton_config **out, const char *text, size_t len, const char *name,
				     baton_config_own_fn *own, void *arg, char *why, size_t room);

/**
 * baton_config_load - understand a file
 * @path: read as a whole, up to 64 MiB
 *
 * Any thread; waits for the file system.
 *
 * Returns as baton_config_parse(), and -EFBIG or what reading the file gave,
 * which @why says, too.
 */
BATON_API int baton_config_load(struct baton_config **out, const char *path, char *why, size_t room);

/** baton_config_free - forget it; NULL: nothing. Nothing that was made from it changes. */
BATON_API void baton_config_free(struct baton_config *c);

/**
 * baton_config_print - write it again, every default written out
 *
 * Any thread. What is written, parsed again, is the same. Returns 0, or -EIO.
 */
BATON_API int baton_config_print(const struct baton_config *c, FILE *to);

/**
 * baton_config_sched - what baton_sched_create() is to be called with
 * @out: set as a whole; ->tier belongs to @c
 */
BATON_API void baton_config_sched(const struct baton_config *c, struct baton_sched_opts *out);

/**
 * baton_config_apply - what a scheduler is from now on
 * @why: what was wrong, a line, where not NULL; with the line of the file where there is one
 *
 * Any thread, also under load; requests may wait while it works, but not who looks for
 * a tenant (baton_tenant_find()) or at the figures (<baton/stats.h>). Tenants that are
 * in @c and not in @s are added, for baton_tenant_find(); quotas that differ are
 * set; tenants that an earlier configuration added and this one does not name are
 * removed as by baton_tenant_remove(). All at once, or nothing. Tenants that
 * baton_tenant_add() made stay, with the same part of what there is.
 *
 * The policies, ranks, shares, reserves and limits of tiers, low_limit, and, where they
 * are said, the number of slots and the capacity are others at once, too. Tasks that wait stand where
 * the new rules want them; those that run go on until their slice ends. A slot that is
 * no more loses its task at that one's next checkpoint, as if somebody more
 * important had come. A tier that had neither reserve nor limit does not know what it
 * used before: a limit holds in seconds that begin after the change.
 *
 * Returns 0; -ENOTSUP: more slots than there is room for (slots_max of its options), or more tiers or fewer: for
 * that the service has to be started again; -EEXIST: a name that baton_tenant_add()
 * was given; -ENOSPC: more low-latency quota than low_limit, because of such tenants, or
 * because one that is removed has requests that have not ended; -ENOMEM.
 */
BATON_API int baton_config_apply(const struct baton_config *c, struct baton_sched *s, char *why, size_t room);

/** baton_config_tier - the name of a tier, or NULL from the last one on; it belongs to @c */
BATON_API const char *baton_config_tier(const struct baton_config *c, unsigned i);

/**
 * baton_config_tenant - its i-th tenant, in the order of names
 * @out: what it bought; or NULL
 *
 * Returns its name, which belongs to @c, or NULL from the last one on.
 */
BATON_API const char *baton_config_tenant(const struct baton_config *c, size_t i,
					  struct baton_tenant_opts *out);

BATON_END_DECLS

#endif
