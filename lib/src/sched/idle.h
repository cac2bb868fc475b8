/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/idle.h - idle pollers: threads that look for blocked workers where a CPU has nothing
 * to do.
 */
#ifndef BTN_SCHED_IDLE_H
#define BTN_SCHED_IDLE_H

#include "types.h"

unsigned btn_idle_max(void);
void btn_idle_begin(struct baton_sched *s, uint64_t idle_ns);
/* Called by the notifier after the doorbell rang. */
void btn_idle_rung(struct baton_sched *s);
void btn_idle_end(struct baton_sched *s);

#endif
