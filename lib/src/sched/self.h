/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/self.h - what this thread is. */
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

/* The task that runs on this thread; NULL: none. */
static inline struct baton_task *btn_self_task(void)
{
	return btn_self ? btn_self->task : NULL;
}

#endif
