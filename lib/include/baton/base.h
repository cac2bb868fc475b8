/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/base.h> - what every other header of baton needs.
 *
 * Conventions of the whole library:
 *  - functions return 0 or a negative errno value and leave errno alone;
 *  - times are absolute CLOCK_MONOTONIC nanoseconds in a uint64_t, durations
 *    are nanoseconds in a uint64_t;
 *  - unless a function says otherwise it may be called by any thread, is not
 *    a cancellation point and must not be left by longjmp();
 *  - fork() leaves the child with none of a scheduler's threads: <baton/sched.h>. What
 *    the other headers make is memory, and each says what a child may do with it. A
 *    child may make all of it anew. One that was made past fork() (by vfork(), or by
 *    clone() itself) may call nothing before it execs.
 */
#ifndef BATON_BASE_H
#define BATON_BASE_H

#include <stddef.h>
#include <stdint.h>

#define BATON_VERSION_MAJOR 0
#define BATON_VERSION_MINOR 2
#define BATON_VERSION_PATCH 0
#define BATON_VERSION "0.2.0"

#ifdef __cplusplus
#define BATON_BEGIN_DECLS extern "C" {
#define BATON_END_DECLS }
#else
#define BATON_BEGIN_DECLS
#define BATON_END_DECLS
#endif

/* Marks what the shared library exports. */
#define BATON_API __attribute__((visibility("default")))

/* Functions that only the library's inline code calls, compiled into its caller. */
#define BATON_INLINE_API BATON_API

/* A deadline that never comes. */
#define BATON_FOREVER UINT64_MAX

BATON_BEGIN_DECLS

/**
 * baton_version - the version of the library that is running
 *
 * Any thread, any time, also in a signal handler. Compare with BATON_VERSION,
 * which is the version of the header. The string is constant.
 */
BATON_API const char *baton_version(void);

/**
 * baton_clock_now - the time that deadlines are measured in
 *
 * CLOCK_MONOTONIC in nanoseconds. Any thread, also in a signal handler.
 */
BATON_API uint64_t baton_clock_now(void);

/**
 * baton_thread_prefer_latency - have the calling thread run sooner when it wakes
 *
 * For a thread that runs for a few microseconds at a time and should not wait for
 * the end of somebody else's time slice: it asks for a slice of 0.1 ms of its own,
 * which lets it go first when it wakes and gives it no more CPU than before. Its
 * nice value stays as it is. Before Linux 6.12 the kernel does not listen, and this
 * returns 0 all the same. The monitor of a scheduler does this for itself.
 *
 * Any thread, for itself. Returns 0; -EINVAL: its policy is not SCHED_OTHER; -EPERM, -ENOSYS:
 * forbidden here (by a seccomp filter).
 */
BATON_API int baton_thread_prefer_latency(void);

/**
 * baton_backend - how this process sleeps and wakes
 * @name: set to "swap" (the kernel has FUTEX_SWAP) or "wakewait" (any Linux)
 *
 * The first call of this or of any function that makes an object chooses, once
 * for the whole process. The environment variable BATON_BACKEND, read at that
 * moment and ignored in setuid programs, can force "swap" or "wakewait"; "auto"
 * or nothing takes the best there is. Where it cannot be had, the reason is
 * printed on stderr, once, and every such call returns the error.
 *
 * Any thread, not in a signal handler. @name is constant and may be NULL.
 *
 * Returns 0;
 * -EINVAL: BATON_BACKEND names no backend;
 * -ENOSYS: BATON_BACKEND is "swap" and this kernel has no FUTEX_SWAP.
 */
BATON_API int baton_backend(const char **name);

BATON_END_DECLS

#endif
