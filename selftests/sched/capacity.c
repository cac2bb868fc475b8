// SPDX-License-Identifier: GPL-2.0-or-later
/* How many slots there are and what quotas are parts of: said at the beginning, and changed under load. */
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <baton/baton.h>

#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

static struct baton_sched *s;

static int make(unsigned slots, unsigned slots_max, uint64_t capacity)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots, .slots_max = slots_max, .capacity = capacity };

	return baton_sched_create(&s, &o);
}

/* SLOTS CAPACITY SOLD, and the first tenant's quotas; in ms. */
static const char *shape(void)
{
	static struct baton_stats_tenant t;
	static char text[200];
	struct baton_stats_header h;
	struct baton_stats *st;

	memset(&t, 0, sizeof(t));
	CHECK_EQ(baton_stats_of(&st, s), 0);
	baton_stats_header(st, &h, sizeof(h));
	baton_stats_tenant(st, 0, &t, sizeof(t));
	baton_stats_close(st);
	snprintf(text, sizeof(text), "%u %u %u %u:%u", (unsigned)h.slots_open, (unsigned)(h.capacity / MS),
		 (unsigned)(h.low_sold / MS), (unsigned)(t.tier[0].quota / MS), (unsigned)(t.tier[1].quota / MS));
	return text;
}

/* Quotas are parts of a part of a CPU; slots are as many as it takes. */
TEST(said)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = 600000, .high_ppm = 2000000 };
	struct baton_tenant *t, *other;

	CHECK_EQ(make(0, 3, 500 * MS), 0);
	CHECK_STR(shape(), "1 500 0 0:0");
	CHECK_EQ(baton_tenant_add(s, &t, &o), 0);
	CHECK_STR(shape(), "1 500 300 300:1000");
	CHECK_EQ(baton_sched_set_capacity(s, 1500 * MS), 0);
	CHECK_STR(shape(), "2 1500 900 900:3000");
	/* No more than a second for each. */
	CHECK_EQ(baton_sched_set_slots(s, 1), 0);
	CHECK_STR(shape(), "1 1000 600 600:2000");
	CHECK_EQ(baton_sched_set_slots(s, 3), 0);
	CHECK_STR(shape(), "3 1500 900 900:3000");
	CHECK_EQ(baton_sched_set_capacity(s, 100 * MS), 0);
	CHECK_STR(shape(), "3 100 60 60:200");
	/* The rest of what may be sold is a part, too. */
	o.low_ppm = 100001;
	CHECK_EQ(baton_tenant_add(s, &other, &o), -ENOSPC);
	o.low_ppm = 100000;
	CHECK_EQ(baton_tenant_add(s, &other, &o), 0);
	CHECK_STR(shape(), "3 100 70 60:200");
	baton_tenant_remove(other);
	CHECK_EQ(baton_sched_set_slots(s, 0), 0);
	CHECK_STR(shape(), "1 100 60 60:200");
	/* Back again: nothing was lost on the way. */
	CHECK_EQ(baton_sched_set_capacity(s, 1 * MS), 0);
	CHECK_EQ(baton_sched_set_capacity(s, 1500 * MS), 0);
	CHECK_STR(shape(), "2 1500 900 900:3000");
	end_sched(s);
}

TEST(refused)
{
	CHECK_EQ(make(3, 2, 0), -EINVAL);
	CHECK_EQ(make(1, 4097, 0), -EINVAL);
	CHECK_EQ(make(0, 2, 2000 * MS + 1), -EINVAL);
	CHECK_EQ(make(0, 0, 1 * MS - 1), -EINVAL);
	CHECK_EQ(make(0, 2, 1500 * MS), 0);
	CHECK_EQ(baton_sched_set_slots(s, 3), -ERANGE);
	CHECK_EQ(baton_sched_set_slots(s, ~0u), -ERANGE);
	CHECK_EQ(baton_sched_set_capacity(s, 2000 * MS + 1), -ERANGE);
	CHECK_EQ(baton_sched_set_capacity(s, UINT64_MAX), -ERANGE);
	CHECK_EQ(baton_sched_set_capacity(s, 1), -EINVAL);
	CHECK_STR(shape(), "2 1500 0 0:0");
	/* A caller that said how many slots gets the capacity that fits. */
	CHECK_EQ(baton_sched_set_slots(s, 2), 0);
	CHECK_EQ(baton_sched_set_capacity(s, UINT64_MAX), 0);
	CHECK_STR(shape(), "2 2000 0 0:0");
	end_sched(s);
}

/* Answers of the machine that count: the CPUs, and never more than the slots. */
TEST(as_measured)
{
	struct baton_stats_header h;
	struct baton_stats *st;

	CHECK_EQ(make(0, 0, 0), 0);
	CHECK_EQ(baton_stats_of(&st, s), 0);
	baton_stats_header(st, &h, sizeof(h));
	printf("# %.3f CPUs\n", (double)h.allowed / 1e9);
	CHECK_EQ(h.capacity, h.allowed);
	CHECK_EQ(h.slots_open, (h.allowed + 1000 * MS - 1) / (1000 * MS));
	CHECK_EQ(baton_sched_set_capacity(s, 10 * MS), 0);
	CHECK_EQ(baton_sched_set_capacity(s, 0), 0);
	CHECK_EQ(baton_sched_set_slots(s, 1), 0);
	baton_stats_header(st, &h, sizeof(h));
	CHECK_EQ(h.capacity, h.allowed < 1000 * MS ? h.allowed : 1000 * MS);
	baton_stats_close(st);
	end_sched(s);
}

static _Atomic int inside, most;
static _Atomic long laps[4];

static void counts(void *lap)
{
	int n, old;

	do {
		n = atomic_fetch_add(&inside, 1) + 1;
		old = most;
		while (n > old && !atomic_compare_exchange_weak(&most, &old, n))
			;
		++*(_Atomic long *)lap;
		atomic_fetch_add(&inside, -1);
	} while (!baton_checkpoint());
}

/* The condition comes true, however busy the machine is. */
static bool comes_true(bool (*cond)(int), int arg)
{
	uint64_t end = baton_clock_now() + 30000 * MS;

	while (baton_clock_now() < end) {
		most = 0;
		usleep(20000);
		if (cond(arg))
			return true;
	}
	return false;
}

static bool most_is(int n)
{
	return most == n;
}

static bool lap_moves(int i)
{
	static long before[4];
	bool moved = laps[i] != before[i];

	before[i] = laps[i];
	return moved;
}

/* Slots and capacity are others all the time, and each task goes on. */
TEST(under_load)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = counts };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request *r[4];
	struct baton_tenant *t;
	int i, k;

	CHECK_EQ(make(1, 2, 2000 * MS), 0);
	for (i = 0; i < 4; i++) {
		o.arg = (void *)&laps[i];
		CHECK_EQ(baton_tenant_add(s, &t, &to), 0);
		CHECK_EQ(baton_submit(t, &o, &r[i]), 0);
	}
	CHECK(comes_true(most_is, 1));
	CHECK_EQ(baton_sched_set_slots(s, 2), 0);
	CHECK(comes_true(most_is, 2));
	for (k = 0; k < 100; k++) {
		CHECK_EQ(baton_sched_set_slots(s, 1 + k % 2), 0);
		CHECK_EQ(baton_sched_set_capacity(s, (100 + 18 * (uint64_t)k) * MS), 0);
	}
	CHECK_EQ(baton_sched_set_slots(s, 1), 0);
	CHECK(comes_true(most_is, 1));
	for (i = 0; i < 4; i++)
		CHECK(comes_true(lap_moves, i) && comes_true(lap_moves, i));
	for (i = 0; i < 4; i++) {
		baton_request_cancel(r[i]);
		CHECK_EQ(baton_request_wait(r[i]), -ECANCELED);
		baton_request_put(r[i]);
	}
	CHECK_STR(shape(), "1 1000 0 0:1000");
	end_sched(s);
}

static void changes(void *arg)
{
	CHECK_EQ(baton_sched_set_slots(s, 2), 0);
	CHECK_EQ(baton_sched_set_slots(s, 1), 0);
	CHECK_EQ(baton_sched_set_capacity(s, 100 * MS), 0);
	*(int *)arg = baton_sched_set_slots(s, 3);
}

/* A task takes its own slot away. */
TEST(from_a_task)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = changes };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request *r;
	struct baton_tenant *t;
	int last = 0;

	CHECK_EQ(make(2, 0, 0), 0);
	CHECK_EQ(baton_tenant_add(s, &t, &to), 0);
	o.arg = &last;
	CHECK_EQ(baton_submit(t, &o, &r), 0);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	CHECK(!last || last == -ERANGE);
	end_sched(s);
}

static _Atomic bool stop;

static void until_stop(void *arg)
{
	while (!atomic_load(&stop))
		baton_checkpoint();
}

/* As taskset -a: another affinity mask for all threads that there are. */
static void all_threads_on(const cpu_set_t *set)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;

	CHECK(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			sched_setaffinity(atoi(e->d_name), sizeof(*set), set);
	closedir(d);
}

/* Nobody is told of another affinity mask; while tasks run it is seen all the same. */
TEST(other_affinity)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 1000000 };
	struct baton_request_opts r = { .sz = sizeof(r), .cls = BATON_BATCH, .fn = until_stop };
	struct baton_stats_header h;
	struct baton_stats *st;
	struct baton_tenant *t;
	cpu_set_t before, one;
	uint64_t all;
	int cpu = 0;

	CHECK_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
	CHECK_EQ(make(0, 0, 0), 0);
	CHECK_EQ(baton_stats_of(&st, s), 0);
	baton_stats_header(st, &h, sizeof(h));
	all = h.allowed;
	CHECK_EQ(baton_tenant_add(s, &t, &o), 0);
	CHECK_EQ(baton_submit(t, &r, NULL), 0);
	while (!CPU_ISSET(cpu, &before))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (CPU_COUNT(&before) > 1 && all > 1000 * MS) {
		do {
			all_threads_on(&one);
			usleep(2000);
			baton_stats_header(st, &h, sizeof(h));
		} while (h.capacity != 1000 * MS);
		CHECK_EQ(h.slots_open, 1);
		do {
			all_threads_on(&before);
			usleep(2000);
			baton_stats_header(st, &h, sizeof(h));
		} while (h.capacity != all);
	}
	atomic_store(&stop, true);
	baton_stats_close(st);
	end_sched(s);
	if (all <= 1000 * MS)
		SKIP("one CPU");
}

/* A filter that forbids to ask for the CPUs. */
static bool forbid_affinity(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getaffinity, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(f) / sizeof(f[0]), f };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

/* Nobody says how many CPUs there are: an error, and not one slot without a word. */
TEST(cpus_forbidden)
{
	int status;
	pid_t pid;

#ifdef BTN_TSAN
	SKIP("the sanitizer itself asks for them");
#endif
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (!forbid_affinity())
			_exit(4);
		if (make(0, 0, 0) != -EPERM || s)
			_exit(1);
		if (make(2, 0, 0) || baton_sched_set_slots(s, 3) != -ERANGE || baton_sched_destroy(s))
			_exit(2);
		_exit(make(0, 0, 300 * MS) || baton_sched_destroy(s) ? 3 : 0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (status == 4 << 8)
		SKIP("no seccomp filters here");
	CHECK_EQ(status, 0);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
