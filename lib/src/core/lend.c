// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lending: the holder of a lock gets what its best waiter could have, and no more.
 *
 * A task that waits for a resource (a lock) does not leave the ready queue as long as the
 * resource's holder is ready: the waiter stands in its own flow, in its own place, as a
 * stand-in for the holder. When the turn of the stand-in comes, the holder is given the slot,
 * with the waiter's slice, from the waiter's account. So rank, order, limits and quota need no
 * second rule. A waiter that is throttled lends nothing, and the holder waits like the waiter
 * would. The holder's own place stays: whichever of all these places comes first is used.
 *
 * Broken: the holder goes before all others and needs no quota, until it lets go. Two tenants
 * of 1% that take turns in making each other wait have all CPUs, for ever.
 *
 *	A waits for B, B waits for C, C is ready:
 *
 *	flow of A: ... [A] ...		stands in for C
 *	flow of B: ... [B] ...		stands in for C
 *	flow of C: ... [C] ...
 *
 * Invariant: of those that wait for t, directly or through others, the leaders stand in if and
 * only if t waits for nothing and is ready. The tree is kept by events: t becomes ready or
 * stops being it, a wait begins or ends, a resource gets another holder. Those that wait for
 * one resource and would stand in one flow need one place there: the first is their leader,
 * the others are in its ring. A task for which others wait is always a leader. So an event
 * costs as much as there are flows that wait, not tasks.
 *
 * A chain that would close (a deadlock) is not recorded: the last task of it lends nothing. Or,
 * where it is another holder of a resource that would close it, the task of the chain that waits for that.
 *
 * Who pays. A run of a stand-in is the lender's run: reserved in and settled with its account.
 * When the lender stops waiting (the lock was handed to it, its time is up, its request was
 * cancelled) while the holder runs, what was used until then is settled at once, need_resched
 * is set, and what the holder uses until its next checkpoint is a debt of its own account.
 */
#include "lend.h"

#include "flow.h"

/* The next in the tree of leaders that wait for root, which is first; NULL: that was the last. */
static struct btn_task *next_lender(const struct btn_task *root, struct btn_task *t)
{
	struct btn_resource *res;

	if (t->held)
		return t->held->lenders;
	for (; t != root; t = res->holder) {
		res = t->waits;
		if (t->next_lender)
			return t->next_lender;
		if (res->next)
			return res->next->lenders;
	}
	return NULL;
}

static void stand_in(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	if (t->stands_in)
		return;
	t->stands_in = true;
	btn_flow_add(c, now, t);
}

static void stand_back(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	if (!t->stands_in)
		return;
	t->stands_in = false;
	btn_flow_remove(c, now, t);
}

void btn_lend_begin(struct btn_core *c, uint64_t now, struct btn_task *h)
{
	struct btn_task *t = h;

	while ((t = next_lender(h, t)))
		stand_in(c, now, t);
}

void btn_lend_cease(struct btn_core *c, uint64_t now, struct btn_task *h)
{
	struct btn_task *t = h;

	while ((t = next_lender(h, t)))
		stand_back(c, now, t);
}

/* ---------------------------------------------------------- who pays for a run */

void btn_lend_show_used(struct btn_tenant *t, unsigned tier, uint64_t cpu)
{
	uint64_t back = cpu < t->owed[tier] ? cpu : t->owed[tier];

	t->owed[tier] -= back;
	btn_stat_add(&btn_tenant_use(t, tier)->cpu, cpu - back);
}

void btn_lend_settle(struct btn_core *c, uint64_t now, struct btn_run *run, uint64_t cpu)
{
	struct btn_tenant *payer = run->flow->tenant;
	struct btn_tier *tier = run->tier;
	struct baton_stats_use *use = btn_tenant_use(payer, tier->index);
	uint64_t all = run->followed + cpu;

	/* A run whose lender is gone may have an account without any quota, or none. */
	if (run->acct && run->acct->log) {
		btn_account_settle(run->acct, now, run->reserved, all, run->vstart);
		if (!run->reserved)
			btn_account_owe(run->acct, now, all);
		if (run->forced || (run->acct->margin && !run->cut))
			btn_account_overran(run->acct, run->forced && all > run->slice ? all - run->slice : 0);
	}
	if (tier->accounted || run->accounted)
		btn_account_settle(&tier->acct, now, run->accounted ? run->reserved : 0, all, 0);
	if (tier->tag < run->tier_vstart)
		tier->tag = run->tier_vstart;
	tier->tag += (all << 10) / tier->share;
	btn_lend_show_used(payer, tier->index, all);
	if (cpu > run->slice)
		btn_stat_max(&use->overrun, cpu - run->slice);
	btn_stat_hist(&use->run, cpu);
	btn_tenant_show(payer, tier->index, now);
	/* The tenant's timers took the whole slice for used. */
	if (all < run->reserved)
		btn_tenant_unthrottle(c, now, payer);
}

/* Task t lends to a run, and waits no more: from now on the run's task pays itself. */
static void take_back(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	struct btn_run *run = &c->run[t->lent_slot - 1];
	uint64_t cpu = now > run->start ? now - run->start : 0;

	run->lender = NULL;
	btn_lend_settle(c, now, run, cpu);
	run->settled = cpu;
	run->flow = btn_flow_of(run->task);
	run->tier = run->flow->tier;
	run->acct = run->flow->acct;
	run->reserved = run->slice = 0;
	run->reserve = run->accounted = false;
	run->key = now;
	run->vstart = run->tier->oversold ? run->tier->vtime : now;
	run->tier_vstart = c->rank_vtime[run->tier->rank];
	btn_flow_resched(c, t->lent_slot - 1);
	t->lent_slot = 0;
}

/* ---------------------------------------------------------- who waits for whom */

/* Leader t, and those that wait for it, lend no more to the end of t's chain. */
static void call_off(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	struct btn_task *u;

	for (u = t; u; u = next_lender(t, u)) {
		stand_back(c, now, u);
		if (u->lent_slot)
			take_back(c, now, u);
	}
}

/* Leader t, and those that wait for it, lend to the end of t's chain, if that is ready. */
static void offer(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	if (btn_lend_end(t)->state != BTN_TASK_READY)
		return;
	stand_in(c, now, t);
	btn_lend_begin(c, now, t);
}

static void add_leader(struct btn_resource *res, struct btn_task *t)
{
	t->leads = true;
	t->next_in_ring = t->prev_in_ring = t;
	t->next_lender = res->lenders;
	t->prev_lender = &res->lenders;
	if (t->next_lender)
		t->next_lender->prev_lender = &t->next_lender;
	res->lenders = t;
}

static void leave_ring(struct btn_task *t)
{
	t->prev_in_ring->next_in_ring = t->next_in_ring;
	t->next_in_ring->prev_in_ring = t->prev_in_ring;
}

static void link_resource(struct btn_resource *res, struct btn_task *holder)
{
	res->holder = holder;
	res->next = holder->held;
	res->prev = &holder->held;
	if (res->next)
		res->next->prev = &res->next;
	holder->held = res;
}

static void unlink_resource(struct btn_resource *res)
{
	*res->prev = res->next;
	if (res->next)
		res->next->prev = res->prev;
	res->holder = NULL;
}

/* Others are about to wait for t, and find its own waiters through it: a member of a ring becomes a leader. */
static void become_leader(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	if (!t->waits || t->leads)
		return;
	leave_ring(t);
	add_leader(t->waits, t);
	offer(c, now, t);
}

void btn_lend_wait(struct btn_core *c, uint64_t now, struct btn_task *t, struct btn_resource *res, struct btn_task *holder)
{
	struct btn_task *end, *leader = NULL;

	for (end = holder; end != t && end->waits; end = end->waits->holder)
		;
	if (end == t)
		return;
	become_leader(c, now, holder);
	if (!res->lenders)
		link_resource(res, holder);
	t->waits = res;
	if (!t->held)
		for (leader = res->lenders; leader && btn_flow_of(leader) != btn_flow_of(t); leader = leader->next_lender)
			;
	if (leader) {
		t->leads = false;
		t->next_in_ring = leader;
		t->prev_in_ring = leader->prev_in_ring;
		t->prev_in_ring->next_in_ring = t;
		leader->prev_in_ring = t;
		return;
	}
	add_leader(res, t);
	offer(c, now, t);
}

void btn_lend_wait_end(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	struct btn_resource *res = t->waits;
	struct btn_task *heir = t->next_in_ring;

	if (!res)
		return;
	leave_ring(t);
	t->waits = NULL;
	if (!t->leads)
		return;
	call_off(c, now, t);
	*t->prev_lender = t->next_lender;
	if (t->next_lender)
		t->next_lender->prev_lender = t->prev_lender;
	if (heir != t) {
		heir->leads = true;
		heir->next_lender = res->lenders;
		heir->prev_lender = &res->lenders;
		if (heir->next_lender)
			heir->next_lender->prev_lender = &heir->next_lender;
		res->lenders = heir;
		offer(c, now, heir);
	} else if (!res->lenders) {
		unlink_resource(res);
	}
}

void btn_lend_hold(struct btn_core *c, uint64_t now, struct btn_resource *res, struct btn_task *holder)
{
	struct btn_task *t;

	for (t = holder; t->waits && t->waits != res; t = t->waits->holder)
		;
	if (t->waits)
		btn_lend_wait_end(c, now, t);
	if (!res->lenders || res->holder == holder)
		return;
	for (t = res->lenders; t; t = t->next_lender)
		call_off(c, now, t);
	unlink_resource(res);
	become_leader(c, now, holder);
	link_resource(res, holder);
	for (t = res->lenders; t; t = t->next_lender)
		offer(c, now, t);
}
