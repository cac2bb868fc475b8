// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cpus.h"

#include <errno.h>
#include <string.h>

int btn_cpus_self(struct btn_cpus *c)
{
	int saved = errno, err;

	/* The kernel writes as many as it has, the C library clears the rest. */
	err = sched_getaffinity(0, sizeof(c->part), c->part) ? -errno : 0;
	errno = saved;
	return err;
}

int btn_cpus_of(struct btn_cpus *c, pthread_t thread)
{
	return -pthread_getaffinity_np(thread, sizeof(c->part), c->part);
}

int btn_cpus_use(const struct btn_cpus *c, pid_t tid)
{
	int saved = errno, err;

	err = sched_setaffinity(tid, sizeof(c->part), c->part) ? -errno : 0;
	errno = saved;
	return err;
}

void btn_cpus_one(struct btn_cpus *c, int cpu)
{
	memset(c, 0, sizeof(*c));
	if (cpu >= 0 && cpu < BTN_CPUS_MAX)
		CPU_SET_S((size_t)cpu, sizeof(c->part), c->part);
}

unsigned btn_cpus_count(const struct btn_cpus *c)
{
	return (unsigned)CPU_COUNT_S(sizeof(c->part), c->part);
}

bool btn_cpus_equal(const struct btn_cpus *a, const struct btn_cpus *b)
{
	return CPU_EQUAL_S(sizeof(a->part), a->part, b->part);
}

int btn_cpus_next(const struct btn_cpus *c, int from)
{
	for (; from < BTN_CPUS_MAX; from++)
		if (CPU_ISSET_S((size_t)from, sizeof(c->part), c->part))
			return from;
	return -1;
}
