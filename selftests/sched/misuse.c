// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls that do not fit where they are made: refused, and nothing is worse for it. */
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include <baton/sched.h>
#include <baton/sync.h>

#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL
#define PATIENCE (baton_clock_now() + 20000 * MS)

static struct baton_sched *s, *other;
static struct baton_tenant *tenant, *hog, *others;

static void open_sched(unsigned slots)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots };
	struct baton_tenant_opts t = { .sz = sizeof(t), .low_ppm = 300000, .high_ppm = 1000000 };

	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
	t.low_ppm = 0;
	CHECK_EQ(baton_tenant_add(s, &hog, &t), 0);
}

static void open_other(void)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = 1 };
	struct baton_tenant_opts t = { .sz = sizeof(t), .low_ppm = 300000, .high_ppm = 1000000 };

	CHECK_EQ(baton_sched_create(&other, &o), 0);
	CHECK_EQ(baton_tenant_add(other, &others, &t), 0);
}

static void ask(struct baton_tenant *t, baton_task_fn *fn, void *arg, struct baton_request **out)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = t == hog ? BATON_BATCH : BATON_TOLERANT, .fn = fn, .arg = arg };

	CHECK_EQ(baton_submit(t, &o, out), 0);
}

static void run(struct baton_tenant *t, baton_task_fn *fn, void *arg)
{
	struct baton_request *r;
	int result = -1;

	ask(t, fn, arg, &r);
	CHECK_EQ(baton_request_wait_until(r, PATIENCE, &result), 0);
	CHECK_EQ(result, 0);
	baton_request_put(r);
}

static void nothing(void *arg)
{
}

static _Atomic bool stop, holding;

/*
 * Destroys another scheduler in a task, which is refused at first, as its tenant is in use;
 * and is refused its own. Then it never comes to a checkpoint.
 */
static void destroys_and_spins(void *arg)
{
	struct baton_tenant *found;

	open_other();
	CHECK_EQ(baton_sched_destroy(s), -EBUSY);
	CHECK_EQ(baton_tenant_find(other, "no one", &found), -ENOENT);
	if (arg) {
		ask(others, nothing, NULL, (struct baton_request **)arg);
		CHECK_EQ(baton_sched_destroy(other), -EBUSY);
		CHECK_EQ(baton_request_wait(*(struct baton_request **)arg), 0);
		CHECK_EQ(baton_sched_destroy(other), -EBUSY);
		baton_request_put(*(struct baton_request **)arg);
	}
	CHECK_EQ(baton_sched_destroy(other), 0);
	holding = true;
	while (!stop)
		;
}

/* A task that destroyed a scheduler, or was refused that, can be stopped like any other. */
TEST(destroy_in_a_task)
{
	struct baton_request *r, *in;
	int refused;

	for (refused = 0; refused < 2; refused++) {
		open_sched(1);
		stop = holding = false;
		ask(hog, destroys_and_spins, refused ? &in : NULL, &r);
		while (!holding)
			usleep(1000);
		run(tenant, nothing, NULL);
		stop = true;
		CHECK_EQ(baton_request_wait(r), 0);
		baton_request_put(r);
		end_sched(s);
	}
}

static struct baton_mutex *mutex, *others_mutex;
static struct baton_cond *cond, *others_cond;
static struct baton_sem *sem;
static struct baton_chan *chan;
static struct baton_task *spawned;

static void spawns_one(void *arg)
{
	CHECK_EQ(baton_task_spawn(&spawned, nothing, NULL), 0);
}

/* In a task of s, with the other scheduler's objects: all would be free, or open. */
static void uses_others(void *arg)
{
	uint64_t soon = baton_clock_now() + MS;
	void *item = &item;

	CHECK_EQ(baton_mutex_trylock(others_mutex), -EPERM);
	CHECK_EQ(baton_mutex_lock(others_mutex), -EPERM);
	CHECK_EQ(baton_mutex_lock_until(others_mutex, soon), -EPERM);
	CHECK_EQ(baton_mutex_unlock(others_mutex), -EPERM);
	CHECK_EQ(baton_cond_wait(others_cond, others_mutex), -EPERM);
	CHECK_EQ(baton_mutex_lock(mutex), 0);
	CHECK_EQ(baton_cond_wait(others_cond, mutex), -EPERM);
	CHECK_EQ(baton_cond_wait_until(others_cond, mutex, soon), -EPERM);
	CHECK_EQ(baton_cond_wait_until(cond, mutex, soon), -ETIMEDOUT);
	CHECK_EQ(baton_mutex_unlock(mutex), 0);
	CHECK_EQ(baton_sem_wait(sem), -EPERM);
	CHECK_EQ(baton_sem_wait_until(sem, soon), -EPERM);
	CHECK_EQ(baton_task_join(spawned), -EPERM);
	CHECK_EQ(baton_task_join_until(spawned, soon), -EPERM);
	/* As any thread: what does not wait. */
	CHECK_EQ(baton_chan_recv(chan, &item), -EPERM);
	CHECK_EQ(baton_chan_recv_until(chan, &item, soon), -EPERM);
	CHECK_EQ(baton_chan_send(chan, NULL), 0);
	CHECK_EQ(baton_chan_send(chan, NULL), -EPERM);
	CHECK_EQ(baton_chan_send_until(chan, NULL, soon), -EPERM);
	CHECK_EQ(baton_chan_recv(chan, &item), 0);
	CHECK(!item);
	baton_sem_post(sem);
	baton_cond_signal(others_cond);
	baton_cond_broadcast(others_cond);
}

static void used_by_its_own(void *arg)
{
	CHECK_EQ(baton_mutex_lock(others_mutex), 0);
	CHECK_EQ(baton_mutex_unlock(others_mutex), 0);
	CHECK_EQ(baton_sem_wait(sem), 0);
	CHECK_EQ(baton_sem_wait(sem), 0);
	CHECK_EQ(baton_task_join(spawned), 0);
	baton_chan_close(chan);
}

/* What belongs to another scheduler is refused, and stays as it was. */
TEST(objects_of_another_scheduler)
{
	open_sched(1);
	open_other();
	CHECK_EQ(baton_mutex_create(&mutex, s), 0);
	CHECK_EQ(baton_mutex_create(&others_mutex, other), 0);
	CHECK_EQ(baton_cond_create(&cond, s), 0);
	CHECK_EQ(baton_cond_create(&others_cond, other), 0);
	CHECK_EQ(baton_sem_create(&sem, other, 1), 0);
	CHECK_EQ(baton_chan_create(&chan, other, 1), 0);
	run(others, spawns_one, NULL);
	run(tenant, uses_others, NULL);
	/* Nor is a thread that is no task at all a task of it. */
	CHECK_EQ(baton_task_join(spawned), -EPERM);
	CHECK_EQ(baton_mutex_lock(others_mutex), -EPERM);
	run(others, used_by_its_own, NULL);
	baton_mutex_destroy(mutex);
	baton_mutex_destroy(others_mutex);
	baton_cond_destroy(cond);
	baton_cond_destroy(others_cond);
	baton_sem_destroy(sem);
	baton_chan_destroy(chan);
	end_sched(other);
	end_sched(s);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
