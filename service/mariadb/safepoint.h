/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a statement may be stopped: between two rows, where it holds none of the
 * storage engine's latches. safepoint.c says how.
 */
#ifndef BATON_MARIADB_SAFEPOINT_H
#define BATON_MARIADB_SAFEPOINT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "server.h"

#define SAFEPOINT_BATCHES 8

struct safepoint {
	/* The thread runs a statement's request, and may be late where it is asked to stop. */
	volatile sig_atomic_t on;
	volatile sig_atomic_t asked;	/* to stop, and has not reached a safe point yet */
	/* m_psi_batch_mode of each table that is read in a batch, the innermost one last. */
	int *volatile batch[SAFEPOINT_BATCHES];
	volatile sig_atomic_t batches;
	int timer;			/* the kernel's; -1: none */
	/* Place that KILL looks at, to find safepoint_kill() there if the server has put nothing into it. */
	struct st_my_thread_var *var;
	char *stack, *stack_end;
};

extern __thread struct safepoint safepoint __attribute__((tls_model("initial-exec")));

/* Since the plugin was loaded, for the status variables. */
struct safepoint_stats {
	uint64_t deferred;	/* times that a thread was asked to stop */
	uint64_t forced;	/* times of `deferred` when the thread was stopped where it was */
};

/** safepoint_init - once, after the scheduler was made. Returns 0 or -errno. */
int safepoint_init(int sig);

/** safepoint_kill - what KILL broadcasts for a thread that is stopped; before any is */
void safepoint_kill(mysql_mutex_t *mutex, mysql_cond_t *cond);

/** safepoint_limit - how long a thread may take to a safe point, ns */
void safepoint_limit(uint64_t ns);

/** safepoint_thread - before this thread runs its first statement */
void safepoint_thread(void);

/** safepoint_off - this thread's request ends; where it was asked to stop, it will not have to */
void safepoint_off(void);

/** safepoint_reached - the slow part of safepoint_look() */
void safepoint_reached(void);

/** safepoint_look - between two rows */
static inline void safepoint_look(void)
{
	if (__builtin_expect(safepoint.asked, 0))
		safepoint_reached();
}

/**
 * safepoint_batch - a table begins to be read in a batch, without a call for each row
 * @state: what the server passed: a PSI_table_locker_state
 * @table: likewise
 *
 * Returns false: it does not.
 */
bool safepoint_batch(const void *state, const void *table);

/** safepoint_batch_end - what safepoint_batch() returned true for ends */
void safepoint_batch_end(void);

/** safepoint_is_batch - this state is of the innermost batch */
bool safepoint_is_batch(const void *state);

void safepoint_stats(struct safepoint_stats *out);

#endif
