// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton bench queue - runs the program bench-queue, which is linked with other
 * people's queues and so is neither part of this command nor installed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baton.h"

int bench_queue(int argc, char **argv)
{
	char path[1024];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 40);
	char *dir;

	path[n < 0 ? 0 : n] = 0;
	dir = strrchr(path, '/');
	if (dir) {
		strcpy(dir, "/../bench-queue/bench-queue");
		execv(path, argv);
	}
	fprintf(stderr, "baton bench queue: %s: %s; in the source tree, `make bench-queue` builds and runs it\n",
		path, strerror(errno));
	return 1;
}
