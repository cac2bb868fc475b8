// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parkers with real threads. Data that a permit announces is plain, so that
 * ThreadSanitizer sees whether the permit orders it.
 */
#include "backends.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#include <baton/park.h>

static int rounds = 2000;

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	CHECK_ANY(!pthread_create(&t, NULL, fn, arg));
	return t;
}

static struct baton_parker *make(void)
{
	struct baton_parker *p;

	CHECK_ANY(!baton_parker_create(&p));
	return p;
}

static void block(struct baton_parker *p)
{
	CHECK_ANY(!baton_parker_block(p, BATON_FOREVER));
}

/*
 * Two wakers have both given their permits, which became one; what the owner
 * knows of that, it knows without order [ROUND-1]. The one permit it then takes
 * brings both their news, and there is no second one.
 */
static struct {
	struct baton_parker *owner, *waker[2];
	int news[2];
	atomic_int given;
} merged;

static void *merged_waker(void *arg)
{
	int k = arg != NULL;

	for (int i = 1; i <= rounds; i++) {
		merged.news[k] = i;
		baton_parker_resume(merged.owner);
		atomic_fetch_add_explicit(&merged.given, 1, memory_order_relaxed); /* [ROUND-1] */
		block(merged.waker[k]);
	}
	return NULL;
}

ON_BACKENDS(merged_permits)
{
	pthread_t t[2];

	merged.owner = make();
	atomic_store(&merged.given, 0);
	for (int k = 0; k < 2; k++)
		merged.waker[k] = make();
	for (int k = 0; k < 2; k++)
		t[k] = start(merged_waker, k ? &merged : NULL);
	for (int i = 1; i <= rounds; i++) {
		while (atomic_load_explicit(&merged.given, memory_order_relaxed) < 2 * i) /* [ROUND-1] */
			sched_yield();
		block(merged.owner);
		CHECK_ANY(merged.news[0] == i && merged.news[1] == i);
		CHECK_ANY(baton_parker_block(merged.owner, 0) == -ETIMEDOUT);
		baton_parker_resume(merged.waker[0]);
		baton_parker_resume(merged.waker[1]);
	}
	for (int k = 0; k < 2; k++) {
		pthread_join(t[k], NULL);
		baton_parker_destroy(merged.waker[k]);
	}
	baton_parker_destroy(merged.owner);
}

/* A ring of threads, each switches to the next; the counter is the turn's. */
#define RING 5

static struct {
	struct baton_parker *p[RING];
	long counter;
} ring;

static void *ring_member(void *arg)
{
	long me = (long)arg;

	block(ring.p[me]);
	for (int i = 0; i < rounds; i++) {
		CHECK_ANY(ring.counter % RING == me);
		ring.counter++;
		if (i < rounds - 1)
			CHECK_ANY(!baton_parker_switch_to(ring.p[me], ring.p[(me + 1) % RING],
							  BATON_FOREVER));
	}
	baton_parker_resume(ring.p[(me + 1) % RING]);
	return NULL;
}

ON_BACKENDS(ring_of_switches)
{
	pthread_t t[RING];

	ring.counter = 0;
	for (int i = 0; i < RING; i++)
		ring.p[i] = make();
	for (long i = 0; i < RING; i++)
		t[i] = start(ring_member, (void *)i);
	baton_parker_resume(ring.p[0]);
	for (int i = 0; i < RING; i++)
		pthread_join(t[i], NULL);
	CHECK_ANY(ring.counter == (long)RING * rounds);
	for (int i = 0; i < RING; i++)
		baton_parker_destroy(ring.p[i]);
}

/* A permit a round, at about the deadline: it is taken once, then or later. */
static struct {
	struct baton_parker *owner, *waker;
	uint64_t deadline;
	int news;
} late;

static void *late_waker(void *arg)
{
	for (int i = 0; i < rounds / 4; i++) {
		block(late.waker);
		while (baton_clock_now() + 3000 < late.deadline)
			sched_yield();
		for (uint32_t n = backend_random() % 400; n; n--)
			__asm__ volatile("" ::: "memory");
		late.news = i;
		baton_parker_resume(late.owner);
	}
	return NULL;
}

ON_BACKENDS(permit_at_the_deadline)
{
	int timed_out = 0, err;
	pthread_t t;

	late.owner = make();
	late.waker = make();
	t = start(late_waker, NULL);
	for (int i = 0; i < rounds / 4; i++) {
		late.deadline = baton_clock_now() + 50000;
		if (i % 2) {
			err = baton_parker_switch_to(late.owner, late.waker, late.deadline);
		} else {
			baton_parker_resume(late.waker);
			err = baton_parker_block(late.owner, late.deadline);
		}
		if (err) {
			CHECK_ANY(err == -ETIMEDOUT);
			CHECK_ANY(baton_clock_now() >= late.deadline);
			timed_out++;
			block(late.owner);
		}
		CHECK_ANY(late.news == i);
		CHECK_ANY(baton_parker_block(late.owner, 0) == -ETIMEDOUT);
	}
	pthread_join(t, NULL);
	baton_parker_destroy(late.owner);
	baton_parker_destroy(late.waker);
	printf("# %d of %d timed out\n", timed_out, rounds / 4);
}

/*
 * An owner that has its permit destroys its parker and exits while its waker
 * may still be in resume, or sleep in switch_to. [PUB-1] hands the parker over.
 */
static struct {
	struct baton_parker *waker;
	struct baton_parker *_Atomic published;
	bool waker_waits;	/* for the owner's answer */
} brief;

static void *brief_owner(void *arg)
{
	struct baton_parker *p = make();

	atomic_store_explicit(&brief.published, p, memory_order_release); /* [PUB-1] */
	block(p);
	baton_parker_destroy(p);
	if (brief.waker_waits)
		baton_parker_resume(brief.waker);
	return NULL;
}

ON_BACKENDS(owner_exits_at_once)
{
	struct baton_parker *p;
	pthread_t t;

	brief.waker = make();
	for (int i = 0; i < rounds / 4; i++) {
		brief.waker_waits = i % 2;
		atomic_store_explicit(&brief.published, NULL, memory_order_relaxed); /* [PUB-1] */
		t = start(brief_owner, NULL);
		while (!(p = atomic_load_explicit(&brief.published, memory_order_acquire))) /* [PUB-1] */
			sched_yield();
		if (i % 2)
			CHECK_ANY(!baton_parker_switch_to(brief.waker, p, BATON_FOREVER));
		else
			baton_parker_resume(p);
		pthread_join(t, NULL);
	}
	baton_parker_destroy(brief.waker);
}

/* Threads that do anything to anybody; what is taken was given. */
#define STORM 6

static struct {
	struct baton_parker *p[STORM];
	atomic_long given[STORM], taken[STORM];
	atomic_bool stop;
} storm;

/* [STORM-1] relaxed: counts are compared when the threads are gone. */
static void storm_count_given(int i)
{
	atomic_fetch_add_explicit(&storm.given[i], 1, memory_order_relaxed); /* [STORM-1] */
}

static void storm_handler(int sig)
{
	int i = (int)(backend_random() % STORM), saved = errno;

	errno = 99;
	storm_count_given(i);
	baton_parker_resume(storm.p[i]);
	if (errno != 99)
		abort();
	errno = saved;
}

static void *storm_thread(void *arg)
{
	long me = (long)arg;

	while (!atomic_load_explicit(&storm.stop, memory_order_relaxed)) { /* [STORM-1] */
		int to = (int)(backend_random() % STORM), err = 1;
		uint64_t deadline = backend_random() % 4 ? baton_clock_now() + backend_random() % 100000 :
				    backend_random() % 2 ? 0 : BATON_FOREVER;

		errno = 55;
		switch (backend_random() % 3) {
		case 0:
			err = baton_parker_block(storm.p[me], deadline);
			break;
		case 1:
			storm_count_given(to);
			baton_parker_resume(storm.p[to]);
			break;
		default:
			storm_count_given(to);
			err = baton_parker_switch_to(storm.p[me], storm.p[to], deadline);
		}
		CHECK_ANY(errno == 55);
		CHECK_ANY(err == 1 || err == 0 || (err == -ETIMEDOUT && deadline != BATON_FOREVER));
		if (!err)
			atomic_fetch_add_explicit(&storm.taken[me], 1, memory_order_relaxed); /* [STORM-1] */
	}
	return NULL;
}

ON_BACKENDS(storm)
{
	struct itimerval tick = { { 0, 700 }, { 0, 700 } }, none = { { 0, 0 }, { 0, 0 } };
	uint64_t end = baton_clock_now() + 500000000;
	struct sigaction sa = { .sa_handler = storm_handler };
	pthread_t t[STORM];
	bool alive;

	for (int i = 0; i < STORM; i++) {
		storm.p[i] = make();
		atomic_store(&storm.given[i], 0);
		atomic_store(&storm.taken[i], 0);
	}
	atomic_store(&storm.stop, false);
	sigaction(SIGALRM, &sa, NULL);
	for (long i = 0; i < STORM; i++)
		t[i] = start(storm_thread, (void *)i);
#ifndef BTN_TSAN	/* which keeps signals back while a thread is in a raw system call */
	setitimer(ITIMER_REAL, &tick, NULL);
#endif
	while (baton_clock_now() < end) {
		/* All of them may be asleep for ever. */
		usleep(2000);
		for (int i = 0; i < STORM; i++) {
			storm_count_given(i);
			baton_parker_resume(storm.p[i]);
		}
	}
	setitimer(ITIMER_REAL, &none, NULL);
	(void)tick;
	atomic_store_explicit(&storm.stop, true, memory_order_relaxed); /* [STORM-1] */
	do {
		alive = false;
		for (int i = 0; i < STORM; i++) {
			if (!t[i])
				continue;
			storm_count_given(i);
			baton_parker_resume(storm.p[i]);
			if (pthread_tryjoin_np(t[i], NULL))
				alive = true;
			else
				t[i] = 0;
		}
		usleep(100);
	} while (alive);
	for (int i = 0; i < STORM; i++) {
		long taken = atomic_load(&storm.taken[i]);

		CHECK_ANY(taken > 0 && taken <= atomic_load(&storm.given[i]));
		baton_parker_destroy(storm.p[i]);
	}
	signal(SIGALRM, SIG_DFL);
}

/* A signal wakes its thread only by what its handler does. [SIG-1] is a count. */
static struct {
	struct baton_parker *owner, *killer;
	atomic_int rang;
	bool switching;
} bell;

static void bell_handler(int sig)
{
	/* Every third time the thread is let go. */
	if (atomic_fetch_add_explicit(&bell.rang, 1, memory_order_relaxed) % 3 == 2) /* [SIG-1] */
		baton_parker_resume(bell.owner);
}

static void *bell_owner(void *arg)
{
	for (int i = 0; i < rounds / 20; i++) {
		if (bell.switching)
			CHECK_ANY(!baton_parker_switch_to(bell.owner, bell.killer, BATON_FOREVER));
		else
			block(bell.owner);
		CHECK_ANY(atomic_load_explicit(&bell.rang, memory_order_relaxed) == 3 * (i + 1)); /* [SIG-1] */
		if (!bell.switching)
			baton_parker_resume(bell.killer);
	}
	return NULL;
}

ON_BACKENDS(handler_resumes_its_thread)
{
	struct sigaction sa = { .sa_handler = bell_handler };
	pthread_t t;

#ifdef BTN_TSAN
	puts("# not with ThreadSanitizer: it keeps signals back while a thread is in a raw system call");
	return;
#endif
	for (int flags = 0; flags < 4; flags++) {
		sa.sa_flags = flags & 1 ? SA_RESTART : 0;
		bell.switching = flags & 2;
		sigaction(SIGUSR1, &sa, NULL);
		bell.owner = make();
		bell.killer = make();
		atomic_store(&bell.rang, 0);
		t = start(bell_owner, NULL);
		for (int i = 0; i < rounds / 20; i++) {
			if (bell.switching)
				block(bell.killer);
			for (int k = 1; k <= 3; k++) {
				pthread_kill(t, SIGUSR1);
				/* The next one must find this one handled, or it is lost. */
				while (atomic_load_explicit(&bell.rang, memory_order_relaxed) < 3 * i + k) /* [SIG-1] */
					sched_yield();
			}
			if (!bell.switching)
				block(bell.killer);
		}
		pthread_join(t, NULL);
		baton_parker_destroy(bell.owner);
		baton_parker_destroy(bell.killer);
	}
	signal(SIGUSR1, SIG_DFL);
}

/* A child of fork makes and uses parkers though others were inside the pool. */
static void *churn(void *stop)
{
	while (!atomic_load_explicit((atomic_bool *)stop, memory_order_relaxed)) /* [STORM-1] */
		baton_parker_destroy(make());
	return NULL;
}

ON_BACKENDS(fork_while_others_create)
{
	static atomic_bool stop;
	pthread_t t[2];
	int status;
	pid_t pid;

	atomic_store(&stop, false);
	for (int i = 0; i < 2; i++)
		t[i] = start(churn, &stop);
	for (int i = 0; i < rounds / 40; i++) {
		pid = fork();
		CHECK_ANY(pid >= 0);
		if (!pid) {
			struct baton_parker *p = make();

			baton_parker_resume(p);
			block(p);
			baton_parker_destroy(p);
			_exit(0);
		}
		CHECK_ANY(waitpid(pid, &status, 0) == pid && !status);
	}
	atomic_store_explicit(&stop, true, memory_order_relaxed); /* [STORM-1] */
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	/* Under lockdep and KASAN everything is slow, most of all fork(). */
	if (!access("/proc/lockdep_stats", F_OK))
		rounds /= 5;
	return tap_main(argc, argv);
}
