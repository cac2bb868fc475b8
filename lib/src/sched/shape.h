/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/shape.h - a scheduler's slots, capacity and tiers. The rules are what the service
 * said, in parts; the shape is what follows from them in ns, and follows anew when the
 * capacity is another. All calls with the lock, but for the first two in a new scheduler.
 */
#ifndef BTN_SCHED_SHAPE_H
#define BTN_SCHED_SHAPE_H

#include "types.h"

/* The least capacity, ns in a second: no limit of a cgroup is lower. */
#define BTN_CAPACITY_MIN 1000000ULL

struct btn_shape {
	unsigned slots;
	uint64_t capacity, low_limit;
	struct btn_tier_setup tier[BTN_TIERS_MAX];
};

/* The rules as these options say them. Returns how many tiers there are; -EINVAL. */
int btn_shape_rules(struct btn_rules *to, const struct baton_sched_opts *o);
/* The shape of a scheduler with these rules and that many tiers, where the machine allows so much. */
void btn_shape_of(struct btn_shape *to, const struct btn_rules *r, unsigned tiers, uint64_t allowed);
/* -ERANGE: more slots than there is memory for. */
int btn_shape_check(const struct baton_sched *s, const struct btn_shape *to);
/*
 * The scheduler is so from now on, by these rules (NULL: by those that it has); its tenants
 * keep their parts. The shape was checked.
 */
void btn_shape_set(struct baton_sched *s, const struct btn_shape *to, const struct btn_rules *rules);

#endif
