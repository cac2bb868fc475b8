/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The threads baton-kill and baton-spare: KILL and a shutdown end waits for CPU, killed statements come to their end, and
 * transactions go on that may hold a lock for which a paying user waits. kill.c says how.
 */
#ifndef BATON_MARIADB_KILL_H
#define BATON_MARIADB_KILL_H

#include <stdbool.h>
#include <stdint.h>

#include "server.h"

/** kill_start - before kill_enforce(); kill_stop() when nothing is enforced any more. Returns 0 or -errno. */
int kill_start(void);
void kill_stop(void);

/** kill_enforce - statements wait for turns; or do not, and those that do are told so */
void kill_enforce(bool on);

/** kill_wake - somebody who is not to be held up waits for a lock */
void kill_wake(void);

/*
 * From _begin() to _end() this thread waits for a turn, or may be stopped: KILL is told so. By that
 * thread; _end() may block on the mutex of @v.
 */
void kill_wait_begin(struct st_my_thread_var *v);
void kill_wait_end(struct st_my_thread_var *v);

/** kill_let_in - how many queued transactions were let in for others' sake */
uint64_t kill_let_in(void);

#endif
