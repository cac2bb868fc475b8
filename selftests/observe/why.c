// SPDX-License-Identifier: GPL-2.0-or-later
/* Each reason, from a request that has it. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <baton/io.h>
#include <baton/stats.h>
#include <baton/sync.h>
#include <baton/why.h>

#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

static struct baton_sched *s;
static struct baton_tenant *tenant;
static struct baton_why why;
static char text[400];

static void open_sched(unsigned low, unsigned high)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = 1 };
	struct baton_tenant_opts t = { .sz = sizeof(t), .low_ppm = low, .high_ppm = high };

	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
}

static struct baton_request *submit(enum baton_class cls, uint64_t deadline, baton_task_fn *fn, int want)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = cls, .deadline = deadline, .fn = fn };
	struct baton_request *r = NULL;
	int err = baton_submit(tenant, &o, &r);

	if (err)
		baton_tenant_why(tenant, &o, err, &why, sizeof(why));
	CHECK_MSG(want == 1 || err == want, "%d instead of %d", err, want);
	return r;
}

static void explain(enum baton_reason want, const char *says)
{
	CHECK_EQ(why.reason, want);
	CHECK_EQ(baton_why_text(&why, text, sizeof(text)), strlen(text));
	CHECK_MSG(!strncmp(text, says, strlen(says)), "\"%s\" does not begin with \"%s\"", text, says);
}

/* How it ended, and why. */
static void ends(struct baton_request *r, int want)
{
	CHECK_EQ(baton_request_wait(r), want);
	baton_request_why(r, &why, sizeof(why));
	CHECK_EQ(why.result, want);
	baton_request_put(r);
}

static void until_told(void *arg)
{
	while (!baton_checkpoint())
		;
}

static _Atomic bool here;

static void says_and_runs(void *arg)
{
	here = true;
	until_told(arg);
}

static void nothing(void *arg)
{
}

static void sleeps(void *arg)
{
	baton_sleep_until(baton_clock_now() + 30 * MS);
}

static void runs(void *arg)
{
	struct timespec ts;
	uint64_t end = 0, now;

	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
		now = ts.tv_sec * 1000000000ULL + ts.tv_nsec;
		if (!end)
			end = now + 5 * MS;
		baton_checkpoint();
	} while (now < end);
}

TEST(no_quota)
{
	open_sched(10000, 0);
	submit(BATON_BATCH, 0, nothing, -EDQUOT);
	explain(BATON_WHY_NO_QUOTA, "rejected: the tenant has no high-latency quota at all");
	CHECK_EQ(why.tier, BATON_TIER_HIGH);
	end_sched(s);
}

/* MariaDB's tables have columns for so much (LATE_WHY). */
TEST(length)
{
	struct baton_why all;
	unsigned i;

	memset(&all, 0xff, sizeof(all));
	all.tier = 1;
	all.given /= 4;
	for (i = 0; i <= BATON_WHY_STREAMS; i++) {
		all.reason = (enum baton_reason)i;
		CHECK_CMP(baton_why_text(&all, NULL, 0), <, 512);
	}
}

/* At the call, and after it was let in. */
TEST(quota)
{
	struct baton_request *hog, *r, *last = NULL;
	char small[20];

	open_sched(10000, 0);
	hog = submit(BATON_CRITICAL, 0, until_told, 0);
	/* Let in while the hog has what is left, some find nothing when their turn comes. */
	while ((r = submit(BATON_CRITICAL, 0, nothing, 1))) {
		baton_request_put(last);
		last = r;
		usleep(500);
	}
	explain(BATON_WHY_QUOTA, "rejected: ");
	CHECK(strstr(text, " ms of this second's 10.0 ms of low-latency quota are used"));
	CHECK_EQ(why.quota, 10 * MS);
	CHECK_CMP(why.used, >, 9 * MS);
	CHECK_CMP(why.free_at, <=, baton_clock_now() + 1000 * MS);
	CHECK_CMP(baton_why_text(&why, small, sizeof(small)), >, sizeof(small));
	CHECK_EQ(strlen(small), sizeof(small) - 1);
	baton_request_put(last);
	baton_request_cancel(hog);
	ends(hog, -ECANCELED);
	explain(BATON_WHY_CANCELLED, "cancelled: ");
	CHECK_CMP(why.cpu, >, 8 * MS);
	end_sched(s);
}

TEST(deadline)
{
	struct baton_request *hog, *r;

	open_sched(10000, 0);
	hog = submit(BATON_TOLERANT, 0, until_told, 0);
	/* Until the first one had the time to use up what there is. */
	do {
		r = submit(BATON_TOLERANT, baton_clock_now() + 50 * MS, nothing, 1);
		if (!r)		/* the request was too long on its way */
			continue;
		ends(r, -ETIME);
		explain(BATON_WHY_DEADLINE, "its deadline passed: ");
		CHECK_CMP(why.waited, >=, 40 * MS);
		CHECK_CMP(why.waited, <=, why.elapsed);
		CHECK_EQ(why.quota, 10 * MS);
	} while (!why.throttled || why.used <= 9 * MS);
	/* The hog has waited for quota too, and longest. */
	while (baton_request_why(hog, &why, sizeof(why)), why.elapsed < 300 * MS)
		usleep(1000);
	baton_request_cancel(hog);
	ends(hog, -ECANCELED);
	end_sched(s);
}

TEST(throttled)
{
	struct baton_request *hog, *r;

	open_sched(0, 10000);
	hog = submit(BATON_BATCH, 0, until_told, 0);
	r = submit(BATON_BATCH, 0, nothing, 0);
	/* The request is behind the other one, which has 10 ms in a second. */
	do {
		usleep(2000);
		baton_request_why(r, &why, sizeof(why));
		CHECK_CMP(why.throttled, <=, why.waited);
	} while (why.elapsed < 500 * MS || why.throttled < why.elapsed / 2 + 10 * MS);
	explain(BATON_WHY_THROTTLED, "mostly its tenant had no quota left: ");
	CHECK_EQ(why.result, 0);
	baton_request_cancel(hog);
	ends(hog, -ECANCELED);
	ends(r, 0);
	end_sched(s);
}

TEST(slots)
{
	struct baton_request *hog, *r;
	struct baton_tenant *other, *mine;
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = 500000 };
	int i;

	open_sched(0, 500000);
	mine = tenant;
	CHECK_EQ(baton_tenant_add(s, &other, &o), 0);
	/*
	 * The only slot is a critical one's until that is told to end, long before it has used half a second; on
	 * a busy machine it may be asleep in the kernel for a moment, and then it is not.
	 */
	for (i = 0; i < 100; i++) {
		tenant = other;
		here = false;
		hog = submit(BATON_CRITICAL, 0, says_and_runs, 0);
		while (!here)
			usleep(1000);
		tenant = mine;
		r = submit(BATON_BATCH, 0, nothing, 0);
		usleep(150 * 1000);
		baton_request_cancel(hog);
		ends(hog, -ECANCELED);
		ends(r, 0);
		if (why.waited >= 100 * MS)
			break;
	}
	explain(BATON_WHY_SLOTS, "mostly all slots had others' tasks: ");
	CHECK_EQ(why.throttled, 0);
	CHECK_CMP(why.waited, >=, 100 * MS);
	end_sched(s);
}

TEST(its_own)
{
	struct baton_request_opts gone = { .sz = sizeof(gone), .cls = BATON_BATCH };

	open_sched(0, 1000000);
	ends(submit(BATON_BATCH, 0, sleeps, 0), 0);
	explain(BATON_WHY_BLOCKED, "mostly its tasks waited for something else: ");
	CHECK_CMP(why.elapsed, >=, 30 * MS);
	CHECK_CMP(why.blocked, >=, 30 * MS);
	CHECK_EQ(why.locked, 0);
	ends(submit(BATON_BATCH, 0, runs, 0), 0);
	/* Beside others' processes it may take longer than it runs. */
	CHECK(why.reason == BATON_WHY_RUNNING || why.reason == BATON_WHY_OFF_CPU);
	CHECK_CMP(why.cpu, >=, 4 * MS);
	baton_tenant_why(tenant, &gone, -ESHUTDOWN, &why, sizeof(why));
	explain(BATON_WHY_REMOVED, "refused: its tenant was removed");
	baton_tenant_why(tenant, &gone, -EINVAL, &why, sizeof(why));
	explain(BATON_WHY_INVALID, "refused: options that contradict each other, or no memory (-22)");
	end_sched(s);
}

static struct baton_mutex *mutex;
static struct baton_sem *held, *asked;

static void holds(void *arg)
{
	CHECK_EQ(baton_mutex_lock(mutex), 0);
	baton_sem_post(held);
	CHECK_EQ(baton_sem_wait(asked), 0);
	baton_mutex_unlock(mutex);
}

/* Waits for a lock; and then, for less, for something else. */
static void locks(void *arg)
{
	CHECK_EQ(baton_mutex_lock(mutex), 0);
	baton_mutex_unlock(mutex);
	baton_sleep_until(baton_clock_now() + 2 * MS);
	CHECK_EQ(baton_sem_wait(held), 0);
}

/* The reason that took the time counts, not what the request waits for when it is asked. */
TEST(locked)
{
	struct baton_request *holder, *r;

	open_sched(0, 1000000);
	CHECK_EQ(baton_mutex_create(&mutex, s), 0);
	CHECK_EQ(baton_sem_create(&held, s, 0), 0);
	CHECK_EQ(baton_sem_create(&asked, s, 0), 0);
	holder = submit(BATON_BATCH, 0, holds, 0);
	r = submit(BATON_BATCH, 0, locks, 0);
	do {
		usleep(2000);
		baton_request_why(r, &why, sizeof(why));
	} while (why.locked < 50 * MS);
	explain(BATON_WHY_LOCKED, "mostly its tasks waited for locks that others held: ");
	CHECK_CMP(why.locked, <=, why.blocked);
	CHECK_CMP(why.blocked, <=, why.elapsed);
	baton_sem_post(asked);
	ends(holder, 0);
	ends(r, 0);
	explain(BATON_WHY_LOCKED, "mostly its tasks waited for locks that others held: ");
	baton_mutex_destroy(mutex);
	baton_sem_destroy(held);
	baton_sem_destroy(asked);
	end_sched(s);
}

static struct baton_stream *line[2];

/* Waits for bytes; and then, for less, for something else. */
static void reads(void *arg)
{
	size_t n;
	char c;

	CHECK_EQ(baton_stream_read(line[0], &c, 1, &n, BATON_FOREVER), 0);
	CHECK_EQ(n, 1);
	baton_sleep_until(baton_clock_now() + 2 * MS);
}

/* While the request waits, and when it has ended. */
TEST(streams)
{
	struct baton_request *r;
	int fd[2], i;
	size_t n;

	open_sched(0, 1000000);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	for (i = 0; i < 2; i++)
		CHECK_EQ(baton_stream_open(&line[i], s, fd[i]), 0);
	r = submit(BATON_BATCH, 0, reads, 0);
	do {
		usleep(2000);
		baton_request_why(r, &why, sizeof(why));
	} while (why.streamed < 50 * MS);
	explain(BATON_WHY_STREAMS, "mostly its tasks waited for streams: ");
	CHECK_CMP(why.streamed, <=, why.blocked);
	CHECK_CMP(why.blocked, <=, why.elapsed);
	CHECK_EQ(baton_stream_write(line[1], "a", 1, &n, BATON_FOREVER), 0);
	ends(r, 0);
	explain(BATON_WHY_STREAMS, "mostly its tasks waited for streams: ");
	CHECK_CMP(why.streamed, <, why.blocked);
	for (i = 0; i < 2; i++)
		baton_stream_close(line[i]);
	end_sched(s);
}

/* Another task has the only thread for long: afterwards, too, the time was without a thread. */
TEST(no_thread)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = 2, .workers_max = 1 };
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 1000000 };
	struct baton_request *holder, *r;

	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
	CHECK_EQ(baton_mutex_create(&mutex, s), 0);
	CHECK_EQ(baton_sem_create(&held, s, 0), 0);
	CHECK_EQ(baton_sem_create(&asked, s, 0), 0);
	holder = submit(BATON_BATCH, 0, holds, 0);
	r = submit(BATON_BATCH, 0, sleeps, 0);
	do {
		usleep(2000);
		baton_request_why(r, &why, sizeof(why));
		CHECK_CMP(why.starved, <=, why.waited);
	} while (why.starved < 100 * MS);
	explain(BATON_WHY_WORKERS, "mostly there was no thread for it: ");
	baton_sem_post(asked);
	ends(holder, 0);
	ends(r, 0);
	explain(BATON_WHY_WORKERS, "mostly there was no thread for it: ");
	CHECK_CMP(why.starved, >=, 100 * MS);
	CHECK_CMP(why.blocked, >=, 30 * MS);
	baton_mutex_destroy(mutex);
	baton_sem_destroy(held);
	baton_sem_destroy(asked);
	end_sched(s);
}

static _Atomic bool stop;

static void *spins(void *arg)
{
	while (!atomic_load(&stop))
		;
	return NULL;
}

static void until_stop(void *arg)
{
	while (!atomic_load(&stop))
		baton_checkpoint();
}

/* Work of a better rank has the slot for more than a second, and the request's tenant could pay. */
TEST(overdue)
{
	struct baton_tier_opts tiers[3] = { { .rank = 1 }, { .rank = 2 }, { .rank = 0 } };
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = 1, .tiers = 3, .tier = tiers };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request_opts hog = { .sz = sizeof(hog), .cls = BATON_INTERNAL, .tier = 2, .fn = until_stop };
	struct baton_tenant_stats dummy;
	struct baton_request *r;

	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &to), 0);
	atomic_store(&stop, false);
	CHECK_EQ(baton_submit(tenant, &hog, NULL), 0);
	do {
		usleep(200);
		baton_tenant_stats(tenant, &dummy, sizeof(dummy));
	} while (!dummy.cpu[2]);
	/* A thread that a busy machine keeps from running may lose the slot for a moment: then this one is not over. */
	r = submit(BATON_BATCH, 0, until_stop, 0);
	do {
		usleep(2000);
		baton_request_why(r, &why, sizeof(why));
	} while (!why.overdue);
	CHECK_CMP(why.elapsed, >=, 1000 * MS);
	baton_why_text(&why, text, sizeof(text));
	CHECK_MSG(strstr(text, " s its tenant had quota and got no slot"), "%s", text);
	atomic_store(&stop, true);
	ends(r, 0);
	end_sched(s);
}

/* The only slot's CPU is half another thread's: that is measured, published and said. */
TEST(machine_gives_less)
{
	struct baton_stats_header h;
	struct baton_stats *st;
	cpu_set_t before, one;
	struct baton_request *r;
	pthread_t thread;
	int cpu = 0;

	atomic_store(&stop, false);
	CHECK_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(cpu, &before))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
	open_sched(0, 1000000);
	CHECK_EQ(baton_stats_of(&st, s), 0);
	baton_stats_header(st, &h, sizeof(h));
	CHECK_EQ(h.supply_at, 0);
	r = submit(BATON_BATCH, 0, until_stop, 0);
	CHECK_EQ(pthread_create(&thread, NULL, spins, NULL), 0);
	do {
		usleep(2000);
		baton_stats_header(st, &h, sizeof(h));
		baton_request_why(r, &why, sizeof(why));
	} while (!why.given || why.given > why.capacity * 8 / 10 || h.supply > 800000);
	CHECK_EQ(why.capacity, 1000 * MS);
	baton_why_text(&why, text, sizeof(text));
	CHECK_MSG(strstr(text, "; the machine gave less: 0."), "%s", text);
	CHECK_CMP(h.supply_at, >, 0);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	ends(r, 0);
	baton_stats_close(st);
	end_sched(s);
	CHECK_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
