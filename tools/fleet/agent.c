// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A node's agent. One thread: it sleeps until etcd or the scheduler says something, or a time comes.
 *
 * Its rooms: scheduler.h (the socket), store.h (what etcd says), place.h (heartbeats and fences), rates.h (takes and gives), state.h (what all of them know).
 * All that the protocol asks for between two writes is in held.c; what is in the rooms must keep its conditions:
 *
 *   - The scheduler answers before a lower rate is written: a give is planned on a copy first, the scheduler is told its rate (cap),
 *     and it is planned for good with what the scheduler said it had used after it kept to that.
 *   - A scheduler that went away may go on until the `until` it was told, and its last second lasts a second more:
 *     nothing is given before that (blocked).
 *   - A scheduler does not know what another one used before it: client.h says whom it tells, and when. The process that is told is written
 *     down beside the socket; while it lives no other one may join, also with the next agent.
 *     Who lost the socket and joins again loses nothing by that: rates that were told hold until `until`.
 *   - A revision that is less than one that was seen means another store, or an old copy of it: nothing there is trusted.
 */
#include "config.h"
#ifdef HAVE_FLEET
#include "agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "place.h"
#include "rates.h"
#include "scheduler.h"
#include "store.h"

static volatile sig_atomic_t ended;

static void end_agent(int sig)
{
	ended = 1;
}

/* The node's part of each rate that was bought, for Prometheus. */
static void write_figures(void *arg, FILE *to)
{
	struct agent *a = arg;
	uint64_t now = agent_now();
	struct figures_node node = { .name = a->o->name, .capacity = a->o->capacity, .places = a->setup.places,
				     .life = a->joined ? a->life : 0, .store = a->watching && !a->alone && !a->went_back,
				     .scheduler = a->client >= 0, .beats = a->beats, .applied = a->applied,
				     .refused = a->not_applied, .unanswered = a->unanswered };
	struct figures_rate *rate = calloc(a->pairs + 1, sizeof(*rate));
	unsigned i, n = 0;

	node.lease = a->session.deadline > now ? a->session.deadline - now : 0;
	for (i = 0; i < a->setup.places; i++) {
		if (!a->peer[i].node_rev)
			continue;
		node.fenced += a->peer[i].fenced;
		node.there += !a->peer[i].fenced;
		node.fleet_capacity += a->peer[i].fenced ? 0 : a->capacity[i];
	}
	for (i = 0; rate && i < a->pairs; i++) {
		const struct pair *p = a->pair[i];

		if (p->quota.rev)
			rate[n++] = (struct figures_rate){ p->key, p->quota.rate, p->told_base, node.lease ? p->told_rate : 0,
							   p->demand.want, p->use, p->is_short };
	}
	figures_print(to, &node, rate, n);
	free(rate);
}

static void step_agent(struct agent *a)
{
	uint64_t now = agent_now(), next, n;
	struct curl_waitfd fds[4] = { { .fd = a->listener, .events = CURL_WAIT_POLLIN } };
	unsigned i, waits = 1;
	struct pair *p;
	int ms;

	if ((a->stale || !a->watching) && !a->went_back)
		agent_read_all(a, now);
	if (now >= a->next_beat) {
		if (a->watching && !a->stale && !a->went_back && a->setup.places && !a->joined && !a->joining) {
			agent_find_place(a);
			if (a->has_place && (!a->peer[a->place].node_rev || a->peer[a->place].fenced)) {
				/* The last join was refused, and the watch has not said why. */
				if (a->refused == a->peer[a->place].node_rev + a->quotas_rev + 1)
					a->stale = true;
				else
					agent_join_fleet(a);
				a->refused = 0;
			}
		}
		if (a->watching && a->setup.places && a->has_place && !a->went_back && !a->beating)
			agent_send_beat(a, now);
		a->next_beat = now + FLEET_BEAT;
	}
	next = a->next_beat;
	if (!a->watching || a->stale)
		next = a->next_read > now && a->next_read < next ? a->next_read : next;
	a->low_room = agent_low_room(a);
	for (i = 0; i < a->pairs; i++) {
		p = a->pair[i];
		if (p->active || !p->told_seq) {
			n = agent_serve_pair(a, p, now);
			next = n < next ? n : next;
		}
	}
	if (a->due && !a->writing && a->joined && !a->stale)
		agent_send_writes(a);
	agent_tell_until(a);
	if (a->client >= 0 && a->may.hold > now && a->may.hold < next)
		next = a->may.hold;
	n = next > now ? (next - now) / 1000000 + 1 : 0;
	if (a->client >= 0)
		fds[waits++] = (struct curl_waitfd){ .fd = a->client, .events = CURL_WAIT_POLLIN };
	if (a->told_ends >= 0)
		fds[waits++] = (struct curl_waitfd){ .fd = a->told_ends, .events = CURL_WAIT_POLLIN };
	if (a->figures) {
		fds[waits++] = (struct curl_waitfd){ .fd = figures_fd(a->figures), .events = CURL_WAIT_POLLIN };
		ms = figures_timeout(a->figures);
		n = ms >= 0 && (uint64_t)ms < n ? (uint64_t)ms : n;
	}
	etcd_poll(a->e, fds, waits, (int)n);
	if (a->figures)
		figures_serve(a->figures);
	agent_accept_client(a);
	agent_hear_client(a);
	agent_see_end(a);
}

int agent_run(const struct agent_options *o)
{
	struct agent *a = calloc(1, sizeof(*a));
	struct sigaction end = { .sa_handler = end_agent };
	int err;

	if (!a)
		return 1;
	a->o = o;
	a->client = a->listener = a->who_ends = -1;
	agent_begin_client(a);
	snprintf(a->below, sizeof(a->below), "%sb", o->store.prefix);
	snprintf(a->beyond, sizeof(a->beyond), "%sz", o->store.prefix);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (etcd_open(&a->e, &o->store.etcd)) {
		agent_say(a, "--etcd wants URLs with commas between them, --user NAME:PASSWORD");
		return 2;
	}
	if (agent_open_socket(a))
		return 1;
	if (o->metrics) {
		err = figures_open(&a->figures, o->metrics, write_figures, a);
		if (err) {
			agent_say(a, "--metrics %u: %s", o->metrics, err == -ENOSYS ? "built without libmicrohttpd" : "nothing can listen there");
			unlink(o->socket);
			return 1;
		}
	}
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	while (!ended)
		step_agent(a);
	unlink(o->socket);
	figures_close(a->figures);
	etcd_close(a->e);
	return 0;
}
#endif
