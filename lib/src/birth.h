/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * birth.h - what a thread inherits from the one that made it. Whichever thread
 * finds that a task needs a worker makes one: a submitter that the service pinned to
 * a CPU or made SCHED_FIFO, another worker that was demoted to SCHED_IDLE, or the
 * monitor, which blocks all signals and has short slices. Workers are to be alike,
 * and like the thread that made their scheduler.
 */
#ifndef BTN_BIRTH_H
#define BTN_BIRTH_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* The kernel's struct sched_attr as it was first: its header and libc's exclude each other. */
struct btn_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

struct btn_birth {
	struct btn_sched_attr attr;
	sigset_t signals;	/* blocked */
	long slack;
};

/* 0 or -errno: the calling thread's. */
int btn_sched_attr_get(struct btn_sched_attr *a);
int btn_sched_attr_set(struct btn_sched_attr *a);

/* Notes what the calling thread has. */
void btn_birth_note(struct btn_birth *b);

/*
 * The calling thread, which has just begun, gets that. False: it is SCHED_IDLE, and
 * may not leave that.
 */
bool btn_birth_become(const struct btn_birth *b);

/* The calling thread is the library's: the service's signals are for its own, and a name tells which it is. */
void btn_birth_own(const char *name);

/* The CPUs that this thread has by now, too: they may change for the whole process. */
void btn_birth_cpus(pthread_t like);

#endif
