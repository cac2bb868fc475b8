// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Bounded channels of pointers. All of it is under the scheduler's lock.
 *
 * An item is handed to the task that waits for it, with the wake, and a task that waits to send
 * is woken when its item is in the channel. So a task that was woken has nothing more to look
 * for, and these hold whenever the lock is given up:
 *
 *	receivers wait: the channel is open and empty, and no sender waits
 *	senders wait: the channel is open and full, and no receiver waits
 *
 * Wrong would be to wake the first receiver, which looks again when it has a slot:
 *
 *	sender			R1 waits for A or B		R2 waits for A
 *	A gets an item
 *	R1 is woken
 *	B gets an item
 *				looks again: takes B's
 *								sleeps, and A has an item
 *
 * selftests/model/any.pml is a model of this.
 */
#include "chan.h"

#include <baton/sync.h>

#include <errno.h>
#include <stdlib.h>

#include "../hooks.h"
#include "../tsan.h"
#include "gate.h"
#include "self.h"
#include "wait.h"

int baton_chan_create(struct baton_chan **out, struct baton_sched *s, unsigned capacity)
{
	struct baton_chan *c = *out = NULL;

	if (!btn_self_is_here(s->process))
		return -EPERM;
	if (!capacity)
		capacity = 1;
	c = *out = btn_mem_zeroed(1, sizeof(*c) + capacity * sizeof(c->item[0]));
	if (!c)
		return -ENOMEM;
	c->s = s;
	c->capacity = capacity;
	return 0;
}

void baton_chan_destroy(struct baton_chan *c)
{
	btn_mem_free(c);
}

int btn_chan_put_locked(struct baton_chan *c, void *item)
{
	struct btn_waiter *to = c->receivers.first;

	if (c->closed)
		return -EPIPE;
	if (to) {
		to->item = item;
		btn_wait_end_at(to, 0);
		return 0;
	}
	if (c->n == c->capacity)
		return -EAGAIN;
	c->item[(c->first + c->n++) % c->capacity] = item;
	return 0;
}

int btn_chan_take_locked(struct baton_chan *c, void **item)
{
	struct btn_waiter *from = c->senders.first;

	if (!c->n)
		return c->closed ? -EPIPE : -EAGAIN;
	*item = c->item[c->first];
	c->first = (c->first + 1) % c->capacity;
	c->n--;
	if (from) {
		c->item[(c->first + c->n++) % c->capacity] = from->item;
		btn_wait_end_at(from, 0);
	}
	return 0;
}

static int send_item(struct baton_chan *c, void *item, uint64_t deadline, bool alert)
{
	struct btn_waiter me = { .in = &c->senders, .item = item };
	struct baton_task *t = btn_self_task_of(c->s);
	struct btn_wakes wakes = { 0 };
	int err;

	if (!btn_self_is_here(c->s->process))
		return -EPERM;
	btn_tsan_release(c);
	btn_gate_lock(c->s);
	err = btn_chan_put_locked(c, item);
	if (err == -EAGAIN) {
		err = t ? btn_wait_begin(t, &me, 1, deadline, alert) : -EPERM;
		if (!err) {
			err = btn_gate_wait(t);
			btn_tsan_acquire(&c->senders);
			return err;
		}
	}
	btn_gate_unlock(c->s, &wakes);
	btn_tsan_acquire(&c->senders);
	return err;
}

int baton_chan_send(struct baton_chan *c, void *item)
{
	return send_item(c, item, BATON_FOREVER, false);
}

int baton_chan_send_until(struct baton_chan *c, void *item, uint64_t deadline)
{
	return send_item(c, item, deadline, true);
}

static int receive_item(struct baton_chan *c, void **item, uint64_t deadline, bool alert)
{
	struct btn_waiter me = { .in = &c->receivers };
	struct baton_task *t = btn_self_task_of(c->s);
	struct btn_wakes wakes = { 0 };
	int err;

	if (!btn_self_is_here(c->s->process))
		return -EPERM;
	btn_tsan_release(&c->senders);
	btn_gate_lock(c->s);
	err = btn_chan_take_locked(c, item);
	if (err == -EAGAIN) {
		err = t ? btn_wait_begin(t, &me, 1, deadline, alert) : -EPERM;
		if (!err) {
			err = btn_gate_wait(t);
			if (!err)
				*item = me.item;
			btn_tsan_acquire(c);
			return err;
		}
	}
	btn_gate_unlock(c->s, &wakes);
	btn_tsan_acquire(c);
	return err;
}

int baton_chan_recv(struct baton_chan *c, void **item)
{
	return receive_item(c, item, BATON_FOREVER, false);
}

int baton_chan_recv_until(struct baton_chan *c, void **item, uint64_t deadline)
{
	return receive_item(c, item, deadline, true);
}

void baton_chan_close(struct baton_chan *c)
{
	struct btn_wakes wakes = { 0 };

	if (!btn_self_is_here(c->s->process))
		return;
	btn_tsan_release(c);
	btn_tsan_release(&c->senders);
	btn_gate_lock(c->s);
	c->closed = true;
	while (c->senders.first)
		btn_wait_end_at(c->senders.first, -EPIPE);
	while (c->receivers.first)
		btn_wait_end_at(c->receivers.first, -EPIPE);
	btn_gate_unlock(c->s, &wakes);
}
