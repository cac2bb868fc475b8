// SPDX-License-Identifier: GPL-2.0-or-later
/* Words of the store to an agent; store.h. */
#include "config.h"
#ifdef HAVE_FLEET
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_MOST_MS	128000
#define COMPLAINTS_MOST	20	/* lines about keys, for a read or a message of the watch */

/* An answer to a request that was sent when revision `known` was: later ones are not less. */
bool agent_trust(struct agent *a, uint64_t revision, uint64_t known)
{
	if (revision < known && !a->went_back) {
		agent_say(a, "the store went back from revision %llu to %llu: another one, or an old copy. Base shares only; start the agent again once it is right",
		    (unsigned long long)known, (unsigned long long)revision);
		a->went_back = true;
	}
	return !a->went_back;
}

void agent_end_life(struct agent *a, const char *why)
{
	if (a->joined)
		agent_say(a, "life %llu ends: %s", (unsigned long long)a->life, why);
	a->joined = false;
	fleet_session_end(&a->session);
}

void agent_see_held(struct agent *a, struct pair *p, struct fleet_held *h, bool exists)
{
	if (p->held && h->rev <= p->held->rev) {
		free(h);
		return;
	}
	if (p->part.life)
		fleet_part_see(&p->part, agent_now(), h);
	free(p->held);
	p->held = h;
	p->exists = exists;
	p->active = true;
}

/* A key may be another program's: of any length, with any bytes, and one of thousands. */
static void complain(struct agent *a, const char *key, const char *why)
{
	char text[120];
	size_t i;

	if (a->complaints++ >= COMPLAINTS_MOST)
		return;
	for (i = 0; key[i] && i < sizeof(text) - 1; i++)
		text[i] = key[i] < ' ' || key[i] > '~' ? '?' : key[i];
	text[i] = 0;
	agent_say(a, "%s%s: %s; what was there before stays", text, key[i] ? "..." : "", why);
}

/* The end of what came together. */
static void end_complaints(struct agent *a)
{
	if (a->complaints > COMPLAINTS_MOST)
		agent_say(a, "and %u more keys that are not as they should be", a->complaints - COMPLAINTS_MOST);
	a->complaints = 0;
}

static void apply_kv(struct agent *a, const char *key, const char *value, uint64_t rev)
{
	struct fleet_node_text node;
	struct fleet_held *h = NULL;
	struct fleet_quota q = { 0 };
	const char *why = NULL, *k = key + strlen(a->o->store.prefix);
	struct pair *p;
	unsigned place;
	char end;

	if (!strcmp(k, "fleet")) {
		struct fleet_setup s;

		why = value ? fleet_read_setup(value, &s) : "it was deleted";
		if (!why && a->setup.places && memcmp(&s, &a->setup, sizeof(s)))
			why = "it changed, and cannot while nodes are there";
		else if (!why)
			a->setup = s;
	} else if (sscanf(k, "node/%u%c", &place, &end) == 1 && place < FLEET_PLACES) {
		why = value ? fleet_read_node(value, &node) : "it was deleted";
		a->unread[place] = why && value;
		if (!why) {
			fleet_peer_node(&a->peer[place], rev, (uint32_t)node.life, node.fenced);
			memcpy(a->name[place], node.name, sizeof(node.name));
			a->capacity[place] = node.capacity;
			if (a->joined && place == a->place && fleet_peer_void(&a->peer[place], (uint32_t)a->life))
				agent_end_life(a, "it was fenced");
		}
	} else if (!strcmp(k, "quotas")) {
		if (rev > a->quotas_rev)
			a->quotas_rev = rev;
	} else if (!strncmp(k, "quota/", 6)) {
		p = agent_find_pair(a, k + 6, true);
		why = !p ? "no such class" : value ? fleet_read_quota(value, &q) : "it was deleted";
		if (!why && rev > p->quota.rev) {
			q.rev = rev;
			p->quota = q;
			p->active = true;
		}
	} else if (!strncmp(k, "held/", 5)) {
		p = agent_find_pair(a, k + 5, true);
		why = !p ? "no such class" : value ? fleet_read_held(value, &h) : NULL;
		if (!why && !value)
			h = calloc(1, FLEET_HELD_SIZE(0));
		if (!why) {
			h->rev = rev;
			agent_see_held(a, p, h, value);
		}
	}
	if (why)
		complain(a, key, why);
}

void agent_apply_json(struct agent *a, const json_t *kv)
{
	char *key, *value;
	uint64_t rev;

	if (!etcd_kv(kv, &key, &value, &rev))
		return;
	if (!strncmp(key, a->o->store.prefix, strlen(a->o->store.prefix)))
		apply_kv(a, key, value, rev);
	free(key);
	free(value);
}

static void watch_said(void *arg, const json_t *m)
{
	struct agent *a = arg;
	const json_t *events = m ? json_object_get(m, "events") : NULL, *kv;
	char quotas[300], *key, *value;
	uint64_t rev, saw = 0;
	size_t i;

	if (!m || json_is_true(json_object_get(m, "canceled"))) {
		/* Compacted, or the connection ended: all is read anew. */
		a->stale = true;
		return;
	}
	snprintf(quotas, sizeof(quotas), "%squotas", a->o->store.prefix);
	for (i = 0; i < json_array_size(events); i++) {
		kv = json_object_get(json_array_get(events, i), "kv");
		agent_apply_json(a, kv);
		if (etcd_kv(kv, &key, &value, &rev)) {
			if (!strcmp(key, quotas))
				saw = rev;
			free(value);
		}
		free(key);
	}
	end_complaints(a);
	/* After all of the message: a quota and `quotas` change in one revision. */
	if (saw)
		fleet_session_saw(&a->session, saw);
}

static void all_read(void *arg, const json_t *answer)
{
	struct agent *a = arg;
	const json_t *kvs = answer ? json_object_get(answer, "kvs") : NULL;
	uint64_t rev = answer ? etcd_revision(answer) : 0;
	size_t i;

	a->reading = false;
	if (!answer && agent_now() >= a->read_at + a->read_ms * 1000000) {
		/* More is there than the link brings in that time, or nobody is: the heartbeats say which. */
		agent_say(a, "all that the store has did not come within %llu s", (unsigned long long)a->read_ms / 1000);
		a->read_ms = a->read_ms < READ_MOST_MS ? 2 * a->read_ms : READ_MOST_MS;
		return;
	}
	if (!answer) {
		if (!a->alone)
			agent_say(a, "no store: %s; base shares only, once leases end", etcd_error(a->e));
		a->alone = true;
		a->next_read = agent_now() + FLEET_SECOND / 2;
		return;
	}
	if (!agent_trust(a, rev, a->revision))
		return;
	for (i = 0; i < json_array_size(kvs); i++)
		agent_apply_json(a, json_array_get(kvs, i));
	end_complaints(a);
	if (a->alone || !a->watching)
		agent_say(a, "all is read, at revision %llu", (unsigned long long)rev);
	a->alone = false;
	a->stale = false;
	a->watching = true;
	a->revision = rev;
	a->read_ms /= 2;
	a->next_beat = 0;
	fleet_session_saw(&a->session, rev);
	etcd_watch(a->e, a->below, a->beyond, rev + 1, watch_said, a);
}

void agent_read_all(struct agent *a, uint64_t now)
{
	if (a->reading || now < a->next_read)
		return;
	a->reading = true;
	etcd_watch_end(a->e);
	if (a->read_ms < ETCD_TIMEOUT_MS)
		a->read_ms = ETCD_TIMEOUT_MS;
	a->read_at = now;
	if (etcd_send_within(a->e, "kv/range", etcd_range(a->below, a->beyond), (long)a->read_ms, all_read, a))
		a->reading = false;
}
#endif
