// SPDX-License-Identifier: LGPL-2.1-or-later
#include "supply.h"

static void advance(struct btn_supply *s, uint64_t now)
{
	if (now < s->since + BTN_SUPPLY_NS)
		return;
	/* After a half without an answer, what was before it is old as well. */
	s->wanted[1] = now < s->since + 2 * BTN_SUPPLY_NS ? s->wanted[0] : 0;
	s->got[1] = now < s->since + 2 * BTN_SUPPLY_NS ? s->got[0] : 0;
	s->wanted[0] = s->got[0] = 0;
	s->since = now;
}

void btn_supply_add(struct btn_supply *s, uint64_t now, uint64_t wanted, uint64_t got)
{
	advance(s, now);
	s->wanted[0] += wanted;
	/* More than all is an error of the readings. */
	s->got[0] += got < wanted ? got : wanted;
}

unsigned btn_supply_part(struct btn_supply *s, uint64_t now)
{
	uint64_t wanted, got;

	advance(s, now);
	wanted = s->wanted[0] + s->wanted[1];
	got = s->got[0] + s->got[1];
	if (wanted < BTN_SUPPLY_LEAST)
		return BTN_SUPPLY_ALL;
	return (unsigned)((unsigned __int128)got * BTN_SUPPLY_ALL / wanted);
}
