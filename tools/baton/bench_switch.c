// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton bench switch - what it costs to hand the CPU to another thread, one way.
 *
 * Two threads pass a turn to and fro; the time of that, divided by the number
 * of turns passed, is the value. Each measurement is a process of its own, so
 * that affinity, class, nice value, cgroup and the library's backend start
 * fresh. Rounds run every case once, one after the other, and a ratio is taken
 * within its round: what disturbs the machine for longer than a round disturbs
 * both sides of it.
 *
 * The turn is the only thing the two threads share [TURN-1]: the release store
 * that passes it pairs with the acquire load that finds it. (Where they only
 * yield, there is a flag that ends it and orders nothing [TURN-2].)
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <baton/baton.h>

#include "baton.h"
#include "atomic.h"
#include "bench.h"
#include "cgroup.h"
#include "fiber.h"
#include "futex_sys.h"

enum how { NULL_SYSCALL, FIBER, YIELD, PIPE, WAKEWAIT, SWAP, LIB };
enum who { ALIKE, FIFO, NICE, CGROUP };

struct kase {
	const char *name, *baseline;
	enum how how;
	enum who who;
	bool unpinned;
	bool nopreempt;		/* the kernel's wake-up preemption is off */
	bool handover;		/* value: % of hand-overs that were direct */
	bool simple;		/* only where FUTEX_SWAP is a wake-up and a wait, no more */
	const char *backend;	/* for LIB */
};

static const struct kase cases[] = {
	{ .name = "null_syscall", .how = NULL_SYSCALL },
	{ .name = "fiber", .how = FIBER, .baseline = "null_syscall" },
	{ .name = "sched_yield_normal", .how = YIELD },
	{ .name = "sched_yield_fifo", .how = YIELD, .who = FIFO, .baseline = "sched_yield_normal" },
	{ .name = "pipe_pingpong", .how = PIPE, .baseline = "sched_yield_normal" },
	{ .name = "wakewait_pinned", .how = WAKEWAIT, .baseline = "sched_yield_normal" },
	{ .name = "wakewait_pinned_nopreempt", .how = WAKEWAIT, .nopreempt = true,
	  .baseline = "sched_yield_normal" },
	{ .name = "wakewait_unpinned", .how = WAKEWAIT, .unpinned = true,
	  .baseline = "sched_yield_normal" },
	{ .name = "wakewait_nice", .how = WAKEWAIT, .who = NICE, .baseline = "sched_yield_normal" },
	{ .name = "wakewait_cgroup", .how = WAKEWAIT, .who = CGROUP, .baseline = "sched_yield_normal" },
	{ .name = "swap_pinned", .how = SWAP, .baseline = "sched_yield_normal" },
	{ .name = "swap_unpinned", .how = SWAP, .unpinned = true, .baseline = "sched_yield_normal" },
	{ .name = "swap_unpinned_vs_wakewait", .how = SWAP, .unpinned = true,
	  .baseline = "wakewait_unpinned" },
	{ .name = "swap_nice_vs_wakewait", .how = SWAP, .who = NICE, .baseline = "wakewait_nice" },
	{ .name = "swap_cgroup_vs_wakewait", .how = SWAP, .who = CGROUP, .baseline = "wakewait_cgroup" },
	{ .name = "swap_simple_pinned", .how = SWAP, .simple = true, .baseline = "sched_yield_normal" },
	{ .name = "swap_simple_unpinned", .how = SWAP, .simple = true, .unpinned = true,
	  .baseline = "sched_yield_normal" },
	{ .name = "handover_direct", .how = SWAP, .unpinned = true, .handover = true },
	{ .name = "lib_swap", .how = LIB, .backend = "swap", .baseline = "swap_pinned" },
	{ .name = "lib_wakewait", .how = LIB, .backend = "wakewait", .baseline = "wakewait_pinned" },
};

#define CASES (sizeof(cases) / sizeof(cases[0]))
#define WARM_UP 200
#define MAX_ROUNDS 1001

/* How a measurement ends, from its process to ours. */
struct outcome {
	double value;
	char why_not[200];
};

static struct outcome *out;	/* shared with the process that measures */

__attribute__((format(printf, 1, 2), noreturn)) static void cannot(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->why_not, sizeof(out->why_not), fmt, ap);
	va_end(ap);
	_exit(0);
}

/* The two threads. */
struct side {
	BTN_ALIGNED _Atomic uint32_t turn;
	int in, out;
	struct baton_parker *parker;
};

static struct side side[2];
static const struct kase *now;
static unsigned long turns;
static pthread_barrier_t both_ready;
static char cgroup_dir[2][256];
static _Atomic bool over;

static long futex(_Atomic uint32_t *word, int op, uint32_t val, _Atomic uint32_t *to)
{
	return btn_futex_sys(word, op | FUTEX_PRIVATE_FLAG, val, NULL, to, 0);
}

static void take_turn(struct side *me)
{
	while (!atomic_load_explicit(&me->turn, memory_order_acquire)) /* [TURN-1] */
		futex(&me->turn, FUTEX_WAIT, 0, NULL);
	atomic_store_explicit(&me->turn, 0, memory_order_relaxed); /* [TURN-1] */
}

static void pass_turn(struct side *to)
{
	atomic_store_explicit(&to->turn, 1, memory_order_release); /* [TURN-1] */
	futex(&to->turn, FUTEX_WAKE, 1, NULL);
}

static inline __attribute__((always_inline)) void
ping_pong(enum how how, struct side *me, struct side *other, unsigned long n)
{
	char c = 0;

	while (n--) {
		switch (how) {
		case SWAP:
			atomic_store_explicit(&other->turn, 1, memory_order_release); /* [TURN-1] */
			futex(&me->turn, BTN_FUTEX_SWAP, 0, &other->turn);
			take_turn(me);
			break;
		case WAKEWAIT:
			pass_turn(other);
			take_turn(me);
			break;
		case LIB:
			baton_parker_switch_to(me->parker, other->parker, BATON_FOREVER);
			break;
		case PIPE:
			if (write(me->out, &c, 1) != 1 || read(me->in, &c, 1) != 1)
				abort();
			break;
		default:
			sched_yield();
		}
	}
}

/* A loop of its own for each way, as a user would write it. */
static void passes(enum how how, struct side *me, struct side *other, unsigned long n)
{
	switch (how) {
	case SWAP: ping_pong(SWAP, me, other, n); break;
	case WAKEWAIT: ping_pong(WAKEWAIT, me, other, n); break;
	case LIB: ping_pong(LIB, me, other, n); break;
	case PIPE: ping_pong(PIPE, me, other, n); break;
	default: ping_pong(YIELD, me, other, n);
	}
}

/* The last CPU we may use: the first one has more to do besides. */
static int a_cpu(void)
{
	cpu_set_t set;
	int i, cpu = 0;

	sched_getaffinity(0, sizeof(set), &set);
	for (i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			cpu = i;
	return cpu;
}

static void thread_start(int which)
{
	struct sched_param param = { .sched_priority = 1 };

	if (now->who == FIFO && sched_setscheduler(0, SCHED_FIFO, &param))
		cannot("SCHED_FIFO: %s (needs root)", strerror(errno));
	if (now->who == NICE && which && setpriority(PRIO_PROCESS, (id_t)gettid(), 5))
		cannot("setpriority: %s", strerror(errno));
	if (now->who == CGROUP && cgroup_add_thread(cgroup_dir[which]))
		cannot("%s: %s", cgroup_dir[which], strerror(errno));
	pthread_barrier_wait(&both_ready);
}

static void *second_thread(void *unused)
{
	char c;

	thread_start(1);
	switch (now->how) {
	case YIELD:
		while (!atomic_load_explicit(&over, memory_order_relaxed)) /* [TURN-2] */
			sched_yield();
		return NULL;
	case PIPE:
		if (read(side[1].in, &c, 1) != 1)
			abort();
		break;
	case LIB:
		baton_parker_block(side[1].parker, BATON_FOREVER);
		break;
	default:
		take_turn(&side[1]);
	}
	passes(now->how, &side[1], &side[0], turns + WARM_UP - 1);
	switch (now->how) {
	case PIPE:
		if (write(side[1].out, &c, 1) != 1)
			abort();
		break;
	case LIB:
		baton_parker_resume(side[0].parker);
		break;
	default:
		pass_turn(&side[0]);
	}
	return NULL;
}

static double measure_pair(void)
{
	int fd[2][2], err;
	uint64_t start;
	pthread_t t;
	cpu_set_t set;

	if (!now->unpinned) {
		CPU_ZERO(&set);
		CPU_SET(a_cpu(), &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	for (int i = 0; i < 2; i++) {
		if (now->how == PIPE && pipe(fd[i]))
			cannot("pipe: %s", strerror(errno));
		if (now->how == LIB) {
			setenv("BATON_BACKEND", now->backend, 1);
			err = baton_parker_create(&side[i].parker);
			if (err)
				cannot("baton_parker_create: %s", strerror(-err));
		}
	}
	if (now->how == PIPE) {
		side[0].in = fd[0][0], side[1].out = fd[0][1];
		side[1].in = fd[1][0], side[0].out = fd[1][1];
	}
	pthread_barrier_init(&both_ready, NULL, 2);
	err = pthread_create(&t, NULL, second_thread, NULL);
	if (err)
		cannot("pthread_create: %s", strerror(err));
	thread_start(0);
	passes(now->how, &side[0], &side[1], WARM_UP);
	start = baton_clock_now();
	passes(now->how, &side[0], &side[1], turns);
	start = baton_clock_now() - start;
	atomic_store_explicit(&over, true, memory_order_relaxed); /* [TURN-2] */
	pthread_join(t, NULL);
	return (double)start / (double)turns / 2;
}

static double measure_null(void)
{
	uint64_t start = baton_clock_now();

	for (unsigned long i = 0; i < turns; i++)
		syscall(SYS_getppid);
	return (double)(baton_clock_now() - start) / (double)turns;
}

static double measure_fiber(void)
{
	uint64_t start;

	if (fiber_prepare())
		cannot("no fiber switch is written for this CPU");
	fiber_passes(WARM_UP);
	start = baton_clock_now();
	fiber_passes(turns);
	return (double)(baton_clock_now() - start) / (double)turns / 2;
}

/* debugfs: the scheduler's features, and its counters of hand-overs. */
#define FEATURES "/sys/kernel/debug/sched/features"
#define HANDOVER "/sys/kernel/debug/sched/handover"

static bool preemption_is_off;

static const char *preemption(bool on)
{
	const char *word = on ? "WAKEUP_PREEMPTION" : "NO_WAKEUP_PREEMPTION";
	static char why[128];
	char text[2048], *at;
	ssize_t n;
	int fd = open(FEATURES, O_RDWR);

	if (fd < 0) {
		snprintf(why, sizeof(why), "%s: %s", FEATURES, strerror(errno));
		return why;
	}
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	at = strstr(text, "WAKEUP_PREEMPTION");
	if (!at || (!on && at >= text + 3 && !strncmp(at - 3, "NO_", 3))) {
		close(fd);
		return at ? "wake-up preemption was off before" : "this kernel has no WAKEUP_PREEMPTION";
	}
	if (write(fd, word, strlen(word)) < 0) {
		snprintf(why, sizeof(why), "%s: %s", FEATURES, strerror(errno));
		close(fd);
		return why;
	}
	preemption_is_off = !on;
	close(fd);
	return NULL;
}

/* "name count" lines: direct, fallback_WHY; others say more about one of these. */
static int handovers(double *direct, double *all)
{
	FILE *f = fopen(HANDOVER, "r");
	char name[64];
	double n;

	*direct = *all = 0;
	if (!f)
		return -errno;
	while (fscanf(f, "%63s %lf", name, &n) == 2) {
		if (!strcmp(name, "direct"))
			*direct += n;
		if (!strncmp(name, "direct", 6) || !strncmp(name, "fallback", 8))
			*all += n;
	}
	fclose(f);
	return 0;
}

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

/* Measures one case in a process of its own. False: out->why_not says why. */
static bool measure(const struct kase *k, unsigned long n)
{
	struct rlimit no_core = { 0, 0 };
	double direct[2], all[2];
	const char *why = NULL;
	int status = 0, err;
	pid_t pid;

	memset(out, 0, sizeof(*out));
	now = k;
	turns = n;
	if (k->handover && (err = handovers(&direct[0], &all[0]))) {
		snprintf(out->why_not, sizeof(out->why_not), "%s: %s", HANDOVER, strerror(-err));
		return false;
	}
	if (k->nopreempt)
		why = preemption(false);
	if (!why && k->who == CGROUP)
		why = cgroup_make_pair(cgroup_dir[0], cgroup_dir[1], sizeof(cgroup_dir[0]));
	if (why) {
		snprintf(out->why_not, sizeof(out->why_not), "%s", why);
		return false;
	}
	fflush(NULL);
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		if (k->who == CGROUP && (why = cgroup_enter()))
			cannot("%s", why);
		out->value = k->how == NULL_SYSCALL ? measure_null() :
			     k->how == FIBER ? measure_fiber() : measure_pair();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (k->nopreempt)
		preemption(true);
	if (k->who == CGROUP)
		cgroup_remove_pair();
	if (!out->why_not[0] && status)
		snprintf(out->why_not, sizeof(out->why_not), "its process ended with status %#x", status);
	if (k->handover && !out->why_not[0]) {
		handovers(&direct[1], &all[1]);
		if (all[1] > all[0])
			out->value = 100 * (direct[1] - direct[0]) / (all[1] - all[0]);
		else
			snprintf(out->why_not, sizeof(out->why_not), "%s counted nothing", HANDOVER);
	}
	return !out->why_not[0];
}

enum swap { NO_SWAP, SIMPLE_SWAP, REAL_SWAP };

/* FUTEX_SWAP as selftests/futex/naive.patch makes it does not look at the second word. */
static enum swap swap_of_kernel(void)
{
	_Atomic uint32_t word = 1, other = 1;

	if (futex(&word, BTN_FUTEX_SWAP, 0, &other) != -EAGAIN)
		return NO_SWAP;
	return futex(&word, BTN_FUTEX_SWAP, 0, &word) == -EINVAL ? REAL_SWAP : SIMPLE_SWAP;
}

/* Why @k cannot be measured on a kernel with this @swap; NULL: it can. */
static const char *lacks(const struct kase *k, enum swap swap)
{
	if (k->simple)
		return swap == SIMPLE_SWAP ? NULL : "for the kernel of selftests/futex/naive.patch";
	if (k->how == SWAP || (k->backend && !strcmp(k->backend, "swap")))
		return swap == REAL_SWAP ? NULL : "this kernel has no FUTEX_SWAP";
	return NULL;
}

static const struct kase *by_name(const char *name)
{
	for (size_t i = 0; i < CASES; i++)
		if (!strcmp(cases[i].name, name))
			return &cases[i];
	return NULL;
}

struct measured {
	bool wanted;
	char why_not[200];
	double value[MAX_ROUNDS];
	double ratio[MAX_ROUNDS];
};

static void want(struct measured *m, const struct kase *k)
{
	m[k - cases].wanted = true;
	if (k->baseline)
		want(m, by_name(k->baseline));
}

int bench_switch(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	enum swap swap = swap_of_kernel();
	static struct measured m[CASES];
	struct bench_result r;
	const struct kase *k;
	unsigned long n;
	const char *why;
	struct bench b;
	int rounds, i;
	bool icount;

	i = bench_options(&b, "switch",
			  "What it costs to hand the CPU to another thread, one way. Ratios are medians\n"
			  "of rounds in which the case and its baseline ran one after the other. In a VM\n"
			  "that counts instructions instead of time, --where vm-icount sets the unit.",
			  argc, argv);
	if (i)
		return i - 1;
	icount = !strcmp(b.where, "vm-icount");
	rounds = b.rounds ? b.rounds : icount ? (b.quick ? 1 : 3) : b.quick ? 5 : 15;
	out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (out == MAP_FAILED) {
		perror("baton bench switch: mmap");
		return 1;
	}
	for (k = cases; k < cases + CASES; k++)
		if (bench_wants(&b, k->name))
			want(m, k);
	/* Ctrl-C must not leave the kernel's preemption off, or a cgroup behind. */
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	bench_begin(&b);
	for (i = 0; i < rounds && !interrupted; i++) {
		for (k = cases; k < cases + CASES && !interrupted; k++) {
			struct measured *c = &m[k - cases];

			if (!c->wanted || c->why_not[0])
				continue;
			why = lacks(k, swap);
			if (why) {
				snprintf(c->why_not, sizeof(c->why_not), "%s", why);
				continue;
			}
			n = icount || b.quick ? 2000 : 10000;
			if (k->unpinned && !icount)
				n /= 4;
			if (k->how == FIBER || k->how == NULL_SYSCALL)
				n *= 10;
			if (!measure(k, n)) {
				strcpy(c->why_not, out->why_not);
				continue;
			}
			c->value[i] = out->value;
			if (k->baseline)
				c->ratio[i] = out->value / m[by_name(k->baseline) - cases].value[i];
		}
	}
	if (interrupted)
		return 128 + interrupted;
	for (k = cases; k < cases + CASES; k++) {
		struct measured *c = &m[k - cases];

		if (!c->wanted)
			continue;
		r = (struct bench_result){ .name = k->name };
		if (c->why_not[0]) {
			r.skipped = c->why_not;
		} else if (k->baseline && m[by_name(k->baseline) - cases].why_not[0]) {
			r.skipped = "its baseline could not run";
		} else {
			r.value = bench_median(c->value, (size_t)rounds);
			r.unit = k->handover ? "%" : icount ? "insn" : "ns";
			r.n = (unsigned long)rounds;
			r.baseline = k->baseline;
			if (k->baseline)
				r.ratio = bench_median(c->ratio, (size_t)rounds);
		}
		bench_put(&b, &r);
	}
	return bench_end(&b);
}
