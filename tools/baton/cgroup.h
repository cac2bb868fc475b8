/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroup.h - two threaded cgroups with the cpu controller, for one process
 * whose threads shall not be in the same one. Functions return NULL, or why it
 * cannot be.
 */
#ifndef TOOLS_CGROUP_H
#define TOOLS_CGROUP_H

#include <stddef.h>

/* Makes them; a and b get their directories. */
const char *cgroup_make_pair(char *a, char *b, size_t size);

/* Moves the calling process into their parent. */
const char *cgroup_enter(void);

/* Moves the calling thread; 0 or -1 with errno. */
int cgroup_add_thread(const char *dir);

/* When the process that entered is gone. */
void cgroup_remove_pair(void);

#define CGROUP_LIMITS 8

/*
 * n of them, the i-th with so many us of CPU in each 100 ms; of cgroup v2, else v1
 * (cpu.cfs_quota_us: the same code in the kernel).
 */
const char *cgroup_make_limits(unsigned n, const unsigned long *us);
/* Cgroups of v2 the process has to enter first; with v1 that does nothing. */
const char *cgroup_enter_limits(void);
int cgroup_add_limited(unsigned i);
/* In their place one for a process, which calls cgroup_enter(). What else runs here matters little to it: it has the greatest weight. */
const char *cgroup_make_limit(unsigned long us);
const char *cgroup_change_limit(unsigned long us);
void cgroup_remove_limits(void);

#endif
