/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/completion.h - the ends of requests, for whoever polls instead of waiting. All
 * without the scheduler's lock, as they make system calls; the caller's thread is
 * inside the library (gate.h).
 */
#ifndef BTN_SCHED_COMPLETION_H
#define BTN_SCHED_COMPLETION_H

#include "types.h"

struct baton_completions;

int btn_completion_create(struct baton_completions **out);
int btn_completion_destroy(struct baton_completions *q);
/* True: this process made the queue. Another would take from the same eventfd. */
bool btn_completion_is_here(const struct baton_completions *q);
int btn_completion_fd(const struct baton_completions *q);
/* Counts a request more whose end will be added (by: 1), or not after all (-1). */
void btn_completion_expect(struct baton_completions *q, int by);
/* r, which knows its queue, has ended, and belongs to the queue from here on. */
void btn_completion_add(struct baton_request *r);
/* Up to `max` requests that ended, linked by `next`, the oldest first; NULL: none. */
struct baton_request *btn_completion_take(struct baton_completions *q, unsigned max);

#endif
