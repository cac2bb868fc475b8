// SPDX-License-Identifier: GPL-2.0-or-later
/* The scheduler with `baton load`: slots of tasks that block are used by others. */
#include <baton/baton.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "tap.h"

static struct baton_sched *s;
static struct baton_tenant *tenant;
static int fds[2];
static char byte;

static unsigned idle_poll_us;

static void begin(unsigned slots)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = slots, .idle_poll_us = idle_poll_us };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };

	if (!load_pid)
		load_begin(NULL);
	CHECK(!baton_sched_create(&s, &so));
	CHECK(!baton_tenant_add(s, &tenant, &to));
	CHECK(!pipe(fds));
}

static void end(void)
{
	CHECK(WITHIN(10, !baton_sched_destroy(s)));
	close(fds[0]);
	close(fds[1]);
}

static struct baton_request *submit(baton_task_fn *fn, void *arg)
{
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_BATCH, .fn = fn, .arg = arg };
	struct baton_request *r;

	CHECK(!baton_submit(tenant, &ro, &r));
	return r;
}

static void wait_for(struct baton_request *r)
{
	CHECK(!baton_request_wait(r));
	baton_request_put(r);
}

static struct baton_detect_stats stats(void)
{
	struct baton_detect_stats st;
	int err = baton_detect_stats(s, &st, sizeof(st));

	CHECK_MSG(!err, "blocking is not seen: %s", st.how);
	return st;
}

static _Atomic int reading;

static void reader(void *arg)
{
	reading = 1;
	CHECK_ANY(read(fds[0], &byte, 1) == 1);
}

static void hinted_reader(void *arg)
{
	baton_blocking_begin();
	reader(arg);
	baton_blocking_end();
}

static void count(void *arg)
{
	++*(_Atomic int *)arg;
}

/* A task comes when the one with the slot sleeps already. */
static void sleeps_first(baton_task_fn *fn, bool hinted)
{
	struct baton_detect_stats before, st;
	struct baton_request *r;
	_Atomic int n = 0;
	bool once;
	int i;

	begin(1);
	/*
	 * Tasks may sleep elsewhere, too, which is seen and counted as well: for pages of
	 * their code the first time, for a lock of a slow kernel at any time. Such a sleep may
	 * also come before the reader's, whose slot is then not taken: the task that waits rings
	 * for it. One round has to be without that.
	 */
	for (i = 0, once = false; i < 2 || (i < 20 && !once); i++) {
		before = stats();
		reading = 0;
		r = submit(fn, NULL);
		CHECK(WITHIN(10, reading && stats().blocks > before.blocks));
		wait_for(submit(count, &n));
		CHECK_EQ(n, i + 1);
		st = stats();
		once = st.taken == before.taken + 1 && st.unannounced == before.unannounced + !hinted;
		CHECK_EQ(write(fds[1], "x", 1), 1);
		wait_for(r);
	}
	CHECK_MSG(once, "no round in %d without a block more", i);
	CHECK(stats().blocked > before.blocked);
	CHECK(stats().unauthorised > before.unauthorised);
	end();
}

TEST(a_slot_that_sleeps_is_taken) { sleeps_first(reader, false); }
TEST(and_of_one_who_said_so) { sleeps_first(hinted_reader, true); }

static _Atomic int go;

static void spin_then_read(void *arg)
{
	while (!go)
		;
	reader(arg);
}

/* The worker sleeps when a task waits already: the doorbell. */
TEST(a_task_that_waits_gets_it)
{
	struct baton_request *r, *r2;
	_Atomic int n = 0;
	int i;

	begin(1);
	for (i = 0; i < 10; i++) {
		go = 0;
		r = submit(spin_then_read, NULL);
		r2 = submit(count, &n);
		go = 1;
		CHECK(!baton_request_wait(r2));
		baton_request_put(r2);
		CHECK_EQ(write(fds[1], "x", 1), 1);
		wait_for(r);
	}
	CHECK_EQ(n, 10);
	/* The monitor would have seen some, too. */
	CHECK(stats().taken >= 5);
	end();
}

/*
 * With the kernel's hook it is a worker that waits for a slot that is woken, and no
 * doorbell: one that has run a task before, which waits for the next.
 */
static void lets_go_on(void *arg)
{
	count(arg);
	CHECK_ANY(write(fds[1], "x", 1) == 1);
}

static void waits_for_its_children(void *arg)
{
	struct baton_task *t;
	int i;

	for (i = 0; i < 50; i++) {
		CHECK_ANY(!baton_task_spawn(&t, lets_go_on, arg));
		reader(NULL);
		baton_task_join(t);
	}
}

TEST(with_the_hook_the_next_one_is_woken)
{
	_Atomic int n = 0;

	begin(1);
	if (!strstr(stats().how, "hook")) {
		end();
		SKIP("this kernel has no hook, or it is not used");
	}
	wait_for(submit(waits_for_its_children, &n));
	CHECK_EQ(n, 50);
	/* The monitor may be first on a slow machine, and the first time there is no other worker. */
	printf("# woken %lu times, rung for %lu\n", (unsigned long)stats().notified, (unsigned long)stats().rung);
	CHECK(stats().notified >= 5);
	CHECK(stats().notified <= stats().rung);
	end();
}

/*
 * Without the hook: one CPU, which is idle each time, so that somebody of its own looks
 * there. That one ends, too.
 */
static int idle_pollers(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	char path[300], name[32];
	int n = 0;
	FILE *f;

	CHECK(dir);
	while ((e = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		n += fgets(name, sizeof(name), f) && !strcmp(name, "baton-idle-poll\n");
		fclose(f);
	}
	closedir(dir);
	return n;
}

static int calls_on_one_cpu(unsigned poll_us)
{
	cpu_set_t old, one;
	uint64_t end_at;
	_Atomic int n = 0;
	int calls;

	CHECK(!sched_getaffinity(0, sizeof(old), &old));
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	CHECK(!sched_setaffinity(0, sizeof(one), &one));
	idle_poll_us = poll_us;
	begin(1);
	idle_poll_us = 0;
	CHECK(!sched_setaffinity(0, sizeof(old), &old));
	if (strstr(stats().how, "hook")) {
		end();
		SKIP("the kernel has the hook");
	}
	end_at = now_ns() + (poll_us == BATON_IDLE_POLL_NONE ? 1 : 30) * 1000000000ull;
	do {
		wait_for(submit(waits_for_its_children, &n));
	} while (!stats().notified && now_ns() < end_at);
	calls = stats().notified;
	printf("# notified %d times, rung for %lu, %d idle pollers\n", calls, (unsigned long)stats().rung, idle_pollers());
	CHECK_EQ(idle_pollers() > 0, poll_us != BATON_IDLE_POLL_NONE);
	end();
	CHECK(WITHIN(30, !idle_pollers()));
	return calls;
}

TEST(an_idle_cpu_looks) { CHECK(calls_on_one_cpu(1000) > 0); }
TEST(or_does_not) { CHECK_EQ(calls_on_one_cpu(BATON_IDLE_POLL_NONE), 0); }

/* Woken, it runs until it calls; from then on never beside the one with the slot. */
static _Atomic int inside, both, rounds[2];

static void rounds_of(int who)
{
	uint64_t end;
	int i;

	for (i = 0; i < 50; i++) {
		both += inside++;
		for (end = now_ns() + 50000; now_ns() < end; )
			;
		inside--;
		rounds[who]++;
		baton_checkpoint();
	}
}

static void reader_then_rounds(void *arg)
{
	struct baton_request_times times;

	reader(arg);
	/* Any call will do. */
	if (arg)
		baton_request_times(baton_request_self(), &times, sizeof(times));
	else
		baton_checkpoint();
	rounds_of(0);
}

static void write_then_rounds(void *arg)
{
	CHECK_ANY(write(fds[1], "x", 1) == 1);
	rounds_of(1);
}

static int wakes_once(void *arg)
{
	struct baton_request *r, *r2;

	begin(1);
	both = reading = 0;
	rounds[0] = rounds[1] = 0;
	r = submit(reader_then_rounds, arg);
	CHECK(WITHIN(10, reading == 1 && stats().blocks >= 1));
	r2 = submit(write_then_rounds, NULL);
	wait_for(r2);
	wait_for(r);
	CHECK_EQ(stats().taken, 1);
	CHECK_EQ(rounds[0], 50);
	CHECK_EQ(rounds[1], 50);
	end();
	return both;
}

/* On a slow machine one may be stopped inside its round, for overrunning its slice. */
static void wakes(void *arg)
{
	int i, n = 1;

	for (i = 0; i < 5 && n; i++)
		n = wakes_once(arg);
	CHECK_EQ(n, 0);
}

TEST(who_wakes_waits_for_its_turn) { wakes(NULL); }
TEST(whatever_it_calls) { wakes(&both); }

/*
 * With the kernel's hook it does not run at all before it is let go, though a CPU
 * is free for it.
 */
static struct btn_detect *d;
static struct btn_cell *cell;
static _Atomic int ran;

static void *blocks_then_runs(void *arg)
{
	CHECK_ANY(!btn_detect_join(d, cell));
	btn_cell_arm(cell, BTN_CELL_ARMED);
	CHECK_ANY(read(fds[0], &byte, 1) == 1);
	ran = 1;
	return NULL;
}

TEST(with_the_hook_not_before_that)
{
	pthread_t thread;
	int i;

	if (!load_pid)
		load_begin(NULL);
	d = session(4);
	if (!strstr(d->how, "hook"))
		SKIP("this kernel has no hook");
	cell = btn_detect_cell(d);
	CHECK(!pipe(fds));
	for (i = 0; i < 3; i++) {
		ran = 0;
		pthread_create(&thread, NULL, blocks_then_runs, NULL);
		CHECK(WITHIN(10, btn_cell_blocked(cell)));
		CHECK(btn_cell_take(cell));
		CHECK_EQ(write(fds[1], "x", 1), 1);
		/* The doorbell rings though nobody asked: somebody has to make the task ready. */
		CHECK(btn_detect_wait(d));
		CHECK(btn_cell_parked(cell));
		pause_us(50000);
		CHECK_EQ(ran, 0);
		/* A wake that comes late, of a time when it was let go before: it stays. */
		btn_cell_wake_parked(cell);
		pause_us(50000);
		CHECK_EQ(ran, 0);
		CHECK(btn_cell_parked(cell));
		if (i) {
			uint32_t list = 0, second = 0;

			/* In the list of one thread, that is late, it is not in another's. */
			btn_detect_release(d, cell, 0, -1, &list);
			CHECK(list);
			CHECK(!btn_cell_release(cell));
			btn_detect_release(d, cell, 0, -1, &second);
			CHECK(!second);
			btn_detect_wake_parked(d, &list);
			CHECK(!list);
		} else {
			btn_cell_let_go(cell);
		}
		pthread_join(thread, NULL);
		CHECK_EQ(ran, 1);
	}
	close(fds[0]);
	close(fds[1]);
	btn_detect_close(d);
}

/*
 * A worker that is to be stopped is not parked by the kernel, too: it would have two waits to
 * end, and a permit ends only the one. The task has the signal blocked, so that it is still in
 * its call, which sleeps many times, when its worker was given the next slot.
 */
#define MUCH (16 << 20)
static char much[MUCH];
static _Atomic int written;

static void writes_much(void *arg)
{
	sigset_t all, old;

	sigfillset(&all);
	CHECK_ANY(!pthread_sigmask(SIG_BLOCK, &all, &old));
	reading = 1;
	CHECK_ANY(write(fds[1], much, MUCH) == MUCH);
	CHECK_ANY(!pthread_sigmask(SIG_SETMASK, &old, NULL));
	written = 1;
}

TEST(who_is_stopped_is_not_parked_as_well)
{
	static char some[1 << 16];
	struct baton_request *r, *r2;
	ssize_t n, sum = 0;
	_Atomic int ends = 0;

	begin(1);
	reading = written = 0;
	r = submit(writes_much, NULL);
	CHECK(WITHIN(10, reading && stats().blocks > 0));
	/* The slot of the task is taken, and the task uses CPU without one. */
	r2 = submit(count, &ends);
	while (sum < MUCH) {
		n = read(fds[0], some, sizeof(some));
		CHECK(n > 0);
		sum += n;
		pause_us(300);
	}
	CHECK_MSG(WITHIN(30, written), "the worker sleeps, and has its permit");
	wait_for(r);
	wait_for(r2);
	CHECK_EQ(ends, 1);
	end();
}

/* Nothing breaks when `baton load` dies, comes back, or never was. */
TEST(a_loader_that_dies)
{
	struct baton_request *r;
	_Atomic int n = 0;

	begin(1);
	load_kill();
	pause_us(20000);
	reading = 0;
	r = submit(reader, NULL);
	CHECK(WITHIN(10, reading && stats().blocks >= 1));
	load_again();
	CHECK(load_said("took over"));
	wait_for(submit(count, &n));
	CHECK_EQ(stats().taken, 1);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	wait_for(r);
	end();
}

TEST(programs_that_go_away)
{
	struct baton_detect_stats st;
	struct baton_request *r;
	_Atomic int n = 0;

	begin(1);
	reading = 0;
	r = submit(reader, NULL);
	CHECK(WITHIN(10, reading && stats().blocks >= 1));
	CHECK_EQ(baton("unload", NULL), 0);
	waitpid(load_pid, NULL, 0);
	CHECK(WITHIN(10, baton_detect_stats(s, &st, sizeof(st))));
	/* As without it: the monitor sees it. */
	wait_for(submit(count, &n));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	wait_for(r);
	wait_for(submit(count, &n));
	CHECK_EQ(n, 2);
	end();
	load_again();
}

TEST(switched_off)
{
	struct baton_detect_stats st;

	setenv("BATON_DETECT", "off", 1);
	begin(1);
	CHECK(baton_detect_stats(s, &st, sizeof(st)));
	CHECK_STR(st.how, "BATON_DETECT=off");
	end();
	unsetenv("BATON_DETECT");
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
