// SPDX-License-Identifier: GPL-2.0-or-later
/* Machines with more CPUs than a cpu_set_t has room for, and one where nobody may ask. */
#include <errno.h>
#include <sched.h>
#include <string.h>

/* The kernel's answer: a machine of so many CPUs, the first `allowed` of them and the last. */
static int machine, allowed, refused;

static int test_getaffinity(pid_t tid, size_t size, cpu_set_t *set)
{
	if (refused || (size_t)machine > 8 * size) {
		errno = refused ? refused : EINVAL;
		return -1;
	}
	memset(set, 0, size);
	for (int i = 0; i < allowed; i++)
		CPU_SET_S((size_t)i, size, set);
	CPU_SET_S((size_t)machine - 1, size, set);
	return 0;
}

#define sched_getaffinity test_getaffinity
#include "../../lib/src/cpus.c"
#undef sched_getaffinity

#include "tap.h"

static struct btn_cpus c;

TEST(large_machines)
{
	static const int sizes[] = { 1, 64, 1024, 1025, 2048, 4097, 8192 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		machine = sizes[i];
		allowed = machine / 2;
		refused = 0;
		errno = 0;
		CHECK_EQ(btn_cpus_self(&c), 0);
		CHECK_EQ(btn_cpus_count(&c), machine / 2 + 1);
		CHECK_EQ(btn_cpus_next(&c, 0), machine > 1 ? 0 : machine - 1);
		CHECK_EQ(btn_cpus_next(&c, machine / 2), machine - 1);
		CHECK_EQ(btn_cpus_next(&c, machine), -1);
		CHECK_EQ(errno, 0);
	}
}

TEST(refusals_are_told)
{
	machine = 4;
	allowed = 4;
	refused = EPERM;
	errno = 7;
	CHECK_EQ(btn_cpus_self(&c), -EPERM);
	CHECK_EQ(errno, 7);
	refused = 0;
	machine = BTN_CPUS_MAX + 1;
	CHECK_EQ(btn_cpus_self(&c), -EINVAL);
}

TEST(one)
{
	btn_cpus_one(&c, 5000);
	CHECK_EQ(btn_cpus_count(&c), 1);
	CHECK_EQ(btn_cpus_next(&c, 0), 5000);
	btn_cpus_one(&c, BTN_CPUS_MAX);
	CHECK_EQ(btn_cpus_count(&c), 0);
	btn_cpus_one(&c, -1);
	CHECK_EQ(btn_cpus_count(&c), 0);
	CHECK_EQ(btn_cpus_next(&c, 0), -1);
}

/* The machine's own kernel. */
TEST(here)
{
	struct btn_cpus is, also;

	CHECK_EQ(btn_cpus_of(&is, pthread_self()), 0);
	CHECK(btn_cpus_count(&is) > 0);
	btn_cpus_one(&c, btn_cpus_next(&is, 0));
	CHECK_EQ(btn_cpus_use(&c, 0), 0);
	CHECK_EQ(btn_cpus_of(&also, pthread_self()), 0);
	CHECK(btn_cpus_equal(&c, &also));
	CHECK_EQ(btn_cpus_use(&is, 0), 0);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
