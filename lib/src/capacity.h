/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * capacity.h - how much CPU there is in a second, for the calling thread and those
 * that it makes: the least of the CPUs it may use, those of its cpuset, and what each
 * cgroup above it may have (cpu.max; cpu.cfs_quota_us in v1). A part of a CPU is a
 * capacity. How much the machine gives of that is another question: supply.h.
 *
 * What can be seen. A thread is in one cgroup of each hierarchy (/proc/thread-self/cgroup),
 * and each hierarchy may be mounted in several places, whole or from some cgroup on
 * (/proc/self/mountinfo). Of every mount that the thread's cgroup lies under, all levels
 * up to the mount's root are read. What lies above every mount's root, as outside of a
 * container, cannot be seen, nor can anything where no cgroup file system is mounted, or
 * may not be read: `hidden` says so, and then there may be less than `ns`.
 *
 * How to learn of changes. The kernel tells nobody by itself: cgroup.events has only
 * `populated` and `frozen`, pressure files (PSI) say that there is too little, but neither how
 * much there may be nor that it became more, and cpu.stat must be read again like
 * anything else. But a limit changes because somebody writes a file, and such a write
 * is an event of inotify like any other, through whichever mount or namespace it comes:
 * one superblock serves all. So the files that were read are watched, the cpuset's too,
 * and cgroup.events, which changes when the last process leaves a cgroup. What has no
 * such event: a new affinity mask, a CPU that goes offline, a thread that is moved while others
 * stay. For these there is no other way than to read again now and then, and that is needed
 * only while there is load.
 */
#ifndef BTN_CAPACITY_H
#define BTN_CAPACITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BTN_NO_LIMIT UINT64_MAX

enum btn_capacity_by { BTN_BY_CPUS, BTN_BY_CPUSET, BTN_BY_LIMIT };

struct btn_capacity {
	uint64_t ns;			/* CPU in a second: the least of all */
	enum btn_capacity_by by;	/* which it is */
	unsigned cpus;			/* CPUs that the thread may use, and are in its cpuset */
	uint64_t limit;			/* ns in a second, the least of all cgroups'; BTN_NO_LIMIT */
	char where[256];		/* the directory of the cgroup that has it; "" where there is none */
	bool hidden;			/* a lower limit may be there that cannot be seen */
};

/*
 * root: "" here; elsewhere a directory that stands for the file system's root. cpus: that
 * the thread may use. watch: an inotify descriptor that gets an event when one of the
 * files read is written; -1: none. Any thread; reads files, takes no lock. 0, or -ENOMEM.
 */
int btn_capacity_read(struct btn_capacity *out, const char *root, unsigned cpus, int watch);

/* Says for people what was read: "0.50 CPUs, the limit of /sys/fs/cgroup/a". */
void btn_capacity_say(const struct btn_capacity *c, char *to, size_t size);

#endif
