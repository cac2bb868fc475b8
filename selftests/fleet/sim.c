// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fleet: nodes with clocks of their own, a store, and a network that delays, loses, doubles and reorders
 * what they send. Under every fault that a seed makes (partitions, crashes of nodes, of agents and of services, SIGSTOP, a store without a
 * leader, watches that are lost and read anew, quotas that change) each node uses what it may, as greedily as it can. A naive
 * account of what was really used, when, checks the sliding second over all nodes at each use; a quiet end checks that
 * what can be used is used.
 *
 *	sim [SEEDS]		so many seeds of each scenario
 *	sim -f SEEDS		the same, in turns, until the first find
 *	sim -s SCENARIO SEED	one of them again, as a failure prints it
 *	sim -n NODES TENANTS SECONDS SEED...	a fleet of another size
 *	sim -l NODES TENANTS SECONDS SEED...	likewise, where a tenant has load for a tenth of the time
 *
 * With -f, -n and -l a last line says how much was played.
 */
#define SCENARIO_PROGRAM "sim"
#include "scenario.h"
#include "client.h"
#include "held.h"
#include "member.h"

#define MS 1000000ULL
#define US 1000ULL
#define USES 256
#define QUIET (30 * FLEET_SECOND)
#define SLICE (4 * MS)
/* Lowered rates are out of force after this where nothing is wrong: a give and its last second, even if a message is lost and sent again. */
#define LOWERED_IN_CALM (4 * FLEET_SECOND)

struct record {			/* a record of held, in the store and on its way */
	unsigned refs;
	struct fleet_held h;
};

struct use {
	uint64_t at, amount;
};

struct pair {			/* a tenant on a node; what each event looks at comes first */
	bool wants, was_short, ticks;
	/* The scheduler: what it was told. */
	uint64_t base, rate, until;
	uint64_t burst_at, sum, total, mark;
	unsigned first, uses;
	struct fleet_part part;
	struct fleet_demand demand;
	struct fleet_quota quota;	/* as the agent knows it */
	struct record *rec;
	struct record *write;		/* pending */
	uint64_t write_node, write_quota, resend, blocked;
	struct use use[USES];
};

struct node {
	uint64_t ahead;		/* ns by which the node's clock is ahead, at 0 */
	int64_t drift;		/* ppm */
	uint64_t stopped, apart;	/* the agent is stopped, the node is cut off until then */
	uint64_t silent;	/* heartbeats alone are lost until then */
	bool up;		/* the agent runs */
	unsigned run;		/* counts runs of the agent: what was sent to another one is lost */
	/* The services, one after the other: which one is there, whether the agent knows, and what an agent wrote down. */
	uint64_t service, written, kept;
	bool met, fresh;	/* fresh: it has not been told all */
	struct fleet_client client;
	bool joined;
	uint64_t life, node_rev, watch_at, joining;
	struct fleet_session session;
	struct fleet_peer *peer;
	bool deaf;		/* the watch lost something: all is to be read */
	uint64_t capacity, granted;
	bool trickles;		/* uses bit by bit what it may: its last second is even */
	struct pair **pair;	/* by tenant; NULL: the tenant was never there */
	unsigned *has, n_has;	/* tenants that were */
};

struct tenant {
	struct fleet_quota quota;
	uint64_t lowered_until, was;	/* the greatest rate in force until then */
	struct record *rec;
	struct use *use;
	size_t first, uses, room;
	uint64_t sum, total;
	unsigned *watchers, n_watchers;
	unsigned *on, n_on;	/* nodes on which it was */
};

enum type { TICK, USE, MOVE, FAULT, BEAT, SEND, ANSWER, EVENT, OPERATE, RETURN, MEET };
enum what { HEART, FENCE, JOIN, WRITE, READ, READ_NODES };

struct msg {
	unsigned refs;		/* events that have it, but for one */
	enum what what;
	unsigned node, run, tenant, place;
	uint64_t sent;		/* node's clock */
	uint64_t node_rev, alive_rev, held_rev, quota_rev, no, seen;
	uint64_t life;
	bool ok, fenced;
	struct record *rec;
	struct fleet_quota quota;
	unsigned guards, guard[FLEET_GUARDS];
	uint64_t guard_rev[FLEET_GUARDS];
};

struct event {
	uint64_t at, seq;
	enum type type;
	unsigned a, b;
	struct msg *m;
};

static struct {
	unsigned nodes, tenants;
	uint64_t now, end, seq, rev, quotas_rev, down;
	struct event *heap;	/* events of this slice of time; those that are later stand in `later`, in no order */
	size_t heaped, room, events;
	struct later {
		struct event *e;
		unsigned n, room;
	} *later;
	size_t slice, slices;
	struct node *node;
	struct tenant *tenant;
	struct { uint64_t rev, life, seen; bool fenced; } *place;
	struct { uint64_t rev, seen; } *alive;
	unsigned faults;	/* messages lost, of 10000 */
	unsigned late, doubled;
	unsigned lasting;	/* faults that outlast a lease, of 10000 */
	uint64_t lowered;	/* a rate that was lowered is in force so long */
	bool calm;		/* no node is cut off, and nothing dies */
	bool quotas_change, bases_change, processes;	/* processes: these die, little else is wrong */
	bool calls;		/* CPU that is used on a node is charged to a caller on another one as well */
	uint64_t move_every, sell_every, use_every;
	unsigned idle;		/* moves to nowhere, of 10000 */
	unsigned spread;	/* nodes with load that are not the last, of 10000 */
	uint64_t writes, beats, used, fences, worst;
} S;

/* Sums over all seeds; uses: each was checked against its sliding second. */
static struct {
	uint64_t seeds, seconds, node_seconds, uses, fences;
} played;

static bool chance(unsigned of_10000)
{
	return rnd() % 10000 < of_10000;
}

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void push_event(const struct event *e)
{
	size_t i = S.heaped++;

	if (S.heaped > S.room)
		S.heap = realloc(S.heap, (S.room = S.room ? 2 * S.room : 1024) * sizeof(*e));
	for (; i && before(e, &S.heap[(i - 1) / 2]); i = (i - 1) / 2)
		S.heap[i] = S.heap[(i - 1) / 2];
	S.heap[i] = *e;
}

/* A million events of a big fleet are on their way: one heap of them all misses the caches at each step. */
static void at(uint64_t when, enum type type, unsigned a, unsigned b, struct msg *m)
{
	struct event e = { when > S.now ? when : S.now, S.seq++, type, a, b, m };
	size_t slice = e.at / SLICE < S.slices ? e.at / SLICE : S.slices - 1;
	struct later *l = &S.later[slice];

	S.events++;
	if (slice <= S.slice) {
		push_event(&e);
		return;
	}
	if (l->n == l->room)
		l->e = realloc(l->e, (l->room = l->room ? 2 * l->room : 16) * sizeof(e));
	l->e[l->n++] = e;
}

static struct event next_event(void)
{
	struct event top, e;
	size_t i = 0, c;

	while (!S.heaped) {
		struct later *l = &S.later[++S.slice];

		for (i = 0; i < l->n; i++)
			push_event(&l->e[i]);
		free(l->e);
		l->e = NULL;
	}
	S.events--;
	top = S.heap[0];
	e = S.heap[--S.heaped];
	i = 0;
	while ((c = 2 * i + 1) < S.heaped) {
		if (c + 1 < S.heaped && before(&S.heap[c + 1], &S.heap[c]))
			c++;
		if (!before(&S.heap[c], &e))
			break;
		S.heap[i] = S.heap[c];
		i = c;
	}
	S.heap[i] = e;
	return top;
}

static struct record *keep(struct record *r)
{
	if (r)
		r->refs++;
	return r;
}

static void drop(struct record **r)
{
	if (*r && !--(*r)->refs)
		free(*r);
	*r = NULL;
}

static void end_msg(struct msg *m)
{
	if (m->refs--)
		return;
	drop(&m->rec);
	free(m);
}

static uint64_t clock_of(const struct node *n)
{
	return n->ahead + S.now + (uint64_t)((int64_t)(S.now / 1000000) * n->drift);
}

static bool hostile(void)
{
	return S.faults && S.now + QUIET < S.end;
}

/* A way through the network: how long, and whether at all. */
static bool way(const struct node *n, uint64_t *delay)
{
	*delay = between(100 * US, 3 * MS);
	if (!hostile())
		return S.now >= n->apart;
	if (chance(S.late))
		*delay += between(0, 5 * FLEET_SECOND);
	return S.now >= n->apart && !chance(S.faults);
}

static void send_copy(const struct node *n, const struct msg *m, enum type type)
{
	struct msg *c;
	uint64_t delay;

	if (!way(n, &delay) || (m->what == HEART && type == SEND && S.now < n->silent))
		return;
	c = malloc(sizeof(*c));
	*c = *m;
	keep(c->rec);
	at(S.now + delay, type, 0, 0, c);
}

static void send_msg(unsigned i, struct msg *m, enum type type)
{
	struct node *n = &S.node[i];

	m->node = i;
	send_copy(n, m, type);
	if (hostile() && chance(S.doubled))
		send_copy(n, m, type);
}

/* The store */

/* A node that has lost something before reads all once it knows, and with that what is said here. */
static void tell_watcher(unsigned i, struct msg *m)
{
	struct node *n = &S.node[i];
	uint64_t when;

	if (!n->up || n->deaf)
		return;
	if (S.now < n->apart || (hostile() && chance(S.faults / 4))) {
		n->deaf = true;
		return;
	}
	when = S.now + between(10 * US, 1 * MS);
	if (hostile() && chance(S.late))
		when += between(0, 2 * FLEET_SECOND);
	if (n->watch_at < when)
		n->watch_at = when;
	m->refs++;
	at(n->watch_at, EVENT, i, n->run, m);
}

/* Words of watches are one message, whoever hears it. */
static struct msg *make_event(struct msg m)
{
	struct msg *c = malloc(sizeof(*c));

	*c = m;
	keep(c->rec);
	return c;
}

static void publish_tenant(unsigned t)
{
	struct tenant *x = &S.tenant[t];
	struct msg *m = make_event((struct msg){ .what = READ, .tenant = t, .rec = x->rec, .quota = x->quota, .seen = S.quotas_rev });
	unsigned i;

	for (i = 0; i < x->n_watchers; i++)
		tell_watcher(x->watchers[i], m);
	end_msg(m);
}

static void publish_place(unsigned p)
{
	struct msg *m = make_event((struct msg){ .what = READ_NODES, .place = p, .node_rev = S.place[p].rev,
						 .life = S.place[p].life, .fenced = S.place[p].fenced });
	unsigned i;

	for (i = 0; i < S.nodes; i++)
		tell_watcher(i, m);
	end_msg(m);
}

static void watch_tenant(unsigned i, unsigned t)
{
	struct tenant *x = &S.tenant[t];
	unsigned k;

	for (k = 0; k < x->n_watchers; k++)
		if (x->watchers[k] == i)
			return;
	x->watchers = realloc(x->watchers, (x->n_watchers + 1) * sizeof(*x->watchers));
	x->watchers[x->n_watchers++] = i;
}

static void set_quota(unsigned t, uint64_t rate, uint64_t base, uint64_t next)
{
	struct tenant *x = &S.tenant[t];
	struct msg *m;
	unsigned i;

	if (rate < x->quota.rate) {
		x->was = S.now < x->lowered_until && x->was > x->quota.rate ? x->was : x->quota.rate;
		x->lowered_until = S.now + S.lowered;
	}
	x->quota = (struct fleet_quota){ ++S.rev, rate, base, next };
	S.quotas_rev = S.rev;
	publish_tenant(t);
	m = make_event((struct msg){ .what = READ, .tenant = UINT32_MAX, .seen = S.quotas_rev });
	for (i = 0; i < S.nodes; i++)
		tell_watcher(i, m);
	end_msg(m);
}

static void serve(struct msg *m)
{
	struct tenant *x = &S.tenant[m->tenant];
	unsigned i;

	if (S.now < S.down) {
		/* No leader: what came is lost, or waits. */
		if (chance(5000))
			end_msg(m);
		else
			at(S.down + between(0, 100 * MS), SEND, 0, 0, m);
		return;
	}
	switch (m->what) {
	case HEART:
		S.beats++;
		m->ok = S.place[m->node].rev == m->node_rev;
		if (m->ok) {
			S.alive[m->node].rev = ++S.rev;
			S.alive[m->node].seen = m->seen;
			if (S.place[m->node].seen < m->seen)
				S.place[m->node].seen = m->seen;
		}
		m->seen = S.quotas_rev;
		for (i = 0; i < m->guards; i++)
			m->guard_rev[i] = S.alive[m->guard[i]].rev;
		break;
	case FENCE:
		m->ok = S.place[m->place].rev == m->node_rev && S.alive[m->place].rev == m->alive_rev && !S.place[m->place].fenced;
		if (m->ok) {
			S.fences++;
			S.place[m->place].fenced = true;
			S.place[m->place].rev = ++S.rev;
			publish_place(m->place);
		}
		break;
	case JOIN:
		m->ok = S.place[m->node].rev == m->node_rev && (S.place[m->node].fenced || !S.place[m->node].rev);
		if (m->ok) {
			S.place[m->node].life++;
			S.place[m->node].fenced = false;
			S.place[m->node].rev = ++S.rev;
			publish_place(m->node);
		}
		m->life = S.place[m->node].life;
		m->node_rev = S.place[m->node].rev;
		break;
	case WRITE:
		m->ok = (x->rec ? x->rec->h.rev : 0) == m->held_rev && x->quota.rev == m->quota_rev &&
			S.place[m->node].rev == m->node_rev;
		if (m->ok) {
			struct record *r = malloc(sizeof(*r) + m->rec->h.n * sizeof(struct fleet_entry));

			S.writes++;
			memcpy(r, m->rec, sizeof(*r) + m->rec->h.n * sizeof(struct fleet_entry));
			r->refs = 1;
			r->h.rev = ++S.rev;
			drop(&x->rec);
			x->rec = r;
			publish_tenant(m->tenant);
		}
		/* The answer has what is there now. */
		m->held_rev = x->rec ? x->rec->h.rev : 0;
		/* fall through */
	case READ:
		drop(&m->rec);
		m->rec = keep(x->rec);
		if (m->what == READ || !m->ok)
			m->quota = x->quota;
		break;
	case READ_NODES:
		break;
	}
	send_msg(m->node, m, ANSWER);
	end_msg(m);
}

/* A node's agent */

static void append(unsigned **list, unsigned *n, unsigned x)
{
	if (!(*n & (*n - 1)))
		*list = realloc(*list, (*n ? 2 * *n : 1) * sizeof(**list));
	(*list)[(*n)++] = x;
}

static struct pair *pair_of(unsigned i, unsigned t)
{
	struct node *n = &S.node[i];

	if (!n->pair[t]) {
		n->pair[t] = calloc(1, sizeof(struct pair));
		append(&n->has, &n->n_has, t);
		append(&S.tenant[t].on, &S.tenant[t].n_on, i);
	}
	return n->pair[t];
}

static bool runs(const struct node *n)
{
	return n->up && S.now >= n->stopped;
}

static void forget_pair(struct pair *p)
{
	drop(&p->rec);
	drop(&p->write);
	memset(&p->part, 0, sizeof(p->part));
	memset(&p->demand, 0, sizeof(p->demand));
	memset(&p->quota, 0, sizeof(p->quota));
	p->blocked = 0;
}

static void leave_log(struct pair *p, uint64_t now)
{
	while (p->uses && now >= p->use[p->first].at + FLEET_SECOND) {
		p->sum -= p->use[p->first].amount;
		p->first = (p->first + 1) % USES;
		p->uses--;
	}
}

static void tell_scheduler(struct node *n, struct pair *p, uint64_t now)
{
	uint64_t rate = fleet_part_usable(&p->part, now);

	if (!n->met || !fleet_client_may_hear(&n->client, now))
		return;
	n->written = n->service;
	fleet_client_told(&n->client, n->service);
	n->granted = n->granted + rate - p->rate;
	p->rate = rate;
	p->until = n->session.deadline;
	p->base = fleet_base(&p->quota);
}

static void send_write(unsigned i, unsigned t, struct pair *p)
{
	struct msg m = { .what = WRITE, .tenant = t, .run = S.node[i].run, .rec = p->write, .held_rev = p->write->h.rev,
			 .quota_rev = p->write_quota, .node_rev = p->write_node, .no = p->part.pending_no };

	p->resend = clock_of(&S.node[i]) + FLEET_SECOND;
	send_msg(i, &m, SEND);
}

static bool is_void(void *arg, uint32_t place, uint32_t life)
{
	return fleet_peer_void(&((struct node *)arg)->peer[place], life);
}

static void plan_pair(unsigned i, unsigned t)
{
	static const struct fleet_held none;
	struct node *n = &S.node[i];
	struct pair *p = n->pair[t];
	uint64_t now = clock_of(n), room, amount[USES], when[USES];
	struct fleet_wish w = { .is_void = is_void, .arg = n, .until = n->session.deadline };
	const struct fleet_held *h;
	struct record *r;
	unsigned k;

	if (!n->joined || !p->quota.rev)
		return;
	if (p->part.place != i || p->part.life != n->life) {
		struct fleet_part fresh = { .place = i, .life = (uint32_t)n->life };

		drop(&p->write);
		fresh.pending_no = p->part.pending_no + 1;
		p->part = fresh;
		if (p->rec)
			fleet_part_see(&p->part, now, &p->rec->h);
	}
	if (p->part.pending && p->write) {
		if (now >= p->resend)
			send_write(i, t, p);
		return;
	}
	if (now < p->blocked)
		return;
	leave_log(p, now);
	w.pool = fleet_pool(&p->quota, S.nodes);
	for (k = 0; k < p->uses; k++) {
		amount[k] = p->use[(p->first + k) % USES].amount;
		when[k] = p->use[(p->first + k) % USES].at;
	}
	fleet_used_steps(amount, when, p->uses, now, w.used);
	for (k = 0; k < FLEET_STEPS; k++)
		w.used[k] = w.used[k] > fleet_base(&p->quota) ? w.used[k] - fleet_base(&p->quota) : 0;
	room = n->capacity / 10 * 7;
	w.room = room > n->granted ? room - n->granted : 0;
	w.want = fleet_want(&p->demand, now, p->wants ? w.used[0] : 0, p->wants && p->was_short && n->met, w.pool);
	h = p->rec ? &p->rec->h : &none;
	r = malloc(sizeof(*r) + (h->n + 1) * sizeof(struct fleet_entry));
	r->refs = 1;
	if (!fleet_part_plan(&p->part, now, h, &w, &r->h)) {
		free(r);
		return;
	}
	tell_scheduler(n, p, now);
	drop(&p->write);
	p->write = r;
	p->write_node = n->node_rev;
	p->write_quota = p->quota.rev;
	send_write(i, t, p);
}

static void read_tenant(unsigned i, unsigned t)
{
	struct msg m = { .what = READ, .tenant = t, .run = S.node[i].run };

	watch_tenant(i, t);
	send_msg(i, &m, SEND);
}

static void tick(unsigned i, unsigned t)
{
	struct node *n = &S.node[i];
	struct pair *p = n->pair[t];

	if (!n->up) {
		p->ticks = false;
		return;
	}
	if (runs(n) && n->joined) {
		if (!p->quota.rev)
			read_tenant(i, t);
		plan_pair(i, t);
		if (p->quota.rev)
			tell_scheduler(n, p, clock_of(n));
	}
	if (!p->wants && !p->part.rate && !p->part.pending && p->part.rev && !p->demand.want) {
		p->ticks = false;
		return;
	}
	at(S.now + between(20 * MS, 60 * MS), TICK, i, t, NULL);
}

static void start_ticks(unsigned i, unsigned t)
{
	struct pair *p = pair_of(i, t);

	if (!p->ticks) {
		p->ticks = true;
		at(S.now, TICK, i, t, NULL);
	}
}

static void see_tenant(unsigned i, const struct msg *m)
{
	struct node *n = &S.node[i];
	struct pair *p = pair_of(i, m->tenant);

	if (m->quota.rev > p->quota.rev)
		p->quota = m->quota;
	if (m->rec && n->joined && p->part.life == n->life && p->part.place == i && p->part.life) {
		if (fleet_part_see(&p->part, clock_of(n), &m->rec->h)) {
			drop(&p->rec);
			p->rec = keep(m->rec);
		}
	} else if (m->rec && (!p->rec || m->rec->h.rev > p->rec->h.rev)) {
		drop(&p->rec);
		p->rec = keep(m->rec);
	}
	tell_scheduler(n, p, clock_of(n));
	start_ticks(i, m->tenant);
	plan_pair(i, m->tenant);
}

static void end_life(struct node *n)
{
	n->joined = false;
	fleet_session_end(&n->session);
}

static void see_place(unsigned i, const struct msg *m)
{
	struct node *n = &S.node[i];

	fleet_peer_node(&n->peer[m->place], m->node_rev, (uint32_t)m->life, m->fenced);
	if (m->place == i && n->joined && fleet_peer_void(&n->peer[i], (uint32_t)n->life))
		end_life(n);
}

/* A watch that lost something: all is read, as after a compaction. */
static void read_all(unsigned i)
{
	struct node *n = &S.node[i];
	uint64_t quotas = S.quotas_rev;
	unsigned k;

	if (S.now < n->apart || S.now < S.down)
		return;
	n->deaf = false;
	for (k = 0; k < S.nodes; k++) {
		struct msg m = { .place = k, .node_rev = S.place[k].rev, .life = S.place[k].life, .fenced = S.place[k].fenced };

		if (S.place[k].rev)
			see_place(i, &m);
	}
	for (k = 0; k < n->n_has; k++) {
		const struct tenant *x = &S.tenant[n->has[k]];
		struct msg m = { .tenant = n->has[k], .rec = x->rec, .quota = x->quota };

		watch_tenant(i, n->has[k]);
		see_tenant(i, &m);
	}
	fleet_session_saw(&n->session, quotas);
}

static void beat(unsigned i)
{
	struct node *n = &S.node[i];
	struct msg m = { .what = HEART, .run = n->run, .life = n->life, .node_rev = n->node_rev, .sent = clock_of(n) };
	struct msg f = { .what = FENCE, .run = n->run };
	uint64_t now = clock_of(n);
	unsigned k;

	at(S.now + between(FLEET_BEAT / 2, FLEET_BEAT), BEAT, i, 0, NULL);
	if (!runs(n))
		return;
	if (n->deaf)
		read_all(i);
	if (n->fresh && n->met && fleet_client_may_hear(&n->client, now)) {
		for (k = 0; k < n->n_has; k++)
			tell_scheduler(n, n->pair[n->has[k]], now);
		n->fresh = false;
	}
	if (!n->fresh)
		n->kept = n->session.seen;
	m.guards = fleet_guards(n->peer, S.nodes, i, m.guard);
	if (!n->joined && n->peer[i].node_rev && !n->peer[i].fenced)
		m.guard[m.guards > FLEET_GUARDS - 1 ? FLEET_GUARDS - 1 : m.guards++] = i;
	for (k = 0; k < S.nodes; k++)
		if ((k != i || !n->joined) && fleet_peer_is_over(&n->peer[k], now)) {
			f.place = k;
			f.node_rev = n->peer[k].node_rev;
			f.alive_rev = n->peer[k].alive_rev;
			send_msg(i, &f, SEND);
		}
	if (!n->joined && !n->deaf) {
		struct msg j = { .what = JOIN, .run = n->run, .node_rev = n->peer[i].node_rev };

		m.node_rev = UINT64_MAX;
		if (!n->peer[i].node_rev || n->peer[i].fenced)
			send_msg(i, &j, SEND);
	}
	m.seen = fleet_session_settled(&n->session, now, n->kept);
	send_msg(i, &m, SEND);
}

static void answered(struct msg *m)
{
	struct node *n = &S.node[m->node];
	uint64_t now = clock_of(n);
	struct pair *p;
	unsigned k;

	if (!n->up || m->run != n->run) {
		end_msg(m);
		return;
	}
	if (S.now < n->stopped) {
		at(n->stopped, ANSWER, 0, 0, m);
		return;
	}
	switch (m->what) {
	case HEART:
		if (m->ok && n->joined && m->life == n->life)
			fleet_session_beat(&n->session, m->sent, m->seen);
		for (k = 0; k < m->guards; k++)
			fleet_peer_alive(&n->peer[m->guard[k]], now, m->guard_rev[k]);
		break;
	case JOIN:
		if (m->ok && !n->joined && m->node_rev >= n->peer[m->node].node_rev) {
			n->life = m->life;
			n->node_rev = m->node_rev;
			n->joined = true;
			fleet_session_end(&n->session);
			fleet_peer_node(&n->peer[m->node], m->node_rev, (uint32_t)m->life, false);
			for (k = 0; k < n->n_has; k++)
				start_ticks(m->node, n->has[k]);
		}
		break;
	case WRITE:
		p = pair_of(m->node, m->tenant);
		if (!m->ok)
			fleet_part_refused(&p->part, m->no, m->held_rev);
		/* fall through */
	case READ:
		see_tenant(m->node, m);
		break;
	default:
		break;
	}
	end_msg(m);
}

static void watch_event(unsigned i, unsigned run, struct msg *m)
{
	struct node *n = &S.node[i];

	if (!n->up || run != n->run || n->deaf) {
		end_msg(m);
		return;
	}
	if (S.now < n->stopped) {
		n->watch_at = n->stopped;
		at(n->stopped, EVENT, i, run, m);
		return;
	}
	if (m->what == READ_NODES)
		see_place(i, m);
	else if (m->tenant == UINT32_MAX)
		fleet_session_saw(&n->session, m->seen);
	else
		see_tenant(i, m);
	end_msg(m);
}

static void start_agent(unsigned i)
{
	struct node *n = &S.node[i];
	unsigned k;

	n->up = true;
	n->run++;
	n->joined = false;
	n->stopped = 0;
	n->deaf = true;
	n->watch_at = 0;
	n->met = false;
	n->fresh = true;
	n->kept = 0;
	fleet_client_begin(&n->client, clock_of(n), n->written, n->written, n->written == n->service);
	/* A service meets the agent soon, unless the thread that would gets no CPU. */
	at(S.now + between(0, hostile() && chance(S.processes ? 7000 : 2000) ? 8 * FLEET_SECOND : FLEET_MEETS), MEET, i, (unsigned)n->service, NULL);
	memset(&n->session, 0, sizeof(n->session));
	memset(n->peer, 0, S.nodes * sizeof(*n->peer));
	for (k = 0; k < n->n_has; k++)
		forget_pair(n->pair[n->has[k]]);
}

/* All that the agent of a node that runs hears of the processes there. */
static void see_service(struct node *n)
{
	if (n->client.lives && n->client.told != n->service)
		fleet_client_ended(&n->client, clock_of(n));
}

static void meet_agent(unsigned i, unsigned service)
{
	struct node *n = &S.node[i];

	if (service != n->service || n->met || !n->up)
		return;
	if (S.now < n->stopped) {
		at(n->stopped, MEET, i, service, NULL);
		return;
	}
	see_service(n);
	if (fleet_client_may_join(&n->client, service))
		n->met = true;
	else
		at(S.now + between(10 * MS, FLEET_MEETS), MEET, i, service, NULL);
}

/* The service of a node is killed, and the next one starts: it knows nothing of what this one used. */
static void kill_service(unsigned i)
{
	struct node *n = &S.node[i];
	uint64_t now = clock_of(n);
	struct pair *p;
	unsigned k;

	for (k = 0; k < n->n_has; k++) {
		p = n->pair[n->has[k]];
		p->blocked = (p->rate && p->until > now ? p->until : now) + FLEET_SECOND;
		n->granted -= p->rate;
		p->base = p->rate = p->until = p->sum = 0;
		p->uses = 0;
	}
	if (n->met && runs(n))
		fleet_client_left(&n->client, clock_of(n));
	n->met = false;
	n->fresh = true;
	n->service++;
	if (runs(n))
		see_service(n);
	at(S.now + between(1 * MS, 300 * MS), MEET, i, (unsigned)n->service, NULL);
}

/*
 * CPU that a child call used here is charged to its caller on another node of the tenant's, too (Q11): that is asked of no quota,
 * and is no CPU that anybody used there.
 */
static void charge_caller(unsigned i, unsigned t, uint64_t part)
{
	const struct tenant *x = &S.tenant[t];
	unsigned k = x->on[rnd() % x->n_on];
	struct pair *p = S.node[k].pair[t];
	uint64_t now = clock_of(&S.node[k]);

	leave_log(p, now);
	if (k == i || p->uses == USES)
		return;
	p->use[(p->first + p->uses++) % USES] = (struct use){ now, part };
	p->sum += part;
}

/* A node's scheduler uses what it may. */
static void use_cpu(unsigned i, unsigned t)
{
	struct node *n = &S.node[i];
	struct tenant *x = &S.tenant[t];
	struct pair *p = n->pair[t];
	uint64_t now = clock_of(n), quota, part = 0, window = FLEET_SECOND - FLEET_SECOND * 2 * FLEET_DRIFT / 1000000, most;

	if (!p->wants)
		return;
	at(S.now + between(S.use_every, 5 * S.use_every), USE, i, t, NULL);
	leave_log(p, now);
	quota = p->base + (now < p->until ? p->rate : 0);
	p->was_short = true;
	if (p->burst_at > S.now)
		return;
	if (S.now + QUIET / 2 < S.end && chance(100))
		p->burst_at = S.now + between(0, 1200 * MS);
	if (quota > p->sum && p->uses < USES)
		part = quota - p->sum;
	if (part > MS && n->trickles && S.now + QUIET / 2 < S.end)
		part = between(1, part / 4);
	if (!part)
		return;
	p->use[(p->first + p->uses++) % USES] = (struct use){ now, part };
	p->sum += part;
	p->total += part;
	if (S.calls && S.now + QUIET / 2 < S.end && chance(5000))
		charge_caller(i, t, part);
	/* The books. */
	if (x->uses == x->room) {
		struct use *a = malloc(2 * (x->room + 64) * sizeof(*a));
		size_t k;

		for (k = 0; k < x->uses; k++)
			a[k] = x->use[(x->first + k) % x->room];
		free(x->use);
		x->use = a;
		x->first = 0;
		x->room = 2 * (x->room + 64);
	}
	while (x->uses && S.now >= x->use[x->first].at + window) {
		x->sum -= x->use[x->first].amount;
		x->first = (x->first + 1) % x->room;
		x->uses--;
	}
	x->use[(x->first + x->uses++) % x->room] = (struct use){ S.now, part };
	x->sum += part;
	x->total += part;
	S.used += part;
	played.uses++;
	most = x->quota.rate;
	if (S.now < x->lowered_until && x->was > most)
		most = x->was;
	MUST(x->sum <= most, "tenant %u used %" PRIu64 " ns in a second, and bought %" PRIu64, t, x->sum, most);
}

static void want_cpu(unsigned i, unsigned t, bool wants)
{
	struct pair *p = pair_of(i, t);

	if (p->wants == wants)
		return;
	p->wants = wants;
	if (wants) {
		start_ticks(i, t);
		at(S.now, USE, i, t, NULL);
	}
}

/* Load moves: a tenant is wanted on one node, or on some. */
static void move_load(unsigned t)
{
	unsigned i;

	if (S.now + QUIET / 2 >= S.end)
		return;
	at(S.now + between(S.move_every / 2, S.move_every * 3 / 2), MOVE, t, 0, NULL);
	for (i = 0; i < S.tenant[t].n_on; i++)
		want_cpu(S.tenant[t].on[i], t, false);
	if (chance(S.idle))
		return;
	do
		want_cpu((unsigned)between(0, S.nodes - 1), t, true);
	while (chance(S.spread));
}

static void make_fault(void)
{
	unsigned i = (unsigned)between(0, S.nodes - 1), k;
	struct node *n = &S.node[i];
	uint64_t time = chance(S.lasting) ? between(2 * FLEET_SECOND, 12 * FLEET_SECOND) : between(10 * MS, 2 * FLEET_SECOND);

	if (!hostile() || S.calm)
		return;
	at(S.now + between(0, 20 * FLEET_SECOND / S.nodes), FAULT, 0, 0, NULL);
	switch (S.processes && chance(8000) ? (chance(3000) ? 3 : 9) : rnd() % 12) {
	case 0:
	case 1:
		n->apart = S.now + time;
		n->deaf = true;
		break;
	case 2:
		n->stopped = S.now + time;
		break;
	case 3:		/* the agent dies */
		n->up = false;
		n->run++;
		at(S.now + time, RETURN, i, 0, NULL);
		break;
	case 4:		/* the node dies: its scheduler too */
		n->up = false;
		n->run++;
		kill_service(i);
		at(S.now + time, RETURN, i, 0, NULL);
		break;
	case 5:
		if (chance(40000 / S.nodes))
			S.down = S.now + between(10 * MS, 4 * FLEET_SECOND);
		break;
	case 6:
		n->deaf = true;
		break;
	case 7:		/* the watch says nothing for a while, and does not end */
		n->watch_at = S.now + time + (chance(5000) ? FLEET_LOWERED : 0);
		break;
	case 8:
		n->silent = S.now + time;
		break;
	case 9:
	case 10:
		kill_service(i);
		break;
	default:	/* half of the fleet is cut off */
		for (k = chance(40000 / S.nodes) ? 0 : S.nodes; k < S.nodes; k += 2) {
			S.node[k].apart = S.now + time;
			S.node[k].deaf = true;
		}
	}
}

/* Somebody sells. */
static void operate(void)
{
	unsigned t = (unsigned)between(0, S.tenants - 1), i;
	const struct tenant *x = &S.tenant[t];
	uint64_t rate = S.bases_change || chance(3000) ? x->quota.rate : between(FLEET_SECOND / 2, 4 * FLEET_SECOND);
	uint64_t base = S.bases_change ? between(0, rate) : rate / 20;
	struct fleet_quota q;

	if (!hostile() || (!S.quotas_change && !S.bases_change))
		return;
	at(S.now + between(0, S.sell_every), OPERATE, 0, 0, NULL);
	for (i = 0; i < S.nodes && S.place[i].seen >= x->quota.rev; i++)
		;
	q = fleet_quota_set(&x->quota, rate, base / S.nodes, S.nodes, x->rec ? fleet_held_sum(&x->rec->h) : 0, i == S.nodes);
	set_quota(t, q.rate, q.base, q.next);
}

static void build(unsigned nodes, unsigned tenants, uint64_t time)
{
	unsigned i;

	rng = seed_now;
	memset(&S, 0, sizeof(S));
	S.nodes = nodes;
	S.tenants = tenants;
	S.end = time;
	S.slices = time / SLICE + 2;
	S.later = calloc(S.slices, sizeof(*S.later));
	S.node = calloc(nodes, sizeof(*S.node));
	S.tenant = calloc(tenants, sizeof(*S.tenant));
	S.place = calloc(nodes, sizeof(*S.place));
	S.alive = calloc(nodes, sizeof(*S.alive));
	S.move_every = 5 * FLEET_SECOND;
	S.sell_every = 2 * FLEET_SECOND;
	S.use_every = 5 * MS;
	S.spread = 3000;
	S.lowered = FLEET_LOWERED;
	for (i = 0; i < nodes; i++) {
		struct node *n = &S.node[i];

		n->ahead = between(1, 1000 * FLEET_SECOND);
		n->drift = (int64_t)between(0, 2 * FLEET_DRIFT) - (int64_t)FLEET_DRIFT;
		if (chance(5000))
			n->drift = chance(5000) ? (int64_t)FLEET_DRIFT : -(int64_t)FLEET_DRIFT;
		n->peer = calloc(nodes, sizeof(*n->peer));
		n->pair = calloc(tenants, sizeof(*n->pair));
		n->capacity = (chance(1000) ? 1 : 64) * FLEET_SECOND;
		n->trickles = chance(5000);
		n->service = 1;
		start_agent(i);
		at(between(0, FLEET_BEAT), BEAT, i, 0, NULL);
	}
	for (i = 0; i < tenants; i++) {
		uint64_t rate = between(FLEET_SECOND / 2, 4 * FLEET_SECOND);

		/* Each agent reads it when it starts. */
		S.tenant[i].quota = (struct fleet_quota){ ++S.rev, rate, rate / 20 / nodes, rate / 20 / nodes };
		S.quotas_rev = S.rev;
		at(between(0, FLEET_SECOND), MOVE, i, 0, NULL);
	}
}

static void say_state(unsigned t)
{
	const struct tenant *x = &S.tenant[t];
	unsigned i;

	printf("# tenant %u: rate %" PRIu64 " base %" PRIu64 " next %" PRIu64 " rev %" PRIu64 "\n", t, x->quota.rate, x->quota.base,
	       x->quota.next, x->quota.rev);
	for (i = 0; x->rec && i < x->rec->h.n; i++)
		printf("# rev %" PRIu64 ": place %u life %u rate %" PRIu64 " wants %" PRIu64 "\n", x->rec->h.rev, x->rec->h.entry[i].place,
		       x->rec->h.entry[i].life, x->rec->h.entry[i].rate, x->rec->h.entry[i].want);
	for (i = 0; x->rec && i < x->rec->h.cools; i++)
		printf("# cooling %" PRIu64 ": %" PRIu64 "\n", x->rec->h.cool[i].id, x->rec->h.cool[i].rate);
	for (i = 0; i < S.nodes; i++) {
		const struct node *n = &S.node[i];
		const struct pair *p = n->pair[t];

		printf("# node %u: %s life %" PRIu64 " (store %" PRIu64 "%s) deadline in %" PRId64 " seen %" PRIu64 " of %" PRIu64 "%s\n", i,
		       n->joined ? "joined" : "out", n->life, S.place[i].life, S.place[i].fenced ? " fenced" : "",
		       (int64_t)(n->session.deadline - clock_of(n)), n->session.seen, S.quotas_rev, n->deaf ? " deaf" : "");
		if (p)
			printf("#   %s, part life %u rev %" PRIu64 " rate %" PRIu64 " %s; told %" PRIu64 " + %" PRIu64 ", demand %" PRIu64 "%s\n",
			       p->wants ? "wants" : "idle", p->part.life, p->part.rev, p->part.rate, p->part.pending ? "pending" : "",
			       p->base, p->rate, p->demand.want, p->ticks ? "" : " no ticks");
	}
}

static void run(void)
{
	uint64_t total = 0, must = 0, *mark = calloc(S.tenants, sizeof(*mark)), from = S.end - QUIET / 4;
	unsigned i, t, wanted;
	bool marked = false;

	at(FLEET_SECOND, FAULT, 0, 0, NULL);
	at(FLEET_SECOND, OPERATE, 0, 0, NULL);
	while (S.events) {
		struct event e = next_event();

		if (e.at >= S.end) {
			if (e.m)
				end_msg(e.m);
			continue;
		}
		S.now = e.at;
		MUST(S.events < 100000 + 1000 * (size_t)S.nodes + 100 * (size_t)S.tenants, "messages breed: %zu of them", S.events);
		if (!marked && S.now >= from) {
			marked = true;
			for (t = 0; t < S.tenants; t++) {
				mark[t] = S.tenant[t].total;
				for (i = 0; i < S.tenant[t].n_on; i++) {
					struct pair *p = S.node[S.tenant[t].on[i]].pair[t];

					p->mark = p->total;
				}
			}
		}
		switch (e.type) {
		case TICK:
			tick(e.a, e.b);
			break;
		case USE:
			use_cpu(e.a, e.b);
			break;
		case MOVE:
			move_load(e.a);
			break;
		case FAULT:
			make_fault();
			break;
		case BEAT:
			beat(e.a);
			break;
		case SEND:
			serve(e.m);
			break;
		case ANSWER:
			answered(e.m);
			break;
		case EVENT:
			watch_event(e.a, e.b, e.m);
			break;
		case OPERATE:
			operate();
			break;
		case MEET:
			meet_agent(e.a, e.b);
			break;
		case RETURN:
			start_agent(e.a);
			break;
		}
	}
	/* The quiet end: those that want get 90% of what there is, and each of them 80% of an even part. */
	for (t = 0; t < S.tenants; t++) {
		const struct fleet_quota *q = &S.tenant[t].quota;
		uint64_t got = S.tenant[t].total - mark[t], pool = fleet_pool(q, S.nodes), may = 0;
		bool small = false;

		for (wanted = i = 0; i < S.tenant[t].n_on; i++) {
			const struct node *n = &S.node[S.tenant[t].on[i]];

			if (n->pair[t]->wants) {
				wanted++;
				small |= n->capacity < 8 * FLEET_SECOND;
			}
		}
		may = (uint64_t)((double)(pool + wanted * fleet_base(q)) * (double)(S.end - from) / 1e9 * (1 - 2 * FLEET_DRIFT / 1e6));
		if (small || !wanted)
			continue;
		total += got;
		must += may;
		if (got < may - may / 10)
			say_state(t);
		MUST(got >= may - may / 10, "tenant %u got %" PRIu64 " ns of %" PRIu64 " in the quiet end", t, got, may);
		for (i = 0; i < S.tenant[t].n_on; i++) {
			const struct pair *p = S.node[S.tenant[t].on[i]].pair[t];

			if (p->wants && p->total - p->mark < may / wanted / 10 * 8)
				say_state(t);
			MUST(!p->wants || p->total - p->mark >= may / wanted / 10 * 8,
			     "node %u got %" PRIu64 " ns of %" PRIu64 " for tenant %u in the quiet end", S.tenant[t].on[i],
			     p->total - p->mark, may / wanted, t);
		}
	}
	played.seeds++;
	played.seconds += S.end / FLEET_SECOND;
	played.node_seconds += S.nodes * (S.end / FLEET_SECOND);
	played.fences += S.fences;
	if (getenv("SIM_SAYS"))
		printf("# %u nodes, %u tenants: used %.3f s, %.4f of what could be at the end, writes %.3f and heartbeats %.2f a second for a node, %" PRIu64 " fences\n",
		       S.nodes, S.tenants, (double)S.used / 1e9, must ? (double)total / (double)must : 0.,
		       (double)S.writes / ((double)S.end / 1e9) / S.nodes, (double)S.beats / ((double)S.end / 1e9) / S.nodes, S.fences);
	free(mark);
	for (i = 0; i < S.nodes; i++) {
		for (t = 0; t < S.node[i].n_has; t++) {
			struct pair *p = S.node[i].pair[S.node[i].has[t]];

			drop(&p->rec);
			drop(&p->write);
			free(p);
		}
		free(S.node[i].pair);
		free(S.node[i].has);
		free(S.node[i].peer);
	}
	for (t = 0; t < S.tenants; t++) {
		drop(&S.tenant[t].rec);
		free(S.tenant[t].use);
		free(S.tenant[t].watchers);
		free(S.tenant[t].on);
	}
	free(S.node);
	free(S.tenant);
	free(S.place);
	free(S.alive);
	free(S.heap);
	free(S.later);
}

/* Scenarios */

static void build_faults(unsigned nodes, unsigned tenants, uint64_t time, unsigned most)
{
	build(nodes, tenants, time);
	S.faults = S.late = S.doubled = (unsigned)between(1, most);
	S.lasting = 3000;
}

static void quiet(void)
{
	build(4, 6, 60 * FLEET_SECOND);
	run();
}

static void faults(void)
{
	build_faults(4, 3, 100 * FLEET_SECOND, 600);
	S.move_every = between(FLEET_SECOND / 2, 10 * FLEET_SECOND);
	run();
}

static void quotas(void)
{
	build_faults(3, 3, 100 * FLEET_SECOND, 300);
	S.quotas_change = true;
	run();
}

/* The rate is one, and the base of it that each place has moves: that shows what is used of both at once. */
static void bases(void)
{
	build_faults((unsigned)(2 + seed_now % 2), 1, 100 * FLEET_SECOND, 300);
	S.bases_change = true;
	S.spread = 8000;
	run();
}

/* Messages come late and twice, cuts outlast leases, and little else is written meanwhile. */
static void late(void)
{
	build_faults((unsigned)(2 + seed_now % 3), 1, 100 * FLEET_SECOND, 300);
	S.late = (unsigned)between(300, 5000);
	S.doubled = (unsigned)between(300, 5000);
	S.lasting = 7000;
	S.bases_change = chance(7000);
	S.move_every = between(FLEET_SECOND / 2, 3 * FLEET_SECOND);
	S.idle = 2000;
	S.spread = 6000;
	run();
}

/* Nodes die, or are cut off, for longer than their leases, while all want all; every other clock is slow, the others are fast. */
static void deaths(void)
{
	unsigned i;

	build_faults((unsigned)(2 + seed_now % 3), 1, 100 * FLEET_SECOND, 50);
	S.lasting = 9000;
	S.move_every = between(FLEET_SECOND / 2, 10 * FLEET_SECOND);
	S.spread = 7000;
	for (i = 0; i < S.nodes; i++)
		S.node[i].drift = i % 2 ? (int64_t)FLEET_DRIFT : -(int64_t)FLEET_DRIFT;
	run();
}

/* Agents and services die, and meet each other late; half of what was bought is base. */
static void services(void)
{
	unsigned i;

	build_faults((unsigned)(2 + seed_now % 2), 1, 100 * FLEET_SECOND, 50);
	S.processes = true;
	S.spread = 8000;
	for (i = 0; i < S.tenants; i++)
		S.tenant[i].quota.base = S.tenant[i].quota.next = S.tenant[i].quota.rate / 2 / S.nodes;
	run();
}

/* Requests call other nodes, and are charged with what was used there. */
static void calls(void)
{
	build_faults((unsigned)(2 + seed_now % 3), 1, 100 * FLEET_SECOND, 300);
	S.calls = true;
	S.spread = 8000;
	S.move_every = between(FLEET_SECOND / 2, 5 * FLEET_SECOND);
	run();
}

/*
 * Quotas change, and load moves faster than a second: what was given is cooling, and taken before that is over, again and again. No node is cut off
 * or dies, so a rate that was lowered is out of force long before FLEET_LOWERED.
 */
static void lowered(void)
{
	build((unsigned)(3 + seed_now % 2), 1, 70 * FLEET_SECOND);
	S.faults = 1;
	S.quotas_change = S.calm = true;
	S.lowered = LOWERED_IN_CALM;
	S.sell_every = 20 * FLEET_SECOND;
	S.move_every = between(FLEET_SECOND / 5, FLEET_SECOND);
	S.spread = (unsigned)between(0, 5000);
	run();
}

static const struct scenario scenarios[] = { { "quiet", quiet, 1 }, { "faults", faults, 1 }, { "quotas", quotas, 1 },
					     { "bases", bases, 1 }, { "late", late, 1 }, { "deaths", deaths, 1 },
					     { "services", services, 1 }, { "calls", calls, 1 },
					     { "lowered", lowered, 4 } };

#define SCENARIOS (sizeof(scenarios) / sizeof(*scenarios))

static uint64_t seeds = 3;

TEST(quiet) { run_seeds(&scenarios[0], seeds); }
TEST(faults) { run_seeds(&scenarios[1], seeds); }
TEST(quotas) { run_seeds(&scenarios[2], seeds); }
TEST(bases) { run_seeds(&scenarios[3], seeds); }
TEST(late) { run_seeds(&scenarios[4], seeds); }
TEST(deaths) { run_seeds(&scenarios[5], seeds); }
TEST(services) { run_seeds(&scenarios[6], seeds); }
TEST(calls) { run_seeds(&scenarios[7], seeds); }
TEST(lowered) { run_seeds(&scenarios[8], seeds); }

static unsigned big_nodes, big_tenants;
static uint64_t big_time;
static bool big_load_is_rare;

static void big(void)
{
	build_faults(big_nodes, big_tenants, big_time * FLEET_SECOND, 200);
	S.quotas_change = true;
	if (big_load_is_rare) {
		S.idle = 9000;
		S.use_every = 15 * MS;
	}
	run();
}

/* All scenarios in turn, as often as `every` says, to the first find. */
static void first_find(void)
{
	uint64_t i;
	size_t k;

	for (i = 1; i <= seeds; i++)
		for (k = 0; k < SCENARIOS; k++)
			if ((i - 1) % scenarios[k].every == 0)
				run_seed(&scenarios[k], i);
}

static char **big_seed;

static void big_fleets(void)
{
	static const struct scenario scenario = { "big", big, 1 };

	for (; *big_seed; big_seed++)
		run_seed(&scenario, strtoull(*big_seed, NULL, 0));
}

static int caught(void (*fn)(void))
{
	if (setjmp(tap_env)) {
		printf("not ok - %s\n", tap_why);
		return 1;
	}
	fn();
	printf("# %" PRIu64 " seeds, %" PRIu64 " s of fleets, %" PRIu64 " of nodes; %" PRIu64 " uses, each within its second; %" PRIu64 " fences\n",
	       played.seeds, played.seconds, played.node_seconds, played.uses, played.fences);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "-f")) {
		seeds = strtoull(argv[2], NULL, 0);
		return caught(first_find);
	}
	if (argc >= 6 && (!strcmp(argv[1], "-n") || !strcmp(argv[1], "-l"))) {
		big_load_is_rare = argv[1][1] == 'l';
		big_nodes = (unsigned)atoi(argv[2]);
		big_tenants = (unsigned)atoi(argv[3]);
		big_time = strtoull(argv[4], NULL, 0);
		big_seed = argv + 5;
		return caught(big_fleets);
	}
	return scenario_main(scenarios, SCENARIOS, &seeds, argc, argv);
}
