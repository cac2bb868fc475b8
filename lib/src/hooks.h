/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hooks.h - all memory and all messages of the library: through the service's hooks, or else libc.
 *
 * Calls of malloc() and its kin stand in hooks.c alone (selftests/check/tree.py looks). Memory of
 * btn_mem_get() and the others is freed by btn_mem_free(), and the caller has no lock, as ever. The first
 * use of any of these decides that there are no hooks, if none are set by then.
 */
#ifndef BTN_HOOKS_H
#define BTN_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include <baton/hooks.h>

/* NULL: no memory. Errno is ENOMEM then, or is what it was. */
void *btn_mem_get(size_t size);
/* n objects of size bytes each, all zeroes. */
void *btn_mem_zeroed(size_t n, size_t size);
/* align: a power of two. */
void *btn_mem_aligned(size_t align, size_t size);
/* A copy of the first `had` bytes of old, in `size` bytes; old is freed. NULL: old is as it was. old may be NULL. */
void *btn_mem_grow(void *old, size_t had, size_t size);
/* A copy of a string. */
char *btn_mem_text(const char *text);
/* memory may be NULL. Errno stays. */
void btn_mem_free(void *memory);

/* A message of one line, up to 500 bytes, without "baton: " and the line's end. */
__attribute__((format(printf, 2, 3))) void btn_log(enum baton_log_level level, const char *fmt, ...);

/* Before abort(): true if a hook was told, so that stderr need not be. Async-signal-safe. */
bool btn_panic(const char *text);

#endif
