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
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "park.h"

/*
 * A guest comes from a wait of its own: for a message, say, whose sender woke it on
 * the CPU of one that has a slot, and that was about to give it away. To let that
 * one go on is less than to park, and to be woken by it. LINGER: how often, where
 * it has helped so far; not at all where it has not, but for now and then. Where
 * it takes long the CPU went to somebody else, before whom a wake would have gone.
 */
#define LINGER		4
#define LINGER_AGAIN	32
#define LINGER_NS	300000

static __thread int helped = LINGER;
static __thread unsigned enters;
static __thread struct btn_worker *mine;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;
static int at_exit_err;

static void thread_ends(void *arg)
{
	baton_request_leave();
	btn_worker_part(arg);
	btn_worker_free(arg);
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

/* The caller has queued, and gave up the lock. */
static void linger(const struct btn_worker *w)
{
	int i, n = !helped && !(++enters % LINGER_AGAIN) ? LINGER : helped;
	uint64_t begun;

	if (!n || btn_park_given(w->parker))
		return;
	begun = btn_clock_now();
	for (i = 0; i < n && !btn_park_given(w->parker); i++)
		sched_yield();
	if (i < n && btn_clock_now() - begun < LINGER_NS)
		helped += helped < LINGER;
	else
		helped -= helped > 0;
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
	btn_sched_enter(w);
	btn_sched_unlock(s, &wakes);
	linger(w);
	btn_sched_exit(w);
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
