/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guard.h - mappings of other processes' files, which may become shorter while
 * they are read. A read behind the end of a file is a SIGBUS; in a guarded mapping
 * all of it becomes zeros, and the reader goes on.
 *
 * The first guard installs a handler for SIGBUS, which hands all other faults on to the handler
 * before it. A thread that reads must not block SIGBUS: the kernel ends the process then.
 */
#ifndef BTN_GUARD_H
#define BTN_GUARD_H

#include <stddef.h>

struct btn_guard;

/* Guards a read-only mapping. NULL: no memory. Any thread. */
struct btn_guard *btn_guard_add(const void *base, size_t size);
/* Before the mapping is unmapped. NULL: nothing. */
void btn_guard_drop(struct btn_guard *g);

#endif
