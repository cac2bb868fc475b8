// SPDX-License-Identifier: LGPL-2.1-or-later
/* Counting semaphores. All of it is under the scheduler's lock. */
#include "sem.h"

#include <baton/sync.h>

#include <errno.h>
#include <stdlib.h>

#include "../hooks.h"
#include "../tsan.h"
#include "gate.h"
#include "self.h"
#include "wait.h"

int baton_sem_create(struct baton_sem **out, struct baton_sched *s, unsigned count)
{
	struct baton_sem *sem = *out = NULL;

	if (!btn_self_is_here(s->process))
		return -EPERM;
	sem = *out = btn_mem_zeroed(1, sizeof(*sem));
	if (!sem)
		return -ENOMEM;
	sem->s = s;
	sem->count = count;
	return 0;
}

void baton_sem_destroy(struct baton_sem *sem)
{
	btn_mem_free(sem);
}

static int take_one(struct baton_sem *sem, uint64_t deadline, bool alert)
{
	struct baton_task *t = btn_self_task_of(sem->s);
	struct btn_waiter me = { .in = &sem->waiters };
	int err = 0;

	if (!t)
		return -EPERM;
	btn_gate_lock(sem->s);
	if (!btn_sem_take_locked(sem)) {
		err = btn_wait_begin(t, &me, 1, deadline, alert);
		if (!err)
			return btn_gate_wait(t);
	}
	btn_gate_release(sem->s);
	return err;
}

/* The result of a call that takes a unit. */
static int end_wait(struct baton_sem *sem, int err)
{
	if (!err)
		btn_tsan_acquire(sem);
	return err;
}

int baton_sem_wait(struct baton_sem *sem)
{
	return end_wait(sem, take_one(sem, BATON_FOREVER, false));
}

int baton_sem_wait_until(struct baton_sem *sem, uint64_t deadline)
{
	return end_wait(sem, take_one(sem, deadline, true));
}

void baton_sem_post(struct baton_sem *sem)
{
	struct btn_wakes wakes = { 0 };

	if (!btn_self_is_here(sem->s->process))
		return;
	btn_tsan_release(sem);
	btn_gate_lock(sem->s);
	if (!btn_wait_end_first(&sem->waiters))
		sem->count++;
	btn_gate_unlock(sem->s, &wakes);
}
