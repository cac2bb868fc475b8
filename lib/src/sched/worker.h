/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/worker.h - the threads that run tasks. */
#ifndef BTN_SCHED_WORKER_H
#define BTN_SCHED_WORKER_H

#include "types.h"

/* The start routine of a worker's thread. */
void *btn_worker_main(void *worker);
/*
 * The task of w, the caller, ended. False: the thread is to end, too, or (attached) goes back
 * to its owner. Called without the lock.
 */
bool btn_worker_task_end(struct btn_worker *w, bool leaves);

#endif
