/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * steps.h - run a few threads in every order of their steps.
 *
 * The library is built with BTN_INJECT, so it stops at a point before every
 * access to a shared word. Here the threads are coroutines, and at each point
 * the explorer chooses who goes on. It tries every schedule with up to so many
 * preemptions, by running the whole case again for each one. It is what a model
 * checker does, with the code itself for the model; memory is sequentially
 * consistent here.
 *
 * A schedule may also stop a thread for good at some step.
 */
#ifndef STEPS_H
#define STEPS_H

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tap.h"
#include "../../lib/src/hazard.h"
#include "../../lib/src/inject.h"

#define STEPS_THREADS 4
#define STEPS_MAX 2000
#define STEPS_STACK 65536

struct steps_thread {
	void (*fn)(int me);
	ucontext_t context;		/* where it begins */
	jmp_buf on;			/* where it goes on: no system call */
	void *stack;
	bool begun, done, stopped;
	/* Where it sleeps: it cannot go on while this says so. */
	bool (*asleep)(int me);
	const char *at;
	struct btn_hazard *hazard;
};

struct steps {
	/* The case. */
	void (*setup)(void);
	void (*check)(void);		/* every thread is done or stopped */
	void (*point)(int me, const char *point);
	void (*thread[STEPS_THREADS])(int me);
	int threads;
	int preemptions;
	int stopper;			/* the thread that is stopped, or -1 */
	unsigned long limit;		/* schedules; 0: all of them */

	/* Findings. */
	unsigned long runs;
	bool failed;
	char why[512];
};

static struct steps *steps_now;
static struct steps_thread steps_t[STEPS_THREADS];
static jmp_buf steps_main;
static int steps_cur = -1;
static uint64_t steps_clock;

static struct {
	unsigned char chosen, options;	/* index in the list of those who can */
	const char *at;			/* where the chosen one was */
} steps_path[STEPS_MAX];
static int steps_len, steps_fixed, steps_stop_at;
static struct btn_hazard *steps_own, *steps_records[STEPS_THREADS];

__attribute__((format(printf, 1, 2), unused))
static void steps_fail(const char *fmt, ...)
{
	va_list ap;

	if (steps_now->failed)
		return;
	steps_now->failed = true;
	va_start(ap, fmt);
	vsnprintf(steps_now->why, sizeof(steps_now->why), fmt, ap);
	va_end(ap);
}

/* The explorer: thread t goes on, until its next point. */
__attribute__((noinline)) static void steps_go(struct steps_thread *t)
{
	if (_setjmp(steps_main))
		return;
	if (t->begun)
		_longjmp(t->on, 1);
	t->begun = true;
	setcontext(&t->context);
}

static int steps_point(const char *point)
{
	int me = steps_cur;

	if (me < 0)
		return 0;
	steps_t[me].at = point;
	if (steps_now->point)
		steps_now->point(me, point);
	steps_clock++;
	steps_t[me].hazard = btn_hazard_mine;
	if (!_setjmp(steps_t[me].on))
		_longjmp(steps_main, 1);
	btn_hazard_mine = steps_t[steps_cur].hazard;
	return 0;
}

static void steps_start(int me)
{
	btn_hazard_mine = steps_t[me].hazard;
	steps_t[me].fn(me);
	steps_t[me].done = true;
	steps_t[me].at = "end";
	/* To return would be the end of the process, with status 0. */
	_longjmp(steps_main, 1);
}

/*
 * Announcements of what threads use outlive a run, and memory comes back at the same
 * address or not: without this a schedule would not be the same twice.
 */
static void steps_forget(struct btn_hazard *h)
{
	unsigned int w;

	for (w = 0; w < BTN_HAZARD_WORDS; w++)
		atomic_store_explicit(&h->words[w], NULL, memory_order_seq_cst); /* [HAZARD-2] */
}

/* Runs once, as steps_path says; beyond steps_fixed the first choice each time. */
__attribute__((noinline)) static void steps_run_once(struct steps *s)
{
	/* static: getcontext() returns twice, for all the compiler knows. */
	static int i, cur, preempted, stop_steps;

	cur = -1;
	preempted = stop_steps = 0;
	steps_clock = 1;
	steps_forget(steps_own);
	for (i = 0; i < STEPS_THREADS; i++)
		steps_forget(steps_records[i]);
	s->setup();
	steps_len = 0;
	for (i = 0; i < s->threads; i++) {
		struct steps_thread *t = &steps_t[i];

		t->fn = s->thread[i];
		t->begun = t->done = t->stopped = false;
		t->asleep = NULL;
		t->at = "start";
		getcontext(&t->context);
		t->context.uc_stack.ss_sp = t->stack;
		t->context.uc_stack.ss_size = STEPS_STACK;
		t->context.uc_link = NULL;
		makecontext(&t->context, (void (*)(void))steps_start, 1, i);
	}
	for (;;) {
		int can[STEPS_THREADS], n = 0, next, options;
		bool cur_can = false;

		for (i = 0; i < s->threads; i++) {
			struct steps_thread *t = &steps_t[i];

			if (t->done || t->stopped || (t->asleep && t->asleep(i)))
				continue;
			t->asleep = NULL;
			/* The running one first: that is no preemption. */
			if (i == cur) {
				cur_can = true;
				memmove(can + 1, can, (size_t)n * sizeof(*can));
				can[0] = i;
			} else {
				can[n] = i;
			}
			n++;
		}
		if (!n)
			break;
		if (steps_len >= STEPS_MAX) {
			steps_fail("more than %d steps: somebody waits for somebody", STEPS_MAX);
			break;
		}
		options = cur_can && preempted >= s->preemptions ? 1 : n;
		if (steps_len >= steps_fixed)
			steps_path[steps_len].chosen = 0;
		next = steps_path[steps_len].chosen < options ? can[steps_path[steps_len].chosen] : -1;
		/* The last fixed choice is another one than in the run before. */
		if (next < 0 || (steps_len < steps_fixed && steps_path[steps_len].options != options) ||
		    (steps_len < steps_fixed - 1 && steps_path[steps_len].at != steps_t[next].at)) {
			steps_fail("step %d is another one than in the run before", steps_len);
			return;
		}
		steps_path[steps_len].options = (unsigned char)options;
		steps_path[steps_len].at = steps_t[next].at;
		if (cur_can && next != cur)
			preempted++;
		steps_len++;
		cur = next;
		if (cur == s->stopper && stop_steps++ == steps_stop_at) {
			steps_t[cur].stopped = true;
			continue;
		}
		steps_cur = cur;
		steps_go(&steps_t[cur]);
		steps_cur = -1;
		btn_hazard_mine = steps_own;
		if (s->failed)
			return;
	}
	if (steps_len < steps_fixed)
		steps_fail("it ends after step %d, and did not in the run before", steps_len);
	for (i = 0; i < s->threads; i++)
		if (!steps_t[i].done && !steps_t[i].stopped)
			steps_fail("thread %d sleeps for ever at %s", i, steps_t[i].at);
	if (!s->failed)
		s->check();
}

/* The next schedule in the tree of all of them. False: that was the last. */
static bool steps_next(void)
{
	while (steps_len > 0) {
		steps_len--;
		if (steps_path[steps_len].chosen + 1 < steps_path[steps_len].options) {
			steps_path[steps_len].chosen++;
			steps_fixed = steps_len + 1;
			return true;
		}
	}
	return false;
}

/* True: every schedule passed. */
static bool steps_all(struct steps *s)
{
	int i, last_stop = 0;

	btn_hazard_init();
	steps_own = btn_hazard_self();
	for (i = 0; i < STEPS_THREADS; i++) {
		if (!steps_t[i].stack)
			steps_t[i].stack = mmap(NULL, STEPS_STACK, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (!steps_records[i])
			steps_records[i] = btn_hazard_take();
		steps_t[i].hazard = steps_records[i];
	}
	btn_hazard_mine = steps_own;
	steps_now = s;
	s->runs = 0;
	s->failed = false;
	atomic_store_explicit(&btn_inject_hook, steps_point, memory_order_relaxed); /* [INJECT-1] */
	for (steps_stop_at = 0; steps_stop_at <= last_stop; steps_stop_at++) {
		bool was_stopped = false;

		steps_fixed = 0;
		do {
			steps_run_once(s);
			s->runs++;
			if (s->stopper >= 0)
				was_stopped |= steps_t[s->stopper].stopped;
			if (s->failed || (s->limit && s->runs >= s->limit))
				goto out;
		} while (steps_next());
		/* The thread was never stopped: it has no step that late. */
		if (s->stopper >= 0 && was_stopped)
			last_stop = steps_stop_at + 1;
	}
out:
	atomic_store_explicit(&btn_inject_hook, NULL, memory_order_relaxed); /* [INJECT-1] */
	return !s->failed;
}

#define STEPS_CHECK(S)                                                         \
	do {                                                                   \
		CHECK_MSG(steps_all(&(S)), "schedule %lu: %s", (S).runs, (S).why); \
		printf("# %lu schedules\n", (S).runs);                         \
	} while (0)

#endif
