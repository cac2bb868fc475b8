/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/worker.h - the threads that run tasks. */
#ifndef BTN_SCHED_WORKER_H
#define BTN_SCHED_WORKER_H

#include "types.h"

/* What a worker's thread does: struct baton_sched.worker_main. */
void *btn_worker_main(void *worker);
/*
 * Without the lock: its task ended. False: its thread is to end, too, or is
 * somebody else's again.
 */
bool btn_worker_task_end(struct btn_worker *w, bool leaves);

#endif
