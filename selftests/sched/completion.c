// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ends of requests that nobody waits for: each comes out of its queue once, whatever
 * ended the request, and the queue's file descriptor is readable while one is there.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include <baton/completion.h>
#include <baton/sched.h>

#include "delays.h"
#include "inject.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

#ifdef BTN_TSAN
#define STORM 3000
#else
#define STORM 20000
#endif

static struct baton_sched *s;
static struct baton_tenant *tenant;
static struct baton_completions *q;
static _Atomic bool stop, holding;
static _Atomic long ran;

#ifdef BTN_INJECT
/* Between the list and the file descriptor, now and then, for a while. */
static int delays(const char *point)
{
	if (strncmp(point, "completion:", 11) || !strcmp(point, "completion:create"))
		return 0;
	delay_sometimes(8, 50000);
	return 0;
}
#endif

static void open_all(unsigned slots)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots };
	struct baton_tenant_opts t = { .sz = sizeof(t), .low_ppm = 10000, .high_ppm = 1000000 };

#ifdef BTN_INJECT
	atomic_store(&btn_inject_hook, delays);
#endif
	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
	CHECK_EQ(baton_completions_create(&q), 0);
	stop = holding = false;
	ran = 0;
}

static void close_all(void)
{
	CHECK_EQ(baton_completions_destroy(q), 0);
	end_sched(s);
}

static struct baton_request *ask(enum baton_class cls, uint64_t deadline, baton_task_fn *fn)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = cls, .deadline = deadline, .fn = fn };
	struct baton_request *r;

	CHECK_EQ(baton_submit(tenant, &o, &r), 0);
	return r;
}

static void nothing(void *arg)
{
	atomic_fetch_add(&ran, 1);
}

static void spins(void *arg)
{
	holding = true;
	while (!stop)
		baton_checkpoint();
}

static void until_told(void *arg)
{
	holding = true;
	while (!baton_checkpoint())
		;
}

static bool readable(int ms)
{
	struct pollfd p = { .fd = baton_completions_fd(q), .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents == POLLIN;
}

/* The only end that is to come: of this request, with this result. */
static void comes(struct baton_request *r, void *arg, int result)
{
	struct baton_completion end[2];
	unsigned n;

	do {
		CHECK(readable(20000));
		n = baton_completions_take(q, end, 2);
	} while (!n);
	CHECK_EQ(n, 1);
	CHECK(end[0].request == r);
	CHECK(end[0].arg == arg);
	CHECK_EQ(end[0].result, result);
	CHECK_EQ(baton_request_wait(r), result);
	baton_request_put(r);
	CHECK_EQ(baton_completions_take(q, end, 2), 0);
	CHECK(!readable(0));
}

TEST(each_end)
{
	struct baton_request *r, *hog;

	open_all(1);
	CHECK(!readable(0));
	/* Before its end, and after. */
	r = ask(BATON_BATCH, 0, nothing);
	CHECK_EQ(baton_request_notify(r, q, &r), 0);
	comes(r, &r, 0);
	r = ask(BATON_BATCH, 0, nothing);
	CHECK_EQ(baton_request_wait(r), 0);
	CHECK_EQ(baton_request_notify(r, q, NULL), 0);
	CHECK_EQ(baton_request_notify(r, q, NULL), -EALREADY);
	CHECK_EQ(baton_completions_destroy(q), -EBUSY);
	comes(r, NULL, 0);
	/* Cancelled while it runs, and before it could start. */
	hog = ask(BATON_BATCH, 0, until_told);
	CHECK_EQ(baton_request_notify(hog, q, &hog), 0);
	while (!holding)
		sched_yield();
	r = ask(BATON_BATCH, 0, nothing);
	CHECK_EQ(baton_request_notify(r, q, &r), 0);
	CHECK_EQ(baton_completions_destroy(q), -EBUSY);
	baton_request_cancel(r);
	comes(r, &r, -ECANCELED);
	baton_request_cancel(hog);
	comes(hog, &hog, -ECANCELED);
	/* Dropped. */
	holding = false;
	hog = ask(BATON_BATCH, 0, spins);
	while (!holding)
		sched_yield();
	r = ask(BATON_BATCH, baton_clock_now() + 20 * MS, nothing);
	CHECK_EQ(baton_request_notify(r, q, &r), 0);
	comes(r, &r, -ETIME);
	stop = true;
	CHECK_EQ(baton_request_wait(hog), 0);
	baton_request_put(hog);
	CHECK_EQ(ran, 2);
	close_all();
}

/* Let in, and rejected when its turn comes. */
TEST(rejected)
{
	struct baton_completion end[64];
	struct baton_request *hog, *r[64];
	unsigned n, k, rejected = 0;
	int i;

	open_all(1);
	hog = ask(BATON_CRITICAL, 0, until_told);
	while (!holding)
		sched_yield();
	for (n = 0; n < 64; n++) {
		struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_CRITICAL, .fn = nothing };

		if (baton_submit(tenant, &o, &r[n]))
			break;
		CHECK_EQ(baton_request_notify(r[n], q, r[n]), 0);
		usleep(500);
	}
	CHECK_CMP(n, >, 0);
	baton_request_cancel(hog);
	CHECK_EQ(baton_request_wait(hog), -ECANCELED);
	baton_request_put(hog);
	for (k = 0; k < n; k += (unsigned)i) {
		CHECK(readable(20000));
		i = (int)baton_completions_take(q, end, 64);
		for (int e = 0; e < i; e++) {
			CHECK(end[e].request == end[e].arg);
			CHECK(!end[e].result || end[e].result == -EDQUOT);
			rejected += end[e].result != 0;
			baton_request_put(end[e].request);
		}
	}
	CHECK_EQ(k, n);
	CHECK_CMP(rejected, >, 0);
	close_all();
}

/* A thread that was a request's task for a while, and kept its slot when it left. */
TEST(attached)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH };
	struct baton_request *r;
	int i;

	open_all(2);
	for (i = 0; i < 20; i++) {
		CHECK_EQ(baton_request_enter(tenant, &o, &r), 0);
		if (i % 2)
			CHECK_EQ(baton_request_notify(r, q, r), 0);
		baton_request_leave();
		if (!(i % 2))
			CHECK_EQ(baton_request_notify(r, q, r), 0);
		comes(r, r, 0);
	}
	close_all();
}

static _Atomic long taken, cancelled, wrong;

/* An event loop; it takes a few at a time. */
static void *takes(void *arg)
{
	struct baton_completion end[3];
	unsigned n, i;

	while (taken < STORM) {
		/* A queue that says nothing for so long has lost an end. */
		if (!readable(1000))
			continue;
		n = baton_completions_take(q, end, 3);
		for (i = 0; i < n; i++) {
			atomic_fetch_add(&cancelled, end[i].result == -ECANCELED);
			atomic_fetch_add(&wrong, end[i].result && end[i].result != -ECANCELED);
			baton_request_put(end[i].request);
		}
		atomic_fetch_add(&taken, n);
	}
	return NULL;
}

static _Atomic long sent;
/* The sender waits now and then, so that the queue is empty often. */
static bool slowly;

static void *sends(void *seed)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = nothing };
	unsigned chance = (unsigned)(uintptr_t)seed;
	struct baton_request *r;

	while (atomic_fetch_add(&sent, 1) < STORM) {
		if (baton_submit(tenant, &o, &r))
			abort();
		/* The end is the taker's as soon as it is in the queue: the request is cancelled before that. */
		if (rand_r(&chance) % 4 == 0)
			baton_request_cancel(r);
		baton_request_notify(r, q, NULL);
		while (slowly && rand_r(&chance) % 4)
			sched_yield();
	}
	return NULL;
}

/* None is lost, and none comes twice, however takers and senders meet. */
static void storm(int takers)
{
	pthread_t taker[2], sender[2];
	uint64_t begin;
	long i, last = -1;

	open_all(2);
	taken = cancelled = wrong = sent = 0;
	slowly = takers == 1;
	for (i = 0; i < takers; i++)
		CHECK_EQ(pthread_create(&taker[i], NULL, takes, NULL), 0);
	for (i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&sender[i], NULL, sends, (void *)(i + 1)), 0);
	for (begin = baton_clock_now(); taken < STORM; usleep(10000)) {
		if (taken != last)
			begin = baton_clock_now();
		last = taken;
		CHECK_MSG(baton_clock_now() - begin < 30000 * MS, "%ld of %d ends, and no more in 30 s", last, STORM);
	}
	for (i = 0; i < takers; i++)
		pthread_join(taker[i], NULL);
	for (i = 0; i < 2; i++)
		pthread_join(sender[i], NULL);
	CHECK_EQ(taken, STORM);
	CHECK_EQ(wrong, 0);
	CHECK_CMP(cancelled, >, 0);
	close_all();
}

TEST(one_takes)
{
	storm(1);
}

TEST(two_take)
{
	storm(2);
}

/* A queue for two schedulers, and a queue that goes as soon as its last end was taken. */
TEST(queues_come_and_go)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1 };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH, .fn = nothing };
	struct baton_completion end[2];
	struct baton_sched *other;
	struct baton_request *r[2];
	struct baton_tenant *t;
	int i, null[500];
	unsigned n, k;

	open_all(1);
	CHECK_EQ(baton_completions_destroy(q), 0);
	CHECK_EQ(baton_sched_create(&other, &so), 0);
	CHECK_EQ(baton_tenant_add(other, &t, &to), 0);
	for (i = 0; i < 500; i++) {
		CHECK_EQ(baton_completions_create(&q), 0);
		CHECK_EQ(baton_submit(tenant, &o, &r[0]), 0);
		CHECK_EQ(baton_submit(t, &o, &r[1]), 0);
		CHECK_EQ(baton_request_notify(r[0], q, NULL), 0);
		CHECK_EQ(baton_request_notify(r[1], q, NULL), 0);
		for (n = 0; n < 2; n += k) {
			k = baton_completions_take(q, end + n, 2 - n);
			if (!k)
				sched_yield();
		}
		CHECK_EQ(baton_completions_destroy(q), 0);
		/* In the place of its file descriptor one that cannot be written. */
		null[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		CHECK(null[i] >= 0);
		baton_request_put(end[0].request);
		baton_request_put(end[1].request);
	}
	for (i = 0; i < 500; i++)
		close(null[i]);
	CHECK_EQ(ran, 1000);
	end_sched(other);
	end_sched(s);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
