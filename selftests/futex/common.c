// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * common.c - see common.h.
 */
#include "common.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

long sys_futex(uint32_t *uaddr, int op, uint32_t val, const void *timeout,
	       uint32_t *uaddr2, uint32_t val3)
{
	long ret = syscall(SYS_futex, uaddr, op, val, timeout, uaddr2, val3);

	return ret < 0 ? -errno : ret;
}

#ifdef __x86_64__
/* int80_call(args): args[0] is the number, then ebx, ecx, edx, esi, edi, ebp. */
long int80_call(const uint32_t *args);
__asm__(".text\n"
	"int80_call:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	mov 0(%rdi), %eax\n"
	"	mov 4(%rdi), %ebx\n"
	"	mov 8(%rdi), %ecx\n"
	"	mov 12(%rdi), %edx\n"
	"	mov 16(%rdi), %esi\n"
	"	mov 24(%rdi), %ebp\n"
	"	mov 20(%rdi), %edi\n"
	"	int $0x80\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	cltq\n"
	"	ret\n");

static uint32_t low(const volatile void *p)
{
	CHECK_ANY((uintptr_t)p >> 32 == 0);
	return (uintptr_t)p;
}

long int80_futex(int nr, uint32_t *uaddr, int op, uint32_t val, const void *timeout,
		 uint32_t *uaddr2, uint32_t val3)
{
	uint32_t args[] = { nr, low(uaddr), op, val, low(timeout), low(uaddr2), val3 };

	return int80_call(args);
}
#else
/* No 32-bit entry in this program: what tests it has no place here. */
#define MAP_32BIT 0

long int80_futex(int nr, uint32_t *uaddr, int op, uint32_t val, const void *timeout,
		 uint32_t *uaddr2, uint32_t val3)
{
	(void)nr, (void)uaddr, (void)op, (void)val, (void)timeout, (void)uaddr2, (void)val3;
	return -ENOSYS;
}
#endif

void *arena(size_t size)
{
	static char *next, *end;
	char *p;

	size = (size + 63) & ~63ul;
	if (!next || (size_t)(end - next) < size) {
		size_t chunk = size > 1 << 22 ? size : 1 << 22;

		next = mmap(NULL, chunk, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		CHECK_ANY(next != MAP_FAILED);
		end = next + chunk;
	}
	p = next;
	next += size;
	return p;
}

uint32_t *word(uint32_t val)
{
	uint32_t *w = arena(sizeof(*w));

	*w = val;
	return w;
}

int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	CHECK_ANY(!clock_gettime(clock, &ts));
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

struct timespec to_ts(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NSEC, .tv_nsec = ns % NSEC };
}

int64_t patience(void)
{
	const char *s = getenv("SWAP_PATIENCE");

	return (s ? atoi(s) : 60) * NSEC;
}

void nap(void)
{
	struct timespec ts = { .tv_nsec = 2000000 };

	nanosleep(&ts, NULL);
}

bool until(bool (*cond)(void *arg), void *arg)
{
	int64_t give_up = now_ns(CLOCK_MONOTONIC) + patience();

	while (!cond(arg)) {
		if (now_ns(CLOCK_MONOTONIC) > give_up)
			return false;
		nap();
	}
	return true;
}

struct call *call_new(int op, uint32_t *uaddr, uint32_t val, uint32_t *uaddr2)
{
	struct call *c = arena(sizeof(*c));

	c->op = op;
	c->uaddr = uaddr;
	c->val = val;
	c->uaddr2 = uaddr2;
	c->cpu = -1;
	return c;
}

static void call_run(struct call *c)
{
	if (c->cpu >= 0)
		pin(0, c->cpu);
	c->tid = gettid();
	if (c->before)
		c->before(c);
	if (c->nr32)
		c->ret = int80_futex(c->nr32, c->uaddr, c->op, c->val, c->timeout,
				     c->uaddr2, c->val3);
	else
		c->ret = sys_futex(c->uaddr, c->op, c->val, c->timeout, c->uaddr2, c->val3);
	c->ran_on = sched_getcpu();
	c->ended = now_ns(CLOCK_MONOTONIC);
	if (c->after)
		c->after(c);
	c->done = true;
}

static void *call_entry(void *arg)
{
	call_run(arg);
	return NULL;
}

static bool has_tid(void *arg)
{
	return ((struct call *)arg)->tid != 0;
}

void call_thread(struct call *c)
{
	CHECK_ANY(!pthread_create(&c->thread, NULL, call_entry, c));
	pthread_detach(c->thread);
	CHECK(until(has_tid, c));
}

void call_fork(struct call *c)
{
	pid_t pid = fork();

	CHECK_ANY(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		call_run(c);
		_exit(0);
	}
	c->pid = pid;	/* ours to write: the child shares it */
	CHECK(until(has_tid, c));
}

struct call *wait_on(uint32_t *uaddr, bool private_)
{
	struct call *c = call_new(FUTEX_WAIT | (private_ ? FUTEX_PRIVATE_FLAG : 0), uaddr,
				  *uaddr, NULL);

	call_thread(c);
	call_until_asleep(c);
	return c;
}

struct call *swap_to(uint32_t *uaddr, uint32_t *uaddr2, const struct timespec *timeout)
{
	struct call *c = call_new(SWAP_PRIVATE, uaddr, *uaddr, uaddr2);

	if (timeout) {
		struct timespec *ts = arena(sizeof(*ts));

		*ts = *timeout;
		c->timeout = ts;
	}
	call_thread(c);
	call_until_asleep(c);
	return c;
}

bool read_line(const char *path, char *buf, size_t size)
{
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return false;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return true;
}

bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = write(fd, text, strlen(text));
	if (n < 0) {
		int err = errno;

		close(fd);
		errno = err;
		return false;
	}
	close(fd);
	return true;
}

char state_of(pid_t tid)
{
	char path[64], buf[512], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	if (!read_line(path, buf, sizeof(buf)))
		return 0;
	p = strrchr(buf, ')');
	return p && p[1] ? p[2] : 0;
}

/*
 * /proc/TID/syscall waits until the task is off its CPU, so a task that only
 * has set its state and is not yet queued is not taken for asleep.
 */
bool asleep_on(pid_t tid, uint32_t *uaddr)
{
	char path[64], buf[256];
	unsigned long arg;
	int nr;

	if (state_of(tid) != 'S')
		return false;
	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	if (!read_line(path, buf, sizeof(buf)))
		return false;
	switch (sscanf(buf, "%d 0x%lx", &nr, &arg)) {
	case 2:
		/* A restarted call no longer shows its arguments. */
		if (nr == SYS_restart_syscall || nr == 0 || nr == 449)
			return true;
		return (nr == SYS_futex || nr == NR32_FUTEX || nr == NR32_FUTEX_TIME64) &&
		       (!uaddr || (uint32_t *)arg == uaddr);
	}
	return false;
}

bool call_asleep(struct call *c)
{
	return !c->done && asleep_on(c->tid, c->uaddr) && !c->done;
}

static bool asleep_or_done(void *arg)
{
	struct call *c = arg;

	return c->done || call_asleep(c);
}

void call_until_asleep(struct call *c)
{
	bool ok = until(asleep_or_done, c);

	CHECK_MSG(!c->done, "call %#x did not sleep but returned %ld", c->op, c->ret);
	CHECK_MSG(ok, "call %#x is neither asleep nor done, but '%c'", c->op, state_of(c->tid));
}

bool call_done(struct call *c)
{
	return c->done;
}

static bool is_done(void *arg)
{
	return call_done(arg);
}

long call_result(struct call *c)
{
	CHECK_MSG(until(is_done, c), "call %#x never ended, state '%c'", c->op, state_of(c->tid));
	if (c->pid) {
		waitpid(c->pid, NULL, 0);
		c->pid = 0;
	}
	return c->ret;
}

long call_now(uint32_t *uaddr, int op, uint32_t val, const void *timeout,
	      uint32_t *uaddr2, uint32_t val3)
{
	struct call *c = call_new(op, uaddr, val, uaddr2);
	int64_t give_up;

	c->timeout = timeout;
	c->val3 = val3;
	call_thread(c);
	/* A call whose time is up may be seen asleep for a moment. */
	give_up = now_ns(CLOCK_MONOTONIC) + (timeout ? 5 * NSEC : 0);
	while (!c->done) {
		CHECK_MSG(!call_asleep(c) || now_ns(CLOCK_MONOTONIC) < give_up,
			  "call %#x sleeps, it should have returned", op);
		nap();
	}
	return c->ret;
}

int calls_done(struct call **c, int n)
{
	int i, done = 0;

	for (i = 0; i < n; i++)
		done += c[i]->done;
	return done;
}

void calls_settle(struct call **c, int total, int n)
{
	int64_t give_up = now_ns(CLOCK_MONOTONIC) + patience();
	int i, done, asleep;

	do {
		for (i = done = asleep = 0; i < total; i++) {
			if (call_asleep(c[i]))
				asleep++;
			else
				done += c[i]->done;
		}
		if (done + asleep == total && (done == n || done > n))
			break;
		nap();
	} while (now_ns(CLOCK_MONOTONIC) < give_up);
	CHECK_MSG(done == n && asleep == total - n,
		  "of %d waiters %d were woken, not %d, and %d still sleep", total, done, n, asleep);
}

void calls_end(struct call **c, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (c[i]->done)
			continue;
		CHECK_MSG(sys_futex(c[i]->uaddr, FUTEX_WAKE | (c[i]->op & FUTEX_PRIVATE_FLAG), 1,
				    NULL, NULL, 0) == 1,
			  "a sleeping waiter is not on its futex any more");
	}
	for (i = 0; i < n; i++)
		CHECK(call_result(c[i]) >= 0);
}

static bool in_states(void *arg)
{
	const void **a = arg;
	char s = state_of(*(pid_t *)a[0]);

	return s && strchr(a[1], s);
}

void until_state(pid_t tid, const char *states)
{
	const void *a[] = { &tid, states };

	CHECK_MSG(until(in_states, a), "thread %d is '%c', none of \"%s\"", tid, state_of(tid), states);
}

void pin(pid_t tid, int cpu)
{
	cpu_set_t set;
	int i;

	CPU_ZERO(&set);
	if (cpu >= 0)
		CPU_SET(cpu, &set);
	else
		for (i = 0; i < CPU_SETSIZE; i++)
			CPU_SET(i, &set);
	CHECK_ANY(!sched_setaffinity(tid, sizeof(set), &set));
}

int n_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

bool is_debug_kernel(void)
{
	return !access("/proc/lockdep", F_OK) || !access("/proc/lockdep_stats", F_OK);
}

#define COUNTERS "/sys/kernel/debug/sched/handover"
#define MAX_COUNTERS 32

struct counters {
	int n;
	char name[MAX_COUNTERS][64];
	long value[MAX_COUNTERS];
};

static struct counters base;	/* at the last reset */

static bool counters_read(struct counters *c)
{
	FILE *f;

	if (access("/sys/kernel/debug/sched", F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	f = fopen(COUNTERS, "r");
	if (!f)
		return false;
	for (c->n = 0; c->n < MAX_COUNTERS; c->n++)
		if (fscanf(f, "%63s %ld", c->name[c->n], &c->value[c->n]) != 2)
			break;
	fclose(f);
	return true;
}

long counter(const char *prefix)
{
	struct counters now;
	long sum = 0;
	int i;

	CHECK_MSG(counters_read(&now), "this kernel has no %s", COUNTERS);
	for (i = 0; i < now.n; i++)
		if (!strncmp(now.name[i], prefix, strlen(prefix)))
			sum += now.value[i] - (i < base.n ? base.value[i] : 0);
	return sum;
}

void counters_reset(void)
{
	/* Counters are checked after what can be seen from outside. */
	if (!counters_read(&base))
		base.n = 0;
}

void counters_show(const char *title)
{
	struct counters now;
	int i;

	if (!counters_read(&now))
		return;
	printf("# %s:", title);
	for (i = 0; i < now.n; i++)
		if (now.value[i] - base.value[i])
			printf(" %s %ld", now.name[i], now.value[i] - base.value[i]);
	putchar('\n');
}

static char *join(const char *a, const char *b)
{
	char *s = NULL;

	CHECK_ANY(asprintf(&s, "%s/%s", a, b) > 0);
	return s;
}

static const char *cgroup_root(void)
{
	static char root[256];
	char dev[256], type[64];
	FILE *f;

	if (root[0])
		return root;
	f = fopen("/proc/mounts", "r");
	CHECK(f);
	while (fscanf(f, "%255s %255s %63s %*[^\n]", dev, root, type) == 3)
		if (!strcmp(type, "cgroup2"))
			break;
		else
			root[0] = 0;
	fclose(f);
	if (!root[0]) {
		char dir[] = "/tmp/swap-cgroup-XXXXXX";

		CHECK(mkdtemp(dir));
		CHECK(!mount("cgroup2", dir, "cgroup2", 0, NULL));
		strcpy(root, dir);
	}
	cgroup_write(root, "cgroup.subtree_control", "+cpu");
	return root;
}

const char *cgroup_sub(const char *cgroup, const char *name)
{
	char *dir = join(cgroup, name);

	CHECK_MSG(!mkdir(dir, 0755), "%s: %s", dir, strerror(errno));
	return dir;
}

const char *cgroup_new(const char *name)
{
	static int n;
	char unique[64];
	const char *dir;
	char *file;

	snprintf(unique, sizeof(unique), "swap-%d-%d-%s", getpid(), n++, name);
	dir = cgroup_sub(cgroup_root(), unique);
	file = join(dir, "cpu.max");
	CHECK_MSG(!access(file, W_OK), "%s: the cpu controller is missing", dir);
	free(file);
	return dir;
}

bool cgroup_write(const char *cgroup, const char *file, const char *text)
{
	char *path = join(cgroup, file);
	bool ok = write_file(path, text);

	free(path);
	return ok;
}

long cgroup_value(const char *cgroup, const char *file, const char *key)
{
	char *path = join(cgroup, file), name[64];
	long value, found = -1;
	FILE *f = fopen(path, "r");

	free(path);
	if (!f)
		return -1;
	while (fscanf(f, "%63s %ld", name, &value) == 2)
		if (!strcmp(name, key))
			found = value;
	fclose(f);
	return found;
}

bool cgroup_enter(const char *cgroup, pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", pid);
	return cgroup_write(cgroup, "cgroup.procs", text);
}

static bool rmdir_works(void *arg)
{
	return !rmdir(arg) || errno == ENOENT;
}

void cgroup_delete(const char *cgroup)
{
	until(rmdir_works, (void *)cgroup);
}

bool swap_absent(void)
{
	uint32_t w[2] = { 0, 0 };

	/* Not the library's probe: a kernel that gets that wrong must not hang us. */
	if (sys_futex(&w[0], SWAP_PRIVATE, 1, NULL, &w[1], 0) != -ENOSYS)
		return false;
	puts("1..1\nnot ok 1 - present\n# this kernel has no FUTEX_SWAP");
	return true;
}
