/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buf.h - bytes that grow, up to a limit, in memory of mem.h. A write that does not fit, or finds no
 * memory, marks the buffer as failed and is dropped, as all that follow; so a
 * row of writes needs one test at its end.
 */
#ifndef BATONDB_BUF_H
#define BATONDB_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *p;
	size_t len, cap, max;
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
/* Empty again; memory above keep bytes is given back. */
void buf_clear(struct buf *b, size_t keep);
/* Room for n more bytes; NULL: failed. */
char *buf_room(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);	/* without its NUL */
void buf_ch(struct buf *b, char c);
__attribute__((format(printf, 2, 3))) void buf_fmt(struct buf *b, const char *fmt, ...);
/* A NUL behind the last byte, not counted; never NULL: "" where it failed. */
const char *buf_cstr(struct buf *b);
/* "a \"text\"", as the configuration and Prometheus have it. */
void buf_quoted(struct buf *b, const char *s);

#endif
