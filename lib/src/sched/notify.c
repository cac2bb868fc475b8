// SPDX-License-Identifier: LGPL-2.1-or-later
/* The calls of <baton/completion.h>; how the queue works is in completion.c. */
#include <baton/completion.h>

#include <errno.h>

#include "../tsan.h"
#include "completion.h"
#include "dispatch.h"
#include "gate.h"
#include "self.h"

int baton_completions_create(struct baton_completions **out)
{
	return btn_completion_create(out);
}

int baton_completions_destroy(struct baton_completions *q)
{
	int err;

	if (!q)
		return 0;
	if (!btn_completion_is_here(q))
		return -EPERM;
	btn_gate_enter(btn_self);
	err = btn_completion_destroy(q);
	btn_gate_exit(btn_self);
	return err;
}

int baton_completions_fd(const struct baton_completions *q)
{
	return btn_completion_is_here(q) ? btn_completion_fd(q) : -EPERM;
}

unsigned baton_completions_take(struct baton_completions *q, struct baton_completion *out, unsigned max)
{
	struct baton_request *r, *next;
	unsigned n = 0;

	if (!btn_completion_is_here(q))
		return 0;
	btn_gate_enter(btn_self);
	r = btn_completion_take(q, max);
	btn_gate_exit(btn_self);
	for (; r; r = next) {
		next = r->next;
		btn_tsan_acquire(r);
		out[n++] = (struct baton_completion){ .request = r, .arg = r->cookie, .result = r->result };
	}
	return n;
}

int baton_request_notify(struct baton_request *r, struct baton_completions *q, void *arg)
{
	struct baton_sched *s = r->s;
	struct btn_wakes wakes = { 0 };
	bool again, done;

	if (!btn_self_is_here(s->process) || !btn_completion_is_here(q))
		return -EPERM;
	btn_gate_enter(btn_self);
	/* Before the scheduler's lock: the queue has one of its own. */
	btn_completion_expect(q, 1);
	btn_gate_exit(btn_self);
	btn_gate_lock(s);
	/* An attached thread that left may keep its slot idle; until that is taken its request has not ended. */
	if (r->first.core.attached)
		btn_dispatch_end_cached(s, &wakes);
	done = r->done;
	again = r->completions;
	if (!again) {
		r->completions = q;
		r->cookie = arg;
	}
	btn_gate_unlock(s, &wakes);
	btn_gate_enter(btn_self);
	if (again)
		btn_completion_expect(q, -1);
	else if (done)
		btn_completion_add(r);
	btn_gate_exit(btn_self);
	return again ? -EALREADY : 0;
}
