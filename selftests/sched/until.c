// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waits that give up: at a deadline, or because the request was cancelled. Each
 * ends once, for one reason, and what was not given to the one that left is given
 * to the next or kept. UNTIL_SEED=N replays a run of `seeded`.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include <baton/sched.h>
#include <baton/stats.h>
#include <baton/sync.h>

#include "delays.h"
#include "inject.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

#ifdef BTN_TSAN
#define TASKS 40
#define ROUNDS 40
#define RACES 60
#else
#define TASKS 200
#define ROUNDS 100
#define RACES 300
#endif

static struct baton_sched *s;
static struct baton_tenant *tenant;
static struct baton_mutex *mutex;
static struct baton_cond *cond;
static struct baton_sem *sem;
static struct baton_chan *chan;

#ifdef BTN_INJECT
/* In the windows between two holds of the lock, now and then, for a while. */
static int delays(const char *point)
{
	if (strncmp(point, "sched:", 6) && strncmp(point, "sync:", 5))
		return 0;
	if (!strcmp(point, "sched:worker") || !strcmp(point, "sched:chunk") || !strcmp(point, "sched:thread") || !strcmp(point, "sched:request") ||
	    !strcmp(point, "sched:task"))
		return 0;
	delay_sometimes(16, 100000);
	return 0;
}
#endif

static void open_all(unsigned slots)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots };
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 1000000 };

#ifdef BTN_INJECT
	atomic_store(&btn_inject_hook, delays);
#endif
	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
	CHECK_EQ(baton_mutex_create(&mutex, s), 0);
	CHECK_EQ(baton_cond_create(&cond, s), 0);
	CHECK_EQ(baton_sem_create(&sem, s, 0), 0);
	CHECK_EQ(baton_chan_create(&chan, s, 2), 0);
}

static void close_all(void)
{
	end_sched(s);
	baton_mutex_destroy(mutex);
	baton_cond_destroy(cond);
	baton_sem_destroy(sem);
	baton_chan_destroy(chan);
}

static void ask(struct baton_request **out, baton_task_fn *fn, void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = fn, .arg = arg };

	CHECK_EQ(baton_submit(tenant, &o, out), 0);
}

static void run(baton_task_fn *fn)
{
	struct baton_request *r;

	ask(&r, fn, NULL);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
}

/* Each wait that nobody ends, by its number. */
enum { MUTEX, COND, SEM, SEND, RECV, JOIN, REQUEST, KINDS };

static struct baton_task *sleeper;
static struct baton_request *sleeping;
static _Atomic bool go, end;

static void sleeps(void *until)
{
	while (!atomic_load((_Atomic bool *)until))
		baton_sleep_until(baton_clock_now() + MS);
}

static int waits(int kind, uint64_t deadline)
{
	void *item;
	int result;

	switch (kind) {
	case MUTEX:
		return baton_mutex_lock_until(mutex, deadline);
	case COND:
		/* The caller holds a mutex of its own. */
		return -1;
	case SEM:
		return baton_sem_wait_until(sem, deadline);
	case SEND:
		return baton_chan_send_until(chan, NULL, deadline);
	case RECV:
		return baton_chan_recv_until(chan, &item, deadline);
	case JOIN:
		return baton_task_join_until(sleeper, deadline);
	default:
		return baton_request_wait_until(sleeping, deadline, &result);
	}
}

static int waits_for_signal(uint64_t deadline)
{
	struct baton_mutex *own;
	int err;

	CHECK_ANY(baton_mutex_create(&own, s) == 0);
	CHECK_ANY(baton_mutex_lock(own) == 0);
	err = baton_cond_wait_until(cond, own, deadline);
	/* The mutex is locked, whatever became of the wait. */
	CHECK_ANY(baton_mutex_unlock(own) == 0);
	baton_mutex_destroy(own);
	return err;
}

static int wait_of(int kind, uint64_t deadline)
{
	return kind == COND ? waits_for_signal(deadline) : waits(kind, deadline);
}

static void holds(void *arg)
{
	CHECK_ANY(baton_mutex_lock(mutex) == 0);
	CHECK_ANY(baton_sem_wait(arg) == 0);
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
}

/* Somebody has the mutex; the channel is full, or empty for RECV; nobody ends. */
static void nothing_to_be_had(int kind, struct baton_task **holder, struct baton_sem *until)
{
	void *item;

	go = false;
	CHECK_ANY(baton_task_spawn(holder, holds, until) == 0);
	CHECK_ANY(baton_task_spawn(&sleeper, sleeps, &go) == 0);
	while (!baton_mutex_trylock(mutex)) {
		CHECK_ANY(baton_mutex_unlock(mutex) == 0);
		baton_sleep_until(baton_clock_now() + MS / 10);
	}
	if (kind == RECV)
		while (!baton_chan_recv_until(chan, &item, 0))
			;
	else
		while (!baton_chan_send_until(chan, NULL, 0))
			;
}

static void something_again(struct baton_task *holder, struct baton_sem *until)
{
	go = true;
	baton_sem_post(until);
	baton_task_join(holder);
	baton_task_join(sleeper);
	CHECK_ANY(baton_mutex_lock_until(mutex, 0) == 0);
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
}

static void times_out(void *arg)
{
	struct baton_sem *until;
	struct baton_task *holder;
	uint64_t deadline;
	int kind;

	CHECK_ANY(baton_sem_create(&until, s, 0) == 0);
	for (kind = 0; kind < KINDS; kind++) {
		nothing_to_be_had(kind, &holder, until);
		CHECK_ANY(wait_of(kind, 0) == -ETIMEDOUT);
		CHECK_ANY(wait_of(kind, baton_clock_now()) == -ETIMEDOUT);
		deadline = baton_clock_now() + 3 * MS;
		CHECK_ANY(wait_of(kind, deadline) == -ETIMEDOUT);
		CHECK_ANY(baton_clock_now() >= deadline);
		something_again(holder, until);
	}
	baton_sem_destroy(until);
	/* A permit that nobody has to wait for is had, however late it is. */
	baton_sem_post(sem);
	CHECK_ANY(baton_sem_wait_until(sem, 0) == 0);
	CHECK_ANY(baton_sem_wait_until(sem, 0) == -ETIMEDOUT);
}

TEST(deadline)
{
	struct baton_request *r;
	uint64_t deadline;
	int result = 1;

	open_all(2);
	end = false;
	ask(&sleeping, sleeps, &end);
	ask(&r, times_out, NULL);
	/* A thread that is no task, too. */
	deadline = baton_clock_now() + 3 * MS;
	CHECK_EQ(baton_request_wait_until(sleeping, deadline, &result), -ETIMEDOUT);
	CHECK(baton_clock_now() >= deadline);
	CHECK_EQ(baton_request_wait_until(sleeping, 0, &result), -ETIMEDOUT);
	CHECK_EQ(result, 1);
	CHECK_EQ(baton_request_wait_until(r, BATON_FOREVER, &result), 0);
	CHECK_EQ(result, 0);
	baton_request_put(r);
	end = true;
	CHECK_EQ(baton_request_wait_until(sleeping, BATON_FOREVER, &result), 0);
	baton_request_put(sleeping);
	CHECK_EQ(baton_sem_wait_until(sem, 0), -EPERM);
	CHECK_EQ(baton_mutex_lock_until(mutex, 0), -EPERM);
	CHECK_EQ(baton_cond_wait_until(cond, mutex, 0), -EPERM);
	CHECK_EQ(baton_task_join_until(NULL, 0), -EPERM);
	close_all();
}

struct told {
	int kind, want;
	struct baton_request *r;
	_Atomic bool waits;
};

static void is_told(void *arg)
{
	struct told *t = arg;
	struct baton_sem *until;
	struct baton_task *holder;

	CHECK_ANY(baton_sem_create(&until, s, 0) == 0);
	nothing_to_be_had(t->kind, &holder, until);
	t->waits = true;
	CHECK_ANY(wait_of(t->kind, BATON_FOREVER) == t->want);
	/* From then on they do not begin to wait, and those for cleaning up do. */
	CHECK_ANY(baton_checkpoint() == t->want);
	CHECK_ANY(wait_of(t->kind, BATON_FOREVER) == t->want);
	something_again(holder, until);
	baton_sem_destroy(until);
}

TEST(cancelled)
{
	struct timespec pause = { 0, 2 * MS };
	struct told t = { .want = -ECANCELED };

	open_all(2);
	end = false;
	ask(&sleeping, sleeps, &end);
	for (t.kind = 0; t.kind < KINDS; t.kind++) {
		t.waits = false;
		ask(&t.r, is_told, &t);
		while (!t.waits)
			sched_yield();
		/* While it waits, as a rule; or before. */
		if (t.kind % 2)
			nanosleep(&pause, NULL);
		baton_request_cancel(t.r);
		CHECK_EQ(baton_request_wait(t.r), -ECANCELED);
		baton_request_put(t.r);
	}
	end = true;
	CHECK_EQ(baton_request_wait(sleeping), 0);
	baton_request_put(sleeping);
	close_all();
}

static _Atomic bool cancelled_now;

/* How often the task in the only slot was stopped by force. */
static uint64_t preemptions(struct baton_stats *figures)
{
	struct baton_stats_slot slot;

	CHECK_ANY(baton_stats_slot(figures, 0, &slot, sizeof(slot)) == 0);
	return slot.forced_preemptions;
}

static void spins_on(void *first)
{
	struct baton_stats *figures;
	uint64_t before, until;

	CHECK_ANY(baton_stats_of(&figures, s) == 0);
	atomic_store(&go, true);
	while (!atomic_load(&cancelled_now))
		;
	before = preemptions(figures);
	/* No other task is due, so the task goes on, with a new slice. */
	until = baton_clock_now() + 10000 * MS;
	while (preemptions(figures) == before && baton_clock_now() < until)
		;
	/* The request is counted a little before it is done. */
	for (until = baton_clock_now() + MS / 2; baton_clock_now() < until;)
		;
	baton_stats_close(figures);
	*(int *)first = baton_checkpoint();
}

/* A task that is alone and was late for its checkpoint is told there all the same. */
TEST(cancelled_while_it_spins)
{
	struct baton_request *r;
	int first = 0;

	open_all(1);
	go = cancelled_now = false;
	ask(&r, spins_on, &first);
	while (!atomic_load(&go))
		sched_yield();
	baton_request_cancel(r);
	atomic_store(&cancelled_now, true);
	CHECK_EQ(baton_request_wait(r), -ECANCELED);
	CHECK_EQ(first, -ECANCELED);
	baton_request_put(r);
	close_all();
}

/* The request's own deadline, likewise. */
TEST(request_too_late)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = is_told };
	struct told t = { .kind = SEM, .want = -ETIME };
	int err;

	open_all(2);
	for (;;) {
		o.arg = &t;
		o.deadline = baton_clock_now() + 50 * MS;
		CHECK_EQ(baton_submit(tenant, &o, &t.r), 0);
		err = baton_request_wait(t.r);
		baton_request_put(t.r);
		CHECK_EQ(err, -ETIME);
		/* On a machine so slow that it had not even started: again. */
		if (t.waits)
			break;
	}
	close_all();
}

#ifdef BTN_INJECT
/* The monitor comes, and then not for 50 ms. */
static int monitor_is_late(const char *point)
{
	static const struct timespec pause = { 0, 50 * MS };

	if (!strcmp(point, "sched:monitor:unlocked"))
		nanosleep(&pause, NULL);
	return 0;
}

static void looks_for_itself(void *deadline)
{
	while (baton_clock_now() <= *(uint64_t *)deadline)
		;
	CHECK_ANY(baton_sem_wait_until(sem, BATON_FOREVER) == -ETIME);
	CHECK_ANY(baton_checkpoint() == -ETIME);
	CHECK_ANY(baton_checkpoint() == -ETIME);
}

/* A task that sees the deadline before the monitor does is told the same by all calls from then on. */
TEST(deadline_before_the_monitor)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = looks_for_itself };
	struct baton_request *r;
	uint64_t deadline;
	int i;

	open_all(1);
	atomic_store(&btn_inject_hook, monitor_is_late);
	for (i = 0; i < 10; i++) {
		o.deadline = deadline = baton_clock_now() + 30 * MS;
		o.arg = &deadline;
		CHECK_EQ(baton_submit(tenant, &o, &r), 0);
		CHECK_EQ(baton_request_wait(r), -ETIME);
		baton_request_put(r);
	}
	close_all();
}
#endif

static uint64_t told_at;

static void sleeps_long(void *arg)
{
	atomic_store(&go, true);
	CHECK_ANY(baton_sleep_until(baton_clock_now() + 600000 * MS) == -ECANCELED);
	told_at = baton_clock_now();
	/* A task that knows it already may sleep. */
	CHECK_ANY(baton_sleep_until(told_at + 2 * MS) == -ECANCELED);
	CHECK_ANY(baton_clock_now() >= told_at + 2 * MS);
}

TEST(sleep_cancelled)
{
	struct baton_request *r;

	open_all(1);
	go = false;
	ask(&r, sleeps_long, NULL);
	while (!go)
		sched_yield();
	baton_request_cancel(r);
	CHECK_EQ(baton_request_wait(r), -ECANCELED);
	baton_request_put(r);
	close_all();
}

/* ------------------------------------------------- the wake and the deadline at once */

static uint64_t meet;
static _Atomic long got, missed;

static void meets_post(void *arg)
{
	int err = baton_sem_wait_until(sem, meet);

	CHECK_ANY(!err || err == -ETIMEDOUT);
	atomic_fetch_add(err ? &missed : &got, 1);
}

static void posts(void *arg)
{
	baton_sleep_until(meet - MS / 20);
	baton_sem_post(sem);
}

/* As many units as were posted: in the hands of those that got one, or still there. */
TEST(post_meets_deadline)
{
	struct baton_request *r[8];
	long left;
	int i, k;

	open_all(2);
	got = missed = 0;
	for (k = 0; k < RACES; k++) {
		meet = baton_clock_now() + MS;
		for (i = 0; i < 8; i++)
			ask(&r[i], i % 2 ? posts : meets_post, NULL);
		for (i = 0; i < 8; i++) {
			CHECK_EQ(baton_request_wait(r[i]), 0);
			baton_request_put(r[i]);
		}
	}
	CHECK_EQ(got + missed, RACES * 4);
	left = RACES * 4 - got;
	got = 0;
	meet = 0;
	for (i = 0; i < left; i++)
		run(meets_post);
	CHECK_EQ(got, left);
	run(meets_post);
	CHECK_EQ(got, left);
	close_all();
}

static struct baton_request *ends_then;

static void ends_about_then(void *arg)
{
	baton_sleep_until(meet - MS / 20);
}

static void meets_end(void *arg)
{
	struct baton_task *t;
	int result = 1, err;

	CHECK_ANY(baton_task_spawn(&t, ends_about_then, NULL) == 0);
	err = baton_request_wait_until(ends_then, meet, &result);
	CHECK_ANY(err ? err == -ETIMEDOUT && result == 1 : !result);
	err = baton_task_join_until(t, meet);
	CHECK_ANY(!err || err == -ETIMEDOUT);
	if (err)
		baton_task_join(t);
}

TEST(end_meets_deadline)
{
	struct baton_request *r[3];
	int i, k, err, result;

	open_all(2);
	for (k = 0; k < RACES; k++) {
		meet = baton_clock_now() + MS;
		ask(&ends_then, ends_about_then, NULL);
		for (i = 0; i < 3; i++)
			ask(&r[i], meets_end, NULL);
		err = baton_request_wait_until(ends_then, meet, &result);
		CHECK(!err || err == -ETIMEDOUT);
		for (i = 0; i < 3; i++) {
			CHECK_EQ(baton_request_wait(r[i]), 0);
			baton_request_put(r[i]);
		}
		CHECK_EQ(baton_request_wait(ends_then), 0);
		baton_request_put(ends_then);
	}
	close_all();
}

/* --------------------------------------------- who is boosted for whom, and how long */

static _Atomic uint64_t cpu;
static _Atomic bool gave_up;

static void boosted_now(void *arg)
{
	struct baton_request_times before, t;
	uint64_t end;

	CHECK_ANY(baton_mutex_lock(mutex) == 0);
	atomic_store(&go, true);
	while (!gave_up)
		baton_checkpoint();
	baton_checkpoint();
	baton_request_times(baton_request_self(), &before, sizeof(before));
	end = baton_clock_now() + 1500 * MS;
	while (baton_clock_now() < end)
		baton_checkpoint();
	baton_request_times(baton_request_self(), &t, sizeof(t));
	cpu = t.cpu - before.cpu;
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
}

static void loses_patience(void *arg)
{
	CHECK_ANY(baton_mutex_lock_until(mutex, baton_clock_now() + 20 * MS) == -ETIMEDOUT);
	gave_up = true;
}

/* A holder is without limits only as long as another tenant's task does wait. */
TEST(boost_ends)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 20000 };
	struct baton_request *a, *b;
	struct baton_tenant *rich;

	open_all(1);
	rich = tenant;
	CHECK_EQ(baton_tenant_add(s, &tenant, &o), 0);
	go = gave_up = false;
	ask(&a, boosted_now, NULL);
	while (!go)
		sched_yield();
	tenant = rich;
	ask(&b, loses_patience, NULL);
	CHECK_EQ(baton_request_wait(b), 0);
	CHECK_EQ(baton_request_wait(a), 0);
	baton_request_put(a);
	baton_request_put(b);
	/* 20 ms a second, and what it did before counts; unlimited it would be 1500. */
	CHECK_CMP(cpu, <, 300 * MS);
	close_all();
}

/* --------------------------------------------------------- everything at once */

static _Atomic long posted, taken, sent, received;
static uint64_t seed;
static long inside, guarded;
static _Atomic long locked;

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static bool gave(int err)
{
	CHECK_ANY(!err || err == -ETIMEDOUT || err == -ECANCELED);
	return !err;
}

static void guards(uint64_t *x)
{
	CHECK_ANY(inside++ == 0);
	guarded++;
	atomic_fetch_add(&locked, 1);
	if (next(x) % 4 == 0) {
		int err;

		CHECK_ANY(--inside == 0);
		err = baton_cond_wait_until(cond, mutex, baton_clock_now() + next(x) % (MS / 2));
		gave(err);
		CHECK_ANY(inside++ == 0);
	}
	if (next(x) % 8 == 0)
		baton_sleep_until(baton_clock_now() + next(x) % 100000);
	CHECK_ANY(--inside == 0);
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
}

static void nothing(void *arg)
{
	baton_sleep_until(baton_clock_now() + (uintptr_t)arg % 200000);
}

static void anything(void *arg)
{
	uint64_t x = seed * 2654435761u + (uintptr_t)arg * 40503 + 1, deadline;
	struct baton_task *t;
	void *item;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		deadline = baton_clock_now() + next(&x) % (MS / 2);
		switch (next(&x) % 8) {
		case 0:
		case 1:
			if (gave(baton_mutex_lock_until(mutex, deadline)))
				guards(&x);
			break;
		case 2:
			if (gave(baton_sem_wait_until(sem, deadline)))
				atomic_fetch_add(&taken, 1);
			break;
		case 3:
			baton_sem_post(sem);
			atomic_fetch_add(&posted, 1);
			break;
		case 4:
			if (gave(baton_chan_send_until(chan, (void *)(uintptr_t)(i + 1), deadline)))
				atomic_fetch_add(&sent, i + 1);
			break;
		case 5:
			if (gave(baton_chan_recv_until(chan, &item, deadline)))
				atomic_fetch_add(&received, (long)item);
			break;
		case 6:
			baton_cond_signal(cond);
			break;
		default:
			if (baton_task_spawn(&t, nothing, (void *)(uintptr_t)next(&x)))
				break;
			if (baton_task_join_until(t, deadline))
				baton_task_join(t);
		}
	}
}

static void empties(void *arg)
{
	void *item;

	while (!baton_sem_wait_until(sem, 0))
		taken++;
	while (!baton_chan_recv_until(chan, &item, 0))
		received += (long)item;
	/* Nobody has the mutex, or waits for it. */
	CHECK_ANY(baton_mutex_trylock(mutex) == 0);
	CHECK_ANY(baton_mutex_unlock(mutex) == 0);
}

/* Two tenants, so that holders are boosted, too; every third request is cancelled at some time. */
TEST(seeded)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 1000000 };
	const char *given = getenv("UNTIL_SEED");
	struct baton_request *r[TASKS];
	struct baton_tenant *two[2];
	struct timespec pause = { 0, 200000 };
	int i, result;

	seed = given ? strtoull(given, NULL, 0) : baton_clock_now();
	printf("# UNTIL_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	open_all(2);
	two[0] = tenant;
	CHECK_EQ(baton_tenant_add(s, &two[1], &o), 0);
	posted = taken = sent = received = locked = 0;
	inside = guarded = 0;
	for (i = 0; i < TASKS; i++) {
		tenant = two[i % 2];
		ask(&r[i], anything, (void *)(uintptr_t)i);
	}
	for (i = 0; i < TASKS; i += 3) {
		nanosleep(&pause, NULL);
		baton_request_cancel(r[i]);
	}
	for (i = 0; i < TASKS; i++) {
		while (baton_request_wait_until(r[i], baton_clock_now() + MS, &result))
			;
		CHECK(!result || (i % 3 == 0 && result == -ECANCELED));
		baton_request_put(r[i]);
	}
	run(empties);
	CHECK_EQ(inside, 0);
	CHECK_EQ(guarded, locked);
	CHECK_EQ(taken, posted);
	CHECK_EQ(received, sent);
	close_all();
}

/* ------------------------------------------------------------ what is not allowed */

static void ends_with_it(void *arg)
{
	CHECK_ANY(baton_mutex_lock(mutex) == 0);
	if (arg)
		pthread_exit(NULL);
}

static void dies(void)
{
	open_all(1);
	run(ends_with_it);
}

static void dies_in_the_thread(void)
{
	struct baton_request *r;

	open_all(1);
	ask(&r, ends_with_it, s);
	baton_request_wait(r);
}

TEST(ends_with_a_mutex)
{
#ifdef BTN_TSAN
	SKIP("abort() in a child of fork() is not for ThreadSanitizer");
#endif
	tap_dies(dies, "a task ended that holds a baton_mutex");
	tap_dies(dies_in_the_thread, "a task ended that holds a baton_mutex");
}

#ifdef BTN_INJECT
static _Atomic bool timed_out, returned;

/* The thread that ended the request is late with the waiter's permit. */
static int wakes_late(const char *point)
{
	struct timespec pause = { .tv_nsec = 1000000 };
	int i;

	if (!strcmp(point, "sched:request:woken"))
		atomic_store(&timed_out, true);
	if (!strcmp(point, "sched:wake:thread")) {
		while (!atomic_load(&timed_out))
			nanosleep(&pause, NULL);
		for (i = 0; i < 50 && !atomic_load(&returned); i++)
			nanosleep(&pause, NULL);
	}
	return 0;
}

static void ends_soon(void *arg)
{
	baton_sleep_until(baton_clock_now() + 5000000);
}

/* A request ends, and the deadline passes before its waiter is woken: the waiter is waited for. */
TEST(waiter_woken_late)
{
	struct baton_request *r;
	int i, result;

	for (i = 0; i < 5; i++) {
		open_all(1);
		atomic_store(&timed_out, false);
		atomic_store(&returned, false);
		atomic_store(&btn_inject_hook, wakes_late);
		ask(&r, ends_soon, NULL);
		baton_request_wait_until(r, baton_clock_now() + 40000000, &result);
		atomic_store(&returned, true);
		atomic_store(&btn_inject_hook, delays);
		CHECK_EQ(baton_request_wait(r), 0);
		baton_request_put(r);
		close_all();
	}
}
#endif

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
