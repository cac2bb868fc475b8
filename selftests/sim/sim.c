// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The scheduler's decisions under a virtual clock: the same core.c, ledger.c
 * and policy_*.c that threads use, driven from a seed by tenants that do what
 * they like, and beside it a naive model of what was promised, which keeps
 * every run of every task and checks each clause at each step.
 *
 *	sim [SEEDS]		so many seeds of each scenario
 *	sim -s SCENARIO SEED	one of them again, as a failure prints it
 *
 * A run costs its wall time in CPU here: what it means to be preempted by the
 * kernel is for the tests with threads.
 */
#define SCENARIO_PROGRAM "sim"
#include "scenario.h"
#include "core/core.h"
#include "core/flow.h"
#include "core/run.h"
#include "core/setup.h"

#include <errno.h>

#define MS 1000000ULL
#define US 1000ULL

/* The use of one account, kept naively. */
struct run_rec {
	uint64_t start, end;
};
struct ref {
	struct run_rec *rec;
	size_t first, n, capacity;
	uint64_t longest, total;
	uint64_t quota;		/* in force at the last slice */
	uint64_t over;		/* past their slices, runs that ended since then */
	uint64_t since;		/* use before this time counts for nothing */
	uint64_t second[64];	/* use in each aligned second */
};

struct stask {
	struct btn_task t;
	struct btn_heap_node wake;
	struct sreq *req;
	struct stask *prev, *next;	/* all there are */
	uint64_t left, progress, gap;
	uint64_t block_in;		/* progress at which it blocks; 0: never */
	uint64_t cpu;
	unsigned spawn;			/* tasks it starts at its first checkpoint */
	/* From one progress to another it holds a lock. */
	struct section {
		unsigned lock;
		uint64_t from, to;
		enum { BEFORE, WAITS, HAS, AFTER } state;
	} section[2];
	unsigned sections;
	bool begun;
	struct stask *next_waiter;
};

struct slock {
	struct btn_resource res;
	struct stask *holder, *first;	/* tasks that wait, first come, first served */
	struct stask *woken;		/* to take it, if another did not meanwhile: the lock was left free */
	bool strict;			/* the first one was passed by: it is handed over */
};

struct sreq {
	struct btn_request r;
	struct sten *ten;
	unsigned tasks;
	uint64_t cpu, extern_cpu;
	bool started;
};

struct sten {
	struct btn_tenant *t;
	struct btn_heap_node arrive;
	struct ref ref[2];
	uint64_t low, high;
	/* The tenant's behaviour. */
	uint64_t period, work, gap;
	unsigned burst, class_mask, tier, max_alive, spawn, block;
	bool deadline, extern_calls, poisson;
	uint64_t lock_percent;		/* part of its tasks that have critical sections */
	bool lock_whole;		/* these are as long as the task */
	unsigned requests_max, workers_max, workers;
	unsigned alive;
	uint64_t worst_wait, worst_done, admitted, ended;
	uint64_t cpu;
};

struct slot {
	struct btn_heap_node stop;
	struct stask *task;
	enum btn_stop why;
	bool section;			/* a critical section begins or ends, before it stops */
	uint64_t resched_at;
	/* Where another pays for the run, until it wants it back. */
	struct sten *lender;
	uint64_t reserved;
	unsigned tier;
	bool accounted;
};

static struct {
	struct btn_core c;
	uint64_t now, end;
	struct btn_heap events;
	struct btn_heap_node tick, change;
	struct slot slot[16];
	struct sten *ten;
	unsigned tens;
	struct stask all;		/* list head */
	struct ref tier_ref[BTN_TIERS_MAX];
	uint64_t requests, tasks_alive, max_gap;
	bool naive;			/* few enough for checks that scan */
	bool changes, draining, late;	/* late: timers come late */
	bool reloads;
	struct btn_tier_setup tier[BTN_TIERS_MAX];
	struct slock lock[4];
	unsigned locks;
	uint64_t lent_runs, taken_back, woken, passed_by, followed, passed;
	uint64_t steps;
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

static void ref_add(struct ref *r, uint64_t start, uint64_t end)
{
	uint64_t s;

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
	if (end - start > r->longest)
		r->longest = end - start;
	for (s = start; s < end;) {
		uint64_t to = (s / BTN_SECOND + 1) * BTN_SECOND;

		if (to > end)
			to = end;
		if (s / BTN_SECOND < 64)
			r->second[s / BTN_SECOND] += to - s;
		s = to;
	}
}

/* Used within (from, now], by runs that ended. */
static uint64_t ref_ended(struct ref *r, uint64_t from)
{
	uint64_t sum = 0;
	size_t i;

	while (r->first < r->n && r->rec[r->first].end + BTN_SECOND / 10 <= from)
		r->first++;
	for (i = r->first; i < r->n; i++) {
		if (r->rec[i].end <= from)
			continue;
		sum += r->rec[i].end - (r->rec[i].start > from ? r->rec[i].start : from);
	}
	return sum;
}

/* Q2, Q13: the sliding second that ends now. */
static void check_window(struct ref *r, const struct btn_account *a)
{
	uint64_t from = S.now > BTN_SECOND ? S.now - BTN_SECOND : 0, used, over = r->over;
	unsigned i;

	if (from < r->since)
		from = r->since;

	/* The comparison takes as long as there are runs: then not each time. */
	if (rnd() % ((r->n - r->first) / 64 + 1))
		return;

	used = ref_ended(r, from);
	for (i = 0; i < S.c.slots_in_use; i++) {
		const struct btn_run *run = &S.c.run[i];
		uint64_t cpu, start;

		if (!run->task || (run->acct != a && &run->tier->acct != a))
			continue;
		start = run->start + run->settled;
		cpu = S.now - (start > from ? start : from);
		used += cpu;
		/* The run's tier had no limit when it began, and knows nothing of it. */
		if (run->acct != a && !run->accounted)
			over += cpu;
		else if (S.now - start > run->slice)
			over += S.now - start - run->slice;
	}
	MUST(used <= r->quota + over, "Q2: used %" PRIu64 " in the last second, quota %" PRIu64
	     " and %" PRIu64 " past slices", used, r->quota, over);
}

static struct sten *ten_of(const struct stask *t)
{
	return t->req->ten;
}

/* The tenant that pays for a run. */
static struct sten *payer_of(const struct btn_run *run)
{
	const struct btn_task *t = run->lender ? run->lender : run->task;

	return ten_of(btn_container(t, struct stask, t));
}

/* A section, or two: the locks are taken in one order, and let go in any. */
static void plan_sections(struct stask *t)
{
	struct section *a = &t->section[0], *b = &t->section[1];

	a->lock = rnd() % S.locks;
	a->from = between(0, t->left);
	a->to = between(a->from, t->left);
	t->sections = 1;
	if (t->req->ten->lock_whole) {
		a->from = 0;
		a->to = t->left;
	}
	if (rnd() % 2 || a->lock + 1 == S.locks)
		return;
	b->lock = between(a->lock + 1, S.locks - 1);
	b->from = between(a->from, t->left);
	b->to = between(b->from, t->left);
	t->sections = 2;
}

static void new_task(struct sreq *r, bool first)
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
	if (n->lock_percent && rnd() % 100 < n->lock_percent)
		plan_sections(t);
	t->next = S.all.next;
	t->prev = &S.all;
	t->next->prev = t->prev->next = t;
	r->tasks++;
	S.tasks_alive++;
	if (!first)
		btn_core_spawn(&S.c, S.now, &r->r, &t->t);
	else
		r->r.first = &t->t;
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

static enum btn_class pick_class(unsigned mask)
{
	unsigned c;

	do
		c = rnd() % 4;
	while (!(mask & (1 << c)));
	return c;
}

static void submit(struct sten *n)
{
	struct sreq *r = calloc(1, sizeof(*r));
	struct btn_account *low = &n->t->acct[BTN_LOW];
	struct stask *t;
	uint64_t used, older;
	int err;

	CHECK(r);
	r->ten = n;
	r->r.tenant = n->t;
	r->r.class = pick_class(n->class_mask);
	r->r.tier = n->tier;
	r->r.info.arrival = S.now;
	/* Some come from elsewhere and arrived there earlier. */
	if (rnd() % 8 == 0)
		r->r.info.arrival -= between(0, S.now < MS ? S.now : MS);
	r->r.deadline = BTN_NEVER;
	if (n->deadline && rnd() % 2)
		r->r.deadline = r->r.info.arrival + between(5 * MS, 300 * MS);
	new_task(r, true);
	t = btn_container(r->r.first, struct stask, t);
	used = 0;
	older = n->low;
	if (rnd() % ((n->ref[BTN_LOW].n - n->ref[BTN_LOW].first) / 64 + 1) == 0) {
		used = ref_ended(&n->ref[BTN_LOW], S.now > BTN_SECOND ? S.now - BTN_SECOND : 0);
		older = S.now > BTN_SECOND + 2 * BTN_SPAN ? S.now - BTN_SECOND - 2 * BTN_SPAN : 0;
		older = ref_ended(&n->ref[BTN_LOW], older);
	}
	err = btn_core_submit(&S.c, S.now, &r->r, &t->t);
	MUST((err == -EAGAIN) == (n->requests_max && n->alive >= n->requests_max && !S.draining), "%u requests in flight of %u", n->alive,
	     n->requests_max);
	if (err == -EAGAIN) {
		drop_task(t);
		free(r);
		return;
	}
	if (r->r.deadline < r->r.info.arrival + 10 * MS) {
		MUST(err, "Q9: a deadline below 10 ms");
	} else if (r->r.class == BTN_CRITICAL && err != -ESHUTDOWN) {
		MUST(err == -EDQUOT || used < n->low, "Q3: critical admitted with the quota used up");
		MUST(err != -EDQUOT || older + low->min + 64 > n->low || n->low < 2 * low->min || n->extern_calls || S.changes,
		     "Q3: critical rejected with %" PRIu64 " used of %" PRIu64, older, n->low);
	} else if (r->r.class == BTN_BATCH) {
		MUST(err != -EDQUOT || !n->high, "Q4: batch rejected");
	}
	if (err) {
		drop_task(t);
		free(r);
		return;
	}
	n->alive++;
	n->admitted++;
	S.requests++;
}

static void arrive(struct sten *n)
{
	unsigned i;

	if (S.draining)
		return;
	for (i = 0; i < n->burst && n->alive < n->max_alive; i++)
		submit(n);
	at(&n->arrive, S.now + (n->poisson ? between(1, 2 * n->period) : n->period));
}

static void request_done(struct btn_request *br)
{
	struct sreq *r = btn_container(br, struct sreq, r);
	struct sten *n = r->ten;

	if (br->first) {	/* never started */
		MUST(br->result, "a request that did not run has a result of 0");
		MUST(br->cpu == r->extern_cpu, "Q9: dropped, but it ran");
		MUST(br->result != -ETIME || S.now >= br->deadline, "Q9: dropped too early");
		MUST(r->r.class != BTN_BATCH || br->result != -EDQUOT, "Q4: batch rejected");
		drop_task(btn_container(br->first, struct stask, t));
	}
	MUST(br->cpu == r->cpu + r->extern_cpu, "Q10: charged %" PRIu64 ", ran %" PRIu64,
	     br->cpu, r->cpu);
	MUST(!r->tasks, "ended with %u tasks", r->tasks);
	if (!br->result && S.now - br->info.arrival > n->worst_done)
		n->worst_done = S.now - br->info.arrival;
	n->alive--;
	n->ended++;
	S.requests--;
	free(r);
}

/* When the task in this slot stops, and why, if need_resched is not set any more. */
static void plan_stop(unsigned i)
{
	struct slot *s = &S.slot[i];
	struct btn_run *run = &S.c.run[i];
	struct stask *t = s->task;
	uint64_t here = t->progress, end = here + t->left, stop, ask, point;
	unsigned k;

	/* Progress at which somebody wants it to stop ... */
	ask = here + run->settled + run->slice;
	if (s->resched_at != BTN_NEVER && here + (s->resched_at - run->start) < ask)
		ask = here + (s->resched_at - run->start);
	/* ... and the next checkpoint from there. */
	if (ask < here + (S.now - run->start))
		ask = here + (S.now - run->start);
	stop = (ask + t->gap - 1) / t->gap * t->gap;
	if (stop <= here)
		stop = here + t->gap;
	s->why = BTN_STOP_YIELD;
	if (t->block_in && t->block_in <= stop && t->block_in > here) {
		stop = t->block_in;
		s->why = BTN_STOP_BLOCK;
	}
	if (end <= stop) {
		stop = end;
		s->why = BTN_STOP_END;
	}
	s->section = false;
	for (k = 0; k < t->sections; k++) {
		const struct section *c = &t->section[k];

		if (c->state != BEFORE && c->state != HAS)
			continue;
		point = c->state == BEFORE ? c->from : c->to;
		if (point < here + (S.now - run->start))
			point = here + (S.now - run->start);
		if (point > stop)
			continue;
		stop = point;
		s->section = true;
	}
	at(&s->stop, run->start + (stop - here));
}

/* Q12, Q14: is this really the first, looking at all there are? */
static void check_order(unsigned slot)
{
	struct btn_run *run = &S.c.run[slot];
	struct btn_task *t = run->lender ? run->lender : run->task;
	const char *policy = run->tier->policy->name;
	struct stask *o;

	for (o = S.all.next; o != &S.all; o = o->next) {
		struct btn_request *r = o->t.req;
		struct btn_flow *f;
		bool same;

		if (&o->t == t || &o->t == run->task || !r || o->t.state != BTN_TASK_READY || r->done)
			continue;
		/* A fresh critical request's flow changes when it starts. */
		f = &r->tenant->flow[r->class == BTN_CRITICAL ? (r->started ? BTN_FLOW_CRITICAL : BTN_FLOW_FRESH) :
				      r->class == BTN_INTERNAL ? BTN_FLOW_TIERS + r->tier - 2u : BTN_FLOW_TOLERANT + (r->class == BTN_BATCH)];
		if (f->throttled || f->tier != run->tier)
			continue;
		/* Between tiers of unlike policies, each keeps its own. */
		if (f->order != run->tier->policy || run->flow->order != run->tier->policy)
			continue;
		if (f->acct && (f->acct == run->acct || btn_account_left(f->acct, S.now) < f->acct->min))
			same = f == run->flow;
		else
			same = true;	/* nothing but the order kept it back */
		if (!same)
			continue;
		if (!strcmp(policy, "fifo"))
			MUST(t->seq < o->t.seq, "Q14: fifo");
		else if (!strcmp(policy, "lifo"))
			MUST(t->seq > o->t.seq, "Q14: lifo");
		else if (!strcmp(policy, "arrival"))
			MUST(t->info->arrival <= r->info.arrival, "Q12, Q14: arrival");
		else if (!strcmp(policy, "rr"))
			MUST(f == run->flow ? t->seq < o->t.seq : true, "Q14: rr within a tenant");
		else if (f == run->flow)
			MUST(t->info->arrival <= r->info.arrival, "Q12: quota");
		else if (f->acct && run->acct && !run->tier->oversold)
			MUST(run->key <= (f->acct->tag > r->info.arrival ? f->acct->tag : r->info.arrival),
			     "Q15: quota, eligible time");
	}
}

static void started(unsigned slot)
{
	struct btn_run *run = &S.c.run[slot];
	struct stask *t = btn_container(run->task, struct stask, t);
	struct btn_request *r = run->lender ? run->lender->req : t->t.req;
	struct sten *n = payer_of(run);
	struct ref *ref;
	unsigned k;

	MUST(!run->lender || run->lender->state == BTN_TASK_BLOCKED, "lent by a task that does not wait");
	S.slot[slot].lender = run->lender ? n : NULL;
	S.slot[slot].reserved = run->reserved;
	S.slot[slot].tier = run->tier->index;
	S.slot[slot].accounted = run->accounted;
	S.lent_runs += run->lender != NULL;
	S.slot[slot].task = t;
	S.slot[slot].resched_at = BTN_NEVER;
	MUST(slot < S.c.slots, "runs in slot %u of %u", slot, S.c.slots);
	MUST(!t->t.req->done, "runs after its end");
	if (!t->begun) {
		t->begun = true;
		MUST(!run->lender, "begins in another's place");
		MUST(!n->workers_max || n->workers < n->workers_max, "%u workers of %u", n->workers, n->workers_max);
		n->workers++;
		for (k = 0; k < S.c.tiers; k++)
			MUST(S.c.tier[k].rank >= run->tier->rank || S.c.workers >= S.c.workers_reserved, "took a reserved worker");
	}
	MUST(t->req->started || S.now < t->t.req->deadline, "Q9: started after its deadline");
	t->req->started = true;
	MUST(run->reserved > 0, "no slice");
	switch (r->class) {
	case BTN_CRITICAL:
		MUST(run->tier == &S.c.tier[BTN_LOW] || n->low < n->t->acct[BTN_LOW].min, "Q3: tier");
		break;
	case BTN_BATCH:
		MUST(run->tier == &S.c.tier[BTN_HIGH], "Q4: tier");
		break;
	case BTN_TOLERANT:
		/* At the very time from which there is some, the tick may come after the pick. */
		MUST(run->tier == &S.c.tier[BTN_LOW] || S.late || run->flow->timer.key == S.now ||
		     btn_account_left(&n->t->acct[BTN_LOW], S.now) < n->t->acct[BTN_LOW].min,
		     "Q5: high quota taken while there was low");
		break;
	default:
		MUST(run->tier == &S.c.tier[r->tier], "Q13: tier");
	}
	if (run->tier->sold) {
		MUST(run->acct == &n->t->acct[run->tier->index], "charged to somebody else");
		ref = &n->ref[run->tier->index];
		ref->quota = run->acct->quota;
		ref->over = 0;
	}
	ref = &S.tier_ref[run->tier->index];
	ref->quota = run->tier->acct.quota;
	ref->over = 0;
	if (!t->progress && S.now - t->t.ready_at > n->worst_wait)
		n->worst_wait = S.now - t->t.ready_at;
	if (S.naive)
		check_order(slot);
	plan_stop(slot);
}

/* A lender that does not wait any more paid for the runs until now. */
static void note_taken_back(void)
{
	unsigned i;

	for (i = 0; i < S.c.slots_in_use; i++) {
		struct slot *s = &S.slot[i];
		const struct btn_run *run = &S.c.run[i];
		struct ref *ref, *tref = &S.tier_ref[s->tier];
		uint64_t over;

		if (!s->task || !s->lender || run->lender)
			continue;
		MUST(run->settled == S.now - run->start, "paid %" PRIu64 " of %" PRIu64, run->settled, S.now - run->start);
		MUST(run->flow->tenant == ten_of(s->task)->t && !run->reserved, "does not pay itself");
		over = run->settled > s->reserved ? run->settled - s->reserved : 0;
		if (s->tier <= BTN_HIGH) {
			ref = &s->lender->ref[s->tier];
			ref_add(ref, run->start, S.now);
			ref->over += over;
		}
		ref_add(tref, run->start, S.now);
		tref->over += s->accounted ? over : run->settled;
		s->lender->cpu += run->settled;
		s->lender = NULL;
		S.taken_back++;
	}
}

static struct section *waiting_section(struct stask *t)
{
	unsigned k;

	for (k = 0; t->section[k].state != WAITS; k++)
		;
	return &t->section[k];
}

/* The first waiter gets the lock; or is woken, and the lock is free until it comes: sync.c. */
static void pass_on(struct slock *l)
{
	struct stask *next = l->first;

	l->holder = NULL;
	if (!next || l->woken)
		return;
	l->first = next->next_waiter;
	if (l->strict || rnd() % 2) {
		l->holder = next;
		waiting_section(next)->state = HAS;
	} else {
		l->woken = next;
		waiting_section(next)->state = BEFORE;
		S.woken++;
	}
	l->strict = false;
	at(&next->wake, BTN_NEVER);
	btn_core_wait_end(&S.c, S.now, &next->t);
	btn_core_hold(&S.c, S.now, &l->res, &next->t);
	btn_core_ready(&S.c, S.now, &next->t);
}

static void release(struct stask *t, struct section *c)
{
	struct slock *l = &S.lock[c->lock];

	MUST(l->holder == t, "lets go of what it does not hold");
	c->state = AFTER;
	pass_on(l);
}

/* The woken task does not take the lock after all. */
static void woken_for_nothing(struct slock *l)
{
	l->woken = NULL;
	if (l->holder)
		btn_core_hold(&S.c, S.now, &l->res, &l->holder->t);
	else
		pass_on(l);
}

static void release_all(struct stask *t)
{
	unsigned k;

	for (k = 0; k < t->sections; k++)
		if (t->section[k].state == HAS)
			release(t, &t->section[k]);
		else if (S.lock[t->section[k].lock].woken == t)
			woken_for_nothing(&S.lock[t->section[k].lock]);
}

/* The task's patience is at an end, and it does without the lock. */
static void wait_no_more(struct stask *t)
{
	struct stask **w;
	unsigned k;

	for (k = 0; k < t->sections; k++)
		if (t->section[k].state == WAITS) {
			for (w = &S.lock[t->section[k].lock].first; *w != t; w = &(*w)->next_waiter)
				;
			*w = t->next_waiter;
			t->section[k].state = AFTER;
		}
}

static bool waits_for_lock(const struct stask *t)
{
	return (t->sections && t->section[0].state == WAITS) || (t->sections > 1 && t->section[1].state == WAITS);
}

static void stopped(unsigned i)
{
	struct slot *s = &S.slot[i];
	struct stask *t = s->task;
	struct sreq *r = t->req;
	struct sten *n;
	enum btn_stop why = s->why;
	struct btn_run run;
	struct ref *tref;
	uint64_t cpu, over, own;

	if (why == BTN_STOP_END || (r->r.cancel_pending && why == BTN_STOP_YIELD))
		release_all(t);
	note_taken_back();
	run = S.c.run[i];
	n = payer_of(&run);
	tref = &S.tier_ref[run.tier->index];
	cpu = S.now - run.start;
	own = cpu - run.settled;
	over = own > run.slice ? own - run.slice : 0;
	run.start += run.settled;
	t->progress += cpu;
	t->left -= cpu;
	t->cpu += cpu;
	r->cpu += cpu;
	n->cpu += own;
	s->lender = NULL;
	S.max_gap = over > S.max_gap ? over : S.max_gap;
	MUST(over <= t->gap, "a task overran its slice by more than a checkpoint");
	/* The model first: the window must hold with this run still counted as running. */
	if (run.acct) {
		struct ref *ref = &n->ref[run.tier->index];

		check_window(ref, run.acct);
		ref_add(ref, run.start, S.now);
		ref->over += over;
	}
	check_window(tref, &run.tier->acct);
	ref_add(tref, run.start, S.now);
	tref->over += run.accounted ? over : own;
	/* Q9: told by now, and it does as it is told. */
	if (r->r.deadline < S.now && why == BTN_STOP_YIELD && !S.late && S.tick.key != S.now)
		MUST(r->r.cancel_pending, "Q9: not told at its checkpoint");
	if (r->r.cancel_pending && why == BTN_STOP_YIELD) {
		t->left = 0;
		why = BTN_STOP_END;
	}
	if (t->spawn && why != BTN_STOP_BLOCK) {
		for (; t->spawn; t->spawn--)
			new_task(r, false);
		if (r->ten->extern_calls && rnd() % 4 == 0) {
			uint64_t ext = between(1, MS);
			unsigned tier = r->r.class == BTN_BATCH ? BTN_HIGH : BTN_LOW;

			/* Q11: what a child call used comes back. */
			if (r->r.class == BTN_TOLERANT &&
			    btn_account_left(&r->ten->t->acct[BTN_LOW], S.now) < r->ten->t->acct[BTN_LOW].min)
				tier = BTN_HIGH;
			btn_core_charge(&S.c, S.now, &r->r, ext, false);
			r->extern_cpu += ext;
			if (r->r.class != BTN_INTERNAL) {
				/* Nobody was asked before: as an overrun. */
				ref_add(&r->ten->ref[tier], S.now > ext ? S.now - ext : 0, S.now);
				r->ten->ref[tier].over += ext;
			}
		}
	}
	s->task = NULL;
	if (why == BTN_STOP_BLOCK) {
		if (waits_for_lock(t)) {
			at(&t->wake, rnd() % 4 ? BTN_NEVER : S.now + between(1, 30 * MS));
		} else {
			t->block_in = 0;
			at(&t->wake, S.now + between(1, 30 * MS));
		}
	}
	/* Charged by time, and it was not running: as if nothing had been. */
	if (r->r.class == BTN_BATCH && rnd() % 16 == 0) {
		uint64_t idle = between(1, MS / 10);

		btn_core_charge(&S.c, S.now, &r->r, idle, true);
		btn_core_refund(&S.c, S.now, &r->r, -1, S.now > idle ? S.now - idle : 0, idle);
	}
	if (why == BTN_STOP_END && !S.naive && rnd() % 2 && btn_run_follower(&S.c, S.now, i)) {
		btn_run_follow(&S.c, S.now, i, btn_run_follower(&S.c, S.now, i), cpu, btn_hist_step(cpu));
		r->ten->workers--;
		drop_task(t);
		started(i);
		S.followed++;
		return;
	}
	if (why == BTN_STOP_BLOCK && !S.naive && rnd() % 2 && btn_run_next(&S.c, S.now, i)) {
		btn_core_pass(&S.c, S.now, i, btn_run_next(&S.c, S.now, i), cpu);
		started(i);
		S.passed++;
		return;
	}
	btn_core_stop(&S.c, S.now, i, cpu, why);
	if (why == BTN_STOP_END) {
		r->ten->workers--;
		btn_core_worker(&S.c, S.now);
		drop_task(t);
	}
	/* The same of somebody else, at a time that is nothing to him. */
	i = rnd() % S.c.slots_in_use;
	if (S.c.slots_in_use && S.c.run[i].task && S.c.run[i].acct) {
		check_window(&payer_of(&S.c.run[i])->ref[S.c.run[i].tier->index], S.c.run[i].acct);
	}
}

/* The task in this slot comes to the beginning or the end of a critical section. */
static void at_section(unsigned i)
{
	struct slot *s = &S.slot[i];
	struct stask *t = s->task, **w;
	uint64_t here = t->progress + (S.now - S.c.run[i].start);
	unsigned k;

	for (k = 0; k < t->sections; k++) {
		struct section *c = &t->section[k];
		struct slock *l = &S.lock[c->lock];

		if (c->state == HAS && here >= c->to)
			release(t, c);
		if (c->state != BEFORE || here < c->from)
			continue;
		if (!l->holder) {
			l->holder = t;
			c->state = HAS;
			S.passed_by += l->woken && l->woken != t;
			if (l->woken == t)
				l->woken = NULL;
			continue;
		}
		c->state = WAITS;
		w = &l->first;
		if (l->woken == t) {
			woken_for_nothing(l);
			l->strict = true;
		} else {
			while (*w)
				w = &(*w)->next_waiter;
		}
		t->next_waiter = *w;
		*w = t;
		btn_core_wait(&S.c, S.now, &t->t, &l->res, l->woken ? &l->woken->t : &l->holder->t);
		s->why = BTN_STOP_BLOCK;
		stopped(i);
		return;
	}
	note_taken_back();
	plan_stop(i);
}

static void dispatch(void)
{
	struct btn_request *r;
	uint64_t next;
	int slot;

	for (;;) {
		while ((r = btn_core_done(&S.c)))
			request_done(r);
		if (rnd() % 4 == 0)
			btn_core_prefer(&S.c, rnd() % S.c.slots_max);
		slot = btn_core_idle(&S.c);
		if (slot < 0 || !btn_core_pick(&S.c, S.now, slot))
			break;
		started(slot);
	}
	while ((r = btn_core_done(&S.c)))
		request_done(r);
	while ((slot = btn_core_next_resched(&S.c)) >= 0) {
		if (!S.slot[slot].task)
			continue;
		S.slot[slot].resched_at = S.now;
		plan_stop(slot);
	}
	next = btn_core_next(&S.c, S.now);
	if (S.late && next != BTN_NEVER && !btn_heap_has(&S.tick))
		at(&S.tick, (next > S.now ? next : S.now) + rnd() % (3 * MS));
	else if (!S.late)
		at(&S.tick, next);
}

static const struct btn_policy *random_policy(void)
{
	static const struct btn_policy *const p[] = { &btn_policy_fifo, &btn_policy_lifo, &btn_policy_rr,
						      &btn_policy_arrival, &btn_policy_quota };
	return p[rnd() % 5];
}

/* Another number of slots, another capacity, other tiers and another limit, as S.tier says. */
static void reload(unsigned slots, uint64_t capacity, uint64_t low_limit)
{
	uint64_t sold = 0;
	unsigned i;

	CHECK_EQ(btn_core_can_reshape(&S.c, slots, capacity, S.tier, low_limit), 0);
	for (i = 0; i < S.c.tiers; i++)
		if (!S.c.tier[i].accounted)
			S.tier_ref[i].since = S.now;
	for (i = 0; i < S.tens; i++)
		btn_core_tenant_lift(&S.c, S.ten[i].t, S.now);
	for (i = 0; i < S.c.tiers; i++)
		MUST(!btn_line_top(&S.c.tier[i].flows), "somebody still stands in tier %u", i);
	btn_core_reshape(&S.c, slots, capacity, S.tier, low_limit, S.now);
	for (i = 0; i < S.tens; i++) {
		btn_core_tenant_put(&S.c, S.ten[i].t, S.now);
		sold += S.ten[i].low;
	}
	/* As much as there is. */
	for (i = 0; i < S.tens && sold > low_limit; i++) {
		struct sten *n = &S.ten[i];

		if (n->low > low_limit / S.tens)
			n->low = low_limit / S.tens;
		CHECK_EQ(btn_core_tenant_set(&S.c, n->t, n->low, n->high, S.now), 0);
	}
}

static void random_reload(void)
{
	unsigned slots = between(1, S.c.slots_max), i;
	uint64_t capacity = slots * BTN_SECOND;

	if (rnd() % 2)
		capacity = between(capacity / 20, capacity);
	for (i = 0; i < S.c.tiers; i++) {
		struct btn_tier_setup *t = &S.tier[i];

		if (rnd() % 2)
			t->policy = random_policy();
		t->rank = rnd() % 2 ? t->rank : rnd() % 4;
		t->share = between(1, 4);
		t->reserve = i > 1 && rnd() % 2 ? capacity / 20 : 0;
		t->limit = i > 1 && rnd() % 2 ? capacity / 10 : 0;
	}
	reload(slots, capacity, capacity / 10 * between(1, 7));
	CHECK_EQ(btn_core_can_reshape(&S.c, S.c.slots_max + 1, BTN_SECOND, S.tier, 0), -ERANGE);
	CHECK_EQ(btn_core_can_reshape(&S.c, 0, 0, S.tier, 0), -EINVAL);
	CHECK_EQ(btn_core_can_reshape(&S.c, 1, 0, S.tier, 0), -EINVAL);
	CHECK_EQ(btn_core_can_reshape(&S.c, 1, BTN_SECOND + 1, S.tier, 0), -EINVAL);
	CHECK_EQ(btn_core_can_reshape(&S.c, 1, BTN_SECOND, S.tier, BTN_SECOND + 1), -EINVAL);
	CHECK_EQ(btn_core_can_reshape(&S.c, 2, BTN_SECOND / 2, S.tier, BTN_SECOND / 2 + 1), -EINVAL);
}

/* Q6, Q16: somebody buys or sells. */
static void change(void)
{
	struct sten *n = &S.ten[rnd() % S.tens];
	uint64_t low = between(0, S.c.capacity / 5), high = between(S.c.capacity / 100, S.c.capacity / 2);
	uint64_t sold = 0;
	unsigned i;
	int err;

	if (rnd() % 4 == 0)
		low = 0;
	for (i = 0; i < S.tens; i++)
		sold += &S.ten[i] == n ? low : S.ten[i].low;
	if (S.reloads && rnd() % 3 == 0) {
		random_reload();
		goto next;
	}
	err = btn_core_tenant_set(&S.c, n->t, low, high, S.now);
	MUST(!err == (sold <= S.c.low_limit || low <= n->low), "Q6: sold %" PRIu64 " of %" PRIu64 ", %d",
	     sold, S.c.low_limit, err);
	if (!err) {
		n->low = low;
		n->high = high;
	}
	if (rnd() % 2) {
		n->requests_max = rnd() % 4 ? 0 : between(1, 20);
		n->workers_max = rnd() % 4 ? 0 : between(1, 4);
		btn_core_tenant_limit(&S.c, n->t, n->requests_max, n->workers_max, S.now);
	}
next:
	if (!S.draining)
		at(&S.change, S.now + between(10 * MS, 200 * MS));
}

static void cancel_somebody(void)
{
	struct stask *t = S.all.next;
	unsigned i;

	if (!S.tasks_alive)
		return;
	for (i = rnd() % (S.tasks_alive < 50 ? S.tasks_alive : 50); i; i--)
		t = t->next;
	btn_core_cancel(&S.c, S.now, &t->req->r, -ECANCELED);
}

/* The watchdog's list has the flows that stand in tiers, and no other; and it is not late. */
static void check_waiting(void)
{
	const struct btn_flow *f;
	size_t listed = 0, standing = 0;
	static unsigned n;
	unsigned i, k;

	MUST(S.late || !S.c.waiting || S.c.waiting->waits_since + BTN_OVERDUE_NS >= S.now, "an overdue flow is not seen");
	/*
	 * The scenario's own random numbers stay what they are without this check. Of a hundred thousand tenants, this
	 * loop was four fifths of the scenario's time: a step pays for eight of them at most.
	 */
	if (n++ % (S.tens / 8 > 256 ? S.tens / 8 : 256))
		return;
	for (f = S.c.waiting; f; f = f->next_waiting) {
		MUST(!f->next_waiting || f->next_waiting->waits_since >= f->waits_since, "not in the order of waiting");
		listed++;
	}
	for (i = 0; i < S.tens; i++)
		for (k = 0; S.ten[i].t && k < BTN_FLOW_TIERS + S.c.tiers - 2; k++) {
			f = &S.ten[i].t->flow[k];
			standing += btn_heap_has(&f->node);
			MUST(!btn_heap_has(&f->node) == !f->prev_waiting, "tenant %u, flow %u", i, k);
		}
	MUST(listed == standing, "%zu flows of %zu", listed, standing);
}

static void step(void)
{
	struct btn_heap_node *e = S.events.top;
	unsigned i;

	S.now = e->key;
	S.steps++;
	btn_heap_del(&S.events, e);
	if (e == &S.tick) {
		btn_core_tick(&S.c, S.now);
	} else if (e == &S.change) {
		change();
		if (rnd() % 2)
			cancel_somebody();
	} else if ((char *)e >= (char *)S.slot && (char *)e < (char *)(S.slot + 16)) {
		i = btn_container(e, struct slot, stop) - S.slot;
		if (S.slot[i].section)
			at_section(i);
		else
			stopped(i);
	} else if ((char *)e >= (char *)S.ten && (char *)e < (char *)(S.ten + S.tens)) {
		arrive(btn_container(e, struct sten, arrive));
	} else {
		wait_no_more(btn_container(e, struct stask, wake));
		btn_core_ready(&S.c, S.now, &btn_container(e, struct stask, wake)->t);
	}
	note_taken_back();
	dispatch();
	check_waiting();
}

static void begin(unsigned slots, const struct btn_tier_setup *tiers, unsigned n_tiers,
		  uint64_t low_limit, unsigned tens, uint64_t end)
{
	unsigned i;

	memset(&S, 0, sizeof(S));
	S.all.next = S.all.prev = &S.all;
	/* Anywhere within a slice and a second. */
	S.now = rnd() % (5 * BTN_SECOND);
	S.end = S.now + end;
	memcpy(S.tier, tiers, n_tiers * sizeof(*tiers));
	CHECK_EQ(btn_core_init(&S.c, slots, 8, slots * BTN_SECOND, tiers, n_tiers, low_limit), 0);
	S.ten = calloc(tens, sizeof(*S.ten));
	CHECK(S.ten);
	S.tens = tens;
	S.c.workers = 1 << 20;
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
}

static void open_tenants(void)
{
	unsigned i;

	for (i = 0; i < S.tens; i++) {
		struct sten *n = &S.ten[i];
		int err = btn_core_tenant(&S.c, &n->t, n->low, n->high, S.now);

		CHECK_EQ(err, 0);
		btn_core_tenant_limit(&S.c, n->t, n->requests_max, n->workers_max, S.now);
		at(&n->arrive, S.now + 1 + (n->poisson ? rnd() % n->period : 0));
	}
	if (S.changes)
		at(&S.change, S.now + 10 * MS);
}

static void run_until_end(void)
{
	while (S.events.top && S.events.top->key < S.end)
		step();
}

/* Nobody asks for more; everything that was admitted ends (Q16). */
static void drain(void)
{
	struct stask *t;
	uint64_t limit;
	unsigned i;

	S.draining = true;
	for (t = S.all.next; t != &S.all; t = t->next)
		if (t->t.state != BTN_TASK_RUNNING && t->left > MS)
			t->left = MS;
	at(&S.change, BTN_NEVER);
	for (i = 0; i < S.tens; i++) {
		struct sten *n = &S.ten[i];

		at(&n->arrive, BTN_NEVER);
		MUST(n->t->requests == n->alive, "requests in flight");
		n->low /= 2;
		n->high = S.c.capacity;
		CHECK_EQ(btn_core_tenant_set(&S.c, n->t, n->low, n->high, S.now), 0);
		n->t->leaving = true;
	}
	dispatch();
	limit = S.now + 1000 * BTN_SECOND;
	while (S.requests && S.events.top && S.events.top->key < limit)
		step();
}

static void finish_all(void)
{
	uint64_t cpu = 0, sum;
	unsigned i, k;

	MUST(!S.requests && !S.tasks_alive, "Q16: %" PRIu64 " requests were lost", S.requests);
	for (i = 0; i < S.tens; i++) {
		struct sten *n = &S.ten[i];

		for (sum = 0, k = 0; k < S.c.tiers; k++)
			sum += n->t->stats->tier[k].cpu;
		MUST(sum >= n->cpu, "Q10: a tenant's CPU");
		for (sum = 0, k = 0; k < S.c.tiers; k++)
			sum += n->t->stats->tier[k].admitted;
		MUST(sum == n->admitted, "admitted");
		MUST(n->admitted == n->ended + n->alive, "Q16: admitted %" PRIu64 ", ended %" PRIu64,
		     n->admitted, n->ended);
		cpu += n->cpu;
		free(n->ref[0].rec);
		free(n->ref[1].rec);
	}
	for (k = 0, sum = 0; k < S.c.tiers; k++) {
		sum += S.tier_ref[k].total;
		free(S.tier_ref[k].rec);
	}
	MUST(sum == cpu, "CPU of tiers and tenants");
	for (i = 0; i < S.tens; i++)
		btn_core_tenant_free(&S.c, S.ten[i].t);
	MUST(S.c.low_sold == 0, "Q6: low quota left over");
	btn_core_fini(&S.c);
	free(S.ten);
	memset(&S, 0, sizeof(S));
}

/* ------------------------------------------------------------ scenarios */

#define Q(POLICY) { .policy = &btn_policy_##POLICY, .share = 1 }

/* Anybody does anything. */
static void mixed(void)
{
	struct btn_tier_setup tiers[4] = { Q(quota), Q(quota), Q(arrival), Q(fifo) };
	unsigned slots = between(1, 8), i, tens = between(1, 12);

	if (rnd() % 2)
		for (i = 0; i < 4; i++)
			tiers[i].policy = random_policy();
	tiers[1].rank = 1;
	tiers[2].rank = rnd() % 3;
	tiers[3].rank = 2;
	tiers[2].reserve = slots * BTN_SECOND / 20;
	tiers[3].limit = slots * BTN_SECOND / 10;
	tiers[3].share = 3;
	begin(slots, tiers, 4, slots * BTN_SECOND * 7 / 10, tens, between(500, 2500) * MS);
	S.naive = true;
	S.changes = true;
	S.reloads = rnd() % 2;
	if (rnd() % 4 == 0)
		S.c.workers = between(1, 4);
	S.c.workers_reserved = rnd() % 2 ? 0 : between(0, S.c.workers - 1);
	S.late = rnd() % 4 == 0;
	S.locks = rnd() % 2 ? between(1, 4) : 0;
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];

		n->low = between(0, S.c.low_limit / tens);
		n->high = between(S.c.capacity / 100, S.c.capacity);
		n->class_mask = between(1, 15);
		n->tier = between(2, 3);
		n->period = between(100 * US, 40 * MS);
		n->poisson = rnd() % 2;
		n->burst = rnd() % 3 ? 1 : between(1, 40);
		n->work = between(1, rnd() % 4 ? 2 * MS : 50 * MS);
		n->gap = between(1, rnd() % 4 ? 50 * US : 5 * MS);
		n->max_alive = between(1, 40);
		n->spawn = rnd() % 3 ? 0 : 5;
		n->block = rnd() % 2 ? 0 : 40;
		n->deadline = rnd() % 2;
		n->extern_calls = rnd() % 4 == 0;
		n->lock_percent = S.locks && rnd() % 4 ? between(10, 100) : 0;
		n->requests_max = rnd() % 4 ? 0 : between(1, 20);
		n->workers_max = rnd() % 4 ? 0 : between(1, 4);
	}
	open_tenants();
	run_until_end();
	drain();
	finish_all();
}

/* Q2: everybody wants more than was sold, and everything that was sold is there. */
static void saturated(void)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	unsigned slots = between(1, 4), i, tens = rnd() % 2 ? 1 : between(2, 12), k;
	uint64_t first, last, s, sum;

	tiers[1].rank = 1;
	begin(slots, tiers, 2, slots * BTN_SECOND * 7 / 10, tens, 7 * BTN_SECOND);
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];

		n->low = S.c.low_limit / (tens + 1);
		n->high = S.c.capacity / 4 / (tens + 1);
		n->low = between(n->low / 4, n->low);
		n->class_mask = 1 << (rnd() % 3);
		if (n->class_mask == 1 << BTN_BATCH)
			n->low = 0;
		else if (n->class_mask == 1 << BTN_CRITICAL || tens == 1)
			n->high = 0;
		n->period = between(100 * US, 500 * US);
		n->burst = 16;
		n->max_alive = 16;
		n->work = between(500 * US, 20 * MS);
		n->gap = between(1 * US, 50 * US);
	}
	open_tenants();
	first = S.now / BTN_SECOND + 2;
	run_until_end();
	last = S.end / BTN_SECOND;
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];
		uint64_t quota[2] = { n->low, n->high };

		for (k = 0; k < 2; k++) {
			if (!quota[k])
				continue;
			for (sum = 0, s = first; s < last; s++) {
				sum += n->ref[k].second[s];
				MUST(n->ref[k].second[s] + quota[k] / 100 + slots * S.c.slice_max >= quota[k],
				     "Q2: tenant %u got %" PRIu64 " of %" PRIu64 " in a second", i,
				     n->ref[k].second[s], quota[k]);
			}
			MUST(sum + slots * S.c.slice_max >= (last - first) * quota[k] / 100 * 99,
			     "Q2: tenant %u (class %u) got %" PRIu64 " of %" PRIu64 " in each of %" PRIu64 " seconds", i, n->class_mask,
			     sum / (last - first), quota[k], last - first);
		}
	}
	drain();
	finish_all();
}

/* CPU that a tenant's tasks used until S.now, also those that run. */
static uint64_t used_until_now(const struct sten *n)
{
	uint64_t cpu = n->cpu;
	unsigned i;

	for (i = 0; i < S.c.slots_in_use; i++)
		if (S.slot[i].task && ten_of(S.slot[i].task) == n)
			cpu += S.now - S.c.run[i].start;
	return cpu;
}

/* Q2, in every sliding second: what the ledger itself makes of a second, where nobody else has the CPUs. */
static void sliding(void)
{
	static const unsigned percent[5] = { 1, 5, 10, 20, 30 };
	static uint64_t used[5][9000];
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	unsigned slots = between(1, 4), i, x, points = 0, second = 1000;
	double worst = 0, lack;
	uint64_t next;

	tiers[1].rank = 1;
	begin(slots, tiers, 2, slots * BTN_SECOND * 7 / 10, 5, 9 * BTN_SECOND);
	for (i = 0; i < 5; i++) {
		struct sten *n = &S.ten[i];

		n->low = S.c.capacity / 100 * percent[i];
		n->class_mask = 1 << BTN_TOLERANT;
		n->burst = n->max_alive = 2 * slots;
		n->work = 100 * BTN_SECOND;
		n->gap = 1 * US;
	}
	open_tenants();
	for (next = S.now + MS; S.events.top && points < 9000; next += MS) {
		while (S.events.top && S.events.top->key < next)
			step();
		S.now = next;
		for (i = 0; i < 5; i++)
			used[i][points] = used_until_now(&S.ten[i]);
		points++;
	}
	for (x = second; x + second < points; x++)
		for (i = 0; i < 5; i++) {
			lack = 100 - 100 * (double)(used[i][x + second] - used[i][x]) / (double)S.ten[i].low;
			if (lack > worst)
				worst = lack;
		}
	MUST(worst <= 1.25, "Q2: a tenant got %.3f%% less than its quota in a sliding second", worst);
	drain();
	finish_all();
}

/* Q1, Q2: quotas are parts of the capacity, which is less than the slots' and another all the time. */
static void capacities(void)
{
	static const unsigned low[4] = { 30, 0, 0, 10 }, high[4] = { 0, 30, 20, 10 };
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	unsigned slots = between(1, 4), i, k, turn;
	uint64_t capacity, second, quota, got;

	tiers[1].rank = 1;
	begin(slots, tiers, 2, 0, 4, 64 * BTN_SECOND);
	for (i = 0; i < 4; i++) {
		struct sten *n = &S.ten[i];

		n->class_mask = 1 << (low[i] ? BTN_TOLERANT : BTN_BATCH);
		n->burst = n->max_alive = 4;
		n->work = 10 * BTN_SECOND;
		n->gap = between(1 * US, 50 * US);
	}
	open_tenants();
	for (turn = 0; turn < 8; turn++) {
		/* The slots are others, too, sometimes. */
		slots = rnd() % 2 ? slots : between(1, 4);
		capacity = between(slots * BTN_SECOND / 20, slots * BTN_SECOND / 100 * 90);
		reload(slots, capacity, capacity / 10 * 7);
		for (i = 0; i < 4; i++) {
			struct sten *n = &S.ten[i];

			n->low = capacity * low[i] / 100;
			n->high = capacity * high[i] / 100;
			CHECK_EQ(btn_core_tenant_prepare(&S.c, n->t, n->low, n->high), 0);
			btn_core_tenant_rescale(&S.c, n->t, n->low, n->high, S.now);
		}
		CHECK_EQ(S.c.low_sold, S.ten[0].low + S.ten[3].low);
		dispatch();
		/* The first second knows what was used before. */
		second = S.now / BTN_SECOND + 3;
		while (S.events.top && S.events.top->key < (second + 1) * BTN_SECOND)
			step();
		for (i = 0; i < 4; i++)
			for (k = 0; k < 2; k++) {
				quota = k ? S.ten[i].high : S.ten[i].low;
				got = S.ten[i].ref[k].second[second];
				MUST(got + quota / 100 + slots * S.c.slice_max >= quota,
				     "tenant %u got %" PRIu64 " of %" PRIu64 " in tier %u, of %" PRIu64, i, got, quota, k,
				     capacity);
			}
	}
	drain();
	finish_all();
}

/*
 * Q7, Q1: less CPU than slots, and three times as much high-latency quota sold as there is. All
 * of those together get what there is, in proportion, and not what the slots would give;
 * and what a tenant with low-latency quota wants beside them, it gets, from their part.
 */
static void oversold_capacity(void)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	unsigned slots = between(1, 4), i, tens = between(3, 8), part;
	uint64_t begun, used[9], until;
	uint64_t capacity = between(slots * BTN_SECOND / 10, slots * BTN_SECOND / 100 * 90), sold = 0, got, fair, low;

	tiers[1].rank = 1;
	begin(slots, tiers, 2, 0, tens + 1, 9 * BTN_SECOND);
	for (i = 0; i <= tens; i++) {
		struct sten *n = &S.ten[i];

		n->class_mask = 1 << (i ? BTN_BATCH : BTN_TOLERANT);
		n->burst = n->max_alive = 2 * slots;
		n->work = 10 * BTN_SECOND;
		n->gap = between(1 * US, 50 * US);
	}
	open_tenants();
	reload(slots, capacity, capacity / 10 * 7);
	for (i = 0; i <= tens; i++) {
		struct sten *n = &S.ten[i];

		n->high = i ? 3 * capacity / tens : 0;
		n->high = between(n->high * 2 / 3, n->high * 4 / 3);
		n->low = i ? 0 : capacity / 10 * 7;
		sold += n->high;
		CHECK_EQ(btn_core_tenant_prepare(&S.c, n->t, n->low, n->high), 0);
		btn_core_tenant_rescale(&S.c, n->t, n->low, n->high, S.now);
	}
	/* At first without the first one. */
	begun = S.now;
	at(&S.ten[0].arrive, begun + 4 * BTN_SECOND);
	for (part = 0; part < 2; part++) {
		until = begun + (part ? 8 : 3) * BTN_SECOND;
		while (S.events.top && S.events.top->key < until - 2 * BTN_SECOND)
			step();
		for (i = 0; i <= tens; i++)
			used[i] = used_until_now(&S.ten[i]);
		while (S.events.top && S.events.top->key < until)
			step();
		for (got = 0, i = 0; i <= tens; i++) {
			used[i] = used_until_now(&S.ten[i]) - used[i];
			got += used[i];
		}
		low = used[0];
		MUST(!part || low > 2 * S.ten[0].low * 98 / 100, "Q1: it got %" PRIu64 " of %" PRIu64, low, 2 * S.ten[0].low);
		MUST(got < 2 * capacity * 102 / 100 + slots * S.c.slice_max, "capacity is %" PRIu64 " in two seconds, and they used %" PRIu64,
		     2 * capacity, got);
		MUST(got > 2 * capacity * 98 / 100 - slots * S.c.slice_max, "idle with work to do: %" PRIu64 " of %" PRIu64, got, 2 * capacity);
		for (i = 1; i <= tens; i++) {
			fair = (uint64_t)((double)(got - low) * S.ten[i].high / sold);
			MUST(used[i] + slots * S.c.slice_max > fair * 95 / 100 && used[i] < fair * 105 / 100 + slots * S.c.slice_max,
			     "Q7: tenant %u got %" PRIu64 ", its share is %" PRIu64, i, used[i], fair);
		}
	}
	drain();
	finish_all();
}

/*
 * Q13: an administrator's request always gets in: a tier of the best rank with a reserve, beside
 * tenants that flood, that make each other wait for locks, and that bought all there is.
 */
static void administrator(void)
{
	struct btn_tier_setup tiers[3] = { Q(quota), Q(quota), Q(fifo) };
	unsigned slots = between(1, 3), i, tens = 7;

	tiers[1].rank = 1;
	tiers[2].rank = rnd() % 2;
	tiers[2].reserve = slots * BTN_SECOND / 10;
	begin(slots, tiers, 3, slots * BTN_SECOND * 7 / 10, tens, 4 * BTN_SECOND);
	S.locks = 2;
	for (i = 1; i < tens; i++) {
		struct sten *n = &S.ten[i];

		n->low = S.c.capacity / (i < 3 ? 100 : 10);
		n->high = S.c.capacity;
		n->class_mask = i < 3 ? 1 << BTN_TOLERANT : 1 << BTN_CRITICAL | 1 << BTN_TOLERANT | 1 << BTN_BATCH;
		n->gap = 20 * US;
		n->work = i < 3 ? between(MS, 500 * MS) : 2 * MS;
		n->lock_percent = i < 3 ? 100 : 20;
		n->lock_whole = i < 3;
		n->burst = n->max_alive = 20;
		n->spawn = i == 5 ? 4 : 0;
	}
	S.ten[0].class_mask = 1 << BTN_INTERNAL;
	S.ten[0].gap = 20 * US;
	S.ten[0].work = MS;
	S.ten[0].period = between(20 * MS, 50 * MS);
	S.ten[0].max_alive = 1;
	open_tenants();
	run_until_end();
	/* Tasks that run reach a checkpoint, and one of them had the slot of its lock's waiter. */
	MUST(S.ten[0].worst_wait <= MS, "Q13: the administrator waited %" PRIu64, S.ten[0].worst_wait);
	MUST(S.ten[0].worst_done <= 5 * MS, "Q13: the administrator's took %" PRIu64, S.ten[0].worst_done);
	MUST(S.ten[0].ended >= 70, "Q13: %" PRIu64 " ended", S.ten[0].ended);
	drain();
	finish_all();
}

/* A child call of one of the tenant's requests used a second's quota elsewhere. */
static void bill(struct sten *n)
{
	struct stask *t;

	for (t = S.all.next; t != &S.all && ten_of(t) != n; t = t->next)
		;
	if (t == &S.all)
		return;
	btn_core_charge(&S.c, S.now, &t->req->r, n->high, false);
	t->req->extern_cpu += n->high;
	ref_add(&n->ref[BTN_HIGH], S.now - n->high, S.now);
	n->ref[BTN_HIGH].over += n->high;
}

/*
 * The watchdog: from some time on work of the best rank takes all slots. Those that could pay are
 * overdue from a second later on, each second; those that have nothing to pay with are not,
 * nor is who runs.
 */
static void overdue(void)
{
	struct btn_tier_setup tiers[3] = { Q(quota), Q(quota), Q(fifo) };
	unsigned slots = between(1, 4), i;
	uint64_t begun, seen[4], billed = 0;

	tiers[1].rank = 1;
	begin(slots, tiers, 3, slots * BTN_SECOND * 7 / 10, 4, 9 * BTN_SECOND);
	for (i = 0; i < 4; i++) {
		struct sten *n = &S.ten[i];

		/* Three want more than they bought, and are throttled; one has work of the service's. */
		n->high = i < 3 ? S.c.capacity / 10 : 0;
		n->class_mask = 1 << (i < 3 ? BTN_BATCH : BTN_INTERNAL);
		n->work = i < 3 ? between(MS, 20 * MS) : 100 * BTN_SECOND;
		n->burst = n->max_alive = i < 3 ? 20 : 2 * slots;
	}
	open_tenants();
	begun = S.now;
	at(&S.ten[3].arrive, begun + 3 * BTN_SECOND);
	while (S.events.top && S.events.top->key < begun + 3 * BTN_SECOND)
		step();
	for (i = 0; i < 4; i++)
		MUST(!S.ten[i].t->stats->tier[i < 3 ? BTN_HIGH : 2].overdue, "tenant %u was overdue", i);
	while (S.events.top && S.events.top->key < begun + 8 * BTN_SECOND) {
		step();
		/* Not before it stands in its tier again. */
		if (S.now >= billed + BTN_SECOND / 4 && (billed || S.ten[2].t->flow[BTN_FLOW_BATCH].prev_waiting)) {
			bill(&S.ten[2]);
			billed = S.now;
		}
	}
	for (i = 0; i < 4; i++)
		seen[i] = S.ten[i].t->stats->tier[i < 3 ? BTN_HIGH : 2].overdue;
	/* The first two have had nothing for up to a second before. */
	MUST(seen[0] >= 3 && seen[0] <= 5 && seen[1] >= 3 && seen[1] <= 5, "%" PRIu64 " and %" PRIu64 " of 5 seconds",
	     seen[0], seen[1]);
	MUST(!seen[2], "one that cannot pay was overdue");
	MUST(!seen[3], "one that runs was overdue");
	/* All work of the service's ends, and the others go on. */
	S.end = S.now;
	drain();
	finish_all();
}

/* Q7: three times as much is sold as there is. */
static void oversold(void)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	unsigned slots = between(1, 4), i, tens = between(3, 8);
	uint64_t sold = 0, got = 0, fair;

	tiers[1].rank = 1;
	begin(slots, tiers, 2, slots * BTN_SECOND * 7 / 10, tens, 4 * BTN_SECOND);
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];

		/* Nobody may be stopped by his own quota. */
		n->high = 3 * S.c.capacity / tens;
		n->high = between(n->high * 2 / 3, n->high * 4 / 3);
		sold += n->high;
		n->work = between(100 * US, 20 * MS);
		n->period = n->work / 2;
		n->burst = n->max_alive = 8 * slots;
		n->gap = between(1 * US, 50 * US);
	}
	open_tenants();
	/* A tenant comes late, and gets no more than the others from then on. */
	at(&S.ten[0].arrive, S.now + BTN_SECOND);
	while (S.now < S.end - 3 * BTN_SECOND)
		step();
	for (i = 0; i < tens; i++)
		S.ten[i].cpu = 0;
	run_until_end();
	for (i = 0; i < tens; i++)
		got += S.ten[i].cpu;
	MUST(got > 3 * S.c.capacity * 99 / 100, "idle with work to do");
	for (i = 0; i < tens; i++) {
		fair = (uint64_t)((double)got * S.ten[i].high / sold);
		MUST(S.ten[i].cpu > fair * 95 / 100 && S.ten[i].cpu < fair * 105 / 100,
		     "Q7: tenant %u got %" PRIu64 ", its share is %" PRIu64, i, S.ten[i].cpu, fair);
		S.ten[i].cpu = 0;
	}
	for (i = 0; i < BTN_TIERS_MAX; i++)
		S.tier_ref[i].total = 0;
	drain();
	finish_all();
}

/* Q8: one pays and keeps within its rate; the others do their worst. */
static void hostile(void)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	unsigned slots = between(1, 4), i, tens = between(2, 10);
	uint64_t gap = 0;

	tiers[1].rank = 1;
	tiers[1].policy = random_policy();
	begin(slots, tiers, 2, slots * BTN_SECOND * 7 / 10, tens, 3 * BTN_SECOND);
	for (i = 1; i < tens; i++) {
		struct sten *n = &S.ten[i];

		n->high = 10 * S.c.capacity;
		n->burst = 50;
		n->max_alive = between(10, 500);
		n->work = between(1, rnd() % 2 ? 20 * US : 500 * MS);
		n->gap = between(1 * US, rnd() % 2 ? 100 * US : 20 * MS);
		n->spawn = rnd() % 2 ? 0 : 20;
		n->block = rnd() % 2 ? 0 : 50;
		gap = n->gap > gap ? n->gap : gap;
	}
	S.ten[0].low = S.c.capacity / 10;
	S.ten[0].class_mask = 1 << (rnd() % 2 ? BTN_CRITICAL : BTN_TOLERANT);
	S.ten[0].work = 1 * MS;
	S.ten[0].gap = 10 * US;
	/* At half of what it bought. */
	S.ten[0].period = BTN_SECOND * MS / (S.ten[0].low / 2);
	open_tenants();
	run_until_end();
	/* A request is behind another of its own tenant at most where they overlap. */
	MUST(S.ten[0].worst_wait <= gap + 100 * US, "Q8: waited %" PRIu64 ", checkpoints are at most %" PRIu64
	     " apart", S.ten[0].worst_wait, gap);
	MUST(S.ten[0].t->stats->tier[BTN_LOW].rejected == 0, "Q8: rejected");
	drain();
	finish_all();
}

/*
 * Q8: two of 1% hold and want one lock all the time. What they use is theirs, and one that pays
 * waits for neither.
 */
static void colluding(void)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	unsigned slots = between(1, 3), i;
	uint64_t begun;

	tiers[1].rank = 1;
	begin(slots, tiers, 2, slots * BTN_SECOND * 7 / 10, 3, 4 * BTN_SECOND);
	S.locks = 1;
	for (i = 0; i < 3; i++) {
		struct sten *n = &S.ten[i];

		n->low = S.c.capacity / (i ? 100 : 10);
		n->class_mask = 1 << (i || rnd() % 2 ? BTN_TOLERANT : BTN_CRITICAL);
		n->gap = 20 * US;
		n->work = i ? between(MS, 2 * BTN_SECOND) : MS;
		n->lock_percent = i ? 100 : 0;
		n->lock_whole = true;
		n->max_alive = n->burst = i ? 20 : 1;
		n->period = BTN_SECOND * MS / (S.ten[0].low / 2);
	}
	open_tenants();
	begun = S.now;
	run_until_end();
	for (i = 1; i < 3; i++)
		MUST(S.ten[i].cpu <= (S.now - begun + BTN_SECOND) / BTN_SECOND * S.ten[i].low + slots * 100 * US,
		     "Q8: of 1%% it got %" PRIu64 " in %" PRIu64, S.ten[i].cpu, S.now - begun);
	MUST(S.ten[0].worst_wait <= 2 * MS, "Q8: waited %" PRIu64, S.ten[0].worst_wait);
	MUST(S.ten[0].t->stats->tier[BTN_LOW].rejected == 0, "Q8: rejected");
	MUST(S.lent_runs, "nobody lent");
	drain();
	finish_all();
}

/* A payer waits for the lock of another whose quota is used up, beside some who flood: no longer than it is held. */
static void lending(void)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	unsigned slots = between(1, 3), i, tens = 6;

	tiers[1].rank = 1;
	begin(slots, tiers, 2, slots * BTN_SECOND * 7 / 10, tens, 4 * BTN_SECOND);
	S.locks = between(1, 3);
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];

		n->gap = 20 * US;
		n->work = i ? 2 * MS : MS;
		n->lock_percent = i < 3 ? 100 : 0;
		n->max_alive = i < 3 ? 1 : 20;
		n->period = i ? MS : 20 * MS;
		n->high = i ? S.c.capacity / (i < 3 ? 500 : 1) : 0;
	}
	S.ten[0].low = S.c.capacity / 2;
	S.ten[0].class_mask = 1 << BTN_CRITICAL;
	open_tenants();
	run_until_end();
	/* The payer's own work, and two sections of each of the others. */
	MUST(S.ten[0].worst_done <= 20 * MS, "took %" PRIu64, S.ten[0].worst_done);
	MUST(S.ten[0].ended > 100, "ended %" PRIu64, S.ten[0].ended);
	drain();
	finish_all();
}

/* Q15: everything that was sold is asked for at the start of each second. */
static void burst(void)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	unsigned slots = between(1, 4), i, good = between(1, 5), bad = between(1, 5), tens = good + bad;
	uint64_t bound;

	tiers[1].rank = 1;
	begin(slots, tiers, 2, slots * BTN_SECOND * 7 / 10, tens, 4 * BTN_SECOND);
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];

		n->low = S.c.low_limit / tens;
		n->class_mask = 1 << BTN_TOLERANT;
		n->gap = 20 * US;
		if (i < good) {
			n->work = MS;
			/* The tenant's largest request at 90% of its rate. */
			n->period = (uint64_t)(1.5 * MS * BTN_SECOND / 0.9 / n->low);
		} else {
			n->period = BTN_SECOND;
			n->work = between(100 * US, 10 * MS);
			n->burst = n->max_alive = n->low / n->work + 1;
		}
	}
	open_tenants();
	for (i = 0; i < good; i++)
		at(&S.ten[i].arrive, S.now + rnd() % S.ten[i].period);
	run_until_end();
	/* All the good at once in one slot, a slice for each of the bad, and what no preemption is worth. */
	bound = good * 3 * MS / 2 + bad * S.c.slice_max + 2 * MS;
	for (i = 0; i < good; i++)
		MUST(S.ten[i].worst_wait <= bound, "Q15: waited %" PRIu64 ", bound %" PRIu64,
		     S.ten[i].worst_wait, bound);
	drain();
	finish_all();
}

/* Q13: reserve, limit and share of further tiers, with no slot ever idle. */
static void tiers(void)
{
	struct btn_tier_setup tiers[6] = { Q(quota), Q(quota), Q(fifo), Q(rr), Q(lifo), Q(arrival) };
	unsigned slots = between(1, 4), i;
	uint64_t first, s, a, b;

	tiers[1].rank = 1;
	tiers[2].rank = 3;	/* low-priority maintenance, with a reserve */
	tiers[2].reserve = slots * BTN_SECOND / 20;
	tiers[3].rank = 0;	/* high-priority maintenance, with a limit */
	tiers[3].limit = slots * BTN_SECOND / 10;
	tiers[4].rank = tiers[5].rank = 2;
	tiers[4].share = between(1, 5);
	tiers[5].share = between(1, 5);
	begin(slots, tiers, 6, slots * BTN_SECOND / 2, 6, 4 * BTN_SECOND);
	for (i = 0; i < 6; i++) {
		struct sten *n = &S.ten[i];

		n->class_mask = 1 << (i == 0 ? BTN_TOLERANT : i == 1 ? BTN_BATCH : BTN_INTERNAL);
		n->tier = i;
		n->low = i ? 0 : S.c.capacity / 5;
		n->high = i == 1 ? S.c.capacity / 5 : 0;
		n->work = between(100 * US, 5 * MS);
		n->period = n->work / 2;
		n->burst = n->max_alive = 8 * slots;
		n->gap = between(1 * US, 50 * US);
	}
	open_tenants();
	first = S.now / BTN_SECOND + 2;
	run_until_end();
	for (s = first; s < S.end / BTN_SECOND; s++) {
		a = S.tier_ref[2].second[s];
		MUST(a + slots * S.c.slice_max >= tiers[2].reserve * 99 / 100, "Q13: reserve %" PRIu64 ", got %" PRIu64,
		     tiers[2].reserve, a);
		a = S.tier_ref[3].second[s];
		/* CPU that is given back late is not all used within the second. */
		MUST(a >= tiers[3].limit * 97 / 100 && a <= tiers[3].limit + slots * 100 * US,
		     "Q13: limit %" PRIu64 ", got %" PRIu64, tiers[3].limit, a);
		a = S.tier_ref[4].second[s] / tiers[4].share;
		b = S.tier_ref[5].second[s] / tiers[5].share;
		MUST(a < b * 110 / 100 && b < a * 110 / 100, "Q13: per share %" PRIu64 " and %" PRIu64, a, b);
	}
	drain();
	finish_all();
}

static void run_for(uint64_t time)
{
	unsigned i;

	for (i = 0; i < S.tens; i++)
		S.ten[i].cpu = 0;
	for (i = 0; i < S.c.tiers; i++)
		S.tier_ref[i].total = 0;
	for (time += S.now; S.events.top && S.events.top->key < time;)
		step();
	S.now = time;
}

/*
 * CPU that a tier used in the last second, to the ns. (The totals have each run as a whole, where it ended:
 * more than a limit, by what the first runs of a second used before that began.)
 */
static uint64_t used_by_tier(unsigned tier)
{
	uint64_t from = S.now - BTN_SECOND, used = ref_ended(&S.tier_ref[tier], from);
	const struct btn_run *run;
	unsigned i;

	for (i = 0; i < S.c.slots_in_use; i++) {
		run = &S.c.run[i];
		if (run->task && run->tier->index == tier)
			used += S.now - (run->start > from ? run->start : from);
	}
	return used;
}

/* Everybody wants more than there is: other slots and other tiers are in force at once. */
static void reloaded(void)
{
	struct btn_tier_setup tiers[4] = { Q(quota), Q(fifo), Q(rr), Q(arrival) };
	unsigned slots = between(1, 8), i, tens = 4;
	uint64_t all, got, share;

	tiers[1].rank = 1;
	tiers[2].rank = tiers[3].rank = 2;
	begin(slots, tiers, 4, slots * BTN_SECOND / 2, tens, 100 * BTN_SECOND);
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];

		n->class_mask = 1 << (i < 2 ? BTN_BATCH : BTN_INTERNAL);
		n->tier = i;
		n->high = i < 2 ? 100 * BTN_SECOND : 0;
		n->work = between(100 * US, 5 * MS);
		n->period = n->work / 2;
		/* The first one floods the tier that is first come, first served. */
		n->burst = n->max_alive = (i ? 8 : 80) * 8;
		n->gap = between(1 * US, 50 * US);
	}
	open_tenants();
	run_for(BTN_SECOND);
	MUST(S.tier_ref[BTN_HIGH].total > S.c.capacity * 99 / 100, "idle with work to do");
	/* Tiers of one rank, by shares; and in the first of the three by quota. */
	S.tier[1] = (struct btn_tier_setup){ .policy = &btn_policy_quota, .rank = 2, .share = between(1, 3) };
	S.tier[3].share = between(1, 3);
	slots = between(1, 8);
	reload(slots, slots * BTN_SECOND, slots * BTN_SECOND / 2);
	dispatch();
	run_for(2 * BTN_SECOND);
	all = 2 * S.c.capacity;
	got = S.tier_ref[1].total + S.tier_ref[2].total + S.tier_ref[3].total;
	/* The tenants that were before: one slice each, and a checkpoint. */
	MUST(got > all * 99 / 100 && got < all + 8 * (S.c.slice_max + 50 * US), "%u slots gave %" PRIu64, slots, got);
	for (i = 1; i < 4; i++) {
		share = got * S.tier[i].share / (S.tier[1].share + S.tier[2].share + S.tier[3].share);
		MUST(S.tier_ref[i].total > share * 95 / 100 && S.tier_ref[i].total < share * 105 / 100,
		     "Q13: tier %u got %" PRIu64 ", its share is %" PRIu64, i, S.tier_ref[i].total, share);
	}
	got = S.ten[0].cpu + S.ten[1].cpu;
	MUST(S.ten[0].cpu > got * 45 / 100 && S.ten[1].cpu > got * 45 / 100, "Q7: tenants got %" PRIu64 " and %" PRIu64,
	     S.ten[0].cpu, S.ten[1].cpu);
	/* A first limit holds from the change on, but for the slices that are out. */
	S.tier[2].limit = slots * BTN_SECOND / 20;
	reload(slots, slots * BTN_SECOND, slots * BTN_SECOND / 2);
	dispatch();
	run_for(BTN_SECOND);
	MUST(S.tier_ref[2].total <= S.tier[2].limit + slots * (S.c.slice_max + 50 * US), "Q13: limit %" PRIu64 ", got %" PRIu64,
	     S.tier[2].limit, S.tier_ref[2].total);
	run_for(BTN_SECOND);
	got = used_by_tier(2);
	MUST(got >= S.tier[2].limit * 95 / 100 && got <= S.tier[2].limit + slots * 50 * US,
	     "Q13: limit %" PRIu64 ", got %" PRIu64, S.tier[2].limit, got);
	/* No limit any more. */
	S.tier[2].limit = 0;
	reload(slots, slots * BTN_SECOND, slots * BTN_SECOND / 2);
	dispatch();
	run_for(BTN_SECOND);
	MUST(S.tier_ref[2].total > S.c.capacity / 7 * 95 / 100, "Q13: without its limit it got %" PRIu64, S.tier_ref[2].total);
	for (i = 0; i < tens; i++)
		S.ten[i].cpu = 0;
	for (i = 0; i < BTN_TIERS_MAX; i++)
		S.tier_ref[i].total = 0;
	drain();
	finish_all();
}

/* 100,000 tenants, of which any may come at any time. */
static void many(void)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	unsigned slots = 8, i, tens = 100000;

	tiers[1].rank = 1;
	begin(slots, tiers, 2, slots * BTN_SECOND * 7 / 10, tens, 300 * MS);
	for (i = 0; i < tens; i++) {
		struct sten *n = &S.ten[i];

		if (i % 4 == 0)
			n->low = S.c.low_limit / 25000;
		else
			n->high = between(S.c.capacity / 10000, S.c.capacity / 100);
		n->class_mask = 1 << (i % 4 ? BTN_BATCH : rnd() % 2 ? BTN_CRITICAL : BTN_TOLERANT);
		n->period = 2 * BTN_SECOND;
		n->poisson = true;
		n->max_alive = 3;
		n->burst = 2;
		n->work = 150 * US;
	}
	open_tenants();
	run_until_end();
	drain();
	finish_all();
}

/* An idle slot is had again if it is preferred; one that has a task, or is none, changes nothing. */
TEST(prefers_a_slot)
{
	struct btn_tier_setup two[2] = { Q(quota), Q(quota) };
	struct btn_tenant *t;
	struct btn_request r = { .class = BTN_BATCH, .deadline = BTN_NEVER };
	struct btn_task task = { .attached = true };
	struct btn_core c;
	unsigned i;

	CHECK_EQ(btn_core_init(&c, 4, 4, 4 * BTN_SECOND, two, 2, 0), 0);
	btn_page_start(&c.page, 4, 1);
	CHECK_EQ(btn_core_tenant(&c, &t, 0, BTN_SECOND, 1), 0);
	for (i = 0; i < 4; i++) {
		btn_core_prefer(&c, i);
		CHECK_EQ(btn_core_idle(&c), i);
	}
	btn_core_prefer(&c, 2);
	r.tenant = t;
	CHECK_EQ(btn_core_submit(&c, 1, &r, &task), 0);
	CHECK(btn_core_pick(&c, 1, btn_core_idle(&c)) == &task);
	btn_core_prefer(&c, 1);
	btn_core_prefer(&c, 2);
	btn_core_prefer(&c, 4);
	CHECK_EQ(btn_core_idle(&c), 1);
	CHECK_EQ(c.n_idle, 3);
	for (i = 0; i < 3; i++)
		CHECK(c.idle[i] != 2 && c.idle[i] != c.idle[(i + 1) % 3]);
	btn_core_stop(&c, 2, 2, 1, BTN_STOP_END);
	CHECK(btn_core_done(&c) == &r);
	btn_core_tenant_free(&c, t);
	btn_core_fini(&c);
}

/*
 * A lock was left free for a task that was woken, and another took it meanwhile, which by now waits
 * for one that waits for the lock: those that wait lend to the new holder, but for the one that would
 * close the chain.
 */
TEST(another_holder_waits)
{
	enum { HOLDS, WAITS_TOO, WOKEN, ALL };
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	struct btn_resource passed = { 0 }, other = { 0 };
	struct btn_request r[ALL] = { 0 };
	struct btn_task t[ALL] = { 0 };
	struct btn_tenant *tenant;
	struct btn_core c;
	unsigned i;

	CHECK_EQ(btn_core_init(&c, ALL, ALL, ALL * BTN_SECOND, tiers, 2, 0), 0);
	CHECK_EQ(btn_core_tenant(&c, &tenant, 0, BTN_SECOND, 0), 0);
	c.workers = ALL;
	for (i = 0; i < ALL; i++) {
		r[i].tenant = tenant;
		r[i].class = BTN_BATCH;
		r[i].deadline = BTN_NEVER;
		CHECK_EQ(btn_core_submit(&c, 10, &r[i], &t[i]), 0);
		CHECK(btn_core_pick(&c, 10, i) == &t[i]);
	}
	/* The one that was woken has no slot yet, and stands for the holder. */
	btn_core_stop(&c, 20, WOKEN, 0, BTN_STOP_BLOCK);
	btn_core_ready(&c, 20, &t[WOKEN]);
	btn_core_wait(&c, 20, &t[WAITS_TOO], &passed, &t[WOKEN]);
	btn_core_stop(&c, 20, WAITS_TOO, 0, BTN_STOP_BLOCK);
	btn_core_wait(&c, 20, &t[HOLDS], &other, &t[WAITS_TOO]);
	btn_core_stop(&c, 20, HOLDS, 0, BTN_STOP_BLOCK);
	/* The slot comes, and the lock is held. */
	CHECK(btn_core_pick(&c, 30, WOKEN) == &t[WOKEN]);
	btn_core_hold(&c, 30, &passed, &t[HOLDS]);
	btn_core_wait(&c, 30, &t[WOKEN], &passed, &t[HOLDS]);
	btn_core_stop(&c, 30, WOKEN, 0, BTN_STOP_BLOCK);
	CHECK(!btn_core_waits(&c, 30));
	/* A waiter gives up, and can go on with the places of the two that wait for it. */
	btn_core_ready(&c, 40, &t[WAITS_TOO]);
	CHECK(t[HOLDS].stands_in && t[WOKEN].stands_in);
	CHECK(btn_core_pick(&c, 40, 0) == &t[WAITS_TOO]);
	CHECK(!t[HOLDS].stands_in && !t[WOKEN].stands_in);
	btn_core_ready(&c, 50, &t[HOLDS]);
	CHECK(btn_core_pick(&c, 50, 1) == &t[HOLDS]);
	btn_core_ready(&c, 60, &t[WOKEN]);
	CHECK(btn_core_pick(&c, 60, 2) == &t[WOKEN]);
	for (i = 0; i < ALL; i++)
		btn_core_stop(&c, 70, i, 0, BTN_STOP_END);
	btn_core_tenant_free(&c, tenant);
	btn_core_fini(&c);
}

/* A task of one flow blocks, and the next one that has run goes on in the same run. */
TEST(pass_in_one_run)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	struct btn_request r[3] = { 0 };
	struct btn_task t[3] = { 0 };
	struct btn_tenant *one;
	struct btn_account *a;
	struct btn_core c;
	uint64_t now = 10, slice;
	unsigned i;

	CHECK_EQ(btn_core_init(&c, 1, 1, BTN_SECOND, tiers, 2, 0), 0);
	CHECK_EQ(btn_core_tenant(&c, &one, 0, BTN_SECOND / 2, 0), 0);
	a = &one->acct[BTN_HIGH];
	c.workers = 3;
	for (i = 0; i < 3; i++) {
		r[i].tenant = one;
		r[i].class = BTN_BATCH;
		r[i].deadline = BTN_NEVER;
	}
	for (i = 0; i < 2; i++) {
		CHECK_EQ(btn_core_submit(&c, now, &r[i], &t[i]), 0);
		CHECK(btn_core_pick(&c, now, 0) == &t[i]);
		now += 1000;
		/* Nobody else is ready; or only one who has no worker yet. */
		CHECK(!btn_run_next(&c, now, 0));
		if (i)
			break;
		btn_core_stop(&c, now, 0, 1000, BTN_STOP_BLOCK);
	}
	slice = a->reserved;
	CHECK_EQ(btn_core_submit(&c, now, &r[2], &t[2]), 0);
	CHECK(!btn_run_next(&c, now, 0));
	btn_core_cancel(&c, now, &r[2], -ECANCELED);
	CHECK(btn_core_done(&c) == &r[2]);
	btn_core_ready(&c, now, &t[0]);
	CHECK(btn_run_next(&c, now, 0) == &t[0]);
	CHECK(!btn_run_next(&c, now + slice / 2, 0));
	btn_flow_resched(&c, 0);
	CHECK(!btn_run_next(&c, now, 0));
	c.run[0].need_resched = false;
	btn_core_pass(&c, now, 0, &t[0], 700);
	CHECK_EQ(t[1].state, BTN_TASK_BLOCKED);
	CHECK_EQ(t[0].state, BTN_TASK_RUNNING);
	CHECK_EQ(r[1].cpu, 700);
	CHECK_EQ(r[1].blocked.n, 1);
	CHECK_EQ(r[0].ready.n, 0);
	/* Nothing is settled yet but the first run, and what is left of the slice is the other's. */
	CHECK_EQ(a->reserved, slice);
	CHECK_EQ(a->used, 1000);
	CHECK_EQ(c.workers, 1);
	CHECK_EQ(c.run[0].start + c.run[0].slice, 1010 + slice);
	btn_core_ready(&c, now + 100, &t[1]);
	btn_core_stop(&c, now + 200, 0, 200, BTN_STOP_END);
	CHECK_EQ(a->used, 1900);
	CHECK_EQ(one->stats->tier[BTN_HIGH].cpu, 1900);
	CHECK(btn_core_done(&c) == &r[0]);
	CHECK_EQ(r[0].cpu, 1200);
	CHECK(btn_core_pick(&c, now + 200, 0) == &t[1]);
	btn_core_stop(&c, now + 300, 0, 100, BTN_STOP_END);
	CHECK(btn_core_done(&c) == &r[1]);
	btn_core_tenant_free(&c, one);
	btn_core_fini(&c);
}

/* Tasks of one flow in one run: reserved once, and settled once, with all that they used. */
TEST(follow_in_one_run)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	struct btn_request r[5] = { 0 };
	struct btn_task t[5] = { 0 };
	struct btn_tenant *one, *other;
	struct btn_account *a;
	struct btn_core c;
	uint64_t now = 10, slice;
	unsigned i;

	CHECK_EQ(btn_core_init(&c, 1, 1, BTN_SECOND, tiers, 2, 0), 0);
	CHECK_EQ(btn_core_tenant(&c, &one, 0, BTN_SECOND / 2, 0), 0);
	CHECK_EQ(btn_core_tenant(&c, &other, 0, BTN_SECOND / 2, 0), 0);
	a = &one->acct[BTN_HIGH];
	c.workers = 1;
	for (i = 0; i < 5; i++) {
		r[i].tenant = i < 4 ? one : other;
		r[i].class = BTN_BATCH;
		r[i].deadline = BTN_NEVER;
		if (i < 4)
			CHECK_EQ(btn_core_submit(&c, now, &r[i], &t[i]), 0);
	}
	CHECK(btn_core_pick(&c, now, 0) == &t[0]);
	slice = a->reserved;
	for (i = 1; i < 3; i++) {
		now += 1000;
		CHECK(btn_run_follower(&c, now, 0) == &t[i]);
		btn_run_follow(&c, now, 0, &t[i], 1000, btn_hist_step(1000));
		CHECK(btn_core_done(&c) == &r[i - 1]);
		CHECK_EQ(r[i - 1].cpu, 1000);
		CHECK_EQ(a->reserved, slice);
		CHECK_EQ(a->used, 0);
		CHECK_EQ(c.workers, 0);
		CHECK_EQ(c.run[0].start + c.run[0].slice, 10 + slice);
	}
	/* A task that is to stop, one that waits for a worker, a slice that is half over, another flow. */
	btn_flow_resched(&c, 0);
	CHECK(!btn_run_follower(&c, now, 0));
	c.run[0].need_resched = false;
	c.workers_reserved = 1;
	CHECK(!btn_run_follower(&c, now, 0));
	c.workers_reserved = 0;
	CHECK(btn_run_follower(&c, now, 0));
	CHECK(!btn_run_follower(&c, now + slice / 2, 0));
	CHECK_EQ(btn_core_submit(&c, now, &r[4], &t[4]), 0);
	CHECK(!btn_run_follower(&c, now, 0));
	btn_core_stop(&c, now + 500, 0, 500, BTN_STOP_END);
	CHECK_EQ(r[2].cpu, 500);
	CHECK_EQ(a->reserved, 0);
	CHECK_EQ(a->used, 2500);
	CHECK_EQ(one->stats->tier[BTN_HIGH].cpu, 2500);
	CHECK_EQ(one->stats->tier[BTN_HIGH].finished, 3);
	btn_core_cancel(&c, now, &r[3], -ECANCELED);
	btn_core_cancel(&c, now, &r[4], -ECANCELED);
	while (btn_core_done(&c))
		;
	btn_core_tenant_free(&c, one);
	btn_core_tenant_free(&c, other);
	btn_core_fini(&c);
}

/*
 * The same with less capacity than slots: what each task used is earned, and none follows that would wait for that. A
 * tier that is not behind the low-latency one waits for nothing.
 */
TEST(follow_less_than_slots)
{
	enum { ALL = 200, USES = 1000000, AHEAD = 10 };
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	struct btn_request r[ALL] = { 0 };
	struct btn_task t[ALL] = { 0 };
	struct btn_tenant *one;
	struct btn_core c;
	struct btn_task *next;
	uint64_t now, earned;
	unsigned i, class;

	for (class = BTN_TOLERANT; class <= BTN_BATCH; class++) {
		CHECK_EQ(btn_core_init(&c, 2, 2, BTN_SECOND / 2, tiers, 2, BTN_SECOND / 2), 0);
		CHECK_EQ(btn_core_tenant(&c, &one, class == BTN_BATCH ? 0 : BTN_SECOND / 2, BTN_SECOND, 0), 0);
		c.workers = ALL;
		c.tier[BTN_HIGH].rank = 1;
		now = earned = BTN_SECOND;
		for (i = 0; i < ALL; i++) {
			r[i] = (struct btn_request){ .tenant = one, .class = (uint8_t)class, .deadline = BTN_NEVER };
			CHECK_EQ(btn_core_submit(&c, now, &r[i], &t[i]), 0);
		}
		CHECK(btn_core_pick(&c, now, 0) == &t[0]);
		/* The slice is as long as all of them. */
		c.run[0].slice = 4ULL * ALL * USES;
		for (i = 1; i < ALL; i++) {
			now += USES;
			next = btn_run_follower(&c, now, 0);
			earned += 2 * USES;
			if (!next)
				break;
			CHECK(next == &t[i]);
			btn_run_follow(&c, now, 0, next, USES, btn_hist_step(USES));
			while (btn_core_done(&c))
				;
		}
		/* Each task is USES further ahead than the one before. */
		CHECK_EQ(i, class == BTN_BATCH ? AHEAD + 1 : ALL);
		/* The last one that began has used nothing yet, or as much as the others. */
		btn_core_stop(&c, now, 0, class == BTN_BATCH ? USES : 0, BTN_STOP_END);
		CHECK_EQ(c.earned, earned);
		if (class == BTN_BATCH)
			CHECK(!btn_core_pick(&c, now, 0));
		for (; i < ALL; i++)
			btn_core_cancel(&c, now, &r[i], -ECANCELED);
		while (btn_core_done(&c))
			;
		btn_core_tenant_free(&c, one);
		btn_core_fini(&c);
	}
}

/*
 * Tenants whose short tasks use a little more or less than others' take turns in the order in which they came, and none is
 * sorted in among others: eligible times count in steps.
 */
TEST(short_tasks_in_line)
{
	enum { TENANTS = 16, LAPS = 10, ALL = TENANTS * LAPS };
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	static struct btn_request r[ALL];
	static struct btn_task t[ALL];
	struct btn_tenant *ten[TENANTS];
	uint64_t now = 10, cpu;
	struct btn_core c;
	unsigned i;

	CHECK_EQ(btn_core_init(&c, 1, 1, BTN_SECOND, tiers, 2, 0), 0);
	for (i = 0; i < TENANTS; i++)
		CHECK_EQ(btn_core_tenant(&c, &ten[i], 0, BTN_SECOND, 0), 0);
	c.workers = 1;
	for (i = 0; i < ALL; i++) {
		r[i].tenant = ten[i % TENANTS];
		r[i].class = BTN_BATCH;
		r[i].deadline = BTN_NEVER;
		r[i].info.arrival = now + i;
		CHECK_EQ(btn_core_submit(&c, now + i, &r[i], &t[i]), 0);
	}
	for (now += ALL, i = 0; i < ALL; i++, now += cpu) {
		cpu = 900 + 7919 * i % 200;
		CHECK(btn_core_pick(&c, now, 0) == &t[i]);
		CHECK(!c.tier[BTN_HIGH].flows.rest.top);
		btn_core_stop(&c, now + cpu, 0, cpu, BTN_STOP_END);
		CHECK(btn_core_done(&c) == &r[i]);
		btn_core_worker(&c, now + cpu);
	}
	for (i = 0; i < TENANTS; i++)
		btn_core_tenant_free(&c, ten[i]);
	btn_core_fini(&c);
}

/* need_resched is set for a slot, its task stops, it is set for the next one: one place is enough. */
TEST(resched_fits)
{
	struct btn_tier_setup tiers[2] = { Q(quota), Q(quota) };
	struct btn_request r[8] = { 0 };
	struct btn_task t[8] = { 0 };
	struct btn_tenant *tenant;
	struct btn_core c;
	unsigned i;

	CHECK_EQ(btn_core_init(&c, 1, 1, BTN_SECOND, tiers, 2, 0), 0);
	CHECK_EQ(btn_core_tenant(&c, &tenant, 0, BTN_SECOND, 0), 0);
	c.workers = 8;
	for (i = 0; i < 8; i++) {
		r[i].tenant = tenant;
		r[i].class = BTN_BATCH;
		r[i].deadline = BTN_NEVER;
		r[i].info.arrival = i;
		CHECK_EQ(btn_core_submit(&c, 10, &r[i], &t[i]), 0);
	}
	for (i = 0; i < 8; i++) {
		CHECK(btn_core_pick(&c, 20, 0) == &t[i]);
		btn_core_cancel(&c, 20, &r[i], -ECANCELED);
		CHECK_EQ(c.n_resched, 1);
		if (i < 7)
			btn_core_stop(&c, 20, 0, 0, BTN_STOP_BLOCK);
	}
	CHECK_EQ(btn_core_next_resched(&c), 0);
	CHECK_EQ(btn_core_next_resched(&c), -1);
	btn_core_cancel(&c, 30, &r[7], -ECANCELED);
	CHECK_EQ(btn_core_next_resched(&c), -1);
	btn_core_stop(&c, 30, 0, 0, BTN_STOP_BLOCK);
	btn_core_tenant_free(&c, tenant);
	btn_core_fini(&c);
}

static const struct scenario scenarios[] = {
	{ "mixed", mixed, 1 }, { "saturated", saturated, 25 }, { "oversold", oversold, 10 },
	{ "hostile", hostile, 4 }, { "burst", burst, 4 }, { "tiers", tiers, 20 }, { "many", many, 300 },
	{ "reloaded", reloaded, 25 }, { "sliding", sliding, 20 },
	{ "colluding", colluding, 4 }, { "lending", lending, 4 }, { "capacities", capacities, 10 },
	{ "oversold_capacity", oversold_capacity, 10 }, { "overdue", overdue, 10 },
	{ "administrator", administrator, 10 },
};

#ifndef SIM_SEEDS
#define SIM_SEEDS 120
#endif
static uint64_t seeds = SIM_SEEDS;

TEST(mixed) { run_seeds(&scenarios[0], seeds); }
TEST(saturated) { run_seeds(&scenarios[1], seeds); }
TEST(oversold) { run_seeds(&scenarios[2], seeds); }
TEST(hostile) { run_seeds(&scenarios[3], seeds); }
TEST(burst) { run_seeds(&scenarios[4], seeds); }
TEST(tiers) { run_seeds(&scenarios[5], seeds); }
TEST(many) { run_seeds(&scenarios[6], seeds); }
TEST(reloaded) { run_seeds(&scenarios[7], seeds); }
TEST(sliding) { run_seeds(&scenarios[8], seeds); }
TEST(colluding) { run_seeds(&scenarios[9], seeds); }
TEST(lending) { run_seeds(&scenarios[10], seeds); }
TEST(capacities) { run_seeds(&scenarios[11], seeds); }
TEST(oversold_capacity) { run_seeds(&scenarios[12], seeds); }
TEST(overdue) { run_seeds(&scenarios[13], seeds); }
TEST(administrator) { run_seeds(&scenarios[14], seeds); }

int main(int argc, char **argv)
{
	return scenario_main(scenarios, sizeof(scenarios) / sizeof(*scenarios), &seeds, argc, argv);
}
