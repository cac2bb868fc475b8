// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * storm.c - 64 threads pass 16 tokens by FUTEX_SWAP, each to a thread chosen at
 * random, while signals, timeouts, thread exits, changes of affinity, class and
 * cgroup, and (where the kernel can) injected futex errors hit them.
 *
 * A thread's box is its futex: 0 it waits, TOKEN it was given one. Who passes a
 * token takes the box from 0 to TOKEN, and only then swaps; nobody else can
 * pass to that box until its owner has woken. So a lost wake keeps its token
 * for ever, and is found at the end as a thread asleep with a token in its box.
 * A timeout or a signal would hide that: every fourth thread has neither.
 *
 * And each wake is seen by one waiter: with K the swaps and wakes that said they
 * woke one, U the swaps that ended in a way that does not say, and W the waits
 * that ended by a wake, K <= W <= K + U.
 *
 * SWAP_STORM_SECONDS sets how long it blows; SWAP_STORM_SEED repeats a run.
 */
#include "pair.h"

#include <sys/syscall.h>

#define ACTORS 64
#define TOKENS 16

enum { FREE, TOKEN, CLOSED, QUIT };

static struct actor {
	uint32_t *box;
	pthread_t thread;
	_Atomic pid_t tid;
	atomic_bool ended;	/* ended, and not yet joined */
	uint32_t random;
	atomic_ullong turns;
	uint64_t woke, unsure, woken, failed, result[8];
} actors[ACTORS];

static atomic_bool calm;	/* no token moves on */
static atomic_bool still;	/* no actor ends any more */
static atomic_bool inject;
static uint32_t seed;

static uint32_t rnd(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static uint32_t get(uint32_t *box)
{
	return __atomic_load_n(box, __ATOMIC_SEQ_CST);
}

static void put(uint32_t *box, uint32_t v)
{
	__atomic_store_n(box, v, __ATOMIC_SEQ_CST);
}

static bool take(uint32_t *box, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(box, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool has_timeouts(struct actor *a)
{
	return (a - actors) & 1;
}

static bool has_signals(struct actor *a)
{
	return (a - actors) & 2;
}

/* None, past, or within 2 ms; on either clock. */
static const struct timespec *some_timeout(struct actor *a, struct timespec *ts, int *op)
{
	uint32_t r = rnd(&a->random);

	if (!has_timeouts(a) || r % 4 == 0)
		return NULL;
	if (r & 64)
		*op |= FUTEX_CLOCK_REALTIME;
	*ts = to_ts(now_ns(r & 64 ? CLOCK_REALTIME : CLOCK_MONOTONIC) + r / 128 % 2000000 - 100000);
	return ts;
}

static void wake(struct actor *a, uint32_t *box)
{
	long ret;

	/* An injected error: as if it had not been asked. */
	do
		ret = sys_futex(box, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	while (ret == -EFAULT);
	CHECK_ANY(ret == 0 || ret == 1);
	a->woke += ret;
}

static void pass(struct actor *a)
{
	struct actor *to = NULL;
	struct timespec ts;
	int op = SWAP_PRIVATE, i;
	const struct timespec *timeout;
	long ret;

	for (i = 0; i < 4 * ACTORS; i++) {
		to = &actors[rnd(&a->random) % ACTORS];
		if (to != a && take(to->box, FREE, TOKEN))
			break;
	}
	if (i == 4 * ACTORS) {
		sched_yield();
		return;
	}
	a->turns++;
	put(a->box, FREE);
	timeout = some_timeout(a, &ts, &op);
	ret = sys_futex(a->box, op, FREE, timeout, to->box, 0);
	switch (ret) {
	case 0:
	case 1:
		a->woke += ret;
		a->woken++;
		break;
	case -EFAULT:
		CHECK_ANY(inject);
		a->unsure++;
		wake(a, to->box);
		break;
	case -EINTR:
	case -EAGAIN:
	case -ETIMEDOUT:
		a->unsure++;
		break;
	default:
		a->failed++;
	}
	a->result[ret < 0 ? ret == -EINTR ? 2 : ret == -EAGAIN ? 3 : ret == -ETIMEDOUT ? 4 : 5 : ret]++;
}

/*
 * A thread that joins it is woken by the kernel as it exits, and an error injected
 * there would lose that wakeup.
 */
static void *end(struct actor *a)
{
	if (inject)
		CHECK_ANY(write_file("/proc/thread-self/make-it-fail", "0"));
	a->ended = true;
	return NULL;
}

static void *act(void *arg)
{
	struct actor *a = arg;
	struct timespec ts;
	long ret;
	int op;

	a->tid = gettid();
	if (inject)
		CHECK_ANY(write_file("/proc/thread-self/make-it-fail", "1"));
	for (;;) {
		switch (get(a->box)) {
		case QUIT:
			return end(a);
		case FREE:
			op = FUTEX_WAIT_BITSET_PRIVATE;
			ret = sys_futex(a->box, op, FREE, calm ? NULL : some_timeout(a, &ts, &op), NULL,
					FUTEX_BITSET_MATCH_ANY);
			a->woken += ret == 0;
			if (!still && rnd(&a->random) % 64 == 0 && take(a->box, FREE, CLOSED))
				return end(a);
			break;
		case TOKEN:
			if (calm)	/* to be counted */
				sys_futex(a->box, FUTEX_WAIT_PRIVATE, TOKEN, NULL, NULL, 0);
			else
				pass(a);
			break;
		}
	}
}

static void start(struct actor *a)
{
	a->tid = 0;
	a->ended = false;
	CHECK_ANY(!pthread_create(&a->thread, NULL, act, a));
}

static void on_signal(int sig)
{
}

static const char *cgroups[3];

/* Disturbs once. */
static void disturb(uint32_t *random)
{
	static const int policies[] = { SCHED_OTHER, SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_FIFO };
	uint32_t r = rnd(random);
	struct actor *a = &actors[r % ACTORS];
	pid_t tid = a->tid;
	cpu_set_t set;
	char text[32];
	int cpu;

	if (!tid || a->ended)
		return;
	r /= ACTORS;
	switch (r % 8) {
	case 0 ... 3:
		if (has_signals(a))
			syscall(SYS_tgkill, getpid(), tid, r & 8 ? SIGUSR1 : SIGUSR2);
		break;
	case 4:
		CPU_ZERO(&set);
		for (cpu = 0; cpu < n_cpus(); cpu++)
			if (r & 8 || (r >> cpu & 16))
				CPU_SET(cpu, &set);
		sched_setaffinity(tid, sizeof(set), &set);
		break;
	case 5:
		set_policy(tid, policies[r / 8 % 5], (int)(r / 64 % 40) - 20, 0);
		break;
	case 6:
		set_policy(tid, SCHED_OTHER, 0, 0);
		break;
	case 7:
		if (cgroups[0]) {
			snprintf(text, sizeof(text), "%d", tid);
			cgroup_write(cgroups[r / 8 % 3], "cgroup.threads", text);
		}
	}
}

/* Two threaded cgroups, one of them with little CPU, in one with this process. */
static void make_cgroups(void)
{
	const char *top = cgroup_new("storm");
	int i;

	cgroups[1] = cgroup_sub(top, "one");
	cgroups[2] = cgroup_sub(top, "two");
	for (i = 1; i < 3; i++)
		CHECK(cgroup_write(cgroups[i], "cgroup.type", "threaded"));
	CHECK(cgroup_write(top, "cgroup.subtree_control", "+cpu"));
	CHECK(cgroup_write(cgroups[1], "cpu.max", "20000 50000"));
	CHECK(cgroup_enter(top, getpid()));
	cgroups[0] = top;
}

static void reap_and_restart(void)
{
	int i;

	for (i = 0; i < ACTORS; i++) {
		if (!actors[i].ended)
			continue;
		pthread_join(actors[i].thread, NULL);
		put(actors[i].box, FREE);
		start(&actors[i]);
	}
}

static bool all_rest(void *arg)
{
	int i;

	reap_and_restart();
	for (i = 0; i < ACTORS; i++)
		if (!asleep_on(actors[i].tid, actors[i].box))
			return false;
	return true;
}

/* A thread with no timeout and no signals asleep as if its box were free. */
static int lost(void)
{
	char path[64], buf[256];
	unsigned long val;
	int i, n = 0;

	for (i = 0; i < ACTORS; i++) {
		snprintf(path, sizeof(path), "/proc/%d/syscall", actors[i].tid);
		/* nr, uaddr, op, val, ... */
		if (get(actors[i].box) == TOKEN && read_line(path, buf, sizeof(buf)) &&
		    sscanf(buf, "%*s %*s %*s 0x%lx", &val) == 1 && val == FREE) {
			printf("# actor %d sleeps with a token in its box: %s\n", i, buf);
			n++;
		}
	}
	return n;
}

static bool all_ended(void *arg)
{
	int i;

	for (i = 0; i < ACTORS; i++)
		if (!actors[i].ended)
			return false;
	return true;
}

static void storm(double seconds)
{
	uint64_t woke = 0, woken = 0, unsure = 0, failed = 0, turns = 0, result[8] = { 0 };
	struct sigaction sa = { .sa_handler = on_signal };
	struct timespec ts = { .tv_nsec = 300000 };
	int64_t end;
	int i, j, tokens = 0, n_lost, restarts = 0, idle = 0;
	const char *s = getenv("SWAP_STORM_SEED");
	struct actor by_main = { 0 };
	uint32_t random;

	CHECK(!sigaction(SIGUSR2, &sa, NULL));
	sa.sa_flags = SA_RESTART;
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	seed = s ? strtoul(s, NULL, 0) : (uint32_t)now_ns(CLOCK_REALTIME) | 1;
	printf("# SWAP_STORM_SEED=%u\n", seed);
	random = seed;
	calm = still = false;
	memset(actors, 0, sizeof(actors));
	for (i = 0; i < ACTORS; i++) {
		actors[i].box = word(i < TOKENS ? TOKEN : FREE);
		actors[i].random = (seed + 1) * 2654435761u * (i + 1) | 1;
	}
	end = now_ns(CLOCK_MONOTONIC) + seconds * NSEC;
	for (i = 0; i < ACTORS; i++)
		start(&actors[i]);
	/* Above the actors that are made real-time, or they decide when it ends. */
	CHECK(!sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &(struct sched_param){ 50 }));
	while (now_ns(CLOCK_MONOTONIC) < end) {
		for (j = 0; j < 3; j++)
			disturb(&random);
		for (i = 0; i < ACTORS; i++)
			restarts += actors[i].ended;
		reap_and_restart();
		nanosleep(&ts, NULL);
	}

	/* Nobody ends, no token moves: all come to rest, and the boxes are counted. */
	still = true;
	calm = true;
	for (i = 0; i < ACTORS; i++)
		set_policy(actors[i].tid, SCHED_OTHER, 0, 0);
	CHECK_MSG(until(all_rest, NULL), "they never came to rest");
	n_lost = lost();
	for (i = 0; i < ACTORS; i++) {
		tokens += get(actors[i].box) == TOKEN;
		put(actors[i].box, QUIT);
		wake(&by_main, actors[i].box);
	}
	CHECK_MSG(until(all_ended, NULL), "they do not all end");
	woke = by_main.woke;
	for (i = 0; i < ACTORS; i++) {
		pthread_join(actors[i].thread, NULL);
		woke += actors[i].woke;
		woken += actors[i].woken;
		unsure += actors[i].unsure;
		failed += actors[i].failed;
		turns += actors[i].turns;
		idle += !actors[i].turns;
		for (j = 0; j < 8; j++)
			result[j] += actors[i].result[j];
	}
	printf("# %llu turns; swaps: %llu woke one, %llu none, %llu interrupted, %llu again, %llu timed out, %llu faults; %d restarts\n",
	       (unsigned long long)turns, (unsigned long long)result[1], (unsigned long long)result[0],
	       (unsigned long long)result[2], (unsigned long long)result[3],
	       (unsigned long long)result[4], (unsigned long long)result[5], restarts);
	printf("# K %llu, W %llu, U %llu\n", (unsigned long long)woke, (unsigned long long)woken,
	       (unsigned long long)unsure);
	counters_show("storm");
	CHECK_EQ(n_lost, 0);
	CHECK_EQ(tokens, TOKENS);
	CHECK_EQ(failed, 0);
	CHECK_CMP(woken, >=, woke);
	CHECK_CMP(woken, <=, woke + unsure);
	CHECK_CMP(turns, >, 100);
	CHECK_EQ(idle, 0);
}

static double seconds(double otherwise)
{
	const char *s = getenv("SWAP_STORM_SECONDS");

	return s ? atof(s) : otherwise;
}

TEST(storm)
{
	make_cgroups();
	inject = false;
	storm(seconds(is_debug_kernel() ? 45 : 10));
}

TEST(storm_with_injected_errors)
{
	static const char *const settings[][2] = {
		{ "interval", "1" },	 { "times", "-1" }, { "verbose", "0" },
		{ "ignore-private", "N" }, { "task-filter", "Y" }, { "probability", "3" },
	};
	char path[128];
	unsigned int i;

	if (access("/sys/kernel/debug/fail_futex", F_OK))
		SKIP("this kernel cannot inject futex errors");
	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/fail_futex/%s", settings[i][0]);
		CHECK_MSG(write_file(path, settings[i][1]), "%s: %s", path, strerror(errno));
	}
	inject = true;
	storm(seconds(15));
	write_file("/sys/kernel/debug/fail_futex/probability", "0");
}

int main(int argc, char **argv)
{
	return swap_absent() ? 1 : tap_main(argc, argv);
}
