/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench_pool.h - what most programs have: threads, and a list of jobs under a
 * mutex and a condition variable. First in, first out.
 */
#ifndef TOOLS_BENCH_POOL_H
#define TOOLS_BENCH_POOL_H

struct pool_job {
	void (*fn)(void *arg);
	void *arg;
	struct pool_job *next;
};

/* Starts so many threads; each calls prepare(arg) first, unless that is NULL. 0 or -EAGAIN. */
int pool_start(unsigned threads, void (*prepare)(void *arg), void *arg);

/* The job's memory is the caller's, and free again when its fn begins. */
void pool_add(struct pool_job *j);

#endif
