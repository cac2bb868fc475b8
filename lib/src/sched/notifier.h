/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/notifier.h - the notifier: the thread that the doorbell wakes. */
#ifndef BTN_SCHED_NOTIFIER_H
#define BTN_SCHED_NOTIFIER_H

#include "types.h"

/* Begins a session with `baton load`, where there is one; s->how says how that went. */
void btn_notifier_begin(struct baton_sched *s, unsigned workers, uint64_t idle_ns);
void btn_notifier_end(struct baton_sched *s);

#endif
