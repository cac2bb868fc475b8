// SPDX-License-Identifier: GPL-2.0-or-later
/* Which scheduler of a node may be told rates; client.h has the rule and its proof. */
#include "client.h"

static void hold_for(struct fleet_client *c, uint64_t until)
{
	if (c->hold < until)
		c->hold = until;
}

void fleet_client_begin(struct fleet_client *c, uint64_t now, bool known, uint64_t told, bool lives)
{
	*c = (struct fleet_client){ .told = told, .lives = known && told && lives };
	hold_for(c, now + FLEET_SECOND + (known ? 0 : FLEET_MEETS));
}

void fleet_client_ended(struct fleet_client *c, uint64_t now)
{
	c->lives = false;
	hold_for(c, now + FLEET_SECOND);
}

void fleet_client_left(struct fleet_client *c, uint64_t now)
{
	hold_for(c, now + FLEET_SECOND);
}

bool fleet_client_may_join(const struct fleet_client *c, uint64_t who)
{
	return !c->lives || c->told == who;
}

bool fleet_client_may_hear(const struct fleet_client *c, uint64_t now)
{
	return now >= c->hold;
}

void fleet_client_told(struct fleet_client *c, uint64_t who)
{
	c->told = who;
	c->lives = true;
}
