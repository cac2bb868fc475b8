// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton bench queue, baton bench tasks - run programs that are linked with other
 * people's libraries, and so are neither part of this command nor installed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baton.h"

static int run_apart(const char *name, char **argv)
{
	char path[1024];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 100);
	char *dir;

	path[n < 0 ? 0 : n] = 0;
	dir = strrchr(path, '/');
	if (dir) {
		sprintf(dir, "/../bench-%s/bench-%s", name, name);
		execv(path, argv);
	}
	fprintf(stderr, "baton bench %s: %s: %s; in the source tree, `make bench-%s` builds and runs it\n", name, path,
		strerror(errno), name);
	return 1;
}

int bench_queue(int argc, char **argv)
{
	return run_apart("queue", argv);
}

int bench_tasks(int argc, char **argv)
{
	return run_apart("tasks", argv);
}
