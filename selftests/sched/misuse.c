// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls that do not fit where they are made: refused, and nothing is worse for it. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <baton/completion.h>
#include <baton/config.h>
#include <baton/detect.h>
#include <baton/sched.h>
#include <baton/stats.h>
#include <baton/sync.h>
#include <baton/why.h>

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

/* Objects that belong to another scheduler are refused, and stay as they were. */
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
	/* A thread that is no task at all is no task of it either. */
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

/* In a child: ends it, with the line as its exit status, where this is false. */
#define MUST(x) do { if (!(x)) _exit(__LINE__ % 200 + 1); } while (0)

/* The child must end by itself, with 0. */
static void in_child(void (*fn)(void))
{
	int status = -1;
	pid_t child = fork();

	CHECK(child >= 0);
	if (!child) {
		alarm(20);
		fn();
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

static struct baton_request *in_flight;
static struct baton_completions *ends;

/* All that there is in the child of its parent's. */
static void uses_its_parents(void)
{
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000 };
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_TOLERANT, .fn = nothing };
	struct baton_detect_stats detect;
	struct baton_completion end;
	struct baton_tenant_stats ts;
	struct baton_request_times times;
	struct baton_stats *st;
	struct baton_tenant *t;
	struct baton_request *r;
	struct baton_mutex *m;
	struct baton_cond *c;
	struct baton_chan *ch;
	struct baton_sem *se;
	struct baton_why why;
	char text[100];
	int result;

	MUST(baton_submit(tenant, &ro, &r) == -EPERM && !r);
	baton_tenant_why(tenant, &ro, -EPERM, &why, sizeof(why));
	MUST(why.result == -EPERM);
	baton_why_text(&why, text, sizeof(text));
	MUST(!strcmp(text, "refused: its scheduler is the parent process's"));
	ro.fn = NULL;
	MUST(baton_request_enter(tenant, &ro, &r) == -EPERM && !r);
	MUST(baton_request_wait(in_flight) == -EPERM);
	MUST(baton_request_wait_until(in_flight, baton_clock_now() + MS, &result) == -EPERM);
	MUST(baton_request_notify(in_flight, ends, NULL) == -EPERM);
	baton_request_cancel(in_flight);
	baton_request_charge(in_flight, MS);
	baton_request_times(in_flight, &times, sizeof(times));
	MUST(!times.arrival);
	baton_request_why(in_flight, &why, sizeof(why));
	MUST(why.reason == BATON_WHY_INVALID);
	baton_request_put(in_flight);
	MUST(baton_tenant_add(s, &t, &to) == -EPERM && !t);
	MUST(baton_tenant_find(s, "a", &t) == -EPERM && !t);
	MUST(baton_tenant_set(tenant, &to) == -EPERM);
	baton_tenant_stats(tenant, &ts, sizeof(ts));
	MUST(!ts.admitted);
	baton_tenant_put(tenant);
	baton_tenant_remove(tenant);
	MUST(baton_stats_publish(s, "misuse", 0600) == -EPERM);
	MUST(baton_stats_of(&st, s) == -EPERM && !st);
	MUST(baton_detect_stats(s, &detect, sizeof(detect)) == -EPERM);
	MUST(baton_mutex_create(&m, s) == -EPERM && !m);
	MUST(baton_cond_create(&c, s) == -EPERM && !c);
	MUST(baton_sem_create(&se, s, 1) == -EPERM && !se);
	MUST(baton_chan_create(&ch, s, 1) == -EPERM && !ch);
	MUST(baton_mutex_lock(mutex) == -EPERM);
	MUST(baton_mutex_unlock(mutex) == -EPERM);
	MUST(baton_cond_wait(cond, mutex) == -EPERM);
	baton_cond_signal(cond);
	baton_cond_broadcast(cond);
	MUST(baton_sem_wait(sem) == -EPERM);
	baton_sem_post(sem);
	MUST(baton_chan_send(chan, NULL) == -EPERM);
	MUST(baton_chan_recv(chan, (void **)&r) == -EPERM);
	baton_chan_close(chan);
	MUST(!baton_completions_take(ends, &end, 1));
	MUST(baton_completions_fd(ends) == -EPERM);
	MUST(baton_completions_destroy(ends) == -EPERM);
	MUST(baton_task_spawn(NULL, nothing, NULL) == -EPERM);
	MUST(!baton_checkpoint() && !baton_request_self());
	MUST(!baton_sleep_until(baton_clock_now() + MS));
	baton_blocking_begin();
	baton_blocking_end();
	baton_request_leave();
	MUST(baton_sched_destroy(s) == -EPERM);
}

static void makes_its_own(void)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = 1 };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_BATCH, .fn = nothing };
	struct baton_sched *mine;
	struct baton_tenant *t;
	struct baton_request *r;
	struct baton_mutex *m;

	MUST(!baton_sched_create(&mine, &o));
	MUST(!baton_tenant_add(mine, &t, &to));
	MUST(!baton_submit(t, &ro, &r));
	MUST(!baton_request_wait(r));
	baton_request_put(r);
	MUST(!baton_mutex_create(&m, mine));
	ro.fn = NULL;
	MUST(!baton_request_enter(t, &ro, NULL));
	MUST(!baton_mutex_lock(m) && !baton_mutex_unlock(m));
	MUST(baton_mutex_lock(mutex) == -EPERM);
	baton_request_leave();
	baton_mutex_destroy(m);
	MUST(!baton_sched_destroy(mine));
}

static void forks(void *arg)
{
	in_child(uses_its_parents);
	in_child(makes_its_own);
}

/* True: in the child, which goes on where its thread forked, to the thread's end. */
static bool forks_on(void *arg)
{
	int status = -1;
	pid_t child = fork();

	CHECK(child >= 0);
	if (!child) {
		alarm(20);
		if (arg)
			pthread_exit(NULL);
		return true;
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	return false;
}

static void ends_in_child(void *arg)
{
	forks_on(arg);
}

static void busy(void *arg)
{
	while (!stop)
		baton_sleep_until(baton_clock_now() + 20000);
}

static void *attached(void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_TOLERANT };
	int i;

	for (i = 0; i < 2; i++) {
		CHECK_EQ(baton_request_enter(tenant, &o, NULL), 0);
		if (i)
			baton_request_leave();
		/* As a task; and with its slot cached. */
		if (forks_on(arg))
			return NULL;
		forks(NULL);
		baton_request_leave();
	}
	return NULL;
}

/*
 * A child of fork() has no scheduler of its parent's, whoever called fork(): what it tries is
 * refused, while other threads of the parent hold locks just then. Its own are as any.
 */
TEST(fork_away)
{
	struct baton_request *r[4];
	pthread_t thread;
	int i;

	open_sched(2);
	stop = false;
	CHECK_EQ(baton_completions_create(&ends), 0);
	CHECK_EQ(baton_mutex_create(&mutex, s), 0);
	CHECK_EQ(baton_cond_create(&cond, s), 0);
	CHECK_EQ(baton_sem_create(&sem, s, 0), 0);
	CHECK_EQ(baton_chan_create(&chan, s, 1), 0);
	for (i = 0; i < 4; i++)
		ask(hog, busy, NULL, &r[i]);
	in_flight = r[0];
	for (i = 0; i < 5; i++)
		forks(NULL);
	run(tenant, forks, NULL);
	run(tenant, ends_in_child, NULL);
	run(tenant, ends_in_child, s);
	CHECK_EQ(pthread_create(&thread, NULL, attached, NULL), 0);
	pthread_join(thread, NULL);
	CHECK_EQ(pthread_create(&thread, NULL, attached, s), 0);
	pthread_join(thread, NULL);
	stop = true;
	for (i = 0; i < 4; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	baton_mutex_destroy(mutex);
	baton_cond_destroy(cond);
	baton_sem_destroy(sem);
	baton_chan_destroy(chan);
	CHECK_EQ(baton_completions_destroy(ends), 0);
	end_sched(s);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
