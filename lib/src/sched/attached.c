// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Attached threads: the caller's own, which are a request's first task for a while. An
 * attached thread has a worker like those of the pool, but brings it along: the worker is not
 * counted among them, and when its task ends the thread goes back to what it was doing. The
 * thread sleeps on its worker's parker until it is given a slot, or until the request is done
 * without having started (dispatch.c).
 *
 * A thread that leaves may have its slot cached for its next request: [LAZY-2], lazy.c. From
 * then on its task, its request and its worker belong to any thread with the lock, until the
 * owner has its word back.
 */
#include <baton/sched.h>

#include <errno.h>
#include <unistd.h>

#include "../core/core.h"
#include "../opts.h"
#include "../tsan.h"
#include "alarm.h"
#include "blocked.h"
#include "dispatch.h"
#include "gate.h"
#include "lazy.h"
#include "pool.h"
#include "request.h"
#include "self.h"
#include "slice.h"
#include "slot.h"
#include "worker.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;
static int at_exit_err;

static void end_left(struct btn_worker *w);

static void thread_ends(void *arg)
{
	struct btn_worker *w = arg;

	/* In a child of fork() the thread is not what it was attached as. */
	if (w != btn_self_attached)
		return;
	baton_request_leave();
	end_left(w);
	btn_blocked_part(w);
	/*
	 * A destructor of another thread-local that comes after this finds no worker, and
	 * makes another.
	 */
	btn_self_attached = NULL;
	btn_pool_request_free(w->kept);
	btn_pool_worker_free(w);
}

static void make_key(void)
{
	at_exit_err = pthread_key_create(&at_exit, thread_ends);
}

/*
 * Ends the last request of a thread that left with its slot cached: then the thread is as any
 * other.
 */
static void end_left(struct btn_worker *w)
{
	if (!w->left)
		return;
	w->left = false;
	btn_gate_enter(w);
	if (btn_lazy_resume(w)) {
		btn_self = w;
		btn_worker_task_end(w, true);
		btn_self = NULL;
	}
	btn_lazy_out(w);
}

/*
 * Turns the thread's last request, which was left with the slot cached and of which there is
 * no handle, into this one. False: it could not, and the last request is ended.
 */
static bool enter_again(struct btn_worker *w, const struct baton_tenant *t, const struct baton_request_opts *opts,
			struct baton_request **out)
{
	struct baton_sched *s = t->s;
	struct baton_request *r;
	uint64_t now;
	bool same;

	same = w->s == s && w->lazy_tenant == t->serial && w->lazy_class == opts->cls && !opts->deadline;
	if (!same) {
		end_left(w);
		return false;
	}
	w->left = false;
	btn_gate_enter(w);
	if (!btn_lazy_resume(w)) {
		btn_lazy_out(w);
		return false;
	}
	btn_self = w;
	r = w->task->req;
	now = BTN_OWN_GET(w->looked);
	if (atomic_load_explicit(&r->refs, memory_order_acquire) != 1 || /* [REQUEST-1] */
	    atomic_load_explicit(&w->flag, memory_order_relaxed) || /* [SCHED-1] */
	    atomic_load_explicit(&w->waits, memory_order_relaxed) || /* [PREEMPT-2] */
	    atomic_load_explicit(&s->wanted, memory_order_relaxed) || /* [LAZY-2] */
	    now >= atomic_load_explicit(&w->until, memory_order_relaxed)) { /* [SCHED-1] */
		btn_worker_task_end(w, true);
		btn_self = NULL;
		btn_lazy_out(w);
		return false;
	}
	r->began = now;
	r->core.info.arrival = opts->arrival && opts->arrival < now ? opts->arrival : now;
	r->core.cpu = r->core.throttled = 0;
	/* The task runs, so none of these is open. */
	r->core.ready.ns = r->core.starved.ns = r->core.blocked.ns = r->core.locked.ns = r->core.streamed.ns = 0;
	BTN_OWN_SET(w->again, BTN_OWN_GET(w->again) + 1);
	if (out) {
		atomic_store_explicit(&r->refs, 2, memory_order_relaxed); /* [REQUEST-1] */
		atomic_fetch_add_explicit(&s->handles, 1, memory_order_relaxed); /* [REQUEST-2] */
		*out = r;
	}
	btn_lazy_out(w);
	btn_gate_enter(w);
	btn_gate_exit(w);
	return true;
}

static struct btn_worker *attached_worker(struct baton_sched *s)
{
	struct btn_worker *w = btn_self_attached;

	if (w) {
		if (w->s != s) {
			btn_alarm_free(w);
			btn_slice_free(w);
			w->s = s;
		}
		btn_alarm_attach(s, w);
		return w;
	}
	pthread_once(&once, make_key);
	w = at_exit_err ? NULL : btn_pool_worker_new(s, true);
	if (!w)
		return NULL;
	if (pthread_setspecific(at_exit, w)) {
		btn_pool_worker_free(w);
		return NULL;
	}
	w->born = true;
	w->thread = pthread_self();
	w->tid = gettid();
	pthread_getcpuclockid(w->thread, &w->cpu_clock);
	btn_alarm_attach(s, w);
	btn_gate_signal_thread(s);
	btn_self_attached = w;
	return w;
}

int baton_request_enter(struct baton_tenant *t, const struct baton_request_opts *opts,
			struct baton_request **out)
{
	struct baton_sched *s = t->s;
	struct btn_wakes wakes = { 0 };
	struct baton_request_opts room;
	struct baton_request *r;
	struct btn_worker *w;
	bool runs;
	int err;

	if (out)
		*out = NULL;
	if (!btn_self_is_here(s->process))
		return -EPERM;
	if (btn_self)
		return -EBUSY;
	opts = btn_opts_view(&room, sizeof(room), opts, &err);
	if (!opts)
		return err;
	if (opts->fn)
		return -EINVAL;
	if (btn_self_attached && btn_self_attached->left && enter_again(btn_self_attached, t, opts, out))
		return 0;
	w = attached_worker(s);
	if (!w)
		return -ENOMEM;
	err = btn_request_new(&r, t, opts, out != NULL);
	if (err)
		return err;
	r->attached = r->first.worker = w;
	r->first.core.attached = true;
	w->task = &r->first;
	w->last_slot = w->leaving = -1;
	w->refused = 0;
	btn_blocked_join(w);
	btn_self = w;
	if (w->charged_to != t->serial) {
		w->charged_to = t->serial;
		w->cputime.mark = btn_slot_cpu(w);
		w->cputime.charged = 0;
	}
	btn_gate_lock(s);
	/*
	 * Data that is written for each slot is in this CPU's cache, if the thread had that
	 * slot before.
	 */
	btn_core_prefer(&s->core, w->home);
	err = btn_request_submit(r, opts->arrival);
	if (err) {
		btn_gate_release(s);
		btn_self = NULL;
		btn_gate_request_free(r);
		return err;
	}
	s->attached++;
	if (out)
		*out = r;
	btn_slot_set_waits(w);
	btn_dispatch(s, s->now, &wakes);
	runs = w->slot >= 0 && btn_wakes_del(&wakes, w);
	/* The worker is out of the wakes, so it gets no permit. */
	if (runs)
		atomic_store_explicit(&w->waits, false, memory_order_relaxed); /* [PREEMPT-2] */
	btn_gate_drop(s);
	btn_dispatch_wake(s, &wakes);
	if (runs)
		btn_slot_arm(w, BTN_CELL_ARMED);
	btn_gate_exit(w);
	if (w->refused)
		btn_self = NULL;
	return w->refused;
}

void baton_request_leave(void)
{
	struct btn_worker *w = btn_self;

	if (!w || !w->attached)
		return;
	btn_tsan_release(w->task->req);
	btn_gate_enter(w);
	w->left = !w->blocking && !w->task->locks_held && btn_lazy_cache(w, BTN_LAZY_LEFT);
	if (!w->left)
		btn_worker_task_end(w, true);
	w->blocking = false;
	btn_self = NULL;
	btn_lazy_out(w);
}
