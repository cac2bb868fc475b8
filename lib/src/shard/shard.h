/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shard/shard.h - what a scheduler of shards decides, as core/core.h is for one: events go in with the
 * time at which they happened, decisions come out. No clock, no thread; nothing waits but for
 * a shard's lock and for a fund's.
 *
 * Each shard has a core of its own (the same state machine), for one slot or for those of one
 * last-level cache. A task comes to a shard through its inbox (ready.h), and stays in that shard's
 * core with all of its request. Any slot may take it from there: its own when its turn came; another
 * one that has nothing better to do, by order. So nothing of a task or request is ever moved.
 *
 * Order
 * -----
 * A slot that picks takes the shard whose first task goes before those of all others, by what each
 * published (ready.h); its own one unless another's goes first by more than BTN_SHARD_LEAD. It looks again
 * with that shard's lock, and takes another if that was no more true. The first goes by: a
 * tier under its reserve; rank; in a rank that several tiers have, the tier's share; in a tier, the
 * policy's key. Between shards, a task that goes before another by more than
 *
 *	BTN_SHARD_LEAD + what the tag may lack (lease.h, Order: one lease of each other slot)
 *
 * is never passed by, unless its shard's lock is taken, whose holder decides for that shard at that
 * moment. Round robin keeps turns for each shard: its keys are the times of last turns there.
 * For a running task to give way takes one checkpoint more than in one core: its shard's own slot
 * looks into the inbox at its next checkpoint (BTN_SLOT_LOOK), and then says who gives way.
 *
 * Work is conserved: no slot is idle while a task waits that may run (board.h).
 *
 * A driver calls, for a slot: btn_shards_pick(); NULL: the slot has offered itself, and sleeps until it
 * is woken, and picks again; at a checkpoint where flags are set, btn_shards_checkpoint(), and
 * btn_shards_stop() if that says so, or the slice is over. After each call it wakes the slots in
 * `out`, and sees to requests that are done. btn_shards_tick() is due for each shard at its `next`.
 *
 * Calls for a request or a task: its shard's lock is taken. Workers are the driver's affair: a
 * task that is picked has one.
 */
#ifndef BTN_SHARD_H
#define BTN_SHARD_H

#include "types.h"

/* A task in another shard goes first by more than this (ns of tag, arrival or waiting) or is not taken. */
#define BTN_SHARD_LEAD	2000000ULL

/*
 * Submits r with its first task t; r->r as for btn_core_submit(). near: the slot of the caller, or -1.
 * -EDQUOT, -ESHUTDOWN: r is the caller's again. 0: what the shard finds wrong later, it says as
 * r->r.result, by `out`. Any thread.
 */
int btn_shards_submit(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, int near,
		      struct btn_shard_request *r, struct btn_shard_task *t);
/* Adds a task to a request in which another has not ended. Any thread that knows that. */
void btn_shards_spawn(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard_request *r,
		      struct btn_shard_task *t);
/* A blocked task can go on: called once for each time that it blocked, after btn_shards_stop(). Any thread. */
void btn_shards_ready(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard_task *t);
/* As btn_core_cancel(), btn_core_charge(). Any thread; r is not done. */
void btn_shards_cancel(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, struct btn_shard_request *r,
		       int why);
void btn_shards_charge(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, struct btn_shard_request *r,
		       uint64_t cpu, bool here);

/* The slot's own thread. NULL: the slot sleeps; it may have been claimed, and be woken, already. */
struct btn_task *btn_shards_pick(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, unsigned slot);
/* The task of this slot used so much CPU and stops; btn_shards_pick() follows at once. */
void btn_shards_stop(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, unsigned slot, uint64_t cpu,
		     enum btn_stop why);
/* True: the task is to stop now. */
bool btn_shards_checkpoint(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, unsigned slot);
/* The run of a slot: reserved, slice, start. Valid while the slot has a task. */
const struct btn_run *btn_shards_run(const struct btn_shards *s, unsigned slot);

/* Any thread. Deadlines, and quota that comes back, of one shard. */
void btn_shards_tick(struct btn_shards *s, struct btn_shard_out *out, uint64_t now, unsigned shard);
uint64_t btn_shards_next(const struct btn_shards *s, unsigned shard);

/* A new core: all slots are elsewhere. */
void btn_shard_close_slots(struct btn_core *c);
/* With the shard's lock: for setup.c. unlock: publishes, and looks at the board. */
void btn_shard_lock(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh, uint64_t now)
BTN_BEGINS(&sh->ready.lock);
void btn_shard_unlock(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard *sh, uint64_t now)
BTN_ENDS(&sh->ready.lock);

#endif
