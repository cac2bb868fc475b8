/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/hooks.h> - the service's own allocator, log and end of the process.
 *
 * The library's memory comes from malloc(), its messages go to stderr, and what can never happen ends
 * the process with a message and abort(). A service that has its own ways for these sets hooks, once,
 * before anything else of the library is used.
 */
#ifndef BATON_HOOKS_H
#define BATON_HOOKS_H

#include <baton/base.h>

BATON_BEGIN_DECLS

enum baton_log_level { BATON_LOG_ERROR, BATON_LOG_WARNING, BATON_LOG_INFO };

/*
 * Functions that are NULL are the library's own. None may call the library, block for long, or be left by
 * longjmp() or a C++ exception. All are called by any thread, several at once.
 */
struct baton_hooks {
	size_t sz;		/* sizeof(struct baton_hooks) */
	int spare;		/* 0 */
	void *ctx;		/* handed to each function */
	/*
	 * Memory of @size bytes, more than 0, at a multiple of @align, a power of two that is at most 4096; NULL: there is none.
	 * The content is of no matter. Never called with a lock of the library's held, but
	 * a stopped task may hold the allocator's own lock: <baton/sched.h> says what follows.
	 */
	void *(*alloc)(void *ctx, size_t size, size_t align);
	/* Memory of alloc's is not needed any more; never NULL. alloc and free are set both, or neither. */
	void (*free)(void *ctx, void *memory);
	/* A message of one line, without its end; @text lives until the function returns. */
	void (*log)(void *ctx, enum baton_log_level level, const char *text);
	/*
	 * The process is about to be aborted, and @text says why: an answer of the kernel's that cannot be, or a
	 * use of an object that its header forbids. Perhaps called in a signal handler, and with locks held: only
	 * async-signal-safe functions are allowed. The text goes here and not to stderr. When the function
	 * returns the process is aborted.
	 */
	void (*panic)(void *ctx, const char *text);
};

/**
 * baton_hooks_set - have the service's allocator, log and end used, from now on
 * @h: the hooks; copied, into memory of @h->alloc's if that is set, which is never freed
 *
 * Any thread, before every other call of the library but those of <baton/base.h>; once for the process. A child of fork() keeps them.
 *
 * What goes through alloc: all memory that the library would have from malloc(). What does not: threads, their stacks
 * and thread-locals, which are libc's; parkers, workers, published pages and descriptors, which are mapped; and what
 * libc allocates inside a call of its own (opendir(3)). Memory that was had from alloc may be freed by any thread.
 *
 * Returns 0; -EBUSY: hooks were set before, or the library has memory, or has written a message, without hooks;
 * -EINVAL: h->sz is no header's, or one of alloc and free is NULL and the other is not; -E2BIG: a newer
 * header's hook is set that this library does not know; -ENOMEM. On an error nothing changed.
 */
BATON_API int baton_hooks_set(const struct baton_hooks *h);

BATON_END_DECLS

#endif
