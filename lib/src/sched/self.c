// SPDX-License-Identifier: LGPL-2.1-or-later
#include "self.h"

#include <errno.h>
#include <pthread.h>

__thread struct btn_worker *btn_self;
__thread struct btn_worker *btn_self_attached;
_Atomic unsigned btn_self_process;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int err;

/* In the child of fork(). What the thread was attached with stays as it is, and nobody's. */
static void begin_child(void)
{
	unsigned process = atomic_load_explicit(&btn_self_process, memory_order_relaxed); /* [FORK-1] */

	btn_self = btn_self_attached = NULL;
	atomic_store_explicit(&btn_self_process, process + 1, memory_order_relaxed); /* [FORK-1] */
}

static void watch_forks(void)
{
	err = -pthread_atfork(NULL, NULL, begin_child);
}

int btn_self_init(void)
{
	pthread_once(&once, watch_forks);
	return err;
}
