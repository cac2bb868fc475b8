// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The scheduler's decisions; the protocol is in core.h, the promises and their
 * proofs in ledger.h.
 *
 * Where a group stands. With no ready task: nowhere. Else in its tier's heap,
 * or held: out of the heap with a timer, because whoever pays for it has
 * nothing left. Tolerant groups stand in BTN_LOW while that account has
 * something, else in BTN_HIGH with a timer that brings them back.
 *
 * Which tier is next: those under their reserve, in the order of the tiers;
 * then by rank; tiers of one rank by start-time fair queueing over their
 * shares. A tier at its limit is passed over.
 */
#include "core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How many critical requests that came too late one pick rejects. */
#define REJECT_BATCH	32
/* A later key by less than this is not worth a switch. */
#define PREEMPT_NS	200000
/* Less of a tier's reserve is not worth a switch. */
#define RESERVE_MIN	50000
/* Deadlines and releases that one tick handles; the next is due at once. */
#define TICK_BATCH	64

void btn_hist_add(struct btn_hist *h, uint64_t ns)
{
	uint64_t us = ns / 1000;
	unsigned octave, step;

	if (us < 4) {
		h->n[us]++;
		return;
	}
	octave = 63 - __builtin_clzll(us);
	step = 4 * (octave - 1) + ((us >> (octave - 2)) & 3);
	h->n[step < BTN_HIST_STEPS ? step : BTN_HIST_STEPS - 1]++;
}

uint64_t btn_hist_bound(unsigned step)
{
	if (step < 4)
		return (step + 1) * 1000;
	return (((4ULL + step % 4) + 1) << (step / 4 - 1)) * 1000;
}

uint64_t btn_hist_quantile(const struct btn_hist *h, double q)
{
	uint64_t sum = 0, want;
	unsigned i;

	for (i = 0; i < BTN_HIST_STEPS; i++)
		sum += h->n[i];
	if (!sum)
		return 0;
	want = (uint64_t)(q * sum);
	for (i = 0, sum = 0; i < BTN_HIST_STEPS - 1; i++) {
		sum += h->n[i];
		if (sum > want)
			break;
	}
	return btn_hist_bound(i);
}

int btn_core_init(struct btn_core *c, unsigned slots, const struct btn_tier_setup *tiers,
		  unsigned n_tiers, uint64_t low_limit)
{
	uint64_t reserved = 0;
	unsigned i;
	char *m;

	if (!slots || slots > 4096 || n_tiers < 2 || n_tiers > BTN_TIERS_MAX)
		return -EINVAL;
	for (i = 0; i < n_tiers; i++) {
		if (!tiers[i].policy || !tiers[i].share || tiers[i].rank >= BTN_TIERS_MAX)
			return -EINVAL;
		reserved += tiers[i].reserve;
	}
	if (reserved + low_limit > slots * BTN_SECOND)
		return -EINVAL;
	memset(c, 0, sizeof(*c));
	m = calloc(1, slots * (sizeof(*c->run) + 2 * sizeof(unsigned)) +
			      n_tiers * BTN_LOG * sizeof(struct btn_log));
	if (!m)
		return -ENOMEM;
	c->memory = m;
	c->run = (struct btn_run *)m;
	m += slots * sizeof(*c->run);
	c->slots = slots;
	c->tiers = n_tiers;
	c->capacity = slots * BTN_SECOND;
	c->slice = 2000000;
	c->low_limit = low_limit;
	c->reserved = reserved;
	c->done_last = &c->done;
	for (i = 0; i < n_tiers; i++) {
		struct btn_tier *t = &c->tier[i];

		t->policy = tiers[i].policy;
		t->rank = tiers[i].rank;
		t->share = tiers[i].share;
		t->reserve = tiers[i].reserve;
		t->index = i;
		t->sold = i <= BTN_HIGH;
		t->oversold = i != BTN_LOW;
		btn_account_init(&t->acct, (struct btn_log *)m);
		m += BTN_LOG * sizeof(struct btn_log);
		t->metered = tiers[i].limit || tiers[i].reserve;
		btn_account_set_quota(&t->acct, tiers[i].limit ? tiers[i].limit : 16 * c->capacity);
		if (t->reserve)
			btn_account_set_scale(&t->acct, t->reserve);
	}
	c->idle = (unsigned *)m;
	c->pokes = c->idle + slots;
	for (i = 0; i < slots; i++)
		c->idle[c->n_idle++] = slots - 1 - i;
	return 0;
}

void btn_core_fini(struct btn_core *c)
{
	free(c->memory);
}

static int get_log(const struct btn_account *a, uint64_t quota, struct btn_log **out)
{
	*out = NULL;
	if (!quota || a->log)
		return 0;
	*out = malloc(BTN_LOG * sizeof(struct btn_log));
	return *out ? 0 : -ENOMEM;
}

static void place(struct btn_core *c, uint64_t now, struct btn_group *g);
static void take_out(struct btn_core *c, uint64_t now, struct btn_group *g);

int btn_core_tenant_set(struct btn_core *c, struct btn_tenant *t, uint64_t low, uint64_t high, uint64_t now)
{
	uint64_t sold = c->low_sold - t->acct[BTN_LOW].quota + low;
	struct btn_log *log[2];
	unsigned i;

	/* Selling less is never refused. */
	if (sold > c->low_limit && low > t->acct[BTN_LOW].quota)
		return -ENOSPC;
	if (get_log(&t->acct[BTN_LOW], low, &log[BTN_LOW]))
		return -ENOMEM;
	if (get_log(&t->acct[BTN_HIGH], high, &log[BTN_HIGH])) {
		free(log[BTN_LOW]);
		return -ENOMEM;
	}
	for (i = 0; i < 2; i++)
		if (log[i])
			t->acct[i].log = log[i];
	c->low_sold = sold;
	btn_account_set_quota(&t->acct[BTN_LOW], low);
	btn_account_set_quota(&t->acct[BTN_HIGH], high);
	/* What waits may be able to pay now, or not any more. */
	for (i = 0; i < BTN_LANE_TIERS; i++)
		if (t->group[i].tasks.top) {
			take_out(c, now, &t->group[i]);
			place(c, now, &t->group[i]);
		}
	return 0;
}

int btn_core_tenant(struct btn_core *c, struct btn_tenant **out, uint64_t low, uint64_t high, uint64_t now)
{
	unsigned lanes = BTN_LANE_TIERS + c->tiers - 2, i;
	struct btn_tenant *t = calloc(1, sizeof(*t) + lanes * sizeof(t->group[0]));
	int err;

	*out = NULL;
	if (!t)
		return -ENOMEM;
	btn_account_init(&t->acct[BTN_LOW], NULL);
	btn_account_init(&t->acct[BTN_HIGH], NULL);
	for (i = 0; i < lanes; i++) {
		struct btn_group *g = &t->group[i];

		g->tenant = t;
		g->lane = i;
		if (i < BTN_LANE_TIERS) {
			unsigned home = i == BTN_LANE_BATCH ? BTN_HIGH : BTN_LOW;

			g->tier = &c->tier[home];
			g->acct = &t->acct[home];
		} else {
			g->tier = &c->tier[i - BTN_LANE_TIERS + 2];
		}
		g->order = g->tier->policy;
	}
	err = btn_core_tenant_set(c, t, low, high, now);
	if (err)
		free(t);
	else
		*out = t;
	return err;
}

void btn_core_tenant_free(struct btn_core *c, struct btn_tenant *t)
{
	c->low_sold -= t->acct[BTN_LOW].quota;
	free(t->acct[BTN_LOW].log);
	free(t->acct[BTN_HIGH].log);
	free(t);
}

static void enter(struct btn_core *c, struct btn_group *g)
{
	g->node.key = g->tier->policy->group_key(g->tier, g);
	/* Of one tenant, in arrival order across its groups. */
	g->node.seq = btn_group_first(g)->info->arrival;
	btn_heap_add(&g->tier->groups, &g->node);
}

static void set_timer(struct btn_core *c, struct btn_group *g, uint64_t when)
{
	if (btn_heap_has(&g->timer))
		btn_heap_del(&c->releases, &g->timer);
	if (when == BTN_NEVER)
		return;
	g->timer.key = when;
	btn_heap_add(&c->releases, &g->timer);
}

/* Out of its tier, or out of being held. */
static void take_out(struct btn_core *c, uint64_t now, struct btn_group *g)
{
	set_timer(c, g, BTN_NEVER);
	if (g->held) {
		g->held = false;
		g->held_total += now - g->held_at;
		g->tenant->stats.held += now - g->held_at;
		g->tenant->held--;
	} else if (btn_heap_has(&g->node)) {
		btn_heap_del(&g->tier->groups, &g->node);
	}
}

static bool can_pay(struct btn_account *a, uint64_t now)
{
	return btn_account_left(a, now) >= a->min;
}

/* A group that has tasks and stands nowhere. */
static void place(struct btn_core *c, uint64_t now, struct btn_group *g)
{
	struct btn_account *acct = g->tenant->acct;
	uint64_t when;

	if (!g->tasks.top)
		return;
	if (g->lane == BTN_LANE_TOLERANT) {
		unsigned in = can_pay(&acct[BTN_LOW], now) ? BTN_LOW : BTN_HIGH;

		g->tier = &c->tier[in];
		g->acct = &acct[in];
		if (in == BTN_HIGH)
			set_timer(c, g, btn_account_when(&acct[BTN_LOW], now));
	}
	if (g->lane == BTN_LANE_CRITICAL) {
		/* In flight when its quota was sold to somebody else: it ends on the other. */
		unsigned in = acct[BTN_LOW].quota < acct[BTN_LOW].min ? BTN_HIGH : BTN_LOW;

		g->tier = &c->tier[in];
		g->acct = &acct[in];
	}
	/* Fresh critical ones without quota are for pick to reject. */
	if (g->lane == BTN_LANE_FRESH || !g->acct || can_pay(g->acct, now)) {
		enter(c, g);
		return;
	}
	when = btn_account_when(g->acct, now);
	if (btn_heap_has(&g->timer) && g->timer.key < when)
		when = g->timer.key;
	set_timer(c, g, when);
	g->held = true;
	g->held_at = now;
	g->tenant->held++;
}

static struct btn_group *group_of(const struct btn_task *t)
{
	const struct btn_request *r = t->req;
	struct btn_group *g = r->tenant->group;

	switch (r->class) {
	case BTN_CRITICAL:
		return &g[r->started ? BTN_LANE_CRITICAL : BTN_LANE_FRESH];
	case BTN_TOLERANT:
		return &g[BTN_LANE_TOLERANT];
	case BTN_BATCH:
		return &g[BTN_LANE_BATCH];
	default:
		return &g[BTN_LANE_TIERS + r->tier - 2];
	}
}

/* What is left of the tier's reserve; too little is nothing. */
static uint64_t reserve_left(struct btn_tier *t, uint64_t now)
{
	uint64_t taken;

	if (!t->reserve)
		return 0;
	btn_account_left(&t->acct, now);
	taken = t->acct.used + t->acct.reserved;
	return taken + RESERVE_MIN < t->reserve ? t->reserve - taken : 0;
}

/* Does the group that just got a task go before what runs there? */
static bool beats(const struct btn_group *g, bool reserve, const struct btn_run *r, uint64_t now)
{
	uint64_t key;

	if (reserve != r->reserve)
		return reserve;
	if (g->tier != r->tier)
		return !reserve && g->tier->rank < r->tier->rank;
	if (!g->tier->policy->preempts)
		return false;
	/* Its key has moved on since it was picked. */
	key = r->key;
	if (r->acct && g->tier->policy == &btn_policy_quota)
		key += btn_account_earn(r->acct, now - r->start);
	return g->node.key + PREEMPT_NS < key;
}

static void poke(struct btn_core *c, unsigned slot)
{
	if (c->run[slot].poked)
		return;
	c->run[slot].poked = true;
	c->pokes[c->n_pokes++] = slot;
}

/* Stops one running task that should give way to g, the worst of them. */
static void preempt(struct btn_core *c, uint64_t now, struct btn_group *g)
{
	bool reserve = reserve_left(g->tier, now);
	int victim = -1;
	unsigned i;

	if (c->n_idle)
		return;
	for (i = 0; i < c->slots; i++) {
		const struct btn_run *r = &c->run[i], *v;

		/* A slot that was poked already will pick for itself. */
		if (r->poked || r->task->urgent || !beats(g, reserve, r, now))
			continue;
		v = victim < 0 ? NULL : &c->run[victim];
		if (!v || r->tier->rank > v->tier->rank ||
		    (r->tier->rank == v->tier->rank && r->key > v->key))
			victim = i;
	}
	if (victim >= 0)
		poke(c, victim);
}

/* For a task that others wait for: any slot, the least important one. */
static void stop_one(struct btn_core *c)
{
	int victim = -1;
	unsigned i;

	if (c->n_idle)
		return;
	for (i = 0; i < c->slots; i++)
		if (!c->run[i].poked && !c->run[i].task->urgent &&
		    (victim < 0 || c->run[i].tier->rank > c->run[victim].tier->rank))
			victim = i;
	if (victim >= 0)
		poke(c, victim);
}

/* For how long the group was held, ever. */
static uint64_t held_until(const struct btn_group *g, uint64_t now)
{
	return g->held_total + (g->held ? now - g->held_at : 0);
}

/* Into its group, without a new time of waiting. */
static void rejoin(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	struct btn_group *g = group_of(t);
	bool first;

	if (t->urgent) {
		t->state = BTN_TASK_URGENT;
		t->node.key = t->info->arrival;
		t->node.seq = t->seq;
		btn_heap_add(&c->urgent, &t->node);
		stop_one(c);
		return;
	}
	t->state = BTN_TASK_READY;
	t->node.key = g->order->task_key(t);
	t->node.seq = t->seq;
	btn_heap_add(&g->tasks, &t->node);
	first = g->tasks.top == &t->node;
	if (!g->held && !btn_heap_has(&g->node)) {
		place(c, now, g);
	} else if (first && !g->held) {
		btn_heap_del(&g->tier->groups, &g->node);
		enter(c, g);
	}
	if (first && !g->held)
		preempt(c, now, g);
}

static void join(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	t->ready_at = now;
	t->held_mark = held_until(group_of(t), now);
	rejoin(c, now, t);
}

static void leave(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	struct btn_group *g = group_of(t);

	if (t->state == BTN_TASK_STARVED || t->state == BTN_TASK_URGENT) {
		btn_heap_del(t->state == BTN_TASK_STARVED ? &c->starved : &c->urgent, &t->node);
		return;
	}
	btn_heap_del(&g->tasks, &t->node);
	if (!g->tasks.top)
		take_out(c, now, g);
}

static void finish(struct btn_core *c, struct btn_request *r, int result)
{
	r->result = result;
	r->done = true;
	if (btn_heap_has(&r->timer))
		btn_heap_del(&c->deadlines, &r->timer);
	r->tenant->requests--;
	r->next_done = NULL;
	*c->done_last = r;
	c->done_last = &r->next_done;
}

/* A request whose first task waits for its first slot. */
static void give_up(struct btn_core *c, uint64_t now, struct btn_request *r, int why)
{
	leave(c, now, r->first);
	r->first->state = BTN_TASK_ENDED;
	r->tasks = 0;
	if (why == -EDQUOT)
		r->tenant->stats.rejected++;
	else
		r->tenant->stats.dropped++;
	finish(c, r, why);
}

int btn_core_submit(struct btn_core *c, uint64_t now, struct btn_request *r, struct btn_task *t)
{
	struct btn_tenant *tenant = r->tenant;
	struct btn_account *acct = tenant->acct;
	bool pays;

	if (tenant->leaving)
		return -ESHUTDOWN;
	switch (r->class) {
	case BTN_CRITICAL:
		btn_account_left(&acct[BTN_LOW], now);
		pays = acct[BTN_LOW].used + acct[BTN_LOW].min <= acct[BTN_LOW].quota;
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
		tenant->stats.rejected++;
		return -EDQUOT;
	}
	if (r->deadline < r->info.arrival + BTN_DEADLINE_MIN)
		return -EINVAL;
	if (now >= r->deadline) {
		tenant->stats.dropped++;
		return -ETIME;
	}
	tenant->stats.admitted++;
	tenant->requests++;
	r->info.number = ++c->requests;
	r->first = t;
	r->tasks = 0;
	r->started = r->done = false;
	r->told = r->result = 0;
	r->cpu = r->waited = r->held = 0;
	r->timer.rank = 0;
	if (r->deadline != BTN_NEVER) {
		r->timer.key = r->deadline;
		btn_heap_add(&c->deadlines, &r->timer);
	}
	btn_core_spawn(c, now, r, t);
	return 0;
}

void btn_core_spawn(struct btn_core *c, uint64_t now, struct btn_request *r, struct btn_task *t)
{
	t->req = r;
	t->info = &r->info;
	t->ran = t->urgent = false;
	t->seq = ++c->seq;
	r->tasks++;
	join(c, now, t);
}

void btn_core_ready(struct btn_core *c, uint64_t now, struct btn_task *t)
{
	t->seq = ++c->seq;
	join(c, now, t);
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
	r->told = why;
	for (i = 0; i < c->slots; i++)
		if (c->run[i].task && c->run[i].task->req == r)
			poke(c, i);
}

/* Groups of this tenant that wait for quota may get it now, or sooner. */
static void release_held(struct btn_core *c, uint64_t now, struct btn_tenant *t)
{
	unsigned i;

	for (i = 0; i < BTN_LANE_TIERS; i++) {
		struct btn_group *g = &t->group[i];

		if (!g->held && !btn_heap_has(&g->timer))
			continue;
		take_out(c, now, g);
		place(c, now, g);
	}
}

void btn_core_urge(struct btn_core *c, uint64_t now, struct btn_task *t, bool on)
{
	bool waits = on && !t->urgent && t->state == BTN_TASK_READY;

	if (waits)
		leave(c, now, t);
	t->urgent = on;
	if (waits)
		rejoin(c, now, t);
}

void btn_core_charge(struct btn_core *c, uint64_t now, struct btn_request *r, uint64_t cpu)
{
	struct btn_tenant *t = r->tenant;
	struct btn_account *a;
	struct btn_tier *tier;

	switch (r->class) {
	case BTN_CRITICAL:
		tier = &c->tier[BTN_LOW];
		break;
	case BTN_TOLERANT:
		tier = &c->tier[can_pay(&t->acct[BTN_LOW], now) ? BTN_LOW : BTN_HIGH];
		break;
	case BTN_BATCH:
		tier = &c->tier[BTN_HIGH];
		break;
	default:
		tier = &c->tier[r->tier];
	}
	a = tier->sold ? &t->acct[tier->index] : NULL;
	if (a && a->log)
		btn_account_settle(a, now, 0, cpu, tier->oversold ? tier->vtime : now);
	t->stats.cpu[tier->index] += cpu;
	r->cpu += cpu;
}

void btn_core_stop(struct btn_core *c, uint64_t now, unsigned slot, uint64_t cpu, enum btn_stop why)
{
	struct btn_run *run = &c->run[slot];
	struct btn_task *t = run->task;
	struct btn_request *r = t->req;
	struct btn_tenant *tenant = r->tenant;
	struct btn_tier *tier = run->tier;

	/* An urgent task may run without any quota to charge. */
	if (run->acct && run->acct->log)
		btn_account_settle(run->acct, now, run->grant, cpu, run->vstart);
	if (tier->metered)
		btn_account_settle(&tier->acct, now, run->grant, cpu, 0);
	if (tier->tag < run->tier_vstart)
		tier->tag = run->tier_vstart;
	tier->tag += (cpu << 10) / tier->share;
	tenant->stats.cpu[tier->index] += cpu;
	if (cpu > run->length && cpu - run->length > tenant->stats.overrun)
		tenant->stats.overrun = cpu - run->length;
	btn_hist_add(&tenant->stats.run, cpu);
	r->cpu += cpu;
	run->task = NULL;
	run->poked = false;
	c->idle[c->n_idle++] = slot;
	/* Its timers took the whole grant for used. */
	if (cpu < run->grant)
		release_held(c, now, tenant);
	switch (why) {
	case BTN_STOP_YIELD:
		if (!run->group->order->keeps_place)
			t->seq = ++c->seq;
		join(c, now, t);
		break;
	case BTN_STOP_BLOCK:
		t->state = BTN_TASK_BLOCKED;
		break;
	case BTN_STOP_END:
		t->state = BTN_TASK_ENDED;
		if (!--r->tasks) {
			tenant->stats.finished++;
			finish(c, r, r->told);
		}
		break;
	}
}

/* The tier to serve next, of those that have groups and may go on. */
static struct btn_tier *choose(struct btn_core *c, uint64_t now)
{
	struct btn_tier *best = NULL, *t;
	uint64_t best_key = 0, key;
	unsigned i;

	for (i = 0; i < c->tiers; i++) {
		t = &c->tier[i];
		if (!t->groups.top || (t->metered && !can_pay(&t->acct, now)))
			continue;
		if (reserve_left(t, now))
			return t;
		key = t->tag > c->rank_vtime[t->rank] ? t->tag : c->rank_vtime[t->rank];
		if (!best || t->rank < best->rank || (t->rank == best->rank && key < best_key)) {
			best = t;
			best_key = key;
		}
	}
	return best;
}

/* The first group of its tier has nothing to pay with. */
static void exhausted(struct btn_core *c, uint64_t now, struct btn_group *g)
{
	unsigned n = REJECT_BATCH;

	if (g->lane == BTN_LANE_FRESH) {
		while (g->tasks.top && n--)
			give_up(c, now, btn_group_first(g)->req, -EDQUOT);
		return;
	}
	take_out(c, now, g);
	place(c, now, g);
}

/* A worker was free: one that waited for it goes back to where it stood. */
static bool feed(struct btn_core *c, uint64_t now)
{
	struct btn_task *t;

	if (!c->workers || !c->starved.top)
		return false;
	t = btn_container(c->starved.top, struct btn_task, node);
	btn_heap_del(&c->starved, &t->node);
	rejoin(c, now, t);
	return true;
}

struct btn_task *btn_core_pick(struct btn_core *c, uint64_t now, unsigned slot)
{
	struct btn_run *run = &c->run[slot];
	struct btn_account *acct;
	struct btn_group *g;
	struct btn_request *r;
	struct btn_tier *tier;
	struct btn_task *t;
	uint64_t key, left;
	unsigned i;

	if (c->urgent.top) {
		t = btn_container(c->urgent.top, struct btn_task, node);
		r = t->req;
		g = group_of(t);
		tier = g->tier;
		acct = g->acct;
		key = 0;
		run->reserve = false;
		run->grant = 0;
		run->length = c->slice;
		goto found;
	}
	for (;;) {
		tier = choose(c, now);
		if (!tier) {
			if (feed(c, now))
				continue;
			return NULL;
		}
		g = btn_container(tier->groups.top, struct btn_group, node);
		key = tier->policy->group_key(tier, g);
		if (key != g->node.key) {
			btn_heap_del(&tier->groups, &g->node);
			enter(c, g);
			if (tier->groups.top != &g->node)
				continue;
		}
		t = btn_group_first(g);
		r = t->req;
		if (!r->started && now >= r->deadline) {
			give_up(c, now, r, -ETIME);
			continue;
		}
		acct = g->acct;
		if (acct && !can_pay(acct, now)) {
			exhausted(c, now, g);
			continue;
		}
		if (t->ran || c->workers)
			break;
		leave(c, now, t);
		t->state = BTN_TASK_STARVED;
		t->node.key = tier->rank;
		t->node.seq = t->seq;
		btn_heap_add(&c->starved, &t->node);
	}

	left = reserve_left(tier, now);
	run->reserve = left;
	if (!left)
		left = tier->metered ? btn_account_left(&tier->acct, now) : c->slice;
	if (left > c->slice)
		left = c->slice;
	if (acct)
		left = btn_account_reserve(acct, now, left);
	if (tier->metered)
		btn_account_reserve(&tier->acct, now, left);
	run->grant = run->length = left;
found:
	run->start = now;
	run->acct = acct;
	run->tier = tier;
	run->group = g;
	run->key = key;
	run->vstart = tier->oversold ? tier->vtime : now;
	run->tier_vstart = c->rank_vtime[tier->rank];
	if (tier->tag > run->tier_vstart)
		c->rank_vtime[tier->rank] = tier->tag;
	if (tier->oversold && key > tier->vtime && tier->policy == &btn_policy_quota)
		tier->vtime = key;
	g->turn = ++c->seq;

	r->held += held_until(g, now) - t->held_mark;
	leave(c, now, t);
	if (!r->started) {
		r->started = true;
		r->first = NULL;
		if (btn_heap_has(&r->timer))
			btn_heap_del(&c->deadlines, &r->timer);
		if (r->deadline != BTN_NEVER)
			btn_heap_add(&c->deadlines, &r->timer);
	}
	if (!t->ran) {
		c->workers--;
		btn_hist_add(&r->tenant->stats.wait, now - t->ready_at);
	}
	t->ran = true;
	r->waited += now - t->ready_at;
	t->state = BTN_TASK_RUNNING;
	run->task = t;
	run->poked = false;
	for (i = c->n_idle; c->idle[i - 1] != slot; i--)
		;
	c->idle[i - 1] = c->idle[--c->n_idle];
	return t;
}

void btn_core_worker(struct btn_core *c, uint64_t now)
{
	c->workers++;
	feed(c, now);
}

void btn_core_tick(struct btn_core *c, uint64_t now)
{
	unsigned n;

	for (n = 0; n < TICK_BATCH && c->deadlines.top && c->deadlines.top->key <= now; n++) {
		struct btn_request *r = btn_container(c->deadlines.top, struct btn_request, timer);

		btn_heap_del(&c->deadlines, &r->timer);
		btn_core_cancel(c, now, r, -ETIME);
	}
	for (n = 0; n < TICK_BATCH && c->releases.top && c->releases.top->key <= now; n++) {
		struct btn_group *g = btn_container(c->releases.top, struct btn_group, timer);

		take_out(c, now, g);
		place(c, now, g);
		if (!g->held)
			preempt(c, now, g);
	}
}

uint64_t btn_core_next(struct btn_core *c, uint64_t now)
{
	uint64_t next = BTN_NEVER, when;
	unsigned i;

	if (c->deadlines.top)
		next = c->deadlines.top->key;
	if (c->releases.top && c->releases.top->key < next)
		next = c->releases.top->key;
	for (i = 0; i < c->tiers; i++) {
		if (!c->tier[i].groups.top || !c->tier[i].metered || can_pay(&c->tier[i].acct, now))
			continue;
		when = btn_account_when(&c->tier[i].acct, now);
		if (when < next)
			next = when;
	}
	return next;
}

bool btn_core_waits(struct btn_core *c, uint64_t now)
{
	return c->urgent.top || choose(c, now);
}

int btn_core_idle(struct btn_core *c)
{
	return c->n_idle ? (int)c->idle[c->n_idle - 1] : -1;
}

int btn_core_poke(struct btn_core *c)
{
	return c->n_pokes ? (int)c->pokes[--c->n_pokes] : -1;
}

struct btn_request *btn_core_done(struct btn_core *c)
{
	struct btn_request *r = c->done;

	if (r) {
		c->done = r->next_done;
		if (!c->done)
			c->done_last = &c->done;
	}
	return r;
}
