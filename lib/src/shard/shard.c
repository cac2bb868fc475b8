// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Decisions of a scheduler of shards; the protocol is in shard.h, idle slots are in board.h, quota in fund.h.
 *
 * A shard's core is core/core.c as it is. It has the slots of all shards: those that do not run a
 * task of this shard stand there as busy with a task that is never to give way, and are opened
 * for the moment of a pick. Its parts of tenants have accounts without a log, which are either open
 * (nothing is used) or closed (all is): the core decides by them who stands where, and before a pick the slot has
 * a lease. A closed part is opened by a post, or at the time at which its fund may pay again.
 *
 * [SHARD-1] virtual times in common are hints by a lease: a shard takes the later of its own and the common
 * one. [SHARD-2] `next` is for timers: a shard that changes it looks after it itself. [SHARD-3] the number of
 * open slots and the next shard's turn are hints for where a request goes.
 */
#include "shard.h"

#include <errno.h>

#include "../core/core.h"
#include "../core/flow.h"
#include "fund.h"

/* Workers are the driver's affair. */
#define WORKERS		(1u << 30)
/* Places in the order: ready.best. */
#define PLACE_RESERVE	UINT64_C(1)	/* the number of the tier */
#define PLACE_RANK	(UINT64_C(1) << 62)
#define RANK_SHIFT	59
#define TIER_SHIFT	56
#define KEY_SHIFT	6
#define KEY_MASK	((UINT64_C(1) << TIER_SHIFT) - 1)
/* As in core/flow.c: a key that is earlier by less is not worth a switch. */
#define PREEMPT_NS	200000

/* In a slot of a core whose slot runs another shard's task, or nothing. Never written to. */
static struct btn_task elsewhere;

void btn_shard_close_slots(struct btn_core *c)
{
	unsigned i;

	for (i = 0; i < c->slots; i++) {
		c->run[i].task = &elsewhere;
		c->run[i].need_resched = true;
	}
	c->n_idle = 0;
}

static struct btn_shard_request *request_of(const struct btn_task *t)
{
	return btn_container(t->req, struct btn_shard_request, r);
}

static struct btn_shard_part *part_of_request(const struct btn_shard *sh, const struct btn_shard_request *r)
{
	return &r->tenant->part[sh->index];
}

static void raise_word(_Atomic uint64_t *word, uint64_t to)
{
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed); /* [SHARD-1] */

	while (seen < to && !atomic_compare_exchange_weak_explicit(word, &seen, to, memory_order_relaxed, /* [SHARD-1] */
								   memory_order_relaxed)) /* [SHARD-1] */
		;
}

static uint64_t common_word(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed); /* [SHARD-1] */
}

/* ------------------------------------------------------------ open and closed parts */

static bool is_closed(const struct btn_account *a, uint64_t now)
{
	return now < btn_account_owes_until(a);
}

/* Nothing is used, or owed. */
static void open_account(struct btn_account *a)
{
	a->used = a->reserved = a->earned = 0;
	a->running = 0;
}

/*
 * A slot was refused a lease: as if this part owed something until the fund may pay again. Its
 * flows that pay from it are throttled, or go to another tier.
 */
static void close_part(struct btn_shard *sh, struct btn_shard_tenant *n, unsigned tier, uint64_t now)
{
	struct btn_tenant *t = n->part[sh->index].t;
	uint64_t when = btn_fund_when(&n->fund[tier], now, sh->index);
	unsigned i;

	if (when == BTN_NEVER)
		when = now + BTN_SECOND;
	if (when <= now)
		when = now + 1;
	t->acct[tier].earned = when + BTN_SECOND + BTN_EARN_SLACK;
	for (i = 0; i < BTN_FLOW_TIERS; i++) {
		struct btn_flow *f = &t->flow[i];

		if (f->acct != &t->acct[tier] || btn_flow_empty(f) || f->throttled)
			continue;
		btn_flow_take_out(&sh->core, now, f);
		btn_flow_place(&sh->core, now, f);
	}
}

/* Something could be had of the tenant's funds when it was posted. */
static void open_part(struct btn_shard *sh, struct btn_tenant *t, uint64_t now)
{
	open_account(&t->acct[BTN_LOW]);
	open_account(&t->acct[BTN_HIGH]);
	btn_tenant_unthrottle(&sh->core, now, t);
}

/* ------------------------------------------------------------ tiers */

/* Tiers as the core's next decision sees them: CPU used in all shards, virtual times in common. */
static void view_tiers(struct btn_shards *s, struct btn_shard *sh, uint64_t now)
{
	struct btn_core *c = &sh->core;
	unsigned i;

	for (i = 0; i < c->tiers; i++) {
		struct btn_tier *t = &c->tier[i];
		uint64_t common = common_word(&s->vtime[i]);

		if (t->oversold && t->vtime < common)
			t->vtime = common;
		if (s->rank_shared[t->rank]) {
			t->tag = common_word(&s->tag[i]);
			common = common_word(&s->rank_vtime[t->rank]);
			if (c->rank_vtime[t->rank] < common)
				c->rank_vtime[t->rank] = common;
		}
		if (!t->accounted)
			continue;
		t->acct.n = 0;
		t->acct.rest = 0;
		t->acct.expires = BTN_NEVER;
		t->acct.earned = 0;
		t->acct.reserved = 0;
		t->acct.running = 0;
		t->acct.used = btn_line_top(&t->flows) ? btn_fund_taken(&s->tier_fund[i], now) : 0;
	}
	c->workers = WORKERS;
	/* Orders of tasks becoming ready are times, so that those of all shards are one order. */
	if (c->seq < now)
		c->seq = now;
}

/* ------------------------------------------------------------ places in the order */

static uint64_t place_in_tier(const struct btn_tier *t, uint64_t key)
{
	return PLACE_RANK | (uint64_t)t->rank << RANK_SHIFT | (uint64_t)t->index << TIER_SHIFT | (key >> KEY_SHIFT & KEY_MASK);
}

/* The place of a shard's first task, with its lock, after view_tiers(). */
static uint64_t first_place(struct btn_shard *sh, uint64_t now)
{
	struct btn_task *t = btn_core_first(&sh->core, now);
	struct btn_flow *f;

	if (!t)
		return BTN_READY_NONE;
	f = btn_flow_of(t);
	if (btn_tier_reserve_left(f->tier, now))
		return PLACE_RESERVE + f->tier->index;
	return place_in_tier(f->tier, f->node.key);
}

static uint64_t tier_vtime(struct btn_shards *s, uint64_t place)
{
	uint64_t tag = common_word(&s->tag[place >> TIER_SHIFT & 7]);
	uint64_t v = common_word(&s->rank_vtime[place >> RANK_SHIFT & 7]);

	return tag > v ? tag : v;
}

/* a goes before b by more than lead ns. */
static bool goes_before(struct btn_shards *s, uint64_t a, uint64_t b, uint64_t lead)
{
	if (a >= PLACE_RANK && b >= PLACE_RANK && b != BTN_READY_NONE && a >> RANK_SHIFT == b >> RANK_SHIFT) {
		if (a >> TIER_SHIFT != b >> TIER_SHIFT)
			return tier_vtime(s, a) < tier_vtime(s, b);
		return (a & KEY_MASK) + (lead >> KEY_SHIFT) < (b & KEY_MASK);
	}
	return a < b;
}

/* ------------------------------------------------------------ lock, inbox, unlock */

static bool publish_and_unlock(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh, uint64_t now,
			       uint64_t *first)
BTN_ENDS(&sh->ready.lock);
static void unlock_and_look(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh, uint64_t now, bool came)
BTN_ENDS(&sh->ready.lock);

static void open_slot(struct btn_core *c, uint64_t now, unsigned slot)
{
	c->run[slot].task = NULL;
	c->run[slot].need_resched = false;
	btn_flow_open_slot(c, now, slot);
}

/* The slot is in the idle list, last but for nothing. */
static void close_slot(struct btn_core *c, uint64_t now, unsigned slot)
{
	c->n_idle = 0;
	btn_stat_add(&c->page.slots[slot].idle, now);
	c->run[slot].task = &elsewhere;
	c->run[slot].need_resched = true;
}

static void request_failed(struct btn_core *c, struct btn_request *r, int err)
{
	r->result = err;
	r->done = true;
	r->tasks = 0;
	r->next_done = NULL;
	*c->done_last = r;
	c->done_last = &r->next_done;
}

/* Moves tasks and posts that came for this shard into its core. True: there was something. */
static bool take_inbox(struct btn_shards *s, struct btn_shard *sh, uint64_t now)
{
	struct btn_inbox_node *n, *next;
	bool any = false;

	if (!btn_inbox_any(&sh->ready.inbox))
		return false;
	for (n = btn_inbox_take(&sh->ready.inbox); n; n = next) {
		struct btn_post *p = btn_container(n, struct btn_post, node);
		struct btn_shard_task *t = btn_container(p, struct btn_shard_task, post);
		struct btn_shard_part *part;
		int err;

		next = n->next;
		any = true;
		switch (p->kind) {
		case BTN_POST_SUBMIT:
			part = part_of_request(sh, request_of(&t->t));
			/* A part that is closed may know less than its fund. */
			if (is_closed(&part->t->acct[BTN_LOW], now) &&
			    btn_fund_can_pay(&request_of(&t->t)->tenant->fund[BTN_LOW], now))
				open_part(sh, part->t, now);
			err = btn_core_submit(&sh->core, now, t->t.req, &t->t);
			if (err) {
				t->t.req->first = &t->t;
				request_failed(&sh->core, t->t.req, err);
			}
			break;
		case BTN_POST_SPAWN:
			btn_core_spawn(&sh->core, now, t->t.req, &t->t);
			break;
		case BTN_POST_READY:
			btn_core_ready(&sh->core, now, &t->t);
			break;
		case BTN_POST_OPEN:
			part = btn_container(p, struct btn_shard_part, post);
			atomic_store_explicit(&p->posted, false, memory_order_release); /* [FUND-2] */
			open_part(sh, part->t, now);
			break;
		case BTN_POST_LOOK:
			atomic_store_explicit(&p->posted, false, memory_order_release); /* [FUND-2] */
			break;
		}
	}
	return any;
}

/* The running task, of any shard, that should give way to one of this place most. */
static void preempt_for(struct btn_shards *s, uint64_t place)
{
	uint64_t running, worst = place;
	int victim = -1;
	unsigned i;

	for (i = 0; i < s->slots; i++) {
		/* [SLOT-1] hints: the slot's next pick decides. */
		running = atomic_load_explicit(&s->slot[i].running, memory_order_relaxed); /* [SLOT-1] */
		if (!running || atomic_load_explicit(&s->slot[i].flags, memory_order_relaxed) & BTN_SLOT_RESCHED) /* [SLOT-1] */
			continue;
		if (goes_before(s, worst, running, victim < 0 ? PREEMPT_NS : 0)) {
			worst = running;
			victim = (int)i;
		}
	}
	if (victim >= 0)
		atomic_fetch_or_explicit(&s->slot[victim].flags, BTN_SLOT_RESCHED, memory_order_relaxed); /* [SLOT-1] */
}

static uint64_t next_of(struct btn_shards *s, struct btn_shard *sh, uint64_t now)
{
	struct btn_core *c = &sh->core;
	uint64_t next = BTN_NEVER, when;
	unsigned i;

	if (c->deadlines.top)
		next = c->deadlines.top->key;
	if (c->releases.top && c->releases.top->key < next)
		next = c->releases.top->key;
	for (i = 0; i < c->tiers; i++) {
		if (!btn_line_top(&c->tier[i].flows) || !c->tier[i].accounted || btn_account_can_pay(&c->tier[i].acct, now))
			continue;
		when = btn_fund_when(&s->tier_fund[i], now, sh->index);
		if (when <= now)
			when = now + 1;
		if (when < next)
			next = when;
	}
	return next;
}

/* True: something is runnable here, and its look at the board is still to be done. first: for preempt_for(). */
static bool publish_and_unlock(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh, uint64_t now,
			       uint64_t *first)
{
	struct btn_core *c = &sh->core;
	uint64_t place;
	int slot;

	while ((slot = btn_core_next_resched(c)) >= 0)
		if (c->run[slot].task != &elsewhere)
			atomic_fetch_or_explicit(&s->slot[slot].flags, BTN_SLOT_RESCHED, memory_order_relaxed); /* [SLOT-1] */
	if (c->done) {
		*c->done_last = out->done;
		out->done = c->done;
		c->done = NULL;
		c->done_last = &c->done;
	}
	place = first_place(sh, now);
	atomic_store_explicit(&sh->next, next_of(s, sh, now), memory_order_relaxed); /* [SHARD-2] */
	/* Where the policy does not preempt, the key is no reason to give way. */
	*first = place >= PLACE_RANK && place != BTN_READY_NONE && !c->tier[place >> TIER_SHIFT & 7].policy->preempts ?
		 place | KEY_MASK : place;
	return btn_ready_unlock(&sh->ready, place);
}

/* An idle slot for what is runnable in this shard; else (came) a task gives way to what came into it. */
static void look_at_board(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh, uint64_t first, bool came)
{
	int slot = btn_board_claim(&s->board, sh->index * s->per);

	if (slot >= 0)
		out->wake[out->wakes++] = (unsigned)slot;
	else if (came && first != BTN_READY_NONE)
		preempt_for(s, first);
}

static void unlock_and_look(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh, uint64_t now, bool came)
{
	uint64_t first;

	view_tiers(s, sh, now);
	if (publish_and_unlock(s, out, sh, now, &first))
		look_at_board(s, out, sh, first, came);
}

void btn_shard_lock(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh, uint64_t now)
{
	btn_lock_acquire(&sh->ready.lock);
	view_tiers(s, sh, now);
}

void btn_shard_unlock(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh, uint64_t now)
{
	unlock_and_look(s, out, sh, now, true);
}

/* ------------------------------------------------------------ events from any thread */

static unsigned pick_home(struct btn_shards *s, int near)
{
	unsigned open = atomic_load_explicit(&s->open, memory_order_relaxed); /* [SHARD-3] */
	uint64_t turn;

	if (near >= 0 && (unsigned)near < open)
		return (unsigned)near / s->per;
	turn = atomic_fetch_add_explicit(&s->turn, 1, memory_order_relaxed); /* [SHARD-3] */
	return (unsigned)(turn % ((open + s->per - 1) / s->per));
}

int btn_shards_submit(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, int near,
		      struct btn_shard_request *r, struct btn_shard_task *t)
{
	if (atomic_load_explicit(&r->tenant->leaving, memory_order_relaxed)) /* [TENANT-1] */
		return -ESHUTDOWN;
	if (r->r.class == BTN_CRITICAL && !btn_fund_left(&r->tenant->fund[BTN_LOW], now))
		return -EDQUOT;
	r->home = pick_home(s, near);
	r->r.tenant = r->tenant->part[r->home].t;
	r->r.done = r->r.started = false;
	t->t.req = &r->r;
	t->post.kind = BTN_POST_SUBMIT;
	btn_shard_post(s, out, r->home, &t->post);
	return 0;
}

void btn_shards_spawn(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard_request *r,
		      struct btn_shard_task *t)
{
	t->t.req = &r->r;
	t->post.kind = BTN_POST_SPAWN;
	btn_shard_post(s, out, r->home, &t->post);
}

void btn_shards_ready(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard_task *t)
{
	t->post.kind = BTN_POST_READY;
	btn_shard_post(s, out, request_of(&t->t)->home, &t->post);
}

void btn_shards_cancel(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, struct btn_shard_request *r,
		       int why)
{
	struct btn_shard *sh = &s->shard[r->home];

	btn_shard_lock(s, out, sh, now);
	take_inbox(s, sh, now);
	btn_core_cancel(&sh->core, now, &r->r, why);
	btn_shard_unlock(s, out, sh, now);
}

void btn_shards_charge(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, struct btn_shard_request *r,
		       uint64_t cpu, bool here)
{
	struct btn_shard *sh = &s->shard[r->home];
	unsigned tier = r->r.class == BTN_BATCH ? BTN_HIGH : BTN_LOW;

	btn_shard_lock(s, out, sh, now);
	if (r->r.class == BTN_TOLERANT && !btn_fund_can_pay(&r->tenant->fund[BTN_LOW], now))
		tier = BTN_HIGH;
	if (r->r.class != BTN_INTERNAL)
		btn_fund_charge(&r->tenant->fund[tier], now, cpu, tier == BTN_HIGH ? sh->core.tier[tier].vtime : now, here);
	btn_core_charge(&sh->core, now, &r->r, cpu, here);
	btn_shard_unlock(s, out, sh, now);
}

void btn_shards_tick(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, unsigned shard)
{
	struct btn_shard *sh = &s->shard[shard];

	btn_shard_lock(s, out, sh, now);
	take_inbox(s, sh, now);
	btn_core_tick(&sh->core, now);
	btn_shard_unlock(s, out, sh, now);
}

uint64_t btn_shards_next(const struct btn_shards *s, unsigned shard)
{
	return atomic_load_explicit(&s->shard[shard].next, memory_order_relaxed); /* [SHARD-2] */
}

/* ------------------------------------------------------------ a slot picks, and stops */

/* The shard to take from, of those not in skip; -1: nothing is runnable. */
static int choose_shard(struct btn_shards *s, int own, uint64_t skip, uint64_t *place)
{
	uint64_t best = BTN_READY_NONE, p;
	int chosen = -1;
	unsigned i, k;

	for (k = 0; k < s->shards; k++) {
		i = (unsigned)(own + (int)k) % s->shards;
		if (skip >> i & 1)
			continue;
		p = btn_ready_look(&s->shard[i].ready);
		if (p != BTN_READY_NONE && goes_before(s, p, best, chosen == own ? BTN_SHARD_LEAD : 0)) {
			best = p;
			chosen = (int)i;
		}
	}
	*place = best;
	return chosen;
}

/* The core has picked for this slot: what it runs on. */
static void begin_run(struct btn_shards *s, struct btn_shard *sh, unsigned slot, struct btn_slot_lease *pays,
		      struct btn_slot_lease *tier_pays)
{
	struct btn_slot *sl = &s->slot[slot];
	struct btn_run *run = &sh->core.run[slot];
	struct btn_tier *tier = run->tier;
	uint64_t left = run->reserved;

	if (pays) {
		if (left > btn_lease_left(&pays->l))
			left = btn_lease_left(&pays->l);
		pays->runs = true;
		open_account(run->acct);
	}
	if (tier_pays) {
		if (left > btn_lease_left(&tier_pays->l))
			left = btn_lease_left(&tier_pays->l);
		tier_pays->runs = true;
	}
	run->reserved = run->slice = left;
	sl->pays = pays;
	sl->tier_pays = tier_pays;
	sl->runs_of = sh;
	atomic_store_explicit(&sl->running, run->reserve ? PLACE_RESERVE + tier->index : place_in_tier(tier, run->key),
			      memory_order_relaxed); /* [SLOT-1] */
	if (tier->oversold && tier->vtime > common_word(&s->vtime[tier->index]) + BTN_SHARD_LEAD / 2)
		raise_word(&s->vtime[tier->index], tier->vtime);
	if (s->rank_shared[tier->rank])
		raise_word(&s->rank_vtime[tier->rank], sh->core.rank_vtime[tier->rank]);
}

/*
 * The first task of this shard for the slot, or NULL: the shard has none, or another shard's goes
 * before it, which is then worth another look.
 */
static struct btn_task *pick_in(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh, uint64_t now,
				unsigned slot, uint64_t skip)
{
	struct btn_core *c = &sh->core;
	struct btn_slot *sl = &s->slot[slot];
	int own = (int)(slot / s->per);
	uint64_t place, rival, key;

	for (;;) {
		struct btn_slot_lease *pays = NULL, *tier_pays = NULL;
		struct btn_task *t = btn_core_first(c, now);
		struct btn_flow *f;

		if (!t)
			return NULL;
		f = btn_flow_of(t);
		/* Other slots may have spent of the account since this part was looked at last. */
		if (f->acct) {
			key = btn_fund_tag(&request_of(t)->tenant->fund[f->tier->index]);
			if (f->acct->tag < key)
				f->acct->tag = key;
		}
		key = f->tier->policy->flow_key(f->tier, f);
		if (btn_flow_is_stale(f, key)) {
			btn_line_del(&f->tier->flows, &f->node);
			btn_flow_enter(c, f);
			continue;
		}
		place = first_place(sh, now);
		choose_shard(s, own, skip | UINT64_C(1) << sh->index, &rival);
		if (goes_before(s, rival, place, (int)sh->index == own ? BTN_SHARD_LEAD : 0))
			return NULL;
		if (!t->req->started && now >= t->req->deadline) {
			btn_core_cancel(c, now, t->req, -ETIME);
			continue;
		}
		if (f->acct) {
			pays = btn_fund_back(s, out, sl, &request_of(t)->tenant->fund[f->tier->index], now, sh->index);
			/* A lease from before the quota was sold is no reason to start. */
			if (f->kind == BTN_FLOW_FRESH && (!pays || f->acct->quota < f->acct->min)) {
				btn_core_cancel(c, now, t->req, -EDQUOT);
				continue;
			}
			if (!pays) {
				close_part(sh, request_of(t)->tenant, f->tier->index, now);
				continue;
			}
			/* Critical requests stand in their tier while the part is closed, and quota came back. */
			if (is_closed(f->acct, now)) {
				open_part(sh, f->tenant, now);
				continue;
			}
			pays->runs = true;
		}
		if (f->tier->accounted) {
			tier_pays = btn_fund_back(s, out, sl, &s->tier_fund[f->tier->index], now, sh->index);
			if (!tier_pays) {
				if (pays)
					pays->runs = false;
				f->tier->acct.used = f->tier->acct.quota;
				continue;
			}
		}
		t = btn_core_pick(c, now, slot);
		if (t)
			begin_run(s, sh, slot, pays, tier_pays);
		return t;
	}
}

/* With its lock: the shard to take from; NULL: none is runnable, but for those that others have locked. */
BTN_BEGINS_OR_ENDS
static struct btn_shard *lock_shard(struct btn_shards *s, unsigned own, uint64_t *skip)
{
	uint64_t place;
	int i;

	while ((i = choose_shard(s, (int)own, *skip, &place)) >= 0) {
		if (btn_ready_try(&s->shard[i].ready))
			return &s->shard[i];
		*skip |= UINT64_C(1) << i;
	}
	return NULL;
}

static struct btn_task *pick_and_unlock(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh,
					uint64_t now, unsigned slot, uint64_t skip)
BTN_ENDS(&sh->ready.lock);

/* With the lock of sh, which is given up. */
static struct btn_task *pick_and_unlock(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh,
					uint64_t now, unsigned slot, uint64_t skip)
{
	struct btn_task *t;
	bool came;

	view_tiers(s, sh, now);
	open_slot(&sh->core, now, slot);
	came = take_inbox(s, sh, now);
	view_tiers(s, sh, now);
	t = pick_in(s, out, sh, now, slot, skip);
	if (!t)
		close_slot(&sh->core, now, slot);
	unlock_and_look(s, out, sh, now, came);
	return t;
}

BTN_BEGINS_OR_ENDS
struct btn_task *btn_shards_pick(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, unsigned slot)
{
	struct btn_slot *sl = &s->slot[slot];
	struct btn_shard *left = sl->left, *sh;
	struct btn_task *t = NULL;
	bool offered = false, closed;
	uint64_t skip = 0;
	unsigned i;

	sl->left = NULL;
	atomic_store_explicit(&sl->flags, 0, memory_order_relaxed); /* [SLOT-1] */
	closed = slot >= atomic_load_explicit(&s->open, memory_order_relaxed); /* [SHARD-3] */
	btn_fund_give_back(s, out, sl, now, closed);
	/* Each turn without a task empties an inbox, or publishes a later place than was seen: it ends. */
	while (!closed && !t) {
		sh = lock_shard(s, slot / s->per, &skip);
		if (!sh) {
			if (offered)
				return NULL;
			/* An idle slot has no lease; what it gives back may be what a task waits for. */
			btn_fund_give_back(s, out, sl, now, true);
			btn_board_offer(&s->board, slot);
			offered = true;
			skip = 0;
			continue;
		}
		/* Before the unlock, whose look at the board is for another slot. */
		if (offered && !btn_board_withdraw(&s->board, slot)) {
			unlock_and_look(s, out, sh, now, false);
			return NULL;
		}
		offered = false;
		t = pick_and_unlock(s, out, sh, now, slot, skip);
	}
	/* A slot that was claimed, and closed then, hands its wake-up on. */
	for (i = 0; closed && i < s->shards; i++)
		if (btn_ready_look(&s->shard[i].ready) != BTN_READY_NONE)
			look_at_board(s, out, &s->shard[i], BTN_READY_NONE, false);
	/* The look after btn_shards_stop(), now that it is known what this slot takes. */
	if (!closed && left && btn_ready_look(&left->ready) != BTN_READY_NONE)
		look_at_board(s, out, left, BTN_READY_NONE, false);
	return t;
}

const struct btn_run *btn_shards_run(const struct btn_shards *s, unsigned slot)
{
	return &s->slot[slot].runs_of->core.run[slot];
}

/* A tier that shares its rank was served: its tag, in all shards, moves on at least each ms. */
static void serve_tier(struct btn_shards *s, struct btn_slot *sl, const struct btn_run *run, uint64_t cpu)
{
	unsigned i = run->tier->index;

	if (!s->rank_shared[run->tier->rank])
		return;
	raise_word(&s->tag[i], run->tier_vstart);
	sl->served[i] += (cpu << 10) / run->tier->share;
	if (sl->served[i] < (BTN_LEASE_AGE << 10) / run->tier->share)
		return;
	atomic_fetch_add_explicit(&s->tag[i], sl->served[i], memory_order_relaxed); /* [SHARD-1] */
	sl->served[i] = 0;
}

void btn_shards_stop(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, unsigned slot, uint64_t cpu,
		     enum btn_stop why)
{
	struct btn_slot *sl = &s->slot[slot];
	struct btn_shard *sh = sl->runs_of;
	struct btn_core *c = &sh->core;
	struct btn_run *run = &c->run[slot];
	struct btn_tier *tier = run->tier;
	struct btn_fund *f;
	uint64_t first;

	btn_shard_lock(s, out, sh, now);
	/*
	 * First what is in the inbox: tasks that this one added to its request may be there, and its
	 * end must not be the request's. The slot is about to be idle: no task has to give way.
	 */
	c->idle[0] = slot;
	c->n_idle = 1;
	take_inbox(s, sh, now);
	c->n_idle = 0;
	if (run->acct) {
		f = &request_of(run->task)->tenant->fund[tier->index];
		if (sl->pays)
			btn_fund_spend(s, out, sl->pays, now, cpu, run->vstart);
		else
			btn_fund_charge(f, now, cpu, run->vstart, false);
		if (run->acct->tag < btn_fund_tag(f))
			run->acct->tag = btn_fund_tag(f);
		if (sl->pays && btn_lease_out(&sl->pays->l) && run->acct->tag < sl->pays->l.tag)
			run->acct->tag = sl->pays->l.tag;
	}
	if (sl->tier_pays)
		btn_fund_spend(s, out, sl->tier_pays, now, cpu, 0);
	else if (tier->accounted)
		btn_fund_charge(&s->tier_fund[tier->index], now, cpu, 0, false);
	serve_tier(s, sl, run, cpu);
	if (run->accounted) {
		tier->acct.reserved = run->reserved;
		tier->acct.running = 1;
	}
	sl->pays = sl->tier_pays = NULL;
	sl->runs_of = NULL;
	atomic_store_explicit(&sl->running, 0, memory_order_relaxed); /* [SLOT-1] */
	btn_core_stop(c, now, slot, cpu, why);
	close_slot(c, now, slot);
	view_tiers(s, sh, now);
	if (publish_and_unlock(s, out, sh, now, &first))
		sl->left = sh;
}

bool btn_shards_checkpoint(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, unsigned slot)
{
	struct btn_shard *sh = &s->shard[slot / s->per];
	struct btn_slot *sl = &s->slot[slot];
	bool came;

	if (atomic_load_explicit(&sl->flags, memory_order_relaxed) & BTN_SLOT_LOOK) { /* [SLOT-1] */
		atomic_fetch_and_explicit(&sl->flags, ~BTN_SLOT_LOOK, memory_order_relaxed); /* [SLOT-1] */
		btn_shard_lock(s, out, sh, now);
		came = take_inbox(s, sh, now);
		unlock_and_look(s, out, sh, now, came);
	}
	return slot >= atomic_load_explicit(&s->open, memory_order_relaxed) || /* [SHARD-3] */
	       atomic_load_explicit(&sl->flags, memory_order_relaxed) & BTN_SLOT_RESCHED; /* [SLOT-1] */
}
