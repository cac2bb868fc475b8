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
	int i, n = 0, bells = 0, seen = 0;
	pthread_t thread;
	uint64_t end;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP("needs two CPUs");
	pin(0);
	about_to = 0;
	load_begin("--test-delay", "5000000", "--test-broken", broken, NULL);
	d = session(4);
	cell = btn_detect_cell(d);
	p.fd = d->bell;
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
			bells++;
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
	printf("# told by the bell %d, saw it %d, told nothing %d\n", bells, seen, n);
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

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
