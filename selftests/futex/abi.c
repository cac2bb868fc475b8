// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * abi.c - what FUTEX_SWAP answers: errors before any wake, the wake that
 * happens whatever becomes of the wait, the count returned, both clocks, and
 * shared futexes between processes. The 32-bit entry is in compat.c.
 */
#include "common.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

TEST(probe)
{
	uint32_t *w = word(0);

	/* A call that must fail tells present from absent. */
	CHECK_EQ(call_now(w, SWAP_PRIVATE, 0, NULL, w, 0), -EINVAL);
	CHECK_EQ(call_now(w, FUTEX_SWAP, 0, NULL, w, 0), -EINVAL);
	CHECK_EQ(call_now(w, SWAP_PRIVATE | FUTEX_CLOCK_REALTIME, 0, NULL, w, 0), -EINVAL);
}

/* Each of these is an error that can be seen first: nobody may be woken. */
static struct bad {
	const char *what;
	long err;
	bool shared, differs;	/* differs: *uaddr != val besides */
	size_t at1, at2;	/* offsets added to the addresses */
	int bad1, bad2;		/* in place of uaddr, uaddr2: see bad_address() */
	uint32_t val3;
	struct timespec ts;	/* if not zero */
	bool bad_ts;
	int extra;		/* flags */
} bads[] = {
	{ "val3 1", -EINVAL, .val3 = 1 },
	{ "val3 ~0", -EINVAL, .val3 = ~0u },
	{ "val3, and the value differs", -EINVAL, .val3 = 1, .differs = true },
	{ "uaddr misaligned", -EINVAL, .at1 = 1 },
	{ "uaddr misaligned, shared", -EINVAL, .at1 = 2, .shared = true },
	{ "uaddr unmapped", -EFAULT, .bad1 = 'u' },
	{ "uaddr unmapped, shared", -EFAULT, .bad1 = 'u', .shared = true },
	{ "uaddr null", -EFAULT, .bad1 = '0' },
	{ "uaddr of the kernel", -EFAULT, .bad1 = 'k' },
	{ "uaddr not readable", -EFAULT, .bad1 = 'n' },
	{ "uaddr not readable, shared", -EFAULT, .bad1 = 'n', .shared = true },
	{ "tv_nsec too big", -EINVAL, .ts = { 1, NSEC } },
	{ "tv_nsec negative", -EINVAL, .ts = { 1, -1 } },
	{ "tv_sec negative", -EINVAL, .ts = { -1, 0 } },
	{ "bad timeout, and the value differs", -EINVAL, .ts = { -1, 0 }, .differs = true },
	{ "bad timeout, realtime", -EINVAL, .ts = { 1, NSEC }, .extra = FUTEX_CLOCK_REALTIME },
	{ "timeout unmapped", -EFAULT, .bad_ts = true },
	{ "an unknown flag", -ENOSYS, .extra = 0x200 },
};

static uint32_t *bad_address(int how, uint32_t *good)
{
	static char *none;

	if (!none) {
		none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(none != MAP_FAILED);
	}
	switch (how) {
	case 0: return good;
	case 'n': return (uint32_t *)none;
	case '0': return NULL;
	case 'k': return (uint32_t *)0xffff888000000000ul;
	}
	/* The page below the lowest that may be mapped. */
	return (uint32_t *)4096;
}

TEST(errors_wake_nobody)
{
	uint32_t *w1 = word(0), *w2 = word(0);
	unsigned int i;

	for (i = 0; i < sizeof(bads) / sizeof(*bads); i++) {
		struct bad *b = &bads[i];
		struct call *a = wait_on(w2, !b->shared);
		const void *ts = b->bad_ts ? (void *)4096 : b->ts.tv_sec || b->ts.tv_nsec ? &b->ts : NULL;
		long ret;

		ret = call_now((uint32_t *)((char *)bad_address(b->bad1, w1) + b->at1),
				FUTEX_SWAP | (b->shared ? 0 : FUTEX_PRIVATE_FLAG) | b->extra,
				b->differs, ts, w2, b->val3);
		CHECK_MSG(ret == b->err, "%s: returned %ld, not %ld", b->what, ret, b->err);
		CHECK_MSG(call_asleep(a), "%s: somebody was woken", b->what);
		calls_end(&a, 1);
	}
}

/* The same for uaddr2, where nobody can wait; nothing is waited for either. */
TEST(errors_of_uaddr2)
{
	uint32_t *w1 = word(0), *w2 = word(0);
	char *at2 = (char *)w2;
	struct timespec past = to_ts(1);
	int differs;

	for (differs = 0; differs < 2; differs++) {
		CHECK_EQ(call_now(w1, SWAP_PRIVATE, differs, NULL, (uint32_t *)(at2 + 2), 0), -EINVAL);
		CHECK_EQ(call_now(w1, FUTEX_SWAP, differs, NULL, (uint32_t *)(at2 + 1), 0), -EINVAL);
		CHECK_EQ(call_now(w1, SWAP_PRIVATE, differs, NULL, w1, 0), -EINVAL);
		CHECK_EQ(call_now(w1, FUTEX_SWAP, differs, NULL, w1, 0), -EINVAL);
		CHECK_EQ(call_now(w1, SWAP_PRIVATE, differs, NULL, bad_address('k', NULL), 0), -EFAULT);
		/* As FUTEX_WAKE treats it: a shared key needs the page, a private one does not. */
		CHECK_EQ(sys_futex(bad_address('u', NULL), FUTEX_WAKE, 1, NULL, NULL, 0), -EFAULT);
		CHECK_EQ(call_now(w1, FUTEX_SWAP, differs, NULL, bad_address('u', NULL), 0), -EFAULT);
		CHECK_EQ(sys_futex(bad_address('u', NULL), FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
		CHECK_EQ(call_now(w1, SWAP_PRIVATE, differs, &past, bad_address('u', NULL), 0),
			 differs ? -EAGAIN : -ETIMEDOUT);
	}
}

TEST(same_word_through_two_mappings)
{
	int fd = memfd_create("word", MFD_CLOEXEC);
	struct timespec past = to_ts(1);
	uint32_t *a, *b;
	struct call *c;

	CHECK(fd >= 0 && !ftruncate(fd, 4096));
	a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	CHECK(a != MAP_FAILED && b != MAP_FAILED && a != b);
	c = wait_on(b, false);
	CHECK_EQ(call_now(a, FUTEX_SWAP, 0, &past, b, 0), -EINVAL);
	CHECK_EQ(call_now(a, FUTEX_SWAP, 1, &past, b, 0), -EINVAL);
	CHECK(call_asleep(c));
	/* Private futexes are addresses: these are two. */
	CHECK_EQ(call_now(a, SWAP_PRIVATE, 0, &past, b, 0), -ETIMEDOUT);
	CHECK(call_asleep(c));
	calls_end(&c, 1);
}

/* Wakes one of three waiters, whatever becomes of the wait; each way says so. */
static void wakes_one(int op, uint32_t val, const void *ts, long expect)
{
	uint32_t *w1 = word(0), *w2 = word(0);
	struct call *c[3];
	int i;

	for (i = 0; i < 3; i++)
		c[i] = wait_on(w2, op & FUTEX_PRIVATE_FLAG);
	for (i = 1; i <= 3; i++) {
		CHECK_EQ(call_now(w1, op, val, ts, w2, 0), expect);
		calls_settle(c, 3, i);
	}
	CHECK_EQ(call_now(w1, op, val, ts, w2, 0), expect);
	calls_end(c, 3);
}

TEST(eagain_still_wakes)
{
	wakes_one(SWAP_PRIVATE, 1, NULL, -EAGAIN);
	wakes_one(FUTEX_SWAP, 1, NULL, -EAGAIN);
}

TEST(past_timeout_still_wakes)
{
	struct timespec past = to_ts(1), realtime = to_ts(now_ns(CLOCK_REALTIME) - 1000000);

	wakes_one(SWAP_PRIVATE, 0, &past, -ETIMEDOUT);
	wakes_one(FUTEX_SWAP, 0, &past, -ETIMEDOUT);
	wakes_one(SWAP_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &realtime, -ETIMEDOUT);
}

TEST(sleeps_and_wakes_one)
{
	uint32_t *w1 = word(7), *w2 = word(0);
	struct call *c[3], *s;
	int i;

	for (i = 0; i < 3; i++)
		c[i] = wait_on(w2, true);
	for (i = 1; i <= 3; i++) {
		s = swap_to(w1, w2, NULL);
		calls_settle(c, 3, i);
		CHECK(call_asleep(s));
		CHECK_EQ(sys_futex(w1, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0), 1);
		CHECK_EQ(call_result(s), 1);
	}
	calls_end(c, 3);
}

TEST(returns_how_many_it_woke)
{
	uint32_t *w1 = word(0), *w2 = word(0);
	struct call *s = swap_to(w1, w2, NULL), *c;

	/* Nobody to wake: it waits all the same. */
	CHECK_EQ(sys_futex(w1, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(call_result(s), 0);

	c = wait_on(w2, true);
	s = swap_to(w1, w2, NULL);
	CHECK_EQ(call_result(c), 0);
	CHECK_EQ(sys_futex(w1, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(call_result(s), 1);
}

/* Swappers wake each other: two swaps, each other's waker. */
TEST(swap_wakes_a_swapper)
{
	uint32_t *w1 = word(0), *w2 = word(0);
	struct call *a = swap_to(w1, w2, NULL), *b = swap_to(w2, w1, NULL);

	CHECK_EQ(call_result(a), 0);
	CHECK_EQ(sys_futex(w2, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(call_result(b), 1);
}

/* All that can wake or move a FUTEX_WAIT can do so to the wait of a swap. */
TEST(wait_is_an_ordinary_wait)
{
	uint32_t *w1 = word(0), *w2 = word(0), *w3 = word(0);
	struct call *s = swap_to(w1, w2, NULL);

	CHECK_EQ(sys_futex(w1, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 0x10), 1);
	CHECK_EQ(call_result(s), 0);

	s = swap_to(w1, w2, NULL);
	CHECK_EQ(sys_futex(w1, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)1, w3, 0), 1);
	CHECK_EQ(sys_futex(w1, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
	CHECK_EQ(sys_futex(w3, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(call_result(s), 0);
}

static void waitv_on(struct call *c)
{
	struct futex_waitv v[2] = {
		{ .uaddr = (uintptr_t)word(0), .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG },
		{ .uaddr = (uintptr_t)c->uaddr, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG },
	};

	c->ret = syscall(SYS_futex_waitv, v, 2, 0, NULL, 0);
	c->done = true;
	pause();
}

/* A waiter with a bit set, one in futex_waitv(), and one that was requeued. */
TEST(wakes_every_kind_of_waiter)
{
	uint32_t *w1 = word(0), *w2 = word(0), *w3 = word(0);
	struct call *c;

	c = call_new(FUTEX_WAIT_BITSET_PRIVATE, w2, 0, NULL);
	c->val3 = 0x8000;
	call_thread(c);
	call_until_asleep(c);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 1, NULL, w2, 0), -EAGAIN);
	CHECK_EQ(call_result(c), 0);

	c = wait_on(w3, true);
	CHECK_EQ(sys_futex(w3, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)1, w2, 0), 1);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 1, NULL, w2, 0), -EAGAIN);
	CHECK_EQ(call_result(c), 0);

	c = call_new(0, w2, 0, NULL);
	c->before = waitv_on;
	call_thread(c);
	call_until_asleep(c);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 1, NULL, w2, 0), -EAGAIN);
	CHECK_EQ(call_result(c), 1);
}

TEST(timeout_comes_and_not_before)
{
	uint32_t *w1 = word(0), *w2 = word(0);
	struct call *c = wait_on(w2, true);
	struct timespec ts = to_ts(now_ns(CLOCK_MONOTONIC) + 50000000);

	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 0, &ts, w2, 0), -ETIMEDOUT);
	CHECK_CMP(now_ns(CLOCK_MONOTONIC), >=, ts.tv_sec * NSEC + ts.tv_nsec);
	CHECK_EQ(call_result(c), 0);

	ts = to_ts(now_ns(CLOCK_REALTIME) + 50000000);
	c = wait_on(w2, true);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &ts, w2, 0), -ETIMEDOUT);
	CHECK_CMP(now_ns(CLOCK_REALTIME), >=, ts.tv_sec * NSEC + ts.tv_nsec);
	CHECK_EQ(call_result(c), 0);
}

/* Taken as relative, a deadline of now would double the machine's uptime. */
TEST(timeout_is_absolute)
{
	uint32_t *w1 = word(0), *w2 = word(0);
	int64_t start = now_ns(CLOCK_MONOTONIC);
	struct timespec ts = to_ts(start);

	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 0, &ts, w2, 0), -ETIMEDOUT);
	CHECK_CMP(now_ns(CLOCK_MONOTONIC), <, 2 * start);
}

/* A realtime deadline follows the clock when that is set; a monotonic one does not. */
TEST(realtime_follows_the_clock)
{
	const int64_t jump = 3000 * NSEC;
	int64_t mono = now_ns(CLOCK_MONOTONIC), real = now_ns(CLOCK_REALTIME);
	struct call *m = call_new(SWAP_PRIVATE, word(0), 0, word(0));
	struct call *r = call_new(SWAP_PRIVATE | FUTEX_CLOCK_REALTIME, word(0), 0, word(0));
	struct timespec *ts = arena(2 * sizeof(*ts)), set;
	bool done;

	ts[0] = to_ts(mono + jump / 2);
	ts[1] = to_ts(real + jump / 2);
	m->timeout = &ts[0];
	r->timeout = &ts[1];
	call_thread(m);
	call_thread(r);
	call_until_asleep(m);
	call_until_asleep(r);
	set = to_ts(now_ns(CLOCK_REALTIME) + jump);
	if (clock_settime(CLOCK_REALTIME, &set))
		SKIP("cannot set the clock: %s", strerror(errno));
	done = call_result(r) == -ETIMEDOUT && call_asleep(m);
	set = to_ts(now_ns(CLOCK_REALTIME) - jump);
	CHECK(!clock_settime(CLOCK_REALTIME, &set));
	CHECK(done);
	calls_end(&m, 1);
}

/* Two processes, one word at two addresses; and a private call that must not see it. */
TEST(shared_between_processes)
{
	int fd = memfd_create("words", MFD_CLOEXEC), i;
	uint32_t *here, *there;
	struct call *c[2], *s;

	CHECK(fd >= 0 && !ftruncate(fd, 4096));
	here = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	there = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	CHECK(here != MAP_FAILED && there != MAP_FAILED);
	for (i = 0; i < 2; i++) {
		c[i] = call_new(FUTEX_WAIT, there + 1, 0, NULL);
		call_fork(c[i]);
		call_until_asleep(c[i]);
	}
	CHECK_EQ(call_now(here, SWAP_PRIVATE, 1, NULL, here + 1, 0), -EAGAIN);
	calls_settle(c, 2, 0);
	CHECK_EQ(call_now(here, FUTEX_SWAP, 1, NULL, here + 1, 0), -EAGAIN);
	calls_settle(c, 2, 1);

	/* A swapper in another process, woken and waking through the other mapping. */
	s = call_new(FUTEX_SWAP, here, 0, here + 1);
	call_fork(s);
	call_until_asleep(s);
	calls_settle(c, 2, 2);
	CHECK_EQ(sys_futex(there, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(call_result(s), 1);
	CHECK_EQ(call_result(c[0]), 0);
	CHECK_EQ(call_result(c[1]), 0);
}

/* The waiter's word in private memory of this process: only its own threads. */
TEST(shared_op_on_private_memory)
{
	uint32_t *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct call *c, *s;

	CHECK(w != MAP_FAILED);
	c = wait_on(w + 1, false);
	s = call_new(FUTEX_SWAP, w, 0, w + 1);
	call_thread(s);
	call_until_asleep(s);
	CHECK_EQ(call_result(c), 0);
	CHECK_EQ(sys_futex(w, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(call_result(s), 1);
}

int main(int argc, char **argv)
{
	return swap_absent() ? 1 : tap_main(argc, argv);
}
