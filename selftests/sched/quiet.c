// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * No thread of the scheduler wakes up while nothing is due. Wake-ups are counted, which a busy
 * machine makes fewer, never more.
 */
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <baton/sched.h>
#include <baton/stats.h>

#include "inject.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL
/* Wake-ups in a second that a look now and then may cost; of a thread that polls there are a hundred or more. */
#define FEW 20
#define MANY 40
/* Tenants whose tasks run in turns, and slices for which the monitor's wake-ups are counted. */
#define SLICERS 4
#define SLICES 300
#define TURNS 20

static struct baton_sched *s;
static struct baton_tenant *tenant;
static int pipes[2];
static atomic_bool stop_spinning;

static void open_sched(unsigned slots, enum baton_preempt how)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = slots, .preempt = how };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };

	/* The test would say nothing of a task whose sleep the kernel announces. */
	setenv("BATON_DETECT", "off", 1);
	CHECK_EQ(baton_sched_create(&s, &so), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &to), 0);
	CHECK_EQ(pipe(pipes), 0);
}

static void submit_task(baton_task_fn *fn, struct baton_request **out)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = fn };

	CHECK_EQ(baton_submit(tenant, &o, out), 0);
}

/* Times that a thread went to sleep; -1: no thread has that name. */
static long thread_sleeps(const char *name)
{
	struct dirent *e;
	DIR *dir = opendir("/proc/self/task");
	long n = -1;

	while (dir && n < 0 && (e = readdir(dir))) {
		char path[300], line[128], wanted[64];
		bool found = false;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		snprintf(wanted, sizeof(wanted), "Name:\t%s\n", name);
		f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f)) {
			if (!strcmp(line, wanted))
				found = true;
			if (found)
				sscanf(line, "voluntary_ctxt_switches: %ld", &n);
		}
		if (f)
			fclose(f);
	}
	closedir(dir);
	return n;
}

static long monitor_sleeps(void)
{
	return thread_sleeps("baton-monitor");
}

static void sleeps_unannounced(void *arg)
{
	char byte;

	CHECK_ANY(read(pipes[0], &byte, 1) == 1);
}

static void sleeps_and_spins(void *arg)
{
	sleeps_unannounced(arg);
	while (!atomic_load(&stop_spinning))
		;
}

static void does_nothing(void *arg)
{
}

static void run_quiet(enum baton_preempt how, int tasks)
{
	struct baton_request *r[MANY], *other;
	struct timespec second = { .tv_sec = 1 };
	long before;
	int i;

	open_sched(1, how);
	for (i = 0; i < tasks; i++)
		submit_task(sleeps_unannounced, &r[i]);
	/* Another task gets a turn: so the slot is taken from those that sleep. */
	if (tasks > 1) {
		submit_task(does_nothing, &other);
		CHECK_EQ(baton_request_wait(other), 0);
		baton_request_put(other);
	}
	nanosleep(&second, NULL);
	before = monitor_sleeps();
	CHECK_CMP(before, >=, 0);
	nanosleep(&second, NULL);
	CHECK_CMP(monitor_sleeps() - before, <=, FEW);
	/* The tasks are seen when they go on, and end. */
	for (i = 0; i < tasks; i++)
		CHECK_EQ(write(pipes[1], "", 1), 1);
	for (i = 0; i < tasks; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	end_sched(s);
	close(pipes[0]);
	close(pipes[1]);
}

TEST(asleep_in_a_slot)
{
	run_quiet(BATON_PREEMPT_STOP, 1);
}

TEST(asleep_in_a_slot_demote)
{
	run_quiet(BATON_PREEMPT_DEMOTE, 1);
}

TEST(asleep_slotless)
{
	run_quiet(BATON_PREEMPT_STOP, 4);
}

/* More of them than are looked at at a time. */
TEST(asleep_slotless_many)
{
	run_quiet(BATON_PREEMPT_STOP, MANY);
}

static atomic_bool blocked_it;

/* Is stopped before it sleeps, and hears nothing of that. */
static void sleeps_with_the_signal_blocked(void *arg)
{
	struct timespec ts;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	atomic_store(&blocked_it, true);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	while (!ts.tv_sec && ts.tv_nsec < 3000000);
	sleeps_unannounced(arg);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

TEST(asleep_with_the_signal_blocked)
{
	struct baton_request *r, *other;
	int i;

	open_sched(1, BATON_PREEMPT_STOP);
	atomic_store(&blocked_it, false);
	submit_task(sleeps_with_the_signal_blocked, &r);
	while (!atomic_load(&blocked_it))
		usleep(100);
	/* The slot is taken from the sleeper, given to it again, and taken again. */
	for (i = 0; i < 5; i++) {
		submit_task(does_nothing, &other);
		CHECK_EQ(baton_request_wait(other), 0);
		baton_request_put(other);
		usleep(20000);
	}
	CHECK_EQ(write(pipes[1], "", 1), 1);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	end_sched(s);
	close(pipes[0]);
	close(pipes[1]);
}

static atomic_bool about_to_sleep;

static void *sleeps_attached(void *arg)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH };

	CHECK_ANY(baton_request_enter(tenant, &o, NULL) == 0);
	atomic_store(&about_to_sleep, true);
	sleeps_unannounced(NULL);
	baton_request_leave();
	return NULL;
}

/* The caller's own thread, which came when the watch listened. */
TEST(asleep_attached)
{
	struct timespec time = { .tv_nsec = 1 * MS }, second = { .tv_sec = 1 };
	pthread_t thread;
	long before;

	open_sched(1, BATON_PREEMPT_STOP);
	while (thread_sleeps("baton-watch") < 1)
		nanosleep(&time, NULL);
	CHECK_EQ(pthread_create(&thread, NULL, sleeps_attached, NULL), 0);
	while (!atomic_load(&about_to_sleep))
		nanosleep(&time, NULL);
	nanosleep(&second, NULL);
	before = monitor_sleeps();
	nanosleep(&second, NULL);
	CHECK_CMP(monitor_sleeps() - before, <=, FEW);
	CHECK_EQ(write(pipes[1], "", 1), 1);
	pthread_join(thread, NULL);
	end_sched(s);
	close(pipes[0]);
	close(pipes[1]);
}

/* CPU that the tenants were charged. */
static uint64_t charged_cpu(void)
{
	struct baton_stats_tenant figures;
	struct baton_stats *st;
	uint64_t sum = 0;
	unsigned i, k;

	CHECK_EQ(baton_stats_of(&st, s), 0);
	for (i = 0; !baton_stats_tenant(st, i, &figures, sizeof(figures)); i++)
		for (k = 0; k < BATON_TIERS_MAX; k++)
			sum += figures.tier[k].cpu;
	baton_stats_close(st);
	return sum;
}

/* Until the monitor comes no oftener than each 10 ms, as it does where it has no alarms. */
static void wait_for_quiet(void)
{
	struct timespec time = { .tv_nsec = 200 * MS };
	long before, sleeps = LONG_MIN;

	do {
		before = sleeps;
		nanosleep(&time, NULL);
		sleeps = monitor_sleeps();
	} while (sleeps > before + 30);
}

/*
 * A thread that wakes after the monitor has turned to other things is seen: what it uses is
 * charged, while it reaches no call of the library, and nothing else happens.
 */
static void run_woken(enum baton_preempt how, bool slotless)
{
	struct timespec time = { .tv_nsec = 1 * MS };
	struct baton_request *r, *other;
	uint64_t before;

	open_sched(1, how);
	atomic_store(&stop_spinning, false);
	submit_task(sleeps_and_spins, &r);
	if (slotless) {
		submit_task(does_nothing, &other);
		CHECK_EQ(baton_request_wait(other), 0);
		baton_request_put(other);
	}
	wait_for_quiet();
	before = charged_cpu();
	CHECK_EQ(write(pipes[1], "", 1), 1);
	while (charged_cpu() < before + 1 * MS)
		nanosleep(&time, NULL);
	atomic_store(&stop_spinning, true);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	end_sched(s);
	close(pipes[0]);
	close(pipes[1]);
}

TEST(woken_in_a_slot)
{
	run_woken(BATON_PREEMPT_STOP, false);
}

TEST(woken_slotless)
{
	run_woken(BATON_PREEMPT_STOP, true);
}

TEST(woken_slotless_demote)
{
	run_woken(BATON_PREEMPT_DEMOTE, true);
}

#ifdef BTN_INJECT
static const char *fail_point;

static int fails(const char *point)
{
	return !strcmp(point, fail_point);
}

static void run_with(const char *point)
{
	fail_point = point;
	atomic_store(&btn_inject_hook, fails);
	run_woken(BATON_PREEMPT_STOP, false);
	run_woken(BATON_PREEMPT_STOP, true);
	atomic_store(&btn_inject_hook, NULL);
}

/* Without the looks that are made now and then nevertheless. */
TEST(woken_alarm_only)
{
	run_with("sched:alarm:only");
}

/* The same where there are no timers to be had. */
TEST(woken_no_alarm)
{
	run_with("sched:alarm");
}
#endif

#ifdef BTN_INJECT
#define SLEEPERS 6
#define COMES 20

static _Atomic long looks, comes;

static int counts_looks(const char *point)
{
	if (!strcmp(point, "sched:preempt:slot"))
		atomic_fetch_add(&looks, 1);
	if (!strcmp(point, "sched:monitor:unlocked"))
		atomic_fetch_add(&comes, 1);
	return !strcmp(point, "sched:alarm:only");
}

/*
 * The monitor comes while other tasks run, and looks at none of those that sleep in their slots with alarms set.
 * The tasks have one slot, or two.
 */
TEST(asleep_not_looked_at)
{
	struct baton_request *r[SLEEPERS], *other;
	long before, came;
	int i, turn, few;

	open_sched(SLEEPERS + 2, BATON_PREEMPT_STOP);
	for (i = 0; i < SLEEPERS; i++)
		submit_task(sleeps_unannounced, &r[i]);
	atomic_store(&btn_inject_hook, counts_looks);
	/* At first they are looked at, as they may not sleep for long. */
	for (turn = few = 0; turn < TURNS && !few; turn++) {
		before = looks;
		came = comes;
		while (comes < came + COMES) {
			submit_task(does_nothing, &other);
			CHECK_EQ(baton_request_wait(other), 0);
			baton_request_put(other);
			usleep(1000);
		}
		few = looks - before <= 2 * (comes - came);
	}
	CHECK_CMP(few, >, 0);
	atomic_store(&btn_inject_hook, NULL);
	for (i = 0; i < SLEEPERS; i++)
		CHECK_EQ(write(pipes[1], "", 1), 1);
	for (i = 0; i < SLEEPERS; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	end_sched(s);
	close(pipes[0]);
	close(pipes[1]);
}
#endif

static void passes_checkpoints(void *arg)
{
	while (!atomic_load(&stop_spinning))
		baton_checkpoint();
}

static uint64_t slices_begun(void)
{
	struct baton_stats_slot slot;
	struct baton_stats *st;

	CHECK_EQ(baton_stats_of(&st, s), 0);
	CHECK_EQ(baton_stats_slot(st, 0, &slot, sizeof(slot)), 0);
	baton_stats_close(st);
	return slot.switches;
}

/* Tasks that come by themselves at the ends of their slices: the monitor is not there at each of them. */
TEST(slices_that_end_in_time)
{
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 200000 };
	struct timespec time = { .tv_nsec = 10 * MS };
	struct baton_request *r[SLICERS];
	uint64_t slices;
	long before;
	int i, turn, few;

	open_sched(1, BATON_PREEMPT_STOP);
	atomic_store(&stop_spinning, false);
	for (i = 0; i < SLICERS; i++) {
		CHECK_EQ(baton_tenant_add(s, &tenant, &to), 0);
		submit_task(passes_checkpoints, &r[i]);
	}
	while (slices_begun() < 2 * SLICERS)
		nanosleep(&time, NULL);
	/*
	 * While the kernel does not run the tasks they are late, and looked at; and while it does not run the
	 * monitor that does not wake up. So the best of some times counts.
	 */
	for (turn = few = 0; turn < TURNS && !few; turn++) {
		slices = slices_begun();
		before = monitor_sleeps();
		while (slices_begun() < slices + SLICES)
			nanosleep(&time, NULL);
		slices = slices_begun() - slices;
		few += 4 * (uint64_t)(monitor_sleeps() - before) < slices;
	}
	CHECK_CMP(few, >, 0);
	atomic_store(&stop_spinning, true);
	for (i = 0; i < SLICERS; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	end_sched(s);
	close(pipes[0]);
	close(pipes[1]);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
