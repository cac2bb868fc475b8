// SPDX-License-Identifier: LGPL-2.1-or-later
#include "capacity.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "clock.h"
#include "hooks.h"

/* ----------------------------------------------------------- texts, pure */

/* Is the word in a list that commas separate? */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; *list; list += *list == ',') {
		if (!strncmp(list, word, n) && (list[n] == ',' || !list[n]))
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

/* mountinfo writes blanks and backslashes as \040; in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

/* ns of CPU in a second, at a quota in us for each period in us. False: that cannot be. */
static bool rate_of(unsigned long long quota, unsigned long long period, uint64_t *ns)
{
	if (!period || quota > UINT64_MAX / BTN_NSEC_PER_SEC)
		return false;
	*ns = quota * BTN_NSEC_PER_SEC / period;
	return true;
}

/* cpu.max: "50000 100000" or "max 100000". */
static bool parse_cpu_max(const char *text, uint64_t *ns)
{
	unsigned long long quota, period;

	if (!strncmp(text, "max", 3)) {
		*ns = BTN_NO_LIMIT;
		return true;
	}
	return sscanf(text, "%llu %llu", &quota, &period) == 2 && rate_of(quota, period, ns);
}

/* cpu.cfs_quota_us and cpu.cfs_period_us: -1 is no limit. */
static bool parse_cfs(const char *quota_text, const char *period_text, uint64_t *ns)
{
	unsigned long long period;
	long long quota;

	if (sscanf(quota_text, "%lld", &quota) != 1)
		return false;
	*ns = BTN_NO_LIMIT;
	return quota < 0 || (sscanf(period_text, "%llu", &period) == 1 && rate_of((unsigned long long)quota, period, ns));
}

/* "0-3,8": 5. 0: nothing that is a list. */
static unsigned count_list(const char *list)
{
	unsigned long first, last, n = 0;
	char *end;

	while (*list >= '0' && *list <= '9') {
		first = last = strtoul(list, &end, 10);
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (last < first || last >= INT_MAX)
			return 0;
		n += last - first + 1;
		list = end + (*end == ',');
	}
	return n > INT_MAX || (*list && *list != '\n') ? 0 : (unsigned)n;
}

struct mount {
	const char *root, *point, *type, *options;	/* options: the superblock's */
};

/* A line of mountinfo, in place. */
static bool parse_mount(char *line, struct mount *m)
{
	char *field[5], *rest;
	unsigned i;

	for (i = 0; i < 5; i++) {
		field[i] = strsep(&line, " ");
		if (!line)
			return false;
	}
	/* Optional fields end with one that is "-". */
	rest = strstr(line, " - ");
	if (!rest)
		return false;
	rest += 3;
	unescape(field[3]);
	unescape(field[4]);
	m->root = field[3];
	m->point = field[4];
	m->type = strsep(&rest, " ");
	strsep(&rest, " ");
	m->options = rest ? rest : "";
	return true;
}

/* A path that begins so leads out of the thread's cgroup namespace. */
static bool is_outside(const char *path)
{
	return !strncmp(path, "/..", 3) && (!path[3] || path[3] == '/');
}

/* The part of the cgroup's path that is below the mount's root: "" is the root itself; NULL: the cgroup is not under it. */
static const char *below(const char *path, const char *root)
{
	size_t n = strlen(root);

	/* A root above the namespace is above the thread's cgroup as well, nobody knows by how much. */
	if (is_outside(path) != is_outside(root))
		return is_outside(root) ? "" : NULL;
	if (!strcmp(root, "/"))
		return strcmp(path, "/") ? path : "";
	return !strncmp(path, root, n) && (!path[n] || path[n] == '/') ? path + n : NULL;
}

/* ------------------------------------------------------------------ files */

struct reading {
	struct btn_capacity *out;
	const char *root;
	int watch;
};

/* All of a file, for free(); NULL: errno. */
static char *read_all(const char *path)
{
	size_t size = 4096, n = 0;
	char *text = NULL, *more;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	do {
		more = btn_mem_grow(text, n, size);
		if (!more) {
			errno = ENOMEM;
			break;
		}
		text = more;
		got = read(fd, text + n, size - n - 1);
		n += got > 0 ? (size_t)got : 0;
		size = n + 1 == size ? 2 * size : size;
	} while (got > 0 || (got < 0 && errno == EINTR));
	if (!more || got < 0) {
		btn_mem_free(text);
		text = NULL;
	} else {
		text[n] = 0;
	}
	close(fd);
	return text;
}

/* Opens a thread's own file; the process's, where this kernel has no such directory. */
static char *read_proc(const struct reading *r, const char *name)
{
	char path[PATH_MAX], *text;

	snprintf(path, sizeof(path), "%s/proc/thread-self/%s", r->root, name);
	text = read_all(path);
	if (text || errno != ENOENT)
		return text;
	snprintf(path, sizeof(path), "%s/proc/self/%s", r->root, name);
	return read_all(path);
}

/* Does every path begin at the hierarchy's root? The first cgroup namespace has a number of its own. */
static bool sees_all(const struct reading *r)
{
	char path[PATH_MAX], to[64];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/proc/self/ns/cgroup", r->root);
	n = readlink(path, to, sizeof(to) - 1);
	to[n < 0 ? 0 : n] = 0;
	return n < 0 || !strcmp(to, "cgroup:[4026531835]");
}

/* A control file of a cgroup. False: there is none; or it may not be read, and then the limit may be hidden. */
static bool read_control(struct reading *r, const char *dir, const char *name, char *text, size_t size)
{
	char path[PATH_MAX];
	ssize_t n = -1;
	int fd;

	if (snprintf(path, sizeof(path), "%s%s/%s", r->root, dir, name) >= (int)sizeof(path)) {
		r->out->hidden = true;
		return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	/* A controller that is not handed down has no file here. ENODEV: the cgroup was removed meanwhile. */
	if (n < 0) {
		r->out->hidden |= errno != ENOENT;
		return false;
	}
	text[n] = 0;
	if (r->watch >= 0)
		inotify_add_watch(r->watch, path, IN_MODIFY);
	return true;
}

static void read_limit(struct reading *r, const char *dir, bool v2)
{
	char quota[64], period[64];
	uint64_t ns = BTN_NO_LIMIT;
	bool valid = true;

	if (v2) {
		if (read_control(r, dir, "cpu.max", quota, sizeof(quota)))
			valid = parse_cpu_max(quota, &ns);
		/* The file's contents say nothing here: it is for the watch. */
		if (r->watch >= 0)
			read_control(r, dir, "cgroup.events", quota, sizeof(quota));
	} else if (read_control(r, dir, "cpu.cfs_quota_us", quota, sizeof(quota)) &&
		   read_control(r, dir, "cpu.cfs_period_us", period, sizeof(period))) {
		valid = parse_cfs(quota, period, &ns);
	}
	r->out->hidden |= !valid;
	if (valid && ns < r->out->limit) {
		r->out->limit = ns;
		snprintf(r->out->where, sizeof(r->out->where), "%.*s", (int)sizeof(r->out->where) - 1, dir);
	}
}

/* Only the nearest one says what there is; the others are for their watches. */
static void read_cpuset(struct reading *r, const char *dir, bool v2, bool *found)
{
	char list[4096];
	unsigned n;

	if (!*found && read_control(r, dir, v2 ? "cpuset.cpus.effective" : "cpuset.effective_cpus", list, sizeof(list))) {
		n = count_list(list);
		*found = n;
		if (n && n < r->out->cpus) {
			r->out->cpus = n;
			r->out->by = BTN_BY_CPUSET;
		}
	}
	if (r->watch >= 0)
		read_control(r, dir, "cpuset.cpus", list, sizeof(list));
}

enum wanted { LIMIT = 1, CPUSET = 2 };

/* From the thread's cgroup up to the mount's root. */
static void read_upwards(struct reading *r, const struct mount *m, const char *rest, enum wanted what, bool v2)
{
	bool found = false;
	char dir[PATH_MAX];
	size_t base = strlen(m->point);
	char *slash;

	if (!strcmp(m->point, "/"))
		base = 0;
	if (snprintf(dir, sizeof(dir), "%.*s%s", (int)base, m->point, rest) >= (int)sizeof(dir)) {
		r->out->hidden = true;
		return;
	}
	for (;;) {
		if (what & LIMIT)
			read_limit(r, dir, v2);
		if (what & CPUSET)
			read_cpuset(r, dir, v2, &found);
		slash = strrchr(dir + base, '/');
		if (!slash)
			return;
		*slash = 0;
	}
}

/* The hierarchy whose controllers these are ("": v2), in which the thread is at this path. */
static int read_hierarchy(struct reading *r, const char *mounts, const char *controllers, const char *path)
{
	bool v2 = !*controllers, whole = false;
	enum wanted what = v2 ? LIMIT | CPUSET : (has_word(controllers, "cpu") ? LIMIT : 0) |
						 (has_word(controllers, "cpuset") ? CPUSET : 0);
	char *copy, *line, *rest;
	const char *part;
	struct mount m;

	if (!what)
		return 0;
	rest = copy = btn_mem_text(mounts);
	if (!copy)
		return -ENOMEM;
	while ((line = strsep(&rest, "\n"))) {
		if (!parse_mount(line, &m) || strcmp(m.type, v2 ? "cgroup2" : "cgroup"))
			continue;
		if (!v2 && !has_word(m.options, what & LIMIT ? "cpu" : "cpuset"))
			continue;
		part = below(path, m.root);
		if (!part)
			continue;
		read_upwards(r, &m, part, what, v2);
		whole |= !strcmp(m.root, "/");
	}
	btn_mem_free(copy);
	if (what & LIMIT)
		r->out->hidden |= !whole || !sees_all(r);
	return 0;
}

int btn_capacity_read(struct btn_capacity *out, const char *root, unsigned cpus, int watch)
{
	struct reading r = { .out = out, .root = root, .watch = watch };
	char *groups, *mounts, *line, *rest, *controllers;
	int saved = errno, err = 0;

	*out = (struct btn_capacity){ .by = BTN_BY_CPUS, .cpus = cpus, .limit = BTN_NO_LIMIT };
	groups = read_proc(&r, "cgroup");
	mounts = read_proc(&r, "mountinfo");
	/* A kernel without cgroups has no such file, and no limits. */
	if (!groups || !mounts)
		out->hidden = groups || errno != ENOENT;
	/* "4:cpu,cpuacct:/a/b"; a path may have colons. */
	for (rest = groups; groups && mounts && !err && (line = strsep(&rest, "\n"));) {
		strsep(&line, ":");
		controllers = line ? strsep(&line, ":") : NULL;
		if (line)
			err = read_hierarchy(&r, mounts, controllers, line);
	}
	btn_mem_free(groups);
	btn_mem_free(mounts);
	out->ns = out->cpus * BTN_NSEC_PER_SEC;
	if (out->limit < out->ns) {
		out->ns = out->limit;
		out->by = BTN_BY_LIMIT;
	}
	errno = saved;
	return err;
}

void btn_capacity_say(const struct btn_capacity *c, char *to, size_t size)
{
	const char *what = c->by == BTN_BY_CPUS ? "that this process may use" : "of its cpuset";

	if (c->by == BTN_BY_LIMIT)
		snprintf(to, size, "%.2f CPUs, the limit of %s", (double)c->ns / BTN_NSEC_PER_SEC, c->where);
	else
		snprintf(to, size, "%u CPUs %s%s", c->cpus, what,
			 c->hidden ? "; limits of its cgroups cannot be read" : "");
}
