// SPDX-License-Identifier: GPL-2.0-or-later
/* CPU that a process may use, read from trees of files that stand for machines. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/src/capacity.c"
#include "tap.h"

#define SECOND BTN_NSEC_PER_SEC

static char root[64];
static struct btn_capacity c;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void end_tree(void)
{
	if (*root)
		nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Directories of the path, below root. */
static void make_dirs(const char *path)
{
	char dir[512], *slash;

	snprintf(dir, sizeof(dir), "%s%s", root, path);
	for (slash = dir + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(dir, 0755);
		*slash = '/';
	}
}

static void put(const char *path, const char *text)
{
	char name[512];
	FILE *f;

	make_dirs(path);
	snprintf(name, sizeof(name), "%s%s", root, path);
	f = fopen(name, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

static void put_link(const char *path, const char *to)
{
	char name[512];

	make_dirs(path);
	snprintf(name, sizeof(name), "%s%s", root, path);
	if (symlink(to, name))
		abort();
}

/* A machine whose threads are in these cgroups, and which has these mounts. */
static void machine(const char *groups, const char *mounts)
{
	end_tree();
	strcpy(root, "/tmp/baton-capacity-XXXXXX");
	if (!mkdtemp(root))
		abort();
	if (groups)
		put("/proc/thread-self/cgroup", groups);
	if (mounts)
		put("/proc/thread-self/mountinfo", mounts);
	put_link("/proc/self/ns/cgroup", "cgroup:[4026531835]");
}

static void look(unsigned cpus)
{
	if (btn_capacity_read(&c, root, cpus, -1))
		abort();
}

#define V2 "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define OTHER "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n24 22 0:5 / /proc rw - proc proc rw\n"

TEST(v2_no_limit)
{
	char say[320];

	machine("0::/a.slice/b.service\n", OTHER V2);
	put("/sys/fs/cgroup/a.slice/b.service/cpu.max", "max 100000\n");
	put("/sys/fs/cgroup/a.slice/cpu.max", "max 100000\n");
	look(4);
	CHECK_EQ(c.ns, 4 * SECOND);
	CHECK_EQ(c.limit, BTN_NO_LIMIT);
	CHECK_EQ(c.by, BTN_BY_CPUS);
	CHECK(!c.hidden);
	btn_capacity_say(&c, say, sizeof(say));
	CHECK(!strcmp(say, "4 CPUs that this process may use"));
}

/* The least of all levels, wherever it is. */
TEST(v2_levels)
{
	static const char *const at[] = { "/a.slice/b.service/cpu.max", "/a.slice/cpu.max" };
	char name[100], say[320];
	unsigned i;

	for (i = 0; i < 2; i++) {
		machine("0::/a.slice/b.service\n", OTHER V2);
		put("/sys/fs/cgroup/a.slice/b.service/cpu.max", "150000 100000\n");
		put("/sys/fs/cgroup/a.slice/cpu.max", "300000 100000\n");
		put("/sys/fs/cgroup/other/cpu.max", "1000 100000\n");
		snprintf(name, sizeof(name), "/sys/fs/cgroup%s", at[i]);
		put(name, "50000 100000\n");
		look(4);
		CHECK_EQ(c.ns, SECOND / 2);
		CHECK_EQ(c.by, BTN_BY_LIMIT);
		*strrchr(name, '/') = 0;
		CHECK(!strcmp(c.where, name));
		btn_capacity_say(&c, say, sizeof(say));
		CHECK(!strncmp(say, "0.50 CPUs, the limit of /sys/fs/cgroup/a.slice", 46));
		CHECK(!c.hidden);
	}
}

TEST(v2_fractions)
{
	machine("0::/a\n", V2);
	put("/sys/fs/cgroup/a/cpu.max", "1000 1000000\n");
	look(64);
	CHECK_EQ(c.ns, SECOND / 1000);
	put("/sys/fs/cgroup/a/cpu.max", "12345 7000\n");
	look(64);
	CHECK_EQ(c.ns, 12345 * SECOND / 7000);
	/* More than the CPUs is as good as none. */
	look(1);
	CHECK_EQ(c.ns, SECOND);
	CHECK_EQ(c.by, BTN_BY_CPUS);
}

#define V1 "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" \
	"32 24 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"             \
	"33 24 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
#define GROUPS "12:cpu,cpuacct:/a/b\n7:memory:/m\n3:cpuset:/s/t\n1:name=systemd:/x:y\n0::/u\n"

TEST(v1)
{
	machine(GROUPS, OTHER V1);
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "150000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
	put("/sys/fs/cgroup/memory/a/b/cpu.cfs_quota_us", "1000\n");
	look(8);
	CHECK_EQ(c.limit, 3 * SECOND);
	CHECK_EQ(c.ns, 3 * SECOND);
	CHECK(!strcmp(c.where, "/sys/fs/cgroup/cpu,cpuacct/a"));
	CHECK_EQ(c.cpus, 8);
	put("/sys/fs/cgroup/cpuset/s/t/cpuset.effective_cpus", "0-1,7\n");
	put("/sys/fs/cgroup/cpuset/s/cpuset.effective_cpus", "0\n");
	look(8);
	CHECK_EQ(c.cpus, 3);
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
	look(8);
	CHECK_EQ(c.ns, 3 * SECOND);
	CHECK_EQ(c.by, BTN_BY_CPUSET);
}

/* The cpu controller is in v1, others are in v2, or the other way round. */
TEST(hybrid)
{
	machine(GROUPS, OTHER V1 "34 24 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	put("/sys/fs/cgroup/unified/u/cgroup.events", "populated 1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "20000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
	look(2);
	CHECK_EQ(c.ns, SECOND / 5);
	CHECK(!c.hidden);
	put("/sys/fs/cgroup/unified/u/cpu.max", "10000 100000\n");
	put("/sys/fs/cgroup/unified/u/cpuset.cpus.effective", "1\n");
	look(2);
	CHECK_EQ(c.ns, SECOND / 10);
	CHECK_EQ(c.cpus, 1);
}

/* The nearest level that has the file says what the cpuset is. */
TEST(v2_cpuset)
{
	machine("0::/a/b\n", V2);
	put("/sys/fs/cgroup/cpuset.cpus.effective", "0-63\n");
	put("/sys/fs/cgroup/a/cpuset.cpus.effective", "4-6\n");
	look(64);
	CHECK_EQ(c.ns, 3 * SECOND);
	CHECK_EQ(c.by, BTN_BY_CPUSET);
	put("/sys/fs/cgroup/a/b/cpuset.cpus.effective", "4\n");
	look(64);
	CHECK_EQ(c.cpus, 1);
	put("/sys/fs/cgroup/a/b/cpuset.cpus.effective", "\n");
	look(64);
	CHECK_EQ(c.cpus, 3);
}

/* A container: its cgroup is the mount's root, and nobody sees what is above. */
TEST(containers)
{
	machine("0::/docker/x/y\n", "30 24 0:26 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup ro\n");
	put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
	put("/sys/fs/cgroup/y/cpu.max", "max 100000\n");
	look(4);
	CHECK_EQ(c.ns, SECOND / 2);
	CHECK(!strcmp(c.where, "/sys/fs/cgroup"));
	CHECK(c.hidden);

	/* With a cgroup namespace. */
	machine("0::/\n", V2);
	unlink(strcat(strcpy((char[100]){ 0 }, root), "/proc/self/ns/cgroup"));
	put_link("/proc/self/ns/cgroup", "cgroup:[4026532200]");
	put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
	look(4);
	CHECK_EQ(c.ns, SECOND * 3 / 2);
	CHECK(c.hidden);

	/* The thread was moved out of it: /sys/fs/b is none of its cgroups. */
	machine("0::/../b\n", V2);
	put("/sys/fs/b/cpu.max", "1000 100000\n");
	put("/sys/fs/cgroup/cpu.max", "2000 100000\n");
	look(4);
	CHECK_EQ(c.ns, 4 * SECOND);
	CHECK(c.hidden);

	/* The mount begins above the namespace: its root is above the thread, too. */
	machine("0::/b\n", "30 24 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
	put("/sys/fs/cgroup/b/cpu.max", "1000 100000\n");
	look(4);
	CHECK_EQ(c.ns, 3 * SECOND);
	CHECK(c.hidden);

	/* Mounts of others' cgroups say nothing; one whose name begins alike, neither. */
	machine("0::/docker/x\n", "30 24 0:26 /docker/z /z rw - cgroup2 cgroup2 rw\n"
				   "31 24 0:26 /docker/x1 /x1 rw - cgroup2 cgroup2 rw\n");
	put("/z/cpu.max", "1000 100000\n");
	put("/x1/cpu.max", "1000 100000\n");
	look(4);
	CHECK_EQ(c.ns, 4 * SECOND);
	CHECK(c.hidden);
}

TEST(nothing_there)
{
	char say[320];

	/* No cgroup file system is mounted. */
	machine("0::/a\n", OTHER);
	look(3);
	CHECK_EQ(c.ns, 3 * SECOND);
	CHECK(c.hidden);
	btn_capacity_say(&c, say, sizeof(say));
	CHECK(!strcmp(say, "3 CPUs that this process may use; limits of its cgroups cannot be read"));
	/* A kernel without cgroups; no /proc. */
	machine(NULL, OTHER);
	look(3);
	CHECK_EQ(c.ns, 3 * SECOND);
	CHECK(!c.hidden);
	machine(NULL, NULL);
	look(3);
	CHECK_EQ(c.ns, 3 * SECOND);
	/* A kernel without /proc/thread-self. */
	machine(NULL, NULL);
	put("/proc/self/cgroup", "0::/a\n");
	put("/proc/self/mountinfo", V2);
	put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
	look(3);
	CHECK_EQ(c.ns, SECOND / 2);
}

/* Neither a limit nor none: it cannot be read. */
TEST(unreadable)
{
	static const char *const bad[] = { "", "nonsense\n", "1000\n", "1000 0\n", "99999999999999999999 100000\n", "-5 100000\n" };
	char name[100];
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		machine("0::/a/b\n", V2);
		put("/sys/fs/cgroup/a/b/cpu.max", bad[i]);
		put("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
		look(4);
		CHECK_EQ(c.ns, SECOND * 3 / 2);
		CHECK(c.hidden);
	}
	/* A directory is no file. */
	machine("0::/a\n", V2);
	put("/sys/fs/cgroup/a/cpu.max/x", "");
	look(4);
	CHECK_EQ(c.ns, 4 * SECOND);
	CHECK(c.hidden);
	machine("7:cpu:/a\n", "31 24 0:27 / /c rw - cgroup cgroup rw,cpu\n");
	put("/c/a/cpu.cfs_quota_us", "1000\n");
	snprintf(name, sizeof(name), "%s/c/a/cpu.cfs_period_us", root);
	if (mkdir(name, 0755))
		abort();
	look(4);
	CHECK_EQ(c.ns, 4 * SECOND);
	CHECK(c.hidden);
}

TEST(odd_texts)
{
	static char deep[9000];
	unsigned i;

	/* Blanks in names, optional fields, lines that are none. */
	machine("garbage\n\n0::/a b:c\n", "\n1 2\n30 24 0:26 / /sys/fs\\040x/c\\134d rw shared:7 master:2 - cgroup2 none rw\n-\n");
	put("/sys/fs x/c\\d/a b:c/cpu.max", "50000 100000\n");
	look(4);
	CHECK_EQ(c.ns, SECOND / 2);
	/* No newline at the end. */
	machine("0::/a", "30 24 0:26 / / rw - cgroup2 none rw");
	put("/a/cpu.max", "50000 100000");
	look(4);
	CHECK_EQ(c.ns, SECOND / 2);
	/* Longer than any path. */
	strcpy(deep, "0::");
	for (i = 0; i < 2000; i++)
		strcat(deep, "/abc");
	machine(deep, V2);
	look(4);
	CHECK_EQ(c.ns, 4 * SECOND);
	CHECK(c.hidden);
	/* As many mounts as in a busy host. */
	machine("0::/a\n", NULL);
	put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
	for (i = 0; i < 300; i++) {
		char name[100];
		FILE *f;

		snprintf(name, sizeof(name), "%s/proc/thread-self/mountinfo", root);
		f = fopen(name, "a");
		fputs(i == 299 ? V2 : OTHER, f);
		fclose(f);
	}
	look(4);
	CHECK_EQ(c.ns, SECOND / 2);
}

TEST(lists)
{
	CHECK_EQ(count_list("0\n"), 1);
	CHECK_EQ(count_list("0-3,8"), 5);
	CHECK_EQ(count_list("1,3,5,7-10\n"), 7);
	CHECK_EQ(count_list("0-8191\n"), 8192);
	CHECK_EQ(count_list(""), 0);
	CHECK_EQ(count_list("\n"), 0);
	CHECK_EQ(count_list("x"), 0);
	CHECK_EQ(count_list("3-1"), 0);
	CHECK_EQ(count_list("0-99999999999999999999"), 0);
	CHECK(has_word("rw,cpu,cpuacct", "cpu"));
	CHECK(has_word("cpu", "cpu"));
	CHECK(!has_word("rw,cpuacct,cpuset", "cpu"));
	CHECK(!has_word("", "cpu"));
}

/* All that was read is watched, and nothing else. */
TEST(watched)
{
	static const char *const files[] = {
		"/sys/fs/cgroup/a/b/cpu.max", "/sys/fs/cgroup/a/cpu.max", "/sys/fs/cgroup/a/b/cgroup.events",
		"/sys/fs/cgroup/a/cpuset.cpus", "/sys/fs/cgroup/a/b/cpuset.cpus",
	};
	char events[4096];
	unsigned i;
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	machine("0::/a/b\n", V2);
	put("/sys/fs/cgroup/c/cpu.max", "max 100000\n");
	for (i = 0; i < sizeof(files) / sizeof(*files); i++)
		put(files[i], "max 100000\n");
	CHECK_EQ(btn_capacity_read(&c, root, 4, fd), 0);
	CHECK(read(fd, events, sizeof(events)) < 0);
	for (i = 0; i < sizeof(files) / sizeof(*files); i++) {
		put(files[i], "1000 100000\n");
		CHECK(read(fd, events, sizeof(events)) > 0);
	}
	put("/sys/fs/cgroup/c/cpu.max", "1000 100000\n");
	CHECK(read(fd, events, sizeof(events)) < 0);
	close(fd);
}

int main(int argc, char **argv)
{
	int rc = tap_main(argc, argv);

	end_tree();
	return rc;
}
