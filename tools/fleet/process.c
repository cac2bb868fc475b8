// SPDX-License-Identifier: GPL-2.0-or-later
/* A process that may have been told rates; process.h. */
#include "process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../baton/detect_load.h"

int process_open(struct process *p, pid_t pid)
{
	int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	*p = (struct process){ 0 };
	if (fd < 0)
		return -1;
	*p = (struct process){ pid, detect_pid_start(pid) };
	return fd;
}

static int name_file(char **path, char **fresh, const char *socket)
{
	if (asprintf(path, "%s.told", socket) < 0)
		return -ENOMEM;
	if (asprintf(fresh, "%s.told.new", socket) < 0) {
		free(*path);
		return -ENOMEM;
	}
	return 0;
}

int process_note(const char *socket, const struct process *p)
{
	char *path, *fresh;
	int err = name_file(&path, &fresh, socket);
	FILE *f;

	if (err)
		return err;
	f = fopen(fresh, "we");
	if (!f || fprintf(f, "%d %llu\n", (int)p->pid, (unsigned long long)p->began) < 0)
		err = -errno;
	if (f && fclose(f) && !err)
		err = -errno;
	if (!err && rename(fresh, path))
		err = -errno;
	free(path);
	free(fresh);
	return err;
}

bool process_noted(const char *socket, struct process *p)
{
	unsigned long long began = 0;
	char *path, *fresh;
	int pid = 0, n = 0;
	FILE *f;

	if (name_file(&path, &fresh, socket))
		return false;
	f = fopen(path, "re");
	if (f) {
		n = fscanf(f, "%d %llu", &pid, &began);
		fclose(f);
	}
	free(path);
	free(fresh);
	*p = (struct process){ pid, began };
	return n == 2 && pid > 0;
}
