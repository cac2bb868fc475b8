// SPDX-License-Identifier: GPL-2.0-or-later
/* Members of a fleet; member.h has the protocol and its proof. */
#include "member.h"

void fleet_peer_node(struct fleet_peer *p, uint64_t rev, uint32_t life, bool fenced)
{
	if (rev <= p->node_rev)
		return;
	p->node_rev = rev;
	p->life = life;
	p->fenced = fenced;
	p->since = 0;
}

void fleet_peer_alive(struct fleet_peer *p, uint64_t now, uint64_t rev)
{
	if (rev < p->alive_rev || (rev == p->alive_rev && p->since))
		return;
	p->alive_rev = rev;
	p->since = now;
}

bool fleet_peer_is_over(const struct fleet_peer *p, uint64_t now)
{
	return p->node_rev && !p->fenced && p->since &&
	       now >= p->since + fleet_at_most(FLEET_TTL + FLEET_SECOND);
}

unsigned fleet_guards(const struct fleet_peer *peers, unsigned places, unsigned me, unsigned out[FLEET_GUARDS])
{
	unsigned n = 0, i, k;

	for (i = 1; i < places && n < FLEET_GUARDS; i++) {
		k = (me + i) % places;
		if (peers[k].node_rev && !peers[k].fenced)
			out[n++] = k;
	}
	return n;
}

static void extend_lease(struct fleet_session *s, uint64_t sent)
{
	if (s->deadline < sent + FLEET_TTL)
		s->deadline = sent + FLEET_TTL;
}

void fleet_session_beat(struct fleet_session *s, uint64_t sent, uint64_t quotas)
{
	if (s->seen >= quotas) {
		extend_lease(s, sent);
		return;
	}
	if (s->sent < sent) {
		s->sent = sent;
		s->needs = quotas;
	}
}

void fleet_session_saw(struct fleet_session *s, uint64_t quotas)
{
	if (s->seen < quotas)
		s->seen = quotas;
	if (s->sent && s->seen >= s->needs) {
		extend_lease(s, s->sent);
		s->sent = 0;
	}
}

uint64_t fleet_session_settled(struct fleet_session *s, uint64_t now, uint64_t kept)
{
	if (s->settling && now >= s->since + FLEET_SECOND) {
		s->settled = s->settling;
		s->settling = 0;
	}
	if (!s->settling && kept > s->settled) {
		s->settling = kept;
		s->since = now;
	}
	return s->settled;
}

void fleet_session_end(struct fleet_session *s)
{
	s->deadline = s->sent = 0;
}
