// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Samples of what the machine gives. A sample begins at a checkpoint at which a worker looks at
 * the clock, and ends where that worker next comes into the library for something else: at the
 * end of its slice, or of its task, or where it waits. All that it is made of belongs to the thread
 * itself, which reads its own clocks; the sum is under the scheduler's lock.
 *
 * A thread that was stopped by the signal, at any place between two of these readings, has slept in
 * the handler. So its voluntary switches are read before the clocks at the beginning, and after
 * them at the end.
 *
 * Some of what the rules allow changes without an event: another affinity mask, a CPU that goes
 * offline (capacity.h). So a worker that samples wakes the watch now and then, which reads all
 * again. No thread does where no task runs.
 */
#include "sample.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>

#include "slot.h"

static uint64_t thread_cpu(void)
{
	struct timespec ts;

	return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) ? 0 : ts.tv_sec * BTN_NSEC_PER_SEC + ts.tv_nsec;
}

static long voluntary_switches(void)
{
	struct rusage use;

	return getrusage(RUSAGE_THREAD, &use) ? -1 : use.ru_nvcsw;
}

static void wake_watch(struct baton_sched *s, uint64_t now)
{
	if (s->watch_again < 0 || now < atomic_load_explicit(&s->watch_at, memory_order_relaxed)) /* [SAMPLE-1] */
		return;
	atomic_store_explicit(&s->watch_at, now + BTN_SAMPLE_WATCH_NS, memory_order_relaxed); /* [SAMPLE-1] */
	eventfd_write(s->watch_again, 1);
}

void btn_sample_open(struct btn_worker *w, uint64_t now)
{
	/* A thread that is SCHED_IDLE gets less by the scheduler's own wish. */
	if (w->attached || btn_slot_demoted(w))
		return;
	atomic_store_explicit(&w->s->sample_at, now + BTN_SAMPLE_NS, memory_order_relaxed); /* [SAMPLE-1] */
	wake_watch(w->s, now);
	w->sample.switches = voluntary_switches();
	w->sample.cpu = thread_cpu();
	w->sample.began = btn_clock_now();
}

void btn_sample_close(struct btn_worker *w)
{
	uint64_t now = btn_clock_now(), cpu = thread_cpu();

	if (now > w->sample.began && cpu && w->sample.cpu && !btn_slot_demoted(w) &&
	    voluntary_switches() == w->sample.switches) {
		w->sample.wanted = now - w->sample.began;
		w->sample.got = cpu - w->sample.cpu;
	}
	w->sample.began = 0;
}

void btn_sample_count(struct baton_sched *s, struct btn_worker *w)
{
	if (w->s != s)
		return;
	btn_supply_add(&s->supply, s->now, w->sample.wanted, w->sample.got);
	w->sample.wanted = 0;
	btn_stat_set(&s->core.page.h->supply, btn_supply_part(&s->supply, s->now));
	btn_stat_set(&s->core.page.h->supply_at, s->now);
}

uint64_t btn_sample_given(struct baton_sched *s, uint64_t now)
{
	uint64_t at = btn_stat_get(&s->core.page.h->supply_at);

	if (!at || now > at + BATON_STATS_SUPPLY_OLD)
		return 0;
	return s->core.slots * (BTN_SECOND / BTN_SUPPLY_ALL) * btn_supply_part(&s->supply, now);
}
