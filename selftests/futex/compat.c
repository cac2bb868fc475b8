// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * compat.c - FUTEX_SWAP from 32-bit code, as int $0x80 enters it: the time32
 * entry with its own timeout layout, and the time64 one.
 */
#include "common.h"

struct ts32 {
	int32_t sec, nsec;
};

/* A deadline in the layout that the entry reads. */
static const void *deadline(int nr32, int64_t ns)
{
	struct ts32 *ts32 = arena(sizeof(*ts32));
	struct timespec *ts = arena(sizeof(*ts));

	ts32->sec = ns / NSEC;
	ts32->nsec = ns % NSEC;
	*ts = to_ts(ns);
	return nr32 == NR32_FUTEX ? (void *)ts32 : (void *)ts;
}

static struct call *swap32(int nr32, int op, uint32_t *uaddr, uint32_t val, const void *ts,
			   uint32_t *uaddr2)
{
	struct call *c = call_new(op, uaddr, val, uaddr2);

	c->nr32 = nr32;
	c->timeout = ts;
	call_thread(c);
	return c;
}

/* Done, or asleep long after its time. */
static long in_time(struct call *c, clockid_t clock, int64_t due)
{
	while (!c->done) {
		CHECK_MSG(!call_asleep(c) || now_ns(clock) < due + 5 * NSEC,
			  "still asleep 5 s after its timeout");
		nap();
	}
	return c->ret;
}

static void errors(int nr)
{
	uint32_t *w1 = word(0), *w2 = word(0);
	struct call *c = wait_on(w2, true);
	struct ts32 *bad32 = arena(sizeof(*bad32));
	struct timespec *bad = arena(sizeof(*bad));
	const void *ts = nr == NR32_FUTEX ? (void *)bad32 : (void *)bad;

	*bad32 = (struct ts32){ 1, NSEC };
	*bad = (struct timespec){ 1, NSEC };
	CHECK_EQ(in_time(swap32(nr, SWAP_PRIVATE, w1, 0, ts, w2), 0, 0), -EINVAL);
	*bad32 = (struct ts32){ -1, 0 };
	*bad = (struct timespec){ -1, 0 };
	CHECK_EQ(in_time(swap32(nr, SWAP_PRIVATE, w1, 1, ts, w2), 0, 0), -EINVAL);
	CHECK_EQ(in_time(swap32(nr, SWAP_PRIVATE, w1, 0, (void *)4096, w2), 0, 0), -EFAULT);
	CHECK_EQ(in_time(swap32(nr, SWAP_PRIVATE, w1, 0, NULL, w1), 0, 0), -EINVAL);
	CHECK(call_asleep(c));
	calls_end(&c, 1);
}

static void timeouts(int nr)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };
	uint32_t *w1 = word(0), *w2 = word(0);
	int i;

	for (i = 0; i < 2; i++) {
		int op = SWAP_PRIVATE | (i ? FUTEX_CLOCK_REALTIME : 0);
		struct call *c = wait_on(w2, true), *s;
		int64_t due = now_ns(clocks[i]) - 1;

		/* Already past: it wakes all the same. */
		s = swap32(nr, op, w1, 0, deadline(nr, due), w2);
		CHECK_EQ(in_time(s, clocks[i], due), -ETIMEDOUT);
		CHECK_EQ(call_result(c), 0);
		/* In a moment, and not before. */
		due = now_ns(clocks[i]) + 50000000;
		s = swap32(nr, op, w1, 0, deadline(nr, due), w2);
		CHECK_EQ(in_time(s, clocks[i], due), -ETIMEDOUT);
		CHECK_CMP(now_ns(clocks[i]), >=, due);
	}
}

static void wakes(int nr)
{
	uint32_t *w1 = word(0), *w2 = word(0);
	struct call *c = wait_on(w2, true), *s;

	s = swap32(nr, SWAP_PRIVATE, w1, 1, NULL, w2);
	CHECK_EQ(call_result(s), -EAGAIN);
	CHECK_EQ(call_result(c), 0);

	c = wait_on(w2, true);
	s = swap32(nr, SWAP_PRIVATE, w1, 0, deadline(nr, now_ns(CLOCK_MONOTONIC) + 1000 * NSEC), w2);
	call_until_asleep(s);
	CHECK_EQ(call_result(c), 0);
	CHECK_EQ(sys_futex(w1, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(call_result(s), 1);
}

/* val3 goes in %ebp, and is looked at. */
static void val3(int nr)
{
	uint32_t *w1 = word(0), *w2 = word(0);
	struct call *c = call_new(SWAP_PRIVATE, w1, 0, w2);

	c->nr32 = nr;
	c->val3 = 1;
	call_thread(c);
	CHECK_EQ(in_time(c, 0, 0), -EINVAL);
}

/* TEST(time32_errors) and so on. */
#define BOTH(F) \
	TEST(time32_##F) { F(NR32_FUTEX); } \
	TEST(time64_##F) { F(NR32_FUTEX_TIME64); }

BOTH(errors)
BOTH(timeouts)
BOTH(wakes)
BOTH(val3)

int main(int argc, char **argv)
{
	return swap_absent() ? 1 : tap_main(argc, argv);
}
