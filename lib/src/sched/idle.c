// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Idle pollers: they look for blocked workers when a CPU has nothing to do.
 *
 * Where a worker blocks and nothing else is there to run, the doorbell costs an interrupt that
 * the CPU sends itself before it has gone to sleep, and then the notifier, which wakes the
 * next worker: on a virtual machine more than 20 us. An idle poller is a thread of SCHED_IDLE
 * that is bound to one CPU. It runs when nothing else does, so the kernel goes on with it by
 * itself. Like a slotless worker it is owed for workers that block where it runs next
 * (bpf/detect.bpf.c, [DETECT-3]). It wakes the designated waker, as the kernel does with the
 * hook [WAKER-1], or tells the notifier.
 *
 * The poller never takes the scheduler's lock: in that class it may have to wait for seconds
 * to go on, wherever it stands. So what it owes is paid, for the kernel, when it has told, and
 * not before:
 *
 *	idle poller			kernel, where the poller leaves the CPU or comes to it
 *	(a) owes? owes = TELLING	the poller leaves and owes, whichever: owes = 0, and
 *	(b) tells			  the next thread owes, or the doorbell is rung
 *	(c) owes: TELLING -> 0		a worker blocked and the poller is next: owes = 1
 *
 * [IDLE-1] All of this happens on the poller's CPU and in order. If the poller leaves for good
 * between (a) and (c), the scheduler is told once more. If it leaves and comes back owing for
 * another worker, (c) finds 1. selftests/model/idle.pml is a model of this.
 *
 * A poller is awake only while it is of use. It is woken when the doorbell was rung twice in
 * NEAR_NS from its CPU for want of anything to run. It sleeps when it has had the CPU for
 * idle_ns and no worker blocked; at once when no task waits for a slot. (A kernel that runs in
 * a virtual machine does the same before it stops a CPU: cpuidle-haltpoll, 200 us as well.)
 *
 * The end of a poller is not waited for, for the same reason. The poller has a reference to
 * the session's memory, is told to stop, and goes when it comes to run.
 *
 * [IDLE-2] The poller's word, a futex, goes from AWAKE to ASLEEP by the poller, back by the
 * notifier, and to STOP at the end by an exchange. Each is one step, so none is lost. The
 * poller's memory is written before its thread starts; the last of the two that refer to it
 * frees it.
 */
#include "idle.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../birth.h"
#include "../clock.h"
#include "../futex.h"
#include "../hooks.h"
#include "../inject.h"

#define NEAR_NS 5000000
/* Time from one look at the clock to the next that means that the poller was off the CPU. */
#define OFF_CPU_NS 10000

enum { AWAKE, ASLEEP, STOP };
enum { OWES_NOTHING, OWES, TELLING };

struct btn_idle_poller {
	BTN_ALIGNED _Atomic uint32_t word;
	_Atomic uint32_t refs;
	struct btn_detect *detect;
	struct btn_cell *cell;
	int cpu;
	uint64_t idle_ns;
};

/* All pollers of a scheduler, by CPU. Used by the notifier. */
struct btn_idle_pollers {
	unsigned n;
	uint64_t idle_ns;
	struct {
		struct btn_idle_poller *poller;
		uint64_t rung_at;
	} on[];
};

static void put_poller(struct btn_idle_poller *i)
{
	if (atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) != 1) /* [IDLE-2] the last one frees it */
		return;
	btn_detect_put(i->detect);
	btn_mem_free(i);
}

static void tell_scheduler(struct btn_idle_poller *i)
{
	struct btn_detect_counts *counts = btn_detect_counts(i->detect);
	struct btn_cell *other = btn_detect_take_waker(i->detect);

	atomic_fetch_add_explicit(&counts->rung, 1, memory_order_relaxed); /* [DETECT-2] */
	BTN_POINT("idle:tell:named");
	if (other) {
		atomic_store_explicit(&other->notified, 1, memory_order_seq_cst); /* [WAKER-1] */
		BTN_POINT("idle:tell:notified");
		if (btn_cell_wake(other) > 0) {
			atomic_fetch_add_explicit(&counts->notified, 1, memory_order_relaxed); /* [DETECT-2] */
			return;
		}
	}
	btn_detect_tell(i->detect);
}

/* Pays what the poller owes. False: nothing. */
static bool pay_owed(struct btn_idle_poller *i)
{
	uint32_t telling = TELLING;

	if (!atomic_load_explicit(&i->cell->owes, memory_order_relaxed)) /* [IDLE-1] */
		return false;
	atomic_store_explicit(&i->cell->owes, TELLING, memory_order_relaxed); /* [IDLE-1] */
	atomic_signal_fence(memory_order_seq_cst); /* [IDLE-1] */
	tell_scheduler(i);
	BTN_POINT("idle:pays:told");
	/* [IDLE-1] */
	atomic_compare_exchange_strong_explicit(&i->cell->owes, &telling, OWES_NOTHING, memory_order_relaxed, /* [IDLE-1] */
						memory_order_relaxed); /* [IDLE-1] */
	return true;
}

static bool is_stopped(struct btn_idle_poller *i)
{
	return atomic_load_explicit(&i->word, memory_order_acquire) == STOP; /* [IDLE-2] */
}

/* Polls as long as that is of use. */
static void poll_idle(struct btn_idle_poller *i)
{
	uint64_t had = 0, at = btn_clock_now(), now;

	btn_cell_slotless(i->cell, true);
	while (had < i->idle_ns && btn_detect_wanted(i->detect) && !is_stopped(i)) {
		btn_cpu_relax();
		now = btn_clock_now();
		had += now - at < OFF_CPU_NS ? now - at : 0;
		at = now;
		if (pay_owed(i))
			had = 0;
	}
	btn_cell_slotless(i->cell, false);
	pay_owed(i);
}

static bool become_poller(struct btn_idle_poller *i)
{
	struct sched_param p = { 0 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(i->cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set) && !sched_setscheduler(0, SCHED_IDLE, &p) &&
	       !btn_detect_join(i->detect, i->cell);
}

static void *poller_main(void *arg)
{
	struct sched_param p = { 0 };
	struct btn_idle_poller *i = arg;
	uint32_t awake;

	btn_birth_own("baton-idle-poll");
	/*
	 * A poller that cannot become what it is to be stays AWAKE, as far as the notifier can
	 * see, and is not woken again.
	 */
	if (become_poller(i)) {
		/* The kernel looks at what it owes, and for the rest it may sleep where it likes. */
		btn_cell_arm(i->cell, BTN_CELL_NOT);
		while (!is_stopped(i)) {
			poll_idle(i);
			awake = AWAKE;
			/* [IDLE-2] */
			if (!atomic_compare_exchange_strong_explicit(&i->word, &awake, ASLEEP, memory_order_relaxed, /* [IDLE-2] */
								     memory_order_relaxed)) /* [IDLE-2] */
				continue;
			while (atomic_load_explicit(&i->word, memory_order_relaxed) == ASLEEP) /* [IDLE-2] */
				btn_futex->wait(&i->word, ASLEEP, BATON_FOREVER);
		}
	}
	/*
	 * Leaves SCHED_IDLE, where it may: the C library takes locks on a thread's way out,
	 * and malloc's.
	 */
	sched_setscheduler(0, SCHED_OTHER, &p);
	put_poller(i);
	return NULL;
}

/* NULL: not now. */
static struct btn_idle_poller *make_poller(struct btn_detect *d, int cpu, uint64_t idle_ns)
{
	struct btn_idle_poller *i = btn_mem_aligned(_Alignof(struct btn_idle_poller), sizeof(*i));
	pthread_attr_t attr;
	pthread_t thread;

	if (!i)
		return NULL;
	memset(i, 0, sizeof(*i));
	i->cell = btn_detect_cell(d);
	if (!i->cell) {
		btn_mem_free(i);
		return NULL;
	}
	i->detect = btn_detect_get(d);
	i->cpu = cpu;
	i->idle_ns = idle_ns;
	atomic_init(&i->refs, 2);
	btn_cell_slotless(i->cell, false);
	btn_cell_pays(i->cell);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* A poller without a thread stays AWAKE, too. */
	if (pthread_create(&thread, &attr, poller_main, i))
		put_poller(i);
	pthread_attr_destroy(&attr);
	return i;
}

void btn_idle_rung(struct baton_sched *s)
{
	struct btn_idle_pollers *all = s->idle_pollers;
	uint32_t asleep = ASLEEP;
	uint64_t now, before;
	struct btn_idle_poller *i;
	unsigned cpu;

	if (!all)
		return;
	cpu = btn_detect_idle_cpu(s->detect);
	if (cpu >= all->n)
		return;
	now = btn_clock_now();
	before = all->on[cpu].rung_at;
	all->on[cpu].rung_at = now;
	if (now - before > NEAR_NS)
		return;
	i = all->on[cpu].poller;
	if (!i) {
		all->on[cpu].poller = make_poller(s->detect, cpu, all->idle_ns);
		if (all->on[cpu].poller) {
			btn_lock_acquire(&s->lock);
			s->detect->notifies = true;
			btn_lock_release(&s->lock);
		}
	} else if (atomic_compare_exchange_strong_explicit(&i->word, &asleep, AWAKE, memory_order_relaxed, /* [IDLE-2] */
							   memory_order_relaxed)) { /* [IDLE-2] */
		btn_futex->wake(&i->word, 1);
	}
}

unsigned btn_idle_max(void)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);

	return n < 1 ? 1 : n > CPU_SETSIZE ? CPU_SETSIZE : n;
}

void btn_idle_begin(struct baton_sched *s, uint64_t idle_ns)
{
	unsigned n = btn_idle_max();

	/* The hook does it itself; and one that is bound wants its own slot, not the next one's. */
	if (!idle_ns || s->detect->notifies || s->cpus)
		return;
	s->idle_pollers = btn_mem_zeroed(1, sizeof(*s->idle_pollers) + n * sizeof(s->idle_pollers->on[0]));
	if (!s->idle_pollers)
		return;
	s->idle_pollers->n = n;
	s->idle_pollers->idle_ns = idle_ns;
}

void btn_idle_end(struct baton_sched *s)
{
	struct btn_idle_pollers *all = s->idle_pollers;
	struct btn_idle_poller *i;
	unsigned k;

	for (k = 0; all && k < all->n; k++) {
		i = all->on[k].poller;
		if (!i)
			continue;
		if (atomic_exchange_explicit(&i->word, STOP, memory_order_release) == ASLEEP) /* [IDLE-2] */
			btn_futex->wake(&i->word, 1);
		put_poller(i);
	}
	btn_mem_free(all);
	s->idle_pollers = NULL;
}
