/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * core/core.h - what the scheduler decides, as a state machine: events go in with
 * the time at which they happened, decisions come out. No clock, no thread, no
 * lock, and no memory of its own but what it was made with: lib/src/sched drives it
 * with real threads under one lock, selftests/sim with virtual ones.
 *
 * A driver, after each event, in this order:
 *   - btn_core_done() until NULL: requests that ended, were dropped or rejected;
 *   - btn_core_idle() and btn_core_pick() until either finds nothing: slots
 *     that were idle and now have a task;
 *   - btn_core_next_resched() until -1: slots whose task must reach a checkpoint soon;
 *   - and again at btn_core_next() at the latest, with btn_core_tick().
 * When the task in a slot reaches a checkpoint after its slice ended or need_resched
 * was set, blocks or ends, the driver says so with btn_core_stop() and picks.
 */
#ifndef BTN_CORE_H
#define BTN_CORE_H

#include "types.h"

/*
 * Submits r with its first task t. The caller has set r->tenant, class, tier (of
 * BTN_INTERNAL), info.arrival and deadline. Returns 0, and t waits for a slot; -EDQUOT: no
 * quota now (critical) or ever; -EAGAIN: the tenant has requests_max in flight; -ETIME: the
 * deadline is past; -EINVAL: the deadline is nearer than BTN_DEADLINE_MIN to the arrival;
 * -ESHUTDOWN: the tenant is leaving. On an error r and t are the caller's again.
 */
int btn_core_submit(struct btn_core *c, uint64_t now, struct btn_request *r, struct btn_task *t);
/*
 * The same for a request without a deadline that came then, not later than now, when nothing was to be said against it: its
 * flow was open (btn_flow.open), and has the task of another request that the same was said of.
 */
void btn_core_admit(struct btn_core *c, uint64_t now, uint64_t came, struct btn_request *r, struct btn_task *t);
/* ns for which tasks of the request were ready and had nothing to pay with. */
uint64_t btn_request_throttled(const struct btn_request *r, uint64_t now);
/* Adds a task to a request in which another has not ended. */
void btn_core_spawn(struct btn_core *c, uint64_t now, struct btn_request *r, struct btn_task *t);
/* A blocked task can go on. */
void btn_core_ready(struct btn_core *c, uint64_t now, struct btn_task *t);
/* Task t is about to block, for a stream, until it is made ready. */
static inline void btn_core_wait_stream(uint64_t now, struct btn_task *t)
{
	t->for_stream = true;
	btn_span_begin(&t->req->streamed, now);
	btn_stat_add(&t->req->tenant->stats->on_streams, 1);
}

/* A ready task that has run is blocked again. */
void btn_core_unready(struct btn_core *c, uint64_t now, struct btn_task *t);
/*
 * A request that has not started never runs, and is done with the result why. For one that has
 * started, why is pending.
 */
void btn_core_cancel(struct btn_core *c, uint64_t now, struct btn_request *r, int why);
/*
 * Task t, which is blocked or about to be, waits for a resource that holder holds. Until t is
 * made ready, or this wait ends, the holder may also run in the place that t would have in the
 * order, and with what the account of t has left; and so through chains: lend.c. A holder does
 * not end before the wait does.
 */
void btn_core_wait(struct btn_core *c, uint64_t now, struct btn_task *t, struct btn_resource *res, struct btn_task *holder);
void btn_core_wait_end(struct btn_core *c, uint64_t now, struct btn_task *t);
/* The resource has another holder, perhaps one that waits itself, but not for it: those that wait lend to that one. */
void btn_core_hold(struct btn_core *c, uint64_t now, struct btn_resource *res, struct btn_task *holder);
/*
 * Charges CPU that a request used elsewhere (Q11); or here, without a slot: that is owed like
 * what is used past a slice.
 */
void btn_core_charge(struct btn_core *c, uint64_t now, struct btn_request *r, uint64_t cpu, bool here);

/*
 * Gives back CPU that was charged to r since then, when runs in this tier stopped, and was not
 * used. tier < 0: CPU that btn_core_charge() charged. since 0: nobody knows which request was
 * charged. Then, or where `since` is a second ago, the quota stays used.
 */
void btn_core_refund(struct btn_core *c, uint64_t now, struct btn_request *r, int tier, uint64_t since, uint64_t cpu);

/* The task in this slot was stopped by force, at the end of its slice: what it overran is learnt (ledger.h). */
void btn_core_force(struct btn_core *c, unsigned slot);
/*
 * The task in this slot is about to be stopped by force before the end of its slice, and uses more CPU until its thread has parked. Returns how much
 * that is, as far as the account has learnt it. The caller charges that with the run, and what it turns out to be too much is given back:
 * else it would be in no account until it is charged without a slot, and another task could be given it meanwhile.
 */
uint64_t btn_core_cut(struct btn_core *c, unsigned slot);
/* The task in this slot used so much CPU since it was picked, and stops. */
void btn_core_stop(struct btn_core *c, uint64_t now, unsigned slot, uint64_t cpu, enum btn_stop why);
/*
 * The task in this slot used so much CPU and blocks, and another one of its flow goes on in the same run, with its own worker: in
 * place of btn_core_stop() and btn_core_pick(), only where btn_run_next() (run.h) has just named it.
 */
void btn_core_pass(struct btn_core *c, uint64_t now, unsigned slot, struct btn_task *next, uint64_t cpu);
/* The next task for an idle slot, running from now on; NULL: none may run. */
struct btn_task *btn_core_pick(struct btn_core *c, uint64_t now, unsigned slot);
/* Adds a worker for a task that has not run yet; btn_core_pick() takes one for each. */
void btn_core_worker(struct btn_core *c, uint64_t now);
/* Sets how many workers tasks yet to start may take from now on. */
void btn_core_workers(struct btn_core *c, uint64_t now, unsigned n);

void btn_core_tick(struct btn_core *c, uint64_t now);
uint64_t btn_core_next(struct btn_core *c, uint64_t now);

unsigned btn_core_rank(const struct btn_core *c, const struct btn_task *t);	/* the rank of the task's tier */
bool btn_core_can_lend(struct btn_core *c, uint64_t now, const struct btn_task *t);	/* has t, which is blocked, something to pay with? */
/* Would t, which can lend, have a slot sooner than u, which is ready? */
bool btn_core_goes_before(struct btn_core *c, uint64_t now, const struct btn_task *t, const struct btn_task *u);
bool btn_core_waits(struct btn_core *c, uint64_t now);	/* does a task wait that could run? */
struct btn_task *btn_core_first(struct btn_core *c, uint64_t now);	/* likely the next; NULL: none waits */
int btn_core_idle(struct btn_core *c);			/* a slot, or -1 */
/* Makes this slot the next one that btn_core_idle() names, if it is idle and easily found. */
void btn_core_prefer(struct btn_core *c, unsigned slot);
int btn_core_next_resched(struct btn_core *c);		/* a slot, or -1 */

/* NULL: none */
static inline struct btn_request *btn_core_done(struct btn_core *c)
{
	struct btn_request *r = c->done;

	if (r) {
		c->done = r->next_done;
		if (!c->done)
			c->done_last = &c->done;
	}
	return r;
}

#endif
