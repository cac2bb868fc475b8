/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A service that counts the library's memory, and has the library's messages in its own log.
 */
#include <baton/hooks.h>
#include <baton/sched.h>
#include <stdio.h>
#include <stdlib.h>

static void *counts(void *ctx, size_t size, size_t align)
{
	__atomic_fetch_add((long *)ctx, 1, __ATOMIC_RELAXED);
	return aligned_alloc(align, (size + align - 1) / align * align);
}

static void discounts(void *ctx, void *memory)
{
	__atomic_fetch_sub((long *)ctx, 1, __ATOMIC_RELAXED);
	free(memory);
}

static void logs(void *ctx, enum baton_log_level level, const char *text)
{
	(void)ctx;
	fprintf(stderr, "service: %s: baton: %s\n", level == BATON_LOG_ERROR ? "error" : "note", text);
}

int main(void)
{
	static long blocks;
	struct baton_hooks h = { 0 };
	struct baton_sched *s;
	int err;

	h.sz = sizeof(h);
	h.ctx = &blocks;
	h.alloc = counts;
	h.free = discounts;
	h.log = logs;
	if (baton_hooks_set(&h) || baton_sched_create(&s, NULL))
		return 1;
	printf("a scheduler has %ld blocks of memory\n", blocks);
	err = baton_sched_destroy(s);
	printf("afterwards there is %ld: the hooks' own\n", blocks);
	return err || blocks != 1;
}
