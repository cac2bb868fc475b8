/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A table that many tasks read, and one changes now and then.
 */
#include <baton/sync.h>
#include <stdio.h>

static struct baton_rwlock *lock;
static int table[2], wrong;

static void reads(void *arg)
{
	uint64_t soon = baton_clock_now() + 1000000000;

	(void)arg;
	/* At once where it can be, else within a second. */
	if (baton_rwlock_tryrdlock(lock) && baton_rwlock_rdlock_until(lock, soon) && baton_rwlock_rdlock(lock))
		return;
	wrong += table[0] != table[1];
	baton_rwlock_unlock(lock);
}

static void first(void *arg)
{
	struct baton_task *t[8];
	int i;

	(void)arg;
	for (i = 0; i < 8; i++)
		if (baton_task_spawn(&t[i], reads, NULL))
			return;
	if (baton_rwlock_trywrlock(lock) && baton_rwlock_wrlock_until(lock, baton_clock_now() + 1000000) &&
	    baton_rwlock_wrlock(lock))
		return;
	table[0]++;
	baton_checkpoint();
	table[1]++;
	baton_rwlock_unlock(lock);
	for (i = 0; i < 8; i++)
		baton_task_join(t[i]);
}

int main(void)
{
	struct baton_tenant_opts to = { 0 };
	struct baton_request_opts ro = { 0 };
	struct baton_tenant *tenant;
	struct baton_request *r;
	struct baton_sched *s;

	to.sz = sizeof(to);
	to.high_ppm = 500000;
	ro.sz = sizeof(ro);
	ro.cls = BATON_BATCH;
	ro.fn = first;
	if (baton_sched_create(&s, NULL) || baton_tenant_add(s, &tenant, &to) || baton_rwlock_create(&lock, s) ||
	    baton_submit(tenant, &ro, &r) || baton_request_wait(r))
		return 1;
	baton_request_put(r);
	baton_rwlock_destroy(lock);
	printf("changes: %d, read half changed: %d\n", table[0], wrong);
	return baton_sched_destroy(s) || table[0] != 1 || wrong;
}
