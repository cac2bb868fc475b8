// SPDX-License-Identifier: GPL-2.0-or-later
#include "debt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "quota.h"

struct debt {
	struct debt *next;
	uint64_t ns;
	char tenant[QUOTA_NAME];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct debt *debts;		/* guarded by lock */
/* [DEBT-1]: whether there are any, so that statements do not all take the lock; one that sees it late leaves the debt to the next. */
static _Atomic unsigned n_debts;

static struct debt **find_debt(const char *tenant)
{
	struct debt **d;

	for (d = &debts; *d && strcmp((*d)->tenant, tenant); d = &(*d)->next)
		;
	return d;
}

void debt_add(const char *tenant, uint64_t ns)
{
	struct debt *d;

	if (!ns)
		return;
	pthread_mutex_lock(&lock);
	d = *find_debt(tenant);
	if (!d) {
		d = calloc(1, sizeof(*d));
		if (d) {
			strncpy(d->tenant, tenant, sizeof(d->tenant) - 1);
			d->next = debts;
			debts = d;
			atomic_fetch_add_explicit(&n_debts, 1, memory_order_relaxed); /* [DEBT-1] */
		}
	}
	if (d)
		d->ns += ns;
	pthread_mutex_unlock(&lock);
}

uint64_t debt_take(const char *tenant)
{
	struct debt **at, *d;
	uint64_t ns = 0;

	if (!atomic_load_explicit(&n_debts, memory_order_relaxed)) /* [DEBT-1] */
		return 0;
	pthread_mutex_lock(&lock);
	at = find_debt(tenant);
	d = *at;
	if (d) {
		ns = d->ns;
		*at = d->next;
		free(d);
		atomic_fetch_sub_explicit(&n_debts, 1, memory_order_relaxed); /* [DEBT-1] */
	}
	pthread_mutex_unlock(&lock);
	return ns;
}

void debt_forget(void)
{
	struct debt *d;

	pthread_mutex_lock(&lock);
	while ((d = debts)) {
		debts = d->next;
		free(d);
	}
	atomic_store_explicit(&n_debts, 0, memory_order_relaxed); /* [DEBT-1] */
	pthread_mutex_unlock(&lock);
}
