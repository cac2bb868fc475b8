// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * 10,000 requests in flight at once, each on a thread of its own and blocked; and
 * 200 more than the pool may have threads for, which wait until one is free.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include <baton/sched.h>
#include <baton/stats.h>
#include <baton/sync.h>

#include "sched_end.h"
#include "tap.h"

#define WORKERS	10000
#define MORE	200
#define SECONDS	1000000000ULL

static struct baton_sched *s;
static struct baton_sem *sem;
static _Atomic long blocked, done;

static void blocks(void *arg)
{
	atomic_fetch_add(&blocked, 1);
	CHECK_ANY(baton_sem_wait(sem) == 0);
	atomic_fetch_add(&done, 1);
}

/* A figure of /proc, in what unit it has there; -1: none. */
static long figure(const char *file, const char *name)
{
	char line[256];
	long n = -1;
	FILE *f = fopen(file, "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			n = strtol(line + strlen(name), NULL, 10);
	if (f)
		fclose(f);
	return n;
}

static void *nothing(void *arg)
{
	return NULL;
}

/* A limit to threads that is none of the library's. */
static bool no_more_threads(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, nothing, NULL))
		return true;
	pthread_join(thread, NULL);
	return false;
}

static void release_all(void)
{
	int i;

	for (i = 0; i < WORKERS + MORE; i++)
		baton_sem_post(sem);
	end_sched(s);
	baton_sem_destroy(sem);
}

TEST(ten_thousand)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 2, .workers_max = WORKERS, .workers_reserved = BATON_WORKERS_NONE, .stack_size = 64 << 10 };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_BATCH, .fn = blocks };
	long threads, resident = figure("/proc/self/status", "VmRSS:"), stacks, n, last = 0;
	long kernel = figure("/proc/meminfo", "KernelStack:");
	struct timespec pause = { 0, 20000000 };
	struct baton_tenant *tenant;
	struct baton_tenant_stats st;
	uint64_t since;
	int i;

	CHECK_EQ(baton_sched_create(&s, &so), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &to), 0);
	CHECK_EQ(baton_sem_create(&sem, s, 0), 0);
	threads = figure("/proc/self/status", "Threads:");
	for (i = 0; i < WORKERS + MORE; i++)
		CHECK_EQ(baton_submit(tenant, &ro, NULL), 0);
	for (since = baton_clock_now(); (n = blocked) < WORKERS; nanosleep(&pause, NULL)) {
		if (n != last)
			since = baton_clock_now();
		last = n;
		if (baton_clock_now() - since < 20 * SECONDS)
			continue;
		CHECK_MSG(no_more_threads(), "%ld of %d requests have begun, and no more in 20 s", n, WORKERS);
		release_all();
		CHECK_EQ(done, WORKERS + MORE);
		SKIP("mend: a process may have only %ld threads here, not %d (ulimit -u, kernel.threads-max, "
		     "vm.max_map_count, the cgroup's pids.max)", n, WORKERS);
	}
	/* Each has a thread, and those for whom there is none wait. */
	nanosleep(&pause, NULL);
	CHECK_EQ(blocked, WORKERS);
	CHECK_EQ(done, 0);
	CHECK_EQ(figure("/proc/self/status", "Threads:"), threads + WORKERS);
	baton_tenant_stats(tenant, &st, sizeof(st));
	CHECK_EQ(st.admitted, WORKERS + MORE);
	CHECK_EQ(st.finished, 0);
	resident = figure("/proc/self/status", "VmRSS:") - resident;
	stacks = figure("/proc/meminfo", "KernelStack:") - kernel;
	printf("# %d blocked: %ld KiB each in the process, "
	       "and %ld KiB more in the kernel for its stack\n", WORKERS, resident / WORKERS, stacks / WORKERS);
	release_all();
	CHECK_EQ(done, WORKERS + MORE);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
