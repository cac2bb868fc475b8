// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-tasks - what a task costs, from when it is given to a scheduler until it has
 * ended, here and with what a C or C++ programmer would take instead.
 *
 * A measurement is a process of its own: so many threads, tasks that are not measured,
 * and then some tenths of a second of tasks. What counts is the CPU of the whole process, of the
 * thread that gives the tasks, too, or how many tasks end in a second. A value is
 * the median of its rounds. A ratio is of two that take turns, A B B A, in one
 * round: what disturbs the machine for longer than that is in both.
 *
 * The lines go to the benchmark quota, whose rows they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../baton/bench.h"
#include "lock.h"
#include "peer.h"

struct peer *peers;

#define MAX_ROUNDS 101
#define TOO_LONG 20		/* seconds */
#define CHILDREN 100

enum what { CPU, TIME, RATE };	/* ns of CPU or of time for one task; tasks in a second */

struct kase {
	const char *name, *peer;
	enum what what;
	bool fork_join;
	unsigned ns;		/* how long a task is */
};

/* A row, and the row that its ratio is to; NULL: it has none. */
static const struct row {
	struct kase a;
	struct kase to;
} rows[] = {
	{ { "task_0us", "task", CPU, false, 0 }, { "tbb_0us", "tbb", CPU, false, 0 } },
	{ { "pool_0us", "pool", CPU, false, 0 }, { "tbb_0us", "tbb", CPU, false, 0 } },
	{ { "taskflow_0us", "taskflow", CPU, false, 0 }, { "tbb_0us", "tbb", CPU, false, 0 } },
	{ { "uv_0us", "uv", CPU, false, 0 }, { "tbb_0us", "tbb", CPU, false, 0 } },
	{ { "go_0us", "go", CPU, false, 0 }, { "tbb_0us", "tbb", CPU, false, 0 } },
	{ { "runq_0us", "runq", CPU, false, 0 }, { "tbb_0us", "tbb", CPU, false, 0 } },
	{ { "task_5us", "task", RATE, false, 5000 }, { "pool_5us", "pool", RATE, false, 5000 } },
	{ { "tbb_5us", "tbb", RATE, false, 5000 }, { "pool_5us", "pool", RATE, false, 5000 } },
	{ { "taskflow_5us", "taskflow", RATE, false, 5000 }, { "pool_5us", "pool", RATE, false, 5000 } },
	{ { "uv_5us", "uv", RATE, false, 5000 }, { "pool_5us", "pool", RATE, false, 5000 } },
	{ { "runq_5us", "runq", RATE, false, 5000 }, { "pool_5us", "pool", RATE, false, 5000 } },
	{ { "task_10000_tenants", "tenants", CPU, false, 0 }, { "task_1_tenant", "task", CPU, false, 0 } },
	{ { "task_1024_slots", "slots", CPU, false, 0 }, { "task_2_slots", "task", CPU, false, 0 } },
	{ { "forkjoin", "task", CPU, true, 0 }, { "tbb_forkjoin", "tbb", CPU, true, 0 } },
	{ { "taskflow_forkjoin", "taskflow", CPU, true, 0 }, { "tbb_forkjoin", "tbb", CPU, true, 0 } },
	{ { "go_forkjoin", "go", CPU, true, 0 }, { "tbb_forkjoin", "tbb", CPU, true, 0 } },
	{ { "mutex_contended", "mutex", TIME, false, 0 }, { "pthread_mutex", "pthread_mutex", TIME, false, 0 } },
};
#define ROWS (sizeof(rows) / sizeof(*rows))

/* A measurement, from its process to ours. */
static struct outcome {
	double cpu, time;		/* ns of one task */
	double contended;		/* times that a lock was not free, of one task */
	bool ok;
} *out;

static unsigned threads;
static int rounds;

/* ---------------------------------------------------------------- the task */

static unsigned loops;

/* By thread, so that no two of them write one line. */
static struct count {
	_Alignas(128) _Atomic unsigned long n;
} counts[4096];
static _Atomic unsigned counters;
static __thread struct count *mine;

static void busy(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		__asm__ volatile("" : "+r"(i));
}

void peer_task(void)
{
	if (!mine)
		mine = &counts[atomic_fetch_add_explicit(&counters, 1, memory_order_relaxed) % 4096]; /* [COUNT-1] */
	busy(loops);
	/* [COUNT-1] relaxed: nothing but the number of what ended is asked. */
	atomic_fetch_add_explicit(&mine->n, 1, memory_order_relaxed); /* [COUNT-1] */
}

unsigned long peer_ended(void)
{
	unsigned i, n = atomic_load_explicit(&counters, memory_order_relaxed); /* [COUNT-1] */
	unsigned long sum = 0;

	for (i = 0; i < n && i < 4096; i++)
		sum += atomic_load_explicit(&counts[i].n, memory_order_relaxed); /* [COUNT-1] */
	return sum;
}

void peer_wait(unsigned long n)
{
	while (peer_ended() < n)
		usleep(100);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Loops of one ns, a thousand of them. */
static double loops_of_us(void)
{
	double best = 0, rate;
	uint64_t from;
	int i;

	for (i = 0; i < 9; i++) {
		from = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		busy(2000000);
		rate = 2000000 / ((double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - from) / 1000);
		best = rate > best ? rate : best;
	}
	return best;
}

/* ------------------------------------------------------------ measurements */

static const struct peer *find_peer(const char *name)
{
	const struct peer *p;

	for (p = peers; p && strcmp(p->name, name); p = p->next)
		;
	return p;
}

static void go_path(char *path, size_t room)
{
	ssize_t n = readlink("/proc/self/exe", path, room - 4);

	strcpy(path + (n < 0 ? 0 : n), "-go");
}

/* NULL, or the package that the peer of this case needs. */
static const char *lacks(const struct kase *k)
{
	const struct peer *p = find_peer(k->peer);
	char path[512];

	if (!strcmp(k->peer, "go")) {
		go_path(path, sizeof(path));
		return access(path, X_OK) ? "golang-go" : NULL;
	}
	return p->missing;
}

static void run_tasks(const struct kase *k, const struct peer *p, unsigned long n)
{
	if (k->fork_join)
		p->fork_join(n, CHILDREN);
	else
		p->flood(n);
}

/* In a child: the whole of one measurement. */
static void measure_here(const struct kase *k, unsigned long n)
{
	const struct peer *p = find_peer(k->peer);
	uint64_t cpu, from;
	uint64_t contended;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (p->start(threads))
		_exit(1);
	run_tasks(k, p, n < 20000 ? n : 20000);
	usleep(2000);
	contended = btn_lock_waits();
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	from = clock_ns(CLOCK_MONOTONIC);
	run_tasks(k, p, n);
	out->time = (double)(clock_ns(CLOCK_MONOTONIC) - from) / (double)n;
	out->cpu = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)n;
	out->contended = (double)(btn_lock_waits() - contended) / (double)n;
	out->ok = true;
	_exit(0);
}

/* In a child: the same by Go's program. */
static void measure_go(const struct kase *k, unsigned long n)
{
	char path[512], command[700];
	double cpu, time;
	FILE *f;

	go_path(path, sizeof(path));
	snprintf(command, sizeof(command), "'%s' %u %lu %u %u", path, threads, n, loops, k->fork_join ? CHILDREN : 0);
	f = popen(command, "r");
	if (f && fscanf(f, "%lf %lf", &cpu, &time) == 2) {
		out->cpu = cpu / (double)n;
		out->time = time / (double)n;
		out->ok = true;
	}
	_exit(0);
}

/* Sleeps until the child has ended, or for TOO_LONG. */
static void wait_child(pid_t pid)
{
	struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	int status;

	while (poll(&end, 1, TOO_LONG * 1000) < 0 && errno == EINTR)
		;
	close(end.fd);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static bool measure(const struct kase *k, unsigned long n, struct outcome *o)
{
	pid_t pid;

	memset(out, 0, sizeof(*out));
	fflush(NULL);
	pid = fork();
	if (!pid && !strcmp(k->peer, "go"))
		measure_go(k, n);
	if (!pid)
		measure_here(k, n);
	wait_child(pid);
	*o = *out;
	return o->ok;
}

/* How many tasks take that long, in whole hundreds. */
static unsigned long length(const struct kase *k, double seconds)
{
	unsigned long n = 2000;
	struct outcome o;
	int i;

	for (i = 0; i < 3; i++) {
		if (!measure(k, n, &o))
			return 0;
		n = (unsigned long)(seconds * 1e9 / o.time / (i < 2 ? 8 : 1)) / CHILDREN * CHILDREN;
		if (n < 2000)
			n = 2000;
	}
	return n;
}

static double value_of(const struct kase *k, const struct outcome *o)
{
	return k->what == CPU ? o->cpu : k->what == TIME ? o->time : 1e9 / o->time;
}

static void put_kase(const struct bench *b, const struct kase *k, double *v, int n, struct bench_result r)
{
	r.name = k->name;
	r.unit = k->what == RATE ? "ops/s" : "ns";
	r.value = n ? bench_median(v, (size_t)n) : 0;
	r.n = (unsigned long)n;
	bench_put(b, &r);
}

static void skip_kase(const struct bench *b, const struct kase *k, const char *why)
{
	put_kase(b, k, NULL, 0, (struct bench_result){ .skipped = why });
}

/* A row and its baseline, in turns; the baseline's own line once. */
static void put_row(const struct bench *b, const struct row *row, double us)
{
	static const char *put_before[ROWS];
	double a[2 * MAX_ROUNDS], to[2 * MAX_ROUNDS], ratio[MAX_ROUNDS], x, y, z, w;
	const double seconds = b->quick ? 0.1 : 0.3;
	struct bench_result r = { .baseline = row->to.name };
	unsigned long n, m;
	struct outcome o[4];
	char why[64];
	size_t i;
	int k, done = 0;

	if (!bench_wants(b, row->a.name))
		return;
	if (lacks(&row->a) || lacks(&row->to)) {
		snprintf(why, sizeof(why), "not built in (Debian: %s)", lacks(&row->a) ? lacks(&row->a) : lacks(&row->to));
		skip_kase(b, &row->a, why);
		return;
	}
	loops = (unsigned)(row->a.ns * us / 1000);
	n = length(&row->a, seconds);
	m = length(&row->to, seconds);
	for (k = 0; n && m && k < rounds; k++) {
		if (!measure(&row->a, n, &o[0]) || !measure(&row->to, m, &o[1]) || !measure(&row->to, m, &o[2]) ||
		    !measure(&row->a, n, &o[3]))
			continue;
		x = value_of(&row->a, &o[0]);
		y = value_of(&row->to, &o[1]);
		z = value_of(&row->to, &o[2]);
		w = value_of(&row->a, &o[3]);
		a[2 * done] = x;
		a[2 * done + 1] = w;
		to[2 * done] = y;
		to[2 * done + 1] = z;
		ratio[done++] = (x + w) / (y + z);
	}
	if (!done) {
		skip_kase(b, &row->a, "no result: it did not end within 20 s");
		return;
	}
	bench_spread(&r, ratio, (size_t)done);
	put_kase(b, &row->a, a, 2 * done, r);
	for (i = 0; i < ROWS && put_before[i]; i++)
		if (!strcmp(put_before[i], row->to.name))
			return;
	put_before[i] = row->to.name;
	put_kase(b, &row->to, to, 2 * done, (struct bench_result){ 0 });
}

/* Instructions of a task, by the difference of two runs under callgrind. */
static void put_instructions(const struct bench *b)
{
	static const struct {
		const char *row, *peer;
		bool fork_join;
	} each[] = { { "task_insn", "task", false }, { "pool_insn", "pool", false }, { "tbb_insn", "tbb", false },
		     { "forkjoin_insn", "task", true }, { "tbb_forkjoin_insn", "tbb", true } };
	char self[512], command[800], line[256];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	double insn[2];
	size_t i;
	FILE *f;
	int k;

	self[len < 0 ? 0 : len] = 0;
	for (i = 0; i < sizeof(each) / sizeof(*each); i++) {
		struct bench_result r = { .name = each[i].row, .unit = "insn", .n = 50000 };

		if (!bench_wants(b, each[i].row) || find_peer(each[i].peer)->missing)
			continue;
		for (k = 0; k < 2; k++) {
			insn[k] = 0;
			snprintf(command, sizeof(command), "valgrind --tool=callgrind --callgrind-out-file=/dev/null '%s' --one %s %d %d 2>&1",
				 self, each[i].peer, k ? 55000 : 5000, each[i].fork_join);
			f = popen(command, "r");
			while (f && fgets(line, sizeof(line), f))
				if (strstr(line, "Collected :"))
					insn[k] = atof(strchr(line, ':') + 1);
			if (f)
				pclose(f);
		}
		r.value = (insn[1] - insn[0]) / 50000;
		if (insn[0] <= 0 || insn[1] <= insn[0])
			r.skipped = "callgrind gave no number (Debian: valgrind)";
		bench_put(b, &r);
	}
}

/* For put_instructions(): n tasks in one slot. */
static int run_once(const char *name, unsigned long n, bool fork_join)
{
	const struct peer *p = find_peer(name);
	struct kase k = { .fork_join = fork_join };

	if (!p || p->missing || p->start(1))
		return 1;
	run_tasks(&k, p, n);
	fflush(NULL);
	_exit(0);
}

/* How often a lock was not free, for each task, where each task submits the next one. */
static void put_contended(const struct bench *b)
{
	static const struct kase k = { "lock_contended_per_task", "chains", CPU, false, 0 };
	struct bench_result r = { .name = k.name, .unit = "count" };
	double v[MAX_ROUNDS];
	struct outcome o;
	unsigned long n;
	int i, done = 0;

	if (!bench_wants(b, k.name))
		return;
	n = length(&k, b->quick ? 0.1 : 0.5);
	for (i = 0; i < rounds; i++)
		if (n && measure(&k, n, &o))
			v[done++] = o.contended;
	if (!done)
		r.skipped = "no result: it did not end within 20 s";
	else
		bench_spread(&r, v, (size_t)done);
	r.value = r.ratio;
	r.ratio = r.ratio_low = r.ratio_high = 0;
	r.n = (unsigned long)done;
	bench_put(b, &r);
}

int main(int argc, char **argv)
{
	struct bench b;
	double us;
	size_t i;
	int rc;

	if (argc == 5 && !strcmp(argv[1], "--one"))
		return run_once(argv[2], (unsigned long)atol(argv[3]), atoi(argv[4]));
	rc = bench_options(&b, "quota", "What a task costs here, and with what one would take instead.", argc, argv);
	if (rc)
		return rc - 1;
	rounds = b.rounds ? b.rounds : b.quick ? 3 : 9;
	if (rounds > MAX_ROUNDS)
		rounds = MAX_ROUNDS;
	/* As many as there are CPUs; 2 where there is one, for those that share it. */
	threads = bench_cpus() < 2 ? 2 : (unsigned)bench_cpus();
	out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (out == MAP_FAILED) {
		perror("bench-tasks: mmap");
		return 1;
	}
	bench_begin(&b);
	us = loops_of_us();
	for (i = 0; i < ROWS; i++)
		put_row(&b, &rows[i], us);
	put_contended(&b);
	put_instructions(&b);
	return bench_end(&b);
}
