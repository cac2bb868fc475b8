// SPDX-License-Identifier: GPL-2.0-or-later
/* CPU that a process may use, as this kernel's own cgroups say it: v1 or v2, whichever has the cpu controller. */
#include <poll.h>
#include <pthread.h>
#include <sys/inotify.h>

#include "../../tools/baton/cgroup.h"
#include "capacity.h"
#include "clock.h"
#include "cpus.h"
#include "tap.h"

#define MS 1000000ULL

static struct btn_capacity c;

static unsigned cpus(void)
{
	struct btn_cpus set;

	return btn_cpus_self(&set) ? 0 : btn_cpus_count(&set);
}

static void look(int watch)
{
	CHECK_EQ(btn_capacity_read(&c, "", cpus(), watch), 0);
}

/* Somebody writes another limit: an event, and the file says it. */
static void in_a_limit(int go, int done)
{
	struct pollfd event = { .fd = inotify_init1(IN_CLOEXEC), .events = POLLIN };
	const char *why = cgroup_enter();
	char x;

	CHECK_MSG(!why, "%s", why);
	look(event.fd);
	printf("# %s\n", c.where);
	CHECK_EQ(c.ns, 500 * MS);
	CHECK_EQ(c.by, BTN_BY_LIMIT);
	CHECK_EQ(poll(&event, 1, 0), 0);
	CHECK_EQ(write(done, "x", 1), 1);
	CHECK_EQ(read(go, &x, 1), 1);
	CHECK_EQ(poll(&event, 1, 5000), 1);
	look(-1);
	CHECK_EQ(c.ns, 200 * MS);
}

TEST(limit_and_its_change)
{
	const char *why = cgroup_make_limit(50000);
	int go[2], done[2], status = 0;
	pid_t pid;
	char x;

	if (why)
		SKIP("%s", why);
	CHECK(!pipe(go) && !pipe(done));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (!setjmp(tap_env)) {
			in_a_limit(go[0], done[1]);
			fflush(stdout);
			_exit(0);
		}
		printf("# %s\n", tap_why);
		fflush(stdout);
		_exit(1);
	}
	close(done[1]);
	if (read(done[0], &x, 1) == 1) {
		why = cgroup_change_limit(20000);
		if (write(go[1], "x", 1) != 1)
			why = "pipe";
	}
	waitpid(pid, &status, 0);
	cgroup_remove_limits();
	CHECK_MSG(!why, "%s", why);
	CHECK_EQ(status, 0);
}

static void *limited(void *capacity)
{
	struct btn_capacity *to = capacity;

	if (!cgroup_add_limited(0))
		btn_capacity_read(to, "", 2, -1);
	return NULL;
}

/* Threads of one process may be in different cgroups: each has its own answer. */
TEST(of_the_thread)
{
	static const unsigned long us = 30000;
	const char *why = cgroup_make_limits(1, &us);
	int status;
	pid_t pid;

	if (why)
		SKIP("%s", why);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct btn_capacity its = { 0 };
		pthread_t t;

		why = cgroup_enter_limits();
		if (why || pthread_create(&t, NULL, limited, &its))
			_exit(1);
		pthread_join(t, NULL);
		btn_capacity_read(&c, "", 2, -1);
		printf("# %llu and %llu\n", (unsigned long long)its.ns, (unsigned long long)c.ns);
		fflush(stdout);
		_exit(its.ns == 300 * MS && c.ns > its.ns ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	cgroup_remove_limits();
	CHECK_EQ(status, 0);
}

TEST(affinity)
{
	struct btn_cpus all, one;

	CHECK_EQ(btn_cpus_self(&all), 0);
	btn_cpus_one(&one, btn_cpus_next(&all, 0));
	CHECK_EQ(btn_cpus_use(&one, 0), 0);
	look(-1);
	CHECK_EQ(c.cpus, 1);
	CHECK(c.ns <= BTN_NSEC_PER_SEC);
	CHECK_EQ(btn_cpus_use(&all, 0), 0);
	look(-1);
	CHECK_EQ(c.cpus, btn_cpus_count(&all));
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
