// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Workers: the threads that run tasks. A pool that grows on demand (dispatch.c); what a
 * worker's thread does, and what happens when its task ends.
 */
#include "worker.h"

#include <unistd.h>

#include "../birth.h"
#include "../core/core.h"
#include "../die.h"
#include "../hooks.h"
#include "../tsan.h"
#include "blocked.h"
#include "follow.h"
#include "gate.h"
#include "self.h"
#include "slot.h"

/*
 * Tasks that were spawned are freed outside the library, and with the worker's next slot: malloc's lock may be a
 * stopped task's.
 */

/* The run of w ends, with its task. Gives up the lock. False: the worker's thread is about to end, or to go. */
BTN_ENDS(btn_inside, btn_locked)
static __attribute__((noinline)) bool end_run(struct btn_worker *w, bool leaves, struct baton_task *heap)
{
	struct baton_sched *s = w->s;
	uint64_t now = s->now;
	unsigned slot;

	btn_slot_end_lazy(s, w);
	slot = btn_slot_end_task(w, now);
	if (btn_slot_demoted(w) || (s->n_idle >= s->keep && !s->core.starved.top))
		leaves = true;
	if (w->attached) {
		leaves = true;
	} else if (leaves) {
		w->retired = true;
		w->next = s->dead;
		s->dead = w;
		s->born--;
	} else {
		w->next = s->idle;
		s->idle = w;
		s->n_idle++;
	}
	if (!w->attached)
		btn_core_worker(&s->core, now);
	btn_gate_hand_over(w, now, slot, leaves);
	btn_mem_free(heap);
	return !leaves;
}

bool btn_worker_task_end(struct btn_worker *w, bool leaves)
{
	struct baton_sched *s = w->s;
	struct baton_task *t = w->task, *heap = btn_unlikely(t->heap) && !t->joinable ? t : NULL;

	/*
	 * A mutex or rwlock that the task holds can be unlocked by no other, and what it guards may be
	 * half changed.
	 */
	if (btn_unlikely(t->locks_held))
		btn_die("a task ended that holds a baton_mutex or baton_rwlock; how many:", t->locks_held);
	btn_tsan_release(t->req);
	if (t->joinable)
		btn_tsan_release(t);
	btn_gate_lock(s);
	/* Between coming back and here it may be taken again. */
	while (btn_unlikely(w->slot < 0)) {
		btn_gate_come_back(w);
		btn_gate_lock(s);
	}
	if (btn_unlikely(leaves) || !btn_follow_next(w))
		return end_run(w, leaves, heap);
	btn_gate_go_on(s);
	if (btn_unlikely(heap))
		btn_mem_free(heap);
	return true;
}

static void thread_ends(void *arg)
{
	/* In a child of fork(): the thread is the child's last, and nobody's worker. */
	if (btn_self != arg)
		return;
	btn_worker_task_end(arg, true);
	btn_blocked_part(arg);
}

void *btn_worker_main(void *arg)
{
	struct btn_worker *w = arg;
	pid_t tid = gettid();

	btn_self = w;
	/* A thread that has to stay SCHED_IDLE ends with its task, as if it had been demoted. */
	btn_slot_set_demoted(w, !btn_birth_become(&w->s->birth));
	if (!w->s->cpus)
		btn_birth_cpus(w->s->monitor);
	btn_gate_signal_thread(w->s);
	btn_gate_enter(w);
	btn_lock_acquire(&w->s->lock);
	w->tid = tid;
	pthread_getcpuclockid(pthread_self(), &w->cpu_clock);
	btn_lock_release(&w->s->lock);
	btn_blocked_join(w);
	btn_gate_came(w);
	btn_slot_arm(w, BTN_CELL_ARMED);
	btn_gate_exit(w);
	/* Only a task's code can end the thread, and then w->task is that task. */
	pthread_cleanup_push(thread_ends, w);
	do {
		btn_tsan_acquire(w->task);
		w->task->fn(w->task->arg);
	} while (btn_likely(btn_self == w) && btn_worker_task_end(w, false) && w->task);
	pthread_cleanup_pop(0);
	/* In a child of fork() that a task made. */
	if (btn_unlikely(btn_self != w))
		return NULL;
	btn_blocked_part(w);
	return NULL;
}
