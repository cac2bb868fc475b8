// SPDX-License-Identifier: GPL-2.0-or-later
/* The harness itself: what must pass passes, and a failure is a failure. */
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static void fails(void) { CHECK_EQ(1, 2); }
static void skips(void) { SKIP("because"); }

/* Runs fn as the only test of a child and returns its exit status. */
static int status_of(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct tap_test only = { "only", fn, NULL };
		char *argv[] = { (char *)"tap", NULL };

		if (!freopen("/dev/null", "w", stdout))
			_exit(99);
		tap_first = &only;
		_exit(tap_main(1, argv));
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

TEST(failure_is_seen) { CHECK_EQ(status_of(fails), 1); }
TEST(skip_is_seen) { CHECK_EQ(status_of(skips), 4); }

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}
