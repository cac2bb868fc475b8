// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An outsider's program with every lock and every wait of the library, for sanitizers: each step has data that is
 * guarded by nothing else than what the step is about. Two tasks of a step are on two threads before it begins.
 *
 *	every_wait		all steps; the exit status says whether the data was right
 *	every_wait drop N	a sanitizer is not told what the N-th object orders (only where the linker wraps its functions)
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <baton/baton.h>

#define MUST(CALL) do { if (CALL) { fprintf(stderr, "%d: %s\n", __LINE__, #CALL); abort(); } } while (0)
#define SOON (baton_clock_now() + 2000000)
#define LATER (baton_clock_now() + 60000000000ULL)

static struct baton_sched *s;
static struct baton_tenant *tenant;
static struct baton_mutex *mutex;
static struct baton_rwlock *lock;
static struct baton_cond *cond;
static struct baton_sem *sem, *told;
static struct baton_chan *chan, *full;
static struct baton_parker *parker;
static struct baton_completions *ends;
static long data, seen;
static _Atomic int there;
static _Atomic bool waits, released;

#ifdef WRAPPED
#define UNSEEN __attribute__((no_sanitize("thread")))
static int dropping;
static const char *from;
static size_t length;

void __real___tsan_acquire(void *object);
void __wrap___tsan_acquire(void *object);

UNSEEN void __wrap___tsan_acquire(void *object)
{
	if ((char *)object < from || (char *)object >= from + length)
		__real___tsan_acquire(object);
}

/* The N-th object, and its size. */
UNSEEN static void guard(int n, const void *object, size_t size)
{
	if (n == dropping) {
		from = object;
		length = size;
	}
}
#else
#define guard(N, OBJECT, SIZE) ((void)(OBJECT))
#endif

/* [EVERY-1] Relaxed, so that the two are there at once and nothing is ordered by it. */
static void meet(int n)
{
	atomic_fetch_add_explicit(&there, 1, memory_order_relaxed); /* [EVERY-1] */
	while (atomic_load_explicit(&there, memory_order_relaxed) < n) /* [EVERY-1] */
		MUST(baton_sleep_until(baton_clock_now() + 100000));
}

static void pause_until(_Atomic bool *what)
{
	while (!atomic_load_explicit(what, memory_order_relaxed)) /* [EVERY-1] */
		baton_sleep_until(baton_clock_now() + 100000);
}

static void say(_Atomic bool *what)
{
	atomic_store_explicit(what, true, memory_order_relaxed); /* [EVERY-1] */
}

static void first_mutex(void *arg)
{
	int i;

	meet(2);
	for (i = 0; i < 50; i++) {
		if (baton_mutex_trylock(mutex) && (i % 2 ? baton_mutex_lock(mutex) : baton_mutex_lock_until(mutex, LATER)))
			abort();
		data++;
		MUST(baton_mutex_unlock(mutex));
		baton_sleep_until(baton_clock_now() + 50000);
	}
}

static void first_rwlock(void *arg)
{
	int i;

	meet(2);
	for (i = 0; i < 50; i++) {
		if (baton_rwlock_trywrlock(lock) && (i % 2 ? baton_rwlock_wrlock(lock) : baton_rwlock_wrlock_until(lock, LATER)))
			abort();
		data++;
		MUST(baton_rwlock_unlock(lock));
		if (baton_rwlock_tryrdlock(lock) && (i % 2 ? baton_rwlock_rdlock(lock) : baton_rwlock_rdlock_until(lock, LATER)))
			abort();
		seen += 0 * data;
		MUST(baton_rwlock_unlock(lock));
		baton_sleep_until(baton_clock_now() + 50000);
	}
}

/* The signal comes without the mutex, once the waiter waits. */
static void first_cond(void *arg)
{
	meet(2);
	MUST(baton_mutex_lock(mutex));
	MUST(baton_cond_wait_until(cond, mutex, SOON) != -ETIMEDOUT);
	say(&waits);
	MUST(baton_cond_wait(cond, mutex));
	MUST(baton_mutex_unlock(mutex));
	seen = data;
}

static void second_cond(void *arg)
{
	meet(2);
	pause_until(&waits);
	MUST(baton_mutex_lock(mutex));
	MUST(baton_mutex_unlock(mutex));
	data = 100;
	baton_cond_signal(cond);
	baton_cond_broadcast(cond);
}

static void first_sem(void *arg)
{
	meet(2);
	MUST(baton_sem_wait_until(sem, SOON) != -ETIMEDOUT);
	say(&waits);
	MUST(arg ? baton_sem_wait(sem) : baton_sem_wait_until(sem, LATER));
	seen = data;
}

static void second_sem(void *arg)
{
	meet(2);
	pause_until(&waits);
	data = 100;
	baton_sem_post(sem);
}

static void first_chan(void *arg)
{
	void *item;

	meet(2);
	MUST(baton_chan_recv_until(chan, &item, SOON) != -ETIMEDOUT);
	say(&waits);
	MUST(baton_chan_recv(chan, &item));
	seen = *(long *)item;
	MUST(baton_chan_recv_until(chan, &item, LATER) != -EPIPE);
	MUST(seen != 100);
	seen = *(long *)arg;
}

static long closed;

static void second_chan(void *arg)
{
	meet(2);
	pause_until(&waits);
	data = 100;
	MUST(baton_chan_send_until(chan, &data, LATER));
	*(long *)arg = 100;
	baton_chan_close(chan);
}

/* A sender that waited for room knows what was done before the room was made. */
static void first_full(void *arg)
{
	meet(2);
	MUST(baton_chan_send(full, arg));
	MUST(baton_chan_send_until(full, arg, SOON) != -ETIMEDOUT);
	say(&waits);
	MUST(baton_chan_send(full, arg));
	seen = data;
}

static void second_full(void *arg)
{
	void *item;

	meet(2);
	pause_until(&waits);
	MUST(baton_sleep_until(SOON));
	data = 100;
	MUST(baton_chan_recv(full, &item));
}

static void child(void *arg)
{
	/* The parent wrote `data`, and whoever joins reads `data`. */
	seen = data;
	pause_until(&released);
	data = 2 * seen;
}

static void first_task(void *arg)
{
	struct baton_task *t;

	meet(2);
	data = 50;
	MUST(baton_task_spawn(&t, child, NULL));
	guard(7, t, 1);
	MUST(baton_task_join_until(t, baton_clock_now()) != -ETIMEDOUT);
	say(&released);
	MUST(baton_task_join(t));
	seen = data;
}

static void nothing(void *arg)
{
	meet(2);
}

static void first_any(void *arg)
{
	struct baton_case c[] = { { .kind = BATON_CASE_SEND, .chan = full }, { .kind = BATON_CASE_SEM, .sem = sem } };

	meet(2);
	say(&waits);
	MUST(baton_wait_any(c, 2, LATER, 0) != 1);
	seen = data;
}

static void first_parker(void *arg)
{
	meet(2);
	say(&waits);
	MUST(baton_parker_block(parker, LATER));
	seen = data;
}

static void second_parker(void *arg)
{
	meet(2);
	pause_until(&waits);
	data = 100;
	baton_parker_resume(parker);
}

static struct baton_request *ask(baton_task_fn *fn, void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = fn, .arg = arg };
	struct baton_request *r;

	MUST(baton_submit(tenant, &o, &r));
	return r;
}

static int step(const char *name, baton_task_fn *a, baton_task_fn *b, void *arg)
{
	struct baton_request *r[2];
	int i;

	data = seen = 0;
	there = 0;
	waits = released = false;
	r[0] = ask(a, arg);
	r[1] = ask(b, arg);
	for (i = 0; i < 2; i++) {
		MUST(baton_request_wait(r[i]));
		baton_request_put(r[i]);
	}
	if (data != 100 || (seen && seen != 100))
		printf("%s: %ld %ld\n", name, data, seen);
	return data != 100;
}

static void adds(void *arg)
{
	/* The submitter wrote `data`, and whoever waits reads `data`. */
	pause_until(&released);
	data += 50;
}

static void releases(void *arg)
{
	say(&released);
}

/* Requests' ends, for a thread and for a completion queue, and what a thread did before it submitted. */
static int step_requests(void)
{
	struct baton_completion end;
	struct baton_request *r, *other;
	int err = 0, i, result;

	for (i = 0; i < 2; i++) {
		released = false;
		data = 50;
		r = ask(adds, NULL);
		guard(10 + i, r, 64);
		if (i)
			MUST(baton_request_notify(r, ends, NULL));
		MUST(baton_request_wait_until(r, SOON, &result) != -ETIMEDOUT);
		other = ask(releases, NULL);
		if (i) {
			while (!baton_completions_take(ends, &end, 1))
				;
			MUST(end.request != r);
		} else {
			MUST(baton_request_wait(r));
		}
		err |= data != 100;
		baton_request_put(r);
		MUST(baton_request_wait(other));
		baton_request_put(other);
	}
	return err;
}

int main(int argc, char **argv)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 2 };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	int err = 0;

#ifdef WRAPPED
	dropping = argc > 2 ? atoi(argv[2]) : 0;
#endif
	MUST(baton_sched_create(&s, &so) || baton_tenant_add(s, &tenant, &to));
	MUST(baton_mutex_create(&mutex, s) || baton_rwlock_create(&lock, s) || baton_cond_create(&cond, s));
	MUST(baton_sem_create(&sem, s, 0) || baton_sem_create(&told, s, 0));
	MUST(baton_chan_create(&chan, s, 4) || baton_chan_create(&full, s, 1));
	MUST(baton_parker_create(&parker) || baton_completions_create(&ends));
	guard(1, mutex, 1);
	guard(2, lock, 256);
	guard(3, cond, 1);
	guard(4, sem, 1);
	guard(5, chan, 1);
	guard(6, full, 256);
	guard(9, parker, 1);
	err |= step("mutex", first_mutex, first_mutex, NULL);
	err |= step("rwlock", first_rwlock, first_rwlock, NULL);
	err |= step("cond", first_cond, second_cond, NULL);
	err |= step("sem", first_sem, second_sem, s);
	err |= step("sem until", first_sem, second_sem, NULL);
	err |= step("chan", first_chan, second_chan, &closed);
	err |= step("full", first_full, second_full, NULL);
	err |= step("task", first_task, nothing, NULL);
	guard(8, sem, 1);
	err |= step("wait_any", first_any, second_sem, NULL);
	err |= step("parker", first_parker, second_parker, NULL);
	err |= step_requests();
	while (baton_sched_destroy(s) == -EBUSY)
		;
	baton_mutex_destroy(mutex);
	baton_rwlock_destroy(lock);
	baton_cond_destroy(cond);
	baton_sem_destroy(sem);
	baton_sem_destroy(told);
	baton_chan_destroy(chan);
	baton_chan_destroy(full);
	baton_parker_destroy(parker);
	MUST(baton_completions_destroy(ends));
	return err;
}
