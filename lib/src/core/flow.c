// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Flows, in which ready tasks wait. A flow without a ready task stands nowhere. A flow with
 * one stands in its tier's heap; or it is throttled: out of the heap, with a timer, because
 * the account that pays for it has nothing left. Tolerant flows stand in BTN_LOW while that
 * account has something, else in BTN_HIGH with a timer that brings them back.
 *
 * The watchdog. Flows that stand in tiers are also in a list, by the time since which they wait:
 * who comes, or is served, goes to its end. So its first is the one that waits longest, and the
 * time at which that will have waited a second is the next at which the core is to look: nobody
 * polls, and nothing is due while no task waits.
 */
#include "flow.h"

#include "../atomic.h"

/* A key that is earlier by less than this is not worth a switch. */
#define PREEMPT_NS	200000
/* A reserve of less than this is not worth a switch. */
#define RESERVE_MIN	50000

void btn_flow_enter(struct btn_core *c, struct btn_flow *f)
{
	f->node.key = f->tier->policy->flow_key(f->tier, f);
	/* Flows of one tenant go in the order in which their first tasks arrived. */
	f->node.seq = btn_flow_first(f)->info->arrival;
	btn_line_add(&f->tier->flows, &f->node);
	c->ready |= 1u << f->tier->index;
}

static void set_timer(struct btn_core *c, struct btn_flow *f, uint64_t when)
{
	if (btn_heap_has(&f->timer))
		btn_heap_del(&c->releases, &f->timer);
	if (when == BTN_NEVER)
		return;
	f->timer.key = when;
	btn_heap_add(&c->releases, &f->timer);
}

static void end_waiting(struct btn_core *c, struct btn_flow *f)
{
	if (!f->prev_waiting)
		return;
	*f->prev_waiting = f->next_waiting;
	if (f->next_waiting)
		f->next_waiting->prev_waiting = f->prev_waiting;
	else
		c->waiting_last = f->prev_waiting;
	f->prev_waiting = NULL;
}

static void begin_waiting(struct btn_core *c, uint64_t now, struct btn_flow *f)
{
	f->waits_since = now;
	f->next_waiting = NULL;
	f->prev_waiting = c->waiting_last;
	*c->waiting_last = f;
	c->waiting_last = &f->next_waiting;
}

void btn_flow_go_last(struct btn_core *c, uint64_t now, struct btn_flow *f)
{
	end_waiting(c, f);
	begin_waiting(c, now, f);
}

struct btn_flow *btn_flow_overdue(struct btn_core *c, uint64_t now)
{
	struct btn_flow *f;

	while ((f = c->waiting) && f->waits_since + BTN_OVERDUE_NS <= now) {
		btn_flow_served(c, now, f);
		if ((!f->acct || btn_account_can_pay(f->acct, now)) &&
		    (!f->tier->accounted || btn_account_can_pay(&f->tier->acct, now)))
			return f;
	}
	return NULL;
}

void btn_flow_take_out(struct btn_core *c, uint64_t now, struct btn_flow *f)
{
	set_timer(c, f, BTN_NEVER);
	if (f->throttled) {
		f->throttled = false;
		f->throttled_total += now - f->throttled_at;
		btn_stat_add(&btn_tenant_use(f->tenant, f->tier->index)->throttled, now - f->throttled_at);
		f->tenant->throttled--;
	} else if (btn_heap_has(&f->node)) {
		btn_line_del(&f->tier->flows, &f->node);
		if (!btn_line_top(&f->tier->flows))
			c->ready &= ~(1u << f->tier->index);
		end_waiting(c, f);
	}
}

/*
 * The account has nothing left. Quota that it did not use while it could is lost, and no
 * reason to go before others from now on. (Else a tenant that lost something once is always
 * first, and the one that is always last lacks what all of them wait for.)
 */
static void catch_up_tag(struct btn_account *a, uint64_t now)
{
	if (a->tag < now)
		a->tag = now;
}

void btn_flow_place(struct btn_core *c, uint64_t now, struct btn_flow *f)
{
	struct btn_account *acct = f->tenant->acct;
	uint64_t when;

	if (btn_flow_empty(f))
		return;
	if (f->kind == BTN_FLOW_TOLERANT) {
		unsigned in = btn_account_can_pay(&acct[BTN_LOW], now) ? BTN_LOW : BTN_HIGH;

		f->tier = &c->tier[in];
		f->acct = &acct[in];
		if (in == BTN_HIGH) {
			catch_up_tag(&acct[BTN_LOW], now);
			set_timer(c, f, btn_account_when(&acct[BTN_LOW], now));
		}
	}
	if (f->kind == BTN_FLOW_CRITICAL) {
		/*
		 * A request that is in flight when its low-latency quota is sold to another
		 * tenant ends on the high-latency one.
		 */
		unsigned in = acct[BTN_LOW].quota < acct[BTN_LOW].min ? BTN_HIGH : BTN_LOW;

		f->tier = &c->tier[in];
		f->acct = &acct[in];
	}
	/* btn_core_pick() rejects critical requests that are fresh and without quota. */
	if (f->kind == BTN_FLOW_FRESH || !f->acct || btn_account_can_pay(f->acct, now)) {
		btn_flow_enter(c, f);
		begin_waiting(c, now, f);
		return;
	}
	when = btn_account_when(f->acct, now);
	if (btn_heap_has(&f->timer) && f->timer.key < when)
		when = f->timer.key;
	set_timer(c, f, when);
	catch_up_tag(f->acct, now);
	f->throttled = true;
	f->throttled_at = now;
	f->tenant->throttled++;
}

uint64_t btn_tier_reserve_left(struct btn_tier *t, uint64_t now)
{
	uint64_t taken;

	if (!t->reserve)
		return 0;
	btn_account_left(&t->acct, now);
	taken = t->acct.used + t->acct.reserved;
	return taken + RESERVE_MIN < t->reserve ? t->reserve - taken : 0;
}

/* True: the flow, which just got a task, goes before the task that runs there. */
static bool goes_before(const struct btn_flow *f, bool reserve, const struct btn_run *r, uint64_t now)
{
	uint64_t key;

	if (reserve != r->reserve)
		return reserve;
	if (f->tier != r->tier)
		return !reserve && f->tier->rank < r->tier->rank;
	if (!f->tier->policy->preempts)
		return false;
	/* The running task's key has moved on since it was picked. */
	key = r->key;
	if (r->acct && f->tier->policy == &btn_policy_quota)
		key += btn_account_earn(r->acct, now - r->began);
	return f->node.key + PREEMPT_NS < key;
}

void btn_flow_resched(struct btn_core *c, unsigned slot)
{
	if (c->run[slot].need_resched)
		return;
	c->run[slot].need_resched = true;
	/* The slot's last task may have had it set, too, and nobody asked yet. */
	if (c->run[slot].listed)
		return;
	c->run[slot].listed = true;
	c->resched[c->n_resched++] = slot;
}

void btn_flow_preempt(struct btn_core *c, uint64_t now, struct btn_flow *f)
{
	bool reserve = btn_tier_reserve_left(f->tier, now);
	int victim = -1;
	unsigned i;

	if (c->n_idle)
		return;
	for (i = 0; i < c->slots; i++) {
		const struct btn_run *r = &c->run[i], *v;

		/* A slot with need_resched set will pick for itself. */
		if (r->need_resched || !goes_before(f, reserve, r, now))
			continue;
		v = victim < 0 ? NULL : &c->run[victim];
		if (!v || r->tier->rank > v->tier->rank ||
		    (r->tier->rank == v->tier->rank && r->key > v->key))
			victim = i;
	}
	if (victim >= 0)
		btn_flow_resched(c, victim);
}

void btn_flow_add(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	btn_flow_add_to(c, now, btn_flow_of(t), t);
}

void btn_flow_shut_all(struct btn_core *c, struct btn_tenant *t)
{
	unsigned i;

	for (i = 0; i < btn_flow_each(c); i++)
		if (t->flow[i].open)
			btn_flow_shut(c, &t->flow[i]);
}

void btn_flow_rejoin(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	t->state = BTN_TASK_READY;
	btn_flow_add(c, now, t);
}

bool btn_flow_feed(struct btn_core *c, uint64_t now, struct btn_tenant *tenant)
{
	struct btn_task *t;

	if (btn_likely(!tenant->starved.top) || btn_tenant_is_full(tenant))
		return false;
	t = btn_container(tenant->starved.top, struct btn_task, node);
	btn_heap_del(&tenant->starved, &t->node);
	btn_flow_rejoin(c, now, t);
	return true;
}

void btn_flow_leave(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	if (t->state == BTN_TASK_STARVED) {
		btn_span_end(&t->req->starved, now);
		btn_heap_del(t->at_limit ? &t->req->tenant->starved : &c->starved, &t->node);
	} else {
		btn_flow_remove(c, now, t);
	}
}

void btn_tenant_unthrottle(struct btn_core *c, uint64_t now, struct btn_tenant *t)
{
	unsigned i;

	/* Most often no flow at all has a timer. */
	if (!t->throttled && !c->releases.top)
		return;
	for (i = 0; i < BTN_FLOW_TIERS; i++) {
		struct btn_flow *f = &t->flow[i];

		if (!f->throttled && !btn_heap_has(&f->timer))
			continue;
		btn_flow_take_out(c, now, f);
		btn_flow_place(c, now, f);
	}
}
