// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tasks that are known not to come by themselves (lib/src/sched/stop.c, slice.c): which thread stops
 * them, when they are not known any more, and who pays for what they use until the signal comes. The points in the library say who
 * does what, so nothing here depends on how long it takes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <baton/sched.h>

#include "inject.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL
#define SECOND 1000000000ULL
/* All that a test waits for happens at once, but for a busy machine. */
#define LIMIT (60 * SECOND)

static struct baton_sched *s;
static struct baton_tenant *bad, *paying;
static atomic_bool stop, checks, release;
static atomic_ulong turns, sent, sent_by_me;
static atomic_bool hold, hold_monitor, held;
/* The end of its slice stopped the spinner, by its own timer: no signal is due. */
static atomic_bool by_itself;
static atomic_ulong over, over_while_held;
static pthread_t me;
static clockid_t spinner_clock;

static uint64_t spinner_cpu(void)
{
	struct timespec ts;

	clock_gettime(spinner_clock, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

/* Each thread that is about to send signals. The test's may be held up until another one does, too. */
static int note_sender(const char *point)
{
	uint64_t limit = baton_clock_now() + SECOND;
	unsigned long before;

	if (!strcmp(point, "sched:slice:pushed")) {
		over++;
		over_while_held += held;
		return 0;
	}
	if (!strcmp(point, "sched:monitor:unlocked")) {
		while (hold_monitor) {
			held = true;
			usleep(100);
		}
		held = false;
		return 0;
	}
	if (strcmp(point, "sched:stop:send"))
		return 0;
	before = ++sent;
	if (!pthread_equal(pthread_self(), me))
		return 0;
	sent_by_me++;
	while (hold && sent == before && baton_clock_now() < limit)
		usleep(100);
	by_itself = hold && sent == before;
	hold = false;
	return 0;
}

static void open_sched(void)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1, .capacity = SECOND };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };

	me = pthread_self();
	stop = checks = release = false;
	turns = sent = sent_by_me = over = over_while_held = 0;
	hold = hold_monitor = false;
	atomic_store(&btn_inject_hook, note_sender);
	CHECK_EQ(baton_sched_create(&s, &so), 0);
	CHECK_EQ(baton_tenant_add(s, &bad, &to), 0);
	to.low_ppm = 300000;
	to.high_ppm = 0;
	CHECK_EQ(baton_tenant_add(s, &paying, &to), 0);
}

static void close_sched(void)
{
	stop = true;
	end_sched(s);
	atomic_store(&btn_inject_hook, NULL);
}

static void spins(void *arg)
{
	pthread_getcpuclockid(pthread_self(), &spinner_clock);
	while (!stop) {
		turns++;
		if (checks)
			baton_checkpoint();
	}
}

static void submit_spinner(void)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = spins };

	CHECK_EQ(baton_submit(bad, &o, NULL), 0);
}

static void nothing(void *arg)
{
}

/* Waits until the spinner runs, and submits a better task. */
static struct baton_request *interrupt_spinner(baton_task_fn *fn)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_CRITICAL, .fn = fn };
	unsigned long seen = turns;
	struct baton_request *r;

	while (turns - seen < 1000)
		usleep(100);
	CHECK_EQ(baton_submit(paying, &o, &r), 0);
	return r;
}

static void get_answer(void)
{
	struct baton_request *r = interrupt_spinner(nothing);

	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
}

/* Until a signal was sent by this thread. */
static void make_known(void)
{
	uint64_t limit = baton_clock_now() + LIMIT;

	while (!sent_by_me && baton_clock_now() < limit)
		get_answer();
	CHECK_CMP(sent_by_me, >, 0);
}

TEST(stopped_by_the_submitter)
{
	open_sched();
	submit_spinner();
	make_known();
	close_sched();
}

TEST(known_no_more)
{
	unsigned long before;
	int i;

	open_sched();
	submit_spinner();
	make_known();
	checks = true;
	/* The first of these may still find a slice without a checkpoint. */
	for (i = 0; i < 5; i++)
		get_answer();
	before = sent_by_me;
	for (i = 0; i < 20; i++)
		get_answer();
	CHECK_EQ(sent_by_me, before);
	close_sched();
}

static uint64_t charged(void)
{
	struct baton_tenant_stats st;

	baton_tenant_stats(bad, &st, sizeof(st));
	return st.cpu[BATON_TIER_LOW] + st.cpu[BATON_TIER_HIGH];
}

static void keeps_the_slot(void *arg)
{
	while (!release)
		baton_checkpoint();
}

/* The thread that stopped the spinner does not come to send the signal: the monitor does. The tenant pays. */
TEST(late_signal)
{
	struct baton_request *r = NULL;
	unsigned long before;
	uint64_t limit;
	int tries = 0;

	open_sched();
	submit_spinner();
	make_known();
	/* Now and then the monitor stops the spinner itself: then once more. */
	for (;;) {
		by_itself = false;
		hold = true;
		before = sent_by_me;
		r = interrupt_spinner(keeps_the_slot);
		if (sent_by_me > before && !by_itself)
			break;
		CHECK_CMP(++tries, <, 30);
		release = true;
		CHECK_EQ(baton_request_wait(r), 0);
		baton_request_put(r);
		release = false;
	}
	for (limit = baton_clock_now() + LIMIT; charged() + MS < spinner_cpu() && baton_clock_now() < limit;)
		usleep(100);
	CHECK_CMP(charged() + MS, >=, spinner_cpu());
	release = true;
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
	close_sched();
}

/* The monitor does not come, and the spinner parks at the end of its slice. */
TEST(slice_ends_without_the_monitor)
{
	uint64_t limit, until;

	open_sched();
	submit_spinner();
	make_known();
	/* Where the monitor was about to let the spinner go on, the spinner waits for it: then once more. */
	for (limit = baton_clock_now() + LIMIT; !over_while_held && baton_clock_now() < limit;) {
		hold_monitor = true;
		for (until = baton_clock_now() + 50 * MS; !over_while_held && baton_clock_now() < until;)
			usleep(100);
		hold_monitor = false;
		get_answer();
	}
	CHECK_CMP(over_while_held, >, 0);
	close_sched();
}

static int no_timers(const char *point)
{
	return !strcmp(point, "sched:slice:timer") ? 1 : note_sender(point);
}

/* The kernel has no timer to give: the monitor ends the slices. */
TEST(no_timer)
{
	unsigned long before;
	int i;

	open_sched();
	atomic_store(&btn_inject_hook, no_timers);
	submit_spinner();
	make_known();
	before = turns;
	for (i = 0; i < 20; i++)
		get_answer();
	CHECK_EQ(over, 0);
	CHECK_CMP(turns, >, before);
	close_sched();
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
