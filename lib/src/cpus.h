/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cpus.h - sets of CPUs of any machine. A cpu_set_t ends at CPU 1023; the kernel
 * then answers EINVAL to whoever asks for the CPUs that a thread may use, and CPU_SET()
 * of a greater number does nothing, or writes beyond the set.
 */
#ifndef BTN_CPUS_H
#define BTN_CPUS_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

/* The most that Linux can be built for is 8192. */
#define BTN_CPUS_MAX 8192

struct btn_cpus {
	cpu_set_t part[BTN_CPUS_MAX / CPU_SETSIZE];
};

/* The CPUs that the calling thread, or that one, may use. 0, or -errno: forbidden here, by a seccomp filter. */
int btn_cpus_self(struct btn_cpus *c);
int btn_cpus_of(struct btn_cpus *c, pthread_t thread);
/* From now on these, for the thread of that number; 0: for the calling one. 0 or -errno. */
int btn_cpus_use(const struct btn_cpus *c, pid_t tid);

/* The set of one CPU; of none, where there is no such CPU. */
void btn_cpus_one(struct btn_cpus *c, int cpu);
unsigned btn_cpus_count(const struct btn_cpus *c);
bool btn_cpus_equal(const struct btn_cpus *a, const struct btn_cpus *b);
/* The first CPU from that one on; -1: none. */
int btn_cpus_next(const struct btn_cpus *c, int from);

#endif
