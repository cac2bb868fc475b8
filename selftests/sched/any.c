// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Channels hand an item to the task that waits for it.
 */
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include <baton/sched.h>
#include <baton/sync.h>

#include "inject.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

static struct baton_sched *s;
static struct baton_tenant *tenant;
static struct baton_chan *a, *b;
static struct baton_sem *sem;

#ifdef BTN_INJECT
static _Thread_local uint64_t chance;

/* In the windows between two holds of the lock, now and then, for a while. */
static int delays(const char *point)
{
	static const struct timespec pause = { 0, 100000 };

	if (strcmp(point, "sched:wait:woken") && strcmp(point, "sched:hand_over:unlocked") && strncmp(point, "any:", 4))
		return 0;
	chance = (chance ^ (uintptr_t)&chance) * 6364136223846793005ULL + 1442695040888963407ULL;
	if (chance >> 60 == 0)
		nanosleep(&pause, NULL);
	else if (chance >> 62 == 1)
		sched_yield();
	return 0;
}
#endif

static void open_all(unsigned slots, unsigned capacity)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots };
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 1000000 };

#ifdef BTN_INJECT
	atomic_store(&btn_inject_hook, delays);
#endif
	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
	CHECK_EQ(baton_chan_create(&a, s, capacity), 0);
	CHECK_EQ(baton_chan_create(&b, s, capacity), 0);
	CHECK_EQ(baton_sem_create(&sem, s, 0), 0);
}

static void close_all(void)
{
	end_sched(s);
	baton_chan_destroy(a);
	baton_chan_destroy(b);
	baton_sem_destroy(sem);
}

static struct baton_request *ask(baton_task_fn *fn, void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = fn, .arg = arg };
	struct baton_request *r;

	CHECK_EQ(baton_submit(tenant, &o, &r), 0);
	return r;
}

static void end_request(struct baton_request *r, int want)
{
	CHECK_EQ(baton_request_wait(r), want);
	baton_request_put(r);
}

/* ---------------------------------------------------------- channels */

static void receives(void *got)
{
	CHECK_ANY(baton_chan_recv(a, got) == 0);
}

static void sends(void *item)
{
	CHECK_ANY(baton_chan_send(a, item) == 0);
}

/* In the only slot: the task that is woken has no slot before this one waits. */
static void comes_between(void *arg)
{
	struct baton_task *t;
	void *item, *got = NULL;

	CHECK_ANY(baton_task_spawn(&t, receives, &got) == 0);
	baton_sleep_until(baton_clock_now() + MS);
	CHECK_ANY(baton_chan_send(a, &t) == 0);
	CHECK_ANY(baton_chan_recv_until(a, &item, 0) == -ETIMEDOUT);
	CHECK_ANY(baton_task_join(t) == 0);
	CHECK_ANY(got == &t);

	CHECK_ANY(baton_chan_send(a, &item) == 0);
	CHECK_ANY(baton_task_spawn(&t, sends, &got) == 0);
	baton_sleep_until(baton_clock_now() + MS);
	CHECK_ANY(baton_chan_recv(a, &item) == 0);
	CHECK_ANY(item == &item);
	CHECK_ANY(baton_chan_send_until(a, NULL, 0) == -ETIMEDOUT);
	CHECK_ANY(baton_task_join(t) == 0);
	CHECK_ANY(baton_chan_recv(a, &item) == 0);
	CHECK_ANY(item == &got);
}

/* What was sent to a task that waits is that task's, and so is the place that it waits for. */
TEST(handed_over)
{
	open_all(1, 1);
	end_request(ask(comes_between, NULL), 0);
	close_all();
}

static void receives_nothing(void *arg)
{
	void *item = &item;

	CHECK_ANY(baton_chan_recv(a, &item) == -EPIPE);
	CHECK_ANY(item == &item);
}

static void sends_nothing(void *item)
{
	CHECK_ANY(baton_chan_send(b, item) == -EPIPE);
}

static void closes(void *arg)
{
	struct baton_task *t[4];
	void *item;
	int i;

	CHECK_ANY(baton_chan_send(b, &t) == 0);
	for (i = 0; i < 4; i++)
		CHECK_ANY(baton_task_spawn(&t[i], i % 2 ? receives_nothing : sends_nothing, NULL) == 0);
	baton_sleep_until(baton_clock_now() + MS);
	baton_chan_close(a);
	baton_chan_close(b);
	for (i = 0; i < 4; i++)
		CHECK_ANY(baton_task_join(t[i]) == 0);
	CHECK_ANY(baton_chan_recv(b, &item) == 0);
	CHECK_ANY(item == &t);
	CHECK_ANY(baton_chan_recv(b, &item) == -EPIPE);
	CHECK_ANY(baton_chan_send(b, item) == -EPIPE);
}

/* Whoever waits when a channel is closed is told so; what was in it can be had. */
TEST(closed)
{
	open_all(2, 1);
	end_request(ask(closes, NULL), 0);
	close_all();
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
