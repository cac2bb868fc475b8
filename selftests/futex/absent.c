// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * absent.c - a kernel without FUTEX_SWAP answers ENOSYS to whatever is asked of
 * it, which is how the library learns to do without; it waits for nothing and
 * wakes nobody.
 */
#include "common.h"

TEST(enosys)
{
	uint32_t *w1 = word(0), *w2 = word(0);
	struct timespec past = to_ts(1);
	struct call *c;

	if (sys_futex(w1, SWAP_PRIVATE, 0, NULL, w1, 0) == -EINVAL)
		SKIP("this kernel has FUTEX_SWAP");
	c = wait_on(w2, true);
	/* The very call the probe makes. */
	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 0, NULL, w1, 0), -ENOSYS);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 0, NULL, w2, 0), -ENOSYS);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 1, &past, w2, 0), -ENOSYS);
	CHECK_EQ(call_now(w1, FUTEX_SWAP, 0, NULL, w2, 0), -ENOSYS);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE | FUTEX_CLOCK_REALTIME, 0, NULL, w2, 0), -ENOSYS);
	CHECK(call_asleep(c));
	calls_end(&c, 1);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
