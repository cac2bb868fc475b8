// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stopped.c - one thread is stopped for good at an instruction of an operation,
 * and the others go on; for every instruction there is.
 *
 * A child process has a victim and two others. The parent single-steps the
 * victim (ptrace) to instruction i of one operation and leaves it there. The
 * others must finish a round of work, then take out everything, and what is
 * missing must be no more than the victim had in its hand. A fresh child for
 * each i. Operations of more than 400 instructions (an array that grows copies
 * hundreds of items) are sampled, 50 places each.
 */
#include <baton/deque.h>
#include <baton/queue.h>
#include <baton/ring.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "../../lib/src/deque.h"
#include "../../lib/src/queue.h"

#define LIMIT 20000		/* instructions of one operation */
#define ITEMS 64		/* items of a round */

enum what { QUEUE_PUSH, QUEUE_PUSH_NEW_SEGMENT, QUEUE_POP, QUEUE_POP_LAST_OF_SEGMENT, QUEUE_POP_EMPTY,
	    DEQUE_PUSH, DEQUE_PUSH_GROWS, DEQUE_POP, DEQUE_POP_LAST, DEQUE_STEAL, DEQUE_STEAL_MANY,
	    RING_PUSH, RING_POP };

/* Seen by the parent and the child. */
struct shared {
	_Atomic pid_t victim, worker[2];
	_Atomic uint32_t begin;		/* the victim may start its operation */
	_Atomic uint32_t inside;	/* the victim is in the operation */
	_Atomic uint32_t ask, answer;	/* a round of work */
	_Atomic uint32_t drain;		/* the last round: take everything */
	uint64_t victim_pushed, victim_took;	/* sums of items, if it returned */
	uint64_t in, out, stuck;	/* the others' items */
	uint64_t left_max;
};

static struct shared *sh;
static enum what what;
static struct baton_queue *queue;
static struct baton_deque *deque;
static struct baton_ring *ring;
static uint64_t next_item = 1;

static void *item(void)
{
	return (void *)(uintptr_t)(next_item++ * 16);
}

static bool is_ring(void)
{
	return what >= RING_PUSH;
}

static bool is_deque(void)
{
	return what >= DEQUE_PUSH && !is_ring();
}

static void prepare(void)
{
	unsigned int i, used;

	CHECK_ANY(!baton_queue_create(&queue) && !baton_deque_create(&deque) && !baton_ring_create(&ring, 1024));
	/* Where the operation has most to do. */
	/* With the five below the segment is full; or it is used up already. */
	used = what == QUEUE_PUSH_NEW_SEGMENT ? BTN_QUEUE_ITEMS - 5 :
	       what == QUEUE_POP_LAST_OF_SEGMENT ? BTN_QUEUE_ITEMS : 0;
	for (i = 0; i < used; i++) {
		void *x;

		CHECK_ANY(!baton_queue_push(queue, item()) && baton_queue_pop(queue, &x));
	}
	for (i = 0; i < 5; i++) {
		void *x = item();

		if (what == QUEUE_POP_EMPTY)
			break;
		if (is_ring())
			baton_ring_push(ring, x);
		else if (!is_deque())
			baton_queue_push(queue, x);
		else if (what != DEQUE_POP_LAST || !i)
			baton_deque_push(deque, x);
		else
			break;
		sh->in += (uintptr_t)x;
	}
	while (what == DEQUE_PUSH_GROWS && baton_deque_count(deque) < (1u << BTN_DEQUE_ORDER_MIN)) {
		void *x = item();

		baton_deque_push(deque, x);
		sh->in += (uintptr_t)x;
	}
}

static void *victim(void *unused)
{
	void *v[8] = { NULL }, *x;
	size_t n = 0, i;

	baton_queue_attach();
	atomic_store(&sh->victim, (pid_t)syscall(SYS_gettid));
	while (!atomic_load(&sh->begin))
		sched_yield();
	x = (void *)(uintptr_t)(UINT64_C(1) << 40);
	atomic_store(&sh->inside, 1);
	switch (what) {
	case QUEUE_PUSH: case QUEUE_PUSH_NEW_SEGMENT:
		baton_queue_push(queue, x);
		break;
	case QUEUE_POP: case QUEUE_POP_LAST_OF_SEGMENT: case QUEUE_POP_EMPTY:
		n = baton_queue_pop(queue, v);
		break;
	case DEQUE_PUSH: case DEQUE_PUSH_GROWS:
		baton_deque_push(deque, x);
		break;
	case DEQUE_POP: case DEQUE_POP_LAST:
		n = baton_deque_pop(deque, v);
		break;
	case DEQUE_STEAL:
		n = baton_deque_steal(deque, v, 1);
		break;
	case DEQUE_STEAL_MANY:
		n = baton_deque_steal(deque, v, 8);
		break;
	case RING_PUSH:
		baton_ring_push(ring, x);
		break;
	case RING_POP:
		n = baton_ring_pop(ring, v);
		break;
	}
	atomic_store(&sh->inside, 2);
	if (what == QUEUE_PUSH || what == QUEUE_PUSH_NEW_SEGMENT || what == DEQUE_PUSH ||
	    what == DEQUE_PUSH_GROWS || what == RING_PUSH)
		sh->victim_pushed = (uintptr_t)x;
	for (i = 0; i < n; i++)
		sh->victim_took += (uintptr_t)v[i];
	for (;;)
		pause();
	return NULL;
}

static bool put(void *x)
{
	if (is_ring())
		return baton_ring_push(ring, x);
	return !baton_queue_push(queue, x);
}

static size_t take(void **v)
{
	if (is_deque())
		return baton_deque_steal(deque, v, 3);
	return is_ring() ? baton_ring_pop(ring, v) : baton_queue_pop(queue, v);
}

/*
 * The others. For queue and ring one pushes and one pops; a deque has its owner
 * for a victim, or, if the victim is a thief, an owner here.
 */
static void *worker(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, round = 0, i;
	bool thief_stopped = what == DEQUE_STEAL || what == DEQUE_STEAL_MANY;
	void *v[8];
	size_t n;

	baton_queue_attach();
	atomic_store(&sh->worker[me], (pid_t)syscall(SYS_gettid));
	for (;;) {
		while (atomic_load(&sh->ask) / 2 == round || (atomic_load(&sh->ask) & 1) != me)
			sched_yield();
		round = atomic_load(&sh->ask) / 2;
		for (i = 0; i < ITEMS; i++) {
			void *x = item();

			if (!me && is_deque() ? thief_stopped && !baton_deque_push(deque, x) : !me && put(x))
				sh->in += (uintptr_t)x;
			else if (!me && !is_deque())
				sh->stuck++;
			if (!me && is_deque() && thief_stopped && i % 2 && baton_deque_pop(deque, &x))
				sh->out += (uintptr_t)x;
			if (!me)
				continue;
			n = take(v);
			while (n)
				sh->out += (uintptr_t)v[--n];
		}
		if (me && atomic_load(&sh->drain))
			while ((n = take(v)))
				while (n)
					sh->out += (uintptr_t)v[--n];
		atomic_fetch_add(&sh->answer, 1);
	}
	return NULL;
}

static void child(void)
{
	pthread_t t;
	unsigned int i;

	prepare();
	if (pthread_create(&t, NULL, victim, NULL))
		_exit(1);
	for (i = 0; i < 2; i++)
		if (pthread_create(&t, NULL, worker, (void *)(uintptr_t)i))
			_exit(1);
	for (;;)
		pause();
}

static pid_t start(void)
{
	pid_t pid;

	memset(sh, 0, sizeof(*sh));
	pid = fork();
	if (!pid)
		child();
	while (!atomic_load(&sh->victim) || !atomic_load(&sh->worker[0]) || !atomic_load(&sh->worker[1]))
		sched_yield();
	return pid;
}

static void finish(pid_t pid, pid_t victim_tid)
{
	int status;

	kill(pid, SIGKILL);
	waitpid(victim_tid, &status, __WALL);
	waitpid(pid, &status, 0);
}

/* Both others do a round of work. False: one of them does not come back. */
static bool others_go_on(void)
{
	uint64_t give_up = baton_clock_now() + UINT64_C(20000000000);
	unsigned int me, want;

	for (me = 0; me < 2; me++) {
		want = atomic_load(&sh->answer) + 1;
		atomic_store(&sh->ask, (atomic_load(&sh->ask) / 2 + 1) * 2 + me);
		while (atomic_load(&sh->answer) < want) {
			if (baton_clock_now() > give_up)
				return false;
			sched_yield();
		}
	}
	return true;
}

/* Single-steps to the operation's first instruction. */
static void to_the_start(pid_t tid)
{
	int status;

	CHECK_EQ(ptrace(PTRACE_SEIZE, tid, NULL, NULL), 0);
	CHECK_EQ(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	CHECK_EQ(waitpid(tid, &status, __WALL), tid);
	atomic_store(&sh->begin, 1);
	while (!atomic_load(&sh->inside)) {
		CHECK_EQ(ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL), 0);
		CHECK_EQ(waitpid(tid, &status, __WALL), tid);
		CHECK(WIFSTOPPED(status));
	}
}

static bool step(pid_t tid)
{
	int status;

	if (ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL) || waitpid(tid, &status, __WALL) != tid)
		return false;
	return atomic_load(&sh->inside) == 1;
}

/*
 * Items that are missing when the victim stands there and everything was taken out:
 * none, or its own item, or what a pop or steal of its own had claimed.
 */
static bool only_its_own_lost(uint64_t *missing)
{
	const uint64_t its_item = UINT64_C(1) << 40;
	uint64_t in = sh->in, out = sh->out + sh->victim_took;

	/* The victim's push may have happened though it had not returned. */
	if (out >= its_item)
		out -= its_item;
	*missing = in - out;
	/* The first five items: their sum is 16 x (first .. first + 4). */
	return out <= in;
}

static void every_instruction(enum what w, const char *name)
{
	unsigned int steps = 0, sample, at, stride;
	uint64_t missing, most = 0;
	pid_t pid, tid;

	what = w;
	pid = start();
	tid = atomic_load(&sh->victim);
	to_the_start(tid);
	do
		CHECK_CMP(++steps, <, LIMIT);
	while (step(tid));
	finish(pid, tid);

	stride = steps <= 400 ? 1 : steps / 50;
	for (sample = 0; sample < steps; sample += stride) {
		pid = start();
		tid = atomic_load(&sh->victim);
		to_the_start(tid);
		for (at = 0; at < sample && step(tid); at++)
			;
		CHECK_MSG(others_go_on(), "%s stopped for good at instruction %u stops the others", name, at);
		atomic_store(&sh->drain, 1);
		CHECK_MSG(others_go_on(), "%s stopped for good at instruction %u: no end", name, at);
		CHECK_MSG(is_ring() || only_its_own_lost(&missing), "%s stopped at instruction %u: more came out than went in", name, at);
		if (!is_ring() && missing > most)
			most = missing;
		/* A small item, or at most the three of one steal. */
		if (!is_ring())
			CHECK_MSG(missing <= 16 * (BTN_QUEUE_ITEMS + 5) * (w == DEQUE_STEAL_MANY ? 3 : 1) &&
				  (missing == 0 || (w != QUEUE_PUSH && w != DEQUE_PUSH &&
						    w != QUEUE_PUSH_NEW_SEGMENT && w != DEQUE_PUSH_GROWS)),
				  "%s stopped for good at instruction %u: items worth %llu are lost", name, at,
				  (unsigned long long)missing);
		finish(pid, tid);
	}
	printf("# %s: %u instructions\n", name, steps);
}

#define STOPPED(NAME, WHAT) TEST(NAME) { every_instruction(WHAT, #NAME); }
STOPPED(queue_push, QUEUE_PUSH)
STOPPED(queue_push_new_segment, QUEUE_PUSH_NEW_SEGMENT)
STOPPED(queue_pop, QUEUE_POP)
STOPPED(queue_pop_last_of_segment, QUEUE_POP_LAST_OF_SEGMENT)
STOPPED(queue_pop_empty, QUEUE_POP_EMPTY)
STOPPED(deque_push, DEQUE_PUSH)
STOPPED(deque_push_grows, DEQUE_PUSH_GROWS)
STOPPED(deque_pop, DEQUE_POP)
STOPPED(deque_pop_last, DEQUE_POP_LAST)
STOPPED(deque_steal, DEQUE_STEAL)
STOPPED(deque_steal_many, DEQUE_STEAL_MANY)

/*
 * The ring's calls return whatever the victim does; but where it stands between
 * claim and store the others' calls say full and empty. That it is so, and no
 * worse, is what is tested.
 */
STOPPED(ring_push, RING_PUSH)
STOPPED(ring_pop, RING_POP)

int main(int argc, char **argv)
{
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return tap_main(argc, argv);
}
