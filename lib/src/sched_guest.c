// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Guests: threads of the caller's that are a request's first task for a while.
 * A guest has a worker like those of the pool, but brings it along: it is not
 * counted among them, and when its task ends its thread goes back to what it was
 * doing. It sleeps on its worker's parker until it is given a slot, or until
 * the request is done without having started (btn_request_done).
 */
#include "sched_int.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static __thread struct btn_worker *mine __attribute__((tls_model("initial-exec")));
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;
static int at_exit_err;

static void thread_ends(void *arg)
{
	struct btn_worker *w = arg;

	baton_request_leave();
	btn_worker_part(w);
	/* Whoever comes after this, another thread-local's end, keeps none any more. */
	mine = NULL;
	free(w->kept);
	btn_worker_free(w);
}

struct baton_request *btn_guest_take_kept(void)
{
	struct baton_request *r = mine ? mine->kept : NULL;

	if (r)
		mine->kept = NULL;
	return r;
}

bool btn_guest_keep(struct baton_request *r)
{
	if (!mine || mine->kept)
		return false;
	mine->kept = r;
	return true;
}

static void prepare(void)
{
	at_exit_err = pthread_key_create(&at_exit, thread_ends);
}

static struct btn_worker *guest(struct baton_sched *s)
{
	struct btn_worker *w = mine;

	if (w) {
		w->s = s;
		return w;
	}
	pthread_once(&once, prepare);
	w = at_exit_err ? NULL : btn_worker_new(s, true);
	if (!w)
		return NULL;
	if (pthread_setspecific(at_exit, w)) {
		btn_worker_free(w);
		return NULL;
	}
	w->born = true;
	w->thread = pthread_self();
	w->tid = gettid();
	pthread_getcpuclockid(w->thread, &w->cpu_clock);
	btn_rescue_thread(s);
	mine = w;
	return w;
}

int baton_request_enter(struct baton_tenant *t, const struct baton_request_opts *opts,
			struct baton_request **out)
{
	struct baton_sched *s = t->s;
	struct btn_wakes wakes = { 0 };
	struct baton_request *r;
	struct btn_worker *w;
	int err;

	if (out)
		*out = NULL;
	if (btn_self)
		return -EBUSY;
	if (opts->fn)
		return -EINVAL;
	w = guest(s);
	if (!w)
		return -ENOMEM;
	err = btn_request_new(&r, t, opts, out != NULL);
	if (err)
		return err;
	r->guest = r->first.worker = w;
	r->first.core.guest = true;
	w->task = &r->first;
	w->last_slot = w->leaving = -1;
	w->refused = 0;
	btn_worker_join(w);
	btn_self = w;
	if (w->charged_to != t->serial) {
		w->charged_to = t->serial;
		w->meter.mark = btn_worker_cpu(w);
		w->meter.charged = 0;
	}
	btn_sched_lock(s);
	/* What is written for each slot is in this CPU's cache, if it had that one before. */
	btn_core_prefer(&s->core, w->home);
	err = btn_request_submit(r, opts->arrival);
	if (err) {
		btn_sched_release(s);
		btn_self = NULL;
		btn_request_free(r);
		return err;
	}
	if (out)
		*out = r;
	btn_worker_set_waits(w);
	btn_sched_unlock(s, &wakes);
	if (w->refused)
		btn_self = NULL;
	return w->refused;
}

void baton_request_leave(void)
{
	struct btn_worker *w = btn_self;

	if (!w || !w->guest)
		return;
	btn_worker_task_end(w, true);
	btn_self = NULL;
	atomic_store_explicit(&w->inside, 0, memory_order_relaxed); /* [RESCUE-1] */
}
