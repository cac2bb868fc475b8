// SPDX-License-Identifier: GPL-2.0-or-later
/* Tasks, requests and what blocks them, with real threads. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <baton/detect.h>
#include <baton/sched.h>
#include <baton/stats.h>
#include <baton/sync.h>

#include "inject.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

#ifdef BTN_TSAN
#define SCALE 1
#else
#define SCALE 10
#endif

static struct baton_sched *s;
static struct baton_tenant *tenant;

static void open_sched(unsigned slots, unsigned workers_max)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots, .workers_max = workers_max };
	struct baton_tenant_opts t = { .sz = sizeof(t), .low_ppm = 300000, .high_ppm = 1000000 };

	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
}

static void ask(struct baton_request **out, baton_task_fn *fn, void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = fn, .arg = arg };

	CHECK_EQ(baton_submit(tenant, &o, out), 0);
}

static void run(baton_task_fn *fn, void *arg)
{
	struct baton_request *r;

	ask(&r, fn, arg);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
}

static _Atomic long count, running, most;

static void add_one(void *arg)
{
	atomic_fetch_add(&count, 1);
}

TEST(runs)
{
	int i;

	open_sched(2, 0);
	count = 0;
	for (i = 0; i < 100 * SCALE; i++)
		run(add_one, NULL);
	CHECK_EQ(count, 100 * SCALE);
	for (i = 0; i < 300 * SCALE; i++)
		ask(NULL, add_one, NULL);
	end_sched(s);
	CHECK_EQ(count, 400 * SCALE);
}

/* Slots that were taken from tasks which did not give them away. */
static long taken_away(void)
{
	struct baton_detect_stats seen = { 0 };
	struct baton_stats_slot slot;
	struct baton_stats *st;
	long n = 0;
	unsigned i;

	CHECK_EQ(baton_stats_of(&st, s), 0);
	for (i = 0; !baton_stats_slot(st, i, &slot, sizeof(slot)); i++)
		n += slot.forced_preemptions;
	baton_stats_close(st);
	baton_detect_stats(s, &seen, sizeof(seen));
	return n + seen.taken;
}

static void enter(void)
{
	long n = atomic_fetch_add(&running, 1) + 1, m = atomic_load(&most);

	while (n > m && !atomic_compare_exchange_weak(&most, &m, n))
		;
}

static void yields(void *arg)
{
	int i, k;

	for (i = 0; i < 50; i++) {
		enter();
		for (k = 0; k < 1000; k++)
			atomic_load(&count);
		atomic_fetch_sub(&running, 1);
		baton_sleep_until(baton_clock_now() + (i % 3) * 50000);
	}
}

/*
 * No more tasks between two calls of the library than slots; and one more for
 * each whose slot was taken there, because the kernel did not let it run for
 * longer than its slice: it is stopped where it is, and somebody else has the slot.
 */
TEST(no_more_than_slots)
{
	struct baton_request *r[40];
	int i;

	open_sched(2, 0);
	most = running = 0;
	for (i = 0; i < 40; i++)
		ask(&r[i], yields, NULL);
	for (i = 0; i < 40; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	CHECK(most >= 1);
	CHECK_CMP(most, <=, 2 + taken_away());
	end_sched(s);
}

static void child(void *arg)
{
	baton_checkpoint();
	atomic_fetch_add(&count, 1);
}

static void parent(void *arg)
{
	struct baton_task *t[20];
	int i;

	for (i = 0; i < 20; i++)
		CHECK_ANY(baton_task_spawn(i % 2 ? &t[i] : NULL, child, NULL) == 0);
	for (i = 1; i < 20; i += 2)
		baton_task_join(t[i]);
}

TEST(spawn_join)
{
	int i;

	open_sched(2, 0);
	count = 0;
	for (i = 0; i < 20; i++)
		run(parent, NULL);
	/* A request ends with the last of its tasks, joined or not. */
	CHECK_EQ(count, 400);
	end_sched(s);
}

static struct baton_mutex *mutex;
static struct baton_cond *cond;
static struct baton_sem *sem;
static struct baton_chan *chan;
static long plain;

static void locks(void *arg)
{
	int i;

	for (i = 0; i < 200; i++) {
		CHECK_ANY(baton_mutex_lock(mutex) == 0);
		CHECK_ANY(baton_mutex_lock(mutex) == -EDEADLK);
		plain++;
		if (i % 10 == 0)
			baton_sleep_until(0);
		plain++;
		CHECK_ANY(baton_mutex_unlock(mutex) == 0);
	}
}

TEST(mutex)
{
	struct baton_request *r[10];
	int i;

	open_sched(2, 0);
	CHECK_EQ(baton_mutex_create(&mutex, s), 0);
	CHECK_EQ(baton_mutex_lock(mutex), -EPERM);
	CHECK_EQ(baton_mutex_unlock(mutex), -EPERM);
	plain = 0;
	for (i = 0; i < 10; i++)
		ask(&r[i], locks, NULL);
	for (i = 0; i < 10; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	CHECK_EQ(plain, 4000);
	baton_mutex_destroy(mutex);
	end_sched(s);
}

static _Atomic int order, first_came, last_came, gave_up;

static void waits_as_first(void *arg)
{
	CHECK_ANY(baton_mutex_lock(mutex) == 0);
	first_came = ++order;
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
}

static void waits_in_vain(void *arg)
{
	CHECK_ANY(baton_mutex_lock_until(mutex, baton_clock_now() + 5000000) == -ETIMEDOUT);
	gave_up = ++order;
}

static void waits_as_last(void *arg)
{
	CHECK_ANY(baton_mutex_lock(mutex) == 0);
	last_came = ++order;
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
}

/* Gives up the only slot until the task that was spawned last has run, and waits. */
static void let_run(void)
{
	int i;

	for (i = 0; i < 3; i++)
		baton_sleep_until(baton_clock_now() + 1000000);
}

static void passes_by(void *arg)
{
	CHECK_ANY(baton_mutex_lock(mutex) == 0);
	CHECK_ANY(baton_task_spawn(NULL, waits_as_first, NULL) == 0);
	let_run();
	/* The first waiter is woken, and has no slot yet: a task that runs may pass it by, again and again. */
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
	CHECK_ANY(baton_mutex_trylock(mutex) == 0);
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
	CHECK_ANY(baton_mutex_lock(mutex) == 0);
	/* The waiter has a slot, comes for nothing, and waits again: it is not passed by any more. */
	let_run();
	CHECK_ANY(first_came == 0);
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
	CHECK_ANY(baton_mutex_trylock(mutex) == -EBUSY);
	CHECK_ANY(baton_mutex_lock(mutex) == 0);
	CHECK_ANY(first_came == 1);
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
}

/* A woken task that gives up does not take along the wake that another waits for. */
static void is_given_up(void *arg)
{
	uint64_t end;

	order = 0;
	CHECK_ANY(baton_mutex_lock(mutex) == 0);
	CHECK_ANY(baton_task_spawn(NULL, waits_in_vain, NULL) == 0);
	CHECK_ANY(baton_task_spawn(NULL, waits_as_last, NULL) == 0);
	let_run();
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
	CHECK_ANY(baton_mutex_trylock(mutex) == 0);
	for (end = baton_clock_now() + 10000000; baton_clock_now() < end;)
		;
	let_run();
	CHECK_ANY(gave_up == 1);
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
}

TEST(mutex_passed_by)
{
	open_sched(1, 0);
	CHECK_EQ(baton_mutex_create(&mutex, s), 0);
	run(passes_by, NULL);
	run(is_given_up, NULL);
	CHECK_EQ(last_came, 2);
	baton_mutex_destroy(mutex);
	end_sched(s);
}

static void waits_for_turn(void *arg)
{
	long me = (long)arg;

	baton_mutex_lock(mutex);
	while (plain != me)
		CHECK_ANY(baton_cond_wait(cond, mutex) == 0);
	plain++;
	baton_cond_broadcast(cond);
	baton_mutex_unlock(mutex);
	baton_sem_post(sem);
}

static void collects(void *arg)
{
	int i;

	for (i = 0; i < 10; i++)
		CHECK_ANY(baton_sem_wait(sem) == 0);
}

TEST(cond_sem)
{
	struct baton_request *r;
	long i;

	open_sched(2, 0);
	CHECK_EQ(baton_mutex_create(&mutex, s), 0);
	CHECK_EQ(baton_cond_create(&cond, s), 0);
	CHECK_EQ(baton_sem_create(&sem, s, 0), 0);
	CHECK_EQ(baton_cond_wait(cond, mutex), -EPERM);
	CHECK_EQ(baton_sem_wait(sem), -EPERM);
	plain = 0;
	ask(&r, collects, NULL);
	for (i = 9; i >= 0; i--)
		ask(NULL, waits_for_turn, (void *)i);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	CHECK_EQ(plain, 10);
	end_sched(s);
	baton_mutex_destroy(mutex);
	baton_cond_destroy(cond);
	baton_sem_destroy(sem);
}

static void produces(void *arg)
{
	long i;

	for (i = 1; i <= 500; i++)
		CHECK_ANY(baton_chan_send(chan, (void *)i) == 0);
}

static void consumes(void *arg)
{
	void *item;
	int err;

	while (!(err = baton_chan_recv(chan, &item)))
		atomic_fetch_add(&count, (long)item);
	CHECK_ANY(err == -EPIPE);
}

TEST(channel)
{
	struct baton_request *p[3], *c[3];
	void *item;
	int i;

	open_sched(2, 0);
	CHECK_EQ(baton_chan_create(&chan, s, 4), 0);
	CHECK_EQ(baton_chan_recv(chan, &item), -EPERM);
	CHECK_EQ(baton_chan_send(chan, (void *)1000L), 0);
	count = 0;
	for (i = 0; i < 3; i++) {
		ask(&p[i], produces, NULL);
		ask(&c[i], consumes, NULL);
	}
	for (i = 0; i < 3; i++) {
		baton_request_wait(p[i]);
		baton_request_put(p[i]);
	}
	baton_chan_close(chan);
	CHECK_EQ(baton_chan_send(chan, NULL), -EPIPE);
	for (i = 0; i < 3; i++) {
		baton_request_wait(c[i]);
		baton_request_put(c[i]);
	}
	CHECK_EQ(count, 1000 + 3 * 500 * 501 / 2);
	baton_chan_destroy(chan);
	/* Items that were in it when it was closed can still be had. */
	CHECK_EQ(baton_chan_create(&chan, s, 4), 0);
	for (i = 1; i <= 3; i++)
		CHECK_EQ(baton_chan_send(chan, (void *)(long)i), 0);
	baton_chan_close(chan);
	count = 0;
	run(consumes, NULL);
	CHECK_EQ(count, 6);
	end_sched(s);
	baton_chan_destroy(chan);
}

static int pipe_fd[2];

static void blocks(void *arg)
{
	char c;

	baton_blocking_begin();
	CHECK_ANY(read(pipe_fd[0], &c, 1) == 1);
	baton_blocking_end();
	atomic_fetch_add(&count, 1);
}

static void unblocks(void *arg)
{
	CHECK_ANY(write(pipe_fd[1], "xx", 2) == 2);
}

/* A task that blocks in the kernel does not keep the only slot. */
TEST(blocking)
{
	struct baton_request *r[2];
	int i;

	CHECK_EQ(pipe(pipe_fd), 0);
	open_sched(1, 0);
	count = 0;
	ask(&r[0], blocks, NULL);
	ask(&r[1], blocks, NULL);
	run(unblocks, NULL);
	for (i = 0; i < 2; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	CHECK_EQ(count, 2);
	end_sched(s);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static void blocks_and_works(void *arg)
{
	struct timespec ts;
	uint64_t end = 0;

	baton_blocking_begin();
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
		if (!end)
			end = ts.tv_nsec + 20 * MS;
	} while ((uint64_t)(ts.tv_sec * 1000000000LL + ts.tv_nsec) < end);
	*(int *)arg = sched_getscheduler(0);
	baton_blocking_end();
	atomic_store(&most, 1);
}

static void until_most(void *arg)
{
	while (!atomic_load(&most))
		baton_checkpoint();
}

/* The task said so, and has no slot to be taken: nobody demotes it. */
TEST(blocking_is_not_refusing)
{
	struct baton_request *r;
	int policy = -1;

	open_sched(1, 0);
	most = 0;
	ask(&r, blocks_and_works, &policy);
	run(until_most, NULL);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	CHECK_EQ(policy, SCHED_OTHER);
	end_sched(s);
}

static void until_told(void *arg)
{
	int err;

	atomic_fetch_add(&count, 1);
	while (!(err = baton_checkpoint()))
		;
	/* The same again each time. */
	CHECK_ANY(baton_checkpoint() == err);
	*(int *)arg = err;
}

TEST(cancel)
{
	struct baton_request *a, *b;
	int told = 0, never = 0;

	open_sched(1, 0);
	count = 0;
	ask(&a, until_told, &told);
	while (!count)
		sched_yield();
	baton_request_cancel(a);
	CHECK_EQ(baton_request_wait(a), -ECANCELED);
	CHECK_EQ(told, -ECANCELED);
	baton_request_put(a);
	/* A task that has not started never does. */
	told = 0;
	ask(&a, until_told, &told);
	ask(&b, until_told, &never);
	while (count < 2)
		sched_yield();
	baton_request_cancel(a);
	baton_request_cancel(b);
	CHECK_EQ(baton_request_wait(a), -ECANCELED);
	CHECK_EQ(baton_request_wait(b), -ECANCELED);
	baton_request_put(a);
	baton_request_put(b);
	end_sched(s);
	CHECK(count <= 3);
}

static void exits(void *arg)
{
	atomic_fetch_add(&count, 1);
	pthread_exit(NULL);
}

TEST(exits_its_thread)
{
	int i;

	open_sched(2, 0);
	count = 0;
	for (i = 0; i < 50; i++)
		run(exits, NULL);
	run(add_one, NULL);
	CHECK_EQ(count, 51);
	end_sched(s);
}

/* More tasks that wait than workers: the others' turn comes when one ends. */
static void sleeps(void *arg)
{
	baton_sleep_until(baton_clock_now() + MS);
	atomic_fetch_add(&count, 1);
}

TEST(few_workers)
{
	int i;

	open_sched(2, 3);
	count = 0;
	for (i = 0; i < 100; i++)
		ask(NULL, sleeps, NULL);
	end_sched(s);
	CHECK_EQ(count, 100);
}

TEST(many_in_flight)
{
	int i, n = 100 * SCALE;

	open_sched(2, 0);
	count = 0;
	CHECK_EQ(baton_sem_create(&sem, s, 0), 0);
	for (i = 0; i < n; i++)
		ask(NULL, sleeps, NULL);
	end_sched(s);
	CHECK_EQ(count, n);
	baton_sem_destroy(sem);
}

static void spins(void *arg)
{
	uint64_t end = baton_clock_now() + 20000 * MS;

	/* Not one checkpoint. */
	while (baton_clock_now() < end && !atomic_load(&most))
		;
}

static void stops_them(void *arg)
{
	most = 1;
}

/* Both slots are taken by tasks that never let go: another tenant's runs all the same. */
static void preempt(enum baton_preempt how)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 2, .preempt = how };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_tenant *other;
	struct baton_request *r[2];
	uint64_t begin;
	int i;

	CHECK_EQ(baton_sched_create(&s, &so), 0);
	CHECK_EQ(baton_tenant_add(s, &other, &to), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &to), 0);
	most = 0;
	ask(&r[0], spins, NULL);
	ask(&r[1], spins, NULL);
	tenant = other;
	begin = baton_clock_now();
	run(stops_them, NULL);
	/* In 2 or 3 ms; in 20 s the spinners would have ended by themselves. */
	CHECK(baton_clock_now() - begin < 15000 * MS);
	for (i = 0; i < 2; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	end_sched(s);
}

static _Atomic int strayed;

static void stays(void *arg)
{
	int i;

	for (i = 0; i < 50; i++) {
		cpu_set_t set;

		/* Wherever it is: it is where it may be, and nowhere else. */
		if (sched_getaffinity(0, sizeof(set), &set) || CPU_COUNT(&set) != 1 ||
		    !CPU_ISSET(sched_getcpu(), &set))
			strayed++;
		baton_sleep_until(baton_clock_now() + 10000);
	}
}

TEST(bound)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .bind = true };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request *r[6];
	int i;

	CHECK_EQ(baton_sched_create(&s, &so), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &to), 0);
	for (i = 0; i < 6; i++)
		ask(&r[i], stays, NULL);
	for (i = 0; i < 6; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	CHECK_EQ(strayed, 0);
	end_sched(s);
	so.slots = 4000;
	CHECK_EQ(baton_sched_create(&s, &so), -EINVAL);
}

TEST(preempt_stop)
{
#ifdef BTN_TSAN
	SKIP("ThreadSanitizer does not let a signal in before the next call");
#endif
	preempt(BATON_PREEMPT_STOP);
}

TEST(preempt_demote)
{
	preempt(BATON_PREEMPT_DEMOTE);
}

/* Attributes that a worker's thread has of whoever made it. */
static struct born {
	int policy, nice, cpus;
	bool blocked;
} born[4];

static void tells(void *arg)
{
	struct born *b = arg;
	cpu_set_t cpus;
	sigset_t set;

	b->policy = sched_getscheduler(0);
	b->nice = getpriority(PRIO_PROCESS, 0);
	b->cpus = sched_getaffinity(0, sizeof(cpus), &cpus) ? -1 : CPU_COUNT(&cpus);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	b->blocked = sigismember(&set, SIGUSR1);
}

/* A thread that is less than others in each respect. */
static void *pinned(void *arg)
{
	struct sched_param p = { 0 };
	cpu_set_t set;
	sigset_t all;
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = tells, .arg = &born[0] };
	struct baton_request *r;
	int cpu;

	CHECK_ANY(!sched_getaffinity(0, sizeof(set), &set));
	for (cpu = 0; !CPU_ISSET(cpu, &set); cpu++)
		;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK_ANY(!sched_setaffinity(0, sizeof(set), &set));
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	CHECK_ANY(!sched_setscheduler(0, SCHED_BATCH, &p));
	CHECK_ANY(!baton_submit(tenant, &o, &r));
	CHECK_ANY(!baton_request_wait(r));
	baton_request_put(r);
	return NULL;
}

static void asks_and_joins(void *arg)
{
	struct baton_task *t;

	CHECK_ANY(!baton_task_spawn(&t, tells, &born[1]));
	baton_task_join(t);
}

/* Workers are alike, whoever made them: a pinned thread, another worker, the monitor. */
TEST(born_alike)
{
	struct baton_tenant_opts to = { .sz = sizeof(to), .low_ppm = 300000, .high_ppm = 1000000 };
	struct baton_tenant *other;
	struct born mine;
	struct baton_request *r;
	pthread_t t;
	int i;

	tells(&mine);
	open_sched(1, 0);
	CHECK_EQ(pthread_create(&t, NULL, pinned, NULL), 0);
	pthread_join(t, NULL);
	run(asks_and_joins, NULL);
	end_sched(s);
	/* No worker is idle, and the one that there is does not let go: another tenant's turn needs a new one. */
	open_sched(1, 0);
	CHECK_EQ(baton_tenant_add(s, &other, &to), 0);
	most = 0;
	ask(&r, spins, NULL);
	tenant = other;
	run(tells, &born[2]);
	CHECK_EQ(most, 0);
	most = 1;
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(born[i].policy, mine.policy);
		CHECK_EQ(born[i].nice, mine.nice);
		CHECK_EQ(born[i].cpus, mine.cpus);
		CHECK_EQ(born[i].blocked, mine.blocked);
	}
	end_sched(s);
}

#ifdef BTN_INJECT
static const char *fail_point;
static int fail_every, seen;

static int fails(const char *point)
{
	return !strcmp(point, fail_point) && ++seen % fail_every == 0;
}

static _Atomic bool short_of_threads;
static _Atomic int refused_threads;
static sem_t refused, all_here;
static _Atomic int here;

/* For a while there is no thread (or no memory for one) at all. */
static int fails_for_a_while(const char *point)
{
	if (!short_of_threads || strcmp(point, fail_point))
		return 0;
	atomic_fetch_add(&refused_threads, 1);
	sem_post(&refused);
	return 1;
}

/* Ends when four tasks are here at once: each needs a thread of its own. */
static void meets_three_others(void *arg)
{
	int i;

	if (atomic_fetch_add(&here, 1) + 1 == 4)
		for (i = 0; i < 4; i++)
			sem_post(&all_here);
	baton_blocking_begin();
	sem_wait(&all_here);
	baton_blocking_end();
}

/*
 * No thread can be made for a while, and nothing else happens that would make the scheduler
 * look: the tasks run when there are threads again, and all of them, not one after the other.
 */
TEST(no_threads_for_a_while)
{
	static const char *const points[] = { "sched:worker", "sched:thread" };
	struct baton_request *r[4];
	int i, k, result;

	for (k = 0; k < 2; k++) {
		fail_point = points[k];
		sem_init(&refused, 0, 0);
		sem_init(&all_here, 0, 0);
		here = 0;
		short_of_threads = true;
		open_sched(2, 0);
		atomic_store(&btn_inject_hook, fails_for_a_while);
		for (i = 0; i < 4; i++)
			ask(&r[i], meets_three_others, NULL);
		/* Refused when they were submitted, and when the scheduler tried again. */
		for (i = 0; i < 3; i++)
			sem_wait(&refused);
		short_of_threads = false;
		for (i = 0; i < 4; i++) {
			CHECK_EQ(baton_request_wait_until(r[i], baton_clock_now() + 20000 * MS, &result), 0);
			baton_request_put(r[i]);
		}
		atomic_store(&btn_inject_hook, NULL);
		end_sched(s);
		sem_destroy(&refused);
		sem_destroy(&all_here);
	}
}

#define MANY 200

/* Ends when all are here at once. */
static void meets_all_others(void *arg)
{
	int i;

	if (atomic_fetch_add(&here, 1) + 1 == MANY)
		for (i = 0; i < MANY; i++)
			sem_post(&all_here);
	baton_blocking_begin();
	sem_wait(&all_here);
	baton_blocking_end();
}

/*
 * More workers than there is memory for beforehand, where the kernel gives none for a while, and where it does: the tasks
 * run when there is some, and nobody asked for it with the lock.
 */
TEST(no_memory_for_workers_for_a_while)
{
	struct baton_request *r[MANY];
	int i, k, result;

	fail_point = "sched:chunk";
	for (k = 0; k < 2; k++) {
		sem_init(&refused, 0, 0);
		sem_init(&all_here, 0, 0);
		here = 0;
		open_sched(2, 0);
		short_of_threads = !k;
		atomic_store(&btn_inject_hook, fails_for_a_while);
		for (i = 0; i < MANY; i++)
			ask(&r[i], meets_all_others, NULL);
		/* By those that take the last ones, and by the monitor when tasks are tried again. */
		for (i = 0; !k && i < 40; i++)
			sem_wait(&refused);
		short_of_threads = false;
		for (i = 0; i < MANY; i++) {
			CHECK_EQ(baton_request_wait_until(r[i], baton_clock_now() + 20000 * MS, &result), 0);
			baton_request_put(r[i]);
		}
		atomic_store(&btn_inject_hook, NULL);
		end_sched(s);
		sem_destroy(&refused);
		sem_destroy(&all_here);
	}
}

/* No memory or no thread: refused, or later, but never lost. */
TEST(nothing_to_be_had)
{
	static const char *const points[] = { "sched:worker", "sched:thread", "sched:request", "sched:task" };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = sleeps };
	int i, k, ok;

	for (k = 0; k < 4; k++) {
		for (fail_every = 1; fail_every < 4; fail_every++) {
			if (fail_every == 1 && k < 2)
				continue;	/* no scheduler is made then */
			fail_point = points[k];
			seen = count = ok = 0;
			open_sched(2, 20);
			atomic_store(&btn_inject_hook, fails);
			for (i = 0; i < 40; i++) {
				int err = baton_submit(tenant, &o, NULL);

				CHECK(!err || (err == -ENOMEM && k == 2));
				ok += !err;
			}
			end_sched(s);
			atomic_store(&btn_inject_hook, NULL);
			CHECK_EQ(count, ok);
		}
	}
}
#endif

static void *prefers_latency(void *arg)
{
	struct sched_param none = { 0 };
	int nice = getpriority(PRIO_PROCESS, 0);

	CHECK_ANY(baton_thread_prefer_latency() == 0);
	CHECK_ANY(getpriority(PRIO_PROCESS, 0) == nice);
	CHECK_ANY(setpriority(PRIO_PROCESS, 0, nice + 1) == 0);
	CHECK_ANY(baton_thread_prefer_latency() == 0);
	CHECK_ANY(getpriority(PRIO_PROCESS, 0) == (nice < 19 ? nice + 1 : 19));
	CHECK_ANY(sched_setscheduler(0, SCHED_BATCH, &none) == 0);
	CHECK_ANY(baton_thread_prefer_latency() == -EINVAL);
	CHECK_ANY(sched_getscheduler(0) == SCHED_BATCH);
	return NULL;
}

/* The thread keeps what it had. */
TEST(prefer_latency)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, prefers_latency, NULL), 0);
	pthread_join(thread, NULL);
}

TEST(bad_options)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = 2, .low_limit_ppm = 700001 };
	struct baton_tier_opts tiers[2] = { { .policy = "none" }, { .rank = 1 } };
	struct baton_request_opts r = { .sz = sizeof(r), .fn = add_one };
	struct baton_tenant_opts t = { .sz = 1 };
	struct baton_tenant *other;

	CHECK_EQ(baton_sched_create(&s, &o), -EINVAL);
	o.low_limit_ppm = 0;
	o.sz = 1;
	CHECK_EQ(baton_sched_create(&s, &o), -EINVAL);
	o.sz = sizeof(o);
	o.idle_poll_us = 10001;
	CHECK_EQ(baton_sched_create(&s, &o), -EINVAL);
	o.idle_poll_us = BATON_IDLE_POLL_NONE;
	o.tiers = 2;
	o.tier = tiers;
	CHECK_EQ(baton_sched_create(&s, &o), -EINVAL);
	tiers[0].policy = "lifo";
	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_sched_destroy(s), 0);
	open_sched(1, 0);
	CHECK_EQ(baton_tenant_add(s, &other, &t), -EINVAL);
	r.cls = BATON_INTERNAL;
	r.tier = 1;
	CHECK_EQ(baton_submit(tenant, &r, NULL), -EINVAL);
	r.cls = BATON_BATCH;
	r.fn = NULL;
	CHECK_EQ(baton_submit(tenant, &r, NULL), -EINVAL);
	CHECK_EQ(baton_task_spawn(NULL, add_one, NULL), -EPERM);
	CHECK_EQ(baton_checkpoint(), 0);
	CHECK(!baton_request_self());
	end_sched(s);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
