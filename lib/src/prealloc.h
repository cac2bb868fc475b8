/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * prealloc.h - pools of memory that is allocated beforehand, for objects that are made and
 * freed with the scheduler's lock held, as tenants are. malloc() there would make others wait
 * for it and for what it asks of the kernel. And malloc's own lock may be had by a task that
 * was stopped, and that goes on only when the scheduler's lock is free. So:
 *
 *	without the lock			with it
 *
 *	btn_prealloc_add(), what will be needed
 *						btn_prealloc_take(); NULL: there is none, and
 *						    now it is known how much is wanted
 *	btn_prealloc_fill() > 0: again
 *						btn_prealloc_give(), what is needed no more:
 *						    its free() is deferred
 *	btn_prealloc_free(), all that is in it
 *
 * Memory of a file likewise (page.h): with the lock it is said which part of it is to be allocated, and where segments lie in it.
 * Both are had without the lock, and used if it is the same file still.
 *
 * NULL instead of a pool is malloc() itself: for callers without a lock.
 */
#ifndef BTN_PREALLOC_H
#define BTN_PREALLOC_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hooks.h"

/* SEGMENTS are whole pages that begin at one, and are given back by btn_prealloc_unmap() alone. */
enum btn_kind {
	BTN_PREALLOC_TENANT, BTN_PREALLOC_CORE, BTN_PREALLOC_LOG, BTN_PREALLOC_STATS, BTN_PREALLOC_NAMES,
	BTN_PREALLOC_SEGMENT, BTN_PREALLOC_KINDS
};

struct btn_block {
	struct btn_block *next;
	size_t size;		/* bytes that follow */
	uint64_t at;		/* a segment's place in its file */
	uint64_t file;		/* number of that file; 0: none, the segment is anonymous memory */
};

/* Memory of a file that is wanted. */
struct btn_prealloc_file {
	uint64_t number;	/* no other file has it; 0: there is none */
	int fd;
	uint64_t at, upto;	/* bytes to be allocated */
	bool asked;		/* err says whether they were, from posix_fallocate() */
	int err;
	uint64_t segment_at;	/* place of the first of the segments that are wanted; the others follow */
};

struct btn_prealloc {
	struct {
		struct btn_block *first;
		size_t n, want, size;
		size_t taken;	/* blocks taken since btn_prealloc_open() */
	} kind[BTN_PREALLOC_KINDS];
	struct btn_block *deferred;
	struct btn_block *stale;	/* segments of another place or file than those that are wanted */
	struct btn_prealloc_file file;
};

static inline void btn_prealloc_push(struct btn_prealloc *s, enum btn_kind kind, struct btn_block *b)
{
	b->next = s->kind[kind].first;
	s->kind[kind].first = b;
	s->kind[kind].n++;
}

/* The block's header is at the end of a page before those that are wanted. */
static inline struct btn_block *btn_prealloc_map(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *m = mmap(NULL, page + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return m == MAP_FAILED ? NULL : (struct btn_block *)(m + page) - 1;
}

static inline void btn_prealloc_unmap(void *memory, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	munmap((char *)memory - page, page + size);
}

/* A segment of this place in a file, of which that part need not be allocated. */
static inline struct btn_block *btn_prealloc_map_file(size_t size, const struct btn_prealloc_file *file, uint64_t at)
{
	struct btn_block *b = btn_prealloc_map(size);

	if (!b || !file->number)
		return b;
	if (mmap(b + 1, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file->fd, at) == MAP_FAILED) {
		btn_prealloc_unmap(b + 1, size);
		return NULL;
	}
	b->at = at;
	b->file = file->number;
	return b;
}

static inline struct btn_block *btn_prealloc_block_new(enum btn_kind kind, size_t size)
{
	return kind == BTN_PREALLOC_SEGMENT ? btn_prealloc_map(size) : btn_mem_zeroed(1, sizeof(struct btn_block) + size);
}

/* Adds a block of zeroes; 0 or -ENOMEM. */
static inline int btn_prealloc_add(struct btn_prealloc *s, enum btn_kind kind, size_t size)
{
	struct btn_block *b;

	if (kind == BTN_PREALLOC_SEGMENT)
		b = btn_prealloc_map_file(size, &s->file, s->file.segment_at + s->kind[kind].n * size);
	else
		b = btn_prealloc_block_new(kind, size);
	if (!b)
		return -ENOMEM;
	b->size = size;
	btn_prealloc_push(s, kind, b);
	return 0;
}

static inline void btn_prealloc_want(struct btn_prealloc *s, enum btn_kind kind, size_t n, size_t size)
{
	s->kind[kind].want = n;
	s->kind[kind].size = size;
}

/* The pool is about to be used: `want` counts anew what there is not enough of. */
static inline void btn_prealloc_open(struct btn_prealloc *s)
{
	unsigned i;

	for (i = 0; i < BTN_PREALLOC_KINDS; i++)
		s->kind[i].want = s->kind[i].taken = 0;
}

/* True: there is less than is wanted. */
static inline bool btn_prealloc_lacks(const struct btn_prealloc *s)
{
	unsigned i;

	for (i = 0; i < BTN_PREALLOC_KINDS; i++)
		if (s->kind[i].n < s->kind[i].want)
			return true;
	return s->file.upto > s->file.at && !s->file.asked;
}

/*
 * Adds what is wanted. 1; 0: there was enough, so the pool was not the reason for a failure;
 * -ENOMEM.
 */
static inline int btn_prealloc_fill(struct btn_prealloc *s)
{
	unsigned i;

	if (!btn_prealloc_lacks(s))
		return 0;
	if (s->file.upto > s->file.at && !s->file.asked) {
		s->file.err = posix_fallocate(s->file.fd, s->file.at, s->file.upto - s->file.at);
		s->file.asked = true;
	}
	for (i = 0; i < BTN_PREALLOC_KINDS; i++) {
		while (s->kind[i].n < s->kind[i].want)
			if (btn_prealloc_add(s, i, s->kind[i].size))
				return -ENOMEM;
		s->kind[i].want = 0;
	}
	return 1;
}

static inline void *btn_prealloc_take(struct btn_prealloc *s, enum btn_kind kind, size_t size)
{
	struct btn_block *b;

	if (!s) {
		b = btn_prealloc_block_new(kind, size);
		return b ? b + 1 : NULL;
	}
	b = s->kind[kind].first;
	if (!b || b->size < size) {
		/*
		 * All that was taken is given back, and taken again: twice that, or filling
		 * never ends.
		 */
		btn_prealloc_want(s, kind, s->kind[kind].n + 2 * s->kind[kind].taken + 1, size);
		return NULL;
	}
	s->kind[kind].first = b->next;
	s->kind[kind].n--;
	s->kind[kind].taken++;
	return b + 1;
}

/* Segments of this size, n of them, are wanted: of that file from that place on; number 0: anonymous ones. */
static inline void btn_prealloc_want_segments(struct btn_prealloc *s, size_t n, size_t size, uint64_t number, int fd, uint64_t at)
{
	struct btn_block *b;

	if (s->file.number != number || (number && s->file.segment_at != at))
		while ((b = s->kind[BTN_PREALLOC_SEGMENT].first)) {
			s->kind[BTN_PREALLOC_SEGMENT].first = b->next;
			s->kind[BTN_PREALLOC_SEGMENT].n--;
			b->next = s->stale;
			s->stale = b;
		}
	if (s->file.number != number)
		s->file = (struct btn_prealloc_file){ .number = number, .fd = fd };
	s->file.segment_at = at;
	btn_prealloc_want(s, BTN_PREALLOC_SEGMENT, n, size);
}

/* The segment of that place; NULL: there is none, and it is wanted now. */
static inline void *btn_prealloc_take_segment(struct btn_prealloc *s, size_t size, uint64_t number, int fd, uint64_t at)
{
	const struct btn_prealloc_file file = { .number = number, .fd = fd };
	struct btn_block *b, **p;

	if (!s) {
		b = btn_prealloc_map_file(size, &file, at);
		return b ? b + 1 : NULL;
	}
	for (p = &s->kind[BTN_PREALLOC_SEGMENT].first; (b = *p); p = &b->next)
		if (b->size == size && b->file == number && (!number || b->at == at)) {
			*p = b->next;
			s->kind[BTN_PREALLOC_SEGMENT].n--;
			return b + 1;
		}
	btn_prealloc_want_segments(s, 1, size, number, fd, at);
	return NULL;
}

/* The block of memory that was taken; NULL: memory is NULL, or was malloc's and is freed. */
static inline struct btn_block *btn_prealloc_block(struct btn_prealloc *s, void *memory)
{
	struct btn_block *b = memory;

	if (!memory)
		return NULL;
	b--;
	if (s)
		return b;
	btn_mem_free(b);
	return NULL;
}

/* Puts back memory that was taken and is not used after all. */
static inline void btn_prealloc_back(struct btn_prealloc *s, enum btn_kind kind, void *memory)
{
	struct btn_block *b = btn_prealloc_block(s, memory);

	if (!b)
		return;
	memset(memory, 0, b->size);
	btn_prealloc_push(s, kind, b);
}

static inline void btn_prealloc_give(struct btn_prealloc *s, void *memory)
{
	struct btn_block *b = btn_prealloc_block(s, memory);

	if (!b)
		return;
	b->next = s->deferred;
	s->deferred = b;
}

static inline void btn_prealloc_free_list(struct btn_block *b)
{
	struct btn_block *next;

	for (; b; b = next) {
		next = b->next;
		btn_mem_free(b);
	}
}

static inline void btn_prealloc_unmap_list(struct btn_block *b)
{
	struct btn_block *next;

	for (; b; b = next) {
		next = b->next;
		btn_prealloc_unmap(b + 1, b->size);
	}
}

static inline void btn_prealloc_free(struct btn_prealloc *s)
{
	unsigned i;

	btn_prealloc_unmap_list(s->kind[BTN_PREALLOC_SEGMENT].first);
	s->kind[BTN_PREALLOC_SEGMENT].first = NULL;
	btn_prealloc_unmap_list(s->stale);
	for (i = 0; i < BTN_PREALLOC_KINDS; i++)
		btn_prealloc_free_list(s->kind[i].first);
	btn_prealloc_free_list(s->deferred);
	memset(s, 0, sizeof(*s));
}

#endif
