// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * No lost wakeup: a worker blocks while the scheduler is about to ask. The
 * programs wait between the one thing and the other, so that the scheduler can
 * come in between each time; in the wrong order (as a test of this test) it is
 * lost, in the right one never.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "common.h"
#include "tap.h"

#define ROUNDS 20
static struct btn_detect *d;
static struct btn_cell *cell;
static int fds[2];
static _Atomic int about_to;

/* On a CPU of its own each: the programs wait with interrupts off. */
static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK_ANY(!sched_setaffinity(0, sizeof(set), &set));
}

static void *worker_main(void *arg)
{
	char byte;
	int i;

	pin(1);
	CHECK_ANY(!btn_detect_join(d, cell));
	for (i = 0; i < ROUNDS; i++) {
		btn_cell_arm(cell, BTN_CELL_ARMED);
		about_to = 1;
		CHECK_ANY(read(fds[0], &byte, 1) == 1);
		btn_cell_arm(cell, BTN_CELL_NOT);
		CHECK_ANY(read(fds[0], &byte, 1) == 1);
	}
	return NULL;
}

/* How often the scheduler was told nothing. */
static int lost(const char *broken)
{
	struct pollfd p = { .events = POLLIN };
	int i, n = 0, doorbells = 0, seen = 0;
	pthread_t thread;
	uint64_t end;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP("needs two CPUs");
	pin(0);
	about_to = 0;
	load_begin("--test-delay", "5000000", "--test-broken", broken, NULL);
	d = session(4);
	cell = btn_detect_cell(d);
	p.fd = d->doorbell;
	CHECK(!pipe(fds));
	pthread_create(&thread, NULL, worker_main, NULL);
	for (i = 0; i < ROUNDS; i++) {
		btn_detect_want_no_more(d);
		while (!about_to)
			pause_us(10);
		about_to = 0;
		/* From before it blocks to after. */
		for (end = now_ns() + i * 200000; now_ns() < end; )
			;
		btn_detect_want(d);
		if (btn_cell_blocked(cell)) {
			seen++;
		} else if (poll(&p, 1, 500) == 1) {
			doorbells++;
		} else {
			n++;
		}
		while (poll(&p, 1, 0) == 1)
			btn_detect_wait(d);
		CHECK_EQ(write(fds[1], "ab", 2), 2);
	}
	pthread_join(thread, NULL);
	close(fds[0]);
	close(fds[1]);
	btn_detect_close(d);
	load_end();
	printf("# told by the doorbell %d, saw it %d, told nothing %d\n", doorbells, seen, n);
	return n;
}

TEST(none_is_lost)
{
	CHECK_EQ(lost("0"), 0);
}

TEST(in_the_wrong_order_they_are)
{
	CHECK(lost("1") > 0);
}

/*
 * The CPU goes on with one who has no slot: that one owes it, and no doorbell rings. Unless it
 * sleeps and has not looked. Real-time, so that it is certain who runs next.
 */
static struct btn_cell *other;
static _Atomic int ready, owed;
static bool looks;
static int to_other[2];

static void real_time(int priority)
{
	struct sched_param p = { .sched_priority = priority };

	pin(0);
	CHECK_ANY(!sched_setscheduler(0, SCHED_FIFO, &p));
}

static void *other_main(void *arg)
{
	char byte;

	real_time(1);
	CHECK_ANY(!btn_detect_join(d, other));
	btn_cell_slotless(other, true);
	ready = 1;
	CHECK_ANY(read(to_other[0], &byte, 1) == 1);
	btn_cell_slotless(other, false);
	owed = btn_cell_owes(other);
	if (looks)
		btn_cell_pays(other);
	CHECK_ANY(read(to_other[0], &byte, 1) == 1);
	return NULL;
}

static void *blocks_main(void *arg)
{
	char byte;

	real_time(2);
	CHECK_ANY(!btn_detect_join(d, cell));
	btn_cell_arm(cell, BTN_CELL_ARMED);
	/* The other one is ready, and does not run before this one sleeps. */
	CHECK_ANY(write(to_other[1], "a", 1) == 1);
	CHECK_ANY(read(fds[0], &byte, 1) == 1);
	btn_cell_arm(cell, BTN_CELL_NOT);
	return NULL;
}

/* True: the doorbell rang. */
static bool goes_on_with_it(bool pays)
{
	struct sched_param p = { .sched_priority = 1 };
	struct pollfd doorbell = { .events = POLLIN };
	bool rang = false;
	pthread_t a, b;
	int i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP("needs two CPUs");
	if (sched_setscheduler(0, SCHED_FIFO, &p))
		SKIP("may not be real-time");
	p.sched_priority = 0;
	CHECK(!sched_setscheduler(0, SCHED_OTHER, &p));
	pin(1);
	load_begin(NULL);
	looks = pays;
	/* The CPU may have gone on with a thread of the kernel's own: once more. */
	for (i = owed = 0; i < 50 && !owed; i++) {
		d = session(4);
		if (d->notifies)
			SKIP("with the hook whoever blocks wakes another");
		doorbell.fd = d->doorbell;
		cell = btn_detect_cell(d);
		other = btn_detect_cell(d);
		CHECK(!pipe(fds) && !pipe(to_other));
		btn_detect_want(d);
		ready = 0;
		pthread_create(&a, NULL, other_main, NULL);
		while (!ready)
			pause_us(100);
		pthread_create(&b, NULL, blocks_main, NULL);
		/* The task has run by then, and is about to sleep. */
		CHECK(WITHIN(20, btn_cell_blocked(cell) && !other->slotless));
		CHECK_EQ(write(fds[1], "a", 1), 1);
		pthread_join(b, NULL);
		if (owed && !pays)
			CHECK(WITHIN(20, poll(&doorbell, 1, 0) == 1));
		CHECK_EQ(write(to_other[1], "b", 1), 1);
		pthread_join(a, NULL);
		rang = poll(&doorbell, 1, 0) == 1;
		close(fds[0]);
		close(fds[1]);
		close(to_other[0]);
		close(to_other[1]);
		btn_detect_close(d);
	}
	load_end();
	CHECK(owed);
	return rang;
}

TEST(who_has_no_slot_and_runs_next_looks_instead) { CHECK(!goes_on_with_it(true)); }
TEST(and_the_bell_rings_if_it_sleeps_before) { CHECK(goes_on_with_it(false)); }

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
