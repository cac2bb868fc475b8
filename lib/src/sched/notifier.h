/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/notifier.h - the thread that hears who blocks. */
#ifndef BTN_SCHED_NOTIFIER_H
#define BTN_SCHED_NOTIFIER_H

#include "types.h"

/* How it went is in s->how. */
void btn_notifier_begin(struct baton_sched *s, unsigned workers, uint64_t idle_ns);
void btn_notifier_end(struct baton_sched *s);

#endif
