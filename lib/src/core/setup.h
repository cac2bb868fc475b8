/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/setup.h - a core's tiers, slots and tenants: made, changed under load, freed. */
#ifndef BTN_SETUP_H
#define BTN_SETUP_H

#include "types.h"

/*
 * capacity: ns of CPU in a second, up to one second for each slot; what quotas, reserves and
 * limits are parts of. tiers: at least BTN_LOW and BTN_HIGH. -EINVAL: counts out of range, a
 * share of 0, or more reserved, with low_limit, than there is. -ENOMEM.
 */
int btn_core_init(struct btn_core *c, unsigned slots, unsigned slots_max, uint64_t capacity,
		  const struct btn_tier_setup *tiers, unsigned n_tiers, uint64_t low_limit);
void btn_core_fini(struct btn_core *c);

/*
 * Reshaping: other slots, another capacity, as many tiers with other rules, another limit of
 * what is sold. In this order, at one time, with nothing in between:
 *   - btn_core_can_reshape(): -ERANGE: more slots than slots_max;
 *     -EINVAL: as btn_core_init();
 *   - each tenant is lifted: its tasks stand nowhere;
 *   - btn_core_reshape(), which cannot fail;
 *   - each tenant is put back: its tasks stand where the new rules want them.
 * Tenants' quotas stay the same numbers of ns: btn_core_tenant_rescale() is for the caller.
 *
 * Why no promise breaks:
 *   - Accounts keep their logs, and what is reserved in them stays until the runs stop
 *     that it is for. So the claim of ledger.h holds, for the quota in force when each
 *     slice began. A tier that gets its first limit knows of runs only from then on: the
 *     limit holds in seconds that begin after the change, but for slices that were out
 *     at that time.
 *   - A slot that is removed gets no task from then on. The task that it has is to stop
 *     at its next checkpoint, like one that is preempted, and waits among the others
 *     then. Until that checkpoint there is one slot more than there should be.
 *   - Keys of another policy, and tags of another rank, are of another scale. They all
 *     begin anew: tasks and flows are sorted anew, and a tier with another rank begins
 *     where that rank is, like a tier that had nothing to do until now.
 */
int btn_core_can_reshape(const struct btn_core *c, unsigned slots, uint64_t capacity,
			 const struct btn_tier_setup *tiers, uint64_t low_limit);
void btn_core_tenant_lift(struct btn_core *c, struct btn_tenant *t, uint64_t now);
void btn_core_reshape(struct btn_core *c, unsigned slots, uint64_t capacity, const struct btn_tier_setup *tiers,
		      uint64_t low_limit, uint64_t now);
void btn_core_tenant_put(struct btn_core *c, struct btn_tenant *t, uint64_t now);

/*
 * How many requests of the tenant may be in flight, and how many workers its tasks may have;
 * 0: any number. Those that are too many stay.
 */
void btn_core_tenant_limit(struct btn_core *c, struct btn_tenant *t, unsigned requests, unsigned workers, uint64_t now);

/* A tenant is 4 KiB for each quota above 0 and a little more, from c->prealloc. */
int btn_core_tenant(struct btn_core *c, struct btn_tenant **out, uint64_t low, uint64_t high, uint64_t now);
/*
 * Bytes of BTN_PREALLOC_CORE that a tenant takes; each quota takes BTN_LOG_SIZE of
 * BTN_PREALLOC_LOG.
 */
size_t btn_core_tenant_size(const struct btn_core *c);
#define BTN_LOG_SIZE	(BTN_LOG * sizeof(struct btn_log))
/* -ENOSPC: more of BTN_LOW sold than low_limit. -ENOMEM. Nothing changed then. */
int btn_core_tenant_set(struct btn_core *c, struct btn_tenant *t, uint64_t low, uint64_t high, uint64_t now);
/*
 * The same parts of another capacity: cannot fail, whatever low_limit is. A quota that was 0
 * stays so.
 */
void btn_core_tenant_rescale(struct btn_core *c, struct btn_tenant *t, uint64_t low, uint64_t high, uint64_t now);
/*
 * Gets the memory with which btn_core_tenant_set() to these quotas cannot fail for want of
 * any. -ENOMEM.
 */
int btn_core_tenant_prepare(struct btn_core *c, struct btn_tenant *t, uint64_t low, uint64_t high);
/* The tenant has no request in flight. The low-latency quota may be sold again. */
void btn_core_tenant_free(struct btn_core *c, struct btn_tenant *t);

#endif
