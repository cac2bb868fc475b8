// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Channels hand an item to the task that waits for it; and baton_wait_any(): exactly one case
 * happens, nothing is lost, and each case that can always happen has its turn. ANY_SEED=N replays
 * `storm`.
 */
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include <baton/sched.h>
#include <baton/sync.h>
#include <baton/wait.h>

#include "delays.h"
#include "inject.h"
#include "sched_ask.h"
#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL

static struct baton_sched *s;
static struct baton_tenant *tenant;
static struct baton_chan *a, *b;
static struct baton_sem *sem;

#ifdef BTN_INJECT
/* In the windows between two holds of the lock, now and then, for a while. */
static int delays(const char *point)
{
	if (strcmp(point, "sched:wait:woken") && strcmp(point, "sched:hand_over:unlocked") && strncmp(point, "any:", 4))
		return 0;
	delay_sometimes(16, 100000);
	return 0;
}
#endif

static void open_all(unsigned slots, unsigned capacity)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots };
	struct baton_tenant_opts t = { .sz = sizeof(t), .high_ppm = 1000000 };

#ifdef BTN_INJECT
	atomic_store(&btn_inject_hook, delays);
#endif
	CHECK_EQ(baton_sched_create(&s, &o), 0);
	CHECK_EQ(baton_tenant_add(s, &tenant, &t), 0);
	CHECK_EQ(baton_chan_create(&a, s, capacity), 0);
	CHECK_EQ(baton_chan_create(&b, s, capacity), 0);
	CHECK_EQ(baton_sem_create(&sem, s, 0), 0);
}

static void close_all(void)
{
	end_sched(s);
	baton_chan_destroy(a);
	baton_chan_destroy(b);
	baton_sem_destroy(sem);
}

/* ---------------------------------------------------------- channels */

static void receives(void *got)
{
	CHECK_ANY(baton_chan_recv(a, got) == 0);
}

static void sends(void *item)
{
	CHECK_ANY(baton_chan_send(a, item) == 0);
}

/* In the only slot: the task that is woken has no slot before this one waits. */
static void comes_between(void *arg)
{
	struct baton_task *t;
	void *item, *got = NULL;

	CHECK_ANY(baton_task_spawn(&t, receives, &got) == 0);
	baton_sleep_until(baton_clock_now() + MS);
	CHECK_ANY(baton_chan_send(a, &t) == 0);
	CHECK_ANY(baton_chan_recv_until(a, &item, 0) == -ETIMEDOUT);
	CHECK_ANY(baton_task_join(t) == 0);
	CHECK_ANY(got == &t);

	CHECK_ANY(baton_chan_send(a, &item) == 0);
	CHECK_ANY(baton_task_spawn(&t, sends, &got) == 0);
	baton_sleep_until(baton_clock_now() + MS);
	CHECK_ANY(baton_chan_recv(a, &item) == 0);
	CHECK_ANY(item == &item);
	CHECK_ANY(baton_chan_send_until(a, NULL, 0) == -ETIMEDOUT);
	CHECK_ANY(baton_task_join(t) == 0);
	CHECK_ANY(baton_chan_recv(a, &item) == 0);
	CHECK_ANY(item == &got);
}

/* An item that is sent to a task that waits is that task's, and so is the place that it waits for. */
TEST(handed_over)
{
	open_all(1, 1);
	end_request(ask_batch(tenant, comes_between, NULL), 0);
	close_all();
}

static void receives_nothing(void *arg)
{
	void *item = &item;

	CHECK_ANY(baton_chan_recv(a, &item) == -EPIPE);
	CHECK_ANY(item == &item);
}

static void sends_nothing(void *item)
{
	CHECK_ANY(baton_chan_send(b, item) == -EPIPE);
}

static void closes(void *arg)
{
	struct baton_task *t[4];
	void *item;
	int i;

	CHECK_ANY(baton_chan_send(b, &t) == 0);
	for (i = 0; i < 4; i++)
		CHECK_ANY(baton_task_spawn(&t[i], i % 2 ? receives_nothing : sends_nothing, NULL) == 0);
	baton_sleep_until(baton_clock_now() + MS);
	baton_chan_close(a);
	baton_chan_close(b);
	for (i = 0; i < 4; i++)
		CHECK_ANY(baton_task_join(t[i]) == 0);
	CHECK_ANY(baton_chan_recv(b, &item) == 0);
	CHECK_ANY(item == &t);
	CHECK_ANY(baton_chan_recv(b, &item) == -EPIPE);
	CHECK_ANY(baton_chan_send(b, item) == -EPIPE);
}

/* Tasks that wait when a channel is closed are told so; items that were in it can be had. */
TEST(closed)
{
	open_all(2, 1);
	end_request(ask_batch(tenant, closes, NULL), 0);
	close_all();
}

/* ---------------------------------------------------------- one of several */

static struct baton_case recv_case(struct baton_chan *c)
{
	return (struct baton_case){ .kind = BATON_CASE_RECV, .chan = c };
}

static struct baton_case send_case(struct baton_chan *c, void *item)
{
	return (struct baton_case){ .kind = BATON_CASE_SEND, .chan = c, .item = item };
}

static struct baton_case sem_case(void)
{
	return (struct baton_case){ .kind = BATON_CASE_SEM, .sem = sem };
}

static void at_once(void *arg)
{
	struct baton_case c[4] = { recv_case(a), send_case(b, &b), sem_case(), recv_case(a) };
	void *item;

	/* The channel b has a place, and nothing else is there. */
	CHECK_ANY(baton_wait_any(c, 4, BATON_FOREVER, 0) == 1);
	CHECK_ANY(!c[1].result);
	CHECK_ANY(baton_wait_any(c, 4, 0, 0) == -ETIMEDOUT);
	baton_sem_post(sem);
	CHECK_ANY(baton_wait_any(c, 4, 0, 0) == 2);
	CHECK_ANY(baton_wait_any(c, 4, baton_clock_now() + MS, 0) == -ETIMEDOUT);
	CHECK_ANY(baton_wait_any(NULL, 0, baton_clock_now() + MS, 0) == -ETIMEDOUT);
	CHECK_ANY(baton_chan_recv(b, &item) == 0);
	CHECK_ANY(item == &b);
	/* A closed channel is a case that happens, too. */
	baton_chan_close(b);
	CHECK_ANY(baton_wait_any(c, 4, 0, 0) == 1);
	CHECK_ANY(c[1].result == -EPIPE);
	c[1] = recv_case(b);
	CHECK_ANY(baton_wait_any(c, 4, 0, 0) == 1);
	CHECK_ANY(c[1].result == -EPIPE && !c[1].item);
	/* A case of no kind never happens. */
	c[1].kind = BATON_CASE_NONE;
	CHECK_ANY(baton_wait_any(c, 4, 0, 0) == -ETIMEDOUT);
	/* Wrong calls. */
	CHECK_ANY(baton_wait_any(c, 4, 0, 2) == -EINVAL);
	CHECK_ANY(baton_wait_any(c, BATON_CASES_MAX + 1, 0, 0) == -EINVAL);
	c[1].kind = BATON_CASE_WRITABLE + 1;
	CHECK_ANY(baton_wait_any(c, 4, 0, 0) == -EINVAL);
	c[1] = (struct baton_case){ .kind = BATON_CASE_TASK };
	CHECK_ANY(baton_wait_any(c, 4, 0, 0) == -EINVAL);
}

TEST(without_waiting)
{
	struct baton_case c;

	open_all(1, 1);
	end_request(ask_batch(tenant, at_once, NULL), 0);
	c = sem_case();
	CHECK_EQ(baton_wait_any(&c, 1, 0, 0), -EPERM);
	close_all();
}

static _Atomic bool go;

static void does(void *kind)
{
	struct baton_chan *full = b;
	void *item;

	baton_sleep_until(baton_clock_now() + MS);
	switch ((uintptr_t)kind) {
	case 0:
		CHECK_ANY(baton_chan_send(a, &go) == 0);
		break;
	case 1:
		CHECK_ANY(baton_chan_recv(full, &item) == 0);
		break;
	case 2:
		baton_sem_post(sem);
		break;
	case 4:
		atomic_store(&go, true);
		break;
	case 5:
		baton_chan_close(a);
		break;
	}
}

static void until_go(void *arg)
{
	while (!atomic_load(&go))
		baton_sleep_until(baton_clock_now() + MS / 4);
}

/* All kinds, each of which ends the wait in turn; then nothing is left of the others. */
static void each_ends_it(void *request)
{
	struct baton_case c[5];
	struct baton_task *t;
	uintptr_t kind;
	void *item;
	int i;

	CHECK_ANY(baton_chan_send(b, &item) == 0);
	for (kind = 0; kind < 5; kind++) {
		CHECK_ANY(baton_task_spawn(&t, does, (void *)kind) == 0);
		c[0] = recv_case(a);
		c[1] = send_case(b, &c);
		c[2] = sem_case();
		c[3] = (struct baton_case){ .kind = kind == 3 ? BATON_CASE_TASK : BATON_CASE_NONE, .task = t };
		c[4] = (struct baton_case){ .kind = BATON_CASE_REQUEST, .request = request };
		i = baton_wait_any(c, 5, BATON_FOREVER, 0);
		CHECK_ANY(i == (int)kind);
		CHECK_ANY(!c[i].result);
		if (kind != 3)
			CHECK_ANY(baton_task_join(t) == 0);
		if (!kind)
			CHECK_ANY(c[0].item == &go);
		CHECK_ANY(baton_sem_wait_until(sem, 0) == -ETIMEDOUT);
		CHECK_ANY(baton_chan_recv_until(a, &item, 0) == -ETIMEDOUT);
	}
	/* The channel b has the item that the second case sent, and that alone. */
	CHECK_ANY(baton_chan_recv(b, &item) == 0);
	CHECK_ANY(item == &c);
	CHECK_ANY(baton_chan_recv_until(b, &item, 0) == -ETIMEDOUT);
	/* A channel that is closed. */
	CHECK_ANY(baton_task_spawn(&t, does, (void *)5) == 0);
	c[0] = recv_case(a);
	CHECK_ANY(baton_wait_any(c, 1, BATON_FOREVER, 0) == 0);
	CHECK_ANY(c[0].result == -EPIPE);
	CHECK_ANY(baton_task_join(t) == 0);
}

TEST(each_kind)
{
	struct baton_request *other;

	open_all(2, 1);
	atomic_store(&go, false);
	other = ask_batch(tenant, until_go, NULL);
	end_request(ask_batch(tenant, each_ends_it, other), 0);
	end_request(other, 0);
	close_all();
}

static void is_cancelled(void *arg)
{
	struct baton_case c[2] = { recv_case(a), sem_case() };

	atomic_store(&go, true);
	CHECK_ANY(baton_wait_any(c, 2, BATON_FOREVER, 0) == -ECANCELED);
	/* A thing that can be had is had, and no wait begins. */
	baton_sem_post(sem);
	CHECK_ANY(baton_wait_any(c, 2, BATON_FOREVER, 0) == 1);
	CHECK_ANY(baton_wait_any(c, 2, BATON_FOREVER, 0) == -ECANCELED);
}

TEST(cancelled)
{
	struct baton_request *r;

	open_all(1, 1);
	atomic_store(&go, false);
	r = ask_batch(tenant, is_cancelled, NULL);
	while (!atomic_load(&go))
		sched_yield();
	baton_request_cancel(r);
	end_request(r, -ECANCELED);
	close_all();
}

/* ---------------------------------------------------------- turns */

/* Calls of n cases that can all happen: none waits for its turn for 2 n calls, and each has its part. */
static void takes_turns(unsigned n, unsigned places)
{
	struct baton_case c[BATON_CASES_MAX];
	unsigned last[2][BATON_CASES_MAX] = { 0 }, times[2][BATON_CASES_MAX] = { 0 };
	unsigned i, k, p, calls = 400 * n;

	for (k = 0; k < n; k++)
		c[k] = sem_case();
	for (i = 1; i <= calls; i++)
		for (p = 0; p < places; p++) {
			baton_sem_post(sem);
			k = baton_wait_any(c, n, 0, 0);
			CHECK_ANY(k < n);
			/* In two places in turn the others' calls come between: twice as many. */
			CHECK_ANY(i - last[p][k] <= (places == 1 ? 2 : 4) * n);
			last[p][k] = i;
			times[p][k]++;
		}
	for (p = 0; p < places; p++)
		for (k = 0; k < n; k++) {
			CHECK_ANY(calls - last[p][k] <= (places == 1 ? 2 : 4) * n);
			CHECK_ANY(times[p][k] >= 396 && times[p][k] <= 404);
		}
}

static void all_take_turns(void *arg)
{
	static const unsigned sizes[] = { 1, 2, 3, 4, 7, 13, 64 };
	struct baton_case c[2] = { sem_case(), send_case(a, NULL) };
	unsigned i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		takes_turns(sizes[i], 1);
		takes_turns(sizes[i], 2);
	}
	for (i = 0; i < 20; i++) {
		baton_sem_post(sem);
		CHECK_ANY(baton_wait_any(c, 2, 0, BATON_IN_ORDER) == 0);
	}
	CHECK_ANY(baton_wait_any(c, 2, 0, BATON_IN_ORDER) == 1);
}

TEST(turns)
{
	open_all(1, 1);
	end_request(ask_batch(tenant, all_take_turns, NULL), 0);
	close_all();
}

/* ---------------------------------------------------------- everything at once */

#ifdef BTN_TSAN
#define TASKS 24
#define ROUNDS 60
#else
#define TASKS 60
#define ROUNDS 300
#endif

static _Atomic long sent, received, posted, taken;
static uint64_t seed;

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Any cases, in any order, of which one happens, or none by the deadline or a cancel. */
static void waits_for_anything(uint64_t *x)
{
	struct baton_case c[6];
	unsigned k, n = next(x) % 6 + 1;
	uint64_t deadline = baton_clock_now() + next(x) % (MS / 2);
	int i;

	for (k = 0; k < n; k++)
		switch (next(x) % 5) {
		case 0:
			c[k] = recv_case(a);
			break;
		case 1:
			c[k] = recv_case(b);
			break;
		case 2:
			c[k] = sem_case();
			break;
		default:
			c[k] = send_case(next(x) % 2 ? a : b, (void *)(uintptr_t)(next(x) % 1000 + 1));
		}
	i = baton_wait_any(c, n, deadline, next(x) % 2 ? BATON_IN_ORDER : 0);
	CHECK_ANY(i >= 0 ? i < (int)n && !c[i].result : i == -ETIMEDOUT || i == -ECANCELED);
	if (i < 0)
		return;
	if (c[i].kind == BATON_CASE_SEND)
		atomic_fetch_add(&sent, (long)c[i].item);
	else if (c[i].kind == BATON_CASE_RECV)
		atomic_fetch_add(&received, (long)c[i].item);
	else
		atomic_fetch_add(&taken, 1);
}

static void anything(void *arg)
{
	uint64_t x = seed * 2654435761u + (uintptr_t)arg * 40503 + 1;
	uintptr_t value;
	void *item;
	int i;

	for (i = 0; i < ROUNDS; i++)
		switch (next(&x) % 6) {
		case 0:
			baton_sem_post(sem);
			atomic_fetch_add(&posted, 1);
			break;
		case 1:
			if (!baton_chan_recv_until(next(&x) % 2 ? a : b, &item, baton_clock_now() + next(&x) % (MS / 4)))
				atomic_fetch_add(&received, (long)item);
			break;
		case 2:
			value = next(&x) % 1000 + 1;
			if (!baton_chan_send_until(next(&x) % 2 ? a : b, (void *)value, baton_clock_now() + next(&x) % (MS / 4)))
				atomic_fetch_add(&sent, value);
			break;
		default:
			waits_for_anything(&x);
		}
}

static void empties(void *arg)
{
	void *item;

	while (!baton_sem_wait_until(sem, 0))
		taken++;
	while (!baton_chan_recv_until(a, &item, 0) || !baton_chan_recv_until(b, &item, 0))
		received += (long)item;
}

/* Each item that was sent was received once, and each unit that was posted taken, whatever became of the waits. */
TEST(storm)
{
	const char *given = getenv("ANY_SEED");
	struct timespec pause = { 0, 200000 };
	struct baton_request *r[TASKS];
	int i, result;

	seed = given ? strtoull(given, NULL, 0) : baton_clock_now();
	printf("# ANY_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	open_all(2, 2);
	sent = received = posted = taken = 0;
	for (i = 0; i < TASKS; i++)
		r[i] = ask_batch(tenant, anything, (void *)(uintptr_t)i);
	for (i = 0; i < TASKS; i += 3) {
		nanosleep(&pause, NULL);
		baton_request_cancel(r[i]);
	}
	for (i = 0; i < TASKS; i++) {
		result = baton_request_wait(r[i]);
		CHECK(!result || (i % 3 == 0 && result == -ECANCELED));
		baton_request_put(r[i]);
	}
	end_request(ask_batch(tenant, empties, NULL), 0);
	CHECK_EQ(received, sent);
	CHECK_EQ(taken, posted);
	close_all();
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
