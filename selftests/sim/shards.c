// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A scheduler of 1 to 64 shards under a virtual clock: the decisions of lib/src/shard, driven from
 * a seed by tenants that do what they like, and beside it a naive account of what was promised. Slots
 * pick, stop, sleep and are woken a while later, in every order that seeds make.
 *
 *	shards [SEEDS]		so many seeds of each scenario
 *	shards -s SCENARIO SEED	one of them again, as a failure prints it
 */
#define SCENARIO_PROGRAM "shards"
#include "scenario.h"
#include "core/flow.h"
#include "shard/fund.h"
#include "shard/setup.h"
#include "shard/shard.h"

#define MS 1000000ULL
#define US 1000ULL
#define SLOTS 64

struct run_rec {
	uint64_t start, end;
};

/* The use of one fund, kept naively. */
struct ref {
	struct run_rec *rec;
	size_t first, n, capacity;
	uint64_t quota;		/* the largest in force since the last take */
	uint64_t over;		/* past the rooms of leases that ended since then, or without a lease */
	uint64_t total, second[32];
};

struct stask {
	struct btn_shard_task t;
	struct btn_heap_node wake;
	struct sreq *req;
	struct stask *prev, *next;
	uint64_t left, progress, gap, block_in;
	unsigned spawn;
	struct arrival *script;		/* where its wait is noted; NULL: nowhere */
};

/* An arrival that is recorded, and its first task's wait in two schedulers. */
struct arrival {
	uint64_t after, work, gap, wait[2];
	unsigned ten, class;
};

struct sreq {
	struct btn_shard_request r;
	struct sten *ten;
	unsigned tasks;
	uint64_t cpu, extern_cpu;
	bool started;
};

struct sten {
	struct btn_shard_tenant *t;
	struct btn_heap_node arrive;
	struct ref ref[2];
	uint64_t low, high;
	uint64_t period, work, gap;
	unsigned burst, class_mask, tier, max_alive, spawn, block;
	bool deadline, extern_calls, inside;
	unsigned alive;
	uint64_t admitted, ended, cpu, waited, worst_wait;
};

struct slot {
	struct btn_heap_node event;
	struct stask *task;	/* NULL: it sleeps, or was woken */
	enum btn_stop why;
	bool woken, flagged;
};

static struct {
	struct btn_shards s;
	uint64_t now, end, max_wake;
	struct btn_heap events;
	struct btn_heap_node tick[SLOTS], change;
	struct slot slot[SLOTS];
	struct sten *ten;
	unsigned tens, open;
	struct stask all;
	struct ref tier_ref[BTN_TIERS_MAX];
	uint64_t requests, tasks_alive, capacity, busy, steals, picks;
	bool changes, draining, naive;
	/* Recorded arrivals: the next of them, and which scheduler this is. */
	struct arrival *script, *script_end;
	struct btn_heap_node script_event;
	unsigned which;
	uint64_t last_end;
} S;

static void at(struct btn_heap_node *n, uint64_t when)
{
	static uint64_t seq;

	if (btn_heap_has(n))
		btn_heap_del(&S.events, n);
	if (when == BTN_NEVER)
		return;
	n->key = when;
	n->seq = ++seq;
	btn_heap_add(&S.events, n);
}

/* ------------------------------------------------------------ what was used */

static void ref_add(struct ref *r, uint64_t start, uint64_t end)
{
	uint64_t s, to;

	if (r->n == r->capacity) {
		if (r->first > r->capacity / 2) {
			memmove(r->rec, r->rec + r->first, (r->n - r->first) * sizeof(*r->rec));
			r->n -= r->first;
			r->first = 0;
		} else {
			r->capacity = r->capacity ? 2 * r->capacity : 16;
			r->rec = realloc(r->rec, r->capacity * sizeof(*r->rec));
			CHECK(r->rec);
		}
	}
	r->rec[r->n++] = (struct run_rec){ start, end };
	r->total += end - start;
	for (s = start; s < end; s = to) {
		to = (s / BTN_SECOND + 1) * BTN_SECOND;
		if (to > end)
			to = end;
		if (s / BTN_SECOND < 32)
			r->second[s / BTN_SECOND] += to - s;
	}
}

static uint64_t ref_ended(struct ref *r, uint64_t from)
{
	uint64_t sum = 0;
	size_t i;

	while (r->first < r->n && r->rec[r->first].end + BTN_SECOND / 10 <= from)
		r->first++;
	for (i = r->first; i < r->n; i++)
		if (r->rec[i].end > from)
			sum += r->rec[i].end - (r->rec[i].start > from ? r->rec[i].start : from);
	return sum;
}

static uint64_t past_room(const struct btn_slot_lease *e, uint64_t cpu)
{
	return !e ? cpu : e->l.spent + cpu > e->l.room ? e->l.spent + cpu - e->l.room : 0;
}

/* Q2, Q13: the sliding second that ends now, over all shards. */
static void check_window(struct ref *r, const struct btn_fund *f)
{
	uint64_t from = S.now > BTN_SECOND ? S.now - BTN_SECOND : 0, used, over = r->over, cpu;
	unsigned i, k;

	if (rnd() % ((r->n - r->first) / 64 + 1))
		return;
	used = ref_ended(r, from);
	for (i = 0; i < S.s.slots; i++) {
		const struct btn_run *run;
		bool tenants, tiers;

		if (!S.slot[i].task)
			continue;
		run = btn_shards_run(&S.s, i);
		tenants = run->acct && f == &S.slot[i].task->req->ten->t->fund[run->tier->index];
		tiers = f == &S.s.tier_fund[run->tier->index];
		if (!tenants && !tiers)
			continue;
		cpu = S.now - run->start;
		used += cpu < S.now - from ? cpu : S.now - from;
		over += past_room(tenants ? S.s.slot[i].pays : S.s.slot[i].tier_pays, cpu);
	}
	/* Leases that lie idle and were overrun are still out. */
	for (i = 0; i < S.s.slots; i++)
		for (k = 0; k < BTN_SLOT_LEASES; k++) {
			const struct btn_slot_lease *e = &S.s.slot[i].lease[k];

			if (btn_lease_out(&e->l) && e->fund == f && !e->runs)
				over += past_room(e, 0);
		}
	MUST(used <= r->quota + over, "Q2: used %" PRIu64 " in the last second, quota %" PRIu64 " and %" PRIu64
	     " past leases", used, r->quota, over);
}

/* A run began: was a lease taken for it? */
static void note_take(struct ref *r, const struct btn_slot_lease *e, const struct btn_fund *f)
{
	if (!e || e->l.taken != S.now || e->l.spent)
		return;
	r->quota = f->acct.quota;
	r->over = 0;
}

/* ------------------------------------------------------------ tasks and requests */

static struct stask *new_task(struct sreq *r, bool first)
{
	struct sten *n = r->ten;
	struct stask *t = calloc(1, sizeof(*t));

	CHECK(t);
	t->req = r;
	t->left = between(n->work / 2 + 1, n->work * 3 / 2 + 1);
	if (S.draining && t->left > MS)
		t->left = MS;
	t->gap = between(n->gap / 2 + 1, n->gap);
	if (n->block && rnd() % 100 < n->block)
		t->block_in = between(1, t->left);
	if (first && n->spawn)
		t->spawn = rnd() % (n->spawn + 1);
	t->next = S.all.next;
	t->prev = &S.all;
	t->next->prev = t->prev->next = t;
	r->tasks++;
	S.tasks_alive++;
	return t;
}

static void drop_task(struct stask *t)
{
	t->prev->next = t->next;
	t->next->prev = t->prev;
	at(&t->wake, BTN_NEVER);
	t->req->tasks--;
	S.tasks_alive--;
	free(t);
}

static void request_done(struct btn_request *br)
{
	struct sreq *r = btn_container(br, struct sreq, r.r);
	struct sten *n = r->ten;

	if (br->first) {	/* never started */
		MUST(br->result, "a request that did not run has a result of 0");
		MUST(br->cpu == r->extern_cpu, "Q9: dropped, but it ran");
		MUST(br->result != -ETIME || S.now >= br->deadline, "Q9: dropped too early");
		MUST(br->class != BTN_BATCH || br->result != -EDQUOT || !n->high, "Q4: batch rejected");
		drop_task(btn_container(br->first, struct stask, t.t));
	}
	MUST(br->cpu == r->cpu + r->extern_cpu, "Q10: charged %" PRIu64 ", ran %" PRIu64, br->cpu, r->cpu);
	MUST(!r->tasks, "ended with %u tasks", r->tasks);
	S.last_end = S.now;
	n->alive--;
	n->ended++;
	S.requests--;
	free(r);
}

/* Does what follows from a call. */
static void follow(struct btn_shard_out *out)
{
	struct btn_request *r;
	unsigned i;

	for (i = 0; i < out->wakes; i++) {
		struct slot *s = &S.slot[out->wake[i]];

		MUST(!s->task && !s->woken, "slot %u is woken and does not sleep", out->wake[i]);
		s->woken = true;
		at(&s->event, S.now + rnd() % (S.max_wake + 1));
	}
	while ((r = out->done)) {
		out->done = r->next_done;
		request_done(r);
	}
}

/* When the task in this slot is at its next checkpoint that matters, or ends, or blocks. */
static void plan_stop(unsigned i, bool flagged)
{
	struct slot *s = &S.slot[i];
	const struct btn_run *run = btn_shards_run(&S.s, i);
	struct stask *t = s->task;
	uint64_t here = t->progress, stop, ask, ran = S.now - run->start;

	ask = here + run->slice;
	if (flagged && here + ran < ask)
		ask = here + ran;
	stop = (ask + t->gap - 1) / t->gap * t->gap;
	if (stop <= here + ran)
		stop = (here + ran) / t->gap * t->gap + t->gap;
	s->why = BTN_STOP_YIELD;
	if (t->block_in && t->block_in <= stop && t->block_in > here + ran) {
		stop = t->block_in;
		s->why = BTN_STOP_BLOCK;
	}
	if (here + t->left <= stop) {
		stop = here + t->left;
		s->why = BTN_STOP_END;
	}
	at(&s->event, run->start + (stop - here));
}

/* Q12, Q14, Q15: no task of any shard should have gone first by more than the lead that shard.h states. */
static void check_order(unsigned slot)
{
	const struct btn_run *run = btn_shards_run(&S.s, slot);
	struct btn_task *t = run->task;
	struct stask *o;

	if (run->reserve || !run->reserved)
		return;
	for (o = S.all.next; o != &S.all; o = o->next) {
		struct btn_request *r = o->t.t.req;
		struct btn_flow *f;

		if (&o->t.t == t || o->t.t.state != BTN_TASK_READY || !r || r->done || !o->t.t.seq)
			continue;
		f = btn_flow_of(&o->t.t);
		if (f->throttled || !btn_heap_has(&f->node) || btn_flow_first(f) != &o->t.t)
			continue;
		if (f->tier->accounted || S.s.rank_shared[f->tier->rank])
			continue;
		MUST(f->tier->rank >= run->tier->rank ||
		     (f->acct && !btn_fund_can_pay(&o->req->ten->t->fund[f->tier->index], S.now)),
		     "Q13: a task of rank %u runs before one of rank %u", run->tier->rank, f->tier->rank);
		if (f->tier->index != run->tier->index || f->node.key >= run->key)
			continue;
		/* A fund that cannot pay: only the order of looks kept it there. */
		if (f->acct && (f->acct == run->acct || !btn_fund_can_pay(&o->req->ten->t->fund[f->tier->index], S.now)))
			continue;
		/* Keys that grew since they were put into the heap. */
		if (f->tier->policy->flow_key(f->tier, f) >= run->key ||
		    (f->acct && btn_fund_tag(&o->req->ten->t->fund[f->tier->index]) >= run->key))
			continue;
		MUST(run->key - f->node.key <= BTN_SHARD_LEAD + 128, "%s: passed by, by %" PRIu64 " ns",
		     f->tier->policy->name, run->key - f->node.key);
	}
}

static void started(unsigned slot, struct btn_task *task)
{
	const struct btn_run *run = btn_shards_run(&S.s, slot);
	struct stask *t = btn_container(task, struct stask, t.t);
	struct btn_request *r = task->req;
	struct sten *n = t->req->ten;
	struct btn_slot *sl = &S.s.slot[slot];

	MUST(slot < S.open, "closed slot %u got a task", slot);
	MUST(!r->done, "runs after its end");
	MUST(t->req->started || S.now < r->deadline, "Q9: started after its deadline");
	MUST(run->reserved > 0 && run->reserved <= run->slice, "no slice");
	t->req->started = true;
	S.slot[slot].task = t;
	S.slot[slot].flagged = false;
	S.picks++;
	S.steals += sl->runs_of->index != slot / S.s.per;
	switch (r->class) {
	case BTN_CRITICAL:
		MUST(run->tier->index == BTN_LOW || n->low < 1000 || S.changes, "Q3: tier");
		break;
	case BTN_BATCH:
		MUST(run->tier->index == BTN_HIGH, "Q4: tier");
		break;
	case BTN_TOLERANT:
		break;
	default:
		MUST(run->tier->index == r->tier, "Q13: tier");
	}
	if (run->acct) {
		MUST(sl->pays && sl->pays->fund == &n->t->fund[run->tier->index], "charged to somebody else");
		MUST(run->reserved <= btn_lease_left(&sl->pays->l), "a slice of more than the lease");
		note_take(&n->ref[run->tier->index], sl->pays, sl->pays->fund);
	}
	if (run->tier->accounted) {
		MUST(sl->tier_pays && run->reserved <= btn_lease_left(&sl->tier_pays->l), "a tier without a lease");
		note_take(&S.tier_ref[run->tier->index], sl->tier_pays, sl->tier_pays->fund);
	}
	if (!t->progress) {
		if (t->script)
			t->script->wait[S.which] = S.now - task->ready_at;
		n->waited += S.now - task->ready_at;
		if (S.now - task->ready_at > n->worst_wait)
			n->worst_wait = S.now - task->ready_at;
	}
	if (S.naive)
		check_order(slot);
	plan_stop(slot, false);
}

static void pick(unsigned slot)
{
	struct btn_shard_out out = { 0 };
	struct btn_task *t;

	S.slot[slot].woken = false;
	t = btn_shards_pick(&S.s, &out, S.now, slot);
	if (t)
		started(slot, t);
	follow(&out);
}

static void stopped(unsigned i)
{
	struct btn_shard_out out = { 0 };
	struct slot *s = &S.slot[i];
	struct btn_run run = *btn_shards_run(&S.s, i);
	struct btn_slot *sl = &S.s.slot[i];
	struct stask *t = s->task;
	struct sreq *r = t->req;
	struct sten *n = r->ten;
	uint64_t cpu = S.now - run.start;
	enum btn_stop why = s->why;
	unsigned tier = run.tier->index;

	t->progress += cpu;
	t->left -= cpu;
	r->cpu += cpu;
	n->cpu += cpu;
	S.busy += cpu;
	if (run.acct) {
		check_window(&n->ref[tier], &n->t->fund[tier]);
		n->ref[tier].over += past_room(sl->pays, cpu);
	}
	if (run.tier->accounted) {
		check_window(&S.tier_ref[tier], &S.s.tier_fund[tier]);
		S.tier_ref[tier].over += past_room(sl->tier_pays, cpu);
	}
	if (run.acct)
		ref_add(&n->ref[tier], run.start, S.now);
	ref_add(&S.tier_ref[tier], run.start, S.now);
	if (r->r.r.cancel_pending && why == BTN_STOP_YIELD) {
		t->left = 0;
		why = BTN_STOP_END;
	}
	for (; t->spawn && why != BTN_STOP_BLOCK; t->spawn--)
		btn_shards_spawn(&S.s, &out, &r->r, &new_task(r, false)->t);
	if (n->extern_calls && rnd() % 16 == 0) {
		uint64_t ext = between(1, MS);
		unsigned in = r->r.r.class == BTN_BATCH ? BTN_HIGH : BTN_LOW;

		/* Q11: what a child call used comes back. */
		if (r->r.r.class == BTN_TOLERANT && !btn_fund_can_pay(&n->t->fund[BTN_LOW], S.now))
			in = BTN_HIGH;
		btn_shards_charge(&S.s, &out, S.now, &r->r, ext, false);
		r->extern_cpu += ext;
		if (r->r.r.class != BTN_INTERNAL) {
			ref_add(&n->ref[in], S.now > ext ? S.now - ext : 0, S.now);
			n->ref[in].over += ext;
		}
	}
	s->task = NULL;
	if (why == BTN_STOP_BLOCK) {
		t->block_in = 0;
		at(&t->wake, S.now + between(1, 30 * MS));
	}
	btn_shards_stop(&S.s, &out, S.now, i, cpu, why);
	if (why == BTN_STOP_END)
		drop_task(t);
	s->woken = true;	/* awake, and about to pick */
	follow(&out);
	pick(i);
}

static void submit(struct sten *n)
{
	struct btn_shard_out out = { 0 };
	struct sreq *r = calloc(1, sizeof(*r));
	struct stask *t;
	uint64_t used;
	unsigned c;
	int err;

	CHECK(r);
	r->ten = n;
	r->r.tenant = n->t;
	do
		c = rnd() % 4;
	while (!(n->class_mask & 1 << c));
	r->r.r.class = c;
	r->r.r.tier = n->tier;
	r->r.r.info.arrival = S.now;
	if (rnd() % 8 == 0)
		r->r.r.info.arrival -= between(0, S.now < MS ? S.now : MS);
	r->r.r.deadline = BTN_NEVER;
	if (n->deadline && rnd() % 2)
		r->r.r.deadline = r->r.r.info.arrival + between(10 * MS, 300 * MS);
	t = new_task(r, true);
	used = ref_ended(&n->ref[BTN_LOW], S.now > BTN_SECOND ? S.now - BTN_SECOND : 0);
	err = btn_shards_submit(&S.s, &out, S.now, n->inside ? (int)(rnd() % S.s.slots) : -1, &r->r, &t->t);
	if (c == BTN_CRITICAL)
		MUST(err == -EDQUOT || used < n->low, "Q3: critical admitted with the quota used up");
	if (c == BTN_BATCH)
		MUST(err != -EDQUOT, "Q4: batch rejected");
	if (err) {
		drop_task(t);
		free(r);
	} else {
		n->alive++;
		n->admitted++;
		S.requests++;
	}
	follow(&out);
}

static void arrive(struct sten *n)
{
	unsigned i;

	for (i = 0; i < n->burst && n->alive < n->max_alive; i++)
		submit(n);
	at(&n->arrive, S.now + between(1, 2 * n->period));
}

static void arrive_as_recorded(void)
{
	struct btn_shard_out out = { 0 };
	struct arrival *a = S.script++;
	struct sreq *r = calloc(1, sizeof(*r));
	struct stask *t;

	CHECK(r);
	r->ten = &S.ten[a->ten];
	r->r.tenant = r->ten->t;
	r->r.r.class = a->class;
	r->r.r.info.arrival = S.now;
	r->r.r.deadline = BTN_NEVER;
	t = new_task(r, true);
	t->left = a->work;
	t->gap = a->gap;
	t->script = a;
	MUST(!btn_shards_submit(&S.s, &out, S.now, -1, &r->r, &t->t), "a request is not admitted");
	r->ten->alive++;
	r->ten->admitted++;
	S.requests++;
	follow(&out);
	if (S.script < S.script_end)
		at(&S.script_event, S.now + S.script->after);
}

/* ------------------------------------------------------------ changes */

static void open_slots(unsigned n)
{
	unsigned i, before = S.open;

	S.open = n;
	btn_shards_open(&S.s, n);
	for (i = before; i < n; i++)
		if (!S.slot[i].task && !S.slot[i].woken) {
			S.slot[i].woken = true;
			at(&S.slot[i].event, S.now + rnd() % (S.max_wake + 1));
		}
}

static void set_quota(struct sten *n, uint64_t low, uint64_t high)
{
	struct btn_shard_out out = { 0 };
	uint64_t sold = 0;
	unsigned i;
	int err;

	for (i = 0; i < S.tens; i++)
		sold += &S.ten[i] == n ? low : S.ten[i].low;
	err = btn_shards_tenant_set(&S.s, &out, n->t, low, high, S.now);
	MUST(!err == (sold <= S.s.low_limit || low <= n->low), "Q6: sold %" PRIu64 " of %" PRIu64 ", %d", sold,
	     S.s.low_limit, err);
	if (!err) {
		n->low = low;
		n->high = high;
		if (n->ref[BTN_LOW].quota < low)
			n->ref[BTN_LOW].quota = low;
		if (n->ref[BTN_HIGH].quota < high)
			n->ref[BTN_HIGH].quota = high;
	}
	follow(&out);
}

static void change(void)
{
	struct btn_shard_out out = { 0 };
	struct sten *n = &S.ten[rnd() % S.tens];
	struct stask *t = S.all.next;
	unsigned i;

	switch (rnd() % 4) {
	case 0:
		open_slots(between(1, S.s.slots));
		break;
	case 1:
		for (i = S.tasks_alive ? rnd() % S.tasks_alive : 0; i; i--)
			t = t->next;
		/* A request that is still in an inbox, too. */
		if (t != &S.all)
			btn_shards_cancel(&S.s, &out, S.now, &t->req->r, -ECANCELED);
		follow(&out);
		break;
	default:
		set_quota(n, rnd() % 4 ? between(0, S.capacity / 5) : 0, between(S.capacity / 100, S.capacity / 2));
	}
	at(&S.change, S.now + between(10 * MS, 200 * MS));
}

/* ------------------------------------------------------------ steps */

/* No slot sleeps while a task waits that may run: unless a slot was woken, and hands on what it leaves. */
static void check_conserved(void)
{
	bool sleeps = false;
	unsigned i;

	for (i = 0; i < S.s.slots; i++) {
		/* A slot that was closed since hands on, too. */
		if (S.slot[i].woken)
			return;
		sleeps |= i < S.open && !S.slot[i].task;
	}
	for (i = 0; sleeps && i < S.s.shards; i++)
		MUST(btn_ready_look(&S.s.shard[i].ready) == BTN_READY_NONE, "a slot sleeps, and shard %u has a task", i);
}

/*
 * No shard holds a tenant back while its fund can pay: a post is on its way there, or its time comes, which is
 * at most one entry of the account's log away (fund.h, Refused).
 */
static void check_told(void)
{
	struct sten *n = &S.ten[rnd() % S.tens];
	unsigned tier = rnd() % 2, i;

	if (!n->t || !btn_fund_can_pay(&n->t->fund[tier], S.now))
		return;
	for (i = 0; i < S.s.shards; i++) {
		const struct btn_shard_part *p = &n->t->part[i];

		if (!p->t->acct[tier].quota || !p->t->throttled || atomic_load_explicit(&p->post.posted, memory_order_acquire)) /* [FUND-2] */
			continue;
		MUST(btn_account_owes_until(&p->t->acct[tier]) <= S.now + BTN_SPAN, "shard %u waits %" PRIu64 " ns for quota that is there",
		     i, btn_account_owes_until(&p->t->acct[tier]) - S.now);
	}
}

static void step(void)
{
	struct btn_heap_node *e = S.events.top;
	struct btn_shard_out out = { 0 };
	unsigned i;

	S.now = e->key;
	btn_heap_del(&S.events, e);
	if (e == &S.change) {
		change();
	} else if (e == &S.script_event) {
		arrive_as_recorded();
	} else if (e >= S.tick && e < S.tick + SLOTS) {
		btn_shards_tick(&S.s, &out, S.now, (unsigned)(e - S.tick));
		follow(&out);
	} else if ((char *)e >= (char *)S.slot && (char *)e < (char *)(S.slot + SLOTS)) {
		i = (unsigned)(btn_container(e, struct slot, event) - S.slot);
		if (!S.slot[i].task) {
			pick(i);
		} else if (S.slot[i].why != BTN_STOP_YIELD || S.now >= btn_shards_run(&S.s, i)->start + btn_shards_run(&S.s, i)->slice) {
			stopped(i);
		} else {
			bool stop = btn_shards_checkpoint(&S.s, &out, S.now, i);

			S.slot[i].flagged = false;
			follow(&out);
			if (stop)
				stopped(i);
			else
				plan_stop(i, false);
		}
	} else if ((char *)e >= (char *)S.ten && (char *)e < (char *)(S.ten + S.tens)) {
		arrive(btn_container(e, struct sten, arrive));
	} else {
		btn_shards_ready(&S.s, &out, &btn_container(e, struct stask, wake)->t);
		follow(&out);
	}
	for (i = 0; i < S.s.slots; i++)
		if (S.slot[i].task && !S.slot[i].flagged && atomic_load_explicit(&S.s.slot[i].flags, memory_order_relaxed)) { /* [SLOT-1] */
			S.slot[i].flagged = true;
			plan_stop(i, true);
		}
	for (i = 0; i < S.s.shards; i++)
		if ((btn_heap_has(&S.tick[i]) ? S.tick[i].key : BTN_NEVER) != btn_shards_next(&S.s, i))
			at(&S.tick[i], btn_shards_next(&S.s, i) > S.now ? btn_shards_next(&S.s, i) : S.now);
	check_conserved();
	if (rnd() % 8 == 0)
		check_told();
}

static void begin(unsigned slots, unsigned shards, const struct btn_tier_setup *tiers, unsigned n_tiers, unsigned tens,
		  uint64_t length)
{
	unsigned i;

	memset(&S, 0, sizeof(S));
	S.all.next = S.all.prev = &S.all;
	S.now = rnd() % (5 * BTN_SECOND);
	S.end = S.now + length;
	S.max_wake = 20 * US;
	S.capacity = slots * BTN_SECOND;
	CHECK_EQ(btn_shards_init(&S.s, slots, shards, tiers, n_tiers, S.capacity / 10 * 7), 0);
	S.open = slots;
	S.ten = calloc(tens, sizeof(*S.ten));
	CHECK(S.ten);
	S.tens = tens;
	for (i = 0; i < n_tiers; i++)
		S.tier_ref[i].quota = S.s.tier_fund[i].acct.quota;
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];

		n->burst = 1;
		n->period = 10 * MS;
		n->work = 2 * MS;
		n->gap = 20 * US;
		n->max_alive = 64;
		n->class_mask = 1 << BTN_BATCH;
		n->tier = 2;
	}
	/* Every slot looks once, and sleeps. */
	for (i = 0; i < slots; i++)
		pick(i);
}

static void open_tenants(void)
{
	unsigned i;

	for (i = 0; i < S.tens; i++) {
		struct sten *n = &S.ten[i];

		CHECK_EQ(btn_shards_tenant(&S.s, &n->t, n->low, n->high, S.now), 0);
		n->ref[BTN_LOW].quota = n->low;
		n->ref[BTN_HIGH].quota = n->high;
		at(&n->arrive, S.now + 1 + rnd() % n->period);
	}
	if (S.changes)
		at(&S.change, S.now + 10 * MS);
}

static void run_until_end(void)
{
	while (S.events.top && S.events.top->key < S.end)
		step();
}

/* Nobody asks for more; everything that was admitted ends (Q16), and all leases come back. */
static void finish(void)
{
	uint64_t limit, cpu = 0, sum = 0, k, i;
	struct stask *t;

	S.draining = true;
	for (t = S.all.next; t != &S.all; t = t->next)
		if (t->t.t.state != BTN_TASK_RUNNING && t->left > MS)
			t->left = MS;
	at(&S.change, BTN_NEVER);
	open_slots(S.s.slots);
	for (i = 0; i < S.tens; i++) {
		at(&S.ten[i].arrive, BTN_NEVER);
		set_quota(&S.ten[i], S.ten[i].low / 2, S.capacity);
		btn_shards_tenant_leave(&S.s, S.ten[i].t, S.now);
	}
	limit = S.now + 1000 * BTN_SECOND;
	while (S.events.top && S.events.top->key < limit)
		step();
	MUST(!S.requests && !S.tasks_alive, "Q16: %" PRIu64 " requests were lost", S.requests);
	for (i = 0; i < S.tens; i++) {
		struct sten *n = &S.ten[i];

		MUST(n->admitted == n->ended, "Q16: admitted %" PRIu64 ", ended %" PRIu64, n->admitted, n->ended);
		cpu += n->cpu;
		for (k = 0; k < 2; k++) {
			MUST(!n->t->fund[k].acct.reserved && !n->t->fund[k].acct.running, "a lease did not come back");
			MUST(n->t->fund[k].acct.total == n->ref[k].total, "the fund recorded %" PRIu64 ", used was %" PRIu64,
			     n->t->fund[k].acct.total, n->ref[k].total);
			free(n->ref[k].rec);
		}
		CHECK_EQ(btn_shards_tenant_free(&S.s, n->t, S.now), 0);
	}
	for (k = 0; k < S.s.tiers; k++) {
		sum += S.tier_ref[k].total;
		free(S.tier_ref[k].rec);
	}
	MUST(sum == cpu, "CPU of tiers and tenants");
	MUST(!S.s.low_sold, "Q6: low quota left over");
	btn_shards_fini(&S.s);
	free(S.ten);
	memset(&S, 0, sizeof(S));
}

/* ------------------------------------------------------------ scenarios */

#define Q(POLICY) { .policy = &btn_policy_##POLICY, .share = 1 }

static const struct btn_policy *random_policy(void)
{
	static const struct btn_policy *const p[] = { &btn_policy_fifo, &btn_policy_lifo, &btn_policy_rr,
						      &btn_policy_arrival, &btn_policy_quota };
	return p[rnd() % 5];
}

static unsigned any_shards(unsigned *per)
{
	*per = rnd() % 4 ? 1 : between(1, 4);
	return rnd() % 4 ? between(1, 6) : between(1, SLOTS / *per);
}

/* Anybody does anything. */
static void mixed(void)
{
	struct btn_tier_setup tiers[4] = { Q(quota), Q(quota), Q(arrival), Q(fifo) };
	unsigned per, shards = any_shards(&per), slots = shards * per, i, tens = between(1, 12);

	if (rnd() % 2)
		for (i = 0; i < 4; i++)
			tiers[i].policy = random_policy();
	tiers[1].rank = 1;
	tiers[2].rank = rnd() % 3;
	tiers[3].rank = 2;
	tiers[2].reserve = rnd() % 2 ? slots * BTN_SECOND / 20 : 0;
	tiers[3].limit = rnd() % 2 ? slots * BTN_SECOND / 10 : 0;
	tiers[3].share = 3;
	begin(slots, shards, tiers, 4, tens, between(200, 1200) * MS);
	S.naive = true;
	S.changes = true;
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];

		n->low = between(0, S.s.low_limit / tens);
		n->high = between(S.capacity / 100, S.capacity);
		n->class_mask = between(1, 15);
		n->tier = between(2, 3);
		n->period = between(100 * US, 40 * MS);
		n->burst = rnd() % 3 ? 1 : between(1, 40);
		n->work = between(1, rnd() % 4 ? 2 * MS : 50 * MS);
		n->gap = between(1, rnd() % 4 ? 50 * US : 5 * MS);
		n->max_alive = between(1, 40);
		n->spawn = rnd() % 3 ? 0 : 5;
		n->block = rnd() % 2 ? 0 : 40;
		n->deadline = rnd() % 2;
		n->extern_calls = rnd() % 4 == 0;
		n->inside = rnd() % 2;
	}
	open_tenants();
	run_until_end();
	finish();
}

/* Q2: everybody wants more than was sold, and everything that was sold is there. */
static void saturated(void)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	unsigned shards = rnd() % 2 ? between(1, 4) : between(1, 16), i, tens = rnd() % 2 ? 1 : between(2, 8);
	uint64_t first, last, s, sum, quota;

	tiers[1].rank = 1;
	begin(shards, shards, tiers, 2, tens, 5 * BTN_SECOND);
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];

		n->low = S.s.low_limit / (tens + 1);
		n->class_mask = 1 << (rnd() % 2);
		n->period = between(200 * US, 500 * US);
		n->burst = 2 * shards;
		n->max_alive = 4 * shards;
		n->work = between(2 * MS, 20 * MS);
		n->gap = between(1 * US, 50 * US);
	}
	open_tenants();
	first = S.now / BTN_SECOND + 2;
	run_until_end();
	last = S.end / BTN_SECOND;
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];

		quota = n->low;
		for (sum = 0, s = first; s < last; s++) {
			sum += n->ref[BTN_LOW].second[s];
			MUST(n->ref[BTN_LOW].second[s] + quota / 100 + shards * 2 * MS >= quota,
			     "Q2: tenant %u got %" PRIu64 " of %" PRIu64 " in a second", i, n->ref[BTN_LOW].second[s], quota);
		}
		MUST(sum + shards * 2 * MS >= (last - first) * quota / 100 * 99,
		     "Q2: tenant %u got %" PRIu64 " of %" PRIu64 " in each of %" PRIu64 " seconds", i, sum / (last - first), quota,
		     last - first);
	}
	finish();
}

/*
 * The same arrivals with one core that has all slots, and with a shard for each slot: no work is lost, and
 * tasks wait as long, but for the lead and the leases, of a slice of 2 ms each, that shard.h states (Order).
 */
static void recorded(void)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	enum { TENS = 6, ARRIVALS = 1500 };
	static struct arrival script[ARRIVALS];
	unsigned slots = between(2, 8), i, which;
	uint64_t mean = between(200 * US, 2 * MS), load = between(60, 105), low[TENS], high[TENS], seed = rnd();
	uint64_t began, took[2], wait[2][TENS] = { { 0 } }, count[TENS] = { 0 };

	tiers[1].rank = 1;
	if (rnd() % 2)
		tiers[1].policy = &btn_policy_arrival;
	for (i = 0; i < TENS; i++) {
		low[i] = slots * BTN_SECOND / 10;
		high[i] = slots * BTN_SECOND;
	}
	for (i = 0; i < ARRIVALS; i++) {
		struct arrival *a = &script[i];

		a->ten = rnd() % TENS;
		a->class = a->ten < 3 ? BTN_TOLERANT : BTN_BATCH;
		a->work = between(mean / 4, mean * 7 / 4);
		a->gap = between(10 * US, 50 * US);
		a->after = between(0, 2 * mean * 100 / load / slots);
		count[a->ten]++;
	}
	for (which = 0; which < 2; which++) {
		rng = seed;
		begin(slots, which ? slots : 1, tiers, 2, TENS, BTN_NEVER / 2);
		S.which = which;
		for (i = 0; i < TENS; i++) {
			S.ten[i].low = low[i];
			S.ten[i].high = high[i];
		}
		open_tenants();
		for (i = 0; i < TENS; i++)
			at(&S.ten[i].arrive, BTN_NEVER);
		S.script = script;
		S.script_end = script + ARRIVALS;
		began = S.now;
		at(&S.script_event, S.now + script->after);
		while (S.script < S.script_end || S.requests)
			step();
		took[which] = S.last_end - began;
		for (i = 0; i < ARRIVALS; i++)
			wait[which][script[i].ten] += script[i].wait[which];
		finish();
	}
	MUST(took[1] <= took[0] + BTN_SHARD_LEAD + 2 * mean, "one core took %" PRIu64 " ns, shards %" PRIu64, took[0], took[1]);
	for (i = 0; i < TENS; i++)
		MUST(wait[1][i] <= wait[0][i] * 11 / 10 + count[i] * (BTN_SHARD_LEAD + (slots - 1) * 2 * MS),
		     "tenant %u waited %" PRIu64 " ns, with one core %" PRIu64, i, wait[1][i] / count[i], wait[0][i] / count[i]);
}

static const struct scenario scenarios[] = { { "mixed", mixed, 1 }, { "saturated", saturated, 10 }, { "recorded", recorded, 3 } };

#ifndef SHARDS_SEEDS
#define SHARDS_SEEDS 10
#endif
static uint64_t seeds = SHARDS_SEEDS;

TEST(mixed) { run_seeds(&scenarios[0], seeds); }
TEST(saturated) { run_seeds(&scenarios[1], seeds); }
TEST(recorded) { run_seeds(&scenarios[2], seeds); }

int main(int argc, char **argv)
{
	return scenario_main(scenarios, sizeof(scenarios) / sizeof(*scenarios), &seeds, argc, argv);
}
