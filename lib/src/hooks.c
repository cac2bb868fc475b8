// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Hooks are set once, and before they could be missed: the pointer `hooks` changes once in the life of the
 * process, from NULL to a copy of what the service set, or to `none` by the first use without. Two allocators
 * can therefore never meet at one block of memory:
 *
 *	baton_hooks_set()			a use, at the same time
 *	copies
 *						pointer: NULL -> none
 *	pointer is not NULL: -EBUSY
 *
 * [HOOKS-1] The copy is released by the compare-and-swap that sets the pointer, and acquired with it.
 */
#include "hooks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomic.h"
#include "opts.h"
#include "tsan.h"

static const struct baton_hooks none;
static const struct baton_hooks *_Atomic hooks;

static __attribute__((noinline)) const struct baton_hooks *settle_hooks(void)
{
	const struct baton_hooks *h = NULL;

	if (atomic_compare_exchange_strong_explicit(&hooks, &h, &none, memory_order_acq_rel, /* [HOOKS-1] */
						    memory_order_acquire)) /* [HOOKS-1] */
		h = &none;
	return h;
}

static inline const struct baton_hooks *get_hooks(void)
{
	const struct baton_hooks *h = atomic_load_explicit(&hooks, memory_order_acquire); /* [HOOKS-1] */

	return btn_likely(h) ? h : settle_hooks();
}

int baton_hooks_set(const struct baton_hooks *h)
{
	const struct baton_hooks *before = NULL;
	struct baton_hooks o, *copy;
	int saved = errno, err = btn_opts_take(&o, sizeof(o), h);

	if (err)
		return err;
	if (!o.alloc != !o.free)
		return -EINVAL;
	copy = o.alloc ? o.alloc(o.ctx, sizeof(o), _Alignof(struct baton_hooks)) : malloc(sizeof(o));
	if (!copy) {
		errno = saved;
		return -ENOMEM;
	}
	*copy = o;
	if (atomic_compare_exchange_strong_explicit(&hooks, &before, copy, memory_order_acq_rel, /* [HOOKS-1] */
						    memory_order_acquire)) /* [HOOKS-1] */
		return 0;
	if (o.free)
		o.free(o.ctx, copy);
	else
		free(copy);
	return -EBUSY;
}

/* ---------------------------------------------------------- memory */

static void *hook_alloc(const struct baton_hooks *h, size_t size, size_t align)
{
	void *memory = h->alloc(h->ctx, size ? size : 1, align);

	if (!memory)
		errno = ENOMEM;
	return memory;
}

void *btn_mem_get(size_t size)
{
	const struct baton_hooks *h = get_hooks();
	void *memory;

	if (btn_unlikely(h->alloc))
		return hook_alloc(h, size, _Alignof(max_align_t));
	btn_tsan_ignore_begin();
	memory = malloc(size);
	btn_tsan_ignore_end();
	return memory;
}

void *btn_mem_zeroed(size_t n, size_t size)
{
	const struct baton_hooks *h = get_hooks();
	void *memory;

	if (btn_likely(!h->alloc)) {
		btn_tsan_ignore_begin();
		memory = calloc(n, size);
		btn_tsan_ignore_end();
		return memory;
	}
	if (size && n > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	memory = hook_alloc(h, n * size, _Alignof(max_align_t));
	return memory ? memset(memory, 0, n * size) : NULL;
}

void *btn_mem_aligned(size_t align, size_t size)
{
	const struct baton_hooks *h = get_hooks();
	void *memory;

	if (btn_unlikely(h->alloc))
		return hook_alloc(h, size, align);
	btn_tsan_ignore_begin();
	memory = aligned_alloc(align, size);
	btn_tsan_ignore_end();
	return memory;
}

void *btn_mem_grow(void *old, size_t had, size_t size)
{
	const struct baton_hooks *h = get_hooks();
	void *memory;

	if (btn_likely(!h->alloc)) {
		btn_tsan_ignore_begin();
		memory = realloc(old, size);
		btn_tsan_ignore_end();
		return memory;
	}
	memory = hook_alloc(h, size, _Alignof(max_align_t));
	if (!memory || !old)
		return memory;
	memcpy(memory, old, had < size ? had : size);
	h->free(h->ctx, old);
	return memory;
}

char *btn_mem_text(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = btn_mem_get(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

void btn_mem_free(void *memory)
{
	const struct baton_hooks *h;

	if (!memory)
		return;
	h = get_hooks();
	if (btn_likely(!h->free)) {
		btn_tsan_ignore_begin();
		free(memory);
		btn_tsan_ignore_end();
	} else {
		int saved = errno;

		h->free(h->ctx, memory);
		errno = saved;
	}
}

/* ---------------------------------------------------------- messages */

void btn_log(enum baton_log_level level, const char *fmt, ...)
{
	const struct baton_hooks *h = get_hooks();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (h->log)
		h->log(h->ctx, level, text);
	else
		fprintf(stderr, "baton: %s\n", text);
}

bool btn_panic(const char *text)
{
	const struct baton_hooks *h = atomic_load_explicit(&hooks, memory_order_acquire); /* [HOOKS-1] */

	if (!h || !h->panic)
		return false;
	h->panic(h->ctx, text);
	return true;
}
