// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[256], parent[300];
static char mounted[64];	/* where we had to mount cgroup2 ourselves */
static char why[160];

static int write_file(const char *dir, const char *file, const char *text)
{
	char path[512];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -1 : 0;
}

static int has_cpu(const char *dir)
{
	char path[512], line[512] = "", *word, *rest = line;
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.controllers", dir);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	fclose(f);
	while ((word = strsep(&rest, " \n")))
		if (!strcmp(word, "cpu"))
			return 1;
	return 0;
}

/* Where cgroup2 is mounted; mounts it if it is nowhere. */
static const char *find_root(void)
{
	FILE *f = fopen("/proc/self/mounts", "r");
	char dev[256], dir[256], type[64];

	while (f && fscanf(f, "%255s %255s %63s%*[^\n]", dev, dir, type) == 3) {
		if (!strcmp(type, "cgroup2")) {
			strcpy(root, dir);
			break;
		}
	}
	if (f)
		fclose(f);
	if (!root[0]) {
		strcpy(mounted, "/tmp/baton-cgroup-XXXXXX");
		if (!mkdtemp(mounted) || mount("none", mounted, "cgroup2", 0, NULL)) {
			snprintf(why, sizeof(why), "no cgroup2 is mounted, and to mount it: %s",
				 strerror(errno));
			rmdir(mounted);
			mounted[0] = 0;
			return why;
		}
		strcpy(root, mounted);
	}
	return has_cpu(root) ? NULL : "the cgroup2 hierarchy has no cpu controller";
}

static const char *failed(const char *what)
{
	snprintf(why, sizeof(why), "cgroup: %s: %s", what, strerror(errno));
	cgroup_remove_pair();
	return why;
}

const char *cgroup_make_pair(char *a, char *b, size_t size)
{
	const char *err = find_root();

	if (err)
		return err;
	snprintf(parent, sizeof(parent), "%s/baton-bench-%d", root, getpid());
	snprintf(a, size, "%.200s/a", parent);
	snprintf(b, size, "%.200s/b", parent);
	if (write_file(root, "cgroup.subtree_control", "+cpu"))
		return failed("to hand on the cpu controller");
	if (mkdir(parent, 0755) || mkdir(a, 0755) || mkdir(b, 0755))
		return failed("mkdir");
	if (write_file(a, "cgroup.type", "threaded") || write_file(b, "cgroup.type", "threaded"))
		return failed("cgroup.type");
	if (write_file(parent, "cgroup.subtree_control", "+cpu"))
		return failed("cgroup.subtree_control");
	return NULL;
}

const char *cgroup_enter(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (!write_file(parent, "cgroup.procs", pid))
		return NULL;
	snprintf(why, sizeof(why), "cgroup.procs: %s", strerror(errno));
	return why;
}

int cgroup_add_thread(const char *dir)
{
	char tid[16];

	snprintf(tid, sizeof(tid), "%d", gettid());
	return write_file(dir, "cgroup.threads", tid);
}

void cgroup_remove_pair(void)
{
	char dir[320];

	/* A process that has just exited may be in its cgroup a moment longer. */
	for (int i = 0; i < 100; i++) {
		snprintf(dir, sizeof(dir), "%s/a", parent);
		rmdir(dir);
		snprintf(dir, sizeof(dir), "%s/b", parent);
		rmdir(dir);
		if (!rmdir(parent) || errno != EBUSY)
			break;
		usleep(10000);
	}
	if (mounted[0] && !umount(mounted)) {
		rmdir(mounted);
		mounted[0] = root[0] = 0;
	}
}

static char limit[CGROUP_LIMITS][512];
static unsigned limits;
static int v1;

/* Where the cpu controller of v1 is mounted. */
static int find_v1(char *to, size_t size)
{
	FILE *f = fopen("/proc/self/mounts", "r");
	char dir[256], type[64], options[512], *word, *rest;

	while (f && fscanf(f, "%*s %255s %63s %511s%*[^\n]", dir, type, options) == 3) {
		for (rest = options; !strcmp(type, "cgroup") && (word = strsep(&rest, ","));)
			if (!strcmp(word, "cpu")) {
				snprintf(to, size, "%s", dir);
				fclose(f);
				return 0;
			}
	}
	if (f)
		fclose(f);
	return -1;
}

static const char *no_limits(const char *what)
{
	snprintf(why, sizeof(why), "cgroup: %s: %s", what, strerror(errno));
	cgroup_remove_limits();
	return why;
}

/* The parent of the limits, in v2 or v1. */
static const char *make_limited_parent(void)
{
	const char *err = find_root();

	limits = 0;
	v1 = err != NULL;
	if (v1 && find_v1(root, sizeof(root)))
		return err;
	snprintf(parent, sizeof(parent), "%.200s/baton-bench-%d", root, getpid());
	if (!v1 && write_file(root, "cgroup.subtree_control", "+cpu"))
		return no_limits("to hand on the cpu controller");
	return mkdir(parent, 0755) ? no_limits("mkdir") : NULL;
}

static const char *set_limit(const char *dir, unsigned long us)
{
	char text[64];

	snprintf(text, sizeof(text), v1 ? "%lu" : "%lu 100000", us);
	return write_file(dir, v1 ? "cpu.cfs_quota_us" : "cpu.max", text) ? no_limits("to set a limit") : NULL;
}

const char *cgroup_make_limits(unsigned n, const unsigned long *us)
{
	const char *err = make_limited_parent();
	unsigned i;

	for (i = 0; !err && i < n && i < CGROUP_LIMITS; i++) {
		snprintf(limit[i], sizeof(limit[i]), "%s/%u", parent, i);
		if (mkdir(limit[i], 0755))
			return no_limits("mkdir");
		limits++;
		if (!v1 && write_file(limit[i], "cgroup.type", "threaded"))
			return no_limits("cgroup.type");
	}
	if (!err && !v1 && write_file(parent, "cgroup.subtree_control", "+cpu"))
		return no_limits("cgroup.subtree_control");
	for (i = 0; !err && i < limits; i++)
		err = set_limit(limit[i], us[i]);
	return err;
}

const char *cgroup_change_limit(unsigned long us)
{
	return set_limit(parent, us);
}

const char *cgroup_make_limit(unsigned long us)
{
	const char *err = make_limited_parent();

	if (err)
		return err;
	if (write_file(parent, v1 ? "cpu.shares" : "cpu.weight", v1 ? "262144" : "10000"))
		return no_limits("to set a weight");
	return set_limit(parent, us);
}

const char *cgroup_enter_limits(void)
{
	return v1 ? NULL : cgroup_enter();
}

int cgroup_add_limited(unsigned i)
{
	char tid[16];

	snprintf(tid, sizeof(tid), "%d", gettid());
	return write_file(limit[i], v1 ? "tasks" : "cgroup.threads", tid);
}

void cgroup_remove_limits(void)
{
	/* As above. */
	for (int n = 0; n < 100; n++) {
		for (unsigned i = 0; i < limits; i++)
			rmdir(limit[i]);
		if (!rmdir(parent) || errno != EBUSY)
			break;
		usleep(10000);
	}
	if (v1)
		root[0] = 0;	/* not v2's */
}
