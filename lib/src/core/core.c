// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The scheduler's decisions; the protocol is in core.h, the promises and their
 * proofs in ledger.h. Who waits where: flow.c.
 *
 * Which tier is next: those under their reserve, in the order of the tiers;
 * then by rank; tiers of one rank by start-time fair queueing over their
 * shares. A tier at its limit is passed over.
 *
 * Less than the slots. Where the capacity is less than a second for each slot, slots are not
 * what there is too little of, and to be first is not enough: high-latency quota may be
 * oversold, so without a rule its tenants use every slot all the time. Then they use up in
 * the first half of each period what a cgroup has for it, and all threads stand still for the other
 * half, those with low-latency quota too. So all CPU that runs used moves a time by which it is
 * earned,
 *
 *	earned = max(earned, beginning of the run) + cpu * second / capacity
 *
 * and while that is ahead by more than BTN_RUN_SLACK, tiers that come after the low-latency one get
 * no slot, but for their reserves. So all of them together, with what the others used meanwhile,
 * use capacity * (L + BTN_RUN_SLACK) in L seconds and the last run of each slot; and what is sold
 * of low-latency quota, less than the capacity, there always is. The slack is more than the
 * monitor's lateness, so nothing is lost by that. The time is never ahead by more than a second:
 * one run that went wild does not shut out others for longer.
 * (High-latency quota that is not oversold needs no such rule: all that is sold holds in every
 * second. And there the rule would take some, as CPU that nobody could pay for when it was
 * there is not to be had later.)
 */
#include "core.h"

#include <errno.h>

#include "../atomic.h"
#include "../die.h"
#include "../probe.h"
#include "flow.h"
#include "lend.h"
#include "run.h"

/* Critical requests without quota that one pick rejects, at most. */
#define REJECT_BATCH	32
/*
 * A slice is no more than this part of a second's quota, where that is as long: small ones
 * where others of its tier wait for their turn, as what they lack meanwhile is lost for a second.
 */
#define SLICES		256
#define SLICE_MIN	100000
#define TURNS		768
#define TURN_MIN	40000
/* Deadlines and releases that one tick handles; the next is due at once. */
#define TICK_BATCH	64
/* Idle slots among which btn_core_prefer() looks. */
#define PREFER_MAX	16

/* Traces what happened to a request. */
static inline __attribute__((always_inline)) void trace_request(const struct btn_core *c, uint64_t now, const struct btn_request *r, unsigned type)
{
	btn_trace(&c->page, c->slots_max, now, type, r->class, 0, r->tenant->stats, r->info.number, NULL);
	BTN_PROBE4(request, type, btn_stat_get(&r->tenant->stats->id), r->info.number, r->class);
}

uint64_t btn_request_throttled(const struct btn_request *r, uint64_t now)
{
	return r->throttled + (r->ready.n ? r->ready.n * btn_flow_throttled_until(btn_flow_of_request(r), now) : 0);
}

static __attribute__((noinline)) void join_ready(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	btn_flow_join(c, now, t);
	if (btn_unlikely(t->held))
		btn_lend_begin(c, now, t);
}

static void leave_ready(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	if (btn_unlikely(t->held))
		btn_lend_cease(c, now, t);
	btn_flow_leave(c, now, t);
}

/* A request whose first task waits for its first slot. */
static void give_up(struct btn_core *c, uint64_t now, struct btn_request *r, int why)
{
	const struct btn_account *a = &r->tenant->acct[r->class == BTN_BATCH];

	btn_flow_end_wait(now, r->first);
	/* Noted for baton_request_why(). */
	if (r->class != BTN_INTERNAL) {
		r->quota = a->quota;
		r->used = a->used + a->reserved;
	}
	btn_flow_leave(c, now, r->first);
	r->first->state = BTN_TASK_ENDED;
	/* The next one would wait for a worker that this one does not take. */
	btn_flow_feed(c, now, r->tenant);
	r->tasks = 0;
	btn_stat_add(why == -EDQUOT ? &btn_request_use(r)->rejected : &btn_request_use(r)->dropped, 1);
	trace_request(c, now, r, why == -EDQUOT ? BATON_TRACE_REJECTED : BATON_TRACE_DROPPED);
	btn_run_finish_request(c, r, why);
}

static inline __attribute__((always_inline)) void add_task(struct btn_core *c, uint64_t now, struct btn_request *r, struct btn_task *t)
{
	t->req = r;
	t->info = &r->info;
	t->ran = t->stands_in = t->for_lock = t->for_stream = false;
	t->lent_slot = 0;
	t->waits = t->held = NULL;
	t->seq = ++c->seq;
	r->tasks++;
	btn_flow_join(c, now, t);
}

/* The request is in flight from now on. */
static inline __attribute__((always_inline)) void admit(struct btn_core *c, uint64_t now, struct btn_request *r, struct btn_task *t)
{
	r->use = btn_request_use(r);
	btn_stat_add(&r->use->admitted, 1);
	btn_stat_set(&r->tenant->stats->in_flight, ++r->tenant->requests);
	r->info.number = ++c->requests;
	trace_request(c, now, r, BATON_TRACE_ADMITTED);
	r->first = t;
	r->tasks = 0;
	r->started = r->done = false;
	r->cancel_pending = r->result = 0;
	r->cpu = r->throttled = 0;
	r->overdue = 0;
	r->ready = r->starved = r->blocked = r->locked = r->streamed = (struct btn_span){ 0 };
	r->quota = r->used = 0;
	if (r->deadline != BTN_NEVER) {
		r->timer.key = r->deadline;
		btn_heap_add(&c->deadlines, &r->timer);
	}
	add_task(c, now, r, t);
}

void btn_core_admit(struct btn_core *c, uint64_t now, uint64_t came, struct btn_request *r, struct btn_task *t)
{
	admit(c, now, r, t);
	/* The task has waited since then. */
	t->ready_at = came;
	r->ready.ns += now - came;
}

int btn_core_submit(struct btn_core *c, uint64_t now, struct btn_request *r, struct btn_task *t)
{
	struct btn_tenant *tenant = r->tenant;
	struct btn_account *acct = tenant->acct;
	bool pays;

	if (tenant->leaving)
		return -ESHUTDOWN;
	if (tenant->requests_max && tenant->requests + tenant->pending >= tenant->requests_max && !r->told) {
		btn_stat_add(&btn_request_use(r)->rejected, 1);
		trace_request(c, now, r, BATON_TRACE_REJECTED);
		return -EAGAIN;
	}
	switch (r->class) {
	case BTN_CRITICAL:
		btn_account_left(&acct[BTN_LOW], now);
		pays = now >= btn_account_owes_until(&acct[BTN_LOW]) &&
		       acct[BTN_LOW].used + acct[BTN_LOW].min <= acct[BTN_LOW].quota;
		break;
	case BTN_TOLERANT:
		pays = acct[BTN_LOW].quota || acct[BTN_HIGH].quota;
		break;
	case BTN_BATCH:
		pays = acct[BTN_HIGH].quota;
		break;
	default:
		pays = true;
	}
	if (!pays) {
		btn_stat_add(&btn_request_use(r)->rejected, 1);
		trace_request(c, now, r, BATON_TRACE_REJECTED);
		return -EDQUOT;
	}
	if (r->deadline < r->info.arrival + BTN_DEADLINE_MIN)
		return -EINVAL;
	if (now >= r->deadline) {
		btn_stat_add(&btn_request_use(r)->dropped, 1);
		trace_request(c, now, r, BATON_TRACE_DROPPED);
		return -ETIME;
	}
	admit(c, now, r, t);
	return 0;
}

void btn_core_spawn(struct btn_core *c, uint64_t now, struct btn_request *r, struct btn_task *t)
{
	add_task(c, now, r, t);
}

void btn_core_ready(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	/* A task in two places of a heap at once would take others' tasks out with it. */
	if (btn_unlikely(t->state != BTN_TASK_BLOCKED))
		btn_die("a task is made ready that is not blocked; its state:", t->state);
	btn_lend_wait_end(c, now, t);
	btn_span_end(&t->req->blocked, now);
	if (t->for_lock)
		btn_span_end(&t->req->locked, now);
	t->for_lock = false;
	if (t->for_stream) {
		btn_span_end(&t->req->streamed, now);
		btn_stat_add(&t->req->tenant->stats->on_streams, -1);
	}
	t->for_stream = false;
	t->seq = ++c->seq;
	join_ready(c, now, t);
}

void btn_core_unready(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	btn_flow_end_wait(now, t);
	leave_ready(c, now, t);
	t->state = BTN_TASK_BLOCKED;
	btn_span_begin(&t->req->blocked, now);
}

void btn_core_cancel(struct btn_core *c, uint64_t now, struct btn_request *r, int why)
{
	unsigned i;

	if (r->done)
		return;
	if (!r->started) {
		give_up(c, now, r, why);
		return;
	}
	r->cancel_pending = why;
	for (i = 0; i < c->slots_in_use; i++)
		if (c->run[i].task && c->run[i].task->req == r)
			btn_flow_resched(c, i);
}

void btn_core_wait(struct btn_core *c, uint64_t now, struct btn_task *t, struct btn_resource *res, struct btn_task *holder)
{
	if (!t->for_lock)
		btn_span_begin(&t->req->locked, now);
	t->for_lock = true;
	btn_lend_wait(c, now, t, res, holder);
}

void btn_core_wait_end(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	if (t->for_lock)
		btn_span_end(&t->req->locked, now);
	t->for_lock = false;
	btn_lend_wait_end(c, now, t);
}

void btn_core_hold(struct btn_core *c, uint64_t now, struct btn_resource *res, struct btn_task *holder)
{
	btn_lend_hold(c, now, res, holder);
}

/* The tier in which a request without a slot pays. */
static struct btn_tier *pays_in(struct btn_core *c, uint64_t now, const struct btn_request *r)
{
	switch (r->class) {
	case BTN_CRITICAL:
		return &c->tier[BTN_LOW];
	case BTN_TOLERANT:
		/* A tenant that bought nothing in the high-latency tier has no account there that could be charged: it owes here. */
		return &c->tier[!r->tenant->acct[BTN_HIGH].quota || btn_account_can_pay(&r->tenant->acct[BTN_LOW], now) ?
				BTN_LOW : BTN_HIGH];
	case BTN_BATCH:
		return &c->tier[BTN_HIGH];
	default:
		return &c->tier[r->tier];
	}
}

/* True: the tier has to wait until CPU that was used is earned. */
static bool waits_to_earn(const struct btn_core *c, const struct btn_tier *t, uint64_t now)
{
	return c->paced && btn_run_is_ahead(c, t, now, c->earned);
}

static void earn_run(struct btn_core *c, uint64_t now, uint64_t began, uint64_t cpu)
{
	if (c->paced)
		c->earned = btn_run_earned_by(c, now, began, cpu);
}

void btn_core_refund(struct btn_core *c, uint64_t now, struct btn_request *r, int in, uint64_t since, uint64_t cpu)
{
	struct btn_tier *tier = in < 0 ? pays_in(c, now, r) : &c->tier[in];
	struct btn_account *a = tier->sold ? &r->tenant->acct[tier->index] : NULL;
	uint64_t tag = (cpu << 10) / tier->share;
	bool recent = since && now < since + BTN_SECOND;

	/* CPU charged more than a second ago has left the log by itself, in part or as a whole. */
	if (recent && a && a->log)
		btn_account_refund(a, now, since, cpu);
	/* Charges without a slot are in neither the tier's account nor its tag. */
	if (in >= 0) {
		if (recent && tier->accounted && since >= tier->accounted_at)
			btn_account_refund(&tier->acct, now, since, cpu);
		tier->tag -= tag < tier->tag ? tag : tier->tag;
	}
	if (recent && c->paced && c->earned > now)
		c->earned -= btn_run_time_of(c, cpu) < c->earned - now ? btn_run_time_of(c, cpu) : c->earned - now;
	r->tenant->owed[tier->index] += cpu;
	r->cpu -= cpu < r->cpu ? cpu : r->cpu;
}

void btn_core_charge(struct btn_core *c, uint64_t now, struct btn_request *r, uint64_t cpu, bool here)
{
	struct btn_tenant *t = r->tenant;
	struct btn_tier *tier = pays_in(c, now, r);
	struct btn_account *a = tier->sold ? &t->acct[tier->index] : NULL;

	if (a && a->log) {
		btn_account_settle(a, now, 0, cpu, tier->oversold ? tier->vtime : now);
		if (here)
			btn_account_owe(a, now, cpu);
	}
	if (here)
		earn_run(c, now, now > cpu ? now - cpu : 0, cpu);
	btn_lend_show_used(t, tier->index, cpu);
	btn_tenant_show(t, tier->index, now);
	r->cpu += cpu;
}

void btn_core_force(struct btn_core *c, unsigned slot)
{
	c->run[slot].forced = true;
}

uint64_t btn_core_cut(struct btn_core *c, unsigned slot)
{
	struct btn_run *run = &c->run[slot];

	run->cut = true;
	return run->acct ? run->acct->margin : 0;
}

void btn_core_stop(struct btn_core *c, uint64_t now, unsigned slot, uint64_t cpu, enum btn_stop why)
{
	struct btn_run *run = &c->run[slot];
	struct btn_task *t = run->task;
	struct btn_request *r = t->req;
	struct baton_stats_slot *figures = &c->page.slots[slot];
	uint64_t paid = cpu < run->settled ? cpu : run->settled;

	if (run->lender)
		run->lender->lent_slot = 0;
	run->lender = NULL;
	btn_stat_set(&figures->tenant, 0);
	btn_stat_set(&figures->since, now);
	btn_trace(&c->page, slot, now, BATON_TRACE_STOP, why, run->tier->index, r->tenant->stats, r->info.number, t);
	BTN_PROBE4(stop, slot, t, cpu, why);
	r->cpu += cpu;
	earn_run(c, now, run->began, run->followed + cpu);
	run->task = NULL;
	run->need_resched = false;
	if (slot < c->slots)
		btn_flow_open_slot(c, now, slot);
	else
		btn_flow_close_slots(c);
	btn_lend_settle(c, now, run, cpu - paid);
	switch (why) {
	case BTN_STOP_YIELD:
		if (!btn_flow_of(t)->order->keeps_place)
			t->seq = ++c->seq;
		join_ready(c, now, t);
		break;
	case BTN_STOP_BLOCK:
		t->state = BTN_TASK_BLOCKED;
		btn_span_begin(&r->blocked, now);
		break;
	case BTN_STOP_END:
		if (!t->attached) {
			r->tenant->workers--;
			btn_flow_feed(c, now, r->tenant);
		}
		btn_run_end_task(c, t);
		break;
	}
}

/* The tier to serve next, of those that have flows and may go on. */
static struct btn_tier *choose_tier(struct btn_core *c, uint64_t now)
{
	struct btn_tier *best = NULL, *t;
	uint64_t best_key = 0, key;
	unsigned left;

	for (left = c->ready; left; left &= left - 1) {
		t = &c->tier[__builtin_ctz(left)];
		if (t->accounted && !btn_account_can_pay(&t->acct, now))
			continue;
		if (btn_tier_reserve_left(t, now))
			return t;
		if (waits_to_earn(c, t, now))
			continue;
		key = t->tag > c->rank_vtime[t->rank] ? t->tag : c->rank_vtime[t->rank];
		if (!best || t->rank < best->rank || (t->rank == best->rank && key < best_key)) {
			best = t;
			best_key = key;
		}
	}
	return best;
}

/* The first flow of its tier has nothing to pay with. */
static void flow_exhausted(struct btn_core *c, uint64_t now, struct btn_flow *f)
{
	unsigned n = REJECT_BATCH;

	if (f->kind == BTN_FLOW_FRESH) {
		while (!btn_flow_empty(f) && n--)
			give_up(c, now, btn_flow_first(f)->req, -EDQUOT);
		return;
	}
	btn_flow_take_out(c, now, f);
	btn_flow_place(c, now, f);
}

/* True: a task of this rank can have a worker. The last ones are reserved for the best rank. */
static bool worker_left(const struct btn_core *c, uint64_t rank)
{
	unsigned i;

	if (btn_likely(c->workers > c->workers_reserved) || !c->workers)
		return c->workers;
	for (i = 0; i < c->tiers; i++)
		if (c->tier[i].rank < rank)
			return false;
	return true;
}

/* A worker was free: one that waited for it goes back to where it stood. */
static bool feed_starved(struct btn_core *c, uint64_t now)
{
	struct btn_task *t;

	if (!c->starved.top || !worker_left(c, c->starved.top->key))
		return false;
	t = btn_container(c->starved.top, struct btn_task, node);
	btn_heap_del(&c->starved, &t->node);
	btn_span_end(&t->req->starved, now);
	btn_flow_rejoin(c, now, t);
	return true;
}

/* turns: it is not the only one in its heap. */
static uint64_t part_of(uint64_t quota, uint64_t longest, bool turns)
{
	uint64_t part = quota / (turns ? TURNS : SLICES), least = turns ? TURN_MIN : SLICE_MIN;

	if (part < least)
		part = least;
	return part < longest ? part : longest;
}

/* The task leaves its flow, and its request has started from now on. */
static inline void leave_flow(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	struct btn_request *r = t->req;

	btn_flow_end_wait(now, t);
	leave_ready(c, now, t);
	if (r->started)
		return;
	r->started = true;
	r->first = NULL;
	if (btn_likely(r->deadline == BTN_NEVER))
		return;
	if (btn_heap_has(&r->timer))
		btn_heap_del(&c->deadlines, &r->timer);
	btn_heap_add(&c->deadlines, &r->timer);
}

void btn_core_pass(struct btn_core *c, uint64_t now, unsigned slot, struct btn_task *next, uint64_t cpu)
{
	struct btn_run *run = &c->run[slot];
	struct btn_task *t = run->task;

	btn_run_leave(c, now, slot, cpu, btn_hist_step(cpu), BTN_STOP_BLOCK);
	t->state = BTN_TASK_BLOCKED;
	btn_span_begin(&t->req->blocked, now);
	leave_flow(c, now, next);
	btn_run_begin_task(c, now, slot, run, btn_tenant_use(run->flow->tenant, run->tier->index), next, false);
}

/*
 * Where there are thousands of tenants each pick finds its flow, account and task in no cache. So they are asked for one and two
 * picks before, by what can be read without a wait: in a line the flow after the next one, and its account, which
 * is as far from that as here; and the next flow's task.
 */
static inline void prefetch_next(const struct btn_tier *tier, const struct btn_flow *f)
{
	const struct btn_heap_node *next = tier->flows.first;
	const char *flow, *task;

	if (!next || !next->right)
		return;
	flow = (const char *)btn_container(next->right, struct btn_flow, node);
	__builtin_prefetch(flow);
	__builtin_prefetch(flow + 64);
	__builtin_prefetch(flow + 128);
	if (f->acct)
		__builtin_prefetch(flow + ((const char *)f->acct - (const char *)f));
	task = (const char *)btn_flow_first(btn_container(next, struct btn_flow, node));
	__builtin_prefetch(task + offsetof(struct btn_task, node));
	__builtin_prefetch(task + offsetof(struct btn_task, node) + 64);
}

struct btn_task *btn_core_pick(struct btn_core *c, uint64_t now, unsigned slot)
{
	struct baton_stats_slot *figures = &c->page.slots[slot];
	struct btn_run *run = &c->run[slot];
	struct btn_account *acct;
	struct btn_flow *f;
	struct btn_request *r;
	struct btn_tier *tier;
	struct btn_task *t, *first;
	uint64_t key, left, slice;
	unsigned i;

	if (slot >= c->slots)
		return NULL;
	for (;;) {
		tier = choose_tier(c, now);
		if (!tier) {
			if (feed_starved(c, now))
				continue;
			return NULL;
		}
		f = btn_container(btn_line_top(&tier->flows), struct btn_flow, node);
		key = tier->policy->flow_key(tier, f);
		if (btn_flow_is_stale(f, key)) {
			btn_line_del(&tier->flows, &f->node);
			btn_flow_enter(c, f);
			if (btn_line_top(&tier->flows) != &f->node)
				continue;
		}
		first = btn_flow_first(f);
		t = btn_lend_end(first);
		r = t->req;
		if (!r->started && now >= r->deadline) {
			give_up(c, now, r, -ETIME);
			continue;
		}
		acct = f->acct;
		if (acct && !btn_account_can_pay(acct, now)) {
			flow_exhausted(c, now, f);
			continue;
		}
		if (t->ran || t->attached || (worker_left(c, tier->rank) && !btn_tenant_is_full(r->tenant)))
			break;
		btn_flow_leave(c, now, t);
		t->state = BTN_TASK_STARVED;
		btn_span_begin(&r->starved, now);
		t->at_limit = btn_tenant_is_full(r->tenant);
		t->node.key = tier->rank;
		t->node.seq = t->seq;
		btn_heap_add(t->at_limit ? &r->tenant->starved : &c->starved, &t->node);
	}

	/* Slices of a small quota are small: a second holds many of them, and each is little. */
	slice = c->slice_max;
	if (acct)
		slice = part_of(acct->quota, slice, !btn_line_is_single(&tier->flows)) + acct->margin;
	left = btn_tier_reserve_left(tier, now);
	run->reserve = left;
	if (!left)
		left = tier->accounted ? btn_account_left(&tier->acct, now) : slice;
	if (left > slice)
		left = slice;
	if (acct)
		left = btn_account_reserve(acct, now, left);
	if (tier->accounted)
		btn_account_reserve(&tier->acct, now, left);
	run->reserved = run->slice = left;
	/* A tier may have less left than the margin. */
	if (acct)
		run->slice -= acct->margin < left ? acct->margin : left / 2;
	run->settled = 0;
	run->followed = 0;
	run->lender = first == t ? NULL : first;
	run->acct = acct;
	run->tier = tier;
	run->accounted = tier->accounted;
	run->flow = f;
	run->key = key;
	run->vstart = tier->oversold ? tier->vtime : now;
	run->tier_vstart = c->rank_vtime[tier->rank];
	if (tier->tag > run->tier_vstart)
		c->rank_vtime[tier->rank] = tier->tag;
	if (tier->oversold && key > tier->vtime && tier->policy == &btn_policy_quota)
		tier->vtime = key;
	f->turn = ++c->seq;
	btn_flow_served(c, now, f);

	leave_flow(c, now, t);
	if (first != t)
		first->lent_slot = slot + 1;
	if (!t->ran && !t->attached) {
		c->workers--;
		r->tenant->workers++;
	}
	prefetch_next(tier, f);
	btn_stat_add(&figures->idle, now);
	run->began = now;
	run->need_resched = run->forced = run->cut = false;
	btn_stat_set(&figures->tier, tier->index);
	btn_stat_set(&figures->tenant, btn_stat_get(&r->tenant->stats->id));
	btn_run_begin_task(c, now, slot, run, btn_tenant_use(r->tenant, tier->index), t, !t->ran);
	for (i = c->n_idle; c->idle[i - 1] != slot; i--)
		;
	c->idle[i - 1] = c->idle[--c->n_idle];
	return t;
}

void btn_core_worker(struct btn_core *c, uint64_t now)
{
	c->workers++;
	feed_starved(c, now);
}

void btn_core_workers(struct btn_core *c, uint64_t now, unsigned n)
{
	unsigned fed;

	c->workers = n;
	/* As many as can have a slot now; the others follow when workers are free. */
	for (fed = 0; fed < c->slots && feed_starved(c, now); fed++)
		;
}

/* The watchdog: a task could pay and got no slot for a second. */
static void note_overdue(const struct btn_core *c, uint64_t now, const struct btn_flow *f)
{
	struct btn_request *r = btn_flow_first(f)->req;

	r->overdue++;
	btn_stat_add(&btn_tenant_use(f->tenant, f->tier->index)->overdue, 1);
	trace_request(c, now, r, BATON_TRACE_OVERDUE);
}

void btn_core_tick(struct btn_core *c, uint64_t now)
{
	struct btn_flow *overdue;
	unsigned n;

	for (n = 0; n < TICK_BATCH && c->deadlines.top && c->deadlines.top->key <= now; n++) {
		struct btn_request *r = btn_container(c->deadlines.top, struct btn_request, timer);

		btn_heap_del(&c->deadlines, &r->timer);
		btn_core_cancel(c, now, r, -ETIME);
	}
	for (n = 0; n < TICK_BATCH && c->releases.top && c->releases.top->key <= now; n++) {
		struct btn_flow *f = btn_container(c->releases.top, struct btn_flow, timer);

		btn_flow_take_out(c, now, f);
		btn_flow_place(c, now, f);
		if (!f->throttled)
			btn_flow_preempt(c, now, f);
	}
	for (n = 0; n < TICK_BATCH && (overdue = btn_flow_overdue(c, now)); n++)
		note_overdue(c, now, overdue);
}

uint64_t btn_core_next(struct btn_core *c, uint64_t now)
{
	uint64_t next = BTN_NEVER, when;
	unsigned left;

	if (c->deadlines.top)
		next = c->deadlines.top->key;
	if (c->releases.top && c->releases.top->key < next)
		next = c->releases.top->key;
	if (c->waiting && c->waiting->waits_since + BTN_OVERDUE_NS < next)
		next = c->waiting->waits_since + BTN_OVERDUE_NS;
	for (left = c->ready; left; left &= left - 1) {
		struct btn_tier *t = &c->tier[__builtin_ctz(left)];

		if (t->accounted && !btn_account_can_pay(&t->acct, now))
			when = btn_account_when(&t->acct, now);
		else if (waits_to_earn(c, t, now))
			when = c->earned - BTN_RUN_SLACK;
		else
			continue;
		if (when < next)
			next = when;
	}
	return next;
}

unsigned btn_core_rank(const struct btn_core *c, const struct btn_task *t)
{
	return btn_flow_of(t)->tier->rank;
}

bool btn_core_can_lend(struct btn_core *c, uint64_t now, const struct btn_task *t)
{
	const struct btn_flow *f = btn_flow_of(t);

	return !f->acct || btn_account_can_pay(f->acct, now);
}

bool btn_core_goes_before(struct btn_core *c, uint64_t now, const struct btn_task *t, const struct btn_task *u)
{
	const struct btn_flow *f = btn_flow_of(t), *g = btn_flow_of(u);

	return btn_core_can_lend(c, now, t) && (f->tier->rank < g->tier->rank || (f->tier->rank == g->tier->rank && g->throttled));
}

bool btn_core_waits(struct btn_core *c, uint64_t now)
{
	return choose_tier(c, now);
}

struct btn_task *btn_core_first(struct btn_core *c, uint64_t now)
{
	struct btn_tier *tier = choose_tier(c, now);

	return tier ? btn_lend_end(btn_flow_first(btn_container(btn_line_top(&tier->flows), struct btn_flow, node))) : NULL;
}

int btn_core_idle(struct btn_core *c)
{
	return c->n_idle ? (int)c->idle[c->n_idle - 1] : -1;
}

void btn_core_prefer(struct btn_core *c, unsigned slot)
{
	unsigned i, last = c->n_idle - 1;

	for (i = c->n_idle; i && i + PREFER_MAX > c->n_idle; i--)
		if (c->idle[i - 1] == slot) {
			c->idle[i - 1] = c->idle[last];
			c->idle[last] = slot;
			return;
		}
}

int btn_core_next_resched(struct btn_core *c)
{
	unsigned slot;

	while (c->n_resched) {
		slot = c->resched[--c->n_resched];
		c->run[slot].listed = false;
		if (c->run[slot].need_resched)
			return (int)slot;
	}
	return -1;
}
