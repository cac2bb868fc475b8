/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/apply.h - what a scheduler is told to be. */
#ifndef BTN_SCHED_APPLY_H
#define BTN_SCHED_APPLY_H

#include "types.h"

/* Of a capacity: how many tiers; -EINVAL. */
int btn_apply_tiers(const struct baton_sched_opts *o, struct btn_tier_setup *to, uint64_t capacity);

#endif
