/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last statements that were refused or late, with why: a ring in memory.
 */
#ifndef BATON_MARIADB_LATE_H
#define BATON_MARIADB_LATE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <baton/why.h>

#define LATE_TEXT 256		/* bytes of a statement's text, with the 0 at its end */
#define LATE_WHY 512		/* baton_why_text() of any struct, with the 0 at its end (selftests/observe/why) */
#define LATE_RING 1000

struct late {
	struct timespec when;		/* the wall clock's */
	unsigned long connection;
	char user[130], tenant[64];
	enum baton_class cls;
	struct baton_why why;
	char text[LATE_TEXT];
};

/** late_add - any thread */
void late_add(const struct late *l);

/**
 * late_each - all of them, the oldest first
 *
 * @fn is called without a lock held, and ends it by returning something else than 0.
 * Returns that, or 0; -ENOMEM.
 */
int late_each(int (*fn)(const struct late *l, void *arg), void *arg);

/** late_count - since the plugin was loaded */
uint64_t late_count(void);

/** late_cut - @len bytes of @text, as many whole characters of UTF-8 as fit into LATE_TEXT */
void late_cut(char *out, const char *text, size_t len);

#endif
