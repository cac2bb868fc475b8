// SPDX-License-Identifier: LGPL-2.1-or-later
/* Bounded channels of pointers. All of it is under the scheduler's lock. */
#include <baton/sync.h>

#include <errno.h>
#include <stdlib.h>

#include "gate.h"
#include "self.h"
#include "wait.h"

struct baton_chan {
	struct baton_sched *s;
	struct btn_waiters senders, receivers;
	unsigned capacity, first, n;
	bool closed;
	void *item[];
};

int baton_chan_create(struct baton_chan **out, struct baton_sched *s, unsigned capacity)
{
	struct baton_chan *c = *out = NULL;

	if (!btn_self_is_here(s->process))
		return -EPERM;
	if (!capacity)
		capacity = 1;
	c = *out = calloc(1, sizeof(*c) + capacity * sizeof(c->item[0]));
	if (!c)
		return -ENOMEM;
	c->s = s;
	c->capacity = capacity;
	return 0;
}

void baton_chan_destroy(struct baton_chan *c)
{
	free(c);
}

/*
 * Waits, with the lock, until an item fits, or there is one. A task that is woken looks again,
 * as another may have been quicker; and it looks before it gives up, so that a wake which was
 * meant for it is not lost.
 */
BTN_BETWEEN(btn_inside, btn_locked)
static int wait_for_change(struct baton_chan *c, struct btn_waiters *in, uint64_t deadline, bool alert)
{
	struct baton_task *t = btn_self_task_of(c->s);
	int err;

	if (!t)
		return -EPERM;
	err = btn_wait_begin(t, in, deadline, alert);
	if (!err) {
		err = btn_gate_wait(t);
		btn_gate_lock(c->s);
	}
	return err;
}

static int send_item(struct baton_chan *c, void *item, uint64_t deadline, bool alert)
{
	struct btn_wakes wakes = { 0 };
	int err = 0;

	if (!btn_self_is_here(c->s->process))
		return -EPERM;
	btn_gate_lock(c->s);
	while (!err && !c->closed && c->n == c->capacity)
		err = wait_for_change(c, &c->senders, deadline, alert);
	if (c->closed) {
		err = -EPIPE;
	} else if (c->n < c->capacity) {
		c->item[(c->first + c->n++) % c->capacity] = item;
		btn_wait_end_first(&c->receivers);
		err = 0;
	}
	btn_gate_unlock(c->s, &wakes);
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
	struct btn_wakes wakes = { 0 };
	int err = 0;

	if (!btn_self_is_here(c->s->process))
		return -EPERM;
	btn_gate_lock(c->s);
	while (!err && !c->closed && !c->n)
		err = wait_for_change(c, &c->receivers, deadline, alert);
	if (c->n) {
		*item = c->item[c->first];
		c->first = (c->first + 1) % c->capacity;
		c->n--;
		btn_wait_end_first(&c->senders);
		err = 0;
	} else if (c->closed) {
		err = -EPIPE;
	}
	btn_gate_unlock(c->s, &wakes);
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
	btn_gate_lock(c->s);
	c->closed = true;
	while (btn_wait_end_first(&c->senders) || btn_wait_end_first(&c->receivers))
		;
	btn_gate_unlock(c->s, &wakes);
}
