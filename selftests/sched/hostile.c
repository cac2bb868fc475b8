// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tasks that do their worst, each beside one that must not suffer. Tolerances
 * are wide: how long exactly it takes is for the benchmark.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <baton/sched.h>
#include <baton/sync.h>

#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL
#define SECOND 1000000000ULL

static struct baton_sched *s;
static struct baton_tenant *bad, *paying;
static _Atomic bool stop, holding;
static _Atomic long count;

static void open_sched(unsigned slots, unsigned bad_ppm)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = slots };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = bad_ppm };

	CHECK_EQ(baton_sched_create(&s, &so), 0);
	CHECK_EQ(baton_tenant_add(s, &bad, &to), 0);
	to.low_ppm = 300000;
	to.high_ppm = 0;
	CHECK_EQ(baton_tenant_add(s, &paying, &to), 0);
	stop = holding = false;
	count = 0;
}

static void close_sched(void)
{
	stop = true;
	end_sched(s);
}

static void ask(struct baton_tenant *t, baton_task_fn *fn, void *arg, struct baton_request **out)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = t == bad ? BATON_BATCH : BATON_CRITICAL,
					.fn = fn, .arg = arg };

	CHECK_EQ(baton_submit(t, &o, out), 0);
}

/* How long the paying tenant's answer takes. */
static uint64_t answer(baton_task_fn *fn)
{
	uint64_t begin = baton_clock_now();
	struct baton_request *r;

	ask(paying, fn, NULL, &r);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	return baton_clock_now() - begin;
}

static void nothing(void *arg)
{
}

static uint64_t cpu_of(struct baton_tenant *t)
{
	struct baton_tenant_stats st;

	baton_tenant_stats(t, &st, sizeof(st));
	return st.cpu[BATON_TIER_LOW] + st.cpu[BATON_TIER_HIGH];
}

static uint64_t my_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static void spins(void *arg)
{
	while (!stop)
		;
}

/* A quota holds for who never asks whether there is any left, and is alone. */
TEST(spinner_keeps_its_quota)
{
	uint64_t before, begin;

	open_sched(2, 50000);
	ask(bad, spins, NULL, NULL);
	usleep(1200000);
	before = cpu_of(bad);
	begin = baton_clock_now();
	usleep(1000000);
	if (baton_clock_now() - begin < 1100 * MS)
		CHECK_CMP(cpu_of(bad) - before, <=, 100 * MS * 110 / 100 + 20 * MS);
	CHECK_CMP(cpu_of(bad), >=, 50 * MS);
	close_sched();
}

/* A task that blocks every signal cannot be stopped, but its slot is taken. */
static void spins_with_the_signal_blocked(void *arg)
{
	sigset_t set;

	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	spins(arg);
}

TEST(spinner_with_the_signal_blocked)
{
	int i;

	open_sched(2, 10000000);
	ask(bad, spins_with_the_signal_blocked, NULL, NULL);
	ask(bad, spins_with_the_signal_blocked, NULL, NULL);
	usleep(50000);
	for (i = 0; i < 20; i++)
		CHECK_CMP(answer(nothing), <, SECOND);
	close_sched();
}

static void spin_for(uint64_t ns);
static _Atomic bool answered;
static int tube[2];

static void says(void *arg)
{
	answered = true;
}

static void fills_the_tube(void *arg)
{
	CHECK_ANY(write(tube[1], "", 1) == 1);
}

/* Stopped without noticing; has the slot again, and the permit that goes with it; then sleeps. */
static void sleeps_with_the_signal_blocked(void *arg)
{
	sigset_t set;
	char c;
	int i;

	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	holding = true;
	while (!answered)
		;
	spin_for(MS);
	for (i = 0; i < 3; i++)
		baton_checkpoint();
	holding = false;
	CHECK_ANY(read(tube[0], &c, 1) == 1);
}

/* The checkpoint took the permit, so the sleeper's slot can be taken. */
TEST(checkpoint_takes_the_permit)
{
	struct baton_request *sleeper, *r;
	int err, result;

	CHECK_EQ(pipe(tube), 0);
	open_sched(1, 1000000);
	answered = false;
	ask(bad, sleeps_with_the_signal_blocked, NULL, &sleeper);
	while (!holding)
		usleep(1000);
	answer(says);
	while (holding)
		usleep(1000);
	ask(paying, fills_the_tube, NULL, &r);
	err = baton_request_wait_until(r, baton_clock_now() + 60 * SECOND, &result);
	CHECK_EQ(err, 0);
	if (err)
		fills_the_tube(NULL);
	CHECK_EQ(baton_request_wait(sleeper), 0);
	baton_request_put(sleeper);
	baton_request_put(r);
	close_sched();
	close(tube[0]);
	close(tube[1]);
}

static void spin_for(uint64_t ns)
{
	uint64_t end = my_cpu() + ns;

	while (my_cpu() < end)
		;
}

/*
 * Deaf for so long that its slot is taken, also one that it was given meanwhile, and
 * then it hears; its next call comes before anybody could see that it does. After
 * that it is stopped like any other.
 */
static void blocks_the_signal_now_and_then(void *arg)
{
	unsigned seed = (uintptr_t)arg;
	sigset_t set, before;
	int i;

	sigfillset(&set);
	for (i = 0; i < 15; i++) {
		pthread_sigmask(SIG_SETMASK, &set, &before);
		spin_for(rand_r(&seed) % 24 * MS);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (rand_r(&seed) % 4)
			baton_checkpoint();
		spin_for(rand_r(&seed) % 6 * MS);
	}
	atomic_fetch_add(&count, 1);
}

TEST(blocks_the_signal_now_and_then)
{
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_BATCH, .fn = blocks_the_signal_now_and_then };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request *r[8];
	struct baton_tenant *t[4];
	int i;

	open_sched(2, 1000000);
	/* Several tenants: of one the oldest goes on, and loses no slot. */
	for (i = 0; i < 8; i++) {
		if (i < 4)
			CHECK_EQ(baton_tenant_add(s, &t[i], &to), 0);
		ro.arg = (void *)(uintptr_t)(i + 1);
		CHECK_EQ(baton_submit(t[i % 4], &ro, &r[i]), 0);
	}
	for (i = 0; i < 8; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
	}
	CHECK_EQ(count, 8);
	close_sched();
}

static int pipes[2];

static void computes_and_sleeps(void *arg)
{
	char byte;

	holding = true;
	spin_for((uintptr_t)arg * 1000);
	CHECK_ANY(read(pipes[0], &byte, 1) == 1);
	atomic_fetch_add(&count, 1);
}

/*
 * A task falls asleep in the kernel when it was to stop and the monitor has looked at it
 * once: what it ran on for until then must not make it look awake. (With who blocks
 * being seen the slot is taken at once, so: BATON_DETECT=off.)
 */
TEST(sleeps_after_it_was_seen)
{
	int i;

	setenv("BATON_DETECT", "off", 1);
	CHECK_EQ(pipe(pipes), 0);
	open_sched(1, 1000000);
	for (i = 0; i < 300; i++) {
		holding = false;
		ask(bad, computes_and_sleeps, (void *)(uintptr_t)(i % 100 * 4), NULL);
		while (!holding)
			;
		answer(nothing);
		CHECK_EQ(write(pipes[1], "", 1), 1);
		while (count <= i)
			usleep(100);
	}
	close_sched();
	close(pipes[0]);
	close(pipes[1]);
	unsetenv("BATON_DETECT");
}

static struct baton_mutex *lock;

static void keeps_the_lock(void *arg)
{
	uint64_t end;

	while (!stop) {
		CHECK_ANY(baton_mutex_lock(lock) == 0);
		end = my_cpu() + 3 * MS;
		while (my_cpu() < end && !stop)
			baton_checkpoint();
		CHECK_ANY(baton_mutex_unlock(lock) == 0);
		atomic_fetch_add(&count, 1);
	}
}

/*
 * Two tenants of 1% make each other wait for a lock, all the time. Together they get what
 * they bought, and one that pays gets its answers.
 */
TEST(colluding)
{
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 10000 };
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_BATCH, .fn = keeps_the_lock };
	uint64_t begin, seconds;
	struct baton_tenant *other;
	int i;

	open_sched(1, 10000);
	CHECK_EQ(baton_tenant_add(s, &other, &to), 0);
	CHECK_EQ(baton_mutex_create(&lock, s), 0);
	begin = baton_clock_now();
	for (i = 0; i < 6; i++)
		CHECK_EQ(baton_submit(i % 2 ? bad : other, &ro, NULL), 0);
	for (i = 0; i < 50; i++) {
		CHECK_CMP(answer(nothing), <, SECOND);
		usleep(20000);
	}
	seconds = (baton_clock_now() - begin) / SECOND + 1;
	CHECK_CMP(cpu_of(bad) + cpu_of(other), <=, seconds * 20 * MS + 20 * MS);
	CHECK_CMP(count, >, 0);
	close_sched();
	baton_mutex_destroy(lock);
}

static pthread_mutex_t foreign = PTHREAD_MUTEX_INITIALIZER;

static void holds_foreign(void *arg)
{
	uint64_t end = my_cpu() + (uintptr_t)arg * MS;

	pthread_mutex_lock(&foreign);
	holding = true;
	while (my_cpu() < end)
		;
	holding = false;
	pthread_mutex_unlock(&foreign);
}

static void wants_foreign(void *arg)
{
	pthread_mutex_lock(&foreign);
	pthread_mutex_unlock(&foreign);
}

/* The holder is stopped in the middle; an answer that wants its lock comes once the lock is free. */
static void answer_beside_holder(void)
{
	while (!holding)
		usleep(100);
	usleep(20000);
	CHECK(holding);
	CHECK_CMP(answer(wants_foreign), <, 10 * SECOND);
	CHECK(!holding);
	close_sched();
}

/*
 * A task is stopped in the middle of a lock that the library knows nothing of, and
 * has 2 ms of quota in a second: by itself it would let go after half a minute.
 */
TEST(stopped_with_a_foreign_lock)
{
	open_sched(1, 2000);
	ask(bad, holds_foreign, (void *)60, NULL);
	answer_beside_holder();
}

/* The same, of the same tier: 20 us in a second, which would take hours. Nobody else wants the other slot. */
TEST(stopped_with_a_foreign_lock_in_the_same_tier)
{
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_CRITICAL, .fn = holds_foreign, .arg = (void *)250 };
	struct baton_tenant_opts to = { .sz = sizeof(to), .low_ppm = 10 };
	struct baton_tenant *tiny;
	unsigned slots;

	for (slots = 1; slots <= 2; slots++) {
		open_sched(slots, 2000);
		CHECK_EQ(baton_tenant_add(s, &tiny, &to), 0);
		CHECK_EQ(baton_submit(tiny, &ro, NULL), 0);
		answer_beside_holder();
	}
}

/* Stopped anywhere, also on the way into the library: what it does comes out right. */
static void computes(void *arg)
{
	unsigned long *sum = arg, i;
	struct baton_request_times times;
	char text[32];

	for (i = 0; i < 400000; i++) {
		baton_request_times(baton_request_self(), &times, sizeof(times));
		errno = (int)(i % 100);
		if (i % 16 == 0) {
			snprintf(text, sizeof(text), "%lu", i);
			*sum += strtoul(text, NULL, 10);
			free(malloc(i % 5000));
		}
		if (errno != (int)(i % 100))
			atomic_fetch_add(&count, 1);
	}
	holding = false;
}

TEST(stopped_anywhere)
{
	unsigned long sum[2] = { 0 }, want = 0, i;
	struct baton_request *r[2];

	for (i = 0; i < 400000; i += 16)
		want += i;
	open_sched(1, 1000000);
	holding = true;
	for (i = 0; i < 2; i++)
		ask(bad, computes, &sum[i], &r[i]);
	/* Each answer stops the one that has the slot. */
	for (i = 0; i < 200 && holding; i++)
		answer(nothing);
	for (i = 0; i < 2; i++) {
		CHECK_EQ(baton_request_wait(r[i]), 0);
		baton_request_put(r[i]);
		CHECK_EQ(sum[i], want);
	}
	CHECK_EQ(count, 0);
	close_sched();
}

static jmp_buf env;

static void inner(void)
{
	baton_checkpoint();
	longjmp(env, 1);
}

static void outer(int n)
{
	if (n % 2)
		baton_sleep_until(0);
	inner();
}

static void jumps(void *arg)
{
	volatile int i;

	for (i = 0; i < 1000; i++) {
		if (!setjmp(env))
			outer(i);
		atomic_fetch_add(&count, 1);
	}
}

/* Out of its own functions, between calls of the library. */
TEST(longjmp)
{
	struct baton_request *r;

	open_sched(2, 1000000);
	ask(bad, jumps, NULL, &r);
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	CHECK_EQ(count, 1000);
	close_sched();
}

static void stops_the_process(void *arg)
{
	kill(getpid(), SIGSTOP);
	atomic_fetch_add(&count, 1);
}

TEST(sigstop)
{
	pid_t me = getpid(), child;
	uint64_t before, begin;
	int i;

	open_sched(2, 50000);
	ask(bad, spins, NULL, NULL);
	child = fork();
	if (!child) {
		for (i = 0; i < 100; i++) {
			usleep(50000);
			kill(me, SIGCONT);
		}
		_exit(0);
	}
	before = cpu_of(bad);
	begin = baton_clock_now();
	for (i = 0; i < 3; i++)
		answer(stops_the_process);
	CHECK_EQ(count, 3);
	/* The time that all stood still was nobody's. */
	CHECK_CMP(cpu_of(bad) - before, <=, ((baton_clock_now() - begin) / SECOND + 1) * 110 * MS + 20 * MS);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close_sched();
}

static int (*sql_open)(const char *, void **);
static int (*sql_exec)(void *, const char *, void *, void *, void *);
static int (*sql_close)(void *);

static void sqlite_stretch(void *arg)
{
	void *db;

	while (!stop) {
		if (sql_open(":memory:", &db))
			break;
		CHECK_ANY(sql_exec(db, "SELECT length(replace(hex(zeroblob(2e7)),'00','ab'))", NULL, NULL, NULL) == 0);
		sql_close(db);
		atomic_fetch_add(&count, 1);
	}
}

/* Real work that cannot be asked to stop: a third of a second of one function. */
TEST(sqlite)
{
	void *lib = dlopen("libsqlite3.so.0", RTLD_NOW);
	int i, late = 0;

	if (!lib)
		SKIP("no libsqlite3.so.0 (Debian: libsqlite3-0)");
	*(void **)&sql_open = dlsym(lib, "sqlite3_open");
	*(void **)&sql_exec = dlsym(lib, "sqlite3_exec");
	*(void **)&sql_close = dlsym(lib, "sqlite3_close");
	CHECK(sql_open && sql_exec && sql_close);
	open_sched(2, 10000000);
	for (i = 0; i < 3; i++)
		ask(bad, sqlite_stretch, NULL, NULL);
	for (i = 0; i < 50; i++) {
		usleep(20000);
		late += answer(nothing) > 100 * MS;
	}
	CHECK_CMP(late, <=, 5);
	close_sched();
	CHECK_CMP(count, >=, 1);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
