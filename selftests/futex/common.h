/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * common.h - what the tests of FUTEX_SWAP share.
 *
 * Nothing here sleeps for a guessed time: a state is polled for in /proc, with
 * a deadline far beyond what an emulated CPU on a busy machine needs. Words and
 * calls live in one arena, shared by the processes a test forks, within reach
 * of 32-bit pointers, and never used twice: a thread that a failed test left
 * behind cannot disturb the next one.
 */
#ifndef FUTEX_COMMON_H
#define FUTEX_COMMON_H

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#ifndef FUTEX_SWAP
#define FUTEX_SWAP 14
#endif
#define SWAP_PRIVATE (FUTEX_SWAP | FUTEX_PRIVATE_FLAG)
#define NSEC 1000000000ll
/* How long a thing that must happen may take: 60 s, or SWAP_PATIENCE seconds. */
int64_t patience(void);

/* futex(2); a failure is -errno. The words are what the kernel reads. */
long sys_futex(uint32_t *uaddr, int op, uint32_t val, const void *timeout,
	       uint32_t *uaddr2, uint32_t val3);
/* The same through int $0x80 (every pointer below 4 GiB): the time32 entry, and time64's. */
#define NR32_FUTEX 240
#define NR32_FUTEX_TIME64 422
long int80_futex(int nr, uint32_t *uaddr, int op, uint32_t val, const void *timeout,
		 uint32_t *uaddr2, uint32_t val3);

/* Zeroed memory from the shared arena, a cache line or more; and one word. */
void *arena(size_t size);
uint32_t *word(uint32_t val);

int64_t now_ns(clockid_t clock);
struct timespec to_ts(int64_t ns);
void nap(void);	/* between two polls */

/*
 * A futex call in a thread or a process of its own.
 * before, after: run by that thread around the call.
 */
struct call {
	/* the call */
	int op, nr32;	/* nr32: through int $0x80 with this number */
	uint32_t *uaddr, *uaddr2, val, val3;
	const void *timeout;
	void (*before)(struct call *c), (*after)(struct call *c);
	int cpu;	/* pinned there, if not negative */
	/* the outcome */
	_Atomic pid_t tid;
	atomic_bool done;
	long ret;
	int ran_on;	/* the CPU it found itself on afterwards */
	int64_t ended;	/* CLOCK_MONOTONIC */
	pthread_t thread;
	pid_t pid;	/* the process, if forked */
};

struct call *call_new(int op, uint32_t *uaddr, uint32_t val, uint32_t *uaddr2);
void call_thread(struct call *c);	/* start it */
void call_fork(struct call *c);
/* Started as a FUTEX_WAIT of *uaddr, and seen asleep there. */
struct call *wait_on(uint32_t *uaddr, bool private_);
/* Started as a FUTEX_SWAP, and seen asleep. */
struct call *swap_to(uint32_t *uaddr, uint32_t *uaddr2, const struct timespec *timeout);

/* The thread sleeps in a futex call on @uaddr (NULL: any), off its CPU. */
bool asleep_on(pid_t tid, uint32_t *uaddr);
bool call_asleep(struct call *c);
void call_until_asleep(struct call *c);	/* ends the test if it will not */
bool call_done(struct call *c);
long call_result(struct call *c);	/* waits for it, ends the test if in vain */
/* A futex call that must not stay asleep, made by another thread: its result. */
long call_now(uint32_t *uaddr, int op, uint32_t val, const void *timeout,
	      uint32_t *uaddr2, uint32_t val3);
int calls_done(struct call **c, int n);
/* Wait until exactly @n of them are done, and look that the rest sleep on. */
void calls_settle(struct call **c, int total, int n);
void calls_end(struct call **c, int n);	/* wake them with FUTEX_WAKE: each must be there */

char state_of(pid_t tid);	/* as in /proc/TID/stat, 0: gone */
void until_state(pid_t tid, const char *states);
bool until(bool (*cond)(void *arg), void *arg);	/* false: lost patience */

/* A line of a small file, without its newline; false: cannot. */
bool read_line(const char *path, char *buf, size_t size);
bool write_file(const char *path, const char *text);
void pin(pid_t tid, int cpu);	/* negative: anywhere */
int n_cpus(void);
bool is_debug_kernel(void);	/* lockdep and KASAN: everything is slow */

/*
 * The kernel's counters of hand-overs, since counters_reset(): the sum of those
 * whose name begins so. Ends the test where there are none.
 */
long counter(const char *prefix);
void counters_reset(void);
void counters_show(const char *title);

/* A cgroup v2 directory with the cpu controller; ends the test if it cannot. */
const char *cgroup_new(const char *name);
const char *cgroup_sub(const char *cgroup, const char *name);
bool cgroup_write(const char *cgroup, const char *file, const char *text);
long cgroup_value(const char *cgroup, const char *file, const char *key);
bool cgroup_enter(const char *cgroup, pid_t pid);
void cgroup_delete(const char *cgroup);

/* All the tests but `absent` need FUTEX_SWAP; without it they fail, this says why. */
bool swap_absent(void);

#endif
