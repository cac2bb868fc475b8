/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * symbols.h - the names of code addresses: of a process, by its files' symbol
 * tables and debug information (libdw), and of the kernel (/proc/kallsyms).
 */
#ifndef TOOLS_SYMBOLS_H
#define TOOLS_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct symbols;

/* NULL: no memory. A process that cannot be looked into has no names, only addresses. */
struct symbols *symbols_open(pid_t pid);
void symbols_close(struct symbols *s);

/*
 * "function (file, source.c:line)", as much of it as is known, or the address.
 * call: it is where a call returns to, so the call itself was before it.
 * The caller frees it; NULL: no memory.
 */
char *symbols_user(struct symbols *s, uint64_t address, bool call);
/* NULL: unknown, as for those to whom the kernel does not show its addresses. */
const char *symbols_kernel(struct symbols *s, uint64_t address);

#endif
