/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sched/door.h - a request whose flow is open goes into the scheduler's inbox, by one push and without the lock; whoever
 * has the lock next takes what is there.
 *
 * A flow is open only while it has a task that waits for a slot, whenever the lock is free. Nothing follows then from one more
 * task behind that one: no slot is idle for it that is not idle for the other, none that runs has to give way, the
 * monitor knows that a task waits, and the thread that gives the other task a slot does so with the lock. What the flow's
 * next request would be answered is known as well: 0, as long as nobody changes the tenant, which shuts its flows. Other
 * requests (the first of its flow, with a deadline or an arrival of its own, critical ones, those of tenants with
 * requests_max, and while a trace is written) are submitted with the lock.
 *
 * The tenant's word `door` has a bit for each of its flows that is open, and counts pushes. The flow's last task may get its
 * slot while another thread pushes. Wrong, the lost wake-up:
 *
 *	submitter			a thread with the lock
 *	looks: the flow is open
 *					the flow's last task gets a slot; looks into the inbox: empty
 *	pushes, and leaves		shuts the flow, and unlocks
 *
 * and the task is seen when somebody takes the lock for another reason: never, where another slot is idle. Right:
 *
 *	submitter			a thread with the lock
 *	(a) the flow is open: counts
 *	    its push
 *	(b) pushes			(d) shuts the flow
 *	(c) still open? else takes	(e) takes what is in the inbox, and dispatches again if
 *	    the lock, and dispatches	    that was something
 *
 * [DOOR-1] (b), (c), (d) and (e) are sequentially consistent: if (c) does not see (d) then (e) sees (b). The flow may be
 * open again by (c), by a thread that has the lock after (d): that one found another task of the flow, and (e) came
 * before it.
 *
 * The tenant may be removed, and its memory be another tenant's, after (a). [DOOR-2] (a) is a compare-and-swap of the word, so
 * either it finds the flow shut, or whoever shuts the flow finds the push counted. The count of those that were
 * taken out of the inbox is the tenant's, with the lock; the difference of both is what is `pending`: pushed, or about to be.
 * A tenant with something pending is in use as if a request was in flight, and each push is followed by the taking of it, after
 * which a request is.
 *
 * After (b) the request is others', and may have ended. A worker is inside the library from before (a) to after (c): a
 * signal that stopped it in between would leave (c) to when its tenant has quota again. A worker that is to wait, or lost its
 * slot, has its flag or `waits` set, and comes with the lock.
 *
 * The inbox is short: a thread pushes from memory that it took with the lock (pool.h), for BTN_SPARES_MINE requests each
 * time, and whoever takes the lock takes what is in the inbox first: each call of the library finds what was submitted before it.
 * selftests/model/door.pml is a model of this.
 */
#ifndef BTN_SCHED_DOOR_H
#define BTN_SCHED_DOOR_H

#include "../core/core.h"
#include "../core/flow.h"
#include "../die.h"
#include "../inject.h"
#include "leased.h"
#include "types.h"

#define BTN_DOOR_PUSH	(UINT64_C(1) << 32)

/* The bit of the flow of such requests; 0: they are submitted with the lock. */
static inline uint64_t btn_door_bit(const struct baton_request_opts *opts)
{
	if (opts->cls == BATON_CRITICAL || opts->deadline || opts->arrival)
		return 0;
	return UINT64_C(1) << btn_flow_kind((enum btn_class)opts->cls, opts->tier, false);
}

/* Any thread. A hint: that flow is open. */
static inline bool btn_door_is_open(const struct baton_tenant *t, uint64_t bit)
{
	return atomic_load_explicit(&t->door, memory_order_relaxed) & bit; /* [DOOR-2] (a) decides */
}

/* (a). Any thread. False: the flow is shut. */
static inline bool btn_door_enter(struct baton_tenant *t, uint64_t bit)
{
	uint64_t word = atomic_load_explicit(&t->door, memory_order_relaxed); /* [DOOR-2] */

	BTN_POINT("sched:door:enter");
	do
		if (btn_unlikely(!(word & bit)))
			return false;
	while (!atomic_compare_exchange_weak_explicit(&t->door, &word, word + BTN_DOOR_PUSH, memory_order_acq_rel, /* [DOOR-2] */
						      memory_order_relaxed)); /* [DOOR-2] */
	return true;
}

/* (b) and (c), after (a). r is others' from then on. False: btn_gate_look() is to follow. */
static inline bool btn_door_push(struct baton_request *r, uint64_t bit)
{
	struct baton_tenant *t = r->tenant;

	BTN_POINT("sched:door:push");
	btn_inbox_push(&t->s->inbox, &r->inbox); /* [DOOR-1] (b) */
	BTN_POINT("sched:door:look");
	return atomic_load_explicit(&t->door, memory_order_seq_cst) & bit; /* [DOOR-1] (c) */
}

/* Requests that were pushed, or are about to be, and not taken. Needs the lock. */
static inline uint32_t btn_door_pending(const struct baton_tenant *t)
{
	return (uint32_t)(atomic_load_explicit(&t->door, memory_order_acquire) >> 32) - t->taken; /* [DOOR-2] */
}

/* With the lock: takes what is in the inbox. True: there was something. */
bool btn_door_take_all(struct baton_sched *s);
/* (d) and (e), for flows that are open no more. True: there was something, and btn_dispatch() is to follow. With the lock. */
bool btn_door_shut_all(struct baton_sched *s);
static inline bool btn_door_shut(struct baton_sched *s)
{
	return btn_unlikely(s->core.shut) && btn_door_shut_all(s);
}

/* The lock was taken just now, and s->now is set. */
static inline void btn_door_take(struct baton_sched *s)
{
#ifdef BTN_INJECT
	if (s->core.shut)
		btn_die("the lock was given up with the door of a flow to be shut; its kind:", s->core.shut->kind);
#endif
	if (btn_leased_look(s))
		btn_door_shut(s);
	if (btn_unlikely(btn_inbox_any(&s->inbox)))
		btn_door_take_all(s);
}

/*
 * r was submitted, and stands behind another task of its flow: that is open from now on, if it may be. True: it is. Needs the
 * lock.
 */
bool btn_door_open_for(struct baton_request *r);
static inline bool btn_door_open(struct baton_request *r, uint64_t bit)
{
	const struct btn_flow *f;

	if (!bit)
		return false;
	f = btn_flow_of(&r->first.core);
	return btn_flow_first(f) != &r->first.core && (f->open || btn_door_open_for(r));
}

/* Shuts all flows of the tenant, which leaves: what it has pending now came before. btn_dispatch() is to follow. Needs the lock. */
void btn_door_close(struct baton_tenant *t);
/* Shuts all flows of all tenants. btn_dispatch() is to follow. Needs the lock. */
void btn_door_close_all(struct baton_sched *s);

#endif
