// SPDX-License-Identifier: GPL-2.0-or-later
/* The agent and the scheduler of its node; scheduler.h, and client.h has the rule of who is told. */
#include "config.h"
#ifdef HAVE_FLEET
#include "scheduler.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Whether the client may be told now; a process is written down before. */
static bool may_tell(struct agent *a)
{
	int err;

	if (a->client < 0 || !fleet_client_may_hear(&a->may, agent_now()))
		return false;
	if (a->who.pid ? a->may.lives : a->told_unseen)
		return true;
	err = process_note(a->o->socket, &a->who);
	if (err) {
		if (!a->said_note)
			agent_say(a, "%s.told: %s; no scheduler is told anything", a->o->socket, strerror(-err));
		a->said_note = true;
		return false;
	}
	a->told_unseen = !a->who.pid;
	if (a->who.pid)
		fleet_client_told(&a->may, (uint64_t)a->who.pid);
	if (a->told_ends >= 0)
		close(a->told_ends);
	a->told_ends = a->who_ends >= 0 ? fcntl(a->who_ends, F_DUPFD_CLOEXEC, 0) : -1;
	return true;
}

/* The process that was told last ended: the next one may join. */
void agent_see_end(struct agent *a)
{
	struct pollfd p = { .fd = a->told_ends, .events = POLLIN };

	if (a->told_ends < 0 || poll(&p, 1, 0) <= 0)
		return;
	close(a->told_ends);
	a->told_ends = -1;
	fleet_client_ended(&a->may, agent_now());
}

/* Reads what the last agent wrote down. */
void agent_begin_client(struct agent *a)
{
	struct process was, is;
	bool known = process_noted(a->o->socket, &was);

	a->told_ends = known ? process_open(&is, was.pid) : -1;
	if (a->told_ends >= 0 && is.began != was.began) {
		close(a->told_ends);
		a->told_ends = -1;
	}
	fleet_client_begin(&a->may, agent_now(), known, known ? (uint64_t)was.pid : 0, a->told_ends >= 0);
}

static void send_pair(struct agent *a, struct pair *p)
{
	char text[300], *class = strrchr(p->key, '/');
	int n;

	if (a->client < 0 || p->sent_seq == p->told_seq || !may_tell(a))
		return;
	n = snprintf(text, sizeof(text), "rate %llu %.*s %s %llu %llu %llu", (unsigned long long)p->told_seq, (int)(class - p->key), p->key,
		     class + 1, (unsigned long long)p->told_base, (unsigned long long)p->told_rate, (unsigned long long)p->told_bought);
	if (send(a->client, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
		p->sent_seq = p->told_seq;
}

/* Base is a place's: nothing until the store has the node's name there. A node that is not in a life has it all the same. */
uint64_t agent_base_of(const struct agent *a, const struct pair *p)
{
	bool own = a->has_place && a->peer[a->place].node_rev && !strcmp(a->name[a->place], a->o->name);
	uint64_t base = own ? fleet_base(&p->quota) : 0;

	return base < AGENT_RATE_MOST ? base : AGENT_RATE_MOST;
}

void agent_tell_pair(struct agent *a, struct pair *p, uint64_t now)
{
	uint64_t rate = fleet_part_usable(&p->part, now), base = agent_base_of(a, p);

	if (rate > p->cap)
		rate = p->cap;
	if (rate > AGENT_RATE_MOST)
		rate = AGENT_RATE_MOST;
	if (rate != p->told_rate || base != p->told_base || p->quota.rate != p->told_bought || !p->told_seq) {
		p->told_rate = rate;
		p->told_base = base;
		p->told_bought = p->quota.rate;
		p->told_seq++;
	}
	send_pair(a, p);
}

void agent_tell_until(struct agent *a)
{
	char text[40];
	unsigned i;
	int n;

	if (a->client < 0 || (a->said_until == a->session.deadline && !a->behind && a->hears))
		return;
	/* Pairs that come while nothing is told are sent after that, though the deadline is no other one. */
	a->behind = true;
	a->hears = may_tell(a);
	if (!a->hears)
		return;
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
	uint64_t now = agent_now(), until;
	unsigned i;

	agent_say(a, "the scheduler is gone");
	close(a->client);
	a->client = -1;
	a->hears = a->told_unseen = false;
	if (a->who_ends >= 0)
		close(a->who_ends);
	a->who_ends = -1;
	fleet_client_left(&a->may, agent_now());
	for (i = 0; i < a->pairs; i++) {
		struct pair *p = a->pair[i];

		/*
		 * The use of the last second is not known any more, also of a rate that was given away just now: a give that the
		 * store refuses would be planned again as if nothing had been used.
		 */
		until = p->told_rate || p->acked < p->told_seq ? a->said_until : 0;
		p->blocked = (until > now ? until : now) + FLEET_SECOND;
		p->sent_seq = 0;
		p->is_short = false;
		memset(p->used, 0, sizeof(p->used));
		p->use = 0;
		p->active = true;
	}
	a->said_until = 0;
}

void agent_accept_client(struct agent *a)
{
	int fd = accept4(a->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), size = 1 << 20;
	socklen_t n = sizeof(struct ucred);
	struct ucred who;
	const char *why = NULL, *said = NULL;
	unsigned i;

	if (fd < 0)
		return;
	agent_see_end(a);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) || (who.uid && who.uid != geteuid()))
		why = "it is another user's";
	else if (a->client >= 0)
		why = "another scheduler has joined, and one of a node has quota at a time", said = "refused joined";
	else if (!fleet_client_may_join(&a->may, (uint64_t)who.pid))
		why = "the process that was told rates before lives on, and may use its base", said = "refused told";
	if (why) {
		/* An older scheduler takes that for no agent's, and loses a connection which ends in any case. */
		if (said)
			send(fd, said, strlen(said), MSG_DONTWAIT | MSG_NOSIGNAL);
		/* A process that is refused tries again each second. */
		if (a->said_refused != who.pid)
			agent_say(a, "process %d is refused: %s", (int)who.pid, why);
		a->said_refused = who.pid;
		close(fd);
		return;
	}
	a->said_refused = 0;
	a->who_ends = process_open(&a->who, who.pid);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	a->client = fd;
	a->behind = a->had_client = true;
	for (i = 0; i < a->pairs; i++)
		a->pair[i]->acked = 0;
	agent_say(a, "process %d joined", (int)who.pid);
}

void agent_hear_client(struct agent *a)
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
		p = agent_find_pair(a, key, false);
		if (!p || seq > p->told_seq)
			continue;
		p->acked = seq;
		p->is_short = is_short;
		p->use = u[0];
		for (i = 0; i < FLEET_STEPS; i++)
			p->used[i] = u[i] > p->told_base ? u[i] - p->told_base : 0;
		p->active = true;
	}
}

int agent_open_socket(struct agent *a)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	if (strlen(a->o->socket) >= sizeof(at.sun_path)) {
		agent_say(a, "%s: the path is too long for a socket", a->o->socket);
		return 1;
	}
	strcpy(at.sun_path, a->o->socket);
	a->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->listener < 0)
		return 1;
	if (connect(a->listener, (struct sockaddr *)&at, sizeof(at)) == 0) {
		agent_say(a, "%s: an agent is there", a->o->socket);
		return 1;
	}
	unlink(a->o->socket);
	if (bind(a->listener, (struct sockaddr *)&at, sizeof(at)) || listen(a->listener, 4)) {
		agent_say(a, "%s: %s", a->o->socket, strerror(errno));
		return 1;
	}
	return 0;
}
#endif
