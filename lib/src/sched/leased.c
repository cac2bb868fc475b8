// SPDX-License-Identifier: LGPL-2.1-or-later
/* Leases' end. */
#include "leased.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "../core/setup.h"
#include "self.h"

static pthread_mutex_t owners_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t owners_once = PTHREAD_ONCE_INIT;
/* Schedulers that joined a fleet and were not destroyed since; in a child of fork(), the parent's as well. */
static struct baton_sched *owners;

static void owners_acquire(void)
{
	pthread_mutex_lock(&owners_lock);
}

static void owners_release(void)
{
	pthread_mutex_unlock(&owners_lock);
}

/* Without it a child of fork could find the lock held by no thread. */
static void owners_watch_forks(void)
{
	pthread_atfork(owners_acquire, owners_release, owners_release);
}

static void remove_owner(const struct baton_sched *s)
{
	struct baton_sched **p;

	for (p = &owners; *p && *p != s; p = &(*p)->fleet_next)
		;
	if (*p)
		*p = s->fleet_next;
}

bool btn_leased_own(struct baton_sched *s, const char *socket)
{
	const struct baton_sched *o;

	pthread_once(&owners_once, owners_watch_forks);
	owners_acquire();
	for (o = owners; o; o = o->fleet_next)
		if (o != s && btn_self_is_here(o->process) && !strcmp(o->fleet_socket, socket))
			break;
	if (!o) {
		remove_owner(s);
		strcpy(s->fleet_socket, socket);
		s->fleet_next = owners;
		owners = s;
	}
	owners_release();
	return !o;
}

void btn_leased_disown(struct baton_sched *s)
{
	if (!*s->fleet_socket)
		return;
	owners_acquire();
	remove_owner(s);
	*s->fleet_socket = 0;
	owners_release();
}

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
