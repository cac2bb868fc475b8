/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/apply.h - options and configurations become a scheduler's slots, tiers and tenants. */
#ifndef BTN_SCHED_APPLY_H
#define BTN_SCHED_APPLY_H

#include "types.h"

/* Fills in the tiers for this capacity. Returns how many there are; -EINVAL. */
int btn_apply_tiers(const struct baton_sched_opts *o, struct btn_tier_setup *to, uint64_t capacity);

#endif
