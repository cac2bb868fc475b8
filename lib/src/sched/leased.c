// SPDX-License-Identifier: LGPL-2.1-or-later
/* Leases' end. */
#include "leased.h"

#include <sys/eventfd.h>

#include "../core/setup.h"

static uint64_t base_of(const struct baton_tenant *t, unsigned tier)
{
	uint64_t quota = t->core->acct[tier].quota;

	return t->leased[tier] && t->base[tier] < quota ? t->base[tier] : quota;
}

void btn_leased_end(struct baton_sched *s)
{
	struct baton_tenant *t;

	s->lease_end = BTN_NEVER;
	for (t = s->tenants; t; t = t->next)
		if (t->leased[BTN_LOW] || t->leased[BTN_HIGH])
			btn_core_tenant_rescale(&s->core, t->core, base_of(t, BTN_LOW), base_of(t, BTN_HIGH), s->now);
}

void btn_leased_wake_now(struct baton_sched *s)
{
	if (atomic_exchange_explicit(&s->fleet_sleeps, false, memory_order_acquire)) /* [FLEET-1] */
		eventfd_write(s->fleet_wake, 1);
}
