// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"
#include "detect_load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

unsigned long long detect_pid_start(pid_t pid)
{
	unsigned long long start = 0;
	char name[64], stat[1024], *p;
	FILE *f;
	size_t n;
	int i;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	f = fopen(name, "re");
	if (!f)
		return 0;
	n = fread(stat, 1, sizeof(stat) - 1, f);
	fclose(f);
	stat[n] = 0;
	/* The name is in parentheses and may be anything; the 22nd is the time. */
	p = strrchr(stat, ')');
	for (i = 2; p && i < 22; i++)
		p = strchr(p + 1, ' ');
	if (p)
		sscanf(p, "%llu", &start);
	return start;
}

#ifndef HAVE_BPF

int detect_look_around(const char *who, FILE *say)
{
	fprintf(say, "baton: built without BPF; install clang, libbpf-dev and bpftool (Debian's names), remove %s, and build again\n",
		"build/config.mk");
	return -ENOSYS;
}

int detect_load(struct detect *d, const char *pins, const struct detect_knobs *knobs)
{
	return detect_look_around("`baton load`", stderr);
}

int detect_open(struct detect *d, const char *pins, FILE *say)
{
	return detect_look_around("`baton load`", say);
}

int detect_unload(const char *pins)
{
	return detect_load(NULL, pins, NULL);
}

int detect_begin(struct detect *d, unsigned session, pid_t pid, uid_t uid, unsigned workers, int fd[2])
{
	return -ENOSYS;
}

void detect_shut(struct detect *d, unsigned session)
{
}

void detect_forget(struct detect *d, unsigned session)
{
}

void detect_end(struct detect *d, unsigned session)
{
}

void detect_close(struct detect *d)
{
}

#else

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* The generated file is as libbpf makes it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include "bpf/detect.skel.h"
#include "bpf/hook.skel.h"
#pragma GCC diagnostic pop

/* Newer than Debian 12's headers and libbpf. */
#define F_LINK		(1u << 13)
#define LINK_STRUCT_OPS	44

/* The version is part of the name of the first file that is looked for. */
#define STRING(x) STRING2(x)
#define STRING2(x) #x
#define MARK "version-" STRING(BATON_DETECT_VERSION)

static char libbpf_said[2048];

/* libbpf's messages are kept for when there is nothing better to say. */
static int keep(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	size_t n = strlen(libbpf_said);

	if (level == LIBBPF_WARN && n < sizeof(libbpf_said) - 1)
		vsnprintf(libbpf_said + n, sizeof(libbpf_said) - n, fmt, ap);
	return 0;
}

static bool capable(int cap)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	return !syscall(SYS_capget, &h, data) &&
	       data[cap / 32].effective >> (cap % 32) & 1;
}

static bool locked_down(char *how, size_t size)
{
	FILE *f = fopen("/sys/kernel/security/lockdown", "re");
	char line[128] = "", *p, *end;

	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	fclose(f);
	p = strchr(line, '[');
	end = p ? strchr(p, ']') : NULL;
	if (!end || !strncmp(p, "[none]", 6))
		return false;
	*end = 0;
	snprintf(how, size, "%s", p + 1);
	return true;
}

int detect_look_around(const char *who, FILE *say)
{
	struct utsname u;
	int major = 0, minor = 0;

	libbpf_set_print(keep);
	libbpf_said[0] = 0;
	if (!capable(CAP_SYS_ADMIN) && !(capable(CAP_BPF) && capable(CAP_PERFMON))) {
		fprintf(say, "baton: %s needs CAP_BPF and CAP_PERFMON, this process has %s; run it as root\n", who,
			capable(CAP_BPF) ? "only the first" : capable(CAP_PERFMON) ? "only the second" : "neither");
		return -EPERM;
	}
	uname(&u);
	sscanf(u.release, "%d.%d", &major, &minor);
	/* Before that a process without CAP_BPF cannot run a program it was handed. */
	if (major < 6) {
		fprintf(say, "baton: this kernel is %s; the programs need Linux 6.0 or later\n", u.release);
		return -EOPNOTSUPP;
	}
	if (access("/sys/kernel/btf/vmlinux", R_OK)) {
		fprintf(say, "baton: this kernel has no BTF (no /sys/kernel/btf/vmlinux); it needs CONFIG_DEBUG_INFO_BTF=y\n");
		return -ENOENT;
	}
	return 0;
}

int detect_explain(int err, const char *what, FILE *say)
{
	char mode[64];

	if (err == -EPERM && locked_down(mode, sizeof(mode)))
		fprintf(say, "baton: %s: the kernel is locked down (%s); boot with lockdown=none\n", what, mode);
	else
		fprintf(say, "baton: %s: %s\n%s", what, strerror(-err), libbpf_said);
	return err;
}

/* The directory for the pins; mounts a BPF file system where there is none. */
static int make_pins(const char *pins)
{
	char parent[256];
	struct statfs fs;
	char *slash;
	int err;

	snprintf(parent, sizeof(parent), "%s", pins);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return -EINVAL;
	*slash = 0;
	if (statfs(parent, &fs) || fs.f_type != BPF_FS_MAGIC) {
		if (mount("bpf", parent, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700")) {
			err = -errno;
			fprintf(stderr, "baton: %s is no BPF file system, and none can be mounted there: %s\n",
				parent, strerror(-err));
			return err;
		}
	}
	if (mkdir(pins, 0700) && errno != EEXIST) {
		err = -errno;
		fprintf(stderr, "baton: cannot make %s: %s\n", pins, strerror(-err));
		return err;
	}
	return 0;
}

static int pinned(const struct detect *d, const char *name)
{
	char path[320];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", d->pins, name);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

/* Another version's mark in the directory: its number; 0: none. */
static int other_version(const char *pins)
{
	DIR *dir = opendir(pins);
	struct dirent *e;
	int v = 0;

	while (dir && !v && (e = readdir(dir)))
		sscanf(e->d_name, "version-%d", &v);
	if (dir)
		closedir(dir);
	return v == BATON_DETECT_VERSION ? 0 : v;
}

void detect_close(struct detect *d)
{
	int *fds[] = { &d->cells, &d->doorbells, &d->sessions, &d->join };
	unsigned i;

	if (d->session)
		munmap(d->session, BATON_SESSIONS * sizeof(*d->session));
	d->session = NULL;
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
}

static int open_pins(struct detect *d)
{
	char hook[320];
	void *p;

	d->cells = pinned(d, "baton_cells");
	d->doorbells = pinned(d, "baton_doorbells");
	d->sessions = pinned(d, "baton_sessions");
	d->join = pinned(d, "baton_join");
	if (d->cells < 0 || d->doorbells < 0 || d->sessions < 0 || d->join < 0) {
		detect_close(d);
		return -ENOENT;
	}
	p = mmap(NULL, BATON_SESSIONS * sizeof(*d->session), PROT_READ | PROT_WRITE, MAP_SHARED, d->sessions, 0);
	if (p == MAP_FAILED) {
		detect_close(d);
		return -ENOMEM;
	}
	d->session = p;
	snprintf(hook, sizeof(hook), "%s/link_hook", d->pins);
	d->notifies = !access(hook, F_OK);
	return 0;
}

int detect_open(struct detect *d, const char *pins, FILE *say)
{
	char mark[320];
	int v = other_version(pins), err;

	memset(d, 0, sizeof(*d));
	d->cells = d->doorbells = d->sessions = d->join = -1;
	snprintf(d->pins, sizeof(d->pins), "%s", pins);
	if (v) {
		fprintf(say, "baton: the programs of another version of baton (%d, this one has %d) are loaded in %s; `baton unload` removes them\n",
			v, BATON_DETECT_VERSION, pins);
		return -EBUSY;
	}
	snprintf(mark, sizeof(mark), "%s/" MARK, pins);
	if (access(mark, F_OK))
		return errno == ENOENT ? -ENOENT : -errno;
	err = open_pins(d);
	if (err)
		fprintf(say, "baton: %s is not complete; `baton unload` removes it\n", pins);
	return err == -ENOENT ? -EBUSY : err;
}

int detect_workers(const struct detect *d)
{
	return pinned(d, "baton_workers");
}

struct pin {
	const char *name;
	int fd;
};

static int pin_all(struct detect *d, const struct pin *pin, unsigned n)
{
	char path[320];
	unsigned i;
	int err;

	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", d->pins, pin[i].name);
		if (bpf_obj_pin(pin[i].fd, path)) {
			err = detect_explain(-errno, d->pins, stderr);
			detect_unload(d->pins);
			return err;
		}
	}
	return 0;
}

#define SET_KNOBS(SKEL, KNOBS) do {                                                       \
	if (KNOBS) {                                                                      \
		(SKEL)->rodata->delay = (KNOBS)->delay;                                   \
		(SKEL)->rodata->broken = (KNOBS)->broken;                                 \
		(SKEL)->rodata->nothing = (KNOBS)->nothing;                               \
	}                                                                                 \
} while (0)

static int load_tracepoints(struct detect *d, const struct detect_knobs *knobs)
{
	struct detect_bpf *skel = detect_bpf__open();
	int err;

	if (!skel)
		return detect_explain(-errno, "cannot read the programs", stderr);
	SET_KNOBS(skel, knobs);
	err = detect_bpf__load(skel);
	if (err) {
		err = detect_explain(err, "the kernel does not take the programs", stderr);
		goto out;
	}
	err = detect_bpf__attach(skel);
	if (err) {
		err = detect_explain(err, "the programs cannot be attached to the scheduler's tracepoints", stderr);
		goto out;
	}
	const struct pin pins[] = {
		{ "baton_cells", bpf_map__fd(skel->maps.baton_cells) },
		{ "baton_doorbells", bpf_map__fd(skel->maps.baton_doorbells) },
		{ "baton_sessions", bpf_map__fd(skel->maps.baton_sessions) },
		{ "baton_workers", bpf_map__fd(skel->maps.baton_workers) },
		{ "baton_join", bpf_program__fd(skel->progs.baton_join) },
		{ "link_switch", bpf_link__fd(skel->links.baton_switch) },
		{ "link_wakeup", bpf_link__fd(skel->links.baton_wakeup) },
		{ "link_exec", bpf_link__fd(skel->links.baton_exec) },
		/* Last: with it, the others are there. */
		{ MARK, bpf_map__fd(skel->maps.baton_sessions) },
	};
	err = pin_all(d, pins, sizeof(pins) / sizeof(pins[0]));
out:
	detect_bpf__destroy(skel);
	return err;
}

/*
 * The link is what keeps the programs registered: with its last pin and
 * descriptor gone, they are not, and the kernel lets go whoever it stopped. A
 * libbpf before 1.2 knows nothing of it, and only fills in the map.
 */
static int link_hook(const struct bpf_map *map, struct bpf_link **of_map, int *fd)
{
	union bpf_attr attr = { 0 };
	int tries;

	*of_map = bpf_map__attach_struct_ops(map);
	if (!*of_map)
		return -errno;
	if (bpf_link__fd(*of_map) != bpf_map__fd(map)) {
		*fd = dup(bpf_link__fd(*of_map));
		return *fd < 0 ? -errno : 0;
	}
	attr.link_create.prog_fd = bpf_map__fd(map);
	attr.link_create.attach_type = LINK_STRUCT_OPS;
	/* The one before, unloaded just now, may still be on its way out. */
	for (tries = 0; ; tries++) {
		*fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
		if (*fd >= 0)
			return 0;
		if (errno != EBUSY || tries == 50)
			return -errno;
		usleep(100000);
	}
}

static int load_hook(struct detect *d, const struct detect_knobs *knobs)
{
	struct hook_bpf *skel = hook_bpf__open();
	struct bpf_link *of_map = NULL;
	int err, fd = -1;

	if (!skel)
		return detect_explain(-errno, "cannot read the programs", stderr);
	SET_KNOBS(skel, knobs);
	err = bpf_map__set_map_flags(skel->maps.baton_hook, F_LINK);
	if (!err)
		err = hook_bpf__load(skel);
	if (err) {
		err = detect_explain(err, "the kernel does not take the programs for its hook", stderr);
		goto out;
	}
	err = link_hook(skel->maps.baton_hook, &of_map, &fd);
	if (err) {
		err = detect_explain(err, err == -EBUSY ? "another program has the kernel's hook (bpftool struct_ops)" :
			      "the programs cannot be attached to the kernel's hook", stderr);
		goto out;
	}
	const struct pin pins[] = {
		{ "baton_cells", bpf_map__fd(skel->maps.baton_cells) },
		{ "baton_doorbells", bpf_map__fd(skel->maps.baton_doorbells) },
		{ "baton_sessions", bpf_map__fd(skel->maps.baton_sessions) },
		{ "baton_join", bpf_program__fd(skel->progs.baton_join) },
		{ "link_hook", fd },
		/* Last: with it, the others are there. */
		{ MARK, bpf_map__fd(skel->maps.baton_sessions) },
	};
	err = pin_all(d, pins, sizeof(pins) / sizeof(pins[0]));
out:
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(of_map);
	hook_bpf__destroy(skel);
	return err;
}

/* The kernel's own types say whether it has the patches' hook, in this form. */
static bool has_hook(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has = btf && btf__find_by_name_kind(btf, "sched_block_ops", BTF_KIND_STRUCT) > 0 &&
		   btf__find_by_name_kind(btf, "bpf_sched_block_park", BTF_KIND_FUNC) > 0 &&
		   btf__find_by_name_kind(btf, "bpf_sched_block_wake", BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return has;
}

int detect_load(struct detect *d, const char *pins, const struct detect_knobs *knobs)
{
	enum detect_with with = knobs ? knobs->with : DETECT_AUTO;
	struct utsname u;
	bool hook;
	int err;

	err = detect_look_around("`baton load`", stderr);
	if (err)
		return err;
	uname(&u);
	err = detect_open(d, pins, stderr);
	if (err != -ENOENT) {
		snprintf(d->how, sizeof(d->how), "%s, taken over", d->notifies ? "the kernel's hook" : "tracepoints");
		return err;
	}
	hook = has_hook();
	if (with == DETECT_HOOK && !hook) {
		fprintf(stderr, "baton: --with hook: Linux %s has no sched_block_ops (CONFIG_SCHED_BLOCK_HOOK=y)\n",
			u.release);
		return -EOPNOTSUPP;
	}
	err = make_pins(pins);
	if (err)
		return err;
	if (hook && with != DETECT_TRACEPOINTS) {
		err = load_hook(d, knobs);
		snprintf(d->how, sizeof(d->how), "the kernel's hook, as Linux %.40s has sched_block_ops", u.release);
	} else {
		err = load_tracepoints(d, knobs);
		if (hook)
			snprintf(d->how, sizeof(d->how), "tracepoints, as it was told to");
		else
			snprintf(d->how, sizeof(d->how), "tracepoints, as Linux %.40s has no sched_block_ops", u.release);
	}
	if (err)
		rmdir(pins);
	return err ? err : open_pins(d);
}

int detect_unload(const char *pins)
{
	DIR *dir = opendir(pins);
	struct dirent *e;
	struct statfs fs;
	int err;

	if (!dir)
		return -errno;
	if (fstatfs(dirfd(dir), &fs) || fs.f_type != BPF_FS_MAGIC) {
		closedir(dir);
		fprintf(stderr, "baton: %s is not in a BPF file system: nothing of it was removed\n", pins);
		return -EINVAL;
	}
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
	err = rmdir(pins) ? -errno : 0;
	if (err)
		fprintf(stderr, "baton: cannot remove %s: %s\n", pins, strerror(-err));
	return err;
}

static int make_maps(unsigned cells, int fd[2])
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	int err;

	fd[0] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "baton_cell", sizeof(__u32), sizeof(struct baton_cell), cells, &opts);
	if (fd[0] < 0)
		return -errno;
	fd[1] = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "baton_bell", 0, 0, 4096, NULL);
	if (fd[1] >= 0)
		return 0;
	err = -errno;
	close(fd[0]);
	return err;
}

int detect_begin(struct detect *d, unsigned session, pid_t pid, uid_t uid, unsigned workers, int fd[2])
{
	struct baton_session *s = &d->session[session];
	unsigned cells = workers > BATON_CELLS_MAX ? BATON_CELLS_MAX : workers + BATON_CELL_FIRST;
	__u32 i = session;
	int err;

	if (cells < BATON_CELLS_MIN)
		cells = BATON_CELLS_MIN;
	err = make_maps(cells, fd);
	if (err)
		return err;
	if (bpf_map_update_elem(d->cells, &i, &fd[0], BPF_ANY) ||
	    bpf_map_update_elem(d->doorbells, &i, &fd[1], BPF_ANY)) {
		err = -errno;
		close(fd[0]);
		close(fd[1]);
		detect_end(d, i);
		return err;
	}
	s->tgid = 0;
	s->start = 0;
	s->pid = pid;
	s->uid = uid;
	s->pid_start = detect_pid_start(pid);
	s->cells = cells;
	s->since = time(NULL);
	do {
		if (getrandom(&s->token, sizeof(s->token), 0) != sizeof(s->token))
			s->token = 0;
	} while (!s->token);
	return 0;
}

void detect_shut(struct detect *d, unsigned session)
{
	struct baton_session *s = &d->session[session];

	__atomic_store_n(&s->token, 0, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&s->gen, 1, __ATOMIC_SEQ_CST);
}

void detect_forget(struct detect *d, unsigned session)
{
	__u32 i = session;

	bpf_map_delete_elem(d->cells, &i);
	bpf_map_delete_elem(d->doorbells, &i);
}

void detect_end(struct detect *d, unsigned session)
{
	detect_shut(d, session);
	detect_forget(d, session);
}

#endif
