/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bench_quota.h - the parts of bench quota that run as tasks in a tight loop. */
#ifndef TOOLS_BENCH_QUOTA_H
#define TOOLS_BENCH_QUOTA_H

#include <stdbool.h>

struct baton_sched;
struct baton_tenant;

/* ns of a checkpoint with nothing due. */
void bench_quota_checkpoint(struct baton_tenant *t, double *ns, unsigned long *n);

/*
 * So many tasks in a ring hand the only slot on, n times a round: ns of one
 * switch, and the median ratio to the bare switch_to of as many threads in the
 * same round.
 */
bool bench_quota_switch(struct baton_sched *s, struct baton_tenant *t, unsigned tasks, unsigned long n,
			unsigned rounds, double *ns, double *ratio);

#endif
