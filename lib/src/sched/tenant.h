/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/tenant.h - who bought what. */
#ifndef BTN_SCHED_TENANT_H
#define BTN_SCHED_TENANT_H

#include "types.h"

#define BTN_PPM 1000000ULL

static inline uint64_t btn_tenant_part_of(uint64_t capacity, unsigned ppm)
{
	return capacity / BTN_PPM * ppm;
}

uint64_t btn_tenant_part(const struct baton_sched *s, unsigned ppm);

/* With the lock. Two steps: without memory of a name nothing happens. Not shown to others yet: page.h. */
int btn_tenant_new(struct baton_sched *s, struct baton_tenant **out, uint64_t low, uint64_t high,
		   const char *name);
/* With the lock. No requests from now on; gone when there are none. */
void btn_tenant_leave(struct baton_tenant *t);
/* Somebody has one of its tenants; and the memory of all. */
bool btn_tenants_busy(const struct baton_sched *s);
void btn_tenants_free(struct baton_sched *s);

#endif
