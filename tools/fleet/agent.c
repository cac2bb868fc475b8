// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A node's agent. One thread: it sleeps until etcd or the scheduler says something, or a time comes.
 *
 * All that the protocol asks for between two writes is in held.c; what is here must keep its conditions:
 *
 *   - The scheduler answers before a lower rate is written: a give is planned on a copy first, the scheduler is told its rate (cap),
 *     and it is planned for good with what the scheduler said it had used after it kept to that.
 *   - A scheduler that went away may go on until the `until` it was told, and its last second lasts a second more:
 *     nothing is given before that (blocked).
 *   - A revision that is less than one that was seen means another store, or an old copy of it: nothing there is trusted.
 */
#include "config.h"
#ifdef HAVE_FLEET
#include "agent.h"

#include <errno.h>
#include <poll.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "member.h"
#include "text.h"

#define NO_CAP		UINT64_MAX
#define RETRY		(FLEET_SECOND / 4)
#define LOW_PERCENT	70
#define LATELY		7	/* demand is what was used in the last 3/10 s */

struct pair {
	char *key;			/* TENANT/CLASS, of the keys below held/ and quota/ */
	bool is_low;
	struct fleet_quota quota;
	struct fleet_held *held;	/* the newest record; NULL: none was seen */
	bool exists;			/* in the store */
	struct fleet_part part;
	struct fleet_demand demand;
	struct fleet_held *write;
	char *write_text;
	uint64_t write_quota, write_node, resend;
	bool in_flight;
	/* The scheduler. */
	uint64_t cap, blocked;
	uint64_t told_base, told_rate, told_seq, sent_seq, acked;
	uint64_t used[FLEET_STEPS];
	bool is_short, active;
};

struct agent {
	const struct agent_options *o;
	struct etcd *e;
	char below[300], beyond[300];	/* what is watched: prefix + 'b' to prefix + 'z'; alive/ is not in it */
	struct fleet_setup setup;
	struct fleet_peer peer[FLEET_PLACES];
	char name[FLEET_PLACES][64];
	unsigned place;
	bool has_place, joined, joining, beating, reading, watching, stale, went_back, alone, behind, had_client;
	uint64_t life, node_rev, revision, quotas_rev, refused;
	struct fleet_session session;
	uint64_t next_beat, next_read, said_until, low_room;
	uint64_t settled;		/* all that was seen until this revision the scheduler keeps to */
	void *tree;
	struct pair **pair;
	unsigned pairs, room;
	int listener, client;
};

static volatile sig_atomic_t ended;

static void end_agent(int sig)
{
	ended = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * FLEET_SECOND + (uint64_t)t.tv_nsec;
}

__attribute__((format(printf, 2, 3))) static void say(const struct agent *a, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "baton fleet: %s: ", a->o->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static char *key_of(const struct agent *a, const char *folder, const char *name)
{
	char *key;

	return asprintf(&key, "%s%s%s", a->o->prefix, folder, name) < 0 ? NULL : key;
}

static char *place_key(const struct agent *a, const char *folder, unsigned place)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", place);
	return key_of(a, folder, text);
}

static int compare_pairs(const void *x, const void *y)
{
	return strcmp(((const struct pair *)x)->key, ((const struct pair *)y)->key);
}

/* TENANT/low or TENANT/high; NULL: it is neither. */
static struct pair *find_pair(struct agent *a, const char *key, bool make)
{
	struct pair seek = { .key = (char *)key }, *p, **found;
	const char *class = strrchr(key, '/');
	char tenant[64];

	if (!class || class - key >= (ptrdiff_t)sizeof(tenant) || (strcmp(class, "/low") && strcmp(class, "/high")))
		return NULL;
	memcpy(tenant, key, (size_t)(class - key));
	tenant[class - key] = 0;
	if (!fleet_name_ok(tenant))
		return NULL;
	found = tfind(&seek, &a->tree, compare_pairs);
	if (found || !make)
		return found ? *found : NULL;
	if (a->pairs == a->room) {
		a->room = a->room ? 2 * a->room : 64;
		a->pair = realloc(a->pair, a->room * sizeof(*a->pair));
	}
	p = calloc(1, sizeof(*p));
	if (!p || !a->pair)
		abort();
	p->key = strdup(key);
	p->is_low = !strcmp(class, "/low");
	p->cap = NO_CAP;
	a->pair[a->pairs++] = p;
	tsearch(p, &a->tree, compare_pairs);
	return p;
}

/* The scheduler */

static void send_pair(struct agent *a, struct pair *p)
{
	char text[300], *class = strrchr(p->key, '/');
	int n;

	if (a->client < 0 || p->sent_seq == p->told_seq)
		return;
	n = snprintf(text, sizeof(text), "rate %llu %.*s %s %llu %llu", (unsigned long long)p->told_seq, (int)(class - p->key), p->key,
		     class + 1, (unsigned long long)p->told_base, (unsigned long long)p->told_rate);
	if (send(a->client, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
		p->sent_seq = p->told_seq;
}

/* Base is a place's: nothing until the store has the node's name there. A node that is not in a life has it all the same. */
static uint64_t base_of(const struct agent *a, const struct pair *p)
{
	bool own = a->has_place && a->peer[a->place].node_rev && !strcmp(a->name[a->place], a->o->name);

	return own ? fleet_base(&p->quota) : 0;
}

static void tell_pair(struct agent *a, struct pair *p, uint64_t now)
{
	uint64_t rate = fleet_part_usable(&p->part, now), base = base_of(a, p);

	if (rate > p->cap)
		rate = p->cap;
	if (rate != p->told_rate || base != p->told_base || !p->told_seq) {
		p->told_rate = rate;
		p->told_base = base;
		p->told_seq++;
	}
	send_pair(a, p);
}

static void tell_until(struct agent *a)
{
	char text[40];
	unsigned i;
	int n;

	if (a->client < 0 || (a->said_until == a->session.deadline && !a->behind))
		return;
	a->behind = true;
	for (i = 0; i < a->pairs; i++) {
		send_pair(a, a->pair[i]);
		if (a->pair[i]->sent_seq != a->pair[i]->told_seq)
			return;
	}
	a->behind = false;
	n = snprintf(text, sizeof(text), "until %llu", (unsigned long long)a->session.deadline);
	if (send(a->client, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
		a->said_until = a->session.deadline;
}

static void lose_client(struct agent *a)
{
	unsigned i;

	say(a, "the scheduler is gone");
	close(a->client);
	a->client = -1;
	for (i = 0; i < a->pairs; i++) {
		struct pair *p = a->pair[i];

		if (p->told_rate)
			p->blocked = a->said_until + FLEET_SECOND;
		p->sent_seq = 0;
		p->is_short = false;
		memset(p->used, 0, sizeof(p->used));
		p->active = true;
	}
	a->said_until = 0;
}

static void accept_client(struct agent *a)
{
	int fd = accept4(a->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), size = 1 << 20;
	socklen_t n = sizeof(struct ucred);
	struct ucred who;
	unsigned i;

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) || (who.uid && who.uid != getuid()) || a->client >= 0) {
		say(a, "a scheduler is refused: %s", a->client >= 0 ? "there is one" : "it is another user's");
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	a->client = fd;
	a->behind = a->had_client = true;
	for (i = 0; i < a->pairs; i++)
		a->pair[i]->acked = 0;
	say(a, "process %d joined", (int)who.pid);
}

static void hear_client(struct agent *a)
{
	char text[600], tenant[64], class[8], key[80];
	unsigned long long seq, u[FLEET_STEPS];
	unsigned is_short, i;
	struct pair *p;
	ssize_t n;

	while (a->client >= 0) {
		n = recv(a->client, text, sizeof(text) - 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			lose_client(a);
			return;
		}
		text[n] = 0;
		if (sscanf(text, "use %llu %63s %7s %u %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &seq, tenant, class, &is_short,
			   &u[0], &u[1], &u[2], &u[3], &u[4], &u[5], &u[6], &u[7], &u[8], &u[9]) != 14)
			continue;
		snprintf(key, sizeof(key), "%s/%s", tenant, class);
		p = find_pair(a, key, false);
		if (!p || seq > p->told_seq)
			continue;
		p->acked = seq;
		p->is_short = is_short;
		for (i = 0; i < FLEET_STEPS; i++)
			p->used[i] = u[i] > p->told_base ? u[i] - p->told_base : 0;
		p->active = true;
	}
}

/* What the store says */

/* An answer to a request that was sent when revision `known` was: later ones are not less. */
static bool trust(struct agent *a, uint64_t revision, uint64_t known)
{
	if (revision < known && !a->went_back) {
		say(a, "the store went back from revision %llu to %llu: another one, or an old copy. Base shares only; start the agent again once it is right",
		    (unsigned long long)known, (unsigned long long)revision);
		a->went_back = true;
	}
	return !a->went_back;
}

static void end_life(struct agent *a, const char *why)
{
	if (a->joined)
		say(a, "life %llu ends: %s", (unsigned long long)a->life, why);
	a->joined = false;
	fleet_session_end(&a->session);
}

static void see_held(struct agent *a, struct pair *p, struct fleet_held *h, bool exists)
{
	if (p->held && h->rev <= p->held->rev) {
		free(h);
		return;
	}
	if (p->part.life)
		fleet_part_see(&p->part, now_ns(), h);
	free(p->held);
	p->held = h;
	p->exists = exists;
	p->active = true;
}

static void apply_kv(struct agent *a, const char *key, const char *value, uint64_t rev)
{
	struct fleet_node_text node;
	struct fleet_held *h = NULL;
	struct fleet_quota q = { 0 };
	const char *why = NULL, *k = key + strlen(a->o->prefix);
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
		if (!why) {
			fleet_peer_node(&a->peer[place], rev, (uint32_t)node.life, node.fenced);
			memcpy(a->name[place], node.name, sizeof(node.name));
			if (a->joined && place == a->place && fleet_peer_void(&a->peer[place], (uint32_t)a->life))
				end_life(a, "it was fenced");
		}
	} else if (!strcmp(k, "quotas")) {
		if (rev > a->quotas_rev)
			a->quotas_rev = rev;
	} else if (!strncmp(k, "quota/", 6)) {
		p = find_pair(a, k + 6, true);
		why = !p ? "no such class" : value ? fleet_read_quota(value, &q) : "it was deleted";
		if (!why && rev > p->quota.rev) {
			q.rev = rev;
			p->quota = q;
			p->active = true;
		}
	} else if (!strncmp(k, "held/", 5)) {
		p = find_pair(a, k + 5, true);
		why = !p ? "no such class" : value ? fleet_read_held(value, &h) : NULL;
		if (!why && !value)
			h = calloc(1, FLEET_HELD_SIZE(0));
		if (!why) {
			h->rev = rev;
			see_held(a, p, h, value);
		}
	}
	if (why)
		say(a, "%s: %s; what was there before stays", key, why);
}

static void apply_json(struct agent *a, const json_t *kv)
{
	char *key, *value;
	uint64_t rev;

	if (!etcd_kv(kv, &key, &value, &rev))
		return;
	if (!strncmp(key, a->o->prefix, strlen(a->o->prefix)))
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
	snprintf(quotas, sizeof(quotas), "%squotas", a->o->prefix);
	for (i = 0; i < json_array_size(events); i++) {
		kv = json_object_get(json_array_get(events, i), "kv");
		apply_json(a, kv);
		if (etcd_kv(kv, &key, &value, &rev)) {
			if (!strcmp(key, quotas))
				saw = rev;
			free(value);
		}
		free(key);
	}
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
	if (!answer) {
		if (!a->alone)
			say(a, "no store: %s; base shares only, once leases end", etcd_error(a->e));
		a->alone = true;
		a->next_read = now_ns() + FLEET_SECOND / 2;
		return;
	}
	if (!trust(a, rev, a->revision))
		return;
	for (i = 0; i < json_array_size(kvs); i++)
		apply_json(a, json_array_get(kvs, i));
	if (a->alone || !a->watching)
		say(a, "all is read, at revision %llu", (unsigned long long)rev);
	a->alone = false;
	a->stale = false;
	a->watching = true;
	a->revision = rev;
	a->next_beat = 0;
	fleet_session_saw(&a->session, rev);
	etcd_watch(a->e, a->below, a->beyond, rev + 1, watch_said, a);
}

static void read_all(struct agent *a, uint64_t now)
{
	if (a->reading || now < a->next_read)
		return;
	a->reading = true;
	etcd_watch_end(a->e);
	if (etcd_send(a->e, "kv/range", etcd_range(a->below, a->beyond), all_read, a))
		a->reading = false;
}

/* A place of its own */

static void find_place(struct agent *a)
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
		if (!a->peer[i].node_rev) {
			a->place = i;
			a->has_place = true;
			return;
		}
	say(a, "all %llu places are taken", (unsigned long long)a->setup.places);
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
			a->life = j->life;
			a->node_rev = rev;
			a->joined = true;
			a->next_beat = 0;
			fleet_session_end(&a->session);
			for (i = 0; i < a->pairs; i++)
				a->pair[i]->active = true;
			say(a, "place %u, life %llu", j->place, (unsigned long long)j->life);
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
static void join_fleet(struct agent *a)
{
	struct fleet_node_text node = { .capacity = a->o->capacity };
	struct fleet_peer *me = &a->peer[a->place];
	char *key = place_key(a, "node/", a->place), *quotas = key_of(a, "quotas", ""), *value;
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
	char *key = place_key(a, "node/", place), *alive = place_key(a, "alive/", place), *value;
	struct fleet_node_text node = { .life = peer->life, .fenced = true };

	memcpy(node.name, a->name[place], sizeof(node.name));
	value = fleet_write_node(&node);
	say(a, "place %u, %s, life %u: no heartbeat; it is fenced", place, a->name[place], peer->life);
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
	uint64_t now = now_ns(), rev = 0;
	const json_t *kv;
	char *key, *value;
	unsigned i;

	a->beating = false;
	if (!answer || !trust(a, etcd_revision(answer), b->known)) {
		if (!answer && !a->alone) {
			a->alone = true;
			say(a, "no store: %s; base shares only, once leases end", etcd_error(a->e));
		}
	} else if (!json_is_true(json_object_get(answer, "succeeded"))) {
		if (b->life == a->life)
			end_life(a, "its key changed");
		a->stale = true;
	} else {
		if (a->alone)
			say(a, "the store is back");
		a->alone = false;
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

			if (p->acked < p->told_seq || p->told_base != base_of(a, p))
				return a->settled;
		}
	}
	return a->settled = a->session.seen;
}

static void send_beat(struct agent *a, uint64_t now)
{
	json_t *compare = json_array(), *ops = json_array();
	struct beat *b = calloc(1, sizeof(*b));
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
		key = place_key(a, "node/", a->place);
		json_array_append_new(compare, etcd_compare(key, a->node_rev));
		free(key);
		key = place_key(a, "alive/", a->place);
		value = fleet_write_alive(fleet_session_settled(&a->session, now, kept_revision(a)));
		json_array_append_new(ops, etcd_op_put(key, value));
		free(key);
		free(value);
	}
	key = key_of(a, "quotas", "");
	json_array_append_new(ops, etcd_op_get(key));
	free(key);
	for (i = 0; i < b->guards; i++) {
		key = place_key(a, "alive/", b->guard[i]);
		json_array_append_new(ops, etcd_op_get(key));
		free(key);
	}
	a->beating = true;
	if (etcd_send(a->e, "kv/txn", etcd_txn(compare, ops, NULL), beat_done, b)) {
		a->beating = false;
		free(b);
	}
}

/* Rates */

struct written {
	struct agent *a;
	struct pair *p;
	uint64_t no, life;
};

/* The node's own key, from the store: a life whose key changed is over. */
static void see_own(struct agent *a, const json_t *kv)
{
	char *key = NULL, *value = NULL;
	uint64_t rev = 0;

	if (kv) {
		apply_json(a, kv);
		if (etcd_kv(kv, &key, &value, &rev))
			free(value);
		free(key);
	}
	if (a->joined && rev != a->node_rev) {
		end_life(a, "its key changed");
		a->stale = true;
	}
}

static void write_done(void *arg, const json_t *answer)
{
	struct written *w = arg;
	struct agent *a = w->a;
	struct pair *p = w->p;
	struct fleet_held *h;
	const json_t *kv;
	uint64_t rev;

	p->in_flight = false;
	p->resend = now_ns() + RETRY;
	p->active = true;
	if (answer && w->life == a->life) {
		if (json_is_true(json_object_get(answer, "succeeded"))) {
			if (p->part.pending && p->part.pending_no == w->no && p->write) {
				rev = etcd_revision(answer);
				h = malloc(FLEET_HELD_SIZE(p->write->n));
				memcpy(h, p->write, FLEET_HELD_SIZE(p->write->n));
				h->rev = rev;
				see_held(a, p, h, true);
			}
		} else {
			char *key = NULL, *value = NULL;

			rev = 0;
			kv = etcd_response(answer, 0);
			if (kv) {
				apply_json(a, kv);
				if (etcd_kv(kv, &key, &value, &rev))
					free(value);
				free(key);
			}
			kv = etcd_response(answer, 1);
			if (kv)
				apply_json(a, kv);
			if (rev == (p->exists ? p->write ? p->write->rev : 0 : 0)) {
				fleet_part_refused(&p->part, w->no, p->write ? p->write->rev : 0);
				/* A quota that this node cannot read: the next write is refused as well. */
				if (p->quota.rev == p->write_quota && p->blocked < p->resend)
					p->blocked = p->resend;
			}
			see_own(a, etcd_response(answer, 2));
		}
	}
	free(w);
}

static void send_write(struct agent *a, struct pair *p)
{
	char *held = key_of(a, "held/", p->key), *quota = key_of(a, "quota/", p->key), *node = place_key(a, "node/", a->place);
	struct written *w = malloc(sizeof(*w));

	*w = (struct written){ a, p, p->part.pending_no, a->life };
	p->in_flight = true;
	if (etcd_send(a->e, "kv/txn",
		      etcd_txn(json_pack("[o,o,o]", etcd_compare(held, p->exists ? p->write->rev : 0), etcd_compare(quota, p->write_quota),
					 etcd_compare(node, p->write_node)),
			       json_pack("[o]", etcd_op_put(held, p->write_text)),
			       json_pack("[o,o,o]", etcd_op_get(held), etcd_op_get(quota), etcd_op_get(node))), write_done, w)) {
		p->in_flight = false;
		free(w);
	}
	free(held);
	free(quota);
	free(node);
}

static bool is_void(void *arg, uint32_t place, uint32_t life)
{
	return fleet_peer_void(&((struct agent *)arg)->peer[place], life);
}

/* What this node may take more of low-latency rates: it sells no more than a part of its capacity. */
static uint64_t low_room(const struct agent *a)
{
	uint64_t sum = 0, may = a->o->capacity / 100 * LOW_PERCENT;
	unsigned i;

	for (i = 0; i < a->pairs; i++)
		if (a->pair[i]->is_low)
			sum += a->pair[i]->part.rate + fleet_base(&a->pair[i]->quota);
	return may > sum ? may - sum : 0;
}

/* One step for a pair; returns the time of the next one. */
static uint64_t serve_pair(struct agent *a, struct pair *p, uint64_t now)
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
		/* What the last life wrote compares its node key, and is refused. */
		struct fleet_part fresh = { .place = a->place, .life = (uint32_t)a->life, .pending_no = p->part.pending_no + 1 };

		p->part = fresh;
		p->cap = NO_CAP;
		if (p->held)
			fleet_part_see(&p->part, now, p->held);
	}
	if (!a->joined || a->stale)
		goto tell;
	if (p->part.pending) {
		if (!p->in_flight && now >= p->resend)
			send_write(a, p);
		next = p->in_flight ? UINT64_MAX : p->resend;
		goto tell;
	}
	if (now < p->blocked) {
		next = p->blocked;
		goto tell;
	}
	w.pool = fleet_pool(&p->quota, a->setup.places);
	w.room = p->is_low ? a->low_room : UINT64_MAX;
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
		p->cap = NO_CAP;
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
	p->cap = NO_CAP;
	free(p->write);
	free(p->write_text);
	p->write = r;
	p->write_text = fleet_write_held(r);
	p->write_quota = p->quota.rev;
	p->write_node = a->node_rev;
	tell_pair(a, p, now);
	send_write(a, p);
tell:
	tell_pair(a, p, now);
	ramp = fleet_part_next(&p->part, now);
	if (ramp < next)
		next = ramp;
	p->active = p->active && (next != UINT64_MAX || p->part.pending || p->part.rate);
	return next;
}

static int open_socket(struct agent *a)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	if (strlen(a->o->socket) >= sizeof(at.sun_path)) {
		say(a, "%s: the path is too long for a socket", a->o->socket);
		return 1;
	}
	strcpy(at.sun_path, a->o->socket);
	a->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->listener < 0)
		return 1;
	if (connect(a->listener, (struct sockaddr *)&at, sizeof(at)) == 0) {
		say(a, "%s: an agent is there", a->o->socket);
		return 1;
	}
	unlink(a->o->socket);
	if (bind(a->listener, (struct sockaddr *)&at, sizeof(at)) || listen(a->listener, 4)) {
		say(a, "%s: %s", a->o->socket, strerror(errno));
		return 1;
	}
	return 0;
}

static void step_agent(struct agent *a)
{
	uint64_t now = now_ns(), next, n;
	struct curl_waitfd fds[2] = { { .fd = a->listener, .events = CURL_WAIT_POLLIN },
				      { .fd = a->client, .events = CURL_WAIT_POLLIN } };
	struct pair *p;
	unsigned i;

	if ((a->stale || !a->watching) && !a->went_back)
		read_all(a, now);
	if (now >= a->next_beat) {
		if (a->watching && !a->stale && !a->went_back && a->setup.places && !a->joined && !a->joining) {
			find_place(a);
			if (a->has_place && (!a->peer[a->place].node_rev || a->peer[a->place].fenced)) {
				/* The last join was refused, and the watch has not said why. */
				if (a->refused == a->peer[a->place].node_rev + a->quotas_rev + 1)
					a->stale = true;
				else
					join_fleet(a);
				a->refused = 0;
			}
		}
		if (a->watching && a->setup.places && a->has_place && !a->went_back && !a->beating)
			send_beat(a, now);
		a->next_beat = now + FLEET_BEAT;
	}
	next = a->next_beat;
	if (!a->watching || a->stale)
		next = a->next_read > now && a->next_read < next ? a->next_read : next;
	a->low_room = low_room(a);
	for (i = 0; i < a->pairs; i++) {
		p = a->pair[i];
		if (p->active || !p->told_seq) {
			n = serve_pair(a, p, now);
			next = n < next ? n : next;
		}
	}
	tell_until(a);
	n = next > now ? (next - now) / 1000000 + 1 : 0;
	etcd_poll(a->e, fds, a->client < 0 ? 1 : 2, (int)n);
	accept_client(a);
	hear_client(a);
}

int agent_run(const struct agent_options *o)
{
	struct agent *a = calloc(1, sizeof(*a));
	struct sigaction end = { .sa_handler = end_agent };

	if (!a)
		return 1;
	a->o = o;
	a->client = a->listener = -1;
	snprintf(a->below, sizeof(a->below), "%sb", o->prefix);
	snprintf(a->beyond, sizeof(a->beyond), "%sz", o->prefix);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (etcd_open(&a->e, &o->etcd)) {
		say(a, "--etcd wants URLs with commas between them, --user NAME:PASSWORD");
		return 2;
	}
	if (open_socket(a))
		return 1;
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	while (!ended)
		step_agent(a);
	unlink(o->socket);
	etcd_close(a->e);
	return 0;
}
#endif
