/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * core/run.h - a task begins and ends in a run, and the next one of its flow follows in the same run, also where it blocks. Inline, as all of
 * that is done for each task, however short.
 */
#ifndef BTN_CORE_RUN_H
#define BTN_CORE_RUN_H

#include "../probe.h"
#include "flow.h"

/* The request is done. */
static inline void btn_run_finish_request(struct btn_core *c, struct btn_request *r, int result)
{
	r->result = result;
	r->done = true;
	if (btn_unlikely(r->deadline != BTN_NEVER) && btn_heap_has(&r->timer))
		btn_heap_del(&c->deadlines, &r->timer);
	btn_stat_set(&r->tenant->stats->in_flight, --r->tenant->requests);
	r->next_done = NULL;
	*c->done_last = r;
	c->done_last = &r->next_done;
}

static inline void btn_run_end_task(struct btn_core *c, struct btn_task *t)
{
	struct btn_request *r = t->req;

	t->state = BTN_TASK_ENDED;
	if (!--r->tasks) {
		btn_stat_add(&r->use->finished, 1);
		btn_run_finish_request(c, r, r->cancel_pending);
	}
}

/* The slot's run is set up but for its task. first: t never ran. */
static inline __attribute__((always_inline)) void btn_run_begin_task(struct btn_core *c, uint64_t now, unsigned slot, struct btn_run *run,
				      struct baton_stats_use *use, struct btn_task *t, bool first)
{
	struct baton_stats_slot *figures = &c->page.slots[slot];
	struct btn_request *r = t->req;

	if (first)
		btn_stat_hist(&use->wait, now - t->ready_at);
	t->ran = true;
	t->state = BTN_TASK_RUNNING;
	run->task = t;
	run->start = now;
	btn_stat_set(&figures->since, now);
	btn_stat_add(&figures->switches, 1);
	btn_trace(&c->page, slot, now, BATON_TRACE_RUN, 0, run->tier->index, r->tenant->stats, r->info.number, t);
	BTN_PROBE4(run, slot, t, btn_stat_get(&r->tenant->stats->id), r->info.number);
}

/* The time by which all is earned may be ahead by so much. */
#define BTN_RUN_SLACK	10000000ULL

/* ns in which so much CPU is earned. */
static inline uint64_t btn_run_time_of(const struct btn_core *c, uint64_t cpu)
{
	return (uint64_t)((unsigned __int128)cpu * BTN_SECOND / c->capacity);
}

/* The time by which all is earned where a run that began then used so much. */
static inline uint64_t btn_run_earned_by(const struct btn_core *c, uint64_t now, uint64_t began, uint64_t cpu)
{
	uint64_t earned = (c->earned < began ? began : c->earned) + btn_run_time_of(c, cpu);

	return earned < now + BTN_SECOND ? earned : now + BTN_SECOND;
}

/* True: where the core is paced, tasks of this tier get no slot now, if all is earned by that time. */
static inline bool btn_run_is_ahead(const struct btn_core *c, const struct btn_tier *t, uint64_t now, uint64_t earned)
{
	return t->rank > c->tier[BTN_LOW].rank && earned > now + BTN_RUN_SLACK &&
	       (!t->sold || c->low_sold + c->high_sold > c->capacity);
}

/*
 * True: if the tasks of the run used all its time, another one would have to wait until that is earned. Where the core is
 * paced: core.c.
 */
static inline bool btn_run_waits_to_earn(const struct btn_core *c, uint64_t now, const struct btn_run *run)
{
	return btn_run_is_ahead(c, run->tier, now, btn_run_earned_by(c, now, run->began, run->followed + (now - run->start)));
}

/*
 * True: the run in this slot may go on with the first task of its flow, as btn_core_pick() would most likely give the slot to that
 * one where the slot's task stopped now.
 */
static inline bool btn_run_goes_on(const struct btn_core *c, uint64_t now, unsigned slot)
{
	const struct btn_run *run = &c->run[slot];
	const struct btn_flow *f = run->flow;

	/* No other flow stands in any tier, so there is no order that a pick would have to find out. */
	if (c->waiting != f || f->next_waiting || (run->need_resched | run->accounted) || run->lender || run->tier != f->tier ||
	    run->acct != f->acct || slot >= c->slots)
		return false;
	if (btn_unlikely(c->paced) && btn_run_waits_to_earn(c, now, run))
		return false;
	/* Half of the slice is left, as one that is picked would have a whole one. */
	return now < run->start + run->slice / 2 && run->slice >= run->reserved / 2;
}

/*
 * The first task of the same flow, which has not run yet, if btn_core_pick() would most likely give the slot to it where
 * the task in this slot ended now, and no other task would get a worker by the end. NULL: not so.
 */
static inline struct btn_task *btn_run_follower(const struct btn_core *c, uint64_t now, unsigned slot)
{
	const struct btn_run *run = &c->run[slot];
	const struct btn_flow *f = run->flow;
	struct btn_task *t;

	if (!btn_run_goes_on(c, now, slot))
		return NULL;
	/* Nobody waits for a worker. */
	if (c->starved.top || f->tenant->starved.top || c->workers < c->workers_reserved || run->task->attached)
		return NULL;
	t = btn_flow_first(f);
	return !(t->ran | t->attached) && !t->waits && (t->req->started || t->req->deadline == BTN_NEVER) ? t : NULL;
}

/*
 * The same where the task in this slot blocks, and keeps its worker: the follower has run before, so it has a worker
 * of its own.
 */
static inline struct btn_task *btn_run_next(const struct btn_core *c, uint64_t now, unsigned slot)
{
	struct btn_task *t;

	if (!btn_run_goes_on(c, now, slot))
		return NULL;
	t = btn_flow_first(c->run[slot].flow);
	return t->ran && !t->attached && !t->waits ? t : NULL;
}

/* The task in this slot used so much CPU and stops, and the run goes on with another one. step: btn_hist_step(cpu). */
static inline __attribute__((always_inline)) void btn_run_leave(struct btn_core *c, uint64_t now, unsigned slot, uint64_t cpu,
								unsigned step, enum btn_stop why)
{
	struct btn_run *run = &c->run[slot];
	struct btn_flow *f = run->flow;
	struct btn_task *t = run->task;

	btn_trace(&c->page, slot, now, BATON_TRACE_STOP, why, run->tier->index, f->tenant->stats, t->req->info.number, t);
	BTN_PROBE4(stop, slot, t, cpu, why);
	t->req->cpu += cpu;
	btn_stat_hist_in(&btn_tenant_use(f->tenant, run->tier->index)->run, cpu, step);
	run->followed += cpu;
	run->slice -= now - run->start;
	f->turn = ++c->seq;
	f->waits_since = now;
}

/*
 * The task in this slot used so much CPU and ended, and the first task of the same flow, next, has the
 * rest of the run: what is reserved for it, and the worker. So the run is one of several tasks of
 * one account, which is all that the proof in ledger.h asks for; it is settled when the last of them stops.
 * Only where btn_run_follower() says so. step: btn_hist_step(cpu), which a caller may know.
 */
static inline void btn_run_follow(struct btn_core *c, uint64_t now, unsigned slot, struct btn_task *next, uint64_t cpu,
				  unsigned step)
{
	struct btn_run *run = &c->run[slot];
	struct btn_flow *f = run->flow;
	struct btn_task *t = run->task;
	struct btn_request *r = next->req;
	struct baton_stats_use *use = btn_tenant_use(f->tenant, run->tier->index);

	btn_run_leave(c, now, slot, cpu, step, BTN_STOP_END);
	/*
	 * A task that has not run holds nothing, and a deadline has passed by leave_flow() where its request started. The flow
	 * stands in its tier, so nothing is added to its throttled time meanwhile.
	 */
	btn_span_end(&r->ready, now);
	r->throttled += f->throttled_total;
	btn_flow_remove_from(c, now, f, next);
	r->started = true;
	r->first = NULL;
	btn_run_end_task(c, t);
	btn_run_begin_task(c, now, slot, run, use, next, true);
}

#endif
