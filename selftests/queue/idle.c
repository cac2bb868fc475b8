// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * idle.c - 64 workers without work: no system calls, no CPU.
 *
 * idle [SECONDS]: prints what it measured, for the benchmark too. A parked
 * worker's state is read from /proc: a thread that makes a system call comes
 * back from the one it sleeps in, and then it was switched to.
 */
#include <baton/runq.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#define WORKERS 64

static struct baton_runq *runq;
static _Atomic unsigned int ran;
static pid_t tid[WORKERS];
static unsigned int seconds = 3;

static void *worker(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	void *x;

	tid[me] = (pid_t)syscall(SYS_gettid);
	while (!baton_runq_pop(runq, me, &x, BATON_FOREVER))
		atomic_fetch_add(&ran, 1);
	return NULL;
}

/* How often was the thread switched to, and is it in futex() now? */
static unsigned long switches(pid_t t, bool *in_futex)
{
	unsigned long sum = 0, n;
	char path[64], line[256];
	long nr = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", t);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*[a-z_]voluntary_ctxt_switches: %lu", &n) == 1 ||
		    sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1)
			sum += n;
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", t);
	f = fopen(path, "r");
	if (f && fscanf(f, "%ld", &nr) != 1)
		nr = -1;
	if (f)
		fclose(f);
	*in_futex = nr == SYS_futex;
	return sum;
}

static bool all_asleep(unsigned long *sum)
{
	bool in_futex, all = true;
	unsigned int i;

	*sum = 0;
	for (i = 0; i < WORKERS; i++) {
		*sum += switches(tid[i], &in_futex);
		all &= in_futex;
	}
	return all;
}

static uint64_t cpu_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

TEST(workers_without_work)
{
	struct baton_runq_opts o = { .sz = sizeof(o), .slots = WORKERS };
	unsigned long before = 1, after;
	pthread_t t[WORKERS];
	unsigned int i, tries;
	uint64_t cpu;

	CHECK_EQ(baton_runq_create(&runq, &o), 0);
	for (i = 0; i < WORKERS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, worker, (void *)(uintptr_t)i), 0);
	/* The workers have worked, and come to rest. */
	for (i = 1; i < 1000; i++)
		CHECK_EQ(baton_runq_submit(runq, (void *)(uintptr_t)i), 0);
	after = 0;
	for (tries = 0; atomic_load(&ran) < 999 || !all_asleep(&before) || before != after; tries++) {
		CHECK_CMP(tries, <, 600);
		after = before;
		usleep(100000);
	}
	cpu = cpu_time();
	sleep(seconds);
	cpu = cpu_time() - cpu;
	CHECK(all_asleep(&after));
	printf("# %lu wake-ups, %.5f %% CPU in %u s\n", after - before,
	       (double)cpu / 1e7 / seconds, seconds);
	/* Nobody came out of the call that he slept in, so nobody made another. */
	CHECK_EQ(after, before);
	CHECK_CMP(cpu, <=, seconds * UINT64_C(1000000));
	/* A single item wakes one of them. */
	CHECK_EQ(baton_runq_submit(runq, (void *)(uintptr_t)1), 0);
	for (tries = 0; atomic_load(&ran) < 1000 || !all_asleep(&after); tries++) {
		CHECK_CMP(tries, <, 3000);
		usleep(10000);
	}
	printf("# %lu switches for one item\n", after - before);
	baton_runq_close(runq);
	for (i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	baton_runq_destroy(runq);
}

int main(int argc, char **argv)
{
	if (argc > 1 && atoi(argv[1]) > 0) {
		seconds = (unsigned int)atoi(argv[1]);
		argc = 1;
	}
	return tap_main(argc, argv);
}
