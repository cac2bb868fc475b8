// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The monitor: one thread for what nobody else is there to do. Ticks,
 * deadlines, sleepers, threads that ended, and tasks that do not let go.
 */
#include "monitor.h"

#include <string.h>
#include <sys/prctl.h>

#include "../birth.h"
#include "../core/core.h"
#include "../inject.h"
#include "../io/poller.h"
#include "alarm.h"
#include "dispatch.h"
#include "gate.h"
#include "lazy.h"
#include "polls.h"
#include "pool.h"
#include "preempt.h"
#include "stop.h"
#include "tick.h"
#include "wait.h"

/*
 * All tasks that have slots, but for those that sleep with their alarms set, came by themselves the last time: the
 * monitor need not be there at the end of each slice, which comes thousands of times a second.
 */
static bool all_come(const struct baton_sched *s)
{
	const struct btn_look *l;

	if (s->late || s->slotless.first)
		return false;
	for (l = s->watched.first; l; l = l->next)
		if (s->core.run[l - s->looks].task && !s->on[l - s->looks]->comes)
			return false;
	return true;
}

/* The next time at which the monitor is to look at those that have slots. */
static uint64_t next_look(struct baton_sched *s, uint64_t now)
{
	uint64_t look = btn_preempt_next(s, now);

	return look < now + BTN_TICK_QUIET_NS && all_come(s) ? now + BTN_TICK_QUIET_NS : look;
}

/* The next time at which the monitor has something to do. */
static uint64_t next_due(struct baton_sched *s, uint64_t now)
{
	uint64_t due = btn_tick_next(s, now), end = next_look(s, now);

	s->given = false;
	return end < due ? end : due;
}

/* The file gets memory for the rings first. */
static void begin_trace(struct baton_sched *s)
{
	int err = btn_page_trace_room(&s->core.page);

	btn_gate_lock(s);
	btn_page_trace_begin(&s->core.page, err);
	if (s->core.page.rings)
		btn_door_close_all(s);
	btn_gate_release(s);
}

void *btn_monitor_main(void *arg)
{
	struct baton_sched *s = arg;
	struct btn_worker *dead, *next, *late = NULL, **last;
	struct btn_wakes wakes;
	uint64_t now, due;
	bool looks, again, traces;

	btn_birth_own("baton-monitor");
	/*
	 * The monitor runs for a few microseconds, and is late if it has to wait for a task's
	 * time slice.
	 */
	baton_thread_prefer_latency();
	prctl(PR_SET_TIMERSLACK, 1);
	for (;;) {
		btn_pool_refill(s);
		btn_gate_lock(s);
		now = s->now;
		memset(&wakes, 0, sizeof(wakes));
		btn_core_tick(&s->core, now);
		traces = btn_page_trace(&s->core.page, now);
		btn_wait_expire(s, now);
		btn_dispatch_retry(s, now);
		btn_lazy_take_old(s, now);
		btn_dispatch_done(s, &wakes);
		btn_preempt_look(s, now, &wakes);
		btn_tick_set_due(s, now);
		s->look = true;
		btn_dispatch(s, now, &wakes);
		s->was_wanted = !s->core.n_idle && btn_core_waits(&s->core, now);
		due = next_due(s, now);
		if (due < now + BTN_TICK_NS / 8)
			due = now + BTN_TICK_NS / 8;
		looks = s->poll == BTN_POLL_VACANT;
		if (looks && due > now + BTN_POLL_TICK_NS)
			due = now + BTN_POLL_TICK_NS;
		if (s->stopping)
			due = 0;
		btn_tick_set_due(s, due);
		/* Workers whose threads are late stand behind those that came since. */
		for (last = &s->dead; *last; last = &(*last)->next)
			;
		*last = late;
		dead = s->dead;
		s->dead = late = NULL;
		btn_gate_release(s);
		BTN_POINT("sched:monitor:unlocked");
		btn_stop_send(s, &wakes);
		again = btn_preempt_after_look(s);
		if (traces)
			begin_trace(s);
		if (!btn_alarm_set(s) && due)
			due = due < now + BTN_LOOK_MAX_NS ? due : now + BTN_LOOK_MAX_NS;
		btn_dispatch_wake(s, &wakes);
		if (looks)
			btn_poller_look(s);
		/*
		 * A thread that is SCHED_IDLE may take its time: the monitor does not wait for
		 * it.
		 */
		for (; dead; dead = next) {
			next = dead->next;
			if (due ? pthread_tryjoin_np(dead->thread, NULL) : pthread_join(dead->thread, NULL)) {
				dead->next = late;
				late = dead;
			} else {
				btn_pool_worker_free(dead);
			}
		}
		if (!due)
			return NULL;
		/* Nobody waits for the monitor here: it has woken all that it had to. */
		BTN_POINT("sched:monitor:done");
		if (!again)
			baton_parker_block(s->monitor_parker, due);
	}
}
