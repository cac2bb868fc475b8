// SPDX-License-Identifier: GPL-2.0-or-later
/* A node's place in the fleet; place.h. */
#include "config.h"
#ifdef HAVE_FLEET
#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler.h"
#include "store.h"

void agent_find_place(struct agent *a)
{
	unsigned i;

	a->has_place = false;
	for (i = 0; i < a->setup.places; i++)
		if (a->peer[i].node_rev && !strcmp(a->name[i], a->o->name)) {
			a->place = i;
			a->has_place = a->had_client = true;
			return;
		}
	for (i = 0; i < a->setup.places; i++)
		if (!a->peer[i].node_rev && !a->unread[i]) {
			a->place = i;
			a->has_place = true;
			a->full = false;
			return;
		}
	if (!a->full)
		agent_say(a, "all %llu places are taken", (unsigned long long)a->setup.places);
	a->full = true;
}

struct join {
	struct agent *a;
	unsigned place;
	uint64_t life, known;
};

static void join_done(void *arg, const json_t *answer)
{
	struct join *j = arg;
	struct agent *a = j->a;
	uint64_t rev;
	unsigned i;

	a->joining = false;
	if (answer && json_is_true(json_object_get(answer, "succeeded"))) {
		rev = etcd_revision(answer);
		if (rev >= a->peer[j->place].node_rev) {
			fleet_peer_node(&a->peer[j->place], rev, (uint32_t)j->life, false);
			memcpy(a->name[j->place], a->o->name, strlen(a->o->name) + 1);
			a->capacity[j->place] = a->o->capacity;
			a->life = j->life;
			a->node_rev = rev;
			a->joined = true;
			a->next_beat = 0;
			fleet_session_end(&a->session);
			for (i = 0; i < a->pairs; i++)
				a->pair[i]->active = true;
			agent_say(a, "place %u, life %llu", j->place, (unsigned long long)j->life);
		}
	} else if (answer) {
		a->refused = j->known + 1;
	}
	free(j);
}

/*
 * A place's first node compares `quotas` and writes it: the node has base from then on, of quotas that it knows; a sale that was computed
 * from a look at which the place was empty is refused. The node of a later life said which bases it keeps to (alive), and knows them.
 */
void agent_join_fleet(struct agent *a)
{
	struct fleet_node_text node = { .capacity = a->o->capacity };
	struct fleet_peer *me = &a->peer[a->place];
	char *key = agent_place_key(a, "node/", a->place), *quotas = agent_key(a, "quotas", ""), *value;
	json_t *compare = json_pack("[o]", etcd_compare(key, me->node_rev)), *ops;
	struct join *j = malloc(sizeof(*j));

	*j = (struct join){ a, a->place, (uint64_t)me->life + 1, me->node_rev + a->quotas_rev };
	memcpy(node.name, a->o->name, strlen(a->o->name) + 1);
	node.life = j->life;
	value = fleet_write_node(&node);
	ops = json_pack("[o]", etcd_op_put(key, value));
	if (!me->node_rev) {
		json_array_append_new(compare, etcd_compare(quotas, a->quotas_rev));
		json_array_append_new(ops, etcd_op_put(quotas, FLEET_QUOTAS_TEXT));
	}
	a->joining = true;
	if (etcd_send(a->e, "kv/txn", etcd_txn(compare, ops, NULL), join_done, j)) {
		a->joining = false;
		free(j);
	}
	free(key);
	free(quotas);
	free(value);
}

static void fence_done(void *arg, const json_t *answer)
{
}

static void fence_place(struct agent *a, unsigned place)
{
	const struct fleet_peer *peer = &a->peer[place];
	char *key = agent_place_key(a, "node/", place), *alive = agent_place_key(a, "alive/", place), *value;
	struct fleet_node_text node = { .life = peer->life, .fenced = true };

	memcpy(node.name, a->name[place], sizeof(node.name));
	value = fleet_write_node(&node);
	if (a->said_fence[place] != peer->alive_rev + 1)
		agent_say(a, "place %u, %s, life %u: no heartbeat; it is to be fenced", place, a->name[place], peer->life);
	a->said_fence[place] = peer->alive_rev + 1;
	etcd_send(a->e, "kv/txn", etcd_txn(json_pack("[o,o]", etcd_compare(key, peer->node_rev), etcd_compare(alive, peer->alive_rev)),
					   json_pack("[o]", etcd_op_put(key, value)), NULL), fence_done, NULL);
	free(key);
	free(alive);
	free(value);
}

struct beat {
	struct agent *a;
	uint64_t sent, life, known;
	bool joined;
	unsigned guards, guard[FLEET_GUARDS + 1];
};

static void beat_done(void *arg, const json_t *answer)
{
	struct beat *b = arg;
	struct agent *a = b->a;
	uint64_t now = agent_now(), rev = 0;
	const json_t *kv;
	char *key, *value;
	unsigned i;

	a->beating = false;
	if (!answer || !agent_trust(a, etcd_revision(answer), b->known)) {
		if (!answer && !a->alone) {
			a->alone = true;
			agent_say(a, "no store: %s; base shares only, once leases end", etcd_error(a->e));
		}
	} else if (!json_is_true(json_object_get(answer, "succeeded"))) {
		if (b->life == a->life)
			agent_end_life(a, "its key changed");
		a->stale = true;
	} else {
		if (a->alone) {
			agent_say(a, "the store is back");
			/* The watch may be of the endpoint that did not answer, and say nothing for ever. */
			a->stale = true;
		}
		a->alone = false;
		a->beats++;
		for (i = 0; i < b->guards + 1; i++) {
			kv = etcd_response(answer, i + b->joined);
			rev = 0;
			key = value = NULL;
			if (kv && etcd_kv(kv, &key, &value, &rev))
				free(value);
			free(key);
			if (i)
				fleet_peer_alive(&a->peer[b->guard[i - 1]], now, rev);
			else if (b->joined && a->joined && b->life == a->life)
				fleet_session_beat(&a->session, b->sent, rev);
		}
	}
	free(b);
}

/*
 * The revision of `quotas` whose bases the scheduler keeps to; a second later the heartbeat says so.
 * A scheduler that went away, or that the last run of the agent served, may keep to what it was told then.
 */
static uint64_t kept_revision(struct agent *a)
{
	unsigned i;

	if (a->had_client) {
		if (a->client < 0)
			return a->settled;
		for (i = 0; i < a->pairs; i++) {
			const struct pair *p = a->pair[i];

			if (p->acked < p->told_seq || p->told_base != agent_base_of(a, p))
				return a->settled;
		}
	}
	return a->settled = a->session.seen;
}

void agent_send_beat(struct agent *a, uint64_t now)
{
	json_t *compare = json_array(), *ops = json_array();
	struct beat *b = calloc(1, sizeof(*b));
	struct fleet_alive_text alive = { .scheduler = a->client >= 0 };
	char *key, *value;
	unsigned i;

	b->a = a;
	b->sent = now;
	b->life = a->life;
	b->known = a->revision;
	b->joined = a->joined;
	b->guards = fleet_guards(a->peer, (unsigned)a->setup.places, a->place, b->guard);
	if (!a->joined)
		b->guard[b->guards++] = a->place;
	for (i = 0; i < a->setup.places; i++)
		if ((i != a->place || !a->joined) && fleet_peer_is_over(&a->peer[i], now))
			fence_place(a, i);
	if (a->joined) {
		key = agent_place_key(a, "node/", a->place);
		json_array_append_new(compare, etcd_compare(key, a->node_rev));
		free(key);
		key = agent_place_key(a, "alive/", a->place);
		alive.seen = fleet_session_settled(&a->session, now, kept_revision(a));
		for (i = 0; i < a->pairs; i++)
			alive.used[!a->pair[i]->is_low] += a->pair[i]->use;
		value = fleet_write_alive(&alive);
		json_array_append_new(ops, etcd_op_put(key, value));
		free(key);
		free(value);
	}
	key = agent_key(a, "quotas", "");
	json_array_append_new(ops, etcd_op_get(key));
	free(key);
	for (i = 0; i < b->guards; i++) {
		key = agent_place_key(a, "alive/", b->guard[i]);
		json_array_append_new(ops, etcd_op_get(key));
		free(key);
	}
	a->beating = true;
	if (etcd_send(a->e, "kv/txn", etcd_txn(compare, ops, NULL), beat_done, b)) {
		a->beating = false;
		free(b);
	}
}
#endif
