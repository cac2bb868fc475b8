// SPDX-License-Identifier: GPL-2.0-or-later
/* A node's part of each rate; rates.h. */
#include "config.h"
#ifdef HAVE_FLEET
#include "rates.h"

#include <stdlib.h>
#include <string.h>

#include "scheduler.h"
#include "store.h"

#define RETRY		(FLEET_SECOND / 4)
#define WRITES_MOST	32	/* in a transaction: etcd takes 128 operations */
#define LOW_PERCENT	70
#define LATELY		7	/* demand is what was used in the last 3/10 s */

/*
 * A transaction has the writes of up to WRITES_MOST rates, and one is on its way at a time: writes that are due meanwhile go
 * together. Where any of its comparisons fails, none of them is applied, and those that were right go again, each in a
 * transaction of its own.
 */
struct written {
	struct agent *a;
	uint64_t life;
	unsigned n;
	struct {
		struct pair *p;
		uint64_t no;
	} write[WRITES_MOST];
};

/* The node's own key, from the store: a life whose key changed is over. */
static void see_own(struct agent *a, const json_t *kv)
{
	char *key = NULL, *value = NULL;
	uint64_t rev = 0;

	if (kv) {
		agent_apply_json(a, kv);
		if (etcd_kv(kv, &key, &value, &rev))
			free(value);
		free(key);
	}
	if (a->joined && rev != a->node_rev) {
		agent_end_life(a, "its key changed");
		a->stale = true;
	}
}

/* The write was applied. */
static void note_applied(struct agent *a, struct pair *p, uint64_t no, uint64_t rev)
{
	struct fleet_held *h;

	if (!p->part.pending || p->part.pending_no != no || !p->write)
		return;
	h = malloc(FLEET_HELD_SIZE(p->write->n));
	memcpy(h, p->write, FLEET_HELD_SIZE(p->write->n));
	h->rev = rev;
	agent_see_held(a, p, h, true);
}

/* The transaction was refused; held and quota are what the store has. alone: nothing else was in the transaction. */
static void note_refused(struct agent *a, struct pair *p, uint64_t no, const json_t *held, const json_t *quota, bool alone)
{
	char *key = NULL, *value = NULL;
	uint64_t rev = 0;

	if (held) {
		agent_apply_json(a, held);
		if (etcd_kv(held, &key, &value, &rev))
			free(value);
		free(key);
	}
	if (quota)
		agent_apply_json(a, quota);
	if (rev != (p->exists && p->write ? p->write->rev : 0))
		return;
	fleet_part_refused(&p->part, no, p->write ? p->write->rev : 0);
	p->alone = true;
	/* A quota that this node cannot read: the next write is refused as well. */
	if (alone && p->quota.rev == p->write_quota && p->blocked < p->resend)
		p->blocked = p->resend;
}

static void write_done(void *arg, const json_t *answer)
{
	struct written *w = arg;
	struct agent *a = w->a;
	bool applied = answer && json_is_true(json_object_get(answer, "succeeded"));
	struct pair *p;
	unsigned i;

	a->writing = false;
	a->applied += applied;
	a->not_applied += answer && !applied;
	a->unanswered += !answer;
	for (i = 0; i < w->n; i++) {
		p = w->write[i].p;
		p->in_flight = false;
		p->resend = agent_now() + RETRY;
		p->active = true;
		if (!answer || w->life != a->life)
			continue;
		p->alone = false;
		if (applied)
			note_applied(a, p, w->write[i].no, etcd_revision(answer));
		else
			note_refused(a, p, w->write[i].no, etcd_response(answer, 2 * i + 1), etcd_response(answer, 2 * i + 2), w->n == 1);
	}
	if (answer && !applied && w->life == a->life)
		see_own(a, etcd_response(answer, 0));
	free(w);
}

/* All that is due goes in one transaction, or the first that is to go alone. */
void agent_send_writes(struct agent *a)
{
	char *node = agent_place_key(a, "node/", a->place), *held, *quota;
	json_t *compare = json_array(), *puts = json_array(), *gets = json_pack("[o]", etcd_op_get(node));
	struct written *w = malloc(sizeof(*w));
	struct pair *p;
	unsigned i;

	*w = (struct written){ .a = a, .life = a->life };
	for (i = 0; i < a->pairs && w->n < WRITES_MOST; i++) {
		p = a->pair[i];
		/* A write of an earlier life was computed for another key of the node. */
		if (!p->due || (w->n && (p->alone || p->write_node != w->write[0].p->write_node)))
			continue;
		p->due = false;
		a->due--;
		/* The watch was faster: the record that the write is for is not the newest. */
		if (!p->part.pending)
			continue;
		p->in_flight = true;
		w->write[w->n].p = p;
		w->write[w->n++].no = p->part.pending_no;
		held = agent_key(a, "held/", p->key);
		quota = agent_key(a, "quota/", p->key);
		json_array_append_new(compare, etcd_compare(held, p->exists ? p->write->rev : 0));
		json_array_append_new(compare, etcd_compare(quota, p->write_quota));
		json_array_append_new(puts, etcd_op_put(held, p->write_text));
		json_array_append_new(gets, etcd_op_get(held));
		json_array_append_new(gets, etcd_op_get(quota));
		free(held);
		free(quota);
		if (p->alone)
			break;
	}
	if (w->n)
		json_array_append_new(compare, etcd_compare(node, w->write[0].p->write_node));
	free(node);
	a->writing = w->n;
	if (!w->n) {
		json_decref(compare);
		json_decref(puts);
		json_decref(gets);
		free(w);
	} else if (etcd_send(a->e, "kv/txn", etcd_txn(compare, puts, gets), write_done, w)) {
		a->writing = false;
		for (i = 0; i < w->n; i++)
			w->write[i].p->in_flight = false;
		free(w);
	}
}

static void want_write(struct agent *a, struct pair *p)
{
	a->due += !p->due;
	p->due = true;
}

static bool is_void(void *arg, uint32_t place, uint32_t life)
{
	return fleet_peer_void(&((struct agent *)arg)->peer[place], life);
}

/* The room that this node has for low-latency rates: it sells no more than a part of its capacity. */
uint64_t agent_low_room(const struct agent *a)
{
	uint64_t sum = 0, may = a->o->capacity / 100 * LOW_PERCENT;
	unsigned i;

	for (i = 0; i < a->pairs; i++)
		if (a->pair[i]->is_low)
			sum += a->pair[i]->part.rate + fleet_base(&a->pair[i]->quota);
	return may > sum ? may - sum : 0;
}

/* Takes one step for a pair; returns the time of the next one. */
uint64_t agent_serve_pair(struct agent *a, struct pair *p, uint64_t now)
{
	static const struct fleet_held none;
	const struct fleet_held *h = p->held ? p->held : &none;
	struct fleet_wish w = { .is_void = is_void, .arg = a, .until = a->session.deadline };
	struct fleet_part trial;
	struct fleet_held *r;
	uint64_t next = UINT64_MAX, ramp, lately;

	if (!p->quota.rev)
		return UINT64_MAX;
	if (a->life && (p->part.place != a->place || p->part.life != a->life)) {
		/* A write of the last life compares its node key, and is refused. */
		struct fleet_part fresh = { .place = a->place, .life = (uint32_t)a->life, .pending_no = p->part.pending_no + 1 };

		p->part = fresh;
		p->cap = AGENT_NO_CAP;
		if (p->held)
			fleet_part_see(&p->part, now, p->held);
	}
	if (!a->joined || a->stale)
		goto tell;
	if (p->part.pending) {
		if (!p->in_flight && now >= p->resend)
			want_write(a, p);
		next = p->in_flight || p->due ? UINT64_MAX : p->resend;
		goto tell;
	}
	if (now < p->blocked) {
		next = p->blocked;
		goto tell;
	}
	w.pool = fleet_pool(&p->quota, a->setup.places);
	w.room = p->is_low ? a->low_room : p->part.rate < AGENT_RATE_MOST ? AGENT_RATE_MOST - p->part.rate : 0;
	memcpy(w.used, p->used, sizeof(w.used));
	lately = p->used[LATELY] * FLEET_STEPS / (FLEET_STEPS - LATELY);
	w.want = fleet_want(&p->demand, now, lately < p->used[0] ? lately : p->used[0], p->is_short, w.pool);
	if (p->demand.less_since)
		next = p->demand.less_since + FLEET_LINGER;
	if (w.want > p->part.rate + w.pool / FLEET_GRAIN && next > now + RETRY)
		next = now + RETRY;
	r = malloc(FLEET_HELD_SIZE(h->n + 1));
	trial = p->part;
	if (!fleet_part_plan(&trial, now, h, &w, r)) {
		free(r);
		p->cap = AGENT_NO_CAP;
		goto tell;
	}
	if (trial.pending_rate < p->part.rate && a->client >= 0 &&
	    (p->cap > trial.pending_rate || p->acked < p->told_seq)) {
		/* The scheduler first; its answer comes back to here. */
		free(r);
		p->cap = trial.pending_rate < p->cap ? trial.pending_rate : p->cap;
		goto tell;
	}
	if (p->is_low && trial.pending_rate > p->part.rate)
		a->low_room -= trial.pending_rate - p->part.rate;
	p->part = trial;
	p->cap = AGENT_NO_CAP;
	free(p->write);
	free(p->write_text);
	p->write = r;
	p->write_text = fleet_write_held(r);
	p->write_quota = p->quota.rev;
	p->write_node = a->node_rev;
	agent_tell_pair(a, p, now);
	want_write(a, p);
tell:
	agent_tell_pair(a, p, now);
	ramp = fleet_part_next(&p->part, now);
	if (ramp < next)
		next = ramp;
	p->active = p->active && (next != UINT64_MAX || p->part.pending || p->part.rate);
	return next;
}
#endif
