/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mem.h - memory with a budget. A session's thread takes it for its session and
 * its tenant; what would be more than either may have is not there, as if malloc() had
 * failed: SQLite and buf.c undo what they were at, and the statement ends with 53200.
 * SQLite takes all of its memory here (db.c).
 */
#ifndef BATONDB_MEM_H
#define BATONDB_MEM_H

#include <stddef.h>
#include <stdint.h>

/* A tenant's memory; it stays until the process ends. */
struct mem_tenant {
	_Atomic int64_t used;
};

/* Bytes, 0: no limit. */
struct mem_limits {
	int64_t session, tenant, server;
};
void mem_limits(const struct mem_limits *l);

/* The calling thread from here on takes memory for a session; t NULL: for one that nobody has logged in to. */
void mem_session(struct mem_tenant *t);
/* Bytes of the calling thread's session, and of all. */
int64_t mem_used(void);
int64_t mem_used_all(void);

/* With SQLite's types; n below 0: NULL. */
void *mem_alloc(int n);
void *mem_realloc(void *p, int n);
void mem_free(void *p);
int mem_size(void *p);

#endif
