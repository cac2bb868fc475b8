// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Services: a stream that is readable is a request, and no thread waits for it.
 *
 * The one who has the poller's role counts an event of a served stream with the lock, and submits
 * the service's request. What the core decides for other requests holds for this one: admission, class,
 * quota, which slot. The worker that polled is the first idle one, so where a slot is idle that
 * worker runs the request without a switch.
 *
 * At most one request of a service is in flight, and the service's memory for it is used again, so nothing that an event
 * needs can fail for want of memory. When the request has ended the stream may have become readable
 * meanwhile, or the function may have left something unread:
 *
 *	function				poller
 *	(a) seen = events; read: nothing more,
 *	    empty = seen
 *						data comes: an event
 *	(b) lock: the request has ended;	(c) lock: events += 1; a request is
 *	    empty == events? then none is	    in flight? then nothing more; else
 *	    in flight; else it is submitted	    it is submitted
 *	    again
 *
 * If (c) comes before (b), (b) finds another number; else (c) finds that no request is in flight. Wrong would be
 * an event that (c) drops because a request is in flight where (b) does not look, or looks without the lock.
 * Nor need the function read until there is nothing more: (b) submits again as long as no try found that. Data that
 * was read before its event was counted makes one request that finds nothing.
 *
 * [SERVE-2] `empty` is a number of events that came before a try that found nothing more; bytes that come after
 * that try make another event. So `empty` == events, with the lock, says that no byte is unread of which
 * no event is still to be counted, whichever thread stored it; a store of an older number costs a request for
 * nothing. The word orders nothing, as the try and the lock of (b) are the same thread's, or the worse answer is given.
 *
 * A request that is refused, or dropped before it began, is to be told, by the same function, and that takes CPU,
 * which is the tenant's. So another request follows that tells why, in a class that waits for quota instead
 * of being refused (TOLERANT; BATCH and INTERNAL stay), without a deadline, and beyond requests_max: at most
 * one for a stream. Where a tenant has no quota at all, or was removed, nobody pays: the bytes stay with the kernel,
 * and the service is held until baton_stream_serve() names a tenant, or another event comes.
 *
 * Close ends a service from any thread, and the last call of the function is the one that says so. Who makes it:
 *
 *	closes, with the lock			task
 *	(d) no request in flight: the closer	(g) the function returns:
 *	(e) in flight, not started: cancels	    call: RUNS -> RETURNED,
 *	    it; the closer			    or CLOSED was there: the task
 *	(f) started: call: RUNS -> CLOSED?
 *	    the task; RETURNED was there? the
 *	    closer
 *
 * [SERVE-1] Both exchange `call`, so one of them finds what the other left, exactly one makes the last call, and has
 * acquired all that the other did. A task that has left RETURNED touches the service no more; the request's end does, with
 * the lock, if the request still belongs to the service: who makes the last call has taken it out before (r->served), and
 * the request's memory is the scheduler's from then on. Wrong would be a look of the closer's at a flag that the task sets with
 * the lock when its request ends: the closer would have to wait for a function that may wait for the closer.
 * A thread that ends in the function makes the exchange, too. selftests/model/serve.pml is a model of this.
 */
#include "serve.h"

#include <errno.h>
#include <stdlib.h>

#include "../core/core.h"
#include "../hooks.h"
#include "../inject.h"
#include "../sched/gate.h"
#include "../sched/names.h"
#include "../sched/pool.h"
#include "../sched/request.h"
#include "../sched/self.h"
#include "../tsan.h"

/* States of btn_serve.call. */
#define RUNS		0
#define RETURNED	1
#define CLOSED		2

static void detach_request(struct btn_serve *sv)
{
	btn_gate_lock(sv->s);
	sv->r->served = NULL;
	sv->r = NULL;
	btn_gate_release(sv->s);
}

/* The function has returned, or its thread ends in it. */
static void call_ended(void *arg)
{
	struct btn_serve *sv = arg;

	/* A child that forked in the function has nothing of the service. */
	if (!btn_self_is_here(sv->s->process))
		return;
	BTN_POINT("serve:returns");
	if (atomic_exchange_explicit(&sv->call, RETURNED, memory_order_acq_rel) != CLOSED) /* [SERVE-1] */
		return;
	detach_request(sv);
	btn_serve_end(sv);
}

static void call_function(void *arg)
{
	struct btn_serve *sv = arg;

	BTN_POINT("serve:begins");
	pthread_cleanup_push(call_ended, sv);
	/* Closed since the request was given its slot. */
	if (atomic_load_explicit(&sv->call, memory_order_relaxed) != CLOSED) /* [SERVE-1] */
		sv->fn(sv->st, sv->why, sv->arg);
	pthread_cleanup_pop(1);
}

static enum baton_class class_of(const struct btn_serve *sv)
{
	if (!sv->why || sv->opts.cls == BATON_INTERNAL || (sv->opts.cls == BATON_BATCH && sv->why != -EDQUOT))
		return sv->opts.cls;
	return BATON_TOLERANT;
}

static int submit_request(struct btn_serve *sv)
{
	struct baton_request_opts opts = sv->opts;
	struct baton_request *r = sv->r;

	opts.cls = class_of(sv);
	opts.deadline = opts.deadline && !sv->why ? sv->s->now + opts.deadline : 0;
	btn_request_renew(r, sv->tenant, &opts);
	r->served = sv;
	r->core.told = sv->why;
	atomic_store_explicit(&sv->call, RUNS, memory_order_relaxed); /* [SERVE-1] with the lock, and no task runs */
	btn_tsan_release(&r->first);
	return btn_request_submit(r, 0);
}

/* A request that has this to tell; or what it meets itself. */
static void submit_or_tell(struct btn_serve *sv, int why)
{
	int err;

	sv->why = why;
	while ((err = submit_request(sv)) && err != sv->why)
		sv->why = err;
	sv->flies = !err;
	sv->held = err;
}

static bool is_empty(const struct btn_serve *sv)
{
	const struct btn_half *in = &sv->source->in;

	return atomic_load_explicit(&in->empty, memory_order_relaxed) == btn_half_events(in); /* [SERVE-2] */
}

static void on_event(struct btn_source *source)
{
	struct btn_serve *sv = source->serve;

	if (!sv->flies)
		submit_or_tell(sv, 0);
}

static bool request_ended(struct baton_request *r, bool quietly)
{
	struct btn_serve *sv = r->served;
	int why = r->core.started ? 0 : r->core.result;
	bool again = why || !is_empty(sv);

	if (quietly && again)
		return false;
	sv->flies = false;
	if (again)
		submit_or_tell(sv, why);
	return true;
}

int btn_serve_new(struct btn_serve **out, struct baton_tenant *t, const struct baton_request_opts *opts)
{
	struct btn_serve *sv = BTN_FAIL("serve:new") ? NULL : btn_mem_zeroed(1, sizeof(*sv));
	int err;

	if (!sv)
		return -ENOMEM;
	sv->s = t->s;
	sv->opts = *opts;
	sv->opts.fn = call_function;
	sv->opts.arg = sv;
	err = btn_request_new(&sv->r, t, &sv->opts, false);
	if (!err && !btn_names_get(t)) {
		btn_gate_request_free(sv->r);
		err = -ESHUTDOWN;
	}
	if (err) {
		btn_mem_free(sv);
		return err;
	}
	sv->tenant = t;
	*out = sv;
	return 0;
}

static void free_parts(struct btn_serve *sv)
{
	if (sv->r)
		btn_gate_request_free(sv->r);
	btn_names_put(sv->tenant);
}

void btn_serve_free(struct btn_serve *sv)
{
	free_parts(sv);
	btn_mem_free(sv);
}

void btn_serve_begin(struct btn_serve *sv)
{
	sv->s->served_ended = request_ended;
	sv->source->serve = sv;
	sv->source->event = on_event;
	if (!is_empty(sv))
		submit_or_tell(sv, 0);
}

void btn_serve_change(struct btn_serve *sv, struct btn_serve *as)
{
	struct baton_tenant *before = sv->tenant;

	sv->opts = as->opts;
	sv->opts.arg = sv;
	sv->tenant = as->tenant;
	as->tenant = before;
	if (sv->held)
		submit_or_tell(sv, 0);
}

bool btn_serve_close(struct btn_serve *sv)
{
	struct baton_request *r = sv->r;

	sv->source->event = NULL;
	BTN_POINT("serve:close");
	if (sv->flies && r->core.started &&
	    atomic_exchange_explicit(&sv->call, CLOSED, memory_order_acq_rel) == RUNS) /* [SERVE-1] */
		return false;
	if (!sv->flies)
		return true;
	r->served = NULL;
	sv->r = NULL;
	if (!r->core.started)
		btn_core_cancel(&sv->s->core, sv->s->now, &r->core, -ECANCELED);
	return true;
}

void btn_serve_end(struct btn_serve *sv)
{
	sv->fn(sv->st, -ESHUTDOWN, sv->arg);
	free_parts(sv);
	/* From here on the scheduler may be destroyed. */
	sv->release(sv->st);
	btn_mem_free(sv);
}
