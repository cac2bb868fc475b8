/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stuck.h - what a scheduler looks like in which nothing goes on. Takes no lock:
 * whoever has it may be part of what is wrong.
 */
#ifndef BPF_STUCK_H
#define BPF_STUCK_H

#include <baton/sched.h>

/* By each task when it begins and before it ends, so that no worker is overlooked. */
void stuck_begin(const char *what);
void stuck_end(void);
/* Says what the test is about to do. */
void stuck_at(const char *what, int n);

/* Says all on stderr. */
void stuck_show(const struct baton_sched *s);

#endif
