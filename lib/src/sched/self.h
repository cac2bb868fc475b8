/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/self.h - what this thread is, and which process.
 *
 * After fork() the child has one thread, a copy of the one that called it, and none of a
 * scheduler's: its lock may be held by a thread that is not there, and no task would ever
 * run. So the child has none of its parent's schedulers. Its thread is no task (btn_self is
 * NULL), which refuses all that needs one, without a look on any fast path. Every other call
 * with an object of a scheduler compares the process that made it with this one.
 */
#ifndef BTN_SCHED_SELF_H
#define BTN_SCHED_SELF_H

#include "types.h"

/* The worker that this thread is; NULL: none. */
extern __thread struct btn_worker *btn_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/*
 * The worker that this thread brings along when it is attached (attached.c), once it was;
 * NULL: not yet.
 */
extern __thread struct btn_worker *btn_self_attached
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* How many calls of fork() lie between this process and the first that had the library. */
extern _Atomic unsigned btn_self_process __attribute__((visibility("hidden")));

/* Called before anything is made that btn_self_is_here() is asked about. 0 or -ENOMEM. */
int btn_self_init(void);

/* True: this process made the object. */
static inline bool btn_self_is_here(unsigned process)
{
	/* [FORK-1] written by the child's only thread, before it goes on. */
	return btn_likely(process == atomic_load_explicit(&btn_self_process, memory_order_relaxed)); /* [FORK-1] */
}

/* The task that runs on this thread; NULL: none. */
static inline struct baton_task *btn_self_task(void)
{
	return btn_self ? btn_self->task : NULL;
}

/* The same, if the task is one of s; NULL: there is none, or it is another scheduler's. */
static inline struct baton_task *btn_self_task_of(const struct baton_sched *s)
{
	struct baton_task *t = btn_self_task();

	return t && t->s == s ? t : NULL;
}

#endif
