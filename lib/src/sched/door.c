// SPDX-License-Identifier: LGPL-2.1-or-later
/* Requests that were submitted without the lock are taken with it: door.h. */
#include "door.h"

bool btn_door_take_all(struct baton_sched *s)
{
	struct btn_inbox_node *n = btn_inbox_take(&s->inbox), *next; /* [DOOR-1] (e) */
	bool any = n;

	for (; n; n = next) {
		struct baton_request *r = btn_container(n, struct baton_request, inbox);
		uint64_t came = r->core.info.arrival < s->now ? r->core.info.arrival : s->now;

		next = n->next;
		r->tenant->taken++;
		r->core.tenant = r->tenant->core;
		r->core.info.arrival = came;
		s->requests++;
		btn_core_admit(&s->core, s->now, came, &r->core, &r->first.core);
	}
	return any;
}

bool btn_door_shut_all(struct baton_sched *s)
{
	struct btn_flow *f;

	while ((f = s->core.shut)) {
		struct baton_tenant *t = f->tenant->owner;

		s->core.shut = f->next_shut;
		BTN_POINT("sched:door:shut");
		atomic_fetch_and_explicit(&t->door, ~(UINT64_C(1) << f->kind), memory_order_seq_cst); /* [DOOR-1] (d) [DOOR-2] */
	}
	BTN_POINT("sched:door:take");
	return btn_inbox_any(&s->inbox) && btn_door_take_all(s); /* [DOOR-1] (e) */
}

bool btn_door_open_for(struct baton_request *r)
{
	struct btn_flow *f = btn_flow_of(&r->first.core);
	struct baton_tenant *t = r->tenant;

	/* A trace tells which task made another one ready. */
	if (t->core->requests_max || t->core->leaving || t->s->core.page.rings)
		return false;
	f->open = true;
	atomic_fetch_or_explicit(&t->door, UINT64_C(1) << f->kind, memory_order_seq_cst); /* [DOOR-1] [DOOR-2] */
	return true;
}

void btn_door_close(struct baton_tenant *t)
{
	btn_flow_shut_all(&t->s->core, t->core);
	btn_door_shut(t->s);
}

void btn_door_close_all(struct baton_sched *s)
{
	struct baton_tenant *t;

	for (t = s->tenants; t; t = t->next)
		btn_flow_shut_all(&s->core, t->core);
}
