/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/lend.h - whose place in the order a lock's holder has, and from which account a run is paid. */
#ifndef BTN_LEND_H
#define BTN_LEND_H

#include "types.h"

/* The task that would have to run for t to go on: t, or the holder at the end of its chain. */
static inline struct btn_task *btn_lend_end(struct btn_task *t)
{
	while (t->waits)
		t = t->waits->holder;
	return t;
}

/* Task h became ready, or is not ready any more: those that wait for h begin, or cease, to stand in. */
void btn_lend_begin(struct btn_core *c, uint64_t now, struct btn_task *h);
void btn_lend_cease(struct btn_core *c, uint64_t now, struct btn_task *h);

/* Task t waits for res, which holder holds; waits no more; res has another holder. core.h has the contracts. */
void btn_lend_wait(struct btn_core *c, uint64_t now, struct btn_task *t, struct btn_resource *res, struct btn_task *holder);
void btn_lend_wait_end(struct btn_core *c, uint64_t now, struct btn_task *t);
void btn_lend_hold(struct btn_core *c, uint64_t now, struct btn_resource *res, struct btn_task *holder);

/* CPU of a run is charged to the account, the tier and the tenant that pay for the run. */
void btn_lend_settle(struct btn_core *c, uint64_t now, struct btn_run *run, uint64_t cpu);
/* The figure of a tenant's CPU in a tier grows, but for what the tenant was given back. */
void btn_lend_show_used(struct btn_tenant *t, unsigned tier, uint64_t cpu);

#endif
