// SPDX-License-Identifier: LGPL-2.1-or-later
/* Leases of quota; what they keep, and the proof, is in lease.h. */
#include "lease.h"

#include <stddef.h>

static uint64_t left_after(const struct btn_account *a)
{
	uint64_t taken = a->used + a->reserved;

	return taken < a->quota ? a->quota - taken : 0;
}

bool btn_lease_take(struct btn_lease *l, struct btn_account *a, uint64_t now, uint64_t most, uint64_t least,
		    unsigned spenders)
{
	uint64_t part, room;

	/* All spenders together never reserve more than half of what is left, but for `least` each. */
	part = btn_account_left(a, now) / 2 / spenders;
	if (part < least)
		part = least;
	room = btn_account_reserve(a, now, part < most ? part : most);
	if (!room)
		return false;
	l->acct = a;
	l->room = room;
	l->spent = 0;
	l->taken = now;
	l->tag = a->tag;
	l->pace = a->pace;
	l->keeps = left_after(a) / BTN_LEASE_IDLE / spenders >= room;
	return true;
}

void btn_lease_give_back(struct btn_lease *l, uint64_t now)
{
	/* The account's tag moves on by what was spent, from where this lease's runs began. */
	uint64_t earned = btn_lease_earn(l, l->spent);

	btn_account_settle(l->acct, now, l->room, l->spent, l->tag > earned ? l->tag - earned : 0);
	l->acct = NULL;
}
