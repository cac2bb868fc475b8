// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton bench detect - what it costs to see who blocks, and what it brings.
 *
 * optout_*: a switch of two threads that joined nothing, with nothing loaded (on
 * an unpatched kernel and on ours: tools/bench.d/detect compares the two), with
 * programs attached to the scheduler's tracepoints that do nothing, with ours there,
 * and with ours on the kernel's own hook. block_to_next_*: from just before a task
 * blocks until the next one runs in its slot, against a futex wake to a thread that
 * sleeps on another CPU, and where the kernel has the hook against saying so.
 * mixed_*: tasks that compute and sleep in turn, as many as there are by far more
 * than CPUs: sleeping announced, seen by the programs, the same without idle_poll_us,
 * not seen at all, and not seen with one slot in ten, at least one, too many.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <baton/baton.h>

#include "atomic.h"
#include "baton.h"
#include "bench.h"
#include "detect_serve.h"
#include "futex_sys.h"

#define ROUNDS_MAX 101

/* A `baton load` of our own. */
static char dir[32], pins[64], sock[64];
static pid_t server;

static int load_begin(const struct detect_knobs *knobs)
{
	static struct detect_allow nobody;
	struct detect d;
	int i;

	strcpy(dir, "/tmp/baton-bench-XXXXXX");
	if (!mkdtemp(dir) || mount("bpf", dir, "bpf", 0, NULL))
		return -1;
	snprintf(pins, sizeof(pins), "%s/p", dir);
	snprintf(sock, sizeof(sock), "%s.sock", dir);
	server = fork();
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		_exit(detect_load(&d, pins, knobs) || detect_serve(&d, sock, &nobody) ? 1 : 0);
	}
	for (i = 0; i < 500 && access(sock, F_OK); i++)
		usleep(10000);
	usleep(10000);
	setenv("BATON_DETECT_SOCKET", sock, 1);
	return access(sock, F_OK);
}

static void load_end(void)
{
	char lock[80];

	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	detect_unload(pins);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	snprintf(lock, sizeof(lock), "%s.lock", sock);
	unlink(lock);
}

static void futex_wait(_Atomic uint32_t *w, uint32_t val)
{
	btn_futex_sys(w, FUTEX_WAIT_PRIVATE, val, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *w)
{
	btn_futex_sys(w, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* ------------------------------------------------------------ optout_* */

static _Atomic uint32_t turn;
static unsigned long passes;

static void *pass(void *arg)
{
	uint32_t mine = (uintptr_t)arg;
	unsigned long i;

	pin(0);
	for (i = 0; i < passes; i++) {
		/* [TURN-3] nothing but the turn is shared */
		while (atomic_load_explicit(&turn, memory_order_relaxed) != mine) /* [TURN-3] */
			futex_wait(&turn, !mine);
		atomic_store_explicit(&turn, !mine, memory_order_relaxed); /* [TURN-3] */
		futex_wake(&turn);
	}
	return NULL;
}

static double switch_ns(unsigned long n)
{
	pthread_t a, b;
	uint64_t t;

	/* Once more than is counted: the first finds everything cold. */
	if (n > 1000)
		switch_ns(1000);
	passes = n;
	atomic_store_explicit(&turn, 0, memory_order_relaxed); /* [TURN-3] */
	t = baton_clock_now();
	pthread_create(&a, NULL, pass, (void *)0);
	pthread_create(&b, NULL, pass, (void *)1);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	return (double)(baton_clock_now() - t) / (2 * n);
}

/* ------------------------------------------------------ block_to_next_* */

#define SAMPLES_MAX 4096
static double sample[SAMPLES_MAX];
static unsigned samples, wanted_samples;
static _Atomic uint64_t blocked_at;
static _Atomic uint32_t word;
static int fds[2];
static bool announced;

static void took(uint64_t ns)
{
	if (samples < SAMPLES_MAX)
		sample[samples++] = ns;
}

static void *sleeper(void *arg)
{
	uint32_t i;

	pin(1);
	for (i = 1; i <= wanted_samples; i++) {
		while (atomic_load_explicit(&word, memory_order_acquire) < i) /* [WAKE-1] */
			futex_wait(&word, i - 1);
		/* [WAKE-1] the time is written before the word */
		took(baton_clock_now() - atomic_load_explicit(&blocked_at, memory_order_relaxed)); /* [WAKE-1] */
	}
	return NULL;
}

/* To a thread that sleeps on another CPU, which may be idle or not. */
static void wake_sleeper(void)
{
	pthread_t thread;
	cpu_set_t old;
	uint32_t i;

	sched_getaffinity(0, sizeof(old), &old);
	pin(0);
	atomic_store_explicit(&word, 0, memory_order_relaxed); /* [WAKE-1] */
	pthread_create(&thread, NULL, sleeper, NULL);
	for (i = 1; i <= wanted_samples; i++) {
		usleep(200);
		atomic_store_explicit(&blocked_at, baton_clock_now(), memory_order_relaxed); /* [WAKE-1] */
		atomic_store_explicit(&word, i, memory_order_release); /* [WAKE-1] */
		futex_wake(&word);
	}
	pthread_join(thread, NULL);
	sched_setaffinity(0, sizeof(old), &old);
}

static void next_task(void *arg)
{
	took(baton_clock_now() - atomic_load_explicit(&blocked_at, memory_order_relaxed)); /* [WAKE-1] */
	if (write(fds[1], "x", 1) != 1)
		abort();
}

static void blocker(void *arg)
{
	struct baton_task *t;
	uint64_t end;
	unsigned i;
	char c;

	for (i = 0; i < wanted_samples; i++) {
		if (baton_task_spawn(&t, next_task, NULL))
			abort();
		/* As long as others are still on their way to sleep. */
		for (end = baton_clock_now() + 100000; baton_clock_now() < end; )
			;
		atomic_store_explicit(&blocked_at, baton_clock_now(), memory_order_relaxed); /* [WAKE-1] */
		if (announced)
			baton_blocking_begin();
		if (read(fds[0], &c, 1) != 1)
			abort();
		if (announced)
			baton_blocking_end();
		baton_task_join(t);
	}
}

static struct baton_sched *s;
static struct baton_tenant *tenant;

static unsigned idle_poll_us;

static const char *sched_begin(unsigned slots, bool detect)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = slots, .idle_poll_us = idle_poll_us };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_detect_stats st;

	setenv("BATON_DETECT", detect ? "auto" : "off", 1);
	if (baton_sched_create(&s, &so))
		return "no scheduler";
	if (baton_tenant_add(s, &tenant, &to))
		return "no tenant";
	return detect && baton_detect_stats(s, &st, sizeof(st)) ? "blocking is not seen" : NULL;
}

static void sched_end(void)
{
	while (baton_sched_destroy(s) == -EBUSY)
		usleep(1000);
}

static struct baton_request *submit(baton_task_fn *fn)
{
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_BATCH, .fn = fn };
	struct baton_request *r;

	return baton_submit(tenant, &ro, &r) ? NULL : r;
}

static void wait_for(struct baton_request *r)
{
	if (!r)
		abort();
	baton_request_wait(r);
	baton_request_put(r);
}

static const char *block_to_next(bool detect)
{
	const char *why = sched_begin(1, detect);

	announced = !detect;
	if (why || pipe(fds))
		return why ? why : "pipe";
	wait_for(submit(blocker));
	sched_end();
	close(fds[0]);
	close(fds[1]);
	return NULL;
}

/* --------------------------------------------------------------- mixed_* */

#define FLIGHT 32
/* A round has each kind so often, to and fro: a machine that slows down meanwhile does for all of them. */
#define MIXED_TIMES 8
#define MIXED_US 150000
static _Atomic bool stop;
static _Atomic unsigned long work_done;
static unsigned long spins = 1;

/* About 10 us. In a register: how long a loop takes that stores to its stack depends on where that is. */
static void compute(void)
{
	unsigned long i;

	for (i = 0; i < spins; i++)
		__asm__ volatile("" : "+r"(i));
}

static void calibrate(void)
{
	uint64_t t, best;
	int i;

	for (spins = 1000;; spins *= 2) {
		/* The shortest: something else may run here too. */
		for (best = UINT64_MAX, i = 0; i < 9; i++) {
			t = baton_clock_now();
			compute();
			t = baton_clock_now() - t;
			best = t < best ? t : best;
		}
		if (best > 1000000) {
			spins = spins * 10000 / best;
			return;
		}
	}
}

static void mixed_task(void *arg)
{
	struct timespec ts = { .tv_nsec = 300000 };
	int i;

	/* [MIXED-1] a flag and a counter, which order nothing */
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) { /* [MIXED-1] */
		for (i = 0; i < 20; i++) {
			compute();
			baton_checkpoint();
		}
		if (announced)
			baton_blocking_begin();
		nanosleep(&ts, NULL);
		if (announced)
			baton_blocking_end();
		baton_checkpoint();
		atomic_fetch_add_explicit(&work_done, 1, memory_order_relaxed); /* [MIXED-1] */
	}
}

/*
 * Rounds of work a second, added to value; before_park: what a worker ran before it
 * parked, likewise.
 */
static const char *mixed(double *value, double *before_park, unsigned more, bool say, bool detect)
{
	unsigned slots = bench_cpus() + more, i;
	struct baton_request *r[FLIGHT];
	struct baton_detect_stats st;
	const char *why = sched_begin(slots, detect);
	unsigned long n;
	uint64_t t;

	if (why)
		return why;
	announced = say;
	atomic_store_explicit(&stop, false, memory_order_relaxed); /* [MIXED-1] */
	for (i = 0; i < FLIGHT; i++)
		r[i] = submit(mixed_task);
	usleep(60000);
	t = baton_clock_now();
	n = atomic_load_explicit(&work_done, memory_order_relaxed); /* [MIXED-1] */
	usleep(MIXED_US);
	n = atomic_load_explicit(&work_done, memory_order_relaxed) - n; /* [MIXED-1] */
	t = baton_clock_now() - t;
	atomic_store_explicit(&stop, true, memory_order_relaxed); /* [MIXED-1] */
	for (i = 0; i < FLIGHT; i++)
		wait_for(r[i]);
	if (before_park && !baton_detect_stats(s, &st, sizeof(st)))
		*before_park += st.taken ? (double)st.unauthorised / st.taken / MIXED_TIMES : 0;
	sched_end();
	*value += n * 1e9 / t / MIXED_TIMES;
	return NULL;
}

/* -------------------------------------------------------------------- all */

enum {
	BARE, TRACING, STOCK, HOOK, SLEEPER, EXPLICIT, NEXT, NEXT_HOOK, ANNOTATED, DETECT, NO_POLL, NONE, OVER, PARK,
	CASES
};

static struct {
	const char *name, *unit;
	int baseline;
	bool host;	/* only: it is not about instructions */
} cases[CASES] = {
	[BARE] = { "optout_unpatched", "ns", -1, false },
	[TRACING] = { "optout_stock_tracing", "ns", BARE, false },
	[STOCK] = { "optout_stock", "ns", TRACING, false },
	[HOOK] = { "optout_patched", "ns", BARE, false },
	[SLEEPER] = { "wake_sleeper", "ns", -1, false },
	[EXPLICIT] = { "block_to_next_explicit", "ns", SLEEPER, false },
	[NEXT] = { "block_to_next_stock", "ns", SLEEPER, false },
	[NEXT_HOOK] = { "block_to_next_patched", "ns", EXPLICIT, false },
	[ANNOTATED] = { "mixed_annotated", "ops/s", -1, true },
	[DETECT] = { "mixed_detect", "ops/s", ANNOTATED, true },
	[NO_POLL] = { "mixed_detect_no_poll", "ops/s", ANNOTATED, true },
	[NONE] = { "mixed_unseen", "ops/s", ANNOTATED, true },
	[OVER] = { "mixed_overschedule10", "ops/s", ANNOTATED, true },
	[PARK] = { "run_before_park", "ns", -1, true },
};

static double value[CASES][ROUNDS_MAX], ratio[ROUNDS_MAX];
/* Latencies of all rounds of a case. */
static double *latency[CASES];
static size_t latencies_n[CASES];
static const char *why_not[CASES];

static void distribution(int c, int round)
{
	double *all;

	if (!samples)
		return;
	all = realloc(latency[c], (latencies_n[c] + samples) * sizeof(*all));
	if (!all)
		abort();
	memcpy(all + latencies_n[c], sample, samples * sizeof(*all));
	latency[c] = all;
	latencies_n[c] += samples;
	value[c][round] = bench_median(sample, samples);
	samples = 0;
}

/* Asked for, or the baseline of one that is. */
static bool needed(const struct bench *b, int c)
{
	int i;

	for (i = 0; i < CASES; i++) {
		if ((i == c || cases[i].baseline == c) && bench_wants(b, cases[i].name))
			return true;
	}
	return false;
}

static const struct detect_knobs nothing = { .with = DETECT_TRACEPOINTS, .nothing = 1 },
	tracepoints = { .with = DETECT_TRACEPOINTS }, hook = { .with = DETECT_HOOK };

/* A `baton load` of that kind; else NULL, and why not in the case it is for. */
static bool load_for(int c, const struct detect_knobs *knobs)
{
	why_not[c] = NULL;
	if (!load_begin(knobs))
		return true;
	why_not[c] = knobs == &hook ? "this kernel has no hook" : "the programs cannot be loaded";
	load_end();
	return false;
}

static void switches(const struct bench *b, int round, unsigned long n)
{
	static const struct detect_knobs *const knobs[] = { &nothing, &tracepoints, &hook };
	int i;

	if (needed(b, BARE))
		value[BARE][round] = switch_ns(n);
	for (i = 0; i < 3; i++) {
		if (!needed(b, TRACING + i) || !load_for(TRACING + i, knobs[i]))
			continue;
		value[TRACING + i][round] = switch_ns(n);
		load_end();
	}
}

static void latencies(const struct bench *b, int round)
{
	if (needed(b, SLEEPER)) {
		wake_sleeper();
		distribution(SLEEPER, round);
	}
	if (needed(b, EXPLICIT)) {
		why_not[EXPLICIT] = block_to_next(false);
		distribution(EXPLICIT, round);
	}
	if (needed(b, NEXT) && load_for(NEXT, &tracepoints)) {
		why_not[NEXT] = block_to_next(true);
		distribution(NEXT, round);
		load_end();
	}
	if (needed(b, NEXT_HOOK) && load_for(NEXT_HOOK, &hook)) {
		why_not[NEXT_HOOK] = block_to_next(true);
		distribution(NEXT_HOOK, round);
		load_end();
	}
}

static void mix(const struct bench *b, int c, int round, const char *no)
{
	unsigned more = bench_cpus() / 10;

	if (c == ANNOTATED && needed(b, c))
		why_not[c] = mixed(&value[c][round], NULL, 0, true, false);
	if (c == DETECT && (needed(b, c) || needed(b, PARK))) {
		why_not[c] = no ? no : mixed(&value[c][round], &value[PARK][round], 0, false, true);
		why_not[PARK] = why_not[c];
	}
	if (c == NO_POLL && needed(b, c)) {
		idle_poll_us = BATON_IDLE_POLL_NONE;
		why_not[c] = no ? no : mixed(&value[c][round], NULL, 0, false, true);
		idle_poll_us = 0;
	}
	if (c == NONE && needed(b, c))
		why_not[c] = mixed(&value[c][round], NULL, 0, false, false);
	if (c == OVER && needed(b, c))
		why_not[c] = mixed(&value[c][round], NULL, more ? more : 1, false, false);
}

static void mixes(const struct bench *b, int round)
{
	const char *no = load_begin(NULL) ? "the programs cannot be loaded" : NULL;
	int i, c;

	for (i = 0; i < MIXED_TIMES; i++)
		for (c = ANNOTATED; c <= OVER; c++)
			mix(b, (i + round) % 2 ? ANNOTATED + OVER - c : c, round, no);
	load_end();
}

/* FUTEX_SWAP on one word twice: EINVAL where the series is. */
static bool patched(void)
{
	static _Atomic uint32_t w;

	return btn_futex_sys(&w, BTN_FUTEX_SWAP | FUTEX_PRIVATE_FLAG, 0, NULL, &w, 0) == -EINVAL;
}

int bench_detect(int argc, char **argv)
{
	struct bench_result r;
	bool icount;
	struct bench b;
	int rounds, i, c;

	i = bench_options(&b, "detect",
			  "What it costs to see who blocks in the kernel, and what it brings. Needs root.\n"
			  "With --where vm-icount only the costs and latencies, in instructions.", argc, argv);
	if (i)
		return i - 1;
	if (geteuid()) {
		fprintf(stderr, "baton bench detect: loads programs, which needs root\n");
		return 1;
	}
	icount = !strcmp(b.where, "vm-icount");
	rounds = b.rounds ? b.rounds : icount ? 3 : b.quick ? 3 : 9;
	if (rounds > ROUNDS_MAX)
		rounds = ROUNDS_MAX;
	wanted_samples = b.quick ? 200 : 500;
	calibrate();
	if (patched())
		cases[BARE].name = "optout_nothing_loaded";
	bench_begin(&b);
	for (i = 0; i < rounds; i++) {
		switches(&b, i, icount ? 2000 : 10000);
		latencies(&b, i);
		if (!icount)
			mixes(&b, i);
	}
	for (c = 0; c < CASES; c++) {
		if ((cases[c].host && icount) || !bench_wants(&b, cases[c].name))
			continue;
		r = (struct bench_result){
			.name = cases[c].name, .n = rounds, .skipped = why_not[c],
			.unit = icount ? "insn" : cases[c].unit,
		};
		if (cases[c].baseline >= 0) {
			r.baseline = cases[cases[c].baseline].name;
			for (i = 0; i < rounds; i++)
				ratio[i] = value[c][i] / value[cases[c].baseline][i];
			r.ratio = bench_median(ratio, rounds);
		}
		if (latencies_n[c])
			bench_quantiles(&r, latency[c], latencies_n[c]);
		memcpy(ratio, value[c], sizeof(ratio));
		r.value = bench_median(ratio, rounds);
		bench_put(&b, &r);
	}
	return bench_end(&b);
}
