/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/tenant.h - tenants, and what they bought. */
#ifndef BTN_SCHED_TENANT_H
#define BTN_SCHED_TENANT_H

#include "types.h"

#define BTN_PPM 1000000ULL

/* ns in a second. Any part is more than nothing: it has a log, and may grow with the capacity. */
static inline uint64_t btn_tenant_part_of(uint64_t capacity, unsigned ppm)
{
	uint64_t part = (uint64_t)((unsigned __int128)capacity * ppm / BTN_PPM);

	return part || !ppm ? part : 1;
}

uint64_t btn_tenant_part(const struct baton_sched *s, unsigned ppm);

/* The quota of a tenant that bought that part: a leased one stays what it is. Needs the lock. */
static inline uint64_t btn_tenant_quota(const struct baton_tenant *t, unsigned tier, unsigned ppm)
{
	return t->leased[tier] ? t->core->acct[tier].quota : btn_tenant_part(t->s, ppm);
}

/*
 * Makes a tenant, or nothing. Readers of the page do not see it until btn_page_tenant_show().
 * Needs the lock.
 */
int btn_tenant_new(struct baton_sched *s, struct baton_tenant **out, unsigned low_ppm, unsigned high_ppm,
		   const char *name);
/* The tenant gets no requests from now on, and is gone when it has none. Needs the lock. */
void btn_tenant_leave(struct baton_tenant *t);
/* Busy: a tenant of s has references. Free: the memory of all tenants of s. */
bool btn_tenants_busy(const struct baton_sched *s);
void btn_tenants_free(struct baton_sched *s);

#endif
