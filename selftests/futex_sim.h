/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * futex_sim.h - a kernel and its threads inside one thread, without a clock:
 * runs a few functions "at once" in every order and on every bad day.
 *
 *	static void owner(void) { SIM_CHECK(!baton_parker_block(p, SIM_LATER)); }
 *	static void waker(void) { baton_parker_resume(p); }
 *	...
 *	struct sim_case c = { .threads = { owner, waker }, .timeouts = 1 };
 *	sim_explore(&c);
 *
 * Each function is a coroutine. It can be interrupted at every BTN_POINT() of
 * the library (build the test as its inject variant) and in every futex call.
 * sim_explore() runs all schedules that interrupt a runnable thread at most
 * `preemptions` times, and in each of them all ways to give out `timeouts`
 * time-outs (of waits whose deadline is not BATON_FOREVER), `spurious` wakes
 * without a reason, `eintr` interruptions, and one run of each `signal` handler,
 * nested into its thread, at every place. A schedule fails if a SIM_CHECK does,
 * if `after` says so, or if all threads that are left sleep for ever; the test
 * function then ends with the list of what happened.
 *
 * A schedule takes some 30 switches, and there are 300,000: threads begin once, by setcontext(), and go from schedule to
 * schedule; all other switches are jumps within the process, without the two system calls of swapcontext().
 *
 * One test function at a time; not for sanitizers, which do not follow
 * jumps between stacks.
 */
#ifndef FUTEX_SIM_H
#define FUTEX_SIM_H

#include <sys/mman.h>
#include <ucontext.h>

#include <baton/base.h>

#include "futex.h"
#include "inject.h"
#include "tap.h"

#define SIM_THREADS 4
#define SIM_DEPTH 4096
#define SIM_STACK (64 * 1024)

/* A deadline that may pass at any moment. */
#define SIM_LATER UINT64_C(1000)

struct sim_case {
	void (*before)(void);		/* at each schedule's begin */
	void (*threads[SIM_THREADS])(void);
	void (*signals[SIM_THREADS])(void); /* handler in that thread, or NULL */
	void (*after)(void);		/* at each schedule's end; may CHECK */
	int preemptions;		/* 0: no bound */
	int timeouts, spurious, eintr;
	bool swap;			/* the kernel has FUTEX_SWAP */
};

enum sim_state { SIM_DONE, SIM_RUNNABLE, SIM_WAITING };

/* Where one that does not run goes on. */
typedef void *sim_place[5];

struct sim_thread {
	ucontext_t uc;			/* where it begins */
	sim_place on;
	char *stack;
	bool begun;
	enum sim_state state;
	_Atomic uint32_t *word;		/* where it waits */
	uint64_t deadline;
	int result;			/* the wait's */
	bool signal_due;
};

static struct sim {
	const struct sim_case *c;
	sim_place main;
	struct sim_thread t[SIM_THREADS];
	int now;			/* the thread that runs, -1: none */
	int preemptions, timeouts, spurious, eintr;
	unsigned int signals_sent;
	int depth;			/* choices made in this schedule */
	int choice[SIM_DEPTH], of[SIM_DEPTH];
	int fixed;			/* choices to repeat from the last one */
	char log[4096];
	size_t len;
	char failed[512];
	unsigned long wakes, waits, swaps;
} sim;

__attribute__((format(printf, 1, 2))) static void sim_note(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(sim.log + sim.len, sizeof(sim.log) - sim.len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(sim.log) - sim.len)
		sim.len += (size_t)n;
}

/* In a function of its own: the compiler takes no jump to a place in the same one. */
__attribute__((noinline, noreturn)) static void sim_jump(sim_place to)
{
	__builtin_longjmp(to, 1);
}

/* From here to there; comes back when others jump here. */
__attribute__((noinline)) static void sim_switch(sim_place here, sim_place to)
{
	if (!__builtin_setjmp(here))
		sim_jump(to);
}

/* In a thread: this schedule has failed; never comes back. */
#define SIM_CHECK(COND)                                                        \
	do {                                                                   \
		if (!(COND)) {                                                 \
			snprintf(sim.failed, sizeof(sim.failed),               \
				 "%s:%d: %s is false", __FILE__, __LINE__,     \
				 #COND);                                       \
			sim_jump(sim.main);                                    \
		}                                                              \
	} while (0)

static int sim_choose(int of)
{
	if (of <= 1)
		return 0;
	if (sim.depth == SIM_DEPTH) {
		fprintf(stderr, "futex_sim: a schedule of %d choices: make the case smaller\n", SIM_DEPTH);
		abort();
	}
	if (sim.depth >= sim.fixed)
		sim.choice[sim.depth] = 0;
	sim.of[sim.depth] = of;
	return sim.choice[sim.depth++];
}

/* The running thread gives the others a chance. */
static void sim_yield(const char *where)
{
	struct sim_thread *t = &sim.t[sim.now];

	sim_note(" %c:%s", 'A' + sim.now, where);
	sim_switch(t->on, sim.main);
	/* A signal that arrived meanwhile is handled first. */
	if (t->signal_due) {
		t->signal_due = false;
		sim_note(" %c:handler{", 'A' + sim.now);
		sim.c->signals[sim.now]();
		sim_note(" %c:}", 'A' + sim.now);
	}
}

__attribute__((unused)) static int sim_point(const char *where)
{
	if (sim.now >= 0)
		sim_yield(where);
	return 0;
}

static int sim_wait_now(_Atomic uint32_t *word, uint32_t val, uint64_t deadline)
{
	struct sim_thread *t = &sim.t[sim.now];

	if (atomic_load(word) != val)
		return -EAGAIN;
	t->state = SIM_WAITING;
	t->word = word;
	t->deadline = deadline;
	sim_yield("sleeps");
	return t->result;
}

static int sim_wait(_Atomic uint32_t *word, uint32_t val, uint64_t deadline)
{
	sim.waits++;
	sim_yield("wait");
	return sim_wait_now(word, val, deadline);
}

static int sim_wake_now(_Atomic uint32_t *word, int n)
{
	int i, woken = 0;

	for (i = 0; i < SIM_THREADS && woken < n; i++) {
		if (sim.t[i].state == SIM_WAITING && sim.t[i].word == word) {
			sim.t[i].state = SIM_RUNNABLE;
			sim.t[i].result = 0;
			woken++;
		}
	}
	return woken;
}

static int sim_wake(_Atomic uint32_t *word, int n)
{
	sim.wakes++;
	sim_yield("wake");
	return sim_wake_now(word, n);
}

static int sim_swap(_Atomic uint32_t *word, uint32_t val, uint64_t deadline,
		    _Atomic uint32_t *to)
{
	sim.swaps++;
	sim_yield("swap");
	sim_wake_now(to, 1);
	return sim_wait_now(word, val, deadline);
}

static const struct btn_futex_ops sim_ops_swap = {
	.name = "test", .wait = sim_wait, .wake = sim_wake, .swap = sim_swap,
};

static const struct btn_futex_ops sim_ops_wakewait = {
	.name = "test", .wait = sim_wait, .wake = sim_wake,
};

static void sim_thread_main(void)
{
	/* Each schedule. */
	for (;;) {
		sim.c->threads[sim.now]();
		sim.t[sim.now].state = SIM_DONE;
		sim_note(" %c:ends", 'A' + sim.now);
		sim_switch(sim.t[sim.now].on, sim.main);
	}
}

/* An event that may happen next. */
struct sim_event {
	enum { SIM_RUN, SIM_TIMEOUT, SIM_SPURIOUS, SIM_EINTR, SIM_SIGNAL } what;
	int who;
};

static int sim_events(struct sim_event *e, int last)
{
	bool free_choice = !sim.c->preemptions || sim.preemptions < sim.c->preemptions;
	bool must_go_on = last >= 0 && sim.t[last].state == SIM_RUNNABLE && !free_choice;
	int i, n = 0;

	/* First the thread that ran: then choice 0 is the schedule without preemption. */
	if (last >= 0 && sim.t[last].state == SIM_RUNNABLE)
		e[n++] = (struct sim_event){ SIM_RUN, last };
	for (i = 0; i < SIM_THREADS; i++)
		if (i != last && sim.t[i].state == SIM_RUNNABLE && !must_go_on)
			e[n++] = (struct sim_event){ SIM_RUN, i };
	for (i = 0; i < SIM_THREADS; i++) {
		if (sim.t[i].state == SIM_DONE)
			continue;
		if (sim.c->signals[i] && !(sim.signals_sent & 1u << i))
			e[n++] = (struct sim_event){ SIM_SIGNAL, i };
		if (sim.t[i].state != SIM_WAITING)
			continue;
		if (sim.t[i].deadline != BATON_FOREVER && sim.timeouts < sim.c->timeouts)
			e[n++] = (struct sim_event){ SIM_TIMEOUT, i };
		if (sim.spurious < sim.c->spurious)
			e[n++] = (struct sim_event){ SIM_SPURIOUS, i };
		if (sim.eintr < sim.c->eintr)
			e[n++] = (struct sim_event){ SIM_EINTR, i };
	}
	return n;
}

static void sim_end_wait(int who, int result, const char *why)
{
	sim.t[who].state = SIM_RUNNABLE;
	sim.t[who].result = result;
	sim_note(" %c:%s", 'A' + who, why);
}

__attribute__((noinline)) static void sim_begin_thread(struct sim_thread *t)
{
	t->begun = true;
	t->stack = mmap(NULL, SIM_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	getcontext(&t->uc);
	t->uc.uc_stack.ss_sp = t->stack;
	t->uc.uc_stack.ss_size = SIM_STACK;
	t->uc.uc_link = NULL;
	makecontext(&t->uc, sim_thread_main, 0);
	setcontext(&t->uc);
}

__attribute__((noinline)) static void sim_run(int who)
{
	sim.now = who;
	if (sim.t[who].begun)
		sim_switch(sim.main, sim.t[who].on);
	else if (!__builtin_setjmp(sim.main))
		sim_begin_thread(&sim.t[who]);
	sim.now = -1;
}

static void sim_schedule(void)
{
	struct sim_event e[SIM_THREADS * 5];
	int i, n, last = -1, alive;

	sim.depth = 0;
	sim.preemptions = sim.timeouts = sim.spurious = sim.eintr = 0;
	sim.signals_sent = 0;
	sim.len = 0;
	sim.log[0] = sim.failed[0] = 0;
	sim.now = -1;
	if (sim.c->before)
		sim.c->before();
	for (i = 0; i < SIM_THREADS; i++) {
		sim.t[i].state = sim.c->threads[i] ? SIM_RUNNABLE : SIM_DONE;
		sim.t[i].signal_due = false;
	}
	for (;;) {
		for (i = alive = 0; i < SIM_THREADS; i++)
			alive += sim.t[i].state != SIM_DONE;
		if (!alive)
			break;
		n = sim_events(e, last);
		if (!n) {
			snprintf(sim.failed, sizeof(sim.failed), "all threads that are left sleep for ever");
			break;
		}
		i = sim_choose(n);
		switch (e[i].what) {
		case SIM_TIMEOUT:
			sim.timeouts++;
			sim_end_wait(e[i].who, -ETIMEDOUT, "timeout");
			continue;
		case SIM_SPURIOUS:
			sim.spurious++;
			sim_end_wait(e[i].who, 0, "spurious");
			continue;
		case SIM_EINTR:
			sim.eintr++;
			sim_end_wait(e[i].who, -EINTR, "eintr");
			continue;
		case SIM_SIGNAL:
			sim.signals_sent |= 1u << e[i].who;
			sim.t[e[i].who].signal_due = true;
			if (sim.t[e[i].who].state == SIM_WAITING)
				sim_end_wait(e[i].who, -EINTR, "signal");
			continue;
		case SIM_RUN:
			break;
		}
		if (last >= 0 && e[i].who != last && sim.t[last].state == SIM_RUNNABLE)
			sim.preemptions++;
		last = e[i].who;
		sim_run(last);
		if (sim.failed[0])
			break;
	}
	if (!sim.failed[0] && sim.c->after)
		sim.c->after();
}

/* All schedules of the case. Returns how many there were. */
static unsigned long sim_explore(const struct sim_case *c)
{
	const struct btn_futex_ops *saved = btn_futex;
	unsigned long n = 0;

	btn_futex_use(c->swap ? &sim_ops_swap : &sim_ops_wakewait);
#ifdef BTN_INJECT
	/* [INJECT-1] only this thread is there. */
	atomic_store_explicit(&btn_inject_hook, sim_point, memory_order_relaxed); /* [INJECT-1] */
#endif
	sim.c = c;
	sim.fixed = 0;
	sim.wakes = sim.waits = sim.swaps = 0;
	do {
		sim_schedule();
		n++;
		if (sim.failed[0]) {
			btn_futex_use(saved);
			tap_end(1, "%s\n# in schedule %lu:%s", sim.failed, n, sim.log);
		}
		while (sim.depth && sim.choice[sim.depth - 1] + 1 == sim.of[sim.depth - 1])
			sim.depth--;
		if (sim.depth)
			sim.choice[sim.depth - 1]++;
		sim.fixed = sim.depth;
	} while (sim.depth);
#ifdef BTN_INJECT
	atomic_store_explicit(&btn_inject_hook, NULL, memory_order_relaxed); /* [INJECT-1] */
#endif
	btn_futex_use(saved);
	return n;
}

#endif
