/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* opts.h - structs of options that begin with their size, as the caller's header knows it. */
#ifndef BTN_OPTS_H
#define BTN_OPTS_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/*
 * Copies the caller's struct to one of this library's: what an older header does not know is 0.
 * Returns 0; -EINVAL: a size that no header had; -E2BIG: a newer header's, and an option is
 * set that this library does not know.
 */
static inline int btn_opts_take(void *to, size_t size, const void *from)
{
	const char *byte = from;
	size_t sz, at;

	memcpy(&sz, from, sizeof(sz));
	if (sz < sizeof(size_t) + sizeof(unsigned int) || sz > 4096)
		return -EINVAL;
	for (at = size; at < sz; at++)
		if (byte[at])
			return -E2BIG;
	memset(to, 0, size);
	memcpy(to, from, sz < size ? sz : size);
	return 0;
}

/*
 * The caller's struct as this library's: itself where the sizes are equal, which costs a
 * comparison, else a copy in *room. NULL: *err says why, as btn_opts_take() does; else *err is 0.
 */
static inline const void *btn_opts_view(void *room, size_t size, const void *from, int *err)
{
	size_t sz;

	memcpy(&sz, from, sizeof(sz));
	*err = 0;
	if (sz == size)
		return from;
	*err = btn_opts_take(room, size, from);
	return *err ? NULL : room;
}

#endif
